"""The multi-level firing unit: K independent LIF units on one input, whose spikes are added."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import check_decay
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class MLF(Node):
    """For each unit j: h = decay v_j + gain x;  s_j = [h >= thresholds[j]];  v_j = v_reset where s_j, else h;  y = sum of s_j.

    Each unit is reset by its own spike alone, so this is K plain LIF neurons and nothing more (``units``); a burst
    neuron has one potential for all its rungs. ``thresholds`` [K] or [K, ...]. Source: Feng et al., "Multi-Level Firing
    with Spiking DS-ResNet", IJCAI 2022, whose code has decay 0.25 and thresholds 0.6, 1.6, 2.6.
    """

    emits: ClassVar[Emits] = "levels"
    decay: Floats
    thresholds: Floats
    gain: Floats = number(1.0)
    strict: bool = False
    v_reset: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "decay", "thresholds", "gain", "v_reset")
        check_decay(self, self.decay)
        require(self, self.thresholds.ndim > 0 and len(self.thresholds) > 0, "has no thresholds", "one for each unit: (0.6, 1.6, 2.6)")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.thresholds.shape[1:], self.v_reset.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        rest = np.broadcast_to(self.v_reset, self.out_shape((shape,)))
        return {f"v{j}": rest for j in range(1, len(self.thresholds) + 1)}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        drive, after, total = inputs[0] * self.gain, {}, None
        for j in range(len(self.thresholds)):
            h = state[f"v{j + 1}"] * self.decay + drive
            s = xp.fire(h, self.thresholds[j], self.strict)
            after[f"v{j + 1}"] = xp.where(s, self.v_reset, h)
            total = s if total is None else total + s
        return total, after


def units(node: MLF) -> tuple[LIF, ...]:
    """The plain LIF neurons that it is, lowest threshold first as given."""
    return tuple(
        LIF(node.decay, node.gain, frozen(theta), strict=node.strict, v_reset=node.v_reset, v_init=node.v_reset)
        for theta in node.thresholds
    )
