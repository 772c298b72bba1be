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
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.paths import Path, is_source, neurons, paths_into


@dataclass(frozen=True)
class Alignment:
    """``shifts`` in steps of every neuron and source (0). What the host writes into ``hosts``' targets takes no step."""

    shifts: Mapping[str, int]
    hosts: frozenset[str]

    def delay(self, path: Path, target: str) -> int:
        """Extra steps D of the synapse at the end of ``path``."""
        return self.shifts[target] - self.shifts[path.source] + path.delay - (path.source not in self.hosts)


def align(graph: Graph) -> Alignment:
    """The smallest shifts. A current that the host computed enters its neuron in the same step.

    Raises:
        Unsupported: L017, a cycle with more synapses than delay.
    """
    names, hosts = neurons(graph), frozenset(graph.named(HostCurrent))
    shifts = {name: 0 for name, node in graph.nodes.items() if is_source(node)}
    links = [(path, name) for name in names for path in paths_into(graph, name)]
    pushed: dict[str, str] = {}
    for _ in range(len(shifts) + 1):
        before = dict(shifts)
        for path, name in links:
            need = shifts[path.source] + (path.source not in hosts) - path.delay
            if need > shifts[name]:
                shifts[name], pushed[name] = need, path.source
        if shifts == before:
            return Alignment(MappingProxyType(shifts), hosts)
    raise Unsupported(
        " -> ".join(_loop(pushed, next(name for name in names if shifts[name] > before[name]))),
        "L017: the feedback through these layers passes more synapses than it has delay, and each synapse takes a step on the chip",
        "train the recurrence with a delay of one step per synapse it passes, or run several chip steps per model step",
    )


def _loop(pushed: Mapping[str, str], late: str) -> tuple[str, ...]:
    """The cycle that pushes ``late`` ever later, from the neuron before each."""
    for _ in pushed:
        late = pushed[late]
    loop = [late]
    while pushed[loop[0]] != late:
        loop.insert(0, pushed[loop[0]])
    return (late, *loop)


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
