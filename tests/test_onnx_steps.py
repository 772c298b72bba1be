"""One-step spiking networks in ONNX files of other tools: each form of neuron against onnxruntime running the file."""

from __future__ import annotations

import dataclasses

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

import converters
import snndeploy as sd
from snndeploy.cli.commands import commands
from snndeploy.errors import OptionError, Unsupported
from snndeploy.ir.layers import Input, Output
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim.reference import run_reference

STEPS, BATCH = 30, 4


class Writer:
    """A graph in the making: each call appends one operator and gives its output's name."""

    def __init__(self):
        self.nodes, self.tensors = [], []

    def __call__(self, op, *inputs, out=None, **attributes):
        names = [i if isinstance(i, str) else self.tensor(i) for i in inputs]
        out = out or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [out], name=f"/{op}_{len(self.nodes)}", **attributes))
        return out

    def tensor(self, values):
        name = f"const_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def linear(self, x, inputs, outputs, seed=0, denominator=8):
        rng = np.random.default_rng(seed)
        weight = rng.integers(-8, 13, (outputs, inputs)) / denominator
        return self("Gemm", x, weight, rng.integers(-2, 3, outputs) / 8, transB=1)

    def fire(self, h, theta, op="Greater"):
        return self("Cast", self(op, self("Sub", h, theta), 0.0), to=TensorProto.FLOAT)

    def model(self, inputs, outputs, opset=17, batch="N", shuffled=False):
        def make(named):
            return [helper.make_tensor_value_info(n, TensorProto.FLOAT, [batch, *s]) for n, s in named.items()]

        nodes = self.nodes[::-1] if shuffled else self.nodes
        graph = helper.make_graph(nodes, "g", make(inputs), make(outputs), self.tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def read(proto, tmp_path, **options):
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    return converters.load(path, sd.Options(**options))


def original(proto, x, pairs, outputs):
    """The file step by step in onnxruntime, operators as written, from states of zeros."""
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    shapes = {i.name: [x.shape[1], *i.shape[1:]] for i in session.get_inputs()}
    states = {before: np.zeros(shapes[before], np.float32) for before in pairs}
    kept = {name: [] for name in outputs}
    for now in x.astype(np.float32):
        results = dict(zip([*outputs, *pairs.values()], session.run([*outputs, *pairs.values()], {"x": now, **states}), strict=True))
        states = {before: results[after] for before, after in pairs.items()}
        for name in outputs:
            kept[name].append(results[name])
    return {name: np.stack(values) for name, values in kept.items()}


def equal(proto, tmp_path, pairs, shape=(5,), outputs=("spk",), **options):
    """Read the file, and hold the graph against it on a grid where float32 is exact. Gives what was read."""
    loaded = read(proto, tmp_path, **options)
    x = np.random.default_rng(1).integers(-4, 13, (STEPS, BATCH, *shape)) / 4.0
    wanted = original(proto, x, pairs, outputs)
    trace = run_reference(loaded.graph, {"x": x}, STEPS)
    for name, values in wanted.items():
        assert len(np.unique(values)) > 1
        # a membrane of many steps has more bits than float32
        np.testing.assert_allclose(trace.outputs[name], values, rtol=1e-6 if name == "mem2_out" else 0)
    assert loaded.witness is not None
    assert set(loaded.witness.outputs) == set(outputs)
    pair = sd.deploy.hold_against_original(loaded)
    assert pair.compared
    assert not pair.different
    return loaded


def neuron(loaded, kind=LIF):
    (found,) = loaded.graph.named(kind).values()
    return found


# --------------------------------------------------------------------------------------------------------- neurons


def leaky(w, x, mem, out, reset="subtract", beta=0.5, theta=1.0):
    """snnTorch 1.0 ``Leaky`` as torch exports it: the reset comes from the membrane before."""
    was = w.fire(mem, theta)
    base = w("Add", w("Mul", beta, mem), x)
    if reset == "subtract":
        new = w("Sub", base, w("Mul", was, theta), out=out)
    elif reset == "zero":
        new = w("Sub", base, w("Mul", was, w("Mul", beta, mem)), out=out)
    elif reset == "swallow":
        new = w("Sub", base, w("Mul", was, base), out=out)
    else:
        new = w("Identity", base, out=out)
    return w.fire(new, theta), new


@pytest.mark.parametrize(
    ("reset", "kind", "settings"),
    [
        ("subtract", LIF, {"reset": "subtract", "late": True, "strict": True}),
        ("zero", LIF, {"reset": "hard", "late": True, "strict": True}),
        ("swallow", CubaLIF, {"reset": "hard", "late": True, "strict": True}),
        ("none", LIF, {"reset": "none", "late": False, "strict": True}),
    ],
)
def test_leaky_with_its_late_resets(tmp_path, reset, kind, settings):
    w = Writer()
    spike, _ = leaky(w, w.linear("x", 5, 6), "mem1", "mem1_out", reset)
    w("Identity", spike, out="spk")
    proto = w.model({"x": (5,), "mem1": (6,)}, {"spk": (6,), "mem1_out": (6,)})
    found = neuron(equal(proto, tmp_path, {"mem1": "mem1_out"}), kind)
    assert {name: getattr(found, name) for name in settings} == settings
    assert float(found.decay) == 0.5
    assert float(found.threshold) == 1.0


def spiking_jelly(w, x, v, out, reset=0.0, tau=2.0, theta=1.0, op="GreaterOrEqual"):
    h = w("Add", v, w("Div", w("Sub", x, v), tau))
    spike = w.fire(h, theta, op)
    if reset is None:
        w("Sub", h, w("Mul", spike, theta), out=out)
    else:
        w("Add", w("Mul", w("Sub", 1.0, spike), h), w("Mul", spike, reset), out=out)
    return spike


@pytest.mark.parametrize("reset", [0.0, -0.25, None])
@pytest.mark.parametrize("op", ["Greater", "GreaterOrEqual"])
@pytest.mark.parametrize("tau", [2.0, 4.0])
def test_decayed_input(tmp_path, reset, op, tau):
    w = Writer()
    w("Identity", spiking_jelly(w, w.linear("x", 5, 6), "v", "v_next", reset, tau, op=op), out="spk")
    found = neuron(equal(w.model({"x": (5,), "v": (6,)}, {"spk": (6,), "v_next": (6,)}), tmp_path, {"v": "v_next"}))
    assert (float(found.decay), float(found.gain), found.strict) == (1 - 1 / tau, 1 / tau, op == "Greater")
    assert found.reset == ("subtract" if reset is None else "hard")
    assert reset is None or float(found.v_reset) == reset


def test_the_reset_as_a_choice_and_the_comparison_turned_around(tmp_path):
    w = Writer()
    h = w("Add", w("Mul", "v", 0.75), w.linear("x", 5, 6))
    under = w("Not", w("Less", np.full((1, 6), 1.5), h))
    w("Where", under, 0.0, 1.0, out="unused")
    w("Cast", w("Not", under), to=TensorProto.FLOAT, out="spk")
    w("Where", under, h, 0.0, out="v_next")
    found = neuron(equal(w.model({"x": (5,), "v": (6,)}, {"spk": (6,), "v_next": (6,)}, shuffled=True), tmp_path, {"v": "v_next"}))
    assert (found.strict, found.reset, float(found.threshold)) == (True, "hard", 1.5)


def test_a_threshold_and_a_decay_for_every_neuron(tmp_path):
    w = Writer()
    theta = np.arange(1, 7) / 4
    h = w("Add", w("Mul", "v", np.arange(6) / 8), w.linear("x", 5, 6))
    spike = w("Cast", w("GreaterOrEqual", h, theta), to=TensorProto.FLOAT, out="spk")
    w("Sub", h, w("Mul", spike, theta), out="v_next")
    found = neuron(equal(w.model({"x": (5,), "v": (6,)}, {"spk": (6,), "v_next": (6,)}), tmp_path, {"v": "v_next"}))
    np.testing.assert_array_equal(found.threshold, theta)
    np.testing.assert_array_equal(found.amount, theta)


def test_maps_with_a_threshold_for_every_channel_between_convolutions(tmp_path):
    w, rng = Writer(), np.random.default_rng(0)
    x = w("Conv", "x", rng.integers(-4, 9, (3, 2, 3, 3)) / 8, pads=[1, 1, 1, 1])
    theta = np.array([0.5, 1.0, 1.5]).reshape(1, 3, 1, 1)
    h = w("Add", w("Mul", "v", 0.5), x)
    spike = w("Cast", w("Greater", h, theta), to=TensorProto.FLOAT)
    w("Mul", h, w("Sub", 1.0, spike), out="v_next")
    pooled = w("AveragePool", spike, kernel_shape=[2, 2], strides=[2, 2])
    s2 = spiking_jelly(w, w.linear(w("Flatten", pooled), 12, 4), "u", "u_next")
    w("Identity", s2, out="spk")
    states = {"v": (3, 4, 4), "u": (4,)}
    proto = w.model({"x": (2, 4, 4), **states}, {"spk": (4,), **{f"{n}_next": s for n, s in states.items()}})
    loaded = equal(proto, tmp_path, {"v": "v_next", "u": "u_next"}, (2, 4, 4))
    assert loaded.graph.nodes["v"].threshold.shape == (3, 1, 1)


def test_a_current_before_the_membrane(tmp_path):
    w = Writer()
    syn = w("Add", w("Mul", 0.75, "syn"), w.linear("x", 5, 6), out="syn_out")
    h = w("Add", w("Mul", 0.5, "mem"), syn)
    spike = w.fire(h, 2.0)
    w("Sub", h, w("Mul", spike, 2.0), out="mem_out")
    w("Identity", spike, out="spk")
    states = {"syn": (6,), "mem": (6,)}
    proto = w.model({"x": (5,), **states}, {"spk": (6,), "mem_out": (6,), "syn_out": (6,)})
    found = neuron(equal(proto, tmp_path, {"syn": "syn_out", "mem": "mem_out"}), CubaLIF)
    assert (float(found.current_decay), float(found.decay), found.reset) == (0.75, 0.5, "subtract")


def test_norse_decays_the_current_after_its_use(tmp_path):
    w = Writer()
    jump = w("Add", "i", w.linear("x", 5, 6))
    h = w("Add", "v", w("Mul", 0.25, w("Add", w("Sub", 0.0, "v"), jump)))
    spike = w.fire(h, 1.0)
    w("Add", w("Mul", w("Sub", 1.0, spike), h), w("Mul", spike, 0.0), out="v_out")
    w("Sub", jump, w("Mul", 0.5, jump), out="i_out")
    w("Identity", spike, out="spk")
    proto = w.model({"x": (5,), "v": (6,), "i": (6,)}, {"spk": (6,), "v_out": (6,), "i_out": (6,)})
    found = neuron(equal(proto, tmp_path, {"v": "v_out", "i": "i_out"}), CubaLIF)
    assert (float(found.current_decay), float(found.decay), float(found.gain)) == (0.5, 0.75, 0.25)


def test_a_spike_of_the_step_before_as_a_state(tmp_path):
    w = Writer()
    kept = w("Mul", w("Mul", "mem", 0.5), w("Sub", 1.0, "s"))
    h = w("Add", kept, w.linear("x", 5, 6), out="mem_out")
    w("Identity", w.fire(h, 1.0), out="s_out")
    w("Identity", "s_out", out="spk")
    states = {"mem": (6,), "s": (6,)}
    proto = w.model({"x": (5,), **states}, {"spk": (6,), "mem_out": (6,), "s_out": (6,)})
    found = neuron(equal(proto, tmp_path, {"mem": "mem_out", "s": "s_out"}))
    assert (found.reset, found.late) == ("hard", True)


def test_snntorch_without_delay_of_the_reset(tmp_path):
    w = Writer()
    was = w.fire("mem", 1.0)
    base = w("Sub", w("Add", w("Mul", 0.75, "mem"), w.linear("x", 5, 6)), w("Mul", was, 1.0))
    spike = w.fire(base, 1.0)
    w("Sub", w("Add", base, w("Mul", was, 1.0)), w("Mul", spike, 1.0), out="mem_out")
    w("Identity", spike, out="spk")
    loaded = equal(w.model({"x": (5,), "mem": (6,)}, {"spk": (6,), "mem_out": (6,)}), tmp_path, {"mem": "mem_out"})
    assert isinstance(neuron(loaded, ImmediateLIF), ImmediateLIF)


def test_a_rest_and_a_floor(tmp_path):
    w = Writer()
    h = w("Add", "v", w("Div", w("Add", w("Sub", -0.5, "v"), w.linear("x", 5, 6)), 2.0))
    h = w("Max", h, -0.75)
    spike = w.fire(h, 1.0)
    w("Where", w("Cast", spike, to=TensorProto.BOOL), -0.25, h, out="v_out")
    w("Identity", spike, out="spk")
    found = neuron(equal(w.model({"x": (5,), "v": (6,)}, {"spk": (6,), "v_out": (6,)}), tmp_path, {"v": "v_out"}))
    assert (float(found.rest), float(found.floor), float(found.v_reset)) == (-0.5, -0.75, -0.25)


# --------------------------------------------------------------------------------------------------------- networks


def two_layers(w, reset="subtract"):
    s1, _ = leaky(w, w.linear("x", 5, 6), "mem1", "mem1_out", reset)
    s2, _ = leaky(w, w.linear(s1, 6, 3, 1), "mem2", "mem2_out", reset, beta=0.75)
    w("Identity", s2, out="spk")
    states = {"mem1": (6,), "mem2": (3,)}
    return {"x": (5,), **states}, {"spk": (3,), "mem1_out": (6,), "mem2_out": (3,)}


@pytest.mark.parametrize("opset", [9, 13, 17, 21])
def test_two_layers(tmp_path, opset):
    w = Writer()
    ins, outs = two_layers(w)
    loaded = equal(w.model(ins, outs, opset), tmp_path, {"mem1": "mem1_out", "mem2": "mem2_out"})
    assert [n for n in loaded.graph.order if isinstance(loaded.graph.nodes[n], LIF)] == ["mem1", "mem2"]
    assert loaded.graph.nodes["spk"] == Output("none")
    assert any("0 of 2" in note and "differ" in note for note in loaded.probed)
    facts = {f.name: f.value for s in loaded.semantics if s.layer == "mem2" for f in s.facts}
    assert facts["decay"] == "0.75"
    assert facts["reset timing"] == "late: inside the next update"


def test_decays_that_no_binary_fraction_holds(tmp_path):
    w = Writer()
    spike, _ = leaky(w, w.linear("x", 5, 6), "mem", "mem_out", beta=0.9)
    w("Identity", spike, out="spk")
    loaded = read(w.model({"x": (5,), "mem": (6,)}, {"spk": (6,), "mem_out": (6,)}), tmp_path)
    assert float(neuron(loaded).decay) == float(np.float32(0.9))
    assert not sd.deploy.hold_against_original(loaded).different


def test_what_torch_writes_around_a_leaky(tmp_path):
    """snnTorch clamps its decay in the graph and multiplies its spikes by their value, 1, on the way out and in the reset."""
    w = Writer()
    beta = w("Clip", w.tensor(0.75), 0.0, 1.0)
    was = w("Mul", w.fire("mem", 1.0), 1.0)
    base = w("Sub", w("Add", w("Mul", beta, "mem"), w.linear("x", 5, 6)), was)
    spike = w("Mul", w.fire(base, 1.0), 1.0, out="spk")
    w("Sub", base, w("Mul", w("Sub", w("Div", spike, 1.0), was), 1.0), out="mem_out")
    loaded = equal(w.model({"x": (5,), "mem": (6,)}, {"spk": (6,), "mem_out": (6,)}), tmp_path, {"mem": "mem_out"})
    assert float(neuron(loaded, ImmediateLIF).decay) == 0.75
    assert [type(n).__name__ for n in loaded.graph.nodes.values()].count("Scale") == 0


def test_a_read_out_that_never_fires(tmp_path):
    w = Writer()
    s1, _ = leaky(w, w.linear("x", 5, 6), "mem1", "mem1_out")
    w("Add", w("Mul", 0.875, "mem2"), w.linear(s1, 6, 3, 1), out="mem2_out")
    ins, outs = {"x": (5,), "mem1": (6,), "mem2": (3,)}, {"mem1_out": (6,), "mem2_out": (3,)}
    pairs = {"mem1": "mem1_out", "mem2": "mem2_out"}
    loaded = equal(w.model(ins, outs), tmp_path, pairs, outputs=("mem2_out",))
    assert float(neuron(loaded, LI).decay) == 0.875


def test_spikes_that_come_back_through_synapses(tmp_path):
    w = Writer()
    drive = w("Add", w.linear("x", 5, 6), w("MatMul", "s", np.random.default_rng(5).integers(-4, 5, (6, 6)) / 8))
    w("Identity", spiking_jelly(w, drive, "v", "v_out"), out="s_out")
    proto = w.model({"x": (5,), "v": (6,), "s": (6,)}, {"s_out": (6,), "v_out": (6,)})
    loaded = equal(proto, tmp_path, {"v": "v_out", "s": "s_out"}, outputs=("s_out",))
    assert [e.delay for e in loaded.graph.edges if e.source == "v"] == [1, 0]


def test_a_residual_of_spikes(tmp_path):
    w = Writer()
    s1 = spiking_jelly(w, w.linear("x", 5, 6), "v1", "v1_out")
    s2 = spiking_jelly(w, w("Add", w.linear(s1, 6, 6, 1), s1), "v2", "v2_out", None)
    s3 = spiking_jelly(w, w("Add", s2, s1), "v3", "v3_out")
    w("Identity", s3, out="spk")
    states = {f"v{k}": (6,) for k in (1, 2, 3)}
    proto = w.model({"x": (5,), **states}, {"spk": (6,), **{f"{n}_out": s for n, s in states.items()}})
    equal(proto, tmp_path, {n: f"{n}_out" for n in states})


def test_names_that_say_nothing_are_paired_by_what_depends_on_what(tmp_path):
    w = Writer()
    s1, _ = leaky(w, w.linear("x", 5, 6), "a", "q")
    s2, _ = leaky(w, w.linear(s1, 6, 6, 1), "b", "p")
    w("Identity", s2, out="spk")
    proto = w.model({"b": (6,), "x": (5,), "a": (6,)}, {"p": (6,), "q": (6,), "spk": (6,)})
    loaded = equal(proto, tmp_path, {"a": "q", "b": "p"})
    assert list(loaded.graph.named(Input)) == ["x"]
    assert any("a -> q" in note and "b -> p" in note for note in loaded.assumptions)


def test_deployed_as_any_other(tmp_path):
    w = Writer()
    ins, outs = {}, {}
    spike = spiking_jelly(w, w.linear("x", 5, 6), "v", "v_out")
    w("Identity", spike, out="spk")
    ins, outs = {"x": (5,), "v": (6,)}, {"spk": (6,), "v_out": (6,)}
    path = tmp_path / "net.onnx"
    path.write_bytes(w.model(ins, outs).SerializeToString())
    x = (np.random.default_rng(0).random((10, 8, 5)) < 0.5).astype(np.float32)
    made = sd.convert(str(path), x, chip="loihi2", timesteps=8)
    first = made.verdict.pairs[0]
    assert (first.a, first.different) == ("original model", 0)
    assert first.compared


# --------------------------------------------------------------------------------------------------------- refusals


def bare(w, out="mem_out", state="mem"):
    """A neuron without a layer before it: what enters could be the state as well."""
    spike, _ = leaky(w, "x", state, out)
    w("Identity", spike, out="spk")
    return w


def test_a_choice_of_states_is_settled_by_names_or_by_the_user(tmp_path):
    assert float(neuron(read(bare(Writer()).model({"x": (6,), "mem": (6,)}, {"spk": (6,), "mem_out": (6,)}), tmp_path)).decay) == 0.5
    proto = bare(Writer(), "q", "p").model({"x": (6,), "p": (6,)}, {"spk": (6,), "q": (6,)})
    with pytest.raises(Unsupported, match=r"not clear: q may follow x or p(?s:.*)--state p=q"):
        read(proto, tmp_path)
    assert list(read(proto, tmp_path, state={"p": "q"}).graph.named(Input)) == ["x"]
    with pytest.raises(OptionError, match="no output 'qq'"):
        read(proto, tmp_path, state={"p": "qq"})
    with pytest.raises(OptionError, match="no input 'r'"):
        read(proto, tmp_path, state={"r": "q"})


def test_states_are_named_on_the_command_line(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(bare(Writer(), "q", "p").model({"x": (6,), "p": (6,)}, {"spk": (6,), "q": (6,)}).SerializeToString())
    unclear = CliRunner().invoke(commands, ["show", str(path)])
    assert (unclear.exit_code, "--state p=q" in unclear.stderr) == (2, True)
    shown = CliRunner().invoke(commands, ["show", str(path), "--state", "p=q"])
    assert shown.exit_code == 0
    assert "LIF(decay=0.5" in shown.output
    assert CliRunner().invoke(commands, ["show", str(path), "--state", "p"]).exit_code == 2


def odd(kind):
    w = Writer()
    x = w.linear("x", 5, 6)
    h = w("Add", w("Mul", "v", 0.5), x)
    if kind == "tanh":
        h = w("Tanh", h)
    if kind == "growing":
        h = w("Add", w("Mul", "v", 1.5), x)
    if kind == "quadratic":
        h = w("Add", w("Mul", "v", w("Mul", "v", 0.5)), x)
    spike = w.fire(h, {"at rest": -1.0}.get(kind, 1.0))
    if kind == "half":
        w("Mul", h, w("Sub", 1.0, w("Mul", 0.5, spike)), out="v_out")
    elif kind == "two comparisons":
        spike = w("Cast", w("And", w("Greater", h, 1.0), w("Less", h, 3.0)), to=TensorProto.FLOAT)
        w("Sub", h, spike, out="v_out")
    else:
        w("Sub", h, spike, out="v_out")
    w("Identity", w("Gemm", h, np.eye(6)) if kind == "membrane" else spike, out="spk")
    return w.model({"x": (5,), "v": (6,)}, {"spk": (6,), "v_out": (6,)})


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("tanh", "is no neuron that the graph knows: the nearest, .*, differs at step 1"),
        ("quadratic", "does not follow v in proportion"),
        ("growing", "is no neuron that the graph knows"),
        ("half", r"is no neuron that the graph knows: the nearest, .*, differs at step \d+"),
        ("two comparisons", "no single comparison with a threshold"),
        ("at rest", "fires without input"),
        ("membrane", "gives its inner value"),
    ],
)
def test_neurons_that_the_graph_does_not_know(tmp_path, kind, words):
    with pytest.raises(Unsupported, match=words) as refused:
        read(odd(kind), tmp_path)
    assert "/" in refused.value.where  # the node's name


def test_states_that_act_on_each_other(tmp_path):
    w = Writer()
    w("Add", w("Mul", "v", 0.5), w("Sub", w.linear("x", 5, 6), "u"), out="h")
    spike = w.fire("h", 1.0, "Greater")
    w("Sub", "h", spike, out="v_out")
    w("Add", w("Mul", 0.25, "u"), w("Mul", 0.125, "v"), out="u_out")
    w("Identity", spike, out="spk")
    with pytest.raises(Unsupported, match=r"has the states (u, v|v, u), which act on each other"):
        read(w.model({"x": (5,), "v": (6,), "u": (6,)}, {"spk": (6,), "v_out": (6,), "u_out": (6,)}), tmp_path)


def test_a_network_unrolled_over_its_steps(tmp_path):
    w = Writer()
    mem = np.zeros(6)
    for _ in range(3):
        spike, mem = leaky(w, w.linear("x", 5, 6), mem if isinstance(mem, str) else w.tensor(mem), None)
    w("Identity", spike, out="spk")
    with pytest.raises(Unsupported, match=r"unrolled over its steps(?s:.*)export one step"):
        read(w.model({"x": (5,)}, {"spk": (6,)}), tmp_path)


def test_two_inputs_are_not_states_where_nothing_compares(tmp_path):
    w = Writer()
    w("Relu", w("Add", "a", "b"), out="y")
    assert list(read(w.model({"a": (6,), "b": (6,)}, {"y": (6,)}), tmp_path).graph.named(Input)) == ["a", "b"]


# --------------------------------------------------------------------------------------------------------- loops


def info(name, shape, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def scanned(tail, outs, *, batch_first=False, sizes=("T", "N"), wrap="Scan", start=0.0, before=()):
    """x -> (Transpose) -> Scan or Loop of a layer, a neuron and a read-out -> ``tail``."""
    w = Writer()
    s, _ = leaky(w, w.linear("now", 5, 6), "mem", "mem_out")
    w("Add", w("Mul", 0.5, "acc"), w.linear(s, 6, 3, 1), out="acc_out")
    w("Identity", s, out="spk_out")
    w("Identity", "acc_out", out="acc_now")
    nodes, states = list(w.nodes), [info("mem", ["N", 6]), info("acc", ["N", 3])]
    results = [info("mem_out", ["N", 6]), info("acc_out", ["N", 3]), info("spk_out", ["N", 6]), info("acc_now", ["N", 3])]
    outer = [*before]
    x = "seq" if batch_first else "x"
    if batch_first:
        outer.append(helper.make_node("Transpose", ["x"], ["seq"], name="to_time", perm=[1, 0, 2]))
    loop_outs = ["mem_end", "acc_end", "spk_seq", "acc_seq"]
    if wrap == "Scan":
        body = helper.make_graph(nodes, "body", [*states, info("now", ["N", 5])], results, w.tensors)
        outer.append(helper.make_node("Scan", ["mem0", "acc0", x], loop_outs, name="the_scan", body=body, num_scan_inputs=1))
        outer_tensors = []
    else:
        take = helper.make_node("Gather", [x, "k"], ["now"], name="take", axis=0)
        keep = helper.make_node("Identity", ["go"], ["go_on"], name="keep")
        ins = [info("k", [], TensorProto.INT64), info("go", [], TensorProto.BOOL), *states]
        body = helper.make_graph([take, *nodes, keep], "body", ins, [info("go_on", [], TensorProto.BOOL), *results], w.tensors)
        outer += [
            helper.make_node("Shape", [x], ["dims"], name="dims"),
            helper.make_node("Gather", ["dims", "zero"], ["trips"], name="trips", axis=0),
            helper.make_node("Loop", ["trips", "true", "mem0", "acc0"], loop_outs, name="the_loop", body=body),
        ]
        outer_tensors = [numpy_helper.from_array(np.array(0), "zero"), numpy_helper.from_array(np.array(True), "true")]
    starts = [numpy_helper.from_array(np.full((BATCH, n), start, np.float32), f"{s}0") for s, n in (("mem", 6), ("acc", 3))]
    axes = [numpy_helper.from_array(np.array([0]), "over"), numpy_helper.from_array(np.array(-1), "end")]
    first = [sizes[1], sizes[0], 5] if batch_first else [*sizes, 5]
    graph = helper.make_graph([*outer, *tail], "g", [info("x", first)], outs, [*starts, *axes, *outer_tensors])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


TAILS = {
    "none": (("Identity", ["acc_seq"], {}), None),
    "sum": (("ReduceSum", ["acc_seq", "over"], {"keepdims": 0}), "sum"),
    "mean": (("ReduceMean", ["acc_seq"], {"axes": [0], "keepdims": 0}), "mean"),
    "max": (("ReduceMax", ["acc_seq"], {"axes": [0], "keepdims": 0}), "max"),
    "last": (("Gather", ["acc_seq", "end"], {"axis": 0}), "last"),
    "final": (("Identity", ["acc_end"], {}), "last"),
    "turned": (("Transpose", ["acc_seq"], {"perm": [1, 0, 2]}), None),
}


@pytest.mark.parametrize("wrap", ["Scan", "Loop"])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("tail", TAILS)
def test_loops_over_time_and_their_read_outs(tmp_path, wrap, batch_first, tail):
    (op, inputs, attributes), decode = TAILS[tail]
    end = helper.make_node(op, inputs, ["y"], name="tail", **attributes)
    proto = scanned([end], [info("y", None)], batch_first=batch_first, wrap=wrap, sizes=(7, BATCH))
    loaded = read(proto, tmp_path)
    assert loaded.steps == 7
    assert loaded.graph.nodes["y"].decode == (decode or "none")
    assert list(loaded.graph.named(Input)) == ["x"]
    pair = sd.deploy.hold_against_original(loaded)
    assert pair.compared == (3 * BATCH if decode else 3 * BATCH * 7) + 6 * BATCH * 7
    ((name, told),) = loaded.witness.told.items()
    assert 0 < told.mean() < 1
    node = loaded.graph.nodes[name]
    changed = loaded.graph.replace({name: dataclasses.replace(node, threshold=node.threshold * 1.3)})
    assert not sd.deploy.hold_against_original(dataclasses.replace(loaded, graph=changed)).equal
    assert not pair.different
    x = np.random.default_rng(1).integers(-4, 13, (7, BATCH, 5)) / 4.0
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    wanted = session.run(["y"], {"x": (np.moveaxis(x, 0, 1) if batch_first else x).astype(np.float32)})[0]
    series = run_reference(loaded.graph, {"x": x}, 7).outputs["y"]
    ours = {"none": series, "sum": series.sum(0), "mean": series.mean(0), "max": series.max(0), "last": series[-1]}[decode or "none"]
    np.testing.assert_allclose(np.moveaxis(ours, 0, 1) if tail == "turned" else ours, wanted, rtol=1e-6)


def test_a_loop_of_any_length_takes_its_steps_from_the_data(tmp_path):
    proto = scanned([helper.make_node("Identity", ["spk_seq"], ["y"])], [info("y", None), info("mem_end", None)], sizes=("T", BATCH))
    loaded = read(proto, tmp_path)
    assert loaded.steps is None
    assert list(loaded.graph.named(Output)) == ["y"]
    assert not sd.deploy.hold_against_original(loaded).different


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"start": 0.5}, "the_scan .*starts at another value than 0"),
        ({"before": [helper.make_node("Relu", ["x"], ["relu"], name="early")]}, r"early \(Relu\).*outside the loop"),
    ],
)
def test_loops_without_a_meaning(tmp_path, change, words):
    tail = [helper.make_node("Identity", ["spk_seq"], ["y"])]
    with pytest.raises(Unsupported, match=words):
        read(scanned(tail, [info("y", None)], sizes=(7, BATCH), **change), tmp_path)


def test_a_layer_behind_a_loop(tmp_path):
    tail = [helper.make_node("Softplus", ["spk_seq"], ["y"], name="late")]
    with pytest.raises(Unsupported, match=r"late \(Softplus\).*behind the loop"):
        read(scanned(tail, [info("y", None)], sizes=(7, BATCH)), tmp_path)
    tail = [helper.make_node("Mul", ["spk_seq", "spk_seq"], ["y"], name="late")]
    with pytest.raises(Unsupported, match="no plain read-out"):
        read(scanned(tail, [info("y", None)], sizes=(7, BATCH)), tmp_path)
