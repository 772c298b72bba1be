"""Two sides on the same data: which layers differ, where first, and which of them still do when both are fed the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.flow.divergence.sides import (
    Series,
    Side,
    comparable,
    feeds_for,
    folded,
    in_time,
    part,
    run_part,
    seen,
    unit,
    words,
)
from snndeploy.flow.feeding import Feed
from snndeploy.ir.graph import Graph
from snndeploy.trace import Trace

NEAR = 1e-9
"""Relative difference of two float64 values that is the order of their sums."""
LAYERS = 16
"""At most so many layers that differ are run alone."""


@dataclass(frozen=True, eq=False)
class Sides:
    """Both sides, what they ran on, their runs, and the layers that are held against each other."""

    a: Side
    b: Side
    data: Feed
    run_a: Trace
    run_b: Trace
    layers: tuple[str, ...]

    @property
    def mixed(self) -> bool:
        """A float graph against a chip network: equal up to units, never word for word."""
        return isinstance(self.a.network, Graph) != isinstance(self.b.network, Graph)


def run_both(a: Side, b: Side, data: Feed) -> Sides:
    """Run both on the data."""
    a, b = folded(a, b)
    return Sides(a, b, data, a.run(data), b.run(data), comparable(a, b))


def unequal(s: Sides, layer: str, hidden: bool = False) -> Series:
    """[T, B, ...] where the outputs of a layer differ, in model time; ``hidden``: any state word."""
    return _unequal(s, layer, s.run_a, s.run_b, hidden)


def _unequal(s: Sides, layer: str, a: Trace, b: Trace, hidden: bool) -> Series:
    if hidden:
        ours, theirs = words(a, layer), words(b, layer)
        series = [(ours[w], theirs[w]) for w in ours if w in theirs]
    else:
        series = [(_in_one_unit(s, s.a, a, layer), _in_one_unit(s, s.b, b, layer))]
    if not series:
        return np.zeros((s.data.steps, s.data.samples, 1), np.bool_)
    near = s.a.near.get(layer, NEAR if _real(s, layer) else 0.0)
    apart = [_apart(_cut(s, s.a, layer, x), _cut(s, s.b, layer, y), near) for x, y in series]
    return np.asarray(np.logical_or.reduce(apart))


def _in_one_unit(s: Sides, side: Side, trace: Trace, layer: str) -> Series:
    values = seen(side, trace, layer)
    return values * unit(side, layer) if s.mixed else values


def _cut(s: Sides, side: Side, layer: str, values: Series) -> Series:
    shift = side.shift(layer)
    return values[shift : shift + s.data.steps]


def _real(s: Sides, layer: str) -> bool:
    nodes = [side.network.nodes[layer] for side in (s.a, s.b) if isinstance(side.network, Graph)]
    return s.mixed or any(n.emits == "real" for n in nodes)


def _apart(x: Series, y: Series, near: float) -> Series:
    length = min(len(x), len(y))
    x, y = x[:length], y[:length].reshape(x[:length].shape)
    if not near:
        return np.asarray(x != y)
    return np.asarray(~(np.abs(x - y) <= near * np.maximum(1.0, np.abs(x))))


def first_steps(s: Sides, hidden: bool) -> dict[str, Series]:
    """Per layer and sample the first step that differs; T where none does."""
    firsts = {}
    for layer in s.layers:
        by_step = unequal(s, layer, hidden)
        by_step = np.asarray(by_step.reshape(*by_step.shape[:2], -1).any(axis=2))
        firsts[layer] = np.where(by_step.any(axis=0), by_step.argmax(axis=0), s.data.steps)
    return firsts


def parting(s: Sides, hidden: bool) -> list[tuple[int, int, str]]:
    """(first step, place in running order, layer) of every layer that differs, the earliest first."""
    found = [(int(steps.min(initial=s.data.steps)), i, layer) for i, (layer, steps) in enumerate(first_steps(s, hidden).items())]
    return sorted(entry for entry in found if entry[0] < s.data.steps)


@dataclass(frozen=True, eq=False)
class Alone:
    """One layer of both sides on what fed it in the first side's run."""

    feeds_a: Mapping[str, Series]
    feeds_b: Mapping[str, Series]
    run_a: Trace
    run_b: Trace
    unequal: Series


def alone(s: Sides, layer: str, hidden: bool, *, by_second: bool = False) -> Alone | None:
    """Run a layer of both sides on what fed it in the first side's run (``by_second``: in the second's).

    None for an input of the network, which nothing feeds.
    """
    giver, given = (s.b, s.run_b) if by_second else (s.a, s.run_a)
    if not s.a.sources(layer) and not s.b.sources(layer):
        return None
    feeds = [feeds_for(side, layer, run, giver, given) for side, run in ((s.a, s.run_a), (s.b, s.run_b))]
    feeds = [fed or other for fed, other in zip(feeds, reversed(feeds), strict=True)]
    a, b = (run_part(part(side, layer), fed, side.execute) for side, fed in zip((s.a, s.b), feeds, strict=True))
    return Alone(feeds[0], feeds[1], a, b, _unequal(s, layer, a, b, hidden))


def in_time_of_first(s: Sides, layer: str, values: Series) -> Series:
    """A series of the second side in the first side's own time."""
    return in_time(s.a.shift(layer), s.b.shift(layer), values)
