"""Write a multi-level firing unit as the plain LIF neurons that it is.

NAME becomes ``NAME.unit1`` .. ``NAME.unitK``, each with every input of the original, and NAME adds their spikes. Exact,
bit for bit: no unit knows of another.
"""

from __future__ import annotations

from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Sum
from snndeploy.ir.neurons.mlf import MLF, units


def apply(graph: Graph) -> Graph:
    """The graph without MLF."""
    for name, node in graph.named(MLF).items():
        plain = {f"{name}.unit{j}": unit for j, unit in enumerate(units(node), start=1)}
        nodes: dict[str, Node | None] = {name: Sum(), **plain}
        into = [e for e in graph.edges if e.target == name]
        edges = [e for e in graph.edges if e.target != name]
        for unit in plain:
            edges += [Edge(e.source, unit, e.delay) for e in into] + [Edge(unit, name)]
        graph = graph.replace(nodes, edges)
    return graph
