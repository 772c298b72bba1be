"""sinabs' recurrent layers (read at 3.1.3): what they sent a step ago comes back through ``rec_connect`` and adds to the input.

x(t) + rec_connect(s(t - 1)),  and nothing but x at the first step, so that a bias of rec_connect starts one step late
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

from torch import nn

from converters.pt import torch_nn
from converters.pt.neuron import Build, Neuron, Settings
from converters.pt.torch_nn import Chain
from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Reshape

HINT = "a synapse from the layer to itself: nn.Linear or nn.Conv2d with bias=False, or an nn.Sequential with Flatten and Unflatten"


def recurrent(own: Build) -> Build:
    """The class's own neuron, with its spikes of the step before."""

    def build(settings: Settings, shape: Shape) -> Neuron:
        made = own(settings, shape)
        if made.taps:
            raise Unsupported(settings.where, "resets to a value and feeds its spikes back", "use MembraneReset() or MembraneSubtract()")
        return dataclasses.replace(made, feedback=tuple(_way_back(settings, shape)))

    return build


def _way_back(settings: Settings, shape: Shape) -> Iterator[Node]:
    """``rec_connect`` as nodes from a shape to itself."""
    inner = shape
    for part in _parts(settings("rec_connect")):
        for node in _nodes(part, inner, settings.where):
            bias = getattr(node, "bias", None)
            if bias is not None and bias.any():
                what = "has a rec_connect with a bias, which sinabs leaves out at the first step"
                raise Unsupported(settings.where, what, HINT)
            inner = node.out_shape((inner,))
            yield node
    if inner != shape:
        yield Reshape(shape)


def _parts(module: Any) -> Iterator[Any]:
    """The layers of nested Sequentials, in order."""
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _parts(child)
    else:
        yield module


def _nodes(part: Any, shape: Shape, where: str) -> Chain:
    kind = type(part)
    if kind is nn.Flatten or kind is nn.Unflatten:
        return (Reshape((math.prod(shape),) if kind is nn.Flatten else tuple(int(n) for n in part.unflattened_size)),)
    convert = torch_nn.TABLE.get(f"{kind.__module__}.{kind.__qualname__}")
    if convert is None or kind is nn.ReLU:
        raise Unsupported(where, f"comes back through {kind.__name__}, which is no synapse", HINT)
    return convert(part, shape)
