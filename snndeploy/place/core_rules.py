"""The rules of a core: L001 to L004, L014, and how convolutional layers were cut (L015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from snndeploy.place.budget import Budget
from snndeploy.place.cutting import Option, Plan
from snndeploy.place.demand import Wiring
from snndeploy.place.partition import Partition
from snndeploy.placement import Core, Finding

RESOURCES = (
    ("L001", "neurons", "neurons_per_core", "a core holds no more neurons", "choose a chip with larger cores"),
    ("L002", "synapse_bits", "synapse_bits_per_core", "the synapses of one neuron exceed a core's memory", "fewer weight bits, or prune"),
    ("L003", "axons_in", "axons_in_per_core", "one neuron listens to more neurons than a core has in-axons", "pool or prune before it"),
    ("L004", "axons_out", "axons_out_per_core", "one neuron sends to more cores than a core has out-axons", "use smaller target layers"),
)


def core_findings(net: Wiring, parts: Partition, cores: Sequence[Core], limits: Budget) -> Iterator[Finding]:
    """What stays over a limit after cutting as far as it goes, one finding for each rule and set of populations."""
    worst: dict[tuple[int, str], tuple[float, int]] = {}
    for core in cores:
        where = " + ".join(dict.fromkeys(s.population for s in core.slices))
        for i, (_, field, limit, _, _) in enumerate(RESOURCES):
            value = getattr(core, field)
            if value > limits[limit]:
                most, count = worst.get((i, where), (0.0, 0))
                worst[i, where] = (max(most, value), count + 1)
    for (i, where), (value, count) in worst.items():
        code, _, limit, why, fix = RESOURCES[i]
        yield Finding(code, "blocker", where, value, limits[limit], f"{why} (on {count} cores)" if count > 1 else why, fix)
    yield from _configurations(net, parts, limits)
    yield from (_choice(name, plan) for name, plan in parts.plans.items() if len(plan.options) > 1)


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
