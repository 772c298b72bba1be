"""Holding a neuron of ours against a cell of the file: random steps of kinds that tell neurons apart, ties among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np
from numpy.typing import NDArray

from converters.onnx.cells import Cell
from snndeploy.arrays import Floats
from snndeploy.ir.following import Mask, Words, follow, in_a_row, starting
from snndeploy.ir.graph import Node
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.spread import ARITHMETICS
from snndeploy.ir.spread import given as exact

STEPS = 200_000
FEW = 8_000
LENGTH = 100
ODD = 0.7310585786300049
"""A factor that is no short binary fraction, so that a grid times it meets no threshold by accident."""
CLOSE = 1e-9
"""Relative difference up to which potentials count as equal; spikes must be equal."""


@dataclass(frozen=True)
class Trial:
    """How many values were compared, how many differ, the first that does; and the spikes that only rounding decides."""

    name: str
    compared: int
    different: int
    first: str
    ties: int = 0

    def __str__(self) -> str:
        rounding = f", {self.ties:,} more are ties that only rounding decides" if self.ties else ""
        return f"{self.different} of {self.compared:,} steps differ{rounding}"


def compare(cell: Cell, chain: Sequence[Node], weights: Mapping[str, Floats], gives: str, scale: Floats, steps: int) -> Trial:
    """Both run from zero on the same sequences; ``scale`` is the input that lifts the potential by a threshold."""
    plain = _exact(chain)
    compared = different = ties = 0
    first = ""
    met = () if plain else (("grid that meets the threshold", _grid(cell, scale, (LENGTH, 8))),)
    for kind, given in (*_inputs(cell, scale, steps, plain), *met):
        found = _run(cell, chain, weights, gives, given)
        compared, different, ties = compared + found.wrong.size, different + int(found.wrong.sum()), ties + int(found.ties.sum())
        first = first or (f"{found.first} ({kind})" if found.wrong.any() else "")
        if first and steps < STEPS:
            break
    return Trial(type(chain[-1]).__name__, compared, different, first, ties)


def _exact(chain: Sequence[Node]) -> bool:
    """Whether a grid of short binary fractions stays exact: every number of the neuron has few bits."""
    values = [v for node in chain for v in vars(node).values() if isinstance(v, np.ndarray)]
    return all(bool((v * 2.0**12 == np.round(v * 2.0**12)).all()) for v in values)


def _inputs(cell: Cell, scale: Floats, steps: int, plain: bool) -> Iterator[tuple[str, list[Floats]]]:
    rng, ports = np.random.default_rng(0), len(cell.entering)
    lanes = steps // (5 * LENGTH * math.prod(cell.shape)) + 1
    shape = (ports, LENGTH, lanes, *cell.shape)
    silent = (np.arange(LENGTH) % 41 < 9).reshape(1, -1, *(1,) * (len(shape) - 2))
    loud = rng.random((ports, 1, *shape[2:])) * 2
    yield "random", list(rng.normal(0.3, 1.0, shape) * scale)
    yield "rising drive", list(rng.random(shape) * loud * scale)
    yield "sparse spikes", list((rng.random(shape) < 0.2) * loud * 2 * scale)
    yield "long silence", list(np.where(silent, rng.normal(0.5, 1.0, shape), 0.0) * scale)
    yield "saturating", list(rng.normal(0.0, 1.0, shape) * 10.0 ** rng.integers(-2, 4, shape) * scale)
    yield "grid", [x if plain else x * ODD for x in _grid(cell, scale, (LENGTH, lanes))]


def _grid(cell: Cell, scale: Floats, sizes: tuple[int, int]) -> list[Floats]:
    rng = np.random.default_rng(2)
    return [rng.integers(-4, 13, (*sizes, *cell.shape)) / 8.0 * scale for _ in cell.entering]


@dataclass(frozen=True, eq=False)
class _Judged:
    """Where the two differ, [T, L, *shape], where only rounding decides, and the first difference in words."""

    wrong: Mask
    ties: Mask
    first: str


def _run(cell: Cell, chain: Sequence[Node], weights: Mapping[str, Floats], gives: str, given: list[Floats]) -> _Judged:
    shape = given[0].shape[1:]
    states = {name: np.zeros(shape) for name in cell.states}
    own = [{w: np.broadcast_to(v, shape) for w, v in node.initial_state(cell.shape).items()} for node in chain]
    theirs, ours = np.zeros(given[0].shape), np.zeros(given[0].shape)
    for t in range(len(given[0])):
        now = {name: x[t] for name, x in zip(cell.entering, given, strict=True)}
        values = cell.step({**now, **states})
        states = {name: values[after] + np.zeros(shape) for name, after in cell.states.items()}
        y = sum((x * weights[name] for name, x in now.items()), np.zeros(shape))
        for k, node in enumerate(chain):
            y, after = node.step((y,), own[k], NUMPY)
            own[k] = dict(after)
        theirs[t], ours[t] = values[gives], y
    wrong, ties = _apart(theirs, ours, spikes=gives in cell.spikes), np.zeros(ours.shape, np.bool_)
    if wrong.any() and gives in cell.spikes:
        ties, sure = _followed(chain, [(x, weights[name]) for name, x in zip(cell.entering, given, strict=True)], theirs, wrong)
        wrong = wrong & ~ties if sure.any() else sure
    return _Judged(wrong, ties, _first(wrong, theirs, ours))


def _followed(chain: Sequence[Node], given: list[tuple[Floats, Floats]], theirs: Floats, wrong: Mask) -> tuple[Mask, Mask]:
    """(ties, what rounding does not explain) of the samples that differ, up to the first step that it does not explain."""
    off = np.flatnonzero(wrong.reshape(len(wrong), wrong.shape[1], -1).any(axis=(0, 2)))
    ties, sure, kind = np.zeros(wrong.shape, np.bool_), np.zeros(wrong.shape, np.bool_), ARITHMETICS["float64"]
    state: Words = {}
    for t in range(len(wrong)):
        x = reduce(add, [exact(values[t][off], kind) * weight for values, weight in given])
        done = follow(in_a_row(chain), (x,), state or starting(chain, x), theirs[t][off], kind)
        state = done.state
        ties[t, off], sure[t, off] = done.ties, done.wrong
        if done.wrong.any():
            break
    return ties, sure


def _first(wrong: Mask, theirs: Floats, ours: Floats) -> str:
    if not wrong.any():
        return ""
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return f"step {at[0] + 1}: it gives {theirs[at]:g}, the neuron {ours[at]:g}"


def _apart(theirs: Floats, ours: Floats, *, spikes: bool) -> NDArray[np.bool_]:
    return theirs != ours if spikes else np.abs(theirs - ours) > CLOSE * np.maximum(1.0, np.abs(theirs))
