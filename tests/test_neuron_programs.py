"""From a neuron's equation to its program: one step, traced, on a grid, compiled, and held against both ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.chip.listing import from_listing, listing
from snndeploy.chip.program import ARITY, Instruction, NeuronProgram, assemble, needs
from snndeploy.errors import ChipError, Unsupported
from snndeploy.ir.expressions import Run, trace
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.burst import Burst, lifb
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.clifspike import CLIFSpike
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.glif import GLIF, glif, glif_f
from snndeploy.ir.neurons.klif import KLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.multispike import MultiSpike
from snndeploy.ir.neurons.on_grid import GridNeuron, Operation, interpolated
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.quantize.algebra import input_gain, simplified, with_input
from snndeploy.quantize.compiling import compiled
from snndeploy.quantize.fixed_point import Precision, fixed_point
from snndeploy.quantize.ranges import ranges
from snndeploy.quantize.tables import fitted
from snndeploy.sim.program import interpolate, program_step

MAX24 = 2**23 - 1
SCALE = 2.0**16
FINE = Precision(SCALE)
RNG = np.random.default_rng(0)
WIDE = (3, 1)


class Ternary(Node):
    """Sends +1 above, -1 below, and resets after either; not in the project, as a user's own neuron would be."""

    def initial_state(self, shape):
        return {"v": np.zeros(shape)}

    def step(self, inputs, state, xp):
        h = state["v"] * 0.75 + inputs[0]
        up, down = xp.fire(h, 1.0, False), xp.fire(-1.0, h, False)
        return up - down, {"v": h * (1.0 - up) * (1.0 - down)}


class Squares(Node):
    """A product of two words and of a word with itself, a state that counts spikes, words that trade places."""

    def initial_state(self, shape):
        return {"v": np.full(shape, 0.25), "w": np.zeros(shape), "n": np.zeros(shape)}

    def step(self, inputs, state, xp):
        h = state["v"] * state["v"] * 0.25 - state["w"] * 0.5 + inputs[0]
        s = xp.fire(h, state["n"] * 0.5 + 0.5, True)
        return s, {"v": state["w"], "w": xp.minimum(xp.maximum(h, -2.0), 2.0), "n": xp.minimum(state["n"] + s, 3.0)}


class Late(Node):
    """Sends what it decided a step ago, so that its output is a word that the step overwrites."""

    def initial_state(self, shape):
        return {"v": np.zeros(shape), "s": np.zeros(shape)}

    def step(self, inputs, state, xp):
        h = state["v"] * 0.5 + inputs[0]
        s = xp.fire(h, 1.0, False)
        return state["s"], {"v": xp.where(s, 0.0, h), "s": s}


NEURONS = {
    "LIF": (LIF(decay=0.5), 5),
    "LIF, soft reset": (LIF(decay=2 / 3, reset="subtract"), 6),
    "LIF, late reset by channel": (LIF(RNG.uniform(0.3, 0.9, WIDE), reset="subtract", late=True, amount=0.8), None),
    "LIF, rest and floor": (LIF(0.8, gain=0.2, rest=-0.1, v_reset=-0.2, floor=-0.4), 7),
    "PLIF": (LIF(decay=1 - 0.4, gain=0.4, strict=True), 5),
    "CUBA": (CubaLIF(0.5, 0.8), 8),
    "CUBA, late reset to zero": (CubaLIF(0.5, 0.8, late=True), None),
    "GLIF": (glif((0.6, 0.4, 0.7), [0.8], [0.5], [0.1], [0.3], RNG.uniform(0.2, 0.9, 10)), 9),
    "GLIF by channel": (
        glif((np.full(WIDE, 0.5), 0.4, 0.7), np.full((10, *WIDE), 0.8), [0.5], [0.1], [0.3], RNG.random((10, *WIDE))),
        None,
    ),
    "GLIF_f": (glif_f([0.8], [0.5], [0.02], [0.1], RNG.uniform(0.2, 0.9, 10), strict=False), None),
    "CLIF": (CLIF(0.5, 0.5), 11),
    "CLIF, hard": (CLIF(0.5, 0.5, reset="hard", v_reset=-0.1), None),
    "CLIF, rate by channel": (CLIF(RNG.uniform(0.3, 0.9, WIDE), RNG.uniform(0.3, 0.9, WIDE)), None),
    "CLIFSpike": (CLIFSpike(0.5, 0.5), 12),
    "KLIF": (KLIF(0.5, k=1.3), 7),
    "KLIF, scale reset": (KLIF(0.5, k=1.3, scale_reset=True, reset="subtract"), None),
    "LIFB": (lifb(0.5, 1.0, 2.0, 2.0), 7),
    "LIFB, soft reset": (lifb(0.5, 1.0, 2.0, np.full(WIDE, 3.0), reset="subtract"), None),
    "Burst, three rungs": (Burst(0.75, [0.5, 1.0, 2.0], [1.0, 2.0, 5.0], (True, False, True), "subtract", amounts=[0.5, 1.0, 1.5]), None),
    "MultiSpike": (MultiSpike(0.5, floor=-1.0), None),
    "Ternary": (Ternary(), None),
    "Squares": (Squares(), None),
    "Late": (Late(), None),
}


def on_grid(node, x, shape, precision=FINE):
    """(grid neuron, whole inputs) for real inputs ``x`` [T, B, *shape]."""
    expression = simplified(trace(node, shape))
    gain = input_gain(expression)
    expression = with_input(expression, gain, np.zeros(()))
    seen = ranges(expression, float(np.abs(x * gain).max()), len(x), x * gain)
    return fixed_point(expression, seen, precision).neuron, np.round(x * gain * precision.scale)


def spread(words, batch):
    return {w: np.broadcast_to(value, (batch, *np.shape(value))) for w, value in words.items()}


def runs(node, x, precision=FINE):
    """What the float node, the grid neuron and its program send, step by step; the last two are equal in every word."""
    shape, batch = x.shape[2:], x.shape[1]
    grid, whole = on_grid(node, x, shape, precision)
    program = compiled(grid, "n")
    real, words = spread(node.initial_state(shape), batch), spread(grid.initial_state(shape), batch)
    state = {w: np.full((batch, *shape), value, np.int64) for w, value in program.state.items()}
    rows = []
    for t, now in enumerate(whole):
        y, real = node.step((x[t],), real, NUMPY)
        d, words = grid.step((now / 64,), words, NUMPY)
        s, state, *_ = program_step(program, state, now.astype(np.int64), t)
        np.testing.assert_array_equal(d, s)
        for word, value in state.items():
            np.testing.assert_array_equal(words[word], value)
        rows.append((np.broadcast_to(y, s.shape), s))
    return np.array([r[0] for r in rows]), np.array([r[1] for r in rows]), program


@pytest.mark.parametrize("name", NEURONS)
def test_the_program_is_the_step_on_the_grid_and_near_the_step_itself(name):
    node, instructions = NEURONS[name]
    x = np.random.default_rng(7).normal(0.3, 1, (10, 4, 3, 500))
    wanted, got, program = runs(node, x)
    assert instructions in (None, len(program.code))
    different = (wanted != got).any(axis=0).mean()
    assert different < 2e-3
    assert got.any(), "the test would show nothing"


@pytest.mark.parametrize("name", NEURONS)
def test_a_coarse_grid_and_values_at_the_end_of_the_words_change_nothing_between_definition_and_program(name):
    node, _ = NEURONS[name]
    rng = np.random.default_rng(3)
    x = np.round(rng.normal(0.3, 1, (10, 2, 3, 50)) * 8) / 8
    runs(node, x, Precision(64.0, segments=8))
    grid, _ = on_grid(node, x, (3, 50))
    program = compiled(grid, "n")
    extreme = rng.choice([-MAX24, MAX24, 0, 1, -1], (10, 2, 3, 50))
    words, state = spread(grid.initial_state((3, 50)), 2), {w: np.full((2, 3, 50), v, np.int64) for w, v in program.state.items()}
    for t, now in enumerate(extreme):
        d, words = grid.step((now / 64,), words, NUMPY)
        s, state, *_ = program_step(program, state, now, t)
        np.testing.assert_array_equal(d, s)


@pytest.mark.parametrize("name", NEURONS)
def test_the_simplified_expression_is_the_step(name):
    node, _ = NEURONS[name]
    x = np.random.default_rng(5).normal(0.3, 1, (10, 4, 3, 50))
    run = Run(simplified(trace(node, (3, 50))))
    real, words = spread(node.initial_state((3, 50)), 4), dict(run.expression.initial)
    for t, now in enumerate(x):
        y, real = node.step((now,), real, NUMPY)
        s, words = run.step(now, words, t)
        for word in set(words) & set(real):
            np.testing.assert_allclose(np.broadcast_to(words[word], now.shape), real[word], atol=1e-12)
        np.testing.assert_array_equal(np.broadcast_to(s, y.shape), y)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.99), st.floats(0.1, 2.0), st.sampled_from(["hard", "subtract", "none"]), st.booleans())
def test_random_lif_parameters(seed, decay, threshold, reset, strict):
    x = np.random.default_rng(seed).normal(0.3, 1, (6, 1, 40))
    runs(LIF(decay, 1 - decay, threshold, strict, reset, amount=threshold), x, Precision(4096.0))


def test_two_neurons_a_thousandth_apart_compile_to_different_constants():
    x = np.random.default_rng(0).normal(0.3, 1, (10, 1, 20))
    a, b = (on_grid(LIF(decay), x, (20,))[0] for decay in (0.5, 0.501))
    assert a.operations == b.operations
    assert a != b


def test_time_tables_are_read_from_the_programs_own_start():
    node = GLIF(np.array([1.0, 0.0, 2.0]), [0.0], [0.0], [0.0], [0.0], [0.5])
    x = np.ones((3, 1, 1))
    _, got, program = runs(node, x)
    assert got.ravel().tolist() == [1, 0, 1]
    assert needs(program)["table_steps"] == 3


@pytest.mark.parametrize("bits", [3, 9, 16])
def test_comparisons_decide_on_the_exact_number(bits):
    """h >= theta and h > theta on grid points are decided as the exact theta decides, not as the rounded one does."""
    theta, scale = 0.3, 2.0**bits
    for strict in (False, True):
        x = (np.arange(-3, 4) + np.round(theta * scale)).reshape(1, 1, -1) / scale
        wanted, got, _ = runs(LIF(0.0, 1.0, theta, strict), x, Precision(scale))
        np.testing.assert_array_equal(wanted, got)


def test_what_sends_real_values_is_refused():
    class Sends(Late):
        def step(self, inputs, state, xp):
            return state["v"] * 0.5 + inputs[0], {"v": state["v"] * 0.5 + inputs[0], "s": state["s"]}

    with pytest.raises(Unsupported, match="sends real values"):
        on_grid(Sends(), np.ones((3, 1, 1)), (1,))


def test_what_mixes_neurons_is_refused():
    class Mixes(Late):
        def step(self, inputs, state, xp):
            return xp.linear(inputs[0], np.eye(3)), state

    class Sums(Late):
        def step(self, inputs, state, xp):
            return xp.sparse(inputs[0], np.zeros(1), np.zeros(1), np.ones(1), 3), state

    for node, what in ((Mixes(), "a matrix product"), (Sums(), "a sum of synapses")):
        with pytest.raises(Unsupported, match=what):
            trace(node, (3,))


@settings(max_examples=200, deadline=None)
@given(st.integers(-(2**20), 2**20), st.integers(1, 5000), st.lists(st.integers(-(2**20), 2**20), min_size=2, max_size=20))
def test_a_table_is_read_alike_by_the_definition_and_the_chip(low, width, entries):
    x = np.random.default_rng(len(entries)).integers(low - 2 * width, low + (len(entries) + 2) * width, 200)
    x = np.concatenate([x, [low, low - 1, low + width * (len(entries) - 1)]])
    table = np.array(entries)
    got = interpolated(table.astype(float), x.astype(float), float(low), float(width), NUMPY)
    np.testing.assert_array_equal(got, interpolate(table, low, width, x))


def test_a_table_takes_as_many_entries_as_its_error_asks_for():
    line = fitted(lambda x: 2 * x, -1.0, 1.0, 2.0**12, 2.0**16)
    bend = fitted(np.tanh, -4.0, 4.0, 2.0**16, 2.0**16)
    assert len(line.entries) < len(bend.entries)
    assert line.error < 2e-5
    assert bend.error <= 2.0**-14
    x = np.linspace(-4, 4, 999)
    got = interpolate(bend.entries.astype(int), bend.low, bend.width, np.round(x * 2**16).astype(int)) / 2**16
    assert np.abs(got - np.tanh(x)).max() < 2.0**-13


WORDS = st.one_of(st.sampled_from([0, 1, -1, MAX24, -MAX24]), st.integers(-MAX24, MAX24))


def alone(op, *args):
    """The result of one instruction on words a, b, p in the chip simulator."""
    return assemble("one", f"{op} d {' '.join(map(str, args))}\nSPK 1 d", {"a": 0, "b": 0, "p": 0}, {})


def computed(program, a, b, p=0):
    state = {"a": np.array([a]), "b": np.array([b]), "p": np.array([p])}
    return int(program_step(program, state, np.array([0]), 0)[0][0])


def saturated(x):
    return max(-MAX24, min(MAX24, x))


@given(WORDS, WORDS, st.integers(0, 23))
def test_every_opcode_on_one_pair_of_words(a, b, shift):
    whole = abs(a * b) >> shift
    expected = {
        "ADD a b": a + b,
        "SUB a b": a - b,
        f"MUL a b {shift}": whole if (a >= 0) == (b >= 0) else -whole,
        "MIN a b": min(a, b),
        "MAX a b": max(a, b),
        "GE a b": int(a >= b),
        "GT a b": int(a > b),
        "MOV a": a,
        f"SHR a {shift}": a >> shift,
        "SEL p a b": b,
        "SEL 5 a b": a,
    }
    for text, value in expected.items():
        op, *args = text.split()
        assert computed(alone(op, *args), a, b) == saturated(value), text


def test_a_negative_product_is_cut_toward_zero_and_a_shift_rounds_down():
    assert computed(alone("MUL", "a", "b", 1), -3, 1) == -1
    assert computed(alone("SHR", "a", 1), -3, 0) == -2


@pytest.mark.parametrize("name", NEURONS)
def test_a_program_reads_back_from_its_listing(name):
    program = compiled(on_grid(NEURONS[name][0], np.random.default_rng(1).normal(0.3, 1, (10, 1, 3, 4)), (3, 4))[0], name, reset_at=4)
    again = from_listing(listing(program))
    assert listing(again) == listing(program)
    assert (again.name, again.state, again.code, again.reset_at) == (program.name, dict(program.state), program.code, 4)
    for kind in ("constants", "tables"):
        a, b = getattr(program, kind), getattr(again, kind)
        assert list(a) == list(b)
        assert all(np.array_equal(a[key], b[key]) and a[key].shape == b[key].shape for key in a)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("state", "names nothing"),
        ("state v x", "not whole numbers"),
        ("state v 1 2", "2 values where 1 belong"),
        ("constant a [2] 1", "1 values where 2 belong"),
        ("constant a [-1] 1", "1 values where -1 belong"),
        ("table T [2] 1 2.5", "not whole numbers"),
        ("reset", "0 values"),
        ("JMP a", "unknown opcode"),
        ("MOV a b", "nothing has set"),
    ],
)
def test_listings_that_mean_nothing_are_refused(text, what):
    with pytest.raises(ChipError, match=what):
        from_listing(text)


def test_what_a_program_needs():
    program = NeuronProgram(
        "n",
        {"v": 0, "w": 1},
        {"S.lo": np.array(0), "S.step": np.array(2)},
        (
            Instruction("LUT", ("r", "S", "I")),
            Instruction("LDT", ("q", "G")),
            Instruction("MOV", ("v", "q")),
            Instruction("SPK", ("r", "1")),
        ),
        {"S": np.arange(9), "G": np.arange(4)},
    )
    assert needs(program) == {"program_instructions": 4, "state_words": 2, "program_registers": 2, "table_entries": 9, "table_steps": 4}
    assert len(ARITY) == 13


def test_a_grid_neuron_is_whole():
    with pytest.raises(Exception, match="whole numbers"):
        GridNeuron((), "I", {}, {}, {"c": np.array(0.5)})
    with pytest.raises(Exception, match="every word"):
        GridNeuron((Operation("ADD", ("I", "1")),), "t0", {"v": "t0"}, {})


def test_neurons_that_start_differently_are_no_one_program():
    grid = GridNeuron((), "0", {"v": "v"}, {"v": np.array([0.0, 1.0])})
    with pytest.raises(Unsupported, match="starts differently"):
        compiled(grid, "n")
