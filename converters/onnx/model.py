"""Graph <-> ONNX: layers as standard operators, neurons as functions, state as inputs and outputs of one step.

Values of the saved model, all float32, the batch dynamic:

    <input>                 [B, *shape]  what enters at this step
    <node>.<word>           a neuron's state before the step; ``<node>.<word>.next`` after it
    <source>.ago<d>         what a delayed edge delivers; ``<source>.ago<d>.next`` after the step
    <node>                  an Output's or a neuron's output at this step

With ``scan`` an ONNX Scan runs T steps: ``<input>.steps`` [T, B, *shape] in, ``<node>.steps`` out, and each state
as ``<state>.first`` in and ``<state>.last`` out. The metadata entry ``ai.snndeploy.run`` lists all of these with
the initial values, so that a runner needs nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, helper

from converters.onnx.files import serialize, tensor
from converters.onnx.functions import DOMAIN, function, input_shape, words
from converters.onnx.stepping import Step, assemble, check_names, runner, smallest
from converters.onnx.structure import RECORDED, SCHEMA, Arrays, decode, digest, encode, kinds, text
from converters.onnx.symbols import ONNX, Body, Symbol
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.graph import Edge, Graph, bind, parameters
from snndeploy.ir.layers import Input, Output

LARGEST_GRAPH = 2**27
"""Neurons and layer outputs in total; beyond it a file is taken for damaged."""


class Draft:
    """The model in the making: what the nodes of one Graph have written so far."""

    def __init__(self, graph: Graph) -> None:
        # one order for equal graphs, however they were put together
        self.graph = Graph(dict(sorted(graph.nodes.items())), graph.edges, graph.dt, graph.steps)
        self.nodes: list[NodeProto] = []
        self.functions: dict[str, FunctionProto] = {}
        self.arrays: Arrays = {}
        self.initializers: list[TensorProto] = []
        self.states: list[tuple[str, str, Any]] = []
        self.shapes: dict[str, tuple[int, ...]] = dict(self.graph.shapes)

    def parameters(self, name: str, body: Body) -> dict[str, Symbol]:
        """The node's arrays as initializers; a Cast after those that float32 cannot hold exactly."""
        symbols = {}
        for field in parameters(self.graph.nodes[name]):
            full = f"{name}.{field}"
            proto = tensor(full, self.arrays[full])
            self.initializers.append(proto)
            if proto.data_type == TensorProto.DOUBLE:
                self.nodes.append(helper.make_node("Cast", [full], [f"{full}.float32"], name=f"{full}.float32", to=TensorProto.FLOAT))
                full = f"{full}.float32"
            symbols[field] = Symbol(body, full, tuple(proto.dims))
        return symbols

    def entering(self, name: str, body: Body) -> tuple[Symbol, ...]:
        """What enters each port, summed in the order of the edges."""
        ports: dict[int, Symbol] = {}
        for edge in self.graph.into(name):
            value = Symbol(body, _value(edge), (1, *self.graph.shapes[edge.source]))
            ports[edge.port] = ports[edge.port] + value if edge.port in ports else value
        return tuple(ports[p] for p in sorted(ports))

    def layer(self, name: str) -> None:
        """A node without state: its operators, inline."""
        body = Body(f"{name}/")
        own = self.parameters(name, body)
        y, _ = bind(self.graph.nodes[name], own).step(self.entering(name, body), {}, ONNX)
        self.nodes += body.deliver([(name, y)])

    def neuron(self, name: str) -> None:
        """A node with state: one call of its function."""
        made = function(self.graph, name)
        known = self.functions.setdefault(made.name, made)
        if known != made:
            raise Unsupported(name, f"the function {made.name} would need two bodies", "rename a field of the neuron's class")
        body = Body(f"{name}/")
        own, entering = self.parameters(name, body), self.entering(name, body)
        node = self.graph.nodes[name]
        start = node.initial_state(input_shape(self.graph, name))
        for word in words(self.graph, name):
            self.state(f"{name}.{word}", f"{name}.{word}.next", self.graph.shapes[name], smallest(np.asarray(start[word])))
        before = [f"{name}.{w}" for w in start]
        call = [*(x.name for x in entering), *before, *(p.name for p in own.values())]
        self.nodes += body.nodes
        self.nodes.append(helper.make_node(made.name, call, [name, *(f"{w}.next" for w in before)], name=name, domain=DOMAIN))

    def state(self, before: str, after: str, shape: tuple[int, ...], initial: Any) -> None:
        """Declare one state word."""
        self.states.append((before, after, initial))
        self.shapes |= {before: shape, after: shape}

    def delays(self) -> None:
        """The values that delayed edges still have to deliver, one state a step of delay."""
        longest: dict[str, int] = {}
        for edge in self.graph.edges:
            longest[edge.source] = max(edge.delay, longest.get(edge.source, 0))
        for source in self.graph.order:
            for ago in range(1, longest.get(source, 0) + 1):
                name = f"{source}.ago{ago}"
                self.state(name, f"{name}.next", self.graph.shapes[source], 0.0)
                earlier = source if ago == 1 else f"{source}.ago{ago - 1}"
                self.nodes.append(helper.make_node("Identity", [earlier], [f"{name}.next"], name=f"{name}.next"))


def emit(graph: Graph, version: str, scan: bool = False) -> bytes:
    """The saved model's bytes: the same graph gives the same bytes.

    Raises:
        Unsupported: a node class that is not snndeploy's, a number too large for float32, two values of one name.
    """
    draft, known = Draft(graph), kinds("graph")
    nodes = {}
    for name, node in draft.graph.nodes.items():
        if known.get(type(node).__name__) is not type(node):
            what = f"{type(node).__name__} is not one of snndeploy's nodes"
            raise Unsupported(name, what, "a file cannot hold code; add the neuron to snndeploy.ir")
        nodes[name] = encode(node, name, draft.arrays)
    for name in draft.graph.order:
        if not isinstance(draft.graph.nodes[name], Input):
            (draft.neuron if words(draft.graph, name) else draft.layer)(name)
    draft.delays()
    edges = [[e.source, e.target, e.delay, e.port] for e in draft.graph.edges]
    structure = text({"dt": draft.graph.dt, "steps": draft.graph.steps, "nodes": nodes, "edges": edges})
    return _model(draft, structure, version, scan)


def rebuild(structure: str, arrays: Mapping[str, Any]) -> Graph:
    """The Graph that ``structure`` and the initializers describe; ``emit`` tells whether the file says the same."""
    described = json.loads(structure)
    classes = kinds("graph")
    nodes = {name: decode(node, arrays, classes) for name, node in described["nodes"].items()}
    graph = Graph(nodes, tuple(Edge(*edge) for edge in described["edges"]), described["dt"], described["steps"])
    if sum(float(np.prod(shape, dtype=np.float64)) for shape in graph.shapes.values()) > LARGEST_GRAPH:
        raise ModelError("graph", "describes more neurons than any chip has")
    return graph


def finish(model: ModelProto, noun: str, structure: str, arrays: Mapping[str, Any], extra: Mapping[str, str]) -> bytes:
    """Put the metadata on a model and return its bytes."""
    schema = RECORDED if "provenance" in extra else SCHEMA
    entries = {"schema": str(schema), "noun": noun, "structure": structure, "content": digest(structure, arrays), **extra}
    helper.set_model_props(model, {f"{DOMAIN}.{key}": entries[key] for key in sorted(entries)})
    return serialize(model, noun)


def _model(draft: Draft, structure: str, version: str, scan: bool) -> bytes:
    graph = draft.graph
    ins, outs = list(graph.named(Input)), [*graph.named(Output), *(n for n in graph.order if words(graph, n))]
    made = [name for node in draft.nodes for name in node.output]
    check_names([*ins, *(s[0] for s in draft.states), *(i.name for i in draft.initializers), *made])
    dims: dict[str, tuple[str | int, ...]] = {name: ("batch", *map(int, shape)) for name, shape in draft.shapes.items()}
    step = Step(draft.nodes, list(draft.functions.values()), draft.initializers, draft.states, ins, outs, dims, TensorProto.FLOAT)
    static = {n: node.static for n, node in graph.named(Input).items()}
    run = text(runner(step, {n: (n, static[n]) for n in ins}, {n: n for n in outs}, scan))
    return finish(assemble(step, DOMAIN, version, scan), "graph", structure, draft.arrays, {"run": run})


def _value(edge: Edge) -> str:
    return f"{edge.source}.ago{edge.delay}" if edge.delay else edge.source
