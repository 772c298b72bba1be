"""Text and JSON of a conversion: what each layer computes and where that was read, what was done to it, what was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from snndeploy.report import as_json, as_text
from snndeploy.report.proofs import proofs_to_json, proofs_to_text
from snndeploy.report.report import SCHEMA, LayerRow, Report
from snndeploy.report.words import other_pairs

Json = dict[str, Any]


def conversion_to_text(report: Report, sources: Sequence[LayerRow], files: Sequence[str]) -> str:
    """The claims, then how they came about, then the files; activity, energy and the core map are the report's."""
    title = f"{report.model} on {report.chip}"
    severe = [f for f in report.placement.findings if f.severity != "note"]
    return _joined(
        f"{title}\n{'=' * len(title)}",
        as_text.claims(report),
        _layers(sources),
        as_text.neurons(sources),
        *as_text.changes(report),
        as_text.section("Accuracy against T", as_text.rates(report.verdict.rates)),
        as_text.section("Faults", as_text.faults(report.verdict.faults)),
        as_text.section("Comparisons", as_text.comparisons(other_pairs(report))),
        as_text.section("Proofs", proofs_to_text(report.verdict.proofs)),
        as_text.section("Findings", as_text.findings(severe)),
        as_text.probed(report.probed),
        as_text.section("Assumed", as_text.bullets(report.assumptions)),
        as_text.section("Not checked", as_text.bullets(report.unchecked)),
        _files(files),
    )


def conversion_to_json(report: Report, sources: Sequence[LayerRow], files: Sequence[str], ok: bool) -> Json:
    """The whole report, with where each layer was read, the files, and whether all is as it was wished (``ok``)."""
    found, proved = as_json.to_json(report), {"proofs": proofs_to_json(report.verdict.proofs)}
    return {**found, "schema": f"snndeploy.convert/{SCHEMA}", "files": list(files), "ok": ok, "semantics": _rows(sources), **proved}


def graph_to_text(name: str, sources: Sequence[LayerRow], assumptions: Sequence[str], file: str, probed: Sequence[str] = ()) -> str:
    """The same where only the float graph was written."""
    title = f"{name}, the float graph"
    assumed = as_text.section("Assumed", as_text.bullets(assumptions))
    return _joined(
        f"{title}\n{'=' * len(title)}", _layers(sources), as_text.neurons(sources), as_text.probed(probed), assumed, _files([file])
    )


def graph_to_json(name: str, sources: Sequence[LayerRow], assumptions: Sequence[str], file: str, probed: Sequence[str] = ()) -> Json:
    """The same as JSON; ``chip`` is null."""
    head = {"schema": f"snndeploy.convert/{SCHEMA}", "model": name, "chip": None, "files": [file], "ok": True}
    return {**head, "semantics": _rows(sources), "probed": list(probed), "assumptions": list(assumptions)}


def _joined(*parts: str) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _layers(sources: Iterable[LayerRow]) -> str:
    rows = ((r.name, r.kind, f"ASSUMED: {r.source}" if r.assumed else r.source) for r in sources)
    return as_text.section("What each layer computes", as_text.table(("layer", "computes", "read from"), rows))


def _files(files: Sequence[str]) -> str:
    return as_text.section("Written", "\n".join(files))


def _rows(sources: Iterable[LayerRow]) -> list[Json]:
    return [
        {
            "layer": r.name,
            "computes": r.kind,
            "neurons": r.neurons,
            "source": r.source,
            "assumed": r.assumed,
            "facts": as_json.neuron_facts(r),
        }
        for r in sources
    ]
