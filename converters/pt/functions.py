"""What each kind of call becomes: layers and neurons through their tables, functions by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from converters.pt.axes import argument, dims
from converters.pt.chains import chain, function_name
from converters.pt.deriving import PERMUTES, RESHAPES, RULES, TAKES
from converters.pt.drives import AxesUnknown, Constant, Drive, Place, Source, Stream
from converters.pt.gathers import gather
from converters.pt.layers import layer
from converters.pt.neurons import neuron
from converters.pt.products import product
from converters.pt.reasons import FUNCTIONS, OTHERWISE
from converters.pt.streams import Builder, Handler
from converters.pt.tape import Ref
from converters.pt.torch_nn import Chain
from converters.pt.windows import adaptive_average, average, maximum, reduce_axes
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import SnnError, Unsupported
from snndeploy.ir.layers import Concat, Conv, Linear, Reshape, Scale, Sum
from snndeploy.ir.rectifier import Relu

NO_NODE = "has no exact meaning as a node"
REASONS: Mapping[str, str] = {
    "matmul": "the product of two signals is no synapse; with fixed weights use nn.Linear",
    "argmax": "the prediction is taken from the outputs afterwards; return the outputs",
    "gt": "a comparison is a neuron's business; make it a module with to_node(), step_mode and reset()",
    "ge": "a comparison is a neuron's business; make it a module with to_node(), step_mode and reset()",
    "dropout": "it is on although the model is in eval mode; pass training=self.training",
}


def unsupported(builder: Builder, place: Place) -> Drive:
    """The error for a function no node expresses: its name, the user's line, and why."""
    call = place.call
    if call.op in FUNCTIONS:
        raise Unsupported(str(call), *FUNCTIONS[call.op])
    inside = type(call.module).__name__ if call.module is not None else "forward"
    hint = REASONS.get(call.op, OTHERWISE)
    axes = builder.view.axes.of(place.stream[-1][0])
    error = AxesUnknown if axes is None and call.op in RULES else Unsupported
    raise error(str(call), f"{call.op}() in {inside} {NO_NODE}", hint)


def add(builder: Builder, place: Place) -> Drive:
    """a + b; a constant is a shift, a value added to itself is doubled."""
    _plain(place)
    fixed = [builder.constant_stream(operand) for operand in place.operands]
    for values, other in zip(fixed, reversed(place.operands), strict=True):
        if values is not None and not values.any():
            return builder.source(other)
    handle = builder.reserve(function_name(place)[0], place.call.index, str(place.call), True)
    builder.remember(place.stream, Source(handle))
    drives = [builder.source(operand) for operand in place.operands]
    signals = [d for d in drives if isinstance(d, Source)]
    for signal in set(signals):
        builder.connect(signal, handle)
    shape = builder.shape(place.stream, place.call)
    if len(signals) == 1:
        shift = next(d.values for d in drives if isinstance(d, Constant))
        builder.nodes[handle] = Scale(frozen(1.0), spread(shift, shape, place))
    else:
        builder.nodes[handle] = Sum() if len(set(signals)) == 2 else Scale(frozen(2.0))
    return Source(handle)


def subtract(builder: Builder, place: Place) -> Drive:
    """a - b, also the reflected one: b enters with a Scale of -1."""
    _plain(place)
    minuend, subtrahend = place.operands if place.call.op != "rsub" else place.operands[::-1]
    fixed = builder.constant_stream(subtrahend)
    if fixed is not None:
        return _affine(builder, place, minuend, np.ones(()), -fixed)
    start = builder.constant_stream(minuend)
    if start is not None:
        return _affine(builder, place, subtrahend, -np.ones(()), start)
    name = function_name(place)[0]
    minus = builder.reserve(f"{name}.minus", place.call.index, str(place.call), True)
    handle = builder.reserve(name, place.call.index, str(place.call), True)
    builder.remember(place.stream, Source(handle))
    builder.nodes[minus], builder.nodes[handle] = Scale(frozen(-1.0)), Sum()
    for operand, target in ((minuend, handle), (subtrahend, minus)):
        drive = builder.source(operand)
        if isinstance(drive, Constant):
            raise Unsupported(str(place.call), "subtracts something that does not depend on the data", "leave it out, or make it a buffer")
        builder.connect(drive, target)
    builder.connect(Source(minus), handle)
    return Source(handle)


def multiply(builder: Builder, place: Place) -> Drive:
    """A signal times a constant; of two signals only where both are spikes."""
    a, b = place.operands
    for fixed, other in ((builder.constant_stream(a), b), (builder.constant_stream(b), a)):
        if fixed is not None:
            return _affine(builder, place, other, fixed, None)
    return product(builder, place)


def divide(builder: Builder, place: Place) -> Drive:
    """A signal by a constant."""
    numerator, denominator = place.operands
    fixed = builder.constant_stream(denominator)
    if place.call.op == "rdiv" or fixed is None or not fixed.all() or "rounding_mode" in place.call.kwargs:
        raise Unsupported(str(place.call), "divides by a signal (or by zero, or with rounding)", "divide by a constant")
    return _affine(builder, place, numerator, 1.0 / fixed, None)


def negate(builder: Builder, place: Place) -> Drive:
    """-a."""
    return _affine(builder, place, place.operands[0], -np.ones(()), None)


def concat(builder: Builder, place: Place) -> Drive:
    """torch.cat along a feature axis."""
    call = place.call
    parts: tuple[Ref, ...] = argument(call, 0, "tensors")
    lead = builder.view.axes.lead(parts[0].value)
    axis = int(argument(call, 1, "dim", 0)) % len(builder.view.tape.shapes[parts[0].value]) - lead
    if lead < 0 or axis < 0:
        raise Unsupported(str(call), "joins time or batch", "join along the channels (dim=1 of [B, C, ...])")
    name, numbered = function_name(place)
    handle = builder.reserve(name, call.index, str(call), numbered)
    builder.remember(place.stream, Source(handle))
    builder.nodes[handle] = Concat(axis)
    for port, operand in enumerate(place.operands):
        drive = builder.source(operand)
        if isinstance(drive, Constant):
            raise Unsupported(str(call), f"joins a constant (part {port})", "add the constant to the bias of the next layer")
        builder.connect(drive, handle, port)
    return Source(handle)


def reshape(builder: Builder, place: Place) -> Drive:
    """A new feature shape, same order."""
    shape = builder.shape(place.stream, place.call)
    builder.shape(place.operands[0], place.call)
    named = place.call.path in builder.named_paths
    name, numbered = (place.call.path, False) if named else function_name(place)
    return chain(builder, place, (Reshape(shape),), name, numbered)


def reduce(builder: Builder, place: Place) -> Drive:
    """mean and sum over spatial axes."""
    call = place.call
    before = builder.shape(place.operands[0], call)
    value = place.operands[0][-1][0]
    over, rank = dims(call), len(builder.view.tape.shapes[value])
    lead = rank - len(before)
    if over is None or any(d % rank < lead for d in over) or argument(call, 2, "keepdim", False) is True:
        hint = "mean or sum over time (read-out) or over space, keepdim=False"
        raise Unsupported(str(call), f"{call.op}() over these axes has no node", hint)
    axes = tuple(d % rank - lead for d in over)
    return chain(builder, place, reduce_axes(before, axes, call.op == "mean"), *function_name(place))


def _rectifier(ceiling: float | None) -> Handler:
    def rectifier(builder: Builder, place: Place) -> Drive:
        return chain(builder, place, (Relu(None if ceiling is None else frozen(ceiling)),), *function_name(place))

    return rectifier


def _pool(build: Callable[..., Chain], names: tuple[str, ...]) -> Handler:
    def pool(builder: Builder, place: Place) -> Drive:
        call = place.call
        given = dict(zip(names, call.args[1:], strict=False)) | {n: v for n, v in call.kwargs.items() if n != "input"}
        renamed = {{"kernel_size": "kernel", "output_size": "output"}.get(n, n): v for n, v in given.items()}
        try:
            nodes = build(builder.shape(place.operands[0], call), **renamed)
        except SnnError as error:
            raise type(error)(str(call), error.what, error.hint) from None
        return chain(builder, place, nodes, *function_name(place))

    return pool


def fixed_linear(builder: Builder, place: Place) -> Drive:
    """F.linear with weights that do not depend on the data (weight standardization and the like)."""
    weight, bias = _weights(builder, place)
    return chain(builder, place, (Linear(frozen(weight), bias),), *function_name(place))


def fixed_conv(builder: Builder, place: Place) -> Drive:
    """F.conv1d and F.conv2d with weights that do not depend on the data."""
    call = place.call
    weight, bias = _weights(builder, place)
    axes = weight.ndim - 2
    names = ("stride", "padding", "dilation", "groups")
    given = {n: argument(call, i, n) for i, n in enumerate(names, start=3)}
    wide = {n: (v,) * axes if isinstance(v, int) else tuple(v or ()) for n, v in given.items() if n != "groups"}
    if isinstance(given["padding"], str):
        raise Unsupported(str(call), "padding by name in a function", "give the padding in numbers, or use nn.Conv2d")
    pads = tuple((p, p) for p in wide["padding"])
    node = Conv(frozen(weight), bias, wide["stride"], pads, wide["dilation"], int(given["groups"] or 1))
    return chain(builder, place, (node,), *function_name(place))


def _weights(builder: Builder, place: Place) -> tuple[Floats, Floats | None]:
    fixed = [builder.constant_stream(operand) for operand in place.operands[1:]]
    if not fixed or any(values is None for values in fixed):
        unsupported(builder, place)
    weight, bias = fixed[0], fixed[1] if len(fixed) > 1 else None
    assert weight is not None
    return weight, None if bias is None else frozen(bias)


def _affine(builder: Builder, place: Place, signal: Stream, scale: Floats, shift: Floats | None) -> Drive:
    shape = builder.shape(place.stream, place.call)
    node = Scale(spread(scale, shape, place), None if shift is None else spread(shift, shape, place))
    behind = Place(place.stream, place.call, (signal,), place.calls)
    return chain(builder, behind, (node,), *function_name(place))


def spread(values: Floats, shape: Shape, place: Place) -> Floats:
    """A constant cut down to the feature axes it is broadcast over."""
    while values.ndim > len(shape):
        if not (values == values[:1]).all():
            raise Unsupported(str(place.call), "a constant differs from step to step or from sample to sample", "feed it as an input")
        values = values[0]
    return frozen(values)


def _plain(place: Place) -> None:
    if place.call.kwargs.get("alpha", 1) != 1 or len(place.operands) != 2:
        raise Unsupported(str(place.call), "add and subtract with alpha have no node", "multiply first")


AVERAGE = ("kernel", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
MAXIMUM = ("kernel", "stride", "padding", "dilation", "ceil_mode", "return_indices")
HANDLERS: Mapping[str, Handler] = {
    "layer": layer,
    "neuron": neuron,
    "add": add,
    **dict.fromkeys(["sub", "subtract", "rsub"], subtract),
    **dict.fromkeys(["mul", "multiply"], multiply),
    **dict.fromkeys(["div", "divide", "true_divide", "rdiv"], divide),
    **dict.fromkeys(["neg", "negative"], negate),
    **dict.fromkeys(["cat", "concat", "concatenate"], concat),
    **dict.fromkeys(["view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as"], reshape),
    **dict.fromkeys(["mean", "sum"], reduce),
    **dict.fromkeys([*TAKES, *RESHAPES, *PERMUTES, "getitem", "select", "unbind"], gather),
    **dict.fromkeys(["avg_pool1d", "avg_pool2d"], _pool(average, AVERAGE)),
    **dict.fromkeys(["max_pool1d", "max_pool2d"], _pool(maximum, MAXIMUM)),
    **dict.fromkeys(["adaptive_avg_pool1d", "adaptive_avg_pool2d"], _pool(adaptive_average, ("output",))),
    "relu": _rectifier(None),
    "relu6": _rectifier(6.0),
    "linear": fixed_linear,
    **dict.fromkeys(["conv1d", "conv2d"], fixed_conv),
}
