"""A neuron's nodes run on inputs, as the reference runs them."""

from __future__ import annotations

import numpy as np

from converters.pt.neuron import Neuron
from converters.pt.torch_nn import Chain
from snndeploy.arrays import Floats
from snndeploy.ir.graph import State
from snndeploy.ir.on_numpy import NUMPY


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
