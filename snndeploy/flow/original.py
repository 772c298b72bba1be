"""The graph against the original model's own runs: every spike and every output, to within the rounding of their type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import converters
from snndeploy.arrays import Floats
from snndeploy.data import decode
from snndeploy.ir.following import Mask
from snndeploy.ir.graph import Graph
from snndeploy.ir.held import Held, hold
from snndeploy.ir.layers import Output
from snndeploy.ir.spread import ARITHMETICS, Arithmetic
from snndeploy.sim.reference import run_reference
from snndeploy.verdict import Divergence, Pair

CLOSE = 2.0**-40
"""Outputs this near, as a share, need no bound: no type of a run is finer than float64's own sums."""
AT_ONCE = 32
"""So many samples are followed at a time: rounding bounds are slow, and take memory."""


def hold_against_original(loaded: converters.Loaded) -> Pair | None:
    """The graph against the model's trial run, in float64 if the model can run so.

    Spike by spike: the graph goes the model's way at a tie, so what follows from one is judged by itself
    (``within_bound`` counts the ties, ``consequences`` what differs in a free run because of them). None where there was
    no model to run.
    """
    if loaded.witness is None or not loaded.witness.outputs:
        return None
    return _pair(loaded.graph, loaded.witness, "original model")


def hold_against_own_type(loaded: converters.Loaded) -> Pair | None:
    """The same against its run in its own number type, where that parts from the graph; None where it does not."""
    if loaded.own is None or not loaded.own.outputs or loaded.witness is None or not loaded.witness.outputs:
        return None
    pair = _pair(loaded.graph, loaded.own, f"original model in {loaded.own.arithmetic}")
    return pair if pair.different else None


def _pair(graph: Graph, witness: converters.Witness, name: str) -> Pair:
    """One run of the model. A sample whose free run is equal needs no bound."""
    told = {node: series for node, series in witness.told.items() if node in graph.nodes}
    free = run_reference(graph, witness.inputs, witness.steps, record=[*told, *witness.outputs])
    differ = {node: ~((free.outputs[node] == series) | np.isnan(series)) for node, series in told.items()}
    apart = {node: np.abs(_read(graph, node, free.outputs[node]) - wanted) for node, wanted in witness.outputs.items()}
    compared = sum(x.size for x in (*differ.values(), *apart.values()))
    unequal = {node: ~(off <= CLOSE * np.maximum(1.0, np.abs(witness.outputs[node]))) for node, off in apart.items()}
    samples = next(iter(witness.inputs.values())).shape[1]
    wrong = [m.any(axis=tuple(a for a in range(m.ndim) if a != 1)) for m in differ.values()]
    wrong += [_by_sample(graph, node, mask) for node, mask in unequal.items()]
    off = np.flatnonzero(np.logical_or.reduce([np.zeros(samples, np.bool_), *wrong]))
    found = _Found(0, 0, None)
    for start in range(0, len(off), AT_ONCE):
        found = found.and_(_followed(graph, witness, told, off[start : start + AT_ONCE]))
    parted = sum(int(m.sum()) for m in (*differ.values(), *unequal.values())) if found.ties else 0
    return Pair(name, "graph", compared, found.ties + found.wrong, found.first, found.ties, consequences=max(0, parted - found.ties))


@dataclass(frozen=True)
class _Found:
    ties: int
    wrong: int
    first: Divergence | None

    def and_(self, other: _Found) -> _Found:
        """Both; the first difference is the earlier that is no tie."""
        first = self.first if self.first is not None and (self.wrong or not other.wrong) else other.first
        return _Found(self.ties + other.ties, self.wrong + other.wrong, first)


def _followed(graph: Graph, witness: converters.Witness, told: Mapping[str, Floats], some: NDArray[np.intp]) -> _Found:
    inputs = {node: values[:, some] for node, values in witness.inputs.items()}
    way = {node: series[:, some] for node, series in told.items()}
    held = hold(graph, inputs, witness.steps, way, list(witness.outputs), witness.arithmetic)
    beyond: dict[str, Mask] = {}
    gave: dict[str, tuple[Floats, Floats]] = {}
    for node, wanted in witness.outputs.items():
        part = wanted[:, some] if _timed(graph, node) else wanted[some]
        value, bound = _bounded(graph, node, held, part, ARITHMETICS[witness.arithmetic])
        beyond[node], gave[node] = ~(np.abs(value - part) <= bound), (part, value)
    ties, wrong = (sum(int(m.sum()) for m in side.values()) for side in (held.ties, held.wrong))
    excused = np.zeros(len(some), np.bool_) if told else _undecided(held, len(some))
    outside = {node: m & ~_spread(graph, node, excused, m) for node, m in beyond.items()}
    parted = np.logical_or.reduce([_by_sample(graph, node, m & ~outside[node]) for node, m in beyond.items()])
    wrong += sum(int(m.sum()) for m in outside.values())
    first = _shown(graph, outside if wrong else beyond, gave, some) or _told(held.wrong if wrong else held.ties, way, some)
    return _Found(ties + int(parted.sum()), wrong, first)


def _undecided(held: Held, samples: int) -> Mask:
    """The samples in which rounding may have decided a spike that the run did not tell."""
    found = [np.moveaxis(m, 1, 0).reshape(samples, -1).any(axis=1) for m in held.near.values()]
    return np.asarray(np.logical_or.reduce([np.zeros(samples, np.bool_), *found]))


def _timed(graph: Graph, node: str) -> bool:
    output = graph.nodes[node]
    assert isinstance(output, Output)
    return output.decode == "none"


def _read(graph: Graph, node: str, series: Floats) -> Floats:
    output = graph.nodes[node]
    assert isinstance(output, Output)
    return series if output.decode == "none" else decode(series, output.decode, output.vote)


def _bounded(graph: Graph, node: str, held: Held, wanted: Floats, kind: Arithmetic) -> tuple[Floats, Floats]:
    """What an output gives, read as the model reads it, and how far rounding reaches: of every step, and of their sum."""
    found = held.outputs[node]
    value = _read(graph, node, found.value).reshape(wanted.shape)
    if _timed(graph, node):
        return value, found.error.reshape(wanted.shape)
    carried = np.zeros_like(value) if not found.error.any() else np.abs(_read(graph, node, found.error)).reshape(wanted.shape)
    summed = np.abs(found.value).max(axis=0).reshape(len(value), -1).max(axis=1).reshape(-1, *(1,) * (value.ndim - 1))
    steps = len(found.value)
    return value, carried + kind.unit * steps * (summed * steps if _added_up(graph, node) else summed)


def _added_up(graph: Graph, node: str) -> bool:
    """Whether an output adds its steps up; all other read-outs are no larger than the largest step."""
    output = graph.nodes[node]
    assert isinstance(output, Output)
    return output.decode == "sum"


def _by_sample(graph: Graph, node: str, mask: Mask) -> Mask:
    axis = 1 if _timed(graph, node) else 0
    return np.asarray(mask.any(axis=tuple(a for a in range(mask.ndim) if a != axis)))


def _spread(graph: Graph, node: str, samples: Mask, like: Mask) -> Mask:
    """A mask over samples as one over an output's values."""
    lead = (1, len(samples)) if _timed(graph, node) else (len(samples),)
    return np.broadcast_to(samples.reshape(*lead, *(1,) * (like.ndim - len(lead))), like.shape)


def _shown(graph: Graph, masks: Mapping[str, Mask], gave: Mapping[str, tuple[Floats, Floats]], some: NDArray[np.intp]) -> Divergence | None:
    for node, mask in masks.items():
        if mask.any():
            at = tuple(int(i) for i in np.argwhere(mask)[0])
            step, sample, *neuron = at if _timed(graph, node) else (0, *at)
            a, b = gave[node]
            return Divergence(node, step, int(some[sample]), tuple(neuron), float(a[at]), float(b[at]), "beyond the rounding bound")
    return None


def _told(masks: Mapping[str, Mask], way: Mapping[str, Floats], some: NDArray[np.intp]) -> Divergence | None:
    """The first spike, in time and then in the order of the graph, that was decided otherwise."""
    steps = {node: int(m.reshape(len(m), -1).any(axis=1).argmax()) for node, m in masks.items() if m.any()}
    if not steps:
        return None
    node = min(steps, key=lambda n: steps[n])
    at = tuple(int(i) for i in np.argwhere(masks[node])[0])
    theirs = float(way[node][at])
    return Divergence(node, at[0], int(some[at[1]]), at[2:], theirs, 1.0 - theirs, "at the threshold, within the rounding bound")
