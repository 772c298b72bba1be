"""Every command line that a page of the documentation shows is run as it stands there, on files that are made for it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from snndeploy.cli import commands

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").glob("*.md"))
CODE = """
import numpy as np
import torch
from snndeploy.nn import LIF

class Net(torch.nn.Module):
    def __init__(self, seed=0):
        super().__init__()
        torch.manual_seed(seed)
        self.conv, self.first = torch.nn.Conv2d(1, 2, 5, stride=4), LIF(2.0, threshold=0.3)
        self.fc, self.second = torch.nn.Linear(72, 10), LIF(2.0, threshold=0.3)

    def forward(self, x):
        return sum(self.second(self.fc(self.first(self.conv(x)).flatten(1))) for _ in range(4))

def test_set():
    return np.random.default_rng(0).random((6, 1, 28, 28)).astype("float32")
"""
MEANT = {"FILE": "net.loihi2.onnx", "MODEL": "net.loihi1.onnx", "D": "samples.npz", "nir|net|lava|onnx": "onnx"}
"""What a page means by a word that stands for a file or a choice."""
NOT_RUN = {
    "--setup-lava": "installs another Python's packages; the workflow of the real Lava runs it",
    "lava": "needs Lava; the workflow of the real Lava runs it",
}


def shown(text: str) -> list[str]:
    """The command lines of a page: in its blocks, and within its sentences where they name arguments."""
    blocks = [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    inline = re.findall(r"`(snndeploy \w+ [^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line.split("  #")[0].strip() for line in (*blocks, *inline) if line.startswith("snndeploy ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    made = tmp_path_factory.mktemp("docs")
    found: dict[str, type] = {}
    exec(compile(CODE, "net.py", "exec"), found)
    for name in ("net.py", "train.py"):
        (made / name).write_text(CODE)
    for name, seed in (("net.pt", 0), ("weights.pt", 0), ("other.pt", 1)):
        torch.save(found["Net"](seed).state_dict(), made / name)
    np.savez(made / "samples.npz", x=found["test_set"]())
    one, node, rng = onnx.helper, onnx.helper.make_node, np.random.default_rng(0)
    nodes = [
        node("Flatten", ["x"], ["f"]),
        node("MatMul", ["f", "w1"], ["a"]),
        node("Relu", ["a"], ["r"]),
        node("MatMul", ["r", "w2"], ["y"]),
    ]
    weights = {"w1": rng.normal(0, 0.05, (784, 8)), "w2": rng.normal(0, 0.5, (8, 10))}
    arrays = [onnx.numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()]
    ends = [one.make_tensor_value_info(n, 1, s) for n, s in (("x", ["N", 1, 28, 28]), ("y", ["N", 10]))]
    graph = one.make_graph(nodes, "classifier", ends[:1], ends[1:], arrays)
    onnx.save(one.make_model(graph, opset_imports=[one.make_opsetid("", 17)], ir_version=8), made / "classifier.onnx")
    return made


def run(command: str) -> tuple[int, str]:
    said = CliRunner().invoke(commands, shlex.split(command)[1:], catch_exceptions=False)
    return said.exit_code, said.output


@pytest.fixture
def files(folder, monkeypatch):
    """The networks that the pages speak of, converted once."""
    monkeypatch.chdir(folder)
    for stem, chip in (("net", "loihi2"), ("net", "loihi1"), ("other", "loihi2")):
        if not Path(f"{stem}.{chip}.onnx").exists():
            code, said = run(f"snndeploy convert {stem}.pt --arch net.py:Net --input-shape 1,28,28 --data samples.npz --chip {chip}")
            assert code in (0, 1), said
    return folder


@pytest.mark.parametrize("page", [p for p in PAGES if shown(p.read_text(encoding="utf-8"))], ids=lambda p: p.name)
def test_the_commands_of_a_page_run(page, files):
    pytest.importorskip("z3")
    for line in shown(page.read_text(encoding="utf-8")):
        words = [MEANT.get(word, word) for word in shlex.split(line)]
        if "--setup-lava" in words or ("--against" in words and "lava" in words[words.index("--against") + 1]):
            continue
        code, said = run(shlex.join(words))
        # 1: another network was compared, or a network that nobody trained lost something; nothing may be refused
        assert code in (0, 1), (line, said)


def test_no_page_is_left_out():
    assert sum(len(shown(p.read_text(encoding="utf-8"))) for p in PAGES) > 15
    assert len(NOT_RUN) == 2
    assert shown("a `snndeploy run FILE --data D` b\n```sh\nsnndeploy chips  # all\n```") == [
        "snndeploy chips",
        "snndeploy run FILE --data D",
    ]


def test_the_help_shows_commands_that_run(files):
    lines = re.findall(r"^ *(snndeploy (?!demo).*?)(?:  +.*)?$", CliRunner().invoke(commands, ["--help"]).output, re.MULTILINE)
    assert len(lines) == 3
    for line in lines:
        assert run(line)[0] in (0, 1), line


LAVA = """
import numpy as np

class Port:
    def __init__(self, shape): self.shape = tuple(np.atleast_1d(shape))
    size = property(lambda self: int(np.prod(self.shape)))
    def connect(self, other): pass
    def reshape(self, shape): return Port(shape)
    def transpose(self, axes): return Port(self.shape)

class Variable:
    def set(self, values): pass

class Process:
    def __init__(self, **given):
        self.given = given
        self.a_in = self.s_out = self.s_in = self.a_out = Port(given.get("shape", (1,)))
        self.u = self.v = self.bias_mant = Variable()
    def run(self, condition, run_cfg): Process.ran = getattr(Process, "ran", 0) + condition.num_steps
    def stop(self): pass
"""
"""Enough of Lava for the script to be run to its end: no arithmetic, which the real Lava is asked for."""


def lava_without_arithmetic(root: Path) -> None:
    def module(name, text):
        path = root / name.replace(".", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in path.relative_to(root).parents:
            (root / folder / "__init__.py").touch() if str(folder) != "." else None
        path.with_suffix(".py").write_text(text)

    module("lava.stub", LAVA)
    kinds = {
        "conv": "Conv",
        "dense": "DelayDense Dense",
        "lif": "LIF LIFReset TernaryLIF",
        "sdn": "Delta SigmaDelta",
        "sparse": "DelaySparse Sparse",
    }
    for room, names in kinds.items():
        module(
            f"lava.proc.{room}.process", "from lava.stub import Process\n" + "\n".join(f"class {n}(Process): pass" for n in names.split())
        )
    ring = "from lava.stub import Process, Port\nclass RingBuffer(Process):\n    def __init__(self, data):\n"
    module(
        "lava.proc.io.source",
        ring + "        super().__init__(data=data)\n        assert data.dtype.kind == 'i'\n        self.s_out = Port(len(data))\n",
    )
    probe = "import numpy as np\nclass Monitor:\n    def probe(self, target, steps): self.steps = steps\n"
    module("lava.proc.monitor.process", probe + "    def get_data(self): return {'a': {'b': np.zeros((self.steps, 1))}}\n")
    module("lava.magma.core.run_conditions", "class RunSteps:\n    def __init__(self, num_steps): self.num_steps = num_steps\n")
    module("lava.magma.core.run_configs", "class Loihi2SimCfg:\n    def __init__(self, select_tag): pass\nLoihi2HwCfg = Loihi2SimCfg\n")
    module("lava.utils.weightutils", "class SignMode:\n    def __init__(self, number): pass\n")


def script(folder: Path, inputs: str, root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "run_network.py"), inputs, "-o", "trace.npz"]
    return subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(root)}, timeout=120, check=False)


@pytest.mark.parametrize("encode", ["direct", "rate"])
def test_what_export_writes_runs_on_the_file_that_the_page_describes(encode, files, tmp_path):
    """Static real data, of which the host computes the first layer, and spikes; by hand, too, without the constant input."""
    lava_without_arithmetic(tmp_path)
    how = "--encode rate --seed 1" if encode == "rate" else ""
    convert = "snndeploy convert net.pt --arch net.py:Net --input-shape 1,28,28 --data samples.npz --chip loihi1"
    assert run(f"{convert} -o {encode} {how}")[0] in (0, 1)
    code, said = run(f"snndeploy export {encode}.loihi1.onnx --to lava --data samples.npz {how} -o {encode}.lava")
    assert code == 0, said
    with np.load(f"{encode}.lava/inputs.npz") as read:
        written = dict(read)
    assert all(values.dtype.kind == "i" for values in written.values())
    done = script(Path(f"{encode}.lava"), f"{encode}.lava/inputs.npz", tmp_path)
    assert done.returncode == 0, done.stderr
    with np.load("trace.npz") as trace:
        assert any(name.endswith(".spikes") for name in trace.files)
    spec = json.loads(Path(f"{encode}.lava/network.json").read_text())
    ones = [p["name"] for p in spec["populations"] if p["class"] == "RingBuffer" and p["size"] == 1]
    np.savez("hand.npz", **{n: v for n, v in written.items() if n not in ones})
    assert script(Path(f"{encode}.lava"), "hand.npz", tmp_path).returncode == 0
    np.savez("wrong.npz", **{n: v + 0.5 for n, v in written.items()})
    assert "whole numbers" in script(Path(f"{encode}.lava"), "wrong.npz", tmp_path).stderr


def test_inputs_are_lavas_alone(files):
    code, said = run("snndeploy export net.loihi1.onnx --to onnx --data samples.npz -o again.onnx")
    assert code == 2
    assert "--data" in said
