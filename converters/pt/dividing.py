"""A LIF in the order of operations of a library that divides by tau.

The graph multiplies by decay = 1 - 1/tau and by gain. In real numbers that is the same; in float64 an input that brings the
potential to the threshold exactly may end up a bit below it, unless tau is a power of two. docs/rounding.md counts them.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.graph import State
from snndeploy.ir.layers import number
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class DividingLIF(LIF):
    """h = v + (x - (v - rest)) / tau, or with ``whole`` inputs h = v - (v - rest) / tau + x. To hold a recording against, never saved.

    Source: SpikingJelly 2.0, ``_ops/lif/reference.py: charge``.
    """

    tau: Floats = number(2.0)
    whole: bool = False

    def _charge(self, x: Array, state: State, xp: Namespace) -> Array:
        v = state["v"]
        return v - (v - self.rest) / self.tau + x if self.whole else v + (x - (v - self.rest)) / self.tau


def dividing(node: LIF, tau: Floats, whole: bool) -> DividingLIF | None:
    """The same neuron dividing by tau; None where every tau is a power of two, and nothing is rounded."""
    if (np.frexp(tau)[0] == 0.5).all():
        return None
    return DividingLIF(**{field.name: getattr(node, field.name) for field in fields(LIF)}, tau=tau, whole=whole)
