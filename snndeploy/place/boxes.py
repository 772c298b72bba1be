"""Boxes of neurons: one (first, last) range for each axis of a population's shape, and how they are cut."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Ints, Shape

Box: TypeAlias = tuple[tuple[int, int], ...]


def whole(shape: Shape) -> Box:
    """The box of all neurons."""
    return tuple((0, n) for n in shape) or ((0, 1),)


def volume(box: Box) -> int:
    """How many neurons a box holds."""
    return math.prod(last - first for first, last in box)


def slices(box: Box) -> tuple[slice, ...]:
    """The box as an index into an array of the population's shape."""
    return tuple(slice(first, last) for first, last in box)


def runs(box: Box, shape: Shape) -> list[tuple[int, int]]:
    """The box as ranges first .. last - 1 of flat C-order indices, as few as possible, ascending."""
    shape = shape or (1,)
    split = len(box)
    while split > 1 and box[split - 1] == (0, shape[split - 1]):
        split -= 1
    stride = math.prod(shape[split:])
    first, last = box[split - 1]
    starts: Ints = np.zeros(1, np.int64)
    for axis in range(split - 1):
        starts = (starts[:, None] * shape[axis] + np.arange(*box[axis])[None, :]).ravel()
    base = starts * shape[split - 1]
    return [(int(b + first) * stride, int(b + last) * stride) for b in base]


def cut(
    box: Box, axes: tuple[int, ...], fits: Callable[[Box], bool], like: Callable[[Box], Hashable] = lambda box: box
) -> list[Box] | None:
    """Greedily cut ``box`` into boxes that fit, along ``axes[0]`` first and along later axes only where one index is too much.

    ``fits`` must be monotone: what fits still fits when made smaller. None if a single neuron does not fit. Boxes of one
    index for which ``like`` is equal are cut alike: their parts must fit where the other's do.
    """
    if fits(box):
        return [box]
    if not axes:
        return None
    axis, rest = axes[0], axes[1:]
    first, last = box[axis]
    pieces: list[Box] = []
    known: dict[Hashable, list[Box] | None] = {}
    taken = 1
    while first < last:
        taken = _longest(box, axis, first, fits, max(1, taken))
        part: list[Box] | None = [narrow(box, axis, first, first + taken)]
        if taken == 0:
            one = narrow(box, axis, first, first + 1)
            key = like(one)
            if key not in known:
                known[key] = cut(one, rest, fits, like)
            part = known[key]
        if part is None:
            return None
        pieces += [narrow(piece, axis, first, first + max(1, taken)) for piece in part]
        first += max(1, taken)
    return pieces


def _longest(box: Box, axis: int, first: int, fits: Callable[[Box], bool], hint: int) -> int:
    """The largest n for which ``first`` .. ``first + n`` along ``axis`` fits; 0 if none does. Quick if n is near ``hint``."""
    most = box[axis][1] - first
    good, bad, step, probe = 0, most + 1, 1, hint
    while bad - good > 1:
        probe = min(max(probe, good + 1), bad - 1)
        if fits(narrow(box, axis, first, first + probe)):
            good, probe = probe, probe + step
        else:
            bad, probe = probe, probe - step
        if good > 0 and bad <= most:
            probe = (good + bad) // 2
        step *= 2
    return good


def narrow(box: Box, axis: int, first: int, last: int) -> Box:
    """The box with another range on one axis."""
    return (*box[:axis], (first, last), *box[axis + 1 :])
