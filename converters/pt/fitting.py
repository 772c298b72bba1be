"""The neurons of ours that an unknown one may be, found from where it starts to fire.

Only spikes are looked at. With input gain 1 and rest 0 (both are free: a common factor and a common shift of
potential, threshold and reset change no spike) the smallest input that fires at step k behind a given sequence is
threshold minus what the sequence left of the potential. It is found by bisection to the last bit, for every feature
at once. Sequences of one step give the threshold, of two the decay and the reset, of three the current's decay.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from converters.pt.blackbox import Box
from snndeploy.arrays import Floats, frozen
from snndeploy.errors import GraphError
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.lif import LIF, Reset
from snndeploy.ir.neurons.multispike import MultiSpike

FAR = 2.0**30
RUNGS = 16
"""More levels than this are counted spikes, not levels of a burst."""


@dataclass(frozen=True, eq=False)
class Response:
    """What one step from rest gives: the levels that come out, rising, and the smallest input for each, [K, *shape].

    ``counts``: there is no end of levels, and only the first is here.
    """

    levels: Floats
    starts: Floats
    counts: bool


def smallest(box: Box, before: Floats, level: float) -> Floats:
    """The smallest input that gives ``level`` or more behind ``before`` [K, L, *shape]; inf where none up to ``FAR`` does.

    Bisection over the floats themselves, so exact to the last bit if what comes out rises with what goes in.
    """
    lanes = before.shape[1:]
    low, high = _ordered(np.full(lanes, -FAR)), _ordered(np.full(lanes, FAR))
    never = np.logical_not(_fires(box, before, _float(high), level))
    always = _fires(box, before, _float(low), level)
    while (low + 1 < high).any():
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        fired = _fires(box, before, _float(middle), level)
        low, high = np.where(fired, low, middle), np.where(fired, middle, high)
    return np.where(never, np.inf, np.where(always, -np.inf, _float(high)))


def _fires(box: Box, before: Floats, x: Floats, level: float) -> Floats:
    return np.asarray(box.run(np.concatenate([before, x[None]]))[-1] >= level)


def _ordered(x: Floats) -> NDArray[np.int64]:
    bits = np.ascontiguousarray(x).view(np.int64)
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits)


def _float(order: NDArray[np.int64]) -> Floats:
    return np.where(order >= 0, order, np.int64(-(2**63)) - order).astype(np.int64).view(np.float64)


def respond(box: Box) -> Response | None:
    """What one step gives; None for what does not fire, or gives something else than rising levels above 0."""
    grid = np.concatenate([-np.geomspace(FAR, 1e-3, 60), [0.0], np.geomspace(1e-3, FAR, 400)])
    given = np.broadcast_to(grid.reshape(1, -1, *(1,) * len(box.shape)), (1, len(grid), *box.shape))
    y = box.run(given)[0]
    levels = np.unique(y)
    if not np.isfinite(y).all() or levels[0] != 0 or len(levels) < 2 or (np.diff(y, axis=0) < 0).any():
        return None
    if len(levels) > RUNGS + 1 and not (levels == np.round(levels)).all():
        return None
    counts = len(levels) > RUNGS + 1
    levels = levels[1:2] if counts else levels[1:]
    none = np.zeros((0, 1, *box.shape))
    return Response(levels, np.stack([smallest(box, none, level)[0] for level in levels]), counts)


@dataclass(frozen=True, eq=False)
class Measured:
    """A neuron's numbers with gain 1 and rest 0, by feature; ``current`` is None for one without."""

    theta: Floats
    decay: Floats
    start: Floats
    current: Floats | None
    floor: Floats | None


def candidates(box: Box, response: Response) -> Iterator[tuple[Node, Scale | None]]:
    """Neurons that answer alike as far as was asked, likeliest first, each with what its spike is multiplied by."""
    first, unit = response.starts[0], float(response.levels[0])
    if not np.isfinite(first).all() or not (first > 0).all():
        return
    scale = None if unit == 1.0 else Scale(frozen(unit))
    for measured in _measured(box, first, unit):
        try:
            if response.counts:
                yield MultiSpike(nice(measured.decay), threshold=nice(measured.theta), floor=_some(measured.floor)), scale
                continue
            for node in _resetting(box, response, measured):
                yield node, scale if len(response.levels) == 1 else None
        except GraphError:  # a decay outside 0..1, thresholds that do not rise: not this one
            continue


def _lanes(box: Box, *rows: Floats | list[Floats]) -> Floats:
    """Sequences [K, L, *shape] from L sequences of K numbers, each a number by feature."""
    return np.stack([np.stack([np.broadcast_to(x, box.shape) for x in row]) for row in rows], axis=1)


@np.errstate(all="ignore")
def _measured(box: Box, first: Floats, unit: float) -> list[Measured]:
    """What was asked, in numbers; what never fired is infinite, and its differences are no numbers: then none is left."""
    zero, far = np.zeros(box.shape), first * 2.0**20
    two = smallest(box, _lanes(box, [zero], [first / 2], [-far]), unit)
    three = smallest(box, _lanes(box, [zero, zero], [first / 2, zero], [-far, zero]), unit)
    near = (two[0] - two[1]) / (first / 2)
    bounded = np.abs((two[2] - two[0]) / far - near) > 1e-6 * np.abs(near)
    decay = np.where(bounded, near, (two[2] - two[0]) / far)
    third = np.where(bounded, (three[0] - three[1]) / (first / 2), (three[2] - three[0]) / far)
    if not np.isfinite(decay).all() or not np.isfinite(third).all():
        return []
    simple = bool((np.abs(third - decay * decay) <= 1e-9).all())
    start = np.where((decay > 0) & (decay < 1), (first - two[0]) / (decay * decay - decay), 0.0)
    start = np.where(np.abs(start) < 1e-12 * first, 0.0, start)
    theta = np.where(start == 0, first, first + decay * start)
    floor = np.where(decay > 0, (theta - two[2]) / decay, 0.0)
    if simple:
        return [Measured(theta, decay, start, None, floor if bounded.any() else None)]
    root = np.sqrt(np.maximum(decay * decay - 4 * (decay * decay - third), 0))
    roots = ((decay + root) / 2, (decay - root) / 2), ((decay - root) / 2, (decay + root) / 2)
    return [Measured(first, nice(v), zero, nice(i), None) for v, i in roots]


def _resetting(box: Box, response: Response, m: Measured) -> Iterator[Node]:
    """What a spike leaves behind, rung by rung, from two inputs within the rung."""
    ends = [*response.starts[1:], 4 * response.starts[-1]]
    left = [_left(box, m, low, high, float(response.levels[0])) for low, high in zip(response.starts, ends, strict=True)]
    if any(pair is None for pair in left):
        if len(response.levels) == 1 and m.current is None:
            yield CubaLIF(frozen(0.0), nice(m.decay), threshold=nice(m.theta), late=True)
        return
    pairs = [pair for pair in left if pair is not None]
    for reset, values in _kinds(pairs, m):
        yield from _nodes(response, m, reset, values)


@np.errstate(all="ignore")
def _left(box: Box, m: Measured, low: Floats, high: Floats, unit: float) -> tuple[Floats, Floats, Floats, Floats] | None:
    """Two potentials within a rung, and what was left of each; None where nothing fires behind them."""
    inputs = [low + (high - low) * part for part in (0.25, 0.75)]
    found = smallest(box, _lanes(box, *([x] for x in inputs)), unit)
    if not np.isfinite(found).all():
        return None
    current = [0.0 if m.current is None else m.current * x for x in inputs]
    a, b = (np.where(m.decay > 0, (m.theta - f - c) / m.decay, 0.0) for f, c in zip(found, current, strict=True))
    heights = [x + m.decay * m.start for x in inputs]
    return heights[0], heights[1], a, b


@np.errstate(all="ignore")
def _kinds(pairs: list[tuple[Floats, Floats, Floats, Floats]], m: Measured) -> list[tuple[Reset, list[Floats]]]:
    """The resets that explain what was left, and their numbers rung by rung."""
    near = 1e-9 * float(np.abs(m.theta).max())
    found: list[tuple[Reset, list[Floats]]] = [("none", [])] if (m.decay == 0).all() else []
    if all((np.abs(a - b) <= near).all() for _, _, a, b in pairs) and all((np.abs(p[2] - pairs[0][2]) <= near).all() for p in pairs):
        found.append(("hard", [np.where(np.abs(pairs[0][2]) <= near, 0.0, pairs[0][2])]))
    if all((np.abs((b - a) - (y - x)) <= near).all() for x, y, a, b in pairs):
        amounts = [np.where(np.abs(x - a - m.theta) <= near, m.theta, x - a) for x, _, a, _ in pairs]
        nothing = all((np.abs(amount) <= near).all() for amount in amounts)
        found.append(("none", []) if nothing else ("subtract", amounts))
    return found


def _nodes(response: Response, m: Measured, reset: Reset, values: list[Floats]) -> Iterator[Node]:
    theta, strict = threshold(m.theta)
    common = {"reset": reset, "v_init": nice(m.start)}
    level = {"v_reset": nice(values[0])} if reset == "hard" else {}
    if len(response.levels) > 1:
        rungs = [threshold(start + m.decay * m.start) for start in response.starts]
        wide = (slice(None), *(None for _ in m.theta.shape))
        amounts = np.stack([nice(v) + np.zeros_like(m.theta) for v in values]) if reset == "subtract" else None
        ladder = np.stack([t + np.zeros_like(m.theta) for t, _ in rungs])
        stricts = tuple(s for _, s in rungs)
        yield Burst(nice(m.decay), ladder, response.levels[wide], stricts, amounts=amounts, floor=_some(m.floor), **common, **level)  # type: ignore[arg-type]
        return
    taken = nice(values[0]) if reset == "subtract" else theta
    if m.current is not None:
        yield CubaLIF(m.current, m.decay, threshold=theta, strict=strict, amount=taken, **common, **level)  # type: ignore[arg-type]
        return
    late = reset == "subtract" and bool(np.allclose(taken * m.decay, theta, rtol=1e-12)) and bool((m.decay < 1).all())
    amount = theta if late else taken
    decay = nice(m.decay)
    yield LIF(decay, threshold=theta, strict=strict, amount=amount, late=late, floor=_some(m.floor), **common, **level)  # type: ignore[arg-type]


def scaled(node: Node, gain: Floats | None) -> Iterator[Node]:
    """The same neuron with another input gain: all potentials times it."""
    if gain is None or (gain == 1).all() or not isinstance(node, LIF):
        return
    times = {name: nice(getattr(node, name) * gain) for name in ("v_reset", "amount", "v_init")}
    floor = None if node.floor is None else nice(node.floor * gain)
    for strict in (node.strict, not node.strict):
        yield replace(node, gain=nice(gain), threshold=nice(node.threshold * gain), strict=strict, floor=floor, **times)  # type: ignore[arg-type]


def threshold(start: Floats) -> tuple[Floats, bool]:
    """The threshold whose first firing input is ``start``, and whether it is strict: the one with the shorter number."""
    below = np.nextafter(start, -np.inf)
    strict = bool((_short(below) == below).all() and not (_short(start) == start).all())
    return compact(below if strict else start), strict


@np.errstate(all="ignore")
def nice(values: Floats) -> Floats:
    """The short number, or the 1 - 1/tau of a short tau, that the measured one is up to rounding; else as measured."""
    tau = 1 - 1 / _short(1 / (1 - values))
    found = values
    for near in (tau, _short(values)):
        found = np.where(np.isfinite(near) & (np.abs(near - values) <= 4e-13 * np.maximum(np.abs(values), 1e-300)), near, found)
    return compact(found)


def _short(values: Floats) -> Floats:
    """Rounded to 11 decimal digits."""
    return np.asarray(np.vectorize(lambda x: float(f"{x:.11g}"), otypes=[np.float64])(values))


def _some(values: Floats | None) -> Floats | None:
    return None if values is None else nice(values)


def compact(values: Floats) -> Floats:
    """Axes along which nothing changes become 1, and a single number a scalar."""
    array = np.asarray(values, dtype=np.float64)
    for axis in range(array.ndim):
        if (array == np.take(array, [0], axis)).all():
            array = np.take(array, [0], axis)
    return frozen(array.reshape(()) if array.size == 1 else array)
