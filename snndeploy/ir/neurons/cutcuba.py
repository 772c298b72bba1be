"""slayer's CUBA: the current-based neuron whose states are counted in 4096ths, as on the chip it is trained for."""

from __future__ import annotations

from dataclasses import dataclass

from snndeploy.ir.graph import State
from snndeploy.ir.layers import require
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.grid import check_grid, cut
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class CutCubaLIF(CubaLIF):
    """i = cut(current_decay i) + cut(x);  h = cut(decay v) + i;  spike where h > threshold (>= if not strict), and v = 0 there, else h.

    ``cut`` rounds toward zero to a multiple of 1/``grid``. Loihi's fixed LIF cuts the same products off at the same place
    where its integers are those of slayer (64ths of weight and threshold, times 64).

    Source: lava-dl 0.6.0 ``slayer.neuron.cuba``, ``dynamics.leaky_integrator._li_dynamics_fwd`` (grid 4096).
    """

    grid: int = 4096

    def __post_init__(self) -> None:
        super().__post_init__()
        check_grid(self, self.grid)
        require(self, self.reset == "hard" and not self.late, "is defined for a hard reset at once")
        gained = (self.gain != 1).any() or (self.current_gain != 1).any()
        moved = self.rest.any() or self.v_reset.any() or self.v_init.any()
        require(self, not gained and not moved, "is defined for gains of 1, and rest, reset and start at 0")

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        i = cut(state["i"] * self.current_decay, self.grid, xp) + cut(inputs[0], self.grid, xp)
        h = cut(state["v"] * self.decay, self.grid, xp) + i
        s = xp.fire(h, self.threshold, self.strict)
        return s, {"i": i, "v": xp.where(s, self.v_reset, h)}
