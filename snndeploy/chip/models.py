"""The neuron models that sit in the chip's silicon (as Lava 0.10 ``fixed_pt`` computes them) and what feeds them.

All fields are integers; arrays broadcast against the population's shape. Widths are checked by ``ChipNetwork``.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, TypeAlias

from snndeploy.arrays import Ints, frozen_ints
from snndeploy.chip.program import NeuronProgram

STATE_BITS = 24
STATE_MAX = (1 << (STATE_BITS - 1)) - 1
DECAY_UNIT = 4096
NEVER_FIRES = 1 << 17
"""A threshold mantissa v can never exceed: vth << 6 lies above the 24-bit state (non-spiking read-outs)."""


def ints(value: int = 0) -> Any:
    """A dataclass field whose default is this integer as a read-only array."""
    return dataclasses.field(default_factory=lambda: frozen_ints(value))


def freeze_ints(noun: object, *names: str) -> None:
    """Replace the named fields by read-only int64 arrays; raises ``ValueError`` on fractions."""
    for name in names:
        object.__setattr__(noun, name, frozen_ints(getattr(noun, name)))


@dataclass(frozen=True, eq=False)
class Lif:
    """The fixed LIF (Lava ``PyLifModelBitAcc``), hard reset to 0.

    u = wrap24(tz(u (4096 - (du + 1)) / 4096) + (a << 6));  v = clip(tz(v (4096 - dv) / 4096) + u + bias);
    s = v > vth << 6;  v = 0 where s. ``du`` 4095 forgets the current at once, -1 never; ``bias`` = bias_mant <<
    bias_exp (an arithmetic right shift where negative). With ``reset_interval`` > 0 (Lava ``LIFReset``) u and v are
    cleared before integrating at every step t with t % reset_interval == reset_offset % reset_interval; t starts at 1.
    """

    du: Ints
    dv: Ints
    vth: Ints
    bias_mant: Ints = ints()
    bias_exp: Ints = ints()
    u: Ints = ints()
    v: Ints = ints()
    reset_interval: int = 0
    reset_offset: int = 0

    def __post_init__(self) -> None:
        freeze_ints(self, "du", "dv", "vth", "bias_mant", "bias_exp", "u", "v")


@dataclass(frozen=True, eq=False)
class TernaryLif:
    """The LIF with two thresholds (Lava ``TernaryLIF``): s = (v > vth_hi << 6) - (v < vth_lo << 6)."""

    du: Ints
    dv: Ints
    vth_hi: Ints
    vth_lo: Ints
    bias_mant: Ints = ints()
    bias_exp: Ints = ints()
    u: Ints = ints()
    v: Ints = ints()

    def __post_init__(self) -> None:
        freeze_ints(self, "du", "dv", "vth_hi", "vth_lo", "bias_mant", "bias_exp", "u", "v")


@dataclass(frozen=True, eq=False)
class SigmaDelta:
    """Lava ``SigmaDelta`` and, with ``sums`` False, ``Delta`` (no relu): sends changes of at least ``vth``.

    ``vth`` and ``bias`` are as given to Lava, before the shift by spike_exp + state_exp; ``relu`` clips the
    activation at 0; ``cumulative`` fires on the accumulated error. Lava's Delta has no bias: here it is added to what
    enters, as netx has the host add the constant of an input layer.
    """

    vth: float
    bias: Ints = ints()
    relu: bool = True
    cumulative: bool = False
    spike_exp: int = 0
    state_exp: int = 0
    sums: bool = True

    def __post_init__(self) -> None:
        freeze_ints(self, "bias")


@dataclass(frozen=True, eq=False)
class Resonator:
    """A damped oscillator z = re + i im, Lava ``RF`` and, with ``izhikevich``, ``RF_IZ``.

    re' = tz(cos re) - tz(sin im) + (a << state_exp);  im' = tz(sin re) + tz(cos im) + (b << state_exp), where tz divides by
    2**decay_bits toward zero, a is what enters at port 0 and b at port 1; both are clipped to +-(2**23 - 1).
    s = re' >= vth << state_exp, im' >= 0 and im < 0; nothing is reset. ``izhikevich``: s = im' >= vth << state_exp, then re = 0
    and im = (vth << state_exp) - 1.
    """

    sin: Ints
    cos: Ints
    vth: Ints
    izhikevich: bool = False
    state_exp: int = 6
    decay_bits: int = 12

    def __post_init__(self) -> None:
        freeze_ints(self, "sin", "cos", "vth")


@dataclass(frozen=True, eq=False)
class HostInput:
    """Where the host injects spikes: ``payload_bits`` 0 is binary, otherwise 0 .. 2**bits - 1.

    ``signed`` payloads have a sign besides: -(2**bits - 1) .. 2**bits - 1.

    ``static``: the same value at every step of a sample. ``scale`` is the real value of one integer unit.
    """

    payload_bits: int = 0
    signed: bool = False
    static: bool = False
    scale: float = 1.0

    @property
    def payloads(self) -> tuple[int, int]:
        """The inclusive range of what it may send; binary is 0 or 1."""
        high = (1 << max(1, self.payload_bits)) - 1
        return (-high if self.signed and self.payload_bits else 0), high


Model: TypeAlias = Lif | TernaryLif | SigmaDelta | Resonator | NeuronProgram | HostInput
