"""Make one synapse of every linear path between two neurons: the last step to the normal form of ``ir.normal``.

From each neuron all paths are followed back to the neuron or Input they start from. The maps on a path are composed
(``linear_map``), its delays add up on the edge that leaves the source; adds, concatenations and layers shared by
several paths are thereby distributed over them. Equal over the reals, and exact in floats where the weights are
dyadic; elsewhere sums and products round in another order.

Biases: the graph is linear between neurons, so the constant that enters a neuron is what enters it with all sources
silent. It is computed once, in place (behind a padded convolution it depends on the position), and written into one
synapse of the neuron: the first Conv, Linear or Sparse, else the first Scale. A bias acts from step 0; one that passed an
edge with delay d would act from step d, which no synapse can say, so it is refused.

Names: a synapse is called after the layers with parameters it is made of, "pool+conv+bn"; "a->b" where there are
none. Where several paths share those layers, source, target and delay are added.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice, pairwise

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Node, parameters
from snndeploy.ir.layers import Concat, Conv, Input, Linear, Output, Reshape, Scale, Sum
from snndeploy.ir.normal import Weights, check_normal_form
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import has_state, neurons
from snndeploy.ir.sparse import Sparse
from snndeploy.passes.linear_map import LinearMap, convolution, diagonal, matrix, selection, then, written_out

MAX_ROUTES = 4096
"""Synapses into one neuron layer, beyond which linear branches have multiplied out of hand."""
ONE = np.ones(())
FORMS = ("{0.label}", "{0.source}->{0.label}", "{0.label}->{0.target}", "{0.source}->{0.label}->{0.target}", "{0.label}@{0.delay}")
ROUNDING = 1e-14
"""Relative differences of a constant between positions that are the order of a sum, not the position."""


@dataclass(frozen=True, eq=False)
class Route:
    """A linear path from ``source`` to ``target``: its layers, its delay, and what it does to a value."""

    source: str
    target: str
    delay: int
    layers: tuple[str, ...]
    map: LinearMap
    label: str


def apply(graph: Graph) -> Graph:
    """The graph in normal form.

    Raises:
        Unsupported: a loop without a neuron, a bias behind a delay, a merged matrix beyond the limit, a node that is
            not linear.
    """
    routes = [route for name in neurons(graph) for route in _routes(graph, name)]
    constants = {name: _entering(graph, name, {}) for name in neurons(graph)}
    nodes: dict[str, Node] = {n: node for n, node in graph.nodes.items() if _starts(node) or isinstance(node, Output)}
    edges = [e for e in graph.edges if isinstance(graph.nodes[e.target], Output)]
    bearers = _bearers(routes)
    for route, name in zip(routes, _names(routes, set(nodes)), strict=True):
        constant = constants[route.target] if route in bearers else np.zeros(())
        edges += _write(nodes, route, name, constant)
    merged = Graph(nodes, tuple(edges), graph.dt)
    check_normal_form(merged)
    return merged


def _starts(node: Node) -> bool:
    return has_state(node) or isinstance(node, Input)


def _routes(graph: Graph, neuron: str) -> list[Route]:
    edges = graph.into(neuron)
    shape = graph.shapes[edges[0].source]
    stay = diagonal(shape, ONE, shape, shape)
    every = (route for e in edges for route in _follow(graph, Route(e.source, neuron, e.delay, (), stay, "")))
    found = list(islice(every, MAX_ROUTES + 1))
    if len(found) > MAX_ROUTES:
        raise Unsupported(neuron, f"is reached by more than {MAX_ROUTES} linear paths", "put neurons into the branches")
    return found


def _follow(graph: Graph, route: Route) -> Iterator[Route]:
    """Extend ``route`` backwards until it starts at a neuron or Input."""
    name = route.source
    if _starts(graph.nodes[name]):
        layers = "+".join(n for n in route.layers if parameters(graph.nodes[n]))
        yield dataclasses.replace(route, label=layers or f"{name}->{route.target}")
        return
    if name in route.layers:
        loop = " -> ".join((name, *route.layers[: route.layers.index(name) + 1]))
        raise Unsupported(name, f"the loop {loop} has no neuron, so it remembers for ever", "put a neuron (LI) into the loop")
    maps: dict[int, LinearMap] = {}
    for edge in graph.into(name):
        if edge.port not in maps:
            maps[edge.port] = then(_local(graph, name, edge.port), route.map, " -> ".join((name, *route.layers, route.target)))
        longer = Route(edge.source, route.target, route.delay + edge.delay, (name, *route.layers), maps[edge.port], "")
        yield from _follow(graph, longer)


def _local(graph: Graph, name: str, port: int) -> LinearMap:
    """What node ``name`` does to its input ``port``, without its bias."""
    node, out = graph.nodes[name], graph.shapes[name]
    shapes = {e.port: graph.shapes[e.source] for e in graph.into(name)}
    shape = shapes[port]
    if isinstance(node, Conv):
        return convolution(shape, node)
    if isinstance(node, Sum | Reshape):
        return diagonal(shape, ONE, shape, out)
    if isinstance(node, Concat):
        start = sum(shapes[p][node.axis] for p in range(port))
        return selection(shape, node.axis, start, out)
    if isinstance(node, Linear):
        return _linear(shape, node, out, name)
    if isinstance(node, Sparse):
        return LinearMap(shape, shape, dataclasses.replace(node, bias=None), out, out)
    if isinstance(node, Scale):
        return _scale(shape, node, out, name)
    raise Unsupported(name, f"{type(node).__name__} is not linear and not a neuron", "replace the layer")


def _linear(shape: Shape, node: Linear, out: Shape, where: str) -> LinearMap:
    if len(shape) == 1:
        return matrix(shape, node.weight, out)
    return written_out((LinearMap(shape, shape, Linear(node.weight), out, out),), where)


def _scale(shape: Shape, node: Scale, out: Shape, where: str) -> LinearMap:
    if shape == out:
        return diagonal(shape, node.scale, shape, shape)
    return written_out((LinearMap(shape, shape, Scale(np.broadcast_to(node.scale, out)), out, out),), where)


def _entering(graph: Graph, name: str, known: dict[str, Floats], port: int = 0) -> Floats:
    """[1, *shape]: what enters a port at every step when all sources are silent."""
    total: Floats = np.zeros(())
    for edge in graph.into(name):
        if edge.port == port:
            value = _constant(graph, edge.source, known)
            if edge.delay and value.any():
                what = f"a bias passes this delay, so it would start {edge.delay} step(s) late"
                raise Unsupported(f"edge {edge}", what, "delay the input of the layer with the bias instead, or train it without bias")
            total = total + value
    return total


def _constant(graph: Graph, name: str, known: dict[str, Floats]) -> Floats:
    if name not in known:
        node = graph.nodes[name]
        if _starts(node):
            known[name] = np.zeros((1, *graph.shapes[name]))
        else:
            ports = sorted({e.port for e in graph.into(name)})
            known[name] = node.step(tuple(_entering(graph, name, known, p) for p in ports), {}, NUMPY)[0]
    return known[name]


def _bearers(routes: list[Route]) -> set[Route]:
    """The route of each target that carries its constant."""
    chosen: dict[str, Route] = {}
    for route in routes:
        first = chosen.setdefault(route.target, route)
        if isinstance(first.map.node, Scale) and not isinstance(route.map.node, Scale):
            chosen[route.target] = route
    return set(chosen.values())


def _names(routes: list[Route], taken: set[str]) -> list[str]:
    """One name a route: its label, with as much of source, target and delay as tells it from its like."""
    alike: dict[str, list[Route]] = {}
    for route in routes:
        alike.setdefault(route.label, []).append(route)
    names = []
    for route in routes:
        form = next((f for f in FORMS if len({f.format(r) for r in alike[route.label]}) == len(alike[route.label])), FORMS[-1])
        wanted = form.format(route)
        name = next(n for k in count(1) if (n := wanted if k == 1 else f"{wanted}#{k}") not in taken)
        taken |= {name, f"{name}.flat", f"{name}.shape"}
        names.append(name)
    return names


def _write(nodes: dict[str, Node], route: Route, name: str, constant: Floats) -> list[Edge]:
    """Add the route's nodes; returns its edges."""
    m = route.map
    chain: list[tuple[str, Node]] = [(name, _with_constant(m, constant))]
    if m.source != m.inner:
        chain.insert(0, (f"{name}.flat", Reshape(m.inner)))
    if m.result != m.target:
        chain.append((f"{name}.shape", Reshape(m.target)))
    nodes.update(chain)
    stops = [route.source, *(n for n, _ in chain), route.target]
    return [Edge(a, b, route.delay if a == route.source else 0) for a, b in pairwise(stops)]


def _with_constant(m: LinearMap, constant: Floats) -> Weights:
    if not constant.any():
        return m.node
    values = constant.reshape(m.result)
    if isinstance(m.node, Linear | Sparse):
        return dataclasses.replace(m.node, bias=values)
    values = _compact(values)
    return dataclasses.replace(m.node, shift=values) if isinstance(m.node, Scale) else dataclasses.replace(m.node, bias=values)


def _compact(values: Floats) -> Floats:
    """(C, 1, ...) where the values depend on the channel only (up to the rounding of a sum), else the whole map."""
    if values.ndim < 2:
        return values
    first = values.reshape(len(values), -1)[:, :1]
    near = np.abs(values.reshape(len(values), -1) - first) <= ROUNDING * np.abs(values).max()
    return first.reshape(-1, *(1,) * (values.ndim - 1)) if bool(near.all()) else values
