"""The chip network on the real Lava, held against our simulator: every u, v and spike of a few samples."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.flow.feeding import Feed
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.lava import TIME_LIMIT, run_lava
from snndeploy.trace import Trace
from snndeploy.verdict import Pair
from snndeploy.verify import compare

LAVA_SAMPLES = 4
"""Lava takes seconds to start, and networks with a cycle start anew for every sample."""


def lava_pair(network: ChipNetwork, data: Feed, seconds: float = TIME_LIMIT) -> Pair:
    """Lava against the chip simulator, of the first samples: every state word and spike of every neuron.

    Raises:
        Unsupported: the network has a part that Lava has not.  OptionError: Lava is not set up here.
        ChipError: Lava failed or took too long.
    """
    return pair_of(network, inject(network, data.first(LAVA_SAMPLES).inputs), seconds)


def pair_of(network: ChipNetwork, values: dict[str, NDArray[np.int64]], seconds: float = TIME_LIMIT) -> Pair:
    """As ``lava_pair``, of whole numbers as ``run_chip`` takes them."""
    with tempfile.TemporaryDirectory() as spare:
        folder = Path(spare) / "network.lava"
        converters.save(network, folder)
        theirs, first = run_lava(folder, values, seconds=seconds)
    spiking = {n: replace(p, reads="spikes") for n, p in network.populations.items()}
    ours = run_chip(replace(network, populations=spiking), values, states=True)
    order = [key for name in network.populations for key in sorted(theirs.outputs) if key.rsplit(".", 1)[0] == name]
    series = {key: _series(ours, key, theirs.outputs[key].shape, first[key]) for key in order}
    mine = Trace("chip simulator", 0, theirs.samples, {}, series)
    return compare(theirs, mine, order, shifts={}, grade=network.grade)


def _series(trace: Trace, key: str, shape: tuple[int, ...], first: int) -> NDArray[np.float64]:
    """What our run left under Lava's name, from chip step ``first`` on."""
    name, word = key.rsplit(".", 1)
    whole = trace.outputs[name] if word == "spikes" else trace.states[key]
    return whole[first : first + shape[0]].reshape(shape)
