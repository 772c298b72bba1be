"""Synaptic sums of a whole batch: exact, in the narrowest arithmetic that provably is.

A sum of integers below 2**24 in absolute value, with all its partial sums, is exact in float32 in any order, below
2**53 in float64; so a matrix product may go through BLAS. Beyond, int64 is used. The bound is the largest sum of
absolute weights of one neuron times the largest payload of the step.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import Conv, Dense, Projection, Sparse
from snndeploy.errors import ChipError
from snndeploy.sim.kernels import shift, wrap24, wrap32
from snndeploy.sim.leaving import Left, left

Values: TypeAlias = NDArray[Any]
"""Whole numbers as int64 or, below 2**53, as float64."""

FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
COLUMN_BUDGET = 1 << 21
"""Elements of unfolded image held at a time, so that they stay in the cache."""
DENSE_BUDGET = 1 << 22
"""Sparse synapses over at most this many pairs are multiplied as a matrix."""


@dataclass(frozen=True, eq=False)
class Tap:
    """The synapses of one projection that share a delay.

    ``apply(spikes, dtype)`` gives the sums ``[B, *target]`` computed in that dtype, exact if no partial sum of size
    ``gain`` times the largest spike leaves its range.
    """

    delay: int
    gain: int
    largest: int
    apply: Callable[[Values, Any], Values]


@dataclass(frozen=True, eq=False)
class Sender:
    """A projection made ready to run. ``exact``: always int64, the slow definition."""

    projection: Projection
    taps: tuple[Tap, ...]
    target: Shape
    exact: bool

    def send(self, spikes: Values, peak: int) -> list[tuple[int, Values, tuple[Left, ...]]]:
        """(steps until arrival, sums, where they wrapped) of this step's ``spikes`` ``[B, *source]``, none larger than ``peak``."""
        p = self.projection
        if not p.graded:
            spikes, peak = spikes != 0, 1
        return [(1 + p.delay + tap.delay, *self._sum(tap, spikes, peak)) for tap in self.taps]

    def _sum(self, tap: Tap, spikes: Values, peak: int) -> tuple[Values, tuple[Left, ...]]:
        bound = tap.gain * peak
        sums = tap.apply(spikes, np.int64 if self.exact else narrowest(bound))
        if _products_wrap(self.projection, tap.largest * peak):
            held = wrapped_products(self.projection.synapses, tap.delay, spikes).reshape(len(spikes), *self.target)
            made, lost = finish(held, self.projection, bound, self.exact)
            return made, (*left("sum", sums, held), *lost)
        return finish(sums, self.projection, bound, self.exact)


def narrowest(bound: int) -> Any:
    """The fastest dtype in which whole numbers up to ``bound`` are exact."""
    return np.float32 if bound <= FLOAT32_EXACT else np.float64 if bound <= FLOAT64_EXACT else np.int64


def sender(projection: Projection, source: Shape, target: Shape, exact: bool) -> Sender:
    """Prepare a projection between populations of these shapes; raises ``ChipError`` on a Wire (it has no synapses)."""
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        taps = _dense_taps(synapses, target)
    elif isinstance(synapses, Conv):
        magnitude = np.abs(synapses.weights)
        gain = int(magnitude.reshape(len(magnitude), -1).sum(axis=1).max(initial=0))
        taps = (Tap(0, gain, int(magnitude.max(initial=0)), _conv(synapses, target)),)
    elif isinstance(synapses, Sparse):
        taps = _sparse_taps(synapses, int(np.prod(source)), target)
    else:
        raise ChipError(f"projection {projection.name}", "a wire has no synapses to sum")
    return Sender(projection, taps, target, exact)


def finish(sums: Values, projection: Projection, bound: int, exact: bool) -> tuple[Values, tuple[Left, ...]]:
    """What arrives at the neuron: the sum wrapped as its register does, and shifted by the exponent; and where it wrapped."""
    wraps_at = 1 << (23 if isinstance(projection.synapses, Conv) else 31)
    if not exact and bound << max(projection.exponent, 0) < wraps_at:
        return _scaled(sums, projection.exponent), ()
    whole = held = sums.astype(np.int64)
    if isinstance(projection.synapses, Conv):
        held = wrap24(whole)
    elif projection.graded and not _delays_each_product(projection):
        held = wrap32(whole)
    shifted = shift(held, projection.exponent)
    made = wrap32(shifted)
    lost = (*left("sum", whole, held), *left("sum", shifted, made))
    return (made if exact else made.astype(np.float64)), lost


def _scaled(sums: Values, exponent: int) -> Values:
    if exponent == 0:
        return sums.astype(np.float64)
    scaled = np.multiply(sums, 2.0**exponent, dtype=np.float64)
    return np.floor(scaled, out=scaled) if exponent < 0 else scaled


def _delays_each_product(projection: Projection) -> bool:
    return isinstance(projection.synapses, Dense) and projection.synapses.delays is not None


def _products_wrap(projection: Projection, largest: int) -> bool:
    """Lava's DelayDense wraps every single product to int32 and sums in int64; the others wrap the sum only."""
    return _delays_each_product(projection) and projection.graded and largest >= 1 << 31


def wrapped_products(synapses: Any, delay: int, spikes: Values) -> Ints:
    """The sum of int32-wrapped products of a Dense's synapses with this delay: [B, *source] -> [B, O]."""
    weights = np.where(synapses.delays == delay, synapses.weights, 0)
    flat = spikes.reshape(len(spikes), -1).astype(np.int64)
    sums = [wrap32(weights * sample).sum(axis=1) for sample in flat]  # rare: all products at once may not fit into memory
    return np.stack(sums) if sums else np.zeros((0, len(weights)), np.int64)


def _dense_taps(synapses: Dense, target: Shape) -> tuple[Tap, ...]:
    if synapses.delays is None:
        return (_dense_tap(0, synapses.weights, target),)
    present = np.unique(synapses.delays)
    return tuple(_dense_tap(int(d), np.where(synapses.delays == d, synapses.weights, 0), target) for d in present)


def _dense_tap(delay: int, weights: Ints, target: Shape) -> Tap:
    matrix = functools.cache(lambda dtype: np.ascontiguousarray(weights.T, dtype))

    def apply(spikes: Values, dtype: Any) -> Values:
        rows = spikes.reshape(len(spikes), -1).astype(dtype)
        return np.asarray(rows @ matrix(dtype)).reshape(len(spikes), *target)

    magnitude = np.abs(weights)
    return Tap(delay, int(magnitude.sum(axis=1).max(initial=0)), int(magnitude.max(initial=0)), apply)


def _conv(synapses: Conv, target: Shape) -> Callable[[Values, Any], Values]:
    groups, fan_in = synapses.groups, int(np.prod(synapses.weights.shape[1:]))
    stacked = synapses.weights.reshape(groups, -1, fan_in)
    matrix = functools.cache(stacked.astype)
    places = int(np.prod(target[1:]))
    part = max(1, COLUMN_BUDGET // max(1, groups * fan_in * places))

    def apply(spikes: Values, dtype: Any) -> Values:
        out = np.empty((len(spikes), groups, stacked.shape[1], places), dtype)
        for first in range(0, len(spikes), part):
            columns = unfold(spikes[first : first + part], synapses, dtype)
            np.matmul(matrix(dtype), columns.reshape(-1, groups, fan_in, places), out=out[first : first + part])
        return out.reshape(len(spikes), *target)

    return apply


def unfold(spikes: Values, synapses: Conv, dtype: Any) -> Values:
    """[B, C, *S] -> [B, C, *K, *S_out]: what every kernel weight sees at every place, zeros outside."""
    kernel = synapses.weights.shape[2:]
    padded = np.pad(spikes, ((0, 0), (0, 0), *synapses.padding)).astype(dtype, copy=False)
    reach = tuple(d * (k - 1) + 1 for d, k in zip(synapses.dilation, kernel, strict=True))
    axes = len(kernel)
    windows = sliding_window_view(padded, reach, axis=tuple(range(2, 2 + axes)))
    picked: Values = windows[(slice(None), slice(None), *(slice(None, None, s) for s in (*synapses.stride, *synapses.dilation)))]
    order = (0, 1, *range(2 + axes, 2 + 2 * axes), *range(2, 2 + axes))
    return np.ascontiguousarray(picked.transpose(order))


def _sparse_taps(synapses: Sparse, sources: int, target: Shape) -> tuple[Tap, ...]:
    delays = np.zeros_like(synapses.weights) if synapses.delays is None else synapses.delays
    return tuple(_sparse_tap(int(d), synapses, delays == d, sources, target) for d in np.unique(delays))


def _sparse_tap(delay: int, synapses: Sparse, chosen: NDArray[np.bool_], sources: int, target: Shape) -> Tap:
    rows, columns, weights = synapses.rows[chosen], synapses.columns[chosen], synapses.weights[chosen]
    targets = int(np.prod(target))
    if targets * sources <= DENSE_BUDGET:
        matrix = np.zeros((targets, sources), np.int64)
        np.add.at(matrix, (rows, columns), weights)
        return _dense_tap(delay, matrix, target)
    order = np.argsort(rows, kind="stable")
    rows, columns, weights = rows[order], columns[order], weights[order]
    reached, starts = np.unique(rows, return_index=True)

    def apply(spikes: Values, dtype: Any) -> Values:
        out = np.zeros((len(spikes), targets), dtype)
        flat = spikes.reshape(len(spikes), -1)
        part = max(1, COLUMN_BUDGET // len(weights))
        for first in range(0, len(spikes), part):
            products = flat[first : first + part, columns] * weights.astype(dtype)
            out[first : first + part, reached] = np.add.reduceat(products, starts, axis=1, dtype=dtype)
        return out.reshape(len(spikes), *target)

    gain = int(np.add.reduceat(np.abs(weights), starts).max())
    return Tap(delay, gain, int(np.abs(weights).max()), apply)
