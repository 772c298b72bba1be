"""The normal form that quantization reads: neurons, and between them one synapse a path.

A synapse is Linear, Conv, Sparse or Scale with at most one Reshape before it and at most one after it. It starts at exactly
one neuron or Input, ends at exactly one neuron, and its delay sits on the edge that leaves its source. An Output is
fed by exactly one neuron, without delay. The constant that enters a neuron at every step (folded biases) is the
``bias`` or ``shift`` of exactly one of its synapses, of which the neuron takes the sum: read it with
``ir.paths.constant_into``. It is per channel where it can be, and a whole map where it depends on the position
(a bias that passed through a padded convolution).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from snndeploy.errors import GraphError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Conv, Linear, Output, Reshape, Scale
from snndeploy.ir.paths import has_state, is_source, paths_into
from snndeploy.ir.sparse import Sparse

Weights: TypeAlias = Linear | Conv | Sparse | Scale
"""The nodes that can be a synapse."""

HINT = "run the passes of snndeploy.passes.PIPELINE first"


@dataclass(frozen=True, eq=False)
class Synapse:
    """``source`` -> [``pre_reshape``] -> ``node`` -> [``post_reshape``], ``delay`` steps late; ``names`` in that order."""

    source: str
    delay: int
    pre_reshape: Reshape | None
    node: Weights
    post_reshape: Reshape | None
    names: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name of ``node``."""
        return self.names[0 if self.pre_reshape is None else 1]

    @property
    def has_constant(self) -> bool:
        """True if the synapse carries its neuron's constant."""
        return (self.node.shift if isinstance(self.node, Scale) else self.node.bias) is not None


def synapses_into(graph: Graph, neuron: str) -> tuple[Synapse, ...]:
    """The synapses that end in ``neuron``, sorted by name. Raises ``GraphError`` where the graph is not in normal form."""
    return tuple(_synapse(graph, path.source, path.delay, path.nodes) for path in paths_into(graph, neuron))


def check_normal_form(graph: Graph) -> None:
    """Raise ``GraphError`` naming the first node or edge that is not in normal form."""
    for name in graph.order:
        node = graph.nodes[name]
        if isinstance(node, Output):
            _check_output(graph, name)
        elif has_state(node):
            _check_neuron(graph, name)
        elif not is_source(node):
            _check_inner(graph, name)


def _synapse(graph: Graph, source: str, delay: int, names: tuple[str, ...]) -> Synapse:
    parts = [graph.nodes[n] for n in names]
    pre = parts.pop(0) if parts and isinstance(parts[0], Reshape) else None
    post = parts.pop() if parts and isinstance(parts[-1], Reshape) else None
    if len(parts) != 1 or not isinstance(parts[0], Linear | Conv | Sparse | Scale):
        kinds = ", ".join(type(graph.nodes[n]).__name__ for n in names) or "nothing"
        raise GraphError(" -> ".join((source, *names)), f"is not one synapse but {kinds}", HINT)
    return Synapse(source, delay, pre, parts[0], post, names)  # type: ignore[arg-type]  # popped only where Reshape


def _check_output(graph: Graph, name: str) -> None:
    edges = graph.into(name)
    if len(edges) != 1 or edges[0].delay or not has_state(graph.nodes[edges[0].source]):
        raise GraphError(name, f"is fed by {', '.join(map(str, edges))}, not directly by one neuron", HINT)
    if graph.out_of(name):
        raise GraphError(name, "feeds other nodes, but an Output is an end", HINT)


def _check_neuron(graph: Graph, name: str) -> None:
    synapses = synapses_into(graph, name)
    constants = [s.name for s in synapses if s.has_constant]
    if len(constants) > 1:
        raise GraphError(name, f"has its constant in {len(constants)} synapses: {', '.join(constants)}", HINT)
    shape = graph.shapes[graph.into(name)[0].source]
    if graph.shapes[name] != shape:
        raise GraphError(name, f"broadcasts its input {shape} to {graph.shapes[name]}", HINT)


def _check_inner(graph: Graph, name: str) -> None:
    sources, targets = graph.into(name), graph.out_of(name)
    if len(sources) != 1 or len(targets) != 1:
        raise GraphError(name, f"has {len(sources)} sources and {len(targets)} targets, a synapse has one of each", HINT)
    for edge in (*sources, *targets):
        if edge.delay and not _leaves_source(graph, edge):
            raise GraphError(f"edge {edge}", "a synapse's delay must sit on the edge that leaves its source", HINT)
    if isinstance(graph.nodes[targets[0].target], Output) or not isinstance(graph.nodes[name], Linear | Conv | Sparse | Scale | Reshape):
        raise GraphError(name, f"a {type(graph.nodes[name]).__name__} is left between neurons", HINT)


def _leaves_source(graph: Graph, edge: Edge) -> bool:
    return is_source(graph.nodes[edge.source])
