"""The ONNX backend of ``snndeploy.ir.xp.Namespace``: every operation appends one standard operator (opset 20).

Arrays are ``Symbol``: the name of an ONNX value and its shape, the dynamic batch counted as 1. A node whose
``step`` is run once with symbols has thereby written its own ONNX operators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto, TensorProto, helper

from snndeploy.arrays import Shape
from snndeploy.ir.layers import window_count
from snndeploy.ir.xp import Pads

Operand: TypeAlias = "Symbol | float"


@dataclass(frozen=True, eq=False)
class Symbol:
    """A value of the model in the making."""

    body: Body
    name: str
    shape: Shape

    def __add__(self, other: Operand) -> Symbol:
        return self.body.elementwise("Add", self, other)

    def __radd__(self, other: float) -> Symbol:
        return self.body.elementwise("Add", other, self)

    def __sub__(self, other: Operand) -> Symbol:
        return self.body.elementwise("Sub", self, other)

    def __rsub__(self, other: float) -> Symbol:
        return self.body.elementwise("Sub", other, self)

    def __mul__(self, other: Operand) -> Symbol:
        return self.body.elementwise("Mul", self, other)

    def __rmul__(self, other: float) -> Symbol:
        return self.body.elementwise("Mul", other, self)

    def __getitem__(self, index: int) -> Symbol:
        if not 0 <= index < self.shape[0]:
            raise IndexError(index)
        position = self.body.constant(helper.make_tensor("", TensorProto.INT64, [], [index]))
        return self.body.op("Gather", (self, position), self.shape[1:], axis=0)

    def __len__(self) -> int:
        self.body.lengths[self.name] = self.shape[0]
        return self.shape[0]


class Body:
    """A list of ONNX nodes in the making; inner values are named ``<prefix><operator>_<number>``.

    ``lengths`` notes every value whose length was asked for: a body is fixed for these lengths only.
    """

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.nodes: list[NodeProto] = []
        self.lengths: dict[str, int] = {}

    def op(self, kind: str, inputs: Sequence[Symbol], shape: Shape, **attributes: Any) -> Symbol:
        """Append one operator and return its only output."""
        name = f"{self.prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, [i.name for i in inputs], [name], name=name, **attributes))
        return Symbol(self, name, shape)

    def constant(self, tensor: TensorProto) -> Symbol:
        """A constant written into the body."""
        return self.op("Constant", (), tuple(tensor.dims), value=tensor)

    def symbol(self, value: Operand) -> Symbol:
        """``value`` itself, or a plain number as a float32 scalar."""
        if isinstance(value, Symbol):
            return value
        return self.constant(helper.make_tensor("", TensorProto.FLOAT, [], [float(value)]))

    def elementwise(self, kind: str, *operands: Operand, **attributes: Any) -> Symbol:
        """One broadcasting operator."""
        symbols = [self.symbol(o) for o in operands]
        return self.op(kind, symbols, np.broadcast_shapes(*(s.shape for s in symbols)), **attributes)

    def deliver(self, results: Sequence[tuple[str, Symbol]]) -> list[NodeProto]:
        """The nodes, with every result under its final name (an Identity where it has another name already)."""
        own = {name for node in self.nodes for name in node.output}
        names: dict[str, str] = {}
        for name, symbol in results:
            if symbol.name in own and symbol.name not in names:
                names[symbol.name] = name
            else:
                self.nodes.append(helper.make_node("Identity", [symbol.name], [name], name=name))
        for node in self.nodes:
            for field in (node.input, node.output):
                field[:] = [names.get(word, word) for word in field]
        return self.nodes


class OnnxNamespace:
    """See ``Namespace``; arrays are symbols, everything is float32."""

    def where(self, condition: Symbol, yes: Operand, no: Operand) -> Symbol:
        chosen = condition.body.op("Cast", (condition,), condition.shape, to=TensorProto.BOOL)
        return condition.body.elementwise("Where", chosen, yes, no)

    def fire(self, h: Symbol, theta: Operand, strict: bool) -> Symbol:
        reached = h.body.elementwise("Greater" if strict else "GreaterOrEqual", h, theta)
        return h.body.op("Cast", (reached,), reached.shape, to=TensorProto.FLOAT)

    def exp(self, x: Symbol) -> Symbol:
        return x.body.elementwise("Exp", x)

    def sigmoid(self, x: Symbol) -> Symbol:
        return x.body.elementwise("Sigmoid", x)

    def divide(self, a: Operand, b: Operand) -> Symbol:
        return _body(a, b).elementwise("Div", a, b)

    def rounded(self, written: Callable[..., Symbol], reals: Callable[..., Symbol], *operands: Symbol) -> Symbol:
        return written(*operands)

    def table(self, rows: Symbol, t: Symbol) -> Symbol:
        step = t.body.op("ReduceMax", (t,), (), keepdims=0)
        return t.body.op("Gather", (rows, t.body.op("Cast", (step,), (), to=TensorProto.INT64)), rows.shape[1:], axis=0)

    def gather(self, entries: Symbol, index: Symbol) -> Symbol:
        position = index.body.op("Cast", (index,), index.shape, to=TensorProto.INT64)
        return index.body.op("Gather", (entries, position), index.shape, axis=0)

    def minimum(self, a: Operand, b: Operand) -> Symbol:
        return _body(a, b).elementwise("Min", a, b)

    def maximum(self, a: Operand, b: Operand) -> Symbol:
        return _body(a, b).elementwise("Max", a, b)

    def trunc(self, x: Symbol) -> Symbol:
        size = x.body.elementwise("Floor", x.body.elementwise("Abs", x))
        return x.body.elementwise("Sign", x) * size

    def floor(self, x: Symbol) -> Symbol:
        return x.body.elementwise("Floor", x)

    def linear(self, x: Symbol, weight: Symbol) -> Symbol:
        shape = (*x.shape[:-1], weight.shape[0])
        if len(x.shape) == 2:
            return x.body.op("Gemm", (x, weight), shape, transB=1)
        columns = x.body.op("Transpose", (weight,), weight.shape[::-1], perm=[1, 0])
        return x.body.op("MatMul", (x, columns), shape)

    def sparse(self, x: Symbol, rows: Symbol, columns: Symbol, weight: Symbol, targets: int) -> Symbol:
        body, index = x.body, tuple((r.body.op("Cast", (r,), r.shape, to=TensorProto.INT64)) for r in (rows, columns))
        products = body.elementwise("Mul", body.op("Gather", (x, index[1]), (x.shape[0], *rows.shape), axis=1), weight)
        one = body.constant(helper.make_tensor("", TensorProto.INT64, [1], [1]))
        zero = body.constant(helper.make_tensor("", TensorProto.INT64, [1], [0]))
        batch = body.op("Slice", (body.op("Shape", (products,), (2,)), zero, one), (1,))
        width = body.constant(helper.make_tensor("", TensorProto.INT64, [1], [targets]))
        empty = body.op("Expand", (body.symbol(0.0), body.op("Concat", (batch, width), (2,), axis=0)), (x.shape[0], targets))
        places = body.op("Expand", (index[0], body.op("Shape", (products,), (2,))), products.shape)
        return body.op("ScatterElements", (empty, places, products), empty.shape, axis=1, reduction="add")

    def conv(self, x: Symbol, weight: Symbol, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Symbol:
        reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, weight.shape[2:], strict=True))
        shape = (x.shape[0], weight.shape[0], *window_count(x.shape[2:], reach, stride, padding))
        kernel = list(weight.shape[2:])
        return x.body.op(
            "Conv", (x, weight), shape,
            kernel_shape=kernel, strides=list(stride), dilations=list(dilation), pads=_pads(padding), group=groups,
        )  # fmt: skip

    def sum_pool(self, x: Symbol, kernel: Shape, stride: Shape, padding: Pads) -> Symbol:
        # AveragePool would divide and multiply again; a convolution with ones only adds.
        ones = helper.make_tensor("", TensorProto.FLOAT, [x.shape[1], 1, *kernel], [1.0] * (x.shape[1] * int(np.prod(kernel))))
        return self.conv(x, x.body.constant(ones), stride, padding, (1,) * len(kernel), x.shape[1])

    def max_pool(self, x: Symbol, kernel: Shape, stride: Shape, padding: Pads) -> Symbol:
        shape = (*x.shape[:2], *window_count(x.shape[2:], kernel, stride, padding))
        return x.body.op("MaxPool", (x,), shape, kernel_shape=list(kernel), strides=list(stride), pads=_pads(padding))

    def reshape(self, x: Symbol, shape: Shape) -> Symbol:
        # 0 keeps the batch as it is.
        target = x.body.constant(helper.make_tensor("", TensorProto.INT64, [1 + len(shape)], [0, *shape]))
        features = tuple(np.empty(x.shape, dtype=np.bool_).reshape(x.shape[0], *shape).shape)
        return x.body.op("Reshape", (x, target), features)

    def concat(self, parts: Sequence[Symbol], axis: int) -> Symbol:
        joined = list(parts[0].shape)
        joined[axis + 1] = sum(p.shape[axis + 1] for p in parts)
        return parts[0].body.op("Concat", parts, tuple(joined), axis=axis + 1)


def _body(*operands: Operand) -> Body:
    return next(o.body for o in operands if isinstance(o, Symbol))


def _pads(padding: Pads) -> list[int]:
    return [before for before, _ in padding] + [after for _, after in padding]


ONNX = OnnxNamespace()
