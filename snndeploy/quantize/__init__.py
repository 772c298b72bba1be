"""Float graph (normal form) -> integer graph -> chip network.

The burst node is quantized first, as one integer neuron; its lowering comes afterwards and must equal it. All
synapses that meet in a neuron share one least significant bit, so their sum is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import QuantizeError, Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.decoupling import CONSTANT, U_LIMIT, constant_edges, constant_synapse
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.on_grid import GridNeuron
from snndeploy.ir.paths import constant_into, neurons, paths_into, without_constant
from snndeploy.quantize.choice import choose
from snndeploy.quantize.layer import gather, host_names
from snndeploy.quantize.neuron import UNIT
from snndeploy.quantize.programmed import by_registers, payload_unit
from snndeploy.quantize.settings import LayerScale, Quantized, Settings, check_patterns
from snndeploy.quantize.sources import coarser_units, input_unit, level_unit
from snndeploy.quantize.swing import as_good, swing

HOST_PEAK = 4095 * 128 / UNIT
"""The largest current a bias register holds, in weight units."""
SEARCH_SAMPLES = 32

Tried: TypeAlias = tuple[tuple[float, float], Sequence[LayerScale]]
"""An input's unit and largest payload, and what becomes of the layers it feeds."""

__all__ = ["LayerScale", "Quantized", "Settings", "quantize"]


def quantize(graph: Graph, settings: Settings, reference: Mapping[str, Floats], inputs: Mapping[str, Floats] | None = None) -> Quantized:
    """Round every layer to the chip's integers, jointly: weights, thresholds, bias, decay, with calibration data.

    ``reference`` holds what every Input and neuron of the float graph sent on the calibration data, [T, B, *shape];
    ``inputs`` all data at hand, which the payloads must hold (None: the calibration data are all).

    Raises:
        QuantizeError: a layer has no representation within the registers.
        Unsupported: a neuron has no integer form.
    """
    check_patterns(settings.weight_bits, (n for n in graph.order if not isinstance(graph.nodes[n], Input)))
    graph = _with_currents(graph)
    if CONSTANT in graph.nodes:
        steps, samples = next(iter(reference.values())).shape[:2]
        reference = {**reference, CONSTANT: np.ones((steps, samples, 1))}
    ranged = {**reference, **(inputs or {})}
    units, payloads = _units(graph, settings, ranged)
    swings = {n: swing(graph, n, reference) if by_registers(graph.nodes[n]) else 0.0 for n in neurons(graph)}
    integer, layers = _with_hosts(graph, settings), []
    for name in graph.named(Input):
        finer = units[name], payloads[name]
        coarser = [] if name in settings.host_inputs else coarser_units(*finer, graph.named(Input)[name], ranged[name])
        units[name], payloads[name] = _payload_bits(graph, name, settings, reference, units, payloads, coarser, swings)
    for name in neurons(graph):
        layer = replace(gather(graph, name, units, payloads, settings, reference), swing=swings[name])
        payloads |= {s.host: HOST_PEAK for s in layer.hosts}
        nodes, scale = choose(integer, layer, settings, payloads)
        integer = integer.replace(nodes)
        neuron = nodes[name]
        payloads |= {name: neuron.bound} if isinstance(neuron, GridNeuron) else {}
        layers.append(scale)
        if isinstance(graph.nodes[name], LI):
            units[name] = scale.scale / UNIT
    return Quantized(integer, units, payloads, tuple(layers))


def _payload_bits(
    graph: Graph,
    name: str,
    settings: Settings,
    reference: Mapping[str, Floats],
    units: Mapping[str, float],
    payloads: Mapping[str, float],
    coarser: list[tuple[float, float]],
    swings: Mapping[str, float],
) -> tuple[float, float]:
    """Unit and largest payload of an Input: as many bits as leave the layers it feeds their weights.

    u holds 24 bits for payload, weight and fan-in together, so a bit less for a real-valued input is a bit more for
    the weights. The ``coarser`` ones are tried while the synaptic sum could fill more than half of u, or does not only
    because weights were given up for it, or leaves v no room; the least error wins, and no layer that lives loses to one
    that dies. Where errors are equal (a layer that is silent on these data), more weight bits win.
    """
    fed = [n for n in neurons(graph) if any(p.source == name for p in paths_into(graph, n))]
    few = {n: values[:, :SEARCH_SAMPLES] for n, values in reference.items()}
    tried: list[Tried] = []
    for unit, payload in [(units[name], payloads[name]), *coarser] if coarser else []:
        sent = {**payloads, name: payload}
        layers = (gather(graph, target, {**units, name: unit}, sent, settings, few) for target in fed)
        try:
            scales = [choose(graph, replace(layer, swing=swings[layer.name]), settings, sent)[1] for layer in layers]
        except QuantizeError:
            continue
        tried.append(((unit, payload), scales))
        if max(U_LIMIT if s.crowded or s.died or not s.roomy else s.bound for s in scales) < U_LIMIT // 2:
            break
    return _roomiest(tried) if tried else (units[name], payloads[name])


def _roomiest(tried: Sequence[Tried]) -> tuple[float, float]:
    """The input's unit and payload of the least loss, or of the least that leaves v room, where that is as good."""
    best = min(tried, key=_loss)
    roomy = min((t for t in tried if all(s.roomy for s in t[1])), key=_loss, default=best)
    return (roomy if as_good(_loss(roomy)[:2], _loss(best)[:2]) else best)[0]


def _loss(tried: Tried) -> tuple[int, float, int]:
    """Layers that died, their errors, and (less is worse) their weight bits."""
    scales = tried[1]
    return sum(s.died for s in scales), sum(s.error for s in scales), -sum(s.weight_bits for s in scales)


def _with_currents(graph: Graph) -> Graph:
    """The graph in which a constant that enters a synaptic current comes from the constant input.

    A bias register acts on the membrane, behind the current; so a bias in front of a CUBA neuron needs a synapse.
    """
    nodes: dict[str, Node | None] = {}
    edges = list(graph.edges)
    for name in graph.named(CubaLIF):
        constant = constant_into(graph, name)
        if constant.any():
            nodes |= {n: without_constant(graph.nodes[n]) for path in paths_into(graph, name) for n in path.nodes}
            nodes |= constant_synapse(f"{name}.bias", np.broadcast_to(constant, graph.shapes[name]))
            edges += constant_edges(f"{name}.bias", name)
    return graph.replace(nodes, edges)


def _with_hosts(graph: Graph, settings: Settings) -> Graph:
    """The graph with a place for each current that the host computes, before every neuron fed by a host input."""
    nodes: dict[str, Node | None] = {}
    edges = list(graph.edges)
    for name in neurons(graph):
        for path, host in host_names(name, paths_into(graph, name), settings).items():
            if path.delay:
                raise Unsupported(name, "a delayed real-valued input cannot be computed on the host", "delay the layer behind it instead")
            if isinstance(graph.nodes[name], CubaLIF):
                what = "the host writes into the membrane, not into this neuron's synaptic current"
                raise Unsupported(name, what, "encode the input as spikes, or put a LIF layer in front")
            end, wire = path.nodes[-1], f"{host}.wire"
            nodes |= {host: HostCurrent(frozen(0.0), 0, 0), wire: Scale(frozen(1.0))}
            edges = [e for e in edges if e != Edge(end, name)] + [Edge(end, host), Edge(host, wire), Edge(wire, name)]
    return graph.replace(nodes, edges)


def _units(graph: Graph, settings: Settings, reference: Mapping[str, Floats]) -> tuple[dict[str, float], dict[str, float]]:
    """Real value of one unit and largest payload, of every Input and neuron."""
    units, payloads = {}, {}
    for name, node in graph.named(Input).items():
        units[name], payloads[name] = input_unit(name, node, reference[name])
    for name in neurons(graph):
        neuron = graph.nodes[name]
        units[name] = level_unit(neuron, settings.decoupled) if by_registers(neuron) else payload_unit(reference[name])
        payloads[name] = _largest(neuron, units[name]) if by_registers(neuron) else _sent(reference[name], units[name])
    return units, payloads


def _sent(seen: Floats, unit: float) -> float:
    """The largest payload of as many bits as what was ``seen`` needs."""
    return float(2 ** int(np.round(np.abs(seen).max(initial=0.0) / abs(unit))).bit_length() - 1) or 1.0


def _largest(node: Node, unit: float) -> float:
    return float(np.round(np.abs(node.levels) / abs(unit)).max()) if isinstance(node, Burst) else 1.0
