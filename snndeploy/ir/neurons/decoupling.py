"""How one integer burst neuron becomes plain neurons: the constructions, each with its register conditions.

All are exact in integers where their conditions hold, spike for spike, and every condition is checked for the
deployed numbers:

graded       the neuron stays one neuron program and sends its level as a payload.
ping-pong    2K plain LIF neurons with hard reset. Two banks; the idle one is forced to fire every step, so its
             potential is 0 after every step; when the neuron fires, the banks swap roles. K relay neurons pass on
             only what the active bank fired. ``ping-pong-direct`` is the same without relays: downstream sees both
             banks and a constant -levels[K].
lateral      K plain neurons with subtracting reset, one-step lateral synapses and autapses (soft reset only).

Sources: the theorems in docs/decoupling.md (1: lateral, 3: ping-pong).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Candidate, Condition, Edge, Graph, Limits, Node
from snndeploy.ir.layers import Input, Output, Reshape, Scale

UNIT = 64
"""Units of v a weight unit is worth (synaptic sums enter u shifted left by 6)."""
U_LIMIT = 1 << 17
"""Weight units at which u would wrap."""
CONSTANT = "snndeploy.one"
"""The input that is 1 at every step: the host's constant drive."""


def candidates(node: Any, limits: Limits) -> tuple[Candidate, ...]:
    """Every construction for this ``IntegerNeuron``, exact or not; none for a neuron the chip has as it is."""
    if node.fixed:
        return ()
    if node.rungs == 1:
        return (graded(node, limits),)
    if node.reset == "hard":
        return (graded(node, limits), ping_pong(node, limits, relays=True), ping_pong(node, limits, relays=False))
    if node.reset == "subtract":
        return (graded(node, limits), lateral(node, limits))
    return (graded(node, limits),)


def graded(node: Any, limits: Limits) -> Candidate:
    """The neuron as one program with a graded payload."""
    payload = int(np.abs(node.levels).max(initial=0)).bit_length()
    fits = payload <= limits.payload_bits or (node.rungs == 1 and bool((node.levels == 1).all()))
    conditions = (
        _programs(limits, "L010: choose a chip with neuron programs, or --burst ping-pong"),
        Condition("payload bits", fits, f"{payload} bits", f"{limits.payload_bits} bits", "L012: coarser levels (kappa)"),
        _no_wrap("no word of the program saturates", [limits.input_bound * _accumulated(node, limits.steps), constant_part(node)]),
    )
    graph = Graph(
        {"in": Input(limits.shape, "levels"), "neuron": node, "out": Output("none")},
        (Edge("in", "neuron"), Edge("neuron", "out")),
    )
    return Candidate("graded", graph, conditions)


def _programs(limits: Limits, hint: str) -> Condition:
    return Condition("neuron programs", limits.programs, "needed", "available" if limits.programs else "not on this chip", hint)


def _no_wrap(name: str, parts: Sequence[float]) -> Condition:
    """The parts of the largest sum, in weight units, stay below 24 bits of v."""
    value = " + ".join(f"{part:.0f}" for part in parts if part) or "0"
    return Condition(name, sum(parts) < U_LIMIT, value, f"< {U_LIMIT} weight units", "L013: fewer weight bits or a smaller fan-in")


def _accumulated(node: Any, steps: int | None) -> float:
    """How many times the largest input a lingering synaptic current can reach: the sum of its decay's powers."""
    kept = float((4095.0 - node.du).max()) / 4096
    forever = 1 / (1 - kept) if kept < 1 else np.inf
    return float(forever if steps is None else min(forever, sum(kept**k for k in range(steps))))


def constant_part(node: Any) -> float:
    """What enters the membrane beside the synaptic current, in weight units: bias, and the amount of a late reset."""
    amount = float(np.abs(node.amounts).max()) if node.late else 0.0
    return float(np.ceil((np.abs(node.bias).max() + amount) / UNIT))


def ping_pong(node: Any, limits: Limits, relays: bool) -> Candidate:
    """Two banks of K plain hard-reset LIF neurons; one is in step with the burst neuron, the other is forced."""
    force = forcing(float(node.thresholds.max()), float(np.abs(node.bias).max()), limits.input_bound)
    rungs = range(1, node.rungs + 1)
    plain = {f"{bank}{j}": _plain(node, j - 1) for bank in "AB" for j in rungs}
    nodes: dict[str, Node] = {"in": Input(limits.shape, "levels"), **plain, **constant_synapse("drive", _full(force, limits), "one")}
    edges = [Edge("in", name) for name in plain] + constant_edges("drive", *(f"B{j}" for j in rungs), one="one")
    # f_A = A1 - B1 + BK one step earlier forces bank A; bank B is forced by 1 - f_A.
    for source, sign in (("A1", 1), ("B1", -1), (f"B{node.rungs}", 1)):
        for bank, side in (("A", 1), ("B", -1)):
            nodes[f"{source}.{bank}"] = Scale(frozen(sign * side * force))
            edges += [Edge(source, f"{source}.{bank}", delay=1), *(Edge(f"{source}.{bank}", f"{bank}{j}") for j in rungs)]
    nodes["out"] = Output("none")
    _add_rungs(node, limits, nodes, edges, relays)
    name = "ping-pong" if relays else "ping-pong-direct"
    return Candidate(name, Graph(nodes, tuple(edges)), _ping_pong_conditions(node, limits, force), latency=int(relays))


def _add_rungs(node: Any, limits: Limits, nodes: dict[str, Node], edges: list[Edge], relays: bool) -> None:
    """Both banks' spikes of rung j, weighted by its step in level, become the output."""
    steps = np.diff(node.levels, axis=0, prepend=np.zeros_like(node.levels[:1]))
    for j in range(1, node.rungs + 1):
        sources = (f"A{j}", f"B{j}")
        nodes[f"step{j}"] = Scale(frozen(steps[j - 1]))
        edges.append(Edge(f"step{j}", "out"))
        if relays:
            # 4095 / 4096 of at most 128 truncates to nothing, and 4096 does not fit the register
            memoryless = dataclasses.replace(
                node, du=frozen(4095.0), dv=frozen(4095.0), thresholds=frozen([float(UNIT)]), levels=frozen([1.0]), bias=frozen(0.0)
            )
            nodes[f"R{j}"] = memoryless
            edges += [Edge(f"unit{j}{s[0]}", f"R{j}") for s in sources] + [Edge(f"R{j}", f"step{j}")]
            nodes.update({f"unit{j}{s[0]}": Scale(frozen(1.0)) for s in sources})
            edges += [Edge(s, f"unit{j}{s[0]}") for s in sources]
        else:
            edges += [Edge(s, f"step{j}") for s in sources]
    if not relays:
        # the forced bank fires every rung, every step: its level is taken off as a constant
        nodes |= constant_synapse("offset", _full(-node.levels[-1], limits), "one")
        edges += constant_edges("offset", "out", one="one")


def forcing(threshold: float, bias: float, input_bound: int) -> int:
    """The drive, in weight units, that makes every rung fire whatever comes in; ``threshold`` and ``bias`` in units of v."""
    return on_grid(int(np.ceil((max(threshold, 0.0) + bias) / UNIT)) + input_bound + 1)


def _ping_pong_conditions(node: Any, limits: Limits, force: int) -> tuple[Condition, ...]:
    theta_1, vth = float(node.thresholds.min()), int(node.thresholds.max()) // UNIT
    aligned = bool((node.thresholds % UNIT == 0).all()) and vth <= limits.vth_max
    return (
        _no_wrap("no wrap of u", [force, limits.input_bound, constant_part(node)]),
        Condition("threshold above the reset value", theta_1 >= 0, f"{theta_1:g}", ">= 0", "a neuron that fires at rest needs graded"),
        Condition("thresholds on the mantissa's grid", aligned, f"vth {vth}", f"<= {limits.vth_max}, in steps of 64",
                  "L006: quantize the thresholds to multiples of 64"),
        _fading(node),
        Condition("no floor", node.floor is None, "none" if node.floor is None else "a floor", "none", "use graded"),
        _drivable(node),
    )  # fmt: skip


def _fading(node: Any) -> Condition:
    """A current that outlives its step would keep forcing."""
    fading = bool((node.du == 4095).all())
    return Condition("no synaptic memory", fading, f"du {node.du.min():g}", "du 4095", "use graded")


def _drivable(node: Any) -> Condition:
    """The construction has delayed synapses, so the bias must come with the input, as a synapse from the constant."""
    whole = bool((node.bias % UNIT == 0).all())
    return Condition(
        "bias on the weights' grid", whole, f"{np.abs(node.bias).max():g}", f"a multiple of {UNIT}", "quantize with bias_step 64"
    )


def lateral(node: Any, limits: Limits) -> Candidate:
    """K plain soft-reset neurons; lateral synapses take off what the others' spikes mean for the shared potential."""
    thresholds, amounts = node.thresholds, node.amounts
    steps = np.diff(amounts, axis=0, prepend=np.zeros_like(amounts[:1]))
    keep = 4096.0 - node.dv
    nodes: dict[str, Node] = {"in": Input(limits.shape, "levels"), "out": Output("none")}
    edges: list[Edge] = []
    exact = True
    for j in range(node.rungs):
        own = frozen(thresholds[j : j + 1])
        nodes[f"N{j + 1}"] = dataclasses.replace(node, thresholds=own, levels=frozen([1.0]), amounts=own)
        edges.append(Edge("in", f"N{j + 1}"))
    for j in range(node.rungs):
        for i in range(node.rungs):
            weight = ((thresholds[j] if i == j else 0.0) - steps[i]) * keep / (4096 * UNIT)
            exact &= bool((weight == np.round(weight)).all())
            nodes[f"L{i + 1}{j + 1}"] = Scale(frozen(np.round(weight)))
            edges += [Edge(f"N{i + 1}", f"L{i + 1}{j + 1}", delay=1), Edge(f"L{i + 1}{j + 1}", f"N{j + 1}")]
    levels = np.diff(node.levels, axis=0, prepend=np.zeros_like(node.levels[:1]))
    for j in range(node.rungs):
        nodes[f"step{j + 1}"] = Scale(frozen(levels[j]))
        edges += [Edge(f"N{j + 1}", f"step{j + 1}"), Edge(f"step{j + 1}", "out")]
    return Candidate("lateral", Graph(nodes, tuple(edges)), _lateral_conditions(node, limits, exact))


def _lateral_conditions(node: Any, limits: Limits, divisible: bool) -> tuple[Condition, ...]:
    stays = bool((node.amounts <= node.thresholds + 1).all() and (node.thresholds >= 0).all())
    largest = 2 * float(np.abs(node.thresholds).max()) / UNIT
    return (
        _programs(limits, "L010: the fixed LIF resets to zero only; choose a chip with neuron programs"),
        Condition("lateral weights are whole", divisible, "decay * amount / 4096 / 64", "a whole number for every rung",
                  "snap the thresholds to multiples of 64 * 4096 / gcd(decay, 4096)"),
        Condition("potential stays at or above 0 after a spike", stays, "amount - threshold", "<= 1, thresholds >= 0", "use graded"),
        _fading(node),
        _no_wrap("no wrap of u", [limits.input_bound, largest, constant_part(node)]),
        _drivable(node),
    )  # fmt: skip


def on_grid(value: int) -> int:
    """The smallest whole number >= ``value`` that one synapse can hold: at most 127 times 2, shifted left."""
    exponent = max(0, (value - 1).bit_length() - 7) if value > 0 else 0
    step = 1 << max(1, exponent)
    return -(-value // step) * step


def _plain(node: Any, rung: int) -> Any:
    """The rung's own plain LIF: same decay and bias, its threshold, output 1, hard reset."""
    return dataclasses.replace(node, thresholds=_one(node.thresholds, rung), levels=frozen([1.0]))


def _one(values: Floats, rung: int) -> Floats:
    return frozen(values[rung : rung + 1])


def constant_synapse(name: str, values: Floats, one: str = CONSTANT) -> dict[str, Node]:
    """The nodes of a synapse ``name`` from the constant input that delivers ``values`` [*shape] at every step."""
    constant = Input((1,), "spikes", static=True)
    return {one: constant, f"{name}.one": Reshape((1,) * values.ndim), name: Scale(frozen(values))}


def constant_edges(name: str, *targets: str, one: str = CONSTANT) -> list[Edge]:
    """The edges of ``constant_synapse`` ``name``."""
    return [Edge(one, f"{name}.one"), Edge(f"{name}.one", name), *(Edge(name, target) for target in targets)]


def _full(value: Floats | int, limits: Limits) -> Floats:
    return frozen(np.broadcast_to(np.asarray(value, dtype=np.float64), limits.shape))
