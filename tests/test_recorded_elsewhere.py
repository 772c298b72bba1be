"""What a file keeps of its conversion, said beside other data, on another chip and of a network that was moved there."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from command_line import snn
from recorded_networks import artificial, loaded, real_samples, samples

import snndeploy as sd
from converters.onnx.plain import read_chip
from snndeploy.flow import feeding, making, recording, reporting, transferring
from snndeploy.flow.recording import read_record, write_recorded
from snndeploy.flow.saved import AS_RECORDED, TO_SPIKING
from snndeploy.place import place
from snndeploy.report import to_html, verify_to_json, verify_to_text
from snndeploy.report.as_json import to_json
from snndeploy.report.proofs import PROVED_BEFORE
from snndeploy.report.words import COMPARED_BEFORE
from snndeploy.verdict import Fidelity, Pair, Proof, Verdict

pytest.importorskip("onnx")

PROVED = Proof("burst", "n1", "equals the burst neuron", "proved", by="arithmetic")
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


def rewritten(file, **changes):
    """The file with another record, sealed again: whoever writes a file can write what it says of itself."""
    network, _ = read_chip(file)
    write_recorded(network, file, dataclasses.replace(read_record(file).made, **changes))
    return file


@pytest.fixture
def own(lif, tmp_path):
    """A copy of the LIF network's files."""
    copies = [tmp_path / Path(f).name for f in lif[1]]
    for copy, file in zip(copies, lif[1], strict=True):
        copy.write_bytes(Path(file).read_bytes())
    return copies[1]


# ------------------------------------------------------------------------------------------------------------- proofs


@pytest.mark.parametrize(
    ("status", "grade", "fine"), [("proved", "exact", True), ("unknown", "exact", False), ("failed", "different", False)]
)
def test_a_proof_of_the_record_is_marked_and_makes_nothing_better(own, tmp_path, status, grade, fine):
    rewritten(own, proofs=(dataclasses.replace(PROVED, status=status),))
    verdict = sd.verify(own, samples(), ("chip",))
    assert (verdict.proofs, verdict.recorded_proofs[0].status) == ((), status)
    assert (verdict.grade, verdict.as_wished(0.5)) == (grade, fine)
    said = verify_to_text("net", verdict)
    assert said.index(PROVED_BEFORE) < said.index("equals the burst neuron")
    assert "\nProofs\n" not in said
    body = verify_to_json("net", verdict)
    assert (body["proofs"], body["recorded_proofs"][0]["name"]) == ([], "burst")
    found, moved = sd.report(own, samples()), sd.transfer(own, samples(), chip="loihi2")
    for shown in (found, sd.report(moved), sd.report(sd.save(moved, tmp_path / "moved")[0], samples())):
        assert (shown.verdict.proofs, len(shown.verdict.recorded_proofs), shown.ok) == ((), 1, fine)
        assert PROVED_BEFORE in sd.to_text(shown)
        assert PROVED_BEFORE in to_html(shown)
        assert to_json(shown)["proofs"] == []
    assert moved.ok is fine


def test_a_certificate_marks_the_proofs_of_the_record_too(own, tmp_path):
    rewritten(own, proofs=(PROVED,))
    np.savez(tmp_path / "d.npz", x=samples()[0], y=samples()[1])
    snn("verify", own, "--data", tmp_path / "d.npz", "--certificate", tmp_path / "c.json")
    body = json.loads((tmp_path / "c.json").read_text())
    assert (body["proofs"], [p["name"] for p in body["recorded_proofs"]]) == ([], ["burst"])
    assert any(line.startswith("proofs: none were asked for") and "1 of the conversion" in line for line in body["not_checked"])
    found = sd.recheck(tmp_path / "c.json")
    assert found.holds
    assert any("1 proofs of the conversion" in line for line in found.trusted)


def test_proofs_made_now_take_the_place_of_the_recorded_ones(own):
    pytest.importorskip("z3")
    first = sd.verify(own, samples(), ("chip",))
    from snndeploy.cli.certificates import proved_file

    now = proved_file(first, own, 20, 600, sd.Options())
    kept = dataclasses.replace(now.proofs[0], status="failed", seconds=0.0)
    other = dataclasses.replace(PROVED, name="of another kind")
    rewritten(own, proofs=(kept, other))
    again = proved_file(sd.verify(own, samples(), ("chip",)), own, 20, 600, sd.Options())
    assert again.recorded_proofs == (other,)
    assert again.proved
    assert again.grade == "exact"


def test_only_proofs_of_now_are_by_proof():
    from snndeploy.report.words import exactness

    assert exactness(Verdict((), recorded_proofs=(PROVED,))).value == "Not checked"
    assert exactness(Verdict((), proofs=(PROVED,))).value == "By proof"


# ----------------------------------------------------------------------------------------------- an artificial network


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    made = sd.convert(artificial(), real_samples(), chip="loihi2", options=sd.Options(relu="if"))
    return made, sd.save(made, tmp_path_factory.mktemp("rates") / "net")[1]


def test_what_was_recorded_of_an_artificial_network_is_said_to_be_recorded(rates):
    made, file = rates
    same = sd.verify(file, real_samples(), ("graph", "chip"))
    assert same.fidelity == made.verdict.fidelity
    assert AS_RECORDED in same.not_checked
    report = sd.report(file, real_samples())
    assert AS_RECORDED in report.unchecked
    assert any(line.startswith("accuracy against T: was found when it was converted") for line in report.unchecked)
    assert not any("artificial" in line or "against T" in line for line in sd.report(made).unchecked)


def test_on_other_data_the_reference_is_the_spiking_network_and_that_is_said(rates):
    _, file = rates
    other = sd.verify(file, real_samples(1), ("graph", "chip"))
    assert TO_SPIKING in other.not_checked
    assert AS_RECORDED not in other.not_checked
    chip, spiking = (sd.run(f, real_samples(1)).predictions for f in (file, file.with_name("net.graph.onnx")))
    assert other.fidelity.agreement == np.mean(chip == spiking)


def test_after_a_transfer_the_float_run_stands(rates, tmp_path):
    """A transfer has no float network, so what its record says of fidelity is no answer to how near the chip is to one."""
    made, file = rates
    kept = sd.save(sd.transfer(file, real_samples(), chip="loihi2"), tmp_path / "net")[0]
    (tmp_path / "net.graph.onnx").write_bytes(file.with_name("net.graph.onnx").read_bytes())
    near = sd.verify(kept, real_samples(), ("graph", "chip")).fidelity
    assert None not in (near.agreement, near.float_accuracy, near.chip_accuracy)
    assert near.chip_accuracy == made.verdict.fidelity.chip_accuracy
    assert TO_SPIKING in sd.verify(kept, real_samples(), ("graph", "chip")).not_checked


# ---------------------------------------------------------------------------------------------------- what was wished


def test_verify_allows_what_the_conversion_allowed(rates, tmp_path):
    file = tmp_path / "net.loihi2.onnx"
    for name in ("net.loihi2.onnx", "net.graph.onnx"):
        (tmp_path / name).write_bytes(rates[1].with_name(name).read_bytes())
    lost = dataclasses.replace(rates[0].verdict.fidelity, float_accuracy=1.0)
    np.savez(tmp_path / "d.npz", x=real_samples()[0], y=real_samples()[1])
    command = ("verify", file, "--data", tmp_path / "d.npz", "--against", "graph,chip")
    for allowed, code in ((0.5, 1), (99.0, 0)):
        rewritten(file, fidelity=lost, max_drop=allowed)
        assert f"{allowed:g} allowed" in " ".join(snn(*command, code=code).split())
        snn("report", file, "--data", tmp_path / "d.npz", code=code)
    assert "1 allowed" in snn(*command, "--max-drop", "1", code=1)


def test_all_is_as_it_was_wished_is_decided_in_one_place():
    equal, apart = Pair("a", "b", 5, 0), Pair("a", "b", 5, 1)
    lost = Fidelity(10, 0.9, 0.88, 0.9)
    assert Verdict((equal,)).as_wished(0)
    assert Verdict((equal,), lost).as_wished(2)
    assert not Verdict((equal,), lost).as_wished(1.9)
    assert not Verdict((apart,)).as_wished(99)
    assert not Verdict(()).as_wished(99)
    assert not Verdict((equal,), recorded=(apart,)).as_wished(99)
    assert not Verdict((equal,), proofs=(dataclasses.replace(PROVED, status="unknown"),)).as_wished(99)


def test_a_transfer_of_what_was_not_proved_is_not_as_it_was_wished(own, tmp_path):
    rewritten(own, proofs=(dataclasses.replace(PROVED, status="unknown"),))
    np.savez(tmp_path / "d.npz", x=samples()[0], y=samples()[1])
    body = json.loads(snn("convert", own, "--data", tmp_path / "d.npz", "--chip", "loihi2", "-o", tmp_path / "m", "--json", code=1))
    assert body["ok"] is False


# ------------------------------------------------------------------------------------------------ what was not checked


def test_what_the_conversion_did_not_check_is_not_forgotten(own, tmp_path):
    rewritten(own, not_checked=("n1: no obligation covers it",))
    moved = sd.transfer(own, samples(), chip="loihi2")
    assert "n1: no obligation covers it" in sd.verify(own, samples(), ("chip",)).not_checked
    assert "n1: no obligation covers it" in sd.report(own, samples()).unchecked
    assert "n1: no obligation covers it" in sd.report(moved).unchecked
    assert "n1: no obligation covers it" in sd.report(sd.save(moved, tmp_path / "moved")[0], samples()).unchecked


# ------------------------------------------------------------------------------------------------- what was compared


def test_old_comparisons_stand_apart_from_new_ones_that_are_equal(own):
    """The pair of the two simulators, compared again with the same outcome, is not listed as old twice."""
    pair = sd.verify(own, samples(), ("chip",)).pairs[0]
    rewritten(own, pairs=(*read_record(own).made.pairs, pair))
    found = sd.report(own, samples())
    for page, row in ((sd.to_text(found), "\n  int64 definition"), (to_html(found), ">int64 definition<")):
        old, new = page.split(COMPARED_BEFORE)[1].split("Comparisons")
        assert (old.count(row), new.count(row)) == (1, 1)


# ------------------------------------------------------------------------------------------------------- done once


@pytest.fixture
def counted(monkeypatch):
    """How often a function was called, by its name, wherever it stands."""
    calls = Counter()

    def count(function, *rooms):
        def counting(*given, **more):
            calls[function.__name__] += 1
            return function(*given, **more)

        for room in rooms:
            monkeypatch.setattr(room, function.__name__, counting, raising=False)

    count(place, recording, transferring)
    count(making.source_file, making)
    count(feeding._hashed, feeding)
    count(reporting.chip_report, reporting, transferring)
    return calls


def test_a_transfer_is_placed_once_and_its_data_are_hashed_once(own, tmp_path, counted):
    moved = sd.transfer(own, samples(), chip="loihi2")
    sd.report(moved)
    sd.save(moved, tmp_path / "moved")
    assert (counted["place"], counted["_hashed"]) == (1, 1)
    sd.check(own, None)
    assert counted["place"] == 2


def test_a_conversion_hashes_every_file_and_its_data_once_and_is_reported_once(own, tmp_path, counted):
    np.savez(tmp_path / "d.npz", x=samples()[0], y=samples()[1])
    body = json.loads(snn("convert", own.with_name("net.graph.onnx"), "--data", tmp_path / "d.npz", "-o", tmp_path / "m", "--json"))
    assert [f["role"] for f in body["making"]["files"]] == ["model", "data"]
    assert (counted["source_file"], counted["_hashed"], counted["chip_report"]) == (2, 1, 1)
