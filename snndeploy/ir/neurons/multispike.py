"""The neuron that fires as often in one step as its potential allows (sinabs ``MultiSpike``, Rockpool)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import check_decay
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class MultiSpike(Node):
    """h = decay v + gain x, not below ``floor``;  k = how often the threshold fits into h, or 0;  v = h - k threshold;  y = k.

    The k-th spike needs h >= k threshold. A floor below 0 may be applied before or after the reset: it is the same.
    ``inverse`` is 1 / threshold and need not be given; it only finds the nearest multiple, which is then compared.
    Source: sinabs 3.1 ``layers.functional.lif_forward_single`` with ``MultiSpike`` and ``MembraneSubtract``.
    """

    emits: ClassVar[Emits] = "levels"
    decay: Floats
    gain: Floats = number(1.0)
    threshold: Floats = number(1.0)
    v_init: Floats = number(0.0)
    floor: Floats | None = None
    inverse: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "decay", "gain", "threshold", "v_init")
        check_decay(self, self.decay)
        require(self, bool((self.threshold > 0).all()), "a threshold is not positive", "a threshold of 0 is reached any number of times")
        object.__setattr__(self, "inverse", frozen(1.0 / self.threshold if self.inverse is None else self.inverse))
        if self.floor is not None:
            freeze(self, "floor")
            require(self, bool((self.floor <= 0).all()), "the floor is above 0", "the floor bounds the potential from below")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = state["v"] * self.decay + inputs[0] * self.gain
        if self.floor is not None:
            h = xp.maximum(h, self.floor)
        nearest = xp.maximum(xp.floor(h * self.inverse + 0.5), 1.0)
        k = nearest - 1.0 + xp.fire(h, nearest * self.threshold, strict=False)
        return k, {"v": h - k * self.threshold}
