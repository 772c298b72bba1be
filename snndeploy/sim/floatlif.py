"""The LIF in float64: as exact as the int64 kernels while nothing wraps or saturates, in a third of the passes.

States stay below 2**23 and a decay product below 2**36, so float64 holds every value and x keep / 4096 exactly. A step
that leaves the range says so, and is computed by the int64 kernels instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Ints
from snndeploy.chip.models import DECAY_UNIT, STATE_MAX
from snndeploy.sim.kernels import INPUT_SHIFT

Constant: TypeAlias = "Floats | float"
INPUT_UNIT = float(1 << INPUT_SHIFT)


@dataclass(frozen=True, eq=False)
class Registers:
    """A LIF's constants: the fractions its states keep, bias and threshold in membrane units; a float if all are equal."""

    keep_u: Constant
    keep_v: Constant
    bias: Constant
    threshold: Constant
    lowest: float


def registers(keep_u: Ints, keep_v: Ints, bias: Ints, threshold: Ints) -> Registers:
    """The constants of the int64 kernels, for ``step``."""
    kept = (_constant(keep / DECAY_UNIT) for keep in (keep_u, keep_v))
    return Registers(next(kept), next(kept), _constant(bias), _constant(threshold), float(threshold.min()))


def _constant(values: Ints | Floats) -> Constant:
    return float(values.flat[0]) if bool((values == values.flat[0]).all()) else values.astype(np.float64)


def step(
    u: Floats, v: Floats, a: Floats | None, bias: Ints | None, constants: Registers, into: tuple[Floats, Floats, Floats]
) -> NDArray[np.int8] | None:
    """One step from ``u``, ``v`` into the first two of the ``into`` arrays (the third is scratch).

    Args:
        u: the current before, whole numbers.
        v: the voltage before, whole numbers.
        a: the synaptic sum, whole numbers below 2**47; None: nothing arrived.
        bias: what the host adds to the bias, in membrane units; None: nothing.
        constants: of the population.
        into: three arrays of the states' shape.

    Returns:
        The spikes, or None where u or v would leave the 24 bits (``into`` then holds nothing of use).
    """
    u_new, v_new, scratch = into
    _decay(u, constants.keep_u, u_new)
    if a is not None:
        np.add(u_new, np.multiply(a, INPUT_UNIT, out=scratch), out=u_new)
    if u_new.max(initial=0) > STATE_MAX or u_new.min(initial=0) < -STATE_MAX:
        return None
    _decay(v, constants.keep_v, v_new)
    np.add(v_new, u_new, out=v_new)
    if not isinstance(constants.bias, float) or constants.bias:
        np.add(v_new, constants.bias, out=v_new)
    if bias is not None:
        np.add(v_new, bias, out=v_new)
    highest = v_new.max(initial=-np.inf)
    if highest > STATE_MAX or v_new.min(initial=0) < -STATE_MAX:
        return None
    if highest <= constants.lowest:
        return np.zeros(v.shape, np.int8)
    spikes = v_new > constants.threshold
    np.putmask(v_new, spikes, 0.0)
    return spikes.view(np.int8)


def _decay(x: Floats, keep: Constant, out: Floats) -> None:
    if isinstance(keep, float) and keep in (0.0, 1.0):
        out[...] = x if keep else 0.0
        return
    np.multiply(x, keep, out=out)
    np.trunc(out, out=out)
