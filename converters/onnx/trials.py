"""Holding a neuron of ours against a cell of the file: random steps of kinds that tell neurons apart, ties among them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.onnx.cells import Cell
from snndeploy.arrays import Floats
from snndeploy.ir.graph import Node
from snndeploy.ir.on_numpy import NUMPY

STEPS = 200_000
FEW = 8_000
LENGTH = 100
ODD = 0.7310585786300049
"""A factor that is no short binary fraction, so that a grid times it meets no threshold by accident."""
CLOSE = 1e-9
"""Relative difference up to which potentials count as equal; spikes must be equal."""


@dataclass(frozen=True)
class Trial:
    """How many values were compared, how many differ, the first that does; the same for ties that rest on rounding."""

    name: str
    compared: int
    different: int
    first: str
    ties: int = 0
    tied: int = 0

    def __str__(self) -> str:
        rounding = f", {self.ties} of {self.tied:,} where only rounding decides" if self.ties else ""
        return f"{self.different} of {self.compared:,} steps differ{rounding}"


def compare(cell: Cell, chain: Sequence[Node], weights: Mapping[str, Floats], gives: str, scale: Floats, steps: int) -> Trial:
    """Both run from zero on the same sequences; ``scale`` is the input that lifts the potential by a threshold."""
    plain = _exact(chain)
    compared = different = 0
    first = ""
    for kind, given in _inputs(cell, scale, steps, plain):
        wrong, at = _run(cell, chain, weights, gives, given)
        compared, different = compared + wrong.size, different + int(wrong.sum())
        first = first or (f"{at} ({kind})" if wrong.any() else "")
        if first and steps < STEPS:
            break
    tied = np.zeros(0, np.bool_)
    if not plain and not first:
        tied, _ = _run(cell, chain, weights, gives, _grid(cell, scale, (LENGTH, 8)))
    return Trial(type(chain[-1]).__name__, compared, different, first, int(tied.sum()), tied.size)


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


def _run(
    cell: Cell, chain: Sequence[Node], weights: Mapping[str, Floats], gives: str, given: list[Floats]
) -> tuple[NDArray[np.bool_], str]:
    """Where the two differ, [T, L, *shape], and the first place in words."""
    shape = given[0].shape[1:]
    theirs = {name: np.zeros(shape) for name in cell.states}
    ours = [{w: np.broadcast_to(v, shape) for w, v in node.initial_state(cell.shape).items()} for node in chain]
    wrong, first = np.zeros(given[0].shape, np.bool_), ""
    for t in range(len(given[0])):
        now = {name: x[t] for name, x in zip(cell.entering, given, strict=True)}
        values = cell.step({**now, **theirs})
        theirs = {name: values[after] + np.zeros(shape) for name, after in cell.states.items()}
        y = sum((x * weights[name] for name, x in now.items()), np.zeros(shape))
        for k, node in enumerate(chain):
            y, after = node.step((y,), ours[k], NUMPY)
            ours[k] = dict(after)
        wrong[t] = _apart(values[gives], y, spikes=gives in cell.spikes)
        if wrong[t].any() and not first:
            at = tuple(int(i) for i in np.argwhere(wrong[t])[0])
            first = f"step {t + 1}: it gives {np.broadcast_to(values[gives], shape)[at]:g}, the neuron {y[at]:g}"
    return wrong, first


def _apart(theirs: Floats, ours: Floats, *, spikes: bool) -> NDArray[np.bool_]:
    return theirs != ours if spikes else np.abs(theirs - ours) > CLOSE * np.maximum(1.0, np.abs(theirs))
