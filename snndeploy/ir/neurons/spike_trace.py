"""A decaying trace of spikes (SpikingJelly ``SynapseFilter``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Node, State
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class SpikeTrace(Node):
    """v = v - (1 - x) v rate + x;  y = v. It decays where no spike comes in and stands still where one does.

    Source: SpikingJelly 2.0.0 ``functional.synapse_filter_step`` (rate = 1/tau, or sigmoid(w)).
    """

    rate: Floats

    def __post_init__(self) -> None:
        freeze(self, "rate")
        require(self, bool(((self.rate >= 0) & (self.rate <= 1)).all()), "the rate is outside [0, 1]", "tau must be at least 1")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.rate.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.zeros(self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        v = state["v"] - (1.0 - inputs[0]) * state["v"] * self.rate + inputs[0]
        return v, {"v": v}
