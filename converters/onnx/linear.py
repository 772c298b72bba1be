"""Conv, Gemm, MatMul and BatchNormalization of a foreign ONNX graph."""

from __future__ import annotations

import numpy as np

from converters.onnx.drafting import Drafting
from converters.onnx.values import Call, Live
from snndeploy.arrays import Floats, Shape
from snndeploy.ir.layers import BatchNorm, Conv, Linear, Reshape
from snndeploy.ir.xp import Pads


def window(call: Call, sizes: Shape, kernel: Shape, dilation: Shape) -> tuple[Shape, Pads]:
    """(stride, padding) of a convolution or pooling, ``auto_pad`` resolved for these sizes. Raises ``Unsupported``."""
    axes = len(kernel)
    stride = tuple(map(int, call.attributes.get("strides", (1,) * axes)))
    given = list(map(int, call.attributes.get("pads", (0,) * 2 * axes)))
    mode = call.attributes.get("auto_pad", b"NOTSET").decode(errors="replace")
    if len(sizes) != axes or len(stride) != axes or len(given) != 2 * axes or min((*stride, *kernel, *dilation)) < 1:
        raise call.refused(f"its window over {axes} axes does not fit an input of {list(sizes)}", "the file is damaged")
    if min(given) < 0:
        raise call.refused("has negative padding", "cut the input to size before this layer")
    if mode in ("NOTSET", ""):
        return stride, tuple(zip(given[:axes], given[axes:], strict=True))
    if mode == "VALID":
        return stride, ((0, 0),) * axes
    if mode not in ("SAME_UPPER", "SAME_LOWER"):
        raise call.refused(f"auto_pad {mode!r} is not known", "export with explicit pads")
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    totals = [max((-(-n // s) - 1) * s + r - n, 0) for n, s, r in zip(sizes, stride, reach, strict=True)]
    halves = [(t // 2, t - t // 2) if mode == "SAME_UPPER" else (t - t // 2, t // 2) for t in totals]
    return stride, tuple(halves)


def conv(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Conv in one or two dimensions; zeros around the input (Pad) become padding, channels last become strides."""
    value, weight, bias = call.live(), np.asarray(call.needed(1, "weight"), np.float64), call.constant(2, "bias")
    axes = weight.ndim - 2
    if axes not in (1, 2):
        raise call.refused(f"convolves over {axes} axes", "one or two axes have a node")
    inner, extra = draft.padded(value)
    dilation = tuple(map(int, call.attributes.get("dilations", (1,) * axes)))
    stride, own = window(call, value.shape[1:], weight.shape[2:], dilation)
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(own, extra, strict=True))
    groups = int(call.attributes.get("group", 1))
    if groups == 1 and _channels_last(draft, inner):
        return (_interleaved(draft, call, inner, weight, bias, stride, padding, dilation),)
    node = Conv(weight, bias, stride, padding, dilation, groups)
    return (draft.add(call.name, node, [draft.straight(inner)], call.op),)


def _channels_last(draft: Drafting, value: Live) -> bool:
    own = draft.shapes[value.node]
    if value.order is None or own[-1] == 1 or value.shape != (own[-1], *own[:-1]):
        return False
    return np.array_equal(value.order, np.moveaxis(np.arange(value.order.size).reshape(own), -1, 0))


def _interleaved(
    draft: Drafting, call: Call, value: Live, weight: Floats, bias: object, stride: Shape, padding: Pads, dilation: Shape
) -> Live:
    """A convolution of [*S, C] values without moving them: they are one channel whose last axis is C times as long."""
    out, channels, *kernel = weight.shape
    reach = dilation[-1] * (kernel[-1] - 1) + 1
    spread = np.zeros((out, 1, *kernel[:-1], reach, channels))
    taps: tuple[slice | int, ...] = (slice(None), 0, *(slice(None),) * (len(kernel) - 1), slice(None, None, dilation[-1]))
    spread[taps] = np.moveaxis(weight, 1, -1)
    node = Conv(
        spread.reshape(out, 1, *kernel[:-1], reach * channels),
        bias,  # type: ignore[arg-type]
        (*stride[:-1], stride[-1] * channels),
        (*padding[:-1], (padding[-1][0] * channels, padding[-1][1] * channels)),
        (*dilation[:-1], 1),
    )
    *rows, last = value.shape[1:]
    line = draft.add(f"{value.node}.lines", Reshape((1, *rows, last * channels)), [value.node])
    return draft.add(call.name, node, [line.node], call.op)


def gemm(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """Gemm: alpha A B' + beta C, with the data in A. Raises ``Unsupported`` where A is transposed."""
    value, weight, bias = call.live(), np.asarray(call.needed(1, "weight"), np.float64), call.constant(2, "bias")
    if call.attributes.get("transA", 0):
        raise call.refused("transposes the data, so that samples mix", "put the batch on the first axis")
    if len(value.shape) != 1 or weight.ndim != 2:
        raise call.refused(
            f"multiplies {list(value.shape)} a sample by {list(weight.shape)}", "Gemm takes one axis a sample: flatten first"
        )
    weight = weight if call.attributes.get("transB", 0) else weight.T
    weight = weight * np.float64(call.attributes.get("alpha", 1.0))
    if bias is not None:
        wide = np.asarray(bias, np.float64) * np.float64(call.attributes.get("beta", 1.0))
        if wide.ndim == 2 and wide.shape[0] == 1:
            wide = wide[0]
        if wide.ndim > 1 or wide.size not in (1, len(weight)):
            raise call.refused(f"adds a constant of shape {list(wide.shape)}", "the bias must be the same for every sample")
        bias = np.broadcast_to(wide, (len(weight),))
    return (_product(draft, call, value, weight, bias),)


def matmul(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """MatMul of the data with a constant matrix on its right."""
    if not isinstance(call.inputs[0], Live):
        raise call.refused("multiplies the data from the left", "put the weights on the right: x @ W")
    value, weight = call.live(), np.asarray(call.needed(1, "weight"), np.float64)
    if weight.ndim != 2 or not value.shape:
        raise call.refused(f"multiplies {list(value.shape)} a sample by {list(weight.shape)}", "the weights must be one matrix [I, O]")
    return (_product(draft, call, value, weight.T, None),)


def _product(draft: Drafting, call: Call, value: Live, weight: Floats, bias: object) -> Live:
    """Linear on the last axis; of a rearranged row the weights are rearranged instead."""
    if value.shape[-1] != weight.shape[1]:
        raise call.refused(f"takes {weight.shape[1]} features, but gets {list(value.shape)}", "check --input-shape, or the export")
    if len(value.shape) > 1 or value.order is None:
        return draft.add(call.name, Linear(weight, bias), [draft.straight(value)], call.op)  # type: ignore[arg-type]
    source = draft.flat(value.node)
    moved = np.zeros((len(weight), draft.shapes[source][0]))
    kept = value.order >= 0
    for index, column in zip(value.order[kept], weight.T[kept], strict=True):
        moved[:, index] += column
    return draft.add(call.name, Linear(moved, bias), [source], call.op)  # type: ignore[arg-type]


def batch_norm(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """BatchNormalization with the statistics of training. Raises ``Unsupported`` in training mode."""
    if call.attributes.get("training_mode", 0) or len(call.proto.output) > 1:
        raise call.refused("normalizes with the statistics of each batch", "export the model in evaluation mode: model.eval()")
    value = call.live()
    scale, shift, mean, variance = (np.asarray(call.needed(i, "statistics"), np.float64) for i in range(1, 5))
    scale = scale / np.sqrt(variance + np.float64(call.attributes.get("epsilon", 1e-5)))
    wide = (-1, *(1,) * (len(value.shape) - 1))
    parts = [draft.onto(p.reshape(wide), value, call.where) for p in (mean, scale, shift)]
    made = draft.add(call.name, BatchNorm(*parts), [value.node], call.op)
    return (Live(made.node, value.shape, value.order),)
