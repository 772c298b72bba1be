"""One neuron, step by step, on both sides: what entered, its state, what it would have held before the reset, what it sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from snndeploy.chip.models import DECAY_UNIT, Lif
from snndeploy.chip.network import ChipNetwork
from snndeploy.flow.divergence.inlets import entering
from snndeploy.flow.divergence.rules import arriving
from snndeploy.flow.divergence.sides import Series, Side, fed_name, part, seen, words
from snndeploy.ir.graph import Graph, bind
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.sim import kernels
from snndeploy.sim.populations import bias_of
from snndeploy.sim.reference import initial_states, stepper
from snndeploy.trace import Trace
from snndeploy.verdict import Moment

UNREACHED = 1e30
"""A threshold that no membrane meets."""
BEFORE, AFTER = 2, 1
"""Steps shown around the first difference."""


def threshold(side: Side, layer: str, neuron: tuple[int, ...]) -> float | None:
    """The threshold of a neuron in the units of its v; None where it has not one."""
    if isinstance(side.network, Graph):
        node: Any = side.network.nodes[layer]
        values = getattr(node, "threshold", None)
        values = getattr(node, "thresholds", [None])[0] if values is None else values
        return None if values is None or isinstance(values, str) else float(_at(values, side.network.shapes[layer], neuron))
    members = side.folds[layer].layer.members if layer in side.folds else {}
    population = next(iter(members.values())) if members else side.network.populations[layer]
    return float(_at(population.model.vth << kernels.INPUT_SHIFT, population.shape, neuron)) if isinstance(population.model, Lif) else None


def _at(values: Any, shape: tuple[int, ...], neuron: tuple[int, ...]) -> Any:
    return np.broadcast_to(values, shape)[neuron] if len(neuron) == len(shape) else np.asarray(values).flat[0]


def around(side: Side, layer: str, trace: Trace, feeds: Mapping[str, Series], at: tuple[int, int, tuple[int, ...]]) -> tuple[Moment, ...]:
    """The steps around model step, sample, neuron ``at``, of a layer's run alone on ``feeds``."""
    step, sample, neuron = at
    shift = side.shift(layer)
    own, output, sums = words(trace, layer, side.folds.get(layer)), seen(side, trace, layer), _sums(side, layer, feeds)
    moments = []
    for t in range(max(0, step - BEFORE), step + AFTER + 1):
        raw = t + shift
        if raw < len(output):
            place = (raw, sample, *neuron)
            held = {w: float(values[place]) for w, values in own.items() if values.ndim == len(place)}
            entered = None if sums is None or sums.shape != output.shape else float(sums[place])
            moments.append(Moment(t, entered, held, _before(side, layer, own, sums, place), float(output[place])))
    return tuple(moments)


def _sums(side: Side, layer: str, feeds: Mapping[str, Series]) -> Series | None:
    network = part(side, layer)
    if isinstance(network, ChipNetwork) and layer in side.folds:
        return entering(side.folds[layer], network, feeds)[0]
    if isinstance(network, ChipNetwork):
        return arriving(network, layer, feeds)[0]
    return graph_sums(network, layer, feeds)


def graph_sums(graph: Graph, layer: str, feeds: Mapping[str, Series]) -> Series:
    """What enters a neuron of a graph at its port 0, [T, B, *shape]."""
    inputs = {fed_name(n): np.asarray(values, np.float64) for n, values in feeds.items()}
    first = next(iter(inputs.values()))
    steps = ({n: values[t] for n, values in inputs.items()} for t in range(len(first)))
    return np.stack([step.inputs[layer][0] for step in stepper(graph, steps, first.shape[1], NUMPY)])


def _before(side: Side, layer: str, own: Mapping[str, Series], sums: Series | None, place: tuple[int, ...]) -> float | None:
    """v after integration and before the reset, by the rules, from the words of the step before."""
    if sums is None or "v" not in own or layer in side.folds:
        return None
    earlier = (place[0] - 1, *place[1:])
    if isinstance(side.network, Graph):
        start = initial_states(side.network, sums.shape[1])[layer]
        state = {w: x[earlier[0]] for w, x in own.items()} if place[0] else start
        return graph_before(side.network.nodes[layer], state, sums[place[0]], place[1:])
    if place[0] == 0:
        return None
    model = side.network.populations[layer].model
    if not isinstance(model, Lif) or "u" not in own:
        return None
    shape, at = side.network.populations[layer].shape, place[2:]
    dv, bias = (int(_at(values, shape, at)) for values in (model.dv, bias_of(model)))
    kept = int(kernels.decay(np.asarray(int(own["v"][earlier])), np.asarray(DECAY_UNIT - dv)))
    return float(kept + int(own["u"][place]) + bias)


def graph_before(node: Any, state: Mapping[str, Series], x: Series, place: tuple[int, ...]) -> float | None:
    """v of a neuron that cannot fire in this step; None where it has no threshold or no v."""
    names = [n for n in ("threshold", "thresholds") if isinstance(getattr(node, n, None), np.ndarray)]
    if not names or type(node).ports != 1:
        return None
    v = bind(node, {n: np.full_like(getattr(node, n), UNREACHED) for n in names}).step((x,), state, NUMPY)[1].get("v")
    return None if v is None or v.ndim != len(place) else float(v[place])
