"""Artificial networks as spiking ones: what a rate is, what the rewriting keeps exactly, and the bar on a foreign CNN."""

from __future__ import annotations

import itertools
import json

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper, numpy_helper

import converters
import snndeploy as sd
from snndeploy.arrays import frozen
from snndeploy.cli.commands import commands
from snndeploy.data import Samples
from snndeploy.errors import OptionError, Unsupported
from snndeploy.flow.feeding import Feed
from snndeploy.flow.rates import asked, curve, spiking
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Conv, Input, Linear, MaxPool, Output, Reshape
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.rectifier import Relu
from snndeploy.passes import rates
from snndeploy.sim.reference import run_reference

STEPS = 16


def chain(**nodes):
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def run_on(x):
    def run(graph, names):
        return {n: v[0] for n, v in run_reference(graph, {"x": x[None]}, 1, record=names).outputs.items()}

    return run


def summed(graph, x, steps=STEPS):
    return run_reference(graph, {"x": x[None] if steps == 1 else np.repeat(x[None], steps, 0)}, steps).outputs["y"].cumsum(axis=0)


@given(x=st.floats(-2, 3), steps=st.integers(1, 40))
def test_a_neuron_fires_as_its_docstring_says(x, steps):
    """clip(floor(T x / u + 1/2), 0, T) spikes of the value u, for u = 1."""
    graph = chain(x=Input((1,)), r=Relu(frozen(1.0)), y=Output("sum"))
    balanced = rates.apply(graph, run_on(np.ones((4, 1))))
    x = round(x * 64) / 64  # a grid on which float sums are exact
    got = run_reference(balanced.graph, {"x": np.full((steps, 1, 1), x)}, steps).outputs["y"].sum()
    assert got == np.clip(np.floor(steps * x + 0.5), 0, steps)


def test_maxima_written_with_rectifiers_are_the_same_numbers():
    rng = np.random.default_rng(0)
    for kernel, stride, padding in (
        ((2, 2), (2, 2), ((0, 0), (0, 0))),
        ((3, 3), (2, 1), ((1, 1), (0, 1))),
        ((3, 1), (1, 1), ((0, 0), (0, 0))),
    ):
        first = {"r": Relu()} if any(map(any, padding)) else {}
        graph = chain(x=Input((3, 7, 6)), **first, p=MaxPool(kernel, stride, padding), y=Output("sum"))
        x = rng.integers(-16, 17, (4, 3, 7, 6)) / 8.0
        written, compared = rates.without_maxima(graph)
        assert not written.named(MaxPool)
        assert len(compared) == kernel[0] * kernel[1] - 1
        np.testing.assert_array_equal(summed(written, x, 1), summed(graph, x, 1))


def test_a_padded_maximum_of_negative_values_is_refused():
    graph = chain(
        x=Input((1, 4, 4)), p=MaxPool((2, 2), (2, 2), ((1, 1), (1, 1))), c=Reshape(), l=Linear(np.ones((1, 9))), r=Relu(), y=Output()
    )
    with pytest.raises(Unsupported, match="padded maximum"):
        rates.apply(graph, run_on(np.ones((2, 1, 4, 4))))


def test_a_rectifier_behind_a_maximum_is_moved_before_it():
    graph = chain(x=Input((2, 4, 4)), p=MaxPool((2, 2), (2, 2), ((0, 0), (0, 0))), r=Relu(frozen(1.0)), y=Output("sum"))
    x = np.random.default_rng(1).normal(size=(5, 2, 4, 4))
    moved = rates.rectified_first(graph)
    assert Edge("x", "r") in moved.edges
    np.testing.assert_array_equal(summed(moved, x, 1), summed(graph, x, 1))


def test_a_window_of_constant_rates_gives_the_count_of_its_maximum():
    """Counts, not rates of "any spike": four neurons of one rate and four phases would else fire four times as often."""
    graph = chain(x=Input((1, 2, 2)), r=Relu(frozen(1.0)), p=MaxPool((2, 2), (2, 2), ((0, 0), (0, 0))), y=Output("sum"))
    for seed in range(20):
        x = np.random.default_rng(seed).integers(0, 64, (6, 1, 2, 2)) / 64
        balanced = rates.apply(graph, run_on(np.ones((4, 1, 2, 2))))
        wanted = np.clip(np.floor(STEPS * x + 0.5), 0, STEPS).max(axis=(1, 2, 3))
        got = summed(balanced.graph, x)[-1].reshape(-1)
        assert (got >= wanted).all()
        assert (got <= wanted + 2).all()  # one a comparison, of which there are two in a row


def test_branches_of_a_residual_keep_their_own_scales():
    """Both branches' rates add up to the rectifier of the sum, although one is a hundred times as strong."""
    rng = np.random.default_rng(2)
    nodes = {
        "x": Input((4,)),
        "a": Linear(rng.normal(size=(6, 4)) * 100),
        "ra": Relu(),
        "b": Linear(rng.normal(size=(6, 6)) / 100),
        "rb": Relu(),
    }
    nodes |= {"y": Output("mean")}
    edges = [("x", "a"), ("a", "ra"), ("ra", "b"), ("b", "rb"), ("ra", "rb"), ("rb", "y")]
    graph = Graph(nodes, tuple(Edge(*e) for e in edges))
    x = rng.normal(size=(64, 4))
    exact = summed(graph, x, 1)[0]
    balanced = rates.apply(graph, run_on(x))
    errors = [np.abs(summed(balanced.graph, x, t)[-1] / t - exact).mean() / exact.mean() for t in (16, 64, 256)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.01


def test_units_stay_within_the_layer_and_the_ceiling():
    graph = chain(x=Input((3, 2, 2)), r=Relu(frozen(6.0)), y=Output("sum"))
    x = np.ones((4, 3, 2, 2)) * np.asarray([100.0, 1.0, 0.0]).reshape(3, 1, 1)
    unit = rates.apply(graph, run_on(x)).units["r"]
    assert unit.ravel().tolist() == [6.0, 1.0, 6.0 * rates.LEAST]


def test_a_layer_that_is_silent_on_the_calibration_data_still_has_a_unit():
    balanced = rates.apply(chain(x=Input((3,)), r=Relu(), y=Output("sum")), run_on(-np.ones((4, 3))))
    assert (balanced.units["r"] > 0).all()


def test_rectifiers_among_spiking_neurons_are_refused():
    graph = chain(x=Input((3,)), r=Relu(), n=LIF(frozen(0.5)), y=Output("sum"))
    with pytest.raises(Unsupported, match="a rate has no meaning inside a spiking network"):
        rates.apply(graph, run_on(np.ones((2, 3))))


def test_a_rectifier_needs_to_be_asked_for():
    loaded = converters.Loaded(chain(x=Input((3,)), r=Relu(), y=Output("sum")))
    with pytest.raises(Unsupported, match="--relu if"):
        asked(loaded, None)
    with pytest.raises(OptionError, match="did you mean if"):
        asked(loaded, "lif")
    assert asked(loaded, "if") is loaded
    plain = converters.Loaded(chain(x=Input((3,)), n=LIF(frozen(0.5)), y=Output("sum")))
    assert asked(plain, None) is plain


def test_the_curve_without_labels_and_of_a_spiking_network():
    graph = chain(x=Input((3,), static=True), l=Linear(np.eye(3)), r=Relu(), y=Output("sum"))
    data = Feed({"x": np.random.default_rng(3).random((1, 9, 3))}, None, 5)
    made, notes = spiking(graph, data)
    assert "--relu if" in notes[0]
    found = curve(graph, made, run_reference(made, data.inputs, 5), data)
    assert [p.steps for p in found.points] == [1, 2, 4, 5]
    assert found.original_accuracy is None
    assert all(p.accuracy is None for p in found.points)
    assert spiking(made, data) == (made, ())
    assert curve(made, made, run_reference(made, data.inputs, 5), data) is None


# ------------------------------------------------------------------------------------------------------- the bar


def mnist(shared, count, start=0):
    data = np.load(shared / "data" / "mnist_t10k.npz")
    return data["x"][start : start + count, None].astype(np.float64), data["y"][start : start + count].astype(np.int64)


def accuracies(shared, x, y, steps, calibration):
    loaded = converters.load(shared / "models" / "onnx_mnist_cnn" / "mnist.onnx", sd.Options(relu="if"))
    graph, _ = spiking(loaded.graph, Feed({"input": calibration[None]}, None, 1))
    right, own = [], []
    for part, labels in zip(np.array_split(x, len(x) // 100), np.array_split(y, len(y) // 100), strict=True):
        trace = run_reference(graph, {"input": np.repeat(part[None], steps, 0)}, steps, record=["output"])
        right.append(trace.outputs["output"].cumsum(axis=0).argmax(axis=-1) == labels)
        own.append(run_reference(loaded.graph, {"input": part[None]}, 1, record=["output"]).outputs["output"][0].argmax(-1) == labels)
    return np.concatenate(own).mean(), np.concatenate(right, axis=1).mean(axis=1)


def test_the_foreign_cnn_gives_its_own_logits(shared):
    folder = shared / "models" / "onnx_mnist_cnn"
    loaded = converters.load(folder / "mnist.onnx", sd.Options(relu="if"))
    images = np.load(folder / "input.npz")["images"][:, None].astype(np.float64)
    logits = run_reference(loaded.graph, {"input": images[None]}, 1).outputs["output"][0]
    np.testing.assert_allclose(logits, np.load(folder / "expected.npz")["logits"], atol=5e-3)  # of logits up to 2,000, in float32


def test_the_foreign_cnn_at_32_steps(shared):
    calibration, _ = mnist(shared, 128, 9000)
    x, y = mnist(shared, 100)
    own, converted = accuracies(shared, x, y, 32, calibration)
    assert converted[-1] >= own - 0.01
    assert converted[7] >= own - 0.02


@pytest.mark.slow
@pytest.mark.whole
def test_the_foreign_cnn_on_all_images(shared):
    calibration, _ = mnist(shared, 128)
    own, converted = accuracies(shared, *mnist(shared, 10_000), 32, calibration)
    assert round(own, 4) == 0.9826
    assert converted[-1] >= 0.978


def small_cnn(rng):
    weights = {"w": rng.normal(size=(2, 1, 3, 3)), "v": rng.normal(size=(3, 18))}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("MaxPool", ["r"], ["p"], name="pool", kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p"], ["f"], name="flat"),
        helper.make_node("Gemm", ["f", "v"], ["y"], name="fc", transB=1),
    ]
    ends = [helper.make_tensor_value_info(n, 1, s) for n, s in (("image", ["N", 1, 6, 6]), ("y", ["N", 3]))]
    arrays = [numpy_helper.from_array(w.astype(np.float32), n) for n, w in weights.items()]
    return helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:], arrays), opset_imports=[helper.make_opsetid("", 17)])


def test_convert_from_the_command_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(5)
    np.savez("data.npz", x=rng.integers(0, 256, (12, 1, 6, 6)).astype(np.uint8), y=rng.integers(0, 3, 12))
    model = "net.onnx"
    onnx.save(small_cnn(rng), model)
    common = [model, "--data", "data.npz", "--timesteps", "8"]
    refused = CliRunner().invoke(commands, ["convert", *common])
    assert refused.exit_code == 2
    assert "--relu if" in refused.stderr
    done = CliRunner().invoke(commands, ["convert", *common, "--relu", "if", "--json", "--max-drop", "100"])
    found = json.loads(done.stdout)
    assert found["verdict"] == "exact"  # of what is claimed to be: the conversion itself is not
    assert [p["steps"] for p in found["rates"]["curve"]] == [1, 2, 4, 8]
    assert found["rates"]["original_accuracy"] == found["fidelity"]["float_accuracy"]
    assert CliRunner().invoke(commands, ["check", *common, "--relu", "if"]).exit_code == 0
    graph = CliRunner().invoke(commands, ["convert", *common, "--relu", "if", "--chip", "none", "-o", "only"])
    assert "only.graph.onnx" in graph.stdout
    ran = CliRunner().invoke(commands, ["run", "only.graph.onnx", "--data", "data.npz", "--json"])
    assert json.loads(ran.stdout)["accuracy"] == found["rates"]["curve"][-1]["accuracy"]
    needs = CliRunner().invoke(commands, ["convert", model, "--relu", "if", "--chip", "none", "-o", "only"])
    assert "--data" in needs.stderr


def test_the_curve_is_printed():
    rng = np.random.default_rng(4)
    nodes = {
        "x": Input((1, 6, 6)),
        "c": Conv(rng.normal(size=(2, 1, 3, 3))),
        "r": Relu(),
        "f": Reshape(),
        "l": Linear(rng.normal(size=(3, 32))),
    }
    loaded = converters.Loaded(chain(**nodes, y=Output("sum")), steps=4)
    samples = Samples({"": rng.random((20, 1, 6, 6))}, rng.integers(0, 3, 20))
    deployment = sd.convert(loaded, samples, options=sd.Options(relu="if"), timesteps=4)
    text = sd.to_text(sd.report(deployment))
    assert "Accuracy against T" in text
    assert "with loss, not exact" in text
    assert deployment.verdict.rates.points[-1].steps == 4


# --------------------------------------------------------------------------------------------------------- torch


def test_torch_rectifiers_are_converted_on_request():
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.six = torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU6()
            self.one, self.two = torch.nn.Linear(12, 8), torch.nn.Linear(8, 4)
            self.inplace = torch.nn.ReLU(inplace=True)

        def forward(self, x):
            x = functional.max_pool2d(self.six(self.conv(x)), 2).flatten(1)
            return self.two(self.inplace(functional.relu(self.one(x))))

    torch.manual_seed(0)
    net = Net().eval()
    x = torch.rand(24, 1, 6, 6)
    with pytest.raises(Unsupported, match="--relu if"):
        sd.load(net, x[:2])
    loaded = sd.load(net, x[:2], sd.Options(relu="if"))
    assert [n.ceiling is None for n in loaded.graph.named(Relu).values()] == [False, True, True]
    deployment = sd.convert(net, (x, net(x).argmax(1)), options=sd.Options(relu="if"), timesteps=64)
    assert deployment.verdict.rates.original_accuracy == 1.0
    assert deployment.verdict.rates.points[-1].agreement >= 0.8
    assert next(p for p in deployment.verdict.pairs if p.a == "original model").equal


def test_clipped_rectifiers_in_a_file_with_the_code_that_makes_the_module(tmp_path):
    torch = pytest.importorskip("torch")
    code = tmp_path / "six.py"
    code.write_text(
        "import torch\ndef net():\n    return torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU6(), torch.nn.Linear(8, 3))\n"
    )
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.ReLU6(), torch.nn.Linear(8, 3)).eval()
    torch.save(net.state_dict(), tmp_path / "six.pt")
    x = torch.rand(24, 6) * 20
    options = sd.Options(arch=f"{code}:net()", relu="if", input_shape=(6,))
    loaded = sd.load(str(tmp_path / "six.pt"), x[:2], options)
    (ceiling,) = (float(n.ceiling) for n in loaded.graph.named(Relu).values())
    assert ceiling == 6.0
    with pytest.raises(Unsupported, match="--relu if"):
        sd.load(str(tmp_path / "six.pt"), x[:2], sd.Options(arch=f"{code}:net()", input_shape=(6,)))
    deployment = sd.convert(str(tmp_path / "six.pt"), (x, net(x).argmax(1)), options=options, timesteps=64)
    assert deployment.verdict.rates.points[-1].agreement >= 0.9


# --------------------------------------------------------------------------------------------------------- files as they are


def test_a_file_of_an_artificial_network_is_shown_as_one_and_not_run(tmp_path):
    file, data = tmp_path / "ann.onnx", tmp_path / "x.npz"
    nodes = [helper.make_node("Gemm", ["x", "w"], ["g"], name="fc"), helper.make_node("Relu", ["g"], ["y"], name="act")]
    ins, outs = (helper.make_tensor_value_info(n, 1, ["N", 4]) for n in "xy")
    weights = [numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")]
    graph = helper.make_graph(nodes, "g", [ins], [outs], weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), file)
    np.savez(data, x=np.ones((3, 4)))
    text = CliRunner().invoke(commands, ["show", str(file)]).output
    assert text.startswith("an artificial network: 1 rectifiers, no spikes")
    refused = CliRunner().invoke(commands, ["run", str(file), "--data", str(data), "--timesteps", "4"])
    assert refused.exit_code == 2
    assert "act (ReLU)" in refused.stderr
    assert "convert FILE --relu if" in " ".join(refused.stderr.split())


def resnet8(rng, size=8):
    """Stem, three residual blocks (the later two halve the map, with 1x1 shortcuts), global mean, classifier: random weights."""
    nodes, tensors = [], []

    def conv(x, name, cin, cout, kernel=3, stride=1):
        weight = rng.normal(0, (2 / (cin * kernel**2)) ** 0.5, (cout, cin, kernel, kernel)).astype(np.float32)
        tensors.extend(
            [numpy_helper.from_array(weight, f"{name}.w"), numpy_helper.from_array(np.full(cout, 0.05, np.float32), f"{name}.b")]
        )
        pads = [kernel // 2] * 4
        nodes.append(helper.make_node("Conv", [x, f"{name}.w", f"{name}.b"], [f"{name}.o"], name=name, pads=pads, strides=[stride] * 2))
        return f"{name}.o"

    def relu(x, name):
        nodes.append(helper.make_node("Relu", [x], [f"{name}.o"], name=name))
        return f"{name}.o"

    x, width = relu(conv("x", "stem", 3, 4), "stem.relu"), 4
    for k, (out, stride) in enumerate([(4, 1), (8, 2), (16, 2)]):
        inner = conv(relu(conv(x, f"b{k}.one", width, out, 3, stride), f"b{k}.mid"), f"b{k}.two", out, out)
        short = x if stride == 1 else conv(x, f"b{k}.short", width, out, 1, stride)
        nodes.append(helper.make_node("Add", [inner, short], [f"b{k}.sum"], name=f"b{k}.add"))
        x, width = relu(f"b{k}.sum", f"b{k}.out"), out
    tensors.append(numpy_helper.from_array(rng.normal(0, 0.5, (16, 10)).astype(np.float32), "fc.w"))
    nodes += [
        helper.make_node("GlobalAveragePool", [x], ["pooled"], name="pool"),
        helper.make_node("Flatten", ["pooled"], ["flat"], name="flat"),
        helper.make_node("Gemm", ["flat", "fc.w"], ["y"], name="fc"),
    ]
    ins, outs = helper.make_tensor_value_info("x", 1, ["N", 3, size, size]), helper.make_tensor_value_info("y", 1, ["N", 10])
    return helper.make_model(
        helper.make_graph(nodes, "g", [ins], [outs], tensors), opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    )


def test_a_residual_network_keeps_its_rates(tmp_path):
    rng = np.random.default_rng(0)
    onnx.save(resnet8(rng), tmp_path / "resnet8.onnx")
    loaded = converters.load(tmp_path / "resnet8.onnx", sd.Options(relu="if"))
    x = rng.random((16, 3, 8, 8))
    wanted = run_reference(loaded.graph, {"x": x[None]}, 1).outputs["y.out" if "y.out" in loaded.graph.nodes else "y"][0]
    graph, _ = spiking(loaded.graph, Feed({"x": x[None]}, None, 1))
    errors = []
    for steps in (8, 64):
        trace = run_reference(graph, {"x": np.repeat(x[None], steps, 0)}, steps)
        got = next(v for n, v in trace.outputs.items() if isinstance(graph.nodes[n], Output)).mean(axis=0)
        errors.append(float(np.abs(got - wanted).mean() / np.abs(wanted).mean()))
    assert errors[1] < errors[0]
    assert errors[1] < 0.1
