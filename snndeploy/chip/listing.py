"""Neuron programs as text: state, constants, tables and code; what is written reads back as the same program, less its definition.

program clif
state v 0
constant a 32768
constant th [2,1] 65536 70000
table G [3] 1 2 3
reset 4
MUL v v k.a 16    ; comments run to the end of the line
"""

from __future__ import annotations

import math

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.program import Instruction, NeuronProgram
from snndeploy.errors import ChipError

LINE = 100_000
"""The largest number of values in an array that is read: a program is written by people or by us."""


def listing(program: NeuronProgram) -> str:
    """The program as text."""
    lines = [f"program {program.name}", *(f"state {word} {value}" for word, value in program.state.items())]
    lines += [f"constant {name} {_values(value)}" for name, value in program.constants.items()]
    lines += [f"table {name} {_values(value)}" for name, value in program.tables.items()]
    lines += [f"reset {program.reset_at}"] if program.reset_at else []
    return "\n".join([*lines, *map(str, program.code)]) + "\n"


def from_listing(text: str) -> NeuronProgram:
    """The program that ``listing`` wrote.

    Raises:
        ChipError: a line that is none, an array without its values, or what ``NeuronProgram`` refuses.
    """
    name, reset_at = "program", 0
    state: dict[str, int] = {}
    arrays: dict[str, dict[str, Ints]] = {"constant": {}, "table": {}}
    code: list[Instruction] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split(";")[0].split()
        head, rest = (words[0], words[1:]) if words else ("", [])
        where = f"line {number}"
        if head == "program":
            name = " ".join(rest)
        elif head == "reset":
            reset_at = _whole(where, rest, 1)[0]
        elif head == "state":
            word = _named(where, rest)
            state[word] = _whole(where, rest[1:], 1)[0]
        elif head in arrays:
            array = _named(where, rest)
            arrays[head][array] = _array(where, rest[1:])
        elif head:
            code.append(Instruction(head, tuple(rest)))
    return NeuronProgram(name, state, arrays["constant"], tuple(code), arrays["table"], reset_at)


def _values(array: Ints) -> str:
    shape = f"[{','.join(map(str, array.shape))}] " if array.ndim else ""
    return shape + " ".join(map(str, array.ravel().tolist()))


def _named(where: str, words: list[str]) -> str:
    if not words:
        raise ChipError(where, "names nothing", "state v 0")
    return words[0]


def _array(where: str, words: list[str]) -> Ints:
    shape: tuple[int, ...] = ()
    if words and words[0].startswith("["):
        inside = words[0].strip("[]")
        shape = tuple(_whole(where, inside.split(","), inside.count(",") + 1)) if inside else (0,)
        words = words[1:]
    return np.array(_whole(where, words, math.prod(shape)), dtype=np.int64).reshape(shape)


def _whole(where: str, words: list[str], count: int) -> list[int]:
    if len(words) != count or not 0 <= count <= LINE:
        raise ChipError(where, f"{len(words)} values where {count} belong", "an array is its shape and its values: [2,1] 3 4")
    try:
        return [int(word) for word in words]
    except ValueError:
        raise ChipError(where, f"{' '.join(words)[:40]!r} is not whole numbers", "every number of a program is an integer") from None
