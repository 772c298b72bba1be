"""Nodes one behind the other at one place of the network."""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.pt.drives import Constant, Drive, Place, Source
from converters.pt.streams import Builder
from converters.pt.torch_nn import Chain
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Node
from snndeploy.ir.on_numpy import NUMPY


def chain(builder: Builder, place: Place, nodes: Chain, base: str, numbered: bool = True) -> Drive:
    """Nodes one after the other behind the place's first operand."""
    if not nodes:
        return builder.source(place.operands[0])
    names = [base] if len(nodes) == 1 else [f"{base}.{type(n).__name__.lower()}" for n in nodes]
    handles = [builder.reserve(name, place.call.index, str(place.call), numbered) for name in names]
    builder.remember(place.stream, Source(handles[-1]))
    drive = builder.source(place.operands[0])
    if isinstance(drive, Constant):
        return Constant(_fold(nodes, drive.values, builder.shape(place.operands[0], place.call)))
    for handle, node, before in zip(handles, nodes, (drive, *map(Source, handles)), strict=False):
        builder.nodes[handle] = node
        builder.connect(before, handle)
    return Source(handles[-1])


def function_name(place: Place) -> tuple[str, bool]:
    """A functional node's name: the path of a torch.nn module that only calls it, else numbered inside its module."""
    call = place.call
    return (f"{call.path}.{call.op}" if call.path else call.op), True


def _fold(nodes: tuple[Node, ...], values: Floats, shape: Shape) -> Floats:
    result: Any = np.broadcast_to(values, (1, *shape)) if values.ndim <= len(shape) else values[:1]
    for node in nodes:
        result, _ = node.step((result,), {}, NUMPY)
    return frozen(result[0])
