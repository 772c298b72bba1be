"""What is said of ties: spikes that only the rounding of the model's number type decides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from converters import Loaded, Witness
from snndeploy.arrays import Floats
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.held import ties_of
from snndeploy.ir.layers import Conv, Linear

LEVELS = 256
"""A grid has at most so many levels on either side of 0: potentials on a finer one meet a threshold as rarely as any."""
FEW_BITS = 12
"""A number with no more is a short binary fraction: sums of few of them do not round."""
FEW_STEPS = 16


def with_ties(loaded: Loaded, run: Witness | None) -> Loaded:
    """The same with a note, where rounding decides a spike of a run in less than float64, or may decide one."""
    if run is None or run.arithmetic == "float64":
        return loaded
    ties, near, spikes = ties_of(loaded.graph, run.inputs, run.steps, run.told, run.arithmetic)
    grids = list(dict.fromkeys(_grids(loaded.graph, loaded.steps)))
    if not near and not grids:
        return loaded
    where = f"{near:,} of {spikes:,} spikes of the trial run lie within {run.arithmetic}'s rounding of a threshold"
    note = f"ties: {where}; {ties:,} of them the model, which runs in {run.arithmetic}, decides otherwise than the graph, in float64"
    if grids:
        note += f" (the weights of {', '.join(grids[:3])} lie on a grid, so potentials meet thresholds exactly: expect more on other data)"
    return replace(loaded, assumptions=(*loaded.assumptions, note))


def _grids(graph: Graph, steps: int | None) -> Iterator[str]:
    """The synapses on a grid that drive a neuron in which their sums round."""
    for name in graph.order:
        node = graph.nodes[name]
        if node.emits not in ("spikes", "levels"):
            continue
        for source in _synapses(graph, name, set()):
            weight = graph.nodes[source].weight  # type: ignore[attr-defined]
            if _on_grid(weight) and not _exact(weight, node, steps):
                yield source


def _synapses(graph: Graph, name: str, seen: set[str]) -> Iterator[str]:
    """What weighs the input of a neuron, through whatever passes it on."""
    for edge in graph.into(name):
        if edge.source in seen:
            continue
        seen.add(edge.source)
        node = graph.nodes[edge.source]
        if isinstance(node, Linear | Conv):
            yield edge.source
        elif node.emits == "same":
            yield from _synapses(graph, edge.source, seen)


def _on_grid(weight: Floats) -> bool:
    """Whether weights are small whole multiples of one number, but for rounding."""
    sizes = np.unique(np.abs(weight[weight != 0]))
    if not 0 < len(sizes) <= LEVELS:
        return False
    unit = float(min(sizes[0], np.diff(sizes)[np.diff(sizes) > 1e-6 * sizes[-1]].min(initial=sizes[0])))
    multiples = sizes / unit
    return bool(multiples[-1] <= LEVELS and (np.abs(multiples - np.round(multiples)) < 1e-4).all())


def _exact(weight: Floats, node: Node, steps: int | None) -> bool:
    """Whether sums of these weights reach the threshold without rounding: short binary fractions that do not grow long."""
    numbers = [v for v in (*vars(node).values(), weight) if isinstance(v, np.ndarray)]
    if not all(bool((v * 2.0**FEW_BITS == np.round(v * 2.0**FEW_BITS)).all()) for v in numbers):
        return False
    decays = np.concatenate([np.ravel(getattr(node, name, 0.0)) for name in ("decay", "current_decay")])
    return bool(np.isin(decays, (0.0, 1.0)).all()) or (steps or FEW_STEPS + 1) <= FEW_STEPS
