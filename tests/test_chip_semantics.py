"""The semantics table of networks that are integers already: every register of every model, and who said so."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner

import snndeploy as sd
from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif, Model, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection
from snndeploy.chip.program import assemble
from snndeploy.cli import commands
from snndeploy.flow.chip_semantics import FACTS, chip_rows

MODELS = {
    "lif": (
        Lif(0, 123, 80, bias_mant=[3, 4], bias_exp=6, reset_interval=16, reset_offset=3),
        {
            "decay": "3973/4096 = 0.969971", "current decay": "4095/4096 = 0.999756", "threshold": "80 * 64", "comparison": ">",
            "reset": "to 0", "reset timing": "in the step of the spike", "bias": "[2] 3..4 * 2^6", "cleared": "every 16 steps, at step 3",
            "delay": "2..5 steps beyond each synapse's one",
        },
    ),
    "silent": (
        Lif(-1, 4096, NEVER_FIRES),
        {"decay": "0/4096 = 0", "current decay": "4096/4096 = 1", "threshold": "never fires", "delay": "none", "read as": "v, by the host"},
    ),
    "ternary": (
        TernaryLif(4095, [0, 4096], 100_000, -5),
        {
            "decay": "[2] 0..4096/4096 = [2] 0..1", "current decay": "0/4096 = 0", "threshold": "-5 and 100000 * 64",
            "comparison": "< the lower gives -1, > the upper 1", "reset": "to 0", "delay": "none",
            "reset timing": "in the step of the spike",
        },
    ),
    "sigma": (
        SigmaDelta(2, bias=[1, 7], spike_exp=6),
        {
            "threshold": "2 * 2^6, of the change since it last sent", "comparison": ">=", "reset": "to what was sent",
            "activation": "the running sum, cut off below 0", "bias": "[2] 1..7", "delay": "none",
        },
    ),
    "resonator": (
        Resonator(10, 4000, 7),
        {
            "decay": "cos 4000/4096, sin 10/4096", "threshold": "7 * 2^6", "reset": "none", "delay": "none",
            "comparison": ">= by the real part, where the imaginary one turns positive",
        },
    ),
    "program": (
        assemble("count", "ADD v v I\nGT s v k.theta\nSPK s 1", {"v": 4}, {"theta": np.array(9)}),
        {
            "theta": "9", "start": "v 4", "equation": "3 instructions (snndeploy show prints them)",
            "delay": "3 steps beyond each synapse's one", "feedback": "its spikes come back a step later",
        },
    ),
}  # fmt: skip


def network():
    populations = {"x": Population("x", (2,), HostInput())}
    populations |= {name: Population(name, (2,), model, reads="v" if name == "silent" else "spikes") for name, (model, _) in MODELS.items()}
    delayed = Dense(np.eye(2, dtype=np.int64), np.array([[2, 5], [3, 4]]))
    plain = Dense(np.eye(2, dtype=np.int64))
    projections = (Projection("a", "lif", "silent", delayed), Projection("b", "program", "program", plain, delay=3))
    return ChipNetwork("loihi2", populations, projections)


def test_every_model_states_its_registers():
    rows = {row.name: row for row in chip_rows(network())}
    assert rows.keys() == MODELS.keys()
    for name, (_, wanted) in MODELS.items():
        assert {f.name: f.value for f in rows[name].facts} == wanted
        assert {f.origin for f in rows[name].facts} == {"file"}
        assert not rows[name].assumed
    assert rows["silent"].kind == "Lif [2], fed by Dense from lif"
    assert rows["program"].kind.startswith("program count [2]")


def test_no_model_is_left_out():
    assert set(Model.__args__) == {*FACTS, HostInput}


def test_a_net_file_prints_its_table(shared, tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    monkeypatch.chdir(tmp_path)
    folder = shared / "models" / "netx_iris"
    np.savez("real.npz", x=np.load(folder / "input.npz")["x"][:2])
    command = ["convert", str(folder / "network.net"), "--data", "real.npz", "--timesteps", "8", "--input-unit", "0.1", "-o", "iris"]
    said = CliRunner().invoke(commands, command, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    assert "3973/4096 = 0.969971" in said.output
    said = CliRunner().invoke(commands, [*command, "--json"], catch_exceptions=False)
    table = {row["layer"]: row["facts"] for row in json.loads(said.output)["semantics"]}
    assert list(table) == ["dense0", "dense1"]
    assert {"name": "comparison", "value": ">", "origin": "file", "option": ""} in table["dense1"]
    report = sd.report("iris.loihi2.onnx", "real.npz")
    assert [row.name for row in report.layers] == ["dense0", "dense1"]
