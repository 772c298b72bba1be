"""What a run leaves behind: outputs where they were asked for, and always the counted events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.faults import Fault


@dataclass(frozen=True, eq=False)
class Activity:
    """One layer's events over a whole run (all samples, all steps).

    Attributes:
        spikes: [*shape] non-zero outputs sent by each neuron, in all steps that the chip runs.
        per_sample: [B] non-zero outputs of each sample.
        updates: neuron-steps computed.
        active: neuron-steps in which a synaptic input or bias other than 0 arrived.
        wraps: neuron-steps in which u wrapped; ``saturations``: in which v was clipped.
        outside: neuron-steps in which a neuron program read a table beyond its ends, where its last value holds.
        aside: of the spikes, those sent besides the layer's own T steps: while the pipeline fills and drains, and in the later
            phases of a step that takes the chip several.
    """

    spikes: Ints
    per_sample: Ints
    updates: int
    active: int
    wraps: int = 0
    saturations: int = 0
    outside: int = 0
    aside: int = 0

    @property
    def neurons(self) -> int:
        """How many neurons."""
        return int(self.spikes.size)

    @property
    def own(self) -> int:
        """Spikes of all neurons in the layer's own T steps, which are the model's."""
        return int(self.spikes.sum()) - self.aside


@dataclass(frozen=True, eq=False)
class Trace:
    """A run of ``samples`` samples over ``steps`` steps, which on a chip are more than the ``length`` steps of the model (0: as many).

    ``outputs`` [T, B, *shape] holds what each recorded layer sent at each step, ``states`` the same for state words
    under "layer.word". Layers of a chip network run ``shifts[layer]`` steps late. ``faults`` are what left its register.
    """

    engine: str
    steps: int
    samples: int
    activity: Mapping[str, Activity]
    outputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    states: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    shifts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    length: int = 0
    faults: tuple[Fault, ...] = ()

    def rate(self, layer: str) -> float:
        """The fraction of a layer's own neuron-steps with a spike, at most 1, on a chip as in a graph.

        What the chip sends ``aside`` is not counted. 0 for what is not computed (inputs).
        """
        activity = self.activity[layer]
        steps = activity.neurons * self.samples * (self.length or self.steps)
        return activity.own / steps if activity.updates and steps else 0.0

    def __post_init__(self) -> None:
        for name in ("activity", "outputs", "states", "shifts"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


def merge(parts: list[Trace]) -> Trace:
    """One trace of several batches of the same network."""
    first = parts[0]
    if len(parts) == 1:
        return first
    return replace(
        first,
        samples=sum(p.samples for p in parts),
        seconds=sum(p.seconds for p in parts),
        activity={name: _add([p.activity[name] for p in parts]) for name in first.activity},
        outputs={name: np.concatenate([p.outputs[name] for p in parts], axis=1) for name in first.outputs},
        states={name: np.concatenate([p.states[name] for p in parts], axis=1) for name in first.states},
        faults=_all_faults(parts),
    )


def _add(parts: list[Activity]) -> Activity:
    names = ("updates", "active", "wraps", "saturations", "outside", "aside")
    totals = {n: sum(getattr(p, n) for p in parts) for n in names}
    spikes = np.sum([p.spikes for p in parts], axis=0)
    return Activity(spikes, np.concatenate([p.per_sample for p in parts]), **totals)


def _all_faults(parts: list[Trace]) -> tuple[Fault, ...]:
    """One fault for each layer and kind, its sample counted through all batches."""
    found: dict[tuple[str, str], list[Fault]] = {}
    done = 0
    for part in parts:
        for fault in part.faults:
            found.setdefault((fault.layer, fault.kind), []).append(replace(fault, sample=fault.sample + done))
        done += part.samples
    order = {name: i for i, name in enumerate(parts[0].activity)}
    return tuple(_one_fault(found[key]) for key in sorted(found, key=lambda key: order.get(key[0], len(order))))


def _one_fault(parts: list[Fault]) -> Fault:
    first = min(parts, key=lambda f: (f.step, f.sample))
    totals = {name: sum(getattr(f, name) for f in parts) for name in ("count", "samples", "after")}
    return replace(first, **totals)
