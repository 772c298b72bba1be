"""The float64 definition: a graph run step by step with the equations its nodes state."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.errors import DataError, OptionError, did_you_mean
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.stepping import Step, initial_states, stepper
from snndeploy.ir.xp import Namespace
from snndeploy.sim.feed import Port, at, sizes
from snndeploy.sim.record import SpikeCount
from snndeploy.trace import Trace

__all__ = ["Step", "initial_states", "run_reference", "stepper"]


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
