"""One layer: choose the scale at which its weights, thresholds, bias and decay together lose least."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import QuantizeError, Unsupported
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Conv, Linear, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import Path, constant_into, deliver, input_bound, paths_into
from snndeploy.quantize.neuron import UNIT, gain_of, to_integers
from snndeploy.quantize.settings import LayerScale, Settings
from snndeploy.quantize.sources import largest_step, level_unit

U_LIMIT = (1 << 17) - 1
V_LIMIT = (1 << 23) - 1
CLIPS = (1.0, 0.92, 0.84, 0.76, 0.68, 0.6, 0.5, 0.4)
"""Candidate scales, as fractions of the one at which no weight is clipped."""
EXPONENT_MAX = 7
HOST_SHIFT = 16
"""Fraction bits of the host's own weights."""


@dataclass(frozen=True, eq=False)
class Synapse:
    """One path into the layer: real weights per integer unit of its source, and its share of the synapse grid.

    ``host``: the host computes this synapse and writes the sum into the bias register; no grid applies.
    """

    path: Path
    name: str
    weights: Floats
    limit: int
    step: int
    exponents: int
    host: bool = False

    def at(self, scale: float) -> Floats:
        """The whole weights at this scale, clipped to the grid; the exponent is the smallest that holds them."""
        wanted = self.weights / scale
        exponent = 0
        while exponent < self.exponents and np.abs(wanted).max(initial=0.0) > self.limit * 2**exponent:
            exponent += 1
        step = self.step * 2**exponent
        top = self.limit * 2**exponent // step * step
        return np.clip(np.round(wanted / step) * step, -top, top)


@dataclass(frozen=True, eq=False)
class Layer:
    """What quantizing one neuron needs: its synapses, and the float network's own inputs and outputs to compare with."""

    name: str
    node: Node
    synapses: tuple[Synapse, ...]
    constant: Floats
    unit: float
    sources: Mapping[str, Floats]
    """Integer source values [T, B, *shape], recorded in the float network."""
    wanted: Floats
    """The float neuron's output [T, B, *shape]."""
    host_peak: float = 0.0
    """The largest current that the host may have to write, in real units."""


def gather(graph: Graph, name: str, units: Mapping[str, float], settings: Settings, reference: Mapping[str, Floats]) -> Layer:
    """Collect the synapses into neuron ``name``. ``reference`` holds every Input's and neuron's float output."""
    node = graph.nodes[name]
    gain = gain_of(node)
    paths = paths_into(graph, name)
    synapses = tuple(_synapse(graph, path, name, gain, units, settings) for path in paths)
    constant = constant_into(graph, name) * gain + node.rest * (1.0 - node.decay)  # type: ignore[attr-defined]
    sources = {p.source: np.round(reference[p.source] / units[p.source]) for p in paths}
    unit, peak = level_unit(node, settings.decoupled), _host_peak(graph, paths, gain, settings, reference)
    return Layer(name, node, synapses, frozen(constant), unit, sources, reference[name], peak + float(np.abs(constant).max()) * (peak > 0))


def _host_peak(graph: Graph, paths: tuple[Path, ...], gain: Floats, settings: Settings, reference: Mapping[str, Floats]) -> float:
    """The largest |current| of the synapses that the host computes, at the largest input seen."""
    total: Floats = np.zeros(())
    for path in paths:
        if path.source in settings.host_inputs:
            loudest = np.full((1, *graph.shapes[path.source]), np.abs(reference[path.source]).max())
            total = total + deliver(graph, path, loudest, magnitude=True, constant=False)[0] * np.abs(gain)
    return float(total.max(initial=0.0))


def _synapse(graph: Graph, path: Path, target: str, gain: Floats, units: Mapping[str, float], settings: Settings) -> Synapse:
    name = path.synapse(graph)
    node = graph.nodes[name]
    if path.source in settings.host_inputs:
        return Synapse(path, name, _with_gain(node, gain, target) * units[path.source], 0, 1, 0, host=True)
    bits, source = settings.bits(target), graph.nodes[path.source]
    split = largest_step(source, units[path.source]) if settings.decoupled else 1
    step = 1 if split > 1 and bits == 8 else 2 ** (9 - bits)  # a rung's weights may be odd: they are split by sign
    limit = (256 - step) // split // step * step
    if limit < step:
        raise QuantizeError(f"{target} from {path.source}", f"a step of {split} in level leaves no weight bits", "use coarser levels (kappa)")
    exponents = 0 if isinstance(node, Conv) and not settings.conv_exponent else EXPONENT_MAX
    return Synapse(path, name, _with_gain(node, gain, target) * units[path.source], limit, step, exponents)


def _with_gain(node: Node, gain: Floats, target: str) -> Floats:
    """The node's weights with the neuron's input gain folded in, one gain an output channel at most."""
    if gain.size == 1:
        factor: Floats = gain.reshape(())
    elif isinstance(node, Scale):
        factor = gain
    elif isinstance(node, Conv | Linear) and gain.size == len(node.weight):
        factor = gain.reshape(-1, *(1,) * (node.weight.ndim - 1))
    else:
        raise Unsupported(target, f"an input gain of shape {gain.shape} does not fold into {type(node).__name__}", "use one gain a channel")
    return np.asarray((node.scale if isinstance(node, Scale) else node.weight) * factor)  # type: ignore[attr-defined]


def choose(graph: Graph, layer: Layer, settings: Settings, payloads: Mapping[str, float]) -> tuple[dict[str, Node], LayerScale]:
    """The integer nodes (synapses and neuron) that differ least from the float layer, and what was lost."""
    best: tuple[float, dict[str, Node], float] | None = None
    for scale in _scales(layer, settings):
        scale = _within_registers(graph, layer, scale, settings, payloads)
        nodes = _integers(graph, layer, scale, settings)
        error = _error(graph, layer, nodes, scale)
        if best is None or error < best[0]:
            best = (error, nodes, scale)
    if best is None:
        raise QuantizeError(layer.name, "has no weights", "every synapse into it is zero: remove the layer")
    return best[1], _describe(graph, layer, *best, settings, payloads)


def _scales(layer: Layer, settings: Settings) -> Iterator[float]:
    """Scales to try. Synapses without an exponent decide; one with an exponent shifts up to follow."""
    peaks = [(s, float(np.abs(s.weights).max(initial=0.0)) / s.limit) for s in layer.synapses if not s.host]
    rigid = [peak for s, peak in peaks if s.exponents == 0 and peak > 0]
    free = [peak for _, peak in peaks if peak > 0]
    floor = UNIT * layer.host_peak / (4095 * 128)
    if not free:
        yield from [_on_threshold(layer.node, floor * 1.01)] if floor else []
        return
    base = max(rigid) if rigid else min(free) if min(free) * 2**EXPONENT_MAX >= max(free) else max(free) / 2**EXPONENT_MAX
    yield from (_on_threshold(layer.node, max(base * clip, floor * 1.01)) for clip in CLIPS)


def _on_threshold(node: Node, scale: float) -> float:
    """The nearby scale at which a single first threshold falls exactly on the mantissa's grid (64 m, or 64 m + 1 for >=)."""
    first = node.thresholds[0] if isinstance(node, Burst) else getattr(node, "threshold", None)
    if first is None or np.ptp(first) > 0 or not np.ravel(first)[0] > 0:
        return scale
    theta, strict = float(np.ravel(first)[0]), node.strict[0] if isinstance(node, Burst) else node.strict  # type: ignore[attr-defined]
    mantissa = max(1, round(theta / scale))
    return theta / mantissa if strict else UNIT * theta / (UNIT * mantissa + 1)


def _within_registers(graph: Graph, layer: Layer, scale: float, settings: Settings, payloads: Mapping[str, float]) -> float:
    """Coarsen the scale until u cannot wrap and an accumulating read-out cannot saturate."""
    for _ in range(64):
        integer = _with_nodes(graph, _integers(graph, layer, scale, settings))
        bound = input_bound(integer, layer.name, payloads)
        if isinstance(layer.node, LI):
            bound *= min(settings.steps, 1 / max(1e-9, 1 - float(layer.node.decay.max())))
            bound += float(np.abs(layer.constant).max(initial=0.0)) / scale * settings.steps
        if isinstance(layer.node, Burst):
            # a decoupled neuron's idle bank is forced by more than its inputs can undo: room for both
            bound = 2 * bound + float(np.abs(layer.node.thresholds).max()) / scale
        if bound <= U_LIMIT:
            return scale
        scale *= max(bound / U_LIMIT, 1.01)
    raise QuantizeError(layer.name, "u wraps at every scale", "L013: reduce the fan-in or the payload")


def _integers(graph: Graph, layer: Layer, scale: float, settings: Settings) -> dict[str, Node]:
    nodes: dict[str, Node] = {}
    hosted = any(s.host for s in layer.synapses)
    mantissa = _host_exponent(layer.host_peak, scale)
    for synapse in layer.synapses:
        node = graph.nodes[synapse.name]
        per_mantissa = scale * 2.0**mantissa / UNIT
        weights = frozen(np.round(synapse.weights / per_mantissa * 2.0**HOST_SHIFT) if synapse.host else synapse.at(scale))
        if isinstance(node, Scale):
            nodes[synapse.name] = Scale(weights)
        else:
            nodes[synapse.name] = replace(node, weight=weights, bias=None)  # type: ignore[call-arg]
    if hosted:
        bias = np.round(layer.constant / per_mantissa * 2.0**HOST_SHIFT) + 2.0 ** (HOST_SHIFT - 1)
        nodes[host_name(layer.name)] = HostCurrent(frozen(bias), HOST_SHIFT, mantissa)
    constant = layer.constant * (not hosted)
    nodes[layer.name] = to_integers(layer.node, constant, scale, layer.unit, settings.bias_step, settings.snap)
    return nodes


def _host_exponent(peak: float, scale: float) -> int:
    """The smallest bias exponent at which the host's largest current fits the mantissa."""
    return next((e for e in range(EXPONENT_MAX) if peak * UNIT / scale <= 4095 * 2**e), EXPONENT_MAX)


def host_name(neuron: str) -> str:
    """The name of the current that the host writes into ``neuron``."""
    return f"{neuron}.host"


def _with_nodes(graph: Graph, nodes: Mapping[str, Node]) -> Graph:
    return graph.replace(nodes)


def _error(graph: Graph, layer: Layer, nodes: Mapping[str, Node], scale: float) -> float:
    """Fraction of outputs that differ from the float neuron's (spikes), or the relative error (membranes)."""
    integer = _with_nodes(graph, nodes)
    neuron = nodes[layer.name]
    sums = _sums(integer, layer)
    state = dict(neuron.initial_state(sums.shape[2:]))
    outputs = []
    for now in sums:
        y, state = neuron.step((now,), state, NUMPY)  # type: ignore[assignment]
        outputs.append(y)
    got = np.stack(outputs)
    if isinstance(layer.node, LI):
        got = got * scale / UNIT
        return float(np.abs(got - layer.wanted).mean() / (np.abs(layer.wanted).mean() + 1e-12))
    return float(np.abs(got * layer.unit - layer.wanted).mean())


def _sums(graph: Graph, layer: Layer) -> Floats:
    """The synaptic sum [T, B, *shape] at every step when the sources send what the float network sent."""
    total: Floats = np.zeros(())
    for synapse in layer.synapses:
        values = layer.sources[synapse.path.source]
        late = np.concatenate([np.zeros_like(values[: synapse.path.delay]), values])[: len(values)]
        flat = deliver(graph, synapse.path, late.reshape(-1, *late.shape[2:]))
        if synapse.host:
            flat = graph.nodes[host_name(layer.name)].step((flat,), {}, NUMPY)[0]
        total = total + flat.reshape(*late.shape[:2], *flat.shape[1:])
    return total


def _describe(
    graph: Graph, layer: Layer, error: float, nodes: Mapping[str, Node], scale: float, settings: Settings, payloads: Mapping[str, float]
) -> LayerScale:
    neuron = nodes[layer.name]
    assert isinstance(neuron, IntegerNeuron)  # noqa: S101 - made so by _integers
    notes = _notes(layer, neuron)
    bound = int(input_bound(_with_nodes(graph, nodes), layer.name, payloads))
    wanted_decay = 4096.0 * layer.node.decay  # type: ignore[attr-defined]
    decay_shift = float(np.abs((4096.0 - neuron.dv) - wanted_decay).max() / 4096)
    return LayerScale(layer.name, settings.bits(layer.name), scale, error, _threshold_shift(layer, neuron, scale), decay_shift, bound, notes)


def _threshold_shift(layer: Layer, neuron: IntegerNeuron, scale: float) -> float:
    wanted = layer.node.thresholds if isinstance(layer.node, Burst) else getattr(layer.node, "threshold", None)
    if wanted is None or neuron.rungs == 0:
        return 0.0
    target = np.asarray(wanted) * UNIT / scale
    shift = np.abs(neuron.thresholds.reshape(target.shape if target.ndim else ()) - target)
    return float((np.maximum(shift - 1, 0) / np.maximum(np.abs(target), 1)).max())


def _notes(layer: Layer, neuron: IntegerNeuron) -> tuple[str, ...]:
    notes = []
    if isinstance(layer.node, Burst):
        lost = float(np.abs(neuron.levels * layer.unit - layer.node.levels).max())
        notes.append(f"levels in units of {layer.unit:g}" + (f", off by at most {lost:.3g}" if lost else ", exact"))
    narrow = [s for s in layer.synapses if not s.host and s.limit < 126 * s.step]
    notes += [f"{s.path.source}: {np.log2(2 * s.limit / s.step + 1):.1f} weight bits are left by its levels" for s in narrow]
    return tuple(notes)
