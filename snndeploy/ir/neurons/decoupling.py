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
    needs_payload = node.rungs > 1 or payload > 1
    no_wrap = limits.input_bound < U_LIMIT
    conditions = (
        Condition("neuron programs", limits.programs, "needed", "available" if limits.programs else "not on this chip",
                  "L010: choose a chip with neuron programs, or --burst ping-pong"),
        Condition("payload bits", not needs_payload or payload <= limits.payload_bits, f"{payload} bits", f"{limits.payload_bits} bits",
                  "L012: coarser levels (kappa)"),
        Condition("no wrap of u", no_wrap, f"{limits.input_bound}", f"< {U_LIMIT}", "L013: fewer weight bits"),
    )  # fmt: skip
    graph = Graph(
        {"in": Input(limits.shape, "levels"), "neuron": node, "out": Output("none")},
        (Edge("in", "neuron"), Edge("neuron", "out")),
    )
    return Candidate("graded", graph, conditions)


def ping_pong(node: Any, limits: Limits, relays: bool) -> Candidate:
    """Two banks of K plain hard-reset LIF neurons; one is in step with the burst neuron, the other is forced."""
    reach = float(node.thresholds.max()) + float(np.abs(node.bias).max())
    force = on_grid(int(np.ceil(reach / UNIT)) + limits.input_bound + 1)
    rungs = range(1, node.rungs + 1)
    plain = {f"{bank}{j}": _plain(node, j - 1) for bank in "AB" for j in rungs}
    nodes: dict[str, Node] = {"in": Input(limits.shape, "levels"), "one": Input((1,), "spikes", static=True), **plain}
    edges = [Edge("in", name) for name in plain] + [Edge("drive", f"B{j}") for j in rungs]
    _add_constant("drive", force, limits, nodes, edges)
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
        _add_constant("offset", -node.levels[-1], limits, nodes, edges)
        edges.append(Edge("offset", "out"))


def _ping_pong_conditions(node: Any, limits: Limits, force: int) -> tuple[Condition, ...]:
    sum_bound = force + limits.input_bound
    theta_1 = float(node.thresholds.min())
    plain_grid = bool((node.thresholds % UNIT == 0).all())
    vth = int(node.thresholds.max()) // UNIT
    fading = bool((node.du == 4095).all())
    return (
        Condition("no wrap of u", sum_bound < U_LIMIT, f"force {force} + inputs {limits.input_bound}", f"< {U_LIMIT} weight units",
                  "L013: fewer weight bits or a smaller fan-in"),
        Condition("threshold above the reset value", theta_1 >= 0, f"{theta_1:g}", ">= 0", "a negative threshold cannot reset to 0 below itself"),
        Condition("thresholds on the mantissa's grid", plain_grid and vth <= limits.vth_max, f"vth {vth}", f"<= {limits.vth_max}, in steps of 64",
                  "L006: quantize the thresholds to multiples of 64"),
        Condition("no synaptic memory", fading, "du 4095" if fading else "du < 4095", "du 4095", "a lingering current would keep forcing; use graded"),
        Condition("no floor", node.floor is None, "floor" if node.floor is not None else "none", "none", "use graded"),
    )  # fmt: skip


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
    stays = bool((node.amounts <= node.thresholds + 1).all())
    fading = bool((node.du == 4095).all())
    bound = limits.input_bound + int(2 * np.abs(node.thresholds).max() / UNIT) + 1
    return (
        Condition("soft-reset neurons", limits.programs, "needed", "available" if limits.programs else "not on this chip",
                  "L010: the fixed LIF resets to zero only; choose a chip with neuron programs"),
        Condition("lateral weights are whole", divisible, "decay * amount / 4096 / 64", "a whole number for every rung",
                  "snap the thresholds to multiples of 64 * 4096 / gcd(decay, 4096)"),
        Condition("potential stays at or above 0 after a spike", stays, "amount - threshold", "<= 1", "rounding quantizers need graded"),
        Condition("no synaptic memory", fading, "du 4095" if fading else "du < 4095", "du 4095", "use graded"),
        Condition("no wrap of u", bound < U_LIMIT, f"{bound}", f"< {U_LIMIT}", "L013: fewer weight bits"),
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



def _add_constant(name: str, value: Floats | int, limits: Limits, nodes: dict[str, Node], edges: list[Edge]) -> None:
    """A synapse ``name`` from the constant input to every neuron of the node's shape."""
    nodes[f"{name}.one"] = Reshape((1,) * len(limits.shape))
    nodes[name] = Scale(frozen(np.broadcast_to(np.asarray(value, dtype=np.float64), limits.shape)))
    edges += [Edge("one", f"{name}.one"), Edge(f"{name}.one", name)]
