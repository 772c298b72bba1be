"""A neuron program as formulas: the interpreter's meaning of the 13 opcodes, over z3 integers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import z3

from snndeploy.chip.models import STATE_MAX
from snndeploy.chip.program import Instruction, NeuronProgram
from snndeploy.errors import Unsupported
from snndeploy.verify.proofs.symbols import Decays, Symbol, toward_zero


def run_program(
    program: NeuronProgram, constants: Mapping[str, int], state: Mapping[str, Any], current: Any, decays: Decays, time: Any = None
) -> tuple[Any, dict[str, Any]]:
    """(payload sent, the new words) after one step; every write saturates. ``time``: the steps since the reset, for LDT.

    Raises:
        Unsupported: an instruction that depends on time (LDT), and no ``time``.
    """
    words: dict[str, Any] = {"I": current, **state}
    sent: Any = z3.IntVal(0)
    for line in program.code:
        if line.op == "SPK":
            sent = z3.If(_value(constants, words, line.args[0]) != 0, _value(constants, words, line.args[1]), sent)
        else:
            words[line.args[0]] = written(_result(program, constants, words, line, decays, time), line.op)
    return sent, {name: words[name] for name in state}


def written(value: Any, op: str) -> Any:
    """The value as a word holds it."""
    # a choice between words, or a truth value, cannot leave the range its operands are in
    if op in ("MOV", "SEL", "MIN", "MAX", "GE", "GT"):
        return value
    return z3.If(value > STATE_MAX, STATE_MAX, z3.If(value < -STATE_MAX, -STATE_MAX, value))


def _result(
    program: NeuronProgram, constants: Mapping[str, int], words: Mapping[str, Any], line: Instruction, decays: Decays, time: Any
) -> Any:
    if line.op == "LUT":
        low, width = constants[f"{line.args[1]}.lo"], constants[f"{line.args[1]}.step"]
        return piecewise([int(y) for y in program.tables[line.args[1]]], low, width, _value(constants, words, line.args[2]))
    if line.op == "LDT":
        if time is None:
            raise Unsupported(f"neuron program {program.name}", "reads a table by time", "its steps are compared by running them")
        return row([int(y) for y in program.tables[line.args[1]].reshape(-1)], time)
    operands = [_value(constants, words, operand) for operand in line.args[1:]]
    if line.op == "MUL":
        return _product(operands[0], operands[1], operands[2], decays)
    a, b = operands[0], operands[1] if len(operands) > 1 else None
    return {
        "MOV": lambda: a,
        "ADD": lambda: a + b,
        "SUB": lambda: a - b,
        "MIN": lambda: z3.If(a < b, a, b),
        "MAX": lambda: z3.If(a > b, a, b),
        "GE": lambda: z3.If(a >= b, z3.IntVal(1), z3.IntVal(0)),
        "GT": lambda: z3.If(a > b, z3.IntVal(1), z3.IntVal(0)),
        "SEL": lambda: z3.If(a != 0, b, operands[2]),
        "SHR": lambda: a / (1 << number(b)),
    }[line.op]()


def _product(a: Any, b: Any, bits: Any, decays: Decays) -> Any:
    places = number(bits)
    if z3.is_int_value(a):
        a, b = b, a
    if z3.is_int_value(b) and 0 <= number(b) <= 1 << places:
        factor = Symbol(a, number(b), places)
        return decays(a, (factor.numerator, factor.bits)) if factor.bits else factor.whole
    return toward_zero(a * b, places)


def row(table: list[int], time: Any) -> Any:
    """The entry of a step; after the last one the last."""
    entry: Any = z3.IntVal(table[-1])
    for t in range(len(table) - 2, -1, -1):
        entry = z3.If(time == t, z3.IntVal(table[t]), entry)
    return entry


def piecewise(table: list[int], low: int, width: int, x: Any) -> Any:
    """Between entries a straight line, floored; outside the last value holds."""
    last = len(table) - 2
    beyond = width * (len(table) - 1) - 1
    inside = z3.If(x - low < 0, z3.IntVal(0), z3.If(x - low > beyond, z3.IntVal(beyond), x - low))
    piece: Any = z3.IntVal(0)
    for i in range(last, -1, -1):
        line = table[i] + (table[i + 1] - table[i]) * (inside - i * width) / width
        piece = line if i == last else z3.If(inside < (i + 1) * width, line, piece)
    return piece


def number(term: Any) -> int:
    """The integer that a constant term is."""
    return int(term.as_long()) if z3.is_int_value(term) else int(term)


def _value(constants: Mapping[str, int], words: Mapping[str, Any], operand: str) -> Any:
    if operand in words:
        return words[operand]
    name = operand.removeprefix("k.")
    return z3.IntVal(constants[name] if name in constants else int(operand))
