"""Float graph (normal form) -> integer graph -> chip network.

The burst node is quantized first, as one integer neuron; its lowering comes afterwards and must equal it. All
synapses that meet in a neuron share one least significant bit, so their sum is exact.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.paths import neurons, paths_into
from snndeploy.quantize.layer import choose, gather, host_name
from snndeploy.quantize.neuron import UNIT
from snndeploy.quantize.settings import LayerScale, Quantized, Settings
from snndeploy.quantize.sources import input_unit, level_unit

HOST_PEAK = 4095 * 128 / UNIT
"""The largest current a bias register holds, in weight units."""

__all__ = ["LayerScale", "Quantized", "Settings", "quantize"]


def quantize(graph: Graph, settings: Settings, reference: Mapping[str, Floats]) -> Quantized:
    """Round every layer to the chip's integers, jointly: weights, thresholds, bias, decay, with calibration data.

    ``reference`` holds what every Input and neuron of the float graph sent on the calibration data, [T, B, *shape].

    Raises:
        QuantizeError: a layer has no representation within the registers.
        Unsupported: a neuron has no integer form.
    """
    units, payloads = _units(graph, settings, reference)
    integer, layers = _with_hosts(graph, settings), []
    for name in neurons(graph):
        layer = gather(graph, name, units, settings, reference)
        nodes, scale = choose(integer, layer, settings, payloads)
        integer = integer.replace(nodes)
        layers.append(scale)
        if isinstance(graph.nodes[name], LI):
            units[name] = scale.scale / UNIT
    return Quantized(integer, units, payloads, tuple(layers))


def _with_hosts(graph: Graph, settings: Settings) -> Graph:
    """The graph with a place for the current that the host computes, before every neuron fed by a host input."""
    nodes: dict[str, Node | None] = {}
    edges = list(graph.edges)
    for name in neurons(graph):
        ends = {path.nodes[-1] for path in paths_into(graph, name) if path.source in settings.host_inputs}
        if any(path.delay for path in paths_into(graph, name) if path.source in settings.host_inputs):
            raise Unsupported(name, "a delayed real-valued input cannot be computed on the host", "delay the layer behind it instead")
        if ends:
            nodes[host_name(name)] = HostCurrent(frozen(0.0), 0, 0)
            moved = [e for e in edges if e.target == name and e.source in ends]
            edges = [e for e in edges if e not in moved] + [Edge(e.source, host_name(name)) for e in moved] + [Edge(host_name(name), name)]
    return graph.replace(nodes, edges)


def _units(graph: Graph, settings: Settings, reference: Mapping[str, Floats]) -> tuple[dict[str, float], dict[str, float]]:
    """Real value of one unit and largest payload, of every Input and neuron."""
    units, payloads = {}, {}
    for name, node in graph.nodes.items():
        if isinstance(node, Input):
            units[name], payloads[name] = input_unit(name, node, reference[name])
    payloads |= {host_name(name): HOST_PEAK for name in neurons(graph)}
    for name in neurons(graph):
        units[name] = level_unit(graph.nodes[name], settings.decoupled)
        payloads[name] = _largest(graph.nodes[name], units[name])
    return units, payloads


def _largest(node: Node, unit: float) -> float:
    levels = getattr(node, "levels", None)
    return 1.0 if levels is None or isinstance(node, IntegerNeuron) else float(np.round(np.abs(levels) / unit).max())
