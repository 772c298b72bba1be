"""Functions of one value as tables with straight lines between: which terms become one, where, and how fine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.expressions import Expression, Term, apply, terms_of

Function: TypeAlias = Callable[[Floats], Floats]
CURVED = ("exp", "sigmoid", "div")
CHAIN = (*CURVED, "mul", "sum", "add", "sub", "min", "max")
TOLERANCE = 2.0**-14
"""The largest error of a table, relative to its largest entry, that is worth no more entries."""
SIZES = (8, 16, 32, 64, 128, 256)
"""Numbers of segments to choose from."""
PROBES = 16
"""Points in each segment at which a table is held against its function."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A function of one term: ``base`` is what is read, ``function`` what is made of it."""

    base: Term
    function: Function


@dataclass(frozen=True, eq=False)
class Table:
    """Entries [n + 1], the first at ``low``, ``width`` apart (in units of the value read); ``error`` as in ``fitted``."""

    entries: Floats
    low: int
    width: int
    error: float


def curves(expression: Expression) -> dict[int, Curve]:
    """The terms that become tables, by ``id``: as much as depends on one value around each curved function."""
    roots = expression.roots()
    uses = Counter(id(a) for term in terms_of(roots) for a in term.args) + Counter(map(id, roots))
    inner: dict[int, Term | None] = {}
    found: dict[int, Curve] = {}
    for term in terms_of(roots):
        moving = [a for a in term.args if a.op != "const"]
        chained = (
            term.op in CHAIN and len(moving) == 1 and all(a.value is not None and a.value.size == 1 for a in term.args if a.op == "const")
        )
        below = moving[0] if chained else term
        curved = chained and (term.op in CURVED or (id(below) in found and uses[id(below)] == 1))
        inner[id(term)] = _base(below, inner, uses) if chained else None
        base = inner[id(term)]
        if curved and base is not None:
            if id(below) in found and uses[id(below)] == 1:
                base = found.pop(id(below)).base
            found[id(term)] = Curve(base, _function(term, base))
    return found


def _base(term: Term, inner: dict[int, Term | None], uses: Counter[int]) -> Term:
    """Where a chain that reaches ``term`` starts: further down while nobody else reads what lies between."""
    below = inner.get(id(term))
    return below if below is not None and uses[id(term)] == 1 and term.op in CHAIN else term


def _function(top: Term, base: Term) -> Function:
    order = list(terms_of((top,)))

    def function(x: Floats) -> Floats:
        values = {id(base): x}
        for term in order:
            if id(term) not in values:
                known = [values.get(id(a)) for a in term.args]
                if term.op == "const" or (known and all(v is not None for v in known)):
                    values[id(term)] = np.asarray(apply(term, known))
        return np.asarray(np.broadcast_to(values[id(top)], x.shape))

    return function


def fitted(function: Function, low: float, high: float, scale_in: float, scale_out: float, segments: int | None = None) -> Table:
    """The smallest table of ``function`` on [low, high] within ``TOLERANCE``, or the one with so many ``segments``.

    ``scale_in`` and ``scale_out`` are units of the value read and of the value given to the real unit. ``error`` is the
    largest difference found between the table's line and the function, in real units. The entries are those that make
    the largest error of all lines small: the function's own values, moved by half the error in the middle of a segment.
    """
    sizes = SIZES if segments is None else (segments,)
    for size in sizes:
        table = _table(function, low, high, scale_in, scale_out, size)
        if table.error <= TOLERANCE * max(float(np.abs(table.entries).max()) / scale_out, 1e-9):
            break
    return table


def _table(function: Function, low: float, high: float, scale_in: float, scale_out: float, segments: int) -> Table:
    first = int(np.floor(low * scale_in))
    width = max(1, int(np.ceil((high * scale_in - first) / segments)))
    at = (first + width * np.arange(segments + 1)) / scale_in
    fine = (first + width * np.arange(segments * PROBES + 1) / PROBES) / scale_in
    wanted = function(fine)
    exact = function(at)
    bend = wanted[PROBES // 2 :: PROBES] - (exact[1:] + exact[:-1]) / 2
    around = np.concatenate([bend[:1], (bend[1:] + bend[:-1]) / 2, bend[-1:]])
    entries = np.round((exact + around / 2) * scale_out)
    error = np.abs(np.interp(fine, at, entries) / scale_out - wanted).max()
    return Table(frozen(entries), first, width, float(error))
