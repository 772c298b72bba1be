"""A neuron's ``step`` as an expression: the backend of ``ir.xp.Namespace`` that writes down what is computed.

A ``Term`` is one operation with the terms it reads. A node whose ``step`` is run once with terms has thereby stated
its equation as data; parameters stay numbers. Expressions are over the reals: where rounding matters is decided by who
reads them (``snndeploy.quantize.fixed_point`` makes integers of them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.xp import Pads

Operand: TypeAlias = "Term | ArrayLike"


@dataclass(frozen=True, eq=False)
class Term:
    """One operation: what it does, the terms it reads, and a number (``const``), table (``take``, ``table``) or name.

    ``take`` reads the row of its table that ``args[0]`` counts to, ``table`` the row of the current step (after the last
    one: the last one); ``sum`` adds its terms with the signs in ``name``.
    """

    op: str
    args: tuple[Term, ...] = ()
    value: Floats | None = None
    name: str = ""

    __array_ufunc__ = None
    """NumPy leaves ``array * term`` to the term."""

    def __add__(self, other: Operand) -> Term:
        return Term("add", (self, lift(other)))

    def __radd__(self, other: Operand) -> Term:
        return Term("add", (lift(other), self))

    def __sub__(self, other: Operand) -> Term:
        return Term("sub", (self, lift(other)))

    def __rsub__(self, other: Operand) -> Term:
        return Term("sub", (lift(other), self))

    def __mul__(self, other: Operand) -> Term:
        return Term("mul", (self, lift(other)))

    def __rmul__(self, other: Operand) -> Term:
        return Term("mul", (lift(other), self))

    def __neg__(self) -> Term:
        return Term("sub", (lift(0.0), self))


def lift(value: Operand) -> Term:
    """A number as a constant term; a term as it is."""
    return value if isinstance(value, Term) else Term("const", value=np.asarray(value, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class Expression:
    """What a neuron computes in a step: its ``output`` and the words ``after`` it, from ``input`` terms and ``state`` terms.

    ``initial`` holds the words before the first step, broadcast against the feature shape.
    """

    output: Term
    after: Mapping[str, Term]
    initial: Mapping[str, Floats]

    def roots(self) -> tuple[Term, ...]:
        """The output and the words afterwards."""
        return (self.output, *self.after.values())


def trace(node: Node, shape: Shape) -> Expression:
    """The expression of ``node.step`` for an input of ``shape``; raises ``Unsupported`` if it mixes features."""
    initial = node.initial_state(shape)
    words = {word: Term("state", name=word) for word in initial}
    output, after = node.step((Term("input", name="x"),), words, EXPRESSIONS)
    return Expression(lift(output), {word: lift(after[word]) for word in initial}, dict(initial))


def terms_of(roots: Iterable[Term]) -> Iterator[Term]:
    """Every term once, what it reads before it."""
    seen: set[int] = set()
    todo = [(root, False) for root in reversed(list(roots))]
    while todo:
        term, ready = todo.pop()
        if ready:
            yield term
        elif id(term) not in seen:
            seen.add(id(term))
            todo.append((term, True))
            todo.extend((a, False) for a in reversed(term.args))


def apply(term: Term, values: Sequence[Any], step: int = 0) -> Any:
    """The term's value, given those it reads; ``step`` selects the entry of a ``table``."""
    if term.op == "const":
        return term.value
    if term.op == "table":
        assert term.value is not None, "a table has entries"
        return term.value[min(step, len(term.value) - 1)]
    if term.op == "take":
        assert term.value is not None, "a table has entries"
        return term.value[min(int(np.ravel(values[0])[0]), len(term.value) - 1)]
    if term.op == "sum":
        return sum((v if sign == "+" else -v for v, sign in zip(values, term.name, strict=True)), np.float64(0.0))
    return FUNCTIONS[term.op](*values)


FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "add": lambda a, b: a + b,
        "sub": lambda a, b: a - b,
        "mul": lambda a, b: a * b,
        "div": lambda a, b: a / b,
        "min": NUMPY.minimum,
        "max": NUMPY.maximum,
        "ge": lambda h, theta: NUMPY.fire(h, theta, False),
        "gt": lambda h, theta: NUMPY.fire(h, theta, True),
        "where": NUMPY.where,
        "exp": NUMPY.exp,
        "sigmoid": NUMPY.sigmoid,
        "trunc": NUMPY.trunc,
        "floor": NUMPY.floor,
    }
)
"""What each operation computes, over float64."""


@dataclass(frozen=True)
class Run:
    """Runs an expression on numbers, step by step."""

    expression: Expression
    observe: Callable[[Term, Any], None] | None = None
    order: tuple[Term, ...] = field(default=(), init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "order", tuple(terms_of(self.expression.roots())))

    def step(self, x: Floats, state: Mapping[str, Floats], step: int) -> tuple[Floats, dict[str, Floats]]:
        """The output and the words after one step."""
        values: dict[int, Any] = {}
        for term in self.order:
            known = x if term.op == "input" else state[term.name] if term.op in ("state", "bit") else None
            values[id(term)] = apply(term, [values[id(a)] for a in term.args], step) if known is None else known
            if self.observe is not None:
                self.observe(term, values[id(term)])
        return values[id(self.expression.output)], {word: values[id(t)] for word, t in self.expression.after.items()}


class ExpressionNamespace:
    """See ``Namespace``; arrays are terms."""

    def where(self, condition: Operand, yes: Operand, no: Operand) -> Term:
        return Term("where", (lift(condition), lift(yes), lift(no)))

    def fire(self, h: Operand, theta: Operand, strict: bool) -> Term:
        return Term("gt" if strict else "ge", (lift(h), lift(theta)))

    def exp(self, x: Operand) -> Term:
        return Term("exp", (lift(x),))

    def sigmoid(self, x: Operand) -> Term:
        return Term("sigmoid", (lift(x),))

    def divide(self, a: Operand, b: Operand) -> Term:
        return Term("div", (lift(a), lift(b)))

    def rounded(self, written: Callable[..., Term], reals: Callable[..., Term], *operands: Term) -> Term:
        return reals(*operands)

    def table(self, rows: Operand, t: Operand) -> Term:
        return Term("take", (lift(t),), np.asarray(rows, dtype=np.float64))

    def gather(self, entries: Operand, index: Operand) -> Term:
        raise _mixes("a table of its own")

    def minimum(self, a: Operand, b: Operand) -> Term:
        return Term("min", (lift(a), lift(b)))

    def maximum(self, a: Operand, b: Operand) -> Term:
        return Term("max", (lift(a), lift(b)))

    def trunc(self, x: Operand) -> Term:
        return Term("trunc", (lift(x),))

    def floor(self, x: Operand) -> Term:
        return Term("floor", (lift(x),))

    def linear(self, x: Operand, weight: Operand) -> Term:
        raise _mixes("a matrix product")

    def sparse(self, x: Operand, rows: Operand, columns: Operand, weight: Operand, targets: int) -> Term:
        raise _mixes("a sum of synapses")

    def conv(self, x: Operand, weight: Operand, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Term:
        raise _mixes("a convolution")

    def sum_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Term:
        raise _mixes("a pooling")

    def max_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Term:
        raise _mixes("a pooling")

    def reshape(self, x: Operand, shape: Shape) -> Term:
        raise _mixes("a reshape")

    def concat(self, parts: Sequence[Operand], axis: int) -> Term:
        raise _mixes("a concatenation")


def _mixes(what: str) -> Unsupported:
    return Unsupported("neuron", f"its step holds {what}, so a neuron reads its neighbours", "put it into a layer before the neuron")


EXPRESSIONS = ExpressionNamespace()
