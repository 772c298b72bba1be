"""A report as plain text of at most 100 columns."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from snndeploy.cost import Cost, engineering
from snndeploy.faults import Fault
from snndeploy.placement import Finding
from snndeploy.report.layout import bullets, section, table
from snndeploy.report.proofs import PROVED_BEFORE, proofs_to_text
from snndeploy.report.report import BurstRow, LayerRow, Report
from snndeploy.report.words import (
    BOUNDARIES,
    COMPARED_BEFORE,
    NOT_MEASURED,
    advice,
    boundaries,
    citations,
    crossover,
    headline,
    made,
    model_only,
    neuron_facts,
    number,
    other_pairs,
    pair_words,
    percent,
    references,
    trust,
    uses,
)
from snndeploy.trace import Trace
from snndeploy.verdict import Pair, RateCurve, Verdict


def to_text(report: Report) -> str:
    """The whole report: claims first, then what stands behind each."""
    title = f"{report.model} on {report.chip}"
    parts = [
        f"{title}\n{'=' * len(title)}",
        claims(report),
        section("Layers", table(("layer", "neurons", "computes", "read from"), _layers(report))),
        neurons(report.layers),
        *changes(report),
        section("Accuracy against T", rates(report.verdict.rates)),
        section("Faults", faults(report.verdict.faults)),
        *compared(report),
        *proofs(report.verdict),
        section("Activity", activity(report.trace, report.shifts)),
        section("Placement", table(("layer", "cores", "neurons"), ((n, number(c), number(k)) for n, c, k in uses(report.placement)))),
        section("Findings", findings(report.placement.findings)),
        *(_cost(report, report.cost) if report.cost else ()),
        probed(report.probed),
        section("Made", bullets(made(report))),
        section("Assumed", bullets(report.assumptions)),
        section("Not checked", bullets(report.unchecked)),
        section("Sources", bullets(references(report))),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def changes(report: Report) -> tuple[str, str, str]:
    """What was done to the network: passes, burst neurons, quantization."""
    burst_columns = ("layer", "construction", "neurons", "steps", "spikes", "a true one", "energy", "verdict")
    return (
        section("Passes", table(("pass", "compared", "did"), ((p.name, pair_words(p.pair), p.did) for p in report.passes))),
        section("Burst neurons", table(burst_columns, _bursts(report.bursts))),
        section("Quantization", table(("layer", "bits", "weight unit", "error", "notes"), _quantization(report))),
    )


def claims(report: Report) -> str:
    """The headline claims, a row each."""
    rows = [(s.kind, s.value, s.sentence) for s in headline(report)]
    note = model_only(report.verdict)
    return table(("claim", "value", "in words"), [*rows, *([("", "", note)] if note else [])])


def neurons(rows: Iterable[LayerRow]) -> str:
    """The semantics table: every neuron's numbers, and where each was read."""
    return section("Neurons", table(("neurons", "fact", "value", "from"), neuron_facts(rows)))


def probed(found: Iterable[str]) -> str:
    """What running neurons of no known class found out."""
    return section("Found by probing", bullets(found))


def _layers(report: Report) -> Iterable[Sequence[str]]:
    for row in report.layers:
        yield row.name, number(row.neurons), row.kind, f"ASSUMED: {row.source}" if row.assumed else row.source


def _bursts(rows: Sequence[BurstRow]) -> Iterable[Sequence[str]]:
    for row in rows:
        verdict = row.why_not or (pair_words(row.pair) if row.pair else "not run")
        verdict = f"chosen: {verdict}" if row.chosen else verdict
        size, spikes = number(row.neurons), number(round(row.spikes, 1))
        yield row.layer, row.construction, size, steps(row), spikes, events_per_spike(row), burst_energy(row), verdict


def burst_energy(row: BurstRow) -> str:
    """Its price; ``-`` where it could not be run."""
    return engineering(row.joules, "J") if math.isfinite(row.joules) else "-"


def steps(row: BurstRow) -> str:
    """How many steps later it answers, and where the whole chip takes more than one step for one."""
    return number(row.latency) + (f", x{row.phases}" if row.phases > 1 else "")


def events_per_spike(row: BurstRow) -> str:
    """How many events travel for each spike of the burst neuron."""
    return "-" if row.per_spike is None else f"{row.per_spike:.3g}"


def _quantization(report: Report) -> Iterable[Sequence[str]]:
    for row in report.quantization:
        yield row.layer, str(row.weight_bits), f"{row.scale:.3g}", percent(row.error), "; ".join(row.notes)


def rates(curve: RateCurve | None) -> str:
    """A converted artificial network: accuracy and agreement by T. Empty where nothing was converted."""
    if curve is None:
        return ""
    rows = [(number(p.steps), "-" if p.accuracy is None else percent(p.accuracy), percent(p.agreement)) for p in curve.points]
    own = "" if curve.original_accuracy is None else f"The artificial network itself: {percent(curve.original_accuracy)}. "
    said = f"{own}The float spiking network on the same {curve.samples:,} samples, after T steps; with loss, not exact."
    return f"{bullets([said])}\n\n{table(('T', 'accuracy', 'agrees'), rows)}"


def comparisons(pairs: Sequence[Pair]) -> str:
    """What was held against what, and the first place each parts."""
    return table(("a", "b", "verdict"), ((p.a, p.b, f"{pair_words(p)}{f'; {p.first}' if p.first else ''}") for p in pairs))


def faults(found: Iterable[Fault]) -> str:
    """What left its register or fell silent, a line each."""
    return bullets(str(fault) for fault in found)


def compared(report: Report) -> tuple[str, str]:
    """The comparisons that no pass and no construction shows: those made at the conversion apart from those made now."""
    before, now = other_pairs(report)
    return section(COMPARED_BEFORE, comparisons(before)), section("Comparisons", comparisons(now))


def proofs(verdict: Verdict) -> tuple[str, str]:
    """What was proved at the conversion apart from what was proved now."""
    return section(PROVED_BEFORE, proofs_to_text(verdict.recorded_proofs)), section("Proofs", proofs_to_text(verdict.proofs))


def activity(trace: Trace, shifts: Mapping[str, int] | None = None) -> str:
    """Neurons, spikes a sample and rate in the layer's own T steps, how many steps late it runs, and what was sent aside of them."""
    late = {**trace.shifts, **(shifts or {})}
    rows = []
    for name, a in trace.activity.items():
        spikes = a.own / max(1, trace.samples)
        counts = ((a.wraps, "wraps of u"), (a.saturations, "clips of v"), (a.outside, "table ranges left"))
        odd = [f"{number(round(a.aside / max(1, trace.samples), 1))} spikes aside"] if a.aside else []
        odd += [f"{what}: {n:,}" for n, what in counts if n]
        rate = percent(trace.rate(name)) if a.updates else "-"
        rows.append((name, number(a.neurons), number(round(spikes, 1)), rate, number(late.get(name, 0)), ", ".join(odd)))
    return table(("layer", "neurons", "spikes", "rate", "late", ""), rows)


def findings(found: Sequence[Finding]) -> str:
    """Each finding on its own line: rule, place, value against limit, why, and what to do."""
    rows = ((f.code, f.severity, f.where, number(f.value), number(f.limit), advice(f)) for f in found)
    return table(("rule", "severity", "where", "value", "limit", "why, and what to do"), rows)


def _cost(report: Report, cost: Cost) -> Iterable[str]:
    counts = [(name.replace("_", " "), number(round(value, 1)), "") for name, value in report.events.items()]
    yield section("Counts an inference", "\n\n".join(p for p in (table(("event", "count", ""), counts), bullets(crossover(report))) if p))
    total = cost.total.value or 1.0
    by = [(BOUNDARIES.get(n, n), str(e), percent(e.value / total)) for n, e in boundaries(cost).items()]
    cited = citations(cost)
    terms = [
        (t.name, number(round(t.count, 1)), engineering(t.energy.value, "J"), f"{t.kind}, {t.confidence} {cited[t.source]}")
        for t in cost.terms
    ]
    notes = [f"unpriced: {n}" for n in cost.unpriced]
    notes += trust(cost)
    body = [
        f"{cost.total} an inference. {NOT_MEASURED}",
        table(("boundary", "energy", "share"), by),
        table(("term", "count", "energy", "what the price is"), terms),
        bullets(notes),
    ]
    yield section("Energy", "\n\n".join(body))
    yield section("Latency", bullets([f"{cost.latency} an inference", f"{cost.step_time} a step"]))
