"""Unknown modules that leak and never fire: a membrane that is read."""

from __future__ import annotations

import numpy as np
from torch import nn

from converters.pt.blackbox import Box, box, by_itself
from converters.pt.finding import FEW, Found
from converters.pt.fitting import nice
from converters.pt.hearing import Heard
from converters.pt.neuron import Neuron
from converters.pt.replaying import replay
from converters.pt.trials import STEPS, inputs
from snndeploy.arrays import Floats
from snndeploy.errors import SnnError
from snndeploy.ir.neurons.li import LI

ROUNDING = 1e-12
"""How far a membrane may be off, in units of the largest of its sequence: another order of the same sum."""


def leaks(part: nn.Module, heard: Heard, where: str) -> Found | None:
    """The leaky integrator that a module is; None for what keeps nothing, or is anything else: tracing looks into it."""
    try:
        with by_itself(where, ""):
            asked = box(part, heard, where)
            meant = _integrator(asked)
            if meant is None or _off(asked, meant, FEW)[0]:
                return None
            off, compared = _off(asked, meant, STEPS)
    except SnnError:
        return None
    if off:
        return None
    said = f"0 of {compared:,} differ by more than rounding ({ROUNDING:g} of the largest)"
    return Found(meant, asked.lead, said, np.ones(()), asked.hands_back())


def _integrator(asked: Box) -> Neuron | None:
    """Decay and gain from what one input leaves behind."""
    given = np.zeros((3, 2, *asked.shape))
    given[0, 0] = 1.0
    first, second, third = asked.run(given)
    quiet = not (first[1].any() or second[1].any())
    with np.errstate(all="ignore"):
        decay = second[0] / first[0]
    if not quiet or not (np.isfinite(decay).all() and (decay > 0).all() and (decay <= 1).all() and third[0].all()):
        return None
    return Neuron(LI(nice(decay), nice(first[0])))


def _off(asked: Box, meant: Neuron, steps: int) -> tuple[int, int]:
    """How many values differ by more than rounding, and how many were compared."""
    off = compared = 0
    for _, given in inputs(asked, np.ones(asked.shape), steps, plain=False):
        theirs, ours = asked.run(given), replay(meant, given, 1)
        bound: Floats = ROUNDING * np.abs(ours).max(axis=0, initial=1e-300)
        off, compared = off + int(np.count_nonzero(~(np.abs(theirs - ours) <= bound))), compared + ours.size
    return off, compared
