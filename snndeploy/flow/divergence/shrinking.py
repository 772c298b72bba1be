"""Delta debugging: the smallest input, and the smallest part of the layer, that still differ.

Source of the search: A. Zeller, R. Hildebrandt, "Simplifying and isolating failure-inducing input", IEEE Trans. Software
Engineering 28(2), 2002 (ddmin); all complements of one granularity are tried as one batch of samples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.flow.divergence.comparing import Sides, first_steps, run_both
from snndeploy.flow.divergence.sides import Series
from snndeploy.flow.feeding import Feed

BUDGET = 48
"""Batches that the search may run."""
BATCH = 32
"""Candidates run at once."""
Differs = Callable[[list[Ints]], list[bool]]
"""Of several sets of entries to keep, which still differ."""


def minimal(entries: Ints, differs: Differs, budget: int = BUDGET) -> tuple[Ints, int]:
    """A subset of ``entries`` that still differs and from which no chunk that was tried can go; and the batches it took."""
    kept, pieces, runs = entries, 2, 0
    while len(kept) > 1 and runs < budget:
        chunks = np.array_split(np.arange(len(kept)), min(pieces, len(kept)))
        candidates = [np.delete(kept, chunk) for chunk in chunks]
        better, used = _first(candidates, differs, budget - runs)
        runs += used
        if better is not None:
            kept, pieces = better, max(2, pieces - 1)
        elif pieces >= len(kept):
            break
        else:
            pieces *= 2
    return kept, runs


def _first(candidates: list[Ints], differs: Differs, budget: int) -> tuple[Ints | None, int]:
    for runs, start in enumerate(range(0, min(len(candidates), BATCH * budget), BATCH), 1):
        batch = candidates[start : start + BATCH]
        for candidate, still in zip(batch, differs(batch), strict=True):
            if still:
                return candidate, runs
    return None, -(-min(len(candidates), BATCH * budget) // BATCH)


@dataclass(frozen=True, eq=False)
class Shrunk:
    """The reduced data, how many entries are left of how many, and the batches that took."""

    data: Feed
    entries: int
    before: int
    runs: int


def shrink(s: Sides, culprit: str, sample: int, step: int, hidden: bool) -> Shrunk:
    """One sample, no input after ``step``, and as few values other than 0 as still make ``culprit`` the first to differ."""
    one = {n: values[:, sample : sample + 1].copy() for n, values in s.data.inputs.items()}
    for values in one.values():
        if len(values) > 1:
            values[step + 1 :] = 0
    before = sum(int(np.count_nonzero(v[:, sample])) for v in s.data.inputs.values())
    places = _places(one)

    def differs(kept: list[Ints]) -> list[bool]:
        batch = _masked(one, places, kept)
        return _still(run_both(s.a, s.b, replace(s.data, inputs=batch, labels=None)), culprit, hidden)

    entries = np.arange(len(places))
    kept, runs = minimal(entries, differs)
    return Shrunk(replace(s.data, inputs=_masked(one, places, [kept]), labels=None), len(kept), before, runs)


def _places(inputs: Mapping[str, Series]) -> list[tuple[str, int]]:
    return [(n, int(i)) for n, values in inputs.items() for i in np.flatnonzero(values)]


def _masked(inputs: Mapping[str, Series], places: list[tuple[str, int]], kept: list[Ints]) -> dict[str, Series]:
    """One sample for each set of kept places, everything else 0."""
    batch = {n: np.zeros((len(v), len(kept), *v.shape[2:])) for n, v in inputs.items()}
    for i, entries in enumerate(kept):
        for name, values in inputs.items():
            own = np.array([places[e][1] for e in entries if places[e][0] == name], np.int64)
            flat = np.zeros(values.size)
            flat[own] = values.reshape(-1)[own]
            batch[name][:, i] = flat.reshape(values.shape)[:, 0]
    return batch


def _still(s: Sides, culprit: str, hidden: bool) -> list[bool]:
    firsts = first_steps(s, hidden)
    order = {layer: i for i, layer in enumerate(firsts)}
    moments = np.stack([steps * len(order) + order[layer] for layer, steps in firsts.items()])
    earliest = moments.argmin(axis=0)
    return [bool(earliest[i] == order[culprit] and firsts[culprit][i] < s.data.steps) for i in range(moments.shape[1])]


def leading_steps(data: Feed) -> int:
    """How many steps of the data hold anything; all where an input holds still."""
    used = [1 + int(np.flatnonzero(v.reshape(len(v), -1).any(axis=1)).max(initial=-1)) for v in data.inputs.values() if len(v) > 1]
    return max(used) if len(used) == len(data.inputs) else data.steps
