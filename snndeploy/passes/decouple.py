"""Replace each burst neuron of the integer graph by the construction that was chosen for it.

Exact: a construction is offered only with its register conditions, and the pass is run before and after on data.
The node's name stays: it becomes the sum of the construction's weighted spikes, equal to the neuron's payload. A sum
is no neuron, so an Output that read it gets a membrane that forgets at once, ``OUTPUT.readout``, holding 64 times the
payload.
"""

from __future__ import annotations

from collections.abc import Mapping

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Candidate, Edge, Graph, Node
from snndeploy.ir.layers import Input, Output, Sum
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.integer import IntegerNeuron

MEMBRANE = IntegerNeuron(frozen(4095.0), frozen(4096.0), frozen([]), frozen([]))
"""v = 64 times the synaptic sum of this very step."""


def apply(graph: Graph, chosen: Mapping[str, Candidate]) -> Graph:
    """The graph with every neuron named in ``chosen`` replaced. A "graded" neuron stays as it is."""
    for name, candidate in chosen.items():
        if candidate.construction != "graded":
            graph = splice(graph, name, candidate)
    for name in graph.named(Output):
        (edge,) = graph.into(name)
        if isinstance(graph.nodes[edge.source], Sum):
            nodes, kept = {f"{name}.readout": MEMBRANE}, [e for e in graph.edges if e != edge]
            graph = graph.replace(nodes, [*kept, Edge(edge.source, f"{name}.readout"), Edge(f"{name}.readout", name)])
    return graph


def splice(graph: Graph, name: str, candidate: Candidate) -> Graph:
    """Put the candidate's sub-graph in the place of node ``name``; its inner nodes are called ``name.X``."""
    inner = {n: f"{name}.{n}" for n in candidate.graph.nodes if n not in ("in", "out", "one")} | {"one": CONSTANT, "out": name}
    nodes: dict[str, Node | None] = {inner[n]: node for n, node in candidate.graph.nodes.items() if n not in ("in", "out", "one")}
    if "one" in candidate.graph.nodes:
        nodes[CONSTANT] = Input((1,), "spikes", static=True)
    nodes[name] = Sum()
    edges = [e for e in graph.edges if e.target != name]
    for edge in candidate.graph.edges:
        if edge.source == "in":
            edges += [Edge(e.source, inner[edge.target], e.delay + edge.delay, edge.port) for e in graph.into(name)]
        else:
            edges.append(Edge(inner[edge.source], inner[edge.target], edge.delay, edge.port))
    return graph.replace(nodes, edges)
