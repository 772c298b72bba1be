"""One side of a comparison: a network and who runs it; the whole of it, or one layer alone on given input."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection
from snndeploy.flow.divergence.folds import Fold, folds, inner, with_readouts
from snndeploy.flow.feeding import Feed
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input
from snndeploy.ir.paths import has_state, neurons
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace

Series: TypeAlias = NDArray[Any]
Execute: TypeAlias = Callable[..., Trace]
"""``(network, inputs, states=True)`` -> the run of a chip network; the chip simulator unless another is held against it."""
PAYLOAD = 31
"""Bits that hold whatever a neuron sent, when the host sends it in its place."""


@dataclass(frozen=True, eq=False)
class Side:
    """A network, what to call it, and who runs it."""

    name: str
    network: Graph | ChipNetwork
    execute: Execute = field(default=run_chip)
    folds: Mapping[str, Fold] = field(default_factory=dict)
    """Of a chip network, the decoupled layers that are one layer each of the graph it is held against."""
    near: Mapping[str, float] = field(default_factory=dict)
    """Layers of real numbers that are compared all the same, and how far apart they may be."""

    @property
    def layers(self) -> tuple[str, ...]:
        """Its inputs (of a chip network) and neurons, in running order."""
        if isinstance(self.network, Graph):
            return neurons(self.network)
        owners = {member: fold.layer.name for fold in self.folds.values() for member in fold.names}
        return tuple(dict.fromkeys(owners.get(name, name) for name in running_order(self.network)))

    def shift(self, layer: str) -> int:
        """How many steps late the layer runs; what a folded one sends is read in the model's time."""
        if isinstance(self.network, Graph) or layer in self.folds:
            return 0
        return self.network.populations[layer].shift

    def sources(self, layer: str) -> tuple[str, ...]:
        """What feeds a layer: neurons and inputs, perhaps itself."""
        if isinstance(self.network, Graph):
            return tuple(dict.fromkeys(s for s in _reaching(self.network, layer)[1]))
        return tuple(dict.fromkeys(p.source for p in self.network.projections if fed_from(self, layer, p)))

    def run(self, data: Feed) -> Trace:
        """All of it: every output and every state word."""
        if isinstance(self.network, Graph):
            record = [n for n in self.network.order if has_state(self.network.nodes[n]) or isinstance(self.network.nodes[n], Input)]
            return run_reference(self.network, data.inputs, data.steps, record=record, states=True)
        return self.execute(spiking(self.network), inject(self.network, data.inputs), states=True)


def folded(a: Side, b: Side) -> tuple[Side, Side]:
    """The two sides, where one is a graph, with every decoupled burst layer of the other as the one layer that the graph has."""
    if isinstance(a.network, ChipNetwork) and isinstance(b.network, Graph):
        second, first = folded(b, a)
        return first, second
    if not isinstance(a.network, Graph) or not isinstance(b.network, ChipNetwork) or b.folds:
        return a, b
    found = folds(a.network, b.network)
    graph, near = with_readouts(a.network, b.network, found)
    return replace(a, network=graph, near=near), replace(b, folds=found, near=near)


def fed_from(side: Side, layer: str, p: Projection) -> bool:
    """True for a projection into the layer from outside of it."""
    if layer in side.folds:
        return p.target in side.folds[layer].names and not inner(side.folds[layer], p)
    return p.target == layer


def running_order(network: ChipNetwork) -> tuple[str, ...]:
    """Populations by how late they run, those of one time as the network lists them."""
    return tuple(sorted(network.populations, key=lambda name: network.populations[name].shift))


def spiking(network: ChipNetwork) -> ChipNetwork:
    """The same network with every output the spikes; what the host reads instead is among the state words."""
    return replace(network, populations={n: replace(p, reads="spikes") for n, p in network.populations.items()}, readout=None)


def seen(side: Side, trace: Trace, layer: str) -> Series:
    """What the layer gives: its spikes, or the word that the host reads; raw, in the side's own time."""
    if layer in side.folds:
        return side.folds[layer].sent(trace.outputs)
    if isinstance(side.network, ChipNetwork):
        reads = side.network.populations[layer].reads
        return trace.outputs[layer] if reads == "spikes" else trace.states[f"{layer}.{reads}"]
    return trace.outputs[layer]


def words(trace: Trace, layer: str, fold: Fold | None = None) -> dict[str, Series]:
    """The layer's state words, by their own names; of a folded one every member's v, in the model's time."""
    if fold is not None:
        held = fold.in_model_time({name: trace.states[f"{name}.v"] for name in fold.names})
        return {f"{tag}.v": values for tag, values in held.items()}
    return {key.rpartition(".")[2]: values for key, values in trace.states.items() if key.rpartition(".")[0] == layer}


def fed_name(source: str) -> str:
    """The name of the input that stands for a source."""
    return f"{source}@"


def alone(side: Side, layer: str) -> ChipNetwork:
    """One layer of a chip network and its synapses, all its sources replaced by inputs of the host; it runs in the network's own time."""
    network = side.network
    assert isinstance(network, ChipNetwork)
    members = tuple(side.folds[layer].names) if layer in side.folds else (layer,)
    into = [p for p in network.projections if fed_from(side, layer, p)]
    sources = {p.source: network.populations[p.source] for p in into}
    hosts = {fed_name(n): replace(p, name=fed_name(n), model=_host(p.model), shift=0, reads="spikes") for n, p in sources.items()}
    targets = {n: replace(network.populations[n], shift=0, reads="spikes") for n in members}
    projections = [replace(p, source=fed_name(p.source)) if p in into else p for p in network.projections if p.target in members]
    return replace(network, populations={**hosts, **targets}, projections=tuple(projections), readout=None, host={}, steps=0)


def _host(model: object) -> HostInput:
    scale = model.scale if isinstance(model, HostInput) else 1.0
    return HostInput(PAYLOAD, signed=True, scale=scale)


def alone_graph(graph: Graph, layer: str) -> Graph:
    """One neuron and the layers without state that lead to it, all its sources replaced by inputs."""
    inner, sources = _reaching(graph, layer)
    nodes: dict[str, Node] = {fed_name(n): Input(graph.shapes[n]) for n in sources}
    nodes |= {n: graph.nodes[n] for n in inner}
    edges = []
    for name in inner:
        for edge in graph.into(name):
            start = fed_name(edge.source) if edge.source in sources else edge.source
            edges.append(Edge(start, name, edge.delay, edge.port))
    return Graph(nodes, tuple(edges), graph.dt)


def _reaching(graph: Graph, layer: str) -> tuple[list[str], list[str]]:
    """The layer with the nodes without state that lead to it, and the neurons and inputs where those start."""
    inner, sources, waiting = [layer], [], [e.source for e in graph.into(layer)]
    while waiting:
        name = waiting.pop()
        if has_state(graph.nodes[name]) or isinstance(graph.nodes[name], Input):
            sources.append(name)
        elif name not in inner:
            inner.append(name)
            waiting += [e.source for e in graph.into(name)]
    return inner, list(dict.fromkeys(sources))


def part(side: Side, layer: str) -> Graph | ChipNetwork:
    """The layer alone, on either kind of network."""
    return alone_graph(side.network, layer) if isinstance(side.network, Graph) else alone(side, layer)


def run_part(network: Graph | ChipNetwork, feeds: Mapping[str, Series], execute: Execute = run_chip) -> Trace:
    """A layer alone on what its sources sent, [T, B, *shape] by source; sources that it has not send nothing."""
    held = network.nodes if isinstance(network, Graph) else network.populations
    inputs = {fed_name(name): values for name, values in feeds.items() if fed_name(name) in held}
    if not inputs and isinstance(network, ChipNetwork):
        network, inputs = _unfed(network, next(iter(feeds.values())))
    if isinstance(network, Graph):
        steps = len(next(iter(inputs.values())))
        floats = {name: np.asarray(values, np.float64) for name, values in inputs.items()}
        return run_reference(network, floats, steps, record=neurons(network), states=True)
    return execute(network, {name: np.asarray(values, np.int64) for name, values in inputs.items()}, states=True)


def _unfed(network: ChipNetwork, series: Series) -> tuple[ChipNetwork, dict[str, Series]]:
    """A layer that nothing feeds, beside an input that reaches nothing and says how many steps and samples there are."""
    host = Population("nothing@", (1,), HostInput())
    silence = np.zeros((*series.shape[:2], 1), np.int64)
    return replace(network, populations={host.name: host, **network.populations}), {host.name: silence}


def feeds_for(side: Side, layer: str, own: Trace, other: Side, theirs: Trace) -> dict[str, Series]:
    """What ``other`` sent in its run, in the time and units of ``side``, to each source of its layer.

    A source that only ``side`` has (a constant, what the host computes) sends what it sent in its ``own`` run.
    """
    feeds = {}
    for name in side.sources(layer):
        values = _of_fold(side, name, other, theirs)
        if values is None and name in theirs.outputs:
            values = _in_units(side, other, name, in_time(side.shift(name), other.shift(name), theirs.outputs[name]))
        feeds[name] = own.outputs[name] if values is None else values.reshape(*values.shape[:2], *shape_of(side, name))
    longest = max((own.steps, *map(len, feeds.values())))
    return {n: _longer(values, longest) for n, values in feeds.items()}


def _of_fold(side: Side, name: str, other: Side, theirs: Trace) -> Series | None:
    """What a folded layer sent: its level where ``side`` has it whole, the spikes of a member where ``other`` has; else None."""
    if name in other.folds:
        return seen(other, theirs, name)
    for fold in side.folds.values():
        if name in fold.names and fold.layer.name in theirs.outputs:
            spikes = fold.spikes(theirs.outputs[fold.layer.name].reshape(*theirs.outputs[fold.layer.name].shape[:2], *fold.shape))
            return in_time(side.shift(name), 0, spikes[fold.names[name]])
    return None


def shape_of(side: Side, layer: str) -> tuple[int, ...]:
    """The shape of what a layer sends."""
    if layer in side.folds:
        return side.folds[layer].shape
    return side.network.shapes[layer] if isinstance(side.network, Graph) else side.network.populations[layer].shape


def in_time(shift: int, was: int, values: Series) -> Series:
    """A series that ran ``was`` steps late, as it is where the layer runs ``shift`` steps late; silent until then."""
    if shift == was:
        return values
    return np.concatenate([np.zeros((shift, *values.shape[1:]), values.dtype), values[was:]])


def _longer(values: Series, steps: int) -> Series:
    missing = steps - len(values)
    return values if missing == 0 else np.concatenate([values, np.zeros((missing, *values.shape[1:]), values.dtype)])


def _in_units(side: Side, other: Side, name: str, values: Series) -> Series:
    scale = unit(side, name) / unit(other, name)
    if scale != 1.0:
        values = values / scale
    return np.round(values).astype(np.int64) if isinstance(side.network, ChipNetwork) else np.asarray(values, np.float64)


def unit(side: Side, layer: str) -> float:
    """The real value of one unit of what the layer sends."""
    if isinstance(side.network, Graph) or layer in side.folds:
        return 1.0
    population = side.network.populations[layer]
    return population.model.scale if isinstance(population.model, HostInput) else population.scale


def comparable(a: Side, b: Side) -> tuple[str, ...]:
    """The layers that both have, in running order, whose outputs are claimed to be the same thing."""
    both = [n for n in a.layers if n in b.layers]
    if isinstance(a.network, Graph) == isinstance(b.network, Graph):
        return tuple(both)
    graph = a.network if isinstance(a.network, Graph) else b.network
    assert isinstance(graph, Graph)
    return tuple(n for n in both if graph.nodes[n].emits != "real" or n in a.near)
