"""The saved graph is the graph: it loads back equal, and onnxruntime computes what the reference computes."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from zoo import STEPS, ZOO, chain, eighths, feed, residual

import converters.onnx as fmt
from converters.onnx.functions import function
from converters.onnx.structure import kinds
from converters.onnx.symbols import ONNX, Body, Symbol
from snndeploy.arrays import frozen
from snndeploy.errors import DataError, ModelError, OptionError, Unsupported
from snndeploy.ir.graph import Edge, Graph, Node, bind, parameters
from snndeploy.ir.layers import Input, Linear, Output, Reshape, Scale
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.clifspike import CLIFSpike
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.on_grid import GridNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.sim.ort import run_onnxruntime
from snndeploy.sim.reference import run_reference, stepper
from snndeploy.verify import compare, compare_float, rounding_margins

GOLDEN = Path(__file__).parent / "golden" / "onnx_residual.txt"
zoo = pytest.mark.parametrize("graph", ZOO.values(), ids=list(ZOO))


def both(graph: Graph, data, other: Graph | None = None, **options):
    saved = fmt.to_bytes(other or graph, **options)
    return run_reference(graph, data, STEPS), run_onnxruntime(saved, data, STEPS)


def test_the_zoo_has_every_node():
    held = {type(node).__name__ for graph in ZOO.values() for node in graph.nodes.values()}
    known = {name for name, kind in kinds("graph").items() if issubclass(kind, Node) and kind is not Node}
    assert held == known - {"GridNeuron"}, "the definition of a neuron program is saved as the program"


def test_the_definition_of_a_program_is_not_saved_as_a_graph():
    grid = GridNeuron((), "0", {}, {})
    graph = Graph({"x": Input((3,)), "n": grid, "y": Output()}, (Edge("x", "n"), Edge("n", "y")))
    with pytest.raises(Unsupported, match="definition of a neuron program") as refusal:
        function(graph, "n")
    assert "chip network" in refusal.value.hint


@zoo
def test_onnxruntime_equals_the_reference_on_the_dyadic_grid(graph):
    data = feed(graph)
    smooth = bool(graph.named(CLIF) or graph.named(CLIFSpike))
    a, b = both(graph, data)
    assert set(a.outputs) == set(b.outputs)
    for layer, series in a.outputs.items():
        assert np.array_equal(series, b.outputs[layer]), layer
        assert len(np.unique(series)) > 1, f"{layer} says nothing"
    margins = rounding_margins(graph, data, STEPS, stepper)
    # a sigmoid rounds on every grid: no spike lies within its bound, but the bound is not 0
    assert margins.undecided == 0 if smooth else margins.exact


@zoo
def test_a_saved_graph_loads_equal_and_saves_the_same_bytes(graph, tmp_path):
    for scan in (False, True):
        fmt.save(graph, tmp_path / "net.onnx", scan=scan)
        loaded = fmt.load_graph(tmp_path / "net.onnx")
        assert loaded == graph
        assert fmt.to_bytes(loaded, scan=scan) == (tmp_path / "net.onnx").read_bytes()
        onnx.checker.check_model(onnx.load(tmp_path / "net.onnx"))


@pytest.mark.parametrize("name", ["residual", "concat", "recurrent"])
def test_the_scan_wrapper_computes_the_same(name):
    graph = ZOO[name]
    data = feed(graph, seed=1)
    one, all_at_once = (run_onnxruntime(fmt.to_bytes(graph, scan=scan), data, STEPS) for scan in (False, True))
    assert compare(one, all_at_once, list(one.outputs)).equal


def jittered(graph: Graph, seed: int) -> Graph:
    """The same graph with weights, decays and thresholds off every grid (a late reset keeps its rest of 0)."""
    rng = np.random.default_rng(seed)

    def off(node: Node) -> Node:
        kept = ("thresholds", "amounts", "levels", "v_init", *(("rest", "v_reset") if getattr(node, "late", False) else ()))
        values = {k: v + rng.uniform(0, 0.05, np.shape(v)) for k, v in parameters(node).items() if k not in kept}
        return bind(node, {k: frozen(np.clip(v, 0, 1)) if "decay" in k else frozen(v) for k, v in values.items()})

    return Graph({n: off(node) for n, node in graph.nodes.items()}, graph.edges, graph.dt)


ROUNDED = [name for name in ZOO if not name.startswith(("integer", "host"))]


def test_elsewhere_every_first_difference_lies_within_the_bound():
    compared, undecided, rounds = 0, 0, 0
    for seed, name in enumerate(ROUNDED):
        graph = jittered(ZOO[name], seed)
        data = {k: v + np.random.default_rng(seed).uniform(-0.1, 0.1, v.shape) for k, v in feed(graph, seed).items()}
        a, b = both(graph, data)
        margins = rounding_margins(graph, data, STEPS, stepper)
        pair = compare_float(a, b, margins)
        assert pair.equal, (name, pair)
        rounds += any(np.any(a.outputs[layer] != b.outputs[layer]) for layer in a.outputs)
        compared, undecided = compared + pair.compared, undecided + margins.undecided
    assert rounds
    # the bound is tight enough to decide: it excuses less than one value in a thousand
    assert undecided < compared / 1000


def test_a_tie_that_rounding_breaks_is_excused_and_counted():
    """0.1 + 0.2 reaches 0.3 in one precision and not in the other: a first difference, and what follows from it."""
    node = LIF(frozen(1.0), threshold=frozen(0.3), strict=True, reset="hard")
    graph = chain((1,), n=node)
    data = {"x": np.array([0.1, 0.2, 0.1, 0.2]).reshape(4, 1, 1)}
    a, b = run_reference(graph, data, 4), run_onnxruntime(fmt.to_bytes(graph), data, 4)
    pair = compare_float(a, b, rounding_margins(graph, data, 4, stepper))
    assert pair.equal
    assert (pair.different, pair.within_bound) == (1, 1)
    assert pair.consequences > 0
    assert "within the rounding bound" in str(pair.first)


WRONG = {
    "threshold off by one unit of the grid": lambda n: dataclasses.replace(n, threshold=frozen(n.threshold + 2.0**-7)),
    ">= for >": lambda n: dataclasses.replace(n, strict=not n.strict),
    "another reset": lambda n: dataclasses.replace(n, reset="subtract"),
    "decay off by 1/64": lambda n: dataclasses.replace(n, decay=frozen(n.decay + 1 / 64)),
}


@pytest.mark.parametrize("change", WRONG.values(), ids=list(WRONG))
def test_a_wrong_graph_is_detected(change):
    graph = ZOO["residual"]
    data = feed(graph, seed=3)
    a, b = both(graph, data, graph.replace({"n1": change(graph.nodes["n1"])}))
    exact = compare(a, b, ["n1", "n2"])
    assert not exact.equal
    assert exact.first.layer == "n1"
    assert a.outputs["n1"][(exact.first.step, exact.first.sample, *exact.first.neuron)] == exact.first.a
    bounded = compare_float(a, b, rounding_margins(graph, data, STEPS, stepper))
    assert not bounded.equal
    assert bounded.first.layer == "n1"


def test_a_wrong_threshold_is_detected_off_the_grid_too():
    graph = jittered(ZOO["residual"], 5)
    data = feed(graph, seed=3)
    node = graph.nodes["n1"]
    a, b = both(graph, data, graph.replace({"n1": dataclasses.replace(node, threshold=frozen(node.threshold + 2.0**-5))}))
    pair = compare_float(a, b, rounding_margins(graph, data, STEPS, stepper))
    assert not pair.equal
    assert "beyond the rounding bound" in str(pair.first)


def test_equal_graphs_give_equal_bytes_however_they_were_put_together():
    graph = residual()
    turned = Graph(dict(reversed(graph.nodes.items())), graph.edges, graph.dt)
    assert list(turned.nodes) != list(graph.nodes)
    assert fmt.to_bytes(turned) == fmt.to_bytes(graph)
    minus = Graph({**graph.nodes, "n1": LIF(frozen(0.5), strict=True, rest=frozen(-0.0))}, graph.edges, graph.dt)
    assert minus == graph
    assert fmt.to_bytes(minus) == fmt.to_bytes(graph)


def test_float64_parameters_survive_exactly(tmp_path):
    graph = chain((2,), fc=Linear([[0.1, 1 / 3], [1e-320, 2.0**-160]]), n=LIF(frozen(0.9)))
    fmt.save(graph, tmp_path / "net.onnx")
    assert fmt.load_graph(tmp_path / "net.onnx") == graph
    kept = {i.name: i.data_type for i in onnx.load(tmp_path / "net.onnx").graph.initializer}
    assert kept["fc.weight"] == kept["n.decay"] == onnx.TensorProto.DOUBLE
    assert kept["n.threshold"] == onnx.TensorProto.FLOAT


def test_the_saved_text_is_golden():
    model = onnx.ModelProto.FromString(fmt.to_bytes(residual(), version="golden"))
    del model.metadata_props[:]
    assert onnx.printer.to_text(model).rstrip() == GOLDEN.read_text(encoding="utf-8").rstrip()


def test_every_operation_of_the_namespace_agrees_with_numpy():
    x = eighths((2, 4), 7, -30, 31)

    def compute(x, xp):
        return [
            xp.exp(x), xp.trunc(x), xp.floor(x), xp.minimum(x, 0.5), xp.maximum(0.5, x), 1.0 + x, 2.0 - x, 3.0 * x,
            xp.where(xp.fire(x, 0.5, False), 1.0, x), xp.concat([x, x], 0), xp.reshape(x, (2, 2)),
        ]  # fmt: skip

    body = Body()
    results = compute(Symbol(body, "x", (1, 4)), ONNX)
    names = [f"r{i}" for i in range(len(results))]
    nodes = body.deliver(list(zip(names, results, strict=True)))
    floats = onnx.TensorProto.FLOAT
    outputs = [onnx.helper.make_tensor_value_info(n, floats, ["b", *r.shape[1:]]) for n, r in zip(names, results, strict=True)]
    graph = onnx.helper.make_graph(nodes, "g", [onnx.helper.make_tensor_value_info("x", floats, ["b", 4])], outputs)
    model = onnx.helper.make_model(graph, ir_version=10, opset_imports=[onnx.helper.make_opsetid("", 20)])
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for got, expected in zip(session.run(names, {"x": x.astype(np.float32)}), compute(x, NUMPY), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-6 if got is not None else 0)


def test_an_index_beyond_the_end_is_an_index_error():
    with pytest.raises(IndexError):
        Symbol(Body(), "x", (2, 3))[2]


def test_what_a_file_cannot_hold_is_refused(tmp_path):
    @dataclasses.dataclass(frozen=True, eq=False)
    class Mine(Output):
        pass

    graph = chain((2,), s=Scale(frozen(2.0)))
    with pytest.raises(Unsupported, match="Mine is not one of snndeploy's nodes"):
        fmt.save(graph.replace({"y": Mine()}), tmp_path / "net.onnx")
    with pytest.raises(Unsupported, match="too large for float32"):
        fmt.save(chain((2,), s=Scale(frozen(1e39))), tmp_path / "net.onnx")
    clash = Graph(
        {"x": Input((1,)), "n": LIF(frozen(0.5)), "n.v": Scale(frozen(1.0)), "y": Output()},
        (Edge("x", "n"), Edge("n", "n.v"), Edge("n.v", "y")),
    )
    with pytest.raises(Unsupported, match="two values"):
        fmt.save(clash, tmp_path / "net.onnx")
    with pytest.raises(Unsupported, match="ellipsis cannot be saved"):
        fmt.save(graph.replace({"x": Input((2,), carries=...)}), tmp_path / "net.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_name_has_one_body(monkeypatch):
    graph = Graph(
        {"x": Input((2,)), "a": LIF(frozen(0.5)), "b": LIF(frozen(0.5), strict=True), "y": Output()},
        (Edge("x", "a"), Edge("a", "b"), Edge("b", "y")),
    )
    assert {f.name for f in onnx.ModelProto.FromString(fmt.to_bytes(graph)).functions} == {"LIF_reset_hard", "LIF_strict_reset_hard"}
    monkeypatch.setattr("converters.onnx.functions.function_name", lambda node, lengths: "LIF")
    with pytest.raises(Unsupported, match="would need two bodies"):
        fmt.to_bytes(graph)


def test_a_state_word_named_like_a_parameter_is_refused():
    @dataclasses.dataclass(frozen=True, eq=False)
    class Twice(LIF):
        def initial_state(self, shape):
            return {"decay": np.zeros(shape)}

        def step(self, inputs, state, xp):
            return inputs[0], state

    with pytest.raises(Unsupported, match="share a name"):
        function(chain((2,), n=Twice(frozen(0.5))), "n")


def test_numpy_numbers_in_static_fields_are_numbers(tmp_path):
    graph = chain((4,), r=Reshape((np.int64(2), 2)))
    fmt.save(graph, tmp_path / "net.onnx")
    assert fmt.load_graph(tmp_path / "net.onnx") == graph


def test_the_runner_refuses_what_does_not_fit(tmp_path):
    graph = ZOO["linear"]
    data, saved = feed(graph), fmt.to_bytes(graph)
    with pytest.raises(OptionError, match="did you mean"):
        run_onnxruntime(saved, data, STEPS, record=["nn"])
    with pytest.raises(OptionError, match="less than 1"):
        run_onnxruntime(saved, data, 0)
    with pytest.raises(DataError, match="8 steps"):
        run_onnxruntime(saved, data, 9)
    with pytest.raises(ModelError, match="onnxruntime cannot run it"):
        run_onnxruntime(b"not a model", data, STEPS)
    with pytest.raises(ModelError, match="onnxruntime cannot run it"):
        run_onnxruntime(tmp_path / "none.onnx", data, STEPS)
    foreign = onnx.ModelProto.FromString(saved)
    del foreign.metadata_props[:]
    with pytest.raises(ModelError, match="not a graph that snndeploy saved"):
        run_onnxruntime(foreign.SerializeToString(), data, STEPS)
    assert set(run_onnxruntime(saved, data, STEPS, record=["n"]).outputs) == {"n"}
