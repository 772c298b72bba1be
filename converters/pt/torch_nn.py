"""torch.nn: one function a class, from a module and its input's feature shape to a chain of nodes.

An empty chain is a layer that does nothing when it is not training. What is not in ``TABLE`` is refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch

from converters.pt.moving import moved, nearest
from converters.pt.windows import adaptive_average, average, maximum, per_axis
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import BatchNorm, Conv, Linear
from snndeploy.ir.rectifier import Relu
from snndeploy.ir.xp import Pads

Chain: TypeAlias = tuple[Node, ...]
Convert: TypeAlias = Callable[[Any, Shape], Chain]

TRANSPARENT = ("container", "flatten", "dropout")
"""Modules of torch.nn whose forward is looked into, because functions do their work."""


def array(tensor: Any) -> Floats:
    """A parameter in float64, read-only."""
    return frozen(tensor.detach().cpu().to(torch.float64).numpy())


def linear(module: Any, _: Shape) -> Chain:
    """y = W x + b on the last axis."""
    return (Linear(array(module.weight), None if module.bias is None else array(module.bias)),)


def conv(module: Any, _: Shape) -> Chain:
    """Conv1d and Conv2d; padding must be zeros. "same" pads d (k - 1) in all, the odd one behind (torch's rule)."""
    if module.padding_mode != "zeros":
        raise Unsupported(type(module).__name__, f"padding_mode {module.padding_mode!r} has no node", "train with padding_mode='zeros'")
    axes = module.weight.ndim - 2
    bias = None if module.bias is None else array(module.bias)
    return (
        Conv(
            array(module.weight),
            bias,
            per_axis(module.stride, axes),
            _conv_pads(module, axes),
            per_axis(module.dilation, axes),
            int(module.groups),
        ),
    )


def _conv_pads(module: Any, axes: int) -> Pads:
    if module.padding == "valid":
        return ((0, 0),) * axes
    if module.padding == "same":
        totals = [d * (k - 1) for d, k in zip(per_axis(module.dilation, axes), module.weight.shape[2:], strict=True)]
        return tuple((total // 2, total - total // 2) for total in totals)
    return tuple((p, p) for p in per_axis(module.padding, axes))


def batch_norm(module: Any, shape: Shape) -> Chain:
    """BatchNorm1d and BatchNorm2d with the statistics of training: scale = weight / sqrt(var + eps)."""
    if module.running_mean is None or module.running_var is None:
        what = "normalizes with the statistics of each batch (track_running_stats=False), so a sample's result depends on the others"
        raise Unsupported(type(module).__name__, what, "train with track_running_stats=True")
    if not shape or shape[0] != module.num_features:
        what = f"normalizes {module.num_features} channels, but gets {list(shape)}"
        raise Unsupported(type(module).__name__, what, "check the layer before it")
    wide = (-1, *(1,) * (len(shape) - 1))
    gain = 1.0 if module.weight is None else array(module.weight)
    scale = gain / np.sqrt(array(module.running_var) + module.eps)
    shift = np.zeros_like(scale) if module.bias is None else array(module.bias)
    return (BatchNorm(array(module.running_mean).reshape(wide), scale.reshape(wide), shift.reshape(wide)),)


def avg_pool(module: Any, shape: Shape) -> Chain:
    """AvgPool1d and AvgPool2d, with torch's divisors."""
    divisor = getattr(module, "divisor_override", None)
    return average(shape, module.kernel_size, module.stride, module.padding, module.ceil_mode, module.count_include_pad, divisor)


def max_pool(module: Any, shape: Shape) -> Chain:
    """MaxPool1d and MaxPool2d."""
    return maximum(shape, module.kernel_size, module.stride, module.padding, module.dilation, module.ceil_mode, module.return_indices)


def adaptive_avg_pool(module: Any, shape: Shape) -> Chain:
    """AdaptiveAvgPool1d and AdaptiveAvgPool2d, resolved for this input shape."""
    return adaptive_average(shape, module.output_size)


def rectifier(module: Any, _: Shape) -> Chain:
    """ReLU and ReLU6; whether it may stand in the network is asked once it is whole."""
    return (Relu(frozen(6.0) if type(module).__name__ == "ReLU6" else None),)


def upsample(module: Any, shape: Shape) -> Chain:
    """Upsample and UpsamplingNearest2d of mode nearest, by whole factors: asked of torch, on the places of the features."""
    places = torch.arange(math.prod(shape), dtype=torch.float64).reshape(1, *shape)
    with torch.no_grad():
        mode, size, factor = str(module.mode), module.size, module.scale_factor
        if not mode.startswith("nearest"):
            return nearest(shape, np.zeros(shape, dtype=np.int64), mode)
        taken = torch.nn.functional.interpolate(places, size, factor, mode, recompute_scale_factor=module.recompute_scale_factor)
    return nearest(shape, taken[0].numpy().astype(np.int64), mode)


def channel_shuffle(module: Any, shape: Shape) -> Chain:
    """PixelShuffle, PixelUnshuffle and ChannelShuffle: permutations of the features, asked of the module."""
    places = torch.arange(math.prod(shape), dtype=torch.float64).reshape(1, *shape)
    with torch.no_grad():
        return moved(shape, type(module).forward(module, places)[0].numpy().astype(np.int64))


def nothing(_: Any, __: Shape) -> Chain:
    """A layer that gives what it gets."""
    return ()


TABLE: Mapping[str, Convert] = {
    "torch.nn.modules.linear.Linear": linear,
    "torch.nn.modules.linear.Identity": nothing,
    "torch.nn.modules.activation.ReLU": rectifier,
    "torch.nn.modules.activation.ReLU6": rectifier,
    "torch.nn.modules.conv.Conv1d": conv,
    "torch.nn.modules.conv.Conv2d": conv,
    "torch.nn.modules.batchnorm.BatchNorm1d": batch_norm,
    "torch.nn.modules.batchnorm.BatchNorm2d": batch_norm,
    "torch.nn.modules.pooling.AvgPool1d": avg_pool,
    "torch.nn.modules.pooling.AvgPool2d": avg_pool,
    "torch.nn.modules.pooling.MaxPool1d": max_pool,
    "torch.nn.modules.pooling.MaxPool2d": max_pool,
    "torch.nn.modules.pooling.AdaptiveAvgPool1d": adaptive_avg_pool,
    "torch.nn.modules.pooling.AdaptiveAvgPool2d": adaptive_avg_pool,
    "torch.nn.modules.upsampling.Upsample": upsample,
    **{f"torch.nn.modules.{name}": channel_shuffle for name in ("pixelshuffle.PixelShuffle", "pixelshuffle.PixelUnshuffle")},
    "torch.nn.modules.channelshuffle.ChannelShuffle": channel_shuffle,
}
ANY_LEAD = frozenset(["torch.nn.modules.linear.Linear", "torch.nn.modules.linear.Identity"])
"""Layers that work on the last axes alone, so that time and batch may both lead."""
