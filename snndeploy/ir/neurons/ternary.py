"""The neuron that fires +1 above a threshold and -1 below its mirror image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import Membrane, check_membrane
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class TernaryLIF(Membrane):
    """h = rest + decay (v - rest) + gain x;  y = [h >= threshold] - [-h >= threshold] (both > if strict);  then the reset.

    hard: v = v_reset where y is not 0;  subtract: v = h - threshold y. Source: SpikingJelly 2.0.0 ``TernaryLIFNode``,
    ``TernaryIFNode`` (decay 1); after Guo et al., "Ternary Spike", AAAI 2024, equations (7) and (8).
    """

    emits: ClassVar[Emits] = "levels"
    decay: Floats
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Literal["hard", "subtract"] = "hard"
    v_reset: Floats = number(0.0)
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "decay", "gain", "threshold", "v_reset", "rest", "v_init")
        check_membrane(self)
        require(self, self.reset in ("hard", "subtract"), f"reset {self.reset!r} is not hard or subtract")
        require(self, bool((self.threshold > 0).all()), "a threshold is not positive", "+1 and -1 would be fired at once")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = self.charge(state["v"], inputs[0], xp)
        up, down = xp.fire(h, self.threshold, self.strict), xp.fire(h * -1.0, self.threshold, self.strict)
        y = up - down
        return y, {"v": xp.where(up + down, self.v_reset, h) if self.reset == "hard" else h - y * self.threshold}
