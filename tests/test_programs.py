"""The neuron-program interpreter against a scalar one on Python's unbounded integers, and against the equations it encodes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.chip.program import Instruction, NeuronProgram, assemble
from snndeploy.errors import ChipError
from snndeploy.sim.program import interpolate, program_step

MAX24 = 2**23 - 1
TABLES = {"G": np.array([5, -7, 2**20]), "S": np.array([0, 10, -400, 3000, 3001])}
CONSTANTS = {"c": np.array(3000), "big": np.array(2**23 - 1), "S.lo": np.array(-100), "S.step": np.array(50)}


def trunc(x, bits):
    return x // 2**bits if x >= 0 else -(-x // 2**bits)


def scalar_lut(x):
    table, low, step = TABLES["S"].tolist(), -100, 50
    inside = min(max(x - low, 0), step * (len(table) - 1) - 1)
    i, rest = divmod(inside, step)
    return table[i] + (table[i + 1] - table[i]) * rest // step


SCALAR = {
    "MOV": lambda a: a,
    "ADD": lambda a, b: a + b,
    "SUB": lambda a, b: a - b,
    "MUL": lambda a, b, sh: trunc(a * b, sh),
    "MIN": min,
    "MAX": max,
    "GE": lambda a, b: int(a >= b),
    "GT": lambda a, b: int(a > b),
    "SEL": lambda p, a, b: a if p else b,
    "SHR": lambda a, n: a >> n,
}


def scalar_step(program, state, current, step):
    """One neuron, one step: payload, words, whether a write saturated."""
    words, sent, clipped = {"I": current, **state}, 0, False
    constants = {f"k.{name}": int(value) for name, value in program.constants.items()}

    def value(operand):
        return words[operand] if operand in words else constants[operand] if operand in constants else int(operand)

    for line in program.code:
        if line.op == "SPK":
            sent = value(line.args[1]) if value(line.args[0]) else sent
            continue
        if line.op == "LDT":
            result = int(program.tables[line.args[1]][min(step, 2)])
        elif line.op == "LUT":
            result = scalar_lut(value(line.args[2]))
        else:
            result = SCALAR[line.op](*map(value, line.args[1:]))
        clipped |= abs(result) > MAX24
        words[line.args[0]] = max(-MAX24, min(MAX24, result))
    return sent, {name: words[name] for name in state}, clipped


OPERANDS = st.sampled_from(["I", "v", "w", "k.c", "k.big", "0", "-3", "12"])
TARGETS = st.sampled_from(["v", "w"])


@st.composite
def instructions(draw):
    op = draw(st.sampled_from([*SCALAR, "LUT", "LDT", "SPK"]))
    if op == "LDT":
        return Instruction(op, (draw(TARGETS), "G"))
    if op == "LUT":
        return Instruction(op, (draw(TARGETS), "S", draw(OPERANDS)))
    if op == "SPK":
        return Instruction(op, (draw(OPERANDS), draw(OPERANDS)))
    if op == "SHR":
        return Instruction(op, (draw(TARGETS), draw(OPERANDS), str(draw(st.integers(0, 23)))))
    count = {"MOV": 1, "SEL": 3}.get(op, 2)
    operands = tuple(draw(OPERANDS) for _ in range(count))
    more = (str(draw(st.integers(0, 23))),) if op == "MUL" else ()
    return Instruction(op, (draw(TARGETS), *operands, *more))


words = st.one_of(st.sampled_from([0, 1, -1, MAX24, -MAX24]), st.integers(-MAX24, MAX24))


@settings(max_examples=300)
@given(
    st.lists(instructions(), min_size=1, max_size=12), st.lists(st.tuples(words, words, words), min_size=1, max_size=4), st.integers(0, 4)
)
def test_vectors_compute_what_single_neurons_compute(code, neurons, step):
    program = NeuronProgram("random", {"v": 0, "w": 0}, CONSTANTS, tuple(code), TABLES)
    v, w, current = (np.array(column, np.int64) for column in zip(*neurons, strict=True))
    sent, after, lost = program_step(program, {"v": v, "w": w}, current, step)
    expected = [scalar_step(program, {"v": a, "w": b}, i, step) for a, b, i in neurons]
    assert sent.tolist() == [e[0] for e in expected]
    assert after["v"].tolist() == [e[1]["v"] for e in expected]
    assert after["w"].tolist() == [e[1]["w"] for e in expected]
    saturated = [np.count_nonzero(one.wanted != one.held) for one in lost if one.kind == "word"]
    assert sum(saturated) == sum(e[2] for e in expected)


def test_constants_differ_by_neuron_and_name_without_k():
    program = assemble("c", "ADD v v k.c\nGE p v c\nSPK p v", {"v": 0}, {"c": np.array([1, -1])})
    sent, after, *_ = program_step(program, {"v": np.zeros((2, 2), np.int64)}, np.zeros((2, 2), np.int64), 0)
    assert after["v"].tolist() == [[1, -1], [1, -1]]
    assert sent.tolist() == [[1, -1], [1, -1]]


def test_a_soft_reset_keeps_what_the_equation_keeps():
    """h = v/2 + I; spike at h >= 100; v = h - 100 where it fired."""
    program = assemble(
        "soft", "MUL v v k.a 12\nADD v v I\nGE p v k.th\nSPK p 1\nSUB r v k.th\nSEL v p r v", {"v": 0}, {"a": 2048, "th": 100}
    )
    state, v, spikes = {"v": np.array([0])}, 0, []
    for t, current in enumerate([99, 60, 200, -50, 0, 150]):
        h = trunc(v, 1) + current
        v = h - 100 if h >= 100 else h
        sent, state, *_ = program_step(program, state, np.array([current]), t)
        spikes.append(int(sent[0]))
        assert state["v"].tolist() == [v]
    assert spikes == [0, 1, 1, 0, 0, 1]


def test_a_table_is_a_line_between_entries_and_flat_outside():
    table = np.array([0, 100, 50])
    at = np.array([-99, 10, 15, 20, 25, 29, 30, 999])
    assert interpolate(table, 10, 10, at).tolist() == [0, 0, 50, 100, 75, 55, 55, 55]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("LUT v S I", r"needs the scalar constants S\.lo"),
        ("LUT v Q I", "which is not given"),
        ("LDT v Q", "which is not given"),
        ("LUT v one I", "too short"),
        ("ADD v v", "needs 3 operands"),
        ("JMP v v", "unknown opcode"),
        ("ADD v v q", "nothing has set"),
    ],
)
def test_programs_that_mean_nothing_are_not_made(text, what):
    with pytest.raises(ChipError, match=what):
        assemble("bad", text, {"v": 0}, {}, tables={"S": np.array([1, 2]), "one": np.array([1])})
