"""A convolution as single synapses: where a reshape stands between it and a neuron, the chip cannot hold it as a kernel."""

from __future__ import annotations

import math

import numpy as np

from snndeploy.arrays import Shape
from snndeploy.chip.network import Conv, Sparse


def unrolled(conv: Conv, source: Shape) -> Sparse:
    """The synapses of weight other than 0, both sides flat in C order, for a source [C, *S]."""
    target = conv.out_shape(source)
    places, each = math.prod(target[1:]), conv.weights.shape[0] // conv.groups
    rows, columns, weights = [], [], []
    for tap in np.ndindex(*conv.weights.shape[2:]):
        along = [
            np.arange(n) * stride - pad[0] + k * dilation
            for n, stride, pad, k, dilation in zip(target[1:], conv.stride, conv.padding, tap, conv.dilation, strict=True)
        ]
        inside = [(at >= 0) & (at < n) for at, n in zip(along, source[1:], strict=True)]
        there = np.flatnonzero(np.logical_and.reduce(np.meshgrid(*inside, indexing="ij")))
        from_ = np.ravel_multi_index(np.meshgrid(*along, indexing="ij"), source[1:], mode="clip").ravel()[there]
        values = conv.weights[(slice(None), slice(None), *tap)]
        for o, c in np.argwhere(values):
            rows.append(o * places + there)
            columns.append((o // each * values.shape[1] + c) * math.prod(source[1:]) + from_)
            weights.append(np.full(there.size, values[o, c]))
    empty = [np.zeros(0, np.int64)]
    return Sparse(*(np.concatenate(empty + parts) for parts in (rows, columns, weights)))
