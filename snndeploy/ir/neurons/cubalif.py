"""LIF with a synaptic current: the current-based (CUBA) neuron of Loihi, Norse and snnTorch's Synaptic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number
from snndeploy.ir.membrane import Membrane, check_current, check_membrane, decayed
from snndeploy.ir.neurons.lif import Reset, check_reset
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class CubaLIF(Membrane):
    """i = current_decay i + current_gain x;  h = rest + decay (v - rest) + gain i;  then fires and resets as LIF.

    The current is never reset. A synapse that is used before it decays (Norse: i + x now, decayed afterwards) is
    this with ``current_gain`` 1; one that decays its new input too (sinabs) has ``current_gain = current_decay``.

    With ``late`` the reset acts inside the next update: subtract h = decay v + gain i - amount s', hard h = 0, so that
    the current of that step is lost (snnTorch 1.0 ``Synaptic``; with current_decay 0 its ``Lapicque`` and ``RLeaky``).
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
    late: bool = False
    current_leak: Floats | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        freeze(self, "current_decay", "decay", "current_gain", "gain", "threshold", "v_reset", "amount", "rest", "v_init")
        check_membrane(self)
        check_current(self, self.current_decay, self.current_leak)
        check_reset(self, late=self.late)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.current_decay.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        v = np.broadcast_to(self.v_init, out)
        return {"i": np.zeros(out), "v": v, **({"s": np.zeros_like(v)} if self.late else {})}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        i = decayed(state["i"], self.current_decay, self.current_leak, xp) + inputs[0] * self.current_gain
        h = self.charge(state["v"], i, xp)
        if self.late:
            return self._fire_late(h, i, state["s"], xp)
        s = xp.fire(h, self.threshold, self.strict)
        if self.reset == "hard":
            return s, {"i": i, "v": xp.where(s, self.v_reset, h)}
        return s, {"i": i, "v": h - s * self.amount if self.reset == "subtract" else h}

    def _fire_late(self, h: Array, i: Array, before: Array, xp: Namespace) -> tuple[Array, State]:
        if self.reset == "hard":
            h = h * (1.0 - before)
        elif self.reset == "subtract":
            h = h - before * self.amount
        s = xp.fire(h, self.threshold, self.strict)
        return s, {"i": i, "v": h, "s": s}
