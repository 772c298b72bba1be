"""The network as mathematics: ``Node``, ``Edge``, ``Graph``.

A graph is discrete-time. In one step every node runs once, in topological order of the edges without delay;
an edge with ``delay=d`` delivers what its source gave d steps ago (zeros before the start). Values that enter
the same port of a node are summed. Cycles are allowed if they carry a delay. A graph is checked when it is
made, so an invalid one does not exist; it is never changed afterwards.
"""

from __future__ import annotations

import copy
import dataclasses
import graphlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar

import numpy as np

from snndeploy.arrays import Floats, Shape, same
from snndeploy.errors import GraphError, did_you_mean
from snndeploy.ir.xp import Array, Namespace

State: TypeAlias = Mapping[str, Array]
Emits: TypeAlias = Literal["spikes", "levels", "real", "same"]
"""What a node's output is: 0/1 spikes, a few graded levels, any real number, or whatever comes in."""


@dataclass(frozen=True)
class Limits:
    """What a lowering may use: the chip's registers around one node.

    Attributes:
        shape: the node's output shape.
        input_bound: the largest |synaptic sum| that can reach the node, in weight units.
        programs: the chip runs neuron programs.
        payload_bits: bits of a graded spike; 0 where spikes are binary.
        vth_max: largest threshold mantissa.
        steps: time steps of a sample, within which a synaptic current can add up; None for any number.
        idle: silent steps between samples, after which neurons (not synapses) are cleared; None: all is, every time.
    """

    shape: Shape
    input_bound: int
    programs: bool
    payload_bits: int
    vth_max: int = 131_071
    steps: int | None = None
    idle: int | None = None


@dataclass(frozen=True)
class Condition:
    """One register condition of a construction: whether it holds, the two numbers, and what would mend it."""

    name: str
    holds: bool
    value: str
    limit: str
    hint: str


@dataclass(frozen=True)
class Candidate:
    """One construction that could replace a node: a sub-graph with one Input and one Output.

    ``latency`` is how many steps later than the node its output appears. It may be used only if every condition holds.
    With ``phases`` p its graph takes p steps for one: input and output at the first of them, nothing at the others.
    """

    construction: str
    graph: Graph
    conditions: tuple[Condition, ...]
    latency: int = 0
    phases: int = 1

    @property
    def exact(self) -> bool:
        """True if every register condition holds."""
        return all(c.holds for c in self.conditions)


@dataclass(frozen=True, eq=False)
class Node:
    """One operation with its parameters. Subclasses are frozen dataclasses that answer these four questions."""

    emits: ClassVar[Emits] = "real"
    ports: ClassVar[int | None] = 1
    """How many input ports the node has; None for any number."""

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        """The output's shape (no batch) for these input shapes, one a port. Raises ``ValueError`` on a misfit."""
        raise NotImplementedError

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        """The state words before the first step, without batch, for an input of ``shape``."""
        return {}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        """One time step: ``inputs`` ``[B, *shape]``, one a port -> output and new state."""
        raise NotImplementedError

    def lower(self, limits: Limits) -> tuple[Candidate, ...]:
        """The constructions that could replace this node on a chip with these limits; none by default."""
        return ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(same(getattr(self, f.name), getattr(other, f.name)) for f in dataclasses.fields(self))

    def __hash__(self) -> int:
        return hash((type(self).__name__, tuple(f.name for f in dataclasses.fields(self))))

    def __str__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{f.name}={_show(getattr(self, f.name))}' for f in stated(self))})"


def stated(noun: Any) -> tuple[dataclasses.Field[Any], ...]:
    """A noun's fields but the options added later (keyword-only) that it does not use: it is printed and saved as before them."""
    return tuple(f for f in dataclasses.fields(noun) if not (f.kw_only and getattr(noun, f.name) is None))


AnyNode = TypeVar("AnyNode", bound=Node)


def bind(node: AnyNode, parameters: Mapping[str, Array]) -> AnyNode:
    """A copy of ``node`` computing with these arrays (torch tensors, symbols) in place of its own; unchecked."""
    bound = copy.copy(node)
    for name, value in parameters.items():
        object.__setattr__(bound, name, value)
    return bound


def parameters(node: Node) -> dict[str, Floats]:
    """The node's array fields, in declaration order."""
    return {f.name: value for f in dataclasses.fields(node) if isinstance(value := getattr(node, f.name), np.ndarray)}


@dataclass(frozen=True, order=True)
class Edge:
    """``source`` -> ``target``, arriving ``delay`` steps later at input ``port``."""

    source: str
    target: str
    delay: int = 0
    port: int = 0

    def __str__(self) -> str:
        late = f" delay={self.delay}" if self.delay else ""
        port = f" port={self.port}" if self.port else ""
        return f"{self.source} -> {self.target}{late}{port}"


@dataclass(frozen=True, eq=False)
class Graph:
    """Named nodes and edges; ``dt`` is the length of a step in seconds, ``steps`` how many a sample takes (None: not known).

    Raises:
        GraphError: unknown node, wrong port, a cycle without delay, shapes that do not fit, nothing to compute.
    """

    nodes: Mapping[str, Node]
    edges: tuple[Edge, ...]
    dt: float | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "edges", tuple(sorted(self.edges)))
        if len(self.edges) != len(set(self.edges)):
            twice = next(e for e, after in zip(self.edges, self.edges[1:], strict=False) if e == after)
            raise GraphError(f"edge {twice}", "is given twice", "add a value to itself with a Scale of 2")
        for edge in self.edges:
            self._check_edge(edge)
        _ = self.shapes

    def _check_edge(self, edge: Edge) -> None:
        for name in (edge.source, edge.target):
            if name not in self.nodes:
                raise GraphError(f"edge {edge}", f"there is no node {name!r}", did_you_mean(name, self.nodes))
        ports = self.nodes[edge.target].ports
        if edge.delay < 0 or edge.port < 0 or (ports is not None and edge.port >= ports):
            raise GraphError(f"edge {edge}", f"{edge.target!r} has {ports} input port(s) and a delay is never negative")

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Node names in the order they run within a step."""
        sorter: graphlib.TopologicalSorter[str] = graphlib.TopologicalSorter(dict.fromkeys(self.nodes, ()))
        for edge in self.edges:
            if edge.delay == 0:
                sorter.add(edge.target, edge.source)
        try:
            return tuple(sorter.static_order())
        except graphlib.CycleError as error:
            loop = " -> ".join(reversed(error.args[1]))
            raise GraphError("graph", f"the cycle {loop} has no delay", "L016: give one of its edges a delay of 1") from None

    @cached_property
    def shapes(self) -> Mapping[str, Shape]:
        """Every node's output shape (no batch), derived."""
        return MappingProxyType(infer_shapes(self))

    def into(self, name: str) -> tuple[Edge, ...]:
        """The edges that enter a node."""
        return self._incoming[name]

    def out_of(self, name: str) -> tuple[Edge, ...]:
        """The edges that leave a node."""
        return self._outgoing[name]

    @cached_property
    def _incoming(self) -> dict[str, tuple[Edge, ...]]:
        return {name: tuple(e for e in self.edges if e.target == name) for name in self.nodes}

    @cached_property
    def _outgoing(self) -> dict[str, tuple[Edge, ...]]:
        return {name: tuple(e for e in self.edges if e.source == name) for name in self.nodes}

    def named(self, kind: type[AnyNode]) -> dict[str, AnyNode]:
        """The nodes of one class, by name, in running order."""
        return {name: node for name in self.order if isinstance(node := self.nodes[name], kind)}

    def replace(self, nodes: Mapping[str, Node | None], edges: Iterable[Edge] | None = None) -> Graph:
        """A new graph with some nodes replaced (None removes one) and, if given, other edges."""
        merged = {**self.nodes, **nodes}
        kept = {name: node for name, node in merged.items() if node is not None}
        return Graph(kept, tuple(self.edges if edges is None else edges), self.dt, self.steps)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Graph):
            return NotImplemented
        return dict(self.nodes) == dict(other.nodes) and self.edges == other.edges and (self.dt, self.steps) == (other.dt, other.steps)

    def __hash__(self) -> int:
        return hash((tuple(self.nodes), self.edges, self.dt))

    def __str__(self) -> str:
        head = "graph" + (f" dt={self.dt}" if self.dt is not None else "") + (f" steps={self.steps}" if self.steps else "")
        nodes = (f"  {name}: {self.nodes[name]} : {_show(self.shapes[name])}" for name in self.order)
        return "\n".join([head, *nodes, *(f"  {edge}" for edge in self.edges)]) + "\n"


def infer_shapes(graph: Graph) -> dict[str, Shape]:
    """Derive every node's output shape. Delayed edges may close a cycle, so this iterates until nothing is left."""
    shapes: dict[str, Shape] = {}
    waiting = list(graph.order)
    while waiting:
        ready = [name for name in waiting if _ready(graph, name, shapes)]
        # inside a cycle, one known summand tells the shape; all summands are compared at the end
        ready = ready or [name for name in waiting if _half_ready(graph, name, shapes)][:1]
        if not ready:
            raise GraphError(waiting[0], "its shape depends on itself", "give the cycle a node with a fixed output shape")
        for name in ready:
            shapes[name] = _node_shape(graph, name, shapes)
        waiting = [name for name in waiting if name not in shapes]
    _check_late_edges(graph, shapes)
    return shapes


def _ready(graph: Graph, name: str, shapes: Mapping[str, Shape]) -> bool:
    return all(e.source in shapes for e in graph.into(name) if e.delay == 0) and _half_ready(graph, name, shapes)


def _half_ready(graph: Graph, name: str, shapes: Mapping[str, Shape]) -> bool:
    edges = graph.into(name)
    return {e.port for e in edges if e.source in shapes} == {e.port for e in edges}


def _node_shape(graph: Graph, name: str, shapes: Mapping[str, Shape]) -> Shape:
    node, edges = graph.nodes[name], graph.into(name)
    ports: dict[int, Shape] = {e.port: shapes[e.source] for e in reversed(edges) if e.source in shapes}
    needed = 0 if node.ports == 0 else max(1, len(ports))
    if sorted(ports) != list(range(needed)):
        what = f"its input ports {sorted(ports)} have a gap" if ports else "nothing enters it"
        raise GraphError(name, what, "connect it or remove it")
    try:
        return node.out_shape(tuple(ports[p] for p in sorted(ports)))
    except ValueError as misfit:
        raise GraphError(f"{name} ({type(node).__name__})", str(misfit), "check --input-shape and the layer before it") from None


def _check_late_edges(graph: Graph, shapes: Mapping[str, Shape]) -> None:
    for name in graph.order:
        by_port: dict[int, Shape] = {}
        for edge in graph.into(name):
            first = by_port.setdefault(edge.port, shapes[edge.source])
            if first != shapes[edge.source]:
                raise GraphError(name, f"cannot add {first} and {shapes[edge.source]} (from {edge.source})", "summed inputs need one shape")


def _show(value: Any) -> str:
    if isinstance(value, np.ndarray):
        if value.size == 1:
            return f"{value.item():.6g}"
        digest = f"{value.min():.4g}..{value.max():.4g}"
        return f"{list(value.shape)} {digest}".replace(", ", ",")
    if isinstance(value, tuple):
        return f"{len(value)} x {value[0]}" if len(value) > 8 and len(set(value)) == 1 else f"({','.join(map(_show, value))})"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
