"""Every hint of the source can be followed: what it names exists, and in a situation that raises it, doing it leads on."""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
from pathlib import Path

import click
import hint_files
import pytest
from click.testing import CliRunner
from hint_cases import CASES, NOT_RAISED, Case
from hints_in_source import COMMAND, EXTRA, OPTION, ROOT, Text, texts

from snndeploy.cli import commands

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ALL = texts()
OPTIONS = {o for c in commands.commands.values() for p in c.params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}
OTHER_TOOLS = {"--hardware", "--record", "--help"}
"""Of run_network.py, and of every command."""


def options_of(command: str) -> set[str]:
    return {o for p in commands.commands[command].params if isinstance(p, click.Option) for o in (*p.opts, *p.secondary_opts)}


# ------------------------------------------------------------------------------------------- what a hint names exists


def test_there_is_something_to_look_at():
    assert len(ALL) > 200
    assert len([t for t in ALL if t.hint]) > 100


def test_every_name_in_a_text_exists():
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    for text in ALL:
        assert {o for o in OPTION.findall(text.words) if o not in OTHER_TOOLS} <= OPTIONS, text
        assert {e for e in EXTRA.findall(text.words) if e != "{}"} <= extras, text
        for command in COMMAND.findall(text.words):
            name = command.split()[1]
            behind = re.split("`|; |[.] | [(]", text.words.split(command, 1)[1])[0]
            assert name not in commands.commands or set(OPTION.findall(command + behind)) <= options_of(name), text


def test_every_missing_package_names_an_extra_that_installs_it():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras, always = project["optional-dependencies"], project["dependencies"]
    calls = [
        (path, found)
        for room in ("snndeploy", "converters")
        for path in (ROOT / room).rglob("*.py")
        for found in re.findall(r'MissingPackage\([^,]+, "([\w-]+)", "(\w+)"\)', path.read_text(encoding="utf-8"))
    ]
    assert len(calls) > 5
    for path, (package, extra) in calls:
        installed = [*extras.get(extra, ()), *(always if extra in extras else ())]
        assert any(re.match(rf"{package}\b", wanted) for wanted in installed), (path, package, extra)


WORDS = {
    "--burst": lambda: __import__("snndeploy.flow.bursts", fromlist=["NAMES"]).NAMES,
    "--encode": lambda: ("direct", "rate", "latency", "delta"),
    "--relu": lambda: ("if",),
    "--substitute": lambda: ("nearest",),
    "--split-by": lambda: ("number", "time", "number|time"),
    "--against": lambda: ("graph", "onnxruntime", "chip", "lava"),
    "--to": lambda: ("nir", "net", "onnx", "lava"),
    "--reset": lambda: ("zero", "late-zero", "subtract", "multi", "none"),
}
PROSE = frozenset(
    ["is", "as", "says", "changes", "holds", "decided", "to", "or", "and", "alone", "without", "out", "snaps", "may", "has", "where", "in"]
)
"""What follows an option as a sentence goes on."""


@pytest.mark.parametrize("option", WORDS)
def test_every_word_behind_an_option_is_one_that_it_takes(option):
    for text in ALL:
        for word in re.findall(rf"{option} ([a-z][\w|-]*)", text.words):
            assert word in PROSE or word in WORDS[option](), (text.place, f"{option} {word}")


def test_every_python_call_in_a_text_exists():
    import inspect

    import snndeploy as sd

    for text in ALL:
        for name, given in re.findall(r"\bsd\.(\w+)\(([^()]*)", text.words):
            keywords = re.findall(r"(\w+)=", given)
            assert set(keywords) <= set(inspect.signature(getattr(sd, name)).parameters), text
        for name, given in re.findall(r"\b(Options|Wishes)\(([^()]+)\)", text.words):
            eval(f"sd.{name}({given})", {"sd": sd})


@pytest.mark.parametrize("words", sorted({n for t in ALL for n in t.named if "(" in n and "{" not in n}))
def test_every_neuron_in_a_text_is_one_that_neuron_or_layer_takes(words):
    pytest.importorskip("torch")
    from converters.pt.constructors import KNOWN, parse, settings_from
    from converters.pt.planning import WEIGHTS
    from converters.pt.rebuilt_layers import LAYERS

    if re.match(r"sd\.|Options|Wishes|Net\(", words):
        return
    said = parse("--neuron", "x", words)[0]
    kinds = [library.neurons[said.kind] for library in KNOWN if said.kind in library.neurons]
    assert kinds or said.kind in (*LAYERS, *WEIGHTS), words
    assert not kinds or any(_takes(settings_from, said, kind) for kind in kinds), words


def _takes(settings_from, said, kind):
    from snndeploy.errors import OptionError

    try:
        settings_from(said, kind, "a hint")
    except OptionError:
        return False
    return True


# ------------------------------------------------------------------------------------------- followed, it leads on


def test_every_hint_is_followed_or_listed_with_its_reason():
    """A new hint: add a ``Case`` to tests/hint_cases.py that raises it, or its place to ``NOT_RAISED`` and why nothing small does."""
    places = {t.place for t in ALL if t.hint}
    covered = {*(case.place for case in CASES), *PYTHON_CASES}
    assert not places - covered - set(NOT_RAISED), "hints without a case"
    assert not covered - places, "cases of hints that are gone"
    assert not set(NOT_RAISED) - places, "reasons for hints that are gone"
    assert not set(NOT_RAISED) & covered, "raised after all"
    assert all(len(reason) > 15 for reason in NOT_RAISED.values())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("torch")
    made = tmp_path_factory.mktemp("hints")
    hint_files.make(made)
    return made


@pytest.fixture(scope="module")
def done():
    """The command whose files lie in the folder."""
    return {"before": ""}


def run(command: str) -> tuple[int, str]:
    said = CliRunner().invoke(commands, shlex.split(command), catch_exceptions=False)
    return said.exit_code, said.output


@pytest.mark.parametrize("case", CASES, ids=[f"{i}-{c.place.rsplit('/')[-1]}" for i, c in enumerate(CASES)])
def test_a_hint_that_is_followed_leads_on(case, folder, done, monkeypatch):
    for package in case.needs.split():
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"needs {package}")
    monkeypatch.chdir(folder)
    if case.before and case.before != done["before"]:
        code, said = run(case.before)
        assert code in (0, 1), said
        done["before"] = case.before
    if case.gone:
        (folder / case.gone).unlink()
    code, refusal = run(case.command)
    assert code == 2, f"{case.command} is not refused: {refusal}"
    assert any(text.shape.search(refusal) for text in ALL if text.place == case.place and text.hint), f"another hint: {refusal}"
    assert not (new := _new(case)) or new & set(OPTION.findall(refusal)), f"the hint says nothing of that: {refusal}"
    then = followed(case, refusal)
    code, after = run(then)
    if "convert" in (then.split()[0], case.command.split()[0]):
        done["before"] = ""  # it may have written over those files
    assert code in (0, 1) or after.splitlines()[0] != refusal.splitlines()[0], after


def _new(case: Case) -> set[str]:
    """The options that following the hint gives; one of them at least must stand in it."""
    return set(OPTION.findall(f"{case.add} {case.instead}")) - (set(OPTION.findall(case.command)) if case.instead else set())


def followed(case: Case, refusal: str) -> str:
    """The command once the hint was followed."""
    if case.instead:
        return case.instead
    words = shlex.split(case.command)
    for option in case.drop.split():
        at = words.index(option)
        del words[at : at + (1 if at + 1 == len(words) or words[at + 1].startswith("--") else 2)]
    command = shlex.join(words)
    if case.paste:
        hint = " ".join(refusal.rsplit("hint: ", 1)[-1].split()) if "hint: " in refusal else refusal
        found = re.search(case.paste, hint) or re.search(case.paste, refusal)
        assert found, f"nothing to paste: {refusal}"
        pasted = found.group()
        command += f" {pasted}" if pasted.startswith("--") else f" {case.drop} {pasted}"
    return f"{command} {case.add}"


def test_hints_of_python(folder, monkeypatch):
    """What only Python raises: the call that is named leads on."""
    import numpy as np

    import snndeploy as sd

    monkeypatch.chdir(folder)
    options = sd.Options(neuron={"fc1,fc2": "LIF(tau=2.0)"}, timesteps=10)
    loaded = sd.load("plain.pth", options=options)
    with pytest.raises(sd.SnnError, match=r"sd\.save_graph\(sd\.load\(model, example\), stem\)"):
        sd.convert("plain.pth", "d.npz", chip="none", options=options)
    assert sd.save_graph(loaded, "python").exists()
    with pytest.raises(sd.SnnError, match=r"sd\.convert\(model, data, chip"):
        sd.transfer("python.graph.onnx", "d.npz")
    made = sd.convert("python.graph.onnx", "d.npz", chip="loihi2")
    sd.save(made, "python")
    with pytest.raises(sd.SnnError, match=r"--data samples\.npz"):
        sd.report("python.loihi2.onnx")
    assert sd.report("python.loihi2.onnx", "d.npz").chip
    with pytest.raises(sd.SnnError, match=r"Options\(arch='file.py:Net'\)"):
        sd.load({"fc1.weight": np.zeros((2, 2))})
    assert sd.load("code.pth", options=sd.Options(arch="net.py:Net", input_shape=(12,))).graph.nodes


PYTHON_CASES = (*(f"snndeploy/deploy.py:{name}" for name in ("convert", "transfer", "report")), "snndeploy/flow/given.py:model_of")
"""Followed in ``test_hints_of_python``."""


def test_a_case_that_is_not_followed_fails(folder, monkeypatch):
    """The test itself: where nothing is done, the same refusal comes again."""
    monkeypatch.chdir(folder)
    command = "convert plain.pth --timesteps 10 --data d.npz -o o"
    once, again = run(command), run(command)
    assert once[0] == again[0] == 2
    assert once[1].splitlines()[0] == again[1].splitlines()[0]


def test_gathering_finds_what_a_new_file_says(tmp_path):
    import ast

    from hints_in_source import strings

    source = 'def f(x):\n    """--not-this"""\n    raise OptionError("w", "what", f"give --data {x}")\n'
    found = [Text("f.py", holder, words, role) for holder, words, role in strings(ast.parse(source), ())]
    assert [(t.place, t.words, t.named, t.hint) for t in found if t.named] == [("f.py:f", "give --data {}", ("--data",), True)]
    assert Path(ROOT / "snndeploy").is_dir()
