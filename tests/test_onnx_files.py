"""ONNX files that are damaged, foreign, newer or edited, and the chip network in its container."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest

import converters
import converters.onnx as fmt
from converters.onnx.chip import rebuild
from converters.onnx.files import array
from snndeploy.arrays import frozen, frozen_ints
from snndeploy.chip.models import HostInput, Lif, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, HostLayer, Population, Projection, Readout, Sparse, Wire
from snndeploy.chip.program import assemble
from snndeploy.errors import MissingPackage, ModelError, Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim.ort import run_onnxruntime

GRAPH = Graph(
    {"x": Input((3,)), "fc": Linear(np.arange(6).reshape(2, 3) / 10), "n": LIF(frozen(0.5)), "y": Output()},
    (Edge("x", "fc"), Edge("fc", "n"), Edge("n", "y")),
)


def chip() -> ChipNetwork:
    program = assemble(
        "count", "ADD c c I\nGE p c k.top\nSEL c p 0 c\nLUT y curve c\nSPK p y", {"c": 3},
        {"top": frozen_ints([64, 128]), "curve.lo": frozen_ints(0), "curve.step": frozen_ints(64)},
        tables={"curve": frozen_ints([1, 2, 300])},
    )  # fmt: skip
    lif = Lif(
        frozen_ints(4095),
        frozen_ints([0, 1, 2]),
        frozen_ints(70_000),
        bias_mant=frozen_ints(-3),
        v=frozen_ints([[1], [2]]),
        reset_interval=4,
    )
    populations = [
        Population("in", (1, 2, 3), HostInput(payload_bits=3, static=True, scale=0.125)),
        Population("conv", (2, 2, 3), lif, origin="n1", shift=1, scale=0.1),
        Population("program", (2,), program, origin="n2", shift=2),
        Population("ternary", (2,), TernaryLif(frozen_ints(0), frozen_ints(0), frozen_ints(5), frozen_ints(-5))),
        Population("delta", (2,), SigmaDelta(vth=0.1, bias=frozen_ints([1, 2])), reads="sigma"),
        Population("host", (2,), HostInput()),
    ]
    weights = frozen_ints([[2, -4, 6] * 4, [0, 254, -256] * 4])
    projections = (
        Projection("a", "in", "conv", Conv(frozen_ints(np.ones((2, 1, 1, 1))), (1, 1), ((0, 0), (0, 0)), (1, 1)), graded=True),
        Projection("b", "conv", "program", Dense(weights, frozen_ints(np.arange(24).reshape(2, 12) % 3)), exponent=-1, delay=2),
        Projection("c", "program", "ternary", Sparse(frozen_ints([0, 1]), frozen_ints([1, 0]), frozen_ints([40_000, -3]))),
        Projection("d", "ternary", "delta", Dense(frozen_ints([[1, 2], [3, 4]]))),
        Projection("e", "host", "ternary", Wire(as_bias=True)),
        Projection("f", "program", "program", Dense(frozen_ints([[2, 0], [0, 2]])), graded=True),
    )
    host = HostLayer("pixels", (4,), Dense(frozen_ints([[1, 2, 3, 4], [5, 6, 7, -8]])), frozen_ints([10, 20]), 2, 0.0625)
    return ChipNetwork("loihi2", {p.name: p for p in populations}, projections, Readout("delta", "sum", 2), 8, {"host": host})


def alike(a: object, b: object) -> bool:
    """Deep equality of nouns that have none of their own."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(alike(getattr(a, f.name), getattr(b, f.name)) for f in dataclasses.fields(a))
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if isinstance(a, Mapping):
        return isinstance(b, Mapping) and list(a) == list(b) and all(alike(a[k], b[k]) for k in a)
    if isinstance(a, tuple):
        return isinstance(b, tuple) and len(a) == len(b) and all(map(alike, a, b))
    return type(a) is type(b) and a == b


def test_a_chip_network_loads_equal_and_saves_the_same_bytes(tmp_path):
    path = tmp_path / "chip.onnx"
    fmt.save(chip(), path)
    loaded = fmt.load_chip(path)
    assert alike(loaded, chip())
    assert not alike(loaded, dataclasses.replace(chip(), steps=9))
    assert fmt.to_bytes(loaded) == path.read_bytes()
    assert fmt.sniff(path) == "chip"
    assert alike(converters.load(path), chip())


def test_the_chip_schema_reads_as_documented(tmp_path):
    fmt.save(chip(), tmp_path / "chip.onnx")
    model = onnx.load(tmp_path / "chip.onnx")
    onnx.checker.check_model(model)
    nodes = {node.name: node for node in model.graph.node}
    assert {node.domain for node in nodes.values()} == {"ai.snndeploy.chip", ""}
    assert list(nodes["b"].input[:3]) == ["conv.ago3", "conv.ago4", "conv.ago5"]
    assert list(nodes["e"].input) == ["host"]
    assert list(nodes["program"].input[:3]) == ["chip.projections.1", "chip.projections.5", "program.c"]
    code = next(a for a in nodes["program"].attribute if a.name == "code")
    assert code.strings[0] == b"ADD c c I"
    kinds = {i.name: i.data_type for i in model.graph.initializer}
    assert kinds["chip.projections.1.synapses.weights"] == onnx.TensorProto.INT16
    assert kinds["chip.projections.2.synapses.weights"] == onnx.TensorProto.INT32
    assert kinds["chip.projections.2.synapses.rows"] == onnx.TensorProto.INT8
    run = json.loads(next(p.value for p in model.metadata_props if p.key == "ai.snndeploy.run"))
    assert ["program.c", "program.c.next", 3] in run["state"]
    assert ["conv.v", "conv.v.next", [[1], [2]]] in run["state"]
    assert run["outputs"]["delta"] == "delta.read"
    assert (run["steps"], run["latency"]) == (8, 2)
    assert (run["scale"]["in"], run["range"]["in"]) == (0.125, [0, 7])
    kept = next(f for f in model.functions if f.name == "Kept")
    assert "chip.populations.conv.model.v" in kept.output
    assert "chip.host.host.bias" in kept.output


def test_the_right_noun_is_asked_for(tmp_path):
    fmt.save(chip(), tmp_path / "chip.onnx")
    fmt.save(GRAPH, tmp_path / "graph.onnx")
    assert fmt.sniff(tmp_path / "graph.onnx") == "graph"
    assert fmt.load(tmp_path / "graph.onnx") == GRAPH
    assert converters.load(tmp_path / "graph.onnx").graph == GRAPH
    with pytest.raises(ModelError, match="holds a quantized chip network"):
        fmt.load_graph(tmp_path / "chip.onnx")
    with pytest.raises(ModelError, match="holds a graph"):
        fmt.load_chip(tmp_path / "graph.onnx")


def edited(change) -> bytes:
    model = onnx.ModelProto.FromString(fmt.to_bytes(GRAPH))
    change(model)
    return model.SerializeToString(deterministic=True)


def entry(model, key):
    return next(p for p in model.metadata_props if p.key == f"ai.snndeploy.{key}")


def describe(model, **changes):
    field = entry(model, "structure")
    field.value = json.dumps(json.loads(field.value) | changes)


def initializer(model, name):
    return next(i for i in model.graph.initializer if i.name == name)


def operator(model, kind):
    return next(n for n in model.functions[0].node if n.op_type == kind)


def external(model):
    weight = initializer(model, "fc.weight")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/hostname")


def drop_metadata(model):
    del model.metadata_props[:]


EDITS = {
    "a threshold": (lambda m: setattr(initializer(m, "n.threshold"), "raw_data", np.float32(2).tobytes()), "was changed after"),
    "an operator": (lambda m: setattr(m.functions[0].node[0], "op_type", "Add"), "was changed after"),
    "a comparison": (lambda m: setattr(operator(m, "GreaterOrEqual"), "op_type", "Greater"), "was changed after"),
    "the content hash": (lambda m: setattr(entry(m, "content"), "value", "0" * 64), "was changed after"),
    "an added note": (lambda m: setattr(m, "doc_string", "tuned"), "was changed after"),
    "dt": (lambda m: describe(m, dt=0.5), "was changed after"),
    "a newer schema": (lambda m: setattr(entry(m, "schema"), "value", "4"), "has schema 4; this snndeploy reads up to 2"),
    "no schema": (lambda m: setattr(entry(m, "schema"), "value", "x"), "damaged"),
    "another noun": (lambda m: setattr(entry(m, "noun"), "value", "verb"), "damaged"),
    "a graph called a chip": (lambda m: setattr(entry(m, "noun"), "value", "chip"), "damaged"),
    "no metadata": (drop_metadata, "was not saved by snndeploy"),
    "external data": (external, "in another file"),
    "short data": (lambda m: setattr(initializer(m, "fc.weight"), "raw_data", b"123"), "'fc.weight' are damaged"),
    "endless shape": (lambda m: initializer(m, "fc.weight").dims.__setitem__(0, 2**60), "'fc.weight' are damaged"),
    "odd type": (lambda m: setattr(initializer(m, "fc.weight"), "data_type", 8), "'fc.weight' are damaged"),
    "not JSON": (lambda m: setattr(entry(m, "structure"), "value", "{"), "damaged"),
    "deep JSON": (lambda m: setattr(entry(m, "structure"), "value", "[" * 10**5), "damaged"),
    "no nodes": (lambda m: describe(m, nodes=[]), "damaged"),
    "an unknown class": (lambda m: describe(m, nodes={"x": {"class": "Popen", "fields": {}}}), "damaged"),
    "not a node": (lambda m: describe(m, nodes={"x": 3}, edges=[]), "damaged"),
    "an invalid graph": (lambda m: describe(m, edges=[]), "damaged"),
    "a NaN": (lambda m: setattr(initializer(m, "n.decay"), "raw_data", np.float32(np.nan).tobytes()), "NaN"),
    "a vast input": (
        lambda m: describe(m, nodes={"x": {"class": "Input", "fields": {"shape": [10**12], "carries": "real", "static": False}}}, edges=[]),
        "more neurons than any chip",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("change", "words"), EDITS.values(), ids=list(EDITS))
def test_a_file_that_is_not_what_was_saved_is_refused(change, words, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(edited(lambda model: None))
    assert fmt.load_graph(path) == GRAPH
    path.write_bytes(edited(change))
    with pytest.raises(ModelError, match=words) as refusal:
        fmt.load(path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("kind", ["graph", "chip"])
def test_a_truncated_file_is_refused_wherever_it_is_cut(kind, tmp_path):
    whole = fmt.to_bytes(GRAPH if kind == "graph" else chip())
    path = tmp_path / "net.onnx"
    every = 1 if kind == "graph" else max(1, len(whole) // 150)
    for size in [0, 1, *range(7, len(whole), every), len(whole) - 1]:
        path.write_bytes(whole[:size])
        with pytest.raises(ModelError, match=r"is empty|not an ONNX|cut off|damaged|was changed|not saved by"):
            fmt.load(path)


def test_what_is_no_file_at_all_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        fmt.load(tmp_path / "none.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        fmt.load(tmp_path)
    (tmp_path / "text.onnx").write_text("hello, this is not a protobuf message")
    with pytest.raises(ModelError, match="not an ONNX file"):
        fmt.load(tmp_path / "text.onnx")
    with (tmp_path / "vast.onnx").open("wb") as sparse:
        sparse.truncate(2**33)
    with pytest.raises(ModelError, match="more than an ONNX file can have"):
        fmt.load(tmp_path / "vast.onnx")


def test_a_plain_onnx_file_is_refused(tmp_path):
    info = [onnx.helper.make_tensor_value_info(n, 1, [1]) for n in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", info[:1], info[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "plain.onnx")
    with pytest.raises(ModelError, match="was not saved by snndeploy"):
        fmt.sniff(tmp_path / "plain.onnx")


def test_a_part_of_a_chip_network_is_none():
    part = '{"class":"Readout","fields":{"population":"a","decode":"sum","vote":1}}'
    with pytest.raises(TypeError, match="not a chip network"):
        rebuild(part, {})


def test_external_data_is_never_opened():
    proto = onnx.TensorProto(name="w", data_type=1, dims=[1], raw_data=b"1234")
    proto.external_data.add(key="location", value="elsewhere")
    with pytest.raises(ModelError, match="another file"):
        array(proto, "net.onnx")


def test_an_old_file_survives_a_failed_save(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    fmt.save(GRAPH, path)
    before = path.read_bytes()

    def full(self: Path, data: bytes) -> int:
        with self.open("wb") as file:
            file.write(data[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(ModelError, match="No space left on device"):
        fmt.save(Graph(GRAPH.nodes, GRAPH.edges, 0.5), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.onnx"]
    with pytest.raises(ModelError, match="cannot be written"):
        fmt.save(GRAPH, tmp_path / "no folder" / "net.onnx")


def test_more_than_two_gigabytes_is_refused(monkeypatch, tmp_path):
    monkeypatch.setattr("converters.onnx.files.LARGEST", 100)
    with pytest.raises(Unsupported, match="2 GiB"):
        fmt.save(GRAPH, tmp_path / "net.onnx")


def test_without_onnx_the_extra_is_named(monkeypatch, tmp_path):
    real = fmt.importlib.import_module

    def gone(name: str):
        if name.startswith("converters.onnx."):
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name)

    monkeypatch.setattr(fmt.importlib, "import_module", gone)
    with pytest.raises(MissingPackage, match="needs the package 'onnx'"):
        fmt.save(GRAPH, tmp_path / "net.onnx")
    monkeypatch.setattr(fmt.importlib, "import_module", lambda name: real("converters.onnx.nothing"))
    with pytest.raises(ModuleNotFoundError):
        fmt.save(GRAPH, tmp_path / "net.onnx")


def test_without_onnxruntime_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingPackage, match="onnxruntime"):
        run_onnxruntime(fmt.to_bytes(GRAPH), {"x": np.zeros((1, 1, 3))}, 1)
