"""The KLIF: its membrane is scaled by a learned k and rectified before it fires."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, State
from snndeploy.ir.layers import freeze, number, require
from snndeploy.ir.membrane import Membrane, check_membrane
from snndeploy.ir.neurons.lif import LIF, Reset
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class KLIF(Membrane):
    """h = rest + decay (v - rest) + gain x;  f = max(k h, 0);  s = [f >= threshold];  then the reset.

    What stays is f, or f / k with ``scale_reset``: hard: v_reset where s;  subtract: f - amount s, all of it divided by
    k with ``scale_reset``. ``k`` may be negative: then a membrane below 0 fires. Source: Jiang and Zhang, "KLIF: An
    optimized spiking neuron unit for tuning surrogate gradient slope and membrane potential", arXiv 2302.09238, as
    SpikingJelly 2.0 ``KLIFNode`` computes it.
    """

    emits: ClassVar[Emits] = "spikes"
    decay: Floats
    gain: Floats = number(1.0)
    k: Floats = number(1.0)
    threshold: Floats = number(1.0)
    strict: bool = False
    reset: Reset = "hard"
    v_reset: Floats = number(0.0)
    amount: Floats = number(1.0)
    rest: Floats = number(0.0)
    v_init: Floats = number(0.0)
    scale_reset: bool = False

    def __post_init__(self) -> None:
        freeze(self, "decay", "gain", "k", "threshold", "v_reset", "amount", "rest", "v_init")
        check_membrane(self)
        require(self, self.reset in ("hard", "subtract"), f"reset {self.reset!r} is not hard or subtract")
        require(self, not self.scale_reset or bool((self.k != 0).all()), "k is 0, and scale_reset divides by it", "train with k > 0")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.decay.shape, self.gain.shape, self.k.shape, self.threshold.shape)

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        return {"v": np.broadcast_to(self.v_init, self.out_shape((shape,)))}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        h = self.charge(state["v"], inputs[0], xp)
        f = xp.maximum(h * self.k, 0.0)
        s = xp.fire(f, self.threshold, self.strict)
        kept = xp.divide(f, self.k) if self.scale_reset else f
        if self.reset == "hard":
            return s, {"v": xp.where(s, self.v_reset, kept)}
        taken = xp.divide(self.amount, self.k) if self.scale_reset else self.amount
        return s, {"v": kept - s * taken}


def as_lif(node: KLIF) -> LIF | None:
    """The LIF with floor 0 that equals it over the reals; None where none does.

    scale_reset: max(k h, 0) / k = max(h, 0), so threshold and amount are divided by k. Else decay and gain are
    multiplied by k, if rest is 0 and no decay exceeds 1. Both need k > 0. Other numbers
    round in no library's order: ``order`` is left out.
    """
    if not (node.k > 0).all():
        return None
    kept = node.scale_reset or bool((node.k == 1).all())
    lif = LIF(
        node.decay,
        node.gain,
        node.threshold,
        node.strict,
        node.reset,
        node.v_reset,
        node.amount,
        False,
        node.rest,
        node.v_init,
        frozen(0.0),
        order=node.order if kept else None,
        leak=node.leak if kept else None,
    )
    if node.scale_reset:
        return dataclasses.replace(lif, threshold=frozen(node.threshold / node.k), amount=frozen(node.amount / node.k))
    decay = frozen(node.decay * node.k)
    if node.rest.any() or (decay > 1).any():
        return None
    return dataclasses.replace(lif, decay=decay, gain=frozen(node.gain * node.k))
