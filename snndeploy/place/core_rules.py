"""The rules of a core: L001 to L004, L014, and how convolutional layers were cut (L015)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.place.boxes import Box, narrow, whole
from snndeploy.place.budget import Budget
from snndeploy.place.cutting import Option, Plan
from snndeploy.place.demand import Block, Wiring
from snndeploy.place.partition import Partition
from snndeploy.placement import Core, Finding

RESOURCES = (
    ("L001", "neurons", "neurons_per_core", "a core holds no more neurons", "choose a chip with larger cores"),
    ("L002", "synapse_bits", "synapse_bits_per_core", "the synapses of one neuron exceed a core's memory", "fewer weight bits, or prune"),
    ("L003", "axons_in", "axons_in_per_core", "one neuron listens to more neurons than a core has in-axons", "pool or prune before it"),
    ("L004", "axons_out", "axons_out_per_core", "one neuron sends to more cores than a core has out-axons", "use smaller target layers"),
)
UNCUT = "these neurons together need more than a core has, and no smaller cut was found"


def core_findings(net: Wiring, parts: Partition, cores: Sequence[Core], limits: Budget, sent: Mapping[str, Ints]) -> Iterator[Finding]:
    """What stays over a limit after cutting as far as it goes, one finding for each rule and set of populations.

    The number is that of the one neuron that needs most, which no cut makes smaller. ``sent``: into how many cores each sends.
    """
    over: dict[str, list[Core]] = {}
    for core in cores:
        if any(getattr(core, field) > limits[limit] for _, field, limit, _, _ in RESOURCES):
            over.setdefault(" + ".join(dict.fromkeys(s.population for s in core.slices)), []).append(core)
    for where, crowded in over.items():
        names = list(dict.fromkeys(s.population for core in crowded for s in core.slices))
        yield from list(_single(net, where, names, limits, sent)) or _together(where, crowded, limits)
    yield from _configurations(net, parts, limits)
    yield from (_choice(name, plan) for name, plan in parts.plans.items() if len(plan.options) > 1)


def _single(net: Wiring, where: str, names: Sequence[str], limits: Budget, sent: Mapping[str, Ints]) -> Iterator[Finding]:
    """The rules that a single neuron breaks, each with the number of the neuron that needs most."""
    worst: dict[str, tuple[int, list[int]]] = {}
    for name in names:
        needs = {"axons_out": (int(sent[name].max(initial=0)), _place(sent[name]))}
        for box in _unlike(whole(net.network.populations[name].shape), net.alike[name].line):
            demand, index = net.demand([Block(name, box)]), [first for first, _ in box]
            for field in ("neurons", "synapse_bits", "axons_in"):
                needs[field] = max(needs.get(field, (0, index)), (getattr(demand, field), index), key=lambda need: need[0])
        worst = {field: max(worst.get(field, need), need, key=lambda need: need[0]) for field, need in needs.items()}
    for code, field, limit, why, fix in RESOURCES:
        value, index = worst[field]
        if value > limits[limit]:
            yield Finding(code, "blocker", where, value, limits[limit], f"{why} (neuron {index})", fix)


def _place(values: Ints) -> list[int]:
    """Where the largest is."""
    return [int(i) for i in np.unravel_index(int(np.argmax(values)), values.shape)]


def _unlike(box: Box, like: Callable[[Box], Hashable], axis: int = 0) -> Iterator[Box]:
    """Single neurons of a box, one of those that are known to take the same."""
    if axis == len(box):
        yield box
        return
    seen: set[Hashable] = set()
    for at in range(*box[axis]):
        one = narrow(box, axis, at, at + 1)
        if like(one) not in seen:
            seen.add(like(one))
            yield from _unlike(one, like, axis + 1)


def _together(where: str, crowded: Sequence[Core], limits: Budget) -> Iterator[Finding]:
    """Where no single neuron is too much: what the fullest core takes."""
    for code, field, limit, _, fix in RESOURCES:
        worst = max(crowded, key=lambda core: getattr(core, field))
        if getattr(worst, field) > limits[limit]:
            why = f"{UNCUT} ({worst.neurons} on a core, {len(crowded)} such cores)"
            yield Finding(code, "blocker", where, getattr(worst, field), limits[limit], why, fix)


def _configurations(net: Wiring, parts: Partition, limits: Budget) -> Iterator[Finding]:
    """L014: layers whose neurons differ too much to share a core's configuration table."""
    for population in net.placed:
        kinds, most = int(np.unique(net.configs[population.name]).size), limits["config_tables_per_core"]
        if kinds > most:
            used = sum(any(b.population == population.name for b in blocks) for blocks in parts.cores)
            why = f"a core holds {most:g} combinations of decay, threshold and bias exponent, so the layer was cut into {used} cores"
            yield Finding(
                "L014", "warning", population.name, kinds, most, why, "share decay and threshold by channel, or quantize them coarsely"
            )


def _choice(name: str, plan: Plan) -> Finding:
    """L015, a note: what other cuts of a convolutional layer would cost. More channels a core take more memory, fewer more in-axons."""
    taken = plan.options[0]
    others = sorted(
        {plan.options[1], max(plan.options, key=lambda o: o.channels), min(plan.options, key=lambda o: o.channels)} - {taken}, key=_cost
    )
    costs = "; ".join(f"{o.channels} channels: {o.cores} cores, {o.axons_in} in-axons" for o in [taken, *others])
    why = f"cut into cores of {taken.channels} channels, then by rows ({costs})"
    return Finding("L015", "note", name, taken.cores, others[0].cores, why, "nothing to do: the cheapest cut was taken")


def _cost(option: Option) -> tuple[int, int]:
    return option.cores, option.axons_in
