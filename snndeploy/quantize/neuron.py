"""One float neuron at a given scale -> the integer neuron."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import QuantizeError
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF

BIAS_MANT_MAX = 4095
BIAS_EXP_MAX = 7
VTH_MAX = 131_071
UNIT = 64
"""Units of v a weight unit is worth."""
ROUNDING = 1e-12
"""A whole number that a division of floats missed by this much, relative, is meant."""


def gain_of(node: Node) -> Floats:
    """What multiplies the synaptic sum on its way into the membrane of a neuron that registers hold; folded into the weights."""
    assert isinstance(node, LIF | CubaLIF | LI | Burst), "by_registers says so"
    return frozen(node.gain * node.current_gain) if isinstance(node, CubaLIF) else node.gain


def to_integers(node: Node, constant: Floats, scale: float, level_unit: float, snap: bool, below: bool = False) -> IntegerNeuron:
    """The integer neuron of ``node``, which registers hold and which starts at rest, when one weight unit is worth ``scale``.

    ``constant`` [*shape] is the real constant that enters the membrane each step (gain applied). Thresholds of
    hard-resetting neurons lie on the mantissa's grid: vth << 6 for ``>``, theta = 64 m + 1 for ``>=``; with ``below`` a
    ``>=`` takes the mantissa one lower, so that a sum that meets the threshold exactly fires.

    Raises:
        QuantizeError: L006, L007 where a threshold or bias does not fit its register.
    """
    per_unit = UNIT / scale
    du = 4095.0 - np.round(4096.0 * node.current_decay) if isinstance(node, CubaLIF) else 4095.0
    dv = 4096.0 - np.round(4096.0 * node.decay)  # type: ignore[attr-defined]
    bias = _bias(constant * per_unit, drivable=not isinstance(node, CubaLIF))
    if isinstance(node, LI):
        none = np.zeros((0,))
        return IntegerNeuron(frozen(du), frozen(dv), none, none, frozen(bias))
    thresholds, strict, levels, amounts = ladder(node)
    floor = getattr(node, "floor", None)
    grid = threshold_grid(node, snap)
    snapped = _thresholds(thresholds * per_unit, strict, grid, below)
    return IntegerNeuron(
        frozen(du),
        frozen(dv),
        frozen(snapped),
        frozen(np.round(levels / level_unit)),
        frozen(bias),
        node.reset,  # type: ignore[attr-defined]
        None if amounts is None else frozen(_amounts(amounts * per_unit, thresholds * per_unit, snapped, grid)),
        getattr(node, "late", False),
        None if floor is None else frozen(np.round(floor * per_unit)),
    )


def ladder(node: Node) -> tuple[Floats, tuple[bool, ...], Floats, Floats | None]:
    """(thresholds, strictness, levels, amounts), one entry a rung; a plain neuron is a ladder of one rung."""
    if isinstance(node, Burst):
        return node.thresholds, node.strict, node.levels, node.amounts
    assert isinstance(node, LIF | CubaLIF), "registers hold no other neuron"
    amounts = node.amount[None] if node.reset == "subtract" else None
    return node.threshold[None], (node.strict,), np.ones((1,) * (node.threshold.ndim + 1)), amounts


def threshold_grid(node: Node, snap: bool) -> int:
    """On which multiples the thresholds must lie: the mantissa's where the fixed LIF can serve, or the lateral synapses'.

    A neuron that fires at rest (a negative threshold, or 0 with >=) is no fixed LIF: its thresholds are not snapped.
    """
    thresholds, strict, *_ = ladder(node)
    lowest, reset = thresholds[0], node.reset  # type: ignore[attr-defined]
    if reset == "hard" and getattr(node, "floor", None) is None and bool((lowest > 0).all() or (strict[0] and (lowest >= 0).all())):
        return UNIT
    if snap and reset == "subtract" and len(strict) > 1:
        return _lateral_grid(4096.0 - np.round(4096.0 * node.decay))  # type: ignore[attr-defined]
    return 1


def _thresholds(v: Floats, strict: tuple[bool, ...], grid: int, below: bool) -> Floats:
    """Integers t with ``h > t`` for ``h > v`` (strict) or ``h >= v``, on multiples of ``grid``."""
    rows = [np.floor(v[j]) if s else np.ceil(v[j] - ROUNDING * np.abs(v[j])) - 1 for j, s in enumerate(strict)]
    snapped = np.asarray(np.round(np.stack(rows) / grid) * grid)
    if below and grid > 1:
        snapped = np.stack([snapped[j] if s else np.floor(rows[j] / grid) * grid for j, s in enumerate(strict)])
    if np.abs(snapped).max() > VTH_MAX * UNIT:
        raise QuantizeError(
            "threshold", f"vth {snapped.max() / UNIT:g} exceeds {VTH_MAX}", "L006: the weights are tiny against the threshold"
        )
    return snapped


def _amounts(v: Floats, thresholds: Floats, snapped: Floats, grid: int) -> Floats:
    """What a spike takes off, on the grid; what stayed at or above 0 in the model does so here."""
    rounded = np.round(v / grid) * grid
    return np.where(v <= thresholds, np.minimum(rounded, snapped + (grid == 1)), rounded)


def _bias(v: ArrayLike, drivable: bool) -> Floats:
    """Multiples of 64, as a synapse drives them: mantissa << 6 or 7, one exponent a layer, at most 4095; or as many as it takes."""
    wanted = np.asarray(v, dtype=np.float64)
    largest = float(np.abs(wanted).max(initial=0.0))
    exponents = (e for e in range(UNIT.bit_length() - 1, BIAS_EXP_MAX + 1) if round(largest / 2**e) <= BIAS_MANT_MAX)
    exponent = next(exponents, None)
    if exponent is None and drivable:
        return np.asarray(np.round(wanted / UNIT) * UNIT)
    if exponent is None:
        what = f"{largest:.0f} exceeds {BIAS_MANT_MAX} << {BIAS_EXP_MAX}"
        raise QuantizeError("bias", what, "L007: a smaller resting potential, or fewer weight bits")
    return np.asarray(np.round(wanted / 2**exponent) * 2.0**exponent)


def _lateral_grid(dv: ArrayLike) -> int:
    """Thresholds on this grid make decay * amount / 4096 / 64 whole, as lateral synapses need."""
    keep = np.unique(4096 - np.asarray(dv, dtype=np.int64))
    return int(np.lcm.reduce([4096 * UNIT // np.gcd(int(k), 4096 * UNIT) for k in keep if k] or [1]))
