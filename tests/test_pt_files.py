"""Files that are not what they should be: each is one clear error, and nothing in a file is ever run."""

from __future__ import annotations

import os
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import converters  # noqa: E402
from converters import Options  # noqa: E402
from converters.pt.pickles import suspicious  # noqa: E402
from converters.pt.reading import fill, sniff  # noqa: E402
from snndeploy.errors import ModelError, OptionError, UnsafePickle  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

CODE = """
import torch
from torch import nn
from snndeploy import nn as snn
import neighbour

class Net(nn.Module):
    def __init__(self, channels=4, T=None, whole=False):
        super().__init__()
        self.T = T
        mode = "m" if whole else "s"
        self.fc1, self.lif1 = nn.Linear(6, channels), snn.LIF(2.0, 0.1, step_mode=mode)
        self.fc2, self.lif2 = nn.Linear(channels, neighbour.CLASSES), snn.LIF(2.0, 0.1, step_mode=mode)

    def step(self, x):
        return self.lif2(self.fc2(self.lif1(self.fc1(x))))

    def forward(self, x):
        if self.T is None:
            return self.step(x)
        return sum(self.step(x[t]) for t in range(self.T))

def broken():
    raise RuntimeError("no weather today")

def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with code and the weights that belong to it."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    (tmp_path / "net.py").write_text(CODE)
    (tmp_path / "neighbour.py").write_text("CLASSES = 3\n")
    monkeypatch.delitem(sys.modules, "neighbour", raising=False)
    torch.save(weights(), tmp_path / "net.pt")
    return tmp_path


def weights(channels=4):
    shapes = {"fc1.weight": (channels, 6), "fc1.bias": (channels,), "fc2.weight": (3, channels), "fc2.bias": (3,)}
    numbers = {name: torch.randn(shape) + 0.4 for name, shape in shapes.items()}
    from snndeploy import nn as snn

    state = snn.LIF(2.0, 0.1).state_dict()
    return {**numbers, **{f"lif{i}.{name}": value for i in (1, 2) for name, value in state.items()}}


def load(path, arch="Net", **options):
    options = {"input_shape": (6,), **options}
    return converters.load(path, Options(arch=f"{path.parent / 'net.py'}:{arch}" if arch else None, **options))


# -- what loads ----------------------------------------------------------------------------------------------------


def check(loaded):
    run = run_reference(loaded.graph, loaded.witness.inputs, loaded.witness.steps)
    got = run.outputs["output"]
    got = {"none": got, "sum": got.sum(0)}[loaded.graph.nodes["output"].decode]
    np.testing.assert_array_equal(got, loaded.witness.outputs["output"])
    assert len(np.unique(got)) > 1
    return loaded


def test_weights_with_the_code_that_builds_the_module(folder):
    loaded = check(load(folder / "net.pt", timesteps=5))
    np.testing.assert_array_equal(loaded.graph.nodes["fc1"].weight, torch.load(folder / "net.pt")["fc1.weight"].double())
    assert loaded.steps == 5
    assert "net.py" in loaded.assumptions[0]


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_layout_of_the_input_is_found(folder, steps):
    loaded = check(load(folder / "net.pt", f"Net(T={steps})", timesteps=steps))
    assert loaded.graph.nodes["input"].shape == (6,)
    assert loaded.graph.nodes["output"].decode == "sum"


def test_multi_step_modules_get_time_first(folder):
    loaded = check(load(folder / "net.pt", "Net(whole=True)", timesteps=4))
    assert loaded.steps == 4
    with pytest.raises(ModelError, match="--timesteps: is needed"):
        load(folder / "net.pt", "Net(whole=True)")


@pytest.mark.parametrize(
    "wrap",
    [
        lambda sd: {"net": sd, "epoch": 3, "optimizer": {"lr": 0.1}},
        lambda sd: {"model_state_dict": {f"module.{k}": v for k, v in sd.items()}},
        lambda sd: {"state_dict": {f"_orig_mod.module.{k}": v for k, v in sd.items()}},
        lambda sd: {**sd, "lif1.v": torch.zeros(8, 4), "lif2.mem": torch.zeros(8, 3)},
        lambda sd: {k: nn.Parameter(v) for k, v in sd.items()},
        lambda sd: {k: v.to(torch.bfloat16) if v.ndim == 2 else v for k, v in sd.items()},
    ],
    ids=["net", "DataParallel", "compiled", "run state", "Parameter", "bfloat16"],
)
def test_checkpoints_are_unwrapped(folder, wrap):
    torch.save(wrap(weights()), folder / "net.pt")
    check(load(folder / "net.pt"))


def test_a_legacy_file_loads(folder):
    torch.save(weights(), folder / "net.pth", _use_new_zipfile_serialization=False)
    assert sniff(folder / "net.pth") == "legacy"
    check(load(folder / "net.pth"))


def test_a_factory_of_a_package(folder, monkeypatch):
    monkeypatch.syspath_prepend(folder)
    (folder / "made_here.py").write_text("from net import Net\n\ndef small():\n    return Net()\n")
    check(converters.load(folder / "net.pt", Options(arch="made_here:small", input_shape=(6,))))


def test_a_whole_module_only_with_trust(folder):
    from snndeploy import nn as snn

    torch.save(nn.Sequential(nn.Linear(6, 5), snn.LIF(2.0, 0.1)), folder / "whole.pt")
    with pytest.raises(UnsafePickle, match=r"torch\.nn\.modules\.container\.Sequential") as refusal:
        converters.load(folder / "whole.pt", Options(input_shape=(6,)))
    assert "--arch" in refusal.value.hint
    assert "--trust" in refusal.value.hint
    loaded = converters.load(folder / "whole.pt", Options(input_shape=(6,), trust=True))
    assert "--trust" in loaded.assumptions[0]
    (folder / "text.pt").write_bytes(b"\x80\x02not a pickle")
    with pytest.raises(ModelError, match="cannot be unpickled"):
        converters.load(folder / "text.pt", Options(trust=True))


# -- what is refused -----------------------------------------------------------------------------------------------


def test_a_state_dict_without_code(folder):
    with pytest.raises(ModelError, match="holds weights only") as refusal:
        load(folder / "net.pt", arch=None)
    assert "--arch" in refusal.value.hint


def test_no_input_shape(folder):
    with pytest.raises(ModelError, match="does not say what enters it") as refusal:
        load(folder / "net.pt", input_shape=None)
    assert "--input-shape 1,28,28" in refusal.value.hint


def test_a_wrong_input_shape_names_the_layer(folder):
    with pytest.raises(ModelError, match=r"fc1 \(Linear\).*fails for x \[2, 7\]") as refusal:
        load(folder / "net.pt", input_shape=(7,), timesteps=3)
    assert "--input-shape" in refusal.value.hint


def test_weights_of_another_module(folder):
    with pytest.raises(ModelError, match=r"other shapes: fc1.weight is \[4, 6\], the module has \[8, 6\]"):
        load(folder / "net.pt", "Net(channels=8)")
    damaged = weights()
    damaged["fc9.weight"] = damaged.pop("fc2.weight")
    torch.save(damaged, folder / "net.pt")
    with pytest.raises(ModelError, match=r"missing in the file: fc2.weight; unknown to the module: fc9.weight") as refusal:
        load(folder / "net.pt")
    assert "--arch" in refusal.value.hint


def test_nan_weights(folder):
    damaged = weights()
    damaged["fc2.weight"][0, 1] = float("nan")
    torch.save(damaged, folder / "net.pt")
    with pytest.raises(ModelError, match=r"'fc2.weight' has 1 NaN or infinite values of 12"):
        load(folder / "net.pt")


@pytest.mark.parametrize("name", ["absent.pt", "empty.pt", "folder.pt", "net.ptt", "net"])
def test_no_file_or_no_known_kind_of_file(folder, name):
    (folder / "empty.pt").touch()
    (folder / "folder.pt").mkdir()
    for other in ("net.ptt", "net"):
        (folder / other).write_bytes(b"x")
    words = {
        "absent.pt": "no such file",
        "empty.pt": "0 bytes",
        "folder.pt": "is a folder",
        "net.ptt": "ends in '.ptt'",
        "net": "ends in ''",
    }
    with pytest.raises(ModelError, match=words[name]) as refusal:
        load(folder / name)
    if name == "net.ptt":
        assert "did you mean .pt" in refusal.value.hint
    assert refusal.value.hint


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("new", [True, False])
def test_a_file_that_was_cut_short(folder, share, new):
    torch.save(weights(64), folder / "net.pt", _use_new_zipfile_serialization=new)
    whole = (folder / "net.pt").read_bytes()
    (folder / "net.pt").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError) as refusal:
        load(folder / "net.pt", "Net(channels=64)")
    assert "damaged or cut short" in refusal.value.what
    assert not isinstance(refusal.value, UnsafePickle)


class Malicious:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("new", [True, False])
def test_a_pickle_that_would_run_a_command_is_refused_and_not_run(folder, new):
    proof = folder / "was-run"
    torch.save({"state_dict": Malicious(proof)}, folder / "net.pt", _use_new_zipfile_serialization=new)
    with pytest.raises(UnsafePickle, match=r"asks to import (posix|nt)\.system") as refusal:
        load(folder / "net.pt")
    assert "--trust" in refusal.value.hint
    assert not proof.exists()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol_is_looked_through(folder, protocol):
    proof = folder / "was-run"
    (folder / "net.pt").write_bytes(pickle.dumps([{}, Malicious(proof), Malicious(proof)], protocol))
    with pytest.raises(UnsafePickle, match=r"asks to import (posix|nt)\.system;"):
        load(folder / "net.pt")
    assert not proof.exists()


def test_a_global_whose_name_hides_behind_the_memo_is_refused(folder):
    hidden = b"\x80\x04\x8c\x05posix\x94\x8c\x06system\x94\x8c\x01x0h\x00h\x01\x93."
    (folder / "net.pt").write_bytes(hidden)
    with pytest.raises(UnsafePickle, match=r"posix\.system"):
        load(folder / "net.pt")


@pytest.mark.parametrize(
    ("name", "refused"),
    [
        ("torch.FloatStorage", False),
        ("torch.float32", False),
        ("torch.bfloat16", False),
        ("torch.float8_e4m3fn", False),
        ("torch._utils._rebuild_tensor_v2", False),
        ("torch.load", True),
        ("torch.hub.load", True),
        ("builtins.getattr", True),
        ("builtins.eval", True),
        ("torch._utils._import_dotted_name", True),
        ("subprocess.Popen", True),
    ],
)
def test_which_globals_weights_need(name, refused):
    assert bool(suspicious((name,))) == refused


def test_a_zip_that_claims_to_be_huge(folder):
    with zipfile.ZipFile(folder / "net.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("net/data.pkl", b"\x80\x02}q\x00.")
        archive.writestr("net/data/0", bytes(50_000_000))
    assert (folder / "net.pt").stat().st_size < 100_000
    with pytest.raises(ModelError, match=r"claims to hold 50,000,00. bytes in a file of"):
        load(folder / "net.pt")


def test_a_zip_whose_directory_lies(folder):
    """A declared size of 4 GB in the central directory of a small file."""
    whole = bytearray((folder / "net.pt").read_bytes())
    entry = whole.index(b"PK\x01\x02")
    whole[entry + 20 : entry + 28] = struct.pack("<II", 0xFFFFFFF0, 0xFFFFFFF0)
    (folder / "net.pt").write_bytes(bytes(whole))
    with pytest.raises(ModelError, match="claims to hold"):
        load(folder / "net.pt")


def test_a_tensor_that_claims_more_than_is_stored(folder):
    torch.save({"fc1.weight": torch.zeros(1).expand(10**12)}, folder / "net.pt")
    with pytest.raises(ModelError, match=r"'fc1\.weight' claims 1,000,000,000,000 numbers"):
        load(folder / "net.pt")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89HDF\r\n\x1a\n" + bytes(64), "HDF5"),
        (b"\x93NUMPY" + bytes(64), "NumPy"),
        (b"hello, world", "not a torch file"),
        (b"\x80", "not a torch file"),
    ],
)
def test_files_that_are_something_else(folder, content, words):
    (folder / "net.pt").write_bytes(content)
    with pytest.raises(ModelError, match=words) as refusal:
        load(folder / "net.pt")
    assert "torch.save" in refusal.value.hint


def test_programs_are_not_weights(folder):
    for inside, words in (("net/code/x.py", "TorchScript"), ("net/archive_format", r"\.pt2"), ("readme.txt", "not a torch file")):
        with zipfile.ZipFile(folder / "net.pt", "w") as archive:
            archive.writestr(inside, "x")
        with pytest.raises(ModelError, match=words):
            load(folder / "net.pt")


@pytest.mark.parametrize(("content", "words"), [([1, 2], "holds a list"), ({"epoch": 3}, "holds no tensors"), ({}, "none")])
def test_files_without_weights(folder, content, words):
    torch.save(content, folder / "net.pt")
    with pytest.raises(ModelError, match=words):
        load(folder / "net.pt")


# -- --arch --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "error", "words"),
    [
        ("net.py:Nett", ModelError, "no 'Nett'"),
        ("nett.py:Net", ModelError, "no such file"),
        ("absent/net.py:Net", ModelError, "no such file"),
        ("net.py:Net(channels=neighbour.CLASSES)", OptionError, "literal arguments"),
        ("net.py:Net(channels=__import__('os'))", OptionError, "literal arguments"),
        ("net.py:Net(**{})", OptionError, "literal arguments"),
        ("net.py:Net(", OptionError, "literal arguments"),
        ("net.py", OptionError, "names no class"),
        ("net.py:broken", ModelError, "fails at net.py:24: RuntimeError: no weather today"),
        ("net.py:Net(depth=3)", ModelError, "unexpected keyword"),
        ("net.py:number", ModelError, "not a torch.nn.Module"),
        ("bad.py:Net", ModelError, "fails at bad.py:2: ZeroDivisionError"),
        ("no_such_package.mod:Net", ModelError, "cannot be imported"),
        ("badpackage:Net", ModelError, "fails at badpackage.py:2"),
    ],
)
def test_code_that_does_not_build_a_module(folder, monkeypatch, arch, error, words):
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    for name in ("bad.py", "badpackage.py"):
        (folder / name).write_text("class Net:\n    size = 1 / 0\n")
    with pytest.raises(error, match=words) as refusal:
        converters.load(folder / "net.pt", Options(arch=arch, input_shape=(6,)))
    assert refusal.value.hint


def test_arguments_are_literals(folder):
    torch.save(weights(7), folder / "net.pt")
    assert check(load(folder / "net.pt", "Net(7, T=None)")).graph.shapes["fc1"] == (7,)


def test_filling_leaves_the_module_in_eval_mode():
    net = nn.Linear(2, 2).train()
    fill(net, nn.Linear(2, 2).state_dict(), "here")
    assert not net.training


# -- the registry --------------------------------------------------------------------------------------------------


def test_the_folder_is_the_registry():
    known = {f.name: f for f in converters.formats()}
    assert known["pt"].suffixes == (".pt", ".pth", ".bin", ".ckpt")
    assert known["pt"].loads
    assert not known["pt"].saves
    assert all(f.suffixes and (f.loads or f.saves) for f in known.values())
    assert converters.OWNER == "snndeploy"


def test_what_cannot_be_saved(folder):
    graph = load(folder / "net.pt").graph
    with pytest.raises(ModelError, match=r"no format to save ends in '\.pt'"):
        converters.save(graph, folder / "out.pt")


@pytest.mark.parametrize(
    ("options", "words"), [({"input_shape": (0,)}, "--input-shape"), ({"timesteps": 0}, "--timesteps"), ({"dt": 0.0}, "--dt")]
)
def test_options_that_cannot_be(options, words):
    with pytest.raises(OptionError, match=words):
        Options(**options)


def test_importing_the_formats_loads_no_framework():
    code = "import converters, sys; converters.formats(); print(sorted({'torch', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    root = Path(__file__).resolve().parents[1]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_foreign_checkpoint_is_refused_clearly(shared):
    """Real files: trained weights of other libraries, without the code that connects them."""
    awkward = shared / "models" / "_awkward"
    for name in ("srnn_shd_zip.pth",):
        with pytest.raises(ModelError) as refusal:
            converters.load(awkward / name)
        assert refusal.value.hint
