"""The bar of every model that nobody here made (../shared/models): which test holds it, and the bars that no other test does.

The numbers are the original libraries', from the READMEs beside the models.
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import snndeploy as sd
from converters import Options

TESTS = Path(__file__).parent

HELD_BY = {
    "netx_pilotnet_lif": "test_lava_net.test_pilotnet_lif_equals_intels_recording",
    "netx_tinynet": "test_lava_net.test_tinynet_equals_intels_recording",
    "netx_pilotnet_sdnn": "test_lava_net.test_pilotnet_sdnn_equals_intels_recording",
    "lava_conv_ground_truth": "test_lava_net.test_convolutions_equal_intels_ground_truth",
    "netx_mnist": (
        "test_lava_net.test_mnist_accuracy_on_ten_thousand_images test_lava_net.test_mnist_equals_the_expected_spikes "
        "test_bars_import.test_a_net_file_comes_through_the_door_and_out_again test_bars_import.test_mnist_sample_of_the_net_file"
    ),
    "netx_iris": "test_lava_net.test_iris_equals_slayer test_pt_libraries.test_iris_from_its_weight_normed_file",
    "snntorch_mnist_fc": "test_pt_libraries.test_snntorch_on_ten_thousand_images test_pt_libraries.test_snntorch_from_the_bare_file",
    "spikingjelly_mnist_fc": "test_pt_libraries.test_spikingjelly_is_asked_for_its_tau",
    "norse_mnist_fc": "test_pt_libraries.test_norse_is_read_both_ways test_pt_libraries.test_norse_on_a_thousand_images",
    "sinabs_mnist_cnn": (
        "test_pt_libraries.test_sinabs_counts_its_spikes test_pt_libraries.test_sinabs_all_samples_and_its_analog_network "
        "test_bars_import.test_neurons_that_fire_several_times_a_step_reach_the_chip"
    ),
    "nir_cnn_nmnist": (
        "test_nir.test_nmnist_without_a_choice_names_its_readings test_nir.test_nmnist_first_recordings test_nir.test_nmnist_all_recordings"
    ),
    "nir_braille_rnn": "test_nir.test_braille_spike_for_spike test_pt_libraries.test_braille_from_the_bare_file",
    "onnx_mnist_cnn": (
        "test_rates.test_the_foreign_cnn_gives_its_own_logits test_rates.test_the_foreign_cnn_at_32_steps "
        "test_rates.test_the_foreign_cnn_on_all_images test_bars_import.test_the_curve_of_a_converted_cnn_is_reported"
    ),
    "_awkward": "test_bars_import.test_an_awkward_file_converts_or_is_refused_in_time_and_space",
}


def test_every_model_has_a_test_that_holds_its_bar(shared):
    models = {folder.name for folder in (shared / "models").iterdir() if folder.is_dir()}
    assert models == set(HELD_BY)
    for model, names in HELD_BY.items():
        for name in names.split():
            file, function = name.split(".")
            source = (TESTS / f"{file}.py").read_text(encoding="utf-8")
            (found,) = [d for d in ast.parse(source).body if isinstance(d, ast.FunctionDef) and d.name == function]
            assert "shared" in {a.arg for a in found.args.args}, name
            assert model in source, name


# -- netx_mnist ----------------------------------------------------------------------------------------------------


def coded(images, steps):
    """v += pixel / 255; a spike and v = 0 where v > 1. [N, 28, 28] -> [N, T, 784]."""
    pixels = images.reshape(len(images), -1) / 255.0
    v, spikes = np.zeros_like(pixels), np.zeros((len(images), steps, 784), np.int8)
    for t in range(steps):
        v += pixels
        spikes[:, t] = v > 1
        v[spikes[:, t] == 1] = 0
    return spikes


def stored(path):
    """The integers of a .net file, layer by layer."""
    h5py = pytest.importorskip("h5py")
    kept = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and item.dtype.kind in "iuf" and name.rsplit("/", 1)[-1] in READ:
            kept[name] = np.asarray(item[()]).ravel().tolist()

    with h5py.File(path) as handle:
        handle.visititems(visit)
    return kept


READ = {"weight", "bias", "delay", "iDecay", "vDecay", "vThMant", "inFeatures", "outFeatures"}
"""What the neurons and synapses compute with."""


def test_a_net_file_comes_through_the_door_and_out_again(shared, tmp_path):
    """.net -> chip network on a chip -> its saved file -> .net: not one integer changes."""
    folder = shared / "models" / "netx_mnist"
    path = folder / "trained_mnist_network.net"
    given = np.load(folder / "input.npz")
    made = sd.transfer(path, (coded(given["images"][:10], 8), given["labels"][:10]), chip="loihi2")
    assert made.ok
    (program,) = sd.save(made, tmp_path / "mnist")
    assert sd.export(program, "net", tmp_path / "again.net") == ()
    assert len(stored(path)) >= 9
    assert stored(tmp_path / "again.net") == stored(path)


def test_mnist_sample_of_the_net_file(shared):
    """All 200 recorded images through the product's door: the recorded counts, and with them the accuracy."""
    folder = shared / "models" / "netx_mnist"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    x = coded(given["images"], 32)
    made = sd.transfer(folder / "trained_mnist_network.net", (x, given["labels"]), chip="loihi2")
    counts = made.trace.outputs["dense2"][1:].sum(axis=0)
    np.testing.assert_array_equal(counts, expected["out_T32_latency"])
    assert made.verdict.fidelity.chip_accuracy == (expected["out_T32_latency"].argmax(axis=1) == given["labels"]).mean()


# -- sinabs_mnist_cnn ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_neurons_that_fire_several_times_a_step_reach_the_chip(shared, tmp_path):
    """Hidden layers and read-out count up to 2,513 spikes a step: programs with payloads, equal in onnxruntime bit for bit."""
    pytest.importorskip("onnxruntime")
    folder = shared / "models" / "sinabs_mnist_cnn"
    options = Options(
        source="sinabs",
        neuron={"1,4,7,11,12": "IAF(min_v_mem=-1.0)"},
        layer={"2,5,8": "AvgPool2d(2)"},
        input_shape=(1, 28, 28),
    )
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    spikes = np.unpackbits(given["spikes"])[: np.prod(given["shape"])].reshape(given["shape"])[:3].astype(np.float64)
    made = sd.convert(folder / "mnist_params.pt", (spikes, given["labels"][:3]), None, options, chip="loihi2")
    assert made.verdict.verdict == "exact"
    assert [type(p.model).__name__ for p in made.network.populations.values()] == ["HostInput", *["NeuronProgram"] * 5]
    counts = made.chip_trace.outputs["12.neuron"].sum(axis=0)
    np.testing.assert_array_equal(counts.argmax(axis=1), expected["out"][:3].argmax(axis=1))
    assert np.abs(counts - expected["out"][:3]).max() <= 2
    _, program = sd.save(made, tmp_path / "counting")
    sd.export(program, "onnx", tmp_path / "again.onnx")
    (pair,) = sd.verify(tmp_path / "again.onnx", (spikes[:1], given["labels"][:1]), against=("onnxruntime",)).pairs
    assert (pair.a, pair.different) == ("onnxruntime, integers", 0)
    assert pair.compared > 2_000_000


# -- onnx_mnist_cnn ------------------------------------------------------------------------------------------------


def test_the_curve_of_a_converted_cnn_is_reported(shared):
    """--relu if: the report holds the accuracy at 1, 2, 4, ... steps, beside the artificial network's own."""
    data = np.load(shared / "data" / "mnist_t10k.npz")
    x, y = data["x"][:20, None].astype(np.float64), data["y"][:20].astype(np.int64)
    made = sd.convert(shared / "models" / "onnx_mnist_cnn" / "mnist.onnx", (x, y), None, Options(relu="if", timesteps=8), chip="loihi2")
    rates = made.verdict.rates
    assert [p.steps for p in rates.points] == [1, 2, 4, 8]
    assert rates.original_accuracy >= 0.95
    assert rates.points[-1].accuracy >= rates.original_accuracy - 0.1


# -- _awkward ------------------------------------------------------------------------------------------------------

SECONDS, BYTES = 10, 1 << 30
OPTIONS = {
    "bootstrap_mnist.net": {},
    "neurobench_eeg_mi.pt": {},
    "neurobench_snn2.pt": {},
    "nir_lif_norse.nir": {"dt": 1e-4, "source": "norse"},
    "nir_lif_rockpool.nir": {"reset": "subtract", "source": "rockpool"},
    "nir_scalar_params.nir": {"reset": "zero"},
    "rockpool_braille.nir": {"reset": "zero"},
}
"""What each file does not say; the files that are not here have no meaning to convert."""
REASONS = {
    "nir_dangling_subgraph.nir": "names 'lif', and there is no such node",
    "nir_that_is_a_torch_zip.nir": "zip archive, as torch.save writes",
    "srnn_shd_zip.pth": "RNN_custom",
    "nir_lif_norse.nir": "no time step",
    "nir_lif_rockpool.nir": "--source rockpool --reset multi",
    "nir_scalar_params.nir": "tau_syn and tau_mem swapped",
    "rockpool_braille.nir": "--source snntorch --reset zero",
}
"""Why a file is refused as it is; the files that are not here convert with no option at all."""

CHILD = f"""
import gc, json, os, resource, sys
import h5py, numpy, torch
import converters
from converters.pt import rebuilding, reading, tracing
from snndeploy.errors import SnnError

def size():
    return int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()

for path, options in json.loads(sys.stdin.read()):
    ends = os.pipe()
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_CPU, ({SECONDS}, {SECONDS}))
        resource.setrlimit(resource.RLIMIT_AS, (size() + {BYTES}, size() + {BYTES}))
        try:
            noun = converters.load(path, converters.Options(**options))
            said = ["converts", type(noun).__name__]
        except SnnError as refusal:
            said = ["refused", str(refusal)]
        except BaseException as crash:
            said = ["crashes", repr(crash)]
        os.write(ends[1], json.dumps(said).encode())
        os._exit(0)
    os.close(ends[1])
    text = b"".join(iter(lambda: os.read(ends[0], 65536), b""))
    os.close(ends[0])
    _, status, used = os.wait4(child, 0)
    said = json.loads(text) if text else ["dies", "status %d" % status]
    print(json.dumps([*said, used.ru_utime + used.ru_stime, used.ru_maxrss << 10]))
"""


def loaded_apart(files):
    """Each file loaded in a process of its own, with at most 10 s of processor time and 1 GB beside what the libraries take.

    Gives (how it ended, what it said, seconds, resident bytes) a file. One process imports; each file gets a fork of it.
    """
    pytest.importorskip("torch")
    pytest.importorskip("h5py")
    asked = json.dumps([(str(path), options) for path, options in files])
    ran = subprocess.run([sys.executable, "-c", CHILD], input=asked, cwd=TESTS.parent, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and sets limits")
def test_an_awkward_file_converts_or_is_refused_in_time_and_space(shared):
    folder = shared / "models" / "_awkward"
    names = sorted(json.loads((folder / "index.json").read_text(encoding="utf-8")))
    assert set(names) == OPTIONS.keys() | REASONS.keys()
    asked = [(folder / name, {}) for name in names] + [(folder / name, options) for name, options in OPTIONS.items()]
    results = loaded_apart(asked)
    assert len(results) == len(asked)
    for (path, options), (ended, said, seconds, space) in zip(asked, results, strict=True):
        assert seconds < SECONDS, path.name
        assert space < BYTES, path.name
        if options or path.name not in REASONS:
            assert ended == "converts", (path.name, said)
        else:
            assert (ended, REASONS[path.name] in said) == ("refused", True), (path.name, said)
