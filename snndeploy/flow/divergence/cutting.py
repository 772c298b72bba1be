"""The smallest part of a chip network that still differs: one neuron and the synapses that anything came through."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from snndeploy.arrays import Ints, frozen_ints
from snndeploy.chip.models import Lif, TernaryLif
from snndeploy.chip.network import ChipNetwork, Projection, Sparse, Wire
from snndeploy.flow.divergence.sides import Series, fed_name
from snndeploy.sim.synapses import sender


def active(feeds: Mapping[str, Series]) -> dict[str, Ints]:
    """Flat indices of the sources that sent anything."""
    return {n: np.flatnonzero(np.any(values != 0, axis=(0, 1))) for n, values in feeds.items()}


def one_neuron(network: ChipNetwork, layer: str, neuron: tuple[int, ...], sources: Mapping[str, Ints]) -> ChipNetwork | None:
    """A layer that stands alone cut down to one neuron and those sources; None where its model is not a plain LIF."""
    population = network.populations[layer]
    if not isinstance(population.model, Lif | TernaryLif):
        return None
    small: dict[str, Any] = {}
    for f in dataclasses.fields(population.model):
        value = getattr(population.model, f.name)
        small[f.name] = np.broadcast_to(value, population.shape)[neuron].reshape(1) if isinstance(value, np.ndarray) else value
    hosts = {fed_name(n): replace(network.populations[fed_name(n)], shape=(max(1, len(i)),)) for n, i in sources.items()}
    target = replace(population, shape=(1,), model=type(population.model)(**small))
    flat = int(np.ravel_multi_index(neuron, population.shape))
    projections = tuple(_to_one(network, p, sources[p.source.removesuffix(fed_name(""))], flat) for p in network.projections)
    return replace(network, populations={**hosts, layer: target}, projections=projections)


def _to_one(network: ChipNetwork, p: Projection, sources: Ints, neuron: int) -> Projection:
    """The projection's synapses from those sources to one neuron, found by sending one spike from each."""
    source, target = network.populations[p.source], network.populations[p.target]
    if isinstance(p.synapses, Wire):
        bias = p.synapses.as_bias
        wired = [i for i, s in enumerate(sources) if s == neuron]
        if bias:
            return replace(p, synapses=single([], [], []))
        return replace(p, synapses=single(wired, [1] * len(wired), []))
    spikes = np.zeros((len(sources), source.size), np.int64)
    spikes[np.arange(len(sources)), sources] = 1
    made = sender(replace(p, exponent=0), source.shape, target.shape, exact=True)
    columns, weights, delays = [], [], []
    for late, sums, _ in made.send(spikes.reshape(-1, *source.shape), 1) if len(sources) else ():
        arrived = sums.reshape(len(sources), -1)[:, neuron]
        for i in np.flatnonzero(arrived):
            columns.append(int(i))
            weights.append(int(arrived[i]))
            delays.append(late - 1 - p.delay)
    return replace(p, synapses=single(columns, weights, delays))


def single(columns: list[int], weights: list[int], delays: list[int]) -> Sparse:
    """Synapses from those columns to the only neuron."""
    late = frozen_ints(delays) if any(delays) else None
    return Sparse(frozen_ints([0] * len(columns)), frozen_ints(columns), frozen_ints(weights), late)


def narrowed(feeds: Mapping[str, Series], sources: Mapping[str, Ints]) -> dict[str, Series]:
    """What those sources alone sent, [T, B, k]."""
    cut = {n: values.reshape(*values.shape[:2], -1)[:, :, sources[n]] for n, values in feeds.items()}
    return {n: v if v.shape[2] else np.zeros((*v.shape[:2], 1), np.int64) for n, v in cut.items()}


def synapses(network: ChipNetwork) -> int:
    """How many single synapses are left."""
    return sum(p.synapses.weights.size for p in network.projections if isinstance(p.synapses, Sparse))
