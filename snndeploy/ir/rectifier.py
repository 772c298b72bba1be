"""The rectifier of artificial networks. It has no spike: a network that holds one is not deployed until it is converted."""

from __future__ import annotations

from dataclasses import dataclass

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Node, State
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class Relu(Node):
    """y = max(x, 0), and not above ``ceiling`` where there is one (ReLU6: 6)."""

    ceiling: Floats | None = None

    def __post_init__(self) -> None:
        if self.ceiling is not None:
            freeze(self, "ceiling")
            require(self, bool((self.ceiling > 0).all()), "its ceiling is not above 0", "such a layer gives 0 always")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return inputs[0]

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        y = xp.maximum(inputs[0], 0.0)
        return (y if self.ceiling is None else xp.minimum(y, self.ceiling)), state
