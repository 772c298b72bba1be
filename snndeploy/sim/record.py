"""What a chip run leaves behind: outputs and states where asked for, events always."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import HostInput, Lif, Resonator, TernaryLif
from snndeploy.chip.network import ChipNetwork, Population
from snndeploy.sim.kernels import Bools
from snndeploy.sim.leaving import Ledger, merged
from snndeploy.sim.populations import Drive, Fired, bias_of
from snndeploy.trace import Activity, Trace


class SpikeCount:
    """Non-zero outputs of every neuron of every sample."""

    def __init__(self, shape: Shape, samples: int) -> None:
        self.spikes = np.zeros((samples, *shape), np.int32)

    def add(self, output: NDArray[Any]) -> None:
        """Count one step's outputs ``[B, *shape]``."""
        self.spikes += output != 0

    def activity(self, updates: int, active: int, **more: int) -> Activity:
        """The events with these other totals."""
        total: Ints = self.spikes.sum(axis=0, dtype=np.int64)
        per_sample = self.spikes.reshape(len(self.spikes), total.size).sum(axis=1, dtype=np.int64)
        return Activity(total, per_sample, updates, active, **more)


@dataclass(frozen=True)
class Span:
    """A run of ``length`` steps of the model, each of ``phases`` steps of the chip, which makes ``steps`` in all."""

    length: int
    phases: int
    steps: int


class PopulationRecord:
    """One population's part of a run."""

    def __init__(self, population: Population, span: Span, samples: int, keep: bool, states: bool) -> None:
        self.population, self.steps, self.samples, self.keep, self.keep_states = population, span.steps, samples, keep, states
        self.shape = (span.steps, samples, *population.shape)
        self.output = np.empty(self.shape if keep else 0, _dtype(population))
        self.states: dict[str, NDArray[np.int32]] = {}
        self.count = SpikeCount(population.shape, samples)
        self.active = self.aside = 0
        self.ledger = Ledger(population.shape, samples, population.shift, span.length, span.phases)
        self.biased = np.broadcast_to(bias_of(population.model) != 0, population.shape)

    def injected(self, step: int, values: NDArray[Any]) -> None:
        """The host sent ``values`` at ``step`` (from 1)."""
        self.count.add(values)
        if self.keep:
            self.output[step - 1] = values

    def fired(self, drive: Drive, fired: Fired) -> None:
        """The neurons made one step."""
        if fired.spikes.any():
            self.count.add(fired.spikes)
            self.aside += 0 if self.ledger.own(drive.step) else int(np.count_nonzero(fired.spikes))
        self.active += count_active(self.biased, drive, self.samples)
        if drive.lost or fired.lost:
            self.ledger.enter(drive.step, merged((*drive.lost, *fired.lost)))
        if self.keep:
            self.output[drive.step - 1] = fired.spikes if self.population.reads == "spikes" else fired.state[self.population.reads]
        for word, values in fired.state.items() if self.keep_states else ():
            self.states.setdefault(word, np.empty(self.shape, np.int32))[drive.step - 1] = values

    def activity(self) -> Activity:
        """Its events; the host's inputs are sent, but the chip updates no neuron for them."""
        updates = 0 if isinstance(self.population.model, HostInput) else self.steps * self.count.spikes.size
        wraps, clips, outside = (self.ledger.total(*kinds) for kinds in (("current",), ("membrane", "word"), ("table",)))
        return self.count.activity(updates, self.active, wraps=wraps, saturations=clips, outside=outside, aside=self.aside)


def count_active(biased: Bools, drive: Drive, samples: int) -> int:
    """Neurons of all samples at which a synaptic input or a bias other than 0 arrived."""
    arrived = [values != 0 for values in (drive.synaptic, drive.bias, drive.imaginary) if values is not None]
    if not arrived:
        return int(np.count_nonzero(biased)) * samples
    shown = functools.reduce(np.logical_or, arrived)
    return int(np.count_nonzero(shown | biased if biased.any() else shown))


def _dtype(population: Population) -> type[np.signedinteger[Any]]:
    binary = isinstance(population.model, Lif | TernaryLif | Resonator) and population.reads == "spikes"
    return np.int8 if binary else np.int32


def trace_of(network: ChipNetwork, length: int, steps: int, samples: int, records: Mapping[str, PopulationRecord]) -> Trace:
    """The trace of one run of ``length`` steps of the model, ``steps`` of the chip."""
    activity = {name: r.activity() for name, r in records.items()}
    outputs = {name: r.output for name, r in records.items() if r.keep}
    states = {f"{name}.{word}": values for name, r in records.items() for word, values in r.states.items()}
    shifts = {name: p.shift for name, p in network.populations.items()}
    faults = tuple(fault for name, r in records.items() for fault in r.ledger.faults(name))
    return Trace("chip", steps, samples, activity, outputs, states, shifts, length=length, faults=faults)
