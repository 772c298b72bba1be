"""A chip network in the words of lava-nc: which process each population and projection is, and its arguments.

Sources: lava-nc 0.10.0, the processes named below, and what running them showed (docs/lava.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import HostInput, Lif, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire, loihi_weights
from snndeploy.errors import Unsupported

INT8_MAX = 127
"""Lava's Conv keeps groups, stride, padding and dilation in int8; beyond, it gives zeros without a word."""
MESSAGE_BITS = 24
"""Any number above 0 says that spikes are graded; Lava clips nothing by it."""


@dataclass(frozen=True, eq=False)
class Process:
    """One Lava process: its class, plain arguments, and array arguments."""

    kind: str
    params: Mapping[str, Any] = field(default_factory=dict)
    arrays: Mapping[str, Ints] = field(default_factory=dict)


def process_of(population: Population, interval: int, offset: int) -> Process:
    """The neuron process; with ``interval`` > 0 it is cleared every so many steps.

    Raises:
        Unsupported: a neuron that Lava has not.
    """
    model = population.model
    if isinstance(model, HostInput):
        return Process("RingBuffer")
    if isinstance(model, Lif | TernaryLif):
        names = ("vth",) if isinstance(model, Lif) else ("vth_hi", "vth_lo")
        arrays = {n: _each(getattr(model, n), population) for n in ("u", "v", "bias_mant", "bias_exp")}
        arrays |= {n: _scalar_or_each(getattr(model, n), population) for n in ("du", "dv", *names)}
        if isinstance(model, TernaryLif):
            return Process("TernaryLIF", {}, arrays)
        return Process("LIFReset", {"reset_interval": interval, "reset_offset": offset}, arrays) if interval else Process("LIF", {}, arrays)
    if isinstance(model, SigmaDelta):
        return _sigma_delta(model, population)
    raise Unsupported(population.name, f"Lava has no neuron like this {type(model).__name__}", "use LIF or sigma-delta neurons")


def _sigma_delta(model: SigmaDelta, population: Population) -> Process:
    params = {"vth": model.vth, "spike_exp": model.spike_exp, "state_exp": model.state_exp, "cum_error": model.cumulative}
    if not model.sums:
        if model.bias.any():
            raise Unsupported(population.name, "Lava's Delta has no bias", "add it to what the host injects")
        return Process("Delta", params)
    return Process("SigmaDelta", {**params, "relu": model.relu}, {"bias": _each(model.bias, population)})


def _each(values: Ints, population: Population) -> Ints:
    """[neurons], flat in C order."""
    return np.ascontiguousarray(np.broadcast_to(values, population.shape)).reshape(-1)


def _scalar_or_each(values: Ints, population: Population) -> Ints:
    """Lava's decays and thresholds are one number or one a neuron."""
    return values.reshape(-1)[:1] if (values == values.reshape(-1)[0]).all() else _each(values, population)


def processes_of(p: Projection, network: ChipNetwork) -> Iterator[Process]:
    """The synapse processes of a projection: two where Lava's grid needs the signs apart.

    Raises:
        Unsupported: synapses that no Lava process holds.
    """
    if isinstance(p.synapses, Wire):
        yield Process("Bias" if p.synapses.as_bias else "Wire")
    elif isinstance(p.synapses, Conv) and _fits_conv(p.synapses, p):
        yield _conv(p.synapses, p)
    else:
        yield from _matrix(p, network)


def _fits_conv(conv: Conv, p: Projection) -> bool:
    numbers = (*conv.stride, *conv.dilation, *(n for pair in conv.padding for n in pair), conv.groups)
    symmetric = all(before == after for before, after in conv.padding)
    return p.delay == 0 and symmetric and conv.weights.ndim <= 4 and max(numbers) <= INT8_MAX


def _conv(conv: Conv, p: Projection) -> Process:
    """Lava's kernels are [C_out, x, y, C_in], turned over on both axes; one image axis becomes two."""
    kernel = conv.weights if conv.weights.ndim == 4 else conv.weights[..., None]
    pad = 4 - conv.weights.ndim
    params = {
        "stride": [*conv.stride, *[1] * pad], "dilation": [*conv.dilation, *[1] * pad],
        "padding": [*(before for before, _ in conv.padding), *[0] * pad], "groups": conv.groups,
        "num_message_bits": MESSAGE_BITS if p.graded else 0,
    }  # fmt: skip
    return Process("Conv", params, {"weight": np.moveaxis(kernel, 1, 3)[:, ::-1, ::-1]})


def _matrix(p: Projection, network: ChipNetwork) -> Iterator[Process]:
    dense = isinstance(p.synapses, Dense)
    rows, columns, weights, delays = triples(p, network)
    shape = (network.populations[p.target].size, network.populations[p.source].size)
    for part in _on_grid(p, weights):
        params: dict[str, Any] = {"weight_exp": p.exponent, "num_message_bits": MESSAGE_BITS if p.graded else 0}
        kept = part != 0
        if dense:
            arrays = {"weights": part.reshape(shape)} | ({"delays": delays.reshape(shape)} if delays.any() else {})
        else:
            params["shape"] = list(shape)
            arrays = {"rows": rows[kept], "columns": columns[kept], "weights": part[kept]}
            arrays |= {"delays": delays[kept]} if delays.any() else {}
        kind = ("Delay" if delays.any() else "") + ("Dense" if dense else "Sparse")
        if delays.any():
            params["max_delay"] = int(delays.max())
        if kept.any():
            yield Process(kind, params, arrays)


def triples(p: Projection, network: ChipNetwork) -> tuple[Ints, Ints, Ints, Ints]:
    """(target, source, weight, delay) of each synapse, the projection's own delay included."""
    synapses = p.synapses
    if isinstance(synapses, Dense):
        rows, columns = (i.reshape(-1) for i in np.indices(synapses.weights.shape))
        own = np.zeros_like(rows) if synapses.delays is None else synapses.delays.reshape(-1)
        return rows, columns, synapses.weights.reshape(-1), own + p.delay
    if isinstance(synapses, Sparse):
        own = np.zeros_like(synapses.rows) if synapses.delays is None else synapses.delays
        return synapses.rows, synapses.columns, synapses.weights, own + p.delay
    assert isinstance(synapses, Conv)
    rows, columns, weights = unfolded(synapses, network.populations[p.source].shape)
    return rows, columns, weights, np.full_like(rows, p.delay)


def unfolded(conv: Conv, source: tuple[int, ...]) -> tuple[Ints, Ints, Ints]:
    """(target, source, weight) of each synapse of a convolution on a source [C, *S], flat in C order."""
    target = conv.out_shape(source)
    out = np.indices(target).reshape(len(target), -1)
    per_group = conv.weights.shape[1]
    rows, columns, weights = [], [], []
    for tap in np.ndindex(*conv.weights.shape[1:]):
        channel = out[0] // (target[0] // conv.groups) * per_group + tap[0]
        axes = zip(out[1:], tap[1:], conv.stride, conv.padding, conv.dilation, strict=True)
        places = [o * s + k * d - pad[0] for o, k, s, pad, d in axes]
        inside = np.all([(x >= 0) & (x < n) for x, n in zip(places, source[1:], strict=True)], axis=0)
        at = np.ravel_multi_index([channel[inside], *(x[inside] for x in places)], source)
        rows.append(np.flatnonzero(inside))
        columns.append(at)
        weights.append(conv.weights[(out[0][inside], *tap)])
    return np.concatenate(rows), np.concatenate(columns), np.concatenate(weights)


def _on_grid(p: Projection, weights: Ints) -> tuple[Ints, ...]:
    """The weights as Lava will hold them: whole, or the signs apart where only that keeps odd ones.

    Raises:
        Unsupported: more than 8 bits, or signs that must be apart under an exponent that rounds each sum.
    """
    if np.array_equal(loihi_weights(weights), weights):
        return (weights,)
    parts = (np.maximum(weights, 0), np.minimum(weights, 0))
    if all(np.array_equal(loihi_weights(part), part) for part in parts) and p.exponent >= 0:
        return parts
    raise Unsupported(f"projection {p.name}", f"weights {weights.min()}..{weights.max()} do not fit the 8 bits of Lava's synapses",
                      "quantize it again with --weight-bits 8")  # fmt: skip
