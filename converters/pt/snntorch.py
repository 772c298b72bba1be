"""snnTorch (read at 1.0.0): strict ``>`` everywhere; most resets act inside the next update.

A class's attributes are ``beta``, ``threshold``, ``reset_mechanism_val`` (0 subtract, 1 zero, 2 none), which a
state_dict holds, and ``reset_delay``, which it does not. With r = [mem of the step before > threshold]:

    Leaky, RLeaky      mem = beta mem + x [+ V spk];         Lapicque: mem = (1 - dt/RC) mem + dt/C x
    Synaptic, R...     syn = alpha syn + x [+ V spk];        mem = beta mem + syn
    subtract           mem -= threshold r
    zero               Leaky: mem = beta mem (1 - r) + x;    all others: mem = 0 in the whole step after a spike
    reset_delay=False  zero: as a plain hard reset;          subtract: no plain soft reset, see ``ImmediateLIF``
    DeltaLeaky         mem = beta mem + x;                   fires where mem changes by more than delta_threshold
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import torch

from converters import Fact
from converters.pt import spike_functions
from converters.pt.neuron import (
    GRADIENT,
    RECORDED,
    REQUIRED,
    SHAPED,
    TRAINED,
    Idle,
    Library,
    Neuron,
    NeuronClass,
    Settings,
    buffered,
    emptied,
    spread,
)
from converters.pt.torch_nn import Chain, array
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Conv, Linear, Scale
from snndeploy.ir.neurons.change import ChangeLIF
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, Reset

MECHANISMS = ("subtract", "zero", "none")
STATES = ("mem", "syn", "spk")


def leaky(settings: Settings, shape: Shape) -> Neuron:
    """Leaky: LIF; its zero reset clears the membrane before the next update, so it is a plain hard reset."""
    _check(settings)
    decay, reset, late = _decay(settings, "beta", shape), _reset(settings), _late(settings)
    late = late and reset == "subtract"
    return _finished(settings, shape, _lif(settings, shape, decay, frozen(1.0), reset, late), (LI(decay),))


def recurrent_leaky(settings: Settings, shape: Shape) -> Neuron:
    """RLeaky: Leaky whose own spikes of the step before come back; a delayed zero clears the whole next step."""
    _check(settings)
    decay, reset, late = _decay(settings, "beta", shape), _reset(settings), _late(settings)
    node: Node
    if late and reset == "hard":
        node = _swallowing(settings, shape, decay, frozen(1.0))
    else:
        node = _lif(settings, shape, decay, frozen(1.0), reset, late)
    return _finished(settings, shape, node, None, _feedback(settings, shape))


def lapicque(settings: Settings, shape: Shape) -> Neuron:
    """Lapicque: decay 1 - dt/(R C), gain dt/C. From beta alone C = dt/(R ln(1/beta)), so the decay is 1 + ln(beta).

    Both are computed as the module computes them: they are what it multiplies by.
    """
    _check(settings)
    step = _number(settings("time_step")) if "time_step" in settings else _number(1.0)
    if settings.get("C") is not None and settings.get("R") is not None:
        resistance, capacity = _number(settings("R")), _number(settings("C"))
        settings.get("beta")
    else:
        resistance = _number(1.0)
        capacity = step / -torch.log(_number(settings("beta")))
    numbers = 1 - step / (resistance * capacity), resistance * (1 / (resistance * capacity)) * step
    decay, gain = (spread(n, shape, f"{settings.where}: R, C") for n in numbers)
    if (decay < 0).any():
        what = f"its decay factor is {float(decay.min()):.4g}, so its membrane changes sign at every step"
        raise Unsupported(settings.where, what, "train with beta > 0.37 (1/e), or a smaller time_step")
    reset = _reset(settings)
    node: Node = _swallowing(settings, shape, decay, gain) if reset == "hard" else _lif(settings, shape, decay, gain, reset, True)
    return _finished(settings, shape, node, (LI(decay, gain),))


def _number(value: Any) -> torch.Tensor:
    return value.detach() if isinstance(value, torch.Tensor) else torch.as_tensor(value, dtype=torch.float64)


def synaptic(settings: Settings, shape: Shape) -> Neuron:
    """Synaptic: CubaLIF; a delayed zero clears the whole next step, the current is never reset."""
    _check(settings)
    alpha, beta = _decay(settings, "alpha", shape), _decay(settings, "beta", shape)
    return _finished(settings, shape, _cuba(settings, shape, alpha, beta, _late(settings)), (LI(alpha), LI(beta)))


def recurrent_synaptic(settings: Settings, shape: Shape) -> Neuron:
    """RSynaptic. Release 1.0 resets a local variable, so its ``reset_delay=False`` does nothing; earlier ones obey it."""
    _check(settings)
    alpha, beta = _decay(settings, "alpha", shape), _decay(settings, "beta", shape)
    late = True if settings.release.startswith("1.0") else _late(settings)
    neuron = _finished(settings, shape, _cuba(settings, shape, alpha, beta, late), None, _feedback(settings, shape))
    ignored = late and not settings.get("reset_delay", True)
    said = Fact("reset timing", "late: release 1.0 ignores reset_delay=False here", "model")
    return dataclasses.replace(neuron, said=(said,) if ignored else ())


def change(settings: Settings, shape: Shape) -> Neuron:
    """DeltaLeaky: nothing is clamped, nothing reset; its spikes are not graded."""
    _check_spike_function(settings)
    return Neuron(ChangeLIF(settings.array("beta", shape), threshold=settings.array("delta_threshold", shape)))


def _lif(settings: Settings, shape: Shape, decay: Floats, gain: Floats, reset: Reset, late: bool) -> Node:
    threshold = _threshold(settings, shape, reset, late)
    if reset == "subtract" and not late:
        return ImmediateLIF(decay, gain=gain, threshold=threshold, amount=threshold)
    return LIF(decay, gain, threshold, strict=True, reset=reset, amount=threshold, late=late and reset == "subtract")


def _swallowing(settings: Settings, shape: Shape, decay: Floats, gain: Floats) -> CubaLIF:
    """A membrane that is 0 in the whole step after a spike: a CubaLIF without a current has that reset."""
    threshold = settings.array("threshold", shape)
    return CubaLIF(frozen(0.0), decay, gain=gain, threshold=threshold, strict=True, reset="hard", late=True)


def _cuba(settings: Settings, shape: Shape, alpha: Floats, beta: Floats, late: bool) -> Node:
    reset = _reset(settings)
    threshold = _threshold(settings, shape, reset, late)
    if reset == "subtract" and not late:
        return ImmediateLIF(beta, alpha, threshold=threshold, amount=threshold, current=True)
    return CubaLIF(alpha, beta, threshold=threshold, strict=True, reset=reset, amount=threshold, late=late and reset != "none")


def _threshold(settings: Settings, shape: Shape, reset: Reset, late: bool) -> Floats:
    threshold = settings.array("threshold", shape)
    if not late and reset == "hard" and (threshold < 0).any():
        raise Unsupported(settings.where, "has a negative threshold, so it spikes at rest and resets again and again", "use a positive one")
    return threshold


def _reset(settings: Settings) -> Reset:
    """The reset. ``reset_mechanism`` (a name) is what a user says, ``reset_mechanism_val`` (a number) what a file holds."""
    said = any("reset_mechanism" in source for origin, source in settings.sources if origin == "user")
    if "reset_mechanism_val" in settings and not said:
        name = MECHANISMS[int(settings("reset_mechanism_val"))]
        function = getattr(settings.get("state_function"), "__name__", "")
        bound = {"_base_sub": "subtract", "_base_zero": "zero", "_base_int": "none"}.get(function, name)
        if bound != name:
            what = f"was built with reset_mechanism {bound!r}, then given {name!r}: half of it goes on with the first"
            raise Unsupported(settings.where, what, f"build it with reset_mechanism={name!r} before loading the weights")
    else:
        name = str(settings("reset_mechanism"))
    if name not in MECHANISMS:
        raise Unsupported(settings.where, f"reset_mechanism {name!r} is not known", "subtract, zero or none")
    return {"subtract": "subtract", "zero": "hard", "none": "none"}[name]  # type: ignore[return-value]


def _late(settings: Settings) -> bool:
    """Whether the reset acts inside the next update; releases before 0.7 and Lapicque have no such option and do so."""
    return bool(settings.get("reset_delay", True))


def _decay(settings: Settings, name: str, shape: Shape) -> Floats:
    """beta and alpha are clamped to 0..1 where they are used."""
    return frozen(np.clip(settings.array(name, shape), 0.0, 1.0))


def _check(settings: Settings) -> None:
    if settings.get("inhibition", False):
        what = "inhibition=True lets only the largest membrane of a layer fire, which compares neurons with each other"
        raise Unsupported(settings.where, what, "train with inhibition=False")
    if settings.get("state_quant", False):
        raise Unsupported(settings.where, "rounds its membrane at every step (state_quant)", "train without it; --weight-bits quantizes")
    _check_spike_function(settings)


def _check_spike_function(settings: Settings) -> None:
    if not spike_functions.strict(settings, "spike_grad", spike_functions.SNNTORCH, otherwise=True):
        what = "its spike function fires at 0 itself, the library's do not"
        raise Unsupported(settings.where, what, "use a surrogate of snntorch.surrogate")


def _finished(settings: Settings, shape: Shape, node: Node, membrane: Chain | None, feedback: Chain = ()) -> Neuron:
    """The neuron with its spike value, and its membrane where no spike changes it."""
    value = settings.array("graded_spikes_factor", shape) if "graded_spikes_factor" in settings else frozen(1.0)
    after = () if (value == 1).all() else (Scale(value),)
    return Neuron(node, after, feedback, membrane if getattr(node, "reset", "") == "none" else None)


def _feedback(settings: Settings, shape: Shape) -> Chain:
    """The recurrent synapse: Linear, Conv2d with padding k // 2, or one weight a neuron (V)."""
    recurrent = settings.get("recurrent")
    if recurrent is not None and getattr(recurrent, "weight", None) is None:
        return (Scale(spread(recurrent.V, shape, f"{settings.where}: V")),)
    if recurrent is None:
        if "recurrent.weight" not in settings:
            return (Scale(settings.array("recurrent.V" if "recurrent.V" in settings else "V", shape)),)
        weight, bias = array(settings("recurrent.weight")), settings.get("recurrent.bias")
    else:
        weight, bias = array(recurrent.weight), recurrent.bias
    offset = None if bias is None else array(bias)
    if weight.ndim == 2:
        return (Linear(weight, offset),)
    return (Conv(weight, offset, padding=tuple((k // 2, k // 2) for k in weight.shape[2:])),)


def memory(module: Any) -> tuple[Any, ...]:
    """What a neuron keeps: buffers; DeltaLeaky's membrane and the one before it."""
    return (module.mem, module.mem_prev) if hasattr(module, "mem_prev") else buffered(STATES, module)


_OWN = Idle("is not used by DeltaLeaky, which fires where its membrane changes and is never reset")


def _arguments(first: dict[str, Any], learnt: tuple[str, ...], last: dict[str, Any]) -> dict[str, Any]:
    """A constructor's arguments in order; what all classes share stands between ``first`` and ``last``."""
    return {
        **first,
        "threshold": 1.0,
        "spike_grad": "atan",
        "surrogate_disable": GRADIENT,
        "init_hidden": Idle("says who keeps the state between calls, not what the state is"),
        "inhibition": False,
        **{f"learn_{name}": TRAINED for name in learnt},
        "reset_mechanism": "subtract",
        "state_quant": False,
        "output": RECORDED,
        **last,
    }


_GRADED = {"graded_spikes_factor": 1.0}
_LATE = {"reset_delay": True, **_GRADED}
_SIZES = dict.fromkeys(["all_to_all", "linear_features", "conv2d_channels", "kernel_size"], SHAPED)
_RECURRENT = {"V": REQUIRED, **_SIZES}
_LEAKY = _arguments(
    {"beta": REQUIRED},
    ("beta", "threshold"),
    {**_GRADED, "learn_graded_spikes_factor": TRAINED, "reset_delay": True},
)
_UNUSED = ("threshold", "inhibition", "reset_mechanism", "state_quant", "graded_spikes_factor", "reset_delay")
_KEYS = frozenset(["threshold", "reset_mechanism_val"])

SNNTORCH = Library(
    name="snntorch",
    neurons={
        "Leaky": NeuronClass(leaky, _LEAKY, _KEYS | {"beta"}, ("DeltaLeaky", "StateLeaky")),
        "RLeaky": NeuronClass(
            recurrent_leaky,
            _arguments({"beta": REQUIRED, **_RECURRENT}, ("beta", "threshold", "recurrent"), _LATE),
            _KEYS | {"beta", "recurrent"},
        ),
        "Lapicque": NeuronClass(
            lapicque,
            _arguments({"beta": REQUIRED, "R": None, "C": None, "time_step": 1.0}, ("beta", "threshold"), _GRADED),
            _KEYS | {"beta", "time_step"},
        ),
        "Synaptic": NeuronClass(
            synaptic,
            _arguments({"alpha": REQUIRED, "beta": REQUIRED}, ("alpha", "beta", "threshold"), _LATE),
            _KEYS | {"beta", "alpha"},
            ("Alpha",),
        ),
        "DeltaLeaky": NeuronClass(change, {"delta_threshold": 1.0, **_LEAKY, **dict.fromkeys(_UNUSED, _OWN)}),
        "RSynaptic": NeuronClass(
            recurrent_synaptic,
            _arguments({"alpha": REQUIRED, "beta": REQUIRED, **_RECURRENT}, ("alpha", "beta", "threshold", "recurrent"), _LATE),
            _KEYS | {"beta", "alpha", "recurrent"},
        ),
    },
    refused={
        "Alpha": "its two currents of opposite sign cross over in a way no node expresses; train with Synaptic",
        "LeakyParallel": "computes all steps at once with an RNN kernel, and has no reset",
        "LinearLeaky": "computes all steps at once and has no reset; train with Linear and Leaky",
        "StateLeaky": "computes all steps at once and has no reset; train with Leaky",
        "LeakyKernel": "computes all steps at once with a convolution over time; train with Leaky",
        "AssociativeLeaky": "multiplies signals with each other, which no synapse does",
        "SLSTM": "its gates multiply two signals, which no synapse does",
        "SConv2dLSTM": "its gates multiply two signals, which no synapse does",
    },
    stateful=frozenset(["SpikingNeuron"]),
    memory=memory,
    forget=partial(emptied, STATES),
    resets={
        "zero": {"reset_mechanism": "zero", "reset_delay": False},
        "late-zero": {"reset_mechanism": "zero"},
        "subtract": {"reset_mechanism": "subtract"},
        "none": {"reset_mechanism": "none"},
    },
)
