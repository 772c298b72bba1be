"""Nodes that follow a run of something else: at a tie they take its side, so that every spike is judged by itself.

A run that differs in one spike differs in all that follow from it. So a node is given what the other one sent: where
its own answer is another, and the potential lies within the rounding bound of the threshold (``Spread``), the spike is
a tie and the node goes on from the other's answer; where it does not, the two differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Node
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.spread import Arithmetic, Operand, Spread, dot, given, quotient, rounded, setting
from snndeploy.ir.xp import Pads

Words: TypeAlias = Mapping[str, Spread]
Step: TypeAlias = Callable[[tuple[Spread, ...], Words, "Following"], tuple[Spread, Words]]
"""A node's ``step``, or that of several in a row."""
Mask: TypeAlias = NDArray[np.bool_]
COUNTERS = frozenset(["s", "t"])
"""State words that are whole numbers whatever the rounding: the spike of the step before, the step's own number."""
WRITTEN = 8
"""Roundings that a level may have gone through on its way out, relative to it: far less than from one level to the next."""
MOST = 6
"""Of a node with more decisions in a step, no two are turned around at once."""


class Following:
    """See ``Namespace``; arrays are ``Spread``. Every decision is noted, and turned around where ``turned`` says so.

    ``size``: how large the numbers are that a sum of the node's may have passed through, by neuron.
    """

    def __init__(self, kind: Arithmetic, size: Floats, turned: Mapping[int, Mask] | None = None) -> None:
        self.kind = kind
        self.size = size
        self.turned = turned or {}
        self.near: list[Mask] = []

    def _lift(self, x: Operand) -> Spread:
        return setting(x, self.kind)

    def _decided(self, own: Floats, other: Floats, near: Mask) -> Spread:
        mask = self.turned.get(len(self.near))
        self.near.append(near)
        return given(own if mask is None else np.where(mask, other, own), self.kind)

    def where(self, condition: Operand, yes: Operand, no: Operand) -> Spread:
        chosen, a, b = self._lift(condition).value != 0, self._lift(yes), self._lift(no)
        return Spread(np.where(chosen, a.value, b.value), np.where(chosen, a.error, b.error), self.kind)

    def fire(self, h: Operand, theta: Operand, strict: bool) -> Spread:
        a, b = self._lift(h), self._lift(theta)
        off = a.error + b.error
        bound = np.where(off > 0, off + self.kind.unit * (np.abs(a.value) + np.abs(b.value) + self.size), 0.0)
        own = NUMPY.fire(a.value, b.value, strict)
        return self._decided(own, 1.0 - own, (np.abs(a.value - b.value) <= bound) & (bound > 0))

    def floor(self, x: Operand) -> Spread:
        return self._stepped(np.floor, self._lift(x))

    def trunc(self, x: Operand) -> Spread:
        return self._stepped(np.trunc, self._lift(x))

    def _stepped(self, function: Callable[[Floats], Floats], a: Spread) -> Spread:
        own, low, high = (np.asarray(function(v)) for v in (a.value, a.value - a.error, a.value + a.error))
        other = np.where(low != own, low, high)
        return self._decided(own, other, other != own)

    def exp(self, x: Operand) -> Spread:
        with np.errstate(over="ignore"):
            return self._smooth(np.exp, self._lift(x))

    def sigmoid(self, x: Operand) -> Spread:
        return self._smooth(NUMPY.sigmoid, self._lift(x))

    def _smooth(self, function: Callable[[Floats], Floats], a: Spread) -> Spread:
        value, low, high = (np.asarray(function(v)) for v in (a.value, a.value - a.error, a.value + a.error))
        return rounded(value, np.maximum(high - value, value - low), np.maximum(np.abs(value), np.abs(high)), False, self.kind)

    def divide(self, a: Operand, b: Operand) -> Spread:
        return quotient(self._lift(a), self._lift(b))

    def rounded(self, written: Callable[..., Spread], reals: Callable[..., Spread], *operands: Operand) -> Spread:
        """The value as it is written; the error as over the reals, for every spelling is allowed for."""
        lifted = [self._lift(o) for o in operands]
        own, carried = written(*lifted), reals(*lifted)
        return Spread(own.value, np.where(carried.error > 0, carried.error + np.abs(own.value - carried.value), 0.0), self.kind)

    def table(self, rows: Operand, t: Operand) -> Spread:
        step = self._lift(t).value
        return self._lift(rows).each(lambda part: NUMPY.table(part, step))

    def gather(self, entries: Operand, index: Operand) -> Spread:
        place = self._lift(index).value
        return self._lift(entries).each(lambda part: NUMPY.gather(part, place))

    def minimum(self, a: Operand, b: Operand) -> Spread:
        return self._extreme(np.minimum, self._lift(a), self._lift(b))

    def maximum(self, a: Operand, b: Operand) -> Spread:
        return self._extreme(np.maximum, self._lift(a), self._lift(b))

    def _extreme(self, function: Callable[[Floats, Floats], Floats], a: Spread, b: Spread) -> Spread:
        value, low, high = (np.asarray(function(a.value + k * a.error, b.value + k * b.error)) for k in (0.0, -1.0, 1.0))
        return Spread(value, np.maximum(value - low, high - value), self.kind)

    def linear(self, x: Operand, weight: Operand) -> Spread:
        w = self._weights(weight)
        return dot(NUMPY.linear, self._lift(x), w, _terms(w))

    def sparse(self, x: Operand, rows: Operand, columns: Operand, weight: Operand, targets: int) -> Spread:
        places, sources = (np.asarray(i.value if isinstance(i, Spread) else i) for i in (rows, columns))
        terms = int(np.bincount(places.astype(np.intp)).max(initial=1))
        return dot(lambda a, w: NUMPY.sparse(a, places, sources, w, targets), self._lift(x), self._weights(weight), terms)

    def conv(self, x: Operand, weight: Operand, stride: Shape, padding: Pads, dilation: Shape, groups: int) -> Spread:
        w = self._weights(weight)
        return dot(lambda a, k: NUMPY.conv(a, k, stride, padding, dilation, groups), self._lift(x), w, _terms(w))

    def _weights(self, weight: Operand) -> Spread:
        """Trained numbers are held alike on both sides, but for their last bits in a narrower type."""
        if isinstance(weight, Spread) or self.kind.name != "float64":
            return self._lift(weight)
        return given(np.asarray(weight), self.kind)

    def sum_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Spread:
        one = given(np.ones(1), self.kind)
        return dot(lambda a, w: NUMPY.sum_pool(a * w, kernel, stride, padding), self._lift(x), one, int(np.prod(kernel)))

    def max_pool(self, x: Operand, kernel: Shape, stride: Shape, padding: Pads) -> Spread:
        a = self._lift(x)
        value, low, high = (NUMPY.max_pool(a.value + k * a.error, kernel, stride, padding) for k in (0.0, -1.0, 1.0))
        return Spread(value, np.maximum(value - low, high - value), self.kind)

    def reshape(self, x: Operand, shape: Shape) -> Spread:
        return self._lift(x).each(lambda part: NUMPY.reshape(part, shape))

    def concat(self, parts: Sequence[Operand], axis: int) -> Spread:
        lifted = [self._lift(p) for p in parts]
        return Spread(NUMPY.concat([p.value for p in lifted], axis), NUMPY.concat([p.error for p in lifted], axis), self.kind)


@dataclass(frozen=True, eq=False)
class Followed:
    """One step: the output, the state words, where it was a tie, and where it differs.

    ``spots``: of every decision of the node, where rounding may take it, [decisions, B, *shape].
    """

    output: Spread
    state: Words
    ties: Mask
    wrong: Mask
    spots: Mask

    @property
    def near(self) -> Mask:
        """Where rounding may decide at all."""
        return np.asarray(self.spots.any(axis=0))


def follow(
    step: Step, inputs: tuple[Spread, ...], state: Words, told: Floats | None, kind: Arithmetic, turned: Mask | None = None
) -> Followed:
    """One step that goes the way of ``told`` wherever rounding allows it; None, or NaN in it: nothing is known there.

    ``turned``: decisions to take the other way, as ``Followed.spots``.
    """
    words = (np.abs(word.value) for name, word in state.items() if name.rpartition(" ")[2] not in COUNTERS)
    size = np.asarray(sum(words, np.zeros(())))
    own = Following(kind, size, None if turned is None else dict(enumerate(turned)))
    y, after = step(inputs, state, own)
    ties = np.zeros(y.value.shape, np.bool_)
    spots = np.stack([np.broadcast_to(mask, ties.shape) for mask in own.near]) if own.near else np.zeros((0, *ties.shape), np.bool_)
    wrong = ties if told is None else ~_agrees(y, told)
    if told is not None and wrong.any():
        for masks in _turns([near & wrong for near in spots]):
            other, left = step(inputs, state, Following(kind, size, masks))
            good = wrong & _agrees(other, told) & np.logical_and.reduce(list(masks.values()))
            y, after = _merged(good, other, y), {name: _merged(good, left[name], word) for name, word in after.items()}
            ties, wrong = ties | good, wrong & ~good
    return Followed(y, {name: _widened(word, size, kind) for name, word in after.items()}, ties, wrong, spots)


def in_a_row(nodes: Sequence[Node]) -> Step:
    """The step of several nodes, one after the other; their state words are kept under their numbers: "0 v"."""

    def step(inputs: tuple[Spread, ...], state: Words, xp: Following) -> tuple[Spread, Words]:
        y, after = inputs[0], {}
        for i, node in enumerate(nodes):
            words = {name.partition(" ")[2]: word for name, word in state.items() if name.startswith(f"{i} ")}
            y, left = node.step((y,), words, xp)
            after.update({f"{i} {name}": word for name, word in left.items()})
        return y, after

    return step


def starting(nodes: Sequence[Node], x: Spread) -> dict[str, Spread]:
    """The state words of nodes in a row before their first step, for an input [B, *shape]."""
    shape, words = x.value.shape[1:], {}
    for i, node in enumerate(nodes):
        for name, value in node.initial_state(shape).items():
            words[f"{i} {name}"] = given(np.broadcast_to(value, (len(x.value), *value.shape)), x.kind)
        shape = node.out_shape((shape,))
    return words


def _terms(weight: Spread) -> int:
    """The most products that one sum has."""
    return int(np.count_nonzero(weight.value.reshape(len(weight.value), -1), axis=1).max(initial=1))


def _agrees(y: Spread, told: Floats) -> Mask:
    """Whether a value was told, but for what the other side rounded in writing it: a straight-through level is x + (k - x)."""
    written = WRITTEN * y.kind.unit * np.abs(y.value)
    return np.asarray((np.abs(y.value - told) <= y.error + written) | np.isnan(told))


def _turns(near: Sequence[Mask]) -> Iterator[Mapping[int, Mask]]:
    """One decision turned around, then two at once, where both are near."""
    for k, mask in enumerate(near):
        if mask.any():
            yield {k: mask}
    for one, two in combinations(range(len(near)), 2) if len(near) <= MOST else ():
        both = near[one] & near[two]
        if both.any():
            yield {one: both, two: both}


def _merged(chosen: Mask, yes: Spread, no: Spread) -> Spread:
    return Spread(np.where(chosen, yes.value, no.value), np.where(chosen, yes.error, no.error), no.kind)


def _widened(word: Spread, size: Floats, kind: Arithmetic) -> Spread:
    """What another spelling of the node may have rounded besides; a number that is exact was reached without rounding."""
    return Spread(word.value, np.where(word.error > 0, word.error + kind.unit * size, 0.0), kind)
