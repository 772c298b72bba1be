"""Between which values every term of an expression lies: what intervals prove, and what data showed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.expressions import FUNCTIONS, Expression, Run, Term, terms_of

Range: TypeAlias = tuple[float, float]
Ends: TypeAlias = tuple[Any, Any]
MARGIN = 0.5
"""Data to come may leave the range that was seen by half its width on either side, as far as intervals allow."""


@dataclass(frozen=True)
class Ranges:
    """``proven`` (for every input within its bound, for so many steps) and ``seen`` on data, by ``id`` of the term."""

    proven: Mapping[int, Range]
    seen: Mapping[int, Range]

    def of(self, term: Term) -> Range:
        """The range to make room for: what was seen and a margin, within what is proven."""
        low, high = self.proven[id(term)]
        first, last = self.seen.get(id(term), (low, high))
        more = MARGIN * max(last - first, abs(first), abs(last))
        return max(low, first - more), min(high, last + more)

    def largest(self, term: Term) -> float:
        """The largest size within ``of``."""
        return max(map(abs, self.of(term)))


def ranges(expression: Expression, bound: float, steps: int, inputs: Floats | None = None) -> Ranges:
    """Intervals for |x| <= ``bound`` over ``steps`` steps, and what ``inputs`` [T, B, *shape] lead to."""
    proven = _proven(expression, bound, steps)
    return Ranges(proven, proven if inputs is None or not inputs.size else observed(expression, inputs))


def observed(expression: Expression, inputs: Floats) -> dict[int, Range]:
    """The smallest and largest value of every term when ``inputs`` [T, B, *shape] come in."""
    found: dict[int, Range] = {}

    def note(term: Term, value: Floats) -> None:
        low, high = found.get(id(term), (np.inf, -np.inf))
        found[id(term)] = (min(low, float(np.min(value))), max(high, float(np.max(value))))

    run = Run(expression, note)
    state: Mapping[str, Floats] = expression.initial
    for t, now in enumerate(inputs):
        _, state = run.step(now, state, t)
    return found


def _proven(expression: Expression, bound: float, steps: int) -> dict[int, Range]:
    order = list(terms_of(expression.roots()))
    state: dict[str, Ends] = {w: (v, v) for w, v in expression.initial.items()}
    found: dict[int, Range] = {}
    for t in range(steps):
        values: dict[int, Ends] = {}
        for term in order:
            with np.errstate(over="ignore"):  # an exponential's interval may have no end
                values[id(term)] = ends = _ends(term, [values[id(a)] for a in term.args], state, bound, t)
            low, high = found.get(id(term), (np.inf, -np.inf))
            found[id(term)] = (min(low, float(np.min(ends[0]))), max(high, float(np.max(ends[1]))))
        state = {w: values[id(term)] for w, term in expression.after.items()}
    return found


def _ends(term: Term, args: list[Ends], state: Mapping[str, Ends], bound: float, step: int) -> Ends:
    if term.op == "input":
        return -bound, bound
    if term.op in ("state", "bit"):
        return state[term.name]
    if term.op == "const":
        return term.value, term.value
    if term.op == "table":
        assert term.value is not None, "a table has rows"
        row = term.value[min(step, len(term.value) - 1)]
        return row, row
    return ENDS.get(term.op, _monotone)(term, args)


def _monotone(term: Term, args: list[Ends]) -> Ends:
    function = FUNCTIONS[term.op]
    return function(*(a[0] for a in args)), function(*(a[1] for a in args))


def _sum(term: Term, args: list[Ends]) -> Ends:
    low: Any = 0.0
    high: Any = 0.0
    for sign, (first, last) in zip(term.name or "++", args, strict=True):
        low, high = (low + first, high + last) if sign == "+" else (low - last, high - first)
    return low, high


def _product(term: Term, args: list[Ends]) -> Ends:
    corners = [np.asarray(FUNCTIONS[term.op](a, b)) for a in args[0] for b in args[1]]
    return np.minimum.reduce(np.broadcast_arrays(*corners)), np.maximum.reduce(np.broadcast_arrays(*corners))


def _compare(term: Term, args: list[Ends]) -> Ends:
    (low, high), (first, last) = args
    fire = FUNCTIONS[term.op]
    return fire(low, last), fire(high, first)


def _choice(_: Term, args: list[Ends]) -> Ends:
    (never, ever), yes, no = args
    low = np.where(never > 0, yes[0], np.where(ever > 0, np.minimum(yes[0], no[0]), no[0]))
    high = np.where(never > 0, yes[1], np.where(ever > 0, np.maximum(yes[1], no[1]), no[1]))
    return low, high


ENDS: Mapping[str, Callable[[Term, list[Ends]], Ends]] = {
    "sum": _sum,
    "mul": _product,
    "div": _product,
    "ge": _compare,
    "gt": _compare,
    "where": _choice,
}
"""The ends of what an operation gives; every other one rises with all it reads."""
