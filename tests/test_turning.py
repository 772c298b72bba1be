"""A run that tells only its outputs: a difference is a tie only where near decisions, turned around, lead to those outputs."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import snndeploy as sd
from converters import Loaded, Witness
from snndeploy.arrays import frozen
from snndeploy.flow.original import hold_against_original, hold_against_originals
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF

T, BATCH, THRESHOLD = 8, 6, 0.7


def network(seed, decode="none", sizes=(8, 10, 5)):
    """Two layers of neurons that do not leak, on weights of a decimal grid: potentials often meet the threshold."""
    rng = np.random.default_rng(seed)
    weights = [rng.integers(-4, 9, (b, a)) * 0.1 for a, b in itertools.pairwise(sizes)]
    neuron = LIF(frozen(1.0), frozen(1.0), frozen(THRESHOLD), reset="subtract", amount=frozen(THRESHOLD))
    layers = {"a": Linear(weights[0]), "one": neuron, "b": Linear(weights[1]), "two": neuron}
    nodes = {"x": Input((sizes[0],)), **layers, "y": Output(decode)}
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def in_float32(graph, x):
    """What a model that computes this network in float32 sends: [T, B, n] of both layers."""
    f, sent = np.float32, {"one": [], "two": []}
    v = {name: f(0) for name in sent}
    for now in x.astype(f):
        for name, layer in (("one", "a"), ("two", "b")):
            h = v[name] + now @ graph.nodes[layer].weight.astype(f).T
            now = (h >= f(THRESHOLD)).astype(f)
            v[name] = h - f(THRESHOLD) * now
            sent[name].append(now)
    return {name: np.stack(series).astype(float) for name, series in sent.items()}


def loaded(seed, decode="none"):
    graph = network(seed, decode)
    x = (np.random.default_rng(seed + 1000).random((T, BATCH, 8)) < 0.3) * 1.0
    sent = in_float32(graph, x)["two"]
    gave = {"none": sent, "sum": sent.sum(0)}[decode]
    return Loaded(graph, steps=T, witness=Witness(T, {"x": x}, {"y": gave}, arithmetic="float32"))


@pytest.mark.parametrize("decode", ["none", "sum"])
def test_a_network_that_only_rounds_otherwise_is_never_different(decode):
    ties = 0
    for seed in range(12):
        held = hold_against_originals(loaded(seed, decode))
        assert all(pair.equal for pair in held.pairs), seed
        assert held.pairs or held.unsettled
        ties += sum(pair.within_bound for pair in held.pairs)
        if held.pairs and held.pairs[0].within_bound:
            first = held.pairs[0].first
            assert first.layer in ("one", "two")
            assert first.cause == "at the threshold, within the rounding bound"
            assert {first.a, first.b} == {0.0, 1.0}
    assert ties > 0


def test_a_neuron_near_its_threshold_excuses_no_other_difference():
    found = 0
    for seed in range(12):
        there = loaded(seed)
        weight = there.graph.nodes["b"].weight.copy()
        weight[0] = 0.0
        graph = there.graph.replace({"b": Linear(weight)})
        silent = dataclasses.replace(there, graph=graph)
        if not there.witness.outputs["y"][..., 0].any():
            continue
        held = hold_against_originals(silent)
        (pair,) = held.pairs
        assert not pair.equal, seed
        assert pair.first.layer == "y"
        assert pair.first.cause == "beyond the rounding bound"
        found += 1
    assert found > 8


@pytest.mark.parametrize("share", [1.01, 0.99])
def test_a_threshold_that_is_off_by_one_percent_is_seen(share):
    """On a grid of 0.1 a threshold of 0.707 lets 0.7 pass by: where every 0.7 is a tie, that cannot be seen."""
    seen = 0
    for seed in range(6):
        there = loaded(seed)
        node = there.graph.nodes["one"]
        for name, value in (("threshold", THRESHOLD * share), ("amount", THRESHOLD * share)):
            graph = there.graph.replace({"one": dataclasses.replace(node, **{name: frozen(value)})})
            pair = hold_against_original(dataclasses.replace(there, graph=graph))
            seen += pair is not None and not pair.equal
    assert seen > 4


def crowded():
    """Forty neurons exactly at a threshold that rounds: whichever way they went cannot be tried out."""
    count = 40
    neuron = LIF(frozen(0.9), frozen(1.0), frozen(0.3), reset="hard", v_reset=frozen(0.0))
    nodes = {"x": Input((1,)), "a": Linear(np.full((count, 1), 0.1)), "one": neuron, "b": Linear(np.ones((1, count))), "y": Output("sum")}
    names = list(nodes)
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))
    x = np.zeros((3, 2, 1))
    x[0, 0] = 3.0  # 3 * 0.1 is 0.30000000000000004
    return Loaded(graph, steps=3, witness=Witness(3, {"x": x}, {"y": np.array([[15.5], [0.0]])}, arithmetic="float32"))


def test_what_cannot_be_tried_out_is_not_compared_and_said():
    held = hold_against_originals(crowded())
    (pair,) = held.pairs
    assert (pair.compared, pair.different) == (1, 0)
    (said,) = held.unsettled
    assert said.startswith("original model: 1 of 2 samples of its run")
    alone = dataclasses.replace(crowded().witness, inputs={"x": crowded().witness.inputs["x"][:, :1]}, outputs={"y": np.array([[15.5]])})
    held = hold_against_originals(dataclasses.replace(crowded(), witness=alone))
    assert not held.pairs
    assert held.unsettled[0].startswith("original model: 1 of 1 samples")


def test_the_report_says_what_was_not_compared():
    data = (np.random.default_rng(0).random((4, 3, 1)) < 0.5) * 4.0
    made = sd.convert(crowded(), data, chip="loihi2")
    assert any(line.startswith("original model: 1 of 2 samples") for line in made.verdict.not_checked)
    assert any(line.startswith("original model: 1 of 2 samples") for line in sd.report(made).unchecked)
