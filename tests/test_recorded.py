"""What a conversion found out stands in the chip network's file, and every verb repeats it."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import math
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import snn
from recorded_networks import artificial, loaded, real_samples, samples

import converters
import snndeploy as sd
from converters import onnx as fmt
from converters.onnx.plain import read_provenance
from snndeploy import certificate
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Readout
from snndeploy.cli.terminal import write
from snndeploy.errors import ProfileError
from snndeploy.flow.recording import placed_as_made, read_record, write_recorded
from snndeploy.hw import load_profile
from snndeploy.inert import written
from snndeploy.report import to_html
from snndeploy.report.as_json import to_json
from snndeploy.report.provenance import LARGEST, Provenance, from_text, to_text
from snndeploy.report.report import BurstRow
from snndeploy.verdict import Divergence, Pair, Proof

pytest.importorskip("onnx")

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
MADE = {
    "LIF on loihi1": ("LIF", "loihi1", "exact"),
    "Burst on loihi1, in plain neurons": ("Burst", "loihi1", "exact"),
    "Burst on loihi2, as programs": ("Burst", "loihi2", "model only"),
    "GLIF on loihi2": ("GLIF", "loihi2", "model only"),
}


@pytest.fixture(scope="module")
def agreement():
    sys.path.insert(0, str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("agreement", BENCHMARKS / "agreement.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["agreement"] = module
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(BENCHMARKS))


@pytest.fixture(scope="module")
def deployments():
    return {name: sd.convert(loaded(neuron), samples(), chip=chip) for name, (neuron, chip, _) in MADE.items()}


# -------------------------------------------------------------------------------------------------- all verbs say the same


@pytest.mark.parametrize("name", MADE)
def test_every_verb_says_what_convert_said(name, deployments, agreement, tmp_path):
    made = deployments[name]
    assert made.verdict.grade == MADE[name][2]
    assert list(agreement.disagreements(made, samples(), tmp_path)) == []


def test_and_the_same_without_labels(agreement, tmp_path):
    made = sd.convert(loaded("GLIF"), samples(labelled=False), chip="loihi2")
    assert list(agreement.disagreements(made, samples(labelled=False), tmp_path)) == []


def test_and_of_an_artificial_network_and_of_one_that_was_moved(agreement, deployments, tmp_path):
    made = sd.convert(artificial(), real_samples(), chip="loihi2", options=sd.Options(relu="if"))
    assert list(agreement.disagreements(made, real_samples(), tmp_path)) == []
    file, moving = sd.save(deployments["LIF on loihi1"], tmp_path / "lif")[1], tmp_path / "moved"
    moving.mkdir()
    for data in (samples(), samples(seed=1)):
        moved = sd.transfer(file, data, chip="loihi2")
        assert list(agreement.disagreements(moved, data, moving)) == []


def test_the_agreement_would_see_what_is_lost(deployments, agreement, tmp_path, monkeypatch):
    from snndeploy.flow import writing

    monkeypatch.setattr(writing, "write_recorded", lambda network, path, made: fmt.save(network, path))
    lost = list(agreement.disagreements(deployments["Burst on loihi1, in plain neurons"], samples(), tmp_path))
    assert {"passes", "bursts", "quantization", "probed", "making"} <= {line.split()[2] for line in lost if line.startswith("report")}


@pytest.mark.parametrize(("model", "chip"), [("netx_iris", "loihi2"), ("netx_iris .net", "loihi1")])
def test_a_visible_model_gets_one_grade_from_every_verb(model, chip, shared, agreement, tmp_path):
    """The others: benchmarks/agreement.py."""
    if not model.endswith(".net"):
        pytest.importorskip("torch")
    job = agreement.jobs(4)[model]()
    assert list(agreement.disagreements(agreement.deployed(job, chip), job.data, tmp_path)) == []


def test_on_other_data_the_report_says_whose_words_it_repeats(deployments, tmp_path):
    file = sd.save(deployments["LIF on loihi1"], tmp_path / "net")[1]
    said = sd.report(file, samples(seed=1))
    assert any(line.startswith("of the data it was converted with: fidelity is judged on data whose") for line in said.assumptions)
    assert "ASSUMED something of the model (--option)" in said.assumptions
    same = sd.report(file, samples())
    assert not any(line.startswith("of the data it was") for line in same.assumptions)


def test_the_text_of_the_file_is_the_text_of_the_conversion(deployments, tmp_path):
    """But for the comparisons that were made now, and the sentence that counts them."""
    made = deployments["Burst on loihi2, as programs"]
    told = sd.to_text(sd.report(made))
    again = sd.to_text(sd.report(sd.save(made, tmp_path / "net")[1], samples()))
    assert "n1 and n2 run neuron programs" in told
    kept = again.replace("Compared when it was converted\n------------------------------", "Comparisons\n-----------")
    missing = [line for line in told.splitlines() if line not in kept.splitlines()]
    assert all("Exactness" in line or "claimed" in line for line in missing), missing


def test_data_without_labels_were_run_all_the_same(deployments, tmp_path):
    file = sd.save(deployments["LIF on loihi1"], tmp_path / "net")[1]
    (tmp_path / "net.graph.onnx").unlink()
    for found in (sd.report(file, samples(labelled=False)), sd.report(sd.transfer(file, samples(labelled=False), chip="loihi2"))):
        said = " ".join(sd.to_text(found).split())
        assert "16 samples ran; they have no labels" in said
        assert "No data were run" not in said


def test_warnings_that_a_construction_settled_do_not_come_back(tmp_path):
    """By report, check and transfer of the file; without the record they do."""
    populations = {"in": Population("in", (4000,), HostInput()), "n.A": Population("n.A", (2,), Lif(-1, 0, 100))}
    wide = Projection("fc", "in", "n.A", Dense(np.full((2, 4000), 254)))
    network = ChipNetwork("loihi2", populations, (wide,), Readout("n.A"), 4)
    x = np.zeros((2, 4, 4000))
    taken = BurstRow("n", "lateral", 2, 8000, 0, 1.0, 0.0, chosen=True)
    graded, refused = dataclasses.replace(taken, construction="graded"), dataclasses.replace(taken, chosen=False)
    for bursts, wanted in (((), 1), ((graded, refused), 1), ((refused, taken), 0)):
        file = tmp_path / "net.loihi2.onnx"
        write_recorded(network, file, Provenance("", "net", bursts=bursts))
        assert worst_cases(sd.report(file, x).placement) == wanted
        assert worst_cases(sd.check(file, None)) == wanted
        assert worst_cases(sd.transfer(file, x, chip="loihi2").placement) == wanted
        assert snn("check", file).count("L013") == wanted


def worst_cases(placement):
    return sum(f.code == "L013" for f in placement.findings)


# --------------------------------------------------------------------------------------------------------------- the file


def test_the_bytes_do_not_depend_on_the_place(tmp_path, monkeypatch):
    """The same command in two folders, once with paths and once without."""
    files = []
    for place in ("one", "two/deeper"):
        (tmp_path / place).mkdir(parents=True)
        monkeypatch.chdir(tmp_path / place)
        converters.save(loaded("LIF").graph, "net.graph.onnx")
        np.savez("d.npz", x=samples()[0], y=samples()[1])
        where = "" if place == "one" else f"{tmp_path / place}/"
        snn("convert", f"{where}net.graph.onnx", "--data", f"{where}d.npz", "--chip", "loihi2", "-o", f"{where}out/net")
        files.append(Path("out/net.loihi2.onnx").read_bytes())
    assert files[0] == files[1]
    assert str(tmp_path).encode() not in files[0]
    command = sd.report(tmp_path / "one/out/net.loihi2.onnx", samples()).making.command
    assert command == "snndeploy convert net.graph.onnx --chip loihi2 --data d.npz"


def test_command_data_and_model_are_named_by_their_hashes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    converters.save(loaded("GLIF").graph, "net.graph.onnx")
    np.savez("d.npz", x=samples()[0])
    told = snn("convert", "net.graph.onnx", "--data", "d.npz", "-o", "out/net", "--report", "r/page.html")
    assert "r/page.html" in told
    page = Path("r/page.html").read_text(encoding="utf-8")
    assert all(words in page for words in ("How it was made", "net.graph.onnx", "model only", "Passes"))
    body = json.loads(snn("report", "out/net.loihi2.onnx", "--data", "d.npz", "--json"))
    assert {f["role"]: f["name"] for f in body["making"]["files"]} == {"model": "net.graph.onnx", "data": "d.npz"}
    assert body["making"]["versions"]["numpy"] == np.__version__
    assert (body["grade"], body["ok"]) == ("model only", True)
    run = json.loads(snn("run", "out/net.loihi2.onnx", "--data", "d.npz", "--json"))
    assert (run["grade"], run["model_only"], run["fits"]) == ("model only", ["n1", "n2"], True)
    assert "model only" in snn("run", "out/net.loihi2.onnx", "--data", "d.npz")
    refused = snn("convert", "net.graph.onnx", "--data", "d.npz", "--report", "page.pdf", code=2)
    assert "does not say which kind of report" in refused


def test_a_file_without_a_record_loads_and_says_less(deployments, tmp_path):
    made = deployments["GLIF on loihi2"]
    path = tmp_path / "old.loihi2.onnx"
    fmt.save(made.network, path)
    assert read_provenance(path)[0] == ""
    assert b"provenance" not in path.read_bytes()
    found = sd.report(path, samples())
    assert (found.verdict.grade, found.passes, found.making) == ("model only", (), None)


DAMAGE = {
    "no JSON": lambda text: "{" + text,
    "cut off": lambda text: text[: len(text) // 2],
    "another schema": lambda text: text.replace('"schema":2', '"schema":7'),
    "a changed number": lambda text: text.replace('"max_drop":0.5', '"max_drop":99.5'),
    "about another network": lambda text: to_text(dataclasses.replace(from_text(text, json.loads(text)["content"]), content="0" * 64)),
    "too long": lambda text: text + " " * LARGEST,
    "deep": lambda text: "[" * 100_000,
    "a list": lambda text: "[]",
    "NaN": lambda text: text.replace('"max_drop":0.5', '"max_drop":NaN'),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_record_is_left_aside_with_a_word(how, deployments, tmp_path):
    whole = sd.save(deployments["GLIF on loihi2"], tmp_path / "net")[1]
    text, _ = read_provenance(whole)
    path = tmp_path / "other.loihi2.onnx"
    fmt.save(converters.load(whole), path, provenance=DAMAGE[how](text))
    record = read_record(path)
    assert record.made is None
    assert record.unread[0].startswith("the record of the conversion in other.loihi2.onnx ")
    found = sd.report(path, samples())
    assert (found.verdict.grade, found.passes) == ("model only", ())
    assert record.unread[0] in found.unchecked


def test_records_are_inert_whatever_stands_in_them(deployments, tmp_path):
    """Bytes changed, taken away and repeated: a provenance, or refused with words; never another error."""
    text, content = read_provenance(sd.save(deployments["Burst on loihi1, in plain neurons"], tmp_path / "net")[1])
    whole, draw = from_text(text, content), random.Random(0)
    for _ in range(300):
        at, length = draw.randrange(len(text)), draw.randrange(1, 9)
        piece = "".join(draw.choice('{}[]":,0123456789-.eEnull \x1b\\u') for _ in range(draw.randrange(0, 6)))
        changed = text[:at] + piece + text[at + length :]
        with contextlib.suppress(ValueError):
            assert from_text(changed, content) == whole


def test_text_that_steers_a_terminal_is_no_text():
    text = to_text(Provenance("c", "net", assumptions=("HERE",)))
    for steers in ("\\u001b[2J", "\\u202e", "\\t", "\\u200b", "\\u2028"):
        with pytest.raises(ValueError, match="is damaged"):
            from_text(text.replace("HERE", steers), "c")
    with pytest.raises(ValueError, match="was changed"):
        from_text(text.replace("HERE", "\\u3000"), "c")


@pytest.mark.parametrize("odd", ["\u3000", "\u00a0", "\t", "\u200b", "\x1b", "\u202e", "\u2028", "\u00e9", "\U0001f9e0"])
def test_what_was_written_is_read_back_whatever_things_are_called(odd, tmp_path):
    """Names with spaces of another width, tabs, and characters that nothing shows: those are written by their codes."""
    graph = loaded("Burst").graph

    def named(name):
        return f"a{odd}{name}" if name == "n1" else name

    edges = tuple(dataclasses.replace(e, source=named(e.source), target=named(e.target)) for e in graph.edges)
    renamed = dataclasses.replace(graph, nodes={named(n): node for n, node in graph.nodes.items()}, edges=edges)
    made = sd.convert(converters.Loaded(renamed), samples(), chip="loihi1", name=f"my{odd}net")
    record = read_record(sd.save(made, tmp_path / "net")[1])
    assert record.unread == ()
    assert record.made.model == f"my{written(odd)}net"
    assert not any(c in to_text(record.made) for c in "\t\x1b")
    assert placed_as_made(made.network, made.profile, record.made) == made.placement
    sd.certify(sd.Certified(tmp_path / "net.loihi1.onnx", made.verdict, _samples()), tmp_path / "c.json")
    assert sd.recheck(tmp_path / "c.json").holds


def test_a_page_names_a_model_whose_name_is_no_text(deployments, tmp_path):
    """As Python spells a file's name of bytes that are no UTF-8."""
    made = dataclasses.replace(deployments["LIF on loihi1"], name="n\udcff")
    write(tmp_path / "page.html", to_html(sd.report(made)))
    assert "n\\udcff on " in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert read_record(sd.save(made, tmp_path / "net")[1]).made.model == "n\\udcff"


def test_a_settled_layer_is_found_by_any_name(tmp_path):
    populations = {"in": Population("in", (4000,), HostInput()), "a\tn.A": Population("a\tn.A", (2,), Lif(-1, 0, 100))}
    wide = Projection("fc", "in", "a\tn.A", Dense(np.full((2, 4000), 254)))
    network = ChipNetwork("loihi2", populations, (wide,), Readout("a\tn.A"), 4)
    file, profile = tmp_path / "net.loihi2.onnx", load_profile("loihi2")
    for changes, wanted in (({}, 1), ({"bursts": (BurstRow("a\tn", "lateral", 2, 8000, 0, 1.0, 0.0, chosen=True),)}, 0)):
        write_recorded(network, file, Provenance("", "net", **changes))
        assert worst_cases(placed_as_made(network, profile, read_record(file).made)) == wanted


def test_a_record_holds_every_kind_of_row():
    pair = Pair("a", "b", 5, 1, Divergence("n", 1, 2, (3, 4), math.nan, 1.0, "why"), within_bound=1)
    proof = Proof("name", "layer", "statement", "proved", by="arithmetic on the deployed integers")
    made = Provenance("c", "net", pairs=(pair,), proofs=(proof,), payloads={"n": 3})
    back = from_text(to_text(made), "c")
    assert (back.proofs, back.payloads) == (made.proofs, made.payloads)
    assert math.isnan(back.pairs[0].first.a)
    assert to_text(back) == to_text(made)


# ------------------------------------------------------------------------------------- chips that did not run, or do not hold


def test_a_chip_that_is_only_priced_gets_no_verdict_and_no_accuracy(deployments, tmp_path):
    made = deployments["LIF on loihi1"]
    file = sd.save(made, tmp_path / "net")[1]
    found = sd.report(file, samples(), chip="truenorth")
    body = to_json(found)
    assert (body["verdict"], body["grade"], body["fidelity"]) == ("not_checked", "not_checked", None)
    assert (body["ok"], body["simulated"]) == (False, False)
    assert body["energy"]["status"] == "estimated"
    assert not any("calibrated)" in note and "uncalibrated" not in note for note in body["energy"]["notes"])
    text = sd.to_text(found)
    assert "Not simulated" in text
    assert not any(line.startswith("Exactness  Exact") for line in text.splitlines())
    with pytest.raises(ProfileError, match="not simulated"):
        sd.transfer(file, samples(), chip="truenorth")
    with pytest.raises(ProfileError, match="not simulated"):
        sd.run(file, samples(), chip="truenorth")


def test_where_it_does_not_fit_each_claim_says_so(deployments, tmp_path):
    file = sd.save(deployments["Burst on loihi2, as programs"], tmp_path / "net")[1]
    np.savez(tmp_path / "d.npz", x=samples()[0], y=samples()[1])
    said = snn("report", file, "--data", tmp_path / "d.npz", "--chip", "loihi1", code=1)
    for claim in ("Exactness", "Fidelity", "Energy", "Latency"):
        assert any(line.startswith(claim) and "does not fit" in line for line in said.splitlines()), claim
    body = json.loads(snn("report", file, "--data", tmp_path / "d.npz", "--chip", "loihi1", "--json", code=1))
    assert (body["ok"], body["fits"], body["energy"]["status"]) == (False, False, "estimated")
    ran = snn("run", file, "--data", tmp_path / "d.npz", "--chip", "loihi1", code=1)
    assert any(line.startswith("accuracy") and "does not fit" in line for line in ran.splitlines())


# ------------------------------------------------------------------------------------------------------------ certificates


def test_a_certificate_cannot_call_a_program_exact(deployments, tmp_path):
    file = sd.save(deployments["GLIF on loihi2"], tmp_path / "net")[1]
    verdict = sd.verify(file, samples(), ("graph", "chip"))
    made = sd.certify(sd.Certified(file, verdict, _samples()), tmp_path / "c.json")
    assert (made.verdict, made.grade, made.ties) == ("exact", "model only", 0)
    assert len(made.passes) == len([p for p in deployments["GLIF on loihi2"].passes if p.changed])
    assert sd.recheck(tmp_path / "c.json").holds
    lie = dataclasses.replace(made, grade="exact")
    (tmp_path / "lie.json").write_bytes(certificate.to_bytes(lie))
    found = sd.recheck(tmp_path / "lie.json")
    assert [c.what for c in found.checks if not c.holds] == ["grade"]


def _samples():
    from snndeploy.flow.given import as_samples

    return as_samples(samples())


def test_what_is_proved_does_not_stand_under_not_checked(deployments, tmp_path):
    pytest.importorskip("z3")
    file = sd.save(deployments["Burst on loihi2, as programs"], tmp_path / "net")[1]
    said = snn("verify", file, "--prove")
    assert "Exactness: By proof." in said
    assert "Not checked" not in said


def test_delta_sends_signed_values_and_is_not_said_to_be_cut_off():
    from snndeploy.chip.models import SigmaDelta
    from snndeploy.flow.chip_semantics import FACTS

    facts = {sums: dict(FACTS[SigmaDelta](SigmaDelta(2, sums=sums))) for sums in (True, False)}
    assert facts[True]["activation"] == "the running sum, cut off below 0"
    assert facts[False]["activation"] == "the input itself"
