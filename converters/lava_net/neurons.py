"""A layer's ``neuron`` group as the model on the chip. Sources: lava-dl ``netx/hdf5.py`` get_neuron_params, ``slayer/neuron``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters.lava_net.files import Layer
from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import NEVER_FIRES, Lif, Model, Resonator, SigmaDelta
from snndeploy.errors import ModelError, Unsupported, did_you_mean

BIAS_EXPONENT = 6
SPIKE_EXPONENT = STATE_EXPONENT = 6
"""netx's default spike_exp, and its state_exp: an activation has 12 bits below the input's unit, a graded spike 6."""
DECAY_BITS = 12
V_UNIT = 2.0**-12
"""The real value of one unit of v: weights are 64 times the trained ones, sums are shifted left by 6."""
SPIKE_UNIT = 2.0**-12
"""The real value of one unit of an SDNN layer's graded spike: 64 for the input, 2**12 for the state, less 2**6 when it is sent."""
SIGMA_UNIT = 2.0**-18
"""The real value of one unit of sigma: weights of 64 times spikes of 2**12."""
READ_OUT = 131071
"""A vThMant from here on is written for layers that are read out and not meant to fire; from 131072 on they cannot."""

KINDS = ("CUBA", "LOIHI", "SDNN", "RF")
REFUSED = {
    "ALIF": "its threshold adapts and its membrane is not reset; the chip's fixed LIF has neither",
    "ADRF": "resonators with an adapting threshold are not in Lava's fixed-point models that netx maps to",
}


@dataclass(frozen=True, eq=False)
class Neuron:
    """A model, what the host reads of it if it comes last, and the real value of one unit of that."""

    model: Model
    reads: str = "spikes"
    scale: float = 1.0


def kind(layer: Layer) -> str:
    """CUBA, LOIHI, SDNN or RF; "" for a layer without neurons. Raises ``Unsupported`` or ``ModelError`` for any other."""
    if not layer.spiking:
        return ""
    found = layer.text("neuron/type", "CUBA")
    for start, why in REFUSED.items():
        if found.startswith(start):
            raise Unsupported(layer.where, f"{found} neurons: {why}", "train CUBA neurons")
    short = "RF" if found in ("RF_PHASE", "RF_IZ") else found
    if short not in KINDS:
        raise ModelError(layer.where, f"has neurons of the unknown type {found!r}", did_you_mean(found, (*KINDS, "RF_PHASE", "RF_IZ")))
    return short


def neuron(layer: Layer, shape: Shape, unit: float) -> Neuron:
    """The neurons of a layer of this shape; ``unit`` is the real value of one unit of what enters (1: spikes).

    Raises:
        ModelError: a register is missing, or of a shape that fits no axis.  Unsupported: what the chip cannot keep.
    """
    found = kind(layer)
    if found == "SDNN":
        return _sigma_delta(layer, shape)
    if found == "RF":
        return _resonator(layer, shape)
    if not found:
        return _read_out(layer, shape, unit)
    _refuse_extras(layer)
    threshold = np.minimum(spread(layer, "neuron/vThMant", shape), NEVER_FIRES)
    vth = np.where(threshold >= NEVER_FIRES, threshold, _scaled(layer, threshold, unit, "threshold"))
    bias = _scaled(layer, bias_of(layer, shape), unit, "bias")
    model = Lif(
        du=spread(layer, "neuron/iDecay", shape) - 1,
        dv=spread(layer, "neuron/vDecay", shape),
        vth=vth,
        bias_mant=bias,
        bias_exp=np.asarray(BIAS_EXPONENT),
    )
    silent = bool((threshold >= READ_OUT).all())
    return Neuron(model, "v", V_UNIT * unit) if silent else Neuron(model)


def _read_out(layer: Layer, shape: Shape, unit: float) -> Neuron:
    """A layer without neurons: the sum of all that arrived, in v (netx: iDecay 0, vDecay 4096, a threshold never reached)."""
    bias = _scaled(layer, bias_of(layer, shape), unit, "bias")
    model = Lif(np.asarray(-1), np.asarray(4096), np.asarray(NEVER_FIRES), bias, np.asarray(BIAS_EXPONENT))
    return Neuron(model, "v", V_UNIT * unit)


def _sigma_delta(layer: Layer, shape: Shape) -> Neuron:
    activation = layer.text("neuron/activation", "relu")
    if activation not in ("relu", "identity"):
        raise Unsupported(layer.where, f"the activation {activation!r}", "sigma-delta neurons on the chip have ReLU, or none")
    reads_sigma = "neuron/sigma_output" in layer.values and bool(layer.number("neuron/sigma_output"))
    bias = bias_of(layer, shape)
    if reads_sigma and bias.any():
        hint = "sigma is the plain sum of what arrived; use a bias in a layer before it"
        raise Unsupported(layer.where, "a bias on a layer whose sigma is read", hint)
    model = SigmaDelta(
        vth=float(layer.number("neuron/vThMant")),
        bias=bias,
        relu=activation == "relu" and not reads_sigma,
        spike_exp=SPIKE_EXPONENT,
        state_exp=STATE_EXPONENT,
        sums=layer.kind != "input",
    )
    return Neuron(model, "sigma", SIGMA_UNIT) if reads_sigma else Neuron(model, "spikes", SPIKE_UNIT)


def _resonator(layer: Layer, shape: Shape) -> Neuron:
    """RF or RF_IZ with the file's sinDecay and cosDecay. (netx takes them through period and decay, where floats may lose one.)"""
    _refuse_extras(layer)
    if bias_of(layer, shape).any():
        raise Unsupported(layer.where, "a bias on resonators", "Lava's have none; netx drops it")
    sin, cos, vth = (spread(layer, f"neuron/{key}", shape) for key in ("sinDecay", "cosDecay", "vThMant"))
    return Neuron(Resonator(sin, cos, vth, layer.text("neuron/type") == "RF_IZ", STATE_EXPONENT, DECAY_BITS))


def _refuse_extras(layer: Layer) -> None:
    """Whatever of a CUBA or LOIHI neuron the fixed LIF has not; netx drops it without a word."""
    extras = {
        "neuron/gradedSpike": (0, "graded spikes: the chip's LIF sends 1, not its voltage"),
        "neuron/refDelay": (1, "a refractory delay: the chip's LIF has none"),
        "neuron/wgtExp": (0, "a weight exponent"),
        "neuron/weight_exp": (0, "a weight exponent from the normalization"),
    }
    for key, (plain, why) in extras.items():
        if np.any(layer.whole(key, plain) != plain):
            fix = "train without it" if "exponent" not in why else "fold it into the weights; netx ignores it, and the network changes"
            raise Unsupported(layer.where, f"{why} ({key.removeprefix('neuron/')} is not {plain})", fix)


def bias_of(layer: Layer, shape: Shape) -> Ints:
    """The bias in units of 64 v; 0 where the layer has none."""
    return spread(layer, "bias", shape, 0)


def spread(layer: Layer, key: str, shape: Shape, default: int | None = None) -> Ints:
    """A register given once, by channel, or by neuron (in Lava's (W, H, C) order), so that it broadcasts against ``shape``.

    Raises:
        ModelError: it is missing, or fits neither way.
    """
    values = layer.whole(key, default)
    if values.size == 1:
        return values.reshape(())
    if values.size == shape[0]:
        return values.reshape(shape[0], *[1] * (len(shape) - 1))
    if values.shape == shape[::-1]:
        return values.transpose()
    raise ModelError(layer.where, f"{key!r} of shape {values.shape} fits no axis of the layer's {shape}", "give one, or one a channel")


def _scaled(layer: Layer, values: Ints, unit: float, what: str) -> Ints:
    """Values in units of what enters the layer."""
    scaled = np.round(values / unit)
    if not np.allclose(scaled * unit, values, rtol=0, atol=1e-9):
        raise ModelError(layer.where, f"the {what} is not a whole multiple of the input's unit {unit:g}", "choose 1 / a whole number")
    return scaled.astype(np.int64)
