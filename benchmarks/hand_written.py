"""10,000 modules written by hand, by a generator: each converts to what its own code does, or is refused.

python benchmarks/hand_written.py [--seeds 10000] [--record hand_written.jsonl] [--before earlier.jsonl]

A line a seed is appended to the record; seeds that stand in it are not run again. With ``--before``, a record of an earlier
version, every module that converted there and does not now is listed.
"""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections import Counter
from pathlib import Path

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
    done = read(given.record)
    with given.record.open("a", encoding="utf-8") as record:
        for seed in range(given.seeds):
            if seed not in done:
                made = style(seed)
                outcome = judged(made)
                done[seed] = {"seed": seed, "words": made.words, "kind": outcome.kind, "why": outcome.why}
                record.write(json.dumps(done[seed]) + "\n")
                record.flush()
    show(done, read(given.before) if given.before else {})


def read(path: Path) -> dict[int, dict[str, str]]:
    """A record by seed; a last line that was cut short is left out."""
    found: dict[int, dict[str, str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[entry["seed"]] = entry
    return found


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
