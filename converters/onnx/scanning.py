"""A file that is a loop over time, read: the body as a graph, the read-out behind it, and a run of the file to compare."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto

from converters import Loaded, Options, Witness, same_steps
from converters.onnx.loops import LOOPS, Loop, damaged, decoding, open_loop
from converters.onnx.parts import dims
from converters.onnx.steps import Read, read_step
from converters.onnx.values import Constant
from converters.onnx.witness import KINDS, answers, session, widened
from snndeploy.arrays import Floats, Shape
from snndeploy.errors import ModelError, OptionError, SnnError, Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input, Output

OPEN = (2, 3)
"""What an open batch and an open number of steps (or the other way round) are taken as while reading."""


def loops(nodes: Sequence[NodeProto]) -> list[int]:
    """Where the loops are."""
    return [i for i, node in enumerate(nodes) if node.op_type in LOOPS]


def load(
    model: ModelProto, nodes: Sequence[NodeProto], constants: Mapping[str, Constant], opset: int, options: Options, where: str
) -> Loaded:
    """The network of a file that is one Scan or Loop over time.

    Raises:
        Unsupported: several loops, or layers outside the loop.  ModelError: damaged.
    """
    found = loops(nodes)
    node = nodes[found[0]]
    if len(found) > 1:
        raise Unsupported(nodes[found[1]].name or "loop", "is a second loop over time", "put all layers into the body of one")
    options.only("an ONNX file with a loop over time", "input_shape")
    sizes, fixed = _sizes(model.graph, set(constants), options, where)
    behind = _behind(nodes, set(node.output))
    before = [n for i, n in enumerate(nodes) if i not in behind and n is not node]
    try:
        loop = open_loop(node, before, constants, sizes, opset)
    except (KeyError, IndexError, ValueError, TypeError, StopIteration) as error:
        if isinstance(error, SnnError):
            raise
        raise damaged(where) from None
    wanted = [o.name for o in model.graph.output]
    made, kinds = _read(loop, wanted, [nodes[i] for i in sorted(behind)], constants, opset)
    first = next(e for e in loop.entering.values() if e.time is not None)
    steps = loop.steps if fixed[first.source][first.time or 0] else options.timesteps
    same_steps(options.timesteps, steps, "the file's loop")
    return Loaded(made.graph, made.semantics, made.notes, steps, _witness(model, loop, kinds, made.spikes, sizes), made.probed)


def _behind(nodes: Sequence[NodeProto], values: set[str]) -> set[int]:
    found = set()
    for i, node in enumerate(nodes):
        if values & {*node.input}:
            found.add(i)
            values |= {*node.output}
    return found


def _sizes(graph: GraphProto, known: set[str], options: Options, where: str) -> tuple[dict[str, Shape], dict[str, list[bool]]]:
    """Every input's shape, open leading axes filled in; and which axes the file fixes."""
    sizes, fixed = {}, {}
    for info in graph.input:
        if info.name in known:
            continue
        said = dims(info, where)
        inside = options.input_shape or ()
        tail = said[2:] if None not in said[2:] else list(inside)
        if None in tail or len(tail) != len(said[2:]):
            raise ModelError(where, f"leaves the shape of its input {info.name!r} open", "name one step's shape: --input-shape 3,32,32")
        sizes[info.name] = (*(d or OPEN[k] for k, d in enumerate(said[:2])), *(int(d or 0) for d in tail))
        fixed[info.name] = [d is not None for d in said]
    if options.input_shape not in (None, *(shape[2:] for shape in sizes.values())):
        listed = ", ".join(f"{name} {list(shape[2:])}" for name, shape in sizes.items())
        raise OptionError("--input-shape", f"is {list(options.input_shape or ())}, but the file says {listed} a step", "leave it out")
    return sizes, fixed


def _read(
    loop: Loop, wanted: Sequence[str], after: Sequence[NodeProto], constants: Mapping[str, Constant], opset: int
) -> tuple[Read, dict[str, tuple[str, bool]]]:
    """The body as a graph whose Outputs are the file's; and each one's read-out and whether its batch comes first."""
    sources = {n: n for n in wanted}
    needed = _needed(wanted, after)
    inner = [i for name, i in loop.finals.items() if name in needed] + [i for name, (i, _) in loop.series.items() if name in needed]
    made = read_step(loop.net, [(name, Output("none")) for name in dict.fromkeys(inner)])
    names = {name: name if isinstance(made.graph.nodes.get(name), Output) else f"{name}.out" for name in inner}
    shapes = {name: made.graph.shapes[node] for name, node in names.items() if node in made.graph.shapes}
    found = {name: decoding(loop, sources[name], after, constants, shapes, opset) for name in wanted}
    steps = {name: f for name, f in found.items() if f[0] in {i for i, _ in loop.series.values()}}
    kept = {name: f for name, f in (steps or found).items() if f[0] in shapes}
    if not kept:
        raise Unsupported(loop.where, "gives nothing but the states of its neurons", "export the spikes or a read-out as an output too")
    graph = _named(made.graph, {name: (names[f[0]], f[1]) for name, f in kept.items()}, loop)
    return replace(made, graph=graph), {name: (kind, first) for name, (_, kind, first) in kept.items()}


def _needed(wanted: Sequence[str], after: Sequence[NodeProto]) -> set[str]:
    needed = set(wanted)
    for node in reversed(after):
        if needed & {*node.output}:
            needed.update(node.input)
    return needed


def _named(graph: Graph, outputs: Mapping[str, tuple[str, Any]], loop: Loop) -> Graph:
    """The graph with its inputs and outputs named as the file's."""
    nodes: dict[str, Node | None] = dict.fromkeys(graph.named(Output))
    edges = [e for e in graph.edges if e.target not in nodes]
    for name, (old, kind) in outputs.items():
        free = name if name not in graph.nodes or name in nodes else f"{name}.out"
        edges += [Edge(e.source, free, e.delay, e.port) for e in graph.into(old)]
        nodes[free] = Output(kind)
    renamed = {old: loop.entering[old].source for old in graph.named(Input)}
    for old, new in renamed.items():
        node = graph.nodes[old]
        assert isinstance(node, Input)
        nodes[old] = None
        nodes[new] = replace(node, static=loop.entering[old].time is None)
    moved = [Edge(renamed.get(e.source, e.source), e.target, e.delay, e.port) for e in edges]
    return graph.replace(nodes, moved)


def _witness(
    model: ModelProto, loop: Loop, kinds: Mapping[str, tuple[str, bool]], spikes: Mapping[str, str], sizes: Mapping[str, Shape]
) -> Witness | None:
    """The whole file run once by onnxruntime; None where it is not installed, or refuses the file.

    ``spikes``: a value of the loop's body -> the node of the graph that gives it.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError:
        return None
    rng = np.random.default_rng(0)
    times = {e.source: e.time for e in loop.entering.values()}
    given = {n: rng.integers(0, 17, shape) / 8.0 if n in times else np.zeros(shape) for n, shape in sizes.items()}
    inputs = {n: given[n][None] if t is None else np.moveaxis(given[n], t, 0) for n, t in times.items()}
    for kind, arithmetic in KINDS.items():
        whole = widened(model) if kind is np.float64 else model
        for inner in (spikes, {}) if spikes else ({},):
            shown, names = _showing(whole, loop.at, list(inner))
            results = answers(session(runtime, shown), [*kinds, *names], {n: v.astype(kind) for n, v in given.items()})
            if results is not None:
                gave = {n: _steps_first(results[n], first) for n, (_, first) in kinds.items()}
                told = {inner[n]: results[shown_as].astype(np.float64) for n, shown_as in zip(inner, names, strict=True)}
                return Witness(loop.steps, inputs, gave, told, arithmetic)
    return None


def _steps_first(values: NDArray[Any], batch_first: bool) -> Floats:
    return np.asarray(np.moveaxis(values, 0, 1) if batch_first else values, dtype=np.float64)


def _showing(model: ModelProto, at: str, values: Sequence[str]) -> tuple[ModelProto, list[str]]:
    """The same model with values of its loop's body as outputs of every step; ``at``: what the loop's node gives first."""
    whole = ModelProto()
    whole.CopyFrom(model)
    node = next(n for n in whole.graph.node if n.op_type in LOOPS and at in n.output)
    body = next(a for a in node.attribute if a.name == "body").g
    names = [f"{value} shown {k}" for k, value in enumerate(values)]
    for value, name in zip(values, names, strict=True):
        body.node.add(op_type="Identity", input=[value], output=[f"{name} inside"])
        body.output.append(ValueInfoProto(name=f"{name} inside"))
        node.output.append(name)
        whole.graph.output.append(ValueInfoProto(name=name))
    for attribute in node.attribute:
        if attribute.name in ("scan_output_axes", "scan_output_directions"):
            attribute.ints.extend([0] * len(values))
    return whole, names
