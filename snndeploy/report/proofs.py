"""What was proved, as text: obligation by obligation, with a failed one's run."""

from __future__ import annotations

from collections.abc import Sequence

from snndeploy.report.layout import table
from snndeploy.verdict import Counterexample, Proof

PROVED_BEFORE = "Proved when it was converted"
"""Heads what a file says was proved, and what was not proved again."""


def proofs_to_text(proofs: Sequence[Proof]) -> str:
    """A line an obligation; what failed or is unknown says why."""
    if not proofs:
        return ""
    rows = [(p.layer or "-", p.name, p.status, _timed(p), _said(p)) for p in proofs]
    return f"{table(('layer', 'obligation', 'status', 'by z3 in', 'statement'), rows)}\n{summary(proofs)}"


def summary(proofs: Sequence[Proof]) -> str:
    """How many are proved, and what is not."""
    counts = {status: sum(p.status == status for p in proofs) for status in ("proved", "failed", "unknown")}
    rest = [f"{n} {status}" for status, n in counts.items() if n and status != "proved"]
    seconds = sum(p.seconds for p in proofs)
    took = f" in {seconds:.1f} s" if seconds or not any(p.by == "z3" for p in proofs) else ""
    return f"{counts['proved']} of {len(proofs)} obligations proved{took}" + (f", {', '.join(rest)}" if rest else "")


def _timed(p: Proof) -> str:
    """The seconds of z3, or who else decided; a proof that a file keeps has no seconds: they were another machine's."""
    return f"{p.seconds:.2f} s" if p.by == "z3" and p.seconds else p.by


def _said(p: Proof) -> str:
    parts = [p.statement, p.found, counterexample(p.counterexample) if p.counterexample else ""]
    return "; ".join(part for part in parts if part)


def counterexample(c: Counterexample) -> str:
    """The run in words: what enters, and what each side answers in the last step."""
    host = f", host bias {list(c.host)}" if any(c.host) else ""
    where = "in the simulator, too" if c.replayed else "not replayed"
    words = c.words or ({"v": c.start} if c.start else {})
    start = " from " + ", ".join(f"{word} = {value}" for word, value in words.items()) if words else ""
    start += f" at step {c.step}" if c.step else ""
    return f"counterexample, neuron {c.neuron}: inputs {list(c.inputs)}{host}{start} give {list(c.got)} for {list(c.wanted)} ({where})"
