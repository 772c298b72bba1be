"""What a run leaves behind: outputs where they were asked for, and always the counted events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints


@dataclass(frozen=True, eq=False)
class Activity:
    """One layer's events over a whole run (all samples, all steps).

    Attributes:
        spikes: [*shape] non-zero outputs sent by each neuron.
        per_sample: [B] non-zero outputs of each sample.
        updates: neuron-steps computed.
        active: neuron-steps in which a synaptic input or bias other than 0 arrived.
        wraps: neuron-steps in which u wrapped; ``saturations``: in which v was clipped.
        outside: neuron-steps in which a neuron program read a table beyond its ends, where its last value holds.
    """

    spikes: Ints
    per_sample: Ints
    updates: int
    active: int
    wraps: int = 0
    saturations: int = 0
    outside: int = 0

    @property
    def neurons(self) -> int:
        """How many neurons."""
        return int(self.spikes.size)


@dataclass(frozen=True, eq=False)
class Trace:
    """A run of ``samples`` samples over ``steps`` steps, which on a chip are more than the ``length`` steps of the model (0: as many).

    ``outputs`` [T, B, *shape] holds what each recorded layer sent at each step, ``states`` the same for state words
    under "layer.word". Layers of a chip network run ``shifts[layer]`` steps late.
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

    def rate(self, layer: str) -> float:
        """Spikes of a neuron in a step of the model: what a sample sent in all its steps, over the model's T, on a chip as in a graph.

        0 for what is not computed (inputs).
        """
        activity = self.activity[layer]
        steps = activity.neurons * self.samples * (self.length or self.steps)
        return float(activity.spikes.sum()) / steps if activity.updates and steps else 0.0

    def __post_init__(self) -> None:
        for name in ("activity", "outputs", "states", "shifts"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))


def merge(parts: list[Trace]) -> Trace:
    """One trace of several batches of the same network."""
    first = parts[0]
    if len(parts) == 1:
        return first
    activity = {name: _add([p.activity[name] for p in parts]) for name in first.activity}
    outputs = {name: np.concatenate([p.outputs[name] for p in parts], axis=1) for name in first.outputs}
    states = {name: np.concatenate([p.states[name] for p in parts], axis=1) for name in first.states}
    samples, seconds = sum(p.samples for p in parts), sum(p.seconds for p in parts)
    return Trace(first.engine, first.steps, samples, activity, outputs, states, first.shifts, seconds, first.length)


def _add(parts: list[Activity]) -> Activity:
    totals = {n: sum(getattr(p, n) for p in parts) for n in ("updates", "active", "wraps", "saturations", "outside")}
    spikes = np.sum([p.spikes for p in parts], axis=0)
    return Activity(spikes, np.concatenate([p.per_sample for p in parts]), **totals)
