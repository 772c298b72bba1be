"""Any neuron on a grid of whole numbers: its step as a list of integer operations, each saturating at 24 bits.

Values are whole numbers held in float64 (exact: every product of two words stays below 2**53). Run by the reference
executor this is the integer definition that the neuron program on the chip must equal, word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import require
from snndeploy.ir.neurons.integer import STATE_MAX, wrapped
from snndeploy.ir.xp import Array, Namespace

STEP = "step"
"""The word that counts steps, for tables over time; the chip counts them by itself."""


@dataclass(frozen=True)
class Operation:
    """One operation: ``op`` and its operands. The i-th operation's result is called ``t<i>``.

    An operand is an earlier result, the input "I", a state word, a constant, a table (second of LUT, first of LDT) or a
    whole number. ADD, SUB, MIN, MAX, GE, GT (1 or 0), SEL (p, a, b: a where p is not 0), MUL (a, b, n: a b / 2**n toward
    zero), SHR (a, n: floor of a / 2**n), LUT (table, a, low, width: entry i stands at low + i width, between entries the
    line is floored, outside the last value holds), LDT (table: the row of this step, after the last one the last).
    """

    op: str
    args: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.op, *self.args))


@dataclass(frozen=True, eq=False)
class GridNeuron(Node):
    """t0 = op0(...), t1 = op1(...), ...;  y = ``output``;  the words become ``after``. Reads I = 64 a, wrapped at 24 bits.

    ``a`` is the synaptic sum in weight units. ``constants`` broadcast against the feature shape, ``tables`` hold LUT
    entries [n] or rows over time [T, ...]; ``initial`` are the words before the first step. ``bound`` is the largest |y|.
    """

    emits: ClassVar[Emits] = "levels"
    operations: tuple[Operation, ...]
    output: str
    after: Mapping[str, str]
    initial: Mapping[str, Floats]
    constants: Mapping[str, Floats] = field(default_factory=dict)
    tables: Mapping[str, Floats] = field(default_factory=dict)
    bound: float = 1.0

    def __post_init__(self) -> None:
        for name in ("initial", "constants", "tables"):
            values = {key: frozen(value) for key, value in getattr(self, name).items()}
            whole = all(np.array_equal(value, np.round(value)) for value in values.values())
            require(self, whole, f"{name} must be whole numbers")
            object.__setattr__(self, name, MappingProxyType(values))
        object.__setattr__(self, "after", MappingProxyType(dict(self.after)))
        require(self, set(self.after) == set(self.initial), "every word needs an initial value and a value afterwards")

    @property
    def counts(self) -> bool:
        """True if it reads a table over time."""
        return any(line.op == "LDT" for line in self.operations)

    @property
    def graded(self) -> bool:
        """True if what it sends is more than 0 or 1."""
        return not (self.output in self.results and self.operations[int(self.output[1:])].op in ("GE", "GT"))

    @property
    def results(self) -> tuple[str, ...]:
        """The names of the operations' results."""
        return tuple(f"t{i}" for i in range(len(self.operations)))

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        rows = (t.shape[1:] for t in self.tables.values())
        return np.broadcast_shapes(inputs[0], *(c.shape for c in self.constants.values()), *(w.shape for w in self.initial.values()), *rows)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        words = {word: frozen(np.broadcast_to(value, out)) for word, value in self.initial.items()}
        return {**words, **({STEP: frozen(np.zeros(out))} if self.counts else {})}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        def compute(line: Operation, values: Mapping[str, Any]) -> Any:
            if line.op == "LDT":
                rows = self.tables[line.args[0]]
                result = xp.table(rows, xp.minimum(state[STEP], float(len(rows) - 1)))
            elif line.op == "LUT":
                x, low, width = (_read(a, values) for a in line.args[1:])
                result = interpolated(self.tables[line.args[0]], x, low, width, xp)
            else:
                result = OPERATIONS[line.op](xp, *(_read(a, values) for a in line.args))
            return saturated(result, xp)

        y, after = self.evaluated({**self.constants, **state, "I": wrapped(inputs[0] * 64.0, xp)}, compute)
        after = {word: value + 0.0 * inputs[0] for word, value in after.items()}
        return y + 0.0 * inputs[0], {**after, **({STEP: state[STEP] + 1.0} if self.counts else {})}

    def evaluated(
        self, start: Mapping[str, Any], compute: Callable[[Operation, Mapping[str, Any]], Any], number: Callable[[str], Any] = float
    ) -> tuple[Any, dict[str, Any]]:
        """(y, the words afterwards) where ``compute`` gives an operation's result, ``start`` what is known before and ``number`` a literal.

        ``step`` is this with arrays; a proof runs it with terms.
        """
        values = dict(start)
        for name, line in zip(self.results, self.operations, strict=True):
            values[name] = compute(line, values)
        read = {name: values[name] if name in values else number(name) for name in (self.output, *self.after.values())}
        return read[self.output], {word: read[name] for word, name in self.after.items()}


def saturated(value: Array, xp: Namespace) -> Array:
    """Clipped to a 24-bit word."""
    return xp.minimum(xp.maximum(value, -STATE_MAX), STATE_MAX)


def _read(operand: str, values: Mapping[str, Any]) -> Any:
    return values[operand] if operand in values else float(operand)


def interpolated(table: Floats, x: Array, low: float, width: float, xp: Namespace) -> Array:
    """The table at ``x``, as LUT reads it: entry i at ``low`` + i ``width``, floored lines between, flat outside."""
    inside = xp.minimum(xp.maximum(x - low, 0.0), width * (len(table) - 1) - 1)
    i = xp.floor(inside * (1.0 / width))
    # a reciprocal may miss the quotient by one entry, never by two
    i = i + xp.fire(inside, (i + 1.0) * width, False) - (1.0 - xp.fire(inside, i * width, False))
    rise = xp.gather(np.append(np.diff(table), 0.0), i) * (inside - i * width)
    quotient = xp.floor(rise * (1.0 / width))
    quotient = quotient + xp.fire(rise, (quotient + 1.0) * width, False) - (1.0 - xp.fire(rise, quotient * width, False))
    return xp.gather(table, i) + quotient


def _multiply(xp: Namespace, a: Array, b: Array, shift: float) -> Array:
    return xp.trunc(a * b * 2.0**-shift)


OPERATIONS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "ADD": lambda _, a, b: a + b,
        "SUB": lambda _, a, b: a - b,
        "MIN": lambda xp, a, b: xp.minimum(a, b),
        "MAX": lambda xp, a, b: xp.maximum(a, b),
        "GE": lambda xp, a, b: xp.fire(a, b, False),
        "GT": lambda xp, a, b: xp.fire(a, b, True),
        "SEL": lambda xp, p, a, b: xp.where(p, a, b),
        "MUL": _multiply,
        "SHR": lambda xp, a, n: xp.floor(a * 2.0**-n),
    }
)
"""What each operation computes."""
