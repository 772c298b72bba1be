"""Burst neurons: one membrane, several thresholds, several output levels (LIFB and its relatives)."""

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
from snndeploy.ir.neurons.lif import Reset, check_reset
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class Burst(Membrane):
    """h = rest + decay (v - rest) + gain x;  k = how many thresholds h reaches;  y = levels[k];  then the reset.

    ``thresholds`` and ``levels`` are [K, ...], rung by rung, the rest broadcast against the feature shape, so a
    level may differ by channel; level 0 is 0. ``strict`` has one entry a rung. hard: v = v_reset where k >= 1;
    subtract: v = h - amounts[k]; none: v = h. ``floor`` bounds h from below before firing (sinabs ``min_v_mem`` <= 0).

    The equations of the LIFB paper (arXiv 2301.12356) could not be had; its first author's public code (BrainCog
    ``BurstLIFNode``) is a fourth variant. So nothing is assumed here: thresholds, levels, comparison and reset are
    all written out, and printed with the model.
    """

    emits: ClassVar[Emits] = "levels"
    decay: Floats
    thresholds: Floats
    levels: Floats
    strict: tuple[bool, ...]
    reset: Reset = "hard"
    v_reset: Floats = number(0.0)
    amounts: Floats | None = None
    gain: Floats = number(1.0)
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)
    floor: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "decay", "thresholds", "levels", "v_reset", "gain", "rest", "v_init", *(["floor"] if self.floor is not None else []))
        check_membrane(self)
        rungs = len(self.strict)
        each = rungs >= 1 and len(self.thresholds) == len(self.levels) == rungs
        require(self, each, "thresholds, levels and strict need one entry a rung")
        require(self, bool((np.diff(self.thresholds, axis=0) > 0).all()), "thresholds must rise from rung to rung")
        check_reset(self)
        require(self, (self.amounts is not None) == (self.reset == "subtract"), "amounts go with reset='subtract', one a rung")
        if self.amounts is not None:
            freeze(self, "amounts")
            require(self, len(self.amounts) == rungs, "amounts need one entry a rung")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.thresholds.shape[1:], self.levels.shape[1:])

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = self.charge(state["v"], inputs[0], xp)
        if self.floor is not None:
            h = xp.maximum(h, self.floor)
        reached = [xp.fire(h, self.thresholds[j], strict) for j, strict in enumerate(self.strict)]
        y = reached[0] * self.levels[0]
        for j in range(1, len(reached)):
            y = xp.where(reached[j], self.levels[j], y)
        return y, {"v": self._after(h, reached, xp)}

    def _after(self, h: Array, reached: list[Array], xp: Namespace) -> Array:
        if self.reset == "hard":
            return xp.where(reached[0], self.v_reset, h)
        if self.amounts is None:
            return h
        taken = reached[0] * self.amounts[0]
        for j in range(1, len(reached)):
            taken = xp.where(reached[j], self.amounts[j], taken)
        return h - taken


def lifb(decay: ArrayLike, threshold: float, burst_threshold: float, kappa: ArrayLike, *, reset: Reset = "hard") -> Burst:
    """LIFB as reconstructed: resting, one regular spike at ``threshold``, a burst of ``kappa`` at ``burst_threshold``.

    Both compare with >=; ``kappa`` broadcasts against the feature shape; a subtracting reset takes ``threshold``.
    """
    size = np.asarray(kappa, dtype=np.float64)
    amounts = frozen([threshold, threshold]) if reset == "subtract" else None
    levels = np.stack([np.ones_like(size), size])
    return Burst(frozen(decay), frozen([threshold, burst_threshold]), frozen(levels), (False, False), reset, amounts=amounts)
