"""Neuron programs: 13 opcodes on 24-bit saturating words.

This instruction set is ours: an abstract programmable neuron core, exact against itself, with no silicon reference
(Intel's microcode is not public). Whatever rests on it is graded "model only".

Per neuron and step the program reads ``I``, the synaptic input ``wrap24(a << 6)``, its own state words, the
constants ``k.*`` and plain integers, and may send one payload. Every write saturates to +-(2**23 - 1).

    MOV d a | ADD d a b | SUB d a b | MIN d a b | MAX d a b | MUL d a b sh   (product >> sh, toward zero)
    GE d a b | GT d a b (1 or 0) | SEL d p a b (p ? a : b) | SHR d a n (arithmetic)
    LUT d table a | LDT d table (entry t) | SPK p payload (sends payload where p is not 0)

``LUT`` interpolates: entry i of its table stands at ``k.table.lo`` + i ``k.table.step`` (two scalar constants named
after the table), between entries the line is floored, outside the last value holds. ``LDT`` counts t from 0 at the
program's reset and stays at the last entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType

import numpy as np

from snndeploy.arrays import Ints, frozen_ints, same
from snndeploy.errors import ChipError, did_you_mean

ARITY: Mapping[str, int] = MappingProxyType(
    {"MOV": 2, "ADD": 3, "SUB": 3, "MUL": 4, "MIN": 3, "MAX": 3, "GE": 3, "GT": 3, "SEL": 4, "LUT": 3, "LDT": 2, "SHR": 3, "SPK": 2}
)
MAX_STATE_WORDS = 6


@dataclass(frozen=True)
class Instruction:
    """One line of a program: an opcode and its operands."""

    op: str
    args: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join((self.op, *self.args))


@dataclass(frozen=True, eq=False)
class Definition:
    """What a program was compiled from: t0 = op0(...), t1 = op1(...), ...; it sends ``output``, the words become ``after``.

    The operations, their operands and what they compute: ``ir.neurons.on_grid.Operation``. ``initial`` are the words before the
    first step, arrays broadcast against the population's shape. A proof holds the program against it; nothing runs it.

    Raises:
        ChipError: an unknown operation, a wrong operand count, an unknown operand, words without an initial value.
    """

    operations: tuple[Instruction, ...]
    output: str
    after: Mapping[str, str]
    initial: Mapping[str, Ints]
    constants: Mapping[str, Ints] = field(default_factory=dict)
    tables: Mapping[str, Ints] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("initial", "constants", "tables"):
            object.__setattr__(self, name, MappingProxyType({k: frozen_ints(v) for k, v in getattr(self, name).items()}))
        object.__setattr__(self, "after", MappingProxyType(dict(self.after)))
        where = "a program's definition"
        if set(self.after) != set(self.initial):
            raise ChipError(where, "its words are not those that have an initial value")
        known = {"I", *self.initial, *self.constants}
        for i, line in enumerate(self.operations):
            wide = {"LUT": 4, "LDT": 1}.get(line.op, ARITY.get(line.op, 0) - 1)
            if line.op in ("MOV", "SPK") or len(line.args) != wide:
                raise ChipError(where, f"'{line}' is no operation")
            table, rest = (line.args[:1], line.args[1:]) if line.op in ("LUT", "LDT") else ((), line.args)
            self._known(line, rest[:1] if line.op == "LUT" else rest, known, where)
            if table and not self._reads(line):
                raise ChipError(where, f"'{line}' reads a table that is not given, or not so")
            known.add(f"t{i}")
        self._known(self.output, (self.output, *self.after.values()), known, where)

    def _reads(self, line: Instruction) -> bool:
        """True if the line's table is there, and placed by whole numbers."""
        entries = len(np.atleast_1d(self.tables.get(line.args[0], [])))
        if line.op == "LDT":
            return entries > 0
        return entries > 1 and all(map(_whole, line.args[2:])) and int(line.args[3]) > 0

    @staticmethod
    def _known(line: object, operands: tuple[str, ...], known: set[str], where: str) -> None:
        for operand in operands:
            if operand not in known and not _whole(operand):
                raise ChipError(where, f"'{line}' reads {operand!r}, which nothing has set", did_you_mean(operand, known))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Definition) and all(same(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.operations, self.output))


def _whole(operand: str) -> bool:
    return operand.lstrip("-").isdigit()


@dataclass(frozen=True, eq=False)
class NeuronProgram:
    """A neuron as code: ``state`` words with their initial values, constants (broadcast ints), tables, instructions.

    ``reset_at``: the step (counted from 1) before which all state words return to their initial values; 0 is never.
    ``definition``: what it was compiled from, for proofs; None where it was written by hand, or the file is an older one.
    Raises ``ChipError`` on an unknown opcode, a wrong operand count, an unknown name, or too many state words.
    """

    name: str
    state: Mapping[str, int]
    constants: Mapping[str, Ints]
    code: tuple[Instruction, ...]
    tables: Mapping[str, Ints] = field(default_factory=dict)
    reset_at: int = 0
    definition: Definition | None = field(default=None, metadata={"later": True})

    def __post_init__(self) -> None:
        for name in ("constants", "tables"):
            object.__setattr__(self, name, MappingProxyType({k: frozen_ints(v) for k, v in getattr(self, name).items()}))
        object.__setattr__(self, "state", MappingProxyType(dict(self.state)))
        where = f"neuron program {self.name}"
        if len(self.state) > MAX_STATE_WORDS:
            raise ChipError(where, f"{len(self.state)} state words, at most {MAX_STATE_WORDS}")
        known = {"I", *self.state}
        for line in self.code:
            self._check(line, known, where)
            if line.op != "SPK":
                known.add(line.args[0])

    def _check(self, line: Instruction, known: set[str], where: str) -> None:
        if line.op not in ARITY:
            raise ChipError(where, f"unknown opcode {line.op}", did_you_mean(line.op, ARITY))
        if len(line.args) != ARITY[line.op]:
            raise ChipError(where, f"'{line}' needs {ARITY[line.op]} operands")
        if line.op in ("LUT", "LDT"):
            self._check_table(line, where)
        for operand in line.args[0 if line.op == "SPK" else 1 :]:
            named = operand in known or operand.removeprefix("k.") in self.constants or operand in self.tables
            if not named and not _whole(operand):
                raise ChipError(where, f"'{line}' reads {operand!r}, which nothing has set", did_you_mean(operand, known))

    def _check_table(self, line: Instruction, where: str) -> None:
        table = line.args[1]
        if table not in self.tables:
            raise ChipError(where, f"'{line}' reads the table {table!r}, which is not given", did_you_mean(table, self.tables))
        if self.tables[table].size < (2 if line.op == "LUT" else 1):
            raise ChipError(where, f"the table {table!r} is too short for '{line}'")
        placed = [self.constants.get(f"{table}.{part}") for part in ("lo", "step")]
        if line.op == "LUT" and not all(c is not None and c.size == 1 for c in placed):
            raise ChipError(where, f"'{line}' needs the scalar constants {table}.lo and {table}.step", "they place its entries")

    def __str__(self) -> str:
        return "\n".join(f"  {line}" for line in self.code)


def needs(program: NeuronProgram) -> dict[str, int]:
    """What a program takes of a programmable core, by the name of the profile's limit.

    Registers are the words it writes beside its state; table entries those of its largest LUT, table steps the rows of
    its longest LDT table.
    """
    written = {line.args[0] for line in program.code if line.op != "SPK"}
    read = {op: {line.args[1] for line in program.code if line.op == op} for op in ("LUT", "LDT")}
    longest = {op: max((len(program.tables[name]) for name in names), default=0) for op, names in read.items()}
    return {
        "program_instructions": len(program.code),
        "state_words": len(program.state),
        "program_registers": len(written - set(program.state)),
        "table_entries": longest["LUT"],
        "table_steps": longest["LDT"],
    }


def assemble(
    name: str,
    text: str,
    state: Mapping[str, int],
    constants: Mapping[str, Ints],
    reset_at: int = 0,
    tables: Mapping[str, Ints] | None = None,
) -> NeuronProgram:
    """A program from its text, one instruction a line; ``;`` starts a comment."""
    lines = (line.split(";")[0].split() for line in text.splitlines())
    code = tuple(Instruction(words[0], tuple(words[1:])) for words in lines if words)
    return NeuronProgram(name, state, constants, code, tables or {}, reset_at)
