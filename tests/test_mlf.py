"""The multi-level firing unit: K plain LIF neurons whose spikes are added, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

import snndeploy as sd
from converters import Loaded
from snndeploy.arrays import frozen
from snndeploy.errors import GraphError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.mlf import MLF
from snndeploy.passes import units
from snndeploy.sim.reference import run_reference


def network(strict=False, v_reset=0.0):
    rng = np.random.default_rng(4)
    neuron = {"strict": strict, "v_reset": frozen(v_reset)}
    nodes = {
        "x": Input((6,)),
        "a": Linear(frozen(rng.integers(-8, 17, (5, 6)) / 8)),
        "n": MLF(frozen(0.25), frozen([0.625, 1.625, 2.625]), **neuron),
        "b": Linear(frozen(rng.integers(-8, 17, (3, 5)) / 8)),
        "m": MLF(frozen(0.5), frozen([0.5, 1.5]), **neuron),
        "y": Output("count"),
    }
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(nodes, list(nodes)[1:], strict=False)))


def independent(x, decay, thresholds, strict, v_reset):
    """By the definition, one unit at a time: [T, B, N] -> [T, B, N]."""
    total = np.zeros(x.shape)
    for theta in thresholds:
        v = np.full(x.shape[1:], v_reset)
        for t, now in enumerate(x):
            h = decay * v + now
            s = h > theta if strict else h >= theta
            total[t] += s
            v = np.where(s, v_reset, h)
    return total


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("v_reset", [0.0, -0.25])
def test_each_unit_is_reset_by_its_own_spike_alone(strict, v_reset):
    graph = network(strict, v_reset)
    x = (np.random.default_rng(0).random((30, 40, 6)) < 0.5).astype(float)
    trace = run_reference(graph, {"x": x}, 30, record=["n"])
    drive = x @ graph.nodes["a"].weight.T
    expected = independent(drive, 0.25, [0.625, 1.625, 2.625], strict, v_reset)
    assert set(np.unique(expected)) == {0, 1, 2, 3}
    np.testing.assert_array_equal(trace.outputs["n"], expected)


@pytest.mark.parametrize("strict", [False, True])
def test_the_pass_changes_no_spike(strict):
    graph = network(strict)
    plain = units.apply(graph)
    assert not plain.named(MLF)
    assert [n for n in plain.nodes if isinstance(plain.nodes[n], LIF)] == ["n.unit1", "n.unit2", "n.unit3", "m.unit1", "m.unit2"]
    x = (np.random.default_rng(1).random((20, 30, 6)) < 0.5).astype(float)
    a, b = (run_reference(g, {"x": x}, 20, record=["n", "m"]) for g in (graph, plain))
    for name in ("n", "m"):
        np.testing.assert_array_equal(a.outputs[name], b.outputs[name])
    assert units.apply(plain) == plain


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_it_runs_on_plain_neurons(chip):
    x = (np.random.default_rng(2).random((12, 10, 6)) < 0.5).astype(float)
    made = sd.convert(Loaded(network()), x, sd.Wishes(chip=chip), timesteps=10)
    assert made.verdict.verdict == "exact"
    models = {type(p.model).__name__ for n, p in made.network.populations.items() if n.startswith(("n.", "m."))}
    assert models == {"Lif"}


def test_a_unit_without_thresholds_is_refused():
    with pytest.raises(GraphError, match="no thresholds"):
        MLF(frozen(0.5), frozen(1.0))
