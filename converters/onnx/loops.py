"""Scan and Loop: a graph whose step is written in a body of its own, run along the time axis of its input.

The graph around the body may only move values (which axis is time is found by moving indices) and reduce the result
over time; the body is read as one step, its states paired by position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, helper

from converters.onnx.folding import FOLDED, evaluate
from converters.onnx.net import Net, prepare
from converters.onnx.operators import VIEWS
from converters.onnx.parts import in_order, tensor
from converters.onnx.values import Constant
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError, Unsupported

LOOPS = ("Scan", "Loop")
MOVING = VIEWS | {"Identity", "Cast"}
ZERO = "start every state at 0; another start has no option yet"


@dataclass(frozen=True, eq=False)
class Entering:
    """A value of the body that is new at each step: the file's input it comes from, and which axis of it is time (None: none)."""

    source: str
    time: int | None


@dataclass(frozen=True, eq=False)
class Loop:
    """A loop over time.

    Attributes:
        where: its node, for errors.
        at: a value that its node gives, by which it is found.
        net: its body as one step, states paired.
        entering: data input of the body -> where it comes from.
        finals: value of the outer graph -> the body's state output that it is after the last step.
        series: value of the outer graph -> (the body's output of every step, the axis along which they are stacked).
        steps: how many steps the file's own sizes make.
    """

    where: str
    at: str
    net: Net
    entering: Mapping[str, Entering]
    finals: Mapping[str, str]
    series: Mapping[str, tuple[str, int]]
    steps: int


@dataclass(frozen=True, eq=False)
class _Raw:
    """A body before it is read: its states with their values before the first step, and what enters, with the axis of time."""

    graph: GraphProto
    nodes: Sequence[NodeProto]
    starts: Mapping[str, Constant]
    entering: Mapping[str, tuple[Constant, int | None]]
    constants: Mapping[str, Constant]
    finals: Sequence[str]
    series: Sequence[str]
    axes: Sequence[int]


def open_loop(
    node: NodeProto, before: Sequence[NodeProto], constants: Mapping[str, Constant], sizes: Mapping[str, Shape], opset: int
) -> Loop:
    """The loop, given the nodes ``before`` it; ``sizes`` are the inputs' shapes with batch and time.

    Raises:
        Unsupported: a layer outside the loop, a start other than 0, a form of loop without a meaning here.
    """
    where = f"{node.name or node.output[0]} ({node.op_type})"
    indices = _indices(sizes)
    values, live = _moved({**constants, **indices}, set(indices), before, opset)
    raw = (_scan if node.op_type == "Scan" else _loop)(node, values, live, where)
    entering, shapes, steps = {}, {}, 0
    for name, (array, axis) in raw.entering.items():
        found, shape = _place(array, axis, indices, f"{where}: {name}")
        entering[name], shapes[name] = found, shape
        steps = steps if axis is None else array.shape[axis]
    if not steps:
        raise Unsupported(where, "nothing enters it step by step", "scan the input along its time axis")
    for name, start in raw.starts.items():
        given = any(np.array_equal(start, own) for own in indices.values())
        if not given and np.any(start):
            raise Unsupported(where, f"its state {name} starts at another value than 0", ZERO)
        shapes[name] = tuple(map(int, start.shape))
    batch = shapes[next(iter(entering))][0]
    outputs = list(dict.fromkeys([*raw.finals, *raw.series]))
    net = prepare(raw.nodes, raw.constants, shapes, outputs, opset, batch)
    net = replace(net, pairs=dict(zip(raw.starts, raw.finals, strict=True)))
    count = len(raw.finals)
    finals = {name: inner for name, inner in zip(node.output[:count], raw.finals, strict=False) if name}
    stacked = zip(node.output[count:], raw.series, raw.axes, strict=False)
    made = {name: (inner, axis) for name, inner, axis in stacked if name}
    return Loop(where, next(filter(None, node.output)), net, entering, finals, made, steps)


def _indices(sizes: Mapping[str, Shape]) -> dict[str, Constant]:
    """Every input as numbers that occur once."""
    found: dict[str, Constant] = {}
    start = 1
    for name, shape in sizes.items():
        count = int(np.prod(shape, dtype=np.int64))
        found[name] = np.arange(start, start + count, dtype=np.float64).reshape(shape)
        start += count
    return found


def _moved(values: dict[str, Constant], live: set[str], nodes: Sequence[NodeProto], opset: int) -> tuple[dict[str, Constant], set[str]]:
    """All values before the loop. Raises ``Unsupported`` where a layer computes with the data outside it."""
    for node in nodes:
        where = f"{node.name or node.output[0]} ({node.op_type})"
        touched = live & {*node.input} and node.op_type not in ("Shape", "Size")
        if touched and node.op_type not in MOVING:
            raise Unsupported(where, "computes with the data outside the loop over time", "put all layers into the body of the loop")
        if not touched and node.op_type not in FOLDED:
            raise Unsupported(where, "stands before the loop and is not computed here", "put all layers into the body of the loop")
        results = evaluate(node, [values[n] if n else None for n in node.input], opset, where)
        values.update(zip([o for o in node.output if o], results, strict=False))
        live |= {*node.output} if touched else set()
    return values, live


def _body(node: NodeProto) -> tuple[GraphProto, dict[str, Any]]:
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return attributes["body"], attributes


def _constants(body: GraphProto, values: Mapping[str, Constant], live: set[str], where: str) -> dict[str, Constant]:
    return {**{n: v for n, v in values.items() if n not in live}, **{i.name: tensor(i, where) for i in body.initializer}}


def _scan(node: NodeProto, values: Mapping[str, Constant], live: set[str], where: str) -> _Raw:
    body, attributes = _body(node)
    count = int(attributes["num_scan_inputs"])
    states = len(node.input) - count
    made = len(body.output) - states
    for name in ("scan_input_directions", "scan_output_directions"):
        if any(attributes.get(name, ())):
            raise Unsupported(where, "runs backwards in time", "scan forward: a chip knows no future")
    given = [values[name] for name in node.input]
    names = [i.name for i in body.input]
    axes = attributes.get("scan_input_axes", [0] * count)
    entering = {n: (v, int(a) % v.ndim) for n, v, a in zip(names[states:], given[states:], axes, strict=True)}
    constants = _constants(body, values, live, where)
    nodes = in_order(body, {*names, *constants, *live}, where)
    still = {n: (values[n], None) for n in sorted({i for b in nodes for i in b.input} & live)}
    outputs = [o.name for o in body.output]
    starts = dict(zip(names[:states], given[:states], strict=True))
    order = [int(a) for a in attributes.get("scan_output_axes", [0] * made)]
    return _Raw(body, nodes, starts, {**entering, **still}, constants, outputs[:states], outputs[states:], order)


def _loop(node: NodeProto, values: Mapping[str, Constant], live: set[str], where: str) -> _Raw:
    body, _ = _body(node)
    names, outputs = [i.name for i in body.input], [o.name for o in body.output]
    count, states = names[0], names[2:]
    constants = _constants(body, values, live, where)
    nodes = in_order(body, {*names, *constants, *live}, where)
    _runs_through(nodes, outputs[0], names[1], {**constants, **({node.input[1]: values[node.input[1]]} if node.input[1] else {})}, where)
    entering: dict[str, tuple[Constant, int | None]] = {}
    rest = []
    for inner in nodes:
        if inner.op_type == "Gather" and inner.input[1] == count and inner.input[0] in live:
            axis = next((a.i for a in inner.attribute if a.name == "axis"), 0)
            array = values[inner.input[0]]
            entering[inner.output[0]] = (array, axis % array.ndim)
        elif count in inner.input:
            raise Unsupported(
                f"{inner.name or inner.output[0]} ({inner.op_type})", "depends on the number of the step", "read the input with Gather"
            )
        elif inner.output[0] != outputs[0]:
            rest.append(inner)
    _whole(node, values, entering, where)
    still = {n: (values[n], None) for n in sorted({i for b in rest for i in b.input} & live)}
    starts = dict(zip(states, (values[n] for n in node.input[2:]), strict=True))
    series = outputs[1 + len(states) :]
    return _Raw(body, rest, starts, {**entering, **still}, constants, outputs[1 : 1 + len(states)], series, [0] * len(series))


def _runs_through(nodes: Sequence[NodeProto], after: str, before: str, constants: Mapping[str, Constant], where: str) -> None:
    """The loop's condition must be true always."""
    maker = {n.output[0]: n for n in nodes}
    name = after
    while name in maker and maker[name].op_type in ("Identity", "Cast"):
        name = maker[name].input[0]
    constant = name in maker and maker[name].op_type == "Constant"
    if name != before and not constant and not (name in constants and np.all(constants[name])):
        raise Unsupported(where, "stops under a condition", "run a fixed number of steps")


def _whole(node: NodeProto, values: Mapping[str, Constant], entering: Mapping[str, tuple[Constant, int | None]], where: str) -> None:
    trips = int(np.ravel(values[node.input[0]])[0]) if node.input[0] else 0
    for name, (array, axis) in entering.items():
        if axis is not None and array.shape[axis] != trips:
            raise Unsupported(where, f"runs {trips} steps of the {array.shape[axis]} of {name}", "run all of them")


def _place(array: Constant, axis: int | None, indices: Mapping[str, Constant], where: str) -> tuple[Entering, Shape]:
    """Which input this is, and along which of its axes; and its shape in one step, batch first."""
    now = array if axis is None else np.moveaxis(array, axis, 0)
    for name, own in indices.items():
        for time in (None,) if axis is None else (0, 1):
            rows = own if time is None else np.moveaxis(own, time, 0)
            if rows.shape == now.shape and np.array_equal(rows, now):
                return Entering(name, time), tuple(map(int, now.shape if axis is None else now.shape[1:]))
    raise Unsupported(where, "is no whole input, step by step", "scan an input [N, T, ...] or [T, N, ...] along T")


def decoding(
    loop: Loop, output: str, after: Sequence[NodeProto], constants: Mapping[str, Constant], shapes: Mapping[str, Shape], opset: int
) -> tuple[str, str, bool]:
    """What a graph output is: (the body's output, how its steps are read, whether the batch is before the time).

    Raises ``Unsupported`` for anything but the steps themselves, their sum, mean, largest or last.
    """
    rng = np.random.default_rng(0)
    batch = loop.net.batch
    values: dict[str, NDArray[Any]] = dict(constants)
    whole: dict[str, NDArray[Any]] = {}
    for name, inner in loop.finals.items():
        values[name] = whole.setdefault(f"final {inner}", rng.normal(size=(batch, *shapes.get(inner, ()))))
    for name, (inner, axis) in loop.series.items():
        steps = whole.setdefault(inner, rng.normal(size=(loop.steps, batch, *shapes.get(inner, ()))))
        values[name] = np.moveaxis(steps, 0, axis % steps.ndim)
    for node in after:
        where = f"{node.name or node.output[0]} ({node.op_type})"
        if node.op_type not in FOLDED:
            raise Unsupported(
                where, "stands behind the loop over time and is no plain read-out", "end in the steps, their sum, mean or last"
            )
        results = evaluate(node, [values[n] if n else None for n in node.input], opset, where)
        values.update(zip([o for o in node.output if o], results, strict=False))
    for inner, steps in whole.items():
        for kind, expected in _readings(inner, steps):
            if expected.shape == values[output].shape and np.allclose(expected, values[output], rtol=1e-5, atol=1e-6):
                return inner.removeprefix("final "), kind.removesuffix(" batch"), kind.endswith(" batch")
    raise Unsupported(f"output {output}", "is no plain read-out of the loop over time", "end in the steps, their sum, mean or last")


def _readings(inner: str, steps: NDArray[Any]) -> list[tuple[str, NDArray[Any]]]:
    if inner.startswith("final "):
        return [("last", steps)]
    reduced = [("sum", steps.sum(0)), ("mean", steps.mean(0)), ("max", steps.max(0)), ("last", steps[-1])]
    return [("none", steps), ("none batch", np.moveaxis(steps, 0, 1)), *reduced]


def damaged(where: str) -> ModelError:
    """A loop whose parts do not fit."""
    return ModelError(where, "the parts of its loop do not fit together", "the file is damaged; export the model again")
