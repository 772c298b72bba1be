"""The synapse lists of convolutions, which neighbouring positions share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from snndeploy.arrays import Floats, Ints
from snndeploy.place.boxes import Box
from snndeploy.place.lists import GROUP_HEADER_BITS, MAX_GROUP, Mask, Reached
from snndeploy.place.taps import Pattern, Taps


@dataclass(frozen=True, eq=False)
class ConvFanIn:
    """Convolutions of one geometry from one population into another.

    ``before`` [n, O + 1, C/groups, taps]: non-zero weights of each of them to the output channels below an index;
    ``entries``: bits of a synapse of each. One list for each convolution, source channel and pattern of taps; sources
    of the empty pattern reach nothing.
    """

    before: Ints
    groups: int
    entries: tuple[int, ...]
    taps: Taps
    known: dict[tuple[int, int], Floats] = field(default_factory=dict)
    """The weights into the channels asked for last."""

    @staticmethod
    def of(kernels: Sequence[Ints], groups: int, entries: tuple[int, ...], taps: Taps) -> ConvFanIn:
        """From the weights [O, C/groups, *K]."""
        outputs, inputs = kernels[0].shape[:2]
        before = np.zeros((len(kernels), outputs + 1, inputs, math.prod(kernels[0].shape[2:])), np.int32)
        for n, weights in enumerate(kernels):
            np.cumsum(weights.reshape(before.shape[1] - 1, *before.shape[2:]) != 0, axis=0, dtype=np.int32, out=before[n, 1:])
        return ConvFanIn(before, groups, entries, taps)

    def count(self, box: Box, address: int) -> tuple[int, int]:
        """As ``FanIn.count``."""
        lengths, patterns = self._lengths(box)
        groups = -(-lengths // MAX_GROUP) if lengths.max(initial=0) > MAX_GROUP else lengths > 0
        sums = lengths.sum((1, 2))
        bits = sum(int(total) * (entry + address) for total, entry in zip(sums, self.entries, strict=True))
        axons = (lengths > 0).any(0).sum(0) @ _users(patterns)
        return bits + GROUP_HEADER_BITS * int(groups.sum()), int(axons)

    def reached(self, box: Box) -> Reached:
        """As ``FanIn.reached``."""
        lengths, patterns = self._lengths(box)
        first, _ = self._groups(box[0])
        start = first * self.before.shape[2]
        used = (lengths > 0).any(0).reshape(lengths.shape[1], *(len(p.taps) for p in patterns))
        index = (pattern.index[slice(*pattern.span)] for pattern in patterns)
        mask: Mask = used[np.ix_(np.arange(len(used)), *index)]
        return Reached(((start, start + len(used)), *(pattern.span for pattern in patterns)), mask)

    def _lengths(self, box: Box) -> tuple[Floats, list[Pattern]]:
        """[n, C, patterns] lengths of the lists (whole numbers) from the source channels that matter, and the patterns of each axis."""
        patterns = [self.taps.pattern(axis, *ends) for axis, ends in enumerate(box[1:])]
        if box[0] not in self.known:
            self.known.clear()
            self.known[box[0]] = self._weights(box[0])
        return self.known[box[0]] @ self.taps.together(patterns).T, patterns

    def _weights(self, channels: tuple[int, int]) -> Floats:
        """[n, C, taps]: for each source channel and tap, the non-zero weights to the output channels of the box."""
        edges = np.arange(*self._groups(channels)) * self._width
        low, high = np.clip(edges, *channels), np.clip(edges + self._width, *channels)
        counts = self.before[:, high] - self.before[:, low]
        return counts.reshape(len(counts), -1, counts.shape[-1]).astype(np.float64)

    def _groups(self, channels: tuple[int, int]) -> tuple[int, int]:
        """The groups, first .. last - 1, that these output channels belong to."""
        width = self._width
        return channels[0] // width, -(-channels[1] // width)

    @property
    def _width(self) -> int:
        """Output channels a group."""
        return int(self.before.shape[1] - 1) // self.groups


def _users(patterns: Sequence[Pattern]) -> Ints:
    """[patterns] how many source positions have each combination of the axes' patterns."""
    users = np.ones(1, np.int64)
    for pattern in patterns:
        users = (users[:, None] * pattern.users).ravel()
    return users
