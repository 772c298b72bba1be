"""The sigma-delta neuron: it sums what arrives, applies its activation, and sends the changes that are large enough."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Node, State
from snndeploy.ir.layers import freeze, number
from snndeploy.ir.neurons.grid import check_grid
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class SigmaDeltaUnit(Node):
    """sigma = sigma + x;  a = max(sigma + bias, 0) (relu) or sigma + bias;  d = a - a' + left;  y = d where |d| >= threshold, else 0;

    left = d - y, a' = a. ``sums`` False: a is made of x itself (a Delta encoder). ``grid``: what is sent is rounded
    down to a multiple of 1/grid, while ``left`` is not told of it (0: not at all).

    Source: lava-dl 0.6.0 ``slayer.neuron.sigma_delta``, ``axon.delta._DeltaUnit`` (grid 4096, the floor at its end).
    Its ``cum_error`` stops with an error under today's torch (1 - a bool tensor), so there is nothing to be equal to.
    """

    threshold: Floats = number(1.0)
    bias: Floats = number(0.0)
    relu: bool = True
    sums: bool = True
    grid: int = 0

    def __post_init__(self) -> None:
        freeze(self, "threshold", "bias")
        check_grid(self, self.grid)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.threshold.shape, self.bias.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        zeros = np.zeros(self.out_shape((shape,)))
        words = (["sigma"] if self.sums else []) + ["a", "left"]
        return dict.fromkeys(words, zeros)

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        sigma = state["sigma"] + inputs[0] if self.sums else inputs[0]
        a = sigma + self.bias
        a = xp.maximum(a, 0.0) if self.relu else a
        d = a - state["a"] + state["left"]
        y = d * xp.fire(xp.maximum(d, d * -1.0), self.threshold, False)
        kept = {"a": a, "left": d - y}
        if self.sums:
            kept["sigma"] = sigma
        return (xp.floor(y * float(self.grid)) * (1.0 / self.grid) if self.grid else y), kept
