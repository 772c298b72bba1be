"""LIF neurons that tire: every spike raises the threshold, or draws the membrane down, for a while (ALIF, LSNN)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import Membrane, check_current, check_decay, check_membrane, decayed
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class AdaptiveLIF(Membrane):
    """i = current_decay i + current_gain x;  h = rest + decay (v - rest) + gain i;  s = [h >= threshold + c] or [h > ...]

    and then c = adapt_decay c + adapt_jump s. With ``adapts`` "membrane" c is taken off h instead of being added to the
    threshold. ``current``: "none" (i = x), "now", or "late": h takes the current of the step before, so that an input
    acts one step later (Norse). hard: v = v_reset where s; subtract: v = h - amount s, or without ``amount`` the
    threshold as it stood, h - (threshold + c) s. ``floor`` bounds h from below before firing.

    Sources: sinabs 3.1.3 ``layers.functional.alif_forward_single`` (c is its adapt_scale b: adapt_jump =
    adapt_scale (1 - alpha_adapt)); Norse 1.1.0 ``functional.lsnn``: ``lsnn_feed_forward_step`` (c is (1 - dt/tau_b)
    (b - v_th): adapt_jump = (1 - dt/tau_b) beta) and ``ada_lif_step`` ("membrane": adapt_jump = dt/tau_mem beta).
    """

    emits: ClassVar[Emits] = "spikes"
    decay: Floats
    adapt_decay: Floats
    adapt_jump: Floats
    current_decay: Floats = number(0.0)
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Literal["hard", "subtract"] = "hard"
    v_reset: Floats = number(0.0)
    amount: Floats | None = None
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)
    current_gain: Floats = number(1.0)
    current: Literal["none", "now", "late"] = "none"
    adapts: Literal["threshold", "membrane"] = "threshold"
    floor: Floats | None = None
    current_leak: Floats | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        optional = [name for name in ("amount", "floor") if getattr(self, name) is not None]
        freeze(self, "decay", "adapt_decay", "adapt_jump", "current_decay", "gain", "threshold", "v_reset", "rest", "v_init")
        freeze(self, "current_gain", *optional)
        check_membrane(self)
        check_decay(self, self.adapt_decay)
        check_current(self, self.current_decay, self.current_leak)
        require(self, self.reset in ("hard", "subtract"), f"reset {self.reset!r} is not hard or subtract")
        require(self, self.current in ("none", "now", "late"), f"current {self.current!r} is not none, now or late")
        require(self, self.adapts in ("threshold", "membrane"), f"adapts {self.adapts!r} is not threshold or membrane")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.adapt_decay.shape, self.adapt_jump.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        state = {"v": np.broadcast_to(self.v_init, out), "c": np.zeros(out)}
        return state if self.current == "none" else {"i": np.zeros(out), **state}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        now = inputs[0] * self.current_gain
        kept = {}
        if self.current != "none":
            kept["i"] = decayed(state["i"], self.current_decay, self.current_leak, xp) + now
            now = state["i"] if self.current == "late" else kept["i"]
        h = self.charge(state["v"], now, xp)
        theta = self.threshold + state["c"] if self.adapts == "threshold" else self.threshold
        if self.adapts == "membrane":
            h = h - state["c"]
        if self.floor is not None:
            h = xp.maximum(h, self.floor)
        s = xp.fire(h, theta, self.strict)
        c = state["c"] * self.adapt_decay + s * self.adapt_jump
        if self.reset == "hard":
            return s, {**kept, "v": xp.where(s, self.v_reset, h), "c": c}
        return s, {**kept, "v": h - s * (theta if self.amount is None else self.amount), "c": c}
