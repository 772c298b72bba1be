"""Spikes that only rounding decides: a tie is counted and said, never a difference; and a difference is never a tie."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy.arrays import frozen  # noqa: E402
from snndeploy.errors import Unsupported  # noqa: E402
from snndeploy.flow.original import hold_against_original, hold_against_own_type  # noqa: E402
from snndeploy.ir.following import follow  # noqa: E402
from snndeploy.ir.layers import Linear  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.ir.spread import ARITHMETICS, Spread, given, setting  # noqa: E402

T = 6


class Leaky(nn.Module):
    """v += (x - v) / tau in one of three spellings, a spike at v >= threshold, hard reset; casts as it is told."""

    def __init__(self, tau, threshold, spelling="divide", cast="to"):
        super().__init__()
        self.tau, self.threshold, self.spelling, self.cast, self.v = tau, threshold, spelling, cast, None

    def reset(self):
        self.v = None

    def forward(self, x):
        v = torch.zeros_like(x) if self.v is None else self.v
        if self.spelling == "divide":
            v = v + (x - v) / self.tau
        elif self.spelling == "multiply":
            v = v + (x - v) * (1 / self.tau)
        else:
            v = (1 - 1 / self.tau) * v + x / self.tau
        sent = (v >= self.threshold).float() if self.cast == "float" else (v >= self.threshold).to(x)
        self.v = v * (1 - sent)
        if self.cast == "half":
            self.v = self.v.half()
        return sent


class Net(nn.Module):
    """A layer, a neuron, and a linear read-out that is summed over time, or none."""

    def __init__(self, neuron, read=True):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.neuron, self.last = nn.Linear(8, 12), neuron, nn.Linear(12, 4) if read else nn.Identity()
        self.first.weight.data.mul_(4)

    def forward(self, x):
        self.neuron.reset()
        return sum(self.last(self.neuron(self.first(x))) for _ in range(T))


X = torch.rand(6, 8, generator=torch.Generator().manual_seed(1)) * 2


# -- neurons that are found out, or named --------------------------------------------------------------------------


@pytest.mark.parametrize(("tau", "threshold", "spelling"), [(2.0, 0.2, "divide"), (3.0, 0.3, "multiply"), (1.25, 0.7, "split")])
def test_a_tie_rejects_no_neuron(tau, threshold, spelling):
    loaded = from_module(Net(Leaky(tau, threshold, spelling)), X)
    assert loaded.probed[0].startswith("Leaky = LIF(")
    assert ": 0 of 1,0" in loaded.probed[0]
    node = next(node for node in loaded.graph.nodes.values() if isinstance(node, LIF))
    assert float(node.decay) == pytest.approx(1 - 1 / tau, abs=1e-12)
    assert float(node.threshold / node.gain) == pytest.approx(threshold * tau, rel=1e-12)
    assert hold_against_original(loaded).equal


@pytest.mark.parametrize("said", ["LIF(tau=2.0, threshold=0.404)", "LIF(tau=2.02, threshold=0.4)"])
def test_a_neuron_that_is_off_by_one_percent_is_no_tie(said):
    with pytest.raises(Unsupported, match="is not LIF"):
        from_module(Net(Leaky(2.0, 0.2)), X, Options(neuron_class={"Leaky": said}))


def test_what_was_said_of_a_neuron_is_not_refused_for_a_tie():
    """Over the reals (x - v) / 2 at 0.2 is x - v / 2 at 0.4; a few inputs tie."""
    loaded = from_module(Net(Leaky(2.0, 0.2)), X, Options(neuron_class={"Leaky": "LIF(tau=2.0, threshold=0.4)"}))
    assert " differ" in loaded.probed[0]


# -- the whole graph -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cast", ["to", "float", "half"])
def test_a_cast_inside_or_in_snntorch_is_no_difference_and_hides_none(cast):
    loaded = from_module(Net(Leaky(2.0, 1.0, cast=cast)), X)
    assert loaded.witness.arithmetic == "float64"
    assert loaded.own.arithmetic == ("float16" if cast == "half" else "float32")
    assert hold_against_original(loaded).different == 0
    own = hold_against_own_type(loaded)
    assert own is None or own.equal
    name, node = next((n, node) for n, node in loaded.graph.nodes.items() if isinstance(node, LIF))
    for changed in ({"threshold": node.threshold * 1.01}, {"decay": node.decay * 0.8}, {"reset": "none"}):
        other = dataclasses.replace(loaded, graph=loaded.graph.replace({name: dataclasses.replace(node, **changed)}))
        assert not hold_against_original(other).equal, changed


class Grid(nn.Module):
    """Two layers of snnTorch on weights of a grid; spikes come out."""

    def __init__(self, seed, grid=0.1):
        super().__init__()
        snntorch = pytest.importorskip("snntorch")
        torch.manual_seed(seed)
        self.fc1, self.fc2 = nn.Linear(12, 24, bias=False), nn.Linear(24, 6, bias=False)
        self.one, self.two = (snntorch.Leaky(beta=0.8) for _ in range(2))
        for layer in (self.fc1, self.fc2):
            layer.weight.data = torch.randint(-1, 3, layer.weight.shape).float() * grid

    def forward(self, x):
        a, b, sent = self.one.reset_mem(), self.two.reset_mem(), []
        for now in x:
            hidden, a = self.one(self.fc1(now), a)
            out, b = self.two(self.fc2(hidden), b)
            sent.append(out)
        return torch.stack(sent)


def test_spikes_that_float32_decides_are_counted_and_said():
    x = (torch.rand(12, 8, 12, generator=torch.Generator().manual_seed(0)) < 0.4).float()
    ties = 0
    for seed in range(4):
        loaded = from_module(Grid(seed), x)
        assert any(note.startswith("ties: ") and "lie on a grid" in note for note in loaded.assumptions)
        assert hold_against_original(loaded).different == 0
        own = hold_against_own_type(loaded)
        ties += own.within_bound if own else 0
        if own is not None:
            assert own.equal
            assert own.a == "original model in float32"
            assert own.first.cause == "at the threshold, within the rounding bound"
        node = loaded.graph.nodes["two"]
        wrong = loaded.graph.replace({"two": dataclasses.replace(node, threshold=node.threshold * 1.1)})
        assert not hold_against_original(dataclasses.replace(loaded, graph=wrong)).equal
    assert ties > 0


def test_without_a_grid_nothing_is_said():
    net = Grid(0)
    for layer in (net.fc1, net.fc2):
        torch.nn.init.normal_(layer.weight, 0.1, 0.3, generator=torch.Generator().manual_seed(2))
    loaded = from_module(net, (torch.rand(12, 8, 12, generator=torch.Generator().manual_seed(0)) < 0.4).float())
    assert not any(note.startswith("ties") for note in loaded.assumptions)
    assert hold_against_own_type(loaded) is None


def test_another_comparison_is_a_difference_where_nothing_rounds():
    """Whole potentials meet a threshold of 1 without rounding, in any order and type: > is not >=."""
    loaded = from_module(Net(Leaky(2.0, 1.0), read=False), torch.full((2, 8), 2.0))
    linear = next(n for n, node in loaded.graph.nodes.items() if isinstance(node, Linear))
    name = next(n for n, node in loaded.graph.nodes.items() if isinstance(node, LIF))
    node = loaded.graph.nodes[name]
    kind = ARITHMETICS["float32"]
    even = dataclasses.replace(node, decay=frozen(0.5), gain=frozen(0.5), threshold=frozen(1.0), strict=True)
    x, told = given(np.full((1, 12), 2.0), kind), np.ones((1, 12))
    done = follow(even.step, (x,), {"v": given(np.zeros((1, 12)), kind)}, told, kind)
    assert done.wrong.all()
    assert not done.ties.any()
    assert linear


# -- bounds --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float32", "float16"])
def test_every_spelling_lies_within_the_bound(name):
    rng, kind, dtype = np.random.default_rng(0), ARITHMETICS[name], np.dtype(name).type
    v, x = (rng.normal(0, 2, 4000).astype(dtype) for _ in range(2))
    for tau in (1.25, 2.0, 3.0, 7.0):
        node = LIF(frozen(1 - 1 / tau), frozen(1 / tau), frozen(0.3), reset="none")
        state = {"v": Spread(v.astype(float)[None], np.full((1, 4000), 1e-300), kind)}
        done = follow(node.step, (given(x.astype(float)[None], kind),), state, None, kind)
        one, t = dtype(1), dtype(tau)
        for spelled in (v + (x - v) / t, v + (x - v) * (one / t), (one - one / t) * v + x / t, v - v / t + x / t):
            assert (np.abs(spelled.astype(float) - done.state["v"].value[0]) <= done.state["v"].error[0]).all()
        assert done.state["v"].error.max() < (2e-5 if name == "float32" else 0.1)


def test_what_is_exact_in_every_spelling_has_no_error():
    kind = ARITHMETICS["float32"]
    a = given(np.array([0.375, 1 / 3, 5.0]), kind)
    assert list((a * 0.25).error == 0) == [True, True, True]
    assert list((a + 0.5).error == 0) == [True, False, True]
    assert setting(0.1, kind).error > 0
    assert (setting(0.1, ARITHMETICS["float64"]) * a).error.all()
