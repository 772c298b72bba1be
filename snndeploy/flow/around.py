"""The part of a network that the run of one layer needs, once the rest has been run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from snndeploy.arrays import Floats
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Input
from snndeploy.ir.paths import has_state
from snndeploy.trace import Trace


def around(graph: Graph, name: str, run: Trace, inputs: Mapping[str, Floats]) -> tuple[Graph, dict[str, Floats]]:
    """What ``name`` depends on, and its inputs [T, B, *shape].

    ``run`` is of the same network, in which ``name`` alone was another node: a neuron that does not depend on ``name``
    sent there what it sends here, and becomes an Input. What ``name`` feeds, but where it comes back, is left out.
    """
    behind = _reached([name], {n: [e.target for e in graph.out_of(n)] for n in graph.nodes})
    sent = {n for n in graph.nodes if n in run.outputs and n not in behind and has_state(graph.nodes[n])}
    before = {n: [] if n in sent else [e.source for e in graph.into(n)] for n in graph.nodes}
    needed = _reached([name], before)
    nodes: dict[str, Node] = {n: Input(graph.shapes[n], "real") if n in sent else graph.nodes[n] for n in graph.nodes if n in needed}
    edges = [e for e in graph.edges if e.source in needed and e.target in needed and e.target not in sent]
    given = {n: run.outputs[n] if n in sent else inputs[n] for n, node in nodes.items() if isinstance(node, Input)}
    return Graph(nodes, tuple(edges)), given


def _reached(start: Iterable[str], steps: Mapping[str, Iterable[str]]) -> set[str]:
    """``start`` and every node that repeated ``steps`` lead to."""
    found, waiting = set(start), list(start)
    while waiting:
        new = [n for n in steps[waiting.pop()] if n not in found]
        found.update(new)
        waiting += new
    return found
