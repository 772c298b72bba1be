"""Changes that turn one layer of a chip network into what somebody may have built instead: one class of mistake each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import Lif, TernaryLif
from snndeploy.chip.network import MAX_DELAY, ChipNetwork, Conv, Dense, Projection, Sparse, Wire, loihi_weights
from snndeploy.errors import ChipError

Change: TypeAlias = tuple[str, str, Callable[[], ChipNetwork]]
"""Its class, what it does in words, and the layer alone with it."""
CHANNELS = 16
"""Pairs of neighbouring channels are swapped in layers of at most so many."""


def changes(network: ChipNetwork, layer: str) -> Iterator[Change]:
    """Every change of a layer that stands alone (``sides.alone``)."""
    model = network.populations[layer].model
    if isinstance(model, Lif | TernaryLif):
        for cause, words, fields in register_changes(model):
            yield cause, words, partial(with_model, network, layer, **fields)
    for p in network.projections:
        source, target = network.populations[p.source].shape, network.populations[p.target].shape
        named = f" in {p.name}" if len(network.projections) > 1 else ""
        for cause, words, other in projection_changes(p, source, target):
            yield cause, words + named, partial(with_projections, network, p, other)


def made(change: Change) -> ChipNetwork | None:
    """The changed layer; None where no such network can be."""
    try:
        return change[2]()
    except (ChipError, ValueError):
        return None


def with_model(network: ChipNetwork, layer: str, **fields: Any) -> ChipNetwork:
    """The network with other registers in one population."""
    population = network.populations[layer]
    changed = replace(population, model=replace(population.model, **fields))
    return replace(network, populations={**network.populations, layer: changed})


def with_projections(network: ChipNetwork, old: Projection, new: tuple[Projection, ...]) -> ChipNetwork:
    """The network with other projections in the place of one."""
    parts = ((p,) if p is not old else new for p in network.projections)
    return replace(network, projections=tuple(itertools.chain.from_iterable(parts)))


def register_changes(model: Lif | TernaryLif) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Registers one off, lost, or confused with each other."""
    high = "vth" if isinstance(model, Lif) else "vth_hi"
    for by in (1, -1):
        yield "threshold", f"the threshold mantissa is {by:+d}", {high: getattr(model, high) + by}
    for name, by in itertools.product(("dv", "du"), (1, -1)):
        yield "decay", f"{name} is {by:+d}", {name: getattr(model, name) + by}
    yield "decay", "du and dv are swapped", {"du": model.dv, "dv": model.du}
    if model.bias_mant.any():
        yield "bias", "the bias is lost", {"bias_mant": 0 * model.bias_mant}
        for by in (1, -1):
            yield "exponent", f"the bias exponent is {by:+d}", {"bias_exp": model.bias_exp + by}
    if model.u.any() or model.v.any():
        yield "start", "u and v start at 0", {"u": 0 * model.u, "v": 0 * model.v}
    if isinstance(model, Lif) and model.reset_interval:
        yield "timed-reset", "u and v are never cleared by the clock", {"reset_interval": 0}
        for by in (1, -1):
            yield "timed-reset", f"the clock's reset is {by:+d} steps off", {"reset_offset": model.reset_offset + by}


def projection_changes(p: Projection, source: Shape, target: Shape) -> Iterator[tuple[str, str, tuple[Projection, ...]]]:
    """A projection delayed, scaled, doubled, lost, or with its weights in another order."""
    if p.delay:
        yield "delay", f"the delay of {p.delay} is dropped", (replace(p, delay=0),)
    for by in (1, -1):
        if 0 <= p.delay + by <= MAX_DELAY:
            yield "delay", f"the delay is {by:+d}", (replace(p, delay=p.delay + by),)
    yield "lost", "the synapses are lost", ()
    if isinstance(p.synapses, Wire):
        return
    for by in (1, -1) if not isinstance(p.synapses, Conv) else ():
        yield "exponent", f"the weight exponent is {by:+d}", (replace(p, exponent=p.exponent + by),)
    yield "graded", "the payload is ignored" if p.graded else "the payload multiplies", (replace(p, graded=not p.graded),)
    for cause, words, synapses in synapse_changes(p.synapses, source, target):
        yield cause, words, (replace(p, synapses=synapses),)
    yield "duplicate", "the synapses are there twice", (p, replace(p, name=f"{p.name}'"))


def synapse_changes(s: Dense | Conv | Sparse, source: Shape, target: Shape) -> Iterator[tuple[str, str, Dense | Conv | Sparse]]:
    """Other weights and delays."""
    if isinstance(s, Dense | Sparse) and s.delays is not None and s.delays.any():
        yield "delay", "the delays of the single synapses are dropped", replace(s, delays=None)
        for by in (1, -1):
            yield "delay", f"the delays of the single synapses are {by:+d}", replace(s, delays=np.maximum(s.delays + by, 0))
    for cause, words, weights in weight_changes(s.weights):
        yield cause, words, replace(s, weights=weights)
    if isinstance(s, Dense):
        yield from _reordered(s, source, target)
    elif isinstance(s, Conv):
        yield from _conv(s)


def weight_changes(w: Ints) -> Iterator[tuple[str, str, Ints]]:
    """The same synapses with other numbers."""
    if w.min(initial=0) < 0 < w.max(initial=0) and (w & 1).any():
        yield "sign-mode", "odd weights of a matrix of both signs are cut to even ones", np.asarray(loihi_weights(w))
        yield "sign-mode", "odd weights of a matrix of both signs are floored to even ones", w & ~1
        yield "sign-mode", "odd weights of a matrix of both signs are rounded to even ones", 2 * np.rint(w / 2).astype(np.int64)
        yield "sign-mode", "odd weights of a matrix of both signs are rounded away from 0", 2 * np.sign(w) * ((np.abs(w) + 1) // 2)
    if w.min(initial=0) < 0:
        yield "sign-mode", "negative weights are cut off", np.maximum(w, 0)
        yield "sign-mode", "the signs are lost", np.abs(w)
        yield "sign-mode", "the signs are turned around", -w
    yield "exponent", "the weights are doubled", w * 2
    yield "exponent", "the weights are halved", w >> 1


def permutations(shape: Shape) -> Iterator[tuple[str, Ints]]:
    """Flat indices of the same axes read in another order, for every order but the own."""
    flat = np.arange(int(np.prod(shape))).reshape(shape)
    for order in itertools.permutations(range(len(shape))):
        if order != tuple(range(len(shape))) and len(shape) < 5:
            yield f"{order} for {tuple(range(len(shape)))}", flat.transpose(order).ravel()


def _reordered(s: Dense, source: Shape, target: Shape) -> Iterator[tuple[str, str, Dense]]:
    for words, order in permutations(source):
        yield "order", f"the source is flattened in the axis order {words}", _take(s, order, 1)
    for words, order in permutations(target):
        yield "order", f"the target is flattened in the axis order {words}", _take(s, order, 0)
    if s.weights.shape[0] == s.weights.shape[1]:
        yield "kernel", "the matrix is transposed", replace(s, weights=s.weights.T, delays=None if s.delays is None else s.delays.T)
    for axis, side in ((1, "source"), (0, "target")):
        count = s.weights.shape[axis]
        yield "channels", f"the {side} neurons are counted backwards", _take(s, np.arange(count)[::-1], axis)
        for i, order in _neighbours(count):
            yield "channels", f"{side} neurons {i} and {i + 1} are swapped", _take(s, order, axis)


def _take(s: Dense, order: Ints, axis: int) -> Dense:
    return replace(s, weights=np.take(s.weights, order, axis), delays=None if s.delays is None else np.take(s.delays, order, axis))


def _neighbours(count: int) -> Iterator[tuple[int, Ints]]:
    for i in range(count - 1 if count <= CHANNELS else 0):
        order = np.arange(count)
        order[[i, i + 1]] = order[[i + 1, i]]
        yield i, order


def _conv(s: Conv) -> Iterator[tuple[str, str, Conv]]:
    w = s.weights
    spatial = tuple(range(2, w.ndim))
    if len(spatial) == 2:
        yield "kernel", "the kernels are transposed", replace(s, weights=w.swapaxes(2, 3))
    yield "kernel", "the kernels are flipped (convolution for cross-correlation)", replace(s, weights=np.flip(w, spatial))
    for axis in spatial if len(spatial) == 2 else ():
        yield "kernel", f"the kernels are flipped along axis {axis - 2}", replace(s, weights=np.flip(w, axis))
    for axis, side in ((1, "input"), (0, "output")):
        yield "channels", f"the {side} channels are counted backwards", replace(s, weights=np.flip(w, axis))
        for i, order in _neighbours(w.shape[axis]):
            yield "channels", f"{side} channels {i} and {i + 1} are swapped", replace(s, weights=np.take(w, order, axis))
    for words, padding in _paddings(s.padding):
        yield "padding", words, replace(s, padding=padding)


def _paddings(padding: tuple[tuple[int, int], ...]) -> Iterator[tuple[str, tuple[tuple[int, int], ...]]]:
    """The same total padding on other sides, of one axis or all: the output keeps its shape."""
    moves: Mapping[str, Callable[[tuple[int, int]], tuple[int, int]]] = {
        "is on the other side": lambda p: (p[1], p[0]),
        "lies one row further in front": lambda p: (p[0] + 1, p[1] - 1),
        "lies one row further behind": lambda p: (p[0] - 1, p[1] + 1),
    }
    for words, move in moves.items():
        axes = [tuple(range(len(padding))), *((i,) for i in range(len(padding)) if len(padding) > 1)]
        for chosen in axes:
            moved = tuple(move(p) if i in chosen else p for i, p in enumerate(padding))
            if moved != padding and min(min(p) for p in moved) >= 0:
                which = "the padding" if len(chosen) == len(padding) else f"the padding of axis {chosen[0]}"
                yield f"{which} {words}", moved
