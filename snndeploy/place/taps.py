"""Along each axis of a convolution: through which taps of the kernel a source meets a range of targets.

Most ranges of one length lie alike: they meet their sources through the same sets of taps, equally many sources each.
A range is worked out once, and those that lie alike share one number, so that what is counted for one holds for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from snndeploy.arrays import Floats, Ints, Shape
from snndeploy.chip.network import Conv


@dataclass(frozen=True)
class Geometry:
    """What decides which source meets which target: everything of a convolution but its weights and channels."""

    source: Shape
    kernel: Shape
    stride: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape


@dataclass(frozen=True, eq=False)
class Pattern:
    """How a range of targets on one axis meets its sources.

    Attributes:
        taps: [P, K] the different sets of taps, as 0 and 1.
        index: [S] which set each source position meets the range through.
        users: [P] how many source positions have each set.
        span: the source positions, first .. last - 1, outside of which nothing meets the range.
        kind: equal for ranges with equal ``taps`` and ``users``.
    """

    taps: Ints
    index: Ints
    users: Ints
    span: tuple[int, int]
    kind: int


@dataclass(frozen=True, eq=False)
class Taps:
    """The patterns of one geometry, shared by every convolution that has it."""

    geometry: Geometry
    known: dict[tuple[int, int, int], Pattern] = field(default_factory=dict)
    kinds: dict[tuple[bytes, bytes], int] = field(default_factory=dict)
    joint: dict[tuple[int, ...], Floats] = field(default_factory=dict)

    def pattern(self, axis: int, first: int, last: int) -> Pattern:
        """How targets ``first`` .. ``last - 1`` along a spatial axis (0: the first after the channels) meet their sources."""
        key = (axis, first, last)
        if key not in self.known:
            self.known[key] = self._pattern(*key)
        return self.known[key]

    def together(self, patterns: Sequence[Pattern]) -> Floats:
        """[product of P, product of K]: the taps of each combination of the axes' patterns, as 0 and 1."""
        key = tuple(pattern.kind for pattern in patterns)
        if key not in self.joint:
            taps: Floats = np.ones((1, 1))
            for pattern in patterns:
                taps = np.kron(taps, pattern.taps).astype(np.float64)
            self.joint[key] = taps
        return self.joint[key]

    def _pattern(self, axis: int, first: int, last: int) -> Pattern:
        g = self.geometry
        at = np.arange(g.source[1 + axis])[:, None] + g.padding[axis][0] - g.dilation[axis] * np.arange(g.kernel[axis])
        hits = (at % g.stride[axis] == 0) & (at // g.stride[axis] >= first) & (at // g.stride[axis] < last)
        taps, index = np.unique(hits, axis=0, return_inverse=True)
        index = index.reshape(-1)
        users = np.bincount(index, minlength=len(taps))
        met = np.flatnonzero(hits.any(1))
        span = (int(met[0]), int(met[-1]) + 1) if met.size else (0, 0)
        kind = self.kinds.setdefault((taps.tobytes(), users.tobytes()), len(self.kinds))
        return Pattern(taps.astype(np.int64), index, users, span, kind)


def geometry(conv: Conv, source: Shape) -> Geometry:
    """The geometry of a convolution of a source [C, *S]."""
    return Geometry(source, conv.weights.shape[2:], tuple(conv.stride), tuple((p[0], p[1]) for p in conv.padding), tuple(conv.dilation))
