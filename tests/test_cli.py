"""Every command as a user gives it: what is printed, what is written, and the exit code."""

from __future__ import annotations

import io
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
import numpy as np
import pytest
import rich.console
from click.testing import CliRunner

import converters
import snndeploy as sd
from snndeploy import deploy
from snndeploy.arrays import frozen
from snndeploy.cli import commands, main, options, terminal
from snndeploy.errors import OptionError
from snndeploy.flow import given
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output, Reshape
from snndeploy.ir.neurons.lif import LIF

ROOT = Path(__file__).resolve().parents[1]
T, SAMPLES = 5, 40


def chain(shape=(6,), decode="count", outputs=3):
    """Spikes -> 8 LIF -> LIF, read as ``decode`` says; weights that 8 bits hold exactly."""
    rng = np.random.default_rng(0)
    size = int(np.prod(shape))
    nodes = {
        "x": Input(shape), "flat": Reshape((size,)), "fc1": Linear(rng.integers(-6, 12, (8, size)) / 8), "lif1": LIF(frozen(0.5)),
        "fc2": Linear(rng.integers(-6, 12, (outputs, 8)) / 8), "lif2": LIF(frozen(0.5)), "y": Output(decode),
    }  # fmt: skip
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(nodes)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """``net.graph.onnx``, its data labelled by its own answers, and its conversion ``net.*.onnx`` in ``out``."""
    folder = tmp_path_factory.mktemp("made")
    converters.save(chain(), folder / "net.graph.onnx")
    x = (np.random.default_rng(1).random((SAMPLES, T, 6)) < 0.5).astype(np.uint8)
    np.savez(folder / "data.npz", x=x)
    answers = sd.run(folder / "net.graph.onnx", sd.Samples({"": x})).predictions
    np.savez(folder / "data.npz", x=x, y=answers)
    assert len(set(answers.tolist())) > 1
    ok = CliRunner().invoke(
        commands, ["convert", str(folder / "net.graph.onnx"), "--data", str(folder / "data.npz"), "-o", f"{folder}/out/"]
    )
    assert ok.exit_code == 0, ok.output
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    for path in made.rglob("*.*"):
        copy = tmp_path / path.relative_to(made)
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def arrays(path):
    """What an .npz holds, with the file closed."""
    with np.load(path) as file:
        return dict(file)


def snn(*arguments, code=0):
    said = CliRunner().invoke(commands, [str(a) for a in arguments], catch_exceptions=False)
    assert said.exit_code == code, said.output
    return said.stdout


def as_json(*arguments, code=0):
    text = snn(*arguments, "--json", code=code)
    assert text.count("\n") == 1
    return json.loads(text)


# ------------------------------------------------------------------------------------------------------- convert


def test_convert_writes_both_files_and_says_how_it_came_about(folder):
    said = snn("convert", "net.graph.onnx", "--data", "data.npz", "-o", "made/there")
    assert sorted(p.name for p in Path("made").iterdir()) == ["there.graph.onnx", "there.loihi2.onnx"]
    for words in (
        "there on Intel Loihi 2", "What each layer computes", "fc1", "Linear(weight=[8,6]", "Exactness  Exact", "Fidelity   100.0 %",
        "Passes", "Quantization", "integer graph", "ASSUMED input x carries spikes", "the quantizer saw too", "Not checked",
        "made/there.graph.onnx\n  made/there.loihi2.onnx",
    ):  # fmt: skip
        assert words in said
    assert max(map(len, said.splitlines())) <= 100


def test_the_same_conversion_gives_the_same_bytes_and_words(folder):
    first = snn("convert", "net.graph.onnx", "--data", "data.npz", "-o", "out/net")
    files = {p: p.read_bytes() for p in Path("out").iterdir()}
    assert snn("convert", "net.graph.onnx", "--data", "data.npz", "-o", "out/net") == first
    assert {p: p.read_bytes() for p in Path("out").iterdir()} == files
    assert len(files) == 2


def test_names_of_what_is_written(folder, monkeypatch):
    assert options.whole_numbers("1, 28,28", "-", "-") == (1, 28, 28)
    monkeypatch.chdir(folder / "out")
    snn("convert", "../net.graph.onnx", "--data", "../data.npz")
    assert {p.name for p in Path.cwd().iterdir()} == {"net.graph.onnx", "net.loihi2.onnx"}
    Path("sub").mkdir()
    snn("convert", "../net.graph.onnx", "--data", "../data.npz", "-o", "sub", "--chip", "loihi2:kapoho-point")
    assert {p.name for p in Path("sub").iterdir()} == {"net.graph.onnx", "net.loihi2.onnx"}


def test_convert_as_json(folder):
    found = as_json("convert", "net.graph.onnx", "--data", "data.npz", "-o", "new")
    assert found["schema"] == "snndeploy.convert/1"
    assert found["files"] == ["new.graph.onnx", "new.loihi2.onnx"]
    assert (found["ok"], found["verdict"], found["fits"]) == (True, "exact", True)
    assert found["fidelity"]["chip_accuracy"] == 1.0
    assert [layer["layer"] for layer in found["semantics"]] == ["x", "flat", "fc1", "lif1", "fc2", "lif2", "y"]
    assert {layer["source"] for layer in found["semantics"]} == {"file"}
    assert {"passes", "bursts", "quantization", "findings", "energy", "latency", "assumptions", "not_checked"} <= found.keys()


def test_less_accurate_than_allowed_is_exit_1_and_still_written(folder):
    bits = ("--weight-bits", "fc1=2,*=2")
    found = as_json("convert", "net.graph.onnx", "--data", "data.npz", "-o", "rough", *bits, code=1)
    assert found["verdict"] == "exact"
    assert found["ok"] is False
    assert found["fidelity"]["drop"] > 0.5
    assert {row["weight_bits"] for row in found["quantization"]} == {2}
    assert Path("rough.loihi2.onnx").exists()
    snn("verify", "rough.loihi2.onnx", "--data", "data.npz", code=1)
    snn("report", "rough.loihi2.onnx", "--data", "data.npz", code=1)
    snn("verify", "rough.loihi2.onnx", "--data", "data.npz", "--max-drop", "100")
    snn("report", "rough.loihi2.onnx", "--data", "data.npz", "--max-drop", "100")
    snn("convert", "net.graph.onnx", "--data", "data.npz", "-o", "rough", *bits, "--max-drop", "100")


def test_data_the_quantizer_never_saw(folder):
    whole = arrays("data.npz")
    np.savez("calibration.npz", x=whole["x"][:8])
    found = as_json("convert", "net.graph.onnx", "--data", "data.npz", "-o", "new", "--calibration", "calibration.npz")
    assert not any("quantizer saw too" in line for line in found["assumptions"])
    assert found["samples"] == SAMPLES
    few = as_json("convert", "net.graph.onnx", "--data", "data.npz", "-o", "new", "--calibration-samples", "4", "--samples", "10")
    assert few["samples"] == 10
    assert any("first 4 samples the quantizer saw too" in line for line in few["assumptions"])


def test_the_graph_alone_needs_no_data(folder):
    said = snn("convert", "net.graph.onnx", "--chip", "none", "-o", "copy")
    assert "copy, the float graph" in said
    assert Path("copy.graph.onnx").read_bytes() == Path("net.graph.onnx").read_bytes()
    assert not list(Path().glob("copy.loihi2.onnx"))
    found = as_json("convert", "net.graph.onnx", "--chip", "none", "-o", "copy")
    assert (found["chip"], found["files"]) == (None, ["copy.graph.onnx"])


def test_a_read_out_that_the_model_does_not_say(folder):
    converters.save(chain(decode="none", outputs=6), folder / "six.graph.onnx")
    found = as_json("convert", "six.graph.onnx", "--data", "data.npz", "-o", "six2", "--decode", "count+vote:2", "--max-drop", "100")
    assert any("read by count+vote:2 (--decode)" in line for line in found["assumptions"])
    assert "Output(decode=count, vote=2)" in snn("show", "six2.graph.onnx")
    assert as_json("run", "six2.loihi2.onnx", "--data", "data.npz")["accuracy"] is not None
    assert max(as_json("run", "six2.loihi2.onnx", "--data", "data.npz")["predictions"]) < 3


@pytest.mark.parametrize("text", ["count+sum", "vote:2+vote:3", "none", ""])
def test_read_outs_that_are_none(text):
    with pytest.raises(OptionError, match="no read-out"):
        given.with_decoding(converters.Loaded(chain()), text)


def test_a_changed_read_out_is_not_held_against_the_models_own_answers():
    witness = converters.Witness(T, {"x": np.zeros((T, 1, 6))}, {"y": np.full((1, 3), 7.0)})
    loaded = given.with_decoding(converters.Loaded(chain(), witness=witness), "mean")
    assert loaded.witness is not None
    assert loaded.witness.outputs == {}
    d = deploy.convert(loaded, (np.random.default_rng(3).random((9, T, 6)) < 0.5).astype(float))
    assert "original model" not in {p.a for p in d.verdict.pairs}


# --------------------------------------------------------------------------------------------------------- check


def test_check_fits_and_writes_nothing(folder):
    before = set(folder.rglob("*"))
    said = snn("check", "net.graph.onnx", "--data", "data.npz")
    assert "Fits: " in said
    assert "ASSUMED: random spikes" not in said
    found = as_json("check", "net.graph.onnx", "--data", "data.npz", "--chip", "loihi2")
    assert (found["schema"], found["fits"], found["chip"]) == ("snndeploy.check/1", True, "loihi2")
    assert {"code", "severity", "where", "value", "limit", "why", "fix"} <= found["findings"][0].keys()
    assert set(folder.rglob("*")) == before


# -------------------------------------------------------------------------------------------------- saved networks


def test_show_is_the_text_of_the_noun(folder):
    assert snn("show", "net.graph.onnx") == f"{chain()}\n"
    found = as_json("show", "out/net.loihi2.onnx")
    assert found["schema"] == "snndeploy.show/1"
    assert found["text"].startswith("chip network")


def test_run_has_the_keys_of_the_contract(folder):
    found = as_json("run", "out/net.loihi2.onnx", "--data", "data.npz")
    keys = ["schema", "file", "chip", "samples", "steps", "accuracy", "layers", "events", "engine", "seconds", "predictions", "assumptions"]
    assert set(keys) <= found.keys()
    assert (found["chip"], found["samples"], found["accuracy"]) == ("loihi2", SAMPLES, 1.0)
    assert {"name", "neurons", "spikes_per_sample", "rate"} <= found["layers"][0].keys()
    assert {"synaptic_ops", "neuron_updates_active", "neuron_updates_idle", "messages"} <= found["events"].keys()
    graph = as_json("run", "net.graph.onnx", "--data", "data.npz")
    assert graph["chip"] is None
    assert graph["predictions"] == found["predictions"] == arrays("data.npz")["y"].tolist()


def test_run_as_text_says_what_was_assumed(folder):
    kept = arrays("data.npz")
    np.savez("data.npz", x=kept["x"], extra=np.zeros(3))
    said = snn("run", "out/net.loihi2.onnx", "--data", "data.npz")
    assert "accuracy: no labels" in said
    assert "Assumed\n-------\n  - not used: extra" in said


def test_static_data_are_encoded(folder):
    np.savez("static.npz", x=np.random.default_rng(5).random((6, 6)))
    runs = [as_json("run", "net.graph.onnx", "--data", "static.npz", "--timesteps", 9, "--encode", "rate", "--seed", s) for s in (0, 0, 1)]
    assert [r["steps"] for r in runs] == [9, 9, 9]
    spikes = [[layer["spikes_per_sample"] for layer in r["layers"]] for r in runs]
    assert spikes[0] == spikes[1] != spikes[2]


def test_verify_holds_every_executor_that_is_there(folder):
    pytest.importorskip("onnxruntime")
    found = as_json("verify", "out/net.loihi2.onnx", "--data", "data.npz")
    assert {"schema", "verdict", "pairs", "fidelity", "proofs"} <= found.keys()
    assert found["verdict"] == "exact"
    assert [(p["a"], p["b"], p["different"]) for p in found["pairs"]] == [
        ("int64 definition", "chip simulator", 0), ("reference", "onnxruntime", 0), ("onnxruntime, integers", "chip simulator", 0),
    ]  # fmt: skip
    assert found["fidelity"]["chip_accuracy"] == 1.0
    assert found["not_checked"] == []
    assert "Exactness: Exact." in snn("verify", "out/net.graph.onnx", "--data", "data.npz")


def test_data_of_code_are_made_once_and_those_that_were_verified_are_certified(folder):
    """A factory that gives other samples each time: the certificate holds those that the verdict is about."""
    text = "import numpy as np\ndef made():\n    with open('made.txt', 'a') as file:\n        file.write('x')\n"
    Path("made.py").write_text(text + "    with np.load('data.npz') as file:\n        return file['x'][:4]\n", encoding="utf-8")
    snn("convert", "net.graph.onnx", "--data", "data.npz", "-o", "own")
    snn("verify", "own.loihi2.onnx", "--data", "made.py:made", "--certificate", "own.json")
    assert Path("made.txt").read_text(encoding="utf-8") == "x"


def test_two_outputs_are_two_files(folder):
    """Neither is there yet, and one would be written over the other."""
    how = ["--data", "data.npz", "--certificate", "a.json", "--report", "./a.json"]
    said = CliRunner().invoke(commands, ["convert", "net.graph.onnx", *how])
    assert said.exit_code == 2
    assert "./a.json is the certificate itself" in said.stderr
    assert not Path("a.json").exists()


def test_much_that_a_library_prints_takes_no_time(folder, monkeypatch):
    monkeypatch.setattr("snndeploy.deploy.show", lambda *_: print('{"a": 1}\nloading\n' * 30_000) or "text")  # noqa: T201
    began = time.perf_counter()
    assert as_json("show", "net.graph.onnx")["text"] == "text"
    assert time.perf_counter() - began < 5


def test_verify_says_what_was_not_checked(folder, monkeypatch):
    monkeypatch.setenv("SNNDEPLOY_LAVA_PYTHON", "nowhere")
    Path("alone.loihi2.onnx").write_bytes(Path("out/net.loihi2.onnx").read_bytes())
    found = as_json("verify", "alone.loihi2.onnx", "--data", "data.npz", "--against", "graph,chip")
    assert found["not_checked"] == ["float graph: no .graph.onnx beside this file"]
    refused = as_json("verify", "alone.loihi2.onnx", "--data", "data.npz", "--against", "graph,chip,lava", code=2)
    assert "doctor --setup-lava" in refused["hint"]
    nothing = as_json("verify", "alone.loihi2.onnx", "--data", "data.npz", "--against", "graph", code=1)
    assert nothing["verdict"] == "not_checked"
    Path("alone.onnx").write_bytes(Path("net.graph.onnx").read_bytes())
    assert any(
        ".<chip>.onnx" in line for line in as_json("verify", "alone.onnx", "--data", "data.npz", "--against", "chip", code=1)["not_checked"]
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    absent = as_json("verify", "out/net.loihi2.onnx", "--data", "data.npz")
    assert absent["not_checked"] == ["onnxruntime: not installed (pip install 'snndeploy[onnxruntime]')"]


def test_a_chip_network_that_differs_is_exit_1(folder, monkeypatch):
    """The fast simulator made to drop spikes: verify must see it."""
    from snndeploy.flow import saved

    run = saved.run_chip

    def lossy(network, values, exact=False):
        return run(network, values, exact=exact) if exact else run(network, {n: np.zeros_like(v) for n, v in values.items()})

    monkeypatch.setattr(saved, "run_chip", lossy)
    found = as_json("verify", "out/net.loihi2.onnx", "--data", "data.npz", "--against", "chip", code=1)
    assert found["verdict"] == "different"
    assert found["pairs"][0]["first"]["layer"]


def test_report_in_every_form(folder):
    text = snn("report", "out/net.loihi2.onnx", "--data", "data.npz")
    assert "Energy" in text
    assert "An estimate from published numbers" in text
    for name in ("r.txt", "r.json", "deep/er/r.html"):
        assert snn("report", "out/net.loihi2.onnx", "--data", "data.npz", "-o", name) == f"wrote {name}\n"
    assert Path("r.txt").read_text(encoding="utf-8") == text
    found = as_json("report", "out/net.loihi2.onnx", "--data", "data.npz")
    assert found.keys() == json.loads(Path("r.json").read_text(encoding="utf-8")).keys()
    assert {"value", "low", "high", "unit"} == found["energy"]["per_inference"].keys()
    assert {"energy", "latency", "cores", "chips"} <= found.keys()
    page = Path("deep/er/r.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "net on Intel Loihi 2" in page
    assert not [p.name for p in folder.rglob("*.tmp")]


# --------------------------------------------------------------------------------------------------------- events


@pytest.fixture
def events(folder):
    """Twelve recordings of a 2 x 3 camera, 500 microseconds each, and the chip network for them in five steps of 100."""
    rng, recordings, each = np.random.default_rng(2), 12, 60
    t = np.sort(rng.integers(0, 500, (recordings, each)), axis=1).ravel()
    place = {name: rng.integers(0, high, recordings * each) for name, high in {"x": 3, "y": 2, "p": 2}.items()}
    np.savez("events.npz", t=t, offset=np.arange(recordings + 1) * each, label=rng.integers(0, 3, recordings), **place)
    converters.save(chain((2, 2, 3)), folder / "camera.graph.onnx")
    snn("convert", "camera.graph.onnx", "--data", "events.npz", "--bin-us", 100, "-o", "cam", "--max-drop", 100)
    return folder


def test_events_are_binned_where_data_are_read(events):
    for how in (["--bin-us", 100], ["--frames", 5], ["--frames", 5, "--split-by", "time"], ["--bin-us", 100, "--sensor", "2,3"]):
        found = as_json("run", "cam.loihi2.onnx", "--data", "events.npz", *how)
        assert found["samples"] == 12
    graph = as_json("run", "camera.graph.onnx", "--data", "events.npz", "--bin-us", 50, "--timesteps", 4)
    assert graph["steps"] == 4
    assert any("lie after step 4" in line for line in graph["assumptions"])


def test_a_model_whose_input_cuts_the_events_is_read_once(events, monkeypatch):
    reads, read = [], deploy.read
    monkeypatch.setattr(deploy, "read", lambda model, *how: reads.append(model) or read(model, *how))
    for command in (["convert", "-o", "again", "--max-drop", 100], ["check"]):
        snn(*command, "camera.graph.onnx", "--data", "events.npz", "--bin-us", 100)
        assert reads.count("camera.graph.onnx") == 1
        reads.clear()


def test_the_camera_is_as_large_as_the_networks_input(events):
    """No event in the last column: the frames still have the network's three columns."""
    kept = arrays("events.npz")
    np.savez("events.npz", **{**kept, "x": np.minimum(kept["x"], 1)})
    assert as_json("run", "cam.loihi2.onnx", "--data", "events.npz", "--bin-us", 100)["samples"] == 12
    said = CliRunner().invoke(commands, ["run", "cam.loihi2.onnx", "--data", "events.npz", "--bin-us", "100", "--sensor", "2"])
    assert said.exit_code == 2
    assert "'2' is not two numbers" in said.stderr
    said = CliRunner().invoke(commands, ["run", "cam.loihi2.onnx", "--data", "events.npz"])
    assert "must be binned" in said.stderr


# --------------------------------------------------------------------------------------------------- this machine


def test_chips_lists_profiles_and_boards():
    said = snn("chips")
    assert "loihi2     Intel Loihi 2 (2021)  simulated    estimated" in said
    assert "truenorth  IBM TrueNorth (2014)  priced only" in said
    assert "loihi2:kapoho-point         8" in said
    found = as_json("chips")
    assert [chip["id"] for chip in found["chips"]] == sd.profile_names()
    assert found["chips"][1]["boards"]["kapoho-point"] == 8


def test_doctor_says_what_is_installed_and_what_is_not(monkeypatch):
    said = snn("doctor")
    assert "numpy" in said
    assert np.__version__ in said
    assert "numpy: exact integers" in said
    assert ".onnx" in said
    found = as_json("doctor")
    assert found["packages"]["numpy"] == np.__version__
    assert found["chips"] == sd.profile_names()
    monkeypatch.setattr("importlib.metadata.version", lambda name: (_ for _ in ()).throw(_absent(name)))
    said = " ".join(snn("doctor").split())
    assert "torch not installed; pip install 'snndeploy[torch]'" in said
    assert "numpy not installed, and needed; pip install numpy" in said


def _absent(name):
    from importlib.metadata import PackageNotFoundError

    return PackageNotFoundError(name)


def test_every_command_explains_itself():
    said = snn("--help")
    for name, command in commands.commands.items():
        assert name in said
        assert (command.short_help or "")[:30] in said
        assert "--json" in snn(name, "--help")
    assert snn("--version") == f"snndeploy, version {sd.__version__}\n"


def test_what_later_versions_bring_is_no_option_yet(folder):
    said = CliRunner().invoke(commands, ["convert", "net.graph.onnx", "--fix"])
    assert said.exit_code == 2
    assert "No such option" in said.stderr
    assert CliRunner().invoke(commands, ["verify", "a", "--max-drop", "nan"]).exit_code == 2
    assert CliRunner().invoke(commands, ["sweep"]).exit_code == 2


# ----------------------------------------------------------------------------------------------- the whole program


def shell(*arguments, folder=None, **environment):
    known = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment}
    command = [sys.executable, "-m", "snndeploy", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, check=False)


def test_the_program_runs_and_returns_the_exit_code(folder):
    assert shell("show", "net.graph.onnx", folder=folder).stdout == f"{chain()}\n"
    said = shell("show", "none.onnx", folder=folder)
    assert (said.returncode, said.stdout) == (2, "")
    assert "Traceback" not in said.stderr


def test_a_foreign_package_of_the_same_name_is_named(tmp_path):
    (tmp_path / "converters").mkdir()
    (tmp_path / "converters" / "__init__.py").write_text("", encoding="utf-8")
    said = shell("chips", folder=tmp_path, PYTHONPATH=os.pathsep.join([str(tmp_path), str(ROOT)]))
    assert said.returncode == 2
    assert f"the package 'converters' at {tmp_path}" in said.stderr
    assert "hint: rename it" in said.stderr
    assert "Traceback" not in said.stderr


def test_foreign_profiles_are_named(monkeypatch):
    monkeypatch.setattr("snndeploy.cli.refusing.profile_names", lambda: ["mine"])
    said = CliRunner().invoke(commands, ["chips"])
    assert said.exit_code == 2
    assert "'hw_profiles' is not snndeploy's" in said.stderr


def test_a_reader_that_leaves_early_is_no_error(folder):
    """``snndeploy show FILE | head -1``."""
    known = {**os.environ, "PYTHONPATH": str(ROOT)}
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        command = [sys.executable, "-m", "snndeploy", "show", "net.graph.onnx"]
        said = subprocess.run(command, cwd=folder, env=known, stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert "Traceback" not in said.stderr
    assert "hint" not in said.stderr


def raising(error):
    def command(*_arguments, **_given):
        raise error

    return command


def test_interrupted_is_130(monkeypatch):
    monkeypatch.setattr(deploy, "show", raising(KeyboardInterrupt()))
    said = CliRunner().invoke(commands, ["show", "x"])
    assert (said.exit_code, said.stderr) == (130, "interrupted\n")


def test_too_little_memory_is_said(monkeypatch):
    monkeypatch.setattr(deploy, "show", raising(MemoryError()))
    said = CliRunner().invoke(commands, ["show", "x"])
    assert said.exit_code == 2
    assert "hint: use fewer samples" in said.stderr


def test_a_closed_pipe_is_left_to_click(monkeypatch):
    monkeypatch.setattr(deploy, "show", raising(BrokenPipeError(32, "Broken pipe")))
    assert CliRunner().invoke(commands, ["show", "x"]).exit_code == 1


def test_a_defect_is_one_line_and_a_request(monkeypatch, capsys):
    monkeypatch.setattr(deploy, "show", raising(ZeroDivisionError("division by zero")))
    monkeypatch.setattr(sys, "argv", ["snndeploy", "show", "x"])
    monkeypatch.delenv("SNNDEPLOY_DEBUG", raising=False)
    with pytest.raises(SystemExit) as leaving:
        main()
    assert leaving.value.code == 70
    said = capsys.readouterr().err
    assert f"defect in snndeploy {sd.__version__}: ZeroDivisionError: division by zero" in said
    assert "SNNDEPLOY_DEBUG=1" in said
    monkeypatch.setenv("SNNDEPLOY_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main()


def test_a_bar_moves_on_a_terminal_only(monkeypatch):
    shown = io.StringIO()
    console = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda **_: console(file=shown, force_terminal=True, width=80))
    with terminal.working("converting"):
        pass
    assert "converting" in shown.getvalue()
    monkeypatch.setattr(rich.console, "Console", lambda **_: console(file=shown, force_terminal=False, width=80))
    before = shown.getvalue()
    with terminal.working("again"):
        pass
    assert shown.getvalue() == before


# --------------------------------------------------------------------------------------------------- certificates
def test_convert_certifies_passes_bursts_ranges_and_proofs(folder):
    pytest.importorskip("z3")
    found = as_json("convert", "net.graph.onnx", "--data", "data.npz", "-o", "new/net", "--prove", "--certificate", "new/c.json")
    assert found["files"] == ["new/net.graph.onnx", "new/net.loihi2.onnx", "new/c.json"]
    assert {p["status"] for p in found["proofs"]} == {"proved"}
    body = json.loads(Path("new/c.json").read_text(encoding="utf-8"))
    assert {f["role"]: f["path"] for f in body["files"]} == {
        "program": "net.loihi2.onnx",
        "graph": "net.graph.onnx",
        "data": "../data.npz",
        "model": "../net.graph.onnx",
        "profile": "hw_profiles/loihi2.toml",
    }
    assert {p["name"] for p in body["passes"]} >= {"readout", "batchnorm", "merge"}
    assert all(p["pair"]["equal"] for p in body["passes"])
    assert {q["layer"] for q in body["quantization"]} == {"lif1", "lif2"}
    assert all(q["bound"] > 0 for q in body["quantization"])
    assert body["verdict"] == "exact"
    assert len(body["proofs"]) == len(found["proofs"])
    again = as_json("verify", "--certificate", "new/c.json")
    assert {c["what"] for c in again["checks"]} >= {"graph net.graph.onnx", "model ../net.graph.onnx", "layer lif1", "predictions"}
    Path("net.graph.onnx").unlink()
    Path("new/net.graph.onnx").unlink()
    trusted = as_json("verify", "--certificate", "new/c.json")["trusted"]
    assert sum("is not there" in line for line in trusted) == 2


def test_a_certificate_is_shown_on_the_page_of_its_own_network(folder):
    snn("verify", "out/net.loihi2.onnx", "--data", "data.npz", "--certificate", "out/c.json")
    snn("report", "out/net.loihi2.onnx", "--data", "data.npz", "--certificate", "out/c.json", "-o", "r.html")
    assert "<h2>Certificate</h2>" in Path("r.html").read_text(encoding="utf-8")
    assert (
        "is not a certificate of"
        in CliRunner().invoke(commands, ["report", "out/net.graph.onnx", "--data", "data.npz", "--certificate", "out/c.json"]).output
    )


def test_evidence_of_what_is_not_made_is_refused(folder):
    base = ("convert", "net.graph.onnx", "--data", "data.npz")
    for more in (("--chip", "none", "--prove"), ("--chip", "none", "--certificate", "c.json"), ("--certificate", "net.graph.onnx")):
        assert CliRunner().invoke(commands, [*base, *more]).exit_code == 2
    assert CliRunner().invoke(commands, ["convert", "net.graph.onnx", "--certificate", "c.json"]).exit_code == 2
    for more in (("--prove",), ("--certificate", "c.json")):
        refused = CliRunner().invoke(commands, ["convert", "out/net.loihi2.onnx", "--data", "data.npz", "-o", "again", *more])
        assert refused.exit_code == 2
        assert "are about a conversion" in refused.output
    assert not Path("c.json").exists()


def test_a_network_that_was_put_on_a_chip_as_it_is_can_be_certified(folder):
    snn("convert", "out/net.loihi2.onnx", "--data", "data.npz", "-o", "again/net")
    snn("verify", "again/net.loihi2.onnx", "--data", "data.npz", "--samples", "7", "--against", "chip", "--certificate", "c.json")
    assert json.loads(Path("c.json").read_text(encoding="utf-8"))["run"]["samples"] == 7
    assert as_json("verify", "--certificate", "c.json")["ok"] is True


# ----------------------------------------------------------------------------------------------------------- demo


@pytest.mark.slow
def test_the_demo_holds_all_it_claims(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    found = as_json("demo")
    assert found["schema"] == "snndeploy.demo/1"
    assert [claim for claim in found["claims"] if not claim["holds"]] == []
    assert found["ok"] is True
    layers = ("neuron1", "block.neuron1", "block.neuron2", "neuron2")
    kinds = {"": "graded", "plain neurons: ": "ping-pong", "plain neurons:  ": "ping-pong-direct", "subtracting reset: ": "lateral"}
    claimed = {claim["claim"]: claim["found"] for claim in found["claims"]}
    for prefix, construction in kinds.items():
        for layer in layers:
            said = claimed[f"{prefix.strip()} {layer} as {construction}".strip()]
            assert said.startswith("0 of ")
            assert not said.startswith("0 of 0 ")
            assert said.endswith("rung indices differ")
    assert {p.name for p in Path("demo-out").iterdir()} == {Path(name).name for name in found["files"]}
    assert len(found["files"]) == 5
    (certified,) = [c for c in found["claims"] if c["claim"].startswith("the certificate")]
    assert certified["holds"]
    page = Path("demo-out/report.html").read_text(encoding="utf-8")
    assert all(word in page for word in ("<h2>Certificate</h2>", "certificate.data.npz", "nothing ran on silicon"))
    assert as_json("verify", "--certificate", "demo-out/certificate.json")["ok"] is True
    assert "</html>" in Path("demo-out/report.html").read_text(encoding="utf-8")


def test_a_demo_that_does_not_hold_says_so(monkeypatch):
    from snndeploy.cli.demo import Claim, _text

    said = _text([Claim("a", "0 of 9 differ", True), Claim("b", "1 of 9 differ", False)], ["r.html"], ["onnxruntime"], 2.0)
    assert "1 of 2 claims do not hold." in said
    assert "NO" in said


def test_click_is_met_by_the_command_line_only():
    assert isinstance(commands, click.Group)
    code = "import sys, snndeploy; print('click' in sys.modules, 'rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout == "False False\n"
