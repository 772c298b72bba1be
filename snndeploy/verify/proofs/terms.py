"""A compiled neuron program and its definition, run over terms: where both answer the same term, they are equal for every word.

A term is a number given to an operation on terms, equal for equal operations and operands. Constants and tables are terms
by their content, for all neurons of a layer at once. That an opcode means the definition's operation on every word is
asked of z3 once an opcode; a LUT, whose definition is written in floats, is run at every word.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import z3

from snndeploy.arrays import Ints, Shape, frozen, frozen_ints
from snndeploy.chip.models import STATE_MAX
from snndeploy.chip.program import Instruction, NeuronProgram
from snndeploy.ir.neurons.on_grid import GridNeuron, Operation, interpolated
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.verify.proofs.induction import Answer, check, time_left
from snndeploy.verify.proofs.programs import run_program
from snndeploy.verify.proofs.symbols import Decays, Formulas, Symbol

OPERANDS: Mapping[str, tuple[str, ...]] = {"SEL": ("p", "a", "b"), "SHR": ("a",), "MUL": ("a", "b")}
"""Which words an opcode reads; the others read a and b."""
CHUNK = 1 << 18


@dataclass
class Terms:
    """The terms met so far."""

    shape: Shape
    numbers: dict[Hashable, int] = field(default_factory=dict)
    lines: list[tuple[Any, ...]] = field(default_factory=list)

    def of(self, *line: Hashable) -> int:
        """The number of a term, by its operation and operands."""
        if line not in self.numbers:
            self.numbers[line] = len(self.lines)
            self.lines.append(line)
        return self.numbers[line]

    def literal(self, word: str) -> int:
        """A whole number."""
        return self.of("number", int(float(word)))

    def content(self, values: Any) -> int:
        """A constant, by what each neuron reads."""
        flat = np.asarray(np.broadcast_to(values, self.shape), np.int64)
        alike = flat.size and (flat == flat.flat[0]).all()
        return self.of("number", int(flat.flat[0])) if alike else self.of("constant", flat.tobytes())

    def rows(self, table: Any) -> int:
        """A table over time, by what each neuron reads."""
        found = np.asarray(table, np.int64)
        every = found if found.ndim == 1 else np.broadcast_to(found, (len(found), *self.shape))
        return self.of("rows", every.shape, every.tobytes())

    def entries(self, table: Any) -> int:
        """A table of values."""
        return self.of("entries", tuple(int(y) for y in table))


def of_definition(terms: Terms, node: GridNeuron) -> tuple[int, dict[str, int]]:
    """(y, the words afterwards) of one step of the definition."""
    start = {"I": terms.of("I"), **{w: terms.of("word", w) for w in node.initial}}
    start |= {name: terms.content(c) for name, c in node.constants.items()}

    def compute(line: Operation, values: Mapping[str, Any]) -> int:
        def read(operand: str) -> int:
            return int(values[operand]) if operand in values else terms.literal(operand)

        if line.op == "LDT":
            return terms.of("LDT", terms.rows(node.tables[line.args[0]]))
        if line.op == "LUT":
            x, low, width = (read(a) for a in line.args[1:])
            return terms.of("LUT", terms.entries(node.tables[line.args[0]]), x, low, width)
        return terms.of(line.op, *(read(a) for a in line.args))

    return node.evaluated(start, compute, terms.literal)


def of_program(terms: Terms, program: NeuronProgram) -> tuple[int, dict[str, int]]:
    """(payload, the words afterwards) of one step of the program."""
    words = {"I": terms.of("I"), **{w: terms.of("word", w) for w in program.state}}

    def read(operand: str) -> int:
        if operand in words:
            return words[operand]
        name = operand.removeprefix("k.")
        return terms.content(program.constants[name]) if name in program.constants else terms.literal(operand)

    sent = terms.of("number", 0)
    for line in program.code:
        if line.op == "SPK":
            sent = _sent(terms, read(line.args[0]), read(line.args[1]), sent)
        elif line.op == "LDT":
            words[line.args[0]] = terms.of("LDT", terms.rows(program.tables[line.args[1]]))
        elif line.op == "LUT":
            placed = (terms.content(program.constants[f"{line.args[1]}.{part}"]) for part in ("lo", "step"))
            words[line.args[0]] = terms.of("LUT", terms.entries(program.tables[line.args[1]]), read(line.args[2]), *placed)
        else:
            operands = [read(a) for a in line.args[1:]]
            words[line.args[0]] = operands[0] if line.op == "MOV" else terms.of(line.op, *operands)
    return sent, {word: words[word] for word in program.state}


def _sent(terms: Terms, p: int, payload: int, before: int) -> int:
    """p where p itself is sent, or 1 is where p is 0 or 1, after nothing: asked of z3 as ``_sends``."""
    silent, one = terms.of("number", 0), terms.of("number", 1)
    if before == silent and (payload == p or (payload == one and terms.lines[p][0] in ("GE", "GT"))):
        return p
    return terms.of("SPK", p, payload, before)


def equal(program: NeuronProgram, node: GridNeuron, shape: Shape) -> Terms | None:
    """The terms, where program and definition start alike and answer the same ones; None where they do not."""
    terms = Terms(shape)
    start = {w: terms.content(value) for w, value in node.initial.items()}
    if start != {w: terms.content(value) for w, value in program.state.items()}:
        return None
    return terms if of_program(terms, program) == of_definition(terms, node) else None


def meanings(terms: Terms, limit: float) -> Iterator[tuple[str, Answer]]:
    """For each opcode met, and for what sends: that it means the same on both sides, for every word."""
    yield "SPK", _sends(limit)
    seen: set[tuple[Any, ...]] = set()
    for line in terms.lines:
        if line[0] in ("ADD", "SUB", "MIN", "MAX", "GE", "GT", "SEL", "MUL", "SHR"):
            op, last = line[0], terms.lines[line[-1]]
            asked = (op, last[1]) if op in ("MUL", "SHR") and last[0] == "number" else (op,)
            if not all(_is_word(terms.lines[at]) for at in line[1 : None if len(asked) == 1 else -1]):
                yield op, Answer("unknown", 0.0)
            elif asked not in seen:
                seen.add(asked)
                yield op, _means(*asked, limit=limit)


def _is_word(line: tuple[Any, ...]) -> bool:
    """False for a constant that no word can hold, of which ``_means`` says nothing."""
    values = np.frombuffer(line[1], np.int64) if line[0] == "constant" else np.asarray(line[1] if line[0] == "number" else 0)
    return bool((np.abs(values) <= STATE_MAX).all())


def _means(op: str, *places: int, limit: float) -> Answer:
    """One instruction beside a neuron of one operation, whose ``step`` is run over formulas."""
    if op in ("MUL", "SHR") and not (places and 0 <= places[0] < 63):
        return Answer("unknown", 0.0)
    read = (*OPERANDS.get(op, ("a", "b")), *(str(n) for n in places))
    names = ("a", "b", "p")
    after = {"a": "t0", "b": "b", "p": "p"}
    node = GridNeuron((Operation(op, read),), "t0", after, {w: frozen(0.0) for w in names})
    program = NeuronProgram(op, dict.fromkeys(names, 0), {}, (Instruction(op, ("a", *read)),))
    words = {w: z3.Int(w) for w in names}
    state: Any = {w: Symbol(term) for w, term in words.items()}
    _, wanted = node.step((Symbol(z3.IntVal(0)),), state, Formulas(Decays()))  # type: ignore[arg-type]
    _, got = run_program(program, {}, words, z3.IntVal(0), Decays())
    return check(_ranged(words.values()), got["a"] == wanted["a"].whole, limit)


def _sends(limit: float) -> Answer:
    p = z3.Int("p")
    itself, one = (NeuronProgram("", {"p": 0}, {}, (Instruction("SPK", ("p", x)),)) for x in ("p", "1"))
    a, b = (run_program(program, {}, {"p": p}, z3.IntVal(0), Decays())[0] for program in (itself, one))
    return check(_ranged([p]), z3.And(a == p, z3.Implies(z3.And(p >= 0, p <= 1), b == p)), limit)


def _ranged(words: Iterable[Any]) -> list[Any]:
    return [z3.And(w >= -STATE_MAX, w <= STATE_MAX) for w in words]


def tables_agree(terms: Terms) -> tuple[bool, int]:
    """(true if every LUT gives the definition's number at every word, at how many words they were run).

    Both clip x to the table's range first, with exact arithmetic, so words further out are those at its ends.
    """
    count = 0
    for line in (found for found in terms.lines if found[0] == "LUT"):
        located = [terms.lines[at] for at in (line[3], line[4])]
        if any(at[0] != "number" for at in located) or located[1][1] < 1 or time_left() <= 0:
            return False, count
        table, low, width = np.asarray(terms.lines[line[1]][1], np.int64), located[0][1], located[1][1]
        for x in _words(low - 2, low + width * (len(table) - 1) + 2):
            count += len(x)
            wanted = np.clip(interpolated(table.astype(np.float64), x.astype(np.float64), float(low), float(width), NUMPY), *_WORD)
            if not np.array_equal(wanted, np.clip(_floored(table, low, width, x), *_WORD)):
                return False, count
    return True, count


_WORD = (-STATE_MAX, STATE_MAX)


def _words(low: int, high: int) -> Iterator[Ints]:
    ends = max(low, -STATE_MAX), min(high, STATE_MAX)
    yield frozen_ints([-STATE_MAX, STATE_MAX])
    yield from (np.arange(first, min(first + CHUNK, ends[1] + 1)) for first in range(ends[0], ends[1] + 1, CHUNK))


def _floored(table: Ints, low: int, width: int, x: Ints) -> Ints:
    """LUT as the instruction set states it, in integers."""
    inside = np.clip(x - low, 0, width * (len(table) - 1) - 1)
    i = inside // width
    return np.asarray(table[i] + (table[i + 1] - table[i]) * (inside - i * width) // width)
