"""What no comparison of the chip with its own definition can see: a layer that fires in the float network and never on the chip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork
from snndeploy.faults import Fault
from snndeploy.trace import Trace


def silenced(network: ChipNetwork, chip: Trace, original: Trace) -> tuple[Fault, ...]:
    """Float layers that fire in ``original``, and on the chip, on the same data, not once in any of their own steps.

    A layer that became several populations is silent where all of them are. Layers that ``original`` does not know (which a
    pass made) and membranes that are read are left out.
    """
    return tuple(_silenced(network, chip, original))


def _silenced(network: ChipNetwork, chip: Trace, original: Trace) -> Iterator[Fault]:
    made: dict[str, list[str]] = {}
    for name, p in network.populations.items():
        if not isinstance(p.model, HostInput) and p.reads == "spikes":
            made.setdefault(p.origin or name, []).append(name)
    for layer, names in made.items():
        fired = original.outputs.get(layer)
        if fired is None or any(chip.activity[name].own for name in names) or not fired.any():
            continue
        mask = fired != 0
        step, sample, *neuron = (int(i) for i in np.unravel_index(int(np.argmax(mask)), mask.shape))
        samples = int(mask.any(axis=(0, *range(2, mask.ndim))).sum())
        value = float(fired[(step, sample, *neuron)])
        yield Fault(layer, "silent", int(np.count_nonzero(mask)), step, sample, tuple(neuron), value, 0.0, samples)
