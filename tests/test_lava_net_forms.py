"""Every layer, neuron and variant that a .net file can hold: against an independent model of Lava, or refused by name."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from converters import Options
from converters.lava_net import load, save
from converters.onnx import load_chip, to_bytes
from converters.onnx import save as save_onnx
from snndeploy.chip.network import ChipNetwork, Projection, Sparse
from snndeploy.errors import ModelError, OptionError, Unsupported
from snndeploy.sim.chip import run_chip

h5py = pytest.importorskip("h5py")

from net_files import CUBA, LOIHI, RF, SDNN, conv, dense, net  # noqa: E402 (behind importorskip)


def even(rng, *shape, size=60):
    return 2 * rng.integers(-size, size, shape)


# ------------------------------------------------------------------------------------------ against a model of Lava


@pytest.fixture
def lava(shared):
    """The shared arithmetic of Lava's process models: written apart from ours, held against Lava itself."""
    path = shared / "reference" / "lava_arithmetic.py"
    spec = importlib.util.spec_from_file_location("lava_arithmetic", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Block:
    """One layer as netx builds it: synapse, neuron, and the recurrent synapse."""

    def __init__(self, lava, layer, shape):
        self.lava, self.layer = lava, layer
        self.kind, self.graded = layer["type"], shape["graded"]
        self.synapse = self.rec = None
        messages = 16 if self.graded else 0
        if self.kind == "conv":
            weight = layer["weight"][:, :, ::-1, ::-1].transpose(0, 3, 2, 1)
            geometry = {key: tuple(int(n) for n in layer[key][::-1]) for key in ("stride", "padding", "dilation")}
            self.synapse = lava.Conv(weight, shape["in"], groups=layer["groups"], num_message_bits=messages, **geometry)
        if self.kind in ("dense", "dense_rec"):
            delay = layer.get("delay")
            self.synapse = lava.Dense(layer["weight"], num_message_bits=messages) if delay is None else self.delayed(messages, delay)
        if self.kind == "dense_rec":
            self.rec = lava.Dense(layer["weight_rec"])
        self.shape = tuple(layer["shape"])[::-1]
        self.neuron = self.made()

    def delayed(self, messages, delay):
        delay = np.asarray(delay)
        matrix = np.broadcast_to(
            delay.reshape(-1, 1) if delay.ndim == 1 and len(delay) == len(self.layer["weight"]) else delay, self.layer["weight"].shape
        )
        return self.lava.DelayDense(self.layer["weight"], matrix, num_message_bits=messages)

    def made(self):
        layer = self.layer
        bias = np.asarray(layer.get("bias", 0))
        if layer["neuron/type"] == "SDNN":
            made = self.lava.Delta if self.kind == "input" else self.lava.SigmaDelta
            more = {} if self.kind == "input" else {"bias": bias}
            return made(self.shape, layer["neuron/vThMant"], spike_exp=6, state_exp=6, **more)
        du, dv, vth = (np.asarray(layer[f"neuron/{key}"]) for key in ("iDecay", "vDecay", "vThMant"))
        return self.lava.LIF(self.shape, du=du - 1, dv=dv, vth=vth, bias_mant=bias, bias_exp=6)

    def step(self, values):
        if self.kind == "input":
            if self.layer["neuron/type"] == "SDNN":
                return self.neuron.step(values + np.asarray(self.layer.get("bias", 0)))
            constant = np.asarray(self.layer.get("bias", 0)) + values
            self.neuron.bias = constant << 6
            return self.neuron.step(np.zeros(self.shape, np.int64))
        current = self.synapse.step(values)
        if self.rec is not None:
            current = current + self.rec.buf
        sent = self.neuron.step(current)
        if self.rec is not None:
            self.rec.step(sent)
        return sent


def netx(lava, layers, x):
    """What every layer sends: the layers stepped as netx connects them. ``x`` [T, C, H, W] or [T, N] -> {name: [T, ...]}."""
    blocks, shape, graded = [], tuple(x.shape[1:])[::-1], layers[0]["neuron/type"] == "SDNN"
    for index, layer in enumerate(layers):
        if layer["type"] == "flatten":
            blocks.append((index, None))
            continue
        block = Block(lava, layer, {"in": shape, "graded": graded})
        shape, graded = block.shape, layer["neuron/type"] == "SDNN"
        blocks.append((index, block))
    sent = {f"{layer['type']}{i}": [] for i, layer in enumerate(layers) if layer["type"] != "flatten"}
    for frame in x:
        values = frame.transpose()
        for index, block in blocks:
            if block is None:
                values = values.transpose().ravel()
                continue
            values = block.step(values)
            sent[f"{layers[index]['type']}{index}"].append(np.asarray(values).transpose())
    return {name: np.array(values) for name, values in sent.items()}


def random_layers(rng):
    """A chain: perhaps an input layer and a convolution, then dense, recurrent or delayed layers."""
    sigma = bool(rng.integers(2))
    plain = SDNN if sigma else CUBA
    layers, size = [], 6
    if rng.integers(2):
        layers.append({"type": "input", "shape": [2, 5, 4], "weight": 1, "bias": int(rng.integers(-9, 40)), **plain})
    if layers:
        groups, stride, padding = int(rng.integers(1, 3)), rng.integers(1, 3, 2), rng.integers(0, 2, 2)
        out = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip((5, 4), padding, (3, 2), stride, strict=True)]
        bias = {"bias": rng.integers(-20, 20, 4)} if rng.integers(2) else {}
        decays = {} if sigma else {"neuron/iDecay": rng.integers(0, 4097, 4), "neuron/vThMant": rng.integers(9, 90, 4)}
        kernels = even(rng, 4, 2 // groups, 3, 2, size=30)
        layers.append(conv(kernels, [4, *out], plain, stride=stride, padding=padding, groups=groups, **bias) | decays)
        layers.append({"type": "flatten", "shape": [4 * out[0] * out[1], 1, 1]})
        size = 4 * out[0] * out[1]
    for _ in range(int(rng.integers(1, 4))):
        width = int(rng.integers(2, 7))
        form = rng.choice(["plain", "bias", "delay"] if sigma else ["plain", "bias", "rec", "delay", "vectors"])
        if form == "bias" and not (sigma or (layers and layers[0]["type"] == "input")):
            form = "plain"  # a layer with a bias behind spikes is cleared once, which netx leaves to its caller
        layer = dense(even(rng, width, size), plain)
        layer |= {"bias": {"bias": rng.integers(-30, 30, width)}, "delay": {"delay": rng.integers(0, 6, width)}}.get(form, {})
        if form == "rec":
            layer |= {"type": "dense_rec", "weight_rec": even(rng, width, width)}
        if form == "vectors":
            layer |= {"neuron/iDecay": rng.integers(0, 4097, width), "neuron/vDecay": rng.integers(0, 4097, width)}
        layers.append(layer)
        size = width
    return layers


@pytest.mark.parametrize("seed", range(60))
def test_random_networks_equal_lavas_arithmetic(lava, tmp_path, seed):
    rng = np.random.default_rng(seed)
    layers, steps = random_layers(rng), 14
    path = net(tmp_path / "random.net", layers, steps)
    network = load(path)
    shape = network.populations["input"].shape
    sigma = any(layer.get("neuron/type") == "SDNN" for layer in layers)
    x = rng.integers(-200, 200, (steps, *shape)) if sigma or len(shape) == 3 else rng.integers(0, 2, (steps, *shape))
    trace = run_chip(network, {"input": x[:, None]}, steps=steps)
    sent = netx(lava, layers, x)
    assert set(sent) == set(network.populations) - {"input"}
    for name, values in sent.items():
        np.testing.assert_array_equal(trace.outputs[name][:, 0], values, err_msg=name)
    save(network, tmp_path / "again.net")
    assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


@pytest.mark.parametrize("kind", ["RF_PHASE", "RF_IZ"])
def test_resonators_equal_lavas_arithmetic(lava, tmp_path, kind):
    rng = np.random.default_rng(7)
    real, imaginary = even(rng, 9, 12, size=100), even(rng, 9, 12, size=100)
    sin, cos = rng.integers(300, 2000, 9), rng.integers(2000, 3600, 9)
    layer = dense(real, RF | {"neuron/type": kind, "neuron/sinDecay": sin, "neuron/cosDecay": cos})
    layer |= {"weight/real": layer.pop("weight"), "weight/imag": imaginary}
    network = load(net(tmp_path / "rf.net", [layer], 200))
    x = rng.integers(0, 2, (200, 12))
    neuron = (lava.RF_IZ if kind == "RF_IZ" else lava.RF)((9,), 10, 0.1, state_exp=6, vth=20)
    neuron.sn, neuron.cs = sin, cos
    synapses = lava.Dense(real), lava.Dense(imaginary)
    sent = [neuron.step(*(s.step(frame) for s in synapses)) for frame in x]
    assert np.sum(sent) > 20
    for exact in (False, True):
        trace = run_chip(network, {"input": x[:, None]}, steps=200, exact=exact, states=True)
        np.testing.assert_array_equal(trace.outputs["dense0"][:, 0], sent)
    np.testing.assert_array_equal(trace.states["dense0.re"][-1, 0], neuron.re)
    save(network, tmp_path / "again.net")
    assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)
    save_onnx(network, tmp_path / "rf.onnx")
    assert to_bytes(load_chip(tmp_path / "rf.onnx")) == to_bytes(network)


# ---------------------------------------------------------------------------------------------------- layer by layer


def saved_again(network, folder, **how):
    """A network whose file had no input layer, from the file that has one: it must save as itself."""
    save(network, folder / "again.net", **how)
    again = load(folder / "again.net")
    save(again, folder / "thrice.net", **how)
    assert (folder / "thrice.net").read_bytes() == (folder / "again.net").read_bytes()
    return again


def spikes(rng, steps, *shape):
    return rng.integers(0, 2, (steps, 1, *shape))


def sums(network, x, name, steps):
    """What entered a layer read as sigma: its total after the run."""
    return run_chip(network, {"input": x}, steps=steps).outputs[name][-1, 0]


SIGMA = {"neuron/type": "SDNN", "neuron/vThMant": 0, "neuron/sigma_output": True}


def test_pooling_appends_side_modulo_kernel_lines_of_zeros(tmp_path):
    """lava-dl's rule, not the usual one: a side of 5 under a kernel of 3 gets 2 lines, one of 7 gets 1."""
    rng = np.random.default_rng(1)
    pool = {"type": "pool", "shape": [2, 2, 2], "weight": np.full((1, 1, 3, 3), 64), "kernelSize": [3, 3], "stride": [3, 3], **SIGMA}
    network = load(net(tmp_path / "pool.net", [pool], 1), Options(input_shape=(2, 5, 7)))
    x = rng.integers(-50, 50, (1, 1, 2, 5, 7))
    padded = np.pad(x[0, 0], ((0, 0), (0, 2), (0, 1)))[:, :6, :6]
    expected = 64 * padded.reshape(2, 2, 3, 2, 3).sum(axis=(2, 4))
    np.testing.assert_array_equal(sums(network, x, "pool0", 2), expected)
    again = saved_again(network, tmp_path)
    np.testing.assert_array_equal(sums(again, x, "pool1", 2), expected)
    with h5py.File(tmp_path / "again.net") as handle:
        assert [bytes(handle[f"layer/{i}/type"][0]) for i in (0, 1)] == [b"input", b"pool"]


def test_pooling_that_fits_is_saved_as_the_convolution_that_netx_reads(tmp_path):
    pool = {"type": "pool", "shape": [2, 2, 2], "weight": np.full((1, 1, 2, 2, 1), 64), "kernelSize": [2, 2], **CUBA}
    network = load(net(tmp_path / "pool.net", [pool], 1), Options(input_shape=(2, 4, 4)))
    assert network.projections[0].synapses.stride == (2, 2)
    save(network, tmp_path / "again.net")
    with h5py.File(tmp_path / "again.net") as handle:
        assert handle["layer/1/type"][0] == b"conv"
        assert handle["layer/1/groups"][()] == 2


def test_flatten_is_channels_rows_columns(tmp_path):
    """A conv that copies, then weights 1, 2, 4, ...: the order shows in the sum."""
    eye = np.zeros((2, 2, 1, 1))
    eye[0, 0] = eye[1, 1] = 64
    weights = 2 * np.arange(12).reshape(1, 12)
    layers = [conv(eye, [2, 3, 2], SDNN | {"neuron/vThMant": 0}), {"type": "flatten", "shape": [12, 1, 1]}, dense(weights, SIGMA)]
    network = load(net(tmp_path / "flat.net", layers, 1), Options(input_shape=(2, 3, 2)))
    x = np.arange(1, 13).reshape(1, 1, 2, 3, 2)
    assert sums(network, x, "dense2", 3).tolist() == [int((weights * x.ravel()).sum())]


def test_a_dense_delay_is_by_neuron_by_input_by_synapse_or_for_all(tmp_path):
    """A single spike arrives 1 + delay steps later."""
    weights = 2 * np.arange(1, 7).reshape(2, 3)
    forms = {
        "all": (5, np.full((2, 3), 5)),
        "neuron": ([1, 4], np.repeat([[1], [4]], 3, axis=1)),
        "input": ([0, 3, 2], np.repeat([[0, 3, 2]], 2, axis=0)),
        "synapse": (np.arange(6).reshape(2, 3), np.arange(6).reshape(2, 3)),
    }
    for form, (stored, delays) in forms.items():
        network = load(net(tmp_path / f"{form}.net", [dense(weights, {}, delay=np.asarray(stored, np.float32))], 9))
        for source in range(3):
            x = np.zeros((9, 1, 3), np.int64)
            x[0, 0, source] = 1
            v = run_chip(network, {"input": x}, steps=9).outputs["dense0"][:, 0]
            for target in range(2):
                expected = np.zeros(9)
                expected[1 + delays[target, source] :] = 64 * weights[target, source]
                np.testing.assert_array_equal(v[:, target], expected, err_msg=form)
        save(network, tmp_path / "again.net")
        assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


def test_a_convolutions_delay_is_by_channel(tmp_path):
    """netx drops it."""
    kernels = np.full((3, 1, 1, 1), 10)
    network = load(net(tmp_path / "late.net", [conv(kernels, [3, 1, 1], SIGMA, delay=[0, 2, 1])], 6), Options(input_shape=(1, 1, 1)))
    x = np.zeros((6, 1, 1, 1, 1), np.int64)
    x[0] = 1
    sent = run_chip(network, {"input": x}, steps=6).outputs["conv0"][:, 0, :, 0, 0]
    assert (sent != 0).argmax(axis=0).tolist() == [1, 3, 2]
    with pytest.raises(Unsupported, match="layer 1 \\(conv\\): delays of up to 2 steps, which netx drops"):
        save(network, tmp_path / "again.net")
    again = run_chip(saved_again(network, tmp_path, lossy=True), {"input": x}, steps=6)
    np.testing.assert_array_equal(again.outputs["conv1"][:, 0, :, 0, 0], sent)
    same = load(net(tmp_path / "late.net", [conv(kernels, [3, 1, 1], SIGMA, delay=4.0)], 6), Options(input_shape=(1, 1, 1)))
    assert [p.delay for p in same.projections] == [4]


def test_concat_joins_the_layer_before_and_the_listed_ones(tmp_path):
    """Trained without a step a layer, the shorter path waits; with it, it does not. The columns go where they belong."""
    rng = np.random.default_rng(3)
    a, b, joined = even(rng, 3, 4), even(rng, 2, 3), even(rng, 2, 5)
    for neuron, waits in ((LOIHI, 1), (CUBA, 0)):
        layers = [dense(a, neuron), dense(b, neuron), {"type": "concat", "shape": [5], "layers": [0]}, dense(joined, neuron)]
        network = load(net(tmp_path / "concat.net", layers, 20))
        into = {p.source: p for p in network.into("dense3")}
        np.testing.assert_array_equal(into["dense1"].synapses.weights, joined[:, :2])
        np.testing.assert_array_equal(into["dense0"].synapses.weights, joined[:, 2:])
        assert (into["dense1"].delay, into["dense0"].delay) == (0, waits)
        save(network, tmp_path / "again.net")
        assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


def test_concat_of_images_is_along_the_channels(tmp_path):
    rng = np.random.default_rng(4)
    first, second, third = even(rng, 2, 1, 1, 1), even(rng, 3, 2, 1, 1), even(rng, 2, 6, 1, 1)
    layers = [
        {"type": "input", "shape": [1, 2, 3]},
        conv(first, [2, 2, 3], SDNN),
        conv(second, [3, 2, 3], SDNN),
        {"type": "concat", "shape": [6, 2, 3], "layers": [1, 0]},
        conv(third, [2, 2, 3], SDNN),
        {"type": "flatten", "shape": [12, 1, 1]},
        dense(even(rng, 2, 12), SIGMA),
    ]
    network = load(net(tmp_path / "skips.net", layers, 5))
    assert [(p.source, p.synapses.weights.shape[1], p.delay) for p in network.into("conv4")] == [
        ("conv2", 3, 0),
        ("conv1", 2, 1),
        ("input", 1, 2),
    ]
    save(network, tmp_path / "again.net")
    assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


def test_a_skip_from_the_input_needs_an_input_layer(tmp_path):
    layers = [{"type": "input", "shape": [3]}, dense(even(np.random.default_rng(6), 2, 3), LOIHI)]
    layers += [{"type": "concat", "shape": [5], "layers": [0]}, dense(even(np.random.default_rng(7), 2, 5), LOIHI)]
    network = load(net(tmp_path / "skip.net", layers, 4))
    assert [(p.source, p.delay) for p in network.into("dense3")] == [("dense1", 0), ("input", 1)]
    save(network, tmp_path / "again.net")
    assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


def test_average_is_a_vote(tmp_path):
    layers = [dense(even(np.random.default_rng(5), 6, 3)), {"type": "average", "shape": [2, 1, 1]}]
    network = load(net(tmp_path / "vote.net", layers, 5))
    assert (network.readout.population, network.readout.decode, network.readout.vote) == ("dense0", "sum", 3)
    save(network, tmp_path / "again.net")
    assert load(tmp_path / "again.net").readout.vote == 3


def test_a_layer_without_neurons_sums_and_never_forgets(tmp_path):
    rng = np.random.default_rng(6)
    weights, x = even(rng, 3, 8), spikes(rng, 12, 8)
    network = load(net(tmp_path / "affine.net", [dense(weights, {})], 12))
    v = run_chip(network, {"input": x}).outputs["dense0"][:, 0]
    np.testing.assert_array_equal(v[1:], 64 * np.cumsum(x[:, 0] @ weights.T, axis=0))
    assert network.readout.decode == "last"


def test_a_threshold_of_18_bits_means_never(tmp_path):
    """What lava-dl writes for Affine: beyond the register, and read out."""
    network = load(net(tmp_path / "affine.net", [dense([[250]], CUBA | {"neuron/vThMant": (1 << 18) - 1, "neuron/vDecay": 0})], 900))
    trace = run_chip(network, {"input": np.ones((900, 1, 1), np.int64)})
    assert trace.activity["dense0"].spikes.sum() == 0
    assert trace.activity["dense0"].saturations >= 0
    assert network.populations["dense0"].reads == "v"
    save(network, tmp_path / "again.net")
    with h5py.File(tmp_path / "again.net") as handle:
        assert handle["layer/0/neuron/vThMant"][()] == (1 << 18) - 1


def test_biases_start_with_the_first_input(tmp_path):
    """LOIHI: layer l is cleared at step l + 1, so at its shift it runs as it would alone and without latency."""
    rng = np.random.default_rng(8)
    weights, bias = [even(rng, 5, 4), even(rng, 3, 5)], [rng.integers(10, 60, 5), rng.integers(10, 60, 3)]
    layers = [dense(w, LOIHI, bias=b) for w, b in zip(weights, bias, strict=True)]
    network = load(net(tmp_path / "biased.net", layers, 10))
    x = spikes(rng, 10, 4)
    trace = run_chip(network, {"input": x})
    values = x[:, 0]
    for index, (w, b) in enumerate(zip(weights, bias, strict=True)):
        u, v, sent = np.zeros(len(b), np.int64), np.zeros(len(b), np.int64), []
        for frame in values:
            u = np.sign(u) * (np.abs(u) * (4096 - 1024) >> 12) + 64 * (w @ frame)
            v = np.sign(v) * (np.abs(v) * (4096 - 128) >> 12) + u + 64 * b
            sent.append((v > 80 * 64).astype(int))
            v[sent[-1] == 1] = 0
        values = np.array(sent)
        shift = network.populations[f"dense{index}"].shift
        assert shift == index + 1
        np.testing.assert_array_equal(trace.outputs[f"dense{index}"][shift : shift + 10, 0], values)
    assert values.sum() > 3
    save(network, tmp_path / "again.net")
    assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


def test_a_recurrent_layer_with_a_bias_is_cleared_before_it_can_fire(tmp_path):
    """CUBA behind spikes: the first input arrives at step 2, and a bias below the threshold has sent nothing till then."""
    rng = np.random.default_rng(9)
    layer = dense(even(rng, 4, 3), CUBA, bias=[70, 80, 20, 5]) | {"type": "dense_rec", "weight_rec": even(rng, 4, 4)}
    network = load(net(tmp_path / "rec.net", [layer], 10))
    model = network.populations["dense_rec0"].model
    assert (model.reset_interval, model.reset_offset) == (10, 2)
    with pytest.raises(Unsupported, match="fires before the first input"):
        load(net(tmp_path / "rec.net", [layer | {"bias": [81, 0, 0, 0]}], 10))


def test_an_analog_input_scales_threshold_and_bias(tmp_path):
    path = net(tmp_path / "analog.net", [dense(even(np.random.default_rng(2), 3, 4), CUBA, bias=[1, 2, 3])], 8)
    network = load(path, Options(input_unit=0.25))
    model = network.populations["dense0"].model
    assert int(model.vth) == 320
    assert model.bias_mant.tolist() == [4, 8, 12]
    assert network.projections[0].graded
    with pytest.raises(ModelError, match="whole multiple"):
        load(path, Options(input_unit=0.3))
    with pytest.raises(OptionError, match="input-unit"):
        Options(input_unit=0.0)
    with pytest.raises(Unsupported, match="payloads"):
        save(network, tmp_path / "again.net")


VARIANTS = {
    "type as a scalar of bytes": {"type": np.bytes_(b"dense")},
    "type as an array": {"type": np.array([b"dense"], "S10")},
    "gradedSpike without data": {"neuron/gradedSpike": h5py.Empty("i1")},
    "no neuron type": {"neuron/type": None},
    "shape with three axes": {"shape": [3, 1, 1]},
    "weights with trailing axes": {"weight": np.arange(0, 24, 2).reshape(3, 4, 1, 1, 1)},
    "flat weights of bytes": {"weight": np.arange(0, 24, 2).astype(np.int8).ravel()},
    "bias of one": {"bias": np.zeros(1)},
    "delay of nothing": {"delay": np.zeros(3, np.float32)},
    "registers as arrays of one": {"neuron/vThMant": np.array([80]), "neuron/vDecay": np.array([128.0])},
    "refractory delay of one": {"neuron/refDelay": 1, "neuron/wgtExp": 0, "neuron/tauRho": 0.5, "inFeatures": 4},
}


@pytest.mark.parametrize("change", VARIANTS.values(), ids=VARIANTS)
def test_variants_mean_the_same(tmp_path, change):
    plain = dense(np.arange(0, 24, 2).reshape(3, 4))
    changed = {key: value for key, value in (plain | change).items() if value is not None}
    assert to_bytes(load(net(tmp_path / "b.net", [changed], 4))) == to_bytes(load(net(tmp_path / "a.net", [plain], 4)))


def test_registers_by_neuron_are_in_lavas_order(tmp_path):
    """(W, H, C) in the file, (C, H, W) here."""
    bias = np.arange(12).reshape(2, 3, 2)  # W, H, C
    layers = [{"type": "input", "shape": [1, 3, 2], "weight": 1, **CUBA}, conv(np.full((2, 1, 1, 1), 4), [2, 3, 2], bias=bias)]
    network = load(net(tmp_path / "whc.net", layers, 4))
    np.testing.assert_array_equal(network.populations["conv1"].model.bias_mant, bias.transpose(2, 1, 0))
    save(network, tmp_path / "again.net")
    assert to_bytes(load(tmp_path / "again.net")) == to_bytes(network)


def test_a_skip_longer_than_a_synapse_can_wait_is_refused(tmp_path):
    chain = [dense([[2]], LOIHI) for _ in range(65)]
    joined = [{"type": "concat", "shape": [2], "layers": [0]}, dense([[2, 2]], LOIHI)]
    with pytest.raises(Unsupported, match="64 steps"):
        load(net(tmp_path / "long.net", [*chain, *joined], 4))


def test_delayed_single_synapses_become_a_delayed_matrix(tmp_path):
    plain = load(net(tmp_path / "plain.net", [dense([[0, 4], [6, 0]])], 8))
    sparse = Projection("s", "input", "dense0", Sparse([0, 1], [1, 0], [4, 6], [0, 3]))
    network = ChipNetwork("loihi2", plain.populations, (sparse,), plain.readout, 8)
    save(network, tmp_path / "late.net")
    x = spikes(np.random.default_rng(0), 8, 2)
    late = run_chip(load(tmp_path / "late.net"), {"input": x}, states=True)
    np.testing.assert_array_equal(late.states["dense0.v"], run_chip(network, {"input": x}, states=True).states["dense0.v"])
