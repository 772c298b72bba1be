"""``bisect`` on files and ``explain``: what is printed, what is written, what replays; every code has its explanation."""

from __future__ import annotations

import ast
import itertools
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import converters
import snndeploy as sd
from snndeploy import errors
from snndeploy.arrays import frozen
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Wire
from snndeploy.cli import commands
from snndeploy.flow.divergence.bisecting import bisect
from snndeploy.flow.divergence.chip_reading import weights_apart
from snndeploy.flow.divergence.shrinking import minimal
from snndeploy.flow.divergence.sides import Side
from snndeploy.flow.feeding import Feed
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import BatchNorm, Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF
from snndeploy.passes import PIPELINE
from snndeploy.report.bisection import bisection_to_text
from snndeploy.report.codes import CODES
from snndeploy.sim.chip import run_chip

ROOT = Path(__file__).resolve().parents[1]
T = 6


def chain():
    rng = np.random.default_rng(0)
    nodes = {
        "x": Input((6,), carries="spikes"), "fc1": Linear(rng.normal(0.2, 0.5, (8, 6))), "lif1": LIF(frozen(0.5)),
        "fc2": Linear(rng.normal(0.2, 0.5, (4, 8)), rng.normal(0.1, 0.1, 4)), "lif2": LIF(frozen(0.8)), "y": Output("count"),
    }  # fmt: skip
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(nodes)), steps=T)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """``net.graph.onnx``, ``net.loihi2.onnx``, a chip network with one threshold changed, and data."""
    folder = tmp_path_factory.mktemp("files")
    x = (np.random.default_rng(1).random((24, T, 6)) < 0.5).astype(np.uint8)
    np.savez(folder / "data.npz", x=x)
    converters.save(chain(), folder / "source.onnx")
    made = sd.convert(str(folder / "source.onnx"), sd.Samples({"": x}), chip="loihi2")
    sd.save(made, folder / "net")
    population = made.network.populations["lif2"]
    broken = replace(population, model=replace(population.model, vth=population.model.vth + 9))
    converters.save(replace(made.network, populations={**made.network.populations, "lif2": broken}), folder / "broken.loihi2.onnx")
    return folder


def call(*words):
    return CliRunner().invoke(commands, [str(w) for w in words])


def test_two_chip_networks(files, tmp_path):
    data, a, b = files / "data.npz", files / "net.loihi2.onnx", files / "broken.loihi2.onnx"
    done = call("bisect", a, b, "--data", data, "-o", tmp_path / "reduced.npz", "--json")
    assert done.exit_code == 1, done.output
    found = json.loads(done.output)
    assert (found["schema"], found["layer"], found["cause"]) == ("snndeploy.bisect/1", "lif2", "threshold")
    assert found["first"]["layer"] == "lif2"
    assert not found["equal"]
    assert {"u", "v"} == set(found["around"]["a"][0]["words"])
    at = next(m for m in found["around"]["a"] if m["step"] == found["first"]["step"])
    assert at["before_reset"] > found["threshold"]
    x = np.load(found["written"])["x"]
    assert x.shape == (1, T, 6)
    assert np.count_nonzero(x) == found["reduced"]["entries"] <= found["reduced"]["entries_before"]
    assert found["reduced"]["part"]["still_differs"] is True
    runs = [call("run", f, "--data", found["written"], "--json") for f in (a, b)]
    spikes = [next(r["spikes_per_sample"] for r in json.loads(run.output)["layers"] if r["name"] == "lif2") for run in runs]
    assert spikes[0] != spikes[1]


def test_the_text_says_it_in_order(files):
    done = call("bisect", files / "net.loihi2.onnx", files / "broken.loihi2.onnx", "--data", files / "data.npz", "--no-shrink")
    assert done.exit_code == 1
    for words in (
        "layer lif2 differs by itself",
        "cause threshold: the thresholds differ",
        "input sum",
        "v before reset",
        "read in the files",
    ):
        assert words in done.output
    assert max(map(len, done.output.splitlines())) <= 100
    assert "Smallest input" not in done.output


def test_equal_files_are_equal(files):
    done = call("bisect", files / "net.loihi2.onnx", files / "net.loihi2.onnx", "--data", files / "data.npz")
    assert (done.exit_code, done.output.count("are equal: 0 of")) == (0, 1)


def test_a_graph_and_its_chip_network_part_by_rounding(files):
    """Four bits leave large errors; what parts them is still named as rounding or truncation, never as equality."""
    x = sd.Samples({"": np.load(files / "data.npz")["x"]})
    coarse = sd.convert(str(files / "source.onnx"), x, sd.Wishes(chip="loihi2", weight_bits={"*": 3}))
    sd.save(coarse, files / "coarse")
    done = call("bisect", files / "coarse.graph.onnx", files / "coarse.loihi2.onnx", "--data", files / "data.npz", "--json")
    found = json.loads(done.output)
    assert done.exit_code == 1
    assert found["cause"] in ("rounding", "truncation", "clipping", "weights")
    assert found["layer"] in ("lif1", "lif2")


def test_a_graph_whose_chip_network_lost_its_bias(files):
    network = converters.load(files / "net.loihi2.onnx")
    assert isinstance(network, ChipNetwork)
    population = network.populations["lif1"]
    shifted = replace(population, model=replace(population.model, bias_mant=population.model.bias_mant + 2000, bias_exp=np.array(3)))
    converters.save(replace(network, populations={**network.populations, "lif1": shifted}), files / "biased.loihi2.onnx")
    done = call("bisect", files / "net.graph.onnx", files / "biased.loihi2.onnx", "--data", files / "data.npz", "--json", "--no-shrink")
    found = json.loads(done.output)
    assert (found["layer"], found["cause"]) == ("lif1", "bias")
    turned = call("bisect", files / "biased.loihi2.onnx", files / "net.graph.onnx", "--data", files / "data.npz", "--json", "--no-shrink")
    assert json.loads(turned.output)["cause"] == "bias"


def test_one_file_is_taken_through_its_passes(files, monkeypatch):
    batch_norm = Graph(
        {**chain().nodes, "bn": BatchNorm(frozen(0.25), frozen(0.5), frozen(0.125))},
        (*(e for e in chain().edges if e != Edge("fc1", "lif1")), Edge("fc1", "bn"), Edge("bn", "lif1")),
        steps=T,
    )
    converters.save(batch_norm, files / "bn.graph.onnx")
    done = call("bisect", files / "bn.graph.onnx", "--data", files / "data.npz", "--json")
    found = json.loads(done.output)
    assert (done.exit_code, found["verdict"], len(found["pairs"])) == (0, "exact", 2)
    wrong = replace(PIPELINE[-1], name="raise thresholds", apply=raised)
    monkeypatch.setattr("snndeploy.flow.lowering.PIPELINE", (*PIPELINE[:-1], wrong, PIPELINE[-1]))
    done = call("bisect", files / "bn.graph.onnx", "--data", files / "data.npz", "--json")
    broken = [p for p in json.loads(done.output)["pairs"] if not p["equal"]]
    assert done.exit_code == 1
    assert [(p["b"], p["first"]["layer"]) for p in broken] == [("after raise thresholds", "lif1")]
    assert call("bisect", files / "net.loihi2.onnx", "--data", files / "data.npz").exit_code == 2


def raised(graph):
    """A pass that does what none may do."""
    return graph.replace({"lif1": replace(graph.nodes["lif1"], threshold=frozen(1.5))})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("net.loihi2.onnx", "broken.loihi2.onnx"), "--data"),
        (("net.loihi2.onnx", "broken.loihi2.onnx", "--data", "data.npz", "-o", "x.txt"), "no .npz"),
        (("net.loihi2.onnx", "--data", "data.npz", "-o", "x.npz"), "two networks"),
        (("net.loihi2.onnx", "other.graph.onnx", "--data", "data.npz"), "no layer of the same name"),
        (("net.loihi2.onnx", "other.graph.onnx", "--data", "data.npz"), "two versions of one network"),
        (("net.loihi2.onnx", "built.graph.onnx", "--data", "data.npz"), "lif1 was built of several neurons"),
        (("net.loihi2.onnx", "broken.loihi2.onnx", "--data", "data.npz", "-o", "data.npz"), "the data itself, which is never overwritten"),
    ],
)
def test_what_cannot_be_compared_is_refused(files, words, said):
    other = Graph({"x": Input((6,)), "cell": LIF(frozen(0.5))}, (Edge("x", "cell"),), steps=T)
    converters.save(other, files / "other.graph.onnx")
    parts = Graph({"x": Input((6,)), "lif1.B1": LIF(frozen(0.5))}, (Edge("x", "lif1.B1"),), steps=T)
    converters.save(parts, files / "built.graph.onnx")
    before = (files / "data.npz").read_bytes()
    done = call("bisect", *(files / w if "." in w and not w.startswith(("-", "x")) else w for w in words))
    assert done.exit_code == 2
    assert (files / "data.npz").read_bytes() == before
    assert said in done.output


def test_delta_debugging_finds_the_two_that_matter():
    def differs(kept):
        return [{3, 17} <= set(k.tolist()) for k in kept]

    kept, runs = minimal(np.arange(40), differs)
    assert kept.tolist() == [3, 17]
    assert runs < 40
    assert len(minimal(np.arange(40), differs, budget=1)[0]) <= 40
    assert minimal(np.arange(1), differs)[0].tolist() == [0]


# ---- layers of other kinds


def wired(**registers):
    """The host writes biases, and current through a wire; the neuron behind never fires."""
    hosts = (Population("b", (3,), HostInput(8, signed=True, static=True)), Population("w", (3,), HostInput(8, signed=True)))
    model = Lif(**{"du": 100, "dv": 200, "vth": 40, "bias_mant": 0, "bias_exp": 5, **registers})
    quiet = Population("q", (2,), Lif(du=7, dv=9, vth=100_000), shift=1)
    populations = (*hosts, Population("n", (3,), model), quiet)
    projections = (
        Projection("bn", "b", "n", Wire(as_bias=True)), Projection("wn", "w", "n", Wire()),
        Projection("nq", "n", "q", Dense([[3, -4, 5], [1, 2, 0]])),
    )  # fmt: skip
    return ChipNetwork("test", {p.name: p for p in populations}, projections, steps=5)


def hosted():
    rng = np.random.default_rng(5)
    return Feed({"b": rng.integers(0, 60, (1, 4, 3)).astype(float), "w": rng.integers(-40, 60, (5, 4, 3)).astype(float)}, None, 5)


def test_what_the_host_writes_is_cut_out_too():
    found = bisect(Side("a", wired()), Side("b", wired(dv=900)), hosted()).bisection
    assert (found.culprit, found.cause) == ("n", "decay")
    assert found.reduced.entries <= 2
    assert found.a_around[0].input is not None


def test_state_that_no_output_shows():
    found = bisect(Side("a", wired()), Side("b", replace(wired(), populations={**wired().populations, "q": quieter()})), hosted()).bisection
    assert (found.culprit, found.cause, found.hidden) == ("q", "decay", True)
    assert "give the same outputs, but" in bisection_to_text(found)
    assert found.reduced.entries >= 1


def quieter():
    return replace(wired().populations["q"], model=Lif(du=8, dv=9, vth=100_000))


def test_two_faults_in_one_layer_are_the_structure_or_unknown():
    broken = wired(vth=49, dv=900, bias_exp=4)
    assert bisect(Side("a", wired()), Side("b", broken), hosted(), shrinking=False).bisection.cause == "structure"

    def run(network, inputs, **how):
        ours = network.populations["n"]
        held = {} if isinstance(ours.model, HostInput) else {"n": replace(ours, model=broken.populations["n"].model)}
        return run_chip(replace(network, populations={**network.populations, **held}), inputs, **how)

    found = bisect(Side("a", wired()), Side("b", wired(), run), hosted())
    assert (found.bisection.culprit, found.bisection.cause) == ("n", "unknown")
    assert "cause unknown: nothing that was tried reproduces the difference (" in bisection_to_text(found.bisection)


W = np.array([[3, -5, 7], [2, 4, -6]])
WEIGHTS = {
    "order": W[::-1],
    "sign-mode": np.array([[2, -4, 6], [2, 4, -6]]),
    "exponent": W * 4,
    "duplicate": np.where(W == 7, 14, W),
    "lost": np.where(W == 7, 0, W),
    "rounding": np.where(W == 4, 5, W),
    "weights": np.where(W == 4, 50, W),
}


@pytest.mark.parametrize("cause", WEIGHTS)
def test_how_weights_differ(cause):
    assert weights_apart(Dense(W), Dense(WEIGHTS[cause]))[0] == cause


# ---- explain


def test_explain_one_all_and_none():
    one = call("explain", "l005")
    assert one.exit_code == 0
    assert one.output.startswith("L005 (design rule)\n  means: ")
    assert json.loads(call("explain", "TIE", "--json").output)["kind"] == "cause"
    assert len(json.loads(call("explain", "--json").output)["codes"]) == len(CODES)
    assert "model only" in call("explain").output
    wrong = call("explain", "roundin")
    assert wrong.exit_code == 2
    assert "did you mean rounding" in wrong.output


def sources(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if path.name not in ("codes.py", "causes.py")]


def test_a_sample_beyond_those_that_are_run_together_is_called_by_its_number():
    nodes = {"x": Input((3,)), "fc": Linear(np.eye(3)), "lif": LIF(frozen(0.5), threshold=frozen(1.0)), "y": Output()}
    edges = tuple(Edge(a, b) for a, b in itertools.pairwise(nodes))
    other = Graph({**nodes, "lif": LIF(frozen(0.5), threshold=frozen(1.1))}, edges)
    x = np.zeros((4, 70, 3))
    x[1, 68, 2] = 1.05
    found = bisect(Side("a", Graph(nodes, edges)), Side("b", other), Feed({"x": x}, None, 4))
    first = found.bisection.first
    assert (first.layer, first.step, first.sample, first.neuron) == ("lif", 1, 68, (2,))
    assert found.reduced.inputs["x"].shape == (4, 1, 3)


def test_every_rule_in_the_source_is_explained():
    found = {code for path in sources("snndeploy", "converters") for code in re.findall(r"\b[LE]\d{3}\b", path.read_text(encoding="utf-8"))}
    assert "L005" in found
    assert found <= CODES.keys()


def test_every_error_is_explained():
    kinds, waiting = set(), [errors.SnnError]
    while waiting:
        kind = waiting.pop()
        kinds.add(kind.__name__)
        waiting += [k for k in kind.__subclasses__() if k.__module__ == errors.__name__]  # those of a module are told as their base
    assert {k for k in kinds if CODES.get(k) is None} == set()


def test_every_cause_in_the_source_is_explained():
    """Every first string of a yielded or returned tuple, of a Suspect, and every value of a table CLASSES."""
    found = set()
    for path in sources("snndeploy/flow/divergence"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            found |= set(causes_in(node))
    assert {"tie", "wrap", "rounding", "clipping", "bias", "window", "stale-state", "weights", "duplicate", "lost"} <= found
    assert {c for c in found if CODES.get(c) is None or CODES[c].kind != "cause"} == set()
    assert CODES["unknown"].kind == "cause"


def causes_in(node):
    if isinstance(node, ast.Yield | ast.Return) and isinstance(node.value, ast.Tuple):
        yield from words_in(node.value.elts[0])
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Suspect":
        yield from words_in(node.args[0])
    if isinstance(node, ast.FunctionDef) and node.name == "_scaled":
        yield from (word for part in ast.walk(node) if isinstance(part, ast.Return) for word in words_in(part.value))
    if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CLASSES":
        yield from (value.value for value in node.value.values)
    if isinstance(node, ast.AnnAssign) and getattr(node.target, "id", "") == "OTHERS":
        yield from (row.elts[0].value for row in node.value.elts)


def words_in(node):
    """The strings that an expression may be."""
    if isinstance(node, ast.IfExp):
        yield from (*words_in(node.body), *words_in(node.orelse))
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
        yield node.value


def test_every_explanation_is_whole():
    for known in CODES.values():
        assert all((known.meaning, known.why, known.action, known.source)), known.code
        assert not known.meaning.endswith(".")
        assert known.why.endswith(".")
