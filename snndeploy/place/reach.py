"""Which cores a neuron's spike reaches, and over how many hops of the mesh."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Ints, frozen_ints
from snndeploy.place.boxes import Box, slices
from snndeploy.place.budget import Budget
from snndeploy.place.cutting import Plan
from snndeploy.place.demand import Wiring
from snndeploy.place.lists import Messages
from snndeploy.place.partition import Partition
from snndeploy.placement import Reach


@dataclass(frozen=True)
class Seat:
    """Chip number and mesh coordinates of a core."""

    chip: int
    x: int
    y: int


def seat(core: int, limits: Budget) -> Seat:
    """Cores fill tile after tile in index order, tiles fill the mesh row after row, chips one after the other.

    Unpublished geometry counts as one tile or one chip: no hops are claimed that nobody can check.
    """
    per_chip, per_tile, columns = (limits[n] for n in ("cores_per_chip", "cores_per_tile", "mesh_x"))
    chip, on_chip = (0, core) if math.isinf(per_chip) else divmod(core, max(1, int(per_chip)))
    if math.isinf(per_tile) or math.isinf(columns):
        return Seat(chip, 0, 0)
    row, column = divmod(on_chip // int(per_tile), int(columns))
    return Seat(chip, column, row)


Sent: TypeAlias = list[tuple[str, Messages]]
"""Into how many cores of one population each source population's neurons send."""


def messages(net: Wiring, parts: Partition, known: dict[Plan, Sent]) -> dict[str, Ints]:
    """Per population [*shape], the cores that one spike of each neuron reaches. ``known`` keeps counts from one call to the next."""
    totals = {n: np.zeros(p.shape or (1,), np.int64) for n, p in net.network.populations.items()}
    alone: dict[str, list[Box]] = {}
    for blocks in parts.cores:
        if len(blocks) == 1:
            alone.setdefault(blocks[0].population, []).append(blocks[0].box)
            continue
        for source, reached in net.reached(blocks).items():
            totals[source][slices(reached.box)] += reached.mask
    for population, boxes in alone.items():
        plan = parts.plans[population]
        whole = len(boxes) == len(plan.blocks)
        if not whole or plan not in known:
            sent = [(source, one) for source, synapses in net.into[population].items() for one in synapses.messages(boxes)]
            known |= {plan: sent} if whole else {}
        for source, one in known[plan] if whole else sent:
            totals[source][slices(one.box)] += one.counts
    return totals


def reach(net: Wiring, parts: Partition, limits: Budget, cores: Mapping[str, Ints]) -> dict[str, Reach]:
    """Per population, cores, hops and chip crossings of one spike of each neuron (flat, C order); ``cores`` as ``messages`` counts them."""
    home = _homes(net, parts, limits)
    totals = {n: [np.zeros(p.shape or (1,), np.int64) for _ in range(3)] for n, p in net.network.populations.items()}
    for index, blocks in enumerate(parts.cores):
        here = seat(index, limits)
        for source, reached in net.reached(blocks, home).items():
            part, mask = slices(reached.box), reached.mask
            hops_x, hops_y, off_chip = (total[part] for total in totals[source])
            chip, x, y = (seats[part] for seats in home[source])
            same = mask & (chip == here.chip)
            hops_x += same * np.abs(x - here.x)
            hops_y += same * np.abs(y - here.y)
            off_chip += mask & (chip != here.chip)
    return {name: Reach(*(frozen_ints(a.ravel()) for a in (cores[name], *arrays))) for name, arrays in totals.items()}


def _homes(net: Wiring, parts: Partition, limits: Budget) -> dict[str, tuple[Ints, Ints, Ints]]:
    """Per placed population [*shape], chip, x and y of the core of each neuron."""
    core_of = {p.name: np.zeros(p.shape or (1,), np.int64) for p in net.placed}
    for index, blocks in enumerate(parts.cores):
        for block in blocks:
            core_of[block.population][slices(block.box)] = index
    seats = [seat(i, limits) for i in range(len(parts.cores))]
    table = np.array([(s.chip, s.x, s.y) for s in seats], np.int64).reshape(-1, 3)
    return {n: (table[c, 0], table[c, 1], table[c, 2]) for n, c in core_of.items()}


def axons_out(parts: Partition, cores: Mapping[str, Ints]) -> list[int]:
    """Per core, (neuron, destination core) pairs."""
    return [sum(int(cores[b.population][slices(b.box)].sum()) for b in blocks) for blocks in parts.cores]
