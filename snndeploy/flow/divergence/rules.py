"""The fixed LIF under other rules of arithmetic: what a chip network would do if one rule were read differently."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import DECAY_UNIT, Lif
from snndeploy.chip.network import ChipNetwork, Wire
from snndeploy.flow.divergence.sides import Series, fed_name
from snndeploy.sim import kernels
from snndeploy.sim.populations import bias_of, host_bias, resets
from snndeploy.sim.synapses import sender


@dataclass(frozen=True)
class Rules:
    """One way to read the LIF's equations; the defaults are the chip's.

    ``late``: the reset acts on the state of the step after: "kept" before it decays, "lost" after it took in its input.
    """

    division: Literal["zero", "floor", "nearest", "none"] = "zero"
    strict: bool = True
    reset: Literal["zero", "subtract", "none"] = "zero"
    reset_u: bool = False
    late: Literal["", "kept", "lost"] = ""
    wrap: Literal["once", "never", "clip"] = "once"
    saturate: Literal["clip", "wrap", "never"] = "clip"


OTHERS: tuple[tuple[str, str, Rules], ...] = (
    ("truncation", "decays are floored, not cut off toward zero", Rules(division="floor")),
    ("truncation", "decays are rounded to the nearest, not cut off toward zero", Rules(division="nearest")),
    ("truncation", "decays keep their fractions, which the chip cuts off", Rules(division="none")),
    ("tie", "it fires at v >= threshold, where the chip needs v > threshold", Rules(strict=False)),
    ("reset-u", "the reset clears u too", Rules(reset_u=True)),
    ("reset-kind", "the reset subtracts the threshold, where the chip sets v to 0", Rules(reset="subtract")),
    ("reset-kind", "the reset subtracts the threshold, and v >= threshold fires", Rules(reset="subtract", strict=False)),
    ("reset-kind", "v is not reset at all", Rules(reset="none")),
    ("reset-late", "the reset acts one step late, and the input of that step is lost", Rules(late="lost")),
    ("reset-late", "the reset acts at the start of the next step", Rules(late="kept")),
    ("saturation", "v is not clipped to 24 bits", Rules(saturate="never")),
    ("saturation", "v wraps around 24 bits, where the chip clips it", Rules(saturate="wrap")),
    ("wrap", "u is not wrapped to 24 bits", Rules(wrap="never")),
    ("wrap", "u is clipped to 24 bits, where the chip wraps it", Rules(wrap="clip")),
)
"""Every rule that was ever seen confused, with the class of the mistake."""


def arriving(network: ChipNetwork, layer: str, feeds: Mapping[str, Series]) -> tuple[Series, Series]:
    """The synaptic sums and what the host adds to the bias, both [T, B, *shape], of a layer fed by ``feeds`` (by source)."""
    population = network.populations[layer]
    first = next(iter(feeds.values()))
    sums = np.zeros((*first.shape[:2], *population.shape), np.int64)
    bias = np.zeros_like(sums)
    for p in network.into(layer):
        values = feeds[p.source.removesuffix(fed_name(""))]
        if isinstance(p.synapses, Wire):
            part = values.astype(np.int64)
            if p.synapses.as_bias and isinstance(population.model, Lif):
                _add(bias, host_bias(population.model, part), p.delay)
            else:
                _add(sums, part, p.delay)
            continue
        made = sender(p, _shape(network, p.source), population.shape, exact=True)
        for t, step in enumerate(values):
            peak = int(np.abs(step).max(initial=0))
            for late, arrived, _ in made.send(step, peak) if peak else ():
                if t + late < len(sums):
                    sums[t + late] += arrived.reshape(sums.shape[1:]).astype(np.int64)
    return sums, bias


def _shape(network: ChipNetwork, source: str) -> Shape:
    return network.populations[source].shape


def _add(into: Series, values: Series, late: int) -> None:
    into[late:] += values[: len(values) - late].reshape(into[late:].shape)


def run_lif(model: Lif, sums: Series, host: Series, rules: Rules) -> tuple[Series, dict[str, Series]]:
    """Spikes and the words u, v [T, B, *shape] of a LIF by these rules."""
    shape = sums.shape[1:]
    u, v = (np.broadcast_to(w, shape).astype(np.float64 if rules.division == "none" else np.int64) for w in (model.u, model.v))
    constant, threshold = bias_of(model), model.vth << kernels.INPUT_SHIFT
    spikes, us, vs = np.zeros(sums.shape, np.int64), np.zeros(sums.shape, np.float64), np.zeros(sums.shape, np.float64)
    fired = np.zeros(shape, np.bool_)
    for t in range(len(sums)):
        if resets(model, t + 1):
            u, v = np.zeros_like(u), np.zeros_like(v)
        if rules.late == "kept":
            v = np.where(fired, 0, v)
        u = _current(_kept(u, DECAY_UNIT - 1 - model.du, rules) + (kernels.wrap32(sums[t]) << kernels.INPUT_SHIFT), rules)
        h = _voltage(_kept(v, DECAY_UNIT - model.dv, rules) + u + constant + host[t], rules)
        h = np.where(fired, 0, h) if rules.late == "lost" else h
        fired = h > threshold if rules.strict else h >= threshold
        v = h if rules.late else _reset(h, fired, threshold, rules)
        u = np.where(fired, 0, u) if rules.reset_u else u
        spikes[t], us[t], vs[t] = fired, u, v
    return spikes, {"u": us, "v": vs}


def _kept(x: Series, keep: Ints, rules: Rules) -> Series:
    if rules.division == "none":
        return np.asarray(x * keep / DECAY_UNIT)
    product = x * keep
    if rules.division == "floor":
        return np.asarray(product >> 12)
    if rules.division == "nearest":
        return np.asarray((product + (DECAY_UNIT >> 1)) >> 12)
    return np.asarray(kernels.toward_zero(product, 12))


def _current(u: Series, rules: Rules) -> Series:
    if rules.division == "none" or rules.wrap == "never":
        return u
    return kernels.wrap_once(kernels.wrap32(u)) if rules.wrap == "once" else kernels.saturate(u)


def _voltage(h: Series, rules: Rules) -> Series:
    if rules.division == "none" or rules.saturate == "never":
        return h
    return kernels.saturate(kernels.wrap32(h)) if rules.saturate == "clip" else kernels.wrap24(h)


def _reset(h: Series, fired: Series, threshold: Ints, rules: Rules) -> Series:
    if rules.reset == "none":
        return h
    return np.where(fired, h - threshold if rules.reset == "subtract" else 0, h)
