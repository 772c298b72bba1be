"""What blocks of neurons take when they share a core."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection
from snndeploy.place.alike import Alike, likeness
from snndeploy.place.boxes import Box, slices, volume
from snndeploy.place.budget import Budget
from snndeploy.place.fan_in import FanIn, fan_in
from snndeploy.place.lists import Reached, index_bits
from snndeploy.place.taps import Geometry, Taps


@dataclass(frozen=True)
class Block:
    """A box of one population's neurons."""

    population: str
    box: Box


@dataclass(frozen=True)
class Demand:
    """What blocks take when they share one core."""

    neurons: int
    synapse_bits: int
    axons_in: int
    configs: int


@dataclass(frozen=True, eq=False)
class Wiring:
    """A network ready for counting: fan-in of each projection and the configuration of each neuron."""

    network: ChipNetwork
    into: Mapping[str, Mapping[str, FanIn]]
    """Per population, what enters it from each source population."""
    configs: Mapping[str, Ints]
    alike: Mapping[str, Alike]
    known: dict[Hashable, Demand] = field(default_factory=dict)

    @cached_property
    def placed(self) -> tuple[Population, ...]:
        """The populations that need cores; the host's do not."""
        return tuple(p for p in self.network.populations.values() if not isinstance(p.model, HostInput))

    def demand(self, blocks: Sequence[Block]) -> Demand:
        """What these blocks take on one core."""
        if len(blocks) > 1:
            return self._demand(blocks)
        name, box = blocks[0].population, blocks[0].box
        key = (name, self.alike[name](box))
        if key not in self.known:
            self.known[key] = self._demand(blocks)
        return self.known[key]

    def _demand(self, blocks: Sequence[Block]) -> Demand:
        neurons = sum(volume(b.box) for b in blocks)
        address, bits = index_bits(neurons), 0
        axons: dict[str, list[int]] = {}
        for block in blocks:
            for source, synapses in self.into[block.population].items():
                more, reaching = synapses.count(block.box, address)
                bits += more
                axons.setdefault(source, []).append(reaching)
        shared = [source for source, counts in axons.items() if len(counts) > 1]
        entering = self.reached(blocks, shared) if shared else {}
        total = sum(np.count_nonzero(entering[source].mask) if source in entering else counts[0] for source, counts in axons.items())
        kinds = [self._configs(block) for block in blocks]
        return Demand(neurons, bits, int(total), np.unique(np.concatenate(kinds)).size)

    def _configs(self, block: Block) -> Ints:
        configs = self.configs[block.population]
        return configs[tuple(s if n > 1 else slice(None) for s, n in zip(slices(block.box), configs.shape, strict=True))].ravel()

    def reached(self, blocks: Sequence[Block], only: Collection[str] | None = None) -> dict[str, Reached]:
        """Per source population (of these ``only``), the neurons with a synapse into these blocks."""
        parts: dict[str, list[Reached]] = {}
        for block in blocks:
            for source, synapses in self.into[block.population].items():
                if only is None or source in only:
                    parts.setdefault(source, []).append(synapses.reached(block.box))
        return {source: Reached.together(several) for source, several in parts.items()}


def wiring(network: ChipNetwork) -> Wiring:
    """Prepare a network for counting."""
    projections: dict[str, dict[str, list[Projection]]] = {name: {} for name in network.populations}
    for projection in network.projections:
        projections[projection.target].setdefault(projection.source, []).append(projection)
    taps: dict[Geometry, Taps] = {}
    into: dict[str, dict[str, FanIn]] = {}
    for target, sources in projections.items():
        found = {source: fan_in(network, several, taps) for source, several in sources.items()}
        into[target] = {source: synapses for source, synapses in found.items() if synapses is not None}
    configs = _configurations(network)
    return Wiring(network, into, configs, {name: likeness(sources.values(), configs[name]) for name, sources in into.items()})


CONFIG_FIELDS = ("du", "dv", "vth", "vth_hi", "vth_lo", "bias_exp")


def _configurations(network: ChipNetwork) -> dict[str, Ints]:
    """Per population, the number of each neuron's combination of shared registers; equal numbers mean equal registers.

    [*shape], or of length 1 along an axis on which all are equal.
    """
    known: dict[tuple[object, ...], int] = {}
    out: dict[str, Ints] = {}
    for name, population in network.populations.items():
        registers = [getattr(population.model, f) for f in CONFIG_FIELDS if isinstance(getattr(population.model, f, None), np.ndarray)]
        alike = all(r.size == 1 for r in registers)
        columns = [np.broadcast_to(r.reshape(-1)[:1] if alike else r, 1 if alike else population.shape).reshape(-1) for r in registers]
        rows, which = np.unique(np.stack([np.zeros_like(columns[0]), *columns], 1), axis=0, return_inverse=True) if columns else _ONE
        numbers = np.array([known.setdefault((type(population.model), *row), len(known)) for row in rows.tolist()], np.int64)
        every = np.broadcast_to(numbers[which.reshape(-1)], population.size).reshape(population.shape or (1,))
        for axis in range(every.ndim):
            once = np.take(every, [0], axis)
            every = once if (every == once).all() else every
        out[name] = every
    return out


_ONE = (np.zeros((1, 1), np.int64), np.zeros(1, np.int64))
"""A model without shared registers has one configuration."""


def within(demand: Demand, limits: Budget, share: float = 1.0) -> bool:
    """True if no resource of a core is used beyond that share."""
    return (
        demand.neurons <= share * limits["neurons_per_core"]
        and demand.synapse_bits <= share * limits["synapse_bits_per_core"]
        and demand.axons_in <= share * limits["axons_in_per_core"]
        and demand.configs <= share * limits["config_tables_per_core"]
    )
