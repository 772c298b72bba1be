"""The published vectors: our simulator computes them, the checker does, and breaking any rule is noticed."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from snndeploy.sim.chip import run_chip

FOLDER = Path(__file__).parents[1] / "conformance"
VECTORS = json.loads((FOLDER / "loihi_lif.json").read_text())
BREAKS = {
    "floor for truncation": ("return np.sign(x) * (np.abs(x) >> k)", "return x >> k"),
    "fires on equality": ("1 * (v > (n.get", "1 * (v >= (n.get"),
    "lower threshold fires on equality": ("- (v < (n.get", "- (v <= (n.get"),
    "threshold without its shift": ('n.get("vth_hi")) << 6)', 'n.get("vth_hi")))'),
    "input without its shift": ("wrap(a[t - 1] << 6)", "wrap(a[t - 1])"),
    "u's sum does not wrap at 32 bits": ("u = wrap(tz(u", "u = (tz(u"),
    "v's sum does not wrap at 32 bits": ("np.clip(wrap(tz(v", "np.clip((tz(v"),
    "u's decay without the one": ('(n["du"] + 1)', '(n["du"])'),
    "v's decay with a one": ('(4096 - n["dv"])', '(4095 - n["dv"])'),
    "u does not wrap above": ("np.where(u > 2**23, u - 2**24,", "np.where(u > 2**40, u,"),
    "u wraps at 2**23": ("np.where(u > 2**23,", "np.where(u >= 2**23,"),
    "u does not wrap below": ("u <= -(2**23), u + 2**24", "u <= -(2**40), u"),
    "u keeps -2**23": ("u <= -(2**23),", "u < -(2**23),"),
    "v does not saturate": ("-(2**23 - 1), 2**23 - 1)", "-(2**40), 2**40)"),
    "v saturates one too low": ("-(2**23 - 1), 2**23 - 1)", "-(2**23), 2**23 - 1)"),
    "bias shifted by 6": ("u + bias)", "u + (bias << 6))"),
    "a negative bias exponent truncates": (">> np.maximum(-n", "* 0 + tz(n['bias_mant'], 1) + 0 * np.maximum(-n"),
    "a spike clears u": ("v = np.where(s != 0, 0, v)", "u, v = np.where(s != 0, 0, u), np.where(s != 0, 0, v)"),
    "a spike does not clear v": ("v = np.where(s != 0, 0, v)", "pass"),
    "a spike subtracts": ("v = np.where(s != 0, 0, v)", 'v = v - s * (n.get("vth", n.get("vth_hi")) << 6)'),
    "a reset clears v alone": ("u, v = 0 * u, 0 * v", "v = 0 * v"),
    "time starts at 0": ("for t in range(1, len(a) + 1):", "for t in range(len(a)):"),
    "a mixed matrix keeps odd values": ("8 - bits + mixed", "8 - bits"),
    "weights are not clipped": ("np.clip(sign * weights, -256 * mixed, 255)", "sign * weights"),
    "the sign mode is taken from the signs": ("mode = mode or", "mode ="),
    "inhibitory weights are floored": ("return sign * ((w >> k) << k)", "return (sign * w >> k) << k"),
    "an exponent shifts each product": ("wrap(acc) >> -s", "wrap(np.floor_divide(acc, 2)) >> -s"),
    "grading is ignored": ('x if s["graded"] else (x != 0)', "(x != 0)"),
    "every payload counts": ('x if s["graded"] else (x != 0)', "x"),
    "synapses without delay": ("out[1 + d :] += acc[: len(acc) - 1 - d]", "out[d:] += acc[: len(acc) - d]"),
    "a kernel that is not turned": ("@ w[::-1]", "@ w"),
    "a convolution does not wrap": ("wrap(np.stack(rows, 1), 24)", "np.stack(rows, 1)"),
}  # fmt: skip


def outcome(source, tmp_path):
    """The exit code of a checker with this source, beside the vectors."""
    (tmp_path / "check.py").write_text(source)
    (tmp_path / "loihi_lif.json").write_text((FOLDER / "loihi_lif.json").read_text())
    done = subprocess.run([sys.executable, str(tmp_path / "check.py")], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def test_the_checker_computes_every_vector(tmp_path):
    source = (FOLDER / "check.py").read_text()
    assert outcome(source, tmp_path) == 0
    assert sum(bool(line.strip()) for line in source.splitlines()) <= 60


@pytest.mark.parametrize("rule", BREAKS)
def test_breaking_a_rule_is_noticed(rule, tmp_path):
    source, (right, wrong) = (FOLDER / "check.py").read_text(), BREAKS[rule]
    assert source.count(right) >= 1
    assert outcome(source.replace(right, wrong), tmp_path) == 1


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("conformance_generate", FOLDER / "generate.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_file_holds_the_groups_that_the_script_makes(generate):
    kept = [{k: v for k, v in g.items() if k != "expect"} for g in VECTORS["groups"]]
    assert kept == generate.groups()
    assert VECTORS["version"] == generate.VERSION


@pytest.mark.parametrize("exact", [False, True], ids=["fast", "int64"])
@pytest.mark.parametrize("group", VECTORS["groups"], ids=lambda g: g["name"])
def test_our_simulator_computes_every_vector(group, exact, generate):
    network = generate.network_of(group)
    x = np.asarray(group["input"]).reshape(len(group["input"]), 1, *network.populations["x"].shape)
    trace = run_chip(network, {"x": x}, states=True, exact=exact)
    for word, ours in (("u", trace.states["n.u"]), ("v", trace.states["n.v"]), ("s", trace.outputs["n"])):
        expected = np.asarray(group["expect"][word])
        np.testing.assert_array_equal(ours.reshape(expected.shape), expected, err_msg=word)
