"""Move biases from registers to synapses from the constant input.

A bias register acts from the first chip step on, before the layer's first real input, and goes on after the last: the
layer would fire where the model does not. Driven by the host's constant spike, a bias comes and goes with the input,
and the chip's spikes are the model's spikes, no more. Only the resting potential of a neuron with a synaptic current
stays in its register (it acts behind the current): such layers are cleared when their first input arrives, which
needs a neuron that can be cleared at a chosen step and no delayed synapse.
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


def apply(graph: Graph, clears: bool = True) -> Graph:
    """The integer graph with its biases driven. ``clears``: the chip can clear a neuron at a chosen step.

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
        if not node.bias.any() or (_has_current(node) and clears and not delayed and np.abs(node.bias).max() <= REGISTER_MAX):
            continue
        if _has_current(node):
            what = "its resting potential needs a bias register, which would act before its input arrives"
            raise Unsupported(name, what, "train with rest 0 (the resting potential is a constant current)")
        nodes[name] = replace(node, bias=frozen(0.0))
        nodes |= constant_synapse(f"{name}.bias", np.broadcast_to(node.bias / UNIT, graph.shapes[name]))
        edges += constant_edges(f"{name}.bias", name)
    return graph.replace(nodes, edges) if nodes else graph


def _has_current(node: IntegerNeuron) -> bool:
    return bool((node.du != 4095).any())
