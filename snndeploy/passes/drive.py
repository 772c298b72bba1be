"""Move biases from registers to synapses from the constant input, where the graph has feedback.

A bias register acts from the first chip step on, before the layer's first real input. In a feed-forward network the
layers are cleared when that input arrives, and nothing is left of it. Along a delayed synapse an early spike would
still be in flight then, so there the bias comes with the input: from the host's constant spike. ``always`` serves
chips whose neurons cannot be cleared at a chosen step (the fixed LIF of Loihi 1).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input, Reshape, Scale
from snndeploy.ir.neurons.decoupling import CONSTANT, UNIT
from snndeploy.ir.neurons.integer import IntegerNeuron


def apply(graph: Graph, always: bool = False) -> Graph:
    """The integer graph with every bias driven, if any edge is delayed or ``always``; otherwise the graph itself."""
    biased = [name for name, node in graph.named(IntegerNeuron).items() if node.bias.any()]
    if not biased or not (always or any(edge.delay for edge in graph.edges)):
        return graph
    nodes: dict[str, Node | None] = {CONSTANT: Input((1,), "spikes", static=True)}
    edges = list(graph.edges)
    for name in biased:
        node, shape = graph.nodes[name], graph.shapes[name]
        assert isinstance(node, IntegerNeuron)  # noqa: S101 - graph.named said so
        nodes[name] = replace(node, bias=frozen(0.0))
        nodes[f"{name}.bias.one"] = Reshape((1,) * len(shape))
        nodes[f"{name}.bias"] = Scale(frozen(np.broadcast_to(node.bias / UNIT, shape)))
        edges += [Edge(CONSTANT, f"{name}.bias.one"), Edge(f"{name}.bias.one", f"{name}.bias"), Edge(f"{name}.bias", name)]
    return graph.replace(nodes, edges)
