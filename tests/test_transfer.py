"""Networks that are integers already: put on a chip as they are, and refused where that would need other integers."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import snn

import converters
import snndeploy as sd
from snndeploy.chip.models import HostInput, Lif, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Readout
from snndeploy.cli import commands
from snndeploy.errors import DoesNotFit, ModelError, OptionError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF

h5py = pytest.importorskip("h5py")
T, SAMPLES = 6, 20


def layers():
    rng = np.random.default_rng(2)
    for index, size in enumerate(((5, 4), (3, 5))):
        yield f"layer/{index}", {
            "type": b"dense", "shape": size[0], "weight": 2 * rng.integers(-45, 55, size),
            "inFeatures": size[1], "outFeatures": size[0], "neuron/type": b"CUBA",
            "neuron/iDecay": 4096, "neuron/vDecay": 123, "neuron/vThMant": 80, "neuron/wgtExp": 0,
        }  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dense .net file, and spikes labelled by what it answers."""
    with h5py.File(tmp_path / "small.net", "w") as handle:
        for group, fields in layers():
            for key, value in fields.items():
                handle[f"{group}/{key}"] = value
    x = (np.random.default_rng(1).random((SAMPLES, T, 4)) < 0.5).astype(np.uint8)
    y = sd.run(tmp_path / "small.net", sd.Samples({"": x})).predictions
    np.savez(tmp_path / "data.npz", x=x, y=y)
    assert len(set(y.tolist())) > 1
    monkeypatch.chdir(tmp_path)
    return tmp_path


def integers(network):
    """Everything of a network but the names of chip and steps."""
    fixed = {n: (p.shape, p.shift, repr(p.model)) for n, p in network.populations.items()}
    return fixed, {p.name: (p.synapses.weights.tolist(), p.exponent, p.delay, p.graded) for p in network.projections}


@pytest.mark.parametrize("chip", ["loihi1", "loihi2", "loihi2:kapoho-point"])
def test_the_program_of_a_net_file_is_that_files_integers(folder, chip):
    made = json.loads(snn("convert", "small.net", "--chip", chip, "--data", "data.npz", "-o", "out/small", "--json"))
    assert made["ok"]
    assert made["fidelity"]["chip_accuracy"] == 1.0
    assert made["fidelity"]["float_accuracy"] is None
    assert made["files"] == [f"out/small.{chip.split(':')[0]}.onnx"]
    written = converters.load(made["files"][0])
    assert integers(written) == integers(converters.load("small.net"))
    assert (written.chip, written.steps) == (chip, T)
    assert json.loads(snn("run", made["files"][0], "--data", "data.npz", "--json"))["accuracy"] == 1.0
    assert json.loads(snn("verify", made["files"][0], "--data", "data.npz", "--json"))["verdict"] == "exact"


def test_one_chips_network_on_another(folder):
    snn("convert", "small.net", "--data", "data.npz")
    text = snn("convert", "small.loihi2.onnx", "--chip", "loihi1", "--data", "data.npz")
    assert "made for loihi2; here they run on loihi1 unchanged" in " ".join(text.split())
    assert "of 20 right on the chip; no float network to compare with" in " ".join(text.split())
    assert integers(converters.load("small.loihi1.onnx")) == integers(converters.load("small.loihi2.onnx"))
    snn("convert", "small.loihi2.onnx", "--data", "data.npz", code=2)  # it would overwrite itself


def test_check_holds_the_integers_against_the_chip(folder):
    found = json.loads(snn("check", "small.net", "--chip", "loihi1", "--json"))
    assert found["fits"]
    weights = np.random.default_rng(0).integers(1, 9, (5, 4))
    populations = {
        "in": Population("in", (4,), HostInput(8)),
        "sd": Population("sd", (5,), SigmaDelta(1)),
        "out": Population("out", (5,), Lif(0, 0, 1)),
    }
    projections = (Projection("a", "in", "sd", Dense(weights), graded=True), Projection("b", "sd", "out", Dense(np.eye(5, dtype=int))))
    converters.save(ChipNetwork("loihi2", populations, projections, Readout("out"), T), folder / "sigma.loihi2.onnx")
    found = json.loads(snn("check", "sigma.loihi2.onnx", "--chip", "loihi1", "--json", code=1))
    assert {(f["code"], f["where"]) for f in found["findings"] if f["severity"] == "blocker"} == {("L010", "sd"), ("L012", "in")}
    refused = CliRunner().invoke(commands, ["convert", "sigma.loihi2.onnx", "--chip", "loihi1", "--data", "data.npz"])
    assert refused.exit_code == 1
    assert "L010 blocker sd" in refused.output
    assert not (folder / "sigma.loihi1.onnx").exists()
    assert "random spikes" not in snn("check", "small.net")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--weight-bits", "4"), "--weight-bits: chooses integers, and this file holds them already"),
        (("--burst", "graded"), "--burst: chooses integers"),
        (("--calibration", "data.npz"), "--calibration: is for the quantizer"),
        (("--chip", "none"), "small.net: is a chip network already"),
        (("--decode", "nonsense"), "--decode: 'nonsense' is no read-out"),
        (("--source", "norse"), "--source: 'norse' writes no .net files"),
        (("--input-unit", "-1"), "--input-unit: is -1.0"),
    ],
)
def test_what_integers_cannot_follow(folder, more, words):
    assert words in snn("convert", "small.net", "--data", "data.npz", *more, code=2)
    assert not list(folder.glob("*.onnx"))


def test_in_python(folder):
    data = np.load("data.npz")
    made = sd.transfer("small.net", (data["x"], data["y"]), chip="loihi1", decode="last", name="mine")
    assert made.ok
    assert (made.network.readout.population, made.network.readout.decode) == ("dense1", "last")
    with pytest.raises(ModelError, match="is a chip network already") as refusal:
        sd.convert("small.net", data["x"])
    assert "sd.transfer" in refusal.value.hint
    weights = np.ones((2, 4))
    graph = Graph({"x": Input((4,)), "fc": Linear(weights), "lif": LIF(np.float64(0.5)), "y": Output()},
                  (Edge("x", "fc"), Edge("fc", "lif"), Edge("lif", "y")))  # fmt: skip
    with pytest.raises(ModelError, match="is a float network"):
        sd.transfer(converters.Loaded(graph), data["x"])
    silent = ChipNetwork("loihi2", made.network.populations, made.network.projections, None, T)
    with pytest.raises(OptionError, match="no population that is read"):
        sd.transfer(silent, data["x"], decode="count")
    assert sd.transfer(silent, (data["x"], data["y"])).verdict.fidelity is None


def test_what_a_file_does_not_say_is_said_to_every_command(folder):
    """Real inputs in tenths: the unit is in no .net file."""
    x = np.random.default_rng(2).integers(0, 40, (SAMPLES, 4)) / 10
    np.savez("real.npz", x=x)
    shared = ("--data", "real.npz", "--timesteps", "6", "--input-unit", "0.1")
    first = json.loads(snn("run", "small.net", *shared, "--json"))
    assert json.loads(snn("convert", "small.net", *shared, "-o", "real", "--json"))["ok"]
    again = json.loads(snn("run", "real.loihi2.onnx", "--data", "real.npz", "--json"))
    assert (first["predictions"], first["layers"]) == (again["predictions"], again["layers"])
    assert json.loads(snn("verify", "small.net", *shared, "--against", "chip", "--json"))["verdict"] == "exact"
    assert json.loads(snn("report", "small.net", *shared, "--json"))["energy"]
    assert "input: HostInput" in snn("show", "small.net", "--source", "bootstrap")
    assert "known: bootstrap, slayer" in snn("run", "small.net", *shared, "--source", "norse", code=2)


def test_iris_and_mnist_come_through_the_door(shared, folder):
    """The shared files: 143 of 150, and the spikes of the expected file."""
    given = np.load(shared / "models" / "netx_iris" / "input.npz")
    options = converters.Options(timesteps=8, input_unit=0.1)
    made = sd.transfer(shared / "models" / "netx_iris" / "network.net", (given["x"], given["y"]), None, options)
    assert made.verdict.fidelity.chip_accuracy == 143 / 150
    with pytest.raises(DoesNotFit, match="L012 blocker input"):
        sd.transfer(shared / "models" / "netx_iris" / "network.net", given["x"], None, options, chip="loihi1")
