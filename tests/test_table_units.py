"""Neuron programs with tables and constants: units are chosen so that all of it fits, and a hint names what helps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.errors import QuantizeError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.integer import STATE_MAX
from snndeploy.ir.neurons.klif import KLIF
from snndeploy.quantize import Settings, quantize
from snndeploy.sim.reference import run_reference


def small_weights(node, scale, seed=0):
    """A real-valued image into 12 neurons, with a small spread of weights."""
    weight = np.random.default_rng(seed).uniform(-1, 1, (12, 9)) / 3 * scale
    x = np.random.default_rng(1).random((1, 8, 9))
    graph = Graph(
        {"x": Input((9,), "real", True), "w": Linear(weight), "n": node, "y": Output("count")},
        (Edge("x", "w"), Edge("w", "n"), Edge("n", "y")),
    )
    return graph, x


def quantized(graph, x, steps=6):
    trace = run_reference(graph, {"x": x}, steps)
    whole = {"x": np.broadcast_to(x, (steps, *x.shape[1:]))}
    return quantize(graph, Settings(steps, programs=True), {**trace.outputs, **whole}), trace


TABLED = {
    "clif": CLIF(frozen(0.5), frozen(0.5), frozen(0.5), threshold=frozen(0.5), amount=frozen(0.5)),
    "clif, hard": CLIF(frozen(0.5), frozen(0.5), frozen(0.5), threshold=frozen(0.3), reset="hard"),
    "klif": KLIF(frozen(0.5), frozen(1.5), frozen(0.5), threshold=frozen(0.25), amount=frozen(0.25)),
}


@pytest.mark.parametrize("name", TABLED)
@pytest.mark.parametrize("scale", [0.03, 1.0])
def test_units_are_chosen_so_that_tables_and_constants_fit(name, scale):
    """A weight unit of a few 1e-7 leaves no room for 1.5 in 24 bits: the unit is made coarser, whatever the weights are."""
    graph, x = small_weights(TABLED[name], scale)
    q, trace = quantized(graph, x)
    neuron = q.graph.nodes["n"]
    peak = max(float(np.abs(v).max()) for v in (*neuron.tables.values(), *neuron.constants.values(), np.zeros(1)))
    assert peak <= STATE_MAX
    got = run_reference(q.graph, {"x": np.round(x / q.units["x"])}, 6).outputs["n"]
    assert (got != trace.outputs["n"]).mean() < 0.03


def test_a_constant_that_is_taken_off_is_never_cut_off():
    """At weights of 1e-4 a reset amount of 1.0 stood beyond its word, and was cut off to whatever the word holds."""
    node = KLIF(frozen(0.9), frozen(1.0), threshold=frozen(0.002), amount=frozen(1.0))
    graph, x = small_weights(node, 0.004)
    q, trace = quantized(graph, x)
    assert trace.outputs["n"].any()
    got = run_reference(q.graph, {"x": np.round(x / q.units["x"])}, 6).outputs["n"]
    assert (got != trace.outputs["n"]).mean() < 0.05


@pytest.mark.parametrize("name", ["clif", "clif, hard"])
def test_a_hint_of_larger_weights_works_with_its_number(name):
    """Followed, the hint leads to a network that fits."""
    node = dataclasses.replace(TABLED[name], threshold=frozen(1.0))
    graph, x = small_weights(node, 1e-6)
    with pytest.raises(QuantizeError, match="too small beside") as refused:
        quantized(graph, x)
    times = float(refused.value.hint.split(": ")[-1].split()[0])
    larger = graph.replace({"w": Linear(graph.nodes["w"].weight * times)})
    assert quantized(larger, x)[0].graph.nodes["w"].weight.any()


def test_a_layer_that_provably_never_fires_needs_no_room_for_what_a_spike_takes_off():
    graph, x = small_weights(dataclasses.replace(TABLED["klif"], threshold=frozen(1.0)), 1e-6)
    q, trace = quantized(graph, x)
    assert not trace.outputs["n"].any()
    assert not run_reference(q.graph, {"x": np.round(x / q.units["x"])}, 6).outputs["n"].any()
