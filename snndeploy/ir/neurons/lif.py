"""The leaky integrate-and-fire neuron, with every reset that trained networks use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import Membrane, check_membrane
from snndeploy.ir.xp import Array, Namespace

Reset: TypeAlias = Literal["hard", "subtract", "none"]


@dataclass(frozen=True, eq=False)
class LIF(Membrane):
    """h = rest + decay (v - rest) + gain x;  s = [h > threshold] (strict) or [h >= threshold];  then the reset.

    hard: v = v_reset where s;  subtract: v = h - amount s;  none: v = h. With ``late`` the reset acts inside the
    next update instead: hard h = decay v (1 - s') + gain x, subtract h = decay v + gain x - amount s' (snnTorch
    ``reset_delay=True``; both with rest 0). ``floor`` bounds h from below before firing. Numbers are those that
    are multiplied (``decay``, not 1 - 1/tau) and broadcast against the feature shape; decayed input
    (SpikingJelly) is ``gain = 1 - decay``. Source: spec of SpikingJelly 2.0 ``LIFNode``, snnTorch 1.0 ``Leaky``.
    """

    emits: ClassVar[Emits] = "spikes"
    decay: Floats
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Reset = "hard"
    v_reset: Floats = number(0.0)
    amount: Floats = number(1.0)
    late: bool = False
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)
    floor: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "decay", "gain", "threshold", "v_reset", "amount", "rest", "v_init")
        if self.floor is not None:
            freeze(self, "floor")
        check_membrane(self)
        check_reset(self, late=self.late)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        v = np.broadcast_to(self.v_init, self.out_shape((shape,)))
        return {"v": v, "s": np.zeros_like(v)} if self.late else {"v": v}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = self._updated(inputs[0], state, xp)
        if self.floor is not None:
            h = xp.maximum(h, self.floor)
        s = xp.fire(h, self.threshold, self.strict)
        if self.late:
            return s, {"v": h, "s": s}
        if self.reset == "hard":
            return s, {"v": xp.where(s, self.v_reset, h)}
        return s, {"v": h - s * self.amount if self.reset == "subtract" else h}

    def _updated(self, x: Array, state: State, xp: Namespace) -> Array:
        v = state["v"]
        if self.late and self.reset == "hard":
            v = v * (1.0 - state["s"])
        h = self.charge(v, x, xp)
        if self.late and self.reset == "subtract":
            h = h - state["s"] * self.amount
        return h


def check_reset(node: Any, *, late: bool = False) -> None:
    """One of the three resets; a ``late`` one rests at 0, and a hard one goes there. Raises ``GraphError``."""
    require(node, node.reset in ("hard", "subtract", "none"), f"reset {node.reset!r} is not hard, subtract or none")
    require(node, not late or not node.rest.any(), "a late reset is defined for rest = 0 only")
    require(node, not late or node.reset != "hard" or not node.v_reset.any(), "a late hard reset goes to 0 only")


def integrate_and_fire(threshold: ArrayLike = 1.0, *, strict: bool = False, reset: Reset = "hard") -> LIF:
    """IF: a LIF that forgets nothing (decay 1); subtract takes the threshold off."""
    return LIF(decay=frozen(1.0), threshold=frozen(threshold), strict=strict, reset=reset, amount=frozen(threshold))
