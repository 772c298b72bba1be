"""Random networks run by the real Lava and by our simulator: every u, v and spike compared.

    python benchmarks/lava_networks.py 300 [first seed]

Needs Lava (``snndeploy doctor --setup-lava``). Dense, convolutional, sparse and graded synapses, delays, exponents, recurrence,
resets, biases written by the host, two thresholds, sigma-delta, and burst neurons decoupled into plain ones. Prints a line a
kind: networks, values compared, values different. Exit code 1 if anything differs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

import snndeploy as sd
from snndeploy.chip.models import HostInput, Lif, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire, loihi_weights
from snndeploy.flow.against_lava import pair_of
from snndeploy.sim.host import inject

Rng = np.random.Generator
Case = tuple[ChipNetwork, dict[str, Any]]
STEPS = 12


def weights(rng: Rng, *shape: int) -> Any:
    """Weights on Lava's grid: mixed, excitatory or inhibitory."""
    low, high = ((-60, 90), (0, 120), (-90, 0))[rng.choice(3, p=[0.7, 0.2, 0.1])]
    return loihi_weights(rng.integers(low, high + 1, shape))


def lif(rng: Rng, size: int, **given: Any) -> Lif:
    """A fixed LIF with random registers, one number or one a neuron."""
    each = (size,) if rng.random() < 0.4 else (1,)
    du = np.full(each, 4095) if rng.random() < 0.5 else rng.integers(-1, 4096, each)
    bias = rng.integers(-40, 60, each) if rng.random() < 0.4 else 0
    return Lif(du, rng.integers(0, 4097, each), rng.integers(1, 120, each), bias, int(rng.integers(0, 7)), **given)


def spikes(rng: Rng, samples: int, *shape: int) -> Any:
    """Random input spikes [T, B, *shape]."""
    return (rng.random((STEPS, samples, *shape)) < 0.4).astype(np.int64)


def dense(rng: Rng) -> Case:
    """Two to three dense layers, perhaps with exponents, delays and graded input."""
    sizes = rng.integers(2, 12, rng.integers(2, 4))
    graded = bool(rng.random() < 0.3)
    x = rng.integers(0, 16, (STEPS, 2, sizes[0])) if graded else spikes(rng, 2, sizes[0])
    populations = {"x": Population("x", (int(sizes[0]),), HostInput(payload_bits=4 if graded else 0))}
    projections, before = [], "x"
    for i, size in enumerate(sizes[1:]):
        name = f"n{i}"
        populations[name] = Population(name, (int(size),), lif(rng, size), shift=i + 1)
        matrix = weights(rng, size, populations[before].size)
        late = rng.integers(0, 5, matrix.shape) if rng.random() < 0.2 else None
        exponent = int(rng.integers(-2, 3)) if rng.random() < 0.4 else 0
        delay = int(rng.integers(0, 4)) if rng.random() < 0.3 else 0
        projections.append(Projection(name, before, name, Dense(matrix, late), exponent, delay, graded and before == "x"))
        before = name
    return ChipNetwork("lava", populations, tuple(projections), steps=STEPS), {"x": x}


def convolution(rng: Rng) -> Case:
    """A convolution with groups, stride, padding and dilation, then a dense layer; sometimes delayed, which makes it sparse."""
    groups = int(rng.integers(1, 3))
    source = (2 * groups, int(rng.integers(5, 8)), int(rng.integers(5, 8)))
    kernel = rng.integers(-9, 10, (2 * groups, 2, *rng.integers(1, 4, 2)))
    pads = tuple((int(p), int(p)) for p in rng.integers(0, 2, 2))
    synapses = Conv(kernel, tuple(int(s) for s in rng.integers(1, 3, 2)), pads, (1, 1), groups)
    target = synapses.out_shape(source)
    size = int(np.prod(target))
    populations = {
        "x": Population("x", source, HostInput()),
        "c": Population("c", target, Lif(4095, int(rng.integers(0, 4096)), int(rng.integers(1, 30))), shift=1),
        "d": Population("d", (4,), Lif(4095, 100, 40, int(rng.integers(0, 50)), 3, reset_interval=50, reset_offset=3), shift=2),
    }
    delay = int(rng.integers(1, 4)) if rng.random() < 0.3 else 0
    projections = (Projection("p", "x", "c", synapses, delay=delay), Projection("q", "c", "d", Dense(weights(rng, 4, size))))
    return ChipNetwork("lava", populations, projections, steps=STEPS), {"x": spikes(rng, 2, *source)}


def sparse(rng: Rng) -> Case:
    """Single synapses with odd weights of both signs, and delays."""
    n, m, k = 9, 7, 25
    at = rng.choice(n * m, k, replace=False)
    late = rng.integers(0, 6, k) if rng.random() < 0.5 else None
    synapses = Sparse(at // n, at % n, rng.integers(-99, 100, k), late)
    populations = {"x": Population("x", (n,), HostInput()), "s": Population("s", (m,), lif(rng, m), shift=1)}
    network = ChipNetwork("lava", populations, (Projection("p", "x", "s", synapses, int(rng.integers(0, 3))),), steps=STEPS)
    return network, {"x": spikes(rng, 2, n)}


def recurrent(rng: Rng) -> Case:
    """A layer with lateral synapses, perhaps delayed or with a reset."""
    n = int(rng.integers(3, 9))
    reset = {"reset_interval": int(rng.integers(2, 7)), "reset_offset": int(rng.integers(0, 5))} if rng.random() < 0.5 else {}
    populations = {"x": Population("x", (n,), HostInput()), "r": Population("r", (n,), lif(rng, n, **reset), shift=1)}
    projections = (
        Projection("p", "x", "r", Dense(weights(rng, n, n))),
        Projection("l", "r", "r", Dense(weights(rng, n, n)), delay=int(rng.integers(0, 4))),
    )
    return ChipNetwork("lava", populations, projections, steps=STEPS), {"x": spikes(rng, 2, n)}


def written(rng: Rng) -> Case:
    """Biases that the host writes, and a layer with two thresholds."""
    n = int(rng.integers(2, 6))
    ternary = TernaryLif(int(rng.integers(0, 4096)), 20, int(rng.integers(3, 20)), -int(rng.integers(3, 20)))
    populations = {
        "x": Population("x", (n,), HostInput(12, signed=True, static=bool(rng.random() < 0.5))),
        "b": Population("b", (n,), Lif(4095, 200, 10, bias_exp=2)),
        "t": Population("t", (3,), ternary, shift=1),
    }
    projections = (
        Projection("w", "x", "b", Wire(as_bias=True), delay=int(rng.integers(0, 3))),
        Projection("q", "b", "t", Dense(weights(rng, 3, n))),
    )
    static = populations["x"].model.static  # type: ignore[union-attr]  # it is the HostInput above
    return ChipNetwork("lava", populations, projections, steps=STEPS), {"x": rng.integers(-99, 300, (1 if static else STEPS, 2, n))}


def sigma_delta(rng: Rng) -> Case:
    """Delta on the host's values, graded synapses, SigmaDelta with a bias."""
    n = int(rng.integers(2, 6))
    last = SigmaDelta(int(rng.integers(1, 9)), rng.integers(-5, 6, 3), bool(rng.random() < 0.5), spike_exp=2, state_exp=1)
    populations = {
        "x": Population("x", (n,), HostInput(8, signed=True)),
        "d": Population("d", (n,), SigmaDelta(3, spike_exp=2, sums=False)),
        "s": Population("s", (3,), last, shift=1),
    }
    projections = (Projection("w", "x", "d", Wire()), Projection("q", "d", "s", Dense(weights(rng, 3, n)), graded=True))
    return ChipNetwork("lava", populations, projections, steps=STEPS), {"x": rng.integers(-99, 100, (STEPS, 2, n))}


def burst(rng: Rng) -> Case:
    """A trained-like burst network, decoupled into plain neurons for Loihi 1."""
    import torch  # noqa: PLC0415 - the other kinds do without

    from snndeploy.nn import LIFB  # noqa: PLC0415 - as torch

    torch.manual_seed(int(rng.integers(1 << 30)))
    rungs = int(rng.integers(2, 4))
    ladder = tuple(np.linspace(0.2, 0.3 * rungs, rungs))
    made = str(rng.choice(CONSTRUCTIONS))
    tau = 4 / 3 if made == "two-phase" else 2.0  # decays 1/4, which has a half, and 1/2
    neuron = LIFB(tau=tau, thresholds=ladder, kappa=tuple(range(2, rungs + 1)))
    net = torch.nn.Sequential(torch.nn.Linear(6, 5), neuron, torch.nn.Linear(5, 3), LIFB(tau=tau, thresholds=(0.2, 0.5), kappa=1.5))
    x = (rng.random((4, 8, 6)) < 0.4).astype(np.float32)
    network = sd.convert(net, x, sd.Wishes(chip="loihi1", burst=made), timesteps=8).network
    return network, inject(network, {name: np.moveaxis(x[:2], 1, 0).astype(float) for name in network.inputs() if name != "snndeploy.one"})


CONSTRUCTIONS = ("ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct", "two-phase")
KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f for f in (dense, convolution, sparse, recurrent, written, sigma_delta, burst)
}  # fmt: skip


def main() -> None:
    """Run as many networks as asked for, kind after kind."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else len(KINDS)
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    networks: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    different: Counter[str] = Counter()
    for seed in range(first, first + wanted):
        kind = list(KINDS)[seed % len(KINDS)]
        pair = pair_of(*KINDS[kind](np.random.default_rng(seed)))
        networks[kind] += 1
        compared[kind] += pair.compared
        different[kind] += pair.different
        if pair.different:
            sys.stdout.write(f"seed {seed}: {pair.first}\n")
    for kind in KINDS:
        sys.stdout.write(f"{kind:12} {networks[kind]:4} networks {compared[kind]:9,} values compared {different[kind]:5,} different\n")
    sys.stdout.write(f"{'all':12} {networks.total():4} networks {compared.total():9,} values compared {different.total():5,} different\n")
    sys.exit(bool(different.total()))


if __name__ == "__main__":
    main()
