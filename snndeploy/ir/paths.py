"""Reading a graph in normal form: which synapses enter a neuron, and how much they can deliver.

In normal form a neuron (a node with state) is fed by chains [Reshape] -> synapse -> [Reshape], each from exactly
one neuron or Input, where a synapse is Linear, Conv, Sparse or Scale.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import GraphError
from snndeploy.ir.graph import Edge, Graph, Node, bind, parameters
from snndeploy.ir.layers import Conv, Input, Linear, Output, Reshape, Scale
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.sparse import Sparse

Value = TypeVar("Value")
"""What stands for a series of values: an array, or a value with the bound of its rounding."""


@dataclass(frozen=True)
class Path:
    """One way into a neuron: from ``source``, ``delay`` steps late, through ``nodes`` (names, in running order)."""

    source: str
    delay: int
    nodes: tuple[str, ...]

    def synapse(self, graph: Graph) -> str:
        """The name of the one node on the path that holds weights; raises ``GraphError`` if there is not exactly one."""
        found = [n for n in self.nodes if not isinstance(graph.nodes[n], Reshape)]
        if len(found) != 1 or not isinstance(graph.nodes[found[0]], Linear | Conv | Sparse | Scale):
            raise GraphError(" -> ".join((self.source, *self.nodes)), "is not one synapse", "the graph is not in normal form")
        return found[0]


def at_ports(graph: Graph, name: str, now: Mapping[str, Value], past: Mapping[Edge, list[Value]]) -> tuple[Value, ...]:
    """What enters each port of a node in one step: the sum over its edges, of the delayed ones from ``past``, oldest first."""
    ports: dict[int, list[Value]] = {}
    for edge in graph.into(name):
        ports.setdefault(edge.port, []).append(past[edge][0] if edge.delay else now[edge.source])
    return tuple(reduce(add, ports[port]) for port in sorted(ports))


def moves(node: Node) -> bool:
    """Whether every output is one input: a Linear or Conv of one 1 a row, without bias and padding, or what says so itself."""
    if not isinstance(node, Linear | Conv):
        return node.emits == "same"
    rows = node.weight.reshape(len(node.weight), -1)
    padded = isinstance(node, Conv) and any(map(any, node.padding))
    return node.bias is None and not padded and bool(((rows == 0) | (rows == 1)).all() and (rows.sum(1) == 1).all())


def has_state(node: Node) -> bool:
    """True for neurons: nodes that remember something."""
    return type(node).initial_state is not Node.initial_state


def is_source(node: Node) -> bool:
    """True for what a path may start from: an Input, a neuron, or a current that the host computed."""
    return has_state(node) or isinstance(node, Input | HostCurrent)


def neurons(graph: Graph) -> tuple[str, ...]:
    """The neurons' names, in running order."""
    return tuple(name for name in graph.order if has_state(graph.nodes[name]))


def paths_into(graph: Graph, neuron: str) -> tuple[Path, ...]:
    """Every path that ends in ``neuron`` (or Output). Raises ``GraphError`` where a chain has more than one source."""
    return tuple(_walk(graph, edge.source, edge.delay, ()) for edge in graph.into(neuron))


def _walk(graph: Graph, name: str, delay: int, after: tuple[str, ...]) -> Path:
    if is_source(graph.nodes[name]):
        return Path(name, delay, after)
    edges = graph.into(name)
    if len(edges) != 1 or isinstance(graph.nodes[name], Output):
        raise GraphError(name, f"has {len(edges)} sources", "the graph is not in normal form")
    return _walk(graph, edges[0].source, delay + edges[0].delay, (name, *after))


def deliver(nodes: Mapping[str, Node], path: Path, values: Floats, *, magnitude: bool = False, constant: bool = True) -> Floats:
    """What ``values`` [B, *source shape] become at the end of the path, through its ``nodes``; with |weights| where ``magnitude``.

    ``constant`` False leaves biases out.
    """
    for name in path.nodes:
        node = nodes[name]
        node = node if constant else without_constant(node)
        arrays = {k: np.abs(v) for k, v in parameters(node).items()} if magnitude else {}
        values = bind(node, arrays).step((values,), {}, NUMPY)[0]
    return values


def delivered(nodes: Mapping[str, Node], path: Path, values: Floats, *, magnitude: bool = False, constant: bool = True) -> Floats:
    """``deliver`` over steps, [T, B, *source shape] and the path's delay; one step where the source sends the same in all."""
    late = np.concatenate([np.zeros_like(values[: path.delay]), values])[: len(values)] if path.delay else values
    late = late[:1] if late.strides[0] == 0 else late
    flat = deliver(nodes, path, late.reshape(-1, *late.shape[2:]), magnitude=magnitude, constant=constant)
    return flat.reshape(*late.shape[:2], *flat.shape[1:])


def loudest(nodes: Mapping[str, Node], path: Path, shape: Shape, payload: float) -> Floats:
    """The most that ``payload`` from every neuron of a source of this shape can become: with |weights|, [*shape at the end].

    Exact where the weights are whole. All channels send the same, so a synapse's weights from them are added up first.
    """
    values: Floats = np.full((1, *shape), float(payload))
    equal = True
    for name in path.nodes:
        node = bind(nodes[name], {k: np.abs(v) for k, v in parameters(nodes[name]).items()})
        if equal and isinstance(node, Conv):
            node, values = replace(node, weight=node.weight.sum(1, keepdims=True)), values[:, : node.groups]
        elif equal and isinstance(node, Linear):
            node, values = replace(node, weight=node.weight.sum(1, keepdims=True)), values[..., :1]
        equal &= isinstance(node, Reshape)
        values = node.step((values,), {}, NUMPY)[0]
    most: Floats = values[0]
    return most


def without_constant(node: Node) -> Node:
    """The same linear node without its bias or shift."""
    return bind(node, {k: None for k in ("bias", "shift") if hasattr(node, k)})


def constant_into(graph: Graph, neuron: str) -> Floats:
    """The constant that enters ``neuron`` at every step when all sources are silent; shape of the neuron's input."""
    total: Floats = np.zeros(())
    for path in paths_into(graph, neuron):
        total = total + deliver(graph.nodes, path, np.zeros((1, *graph.shapes[path.source])))[0]
    return total


def input_bound(graph: Graph, neuron: str, payloads: Mapping[str, float]) -> float:
    """The largest |sum| that can reach ``neuron``: sum of |weight| times the largest payload of each source, plus constants."""
    total: Floats = np.zeros(())
    for path in paths_into(graph, neuron):
        total = total + loudest(graph.nodes, path, graph.shapes[path.source], payloads[path.source])
    return float(total.max(initial=0.0))
