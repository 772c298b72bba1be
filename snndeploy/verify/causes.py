"""Words for what probably went wrong, where a look at the two series is enough to tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def likely_cause(a: NDArray[Any], b: NDArray[Any], whole: NDArray[Any], shift: int) -> str:
    """Why a layer's series ``a`` and ``b`` [T, B, *shape] part; ``whole`` is the run that ``b`` was cut from; "" if unknown."""
    if a.any() and not b.any():
        return "this layer is silent in the second run"
    if b.any() and not a.any():
        return "this layer is silent in the first run"
    if np.array_equal(a != 0, b != 0):
        return "the spikes agree, their levels do not"
    for late in (-1, 1, -2, 2):
        other = whole[max(0, shift + late) :][: len(a)]
        if shift + late >= 0 and np.array_equal(a[: len(other)], other):
            return f"the series agree with a shift of {shift + late} instead of {shift} steps"
    if not np.array_equal(a[0], b[0]):
        return "they part at the first step: the input, a bias or the initial state"
    return ""
