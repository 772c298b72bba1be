"""Bad input through the real command line: an exit code, where and what, a hint, and nothing touched."""

from __future__ import annotations

import itertools
import json
import os
import pickle
import re
import struct
import zipfile
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

import converters
from snndeploy.arrays import frozen
from snndeploy.cli import commands
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF

T, SAMPLES = 5, 16
CODE = """
from torch import nn
from snndeploy.nn import LIF, reset

class Net(nn.Module):
    def __init__(self, tau=2.0, hidden=4):
        super().__init__()
        self.fc1, self.lif1 = nn.Linear(6, hidden), LIF(tau=tau)
        self.fc2, self.lif2 = nn.Linear(hidden, 3), LIF()

    def forward(self, x):
        reset(self)
        return sum(self.lif2(self.fc2(self.lif1(self.fc1(x)))) for _ in range(5))
"""
PT = ("net.pt", "--arch", "net.py:Net", "--input-shape", "6")


def network():
    """6 spikes -> 4 LIF -> 3 LIF, counted."""
    rng = np.random.default_rng(0)
    nodes = {
        "x": Input((6,)), "fc1": Linear(rng.integers(-8, 9, (4, 6)) / 8), "lif1": LIF(frozen(0.5)),
        "fc2": Linear(rng.integers(-8, 9, (3, 4)) / 8), "lif2": LIF(frozen(0.5)), "y": Output("count"),
    }  # fmt: skip
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with a model, its data, and what an earlier conversion and report left."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(1)
    converters.save(network(), folder / "net.graph.onnx")
    np.savez(folder / "data.npz", x=(rng.random((SAMPLES, T, 6)) < 0.5).astype(np.uint8), y=rng.integers(0, 3, SAMPLES))
    (folder / "net.py").write_text(CODE, encoding="utf-8")
    said = CliRunner().invoke(
        commands,
        ["convert", str(folder / "net.graph.onnx"), "--data", str(folder / "data.npz"), "-o", str(folder / "old"), "--max-drop", "100"],
    )
    assert said.exit_code == 0, said.output
    (folder / "report.html").write_text("an older report", encoding="utf-8")
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy of it to spoil, as the current folder."""
    for path in made.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def weights(folder):
    """The same folder with ``net.pt`` in it."""
    torch = pytest.importorskip("torch")
    made: dict = {}
    exec(CODE, made)
    torch.manual_seed(0)
    torch.save(made["Net"]().state_dict(), folder / "net.pt")
    return folder


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts}


def refused(*arguments, code=2):
    """Run, and hold what every refusal owes; what was said on standard error."""
    before = contents(Path.cwd())
    said = CliRunner().invoke(commands, [str(a) for a in arguments], catch_exceptions=False)
    assert said.exit_code == code, said.output
    assert "Traceback" not in said.output
    assert said.stderr.splitlines()[-1].startswith("hint: ")
    assert len(said.stderr.splitlines()[-1]) > len("hint: ")
    assert said.stdout == ""
    assert contents(Path.cwd()) == before
    return said.stderr


def convert(*arguments, code=2):
    """A conversion that would overwrite the old outputs, if it ran."""
    return refused("convert", *arguments, "--data", "data.npz", "-o", "old", code=code)


def test_the_same_conversion_works_when_nothing_is_wrong(folder):
    """The refusals below are not those of a broken test."""
    before = contents(folder)
    arguments = ["convert", "net.graph.onnx", "--data", "data.npz", "-o", "old", "--max-drop", "100", "--weight-bits", "4"]
    assert CliRunner().invoke(commands, arguments).exit_code == 0
    assert contents(folder)[folder / "old.loihi2.onnx"] != before[folder / "old.loihi2.onnx"]


def test_a_state_dict_converts_when_nothing_is_wrong(weights):
    said = CliRunner().invoke(commands, ["convert", *PT, "--data", "data.npz", "--timesteps", str(T), "-o", "new", "--max-drop", "100"])
    assert said.exit_code == 0, said.output


# ------------------------------------------------------------------------------------------------------ files


def test_a_missing_model_and_its_likely_name(folder):
    assert "net.grph.onnx: there is no such file\nhint: did you mean net.graph.onnx" in convert("net.grph.onnx")


@pytest.mark.parametrize("command", ["run", "verify", "report"])
def test_missing_files_in_every_command(folder, command):
    assert "there is no such file" in refused(command, "none.onnx", "--data", "data.npz")
    assert "none.npz: there is no such file" in refused(command, "old.loihi2.onnx", "--data", "none.npz")


def test_show_of_nothing(folder):
    assert "there is no such file" in refused("show", "none.onnx")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("name", ["net.graph.onnx", "old.loihi2.onnx"])
def test_an_onnx_file_that_was_cut_short(folder, name, share):
    whole = Path(name).read_bytes()
    Path(name).write_bytes(whole[: int(len(whole) * share)])
    said = refused("run", name, "--data", "data.npz")
    assert ("is empty (0 bytes)" in said) == (share == 0)
    if name == "net.graph.onnx":
        convert(name)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_data_that_were_cut_short(folder, share):
    whole = Path("data.npz").read_bytes()
    Path("data.npz").write_bytes(whole[: int(len(whole) * share)])
    said = convert("net.graph.onnx")
    assert said.startswith("data.npz: is ")
    assert refused("run", "old.loihi2.onnx", "--data", "data.npz") == said


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_weights_that_were_cut_short(weights, share):
    whole = Path("net.pt").read_bytes()
    Path("net.pt").write_bytes(whole[: int(len(whole) * share)])
    assert "net.pt: " in convert(*PT)


class Malicious:
    """Unpickling it runs a command."""

    def __reduce__(self):
        return os.system, ("touch was-run",)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_would_run_a_command_is_refused_and_not_run(weights, new):
    torch = pytest.importorskip("torch")
    torch.save({"state_dict": Malicious()}, "net.pt", _use_new_zipfile_serialization=new)
    said = convert(*PT)
    assert "asks to import" in said
    assert "nothing of it was run" in said
    assert "--trust runs whatever the file says" in said
    assert not Path("was-run").exists()


def test_data_that_would_run_a_command_are_refused_and_not_run(folder):
    Path("array.pkl").write_bytes(pickle.dumps(Malicious()))
    np.savez("data.npz", x=np.array([Malicious()], dtype=object))
    assert "never unpickled" in convert("net.graph.onnx")
    assert not Path("was-run").exists()


def huge(path, member):
    """A small zip whose directory claims that a member holds 4 GB."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, bytes(1000))
    whole = bytearray(Path(path).read_bytes())
    at = whole.index(b"PK\x01\x02") + 24
    whole[at : at + 4] = struct.pack("<I", 0xFFFFFFF0)
    Path(path).write_bytes(bytes(whole))


def test_a_zip_that_claims_to_be_huge(weights):
    huge("net.pt", "net/data.pkl")
    assert "claims to hold" in convert(*PT)


def test_data_that_claim_to_be_huge(folder):
    with zipfile.ZipFile("data.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("x", "x2", "x3"):
            archive.writestr(f"{name}.npy", bytes(1000))
    whole, at = bytearray(Path("data.npz").read_bytes()), 0
    for _ in range(3):
        at = whole.index(b"PK\x01\x02", at + 1)
        whole[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    Path("data.npz").write_bytes(bytes(whole))
    assert "claims to unpack to 12.0 GiB" in convert("net.graph.onnx")


def test_files_that_are_something_else(weights):
    for name in ("net.pt", "net.graph.onnx", "data.npz"):
        kept = Path(name).read_bytes()
        Path(name).write_text("hello\n", encoding="utf-8")
        assert f"{name}: " in convert(*(PT if name == "net.pt" else ["net.graph.onnx"]))
        Path(name).write_bytes(kept)


def test_a_folder_or_an_unknown_kind_of_file_as_model(folder):
    Path("models").mkdir()
    assert "is a folder" in convert("models")
    Path("models.onnx").mkdir()
    assert "is a folder" in convert("models.onnx")
    Path("net.keras").write_text("?", encoding="utf-8")
    assert "no format to load ends in '.keras'" in convert("net.keras")


def newer(name):
    model = onnx.load(name)
    for entry in model.metadata_props:
        if entry.key.endswith(".schema"):
            entry.value = str(int(entry.value) + 1)
    Path(name).write_bytes(model.SerializeToString())


@pytest.mark.parametrize("name", ["net.graph.onnx", "old.loihi2.onnx"])
def test_a_file_of_a_newer_schema(folder, name):
    newer(name)
    said = refused("show", name)
    assert "this snndeploy reads up to" in said
    assert "update snndeploy" in said


def test_a_plain_onnx_file_and_an_edited_one(folder):
    model = onnx.load("net.graph.onnx")
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    Path("net.graph.onnx").write_bytes(model.SerializeToString())
    assert "was changed after snndeploy saved it" in convert("net.graph.onnx")
    del model.metadata_props[:]
    Path("net.graph.onnx").write_bytes(model.SerializeToString())
    assert "was not saved by snndeploy" in convert("net.graph.onnx")


def test_the_wrong_half_of_the_pair(folder):
    assert "is a chip network already" in refused("convert", "old.loihi2.onnx", "--chip", "none", "-o", "new")
    assert "it has no chip to report on" in refused("report", "old.graph.onnx", "--data", "data.npz", "-o", "report.html")


# ------------------------------------------------------------------------------------------- shapes and numbers


@pytest.mark.parametrize(
    ("shape", "words"), [("7", "fc1"), ("abc", "'abc' is not whole numbers"), ("0,6", "not whole numbers"), ("", "not whole")]
)
def test_a_wrong_input_shape(weights, shape, words):
    assert words in convert("net.pt", "--arch", "net.py:Net", "--input-shape", shape)


def test_a_state_dict_without_its_code_or_with_other_code(weights):
    assert "--arch" in convert("net.pt", "--input-shape", "6")
    assert "does not fit Net" in convert("net.pt", "--arch", "net.py:Net(hidden=5)", "--input-shape", "6")
    assert "did you mean Net" in convert("net.pt", "--arch", "net.py:Nett", "--input-shape", "6")
    assert "there is no such file" in convert("net.pt", "--arch", "nets.py:Net", "--input-shape", "6")
    assert "--input-shape" in convert("net.pt", "--arch", "net.py:Net")


@pytest.mark.parametrize("tau", ["0", "-1.5", "0.5"])
def test_a_time_constant_that_is_none(weights, tau):
    assert "tau" in convert("net.pt", "--arch", f"net.py:Net(tau={tau})", "--input-shape", "6")


def test_code_that_fails_is_named_with_its_line(weights):
    Path("net.py").write_text("import nothing_of_that_name\n\n\nclass Net(nothing_of_that_name.Module): ...\n", encoding="utf-8")
    assert "fails at net.py:1: ModuleNotFoundError" in convert(*PT)


def test_nan_weights(weights):
    torch = pytest.importorskip("torch")
    state = torch.load("net.pt", weights_only=True)
    state["fc1.weight"][1, 2] = float("nan")
    torch.save(state, "net.pt")
    assert "'fc1.weight' has 1 NaN or infinite values of 24" in convert(*PT)


def spoiled(**arrays):
    kept = dict(np.load("data.npz"))
    np.savez("data.npz", **{name: value for name, value in (kept | arrays).items() if value is not None})


@pytest.mark.parametrize("command", ["convert", "check", "run", "verify", "report"])
@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((16, 5, 7))}, "its shape [16, 5, 7] is neither [N, 6] nor [N, T, 6]"),
        ({"x": np.full((16, 5, 6), np.nan)}, "is not finite (NaN or infinite) at [0, 0, 0]"),
        ({"x": np.zeros((0, 5, 6)), "y": np.zeros(0, int)}, "holds no samples"),
        ({"x": np.zeros((15, 5, 6))}, "16 labels for 15 samples"),
        ({"y": np.full(16, 0.5)}, "labels are not class indices"),
        ({"x": None}, "but no x"),
        ({"x": np.array(["a"] * 16)}, "not real numbers"),
    ],
)
def test_data_that_are_none(folder, command, arrays, words):
    spoiled(**arrays)
    model = "net.graph.onnx" if command in ("convert", "check") else "old.loihi2.onnx"
    assert words in refused(command, model, "--data", "data.npz", *([] if command in ("check", "run", "verify") else ["-o", "report.html"]))


def test_data_of_another_length(folder):
    spoiled(x=np.zeros((16, 9, 6), np.uint8))
    assert "has 9 time steps, not 5" in refused("run", "old.loihi2.onnx", "--data", "data.npz")
    assert "is 9, but the chip network runs 5" in refused("run", "old.loihi2.onnx", "--data", "data.npz", "--timesteps", 9)
    assert "is 9, but the chip network runs 5" in refused("verify", "old.loihi2.onnx", "--data", "data.npz", "--timesteps", 9)
    assert "has 9 time steps, not 4" in convert("net.graph.onnx", "--timesteps", 4)


def test_static_data_without_a_number_of_steps(folder):
    spoiled(x=np.zeros((16, 6)))
    assert "--timesteps" in convert("net.graph.onnx")


def test_a_factory_that_fails(folder):
    Path("samples.py").write_text("def broken():\n    return 1 / 0\n", encoding="utf-8")
    said = refused("run", "old.loihi2.onnx", "--data", "samples.py:broken")
    assert "failed at line 2: ZeroDivisionError" in said
    assert "did you mean broken" in refused("run", "old.loihi2.onnx", "--data", "samples.py:borken")
    assert "names a file, but no factory" in refused("run", "old.loihi2.onnx", "--data", "samples.py")


# -------------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--chip", "loihi3"], "there is no chip 'loihi3'\nhint: did you mean loihi"),
        (["--chip", "loihi2:kapoho"], "has no board 'kapoho'\nhint: did you mean kapoho-point"),
        (["--chip", "mine.toml"], "mine.toml: cannot be read"),
        (["--chip", "truenorth"], "can be priced, but not simulated"),
        (["--burst", "ping-pog"], "'ping-pog' is no construction\nhint: did you mean ping-pong"),
        (["--weight-bits", "99"], "'99' is not 2 to 8 bits"),
        (["--weight-bits", "fc*=1"], "'fc*=1' is not 2 to 8 bits"),
        (["--weight-bits", "fc*=four"], "is not 2 to 8 bits"),
        (["--weight-bits", "=4"], "is not 2 to 8 bits"),
        (["--encode", "rates"], "'rates' is no encoder\nhint: did you mean rate"),
        (["--encode", "rate"], "already has a time axis"),
        (["--decode", "coun"], "'coun' is no read-out\nhint: did you mean count"),
        (["--decode", "vote:x"], "'vote:x' is no read-out"),
        (["--decode", "vote:2"], "cannot vote in groups of 2"),
        (["--timesteps", "0"], "--timesteps: is 0"),
        (["--calibration-samples", "0"], "--calibration-samples: is 0"),
        (["--samples", "0"], "--samples: 0 is not a positive number"),
        (["--bin-us", "10"], "holds no event recordings"),
        (["--split-by", "time"], "there is no --frames"),
        (["--frames", "4", "--bin-us", "10"], "need either --bin-us or --frames"),
        (["--calibration", "none.npz"], "there is no such file"),
    ],
)  # fmt: skip
def test_options_that_cannot_be(folder, options, words):
    assert words in convert("net.graph.onnx", *options)


def test_a_profile_of_a_newer_schema_or_with_a_spelling_mistake(folder):
    shipped = (files("hw_profiles") / "loihi2.toml").read_text(encoding="utf-8")
    Path("mine.toml").write_text(re.sub(r"^schema\s*=.*$", "schema = 2", shipped, flags=re.MULTILINE), encoding="utf-8")
    assert "has schema 2; this version reads 1" in convert("net.graph.onnx", "--chip", "mine.toml")
    Path("mine.toml").write_text(shipped.replace("cores_per_chip", "core_per_chip", 1), encoding="utf-8")
    assert "did you mean cores_per_chip" in convert("net.graph.onnx", "--chip", "mine.toml")


def test_no_data(folder):
    said = refused("convert", "net.graph.onnx", "-o", "old")
    assert "--data: is missing: quantization" in said
    for command in ("run", "verify", "report"):
        assert "--data: is missing: it runs the network" in refused(command, "old.loihi2.onnx")
    assert "nothing can stand in for data" in refused("check", "net.graph.onnx")


def test_executors_that_do_not_exist(folder):
    assert "did you mean chip" in refused("verify", "old.loihi2.onnx", "--data", "data.npz", "--against", "graph,chp")


def test_two_chip_networks_beside_a_graph(folder):
    Path("old.loihi1.onnx").write_bytes(Path("old.loihi2.onnx").read_bytes())
    said = refused("verify", "old.graph.onnx", "--data", "data.npz")
    assert "name the one you mean: old.loihi1.onnx or old.loihi2.onnx" in said


def test_a_calibration_of_another_kind(folder):
    np.savez("other.npz", x=np.full((4, T, 6), 0.25))
    assert "is of another kind than --data" in convert("net.graph.onnx", "--calibration", "other.npz")


# ---------------------------------------------------------------------------------------------------- what is written


def test_the_model_is_never_overwritten(folder):
    assert "is the model itself, which is never overwritten" in refused("convert", "net.graph.onnx", "--data", "data.npz")
    assert "is the model itself" in refused("convert", "net.graph.onnx", "--chip", "none")
    Path("link.graph.onnx").symlink_to("net.graph.onnx")
    assert "is the model itself" in refused("convert", "net.graph.onnx", "--data", "data.npz", "-o", "link")
    Path("net.html").write_bytes(Path("old.loihi2.onnx").read_bytes())
    os.link("old.loihi2.onnx", "same.html")
    assert "is the network itself" in refused("report", "old.loihi2.onnx", "--data", "data.npz", "-o", "same.html")
    Path("mine.json").write_text("{}")
    said = refused("report", "old.loihi2.onnx", "--data", "data.npz", "--certificate", "mine.json", "-o", "mine.json")
    assert "is the certificate itself" in said


def test_places_that_cannot_be_written(folder):
    assert "is no folder that may be written to" in refused("convert", "net.graph.onnx", "--data", "data.npz", "-o", "data.npz/net")
    Path("new.graph.onnx").mkdir()
    assert "new.graph.onnx is a folder" in refused("convert", "net.graph.onnx", "--data", "data.npz", "-o", "new")
    assert "data.npz" in refused("report", "old.loihi2.onnx", "--data", "data.npz", "-o", "data.npz/report.html")
    assert "does not say which kind of report" in refused("report", "old.loihi2.onnx", "--data", "data.npz", "-o", "report.pdf")
    Path("dir.html").mkdir()
    assert "dir.html" in refused("report", "old.loihi2.onnx", "--data", "data.npz", "-o", "dir.html")
    assert "data.npz" in refused("demo", "-o", "data.npz/demo")


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_permission(folder):
    Path("closed").mkdir(mode=0o500)
    assert "may be written to" in refused("convert", "net.graph.onnx", "--data", "data.npz", "-o", "closed/net")


@pytest.mark.parametrize("failing", ["old.graph.onnx", "old.loihi2.onnx"])
def test_a_full_disk_leaves_both_old_files(folder, monkeypatch, failing):
    """Whichever of the two files cannot be written, the pair on the disk stays the older one."""
    write = Path.write_bytes

    def full(self, data):
        if failing in self.name:
            write(self, data[:10])
            raise OSError(28, "No space left on device", str(self))
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space left on device" in convert("net.graph.onnx", "--max-drop", "100")


# ------------------------------------------------------------------------------------------------------ too large


@pytest.fixture
def tiny(folder):
    """A chip of two cores of two neurons, as ``tiny.toml``."""
    text = (files("hw_profiles") / "loihi2.toml").read_text(encoding="utf-8")
    for name in ("cores_per_chip", "neurons_per_core"):
        text = re.sub(
            rf"^{name}\b.*?value = \d+(.*?)low = \d+, high = \d+", rf"{name} = {{ value = 2\1low = 2, high = 2", text, flags=re.MULTILINE
        )
    (folder / "tiny.toml").write_text(re.sub(r"^id\b.*$", 'id = "tiny"', text, flags=re.MULTILINE), encoding="utf-8")
    return folder


def test_a_network_too_large_for_the_chip(tiny):
    said = convert("net.graph.onnx", "--chip", "tiny.toml", code=1)
    assert "the network does not fit" in said
    assert "L015 blocker" in said
    assert "4 against 2" in said
    assert "snndeploy check lists every finding" in said


def test_check_says_the_same_and_writes_nothing(tiny):
    before = contents(tiny)
    said = CliRunner().invoke(commands, ["check", "net.graph.onnx", "--data", "data.npz", "--chip", "tiny.toml", "--json"])
    assert said.exit_code == 1
    found = json.loads(said.stdout)
    assert found["fits"] is False
    (blocker,) = [f for f in found["findings"] if f["severity"] == "blocker"]
    assert blocker["code"] == "L015"
    assert (blocker["value"], blocker["limit"]) == (4, 2)
    assert blocker["why"]
    assert blocker["fix"]
    assert contents(tiny) == before


# ------------------------------------------------------------------------------------------------------------ JSON


def test_a_refusal_as_json_is_one_object_too(folder):
    said = CliRunner().invoke(commands, ["convert", "net.graph.onnx", "--data", "none.npz", "-o", "old", "--json"])
    assert said.exit_code == 2
    found = json.loads(said.stdout)
    assert found["schema"] == "snndeploy.error/1"
    assert found["error"] == "DataError"
    assert found["where"] == "none.npz"
    assert said.stderr == f"none.npz: {found['what']}\nhint: {found['hint']}\n"
