"""The neuron that fires when its membrane changes by more than a threshold (snnTorch ``DeltaLeaky``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number
from snndeploy.ir.membrane import check_decay
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class ChangeLIF(Node):
    """h = decay v + gain x;  s = [|h - v| > threshold] (strict) or >=;  v = h: nothing is reset.

    Source: snnTorch 1.0.0 ``DeltaLeaky.forward``, whose threshold is ``delta_threshold``.
    """

    emits: ClassVar[Emits] = "spikes"
    decay: Floats
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = True
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "decay", "gain", "threshold", "v_init")
        check_decay(self, self.decay)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = state["v"] * self.decay + inputs[0] * self.gain
        change = h - state["v"]
        return xp.fire(xp.maximum(change, change * -1.0), self.threshold, self.strict), {"v": h}
