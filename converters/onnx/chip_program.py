"""Neuron programs in integer operators: every line one or a few, every write clipped to +-(2**23 - 1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from converters.onnx.integers import HALF, IntegerBody, Operand, Whole
from snndeploy.chip.program import Instruction, NeuronProgram
from snndeploy.errors import Unsupported

LAST_SHIFT = 62


class _Registers:
    """The words of a running program by name, and which of them have the population's full shape."""

    def __init__(self, body: IntegerBody, program: NeuronProgram, words: Mapping[str, Whole], arrays: Mapping[str, Whole]) -> None:
        self.body, self.program, self.arrays = body, program, arrays
        self.words = dict(words)
        self.full = set(words)

    def read(self, operand: str) -> Operand:
        """A word, a constant, or a plain integer."""
        if operand in self.words:
            return self.words[operand]
        name = operand.removeprefix("k.")
        return self.arrays[f"constants.{name}"] if name in self.program.constants else int(operand)

    def whole(self, operand: str) -> Whole:
        """As ``read``; a plain integer becomes a constant of the body."""
        value = self.read(operand)
        return value if isinstance(value, Whole) else self.body.constant(value)

    def unit(self, line: Instruction) -> Operand:
        """2**places of the line's last operand. Raises ``Unsupported`` where a number is no shift of 64-bit words."""
        operand = line.args[-1]
        if operand in self.words:
            return self.body.powers(self.words[operand].within(0, LAST_SHIFT))
        name = operand.removeprefix("k.")
        known = self.program.constants[name] if name in self.program.constants else np.asarray(int(operand))
        if known.size and (known.min() < 0 or known.max() > LAST_SHIFT):
            raise Unsupported(f"neuron program {self.program.name}", f"'{line}' shifts by {known.min()}..{known.max()}, outside 0..62")
        value = self.read(operand)
        return self.body.powers(value) if isinstance(value, Whole) else 1 << value

    def write(self, line: Instruction, value: Whole) -> None:
        """Clipped into the line's first operand."""
        read = {operand for operand in line.args[1:] if operand in self.words}
        self.words[line.args[0]] = value.saturated()
        (self.full.add if read & self.full else self.full.discard)(line.args[0])


def program_step(
    body: IntegerBody, program: NeuronProgram, state: Mapping[str, Whole], current: Whole, arrays: Mapping[str, Whole], since: Whole
) -> tuple[Whole, dict[str, Whole]]:
    """What is sent and the state words after one step.

    ``current`` is I, ``arrays`` the constants (``constants.<name>``) and tables (``tables.<name>``), ``since`` the step
    counted from 0 at the program's reset.
    """
    shape = next(iter(state.values()), current)
    registers = _Registers(body, program, {"I": current.like(shape), **state}, arrays)
    sent = body.constant(0)
    for line in program.code:
        if line.op == "SPK":
            sent = body.where(registers.whole(line.args[0]).truth(), registers.whole(line.args[1]), sent)
        elif line.op == "LDT":
            rows = program.tables[line.args[1]]
            entry = body.op("Gather", arrays[f"tables.{line.args[1]}"], since.least(len(rows) - 1), axis=0)
            registers.write(line, entry)
        else:
            registers.write(line, OPERATIONS[line.op](registers, line))
    words = {name: value if name in registers.full else value.like(shape) for name, value in registers.words.items()}
    return sent.like(shape), {name: words[name] for name in state}


def _plain(kind: str) -> Callable[[_Registers, Instruction], Whole]:
    return lambda r, line: r.body.op(kind, *(r.read(operand) for operand in line.args[1:]))


def _multiply(r: _Registers, line: Instruction) -> Whole:
    return (r.whole(line.args[1]) * r.read(line.args[2])).over(r.unit(line))


def _shift(r: _Registers, line: Instruction) -> Whole:
    return r.whole(line.args[1]).floored(r.unit(line))


def _select(r: _Registers, line: Instruction) -> Whole:
    condition, yes, no = line.args[1:]
    return r.body.where(r.whole(condition).truth(), r.read(yes), r.read(no))


def _interpolate(r: _Registers, line: Instruction) -> Whole:
    """The table at a word: a straight line, floored, between its entries, flat outside."""
    name = line.args[1]
    low, step = (int(r.program.constants[f"{name}.{part}"]) for part in ("lo", "step"))
    table, last = r.arrays[f"tables.{name}"], step * (len(r.program.tables[name]) - 1) - 1
    inside = (r.whole(line.args[2]) - low).within(0, last)
    index = inside.over(step)
    entry, following = (r.body.op("Gather", table, i, axis=0) for i in (index, index + 1))
    return entry + ((following - entry) * (inside - index * step)).floored(step)


OPERATIONS: Mapping[str, Callable[[_Registers, Instruction], Whole]] = MappingProxyType(
    {
        "MOV": lambda r, line: r.whole(line.args[1]),
        "ADD": _plain("Add"),
        "SUB": _plain("Sub"),
        "MUL": _multiply,
        "MIN": lambda r, line: r.whole(line.args[1]).least(r.read(line.args[2])),
        "MAX": lambda r, line: r.whole(line.args[1]).most(r.read(line.args[2])),
        "GE": lambda r, line: r.body.op("GreaterOrEqual", *map(r.read, line.args[1:])).whole(),
        "GT": lambda r, line: r.body.op("Greater", *map(r.read, line.args[1:])).whole(),
        "SEL": _select,
        "LUT": _interpolate,
        "SHR": _shift,
    }
)


def largest_payload(program: NeuronProgram) -> int:
    """A bound on what SPK sends, by absolute value: a word holds at most 2**23, a constant what it is."""
    written = {"I", *program.state, *(line.args[0] for line in program.code if line.op != "SPK")}
    largest = 0
    for line in program.code:
        if line.op == "SPK":
            payload = line.args[1]
            name = payload.removeprefix("k.")
            known = program.constants.get(name)
            constant = 0 if known is None and payload in written else int(np.abs(int(payload) if known is None else known).max(initial=0))
            largest = max(largest, constant, HALF if payload in written else 0)
    return largest
