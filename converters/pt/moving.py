"""Maps that only move, choose or repeat values, as weights of 0 and 1.

A map is given by its places: for every output place the input place that its value comes from. It is written axis by
axis where it can be:

    channels [C, ...]                a convolution of kernel 1
    a range of a spatial axis        a depthwise convolution with a single 1 (it merges into the next convolution)
    every row f times (up-sampling)  a convolution of kernel 1, one group a row
    any other axis                   a Linear layer

Every row has one 1, so the values stay what they are, bit for bit.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Conv, Linear, Reshape

Places: TypeAlias = NDArray[np.int64]
"""For every output place the input place that its value comes from, counted in C order."""
LIMIT = 1 << 24
"""Entries of the largest matrix that is written out (128 MiB), as in ``passes.linear_map``."""


def moved(shape: Shape, places: Places) -> tuple[Node, ...]:
    """Nodes from features of ``shape`` to ``places``' shape. Raises ``Unsupported`` where only a matrix beyond ``LIMIT`` would do."""
    found = _by_axis(shape, places)
    if found is None:
        return _tidy(shape, (*_blocks(shape, places.reshape(-1)), Reshape(places.shape)))
    lists, order = found
    nodes: list[Node] = []
    now = shape
    for axis, taken in enumerate(lists):
        nodes += _chosen(now, axis, taken)
        now = (*now[:axis], len(taken), *now[axis + 1 :])
    if [i for i in order if now[i] > 1] != [i for i in range(len(now)) if now[i] > 1]:
        nodes += _blocks(now, np.arange(math.prod(now)).reshape(now).transpose(order).reshape(-1))
    return _tidy(shape, (*nodes, Reshape(places.shape)))


def _by_axis(shape: Shape, places: Places) -> tuple[list[Places], list[int]] | None:
    """What is taken of every axis, and the order of the axes afterwards; None if the map is no such product."""
    lists: list[Places] = []
    along: list[int] = []
    for index in np.unravel_index(places, shape):
        axes = [a for a in range(index.ndim) if (index != index.take([0], axis=a)).any()]
        if len(axes) > 1:
            return None
        at = axes[0] if axes else -1
        lists.append(np.moveaxis(index, at, 0).reshape(index.shape[at], -1)[:, 0] if axes else index.reshape(-1)[:1])
        along.append(at)
    order = sorted(range(len(along)), key=lambda i: along[i])
    if math.prod(map(len, lists)) != places.size:
        return None
    whole = np.arange(math.prod(shape)).reshape(shape)[np.ix_(*lists)].transpose(order)
    return (lists, order) if bool((whole.reshape(-1) == places.reshape(-1)).all()) else None


def _chosen(shape: Shape, axis: int, taken: Places) -> tuple[Node, ...]:
    """``taken`` of one axis."""
    rank, n, k = len(shape), shape[axis], len(taken)
    target = (*shape[:axis], k, *shape[axis + 1 :])
    if k == n and bool((taken == np.arange(n)).all()):
        return ()
    if axis == 0 and rank > 1:
        tail = shape[1:] if rank < 4 else (math.prod(shape[1:]),)
        return Reshape((n, *tail)), Conv(_ones(taken, n).reshape(k, n, *(1,) * len(tail))), Reshape(target)
    step = int(taken[1] - taken[0]) if k > 1 else 1
    if rank in (2, 3) and axis and step > 0 and bool((np.diff(taken) == step).all()):
        return (_window(shape, axis, int(taken[0]), step, k),)
    if axis == rank - 1:
        return (Linear(_ones(taken, n)),)
    rows, rest = math.prod(shape[: axis + 1]), math.prod(shape[axis + 1 :])
    if k % n == 0 and bool((taken == np.arange(k) // (k // n)).all()):
        return Reshape((rows, rest)), Conv(np.ones((rows * (k // n), 1, 1)), groups=rows), Reshape(target)
    _check(k * rest, n * rest)
    return Reshape((rows // n, n * rest)), Linear(frozen(np.kron(_ones(taken, n), np.eye(rest)))), Reshape(target)


def _window(shape: Shape, axis: int, start: int, step: int, count: int) -> Conv:
    """start, start + step, ... of a spatial axis: a depthwise kernel with one 1, as long as ``count`` windows leave room for."""
    size = max(shape[axis] - count * step + 1, start + 1)
    kernel = np.zeros((shape[0], size))
    kernel[:, start] = 1.0
    kernel = kernel.reshape(shape[0], 1, *(size if a == axis else 1 for a in range(1, len(shape))))
    return Conv(kernel, stride=tuple(step if a == axis else 1 for a in range(1, len(shape))), groups=shape[0])


def _blocks(shape: Shape, places: Places) -> tuple[Node, ...]:
    """Any map, as the smallest matrix: over the leading axes if the last ones stay, over the last if the leading ones stay."""
    found: list[tuple[int, Places, Shape]] = []
    for at in range(len(shape)):
        block, lead = math.prod(shape[at:]), math.prod(shape[:at])
        kept = places.reshape(-1, block) if len(places) % block == 0 else places[:0].reshape(0, block)
        first = kept[:, 0] // block
        if at and len(kept) and bool((kept == first[:, None] * block + np.arange(block)).all()):
            found.append((len(first) * lead, first, (lead, *(shape[at:] if len(shape) - at < 3 else (block,)))))
        rows = places.reshape(lead, -1) if len(places) % lead == 0 else places[:0].reshape(0, 1)
        if len(rows) and bool((rows == np.arange(lead)[:, None] * block + rows[0]).all()):
            found.append((rows.shape[1] * block, rows[0], (lead, -block)))
    entries, taken, seen = min(found, key=lambda f: f[0])
    _check(entries, 1)
    if seen[-1] < 0:
        return Reshape((seen[0], -seen[-1])), Linear(_ones(taken, -seen[-1]))
    return Reshape(seen), Conv(_ones(taken, seen[0]).reshape(len(taken), seen[0], *(1,) * (len(seen) - 1)))


def _ones(taken: Places, size: int) -> Floats:
    """[len(taken), size]: one 1 a row."""
    weight = np.zeros((len(taken), size))
    weight[np.arange(len(taken)), taken] = 1.0
    return weight


def _check(rows: int, columns: int) -> None:
    if rows * columns > LIMIT:
        what = f"moves features as only a matrix of {rows * columns:,} entries does, above {LIMIT:,}"
        raise Unsupported("features", what, "move channels, or one axis at a time; or put a neuron in front and a Linear layer of your own")


def _tidy(shape: Shape, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """Without what reshapes to the shape that is there, or is reshaped again."""
    kept: list[tuple[Shape, Node]] = []
    for node in nodes:
        if isinstance(node, Reshape) and kept and isinstance(kept[-1][1], Reshape):
            shape, _ = kept.pop()
        if not isinstance(node, Reshape) or node.shape != shape:
            kept.append((shape, node))
            shape = node.out_shape((shape,))
    return tuple(node for _, node in kept)


def nearest(shape: Shape, places: Places, mode: str) -> tuple[Node, ...]:
    """Up- or down-sampling of features that repeats every value, or takes every n-th.

    Raises:
        Unsupported: a mode that mixes values; a factor that is no whole number, up or down; a factor (41 is the first) at
            which torch in float32 takes other places than floor(i / factor), because it multiplies by the rounded 1 / factor.
    """
    hint = "use mode='nearest' with a whole factor, or a convolution"
    if mode not in ("nearest", "nearest-exact"):
        raise Unsupported("Upsample", f"mode {mode!r} mixes neighbouring values in fractions, which is no exact synapse of spikes", hint)
    pairs = list(zip(shape, places.shape, strict=True))
    if any(o % n and n % o for n, o in pairs):
        raise Unsupported("Upsample", f"from {list(shape)} to {list(places.shape)} is no whole factor, up or down", hint)
    lists = [np.arange(o) * n // o for n, o in pairs]
    single = [np.floor(np.arange(o, dtype=np.float32) * np.float32(n / o)) for n, o in pairs]
    same = all(np.array_equal(a, b) for a, b in zip(lists, single, strict=True))
    if not same or not bool((np.arange(math.prod(shape)).reshape(shape)[np.ix_(*lists)] == places).all()):
        raise Unsupported("Upsample", "takes other places than those of nearest sampling (nearest-exact down, or a rounded factor)", hint)
    return moved(shape, places)
