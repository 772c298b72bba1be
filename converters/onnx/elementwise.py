"""Elementwise operators of a foreign ONNX graph: sums, constants, rectifiers, and what does nothing."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from converters.onnx.drafting import Drafting
from converters.onnx.values import Call, Constant, Live
from snndeploy.arrays import Floats, frozen
from snndeploy.ir.layers import Concat, Scale, Sum
from snndeploy.ir.rectifier import Relu

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


def relu(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Relu."""
    return (_unary(draft, call, Relu(), call.live()),)


def clip(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Clip from 0 (ReLU6 and its kin). Raises ``Unsupported`` for another lower bound."""
    bounds = [
        call.constant(i + 1, w) if call.attributes.get(w) is None else np.asarray(call.attributes[w]) for i, w in enumerate(("min", "max"))
    ]
    low, high = (None if b is None else float(b.reshape(-1)[0]) for b in bounds)
    if low != 0.0:
        raise call.refused(f"clips from {low} on", "only a clip from 0 (a rectifier) has a meaning in rates: train with ReLU")
    ceiling = None if high is None or high >= float(np.finfo(np.float32).max) else frozen(high)
    return (_unary(draft, call, Relu(ceiling), call.live()),)


def _unary(draft: Drafting, call: Call, node: Relu | Scale, value: Live) -> Live:
    made = draft.add(call.name, node, [value.node], call.op)
    return Live(made.node, value.shape, value.order)


def add(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Add of two values (a residual), or of a value and a constant."""
    return (_sum(draft, call, 1.0),)


def subtract(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Sub of two values, or of a value and a constant."""
    return (_sum(draft, call, -1.0),)


def _sum(draft: Drafting, call: Call, sign: float) -> Live:
    a, b = call.inputs[:2]
    if isinstance(a, Live) and isinstance(b, Live):
        return _both(draft, call, a, b, sign)
    if isinstance(a, Live):
        return _scaled(draft, call, a, None, sign * np.asarray(b, np.float64))
    return _scaled(draft, call, call.live(1), np.asarray(sign), np.asarray(a, np.float64))


def _both(draft: Drafting, call: Call, a: Live, b: Live, sign: float) -> Live:
    if a.shape != b.shape:
        raise call.refused(f"adds {list(a.shape)} and {list(b.shape)} a sample", "both summands must have one shape")
    together = draft.shapes[a.node] == draft.shapes[b.node] and np.array_equal(a.indices, b.indices)
    left, right = (a.node, b.node) if together else (draft.straight(a), draft.straight(b))
    order = a.order if together else None
    if left == right:
        return Live(draft.add(call.name, Scale(frozen(1.0 + sign)), [left], call.op).node, a.shape, order)
    if sign < 0:
        right = draft.add(f"{call.name}.minus", Scale(frozen(-1.0)), [right]).node
    return Live(draft.add(call.name, Sum(), [[left, right]], call.op).node, a.shape, order)


def multiply(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Mul by a constant. Raises ``Unsupported`` for two values that both depend on the data."""
    index = 0 if isinstance(call.inputs[0], Live) else 1
    return (_scaled(draft, call, call.live(index), call.needed(1 - index, "factor"), None),)


def divide(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Div by a constant."""
    divisor = np.asarray(call.needed(1, "divisor"), np.float64)
    if not divisor.all():
        raise call.refused("divides by 0", "the file is damaged")
    return (_scaled(draft, call, call.live(), 1.0 / divisor, None),)


def negate(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Neg."""
    return (_scaled(draft, call, call.live(), np.asarray(-1.0), None),)


def total(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Sum of any number of values."""
    result = call.live()
    for index in range(1, len(call.inputs)):
        result = _both(draft, call, result, call.live(index), 1.0)
    return (result,)


def _scaled(draft: Drafting, call: Call, value: Live, factor: Constant | None, shift: Constant | None) -> Live:
    scale = frozen(1.0) if factor is None else draft.onto(factor, value, call.where)
    moved: Floats | None = None if shift is None else draft.onto(shift, value, call.where)
    return _unary(draft, call, Scale(scale, moved), value)


def concat(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Concat along a feature axis. Raises ``Unsupported`` along the batch."""
    parts = [call.live(i) for i in range(len(call.inputs))]
    rank = len(parts[0].shape) + 1
    axis = int(call.attributes.get("axis", 0)) % rank
    if axis == 0:
        raise call.refused("joins along the batch", "each sample is computed on its own")
    return (draft.add(call.name, Concat(axis - 1), [draft.straight(p) for p in parts], call.op),)


def same(_: Drafting, call: Call) -> tuple[Live, ...]:
    """Identity, Dropout and Cast between floats: what enters."""
    if call.op == "Cast" and call.attributes.get("to") not in FLOATS:
        raise call.refused("turns values into whole numbers", "a spiking network rounds in its neurons; export without it")
    if call.op == "Dropout" and len(call.proto.output) > 1 and call.proto.output[1]:
        raise call.refused("asks for the mask of a dropout", "export the model in evaluation mode: model.eval()")
    training = call.constant(2, "training mode") if call.op == "Dropout" else None
    if training is not None and bool(np.any(training)):
        raise call.refused("drops at random", "export the model in evaluation mode: model.eval()")
    return (call.live(),)
