"""SpikingJelly (read at 2.0.0): its rarer neurons: ternary, resonating, self-driven, parallel; and its Delay and SynapseFilter.

TernaryIF/LIFNode   fires +1 and -1;                     RAFNode    a resonator, ``ResonateFire``
QIFNode, IzhikevichNode, EIFNode   ``QuadraticIF``, ``ExponentialIF``: exact in the graph, without an integer form
SlidingPSN          a memoryless LIF behind k delays;    MaskedPSN  the same if its weights do not change with time,
                                                                    else ``WindowedSpike``
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from converters.pt import spike_functions
from converters.pt.neuron import GRADIENT, RECORDED, REQUIRED, STEPPING, TRAINED, Idle, Neuron, NeuronClass, Settings
from converters.pt.torch_nn import Chain, array
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import Reshape, Scale, SumPool
from snndeploy.ir.neurons.exponential import ExponentialIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.quadratic import QuadraticIF
from snndeploy.ir.neurons.resonator import ResonateFire
from snndeploy.ir.neurons.spike_trace import SpikeTrace
from snndeploy.ir.neurons.ternary import TernaryLIF
from snndeploy.ir.neurons.windowed import WindowedSpike


def ternary(settings: Settings, shape: Shape) -> Neuron:
    """TernaryLIFNode; TernaryIFNode has no tau and nothing decays."""
    reset, start = _reset(settings), _start(settings)
    rate = 1.0 / settings.array("tau", shape) if "tau" in settings else frozen(0.0)
    gain = rate if "tau" in settings and settings("decay_input") else 1.0
    order: dict[str, Any] = {"rest": start, "v_init": start}
    if "tau" in settings:
        order |= {"order": "tau" if settings("decay_input") else "tau_whole", "leak": settings.array("tau", shape)}
    return Neuron(
        TernaryLIF(frozen(1.0 - rate), frozen(gain), settings.array("v_threshold", shape), fires_above(settings), reset, start, **order)
    )


def resonate(settings: Settings, shape: Shape) -> Neuron:
    """RAFNode: it is turned by omega dt and damped by exp(b dt) at every step."""
    step = float(settings("dt"))
    damping, angle = math.exp(float(settings("b")) * step), float(settings("omega")) * step
    cos, sin = frozen(damping * math.cos(angle)), frozen(damping * math.sin(angle))
    start, threshold = _start(settings), settings.array("v_threshold", shape)
    return Neuron(ResonateFire(cos, sin, threshold, _reset(settings), start, fires_above(settings), v_init=start))


def quadratic(settings: Settings, shape: Shape) -> Neuron:
    """QIFNode, and IzhikevichNode, which has a recovery variable w."""
    names = ("v_rest", "v_c", "a0", "v_threshold")
    rest, critical, a0, threshold = (settings.array(name, shape) for name in names)
    tau = settings.array("tau", shape)
    start, rate = _start(settings), frozen(1.0 / tau)
    recovery: dict[str, Any] = {"tau": tau}
    if "tau_w" in settings:
        slow = settings.array("tau_w", shape)
        recovery |= {"recovery": True, "w_rate": frozen(1.0 / slow), "tau_w": slow}
        recovery |= {ours: settings.array(theirs, shape) for ours, theirs in (("a", "a"), ("b", "b"), ("w_init", "w_rest"))}
    return Neuron(QuadraticIF(rate, rest, critical, a0, threshold, fires_above(settings), _reset(settings), start, start, **recovery))


def exponential(settings: Settings, shape: Shape) -> Neuron:
    """EIFNode."""
    rest, rheobase, delta, threshold = (settings.array(name, shape) for name in ("v_rest", "theta_rh", "delta_T", "v_threshold"))
    tau = settings.array("tau", shape)
    start, fires, reset = _start(settings), fires_above(settings), _reset(settings)
    steep = frozen(1.0 / delta)
    return Neuron(ExponentialIF(frozen(1.0 / tau), rest, rheobase, delta, steep, threshold, fires, reset, start, start, tau=tau))


def sliding(settings: Settings, _: Shape) -> Neuron:
    """SlidingPSN: s = [sum over d of weight[k - 1 - d] x(t - d) + bias >= 0]."""
    weight, bias = _shaped(settings, "weight", 1), _numbers(settings("bias"))
    if bias.size != 1:
        raise Unsupported(settings.where, f"bias has the shape {list(bias.shape)}", "SlidingPSN's is one number")
    return _windowed(weight[::-1], frozen(-bias.reshape(())), fires_above(settings))


def masked(settings: Settings, _: Shape) -> Neuron:
    """MaskedPSN: row t of its matrix, from its diagonal back, weighs the last k inputs of step t."""
    if float(settings("_lambda_")) < 1:
        what = f"lambda is {float(settings('_lambda_')):g}, so that a step also sees later steps and has no answer before them"
        raise Unsupported(settings.where, what, "train until lambda_ is 1")
    weight, bias, order = _shaped(settings, "weight", 2), _numbers(settings("bias")).reshape(-1), int(settings("k"))
    steps = len(weight)
    order = min(order, steps)
    rows = np.array([[weight[t, t - d] if d <= t else np.nan for d in range(order)] for t in range(steps)])
    fires = fires_above(settings)
    plain = np.nanmax(rows, axis=0)
    if ((rows == plain) | np.isnan(rows)).all() and (bias == bias[0]).all():
        return _windowed(plain, frozen(-bias[0]), fires)
    return Neuron(WindowedSpike(frozen(np.nan_to_num(rows)), frozen(-bias), fires))


def _numbers(value: Any) -> Floats:
    """A parameter, or what a user writes in its place."""
    return array(value) if hasattr(value, "detach") else frozen(value)


def _shaped(settings: Settings, name: str, axes: int) -> Floats:
    """A parameter with that many axes. Raises ``Unsupported``."""
    values = _numbers(settings(name))
    if values.ndim != axes or not values.size:
        what = f"{name} has the shape {list(values.shape)}; it is {'a row' if axes == 1 else 'a matrix'}"
        raise Unsupported(settings.where, what, "give the module's code: --arch 'file.py:Net'")
    return values


def _windowed(weights: Floats, threshold: Floats, strict: bool) -> Neuron:
    """A neuron without memory behind one synapse a delay; ``weights`` by delay."""
    return Neuron(LIF(frozen(0.0), threshold=threshold, strict=strict, reset="none"), taps=tuple(Scale(frozen(w)) for w in weights))


def delayed(settings: Settings, _: Shape) -> Neuron:
    """Delay: what it gets, so many steps later."""
    return Neuron(Scale(frozen(1.0)), delay=int(settings("_delay_steps" if "_delay_steps" in settings else "delay_steps")))


def trace(settings: Settings, shape: Shape) -> Neuron:
    """SynapseFilter: 1/tau, or sigmoid(w) where it was learned."""
    if "w" in settings:
        return Neuron(SpikeTrace(frozen(1.0 / (1.0 + np.exp(-settings.array("w", shape))))))
    return Neuron(SpikeTrace(frozen(1.0 / settings.array("tau", shape))))


def voting(module: Any, shape: Shape) -> Chain:
    """VotingLayer: the mean of each group of neighbouring neurons."""
    size = int(module.voting_size)
    pool = SumPool((size,), (size,), ((0, 0),), frozen(1.0 / size))
    return (Reshape((1, *shape)), pool, Reshape())


def _reset(settings: Settings) -> Any:
    return "subtract" if settings("v_reset") is None else "hard"


def _start(settings: Settings) -> Floats:
    """Where the membrane starts, and a hard reset puts it."""
    value = settings("v_reset")
    return frozen(0.0 if value is None else float(value))


def fires_above(settings: Settings) -> bool:
    """Whether it fires above its threshold only: no surrogate of the library does."""
    return spike_functions.strict(settings, FIRES, spike_functions.SPIKINGJELLY, otherwise=False)


FIRES = "surrogate_function"
BEHAVIOUR = {FIRES: "Sigmoid", "detach_reset": GRADIENT, "step_mode": STEPPING, "store_v_seq": RECORDED}
"""What most constructors of the library end with."""
_ALL = {"v_threshold": 1.0, "v_reset": 0.0, **BEHAVIOUR}
_PARALLEL = {FIRES: "ATan", "step_mode": STEPPING}
_WEIGHTED = {"weight": REQUIRED, "bias": REQUIRED}
RARE = {
    "TernaryIFNode": NeuronClass(ternary, _ALL),
    "TernaryLIFNode": NeuronClass(ternary, {"tau": REQUIRED, "decay_input": True, **_ALL}),
    "RAFNode": NeuronClass(resonate, {"b": -0.2, "omega": 1.0, "dt": 1.0, **_ALL}),
    "QIFNode": NeuronClass(quadratic, {"tau": 2.0, "v_c": 0.8, "a0": 1.0, "v_threshold": 1.0, "v_rest": 0.0, "v_reset": -0.1, **BEHAVIOUR}),
    "EIFNode": NeuronClass(
        exponential,
        {"tau": 2.0, "delta_T": 1.0, "theta_rh": 0.8, "v_threshold": 1.0, "v_rest": 0.0, "v_reset": -0.1, **BEHAVIOUR},
    ),
    "IzhikevichNode": NeuronClass(
        quadratic,
        {
            "tau": 2.0,
            "v_c": 0.8,
            "a0": 1.0,
            "v_threshold": 1.0,
            "v_reset": 0.0,
            "v_rest": -0.1,
            "w_rest": 0.0,
            "tau_w": 2.0,
            "a": 0.0,
            "b": 0.0,
            **BEHAVIOUR,
        },
    ),
    "SlidingPSN": NeuronClass(
        sliding,
        {"k": Idle("is the length of its weight"), "exp_init": Idle("starts the training"), **_PARALLEL, **_WEIGHTED},
    ),
    "MaskedPSN": NeuronClass(
        masked,
        {
            "k": REQUIRED,
            "T": Idle("is the number of rows of its weight"),
            "lambda_init": Idle("starts the training; _lambda_ is what became of it"),
            **_PARALLEL,
            **_WEIGHTED,
            "_lambda_": REQUIRED,
        },
    ),
    "Delay": NeuronClass(delayed, {"delay_steps": REQUIRED, "step_mode": STEPPING}),
    "SynapseFilter": NeuronClass(trace, {"tau": 100.0, "learnable": TRAINED, "step_mode": STEPPING}),
}
