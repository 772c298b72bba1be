"""The host's side of a run: real data -> the whole numbers that it injects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from snndeploy.arrays import Floats, Ints
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, HostLayer, Projection
from snndeploy.errors import DataError
from snndeploy.faults import Fault
from snndeploy.sim.chip import run_chip
from snndeploy.sim.leaving import Ledger, left
from snndeploy.sim.synapses import sender
from snndeploy.trace import Trace

MANTISSA_MAX = 4095


def run_hosted(network: ChipNetwork, inputs: Mapping[str, Floats]) -> Trace:
    """``run_chip`` on real data, with what the host's own bias registers lost among the faults."""
    values = inject(network, inputs)
    trace = run_chip(network, values)
    clipped = (fault for name in network.host for fault in _clipped(name, network, values[name], inputs))
    return replace(trace, faults=(*clipped, *trace.faults))


def _clipped(name: str, network: ChipNetwork, held: Ints, inputs: Mapping[str, Floats]) -> tuple[Fault, ...]:
    """Where the host wanted to write a larger bias mantissa than there is."""
    if np.abs(held).max(initial=0) < MANTISSA_MAX:
        return ()
    layer, shape = network.host[name], held.shape[2:]
    wanted = _mantissas(layer, _need(inputs, layer.source), shape)
    ledger = Ledger(shape, held.shape[1], 0, len(held), 1)
    for t, (asked, given) in enumerate(zip(wanted, held, strict=True)):
        ledger.enter(t + 1, left("host", asked, given))
    return ledger.faults(name)


def inject(network: ChipNetwork, inputs: Mapping[str, Floats]) -> dict[str, Ints]:
    """Real data [T, B, *shape] ([1, B, *shape] where static) -> what each HostInput sends, in whole numbers.

    Values are rounded to the input's unit; first layers that run on the host are computed here; an input that is not
    in the data and has one neuron is the constant 1. Raises ``DataError`` where an input is missing.
    """
    samples = next(iter(inputs.values())).shape[1]
    values = {}
    for name, population in network.inputs().items():
        assert isinstance(population.model, HostInput)
        if name in network.host:
            values[name] = host_layer(network.host[name], _need(inputs, network.host[name].source), population.shape)
        elif name not in inputs and population.size == 1:
            values[name] = np.ones((1, samples, *population.shape), dtype=np.int64)
        else:
            values[name] = _whole(name, population.model, _need(inputs, name), network.steps)
    return values


def _whole(name: str, host: HostInput, x: Floats, steps: int) -> Ints:
    """Whole numbers of the input's unit, at every step; an input of plain spikes takes 0 and 1 and nothing else."""
    if host.payload_bits == 0 and not np.isin(x, (0.0, 1.0)).all():
        what = f"the network was converted for spikes, 0 or 1; these data run from {x.min():g} to {x.max():g}"
        raise DataError(f"input {name}", what, "encode them as in the conversion (--encode rate --seed S), or give spikes")
    whole = np.round(x / host.scale).astype(np.int64)
    if len(whole) == 1 and not host.static and steps > 1:
        return np.broadcast_to(whole, (steps, *whole.shape[1:]))
    return whole


def _need(inputs: Mapping[str, Floats], name: str) -> Floats:
    if name not in inputs:
        raise DataError(f"input {name}", "is not in the data", f"the data have {', '.join(sorted(inputs))}")
    return inputs[name]


def host_layer(layer: HostLayer, x: Floats, target: tuple[int, ...]) -> Ints:
    """Bias mantissas [T, B, *target] of a first layer that the host computes, clipped to what their register holds."""
    return np.asarray(np.clip(_mantissas(layer, x, target), -MANTISSA_MAX, MANTISSA_MAX), np.int64)


def _mantissas(layer: HostLayer, x: Floats, target: tuple[int, ...]) -> Ints:
    whole = np.round(x / layer.unit).astype(np.int64)
    flat = whole.reshape(-1, *layer.shape)
    synapses = sender(Projection("host", "", "", layer.synapses, graded=True), layer.shape, target, exact=True)
    sums = synapses.taps[0].apply(flat, np.int64).reshape(*whole.shape[:2], *target)
    return np.asarray((sums + layer.bias) >> layer.shift, np.int64)
