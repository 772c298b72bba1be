"""Numbers with a bound on rounding: where any spelling of the same sums, in a given float type, may lie.

A module and the graph that was read from it compute the same over the reals, but write it in another order (a division
for a product, another place for a bracket) and perhaps in another type. A ``Spread`` is what the graph computes in
float64 and how far the module's value may lie from it. ``SPELLINGS`` roundings are allowed where a node has one; an
operation is without error only where it is exact in every spelling: its operands are, and the result leaves bits to spare.

Source: N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., SIAM 2002: fl(a op b) = (a op b)(1 + d),
|d| <= u (2.4), and gamma_n = n u / (1 - n u) for n products summed in any order (3.5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats

SPELLINGS = 4
"""So many roundings, of values as large as any operand, stand for one of the graph's: (x - v) / tau has three."""
ALONE = 1.5
"""Fewer terms than that are one: a sum of one is that one."""
SPARE = 3
"""Bits that an exact result must leave, so that the terms of another spelling fit as well."""


@dataclass(frozen=True)
class Arithmetic:
    """A float type: its name, the bits of its mantissa (the hidden one counted), its smallest step and largest number.

    ``short``: a setting with more bits than this was rounded somewhere, or will be.
    """

    name: str
    bits: int
    tiny: float
    largest: float
    short: int

    @property
    def unit(self) -> float:
        """What one operation of the graph may be off, as a share: every spelling of it here, and the reference's own rounding."""
        return SPELLINGS * (2.0**-self.bits + 2.0**-53)


ARITHMETICS = {
    "float64": Arithmetic("float64", 53, 2.0**-1074, float(np.finfo(np.float64).max), 26),
    "float32": Arithmetic("float32", 24, 2.0**-149, float(np.finfo(np.float32).max), 24),
    "float16": Arithmetic("float16", 11, 2.0**-24, 65504.0, 11),
    "bfloat16": Arithmetic("bfloat16", 8, 2.0**-133, 3.3895313892515355e38, 8),
}
"""By the name that torch and NumPy give the type, the finest first."""

Operand: TypeAlias = "Spread | Floats | float"


@dataclass(frozen=True, eq=False)
class Spread:
    """``value`` in float64; every spelling in ``kind`` lies within ``error`` of it, 0 where none rounds."""

    value: Floats
    error: Floats
    kind: Arithmetic
    __array_ufunc__ = None
    """NumPy arrays on the left leave the operation to this class."""

    def each(self, function: Callable[[Floats], Floats]) -> Spread:
        """The same rearrangement of values and errors."""
        return Spread(function(self.value), function(self.error), self.kind)

    def __add__(self, other: Operand) -> Spread:
        return _sum(self, setting(other, self.kind), 1.0)

    def __radd__(self, other: Operand) -> Spread:
        return _sum(setting(other, self.kind), self, 1.0)

    def __sub__(self, other: Operand) -> Spread:
        return _sum(self, setting(other, self.kind), -1.0)

    def __rsub__(self, other: Operand) -> Spread:
        return _sum(setting(other, self.kind), self, -1.0)

    def __mul__(self, other: Operand) -> Spread:
        return _product(self, setting(other, self.kind))

    def __rmul__(self, other: Operand) -> Spread:
        return _product(setting(other, self.kind), self)

    def __getitem__(self, index: int) -> Spread:
        return self.each(lambda part: np.asarray(part[index]))

    def __len__(self) -> int:
        return len(self.value)


def given(values: Floats, kind: Arithmetic) -> Spread:
    """Data: both sides hold these very numbers."""
    exact = np.asarray(values, dtype=np.float64)
    return Spread(exact, np.zeros_like(exact), kind)


def setting(values: Operand, kind: Arithmetic) -> Spread:
    """A number of the graph: exact if it is short, else it may have been rounded on either side."""
    if isinstance(values, Spread):
        return values
    exact = np.asarray(values, dtype=np.float64)
    return Spread(exact, np.where(_width(exact) <= kind.short, 0.0, kind.unit * np.abs(exact)), kind)


def rounded(value: Floats, carried: Floats, size: Floats, exact: NDArray[np.bool_] | bool, kind: Arithmetic) -> Spread:
    """``value`` with what its operands carried and one operation on numbers of ``size``; infinitely far beyond the type."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where(exact & (carried == 0), 0.0, carried + kind.unit * size + kind.tiny)
    return Spread(np.asarray(value), np.where(np.abs(value) + off > kind.largest, np.inf, off), kind)


def _sum(a: Spread, b: Spread, sign: float) -> Spread:
    value = a.value + sign * b.value
    size = np.abs(a.value) + np.abs(b.value)
    room = np.maximum(_top(a.value), _top(b.value)) - np.minimum(_bottom(a.value), _bottom(b.value))
    exact = (room <= a.kind.bits - SPARE) | (a.value == 0) | (b.value == 0)
    return rounded(value, a.error + b.error, size, exact, a.kind)


def _product(a: Spread, b: Spread) -> Spread:
    value = a.value * b.value
    wide, other = _width(a.value), _width(b.value)
    exact = (wide + other <= a.kind.bits - SPARE) | (wide <= 1) | (other <= 1)
    with np.errstate(invalid="ignore"):
        carried = np.abs(a.value) * b.error + np.abs(b.value) * a.error + a.error * b.error
    return rounded(value, carried, np.abs(value), exact, a.kind)


def quotient(a: Spread, b: Spread) -> Spread:
    """a / b; b is a setting that is nowhere 0."""
    value = np.asarray(a.value / b.value)
    carried = a.error / np.abs(b.value) + np.abs(value) * b.error / np.abs(b.value)
    exact = (_width(b.value) <= 1) | (a.value == 0)
    return rounded(value, carried, np.abs(value), exact, a.kind)


def dot(product: Callable[[Floats, Floats], Floats], x: Spread, w: Spread, terms: int) -> Spread:
    """Sums of at most ``terms`` products in any order; exact where whole multiples of one power of two fit the mantissa.

    In the narrower types those terms count that are not 0, for adding 0 rounds nothing: of n it is n - 1 sums, one more for
    what is added to them, and one for the products where those round. In any order so many unit roundoffs bound it, of the
    sum of absolute values (Jeannerod and Rump, theorem 4.1), and, but for 1 / (1 - n u), of the largest partial sum: that
    of all that is positive, or of all that is negative.

    Source: C.-P. Jeannerod, S. M. Rump, "Improved Error Bounds for Inner Products in Floating-Point Arithmetic", SIAM J.
    Matrix Anal. Appl. 34 (2013).
    """
    value, sizes = product(x.value, w.value), product(np.abs(x.value), np.abs(w.value))
    carried = product(np.abs(x.value) + x.error, np.abs(w.value) + w.error) - sizes if x.error.any() or w.error.any() else np.zeros(())
    low = _bottom(x.value[x.value != 0]).min(initial=2000) + _bottom(w.value[w.value != 0]).min(initial=2000)
    exact = sizes <= 2.0 ** float(min(low + x.kind.bits - 1, 1000))
    size: Floats = sizes * (terms + 1)
    if x.kind.name != "float64":
        met, whole = product(_there(x), _there(w)), _whole(x, w)
        size, exact = _added(value, sizes, met, x.kind) + (0.0 if whole else sizes), exact | (whole & (met < ALONE))
    return rounded(value, np.maximum(carried + np.zeros_like(value), 0.0), size / SPELLINGS, exact, x.kind)


def _added(value: Floats, sizes: Floats, met: Floats, kind: Arithmetic) -> Floats:
    """What so many terms of these absolute values, that add up to ``value``, may be off in any order, in unit roundoffs."""
    share = met * 2.0**-kind.bits
    with np.errstate(divide="ignore"):
        largest = np.where(share < 1, (sizes + np.abs(value)) / 2 / np.maximum(1 - share, 0), np.inf)
    return np.asarray(np.where(met > 0, met * np.minimum(sizes, largest), 0.0))


def _there(a: Spread) -> Floats:
    """1 where a number may be another than 0."""
    return np.asarray((a.value != 0) | (a.error != 0), dtype=np.float64)


def _whole(x: Spread, w: Spread) -> bool:
    """Whether no product of theirs rounds."""
    wide, other = (int(_width(a.value).max(initial=0)) for a in (x, w))
    return wide <= 1 or other <= 1 or wide + other <= x.kind.bits


def _top(values: Floats) -> NDArray[np.int64]:
    """The exponent e of the highest bit: |v| < 2**e."""
    return np.asarray(np.frexp(values)[1], dtype=np.int64)


def _bottom(values: Floats) -> NDArray[np.int64]:
    """The largest k for which v is a whole multiple of 2**k; of 0 that of its highest bit."""
    return _top(values) - _width(values)


def _width(values: Floats) -> NDArray[np.int64]:
    """From the highest to the lowest bit that is set; 0 for 0."""
    bits = np.ascontiguousarray(values).view(np.int64) & (2**52 - 1)
    lowest = np.frexp((bits & -bits).astype(np.float64))[1] - 1
    return np.asarray(np.where(values == 0, 0, np.where(bits == 0, 1, 53 - lowest)), dtype=np.int64).reshape(np.shape(values))
