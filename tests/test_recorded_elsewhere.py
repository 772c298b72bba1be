"""What a file keeps of its conversion, said beside other data, on another chip and of a network that was moved there."""

from __future__ import annotations

import pytest
from recorded_networks import loaded, samples

import snndeploy as sd
from snndeploy.report.as_json import to_json

pytest.importorskip("onnx")

OTHER = "of the data it was converted with: "


@pytest.fixture(scope="module")
def lif(tmp_path_factory):
    """A LIF network on Loihi 1, and its files."""
    made = sd.convert(loaded("LIF"), samples(), chip="loihi1")
    return made, sd.save(made, tmp_path_factory.mktemp("lif") / "net")


def judged(report):
    """What is said of the data that judge the network."""
    return [a for a in report.assumptions if "fidelity is judged" in a]


# ------------------------------------------------------------------------------------------- a network that was moved


def test_a_transfer_says_which_data_its_words_are_about(lif, tmp_path):
    made, (_, file) = lif
    [words] = judged(sd.report(made))
    moved = sd.transfer(file, samples(seed=1), chip="loihi2")
    again = sd.save(moved, tmp_path / "moved")[0]
    twice = sd.save(sd.transfer(again, samples(seed=2), chip="loihi1"), tmp_path / "twice")[0]
    found = (sd.report(moved), sd.report(again, samples(seed=1)), sd.report(again, samples(seed=3)), sd.report(twice, samples(seed=2)))
    for said in found:
        assert judged(said) == [OTHER + words]
        assert said.origin == sd.report(file, samples()).making
        assert to_json(said)["origin"]["data"]["sha256"] == to_json(sd.report(made))["making"]["data"]["sha256"]
        assert f"before, fed: 16 samples of 6 steps, labelled, SHA-256 {said.origin.data.sha256[:16]}.." in sd.to_text(said)
    assert judged(sd.report(sd.transfer(file, samples(), chip="loihi2"))) == [words]
    assert sd.report(file, samples()).origin is None
