"""What a run in a coarse float type cannot show: faults so small that its rounding would explain them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

import converters
from snndeploy.arrays import Floats
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.held import hold
from snndeploy.ir.spread import ARITHMETICS

FINE = 24
"""Types with so many bits, or more, show a threshold that is off by ``SHARE`` (docs/rounding.md)."""
SHARE = 0.01
SAMPLES = 32


def unseen(graph: Graph, witness: converters.Witness, told: Mapping[str, Floats], name: str) -> str:
    """In words, the layers whose threshold could be off by 1 % unseen in a run of less than float32; tried, one by one."""
    if ARITHMETICS[witness.arithmetic].bits >= FINE:
        return ""
    hidden = [node for node in told if any(_passes(graph, witness, told, node, share) for share in (1 + SHARE, 1 - SHARE))]
    if not hidden:
        return ""
    which = ", ".join(hidden[:3]) + (f" and {len(hidden) - 3} more" if len(hidden) > 3 else "")
    return f"{name}: it runs in {witness.arithmetic} alone, whose rounding hides small faults: a threshold 1 % off would pass in {which}"


def _passes(graph: Graph, witness: converters.Witness, told: Mapping[str, Floats], node: str, share: float) -> bool:
    """Whether a graph whose threshold is another in one layer explains the run as well."""
    other = _changed(graph.nodes[node], share)
    if other is None:
        return False
    inputs = {name: x[:, :SAMPLES] for name, x in witness.inputs.items()}
    way = {name: series[:, :SAMPLES] for name, series in told.items()}
    held = hold(graph.replace({node: other}), inputs, witness.steps, way, [], witness.arithmetic)
    return not np.asarray(held.wrong[node]).any()


def _changed(node: Node, share: float) -> Node | None:
    threshold = getattr(node, "threshold", None)
    change: dict[str, Any] = {"threshold": threshold * share} if isinstance(threshold, np.ndarray) else {}
    return dataclasses.replace(node, **change) if change else None
