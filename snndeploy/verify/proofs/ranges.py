"""The range of what enters a neuron, from the weights and from what each source can send: sums of |w|, told by sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.payloads import Span, payload_range
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.verify.proofs.cells import Layer


def synaptic_range(network: ChipNetwork, projections: Sequence[Projection], layers: Sequence[Layer]) -> Span:
    """([size], [size]) of the synaptic sum, in weight units, that these projections bring to their target in one step.

    The populations of a decoupled ``layers`` entry send together what the layer's theorem allows: the relays or lateral
    neurons a thermometer, the two banks of ping-pong one bank full and the other a thermometer; two-phase neurons a thermometer
    at the first step, and all but the first neuron, or nothing, at the second.
    """
    target = network.populations[projections[0].target] if projections else None
    if target is None:
        return np.zeros(1, np.int64), np.zeros(1, np.int64)
    low, high = np.zeros(target.size, np.int64), np.zeros(target.size, np.int64)
    groups = _groups(network, projections, layers)
    for together, patterns in groups:
        lows, highs = _jointly(network, together, patterns, target.size)
        low, high = low + lows, high + highs
    return low, high


Pattern = Mapping[str, Ints]
"""What each population of a group sends, [source size] or a scalar."""


def _groups(
    network: ChipNetwork, projections: Sequence[Projection], layers: Sequence[Layer]
) -> list[tuple[list[Projection], list[Pattern]]]:
    """Projections of the same kind from populations that send together, and all they can send together."""
    of = {p.name: layer for layer in layers for p in layer.members.values()}
    groups: dict[object, list[Projection]] = {}
    for p in projections:
        together = of[p.source].name if p.source in of else p.source
        groups.setdefault((together, _kind(p), p.delay), []).append(p)
    made = []
    for same in groups.values():
        layer = of.get(same[0].source)
        made.append((same, _thermometers(layer) if layer else _alone(network.populations[same[0].source], same[0].graded)))
    return made


def _thermometers(layer: Layer) -> list[Pattern]:
    """All that a layer's populations can send in one step: by the theorem, the k of the burst neuron and nothing else."""
    patterns: list[Pattern] = []
    for k in range(layer.rungs + 1):
        for full in "AB" if layer.construction.startswith("ping-pong") else "BC":
            sent = {tag: _sends(layer.construction, tag, k, full) for tag in layer.members}
            patterns.append({layer.members[tag].name: np.asarray(int(fires)) for tag, fires in sent.items()})
    if layer.construction == "two-phase":
        patterns.append({member.name: np.asarray(int(tag != "N1")) for tag, member in layer.members.items()})
    return patterns


def _sends(construction: str, tag: str, k: int, full: str) -> bool:
    """Whether member ``tag`` fires when the burst neuron is at rung k and bank ``full`` is the forced one."""
    if tag in ("A", "T"):
        return k >= 1
    reached = k >= int(tag[1:])
    if tag[0] in "RN":
        return reached
    forced = k >= 1 if construction.startswith("look-ahead") else True
    return reached or (forced and tag[0] == full)


def _alone(source: Population, graded: bool) -> list[Pattern]:
    if source.name == CONSTANT:
        return [{source.name: np.asarray(1)}]
    low, high = payload_range(source.model) if graded or isinstance(source.model, HostInput) else (np.asarray(0), np.asarray(1))
    return [{source.name: np.broadcast_to(end, source.shape).reshape(-1)} for end in (low, high)]


def _kind(p: Projection) -> object:
    s = p.synapses
    return (s.stride, s.padding, s.dilation, s.groups, s.weights.shape) if isinstance(s, Conv) else type(s).__name__


def _jointly(network: ChipNetwork, together: list[Projection], patterns: list[Pattern], size: int) -> Span:
    """The least and the largest sum over all patterns, source neuron by source neuron, summed over the source's neurons."""
    keys = _pairs(together)
    terms = [
        np.asarray(sum(_products(p, pattern[p.source], network.populations[p.source], keys) for p in together)) for pattern in patterns
    ]
    low, high = np.minimum.reduce(terms), np.maximum.reduce(terms)
    shape = network.populations[together[0].source].shape
    return _summed(together[0], low, keys, size, shape), _summed(together[0], high, keys, size, shape)


def _pairs(together: list[Projection]) -> Ints:
    """The (row, column) pairs of sparse synapses, as one number each, sorted; empty for others."""
    pairs = [p.synapses.rows << 32 | p.synapses.columns for p in together if isinstance(p.synapses, Sparse)]
    return np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, np.int64)


def _products(p: Projection, sent: Ints, source: Population, keys: Ints) -> Ints:
    s, scale = p.synapses, 2.0**p.exponent
    if isinstance(s, Wire):
        return np.broadcast_to(sent, (source.size,))
    if isinstance(s, Conv):
        return _channels(s.weights, np.broadcast_to(sent, (source.size,)).reshape(source.shape), s.groups)
    if isinstance(s, Dense):
        return _up(s.weights * np.broadcast_to(sent, (source.size,)), scale)
    weights = np.zeros(len(keys), np.int64)
    np.add.at(weights, np.searchsorted(keys, s.rows << 32 | s.columns), s.weights * np.broadcast_to(sent, (source.size,))[s.columns])
    return _up(weights, scale)


def _up(products: Ints, scale: float) -> Ints:
    """Scaled, and rounded away from 0: never nearer to 0 than what the chip sums."""
    scaled = products * scale
    return np.asarray(np.sign(scaled) * np.ceil(np.abs(scaled)), np.int64)


def _channels(weights: Ints, sent: Ints, groups: int) -> Ints:
    """[O, C/groups, *K] products with each source channel's loudest neuron, of the sign that counts."""
    flat = sent.reshape(len(sent), -1)
    per = np.where(np.abs(flat.min(axis=1)) > np.abs(flat.max(axis=1)), flat.min(axis=1), flat.max(axis=1))
    out = len(weights) // groups
    picked = np.stack([per.reshape(groups, -1)[o // out] for o in range(len(weights))])
    return np.asarray(weights * picked.reshape(*picked.shape, *(1,) * (weights.ndim - 2)))


def _summed(p: Projection, products: Ints, keys: Ints, size: int, source: Shape) -> Ints:
    s = p.synapses
    if isinstance(s, Wire):
        return products
    if isinstance(s, Conv):
        return over_image(s, products, source)
    if isinstance(s, Dense):
        return np.asarray(products.sum(axis=1))
    total = np.zeros(size, np.int64)
    np.add.at(total, keys >> 32, products)
    return total


def over_image(s: Conv, products: Ints, source: Shape) -> Ints:
    """[O * positions]: the products [O, C/groups, *K] of the taps that lie inside the image, position by position."""
    inside = [
        np.stack([(np.arange(o) * step + k * wide - pad >= 0) & (np.arange(o) * step + k * wide - pad < n) for k in range(taps)])
        for n, o, taps, step, (pad, _), wide in zip(
            source[1:], s.out_shape(source)[1:], s.weights.shape[2:], s.stride, s.padding, s.dilation, strict=True
        )
    ]
    total = products.sum(axis=1)
    for axis in inside:
        # contract the kernel's next axis with which of its taps are inside at each position of the image
        total = np.tensordot(total, axis.astype(np.int64), axes=(1, 0))
    return np.asarray(total.reshape(-1))
