"""The synapse lists of convolutions, which neighbouring positions share."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Ints
from snndeploy.place.boxes import Box
from snndeploy.place.lists import GROUP_HEADER_BITS, MAX_GROUP, Mask, Messages, Reached
from snndeploy.place.taps import Pattern, Taps

AnyArray = NDArray[Any]


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
        used: Mask = np.logical_or.reduce(lengths > 0)
        return Reached(*self._spread(box[0], used, patterns))

    def messages(self, boxes: Sequence[Box]) -> Iterator[Messages]:
        """As ``FanIn.messages``: counted once for all boxes of the same channels that lie alike."""
        channels: dict[Box, list[tuple[int, int]]] = {}
        for box in boxes:
            channels.setdefault(box[1:], []).append(box[0])
        known: dict[Hashable, Ints] = {}
        for places, ranges in channels.items():
            patterns = self._patterns(places)
            groups = min(r[0] for r in ranges), max(r[1] for r in ranges)
            key = (tuple(ranges), *(pattern.kind for pattern in patterns))
            if key not in known:
                known[key] = self._boxes(ranges, groups, patterns)
            yield Messages(*self._spread(groups, known[key], patterns))

    def _boxes(self, ranges: Sequence[tuple[int, int]], channels: tuple[int, int], patterns: Sequence[Pattern]) -> Ints:
        """[C, patterns] into how many boxes of these ranges of ``channels`` each source channel and pattern has a synapse."""
        first, last = self._groups(channels)
        inputs = self.before.shape[2]
        counts = np.zeros(((last - first) * inputs, math.prod(len(p.taps) for p in patterns)), np.int64)
        for each in ranges:
            start, end = ((g - first) * inputs for g in self._groups(each))
            counts[start:end] += (self._weights(each).any(0) @ self.taps.together(patterns).T) > 0
        return counts

    def _spread(self, channels: tuple[int, int], values: AnyArray, patterns: Sequence[Pattern]) -> tuple[Box, AnyArray]:
        """What is known of source channels and patterns [C, patterns], for the part of the source that meets these channels."""
        first, last = (g * self.before.shape[2] for g in self._groups(channels))
        shaped = values.reshape(last - first, *(len(p.taps) for p in patterns))
        index = (pattern.index[slice(*pattern.span)] for pattern in patterns)
        return ((first, last), *(p.span for p in patterns)), shaped[np.ix_(np.arange(last - first), *index)]

    def _patterns(self, places: Box) -> list[Pattern]:
        return [self.taps.pattern(axis, *ends) for axis, ends in enumerate(places)]

    def _lengths(self, box: Box) -> tuple[Floats, list[Pattern]]:
        """[n, C, patterns] lengths of the lists (whole numbers) from the source channels that matter, and the patterns of each axis."""
        patterns = self._patterns(box[1:])
        return self._weights(box[0]) @ self.taps.together(patterns).T, patterns

    def _weights(self, channels: tuple[int, int]) -> Floats:
        """[n, C, taps]: for each source channel and tap, the non-zero weights to the output channels of the box."""
        if channels not in self.known:
            self.known.clear()
            self.known[channels] = self._counted(channels)
        return self.known[channels]

    def _counted(self, channels: tuple[int, int]) -> Floats:
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
