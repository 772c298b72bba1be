"""One layer: choose the scale at which its weights, thresholds, bias and decay together lose least."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import QuantizeError
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Conv, Input, Linear, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.decoupling import U_LIMIT, constant_part, forcing
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.on_grid import GridNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import delivered, loudest
from snndeploy.ir.sparse import Sparse
from snndeploy.quantize.fixed_point import TooFine
from snndeploy.quantize.layer import Layer
from snndeploy.quantize.neuron import BIAS_EXP_MAX, BIAS_MANT_MAX, UNIT, VTH_MAX, ladder, threshold_grid, to_integers
from snndeploy.quantize.programmed import by_registers
from snndeploy.quantize.settings import LayerScale, Settings
from snndeploy.quantize.swing import as_good, roomier, within
from snndeploy.quantize.synapses import EXPONENT_MAX, Synapse, full_levels
from snndeploy.quantize.ties import Fit, at_ties, has_few_bits, nudged

CLIPS = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.5, 0.4)
"""Candidate scales, as fractions of the one at which no weight is clipped."""
FREE_UNITS = 4096
"""A layer without weights is scaled so that its threshold or constant is about so many units."""
SOME_SAMPLES = 16
"""So many samples are tried before a scale is given up that does worse on them than another on all."""
HOST_SHIFT = 16
"""Fraction bits of the host's own weights."""
DIED = "it sends less than a tenth of what the float layer does, at every scale that was tried"
UNUSED = 1.5
"""So many unused bits of a synapse are worth a note; a scale beside a threshold may cost one."""
LIVES = 0.1
"""A layer lives while it sends at least this share of what the float layer sends."""

Loss: TypeAlias = tuple[bool, float]
"""Whether the layer died, and its error: in this order, for a layer that sends nothing differs only where it should fire."""


def choose(graph: Graph, layer: Layer, settings: Settings, payloads: Mapping[str, float]) -> tuple[dict[str, Node], LayerScale]:
    """The integer nodes (synapses and neuron) that differ least from the float layer, and what was lost.

    Raises:
        QuantizeError: L006, L013, where the registers leave no room for the weights.
    """

    def tried(fits: Iterable[Fit], least: Loss = (True, np.inf)) -> Iterator[tuple[Loss, dict[str, Node], Fit]]:
        for fit in fits:
            held, nodes = _within_registers(graph, layer, fit, settings, payloads)
            loss = _error(graph, layer, nodes, held.scale, least)
            least = min(least, loss)
            yield loss, nodes, held

    first = [_on_threshold(layer, Fit(wanted, clip), settings) for wanted, clip in _scales(layer, settings)]
    best = min(tried(first), key=lambda found: found[0])
    if best[0] > (False, 0):
        best = min([best, *tried(at_ties(layer, best[2], settings), best[0])], key=lambda found: found[0])
    wider = (_on_threshold(layer, replace(best[2], scale=s, crowded=True), settings) for s in roomier(layer.swing, best[2].scale))
    roomy = (found for found in tried(wider) if within(layer.swing, found[2].scale) and as_good(found[0], best[0]))
    best = min(roomy, key=lambda found: found[0], default=best)
    return best[1], _describe(graph, layer, *best, settings, payloads)


def _scales(layer: Layer, settings: Settings) -> Iterator[tuple[float, float]]:
    """Scales to try, and what fraction of the largest weight they keep. Synapses without an exponent decide; others follow."""
    synapses = [s for s in layer.synapses if not s.host and not s.driven and s.peak]
    free, rigid = [s.peak for s in synapses], [s.peak for s in synapses if not s.exponents]
    floor = 1.01 * UNIT * layer.host_peak / (BIAS_MANT_MAX << BIAS_EXP_MAX)
    if free:
        base = max(rigid) if rigid else max(min(free), max(free) / 2**EXPONENT_MAX)
        yield from ((max(base * clip, floor), clip) for clip in (CLIPS[:1] if settings.plain else CLIPS))
    else:
        yield floor or _largest_number(layer) / FREE_UNITS or 1.0, 1.0


def _largest_number(layer: Layer) -> float:
    """The largest threshold or constant of the layer."""
    driven = max((float(np.abs(s.weights).max(initial=0.0)) for s in layer.synapses), default=0.0)
    return max(_highest(layer.node), float(np.abs(layer.constant).max(initial=0.0)), driven)


def _highest(node: Node) -> float:
    return 0.0 if isinstance(node, LI) or not by_registers(node) else float(ladder(node)[0].max(initial=0.0))


def _on_threshold(layer: Layer, fit: Fit, settings: Settings) -> Fit:
    """The fit at the nearby scale at which a single first threshold falls exactly on its grid (64 m, or 64 m + 1 for >=).

    Raises:
        QuantizeError: L006, lateral synapses need a threshold so large that the weights no longer fit.
    """
    if isinstance(layer.node, LI) or layer.program is not None:
        return fit
    thresholds, strict, *_ = ladder(layer.node)
    first, scale = float(np.ravel(thresholds[0])[0]), fit.scale
    if np.ptp(thresholds[0]) > 0 or first <= 0:
        return fit
    grid = max(UNIT, threshold_grid(layer.node, settings.snap))
    mantissa = max(1, round(first * UNIT / scale / grid))
    nearby = UNIT * first / (grid * mantissa + (not strict[0]))
    finest = max((s.peak / 2**s.exponents for s in layer.synapses if not s.host and not s.driven), default=0.0) * CLIPS[-1]
    if grid > UNIT and nearby < min(scale / 2, finest):
        what = f"lateral synapses need thresholds of {grid // UNIT} weight units at least, and the weights do not reach so far"
        raise QuantizeError(layer.name, what, "L006: train with a decay such as 1/2 or 3/4, or choose --burst graded")
    return nudged(fit, nearby, layer)


def _within_registers(
    graph: Graph, layer: Layer, fit: Fit, settings: Settings, payloads: Mapping[str, float]
) -> tuple[Fit, dict[str, Node]]:
    """Coarsen the scale until the threshold fits, u cannot wrap and an accumulating read-out cannot saturate."""
    fit = replace(fit, scale=max(fit.scale, _highest(layer.node) / VTH_MAX))
    trained = [s for s in layer.synapses if s.peak and s.trained]
    holds = _highest(layer.node)
    for _ in range(64):
        try:
            nodes = _integers(graph, layer, fit, settings)
        except TooFine as full:
            holds, over = full.holds, full.over
        else:
            if trained and not any(_weights(nodes[s.name]).any() for s in trained):
                break
            over = _load(graph, layer, nodes, settings, payloads) / U_LIMIT
            finest = layer.program.finest / fit.scale if layer.program is not None else 0.0
            if max(over, finest) < 1:
                return fit, nodes
            holds = layer.program.holds if layer.program is not None and finest > over else 0.0
            over = max(over, finest)
        fit = _coarser(layer, fit, over, settings)
    raise _vanished(layer, fit, holds, payloads)


def _vanished(layer: Layer, fit: Fit, holds: float, payloads: Mapping[str, float]) -> QuantizeError:
    """The refusal: beside numbers as large as what the neuron ``holds``, or, where that is 0, in the room that u leaves."""
    if not holds:
        what = "its weights vanish at every scale at which the chip's registers hold the rest"
        return QuantizeError(layer.name, what, _crowded(layer, payloads))
    enough = min(s.step * 2.0**s.lowest * fit.scale / s.largest for s in layer.synapses if s.peak and s.trained)
    what = f"its weights are too small beside the {holds:.3g} that its neuron holds: where that fits the registers, all round to 0"
    return QuantizeError(
        layer.name, what, f"L006: train with larger weights, or feed larger inputs: {1.05 * enough:.2g} times as large fits"
    )


def _coarser(layer: Layer, fit: Fit, over: float, settings: Settings) -> Fit:
    """The same levels lower in the mantissa, as smaller numbers, while there is room below them; then fewer levels."""
    trained = [s for s in layer.synapses if s.peak and s.trained]
    below = min((s.exponent(fit.scale, fit.clip) - s.lowest for s in trained), default=0)
    if has_few_bits(layer) and below > 0:
        halvings = min(below, max(1, int(np.ceil(np.log2(over)))))
        lower = _on_threshold(layer, replace(fit, scale=fit.scale * 2.0**halvings), settings)
        if lower.scale > 1.5 * fit.scale:  # a threshold of few units may forbid it
            return lower
    return replace(fit, scale=fit.scale * max(over, 1.01), crowded=True)


def _weights(node: Node) -> Floats:
    weights: Floats = node.scale if isinstance(node, Scale) else node.weight  # type: ignore[attr-defined]
    return weights


def _crowded(layer: Layer, payloads: Mapping[str, float]) -> str:
    """The rule, and the largest payload that shares u with the weights."""
    sent = {s.path.source: payloads[s.path.source] for s in layer.synapses if not s.host}
    source = max(sent, key=lambda name: sent[name], default="")
    graded = f" ({source} sends up to {sent[source]:g})" if source and sent[source] > 1 else ""
    return f"L013: reduce the fan-in, the bias or the payload{graded}"


def _load(graph: Graph, layer: Layer, nodes: Mapping[str, Node], settings: Settings, payloads: Mapping[str, float]) -> float:
    """The largest value of u, or of an accumulating membrane, in weight units."""
    neuron = nodes[layer.name]
    bound = _bound(graph, layer, nodes, payloads)
    if not isinstance(neuron, IntegerNeuron):
        return bound
    beside = constant_part(neuron)
    if isinstance(layer.node, LI):
        return (bound + beside) * _adds_up(float(layer.node.decay.max()), settings.steps)
    if isinstance(layer.node, CubaLIF):
        return bound * _adds_up(float(layer.node.current_decay.max()), settings.steps) + beside
    if isinstance(layer.node, Burst):
        # a decoupled neuron's idle bank is forced by more than its inputs can undo: room for both
        force = forcing(float(neuron.thresholds.max()), float(np.abs(neuron.bias).max()), int(np.ceil(bound)))
        return bound + force + beside + 1
    return bound + beside


def _bound(graph: Graph, layer: Layer, nodes: Mapping[str, Node], payloads: Mapping[str, float]) -> float:
    """``ir.paths.input_bound`` of the layer with these integer nodes."""
    every = {**graph.nodes, **nodes}
    total: Floats = np.zeros(())
    for s in layer.synapses:
        total = total + (payloads[s.host] if s.host else loudest(every, s.path, graph.shapes[s.path.source], payloads[s.path.source]))
    return float(total.max(initial=0.0))


def _adds_up(decay: float, steps: int) -> float:
    """How many times one input an integrator reaches in ``steps`` steps."""
    return min(float(steps), 1 / max(1e-9, 1 - decay))


def _integers(graph: Graph, layer: Layer, fit: Fit, settings: Settings) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    scale = fit.scale
    exponent = _host_exponent(layer.host_peak, scale)
    per_mantissa = scale * 2.0**exponent / UNIT
    constant = layer.constant
    for s in layer.synapses:
        node = graph.nodes[s.name]
        weights = frozen(np.round(s.weights / per_mantissa * 2.0**HOST_SHIFT) if s.host else s.at(scale, fit.clip))
        if isinstance(node, Conv | Linear | Sparse):
            nodes[s.name] = replace(node, weight=weights, bias=None)
        else:
            nodes[s.name] = Scale(weights)
        if s.host:
            # the layer's constant goes with the first current; the half turns floor into rounding
            bias = np.round(constant / per_mantissa * 2.0**HOST_SHIFT) + 2.0 ** (HOST_SHIFT - 1)
            nodes[s.host], constant = HostCurrent(frozen(bias), HOST_SHIFT, exponent), frozen(np.zeros(()))
    if layer.program is not None:
        return {**nodes, layer.name: layer.program.neuron(scale)}
    nodes[layer.name] = to_integers(layer.node, constant, scale, layer.unit, settings.snap, fit.below)
    return nodes


def _host_exponent(peak: float, scale: float) -> int:
    """The smallest bias exponent at which the host's largest current fits the mantissa."""
    return next((e for e in range(BIAS_EXP_MAX) if peak * UNIT / scale <= BIAS_MANT_MAX * 2**e), BIAS_EXP_MAX)


def _error(graph: Graph, layer: Layer, nodes: Mapping[str, Node], scale: float, least: Loss) -> Loss:
    """The mean difference to the float neuron's output (spikes, levels), or the relative error (membranes).

    Once some samples make it surely larger than ``least``, what these alone make of it: the rest cannot make it less.
    """
    every, wanted = {**graph.nodes, **nodes}, layer.wanted
    unit, whole = (scale / UNIT, np.abs(wanted).mean() + 1e-12) if isinstance(layer.node, LI) else (layer.unit, 1.0)
    apart: list[Floats] = []
    sent = 0.0
    for first in range(0, wanted.shape[1], SOME_SAMPLES):
        some = slice(first, first + SOME_SAMPLES)
        ran = _ran(every, layer, some) * unit
        sent += float(np.abs(ran).sum())
        apart.append(np.abs(ran - wanted[:, some]))
        sure = sum(float(a.sum()) for a in apart) / wanted.size / whole
        if not least[0] and sure > least[1] * (1 + 1e-6):
            return False, sure
    dead = sent < LIVES * float(np.abs(wanted).sum())
    return dead, float(np.concatenate(apart, axis=1).mean() / whole)


def _ran(nodes: Mapping[str, Node], layer: Layer, some: slice) -> Floats:
    """What the integer neuron sends for some of the samples, [T, B, *shape]."""
    neuron, sums = nodes[layer.name], _sums(nodes, layer, some)
    state = dict(neuron.initial_state(sums.shape[2:]))
    outputs = []
    for now in sums:
        y, state = neuron.step((now,), state, NUMPY)  # type: ignore[assignment]
        outputs.append(y)
    return np.stack(outputs)


def _sums(nodes: Mapping[str, Node], layer: Layer, some: slice) -> Floats:
    """The synaptic sum [T, B, *shape] at every step when the sources send what the float network sent."""
    total: Floats = np.zeros(())
    for s in layer.synapses:
        arrives = delivered(nodes, s.path, layer.sources[s.path.source][:, some])
        total = total + (nodes[s.host].step((arrives,), {}, NUMPY)[0] if s.host else arrives)
    return np.broadcast_to(total, (len(layer.wanted), *total.shape[1:]))


def _describe(
    graph: Graph, layer: Layer, loss: Loss, nodes: Mapping[str, Node], fit: Fit, settings: Settings, payloads: Mapping[str, float]
) -> LayerScale:
    neuron = nodes[layer.name]
    used = {s: _used_bits(s, nodes, fit) for s in layer.synapses if s.trained and s.peak}
    asked = max((s.bits for s in used), default=settings.bits(layer.name))
    bits = min(asked, int(np.ceil(max(used.values())))) if used and fit.crowded else asked
    notes = (*_bits_notes(layer, used, asked, fit), *_payload_notes(graph, layer, payloads), *((DIED,) if loss[0] else ()))
    bound = int(_bound(graph, layer, nodes, payloads))
    room = within(layer.swing, fit.scale)
    made = LayerScale(layer.name, bits, fit.scale, loss[1], 0.0, 0.0, bound, notes, fit.crowded, loss[0], room)
    if isinstance(neuron, GridNeuron):
        return replace(made, notes=(f"a neuron program of {len(neuron.operations) + 1} operations", *notes))
    assert isinstance(neuron, IntegerNeuron), "a layer is one of both"
    wanted_decay = 4096.0 * layer.node.decay  # type: ignore[attr-defined]
    decay_shift = float(np.abs((4096.0 - neuron.dv) - wanted_decay).max() / 4096)
    shift = _threshold_shift(layer, neuron, fit.scale)
    return replace(made, threshold_shift=shift, decay_shift=decay_shift, notes=(*_notes(layer, neuron), *notes))


def _used_bits(s: Synapse, nodes: Mapping[str, Node], fit: Fit) -> float:
    """So many bits hold the levels that the weights really take."""
    largest = float(np.abs(_weights(nodes[s.name])).max(initial=0.0))
    return s.bits_of(largest / (s.step * 2.0 ** s.exponent(fit.scale, fit.clip)))


def _bits_notes(layer: Layer, used: Mapping[Synapse, float], asked: int, fit: Fit) -> Iterator[str]:
    """Where a synapse has other bits than the layer's, and where less of them than it was given."""
    for s in layer.synapses:
        source = s.path.source
        if s.host:
            yield f"{source}: the host computes with its weights, in full"
        elif s in used and (fit.crowded or used[s] < s.bits_of(s.limit / s.step) - UNUSED):
            why = "u has no room for more" if fit.crowded else "others in the layer, or its threshold, ask for a coarser scale"
            yield f"{source}: {used[s]:.1f} of {s.bits} weight bits are used: {why}"
        elif s in used and s.bits != asked:
            yield f"{source}: {s.bits} weight bits"


def _threshold_shift(layer: Layer, neuron: IntegerNeuron, scale: float) -> float:
    """The largest relative change of a threshold; a whole-number threshold t means h > t, so up to 1 is no change."""
    if isinstance(layer.node, LI):
        return 0.0
    target = ladder(layer.node)[0] * UNIT / scale
    shift = np.abs(neuron.thresholds - target)
    return float((np.maximum(shift - 1, 0) / np.maximum(np.abs(target), 1)).max())


def _payload_notes(graph: Graph, layer: Layer, payloads: Mapping[str, float]) -> Iterator[str]:
    for source in dict.fromkeys(s.path.source for s in layer.synapses if not s.host):
        node = graph.nodes[source]
        if isinstance(node, Input) and node.carries == "real":
            yield f"{source}: {int(payloads[source]).bit_length()} payload bits"


def _notes(layer: Layer, neuron: IntegerNeuron) -> tuple[str, ...]:
    notes = []
    if isinstance(layer.node, Burst):
        lost = float(np.abs(neuron.levels * layer.unit - layer.node.levels).max())
        notes.append(f"levels in units of {layer.unit:g}" + (f", off by at most {lost:.3g}" if lost else ", exact"))
    narrow = [s for s in layer.synapses if s.trained and s.limit < 256 - s.step and s.limit / s.step < full_levels(s)]
    notes += [f"{s.path.source}: {np.log2(2 * s.limit / s.step + 1):.1f} weight bits are left by its levels" for s in narrow]
    return tuple(notes)
