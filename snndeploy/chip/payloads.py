"""What a population may send in one spike: the range of its payloads, from its model alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import STATE_MAX, HostInput, Lif, Model, TernaryLif
from snndeploy.chip.program import Instruction, NeuronProgram

Span: TypeAlias = tuple[Ints, Ints]
"""(lowest, highest), arrays that broadcast against each other."""


def payload_range(model: Model) -> Span:
    """What a population of this model may send, broadcast against its shape; 0 is nothing."""
    if isinstance(model, HostInput):
        low, high = model.payloads
        return np.asarray(low), np.asarray(high)
    if isinstance(model, NeuronProgram):
        return program_payloads(model)
    if isinstance(model, Lif):
        return np.asarray(0), np.asarray(1)
    top = np.asarray(1 if isinstance(model, TernaryLif) else STATE_MAX)
    return -top, top


def program_payloads(program: NeuronProgram) -> Span:
    """The payloads that a program's code can send, from the ranges of its constants; 0 is nothing."""
    known: dict[str, Span] = {}
    sent = (np.asarray(0), np.asarray(0))
    for line in program.code:
        if line.op == "SPK":
            low, high = _span(program, known, line.args[1])
            sent = (np.minimum(sent[0], low), np.maximum(sent[1], high))
        else:
            known[line.args[0]] = _written(program, known, line)
    return sent


def _written(program: NeuronProgram, known: Mapping[str, Span], line: Instruction) -> Span:
    if line.op == "MOV":
        return _span(program, known, line.args[1])
    if line.op == "SEL":
        (a, b), (c, d) = (_span(program, known, x) for x in line.args[2:])
        return np.minimum(a, c), np.maximum(b, d)
    if line.op in ("GE", "GT"):
        return np.asarray(0), np.asarray(1)
    return np.asarray(-STATE_MAX), np.asarray(STATE_MAX)


def _span(program: NeuronProgram, known: Mapping[str, Span], operand: str) -> Span:
    if operand in known:
        return known[operand]
    name = operand.removeprefix("k.")
    if name in program.constants:
        return program.constants[name], program.constants[name]
    if operand.lstrip("-").isdigit():
        return np.asarray(int(operand)), np.asarray(int(operand))
    return np.asarray(-STATE_MAX), np.asarray(STATE_MAX)
