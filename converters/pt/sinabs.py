"""sinabs (read at 3.1.3): ``>=`` thresholds, several spikes in one step, a floor under the membrane.

    i = alpha_syn (i + x), or x without tau_syn;  h = alpha_mem v + i, times (1 - alpha_mem) with norm_input
    MultiSpike (the default)   k = trunc(h / theta) for h > 0;  MaxSpike(K) the same up to K;  SingleSpike [h >= theta]
    MembraneSubtract           v = h - k theta;   MembraneReset: v = h where k = 0, plus reset_value; ALIF: ``AdaptiveLIF``
    min_v_mem                  v = max(v, floor) afterwards: with floor <= 0 the same as a floor before firing

alpha = exp(-1/tau) in float32. ``v_mem`` and ``i_syn`` are run state, which a state_dict carries too.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import torch

from converters.pt.neuron import (
    GRADIENT,
    RECORDED,
    REQUIRED,
    SHAPED,
    STEPPING,
    Idle,
    Library,
    Neuron,
    NeuronClass,
    Settings,
    buffered,
    counted,
    divided,
    emptied,
)
from converters.pt.sinabs_recurrent import recurrent
from converters.pt.torch_nn import Chain
from converters.pt.windows import average
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Scale, SumPool
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, Reset
from snndeploy.ir.neurons.multispike import MultiSpike

RUNGS = 8
"""A neuron that may hold more spikes in a step than this becomes a ``MultiSpike``: its program is as long for any number."""
STATES = ("v_mem", "i_syn", "b")


def lif(settings: Settings, shape: Shape) -> Neuron:
    """LIF and LIFSqueeze."""
    return _neuron(settings, shape, _alpha(settings, "mem", shape))


def integrate(settings: Settings, shape: Shape) -> Neuron:
    """IAF and IAFSqueeze: alpha_mem is 1."""
    return _neuron(settings, shape, frozen(1.0))


def adaptive(settings: Settings, shape: Shape) -> Neuron:
    """ALIF: theta = b0 + adapt_scale b, b = alpha_adapt b + (1 - alpha_adapt) s; b0 is its spike_threshold at the start."""
    alpha, forget = _alpha(settings, "mem", shape), _alpha(settings, "adapt", shape)
    theta, scale, floor = _base(settings, shape), settings.array("adapt_scale", shape), _floor(settings, shape)
    if _most(settings) != 1 or _value(settings):
        raise Unsupported(
            settings.where, "adapts and fires several times a step, or resets to a value", "use SingleSpike and MembraneSubtract()"
        )
    hard, amount = _hard(settings), getattr(settings("reset_fn"), "subtract_value", None)
    if floor is not None and (amount is not None or (theta <= 0).any() or (scale < 0).any()):
        raise Unsupported(settings.where, "has a floor that could also act after a spike", "use min_v_mem=None")
    current = _has_current(settings)
    # unlike LIF's, its current is multiplied by (1 - alpha_mem) inside its own loop
    synapse = (_alpha(settings, "syn", shape) if current else 1.0) * (1.0 - alpha if settings("norm_input") else 1.0)
    node = AdaptiveLIF(
        alpha, forget, frozen(scale * (1.0 - forget)), frozen(synapse if current else 0.0), threshold=theta,
        reset="hard" if hard else "subtract", amount=None if amount is None else frozen(amount), current_gain=frozen(synapse),
        current="now" if current else "none", floor=floor,
    )  # fmt: skip
    return Neuron(node)


def _base(settings: Settings, shape: Shape) -> Floats:
    """The threshold before it adapts: ``b0``, or what it was made with; its ``spike_threshold`` in a file is the last run's."""
    if settings.get("b0") is not None:
        return settings.array("b0", shape)
    made = dataclasses.replace(settings, sources=[source for source in settings.sources if source[0] != "file"])
    return made.array("spike_threshold", shape)


def _has_current(settings: Settings) -> bool:
    return settings.get("tau_syn") is not None or settings.get("alpha_syn") is not None


def leak(settings: Settings, shape: Shape) -> Neuron:
    """ExpLeak and ExpLeakSqueeze: the membrane is the output."""
    alpha = _alpha(settings, "mem", shape)
    if settings.get("min_v_mem") is not None:
        raise Unsupported(settings.where, "has a floor under a membrane that never fires", "use min_v_mem=None")
    return Neuron(LI(alpha, frozen(1.0 - alpha if settings("norm_input") else 1.0)))


def _neuron(settings: Settings, shape: Shape, alpha: Floats) -> Neuron:
    gain = frozen(1.0 - alpha) if settings.get("norm_input", False) else frozen(1.0)
    theta, floor = settings.array("spike_threshold", shape), _floor(settings, shape)
    if (theta <= 0).any():
        raise Unsupported(settings.where, "has a threshold that is not positive", "use a positive spike_threshold")
    most, hard, amount = _most(settings), _hard(settings), _amount(settings, theta)
    if floor is not None and not hard and (amount > theta.astype(np.float32)).any():
        raise Unsupported(settings.where, "subtracts more than its threshold, so the floor also acts after a spike", "use min_v_mem=None")
    current = _alpha(settings, "syn", shape) if _has_current(settings) else None
    value = _value(settings)
    if value:
        return _shifted(settings, alpha, gain, theta, floor, most, value, current is not None)
    if most == 1 and current is None:
        return Neuron(LIF(alpha, gain, theta, reset="hard" if hard else "subtract", amount=amount, floor=floor))
    if most == 1 and floor is None and current is not None:
        return Neuron(CubaLIF(current, alpha, current, gain, theta, reset="hard" if hard else "subtract", amount=amount))
    if current is not None:
        what = "has a synaptic current together with a floor or several spikes a step"
        raise Unsupported(settings.where, f"{what}, for which there is no node yet", "use tau_syn=None, or SingleSpike without min_v_mem")
    ladder = _ladder(alpha, gain, theta, hard, amount, floor, most or 1)
    return Neuron(ladder, ladder=None if most else partial(_counting, alpha, gain, theta, hard, amount, floor))


def _shifted(
    settings: Settings, alpha: Floats, gain: Floats, theta: Floats, floor: Floats | None, most: int | None, value: float, current: bool
) -> Neuron:
    """MembraneReset(value) adds value to every neuron at every step (v = h (s == 0) + value): a constant current, thresholds
    that are ``value`` higher, and a hard reset to ``value``.
    """
    if current or most is None:
        what = f"MembraneReset({value:g}) with a synaptic current or any number of spikes a step has no node yet"
        raise Unsupported(settings.where, what, "use MembraneReset(), SingleSpike or MaxSpike(K), tau_syn=None")
    if floor is not None and ((theta + value <= floor).any() or (value < floor).any()):
        raise Unsupported(settings.where, "has a floor above what a spike leaves behind", "use min_v_mem=None")
    rungs = np.arange(1, most + 1, dtype=np.float64).reshape(-1, *(1,) * theta.ndim)
    thresholds, to = frozen(rungs * theta + value), frozen(value)
    node = Burst(alpha, thresholds, frozen(rungs), (False,) * most, "hard", to, floor=floor)
    plain = LIF(alpha, threshold=frozen(thresholds[0]), v_reset=to, floor=floor)
    return Neuron(plain if most == 1 else node, taps=(Scale(gain, to),))


def _ladder(alpha: Floats, gain: Floats, theta: Floats, hard: bool, amount: Floats, floor: Floats | None, count: int) -> Burst:
    """Level k where h / theta, rounded, is k or more, k = 1 ... count; k spikes take k times the amount off, in float32."""
    rungs = np.arange(1, count + 1, dtype=np.float64).reshape(-1, *(1,) * theta.ndim)
    amounts = None if hard else frozen(rungs.astype(np.float32) * amount.astype(np.float32))
    reset: Reset = "hard" if hard else "subtract"
    return Burst(
        alpha, frozen(divided(rungs, theta, strict=False)), frozen(rungs), (False,) * count, reset, amounts=amounts, gain=gain, floor=floor
    )


def _counting(
    alpha: Floats, gain: Floats, theta: Floats, hard: bool, amount: Floats, floor: Floats | None, count: int | None
) -> Node | None:
    """MultiSpike with at most ``count`` spikes a step: a short ladder can be decoupled, a long one is one count of any size."""
    if count is not None and count <= RUNGS:
        return _ladder(alpha, gain, theta, hard, amount, floor, count)
    if not hard and bool((amount == theta.astype(np.float32)).all()):
        return MultiSpike(alpha, gain, theta, floor=floor)
    return None if count is None else _ladder(alpha, gain, theta, hard, amount, floor, count)


def _most(settings: Settings) -> int | None:
    """How many spikes one step may hold; None for any number (MultiSpike), whose bound follows from the weights."""
    if settings.get("max_spikes") is not None:
        return counted(settings("max_spikes"), settings.where)
    function = settings("spike_fn")
    name = function if isinstance(function, str) else getattr(function, "__name__", type(function).__name__)
    if name in ("MultiSpike", "MaxSpike"):
        most = getattr(function, "max_num_spikes_per_bin", None)
        return None if most is None else counted(most, settings.where)
    if name == "SingleSpike":
        return 1
    raise Unsupported(settings.where, f"spikes by a function of its own ({name})", "use MultiSpike, MaxSpike or SingleSpike")


def _hard(settings: Settings) -> bool:
    function = settings("reset_fn")
    name = function if isinstance(function, str) else type(function).__name__
    if name not in ("MembraneReset", "MembraneSubtract"):
        raise Unsupported(settings.where, f"resets by a function of its own ({name})", "use MembraneReset() or MembraneSubtract()")
    return name == "MembraneReset"


def _value(settings: Settings) -> float:
    """What MembraneReset adds; 0 for the others."""
    return float(getattr(settings("reset_fn"), "reset_value", 0.0) or 0.0)


def _amount(settings: Settings, theta: Floats) -> Floats:
    """What a spike takes off: float32, because sinabs multiplies by its spikes, which are float32."""
    value = getattr(settings("reset_fn"), "subtract_value", None)
    return frozen(np.asarray(theta if value is None else value, dtype=np.float32))


def _floor(settings: Settings, shape: Shape) -> Floats | None:
    if settings.get("min_v_mem") is None:
        return None
    floor = settings.array("min_v_mem", shape)
    if (floor > 0).any():
        raise Unsupported(settings.where, "has a floor above 0 (min_v_mem)", "use a min_v_mem of at most 0")
    return floor


def _alpha(settings: Settings, part: str, shape: Shape) -> Floats:
    """exp(-1/tau) in float32, or alpha itself where it was trained (train_alphas)."""
    if settings.get(f"alpha_{part}") is not None:
        return settings.array(f"alpha_{part}", shape)
    tau = torch.as_tensor(settings(f"tau_{part}"), dtype=torch.float32)
    return Settings(settings.where, [("model", {"alpha": torch.exp(-1.0 / tau)})]).array("alpha", shape)


def sum_pool(module: Any, shape: Shape) -> Chain:
    """SumPool2d, an LPPool2d of norm 1: the sum of each window."""
    (pool,) = average(shape, module.kernel_size, module.stride, 0, module.ceil_mode)
    assert isinstance(pool, SumPool)
    return (SumPool(pool.kernel, pool.stride, pool.padding, frozen(1.0)),)


def takes(module: Any) -> tuple[str, ...]:
    """[B, T, ...]; the Squeeze classes [B * T, ...]."""
    return ("BT",) if hasattr(module, "num_timesteps") and hasattr(module, "batch_size") else ("B", "T")


_ALPHAS = Idle("says whether the file holds alpha in place of tau")
_FIRES = {"spike_threshold": 1.0, "spike_fn": "MultiSpike", "reset_fn": "MembraneSubtract", "surrogate_grad_fn": GRADIENT}
_KEPT = {"shape": SHAPED, "record_states": RECORDED}
_MOST = {"max_spikes": None}
_SQUEEZED = {"batch_size": STEPPING, "num_timesteps": STEPPING}
_IAF_ARGUMENTS = {**_FIRES, "tau_syn": None, "min_v_mem": None, **_KEPT, **_MOST}
_LIF_LAST = {"min_v_mem": None, "train_alphas": _ALPHAS, "shape": SHAPED, "norm_input": True, "record_states": RECORDED, **_MOST}
_LIF_ARGUMENTS = {"tau_mem": REQUIRED, "tau_syn": None, **_FIRES, **_LIF_LAST}
_ALIF_FIRST = {"tau_mem": REQUIRED, "tau_adapt": REQUIRED}
_ALIF_LAST = {
    "tau_syn": None,
    "adapt_scale": 1.8,
    **_FIRES,
    "spike_fn": "SingleSpike",
    "min_v_mem": None,
    "shape": SHAPED,
    "train_alphas": _ALPHAS,
    "norm_input": True,
    "record_states": RECORDED,
    "b0": None,
}
_LEAK_ARGUMENTS = {
    "tau_mem": REQUIRED,
    "shape": SHAPED,
    "train_alphas": _ALPHAS,
    "min_v_mem": None,
    "norm_input": False,
    "record_states": RECORDED,
}
_IAF_KEYS = frozenset(["spike_threshold", "v_mem"])
_LEAK_KEYS = frozenset(["v_mem", "tau_mem"])
_REC = {"rec_connect": REQUIRED}
_LIF_REC = {"tau_mem": REQUIRED, **_REC, **_LIF_ARGUMENTS}

SINABS = Library(
    name="sinabs",
    neurons={
        "IAF": NeuronClass(integrate, _IAF_ARGUMENTS, _IAF_KEYS),
        "IAFSqueeze": NeuronClass(integrate, {**_SQUEEZED, **_IAF_ARGUMENTS}, _IAF_KEYS),
        "LIF": NeuronClass(lif, _LIF_ARGUMENTS, _IAF_KEYS | {"tau_mem"}),
        "LIFSqueeze": NeuronClass(lif, {**_SQUEEZED, **_LIF_ARGUMENTS}, _IAF_KEYS | {"tau_mem"}),
        "ALIF": NeuronClass(adaptive, {**_ALIF_FIRST, **_ALIF_LAST}, frozenset(["v_mem", "tau_mem", "tau_adapt"])),
        "ExpLeak": NeuronClass(leak, _LEAK_ARGUMENTS, _LEAK_KEYS),
        "ExpLeakSqueeze": NeuronClass(leak, {**_SQUEEZED, **_LEAK_ARGUMENTS}, _LEAK_KEYS),
        "IAFRecurrent": NeuronClass(recurrent(integrate), {**_REC, **_IAF_ARGUMENTS}),
        "LIFRecurrent": NeuronClass(recurrent(lif), _LIF_REC),
        "ALIFRecurrent": NeuronClass(recurrent(adaptive), {**_ALIF_FIRST, **_REC, **_ALIF_LAST}),
    },
    layers={"SumPool2d": sum_pool},
    refused={
        "SpikingMaxPooling2dLayer": "passes the spikes of whichever input has spiked most so far, which compares counts",
        "NeuromorphicReLU": "is the rectifier that sinabs trains with; convert the spiking network (from_model)",
        "Img2SpikeLayer": "draws random spikes; leave it out and encode the data (--encode rate)",
        "Sig2SpikeLayer": "draws spikes itself; leave it out and encode the data",
    },
    stateful=frozenset(["StatefulLayer"]),
    takes=takes,
    memory=partial(buffered, STATES),
    forget=partial(emptied, STATES),
    resets={
        "zero": {"reset_fn": "MembraneReset", "spike_fn": "SingleSpike"},
        "subtract": {"spike_fn": "SingleSpike"},
        "multi": {"spike_fn": "MultiSpike"},
    },
)
