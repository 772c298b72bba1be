"""What a neuron that the chip has not would cost as the nearest one it has: measured on the data at hand, never taken in silence."""

from __future__ import annotations

from snndeploy.errors import Unsupported
from snndeploy.flow.feeding import Feed, float_predictions
from snndeploy.ir.graph import Graph
from snndeploy.ir.paths import neurons
from snndeploy.quantize.nearest import nearest
from snndeploy.sim.reference import run_reference
from snndeploy.verdict import Fidelity
from snndeploy.verify import fidelity


def with_nearest(graph: Graph, data: Feed) -> tuple[Graph, Fidelity] | None:
    """The float graph with every neuron that takes a program replaced by its nearest LIF, and how near its answers are.

    ``chip_accuracy`` of the fidelity is that of the replaced network, in float64, without training it again; ``layers``
    the fraction of neuron-steps whose spike differs. None where a neuron has nothing near, or none takes a program.
    """
    near = {name: nearest(graph.nodes[name]).neuron for name in neurons(graph) if graph.nodes[name].emits != "real"}
    if any(node is None for node in near.values()) or all(node is graph.nodes[name] for name, node in near.items()):
        return None
    swapped = graph.replace(near)
    before, after = (run_reference(g, data.inputs, data.steps) for g in (graph, swapped))
    ours, theirs = float_predictions(graph, before, data.labels), float_predictions(swapped, after, data.labels)
    return swapped, fidelity(ours, theirs, data.labels, before, after, near)


def priced(refusal: Unsupported, graph: Graph, data: Feed) -> Unsupported:
    """The refusal of a neuron program (L010) with the nearest neuron's measured cost in its hint; any other as it is."""
    found = with_nearest(graph, data) if "L010" in refusal.what and refusal.where in graph.nodes else None
    if found is None:
        return refusal
    near = found[1]
    assert near.agreement is not None, "predictions were compared"
    cost = f"{100 * near.agreement:.1f} % of the answers stay"
    if near.float_accuracy is not None and near.chip_accuracy is not None:
        cost = f"accuracy {100 * near.float_accuracy:.2f} -> {100 * near.chip_accuracy:.2f} %, {cost}"
    changed = f"{100 * near.layers[refusal.where]:.2g} % of this layer's spikes change"
    words = nearest(graph.nodes[refusal.where]).words
    said = refusal.hint if words in refusal.hint else f"{refusal.hint}; {words}"
    hint = f"{said}. Measured on {near.samples} samples, untrained: {cost}, {changed}"
    return Unsupported(refusal.where, refusal.what, hint)
