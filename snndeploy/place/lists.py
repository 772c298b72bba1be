"""Synapse lists: their bits, and the source neurons that have one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.place.boxes import Box

Mask: TypeAlias = NDArray[np.bool_]

MAX_GROUP = 63
GROUP_HEADER_BITS = 4 + 6
MIN_INDEX_BITS, MAX_INDEX_BITS = 6, 12


@dataclass(frozen=True, eq=False)
class Reached:
    """Source neurons with a synapse into a box of targets: ``mask``, of the part ``box`` of the source; elsewhere none has."""

    box: Box
    mask: Mask

    @staticmethod
    def together(parts: Sequence[Reached]) -> Reached:
        """The neurons that reach any of several boxes of targets."""
        if len({part.box for part in parts}) == 1:
            return Reached(parts[0].box, np.logical_or.reduce([part.mask for part in parts]))
        parts = [part for part in parts if part.mask.size] or list(parts[:1])
        ends = [[part.box[axis] for part in parts] for axis in range(len(parts[0].box))]
        box = tuple((min(first for first, _ in axis), max(last for _, last in axis)) for axis in ends)
        mask = np.zeros([last - first for first, last in box], bool)
        for part in parts:
            mask[tuple(slice(a - low, b - low) for (a, b), (low, _) in zip(part.box, box, strict=True))] |= part.mask
        return Reached(box, mask)


@dataclass(frozen=True, eq=False)
class Messages:
    """Into how many of some boxes of targets each source neuron has a synapse: ``counts``, of the part ``box`` of the source."""

    box: Box
    counts: Ints


def index_bits(neurons: int) -> int:
    """Bits that address a target within a core of so many neurons: one of 6..12."""
    return min(MAX_INDEX_BITS, max(MIN_INDEX_BITS, (max(1, neurons) - 1).bit_length()))


def list_bits(lengths: Ints, entry: int) -> int:
    """Bits of synapse lists: n x entry + 4 + 6 for each group of at most 63 synapses (nengo-loihi ``block.py``:528-549)."""
    return int(entry * lengths.sum() + GROUP_HEADER_BITS * (-(-lengths // MAX_GROUP)).sum())


def counted(lengths: Ints, entry: int) -> tuple[int, int]:
    """Bits of the lists, one a source neuron, and how many source neurons have one."""
    return list_bits(lengths, entry), int(np.count_nonzero(lengths))
