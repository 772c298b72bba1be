"""Constructions of plain neurons held against the integer burst neuron they stand for, and each condition at its edge.

Inside its conditions a construction gives the burst neuron's payload at every step; just outside, the condition says
so, and the run shows what it protects from.
"""

from __future__ import annotations

import bisect
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Candidate, Limits
from snndeploy.ir.neurons.decoupling import U_LIMIT, UNIT, on_grid
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.quantize.grid import on_grid as synapse_grid
from snndeploy.quantize.programs import program
from snndeploy.sim.program import program_step
from snndeploy.sim.reference import run_reference

DECAYS = (0, 1, 409, 1024, 2048, 3072, 4000, 4095, 4096)


def payloads(node: IntegerNeuron, sums: np.ndarray) -> np.ndarray:
    """[T, B, *shape] of sums [T, B, *shape]."""
    state = {k: np.broadcast_to(x, sums.shape[1:]) for k, x in node.initial_state(sums.shape[2:]).items()}
    out = []
    for now in sums:
        y, state = node.step((now,), state, NUMPY)
        out.append(y)
    return np.stack(out)


def constructed(candidate: Candidate, sums: np.ndarray) -> np.ndarray:
    """The construction's output on the same sums."""
    inputs = {"in": sums, "one": np.ones((1, sums.shape[1], 1))}
    known = {name: inputs[name] for name in inputs if name in candidate.graph.nodes}
    return run_reference(candidate.graph, known, len(sums), record=["out"]).outputs["out"]


def limits(shape: tuple[int, ...], bound: int, **more: object) -> Limits:
    return Limits(shape, bound, **{"programs": True, "payload_bits": 16, **more})


def named(node: IntegerNeuron, construction: str, bounds: Limits) -> Candidate:
    return next(c for c in node.lower(bounds) if c.construction == construction)


def failing(candidate: Candidate) -> list[str]:
    return [c.name for c in candidate.conditions if not c.holds]


def differing(node: IntegerNeuron, candidate: Candidate, sums: np.ndarray) -> int:
    return int((payloads(node, sums) != constructed(candidate, sums)).sum())


def sums_near(rng: np.random.Generator, node: IntegerNeuron, steps: int, batch: int, bound: int) -> np.ndarray:
    """Inputs around the thresholds, small ones, any within the bound, and the bound itself, in both signs."""
    shape = node.out_shape(((1,),))
    size = (steps, batch, *shape)
    some = rng.integers(0, node.rungs, size)
    rungs = np.broadcast_to(node.thresholds, (node.rungs, *shape))
    at = np.take_along_axis(np.broadcast_to(rungs[:, None, None], (node.rungs, *size)), some[None], axis=0)[0] // UNIT
    kinds = [
        at + rng.integers(-2, 3, size),
        rng.integers(-3, 4, size),
        rng.integers(-bound, bound + 1, size),
        rng.choice([-bound, 0, bound], size),
    ]
    return np.clip(np.choose(rng.integers(0, 4, size), kinds), -bound, bound).astype(float)


def hard_neuron(rng: np.random.Generator, rungs: int, width: int, top: int) -> IntegerNeuron:
    """Every neuron its own decay, ladder, levels and bias; thresholds up to ``top`` weight units."""
    return IntegerNeuron(
        du=4095,
        dv=rng.choice(DECAYS, width) if rng.random() < 0.5 else rng.integers(0, 4097, width),
        thresholds=np.sort(rng.integers(0, top, (rungs, width)), axis=0) * UNIT,
        levels=rng.integers(-5, 60, (rungs, width)),
        bias=rng.integers(-3, 4, width) * UNIT * int(rng.integers(0, 2)),
    )


def soft_neuron(rng: np.random.Generator, rungs: int, width: int, top: int) -> IntegerNeuron:
    """Thresholds and amounts on the grid at which lateral synapses are whole; amounts up to their threshold."""
    dv = int(rng.choice([0, 1024, 2048, 3072, 3584, 4032, 4096]))
    grid = UNIT * 4096 // np.gcd(4096 - dv, 4096) if dv < 4096 else UNIT
    ladder = np.sort(rng.integers(0, max(3, top * UNIT // grid), (rungs, width)), axis=0)
    amounts = rng.integers(0, ladder + 1)
    levels, bias = rng.integers(-5, 60, (rungs, width)), rng.integers(-3, 4, width) * UNIT * int(rng.integers(0, 2))
    return IntegerNeuron(4095, dv, ladder * grid, levels, bias, "subtract", amounts * grid)


PING_PONG = ("ping-pong", "ping-pong-direct")
LOOK_AHEAD = ("look-ahead", "look-ahead-direct")
HARD = (*PING_PONG, *LOOK_AHEAD)


def check(rng: np.random.Generator, kind: str, rungs: int, width: int, steps: int, batch: int) -> int:
    """How many neuron-steps were compared; asserts that the construction is offered as exact and equals the neuron."""
    top = int(rng.choice([3, 40, 3000]))
    node = (soft_neuron if kind == "lateral" else hard_neuron)(rng, rungs, width, top)
    bound = 4 + int(node.thresholds.max() / UNIT * rng.choice([0.6, 1, 4]))
    candidate = named(node, kind, limits((width,), bound))
    assert failing(candidate) == []
    sums = sums_near(rng, node, steps, batch, bound)
    wanted = payloads(node, sums)
    np.testing.assert_array_equal(constructed(candidate, sums), wanted)
    assert (wanted != 0).mean() > 0.01
    return steps * batch * width


@pytest.mark.parametrize("rungs", [2, 3, 5])
@pytest.mark.parametrize("kind", [*HARD, "lateral"])
def test_a_construction_gives_the_burst_neurons_payload_at_every_step(kind, rungs):
    rng = np.random.default_rng([rungs, len(kind)])
    assert sum(check(rng, kind, rungs, width=500, steps=30, batch=8) for _ in range(3)) == 360_000


@pytest.mark.slow
@pytest.mark.parametrize("rungs", [2, 3, 4, 6])
@pytest.mark.parametrize("kind", [*HARD, "lateral"])
def test_a_construction_gives_the_burst_neurons_payload_a_million_times(kind, rungs):
    rng = np.random.default_rng([rungs, len(kind), 1])
    assert sum(check(rng, kind, rungs, width=2000, steps=50, batch=4) for _ in range(3)) == 1_200_000


# lateral weights at a decay of 1/4096 are whole only for thresholds of 4096 units
SHORT = [(kind, dv) for kind in (*HARD, "lateral") for dv in (0, 2048, 3072, 4095, 4096) if (kind, dv) != ("lateral", 4095)]


@pytest.mark.parametrize(("kind", "dv"), SHORT)
@pytest.mark.parametrize("ladder", [(0, 1), (1, 2), (1, 3)])
def test_every_short_input_sequence(kind, dv, ladder):
    """All sequences of six inputs -2..3: 46,656 of them, thresholds 0..3 weight units."""
    grid = UNIT * (1 if kind != "lateral" or dv == 4096 else 4096 // np.gcd(4096 - dv, 4096))
    thresholds = np.array(ladder, float) * grid
    soft = {"reset": "subtract", "amounts": np.minimum(thresholds, thresholds[:1])} if kind == "lateral" else {}
    node = IntegerNeuron(4095, dv, thresholds[:, None], np.array([[1.0], [3.0]]), **soft)
    sums = np.array(list(itertools.product(range(-2, 4), repeat=6)), float).T[:, :, None] * (grid // UNIT)
    candidate = named(node, kind, limits((1,), 3 * grid // UNIT))
    assert failing(candidate) == []
    assert differing(node, candidate, sums) == 0


def test_per_channel_kappa_and_an_image():
    rng = np.random.default_rng(3)
    levels = np.stack([np.ones((4, 1, 1)), rng.integers(2, 9, (4, 1, 1))])
    node = IntegerNeuron(4095, 2048, np.array([10.0, 20.0]) * UNIT, levels)
    sums = rng.integers(-30, 31, (20, 5, 4, 3, 2)).astype(float)
    for candidate in node.lower(limits((4, 3, 2), 30)):
        if candidate.construction in HARD:
            assert failing(candidate) == []
            assert differing(node, candidate, sums) == 0


def test_which_constructions_are_offered():
    ladder = {"thresholds": np.array([64.0, 128.0]), "levels": np.array([1.0, 2.0])}

    def offered(**parts):
        return [c.construction for c in IntegerNeuron(4095, 2048, **parts).lower(limits((3,), 9))]

    assert offered(**ladder) == ["graded", *HARD, "two-phase"]
    assert offered(**ladder, reset="subtract", amounts=np.array([64.0, 64.0])) == ["graded", "lateral"]
    assert offered(**ladder, reset="none") == ["graded"]
    assert offered(thresholds=[64.0], levels=[2.0]) == ["graded"]
    assert offered(thresholds=[64.0], levels=[1.0]) == []


def test_what_a_construction_costs():
    node = IntegerNeuron(4095, 2048, np.array([64.0, 128.0, 192.0]), np.array([1.0, 2.0, 3.0]))
    by_name = {c.construction: c for c in node.lower(limits((7,), 9))}
    neurons = {n: len(c.graph.named(IntegerNeuron)) for n, c in by_name.items()}
    # 1, 3K, 2K, 3K - 1, 2K, K
    assert neurons == {"graded": 1, "ping-pong": 9, "ping-pong-direct": 6, "look-ahead": 8, "look-ahead-direct": 6, "two-phase": 3}
    assert [by_name[n].latency for n in ("graded", *HARD)] == [0, 1, 0, 3, 2]
    for name in HARD:
        assert all(n.fixed for n in by_name[name].graph.named(IntegerNeuron).values())


def spikes(candidate: Candidate, sums: np.ndarray) -> int:
    inputs = {name: values for name, values in {"in": sums, "one": np.ones((1, sums.shape[1], 1))}.items() if name in candidate.graph.nodes}
    return int(sum(a.spikes.sum() for a in run_reference(candidate.graph, inputs, len(sums)).activity.values()))


@pytest.mark.parametrize("rungs", [2, 3, 5])
def test_spikes_a_true_spike(rungs):
    """Look-ahead is silent with its neuron; ping-pong fires K spikes at every step."""
    node = burst(dv=1024, thresholds=np.arange(1.0, rungs + 1)[:, None] * 640, levels=np.arange(1.0, rungs + 1)[:, None])
    sums = many(14, batch=400)
    rungs_reached = payloads(node, sums)  # level k at rung k
    true, steps = int((rungs_reached > 0).sum()), sums.size
    ping_pong, relayed, ahead, ahead_relayed = (spikes(named(node, kind, limits((1,), 14)), sums) for kind in
                                                ("ping-pong-direct", "ping-pong", "look-ahead-direct", "look-ahead"))  # fmt: skip
    assert ping_pong == steps * rungs + rungs_reached.sum()
    assert relayed == ping_pong + rungs_reached.sum()
    beyond = int(np.maximum(rungs_reached - 1, 0).sum())
    every_second = true // 2
    assert abs(ahead - (true * rungs + every_second + beyond)) <= 400  # A and K - 1 forced each time, T every second
    assert ahead_relayed == ahead + beyond
    assert spikes(named(node, "look-ahead-direct", limits((1,), 14)), np.zeros((50, 3, 1))) == 0


# ------------------------------------------------------------------------------------------ just outside the conditions


def burst(**change: object) -> IntegerNeuron:
    parts = {"du": 4095, "dv": 2048, "thresholds": np.array([[640.0], [1280.0]]), "levels": np.array([[1.0], [2.0]])}
    return IntegerNeuron(**{**parts, **change})


def many(bound: int, seed: int = 0, steps: int = 40, batch: int = 200) -> np.ndarray:
    return np.random.default_rng(seed).integers(-bound, bound + 1, (steps, batch, 1)).astype(float)


@pytest.mark.parametrize("kind", HARD)
def test_force_and_inputs_must_not_wrap_u(kind):
    """Thresholds (30,000, 60,000) and inputs up to 60,000 need a force that u cannot hold."""
    node = burst(thresholds=np.array([[30_000.0], [60_000.0]]) * UNIT)
    inside, outside = named(node, kind, limits((1,), 30_000)), named(node, kind, limits((1,), 60_000))
    assert failing(inside) == []
    assert differing(node, inside, many(30_000)) == 0
    assert failing(outside) == ["no wrap of u"]
    assert outside.conditions[0].value.endswith(" + 60000")
    assert differing(node, outside, many(60_000)) > (1000 if kind in PING_PONG else 100)


@pytest.mark.parametrize("kind", PING_PONG)
def test_the_edge_of_the_wrap_condition_is_the_registers(kind):
    """The largest input bound that is still offered as exact really is exact with inputs at that bound."""
    node = burst(thresholds=np.array([[30_000.0], [60_000.0]]) * UNIT)
    bound = bisect.bisect(range(60_000), 0, key=lambda b: len(failing(named(node, kind, limits((1,), b))))) - 1
    assert on_grid(60_000 + bound + 1) + bound < U_LIMIT <= on_grid(60_000 + bound + 2) + bound + 1
    extremes = np.random.default_rng(1).choice([-bound, bound, bound - 1, 30_001, 0], (60, 300, 1)).astype(float)
    assert differing(node, named(node, kind, limits((1,), bound)), extremes) == 0


@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"du": 2048}, "no synaptic memory"),
        ({"floor": -64.0}, "no floor"),
        ({"thresholds": np.array([[-640.0], [640.0]]), "dv": 0}, "threshold above the reset value"),
    ],
)
def test_conditions_that_protect_from_wrong_payloads(kind, change, condition):
    candidate = named(burst(**change), kind, limits((1,), 30))
    assert failing(candidate) == [condition]
    assert not candidate.exact
    if condition != "no floor":  # the banks would clamp alike; no construction relies on it
        assert differing(burst(**change), candidate, many(30)) > 0


@pytest.mark.parametrize("kind", HARD)
def test_thresholds_off_the_mantissas_grid_have_no_register(kind):
    candidate = named(burst(thresholds=np.array([[640.0], [1281.0]])), kind, limits((1,), 30))
    assert failing(candidate) == ["thresholds on the mantissa's grid"]
    assert not all(n.fixed for n in candidate.graph.named(IntegerNeuron).values())
    large = named(burst(thresholds=np.array([[64.0], [200.0 * 64]])), kind, limits((1,), 30, vth_max=199))
    assert failing(large) == ["thresholds on the mantissa's grid"]


@pytest.mark.parametrize(
    ("kind", "change"), [("ping-pong", {}), ("lateral", {"reset": "subtract", "amounts": np.array([[640.0], [640.0]])})]
)
def test_a_bias_that_cannot_be_driven_through_a_synapse(kind, change):
    base = {"thresholds": np.array([[1280.0], [2560.0]]), **change}
    assert failing(named(burst(**base, bias=64.0), kind, limits((1,), 30))) == []
    assert failing(named(burst(**base, bias=65.0), kind, limits((1,), 30))) == ["bias on the weights' grid"]


def soft(**change: object) -> IntegerNeuron:
    parts = {"thresholds": np.array([[1280.0], [2560.0]]), "reset": "subtract", "amounts": np.array([[1280.0], [1280.0]])}
    return burst(**{**parts, **change})


@pytest.mark.parametrize(
    ("change", "condition"),
    [
        ({"thresholds": np.array([[256.0], [320.0]])}, "lateral weights are whole"),
        ({"amounts": np.array([[256.0], [320.0]])}, "lateral weights are whole"),
        ({"amounts": np.array([[512.0], [512.0]])}, "potential stays at or above 0 after a spike"),
        ({"thresholds": np.array([[-256.0], [256.0]])}, "potential stays at or above 0 after a spike"),
        ({"du": 2048}, "no synaptic memory"),
    ],
)  # fmt: skip
def test_lateral_outside_its_conditions(change, condition):
    parts = {"dv": 3072, "thresholds": np.array([[256.0], [512.0]]), "amounts": np.array([[256.0], [256.0]])}
    inside, outside = soft(**parts), soft(**{**parts, **change})
    assert failing(named(inside, "lateral", limits((1,), 12))) == []
    assert differing(inside, named(inside, "lateral", limits((1,), 12)), many(12)) == 0
    candidate = named(outside, "lateral", limits((1,), 12))
    assert failing(candidate) == [condition]
    assert differing(outside, candidate, many(12)) > 0


def test_a_soft_reset_off_the_lateral_grid_is_told_how_far():
    """Decay 1/4: whole lateral weights need multiples of 256; 320 is 64 away, a fifth of it."""
    parts = {"dv": 3072, "thresholds": np.array([[256.0], [320.0]]), "amounts": np.array([[256.0], [256.0]])}
    (told,) = (c for c in named(soft(**parts), "lateral", limits((1,), 12)).conditions if not c.holds)
    assert told.value == "up to 20 % off the grid of 256 units of v"
    assert "L006" in told.hint


def test_lateral_needs_room_for_its_own_synapses():
    """Inputs near the wrap leave none for what the lateral synapses deliver."""
    top = 40_000 * UNIT
    node = soft(thresholds=np.array([[top / 2], [top]]), amounts=np.array([[top / 2], [top]]), dv=0)
    assert failing(named(node, "lateral", limits((1,), 50_000))) == []
    assert failing(named(node, "lateral", limits((1,), 131_000))) == ["no wrap of u"]
    sums = np.random.default_rng(5).choice([-131_000, 131_000], (40, 200, 1)).astype(float)
    assert differing(node, named(node, "lateral", limits((1,), 131_000)), sums) > 0


@pytest.mark.parametrize("construction", ["graded", "lateral"])
def test_what_needs_programs_is_refused_without(construction):
    candidate = named(soft(), construction, limits((1,), 60, programs=False, payload_bits=0))
    assert "neuron programs" in failing(candidate)
    assert any("L010" in c.hint for c in candidate.conditions if not c.holds)


def test_a_payload_must_fit_its_bits():
    node = burst(levels=np.array([[1.0], [256.0]]))
    assert failing(named(node, "graded", limits((1,), 60, payload_bits=9))) == []
    assert failing(named(node, "graded", limits((1,), 60, payload_bits=8))) == ["payload bits"]


def run_program(node: IntegerNeuron, sums: np.ndarray) -> np.ndarray:
    code = program(node, "n")
    words = {word: np.full(sums.shape[1:], value, np.int64) for word, value in code.state.items()}
    sent = []
    for t, a in enumerate(sums.astype(np.int64)):
        y, words, *_ = program_step(code, words, a << 6, t)
        sent.append(y)
    return np.stack(sent)


@pytest.mark.parametrize(
    ("change", "inside", "outside"),
    [
        ({"bias": 4095.0 * 128}, 122_000, 131_000),
        ({"du": 0}, 3000, 131_000),
        ({"thresholds": [[3.84e6]], "levels": [[1.0]], "reset": "subtract", "amounts": [[3.84e6]], "late": True}, 71_000, 131_000),
    ],
)  # fmt: skip
def test_a_program_must_not_saturate_between_two_instructions(change, inside, outside):
    """The fixed order of a program clips a sum that the definition would still bring back into range."""
    node = burst(**{"dv": 0, **change})
    bound = limits((1,), inside, steps=40)
    assert failing(named(node, "graded", bound)) == []
    np.testing.assert_array_equal(run_program(node, many(inside)), payloads(node, many(inside)))
    assert failing(named(node, "graded", limits((1,), outside, steps=40))) == ["no word of the program saturates"]
    sums = np.where(np.random.default_rng(2).random((40, 200, 1)) < 0.5, outside, -outside).astype(float)
    assert (run_program(node, sums) != payloads(node, sums)).any()


def test_a_current_that_never_fades_adds_up_over_the_steps_of_a_sample():
    node = burst(du=-1, thresholds=[[64.0]], levels=[[1.0]], reset="none")
    assert failing(named(node, "graded", limits((1,), 1000, steps=100))) == []
    assert failing(named(node, "graded", limits((1,), 1000, steps=132))) == ["no word of the program saturates"]
    assert failing(named(node, "graded", limits((1,), 1000, steps=None))) == ["no word of the program saturates"]


@given(st.integers(0, 2 * U_LIMIT))
def test_the_force_is_one_synapse(value):
    """The smallest number of the form (127 or less) * 2 << exponent that reaches the value."""
    found = on_grid(value)
    assert value <= found <= value * (1 + 1 / 64) + 2
    if 0 < found <= 254 << 7:
        (parts,) = synapse_grid(np.array([[found]]), exponent=True, where="force")
        assert int(parts[0][0, 0]) << parts[1] == found
    assert frozen(found) == found
