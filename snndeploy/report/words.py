"""The sentences and numbers that text and HTML share, so that they never say different things."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from snndeploy.cost import Cost, Interval, engineering
from snndeploy.faults import Fault
from snndeploy.placement import Finding, Placement
from snndeploy.report.report import FactRow, LayerRow, Making, Report
from snndeploy.verdict import Fidelity, Pair, Verdict

NOT_MEASURED = "An estimate from published numbers, not a measurement."
BOUNDARIES = {"core": "cores", "noc": "network on chip", "static": "static power", "host": "x86 and host"}
CROSSOVERS = (
    (0.15, 1.38, "Dampfhoffer et al. 2022: spiking wins only below 0.15 to 1.38, depending on the dataflow"),
    (1.72, 1.72, "Davidson & Furber 2021: spiking wins only below about 1.72"),
)
"""Spikes a synapse and inference above which an ordinary network is cheaper."""


@dataclass(frozen=True)
class Statement:
    """One headline: what kind of claim it is, its value in a word, the sentence, and how it stands (good, bad, plain)."""

    kind: str
    value: str
    sentence: str
    tone: str


NOT_SIMULATED = Statement("Fidelity", "Not simulated", "The chip is priced, not simulated: nothing is known about its answers.", "plain")


def number(value: float) -> str:
    """``1234567`` -> ``1,234,567``; fractions to three digits; ``-`` for what is not a number."""
    if math.isnan(value):
        return "-"
    if value == int(value) if math.isfinite(value) else False:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def percent(fraction: float) -> str:
    """``0.1234`` -> ``12.3 %``; small shares keep a digit."""
    value = 100 * fraction
    return f"{value:.1f} %" if value == 0 or value >= 0.1 else f"{value:.1g} %"


def neuron_facts(rows: Iterable[LayerRow]) -> list[tuple[str, str, str, str]]:
    """Layers, fact, value, where from: layers of which the same is known stand together, named once."""
    alike: dict[tuple[FactRow, ...], list[str]] = {}
    for row in rows:
        if row.facts:
            alike.setdefault(row.facts, []).append(row.name)
    return [
        (", ".join(names) if i == 0 else "", fact.name, fact.value, str(fact))
        for facts, names in alike.items()
        for i, fact in enumerate(facts)
    ]


def plural(count: int, noun: str) -> str:
    """``1, "core"`` -> ``1 core``; ``2`` -> ``2 cores``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def advice(finding: Finding) -> str:
    """Why a finding matters and what mends it, as two sentences."""
    return " ".join(f"{part[:1].upper()}{part[1:]}." for part in (finding.why, finding.fix) if part)


def listing(words: Iterable[str]) -> str:
    """``a, b and c``."""
    *some, last = words
    return f"{', '.join(some)} and {last}" if some else last


def pair_words(pair: Pair) -> str:
    """``0 of 1,200 differ``, with what lies within a rounding bound and what rests on a model alone."""
    text = f"{pair.different:,} of {pair.compared:,} differ"
    if pair.within_bound:
        text += f", {pair.within_bound:,} within the rounding bound"
    return f"{text} (model only)" if pair.grade == "model only" else text


def exactness(verdict: Verdict) -> Statement:
    """What was claimed equal, and whether it is."""
    every = verdict.every_pair
    compared, differ = sum(p.compared for p in every), sum(p.different - p.within_bound for p in every)
    checks = plural(len(every), "comparison")
    if verdict.verdict == "not_checked" and verdict.proofs:
        proved = sum(p.status == "proved" for p in verdict.proofs)
        sentence = f"{proved} of {plural(len(verdict.proofs), 'obligation')} proved for every input; no data were run."
        return Statement("Exactness", "By proof" if verdict.proved else "Open", sentence, "good" if verdict.proved else "plain")
    if verdict.verdict == "not_checked":
        return Statement("Exactness", "Not checked", "Nothing was compared, so nothing is claimed.", "plain")
    if verdict.verdict == "exact":
        value = verdict.grade[:1].upper() + verdict.grade[1:]
        sentence = f"0 of {compared:,} values differ in {checks}, wherever equality is claimed."
        sentence += f"{before(verdict)}{tied(verdict.ties)}"
        return Statement("Exactness", value, sentence, "plain" if verdict.rests_on_model else "good")
    failed = [p for p in verdict.every_proof if p.status == "failed"]
    refuted = f" {plural(len(failed), 'obligation')} failed, with a counterexample." if failed else ""
    sentence = f"{differ:,} of {compared:,} values differ in {checks}.{refuted}{before(verdict)}{tied(verdict.ties)}"
    return Statement("Exactness", "Different", sentence, "bad")


def before(verdict: Verdict) -> str:
    """How many comparisons were made at the conversion and not again; empty where all were made now."""
    count = len(verdict.recorded)
    were = "was" if count == 1 else "were"
    return f" {count} of the comparisons {were} made when it was converted." if count else ""


def tied(ties: int) -> str:
    """What a tie is, after how many there are; empty where there are none."""
    if not ties:
        return ""
    verb = "differs" if ties == 1 else "differ"
    return f" {plural(ties, 'tie')}: {verb} only where the potential lies within the computed rounding bound of the threshold."


def within(faults: Sequence[Fault]) -> tuple[Statement, ...]:
    """That registers left their range, or layers fell silent; nothing where none did."""
    if not faults:
        return ()
    worst = max(faults, key=lambda f: f.count)
    more = f"; {plural(len(faults) - 1, 'more fault')}" if len(faults) > 1 else ""
    sentence = f"The chip computes as it is defined, but its numbers are no longer the network's: {worst}{more}."
    return (Statement("Range", plural(len(faults), "fault"), sentence, "bad"),)


def model_only(verdict: Verdict) -> str:
    """What rests on a model that no silicon confirms; empty if nothing does."""
    if not verdict.rests_on_model:
        return ""
    if verdict.model_only:
        some = [*verdict.model_only[:4], *([f"{len(verdict.model_only) - 4} more"] if verdict.model_only[4:] else [])]
        verb = "runs" if len(verdict.model_only) == 1 else "run"
        return f"{listing(some)} {verb} neuron programs, an instruction set of our own that no silicon confirms: model only."
    pairs = [p for p in verdict.every_pair if p.grade == "model only"]
    which = "1 comparison rests" if len(pairs) == 1 else f"{len(pairs)} comparisons rest"
    return f"{which} on neuron programs, an instruction set of our own that no silicon confirms: model only."


def faithfulness(fidelity: Fidelity | None, max_drop: float) -> Statement:
    """How near the answers are to the float network's; never a claim of equality."""
    if fidelity is None:
        return Statement("Fidelity", "Not checked", "No answers were compared, so nothing is known about them.", "plain")
    agree = (
        "" if fidelity.agreement is None else f"{percent(fidelity.agreement)} of {fidelity.samples:,} answers agree with the float network"
    )
    if fidelity.float_accuracy is None and fidelity.chip_accuracy is not None:
        right = percent(fidelity.chip_accuracy)
        return Statement("Fidelity", right, f"{right} of {fidelity.samples:,} right on the chip; no float network to compare with.", "good")
    if fidelity.drop is None or fidelity.chip_accuracy is None or fidelity.float_accuracy is None:
        value = "Unlabelled" if fidelity.agreement is None else f"{percent(fidelity.agreement)} agree"
        alone = f"{plural(fidelity.samples, 'sample')} ran; they have no labels, and no float network was run beside them"
        return Statement("Fidelity", value, f"{agree or alone}.", "plain")
    loss = f"{abs(fidelity.drop):.3g} points {'lost' if fidelity.drop > 0 else 'gained'}" if fidelity.drop else "nothing lost"
    sentence = f"{percent(fidelity.chip_accuracy)} on the chip, {percent(fidelity.float_accuracy)} in float: {loss}, {max_drop:g} allowed"
    tone = "good" if fidelity.drop <= max_drop else "bad"
    return Statement("Fidelity", percent(fidelity.chip_accuracy), f"{sentence}; {agree}." if agree else f"{sentence}.", tone)


def fit(placement: Placement) -> Statement:
    """Whether it fits, and on how much."""
    cores = f"{plural(len(placement.cores), 'core')} on {plural(placement.chips, 'chip')} of {placement.chip}"
    blockers = [f for f in placement.findings if f.severity == "blocker"]
    if blockers:
        first = blockers[0]
        amounts = "" if math.isnan(first.value) else f"{number(first.value)} against {number(first.limit)}, "
        placed = f"{cores}. " if placement.cores else ""
        more = f" {plural(len(blockers), 'blocker')} in all." if blockers[1:] else ""
        sentence = f"{placed}{first.code} {first.where}: {amounts}{first.why}.{more}"
        return Statement("Fit", "Does not fit", sentence, "bad")
    warnings = sum(f.severity == "warning" for f in placement.findings)
    sentence = f"Fits: {cores}{', with ' + plural(warnings, 'warning') if warnings else ''}."
    return Statement("Fit", plural(len(placement.cores), "core"), sentence, "good")


def price(cost: Cost | None) -> Statement:
    """Energy of one inference, never without its interval and its standing."""
    if cost is None:
        return Statement("Energy", "Not priced", "The profile publishes no prices, so no energy is given.", "plain")
    low, high = engineering(cost.total.low, "J"), engineering(cost.total.high, "J")
    held = listing(BOUNDARIES.get(n, n) for n in boundaries(cost))
    open_ = f"; {plural(len(cost.unpriced), 'item')} unpriced" if cost.unpriced else ""
    sentence = f"{low} to {high} an inference, for {held}{open_}. Profile {cost.chip} is {cost.status}. {NOT_MEASURED}"
    return Statement("Energy", engineering(cost.total.value, "J"), sentence, "plain")


def duration(cost: Cost | None) -> Statement:
    """Latency of one inference as a bracket."""
    if cost is None:
        return Statement("Latency", "Not priced", "The profile publishes no times, so no latency is given.", "plain")
    low, high = engineering(cost.latency.low, "s"), engineering(cost.latency.high, "s")
    sentence = f"Between {low} and {high} an inference; a step takes {cost.step_time}. {NOT_MEASURED}"
    return Statement("Latency", engineering(cost.latency.value, "s"), sentence, "plain")


def headline(report: Report) -> tuple[Statement, ...]:
    """The claims, each of its own kind; where it does not fit, each says so itself."""
    near = faithfulness(report.fidelity, report.max_drop) if report.simulated else NOT_SIMULATED
    claims = (exactness(report.verdict), near, price(report.cost), duration(report.cost))
    equal, near, energy, time = (claim if report.placement.fits else _unfit(claim, report.placement.chip) for claim in claims)
    return equal, *within(report.verdict.faults), near, fit(report.placement), energy, time


def _unfit(claim: Statement, chip: str) -> Statement:
    """What the simulator gave, of a network for which the chip has no place."""
    tone = "bad" if claim.kind in ("Exactness", "Fidelity") else claim.tone
    sentence = f"{claim.sentence} The simulator's: the network does not fit {chip}."
    return Statement(claim.kind, f"{claim.value}, does not fit", sentence, tone)


def boundaries(cost: Cost) -> dict[str, Interval]:
    """Energy summed within each boundary, in the order core, network, static, host."""
    sums: dict[str, Interval] = {}
    for boundary in [*BOUNDARIES, *sorted({t.boundary for t in cost.terms} - set(BOUNDARIES))]:
        energies = [t.energy for t in cost.terms if t.boundary == boundary]
        if energies:
            sums[boundary] = _total(energies)
    return sums


def _total(energies: Iterable[Interval]) -> Interval:
    first, *others = energies
    for energy in others:
        first = first + energy
    return first


def idle_power(cost: Cost) -> str:
    """What an idle second adds, where the profile prices static power: energy at a real input rate is not that at full speed."""
    static = [t.energy for t in cost.terms if t.boundary == "static"]
    if not static or not cost.latency.value:
        return "Valid at full throughput; what an idle second costs is not priced."
    watts = _total(static).value / cost.latency.value
    return f"Valid at full throughput: every second of waiting between inferences costs {engineering(watts, 'J')} of static power."


def trust(cost: Cost) -> list[str]:
    """What moves the total, what rests on guesses, and what the profile says of itself."""
    moves = listing(f"{name} (by {engineering(joules, 'J')})" for name, joules in cost.sensitivities) if cost.sensitivities else ""
    said = [f"Between its low and its high, the total moves most with {moves}."] if moves else []
    said += [f"{percent(cost.assumed_fraction)} of the total rests on assumed or simulated numbers.", idle_power(cost)]
    return [*said, *(note for note in cost.notes if note != "an estimate, not a measurement")]


def crossover(report: Report) -> list[str]:
    """Synaptic operations a synapse and inference beside the published crossover lines."""
    operations = report.events.get("synaptic_ops")
    if not operations or not report.synapses:
        return []
    ratio = operations / report.synapses
    lines = [f"{ratio:.2g} synaptic operations a synapse and inference."]
    return lines + [
        f"{'Below' if ratio < low else 'Within' if ratio < high else 'Above'} the line of {cited}." for low, high, cited in CROSSOVERS
    ]


def made(report: Report) -> list[str]:
    """How it was made, and how its integers were made before that, a line a thing; empty where nothing says it."""
    return [*_made(report.making), *(f"before, {line}" for line in _made(report.origin))]


def _made(making: Making | None) -> list[str]:
    if making is None:
        return []
    lines = [f"by: {making.command}"] if making.command else []
    lines += [f"{f.role}: {f.name}, {f.size:,} bytes, SHA-256 {f.sha256[:16]}.." for f in making.files]
    if making.data is not None:
        labels = "labelled" if making.data.labels else "without labels"
        run = f"{plural(making.data.samples, 'sample')} of {plural(making.data.steps, 'step')}, {labels}"
        lines.append(f"fed: {run}, SHA-256 {making.data.sha256[:16]}..")
    return (
        [*lines, f"with: {listing(f'{name} {version}' for name, version in sorted(making.versions.items()))}"] if making.versions else lines
    )


def citations(cost: Cost | None) -> dict[str, str]:
    """The sources of the prices, numbered as they first appear: citation to ``[n]``."""
    sources = dict.fromkeys(t.source for t in cost.terms) if cost else {}
    return {source: f"[{n}]" for n, source in enumerate(sources, 1)}


def references(report: Report) -> list[str]:
    """Every citation once: the numbered ones of the prices, then what else the report names."""
    numbered = citations(report.cost)
    others = [f"{key}: {text}" for key, text in report.sources.items() if not any(text in source for source in numbered)]
    return [*(f"{n} {source}" for source, n in numbered.items()), *others]


COMPARED_BEFORE = "Compared when it was converted"
"""Heads what a file says was compared, and what was not compared again."""


def other_pairs(report: Report) -> tuple[list[Pair], list[Pair]]:
    """The comparisons that no pass and no construction shows already: those made at the conversion, and those made now.

    Passes and constructions are the conversion's, so beside a record they show none of what was compared now.
    """
    shown = [*(r.pair for r in report.passes), *(r.pair for r in report.bursts)]
    before, now = report.verdict.recorded, report.verdict.pairs
    return [p for p in before if p not in shown], [p for p in now if before or p not in shown]


def uses(placement: Placement) -> list[tuple[str, int, int]]:
    """Per population: its cores, and how many of its neurons sit there."""
    found: dict[str, tuple[set[int], int]] = {}
    for core in placement.cores:
        for piece in core.slices:
            cores, neurons = found.get(piece.population, (set(), 0))
            found[piece.population] = (cores | {core.index}, neurons + piece.last - piece.first)
    return [(name, len(cores), neurons) for name, (cores, neurons) in found.items()]
