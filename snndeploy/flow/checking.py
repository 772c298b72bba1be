"""All obstacles of a network at once: behind each that is found, a plain neuron stands in for it, and the rest is looked at.

What is found is what the pipeline itself refuses, word for word. What stands in serves to go on, and is never deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from snndeploy.arrays import frozen
from snndeploy.errors import Obstacles, QuantizeError, SnnError, Unsupported
from snndeploy.flow.chips import rule_in
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Input, MaxPool, Output, SumPool
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.paths import neurons
from snndeploy.placement import Finding, Placement

REFUSED = (Unsupported, QuantizeError)
SHOWN = 12
"""So many layers that map are named; of more, the number."""


def refused(refusal: SnnError, chip: str) -> Placement:
    """The placement of a model that could not be read: every obstacle a blocker, and the parts that have a meaning."""
    others = refusal.others if isinstance(refusal, Obstacles) else (refusal,)
    maps = refusal.maps if isinstance(refusal, Obstacles) else ()
    return Placement(chip, (), 0, (*map(blocker, others), *_rest(maps, "")))


def obstacles(graph: Graph, attempt: Callable[[Graph], Placement], chip: str) -> Placement:
    """The placement that ``attempt`` makes of a graph; where it refuses, every obstacle that can be reached, as blockers.

    Raises what ``attempt`` raises but for ``Unsupported`` and ``QuantizeError``.
    """
    found: list[SnnError] = []
    blocked: list[str] = []
    now, behind = graph, ""
    while True:
        try:
            placement = attempt(now)
        except REFUSED as refusal:
            found.append(refusal)
            name = _node(now, refusal.where)
            bypass = None if name in blocked or not name else stand_in(now.nodes[name])
            blocked.append(name)
            if bypass is None:
                behind = "what stands behind it was looked at no further"
                break
            now = now.replace({name: bypass}, now.edges)
        else:
            if not found:
                return placement
            found_there = [f for f in placement.findings if f.severity == "blocker" and not _about(f.where, blocked)]
            return Placement(chip, (), 0, (*map(blocker, found), *found_there, *_rest(_layers(graph, blocked), behind)))
    return Placement(chip, (), 0, (*map(blocker, found), *_rest(() if behind else _layers(graph, blocked), behind)))


def blocker(refusal: SnnError) -> Finding:
    """A refusal as a finding, in its own words; its rule where it names one, else E000."""
    return Finding(rule_in(str(refusal)), "blocker", refusal.where, float("nan"), float("nan"), refusal.what, refusal.hint)


def stand_in(node: Node) -> Node | None:
    """A node of the same shape that every chip maps: a plain LIF for a neuron, a sum for a maximum; None for any other."""
    if isinstance(node, MaxPool):
        return SumPool(node.kernel, node.stride, node.padding, frozen(1.0))
    if type(node).__module__.startswith("snndeploy.ir.neurons.") and not isinstance(node, LIF):
        return LIF(frozen(0.5))
    return replace(LIF(frozen(0.5))) if isinstance(node, LIF) else None


def _node(graph: Graph, where: str) -> str:
    """The node that a refusal is about: the longest name that ``where`` starts with; "" for none."""
    names = [n for n, node in graph.nodes.items() if not isinstance(node, Input | Output) and _about(where, [n])]
    return max(names, key=len, default="")


def _about(where: str, names: Iterable[str]) -> bool:
    return any(where == name or where.startswith((f"{name}.", f"{name} ", f"{name}:")) for name in names if name)


def _layers(graph: Graph, blocked: Sequence[str]) -> tuple[str, ...]:
    """The layers that map, in order: neurons, and what stands between them, but for what blocks."""
    own = set(neurons(graph))
    return tuple(n for n in graph.order if n not in blocked and (n in own or not isinstance(graph.nodes[n], Input | Output)))


def _rest(maps: Sequence[str], behind: str) -> list[Finding]:
    """What would map, as a note; nothing where nothing is known to."""
    listed = ", ".join(maps[:SHOWN]) + (f" and {len(maps) - SHOWN} more" if len(maps) > SHOWN else "")
    words = [*([f"{listed} would map"] if maps else []), *([behind] if behind else [])]
    if not words:
        return []
    return [Finding("E000", "note", "the rest", float("nan"), float("nan"), "; ".join(words), "mend the blockers, and check again")]
