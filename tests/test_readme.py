"""What the README shows is run as it stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

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


def test_the_commands_and_options_exist():
    from snndeploy.cli import commands

    lines = [shlex.split(line) for line in block("sh", "snndeploy convert").splitlines()]
    assert len(lines) == 10
    for words in lines:
        command = commands.commands[words[1]]
        known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("-")} <= known


def test_every_room_is_on_the_map():
    inside = [p for p in (ROOT / "snndeploy").iterdir() if not p.name.startswith("_") and p.suffix != ".typed"]
    rooms = {p.stem if p.is_file() else p.name for p in inside}
    on_the_map = README.split("## The map")[1]
    assert not {room for room in rooms if not re.search(rf"\b{room}\b", on_the_map)}


def test_each_document_that_is_linked_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists()
