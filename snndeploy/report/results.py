"""Text and JSON of what ``run``, ``verify`` and ``check`` find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from snndeploy.placement import Placement
from snndeploy.report import as_json, as_text, words
from snndeploy.report.layout import bullets, section, table
from snndeploy.report.report import SCHEMA
from snndeploy.report.words import exactness, faithfulness, fit, model_only, number, percent, within
from snndeploy.trace import Trace
from snndeploy.verdict import Verdict

Json = dict[str, Any]


def run_to_json(
    file: str,
    chip: str,
    trace: Trace,
    events: Mapping[str, float],
    accuracy: float | None,
    predictions: Sequence[int] = (),
    model_only: Sequence[str] = (),
    fits: bool | None = None,
) -> Json:
    """``events`` are counts a sample; ``accuracy`` a fraction, None without labels; ``chip`` "" for a float graph.

    A run compares nothing: its ``grade`` is "model only" where populations (``model_only``) run on a
    model of ours, else null. ``fits``: whether the chip network fits its chip (None: it was not placed).
    """
    return {
        "schema": f"snndeploy.run/{SCHEMA}",
        "file": file,
        "chip": chip or None,
        "samples": trace.samples,
        "steps": trace.steps,
        "accuracy": as_json.finite(accuracy),
        "fits": fits,
        "grade": "model only" if model_only else None,
        "model_only": list(model_only),
        "predictions": [int(p) for p in predictions],
        "layers": as_json.layers(trace),
        "faults": as_json.faults(trace.faults),
        "events": {name: as_json.finite(value) for name, value in events.items()},
        "engine": trace.engine,
        "seconds": trace.seconds,
    }


def run_to_text(
    file: str,
    chip: str,
    trace: Trace,
    events: Mapping[str, float],
    accuracy: float | None,
    predictions: Sequence[int] = (),
    model_only: Sequence[str] = (),
    fits: bool | None = None,
) -> str:
    """What ran, how well, and how often each layer fired."""
    how = f"{trace.samples:,} samples, {trace.steps} steps, {trace.engine} engine, {trace.seconds:.2f} s"
    lines = [f"{file} on {chip}: {how}" if chip else f"{file}: {how}"]
    unfit = " (the simulator's: the network does not fit the chip)" if fits is False else ""
    lines.append(f"{'accuracy: no labels' if accuracy is None else f'accuracy: {percent(accuracy)}'}{unfit}")
    if len(predictions):
        shown = " ".join(str(int(p)) for p in predictions[:20])
        lines.append(f"predictions: {shown}{f' ... ({len(predictions):,} in all)' if len(predictions) > 20 else ''}")
    lines += [words.model_only(Verdict((), model_only=tuple(model_only)))] if model_only else []
    counts = table(("event", "a sample", ""), [(n.replace("_", " "), number(round(v, 1)), "") for n, v in events.items()])
    lost = section("Faults", as_text.faults(trace.faults))
    parts = ["\n".join(lines), lost, section("Activity", as_text.activity(trace)), section("Events", counts)]
    return "\n\n".join(p for p in parts if p) + "\n"


def verify_to_json(file: str, verdict: Verdict) -> Json:
    """Equality and fidelity, apart."""
    return {
        "schema": f"snndeploy.verify/{SCHEMA}",
        "file": file,
        **as_json.equality(verdict),
        "pairs": [as_json.pair(p) for p in verdict.pairs],
        "recorded": [as_json.pair(p) for p in verdict.recorded],
        "fidelity": as_json.fidelity(verdict.fidelity),
        "faults": as_json.faults(verdict.faults),
        "not_checked": list(verdict.not_checked),
        **as_json.shown(verdict),
    }


def verify_to_text(file: str, verdict: Verdict, max_drop: float = 0.5) -> str:
    """The verdict first, then every comparison with the first place it parts."""
    claims = [exactness(verdict), *within(verdict.faults), *([faithfulness(verdict.fidelity, max_drop)] if verdict.fidelity else [])]
    said = [f"{s.kind}: {s.value}. {s.sentence}" for s in claims]
    note, by_proof = model_only(verdict), bool(verdict.proofs) and not verdict.pairs
    parts = [
        bullets([f"{file}", *said, *([note] if note else [])]),
        section("Faults", as_text.faults(verdict.faults)),
        section(words.COMPARED_BEFORE, as_text.comparisons(verdict.recorded)),
        section("Comparisons", as_text.comparisons(verdict.pairs)),
        *as_text.proofs(verdict),
        section("Neither run nor proved" if by_proof else "Not checked", bullets(verdict.not_checked)),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def check_to_json(file: str, placement: Placement) -> Json:
    """Whether it fits, and every finding."""
    return {
        "schema": f"snndeploy.check/{SCHEMA}",
        "file": file,
        "chip": placement.chip,
        "fits": placement.fits,
        "cores": len(placement.cores),
        "chips": placement.chips,
        "findings": as_json.findings(placement.findings),
    }


def check_to_text(file: str, placement: Placement) -> str:
    """Whether it fits, and every finding."""
    claim = fit(placement)
    parts = [
        bullets([f"{file}: {claim.value.lower()}. {claim.sentence}"]),
        section("Findings", as_text.findings(placement.findings)),
    ]
    return "\n\n".join(p for p in parts if p) + "\n"
