"""What the silicon does in one step: pure functions on int64 arrays, one a kernel.

They are the definition a native engine is held against. Arrays broadcast; neurons are ``[B, *shape]``. Every formula
is that of lava-nc 0.10.0 ``select_tag='fixed_pt'`` (file named at each), where NumPy's int32 wraps are explicit here.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.chip.models import DECAY_UNIT, STATE_BITS, STATE_MAX

Bools: TypeAlias = NDArray[np.bool_]
STATE_SPAN = 1 << STATE_BITS
STATE_HALF = STATE_SPAN >> 1
INPUT_SHIFT = 6
"""Synaptic sums and thresholds are in units of 64 membrane units."""


def wrap32(x: Ints) -> Ints:
    """Two's complement int32: the value modulo 2**32 in [-2**31, 2**31)."""
    return x.astype(np.int32).astype(np.int64)


def wrap24(x: Ints) -> Ints:
    """Two's complement 24 bits: [-2**23, 2**23). The sum of Lava's Conv (``proc/conv/utils.py``, signed_clamp)."""
    return ((x + STATE_HALF) & (STATE_SPAN - 1)) - STATE_HALF


def wrap_once(x: Ints) -> Ints:
    """The wrap of u: one span up or down, range (-2**23, 2**23] from inputs below 2**24 (``proc/lif/models.py``)."""
    spans = (x <= -STATE_HALF).astype(np.int64) - (x > STATE_HALF)
    return x + STATE_SPAN * spans


def toward_zero(x: Ints, bits: int | Ints) -> Ints:
    """x / 2**bits without its fraction: sign(x) (|x| >> bits), for |x| < 2**62 and bits up to 62."""
    places = np.asarray(bits, np.int64)
    rounding: Ints = (x >> 63) & ((np.int64(1) << places) - 1)
    return (x + rounding) >> places


def shift(x: Ints, exponent: int) -> Ints:
    """x 2**exponent; floored where the exponent is negative."""
    return x << exponent if exponent > 0 else x >> -exponent


def saturate(x: Ints) -> Ints:
    """Clipped to +-(2**23 - 1)."""
    return np.clip(x, -STATE_MAX, STATE_MAX)


def decay(x: Ints, keep: Ints) -> Ints:
    """x keep / 4096 toward zero: a state register forgets ``4096 - keep`` parts of 4096."""
    return wrap32(toward_zero(x * keep, DECAY_UNIT.bit_length() - 1))


def bias_value(mantissa: Ints, exponent: Ints) -> Ints:
    """The bias in membrane units: mantissa << exponent in int32, or an arithmetic right shift where negative."""
    left = wrap32(mantissa << np.maximum(exponent, 0))
    return np.where(exponent >= 0, left, mantissa >> np.maximum(-exponent, 0))


def integrate(u: Ints, v: Ints, a: Ints, keep_u: Ints, keep_v: Ints, bias: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Current and voltage before the threshold, then the sums that they are made of: where these differ, u wrapped, v was clipped.

    ``a`` is the synaptic sum (int32), ``bias`` in membrane units. ``keep_u`` is 4096 - (du + 1), ``keep_v`` 4096 - dv.
    Source: ``proc/lif/models.py`` AbstractPyLifModelFixed.subthr_dynamics.
    """
    current = decay(u, keep_u) + (a << INPUT_SHIFT)
    u_new = wrap_once(wrap32(current))
    voltage = decay(v, keep_v) + u_new + bias
    v_new = saturate(wrap32(voltage))
    return u_new, v_new, current, voltage


def fire(v: Ints, threshold: Ints) -> tuple[Bools, Ints]:
    """Spikes where v > ``threshold`` (membrane units, strict), and v after its reset to 0."""
    spikes = v > threshold
    return spikes, np.where(spikes, 0, v)


def fire_ternary(v: Ints, high: Ints, low: Ints) -> tuple[Ints, Ints]:
    """1 above ``high``, -1 below ``low`` (both where they overlap: 0), and v after its reset (Lava ``TernaryLIF``)."""
    spikes = (v > high).astype(np.int64) - (v < low)
    return spikes, np.where(spikes != 0, 0, v)


def sigma_step(sigma: Ints, a: Ints, bias: Ints, relu: bool) -> tuple[Ints, Ints]:
    """The running sum of the input, and the activation it gives (``proc/sdn/models.py`` SigmaDelta)."""
    total = wrap32(sigma + a)
    activation = wrap32(total + bias)
    return total, np.maximum(activation, 0) if relu else activation


def delta_step(activation: Ints, last: Ints, residue: Ints, threshold: Ints | int) -> tuple[Ints, Ints]:
    """The change that is sent where it reaches ``threshold`` (>=), and the residue that is kept back."""
    change = wrap32(activation - last + residue)
    sent = np.where(np.abs(change) >= threshold, change, 0)
    return sent, change - sent


def delta_step_cumulative(activation: Ints, last: Ints, residue: Ints, error: Ints, threshold: Ints | int) -> tuple[Ints, Ints, Ints]:
    """As ``delta_step``, but fires where the accumulated error reaches ``threshold``; sending clears the error."""
    change = wrap32(activation - last + residue)
    total = wrap32(error + change)
    sent = np.where(np.abs(total) >= threshold, change, 0)
    return sent, change - sent, np.where(sent != 0, 0, total)


def resonate(re: Ints, im: Ints, a: Ints, b: Ints, sin: Ints, cos: Ints, bits: int) -> tuple[Ints, Ints]:
    """One step of a damped oscillator: z turned and shrunk by (cos, sin) / 2**bits, plus (a, b), still to be clipped.

    Source: ``proc/rf/models.py``.
    """
    turned = toward_zero(cos * re, bits) - toward_zero(sin * im, bits) + a
    other = toward_zero(sin * re, bits) + toward_zero(cos * im, bits) + b
    return turned, other
