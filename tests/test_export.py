"""``export``: other tools' formats, what they cannot say, and a format that is put in the folder later."""

from __future__ import annotations

import itertools
import json
import types

import numpy as np
import pytest
from command_line import snn

import converters
import snndeploy as sd
from snndeploy.arrays import frozen
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Readout
from snndeploy.errors import ModelError, OptionError, Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF

pytest.importorskip("h5py")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A float graph whose reset NIR cannot say, and a chip network."""
    nodes = {
        "x": Input((4,)), "fc": Linear(np.arange(8.0).reshape(2, 4)),
        "lif": LIF(frozen(0.5), strict=True, reset="subtract"), "y": Output("none"),
    }  # fmt: skip
    graph = Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(nodes)))
    converters.save(graph, tmp_path / "soft.graph.onnx")
    converters.save(graph.replace({"lif": LIF(frozen(0.5), strict=True)}), tmp_path / "hard.graph.onnx")
    populations = {"in": Population("in", (4,), HostInput()), "out": Population("out", (2,), Lif(0, 0, 1), "out", 1)}
    converters.save(
        ChipNetwork("loihi2", populations, (Projection("a", "in", "out", Dense(2 * np.ones((2, 4), int))),), Readout("out"), 5),
        tmp_path / "c.loihi2.onnx",
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_nir_can_say_comes_back(folder):
    made = json.loads(snn("export", "hard.graph.onnx", "--to", "nir", "-o", "out/hard.nir", "--json"))
    assert made == {
        "schema": "snndeploy.export/1",
        "model": "hard.graph.onnx",
        "to": "nir",
        "file": "out/hard.nir",
        "inputs": None,
        "lost": [],
    }
    x = (np.random.default_rng(0).random((9, 6, 4)) < 0.4).astype(np.uint8)
    first, again = (sd.run(f, sd.Samples({"": x})) for f in ("hard.graph.onnx", "out/hard.nir"))
    np.testing.assert_array_equal(first.trace.activity["lif"].spikes, again.trace.activity["lif"].spikes)
    assert first.trace.activity["lif"].spikes.any()


def test_what_nir_cannot_say_is_refused_or_listed(folder):
    refused = snn("export", "soft.graph.onnx", "--to", "nir", code=2)
    assert "subtracts" in refused
    assert "--lossy writes it without that" in refused
    assert not (folder / "soft.nir").exists()
    text = snn("export", "soft.graph.onnx", "--to", "nir", "--lossy", code=1)
    assert "Lost\n" in text
    assert "subtracts" in text
    assert text.endswith("wrote soft.nir\n")
    with pytest.raises(Unsupported, match="subtracts"):
        sd.export("soft.graph.onnx", "nir", "again.nir")
    graph = sd.load("soft.graph.onnx").graph
    lost = converters.save(graph, folder / "again.nir", lossy=True)
    assert lost == sd.export("soft.graph.onnx", "nir", "third.nir", lossy=True)
    assert len(lost) == 1
    assert converters.save(graph, folder / "again.graph.onnx", lossy=True) == ()


def test_chip_networks_become_net_files_and_come_back(folder):
    assert snn("export", "c.loihi2.onnx", "--to", "net") == "wrote c.net\n"
    snn("export", "c.net", "--to", "onnx", "-o", "again.loihi2.onnx")
    weights = [converters.load(f).projections[0].synapses.weights.tolist() for f in ("c.loihi2.onnx", "again.loihi2.onnx")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("soft.graph.onnx", "--to", "net"), "holds integers, and this is a float graph"),
        (("c.loihi2.onnx", "--to", "nir"), "NIR holds float graphs, not chip networks"),
        (("c.loihi2.onnx", "--to", "nri"), "did you mean nir?"),
        (("c.loihi2.onnx", "--to", "pt"), "is no format that can be written"),
        (("c.loihi2.onnx", "--to", "onnx", "-o", "c.loihi2.onnx"), "never overwritten"),
    ],
)
def test_what_is_refused(folder, arguments, words):
    assert words in snn("export", *arguments, code=2)


def test_a_format_for_programs_is_found_by_its_name(folder, monkeypatch):
    """A module that writes programs takes chip networks alone."""
    written = []
    module = types.SimpleNamespace(SUFFIXES=(".prog",), save_program=lambda noun, path: written.append((noun, path)))
    known = converters._modules()
    monkeypatch.setattr(converters, "_modules", lambda: {**known, "tool": module})
    assert snn("export", "c.loihi2.onnx", "--to", "tool") == "wrote c.prog\n"
    assert snn("export", "c.loihi2.onnx", "--to", "prog", "-o", "x.prog") == "wrote x.prog\n"
    assert [(type(noun), path.name) for noun, path in written] == [(ChipNetwork, "c.prog"), (ChipNetwork, "x.prog")]
    assert converters.suffix_of("tool") == ".prog"
    assert converters.Format("tool", (".prog",), loads=False, saves=True) in converters.formats()
    with pytest.raises(ModelError, match="takes chip networks, and this is a float graph"):
        sd.export("soft.graph.onnx", "tool", "y.prog")
    with pytest.raises(OptionError, match="--to: 'nothing' is no format"):
        converters.suffix_of("nothing")
