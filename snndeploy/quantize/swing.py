"""How far the potential of a float layer swings on data: v adds up over steps, so no bound of one step makes room for it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.graph import Graph
from snndeploy.ir.neurons.decoupling import U_LIMIT
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import delivered, paths_into

MARGIN = 1.25
"""Data to come may swing further than what was seen by a quarter."""
WIDER = (1.0, 1.06, 1.15, 1.3)
"""Scales that leave room, as multiples of the finest that does: thresholds lie on a grid, and some meet it better."""
WORSE, BESIDES = 1.5, 0.005
"""What room may cost: half as much error again, and half a percent of neuron-steps. More is lost by it than by the clip."""


def roomier(largest: float, scale: float) -> Iterator[float]:
    """Coarser scales at which v holds a swing of ``largest`` and the ``MARGIN``; none where ``scale`` does.

    First the next power of two: the weights keep their levels, only their exponent falls.
    """
    needed = largest * MARGIN / U_LIMIT
    if needed > scale:
        yield scale * 2.0 ** math.ceil(math.log2(needed / scale))
        yield from (needed * wider for wider in WIDER)


def within(largest: float, scale: float) -> bool:
    """True if v holds that swing and most of the margin at this scale."""
    return largest * (1 + MARGIN) / 2 < scale * U_LIMIT


def as_good(found: tuple[int, float], best: tuple[int, float]) -> bool:
    """Whether the loss (layers that died, error) is a fair price for room."""
    return found[0] <= best[0] and found[1] <= best[1] * WORSE + BESIDES


def swing(graph: Graph, name: str, reference: Mapping[str, Floats]) -> float:
    """The largest |v| of neuron ``name`` after its steps when its sources send ``reference`` [T, B, *shape]; 0 without a v."""
    node, total = graph.nodes[name], _entering(graph, name, reference)
    state = node.initial_state(total.shape[2:])
    state = {word: np.broadcast_to(values, total.shape[1:]) for word, values in state.items()}
    largest = 0.0
    for now in total:
        _, state = node.step((now,), state, NUMPY)
        largest = max(largest, float(np.abs(state["v"]).max(initial=0.0))) if "v" in state else 0.0
    return largest


def _entering(graph: Graph, name: str, reference: Mapping[str, Floats]) -> Floats:
    """[T, B, *shape] what enters the neuron; constants included."""
    paths = paths_into(graph, name)
    steps = max(len(reference[path.source]) for path in paths)
    total = sum((delivered(graph.nodes, path, reference[path.source]) for path in paths), start=np.zeros(()))
    return np.broadcast_to(total, (steps, *total.shape[1:]))
