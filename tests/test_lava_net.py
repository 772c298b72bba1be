"""lava-dl's .net files: Intel's ground truths bit for bit, the same integers out again, and files that are broken."""

from __future__ import annotations

import numpy as np
import pytest

import converters
from converters import Options
from converters.onnx import to_bytes
from snndeploy import deploy
from snndeploy.data import Samples
from snndeploy.errors import OptionError
from snndeploy.flow.feeding import chip_predictions
from snndeploy.report import to_text
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject

h5py = pytest.importorskip("h5py")

from net_files import SIGMA, net  # noqa: E402 (behind importorskip)


def unpacked(arrays, name, shape):
    """A packed spike train of Intel's, (X, Y, C, T) -> [T, C, Y, X]."""
    size = int(np.prod(arrays[shape]))
    return np.unpackbits(arrays[name])[:size].reshape(arrays[shape]).transpose(3, 2, 1, 0)


def ours(trace, name):
    """What the only sample's population sent: [T, *shape]."""
    return trace.outputs[name][:, 0]


def test_pilotnet_lif_equals_intels_recording(shared):
    """Spikes of nine layers, u and v of seven, every step: resets at step l and l + 17, as the recording was made."""
    folder = shared / "models" / "netx_pilotnet_lif"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    network = converters.load(folder / "network.net", Options(timesteps=17))
    image = given["image"].transpose(2, 1, 0).astype(np.int64) - 36  # the layer's own bias, which the recording's image holds
    trace = run_chip(network, {"input": np.broadcast_to(image, (24, 1, *image.shape))}, steps=24, states=True)
    different = np.count_nonzero(ours(trace, "input0") != unpacked(given, "input_spikes", "input_shape"))
    for k in range(5):
        different += np.count_nonzero(ours(trace, f"conv{k + 1}") != unpacked(expected, f"conv{k}_s", f"conv{k}_shape"))
    for k in range(3):
        different += np.count_nonzero(ours(trace, f"dense{k + 7}") != expected[f"fc{k}_s"].T)
    names = {"conv1": "conv2", "conv2": "conv3", "conv3": "conv4", "conv4": "conv5", "fc0": "dense7", "fc1": "dense8", "fc2": "dense9"}
    for theirs, name in names.items():
        fired = ours(trace, name)
        for word in ("u", "v"):
            key = f"{theirs}_{word}" if f"{theirs}_{word}" in expected else f"{theirs}_{word}_first6"
            recorded = expected[key].transpose()
            state = trace.states[f"{name}.{word}"][:, 0]
            state = np.where(fired, 128, state) if word == "v" else state  # the recording shows 128 on the step of a spike
            different += np.count_nonzero(state[: len(recorded)] != recorded)
    assert different == 0


def test_tinynet_equals_intels_recording(shared):
    """Without latency between the layers: each layer is compared at its own shift, where its reset started it afresh."""
    folder = shared / "models" / "netx_tinynet"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    network = converters.load(folder / "tiny.net", Options(timesteps=15))
    image = given["input_bias"].transpose(2, 1, 0).astype(np.int64) - 34
    trace = run_chip(network, {"input": np.broadcast_to(image, (15, 1, *image.shape))})
    recorded = {"input0": given["input_spikes"], "conv1": expected["layer1"], "conv2": expected["output"]}
    for name, spikes in recorded.items():
        shift = network.populations[name].shift
        np.testing.assert_array_equal(ours(trace, name)[shift : shift + 15], spikes[0].transpose(3, 0, 1, 2)[1:])


def test_pilotnet_sdnn_equals_intels_recording(shared):
    folder = shared / "models" / "netx_pilotnet_sdnn"
    frame = np.load(folder / "input.npz")["input"][..., 0].transpose(2, 1, 0)
    network = converters.load(folder / "network.net")
    trace = run_chip(network, {"input": np.broadcast_to(frame, (9, 1, *frame.shape))}, steps=9)
    np.testing.assert_array_equal(ours(trace, "dense9").T, np.load(folder / "expected.npz")["output"])


def coded(images, steps):
    """The tutorial's input: v += pixel / 255; a spike and v = 0 where v > 1. [N, 28, 28] -> [T, N, 784]."""
    pixels = images.reshape(len(images), -1) / 255.0
    v, spikes = np.zeros_like(pixels), np.zeros((steps, *pixels.shape), np.int8)
    for t in range(steps):
        v += pixels
        spikes[t] = v > 1
        v[spikes[t] == 1] = 0
    return spikes


@pytest.mark.parametrize("steps", [20, 32])
def test_mnist_equals_the_expected_spikes(shared, steps):
    """Read as trained without a step a layer the counts of 200 images are the file's, and with it those with latency."""
    folder = shared / "models" / "netx_mnist"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    x = {"input": coded(given["images"], steps)}
    flushed = converters.load(folder / "trained_mnist_network.net", Options(timesteps=steps, source="bootstrap"))
    trace = run_chip(flushed, x)
    np.testing.assert_array_equal(trace.outputs["dense2"][3:].sum(axis=0), expected[f"out_T{steps}"])
    if steps == 32:
        for layer in (0, 1):
            counts = trace.outputs[f"dense{layer}"][layer + 1 : layer + 1 + steps].sum(axis=(0, 2))
            np.testing.assert_array_equal(counts, expected[f"l{layer}_T32"])
        trained = converters.load(folder / "trained_mnist_network.net", Options(timesteps=steps))
        np.testing.assert_array_equal(run_chip(trained, x).outputs["dense2"][1:].sum(axis=0), expected["out_T32_latency"])


@pytest.mark.slow
def test_mnist_accuracy_on_ten_thousand_images(shared):
    data = np.load(shared / "data" / "mnist_t10k.npz")
    path = shared / "models" / "netx_mnist" / "trained_mnist_network.net"
    x = {"input": coded(data["x"], 32)}
    right = []
    for source in ("slayer", "bootstrap"):
        network = converters.load(path, Options(timesteps=32, source=source))
        trace = run_chip(network, x, record=["dense2"], batch=1000)
        right.append(int((chip_predictions(network, trace) == data["y"]).sum()))
    assert right == [9524, 9523]


def test_iris_equals_slayer(shared):
    """Analog inputs in tenths: every spike is slayer's, and 143 of 150 are right."""
    folder = shared / "models" / "netx_iris"
    given, expected = np.load(folder / "input.npz"), np.load(folder / "expected.npz")
    network = converters.load(folder / "network.net", Options(timesteps=8, input_unit=0.1))
    x = inject(network, {"input": np.broadcast_to(given["x"], (8, 150, 4)).astype(np.float64)})
    trace = run_chip(network, x)
    for name, key in (("dense0", "hidden"), ("dense1", "out")):
        np.testing.assert_array_equal(trace.outputs[name][:8].transpose(1, 2, 0), expected[key])
    assert (trace.outputs["dense1"][:8].sum(axis=0).argmax(axis=1) == given["y"]).sum() == 143
    assert (chip_predictions(network, trace) == given["y"]).sum() == 143


@pytest.mark.parametrize("case", [0, 1, 3, 5])
def test_convolutions_equal_intels_ground_truth(shared, tmp_path, case):
    """Kernels with two different sides, strides, paddings, dilations and groups: what enters the neurons is Intel's result.

    The inputs are numbers in 0..1, so 18-bit integers of them leave a rounding of less than 1/2 unit a weight.
    """
    truth = np.load(shared / "models" / "lava_conv_ground_truth" / f"gt_conv_paris_{case}.npz")
    kernels = truth["weights"].transpose(0, 3, 2, 1)[:, :, ::-1, ::-1]  # netx: flip, then (O, kx, ky, I)
    shape = truth["out_gt"].transpose(2, 1, 0).shape
    geometry = {key: truth[key][::-1] for key in ("stride", "padding", "dilation")}
    layer = {"type": "conv", "shape": shape, "weight": kernels, "groups": truth["groups"], **geometry, **SIGMA}
    x = truth["input"].transpose(2, 1, 0)
    network = converters.load(net(tmp_path / "conv.net", [layer]), Options(timesteps=1, input_shape=x.shape))
    unit = 1 << 12
    bound = np.abs(kernels).reshape(len(kernels), -1).sum(axis=1).max() / (2 * unit) + 1e-3
    trace = run_chip(network, {"input": np.round(x * unit).astype(np.int64)[None, None]})
    sums = trace.outputs["conv0"][-1, 0] / unit
    assert np.abs(sums - truth["out_gt"].transpose(2, 1, 0)).max() < bound < 1


def stored(path):
    """Every number that a file holds, by its path, but for what neither netx nor slayer reads back."""
    kept = {}

    def visit(name, item):
        if isinstance(item, h5py.Dataset) and name.rsplit("/", 1)[-1] not in UNREAD:
            kept[name] = np.asarray(item[()]).ravel().tolist()

    with h5py.File(path) as handle:
        handle.visititems(visit)
    return {name: values for name, values in kept.items() if not (name.endswith("bias") and not any(values))}


MODELS = {
    "netx_iris/network.net": None,
    "netx_mnist/trained_mnist_network.net": None,
    "netx_pilotnet_lif/network.net": None,
    "netx_pilotnet_sdnn/network.net": None,
    "netx_tinynet/tiny.net": None,
    "_awkward/bootstrap_mnist.net": None,
}
UNREAD = {"scaleRho", "tauRho", "theta", "wgtExp", "shape"}
"""Training's constants, the weight exponent (0 wherever the file is read), and shapes (stored as (100,) or (100, 1, 1))."""


@pytest.mark.parametrize("model", MODELS)
def test_files_come_back_as_the_same_integers(shared, tmp_path, model):
    network = converters.load(shared / "models" / model)
    converters.save(network, tmp_path / "again.net")
    assert stored(tmp_path / "again.net") == stored(shared / "models" / model)
    again = converters.load(tmp_path / "again.net")
    assert to_bytes(again) == to_bytes(network)
    converters.save(network, tmp_path / "thrice.net")
    assert (tmp_path / "thrice.net").read_bytes() == (tmp_path / "again.net").read_bytes()


def test_registers_are_the_files(shared):
    """du = iDecay - 1, dv = vDecay, vth = vThMant, bias exponent 6, weights as stored."""
    path = shared / "models" / "netx_tinynet" / "tiny.net"
    network = converters.load(path)
    with h5py.File(path) as handle:
        layer = handle["layer/1"]
        model = network.populations["conv1"].model
        assert (int(model.du), int(model.dv), int(model.vth)) == (4095, 1024, 25)
        np.testing.assert_array_equal(model.bias_mant.ravel(), layer["bias"][()])
        assert int(model.bias_exp) == 6
        np.testing.assert_array_equal(network.projections[1].synapses.weights, layer["weight"][..., 0])
    assert network.steps == 64


def test_a_file_runs_from_the_page(shared):
    """bootstrap_mnist: still images set the input layer's bias (weight 76, bias 64), and its last layer is only read."""
    data = np.load(shared / "data" / "mnist_t10k.npz")
    images, labels = data["x"][:200], data["y"][:200].astype(np.int64)
    samples = Samples({"": 2 * images.reshape(200, 784) / 255.0 - 1}, labels)
    ran = deploy.run(shared / "models" / "_awkward" / "bootstrap_mnist.net", samples)
    assert ran.noun.populations["dense3"].reads == "v"
    assert ran.accuracy >= 0.98


def test_steps_come_from_the_data_where_the_file_is_silent(shared):
    given = np.load(shared / "models" / "netx_mnist" / "input.npz")
    spikes = np.moveaxis(coded(given["images"], 32), 0, 1)
    path = shared / "models" / "netx_mnist" / "trained_mnist_network.net"
    ran = deploy.run(path, Samples({"": spikes}, given["labels"].astype(np.int64)))
    assert ran.noun.steps == 32
    assert ran.accuracy == (ran.predictions == given["labels"]).mean() > 0.9
    verdict = deploy.verify(path, Samples({"": spikes}), against=("chip",))
    assert verdict.pairs[0].different == 0
    with pytest.raises(OptionError, match="timesteps"):
        deploy.run(path, Samples({"": spikes[:, 0]}))


def test_the_report_prices_a_file(shared):
    given = np.load(shared / "models" / "netx_mnist" / "input.npz")
    spikes = np.moveaxis(coded(given["images"][:20], 8), 0, 1)
    made = deploy.report(shared / "models" / "netx_mnist" / "trained_mnist_network.net", Samples({"": spikes}))
    assert "dense2" in to_text(made)
