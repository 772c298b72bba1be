"""docs/lossless.md: its pictures are the code's graphs, its example runs, its table and its lower bound hold."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
import xml.etree.ElementTree as ET
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from snndeploy.ir.graph import Edge, Limits
from snndeploy.ir.layers import Scale
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.registers import UNIT, plain
from snndeploy.ir.on_numpy import NUMPY

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "lossless.md").read_text(encoding="utf-8")


def script(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def figures():
    return script("docs/figures.py")


def test_the_pictures_are_what_the_code_builds(figures):
    drawn = figures.figures()
    there = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "figures").glob("*.svg")}
    assert there == drawn, "run: python docs/figures.py"


def test_every_picture_is_shown_and_is_xml(figures):
    drawn = figures.figures()
    assert sorted(re.findall(r"\]\(figures/([\w-]+\.svg)\)", PAGE)) == sorted(drawn)
    for picture in drawn.values():
        root = ET.fromstring(picture)
        assert root.find("{http://www.w3.org/2000/svg}rect").get("fill") == "#ffffff"  # legible on a dark page


def test_every_neuron_and_every_weight_is_in_the_picture(figures):
    for name, candidate in figures.constructions().items():
        picture = figures.figures()[f"{name}.svg"]
        assert picture.count("<circle") == len(candidate.graph.named(IntegerNeuron))
    text = "".join(ET.fromstring(figures.figures()["look-ahead.svg"]).itertext())
    for words in ("+F (2 steps)", "−G (3 steps)", "−F, −G (2 steps)", "+F, +G (2 steps)", "input (3 steps)"):
        assert words in text


@pytest.mark.parametrize("name", ["ping-pong", "look-ahead-direct", "lateral"])
def test_a_picture_of_another_graph_is_refused(figures, name):
    candidate, layout = figures.constructions()[name], figures.layouts()[name]
    neuron = next(n for n in candidate.graph.nodes if n in ("A1", "A", "N1"))
    more = candidate.graph.replace({"extra": Scale(np.array(1.0)), "X": plain(figures.example("hard"), 0)},
                                   [*candidate.graph.edges, Edge(neuron, "extra"), Edge("extra", "X")])  # fmt: skip
    wrong = figures.dataclasses.replace(candidate, graph=more)
    with pytest.raises(ValueError, match="page and graph differ"):
        figures.draw(name, wrong, layout)


def test_the_counterexample_runs(capsys):
    code = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(code) == 1
    exec(compile(code[0], "lossless.md", "exec"), {})
    assert capsys.readouterr().out == "[1, 1] [1, 2]\n"


def test_copies_fail_at_the_second_step_in_the_chips_integers():
    node = IntegerNeuron(4095.0, 2048.0, np.array([10.0, 20.0]) * UNIT, np.array([1.0, 2.0]))
    neurons = [node, plain(node, 0), plain(node, 1)]
    states = [{"u": np.zeros(1), "v": np.zeros(1)} for _ in neurons]
    levels = []
    for _ in range(2):
        stepped = [n.step((np.array([15.0]),), state, NUMPY) for n, state in zip(neurons, states, strict=True)]
        states = [state for _, state in stepped]
        levels.append((float(stepped[0][0][0]), float(stepped[1][0][0] + stepped[2][0][0])))
    assert levels == [(1.0, 1.0), (1.0, 2.0)]


@pytest.mark.parametrize("rungs", [2, 3, 5])
def test_the_table_of_costs(rungs):
    """Neurons and steps of the page's table, against the graphs."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.splitlines() if line.startswith(("| graded", "| lateral",
            "| ping", "| look", "| two"))]  # fmt: skip
    ladder = np.arange(1.0, rungs + 1) * 4 * UNIT
    common = (4095.0, 3072.0, ladder, np.arange(1.0, rungs + 1))
    limits = Limits((1,), 9, programs=True, payload_bits=24)
    nodes = (IntegerNeuron(*common), IntegerNeuron(*common, 0.0, "subtract", ladder))
    built = {c.construction: c for node in nodes for c in node.lower(limits)}
    assert {row[0] for row in rows} == set(built)
    for name, _, neurons, steps, *_ in rows:
        times, _, less = neurons.partition(" - ")
        count = (int(times.rstrip("K") or 1) * rungs if times.endswith("K") else int(times)) - int(less or 0)
        assert len(built[name].graph.named(IntegerNeuron)) == count
        assert built[name].latency == int(steps.split(",")[0])
        assert built[name].phases == (2 if "half the rate" in steps else 1)


def test_two_plain_neurons_cannot_and_the_four_of_ping_pong_can():
    pytest.importorskip("z3")
    bound = script("benchmarks/lower_bound.py")
    half, force = Fraction(1, 2), Fraction(100)
    assert bound.search([half, half], 60.0)[0] == "impossible"
    one, two, nothing = Fraction(1), Fraction(2), Fraction(0)
    to_a, read = [force, nothing, -force, force], [one, Fraction(3, 2)]
    banks = {"gain": [one] * 4, "bias": [nothing, nothing, force, force], "threshold": [one, two, one, two], "reset": [nothing] * 4,
             "read": read * 2, "constant": -sum(read), "w": [to_a, to_a, [-w for w in to_a], [-w for w in to_a]]}  # fmt: skip
    assert bound.wrong_on(banks, [half] * 4, random.Random(2)) is None
    assert bound.wrong_on({**banks, "bias": [nothing] * 4}, [half] * 4, random.Random(2)) is not None
