"""Certificates: what they hold, that they are checked again with NumPy alone, and that nothing can be changed unseen."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import converters
import snndeploy as sd
from snndeploy.arrays import frozen_ints
from snndeploy.certificate import SCHEMA, from_bytes, to_bytes
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Readout
from snndeploy.cli import commands
from snndeploy.data import read
from snndeploy.errors import ModelError, OptionError, ProfileError
from snndeploy.faults import Fault
from snndeploy.flow import certifying
from snndeploy.inert import plain
from snndeploy.report import as_json
from snndeploy.report.as_json import pair
from snndeploy.report.certificates import certificate_section, recheck_to_json, recheck_to_text
from snndeploy.verdict import Pair, Proof, Verdict

GOLDEN = Path(__file__).parent / "golden"
ROOT = Path(__file__).resolve().parents[1]


def network() -> ChipNetwork:
    """Two layers of whole numbers."""
    rng = np.random.default_rng(3)

    def lif(size: int) -> Lif:
        return Lif(frozen_ints([4095] * size), frozen_ints([1024] * size), frozen_ints([20] * size))

    def dense(name: str, source: str, target: str, shape: tuple[int, int]) -> Projection:
        return Projection(name, source, target, Dense(frozen_ints(rng.integers(-20, 40, shape))))

    populations = {
        "x": Population("x", (6,), HostInput()),
        "a": Population("a", (5,), lif(5), shift=1),
        "b": Population("b", (3,), lif(3), shift=2),
    }
    projections = (dense("x->a", "x", "a", (5, 6)), dense("a->b", "a", "b", (3, 5)))
    return ChipNetwork("loihi2", populations, projections, steps=5, readout=Readout("b", "count"))


@pytest.fixture
def made(tmp_path) -> Path:
    """A certificate with its network and data beside it."""
    rng = np.random.default_rng(0)
    converters.save(network(), tmp_path / "n.loihi2.onnx")
    np.savez(tmp_path / "d.npz", x=(rng.random((12, 5, 6)) < 0.5).astype(np.uint8), y=rng.integers(0, 3, 12))
    ran = CliRunner().invoke(commands, ["verify", str(tmp_path / "n.loihi2.onnx"), "--data", str(tmp_path / "d.npz"), "--against", "chip",
                                        "--certificate", str(tmp_path / "c.json")])  # fmt: skip
    assert ran.exit_code == 0, ran.output
    assert f"wrote {tmp_path / 'c.json'}" in ran.output
    return tmp_path / "c.json"


def again(*arguments: str):
    return CliRunner().invoke(commands, ["verify", *arguments])


def test_a_certificate_holds_and_says_what_it_does_not(made):
    ran = again("--certificate", str(made))
    assert ran.exit_code == 0, ran.output
    assert "All " in ran.output
    assert "The certified verdict: exact" in ran.output
    assert "a chip: nothing ran on silicon" in ran.output
    body = json.loads(made.read_text())
    assert [f["role"] for f in body["files"]] == ["program", "data", "profile"]
    assert [f["path"] for f in body["files"]] == ["n.loihi2.onnx", "d.npz", "hw_profiles/loihi2.toml"]
    assert [layer["name"] for layer in body["run"]["layers"]] == ["x", "a", "b"]
    assert all(layer["spikes"] for layer in body["run"]["layers"])
    assert body["run"]["samples"] == 12


def test_the_json_is_golden(made):
    """With versions, times and file hashes, which are the machine's, left out."""
    body = json.loads(made.read_text())
    body |= {"tools": sorted(set(body["tools"]) & {"python", "numpy"}), "seal": len(body["seal"])}
    for file in body["files"]:
        file |= {"sha256": len(file["sha256"]), "size": 0}
    text = json.dumps(body, indent=1, sort_keys=True) + "\n"
    path = GOLDEN / "certificate.json"
    if os.environ.get("SNNDEPLOY_BLESS"):
        path.write_text(text)
    assert text == path.read_text()


def test_the_same_certificate_has_the_same_bytes_and_reads_back(made):
    data = made.read_bytes()
    certificate = from_bytes(data, "c")
    assert to_bytes(certificate) == data
    assert from_bytes(to_bytes(certificate), "c") == certificate


def test_any_byte_of_the_certificate_changed_is_refused(made):
    data = made.read_bytes()
    for at in range(len(data)):
        for flip in (1, 0x20, 0x80):
            broken = data[:at] + bytes([data[at] ^ flip]) + data[at + 1 :]
            with pytest.raises(ModelError):
                from_bytes(broken, "c")
    for broken in (data[:-1], data + b"\n", data[1:], b"", data.replace(b'"spikes": ', b'"spikes":  ', 1)):
        with pytest.raises(ModelError):
            from_bytes(broken, "c")


@pytest.mark.parametrize(("file", "every"), [("n.loihi2.onnx", 67), ("d.npz", 41)])
def test_any_byte_of_model_or_data_changed_is_named(made, file, every):
    """No file is run whose hash differs, so what is looked at is the hash of all of it."""
    path = made.with_name(file)
    data = path.read_bytes()
    assert len(data) > 10 * every
    for at in range(0, len(data), every):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        found = sd.recheck(made)
        assert [c.what.split()[1] for c in found.checks if not c.holds and c.what != "run"] == [file]
    path.write_bytes(data + b"\0")
    assert not sd.recheck(made).holds
    ran = again("--certificate", str(made))
    assert ran.exit_code == 1
    assert "FAILED: " in ran.output
    assert file in ran.output.split("FAILED")[1]


def resealed(made, change):
    """The re-check of a certificate that somebody rewrote and sealed anew."""
    certificate = from_bytes(made.read_bytes(), "c")
    made.write_bytes(to_bytes(change(certificate)))
    return sd.recheck(made)


def run_with(**changes):
    return lambda c: dataclasses.replace(c, run=dataclasses.replace(c.run, **changes))


def layer_with(**changes):
    def change(c):
        first, *rest = c.run.layers
        return dataclasses.replace(c, run=dataclasses.replace(c.run, layers=(dataclasses.replace(first, **changes), *rest)))

    return change


FORGED = {
    "layer x": layer_with(sha256="0" * 64),
    "layer x ": layer_with(spikes=7),
    "layer y": layer_with(name="y"),
    "accuracy": run_with(accuracy=1.0),
    "predictions": run_with(predictions=(0,) * 12),
    "predictions ": run_with(predictions=()),
    "inputs": run_with(inputs={"x": "0" * 64}),
    "content": lambda c: dataclasses.replace(c, content="0" * 64),
    "verdict": lambda c: dataclasses.replace(c, verdict="different"),
    "int64 definition against chip simulator, re-check": lambda c: dataclasses.replace(c, pairs=c.pairs[:-1]),
    "profile hw_profiles/loihi2.toml": lambda c: dataclasses.replace(
        c, files=(*c.files[:-1], dataclasses.replace(c.files[-1], sha256="0" * 64))
    ),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_false_word_under_a_true_seal_fails_where_it_is_run_again(made, what):
    found = resealed(made, FORGED[what])
    assert what.strip() in [c.what for c in found.checks if not c.holds]


def test_what_is_not_run_again_is_listed_as_trusted(made):
    lie = Pair("graph", "lava", 10, 0)
    found = resealed(made, lambda c: dataclasses.replace(c, pairs=(pair(lie), *c.pairs)))
    assert found.holds
    assert any("graph against lava" in line for line in found.trusted)


def test_a_pair_that_differs_is_certified_as_different(made):
    path, samples = made.with_name("n.loihi2.onnx"), sd.Samples({"": np.ones((2, 5, 6))})
    verdict = Verdict((Pair("a", "b", 5, 1),), proofs=(Proof("burst", "l", "equal", "unknown"),))
    out = made.with_name("other.json")
    certificate = sd.certify(sd.Certified(path, verdict, samples), out)
    assert certificate.verdict == "different"
    assert certificate.file("data").path == "other.data.npz"
    assert sd.recheck(out).holds
    assert again("--certificate", str(out)).exit_code == 1
    assert "burst" in certificate_section(certificate)
    assert certificate_section(None) == ""


def test_a_chip_that_is_priced_only_gets_no_certificate(made, tmp_path):
    """What runs here is the simulator of Loihi's rules; no certificate calls that exact for another chip."""
    priced = tmp_path / "n.truenorth.onnx"
    converters.save(dataclasses.replace(network(), chip="truenorth"), priced)
    data = made.with_name("d.npz")
    refused = again(str(priced), "--data", str(data), "--certificate", str(tmp_path / "t.json"))
    assert refused.exit_code == 2
    assert "truenorth: can be priced, but not simulated" in " ".join(refused.output.split())
    assert not (tmp_path / "t.json").exists()
    own = dataclasses.replace(sd.Certified(made.with_name("n.loihi2.onnx"), Verdict(()), read(str(data))), profile=_priced(tmp_path))
    with pytest.raises(ProfileError, match="not simulated"):
        sd.certify(own, tmp_path / "t.json")


def _priced(folder):
    """A profile of the user's own that is priced only."""
    text = (ROOT / "hw_profiles" / "truenorth.toml").read_text(encoding="utf-8")
    (folder / "mine.toml").write_text(text, encoding="utf-8")
    return folder / "mine.toml"


def test_a_certificate_of_a_chip_that_is_priced_only_does_not_hold(made, monkeypatch):
    """One that an older version wrote."""
    priced = made.with_name("n.truenorth.onnx")
    converters.save(dataclasses.replace(network(), chip="truenorth"), priced)
    monkeypatch.setattr(certifying, "must_simulate", lambda profile: None)
    sd.certify(sd.Certified(priced, Verdict(()), read(str(made.with_name("d.npz")))), made.with_name("t.json"))
    assert [c.what for c in sd.recheck(made.with_name("t.json")).checks if not c.holds] == ["chip"]


def test_the_folder_may_move_and_the_data_lie_elsewhere(made, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("c.json", "n.loihi2.onnx"):
        shutil.move(made.with_name(name), moved / name)
    shutil.move(tmp_path / "d.npz", tmp_path / "elsewhere.npz")
    with pytest.raises(ModelError, match=r"data: d\.npz is not there"):
        sd.recheck(moved / "c.json")
    assert again("--certificate", str(moved / "c.json")).exit_code == 2
    assert again("--certificate", str(moved / "c.json"), "--data", str(tmp_path / "elsewhere.npz")).exit_code == 0


def test_files_may_have_any_name(made):
    """Characters that nothing shows are written by their codes; the file is found all the same."""
    odd = made.with_name("n\u200b\u3000.loihi2.onnx")
    shutil.copy(made.with_name("n.loihi2.onnx"), odd)
    out = made.with_name("odd.json")
    sd.certify(sd.Certified(odd, Verdict(()), read(str(made.with_name("d.npz")))), out)
    assert from_bytes(out.read_bytes(), "c").file("program").path == "n\\u200b\u3000.loihi2.onnx"
    assert sd.recheck(out).holds


def test_what_is_no_certificate_is_refused_in_words(made, tmp_path):
    newer = made.read_text().replace(f"certificate/{SCHEMA}", f"certificate/{SCHEMA + 1}")
    odd = made.read_text().replace(f"certificate/{SCHEMA}", "certificate/x")
    for inner in ("1e999", "[" * 940 + "]" * 940, "[" * 990 + "]" * 990, '"\\ud800"'):
        with pytest.raises(ModelError, match="changed"):
            from_bytes(made.read_text().replace('"ties": 0', f'"ties": {inner}').encode(), "c")
    cases = {"missing": None, "newer": newer, "odd": odd, "text": "hello", "list": "[]", "nan": '{"schema": NaN}', "deep": "[" * 100_000}
    said = {}
    for name, content in cases.items():
        path = tmp_path / f"{name}.json"
        if content is not None:
            path.write_text(content)
        ran = again("--certificate", str(path))
        assert ran.exit_code == 2
        said[name] = ran.output
    assert "No such file" in said["missing"]
    assert "reads up to 2" in said["newer"]
    assert "update snndeploy" in said["newer"]
    assert "no schema that exists" in said["odd"]
    assert all("is not" in said[name] for name in ("text", "list", "nan", "deep"))
    assert again().exit_code == 2


def sealed(body):
    """The bytes of a certificate with this content, under a seal that fits it."""
    from snndeploy import certificate as room

    return room._text({**body, "seal": room._seal(body)})


def unsealed(path):
    """Its content, with every kind of row in it."""
    body = json.loads(path.read_bytes())
    del body["seal"]
    proof = as_json.proofs([Proof("burst", "a", "equals the burst neuron", "proved")])
    fault = as_json.faults([Fault("a", "silent", 1, 0, 0, (0,), 1.0, 0.0)])
    return plain({**body, "proofs": proof, "recorded_proofs": proof, "run": {**body["run"], "faults": fault}})


def places(value, path=()):
    """The path to everything in it; of a list, to the first two."""
    if path:
        yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value[:2]) if isinstance(value, list) else ()
    for key, held in inside:
        yield from places(held, (*path, key))


def with_(body, path, value):
    """A copy in which that stands there; nothing does for ``...``."""
    changed = copy.deepcopy(body)
    at = changed
    for key in path[:-1]:
        at = at[key]
    if value is ...:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return changed


def test_entries_of_another_form_under_a_true_seal_are_refused(made):
    """Whatever is taken away or put in its place: refused in words, or looked at again in words; never another error."""
    body, looked_at = unsealed(made), 0
    assert from_bytes(sealed(body), "c").file("nothing") is None
    for path in places(body):
        for value in (..., None, "x", [], {}, 1.5, -(10**30), "\x1b[2J"):
            made.write_bytes(sealed(with_(body, path, value)))
            with contextlib.suppress(ModelError):
                found = from_bytes(made.read_bytes(), "c")
                looked_at += 1
                if looked_at % 11 == 0:
                    assert certificate_section(found)
                    assert recheck_to_text(sd.recheck(made))
    assert looked_at > 70


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("pairs", 0, "within_bound"), "within_bound"),
        (("proofs", 0, "status"), "status"),
        (("run", "layers"), "layers"),
        (("run", "faults", 0, "kind"), "kind"),
        (("files", 0), "names no program"),
    ],
)
def test_what_a_sealed_certificate_lacks_is_named(made, path, words):
    made.write_bytes(sealed(with_(unsealed(made), path, ...)))
    refused = again("--certificate", str(made))
    assert refused.exit_code == 2
    assert words in " ".join(refused.output.split())
    assert "not those of schema" in refused.output


@pytest.mark.parametrize("name", ["n.loihi2.onnx", "c.txt", "d.npz"])
def test_no_other_file_is_written_over(made, name):
    before = made.with_name("n.loihi2.onnx").read_bytes()
    arguments = [str(made.with_name("n.loihi2.onnx")), "--data", str(made.with_name("d.npz"))]
    assert again(*arguments, "--certificate", str(made.with_name(name))).exit_code == 2
    other = made.with_name("other.json")
    other.write_text("{}")
    with pytest.raises(OptionError, match="is no certificate"):
        certifying.writable(other)
    assert made.with_name("n.loihi2.onnx").read_bytes() == before


def test_a_certificate_needs_data_and_a_chip_network_of_ours(made, tmp_path):
    assert again("--certificate", str(made), "--prove").exit_code == 2
    assert again(str(made.with_name("n.loihi2.onnx")), "--prove", "--certificate", str(tmp_path / "o.json")).exit_code == 2
    verdict, samples = Verdict(()), sd.Samples({"": np.ones((2, 5, 6))})
    with pytest.raises(ModelError, match="not a file that snndeploy saved"):
        sd.certify(sd.Certified(tmp_path / "n.net", verdict, samples), tmp_path / "o.json")


def test_text_and_json_say_the_same(made):
    found = sd.recheck(made)
    told = recheck_to_json(found)
    assert told["ok"] is True
    assert told["schema"] == "snndeploy.recheck/1"
    assert [c["what"] for c in told["checks"]] == [c.what for c in found.checks]
    text = " ".join(recheck_to_text(found).split())
    assert all(c.what.split()[0] in text for c in found.checks)
    ran = again("--certificate", str(made), "--json")
    assert json.loads(ran.output)["checks"] == told["checks"]


def test_numpy_alone_checks_again(made):
    """No framework and no onnx is loaded, nor click, where Python asks."""
    code = (
        "import sys, snndeploy as sd\n"
        "class Refuse:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('onnx', 'google', 'torch', 'onnxruntime', 'z3', 'lava', 'h5py', 'scipy', 'rich', 'click'):\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Refuse())\n"
        f"found = sd.recheck({str(made)!r})\n"
        "assert found.holds, found\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=made.parent)


def test_the_plain_reader_reads_what_onnx_reads(made):
    from converters.onnx import load_chip
    from converters.onnx.plain import read_chip

    path = made.with_name("n.loihi2.onnx")
    plain, _ = read_chip(path)
    assert str(plain) == str(load_chip(path))
    converters.save(plain, path.with_name("m.onnx"))
    assert path.with_name("m.onnx").read_bytes() == path.read_bytes()


def test_the_plain_reader_refuses_what_is_not_ours(made, tmp_path):
    from converters.onnx.plain import read_chip

    data = made.with_name("n.loihi2.onnx").read_bytes()
    path = tmp_path / "broken.onnx"
    with pytest.raises(ModelError, match="cannot be read"):
        read_chip(path)
    for content in (b"", b"\xff" * 64, data[: len(data) // 2], b"hello", data.replace(b"ai.snndeploy.noun", b"ai.snndeploy.nuon")):
        path.write_bytes(content)
        with pytest.raises(ModelError):
            read_chip(path)
