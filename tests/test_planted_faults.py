"""Faults planted by a generator: ``bisect`` names layer and cause; benchmarks/planted_faults.py plants a thousand."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from planted import ARENAS, deployed, outcome

from snndeploy.chip.network import Dense
from snndeploy.flow.divergence.bisecting import bisect
from snndeploy.flow.divergence.sides import Side

SEEDS = 60


@pytest.mark.slow
@pytest.mark.parametrize("arena", range(len(ARENAS)), ids=lambda i: ARENAS[i])
def test_layer_and_cause_are_named(arena):
    outcomes = [outcome(seed) for seed in range(arena, SEEDS, len(ARENAS))]
    kinds = Counter(kind for kind, _, _ in outcomes)
    assert kinds["right"] >= 8
    assert [o for o in outcomes if o[0] in ("wrong layer", "wrong cause", "not explained")] == []


def test_a_sound_network_is_at_most_rounded():
    """Both sides: where no fault was planted, none is named."""
    for base in range(4):
        graph, network, data, _ = deployed(base)
        found = bisect(Side("graph", graph), Side("chip", network), data, shrinking=False).bisection
        assert found.cause in ("", "rounding", "truncation", "clipping")


def test_a_cause_is_confirmed_by_a_run_or_is_none():
    """Weights and decay are both off: each alone leaves differences, and the words say that it takes both."""
    graph, network, data, _ = deployed(0)
    layer = next(n for n in network.populations if n == "n1")
    population = network.populations[layer]
    slow = replace(population, model=replace(population.model, dv=np.clip(population.model.dv + 900, 0, 4095)))
    sources = [p for p in network.into(layer) if isinstance(p.synapses, Dense)]
    weights = replace(sources[0].synapses, weights=-sources[0].synapses.weights)
    projections = tuple(replace(p, synapses=weights) if p is sources[0] else p for p in network.projections)
    broken = replace(network, populations={**network.populations, layer: slow}, projections=projections)
    found = bisect(Side("graph", graph), Side("chip", broken), data, shrinking=False).bisection
    assert found.culprit == layer
    assert found.cause in ("sign-mode", "weights")
    assert found.suspects[0].reproduces == "mended"
    assert "signs are turned around" in found.suspects[0].words
