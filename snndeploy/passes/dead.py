"""Remove the nodes from which no path leads to an Output.

Exact: nothing that is read depends on them. Inputs stay, because they are how data is addressed.
"""

from __future__ import annotations

from snndeploy.errors import GraphError
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output


def apply(graph: Graph) -> Graph:
    """The graph without dead nodes. Raises ``GraphError`` if nothing is read at all."""
    todo = list(graph.named(Output))
    if not todo:
        raise GraphError("graph", "has no Output, so nothing of it is read", "mark the layer whose spikes are the answer as an output")
    alive = set(graph.named(Input))
    while todo:
        name = todo.pop()
        alive.add(name)
        todo.extend(edge.source for edge in graph.into(name) if edge.source not in alive)
    dead = {name: None for name in graph.nodes if name not in alive}
    return graph.replace(dead, [e for e in graph.edges if e.target in alive])
