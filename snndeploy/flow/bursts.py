"""Which construction each burst neuron gets: all candidates, their conditions, their price, and the cheapest exact one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.errors import Unsupported
from snndeploy.flow.around import around
from snndeploy.flow.phased import run_phased, without_host
from snndeploy.flow.pricing import operations, price, sent, synapse_count
from snndeploy.hw import Profile
from snndeploy.ir.graph import Candidate, Graph, Limits
from snndeploy.ir.layers import Input, Output
from snndeploy.ir.neurons.decoupling import CONSTANT, UNIT
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.paths import input_bound, neurons, paths_into
from snndeploy.passes import decouple, drive, merge, phases
from snndeploy.passes.align import cyclic
from snndeploy.quantize import Quantized
from snndeploy.quantize.programs import program
from snndeploy.report.report import BurstRow
from snndeploy.sim.chip import run_chip
from snndeploy.sim.reference import run_reference, stepper
from snndeploy.trace import Trace
from snndeploy.verdict import Pair
from snndeploy.verify import compare

NAMES = ("auto", "graded", "lateral", "ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct", "two-phase")

HALF_RATE = "exact, but the whole network runs at half the rate, which no joule shows: only --burst two-phase takes it"


@dataclass(frozen=True, eq=False)
class Lowered:
    """The integer graph with every burst neuron replaced, and the offers that were weighed."""

    graph: Graph
    offers: tuple[BurstRow, ...]
    units: Mapping[str, float]
    """The real value of one unit of v of every read-out that was added."""
    phases: int = 1
    """Steps of this graph for one of the model's."""


def lower_bursts(q: Quantized, profile: Profile, wanted: str, inputs: Mapping[str, Floats], steps: int) -> Lowered:
    """Offer, price, choose and splice; every construction that is exact is run against the burst neuron.

    Raises:
        Unsupported: no construction of a neuron is exact on this chip; the failing conditions are named.
    """
    chosen: dict[str, Candidate] = {}
    offers: list[BurstRow] = []
    before = run_reference(q.graph, inputs, steps)
    for name in neurons(q.graph):
        candidates = q.graph.nodes[name].lower(limits_of(q, name, profile, steps))
        if not candidates:
            continue
        rows = [_offer(q, name, c, profile, inputs, before) for c in candidates if c.phases == 1]
        rows += [_at_two_steps(q, name, c, profile, inputs, before, wanted) for c in candidates if c.phases > 1]
        candidates = tuple(sorted(candidates, key=lambda c: c.phases))
        best = _choose(name, candidates, rows, wanted)
        chosen[name] = candidates[best]
        offers += [replace(row, chosen=i == best) for i, row in enumerate(rows)]
    rate = max((c.phases for c in chosen.values()), default=1)
    graph = q.graph if rate == 1 else _slow(q)
    lowered = decouple.apply(graph, chosen)
    units = {f"{n}.readout": q.units[q.graph.into(n)[0].source] / UNIT for n in q.graph.named(Output)}
    added = {n: unit for n, unit in units.items() if n not in q.graph.nodes}
    return Lowered(_merged(lowered) if lowered is not graph else lowered, tuple(offers), added, rate)


def _slow(q: Quantized) -> Graph:
    """The whole network at two steps for one. Raises ``Unsupported`` where a neuron of it would not stand still."""
    return phases.apply(drive.apply(q.graph, clears=False))


def _merged(graph: Graph) -> Graph:
    """The chip's part of the graph in normal form again; what the host computes stays as it is."""
    hosts = graph.named(HostCurrent)
    behind = {n for host in hosts for path in paths_into(graph, host) for n in path.nodes}
    merged = merge.apply(without_host(graph)[0])
    restored = {**hosts, **{n: graph.nodes[n] for n in behind}}
    return merged.replace(restored, [*merged.edges, *(e for e in graph.edges if e.target in hosts or e.target in behind)])


def limits_of(q: Quantized, name: str, profile: Profile, steps: int) -> Limits:
    """The chip's registers around one neuron."""
    bound = int(np.ceil(input_bound(q.graph, name, q.payloads)))
    payload = int(profile.limit("payload_bits")) if profile.features["graded"] else 0
    vth = int(profile.limit("vth_max"))
    return Limits(q.graph.shapes[name], bound, profile.features["programs"], payload, vth_max=vth, steps=steps)


def _offer(q: Quantized, name: str, c: Candidate, profile: Profile, inputs: Mapping[str, Floats], before: Trace) -> BurstRow:
    """One construction of one layer: its size, its price, and its run against ``before``, that of the burst neurons."""
    steps = before.steps
    why = _unmet(c)
    if not why and c.latency and name in cyclic(q.graph):
        why = f"it adds {c.latency} step(s), which this layer's feedback does not have"
    spliced = q.graph if c.construction == "graded" else decouple.splice(q.graph, name, c)
    given = with_constant(spliced, inputs)
    if c.construction == "graded":
        after = before if why else run_program(*around(q.graph, name, before, inputs), name, steps)
    else:
        part, fed = around(spliced, name, before, given)
        after = run_reference(part, fed, steps, record=[name])
    pair = replace(compare(before, after, [name]), a=f"burst neuron {name}", b=c.construction) if not why else None
    inner = _inner(q.graph, spliced, name)
    cost = price(profile, steps * _size(spliced, inner), operations(spliced, name, inner, sent(spliced, given, before, after)))
    return _row(name, c, spliced, inner, (before, after), cost, why, pair)


def _at_two_steps(
    q: Quantized, name: str, c: Candidate, profile: Profile, inputs: Mapping[str, Floats], before: Trace, wanted: str
) -> BurstRow:
    """A construction at two steps for one, in the whole network at that rate: every neuron of it pays for the second step."""
    nothing = (before, Trace("reference", before.steps, before.samples, {}))
    try:
        spliced = decouple.splice(_slow(q), name, c)
    except Unsupported as refusal:
        why = _unmet(c) or f"{refusal.where}: {refusal.what}. {refusal.hint}"
        spliced = decouple.splice(q.graph, name, c)
        return _row(name, c, spliced, _inner(q.graph, spliced, name), nothing, float("nan"), why, None)
    given = with_constant(spliced, inputs)
    run = run_phased(spliced, given, before.steps, record=[name])
    after = replace(run, steps=before.steps, outputs={name: run.outputs[name][:: c.phases]})
    pair = replace(compare(before, after, [name]), a=f"burst neuron {name}", b=c.construction)
    inner = _inner(q.graph, spliced, name)
    updates = before.steps * (c.phases * _size(spliced, inner) + _size(spliced, [n for n in neurons(spliced) if n not in inner]))
    cost = price(profile, updates, operations(spliced, name, inner, sent(spliced, given, before, run)))
    why = _unmet(c) or ("" if wanted == c.construction else HALF_RATE)
    return _row(name, c, spliced, inner, (before, after), cost, why, pair)


def _unmet(c: Candidate) -> str:
    return "; ".join(f"{k.name}: {k.value}, needs {k.limit}. {k.hint}" for k in c.conditions if not k.holds)


def _inner(before: Graph, after: Graph, name: str) -> list[str]:
    """The neurons of the construction that stands for ``name``."""
    return [n for n in neurons(after) if n == name or n not in before.nodes]


def _size(graph: Graph, names: Iterable[str]) -> int:
    return sum(int(np.prod(graph.shapes[n])) for n in names)


def _row(
    name: str, c: Candidate, graph: Graph, inner: list[str], runs: tuple[Trace, Trace], joules: float, why: str, pair: Pair | None
) -> BurstRow:
    before, after = runs
    samples = max(1, before.samples)
    known = all(n in after.activity for n in inner)
    spikes = sum(float(after.activity[n].spikes.sum()) for n in inner) / samples if known else float("nan")
    true = float(before.activity[name].spikes.sum()) / samples
    synapses = sum(synapse_count(graph, n) for n in inner)
    return BurstRow(name, c.construction, _size(graph, inner), synapses, c.latency, spikes, joules, False, why, pair, true, c.phases)


def run_program(graph: Graph, inputs: Mapping[str, Floats], name: str, steps: int) -> Trace:
    """The neuron program of one layer in the chip simulator, fed the synaptic sums that the integer graph delivers."""
    node = graph.nodes[name]
    assert isinstance(node, IntegerNeuron)
    samples = next(iter(inputs.values())).shape[1]
    feed = ({n: values[t if len(values) > 1 else 0] for n, values in inputs.items()} for t in range(steps))
    sums = np.stack([step.inputs[name][0] for step in stepper(graph, feed, samples)])
    shape = graph.shapes[name]
    populations = {"sums": Population("sums", shape, HostInput(24, signed=True)), name: Population(name, shape, program(node, name))}
    wire = Projection("wire", "sums", name, Wire())
    return run_chip(ChipNetwork("", populations, (wire,), steps=steps), {"sums": sums.astype(np.int64)}, steps, record=[name])


def _choose(name: str, candidates: tuple[Candidate, ...], rows: list[BurstRow], wanted: str) -> int:
    usable = [i for i, row in enumerate(rows) if not row.why_not and (row.pair is None or row.pair.equal)]
    if wanted != "auto":
        usable = [i for i in usable if candidates[i].construction == wanted or len(candidates) == 1]
    if not usable and len(candidates) > 1 and wanted not in ("auto", *(c.construction for c in candidates)):
        offered = ", ".join(c.construction for c in candidates)
        why = "lateral is for a subtracting reset, the others for a hard one"
        raise Unsupported(name, f"--burst {wanted} does not apply to this neuron ({why})", f"offered here: {offered}")
    if not usable:
        reasons = " | ".join(f"{row.construction}: {row.why_not or 'not asked for'}" for row in rows)
        hint = "choose another chip, or another --burst" if len(candidates) > 1 else "choose a chip with neuron programs (--chip loihi2)"
        raise Unsupported(name, f"none of the constructions built here is exact for this neuron ({reasons})", hint)
    return min(usable, key=lambda i: rows[i].joules)


def with_constant(graph: Graph, inputs: Mapping[str, Floats]) -> dict[str, Floats]:
    """The inputs, and the constant 1 where the graph asks for it."""
    samples = next(iter(inputs.values())).shape[1]
    return {**inputs, **({CONSTANT: np.ones((1, samples, 1))} if isinstance(graph.nodes.get(CONSTANT), Input) else {})}
