"""10,000 modules written by hand, by a generator: each converts to what its own code does, or is refused.

python benchmarks/hand_written.py [--seeds 10000] [--record hand_written.jsonl] [--before earlier.jsonl]

A line a seed is appended to the record; seeds that stand in it are not run again. With ``--before``, a record of an earlier
version, every module that converted there and does not now is listed.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import records

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from hand_written import COMMONEST, style  # noqa: E402
from hand_written_judging import judged, reason  # noqa: E402

CONVERTED = ("equal", "ties")


def main() -> None:
    """Run what is not in the record yet, then print the counts."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--seeds", type=int, default=10_000)
    asked.add_argument("--record", type=Path, default=Path("hand_written.jsonl"))
    asked.add_argument("--before", type=Path)
    given = asked.parse_args()
    warnings.simplefilter("ignore")
    for _ in records.lines(given.record, range(given.seeds), run):
        pass
    show(records.read(given.record), records.read(given.before) if given.before else {})


def run(seed: int) -> dict[str, Any]:
    """What became of a seed's module."""
    made = style(seed)
    outcome = judged(made)
    return {"words": made.words, "kind": outcome.kind, "why": outcome.why}


def show(done: dict[int, dict[str, str]], before: dict[int, dict[str, str]]) -> None:
    """Outcomes, refusals by reason, the commonest combinations, and what converted before."""
    print(f"{len(done)} modules:", dict(Counter(e["kind"] for e in done.values())))
    for (kind, why), count in Counter((e["kind"], reason(e["why"])) for e in done.values() if e["kind"] not in CONVERTED).most_common():
        print(f"  {count:5} {kind}: {why}")
    for made in COMMONEST:
        print(f"  {judged(made).kind}: {made.words}")
    lost = [s for s, e in before.items() if e["kind"] in CONVERTED and s in done and done[s]["kind"] not in CONVERTED]
    if before:
        print(f"of {len(before)} modules recorded before, {len(lost)} converted then and do not now: {lost[:20]}")


if __name__ == "__main__":
    main()
