"""The burst neuron whose membrane is multiplied, not set or lowered, when it fires (BrainCog ``BurstLIFNode``)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import Membrane, check_membrane
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class ScaledBurst(Membrane):
    """h = decay v + gain x;  k = how many thresholds h exceeds (>);  y = levels[k];  v = factors[k] h, or h for k = 0.

    ``thresholds``, ``levels`` and ``factors`` are [K, ...], rung by rung; the rest broadcasts against the feature shape.
    A factor below -1 throws the membrane as far below 0 as it was above: this is no reset that plain LIF neurons can
    be put together to (the membrane's slope with respect to the past changes sign with k).
    """

    emits: ClassVar[Emits] = "levels"
    decay: Floats
    thresholds: Floats
    levels: Floats
    factors: Floats
    gain: Floats = number(1.0)
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "decay", "thresholds", "levels", "factors", "gain", "v_init")
        check_membrane(self)
        each = len(self.thresholds) == len(self.levels) == len(self.factors) >= 1
        require(self, each, "thresholds, levels and factors need one entry a rung")
        require(self, bool((np.diff(self.thresholds, axis=0) > 0).all()), "thresholds must rise from rung to rung")

    def products(self, v: Array, x: Array) -> Array:
        return v * self.decay + x * self.gain

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.thresholds.shape[1:], self.levels.shape[1:])

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = self.charge(state["v"], inputs[0], xp)
        y, factor = h * 0.0, h * 0.0 + 1.0
        for j in range(len(self.thresholds)):
            reached = xp.fire(h, self.thresholds[j], True)
            y, factor = xp.where(reached, self.levels[j], y), xp.where(reached, self.factors[j], factor)
        return y, {"v": h * factor}


def braincog_burst(decay: ArrayLike, gain: ArrayLike, threshold: ArrayLike, burst: float = 1.5, most: int = 5) -> ScaledBurst:
    """k = ceil(h - threshold) within 0 ... ``most``;  y = k, or ``burst`` k for k > 1;  v = h (1 - k).

    Source: BrainCog 0.2.7.19 ``base.node.node.BurstLIFNode`` with ``RoundGrad`` (Hardtanh(-0.5, 4.5), ceil).
    """
    theta = np.asarray(threshold, dtype=np.float64)
    k = np.arange(1, most + 1, dtype=np.float64).reshape(-1, *(1,) * theta.ndim)
    levels = np.where(k > 1, burst * k, k)
    return ScaledBurst(frozen(decay), frozen(theta + (k - 1)), frozen(levels), frozen(1 - k), frozen(gain))
