"""What a neuron that the chip has not would cost as the nearest one it has: measured on the data at hand, taken when asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

import converters
from snndeploy.errors import NoEffect, Unsupported
from snndeploy.flow.feeding import Feed, float_predictions
from snndeploy.flow.lowering import PassResult, compare_spikes, to_normal_form
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.paths import neurons
from snndeploy.quantize.nearest import Nearest, nearest, needs_program
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace
from snndeploy.verdict import Fidelity
from snndeploy.verify import fidelity


@dataclass(frozen=True, eq=False)
class Substituted:
    """A network whose neurons are all of a fixed core, in normal form: what was done, and what must be said of it."""

    graph: Graph
    passes: tuple[PassResult, ...]
    notes: tuple[str, ...]


def substitutes(graph: Graph) -> dict[str, Nearest]:
    """Layer -> the nearest neuron, for every neuron of the normal form that would take a program."""
    return {name: nearest(graph.nodes[name]) for name in neurons(graph) if needs_program(graph.nodes[name])}


def substituted(graph: Graph, data: Feed, check_samples: int) -> Substituted:
    """The normal form with the nearest fixed neuron in place of each that would take a program, run before and after on ``data``.

    The passes that it needs then are held on the first ``check_samples``.

    It is another model: the first of ``passes`` counts the spikes that differ, ``notes`` say what was changed.

    Raises:
        NoEffect: there is no such neuron.  Unsupported: nothing is near one of them.
    """
    found = substitutes(graph)
    if not found:
        what = "changes nothing: a fixed core has every neuron of this network"
        raise NoEffect("--substitute", what, "leave it out")
    swapped, before, after = _beside(graph, found, data)
    pair = replace(compare_spikes(graph, before, swapped, after), a="the model", b="its nearest neurons")
    did = f"{len(found)} layers of neurons became the nearest that a fixed core has"
    rates = {name: float(np.mean(before.outputs[name] != after.outputs[name])) for name in found}
    notes = tuple(
        f"CHANGED {name} ({near.of}): {near.words} (--substitute nearest took it); "
        f"{100 * rates[name]:.2g} % of its spikes differ on {data.samples} samples"
        for name, near in found.items()
    )
    normal, passes = to_normal_form(swapped, data.first(check_samples))
    return Substituted(normal, (PassResult("nearest", did, True, pair), *passes), notes)


def _beside(graph: Graph, found: dict[str, Nearest], data: Feed) -> tuple[Graph, Trace, Trace]:
    """The graph with the nearest neurons in place of its own, and the runs of both; raises as ``_swapped``."""
    swapped = _swapped(graph, found)
    before, after = (run_reference(g, data.inputs, data.steps) for g in (graph, swapped))
    return swapped, before, after


def _swapped(graph: Graph, found: dict[str, Nearest]) -> Graph:
    """Raises ``Unsupported`` for a neuron that nothing is near."""
    nodes: dict[str, Node] = {}
    for name, near in found.items():
        if near.neuron is None:
            raise Unsupported(name, near.words, "choose a chip with neuron programs (--chip loihi2), and leave --substitute out")
        nodes[name] = near.neuron
    return graph.replace(nodes)


def with_nearest(graph: Graph, data: Feed) -> tuple[Graph, Fidelity] | None:
    """The normal form with every neuron that takes a program replaced by its nearest LIF, and how near its answers are.

    ``chip_accuracy`` of the fidelity is that of the replaced network, in float64, without training it again; ``layers``
    the fraction of neuron-steps whose spike differs. None where a neuron has nothing near, or none takes a program.
    """
    found = substitutes(graph)
    if not found or any(near.neuron is None for near in found.values()):
        return None
    swapped, before, after = _beside(graph, found, data)
    ours, theirs = float_predictions(graph, before, data.labels), float_predictions(swapped, after, data.labels)
    return swapped, fidelity(ours, theirs, data.labels, before, after, list(found))


def priced(refusal: Unsupported, loaded: converters.Loaded, graph: Graph, data: Feed) -> Unsupported:
    """The refusal of a neuron program with the nearest neuron and its measured cost in its hint; any other as it is."""
    about = refusal.where in graph.nodes and needs_program(graph.nodes[refusal.where])
    found = with_nearest(graph, data) if about else None
    if found is None:
        return refusal
    near, cost = nearest(graph.nodes[refusal.where]), _cost(found[1], refusal.where)
    said = _by_name(loaded, graph)
    words = f"the nearest neuron here {near.loses}; the same by name: {said}" if said else near.words
    hint = f"{refusal.hint}, or give --substitute nearest (Wishes(substitute='nearest')): {words}. {cost}"
    return Unsupported(refusal.where, refusal.what, hint)


def _by_name(loaded: converters.Loaded, graph: Graph) -> str:
    """The same neurons in the words of the user's library, where all of them have some."""
    own = {name: nearest(loaded.graph.nodes[name]).neuron for name in substitutes(graph) if name in loaded.graph.nodes}
    nodes = {name: node for name, node in own.items() if node is not None}
    return loaded.say(nodes) if len(nodes) == len(substitutes(graph)) else ""


def _cost(near: Fidelity, layer: str) -> str:
    assert near.agreement is not None, "predictions were compared"
    cost = f"{100 * near.agreement:.1f} % of the answers stay"
    if near.float_accuracy is not None and near.chip_accuracy is not None:
        cost = f"accuracy {100 * near.float_accuracy:.2f} -> {100 * near.chip_accuracy:.2f} %, {cost}"
    return f"Measured on {near.samples} samples, untrained: {cost}, {100 * near.layers[layer]:.2g} % of this layer's spikes change"
