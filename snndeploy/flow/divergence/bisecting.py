"""``bisect``: two networks on the same data; the layer, the step, the neuron, the change that explains it, the smallest input."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.chip.network import ChipNetwork
from snndeploy.flow.divergence import across, cutting, trials
from snndeploy.flow.divergence.around import around, threshold
from snndeploy.flow.divergence.comparing import LAYERS, NEAR, Alone, Sides, alone, in_time_of_first, parting, run_both, unequal
from snndeploy.flow.divergence.shrinking import leading_steps, shrink
from snndeploy.flow.divergence.sides import Series, Side, part, run_part, seen, words
from snndeploy.flow.feeding import Feed
from snndeploy.ir.graph import Graph
from snndeploy.verdict import Bisection, DifferingLayer, Divergence, Reduced, Suspect

CHUNK = 32
"""Samples that are run with all state words kept; the next ones only while nothing differs."""


@dataclass(frozen=True, eq=False)
class Found:
    """A bisection, and the reduced data (None where nothing differs, or it was not shrunk)."""

    bisection: Bisection
    reduced: Feed | None = None


def bisect(a: Side, b: Side, data: Feed, *, shrinking: bool = True) -> Found:
    """Find where two networks part on the data.

    Both are run whole; of the layers that differ, each is run alone on what fed it in the first side, so that one which
    differs only because its input does is told from the culprit. Then every known change of that layer is tried, and the
    input is shrunk.
    """
    compared = 0
    for start, chunk in _chunks(data):
        s = run_both(a, b, chunk)
        compared += sum(unequal(s, layer).size for layer in s.layers)
        if parting(s, hidden=False):
            return _of_all(_found(s, compared, hidden=False, shrinking=shrinking), start)
    first = run_both(a, b, data.first(CHUNK))
    if not first.mixed and parting(first, hidden=True):
        return _found(first, compared, hidden=True, shrinking=shrinking)
    return Found(_readouts(Bisection(a.name, b.name, compared, 0, mixed=first.mixed), a, b))


def _chunks(data: Feed) -> Iterator[tuple[int, Feed]]:
    """Samples that are run together, with how many are before them."""
    for start in range(0, data.samples, CHUNK):
        inputs = {n: v[:, start : start + CHUNK] for n, v in data.inputs.items()}
        yield start, replace(data, inputs=inputs, labels=None)


def _of_all(found: Found, start: int) -> Found:
    """What was found in samples of which the first is number ``start``: their numbers are those of all."""
    made, first = found.bisection, found.bisection.first
    if first is None or not start:
        return found
    suspects = tuple(_stale_at(first.sample + start) if s.cause == "stale-state" else s for s in made.suspects)
    return replace(found, bisection=replace(made, first=replace(first, sample=first.sample + start), suspects=suspects))


def _readouts(equal: Bisection, a: Side, b: Side) -> Bisection:
    """Every layer is equal; the answers may still be read differently."""
    if not isinstance(a.network, ChipNetwork) or not isinstance(b.network, ChipNetwork):
        return equal
    p, q = a.network.readout, b.network.readout
    if str(p) == str(q) and a.network.steps == b.network.steps:
        return equal
    said = f"read as {p}, T={a.network.steps}, against {q}, T={b.network.steps}"
    layer = DifferingLayer("read-out", 0, 0, own=True)
    return replace(equal, layers=(layer,), culprit="read-out", suspects=(Suspect("window", said, "output", read=True),))


def _found(s: Sides, compared: int, *, hidden: bool, shrinking: bool) -> Found:
    order = parting(s, hidden)
    apart = {layer: alone(s, layer, hidden) for _, _, layer in order[:LAYERS]}
    rows = tuple(
        DifferingLayer(layer, step, int(unequal(s, layer, hidden).sum()), (pair := apart.get(layer)) is None or bool(pair.unequal.any()))
        for step, _, layer in order
    )
    own = [r.layer for r in rows if r.own]
    culprit = next((n for n in own if s.mixed and (held := apart.get(n)) and across.flawed(s, n, held)), next(iter(own), ""))
    base = Bisection(s.a.name, s.b.name, compared, sum(r.values for r in rows), rows, culprit, hidden=hidden, mixed=s.mixed)
    shown = culprit or rows[0].layer
    pair = apart[shown]
    first = _first(s, shown, unequal(s, shown, hidden) if pair is None or not pair.unequal.any() else pair.unequal)
    base = replace(base, first=first)
    stale = _stale(s, first.sample, hidden)
    if stale is not None:
        return _explained(s, replace(base, culprit=shown), pair, ((stale,), 1), shrinking=False)
    return _explained(s, base, pair, _suspects(s, shown, pair, hidden), shrinking=shrinking and bool(culprit))


def _first(s: Sides, layer: str, apart: Series) -> Divergence:
    step, sample, *neuron = (int(i) for i in np.unravel_index(int(apart.argmax()), apart.shape))
    a, b = (seen(side, run, layer)[step + side.shift(layer), sample] for side, run in ((s.a, s.run_a), (s.b, s.run_b)))
    flat = int(np.ravel_multi_index(tuple(neuron), apart.shape[2:])) if neuron else 0
    return Divergence(layer, step, sample, tuple(neuron), float(a.reshape(-1)[flat]), float(b.reshape(-1)[flat]))


def _stale(s: Sides, sample: int, hidden: bool) -> Suspect | None:
    """Whether the sample alone makes no difference, but does after those before it."""
    if sample == 0:
        return None
    one = replace(s.data, inputs={n: v[:, sample : sample + 1] for n, v in s.data.inputs.items()}, labels=None)
    if parting(run_both(s.a, s.b, one), hidden):
        return None
    return _stale_at(sample)


def _stale_at(sample: int) -> Suspect:
    return Suspect("stale-state", f"sample {sample} alone is equal; after the samples before it, it is not", "output")


def _suspects(s: Sides, layer: str, pair: Alone | None, hidden: bool) -> tuple[tuple[Suspect, ...], int]:
    if pair is None:
        return (Suspect("input", "the input itself differs: its unit, its rounding or its encoding", "output", read=True),), 0
    if not pair.unequal.any():
        return (), 0
    if s.mixed:
        return across.suspects(s, layer, pair)
    if (late := _window(s, layer)) is not None:
        return (late,), 1
    order = _differing_first(pair.unequal)
    target = trials.Target(
        in_time_of_first(s, layer, seen(s.b, pair.run_b, layer))[:, order],
        {w: in_time_of_first(s, layer, x)[:, order] for w, x in words(pair.run_b, layer).items()},
        s.a.shift(layer),
        hidden,
        NEAR if isinstance(s.a.network, Graph) else 0.0,
    )
    feeds = {n: v[:, order] for n, v in pair.feeds_a.items()}
    reads = "spikes" if isinstance(s.a.network, Graph) else s.a.network.populations[layer].reads
    parted = int(pair.unequal[:, order[0]].reshape(len(pair.unequal), -1).any(axis=1).argmax())
    prefix = s.a.shift(layer) + parted + 1
    return trials.suspects(trials.Case(layer, part(s.a, layer), part(s.b, layer), feeds, s.a.execute, reads, prefix), target)


def _differing_first(apart: Series) -> list[int]:
    """All samples, those that differ first: a change must reproduce each of them."""
    differ = np.flatnonzero(apart.reshape(*apart.shape[:2], -1).any(axis=(0, 2)))
    rest = np.setdiff1d(np.arange(apart.shape[1]), differ)
    return [int(i) for i in np.concatenate([differ, rest])]


def _window(s: Sides, layer: str) -> Suspect | None:
    """The same run, read at another time."""
    by = s.b.shift(layer) - s.a.shift(layer)
    x, y = seen(s.a, s.run_a, layer), seen(s.b, s.run_b, layer)
    length = min(len(x), len(y))
    if not by or not np.array_equal(x[:length], y[:length]):
        return None
    return Suspect("window", f"the same run, read {abs(by)} step(s) {'later' if by > 0 else 'earlier'}", "all", read=True)


def _explained(s: Sides, base: Bisection, pair: Alone | None, found: tuple[tuple[Suspect, ...], int], *, shrinking: bool) -> Found:
    assert base.first is not None
    layer, at = base.first.layer, (base.first.step, base.first.sample, base.first.neuron)
    made = replace(base, suspects=found[0], tried=found[1], threshold=threshold(s.a, layer, base.first.neuron))
    made = replace(made, first=replace(base.first, cause=made.cause))
    if pair is not None:
        ours, theirs = around(s.a, layer, pair.run_a, pair.feeds_a, at), around(s.b, layer, pair.run_b, pair.feeds_b, at)
        made = replace(made, a_around=ours, b_around=theirs)
    if not shrinking:
        return Found(made)
    small = shrink(s, layer, base.first.sample, base.first.step, base.hidden)
    counted = Reduced(1, leading_steps(small.data), small.entries, small.before, small.runs)
    return Found(replace(made, reduced=_cut_out(s, layer, small.data, counted, base.hidden)), small.data)


def _cut_out(s: Sides, layer: str, data: Feed, counted: Reduced, hidden: bool) -> Reduced:
    """Of the layer on the reduced data: one neuron and what fed it, if that alone still differs."""
    again = run_both(s.a, s.b, data)
    pair = alone(again, layer, hidden)
    ours, theirs = part(s.a, layer), part(s.b, layer)
    if pair is None or not pair.unequal.any() or not isinstance(ours, ChipNetwork) or not isinstance(theirs, ChipNetwork):
        return counted
    neuron = _first(again, layer, pair.unequal).neuron
    sources = cutting.active(pair.feeds_a)
    if ours.populations.keys() != theirs.populations.keys() or s.a.shift(layer) != s.b.shift(layer):
        return counted
    small = [cutting.one_neuron(network, layer, neuron, sources) for network in (ours, theirs)]
    if small[0] is None or small[1] is None:
        return counted
    runs = [
        run_part(network, cutting.narrowed(feeds, sources), side.execute)
        for network, feeds, side in zip(small, (pair.feeds_a, pair.feeds_b), (s.a, s.b), strict=True)
        if network is not None
    ]
    series = [[run.outputs[layer], *words(run, layer).values()] for run in runs]
    still = any(not np.array_equal(x, y) for x, y in zip(*series, strict=True))
    fed = max(cutting.synapses(network) for network in small if network is not None)
    return replace(counted, sources=sum(map(len, sources.values())), synapses=fed, still=still)
