"""Populations and synapses as the datasets of a layer: exact, or refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from converters.lava_net.files import MAX_VALUES, Value
from converters.lava_net.neurons import BIAS_EXPONENT, DECAY_BITS, READ_OUT, SPIKE_EXPONENT, STATE_EXPONENT
from converters.lava_net.synapses import WEIGHTS
from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import NEVER_FIRES, Lif, Resonator, SigmaDelta
from snndeploy.chip.network import Conv, Dense, Population, Projection, Sparse
from snndeploy.errors import Unsupported

Fields = dict[str, Value]
NEVER_WRITTEN = (1 << 18) - 1
"""The vThMant that lava-dl writes for a layer that must never fire (``AbstractAffine``)."""


@dataclass(frozen=True, eq=False)
class Path:
    """A projection into a layer, the shapes it joins, and the delay that the layer itself asks for."""

    projection: Projection
    source: Shape
    target: Shape
    delay: int


def neuron(p: Population, kind: str, *, named: bool) -> Fields:
    """The neuron group, and the bias. ``kind`` is CUBA or LOIHI; a plain read-out needs no group unless it must be ``named``.

    Raises:
        Unsupported: another model, an initial state, or settings that the format has no field for.
    """
    if isinstance(p.model, SigmaDelta):
        return _sigma_delta(p, p.model)
    if isinstance(p.model, Resonator):
        return _resonator(p, p.model)
    if not isinstance(p.model, Lif):
        raise Unsupported(p.name, f"a .net file has no {type(p.model).__name__} neurons", "lower the layer to fixed LIF neurons")
    model = p.model
    if model.u.any() or model.v.any():
        raise Unsupported(p.name, "a .net file has no initial state", "start from 0")
    silent = bool((model.vth >= READ_OUT).all())
    if silent != (p.reads == "v") or p.reads not in ("v", "spikes"):
        what = f"its {p.reads} are read, but its threshold is {'never' if silent else 'sometimes'} reached; .net tells them apart by that"
        raise Unsupported(p.name, what, "read the spikes of layers that fire, and v of those that never do")
    fields = _bias(p, _bias_values(p, model))
    plain = np.all(model.du == -1) and np.all(model.dv == 4096) and np.all(model.vth >= NEVER_FIRES)
    if plain and not named:
        return fields
    fields["neuron/type"] = kind
    fields["neuron/iDecay"] = register(p, model.du + 1)
    fields["neuron/vDecay"] = register(p, model.dv)
    fields["neuron/vThMant"] = register(p, np.where(model.vth >= NEVER_FIRES, NEVER_WRITTEN, model.vth))
    fields["neuron/refDelay"] = np.asarray(1)
    if kind == "CUBA":
        fields["neuron/gradedSpike"] = np.asarray(False)
    return fields


def _sigma_delta(p: Population, model: SigmaDelta) -> Fields:
    exponents = (model.spike_exp, model.state_exp)
    if exponents != (SPIKE_EXPONENT, STATE_EXPONENT) or model.cumulative or model.vth != int(model.vth):
        what = f"sigma-delta neurons with exponents {exponents}, cumulative={model.cumulative} and the threshold {model.vth:g}"
        raise Unsupported(p.name, what, "a .net file means 6 and 6, single errors and whole thresholds")
    fields = _bias(p, model.bias)
    fields["neuron/type"] = "SDNN"
    fields["neuron/activation"] = "relu" if model.relu or p.reads == "sigma" or not model.sums else "identity"
    fields["neuron/vThMant"] = np.asarray(int(model.vth))
    if p.reads == "sigma":
        fields["neuron/sigma_output"] = np.asarray(True)
    return fields


def _resonator(p: Population, model: Resonator) -> Fields:
    if (model.state_exp, model.decay_bits) != (STATE_EXPONENT, DECAY_BITS) or p.reads != "spikes":
        what = f"resonators with {model.decay_bits} bits of decay and {model.state_exp} of state, read as {p.reads}"
        raise Unsupported(p.name, what, f"a .net file means {DECAY_BITS} and {STATE_EXPONENT}, and spikes")
    return {
        "neuron/type": "RF_IZ" if model.izhikevich else "RF_PHASE",
        "neuron/sinDecay": register(p, model.sin),
        "neuron/cosDecay": register(p, model.cos),
        "neuron/vThMant": register(p, model.vth),
        "neuron/gradedSpike": np.asarray(False),
    }


def _bias_values(p: Population, model: Lif) -> Ints:
    """The bias in units of 64 v."""
    mantissa, exponent = np.broadcast_arrays(model.bias_mant, model.bias_exp)
    values = np.where(exponent >= 0, mantissa << np.maximum(exponent, 0), mantissa >> np.maximum(-exponent, 0))
    odd = values[values % (1 << BIAS_EXPONENT) != 0]
    if odd.size:
        raise Unsupported(p.name, f"a bias of {int(odd.flat[0])} v units", "a .net file holds multiples of 64 (bias exponent 6)")
    whole: Ints = values >> BIAS_EXPONENT
    return whole


def _bias(p: Population, values: Ints) -> Fields:
    return {"bias": register(p, values).astype(np.float32)} if values.any() else {}


def register(p: Population, values: Ints) -> Ints:
    """One number for all neurons, one a channel, or one a neuron in Lava's (W, H, C) order: the shortest that holds it."""
    whole = np.broadcast_to(values, p.shape)
    channels = whole.reshape(p.shape[0], -1)
    if not np.ptp(whole):
        return np.asarray(whole.flat[0], np.int64)
    if not np.ptp(channels, axis=1).any():
        return channels[:, 0].copy()
    return whole.transpose().copy()


def dense(name: str, paths: Sequence[Sequence[Path]]) -> Fields:
    """The weights [O, I] of all that enters a layer, source after source, and their delays."""
    blocks = [_matrix(name, paths_of_one) for paths_of_one in paths]
    weights, delays = (np.concatenate(arrays, axis=1) for arrays in zip(*blocks, strict=True))
    fields: Fields = {
        "inFeatures": np.asarray(weights.shape[1]),
        "outFeatures": np.asarray(weights.shape[0]),
        "weight": eight_bits(name, weights),
    }
    if delays.any():
        fields["delay"] = np.asarray(delays.flat[0]) if not np.ptp(delays) else delays
    return fields


def _matrix(name: str, paths: Sequence[Path]) -> tuple[Ints, Ints]:
    """Weights and delays [O, I] of the projections from one source."""
    weights = delays = None
    for path in paths:
        ours, late = _one_matrix(name, path)
        if weights is None or delays is None:
            weights, delays = ours, late
            continue
        if bool(((weights != 0) & (ours != 0) & (delays != late)).any()):
            raise Unsupported(name, "two synapses between the same neurons, with different delays", "a .net file has one")
        delays = np.where(weights != 0, delays, late)
        weights = weights + ours
    assert weights is not None
    assert delays is not None
    return weights, delays


def _one_matrix(name: str, path: Path) -> tuple[Ints, Ints]:
    synapses, exponent = path.projection.synapses, path.projection.exponent
    if isinstance(synapses, Sparse):
        synapses = _filled(name, synapses, int(np.prod(path.target)), int(np.prod(path.source)))
    if not isinstance(synapses, Dense):
        raise Unsupported(name, "a convolution and a matrix enter the same layer", "a .net layer has one kind of synapses")
    if exponent < 0 and (synapses.weights % (1 << -exponent)).any():
        raise Unsupported(path.projection.name, f"the exponent {exponent} rounds sums", "a .net file has no exponents")
    weights = synapses.weights << exponent if exponent >= 0 else synapses.weights >> -exponent
    own = 0 if synapses.delays is None else synapses.delays
    return weights, np.broadcast_to(np.asarray(path.delay + own), weights.shape)


def _filled(name: str, sparse: Sparse, rows: int, columns: int) -> Dense:
    """The matrix of single synapses, of which no two may join the same neurons."""
    if rows * columns > MAX_VALUES:
        what = f"{len(sparse.weights):,} single synapses in a matrix of {rows:,} x {columns:,}"
        raise Unsupported(name, what, "a .net file has whole matrices only")
    places = sparse.rows * columns + sparse.columns
    if len(np.unique(places)) < len(places):
        raise Unsupported(name, "several synapses between the same two neurons", "a .net file has one")
    weights, delays = np.zeros((2, rows * columns), np.int64)
    weights[places] = sparse.weights
    if sparse.delays is not None:
        delays[places] = sparse.delays
    shape = (rows, columns)
    return Dense(weights.reshape(shape), delays.reshape(shape) if delays.any() else None)


def convolution(name: str, paths: Sequence[Sequence[Path]]) -> tuple[str, Fields]:
    """The type, conv or pool, and its fields: the kernels of all that enters a layer, source after source."""
    convs = [_only_conv(name, path) for one in paths for path in one]
    first = convs[0]
    for conv in convs[1:]:
        if (conv.stride, conv.padding, conv.dilation, conv.groups) != (first.stride, first.padding, first.dilation, first.groups):
            raise Unsupported(name, "convolutions of different geometry enter the same layer", "a .net layer has one")
    if len(first.stride) != 2 or (len(paths) > 1 and first.groups > 1):
        what = "a convolution over one axis" if len(first.stride) != 2 else "groups over several sources"
        raise Unsupported(name, what, "a .net file has two spatial axes, and one group after a concat")
    blocks = [_kernels(name, one) for one in paths]
    kernels = np.concatenate([kernel for kernel, _ in blocks], axis=1)
    stored = eight_bits(name, kernels)
    delays = _channel_delays(name, [late for _, late in blocks])
    fields: Fields = {
        "kernelSize": np.asarray(kernels.shape[2:]),
        "stride": np.asarray(first.stride),
        "padding": np.asarray([low for low, _ in first.padding]),
        "dilation": np.asarray(first.dilation),
        "weight": stored,
    }
    if delays.any():
        fields["delay"] = delays if np.ptp(delays) else np.asarray(delays[0])
    if all(low == high for low, high in first.padding):
        channels = {"inChannels": kernels.shape[1] * first.groups, "outChannels": len(kernels), "groups": first.groups}
        return "conv", fields | {key: np.asarray(value) for key, value in channels.items()}
    _check_pool(name, first, paths[0][0].source)
    return "pool", fields | {"weight": stored[:1]}


def _only_conv(name: str, path: Path) -> Conv:
    if not isinstance(path.projection.synapses, Conv):
        raise Unsupported(name, "a convolution and a matrix enter the same layer", "a .net layer has one kind of synapses")
    return path.projection.synapses


def _kernels(name: str, paths: Sequence[Path]) -> tuple[Ints, Ints]:
    """The sum of the kernels from one source, and the delay of each channel; -1 where a channel has none."""
    total, delays = np.zeros_like(_only_conv(name, paths[0]).weights), np.full(len(_only_conv(name, paths[0]).weights), -1)
    for path in paths:
        kernels = _only_conv(name, path).weights
        used = kernels.reshape(len(kernels), -1).any(axis=1)
        if (used & (delays >= 0) & (delays != path.delay)).any():
            raise Unsupported(name, "one channel with several delays", "a .net file has one delay a channel")
        delays = np.where(used, path.delay, delays)
        total = total + kernels
    return total, delays


def _channel_delays(name: str, blocks: Sequence[Ints]) -> Ints:
    merged = np.stack(blocks)
    most = merged.max(axis=0)
    if ((merged >= 0) & (merged != most)).any():
        raise Unsupported(name, "one channel with several delays", "a .net file has one delay a channel")
    return np.asarray(np.where(most < 0, most.max(initial=0), most), np.int64)


def _check_pool(name: str, conv: Conv, source: Shape) -> None:
    """Unequal padding is what lava-dl's pooling adds to a side that is no multiple of its kernel, and nothing else."""
    kernel = conv.weights.shape[2:]
    pools = conv.groups == source[0] == len(conv.weights) and bool((conv.weights == conv.weights[:1]).all())
    added = all(high == low + side % k for (low, high), side, k in zip(conv.padding, source[1:], kernel, strict=True))
    if not (pools and added):
        raise Unsupported(name, f"the padding {conv.padding}, unequal at the two ends", "a .net file pads both ends alike")


def eight_bits(name: str, weights: Ints) -> NDArray[np.float32]:
    """The weights as lava-dl stores them. Raises ``Unsupported`` beyond what netx takes."""
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    if low < WEIGHTS[0] or high > WEIGHTS[1]:
        what = f"weights {low}..{high} after their exponents, beyond {WEIGHTS[0]}..{WEIGHTS[1]}"
        raise Unsupported(name, what, "a .net file holds 8 bits; --to lava writes them, and other --weight-bits may stay below")
    return weights.astype(np.float32)
