"""L013: can a step's synaptic sum leave the 24-bit current?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.models import STATE_BITS, HostInput, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.place.budget import Budget
from snndeploy.placement import Finding

INPUT_SHIFT = 6
U_LIMIT = 1 << (STATE_BITS - 1)
REGISTER_BITS = 24


def accumulators(network: ChipNetwork, limits: Budget, max_payload: Mapping[str, int]) -> Iterator[Finding]:
    """A warning for each population whose worst case |sum w x payload| << 6 reaches 2^23, where u wraps.

    The worst case lets every excitatory, or every inhibitory, synapse fire at once with its largest payload:
    ``max_payload`` of the source, else what the model bounds, else the width of the chip's payload.
    """
    for population in network.populations.values():
        into = network.into(population.name)
        if isinstance(population.model, HostInput) or not into:
            continue
        peak = worst_case(network, population, limits, max_payload) * (1 << INPUT_SHIFT)
        if peak >= U_LIMIT:
            why = "the worst synaptic sum of one step, shifted left by 6, leaves the 24-bit current, which then wraps"
            fix = "bound the payload, or scale weights and threshold down; a run counts the wraps that really happen"
            yield Finding("L013", "warning", population.name, peak, U_LIMIT, why, fix)


def worst_case(network: ChipNetwork, population: Population, limits: Budget, max_payload: Mapping[str, int]) -> float:
    """Largest |a| that one step can bring to a neuron of the population, after exponents and before the << 6."""
    up, down = np.zeros(population.size), np.zeros(population.size)
    for projection in network.into(population.name):
        source = network.populations[projection.source]
        payload, signed = _payload(projection, source, limits, max_payload)
        plus, minus = _sums(projection, population)
        if signed:
            plus = minus = plus + minus
        scale = 2.0**projection.exponent
        up += np.floor(plus * payload * scale)
        down += np.ceil(minus * payload * scale)
    return float(max(up.max(initial=0), down.max(initial=0)))


def _payload(projection: Projection, source: Population, limits: Budget, given: Mapping[str, int]) -> tuple[float, bool]:
    """Largest |payload| of a spike, and whether it may be negative."""
    model = source.model
    signed = isinstance(model, TernaryLif) or not isinstance(model, HostInput) or model.signed
    if not projection.graded and not isinstance(projection.synapses, Wire):
        return 1, False
    if source.name in given:
        return given[source.name], signed
    if isinstance(model, HostInput):
        return (1 << model.payload_bits) - 1 if model.payload_bits else 1, signed
    if isinstance(model, TernaryLif):
        return 1, signed
    return float((1 << int(min(limits["payload_bits"], REGISTER_BITS))) - 1), signed


def _sums(projection: Projection, target: Population) -> tuple[Floats, Floats]:
    """Per target neuron, the sums of its positive and of its negative weights, both >= 0."""
    synapses = projection.synapses
    if isinstance(synapses, Wire):
        return np.full(target.size, 0.0 if synapses.as_bias else 1.0), np.zeros(target.size)
    total, size = _row_sums(synapses, target, absolute=False), _row_sums(synapses, target, absolute=True)
    return (size + total) / 2, (size - total) / 2


def _row_sums(synapses: Dense | Conv | Sparse, target: Population, *, absolute: bool) -> Floats:
    weights = np.abs(synapses.weights) if absolute else synapses.weights
    if isinstance(synapses, Sparse):
        return np.bincount(synapses.rows, weights, minlength=target.size).astype(np.float64)
    sums: Floats = weights.reshape(weights.shape[0], -1).sum(1).astype(np.float64)
    return np.repeat(sums, target.size // sums.size)
