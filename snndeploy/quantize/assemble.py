"""Lowered integer graph + alignment -> the chip network: the same integers, on the chip's own terms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, Ints, Shape, frozen_ints
from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif, Model
from snndeploy.chip.network import ChipNetwork, Dense, HostLayer, Population, Projection, Readout, Sparse, Wire
from snndeploy.chip.network import Conv as ConvSynapses
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Conv, Input, Linear, Output, Scale
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.on_grid import GridNeuron
from snndeploy.ir.paths import Path, neurons, paths_into
from snndeploy.ir.sparse import Sparse as SparseMap
from snndeploy.quantize.compiling import compiled
from snndeploy.quantize.grid import on_grid
from snndeploy.quantize.programs import program
from snndeploy.quantize.unrolled import unrolled

HOST_BITS = 12
"""Magnitude bits of a bias mantissa."""


@dataclass(frozen=True)
class Timing:
    """Steps T, each neuron's shift, each path's extra delay (by source, target and the names between)."""

    steps: int
    shifts: Mapping[str, int]
    delays: Mapping[tuple[str, str, tuple[str, ...]], int]
    restart: bool
    """True if neurons are cleared when their first real input arrives (a bias upstream acts before that)."""
    phases: int = 1
    """Chip steps for each of the T."""


@dataclass(frozen=True)
class Ports:
    """What enters: each Input's real value of one unit, its largest payload, and the decode of the Output."""

    units: Mapping[str, float]
    payloads: Mapping[str, float]
    signed: Mapping[str, bool]


def assemble_network(graph: Graph, chip: str, timing: Timing, ports: Ports, *, conv_exponent: bool) -> ChipNetwork:
    """Every neuron becomes a population, every synapse one or more projections on the synapse grid.

    Raises:
        Unsupported: more than one Output.
        QuantizeError: weights that no combination of mantissas and exponents holds.
    """
    outputs = graph.named(Output)
    if len(outputs) != 1:
        raise Unsupported(", ".join(outputs), f"{len(outputs)} outputs", "deploy one read-out at a time")
    (output, decode), *_ = outputs.items()
    populations = {n: _input(n, node, ports, graph.shapes[n]) for n, node in graph.named(Input).items()}
    hosts = host_layers(graph, ports)
    populations = {n: p for n, p in populations.items() if n not in {h.source for h in hosts.values()}}
    populations |= {
        n: Population(n, graph.shapes[n], HostInput(HOST_BITS, True, _static(graph, h.source)), h.source) for n, h in hosts.items()
    }
    populations |= {n: _population(graph, n, timing, ports) for n in neurons(graph)}
    projections: list[Projection] = []
    for name in neurons(graph):
        for path in paths_into(graph, name):
            projections += _projections(graph, path, name, timing, populations, conv_exponent)
    read = paths_into(graph, output)[0].source
    readout = Readout(read, decode.decode, decode.vote)
    return ChipNetwork(chip, populations, tuple(projections), readout, timing.steps, hosts, phases=timing.phases)


def _static(graph: Graph, source: str) -> bool:
    node = graph.nodes[source]
    return isinstance(node, Input) and node.static


def host_layers(graph: Graph, ports: Ports) -> dict[str, HostLayer]:
    """The first layers that the host computes, by the name of the current they give."""
    layers = {}
    for name, node in graph.named(HostCurrent).items():
        (path,) = paths_into(graph, name)
        ((synapses, _),) = _synapses(graph.nodes[path.synapse(graph)], graph, path, name, True, on_host=True)
        bias = frozen_ints(np.broadcast_to(node.bias, graph.shapes[name]))
        layers[name] = HostLayer(path.source, graph.shapes[path.source], synapses, bias, node.shift, ports.units[path.source])
    return layers


def _input(name: str, node: Input, ports: Ports, shape: Shape) -> Population:
    payload = int(ports.payloads.get(name, 1.0))
    bits = 0 if payload <= 1 and not ports.signed.get(name, False) else payload.bit_length()
    model = HostInput(bits, ports.signed.get(name, False), node.static, ports.units.get(name, 1.0))
    return Population(name, shape, model, name, 0, model.scale)


def _population(graph: Graph, name: str, timing: Timing, ports: Ports) -> Population:
    node, shape, shift = graph.nodes[name], graph.shapes[name], timing.shifts[name]
    reset_at = shift + 1 if timing.restart and shift > 0 else 0
    if isinstance(node, GridNeuron):
        return Population(name, shape, compiled(node, name, reset_at), name, shift, ports.units.get(name, 1.0))
    assert isinstance(node, IntegerNeuron), "the quantizer left no other neuron"
    sources = (graph.nodes[p.source] for p in paths_into(graph, name))
    exponent = next((s.exponent for s in sources if isinstance(s, HostCurrent)), _bias_exponent(node.bias))
    model: Model = _lif(node, reset_at, timing, exponent) if node.fixed else program(node, name, reset_at)
    origin = name if name in ports.units else name.rsplit(".", 1)[0]
    reads = "v" if node.rungs == 0 else "spikes"
    return Population(name, shape, model, origin, shift, ports.units.get(name, 1.0), reads)


def _lif(node: IntegerNeuron, reset_at: int, timing: Timing, exponent: int) -> Lif:
    vth = node.thresholds[0] / 64 if node.rungs else np.asarray(float(NEVER_FIRES))
    interval = timing.steps * timing.phases + max(timing.shifts.values()) + 2 if reset_at else 0
    du, dv, threshold, mantissa, places = (frozen_ints(a) for a in (node.du, node.dv, vth, node.bias / 2**exponent, exponent))
    return Lif(du, dv, threshold, mantissa, places, reset_interval=interval, reset_offset=reset_at)


def _bias_exponent(bias: Floats) -> int:
    """The smallest exponent whose mantissa of 12 bits and sign holds every bias."""
    largest = float(np.abs(bias).max(initial=0.0))
    return max(0, int(np.ceil(np.log2(largest / 4095))) if largest > 4095 else 0)


def _projections(
    graph: Graph, path: Path, target: str, timing: Timing, populations: Mapping[str, Population], conv_exponent: bool
) -> list[Projection]:
    delay = timing.delays[path.source, target, path.nodes]
    if isinstance(graph.nodes[path.source], HostCurrent):
        wire = graph.nodes[path.synapse(graph)]
        assert isinstance(wire, Scale), "the host's current goes straight into its neuron"
        assert bool((wire.scale == 1).all()), "the host's current goes straight into its neuron"
        return [Projection(f"{path.source}->{target}", path.source, target, Wire(as_bias=True), delay=delay)]
    node, source = graph.nodes[path.synapse(graph)], populations[path.source]
    label = f"{path.source}->{target}" + (f"[{path.synapse(graph)}]" if len(paths_into(graph, target)) > 1 else "")
    graded = _is_graded(graph, path.source, source)
    made = []
    for n, (synapses, exponent) in enumerate(_synapses(node, graph, path, target, conv_exponent)):
        suffix = f"#{n}" if n else ""
        made.append(Projection(label + suffix, path.source, target, synapses, exponent, delay, graded))
    return made


def _is_graded(graph: Graph, name: str, source: Population) -> bool:
    if isinstance(source.model, HostInput):
        return source.model.payload_bits > 0
    node = graph.nodes[name]
    if isinstance(node, GridNeuron):
        return node.graded
    return isinstance(node, IntegerNeuron) and bool((node.levels != 1).any())


def _grid(weights: Ints, target: str, exponent: bool, on_host: bool) -> list[tuple[Ints, int]]:
    return [(weights, 0)] if on_host else on_grid(weights, exponent=exponent, where=target)


def _synapses(
    node: object, graph: Graph, path: Path, target: str, conv_exponent: bool, on_host: bool = False
) -> list[tuple[Dense | ConvSynapses | Sparse, int]]:
    synapse, line = path.synapse(graph), (path.source, *path.nodes)
    shape, entering = graph.shapes[synapse], graph.shapes[line[line.index(synapse) - 1]]
    if isinstance(node, Linear):
        grid = _grid(_ints(node.weight), target, True, on_host)
        return [(Dense(m), e) for m, e in grid]
    if isinstance(node, Conv):
        grid = _grid(_ints(node.weight), target, conv_exponent, on_host)
        kernels = [(ConvSynapses(m, node.stride, node.padding, node.dilation, node.groups), e) for m, e in grid]
        # a Reshape keeps the order of what passes, but a kernel needs its channels and places
        as_it_is = entering == graph.shapes[path.source] and shape == graph.shapes[target]
        return [(kernel if as_it_is else unrolled(kernel, entering), e) for kernel, e in kernels]
    if isinstance(node, SparseMap):
        grid = _grid(_ints(node.weight), target, True, on_host)
        return [(_sparse(_ints(node.rows), _ints(node.columns), m), e) for m, e in grid]
    assert isinstance(node, Scale), "Path.synapse allows nothing else"
    size = int(np.prod(shape))
    columns = np.broadcast_to(np.arange(int(np.prod(entering))).reshape(entering), shape).ravel()
    weights = _ints(np.broadcast_to(node.scale, shape)).ravel()
    grid = _grid(weights, target, True, on_host)
    return [(_sparse(np.arange(size), columns, m), e) for m, e in grid]


def _sparse(rows: Ints, columns: Ints, weights: Ints) -> Sparse:
    kept = weights != 0
    return Sparse(rows[kept], columns[kept], weights[kept])


def _ints(values: Floats) -> Ints:
    return frozen_ints(np.asarray(values))
