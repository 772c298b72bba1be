"""Layer by layer, or plainly: of few weight bits, the integers that answer more like the float network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.errors import QuantizeError
from snndeploy.flow.bursts import with_constant
from snndeploy.flow.feeding import Feed, float_predictions
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Output
from snndeploy.quantize import Quantized, Settings, quantize
from snndeploy.quantize.settings import FULL_BITS
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace

CLEARLY = 2.0
"""Standard errors by which more samples must be won than lost before the plain rule is taken (McNemar, Psychometrika 1947)."""
PLAIN = "no weight is clipped: the whole network answers more like the float one"


def quantized(graph: Graph, settings: Settings, seen: Mapping[str, Floats], data: Feed, reference: Trace, ranged: Feed) -> Quantized:
    """``quantize``; of fewer than 8 weight bits never worse than the obvious, on the calibration ``data``.

    What is best for each layer by itself may add up to a worse network than no clipping at all: both are run, and the
    one that answers as the float network did (``reference``) clearly more often is taken. ``seen`` are all values of the float
    run, ``ranged`` all data that the payloads must hold.

    Raises:
        QuantizeError, Unsupported: as ``quantize``.
    """
    chosen = quantize(graph, settings, seen, ranged.inputs)
    few = any(bits < FULL_BITS for bits in settings.weight_bits.values())
    if not few or settings.plain or not graph.named(Output):
        return chosen
    try:
        plain = quantize(graph, replace(settings, plain=True), seen, ranged.inputs)
    except QuantizeError:
        return chosen
    wanted = float_predictions(graph, reference)
    agrees = [float_predictions(q.graph, _ran(q, data)) == wanted for q in (chosen, plain)]
    won, lost = int(np.sum(agrees[1] & ~agrees[0])), int(np.sum(agrees[0] & ~agrees[1]))
    if won - lost <= CLEARLY * np.sqrt(won + lost):
        return chosen
    return replace(plain, layers=tuple(replace(s, notes=(*s.notes, PLAIN)) for s in plain.layers))


def integer_inputs(q: Quantized, data: Feed) -> dict[str, Floats]:
    """The data in whole units of each input, and the constant 1 where the integer graph asks for it."""
    return with_constant(q.graph, {name: np.round(values / q.units[name]) for name, values in data.inputs.items()})


def _ran(q: Quantized, data: Feed) -> Trace:
    return run_reference(q.graph, integer_inputs(q, data), data.steps, record=q.graph.named(Output))
