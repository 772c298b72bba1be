"""A report as one self-contained HTML page: no script, nothing fetched, readable without colour."""

from __future__ import annotations

from collections.abc import Iterable

from snndeploy.cost import Cost, engineering
from snndeploy.report.as_text import burst_energy, events_per_spike, steps
from snndeploy.report.certificates import certificate_section
from snndeploy.report.core_map import core_map
from snndeploy.report.figures import energy_ranges, energy_split, latency_ranges, raster, rates
from snndeploy.report.markup import bullets, card, claim, facts, heading, section, table, tag, text
from snndeploy.report.proofs import PROVED_BEFORE
from snndeploy.report.report import BurstRow, Report
from snndeploy.report.style import CSS
from snndeploy.report.words import (
    COMPARED_BEFORE,
    NOT_MEASURED,
    advice,
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
    plural,
    references,
    trust,
    uses,
)
from snndeploy.verdict import Pair, Proof

GUIDE = (
    ("Exact", "the same spikes, value for value, wherever two runs are claimed to be the same network."),
    ("Fidelity", "how near the chip network's answers are to the float network's; never a claim of equality."),
    ("Estimate", "counted events at published prices; no chip was measured."),
    ("Model only", "exact against a definition of our own that no silicon confirms."),
)

PROOF_TONES = {"proved": "good", "failed": "bad"}
TERMS = ("term", "count", "energy", "low to high", "kind", "confidence", "source")


def to_html(report: Report) -> str:
    """The page. The same report gives the same bytes."""
    title = f"{report.model} on {report.chip}"
    body = "".join(
        [
            _header(report, title),
            _activity(report),
            _energy(report, report.cost) if report.cost else "",
            _placement(report),
            _meaning(report),
            _quantization(report),
            _findings(report),
            _evidence(report),
            certificate_section(report.certificate),
        ]
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{text(title)}</title><style>{CSS}</style></head><body><main>{body}"
        f"<footer>Made by snndeploy. {text(NOT_MEASURED)}</footer></main></body></html>\n"
    )


def _header(report: Report, title: str) -> str:
    run = f"{plural(report.trace.samples, 'sample')} of {plural(report.steps, 'step')}"
    late = max(report.shifts.values(), default=0)
    run += f", the last layer {plural(late, 'step')} late" if late else ""
    guide = " ".join(f"<b>{text(word)}</b>: {text(meaning)}" for word, meaning in GUIDE)
    note = model_only(report.verdict)
    return (
        f'<header><p class="over">Deployment report</p><h1>{text(title)}</h1><p>{text(run)}</p></header>'
        f'<div class="claims">{"".join(claim(s) for s in headline(report))}</div>'
        f'<p class="guide">{guide}</p>{f"<p class=guide><b>{text(note)}</b></p>" if note else ""}'
    )


def _activity(report: Report) -> str:
    drawn = raster(report.raster)
    lead = "Each mark is a spike; stronger marks carry larger values. Chip steps run to the right."
    title = f"One sample{f': {report.raster_title}' if report.raster_title else ''}"
    bars = rates(report.trace)
    rate_lead = f"Spikes a neuron and step of the model, in each layer's own steps, over {plural(report.trace.samples, 'sample')}."
    return section(title, lead, card(drawn)) * bool(drawn) + section("Firing rates", rate_lead, card(bars))


def _energy(report: Report, cost: Cost) -> str:
    cited = citations(cost)
    terms = (
        (text(t.name), number(round(t.count, 1)), text(engineering(t.energy.value, "J")), _span(t.energy.low, t.energy.high),
         text(t.kind), text(t.confidence), text(cited[t.source]))
        for t in cost.terms
    )  # fmt: skip
    counts = ((n.replace("_", " "), number(round(v, 1))) for n, v in report.events.items())
    return (
        section("Counts", "What one inference does, before any price is put on it.", card(facts(counts)),
                heading("Against an ordinary network", bullets([*crossover(report), *_imbalance(report)])))
        + section(
            "Energy", f"One inference. Bars span low to high, ticks mark the value. {NOT_MEASURED}",
            card(energy_split(cost), energy_ranges(cost)),
            heading("Every term and its price", table(TERMS, terms, "knnn---")),
            heading("What has no published price", bullets(cost.unpriced)),
            heading("How far to trust it", bullets(trust(cost))),
        )
        + section("Latency", f"From the first input to the answer. {NOT_MEASURED}", card(latency_ranges(cost)))
    )  # fmt: skip


def _span(low: float, high: float) -> str:
    return text(f"{engineering(low, 'J')} .. {engineering(high, 'J')}")


def _imbalance(report: Report) -> list[str]:
    return [] if report.imbalance is None else [f"The busiest core does {report.imbalance:.2g} times the mean core's synaptic operations."]


def _placement(report: Report) -> str:
    rows = ((text(name), number(cores), number(neurons)) for name, cores, neurons in uses(report.placement))
    lead = (
        f"{plural(len(report.placement.cores), 'core')} on {plural(report.placement.chips, 'chip')}. Point at a core to see what it holds."
    )
    layers = heading("Cores by layer", table(("layer", "cores", "neurons"), rows, "knn"))
    return section(
        "Core map", lead, card(f'<div class="split"><div>{core_map(report.placement, report.mesh)}</div><div>{layers}</div></div>')
    )


def _meaning(report: Report) -> str:
    layers = (
        (text(r.name), text(r.kind), number(r.neurons), f"{tag('assumed', 'plain')} {text(r.source)}" if r.assumed else text(r.source))
        for r in report.layers
    )
    before, now = other_pairs(report)
    facts_ = ((text(names), text(fact), text(value), text(origin)) for names, fact, value, origin in neuron_facts(report.layers))
    passes = ((text(p.name), _graded(p.pair), text(p.did)) for p in report.passes)
    return (
        section(
            "What each layer computes",
            "And where that was read from.",
            table(("layer", "computes", "neurons", "read from"), layers, "ktnt"),
            heading("Every number of every neuron", table(("neurons", "fact", "value", "from"), facts_, "kttt")),
        )
        + section(
            "Passes", "Each ran before and after on data, and the spikes were compared.", table(("pass", "compared", "did"), passes, "ktt")
        )
        + section(
            "Burst neurons", "The ways to build each one from what the chip has, and what each costs an inference.", _bursts(report.bursts)
        )
        + section(COMPARED_BEFORE, "As its file says: not compared again.", _compared(before))
        + section("Comparisons", "What was held against what.", _compared(now))
    )


def _bursts(rows: Iterable[BurstRow]) -> str:
    def verdict(row: BurstRow) -> str:
        if row.why_not:
            return f"{tag('refused', 'plain')} {text(row.why_not)}"
        found = _graded(row.pair) if row.pair else "not run"
        return f"{tag('chosen', 'good')} {found}" if row.chosen else found

    cells = (
        (text(r.layer), text(r.construction), number(r.neurons), number(r.synapses), steps(r), number(round(r.spikes, 1)),
         events_per_spike(r), text(burst_energy(r)), verdict(r))
        for r in rows
    )  # fmt: skip
    header = ("layer", "construction", "neurons", "synapses", "steps later", "spikes", "a true one", "energy", "verdict")
    return table(header, cells, "k-nnnnnnt")


def _graded(pair: Pair) -> str:
    tone = ("plain" if pair.grade == "model only" else "good") if pair.equal else "bad"
    word = ("model only" if pair.grade == "model only" else "exact") if pair.equal else "different"
    return f"{tag(word, tone)} {text(pair_words(pair).removesuffix(' (model only)'))}"


def _compared(pairs: Iterable[Pair]) -> str:
    return table(("one run", "the other", "found"), _pairs(pairs), "ttt")


def _pairs(pairs: Iterable[Pair]) -> Iterable[tuple[str, str, str]]:
    for p in pairs:
        yield text(p.a), text(p.b), f"{_graded(p)}{f'<br>{text(p.first)}' if p.first else ''}"


def _quantization(report: Report) -> str:
    rows = (
        (
            text(r.layer),
            number(report.shifts.get(r.layer, 0)),
            str(r.weight_bits),
            text(f"{r.scale:.3g}"),
            percent(r.error),
            text("; ".join(r.notes)),
        )
        for r in report.quantization
    )
    lead = "Error: neuron-steps that differ from the float layer when both are fed the float network's spikes."
    header = ("layer", "steps late", "weight bits", "weight unit", "error", "notes")
    return section("Quantization", lead, table(header, rows, "knnnnt"))


def _findings(report: Report) -> str:
    tones = {"blocker": "bad", "warning": "plain", "note": "plain"}
    rows = (
        (text(f.code), tag(f.severity, tones[f.severity]), text(f.where), number(f.value), number(f.limit), text(advice(f)))
        for f in report.placement.findings
    )
    header = ("rule", "severity", "where", "value", "limit", "why, and what to do")
    return section("Findings", "The chip's design rules, each value against its limit.", table(header, rows, "k-knnt"))


def _proofs(report: Report) -> str:
    verdict, header = report.verdict, ("layer", "obligation", "status", "statement", "by")
    before = section(PROVED_BEFORE, "As its file says: not proved again.", table(header, _obligations(verdict.recorded_proofs), "ktttt"))
    return before + section("Proofs", "What was shown for every input.", table(header, _obligations(verdict.proofs), "ktttt"))


def _obligations(proofs: Iterable[Proof]) -> Iterable[tuple[str, ...]]:
    for p in proofs:
        yield text(p.layer or "-"), text(p.name), tag(p.status, PROOF_TONES.get(p.status, "plain")), text(p.statement), text(p.by)


def _evidence(report: Report) -> str:
    faults = [str(fault) for fault in report.verdict.faults]
    return (
        section("Faults", "What left its register or fell silent, and where first.", card(bullets(faults)))
        + _proofs(report)
        + section("How it was made", "Files by their hashes, without folders.", card(bullets(made(report))))
        + section("Found by probing", "Neurons of no known class, run beside what they are taken for.", card(bullets(report.probed)))
        + section("Assumed", "Taken for granted, with the option that changes it.", card(bullets(report.assumptions)))
        + section("Not checked", "", card(bullets(report.unchecked)))
        + section("Sources", "Where the numbers were published.", card(bullets(references(report))))
    )
