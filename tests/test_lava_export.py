"""Lava out: what the folder says, what is refused, and, where Lava is, that it computes what our simulator does."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import converters
from converters.lava import describe, lateness
from converters.lava.network import unfolded
from snndeploy.chip.models import HostInput, Lif, Resonator, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.errors import ChipError, ModelError, OptionError, Unsupported
from snndeploy.flow.against_lava import pair_of
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Output
from snndeploy.sim import lava
from snndeploy.sim.chip import run_chip

GOLDEN = Path(__file__).parent / "golden" / "lava_network.json"
BENCHMARK = Path(__file__).parents[1] / "benchmarks" / "lava_networks.py"


@pytest.fixture
def real_lava():
    """The Python that has Lava; the test is skipped where there is none, and fails where there must be one."""
    found = lava.lava_python()
    if found is None and os.environ.get("SNNDEPLOY_REQUIRE_LAVA") == "1":
        pytest.fail("SNNDEPLOY_REQUIRE_LAVA=1, but Lava is not set up (snndeploy doctor --setup-lava)")
    if found is None:
        pytest.skip("needs Lava: snndeploy doctor --setup-lava")
    return found


def lif(**given):
    return Lif(4095, 300, 10, **given)


def small(delay=0, weights=((2, -4), (6, 8)), **given):
    populations = {
        "x": Population("x", (2,), HostInput()),
        "a": Population("a", (2,), lif(), shift=1 + delay),
        "b": Population("b", (1,), lif(**given), shift=2 + delay),
    }
    projections = (Projection("p", "x", "a", Dense(weights), 1, delay), Projection("q", "a", "b", Dense([[10, 12]])))
    return ChipNetwork("loihi1", populations, projections, steps=5)


def with_model(model, port=0):
    populations = {"x": Population("x", (2,), HostInput()), "n": Population("n", (2,), model, shift=1)}
    return ChipNetwork("l", populations, (Projection("p", "x", "n", Dense([[2, 4], [6, 8]]), port=port),), steps=3)


def test_description_is_stable():
    spec, arrays = describe(small(delay=2, weights=((3, -5), (7, 9))))
    said = {"spec": spec, "arrays": {name: values.tolist() for name, values in arrays.items()}}
    text = json.dumps(said, indent=1, sort_keys=True) + "\n"
    if os.environ.get("SNNDEPLOY_BLESS"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


def test_odd_weights_of_both_signs_are_two_processes():
    spec, arrays = describe(small(weights=((3, -5), (7, 9))))
    first = [c for c in spec["connections"] if c["target"] == "a"]
    parts = [arrays[c["arrays"]["weights"]] for c in first]
    assert len(parts) == 2
    np.testing.assert_array_equal(parts[0] + parts[1], [[3, -5], [7, 9]])
    assert parts[0].min() == 0
    assert parts[1].max() == 0


@pytest.mark.parametrize(
    ("network", "late"),
    [
        (small(), {"x": 0, "a": 1, "b": 2}),
        (small(delay=3), {"x": 0, "a": 4, "b": 5}),
        (small(bias_mant=3, reset_interval=9, reset_offset=3), {"x": 0, "a": 1, "b": 2}),
        (small(bias_mant=3), None),
        (small(v=7), None),
        (small(reset_interval=9, reset_offset=2), None),
        (with_model(SigmaDelta(3)), None),
    ],
    ids=["plain", "delayed", "cleared in time", "bias before the input", "starts above zero", "cleared at another step", "sigma-delta"],
)
def test_samples_follow_each_other_only_where_no_spike_can_meet_another_sample(network, late):
    assert lateness(network) == late


def test_cycles_and_unequal_ways_start_anew():
    populations = {"x": Population("x", (2,), HostInput()), "a": Population("a", (2,), lif(), shift=1)}
    into, eye = Projection("p", "x", "a", Dense([[2, 4], [6, 8]])), Dense([[2, 0], [0, 2]])
    loop = ChipNetwork("l", populations, (into, Projection("r", "a", "a", eye)), steps=3)
    two = ChipNetwork("l", populations, (into, Projection("s", "x", "a", eye, delay=1)), steps=3)
    mixed = ChipNetwork("l", populations, (Projection("p", "x", "a", Dense([[2, 4], [6, 8]], [[0, 1], [0, 0]])),), steps=3)
    wired = ChipNetwork("l", populations, (Projection("w", "x", "a", Wire(as_bias=True)),), steps=3)
    assert [lateness(n) for n in (loop, two, mixed, wired)] == [None] * 4
    assert lateness(ChipNetwork("l", populations, (into,), steps=0)) is None
    assert lateness(ChipNetwork("l", populations, (Projection("w", "x", "a", Wire(), delay=1),), steps=3)) == {"x": 0, "a": 1}


@pytest.mark.parametrize(
    ("network", "says"),
    [
        (small(weights=((300, 0), (0, 0))), "do not fit the 8 bits"),
        (with_model(Resonator(1, 2, 3)), "no neuron like this Resonator"),
        (with_model(SigmaDelta(3, [1, 2], sums=False)), "no bias"),
    ],
    ids=["weights", "resonator", "delta with bias"],
)
def test_what_lava_has_not_is_refused(network, says, tmp_path):
    with pytest.raises(Unsupported, match=says):
        converters.save(network, tmp_path / "net.lava")
    assert not list(tmp_path.iterdir())


def test_signs_apart_under_a_rounding_exponent_are_refused(tmp_path):
    populations = {"x": Population("x", (2,), HostInput()), "a": Population("a", (1,), lif(), shift=1)}
    network = ChipNetwork("l", populations, (Projection("p", "x", "a", Dense([[3, -5]]), exponent=-1),), steps=3)
    with pytest.raises(Unsupported, match="do not fit"):
        converters.save(network, tmp_path / "net.lava")


def test_float_graphs_and_foreign_folders_are_refused(tmp_path):
    graph = Graph({"in": Input((2,)), "out": Output()}, (Edge("in", "out"),))
    with pytest.raises(Unsupported, match="float graph"):
        converters.save(graph, tmp_path / "net.lava")
    mine = tmp_path / "mine.lava"
    mine.mkdir()
    (mine / "letter.txt").write_text("dear")
    with pytest.raises(ModelError, match="is there already"):
        converters.save(small(), mine)
    assert (mine / "letter.txt").read_text() == "dear"


def test_a_folder_is_written_whole_and_replaced(tmp_path):
    folder = tmp_path / "net.lava"
    converters.save(small(), folder)
    converters.save(small(delay=1), folder)
    assert sorted(p.name for p in folder.iterdir()) == ["network.json", "network.npz", "run_network.py"]
    assert json.loads((folder / "network.json").read_text())["latency"] == 3
    assert [p.name for p in tmp_path.iterdir()] == ["net.lava"]


def test_the_old_folder_stays_where_the_new_one_cannot_come(tmp_path, monkeypatch):
    folder = tmp_path / "net.lava"
    converters.save(small(), folder)
    rename = Path.rename

    def full(self, target):
        if self.name.startswith(".") and not self.name.endswith(".old"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", full)
    with pytest.raises(ModelError, match="No space left"):
        converters.save(small(delay=1), folder)
    assert json.loads((folder / "network.json").read_text())["latency"] == 2
    assert [p.name for p in tmp_path.iterdir()] == ["net.lava"]


@given(st.integers(0, 10_000))
def test_unfolded_convolution_is_the_convolution(seed):
    rng = np.random.default_rng(seed)
    groups, axes = int(rng.integers(1, 3)), int(rng.integers(1, 3))
    source = (2 * groups, *(int(n) for n in rng.integers(4, 7, axes)))
    pads = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (axes, 2)))
    stride, dilation = (tuple(int(n) for n in rng.integers(1, 3, axes)) for _ in range(2))
    conv = Conv(rng.integers(-9, 10, (2 * groups, 2, *rng.integers(1, 3, axes))), stride, pads, dilation, groups)
    target = conv.out_shape(source)
    rows, columns, weights = unfolded(conv, source)
    x = (rng.random((4, 1, *source)) < 0.5).astype(int)
    traces = []
    for synapses in (conv, Sparse(rows, columns, weights)):
        populations = {"x": Population("x", source, HostInput()), "n": Population("n", target, Lif(4095, 0, 1 << 17), shift=1)}
        network = ChipNetwork("l", populations, (Projection("p", "x", "n", synapses),), steps=4)
        traces.append(run_chip(network, {"x": x}, states=True).states["n.v"])
    np.testing.assert_array_equal(*traces)


def test_without_lava_the_error_says_what_makes_one(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv(lava.PYTHON, raising=False)
    with pytest.raises(OptionError, match="--setup-lava"):
        pair_of(small(), {"x": np.ones((5, 1, 2), int)})
    monkeypatch.setenv(lava.PYTHON, str(tmp_path / "none"))
    assert lava.lava_python() is None


def stand_in(tmp_path, body):
    """An executable in Lava's place."""
    script = tmp_path / "python"
    script.write_text(f"#!{sys.executable}\n{body}")
    script.chmod(0o755)
    return str(script)


def test_a_run_that_hangs_is_ended(monkeypatch, tmp_path):
    monkeypatch.setenv(lava.PYTHON, stand_in(tmp_path, "import time\ntime.sleep(60)\n"))
    with pytest.raises(ChipError, match="did not finish in 1 s"):
        pair_of(small(), {"x": np.ones((5, 1, 2), int)}, seconds=1)


def test_a_run_that_fails_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv(lava.PYTHON, stand_in(tmp_path, "raise SystemExit('no chip today')\n"))
    with pytest.raises(ChipError, match="no chip today"):
        pair_of(small(), {"x": np.ones((5, 1, 2), int)})


@pytest.fixture(scope="module")
def networks():
    """The benchmark that makes the random networks."""
    spec = importlib.util.spec_from_file_location("lava_networks", BENCHMARK)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.lava
@pytest.mark.parametrize("seed", range(14))
def test_random_networks_equal_the_real_lava(seed, networks, real_lava):
    kind = list(networks.KINDS)[seed % len(networks.KINDS)]
    if kind == "burst":
        pytest.importorskip("torch")
    pair = pair_of(*networks.KINDS[kind](np.random.default_rng(500 + seed)))
    assert pair.compared > 100
    assert pair.different == 0, str(pair.first)


@pytest.mark.lava
def test_samples_that_follow_each_other_at_two_chip_steps_for_one_equal_the_real_lava(real_lava):
    network = dataclasses.replace(small(weights=((20, -4), (6, 30))), phases=2)
    assert lateness(network) == {"x": 0, "a": 1, "b": 2}
    pair = pair_of(network, {"x": (np.random.default_rng(0).random((5, 3, 2)) < 0.7).astype(int)})
    assert (pair.compared, pair.different) == (288, 0)


@pytest.mark.lava
def test_a_wrong_simulator_would_be_seen(real_lava, monkeypatch):
    """One threshold differs between what Lava runs and what we run."""
    right, wrong = small(), small()
    rng = np.random.default_rng(0)
    x = {"x": (rng.random((5, 3, 2)) < 0.7).astype(int)}
    model = Lif(4095, 300, 12)
    wrong = ChipNetwork("l", {**wrong.populations, "a": Population("a", (2,), model, shift=1)}, wrong.projections, steps=5)
    monkeypatch.setattr("snndeploy.flow.against_lava.run_chip", lambda _, values, **given: run_chip(wrong, values, **given))
    pair = pair_of(right, x)
    assert pair.different > 0
    assert pair.first.layer.startswith("a.")


@pytest.mark.lava
def test_mnist_file_equals_the_real_lava(real_lava, shared):
    network = converters.load(shared / "models/netx_mnist/trained_mnist_network.net", converters.Options(timesteps=32))
    images = np.load(shared / "models/netx_mnist/input.npz")["images"][:4].reshape(4, -1)
    x = (np.random.default_rng(1).random((32, 4, 784)) < images / 255).astype(int)
    pair = pair_of(network, {"input": x})
    assert pair.compared > 50_000
    assert pair.different == 0, str(pair.first)


@pytest.mark.lava
def test_pilotnet_equals_the_real_lava(real_lava, shared):
    """118,800 host values a step, nine layers, resets: Intel's network on Intel's Lava."""
    folder = shared / "models" / "netx_pilotnet_lif"
    network = converters.load(folder / "network.net", converters.Options(timesteps=6))
    image = np.load(folder / "input.npz")["image"].transpose(2, 1, 0).astype(np.int64) - 36
    pair = pair_of(network, {"input": np.broadcast_to(image, (6, 1, *image.shape))})
    assert pair.compared > 1_000_000
    assert pair.different == 0, str(pair.first)


@pytest.mark.lava
@pytest.mark.parametrize("burst", ["ping-pong", "look-ahead"])
def test_demo_on_plain_neurons_equals_the_real_lava(real_lava, burst, tmp_path):
    torch = pytest.importorskip("torch")
    import snndeploy as sd
    from snndeploy import demo
    from snndeploy.demo.network import digits

    module = digits()
    module.load_state_dict(torch.load(demo.WEIGHTS, weights_only=True))
    x = np.load(demo.TEST)["x"][:12]
    made = sd.convert(module.eval(), x, sd.Wishes(chip="loihi1", burst=burst))
    _, chip = sd.save(made, tmp_path / "demo")
    np.savez(tmp_path / "digits.npz", x=x[:2])
    verdict = sd.verify(chip, str(tmp_path / "digits.npz"), against=["lava"])
    (pair,) = verdict.pairs
    assert pair.a.startswith("Lava")
    assert pair.compared > 100_000
    assert pair.different == 0, str(pair.first)
