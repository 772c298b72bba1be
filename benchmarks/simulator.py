"""Claim: the chip simulator's fast paths give the int64 result, many times faster.

Runs a 784-256-10 network and a small convolutional one on random spikes, both ways in turn, compares every spike and
state, and prints samples a second and the ratio of the two (which hardly depends on the machine; seconds do).

    python benchmarks/simulator.py [samples]
"""

from __future__ import annotations

import statistics
import sys
import time

import numpy as np

from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection
from snndeploy.sim.chip import run_chip

STEPS = 16
RATE = 0.1
REPEATS = 3


def neurons(name: str, shape: tuple[int, ...], shift: int, vth: int) -> Population:
    """LIF neurons with a decaying membrane; a read-out never fires."""
    reads = "v" if vth == NEVER_FIRES else "spikes"
    return Population(name, shape, Lif(du=4095, dv=512, vth=vth), shift=shift, reads=reads)


def dense_network(rng: np.random.Generator) -> ChipNetwork:
    """784-256-10."""
    populations = [
        Population("x", (784,), HostInput()),
        neurons("hidden", (256,), 1, 1500),
        neurons("out", (10,), 2, NEVER_FIRES),
    ]
    first, second = (2 * rng.integers(-60, 64, shape) for shape in ((256, 784), (10, 256)))
    projections = (Projection("w1", "x", "hidden", Dense(first)), Projection("w2", "hidden", "out", Dense(second)))
    return ChipNetwork("loihi2", {p.name: p for p in populations}, projections, steps=STEPS)


def conv_network(rng: np.random.Generator) -> ChipNetwork:
    """2x32x32 - 16 kernels 3x3 - 32 kernels 3x3 with stride 2 - 10."""
    populations = [
        Population("x", (2, 32, 32), HostInput()),
        neurons("conv1", (16, 32, 32), 1, 100),
        neurons("conv2", (32, 16, 16), 2, 400),
        neurons("out", (10,), 3, NEVER_FIRES),
    ]
    ones, same = (1, 1), ((1, 1), (1, 1))
    projections = (
        Projection("w1", "x", "conv1", Conv(2 * rng.integers(-60, 64, (16, 2, 3, 3)), ones, same, ones)),
        Projection("w2", "conv1", "conv2", Conv(2 * rng.integers(-60, 64, (32, 16, 3, 3)), (2, 2), same, ones)),
        Projection("w3", "conv2", "out", Dense(2 * rng.integers(-60, 64, (10, 32 * 16 * 16)))),
    )
    return ChipNetwork("loihi2", {p.name: p for p in populations}, projections, steps=STEPS)


def seconds(network: ChipNetwork, spikes: np.ndarray, exact: bool) -> float:
    """One run, nothing recorded."""
    started = time.perf_counter()
    run_chip(network, {"x": spikes}, record=(), exact=exact)
    return time.perf_counter() - started


def measure(title: str, network: ChipNetwork, samples: int, rng: np.random.Generator) -> None:
    """Compare the two results, then time both, interleaved."""
    shape = network.populations["x"].shape
    spikes = (rng.random((STEPS, samples, *shape)) < RATE).astype(np.int8)
    check = spikes[:, :4]
    fast, slow = (run_chip(network, {"x": check}, states=True, exact=exact) for exact in (False, True))
    for name, values in {**fast.outputs, **fast.states}.items():
        other = slow.outputs[name] if name in slow.outputs else slow.states[name]
        assert np.array_equal(values, other), name
    few = max(1, samples // 8)
    pairs = [(seconds(network, spikes, False) / samples, seconds(network, spikes[:, :few], True) / few) for _ in range(REPEATS)]
    quick, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(b / a for a, b in pairs)
    rates = ", ".join(f"{name} {fast.rate(name):.1%}" for name, activity in fast.activity.items() if activity.updates)
    print(f"{title}: {1 / quick:,.0f} samples/s, int64 {1 / plain:,.1f} samples/s: {ratio:.1f} times faster, all values equal")
    print(f"  T={STEPS}, {samples} samples at once, input {RATE:.0%}; neuron-steps with a spike: {rates}")


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    measure("784-256-10", dense_network(generator), 4 * count, generator)
    measure("conv 2x32x32-16-32-10", conv_network(generator), count, generator)
