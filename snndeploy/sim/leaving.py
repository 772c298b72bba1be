"""What left its register in a run: counted, and where it did so first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Shape
from snndeploy.faults import Fault


@dataclass(frozen=True, eq=False)
class Left:
    """Values of one step that a register could not hold: as they should be, and what it made of them.

    Both broadcast against ``[B, *shape]``; they differ exactly where something was lost. ``kind`` is one of ``faults.KINDS``.
    """

    kind: str
    wanted: NDArray[Any]
    held: NDArray[Any]


def left(kind: str, wanted: NDArray[Any], held: NDArray[Any]) -> tuple[Left, ...]:
    """Nothing where the register held every value."""
    return () if np.array_equal(wanted, held) else (Left(kind, wanted, held),)


def merged(lost: Iterable[Left]) -> tuple[Left, ...]:
    """One of each kind: a neuron that left its register twice in a step counts once, with what came first."""
    found: dict[str, Left] = {}
    for one in lost:
        before = found.get(one.kind)
        found[one.kind] = one if before is None else _either(before, one)
    return tuple(found.values())


def _either(before: Left, now: Left) -> Left:
    lost = before.wanted != before.held
    return Left(now.kind, np.where(lost, before.wanted, now.wanted), np.where(lost, before.held, now.held))


@dataclass(eq=False)
class Tally:
    """What one register of a population lost: neuron-steps up to the layer's last own step, and ``after`` it."""

    samples: NDArray[np.bool_]
    count: int = 0
    after: int = 0
    first: tuple[int, int, tuple[int, ...], float, float] | None = None
    """Step of the layer's own time, sample, neuron, what it should be, what it was."""


@dataclass(eq=False)
class Ledger:
    """One population's losses in a run of ``samples`` samples.

    ``shift`` is the chip step (from 1) after which its own steps begin; it has ``length`` of them, each of ``phases`` chip steps.
    """

    shape: Shape
    samples: int
    shift: int
    length: int
    phases: int
    tallies: dict[str, Tally] = field(default_factory=dict)

    def own(self, step: int) -> bool:
        """Whether chip step ``step`` is one that the model knows; others fill and drain the pipeline, or are a later phase of one."""
        since = step - 1 - self.shift
        return 0 <= since < self.length * self.phases and since % self.phases == 0

    def enter(self, step: int, lost: Iterable[Left]) -> None:
        """What was lost in chip step ``step``. Losses before the layer's own steps leave their mark on them, so they count."""
        for one in lost:
            mask = np.broadcast_to(one.wanted != one.held, (self.samples, *self.shape))
            tally = self.tallies.setdefault(one.kind, Tally(np.zeros(self.samples, bool)))
            if step - self.shift > self.length * self.phases:
                tally.after += int(np.count_nonzero(mask))
                continue
            tally.count += int(np.count_nonzero(mask))
            tally.samples |= mask.reshape(self.samples, -1).any(axis=1)
            if tally.first is None and mask.any():
                place = np.unravel_index(int(np.argmax(mask)), mask.shape)
                values = (float(np.broadcast_to(x, mask.shape)[place]) for x in (one.wanted, one.held))
                sample, *neuron = (int(i) for i in place)
                tally.first = ((step - 1 - self.shift) // self.phases, sample, tuple(neuron), *values)  # type: ignore[assignment]

    def total(self, *kinds: str) -> int:
        """Neuron-steps of these kinds, in every chip step."""
        return sum(t.count + t.after for kind, t in self.tallies.items() if kind in kinds)

    def faults(self, layer: str) -> tuple[Fault, ...]:
        """What was lost in steps that matter, one fault a kind."""
        return tuple(
            Fault(layer, kind, t.count, *t.first, int(np.count_nonzero(t.samples)), t.after)
            for kind, t in self.tallies.items()
            if t.first is not None
        )
