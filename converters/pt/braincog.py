"""BrainCog (read at 0.2.7.19): hard reset to 0, and a comparison that depends on the spike function.

    IFNode    mem = mem + x dt;   LIFNode    mem = mem + (x - mem) / tau;   PLIFNode    mem = mem + (x - mem) sigmoid(w) dt
    BiasLIFNode, BiasPLIFNode  the same, and 0.1 at every step;   LIFSTDPNode  mem = mem tau + x;   BurstLIFNode  see ``ScaledBurst``
    spike     Atan, Gate, QGate, STDP and BackEI fire at mem > threshold; Sigmoid and ReLU at mem >= threshold
    reset     mem = mem (1 - spike): always to 0, whatever v_reset says (that is only the first value)

Tensors of a state_dict: ``threshold``, ``act_fun.alpha``, and ``w`` (PLIFNode); tau and the spike function are in none.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from converters.pt import spike_functions
from converters.pt.neuron import GRADIENT, RECORDED, REQUIRED, STEPPING, TRAINED, Idle, Library, Neuron, NeuronClass, Settings
from converters.pt.spikingjelly import learned
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import Scale
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.scaled_burst import braincog_burst

DRIFT = 0.1
"""The constant current of the Bias nodes."""


def integrate(settings: Settings, shape: Shape) -> Neuron:
    """IFNode."""
    return _neuron(settings, shape, frozen(1.0), settings.array("dt", shape), thresholded=True)


def lif(settings: Settings, shape: Shape) -> Neuron:
    """LIFNode; it ignores ``sigmoid_thres``."""
    tau = settings.array("tau", shape)
    return _neuron(settings, shape, frozen(1.0 - 1.0 / tau), frozen(1.0 / tau), thresholded=False, order="tau", leak=tau)


def parametric(settings: Settings, shape: Shape) -> Neuron:
    """PLIFNode."""
    rate = frozen(settings.array("dt", shape) * learned(settings, shape))
    return _neuron(settings, shape, frozen(1.0 - rate), rate, thresholded=True, order="rate", leak=rate)


def drifting(settings: Settings, shape: Shape) -> Neuron:
    """BiasLIFNode: mem + (x - mem) dt / tau + 0.1: a constant current beside the input."""
    rate = settings.array("dt", shape) / settings.array("tau", shape)
    return _biased(_neuron(settings, shape, frozen(1.0 - rate), frozen(1.0), thresholded=True), rate, frozen(DRIFT))


def drifting_parametric(settings: Settings, shape: Shape) -> Neuron:
    """BiasPLIFNode: mem + ((x - mem) sigmoid(w) + 0.1) dt."""
    step = settings.array("dt", shape)
    rate = frozen(step / (1.0 + np.exp(-settings.array("w", shape))))
    return _biased(_neuron(settings, shape, frozen(1.0 - rate), frozen(1.0), thresholded=True), rate, frozen(DRIFT * step))


def _biased(neuron: Neuron, gain: Floats, shift: Floats) -> Neuron:
    return dataclasses.replace(neuron, taps=(Scale(frozen(gain), shift),))


def kept(settings: Settings, shape: Shape) -> Neuron:
    """LIFSTDPNode: mem tau + x, so that tau is the decay."""
    return _neuron(settings, shape, settings.array("tau", shape), frozen(1.0), thresholded=False)


def burst(settings: Settings, shape: Shape) -> Neuron:
    """BurstLIFNode: k spikes weigh 1.5 k from two on, and multiply the membrane by 1 - k."""
    _one_group(settings)
    function = settings("act_fun")
    name = function if isinstance(function, str) else type(function).__name__
    if name != "RoundGrad":
        raise Unsupported(settings.where, f"counts its spikes by {name}, not by the class's own RoundGrad", "use act_fun=RoundGrad")
    if float(settings.get("v_reset", 0.0)):
        raise Unsupported(settings.where, "starts at v_reset, which is not 0", "use v_reset=0.")
    rate, theta = 1.0 / settings.array("tau", shape), settings.array("threshold", shape)
    node = braincog_burst(1.0 - rate, rate, theta, float(settings.get("burst_factor", 1.5)))
    return Neuron(dataclasses.replace(node, order="tau", leak=settings.array("tau", shape)))


def _one_group(settings: Settings) -> None:
    if settings.get(settings.first("groups", "n_groups"), 1) != 1:
        raise Unsupported(settings.where, "keeps time inside the channels (n_groups)", "use layer_by_layer=True, or one step a call")


def _neuron(settings: Settings, shape: Shape, decay: Floats, gain: Floats, thresholded: bool, **order: Any) -> Neuron:
    _one_group(settings)
    threshold = settings.array("threshold", shape)
    if thresholded and settings.get("sigmoid_thres", False):
        threshold = frozen(1.0 / (1.0 + np.exp(-threshold)))
    start = frozen(float(settings.get("v_reset", 0.0)))
    return Neuron(LIF(decay, gain, threshold, strict=_strict(settings), v_init=start, **order))


def _strict(settings: Settings) -> bool:
    return spike_functions.strict(settings, "act_fun", spike_functions.BRAINCOG, otherwise=True)


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


_UNUSED = Idle("is not used by this class")


def _arguments(threshold: float, spike: str, **own: Any) -> dict[str, Any]:
    """A constructor's arguments in order; ``own`` stands behind ``threshold``, or replaces what BaseNode takes."""
    base = {
        "v_reset": 0.0,
        "dt": 1.0,
        "step": STEPPING,
        "requires_thres_grad": TRAINED,
        "sigmoid_thres": False,
        "requires_fp": RECORDED,
        "layer_by_layer": STEPPING,
        "n_groups": 1,
        "mem_detach": GRADIENT,
        "requires_mem": RECORDED,
    }
    before = {name: value for name, value in own.items() if name == "tau"}
    return {"threshold": threshold, **before, "act_fun": spike, **base, **{n: v for n, v in own.items() if n != "tau"}}


_LEARNT = Idle("gives w a value to start the training from; the file holds what became of it")
_KEYS = frozenset(["threshold", "act_fun"])
_OTHERS = ("IFNode", "BiasLIFNode", "LIFSTDPNode")

BRAINCOG = Library(
    name="braincog",
    neurons={
        "IFNode": NeuronClass(integrate, _arguments(0.5, "AtanGrad")),
        "LIFNode": NeuronClass(lif, _arguments(0.5, "QGateGrad", tau=REQUIRED, dt=_UNUSED, sigmoid_thres=_UNUSED), _KEYS, _OTHERS),
        "BiasLIFNode": NeuronClass(drifting, _arguments(1.0, "AtanGrad", tau=REQUIRED)),
        "BiasPLIFNode": NeuronClass(drifting_parametric, _arguments(1.0, "AtanGrad", tau=_LEARNT, w=REQUIRED)),
        "LIFSTDPNode": NeuronClass(kept, _arguments(1.0, "AtanGrad", tau=REQUIRED, dt=_UNUSED, sigmoid_thres=_UNUSED)),
        "BurstLIFNode": NeuronClass(burst, _arguments(0.5, "RoundGrad", tau=REQUIRED, dt=_UNUSED, sigmoid_thres=_UNUSED, burst_factor=1.5)),
        "PLIFNode": NeuronClass(parametric, _arguments(1.0, "AtanGrad", tau=_LEARNT, w=REQUIRED), _KEYS | {"w"}, ("BiasPLIFNode",)),
    },
    refused={
        "DoubleSidePLIFNode": "stops with a TypeError when it is called: it subtracts from a method (get_thres without its brackets)",
        "BackEINode": "multiplies its input by a gate of its own spikes, and its spikes by another",
        "OnlineLIFNode": "puts its running spike rate into the batch beside the spikes",
        "DGLIFNode": "gives out its membrane where it is above the threshold, not spikes",
        "HTDGLIFNode": "gives out its membrane where it is above the threshold, not spikes",
        "IzhNode": "works in millivolts, with a step and bounds of its own, for which there is no node",
        "HHNode": "is a Hodgkin-Huxley model: its gates multiply its state words with each other",
        "aEIF": "is an adaptive exponential model with a refractory time and a step of its own, for which there is no node",
        "NoiseLIFNode": "adds noise at every step",
        "NoisePLIFNode": "adds noise at every step",
        "BiasReLUNode": "is a rectifier, not a spiking neuron",
        "ReLUNode": "is a rectifier, not a spiking neuron",
        "LIAFNode": "gives out a real activation of its membrane, not spikes",
        "adth": "has no working forward of its own: calc_spike does nothing",
    },
    stateful=frozenset(["BaseNode", "BaseMCNode"]),
    takes=takes,
    memory=memory,
    forget=forget,
    resets={"zero": {}},
)
