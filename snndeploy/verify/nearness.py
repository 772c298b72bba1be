"""How near two networks' answers are, where equality is not claimed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.errors import DataError
from snndeploy.trace import Trace
from snndeploy.verdict import Fidelity


def fidelity(
    float_predictions: NDArray[Any],
    chip_predictions: NDArray[Any],
    labels: NDArray[Any] | None = None,
    float_trace: Trace | None = None,
    chip_trace: Trace | None = None,
    layers: Iterable[str] = (),
) -> Fidelity:
    """Accuracy of both, how often they agree, and per layer the fraction of neuron-steps whose spike differs.

    Args:
        float_predictions: [N] classes; ``chip_predictions`` and ``labels`` likewise.
        chip_predictions: of the same samples.
        labels: the truth, where it is known.
        float_trace: run of the float network; ``chip_trace`` of the chip, layers ``shifts`` steps later.
        chip_trace: see ``float_trace``.
        layers: the layers to hold against each other.

    Raises:
        DataError: predictions or labels of different length, no samples, or layers that do not fit.
    """
    ours, theirs = np.asarray(float_predictions), np.asarray(chip_predictions)
    truth = None if labels is None else np.asarray(labels)
    if ours.ndim != 1 or not ours.size or ours.shape != theirs.shape or (truth is not None and truth.shape != ours.shape):
        given = "none" if truth is None else truth.shape
        raise DataError("predictions", f"need one class a sample: float {ours.shape}, chip {theirs.shape}, labels {given}")
    rates = {} if float_trace is None or chip_trace is None else {n: _differing(float_trace, chip_trace, n) for n in layers}
    return Fidelity(
        samples=len(ours),
        float_accuracy=None if truth is None else float(np.mean(ours == truth)),
        chip_accuracy=None if truth is None else float(np.mean(theirs == truth)),
        agreement=float(np.mean(ours == theirs)),
        layers=rates,
    )


def _differing(a: Trace, b: Trace, layer: str) -> float:
    series = _shown(a.outputs, layer, a.shifts.get(layer, 0)), _shown(b.outputs, layer, b.shifts.get(layer, 0))
    steps = min(map(len, series))
    left, right = (s[:steps].reshape(steps, -1) for s in series)
    if not steps or left.shape != right.shape:
        raise DataError(layer, "has another size in the two runs, or no step in common", "compare runs of the same samples")
    return float(np.mean(left != right))


def _shown(outputs: Mapping[str, NDArray[Any]], layer: str, shift: int) -> NDArray[np.bool_]:
    if layer not in outputs:
        raise DataError(layer, "was not recorded in both runs", f"recorded: {', '.join(outputs)}")
    return np.asarray(outputs[layer][shift:] != 0)
