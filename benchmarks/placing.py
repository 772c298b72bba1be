"""How long it takes to cut convolutions into cores, with boxes that lie alike counted once and with every box counted.

python benchmarks/placing.py [CHANNELS ...]

Four layers of 3 x 3 kernels (two of them with stride 2) on 32 x 32 places, 8-bit weights of which a third is 0, each layer
the sum of two projections as a burst neuron's are; the two ways take turns, and both must cut the same. Seconds are of the CPU.
"""

from __future__ import annotations

import dataclasses
import sys
import time

import numpy as np

from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Population, Projection
from snndeploy.hw import load_profile
from snndeploy.place.alike import Alike
from snndeploy.place.budget import budget
from snndeploy.place.demand import Wiring, wiring
from snndeploy.place.partition import Partition, partition

TURNS = 2
LIMITS = budget(load_profile("loihi1"))


def network(channels: int) -> ChipNetwork:
    """The chip network that is cut."""
    rng = np.random.default_rng(0)
    populations = {"in": Population("in", (channels, 32, 32), HostInput())}
    projections = []
    for i, stride in enumerate((1, 2, 1, 2)):
        source, name = list(populations.values())[-1], f"c{i}"
        shape = (2 * source.shape[0] if stride == 2 else source.shape[0], *(n // stride for n in source.shape[1:]))
        for k in range(2):
            weights = 2 * rng.integers(1, 100, (shape[0], source.shape[0], 3, 3)) * (rng.random((shape[0], source.shape[0], 3, 3)) < 2 / 3)
            projections.append(Projection(f"{name}.{k}", source.name, name, Conv(weights, (stride,) * 2, ((1, 1),) * 2, (1, 1))))
        populations[name] = Population(name, shape, Lif(4095, 2048, 100))
    return ChipNetwork("loihi1", populations, tuple(projections), steps=4)


def timed(net: Wiring) -> tuple[float, Partition]:
    """CPU seconds of one cut, nothing known before."""
    started = time.process_time()
    parts = partition(net, LIMITS, {}, {}, share=False)
    return time.process_time() - started, parts


def line(channels: int) -> str:
    """One size of network: both ways in turns, and the ratio of their shortest times."""
    chip = network(channels)
    once, each = [], []
    for _ in range(TURNS):
        seconds, parts = timed(wiring(chip))
        once.append(seconds)
        apart = wiring(chip)
        seconds, other = timed(dataclasses.replace(apart, alike=dict.fromkeys(apart.alike, Alike(None))))
        each.append(seconds)
        assert (parts.cores, parts.demands) == (other.cores, other.demands)
    return f"| {channels} | {len(parts.cores)} | {min(once):.2f} s | {min(each):.2f} s | {min(each) / min(once):.1f} x |"


def main() -> None:
    """Print one line a size."""
    for channels in map(int, sys.argv[1:] or ("16", "32", "64")):
        print(line(channels), flush=True)


if __name__ == "__main__":
    main()
