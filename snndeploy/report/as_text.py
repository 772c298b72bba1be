"""A report as plain text of at most 100 columns."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from snndeploy.cost import Cost, engineering
from snndeploy.faults import Fault
from snndeploy.placement import Finding
from snndeploy.report.report import BurstRow, LayerRow, Report
from snndeploy.report.words import (
    BOUNDARIES,
    NOT_MEASURED,
    advice,
    boundaries,
    citations,
    crossover,
    headline,
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
from snndeploy.verdict import Pair, RateCurve

WIDTH = 100
MIN_COLUMN = 14


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
        section("Comparisons", comparisons(other_pairs(report))),
        section("Activity", activity(report.trace, report.shifts)),
        section("Placement", table(("layer", "cores", "neurons"), ((n, number(c), number(k)) for n, c, k in uses(report.placement)))),
        section("Findings", findings(report.placement.findings)),
        *(_cost(report, report.cost) if report.cost else ()),
        probed(report.probed),
        section("Assumed", bullets(report.assumptions)),
        section("Not checked", bullets(report.unchecked)),
        section("Sources", bullets(references(report))),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Aligned columns within the page: the widest ones wrap. Empty without rows."""
    body = [tuple(str(cell) for cell in row) for row in rows]
    if not body:
        return ""
    lines = [tuple(header), *body]
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    least = [max((len(word) for line in lines for word in line[i].split()), default=0) for i in range(len(header))]
    while sum(widths) + 2 * len(widths) > WIDTH - 2:
        i = max(range(len(widths)), key=lambda i: widths[i] if widths[i] > min(least[i], MIN_COLUMN) else 0)
        if widths[i] <= min(least[i], MIN_COLUMN):
            break
        widths[i] -= 1
    right = [all(_numeric(row[i]) for row in body) for i in range(len(header))]
    return "\n".join(_line(line, widths, right) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    wrapped = [textwrap.wrap(cell, max(1, width)) or [""] for cell, width in zip(cells, widths, strict=True)]
    return "\n".join(_row(row, widths, right) for row in itertools.zip_longest(*wrapped, fillvalue=""))


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    return "  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(cells, widths, right, strict=True)).rstrip()


def _numeric(cell: str) -> bool:
    return (cell[:1].isdigit() and len(cell.split()) <= 2) or cell in ("", "-")


def section(title: str, body: str) -> str:
    """A heading and its indented body; empty where there is nothing to say."""
    return f"{title}\n{'-' * len(title)}\n{textwrap.indent(body, '  ')}" if body else ""


def bullets(lines: Iterable[str]) -> str:
    """One wrapped item a line."""
    return "\n".join(textwrap.fill(line, WIDTH - 2, initial_indent="- ", subsequent_indent="  ") for line in lines)


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
