"""Cut populations into core-sized boxes, greedily, and let small ones share a core."""

from __future__ import annotations

import bisect
import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from snndeploy.chip.models import Lif, TernaryLif
from snndeploy.chip.network import ChipNetwork
from snndeploy.chip.program import NeuronProgram
from snndeploy.place.budget import Budget
from snndeploy.place.cutting import Plan, plan
from snndeploy.place.demand import Block, Demand, Wiring, within

SMALL = 0.5
"""The share of every resource of a core up to which a block counts as small."""


Populations: TypeAlias = tuple[str, ...]


@dataclass(eq=False)
class Partition:
    """Blocks and demand of each core, and how each population was cut."""

    cores: list[list[Block]] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    open: dict[tuple[Populations, int], list[int]] = field(default_factory=dict)
    """Cores so empty that a small block may join, ascending, by the populations there and the number of neurons."""
    room: dict[tuple[Populations, str], float] = field(default_factory=dict)
    """How many neurons a core of these populations may hold when a block of one more joins; 0 where it may not."""


def partition(net: Wiring, limits: Budget, caps: Mapping[str, int], known: dict[tuple[str, float], Plan], share: bool) -> Partition:
    """Every placed population onto cores, in the network's order.

    ``caps``: at most so many neurons of a population on a core. ``known`` keeps plans from one call to the next.
    ``share``: small populations may share a core.
    """
    out = Partition()
    for population in net.placed:
        cap = min(limits["neurons_per_core"], caps.get(population.name, math.inf))
        if (population.name, cap) not in known:
            known[population.name, cap] = plan(net, limits, population, cap)
        cut = out.plans[population.name] = known[population.name, cap]
        if share:
            for block, alone in zip(cut.blocks, cut.demands, strict=True):
                _put(net, limits, caps, block, alone, out)
        else:
            out.cores += [[block] for block in cut.blocks]
            out.demands += cut.demands
    return out


def _put(net: Wiring, limits: Budget, caps: Mapping[str, int], block: Block, alone: Demand, out: Partition) -> None:
    """On a new core, unless it may share: it is small, and a core as small holds the same kind of neuron."""
    small = within(alone, limits, SMALL)
    for i in _open(net, limits, caps, block, alone, out) if small else ():
        blocks = [*out.cores[i], block]
        together = net.demand(blocks)
        if within(together, limits):
            left = tuple(b.population for b in out.cores[i]), out.demands[i].neurons
            out.open[left].remove(i)
            out.cores[i], out.demands[i] = blocks, together
            if within(together, limits, SMALL):
                _list(out, i)
            return
    out.cores.append([block])
    out.demands.append(alone)
    if small:
        _list(out, len(out.cores) - 1)


def _list(out: Partition, core: int) -> None:
    """A core that may be shared."""
    key = tuple(b.population for b in out.cores[core]), out.demands[core].neurons
    bisect.insort(out.open.setdefault(key, []), core)


def _open(net: Wiring, limits: Budget, caps: Mapping[str, int], block: Block, alone: Demand, out: Partition) -> Iterator[int]:
    """The cores that a small block may join by kind and number of neurons, ascending."""
    found = []
    for (there, neurons), cores in out.open.items():
        key = there, block.population
        if key not in out.room:
            names = (*there, block.population)
            most = min(caps.get(name, math.inf) for name in names)
            out.room[key] = most if _mixes(net.network, names, limits) else 0
        if neurons + alone.neurons <= out.room[key]:
            found.append(cores)
    return heapq.merge(*found)


def _mixes(network: ChipNetwork, names: Sequence[str], limits: Budget) -> bool:
    """Neurons of one silicon model, or programs that fit the program memory together; never two blocks of one population."""
    models = [network.populations[name].model for name in names]
    programs = {m.name: len(m.code) for m in models if isinstance(m, NeuronProgram)}
    alike = all(isinstance(m, NeuronProgram) for m in models) or all(isinstance(m, Lif | TernaryLif) for m in models)
    return alike and len(set(names)) == len(names) and sum(programs.values()) <= limits["program_instructions"]
