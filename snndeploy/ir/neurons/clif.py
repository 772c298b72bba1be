"""The complementary LIF: a second membrane remembers recent spikes and deepens the reset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import Membrane, check_membrane
from snndeploy.ir.neurons.lif import Reset
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class CLIF(Membrane):
    """h = rest + decay (v - rest) + gain x;  s = [h >= threshold];  m = m sigmoid(rate h) + s;  then the reset.

    subtract: v = h - s (amount + sigmoid(m));  hard: v = v_reset - sigmoid(m) where s, else h. ``rate`` is 1 / tau.
    Source: Huang et al., "CLIF: Complementary Leaky Integrate-and-Fire Neuron", ICML 2024, and its repository
    HuuYuLong/Complementary-LIF, ``modules/neuron.py: ComplementaryLIFNeuron``; SpikingJelly 2.0 ``ComplementaryLIFNode``.
    """

    emits: ClassVar[Emits] = "spikes"
    decay: Floats
    rate: Floats
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Reset = "subtract"
    v_reset: Floats = number(0.0)
    amount: Floats = number(1.0)
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "decay", "rate", "gain", "threshold", "v_reset", "amount", "rest", "v_init")
        check_membrane(self)
        require(self, self.reset in ("hard", "subtract"), f"reset {self.reset!r} is not hard or subtract")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.rate.shape, self.gain.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        return {"v": np.broadcast_to(self.v_init, out), "m": np.zeros(out)}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = self.charge(state["v"], inputs[0], xp)
        s = xp.fire(h, self.threshold, self.strict)
        m = state["m"] * xp.sigmoid(self._share(h, xp)) + s
        deeper = xp.sigmoid(m)
        if self.reset == "hard":
            return s, {"v": xp.where(s, self.v_reset - deeper, h), "m": self._remembered(m, deeper)}
        return s, {"v": h - s * (self.amount + deeper), "m": self._remembered(m, deeper)}

    def _share(self, h: Array, xp: Namespace) -> Array:
        if self.order is None or not self.order.startswith("tau"):
            return h * self.rate
        return xp.rounded(lambda a: xp.divide(a, self.leak), lambda a: a * self.rate, h)

    def _remembered(self, m: Array, squashed: Array) -> Array:
        """What the second membrane takes to the next step."""
        return m
