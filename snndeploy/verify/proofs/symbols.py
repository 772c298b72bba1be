"""Integers as z3 formulas: the namespace a neuron's ``step`` is proved with, and the decay as an abstract function.

A neuron is written once, over ``xp``. Run with ``Formulas`` its ``step`` is the formula that a network must equal.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

import numpy as np
import z3

from snndeploy.ir.xp import Array

Ratio = tuple[int, int]
"""(numerator, bits): a factor numerator / 2**bits, reduced."""


class Symbol:
    """The exact value ``term`` numerator / 2**bits of an integer z3 term. Arithmetic with floats is exact: they are dyadic."""

    __array_ufunc__ = None

    def __init__(self, term: Any, numerator: int = 1, bits: int = 0) -> None:
        while bits and numerator % 2 == 0:
            numerator, bits = numerator // 2, bits - 1
        self.term, self.numerator, self.bits = term, numerator, bits

    def over(self, bits: int) -> Any:
        """The z3 integer that this value is when multiplied by 2**bits."""
        factor = self.numerator << (bits - self.bits)
        return self.term if factor == 1 else self.term * factor

    @property
    def whole(self) -> Any:
        """The z3 integer; the value must be whole."""
        assert self.bits == 0, "not rounded"
        return self.over(0)

    def __add__(self, other: Any) -> Symbol:
        other = symbol(other)
        bits = max(self.bits, other.bits)
        return Symbol(self.over(bits) + other.over(bits), 1, bits) if bits else Symbol(self.over(0) + other.over(0))

    __radd__ = __add__

    def __mul__(self, other: Any) -> Symbol:
        if isinstance(other, Symbol):
            return Symbol(self.term * other.term, self.numerator * other.numerator, self.bits + other.bits)
        factor = dyadic(other)
        return Symbol(self.term, self.numerator * factor[0], self.bits + factor[1])

    __rmul__ = __mul__

    def __neg__(self) -> Symbol:
        return self * -1.0

    def __sub__(self, other: Any) -> Symbol:
        return self + -symbol(other)

    def __rsub__(self, other: Any) -> Symbol:
        return symbol(other) + -self


def dyadic(value: Any) -> Ratio:
    """A float (or an array of one) as numerator / 2**bits."""
    exact = Fraction(float(np.asarray(value).reshape(())))
    return exact.numerator, exact.denominator.bit_length() - 1


def symbol(value: Any) -> Symbol:
    """A number as a symbol; a symbol as it is."""
    if isinstance(value, Symbol):
        return value
    numerator, bits = dyadic(value)
    return Symbol(z3.IntVal(numerator), 1, bits)


def toward_zero(term: Any, bits: int) -> Any:
    """term / 2**bits without its fraction."""
    return z3.If(term >= 0, term / (1 << bits), -((-term) / (1 << bits))) if bits else term


class Decays:
    """D(v) = trunc(v numerator / 2**bits), abstract for the ratios named: known by three facts alone, each proved apart.

    D(0) = 0;  0 <= D(v + 1) - D(v) <= 1;  D(v + d) = D(v) + d numerator / 2**bits where that is whole and v, v + d have the
    same sign. ``facts`` are these, for every pair of arguments that was met and every d in ``offsets``.
    """

    def __init__(self, abstract: Iterable[Ratio] = (), offsets: Iterable[Any] = ()) -> None:
        self.abstract = {r: z3.Function(f"D{r[0]}_{r[1]}", z3.IntSort(), z3.IntSort()) for r in abstract if r[1]}
        self.offsets = tuple(offsets)
        self.met: dict[Ratio, list[Any]] = {}

    def __call__(self, term: Any, ratio: Ratio) -> Any:
        """D of an integer term."""
        if ratio not in self.abstract:
            return toward_zero(term * ratio[0], ratio[1])
        seen = self.met.setdefault(ratio, [])
        if not any(term.eq(t) for t in seen):
            seen.append(term)
        return self.abstract[ratio](term)

    def facts(self) -> list[Any]:
        """The three facts for all arguments met."""
        made = []
        for ratio, terms in self.met.items():
            d = self.abstract[ratio]
            for i, t in enumerate(terms):
                made += [z3.Implies(t >= 0, z3.And(d(t) >= 0, d(t) <= t)), z3.Implies(t <= 0, z3.And(d(t) <= 0, d(t) >= t))]
                for s in terms[:i]:
                    made.append(z3.Implies(s <= t, z3.And(d(s) <= d(t), d(t) - d(s) <= t - s)))
                    made.append(z3.Implies(t <= s, z3.And(d(t) <= d(s), d(s) - d(t) <= s - t)))
                    made += [self._translated(ratio, s, t, o) for o in self.offsets]
        return made

    def _translated(self, ratio: Ratio, s: Any, t: Any, offset: int) -> Any:
        numerator, bits = ratio
        if (numerator * offset) % (1 << bits):
            return z3.BoolVal(True)
        same_sign, by = z3.Or(z3.And(s >= 0, t >= 0), z3.And(s <= 0, t <= 0)), numerator * offset >> bits
        d = self.abstract[ratio]
        return z3.Implies(z3.And(same_sign, t - s == offset), d(t) - d(s) == by)


class Formulas:
    """The namespace of z3 formulas; only what integer neurons use."""

    def __init__(self, decays: Decays) -> None:
        self.decays = decays

    def where(self, condition: Array, yes: Array, no: Array) -> Symbol:
        """``yes`` where ``condition`` is 1."""
        yes, no, condition = symbol(yes), symbol(no), symbol(condition)
        bits = max(yes.bits, no.bits)
        return Symbol(z3.If(condition.whole != 0, yes.over(bits), no.over(bits)), 1, bits)

    def fire(self, h: Array, theta: Array, strict: bool) -> Symbol:
        """1 where ``h > theta`` (strict) or ``h >= theta``."""
        h, theta = symbol(h), symbol(theta)
        bits = max(h.bits, theta.bits)
        a, b = h.over(bits), theta.over(bits)
        return Symbol(z3.If(a > b if strict else a >= b, z3.IntVal(1), z3.IntVal(0)))

    def minimum(self, a: Array, b: Array) -> Symbol:
        """The smaller."""
        return self.where(self.fire(a, b, True), b, a)

    def maximum(self, a: Array, b: Array) -> Symbol:
        """The larger."""
        return self.where(self.fire(a, b, True), a, b)

    def trunc(self, x: Array) -> Symbol:
        """Toward zero."""
        x = symbol(x)
        return Symbol(self.decays(x.term, (x.numerator, x.bits))) if x.bits else x

    def floor(self, x: Array) -> Symbol:
        """Down."""
        x = symbol(x)
        return Symbol((x.term * x.numerator) / (1 << x.bits))
