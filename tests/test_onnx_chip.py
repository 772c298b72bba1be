"""The chip network's integer ONNX, run by onnxruntime, equals the chip simulator: every spike and every state word."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import converters
import converters.onnx as fmt
from converters import Options
from converters.onnx.chip_program import largest_payload
from snndeploy import demo as shipped
from snndeploy import deploy
from snndeploy.arrays import frozen_ints
from snndeploy.chip.models import HostInput, Lif, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.program import ARITY, assemble
from snndeploy.data import part
from snndeploy.deploy import Wishes
from snndeploy.errors import OptionError, Unsupported
from snndeploy.flow.against_onnxruntime import integer_onnx_pair, integer_pair_of
from snndeploy.flow.given import as_samples
from snndeploy.flow.saved import fed
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.ort import run_onnxruntime

DOCS = Path(__file__).resolve().parents[1] / "docs" / "onnx.md"
OPERATORS = sorted(set(ARITY) - {"SPK"})


class Draw:
    """Random networks of every model and every kind of synapses; ``wild`` numbers wrap and saturate."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.wild = seed % 2 == 1

    def ints(self, low: int, high: int, shape=()):
        return self.rng.integers(low, high, shape, endpoint=True)

    def one(self, low: int, high: int) -> int:
        return int(self.ints(low, high))

    def flag(self) -> bool:
        return bool(self.one(0, 1))

    def registers(self, shape):
        exponents, mantissas = ((-16, 16), (-(1 << 15), (1 << 15) - 1)) if self.wild else ((-3, 6), (-50, 50))
        started = {word: self.ints(-(1 << 23), 1 << 23, shape) for word in ("u", "v")} if self.flag() else {}
        return {
            "du": self.ints(-1, 4095, shape), "dv": self.ints(0, 4096, shape),
            "bias_mant": self.ints(*mantissas, shape), "bias_exp": self.ints(*exponents, shape), **started,
        }  # fmt: skip

    def model(self, shape):
        own, big, kind = shape if self.flag() else (), 1 << 17 if self.wild else 300, self.one(0, 5)
        if kind <= 1:
            return Lif(vth=self.ints(-100, big, own), reset_interval=self.one(0, 4), reset_offset=self.one(-3, 9), **self.registers(own))
        if kind == 2:
            return TernaryLif(vth_hi=self.ints(-100, big, own), vth_lo=self.ints(-big, 100, own), **self.registers(own))
        if kind == 3:
            exponents = [self.one(0, 11 if self.wild else 3) for _ in range(2)]
            flags = [self.flag() for _ in range(3)]
            return SigmaDelta(20 * self.rng.random(), self.ints(-1000, 1000, own), flags[0], flags[1], *exponents, flags[2])
        if kind == 4:
            return Resonator(*self.ints(-4096, 4096, (2, *own)), self.ints(0, 500, own), self.flag(), self.one(0, 7))
        return self.program(shape, own, big)

    def program(self, shape, own, big):
        known, lines = ["I", "a", "b", "c"], []
        for i in range(self.one(4, 14)):
            op, target = self.rng.choice(OPERATORS), self.rng.choice(["a", "b", "c", f"t{i}"])
            operands = [str(self.rng.choice([*known, "k.p", "k.q", "-7", "100000"])) for _ in range(ARITY[op] - 1)]
            if op in ("LUT", "LDT"):
                operands[0] = "curve" if op == "LUT" else str(self.rng.choice(["times", "rows"]))
            if op in ("MUL", "SHR"):
                operands[-1] = str(self.rng.choice(["0", "3", "12", "k.s", "c"]))
            lines.append(" ".join((op, target, *operands)))
            known.append(target)
            if self.flag():
                lines.append(f"SPK {self.rng.choice(known)} {self.rng.choice([*known, 'k.q', '-3'])}")
        constants = {
            "p": self.ints(-big, big, own), "q": self.ints(-(1 << 23), 1 << 23), "s": self.ints(0, 20, own),
            "curve.lo": frozen_ints(-500), "curve.step": self.ints(1, 90),
        }  # fmt: skip
        tables = {"curve": self.ints(-(1 << 22), 1 << 22, 7), "times": self.ints(-9, 9, 4), "rows": self.ints(-9, 9, (3, *shape))}
        text = "\n".join(["MIN c c 40", "MAX c c 0", *lines, "SPK a b"])
        return assemble("random", text, {"a": self.one(-99, 99), "b": 0, "c": 7}, constants, self.one(0, 5), tables)

    def synapses(self, source, target):
        large = 1 << 20 if self.wild and self.flag() else 256
        a, b, kind = int(np.prod(source)), int(np.prod(target)), self.one(0, 3)
        if kind <= 1:
            return Dense(self.ints(-large, large, (b, a)), self.ints(0, 4, (b, a)) if kind else None)
        n = self.one(0, 30)
        ends = self.ints(0, b - 1, n), self.ints(0, a - 1, n)
        return Sparse(*ends, self.ints(-large, large, n), self.ints(0, 4, n) if kind == 3 else None)

    def conv(self, source):
        groups, axes = self.one(1, 2), len(source) - 1
        weights = self.ints(-300, 300, (groups * self.one(1, 2), source[0] // groups, *self.ints(1, 3, axes)))
        steps = [tuple(int(n) for n in self.ints(1, 2, axes)) for _ in range(2)]
        return Conv(weights, steps[0], tuple((self.one(0, 2), self.one(0, 2)) for _ in range(axes)), steps[1], groups)

    def join(self, name: str, source: Population, target: Population) -> Projection:
        exponent, port = self.one(-9, 9), self.one(0, 1) if isinstance(target.model, Resonator) else 0
        return Projection(
            name, source.name, target.name, self.synapses(source.shape, target.shape), exponent, self.one(0, 2), self.flag(), port
        )

    def layer(self, name: str, source: Population) -> tuple[Population, Projection]:
        conv = self.conv(source.shape) if len(source.shape) > 1 and source.shape[0] % 2 == 0 else None
        shape = conv.out_shape(source.shape) if conv is not None else ()
        if conv is not None and shape:
            return Population(name, shape, self.model(shape)), Projection(
                f"to {name}", source.name, name, conv, 0, self.one(0, 2), self.flag()
            )
        shape = (self.one(1, 5),)
        made = Population(name, shape, self.model(shape))
        return made, self.join(f"to {name}", source, made)

    def network(self) -> tuple[ChipNetwork, dict[str, np.ndarray]]:
        shape = (2 * self.one(1, 2), *(int(n) for n in self.ints(3, 6, self.one(1, 2))))
        host = HostInput(self.one(0, 24 if self.wild else 5), self.flag())
        made, projections = [Population("x", shape, host)], []
        for i in range(self.one(1, 3)):
            population, projection = self.layer(f"n{i}", made[-1])
            made.append(population)
            projections.append(projection)
        last = len(made) - 1
        projections += [self.join(f"more {i}", made[self.one(0, last)], made[self.one(1, last)]) for i in range(self.one(0, 2))]
        data = {"x": self.ints(*host.payloads, (7, 3, *shape)) * self.ints(0, 1, (7, 3, *shape))}
        target = made[self.one(1, len(made) - 1)]
        if self.flag():
            static, biases = self.flag(), isinstance(target.model, Lif | TernaryLif) and self.flag()
            made.append(Population("w", target.shape, HostInput(12, True, static)))
            projections.append(Projection("wire", "w", target.name, Wire(biases), delay=self.one(0, 2)))
            data["w"] = self.ints(-4095, 4095, (1 if static else 7, 3, *target.shape))
        return ChipNetwork("loihi2", {p.name: p for p in made}, tuple(projections)), data


@pytest.mark.parametrize("seed", range(24))
def test_random_networks_are_equal(seed):
    network, data = Draw(seed).network()
    pair = integer_pair_of(network, data, steps=9)
    assert pair.equal, f"{pair.first}\n{network}"
    assert pair.compared > 0


def test_a_scan_runs_every_step_in_one_call():
    for seed in (2, 3):
        network, data = Draw(seed).network()
        steps, whole = run_onnxruntime(fmt.to_bytes(network), data, 9), run_onnxruntime(fmt.to_bytes(network, scan=True), data, 9)
        for name, values in steps.outputs.items():
            np.testing.assert_array_equal(whole.outputs[name], values)
    with pytest.raises(OptionError, match="last state only"):
        run_onnxruntime(fmt.to_bytes(network, scan=True), data, 9, states=True)


def test_a_difference_is_seen(monkeypatch):
    """A threshold one too high in the file alone."""
    lif = [Population("n", (4,), Lif(4095, 0, 5 + more)) for more in (0, 1)]
    network, other = (
        ChipNetwork(
            "loihi2", {"x": Population("x", (4,), HostInput(4)), "n": n}, (Projection("p", "x", "n", Dense(np.eye(4)), graded=True),)
        )
        for n in lif
    )
    data = {"x": np.full((5, 2, 4), 6)}
    assert integer_pair_of(network, data).equal
    saved = fmt.to_bytes(other)
    monkeypatch.setattr("converters.onnx.to_bytes", lambda _: saved)
    pair = integer_pair_of(network, data)
    assert not pair.equal
    assert pair.first is not None
    assert pair.first.layer.startswith("n")


def small() -> ChipNetwork:
    rng = np.random.default_rng(0)
    populations = {
        "x": Population("x", (2, 8, 8), HostInput(3, scale=0.25)),
        "conv": Population("conv", (4, 8, 8), Lif(2000, 100, 40, reset_interval=6), shift=1),
        "out": Population("out", (5,), Lif(0, 0, 1 << 17), shift=2, reads="v"),
    }
    conv = Conv(rng.integers(-20, 30, (4, 2, 3, 3)), (1, 1), ((1, 1), (1, 1)), (1, 1))
    joined = Projection("a", "x", "conv", conv, graded=True), Projection("b", "conv", "out", Dense(rng.integers(-9, 9, (5, 256))))
    return ChipNetwork("loihi2", populations, joined, steps=6)


def test_a_stranger_runs_it_by_the_page(tmp_path, monkeypatch, capfd):
    """The documented lines, with NumPy and onnxruntime alone, and onnxruntime's own optimizations."""
    recipe = re.search(r"<!-- recipe -->\n```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert recipe is not None
    assert "snndeploy" not in recipe[1].replace("ai.snndeploy.run", "")
    fmt.save(small(), tmp_path / "net.loihi2.onnx")
    monkeypatch.chdir(tmp_path)
    x = np.random.default_rng(1).integers(0, 8, (6, 3, 2, 8, 8))
    page: dict[str, object] = {"x": x}
    exec(recipe[1], page)
    ours = run_chip(small(), {"x": x})
    sent = page["sent"]
    assert isinstance(sent, list)
    assert len(sent) == ours.steps == 8
    for name in ("conv", "out"):
        np.testing.assert_array_equal(np.stack([step[name] for step in sent]), ours.outputs[name])
    assert ours.outputs["out"].any()
    assert capfd.readouterr().err == ""


def test_the_file_is_as_large_as_its_weights():
    rng = np.random.default_rng(0)
    conv = Conv(rng.integers(-100, 100, (64, 32, 3, 3)), (1, 1), ((1, 1), (1, 1)), (1, 1))
    populations = {"x": Population("x", (32, 60, 60), HostInput()), "n": Population("n", (64, 60, 60), Lif(4095, 0, 40))}
    network = ChipNetwork("loihi2", populations, (Projection("a", "x", "n", conv),))
    size = len(fmt.to_bytes(network))
    assert conv.weights.size < size < conv.weights.size + 16_000
    assert fmt.to_bytes(network) == fmt.to_bytes(network)


def test_what_neither_enters_nor_remembers_still_runs():
    quiet = assemble("quiet", "SPK 1 7", {}, {})
    populations = {"x": Population("x", (2,), HostInput()), "n": Population("n", (3,), quiet)}
    network = ChipNetwork("loihi2", populations, ())
    trace = run_onnxruntime(fmt.to_bytes(network), {"x": np.zeros((4, 2, 2), np.int64)})
    np.testing.assert_array_equal(trace.outputs["n"], np.full((4, 2, 3), 7))
    with pytest.raises(Unsupported, match="no value tells the batch"):
        fmt.to_bytes(ChipNetwork("loihi2", {"n": populations["n"]}, ()))


@pytest.mark.parametrize("line", ["MUL a a a 63", "SHR a a -1", "SHR a a k.far"])
def test_a_shift_that_no_word_has_is_refused(line):
    program = assemble("far", line, {"a": 1}, {"far": frozen_ints(64)})
    with pytest.raises(Unsupported, match=r"outside 0\.\.62"):
        fmt.to_bytes(ChipNetwork("loihi2", {"x": Population("x", (2,), HostInput()), "n": Population("n", (2,), program)}, ()))


def test_payloads_are_bounded():
    program = assemble("p", "SPK a k.q\nSPK I -5000\nSPK a 3", {"a": 1}, {"q": frozen_ints([1, -9000])})
    assert largest_payload(program) == 9000
    assert largest_payload(assemble("p", "SPK I I", {}, {})) == 1 << 23
    assert largest_payload(assemble("p", "MOV t I", {}, {})) == 0


def operator(kind: str, out: int, *values: np.ndarray, **attributes: object) -> np.ndarray:
    """One operator, run alone."""
    names = [f"x{i}" for i in range(len(values))]
    into = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), [None] * v.ndim)
        for n, v in zip(names, values, strict=True)
    ]
    graph = helper.make_graph(
        [helper.make_node(kind, names, ["y"], **attributes)], "g", into, [helper.make_tensor_value_info("y", out, None)]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return np.asarray(onnxruntime.InferenceSession(model.SerializeToString()).run(None, dict(zip(names, values, strict=True)))[0])


@pytest.mark.parametrize("bits", [8, 31, 32, 33, 40, 60])
def test_the_operators_are_right_in_this_onnxruntime(bits):
    """What the bodies are made of, on numbers of every size: this is where a wrong kernel would show first."""
    rng = np.random.default_rng(bits)
    a, b, d = rng.integers(-(1 << bits), 1 << bits, 41), rng.integers(-(1 << bits), 1 << bits, 41), 1 << rng.integers(0, 40, 41)
    whole, truth = TensorProto.INT64, TensorProto.BOOL
    np.testing.assert_array_equal(operator("Add", whole, a, b), a + b)
    np.testing.assert_array_equal(operator("Sub", whole, a, b), a - b)
    np.testing.assert_array_equal(operator("Div", whole, a, d), np.sign(a) * (np.abs(a) // d))
    np.testing.assert_array_equal(operator("Mod", whole, a, d), a % d)
    np.testing.assert_array_equal(operator("Abs", whole, a), np.abs(a))
    np.testing.assert_array_equal(operator("BitwiseAnd", whole, a, np.array((1 << 24) - 1)), a & ((1 << 24) - 1))
    for kind, compare in {"Greater": np.greater, "GreaterOrEqual": np.greater_equal, "Less": np.less, "Equal": np.equal}.items():
        for right in (b, a, np.array(b[0])):
            np.testing.assert_array_equal(operator(kind, truth, a, right), compare(a, right))
    np.testing.assert_array_equal(operator("Cast", TensorProto.INT32, a, to=TensorProto.INT32), a.astype(np.int32))
    np.testing.assert_array_equal(operator("Where", whole, a > b, a, b), np.where(a > b, a, b))
    m, n = a[:40].reshape(8, 5) >> max(0, bits - 31), b[:35].reshape(5, 7) >> max(0, bits - 20)
    np.testing.assert_array_equal(operator("MatMul", whole, m, n), m @ n)
    sums = (m >> 8)[:, None]
    np.testing.assert_array_equal(operator("ReduceSum", whole, sums, np.array([2]), keepdims=0), sums.sum(axis=2))


def test_no_body_uses_an_operator_that_is_not_trusted():
    for seed in range(6):
        model = onnx.ModelProto.FromString(fmt.to_bytes(Draw(seed).network()[0]))
        onnx.checker.check_model(model)
        used = {node.op_type for function in model.functions for node in function.node}
        assert not used & {"Clip", "Min", "Max", "Sign", "ConvInteger", "MatMulInteger"}


def test_intels_networks_are_equal(shared):
    """MNIST, TinyNet, Iris and both PilotNets, as their files give them; every word of every neuron."""
    for name, file, data, options, steps in intels(shared / "models"):
        network = converters.load(shared / "models" / name / file, options)
        pair = integer_pair_of(network, inject(network, {"input": data}), steps)
        assert pair.equal, f"{name}: {pair.first}"
        assert pair.compared > 50_000
        assert len(fmt.to_bytes(network)) < (shared / "models" / name / file).stat().st_size


def intels(models: Path):
    given = {name: np.load(models / f"netx_{name}" / "input.npz") for name in ("mnist", "tinynet", "iris", "pilotnet_lif", "pilotnet_sdnn")}
    spikes = np.random.default_rng(0).random((20, 4, 784)) < given["mnist"]["images"][:4].reshape(4, 784) / 255
    tiny = given["tinynet"]["input_bias"].transpose(2, 1, 0).astype(np.float64) - 34
    road = given["pilotnet_lif"]["image"].transpose(2, 1, 0).astype(np.float64) - 36
    frame = given["pilotnet_sdnn"]["input"][..., 0].transpose(2, 1, 0).astype(np.float64)
    yield "netx_mnist", "trained_mnist_network.net", spikes.astype(np.float64), Options(timesteps=20), None
    yield "netx_tinynet", "tiny.net", np.broadcast_to(tiny, (15, 1, *tiny.shape)), Options(timesteps=15), None
    yield "netx_iris", "network.net", np.broadcast_to(given["iris"]["x"], (8, 150, 4)), Options(timesteps=8, input_unit=0.1), None
    yield "netx_pilotnet_lif", "network.net", np.broadcast_to(road, (8, 1, *road.shape)), Options(timesteps=17), 8
    yield "netx_pilotnet_sdnn", "network.net", np.broadcast_to(frame, (6, 1, *frame.shape)), Options(), 6


@pytest.mark.slow
@pytest.mark.parametrize(("chip", "burst"), [("loihi2", "graded"), ("loihi1", "look-ahead-direct")])
def test_the_demo_network_is_equal(chip, burst):
    """Neuron programs with graded spikes; and plain neurons whose first layer the host computes."""
    options = Options(arch=f"{shipped.ARCH}(reset='hard')", input_shape=(1, 8, 8))
    samples = part(as_samples(str(shipped.TEST)), 0, 8)
    made = deploy.convert(
        str(shipped.WEIGHTS), samples, Wishes(chip=chip, burst=burst), options, "digits", calibration=str(shipped.CALIBRATION)
    )
    assert bool(made.network.host) == (chip == "loihi1")
    pair = integer_onnx_pair(*fed(made.network, part(samples, 0, 2), "direct", 0))
    assert pair.equal, pair.first
    assert pair.compared > 100_000


def test_products_of_delayed_synapses_wrap_one_by_one():
    rng = np.random.default_rng(4)
    dense = Dense(rng.integers(-(1 << 20), 1 << 20, (3, 4)), rng.integers(0, 3, (3, 4)))
    host = HostInput(20, signed=True)
    populations = {"x": Population("x", (4,), host), "n": Population("n", (3,), Lif(4095, 0, 40))}
    network = ChipNetwork("loihi2", populations, (Projection("a", "x", "n", dense, -3, graded=True),))
    data = rng.integers(*host.payloads, (6, 2, 4))
    assert (np.abs(data).max() * np.abs(dense.weights).max()) >= 1 << 31
    pair = integer_pair_of(network, {"x": data}, steps=9)
    assert pair.equal, pair.first
