"""A report as JSON values with stable keys: joules, seconds, fractions 0..1; what is unknown is null."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from snndeploy.cost import Cost, Interval
from snndeploy.faults import KINDS, Fault
from snndeploy.placement import Core, Finding
from snndeploy.report.report import SCHEMA, BurstRow, LayerRow, Making, QuantRow, Report
from snndeploy.report.words import boundaries
from snndeploy.trace import Trace
from snndeploy.verdict import Divergence, Fidelity, Pair, Proof, RateCurve, Verdict

Json = dict[str, Any]


def to_json(report: Report) -> Json:
    """All of the report. ``energy`` and ``latency`` are null where the profile has no prices."""
    cost, placement = report.cost, report.placement
    return {
        "schema": f"snndeploy.report/{SCHEMA}",
        "model": report.model,
        "chip": report.chip,
        "estimate": "not a measurement",
        "steps": report.steps,
        "samples": report.trace.samples,
        **equality(report.verdict),
        "ok": report.ok,
        "pairs": [pair(p) for p in report.verdict.pairs],
        "recorded": [pair(p) for p in report.verdict.recorded],
        **shown(report.verdict),
        "fidelity": fidelity(report.fidelity),
        "rates": rates(report.verdict.rates),
        "faults": faults(report.verdict.faults),
        "max_drop": report.max_drop,
        "fits": placement.fits,
        "cores": len(placement.cores),
        "chips": placement.chips,
        "findings": [finding(f) for f in placement.findings],
        "placement": [core(c) for c in placement.cores],
        "energy": energy(cost) if cost else None,
        "latency": latency(cost) if cost else None,
        "events": {name: finite(value) for name, value in report.events.items()},
        "synapses": report.synapses,
        "imbalance": report.imbalance,
        "layers": layers(report.trace),
        "graph": [
            {"name": r.name, "kind": r.kind, "neurons": r.neurons, "source": r.source, "assumed": r.assumed, "facts": neuron_facts(r)}
            for r in report.layers
        ],
        **_conversion(report),
        "assumptions": list(report.assumptions),
        "not_checked": list(report.unchecked),
        "sources": dict(report.sources),
        "simulated": report.simulated,
    }


def _conversion(report: Report) -> Json:
    """How the network was made: null and empty where its file does not say."""
    return {
        "passes": [{"name": r.name, "did": r.did, "pair": pair(r.pair)} for r in report.passes],
        "bursts": [burst(r) for r in report.bursts],
        "quantization": [quantized(r) for r in report.quantization],
        "shifts": dict(report.shifts),
        "probed": list(report.probed),
        "making": making(report.making),
        "origin": making(report.origin),
    }


def making(made: Making | None) -> Json | None:
    """How the network was made: command, versions, files and data by their hashes. Null where nothing says it."""
    if made is None:
        return None
    return {
        "command": made.command,
        "versions": dict(made.versions),
        "files": [asdict(f) for f in made.files],
        "data": asdict(made.data) if made.data else None,
    }


def proofs(found: Iterable[Proof]) -> list[Json]:
    """Every obligation with stable keys: layer, name, statement, status, seconds, limit, by, found, counterexample."""
    return [asdict(p) for p in found]


def shown(v: Verdict) -> Json:
    """What was proved now, and what the file says was proved when it was converted."""
    return {"proofs": proofs(v.proofs), "recorded_proofs": proofs(v.recorded_proofs)}


def equality(v: Verdict) -> Json:
    """Whether the compared values are equal, what equal means, how many spikes are ties, and what rests on our model alone."""
    return {"verdict": v.verdict, "grade": v.grade, "ties": v.ties, "model_only": list(v.model_only or ())}


def neuron_facts(row: LayerRow) -> list[Json]:
    """What is known of a neuron; ``option`` changes what was assumed, and is empty for what was not."""
    return [{"name": f.name, "value": f.value, "origin": f.origin, "option": f.option} for f in row.facts]


def finite(value: float | None) -> float | None:
    """The number, or null where it is unknown or unlimited: JSON has neither NaN nor infinity."""
    return value if value is not None and math.isfinite(value) else None


def interval(x: Interval) -> Json:
    """A value with its low and high, in SI units."""
    return {"value": finite(x.value), "low": finite(x.low), "high": finite(x.high), "unit": x.unit}


def energy(cost: Cost) -> Json:
    """Joules of one inference, by term and by boundary."""
    terms = [
        {
            "name": t.name, "boundary": t.boundary, "count": finite(t.count), "energy": interval(t.energy),
            "kind": t.kind, "source": t.source, "confidence": t.confidence,
        }
        for t in cost.terms
    ]  # fmt: skip
    return {
        "per_inference": interval(cost.total),
        "dynamic": interval(cost.dynamic),
        "boundaries": {name: interval(x) for name, x in boundaries(cost).items()},
        "terms": terms,
        "unpriced": list(cost.unpriced),
        "sensitivities": [{"name": name, "joules": finite(joules)} for name, joules in cost.sensitivities],
        "assumed_fraction": finite(cost.assumed_fraction),
        "status": cost.status,
        "notes": list(cost.notes),
    }


def latency(cost: Cost) -> Json:
    """Seconds of one inference and of one step."""
    return {"per_inference": interval(cost.latency), "step": interval(cost.step_time)}


def layers(trace: Trace) -> list[Json]:
    """One entry a layer: neurons, spikes a sample in its own T steps and aside of them, rate (spikes a neuron and own step)."""
    return [layer(name, trace) for name in trace.activity]


def layer(name: str, trace: Trace) -> Json:
    """What one layer did; ``aside``: while the pipeline fills and drains."""
    a, samples = trace.activity[name], max(1, trace.samples)
    sent = {"spikes_per_sample": a.own / samples, "aside_per_sample": a.aside / samples, "rate": trace.rate(name)}
    return {"name": name, "neurons": a.neurons, **sent, "wraps": a.wraps, "saturations": a.saturations, "outside_tables": a.outside}


def pair(p: Pair) -> Json:
    """Two executions, and where they part first."""
    counts = {"compared": p.compared, "different": p.different, "within_bound": p.within_bound, "consequences": p.consequences}
    return {"a": p.a, "b": p.b, **counts, "equal": p.equal, "grade": p.grade, "first": divergence(p.first)}


def faults(found: Iterable[Fault]) -> list[Json]:
    """What left its register or fell silent, and where first: ``step`` of the layer's own time, ``sample`` of the data."""
    return [
        {"layer": f.layer, "kind": f.kind, "what": KINDS[f.kind], "count": f.count, "samples": f.samples, "after": f.after}
        | {"step": f.step, "sample": f.sample, "neuron": list(f.neuron), "wanted": finite(f.wanted), "held": finite(f.held)}
        for f in found
    ]


def divergence(d: Divergence | None) -> Json | None:
    """The first place two runs part."""
    if d is None:
        return None
    place = {"layer": d.layer, "step": d.step, "sample": d.sample, "neuron": list(d.neuron)}
    return {**place, "a": finite(d.a), "b": finite(d.b), "cause": d.cause}


def fidelity(f: Fidelity | None) -> Json | None:
    """Accuracies and agreement as fractions; ``drop`` in points."""
    if f is None:
        return None
    accuracy = {"float_accuracy": finite(f.float_accuracy), "chip_accuracy": finite(f.chip_accuracy), "agreement": finite(f.agreement)}
    return {"samples": f.samples, **accuracy, "drop": finite(f.drop), "layers": {n: finite(v) for n, v in f.layers.items()}}


def rates(c: RateCurve | None) -> Json | None:
    """A converted artificial network: its own accuracy, and by T that of the float spiking network."""
    if c is None:
        return None
    points = [{"steps": p.steps, "accuracy": finite(p.accuracy), "agreement": finite(p.agreement)} for p in c.points]
    return {"samples": c.samples, "original_accuracy": finite(c.original_accuracy), "curve": points}


def quantized(r: QuantRow) -> Json:
    """How one layer became integers."""
    return {"layer": r.layer, "weight_bits": r.weight_bits, "scale": r.scale, "error": finite(r.error), "notes": list(r.notes)}


def finding(f: Finding) -> Json:
    """One finding of the design-rule check."""
    amounts = {"value": finite(f.value), "limit": finite(f.limit)}
    return {"code": f.code, "severity": f.severity, "where": f.where, **amounts, "why": f.why, "fix": f.fix}


def findings(found: Iterable[Finding]) -> list[Json]:
    """All findings."""
    return [finding(f) for f in found]


def core(c: Core) -> Json:
    """One core and what it holds."""
    held = [{"population": s.population, "first": s.first, "last": s.last} for s in c.slices]
    return {
        "index": c.index, "slices": held, "neurons": c.neurons, "synapse_bits": c.synapse_bits,
        "axons_in": c.axons_in, "axons_out": c.axons_out,
    }  # fmt: skip


def burst(r: BurstRow) -> Json:
    """One construction that was offered."""
    price = {"neurons": r.neurons, "synapses": r.synapses, "latency": r.latency, "spikes": finite(r.spikes), "joules": finite(r.joules)}
    price |= {"per_spike": finite(r.per_spike), "phases": r.phases}
    judged = {"chosen": r.chosen, "why_not": r.why_not, "pair": pair(r.pair) if r.pair else None}
    return {"layer": r.layer, "construction": r.construction, **price, **judged}
