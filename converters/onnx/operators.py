"""The operators of a foreign ONNX graph: one node of the file -> nodes of ours, constants, or moved indices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from converters.onnx import elementwise, linear, pools
from converters.onnx.drafting import Drafting
from converters.onnx.folding import FOLDED, LARGEST, evaluate
from converters.onnx.reasons import hint_for, reason
from converters.onnx.values import Call, Live, Value
from snndeploy.errors import ModelError, Unsupported

Convert: TypeAlias = Callable[[Drafting, Call], tuple[Value, ...]]

TABLE: Mapping[str, Convert] = {
    "Conv": linear.conv,
    "Gemm": linear.gemm,
    "MatMul": linear.matmul,
    "BatchNormalization": linear.batch_norm,
    "Relu": elementwise.relu,
    "Clip": elementwise.clip,
    "Add": elementwise.add,
    "Sub": elementwise.subtract,
    "Mul": elementwise.multiply,
    "Div": elementwise.divide,
    "Neg": elementwise.negate,
    "Sum": elementwise.total,
    "Concat": elementwise.concat,
    "Identity": elementwise.same,
    "Dropout": elementwise.same,
    "Cast": elementwise.same,
    "AveragePool": pools.average,
    "MaxPool": pools.maximum,
    "GlobalAveragePool": pools.whole_average,
    "GlobalMaxPool": pools.whole_maximum,
    "ReduceMean": pools.reduced,
    "ReduceSum": pools.reduced,
    "ReduceMax": pools.reduced,
}
_VIEWS = "Reshape Transpose Squeeze Unsqueeze Flatten Slice Split Gather Pad DepthToSpace SpaceToDepth"
VIEWS = frozenset(_VIEWS.split())
"""Operators that only rearrange values."""
MONOTONE = frozenset(("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "HardSigmoid"))
"""At the end of a network these do not change which class is largest."""


def read(draft: Drafting, node: NodeProto, last: Collection[str] = ()) -> None:
    """Take one node; ``last`` are the values that leave the network.

    Raises ``Unsupported`` for an operator without a meaning, with the node's name.
    """
    call = _call(draft, node)
    if any(isinstance(v, Live) for v in call.inputs):
        results = _live(draft, call, last)
    elif node.op_type in FOLDED:
        results = evaluate(node, call.inputs, draft.opset, call.where)  # type: ignore[arg-type]
    else:
        raise call.refused(reason(node.op_type), hint_for(node.op_type))
    for name, value in zip([n for n in node.output if n], results, strict=False):
        draft.values[name] = value


def _live(draft: Drafting, call: Call, last: Collection[str]) -> tuple[Value, ...]:
    if call.op in ("Shape", "Size"):
        whole = np.broadcast_to(np.float32(0), (draft.batch, *call.live().shape))
        return evaluate(call.proto, (whole,), draft.opset, call.where)
    if call.op in VIEWS:
        return _view(draft, call)
    if call.op in MONOTONE and {*call.proto.output} <= {*last}:
        draft.notes.append(f"the last layer's {call.op} is left out: it does not change which output is largest")
        return (call.live(),)
    convert = TABLE.get(call.op)
    if convert is None:
        raise call.refused(reason(call.op), hint_for(call.op))
    return convert(draft, call)


def _view(draft: Drafting, call: Call) -> tuple[Value, ...]:
    """Run a rearrangement on the indices of every sample; each must keep to itself."""
    value, size = call.live(), int(np.prod(call.live().shape, dtype=np.int64))
    if call.op == "Pad":
        _check_pad(call)
    if size * draft.batch > LARGEST:
        raise call.refused(f"rearranges {size:,} values", "no chip holds such a layer; check --input-shape")
    own = max(size, int(value.indices.max(initial=0)) + 1)
    batch = np.stack([np.where(value.indices < 0, -1, value.indices + own * b) for b in range(draft.batch)])
    # indices are shifted up by 1, so that 0, with which Pad fills, is "no value"
    results = evaluate(call.proto, (batch + 1, *call.inputs[1:]), draft.opset, call.where)  # type: ignore[arg-type]
    return tuple(_sample(call, np.asarray(result) - 1, draft.batch, own, value.node) for result in results)


def _sample(call: Call, result: NDArray[Any], batch: int, own: int, node: str) -> Live:
    """The first sample's indices. Raises ``Unsupported`` unless all samples are treated alike and kept apart."""
    apart = result.ndim > 0 and result.shape[0] == batch
    first = result[0].astype(np.int64) if apart else result
    if not apart or any(not np.array_equal(np.where(first < 0, -1, first + own * b), result[b]) for b in range(batch)):
        raise call.refused("moves values between samples", "keep the batch on the first axis")
    straight = first.size == own and np.array_equal(first.ravel(), np.arange(own))
    return Live(node, tuple(map(int, first.shape)), None if straight else first)


def _check_pad(call: Call) -> None:
    mode = call.attributes.get("mode", b"constant").decode(errors="replace")
    fill = call.constant(2, "value")
    filled = float(call.attributes.get("value", 0.0)) if fill is None else float(np.ravel(fill)[0])
    if mode != "constant" or filled != 0.0:
        raise call.refused(f"pads with {'a value other than 0' if mode == 'constant' else mode}", "pad with zeros")


def _call(draft: Drafting, node: NodeProto) -> Call:
    name = (node.name or next((o for o in node.output if o), node.op_type)).strip("/")
    where = f"{node.name or name} ({node.op_type})"
    if node.domain not in ("", "ai.onnx"):
        raise Unsupported(where, f"is an operator of {node.domain!r}, which is not standard ONNX", "export with standard operators only")
    inputs = tuple(draft.values[n] if n else None for n in node.input)
    try:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    except (ValueError, TypeError) as error:
        raise ModelError(where, f"has a damaged attribute ({error})", "export the model again") from None
    return Call(where, node.op_type, name, inputs, attributes, node)
