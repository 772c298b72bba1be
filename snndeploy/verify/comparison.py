"""Two runs held against each other, layer by layer under stable names: equal, or where they first part."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.errors import DataError, did_you_mean
from snndeploy.trace import Trace
from snndeploy.verdict import Divergence, Pair
from snndeploy.verify.causes import likely_cause
from snndeploy.verify.margins import Margins

Series = NDArray[Any]


def compare(
    a: Trace,
    b: Trace,
    layers: Iterable[str] | Mapping[str, str],
    shifts: Mapping[str, int] | None = None,
    steps: int | None = None,
    grade: str = "exact",
) -> Pair:
    """Equality, value for value: ``b.outputs[layer][shift : shift + T]`` against ``a.outputs[layer][:T]``.

    Args:
        a: the definition.
        b: what should be the same, ``shift`` steps later.
        layers: names in topological order; a mapping gives each layer's name in ``b``.
        shifts: per layer of ``a`` how many steps later ``b`` runs it; None: what the traces themselves say.
        steps: T; None: all steps of ``a``.
        grade: "exact", or "model only" where one side has no silicon reference.

    Raises:
        DataError: a layer that a trace did not record, another size, or a run that stops too early.
    """
    names = dict(layers) if isinstance(layers, Mapping) else {name: name for name in layers}
    compared, different = 0, 0
    first: tuple[int, Divergence] | None = None
    for layer, other in names.items():
        shift = _shift(a, b, layer, other, shifts)
        left, whole = _series(a, layer), _series(b, other)
        length = len(left) if steps is None else min(steps, len(left))
        left, right = left[:length], _delayed(left[:length], whole, shift, layer)
        unequal = ~(left == right)
        compared += left.size
        different += int(unequal.sum())
        if unequal.any() and (first is None or _first_step(unequal) < first[0]):
            cause = likely_cause(left, right, whole.reshape(len(whole), *left.shape[1:]), shift)
            first = _first_step(unequal), _divergence(layer, left, right, unequal, cause)
    return Pair(a.engine, b.engine, compared, different, first[1] if first else None, grade=grade)


def compare_float(a: Trace, b: Trace, margins: Margins) -> Pair:
    """Two float executors: every sample's first differences must lie at a threshold, closer than rounding reaches.

    A value differs where it is off by more than its own rounding bound. In each sample the earliest differences in
    (step, topological) order count as ``different``, those of them that were undecided as ``within_bound``; what
    differs after them in the same sample follows from them and counts as ``consequences``.

    Raises:
        DataError: a layer that a trace did not record, or another size.
    """
    layers = list(margins.near)
    series = {layer: _pair(a, b, layer) for layer in layers}
    unequal = {layer: ~(np.abs(x - y) <= margins.bound[layer]) for layer, (x, y) in series.items()}
    firsts = _firsts(unequal, layers)
    total = sum(int(u.sum()) for u in unequal.values())
    different = sum(int(f.sum()) for f in firsts.values())
    within = sum(int((f & margins.near[layer]).sum()) for layer, f in firsts.items())
    outside = {layer: f & ~margins.near[layer] for layer, f in firsts.items()}
    shown, cause = (outside, "beyond the rounding bound") if different > within else (firsts, "at the threshold, within the rounding bound")
    at = min(((_first_step(f), i) for i, f in enumerate(shown.values()) if f.any()), default=None)
    first = None if at is None else _divergence(layers[at[1]], *series[layers[at[1]]], shown[layers[at[1]]], cause)
    compared = sum(u.size for u in unequal.values())
    return Pair(a.engine, b.engine, compared, different, first, within, consequences=total - different)


def _firsts(unequal: Mapping[str, NDArray[Any]], layers: list[str]) -> dict[str, NDArray[np.bool_]]:
    """Of all differences, those at each sample's earliest (step, layer)."""
    moments = []
    for index, layer in enumerate(layers):
        by_sample = np.asarray(unequal[layer].reshape(*unequal[layer].shape[:2], -1).any(axis=2))
        step = np.where(by_sample.any(axis=0), by_sample.argmax(axis=0), len(by_sample))
        moments.append(step * len(layers) + index)
    earliest = np.min(moments, axis=0) if moments else np.zeros(0, np.int64)
    firsts = {}
    for index, layer in enumerate(layers):
        u = unequal[layer]
        moment = np.arange(len(u))[:, None] * len(layers) + index
        firsts[layer] = u & np.equal(moment, earliest).reshape(*u.shape[:2], *(1,) * (u.ndim - 2))
    return firsts


def _series(trace: Trace, layer: str) -> Series:
    if layer not in trace.outputs:
        raise DataError(f"trace of {trace.engine}", f"did not record the layer {layer!r}", did_you_mean(layer, trace.outputs))
    return trace.outputs[layer]


def _pair(a: Trace, b: Trace, layer: str) -> tuple[Series, Series]:
    left = _series(a, layer)
    return left, _delayed(left, _series(b, layer), 0, layer)


def _delayed(a: Series, b: Series, shift: int, layer: str) -> Series:
    if b.shape[1] != a.shape[1] or np.prod(b.shape[2:]) != np.prod(a.shape[2:]):
        raise DataError(layer, f"is {a.shape[1:]} in one run and {b.shape[1:]} in the other", "compare runs of the same samples and layers")
    if shift < 0 or len(b) < shift + len(a):
        raise DataError(layer, f"runs {shift} steps late, so {shift + len(a)} steps are needed, but {len(b)} were run")
    return b[shift : shift + len(a)].reshape(a.shape)


def _shift(a: Trace, b: Trace, layer: str, other: str, shifts: Mapping[str, int] | None) -> int:
    return b.shifts.get(other, 0) - a.shifts.get(layer, 0) if shifts is None else shifts.get(layer, 0)


def _first_step(unequal: NDArray[np.bool_]) -> int:
    return int(unequal.reshape(len(unequal), -1).any(axis=1).argmax())


def _divergence(layer: str, a: Series, b: Series, unequal: NDArray[np.bool_], cause: str) -> Divergence:
    step, sample, *neuron = (int(i) for i in np.unravel_index(int(unequal.argmax()), unequal.shape))
    at = (step, sample, *neuron)
    return Divergence(layer, step, sample, tuple(neuron), float(a[at]), float(b[at]), cause)
