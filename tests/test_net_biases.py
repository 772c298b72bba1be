"""Biases that the conversion drives from a constant input, in the bias registers of a .net file: the same spikes, or refused."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

import converters
import snndeploy as sd
from converters.lava_net import registers
from snndeploy.chip.models import HostInput, Lif, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import BatchNorm, Input, Linear, Output, Reshape, SumPool
from snndeploy.ir.layers import Conv as ConvLayer
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject

pytest.importorskip("h5py")
STEPS, SAMPLES = 8, 6


def chain(shape, **nodes):
    nodes = {"x": Input(shape, "spikes"), **nodes, "y": Output("last" if isinstance(list(nodes.values())[-1], LI) else "sum")}
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)), steps=STEPS)


def lif(theta=0.3):
    return LIF(0.5, threshold=theta, strict=True)


def conv(rng, o, c, pad):
    return ConvLayer(rng.normal(0.05, 0.3, (o, c, 3, 3)), rng.normal(0, 0.15, o), padding=((pad, pad),) * 2)


def linear(rng, o, i):
    return Linear(rng.normal(0, 0.3, (o, i)), rng.normal(0.05, 0.2, o))


def dense(rng):
    return chain((12,), f1=linear(rng, 10, 12), n1=lif(), f2=linear(rng, 8, 10), n2=lif(), f3=linear(rng, 5, 8), n3=lif())


def images(rng):
    layers = {"c1": conv(rng, 3, 2, 1), "n1": lif(), "c2": conv(rng, 2, 3, 0), "n2": lif()}
    return chain((2, 6, 6), **layers, f=Reshape(), fc=linear(rng, 4, 32), n3=lif())


def normalized(rng):
    """A bias of the place: behind a padded convolution, a normalization's shift depends on it."""
    norm = BatchNorm(rng.normal(0, 0.1, (2, 1, 1)), rng.uniform(0.5, 1.0, (2, 1, 1)), rng.normal(0.1, 0.2, (2, 1, 1)))
    pool = SumPool((2, 2), (2, 2), ((0, 0),) * 2, np.float64(0.25))
    return chain((2, 6, 6), bn=norm, c1=conv(rng, 3, 2, 1), n1=lif(), p=pool, c2=conv(rng, 2, 3, 1), n2=lif())


def read_out(rng):
    return chain((12,), f1=linear(rng, 10, 12), n1=lif(), f2=linear(rng, 4, 10), n2=LI(0.5))


def one_layer(rng):
    return chain((12,), f1=linear(rng, 10, 12), n1=lif())


NETWORKS = {f.__name__: f for f in (dense, images, normalized, read_out, one_layer)}


def converted(graph, seed=0):
    """(the chip network, its inputs), with the most weight bits at which no exponent leads beyond the file's 8."""
    x = (np.random.default_rng(seed).random((SAMPLES, STEPS, *graph.nodes["x"].shape)) < 0.4).astype(float)
    loaded = converters.Loaded(graph, steps=STEPS)
    for bits in (7, 6, 5, 4, 3):
        made = sd.convert(loaded, x, sd.Wishes(chip="loihi2", weight_bits={"*": bits}))
        sizes = [np.abs(p.synapses.weights).max() << p.exponent for p in made.network.projections if p.source != CONSTANT]
        if max(sizes) < 256:
            break
    assert CONSTANT in made.network.inputs()
    return made.network, inject(made.network, made.data.inputs)


def compared(ours, theirs, given):
    """(spikes or read-outs compared, different from first to last input, different before it), layer after layer."""
    a = run_chip(ours, given, states=True)
    b = run_chip(theirs, dict.fromkeys(theirs.inputs(), given["x"]), states=True)
    same = different = before = 0
    for p, q in zip(layers_of(ours), layers_of(theirs), strict=True):
        assert (p.shift, p.size, p.reads) == (q.shift, q.size, q.reads)
        for word in ("spikes", "v"):
            mine = a.outputs[p.name] if word == "spikes" and p.reads == "spikes" else a.states[f"{p.name}.v"]
            other = (b.outputs[q.name] if word == "spikes" and p.reads == "spikes" else b.states[f"{q.name}.v"]).reshape(mine.shape)
            wrong = mine != other
            different += int(wrong[p.shift : p.shift + STEPS].sum())
            before += int(wrong[: p.shift].sum())
            same += wrong[p.shift : p.shift + STEPS].size
    return same, different, before


def layers_of(network):
    return [p for p in network.populations.values() if not isinstance(p.model, HostInput)]


def without_clearing(network):
    cleared = {
        n: dataclasses.replace(p, model=dataclasses.replace(p.model, reset_interval=0)) if isinstance(p.model, Lif) else p
        for n, p in network.populations.items()
    }
    return dataclasses.replace(network, populations=cleared)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETWORKS)
def test_a_driven_bias_comes_back_from_a_register(name, seed, tmp_path):
    """Every spike and every v of every layer, from its first input to its last; before that the register acts alone."""
    network, given = converted(NETWORKS[name](np.random.default_rng(seed)), seed)
    assert converters.save(network, tmp_path / "n.net") == ()
    again = converters.load(tmp_path / "n.net")
    assert CONSTANT not in again.inputs()
    assert len(again.inputs()) == 1
    values, different, before = compared(network, again, given)
    assert (different, before > 0) == (0, True)
    assert values > 100
    assert compared(network, without_clearing(again), given)[1] > 0, "the layers must be cleared"


def test_a_bias_of_the_place_is_stored_by_neuron(tmp_path):
    network, _ = converted(normalized(np.random.default_rng(0)))
    converters.save(network, tmp_path / "n.net")
    first = converters.load(tmp_path / "n.net").populations["conv1"]
    assert first.model.bias_mant.shape == (3, 6, 6)


def current(rng):
    cuba = CubaLIF(0.5, 0.5, threshold=0.3, strict=True)
    return chain((12,), f1=linear(rng, 10, 12), n1=cuba, f2=linear(rng, 4, 10), n2=lif())


def test_a_bias_in_front_of_a_synaptic_current_is_lossy_and_says_how_much(tmp_path):
    network, given = converted(current(np.random.default_rng(1)))
    with pytest.raises(Unsupported, match="n1: a bias in front of a synaptic current") as refusal:
        converters.save(network, tmp_path / "n.net")
    assert "--lossy" in refusal.value.hint
    assert not (tmp_path / "n.net").exists()
    (lost,) = converters.save(network, tmp_path / "n.net", lossy=True)
    assert lost.startswith("n1: a register gives at once what the current rises to: over 8 steps up to ")
    again = converters.load(tmp_path / "n.net")
    model, rises = again.populations["dense0"].model, np.zeros(10, np.int64)
    driven = registers.moved(network, lossy=True).network.populations["n1"].model.bias_mant
    np.testing.assert_array_equal(model.bias_mant, driven)
    constant = sum(np.bincount(q.synapses.rows, q.synapses.weights, 10) * 2**q.exponent for q in network.into("n1") if q.source == CONSTANT)
    assert network.populations["n1"].model.du == 2047
    off = np.zeros(10)
    for _ in range(STEPS):
        rises = (np.sign(rises) * (np.abs(rises) * 2048 >> 12) + 64 * constant).astype(np.int64)
        off += np.abs(64 * driven - rises)
    assert f"up to {int(off.max())} units of v off" in lost
    assert compared(network, again, given)[1] > 0


def small(*projections, **changes):
    """x -> a -> b, and the constant into both, a step later into b."""
    model = Lif(4095, 2048, 100)
    populations = {"x": Population("x", (2,), HostInput()), CONSTANT: Population(CONSTANT, (1,), HostInput(static=True))}
    populations |= {"a": Population("a", (2,), model, shift=1), "b": Population("b", (2,), model, shift=2)} | changes
    one = Sparse([0, 1], [0, 0], [8, 12])
    usual = {
        "xa": Projection("xa", "x", "a", Dense([[9, 2], [4, 5]])),
        "ab": Projection("ab", "a", "b", Dense([[9, 2], [4, 5]])),
        "1a": Projection("1a", CONSTANT, "a", one),
        "1b": Projection("1b", CONSTANT, "b", one, delay=1),
    }
    return ChipNetwork("loihi2", populations, tuple((usual | {p.name: p for p in projections}).values()), steps=STEPS)


TWO = Dense([[9, 2], [4, 5]])
REFUSED = {
    "a loop": (small(Projection("bb", "b", "b", TWO)), "bb leads back or waits"),
    "a way back": (small(Projection("ba", "b", "a", TWO)), "ba leads back or waits"),
    "a delay": (small(Projection("ab", "a", "b", TWO, delay=1)), "ab leads back or waits"),
    "delays by synapse": (small(Projection("ab", "a", "b", Dense([[9, 2], [4, 5]], [[0, 1], [0, 0]]))), "ab leads back or waits"),
    "a constant too early": (small(Projection("1b", CONSTANT, "b", Sparse([0], [0], [8]))), "the constant comes -1 steps off"),
    "delayed constants": (small(Projection("1a", CONSTANT, "a", Sparse([0, 1], [0, 0], [8, 8], [0, 1]))), "other synapses than a matrix"),
    "a convolved constant": (
        small(
            Projection("1a", CONSTANT, "a", Conv(np.ones((1, 1, 1), int), (1,), ((0, 1),), (1,))),
            **{CONSTANT: Population(CONSTANT, (1, 1), HostInput()), "a": Population("a", (1, 2), Lif(4095, 2048, 100), shift=1)},
        ),
        "other synapses than a matrix",
    ),
    "a register as well": (small(a=Population("a", (2,), Lif(4095, 2048, 100, 3), shift=1)), "a bias register and a driven bias"),
    "a sum that wraps": (small(Projection("xa", "x", "a", Dense([[9, 2], [255, 255]]), exponent=9)), "the synaptic sum may reach 261132"),
    "a bias beyond its register": (small(Projection("1a", CONSTANT, "a", Sparse([0], [0], [255]), exponent=8)), "a bias of 65280"),
    "another neuron": (
        small(b=Population("b", (2,), SigmaDelta(3), shift=2)),
        "no SigmaDelta neurons",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_where_a_register_is_not_the_constant_it_is_refused(what, tmp_path):
    network, why = REFUSED[what]
    with pytest.raises(Unsupported, match=why) as refusal:
        converters.save(network, tmp_path / "n.net")
    assert refusal.value.hint


def test_the_same_network_without_these_is_written(tmp_path):
    assert converters.save(small(), tmp_path / "n.net") == ()
    made = registers.moved(small(), lossy=False).network
    assert {n: p.model.bias_mant.tolist() for n, p in made.populations.items() if n in "ab"} == {"a": [8, 12], "b": [8, 12]}
    given = {"x": (np.random.default_rng(0).random((STEPS, SAMPLES, 2)) < 0.5).astype(int), CONSTANT: np.ones((1, SAMPLES, 1), int)}
    assert compared(small(), made, given)[1] == 0


# -- netx ----------------------------------------------------------------------------------------------------------


@pytest.mark.lava
def test_netx_computes_the_same_with_the_registers(netx, tmp_path):
    """Its u, v and spikes are those of the network with registers, whose spikes and v are those of the network that was converted."""
    cases = []
    for make in NETWORKS.values():
        network, given = converted(make(np.random.default_rng(7)), 7)
        moved = registers.moved(network, lossy=False).network
        assert compared(network, moved, given)[1] == 0
        cases.append((moved, {"x": given["x"][:, :2]}))
    for name, (values, different, where) in zip(NETWORKS, netx.by_netx(cases, tmp_path), strict=True):
        assert different == 0, f"{name}: {where}"
        assert values > 100
