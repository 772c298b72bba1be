"""Which synapses enter a box of neurons: the lengths of the synapse lists a core stores, and the sources that reach it.

Assumptions, where the silicon's tables are not public: a synapse of weight 0 takes no entry; one list a source neuron
and projection; for convolutions the lists are shared within a core, one for each source channel and each pattern of
kernel taps that falls into the core's box (as nengo-loihi 1.1 shares them), so position costs nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse
from snndeploy.place.boxes import Box, runs, slices, whole
from snndeploy.place.convolved import ConvFanIn
from snndeploy.place.lists import GROUP_HEADER_BITS, MAX_GROUP, Mask, Messages, Reached, counted
from snndeploy.place.taps import Geometry, Taps, geometry


class FanIn(Protocol):
    """The synapses from one population into another, ready to be counted."""

    def count(self, box: Box, address: int) -> tuple[int, int]:
        """What targets in ``box`` need: bits of synapse lists whose indices take ``address`` bits, and in-axons."""

    def reached(self, box: Box) -> Reached:
        """Which source neurons have a synapse into ``box``."""

    def messages(self, boxes: Sequence[Box]) -> Iterator[Messages]:
        """Into how many of these boxes each source neuron has a synapse: what is to be added up. No two boxes overlap."""


@dataclass(frozen=True, eq=False)
class Several:
    """Projections from one population that are counted one by one; a source neuron needs one axon for all."""

    parts: tuple[FanIn, ...]

    def count(self, box: Box, address: int) -> tuple[int, int]:
        bits = sum(part.count(box, address)[0] for part in self.parts)
        return bits, int(np.count_nonzero(self.reached(box).mask))

    def reached(self, box: Box) -> Reached:
        return Reached.together([part.reached(box) for part in self.parts])

    def messages(self, boxes: Sequence[Box]) -> Iterator[Messages]:
        return one_by_one(self, boxes)


@dataclass(frozen=True, eq=False)
class DenseFanIn:
    """``present`` [*target shape, I]: which weights are not 0. One list a source neuron, each synapse of ``entry`` bits."""

    present: Mask
    source: Shape
    entry: int

    def count(self, box: Box, address: int) -> tuple[int, int]:
        return counted(self._lengths(box), self.entry + address)

    def reached(self, box: Box) -> Reached:
        return Reached(whole(self.source), (self._lengths(box) > 0).reshape(self.source or (1,)))

    def messages(self, boxes: Sequence[Box]) -> Iterator[Messages]:
        return one_by_one(self, boxes)

    def _lengths(self, box: Box) -> Ints:
        part = self.present[slices(box)]
        lengths: Ints = np.add.reduce(part.reshape(-1, part.shape[-1]), axis=0, dtype=np.int64)
        return lengths


@dataclass(frozen=True, eq=False)
class SparseFanIn:
    """Synapses sorted by target: those of target ``i`` come from ``columns[starts[i] : starts[i + 1]]``. One list a source neuron."""

    columns: Ints
    starts: Ints
    shape: Shape
    source: Shape
    entry: int

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

    def count(self, box: Box, address: int) -> tuple[int, int]:
        return counted(self._lengths(box), self.entry + address)

    def reached(self, box: Box) -> Reached:
        if self.straight:
            return Reached(box, np.ones([last - first for first, last in box], bool))
        return Reached(whole(self.source), (self._lengths(box) > 0).reshape(self.source or (1,)))

    def messages(self, boxes: Sequence[Box]) -> Iterator[Messages]:
        return one_by_one(self, boxes)

    def _lengths(self, box: Box) -> Ints:
        if self.even is None:
            columns = np.concatenate([self.columns[self.starts[first] : self.starts[last]] for first, last in runs(box, self.shape)])
        else:
            columns = self.even[slices(box)].ravel()
        return np.bincount(columns, minlength=self.sources)


@dataclass(frozen=True, eq=False)
class Singles:
    """Sparse projections from one population whose source neurons feed one target each, or from its only neuron.

    ``degrees`` [*target shape] of each projection: its synapses into a target; ``sources`` [*target shape]: the source
    neurons that feed it, over all of them.
    """

    parts: tuple[SparseFanIn, ...]
    degrees: tuple[Ints, ...]
    sources: Ints

    def count(self, box: Box, address: int) -> tuple[int, int]:
        part, one = slices(box), self.parts[0].sources == 1
        bits = 0
        for projection, degrees in zip(self.parts, self.degrees, strict=True):
            synapses = int(degrees[part].sum())
            bits += synapses * (projection.entry + address) + GROUP_HEADER_BITS * (-(-synapses // MAX_GROUP) if one else synapses)
        reaching = int(self.sources[part].sum())
        return bits, min(1, reaching) if one else reaching

    def reached(self, box: Box) -> Reached:
        return Reached.together([part.reached(box) for part in self.parts])

    def messages(self, boxes: Sequence[Box]) -> Iterator[Messages]:
        """As ``FanIn.messages``: a source neuron that feeds one target sends into one box, or into none."""
        source = self.parts[0].source
        if self.parts[0].sources == 1:
            counts = np.array([sum(bool(self.sources[slices(box)].any()) for box in boxes)])
        else:
            covered, counts = np.zeros(self.sources.shape, bool), np.zeros(self.parts[0].sources, np.int64)
            for box in boxes:
                covered[slices(box)] = True
            for part in self.parts:
                counts[part.columns[covered.ravel()[part.targets]]] = 1
        yield Messages(whole(source), counts.reshape(source or (1,)))


def one_by_one(synapses: FanIn, boxes: Sequence[Box]) -> Iterator[Messages]:
    """``FanIn.messages`` of any synapses."""
    for box in boxes:
        reached = synapses.reached(box)
        yield Messages(reached.box, reached.mask.astype(np.int64))


def singles(parts: Sequence[SparseFanIn]) -> Singles | None:
    """The parts as ``Singles``; None where a source neuron feeds several targets, or one twice."""
    degrees, first = tuple(part.degrees for part in parts), parts[0]
    if first.sources == 1:
        return Singles(tuple(parts), degrees, np.maximum.reduce(degrees))
    if any(np.bincount(part.columns, minlength=part.sources).max(initial=0) > 1 for part in parts):
        return None
    if all(np.array_equal(part.columns, first.columns) and np.array_equal(part.degrees, first.degrees) for part in parts[1:]):
        return Singles(tuple(parts), degrees, first.degrees)
    pairs = np.unique(np.concatenate([part.targets * part.sources + part.columns for part in parts]))
    if np.bincount(pairs % first.sources).max(initial=0) > 1:
        return None
    feeding = np.bincount(pairs // first.sources, minlength=first.degrees.size)
    return Singles(tuple(parts), degrees, feeding.reshape(first.degrees.shape))


def fan_in(network: ChipNetwork, projections: Sequence[Projection], taps: dict[Geometry, Taps]) -> FanIn | None:
    """The synapses of all ``projections`` from one population into another; None for wires, which have none.

    Convolutions of one geometry share their ``taps``.
    """
    source = network.populations[projections[0].source].shape
    convolutions: dict[tuple[Geometry, int], list[Projection]] = {}
    parts: list[FanIn] = []
    sparse: list[SparseFanIn] = []
    for projection in projections:
        synapses = projection.synapses
        if isinstance(synapses, Conv):
            convolutions.setdefault((geometry(synapses, source), synapses.groups), []).append(projection)
        elif isinstance(synapses, Sparse):
            sparse.append(_sparse(network, projection, synapses))
        elif isinstance(synapses, Dense):
            present = (synapses.weights != 0).reshape(*(network.populations[projection.target].shape or (1,)), -1)
            parts.append(DenseFanIn(present, source, entry_bits(projection)))
    together = singles(sparse) if sparse else None
    parts += [together] if together else sparse
    for (shared, groups), alike in convolutions.items():
        kernels = [p.synapses.weights for p in alike if isinstance(p.synapses, Conv)]
        parts.append(ConvFanIn.of(kernels, groups, tuple(map(entry_bits, alike)), taps.setdefault(shared, Taps(shared))))
    return None if not parts else parts[0] if len(parts) == 1 else Several(tuple(parts))


def _sparse(network: ChipNetwork, projection: Projection, synapses: Sparse) -> SparseFanIn:
    source, target = network.populations[projection.source], network.populations[projection.target]
    kept = synapses.weights != 0
    rows, columns = synapses.rows[kept], synapses.columns[kept]
    if (rows[1:] < rows[:-1]).any():
        order = np.argsort(rows, kind="stable")
        rows, columns = rows[order], columns[order]
    starts = np.searchsorted(rows, np.arange(target.size + 1))
    return SparseFanIn(columns, starts, target.shape, source.shape, entry_bits(projection))


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
