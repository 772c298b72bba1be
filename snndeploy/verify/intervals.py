"""Intervals of float64 numbers, rounded outward: what any float32 evaluation of the same operators may give.

An ``Interval`` holds what the reference computes and how far a float32 run, in any order of summation and with or
without fused multiply-add, can lie below and above it. The two sides are kept apart: what was clipped at one end is not
widened at the other.

Sources: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002: the model
fl(a op b) = (a op b)(1 + d), |d| <= u (2.4), and gamma_n = n u / (1 - n u) for n products summed in any order (3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Floats

UNIT_ROUNDOFF = 2.0**-24 * (1 + 2.0**-10)
"""float32's unit roundoff; the small excess covers the float64 rounding of the reference and of the bound itself."""
UNDERFLOW = 2.0**-150
"""The absolute error of a float32 product below the normal range: half of the smallest number."""
MANTISSA = 24
SMALLEST_EXPONENT = -126
LARGEST = float(np.finfo(np.float32).max)
"""Beyond it a float32 run holds infinity, which no bound reaches."""

Operand: TypeAlias = "Interval | Floats | float"


@dataclass(frozen=True, eq=False)
class Interval:
    """A float64 ``value``, ``below`` >= 0 and ``above`` >= 0: every float32 evaluation lies in value - below .. value + above."""

    value: Floats
    below: Floats
    above: Floats
    __array_ufunc__ = None
    """NumPy arrays on the left leave the operation to this class."""

    @property
    def error(self) -> Floats:
        """The larger of the two sides."""
        return np.maximum(self.below, self.above)

    @property
    def low(self) -> Floats:
        """The lower end."""
        return np.asarray(self.value - self.below)

    @property
    def high(self) -> Floats:
        """The upper end."""
        return np.asarray(self.value + self.above)

    def each(self, function: Callable[[Floats], Floats]) -> Interval:
        """The same rearrangement of values and both sides."""
        return Interval(function(self.value), function(self.below), function(self.above))

    def __add__(self, other: Operand) -> Interval:
        return _add(self, lift(other))

    def __radd__(self, other: Operand) -> Interval:
        return _add(lift(other), self)

    def __sub__(self, other: Operand) -> Interval:
        return _add(self, _negative(lift(other)))

    def __rsub__(self, other: Operand) -> Interval:
        return _add(lift(other), _negative(self))

    def __mul__(self, other: Operand) -> Interval:
        return _multiply(self, lift(other))

    def __rmul__(self, other: Operand) -> Interval:
        return _multiply(lift(other), self)

    def __getitem__(self, index: int) -> Interval:
        return self.each(lambda part: np.asarray(part[index]))

    def __len__(self) -> int:
        return len(self.value)


def lift(values: Operand) -> Interval:
    """Numbers as a float32 run holds them: rounded once, so their error is known exactly."""
    if isinstance(values, Interval):
        return values
    exact = np.asarray(values, dtype=np.float64)
    away = exact.astype(np.float32) - exact
    return Interval(exact, np.maximum(-away, 0.0), np.maximum(away, 0.0))


def between(value: Floats, low: Floats, high: Floats) -> Interval:
    """The interval from ``low`` to ``high`` around a value within it; an end that is no number is infinitely far."""
    below, above = (np.where(np.isnan(side), np.inf, np.maximum(side, 0.0)) for side in (value - low, high - value))
    return Interval(np.asarray(value), below, above)


def monotone(function: Callable[..., Floats], *operands: Interval) -> Interval:
    """A function that rises with every operand and does not round: its range is that of the interval's ends."""
    value, low, high = (np.asarray(function(*ends)) for ends in zip(*((o.value, o.low, o.high) for o in operands), strict=True))
    return between(value, low, high)


def divide(a: Interval, b: Interval) -> Interval:
    """The quotient's ends are among those of the ends; infinitely far where b may be 0."""
    inside = (b.low > 0) | (b.high < 0)
    low, high = _corners(lambda x, y: x / np.where(inside, y, 1.0), a, b)
    value = np.asarray(a.value / b.value)
    return _rounded(between(value, np.where(inside, low, -np.inf), np.where(inside, high, np.inf)), UNDERFLOW)


def dot(product: Callable[[Floats, Floats], Floats], x: Interval, w: Interval) -> Interval:
    """Sums of products, bounded by gamma_n with n the products that are not zero; 0 where every sum fits the mantissa."""
    value, sizes = product(x.value, w.value), product(np.abs(x.value), np.abs(w.value))
    terms = product(_present(x), _present(w))
    middle, radius = _around(x)
    centre = value if middle is x.value else product(middle, w.value)
    with np.errstate(invalid="ignore"):
        reach = product(np.abs(middle) + radius, np.abs(w.value) + w.error)
    carried = np.maximum(reach - (sizes if middle is x.value else product(np.abs(middle), np.abs(w.value))), 0.0)
    gamma = terms * UNIT_ROUNDOFF / (1 - terms * UNIT_ROUNDOFF)
    off = carried + gamma * reach + terms * UNDERFLOW
    made, whole = between(value, centre - off, centre + off), _whole_below(x, w)
    exact = (sizes <= whole if whole else terms == 0) & ~np.isnan(carried)
    return Interval(value, np.where(exact, 0.0, made.below), np.where(exact, 0.0, made.above))


def _around(x: Interval) -> tuple[Floats, Floats]:
    """(middle, radius) of the interval; the value itself with the larger side where both are alike, or one has no end."""
    if np.array_equal(x.below, x.above) or not np.isfinite(x.error).all():
        return x.value, x.error
    return np.asarray((x.low + x.high) / 2), np.asarray((x.below + x.above) / 2)


def _negative(a: Interval) -> Interval:
    return Interval(-a.value, a.above, a.below)


def _rounded(a: Interval, underflow: float = 0.0) -> Interval:
    """One rounding on top of what was carried; exactly known where the operands were exact."""
    exact = (a.below == 0) & (a.above == 0)
    with np.errstate(over="ignore"):
        known = np.abs(a.value.astype(np.float32) - a.value)
    far = np.maximum(np.abs(a.low), np.abs(a.high))
    once = np.where(far > LARGEST, np.inf, UNIT_ROUNDOFF * far + underflow)
    return Interval(a.value, np.where(exact, known, a.below + once), np.where(exact, known, a.above + once))


def _add(a: Interval, b: Interval) -> Interval:
    return _rounded(Interval(np.asarray(a.value + b.value), np.asarray(a.below + b.below), np.asarray(a.above + b.above)))


def _multiply(a: Interval, b: Interval) -> Interval:
    low, high = _corners(lambda x, y: x * y, a, b)
    return _rounded(between(np.asarray(a.value * b.value), low, high), UNDERFLOW)


def _corners(function: Callable[[Floats, Floats], Floats], a: Interval, b: Interval) -> tuple[Floats, Floats]:
    """The smallest and the largest result at the ends of both; what is no number (0 times infinity) has no end."""
    with np.errstate(invalid="ignore"):
        ends = [function(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    return np.minimum.reduce(ends), np.maximum.reduce(ends)


def _present(a: Interval) -> Floats:
    return np.asarray((a.value != 0) | (a.error != 0), dtype=np.float64)


def _whole_below(x: Interval, w: Interval) -> float:
    """Sums of |x w| up to here are exact in float32: whole multiples of one power of two that fit the mantissa."""
    grid = _lowest_bit(x.value) + _lowest_bit(w.value)
    exact = not (x.error.any() or w.error.any())
    return 2.0 ** min(grid + MANTISSA, 1000) if exact and grid > SMALLEST_EXPONENT else 0.0


def _lowest_bit(values: Floats) -> int:
    """The largest k for which every value is a whole multiple of 2**k (1024 where all are 0)."""
    fractions, exponents = np.frexp(values[values != 0])
    digits = (fractions * 2.0**53).astype(np.int64)
    lowest = np.log2((digits & -digits).astype(np.float64)).astype(np.int64)
    return int((lowest + exponents - 53).min(initial=1024))
