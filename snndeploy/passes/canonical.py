"""Write every neuron in one way: hard resets act in the same step and go to 0, shapes are explicit.

A late hard reset (snnTorch ``zero``: the membrane is cleared inside the next update) is a reset in the same step:
both enter the next update with 0 where the neuron fired and with h where it did not, h = decay v (1 - s) + gain x.
A late neuron that never resets is not late. Bit for bit equal.

A hard reset to v_reset = r != 0 is a reset to 0 of the shifted membrane w = v - r: threshold, rest, start and floor
move by -r too, and every h moves by -r exactly, because h - r = (rest - r) + decay (w - (rest - r)) + gain x.
Equal over the reals; in floats the subtraction of r rounds. SpikingJelly's LIFNode
becomes a LIF with threshold - v_reset and no bias this way.

A KLIF with k > 0 is a LIF with the floor 0 where its decay stays within 1 (``as_lif``); equal over the reals.

A late subtraction is left alone (it is not a same-step subtraction in integers), and so are neurons without a hard
reset. A neuron whose parameters broadcast its input to a larger shape gets a Scale of 1 that does so before it.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.klif import KLIF, as_lif
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.paths import neurons


def apply(graph: Graph) -> Graph:
    """The graph with canonical neurons."""
    graph = graph.replace({name: canonical(graph.nodes[name]) for name in neurons(graph)})
    for name in neurons(graph):
        graph = _widen(graph, name)
    return graph


def canonical(node: Node) -> Node:
    """The same neuron with its hard reset in the same step and to 0; other nodes as they are."""
    if isinstance(node, KLIF):
        return as_lif(node) or node
    if isinstance(node, LIF) and node.late and node.reset != "subtract":
        node = dataclasses.replace(node, late=False)
    if isinstance(node, LIF | CubaLIF | Burst) and node.reset == "hard" and node.v_reset.any():
        return _shift(node)
    return node


def _shift(node: LIF | CubaLIF | Burst) -> Node:
    r, zero = node.v_reset, frozen(0.0)
    rest, start = node.rest - r, node.v_init - r
    if isinstance(node, Burst):
        floor = None if node.floor is None else node.floor - r
        return dataclasses.replace(node, thresholds=_per_rung(node.thresholds, r), v_reset=zero, rest=rest, v_init=start, floor=floor)
    if isinstance(node, CubaLIF) or node.floor is None:
        return dataclasses.replace(node, threshold=node.threshold - r, v_reset=zero, rest=rest, v_init=start)
    return dataclasses.replace(node, threshold=node.threshold - r, v_reset=zero, rest=rest, v_init=start, floor=node.floor - r)


def _per_rung(thresholds: Floats, r: Floats) -> Floats:
    """``thresholds`` [K, ...] minus ``r``, which broadcasts against the shape behind K."""
    missing = max(0, r.ndim - (thresholds.ndim - 1))
    return thresholds.reshape(len(thresholds), *(1,) * missing, *thresholds.shape[1:]) - r


def _widen(graph: Graph, name: str) -> Graph:
    edges = graph.into(name)
    shape, wide = graph.shapes[edges[0].source], graph.shapes[name]
    if shape == wide:
        return graph
    inner = f"{name}.wide"
    moved = [Edge(e.source, inner, e.delay) for e in edges]
    kept = [e for e in graph.edges if e.target != name]
    return graph.replace({inner: Scale(np.ones(wide))}, [*kept, *moved, Edge(inner, name)])
