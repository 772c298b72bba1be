"""A certificate, and one looked at again, as text, as JSON and as a section of the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from snndeploy.certificate import Certificate, Recheck
from snndeploy.report.layout import bullets, section, table
from snndeploy.report.markup import bullets as html_bullets
from snndeploy.report.markup import card, heading, tag, text
from snndeploy.report.markup import section as html_section
from snndeploy.report.markup import table as html_table
from snndeploy.report.proofs import PROVED_BEFORE

Json = dict[str, Any]
SEAL = "The seal is a hash, no signature: who rewrites the whole certificate can seal it again; what is run again is compared all the same."


def recheck_to_json(found: Recheck) -> Json:
    """Every check by its name; ``ok`` if all hold, ``verdict`` the certificate's own."""
    c = found.certificate
    return {
        "schema": "snndeploy.recheck/1",
        "file": found.file,
        "ok": found.holds,
        "verdict": c.verdict,
        "faults": [dict(f) for f in c.run.faults],
        "grade": c.grade or None,
        "ties": c.ties,
        "chip": c.chip,
        "checks": [{"what": k.what, "holds": k.holds, "found": k.found} for k in found.checks],
        "trusted": list(found.trusted),
        "not_checked": list(c.not_checked),
        "seconds": found.seconds,
    }


def recheck_to_text(found: Recheck) -> str:
    """Every check, what fails first in the last line."""
    c, failed = found.certificate, [k.what for k in found.checks if not k.holds]
    rows = [(k.what, "yes" if k.holds else "NO", k.found) for k in found.checks]
    outcome = f"FAILED: {', '.join(failed)}." if failed else f"All {len(rows)} checks hold. The certified verdict: {c.grade or c.verdict}."
    parts = [
        f"{found.file}: {c.name} on {c.chip}",
        section("Checked again", table(("what", "holds", "found"), rows)),
        section("Taken from the certificate", bullets(found.trusted)),
        section("Never checked", bullets(c.not_checked)),
        SEAL,
        f"{outcome} {found.seconds:.1f} s.",
    ]
    return "\n\n".join(p for p in parts if p) + "\n"


def certificate_section(c: Certificate | None) -> str:
    """The page's section; empty without a certificate."""
    if c is None:
        return ""
    files = ((text(f.role), text(f.path), text(f"{f.size:,}"), f"<code>{text(f.sha256)}</code>") for f in c.files)
    lead = f"{SEAL} Check it again with NumPy alone: snndeploy verify --certificate FILE."
    return html_section(
        "Certificate", lead,
        html_table(("what", "file", "bytes", "SHA-256"), files, "ktnt"),
        heading("Every pair of runs", html_table(("one run", "the other", "verdict", "differ", "compared"), _pairs(c), "tt-nn")),
        heading("Proofs", html_table(("layer", "obligation", "status", "seconds", "by"), _proofs(c.proofs), "kt-nt")),
        heading(PROVED_BEFORE, html_table(("layer", "obligation", "status", "seconds", "by"), _proofs(c.recorded_proofs), "kt-nt")),
        heading("Made with", html_bullets(f"{name} {version}" for name, version in c.tools.items())),
        heading("Not checked", card(html_bullets(c.not_checked))),
    )  # fmt: skip


def _pairs(c: Certificate) -> Iterator[tuple[str, ...]]:
    for p in c.pairs:
        verdict = tag(p["grade"] if p["equal"] else "different", "good" if p["equal"] else "bad")
        yield text(p["a"]), text(p["b"]), verdict, f"{p['different']:,}", f"{p['compared']:,}"


def _proofs(proofs: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, ...]]:
    tones = {"proved": "good", "failed": "bad"}
    for p in proofs:
        status = tag(p["status"], tones.get(p["status"], "plain"))
        yield text(p["layer"] or "-"), text(p["name"]), status, f"{p['seconds']:.2f}", text(p["by"])
