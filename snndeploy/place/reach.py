"""Which cores a neuron's spike reaches, and over how many hops of the mesh."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Ints, frozen_ints
from snndeploy.place.boxes import slices
from snndeploy.place.budget import Budget
from snndeploy.place.demand import Wiring
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


def reach(net: Wiring, parts: Partition, limits: Budget) -> dict[str, Reach]:
    """Per population, cores, hops and chip crossings of one spike of each neuron (flat, C order)."""
    home = _homes(net, parts, limits)
    totals = {n: [np.zeros(p.shape or (1,), np.int64) for _ in range(4)] for n, p in net.network.populations.items()}
    for index, blocks in enumerate(parts.cores):
        here = seat(index, limits)
        for source, reached in net.reached(blocks).items():
            part, mask = slices(reached.box), reached.mask
            cores, hops_x, hops_y, off_chip = (total[part] for total in totals[source])
            cores += mask
            if source in home:
                chip, x, y = (seats[part] for seats in home[source])
                same = mask & (chip == here.chip)
                hops_x += same * np.abs(x - here.x)
                hops_y += same * np.abs(y - here.y)
                off_chip += mask & (chip != here.chip)
    return {name: Reach(*(frozen_ints(a.ravel()) for a in arrays)) for name, arrays in totals.items()}


def _homes(net: Wiring, parts: Partition, limits: Budget) -> dict[str, tuple[Ints, Ints, Ints]]:
    """Per placed population [*shape], chip, x and y of the core of each neuron."""
    core_of = {p.name: np.zeros(p.shape or (1,), np.int64) for p in net.placed}
    for index, blocks in enumerate(parts.cores):
        for block in blocks:
            core_of[block.population][slices(block.box)] = index
    seats = [seat(i, limits) for i in range(len(parts.cores))]
    table = np.array([(s.chip, s.x, s.y) for s in seats], np.int64).reshape(-1, 3)
    return {n: (table[c, 0], table[c, 1], table[c, 2]) for n, c in core_of.items()}


def axons_out(net: Wiring, parts: Partition, reached: Mapping[str, Reach]) -> list[int]:
    """Per core, (neuron, destination core) pairs."""
    shaped = {p.name: reached[p.name].cores.reshape(p.shape or (1,)) for p in net.placed}
    return [sum(int(shaped[b.population][slices(b.box)].sum()) for b in blocks) for blocks in parts.cores]
