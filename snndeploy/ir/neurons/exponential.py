"""The exponential integrate-and-fire neuron: its membrane runs away by itself above the rheobase."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import check_inverse, over
from snndeploy.ir.neurons.quadratic import fire_and_reset
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class ExponentialIF(Node):
    """h = v + rate (x + rest - v + delta exp((v - rheobase) / delta));  s = [h >= threshold] (or > if strict);  then the reset.

    hard: v = v_reset;  subtract: v = h - threshold. ``steepness`` is 1 / delta. With
    ``tau`` = 1 / rate it divides by tau and delta instead: the same but for the last bit. Source: SpikingJelly 2.0.0 ``EIFNode``
    (``_ops/eif``; rate = 1/tau).
    """

    emits: ClassVar[Emits] = "spikes"
    rate: Floats
    rest: Floats
    rheobase: Floats
    delta: Floats
    steepness: Floats
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Literal["hard", "subtract"] = "hard"
    v_reset: Floats = number(0.0)
    v_init: Floats = number(0.0)
    tau: Floats | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        freeze(self, "rate", "rest", "rheobase", "delta", "steepness", "threshold", "v_reset", "v_init")
        check_inverse(self, "rate", "tau")
        require(self, self.reset in ("hard", "subtract"), f"reset {self.reset!r} is not hard or subtract")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.rate.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        v = state["v"]
        rise = xp.exp(over(v - self.rheobase, self.steepness, None if self.tau is None else self.delta, xp)) * self.delta
        h = v + over(inputs[0] + self.rest - v + rise, self.rate, self.tau, xp)
        s, after = fire_and_reset(h, self.threshold, self.strict, self.reset, self.v_reset, xp)
        return s, {"v": after}
