"""The semantics table: every number of every neuron, what it compares, how it resets, and where each was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import numpy as np

import converters
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.membrane import FORMULAS
from snndeploy.report.report import FactRow

NAMES: Mapping[str, str] = {
    "v_init": "start",
    "thresholds": "threshold",
    "strict": "comparison",
    "late": "reset timing",
    "order": "rounded as",
}
"""Fields whose fact has another name; every other field is its own."""
WITHIN = frozenset(["v_reset", "amount", "amounts", "inverse"])
"""Fields that are said with the reset, or follow from others."""
OFTEN_ZERO = frozenset(["rest", "v_init"])
NIR_OPTIONS = {"reset": "--reset", "reset timing": "--reset", "decay": "--dt", "current decay": "--dt"}


def facts(loaded: converters.Loaded, name: str) -> tuple[FactRow, ...]:
    """What is known of a layer: what its format said, and for a neuron every other number that the graph holds.

    What the format did not say of itself comes from where the layer's other facts come from.
    """
    graph, source = loaded.graph, next((s for s in loaded.semantics if s.layer == name), None)
    said = () if source is None else tuple(f for f in source.facts if f.value != source.was and f.name != "place")
    rows = [FactRow(f.name, f.value, f.origin, option(f, source.was) if source else "") for f in said]
    if not is_neuron(graph.nodes[name]):
        return tuple(rows)
    usual = next((f.origin for f in (source.facts if source else ()) if f.origin != "ASSUMED"), "file")
    known = {f.name for f in said}
    own = ((n, v) for n, v in (*properties(graph.nodes[name]), ("delay", _delay(graph, name))) if n not in known)
    return (*rows, *(FactRow(n, v, usual) for n, v in own))


def is_neuron(node: Node) -> bool:
    """Whether a node is one of ``snndeploy.ir.neurons``."""
    return type(node).__module__.startswith("snndeploy.ir.neurons.")


def option(fact: converters.Fact, was: str) -> str:
    """The option that changes what was assumed; empty for what was not."""
    if fact.origin != "ASSUMED":
        return ""
    if was.startswith("NIR "):
        return NIR_OPTIONS.get(fact.name, "--source")
    return "--neuron-class" if " at " in was else "--neuron"


def properties(node: Node) -> Iterator[tuple[str, str]]:
    """A neuron's fields as facts, whatever fields it has."""
    for field in fields(node):
        value = getattr(node, field.name)
        silent = value is None or field.name in WITHIN or (field.name in OFTEN_ZERO and not np.any(value))
        if not silent and not (field.name == "late" and node.reset == "none"):  # type: ignore[attr-defined]
            yield NAMES.get(field.name, field.name.replace("_", " ")), _words(node, field.name, value)


def _words(node: Node, name: str, value: Any) -> str:
    if name == "strict":
        signs = [">" if s else ">=" for s in (value if isinstance(value, tuple) else (value,))]
        return signs[0] if len(set(signs)) == 1 else " ".join(signs)
    if name == "late":
        return "late: inside the next update" if value else "in the step of the spike"
    if name == "reset":
        return _reset(node, value)
    if name == "order":
        return FORMULAS[value]
    return show(value)


def _reset(node: Node, kind: str) -> str:
    taken = getattr(node, "amount", getattr(node, "amounts", None))
    level = getattr(node, "v_reset", np.zeros(()))
    return {"hard": f"to {show(level)}", "subtract": f"subtract {show(taken)}"}.get(kind, kind)


def _delay(graph: Graph, name: str) -> str:
    late = sorted({edge.delay for edge in graph.edges if edge.source == name})
    return "none" if late in ([], [0]) else f"{' or '.join(map(str, late))} steps to what it feeds"


def show(value: Any) -> str:
    """A number, or an array's shape and range, or a word."""
    if not isinstance(value, np.ndarray):
        return f"{value:.6g}" if isinstance(value, float) else str(value)
    if value.size and (value == value.flat[0]).all():
        return f"{value.flat[0]:.6g}"
    return f"[{','.join(map(str, value.shape))}] {value.min():.4g}..{value.max():.4g}"
