"""Write max pooling of spikes with memoryless neurons.

Binary spikes: the maximum of a window is 1 exactly if its sum exceeds 0, so MaxPool becomes a depthwise convolution
with ones, ``NAME.window``, and a LIF that forgets at once (decay 0, fires at h > 0). Exact, bit for bit; one more
neuron on the path, so one more step of latency on a chip. Whether a value is binary follows from what makes it:
neurons that emit spikes, an Input that carries them, and the nodes that pass one of them on.

Burst neurons with levels 0 < L1 < .. < LK: max(y) = sum over j of (Lj - L(j-1)) [any y in the window >= Lj]. The sum of
a window does not hold that, so each rung is separated first: ``NAME.rungJ`` fires where y >= Lj (memoryless, its
threshold halfway between two levels), ``NAME.anyJ`` pools it as above, and NAME adds the rungs by their weights.
Exact in the rungs; in floats the sum of level differences rounds. It costs K neurons a pixel and a window, and two
steps of latency: a layer that pools before the burst neuron, or averages, is cheaper.

A maximum of currents (any real value) has no exact form in spikes and is refused.
"""

from __future__ import annotations

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Emits, Graph, Node
from snndeploy.ir.layers import Conv, Input, MaxPool, Scale, Sum
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.paths import moves

HINT = "use average pooling, or pool the spikes after the neuron"


def apply(graph: Graph) -> Graph:
    """The graph without MaxPool. Raises ``Unsupported`` naming a layer whose maximum cannot be had exactly."""
    while pools := graph.named(MaxPool):
        name, node = next(iter(pools.items()))
        _check_windows(graph, name, node)
        kind = carried(graph, name)
        if kind == "spikes":
            graph = _binary(graph, name, node)
        elif kind == "levels":
            graph = _rungs(graph, name, node)
        else:
            raise Unsupported(name, f"takes the maximum of currents ({_producers(graph, name)}), which spikes cannot express", HINT)
    return graph


def carried(graph: Graph, name: str, seen: frozenset[str] = frozenset()) -> Emits:
    """What ``name`` puts out: its own kind, or for nodes that pass their input on, the kind of what enters."""
    node = graph.nodes[name]
    if isinstance(node, Input):
        return node.carries
    passes_on = moves(node)
    if not passes_on or name in seen:
        return "real" if passes_on else node.emits
    edges = graph.into(name)
    kinds = {carried(graph, e.source, seen | {name}) for e in edges}
    if "real" in kinds:
        return "real"
    added = len({e.port for e in edges}) < len(edges)
    return "levels" if added or "levels" in kinds else "spikes"


def _producers(graph: Graph, name: str) -> str:
    return ", ".join(f"{e.source}: {type(graph.nodes[e.source]).__name__}" for e in graph.into(name))


def _check_windows(graph: Graph, name: str, node: MaxPool) -> None:
    sizes = graph.shapes[graph.into(name)[0].source][1:]
    for axis, (size, count) in enumerate(zip(sizes, graph.shapes[name][1:], strict=True)):
        before, _ = node.padding[axis]
        if before >= node.kernel[axis] or (count - 1) * node.stride[axis] - before >= size:
            raise Unsupported(name, "has windows in the padding alone, whose maximum is minus infinity", "pad less than the kernel")
    if len(sizes) > 2:
        raise Unsupported(name, f"pools over {len(sizes)} axes", "pool over one or two axes at a time")


def _window(node: MaxPool, channels: int) -> Conv:
    return Conv(np.ones((channels, 1, *node.kernel)), None, node.stride, node.padding, groups=channels)


def _any() -> LIF:
    return LIF(decay=frozen(0.0), threshold=frozen(0.0), strict=True)


def _binary(graph: Graph, name: str, node: MaxPool) -> Graph:
    inner = f"{name}.window"
    edges = [Edge(e.source, inner, e.delay) if e.target == name else e for e in graph.edges]
    return graph.replace({inner: _window(node, graph.shapes[name][0]), name: _any()}, [*edges, Edge(inner, name)])


def _rungs(graph: Graph, name: str, node: MaxPool) -> Graph:
    levels = _levels(graph, name)
    steps = np.diff(levels, axis=0, prepend=0.0)
    nodes: dict[str, Node | None] = {name: Sum()}
    edges = [e for e in graph.edges if e.target != name]
    for j, (level, step) in enumerate(zip(levels, steps, strict=True), start=1):
        copy, rung, window, pooled, part = (f"{name}.{word}{j}" for word in ("copy", "rung", "window", "any", "level"))
        nodes[copy] = Scale(frozen(1.0))
        nodes[rung] = LIF(decay=frozen(0.0), threshold=frozen(level - step / 2))
        nodes[window], nodes[pooled], nodes[part] = _window(node, graph.shapes[name][0]), _any(), Scale(step)
        edges += [Edge(e.source, copy, e.delay) for e in graph.into(name)]
        edges += [Edge(copy, rung), Edge(rung, window), Edge(window, pooled), Edge(pooled, part), Edge(part, name)]
    return graph.replace(nodes, edges)


def _levels(graph: Graph, name: str) -> Floats:
    """[K, ...]: the levels of the one burst neuron that feeds the pool; raises ``Unsupported`` otherwise."""
    edges = graph.into(name)
    source = graph.nodes[edges[0].source]
    if len(edges) != 1 or not isinstance(source, Burst):
        what = f"takes the maximum of graded values ({_producers(graph, name)}) whose levels are not those of one burst neuron"
        raise Unsupported(name, what, "pool directly after the burst neuron, " + HINT)
    levels = source.levels
    if not bool((np.diff(levels, axis=0, prepend=0.0) > 0).all()):
        what = f"pools the levels of {edges[0].source}, which do not rise from 0"
        raise Unsupported(name, what, "use average pooling, or pool before the burst neuron")
    if levels.ndim > 1 and any(n > 1 for n in levels.shape[2:]):
        raise Unsupported(name, f"pools the levels of {edges[0].source}, which differ by position", "use one level a channel")
    return levels
