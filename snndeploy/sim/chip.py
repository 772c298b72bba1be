"""The chip network run in integers, bit for bit as Lava 0.10 ``fixed_pt`` computes it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Shape
from snndeploy.chip.models import HostInput, Lif, TernaryLif
from snndeploy.chip.network import ChipNetwork, Projection, Wire
from snndeploy.errors import ChipError, OptionError, did_you_mean
from snndeploy.sim.feed import Port, at, check_payload, sizes
from snndeploy.sim.leaving import Left
from snndeploy.sim.populations import Drive, State, Stepper, host_bias, initial_state, stepper
from snndeploy.sim.record import PopulationRecord, Span, trace_of
from snndeploy.sim.synapses import Sender, Values, sender
from snndeploy.trace import Trace, merge

Data: TypeAlias = Mapping[str, NDArray[Any]]
Progress: TypeAlias = Callable[[int, int], None]
End: TypeAlias = tuple[str, int]
"""A population and its port."""


def run_chip(
    network: ChipNetwork,
    inputs: Data,
    steps: int | None = None,
    record: Iterable[str] | None = None,
    states: Iterable[str] | bool = False,
    batch: int | None = None,
    progress: Progress | None = None,
    exact: bool = False,
) -> Trace:
    """Every sample from cleared state, all samples at once.

    A projection sends at t what it summed at t - 1; a wire acts in the same step; after its last step an input is 0, and so it
    is at every chip step of ``network.phases`` but the first.

    Args:
        network: what to run.
        inputs: whole numbers ``[T, B, *shape]`` for every HostInput, ``[1, B, *shape]`` where it is static.
        steps: chip steps; None: ``network.chip_steps(T)``, so that the last layer sees all T.
        record: populations whose output is kept: what they sent, or the word they read, such as v; None: all.
        states: populations whose state words are kept under "name.word", after the step's reset; True: all.
        batch: at most this many samples at a time, which bounds memory; None: all.
        progress: called with (chip steps done, chip steps in all) after every step.
        exact: int64 arithmetic only. The result is the same, only slower: this is what the fast paths are held against.

    Raises:
        DataError: data that does not fit the inputs: names, shapes, fractions, payloads too wide.
        OptionError: an unknown name in ``record`` or ``states``, or a number below 1.
    """
    started = time.perf_counter()
    inputs = {name: np.asarray(values) for name, values in inputs.items()}
    length, samples = _check(network, inputs)
    length = length or network.steps or ((steps or 0) - network.latency) // network.phases
    steps = network.chip_steps(length) if steps is None else steps
    batch = max(1, samples) if batch is None else batch
    if min(length, steps, batch) < 1:
        raise OptionError("steps", f"nothing to run: {length} input steps, {steps} chip steps, {batch} samples at a time")
    plan = _plan(network, length, steps, _names(network, record, "record"), _names(network, states, "states"), exact)
    whole = merge(list(_batches(plan, inputs, samples, batch, progress)))
    return dataclasses.replace(whole, seconds=time.perf_counter() - started)


def _check(network: ChipNetwork, inputs: Data) -> tuple[int | None, int]:
    """(T, B) of data that the host can inject; T is None where every input is one static step."""
    hosts = {name: p.model for name, p in network.inputs().items() if isinstance(p.model, HostInput)}
    found = sizes(inputs, {name: Port(network.populations[name].shape, host.static) for name, host in hosts.items()})
    for name, host in hosts.items():
        check_payload(name, inputs[name], host)
    return found


@dataclass(frozen=True, eq=False)
class Plan:
    """A run without its data: ``length`` steps of the model, ``steps`` on the chip, what to keep, and what leaves where."""

    network: ChipNetwork
    length: int
    steps: int
    record: tuple[str, ...]
    states: tuple[str, ...]
    exact: bool
    wires: Mapping[str, tuple[Projection, ...]]
    senders: Mapping[str, tuple[tuple[Sender, tuple[End, ...]], ...]]
    """Per source: what it sends, and every end that gets these same sums."""


def _plan(network: ChipNetwork, length: int, steps: int, record: tuple[str, ...], states: tuple[str, ...], exact: bool) -> Plan:
    for name, p in network.populations.items():
        if p.reads != "spikes" and p.reads not in initial_state(p, 1):
            raise ChipError(name, f"the host reads its {p.reads}, but a {type(p.model).__name__} has no word of that name")
    shapes = {name: p.shape for name, p in network.populations.items()}
    leaving = {name: [p for p in network.projections if p.source == name] for name in shapes}
    wires = {name: tuple(p for p in out if isinstance(p.synapses, Wire)) for name, out in leaving.items()}
    senders = {
        name: tuple((sender(p, shapes[p.source], shapes[p.target], exact), ends) for p, ends in _shared(out, shapes))
        for name, out in leaving.items()
    }
    return Plan(network, length, steps, record, states, exact, wires, senders)


def _shared(leaving: list[Projection], shapes: Mapping[str, Shape]) -> Iterator[tuple[Projection, tuple[End, ...]]]:
    """Projections that sum the same synapses (the banks of a decoupled neuron do), summed once for all their targets."""
    groups: dict[object, list[Projection]] = {}
    for p in leaving:
        if not isinstance(p.synapses, Wire):
            parts = (getattr(p.synapses, f.name) for f in dataclasses.fields(p.synapses))
            content = tuple(x.tobytes() if isinstance(x, np.ndarray) else x for x in parts)
            key = (type(p.synapses), content, p.exponent, p.delay, p.graded, shapes[p.target])
            groups.setdefault(key, []).append(p)
    for same in groups.values():
        yield same[0], tuple((p.target, p.port) for p in same)


def _names(network: ChipNetwork, wanted: Iterable[str] | bool | None, option: str) -> tuple[str, ...]:
    if wanted is None or wanted is True:
        return tuple(network.populations)
    names = () if wanted is False else tuple(wanted)
    for name in names:
        if name not in network.populations:
            raise OptionError(option, f"there is no population {name!r}", did_you_mean(name, network.populations))
    return names


class Arrivals:
    """What is under way: one sum for each end and step, added to as spikes are sent."""

    def __init__(self) -> None:
        self._sums: dict[tuple[End, int], Values] = {}
        self._lost: dict[tuple[str, int], tuple[Left, ...]] = {}

    def add(self, end: End, step: int, values: Values) -> None:
        """``values`` will reach ``end`` at ``step``."""
        before = self._sums.get((end, step))
        self._sums[end, step] = values if before is None else before + values

    def take(self, target: str, step: int, port: int = 0) -> Values | None:
        """What reaches ``target`` at ``step``; None: nothing."""
        return self._sums.pop(((target, port), step), None)

    def lose(self, target: str, step: int, lost: tuple[Left, ...]) -> None:
        """Sums that will reach ``target`` at ``step`` have wrapped."""
        self._lost[target, step] = (*self._lost.get((target, step), ()), *lost)

    def lost(self, target: str, step: int) -> tuple[Left, ...]:
        """Where sums that reach ``target`` at ``step`` had wrapped."""
        return self._lost.pop((target, step), ())


def _batches(plan: Plan, inputs: Data, samples: int, batch: int, progress: Progress | None) -> Iterator[Trace]:
    firsts = range(0, max(1, samples), batch)
    for i, first in enumerate(firsts):
        part = {name: values[:, first : first + batch] for name, values in inputs.items()}
        yield _run(plan, part, min(batch, samples - first), _offset(progress, i * plan.steps, len(firsts) * plan.steps))


def _run(plan: Plan, inputs: Data, samples: int, progress: Progress) -> Trace:
    populations = plan.network.populations
    neurons = {name: p for name, p in populations.items() if not isinstance(p.model, HostInput)}
    steppers: dict[str, Stepper] = {name: stepper(p, samples, plan.exact) for name, p in neurons.items()}
    states: dict[str, State] = {name: initial_state(p, samples) for name, p in neurons.items()}
    records = {
        n: PopulationRecord(p, Span(plan.length, plan.network.phases, plan.steps), samples, n in plan.record, n in plan.states)
        for n, p in populations.items()
    }
    synaptic, bias = Arrivals(), Arrivals()
    for t in range(1, plan.steps + 1):
        sent = {name: _injected(plan, name, inputs[name], t) for name in plan.network.inputs()}
        for name, values in sent.items():
            _wire(plan, name, values, t, synaptic, bias)
            records[name].injected(t, values)
        for name in neurons:
            drive = Drive(t, synaptic.take(name, t), bias.take(name, t), synaptic.take(name, t, 1), synaptic.lost(name, t))
            fired = steppers[name](states[name], drive)
            states[name], sent[name] = fired.state, fired.spikes
            records[name].fired(drive, fired)
        for name, spikes in sent.items():
            _send(plan.senders[name], spikes, t, synaptic)
        progress(t, plan.steps)
    return trace_of(plan.network, plan.length, plan.steps, samples, records)


def _injected(plan: Plan, name: str, values: Values, t: int) -> Values:
    model = plan.network.populations[name].model
    assert isinstance(model, HostInput)
    step, phase = divmod(t - 1, plan.network.phases)
    return at(values, step, model.static) if phase == 0 and step < plan.length else np.zeros(values.shape[1:], np.int8)


def _wire(plan: Plan, name: str, values: Values, t: int, synaptic: Arrivals, bias: Arrivals) -> None:
    for p in plan.wires[name]:
        model = plan.network.populations[p.target].model
        if isinstance(p.synapses, Wire) and p.synapses.as_bias and isinstance(model, Lif | TernaryLif):
            bias.add((p.target, 0), t + p.delay, host_bias(model, values))
        else:
            synaptic.add((p.target, p.port), t + p.delay, values.astype(np.int64 if plan.exact else np.float64))


def _send(senders: tuple[tuple[Sender, tuple[End, ...]], ...], spikes: Values, t: int, synaptic: Arrivals) -> None:
    if not senders:
        return
    peak = max(int(spikes.max(initial=0)), -int(spikes.min(initial=0)))
    for made, ends in senders if peak else ():
        for late, sums, lost in made.send(spikes, peak):
            for end in ends:
                synaptic.add(end, t + late, sums)
                if lost:
                    synaptic.lose(end[0], t + late, lost)


def _offset(progress: Progress | None, done: int, total: int) -> Progress:
    """A batch's progress as a part of the whole run's."""
    return (lambda step, _: progress(done + step, total)) if progress is not None else (lambda _, __: None)
