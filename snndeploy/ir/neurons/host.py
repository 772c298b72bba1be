"""The host's share of the first layer, on chips whose spikes carry no payload."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.xp import Array, Namespace

MANTISSA_MAX = 4095.0


@dataclass(frozen=True, eq=False)
class HostCurrent(Node):
    """What the host writes into bias registers: m = clip(floor((x + bias) / 2**shift), +-4095);  y = m 2**exponent / 64.

    ``x`` is the first layer's sum in whole numbers, computed on the host; y is in weight units, so that 64 y is the
    bias in units of v. ``bias`` broadcasts and holds the layer's own bias and the half that turns floor into rounding.
    """

    emits: ClassVar[Emits] = "real"
    bias: Floats
    shift: int
    exponent: int

    def __post_init__(self) -> None:
        freeze(self, "bias")
        require(self, bool((self.bias == np.round(self.bias)).all()), "bias must be whole numbers")
        require(self, 0 <= self.exponent <= 7 and self.shift >= 0, "exponent 0..7, shift not negative")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.bias.shape)

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        m = xp.floor((inputs[0] + self.bias) * 2.0**-self.shift)
        return xp.minimum(xp.maximum(m, -MANTISSA_MAX), MANTISSA_MAX) * (2.0**self.exponent / 64), state
