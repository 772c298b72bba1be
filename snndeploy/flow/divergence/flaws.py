"""What is wrong inside a decoupled burst layer: its registers and synapses against those that the construction prescribes.

A construction holds most numbers several times: both banks have every threshold, every bank the same inlets, the force stands in
each synapse that forces. Where two copies differ, the one that is nearer to the graph's own number is taken for the right one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Floats, Ints, frozen_ints
from snndeploy.chip.models import DECAY_UNIT, Lif
from snndeploy.chip.network import ChipNetwork, Projection, Sparse
from snndeploy.chip.program import NeuronProgram
from snndeploy.flow.divergence.chip_reading import differences, show
from snndeploy.flow.divergence.folds import Fold, inner
from snndeploy.flow.divergence.inlets import bank, inlets, reference
from snndeploy.ir.neurons.decoupling import CONSTANT, UNIT
from snndeploy.verify.proofs.cells import Link, kept, lags, register

Flaw: TypeAlias = tuple[str, str, Callable[[ChipNetwork], ChipNetwork]]
"""Its class, what is wrong in words, and what mends it in the layer alone."""
RELAY = {"vth": 1, "dv": DECAY_UNIT - 1, "du": DECAY_UNIT - 1, "bias_mant": 0, "u": 0, "v": 0}
COUNTER = {**RELAY, "dv": 0}
CLASSES = {
    "vth": "threshold",
    "t0": "threshold",
    "r0": "reset-kind",
    "dv": "decay",
    "du": "decay",
    "kv": "decay",
    "u": "start",
    "v": "start",
}


@dataclass(frozen=True, eq=False)
class Ideal:
    """The integers of the faultless construction: ``thresholds`` and ``amounts`` [K, size] in units of v, ``keep`` [size] in 4096ths,
    ``constant`` [size], ``force`` and ``kick`` in weight units; ``scale`` is the real value of one unit of v.
    """

    thresholds: Ints
    keep: Ints
    amounts: Ints | None
    constant: Ints
    force: int
    kick: int
    scale: float


def snapped(i: Ideal) -> Floats:
    """[size] how far, in units of v, a threshold may lie from the graph's: half a mantissa, or half the grid of lateral synapses."""
    whole = DECAY_UNIT * UNIT
    return np.asarray(UNIT / 2 + (0.0 if i.amounts is None else whole / np.gcd(i.keep, whole) / 2.0), np.float64)


def rung(tag: str) -> int:
    """Which threshold a bank has, counted from 0."""
    return int(tag[1:] or 1) - 1


def wanted(values: Any, fold: Fold) -> Floats:
    """A parameter of the graph's neuron, [size] or [K, size]."""
    array = np.asarray(values, np.float64)
    if array is fold.node.thresholds or array is fold.node.amounts:
        wide = array.reshape(len(array), *(1,) * (len(fold.shape) + 1 - array.ndim), *array.shape[1:])
        return np.broadcast_to(wide, (len(array), *fold.shape)).reshape(len(array), -1)
    return np.broadcast_to(array, fold.shape).reshape(-1)


def nearest(copies: list[Ints], target: Floats) -> Ints:
    """[size] of several copies of one number the one that is nearest to the target, neuron by neuron."""
    family = np.stack([np.broadcast_to(c, target.shape) for c in copies])
    return np.asarray(np.take_along_axis(family, np.abs(family - target).argmin(axis=0)[None], axis=0)[0], np.int64)


def thresholds_of(fold: Fold, tag: str) -> list[Ints]:
    """[size] each, every copy of a bank's threshold in units of v: a program's own spike takes it off, too."""
    member = fold.layer.members[tag]
    return [register(member, "vth") * UNIT] if isinstance(member.model, Lif) else [register(member, "t0"), register(member, "r0")]


def ideal(fold: Fold, silent: Floats) -> Ideal:
    """What the members' own numbers say the layer should hold; ``silent`` [size] is what enters the graph's neuron in silence."""
    layer, theta = fold.layer, wanted(fold.node.thresholds, fold)
    held = [(rung(tag), copy) for tag in layer.banks for copy in thresholds_of(fold, tag)]
    ratios = np.concatenate([theta[j][h > 0] / h[h > 0] for j, h in held])
    scale = float(np.median(ratios)) if ratios.size else 1.0
    thresholds = np.stack([nearest([h for k, h in held if k == j], theta[j] / scale) for j in range(layer.rungs)])
    keep = nearest([kept(layer.members[t]) for t in layer.banks], wanted(fold.node.decay, fold) * DECAY_UNIT)
    force, kick = forces(fold)
    constants = [layer.constants[t] - forced(fold, t, force) for t in layer.banks]
    constant = nearest(constants, silent / scale / UNIT)
    amounts = _amounts(fold, thresholds, keep, scale) if layer.construction == "lateral" else None
    return Ideal(thresholds, keep, amounts, constant, force, kick, scale)


def forced(fold: Fold, tag: str, force: int) -> int:
    """What the drive brings a bank: ping-pong's B is forced unless the other is."""
    return force if tag[0] == "B" and fold.layer.construction.startswith("ping-pong") else 0


def forces(fold: Fold) -> tuple[int, int]:
    """(force, kick): the middle of all synapses that bring each."""
    links = {key: np.abs(w) for key, w in lags(fold.layer).items() if key[0][0] != "N" and key[1] != "T" and key[1][0] != "R"}
    kicks = [w for (_, _, lag), w in links.items() if lag == 1]
    if "T" not in fold.layer.members:
        return _middle(kicks), 0
    return _middle([w for (_, _, lag), w in links.items() if lag == 0]), _middle(kicks)


def _middle(weights: list[Ints]) -> int:
    return int(np.sort(np.concatenate(weights))[sum(map(len, weights)) // 2]) if weights else 0


def _amounts(fold: Fold, thresholds: Ints, keep: Ints, scale: float) -> Ints:
    """[K, size] what each rung takes off, told by the lateral synapses."""
    links, rungs = lags(fold.layer), range(fold.layer.rungs)
    assert fold.node.amounts is not None
    real = np.diff(wanted(fold.node.amounts, fold), axis=0, prepend=0.0) / scale
    steps = []
    for j in rungs:
        told = [links.get((f"N{j + 1}", f"N{i + 1}", 1), np.zeros_like(keep)) * UNIT * DECAY_UNIT / np.maximum(keep, 1) for i in rungs]
        copies = [np.round((thresholds[j] if i == j else 0) - w).astype(np.int64) for i, w in enumerate(told)]
        steps.append(np.where(keep > 0, nearest(copies, real[j]), np.round(real[j]).astype(np.int64)))
    return np.cumsum(steps, axis=0)


def links_of(fold: Fold, i: Ideal) -> dict[Link, Ints]:
    """By (source, target, lag) the synapses that the construction prescribes."""
    layer, ladder, ones = fold.layer, range(1, fold.layer.rungs + 1), np.ones(fold.layer.size, np.int64)
    if i.amounts is not None:
        steps = np.diff(i.amounts, axis=0, prepend=0)
        own = {(j, k): (i.thresholds[j - 1] if j == k else 0) - steps[j - 1] for j in ladder for k in ladder}
        return {(f"N{j}", f"N{k}", 1): np.round(w * i.keep / (DECAY_UNIT * UNIT)).astype(np.int64) for (j, k), w in own.items()}
    relays = {(f"{b}{j}", f"R{j}", 0): ones for j in ladder for b in "ABC" if f"R{j}" in layer.members and f"{b}{j}" in layer.members}
    if "T" not in layer.members:
        sources = (("A1", 1), ("B1", -1), (f"B{layer.rungs}", 1))
        pairs = ((b, side, j) for b, side in (("A", 1), ("B", -1)) for j in ladder)
        return relays | {(s, f"{b}{j}", 1): sign * side * i.force * ones for b, side, j in pairs for s, sign in sources}
    parts = (
        ("A", "B", 0, i.force), ("T", "B", 0, -i.force), ("T", "C", 0, i.force),
        ("A", "C", 1, -i.kick), ("T", "C", 1, i.kick), ("T", "B", 1, -i.kick),
    )  # fmt: skip
    return relays | {("A", "T", 0): ones} | {(s, f"{b}{j}", lag): w * ones for s, b, lag, w in parts for j in ladder[1:]}


def flaws(fold: Fold, network: ChipNetwork, i: Ideal) -> Iterator[Flaw]:
    """Everything in the layer, alone in ``network``, that is not as the construction prescribes."""
    yield from _registers(fold, i)
    yield from _links(fold, i)
    for tag in fold.layer.members:
        due = i.constant + forced(fold, tag, i.force) if tag in fold.layer.banks else np.zeros_like(i.constant)
        off = fold.layer.constants[tag] - due
        if off.any():
            drive = forced(fold, tag, i.force) and not np.ptp(off)
            words = f"the constant that enters {tag}: {show(fold.layer.constants[tag])} against {show(due)} weight units"
            yield "force" if drive else "bias", words, partial(_with_constant, fold, tag, due)
    yield from _inlets(fold, network)


def _registers(fold: Fold, i: Ideal) -> Iterator[Flaw]:
    for tag, member in fold.layer.members.items():
        due: dict[str, Any] = dict(COUNTER if tag == "T" else RELAY)
        if tag in fold.layer.banks:
            theta = i.thresholds[rung(tag)]
            due |= {"vth": theta // UNIT, "dv": DECAY_UNIT - i.keep}
            if isinstance(member.model, NeuronProgram):
                due = {"t0": theta, "r0": theta, "kv": i.keep}
        for name, value in due.items():
            held = register(member, name)
            if (held != value).any():
                cause = "relay" if tag[0] == "R" else "force" if tag == "T" else CLASSES.get(name, "bias")
                words = f"{name} of {tag}: {show(held)} against {show(np.broadcast_to(value, held.shape))}"
                yield cause, words, partial(_with_register, fold, tag, name, value)


def _links(fold: Fold, i: Ideal) -> Iterator[Flaw]:
    due, held, zero = links_of(fold, i), lags(fold.layer), np.zeros(fold.layer.size, np.int64)
    off = {key for key in due.keys() | held.keys() if (due.get(key, zero) != held.get(key, zero)).any()}
    for key in sorted(off):
        source, target, lag = key
        other = next((k for k in off if k[:2] == key[:2] and k != key and key in due and np.array_equal(held.get(k, zero), due[key])), None)
        cause = "relay" if target[0] == "R" else "lateral" if target[0] == "N" else "force"
        words = f"{source} -> {target}: {show(held.get(key, zero))} against {show(due.get(key, zero))} weight units"
        changed = {key: due.get(key, zero)}
        if other is not None:
            cause, words = "delay", f"{source} -> {target} arrives {abs(other[2] - lag)} step(s) {'late' if other[2] > lag else 'early'}"
            changed[other] = due.get(other, zero)
        yield cause, words, partial(_with_links, fold, changed)


def _inlets(fold: Fold, network: ChipNetwork) -> Iterator[Flaw]:
    right = reference(fold, network)
    for tag in fold.layer.banks:
        mended = inlets(fold, network, right, tag)
        alone = bank(fold, network, tag)
        name = fold.layer.members[tag].name
        whole = replace(alone, projections=tuple(mended))
        found = [change for change in differences(alone, whole, name) if change[0] != "structure"]
        if found:
            cause, said = found[0][:2]
            words = f"{tag} is not fed as {right} is" + ("" if cause == "lost" else f": {said}")
            yield cause, words, partial(_with_inlets, fold, tag, mended)


def _with_register(fold: Fold, tag: str, name: str, value: Any, network: ChipNetwork) -> ChipNetwork:
    member = network.populations[fold.layer.members[tag].name]
    shaped = np.broadcast_to(value, (fold.layer.size,)).reshape(fold.shape)
    model: Any = member.model
    changed = {"constants": {**model.constants, name: shaped}} if isinstance(model, NeuronProgram) else {name: shaped}
    return replace(network, populations={**network.populations, member.name: replace(member, model=replace(model, **changed))})


def _with_links(fold: Fold, changed: dict[Link, Ints], network: ChipNetwork) -> ChipNetwork:
    members = fold.layer.members
    projections = list(network.projections)
    for (source, target, lag), weights in changed.items():
        a, b = members[source], members[target]
        delay = lag - 1 + b.shift - a.shift
        ends = (a.name, b.name, delay)
        kept_ones = [p for p in projections if (p.source, p.target, p.delay) != ends or not inner(fold, p)]
        projections = [*kept_ones, _single(f"{a.name}->{b.name}", a.name, b.name, weights, delay)] if weights.any() else kept_ones
    return replace(network, projections=tuple(projections))


def _single(name: str, source: str, target: str, weights: Ints, delay: int, from_one: bool = False) -> Projection:
    each = np.arange(len(weights))
    columns = np.zeros_like(each) if from_one else each
    return Projection(name, source, target, Sparse(frozen_ints(each), frozen_ints(columns), frozen_ints(weights)), delay=delay)


def _with_constant(fold: Fold, tag: str, due: Ints, network: ChipNetwork) -> ChipNetwork:
    member, source = fold.layer.members[tag], f"{CONSTANT}@"
    others = [p for p in network.projections if p.source != source or p.target != member.name]
    if source not in network.populations:
        return network
    made = _single(f"{CONSTANT}->{tag}", source, member.name, due, member.shift - 1, from_one=True)
    return replace(network, projections=(*others, made))


def _with_inlets(fold: Fold, tag: str, mended: list[Projection], network: ChipNetwork) -> ChipNetwork:
    gone = {p.name for p in bank(fold, network, tag).projections}
    kept_ones = [p for p in network.projections if p.target != fold.layer.members[tag].name or p.name not in gone]
    return replace(network, projections=(*kept_ones, *mended))
