"""A LIF layer of a float graph and the chip's, number by number in one unit: which are apart by more than rounding?

Both are a kernel of impulse responses, a constant, decays and a threshold. The numbers are read by running the layer alone
on single spikes, so that it does not matter through how many layers without state, or projections, they are spread.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Floats, Ints
from snndeploy.chip.models import DECAY_UNIT, HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Wire
from snndeploy.flow.divergence.around import graph_sums
from snndeploy.flow.divergence.comparing import Alone
from snndeploy.flow.divergence.rules import arriving
from snndeploy.flow.divergence.sides import Side, fed_name, part
from snndeploy.ir.graph import Graph
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim import kernels
from snndeploy.sim.populations import bias_of

MOST = 1 << 22
"""Entries of a kernel, at most: sources x neurons x steps."""
LINEAR = 1e-6
"""How far sums may be from those that the kernel gives, relative to the largest."""

EARLY = 2
"""A kernel begins so many steps before its spike: a chip that lost a delay answers too early."""

Kernels: TypeAlias = Mapping[str, Floats]
"""By source: [EARLY + T, sources, neurons], what a single spike adds to each neuron d - EARLY steps later."""


@dataclass(frozen=True, eq=False)
class Numbers:
    """What a LIF layer is made of, flat over its neurons.

    ``current`` and ``potential`` are constants added to u and to v in each step, ``keep_u`` and ``keep_v`` what is left of
    them after a step. Of a chip's layer they are in units of a synaptic sum, v in 64ths of its register.
    """

    kernels: Kernels
    current: Floats
    potential: Floats
    keep_u: Floats
    keep_v: Floats
    threshold: Floats

    def scaled(self, unit: float) -> Numbers:
        """The same in another unit."""
        kernels = {name: kernel / unit for name, kernel in self.kernels.items()}
        return Numbers(kernels, self.current / unit, self.potential / unit, self.keep_u, self.keep_v, self.threshold / unit)


def of_graph(graph: Side, layer: str, steps: int) -> Numbers | None:
    """The numbers of a graph's layer; None where it is no LIF, or what leads to it is not linear."""
    network = part(graph, layer)
    assert isinstance(network, Graph)
    node = network.nodes[layer]
    if not isinstance(node, LIF | CubaLIF) or node.v_init.any() or getattr(node, "floor", None) is not None:
        return None
    size = int(np.prod(network.shapes[layer]))
    sources = {name.removesuffix(fed_name("")): shape for name, shape in network.shapes.items() if name.endswith(fed_name(""))}
    if not _small(sources, size, steps):
        return None
    gain = _gain(network, layer)
    silent = {name: np.zeros((steps, 1, *shape)) for name, shape in sources.items()}
    rest = graph_sums(network, layer, silent).reshape(steps, 1, size)
    found = {}
    for name in sources:
        answer = graph_sums(network, layer, _one_spike_each(sources, name, steps)).reshape(steps, -1, size) - rest
        found[name] = _early(answer * gain)
    keep = _flat(node.decay, network.shapes[layer])
    keep_u = _flat(getattr(node, "current_decay", np.zeros(())), network.shapes[layer])
    leak = (1 - keep) * _flat(node.rest, network.shapes[layer])
    return Numbers(found, rest[-1, 0] * gain, leak, keep_u, keep, _flat(node.threshold, network.shapes[layer]))


def of_chip(chip: Side, layer: str, apart: Alone, names: set[str], steps: int) -> Numbers | None:
    """The numbers of the chip's layer as its synapses and registers hold them; None where it is no plain LIF.

    Sources that are not among ``names`` hold still, and are part of the constant.
    """
    network = part(chip, layer)
    assert isinstance(network, ChipNetwork)
    population = network.populations[layer]
    if not isinstance(population.model, Lif) or any(isinstance(p.synapses, Wire) for p in network.projections):
        return None
    model, size, shift = population.model, population.size, chip.shift(layer)
    shapes = {p.source.removesuffix(fed_name("")): network.populations[p.source].shape for p in network.projections}
    fed = {name: shape for name, shape in shapes.items() if name in names}
    longest = steps + shift + 1
    if fed and not _small(fed, size, longest):
        return None
    still = {name: apart.feeds_b[name] for name in shapes if name not in names}
    zeros = {name: np.zeros((longest, 1, *shape), np.int64) for name, shape in fed.items()}
    found = {}
    for name, shape in fed.items():
        feeds = {**_one_spike_each(fed, name, longest), **_silent(still, longest, int(np.prod(shape)))}
        sums = arriving(network, layer, {n: v.astype(np.int64) for n, v in feeds.items()})[0].reshape(longest, -1, size)
        found[name] = _early(sums, shift - chip.shift(name))[: EARLY + steps].astype(float)
    held = arriving(network, layer, {**_first(still, longest), **zeros})[0] if still else np.zeros((longest, 1, size))
    bias = _flat(bias_of(model), population.shape) / (1 << kernels.INPUT_SHIFT)
    keep_u = (DECAY_UNIT - 1 - _flat(model.du, population.shape)) / DECAY_UNIT
    keep_v = 1 - _flat(model.dv, population.shape) / DECAY_UNIT
    current = held.reshape(len(held), -1, size)[min(shift + steps, len(held)) - 1, 0].astype(float)
    return Numbers(found, current, bias, keep_u, keep_v, _flat(model.vth, population.shape))


def constants_only(network: ChipNetwork, layer: str, names: set[str]) -> bool:
    """True if what feeds the layer beside ``names`` is the host's constant alone."""
    others = {p.source for p in network.into(layer)} - names
    return all(isinstance(network.populations[name].model, HostInput) for name in others)


def sums(kernels: Kernels, feeds: Mapping[str, Floats], steps: int) -> Floats:
    """[T, B, neurons]: what the sources' series [T, B, *shape] add up to behind these kernels."""
    total: Floats = np.zeros(())
    for name, kernel in kernels.items():
        sent = np.asarray(feeds[name][:steps], np.float64).reshape(steps, -1, kernel.shape[1])
        for late in np.flatnonzero(kernel[EARLY:].any(axis=(1, 2))):
            arrived = np.zeros((steps, sent.shape[1], kernel.shape[2]))
            arrived[late:] = sent[: steps - late] @ kernel[EARLY + late]
            total = total + arrived
    return total


def linear(numbers: Numbers, graph: Side, layer: str, feeds: Mapping[str, Floats], steps: int) -> bool:
    """True if the graph's layer on these feeds is what its kernel says: nothing before it clips, multiplies or selects."""
    network = part(graph, layer)
    assert isinstance(network, Graph)
    gain = _gain(network, layer)
    real = graph_sums(network, layer, feeds)[:steps]
    entered = real.reshape(steps, real.shape[1], -1) * gain
    apart = np.abs(sums(numbers.kernels, feeds, steps) + numbers.current - entered)
    return bool(apart.max(initial=0) <= LINEAR * max(1.0, np.abs(entered).max(initial=0)))


def _gain(network: Graph, layer: str) -> Floats:
    """[neurons]: what an input is multiplied by on its way into v."""
    node = network.nodes[layer]
    assert isinstance(node, LIF | CubaLIF)
    return _flat(node.gain * getattr(node, "current_gain", 1.0), network.shapes[layer])


def _small(sources: Mapping[str, tuple[int, ...]], size: int, steps: int) -> bool:
    return bool(sources) and sum(int(np.prod(shape)) for shape in sources.values()) * size * steps <= MOST


def _one_spike_each(sources: Mapping[str, tuple[int, ...]], name: str, steps: int) -> dict[str, Floats]:
    """As many samples as the source has neurons; in each, one of them fires in the first step."""
    count = int(np.prod(sources[name]))
    feeds = {n: np.zeros((steps, count, *shape)) for n, shape in sources.items()}
    feeds[name].reshape(steps, count, count)[0] = np.eye(count)
    return feeds


def _early(answer: Floats, before: int = 0) -> Floats:
    """The answer to a spike from ``EARLY`` steps before step ``before`` of the record on."""
    missing = max(0, EARLY - before)
    zeros = np.zeros((missing, *answer.shape[1:]))
    return np.concatenate([zeros, answer[max(0, before - EARLY) :]])


def _silent(still: Mapping[str, Ints], steps: int, batch: int) -> dict[str, Ints]:
    return {name: np.zeros((steps, batch, *values.shape[2:]), np.int64) for name, values in still.items()}


def _first(still: Mapping[str, Ints], steps: int) -> dict[str, Ints]:
    """What holds still, of the first sample, for as many steps."""
    found = {}
    for name, values in still.items():
        short = np.asarray(values[:steps, :1])
        last = np.repeat(short[-1:], max(0, steps - len(short)), axis=0)
        found[name] = np.concatenate([short, last]).astype(np.int64)
    return found


def _flat(values: Floats | Ints, shape: tuple[int, ...]) -> Floats:
    return np.broadcast_to(np.asarray(values, np.float64), shape).ravel()
