"""Nested graphs as one: names are joined by dots, inner Inputs and Outputs give way to the edges through them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from converters.nir.hdf5 import Subgraph
from converters.nir.primitive import Primitive
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError, did_you_mean

Pair = tuple[str, str]
JOINED: Mapping[str, str] = {"I": "IF", "LI": "LIF", "CubaLI": "CubaLIF"}
"""An integrator and the neuron it becomes with a Threshold behind it."""
MOST_THROUGH = 4096
"""Edges that an inner Input or Output may become."""


class Wires:
    """Edges in the making, quick to look up from either end."""

    def __init__(self, edges: Iterable[Pair]) -> None:
        self.after: dict[str, set[str]] = {}
        self.before: dict[str, set[str]] = {}
        for source, target in edges:
            self.add(source, target)

    def add(self, source: str, target: str) -> None:
        """Add an edge."""
        self.after.setdefault(source, set()).add(target)
        self.before.setdefault(target, set()).add(source)

    def drop(self, name: str) -> None:
        """Remove a node's edges."""
        for target in self.after.pop(name, set()):
            self.before[target].discard(name)
        for source in self.before.pop(name, set()):
            self.after[source].discard(name)

    def edges(self) -> Iterator[Pair]:
        """Every edge, in alphabetical order."""
        return ((source, target) for source in sorted(self.after) for target in sorted(self.after[source]))


@dataclass(frozen=True, eq=False)
class Flat:
    """One flat graph.

    Attributes:
        nodes: by dotted name.
        edges: without repetition, sorted.
        declared: what an inner Input or Output says it passes, and a node whose output it is: (where, node, shape).
        notes: what was odd, in sentences.
    """

    nodes: Mapping[str, Primitive]
    edges: tuple[Pair, ...]
    declared: tuple[tuple[str, str, Shape], ...]
    notes: tuple[str, ...]

    @cached_property
    def before(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes with an edge to each node."""
        return _grouped(self.nodes, ((b, a) for a, b in self.edges))

    @cached_property
    def after(self) -> Mapping[str, tuple[str, ...]]:
        """The nodes that each node has an edge to."""
        return _grouped(self.nodes, self.edges)


def _grouped(names: Iterable[str], pairs: Iterable[Pair]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {name: [] for name in names}
    for key, value in pairs:
        found[key].append(value)
    return {key: tuple(values) for key, values in found.items()}


def flatten(top: Subgraph, where: str) -> Flat:
    """The whole file as one graph. Raises ``ModelError`` on edges to nodes that are not there, or into a graph without Input."""
    nodes: dict[str, Primitive] = {}
    notes: list[str] = []
    edges: set[Pair] = set()
    for graph in _graphs(top):
        for key, node in graph.nodes.items():
            if isinstance(node, Primitive):
                _add(nodes, _dotted(graph, key), node)
        edges |= set(_resolved(graph, where, notes))
    if not nodes:
        raise ModelError(where, "is a graph without nodes", "write the trained graph")
    wires, declared = Wires(edges), list[tuple[str, str, Shape]]()
    for name in sorted(name for name, node in nodes.items() if node.kind in ("Input", "Output") and name not in top.nodes):
        _splice(name, nodes, wires, declared)
    _join_thresholds(nodes, wires, notes)
    flat = Flat(nodes, tuple(wires.edges()), tuple(declared), tuple(notes))
    _check_ends(flat)
    return flat


def _add(nodes: dict[str, Primitive], name: str, node: Primitive) -> None:
    node.check()
    if name in nodes:
        raise ModelError(node.where, f"is the second node called {name!r} when nested graphs are written with dots", "rename one of them")
    nodes[name] = node


def _graphs(graph: Subgraph) -> Iterator[Subgraph]:
    yield graph
    for node in graph.nodes.values():
        if isinstance(node, Subgraph):
            yield from _graphs(node)


def _dotted(graph: Subgraph, key: str) -> str:
    return f"{graph.name}.{key}" if graph.name else key


def _resolved(graph: Subgraph, where: str, notes: list[str]) -> Iterator[Pair]:
    """The edges of one graph with dotted names; an end that is a graph becomes its Output or Input."""
    seen: set[Pair] = set()
    for source, target in graph.edges:
        if (source, target) in seen:
            notes.append(f"edge {source} -> {target} is listed twice and taken once, as nir does")
            continue
        seen.add((source, target))
        yield _end(graph, source, "Output", (source, target), where), _end(graph, target, "Input", (source, target), where)


def _end(graph: Subgraph, key: str, port: str, edge: Pair, where: str) -> str:
    if key not in graph.nodes:
        place = f"{where}: graph {graph.name!r}" if graph.name else where
        what = f"edge {edge[0]} -> {edge[1]} names {key!r}, and there is no such node (there are {', '.join(sorted(graph.nodes)[:8])})"
        raise ModelError(place, what, f"the file contradicts itself; {did_you_mean(key, graph.nodes)}")
    node = graph.nodes[key]
    if isinstance(node, Primitive):
        return _dotted(graph, key)
    ports = [inner for inner, found in node.nodes.items() if isinstance(found, Primitive) and found.kind == port]
    if len(ports) != 1:
        what = f"edge {edge[0]} -> {edge[1]} meets the graph {node.name!r}, which has {len(ports)} {port}s instead of one"
        raise ModelError(where, what, "NIR does not say which is meant")
    return _dotted(node, ports[0])


def _splice(name: str, nodes: dict[str, Primitive], wires: Wires, declared: list[tuple[str, str, Shape]]) -> None:
    """Join what enters an inner Input or Output to what leaves it; it stays as an Identity where that would double an edge."""
    before, after = wires.before.get(name, set()), wires.after.get(name, set())
    shape = nodes[name].shape("shape")
    if shape and before:
        declared.append((f"{name} ({nodes[name].kind})", min(before), shape))
    through = [(a, b) for a in before for b in after] if len(before) * len(after) <= MOST_THROUGH else []
    if not through or name in before or any(b in wires.after[a] for a, b in through):
        nodes[name] = replace(nodes[name], kind="Identity")
        return
    declared[:] = [(where, min(before) if node == name else node, s) for where, node, s in declared]
    wires.drop(name)
    for a, b in through:
        wires.add(a, b)
    del nodes[name]


def _join_thresholds(nodes: dict[str, Primitive], wires: Wires, notes: list[str]) -> None:
    """LI -> Threshold is a LIF that does not reset, where nothing else reads the LI or enters the Threshold."""
    for name in [name for name, node in nodes.items() if node.kind == "Threshold"]:
        before = wires.before.get(name, set())
        li = nodes[min(before)] if len(before) == 1 else nodes[name]
        if li.kind not in JOINED or len(wires.after[li.name]) != 1:
            continue
        fields = {**li.fields, "v_threshold": nodes[name].fields["threshold"]}
        nodes[name] = Primitive(name, JOINED[li.kind], fields, li.of, resets=False)
        sources = set(wires.before.get(li.name, set()))
        wires.drop(li.name)
        for source in sources:
            wires.add(source, name)
        del nodes[li.name]
        notes.append(f"{li.name} ({li.kind}) and the Threshold {name} are one neuron, which never resets: neither says that it does")


def _check_ends(flat: Flat) -> None:
    for source, target in flat.edges:
        if flat.nodes[target].kind == "Input":
            raise ModelError(flat.nodes[target].where, f"is entered by {source}", "an Input is where data enters the network")
        if flat.nodes[source].kind == "Output":
            raise ModelError(flat.nodes[source].where, f"feeds {target}", "an Output is where results leave the network")
