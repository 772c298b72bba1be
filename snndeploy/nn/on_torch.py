"""The torch backend of ``Namespace``: the values of the NumPy reference, with gradients.

``where`` is an arithmetic blend so that gradients also reach its condition, a spike; ``fire`` carries a surrogate
gradient; ``trunc`` and ``floor`` pass gradients straight through. In float64 every elementwise value equals
NumPy's bit for bit, because a condition is exactly 0 or 1; only ``exp`` and ``sigmoid`` may round their last bit otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from snndeploy.arrays import Shape
from snndeploy.ir.on_numpy import checked_row
from snndeploy.ir.xp import Pads
from snndeploy.nn.surrogates import Surrogate, fire


class TorchNamespace:
    """See ``Namespace``; arrays are tensors, ``surrogate`` is the derivative of ``fire``."""

    def __init__(self, surrogate: Surrogate) -> None:
        self.surrogate = surrogate

    def where(self, condition: Tensor, yes: Tensor, no: Tensor) -> Tensor:
        return condition * yes + (1 - condition) * no

    def fire(self, h: Tensor, theta: Tensor, strict: bool) -> Tensor:
        return fire(h, theta, strict, self.surrogate)

    def exp(self, x: Tensor) -> Tensor:
        return torch.exp(x)

    def sigmoid(self, x: Tensor) -> Tensor:
        return torch.sigmoid(x)

    def divide(self, a: Tensor, b: Tensor) -> Tensor:
        return a / b

    def rounded(self, written: Callable[..., Tensor], reals: Callable[..., Tensor], *operands: Tensor) -> Tensor:
        return written(*operands)

    def table(self, rows: Tensor, t: Tensor) -> Tensor:
        return rows[checked_row(len(rows), t)]

    def gather(self, entries: Tensor, index: Tensor) -> Tensor:
        return entries[index.long()]

    def minimum(self, a: Tensor, b: Tensor | float) -> Tensor:
        return torch.minimum(a, _beside(b, a))

    def maximum(self, a: Tensor, b: Tensor | float) -> Tensor:
        return torch.maximum(a, _beside(b, a))

    def trunc(self, x: Tensor) -> Tensor:
        return straight_through(torch.trunc(x), x)

    def floor(self, x: Tensor) -> Tensor:
        return straight_through(torch.floor(x), x)

    def linear(self, x: Tensor, weight: Tensor) -> Tensor:
        return functional.linear(x, weight)

    def sparse(self, x: Tensor, rows: Tensor, columns: Tensor, weight: Tensor, targets: int) -> Tensor:
        return x.new_zeros(len(x), targets).index_add(1, rows.long(), x[:, columns.long()] * weight)

    def conv(self, x: Tensor, weight: Tensor, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Tensor:
        run = functional.conv1d if weight.ndim == 3 else functional.conv2d
        return run(_padded(x, padding, 0.0), weight, None, stride, 0, dilation, groups)

    def sum_pool(self, x: Tensor, kernel: Shape, stride: Shape, padding: Pads) -> Tensor:
        image, size, step = _as_image(_padded(x, padding, 0.0), kernel, stride)
        pooled = functional.avg_pool2d(image, size, step, divisor_override=1)
        return pooled.reshape(*x.shape[:2], *pooled.shape[4 - len(kernel) :])

    def max_pool(self, x: Tensor, kernel: Shape, stride: Shape, padding: Pads) -> Tensor:
        image, size, step = _as_image(_padded(x, padding, -math.inf), kernel, stride)
        pooled = functional.max_pool2d(image, size, step)
        return pooled.reshape(*x.shape[:2], *pooled.shape[4 - len(kernel) :])

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        return x.reshape(len(x), *shape)

    def concat(self, parts: Sequence[Tensor], axis: int) -> Tensor:
        return torch.cat(list(parts), dim=axis + 1)


def _beside(value: Tensor | float, a: Tensor) -> Tensor:
    """A plain number as a tensor like ``a``."""
    return value if isinstance(value, Tensor) else torch.full((), value, dtype=a.dtype, device=a.device)


def straight_through(value: Tensor, x: Tensor) -> Tensor:
    """``value`` forward, the gradient of ``x`` backward."""
    return value.detach() + (x - x.detach())


def _padded(x: Tensor, padding: Pads, fill: float) -> Tensor:
    """Torch lists the pads from the last axis to the first."""
    flat = [side for pair in reversed(padding) for side in pair]
    return functional.pad(x, flat, value=fill) if any(flat) else x


def _as_image(x: Tensor, kernel: Shape, stride: Shape) -> tuple[Tensor, list[int], list[int]]:
    """One spatial axis becomes an image of height 1: torch's 1-d average pooling cannot sum."""
    if len(kernel) == 1:
        return x.unsqueeze(2), [1, *kernel], [1, *stride]
    return x, list(kernel), list(stride)
