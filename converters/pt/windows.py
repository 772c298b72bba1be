"""Pooling: torch's rules for windows, ceil_mode and padding, written out as nodes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Linear, MaxPool, Reshape, SumPool
from snndeploy.ir.xp import Pads


def per_axis(value: int | Sequence[int], axes: int) -> Shape:
    """One number for every axis."""
    return (int(value),) * axes if isinstance(value, int) else tuple(int(v) for v in value) * (axes if len(value) == 1 else 1)


def average(
    shape: Shape,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> tuple[Node, ...]:
    """torch's AvgPool on features [C, *S] as a SumPool whose ``scale`` is 1 / torch's divisor, window by window."""
    axes = _axes("AvgPool", shape)
    k, p = per_axis(kernel, axes), per_axis(padding, axes)
    s = per_axis(stride if stride is not None and stride != () else kernel, axes)
    pads = _pads(shape[1:], k, s, p, ceil_mode)
    counts = _divisors(shape[1:], k, s, p, pads, count_include_pad)
    if not counts.size:
        raise ValueError(f"a window of {list(k)} is larger than what enters, {list(shape[1:])}")
    divisors = np.full_like(counts, divisor_override) if divisor_override else counts
    scale = 1.0 / (divisors.flat[0] if (divisors == divisors.flat[0]).all() else divisors[np.newaxis])
    return (SumPool(k, s, pads, frozen(scale)),)


def maximum(
    shape: Shape,
    kernel: int | Sequence[int],
    stride: int | Sequence[int] | None = None,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> tuple[Node, ...]:
    """torch's MaxPool on features [C, *S]. Raises ``Unsupported`` for dilated windows and for indices."""
    axes = _axes("MaxPool", shape)
    if any(d != 1 for d in per_axis(dilation, axes)) or return_indices:
        raise Unsupported("MaxPool", "dilated windows and return_indices have no node", "use dilation=1 and return_indices=False")
    k, p = per_axis(kernel, axes), per_axis(padding, axes)
    s = per_axis(stride if stride is not None and stride != () else kernel, axes)
    return (MaxPool(k, s, _pads(shape[1:], k, s, p, ceil_mode)),)


def adaptive_average(shape: Shape, output: int | Sequence[int | None] | None) -> tuple[Node, ...]:
    """torch's AdaptiveAvgPool: window i covers floor(i n / o) ... ceil((i + 1) n / o).

    Equal windows become a SumPool; unequal ones a Linear over the flattened spatial axes.
    """
    axes = _axes("AdaptiveAvgPool", shape)
    asked = (output,) * axes if output is None or isinstance(output, int) else tuple(output)
    wanted = tuple(n if o is None else o for n, o in zip(shape[1:], asked, strict=True))
    if all(n % o == 0 for n, o in zip(shape[1:], wanted, strict=True)):
        k = tuple(n // o for n, o in zip(shape[1:], wanted, strict=True))
        return (SumPool(k, k, ((0, 0),) * axes, frozen(1.0 / math.prod(k))),)
    maps = [_adaptive_map(n, o) for n, o in zip(shape[1:], wanted, strict=True)]
    weight = maps[0] if axes == 1 else np.kron(maps[0], maps[1])
    return (Reshape((shape[0], math.prod(shape[1:]))), Linear(frozen(weight)), Reshape((shape[0], *wanted)))


def reduce_axes(shape: Shape, over: Shape, mean: bool) -> tuple[Node, ...]:
    """Sum or mean over some spatial axes (counted within the features) as one window over each of them."""
    axes = _axes("mean" if mean else "sum", shape)
    if 0 in over:
        raise Unsupported("mean" if mean else "sum", "over the channels has no node", "use a Linear or Conv layer with fixed weights")
    kernel = tuple(n if d in over else 1 for d, n in enumerate(shape) if d)
    kept = tuple(n for d, n in enumerate(shape) if d not in over)
    scale = 1.0 / math.prod(kernel) if mean else 1.0
    return (SumPool(kernel, kernel, ((0, 0),) * axes, frozen(scale)), Reshape(kept))


def _axes(name: str, shape: Shape) -> int:
    if len(shape) not in (2, 3):
        raise Unsupported(name, f"needs features [C, L] or [C, H, W], not {list(shape)}", "check the layer before it, and --input-shape")
    return len(shape) - 1


def _pads(size: Shape, kernel: Shape, stride: Shape, padding: Shape, ceil_mode: bool) -> Pads:
    """Padding before and after, so that exactly torch's windows fit.

    ceil_mode adds a last, partial window, unless it would start behind the input and its padding before.
    """
    if not ceil_mode:
        return tuple((p, p) for p in padding)
    pads = []
    for n, k, s, p in zip(size, kernel, stride, padding, strict=True):
        count = -(-(n + 2 * p - k) // s) + 1
        count -= (count - 1) * s >= n + p
        pads.append((p, max(p, (count - 1) * s + k - n - p)))
    return tuple(pads)


def _divisors(size: Shape, kernel: Shape, stride: Shape, padding: Shape, pads: Pads, include: bool) -> Floats:
    """How many values torch divides each window's sum by: with the declared padding, never with ceil_mode's."""
    spans = []
    for n, k, s, p, (before, after) in zip(size, kernel, stride, padding, pads, strict=True):
        starts = np.arange((n + before + after - k) // s + 1) * s - p
        low, high = (-p, n + p) if include else (0, n)
        spans.append(np.minimum(starts + k, high) - np.maximum(starts, low))
    counts: Floats = np.array([math.prod(c) for c in itertools.product(*spans)], dtype=np.float64)
    return counts.reshape([len(span) for span in spans])


def _adaptive_map(n: int, o: int) -> Floats:
    rows = np.zeros((o, n))
    for i in range(o):
        start, end = i * n // o, -(-(i + 1) * n // o)
        rows[i, start:end] = 1.0 / (end - start)
    return rows
