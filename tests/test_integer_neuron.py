"""The integer neuron held against whole numbers written out, against the chip's LIF kernel, and against its own program."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.errors import GraphError
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.quantize.programs import program
from snndeploy.sim.kernels import bias_value, fire, integrate
from snndeploy.sim.program import program_step

STATE_MAX = 2**23 - 1
RESETS = ("hard", "subtract", "none")


def toward_zero(x: int) -> int:
    """x / 4096 without its fraction."""
    return -(-x >> 12) if x < 0 else x >> 12


def definition(node: IntegerNeuron, sums: list[int]) -> list[tuple[int, int, int]]:
    """(payload, u, v) a step of one neuron with scalar parameters, in unbounded integers, as the specification reads."""
    du, dv, bias = (int(a.reshape(())) for a in (node.du, node.dv, node.bias))
    thresholds, levels = ([int(t) for t in np.ravel(a)] for a in (node.thresholds, node.levels))
    amounts = [int(a) for a in np.ravel(node.amounts)] if node.amounts is not None else [0] * len(thresholds)
    u = v = fired = 0
    seen = []
    for a in sums:
        u = toward_zero(u * (4095 - du)) + 64 * a
        u -= 2**24 if u > 2**23 else -(2**24) if u <= -(2**23) else 0
        h = toward_zero(v * (4096 - dv)) + u + bias - (amounts[0] * fired if node.late else 0)
        h = max(-STATE_MAX, min(STATE_MAX, h))
        h = h if node.floor is None else max(h, int(node.floor))
        rung = sum(h > t for t in thresholds)
        fired = int(rung > 0)
        payload = h if not thresholds else levels[rung - 1] if rung else 0
        taken = amounts[rung - 1] if rung and node.reset == "subtract" and not node.late else 0
        v = 0 if rung and node.reset == "hard" else h - taken
        seen.append((payload, u, v))
    return seen


def run(node: IntegerNeuron, sums: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(payloads, u, v), each [T, B, *shape], of sums [T, B, *shape]."""
    state = {k: np.broadcast_to(x, sums.shape[1:]) for k, x in node.initial_state(sums.shape[2:]).items()}
    rows = []
    for now in sums:
        y, state = node.step((now,), state, NUMPY)
        rows.append((y, state["u"], state["v"]))
    return tuple(np.stack(words) for words in zip(*rows, strict=True))


NEAR = st.integers(-3, 3)
SUM = st.one_of(st.integers(-300, 300), st.integers(-(2**18) + 1, 2**18 - 1), NEAR.map(lambda n: 2**17 + n), NEAR.map(lambda n: n - 2**17))


@st.composite
def neurons(draw: st.DrawFn) -> IntegerNeuron:
    rungs = draw(st.integers(0, 4))
    reset = draw(st.sampled_from(RESETS)) if rungs else "hard"
    late = rungs == 1 and reset == "subtract" and draw(st.booleans())
    threshold = st.one_of(st.integers(-200, 400), st.integers(0, 131_071 * 64))
    ladder = sorted(draw(st.lists(threshold, min_size=rungs, max_size=rungs)))
    return IntegerNeuron(
        du=draw(st.one_of(st.sampled_from([-1, 0, 4095]), st.integers(-1, 4095))),
        dv=draw(st.one_of(st.sampled_from([0, 4095, 4096]), st.integers(0, 4096))),
        thresholds=np.array(ladder, float),
        levels=np.array(draw(st.lists(st.integers(-9, 300), min_size=rungs, max_size=rungs)), float),
        bias=draw(st.one_of(st.integers(-99, 99), st.integers(-(4095 << 7), 4095 << 7))),
        reset=reset,
        amounts=np.array(draw(st.lists(st.integers(0, 500), min_size=rungs, max_size=rungs)), float) if reset == "subtract" else None,
        late=late,
        floor=draw(st.one_of(st.none(), st.integers(-500, 50))) if rungs else None,
    )


@settings(max_examples=400)
@given(neurons(), st.lists(SUM, min_size=1, max_size=8))
def test_every_word_is_the_specification_in_unbounded_integers(node, sums):
    got = run(node, np.array(sums, float)[:, None, None])
    assert list(zip(*(words[:, 0, 0].astype(int).tolist() for words in got), strict=True)) == definition(node, sums)


def test_the_state_wraps_and_saturates_where_the_register_ends():
    still = IntegerNeuron(du=-1, dv=0, thresholds=[131_071 * 64.0], levels=[1.0], reset="none")
    over = run(still, np.full((3, 1, 1), 70_000.0))
    assert over[1][:, 0, 0].tolist() == [4_480_000, 8_960_000 - 2**24, 13_440_000 - 2**24]
    exact = run(still, np.array([2**17, 0.0])[:, None, None])
    assert exact[1][:, 0, 0].tolist() == [2**23, 2**23]  # Lava's range is (-2**23, 2**23]
    assert exact[2][:, 0, 0].tolist() == [STATE_MAX, STATE_MAX]
    under = run(still, np.array([-(2.0**17), 0])[:, None, None])
    assert under[1][0, 0, 0] == 2**23


def random_sums(rng: np.random.Generator, steps: int, batch: int, shape: tuple[int, ...], bound: int) -> np.ndarray:
    """Small, large and extreme sums mixed."""
    size = (steps, batch, *shape)
    kinds = [rng.integers(-4, 5, size), rng.integers(-bound, bound + 1, size), rng.choice([-bound, bound, 0], size)]
    return np.choose(rng.integers(0, 3, size), kinds).astype(float)


@pytest.mark.parametrize("seed", range(8))
def test_a_fixed_neuron_is_the_chips_lif(seed):
    rng = np.random.default_rng(seed)
    shape = (40,)
    du, dv = rng.choice([-1, 0, 2047, 4095], shape), rng.choice([0, 1, 2048, 4095, 4096], shape)
    vth = rng.choice([0, 1, 7, 5000, 131_071], shape)
    mantissa, exponent = rng.integers(-4095, 4096, shape), int(rng.integers(0, 8))
    node = IntegerNeuron(du, dv, vth[None] * 64.0, np.ones((1, 1)), mantissa * 2.0**exponent)
    assert node.fixed
    sums = random_sums(rng, 12, 9, shape, 2**17 + 5)
    spikes, us, vs = run(node, sums)
    u = v = np.zeros((9, *shape), np.int64)
    for t, a in enumerate(sums.astype(np.int64)):
        u, v, *_ = integrate(u, v, a, 4095 - du, 4096 - dv, bias_value(mantissa, np.asarray(exponent)))
        s, v = fire(v, vth << 6)
        np.testing.assert_array_equal(spikes[t], s)
        np.testing.assert_array_equal(us[t], u)
        np.testing.assert_array_equal(vs[t], v)


def test_a_read_out_shows_its_membrane_and_never_resets():
    node = IntegerNeuron(du=4095, dv=0, thresholds=np.zeros(0), levels=np.zeros(0), bias=3)
    assert node.fixed
    values, _, v = run(node, np.array([1.0, -2, 5])[:, None, None])
    assert values.ravel().tolist() == [67, -58, 265]
    np.testing.assert_array_equal(values, v)


def program_neuron(rng: np.random.Generator, reset: str, rungs: int, shape: tuple[int, ...], late: bool, floor: bool) -> IntegerNeuron:
    """Per-channel parameters within a range where no sum saturates."""
    wide = (shape[0], 1)
    ladder = np.sort(rng.integers(0, 9000, (rungs, *wide)), axis=0)
    return IntegerNeuron(
        du=np.full(wide, 4095) if rng.random() < 0.5 else rng.integers(500, 4096, wide),
        dv=rng.choice([0, 1, 100, 2048, 4095, 4096], wide),
        thresholds=ladder,
        levels=rng.integers(-3, 40, (rungs, *wide)),
        bias=rng.integers(-300, 300, wide) * int(rng.integers(0, 2)),
        reset=reset,
        amounts=rng.integers(0, 9000, (rungs, *wide)) if reset == "subtract" else None,
        late=late,
        floor=rng.integers(-400, 1, wide) if floor else None,
    )


CASES = [(reset, rungs, False, floor) for reset in RESETS for rungs in (1, 2, 3, 4) for floor in (False, True)]


@pytest.mark.parametrize(("reset", "rungs", "late", "floor"), [*CASES, ("subtract", 1, True, False), ("subtract", 1, True, True)])
def test_the_program_computes_every_word(reset, rungs, late, floor):
    rng = np.random.default_rng(CASES.index((reset, rungs, late, floor)) if not late else 99)
    shape = (7, 5)
    for _ in range(4):
        node = program_neuron(rng, reset, rungs, shape, late, floor)
        sums = random_sums(rng, 15, 6, shape, 100)
        sent, us, vs = run(node, sums)
        code = program(node, "n")
        words = {word: np.full((6, *shape), value, np.int64) for word, value in code.state.items()}
        for t, a in enumerate(sums.astype(np.int64)):
            got, words, lost = program_step(code, words, a << 6, t)
            assert not lost
            np.testing.assert_array_equal(got, sent[t])
            np.testing.assert_array_equal(words["v"], vs[t])
            if "u" in words:
                np.testing.assert_array_equal(words["u"], us[t])


@pytest.mark.parametrize(
    ("change", "fixed"),
    [
        ({}, True),
        ({"thresholds": [0.0]}, True),
        ({"thresholds": [65.0]}, False),
        ({"thresholds": [-64.0]}, False),
        ({"levels": [2.0]}, False),
        ({"floor": 0.0}, False),
        ({"reset": "none"}, False),
        ({"reset": "subtract", "amounts": [64.0]}, False),
        ({"reset": "subtract", "amounts": [64.0], "late": True}, False),
        ({"thresholds": [64.0, 128.0], "levels": [1.0, 2.0]}, False),
    ],
)
def test_what_the_chips_fixed_neuron_can_do(change, fixed):
    plain = {"du": 4095, "dv": 2048, "thresholds": [64.0], "levels": [1.0]}
    assert IntegerNeuron(**{**plain, **change}).fixed is fixed


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"bias": 0.5}, "bias must be whole"),
        ({"dv": 4097}, "decays"),
        ({"du": -2}, "decays"),
        ({"levels": [1.0, 2.0]}, "one entry a rung"),
        ({"amounts": [1.0]}, "amounts go with"),
        ({"reset": "subtract"}, "amounts go with"),
        ({"late": True}, "late is defined"),
        ({"thresholds": [np.nan]}, "NaN"),
    ],
)
def test_what_is_no_integer_neuron_is_not_made(change, what):
    with pytest.raises(GraphError, match=what):
        IntegerNeuron(**{"du": 4095, "dv": 0, "thresholds": [64.0], "levels": [1.0], **change})


def test_parameters_broadcast_to_the_output_shape():
    node = IntegerNeuron(du=4095, dv=np.zeros((3, 1)), thresholds=np.full((2, 1, 4), 64.0), levels=np.ones((2, 1, 1)))
    assert node.out_shape(((3, 4),)) == (3, 4)
    assert node.initial_state((3, 4))["v"].shape == (3, 4)
