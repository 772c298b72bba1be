"""Five neurons of the literature: small trained networks, on both chips, and the page that tells of them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from snndeploy import demo  # noqa: E402 (after importorskip)

FOLDER = Path(__file__).parents[1] / "benchmarks" / "papers"
RESULTS = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
NAMES = ("PLIF", "GLIF", "CLIF", "KLIF", "LIFB")
BAR = 0.5
"""Points of accuracy that the chip may lose against the float network."""
DIGIT = 1 / 360


@pytest.fixture(scope="module")
def script():
    """The modules of the folder, by name; they are scripts, and import each other as such."""
    names = ("network", "page", "train", "report")
    sys.path.insert(0, str(FOLDER))
    try:
        yield importlib.import_module
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            sys.modules.pop(name, None)


def accuracy(net) -> float:
    data = np.load(demo.TEST)
    with torch.no_grad():
        return float((net(torch.from_numpy(data["x"])).argmax(1).numpy() == data["y"]).mean())


def test_the_page_is_made_of_the_results(script):
    assert tuple(RESULTS) == NAMES
    assert script("page").page(RESULTS) == (FOLDER.parents[1] / "docs" / "papers.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_the_results_are_within_the_bar_and_of_the_committed_weights(name, script):
    found = RESULTS[name]["loihi2"]
    assert found["samples"] == 360
    assert 100 * (found["float"] - found["chip"]) <= BAR
    assert found["float"] >= 0.97
    assert (found["different"], found["verdict"], found["saturations"]) == (0, "exact", 0)
    # torch runs in float32, the float graph in float64
    assert abs(accuracy(script("network").trained(name)) - found["float"]) <= 1.5 * DIGIT


@pytest.mark.parametrize("name", NAMES)
def test_grades_say_what_has_no_silicon_reference(name):
    found = RESULTS[name]["loihi2"]
    assert (found["grade"] == "model only") == bool(found["instructions"])
    assert max(found["instructions"], default=0) <= 128


@pytest.mark.parametrize("name", NAMES)
def test_loihi1_deploys_exactly_or_refuses_with_the_nearest_and_its_cost(name, script):
    found = RESULTS[name]["loihi1"]
    if "deployed" in found:
        assert (found["deployed"]["grade"], found["deployed"]["different"], found["deployed"]["instructions"]) == ("exact", 0, [])
        return
    assert "L010" in found["refused"]
    assert "the nearest neuron here is LIF(" in found["hint"]
    assert "Measured on 360 samples" in found["hint"]
    for key, again in (("as_it_is", False), ("trained_again", True)):
        near = found[key]
        assert (near["grade"], near["different"], near["instructions"]) == ("exact", 0, [])
        assert abs(accuracy(script("network").nearest_network(name, again=again)) - near["float"]) <= 1.5 * DIGIT


def held(script, name: str) -> None:
    """A row made anew is the committed one; another BLAS may move a rate and an answer, never what was compiled."""
    report = script("report")
    found, known = report.measured(report.converted(script("network").trained(name), "loihi2")), RESULTS[name]["loihi2"]
    for exact in ("samples", "instructions", "state_words", "registers", "cores", "neurons", "compared", "different", "grade", "verdict"):
        assert found[exact] == known[exact], exact
    assert abs(found["float"] - known["float"]) <= 1.5 * DIGIT
    assert abs(found["chip"] - known["chip"]) <= 1.5 * DIGIT
    assert found["spikes"] == pytest.approx(known["spikes"], rel=0.01)


def test_the_hardest_row_made_anew_is_the_committed_one(script):
    held(script, "CLIF")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != "CLIF"])
def test_the_other_rows_made_anew_are_the_committed_ones(name, script):
    held(script, name)


@pytest.mark.slow
def test_a_refusal_made_anew_is_the_committed_one(script):
    found = script("report").on_loihi1("KLIF")
    known = RESULTS["KLIF"]["loihi1"]
    assert found["refused"] == known["refused"]
    assert abs(found["as_it_is"]["chip"] - known["as_it_is"]["chip"]) <= 1.5 * DIGIT


def test_the_interval_of_a_drop_knows_what_360_digits_can_show(script):
    interval = script("page").interval_of_drop
    low, high = interval(0, 0, 360)
    assert low == -high
    assert high > 0.5  # even without any change
    low, high = interval(36, 0, 360)
    assert 5 < low < 10 < high


def test_the_script_trains_and_saves(script, tmp_path, monkeypatch, capsys):
    pytest.importorskip("sklearn")
    train = script("train")
    data = {name: value[:64] for name, value in train.split().items()}
    monkeypatch.setattr(train, "split", lambda: data)
    monkeypatch.setattr(train, "EPOCHS", 1)
    monkeypatch.setattr(train, "EPOCHS_AGAIN", 1)
    monkeypatch.setattr(train, "weights", lambda name, again: tmp_path / f"{name}{again}.pt")
    deterministic, threads = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    try:
        train.main(["GLIF"])
        train.main(["GLIF"], again=True)
    finally:
        torch.use_deterministic_algorithms(deterministic)
        torch.set_num_threads(threads)
    script("network").network("GLIF").load_state_dict(torch.load(tmp_path / "GLIFFalse.pt", weights_only=True))
    assert {path.name for path in tmp_path.iterdir()} == {"GLIFFalse.pt", "GLIFTrue.pt"}
    assert capsys.readouterr().out.count("held back") == 2


def test_the_weights_are_small():
    sizes = [path.stat().st_size for path in FOLDER.glob("*.pt")]
    assert len(sizes) == len(NAMES) + 3
    assert max(sizes) < 100_000
