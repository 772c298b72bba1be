"""Where sums meet thresholds exactly: scales at which the model's own numbers are whole, and thresholds that count a tie.

A ``>=`` neuron fires on a tie. The fixed LIF says v > vth << 6, so on the grid of whole weight units a tie is missed
unless the mantissa is one lower, which in turn fires up to 63 units of v early. Which of the two loses less depends
on the data: models with few-bit weights meet ties all the time, others never.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.ir.neurons.li import LI
from snndeploy.quantize.layer import Layer
from snndeploy.quantize.neuron import UNIT, ladder, threshold_grid
from snndeploy.quantize.settings import FULL_BITS, Settings

FINEST = 10
"""Numbers are tried as multiples of threshold * 2**-k up to this k."""
CLIPPED = 0.9
"""A scale that is finer by no more than this clips the largest weights instead of taking a coarser step."""


@dataclass(frozen=True)
class Fit:
    """One way to make a layer whole: its ``scale``, the fraction of the largest weight that is kept, and where ties fall.

    ``crowded``: the scale is coarser than the weights' own, for the registers' sake.
    """

    scale: float
    clip: float = 1.0
    below: bool = False
    crowded: bool = False


def has_few_bits(layer: Layer) -> bool:
    """Whether a synapse has fewer weight bits than the chip's."""
    return any(s.bits < FULL_BITS for s in layer.synapses if s.trained)


def nudged(fit: Fit, scale: float, layer: Layer) -> Fit:
    """The fit at a nearby ``scale``. A layer of few bits clips a little rather than lose one of them to a finer scale."""
    by = scale / fit.scale
    return replace(fit, scale=scale, clip=fit.clip * by if has_few_bits(layer) and CLIPPED < by < 1 else fit.clip)


def at_ties(layer: Layer, best: Fit, settings: Settings) -> Iterator[Fit]:
    """Fits beside the ``best`` that count ties, and the one at which every weight is whole."""
    theta = _threshold(layer)
    if theta is None:
        return
    exact = _exact(layer, theta)
    on_grid = not isinstance(layer.node, LI) and layer.program is None and threshold_grid(layer.node, settings.snap) == UNIT
    if on_grid and not all(ladder(layer.node)[1]):
        yield replace(nudged(best, theta / max(1, round(theta / best.scale)), layer), below=True)
        if exact:
            yield Fit(exact, below=True)
    if exact:
        yield Fit(exact)


def _threshold(layer: Layer) -> float | None:
    """The first threshold where one number serves the layer; 1 for membranes; None otherwise."""
    if isinstance(layer.node, LI) or layer.program is not None:
        return 1.0
    first = ladder(layer.node)[0][0]
    return float(np.ravel(first)[0]) if np.ptp(first) == 0 and np.ravel(first)[0] > 0 else None


def _exact(layer: Layer, theta: float) -> float | None:
    """The finest scale theta / M at which every weight lies on its synapse's grid; None where there is none."""
    synapses = [s for s in layer.synapses if not s.host and not s.driven and s.peak]
    for k in range(FINEST + 1):
        whole = [s.weights / theta * 2**k / s.step for s in synapses]
        if all(np.array_equal(w, np.round(w)) for w in whole):
            room = min((s.limit / s.step / float(np.abs(w).max()) for s, w in zip(synapses, whole, strict=True)), default=0.0)
            return None if room < 1 else theta / 2 ** (k + int(np.log2(room)))
    return None
