"""What a construction costs in the network it stands in: synapses, synaptic operations, joules by the profile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.hw import Profile
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Conv, Linear, Reshape
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.paths import Path, deliver, is_source, neurons
from snndeploy.trace import Trace


def sent(graph: Graph, inputs: Mapping[str, Floats], *runs: Trace) -> dict[str, Floats]:
    """Spikes a sample of every Input and neuron, [*shape]; of the last run that has it."""
    steps, samples = runs[0].steps, max(1, runs[0].samples)
    counts = {n: np.count_nonzero(x, axis=(0, 1)) * (steps if len(x) == 1 else 1) / samples for n, x in inputs.items()}
    counts |= {n: a.spikes / samples for run in runs for n, a in run.activity.items()}
    return {n: np.broadcast_to(x, graph.shapes[n]).astype(np.float64) for n, x in counts.items() if n in graph.nodes}


def operations(graph: Graph, layer: str, inner: Iterable[str], spikes: Mapping[str, Floats]) -> float:
    """Synaptic operations a sample, into the layer's own neurons and from them (and its constant) into others."""
    own = set(inner)
    total = 0.0
    for target in (*neurons(graph), *graph.named(HostCurrent)):
        for path in _ways(graph, target, ()):
            leaves = path.source in own or layer in path.nodes
            if (target in own or leaves) and not isinstance(graph.nodes[path.source], HostCurrent):
                total += _touched(graph, path, spikes[path.source])
    return total


def synapse_count(graph: Graph, name: str) -> int:
    """Synapses into a neuron layer: what a one in every source would touch, on every way in (a burst neuron is a sum of ways)."""
    return int(sum(_touched(graph, path, np.ones(graph.shapes[path.source])) for path in _ways(graph, name, ())))


def price(profile: Profile, updates: float, synaptic: float) -> float:
    """Joules an inference of so many neuron updates and synaptic operations, by the profile's numbers."""
    active, sop = profile.energy["neuron_active"].si(), profile.energy["sop_dense"].si()
    return (updates * active[0] if active else 0.0) + (synaptic * sop[0] if sop else 0.0)


def _touched(graph: Graph, path: Path, values: Floats) -> float:
    marked = {n: _marked(graph.nodes[n]) for n in path.nodes}
    end = next((i for i in reversed(range(len(path.nodes))) if not isinstance(marked[path.nodes[i]], Reshape)), -1)
    counting = {n: _summed(marked[n]) if i == end else marked[n] for i, n in enumerate(path.nodes[: end + 1])}
    return float(deliver(counting, replace(path, nodes=path.nodes[: end + 1]), values[None], constant=False).sum())


def _summed(node: Node) -> Node:
    """The last synapse of a path with all its targets (of each group) added up: only their sum is asked for."""
    if isinstance(node, Linear):
        return Linear(node.weight.sum(0, keepdims=True))
    if isinstance(node, Conv):
        return replace(node, weight=node.weight.reshape(node.groups, -1, *node.weight.shape[1:]).sum(1), bias=None)
    return node


def _ways(graph: Graph, name: str, after: tuple[str, ...]) -> Iterator[Path]:
    for edge in graph.into(name):
        if is_source(graph.nodes[edge.source]):
            yield Path(edge.source, 0, after)
        else:
            yield from _ways(graph, edge.source, (edge.source, *after))


def _marked(node: Node) -> Node:
    """The same synapse with every non-zero weight 1."""
    names = [f.name for f in fields(node) if f.name in ("weight", "scale")]
    return replace(node, **{n: (getattr(node, n) != 0).astype(np.float64) for n in names}) if names else node
