"""How many synapses one spike of each neuron works: the non-zero weights it meets, at the edges of a convolution too."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.chip.network import Conv, Dense, Population, Projection, Sparse

Bools = NDArray[np.bool_]


def fan_out(projection: Projection, source: Population, target: Population, into: Bools | None = None) -> Ints:
    """[source size] non-zero weights from each source neuron (flat, C order) to the target's, or to those ``into`` [target size] marks.

    A wire has no synapses: all 0.
    """
    synapses = projection.synapses
    chosen = np.ones(target.size, np.bool_) if into is None else into
    if isinstance(synapses, Dense):
        return np.asarray(np.count_nonzero(synapses.weights[chosen], axis=0), np.int64)
    if isinstance(synapses, Sparse):
        used = chosen[synapses.rows] & (synapses.weights != 0)
        return np.bincount(synapses.columns[used], minlength=source.size).astype(np.int64)
    if isinstance(synapses, Conv):
        return _conv_fan_out(synapses, source, target, chosen)
    return np.zeros(source.size, np.int64)


def zeros_looked_up(projection: Projection, source: Population, target: Population) -> Ints:
    """[source size] zero weights a spike of each source neuron meets if the matrix or kernel is stored whole."""
    synapses = projection.synapses
    if isinstance(synapses, Dense):
        return np.asarray(target.size - np.count_nonzero(synapses.weights, axis=0), np.int64)
    if isinstance(synapses, Conv):
        whole = Conv(np.ones_like(synapses.weights), synapses.stride, synapses.padding, synapses.dilation, synapses.groups)
        everywhere = np.ones(target.size, np.bool_)
        return _conv_fan_out(whole, source, target, everywhere) - _conv_fan_out(synapses, source, target, everywhere)
    return np.zeros(source.size, np.int64)


def _conv_fan_out(conv: Conv, source: Population, target: Population, chosen: Bools) -> Ints:
    """The transpose of the convolution with every non-zero weight 1, of the chosen targets; one kernel tap at a time."""
    space = [n + sum(p) for n, p in zip(source.shape[1:], conv.padding, strict=True)]
    padded = np.zeros((source.shape[0], *space))
    targets, present = chosen.reshape(target.shape[0], -1), conv.weights != 0
    for tap, hit in _taps(conv, target.shape[1:]):
        for sources, outputs in _groups(conv, source.shape[0]):
            met = _meet(present[outputs][(..., *tap)], targets[outputs])
            padded[(sources, *hit)] += met.reshape(-1, *target.shape[1:])
    inside = tuple(slice(p[0], p[0] + n) for n, p in zip(source.shape[1:], conv.padding, strict=True))
    return padded[(slice(None), *inside)].ravel().astype(np.int64)


def _meet(weights: Bools, targets: Bools) -> NDArray[np.float64]:
    """[C, P]: for each source channel and target position, the chosen targets with a weight; only where any is chosen."""
    met = np.zeros((weights.shape[1], targets.shape[1]))
    channels, places = targets.any(axis=1), targets.any(axis=0)
    met[:, places] = weights[channels].T.astype(np.float64) @ targets[channels][:, places].astype(np.float64)
    return met


def _taps(conv: Conv, places: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """Each kernel tap, and the padded source positions it meets, as one strided slice an axis."""
    kernel = conv.weights.shape[2:]
    for flat in range(math.prod(kernel)):
        tap = tuple(int(k) for k in np.unravel_index(flat, kernel))
        axes = zip(tap, conv.dilation, conv.stride, places, strict=True)
        yield tap, tuple(slice(k * d, k * d + s * (n - 1) + 1, s) for k, d, s, n in axes)


def _groups(conv: Conv, channels: int) -> Iterator[tuple[slice, slice]]:
    """The source and the target channels of each group."""
    width, height = channels // conv.groups, len(conv.weights) // conv.groups
    for g in range(conv.groups):
        yield slice(g * width, (g + 1) * width), slice(g * height, (g + 1) * height)
