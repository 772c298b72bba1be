"""A foreign ONNX graph on its way to a Graph: nodes and edges so far, and what each name of the file stands for."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from converters.onnx.values import Constant, Live, Value
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import GraphError, Unsupported
from snndeploy.ir.graph import Edge, Node
from snndeploy.ir.layers import Conv, Linear, Reshape
from snndeploy.ir.xp import Pads

SELECTION = 2**24
"""Entries of the largest matrix that is written out to rearrange values."""


class Drafting:
    """The graph in the making. ``batch`` is the size of the batch axis in the file, or 2 where it is left open."""

    def __init__(self, opset: int, batch: int) -> None:
        self.opset, self.batch = opset, batch
        self.values: dict[str, Value] = {}
        self.nodes: dict[str, Node] = {}
        self.edges: list[Edge] = []
        self.shapes: dict[str, Shape] = {}
        self.notes: list[str] = []
        self.probed: list[str] = []
        self.kinds: dict[str, str] = {}

    def add(self, name: str, node: Node, ports: Sequence[str | Sequence[str]], op: str = "") -> Live:
        """A node fed by the named nodes, one entry a port (several names are summed). Raises ``GraphError`` on a misfit."""
        name = self._free(name)
        sources = [[entry] if isinstance(entry, str) else list(entry) for entry in ports]
        try:
            shape = node.out_shape(tuple(self.shapes[entry[0]] for entry in sources))
        except ValueError as misfit:
            raise GraphError(name, str(misfit), "the file's parts do not fit; check --input-shape") from None
        if math.prod(shape) > 2**27:
            raise Unsupported(name, f"has {math.prod(shape):,} outputs", "no chip holds such a layer; check --input-shape")
        self.nodes[name], self.shapes[name] = node, shape
        self.edges += [Edge(source, name, port=port) for port, entry in enumerate(sources) for source in entry]
        if op:
            self.kinds[name] = op
        return Live(name, shape)

    def _free(self, name: str) -> str:
        taken = (f"{name}.{k}" for k in range(2, len(self.nodes) + 3))
        return name if name not in self.nodes else next(n for n in taken if n not in self.nodes)

    def straight(self, value: Live) -> str:
        """A node that gives the value in C order and its own shape. Raises ``Unsupported`` where that needs too large a matrix."""
        if value.order is not None:
            value = self._rearranged(value)
        if self.shapes[value.node] == value.shape:
            return value.node
        return self.add(f"{value.node}.shape", Reshape(value.shape), [value.node]).node

    def _rearranged(self, value: Live) -> Live:
        order, size = value.indices.ravel(), math.prod(self.shapes[value.node])
        if np.array_equal(order, np.arange(size)):
            return Live(value.node, value.shape)
        channels = value.shape[0] if value.shape else 1
        flat = self.flat(value.node)
        if np.array_equal(order, np.arange(size).reshape(-1, channels).T.ravel()):
            # channels last -> channels first: each channel takes every C-th value
            row = self.add(f"{value.node}.row", Reshape((1, size)), [flat])
            picked = self.add(f"{value.node}.channels", Conv(np.eye(channels)[:, None], None, (channels,)), [row.node])
            return Live(picked.node, value.shape)
        if order.size * size > SELECTION:
            what = f"the values of {value.node} are rearranged in a way that needs a matrix of {order.size:,} x {size:,}"
            raise Unsupported(value.node, what, "export the model with channels first (NCHW)")
        matrix = np.zeros((order.size, size))
        kept = np.flatnonzero(order >= 0)
        matrix[kept, order[kept]] = 1.0
        return Live(self.add(f"{value.node}.order", Linear(matrix), [flat]).node, value.shape)

    def flat(self, node: str) -> str:
        """A node that gives all values of ``node`` on one axis."""
        return node if len(self.shapes[node]) == 1 else self.add(f"{node}.flat", Reshape(), [node]).node

    def padded(self, value: Live) -> tuple[Live, Pads]:
        """The value without the zeros around it, and how many there were before and after on each axis but the first."""
        none: Pads = ((0, 0),) * (len(value.shape) - 1)
        if value.order is None or not (value.order < 0).any() or (value.order < 0).all():
            return value, none
        inside = np.argwhere(value.order >= 0)
        low, high = inside.min(axis=0), inside.max(axis=0) + 1
        core = value.order[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
        if (core < 0).any() or core.shape[0] != value.shape[0]:
            return value, none
        pads = tuple((int(a), int(n - b)) for a, b, n in zip(low[1:], high[1:], value.shape[1:], strict=True))
        return Live(value.node, core.shape, core), pads

    def onto(self, parameter: Constant, value: Live, where: str) -> Floats:
        """A constant that is broadcast against ``value``, as it broadcasts against the features of ``value.node``.

        Raises ``Unsupported`` where it differs from sample to sample, or widens the value.
        """
        own = np.asarray(parameter, np.float64)
        if own.ndim == len(value.shape) + 1 and own.shape[0] == 1:
            own = own[0]
        if own.ndim > len(value.shape) or np.broadcast_shapes(own.shape, value.shape) != value.shape:
            what = f"a constant of shape {list(np.shape(parameter))} meets {list(value.shape)} a sample"
            raise Unsupported(where, what, "constants must be the same for every sample, and no larger than what they meet")
        if own.size == 1:
            return frozen(own.reshape(()))
        if value.order is None and self.shapes[value.node] == value.shape:
            return frozen(own)
        return _shrunk(_scattered(np.broadcast_to(own, value.shape), value.indices, self.shapes[value.node], where))


def _scattered(values: Floats, order: NDArray[np.int64], shape: Shape, where: str) -> Floats:
    if order.size != math.prod(shape) or not np.array_equal(np.sort(order.ravel()), np.arange(order.size)):
        raise Unsupported(where, "works on a part of a layer, or on a layer with zeros around it", "apply it to the whole layer")
    result = np.empty(order.size)
    result[order.ravel()] = values.ravel()
    return result.reshape(shape)


def _shrunk(values: Floats) -> Floats:
    """The smallest array that broadcasts to ``values``, with as many axes."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis)
        values = first if bool((values == first).all()) else values
    return frozen(values)
