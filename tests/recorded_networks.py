"""Small networks, and the samples that they are converted with, for the tests of what a file keeps."""

from __future__ import annotations

import numpy as np

import converters
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.glif import glif
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.rectifier import Relu

STEPS = 6
NEURONS = {
    "LIF": LIF(0.5),
    "Burst": Burst(0.5, [1.0, 2.0], [1.0, 2.0], (False, False)),
    "GLIF": glif((0.6, 0.4, 0.7), [0.8], [0.5], [0.1], [0.3], np.full(STEPS, 0.5)),
}


def loaded(neuron):
    rng = np.random.default_rng(0)
    nodes = {
        "in": Input((12,), "spikes"), "fc1": Linear(rng.normal(0, 0.7, (10, 12)), rng.normal(0, 0.1, 10)), "n1": NEURONS[neuron],
        "fc2": Linear(rng.normal(0, 0.7, (5, 10))), "n2": NEURONS[neuron], "out": Output("count"),
    }  # fmt: skip
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in zip(nodes, list(nodes)[1:], strict=False)), steps=STEPS)
    return converters.Loaded(graph, assumptions=("ASSUMED something of the model (--option)",), probed=("MyLIF = LIF: 0 differ",))


def samples(seed=0, labelled=True):
    x = (np.random.default_rng(seed).random((16, STEPS, 12)) < 0.4).astype(np.float64)
    return (x, np.arange(16) % 5) if labelled else x


def artificial():
    """A network with a rectifier, which is converted to rates."""
    rng = np.random.default_rng(4)
    nodes = {
        "in": Input((12,)),
        "fc1": Linear(rng.uniform(0, 0.3, (10, 12))),
        "r": Relu(),
        "fc2": Linear(rng.uniform(0, 0.3, (5, 10))),
        "out": Output("sum"),
    }
    return converters.Loaded(Graph(nodes, tuple(Edge(a, b) for a, b in zip(nodes, list(nodes)[1:], strict=False))), steps=STEPS)


def real_samples(seed=0):
    rng = np.random.default_rng(seed)
    return rng.random((16, 12)), np.arange(16) % 5
