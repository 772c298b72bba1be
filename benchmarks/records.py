"""Records of long runs: a line of JSON a seed, kept as it is made, so that a run that was stopped goes on where it was."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any


def read(record: Path) -> dict[int, dict[str, Any]]:
    """The lines by seed; one that was cut short when a run was stopped is left out."""
    found: dict[int, dict[str, Any]] = {}
    for line in record.read_text(encoding="utf-8").splitlines() if record.is_file() else ():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        found[entry["seed"]] = entry
    return found


def lines(record: Path, seeds: Iterable[int], made: Callable[[int], Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The line of each seed: the recorded one, or what is ``made`` now and appended to the record."""
    done = read(record)
    cut = record.is_file() and not record.read_bytes().endswith(b"\n")
    with record.open("a", encoding="utf-8") as file:
        file.write("\n" if cut else "")
        for seed in seeds:
            if seed not in done:
                done[seed] = {"seed": seed, **made(seed)}
                file.write(json.dumps(done[seed]) + "\n")
                file.flush()
            yield done[seed]
