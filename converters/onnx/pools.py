"""Pooling of a foreign ONNX graph: windows, whole maps, and means over axes."""

from __future__ import annotations

import math

import numpy as np

from converters.onnx.drafting import Drafting
from converters.onnx.linear import window
from converters.onnx.values import Call, Live
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.layers import MaxPool, Reshape, SumPool
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.rectifier import Relu
from snndeploy.ir.xp import Pads


def average(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """AveragePool, the padding counted or not. Raises ``Unsupported`` for windows that hang over the edge and count it."""
    value = call.live()
    inner, extra = draft.padded(value)
    kernel, stride, own, over = _window(call, value)
    counted = bool(call.attributes.get("count_include_pad", 0))
    if over and counted:
        raise call.refused("ceil_mode with count_include_pad: what a window over the edge divides by is not settled", "use ceil_mode=0")
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(own, extra, strict=True))
    scale = frozen(1.0 / math.prod(kernel)) if counted else _shares(value.shape, kernel, stride, own)
    return (draft.add(call.name, SumPool(kernel, stride, padding, scale), [draft.straight(inner)], call.op),)


def _shares(shape: Shape, kernel: Shape, stride: Shape, padding: Pads) -> Floats:
    """1 / how many real values each window holds; one number where all hold the same."""
    counts = NUMPY.sum_pool(np.ones((1, 1, *shape[1:])), kernel, stride, padding)[0]
    return frozen(1.0 / (counts.flat[0] if (counts == counts.flat[0]).all() else counts))


def maximum(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """MaxPool; zeros around rectified values are as good as nothing around them."""
    value = call.live()
    if len(call.proto.output) > 1 and call.proto.output[1]:
        raise call.refused("asks for the positions of the maxima", "spikes do not carry them")
    inner, extra = draft.padded(value)
    kernel, stride, own, _ = _window(call, value)
    if any(map(any, extra)) and not isinstance(draft.nodes[value.node], Relu):
        raise call.refused("takes the maximum of values and of zeros around them", "pad after the rectifier, or pad the maximum itself")
    padding = tuple((a + c, b + d) for (a, b), (c, d) in zip(own, extra, strict=True))
    return (draft.add(call.name, MaxPool(kernel, stride, padding), [draft.straight(inner)], call.op),)


def _window(call: Call, value: Live) -> tuple[Shape, Shape, Pads, bool]:
    """(kernel, stride, padding, whether windows hang over the edge)."""
    kernel = tuple(map(int, call.attributes.get("kernel_shape", ())))
    dilation = tuple(map(int, call.attributes.get("dilations", (1,) * len(kernel))))
    if len(kernel) not in (1, 2) or any(d != 1 for d in dilation):
        raise call.refused(f"pools over {len(kernel)} axes, dilation {list(dilation)}", "one or two axes without dilation have a node")
    stride, padding = window(call, value.shape[1:], kernel, dilation)
    if not call.attributes.get("ceil_mode", 0):
        return kernel, stride, padding, False
    ends, over = [], False
    for n, k, s, (before, after) in zip(value.shape[1:], kernel, stride, padding, strict=True):
        count = -(-(n + before + after - k) // s) + 1
        count -= (count - 1) * s >= n + before  # a window that starts in the padding behind is dropped
        missing = max((count - 1) * s + k - (n + before + after), 0)
        over = over or missing > 0
        ends.append((before, after + missing))
    return kernel, stride, tuple(ends), over


def whole_average(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """GlobalAveragePool."""
    return (_over_all(draft, call, call.live(), 1.0 / math.prod(call.live().shape[1:])),)


def whole_maximum(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """GlobalMaxPool."""
    return (_over_all(draft, call, call.live(), None),)


def reduced(draft: Drafting, call: Call) -> tuple[Live, ...]:
    """ReduceMean, ReduceSum and ReduceMax over all axes behind the channels. Raises ``Unsupported`` for others."""
    value = call.live()
    given = call.constant(1, "axes")
    rank = len(value.shape) + 1
    axes = call.attributes.get("axes", ()) if given is None else given.ravel()
    over = sorted(int(a) % rank for a in axes) or list(range(rank))
    if over != list(range(2, rank)):
        # channels last: the same mean over the axes between batch and channels
        if over != list(range(1, rank - 1)) or rank < 3:
            raise call.refused(f"reduces axes {over}", "all axes behind the channels can be averaged, and no others")
        value = Live(value.node, (value.shape[-1], *value.shape[:-1]), np.moveaxis(value.indices, -1, 0))
    factor = {"ReduceMean": 1.0 / math.prod(value.shape[1:]), "ReduceSum": 1.0}.get(call.op)
    made = _over_all(draft, call, value, factor)
    ones = [1] * len(value.shape[1:])
    if call.attributes.get("keepdims", 1) == 0:
        return (Live(made.node, value.shape[:1]),)
    return (Live(made.node, (*ones, value.shape[0]) if over[0] == 1 else (value.shape[0], *ones)),)


def _over_all(draft: Drafting, call: Call, value: Live, factor: float | None) -> Live:
    source, axes = draft.straight(value), len(value.shape) - 1
    if axes > 2:
        source, axes = draft.add(f"{source}.map", Reshape((value.shape[0], math.prod(value.shape[1:]))), [source]).node, 1
    if axes < 1:
        raise call.refused(f"has no axis to pool in {list(value.shape)}", "it takes [N, C, ...]")
    kernel, none = draft.shapes[source][1:], ((0, 0),) * axes
    node = MaxPool(kernel, kernel, none) if factor is None else SumPool(kernel, kernel, none, frozen(factor))
    made = draft.add(call.name, node, [source], call.op)
    return Live(made.node, (value.shape[0], *(1,) * (len(value.shape) - 1)))
