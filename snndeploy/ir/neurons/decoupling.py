"""How one integer burst neuron becomes plain neurons: the constructions, each with its register conditions.

All are exact in integers where their conditions hold, spike for spike, and every condition is checked for the
deployed numbers:

graded       the neuron stays one neuron program and sends its level as a payload.
ping-pong    2K plain LIF neurons with hard reset. Two banks; the idle one is forced to fire every step, so its
             potential is 0 after every step; when the neuron fires, the banks swap roles. K relay neurons pass on
             only what the active bank fired. ``ping-pong-direct`` is the same without relays: downstream sees both
             banks and a constant -levels[K].
look-ahead   2K plain LIF neurons that are silent while the burst neuron is, two steps later (``lookahead``). K - 1
             relays pass on only what was reached, one step more; ``look-ahead-direct`` has none.
two-phase    K plain LIF neurons, if the whole network takes two steps for one and its decays allow it (``twophase``).
lateral      K plain neurons with subtracting reset, one-step lateral synapses and autapses (soft reset only).

Sources: the theorems in docs/lossless.md (3: lateral, 4: ping-pong, 5: look-ahead, 6: two-phase).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Candidate, Condition, Edge, Graph, Limits, Node
from snndeploy.ir.layers import Input, Output, Reshape, Scale
from snndeploy.ir.neurons.lookahead import look_ahead
from snndeploy.ir.neurons.registers import (
    U_LIMIT,
    UNIT,
    constant_part,
    drivable,
    fading,
    hard,
    memoryless,
    no_wrap,
    on_grid,
    plain,
    programs,
    start,
)
from snndeploy.ir.neurons.twophase import two_phase

__all__ = ["CONSTANT", "UNIT", "U_LIMIT", "candidates", "constant_edges", "constant_part", "constant_synapse", "forcing", "on_grid"]

CONSTANT = "snndeploy.one"
"""The input that is 1 at every step: the host's constant drive."""


def candidates(node: Any, limits: Limits) -> tuple[Candidate, ...]:
    """Every construction for this ``IntegerNeuron``, exact or not; none for a neuron the chip has as it is."""
    if node.fixed:
        return ()
    if node.rungs == 1:
        return (graded(node, limits),)
    if node.reset == "hard":
        two_banks = (build(node, limits, relays) for build in (ping_pong, look_ahead) for relays in (True, False))
        return (graded(node, limits), *two_banks, two_phase(node, limits))
    if node.reset == "subtract":
        return (graded(node, limits), lateral(node, limits))
    return (graded(node, limits),)


def graded(node: Any, limits: Limits) -> Candidate:
    """The neuron as one program with a graded payload."""
    payload = int(np.abs(node.levels).max(initial=0)).bit_length()
    other = ", or --burst ping-pong" if node.rungs > 1 and node.reset == "hard" else ""
    fits = payload <= limits.payload_bits or (node.rungs == 1 and bool((node.levels == 1).all()))
    conditions = (
        programs(limits, _beyond_the_fixed(node), f"L010: choose a chip with neuron programs{other}"),
        Condition("payload bits", fits, f"{payload} bits", f"{limits.payload_bits} bits", "L012: coarser levels (kappa)"),
        no_wrap("no word of the program saturates", [limits.input_bound * _accumulated(node, limits.steps), constant_part(node)]),
    )
    graph = Graph(
        {"in": Input(limits.shape, "levels"), "neuron": node, "out": Output("none")},
        (Edge("in", "neuron"), Edge("neuron", "out")),
    )
    return Candidate("graded", graph, conditions)


def _beyond_the_fixed(node: Any) -> str:
    """What the fixed LIF has not."""
    has = {
        "its floor": node.floor is not None,
        "its late reset": node.late,
        f"its {node.rungs} levels": node.rungs > 1,
        "its subtracting reset": node.reset == "subtract",
        "its spikes without reset": node.reset == "none",
    }
    return " and ".join(what for what, it_has in has.items() if it_has) or "its threshold or level off the fixed grid"


def _accumulated(node: Any, steps: int | None) -> float:
    """How many times the largest input a lingering synaptic current can reach: the sum of its decay's powers."""
    kept = float((4095.0 - node.du).max()) / 4096
    forever = 1 / (1 - kept) if kept < 1 else np.inf
    return float(forever if steps is None else min(forever, sum(kept**k for k in range(steps))))


def ping_pong(node: Any, limits: Limits, relays: bool) -> Candidate:
    """Two banks of K plain hard-reset LIF neurons; one is in step with the burst neuron, the other is forced."""
    force = forcing(float(node.thresholds.max()), float(np.abs(node.bias).max()), limits.input_bound)
    rungs = range(1, node.rungs + 1)
    banks = {f"{bank}{j}": plain(node, j - 1) for bank in "AB" for j in rungs}
    nodes: dict[str, Node] = {"in": Input(limits.shape, "levels"), **banks, **constant_synapse("drive", _full(force, limits), "one")}
    edges = [Edge("in", name) for name in banks] + constant_edges("drive", *(f"B{j}" for j in rungs), one="one")
    # f_A = A1 - B1 + BK one step earlier forces bank A; bank B is forced by 1 - f_A.
    for source, sign in (("A1", 1), ("B1", -1), (f"B{node.rungs}", 1)):
        for bank, side in (("A", 1), ("B", -1)):
            nodes[f"{source}.{bank}"] = Scale(frozen(sign * side * force))
            edges += [Edge(source, f"{source}.{bank}", delay=1), *(Edge(f"{source}.{bank}", f"{bank}{j}") for j in rungs)]
    nodes["out"] = Output("none")
    _add_rungs(node, limits, nodes, edges, relays)
    name = "ping-pong" if relays else "ping-pong-direct"
    return Candidate(name, Graph(nodes, tuple(edges)), hard(node, limits, force, lingers=0), latency=int(relays))


def _add_rungs(node: Any, limits: Limits, nodes: dict[str, Node], edges: list[Edge], relays: bool) -> None:
    """Both banks' spikes of rung j, weighted by its step in level, become the output."""
    steps = np.diff(node.levels, axis=0, prepend=np.zeros_like(node.levels[:1]))
    for j in range(1, node.rungs + 1):
        sources = (f"A{j}", f"B{j}")
        nodes[f"step{j}"] = Scale(frozen(steps[j - 1]))
        edges.append(Edge(f"step{j}", "out"))
        if relays:
            nodes[f"R{j}"] = memoryless(node)
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
        programs(limits, "its subtracting reset", "L010: the fixed LIF resets to zero only; choose a chip with neuron programs"),
        Condition("lateral weights are whole", divisible, _off_grid(node), "thresholds and amounts on that grid",
                  "L006: --burst lateral snaps them, and prints by how much"),
        Condition("potential stays at or above 0 after a spike", stays, "amount - threshold", "<= 1, thresholds >= 0", "use graded"),
        fading(node),
        no_wrap("no wrap of u", [limits.input_bound, largest, constant_part(node)]),
        drivable(node),
        start(limits, np.inf),
    )  # fmt: skip


def _off_grid(node: Any) -> str:
    """How far thresholds and amounts are from where decay * amount / 4096 / 64 is whole."""
    whole = 4096 * UNIT
    grid = whole / np.gcd((4096 - node.dv).astype(np.int64), whole)
    apart = [np.abs(values - np.round(values / grid) * grid) / np.maximum(np.abs(values), 1) for values in (node.thresholds, node.amounts)]
    return f"up to {100 * max(float(a.max()) for a in apart):.2g} % off the grid of {grid.max():g} units of v"


def constant_synapse(name: str, values: Floats, one: str = CONSTANT) -> dict[str, Node]:
    """The nodes of a synapse ``name`` from the constant input that delivers ``values`` [*shape] at every step."""
    constant = Input((1,), "spikes", static=True)
    return {one: constant, f"{name}.one": Reshape((1,) * values.ndim), name: Scale(frozen(values))}


def constant_edges(name: str, *targets: str, one: str = CONSTANT) -> list[Edge]:
    """The edges of ``constant_synapse`` ``name``."""
    return [Edge(one, f"{name}.one"), Edge(f"{name}.one", name), *(Edge(name, target) for target in targets)]


def _full(value: Floats | int, limits: Limits) -> Floats:
    return frozen(np.broadcast_to(np.asarray(value, dtype=np.float64), limits.shape))
