"""The shipped network: small, accurate on digits it never saw, and made of what it claims."""

import itertools
import subprocess
import sys

import numpy as np
import pytest

from snndeploy import demo

torch = pytest.importorskip("torch")

from snndeploy.demo.network import digits  # noqa: E402 (after importorskip)
from snndeploy.nn import LIFB  # noqa: E402

VARIANTS = {"hard": demo.WEIGHTS, "subtract": demo.WEIGHTS_SOFT}


@pytest.fixture(params=VARIANTS)
def net(request):
    module = digits(reset=request.param)
    module.load_state_dict(torch.load(VARIANTS[request.param], weights_only=True))
    return module.eval()


def outputs(net, x):
    """The outputs of every burst layer, [T, B, ...], and the read-out [B, 10]."""
    seen = {name: [] for name, module in net.named_modules() if isinstance(module, LIFB)}
    hooks = [net.get_submodule(name).register_forward_hook(lambda _m, _i, out, s=steps: s.append(out)) for name, steps in seen.items()]
    with torch.no_grad():
        out = net(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    return {name: torch.stack(steps) for name, steps in seen.items()}, out


def test_held_back_digits_are_read(net):
    data = np.load(demo.TEST)
    assert data["x"].shape == (360, 1, 8, 8)
    assert (outputs(net, data["x"])[1].argmax(1).numpy() == data["y"]).mean() >= 0.97


def test_bursts_happen_in_every_layer_and_are_rare_enough(net):
    layers, _ = outputs(net, np.load(demo.TEST)["x"])
    for name, out in layers.items():
        assert (out > 1).any(), f"{name} never bursts"
        assert 0.01 < (out > 0).double().mean() < 0.3, name


def test_kappa_lies_on_its_grid_and_differs_between_channels(net):
    for layer in (m for m in net.modules() if isinstance(m, LIFB)):
        kappa = layer.to_node().levels[1]
        assert np.array_equal(kappa * 4, np.round(kappa * 4))
        assert 1.25 <= kappa.min() < kappa.max() <= 2.0


def test_the_network_is_small(net):
    layers, _ = outputs(net, np.zeros((1, 1, 8, 8), np.float32))
    assert sum(out[0, 0].numel() for out in layers.values()) <= 3000
    assert sum(parameter.numel() for parameter in net.parameters()) <= 40_000
    assert net.T <= 8


def test_a_second_run_starts_from_rest(net):
    x = torch.from_numpy(np.load(demo.TEST)["x"][:8])
    with torch.no_grad():
        assert torch.equal(net(x), net(x))


def test_pixels_are_sixteenths_and_no_test_digit_was_calibrated_on():
    test, calibration = np.load(demo.TEST), np.load(demo.CALIBRATION)
    for data in (test, calibration):
        assert data["x"].dtype == np.float32
        assert np.array_equal(data["x"] * 16, np.round(data["x"] * 16))
        assert (data["x"].min(), data["x"].max()) == (0, 1)
        assert set(data["y"].tolist()) == set(range(10))
    both = itertools.product(test["x"].reshape(360, -1), calibration["x"].reshape(256, -1))
    assert not any(np.array_equal(a, b) for a, b in both)


def test_the_shipped_data_are_scikit_learns():
    pytest.importorskip("sklearn")
    from snndeploy.demo.train import split

    data = split()
    assert np.array_equal(data["x_test"], np.load(demo.TEST)["x"])
    assert np.array_equal(data["y_test"], np.load(demo.TEST)["y"])
    known = {image.tobytes() for image in data["x"]}
    assert all(image.tobytes() in known for image in np.load(demo.CALIBRATION)["x"])


def test_the_script_trains_and_writes_what_ships(tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    from snndeploy.demo import train

    monkeypatch.setattr(train, "EPOCHS", 1)
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    try:
        train.main("hard", tmp_path)
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.set_num_threads(threads)
    assert {path.name for path in tmp_path.iterdir()} == {"digits.pt", "digits.npz", "digits_calibration.npz"}
    assert np.array_equal(np.load(tmp_path / "digits_calibration.npz")["x"], np.load(demo.CALIBRATION)["x"])
    digits().load_state_dict(torch.load(tmp_path / "digits.pt", weights_only=True))
    assert "held back" in capsys.readouterr().out


def test_what_ships_is_below_a_megabyte():
    sizes = [path.stat().st_size for path in demo.FOLDER.iterdir() if path.is_file()]
    assert len(sizes) >= 8
    assert sum(sizes) < 1_000_000


def test_naming_the_demo_loads_no_torch():
    code = "import sys, snndeploy.demo; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "False\n"
