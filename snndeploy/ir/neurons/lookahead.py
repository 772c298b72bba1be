"""Look-ahead: an integer burst neuron out of 2K plain LIF neurons that are silent while it is (Theorem 5).

A, with the first threshold, sees the input first and fires exactly when the burst neuron does. T counts: it fires on
every second spike of A. For each further rung j two neurons B_j and C_j see the input two steps later. At odd spikes
of A, B_j is forced to fire and C_j decides whether rung j was reached; at even spikes C_j is forced and B_j decides.
The forced one ends at 0, in step with the burst neuron; the one that decided holds at most theta_K too much, and a kick
of -G one step later puts it at or below the true potential for good (D is monotone), never more than G below it (D
changes by at most 1 where its argument does), so that F > G forces it next time. No bound on the input is needed, other
than that u must not wrap.

In the graph the two steps are no delay: every path is one synapse longer, and the alignment delays the input.
Source of the construction and its proof: docs/lossless.md.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Candidate, Edge, Graph, Limits, Node
from snndeploy.ir.layers import Input, Output, Scale
from snndeploy.ir.neurons.registers import UNIT, hard, memoryless, on_grid, plain


def look_ahead(node: Any, limits: Limits, relays: bool) -> Candidate:
    """A, the parity counter T, and two neurons for every further rung; with ``relays`` one more each, and a step more.

    Raises nothing: what does not hold is in the candidate's conditions.
    """
    kick, force = forces(node.thresholds)
    further = range(2, node.rungs + 1)
    counter = dataclasses.replace(
        node, du=frozen(4095.0), dv=frozen(0.0), thresholds=frozen([float(UNIT)]), levels=frozen([1.0]), bias=frozen(0.0)
    )
    nodes: dict[str, Node] = {"in": Input(limits.shape, "levels"), "A": plain(node, 0), "unit": Scale(frozen(1.0)), "T": counter}
    edges = [Edge("in", "A"), Edge("A", "unit"), Edge("unit", "T")]
    for j in further:
        nodes |= {f"B{j}": plain(node, j - 1), f"C{j}": plain(node, j - 1)}
        edges += [Edge("in", f"B{j}"), Edge("in", f"C{j}")]
    for source, bank, weight, delay in (
        ("A", "B", force, 0), ("T", "B", -force, 0), ("T", "C", force, 0),
        ("A", "C", -kick, 1), ("T", "C", kick, 1), ("T", "B", -kick, 1),
    ):  # fmt: skip
        name = f"{source}.{bank}" + (".kick" if delay else "")
        nodes[name] = Scale(frozen(weight))
        edges += [Edge(source, name, delay=delay), *(Edge(name, f"{bank}{j}") for j in further)]
    nodes["out"] = Output("none")
    _read(node, nodes, edges, relays)
    name = "look-ahead" if relays else "look-ahead-direct"
    return Candidate(name, Graph(nodes, tuple(edges)), hard(node, limits, force, lingers=1), latency=2 + relays)


def forces(thresholds: Floats) -> tuple[int, int]:
    """(G, F) in weight units, each on the grid of a synapse: G >= theta_K, F >= G + theta_K - theta_1 for every neuron."""
    kick = on_grid(int(np.ceil(max(float(thresholds.max()), 0.0) / UNIT)))
    return kick, on_grid(kick + int(np.ceil(float((thresholds[-1] - thresholds[0]).max()) / UNIT)))


def _read(node: Any, nodes: dict[str, Node], edges: list[Edge], relays: bool) -> None:
    """The level out of the spikes: a_1 for A, and each further step where both of its neurons fired.

    Without relays the forced spike of each pair is taken off A's own share: a_1 - (a_K - a_1).
    """
    steps = np.diff(node.levels, axis=0, prepend=np.zeros_like(node.levels[:1]))
    first = steps[0] if relays else steps[0] - steps[1:].sum(axis=0)
    if first.any():
        nodes["step1"] = Scale(frozen(first))
        edges += [Edge("A", "step1"), Edge("step1", "out")]
    for j in range(2, node.rungs + 1):
        nodes[f"step{j}"] = Scale(frozen(steps[j - 1]))
        edges.append(Edge(f"step{j}", "out"))
        pair = (f"B{j}", f"C{j}")
        if relays:
            nodes |= {f"R{j}": memoryless(node), **{f"unit{j}{s[0]}": Scale(frozen(1.0)) for s in pair}}
            edges += [Edge(s, f"unit{j}{s[0]}") for s in pair] + [Edge(f"unit{j}{s[0]}", f"R{j}") for s in pair]
            edges.append(Edge(f"R{j}", f"step{j}"))
        else:
            edges += [Edge(s, f"step{j}") for s in pair]
