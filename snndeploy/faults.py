"""What a run of a chip network lost although it computed every value as it is defined to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "sum": "the synaptic sum wrapped",
        "current": "the current u wrapped",
        "membrane": "the membrane v was clipped",
        "bias": "the bias wrapped",
        "word": "a word of its program saturated",
        "table": "a table was read beyond its ends",
        "state": "a state word left its register",
        "host": "a bias that the host writes was clipped",
        "silent": "it never fires on the chip, but it does in the float network",
    }
)
"""What can go wrong in a run without any value being computed wrongly."""


@dataclass(frozen=True)
class Fault:
    """What a layer lost in a run: a register left its range, or the whole layer fell silent.

    The chip computes as its definition says, so nothing need differ; but its numbers are no longer those of the network.

    Attributes:
        kind: one of ``KINDS``.
        count: neuron-steps, over all samples, up to the layer's last own step; of a silent layer the float layer's spikes.
        step, sample, neuron: where it happens first: a step of the layer's own time from 0 (below 0: while the pipeline
            fills), the sample of the data that does it, the neuron's index; of a silent layer the float network's first spike.
        wanted, held: there, what the value should be, and what the chip made of it.
        samples: how many samples do it.
        after: further neuron-steps while the pipeline drains, which no answer depends on.
    """

    layer: str
    kind: str
    count: int
    step: int
    sample: int
    neuron: tuple[int, ...]
    wanted: float
    held: float
    samples: int = 1
    after: int = 0

    def __str__(self) -> str:
        where = f"step {self.step}, sample {self.sample}, neuron {list(self.neuron)}"
        if self.kind == "silent":
            return f"layer {self.layer}: {KINDS[self.kind]}, which fires {self.count:,} times, first at {where}"
        often = f"{_many(self.count, 'time')} in {_many(self.samples, 'sample')}"
        changed = f"{self.wanted:,.0f} became {self.held:,.0f}"
        return f"layer {self.layer}: {KINDS[self.kind]} {often}, first at {where}: {changed}"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
