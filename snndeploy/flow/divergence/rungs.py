"""The synapses by which a layer reads the rungs of a decoupled one: each must bring its step in level, at the same step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse
from snndeploy.flow.divergence.folds import Fold
from snndeploy.flow.divergence.sides import Side, fed_from
from snndeploy.verdict import Suspect

LEVEL = 0.5
"""Where so large a part of a source's synapses is off, it is its level that is wrong, not a weight."""


def suspects(side: Side, layer: str) -> tuple[Suspect, ...]:
    """What two members of one decoupled source bring that is not as their steps in level are."""
    network = side.network
    assert isinstance(network, ChipNetwork)
    found: list[Suspect] = []
    for fold in side.folds.values():
        groups: dict[str, dict[str, list[Projection]]] = {}
        for p in network.projections:
            if p.source in fold.names and fed_from(side, layer, p):
                groups.setdefault(p.target, {}).setdefault(fold.names[p.source], []).append(p)
        for by_tag in groups.values():
            found += _unlike(fold, layer, by_tag)
    return tuple(dict.fromkeys(found))


def shares(fold: Fold) -> dict[str, Floats]:
    """By tag, in payload units [size], what one spike of a member stands for downstream."""
    steps = {j: step.reshape(-1) for j, step in enumerate(fold.payloads, 1)}
    further = sum((step for j, step in steps.items() if j > 1), np.zeros_like(steps[1]))
    return {
        "lateral": lambda: {f"N{j}": step for j, step in steps.items()},
        "ping-pong": lambda: {f"R{j}": step for j, step in steps.items()},
        "ping-pong-direct": lambda: {f"{b}{j}": step for j, step in steps.items() for b in "AB"},
        "look-ahead": lambda: {"A" if j == 1 else f"R{j}": step for j, step in steps.items()},
        "look-ahead-direct": lambda: {"A": steps[1] - further} | {f"{b}{j}": step for j, step in steps.items() if j > 1 for b in "BC"},
    }[fold.layer.construction]()


def _unlike(fold: Fold, target: str, by_tag: Mapping[str, list[Projection]]) -> Iterator[Suspect]:
    due = {tag: share for tag, share in shares(fold).items() if share.any()}
    first = next((tag for tag in due if by_tag.get(tag)), None)
    if first is None:
        return
    for tag, share in due.items():
        if not by_tag.get(tag):
            yield Suspect("lost", f"no synapse from {tag} of {fold.layer.name} to {target}", "inferred", read=True)
            continue
        late = _arrival(fold, by_tag[tag], tag) - _arrival(fold, by_tag[first], first)
        if late:
            said = f"{tag} of {fold.layer.name} reaches {target} {abs(late)} step(s) {'later' if late > 0 else 'earlier'} than {first}"
            yield Suspect("delay", said, "inferred", read=True)
        yield from _off(fold, target, (first, by_tag[first], due[first]), (tag, by_tag[tag], share))


def _arrival(fold: Fold, projections: list[Projection], tag: str) -> int:
    return min(p.delay for p in projections) + fold.layer.members[tag].shift


def _off(
    fold: Fold, target: str, one: tuple[str, list[Projection], Floats], other: tuple[str, list[Projection], Floats]
) -> Iterator[Suspect]:
    ours, theirs = _sum(one[1]), _sum(other[1])
    if ours is None or theirs is None or ours[0] != theirs[0]:
        return
    p = one[1][0]
    a, b = ours[1] * _spread(p, other[2], fold), theirs[1] * _spread(p, one[2], fold)
    if np.array_equal(a, b):
        return
    share = _part_off(p, a, b)
    cause = "level" if share >= LEVEL else "weights"
    said = f"{one[0]} and {other[0]} of {fold.layer.name} enter {target} otherwise than their steps in level stand to each other"
    yield Suspect(cause, f"{said}: {int((a != b).sum())} of {a.size} synapses", "inferred", read=True)


def _sum(projections: list[Projection]) -> tuple[Any, Any] | None:
    """(what must agree, the weights) of projections of one kind; None where they are of several."""
    kinds = {(type(p.synapses).__name__, getattr(p.synapses, "weights", np.zeros(0)).shape) for p in projections}
    if len(kinds) != 1 or not isinstance(projections[0].synapses, Dense | Conv | Sparse):
        return None
    total = sum(p.synapses.weights * 2.0**p.exponent for p in projections if isinstance(p.synapses, Dense | Conv | Sparse))
    return next(iter(kinds)), total


def _spread(p: Projection, share: Floats, fold: Fold) -> Any:
    """The share of every synapse's source."""
    if isinstance(p.synapses, Sparse):
        return share[p.synapses.columns]
    if isinstance(p.synapses, Dense):
        return share[None]
    assert isinstance(p.synapses, Conv)
    if p.synapses.groups == 1:
        return share.reshape(fold.shape[0], -1)[:, 0].reshape(1, -1, *(1,) * (p.synapses.weights.ndim - 2))
    return share.flat[0]


def _part_off(p: Projection, a: Any, b: Any) -> float:
    """Of the source that is worst off, which part of its synapses."""
    off, used = a != b, (a != 0) | (b != 0)
    if isinstance(p.synapses, Sparse):
        return float(off.sum() / max(1, used.sum()))
    axes = tuple(i for i in range(off.ndim) if i != 1)
    return float((off.sum(axis=axes) / np.maximum(1, used.sum(axis=axes))).max())
