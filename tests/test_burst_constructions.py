"""Every construction against its burst neuron with every decay, and over every joint state that can be reached.

The claims are those of ``benchmarks/burst_constructions.py``, on fewer steps; and what each obligation protects from
that a single run of one sample does not show: spikes of the sample before, a force one unit short, constants behind padding.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Candidate, Edge, Graph, Limits, Node
from snndeploy.ir.layers import Conv, Input, Scale
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.lookahead import forces
from snndeploy.ir.neurons.registers import UNIT, on_grid, reached
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.passes import decouple, merge
from snndeploy.sim.reference import initial_states, run_reference

spec = importlib.util.spec_from_file_location(
    "burst_constructions", Path(__file__).resolve().parents[1] / "benchmarks/burst_constructions.py"
)
assert spec is not None
assert spec.loader is not None
claim = importlib.util.module_from_spec(spec)
spec.loader.exec_module(claim)

CONSTRUCTIONS, HARD = claim.CONSTRUCTIONS, claim.HARD
PING_PONG = ("ping-pong", "ping-pong-direct")


@pytest.mark.parametrize("kind", CONSTRUCTIONS)
def test_every_decay_a_million_times(kind):
    rng = np.random.default_rng([len(kind), 3])
    found = [claim.mismatches(rng, kind, rungs, steps=21, batch=3) for rungs in (2, 3, 4, 5)]
    compared, fired, different = np.sum(found, axis=0)
    assert (compared > 1_000_000, different) == (True, 0)
    assert 0.05 < fired / compared < 0.95


@pytest.mark.parametrize("kind", CONSTRUCTIONS)
@pytest.mark.parametrize("rungs", [6, 8])
def test_more_rungs(kind, rungs):
    compared, fired, different = claim.mismatches(np.random.default_rng(rungs), kind, rungs, steps=15, batch=1)
    assert different == 0
    assert fired > 0.05 * compared


@pytest.mark.parametrize("case", [c for c in claim.SMALL if c[1:3] != (1024, (2, 5))], ids=lambda c: f"{c[0]}-{c[1]}-{c[2]}")
def test_every_state_that_can_be_reached(case):
    for kind, states, moves, different in claim.small(*case):
        assert different == 0, (kind, states)
        assert moves == states * len(case[3])


LARGE = (("hard", 1024, (2, 5), range(-3, 7), HARD[2:]), *((*c, HARD[:2]) for c in claim.WIDE), claim.DEEP)


@pytest.mark.slow
@pytest.mark.parametrize("case", LARGE, ids=str)
def test_a_hundred_thousand_joint_states(case):
    for kind, states, _, different in claim.small(*case):
        assert different == 0, kind
        assert states > 100_000


def test_the_search_finds_what_is_wrong():
    """A pair of thresholds a weight unit above those of the neuron, and the same with a force that is too small."""
    node = neuron((1, 2))
    built = claim.named(neuron((1, 3)), "ping-pong", limits(4))
    assert claim.reachable(node, built, range(-3, 5))[2] > 0
    with pytest.raises(OverflowError):
        claim.reachable(neuron((1, 2), dv=0), claim.named(neuron((1, 2), dv=0), "ping-pong", limits(4)), range(-3, 5), most=1000)


def neuron(ladder: tuple[int, ...], dv: int = 2048, **parts: object) -> IntegerNeuron:
    levels = np.arange(1.0, len(ladder) + 1)[:, None]
    return IntegerNeuron(4095, dv, np.array(ladder, float)[:, None] * UNIT, levels, **parts)


def limits(bound: int, **more: object) -> Limits:
    return Limits((1,), bound, **{"programs": True, "payload_bits": 24, **more})


# --------------------------------------------------------------------------------------------- spikes of the sample before


def back_to_back(node: IntegerNeuron, built: Candidate, samples: np.ndarray, idle: int) -> int:
    """Levels that differ when samples [N, T, B, 1] follow each other after ``idle`` silent steps and a clear of u and v alone."""
    graph = claim._beside(node, built.graph)
    words = [(n, w) for n, states in initial_states(graph, 1).items() for w in states if w == "v"]
    late = sorted({e.source for e in graph.edges if e.delay})
    rows, wrong = np.zeros((samples.shape[2], len(words) + len(late))), 0
    for sample in samples:
        rows = rows.copy()
        rows[:, : len(words)] = 0
        for x in sample:
            rows, differs = claim._moved(graph, rows, x, words, late)
            wrong += int(differs.sum())
        for _ in range(idle):
            rows, _ = claim._moved(without_constant(graph), rows, np.zeros_like(x), words, late)
    return wrong


def without_constant(graph: Graph) -> Graph:
    """Between samples the host sends nothing."""
    silent: dict[str, Node | None] = {n: Scale(frozen(0.0)) for n in ("drive", "offset") if n in graph.nodes}
    return graph.replace(silent)


@pytest.mark.parametrize(
    ("kind", "idle", "fine"),
    [
        ("ping-pong", 0, True), ("ping-pong", 5, True), ("ping-pong-direct", 0, True), ("ping-pong-direct", 5, True),
        ("look-ahead", 0, False), ("look-ahead", 1, True), ("look-ahead-direct", 0, False), ("look-ahead-direct", 1, True),
        ("lateral", 0, False), ("lateral", 1, False),
    ],
)  # fmt: skip
def test_clearing_neurons_alone_leaves_spikes_on_their_way(kind, idle, fine):
    soft = {"reset": "subtract", "amounts": np.array([[4.0], [4.0]]) * UNIT} if kind == "lateral" else {}
    node = neuron((4, 8), **soft)
    built = claim.named(node, kind, limits(12, idle=idle))
    samples = np.random.default_rng(1).integers(-4, 13, (12, 9, 40, 1)).astype(float)
    assert [c.name for c in built.conditions if not c.holds] == ([] if fine else ["no spikes from the sample before"])
    assert (back_to_back(node, built, samples, idle) == 0) is fine
    assert claim.named(node, kind, limits(12)).exact  # every sample on a cleared chip


# ----------------------------------------------------------------------------------------------------- a force too small


def scaled(built: Candidate, by: dict[str, float]) -> Candidate:
    """The construction with other weights in the synapses named."""
    nodes = {n: Scale(frozen(np.sign(built.graph.nodes[n].scale) * w)) for n, w in by.items()}
    return Candidate(built.construction, built.graph.replace(nodes), built.conditions)


def test_a_force_or_kick_one_unit_short_is_wrong():
    """Decay 1 and thresholds on the synapses' grid leave the force no slack: F = G + theta_K - theta_1. G may shrink to theta_1."""
    node = neuron((2, 8), dv=0)
    kick, force = forces(node.thresholds)
    assert (kick, force) == (8, 14)
    sums = list(range(10))
    built = claim.named(node, "look-ahead-direct", limits(9))
    forced, kicked = ("A.B", "T.B", "T.C"), ("A.C.kick", "T.C.kick", "T.B.kick")
    assert claim.reachable(node, scaled(built, dict.fromkeys((*forced,), 14.0)), sums)[2] == 0
    assert claim.reachable(node, scaled(built, dict.fromkeys(forced, 12.0)), sums)[2] > 0
    assert claim.reachable(node, scaled(built, dict.fromkeys(kicked, 2.0)), sums)[2] == 0
    assert claim.reachable(node, scaled(built, dict.fromkeys(kicked, 1.0)), sums)[2] > 0


def test_a_force_that_no_synapse_holds():
    assert all(reached(on_grid(value)).holds for value in range(1, 1 << 17, 61))
    assert not reached(301).holds  # 300 and 304 are weights, 301 is not
    assert reached(304).value == "304 on a grid of 4, 1 synapse(s)"
    assert not reached(254 * 9 << 7).holds


# -------------------------------------------------------------------------------------------- constants behind a convolution


@pytest.mark.parametrize("kind", HARD)
def test_the_constant_behind_a_padded_convolution_depends_on_the_position(kind):
    """Ping-pong without relays sends -a_K at every position; at 16 of 25 the kernel sees the border. A bias a channel could not."""
    node = IntegerNeuron(4095, 2048, np.array([1.0, 2.0]) * UNIT, np.array([1.0, 3.0]))
    plain = IntegerNeuron(4095, 2048, np.array([40.0]) * UNIT, np.array([1.0]))
    conv = Conv(np.arange(1.0, 10.0).reshape(1, 1, 3, 3), padding=((1, 1), (1, 1)))
    nodes = {"x": Input((1, 5, 5), "levels"), "one": Scale(frozen(1.0)), "a": node, "w": conv, "b": plain}
    graph = Graph(nodes, (Edge("x", "one"), Edge("one", "a"), Edge("a", "w"), Edge("w", "b")))
    built = claim.named(node, kind, Limits((1, 5, 5), 4, programs=True, payload_bits=8))
    lowered = merge.apply(decouple.apply(graph, {"a": built}))
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 4, (30, 8, 1, 5, 5)).astype(float)
    one = {CONSTANT: np.ones((1, 8, 1))} if CONSTANT in lowered.nodes else {}
    before, after = run_reference(graph, {"x": x}, 30), run_reference(lowered, {"x": x, **one}, 30)
    np.testing.assert_array_equal(before.outputs["b"], after.outputs["b"])
    if kind == "ping-pong-direct":
        offsets = {float(v) for v in conv.step((np.full((1, 1, 5, 5), -3.0),), {}, NUMPY)[0].ravel()}
        assert len(offsets) == 9
        inner = conv.step((np.full((1, 1, 5, 5), -3.0),), {}, NUMPY)[0][0, 0]
        assert int((inner != inner[2, 2]).sum()) == 16
