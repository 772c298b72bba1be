"""Which synapses enter a box of neurons: the lengths of the synapse lists a core stores, and the sources that reach it.

Assumptions, where the silicon's tables are not public: a synapse of weight 0 takes no entry; one list a source neuron
and projection; for convolutions the lists are shared within a core, one for each source channel and each pattern of
kernel taps that falls into the core's box (as nengo-loihi 1.1 shares them), so position costs nothing.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse
from snndeploy.place.boxes import Box, runs, slices

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


class FanIn(Protocol):
    """The synapses of one projection, ready to be counted."""

    def lists(self, box: Box) -> Lists:
        """The synapse lists that targets in ``box`` need."""

    def reached(self, box: Box) -> Mask:
        """[source size]: has the source neuron a synapse into ``box``?"""

    def classes(self, box: Box) -> Hashable:
        """Equal where the lists of two projections from one source stand for the same source neurons, one by one."""


@dataclass(frozen=True, eq=False)
class DenseFanIn:
    """``present`` [*target shape, I]: which weights are not 0. One list a source neuron."""

    present: Mask

    def classes(self, box: Box) -> Hashable:
        return "neurons"

    def lists(self, box: Box) -> Lists:
        part = self.present[slices(box)]
        lengths = np.add.reduce(part.reshape(-1, part.shape[-1]), axis=0, dtype=np.int64)
        return Lists(lengths, np.ones_like(lengths))

    def reached(self, box: Box) -> Mask:
        return self.lists(box).lengths > 0


@dataclass(frozen=True, eq=False)
class SparseFanIn:
    """Synapses sorted by target: those of target ``i`` come from ``columns[starts[i] : starts[i + 1]]``. One list a source neuron."""

    columns: Ints
    starts: Ints
    shape: Shape
    sources: int

    @cached_property
    def alike(self) -> Ints | None:
        """[*target shape, n]: the columns, where every target has n synapses."""
        degrees = np.diff(self.starts)
        return self.columns.reshape(*(self.shape or (1,)), int(degrees[0])) if (degrees == degrees[0]).all() else None

    def classes(self, box: Box) -> Hashable:
        return "neurons"

    def lists(self, box: Box) -> Lists:
        if self.alike is None:
            columns = np.concatenate([self.columns[self.starts[first] : self.starts[last]] for first, last in runs(box, self.shape)])
        else:
            columns = self.alike[slices(box)].ravel()
        lengths = np.bincount(columns, minlength=self.sources)
        return Lists(lengths, np.ones_like(lengths))

    def reached(self, box: Box) -> Mask:
        return self.lists(box).lengths > 0


@dataclass(frozen=True, eq=False)
class ConvFanIn:
    """``before`` [O + 1, C/groups, *K]: non-zero weights of the output channels below an index.

    One list for each source channel and each pattern of taps; sources of the empty pattern reach nothing.
    """

    before: Ints
    conv: Conv
    source: Shape
    known: dict[tuple[int, int, int], tuple[Ints, Ints]] = field(default_factory=dict)

    def classes(self, box: Box) -> Hashable:
        conv = self.conv
        return (self.source, conv.weights.shape[2:], conv.stride, conv.padding, conv.dilation, box[1:])

    def lists(self, box: Box) -> Lists:
        lengths, which = self._tensor(box)
        users = np.ones(lengths.shape[:1], np.int64)
        for index, patterns in zip(which, lengths.shape[1:], strict=True):
            users = users[..., None] * np.bincount(index, minlength=patterns)
        return Lists(lengths.ravel(), users.ravel())

    def reached(self, box: Box) -> Mask:
        lengths, which = self._tensor(box)
        mask: Mask = (lengths > 0)[np.ix_(np.arange(lengths.shape[0]), *which)].ravel()
        return mask

    def _tensor(self, box: Box) -> tuple[Ints, list[Ints]]:
        """[C, *patterns] lengths of the lists, and for each axis the pattern of each source position."""
        lengths, which = self._taps(box[0]), []
        for axis, (first, last) in enumerate(box[1:]):
            patterns, index = self._patterns(axis, first, last)
            lengths = np.tensordot(lengths, patterns, axes=(1, 1))
            which.append(index)
        return lengths, which

    def _taps(self, channels: tuple[int, int]) -> Ints:
        """[C, *K]: for each source channel and tap, the non-zero weights to the output channels of the box."""
        groups = self.conv.groups
        width = (self.before.shape[0] - 1) // groups
        edges = np.arange(groups + 1) * width
        low, high = np.clip(edges[:-1], *channels), np.clip(edges[1:], *channels)
        counts: Ints = self.before[high] - self.before[low]
        return counts.reshape(-1, *counts.shape[2:])

    def _patterns(self, axis: int, first: int, last: int) -> tuple[Ints, Ints]:
        """[P, K] the different sets of taps through which source positions meet targets first .. last - 1, and [S] which is whose."""
        key = (axis, first, last)
        if key not in self.known:
            stride, taps = self.conv.stride[axis], np.arange(self.conv.weights.shape[2 + axis])
            at = np.arange(self.source[1 + axis])[:, None] + self.conv.padding[axis][0] - self.conv.dilation[axis] * taps
            hits = (at % stride == 0) & (at // stride >= first) & (at // stride < last)
            patterns, index = np.unique(hits, axis=0, return_inverse=True)
            self.known[key] = (patterns.astype(np.int64), index.reshape(-1))
        return self.known[key]


def fan_in(network: ChipNetwork, projection: Projection) -> FanIn | None:
    """The projection's synapses; None for a wire, which has none."""
    synapses, source, target = projection.synapses, network.populations[projection.source], network.populations[projection.target]
    if isinstance(synapses, Dense):
        return DenseFanIn((synapses.weights != 0).reshape(*(target.shape or (1,)), source.size))
    if isinstance(synapses, Sparse):
        kept = synapses.weights != 0
        rows = synapses.rows[kept]
        order = np.argsort(rows, kind="stable")
        starts = np.searchsorted(rows[order], np.arange(target.size + 1))
        return SparseFanIn(synapses.columns[kept][order], starts, target.shape, source.size)
    if isinstance(synapses, Conv):
        counts = np.cumsum(synapses.weights != 0, axis=0, dtype=np.int64)
        return ConvFanIn(np.concatenate([np.zeros_like(counts[:1]), counts]), synapses, source.shape)
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
