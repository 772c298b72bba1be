"""Give every neuron its shift in time and every synapse the delay that makes all paths meet.

In the graph a spike passes all layers in one step; on the chip each synapse takes one. A neuron with shift l does
at chip step t + l what it does in the graph at step t. A synapse from shift s to shift l, delayed d in the graph,
takes 1 + D chip steps with D = l - s + d - 1 >= 0. The smallest such shifts are longest paths; a cycle whose
synapses outnumber its delays has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.paths import Path, is_source, neurons, paths_into

WIRED_HOPS = 0


@dataclass(frozen=True)
class Alignment:
    """``shifts`` in steps of every neuron and Input (0); ``wired`` names neurons whose input needs no synapse step."""

    shifts: Mapping[str, int]
    wired: frozenset[str]

    def delay(self, path: Path, target: str) -> int:
        """Extra steps D of the synapse at the end of ``path``."""
        hops = WIRED_HOPS if target in self.wired and path.source in self.wired else 1
        return self.shifts[target] - self.shifts[path.source] + path.delay - hops


def align(graph: Graph, wired: frozenset[str] = frozenset()) -> Alignment:
    """The smallest shifts. ``wired``: host inputs and the neurons they enter in the same step.

    Raises:
        Unsupported: L017, a cycle with more synapses than delay.
    """
    names = neurons(graph)
    shifts = {name: 0 for name, node in graph.nodes.items() if is_source(node)}
    links = [(path, name) for name in names for path in paths_into(graph, name)]
    for _ in range(len(shifts) + 1):
        late = [(path, name, _earliest(path, name, shifts, wired)) for path, name in links]
        moved = [(name, need) for _, name, need in late if need > shifts[name]]
        if not moved:
            return Alignment(MappingProxyType(shifts), wired)
        for name, need in moved:
            shifts[name] = max(shifts[name], need)
    loop = ", ".join(sorted({name for name, _ in moved}))
    raise Unsupported(
        loop,
        "L017: the feedback through these layers passes more synapses than it has delay, and each synapse takes a step on the chip",
        "train the recurrence with a delay of one step per synapse it passes, or run several chip steps per model step",
    )


def _earliest(path: Path, target: str, shifts: Mapping[str, int], wired: frozenset[str]) -> int:
    hops = WIRED_HOPS if target in wired and path.source in wired else 1
    return shifts[path.source] + hops - path.delay


def cyclic(graph: Graph) -> frozenset[str]:
    """Neurons that can reach themselves through synapses."""
    feeds: dict[str, set[str]] = {}
    for name in neurons(graph):
        for path in paths_into(graph, name):
            feeds.setdefault(path.source, set()).add(name)
    return frozenset(name for name in neurons(graph) if name in _reachable(feeds, name))


def _reachable(feeds: Mapping[str, set[str]], start: str) -> set[str]:
    seen: set[str] = set()
    todo = list(feeds.get(start, ()))
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo.extend(feeds.get(name, ()))
    return seen
