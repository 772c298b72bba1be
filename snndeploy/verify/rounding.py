"""How far a float32 run may stray from the float64 reference: a bound for every value, a margin for every decision.

``Interval`` holds what the reference computes and how much a float32 evaluation of the same operators, in any
order of summation and with or without fused multiply-add, can differ from it. Where |h - theta| is larger than
the bound, a float32 run must take the same decision; where it is not, it may legitimately take the other one.

Sources: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002: the model
fl(a op b) = (a op b)(1 + d), |d| <= u (2.4), and gamma_n = n u / (1 - n u) for n products summed in any order (3.5).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.xp import Pads

UNIT_ROUNDOFF = 2.0**-24 * (1 + 2.0**-10)
"""float32's unit roundoff; the small excess covers the float64 rounding of the reference and of the bound itself."""
UNDERFLOW = 2.0**-150
"""The absolute error of a float32 product below the normal range: half of the smallest number."""
EXP_ULPS = 4
"""Assumed accuracy of a float32 exponential, in units of roundoff (onnxruntime publishes none)."""
SIGMOID_ERROR = 2.0**-22
"""Assumed absolute error of a float32 sigmoid (onnxruntime publishes none)."""
MANTISSA = 24
SMALLEST_EXPONENT = -126

Operand: TypeAlias = "Interval | Floats | float"


@dataclass(frozen=True, eq=False)
class Interval:
    """A float64 ``value`` and ``error`` >= 0: every float32 evaluation lies within value +- error."""

    value: Floats
    error: Floats
    __array_ufunc__ = None
    """NumPy arrays on the left leave the operation to this class."""

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
        return Interval(self.value[index], self.error[index])

    def __len__(self) -> int:
        return len(self.value)


def lift(values: Operand) -> Interval:
    """Numbers as a float32 run holds them: rounded once, so their error is known exactly."""
    if isinstance(values, Interval):
        return values
    exact = np.asarray(values, dtype=np.float64)
    return Interval(exact, np.abs(exact.astype(np.float32) - exact))


def _negative(a: Interval) -> Interval:
    return Interval(-a.value, a.error)


def _rounded(value: Floats, carried: Floats, underflow: float = 0.0) -> Interval:
    """One rounding on top of the ``carried`` error; exactly known where the operands were exact."""
    known = np.abs(value.astype(np.float32) - value)
    bound = carried + UNIT_ROUNDOFF * (np.abs(value) + carried) + underflow
    return Interval(value, np.where(carried == 0, known, bound))


def _add(a: Interval, b: Interval) -> Interval:
    return _rounded(np.asarray(a.value + b.value), np.asarray(a.error + b.error))


def _multiply(a: Interval, b: Interval) -> Interval:
    carried = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
    return _rounded(np.asarray(a.value * b.value), np.asarray(carried), UNDERFLOW)


def _divide(a: Interval, b: Interval) -> Interval:
    """The quotient's error is that of a, and that of b times the quotient, over the smallest |b|; infinite where that is 0."""
    least = np.abs(b.value) - b.error
    value = np.asarray(a.value / b.value)
    inside = least > 0
    carried = np.where(inside, (a.error + np.abs(value) * b.error) / np.where(inside, least, 1.0), np.inf)
    return _rounded(value, carried, UNDERFLOW)


@dataclass(frozen=True, eq=False)
class Decision:
    """One call of ``fire``: the distance to the threshold and the error bound of that distance."""

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
        return Interval(np.where(chosen, a.value, b.value), np.where(chosen, a.error, b.error))

    def fire(self, h: Operand, theta: Operand, strict: bool) -> Interval:
        a, b = lift(h), lift(theta)
        self.decisions.append(Decision(np.abs(a.value - b.value), np.asarray(a.error + b.error)))
        spikes = NUMPY.fire(a.value, b.value, strict)
        return Interval(spikes, np.zeros_like(spikes))

    def exp(self, x: Operand) -> Interval:
        a = lift(x)
        value = np.exp(a.value)
        carried = value * np.expm1(a.error)
        return Interval(value, carried + EXP_ULPS * UNIT_ROUNDOFF * (value + carried))

    def sigmoid(self, x: Operand) -> Interval:
        a = _monotone(NUMPY.sigmoid, lift(x))
        return Interval(a.value, a.error + SIGMOID_ERROR)

    def divide(self, a: Operand, b: Operand) -> Interval:
        return _divide(lift(a), lift(b))

    def table(self, rows: Operand, t: Operand) -> Interval:
        a, step = lift(rows), lift(t).value
        return Interval(NUMPY.table(a.value, step), NUMPY.table(a.error, step))

    def gather(self, entries: Operand, index: Operand) -> Interval:
        a, i = lift(entries), lift(index)
        value, error = (NUMPY.gather(part, i.value) for part in (a.value, a.error))
        # an index that is not sure may name any entry
        return Interval(value, np.where(i.error > 0, np.max(np.abs(a.value) + a.error) + np.abs(value), error))

    def minimum(self, a: Operand, b: Operand) -> Interval:
        return _monotone(np.minimum, lift(a), lift(b))

    def maximum(self, a: Operand, b: Operand) -> Interval:
        return _monotone(np.maximum, lift(a), lift(b))

    def trunc(self, x: Operand) -> Interval:
        return _monotone(np.trunc, lift(x))

    def floor(self, x: Operand) -> Interval:
        return _monotone(np.floor, lift(x))

    def linear(self, x: Operand, weight: Operand) -> Interval:
        return _dot(NUMPY.linear, lift(x), lift(weight))

    def sparse(self, x: Operand, rows: Operand, columns: Operand, weight: Operand, targets: int) -> Interval:
        places, sources = lift(rows).value, lift(columns).value
        return _dot(lambda a, w: NUMPY.sparse(a, places, sources, w, targets), lift(x), lift(weight))

    def conv(self, x: Operand, weight: Operand, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Interval:
        return _dot(lambda a, w: NUMPY.conv(a, w, stride, padding, dilation, groups), lift(x), lift(weight))

    def sum_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Interval:
        return _dot(lambda a, w: NUMPY.sum_pool(a * w, kernel, stride, padding), lift(x), lift(1.0))

    def max_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Interval:
        return _monotone(lambda a: NUMPY.max_pool(a, kernel, stride, padding), lift(x))

    def reshape(self, x: Operand, shape: Shape) -> Interval:
        a = lift(x)
        return Interval(NUMPY.reshape(a.value, shape), NUMPY.reshape(a.error, shape))

    def concat(self, parts: Sequence[Operand], axis: int) -> Interval:
        lifted = [lift(p) for p in parts]
        return Interval(NUMPY.concat([p.value for p in lifted], axis), NUMPY.concat([p.error for p in lifted], axis))


def _monotone(function: Callable[..., Floats], *operands: Interval) -> Interval:
    """A function that rises with every operand and does not round: its range is that of the interval's ends."""
    value = function(*(o.value for o in operands))
    low = function(*(o.value - o.error for o in operands))
    high = function(*(o.value + o.error for o in operands))
    return Interval(np.asarray(value), np.asarray(np.maximum(value - low, high - value)))


def _dot(product: Callable[[Floats, Floats], Floats], x: Interval, w: Interval) -> Interval:
    """Sums of products, bounded by gamma_n with n the products that are not zero; 0 where every sum fits the mantissa."""
    value = product(x.value, w.value)
    sizes = product(np.abs(x.value), np.abs(w.value))
    reach = product(np.abs(x.value) + x.error, np.abs(w.value) + w.error)
    terms = product(_present(x), _present(w))
    gamma = terms * UNIT_ROUNDOFF / (1 - terms * UNIT_ROUNDOFF)
    bound = np.maximum(reach - sizes, 0.0) + gamma * reach + terms * UNDERFLOW
    return Interval(value, np.where(sizes <= _whole_below(x, w), 0.0, bound))


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
