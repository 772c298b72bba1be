"""Move biases from registers to synapses from the constant input, where a register cannot serve.

A bias register acts from the first chip step on, before the layer's first real input. In a feed-forward network the
layers are cleared when that input arrives, and nothing is left of it. Along a delayed synapse an early spike would
still be in flight then, so there the bias comes with the input: from the host's constant spike. So it does on chips
whose neurons cannot be cleared at a chosen step (``always``: the fixed LIF of Loihi 1), and where it is too large for
the register.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from snndeploy.arrays import frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.neurons.decoupling import UNIT, constant_edges, constant_synapse
from snndeploy.ir.neurons.integer import IntegerNeuron

REGISTER_MAX = 4095 << 7


def apply(graph: Graph, always: bool = False) -> Graph:
    """The integer graph with every bias driven, if any edge is delayed or ``always``; else only those beyond the register.

    Raises:
        Unsupported: a bias behind a synaptic current, or a neuron that fires at rest, where a register cannot serve.
    """
    delayed = any(edge.delay for edge in graph.edges)
    nodes: dict[str, Node | None] = {}
    edges = list(graph.edges)
    for name, node in graph.named(IntegerNeuron).items():
        if delayed and bool((node.thresholds < 0).any()):
            raise Unsupported(
                name, "fires at rest, so it would fire before its input arrives, into a delayed synapse", "use a positive threshold"
            )
        if node.bias.any() and (always or delayed or np.abs(node.bias).max() > REGISTER_MAX):
            if bool((node.du != 4095).any()):
                what = "its resting potential needs a bias register, which would act before its input arrives, into a delayed synapse"
                raise Unsupported(name, what, "train with rest 0 (the resting potential is a constant current)")
            nodes[name] = replace(node, bias=frozen(0.0))
            nodes |= constant_synapse(f"{name}.bias", np.broadcast_to(node.bias / UNIT, graph.shapes[name]))
            edges += constant_edges(f"{name}.bias", name)
    return graph.replace(nodes, edges) if nodes else graph
