"""All obstacles of a network at once: behind each that is found, a plain neuron stands in for it, and the rest is looked at.

What is found is what the pipeline itself refuses, word for word. What stands in serves to go on, and is never deployed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from snndeploy.arrays import frozen
from snndeploy.errors import Obstacles, QuantizeError, SnnError, Unsupported
from snndeploy.flow.chips import rule_in
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Input, MaxPool, Output, SumPool
from snndeploy.ir.neurons.lif import LIF
from snndeploy.placement import Finding, Placement

NO_NUMBER = float("nan")
SHOWN = 12
"""So many layers that map are named; of more, the number."""
NO_FURTHER = "what stands behind the last blocker was looked at no further"


def refused(refusal: SnnError, chip: str) -> Placement:
    """The placement of a model that could not be read: every obstacle a blocker, and the parts that have a meaning."""
    several = isinstance(refusal, Obstacles)
    others = refusal.others if isinstance(refusal, Obstacles) else (refusal,)
    return Placement(chip, (), 0, (*map(blocker, others), *_rest(refusal.maps if several else (), "")))  # type: ignore[attr-defined]


def every(graph: Graph, attempt: Callable[[Graph], Placement], chip: str) -> Placement:
    """The placement that ``attempt`` makes of a graph; where it refuses, all obstacles that can be reached, as blockers.

    Raises what ``attempt`` raises but for ``Unsupported`` and ``QuantizeError``.
    """
    found: list[SnnError] = []
    blocked: list[str] = []
    now = graph
    while True:
        placement, refusal = _tried(attempt, now)
        if refusal is None:
            assert placement is not None
            return placement if not found else _with(placement, found, graph, blocked)
        found.append(refusal)
        name = _node(now, refusal.where)
        bypass = stand_in(now.nodes[name]) if name and name not in blocked else None
        blocked.append(name)
        if bypass is None:
            return Placement(chip, (), 0, (*map(blocker, found), *_rest((), NO_FURTHER if len(graph.nodes) > 3 else "")))
        now = now.replace({name: bypass}, now.edges)


def _tried(attempt: Callable[[Graph], Placement], graph: Graph) -> tuple[Placement | None, SnnError | None]:
    try:
        return attempt(graph), None
    except (Unsupported, QuantizeError) as refusal:
        return None, refusal


def _with(placement: Placement, found: Sequence[SnnError], graph: Graph, blocked: Sequence[str]) -> Placement:
    """What was refused, what else blocks beside the layers that stood in, and what would map."""
    beside = [f for f in placement.findings if f.severity == "blocker" and not _about(f.where, blocked)]
    layers = (n for n in graph.order if n not in blocked and not isinstance(graph.nodes[n], Input | Output))
    maps = tuple(n for n in layers if not any(_about(f.where, [n]) for f in beside))
    return Placement(placement.chip, (), 0, (*map(blocker, found), *beside, *_rest(maps, "")))


def blocker(refusal: SnnError) -> Finding:
    """A refusal as a finding, in its own words; its rule where it names one, else E000."""
    return Finding(rule_in(str(refusal)), "blocker", refusal.where, NO_NUMBER, NO_NUMBER, refusal.what, refusal.hint)


def stand_in(node: Node) -> Node | None:
    """A node of the same shape that every chip maps: a plain LIF for a neuron, a sum for a maximum; None for any other."""
    if isinstance(node, MaxPool):
        return SumPool(node.kernel, node.stride, node.padding, frozen(1.0))
    return LIF(frozen(0.5)) if type(node).__module__.startswith("snndeploy.ir.neurons.") else None


def _node(graph: Graph, where: str) -> str:
    """The node that a refusal is about: the longest name that ``where`` starts with; "" for none."""
    names = [n for n, node in graph.nodes.items() if not isinstance(node, Input | Output) and _about(where, [n])]
    return max(names, key=len, default="")


def _about(where: str, names: Iterable[str]) -> bool:
    return any(where == name or where.startswith((f"{name}.", f"{name} ", f"{name}:")) for name in names if name)


def _rest(maps: Sequence[str], behind: str) -> list[Finding]:
    """What would map, as a note; nothing where nothing is known to."""
    listed = ", ".join(maps[:SHOWN]) + (f" and {len(maps) - SHOWN} more" if len(maps) > SHOWN else "")
    words = "; ".join([*([f"{listed} would map"] if maps else []), *([behind] if behind else [])])
    fix = "mend what blocks, and check again"
    return [Finding("E000", "note", "the rest", NO_NUMBER, NO_NUMBER, words, fix)] if words else []
