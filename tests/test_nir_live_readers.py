"""The .nir files we write, read and run by Norse and snnTorch: their spikes, ours, and those of our own importer.

Everything is on a grid that float32 holds, so that sums are exact and ties happen. Each library is imported only if it is installed,
and one that SNNDEPLOY_REQUIRE_LIBRARIES names must be. What a reader loses (docs/export.md) is held to still be lost.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from originals import library

torch = pytest.importorskip("torch")
pytest.importorskip("h5py")

import converters  # noqa: E402  (behind importorskip)
from converters import nir as fmt  # noqa: E402
from snndeploy.arrays import frozen  # noqa: E402
from snndeploy.ir.graph import Edge, Graph  # noqa: E402
from snndeploy.ir.layers import Conv, Input, Linear, Output, Reshape, SumPool  # noqa: E402
from snndeploy.ir.neurons.cubalif import CubaLIF  # noqa: E402
from snndeploy.ir.neurons.li import LI  # noqa: E402
from snndeploy.ir.neurons.lif import LIF, integrate_and_fire  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
STEPS, BATCH, NETWORKS = 16, 2, 8
SNNTORCH_DT = 1e-4
"""snnTorch's reader takes every time constant for this step; it is the one that we write where a graph has no time unit."""


def eighths(rng, *shape):
    return rng.integers(-8, 13, shape) / 8


def chain(shape, **nodes):
    names = ["x", *nodes, "y"]
    return Graph({"x": Input(shape), **nodes, "y": Output("none")}, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def lif(rng, scaled):
    """A LIF with one decay, or one a neuron; ``scaled``: NIR's r is 1, which Norse assumes (it drops r)."""
    decay = float(rng.choice([0.5, 0.75, 0.875]))
    gain = 1 - decay if scaled else 1.0
    return LIF(frozen(decay), frozen(gain), frozen(float(rng.choice([0.5, 1.0])) * gain), strict=True)


def cuba(rng, scaled):
    """A CubaLIF; snnTorch's reader refuses every r and w_in but those of gains of 1."""
    decay, slow = (float(d) for d in rng.choice([0.5, 0.75], 2))
    gains = (frozen(1 - decay), frozen(1 - slow)) if scaled else (frozen(1.0), frozen(1.0))
    return CubaLIF(frozen(decay), frozen(slow), *gains, threshold=frozen(float(gains[0])), strict=True)


def dense(rng, scaled):
    return chain((4,), a=Linear(eighths(rng, 6, 4), eighths(rng, 6)), n=lif(rng, scaled), b=Linear(eighths(rng, 3, 6)), m=lif(rng, scaled))


def convolution(rng, scaled, groups=1):
    geometry = ((2, 1), ((1, 1), (0, 0)), (1, 2), groups)
    conv = Conv(eighths(rng, 4, 2 // groups, 3, 2) / 2, eighths(rng, 4), *geometry)
    size = int(np.prod(conv.out_shape(((2, 6, 6),))))
    return chain((2, 6, 6), c=conv, n=lif(rng, scaled), f=Reshape(), l=Linear(eighths(rng, 3, size) / 4), m=lif(rng, scaled))


def grouped(rng, scaled):
    return convolution(rng, scaled, 2)


def pool(rng, scaled):
    pooled = SumPool((2, 2), (2, 2), ((0, 0), (0, 0)), frozen(1.0 if scaled else 0.25))
    return chain((2, 4, 4), n=lif(rng, scaled), p=pooled, m=lif(rng, scaled))


def current(rng, scaled):
    first = Linear(eighths(rng, 5, 4), eighths(rng, 5))
    return chain((4,), a=first, n=cuba(rng, scaled), b=Linear(eighths(rng, 3, 5)), m=cuba(rng, scaled))


def recurrent(rng, scaled, neuron=lif, bias=None):
    lateral = Linear(eighths(rng, 4, 4) / 2, bias)
    nodes = {"x": Input((3,)), "a": Linear(eighths(rng, 4, 3)), "n": neuron(rng, scaled), "w": lateral, "y": Output("none")}
    return Graph(nodes, (Edge("x", "a"), Edge("a", "n"), Edge("n", "w", 1), Edge("w", "n"), Edge("n", "y")))


def recurrent_current(rng, scaled):
    return recurrent(rng, scaled, cuba)


def recurrent_bias(rng, scaled):
    return recurrent(rng, scaled, bias=frozen(np.full(4, 0.75)))


def integrator(rng, _):
    return chain((4,), a=Linear(eighths(rng, 5, 4)), n=integrate_and_fire(1.5, strict=True))


def membrane(rng, scaled):
    return chain((4,), a=Linear(eighths(rng, 5, 4)), n=lif(rng, scaled), b=Linear(eighths(rng, 3, 5)), m=LI(frozen(0.75), frozen(0.25)))


def by_norse(path, x):
    nir, norse = library("nir"), library("norse.torch")
    module = norse.from_nir(nir.read(path, type_check=False), ignore_warnings=True, dt=SNNTORCH_DT)
    return stepped(module, x)


def by_snntorch(path, x):
    nir, reader = library("nir"), library("snntorch.import_nir")
    return stepped(reader.import_from_nir(nir.read(path, type_check=False)), x)


def stepped(module, x):
    """Run a module that gives (output, state) on one sample [T, ...] without a batch axis.

    Both readers hand NIR's Flatten, whose axes count without a batch, to torch, which counts with it.
    """
    state, kept = None, []
    for step in x:
        out, state = module(torch.as_tensor(step, dtype=torch.float32), *(() if state is None else (state,)))
        kept.append((out[0] if isinstance(out, tuple) else out).detach().numpy())
    return np.array(kept)


def answers(make, seed, scaled, read, path):
    """Theirs, ours, and of our own importer, [T, B, ...]."""
    rng = np.random.default_rng(seed)
    graph = make(rng, scaled)
    assert fmt.save(graph, path) == ()
    x = eighths(rng, STEPS, BATCH, *graph.nodes["x"].shape)
    mine, again = (run_reference(g, {"x": x}, STEPS, record=["y"]).outputs["y"] for g in (graph, converters.load(path).graph))
    theirs = np.stack([read(path, x[:, sample]) for sample in range(BATCH)], axis=1)
    return theirs.reshape(mine.shape), mine, again


READ = {
    "norse": (by_norse, [(dense, True), (convolution, True), (pool, True), (current, True), (current, False), (recurrent, True),
                         (integrator, True),
                         (recurrent_current, False)]),
    "snntorch": (by_snntorch, [(dense, False), (dense, True), (convolution, False), (convolution, True), (pool, False), (pool, True),
                               (current, False)]),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_spikes_are_the_same(name, tmp_path):
    library(name)
    read, makes = READ[name]
    for number, (make, scaled) in enumerate(makes):
        fired = 0
        for seed in range(NETWORKS):
            theirs, mine, again = answers(make, 100 * number + seed, scaled, read, tmp_path / "net.nir")
            np.testing.assert_array_equal(again, mine)
            np.testing.assert_array_equal(theirs, mine, err_msg=f"{make} {scaled} {seed}")
            fired += int(mine.sum())
        assert fired > 100, make


LOST = {
    "norse": (by_norse, {"r of a LIF": (dense, False), "LI": (membrane, True), "groups": (grouped, True),
                         "bias of a recurrence at the first step": (recurrent_bias, True)}),
    "snntorch": (by_snntorch, {"recurrence": (recurrent, False), "IF": (integrator, True), "LI": (membrane, True),
                               "r of a CubaLIF": (current, True),
                               "groups": (grouped, True)}),
}  # fmt: skip


@pytest.mark.parametrize(("name", "what"), [(name, what) for name, (_, cases) in LOST.items() for what in cases])
def test_what_a_reader_loses_is_still_lost(name, what, tmp_path):
    """When one of these starts to agree, docs/export.md has to change."""
    library(name)
    read, cases = LOST[name]
    try:
        theirs, mine, _ = answers(cases[what][0], 7, cases[what][1], read, tmp_path / "net.nir")
    except (AssertionError, AttributeError, ValueError):
        return  # snnTorch's refusals
    assert (theirs != mine).any()
