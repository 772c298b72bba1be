"""What the terms of an expression are on a grid of whole numbers, and which of them share one unit.

whole: spikes and counts, worth themselves. real: bound to one unit, because it is added to or compared with others of
that unit. free: a number, a table or a function, which is made in whatever unit it is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

import numpy as np

from snndeploy.ir.expressions import Expression, Term, terms_of
from snndeploy.quantize.algebra import BITS
from snndeploy.quantize.tables import Curve

Kind: TypeAlias = Literal["whole", "real", "free"]


class Kinds:
    """The kind of every term of an expression, and the unit of every real one.

    A word is whole if it starts whole and every step keeps it whole. Real terms that meet in a sum, a comparison, a
    smaller, a larger or a choice share a unit; a word shares the unit of what it becomes.
    """

    def __init__(self, expression: Expression, tabled: dict[int, Curve]) -> None:
        self.tabled = tabled
        self._whole = {w for w, start in expression.initial.items() if np.array_equal(start, np.round(start))}
        self._kinds: dict[int, Kind] = {}
        order = list(terms_of(expression.roots()))
        while True:
            self._kinds = {}
            for term in order:
                self._kinds[id(term)] = self._kind(term)
            kept = {w for w in self._whole if self.keeps_whole(expression.after[w])}
            if kept == self._whole:
                break
            self._whole = kept
        self._unit = {id(t): id(t) for t in order}
        for term in order:
            self._join(term)
        words = {t.name: t for t in order if t.op == "state"}
        for word, term in words.items():
            self._meet([term, expression.after[word]])

    def of(self, term: Term) -> Kind:
        """The term's kind."""
        return self._kinds[id(term)]

    def keeps_whole(self, term: Term) -> bool:
        """True if the term is a whole number whatever it reads."""
        if term.op == "const":
            return term.value is not None and bool((term.value == np.round(term.value)).all())
        choice = term.op == "where" and self.of(term) == "free" and id(term) not in self.tabled
        return self.of(term) == "whole" or (choice and all(map(self.keeps_whole, term.args[1:])))

    def unit(self, term: Term) -> int:
        """The unit of a real term: the same number for all terms that share it."""
        at = id(term)
        while self._unit[at] != at:
            at = self._unit[at]
        return at

    def _kind(self, term: Term) -> Kind:
        if id(term) in self.tabled or term.op in ("const", "table", "exp", "sigmoid", "div"):
            return "free"
        if term.op in (*BITS, "floor", "trunc"):
            return "whole"
        if term.op in ("input", "state"):
            return "whole" if term.name in self._whole and term.op == "state" else "real"
        kinds = [self.of(a) for a in summands(term)]
        if "real" in kinds:
            return "real"
        numbers = [a for a in summands(term) if self.of(a) == "free"]
        return "whole" if "whole" in kinds and all(map(self.keeps_whole, numbers)) else "free"

    def _join(self, term: Term) -> None:
        if id(term) in self.tabled:
            return
        if term.op == "mul":
            factors = [a for a in term.args if self.of(a) == "real"]
            self._meet([term, *factors] if len(factors) == 1 else [])
        elif term.op in ("ge", "gt"):
            self._meet(term.args)
        elif self.of(term) == "real":
            self._meet([term, *summands(term)])

    def _meet(self, terms: Iterable[Term]) -> None:
        real = [self.unit(t) for t in terms if self.of(t) == "real"]
        for other in real[1:]:
            first, second = (self._root(u) for u in (real[0], other))
            self._unit[second] = first

    def _root(self, at: int) -> int:
        while self._unit[at] != at:
            at = self._unit[at]
        return at


def summands(term: Term) -> tuple[Term, ...]:
    """What a term's value is made of; the condition of a choice is not."""
    return term.args[1:] if term.op == "where" else term.args
