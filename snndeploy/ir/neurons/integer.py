"""The neuron of the quantized graph: the chip's own integer arithmetic, still without the chip's latency.

Values are whole numbers held in float64 (exact: every product stays below 2**53). Run by the reference executor
this is the integer definition that every construction on the chip must equal, spike for spike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Candidate, Emits, Limits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.neurons import decoupling
from snndeploy.ir.neurons.lif import Reset
from snndeploy.ir.xp import Array, Namespace

STATE_MAX = float(2**23 - 1)
WRAP = float(2**24)


@dataclass(frozen=True, eq=False)
class IntegerNeuron(Node):
    """The chip's LIF with any number of rungs (source of the arithmetic: lava-nc 0.10.0 ``PyLifModelBitAcc``).

    u = wrap24(tz(u (4095 - du) / 4096) + 64 a);  h = clip24(tz(v (4096 - dv) / 4096) + u + bias [- amounts s'])
    k = number of thresholds below h (strict);  y = levels[k];  v = 0, h - amounts[k] or h.

    ``a`` is the synaptic sum in weight units; ``thresholds`` [K, ...], ``amounts`` [K, ...] and ``bias`` are in
    units of v (64 a weight unit); ``levels`` [K, ...] are whole payloads. K = 0 never fires and emits v. ``late``
    takes the amount of the previous step's spike off inside the update. ``floor`` bounds h from below.
    """

    emits: ClassVar[Emits] = "levels"
    du: Floats
    dv: Floats
    thresholds: Floats
    levels: Floats
    bias: Floats = number(0.0)
    reset: Reset = "hard"
    amounts: Floats | None = None
    late: bool = False
    floor: Floats | None = None

    def __post_init__(self) -> None:
        optional = [name for name in ("amounts", "floor") if getattr(self, name) is not None]
        freeze(self, "du", "dv", "thresholds", "levels", "bias", *optional)
        for name in ("du", "dv", "thresholds", "levels", "bias", *optional):
            values = getattr(self, name)
            require(self, bool((values == np.round(values)).all()), f"{name} must be whole numbers")
        within = (self.du >= -1).all() and (self.du <= 4095).all() and (self.dv >= 0).all() and (self.dv <= 4096).all()
        require(self, bool(within), "decays: du -1..4095, dv 0..4096")
        require(self, len(self.thresholds) == len(self.levels), "thresholds and levels need one entry a rung")
        require(self, (self.amounts is not None) == (self.reset == "subtract"), "amounts go with reset='subtract'")
        require(self, not self.late or (self.rungs == 1 and self.reset == "subtract"), "late is defined for one subtracting rung")

    @property
    def rungs(self) -> int:
        """How many thresholds; 0 is a read-out that never fires."""
        return len(self.thresholds)

    @property
    def fixed(self) -> bool:
        """True if the chip's fixed LIF computes exactly this (otherwise it takes a neuron program)."""
        if self.late or self.floor is not None or self.rungs > 1:
            return False
        if self.rungs == 0:
            return True
        on_grid = (self.thresholds % 64 == 0).all() and (self.thresholds >= 0).all()
        return self.reset == "hard" and bool((self.levels == 1).all() and on_grid)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shapes = (self.du.shape, self.dv.shape, self.bias.shape, self.thresholds.shape[1:], self.levels.shape[1:])
        return np.broadcast_shapes(inputs[0], *shapes)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        zeros = frozen(np.zeros(self.out_shape((shape,))))
        return {"u": zeros, "v": zeros, **({"s": zeros} if self.late else {})}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        u = wrapped(xp.trunc(state["u"] * (4095.0 - self.du) * (1 / 4096)) + inputs[0] * 64.0, xp)
        h = xp.trunc(state["v"] * (4096.0 - self.dv) * (1 / 4096)) + u + self.bias
        if self.late and self.amounts is not None:
            h = h - state["s"] * self.amounts[0]
        h = xp.minimum(xp.maximum(h, -STATE_MAX), STATE_MAX)
        if self.floor is not None:
            h = xp.maximum(h, self.floor)
        if self.rungs == 0:
            return h, {"u": u, "v": h}
        return self._fire(h, u, xp)

    def _fire(self, h: Array, u: Array, xp: Namespace) -> tuple[Array, State]:
        reached = [xp.fire(h, self.thresholds[j], True) for j in range(self.rungs)]
        y, taken = reached[0] * self.levels[0], 0.0
        for j in range(1, self.rungs):
            y = xp.where(reached[j], self.levels[j], y)
        if self.late:
            return y, {"u": u, "v": h, "s": reached[0]}
        if self.reset == "hard":
            return y, {"u": u, "v": xp.where(reached[0], 0.0, h)}
        for j in range(self.rungs if self.amounts is not None else 0):
            taken = xp.where(reached[j], self.amounts[j], taken)  # type: ignore[index]
        return y, {"u": u, "v": h - taken}

    def lower(self, limits: Limits) -> tuple[Candidate, ...]:
        return decoupling.candidates(self, limits)


def wrapped(u: Array, xp: Namespace) -> Array:
    """Once around 24 bits, to the range (-2**23, 2**23] (Lava wraps once only)."""
    over = xp.fire(u, 2.0**23, True)
    under = 1.0 - xp.fire(u, -(2.0**23), True)
    return u - over * WRAP + under * WRAP
