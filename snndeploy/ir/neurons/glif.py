"""The gated LIF: a blend of decays, resets and input gains, with constants of its own for every step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.membrane import check_decay
from snndeploy.ir.xp import Array, Namespace

ROWS = ("gain", "decay", "decay_fired", "bias", "bias_fired", "threshold")


@dataclass(frozen=True, eq=False)
class GLIF(Node):
    """v = a v + b + gain[t] x;  s = [v > threshold] (strict, the original) or [v >= threshold] (SpikingJelly).

    (a, b) is (decay, bias), or (decay_fired, bias_fired) where the neuron fired at the step before: the reset acts
    inside the next update. Every array is a table [T, ...] or [1, ...], row by row; a single row holds at every step,
    row t of T rows at step t since the layer's own start. Behind the last row there is nothing: a network with T rows
    runs T steps. Nothing of the gates' sigmoids is left; ``glif`` folds them.

    Source: Yao et al., "GLIF: A Unified Gated Leaky Integrate-and-Fire Neuron", NeurIPS 2022, and its repository
    CAS-CLab/Gated-LIF, ``layers.py``.
    """

    emits: ClassVar[Emits] = "spikes"
    gain: Floats
    decay: Floats
    decay_fired: Floats
    bias: Floats
    bias_fired: Floats
    threshold: Floats
    strict: bool = True

    def __post_init__(self) -> None:
        freeze(self, *ROWS)
        check_decay(self, self.decay)
        check_decay(self, self.decay_fired)
        tables = all(getattr(self, name).ndim >= 1 and len(getattr(self, name)) for name in ROWS)
        require(self, tables, "every array is a table [T, ...] or [1, ...]")
        lengths = sorted({len(getattr(self, name)) for name in ROWS} - {1})
        require(self, len(lengths) < 2, f"tables of {lengths} steps in one neuron", "all tables have one row, or one for each of T steps")

    @property
    def steps(self) -> int | None:
        """How many steps the tables are for; None for any number."""
        return max(len(getattr(self, name)) for name in ROWS) if self._timed else None

    @property
    def _timed(self) -> bool:
        return any(len(getattr(self, name)) > 1 for name in ROWS)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], *(getattr(self, name).shape[1:] for name in ROWS))

    def initial_state(self, shape: Shape) -> Mapping[str, Floats]:
        zeros = np.zeros(self.out_shape((shape,)))
        return {"v": zeros, "s": zeros, **({"t": zeros} if self._timed else {})}

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        def row(values: Array) -> Array:
            return values[0] if len(values) == 1 else xp.table(values, state["t"])

        before = state["s"]
        a = xp.where(before, row(self.decay_fired), row(self.decay))
        b = xp.where(before, row(self.bias_fired), row(self.bias))
        v = a * state["v"] + b + row(self.gain) * inputs[0]
        s = xp.fire(v, row(self.threshold), self.strict)
        return s, {"v": v, "s": s, **({"t": state["t"] + 1.0} if "t" in state else {})}


def glif(
    gates: tuple[ArrayLike, ArrayLike, ArrayLike],
    decay: ArrayLike,
    threshold: ArrayLike,
    leak: ArrayLike,
    amount: ArrayLike,
    conduct: ArrayLike,
    *,
    strict: bool = True,
) -> GLIF:
    """GLIF from its paper's parameters, every one behind its sigmoid: in 0 .. 1.

    v = (1 - al (1 - decay)) v (1 - ga s') - (1 - al) leak + (1 - be (1 - conduct[t])) x - (1 - ga) amount s'

    ``gates`` are (al, be, ga), hard ones 0 or 1, and broadcast against the features; the others are tables, [T, ...] or
    [1, ...] (see ``GLIF``). Source: CAS-CLab/Gated-LIF ``layers.py``, ``LIFSpike_CW.extended_state_update``.
    """
    al, be, ga = (np.asarray(gate, dtype=np.float64) for gate in gates)
    tables = _tables((decay, leak, amount, conduct), max(al.ndim, be.ndim, ga.ndim))
    return GLIF(**fold((al, be, ga), *tables), threshold=frozen(threshold), strict=strict)


def fold(gates: tuple[Array, Array, Array], decay: Array, leak: Array, amount: Array, conduct: Array) -> dict[str, Array]:
    """What a step needs, everything constant worked out; the same arithmetic for NumPy and torch. See ``glif``."""
    al, be, ga = gates
    kept = 1 - al * (1 - decay)
    bias = -(1 - al) * leak
    gain = 1 - be * (1 - conduct)
    return {"gain": gain, "decay": kept, "decay_fired": kept * (1 - ga), "bias": bias, "bias_fired": bias - (1 - ga) * amount}


def glif_f(decay: ArrayLike, threshold: ArrayLike, leak: ArrayLike, amount: ArrayLike, conduct: ArrayLike, *, strict: bool = True) -> GLIF:
    """GLIF_f, coarsely fused: v = decay v (1 - s') - leak + conduct[t] x - amount s'; arguments as in ``glif``.

    Source: CAS-CLab/Gated-LIF ``layers.py``, ``LIFSpike_CW_softsimple``, whose parameter gamma is not used.
    """
    lost, subtract = _tables((leak, amount), 0)
    zero = np.zeros((1,))
    return GLIF(frozen(conduct), frozen(decay), frozen(zero), frozen(-lost), frozen(-lost - subtract), frozen(threshold), strict)


def _tables(values: tuple[ArrayLike, ...], rank: int) -> list[Floats]:
    """Tables [T, ...] of one rank, at least ``rank`` axes behind T, so that they broadcast row against row."""
    arrays = [np.asarray(v, dtype=np.float64) for v in values]
    axes = max(rank + 1, *(a.ndim for a in arrays))
    return [a.reshape(*a.shape[:1], *(1,) * (axes - a.ndim), *a.shape[1:]) for a in arrays]
