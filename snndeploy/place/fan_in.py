"""Which synapses enter a box of neurons: the lengths of the synapse lists a core stores, and the sources that reach it.

Assumptions, where the silicon's tables are not public: a synapse of weight 0 takes no entry; one list a source neuron
and projection; for convolutions the lists are shared within a core, one for each source channel and each pattern of
kernel taps that falls into the core's box (as nengo-loihi 1.1 shares them), so position costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse
from snndeploy.place.boxes import Box, runs, slices, whole
from snndeploy.place.taps import Geometry, Pattern, Taps, geometry

Mask: TypeAlias = NDArray[np.bool_]

MAX_GROUP = 63
GROUP_HEADER_BITS = 4 + 6
MIN_INDEX_BITS, MAX_INDEX_BITS = 6, 12


@dataclass(frozen=True, eq=False)
class Lists:
    """The synapse lists that a core stores: the ``lengths`` of them, and how many source neurons use each (``users``)."""

    lengths: Ints
    users: Ints

    @property
    def axons(self) -> int:
        """Source neurons with at least one synapse."""
        return int(self.users[self.lengths > 0].sum())


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


class FanIn(Protocol):
    """The synapses of one projection, ready to be counted."""

    def lists(self, box: Box) -> Lists:
        """The synapse lists that targets in ``box`` need."""

    def reached(self, box: Box) -> Reached:
        """Which source neurons have a synapse into ``box``."""

    def classes(self, box: Box) -> Hashable:
        """Equal where the lists of two projections from one source stand for the same source neurons, one by one."""


@dataclass(frozen=True, eq=False)
class DenseFanIn:
    """``present`` [*target shape, I]: which weights are not 0. One list a source neuron."""

    present: Mask
    source: Shape

    def classes(self, box: Box) -> Hashable:
        return "neurons"

    def lists(self, box: Box) -> Lists:
        part = self.present[slices(box)]
        lengths = np.add.reduce(part.reshape(-1, part.shape[-1]), axis=0, dtype=np.int64)
        return Lists(lengths, np.broadcast_to(np.int64(1), lengths.shape))

    def reached(self, box: Box) -> Reached:
        return Reached(whole(self.source), (self.lists(box).lengths > 0).reshape(self.source or (1,)))


@dataclass(frozen=True, eq=False)
class SparseFanIn:
    """Synapses sorted by target: those of target ``i`` come from ``columns[starts[i] : starts[i + 1]]``. One list a source neuron."""

    columns: Ints
    starts: Ints
    shape: Shape
    source: Shape

    @property
    def sources(self) -> int:
        """How many source neurons."""
        return math.prod(self.source)

    @cached_property
    def degrees(self) -> Ints:
        """[*target shape] how many synapses each target has."""
        return np.diff(self.starts).reshape(self.shape or (1,))

    @cached_property
    def targets(self) -> Ints:
        """The target of each synapse."""
        return np.repeat(np.arange(self.degrees.size), self.degrees.ravel())

    @cached_property
    def even(self) -> Ints | None:
        """[*target shape, n]: the columns, where every target has n synapses."""
        degree = int(self.degrees.flat[0])
        return self.columns.reshape(*(self.shape or (1,)), degree) if (self.degrees == degree).all() else None

    @cached_property
    def straight(self) -> bool:
        """Every neuron feeds the one at its own place."""
        return self.shape == self.source and np.array_equal(self.columns, self.targets) and bool((self.degrees == 1).all())

    def classes(self, box: Box) -> Hashable:
        return "neurons"

    def lists(self, box: Box) -> Lists:
        if self.even is None:
            columns = np.concatenate([self.columns[self.starts[first] : self.starts[last]] for first, last in runs(box, self.shape)])
        else:
            columns = self.even[slices(box)].ravel()
        lengths = np.bincount(columns, minlength=self.sources)
        return Lists(lengths, np.broadcast_to(np.int64(1), lengths.shape))

    def reached(self, box: Box) -> Reached:
        if self.straight:
            return Reached(box, np.ones([last - first for first, last in box], bool))
        return Reached(whole(self.source), (self.lists(box).lengths > 0).reshape(self.source or (1,)))


@dataclass(frozen=True, eq=False)
class ConvFanIn:
    """``before`` [O + 1, C/groups, *K]: non-zero weights of the output channels below an index.

    One list for each source channel and each pattern of taps; sources of the empty pattern reach nothing.
    """

    before: Ints
    groups: int
    taps: Taps

    def classes(self, box: Box) -> Hashable:
        return (self.taps.geometry, box[1:])

    def lists(self, box: Box) -> Lists:
        lengths, patterns = self._tensor(box)
        users = np.ones(lengths.shape[:1], np.int64)
        for pattern in patterns:
            users = users[..., None] * pattern.users
        return Lists(lengths.ravel(), users.ravel())

    def reached(self, box: Box) -> Reached:
        lengths, patterns = self._tensor(box)
        per, inputs = (self.before.shape[0] - 1) // self.groups, self.before.shape[1]
        channels = (box[0][0] // per * inputs, -(-box[0][1] // per) * inputs)
        index = (pattern.index[slice(*pattern.span)] for pattern in patterns)
        mask: Mask = (lengths > 0)[np.ix_(np.arange(*channels), *index)]
        return Reached((channels, *(pattern.span for pattern in patterns)), mask)

    def _tensor(self, box: Box) -> tuple[Ints, list[Pattern]]:
        """[C, *patterns] lengths of the lists, and the patterns of each axis."""
        patterns = [self.taps.pattern(axis, *ends) for axis, ends in enumerate(box[1:])]
        lengths = self._weights(box[0])
        for pattern in patterns:
            lengths = np.tensordot(lengths, pattern.taps, axes=(1, 1))
        return lengths, patterns

    def _weights(self, channels: tuple[int, int]) -> Ints:
        """[C, *K]: for each source channel and tap, the non-zero weights to the output channels of the box."""
        width = (self.before.shape[0] - 1) // self.groups
        edges = np.arange(self.groups + 1) * width
        low, high = np.clip(edges[:-1], *channels), np.clip(edges[1:], *channels)
        counts: Ints = self.before[high] - self.before[low]
        return counts.reshape(-1, *counts.shape[2:]).astype(np.int64)


def fan_in(network: ChipNetwork, projection: Projection, taps: dict[Geometry, Taps]) -> FanIn | None:
    """The projection's synapses; None for a wire, which has none. Convolutions of one geometry share their ``taps``."""
    synapses, source, target = projection.synapses, network.populations[projection.source], network.populations[projection.target]
    if isinstance(synapses, Dense):
        return DenseFanIn((synapses.weights != 0).reshape(*(target.shape or (1,)), source.size), source.shape)
    if isinstance(synapses, Sparse):
        kept = synapses.weights != 0
        rows = synapses.rows[kept]
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(target.size + 1))
        return SparseFanIn(synapses.columns[kept][order], starts, target.shape, source.shape)
    if isinstance(synapses, Conv):
        before = np.zeros((len(synapses.weights) + 1, *synapses.weights.shape[1:]), np.int32)
        np.cumsum(synapses.weights != 0, axis=0, dtype=np.int32, out=before[1:])
        shared = geometry(synapses, source.shape)
        return ConvFanIn(before, synapses.groups, taps.setdefault(shared, Taps(shared)))
    return None


def entry_bits(projection: Projection) -> int:
    """Weight and delay bits of one synapse, without its index.

    Weight bits are 8 + mixed less the low bits that are 0 in every weight, one of {0..6, 8}; a delay adds its own bits.
    No tag bits (they serve learning). Source: nengo-loihi 1.1 ``block.py``:528-549.
    """
    synapses = projection.synapses
    weights = np.asarray(getattr(synapses, "weights", np.zeros(0, np.int64)))
    mixed = int(weights.min(initial=0) < 0 < weights.max(initial=0))
    union = int(np.bitwise_or.reduce(np.abs(weights), axis=None)) if weights.size else 0
    zeros = (union & -union).bit_length() - 1 if union else 8
    bits = min(8, max(0, 8 + mixed - zeros))
    delays = getattr(synapses, "delays", None)
    delay = projection.delay + (int(delays.max(initial=0)) if delays is not None else 0)
    return (8 if bits == 7 else bits) + delay.bit_length()


def index_bits(neurons: int) -> int:
    """Bits that address a target within a core of so many neurons: one of 6..12."""
    return min(MAX_INDEX_BITS, max(MIN_INDEX_BITS, (max(1, neurons) - 1).bit_length()))


def list_bits(lengths: Ints, entry: int) -> int:
    """Bits of synapse lists: n x entry + 4 + 6 for each group of at most 63 synapses (nengo-loihi ``block.py``:528-549)."""
    return int(entry * lengths.sum() + GROUP_HEADER_BITS * (-(-lengths // MAX_GROUP)).sum())
