"""Linear maps as lists of single synapses, and one after the other, where a matrix would have too many entries.

A list is sorted by target, then source; synapses of weight 0 are left out. A convolution is listed channel by channel,
and products are formed for ``CHUNK`` of them at a time, so that only the result is ever whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import Conv, Linear
from snndeploy.ir.normal import Weights
from snndeploy.ir.sparse import Sparse

SYNAPSES = 1 << 24
"""The most single synapses of one map; each takes 24 bytes."""
CHUNK = 1 << 21

Index = NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Synapses:
    """``weights[i]`` from flat source ``columns[i]`` to flat target ``rows[i]``."""

    rows: Index
    columns: Index
    weights: Floats

    def __len__(self) -> int:
        return len(self.rows)

    def part(self, first: int, last: int) -> Synapses:
        """Those from ``first`` to before ``last``."""
        return Synapses(self.rows[first:last], self.columns[first:last], self.weights[first:last])


def node(parts: Iterator[Synapses], sources: int, targets: int, where: str) -> Sparse:
    """The synapses of all ``parts``. Raises ``Unsupported`` naming ``where`` if they are more than ``SYNAPSES``."""
    whole = _joined(parts, sources, targets, where)
    return Sparse(whole.rows.astype(np.float64), whole.columns.astype(np.float64), whole.weights, sources, targets)


def of(node: Weights, inner: Shape, result: Shape) -> Iterator[Synapses]:
    """The synapses of a linear node without bias that reads ``inner`` and gives ``result``, in parts that follow each other."""
    if isinstance(node, Sparse):
        yield Synapses(node.rows.astype(np.intp), node.columns.astype(np.intp), node.weight)
    elif isinstance(node, Conv):
        for channel in range(len(node.weight)):
            yield _channel(node, channel, inner, result)
    elif isinstance(node, Linear):
        rows, columns = (index.astype(np.intp) for index in np.nonzero(node.weight))
        step = np.arange(math.prod(inner[:-1]), dtype=np.intp)[:, None]
        weights = np.broadcast_to(node.weight[rows, columns], (len(step), len(rows)))
        targets, sources = node.weight.shape
        yield Synapses((step * targets + rows).ravel(), (step * sources + columns).ravel(), weights.ravel())
    else:
        weights = np.broadcast_to(node.scale, result).ravel()
        columns = np.broadcast_to(np.arange(math.prod(inner), dtype=np.intp).reshape(inner), result).ravel()
        kept = np.flatnonzero(weights)
        yield Synapses(kept.astype(np.intp), columns[kept], weights[kept])


def after(first: Iterator[Synapses], second: Iterator[Synapses], sources: int, middle: int, where: str) -> Iterator[Synapses]:
    """``second`` after ``first``: every pair that meets in a middle value, those of one source and target added."""
    a = _joined(first, sources, middle, where)
    degree = np.bincount(a.rows, minlength=middle)
    starts = np.cumsum(degree) - degree
    for block in second:
        pairs = np.cumsum(degree[block.columns])
        begin = 0
        while begin < len(block):
            reach = (pairs[begin - 1] if begin else 0) + CHUNK
            end = _row_end(block, max(int(np.searchsorted(pairs, reach, side="right")), begin + 1))
            yield _products(a, block.part(begin, end), degree, starts, sources)
            begin = end


def _row_end(block: Synapses, end: int) -> int:
    """The end of the row in which the synapse before ``end`` lies."""
    return int(np.searchsorted(block.rows, block.rows[end - 1], side="right"))


def _products(a: Synapses, b: Synapses, degree: Index, starts: Index, sources: int) -> Synapses:
    count = degree[b.columns]
    which = np.repeat(np.arange(len(b)), count)
    at = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count) + starts[b.columns[which]]
    key = b.rows[which] * sources + a.columns[at]
    order = np.argsort(key, kind="stable")
    key, products = key[order], (b.weights[which] * a.weights[at])[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    weights = np.add.reduceat(products, first) if len(first) else products
    kept = weights != 0
    pairs = key[first][kept]
    return Synapses(pairs // sources, pairs % sources, weights[kept])


def _channel(conv: Conv, channel: int, inner: Shape, result: Shape) -> Synapses:
    """The synapses into one output channel, place by place."""
    places, width = math.prod(result[1:]), conv.weight.shape[1]
    out = np.indices(result[1:]).reshape(len(result) - 1, -1)
    taps = np.indices(conv.weight.shape[2:]).reshape(len(result) - 1, -1)
    at, inside = np.zeros((places, taps.shape[1]), np.intp), np.ones((places, taps.shape[1]), np.bool_)
    for axis, size in enumerate(inner[1:]):
        position = out[axis][:, None] * conv.stride[axis] + taps[axis] * conv.dilation[axis] - conv.padding[axis][0]
        inside &= (position >= 0) & (position < size)
        at = at * size + position
    group = channel // (len(conv.weight) // conv.groups)
    channels = group * width + np.arange(width)
    weights = conv.weight[channel].reshape(width, -1)
    kept = inside[:, None, :] & (weights != 0)
    columns = (channels[:, None] * math.prod(inner[1:]) + at[:, None, :])[kept]
    rows = np.broadcast_to(channel * places + np.arange(places)[:, None, None], kept.shape)[kept]
    return Synapses(rows, columns, np.broadcast_to(weights, kept.shape)[kept])


def _joined(parts: Iterator[Synapses], sources: int, targets: int, where: str) -> Synapses:
    held, count = [Synapses(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))], 0
    for part in parts:
        held.append(part)
        count += len(part)
        if count > SYNAPSES:
            what = f"these layers merge into no convolution, only into {targets} x {sources} synapses, more than {SYNAPSES:,} of them not 0"
            hint = "put a neuron between them, or avoid padding (and remainders) between pooling and convolution"
            raise Unsupported(where, what, hint)
    rows, columns = np.concatenate([p.rows for p in held]), np.concatenate([p.columns for p in held])
    order = np.lexsort((columns, rows))
    return Synapses(rows[order], columns[order], np.concatenate([p.weights for p in held])[order])
