"""Neurons whose membrane drives itself: quadratic (QIF), and with recovery (Izhikevich)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import check_inverse, over
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class QuadraticIF(Node):
    """h = v + rate (x + a0 (v - rest) (v - critical) - w);  s = [h >= threshold] (or > if strict);  then the reset of v

    (hard: v_reset; subtract: h - threshold), and, with ``recovery``, w = w + w_rate (a (h - rest) - w) + b s; without it w
    is 0. Nothing bounds v from below or above. It has no integer form: the membrane is multiplied with itself.

    ``tau`` = 1 / rate and ``tau_w`` = 1 / w_rate, where given, are divided by instead: the same but for the last bit.

    Source: SpikingJelly 2.0.0 ``QIFNode``, ``IzhikevichNode`` (``_ops/qif``, ``_ops/izhikevich``; rate = 1/tau, w_rate = 1/tau_w).
    """

    emits: ClassVar[Emits] = "spikes"
    rate: Floats
    rest: Floats
    critical: Floats
    a0: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Literal["hard", "subtract"] = "hard"
    v_reset: Floats = number(0.0)
    v_init: Floats = number(0.0)
    recovery: bool = False
    w_rate: Floats = number(0.0)
    a: Floats = number(0.0)
    b: Floats = number(0.0)
    w_init: Floats = number(0.0)
    tau: Floats | None = field(default=None, kw_only=True)
    tau_w: Floats | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        freeze(self, "rate", "rest", "critical", "a0", "threshold", "v_reset", "v_init", "w_rate", "a", "b", "w_init")
        check_inverse(self, "rate", "tau")
        check_inverse(self, "w_rate", "tau_w")
        require(self, self.reset in ("hard", "subtract"), f"reset {self.reset!r} is not hard or subtract")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.rate.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        v = {"v": np.broadcast_to(self.v_init, out)}
        return {**v, "w": np.broadcast_to(self.w_init, out)} if self.recovery else v

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        v = state["v"]
        drive = inputs[0] + self.a0 * (v - self.rest) * (v - self.critical)
        h = v + over(drive - state["w"] if self.recovery else drive, self.rate, self.tau, xp)
        s, after = fire_and_reset(h, self.threshold, self.strict, self.reset, self.v_reset, xp)
        if not self.recovery:
            return s, {"v": after}
        drawn = over((h - self.rest) * self.a - state["w"], self.w_rate, self.tau_w, xp)
        return s, {"v": after, "w": state["w"] + drawn + s * self.b}


def fire_and_reset(h: Array, threshold: Array, strict: bool, reset: str, v_reset: Array, xp: Namespace) -> tuple[Array, Array]:
    """The spike, and the membrane after a hard reset to ``v_reset`` or a subtraction of the threshold."""
    s = xp.fire(h, threshold, strict)
    return s, xp.where(s, v_reset, h) if reset == "hard" else h - s * threshold
