"""Where a loop waits: NIR's cycles have no delay, every library that runs them uses the spikes of the previous step.

The delay goes on the edge out of the neuron, before the recurrent synapse, so that the synapse's bias acts from the
first step on (snnTorch RLeaky, RSynaptic: the recurrent layer is applied to the last spikes).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from converters.nir.flatten import Pair
from snndeploy.errors import ModelError

ROUNDS = 20
SHOWN = 8
"""Nodes of a loop that are named."""


def cut(edges: Iterable[Pair], waiting: Collection[Pair], starts: Iterable[str], neurons: Iterable[str], where: str) -> dict[Pair, str]:
    """The edges that must carry one step so that no loop is left, each with the loop it closes, as text.

    Args:
        edges: all edges.
        waiting: the edges that carry a delay already.
        starts: where data enters.
        neurons: the nodes with state.
        where: the file, for messages.
    """
    free = sorted(set(edges) - set(waiting))
    roots = [*sorted(starts), *sorted({name for edge in free for name in edge})]
    stateful = set(neurons)
    late: dict[Pair, str] = {}
    for _ in range(ROUNDS):
        after: dict[str, list[str]] = {}
        for source, target in free:
            after.setdefault(source, []).append(target)
        known = len(late)
        for way, first in _loops(after, roots):
            late.setdefault(_waits(way, first, after, stateful), _text(way, first))
        if len(late) == known:
            return late
        free = [edge for edge in free if edge not in late]
    raise ModelError(where, f"has loops that {ROUNDS} rounds of cutting did not open", "the file is damaged")


def _loops(after: Mapping[str, list[str]], roots: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    """Every edge back to a node on the way, depth first: the way, and where on it the loop begins. Read it before going on."""
    done: set[str] = set()
    for root in roots:
        if root in done:
            continue
        way, on_way = [root], {root: 0}
        left = [iter(after.get(root, ()))]
        while way:
            name = next(left[-1], None)
            if name is None:
                done.add(way[-1])
                del on_way[way.pop()]
                left.pop()
            elif name in on_way:
                yield way, on_way[name]
            elif name not in done:
                on_way[name] = len(way)
                way.append(name)
                left.append(iter(after.get(name, ())))


def _waits(way: list[str], first: int, after: Mapping[str, list[str]], stateful: set[str]) -> Pair:
    """The edge out of the last neuron of the loop, if what lies behind it serves the loop alone; else the edge that closes it."""
    closing = (way[-1], way[first])
    for i in range(len(way) - 1, first - 1, -1):
        if way[i] in stateful:
            return (way[i], way[i + 1] if i + 1 < len(way) else way[first])
        if len(after[way[i]]) > 1:
            return closing
    return closing


def _text(way: list[str], first: int) -> str:
    names = way[first:] if len(way) - first <= SHOWN else [*way[first : first + SHOWN - 2], "...", way[-1]]
    return " -> ".join([*names, way[first]])
