"""Neurons without a membrane, that weigh their last inputs: the masked parallel spiking neuron, whose weights change with time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class WindowedSpike(Node):
    """s = [sum over d of weight[t, d] x(t - d) >= threshold[t]] (or > if strict), d = 0 ... k - 1, x = 0 before the start.

    ``weight`` [T, k], ``threshold`` [T]; ``t`` counts the neuron's own steps from 0, and stays at the last row after T of
    them. Where all rows are the same it is a memoryless LIF behind k synapses with delays 0 ... k - 1, which chips have:
    then use that. Source: SpikingJelly 2.0.0 ``MaskedPSN`` (Fang et al., "Parallel Spiking Neurons", NeurIPS 2023, equation 8).
    """

    emits: ClassVar[Emits] = "spikes"
    weight: Floats
    threshold: Floats
    strict: bool = False

    def __post_init__(self) -> None:
        freeze(self, "weight", "threshold")
        fits = self.weight.ndim == 2 and self.weight.size > 0 and self.threshold.shape == self.weight.shape[:1]
        require(self, fits, f"weight {self.weight.shape} must be [T, k], threshold {self.threshold.shape} must be [T]")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return inputs[0]

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        zeros = np.zeros(shape)
        return {"t": zeros, **{f"x{d}": zeros for d in range(1, self.weight.shape[1])}}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        window = [inputs[0], *(state[f"x{d}"] for d in range(1, len(state)))]
        t, h, theta = state["t"], inputs[0] * 0.0, inputs[0] * 0.0
        for row in range(len(self.threshold)):
            now = xp.fire(t, float(row), False)
            total = window[0] * self.weight[row][0]
            for d in range(1, len(window)):
                total = total + window[d] * self.weight[row][d]
            h, theta = xp.where(now, total, h), xp.where(now, self.threshold[row], theta)
        return xp.fire(h, theta, self.strict), {"t": t + 1.0, **{f"x{d}": window[d - 1] for d in range(1, len(window))}}
