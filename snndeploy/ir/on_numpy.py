"""The NumPy backend of ``Namespace``: float64, the definition every other backend is held against."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import DataError
from snndeploy.ir.xp import Pads

WINDOWS = 2**21
"""Entries of a convolution's windows that are copied at once (16 MB); all samples of all steps at once took gigabytes."""


class NumpyNamespace:
    """See ``Namespace``; arrays are float64."""

    def where(self, condition: Floats, yes: Floats, no: Floats) -> Floats:
        return np.where(np.asarray(condition) != 0, yes, no)

    def fire(self, h: Floats, theta: Floats, strict: bool) -> Floats:
        return np.asarray(h > theta if strict else h >= theta, dtype=np.float64)

    def exp(self, x: Floats) -> Floats:
        return np.exp(x)

    def sigmoid(self, x: Floats) -> Floats:
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1.0, small) / (1.0 + small)

    def divide(self, a: Floats, b: Floats) -> Floats:
        return a / b

    def rounded(self, written: Callable[..., Floats], reals: Callable[..., Floats], *operands: Floats) -> Floats:
        return written(*operands)

    def table(self, rows: Floats, t: Floats) -> Floats:
        return np.asarray(rows[checked_row(len(rows), t)])

    def gather(self, entries: Floats, index: Floats) -> Floats:
        return np.asarray(entries[np.asarray(index, dtype=np.intp)])

    def minimum(self, a: Floats, b: Floats) -> Floats:
        return np.minimum(a, b)

    def maximum(self, a: Floats, b: Floats) -> Floats:
        return np.maximum(a, b)

    def trunc(self, x: Floats) -> Floats:
        return np.trunc(x)

    def floor(self, x: Floats) -> Floats:
        return np.floor(x)

    def linear(self, x: Floats, weight: Floats) -> Floats:
        return x @ np.transpose(weight)

    def sparse(self, x: Floats, rows: Floats, columns: Floats, weight: Floats, targets: int) -> Floats:
        places, sources = rows.astype(np.intp), columns.astype(np.intp)
        some = max(1, WINDOWS // max(1, targets))
        parts = [_gathered(x[start : start + some], places, sources, weight, targets) for start in range(0, len(x), some)]
        return np.concatenate(parts) if parts else np.zeros((0, targets))

    def conv(self, x: Floats, weight: Floats, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Floats:
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
        windows = _windows(x, reach, stride, padding, 0.0)
        taps = (slice(None),) * (windows.ndim - len(dilation)) + tuple(slice(None, None, d) for d in dilation)
        return _contract(windows[taps], weight, groups)

    def sum_pool(self, x: Floats, kernel: Shape, stride: Shape, padding: Pads) -> Floats:
        return np.asarray(np.sum(_windows(x, kernel, stride, padding, 0.0), axis=tuple(range(-len(kernel), 0))))

    def max_pool(self, x: Floats, kernel: Shape, stride: Shape, padding: Pads) -> Floats:
        return np.asarray(np.max(_windows(x, kernel, stride, padding, -np.inf), axis=tuple(range(-len(kernel), 0))))

    def reshape(self, x: Floats, shape: Shape) -> Floats:
        return np.reshape(x, (len(x), *shape))

    def concat(self, parts: Sequence[Floats], axis: int) -> Floats:
        return np.concatenate(parts, axis=axis + 1)


def checked_row(rows: int, t: Any) -> int:
    """The step as an index. Raises ``DataError`` behind the last row: a neuron with a table is made for T steps."""
    step = int(t.reshape(-1)[0]) if math.prod(t.shape) else 0
    if step >= rows:
        raise DataError("neuron with a table", f"has numbers for {rows} steps and is run for one more", f"run it for {rows} steps")
    return step


def _windows(x: Floats, reach: Shape, stride: Shape, padding: Pads, fill: float) -> Floats:
    """[B, C, *S] -> [B, C, *S_out, *reach]."""
    padded = np.pad(x, ((0, 0), (0, 0), *padding), constant_values=fill)
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, padded.ndim)))
    return windows[(slice(None), slice(None), *(slice(None, None, s) for s in stride))]


def _gathered(x: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp], weight: Floats, targets: int) -> Floats:
    """The k-th synapse of every target at once, those with the most synapses first: a few long operations, no products kept."""
    degree = np.bincount(rows, minlength=targets)
    order = np.argsort(-degree, kind="stable")
    first, values = (np.cumsum(degree) - degree)[order], np.ascontiguousarray(x.T)
    sums = np.zeros((targets, len(x)))
    for k in range(int(degree.max(initial=0))):
        at = first[: int(np.count_nonzero(degree > k))] + k
        sums[: len(at)] += values[columns[at]] * weight[at][:, None]
    out = np.empty((len(x), targets))
    out[:, order] = sums.T
    return out


def _contract(windows: Floats, weight: Floats, groups: int) -> Floats:
    """[B, C, *S_out, *K] with [O, C/groups, *K] -> [B, O, *S_out], a few samples at a time: the windows overlap, and are copied."""
    spatial = windows.shape[2 : windows.ndim - (weight.ndim - 2)]
    out = np.empty((len(windows), len(weight), *spatial), np.result_type(windows, weight))
    some = max(1, WINDOWS // max(1, math.prod(windows.shape[1:])))
    for start in range(0, len(windows), some):
        out[start : start + some] = _contracted(windows[start : start + some], weight, groups)
    return out


def _contracted(windows: Floats, weight: Floats, groups: int) -> Floats:
    """The same for all samples at once, one matrix product a group."""
    batch, spatial = windows.shape[0], windows.shape[2 : 2 + weight.ndim - 2]
    axes = (0, *range(2, 2 + len(spatial)), 1, *range(2 + len(spatial), windows.ndim))
    if groups == 1:
        flat = windows.transpose(axes).reshape(batch * int(np.prod(spatial)), -1) @ weight.reshape(len(weight), -1).T
        return np.moveaxis(flat.reshape(batch, *spatial, len(weight)), -1, 1)
    rows = windows.transpose(axes).reshape(batch, *spatial, groups, -1)
    columns = weight.reshape(groups, len(weight) // groups, -1)
    out = np.einsum("...gk,gok->...go", rows, columns, optimize=True)
    return np.moveaxis(out.reshape(batch, *spatial, len(weight)), -1, 1)


NUMPY = NumpyNamespace()
