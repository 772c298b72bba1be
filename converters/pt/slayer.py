"""lava-dl slayer's state_dicts (read at 0.6.0): CUBA and ALIF neurons and the synapses in front of them.

    u = (1 - iDecay/4096) u + w x;   v = (1 - vDecay/4096) v + u;   spike where v > threshold;  v = 0 there
    w = round(32 weight) / 32 within -4 .. 254/64 (``quantize_8bit``);  iDecay, vDecay = round(current_decay), round(voltage_decay)

The threshold is in no key; slayer cuts it to 64ths. Every block hands its spikes on one step later (``delay_shift``).
States are counted in 4096ths, and what is smaller is cut off at every step, as slayer does. Live modules: ``slayer_blocks``.
"""

from __future__ import annotations

import numpy as np

from converters.pt import slayer_blocks as blocks
from converters.pt.neuron import GRADIENT, REQUIRED, SHAPED, TRAINED, Idle, Library, Neuron, NeuronClass, Settings
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.neurons.cutcuba import CutCubaLIF
from snndeploy.ir.neurons.refractory import RefractoryLIF

SCALE = 4096.0
WEIGHT_SCALE = 64.0


def cuba(settings: Settings, shape: Shape) -> Neuron:
    """CUBA."""
    _plain(settings)
    current, voltage = (_decay(settings, f"{n}_decay", shape) for n in ("current", "voltage"))
    threshold = frozen(np.trunc(settings.array("threshold", shape) * WEIGHT_SCALE) / WEIGHT_SCALE)
    node = CutCubaLIF(frozen(1.0 - current), frozen(1.0 - voltage), threshold=threshold, strict=True, grid=int(SCALE))
    return Neuron(node, delay=int(bool(settings("delay_shift"))), said=(blocks.CUT,))


def adaptive(settings: Settings, shape: Shape) -> Neuron:
    """ALIF: in slayer's own 4096ths, cut off at every step as there."""
    _plain(settings)
    decays = (_decay(settings, f"{n}_decay", shape) for n in ("current", "voltage", "threshold", "refractory"))
    jump, threshold = (np.trunc(settings.array(n, shape) * WEIGHT_SCALE) / WEIGHT_SCALE for n in ("threshold_step", "threshold"))
    current, voltage, adapt, refractory = (frozen(1.0 - decay) for decay in decays)
    node = RefractoryLIF(current, voltage, adapt, refractory, frozen(jump), frozen(threshold), int(SCALE))
    return Neuron(node, delay=int(bool(settings("delay_shift"))))


def _decay(settings: Settings, name: str, shape: Shape) -> Floats:
    """A decay as slayer rounds it. A file holds 4096ths; a user may also say it as the constructor has it, from 0 to 1."""
    value = settings.array(name, shape)
    if settings.facts[name].origin == "user" and (value <= 1).all():
        value = frozen(value * SCALE)
    return frozen(np.round(np.clip(value, 0, SCALE)) / SCALE)


def _plain(settings: Settings) -> None:
    """Refuse what changes the equations, where the user says it; no file does."""
    reasons = {
        "counts weights in other than 64ths (scale)": settings("scale") != WEIGHT_SCALE,
        "normalizes its currents (norm)": settings("norm") is not None,
        "keeps its state from one call to the next (persistent_state)": bool(settings("persistent_state")),
        "sends graded spikes (graded_spike)": bool(settings("graded_spike")),
    }
    for what, found in reasons.items():
        if found:
            raise Unsupported(settings.where, what, blocks.EXPORT)


def quantized(weight: Floats) -> Floats:
    """The weights as slayer's layers use them: even 64ths of 8 bits; half-way ones go to the even multiple, as in torch."""
    return frozen(np.clip(np.round(weight * WEIGHT_SCALE / 2) * 2 / WEIGHT_SCALE, -256 / WEIGHT_SCALE, 254 / WEIGHT_SCALE))


_REFUSED = {
    "Recurrent": "its neuron keeps its state from one sample to the next (persistent_state); the .net file (export_hdf5) starts each anew",
    "Affine": "gives a membrane that is reset where it would spike, without the spikes; end in a Dense block",
    "Input": "rounds what enters to even 64ths, and no synapse rounds; round the data, and begin with the next block",
    "Output": "gives the running sum of what arrives; end in a Dense block",
    **dict.fromkeys(["ConvT", "Unpool"], "is a transposed convolution, which has no node"),
    "KWTA": "lets the k largest through, which compares neurons with each other",
    "TimeDecimation": "makes one step of several",
    "Neuron": "stands outside a block; use slayer.block, whose blocks hold it behind its synapse",
}

_DECAYS = frozenset(["current_decay", "voltage_decay"])
_BEHAVIOUR = {
    "tau_grad": GRADIENT,
    "scale_grad": GRADIENT,
    "scale": 64,
    "norm": None,
    "dropout": Idle("does nothing outside training"),
    "shared_param": SHAPED,
    "persistent_state": False,
    "requires_grad": TRAINED,
    "graded_spike": False,
    "delay_shift": True,
}
_MADE = ("threshold", "threshold_step", "current_decay", "voltage_decay", "threshold_decay", "refractory_decay")
SLAYER = Library(
    name="lava",
    neurons={
        "CUBA": NeuronClass(cuba, {**dict.fromkeys(["threshold", "current_decay", "voltage_decay"], REQUIRED), **_BEHAVIOUR}, _DECAYS),
        "ALIF": NeuronClass(
            adaptive,
            {**dict.fromkeys(_MADE, REQUIRED), **_BEHAVIOUR},
            _DECAYS | {"threshold_decay", "refractory_decay"},
        ),
        **dict.fromkeys(["Dense", "Conv", "Pool"], NeuronClass(blocks.block)),
    },
    layers={"Flatten": blocks.flatten, "Average": blocks.average},
    refused=_REFUSED,
    takes=blocks.takes,
    resets={"zero": {}},
)
