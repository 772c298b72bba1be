"""Chip network to placement: cut into cores under the profile's limits, and every finding of the design-rule check.

The cut is greedy and deterministic: populations in the network's order, each cut into the largest boxes of neurons that
a core holds, convolutional ones by channels and rows, whichever mix takes fewest cores. A core of its own is
quicker, so small populations share one only where the board would be too small otherwise. Nothing
raises because a network is too large: the placement then holds a blocker.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from snndeploy.arrays import Ints
from snndeploy.chip.network import ChipNetwork
from snndeploy.hw import Profile
from snndeploy.place.accumulator import accumulators
from snndeploy.place.boxes import runs, volume
from snndeploy.place.budget import Budget, budget
from snndeploy.place.core_rules import core_findings
from snndeploy.place.cutting import Plan
from snndeploy.place.demand import Wiring, wiring
from snndeploy.place.partition import Partition, partition
from snndeploy.place.reach import Sent, axons_out, messages, reach
from snndeploy.place.rules import network_findings
from snndeploy.placement import Core, Finding, Placement, Slice

__all__ = ["place"]

OUT_AXON_ROUNDS = 12


def place(network: ChipNetwork, profile: Profile, max_payload: Mapping[str, int] | None = None, *, routes: bool = True) -> Placement:
    """Put a network on the chips of the profile's board, or on one chip where no board was chosen.

    ``max_payload`` is the largest |payload| a population was proven to send, where its width allows more (rule L013).
    Without ``routes``, ``Placement.reach`` stays empty: only energy asks for it.
    """
    limits, net = budget(profile), wiring(network)
    known = Known()
    parts, sent, out = _settle(net, limits, known, share=False)
    if len(parts.cores) > limits["cores_per_chip"] * (profile.chips or 1):
        parts, sent, out = _settle(net, limits, known, share=True)
    cores = tuple(_core(net, parts, i, out[i]) for i in range(len(parts.cores)))
    chips = _chips(len(cores), limits)
    findings = network_findings(network, limits)
    findings += accumulators(network, limits, max_payload or {})
    findings += core_findings(net, parts, cores, limits, sent)
    findings += _chip_findings(profile, len(cores), chips, limits)
    findings += limits.unpublished()
    return Placement(profile.id, cores, chips, _sorted(findings), reach(net, parts, limits, sent) if routes else {})


@dataclass(frozen=True, eq=False)
class Known:
    """What one round has found out for the next."""

    plans: dict[tuple[str, float], Plan] = field(default_factory=dict)
    sent: dict[Plan, Sent] = field(default_factory=dict)


def _settle(net: Wiring, limits: Budget, known: Known, *, share: bool) -> tuple[Partition, dict[str, Ints], list[int]]:
    """Cut, count the out-axons, and cut populations smaller whose cores send to too many others."""
    caps: dict[str, int] = {}
    for _ in range(OUT_AXON_ROUNDS):
        parts = partition(net, limits, caps, known.plans, share)
        sent = messages(net, parts, known.sent)
        out = axons_out(parts, sent)
        tighter = _tighter(parts, out, limits, caps)
        if tighter == caps:
            break
        caps = tighter
    return parts, sent, out


def _tighter(parts: Partition, out: list[int], limits: Budget, caps: Mapping[str, int]) -> dict[str, int]:
    new = dict(caps)
    for blocks, demand, pairs in zip(parts.cores, parts.demands, out, strict=True):
        if pairs > limits["axons_out_per_core"]:
            share = int(demand.neurons * limits["axons_out_per_core"] // pairs)
            for block in blocks:
                new[block.population] = max(1, min(share, demand.neurons - 1, new.get(block.population, share)))
    return new


def _core(net: Wiring, parts: Partition, index: int, out: int) -> Core:
    blocks, demand = parts.cores[index], parts.demands[index]
    shapes = net.network.populations
    pieces = (Slice(b.population, first, last) for b in blocks for first, last in runs(b.box, shapes[b.population].shape))
    return Core(index, tuple(pieces), sum(volume(b.box) for b in blocks), demand.synapse_bits, demand.axons_in, out)


def _chips(cores: int, limits: Budget) -> int:
    return 1 if math.isinf(limits["cores_per_chip"]) else math.ceil(cores / max(1.0, limits["cores_per_chip"]))


def _chip_findings(profile: Profile, cores: int, chips: int, limits: Budget) -> Iterable[Finding]:
    """L015: more cores than the board has."""
    there = profile.chips or 1
    if chips > there:
        boards = sorted((n.value, name) for name, n in profile.boards.items() if n.value is not None)
        enough = [(size, name) for size, name in boards if size >= chips]
        fix = "use fewer channels or fewer weight bits"
        if enough:
            fix = f"choose --chip {profile.id}:{enough[0][1]} ({enough[0][0]:g} chips)"
        elif boards:
            fix = f"{fix}: the largest board, {boards[-1][1]}, has {boards[-1][0]:g} chips"
        why = f"the network needs {chips} chips, and " + (f"{profile.board} has {there}" if profile.board else "no board was chosen")
        yield Finding("L015", "blocker", profile.id, cores, there * limits["cores_per_chip"], why, fix)


def _sorted(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Blockers first, then by code and place; one of each, however often it was found."""
    rank = {"blocker": 0, "warning": 1, "note": 2}
    once = Counter(findings)
    return tuple(sorted(once, key=lambda f: (rank[f.severity], f.code, f.where, f.why)))
