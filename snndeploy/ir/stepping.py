"""A graph run step by step with the equations its nodes state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.graph import Edge, Graph, State
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import at_ports
from snndeploy.ir.xp import Array, Namespace


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
