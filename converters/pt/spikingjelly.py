"""SpikingJelly (read at 2.0.0; the same mathematics in 0.0.0.0.12): ``>=`` unless the surrogate says otherwise.

    LIFNode     h = v + (x - (v - v_reset)) / tau, or with decay_input=False h = v - (v - v_reset) / tau + x
    IFNode      h = v + x;   ParametricLIFNode: 1/tau = sigmoid(w);   CUBALIFNode: c = c_decay c + x, h = v_decay v + c
    KLIFNode    fires on relu(k h);   GatedLIFNode: GLIF with ``>=``, soft gates;   ComplementaryLIFNode: CLIF
      ILIFNode: counts round(h / v_threshold), half to even, up to D
    reset       v_reset a number: hard;   None: subtract the threshold

Tensors of a state_dict: ``w`` (ParametricLIFNode), ``k`` (KLIFNode), eight of GatedLIFNode; LIFNode and IFNode leave nothing in it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import numpy as np
import torch

from converters.pt.gated import spikingjelly_gated
from converters.pt.neuron import (
    RECORDED,
    REQUIRED,
    STEPPING,
    Idle,
    Library,
    Neuron,
    NeuronClass,
    Settings,
    counted,
    divided,
    spread,
)
from converters.pt.spikingjelly_rare import BEHAVIOUR, FIRES, RARE, fires_above, voting
from converters.pt.torch_nn import (
    Chain,
    adaptive_avg_pool,
    array,
    avg_pool,
    batch_norm,
    conv,
    linear,
    max_pool,
    nothing,
)
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import Conv, Linear
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.klif import KLIF
from snndeploy.ir.neurons.lif import LIF


def lif(settings: Settings, shape: Shape) -> Neuron:
    """LIFNode, and the online-learning OTTTLIFNode and SLTTLIFNode, which do the same after training."""
    return Neuron(_lif(settings, shape, "tau", settings.array("tau", shape)))


def simple(settings: Settings, shape: Shape) -> Neuron:
    """SimpleLIFNode and SimpleIFNode: they start at 0, whatever v_reset is (``SimpleBaseNode.__init__``)."""
    node = lif(settings, shape).node if "tau" in settings else integrate(settings, shape).node
    assert isinstance(node, LIF)
    return Neuron(dataclasses.replace(node, v_init=frozen(0.0)))


def integrate(settings: Settings, shape: Shape) -> Neuron:
    """IFNode: nothing decays."""
    fired, reset = fires_above(settings), _reset(settings)
    threshold = settings.array("v_threshold", shape)
    start = reset.pop("rest")
    return Neuron(LIF(frozen(1.0), threshold=threshold, amount=threshold, strict=fired, v_init=start, **reset))


def half_threshold(settings: Settings, shape: Shape) -> Neuron:
    """HalfThresholdIFNode: an IFNode with soft reset that starts at half its threshold."""
    neuron = integrate(settings, shape)
    assert isinstance(neuron.node, LIF)
    return Neuron(dataclasses.replace(neuron.node, v_init=frozen(neuron.node.threshold / 2)))


def parametric(settings: Settings, shape: Shape) -> Neuron:
    """ParametricLIFNode: 1/tau = sigmoid(w); without w (a file that lost it) 1/tau = 1/init_tau."""
    rate = learned(settings, shape) if "w" in settings else frozen(1.0 / settings.array("init_tau", shape))
    return Neuron(_lif(settings, shape, "rate", rate))


def klif(settings: Settings, shape: Shape) -> Neuron:
    """KLIFNode: relu(k h) fires; with scale_reset what stays is divided by k."""
    node, k = _lif(settings, shape, "tau", settings.array("tau", shape)), settings.array("k", shape)
    same = ("gain", "threshold", "strict", "reset", "v_reset", "amount", "rest", "v_init", "order", "leak")
    words = {name: getattr(node, name) for name in same}
    return Neuron(KLIF(node.decay, k=k, scale_reset=bool(settings("scale_reset")), **words))


def complementary(settings: Settings, shape: Shape) -> Neuron:
    """ComplementaryLIFNode: h = v - v / tau + x, soft reset deepened by sigmoid(m)."""
    tau, threshold, fired = settings.array("tau", shape), settings.array("v_threshold", shape), fires_above(settings)
    decay, rate = frozen(1.0 - 1.0 / tau), frozen(1.0 / tau)
    return Neuron(CLIF(decay, rate, threshold=threshold, amount=threshold, strict=fired, order="tau_whole", leak=tau))


def cuba(settings: Settings, shape: Shape) -> Neuron:
    """CUBALIFNode."""
    fired, reset = fires_above(settings), _reset(settings)
    threshold = settings.array("v_threshold", shape)
    start = reset.pop("rest")
    decays = settings.array("c_decay", shape), settings.array("v_decay", shape)
    return Neuron(CubaLIF(*decays, threshold=threshold, amount=threshold, strict=fired, v_init=start, **reset))


def integer_lif(settings: Settings, shape: Shape) -> Neuron:
    """ILIFNode: level j from h/theta >= j - 1/2 for even j, > j - 1/2 for odd j, because torch.round rounds half to even.

    Its thresholds are the numbers of float64 from which that quotient, rounded, is there. Release 2.0.0 rounds v - v / tau + x
    in step_mode "s" and (1 - 1/tau) v + x in "m".
    """
    count = _most(settings)
    theta = settings.array("v_threshold", shape)
    rungs = np.arange(1, count + 1, dtype=np.float64).reshape(-1, *(1,) * theta.ndim)
    strict = tuple(bool(j % 2) for j in range(1, count + 1))
    tau = settings.array("tau", shape)
    order: dict[str, Any] = {"order": "tau_whole", "leak": tau} if "step_mode" in settings and settings("step_mode") == "s" else {}
    thresholds = [divided(j - 0.5, theta, over) for j, over in zip(rungs, strict, strict=True)]
    return Neuron(
        Burst(
            decay=frozen(1.0 - 1.0 / tau),
            thresholds=frozen(np.stack(thresholds)),
            levels=frozen(rungs),
            strict=strict,
            reset="subtract",
            amounts=frozen(rungs * theta),
            **order,
        )
    )


def _most(settings: Settings) -> int:
    """How many spikes ILIFNode's surrogate lets through."""
    surrogate = settings.get("surrogate_function", "MultiLevelSpikeCount")
    if not isinstance(surrogate, str):
        return counted(getattr(surrogate, "max_spike_count", surrogate), settings.where)
    if surrogate != "MultiLevelSpikeCount":
        what = f"counts its spikes by {surrogate}, not by the class's own MultiLevelSpikeCount"
        raise Unsupported(settings.where, what, "say how many it lets through: max_spike_count=4")
    return counted(settings("max_spike_count"), settings.where)


def paper_parametric(settings: Settings, shape: Shape) -> Neuron:
    """PLIFNode of the PLIF paper's repository, from which ParametricLIFNode came: its input is always decayed."""
    return Neuron(_lif(settings, shape, "rate", learned(settings, shape), decayed=True))


def learned(settings: Settings, shape: Shape) -> Floats:
    """sigmoid(w) as torch rounds it, in w's own precision: it is what the library multiplies by."""
    w = settings("w")
    rate = torch.sigmoid(w.detach() if isinstance(w, torch.Tensor) else torch.as_tensor(w, dtype=torch.float64))
    return spread(rate, shape, f"{settings.where}: w")


def _lif(settings: Settings, shape: Shape, kind: Literal["tau", "rate"], leak: Floats, decayed: bool = False) -> LIF:
    fired, reset = fires_above(settings), _reset(settings)
    threshold, whole = settings.array("v_threshold", shape), not (decayed or settings("decay_input"))
    rate = 1.0 / leak if kind == "tau" else leak
    order: dict[str, Any] = {"order": f"{kind}_whole" if whole else kind, "leak": leak}
    order = {} if whole and _multiplies(settings, kind) else order
    gain = frozen(1.0 if whole else rate)
    return LIF(frozen(1.0 - rate), gain, threshold, strict=fired, amount=threshold, v_init=reset["rest"], **reset, **order)


def _multiplies(settings: Settings, kind: str) -> bool:
    """Whether v (1 - 1/tau) + x is what an undivided input meets: in releases before 2.0, with a resting potential of 0.

    0.0.0.0.12 (a module without ``_step_mode``): v_reset None or 0; 0.0.0.0.13 and 14 (with ``_backend``): None, and 0 but
    for LIFNode, whose evaluation is a function of its own.
    """
    value, earlier = settings("v_reset"), "detach_reset" in settings and "_step_mode" not in settings
    if not (earlier or "_backend" in settings):
        return False
    return value is None or (value == 0 and (earlier or kind == "rate"))


def _reset(settings: Settings) -> dict[str, Any]:
    value = settings("v_reset")
    if value is None:
        return {"reset": "subtract", "rest": frozen(0.0)}
    return {"reset": "hard", "v_reset": frozen(float(value)), "rest": frozen(float(value))}


def standardized_conv(module: Any, _: Shape) -> Chain:
    """WSConv2d: the weights it standardizes at every call, worked out once."""
    (node,) = conv(module, ())
    assert isinstance(node, Conv)
    return (dataclasses.replace(node, weight=array(module.get_weight())),)


def standardized_linear(module: Any, _: Shape) -> Chain:
    """WSLinear: as ``standardized_conv``."""
    return (Linear(array(module.get_weight()), None if module.bias is None else array(module.bias)),)


def effective_batch_norm(module: Any, shape: Shape) -> Chain:
    """TemporalEffectiveBatchNorm: one factor a step; it folds into weights only where all factors are the same."""
    factors = array(module.scale)
    if not (factors == factors.flat[0]).all():
        what = f"scales step by step ({factors.min():.3g}..{factors.max():.3g}), and a synapse has one weight for all steps"
        raise Unsupported(type(module).__name__, what, "train with BatchNorm or tdBN")
    (norm,) = batch_norm(module, shape)
    factor = float(factors.flat[0])
    return (dataclasses.replace(norm, scale=frozen(norm.scale * factor), shift=frozen(norm.shift * factor)),)  # type: ignore[attr-defined, call-arg]


def takes(module: Any) -> tuple[str, ...]:
    """step_mode "m": [T, B, ...]."""
    return ("T", "B") if str(getattr(module, "step_mode", "s")) == "m" else ("B",)


def memory(module: Any) -> tuple[Any, ...]:
    """The registered memories."""
    return tuple(getattr(module, "_memories", {}).values())


def forget(module: Any) -> None:
    """The library's own reset; a stand-in has none and no state either."""
    if callable(getattr(module, "reset", None)):
        module.reset()


_ALL = {"v_threshold": 1.0, "v_reset": 0.0, **BEHAVIOUR}
_SIMPLE = {name: value for name, value in _ALL.items() if name != "store_v_seq"}
_LIF = NeuronClass(lif, {"tau": REQUIRED, "decay_input": True, **_ALL})
_SOFT = {**_ALL, "v_reset": None}
_HALF = {name: value for name, value in _SOFT.items() if name != "v_reset"} | {"v_reset": None}
_EARLIER = {**_SIMPLE, "step_mode": Idle("is not there: the class takes all steps"), "backend": Idle("chooses who computes the same")}
"""The MultiStep classes of 0.0.0.0.12."""
_PARAMETRIC = {"init_tau": 2.0, "decay_input": True}
_GATED = frozenset(["alpha", "beta", "gamma", "tau", "v_threshold", "linear_decay", "v_subreset", "conduct"])
_GATED_NAMES = ("T", "inplane", "init_linear_decay", "init_v_subreset", "init_tau", "init_v_threshold", "init_conduct")
_IN_FILE = Idle("gives a value to start the training from; the file holds what became of it")
_NORM = "ThresholdDependentBatchNorm", "TemporalEffectiveBatchNorm"
_POOLS = {"AvgPool": avg_pool, "MaxPool": max_pool, "AdaptiveAvgPool": adaptive_avg_pool, "Conv": conv, "BatchNorm": batch_norm}
_PROGRAM = "there is no node for it yet"

SPIKINGJELLY = Library(
    name="spikingjelly",
    neurons={
        "LIFNode": _LIF,
        "MultiStepLIFNode": NeuronClass(lif, {"tau": REQUIRED, "decay_input": True, **_EARLIER}),
        "SimpleLIFNode": NeuronClass(simple, {"tau": REQUIRED, "decay_input": REQUIRED, **_SIMPLE}),
        "SLTTLIFNode": _LIF,
        "OTTTLIFNode": NeuronClass(lif, {"tau": REQUIRED, "decay_input": False, **_SOFT}),
        "IFNode": NeuronClass(integrate, _ALL),
        "MultiStepIFNode": NeuronClass(integrate, _EARLIER),
        "SimpleIFNode": NeuronClass(simple, _SIMPLE),
        "HalfThresholdIFNode": NeuronClass(half_threshold, _HALF),
        "ParametricLIFNode": NeuronClass(parametric, {**_PARAMETRIC, **_ALL}, frozenset(["w"])),
        "MultiStepParametricLIFNode": NeuronClass(parametric, {**_PARAMETRIC, **_EARLIER}),
        "KLIFNode": NeuronClass(klif, {"scale_reset": False, "tau": REQUIRED, "decay_input": True, **_ALL}, frozenset(["k"])),
        "CUBALIFNode": NeuronClass(cuba, {"c_decay": REQUIRED, "v_decay": REQUIRED, "v_threshold": 0.5, "v_reset": 0.0, FIRES: "Rect"}),
        **RARE,
        "ComplementaryLIFNode": NeuronClass(
            complementary,
            {"tau": 2.0, "v_threshold": 1.0, FIRES: "Rect", "step_mode": STEPPING, "store_state_seqs": RECORDED},
        ),
        "GatedLIFNode": NeuronClass(
            spikingjelly_gated, {**dict.fromkeys(_GATED_NAMES, _IN_FILE), FIRES: "Sigmoid", "step_mode": STEPPING}, _GATED
        ),
        "ILIFNode": NeuronClass(
            integer_lif,
            {
                "tau": 4 / 3,
                "v_threshold": 1.0,
                **BEHAVIOUR,
                FIRES: "MultiLevelSpikeCount",
                "step_mode": "s",
                "max_spike_count": 4,
            },
        ),
    },
    layers={
        "Linear": linear,
        "VotingLayer": voting,
        "PrintShapeModule": nothing,
        **dict.fromkeys(["Dropout", "Dropout2d", "MultiStepDropout", "MultiStepDropout2d"], nothing),
        "WSConv2d": standardized_conv,
        "WSLinear": standardized_linear,
        **{f"{kind}{n}d": build for kind, build in _POOLS.items() for n in (1, 2)},
        **{f"{_NORM[0]}{n}d": batch_norm for n in (1, 2)},
        **{f"{_NORM[1]}{n}d": effective_batch_norm for n in (1, 2)},
    },
    refused={
        "PSN": "every step sees all steps, also later ones, so that it has no answer before the last",
        "STBIFNode": f"fires +1 and -1 against a running count; {_PROGRAM}",
        "LIAFNode": "gives out a real activation of its membrane, not spikes",
        "NeuNorm": "divides by a running average of spikes, which no synapse does",
        "NonSpikingIFNode": f"returns its membrane through a decoder of its own; {_PROGRAM}",
        "NonSpikingLIFNode": f"returns its membrane through a decoder of its own; {_PROGRAM}",
        "BatchNormThroughTime1d": "normalizes every step with its own statistics, and a synapse has one weight for all steps",
        "BatchNormThroughTime2d": "normalizes every step with its own statistics, and a synapse has one weight for all steps",
    },
    stateful=frozenset(["MemoryModule", "NonSpikingBaseNode", "ILCBaseNode", "NoisyBaseNode", "PSN"]),
    takes=takes,
    memory=memory,
    forget=forget,
    resets={"zero": {"v_reset": 0.0}, "subtract": {"v_reset": None}},
)
