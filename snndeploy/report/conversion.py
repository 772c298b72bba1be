"""Text and JSON of a conversion: what each layer computes and where that was read, what was done to it, what was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from snndeploy.report import as_json, as_text
from snndeploy.report.layout import bullets, section, table
from snndeploy.report.report import SCHEMA, LayerRow, Report
from snndeploy.report.words import made

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
        section("Accuracy against T", as_text.rates(report.verdict.rates)),
        section("Faults", as_text.faults(report.verdict.faults)),
        *as_text.compared(report),
        *as_text.proofs(report.verdict),
        section("Findings", as_text.findings(severe)),
        as_text.probed(report.probed),
        section("Made", bullets(made(report))),
        section("Assumed", bullets(report.assumptions)),
        section("Not checked", bullets(report.unchecked)),
        _files(files),
    )


def conversion_to_json(report: Report, sources: Sequence[LayerRow], files: Sequence[str]) -> Json:
    """The whole report, with where each layer was read, and the files."""
    found = as_json.to_json(report)
    return {**found, "schema": f"snndeploy.convert/{SCHEMA}", "files": list(files), "semantics": _rows(sources)}


def graph_to_text(name: str, sources: Sequence[LayerRow], assumptions: Sequence[str], file: str, probed: Sequence[str] = ()) -> str:
    """The same where only the float graph was written."""
    title = f"{name}, the float graph"
    assumed = section("Assumed", bullets(assumptions))
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
    return section("What each layer computes", table(("layer", "computes", "read from"), rows))


def _files(files: Sequence[str]) -> str:
    return section("Written", "\n".join(files))


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
