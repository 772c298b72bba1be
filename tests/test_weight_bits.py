"""Few weight bits: never worse than rounding each layer's weights by its largest, and never a layer without spikes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_quantize import STEPS, chain, outputs, run_quantize, spikes, two_bursts

import snndeploy as sd
from converters import Options
from snndeploy.arrays import frozen
from snndeploy.flow import choosing
from snndeploy.flow.feeding import Feed
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.quantize import Settings, choice
from snndeploy.sim.reference import run_reference


def levels(weight):
    """How many sizes other than 0 a matrix of whole weights has."""
    return len(np.unique(np.abs(weight[weight != 0])))


def plain(graph, bits):
    """The float network with each matrix rounded by its largest weight."""
    nodes = {}
    for name, node in graph.named(Linear).items():
        step = np.abs(node.weight).max() / (2 ** (bits - 1) - 1)
        nodes[name] = replace(node, weight=frozen(np.round(node.weight / step) * step))
    return graph.replace(nodes)


def wide(spread, tail, seed=0):
    """784 real inputs, 60 leaky neurons, 10 more; one weight in a hundred is ``tail`` times as large."""
    rng = np.random.default_rng(seed)
    first, second = rng.normal(0, spread, (60, 784)), rng.normal(0, 0.3, (10, 60))
    first[rng.random(first.shape) < 0.01] *= tail
    return chain(Input((784,), "real", True), Linear(first), LIF(frozen(0.95)), Linear(second), LIF(frozen(0.95)))


def agreement(a, b):
    return float((a.sum(0).argmax(-1) == b.sum(0).argmax(-1)).mean())


@pytest.mark.parametrize(("spread", "tail", "density"), [(0.03, 1, 1.0), (0.06, 4, 0.2)])
def test_few_bits_of_a_wide_real_layer_keep_what_plain_rounding_keeps(spread, tail, density):
    graph, rng = wide(spread, tail), np.random.default_rng(1)
    x = rng.random((1, 60, 784)) * (rng.random((1, 60, 784)) < density)
    wanted = run_reference(graph, {"x": x}, STEPS).outputs["d"]
    for bits in (6, 4):
        q = run_quantize(graph, x, weight_bits={"*": bits})
        simple = run_reference(plain(graph, bits), {"x": x}, STEPS).outputs["d"]
        assert agreement(outputs(q, x, "d"), wanted) >= agreement(simple, wanted) - 0.1
        weight = q.graph.nodes["a"].weight
        assert levels(weight) >= 2 ** (bits - 1) - 3
        assert (weight == 0).mean() <= 1.5 * (plain(graph, bits).nodes["a"].weight == 0).mean()
        assert q.layers[0].weight_bits == bits
        assert not any(layer.died for layer in q.layers)


def test_a_dead_layer_does_not_end_the_search_for_payload_bits():
    """A scale so coarse that hardly a weight is left makes the sum small: that is no room that was found."""
    graph = wide(0.03, 1)
    x = np.random.default_rng(1).random((1, 40, 784))
    q = run_quantize(graph, x, weight_bits={"*": 5})
    fired, wanted = outputs(q, x, "b").sum(), run_reference(graph, {"x": x}, STEPS).outputs["b"].sum()
    assert fired == pytest.approx(wanted, rel=0.1)
    assert q.payloads["x"] < 255


def test_few_bits_lie_low_in_the_mantissa_where_u_is_short():
    """An integrator over 400 steps: 4 bits keep the levels they have over 3 steps, as smaller numbers; 8 bits lose some."""
    graph = chain(Input((40,)), Linear(np.random.default_rng(3).normal(size=(5, 40))), LI(frozen(1.0)))
    x = {steps: spikes(40, steps=steps, batch=3) for steps in (3, 400)}
    short, long = (run_quantize(graph, x[steps], steps, weight_bits={"*": 4}) for steps in x)
    full = run_quantize(graph, x[400], 400)
    high, low = (q.graph.nodes["a"].weight for q in (short, long))
    assert (np.abs(high).max(), np.abs(low).max()) == (224, 14)
    assert levels(high) == levels(low) == 7
    assert (long.layers[0].weight_bits, long.layers[0].crowded) == (4, False)
    assert full.layers[0].crowded
    assert full.layers[0].weight_bits < 8
    assert any("of 8 weight bits are used: u has no room for more" in note for note in full.layers[0].notes)


def test_a_candidate_that_kills_a_layer_loses_to_one_that_lives(monkeypatch):
    """Silence differs only where the float layer fires: of a layer that fires rarely, it would be the smaller error."""
    rng = np.random.default_rng(0)
    graph = chain(Input((30,)), Linear(rng.normal(size=(8, 30)) / 4), LIF(frozen(0.9), threshold=frozen(2.5)))
    x = spikes(30, rate=0.15)
    wanted = run_reference(graph, {"x": x}, STEPS).outputs["b"]
    assert 0 < wanted.mean() < 0.1
    ran, silent = choice._ran, {1.0, 0.84}
    clips = iter(choice.CLIPS)
    monkeypatch.setattr(choice, "SOME_SAMPLES", x.shape[1])
    monkeypatch.setattr(choice, "_ran", lambda *of: ran(*of) * (next(clips, 0.1) not in silent))
    q = run_quantize(graph, x)
    assert not q.layers[0].died
    assert outputs(q, x, "b").sum() > 0.5 * wanted.sum()
    monkeypatch.setattr(choice, "_ran", lambda *of: ran(*of) * 0)
    dead = run_quantize(graph, x).layers[0]
    assert dead.died
    assert any("less than a tenth" in note for note in dead.notes)


def test_the_table_shows_the_bits_that_were_asked_for_by_the_synapses_name():
    rng = np.random.default_rng(0)
    nodes = {"x": Input((9,)), "fc": Linear(rng.normal(size=(5, 9))), "back": Linear(rng.normal(size=(5, 5)) / 9)}
    nodes |= {"n": LIF(frozen(0.5)), "y": Output("count")}
    edges = (Edge("x", "fc"), Edge("fc", "n"), Edge("n", "back", 1), Edge("back", "n"), Edge("n", "y"))
    graph = Graph(nodes, edges)
    (row,) = run_quantize(graph, spikes(9), weight_bits={"fc": 4, "back": 4}).layers
    assert row.weight_bits == 4
    (row,) = run_quantize(graph, spikes(9), weight_bits={"back": 5, "fc": 6}).layers
    assert row.weight_bits == 6
    assert "n: 5 weight bits" in row.notes


def test_small_weights_beside_large_ones_keep_their_few_bits():
    """Two matrices, one 16 times smaller: at 4 bits it is held by smaller numbers, not by fewer levels."""
    rng = np.random.default_rng(0)
    nodes = {"x": Input((9,)), "fc": Linear(rng.normal(size=(5, 9))), "back": Linear(rng.normal(size=(5, 5)) / 16)}
    nodes |= {"n": LIF(frozen(0.5)), "y": Output("count")}
    edges = (Edge("x", "fc"), Edge("fc", "n"), Edge("n", "back", 1), Edge("back", "n"), Edge("n", "y"))
    q = run_quantize(Graph(nodes, edges), spikes(9), weight_bits={"*": 4})
    assert levels(q.graph.nodes["back"].weight) >= 4


def test_a_burst_neurons_levels_leave_few_bits_all_of_theirs():
    """Rungs several units apart multiply the weights: 4 bits still have their 7 levels a side, low in the mantissa."""
    bursts = two_bursts(1.37)
    four, eight = (run_quantize(bursts, spikes(9), decoupled=True, weight_bits={"*": bits}) for bits in (4, 8))
    assert levels(four.graph.nodes["c"].weight) == 7
    assert not any("left by its levels" in note for layer in four.layers for note in layer.notes)
    assert any("left by its levels" in note for layer in eight.layers for note in layer.notes)


class Choosing:
    """A two-layer network whose choice by layers, or whose plain rule, was made to answer nothing."""

    def __init__(self, monkeypatch, spoiled: bool) -> None:
        self.graph = wide(0.03, 1)
        x = np.random.default_rng(1).random((1, 20, 784))
        self.data = Feed({"x": x}, None, STEPS)
        self.trace = run_reference(self.graph, {"x": x}, STEPS)
        self.seen = {**self.trace.outputs, "x": np.broadcast_to(x, (STEPS, *x.shape[1:]))}
        real = choosing.quantize

        def made(graph, settings, *rest):
            q = real(graph, settings, *rest)
            c = Linear(q.graph.nodes["c"].weight * 0)
            return replace(q, graph=q.graph.replace({"c": c})) if settings.plain == spoiled else q

        monkeypatch.setattr(choosing, "quantize", made)

    def notes(self, **settings) -> list[str]:
        q = choosing.quantized(self.graph, Settings(STEPS, programs=True, **settings), self.seen, self.data, self.trace, self.data)
        return [note for layer in q.layers for note in layer.notes if note == choosing.PLAIN]


def test_the_plain_rule_is_taken_where_the_whole_network_is_nearer_so(monkeypatch):
    chosen = Choosing(monkeypatch, spoiled=False)
    assert chosen.notes(weight_bits={"*": 5}) == [choosing.PLAIN] * 2
    assert chosen.notes() == chosen.notes(weight_bits={"*": 8}) == []


def test_the_choice_by_layers_stays_where_the_plain_rule_is_worse(monkeypatch):
    assert Choosing(monkeypatch, spoiled=True).notes(weight_bits={"*": 5}) == []


def test_a_trained_network_of_784_real_inputs_keeps_its_answers_at_4_bits(shared):
    """9 % of them at 6, 5 and 4 bits before; benchmarks/weight_bits.py measures every model at every width."""
    pytest.importorskip("torch")
    with np.load(shared / "data" / "mnist_t10k.npz") as data:
        x = data["x"][:48].reshape(48, 784).astype(np.float64) / 255
    model = str(shared / "models" / "snntorch_mnist_fc" / "snn_model.pth")
    made = sd.convert(model, x, sd.Wishes(weight_bits=4), Options(timesteps=25, input_shape=(784,)))
    assert made.verdict.fidelity.agreement >= 0.95
    assert [(s.weight_bits, s.died) for s in made.scales] == [(4, False), (4, False)]
