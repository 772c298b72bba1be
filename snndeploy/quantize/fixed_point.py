"""An expression over the reals -> a neuron on a grid of whole numbers.

Every real term is held as round(value * scale) in a 24-bit word. Terms that are added or compared share a scale. That of
the input's unit is given (64 per weight unit); every other unit takes the finest power of two that holds its range twice
over. Multipliers are fractions of 2**16, made coarser where they exceed 1; a product is shifted back at once, toward
zero. A function of one value is a table with straight lines between, on the range the value was given. A constant that
something is compared with is rounded so that the comparison of the exact number with any grid point stays the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.errors import Unsupported
from snndeploy.ir.expressions import Expression, Term, terms_of
from snndeploy.ir.neurons.integer import STATE_MAX
from snndeploy.ir.neurons.on_grid import GridNeuron, Operation
from snndeploy.quantize.algebra import is_spike
from snndeploy.quantize.kinds import Kinds
from snndeploy.quantize.ranges import Ranges
from snndeploy.quantize.tables import Curve, curves, fitted

MULTIPLIER_BITS = 16
SCALE_BITS = 16
"""A unit of its own is at most so fine: 2**16 steps to the real unit."""
NEARLY = 1e-9
"""A whole number that floats missed by this much, relative, is meant."""


@dataclass(frozen=True)
class Precision:
    """``scale``: grid steps of the input's unit to the real unit; ``level``: the real value of one unit of output.

    ``segments``: how many a table has; None: as many as its error asks for.
    """

    scale: float
    level: float = 1.0
    multiplier_bits: int = MULTIPLIER_BITS
    segments: int | None = None


@dataclass(frozen=True)
class Fixed:
    """The neuron on the grid, and the errors of its tables: the largest difference to the function, in real units."""

    neuron: GridNeuron
    tables: tuple[float, ...]


class TooFine(Unsupported):
    """A table or a constant leaves its word at this scale: it ``holds`` so much, ``over`` times what the word does.

    ``unit`` is the unit of its own that it is held in, 0 if it is the input's.
    """

    def __init__(self, holds: float, over: float, unit: int) -> None:
        self.holds, self.over, self.unit = holds, over, unit
        what = f"a table or constant of {holds:g} leaves its 24-bit word {over:.3g} times"
        super().__init__("neuron", what, f"make one weight unit worth at least {over:.3g} times as much")


def fixed_point(expression: Expression, ranges: Ranges, precision: Precision) -> Fixed:
    """The integer neuron of a simplified expression. Units of its own are made coarser until all they hold fits.

    Raises:
        TooFine: a table or constant in the input's unit does not fit at this scale.
        Unsupported: it sends real values, divides by what it computes, or has more than the chip's words hold.
    """
    return _fitted(expression, ranges, precision, {})


def _fitted(expression: Expression, ranges: Ranges, precision: Precision, coarser: Mapping[int, float]) -> Fixed:
    """The neuron with units of its own so many times ``coarser``, or more where that does not do."""
    try:
        return _fixed(expression, ranges, precision, coarser)
    except TooFine as full:
        unit = full.unit
        if not unit:
            raise
        by = coarser.get(unit, 1.0) * 2.0 ** max(1, math.ceil(math.log2(full.over)))
    return _fitted(expression, ranges, precision, {**coarser, unit: by})


def _fixed(expression: Expression, ranges: Ranges, precision: Precision, coarser: Mapping[int, float]) -> Fixed:
    maker = _Maker(expression, ranges, precision, coarser)
    output = maker.output(expression.output)
    after = {word: maker.word(word, term) for word, term in expression.after.items()}
    initial = {word: np.round(value * maker.scale_of_word(word)) for word, value in expression.initial.items()}
    bound = max(1.0, math.ceil(ranges.largest(expression.output) / abs(precision.level) - NEARLY))
    neuron = GridNeuron(tuple(maker.operations), output, after, initial, maker.constants, maker.tables, bound)
    return Fixed(neuron, tuple(maker.errors))


def room(expression: Expression, ranges: Ranges) -> float:
    """The finest scale of the input's unit at which no term of that unit leaves its word."""
    kinds = Kinds(expression, curves(expression))
    order = list(terms_of(expression.roots()))
    units = {kinds.unit(t) for t in order if t.op == "input"}
    peaks = [ranges.largest(t) for t in order if kinds.of(t) == "real" and kinds.unit(t) in units]
    return STATE_MAX / max([*peaks, 1e-30])


class _Maker:
    """Makes operations, each once, at whatever scale they are asked for."""

    def __init__(self, expression: Expression, ranges: Ranges, precision: Precision, coarser: Mapping[int, float]) -> None:
        self.operations: list[Operation] = []
        self.constants: dict[str, Floats] = {}
        self.tables: dict[str, Floats] = {}
        self.errors: list[float] = []
        self._ranges, self._precision = ranges, precision
        self._curves: Mapping[int, Curve] = (tabled := curves(expression))
        self._kinds = Kinds(expression, tabled)
        self._expression = expression
        self._made: dict[tuple[int, float], str] = {}
        self._lines: dict[Operation, str] = {}
        self._given: set[int] = set()
        self._scales = {unit: scale / coarser.get(unit, 1.0) for unit, scale in self._units(expression).items()}

    def _units(self, expression: Expression) -> dict[int, float]:
        """The scale of every unit; notes which is the input's."""
        peaks: dict[int, float] = {}
        for term in terms_of(expression.roots()):
            if self._kinds.of(term) == "real":
                unit = self._kinds.unit(term)
                peaks[unit] = max(peaks.get(unit, 0.0), self._ranges.largest(term))
                self._given |= {unit} if term.op == "input" else set()
        free = {u: 2.0 ** min(SCALE_BITS, math.floor(math.log2(STATE_MAX / 2 / max(p, 1e-6)))) for u, p in peaks.items()}
        return {u: self._precision.scale if u in self._given else free[u] for u in peaks}

    def _held(self, values: Floats, scale: float) -> None:
        """Raise where numbers of this scale leave their word."""
        largest = float(np.abs(values).max(initial=0.0))
        if largest <= STATE_MAX:
            return
        if not math.isfinite(largest):
            what = "a table has no end: an exponential or a quotient overflows where its argument may come to lie"
            raise Unsupported("neuron", what, "train with smaller potentials, or with a threshold that is reached sooner")
        own = [u for u, s in self._scales.items() if s == scale and u not in self._given]
        given = any(self._scales[u] == scale for u in self._given)
        if not own and not given:
            raise Unsupported("neuron", f"sends or multiplies by {largest / scale:g}", f"at most {STATE_MAX / scale:g} fits a word")
        raise TooFine(largest / scale, largest / STATE_MAX, 0 if given else own[0])

    def scale_of_word(self, word: str) -> float:
        """Grid steps of a state word to the real unit."""
        found = [t for t in terms_of(self._expression.roots()) if t.op in ("state", "bit") and t.name == word]
        return self._own(found[0]) if found else self._own(self._expression.after[word])

    def _own(self, term: Term) -> float:
        return self._scales[self._kinds.unit(term)] if self._kinds.of(term) == "real" else 1.0

    def output(self, term: Term) -> str:
        """What is sent, in units of the level."""
        if self._kinds.of(term) == "real":
            raise Unsupported("neuron", "sends real values, a spike carries whole ones", "read its membrane at the end of the network")
        return self.value(term, 1.0 if self._kinds.of(term) == "whole" and self._precision.level == 1 else 1.0 / self._precision.level)

    def word(self, word: str, term: Term) -> str:
        """What a state word becomes."""
        return self.value(term, self.scale_of_word(word))

    def value(self, term: Term, scale: float) -> str:
        """The operand that holds the term at this scale."""
        key = (id(term), scale)
        if key not in self._made:
            own = self._own(term)
            kind = self._kinds.of(term)
            if kind == "free" or scale == own:
                self._made[key] = self._compute(term, scale)
            elif kind == "whole":
                self._made[key] = self._worth(term, scale)
            else:
                self._made[key] = self._times(self.value(term, own), np.asarray(scale / own))
        return self._made[key]

    def _worth(self, term: Term, scale: float) -> str:
        """A whole number, each unit of it worth ``scale``."""
        amount = self._number(np.round(np.asarray(scale)))
        whole = self.value(term, 1.0)
        return self._emit("SEL", whole, amount, "0") if is_spike(term) else self._emit("MUL", whole, amount, "0")

    def _compute(self, term: Term, scale: float) -> str:
        if id(term) in self._curves:
            return self._curve(term, scale)
        if term.op in ("input", "state", "bit"):
            return "I" if term.op == "input" else term.name
        if term.op in ("const", "table"):
            assert term.value is not None, "it has a value"
            values = np.round(term.value * scale)
            return self._number(values) if term.op == "const" else self._emit("LDT", self._table(values))
        return getattr(self, f"_{term.op}")(term, scale)  # type: ignore[no-any-return]

    def _sum(self, term: Term, scale: float) -> str:
        total = ""
        for sign, part in zip(term.name, term.args, strict=True):
            self._whole_part(part, scale)
            operand = self.value(part, scale)
            if total:
                total = self._emit("ADD" if sign == "+" else "SUB", total, operand)
            else:
                total = operand if sign == "+" else self._emit("SUB", "0", operand)
        return total

    def _mul(self, term: Term, scale: float) -> str:
        a, b = sorted(term.args, key=lambda t: ("real", "free", "whole").index(self._kinds.of(t)))
        kinds = (self._kinds.of(a), self._kinds.of(b))
        if kinds == ("real", "real"):
            return self._product(a, b, scale)
        if kinds[1] == "whole":
            if kinds[0] == "free" and a.op == "const" and scale == 1.0 == self._own(term) and not self._kinds.keeps_whole(a):
                return self._times(self.value(b, 1.0), _known(a))
            return self._emit("MUL", self.value(b, 1.0), self.value(a, scale), "0")
        a, b = (b, a) if a.op in ("const", "table") and b.op != "const" else (a, b)
        if b.op == "const":
            return self._times(self.value(a, scale), _known(b))
        bits = self._bits(self._ranges.largest(b))
        return self._emit("MUL", self.value(a, scale), self.value(b, 2.0**bits), str(bits))

    def _product(self, a: Term, b: Term, scale: float) -> str:
        """Two real values: the product's scale is that of both, shifted back to less than twice what is asked for."""
        both = self._own(a) * self._own(b)
        shift = max(0, math.floor(math.log2(both / scale)))
        product = self._emit("MUL", self.value(a, self._own(a)), self.value(b, self._own(b)), str(shift))
        return product if both / 2**shift == scale else self._times(product, np.asarray(scale * 2**shift / both))

    def _times(self, operand: str, factor: Floats) -> str:
        """An operand times a number."""
        largest = float(np.abs(factor).max())
        if bool((factor == 1).all()):
            return operand
        if bool((factor == np.round(factor)).all()):
            return self._emit("MUL", operand, self._number(factor), "0")
        bits = self._bits(largest)
        return self._emit("MUL", operand, self._number(np.round(factor * 2.0**bits)), str(bits))

    def _bits(self, largest: float) -> int:
        """Fraction bits of a multiplier: 16, fewer where it is larger than 1."""
        bits = self._precision.multiplier_bits - max(0, math.ceil(math.log2(max(largest, 1e-30))))
        if bits < 0:
            raise Unsupported("neuron", f"multiplies by {largest:g}, which no multiplier holds", "rescale the layer")
        return bits

    def _min(self, term: Term, scale: float) -> str:
        return self._emit("MIN", *(self.value(a, scale) for a in term.args))

    def _max(self, term: Term, scale: float) -> str:
        return self._emit("MAX", *(self.value(a, scale) for a in term.args))

    def _whole_part(self, part: Term, scale: float) -> None:
        """A number in a sum or a choice must not be cut off; in a comparison, a smaller or a larger it may be."""
        if part.op in ("const", "table"):
            self._held(np.round(_known(part) * scale), scale)

    def _where(self, term: Term, scale: float) -> str:
        never = float(np.max(self._ranges.proven[id(term.args[0])][1])) == 0
        for part in term.args[2:] if never else term.args[1:]:
            self._whole_part(part, scale)
        return self._emit("SEL", self.value(term.args[0], 1.0), *(self.value(a, scale) for a in term.args[1:]))

    def _ge(self, term: Term, scale: float) -> str:
        return self._compare("GE", term)

    def _gt(self, term: Term, scale: float) -> str:
        return self._compare("GT", term)

    def _compare(self, op: str, term: Term) -> str:
        scales = [self._own(a) for a in term.args if self._kinds.of(a) == "real"]
        free = all(self._kinds.of(a) == "free" for a in term.args)
        scale = scales[0] if scales else 2.0**SCALE_BITS if free else 1.0
        sides = [self._edge(a, scale, (op == "GE") == (i == 1)) for i, a in enumerate(term.args)]
        return self._emit(op, *sides)

    def _edge(self, term: Term, scale: float, up: bool) -> str:
        """One side of a comparison; a number is rounded so that no grid point changes sides."""
        if term.op != "const":
            return self.value(term, scale)
        exact = _known(term) * scale
        slack = NEARLY * np.abs(exact)
        return self._number(np.ceil(exact - slack) if up else np.floor(exact + slack))

    def _floor(self, term: Term, scale: float) -> str:
        (of,) = term.args
        bits = self._fraction(of)
        return self._emit("SHR", self.value(of, 2.0**bits), str(bits))

    def _trunc(self, term: Term, scale: float) -> str:
        (of,) = term.args
        bits = self._fraction(of)
        return self._emit("MUL", self.value(of, 2.0**bits), "1", str(bits))

    def _fraction(self, of: Term) -> int:
        """Fraction bits of what is rounded: as many as its unit has, to the nearest power of two."""
        if self._kinds.of(of) == "whole":
            return 0
        own = self._own(of) if self._kinds.of(of) == "real" else 2.0**SCALE_BITS
        return max(0, round(math.log2(own)))

    def _curve(self, term: Term, scale: float) -> str:
        curve = self._curves[id(term)]
        own = self._own(curve.base) if self._kinds.of(curve.base) != "free" else 2.0**SCALE_BITS
        low, high = self._ranges.of(curve.base)
        table = fitted(curve.function, low, max(high, low + 1.0 / own), own, scale, self._precision.segments)
        self._held(table.entries, scale)
        self.errors.append(table.error)
        return self._emit("LUT", self._table(table.entries), self.value(curve.base, own), str(table.low), str(table.width))

    def _number(self, values: Floats) -> str:
        """A constant; -1, 0 and 1 stand in the operation itself."""
        values = np.clip(values, -STATE_MAX, STATE_MAX) + 0.0
        if values.size == 1 and abs(float(values.flat[0])) <= 1:
            return str(int(values.flat[0]))
        return _named("c", self.constants, values)

    def _table(self, values: Floats) -> str:
        return _named("T", self.tables, np.clip(values, -STATE_MAX, STATE_MAX))

    def _emit(self, op: str, *args: str) -> str:
        if op == "SEL" and args[1:] == ("1", "0"):
            return args[0]
        line = Operation(op, args)
        if line not in self._lines:
            self._lines[line] = f"t{len(self.operations)}"
            self.operations.append(line)
        return self._lines[line]


def _known(term: Term) -> Floats:
    assert term.value is not None, "a constant has a value"
    return term.value


def _named(prefix: str, known: dict[str, Floats], values: Floats) -> str:
    """The name of these values, new or old."""
    for name, old in known.items():
        if old.shape == values.shape and np.array_equal(old, values):
            return name
    known[f"{prefix}{len(known)}"] = values
    return f"{prefix}{len(known) - 1}"
