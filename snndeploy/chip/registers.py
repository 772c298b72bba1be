"""The registers of a fixed neuron, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from snndeploy.chip.models import Lif, Model, TernaryLif
from snndeploy.errors import ChipError

REGISTERS: Mapping[str, tuple[int, int]] = MappingProxyType(
    {
        "du": (-1, 4095),
        "dv": (0, 4096),
        "vth": (-(1 << 17), 1 << 17),
        "vth_hi": (-(1 << 17), 1 << 17),
        "vth_lo": (-(1 << 17), 1 << 17),
        "bias_mant": (-(1 << 15), (1 << 15) - 1),
        "bias_exp": (-16, 16),
    }
)
"""Inclusive ranges: what Lava stores (bias_mant as int16) and computes with (it takes a vth below 0, the chip does not).
The profile's own, narrower limits are checked when placing."""


def check_registers(name: str, model: Model) -> None:
    """Raise ``ChipError`` if a register of the fixed LIF ``name`` holds a value it cannot."""
    if not isinstance(model, Lif | TernaryLif):
        return
    for register, (low, high) in REGISTERS.items():
        values = getattr(model, register, None)
        if values is not None and (values.min() < low or values.max() > high):
            raise ChipError(f"{name}.{register}", f"{values.min()}..{values.max()} is outside {low}..{high}", "rescale the layer")
