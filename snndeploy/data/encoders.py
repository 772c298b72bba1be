"""Encoders: static values [N, *shape] become spikes or currents over time [N, T, *shape].

direct: the value itself at every step. rate: a Bernoulli spike with the value as its probability (Poisson coding).
latency: one spike, the earlier the larger the value: step round((T - 1)(1 - x)), ties to even (SpikingJelly
``LatencyEncoder('linear')``, snnTorch ``spikegen.latency(linear=True)``; so 0 fires at the last step).
delta: the change since the step before, zero before the start; its running sum is the value again (sigma-delta),
exactly for integers and up to float64 rounding otherwise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from snndeploy.data.samples import Samples
from snndeploy.errors import DataError, OptionError, did_you_mean

Encoding: TypeAlias = Literal["direct", "rate", "latency", "delta"]


def encode(x: NDArray[Any], kind: Encoding, timesteps: int, seed: int = 0) -> NDArray[Any]:
    """[N, *shape] -> [N, T, *shape]. ``seed`` matters for rate only; a sample's spikes do not depend on later samples.

    direct costs no memory (the result is a read-only view).

    Raises:
        DataError: rate and latency need values from 0 to 1; OptionError: an unknown kind or no steps.
    """
    _check(kind, timesteps)
    if kind == "direct":
        return np.broadcast_to(x[:, None], (len(x), timesteps, *x.shape[1:]))
    if kind == "delta":
        changes = np.zeros((len(x), timesteps, *x.shape[1:]), _signed(x))
        changes[:, 0] = x
        return changes
    if x.size and not (x.min() >= 0 and x.max() <= 1):
        raise DataError(f"--encode {kind}", f"values run from {x.min()} to {x.max()}, not from 0 to 1", "scale the data, e.g. x / 255")
    return _rate(x, timesteps, seed) if kind == "rate" else _latency(x, timesteps)


def over_time(samples: Samples, kind: Encoding, timesteps: int | None, seed: int = 0) -> Samples:
    """Fitted samples with a time axis on every input: static ones are encoded, timed ones stay (delta: become changes).

    The inputs are taken in order and each draws from its own stream of ``seed``. Encode before taking a ``part``:
    the n-th sample draws its spikes as the n-th.

    Raises:
        DataError: the samples have not been fitted.
        OptionError: static inputs and no ``timesteps``, or rate or latency for an input that already has a time axis.
    """
    if samples.static is None:
        raise DataError(samples.where, "has not been held against the network's inputs", "call fit first")
    steps = samples.steps if samples.steps is not None else timesteps
    if steps is None:
        raise OptionError("--timesteps", f"{samples.where} has no time axis, so the number of steps must be given", "e.g. --timesteps 25")
    inputs = {}
    for stream, (name, values) in enumerate(samples.inputs.items()):
        if name in samples.static:
            inputs[name] = encode(values, kind, steps, seed + stream)
        elif kind in ("rate", "latency"):
            raise OptionError(f"--encode {kind}", f"{samples.where} already has a time axis", "leave --encode out, or give static data")
        else:
            inputs[name] = _changes(values) if kind == "delta" else values
    return replace(samples, inputs=inputs, static=frozenset())


def _check(kind: str, timesteps: int) -> None:
    if kind not in get_args(Encoding):
        raise OptionError(f"--encode {kind}", "is no encoder", did_you_mean(kind, get_args(Encoding)))
    if timesteps < 1:
        raise OptionError("--timesteps", f"{timesteps} is not a positive number", "give at least 1")


def _rate(x: NDArray[Any], timesteps: int, seed: int) -> NDArray[np.uint8]:
    spikes = np.empty((len(x), timesteps, *x.shape[1:]), np.uint8)
    for n, sample in enumerate(x):
        spikes[n] = np.random.default_rng([seed, n]).random((timesteps, *x.shape[1:])) < sample
    return spikes


def _latency(x: NDArray[Any], timesteps: int) -> NDArray[np.uint8]:
    when = np.rint((timesteps - 1) * (1.0 - x)).astype(np.int64)
    steps = np.arange(timesteps).reshape(-1, *[1] * (x.ndim - 1))
    spikes: NDArray[np.uint8] = (when[:, None] == steps).astype(np.uint8)
    return spikes


def _changes(x: NDArray[Any]) -> NDArray[Any]:
    signed = x.astype(_signed(x))
    return np.diff(signed, axis=1, prepend=np.zeros_like(signed[:, :1]))


def _signed(x: NDArray[Any]) -> np.dtype[Any]:
    """The type that holds differences of x: uint8 differences need int16, those of floats are taken in float64."""
    return np.dtype(np.int64) if x.dtype.kind == "i" else np.result_type(x.dtype, np.int8 if x.dtype.kind == "u" else np.float64)
