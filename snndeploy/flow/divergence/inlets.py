"""What enters the banks of a decoupled layer that stands alone: all must get the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from snndeploy.chip.network import ChipNetwork, Projection
from snndeploy.flow.divergence.folds import Fold, Series
from snndeploy.flow.divergence.rules import arriving
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.verify.proofs.cells import inlet


def bank(fold: Fold, network: ChipNetwork, tag: str, *, constant: bool = False) -> ChipNetwork:
    """One member and what comes from outside the layer, with or without the host's constant."""
    name, members = fold.layer.members[tag].name, fold.names
    into = [p for p in network.into(name) if p.source not in members and (constant or not p.source.startswith(CONSTANT))]
    sources = {p.source for p in into} | {n for n in network.populations if n not in members}
    return replace(network, populations={n: network.populations[n] for n in (*sources, name)}, projections=tuple(into))


def entering(fold: Fold, network: ChipNetwork, feeds: Mapping[str, Series], tag: str | None = None) -> tuple[Series, Series]:
    """(weight units, what the host adds to the bias in units of v) [T, B, *shape] that enter a bank in the model's time."""
    tag = tag or reference(fold, network)
    name = fold.layer.members[tag].name
    sums, bias = arriving(bank(fold, network, tag), name, feeds)
    timed = [fold.in_model_time({name: values})[tag] for values in (sums, bias)]
    return timed[0], timed[1]


def reference(fold: Fold, network: ChipNetwork) -> str:
    """The bank that is fed as most are."""
    fed = {tag: _signature(fold, network, tag) for tag in fold.layer.banks}
    count = Counter(fed.values())
    return max(fed, key=lambda tag: count[fed[tag]])


def _signature(fold: Fold, network: ChipNetwork, tag: str) -> tuple[str, ...]:
    shift = fold.layer.members[tag].shift
    return tuple(sorted(repr(inlet(p, shift)) for p in bank(fold, network, tag).projections))


def inlets(fold: Fold, network: ChipNetwork, right: str, tag: str) -> list[Projection]:
    """The projections into bank ``right`` as they would enter ``tag``; its own where they are the same."""
    if _signature(fold, network, right) == _signature(fold, network, tag):
        return list(bank(fold, network, tag).projections)
    one, other = fold.layer.members[right], fold.layer.members[tag]
    late = other.shift - one.shift
    moved = (replace(p, target=other.name, name=p.name.replace(one.name, other.name)) for p in bank(fold, network, right).projections)
    return [replace(p, delay=max(0, p.delay + late)) for p in moved]
