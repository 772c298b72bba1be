"""What quantizing one neuron layer needs, gathered from the float graph and its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.paths import Path, constant_into, deliver, paths_into
from snndeploy.quantize.algebra import input_gain
from snndeploy.quantize.neuron import gain_of
from snndeploy.quantize.programmed import Programmed, by_registers, expression_of, payload_unit, programmed, real_sums
from snndeploy.quantize.settings import Settings
from snndeploy.quantize.sources import level_unit
from snndeploy.quantize.synapses import Synapse, synapse


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
    program: Programmed | None = None
    """The neuron's step, where registers do not hold it."""
    swing: float = 0.0
    """The largest |v| of the float neuron on the calibration data, in real units; 0 where registers do not hold it."""

    @property
    def hosts(self) -> tuple[Synapse, ...]:
        """The synapses that the host computes."""
        return tuple(s for s in self.synapses if s.host)


def gather(
    graph: Graph, name: str, units: Mapping[str, float], payloads: Mapping[str, float], settings: Settings, reference: Mapping[str, Floats]
) -> Layer:
    """Collect the synapses into neuron ``name``. ``reference`` holds every Input's and neuron's float output.

    Raises:
        Unsupported: a membrane that never fires feeds this layer, or a neuron without integer form.
    """
    node = graph.nodes[name]
    expression = None if by_registers(node) else expression_of(name, node, graph.shapes[name], settings.programs)
    gain = gain_of(node) if expression is None else input_gain(expression)
    paths = paths_into(graph, name)
    for path in paths:
        if isinstance(graph.nodes[path.source], LI):
            raise Unsupported(name, f"is fed by the membrane of {path.source}, which never fires", "put a spiking neuron between them")
    hosts = host_names(name, paths, settings)
    synapses = tuple(synapse(graph, p, name, gain, units[p.source], settings, hosts.get(p, "")) for p in paths)
    sources = {p.source: _whole(reference[p.source], units[p.source]) for p in paths}
    constant = constant_into(graph, name) * gain
    if expression is not None:
        bound = real_sums(graph, synapses, {p: np.full((1, 1, *v.shape[2:]), payloads[p]) for p, v in sources.items()}, magnitude=True)
        level = payload_unit(reference[name])
        sums = real_sums(graph, synapses, sources)
        program = programmed(name, expression, gain, constant, sums, float(bound.max(initial=0.0)), settings.steps, level)
        return Layer(name, node, synapses, frozen(constant), level, sources, reference[name], program=program)
    constant = constant + node.rest * (1.0 - node.decay)  # type: ignore[attr-defined]
    peak = _host_peak(graph, hosts, gain, {p.source: units[p.source] * payloads[p.source] for p in hosts})
    peak += float(np.abs(constant).max(initial=0.0)) if peak else 0.0
    return Layer(name, node, synapses, frozen(constant), level_unit(node, settings.decoupled), sources, reference[name], peak)


def _whole(values: Floats, unit: float) -> Floats:
    """In whole units; what is the same at every step (a broadcast view) stays so."""
    once = values[:1] if values.strides[0] == 0 else values
    return np.broadcast_to(np.round(once / unit), values.shape)


def host_names(neuron: str, paths: tuple[Path, ...], settings: Settings) -> dict[Path, str]:
    """The name of the current that the host writes into ``neuron``, for every path that the host computes."""
    hosted = [path for path in paths if path.source in settings.host_inputs]
    return {path: f"{neuron}.host" if k == 0 else f"{neuron}.host{k + 1}" for k, path in enumerate(hosted)}


def _host_peak(graph: Graph, hosts: Mapping[Path, str], gain: Floats, largest: Mapping[str, float]) -> float:
    """The largest |current| of the synapses that the host computes, at each input's ``largest`` value."""
    total: Floats = np.zeros(())
    for path in hosts:
        loudest = np.full((1, *graph.shapes[path.source]), largest[path.source])
        total = total + deliver(graph.nodes, path, loudest, magnitude=True, constant=False)[0] * np.abs(gain)
    return float(total.max(initial=0.0))
