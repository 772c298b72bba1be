"""Two steps of the chip for each of the model's: what two-phase burst neurons need, of the whole network.

Inputs come at the first of the two steps, and nothing at the second; every delay doubles; every neuron decays twice, by
the half of its decay that makes it exactly. Then the network does at step 2 t what it did at step t, and at step 2 t + 1
nothing fires. Exact where every neuron allows it, refused otherwise: there is no rate for one layer alone, because its
targets would decay at its second step. What the host computes stays at the model's rate: it writes a current at the first
step, and takes it back at the second.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.twophase import halved
from snndeploy.ir.paths import has_state

PHASES = 2


def apply(graph: Graph) -> Graph:
    """The integer graph at two steps for one; biases must be driven already (``drive``).

    Raises:
        Unsupported: a neuron that does not stand still in a step without input, or whose decay has no exact half.
    """
    nodes: dict[str, Node | None] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, IntegerNeuron):
            nodes[name] = _slow(name, node)
        elif has_state(node):
            what = f"two steps a step: a {type(node).__name__} would make a step of its own at the second"
            raise Unsupported(name, what, "only plain and burst neurons with hard reset stand still in a step without input")
    return graph.replace(nodes, [Edge(e.source, e.target, PHASES * e.delay, e.port) for e in graph.edges])


def feed(inputs: Mapping[str, Floats], steps: int) -> dict[str, Floats]:
    """Inputs [T, B, *shape] ([1, B, *shape] where static) -> [2 T, B, *shape], zero at every second step."""
    slow = {}
    for name, values in inputs.items():
        slow[name] = np.zeros((PHASES * steps, *values.shape[1:]))
        slow[name][::PHASES] = values
    return slow


def _slow(name: str, node: IntegerNeuron) -> IntegerNeuron:
    dv = halved(node.dv)
    still = (node.du == 4095).all() and not node.bias.any() and (node.thresholds >= 0).all()
    if not still or node.late or node.floor is not None or (node.reset != "hard" and node.rungs > 0):
        what = "would not stand still in a step without input"
        raise Unsupported(name, f"two steps a step: it {what}", "two-phase needs hard resets, no synaptic memory and no bias register")
    if dv is None:
        kept = ", ".join(f"{1 - d / 4096:.4g}" for d in np.unique(node.dv)[:4])
        raise Unsupported(name, f"two steps a step: no two equal decays make {kept} exactly", "train with decay 1, 1/4, 1/16 or 0")
    return replace(node, dv=dv)
