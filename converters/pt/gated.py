"""GLIF from its parameters, as its repository and SpikingJelly keep them: raw, behind a sigmoid."""

from __future__ import annotations

import numpy as np
import torch

from converters.pt import spike_functions
from converters.pt.neuron import Neuron, Settings
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.neurons.glif import glif, glif_f
from snndeploy.ir.on_numpy import NUMPY

RAW = ("tau", "Vth", "leak", "reVth", "conduct")


def gated(settings: Settings, shape: Shape) -> Neuron:
    """GLIF, layer- or channel-wise by the rank of ``conduct``.

    Layer-wise gates are hard where ``static_gate``, channel-wise ones unless ``soft_mode`` (as in the repository). It fires
    above its threshold, as the repository's does; ``snndeploy.nn.GLIF`` has the same keys and may fire at it: ``strict``.
    """
    channels = _raw(settings, "conduct").ndim > 1
    hard = not settings("soft_mode") if channels else bool(settings("static_gate"))
    gates = [_raw(settings, name) for name in ("alpha", "beta", "gamma")]
    sizes = [_per_channel(frozen(g > 0) if hard else NUMPY.sigmoid(g), shape, settings, channels) for g in gates]
    decay, threshold, leak, amount, conduct = (_table(settings, name, shape, channels) for name in RAW)
    strict = bool(settings.get("strict", True))
    return Neuron(glif((sizes[0], sizes[1], sizes[2]), decay, threshold, leak, amount, conduct, strict=strict))


def fused(settings: Settings, shape: Shape) -> Neuron:
    """GLIF_f: ``LIFSpike_CW_softsimple``; its parameter gamma is not used."""
    channels = _raw(settings, "conduct").ndim > 1
    decay, threshold, leak, amount, conduct = (_table(settings, name, shape, channels) for name in RAW)
    return Neuron(glif_f(decay, threshold, leak, amount, conduct))


def spikingjelly_gated(settings: Settings, shape: Shape) -> Neuron:
    """SpikingJelly's GatedLIFNode: the same equation, soft gates, and ``>=`` unless the surrogate says otherwise."""
    channels = _raw(settings, "conduct").ndim > 1
    al, be, ga = (_per_channel(NUMPY.sigmoid(_raw(settings, name)), shape, settings, channels) for name in ("alpha", "beta", "gamma"))
    names = ("tau", "v_threshold", "linear_decay", "v_subreset", "conduct")
    decay, threshold, leak, amount, conduct = (_table(settings, name, shape, channels) for name in names)
    strict = spike_functions.strict(settings, "surrogate_function", spike_functions.SPIKINGJELLY, otherwise=False)
    return Neuron(glif((al, be, ga), decay, threshold, leak, amount, conduct, strict=strict))


def _raw(settings: Settings, name: str) -> Floats:
    return frozen(torch.as_tensor(settings(name)).detach().cpu().double().numpy())


def _table(settings: Settings, name: str, shape: Shape, channels: bool) -> Floats:
    """sigmoid of a raw parameter, as [T or 1, ...]."""
    size = NUMPY.sigmoid(_raw(settings, name))
    if not channels:
        return frozen(size.reshape(-1))
    rows = size if size.ndim > 1 and name == "conduct" else size[None]
    return frozen(np.stack([_per_channel(row, shape, settings, channels) for row in rows]))


def _per_channel(values: Floats, shape: Shape, settings: Settings, channels: bool) -> Floats:
    """[C] (or [C, 1, 1]) as [C, 1, ...] for features of ``shape``."""
    if not channels:
        return frozen(values.reshape(()))
    if not shape or values.size != shape[0]:
        what = f"has constants for {values.size} channels, but gets {list(shape)}"
        raise Unsupported(settings.where, what, "check the layer before it, and --input-shape")
    return frozen(values.reshape(shape[0], *(1,) * (len(shape) - 1)))
