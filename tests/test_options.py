"""Every option at every door: it changes what is read, or it is refused by name. None is passed over."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from net_files import dense, net
from onnx import TensorProto, helper, numpy_helper

import converters
import snndeploy as sd
from snndeploy.arrays import frozen
from snndeploy.cli import commands
from snndeploy.deploy import read
from snndeploy.errors import NoEffect, OptionError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.lif import LIF

torch = pytest.importorskip("torch")

T = 4
RNG = np.random.default_rng(5)
WEIGHT = RNG.integers(-8, 9, (3, 6)) / 8
CODE = """
import torch
from torch import nn
from snndeploy.nn import LIF

class MyLIF(nn.Module):
    def __init__(self):
        super().__init__()
        self.v = 0.0

    def reset(self):
        self.v = 0.0

    def forward(self, x):
        self.v = 0.5 * self.v + x
        spike = (self.v >= 1.0).to(x.dtype)
        self.v = self.v * (1 - spike)
        return spike

class Net(nn.Module):
    def __init__(self, T=0):
        super().__init__()
        self.fc1, self.lif1, self.lif2 = nn.Linear(6, 3), MyLIF(), LIF()

    def forward(self, x):
        return self.lif2(self.lif1(self.fc1(x)))

class Ann(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(6, 3), nn.Linear(3, 3)

    def forward(self, x):
        return self.fc2(torch.relu(self.fc1(x)))
"""

SAID = {
    "arch": "net.py:Net", "input_shape": (6,), "timesteps": 7, "trust": True, "dt": 0.004, "reset": "subtract", "source": "snntorch",
    "input_unit": 0.25, "neuron": {"lif1": "LIF(tau=2.0)"}, "neuron_class": {"MyLIF": "LIF(tau=2.0)"},
    "layer": {"fc1": "Flatten()"}, "relu": "if", "state": {"v": "v_next"}, "run_code": True,
}  # fmt: skip
"""One word of each option, as somebody would say it."""


def chain():
    names = ("x", "fc", "n", "y")
    nodes = dict(zip(names, (Input((6,)), Linear(WEIGHT), LIF(frozen(0.5)), Output("count")), strict=True))
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names)))


def onnx_file(path, nodes, inputs, outputs):
    def made(named):
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, list(s)) for n, s in named.items()]

    tensors = [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in {"W": WEIGHT, "half": 0.5, "one": 1.0}.items()]
    graph = helper.make_graph(nodes, "g", made(inputs), made(outputs), tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return str(path)


def one_step(gemm_out="h"):
    node = helper.make_node
    return [
        node("Gemm", ["x", "W"], [gemm_out], transB=1), node("Mul", ["v", "half"], ["leak"]), node("Add", ["leak", gemm_out], ["u"]),
        node("Greater", ["u", "one"], ["hit"]), node("Cast", ["hit"], ["spk"], to=TensorProto.FLOAT),
        node("Sub", ["one", "spk"], ["keep"]), node("Mul", ["u", "keep"], ["v_next"]),
    ]  # fmt: skip


def scan(folder):
    def value(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    body = helper.make_graph(
        one_step(), "step", [value("v", ["N", 3]), value("x", ["N", 6])], [value("v_next", ["N", 3]), value("spk", ["N", 3])]
    )
    loop = helper.make_node("Scan", ["v0", "xs"], ["v_end", "spikes"], body=body, num_scan_inputs=1)
    zeros = helper.make_node("ConstantOfShape", ["size"], ["v0"])
    tensors = [numpy_helper.from_array(np.asarray(v, np.float32), n) for n, v in {"W": WEIGHT, "half": 0.5, "one": 1.0}.items()]
    tensors.append(numpy_helper.from_array(np.asarray([2, 3], np.int64), "size"))
    graph = helper.make_graph([zeros, loop], "g", [value("xs", [T, 2, 6])], [value("spikes", [T, 2, 3])], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "scan.onnx").write_bytes(model.SerializeToString())
    return "scan.onnx"


def our_chip(folder):
    x = (RNG.random((8, T, 6)) < 0.5).astype(np.float64)
    _, chip = sd.save(sd.convert(converters.Loaded(chain()), x), folder / "ours")
    return str(chip)


def our_graph(folder):
    our_chip(folder)
    return str(folder / "ours.graph.onnx")


def spiking(folder):
    graph = chain()
    converters.save(graph, folder / "net.nir", lossy=True)
    return "net.nir"


def live():
    made: dict = {}
    exec(CODE, made)
    torch.manual_seed(0)
    return made["Net"]()


def weights(folder, name="Net"):
    made: dict = {}
    exec(CODE, made)
    torch.manual_seed(0)
    torch.save(made[name]().state_dict(), folder / "net.pt")
    return "net.pt"


def whole(folder):
    from snndeploy import nn

    torch.manual_seed(0)
    torch.save(torch.nn.Sequential(torch.nn.Linear(6, 3), nn.LIF()), folder / "whole.pt")
    return "whole.pt"


def bare(folder, neuron="snntorch"):
    torch.manual_seed(0)
    keys = {"snntorch": {"beta": 0.5, "threshold": 1.0, "reset_mechanism_val": 0}, "spikingjelly": {"w": 0.0}}[neuron]
    numbers = {f"lif1.{key}": torch.tensor(value) for key, value in keys.items()}
    torch.save({"fc1.weight": torch.rand(3, 6), "fc1.bias": torch.rand(3), **numbers}, folder / f"{neuron}.pt")
    return f"{neuron}.pt"


def integers(folder):
    return str(net(folder / "net.net", [dense(RNG.integers(-20, 21, shape) * 2.0) for shape in ((3, 6), (3, 3))]))


X = (RNG.random((8, T, 6)) < 0.5).astype(np.float64)
DOORS = {
    "our graph": (our_graph, {}, set()),
    "our chip network": (our_chip, {}, set()),
    "a feed-forward ONNX file": (
        lambda folder: onnx_file(
            folder / "ann.onnx",
            [helper.make_node("Gemm", ["x", "W"], ["h"], transB=1), helper.make_node("Relu", ["h"], ["y"])],
            {"x": ("N", 6)}, {"y": ("N", 3)},
        ),
        {"relu": "if"}, {"timesteps"},
    ),
    "one step in ONNX": (
        lambda folder: onnx_file(folder / "step.onnx", one_step(), {"x": ("N", 6), "v": ("N", 3)}, {"spk": ("N", 3), "v_next": ("N", 3)}),
        {}, {"timesteps"},
    ),
    "a loop in ONNX": (scan, {}, set()),
    "NIR": (spiking, {}, {"timesteps", "dt", "reset", "source"}),
    ".net": (integers, {}, {"timesteps", "input_unit", "source"}),
    "bare snnTorch weights": (bare, {}, {"timesteps", "dt", "neuron"}),
    "bare SpikingJelly weights": (lambda folder: bare(folder, "spikingjelly"), {}, {"timesteps", "dt", "reset", "neuron"}),
    "weights with --arch": (
        weights, {"arch": "net.py:Net", "input_shape": (6,)}, {"timesteps", "dt", "neuron", "neuron_class", "run_code"},
    ),
    "an artificial network with --arch": (
        lambda folder: weights(folder, "Ann"), {"arch": "net.py:Ann", "input_shape": (6,), "relu": "if"}, {"timesteps", "dt", "run_code"},
    ),
    "a whole module": (whole, {"trust": True, "input_shape": (6,)}, {"timesteps", "dt"}),
    "a live module": (lambda _: live(), {"input_shape": (6,)}, {"timesteps", "dt", "neuron", "neuron_class"}),
    "a live module on an example": (lambda _: live(), {}, {"timesteps", "dt", "neuron", "neuron_class"}),
    "a network loaded before": (lambda _: converters.Loaded(chain()), {}, set()),
}  # fmt: skip
"""By door: what makes the model, what it needs, and the options that change what is read there."""
AGREES = {
    ("a feed-forward ONNX file", "input_shape"), ("a loop in ONNX", "input_shape"), ("NIR", "input_shape"), (".net", "input_shape"),
    ("bare snnTorch weights", "source"),
    ("one step in ONNX", "state"), ("a live module on an example", "input_shape"),
    *((f"{kind} with --arch", "trust") for kind in ("weights", "an artificial network")),
    *((f"bare {library} weights", option) for library in ("snnTorch", "SpikingJelly") for option in ("input_shape", "layer", "trust")),
    ("a network loaded before", "timesteps"),
}  # fmt: skip
"""What may be said again: the same as the file says, or a permission that was not needed."""


def seen(noun):
    """Everything of what was read that an option may change."""
    if isinstance(noun, converters.Loaded):
        return (str(noun.graph), noun.graph.dt, noun.steps, noun.assumptions, noun.semantics, noun.probed)
    return (str(noun), noun.steps)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("doors")
    (folder / "net.py").write_text(CODE, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield {door: make(folder if door != "an artificial network with --arch" else _apart(folder)) for door, (make, *_) in DOORS.items()}


def _apart(folder):
    (folder / "ann").mkdir()
    (folder / "ann" / "net.py").write_text(CODE, encoding="utf-8")
    return folder / "ann"


def opened(model, **options):
    return seen(read(model, torch.from_numpy(X[:2, 0]).float(), converters.Options(**options)))


def outcome(door, option, model, base, plain):
    word = {(".net", "source"): "bootstrap", ("NIR", "source"): "nir"}.get((door, option), SAID[option])
    try:
        found = opened(model, **{**base, option: word})
    except OptionError as refusal:
        named = refusal.where.startswith("--" + option.replace("_", "-")) and refusal.hint
        return "refused" if named else str(refusal)
    return "passed over" if found == plain else "heard"


@pytest.mark.parametrize("door", DOORS)
def test_every_option_changes_what_is_read_or_is_refused_by_name(door, made):
    base, heard = DOORS[door][1:]
    model = "ann/net.pt" if door == "an artificial network with --arch" else made[door]
    others = {"arch"} if door.startswith("bare") else set()  # with it, it is another door
    plain = opened(model, **base)
    for option in SAID.keys() - base.keys() - others:
        wanted = "heard" if option in heard else "passed over" if (door, option) in AGREES else "refused"
        assert outcome(door, option, model, base, plain) == wanted, option


@pytest.mark.parametrize(
    ("door", "options", "words"),
    [
        ("bare snnTorch weights", {"source": "spikingjelly"}, "--source: is spikingjelly, but the neurons of the file are of snntorch"),
        ("bare snnTorch weights", {"reset": "zero"}, "says what every neuron's reset is"),
        ("a feed-forward ONNX file", {"relu": "if", "state": {"v": "w"}}, "--state"),
        ("our graph", {"dt": 0.001}, r"--dt: changes nothing of ours.graph.onnx(.|\n)*time constants"),
        ("our graph", {"timesteps": T + 1}, f"is {T + 1}, but the saved graph runs {T}"),
        ("our chip network", {"timesteps": T + 1}, f"is {T + 1}, but the chip network runs {T}"),
        ("our graph", {"relu": "if"}, "has no rectifiers"),
        ("our chip network", {"relu": "if"}, "integers already"),
        (".net", {"input_shape": (7,)}, r"is \[7\], but the file says that input is \[6\]"),
        ("a loop in ONNX", {"input_shape": (7,)}, r"is \[7\], but the file says xs \[6\]"),
        ("one step in ONNX", {"input_shape": (6,)}, "is one shape, and .* has 2 inputs"),
        ("a live module", {"input_shape": (6,), "arch": "net.py:Net"}, "--arch: changes nothing of a live module"),
        ("a live module", {"input_shape": (6,), "source": "snntorch"}, "--source: changes nothing of a live module"),
        ("a whole module", {"input_shape": (6,), "trust": True, "layer": {"0": "Linear()"}}, "--layer: changes nothing of whole.pt"),
    ],
)
def test_what_contradicts_or_changes_nothing_says_why(door, options, words, made):
    with pytest.raises(OptionError, match=words):
        opened(made[door], **options)


def test_a_source_is_heard_beside_the_words_it_is_for(made):
    """A class that several libraries have is asked for; the library decides."""
    words = {"input_shape": (6,), "arch": "net.py:Net", "neuron": {"lif1": "LIFNode(tau=2.0, decay_input=False)"}}
    with pytest.raises(OptionError, match="say which: --source"):
        opened(made["weights with --arch"], **words)
    assert opened(made["weights with --arch"], **words, source="spikingjelly")


def test_neurons_that_never_reset_hear_no_reset(tmp_path):
    from snndeploy.ir.neurons.li import LI

    nodes = {"x": Input((6,)), "fc": Linear(WEIGHT), "n": LI(decay=frozen(0.5)), "y": Output("none")}
    names = list(nodes)
    converters.save(Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names))), tmp_path / "li.nir", lossy=True)
    with pytest.raises(NoEffect, match="no neurons that reset"):
        sd.load(str(tmp_path / "li.nir"), None, converters.Options(reset="zero"))
    bare_nodes = {"x": Input((6,)), "fc": Linear(WEIGHT), "y": Output("none")}
    converters.save(Graph(bare_nodes, (Edge("x", "fc"), Edge("fc", "y"))), tmp_path / "no.nir", lossy=True)
    with pytest.raises(NoEffect, match="no neurons"):
        sd.load(str(tmp_path / "no.nir"), None, converters.Options(source="norse"))


def test_a_construction_for_burst_neurons_needs_burst_neurons():
    with pytest.raises(NoEffect, match="--burst: ping-pong is how burst neurons are built, and this network has none"):
        sd.convert(converters.Loaded(chain()), X, sd.Wishes(burst="ping-pong"))


def test_a_report_of_what_has_run_takes_nothing_more():
    deployment = sd.convert(converters.Loaded(chain()), X)
    assert "Exact" in sd.to_text(sd.report(deployment))
    for more in ({"data": X}, {"chip": "loihi1"}, {"seed": 3}, {"encode": "rate"}, {"options": converters.Options()}):
        with pytest.raises(NoEffect, match="has been run"):
            sd.report(deployment, **more)


def test_a_shape_that_outranks_the_files_own_is_said(tmp_path):
    from snndeploy.ir.layers import Conv

    nodes = {"x": Input((1, 6, 6)), "c": Conv(np.ones((2, 1, 3, 3))), "y": Output("none")}
    names = list(nodes)
    converters.save(Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(names))), tmp_path / "c.nir", lossy=True)
    loaded = sd.load(str(tmp_path / "c.nir"), None, converters.Options(input_shape=(1, 8, 8)))
    assert any("[1, 6, 6], but --input-shape says [1, 8, 8]" in note for note in loaded.assumptions)


# --------------------------------------------------------------------------------------------------- the command line


@pytest.fixture(scope="module")
def saved(made):
    """Beside what ``made`` left: data with and without labels, and a certificate."""
    folder = Path(made["our graph"]).parent
    np.savez(folder / "x.npz", x=X.astype(np.uint8))
    np.savez(folder / "xy.npz", x=X.astype(np.uint8), y=np.arange(len(X)) % 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        said = CliRunner().invoke(commands, ["verify", "ours.loihi2.onnx", "--data", "x.npz", "--certificate", "c.json"])
        assert said.exit_code == 0, said.output
        yield folder


GRAPH, CHIP = "ours.graph.onnx", "ours.loihi2.onnx"
PASSED_OVER = [
    ("convert", "net.nir", "--chip", "none", "--data", "x.npz"),
    ("convert", "net.nir", "--chip", "none", "--weight-bits", "4"),
    ("convert", "net.nir", "--chip", "none", "--burst", "auto"),
    ("convert", "net.nir", "--chip", "none", "--max-drop", "1"),
    ("convert", "net.nir", "--chip", "none", "--calibration-samples", "9"),
    ("convert", "net.nir", "--chip", "none", "--samples", "9"),
    ("convert", GRAPH, "-o", "o", "--data", "x.npz", "--max-drop", "1"),
    ("convert", GRAPH, "-o", "o", "--data", "x.npz", "--prove-limit", "1"),
    ("convert", GRAPH, "-o", "o", "--data", "x.npz", "--seed", "1"),
    ("convert", GRAPH, "-o", "o", "--data", "x.npz", "--sensor", "2,3"),
    ("convert", GRAPH, "-o", "o", "--data", "x.npz", "--burst", "ping-pong"),
    ("convert", CHIP, "-o", "o", "--data", "xy.npz", "--max-drop", "1"),
    ("convert", CHIP, "-o", "o", "--data", "x.npz", "--calibration-samples", "9"),
    ("check", GRAPH, "--data", "x.npz", "--relu", "if"),
    ("check", CHIP, "--data", "x.npz"),
    ("check", CHIP, "--decode", "mean"),
    ("check", "net.pt", "--arch", "net.py:Net", "--input-shape", "6", "--encode", "rate"),
    ("run", GRAPH, "--data", "x.npz", "--chip", "loihi2"),
    ("run", GRAPH, "--data", "x.npz", "--timesteps", "9"),
    ("run", GRAPH, "--data", "x.npz", "--dt", "0.1"),
    ("show", CHIP, "--reset", "zero"),
    ("verify", CHIP, "--data", "x.npz", "--max-drop", "1"),
    ("verify", CHIP, "--data", "x.npz", "--prove-budget", "1"),
    ("verify", CHIP, "--prove", "--against", "graph"),
    ("verify", CHIP, "--prove", "--samples", "3"),
    ("verify", "--certificate", "c.json", "--samples", "3"),
    ("verify", "--certificate", "c.json", "--source", "norse"),
    ("report", CHIP, "--data", "x.npz", "--max-drop", "1"),
    ("report", CHIP, "--data", "x.npz", "--certificate", "c.json"),
    ("export", GRAPH, "--to", "nir", "-o", "o.nir", "--layer", "fc: Flatten()"),
    ("bisect", GRAPH, "--data", "x.npz", "--no-shrink"),
    ("bisect", GRAPH, CHIP, "--data", "x.npz", "--input-unit", "0.5"),
]


@pytest.mark.parametrize("arguments", PASSED_OVER, ids=" ".join)
def test_the_command_line_passes_no_option_over(arguments, saved):
    """The last option given is the one that would change nothing."""
    before = sorted(path.name for path in saved.iterdir())
    said = CliRunner().invoke(commands, list(arguments), catch_exceptions=False)
    assert said.exit_code == 2, said.output
    option = next(word for word in reversed(arguments) if word.startswith("--")).replace("--no-", "--")
    assert said.stderr.startswith(option), said.stderr
    assert "hint: " in said.stderr
    assert sorted(path.name for path in saved.iterdir()) == before


def test_bisect_reads_each_file_with_the_options_that_are_about_it(saved):
    """--arch is about the weights, and nothing to the graph they were converted to."""
    arguments = ["net.pt", "--arch", "net.py:Net", "--input-shape", "6", "--timesteps", str(T)]
    assert CliRunner().invoke(commands, ["convert", *arguments, "--chip", "none", "-o", "two"]).exit_code == 0
    said = CliRunner().invoke(commands, ["bisect", arguments[0], "two.graph.onnx", *arguments[1:], "--data", "x.npz"])
    assert said.exit_code == 0, said.output
