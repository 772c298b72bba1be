"""The layers of a bare file: Linear, Conv and BatchNorm from their tensors, and what stands between them by the user's word."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from converters import Fact
from converters.pt.bare import Entry
from converters.pt.constructors import Said
from converters.pt.slayer import quantized
from converters.pt.torch_nn import Chain, array
from converters.pt.windows import adaptive_average, average, maximum, per_axis
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import ModelError, OptionError
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import BatchNorm, Conv, Linear, Reshape, SumPool


def _average(shape: Shape, *args: Any, **kwargs: Any) -> Chain:
    return average(shape, *args, **{_SHORT.get(n, n): v for n, v in kwargs.items()})


def _maximum(shape: Shape, *args: Any, **kwargs: Any) -> Chain:
    return maximum(shape, *args, **{_SHORT.get(n, n): v for n, v in kwargs.items()})


def _sum(shape: Shape, *args: Any, **kwargs: Any) -> Chain:
    (pool,) = _average(shape, *args, **kwargs)
    assert isinstance(pool, SumPool)
    return (SumPool(pool.kernel, pool.stride, pool.padding, frozen(1.0)),)


def _adaptive(shape: Shape, *args: Any, **kwargs: Any) -> Chain:
    return adaptive_average(shape, *args, **{_SHORT.get(n, n): v for n, v in kwargs.items()})


def _flatten(shape: Shape, *_: Any, **__: Any) -> Chain:
    return (Reshape((math.prod(shape),)),) if len(shape) > 1 else ()


def _nothing(_: Shape, *__: Any, **___: Any) -> Chain:
    return ()


_SHORT = {"kernel_size": "kernel", "output_size": "output"}
_BY_AXES: Mapping[str, Callable[..., Chain]] = {"AvgPool": _average, "MaxPool": _maximum, "SumPool": _sum, "AdaptiveAvgPool": _adaptive}
LAYERS: Mapping[str, Callable[..., Chain]] = {
    **{f"{name}{n}d": build for name, build in _BY_AXES.items() for n in (1, 2)},
    "Flatten": _flatten,
    "Identity": _nothing,
    "Dropout": _nothing,
    "Dropout2d": _nothing,
}
"""What the user may say stands somewhere; arguments as in torch.nn."""


def layer(said: Said, shape: Shape) -> Chain:
    """A layer in the user's words. Raises ``OptionError`` for arguments it does not take."""
    try:
        return LAYERS[said.kind](shape, *said.args, **said.settings)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"--layer '{said.kind}'", f"cannot be made: {error}", "arguments as in torch.nn: AvgPool2d(kernel_size=2, stride=2)"
        ) from None


def flattening(entry: Entry, shape: Shape) -> Iterator[tuple[Node, Fact]]:
    """A Linear behind an image takes all of it in one row, if the numbers fit."""
    weight = plain(entry)
    if weight.ndim != 2 or len(shape) == 1:
        return
    if math.prod(shape) != weight.shape[1]:
        what = f"takes {weight.shape[1]} features, but {list(shape)} = {math.prod(shape)} arrive"
        hint = "a pooling layer or a stride is not in the file: --layer 'conv1: AvgPool2d(2)' or 'conv1: Conv2d(stride=2)'"
        raise ModelError(entry.name, what, hint)
    yield Reshape((math.prod(shape),)), Fact("order", "channels, rows, columns", "ASSUMED")


def weights(entry: Entry, said: tuple[Said, ...], shape: Shape) -> tuple[Chain, tuple[Fact, ...]]:
    """Linear, Conv or BatchNorm; what the file does not hold (stride, padding, eps) by the user's word or torch's default."""
    given = {name: value for part in said for name, value in part.settings.items()}
    defaults = {"norm": ("eps", *(["alpha"] if "Vth" in entry.tensors else [])), "weights": ("stride", "padding", "dilation")}[entry.kind]
    unknown = [name for name in given if name not in defaults] + [str(a) for part in said for a in part.args]
    if unknown:
        raise OptionError(f"--layer '{entry.name}'", f"{unknown[0]} is not open here", f"by name: {', '.join(defaults)}")
    if entry.kind == "norm":
        nodes, facts = _norm(entry, shape, float(given.get("eps", 1e-5)), "eps" in given)
        return _threshold_scaled(entry, nodes, facts, given) if "Vth" in entry.tensors else (nodes, facts)
    weight, bias = plain(entry), entry.tensors.get("bias")
    offset = None if bias is None else array(bias)
    hook = (Fact("pre_hook_fx", "quantize_8bit", "ASSUMED"),) if entry.tensors["weight"].ndim == 5 else ()
    rounded = ", rounded to even 64ths as slayer's layers do" if hook else ""
    shown = Fact("weight", f"{list(weight.shape)}{rounded}", "file")
    if weight.ndim == 2:
        return (Linear(weight, offset),), (shown, *hook)
    return (_conv(entry, weight, offset, given, shape),), (shown, *hook, *_conv_facts(given))


def plain(entry: Entry) -> Floats:
    """The weight as [O, I] or [O, I, *K]; lava-dl's have a last axis for time, are rounded to 8 bits, and dense where K is 1."""
    weight = array(entry.tensors["weight"])
    if weight.ndim < 5:
        return weight
    weight = quantized(weight)[..., 0]
    return frozen(weight[..., 0, 0]) if weight.shape[2:] == (1, 1) else weight


def _conv(entry: Entry, weight: Any, bias: Any, given: Mapping[str, Any], shape: Shape) -> Conv:
    axes = weight.ndim - 2
    stride, padding, dilation = (per_axis(given.get(n, d), axes) for n, d in (("stride", 1), ("padding", 0), ("dilation", 1)))
    groups = shape[0] // weight.shape[1] if shape and shape[0] % weight.shape[1] == 0 else 0
    if not groups or len(weight) % groups or len(shape) != axes + 1:
        what = f"takes {weight.shape[1]} channels of {axes} axes, but {list(shape)} arrive"
        raise ModelError(entry.name, what, "check --input-shape, and the order of the layers; --arch names your code")
    return Conv(weight, bias, stride, tuple((p, p) for p in padding), dilation, groups)


def _conv_facts(given: Mapping[str, Any]) -> Iterator[Fact]:
    for name, default in (("stride", 1), ("padding", 0), ("dilation", 1)):
        yield Fact(name, str(given.get(name, default)), "user" if name in given else "ASSUMED")
    yield Fact("padding_mode", "zeros", "ASSUMED")
    yield Fact("transposed", "False", "ASSUMED")


def _norm(entry: Entry, shape: Shape, eps: float, said: bool) -> tuple[Chain, tuple[Fact, ...]]:
    """BatchNorm after training: scale = weight / sqrt(var + eps)."""
    mean, var = array(entry.tensors["running_mean"]), array(entry.tensors["running_var"])
    if not shape or shape[0] != len(mean):
        raise ModelError(
            entry.name, f"normalizes {len(mean)} channels, but {list(shape)} arrive", "the order of the layers is in your code: --arch"
        )
    wide = (-1, *(1,) * (len(shape) - 1))
    gain = array(entry.tensors["weight"]) if "weight" in entry.tensors else np.ones_like(mean)
    shift = array(entry.tensors["bias"]) if "bias" in entry.tensors else np.zeros_like(mean)
    scale = gain / np.sqrt(var + eps)
    node = BatchNorm(frozen(mean.reshape(wide)), frozen(scale.reshape(wide)), frozen(shift.reshape(wide)))
    return (node,), (Fact("statistics", "of training", "file"), Fact("eps", f"{eps:g}", "user" if said else "ASSUMED"))


def _threshold_scaled(entry: Entry, nodes: Chain, known: tuple[Fact, ...], given: Mapping[str, Any]) -> tuple[Chain, tuple[Fact, ...]]:
    """tdBatchNorm of the GLIF repository: alpha Vth times as large; Vth is a buffer, alpha an attribute that no file holds."""
    if "alpha" not in given:
        what = "is a tdBatchNorm (it has Vth), whose alpha is not in the file: 1, or 1/sqrt(2) where it ends beside a shortcut"
        raise ModelError(entry.name, what, f"say it: --layer '{entry.name}: tdBatchNorm(alpha=1.0)'")
    alpha, threshold = float(given["alpha"]), float(array(entry.tensors["Vth"]))
    scaled = tuple(replace(n, scale=frozen(n.scale * alpha * threshold)) if isinstance(n, BatchNorm) else n for n in nodes)
    return scaled, (*known, Fact("alpha", f"{alpha:g}", "user"), Fact("Vth", f"{threshold:g}", "file"))
