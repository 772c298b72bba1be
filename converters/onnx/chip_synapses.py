"""The sums that a projection delivers, in integer operators: matrix products of gathered windows, or single synapses.

Nothing is unfolded in the file: a convolution gathers its windows axis by axis (indices of kernel x places each), a
Sparse adds its products where they belong. A product of 8-bit operands (ConvInteger, MatMulInteger) is not used: it
cannot hold every payload, and onnxruntime's own kernels for it saturate on processors without VNNI.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from converters.onnx.integers import IntegerBody, Whole
from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import Conv, Dense, Projection, Sparse

INT32_EXACT = 1 << 31


@dataclass(frozen=True, eq=False)
class Sending:
    """A projection with the shapes of its ends, and the largest payload that its source can send."""

    projection: Projection
    source: Shape
    target: Shape
    peak: int


def delays_of(synapses: Dense | Conv | Sparse) -> Ints:
    """The different delays of its synapses, ascending; 0 where they have none of their own."""
    delays = getattr(synapses, "delays", None)
    return np.zeros(1, np.int64) if delays is None or not delays.size else np.asarray(np.unique(delays))


def gain(synapses: Dense | Conv | Sparse, targets: int) -> int:
    """The largest sum of absolute weights into one neuron."""
    sizes = np.abs(synapses.weights.astype(np.int64))
    if isinstance(synapses, Sparse):
        rows = np.zeros(targets, np.int64)
        np.add.at(rows, synapses.rows, sizes)
        return int(rows.max(initial=0))
    return int(sizes.reshape(len(sizes), -1).sum(axis=1).max(initial=0))


def sums(body: IntegerBody, sending: Sending, sent: Sequence[Whole], arrays: dict[str, Whole]) -> Whole:
    """What arrives now: ``sent[d]`` is what the source sent for synapses of delay d, ``arrays`` the fields of the class."""
    p, synapses = sending.projection, sending.projection.synapses
    assert isinstance(synapses, Dense | Conv | Sparse)
    spikes = sent if p.graded else [s.truth().whole() for s in sent]
    bound = gain(synapses, prod(sending.target)) * (sending.peak if p.graded else 1)
    if isinstance(synapses, Conv):
        total = finished(_conv(body, synapses, sending, _held(spikes[0], bound), _held(arrays["weights"], bound)).whole(), p, bound)
    elif isinstance(synapses, Sparse):
        total = _sparse(body, sending, spikes, arrays, bound)
    else:
        total = _dense(body, sending, spikes, arrays, bound)
    return body.reshaped(total, (0, *sending.target))


def _held(x: Whole, bound: int) -> Whole:
    """In int32 where no sum can leave it, else in int64."""
    return x.narrow() if bound < INT32_EXACT else x


def finished(total: Whole, p: Projection, bound: int) -> Whole:
    """The sum as its register holds it, shifted by the exponent: the SUM is shifted, and floored."""
    if isinstance(p.synapses, Conv):
        return total.wrapped24() if bound >= 1 << 23 else total
    single = isinstance(p.synapses, Dense) and p.synapses.delays is not None
    if p.graded and not single and bound >= INT32_EXACT:
        total = total.wrapped32()
    shifted = total.shifted(p.exponent)
    return shifted.wrapped32() if bound << min(max(p.exponent, 0), 64) >= INT32_EXACT else shifted


def _dense(body: IntegerBody, sending: Sending, spikes: Sequence[Whole], arrays: dict[str, Whole], bound: int) -> Whole:
    p = sending.projection
    assert isinstance(p.synapses, Dense)
    if p.synapses.delays is None:
        return finished(_product(body, spikes[0], arrays["weights"], bound), p, bound)
    parts = []
    for delay in delays_of(p.synapses):
        weights = body.where(arrays["delays"].equals(int(delay)), arrays["weights"], 0)
        largest = int(np.abs(p.synapses.weights).max(initial=0)) * sending.peak
        product = _wrapped_products if p.graded and largest >= INT32_EXACT else _product
        parts.append(finished(product(body, spikes[int(delay)], weights, bound), p, bound))
    return body.sum(parts)


def _product(body: IntegerBody, spikes: Whole, weights: Whole, bound: int) -> Whole:
    columns = body.op("Transpose", _held(weights, bound), perm=[1, 0])
    return body.op("MatMul", _held(spikes.flat(), bound), columns).whole()


def _wrapped_products(body: IntegerBody, spikes: Whole, weights: Whole, _: int) -> Whole:
    """Every product wrapped to int32, then summed: Lava's DelayDense with payloads."""
    products = (body.op("Unsqueeze", spikes.flat(), body.constant([1])) * weights).wrapped32()
    return body.op("ReduceSum", products, body.constant([2]), keepdims=0)


def _sparse(body: IntegerBody, sending: Sending, spikes: Sequence[Whole], arrays: dict[str, Whole], bound: int) -> Whole:
    """Products of single synapses, each added to its target in the place of its delay; the places then added up."""
    p, targets = sending.projection, prod(sending.target)
    assert isinstance(p.synapses, Sparse)
    columns, rows = arrays["columns"], arrays["rows"]
    history = spikes[0].flat()
    if p.synapses.delays is not None:
        history = body.op("Concat", *(s.flat() for s in spikes), axis=1)
        columns = columns + arrays["delays"] * prod(sending.source)
        rows = rows + arrays["delays"] * targets
    products = body.op("Gather", history, columns, axis=1) * arrays["weights"]
    batch = body.op("Slice", body.op("Shape", history), body.constant([0]), body.constant([1]))
    places = len(spikes)
    empty = body.op("Expand", body.constant(0), body.op("Concat", batch, body.constant([places * targets]), axis=0))
    filled = body.op("ScatterElements", empty, rows.like(products), products, axis=1, reduction="add")
    if places == 1:
        return finished(filled, p, bound)
    by_delay = finished(body.reshaped(filled, (0, places, targets)), p, bound)
    return body.op("ReduceSum", by_delay, body.constant([1]), keepdims=0)


def _conv(body: IntegerBody, synapses: Conv, sending: Sending, x: Whole, weights: Whole) -> Whole:
    kernel, places, groups = synapses.weights.shape[2:], sending.target[1:], synapses.groups
    before, after = zip(*synapses.padding, strict=True)
    if any(before) or any(after):
        x = body.op("Pad", x, body.constant([0, 0, *before, 0, 0, *after]))
    for axis, (k, n) in enumerate(zip(kernel, places, strict=True)):
        index = synapses.dilation[axis] * np.arange(k)[:, None] + synapses.stride[axis] * np.arange(n)
        x = body.op("Gather", x, body.constant(index), axis=2 + 2 * axis)
    axes = range(len(kernel))
    windows = body.op("Transpose", x, perm=[0, 1, *(2 + 2 * a for a in axes), *(3 + 2 * a for a in axes)])
    fan_in = prod(synapses.weights.shape[1:])
    columns = body.reshaped(windows, (0, groups, fan_in, prod(places)))
    return body.op("MatMul", body.reshaped(weights, (groups, -1, fan_in)), columns)
