"""The synapses by which a layer reads the rungs of a decoupled one: each must bring its step in level, at the same step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse
from snndeploy.flow.divergence.folds import Fold
from snndeploy.flow.divergence.sides import Series, Side, fed_from, in_time

Mend: TypeAlias = tuple[str, str, Callable[[ChipNetwork], ChipNetwork]]
"""The class of what is wrong, the words, and what mends it in the whole network."""
LEVEL = 0.5
"""Where so large a part of a source's synapses is off, it is its level that is wrong, not a weight."""


def mends(side: Side, layer: str) -> tuple[Mend, ...]:
    """What two members of one decoupled source bring that is not as their steps in level are."""
    network = side.network
    assert isinstance(network, ChipNetwork)
    found: dict[tuple[str, str], Mend] = {}
    for fold in side.folds.values():
        groups: dict[str, dict[str, list[Projection]]] = {}
        for p in network.projections:
            if p.source in fold.names and fed_from(side, layer, p):
                groups.setdefault(p.target, {}).setdefault(fold.names[p.source], []).append(p)
        for by_tag in groups.values():
            for mend in _unlike(fold, layer, by_tag):
                found.setdefault(mend[:2], mend)
    return tuple(found.values())


def fed_anew(side: Side, sent: Mapping[str, Series], feeds: Mapping[str, Series]) -> dict[str, Series]:
    """What feeds a layer with every member of its decoupled sources, also those that had no synapse.

    ``sent`` is what the graph's neurons sent, ``feeds`` what fed the layer as it was.
    """
    assert isinstance(side.network, ChipNetwork)
    found = dict(feeds)
    longest = max(map(len, feeds.values()))
    for fold in side.folds.values():
        levels = sent.get(fold.layer.name)
        if levels is None:
            continue
        spikes = fold.spikes(levels.reshape(*levels.shape[:2], *fold.shape))
        for name, tag in fold.names.items():
            if name not in found and tag in spikes:
                late = in_time(side.network.populations[name].shift, 0, spikes[tag])[:longest]
                rest = np.zeros((longest - len(late), *late.shape[1:]), late.dtype)
                found[name] = np.concatenate([late, rest])
    return found


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


def _unlike(fold: Fold, target: str, by_tag: Mapping[str, list[Projection]]) -> Iterator[Mend]:
    due = {tag: share for tag, share in shares(fold).items() if share.any()}
    first = next((tag for tag in due if by_tag.get(tag)), None)
    if first is None:
        return
    for tag, share in due.items():
        if not by_tag.get(tag):
            words = f"no synapse from {tag} of {fold.layer.name} to {target}"
            yield "lost", words, partial(_with_copies, fold, tag, (by_tag[first], first), share, due[first])
            continue
        late = _arrival(fold, by_tag[tag], tag) - _arrival(fold, by_tag[first], first)
        if late:
            said = f"{tag} of {fold.layer.name} reaches {target} {abs(late)} step(s) {'later' if late > 0 else 'earlier'} than {first}"
            for member, by in ((tag, -late), (first, late)):
                moved = [replace(p, delay=max(0, p.delay + by)) for p in by_tag[member]]
                yield "delay", f"{said}; {member}'s delay is wrong", partial(_exchanged, by_tag[member], moved)
        yield from _off(fold, target, (first, by_tag[first], due[first]), (tag, by_tag[tag], share))


def _arrival(fold: Fold, projections: list[Projection], tag: str) -> int:
    return min(p.delay for p in projections) + fold.layer.members[tag].shift


def _off(fold: Fold, target: str, one: tuple[str, list[Projection], Floats], other: tuple[str, list[Projection], Floats]) -> Iterator[Mend]:
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
    said = f"{said}: {int((a != b).sum())} of {a.size} synapses"
    for right, wrong in ((one, other), (other, one)):
        words = f"{said}; {wrong[0]}'s are wrong"
        yield cause, words, partial(_exchanged, wrong[1], _after(fold, right, wrong))


def _after(fold: Fold, right: tuple[str, list[Projection], Floats], wrong: tuple[str, list[Projection], Floats]) -> list[Projection]:
    """The synapses of one member as those of another prescribe them: the first projection brings all of it."""
    first, *rest = wrong[1]
    total = _sum(right[1])
    assert total is not None
    upper, lower = (np.broadcast_to(_spread(first, share, fold), total[1].shape) for share in (wrong[2], right[2]))
    whole = np.divide(total[1] * upper, lower, out=np.zeros(total[1].shape), where=lower != 0)
    made = [_with_weights(first, whole / 2.0**first.exponent)]
    return [*made, *(_with_weights(p, np.zeros(total[1].shape)) for p in rest)]


def _with_weights(p: Projection, weights: Floats) -> Projection:
    assert isinstance(p.synapses, Dense | Conv | Sparse)
    return replace(p, synapses=replace(p.synapses, weights=np.rint(weights).astype(np.int64)))


def _exchanged(old: list[Projection], new: list[Projection], network: ChipNetwork) -> ChipNetwork:
    made = dict(zip((p.name for p in old), new, strict=True))
    return replace(network, projections=tuple(made.get(p.name, p) for p in network.projections))


def _with_copies(fold: Fold, tag: str, like: tuple[list[Projection], str], share: Floats, due: Floats, network: ChipNetwork) -> ChipNetwork:
    """Synapses from the member, as those of another prescribe them."""
    member, other = fold.layer.members[tag], fold.layer.members[like[1]]
    copies = [replace(p, name=f"{p.name}<-{tag}", source=member.name, delay=p.delay + other.shift - member.shift) for p in like[0]]
    made = _after(fold, (like[1], like[0], due), (tag, copies, share))
    return replace(network, projections=(*network.projections, *made))


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
