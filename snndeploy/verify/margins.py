"""Where a float32 run of a graph may legitimately differ from the float64 reference."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats
from snndeploy.errors import OptionError, did_you_mean
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output
from snndeploy.verify.intervals import lift
from snndeploy.verify.rounding import IntervalNamespace


class Stepped(Protocol):
    """One step of a run: every node's output."""

    @property
    def outputs(self) -> Mapping[str, Any]:
        """Node name -> ``[B, *shape]``."""


Stepper: TypeAlias = Callable[[Graph, Iterable[Mapping[str, Any]], int, Any, Callable[[Floats], Any]], Iterator[Any]]
"""``(graph, feed, batch, xp, lift)`` -> one ``Stepped`` an item of ``feed``; nodes run in the graph's order."""


@dataclass(frozen=True, eq=False)
class Margins:
    """Per recorded node, in running order, each array [T, B, *shape].

    Attributes:
        near: the node decides closer to a threshold than its rounding bound, so its output may differ.
        bound: how far its output may be off otherwise.
    """

    near: Mapping[str, NDArray[np.bool_]]
    bound: Mapping[str, Floats]

    def __post_init__(self) -> None:
        object.__setattr__(self, "near", MappingProxyType(dict(self.near)))
        object.__setattr__(self, "bound", MappingProxyType(dict(self.bound)))

    @property
    def undecided(self) -> int:
        """How many outputs may differ."""
        return sum(int(near.sum()) for near in self.near.values())

    @property
    def exact(self) -> bool:
        """True if no recorded value can differ on these inputs: a float32 run is proven equal, and nothing is excused."""
        return not self.undecided and not any(bound.any() for bound in self.bound.values())


def rounding_margins(
    graph: Graph, inputs: Mapping[str, Floats], steps: int, stepper: Stepper, record: Iterable[str] | None = None
) -> Margins:
    """Run ``graph`` over intervals and keep every margin.

    Args:
        graph: what both executors run.
        inputs: for every Input ``[T, B, *shape]``, or ``[1, B, *shape]`` for one that is static.
        steps: how many.
        stepper: the executor of the reference.
        record: the nodes to keep; None: those with state, and the Outputs.

    Raises:
        OptionError: an unknown name in ``record``.
    """
    names, xp = _recorded(graph, record), IntervalNamespace()
    batch = next(iter(inputs.values())).shape[1]
    counts = {name: _decisions(graph, name) for name in graph.order}
    shapes = {name: (steps, batch, *graph.shapes[name]) for name in names}
    near = {name: np.zeros(shape, np.bool_) for name, shape in shapes.items()}
    bound = {name: np.zeros(shape) for name, shape in shapes.items()}
    feed = ({name: lift(values[t if len(values) > 1 else 0]) for name, values in inputs.items()} for t in range(steps))
    for t, step in enumerate(stepper(graph, feed, batch, xp, lift)):
        made = iter(xp.decisions)
        for name in graph.order:
            own = [next(made) for _ in range(counts[name])]
            if name in near:
                bound[name][t] = step.outputs[name].error
                for decision in own:
                    near[name][t] |= decision.near
        xp.decisions.clear()
    return Margins(near, bound)


def _recorded(graph: Graph, record: Iterable[str] | None) -> list[str]:
    wanted = [n for n in graph.order if _has_state(graph, n) or isinstance(graph.nodes[n], Output)] if record is None else list(record)
    for name in wanted:
        if name not in graph.nodes:
            raise OptionError("record", f"there is no node {name!r}", did_you_mean(name, graph.nodes))
    return [name for name in graph.order if name in set(wanted)]


def _has_state(graph: Graph, name: str) -> bool:
    edges = graph.into(name)
    return bool(edges) and bool(graph.nodes[name].initial_state(graph.shapes[edges[0].source]))


def _decisions(graph: Graph, name: str) -> int:
    """How often a node compares in one step: found by running it alone on zeros."""
    node, xp = graph.nodes[name], IntervalNamespace()
    if isinstance(node, Input):
        return 0
    shapes = {e.port: graph.shapes[e.source] for e in reversed(graph.into(name))}
    zeros = tuple(lift(np.zeros((1, *shapes[p]))) for p in sorted(shapes))
    state = {word: lift(np.asarray(values)[None]) for word, values in node.initial_state(shapes[min(shapes)]).items()}
    node.step(zeros, state, xp)
    return len(xp.decisions)
