"""What each rung of a decoupled layer brings to the next layers, held against the levels: exact integer arithmetic, no z3."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection, Sparse
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.verdict import Proof, Status
from snndeploy.verify.proofs.cells import Layer, burst_layers, onto
from snndeploy.verify.proofs.ranges import over_image

Place: TypeAlias = tuple[object, ...]
"""A target, when it arrives, and the shape of the synapses: what may be summed and compared entry by entry."""
Weights: TypeAlias = dict[Place, Ints]
LARGEST = 1 << 24
"""Entries of a sparse matrix that is written out in full."""


class Incomparable(Exception):
    """Synapses that this arithmetic cannot hold against each other."""


def prove_levels(network: ChipNetwork, nodes: Mapping[str, IntegerNeuron]) -> Iterator[Proof]:
    """For each decoupled layer: rung j brings (a_j - a_(j-1)) W and a direct construction's constant is -a_K W.

    With W whole, its partial sums are a_j W. The levels are those of ``nodes``; of a layer without one any levels will do, the
    same in every row of a target.
    """
    for layer in burst_layers(network):
        node, wrong, status = nodes.get(layer.name), "", "proved"
        try:
            rungs = _rungs(network, layer)
            wrong = "; ".join(dict.fromkeys([*_unequal(layer, rungs, node), *_offset(network, layer, rungs)]))
            status = "failed" if wrong else "proved"
        except Incomparable as why:
            status, wrong = "unknown", str(why)
        of = "the quantized levels" if node is not None else "one set of levels"
        found = wrong or f"{len({p[0] for p in rungs[0]})} targets, {sum(w.size for r in rungs for w in r.values()):,} weights, {of}"
        yield Proof("levels", layer.name, "the rungs bring (a_j - a_(j-1)) W each, so their sums are a_j W, and the constant is -a_K W",
                    _status(status), by="arithmetic", found=found)  # fmt: skip


def _status(word: str) -> Status:
    return "failed" if word == "failed" else "unknown" if word == "unknown" else "proved"


def _rungs(network: ChipNetwork, layer: Layer) -> list[Weights]:
    """What each rung, once reached, brings to every target outside the layer."""

    def sent(tag: str) -> Weights:
        return _sent(network, layer, tag)

    ladder = range(1, layer.rungs + 1)
    if layer.construction == "look-ahead-direct":  # A sends s_1 W less what both banks send when all of one is kicked
        further = [sent(f"B{j}") for j in ladder[1:]]
        return [_sum([sent("A"), *further]), *further]
    if layer.construction == "look-ahead":
        return [sent("A"), *(sent(f"R{j}") for j in ladder[1:])]
    if layer.construction == "two-phase":  # what N1 sends a step later takes the forced spikes off
        return [in_phase(network, sent(f"N{j}"), 0) for j in ladder]
    letter = {"ping-pong": "R", "ping-pong-direct": "A", "lateral": "N"}[layer.construction]
    return [sent(f"{letter}{j}") for j in ladder]


def in_phase(network: ChipNetwork, weights: Weights, phase: int) -> Weights:
    """What, sent at the first step of the chip in a model step, arrives in that step (``phase`` 0) of its target, or one later."""
    return {
        place: w for place, w in weights.items()
        if (int(str(place[1])) + 1 - network.populations[str(place[0])].shift) % network.phases == phase
    }  # fmt: skip


def sent_by(network: ChipNetwork, layer: Layer, tag: str) -> Weights:
    """The synapses of one member to every target, the layer's own inputs among them, but for those that make the construction."""
    own = {m.name for m in layer.members.values()}
    inside = [p for p in network.projections if p.source == layer.members[tag].name and p.target in own]
    outer = {id(p) for into in layer.outside.values() for p in into}
    return _sum([_sent(network, layer, tag), *(_place(network, p) for p in inside if id(p) in outer)])


def _sent(network: ChipNetwork, layer: Layer, tag: str) -> Weights:
    source, inside = layer.members[tag], {m.name for m in layer.members.values()}
    return _sum([_place(network, p) for p in network.projections if p.source == source.name and p.target not in inside])


def _place(network: ChipNetwork, p: Projection) -> Weights:
    source = network.populations[p.source]
    # what arrives, counted from the step in which the rung itself is reached
    when = source.shift + p.delay
    return {(p.target, when, p.port, *_form(p)): _entries(p, source.size, network.populations[p.target].size)}


def _sum(parts: list[Weights]) -> Weights:
    total: Weights = {}
    for part in parts:
        for place, weights in part.items():
            total[place] = total[place] + weights if place in total else weights
    return total


def _form(p: Projection) -> Place:
    s = p.synapses
    return ("conv", s.stride, s.padding, s.dilation, s.groups, s.weights.shape) if isinstance(s, Conv) else ("matrix",)


def _entries(p: Projection, source: int, target: int) -> Ints:
    """The weights with their exponent: [target, source], or a kernel."""
    s = p.synapses
    if isinstance(s, Sparse) and source * target <= LARGEST and getattr(s, "delays", None) is None:
        weights = np.zeros((target, source), np.int64)
        np.add.at(weights, (s.rows, s.columns), s.weights)
    elif isinstance(s, Dense) or (isinstance(s, Conv) and s.groups == 1):
        weights = s.weights
    else:
        raise Incomparable(f"{p.name} is not written out as a matrix or a kernel of one group")
    if p.exponent < 0 and (weights % (1 << -p.exponent)).any():
        raise Incomparable(f"{p.name} is rounded by its exponent")
    return weights << p.exponent if p.exponent >= 0 else weights >> -p.exponent


def _unequal(layer: Layer, rungs: list[Weights], node: IntegerNeuron | None) -> Iterator[str]:
    """Where rung j's synapses are not rung 1's times (a_j - a_(j-1)) / a_1, source neuron by source neuron."""
    for j, weights in enumerate(rungs):
        for place in {**rungs[0], **weights}:
            if place not in rungs[0]:
                if (weights[place] != 0).any():
                    yield f"rung {j + 1} and rung 1 do not reach {place[0]} in the same step or form"
                continue
            first = rungs[0][place]
            here = weights.get(place, np.zeros_like(first))  # equal levels: the rung brings nothing, and has no synapse
            one, step = _pivots(first, here) if node is None else (_steps(layer, node, k, first) for k in (0, j))
            if not np.array_equal(first * step, here * one):
                yield f"rung {j + 1} brings {place[0]} another multiple of rung 1's synapses than its level"
            elif node is not None and (first % np.where(one == 0, 1, one)).any():
                yield f"what rung 1 brings {place[0]} is no whole multiple of its level"


def _pivots(first: Ints, here: Ints) -> tuple[Ints, Ints]:
    """Of each source neuron (channel), rung 1's largest entry and rung j's entry beside it."""
    flat, other = (np.moveaxis(w, 1, 0).reshape(w.shape[1], -1) for w in (first, here))
    at = np.abs(flat).argmax(axis=1)[:, None]
    shape = (1, -1, *(1,) * (first.ndim - 2))
    return tuple(np.take_along_axis(w, at, axis=1).reshape(shape) for w in (flat, other))  # type: ignore[return-value]


def _steps(layer: Layer, node: IntegerNeuron, j: int, like: Ints) -> Ints:
    """a_(j+1) - a_j of each source neuron, or channel, in the form of the weights."""
    shape: Shape = next(iter(layer.members.values())).shape
    rise = np.diff(node.levels, axis=0, prepend=np.zeros_like(node.levels[:1]))[j]
    whole = np.broadcast_to(rise, shape)
    if like.ndim > 2:
        channels = whole.reshape(shape[0], -1)
        if (channels != channels[:, :1]).any():
            raise Incomparable("its levels differ within a channel")
        return np.asarray(channels[:, 0], np.int64).reshape(1, -1, *(1,) * (like.ndim - 2))
    return np.asarray(whole, np.int64).reshape(1, -1)


def _offset(network: ChipNetwork, layer: Layer, rungs: list[Weights]) -> Iterator[str]:
    """Where ping-pong-direct's constant is not what one whole bank brings, taken off."""
    if layer.construction != "ping-pong-direct":
        return
    bank = {layer.members[f"A{j}"].name for j in range(1, layer.rungs + 1)}
    for target in dict.fromkeys(str(place[0]) for place in rungs[0]):
        size = network.populations[target].size
        into = [p for p in network.projections if p.target == target]
        constant = sum(
            (onto(p, size) for p in into if p.source == CONSTANT and f"[{layer.name}.offset" in p.name), np.zeros(size, np.int64)
        )
        brought = sum((_brought(network, p) for p in into if p.source in bank), np.zeros(size, np.int64))
        if not np.array_equal(constant, -np.asarray(brought)):
            yield f"the constant into {target} is not -a_K W"


def _brought(network: ChipNetwork, p: Projection) -> Ints:
    """[target size] what arrives when every source neuron spikes."""
    source = network.populations[p.source]
    entries = _entries(p, source.size, network.populations[p.target].size)
    return over_image(p.synapses, entries, source.shape) if isinstance(p.synapses, Conv) else np.asarray(entries.sum(axis=1))
