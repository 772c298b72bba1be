"""Every neuron of the graph, from convert to Loihi 2: spike for spike its integer definition, or refused for a true reason."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import zoo

import converters
import snndeploy as sd
from snndeploy.errors import SnnError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output

NODES = {**zoo.neurons(), **zoo.rarer_neurons()}

STARTS = "its word v starts differently from neuron to neuron"
REFUSED = {
    **{f"lif-{reset}-{how}": STARTS for reset in ("hard", "subtract", "none") for how in ("ge", "gt")},
    "li": "starts at a value other than its reset",
    "integer-readout": "sends real values",
    "sigma-delta": "sends real values",
    "delta": "sends real values",
    "quadratic": "which no multiplier holds",  # it runs away: v grows as its square, and the reset takes a constant off
    "windowed": "17 against 16. the program n exceeds program_registers",
}
"""What each refusal says; every other neuron is deployed."""


def network(node):
    rng = np.random.default_rng(0)
    layers = {"fc": Linear(rng.normal(0, 0.5, (5, 20))), "n": node, "read": Linear(rng.normal(0, 0.5, (4, 5)))}
    nodes = {"in": Input((20,), "spikes"), **layers, "out": Output("sum")}
    return converters.Loaded(Graph(nodes, tuple(itertools.starmap(Edge, itertools.pairwise(nodes))), steps=zoo.STEPS), steps=zoo.STEPS)


def spikes():
    return (np.random.default_rng(3).random((40, zoo.STEPS, 20)) < 0.4).astype(float)


@pytest.mark.parametrize("name", [name for name in NODES if name not in REFUSED])
def test_a_neuron_on_the_chip_is_its_integer_definition(name):
    deployment = sd.convert(network(NODES[name]), spikes(), chip="loihi2")
    pair = deployment.verdict.pairs[-1]
    assert (pair.b, pair.different, deployment.verdict.verdict) == ("chip network", 0, "exact")
    assert pair.compared > 0
    stands = [a for n, a in deployment.chip_trace.activity.items() if n == "n" or n.startswith("n.")]  # MLF becomes its units
    assert stands
    assert all(a.spikes.any() and a.saturations == 0 for a in stands)
    # cut-cuba cuts at eighths, the chip at its own, far finer unit: that is most of what it is off by
    assert max(scale.error for scale in deployment.scales) < (0.03 if name == "cut-cuba" else 0.02)


@pytest.mark.parametrize("name", REFUSED)
def test_a_neuron_that_is_refused_is_named_with_the_reason(name):
    with pytest.raises(SnnError) as refusal:
        sd.convert(network(NODES[name]), spikes(), chip="loihi2")
    assert REFUSED[name] in str(refusal.value)
    assert refusal.value.where in ("n", "loihi2")
