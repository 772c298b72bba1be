"""A decoupled burst layer as the one layer of the graph that it was built for: its members' spikes as levels, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.chip.network import ChipNetwork, Projection
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Output
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.li import LI
from snndeploy.passes.canonical import canonical
from snndeploy.quantize.sources import level_unit
from snndeploy.verify.proofs.cells import READS, Layer, burst_layers

Series: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Fold:
    """A decoupled ``layer``, the graph's ``node`` that it stands for, its ``shape``, and the real ``levels`` [K, *shape] of its rungs."""

    layer: Layer
    node: Burst
    shape: Shape
    levels: Floats

    @property
    def names(self) -> dict[str, str]:
        """The tag of every member, by its population."""
        return {member.name: tag for tag, member in self.layer.members.items()}

    @property
    def steps(self) -> Floats:
        """[K, *shape] what each further rung adds to the level."""
        return np.diff(self.levels, axis=0, prepend=np.zeros_like(self.levels[:1]))

    @property
    def payloads(self) -> Floats:
        """[K, *shape] the same in whole payload units, as the quantizer rounds the levels."""
        whole = np.round(self.levels / level_unit(self.node, decoupled=True))
        return np.diff(whole, axis=0, prepend=np.zeros_like(whole[:1]))

    def in_model_time(self, series: Mapping[str, Series]) -> dict[str, Series]:
        """By tag what is held by population, each from its member's first step on, all of one length."""
        last = max(member.shift for member in self.layer.members.values())
        found = {tag: (series[m.name], m.shift) for tag, m in self.layer.members.items() if m.name in series}
        return {tag: values[shift : len(values) - last + shift] for tag, (values, shift) in found.items()}

    def sent(self, outputs: Mapping[str, Series]) -> Series:
        """The level [T, B, *shape] that downstream reads at each step of the model."""
        spikes = defaultdict(float, {tag: (values != 0).astype(np.float64) for tag, values in self.in_model_time(outputs).items()})
        told = [np.asarray(READS[self.layer.construction](spikes, j)) for j in range(1, self.layer.rungs + 1)]
        return np.asarray(sum(t * step for t, step in zip(told, self.steps, strict=True)))

    def spikes(self, values: Series) -> dict[str, Series]:
        """By tag the spikes of a faultless construction that sends these levels [T, B, *shape]."""
        away = np.abs(values[None] - np.stack([np.zeros_like(self.levels[0]), *self.levels])[:, None, None])
        rung = away.argmin(axis=0)
        reached = {j: (rung >= j).astype(np.int64) for j in range(1, self.layer.rungs + 1)}
        if "N1" in self.layer.members:
            return {f"N{j}": r for j, r in reached.items()}
        relays = {f"R{j}": r for j, r in reached.items()}
        if "T" not in self.layer.members:
            leads = _leading(reached[1], reached[self.layer.rungs])
            return relays | {f"{b}{j}": np.where(leads == own, r, 1) for j, r in reached.items() for b, own in (("A", 1), ("B", 0))}
        fired = reached[1].cumsum(axis=0)
        odd, fires = fired % 2, reached[1]
        pairs = {f"{b}{j}": np.where(odd == own, fires, r) for j, r in reached.items() for b, own in (("B", 1), ("C", 0))}
        return relays | pairs | {"A": fires, "T": fires * (1 - odd)}


def _leading(fires: Series, bursts: Series) -> Series:
    """1 where bank A is the one that is not forced: it gives way when it fires; B too, but not to a burst of all rungs."""
    leads = np.ones_like(fires)
    for t in range(1, len(fires)):
        leads[t] = np.where(leads[t - 1], 1 - fires[t - 1], fires[t - 1] - bursts[t - 1])
    return leads


def inner(fold: Fold, p: Projection) -> bool:
    """True for a synapse between two members that makes them one neuron."""
    names = fold.names
    return p.source in names and p.target in names and p not in fold.layer.outside[names[p.target]]


def folds(graph: Graph, network: ChipNetwork) -> dict[str, Fold]:
    """Every decoupled layer of the chip network that is a burst neuron of the graph."""
    found: dict[str, Fold] = {}
    for layer in burst_layers(network):
        node = graph.nodes.get(layer.name)
        if isinstance(node, Burst) and layer.size == int(np.prod(graph.shapes[layer.name])) and len(node.levels) == layer.rungs:
            shape = next(iter(layer.members.values())).shape
            levels = _per_neuron(node.levels, graph.shapes[layer.name]).reshape(-1, *shape)
            found[layer.name] = Fold(layer, _canonical(node), shape, frozen(levels))
    return found


def _canonical(node: Burst) -> Burst:
    made = canonical(node)
    assert isinstance(made, Burst)
    return made


def _per_neuron(values: Floats, shape: Shape) -> Floats:
    """[K, *shape] of [K, ...], the rest of which broadcasts against the shape."""
    wide = values.reshape(len(values), *(1,) * (len(shape) + 1 - values.ndim), *values.shape[1:])
    return np.broadcast_to(wide, (len(values), *shape))


def with_readouts(graph: Graph, network: ChipNetwork, found: Mapping[str, Fold]) -> tuple[Graph, dict[str, float]]:
    """The graph with the membranes that hold a folded layer's level for the host, and how near they must be: half a payload unit."""
    near: dict[str, float] = {}
    for name in graph.named(Output):
        (edge,), reader = graph.into(name), f"{name}.readout"
        if edge.source in found and reader in network.populations and reader not in graph.nodes:
            graph = graph.replace({reader: LI(frozen(0.0))}, [*graph.edges, Edge(edge.source, reader)])
            near[reader] = level_unit(found[edge.source].node, decoupled=True) / 2
    return graph, near
