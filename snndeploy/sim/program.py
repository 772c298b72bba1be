"""The neuron-program interpreter: exact, 24-bit saturating, all neurons at once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import STATE_MAX
from snndeploy.chip.program import Instruction, NeuronProgram
from snndeploy.sim.kernels import saturate, toward_zero
from snndeploy.sim.leaving import Left, merged


def _multiply(a: Ints, b: Ints, bits: Ints) -> Ints:
    return toward_zero(np.asarray(a * b), bits)


def _select(p: Ints, a: Ints, b: Ints) -> Ints:
    return np.where(p != 0, a, b)


ARITHMETIC: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "MOV": np.asarray,
        "ADD": operator.add,
        "SUB": operator.sub,
        "MUL": _multiply,
        "MIN": np.minimum,
        "MAX": np.maximum,
        "GE": operator.ge,
        "GT": operator.gt,
        "SEL": _select,
        "SHR": operator.rshift,
    }
)


def interpolate(table: Ints, low: int, step: int, x: Ints) -> Ints:
    """The table at x: entry i stands at ``low`` + i ``step``, a straight line (floored) between, flat outside."""
    last = step * (len(table) - 1) - 1
    inside = np.clip(x - low, 0, last)
    i = inside // step
    rise: Ints = (table[i + 1] - table[i]) * (inside - i * step)
    return np.asarray(table[i] + rise // step)


def program_step(
    program: NeuronProgram, state: Mapping[str, Ints], current: Ints, step: int
) -> tuple[Ints, dict[str, Ints], tuple[Left, ...]]:
    """One step of every neuron.

    Args:
        program: the code, its constants broadcast against the population's shape.
        state: the program's words, each ``[B, *shape]``.
        current: ``I``, the synaptic input ``wrap24(a << 6)``, ``[B, *shape]``.
        step: counted from 0 at the program's reset; selects the entry of a time table (the last one after its end).

    Returns:
        The payload sent (0: nothing), the new words, and where a write saturated or a table was read beyond its entries.
    """
    words: dict[str, Ints] = {"I": current, **state}
    sent = np.zeros(current.shape, np.int64)
    lost: list[Left] = []
    for line in program.code:
        if line.op == "SPK":
            sent = np.where(_value(program, words, line.args[0]) != 0, _value(program, words, line.args[1]), sent)
            continue
        written = np.broadcast_to(np.asarray(_result(program, words, line, step), np.int64), current.shape)
        if line.op == "LUT":
            lost += _outside(program, words, line)
        if written.size and (written.max() > STATE_MAX or written.min() < -STATE_MAX):
            held = saturate(written)
            lost.append(Left("word", written, held))
            written = held
        words[line.args[0]] = written
    return sent, {name: words[name] for name in state}, merged(lost)


def _outside(program: NeuronProgram, words: Mapping[str, Ints], line: Instruction) -> tuple[Left, ...]:
    """Where a LUT is read beyond its first or last entry, which hold there."""
    low, width = _located(program, line.args[1])
    x = _value(program, words, line.args[2])
    high = low + width * (len(program.tables[line.args[1]]) - 1)
    if not x.size or (x.min() >= low and x.max() <= high):
        return ()
    return (Left("table", x, np.clip(x, low, high)),)


def _located(program: NeuronProgram, table: str) -> tuple[int, int]:
    """Where a table's first entry stands, and how far apart they are."""
    return int(program.constants[f"{table}.lo"]), int(program.constants[f"{table}.step"])


def _result(program: NeuronProgram, words: Mapping[str, Ints], line: Instruction, step: int) -> Any:
    if line.op == "LDT":
        table = program.tables[line.args[1]]
        return table[min(step, len(table) - 1)]
    if line.op == "LUT":
        low, width = _located(program, line.args[1])
        return interpolate(program.tables[line.args[1]], low, width, _value(program, words, line.args[2]))
    return ARITHMETIC[line.op](*(_value(program, words, operand) for operand in line.args[1:]))


def _value(program: NeuronProgram, words: Mapping[str, Ints], operand: str) -> Ints:
    if operand in words:
        return words[operand]
    name = operand.removeprefix("k.")
    return program.constants[name] if name in program.constants else np.asarray(int(operand), np.int64)
