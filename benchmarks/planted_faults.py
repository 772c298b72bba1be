"""1,000 faults planted in graphs and chip networks: does ``bisect`` name the layer and the cause, confirmed by a run?

python benchmarks/planted_faults.py [--faults 1000] [--record planted_faults.jsonl]

A line a seed is appended to the record; seeds that stand in it are not run again. Faults that change no compared value, or
that a layer cannot have, are counted apart.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from itertools import count
from pathlib import Path
from typing import Any

import records

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from planted import outcome  # noqa: E402

COUNTED = ("right", "wrong layer", "wrong cause", "not explained")


def main() -> None:
    """Run seeds until so many faults show, then print the counts."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--faults", type=int, default=1000)
    asked.add_argument("--record", type=Path, default=Path("planted_faults.jsonl"))
    given = asked.parse_args()
    counted = 0
    for entry in records.lines(given.record, count(), planted):
        counted += entry["kind"] in COUNTED
        if counted >= given.faults:
            break
    show(list(records.read(given.record).values()))


def planted(seed: int) -> dict[str, Any]:
    """What became of a seed's fault."""
    kind, fault, said = outcome(seed)
    return {"kind": kind, "fault": fault, "said": said}


def show(entries: list[dict[str, str]]) -> None:
    """Counts of all, by kind of fault, and every one that was not named rightly."""
    kinds = Counter(e["kind"] for e in entries)
    counted = sum(kinds[kind] for kind in COUNTED)
    print(f"{counted} faults that show: {kinds['right']} named rightly ({kinds['right'] / counted:.2%});", dict(kinds))
    for (fault, kind), times in sorted(Counter((e["fault"], e["kind"]) for e in entries if e["fault"]).items()):
        print(f"  {fault}: {kind} {times}")
    for entry in entries:
        if entry["kind"] in COUNTED[1:]:
            print("  ", entry)


if __name__ == "__main__":
    main()
