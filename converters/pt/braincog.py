"""BrainCog (read at 0.2.7.19): hard reset to 0, and a comparison that depends on the spike function.

    IFNode    mem = mem + x dt;   LIFNode    mem = mem + (x - mem) / tau;   PLIFNode    mem = mem + (x - mem) sigmoid(w) dt
    spike     Atan, Gate, QGate, STDP and BackEI fire at mem > threshold; Sigmoid and ReLU at mem >= threshold
    reset     mem = mem (1 - spike): always to 0, whatever v_reset says (that is only the first value)

Tensors of a state_dict: ``threshold``, ``act_fun.alpha``, and ``w`` (PLIFNode); tau and the spike function are in none.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from converters.pt.neuron import REQUIRED, Library, Neuron, NeuronClass, Settings, strictness
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.neurons.lif import LIF

STRICT = {
    "AtanGrad": True,
    "GateGrad": True,
    "QGateGrad": True,
    "STDPGrad": True,
    "BackEIGateGrad": True,
    "SigmoidGrad": False,
    "ReLUGrad": False,
}


def integrate(settings: Settings, shape: Shape) -> Neuron:
    """IFNode."""
    return _neuron(settings, shape, frozen(1.0), settings.array("dt", shape), thresholded=True)


def lif(settings: Settings, shape: Shape) -> Neuron:
    """LIFNode; it ignores ``sigmoid_thres``."""
    rate = 1.0 / settings.array("tau", shape)
    return _neuron(settings, shape, frozen(1.0 - rate), frozen(rate), thresholded=False)


def parametric(settings: Settings, shape: Shape) -> Neuron:
    """PLIFNode."""
    rate = settings.array("dt", shape) / (1.0 + np.exp(-settings.array("w", shape)))
    return _neuron(settings, shape, frozen(1.0 - rate), frozen(rate), thresholded=True)


def _neuron(settings: Settings, shape: Shape, decay: Floats, gain: Floats, thresholded: bool) -> Neuron:
    if settings.get("groups", 1) != 1:
        raise Unsupported(settings.where, "keeps time inside the channels (n_groups)", "use layer_by_layer=True, or one step a call")
    threshold = settings.array("threshold", shape)
    if thresholded and settings.get("sigmoid_thres", False):
        threshold = frozen(1.0 / (1.0 + np.exp(-threshold)))
    start = frozen(float(settings.get("v_reset", 0.0)))
    return Neuron(LIF(decay, gain, threshold, strict=_strict(settings), v_init=start))


def _strict(settings: Settings) -> bool:
    function = settings("act_fun")
    if not isinstance(function, str):
        return strictness(function, settings.where)
    if function not in STRICT:
        raise Unsupported(settings.where, f"its spike function {function} is no step", f"use one of {', '.join(STRICT)}")
    return STRICT[function]


def takes(module: Any) -> tuple[str, ...]:
    """One step a call; with ``layer_by_layer`` [T * B, ...]."""
    return ("TB",) if getattr(module, "layer_by_layer", False) else ("B",)


def memory(module: Any) -> tuple[Any, ...]:
    """The membrane."""
    return (module.mem,)


def forget(module: Any) -> None:
    """The library's own reset."""
    if callable(getattr(module, "n_reset", None)):
        module.n_reset()


_ALL = {"v_reset": 0.0, "dt": 1.0, "sigmoid_thres": False}
_PROGRAM = "there is no node for it yet"

BRAINCOG = Library(
    name="braincog",
    neurons={
        "IFNode": NeuronClass(integrate, {"threshold": 0.5, "act_fun": "AtanGrad", **_ALL}),
        "LIFNode": NeuronClass(lif, {"threshold": 0.5, "tau": REQUIRED, "act_fun": "QGateGrad", **_ALL}),
        "PLIFNode": NeuronClass(parametric, {"threshold": 1.0, "w": REQUIRED, "act_fun": "AtanGrad", **_ALL}),
    },
    refused={
        "BurstLIFNode": f"multiplies its membrane by (1 - count) after a burst, which may be negative; {_PROGRAM}",
        "DoubleSidePLIFNode": f"fires +1 and -1; {_PROGRAM}",
        "NoiseLIFNode": "adds noise at every step",
        "NoisePLIFNode": "adds noise at every step",
        "BiasReLUNode": "is a rectifier, not a spiking neuron",
        "ReLUNode": "is a rectifier, not a spiking neuron",
        "LIAFNode": "gives out a real activation of its membrane, not spikes",
        "adth": f"its threshold adapts; {_PROGRAM}",
    },
    stateful=frozenset(["BaseNode", "BaseMCNode"]),
    takes=takes,
    memory=memory,
    forget=forget,
    resets={"zero": {}},
)
