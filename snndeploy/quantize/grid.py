"""Whole weights -> what synapses can hold: mantissas of 8 bits with an exponent, even where signs mix."""

from __future__ import annotations

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.errors import QuantizeError

LARGEST = 255
EXPONENT_MAX = 7
REACH = 8 * 254
"""The largest weight made of repeated mantissas."""


def on_grid(weights: Ints, *, exponent: bool, where: str) -> list[tuple[Ints, int]]:
    """(mantissas, exponent) pairs whose shifted sum is exactly ``weights``.

    One pair where the matrix fits the grid as it is; a mixed matrix with odd values is split by sign (all-excitatory
    and all-inhibitory matrices keep odd values); a larger one is split into digits, or without an exponent into
    repeated matrices. Raises ``QuantizeError`` where a weight would need more than 8 of them.
    """
    if not weights.any():
        return []
    shift = _common_shift(weights) if exponent else 0
    mantissas = weights >> shift
    if np.abs(mantissas).max() <= LARGEST and _even_or_one_sign(mantissas):
        return [(mantissas, shift)]
    if np.abs(mantissas).max() <= LARGEST:
        return [(part, shift) for part in (np.maximum(mantissas, 0), np.minimum(mantissas, 0))]
    if exponent:
        return _digits(weights, where)
    return _repeated(weights, where)


def _common_shift(weights: Ints) -> int:
    """The largest exponent that loses no bit."""
    together = int(np.bitwise_or.reduce(np.abs(weights).ravel()))
    shift = (together & -together).bit_length() - 1
    if not _even_or_one_sign(weights >> shift) and shift > 0:
        shift -= 1
    return min(shift, EXPONENT_MAX)


def _even_or_one_sign(m: Ints) -> bool:
    return bool(m.min() >= 0 or m.max() <= 0 or not (m & 1).any())


def _digits(weights: Ints, where: str) -> list[tuple[Ints, int]]:
    """Low seven bits as they are, the rest at the largest exponent, repeated while it exceeds a mantissa."""
    magnitude, sign = np.abs(weights), np.sign(weights)
    _check_reach(weights, REACH << EXPONENT_MAX, where)
    parts = on_grid(sign * (magnitude & 127), exponent=True, where=where)
    high = sign * (magnitude >> 7)
    return parts + [(m, e + 7) for m, e in _repeated(high, where)]


def _repeated(weights: Ints, where: str) -> list[tuple[Ints, int]]:
    _check_reach(weights, REACH, where)
    parts: list[tuple[Ints, int]] = []
    rest = weights
    while rest.any():
        now = np.clip(rest, -254, 254)
        parts += on_grid(now, exponent=False, where=where)
        rest = rest - now
    return parts


def _check_reach(weights: Ints, reach: int, where: str) -> None:
    if np.abs(weights).max(initial=0) > reach:
        what = f"weight {np.abs(weights).max()} is beyond {reach}, the reach of 8 mantissas and the exponent"
        raise QuantizeError(where, what, "L005: fewer weight bits")
