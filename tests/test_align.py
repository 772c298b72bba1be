"""Alignment, driven biases and spliced constructions, on graphs small enough to know the answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Limits
from snndeploy.ir.layers import Input, Linear, Output, Scale, Sum
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.paths import neurons, paths_into
from snndeploy.passes import decouple, drive
from snndeploy.passes.align import align, cyclic
from snndeploy.sim.reference import run_reference

PLAIN = IntegerNeuron(4095, 2048, np.array([64.0]), np.array([1.0]))
ONE = Scale(frozen(1.0))


def wired(*links: str, **kinds: object) -> Graph:
    """Links "a b 2": a synapse from a to b, two steps late. Nodes are plain neurons unless named; x and z are inputs."""
    nodes: dict[str, object] = {}
    edges = []
    for n, link in enumerate(links):
        source, target, delay = (*link.split(), "0")[:3]
        nodes |= {name: kinds.get(name, Input((3,), "spikes") if name in "xz" else PLAIN) for name in (source, target)}
        if isinstance(nodes[target], Output):
            edges.append(Edge(source, target))
        else:
            nodes[f"w{n}"] = ONE
            edges += [Edge(source, f"w{n}", int(delay)), Edge(f"w{n}", target)]
    return Graph(nodes, tuple(edges))


def shifts(graph: Graph) -> dict[str, int]:
    return {name: align(graph).shifts[name] for name in neurons(graph)}


def delays(graph: Graph) -> dict[tuple[str, str], int]:
    alignment = align(graph)
    return {(path.source, name): alignment.delay(path, name) for name in neurons(graph) for path in paths_into(graph, name)}


@pytest.mark.parametrize(
    ("links", "wanted"),
    [
        (["x a", "a b", "b c"], {"a": 1, "b": 2, "c": 3}),
        (["x a", "a b", "b c", "a c"], {"a": 1, "b": 2, "c": 3}),
        (["x a", "a b", "x c", "b c"], {"a": 1, "b": 2, "c": 3}),
        (["x a", "z b", "b a"], {"a": 2, "b": 1}),
        (["x a", "a a 1"], {"a": 1}),
        (["x a", "a b", "b a 2"], {"a": 1, "b": 2}),
        (["x a 1", "a b"], {"a": 0, "b": 1}),
        (["x a", "a b 3", "x b"], {"a": 1, "b": 1}),
        (["x a", "a b 1", "b c 1", "x c"], {"a": 1, "b": 1, "c": 1}),
    ],
)
def test_shifts_are_the_longest_paths(links, wanted):
    assert shifts(wired(*links)) == wanted


def test_delays_make_all_paths_meet():
    assert delays(wired("x a", "a b", "b c", "a c", "x c")) == {("x", "a"): 0, ("a", "b"): 0, ("b", "c"): 0, ("a", "c"): 1, ("x", "c"): 2}
    assert delays(wired("x a", "a a 1", "a b 3", "x b")) == {("x", "a"): 0, ("a", "a"): 0, ("a", "b"): 2, ("x", "b"): 0}


def test_a_spike_arrives_when_its_target_does_what_the_graph_says():
    """For every path: shift of the source + 1 + D == shift of the target + the graph's own delay."""
    graph = wired("x a", "a b", "b c", "c b 3", "a c 1", "z c", "b b 1", "x d", "c d", "d a 5")
    alignment = align(graph)
    for name in neurons(graph):
        for path in paths_into(graph, name):
            late = alignment.delay(path, name)
            assert late >= 0
            assert alignment.shifts[path.source] + 1 + late == alignment.shifts[name] + path.delay


def test_the_hosts_current_takes_no_step():
    graph = wired("x h", "h a", "a b", "h b", x=Input((3,), "real"), h=HostCurrent(frozen(0.0), 0, 0))
    assert shifts(graph) == {"a": 0, "b": 1}
    assert delays(graph)["h", "a"] == 0
    assert delays(graph)["h", "b"] == 1


@pytest.mark.parametrize(
    ("links", "loop"),
    [
        (["x a", "a b", "b a 1", "b c", "c d"], {"a", "b"}),
        (["x a", "a b", "b c", "c b 1", "c d", "d a 9"], {"b", "c"}),
        (["x a", "a b", "b c", "c a 2"], {"a", "b", "c"}),
    ],
)
def test_a_loop_without_enough_delay_is_named(links, loop):
    with pytest.raises(Unsupported, match="L017") as refusal:
        align(wired(*links))
    named = refusal.value.where.split(" -> ")
    assert named[0] == named[-1]
    assert set(named) == loop
    links = {(p.source, n) for n in "abcd" if n in wired(*links).nodes for p in paths_into(wired(*links), n)}
    assert set(itertools.pairwise(named)) <= links  # in the direction of the spikes


def test_which_neurons_can_reach_themselves():
    assert cyclic(wired("x a", "a b", "b c", "c b 2", "c d", "e d", "x e", "e e 1")) == {"b", "c", "e"}
    assert cyclic(wired("x a", "a b")) == frozenset()


# ------------------------------------------------------------------------------------------------------- driven biases


def biased(bias: object, **more: object) -> IntegerNeuron:
    return IntegerNeuron(**{"du": 4095, "dv": 2048, "thresholds": [128.0], "levels": [1.0], "bias": bias, **more})


def same_before_and_after(graph: Graph, after: Graph, steps: int = 9) -> None:
    rng = np.random.default_rng(0)
    inputs = {"x": rng.integers(0, 3, (steps, 20, 3)).astype(float)}
    more = {CONSTANT: np.ones((1, 20, 1))} if CONSTANT in after.nodes else {}
    one, other = run_reference(graph, inputs, steps), run_reference(after, {**inputs, **more}, steps)
    for name in neurons(graph):
        np.testing.assert_array_equal(one.outputs[name], other.outputs[name])
        assert one.outputs[name].any()


@pytest.mark.parametrize("links", [["x a", "a b"], ["x a", "a b", "b b 1"]])
@pytest.mark.parametrize("clears", [False, True])
def test_biases_come_and_go_with_the_input(links, clears):
    graph = wired(*links, a=biased([64.0, -64.0, 0.0]), b=PLAIN)
    driven = drive.apply(graph, clears)
    assert not driven.nodes["a"].bias.any()
    assert driven.nodes["a.bias"].scale.tolist() == [1, -1, 0]
    assert driven.nodes["b"] is graph.nodes["b"]
    same_before_and_after(graph, driven)


def test_a_bias_beyond_the_register_is_driven():
    graph = wired("x a", "x b", a=biased(float(4096 << 7), thresholds=[64.0 * 9000]), b=biased(128.0))
    driven = drive.apply(graph)
    assert driven.nodes["a.bias"].scale.tolist() == [8192, 8192, 8192]
    same_before_and_after(graph, driven)


def test_nothing_to_drive_changes_nothing():
    graph = wired("x a", "a b")
    assert drive.apply(graph) is graph


def test_a_resting_potential_behind_a_current_stays_in_its_register():
    graph = wired("x a", "a b", a=biased(64.0, du=2048))
    assert drive.apply(graph) is graph
    for refused, clears in ((graph, False), (wired("x a", "a a 1", a=biased(64.0, du=2048)), True)):
        with pytest.raises(Unsupported, match="resting potential") as refusal:
            drive.apply(refused, clears)
        assert "rest 0" in refusal.value.hint


def test_what_fires_at_rest_needs_layers_that_are_cleared():
    with pytest.raises(Unsupported, match="fires at rest"):
        drive.apply(wired("x a", "a b 1", a=biased(0.0, thresholds=[-1.0])))
    at_rest = wired("x a", "a b", a=biased(0.0, thresholds=[-1.0]))
    assert drive.apply(at_rest) is at_rest  # the layers after it are cleared when their input arrives


# ------------------------------------------------------------------------------------------------------ constructions

BURST = IntegerNeuron(4095, 2048, np.array([128.0, 192.0]), np.array([1.0, 3.0]))
NAMES = ("graded", "ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct")


def candidate(name: str):
    limits = Limits((3,), 40, True, 16)
    return next(c for c in BURST.lower(limits) if c.construction == name)


def burst_graph() -> Graph:
    """A burst neuron that feeds itself, two neurons, one of them late, and an Output; another burst neuron beside it."""
    graph = wired("x a", "a b", "a c 2", "a a 1", "x c", "a y", "b d", "x d", a=BURST, d=BURST, b=PLAIN, y=Output("sum"))
    assert cyclic(graph) == {"a"}
    return graph


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("chosen", [("a",), ("a", "d")])
def test_a_construction_in_place_of_the_neuron_changes_nothing(name, chosen):
    graph = burst_graph()
    lowered = decouple.apply(graph, dict.fromkeys(chosen, candidate(name)))
    rng = np.random.default_rng(1)
    x = rng.integers(-1, 6, (25, 30, 3)).astype(float)
    one = run_reference(graph, {"x": x}, 25, record=["a", "b", "c", "d"])
    more = {CONSTANT: np.ones((1, 30, 1))} if CONSTANT in lowered.nodes else {}
    other = run_reference(lowered, {"x": x, **more}, 25, record=["a", "b", "c", "d", "y"])
    for layer in "abcd":
        np.testing.assert_array_equal(one.outputs[layer], other.outputs[layer])
        assert one.outputs[layer].any()
    scale = 1 if name == "graded" else 64
    np.testing.assert_array_equal(other.outputs["y"], scale * one.outputs["a"])


def test_a_graded_neuron_stays_as_it_is():
    graph = burst_graph()
    assert decouple.apply(graph, {"a": candidate("graded")}) == graph


def test_the_names_of_what_takes_a_neurons_place():
    lowered = decouple.apply(burst_graph(), {"a": candidate("ping-pong")})
    inner = ("A1", "A2", "B1", "B2", "R1", "R2")
    assert {n for n in neurons(lowered) if n.startswith("a")} == {f"a.{n}" for n in inner}
    assert lowered.nodes["a"] == Sum()
    assert isinstance(lowered.nodes["y.readout"], IntegerNeuron)
    assert lowered.into("y") == (Edge("y.readout", "y"),)


def test_matrices_between_bursts_stay_where_they_are():
    rng = np.random.default_rng(2)
    weight = rng.integers(-3, 4, (3, 3)).astype(float)
    nodes = {"x": Input((3,), "spikes"), "w": Linear(weight), "a": BURST, "v": Linear(weight), "b": PLAIN, "y": Output("count")}
    graph = Graph(nodes, tuple(Edge(one, other) for one, other in itertools.pairwise(nodes)))
    lowered = decouple.apply(graph, {"a": candidate("ping-pong-direct")})
    assert lowered.nodes["v"] is nodes["v"]
    assert lowered.into("y") == (Edge("b", "y"),)
