"""LIF with a synaptic current: the current-based (CUBA) neuron of Loihi, Norse and snnTorch's Synaptic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.neurons.lif import Reset, check_decay
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class CubaLIF(Node):
    """i = current_decay i + current_gain x;  h = rest + decay (v - rest) + gain i;  then fires and resets as LIF.

    The current is never reset. A synapse that is used before it decays (Norse: i + x now, decayed afterwards) is
    this with ``current_gain`` 1; one that decays its new input too (sinabs) has ``current_gain = current_decay``.
    """

    emits: ClassVar[Emits] = "spikes"
    current_decay: Floats
    decay: Floats
    current_gain: Floats = number(1.0)
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Reset = "hard"
    v_reset: Floats = number(0.0)
    amount: Floats = number(1.0)
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "current_decay", "decay", "current_gain", "gain", "threshold", "v_reset", "amount", "rest", "v_init")
        check_decay(self, self.decay)
        check_decay(self, self.current_decay)
        require(self, self.reset in ("hard", "subtract", "none"), f"reset {self.reset!r} is not hard, subtract or none")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.current_decay.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        return {"i": np.zeros(out), "v": np.broadcast_to(self.v_init, out)}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        i = state["i"] * self.current_decay + inputs[0] * self.current_gain
        h = (state["v"] - self.rest) * self.decay + self.rest + i * self.gain
        s = xp.fire(h, self.threshold, self.strict)
        if self.reset == "hard":
            return s, {"i": i, "v": xp.where(s, self.v_reset, h)}
        return s, {"i": i, "v": h - s * self.amount if self.reset == "subtract" else h}
