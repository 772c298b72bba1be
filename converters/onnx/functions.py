"""One neuron as one ONNX function: its ``step``, run once on symbols, is the body."""

from __future__ import annotations

import dataclasses
from typing import Any

from onnx import FunctionProto, helper

from converters.onnx.symbols import ONNX, Body, Symbol
from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph, Node, bind, parameters
from snndeploy.ir.neurons.on_grid import GridNeuron

DOMAIN = "ai.snndeploy"
OPSET = 20


def words(graph: Graph, name: str) -> tuple[str, ...]:
    """The state words of a node, in its own order."""
    return tuple(graph.nodes[name].initial_state(input_shape(graph, name)))


def input_shape(graph: Graph, name: str) -> Shape:
    """The shape (no batch) of what enters port 0 of a node; () where nothing does."""
    edges = graph.into(name)
    return graph.shapes[edges[0].source] if edges else ()


def function(graph: Graph, name: str) -> FunctionProto:
    """The function of a node with state: inputs x, state words, parameters; outputs y and every ``<word>_next``.

    Static fields (reset kind, strictness, ...) are part of the function's name, so that a name has one body.
    """
    node, body = graph.nodes[name], Body()
    if isinstance(node, GridNeuron):
        what = "is the definition of a neuron program, and its numbers belong to no operator"
        raise Unsupported(name, what, "save the chip network, which holds the program")
    out = (1, *graph.shapes[name])
    ports = sorted({e.port for e in graph.into(name)})
    entering = {("x" if len(ports) == 1 else f"x{p}"): (1, *_port_shape(graph, name, p)) for p in ports}
    xs = tuple(Symbol(body, x, shape) for x, shape in entering.items())
    state = {w: Symbol(body, w, out) for w in words(graph, name)}
    own = {p: Symbol(body, p, values.shape) for p, values in parameters(node).items()}
    y, after = bind(node, own).step(xs, state, ONNX)
    results = [("y", y), *((f"{w}_next", after.get(w, state[w])) for w in state)]
    nodes = body.deliver(results)
    inputs, outputs = [*entering, *state, *own], [r for r, _ in results]
    if len({*inputs, *outputs}) < len(inputs) + len(outputs):
        raise Unsupported(f"{name} ({type(node).__name__})", "a state word and a parameter share a name", "rename the field")
    lengths = {p: n for p, n in body.lengths.items() if p in own}
    return helper.make_function(DOMAIN, function_name(node, lengths), inputs, outputs, nodes, [helper.make_opsetid("", OPSET)])


def function_name(node: Node, lengths: dict[str, int]) -> str:
    """The class and every static choice: ``LIF_strict_reset_subtract``, ``Burst_strict_01_reset_hard``."""
    tokens = (_token(f, getattr(node, f.name)) for f in dataclasses.fields(node))
    sizes = (f"{name}_{length}" for name, length in sorted(lengths.items()))
    return "_".join([type(node).__name__, *(t for t in tokens if t), *sizes])


def _token(field: dataclasses.Field[Any], value: Any) -> str:
    if value is None or value is False:
        return ""
    if value is True:
        return field.name
    if hasattr(value, "shape"):
        return field.name if field.default is None else ""
    if isinstance(value, tuple):
        return f"{field.name}_{'_'.join(str(int(v)) for v in value)}"
    return f"{field.name}_{value}"


def _port_shape(graph: Graph, name: str, port: int) -> Shape:
    return next(graph.shapes[e.source] for e in graph.into(name) if e.port == port)
