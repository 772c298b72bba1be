"""How far a float32 run may stray from the float64 reference: an interval for every value, a margin for every decision.

Where |h - theta| is larger than the bound towards the other side, a float32 run must take the same decision; where it is
not, it may legitimately take the other one. The arithmetic and its sources: ``intervals``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.xp import Pads
from snndeploy.verify.intervals import LARGEST, UNDERFLOW, UNIT_ROUNDOFF, Interval, Operand, between, divide, dot, lift, monotone

EXP_ULPS = 4
"""Assumed accuracy of a float32 exponential, in units of roundoff (onnxruntime publishes none)."""
SIGMOID_ERROR = 2.0**-22
"""Assumed absolute error of a float32 sigmoid (onnxruntime publishes none)."""
OPERATORS = 8
"""At most so many roundings in one such function, each of a value that an operand's error moves by no more than itself."""


@dataclass(frozen=True, eq=False)
class Decision:
    """One call of ``fire``: the distance to the threshold, and how far rounding may move it towards the other decision."""

    margin: Floats
    bound: Floats

    @property
    def near(self) -> NDArray[np.bool_]:
        """Where a float32 run may decide otherwise."""
        return (self.margin <= self.bound) & (self.bound > 0)


class IntervalNamespace:
    """See ``Namespace``; arrays are ``Interval``. Every call of ``fire`` is kept in ``decisions``, in order."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []

    def where(self, condition: Operand, yes: Operand, no: Operand) -> Interval:
        chosen, a, b = lift(condition).value != 0, lift(yes), lift(no)
        return Interval(*(np.where(chosen, x, y) for x, y in ((a.value, b.value), (a.below, b.below), (a.above, b.above))))

    def fire(self, h: Operand, theta: Operand, strict: bool) -> Interval:
        a, b = lift(h), lift(theta)
        away = np.asarray(a.value - b.value)
        falls, rises = a.below + b.above, a.above + b.below
        bound = np.where(away > 0, falls, np.where(away < 0, rises, np.maximum(falls, rises)))
        self.decisions.append(Decision(np.abs(away), bound))
        spikes = NUMPY.fire(a.value, b.value, strict)
        return Interval(spikes, np.zeros_like(spikes), np.zeros_like(spikes))

    def exp(self, x: Operand) -> Interval:
        a, off = lift(x), EXP_ULPS * UNIT_ROUNDOFF
        with np.errstate(over="ignore"):
            value, low, high = (np.exp(end) for end in (a.value, a.low, a.high))
        tiny = 2 * EXP_ULPS * UNDERFLOW
        high = high * (1 + off) + tiny
        return between(value, low * (1 - off) - tiny, np.where(high > LARGEST, np.inf, high))

    def sigmoid(self, x: Operand) -> Interval:
        a = monotone(NUMPY.sigmoid, lift(x))
        return Interval(a.value, a.below + SIGMOID_ERROR, a.above + SIGMOID_ERROR)

    def divide(self, a: Operand, b: Operand) -> Interval:
        return divide(lift(a), lift(b))

    def rounded(self, written: Callable[..., Interval], reals: Callable[..., Interval], *operands: Operand) -> Interval:
        """What comes in with an error carries it as over the reals; ``written`` adds the roundings of its own operators."""
        lifted = [lift(o) for o in operands]
        spread = np.asarray(sum(o.error for o in lifted))
        # a value that is not sure rounds, even where the reference's own does not
        sure = np.where(spread > 0, UNDERFLOW, 0.0)
        own, carried = written(*(Interval(o.value, sure, sure) for o in lifted)), reals(*lifted)
        off = own.error + OPERATORS * UNIT_ROUNDOFF * spread
        return Interval(own.value, carried.below + off, carried.above + off)

    def table(self, rows: Operand, t: Operand) -> Interval:
        step = lift(t).value
        return lift(rows).each(lambda part: NUMPY.table(part, step))

    def gather(self, entries: Operand, index: Operand) -> Interval:
        a, i = lift(entries), lift(index)
        read = a.each(lambda part: NUMPY.gather(part, i.value))
        # an index that is not sure may name any entry
        unsure = i.error > 0
        low, high = (np.where(unsure, end, own) for end, own in ((a.low.min(), read.low), (a.high.max(), read.high)))
        return between(read.value, low, high)

    def minimum(self, a: Operand, b: Operand) -> Interval:
        return monotone(np.minimum, lift(a), lift(b))

    def maximum(self, a: Operand, b: Operand) -> Interval:
        return monotone(np.maximum, lift(a), lift(b))

    def trunc(self, x: Operand) -> Interval:
        return monotone(np.trunc, lift(x))

    def floor(self, x: Operand) -> Interval:
        return monotone(np.floor, lift(x))

    def linear(self, x: Operand, weight: Operand) -> Interval:
        return dot(NUMPY.linear, lift(x), lift(weight))

    def sparse(self, x: Operand, rows: Operand, columns: Operand, weight: Operand, targets: int) -> Interval:
        places, sources = lift(rows).value, lift(columns).value
        return dot(lambda a, w: NUMPY.sparse(a, places, sources, w, targets), lift(x), lift(weight))

    def conv(self, x: Operand, weight: Operand, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Interval:
        return dot(lambda a, w: NUMPY.conv(a, w, stride, padding, dilation, groups), lift(x), lift(weight))

    def sum_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Interval:
        return dot(lambda a, w: NUMPY.sum_pool(a * w, kernel, stride, padding), lift(x), lift(1.0))

    def max_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Interval:
        return monotone(lambda a: NUMPY.max_pool(a, kernel, stride, padding), lift(x))

    def reshape(self, x: Operand, shape: Shape) -> Interval:
        return lift(x).each(lambda part: NUMPY.reshape(part, shape))

    def concat(self, parts: Sequence[Operand], axis: int) -> Interval:
        lifted = [lift(p) for p in parts]
        return Interval(*(NUMPY.concat(sides, axis) for sides in zip(*((p.value, p.below, p.above) for p in lifted), strict=True)))
