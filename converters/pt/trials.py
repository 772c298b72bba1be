"""Holding a neuron of ours against a black box: a million random steps, of kinds that tell neurons apart."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from converters.pt.blackbox import Box
from converters.pt.holding import copy_of
from converters.pt.neuron import Neuron
from converters.pt.replaying import judged, replay
from snndeploy.arrays import Floats
from snndeploy.ir.following import Mask

STEPS = 1_000_000
LENGTH = 400
ODD = 0.7310585786300049
"""A factor that is no short binary fraction, so that a grid times it meets no threshold by accident."""


@dataclass(frozen=True)
class Difference:
    """Where two neurons part first: what went in up to there, and what each gave."""

    kind: str
    step: int
    inputs: tuple[float, ...]
    theirs: float
    ours: float

    def __str__(self) -> str:
        shown = ", ".join(f"{x:.6g}" for x in self.inputs[-6:])
        shown = f"..., {shown}" if len(self.inputs) > 6 else shown
        return f"step {self.step} of inputs {shown} ({self.kind}): it gives {self.theirs:g}, the neuron {self.ours:g}"


@dataclass(frozen=True)
class Trial:
    """How many values were compared, how many differ, and the first that does; and the spikes that only rounding decides.

    ``ties`` lie within the rounding bound of a threshold, and are no difference.
    """

    compared: int
    different: int
    first: Difference | None
    ties: int = 0

    def __str__(self) -> str:
        rounding = f", {self.ties:,} more are ties that only rounding decides" if self.ties else ""
        return f"{self.different:,} of {self.compared:,} differ{rounding}"


def inputs(box: Box, start: Floats, steps: int, plain: bool) -> Iterator[tuple[str, Floats]]:
    """Sequences [T, L, *shape] by kind, in units of the smallest input that fires; ``plain`` grids meet thresholds exactly."""
    rng, size = np.random.default_rng(0), math.prod(box.shape)
    length = max(40, min(LENGTH, steps // (6 * size) + 1))
    shape = (length, steps // (6 * size * length) + 1, *box.shape)
    loud = rng.random(shape[1:]) * 2
    grid = rng.integers(-4, 13, shape) / 8.0
    silent = (np.arange(length) % 97 < 12).reshape(-1, *(1,) * (len(shape) - 1))
    yield "random", rng.normal(0.3, 1.0, shape) * start
    yield "rising drive", rng.random(shape) * loud * start
    yield "sparse spikes", (rng.random(shape) < 0.2) * rng.random(shape[1:]) * 3 * start
    yield "long silence", np.where(silent, rng.normal(0.5, 1.0, shape), 0.0) * start
    yield "saturating", rng.normal(0.0, 1.0, shape) * 10.0 ** rng.integers(-2, 5, shape) * start
    yield "grid", grid * (start if plain else start * ODD)


def edges(box: Box, start: Floats) -> Floats:
    """The first step at the threshold and one bit to each side: [2, 3, *shape]."""
    ends = [np.nextafter(start, -np.inf), start, np.nextafter(start, np.inf)]
    return np.stack([np.stack([np.broadcast_to(x, box.shape) for x in ends]), np.zeros((3, *box.shape))])


def compare(box: Box, meant: Neuron, start: Floats, steps: int = STEPS, count: int = 1) -> Trial:
    """Both run on the same sequences. ``count``: the levels that a counting neuron is run with."""
    plain = exact(meant)
    compared = different = ties = 0
    first: Difference | None = None
    met = () if plain else (("grid that meets the threshold", _grid(box, start)),)
    for kind, given in (("at the threshold", edges(box, start)), *inputs(box, start, steps, plain), *met):
        theirs = box.run(given)
        found = judged(meant, given, theirs, count, partial(box.arithmetic, given))
        compared, different, ties = compared + theirs.size, different + int(found.wrong.sum()), ties + int(found.ties.sum())
        first = first or (_first(kind, given, theirs, replay(meant, given, count), found.sure) if found.sure.any() else None)
        if first is not None and steps < STEPS:
            break
    return Trial(compared, different, first, ties)


def exact(meant: Neuron) -> bool:
    """Whether a grid of short binary fractions stays exact: every number of the neuron has few bits."""
    values = [v for v in vars(meant.node).values() if isinstance(v, np.ndarray)]
    return all(bool((v * 2.0**12 == np.round(v * 2.0**12)).all()) for v in values)


def _grid(box: Box, start: Floats) -> Floats:
    return np.random.default_rng(2).integers(-4, 13, (200, 4, *box.shape)) / 8.0 * start


def _first(kind: str, given: Floats, theirs: Floats, ours: Floats, wrong: Mask) -> Difference:
    step, lane, *place = (int(i) for i in np.argwhere(wrong)[0])
    at = (lane, *place)
    sequence = tuple(float(x[at]) for x in given[: step + 1])
    return Difference(kind, step + 1, sequence, float(theirs[(step, *at)]), float(ours[(step, *at)]))


def forgets(box: Box, given: Floats, methods: Sequence[str]) -> str | None:
    """The reset method that does not bring back the first answer, if there is one."""
    for name in methods:
        part = copy_of(box.module)
        before = box.again(part, given)
        getattr(part, name)()
        if not np.array_equal(before, box.again(part, given)):
            return name
    return None
