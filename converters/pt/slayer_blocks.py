"""lava-dl slayer's modules, live (read at 0.6.0): a block is a synapse, a neuron and a step of delay; time is the last axis.

    z = synapse(x), its weights quantized by ``pre_hook_fx``;  s = neuron(z);  s one step later where ``delay_shift``;
    and later again by ``delay``, one number a channel (cut off to whole steps)

Spikes enter as [B, C, T] or [B, C, H, W, T]. What a block cannot say here is refused with the reason; the .net file of the
network (``export_hdf5``) has delays of each channel, resonators and sigma-delta neurons.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from converters import Fact
from converters.pt.neuron import Neuron, Settings
from converters.pt.torch_nn import Chain
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import Conv, Linear, Reshape
from snndeploy.ir.neurons.cutcuba import CutCubaLIF
from snndeploy.ir.neurons.refractory import RefractoryLIF
from snndeploy.ir.neurons.sigma_delta import SigmaDeltaUnit

SCALE = 4096.0
TIME_LAST = ("B", "*", "T")
CUT = Fact("arithmetic", "cut off below 1/4096 at every step, as in slayer", "model")
FIRST = "run the model once, or load its trained weights after such a run, and convert it then"
EXPORT = "export the network (export_hdf5), and convert the .net file"


def takes(_: Any) -> tuple[str, ...]:
    """Time is the last axis of all that slayer has."""
    return TIME_LAST


def block(settings: Settings, shape: Shape) -> Neuron:
    """Dense, Conv and Pool of ``slayer.block``."""
    if "synapse" not in settings or "neuron" not in settings:
        what = "has no synapse and neuron inside, as slayer's blocks have"
        raise Unsupported(settings.where, what, "use the block of this name (slayer.block), as a live module or with --arch")
    before = synapse(settings, shape)
    inner = shape
    for node in before:
        inner = node.out_shape((inner,))
    made = fires(settings("neuron"), inner, settings.where)
    late = int(bool(settings("delay_shift"))) + axonal(settings)
    fact = Fact("weights", "as its pre_hook_fx quantizes them", "model")
    return dataclasses.replace(made, before=before, delay=late, said=(*made.said, fact))


def axonal(settings: Settings) -> int:
    """The steps that a block's axons add: one number for all channels, or a refusal."""
    delay = settings("delay")
    if delay is None:
        return 0
    if not delay.init:
        raise Unsupported(settings.where, "draws the delays of its axons at its first run, and has not run yet", FIRST)
    steps = np.trunc(numbers(delay.delay))
    if (steps != steps[0]).any():
        what = f"delays its channels by {steps.min():g} to {steps.max():g} steps each, and an edge has one delay"
        raise Unsupported(settings.where, what, EXPORT)
    return int(steps[0])


def synapse(settings: Settings, shape: Shape) -> Chain:
    """The weights as the block uses them."""
    module = settings("synapse")
    if module.complex:
        raise Unsupported(settings.where, "has complex weights, for resonators", EXPORT)
    hook = module.pre_hook_fx
    stored = stored_weight(module)
    weight = numbers(stored if hook is None else hook(stored))[..., 0]
    if type(module).__name__ == "Pool":
        return pool(module, weight, shape, settings.where)
    if type(module).__name__ not in ("Dense", "Conv"):
        raise Unsupported(settings.where, f"has a synapse of the kind {type(module).__name__}", EXPORT)
    if len(shape) == 1:
        return (Linear(frozen(weight.reshape(len(weight), -1))),)
    padding = tuple((int(p), int(p)) for p in module.padding[:2])
    stride, dilation = (tuple(map(int, v[:2])) for v in (module.stride, module.dilation))
    return (Conv(frozen(weight), None, stride, padding, dilation, int(module.groups)),)


def stored_weight(module: Any) -> Any:
    """The weight; under weight_norm of its length and direction, because the product itself is as old as the last run."""
    if not hasattr(module, "weight_g"):
        return module.weight
    direction = module.weight_v.detach()
    length = direction.flatten(1).norm(dim=1).reshape(-1, *(1,) * (direction.ndim - 1))
    return direction * (module.weight_g.detach() / length)


def pool(module: Any, weight: Floats, shape: Shape, where: str) -> Chain:
    """Pool lays the channels out as rows of one image, so that windows must not reach from one into the next."""
    kernel = weight.shape[2:]
    extra = tuple(n % k for n, k in zip(shape[1:], kernel, strict=True))
    whole = all((n + e) % k == 0 for n, e, k in zip(shape[1:], extra, kernel, strict=True))
    plain = tuple(module.stride[:2]) == kernel and not any(module.padding) and set(module.dilation) == {1}
    if not (plain and whole):
        what = f"pools {list(shape)} by {list(kernel)} in windows that reach from one channel into the next"
        raise Unsupported(where, what, "pool by the stride, without padding, a size that the kernel divides")
    channels = shape[0]
    padding = tuple((0, e) for e in extra)
    return (Conv(frozen(np.repeat(weight, channels, axis=0)), None, kernel, padding, (), channels),)


def fires(neuron: Any, shape: Shape, where: str) -> Neuron:
    """The neuron itself, by the module its class is from."""
    kind = type(neuron).__module__.rpartition(".")[2]
    if kind == "sigma_delta":
        return changes(neuron, shape, where)
    if kind not in ("cuba", "alif"):
        raise Unsupported(where, f"its neuron is slayer's {kind}, which has no exact meaning here as a live module", EXPORT)
    _plain(neuron, where)
    if hasattr(neuron, "current_decay_min"):
        raise Unsupported(where, "draws the decays of its channels at its first run, and has not run yet", FIRST)
    at = (-1, *(1,) * (len(shape) - 1))

    def kept(name: str) -> Floats:
        decay = np.round(np.clip(numbers(getattr(neuron, f"{name}_decay")), 0, SCALE))
        return frozen(1.0 - (decay[0] if decay.size == 1 else decay.reshape(at)) / SCALE)

    threshold = frozen(float(neuron.threshold))
    if kind == "cuba":
        return Neuron(CutCubaLIF(kept("current"), kept("voltage"), threshold=threshold, strict=True, grid=int(SCALE)), said=(CUT,))
    current, voltage, adapt, refractory = (kept(name) for name in ("current", "voltage", "threshold", "refractory"))
    jump = frozen(float(neuron.threshold_step))
    return Neuron(RefractoryLIF(current, voltage, adapt, refractory, jump, threshold, int(SCALE)))


def changes(neuron: Any, shape: Shape, where: str) -> Neuron:
    """A sigma-delta neuron."""
    _plain(neuron, where)
    activation = getattr(neuron.activation, "__name__", type(neuron.activation).__name__).lower()
    if activation not in ("relu", "identity") or neuron.delta.cum_error:
        what = f"is a sigma-delta neuron with the activation {activation}" + (" and cum_error" if neuron.delta.cum_error else "")
        raise Unsupported(where, what, "relu has an exact meaning, without cum_error")
    threshold, bias = _per(neuron.delta.threshold, shape), _per(neuron.bias if neuron.bias_is_set else 0.0, shape)
    return Neuron(SigmaDeltaUnit(threshold, bias, activation == "relu", True, int(SCALE)))


def _per(value: Any, shape: Shape) -> Floats:
    """One number, one a channel, or one a neuron."""
    array = numbers(value) if hasattr(value, "detach") else np.atleast_1d(float(value))
    if array.size == 1:
        return frozen(array.reshape(()))
    return frozen(array.reshape(shape if array.size == np.prod(shape) else (-1, *(1,) * (len(shape) - 1))))


def _plain(neuron: Any, where: str) -> None:
    """Refuse what changes the equations."""
    reasons = {
        "normalizes its currents": getattr(neuron, "norm", None) is not None,
        "keeps its state from one call to the next (persistent_state)": bool(neuron.persistent_state),
        "sends graded spikes": type(neuron).__module__.endswith(("cuba", "alif")) and bool(getattr(neuron, "graded_spike", False)),
        f"counts weights in {neuron.w_scale}ths, not 64ths": neuron.w_scale != 64,
    }
    for what, found in reasons.items():
        if found:
            raise Unsupported(where, what, EXPORT)


def flatten(_: Any, shape: Shape) -> Chain:
    """Flatten: everything between batch and time."""
    return (Reshape((int(np.prod(shape)),)),)


def average(module: Any, shape: Shape) -> Chain:
    """Average: the mean of each of ``num_outputs`` groups of neurons that stand together."""
    size, groups = int(np.prod(shape)), int(module.num_outputs)
    weight = np.kron(np.eye(groups), np.full((1, size // groups), groups / size))
    return (*(flatten(module, shape) if len(shape) > 1 else ()), Linear(frozen(weight)))


def numbers(tensor: Any) -> Floats:
    """A tensor in float64, at least one number."""
    return np.atleast_1d(tensor.detach().cpu().double().numpy())
