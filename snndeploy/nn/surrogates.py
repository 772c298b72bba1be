"""Surrogate gradients: what backpropagation uses in place of the derivative of a spike.

The forward value of a spike is never touched; only its derivative by u = h - threshold is replaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor


class Surrogate(Protocol):
    """A stand-in for the derivative of the step function."""

    def slope(self, u: Tensor) -> Tensor:
        """The derivative used at ``u`` = h - threshold; same shape as ``u``."""


@dataclass(frozen=True)
class ATan:
    """Slope of arctan(pi/2 alpha u)/pi + 1/2: alpha/2 / (1 + (pi/2 alpha u)^2) (Fang et al., ICCV 2021, PLIF)."""

    alpha: float = 2.0

    def slope(self, u: Tensor) -> Tensor:
        """alpha/2 at the threshold, with wide tails."""
        return self.alpha / 2 / (1 + (math.pi / 2 * self.alpha * u).square())


@dataclass(frozen=True)
class Sigmoid:
    """Slope of the logistic function of alpha u: alpha s (1 - s) (Wu et al. 2018, STBP, h3 with a = 1/alpha)."""

    alpha: float = 4.0

    def slope(self, u: Tensor) -> Tensor:
        """alpha/4 at the threshold, exponential tails."""
        s = torch.sigmoid(self.alpha * u)
        return self.alpha * s * (1 - s)


@dataclass(frozen=True)
class Rectangle:
    """alpha within 1/(2 alpha) of the threshold, 0 elsewhere (Wu et al., Frontiers in Neuroscience 2018, STBP, h1)."""

    alpha: float = 1.0

    def slope(self, u: Tensor) -> Tensor:
        """alpha inside the window, else 0."""
        return (u.abs() < 0.5 / self.alpha).to(u.dtype) * self.alpha


class Fire(torch.autograd.Function):
    """[h > theta] or [h >= theta] forward, the surrogate's slope backward, to h and (negated) to theta."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, theta: Tensor, strict: bool, surrogate: Surrogate) -> Tensor:
        """1 where h reaches theta, else 0, in h's dtype."""
        ctx.save_for_backward(h, theta)
        ctx.surrogate = surrogate
        return (h > theta if strict else h >= theta).to(h.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple[Tensor, Tensor, None, None]:
        """The incoming gradient times the slope, summed back to each operand's shape."""
        h, theta = ctx.saved_tensors
        flow = grads[0] * ctx.surrogate.slope(h - theta)
        return flow.sum_to_size(h.shape), (-flow).sum_to_size(theta.shape), None, None


def fire(h: Tensor, theta: Tensor, strict: bool, surrogate: Surrogate) -> Tensor:
    """Spikes of ``h`` against ``theta``, broadcast, with the surrogate's gradient."""
    apply: Any = Fire.apply
    return cast(Tensor, apply(h, theta, strict, surrogate))
