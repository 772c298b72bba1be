"""Give every Output a membrane to be read from.

A chip reads neurons, so an Output that is fed by anything but one neuron (a linear layer, a sum of spikes, a delayed
spike) gets a non-spiking integrator (LI) named ``OUTPUT.readout``, which takes over the Output's inputs:

sum, count      the LI keeps everything (decay 1, gain 1) and is read once, at the last step: decode "last".
mean            the LI forgets at once (decay 0), so it shows the layer's value at each step, and the host averages.
                With ``steps`` given (T), it keeps everything with gain 1/T instead and is read once: decode "last".
all others      the LI forgets at once; the decode stays.

Exact: with decay 0 the LI is the identity; with decay 1 it adds in the order of the steps. The mean with gain 1/T
rounds each term. ``vote`` stays.
"""

from __future__ import annotations

import dataclasses

from snndeploy.arrays import frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Output
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.paths import has_state


def apply(graph: Graph, steps: int | None = None) -> Graph:
    """The graph whose Outputs are each fed by one neuron. Raises ``Unsupported`` if an Output feeds other nodes."""
    for name, output in graph.named(Output).items():
        if graph.out_of(name):
            raise Unsupported(name, "is an output and also feeds other layers", "connect them to the layer before the output")
        edges = graph.into(name)
        if len(edges) != 1 or edges[0].delay or not has_state(graph.nodes[edges[0].source]):
            graph = _insert(graph, name, output, steps)
    return graph


def _insert(graph: Graph, name: str, output: Output, steps: int | None) -> Graph:
    keeps = output.decode in ("sum", "count") or (output.decode == "mean" and steps is not None)
    gain = 1.0 / steps if steps is not None and output.decode == "mean" else 1.0
    membrane = f"{name}.readout"
    edges = [Edge(e.source, membrane, e.delay) if e.target == name else e for e in graph.edges]
    nodes = {
        membrane: LI(decay=frozen(float(keeps)), gain=frozen(gain)),
        name: dataclasses.replace(output, decode="last") if keeps else output,
    }
    return graph.replace(nodes, [*edges, Edge(membrane, name)])
