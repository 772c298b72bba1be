"""Cut populations into core-sized boxes, greedily, and let small ones share a core."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from snndeploy.chip.models import Lif, TernaryLif
from snndeploy.chip.network import ChipNetwork
from snndeploy.chip.program import NeuronProgram
from snndeploy.place.budget import Budget
from snndeploy.place.cutting import Plan, plan
from snndeploy.place.demand import Block, Demand, Wiring, within

SMALL = 0.5
"""The share of every resource of a core up to which a block counts as small."""


@dataclass(eq=False)
class Partition:
    """Blocks and demand of each core, and how each population was cut."""

    cores: list[list[Block]] = field(default_factory=list)
    demands: list[Demand] = field(default_factory=list)
    plans: dict[str, Plan] = field(default_factory=dict)
    open: list[int] = field(default_factory=list)
    """Cores so empty that a small block may join."""


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
    for i in out.open if small else []:
        blocks = [*out.cores[i], block]
        most = min(caps.get(b.population, math.inf) for b in blocks)
        if out.demands[i].neurons + alone.neurons > most or not _mixes(net.network, blocks, limits):
            continue
        together = net.demand(blocks)
        if within(together, limits):
            out.cores[i], out.demands[i] = blocks, together
            out.open = [j for j in out.open if j != i or within(together, limits, SMALL)]
            return
    if small:
        out.open.append(len(out.cores))
    out.cores.append([block])
    out.demands.append(alone)


def _mixes(network: ChipNetwork, blocks: Sequence[Block], limits: Budget) -> bool:
    """Neurons of one silicon model, or programs that fit the program memory together; never two blocks of one population."""
    models = [network.populations[b.population].model for b in blocks]
    programs = {m.name: len(m.code) for m in models if isinstance(m, NeuronProgram)}
    alike = all(isinstance(m, NeuronProgram) for m in models) or all(isinstance(m, Lif | TernaryLif) for m in models)
    apart = len({b.population for b in blocks}) == len(blocks)
    return alike and apart and sum(programs.values()) <= limits["program_instructions"]
