"""Resonate-and-fire neurons: a damped oscillator, turned by an angle at every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.neurons.grid import check_grid, cut
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class ResonateFire(Node):
    """re' = cos re - sin im + a;  im' = sin re + cos im + b, where a enters at port 0, b at port 1 (nothing there: 0).

    ``fires`` says when, and what is left behind:
    phase: s = [re' >= threshold] where im' >= 0 and im < 0 (one turn is complete); nothing is reset (slayer RF).
    izhikevich: s = [im' >= threshold]; then re = 0 and im = ``after`` (slayer RF_IZ: threshold - 1/4096).
    hard, subtract: s = [im' >= threshold]; then im = ``after``, or im - threshold; re goes on (SpikingJelly ``RAFNode``).
    ``cos`` and ``sin`` hold the damping too: exp(b dt) cos(omega dt). ``strict``: > in place of >= for the threshold.
    ``grid``: products and inputs are cut off toward zero to multiples of 1/grid (0: not at all).

    Sources: lava-dl 0.6.0 ``slayer.neuron.rf``, ``rf_iz``, ``dynamics.resonator._res_dynamics_fwd`` (grid 4096);
    SpikingJelly 2.0.0 ``functional.raf_step`` (u is re, v is im).
    """

    emits: ClassVar[Emits] = "spikes"
    ports: ClassVar[int | None] = 2
    cos: Floats
    sin: Floats
    threshold: Floats = number(1.0)
    fires: Literal["phase", "izhikevich", "hard", "subtract"] = "phase"
    after: Floats = number(0.0)
    strict: bool = False
    grid: int = 0
    v_init: Floats = number(0.0)

    def __post_init__(self) -> None:
        freeze(self, "cos", "sin", "threshold", "after", "v_init")
        require(self, self.fires in ("phase", "izhikevich", "hard", "subtract"), f"fires {self.fires!r} is not known")
        grows = float((self.cos**2 + self.sin**2).max())
        require(self, grows <= 1 + 1e-12, f"grows by {grows**0.5:.4g} a step", "the damping must be at most 1")
        check_grid(self, self.grid)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(*inputs, self.cos.shape, self.sin.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        out = self.out_shape((shape,))
        return {"re": np.zeros(out), "im": np.broadcast_to(self.v_init, out)}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        re, im = state["re"], state["im"]
        real = cut(re * self.cos, self.grid, xp) - cut(im * self.sin, self.grid, xp) + cut(inputs[0], self.grid, xp)
        imag = cut(re * self.sin, self.grid, xp) + cut(im * self.cos, self.grid, xp)
        if len(inputs) > 1:
            imag = imag + cut(inputs[1], self.grid, xp)
        if self.fires == "phase":
            crossing = xp.fire(imag, 0.0, False) * (1.0 - xp.fire(im, 0.0, False))
            return xp.fire(real, self.threshold, self.strict) * crossing, {"re": real, "im": imag}
        s = xp.fire(imag, self.threshold, self.strict)
        if self.fires == "subtract":
            return s, {"re": real, "im": imag - s * self.threshold}
        left = xp.where(s, self.after, imag)
        return s, {"re": real * (1.0 - s) if self.fires == "izhikevich" else real, "im": left}
