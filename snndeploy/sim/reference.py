"""The float64 definition: a graph run step by step with the equations its nodes state."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.errors import DataError, OptionError, did_you_mean
from snndeploy.ir.graph import Edge, Graph, State
from snndeploy.ir.layers import Input, Output
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import at_ports
from snndeploy.ir.xp import Array, Namespace
from snndeploy.sim.feed import Port, at, sizes
from snndeploy.sim.record import SpikeCount
from snndeploy.trace import Trace


@dataclass(frozen=True)
class Step:
    """One step of every node: its port sums, its output ``[B, *shape]``, and its state words afterwards."""

    inputs: Mapping[str, tuple[Array, ...]]
    outputs: Mapping[str, Array]
    states: Mapping[str, Mapping[str, Array]]


def _as_it_is(values: Floats) -> Array:
    return values


def stepper(
    graph: Graph, feed: Iterable[Mapping[str, Array]], batch: int, xp: Namespace = NUMPY, lift: Callable[[Floats], Array] = _as_it_is
) -> Iterator[Step]:
    """Run a graph over any namespace: one ``Step`` for each item of ``feed`` (the value of every Input, ``[B, *shape]``).

    ``lift`` turns the NumPy arrays that exist before the first step (initial states, zeros on delayed edges) into
    arrays of ``xp``. Nodes run in topological order; what enters a port is summed in the order of ``graph.edges``.
    """
    start = initial_states(graph, batch)
    states: dict[str, State] = {name: {word: lift(value) for word, value in words.items()} for name, words in start.items()}
    past: dict[Edge, list[Array]] = {
        edge: [lift(np.zeros((batch, *graph.shapes[edge.source])))] * edge.delay for edge in graph.edges if edge.delay
    }
    for values in feed:
        outputs, inputs = dict(values), {}
        states = dict(states)
        for name in graph.order:
            if name not in values:
                inputs[name] = at_ports(graph, name, outputs, past)
                outputs[name], states[name] = graph.nodes[name].step(inputs[name], states[name], xp)
        for edge, ring in past.items():
            past[edge] = [*ring[1:], outputs[edge.source]]
        yield Step(inputs, outputs, states)


def initial_states(graph: Graph, batch: int) -> dict[str, dict[str, Floats]]:
    """Every node's state words before the first step, ``[B, *shape]``; an empty mapping where it has none."""
    states: dict[str, dict[str, Floats]] = {}
    for name, node in graph.nodes.items():
        first = next((edge.source for edge in graph.into(name) if edge.port == 0), None)
        words = {} if first is None else node.initial_state(graph.shapes[first])
        states[name] = {word: np.broadcast_to(value, (batch, *value.shape)) for word, value in words.items()}
    return states


def run_reference(
    graph: Graph,
    inputs: Mapping[str, Floats],
    steps: int,
    record: Iterable[str] | None = None,
    xp: Namespace = NUMPY,
    states: bool = False,
) -> Trace:
    """The float64 run of a graph, layers all in the same step (no latency).

    Args:
        graph: what to run.
        inputs: for every Input ``[T, B, *shape]`` with T = ``steps``, or ``[1, B, *shape]`` where it is static.
        steps: how many.
        record: the nodes whose outputs are kept; None: those with state, and the Outputs.
        xp: where the nodes compute; its arrays must convert to NumPy.
        states: also keep the state words of the recorded nodes, under "node.word".

    Raises:
        DataError: data that does not fit the graph's inputs.
        OptionError: ``steps`` below 1, or an unknown name in ``record``.
    """
    started = time.perf_counter()
    ports = {name: Port(node.shape, node.static) for name, node in graph.named(Input).items()}
    batch = _check(inputs, ports, steps)
    first = initial_states(graph, batch)
    neurons = {name: first[name] for name in graph.order if first[name]}
    names = _recorded(graph, neurons, record)
    kept = {name: np.empty((steps, batch, *graph.shapes[name])) for name in names}
    words = {f"{n}.{w}": np.empty((steps, *value.shape)) for n in names if states for w, value in neurons.get(n, {}).items()}
    counts = {name: SpikeCount(graph.shapes[name], batch) for name in neurons}
    active = dict.fromkeys(neurons, 0)
    feed = ({name: at(inputs[name], t, port.static).astype(np.float64) for name, port in ports.items()} for t in range(steps))
    for t, step in enumerate(stepper(graph, feed, batch, xp)):
        _keep(t, step, kept, words)
        for name, counter in counts.items():
            counter.add(step.outputs[name])
            active[name] += int(np.count_nonzero(np.broadcast_to(step.inputs[name][0] != 0, counter.spikes.shape)))
    activity = {name: counter.activity(steps * counter.spikes.size, active[name]) for name, counter in counts.items()}
    return Trace("reference", steps, batch, activity, kept, words, seconds=time.perf_counter() - started)


def _keep(t: int, step: Step, outputs: Mapping[str, Floats], words: Mapping[str, Floats]) -> None:
    for name, array in outputs.items():
        array[t] = step.outputs[name]
    for key, array in words.items():
        name, _, word = key.rpartition(".")
        array[t] = step.states[name][word]


def _check(inputs: Mapping[str, Floats], ports: Mapping[str, Port], steps: int) -> int:
    if steps < 1:
        raise OptionError("steps", f"{steps} is less than 1")
    length, batch = sizes(inputs, ports)
    if length not in (None, steps):
        raise DataError("inputs", f"have {length} steps, but {steps} are to be run", "only a static input is repeated")
    for name in ports:
        if not np.isfinite(inputs[name]).all():
            raise DataError(f"input {name!r}", "has NaN or infinite values")
    return batch


def _recorded(graph: Graph, neurons: Iterable[str], record: Iterable[str] | None) -> list[str]:
    wanted = [*neurons, *graph.named(Output)] if record is None else list(record)
    for name in wanted:
        if name not in graph.nodes:
            raise OptionError("record", f"there is no node {name!r}", did_you_mean(name, graph.nodes))
    return [name for name in graph.order if name in set(wanted)]
