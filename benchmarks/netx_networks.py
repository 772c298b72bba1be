"""Random networks written as .net files, read and run by lava-dl's own netx, and by our simulator: every u, v and spike compared.

    python benchmarks/netx_networks.py 40 [first seed]

Needs Lava (``snndeploy doctor --setup-lava``) and, in its environment, lava-dl 0.6.0 and h5py, both without dependencies. Dense,
convolutional and recurrent layers, delays, biases, per-neuron registers, a host-written first bias, sigma-delta and resonators.
Prints a line a kind: networks, values compared, values different. Exit code 1 if anything differs.
"""

from __future__ import annotations

import dataclasses
import math
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import converters
from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif, Resonator, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Wire
from snndeploy.sim.chip import run_chip
from snndeploy.sim.lava import lava_python

Rng = np.random.Generator
Case = tuple[ChipNetwork, dict[str, Any]]
STEPS, SAMPLES = 10, 2
SECONDS = 900


def weights(rng: Rng, *shape: int) -> Any:
    """Weights of both signs or one, odd ones too: whatever the 8 bits of a file hold."""
    low, high = ((-60, 90), (-256, 254), (0, 255), (-97, -1))[rng.choice(4, p=[0.5, 0.2, 0.2, 0.1])]
    return rng.integers(low, high + 1, shape)


def lif(rng: Rng, shape: Sequence[int], shift: int, *, bias: bool) -> Lif:
    """A fixed LIF with one number, one a channel, or one a neuron; cleared when its first input comes."""
    each = ((), (shape[0], *[1] * (len(shape) - 1)), tuple(shape))[rng.integers(3)]
    given = {"bias_mant": rng.integers(-40, 60, each), "bias_exp": 6, "reset_interval": 64, "reset_offset": shift + 1} if bias else {}
    du = np.asarray(4095) if rng.random() < 0.5 else rng.integers(-1, 4096, each)
    return Lif(du, rng.integers(0, 4097, each), rng.integers(1, 300), **given)


def read_out(size: int, shift: int) -> Population:
    """A last layer that never fires, whose v is read."""
    return Population("last", (size,), Lif(-1, 4096, NEVER_FIRES), shift=shift, reads="v")


def spikes(rng: Rng, *shape: int) -> Any:
    """Random input spikes [T, B, *shape]."""
    return (rng.random((STEPS, SAMPLES, *shape)) < 0.4).astype(np.int64)


def dense(rng: Rng) -> Case:
    """Two to three dense layers, perhaps with delays (then without biases) and a read-out of v."""
    sizes = [int(n) for n in rng.integers(2, 10, rng.integers(3, 5))]
    biased, delayed = bool(rng.random() < 0.4), bool(rng.random() < 0.5)
    populations, projections = {"x": Population("x", (sizes[0],), HostInput())}, []
    for i, size in enumerate(sizes[1:]):
        name, before = f"n{i}", list(populations)[-1]
        populations[name] = Population(name, (size,), lif(rng, (size,), i + 1, bias=biased), shift=i + 1)
        matrix = weights(rng, size, populations[before].size)
        late = rng.integers(0, 5, matrix.shape if rng.random() < 0.5 else (1, 1)) if delayed and not biased else None
        projections.append(Projection(name, before, name, Dense(matrix, None if late is None else np.broadcast_to(late, matrix.shape))))
    if not biased:
        populations["last"] = read_out(3, len(sizes))
        projections.append(Projection("last", f"n{len(sizes) - 2}", "last", Dense(weights(rng, 3, sizes[-1]))))
    return ChipNetwork("loihi2", populations, tuple(projections), steps=STEPS), {"x": spikes(rng, sizes[0])}


def convolution(rng: Rng) -> Case:
    """A convolution with groups, stride, padding and dilation, sometimes a second one, then a dense layer behind a flatten."""
    groups, biased = int(rng.integers(1, 3)), bool(rng.random() < 0.5)
    source = (2 * groups, int(rng.integers(6, 9)), int(rng.integers(6, 9)))
    populations, projections, before = {"x": Population("x", source, HostInput())}, [], source
    for i in range(int(rng.integers(1, 3))):
        pads = tuple((int(p), int(p)) for p in rng.integers(0, 2, 2))
        kernel = rng.integers(-90, 120, (2 * groups, 2, *(int(k) for k in rng.integers(1, 4, 2))))
        stride, dilation = (tuple(int(n) for n in rng.integers(1, 3, 2)) if i == 0 else (1, 1) for _ in range(2))
        conv = Conv(kernel, stride, pads, dilation, groups)
        if not conv.out_shape(before):
            break
        before, name, last = conv.out_shape(before), f"c{i}", list(populations)[-1]
        populations[name] = Population(name, before, lif(rng, before, i + 1, bias=biased), shift=i + 1)
        projections.append(Projection(name, last, name, conv))
    shift, last = len(populations), list(populations)[-1]
    populations["d"] = Population("d", (4,), lif(rng, (4,), shift, bias=biased), shift=shift)
    projections.append(Projection("d", last, "d", Dense(weights(rng, 4, math.prod(before)))))
    return ChipNetwork("loihi2", populations, tuple(projections), steps=STEPS), {"x": spikes(rng, *source)}


def recurrent(rng: Rng) -> Case:
    """A layer with lateral synapses behind another; even weights, because netx packs the two matrices as one.

    (Odd ones of both signs beyond 127 would take 9 bits there, and a half of one sign is then shifted by -1.)
    """
    n, biased = int(rng.integers(3, 8)), bool(rng.random() < 0.4)
    populations = {"x": Population("x", (4,), HostInput())}
    populations |= {f"n{i}": Population(f"n{i}", (n,), lif(rng, (n,), i + 1, bias=biased), shift=i + 1) for i in range(2)}
    projections = (
        Projection("p", "x", "n0", Dense(weights(rng, n, 4))),
        Projection("q", "n0", "n1", Dense(weights(rng, n, n) // 2 * 2)),
        Projection("l", "n1", "n1", Dense(weights(rng, n, n) // 2 * 2)),
    )
    return ChipNetwork("loihi2", populations, projections, steps=STEPS), {"x": spikes(rng, 4)}


def written(rng: Rng) -> Case:
    """An input layer whose bias the host writes once, a convolution and a dense layer."""
    source = (2, 5, 6)
    conv = Conv(rng.integers(-60, 90, (3, 2, 3, 2)), (1, 2), ((1, 1), (0, 0)), (1, 1))
    target = conv.out_shape(source)
    populations = {
        "x": Population("x", source, HostInput(12, signed=True, static=True, scale=1 / 64)),
        "i": Population("i", source, Lif(4095, int(rng.integers(0, 4096)), int(rng.integers(1, 300)), 7, 6)),
        "c": Population("c", target, lif(rng, target, 1, bias=True), shift=1),
        "d": Population("d", (4,), lif(rng, (4,), 2, bias=True), shift=2),
    }
    projections = (
        Projection("w", "x", "i", Wire(as_bias=True)),
        Projection("p", "i", "c", conv),
        Projection("q", "c", "d", Dense(weights(rng, 4, math.prod(target)))),
    )
    return ChipNetwork("loihi2", populations, projections, steps=STEPS), {"x": rng.integers(-99, 300, (1, SAMPLES, *source))}


def sigma_delta(rng: Rng) -> Case:
    """A Delta on the host's values, a sigma-delta convolution, a dense layer, and perhaps a Sigma that is read."""
    source = (2, 5, 4)
    conv = Conv(rng.integers(-60, 90, (3, 2, 2, 3)), (1, 1), ((0, 0), (1, 1)), (1, 1))
    target = conv.out_shape(source)
    middle = SigmaDelta(int(rng.integers(0, 9)), rng.integers(-50, 60, (3, 1, 1)), spike_exp=6, state_exp=6)
    populations = {
        "x": Population("x", source, HostInput(12, signed=True, scale=1 / 64)),
        "i": Population("i", source, SigmaDelta(int(rng.integers(0, 9)), spike_exp=6, state_exp=6, sums=False)),
        "c": Population("c", target, middle, shift=1, scale=2.0**-12),
        "d": Population("d", (4,), SigmaDelta(3, rng.integers(-50, 60, 4), spike_exp=6, state_exp=6), shift=2, scale=2.0**-12),
    }
    projections = (
        Projection("w", "x", "i", Wire()),
        Projection("p", "i", "c", conv, graded=True),
        Projection("q", "c", "d", Dense(weights(rng, 4, math.prod(target)) // 4), graded=True),
    )
    return ChipNetwork("loihi2", populations, projections, steps=STEPS), {"x": rng.integers(-30, 30, (STEPS, SAMPLES, *source))}


def resonators(rng: Rng) -> Case:
    """A layer of RF or RF_IZ neurons with complex weights."""
    n, angle, radius = int(rng.integers(2, 7)), rng.uniform(0.2, 1.5), rng.uniform(0.5, 0.99)
    sin, cos = (int(4096 * radius * f(angle)) for f in (math.sin, math.cos))
    populations = {
        "x": Population("x", (5,), HostInput()),
        "r": Population("r", (n,), Resonator(sin, cos, int(rng.integers(5, 200)), bool(rng.random() < 0.5)), shift=1),
    }
    projections = tuple(Projection(f"p{port}", "x", "r", Dense(weights(rng, n, 5)), port=port) for port in (0, 1))
    return ChipNetwork("loihi2", populations, projections, steps=STEPS), {"x": spikes(rng, 5)}


KINDS: dict[str, Callable[[Rng], Case]] = {
    f.__name__: f for f in (dense, convolution, recurrent, written, sigma_delta, resonators)
}  # fmt: skip


def job(network: ChipNetwork, x: Any, folder: Path) -> None:
    """Write one network and its input as netx's side of the comparison needs them."""
    converters.save(network, folder / "network.net", lossy=True)  # what netx drops is compared too
    populations = [p for p in network.populations.values() if not isinstance(p.model, HostInput)]
    host = next(iter(network.inputs().values())).model
    assert isinstance(host, HostInput)
    interval = max((p.model.reset_interval for p in populations if isinstance(p.model, Lif)), default=0)
    settings = {
        "steps": network.steps + network.latency,
        "message_bits": host.payload_bits,
        "reset_interval": interval,
        "reset_offset": populations[0].shift,
    }
    np.savez(folder / "inputs.npz", x=np.moveaxis(x, 1, 0), **{name: np.asarray(value) for name, value in settings.items()})


DECAYS = ("sin", "cos")


def with_decays(network: ChipNetwork, theirs: Any) -> ChipNetwork:
    """The network with the resonators' decays as netx computed them, on its way over period and decay: at most one lower.

    Sources: lava-dl 0.6.0 ``slayer/neuron/rf.py`` neuron_params, lava-nc 0.10.0 ``proc/rf/process.py``.
    """
    populations = dict(network.populations)
    neurons = [p for p in populations.values() if not isinstance(p.model, HostInput)]
    for number, p in enumerate(neurons):
        if not isinstance(p.model, Resonator):
            continue
        made = {word: theirs[f"{number}.{word}"].astype(np.int64).reshape(()) for word in DECAYS}
        assert all(((getattr(p.model, word) - value) in (0, 1)) for word, value in made.items()), f"netx made {made} of {p.model}"
        populations[p.name] = dataclasses.replace(p, model=dataclasses.replace(p.model, **made))
    return dataclasses.replace(network, populations=populations)


def differences(network: ChipNetwork, x: Any, folder: Path) -> tuple[int, int, str]:
    """Values compared, values different (1 where netx failed), and the first place where they are, or netx's own words."""
    if not (folder / "trace.npz").exists():
        said = folder / "failed.txt"
        return 0, 1, said.read_text(encoding="utf-8") if said.exists() else "netx was ended"
    with np.load(folder / "trace.npz") as theirs:
        network = with_decays(network, theirs)
    name = next(iter(network.inputs()))
    ours = run_chip(network, {name: x}, states=True)
    compared = different = 0
    where = ""
    with np.load(folder / "trace.npz") as theirs:
        populations = [p for p in network.populations.values() if not isinstance(p.model, HostInput)]
        for key in theirs.files:
            number, word = key.split(".")
            p = populations[int(number)]
            if word in DECAYS or (word == "s" and p.reads != "spikes"):
                continue
            mine = ours.outputs[p.name] if word == "s" else ours.states[f"{p.name}.{word}"]
            last = p.shift + network.steps
            mine, other = mine[:last], np.moveaxis(theirs[key], 1, 0).reshape(mine.shape)[:last]
            compared += mine.size
            wrong = np.argwhere(mine != other)
            different += len(wrong)
            if len(wrong) and not where:
                at = tuple(int(i) for i in wrong[0])
                where = f"{p.name}.{word} at {at}: netx {other[at]}, ours {mine[at]}"
    return compared, different, where


def by_netx(cases: Sequence[Case], folder: Path) -> list[tuple[int, int, str]]:
    """Every case, written, run by netx in the Python that has Lava, and compared, as ``differences``."""
    python = lava_python()
    if python is None:
        raise RuntimeError("there is no Lava here: snndeploy doctor --setup-lava")
    folders = [folder / str(number) for number in range(len(cases))]
    for (network, inputs), place in zip(cases, folders, strict=True):
        place.mkdir(parents=True)
        job(network, next(iter(inputs.values())), place)
    script = Path(__file__).with_name("netx_reader.py")
    done = subprocess.run([str(python), str(script), *map(str, folders)], capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - our own script
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or ["netx failed without a word"])[-1])
    return [differences(network, next(iter(inputs.values())), place) for (network, inputs), place in zip(cases, folders, strict=True)]


def main() -> None:
    """Run as many networks as asked for, kind after kind."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else len(KINDS)
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    kinds = [list(KINDS)[seed % len(KINDS)] for seed in range(first, first + wanted)]
    cases = [KINDS[kind](np.random.default_rng(seed)) for seed, kind in enumerate(kinds, first)]
    networks, compared, different = Counter(kinds), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as spare:
        for seed, (kind, (values, wrong, where)) in enumerate(zip(kinds, by_netx(cases, Path(spare)), strict=True), first):
            compared[kind] += values
            different[kind] += wrong
            if wrong:
                sys.stdout.write(f"seed {seed}: {where}\n")
    for kind in KINDS:
        sys.stdout.write(f"{kind:12} {networks[kind]:4} networks {compared[kind]:9,} values compared {different[kind]:5,} different\n")
    sys.stdout.write(f"{'all':12} {networks.total():4} networks {compared.total():9,} values compared {different.total():5,} different\n")
    sys.exit(bool(different.total()))


if __name__ == "__main__":
    main()
