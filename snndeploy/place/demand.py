"""What blocks of neurons take when they share a core."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection
from snndeploy.place.alike import Alike, likeness
from snndeploy.place.boxes import Box, slices, volume
from snndeploy.place.budget import Budget
from snndeploy.place.fan_in import FanIn, Lists, Reached, entry_bits, fan_in, index_bits, list_bits
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
    into: Mapping[str, tuple[tuple[Projection, FanIn, int], ...]]
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
        entering: dict[str, list[Entering]] = {}
        for block in blocks:
            for projection, synapses, entry in self.into[block.population]:
                lists = synapses.lists(block.box)
                bits += list_bits(lists.lengths, entry + address)
                entering.setdefault(projection.source, []).append((synapses, block.box, lists))
        axons = sum(map(_axons, entering.values()))
        kinds = [self.configs[b.population][slices(b.box)].ravel() for b in blocks]
        return Demand(neurons, bits, axons, np.unique(np.concatenate(kinds)).size)

    def reached(self, blocks: Sequence[Block]) -> dict[str, Reached]:
        """Per source population, the neurons with a synapse into these blocks."""
        parts: dict[str, list[Reached]] = {}
        for block in blocks:
            for projection, synapses, _ in self.into[block.population]:
                parts.setdefault(projection.source, []).append(synapses.reached(block.box))
        return {source: Reached.together(several) for source, several in parts.items()}


Entering: TypeAlias = tuple[FanIn, Box, Lists]


def _axons(entering: list[Entering]) -> int:
    """Neurons of one source population with at least one synapse, over all of its projections into a core."""
    lists = [found for _, _, found in entering]
    if len(lists) == 1:
        return lists[0].axons
    if len({synapses.classes(box) for synapses, box, _ in entering}) == 1:
        return int(lists[0].users[np.logical_or.reduce([found.lengths > 0 for found in lists])].sum())
    return int(np.count_nonzero(Reached.together([synapses.reached(box) for synapses, box, _ in entering]).mask))


def wiring(network: ChipNetwork) -> Wiring:
    """Prepare a network for counting."""
    into: dict[str, list[tuple[Projection, FanIn, int]]] = {name: [] for name in network.populations}
    taps: dict[Geometry, Taps] = {}
    for projection in network.projections:
        synapses = fan_in(network, projection, taps)
        if synapses is not None:
            into[projection.target].append((projection, synapses, entry_bits(projection)))
    configs = _configurations(network)
    alike = {name: likeness([(p.source, f) for p, f, _ in list_], configs[name]) for name, list_ in into.items()}
    return Wiring(network, {name: tuple(list_) for name, list_ in into.items()}, configs, alike)


CONFIG_FIELDS = ("du", "dv", "vth", "vth_hi", "vth_lo", "bias_exp")


def _configurations(network: ChipNetwork) -> dict[str, Ints]:
    """Per population [*shape], the number of each neuron's combination of shared registers; equal numbers mean equal registers."""
    known: dict[tuple[object, ...], int] = {}
    out: dict[str, Ints] = {}
    for name, population in network.populations.items():
        registers = [getattr(population.model, f) for f in CONFIG_FIELDS if isinstance(getattr(population.model, f, None), np.ndarray)]
        alike = all(r.size == 1 for r in registers)
        columns = [np.broadcast_to(r.reshape(-1)[:1] if alike else r, 1 if alike else population.shape).reshape(-1) for r in registers]
        rows, which = np.unique(np.stack([np.zeros_like(columns[0]), *columns], 1), axis=0, return_inverse=True) if columns else _ONE
        numbers = np.array([known.setdefault((type(population.model), *row), len(known)) for row in rows.tolist()], np.int64)
        out[name] = np.broadcast_to(numbers[which.reshape(-1)], population.size).reshape(population.shape or (1,))
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
