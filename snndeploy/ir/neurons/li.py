"""The leaky integrator: a membrane that is read and never fires."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import State
from snndeploy.ir.layers import freeze, number
from snndeploy.ir.membrane import Membrane, check_membrane
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class LI(Membrane):
    """v = rest + decay (v - rest) + gain x;  y = v. With decay 1 it sums its input over time (the usual read-out)."""

    decay: Floats
    gain: Floats = number(1.0)
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "decay", "gain", "rest", "v_init")
        check_membrane(self)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        v = self.charge(state["v"], inputs[0], xp)
        return v, {"v": v}
