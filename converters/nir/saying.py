"""Nodes as NIR primitives: what each becomes, exactly, or what of it NIR cannot say.

NIR's equations are continuous, so a decay a becomes tau = dt / (1 - a) and a gain g becomes r = g / (1 - a): forward
Euler with the same dt gives both back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import BatchNorm, Conv, Input, Linear, Output, Reshape, Scale, Sum, SumPool
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.multispike import MultiSpike
from snndeploy.ir.xp import Pads

Fields: TypeAlias = "dict[str, NDArray[Any] | str]"


@dataclass(frozen=True, eq=False)
class Said:
    """A chain of primitives (the last has the node's name) and what they do not say."""

    chain: tuple[Fields, ...]
    lost: tuple[str, ...] = field(default=())


def say(node: Node, before: Shape, after: Shape, dt: float, where: str) -> Said:
    """A node as primitives, for its input and output shapes.

    Raises:
        Unsupported: nothing in NIR is near it.
    """
    if type(node) not in SAYINGS:
        raise Unsupported(
            where, f"NIR has no {type(node).__name__}, and nothing near it", "only float graphs of linear maps and LIF neurons fit"
        )
    return SAYINGS[type(node)](node, before, after, dt, where)


def _input(node: Any, _: Shape, after: Shape, __: float, ___: str) -> Said:
    static = ("is static, the same value at every step: NIR has no such input",) if node.static else ()
    return Said(({"type": "Input", "shape": np.array(after)},), static)


def _output(node: Any, before: Shape, _: Shape, __: float, ___: str) -> Said:
    lost = [] if node.decode == "none" else [f"decodes by {node.decode}: NIR's outputs are sequences"]
    lost += [f"votes in groups of {node.vote}"] if node.vote > 1 else []
    return Said(({"type": "Output", "shape": np.array(before)},), tuple(lost))


def _linear(node: Any, before: Shape, after: Shape, _: float, where: str) -> Said:
    if len(before) > 1 and math.prod(before[:-1]) > 1:
        raise Unsupported(where, f"works on the last axis of {list(before)}; NIR's Linear takes one vector", "flatten before it")
    weight = node.weight.reshape(*before[:-1], *node.weight.shape)
    if node.bias is None:
        return Said(({"type": "Linear", "weight": narrow(weight)},))
    return Said(({"type": "Affine", "weight": narrow(weight), "bias": narrow(node.bias.reshape(after))},))


def _conv(node: Any, before: Shape, _: Shape, __: float, where: str) -> Said:
    weight, pads = _symmetric(node.weight, node.padding, node.dilation, where)
    bias = np.zeros(len(weight)) if node.bias is None else node.bias.reshape(len(weight), -1)
    if bias.ndim == 2 and np.ptp(bias, axis=1).any():
        raise Unsupported(where, "its bias differs within a channel; NIR has one bias a channel", "fold it into the next threshold")
    flat = bias if bias.ndim == 1 else bias[:, 0]
    return Said((_conv_fields(weight, flat, before, (node.stride, pads, node.dilation), node.groups),))


def _conv_fields(weight: Floats, bias: Floats, before: Shape, windows: tuple[Shape, Shape, Shape], groups: int) -> Fields:
    """A convolution; one spatial axis has plain numbers, as nir writes them."""
    one = weight.ndim == 3
    stride, padding, dilation = (np.array(v[0]) if one else np.array(v) for v in windows)
    fields: Fields = {"type": "Conv1d" if one else "Conv2d", "weight": narrow(weight), "bias": narrow(bias), "groups": np.array(groups)}
    fields |= {"input_shape": np.array(before[1] if one else before[1:]), "stride": stride, "padding": padding, "dilation": dilation}
    return fields


def _symmetric(weight: Floats, padding: Pads, dilation: Shape, where: str) -> tuple[Floats, Shape]:
    """Uneven padding as an even one: the kernel gets zeros on the side that had less."""
    for axis, ((before, after), d) in enumerate(zip(padding, dilation, strict=True)):
        if (before - after) % d:
            raise Unsupported(where, f"pads {before} and {after} with dilation {d}, which no even padding equals", "pad evenly")
        extra = abs(before - after) // d
        sides = [(0, 0)] * weight.ndim
        sides[axis + 2] = (extra, 0) if before < after else (0, extra)
        weight = np.pad(weight, sides)
    return weight, tuple(max(pair) for pair in padding)


def _sum_pool(node: Any, before: Shape, _: Shape, __: float, where: str) -> Said:
    scale, size = node.scale, math.prod(node.kernel)
    even = all(a == b for a, b in node.padding) and len(node.kernel) == 2
    if scale.size == 1 and even and float(scale) in (1.0, 1.0 / size):
        kind = "SumPool2d" if float(scale) == 1.0 else "AvgPool2d"
        pads = np.array([a for a, _ in node.padding])
        return Said(({"type": kind, "kernel_size": np.array(node.kernel), "stride": np.array(node.stride), "padding": pads},))
    if scale.size != 1:
        raise Unsupported(where, "averages without the padding, so its windows have different sizes; NIR's AvgPool2d does not say that", "")
    ones = np.full((before[0], 1, *node.kernel), float(scale))
    dilation = (1,) * len(node.kernel)
    weight, pads_ = _symmetric(ones, node.padding, dilation, where)
    return Said((_conv_fields(weight, np.zeros(before[0]), before, (node.stride, pads_, dilation), before[0]),))


def _reshape(_: Any, before: Shape, after: Shape, __: float, where: str) -> Said:
    runs = [(a, b) for a in range(len(before)) for b in range(a, len(before)) if _joined(before, a, b) == after]
    if not runs:
        raise Unsupported(where, f"reads {list(before)} as {list(after)}; NIR's Flatten only joins neighbouring axes", "")
    start, end = runs[-1]
    end = -1 if end == len(before) - 1 else end
    return Said(({"type": "Flatten", "input_type": np.array(before), "start_dim": np.array(start), "end_dim": np.array(end)},))


def _joined(shape: Shape, start: int, end: int) -> Shape:
    return (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])


def _batch_norm(node: Any, before: Shape, after: Shape, dt: float, where: str) -> Said:
    return _scale(Scale(node.scale, node.shift - node.mean * node.scale), before, after, dt, where)


def _scale(node: Any, before: Shape, after: Shape, _: float, where: str) -> Said:
    """A shift needs a layer with a bias: a diagonal Affine, or a convolution of one pixel a channel."""
    if before != after:
        raise Unsupported(where, f"makes {list(after)} of {list(before)}; NIR's Scale keeps the shape", "")
    if node.shift is None or not node.shift.any():
        return Said(({"type": "Scale", "scale": narrow(np.broadcast_to(node.scale, after))},))
    scale, shift = np.broadcast_to(node.scale, after), np.broadcast_to(node.shift, after)
    if len(after) == 1:
        return Said(({"type": "Affine", "weight": narrow(np.diag(scale)), "bias": narrow(shift)},))
    flat = [values.reshape(after[0], -1) for values in (scale, shift)]
    if len(after) > 3 or any(np.ptp(values, axis=1).any() for values in flat):
        raise Unsupported(where, "shifts each place differently, which no NIR primitive does", "fold it into the layer before it")
    ones = (1,) * (len(after) - 1)
    windows = (ones, (0,) * len(ones), ones)
    return Said((_conv_fields(flat[0][:, 0].reshape(-1, 1, *ones), flat[1][:, 0], before, windows, after[0]),))


def _sum(_: Any, before: Shape, __: Shape, ___: float, ____: str) -> Said:
    """NIR has no named sum: a Scale by 1, into which everything runs."""
    return Said(({"type": "Scale", "scale": narrow(np.ones(before))},))


def _li(node: Any, _: Shape, after: Shape, dt: float, where: str) -> Said:
    start = _start(node.v_init, node.rest)
    if (node.decay == 1).all():
        return Said((_full({"type": "I"}, after, r=node.gain / dt),), start)
    return Said((_full({"type": "LI"}, after, **_membrane(node, "tau", dt, where), v_leak=node.rest),), start)


def _lif(node: Any, _: Shape, after: Shape, dt: float, where: str) -> Said:
    lost = (*_firing_lost(node), *(["is not below a floor: NIR has none"] if node.floor is not None else []))
    return _neuron(node, after, dt, where, ("I", "LI"), lost)


def _cubalif(node: Any, _: Shape, after: Shape, dt: float, where: str) -> Said:
    lost = list(_firing_lost(node))
    if node.late and node.reset == "hard":
        lost.append("loses the input of the step after a spike")
    return _neuron(node, after, dt, where, ("CubaLI", "CubaLI"), tuple(lost))


def _neuron(node: Any, after: Shape, dt: float, where: str, kinds: tuple[str, str], lost: tuple[str, ...]) -> Said:
    """A firing neuron; without a reset it is NIR's integrator and a Threshold."""
    free = bool((node.decay == 1).all()) and kinds[0] == "I"
    kind = kinds[0] if free else kinds[1]
    numbers = (
        {"r": node.gain / dt} if free else {**_membrane(node, "tau_mem" if kind == "CubaLI" else "tau", dt, where), "v_leak": node.rest}
    )
    if isinstance(node, CubaLIF):
        numbers |= _synapse(node, dt, where)
    lost = (*lost, *_start(node.v_init, 0.0 * node.rest if free else node.rest))
    if node.reset == "none" and not node.late:
        return Said((_full({"type": kind}, after, **numbers), _full({"type": "Threshold"}, after, threshold=node.threshold)), lost)
    v_reset = node.v_reset if node.reset == "hard" else np.zeros(())
    return Said((_full({"type": f"{kind}F"}, after, **numbers, v_threshold=node.threshold, v_reset=v_reset),), lost)


def _firing_lost(node: Any) -> tuple[str, ...]:
    lost = [] if node.strict else ["fires at h >= threshold: NIR fires above it"]
    if node.reset == "subtract":
        late = ", one step late" if node.late else ""
        lost.append(f"subtracts {_range(node.amount)} on a spike{late}: NIR resets to a value, here 0")
    return tuple(lost)


def _range(values: Floats) -> str:
    return f"{values.min():g}" if values.min() == values.max() else f"{values.min():g}..{values.max():g}"


def _start(v_init: Floats, rest: Floats) -> tuple[str, ...]:
    """NIR has no initial state; readers start where the leak goes."""
    same = bool((np.asarray(v_init) == np.asarray(rest)).all())
    return () if same else (f"starts at {_range(np.asarray(v_init))}: NIR has no initial state",)


def _membrane(node: Any, tau: str, dt: float, where: str) -> dict[str, Floats]:
    return {tau: _tau(node.decay, dt, where), "r": node.gain / (1 - node.decay)}


def _synapse(node: CubaLIF, dt: float, where: str) -> dict[str, Floats]:
    return {"tau_syn": _tau(node.current_decay, dt, where), "w_in": node.current_gain / (1 - node.current_decay)}


def _tau(decay: Floats, dt: float, where: str) -> Floats:
    if (decay == 1).any():
        raise Unsupported(
            where, "a state of it never decays, and NIR's time constant would be infinite", "NIR has IF and I, for all neurons of a layer"
        )
    return np.asarray(dt / (1 - decay))


def _burst(node: Any, _: Shape, after: Shape, dt: float, where: str) -> Said:
    """The nearest is a LIF at the first threshold."""
    rungs = [f"{_range(t)} -> {_range(y)}" for t, y in zip(node.thresholds, node.levels, strict=True)]
    plain = len(rungs) == 1 and bool((node.levels == 1).all())
    lost = () if plain else (f"fires in levels ({', '.join(rungs)}): NIR has one threshold and spikes of 1",)
    amount = node.v_reset if node.amounts is None else node.amounts[0]
    first = LIF(
        node.decay,
        node.gain,
        node.thresholds[0],
        node.strict[0],
        node.reset,
        node.v_reset,
        amount,
        False,
        node.rest,
        node.v_init,
        node.floor,
    )
    said = _lif(first, (), after, dt, where)
    return Said(said.chain, (*lost, *said.lost))


def _multi(node: Any, _: Shape, after: Shape, dt: float, where: str) -> Said:
    """The nearest is a LIF that fires once."""
    first = LIF(node.decay, node.gain, node.threshold, False, "subtract", amount=node.threshold, v_init=node.v_init, floor=node.floor)
    said = _lif(first, (), after, dt, where)
    return Said(said.chain, ("fires several times a step: NIR fires once", *said.lost))


def _full(fields: Fields, shape: Shape, **numbers: Floats) -> Fields:
    """Every parameter for every neuron, as nir demands."""
    return {**fields, **{name: narrow(np.broadcast_to(values, shape)) for name, values in numbers.items()}}


def narrow(values: Floats) -> NDArray[Any]:
    """float32, as exporters write, where that is exact; else float64."""
    short = values.astype(np.float32)
    return short if np.array_equal(short, values) else np.array(values)


Saying: TypeAlias = Callable[[Any, Shape, Shape, float, str], Said]

SAYINGS: Mapping[type[Node], Saying] = {
    Input: _input,
    Output: _output,
    Linear: _linear,
    Conv: _conv,
    SumPool: _sum_pool,
    Reshape: _reshape,
    BatchNorm: _batch_norm,
    Scale: _scale,
    Sum: _sum,
    LI: _li,
    LIF: _lif,
    CubaLIF: _cubalif,
    Burst: _burst,
    MultiSpike: _multi,
}
