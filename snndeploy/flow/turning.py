"""Decisions that a run did not tell: whether those near a threshold, turned around, make the graph give what the model gave.

Rounding may have taken the model another way than the graph wherever a potential lies near a threshold. Where the run
tells what the neurons sent, the graph is led along; where it does not, the ways are tried: a difference is a tie only if
one of them leads to the model's own outputs, a difference if none does, and nothing at all if there are too many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from snndeploy.ir.following import Mask
from snndeploy.ir.graph import Graph
from snndeploy.ir.held import Held

MOST = 256
"""So many ways are tried of a sample: every one that about eight near decisions make."""
AT_ONCE = 32
NEVER = 1 << 62
"""The step of the first trouble where there is none."""


@dataclass(frozen=True, order=True)
class Turn:
    """One decision taken the other way: at which step, of which node (its place in the running order), which, and where."""

    step: int
    place: int
    decision: int
    neuron: tuple[int, ...]


@dataclass(frozen=True)
class Way:
    """What a search found: "tie" with the turns that lead to the model's outputs, "different", or "open": too many ways."""

    found: Literal["tie", "different", "open"]
    turns: tuple[Turn, ...] = ()
    ties: int = 0


@dataclass(frozen=True, eq=False)
class Tried:
    """Several ways, run side by side as the samples of one batch.

    ``trouble``: of each the first step that is not explained, ``NEVER`` where none is, T where it is a sum of all steps.
    """

    held: Held
    trouble: NDArray[np.int64]


Trial = Callable[[int, dict[str, Mask]], Tried]
"""One sample, so many times over, each with turns of its own, [T, decisions, count, *shape] by node."""


def search(graph: Graph, found: Tried, at: int, trial: Trial) -> Way:
    """Whether near decisions explain sample ``at`` of ``found``, in which none was turned: the fewest turns first.

    A turn changes nothing before it, so of each way only turns up to its first trouble are tried, in running order: if
    none is left, no way leads to the model's outputs.
    """
    tried, ways = 0, list(_next(graph, (), found, at))
    while ways:
        further: list[tuple[Turn, ...]] = []
        for start in range(0, len(ways), AT_ONCE):
            some = ways[start : start + AT_ONCE]
            if tried + len(some) > MOST:
                return Way("open")
            tried += len(some)
            done = trial(len(some), _masks(graph, found.held, some))
            for k, turns in enumerate(some):
                if done.trouble[k] == NEVER:
                    return Way("tie", turns, len(turns) + sum(int(m[:, k].sum()) for m in done.held.ties.values()))
                further += _next(graph, turns, done, k)
        ways = further
    return Way("different")


def near(held: Held, samples: int) -> Mask:
    """The samples in which a decision that was not told may be turned around."""
    found = [m.any(axis=(0, 1)).reshape(samples, -1).any(axis=1) for m in held.spots.values()]
    return np.asarray(np.logical_or.reduce([np.zeros(samples, np.bool_), *found]))


def _next(graph: Graph, turns: tuple[Turn, ...], tried: Tried, at: int) -> Iterator[tuple[Turn, ...]]:
    """The ways that go on from one by a further turn."""
    for name, spots in tried.held.spots.items():
        place = graph.order.index(name)
        for step, decision, *neuron in np.argwhere(spots[: int(min(tried.trouble[at], len(spots))) + 1, :, at]):
            turn = Turn(int(step), place, int(decision), tuple(int(i) for i in neuron))
            if not turns or turn > turns[-1]:
                yield (*turns, turn)


def _masks(graph: Graph, held: Held, ways: Sequence[tuple[Turn, ...]]) -> dict[str, Mask]:
    masks = {n: np.zeros((*s.shape[:2], len(ways), *s.shape[3:]), np.bool_) for n, s in held.spots.items()}
    for k, turns in enumerate(ways):
        for turn in turns:
            masks[graph.order[turn.place]][(turn.step, turn.decision, k, *turn.neuron)] = True
    return masks
