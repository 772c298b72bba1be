"""Float graph -> normal form, pass by pass: each is run before and after on data, and the spikes are compared."""

from __future__ import annotations

from dataclasses import dataclass, replace

from snndeploy.errors import GraphError
from snndeploy.flow.feeding import Feed
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Output
from snndeploy.ir.normal import check_normal_form
from snndeploy.ir.paths import neurons
from snndeploy.passes import PIPELINE, readout
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace
from snndeploy.verdict import Pair
from snndeploy.verify import compare


@dataclass(frozen=True)
class PassResult:
    """One pass: whether it changed anything, and the comparison of the runs around it."""

    name: str
    did: str
    changed: bool
    pair: Pair


def to_normal_form(graph: Graph, data: Feed) -> tuple[Graph, tuple[PassResult, ...]]:
    """Run the pipeline; every pass that changes the graph is executed before and after.

    Raises:
        Unsupported: a layer has no exact meaning here.
        GraphError: a pass left something that quantization cannot read (a defect of ours).
    """
    results: list[PassResult] = []
    before = run_reference(graph, data.inputs, data.steps)
    for step in PIPELINE:
        # a mean over T steps is one read of an integrator with gain 1/T, so this pass alone needs to know T
        lowered = readout.apply(graph, data.steps) if step.apply is readout.apply else step.apply(graph)
        changed = lowered != graph
        after = run_reference(lowered, data.inputs, data.steps, record=_kept(graph, lowered)) if changed else before
        pair = replace(compare_spikes(graph, before, lowered, after), a="graph", b=f"after {step.name}")
        results.append(PassResult(step.name, _did(graph, lowered), changed, pair))
        graph, before = lowered, after
    check_normal_form(graph)
    return graph, tuple(results)


def _kept(before: Graph, after: Graph) -> list[str]:
    """What a pass is judged by: the neurons, the outputs, and what now only adds up what was one neuron."""
    names = [*neurons(after), *after.named(Output), *(n for n in neurons(before) if n in after.nodes)]
    return list(dict.fromkeys(names))


def _did(before: Graph, after: Graph) -> str:
    """What went and what came, by class of node."""
    old, new = ({type(n).__name__: 0 for n in g.nodes.values()} for g in (before, after))
    for counts, g in ((old, before), (new, after)):
        for node in g.nodes.values():
            counts[type(node).__name__] += 1
    changes = {kind: new.get(kind, 0) - old.get(kind, 0) for kind in sorted({*old, *new})}
    words = [f"{'+' if by > 0 else '-'}{abs(by)} {kind}" for kind, by in changes.items() if by]
    return ", ".join(words) or "the same nodes with other numbers"


def compare_spikes(a_graph: Graph, a: Trace, b_graph: Graph, b: Trace) -> Pair:
    """Spikes and levels of the neurons that both graphs have, value for value (membranes are not spikes)."""
    common = [n for n in neurons(a_graph) if n in b_graph.nodes and n in b.outputs and a_graph.nodes[n].emits != "real"]
    if not common and neurons(a_graph):
        common = [n for n in neurons(a_graph) if n in b.outputs]
    if not common:
        raise GraphError(
            "model",
            "has no spiking neuron",
            "this is a deployer of spiking networks: put neurons (snndeploy.nn) where the activations are, and train those",
        )
    return compare(a, b, common)
