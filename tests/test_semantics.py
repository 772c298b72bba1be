"""The semantics table: every number of every neuron and where it was read, at every door."""

from __future__ import annotations

import dataclasses
import importlib
import itertools
import json
import pkgutil

import numpy as np
import pytest
from click.testing import CliRunner

import converters
from converters import Fact, LayerSource, Loaded
from snndeploy.arrays import frozen
from snndeploy.cli import commands
from snndeploy.flow.reporting import sources
from snndeploy.flow.semantics import is_neuron, properties
from snndeploy.ir import neurons
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.burst import lifb
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.report.conversion import graph_to_text

SUBTRACTS = LIF(frozen([0.5, 0.9]), threshold=frozen(0.7), reset="subtract", amount=frozen(0.6), strict=True)


def chain(*found):
    nodes = {"x": Input((2,))}
    for i, node in enumerate(found):
        nodes |= {f"fc{i}": Linear(np.eye(2)), f"lif{i}": node}
    nodes["y"] = Output("count")
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(nodes)))


def table(loaded, layer):
    return {f.name: (f.value, str(f)) for row in sources(loaded) if row.name == layer for f in row.facts}


def test_every_field_of_every_neuron_is_a_fact():
    homes = [importlib.import_module(f"{neurons.__name__}.{found.name}") for found in pkgutil.iter_modules(neurons.__path__)]
    kinds = {
        k for home in homes for k in vars(home).values() if isinstance(k, type) and issubclass(k, Node) and k.__module__ == home.__name__
    }
    assert {LIF, CubaLIF} < kinds
    for node in (SUBTRACTS, LIF(frozen(0.5)), CubaLIF(frozen(0.5), frozen(0.5)), lifb(0.5, 0.2, 0.5, 1.5, reset="subtract")):
        assert type(node) in kinds
        assert is_neuron(node)
        said = dict(properties(node))
        assert {"decay", "gain", "threshold", "comparison", "reset"} <= set(said)
    assert not is_neuron(Linear(np.eye(2)))


def test_a_file_that_says_nothing_of_itself_is_read_from_the_graph():
    found = table(Loaded(chain(SUBTRACTS)), "lif0")
    assert found == {
        "decay": ("[2] 0.5..0.9", "file"), "gain": ("1", "file"), "threshold": ("0.7", "file"), "comparison": (">", "file"),
        "reset": ("subtract 0.6", "file"), "reset timing": ("in the step of the spike", "file"), "delay": ("none", "file"),
    }  # fmt: skip


def test_what_a_format_says_is_kept_and_the_rest_filled_in():
    facts = (Fact("threshold", "0.7", "file"), Fact("reset", "subtract 0.6", "ASSUMED"), Fact("comparison", ">", "user"))
    for was, option in (("NIR LIF", "--reset"), ("lif (MyLIF) at net.py:3", "--neuron-class"), ("Leaky of snntorch", "--neuron")):
        loaded = Loaded(chain(SUBTRACTS), (LayerSource("lif0", "", was, facts),))
        found = table(loaded, "lif0")
        assert found["reset"] == ("subtract 0.6", f"ASSUMED ({option})")
        assert found["comparison"] == (">", "user")
        assert found["decay"] == ("[2] 0.5..0.9", "file")
        assert next(row for row in sources(loaded) if row.name == "lif0").assumed


def test_delays_are_those_of_the_edges():
    graph = chain(LIF(frozen(0.5)))
    late = dataclasses.replace(graph, edges=tuple(dataclasses.replace(e, delay=2) if e.source == "lif0" else e for e in graph.edges))
    assert table(Loaded(late), "lif0")["delay"] == ("2 steps to what it feeds", "file")


def test_layers_alike_stand_together():
    said = graph_to_text("net", sources(Loaded(chain(LIF(frozen(0.5)), SUBTRACTS, LIF(frozen(0.5))))), (), "net.graph.onnx")
    lines = said[said.index("Neurons") :].splitlines()
    assert lines[2].split() == ["neurons", "fact", "value", "from"]
    assert [line.split()[0:3] for line in lines if line.startswith("  lif")] == [["lif0,", "lif2", "decay"], ["lif1", "decay", "[2]"]]
    assert max(map(len, said.splitlines())) <= 100


def test_convert_prints_it_and_gives_it_as_json(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    converters.save(chain(SUBTRACTS), tmp_path / "net.graph.onnx")
    ran = CliRunner().invoke(commands, ["convert", "net.graph.onnx", "--chip", "none", "-o", "out/"], catch_exceptions=False)
    assert "Neurons" in ran.output
    assert "subtract 0.6" in ran.output
    ran = CliRunner().invoke(commands, ["convert", "net.graph.onnx", "--chip", "none", "-o", "out/", "--json"], catch_exceptions=False)
    (layer,) = [row for row in json.loads(ran.output)["semantics"] if row["layer"] == "lif0"]
    assert {"name": "comparison", "value": ">", "origin": "file", "option": ""} in layer["facts"]


def test_a_live_module_says_model():
    torch = pytest.importorskip("torch")
    from converters.pt import from_module
    from snndeploy import nn

    loaded = from_module(torch.nn.Sequential(torch.nn.Linear(2, 2), nn.LIF(2.0, 0.3, strict=True)), torch.rand(2, 2))
    found = table(loaded, "1")
    assert found["decay"] == ("0.5", "model")
    assert found["comparison"] == (">", "model")
    assert {origin for _, origin in found.values()} == {"model"}
