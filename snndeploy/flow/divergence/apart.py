"""The numbers of two LIF layers, each with the rounding that a register allows: what is farther apart, and in what way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats
from snndeploy.chip.models import DECAY_UNIT
from snndeploy.flow.divergence.registers import Numbers

DECAY_STEP = 1.5 / DECAY_UNIT
"""Decays farther apart than this were not merely rounded to a register."""
MANTISSA = 1.5
"""Units of its mantissa by which a threshold may be off."""
LOOSE = 0.02
"""What a scale that is read off rounded numbers leaves open, relative."""
VANISHED = 0.5
"""Weights that lost more than this part of their norm were not merely rounded, however coarse the step."""
ALIKE = 0.9
"""The part of the weights that a pattern must explain."""
END = 254
"""The largest even weight of a synapse of 8 bits."""


@dataclass(frozen=True)
class Off:
    """Numbers that are off: their fields of ``Numbers``, the class of the cause, what is seen."""

    parts: tuple[str, ...]
    cause: str
    words: str


@dataclass(frozen=True)
class Apart:
    """The real value of one unit of the chip's sums, and what is off by it.

    ``clipped``: weights beyond what a synapse holds stand at its end, as the quantizer may have chosen.
    """

    scale: float
    off: tuple[Off, ...]
    clipped: Off | None = None


def numbers_apart(ours: Numbers, theirs: Numbers) -> Apart:
    """What is off between a graph's numbers and the chip's, by the scale that leaves the least to explain.

    The chip does not say what its unit stands for: it is read off the thresholds, and off the weights.
    """
    tried = [_by(scale, ours, theirs) for scale in _scales(ours, theirs)]
    by_threshold, by_weights = tried[0], tried[-1]
    if len(by_weights.off) != len(by_threshold.off):
        return min(tried, key=lambda found: len(found.off))
    if [found.cause for found in by_threshold.off] == ["weights"]:
        return by_weights  # the weights are those of the graph, in another proportion to the threshold
    return by_threshold


def _by(scale: float, ours: Numbers, theirs: Numbers) -> Apart:
    found = tuple(_off(ours.scaled(scale), theirs))
    clipped = next((off for off in found if off.cause == "clipping"), None)
    return Apart(scale, tuple(off for off in found if off is not clipped), clipped)


def _scales(ours: Numbers, theirs: Numbers) -> Iterator[float]:
    theirs_threshold = np.median(theirs.threshold)
    if theirs_threshold > 0:
        yield float(np.median(ours.threshold)) / float(theirs_threshold)
    both = [n for n in ours.kernels if n in theirs.kernels]
    a, b = (np.concatenate([np.zeros(0), *(numbers.kernels[n].ravel() for n in both)]) for numbers in (ours, theirs))
    large = (np.abs(b) >= 0.3 * np.abs(b).max(initial=0)) & (b != 0) & (a != 0)
    if large.any():
        yield float(np.median(np.abs(a[large] / b[large])))
    elif theirs_threshold <= 0:
        yield 1.0


def _off(ours: Numbers, theirs: Numbers) -> Iterator[Off]:
    """In running order: what enters, what is kept of it, what it is compared with."""
    yield from _kernels(ours, theirs)
    step = _step(*theirs.kernels.values())
    loose = LOOSE * float(np.abs(theirs.threshold).max())
    if _farther(ours.current + ours.potential, theirs.current + theirs.potential, max(1.0, 0.5 * step) + loose):
        same = theirs.current + theirs.potential
        words = f"the constant input is {_some(same)} on the chip, {_some(ours.current + ours.potential)} in the graph"
        yield Off(("current", "potential"), "bias", words)
    for part, name in (("keep_v", "v"), ("keep_u", "u")):
        a, b = getattr(ours, part), getattr(theirs, part)
        if _farther(a, b, DECAY_STEP):
            yield Off((part,), "decay", f"of {name} the chip keeps {_some(b)} a step, the graph {_some(a)}")
    if _farther(ours.threshold, theirs.threshold, MANTISSA + LOOSE * np.abs(ours.threshold)):
        yield Off(
            ("threshold",), "threshold", f"the threshold is {_some(theirs.threshold)} on the chip, {_some(ours.threshold)} in the graph"
        )


def _kernels(ours: Numbers, theirs: Numbers) -> Iterator[Off]:
    for name, a in ours.kernels.items():
        b = theirs.kernels.get(name, np.zeros_like(a))
        length = min(len(a), len(b))
        found = _weights(a[:length], b[:length])
        if found is not None:
            yield Off(("kernels",), found[0], f"from {name}: {found[1]}")
            return


def _weights(a: Floats, b: Floats) -> tuple[str, str] | None:
    """How the weights differ: the class and the words; None where they are within rounding."""
    if not b.any():
        return ("lost", "no synapse leads there") if a.any() else None
    off = ~_rounded(a, b)
    clipped = off & _clipped(a, b)
    if not off.any():
        return _vanished(a, b)
    places = f"{int(off.sum())} of {int(((a != 0) | (b != 0)).sum())} weights are off"
    if clipped[off].all():
        return "clipping", f"{places}: they stand at the end of what a synapse holds"
    for cause, words, other in _patterns(a):
        if (_rounded(other, b) | _clipped(other, b)).all():
            return cause, words
    return _partly(a, b, off & ~clipped, places)


def _partly(a: Floats, b: Floats, off: NDArray[np.bool_], places: str) -> tuple[str, str]:
    """How the weights differ that no pattern of all of them explains."""
    if not b[off].any():
        return "lost", f"{places}: they are 0 on the chip"
    if _same_values(a, b):
        return "order", f"{places}: the same weights in another order"
    ratio = _ratio(a, b)
    if ratio is not None:
        return "exponent" if np.isclose(
            np.log2(ratio) % 1, [0, 1], atol=0.03
        ).any() else "weights", f"they are {ratio:.3g} times the graph's"
    return "weights", places


def _rounded(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Where b is a to the nearest step of b's grid."""
    return np.asarray(np.abs(a - b) <= 0.5 * _step(b) + LOOSE * np.abs(a) + 0.5)


def _clipped(a: Floats, b: Floats) -> NDArray[np.bool_]:
    """Where b stands at the end of what a synapse holds, and a lies beyond it."""
    return np.asarray((np.abs(b) >= END * _unit(b)) & (np.abs(a) > np.abs(b)) & (a * b > 0))


def _vanished(a: Floats, b: Floats) -> tuple[str, str] | None:
    """Within half a step of a grid so coarse that little of the weights is left."""
    norm = float(np.linalg.norm(a))
    if not norm or float(np.linalg.norm(a - b)) <= VANISHED * norm:
        return None
    gone = int(((b == 0) & (a != 0)).sum())
    return "weights", f"{gone} of {int((a != 0).sum())} weights are rounded to 0"


def _patterns(a: Floats) -> Iterator[tuple[str, str, Floats]]:
    """What somebody may have made of the weights, all of them."""
    for late in (1, -1, 2, -2):
        moved = np.zeros_like(a)
        if late > 0:
            moved[late:] = a[:-late]
        else:
            moved[:late] = a[-late:]
        yield "delay", f"spikes arrive {abs(late)} step(s) {'later' if late > 0 else 'earlier'} than in the graph", moved
    yield "sign-mode", "the signs are turned around", -a
    yield "sign-mode", "negative weights are cut off", np.maximum(a, 0)
    yield "sign-mode", "the signs are lost", np.abs(a)


def _ratio(a: Floats, b: Floats) -> float | None:
    """The factor between them, where it is one."""
    both = (np.abs(b) >= 4 * _step(b)) & (np.abs(a) > 0.5)
    if not both.any():
        return None
    ratios = b[both] / a[both]
    middle = float(np.median(ratios))
    fits = np.abs(ratios / middle - 1) <= 0.15 if middle > 0 else np.zeros(1)
    return middle if fits.mean() >= ALIKE and abs(middle - 1) > LOOSE else None


def _same_values(a: Floats, b: Floats) -> bool:
    allowed = _step(b) + LOOSE * float(np.abs(a).max()) + 1
    x, y = np.sort(a[a != 0]), np.sort(b[b != 0])
    rank = np.linspace(0, 1, 65)
    if not len(x) or not len(y) or abs(len(x) - len(y)) > 0.1 * len(x):
        return False
    return bool((np.abs(np.quantile(x, rank) - np.quantile(y, rank)) <= allowed).all())


def _step(*values: Floats) -> float:
    """The grid that the chip's weights lie on; few of them say too little of it."""
    whole = np.unique(np.abs(np.concatenate([np.zeros(0), *(v.ravel() for v in values)])).astype(np.int64))
    whole = whole[whole > 0]
    if len(whole) < 3:
        return 2.0 * _unit(*values)
    return float(min(np.gcd.reduce(whole), 32 * _unit(*values)))


def _unit(*values: Floats) -> float:
    """2^exponent: the power of two by which 8 bits hold the largest."""
    most = max((float(np.abs(v).max(initial=0)) for v in values), default=0.0)
    return float(2 ** max(0, int(np.ceil(np.log2(max(most, 1.0) / 256)))))


def _farther(a: Floats, b: Floats, allowed: float | Floats) -> bool:
    return bool((np.abs(a - b) > allowed).any())


def _some(values: Floats) -> str:
    """One number, or the range of several."""
    low, high = float(values.min()), float(values.max())
    return f"{low:.5g}" if np.isclose(low, high) else f"{low:.5g}..{high:.5g}"
