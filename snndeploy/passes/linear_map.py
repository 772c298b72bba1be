"""A linear map between two neurons as one synapse node, and how two of them become one.

``then(a, b)`` is b after a. Diagonals go into what they meet; two matrices are multiplied; two convolutions become
one where its windows see the same values (``convolutions.merge``); whatever is left is written out as a matrix, above
``LIMIT`` entries as single synapses (``single_synapses``). Biases are no part of a linear map: ``merge`` collects them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.layers import Conv, Linear, Scale
from snndeploy.ir.normal import Weights
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.sparse import Sparse
from snndeploy.passes import convolutions, single_synapses

LIMIT = 1 << 24
"""Entries of the largest matrix that is written out (128 MiB)."""
CHUNK = 1 << 22
"""Values computed at once while a matrix is written out."""


@dataclass(frozen=True, eq=False)
class LinearMap:
    """``source`` read as ``inner``, through ``node`` to ``result``, read as ``target``. ``node`` has no bias.

    A Scale has ``inner`` = ``result`` = ``target``; a Linear or Sparse has flat ``inner`` and ``result``.
    """

    source: Shape
    inner: Shape
    node: Weights
    result: Shape
    target: Shape


def diagonal(source: Shape, scale: Floats, shape: Shape, target: Shape) -> LinearMap:
    """``source`` read as ``target``, times ``scale``, which broadcasts against ``shape`` (of the same size)."""
    if scale.size == 1:
        scale = scale.reshape(())
    elif shape != target:
        scale = np.broadcast_to(scale, shape).reshape(target)
    return LinearMap(source, target, Scale(scale), target, target)


def matrix(source: Shape, weight: Floats, target: Shape) -> LinearMap:
    """The matrix ``weight`` [O, I] from ``source`` (read flat) to ``target``."""
    return LinearMap(source, (weight.shape[1],), Linear(weight), (weight.shape[0],), target)


def convolution(shape: Shape, conv: Conv) -> LinearMap:
    """A convolution on ``shape``, its bias left out."""
    result = conv.out_shape((shape,))
    return LinearMap(shape, shape, _without_bias(conv), result, result)


def selection(shape: Shape, axis: int, start: int, total: Shape) -> LinearMap:
    """``shape`` placed at ``start`` of ``axis`` in a map of ``total``, zeros elsewhere: one branch of a Concat."""
    if axis == 0 and len(shape) in (2, 3):
        weight = np.eye(total[0], shape[0], -start).reshape(total[0], shape[0], *(1,) * (len(shape) - 1))
        return LinearMap(shape, shape, Conv(weight), total, total)
    inside = tuple(slice(start, start + n) if i == axis else slice(None) for i, n in enumerate(shape))
    rows = np.arange(math.prod(total)).reshape(total)[inside].reshape(-1)
    if too_large(math.prod(total), math.prod(shape)):
        columns = np.arange(len(rows), dtype=np.float64)
        return _single(shape, Sparse(rows.astype(np.float64), columns, np.ones(len(rows)), len(rows), math.prod(total)), total)
    weight = np.zeros((math.prod(total), math.prod(shape)))
    weight[rows, np.arange(len(rows))] = 1.0
    return matrix(shape, weight, total)


def then(first: LinearMap, second: LinearMap, where: str) -> LinearMap:
    """``second`` after ``first``. Raises ``Unsupported`` naming ``where`` if that is more synapses than can be listed."""
    a, b = first.node, second.node
    merged: LinearMap | None
    if isinstance(b, Scale):
        merged = _scaled_after(first, second, b)
    elif isinstance(a, Scale):
        merged = _scaled_before(first, second, a)
    elif isinstance(a, Sparse) or isinstance(b, Sparse):
        merged = None
    elif isinstance(a, Linear):
        merged = _columns(first, second, a)
    elif isinstance(b, Linear):
        merged = _rows(first, second, b)
    else:
        merged = _convolved(first, second, a, b)
    return merged if merged is not None else written_out((first, second), where)


def per_channel(values: Floats, shape: Shape) -> Floats | None:
    """[C]: one value a channel of ``shape`` if ``values`` (broadcast) depend on nothing else, else None."""
    full = np.broadcast_to(values, shape).reshape(shape[0], -1)
    return full[:, 0] if bool((full == full[:, :1]).all()) else None


def written_out(maps: tuple[LinearMap, ...], where: str) -> LinearMap:
    """The maps, one after the other, as one matrix: their answers to each unit input; beyond ``LIMIT`` as single synapses.

    Raises:
        Unsupported: naming ``where``, if those are more than can be listed.
    """
    source, target = maps[0].source, maps[-1].target
    size = math.prod(source)
    if too_large(math.prod(target), size):
        return _single(source, _listed(maps, where), target)
    widest = max(_values(m) for m in maps)
    count = max(1, CHUNK // widest)
    parts = []
    for start in range(0, size, count):
        x = np.zeros((min(count, size - start), size))
        x[np.arange(len(x)), start + np.arange(len(x))] = 1.0
        for m in maps:
            x = m.node.step((x.reshape(len(x), *m.inner),), {}, NUMPY)[0]
        parts.append(x.reshape(len(x), -1))
    return matrix(source, np.concatenate(parts).T, target)


def too_large(rows: int, columns: int) -> bool:
    """True if a matrix [rows, columns] is beyond ``LIMIT``."""
    return rows * columns > LIMIT


def _single(source: Shape, node: Sparse, target: Shape) -> LinearMap:
    return LinearMap(source, (node.sources,), node, (node.targets,), target)


def _listed(maps: tuple[LinearMap, ...], where: str) -> Sparse:
    """The maps, one after the other, as single synapses."""
    first = maps[0]
    sources, parts = math.prod(first.source), single_synapses.of(first.node, first.inner, first.result)
    for m in maps[1:]:
        parts = single_synapses.after(parts, single_synapses.of(m.node, m.inner, m.result), sources, math.prod(m.inner), where)
    return single_synapses.node(parts, sources, math.prod(maps[-1].result), where)


def _values(m: LinearMap) -> int:
    """How many values one sample takes while ``m`` is computed: a convolution gathers its windows."""
    if not isinstance(m.node, Conv):
        return math.prod(m.result)
    return math.prod(m.result[1:]) * max(len(m.node.weight), m.node.groups * math.prod(m.node.weight.shape[1:]))


def _without_bias(conv: Conv) -> Conv:
    return conv if conv.bias is None else Conv(conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)


def _reweighted(conv: Conv, weight: Floats) -> Conv:
    return Conv(weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)


def _rescaled(node: Sparse, factors: Floats) -> Sparse:
    return Sparse(node.rows, node.columns, node.weight * factors, node.sources, node.targets)


def _scaled_after(first: LinearMap, second: LinearMap, b: Scale) -> LinearMap | None:
    a = first.node
    scale = diagonal(first.result, b.scale, second.inner, first.result).node
    assert isinstance(scale, Scale)
    if isinstance(a, Scale):
        return diagonal(first.source, a.scale * scale.scale, first.result, second.target)
    if isinstance(a, Linear):
        return matrix(first.source, a.weight * np.broadcast_to(scale.scale, first.result)[:, None], second.target)
    if isinstance(a, Sparse):
        factors = np.broadcast_to(scale.scale, first.result)
        return _single(first.source, _rescaled(a, factors[a.rows.astype(np.intp)]), second.target)
    assert isinstance(a, Conv)
    factor = per_channel(scale.scale, first.result)
    if factor is None:
        return None
    weight = a.weight * factor.reshape(-1, *(1,) * (a.weight.ndim - 1))
    return LinearMap(first.source, first.inner, _reweighted(a, weight), first.result, second.target)


def _scaled_before(first: LinearMap, second: LinearMap, a: Scale) -> LinearMap | None:
    b = second.node
    scale = diagonal(second.inner, a.scale, first.result, second.inner).node
    assert isinstance(scale, Scale)
    if isinstance(b, Linear):
        return matrix(first.source, b.weight * np.broadcast_to(scale.scale, second.inner), second.target)
    if isinstance(b, Sparse):
        factors = np.broadcast_to(scale.scale, second.inner)
        return _single(first.source, _rescaled(b, factors[b.columns.astype(np.intp)]), second.target)
    assert isinstance(b, Conv)
    factor = per_channel(scale.scale, second.inner)
    if factor is None:
        return None
    rows = np.repeat(factor.reshape(b.groups, -1), len(b.weight) // b.groups, axis=0)
    weight = b.weight * rows.reshape(*rows.shape, *(1,) * (b.weight.ndim - 2))
    return LinearMap(first.source, second.inner, _reweighted(b, weight), second.result, second.target)


def _columns(first: LinearMap, second: LinearMap, a: Linear) -> LinearMap | None:
    """Push the columns of a matrix through what follows."""
    if too_large(math.prod(second.target), a.weight.shape[1]):
        return None
    columns = second.node.step((a.weight.T.reshape(-1, *second.inner),), {}, NUMPY)[0]
    return matrix(first.source, columns.reshape(len(columns), -1).T, second.target)


def _rows(first: LinearMap, second: LinearMap, b: Linear) -> LinearMap | None:
    """Pull the rows of a matrix back through the convolution before it."""
    assert isinstance(first.node, Conv)
    if too_large(len(b.weight), math.prod(first.source)):
        return None
    rows = convolutions.pull(first.node, b.weight.reshape(-1, *first.result), first.inner)
    return matrix(first.source, rows.reshape(len(rows), -1), second.target)


def _convolved(first: LinearMap, second: LinearMap, a: Weights, b: Weights) -> LinearMap | None:
    assert isinstance(a, Conv)
    assert isinstance(b, Conv)
    if first.result != second.inner:
        return None
    conv = convolutions.merge(a, b, first.inner)
    return None if conv is None else LinearMap(first.source, first.inner, conv, second.result, second.target)
