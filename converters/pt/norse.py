"""Norse (read at 1.1.0): strict ``>``, hard reset, and a state that goes through the user's hands.

    LIFCell, LIF   i = i + x;  v = v + dt/tau_mem ((v_leak - v) + i);  z = [v > v_th];  v = v_reset where z;  i = i (1 - dt/tau_syn)
    LIFBoxCell     the same without a current: v = v + dt/tau_mem ((v_leak - v) + x)
    LSNNCell, LSNN the same, but v takes the i of before this x, and the threshold adapts (see ``AdaptiveLIF``)
    IAFCell, IAF   v = v + x;  LICell, LI, LIBoxCell: as LIF, but v is the output and nothing fires

The parameters sit in a tuple ``p``, which no state_dict holds; it is float32, and dt / tau is rounded to it. A cell
that is called without its state starts again at every call: then each step is a first step, and nothing is remembered.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from converters.pt.neuron import GRADIENT, RECORDED, REQUIRED, SHAPED, Idle, Library, Neuron, NeuronClass, Settings, without_memory
from converters.pt.torch_nn import array
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.layers import Linear
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.exponential import ExponentialIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, Reset

STEPS = ("heaviside", "super", "triangle", "tanh", "circ", "heavi_erfc")
"""Spike functions that are [x > 0] in the forward pass; the others are random."""


class Parameters:
    """``p.name`` of a live cell, or the settings of a file; numbers as Norse computes with them, in float32."""

    def __init__(self, settings: Settings, shape: Shape) -> None:
        self.settings = settings
        self.shape = shape
        self.tuple = settings.get("p")

    def __call__(self, name: str) -> Floats:
        value = getattr(self.tuple, name) if self.tuple is not None else self.settings(name)
        return Settings(self.settings.where, [("model", {name: torch.as_tensor(value, dtype=torch.float32)})]).array(name, self.shape)

    def rate(self, name: str) -> Floats:
        """dt times an inverse time constant, in float32."""
        rate = np.float32(self(name)) * np.float32(float(self.settings("dt")))
        return frozen(np.asarray(rate, dtype=np.float64))

    def check_spike_function(self) -> None:
        """Raise ``Unsupported`` for random spikes."""
        method = str(self.settings.get("method", "super") if self.tuple is None else getattr(self.tuple, "method", None) or "super")
        if method not in STEPS:
            raise Unsupported(self.settings.where, f"spikes by chance (method {method!r})", f"use one of {', '.join(STEPS)}")


def lif(settings: Settings, shape: Shape) -> Neuron:
    """LIFCell and LIF."""
    return _kept(settings, Neuron(_cuba(settings, shape)))


def recurrent_lif(settings: Settings, _: Shape) -> Neuron:
    """LIFRecurrentCell and LIFRecurrent; the input synapse is in the module, in front of the neuron (``before``)."""
    entering, recurrent = (_weights(settings, name) for name in ("input_weights", "recurrent_weights"))
    return _kept(settings, Neuron(_cuba(settings, recurrent.weight.shape[:1]), before=(entering,), feedback=(recurrent,)))


def box(settings: Settings, shape: Shape) -> Neuron:
    """LIFBoxCell: hard reset, or the threshold taken off (reset_subtract)."""
    p = Parameters(settings, shape)
    p.check_spike_function()
    method = settings.get("reset_method", "reset_value") if p.tuple is None else getattr(p.tuple.reset_method, "__name__", "unnamed")
    if method not in ("reset_value", "reset_subtract"):
        raise Unsupported(settings.where, f"resets by a function of its own ({method})", "use reset_value or reset_subtract")
    rate, leak, threshold = p.rate("tau_mem_inv"), p("v_leak"), p("v_th")
    reset: Reset = "subtract" if method == "reset_subtract" else "hard"
    decay = frozen(1.0 - rate)
    words: dict[str, Any] = {"rest": leak, "v_init": leak, "order": "rate_joint", "leak": rate}
    return _kept(settings, Neuron(LIF(decay, rate, threshold, True, reset, p("v_reset"), threshold, **words)))


def integrate(settings: Settings, shape: Shape) -> Neuron:
    """IAFCell and IAF: nothing decays; starts at v_reset."""
    p = Parameters(settings, shape)
    p.check_spike_function()
    node = LIF(frozen(1.0), threshold=p("v_th"), strict=True, v_reset=p("v_reset"), v_init=p("v_reset"))
    return _kept(settings, Neuron(node))


def leaky(settings: Settings, shape: Shape) -> Neuron:
    """LICell and LI: a leaky integrator behind a leaky current."""
    p = Parameters(settings, shape)
    rate, leak = p.rate("tau_mem_inv"), p("v_leak")
    membrane = LI(frozen(1.0 - rate), rate, leak, leak, order="rate", leak=rate)
    forget = p.rate("tau_syn_inv")
    return _kept(settings, Neuron(LI(frozen(1.0 - forget), order="rate_whole", leak=forget), (membrane,)))


def leaky_box(settings: Settings, shape: Shape) -> Neuron:
    """LIBoxCell."""
    p = Parameters(settings, shape)
    rate, leak = p.rate("tau_mem_inv"), p("v_leak")
    return _kept(settings, Neuron(LI(frozen(1.0 - rate), rate, leak, leak, order="rate", leak=rate)))


def adaptive(settings: Settings, shape: Shape) -> Neuron:
    """LSNNCell and LSNN: the threshold b decays to v_th and jumps by beta; v takes the current of the step before."""
    return _kept(settings, Neuron(_lsnn(settings, shape)))


def recurrent_adaptive(settings: Settings, _: Shape) -> Neuron:
    """LSNNRecurrentCell and LSNNRecurrent."""
    entering, recurrent = (_weights(settings, name) for name in ("input_weights", "recurrent_weights"))
    return _kept(settings, Neuron(_lsnn(settings, recurrent.weight.shape[:1]), before=(entering,), feedback=(recurrent,)))


def exponential(settings: Settings, shape: Shape) -> Neuron:
    """LIFExCell and LIFEx: the leaky current adds to an exponential membrane in the step in which it arrives."""
    p = Parameters(settings, shape)
    p.check_spike_function()
    threshold, leak, delta = p("v_th"), p("v_leak"), p("delta_T")
    if (delta <= 0).any():
        raise Unsupported(settings.where, "has a delta_T that is not positive", "use a positive delta_T")
    node = ExponentialIF(
        p.rate("tau_mem_inv"), leak, threshold, delta, frozen(1.0 / delta), threshold, True, v_reset=p("v_reset"), v_init=leak
    )
    current = LI(frozen(1.0 - p.rate("tau_syn_inv")))
    return _kept(settings, Neuron(node, before=(current,)))


def _weights(settings: Settings, name: str) -> Linear:
    """A synapse inside a cell. Raises ``Unsupported`` for what is no matrix."""
    value = settings(name)
    if getattr(value, "ndim", 0) != 2:
        what = f"{name} is a matrix inside the cell, and {value!r} is none"
        raise Unsupported(settings.where, what, "give the module's code: --arch 'file.py:Net'")
    return Linear(array(value))


def _lsnn(settings: Settings, shape: Shape) -> AdaptiveLIF:
    p = Parameters(settings, shape)
    p.check_spike_function()
    rate, leak, forget = p.rate("tau_mem_inv"), p("v_leak"), frozen(1.0 - p.rate("tau_adapt_inv"))
    current = p.rate("tau_syn_inv")
    return AdaptiveLIF(
        frozen(1.0 - rate), forget, frozen(forget * p("beta")), frozen(1.0 - current), rate, p("v_th"), True,
        v_reset=p("v_reset"), rest=leak, v_init=leak, current="late", order="rate", leak=rate, current_leak=current,
    )  # fmt: skip


def _cuba(settings: Settings, shape: Shape) -> CubaLIF:
    p = Parameters(settings, shape)
    p.check_spike_function()
    rate, leak, threshold = p.rate("tau_mem_inv"), p("v_leak"), p("v_th")
    current = p.rate("tau_syn_inv")
    order: dict[str, Any] = {"order": "rate", "leak": rate, "current_leak": current}
    words = {"rest": leak, "v_init": leak, "v_reset": p("v_reset"), **order}
    return CubaLIF(frozen(1.0 - current), frozen(1.0 - rate), gain=rate, threshold=threshold, strict=True, **words)


def _kept(settings: Settings, neuron: Neuron) -> Neuron:
    """For a bare file: whether the code hands the state back is asked for, because both readings run and differ."""
    if "stateless" not in settings:
        return neuron
    try:
        stateless = settings("stateless")
    except ModelError as missing:
        what = (
            "whether your code hands the cell's state back is not in the file: 'z, s = cell(x, s)' remembers the steps before, "
            "'z, _ = cell(x)' starts every step anew, and the two give different spikes"
        )
        raise ModelError(settings.where, what, f"{settings.please('stateless=False')} (or True)") from missing
    return without_memory(neuron, settings.where) if stateless else neuron


def takes(module: Any) -> tuple[str, ...]:
    """Cells take one step, LIF, LI, IAF and LIFRecurrent all of them, time first."""
    return ("B",) if type(module).__name__.endswith("Cell") else ("T", "B")


_SYNAPSE = {"tau_syn_inv": 1.0 / 0.005}
_MEMBRANE = {"tau_mem_inv": 1.0 / 0.01, "v_leak": 0.0}
_FIRES = {"v_th": 1.0, "v_reset": 0.0, "method": "super", "alpha": GRADIENT}
_OWN = dict.fromkeys(["activation", "activation_sparse", "state_fallback"], Idle("is the class's own; another is another class"))
_CALL = {"dt": 0.001, **_OWN, "record_states": RECORDED, "stateless": REQUIRED}
_ADJOINT = {"adjoint": GRADIENT}
_RATES = {"tau_adapt_inv": 1.0 / 800, "v_leak": 0.0}
_LIF = NeuronClass(lif, {**_SYNAPSE, **_MEMBRANE, **_FIRES, **_CALL})
_LI = NeuronClass(leaky, {**_SYNAPSE, **_MEMBRANE, **_CALL})
_IAF = NeuronClass(integrate, {**_FIRES, **_CALL, "dt": Idle("is not used: nothing decays")})
_ADAPTS = {**_SYNAPSE, "tau_mem_inv": 1.0 / 0.01, **_RATES, "v_th": 1.0, "v_reset": 0.0, "beta": 1.8, "method": "super", "alpha": GRADIENT}
_LSNN = NeuronClass(adaptive, {**_ADAPTS, **_ADJOINT, **_CALL})
_EX = NeuronClass(exponential, {"delta_T": 0.5, **_SYNAPSE, **_MEMBRANE, **_FIRES, **_CALL})
_BOX = NeuronClass(box, {**_MEMBRANE, **_FIRES, "reset_method": "reset_value", **_CALL})
_BACK = {
    "input_size": SHAPED,
    "hidden_size": SHAPED,
    "input_weights": REQUIRED,
    "recurrent_weights": REQUIRED,
    "autapses": Idle("is in the weights: without it their diagonal is 0"),
}
_BACK_LIF = NeuronClass(recurrent_lif, {**_BACK, **_LIF.defaults})
_BACK_LSNN = NeuronClass(recurrent_adaptive, {**_BACK, **_LSNN.defaults})
_REFRACTORY = "holds its membrane and is silent for rho_reset steps after a spike, and no neuron here counts steps"
_RECOVERY = "its recovery variable follows the membrane of the step before, QuadraticIF's (SpikingJelly's) that of the step itself"
_INSIDE = "its own spikes enter the current in front of an exponential membrane, and only a neuron's membrane is fed back to here"

NORSE = Library(
    name="norse",
    neurons={
        "LIFCell": _LIF,
        "LIF": _LIF,
        "LIFRecurrentCell": _BACK_LIF,
        "LIFRecurrent": _BACK_LIF,
        "LSNNCell": _LSNN,
        "LSNN": _LSNN,
        "LSNNRecurrentCell": _BACK_LSNN,
        "LSNNRecurrent": _BACK_LSNN,
        "LIFExCell": _EX,
        "LIFEx": _EX,
        "LIFBoxCell": _BOX,
        "IAFCell": _IAF,
        "IAF": _IAF,
        "LICell": _LI,
        "LI": _LI,
        "LIBoxCell": NeuronClass(leaky_box, {**_MEMBRANE, **_CALL}),
    },
    refused={
        **dict.fromkeys(
            ["LIFAdExCell", "LIFAdEx", "LIFAdExRecurrentCell", "LIFAdExRecurrent"],
            "adapts an exponential membrane: ExponentialIF does not adapt",
        ),
        **dict.fromkeys(["LIFExRecurrentCell", "LIFExRecurrent"], _INSIDE),
        **dict.fromkeys(["LIFRefracCell", "LIFRefracRecurrentCell", "LIFRefracRecurrent"], _REFRACTORY),
        **dict.fromkeys(["IzhikevichCell", "IzhikevichRecurrentCell", "Izhikevich", "IzhikevichRecurrent"], _RECOVERY),
        "CobaLIFCell": "its conductances multiply the membrane, and no neuron here multiplies two of its states",
        "LIFMCRecurrentCell": "has several compartments that drive each other; a neuron here has one membrane",
        "LILinearCell": "holds a synapse and an integrator in one; use nn.Linear and LICell",
        "LConv2d": "convolves step by step in a way of its own; use nn.Conv2d",
    },
    stateful=frozenset(["SNN", "SNNCell", "SNNRecurrent", "SNNRecurrentCell"]),
    takes=takes,
    passes_state=True,
    resets={"zero": {}},
)
