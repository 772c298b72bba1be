"""Integer ONNX operators in the making: the arithmetic of the chip, spelled in standard operators (opset 20).

Everything is int64, but for matrix products whose sums were bounded below 2**31 (int32). Right shifts are Div and Mod
(BitShift is unsigned); int32 wraps are a Cast down and up again, which ONNX defines as dropping the high bits; 24-bit
wraps mask with BitwiseAnd. Clip, Min and Max are comparisons and Where: onnxruntime's int64 kernels for them are wrong
beyond int32 on x86 (its pull request 25280), and its ReduceSum is exact below 2**53 only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from snndeploy.chip.models import STATE_BITS, STATE_MAX

Operand: TypeAlias = "Whole | int"
SPAN = 1 << STATE_BITS
HALF = SPAN >> 1


@dataclass(frozen=True, eq=False)
class Whole:
    """A tensor of whole numbers (or of truth values) in the body of a function."""

    body: IntegerBody
    name: str

    def __add__(self, other: Operand) -> Whole:
        return self.body.op("Add", self, other)

    def __radd__(self, other: int) -> Whole:
        return self.body.op("Add", other, self)

    def __sub__(self, other: Operand) -> Whole:
        return self.body.op("Sub", self, other)

    def __rsub__(self, other: int) -> Whole:
        return self.body.op("Sub", other, self)

    def __mul__(self, other: Operand) -> Whole:
        return self.body.op("Mul", self, other)

    def over(self, divisor: Operand) -> Whole:
        """Divided, toward zero."""
        return self.body.op("Div", self, divisor)

    def floored(self, divisor: Operand) -> Whole:
        """Divided by a positive number, floored: an arithmetic right shift where the divisor is a power of two."""
        return (self - self.body.op("Mod", self, divisor)).over(divisor)

    def shifted(self, exponent: int) -> Whole:
        """Times 2**exponent; floored where the exponent is negative. As on int64, whose bits leave at the top."""
        if exponent >= 0:
            return self * power(exponent) if exponent else self
        return self.floored(1 << min(-exponent, 62))

    def above(self, other: Operand) -> Whole:
        """True where greater."""
        return self.body.op("Greater", self, other)

    def reaches(self, other: Operand) -> Whole:
        """True where greater or equal."""
        return self.body.op("GreaterOrEqual", self, other)

    def equals(self, other: Operand) -> Whole:
        """True where equal."""
        return self.body.op("Equal", self, other)

    def least(self, other: Operand) -> Whole:
        """The smaller."""
        return self.body.where(self.above(other), other, self)

    def most(self, other: Operand) -> Whole:
        """The larger."""
        return self.body.where(self.reaches(other), self, other)

    def size(self) -> Whole:
        """Without its sign."""
        return self.body.op("Abs", self)

    def truth(self) -> Whole:
        """True where not 0."""
        return self.body.op("Cast", self, to=TensorProto.BOOL)

    def whole(self) -> Whole:
        """As int64."""
        return self.body.op("Cast", self, to=TensorProto.INT64)

    def narrow(self) -> Whole:
        """As int32: the low 32 bits."""
        return self.body.op("Cast", self, to=TensorProto.INT32)

    def wrapped32(self) -> Whole:
        """Modulo 2**32 in [-2**31, 2**31)."""
        return self.narrow().whole()

    def wrapped24(self) -> Whole:
        """Modulo 2**24 in [-2**23, 2**23)."""
        return self.body.op("BitwiseAnd", self + HALF, SPAN - 1) - HALF

    def wrapped_once(self) -> Whole:
        """One span of 2**24 up or down: range (-2**23, 2**23] from inputs below 2**24."""
        down = self.body.where(self.above(HALF), self - SPAN, self)
        return self.body.where(self.above(-HALF), down, self + SPAN)

    def saturated(self) -> Whole:
        """Clipped to +-(2**23 - 1)."""
        return self.within(-STATE_MAX, STATE_MAX)

    def within(self, low: int, high: int) -> Whole:
        """Clipped."""
        return self.least(high).most(low)

    def like(self, full: Whole) -> Whole:
        """Repeated until it has the shape of ``full``."""
        return self.body.op("Expand", self, self.body.op("Shape", full))

    def flat(self) -> Whole:
        """[B, *shape] -> [B, N]."""
        return self.body.reshaped(self, (0, -1))


class IntegerBody:
    """The operators of one function in the making, its constants each written once."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], Whole] = {}

    def op(self, kind: str, *operands: Operand, **attributes: Any) -> Whole:
        """Append one operator and return its only output; plain numbers become int64 constants."""
        inputs = [o.name if isinstance(o, Whole) else self.constant(o).name for o in operands]
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return Whole(self, name)

    def constant(self, values: Any, dtype: Any = np.int64) -> Whole:
        """A constant of the body."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self.op("Constant", value=numpy_helper.from_array(array))
        return self._constants[key]

    def where(self, condition: Whole, yes: Operand, no: Operand) -> Whole:
        """``yes`` where the condition (truth values) holds."""
        return self.op("Where", condition, yes, no)

    def sum(self, parts: Sequence[Whole]) -> Whole:
        """All parts added in their order; 0 where there are none."""
        if not parts:
            return self.constant(0)
        total = parts[0]
        for part in parts[1:]:
            total = total + part
        return total

    def powers(self, exponents: Whole) -> Whole:
        """2**exponents, each within 0..62."""
        places = self.op("Cast", exponents, to=TensorProto.UINT64)
        return self.op("BitShift", self.constant(1, np.uint64), places, direction="LEFT").whole()

    def reshaped(self, x: Whole, shape: Sequence[int]) -> Whole:
        """0 keeps a dimension as it is (the batch), -1 is what remains."""
        return self.op("Reshape", x, self.constant(list(shape)))

    def deliver(self, results: Sequence[Whole]) -> list[NodeProto]:
        """The operators that the results need, and an Identity that names each of them y0, y1, ..."""
        ends = [helper.make_node("Identity", [value.name], [f"y{i}"], name=f"y{i}") for i, value in enumerate(results)]
        needed = {value.name for value in results}
        kept: list[NodeProto] = []
        for node in reversed(self.nodes):
            if needed & set(node.output):
                needed |= set(node.input)
                kept.append(node)
        return [*reversed(kept), *ends]


def power(exponent: int) -> int:
    """2**exponent as int64 holds it: 0 beyond its bits."""
    return 0 if exponent > 63 else -(1 << 63) if exponent == 63 else 1 << exponent
