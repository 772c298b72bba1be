"""Neurons of papers' repositories, which are no packages: known by their classes' names and attributes.

    Parametric-Leaky-Integrate-and-Fire-Spiking-Neuron (fangwei123456, ICCV 2021)   codes/models.py: PLIFNode
    Gated-LIF (CAS-CLab, NeurIPS 2022)          layers.py: LIFSpike, LIFSpike_CW, LIFSpike_CW_softsimple, tdBatchNorm
    Complementary-LIF (HuuYuLong, ICML 2024)    modules/neuron.py: ComplementaryLIFNeuron, MultiStepCLIFNeuron, CLIFSpike

GLIF's parameters are raw, behind a sigmoid: ``alpha, beta, gamma, tau, Vth, leak, reVth`` [C] or one number, ``conduct``
[T, C] or [T], whose length is the network's T. Whether its gates are soft or hard is a Python attribute and in no file;
nor is its comparison: ``>`` in the repository, ``>`` or ``>=`` in snndeploy.nn, whose keys are the same.
A CLIF leaves nothing in a state_dict.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from converters.pt.gated import RAW, fused, gated
from converters.pt.neuron import REQUIRED, Library, Neuron, NeuronClass, Settings, strictness
from converters.pt.spikingjelly import forget, memory, paper_parametric
from converters.pt.torch_nn import Chain, batch_norm
from snndeploy.arrays import Shape, frozen
from snndeploy.ir.layers import BatchNorm
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.clifspike import CLIFSpike


def complementary(settings: Settings, shape: Shape) -> Neuron:
    """ComplementaryLIFNeuron: an undivided or decayed input, soft reset (v_reset None) or hard, and sigmoid(m) off either."""
    return Neuron(_clif(settings, shape))


def squashed(settings: Settings, shape: Shape) -> Neuron:
    """CLIFSpike, which overwrites m by sigmoid(m): decay ``gamma`` = 1 - 1/tau, threshold ``v_th``."""
    decay = settings.array("gamma", shape) if "gamma" in settings else frozen(1.0 - 1.0 / settings.array("tau", shape))
    threshold = settings.array("v_th", shape)
    strict = _strict(settings, "spike_func")
    return Neuron(CLIFSpike(decay, frozen(1.0 - decay), threshold=threshold, amount=threshold, strict=strict))


def _clif(settings: Settings, shape: Shape) -> CLIF:
    tau, threshold = settings.array("tau", shape), settings.array("v_threshold", shape)
    value, rate, divided = settings("v_reset"), 1.0 / tau, settings("decay_input")
    level = frozen(0.0 if value is None else float(value))
    strict = _strict(settings, "surrogate_function")
    return CLIF(
        frozen(1.0 - rate),
        frozen(rate),
        frozen(rate if divided else 1.0),
        threshold,
        strict=strict,
        reset="subtract" if value is None else "hard",
        v_reset=level,
        amount=threshold,
        rest=level,
        v_init=level,
        order="tau_apart" if divided else "tau_apart_whole",
        leak=tau,
    )


def _strict(settings: Settings, name: str) -> bool:
    """A live spike function is asked; of a file the user says it."""
    return strictness(settings(name), settings.where) if name in settings else bool(settings.get("strict", False))


def td_batch_norm(module: Any, shape: Shape) -> Chain:
    """tdBatchNorm: alpha Vth times what BatchNorm2d scales by; ``alpha`` is a plain attribute, 1/sqrt(2) beside a shortcut."""
    (norm,) = batch_norm(module, shape)
    assert isinstance(norm, BatchNorm)
    return (dataclasses.replace(norm, scale=frozen(norm.scale * (float(module.alpha) * float(module.Vth)))),)


def _at_once(_: Any) -> tuple[str, ...]:
    return ("T", "B")


def _steps_or_one(module: Any) -> tuple[str, ...]:
    return ("T", "B") if type(module).__name__ in ("MultiStepCLIFNeuron", "CLIFSpike") else ("B",)


_GLIF_KEYS = frozenset(["alpha", "beta", "gamma", *RAW])
_GLIF = NeuronClass(gated, {"soft_mode": REQUIRED, "static_gate": REQUIRED, "strict": True}, _GLIF_KEYS)
_FUSED_KEYS = frozenset(["gamma", *RAW])

GATED_LIF = Library(
    name="gated-lif",
    neurons={
        "GLIF": _GLIF,
        "LIFSpike": dataclasses.replace(_GLIF, keys=frozenset()),
        "LIFSpike_CW": dataclasses.replace(_GLIF, keys=frozenset()),
        "GLIF_f": NeuronClass(fused, {}, _FUSED_KEYS),
        "LIFSpike_CW_softsimple": NeuronClass(fused, {}),
    },
    layers={"tdBatchNorm": td_batch_norm},
    takes=_at_once,
    marks={
        "LIFSpike": _GLIF_KEYS | {"static_gate", "T"},
        "LIFSpike_CW": _GLIF_KEYS | {"static_gate", "soft_mode", "T"},
        "LIFSpike_CW_softsimple": _FUSED_KEYS | {"T"},
        "tdBatchNorm": frozenset(["alpha", "Vth", "running_mean"]),
    },
)

PARAMETRIC_LIF = Library(
    name="parametric-lif",
    neurons={"PLIFNode": NeuronClass(paper_parametric, {"w": REQUIRED, "v_threshold": 1.0, "v_reset": 0.0, "surrogate_function": "ATan"})},
    memory=memory,
    forget=forget,
    marks={"PLIFNode": frozenset(["w", "tau", "v_threshold", "v_reset"])},
)
"""SpikingJelly's ParametricLIFNode before it was there: 1/tau = sigmoid(w), also of the input."""

_CLIF = NeuronClass(complementary, {"tau": 2.0, "decay_input": False, "v_threshold": 1.0, "v_reset": None, "strict": False})
_CLIF_MARKS = frozenset(["tau", "decay_input", "v_threshold", "v_reset", "_memories"])

COMPLEMENTARY_LIF = Library(
    name="complementary-lif",
    neurons={
        "CLIF": _CLIF,
        "ComplementaryLIFNeuron": _CLIF,
        "MultiStepCLIFNeuron": _CLIF,
        "CLIFSpike": NeuronClass(squashed, {"tau": REQUIRED, "v_th": 1.0, "strict": False}),
    },
    takes=_steps_or_one,
    memory=memory,
    forget=forget,
    marks={
        "ComplementaryLIFNeuron": _CLIF_MARKS,
        "MultiStepCLIFNeuron": _CLIF_MARKS,
        "CLIFSpike": frozenset(["gamma", "v_th", "spike_func"]),
    },
)
