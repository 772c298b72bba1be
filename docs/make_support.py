"""Write the support matrix: what every format, chip and library does with every neuron and layer, found out by trying.

Rows come from the registries (nodes, formats, profiles, library tables) and from the examples in tests/zoo.py; a node without an
example is an error. Nothing is said here that was not run, but for the classes of foreign libraries, which name the test that runs them.

    python docs/make_support.py     writes docs/support.md
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib.util
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import converters
from converters.onnx import load_graph, to_bytes
from converters.onnx.structure import kinds
from snndeploy.chip.network import ChipNetwork
from snndeploy.deploy import convert
from snndeploy.errors import SnnError
from snndeploy.flow.against_onnxruntime import integer_onnx_pair
from snndeploy.flow.deployment import Deployment, Wishes
from snndeploy.hw import load_profile, profile_names
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.rectifier import Relu
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.ort import run_onnxruntime
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "support.md"
INTERNAL = {
    "GridNeuron": "the definition of a neuron program, made on the way to a chip",
    "HostCurrent": "what the host writes into a chip's biases, made on the way to a chip",
    "IntegerNeuron": "a neuron after quantization, made on the way to a chip",
}
"""Neurons that the toolchain makes; no model has them."""
PLAIN = LIF(np.array(0.5), threshold=np.array(0.75), strict=True)
"""What stands behind every layer: a neuron that each format can say."""


NET_BITS = 7
"""Bits of the weights that are written to a .net file, which holds one byte of each."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """What came of one trial: ``state``, how many values were ``compared`` with 0 different, and the ``reasons``."""

    state: str
    compared: int = 0
    reasons: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of a table: ``kind`` (and which of its ``examples``), and a cell a column."""

    kind: str
    examples: tuple[str, ...]
    cells: Mapping[str, Cell]


def script(path: str) -> ModuleType:
    """A file of the project that is in no package, as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@functools.cache
def zoo() -> ModuleType:
    """The examples."""
    return script("tests/zoo.py")


def chips() -> list[str]:
    """Every chip that can be simulated."""
    return [name for name in profile_names() if load_profile(name).simulate]


# -- one trial a column --------------------------------------------------------------------------------------------


def equal(ours: Mapping[str, Any], theirs: Mapping[str, Any], where: str) -> int:
    """How many values were compared. Raises ``AssertionError`` if one differs, or if all are the same and say nothing."""
    assert len(ours) == len(theirs), where
    for a, b in zip(ours.values(), theirs.values(), strict=True):
        assert np.array_equal(a, b), f"{where}: {int((np.asarray(a) != np.asarray(b)).sum())} of {np.size(a)} values differ"
    return sum(int(np.size(a)) for a in ours.values())


def reason(error: SnnError) -> str:
    """Why, without the names of this example."""
    text = re.sub(r"^the network does not fit\s+(L\d+) blocker \w+", r"\1", error.what)
    codes = ", ".join(sorted(set(re.findall(r"\bL\d{3}\b", text))))
    text = re.sub(r"^(none of the constructions built here is exact for this neuron) .*$", rf"{codes}: \1", text, flags=re.DOTALL)
    text = re.sub(r"^(L\d+: )\w+ (has no integer form|whose)", r"\1the neuron \2", text)
    text = re.sub(r"^a \w+ (sends real values)", r"it \1", text)
    text = re.sub(r"^NIR has no \w+", "NIR has no such node", text)
    text = re.sub(r"^weights \S+ after their exponents", "weights after their exponents", text)
    return re.sub(r"\s+", " ", text)


def onnx_cell(graph: Graph) -> Cell:
    """Saved, loaded, and run by onnxruntime beside the reference."""
    examples = zoo()
    try:
        saved = to_bytes(graph)
    except SnnError as error:
        return Cell("refused", 0, (reason(error),))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.onnx"
        path.write_bytes(saved)
        assert load_graph(path) == graph
    data = examples.feed(graph)
    ours, theirs = run_reference(graph, data, examples.STEPS), run_onnxruntime(saved, data, examples.STEPS)
    return Cell("exact", equal(ours.outputs, theirs.outputs, "onnxruntime"))


def nir_cell(graph: Graph) -> Cell:
    """Written, read, and both run; where it is refused, what is lost with --lossy."""
    examples, data = zoo(), zoo().feed(graph)
    named = {n: Output("none") for n in graph.named(Output)}
    graph = graph.replace(named)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.nir"
        try:
            converters.export(graph, "nir", path)
        except SnnError:
            try:
                lost = converters.export(graph, "nir", path, lossy=True)
            except SnnError as error:
                return Cell("refused", 0, (reason(error),))
            return Cell("lossy", 0, tuple(_loss(text, graph) for text in lost))
        again = converters.load(path)
    assert isinstance(again, converters.Loaded)
    inputs = dict(zip(again.graph.named(Input), data.values(), strict=True))
    ours, theirs = run_reference(graph, data, examples.STEPS), run_reference(again.graph, inputs, examples.STEPS)
    return Cell("exact", equal(ours.outputs, theirs.outputs, "NIR"))


def _loss(text: str, graph: Graph) -> str:
    """A loss without the layer's name and its numbers."""
    name, _, rest = text.partition(" ")
    rest = rest if name in graph.nodes else text
    rest = re.sub(r"^(fires in levels|subtracts) (\([^)]*\)|-?[\d.]+)", r"\1", rest)
    return re.sub(r", here .*$", "", re.sub(r"(starts at) .*:", r"\1 a value of its own:", rest))


def deployed(graph: Graph, chip: str, bits: int | None = None) -> Deployment | SnnError:
    """The network on a chip, run on random spikes, or why not."""
    examples, rng = zoo(), np.random.default_rng(0)
    shapes = {n: i.shape if i.static else (examples.STEPS, *i.shape) for n, i in graph.named(Input).items()}
    data = {name: (rng.random((examples.BATCH, *shape)) < 0.5).astype(np.float64) for name, shape in shapes.items()}
    options = converters.Options(relu="if" if graph.named(Relu) else None)
    named: Any = data if len(data) > 1 else {"x": next(iter(data.values()))}
    try:
        wishes = Wishes(chip=chip, weight_bits={} if bits is None else bits)
        return convert(converters.Loaded(graph), named, wishes, timesteps=examples.STEPS, options=options)
    except SnnError as error:
        return error


def chip_cell(found: Deployment | SnnError) -> Cell:
    """What carries the neuron on a chip."""
    if isinstance(found, SnnError):
        return Cell("refused", 0, (reason(found),))
    pair = next(p for p in found.verdict.pairs if p.b == "chip network")
    assert found.verdict.verdict == "exact"
    assert pair.different == 0
    decoupled = any(o.chosen and o.construction != "graded" for o in found.offers)
    state = "program" if pair.grade == "model only" else "decoupled" if decoupled else "exact"
    return Cell("rates" if found.verdict.rates else state, pair.compared)


def chip_onnx_cell(found: Deployment) -> Cell:
    """The saved chip network in onnxruntime, every spike and state word."""
    pair = integer_onnx_pair(found.network, found.data)
    assert pair.different == 0
    return Cell("exact", pair.compared)


def net_cell(found: Deployment) -> Cell:
    """Written as lava-dl's .net, read again, and both run."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.net"
        try:
            converters.export(found.network, "net", path)
        except SnnError as error:
            return Cell("refused", 0, (reason(error),))
        again = converters.load(path)
    assert not isinstance(again, converters.Loaded)
    values = [v for name, v in inject(found.network, found.data.inputs).items() if name != CONSTANT]
    names = [n for n, p in again.populations.items() if not any(j.target == n for j in again.projections)]
    ours = run_chip(found.network, inject(found.network, found.data.inputs))
    theirs = run_chip(again, dict(zip(names, values, strict=False)))
    return Cell("exact", equal(in_time(found.network, ours), in_time(again, theirs), ".net"))


def in_time(network: ChipNetwork, trace: Trace) -> dict[str, Any]:
    """What every layer sends from its first input to its last, flat; without the constant that drives biases."""
    kept = {n: p.shift for n, p in network.populations.items() if n in trace.outputs and n != CONSTANT}
    late = {n: trace.outputs[n][shift : shift + network.steps] for n, shift in kept.items()}
    return {n: np.reshape(v, (*np.shape(v)[:2], -1)) for n, v in late.items()}


def lava_cell(found: Deployment) -> Cell:
    """Written for Lava; that Lava computes the same is held by tests/test_lava_oracle.py and tests/test_lava_export.py."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            converters.export(found.network, "lava", Path(folder) / "net.lava")
        except SnnError as error:
            return Cell("refused", 0, (reason(error),))
    return Cell("written")


# -- rows of nodes -------------------------------------------------------------------------------------------------


def trial(saved: Graph, on_chip: Graph) -> dict[str, Cell]:
    """Every column of one example."""
    cells = {"ONNX": onnx_cell(saved), "NIR": nir_cell(saved)}
    found = {chip: deployed(on_chip, chip) for chip in chips()}
    cells |= {chip: chip_cell(what) for chip, what in found.items()}
    if all(cells[chip].state == "refused" for chip in found):
        cells |= {chip: dataclasses.replace(cells[chip], state="float only") for chip in found}
    networks = [what for what in found.values() if isinstance(what, Deployment)]
    narrow = [what for chip in found if isinstance(what := deployed(on_chip, chip, NET_BITS), Deployment)]
    written = {"chip ONNX": (chip_onnx_cell, networks), ".net": (net_cell, narrow), "Lava": (lava_cell, networks)}
    return cells | {column: _first(write, given) for column, (write, given) in written.items()}


def _first(write: Callable[[Deployment], Cell], networks: Iterable[Deployment]) -> Cell:
    """What the format makes of the first network that it can say, or why it can say none."""
    cell = Cell("–")
    for network in networks:
        cell = write(network)
        if cell.state != "refused":
            return cell
    return cell


def neuron_kinds() -> list[str]:
    """Every neuron class, but for those that no model has."""
    found = {n for n, k in kinds("graph").items() if issubclass(k, Node) and k.__module__.startswith("snndeploy.ir.neurons.")}
    assert set(INTERNAL) <= found
    return sorted(found - set(INTERNAL))


@functools.cache
def neuron_rows(kind: str) -> tuple[Row, ...]:
    """The examples of a neuron, those with the same answers in one row."""
    examples = zoo()
    graphs = {n: examples.chain((5,), n=node) for n, node in examples.NEURONS.items() if type(node).__name__ == kind}
    graphs |= {n: g for n, g in examples.LAYERS.items() if type(g.nodes.get("n")).__name__ == kind != "LIF"}
    if not graphs:
        raise LookupError(f"{kind} has no example in tests/zoo.py")
    synapse = Linear(examples.eighths((5, 5), 1, -7, 8))
    tried = {}
    for name, graph in graphs.items():
        on_chip = examples.chain((5,), fc=synapse, n=graph.nodes["n"]) if name in examples.NEURONS else graph
        tried[name] = trial(graph, on_chip)
    return tuple(_merged(kind, tried))


def _merged(kind: str, tried: Mapping[str, Mapping[str, Cell]]) -> Iterator[Row]:
    groups: dict[tuple[str, ...], list[str]] = {}
    for name, cells in tried.items():
        groups.setdefault(tuple(c.state for c in cells.values()), []).append(name)
    for names in groups.values():
        cells = {column: _sum([tried[n][column] for n in names]) for column in tried[names[0]]}
        yield Row(kind, tuple(names), cells)


def _sum(cells: list[Cell]) -> Cell:
    reasons = dict.fromkeys(r for c in cells for r in c.reasons)
    return Cell(cells[0].state, sum(c.compared for c in cells), tuple(reasons))


def layer_names() -> list[str]:
    """Every network of layers in the examples; together they hold every layer class."""
    examples = zoo()
    others = {"SpikeTrace", *INTERNAL}
    names = [n for n, g in examples.LAYERS.items() if not others & {type(node).__name__ for node in g.nodes.values()}]
    held = {type(node).__name__ for name in names for node in examples.LAYERS[name].nodes.values()}
    nodes = {n: k for n, k in kinds("graph").items() if issubclass(k, Node) and k is not Node}
    known = {n for n, k in nodes.items() if not k.__module__.startswith("snndeploy.ir.neurons.")}
    if known - held:
        raise LookupError(f"{sorted(known - held)} in no example of tests/zoo.py")
    return names


@functools.cache
def layer_row(name: str) -> Row:
    """A layer between an input and a plain neuron."""
    examples = zoo()
    graph = examples.LAYERS[name]
    graph = graph.replace(dict.fromkeys(graph.named(LIF), PLAIN))
    rectifier = graph.named(Relu)
    if rectifier:
        graph = examples.chain((4,), fc=Linear(examples.eighths((5, 4), 1)), r=next(iter(rectifier.values())))
    kept = dict.fromkeys(type(n).__name__ for n in graph.nodes.values() if not isinstance(n, Input | Output | LIF))
    return Row(name, tuple(kept), trial(graph, graph))


# -- what is read --------------------------------------------------------------------------------------------------


@functools.cache
def tests_of(pattern: str) -> dict[str, frozenset[str]]:
    """Test (``file::name``) -> every word in it and in what it calls in its file."""
    found = {}
    for path in sorted((ROOT / "tests").glob(pattern)):
        source = path.read_text(encoding="utf-8")
        parts = [n for n in ast.parse(source).body if isinstance(n, ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign)]
        words = {name: set(re.findall(r"\w+", _text(source, part))) for part in parts for name in _names(part)}
        for name in words:
            if name.startswith("test_"):
                found[f"{path.stem}::{name}"] = frozenset(_reached(name, words))
    return found


def _text(source: str, part: ast.stmt) -> str:
    first = min([part.lineno, *(d.lineno for d in getattr(part, "decorator_list", []))])
    return "\n".join(source.splitlines()[first - 1 : part.end_lineno])


def _names(part: ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign) -> list[str]:
    if isinstance(part, ast.FunctionDef | ast.ClassDef):
        return [part.name]
    return [t.id for t in (part.targets if isinstance(part, ast.Assign) else [part.target]) if isinstance(t, ast.Name)]


def _reached(name: str, words: Mapping[str, set[str]]) -> set[str]:
    seen, waiting, all_words = set(), [name], set()
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            all_words |= words[one]
            waiting += [w for w in words[one] if w in words]
    return all_words


NOT_RUN = (
    "refused without_(a_)?meaning mean_nothing errors?$ cut_files every_awkward option contradicts that_are_no_ is_none "
    "are_not_states every_loss"
)
"""Tests by their names that show a refusal, not a run."""
REFUSES = re.compile("|".join(NOT_RUN.split()))


def test_of(word: str, *patterns: tuple[str, str]) -> str:
    """The test that runs a class: of the first (files, another word it must hold) that has one; "" where none does."""
    for pattern, also in patterns:
        among = tests_of(pattern)
        hits = [t for t, words in among.items() if word in words and (not also or also in words) and not REFUSES.search(t)]
        if hits:
            return min(hits, key=lambda t: (len(among[t]), t))
    return ""


@functools.cache
def libraries() -> dict[str, Any]:
    """Every library of torch networks that has a table."""
    from converters.pt.libraries import LIBRARIES  # noqa: PLC0415 - loads torch

    return {library.name: library for library in LIBRARIES}


WORDS = "test_pt_libraries::test_every_word_of_every_library_makes_a_neuron"
"""Where every neuron of every table is made from its constructor's words."""
GIVEN = {
    "decay_input": True,
    "stateless": False,
    "delay_steps": 2,
    "tau": 4.0,
    "tau_mem": 10.0,
    "current_decay": 1024.0,
    "voltage_decay": 128.0,
}
"""What is said where a class asks for a setting; 0.5 elsewhere."""


@functools.cache
def library_rows(name: str) -> tuple[tuple[str, str, str, tuple[str, ...]], ...]:
    """What is made of a live module, what of a bare file, the test, and the classes it holds for."""
    library, groups = libraries()[name], {}
    for kind in (*library.neurons, *library.layers):
        places = [("test_pt_topologies.py", ""), ("test_paper_*.py", "")] if library.marks else [("test_pt_live_*.py", name)]
        test = test_of(kind, *places, ("test_pt_libraries.py", name))
        live = "exact" if "_live_" in test else "read"
        bare = bare_file(library, kind) if kind in library.neurons else "–"
        groups.setdefault((live, bare, test or (WORDS if kind in library.neurons else "–")), []).append(kind)
    return tuple((*key, tuple(found)) for key, found in groups.items())


def bare_file(library: Any, kind: str) -> str:
    """What a file of one matrix and this class in words has to be told, by telling it what it asks for."""
    known = library.neurons[kind].keys
    for given in (GIVEN, {**GIVEN, "tau": 0.5}):
        asks = _asked(library, kind, given)
        if asks is not None:
            rest = sorted(asks - known)
            return ("its tensors" if known else "in words") + (f"; asks {', '.join(rest)}" if rest else "")
    return "its tensors" if known else "with --arch"


def _asked(library: Any, kind: str, given: Mapping[str, Any]) -> set[str] | None:
    """The settings that are asked for until the file is read; None where it never is."""
    import torch  # noqa: PLC0415

    said: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = Path(folder) / "net.pt"
        torch.save({"fc.weight": torch.eye(4)}, path)
        while len(said) < 12:
            words = f"{kind}({', '.join(f'{n}={v!r}' for n, v in said.items())})"
            try:
                converters.load(path, converters.Options(source=library.name, neuron={"fc": words}, timesteps=4))
            except SnnError as error:
                asked = re.match(r"(\w+) is not in the file", error.what)
                name = asked.group(1) if asked else "stateless" if "stateless=" in error.hint else ""
                if not name or name in said:
                    return None
                said[name] = given.get(name, 0.5)
            else:
                return set(said)
    return None


def refusals(name: str) -> dict[str, list[str]]:
    """Reason -> the classes that are refused for it, each tried with a module of that name.

    Raises ``AssertionError`` for one that is not refused, live or in words.
    """
    from converters.pt.constructors import neuron_named  # noqa: PLC0415
    from converters.pt.libraries import refusal  # noqa: PLC0415

    library, found = libraries()[name], {}
    for kind, why in library.refused.items():
        said = refusal(type(kind, (), {"__module__": library.name})())
        assert said is not None
        assert why in said[0]
        try:
            neuron_named(kind, library, "")
        except SnnError:
            found.setdefault(why, []).append(kind)
        else:
            raise AssertionError(f"{kind} is refused live, but not in words")
    return found


SHAPES = {"Linear": (4,), "Identity": (4,), "ReLU": (4,), "ReLU6": (4,), "1d": (4, 8), "2d": (4, 8, 8)}
ARGUMENTS = {"Linear": (4, 3), "Conv": (4, 3, 3), "BatchNorm": (4,), "AdaptiveAvgPool": (2,), "AvgPool": (2,), "MaxPool": (2,)}
ARGUMENTS |= {"Upsampl": (None, 2), "ChannelShuffle": (2,), "Pixel": (2,)}


@functools.cache
def torch_cells() -> dict[str, int]:
    """Every layer of torch.nn and neuron of snndeploy.nn: how many values of its module equal those of its graph."""
    import torch  # noqa: PLC0415

    from converters.pt.torch_nn import TABLE  # noqa: PLC0415
    from snndeploy import nn  # noqa: PLC0415

    found = {}
    for full in TABLE:
        name = full.rpartition(".")[2]
        shape = next((s for end, s in SHAPES.items() if name.endswith(end)), (4, 8, 8))
        arguments = next((a for start, a in ARGUMENTS.items() if name.startswith(start)), ())
        found[f"torch.nn.{name}"] = _same(getattr(torch.nn, name)(*arguments), shape)
    neurons = [n for n in nn.__all__ if isinstance(k := getattr(nn, n), type) and issubclass(k, nn.Neuron) and k is not nn.Neuron]
    for name in neurons:
        found[f"snndeploy.nn.{name}"] = _same(_neuron(nn, name), (4,))
    return found


def _neuron(nn: Any, name: str) -> Any:
    arguments = {"LIFB": {"thresholds": (0.5, 1.0)}, "GLIF": {"steps": 8}}
    return getattr(nn, name)(**arguments.get(name, {}))


def _same(module: Any, shape: tuple[int, ...]) -> int:
    """A module and its graph on random eighths, in float64."""
    import torch  # noqa: PLC0415

    from converters.pt import from_module  # noqa: PLC0415
    from snndeploy.nn import reset  # noqa: PLC0415

    steps, generator = 8, torch.Generator().manual_seed(0)
    for part in module.parameters():
        if part.ndim > 1:
            part.data = torch.randint(-8, 9, part.shape, generator=generator) / 8
    net = torch.nn.Sequential(module).double().eval()
    x = torch.randint(-8, 17, (steps, 6, *shape), generator=generator).double() / 8
    loaded = from_module(net, x[0], converters.Options(timesteps=steps, relu="if"))
    reset(net)
    want = torch.stack([net(now) for now in x]).detach().numpy()
    (name,) = loaded.graph.named(Input)
    graph = loaded.graph.replace({n: Output("none") for n in loaded.graph.named(Output)})
    (out,) = graph.named(Output)
    got = run_reference(graph, {name: x.numpy()}, steps).outputs[out]
    assert np.allclose(got, want, rtol=0, atol=1e-12), module
    return int(want.size)


# -- the page ------------------------------------------------------------------------------------------------------

HEAD = """# What is supported

Made by `python docs/make_support.py`, which tries every cell; `tests/test_support.py` tries them again and compares. The number
behind a word is how many values (spikes, states) were compared in that trial; 0 of them differed.

| word | means |
|---|---|
| exact | run on both sides, and equal: on a chip, the fixed LIF against its integer definition; in a format, the file against the graph |
| decoupled | exact, with several plain LIF for one neuron |
| program | exact against its definition, as a neuron program, which has no silicon reference (*model only*) |
| rates | converted with `--relu if`: rates follow the activation, with a loss that is measured and reported |
| lossy | written only with `--lossy`, which lists what is lost: the footnote |
| written | the files are written; that Lava computes the same is held by `tests/test_lava_oracle.py`, for networks of these populations |
| float only | the graph, its ONNX and the reference run it; every chip refuses it: the footnote |
| refused | an error that says why: the footnote |
| – | nothing to write: no chip takes it |

How near the quantized network comes to the float network is fidelity, measured for each network on its data, and no matter of this page.
"""
NEURONS_HEAD = """
## Neurons

Each behind a matrix of synapses. *ONNX*: the float graph, saved, loaded equal, run by onnxruntime. *NIR*: exported, imported, run. The
chips: converted, and run in the simulator. *chip ONNX*: the chip network saved, every spike and state word computed by onnxruntime.
*.net* (lava-dl) and *Lava*: the first chip's network that the format can say, for .net with weights of {bits} bits.
"""
LAYERS_HEAD = """
## Layers

Each between an input and a plain LIF (`>`, hard reset). The same columns.
"""
READS_HEAD = """
## torch modules

*live*: "exact" where the named test runs the library's own class beside ours, spike for spike; "read" where the class is read by its
attributes, which the named test states without the library. *bare file*: what a state_dict without code has to be told, found out by
telling it: "its tensors" name the class; "in words" is `--neuron 'fc: Class(...)'`. Any other neuron class of yours is
found out by running it (10^6 random steps), or refused.
"""


class Notes:
    """Footnotes, numbered as they come."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def mark(self, reason: str) -> str:
        """The reference to a reason."""
        return f"[^{self.numbers.setdefault(reason, len(self.numbers) + 1)}]"

    def text(self) -> str:
        """All of them."""
        return "".join(f"[^{number}]: {reason}\n" for reason, number in self.numbers.items())


def shown(cell: Cell, notes: Notes) -> str:
    """A cell as the page has it."""
    count = f" {cell.compared:,}" if cell.compared else ""
    return cell.state + count + "".join(notes.mark(reason) for reason in cell.reasons)


def table(head: Iterable[str], lines: Iterable[Iterable[str]]) -> str:
    """A table in Markdown."""
    head = list(head)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines)) + "\n"


def node_table(rows: Iterable[Row], notes: Notes) -> str:
    """Rows of trials."""
    rows = list(rows)
    lines = [[row.kind, ", ".join(row.examples), *(shown(c, notes) for c in row.cells.values())] for row in rows]
    return table(["", "", *rows[0].cells], lines)


def library_table(name: str) -> str:
    """One library: what is read, and what is refused."""
    lines = [[", ".join(f"`{k}`" for k in kinds), live, bare, f"`{test}`"] for live, bare, test, kinds in library_rows(name)]
    text = f"\n### {name}\n\n" + table(["class", "live", "bare file", "test"], lines)
    refused = [f"- {', '.join(f'`{k}`' for k in kinds)}: {why}" for why, kinds in refusals(name).items()]
    return text + ("\nRefused, live and in words:\n\n" + "\n".join(refused) + "\n" if refused else "")


def torch_table() -> str:
    """torch.nn's layers and our own neurons, run."""
    from converters.pt.reasons import MODULES  # noqa: PLC0415

    lines = [[f"`{name}`", f"exact {count:,}"] for name, count in torch_cells().items()]
    reasons: dict[str, list[str]] = {}
    for name, why in MODULES.items():
        reasons.setdefault(why, []).append(f"`{name}`")
    refused = [f"- {', '.join(names)}: {why}" for why, names in reasons.items()]
    text = "\n### torch.nn and snndeploy.nn\n\nRun beside their graphs in float64.\n\n" + table(["class", "live"], lines)
    return text + "\nRefused:\n\n" + "\n".join(refused) + "\n"


@functools.cache
def read_rows() -> dict[str, dict[str, list[str]]]:
    """What is read of other tools' files: format -> test -> the operators or primitives that it runs."""
    from converters.nir.primitive import FIELDS  # noqa: PLC0415
    from converters.onnx.operators import MONOTONE, TABLE, VIEWS  # noqa: PLC0415

    operators = (*TABLE, *sorted(VIEWS), *sorted(MONOTONE))
    words = {"ONNX operators": (operators, "test_onnx_foreign.py"), "NIR primitives": (tuple(FIELDS), "test_nir*.py")}
    found: dict[str, dict[str, list[str]]] = {}
    for what, (names, files) in words.items():
        for name in names:
            found.setdefault(what, {}).setdefault(test_of(name, (files, "")) or "none yet", []).append(name)
    return found


def read_tables() -> str:
    """Those rows as tables."""
    text = "\n## Files of other tools\n\nWhat is read, and the test that reads it; any other operator is refused by name.\n"
    for what, rows in read_rows().items():
        lines = [[", ".join(f"`{n}`" for n in names), f"`{test}`"] for test, names in rows.items()]
        text += "\n" + table([what, "test"], lines)
    return text


def page() -> str:
    """The whole page."""
    notes = Notes()
    neurons = node_table([row for kind in neuron_kinds() for row in neuron_rows(kind)], notes)
    layers = node_table([layer_row(name) for name in layer_names()], notes)
    inside = "\n" + "\n".join(f"- `{name}`: {what}." for name, what in INTERNAL.items()) + "\n"
    parts = [
        HEAD,
        NEURONS_HEAD.format(bits=NET_BITS),
        "\n",
        neurons,
        "\nNot in any model:\n",
        inside,
        LAYERS_HEAD,
        "\n",
        layers,
        READS_HEAD,
    ]
    return "".join([*parts, torch_table(), *map(library_table, libraries()), read_tables(), "\n", notes.text()])


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
