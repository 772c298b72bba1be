"""A neuron's nodes run on inputs, as the reference runs them, or in the steps of what a module gave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import numpy as np

from converters.pt.neuron import Neuron
from converters.pt.torch_nn import Chain
from snndeploy.arrays import Floats
from snndeploy.ir.following import Followed, Following, Mask, follow, in_a_row, starting
from snndeploy.ir.graph import State
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.spread import ARITHMETICS, Arithmetic, Spread
from snndeploy.ir.spread import given as exact


@np.errstate(all="ignore")
def replay(meant: Neuron, given: Floats, count: int) -> Floats:
    """What a neuron gives for inputs [T, B, *shape]; ``count``: the spikes a step that a counting neuron is run with."""
    node = (meant.ladder and meant.ladder(count)) or meant.node
    chains: tuple[Chain, ...] = ((node, *meant.after), meant.feedback, meant.before)
    states: list[list[State]] = [[], [], []]
    y: Floats = np.zeros(())
    out = []
    for t, x in enumerate(_tapped(meant.taps, given)):
        x = _run(chains[2], x, states[2], t)
        if meant.feedback:
            y = np.broadcast_to(y, x.shape) if t == 0 else y
            x = x + _run(chains[1], y, states[1], t)
        y = _run(chains[0], x, states[0], t)
        out.append(y)
    return np.stack([np.zeros_like(out[0])] * meant.delay + out)[: len(out)]


FIRST = 8
"""Samples that are followed first: another neuron shows in them, and the rest is counted as it is."""


@dataclass(frozen=True, eq=False)
class Judged:
    """What a module gave, held against a neuron, [T, B, *shape].

    Attributes:
        ties: where only rounding decides.
        wrong: where they differ, consequences among them; empty if rounding explains every first difference.
        sure: of those, the first that rounding does not explain.
    """

    ties: Mask
    wrong: Mask
    sure: Mask


def judged(meant: Neuron, given: Floats, gave: Floats, count: int, arithmetic: Callable[[], str]) -> Judged:
    """Value by value: a neuron that follows what the module gave, computed in ``arithmetic``, wherever rounding allows it.

    Only the samples are followed in which a plain run differs, up to the first step that rounding does not explain.
    """
    unequal = np.asarray(replay(meant, given, count) != gave)
    off = np.flatnonzero(unequal.reshape(len(gave), gave.shape[1], -1).any(axis=(0, 2)))
    ties, sure = np.zeros(gave.shape, np.bool_), np.zeros(gave.shape, np.bool_)
    for some in (off[:FIRST], off[FIRST:]):
        if some.size and not sure.any():
            ties[:, some], sure[:, some] = _followed(meant, given[:, some], gave[:, some], count, ARITHMETICS[arithmetic()])
    return Judged(ties, unequal & ~ties if sure.any() else sure, sure)


def _followed(meant: Neuron, given: Floats, gave: Floats, count: int, kind: Arithmetic) -> tuple[Mask, Mask]:
    node = (meant.ladder and meant.ladder(count)) or meant.node
    told = np.concatenate([gave[meant.delay :], np.full((min(meant.delay, len(gave)), *gave.shape[1:]), np.nan)])
    chains: tuple[Chain, ...] = ((node, *meant.after), meant.feedback, (*meant.before,))
    states: list[dict[str, Spread]] = [{}, {}, {}]
    y = exact(np.zeros(gave.shape[1:]), kind)
    done = []
    for t, x in enumerate(_entering(meant.taps, given, kind)):
        x = _through(chains[2], x, states, 2, None, kind).output
        if meant.feedback:
            x = x + _through(chains[1], y, states, 1, None, kind).output
        done.append(_through(chains[0], x, states, 0, told[t], kind))
        y = done[-1].output
        if done[-1].wrong.any():
            break
    late = np.zeros((min(meant.delay, len(gave)), *gave.shape[1:]), np.bool_)
    rest = np.zeros((len(gave) - len(done), *gave.shape[1:]), np.bool_)
    ties, wrong = (np.concatenate([late, np.stack([getattr(d, side) for d in done]), rest])[: len(gave)] for side in ("ties", "wrong"))
    return ties, wrong


def _entering(taps: Chain, given: Floats, kind: Arithmetic) -> Iterator[Spread]:
    """The inputs, each the sum over d of tap d of the input of d steps before."""
    for t in range(len(given)):
        late = [exact(given[t - d] if t >= d else np.zeros_like(given[t]), kind) for d in range(max(1, len(taps)))]
        through = [tap.step((x,), {}, Following(kind, np.zeros(())))[0] for tap, x in zip(taps, late, strict=False)]
        yield reduce(add, through) if taps else late[0]


def _through(nodes: Chain, x: Spread, states: list[dict[str, Spread]], which: int, told: Floats | None, kind: Arithmetic) -> Followed:
    """One step of several nodes in a row."""
    done = follow(in_a_row(nodes), (x,), states[which] or starting(nodes, x), told, kind)
    states[which] = dict(done.state)
    return done


def _tapped(taps: Chain, given: Floats) -> Floats:
    """The sum over d of tap d of the input of d steps before."""
    if not taps:
        return given
    late = [np.concatenate([np.zeros_like(given[:d]), given])[: len(given)] for d in range(len(taps))]
    return np.asarray(np.sum([tap.step((x,), {}, NUMPY)[0] for tap, x in zip(taps, late, strict=True)], axis=0))


def _run(nodes: Chain, x: Floats, states: list[State], t: int) -> Floats:
    for i, node in enumerate(nodes):
        if t == 0:
            words = node.initial_state(x.shape[1:])
            states.append({word: np.broadcast_to(value, (len(x), *value.shape)) for word, value in words.items()})
        x, states[i] = node.step((x,), states[i], NUMPY)
    return x
