"""slayer's ALIF: nothing is reset; after a spike the threshold and a refractory barrier rise and fall again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number
from snndeploy.ir.membrane import check_decay
from snndeploy.ir.neurons.grid import check_grid, cut
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class RefractoryLIF(Node):
    """i = current_decay i + x;  v = decay v + i;  r = refractory_decay r;  a = adapt_decay a;  s = [v >= threshold + a + r]

    and then a = a + jump s, r = r + 2 (threshold + a) s with the a that s was compared with. The membrane goes on as if
    nothing had happened. ``grid``: every product, and the input, is cut off toward zero to multiples of 1/grid (0: not at all).

    Source: lava-dl 0.6.0 ``slayer.neuron.alif``, ``dynamics.adaptive_threshold._ath_dynamics_fwd`` (grid 4096).
    """

    emits: ClassVar[Emits] = "spikes"
    current_decay: Floats
    decay: Floats
    adapt_decay: Floats
    refractory_decay: Floats
    jump: Floats
    threshold: Floats = number(1.0)
    grid: int = 0

    def __post_init__(self) -> None:
        freeze(self, "current_decay", "decay", "adapt_decay", "refractory_decay", "jump", "threshold")
        for decay in (self.current_decay, self.decay, self.adapt_decay, self.refractory_decay):
            check_decay(self, decay)
        check_grid(self, self.grid)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.current_decay.shape, self.decay.shape, self.adapt_decay.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        zeros = np.zeros(self.out_shape((shape,)))
        return {"i": zeros, "v": zeros, "a": zeros, "r": zeros}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        i = cut(state["i"] * self.current_decay, self.grid, xp) + cut(inputs[0], self.grid, xp)
        v = cut(state["v"] * self.decay, self.grid, xp) + i
        r = cut(state["r"] * self.refractory_decay, self.grid, xp)
        a = cut(state["a"] * self.adapt_decay, self.grid, xp)
        theta = self.threshold + a
        s = xp.fire(v, theta + r, False)
        return s, {"i": i, "v": v, "a": a + s * self.jump, "r": r + s * theta * 2.0}
