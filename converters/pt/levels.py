"""How many spikes a neuron that counts them can hold in one step: a bound that follows from the weights.

Interval arithmetic over the graph: every value lies between a low and a high, per feature; a Linear or Conv maps them
by its positive and negative weights. A neuron with subtracting reset enters a step with less than a threshold theta,
so with the largest input current c it holds at most floor((decay theta + c) / theta) spikes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converters.pt.neuron import MOST
from snndeploy.arrays import Floats
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Conv, Input, Linear
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.on_numpy import NUMPY


def settle(graph: Graph, ladders: Mapping[str, Callable[[int | None], Node | None]]) -> tuple[Graph, dict[str, int]]:
    """The graph with its counting neurons, and of those that are ladders of levels the bounds, for inputs that lie in 0 .. 1.

    Raises ``Unsupported`` where a ladder is needed and no bound follows: a loop back into the neuron, or a signal without
    limits before it.
    """
    ranges: dict[str, tuple[Floats, Floats]] = {}
    bounds: dict[str, int] = {}
    for name in graph.order if ladders else ():
        node = graph.nodes[name]
        entering = _entering(graph, name, ranges)
        if name not in ladders:
            ranges[name] = _leaving(name, graph, entering)
            continue
        most = _most(node, entering)
        made = ladders[name](most)
        if made is None:
            what = "holds any number of spikes in a step, and no bound follows from the weights"
            raise Unsupported(name, what, f"use MaxSpike(K); for a bare file say --neuron '{name}: max_spikes=16'")
        graph = graph.replace({name: made})
        bounds |= {name: most} if isinstance(made, Burst) and most is not None else {}
        ranges[name] = np.zeros(graph.shapes[name]), np.full(graph.shapes[name], np.inf if most is None else float(most))
    return graph, bounds


def _entering(graph: Graph, name: str, ranges: Mapping[str, tuple[Floats, Floats]]) -> list[tuple[Floats, Floats]]:
    """The range of every port, summed over its edges; a delayed edge also delivers 0."""
    ports: dict[int, tuple[Floats, Floats]] = {}
    for edge in graph.into(name):
        if edge.source not in ranges:
            unbounded = np.full(graph.shapes[edge.source], np.inf)
            low, high = -unbounded, unbounded
        else:
            low, high = ranges[edge.source]
        if edge.delay:
            low, high = np.minimum(low, 0), np.maximum(high, 0)
        before = ports.get(edge.port, (0.0, 0.0))
        ports[edge.port] = (before[0] + low, before[1] + high)
    return [ports[p] for p in sorted(ports)]


def _most(node: Node, entering: list[tuple[Floats, Floats]]) -> int | None:
    """None where no bound follows, or none that a ladder could have."""
    assert isinstance(node, Burst)
    theta = node.thresholds[0]
    current = np.maximum(node.gain * entering[0][1], node.gain * entering[0][0])
    kept = node.decay * theta + np.maximum(node.rest * (1 - node.decay), 0)
    bound = float(np.floor((kept + np.maximum(current, 0)) / theta).max(initial=1.0))
    return max(1, int(bound)) if bound <= MOST else None


def _leaving(name: str, graph: Graph, entering: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    node, shape = graph.nodes[name], graph.shapes[name]
    if isinstance(node, Input):
        return np.zeros(shape), np.ones(shape)
    if node.emits == "spikes":
        return np.zeros(shape), np.ones(shape)
    if isinstance(node, Burst):
        return np.full(shape, min(0.0, float(node.levels.min()))), np.full(shape, float(node.levels.max()))
    if node.initial_state(graph.shapes[graph.into(name)[0].source]):
        return np.full(shape, -np.inf), np.full(shape, np.inf)
    return _mapped(node, entering)


def _mapped(node: Node, entering: list[tuple[Floats, Floats]]) -> tuple[Floats, Floats]:
    """A stateless node is linear or monotone: lows and highs go through it, swapped by negative weights."""
    lows, highs = [e[0] for e in entering], [e[1] for e in entering]
    if any(not np.isfinite(a).all() for a in (*lows, *highs)):
        shape = node.out_shape(tuple(low.shape for low in lows))
        return np.full(shape, -np.inf), np.full(shape, np.inf)
    if isinstance(node, Linear | Conv):
        middle, spread = (lows[0] + highs[0]) / 2, (highs[0] - lows[0]) / 2
        centre = _run(node, [middle])
        reach = _run(_magnitude(node), [spread])
        return centre - reach, centre + reach
    one, two = _run(node, lows), _run(node, highs)
    return np.minimum(one, two), np.maximum(one, two)


def _magnitude(node: Linear | Conv) -> Node:
    if isinstance(node, Linear):
        return Linear(np.abs(node.weight))
    return Conv(np.abs(node.weight), None, node.stride, node.padding, node.dilation, node.groups)


def _run(node: Node, values: list[Floats]) -> Floats:
    y, _ = node.step(tuple(v[None] for v in values), {}, NUMPY)
    return np.asarray(y[0])
