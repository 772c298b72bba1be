"""Two-phase: K plain neurons and two steps for one, alone and in a whole chip network; and what it cannot do."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Candidate, Edge, Graph, Limits
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.decoupling import CONSTANT, UNIT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.twophase import HALVES, halved
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import neurons, paths_into
from snndeploy.passes import decouple, drive, merge, phases
from snndeploy.passes.align import align
from snndeploy.quantize.assemble import Ports, Timing, assemble_network
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.reference import run_reference

EXACT = [dv for dv in range(4097) if 4096 - dv in HALVES]


def neuron(ladder: list[int], dv: object = 3072, **parts: object) -> IntegerNeuron:
    levels = np.arange(1.0, len(ladder) + 1)[:, None]
    return IntegerNeuron(4095, dv, np.array(ladder, float)[:, None] * UNIT, levels, **parts)


def two_phase(node: IntegerNeuron, bound: int = 40, width: int = 1) -> Candidate:
    return next(c for c in node.lower(Limits((width,), bound, programs=True, payload_bits=16)) if c.construction == "two-phase")


def failing(candidate: Candidate) -> list[str]:
    return [c.name for c in candidate.conditions if not c.holds]


def levels(node: IntegerNeuron, sums: np.ndarray) -> np.ndarray:
    state, out = {k: np.broadcast_to(x, sums.shape[1:]) for k, x in node.initial_state(sums.shape[2:]).items()}, []
    for x in sums:
        y, state = node.step((x,), state, NUMPY)
        out.append(y)
    return np.stack(out)


def differing(node: IntegerNeuron, candidate: Candidate, sums: np.ndarray) -> int:
    """Levels that differ at first steps, and whatever is sent at second ones."""
    sent = run_reference(candidate.graph, phases.feed({"in": sums + node.bias / UNIT}, len(sums)), 2 * len(sums), record=["out"])
    return int((sent.outputs["out"][::2] != levels(node, sums)).sum() + (sent.outputs["out"][1::2] != 0).sum())


def test_the_decays_that_two_equal_truncations_make():
    v = np.concatenate([np.arange(70_000), np.arange(2**23 - 70_000, 2**23), np.random.default_rng(0).integers(0, 2**23, 70_000)])
    for whole, half in HALVES.items():
        np.testing.assert_array_equal((v * whole) >> 12, (((v * half) >> 12) * half) >> 12)
    halves = np.arange(4097)[:, None]
    few = np.concatenate([np.arange(0, 8192), np.arange(2**23 - 4096, 2**23)])
    twice = ((((few * h) >> 12) * h) >> 12 for h in halves)
    exact = {int(h[0]) for h, two in zip(halves, twice, strict=True) if any((((few * b) >> 12) == two).all() for b in squares(int(h[0])))}
    assert exact == {*HALVES.values(), 1}  # a half of 1/4096 leaves nothing of 23 bits, as a decay of 0 does
    assert halved(frozen([2048.0, 3072.0])) is None


def squares(half: int) -> tuple[int, ...]:
    """The decays that two steps of ``half`` could make, both times 4096."""
    return tuple(b for b in (half**2 // 4096, half**2 // 4096 + 1) if b <= 4096)


@pytest.mark.parametrize("rungs", [2, 3, 5])
def test_levels_at_first_steps_and_nothing_at_second_ones(rungs):
    rng = np.random.default_rng(rungs)
    compared = 0
    for top in (3, 40, 3000, 30_000):
        dv = rng.choice(EXACT, 200).astype(float)
        ladder = np.sort(rng.integers(0, top, (rungs, 200)), axis=0) * float(UNIT)
        node = IntegerNeuron(4095, dv, ladder, rng.integers(-5, 60, (rungs, 200)), rng.integers(-3, 4, 200) * UNIT)
        bound = 4 + int(top * 2)
        built = two_phase(node, bound, 200)
        assert failing(built) == []
        sums = rng.integers(-bound, bound + 1, (60, 8, 200)).astype(float)
        sums = np.where(rng.random(sums.shape) < 0.5, np.round(sums / 8), sums)
        assert differing(node, built, sums) == 0
        compared += sums.size
    assert compared == 384_000


@pytest.mark.parametrize("dv", [0, 3072, 4095, 4096])
def test_every_short_input_sequence(dv):
    node = neuron([1, 2], dv)
    sums = np.array(list(itertools.product(range(-2, 4), repeat=6)), float).T[:, :, None]
    assert differing(node, two_phase(node), sums) == 0


def test_what_it_costs():
    built = two_phase(neuron([1, 2, 3]))
    assert (len(built.graph.named(IntegerNeuron)), built.phases, built.latency) == (3, 2, 0)
    assert all(n.fixed for n in built.graph.named(IntegerNeuron).values())


@pytest.mark.parametrize(
    ("node", "condition"),
    [
        (neuron([10, 20], 2048), "decay made of two equal ones"),
        (neuron([10, 20], 1000), "decay made of two equal ones"),
        (neuron([-10, 20]), "threshold above the reset value"),
        (replace(neuron([10, 20]), du=frozen(2048.0)), "no synaptic memory"),
    ],
)
def test_outside_its_conditions(node, condition):
    built = two_phase(node)
    assert failing(built) == [condition]
    sums = np.random.default_rng(0).integers(-20, 40, (60, 300, 1)).astype(float)
    assert differing(node, built, sums) > 0


def test_force_and_input_never_meet_so_each_may_fill_u():
    node = neuron([30_000, 100_000])
    inside, outside = two_phase(node, 131_000), two_phase(node, 132_000)
    rng = np.random.default_rng(0)
    assert failing(inside) == []
    assert differing(node, inside, rng.integers(-131_000, 131_001, (40, 300, 1)).astype(float)) == 0
    assert failing(outside) == ["no wrap of u"]


# ---------------------------------------------------------------------------------------------------- the whole network


def network(rng: np.random.Generator, decay: int = 3072) -> Graph:
    """Spikes, a burst layer, a plain layer with a bias and a skip, and a read-out that keeps everything."""
    burst = IntegerNeuron(4095, decay, np.array([20.0, 44.0]) * UNIT, np.array([1.0, 3.0]), bias=frozen(2.0 * UNIT))
    plain = IntegerNeuron(4095, 3072, np.array([30.0]) * UNIT, np.array([1.0]), bias=frozen(-UNIT))
    nodes = {"x": Input((6,), "spikes"), "w": weights(rng, 5, 6), "a": burst, "v": weights(rng, 5, 5), "b": plain, "u": weights(rng, 5, 5),
             "r": IntegerNeuron(4095, 0, np.zeros((0,)), np.zeros((0,))), "k": weights(rng, 5, 5), "y": Output("sum")}  # fmt: skip
    chain = ("x", "w", "a", "v", "b", "u", "r", "y")
    return Graph(nodes, (*(Edge(one, two) for one, two in itertools.pairwise(chain)), Edge("a", "k", 1), Edge("k", "r")))


def weights(rng: np.random.Generator, out: int, into: int) -> Linear:
    return Linear(2.0 * rng.integers(-8, 14, (out, into)))


def at_two_steps(graph: Graph) -> Graph:
    slow = phases.apply(drive.apply(graph))
    return merge.apply(decouple.splice(slow, "a", two_phase(graph.nodes["a"], 400, 5)))


def test_a_chip_network_at_two_steps_does_at_every_second_what_the_graph_does():
    rng = np.random.default_rng(1)
    graph, steps = network(rng), 25
    x = (rng.random((steps, 30, 6)) < 0.4).astype(float)
    wanted = run_reference(graph, {"x": x}, steps, record=["b", "r"]).outputs
    slow = at_two_steps(graph)
    aligned = align(slow)
    delays = {(p.source, n, p.nodes): aligned.delay(p, n) for n in neurons(slow) for p in paths_into(slow, n)}
    ports = Ports({}, {"x": 1.0, CONSTANT: 1.0}, {})
    chip = assemble_network(slow, "loihi1", Timing(steps, aligned.shifts, delays, restart=False, phases=2), ports, conv_exponent=False)
    trace = run_chip(chip, inject(chip, {"x": x}))
    assert trace.steps == chip.chip_steps(steps) == 2 * steps + chip.latency
    for name, values in wanted.items():
        np.testing.assert_array_equal(trace.outputs[name][chip.window(name, steps)], values)
        assert values.any()
        at = chip.populations[name].shift
        assert name == "r" or not trace.outputs[name][at + 1 :: 2].any()
    assert {n for n in chip.populations if n.startswith("a.")} == {"a.N1", "a.N2"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"dv": frozen(2048.0)}, "no two equal decays make 0.5 exactly"),
        ({"du": frozen(2048.0)}, "would not stand still"),
        ({"reset": "subtract", "amounts": frozen([64.0])}, "would not stand still"),
        ({"floor": frozen(-64.0)}, "would not stand still"),
    ],
)
def test_one_layer_that_cannot_is_enough(change, says):
    graph = network(np.random.default_rng(1))
    other = graph.replace({"b": replace(graph.nodes["b"], bias=frozen(0.0), **change)})
    with pytest.raises(Unsupported, match=says) as refusal:
        phases.apply(drive.apply(other))
    assert refusal.value.where == "b"
