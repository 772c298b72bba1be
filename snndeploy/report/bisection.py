"""Text and JSON of ``bisect`` and ``explain``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from snndeploy.report import as_json
from snndeploy.report.codes import CODES, Explanation
from snndeploy.report.layout import bullets, section, table
from snndeploy.report.report import SCHEMA
from snndeploy.report.words import plural
from snndeploy.verdict import Bisection, Moment, Reduced, Suspect

Json = dict[str, Any]
EVIDENCE = {
    "all": "every output and state word",
    "output": "every output",
    "claim": "the burst neuron that the layer stands for",
    "mended": "the first side again, once it is mended",
    "inferred": "inferred from the numbers, not run",
    "no": "nothing",
}


def bisection_to_json(found: Bisection, written: str | None = None) -> Json:
    """Where two networks part, whose fault it is, and why; ``written`` is the file of the reduced input."""
    first = as_json.divergence(found.first)
    return {
        "schema": f"snndeploy.bisect/{SCHEMA}",
        "a": found.a,
        "b": found.b,
        "equal": found.equal,
        "compared": found.compared,
        "different": found.different,
        "layers": [{"layer": r.layer, "step": r.step, "values": r.values, "own": r.own} for r in found.layers],
        "layer": found.culprit or None,
        "first": first,
        "hidden": found.hidden,
        "cause": found.cause or None,
        "suspects": [{"cause": s.cause, "words": s.words, "reproduces": s.reproduces, "read": s.read} for s in found.suspects],
        "tried": found.tried,
        "threshold": as_json.finite(found.threshold),
        "around": {"a": _moments(found.a_around), "b": _moments(found.b_around)},
        "reduced": _reduced(found.reduced),
        "written": written,
    }


def _moments(moments: Sequence[Moment]) -> list[Json]:
    return [{"step": m.step, "input": m.input, "words": dict(m.words), "before_reset": m.before, "output": m.output} for m in moments]


def _reduced(r: Reduced | None) -> Json | None:
    if r is None:
        return None
    part = {"sources": r.sources, "synapses": r.synapses, "still_differs": r.still}
    return {"samples": r.samples, "steps": r.steps, "entries": r.entries, "entries_before": r.entries_before, "runs": r.runs, "part": part}


def bisection_to_text(found: Bisection, written: str | None = None) -> str:
    """The finding first, then what stands behind it."""
    if found.equal:
        words = "; state words are not compared between the two" if found.mixed else ", and no state word of the first samples does"
        return f"{found.a} and {found.b} are equal: 0 of {found.compared:,} values differ{words}.\n"
    parts = [
        bullets(_claims(found)),
        section("Layers that differ", table(("layer", "from step", "values", "fed the same, it"), _layers(found))),
        section(f"Around it ({found.a})", _around(found.a_around)),
        section(f"Around it ({found.b})", _around(found.b_around)),
        section("What reproduces the second side", table(("cause", "change", "gives"), map(_suspect, found.suspects))),
        section("Smallest input", bullets(_smallest(found.reduced, written))),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def _claims(found: Bisection) -> list[str]:
    claims = [f"{found.a} and {found.b} differ in {found.different:,} of at least {found.compared:,} values"]
    if found.hidden:
        claims[0] = f"{found.a} and {found.b} give the same outputs, but {plural(found.different, 'state')} differ"
    if found.first is not None:
        claims.append(str(found.first))
    if found.threshold is not None:
        claims.append(f"the neuron's threshold is {found.threshold:g}")
    whose = f"layer {found.culprit} differs by itself: fed the same input, its outputs still differ"
    claims.append(whose if found.culprit else "no layer differs when it is fed the same: only what feeds it does")
    known = CODES.get(found.cause)
    meaning = f": {known.meaning.partition(';')[0]}" if known else ""
    tried = f" ({plural(found.tried, 'change')} tried)" if found.tried else ""
    told = next((s for s in found.suspects if s.cause == found.cause), None)
    best = f". {told.words}" if told else ""
    if told is None and found.suspects:
        best = f". Suspected, not confirmed by a run: {found.suspects[0].cause}; {found.suspects[0].words}"
    return [*claims, f"cause {found.cause}{meaning}{tried}{best}"]


def _layers(found: Bisection) -> list[Sequence[str]]:
    return [(r.layer, str(r.step), f"{r.values:,}", "differs" if r.own else "is equal: its input differs") for r in found.layers]


def _suspect(s: Suspect) -> tuple[str, str, str]:
    return s.cause, f"{s.words} (read in the files)" if s.read and s.reproduces != "inferred" else s.words, EVIDENCE[s.reproduces]


def _around(moments: Sequence[Moment]) -> str:
    names = list(dict.fromkeys(word for m in moments for word in m.words))
    rows = [
        (str(m.step), _number(m.input), *(_number(m.words.get(n)) for n in names), _number(m.before), _number(m.output)) for m in moments
    ]
    return table(("step", "input sum", *names, "v before reset", "output"), rows)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.10g}"


def _smallest(r: Reduced | None, written: str | None) -> list[str]:
    if r is None:
        return []
    entries = f"{r.entries} of {r.entries_before} values other than 0, in {plural(r.steps, 'step')}"
    lines = [f"{plural(r.samples, 'sample')}, {entries}; {plural(r.runs, 'run')} to find it"]
    if r.still is not None:
        differs = "still differs" if r.still else "alone is equal: it takes more of the layer"
        lines.append(f"one neuron with {plural(r.synapses, 'synapse')} from {plural(r.sources, 'source')} {differs}")
    return [*lines, *([f"wrote {written}: snndeploy run replays it"] if written else [])]


def explanation_to_json(known: Explanation) -> Json:
    """One code."""
    return {
        "schema": f"snndeploy.explain/{SCHEMA}",
        "code": known.code,
        "kind": known.kind,
        "meaning": known.meaning,
        "why": known.why,
        "action": known.action,
        "source": known.source,
    }


def explanation_to_text(known: Explanation) -> str:
    """One code."""
    rows = (("means", known.meaning), ("why", known.why), ("what to do", known.action), ("source", known.source))
    return f"{known.code} ({known.kind})\n" + "\n".join(f"  {name}: {text}" for name, text in rows) + "\n"
