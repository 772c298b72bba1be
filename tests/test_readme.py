"""What the README shows is run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block(language: str, containing: str) -> str:
    found = [b for b in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if containing in b]
    assert len(found) == 1
    return str(found[0])


def test_the_ten_lines_run(tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    code = block("python", "sd.convert")
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "Exact" in printed
    assert re.search(r"\b0 of [\d,]+ values differ", printed)
    assert {p.name for p in tmp_path.iterdir()} == {"example.graph.onnx", "example.loihi2.onnx"}


MODEL = """
import torch
from snndeploy.nn import LIFB

class Net(torch.nn.Module):
    def __init__(self, T):
        super().__init__()
        torch.manual_seed(0)
        neuron = lambda: LIFB(tau=2.0, thresholds=(0.2, 0.5), kappa=1.5)
        self.T, self.conv, self.first = T, torch.nn.Conv2d(1, 2, 5, stride=4), neuron()
        self.fc, self.second = torch.nn.Linear(72, 10), neuron()

    def forward(self, x):
        return sum(self.second(self.fc(self.first(self.conv(x)).flatten(1))) for _ in range(self.T))
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """What the commands of the README speak of: a network of burst neurons, one of another tool with a ReLU, and data."""
    torch = pytest.importorskip("torch")
    onnx = pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    Path("model.py").write_text(MODEL)
    found: dict[str, object] = {}
    exec(compile(MODEL, "model.py", "exec"), found)
    torch.save(found["Net"](4).state_dict(), "weights.pt")
    rng = np.random.default_rng(0)
    np.savez("samples.npz", x=rng.random((12, 1, 28, 28)).astype("float32"))
    one, h = onnx.helper, onnx.helper.make_node
    weights = {"w1": rng.normal(0, 0.05, (784, 12)), "w2": rng.normal(0, 0.5, (12, 10))}
    nodes = [h("Flatten", ["x"], ["f"]), h("MatMul", ["f", "w1"], ["a"]), h("Relu", ["a"], ["r"]), h("MatMul", ["r", "w2"], ["y"])]
    ends = [one.make_tensor_value_info(n, 1, s) for n, s in (("x", ["N", 1, 28, 28]), ("y", ["N", 10]))]
    arrays = [onnx.numpy_helper.from_array(w.astype("float32"), name) for name, w in weights.items()]
    graph = one.make_graph(nodes, "classifier", ends[:1], ends[1:], arrays)
    onnx.save(one.make_model(graph, opset_imports=[one.make_opsetid("", 17)], ir_version=8), "classifier.onnx")
    return tmp_path


def test_every_command_runs(files):
    from click.testing import CliRunner

    from snndeploy.cli import commands

    pytest.importorskip("z3")
    pytest.importorskip("h5py")
    lines = block("sh", "snndeploy convert").splitlines()
    assert {shlex.split(line)[1] for line in lines} == set(commands.commands) - {"demo"}
    for line in lines:
        ran = CliRunner().invoke(commands, shlex.split(line)[1:])
        # a network that nobody trained loses what it likes, and --lossy loses by its name; nothing may be refused
        allowed = (0, 1) if {"--relu", "--lossy", "bisect"} & set(line.split()) else (0,)
        assert ran.exit_code in allowed, (line, ran.output)
    written = {path.name for path in files.iterdir()} - {"__pycache__"}
    assert written >= {"model.py", "weights.pt", "samples.npz", "classifier.onnx", "weights.graph.onnx", "weights.loihi2.onnx",
                       "classifier.graph.onnx", "classifier.loihi2.onnx", "report.html", "weights.json", "weights.nir"}  # fmt: skip


def test_every_room_is_on_the_map():
    inside = [p for p in (ROOT / "snndeploy").iterdir() if not p.name.startswith("_") and p.suffix != ".typed"]
    rooms = {p.stem if p.is_file() else p.name for p in inside}
    on_the_map = README.split("## The map")[1]
    assert not {room for room in rooms if not re.search(rf"\b{room}\b", on_the_map)}


def test_each_document_that_is_linked_exists():
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)[)#]", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), (page.name, target)


def test_every_document_is_in_the_index():
    index = README.split("Documents:")[1].split("## ")[0]
    assert sorted(re.findall(r"docs/([\w-]+\.md)", index)) == sorted(path.name for path in (ROOT / "docs").glob("*.md"))


def test_a_link_into_a_page_meets_a_heading():
    pages = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))}
    for text in pages.values():
        for page, anchor in re.findall(r"\]\((?:docs/)?([\w-]+\.md)#([^)]+)\)", text):
            headings = re.findall(r"^#+ (.+)$", pages[page], re.MULTILINE)
            assert anchor in {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
