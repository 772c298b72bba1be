"""The graph against the original model's own runs: every spike and every output, to within the rounding of their type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

import converters
from snndeploy.arrays import Floats
from snndeploy.data import decode
from snndeploy.flow import turning
from snndeploy.flow.resolving import unseen
from snndeploy.ir.following import Mask
from snndeploy.ir.graph import Graph
from snndeploy.ir.held import Held, hold
from snndeploy.ir.layers import Output
from snndeploy.ir.spread import ARITHMETICS, Arithmetic
from snndeploy.sim.reference import run_reference
from snndeploy.verdict import Divergence, Pair

CLOSE = 2.0**-40
"""Outputs this near, as a share, need no bound: no type of a run is finer than float64's own sums."""
AT_THRESHOLD = "at the threshold, within the rounding bound"
AT_ONCE = 32
"""So many samples are followed at a time: rounding bounds are slow, and take memory."""


@dataclass(frozen=True)
class Originals:
    """The model's own runs against the graph, and in words what of them could not be compared."""

    pairs: tuple[Pair, ...]
    unsettled: tuple[str, ...] = ()


def hold_against_originals(loaded: converters.Loaded) -> Originals:
    """The graph against every run of the original model that there is: see the two functions below."""
    held = [_in_float64(loaded), _in_own_type(loaded)]
    pairs = tuple(pair for pair, _ in held if pair is not None)
    said = [words for _, words in held] + ([_hidden(loaded.graph, loaded.witness)] if pairs and loaded.witness else [])
    return Originals(pairs, tuple(words for words in said if words))


def _hidden(graph: Graph, witness: converters.Witness) -> str:
    told = {node: series for node, series in witness.told.items() if node in graph.nodes}
    return unseen(graph, witness, told, "original model")


def hold_against_original(loaded: converters.Loaded) -> Pair | None:
    """The graph against the model's trial run, in float64 if the model can run so.

    Spike by spike: the graph goes the model's way at a tie, so what follows from one is judged by itself
    (``within_bound`` counts the ties, ``consequences`` what differs in a free run because of them). None where there was
    no model to run, or of every sample too many spikes are near a threshold to say.
    """
    return _in_float64(loaded)[0]


def hold_against_own_type(loaded: converters.Loaded) -> Pair | None:
    """The same against its run in its own number type, where that parts from the graph; None where it does not."""
    return _in_own_type(loaded)[0]


def _in_float64(loaded: converters.Loaded) -> tuple[Pair | None, str]:
    if loaded.witness is None or not loaded.witness.outputs:
        return None, ""
    return _pair(loaded.graph, loaded.witness, "original model")


def _in_own_type(loaded: converters.Loaded) -> tuple[Pair | None, str]:
    if loaded.own is None or not loaded.own.outputs or loaded.witness is None or not loaded.witness.outputs:
        return None, ""
    pair, said = _pair(loaded.graph, loaded.own, f"original model in {loaded.own.arithmetic}")
    return (pair if pair is not None and pair.different else None), said


def _pair(graph: Graph, witness: converters.Witness, name: str) -> tuple[Pair | None, str]:
    """One run of the model. A sample whose free run is equal needs no bound."""
    run = Run(graph, witness, {node: series for node, series in witness.told.items() if node in graph.nodes})
    free = run_reference(graph, witness.inputs, witness.steps, record=[*run.told, *witness.outputs])
    differ = {node: ~((free.outputs[node] == series) | np.isnan(series)) for node, series in run.told.items()}
    apart = {node: np.abs(_read(graph, node, free.outputs[node]) - wanted) for node, wanted in witness.outputs.items()}
    unequal = {node: ~(off <= CLOSE * np.maximum(1.0, np.abs(witness.outputs[node]))) for node, off in apart.items()}
    samples = next(iter(witness.inputs.values())).shape[1]
    off = np.flatnonzero(np.logical_or.reduce([np.zeros(samples, np.bool_), *_by_samples(graph, differ, unequal)]))
    found = _Found()
    for start in range(0, len(off), AT_ONCE):
        found = found.and_(_followed(run, off[start : start + AT_ONCE]))
    kept = np.setdiff1d(np.arange(samples), found.open)
    compared, parted = _counts(graph, differ, unequal, kept)
    later = max(0, parted - found.ties) if found.ties else 0
    pair = Pair(name, "graph", compared, found.ties + found.wrong, found.first, found.ties, consequences=later)
    return (pair if len(kept) else None), _unsettled(name, len(found.open), samples)


def _by_samples(graph: Graph, differ: Mapping[str, Mask], unequal: Mapping[str, Mask]) -> list[Mask]:
    """What differs of nodes, [T, B, ...], and of outputs, by sample."""
    nodes = [np.asarray(m.any(axis=tuple(a for a in range(m.ndim) if a != 1))) for m in differ.values()]
    return nodes + [_by_sample(graph, node, mask) for node, mask in unequal.items()]


def _counts(graph: Graph, differ: Mapping[str, Mask], unequal: Mapping[str, Mask], kept: NDArray[np.intp]) -> tuple[int, int]:
    """How many values of some samples there are, and how many of them differ in a free run."""
    masks = [m[:, kept] for m in differ.values()]
    masks += [m[:, kept] if _timed(graph, node) else m[kept] for node, m in unequal.items()]
    return sum(m.size for m in masks), sum(int(m.sum()) for m in masks)


def _unsettled(name: str, count: int, samples: int) -> str:
    if not count:
        return ""
    why = "more spikes lie near a threshold than can be tried the other way, and the run does not tell them"
    return f"{name}: {count} of {samples} samples of its run, which the graph answers otherwise: {why}"


@dataclass(frozen=True, eq=False)
class Run:
    """A run of the model, with what it told of nodes that the graph has."""

    graph: Graph
    witness: converters.Witness
    told: Mapping[str, Floats]


@dataclass(frozen=True)
class _Found:
    """Counted values, the first that differs, and the samples of which nothing can be said."""

    ties: int = 0
    wrong: int = 0
    first: Divergence | None = None
    open: tuple[int, ...] = ()

    def and_(self, other: _Found) -> _Found:
        """Both; the first difference is the earlier that is no tie."""
        first = self.first if self.first is not None and (self.wrong or not other.wrong) else other.first
        return _Found(self.ties + other.ties, self.wrong + other.wrong, first, self.open + other.open)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Some samples on the model's way: ``outside`` are outputs beyond their bound, ``gave`` (the model's, the graph's)."""

    held: Held
    outside: Mapping[str, Mask]
    gave: Mapping[str, tuple[Floats, Floats]]
    trouble: NDArray[np.int64]


def _judged(run: Run, some: NDArray[np.intp], turned: Mapping[str, Mask] | None = None) -> _Judged:
    graph, witness = run.graph, run.witness
    inputs = {node: values[:, some] for node, values in witness.inputs.items()}
    way = {node: series[:, some] for node, series in run.told.items()}
    held = hold(graph, inputs, witness.steps, way, list(witness.outputs), witness.arithmetic, turned)
    outside: dict[str, Mask] = {}
    gave: dict[str, tuple[Floats, Floats]] = {}
    for node, wanted in witness.outputs.items():
        part = wanted[:, some] if _timed(graph, node) else wanted[some]
        value, bound = _bounded(graph, node, held, part, ARITHMETICS[witness.arithmetic])
        outside[node], gave[node] = ~(np.abs(value - part) <= bound), (part, value)
    return _Judged(held, outside, gave, _trouble(run, held, outside, len(some)))


def _trouble(run: Run, held: Held, outside: Mapping[str, Mask], samples: int) -> NDArray[np.int64]:
    """By sample the first step that is not explained; T where it shows only in what all steps add up to."""
    first = np.full(samples, turning.NEVER, np.int64)
    timed = [mask for node, mask in outside.items() if _timed(run.graph, node)]
    for mask in (*held.wrong.values(), *timed):
        by_step = mask.reshape(*mask.shape[:2], -1).any(axis=2)
        first = np.where(by_step.any(axis=0), np.minimum(first, by_step.argmax(axis=0)), first)
    for node, mask in outside.items():
        if not _timed(run.graph, node):
            first = np.where(_by_sample(run.graph, node, mask), np.minimum(first, run.witness.steps), first)
    return np.asarray(first)


def _followed(run: Run, some: NDArray[np.intp]) -> _Found:
    seen = _judged(run, some)
    unclear = np.flatnonzero((seen.trouble < turning.NEVER) & turning.near(seen.held, len(some)))
    ways = {int(at): _search(run, seen, some, int(at)) for at in unclear}
    sure = np.array([at not in ways or ways[at].found == "different" for at in range(len(some))])
    ties = sum(int(m[:, sure].sum()) for m in seen.held.ties.values()) + sum(way.ties for way in ways.values())
    wrongs = {node: _only(m, 1, sure) for node, m in seen.held.wrong.items()}
    outside = {node: _only(m, 1 if _timed(run.graph, node) else 0, sure) for node, m in seen.outside.items()}
    wrong = sum(int(m.sum()) for m in (*wrongs.values(), *outside.values()))
    way = {node: series[:, some] for node, series in run.told.items()}
    tie = {node: _only(m, 1, sure) for node, m in seen.held.ties.items()}
    turned = next((_turned(run, w, int(some[at])) for at, w in ways.items() if w.turns), None)
    first = _shown(run.graph, outside, seen.gave, some) or _told(wrongs if wrong else tie, way, some) or turned
    return _Found(ties, wrong, first, tuple(int(some[at]) for at, w in ways.items() if w.found == "open"))


def _search(run: Run, seen: _Judged, some: NDArray[np.intp], at: int) -> turning.Way:
    def trial(count: int, turned: Mapping[str, Mask]) -> turning.Tried:
        found = _judged(run, np.repeat(some[at], count), turned)
        return turning.Tried(found.held, found.trouble)

    return turning.search(run.graph, turning.Tried(seen.held, seen.trouble), at, trial)


def _only(mask: Mask, axis: int, samples: Mask) -> Mask:
    """A mask with nothing set in the other samples."""
    return np.asarray(mask & samples.reshape(*(1,) * axis, -1, *(1,) * (mask.ndim - axis - 1)))


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
    return Divergence(node, at[0], int(some[at[1]]), at[2:], theirs, 1.0 - theirs, AT_THRESHOLD)


def _turned(run: Run, way: turning.Way, sample: int) -> Divergence:
    """The first decision that was turned around: the graph's value there, and what the model's outputs show it sent."""
    turn = way.turns[0]
    node = run.graph.order[turn.place]
    inputs = {name: values[:, [sample]] for name, values in run.witness.inputs.items()}
    own = float(run_reference(run.graph, inputs, run.witness.steps, record=[node]).outputs[node][(turn.step, 0, *turn.neuron)])
    theirs = 1.0 - own if run.graph.nodes[node].emits == "spikes" else own
    return Divergence(node, turn.step, sample, turn.neuron, theirs, own, AT_THRESHOLD)
