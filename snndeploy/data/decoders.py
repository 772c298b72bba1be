"""Decoders: what the output layer sent, [T, B, *shape], becomes a score a class, [B, classes], and a prediction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Ints
from snndeploy.errors import DataError, OptionError, did_you_mean

Decoding: TypeAlias = Literal["none", "count", "sum", "mean", "membrane", "max", "first", "last"]


def decode(outputs: NDArray[Any], kind: Decoding, vote: int = 1) -> Floats:
    """Scores [B, classes] of outputs [T, B, *shape]; the larger the likelier.

    count: how many spikes, whatever they carry. sum, mean, max: of the values over time. last: the value of the last
    step; none (the model reads out itself) and membrane (``outputs`` is the membrane's trace) are the same.
    first: T - step of the first spike, 0 for a neuron that never fires. ``vote`` neurons in a row stand for one class
    and are averaged (SpikingJelly ``VotingLayer``).

    Raises:
        OptionError: an unknown kind, a vote that does not divide the outputs, or a vote of first spikes.
        DataError: no steps.
    """
    if kind not in _SCORES:
        raise OptionError(f"--decode {kind}", "is no read-out", did_you_mean(kind, (*_SCORES, "vote:10")))
    if outputs.ndim < 2 or not outputs.shape[0]:
        raise DataError("read-out", f"outputs of shape {list(outputs.shape)} have no steps", "run at least one step")
    flat = outputs.reshape(*outputs.shape[:2], -1)
    return _voted(_SCORES[kind](flat), kind, vote)


def predict(scores: Floats) -> Ints:
    """[B] the class with the largest score; ties go to the lower index, so a silent output predicts class 0."""
    if not np.isfinite(scores).all():
        raise DataError("read-out", "scores are not finite", "the float network diverges; check weights and decays")
    return np.asarray(scores.argmax(axis=1), np.int64)


def accuracy(predictions: Ints, labels: Ints) -> float:
    """The fraction 0..1 of predictions that equal their label. Raises ``DataError`` where the numbers of them differ."""
    if predictions.shape != labels.shape or not labels.size:
        raise DataError("accuracy", f"{len(labels)} labels for {len(predictions)} predictions", "give one label a sample")
    return float((predictions == labels).mean())


def _first(outputs: NDArray[Any]) -> Floats:
    fired = outputs != 0
    return np.where(fired.any(axis=0), len(outputs) - fired.argmax(axis=0), 0).astype(np.float64)


def _last(outputs: NDArray[Any]) -> Floats:
    return np.asarray(outputs[-1], np.float64)


_SCORES: dict[str, Callable[[NDArray[Any]], Floats]] = {
    "none": _last,
    "count": lambda outputs: np.count_nonzero(outputs, axis=0).astype(np.float64),
    "sum": lambda outputs: outputs.sum(axis=0, dtype=np.float64),
    "mean": lambda outputs: outputs.mean(axis=0, dtype=np.float64),
    "membrane": _last,
    "max": lambda outputs: outputs.max(axis=0).astype(np.float64),
    "first": _first,
    "last": _last,
}
assert tuple(_SCORES) == get_args(Decoding)


def _voted(scores: Floats, kind: str, vote: int) -> Floats:
    if vote == 1:
        return scores
    if vote < 1 or scores.shape[1] % vote:
        raise OptionError(f"vote:{vote}", f"does not divide {scores.shape[1]} outputs", "vote:k needs k outputs for each class")
    if kind == "first":
        raise OptionError(f"vote:{vote}", "first spikes are not averaged", "use count, sum, mean, max, membrane or last with a vote")
    voted: Floats = scores.reshape(len(scores), -1, vote).mean(axis=2)
    return voted
