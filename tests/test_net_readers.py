"""The .net files we write, read and run by lava-dl's own netx, where Lava and lava-dl are: every u, v and spike."""

from __future__ import annotations

import numpy as np
import pytest
from originals import netx_benchmark

import converters
import snndeploy as sd
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection
from snndeploy.sim.host import inject

h5py = pytest.importorskip("h5py")


def one_layer(synapses, source, target, delay=0, **given):
    populations = {
        "x": Population("x", source, HostInput()),
        "n": Population("n", target, Lif(4095, 100, 2, **given), shift=1 + delay),
    }
    network = ChipNetwork("l", populations, (Projection("p", "x", "n", synapses),), steps=10)
    return network, {"x": (np.random.default_rng(1).random((10, 2, *source)) < 0.5).astype(int)}


def test_a_whole_layers_bias_is_stored_once_a_channel(tmp_path):
    """netx looks for the axis of channels, and fails on one number."""
    conv = Conv(np.ones((3, 2, 2, 2), int), (1, 1), ((0, 0), (0, 0)), (1, 1))
    network, _ = one_layer(conv, (2, 4, 4), (3, 3, 3), bias_mant=5, bias_exp=6, reset_interval=64, reset_offset=2)
    converters.save(network, tmp_path / "net.net")
    with h5py.File(tmp_path / "net.net") as handle:
        assert handle["layer/1/bias"][()].tolist() == [5, 5, 5]
    again = converters.load(tmp_path / "net.net", converters.Options(source="bootstrap"))
    assert again.populations["conv1"].model.bias_mant.ravel().tolist() == [5, 5, 5]


def test_every_random_network_has_a_place_in_the_format(tmp_path):
    module = netx_benchmark()
    for seed in range(4 * len(module.KINDS)):
        kind = list(module.KINDS)[seed % len(module.KINDS)]
        network, _ = module.KINDS[kind](np.random.default_rng(seed))
        converters.save(network, tmp_path / "net.net")
        with h5py.File(tmp_path / "net.net") as handle:
            neurons = [layer for layer in handle["layer"].values() if "neuron" in layer or "weight" in layer]
        assert len(neurons) == len(network.populations) - 1


@pytest.mark.lava
def test_random_networks_equal_netx(netx, tmp_path):
    cases = [netx.KINDS[kind](np.random.default_rng(seed)) for seed, kind in enumerate(2 * list(netx.KINDS), 900)]
    cases.append(one_layer(Conv(np.full((2, 2, 2, 2), 9), (1, 1), ((0, 0), (0, 0)), (1, 1)), (2, 4, 4), (2, 3, 3), bias_mant=3, bias_exp=6,
                           reset_interval=64, reset_offset=2))  # fmt: skip
    for case, (compared, different, where) in zip(cases, netx.by_netx(cases, tmp_path), strict=True):
        assert different == 0, f"{case[0]}{where}"
        assert compared > 100


@pytest.mark.lava
def test_a_converted_model_equals_netx(netx, tmp_path):
    torch = pytest.importorskip("torch")
    from snndeploy.nn import LIF

    torch.manual_seed(3)
    layers = [torch.nn.Conv2d(2, 4, 3, stride=2, padding=1, bias=False), LIF(tau=2.0, threshold=0.3), torch.nn.Flatten()]
    layers += [torch.nn.Linear(64, 10, bias=False), LIF(tau=2.0, threshold=0.3)]
    x = (np.random.default_rng(0).random((6, 8, 2, 8, 8)) < 0.3).astype(np.float32)
    network = sd.convert(torch.nn.Sequential(*layers), x, sd.Wishes(chip="loihi2", weight_bits=7), timesteps=8).network
    given = inject(network, {name: np.moveaxis(x[:2], 1, 0).astype(float) for name in network.inputs()})
    [(compared, different, where)] = netx.by_netx([(network, given)], tmp_path)
    assert different == 0, where
    assert compared > 1000


@pytest.mark.lava
def test_what_netx_loses_is_still_lost(netx, tmp_path):
    """What docs/export.md says of netx: when one of these starts to agree, the page has to change."""
    conv = Conv(np.arange(18).reshape(1, 2, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1))
    network, x = one_layer(conv, (2, 4, 4), (1, 4, 4))
    late = ChipNetwork("l", network.populations, (Projection("p", "x", "n", conv, delay=2),), steps=10)
    cases = [(late, x), one_layer(Dense(np.zeros((2, 3), int)), (3,), (2,)), one_layer(Dense(np.full((2, 3), -64)), (3,), (2,))]
    found = netx.by_netx(cases, tmp_path)
    assert [different > 0 for _, different, _ in found] == [True] * 3
    assert "OverflowError" in found[1][2]
