"""Two convolutions as one, and a convolution's transpose."""

from __future__ import annotations

import math

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.layers import Conv


def merge(first: Conv, second: Conv, shape: Shape) -> Conv | None:
    """``second`` after ``first`` on an input of ``shape`` as one convolution, or None where there is none.

    Tap u of the second sees tap v of the first at input offset u d2 s1 + v d1, strides multiply, paddings add up as
    p1 + s1 p2. That is exact only where the zeros that pad the middle map are what the first convolution would have
    computed there: its window must lie in its own padding alone. It does not where windows overlap (padding after a
    pool with kernel > stride), or where pooling left a remainder that a padded position would reach.
    """
    middle = first.out_shape((shape,))
    out = second.out_shape((middle,))
    axes = range(len(shape) - 1)
    spans = [_span(first, second, axis, shape[1 + axis], middle[1 + axis], out[1 + axis]) for axis in axes]
    groups = math.gcd(first.groups, second.groups)
    padding = tuple(span for span in spans if span is not None)
    if len(padding) < len(spans):
        return None
    dilation = tuple(_spacing(first, second, axis) for axis in axes)
    weight = _product(first, second, groups, dilation)
    stride = tuple(a * b for a, b in zip(first.stride, second.stride, strict=True))
    return Conv(weight, None, stride, padding, dilation, groups)


def _span(first: Conv, second: Conv, axis: int, size: int, middle: int, out: int) -> tuple[int, int] | None:
    """The padding of the merged convolution on one axis, or None if the padded middle positions are not 0 by themselves."""
    s1, d1, k1, (p1, _) = first.stride[axis], first.dilation[axis], first.weight.shape[2 + axis], first.padding[axis]
    s2, d2, k2, (p2, _) = second.stride[axis], second.dilation[axis], second.weight.shape[2 + axis], second.padding[axis]
    last = (out - 1) * s2 - p2 + (k2 - 1) * d2
    before_is_zero = p2 == 0 or -s1 - p1 + (k1 - 1) * d1 < 0
    after_is_zero = last < middle or middle * s1 - p1 >= size
    if not (before_is_zero and after_is_zero):
        return None
    end = last * s1 - p1 + (k1 - 1) * d1
    return p1 + s1 * p2, max(0, end - (size - 1))


def _spacing(first: Conv, second: Conv, axis: int) -> int:
    """The dilation of the merged convolution: the largest grid that all its taps lie on."""
    own = first.dilation[axis] if first.weight.shape[2 + axis] > 1 else 0
    after = second.dilation[axis] * first.stride[axis] if second.weight.shape[2 + axis] > 1 else 0
    return math.gcd(own, after) or 1


def _product(first: Conv, second: Conv, groups: int, dilation: Shape) -> Floats:
    b = _regrouped(second, groups)
    depthwise = first.groups == len(first.weight) and first.weight.shape[1] == 1
    a = first.weight.reshape(groups, -1, 1, *first.weight.shape[2:]) if depthwise else _regrouped(first, groups)
    steps = [second.dilation[i] * first.stride[i] // d for i, d in enumerate(dilation)]
    taps = [first.dilation[i] // d if a.shape[3 + i] > 1 else 1 for i, d in enumerate(dilation)]
    sizes = [(b.shape[3 + i] - 1) * steps[i] + (a.shape[3 + i] - 1) * taps[i] + 1 for i in range(len(dilation))]
    weight = np.zeros((groups, b.shape[1], b.shape[2] if depthwise else a.shape[2], *sizes))
    for u in np.ndindex(*b.shape[3:]):
        for v in np.ndindex(*a.shape[3:]):
            place = tuple(u[i] * steps[i] + v[i] * taps[i] for i in range(len(dilation)))
            outer, inner = b[(slice(None),) * 3 + u], a[(slice(None),) * 3 + v]
            weight[(slice(None),) * 3 + place] += outer * inner.swapaxes(1, 2) if depthwise else np.matmul(outer, inner)
    return weight.reshape(-1, *weight.shape[2:])


def _regrouped(conv: Conv, groups: int) -> Floats:
    """[groups, O/groups, C/groups, *K]: the weights with fewer groups, zeros where channels were not connected."""
    per = conv.groups // groups
    weight = conv.weight.reshape(groups, per, len(conv.weight) // conv.groups, *conv.weight.shape[1:])
    out = np.zeros((groups, per, weight.shape[2], per, *weight.shape[3:]))
    for i in range(per):
        out[:, i, :, i] = weight[:, i]
    return out.reshape(groups, per * weight.shape[2], per * weight.shape[3], *weight.shape[4:])


def pull(conv: Conv, rows: Floats, shape: Shape) -> Floats:
    """The transpose: ``rows`` [B, O, *S_out] -> [B, *shape], so that <rows, conv(x)> = <pull(rows), x>."""
    batch, groups = len(rows), conv.groups
    sizes = [n + p[0] + p[1] for n, p in zip(shape[1:], conv.padding, strict=True)]
    padded = np.zeros((batch, groups, shape[0] // groups, *sizes))
    outs = rows.shape[2:]
    flat = rows.reshape(batch, groups, len(conv.weight) // groups, -1)
    weight = conv.weight.reshape(groups, len(conv.weight) // groups, *conv.weight.shape[1:])
    for k in np.ndindex(*conv.weight.shape[2:]):
        part = np.einsum("bgop,goc->bgcp", flat, weight[(slice(None),) * 3 + k], optimize=True)
        spots = (slice(k[i] * d, k[i] * d + n * s, s) for i, (d, n, s) in enumerate(zip(conv.dilation, outs, conv.stride, strict=True)))
        window = padded[(slice(None),) * 3 + tuple(spots)]
        window += part.reshape(window.shape)
    inside = tuple(slice(p[0], p[0] + n) for p, n in zip(conv.padding, shape[1:], strict=True))
    return padded[(slice(None),) * 3 + inside].reshape(batch, *shape)
