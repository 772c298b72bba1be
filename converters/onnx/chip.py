"""ChipNetwork <-> ONNX: one chip step, integers only, which onnxruntime runs bit for bit.

The node schema. All values are int64 [B, *shape], the batch dynamic:

    <population>            what a population sends at this step; a HostInput's is a graph input
    <population>.<word>     a state word before the step, ``<population>.<word>.next`` after it
    <population>.ago<k>     what it sent k steps ago, ``<population>.ago<k>.next`` after the step
    <population>.read       the word the host reads, where that is not the spikes
    chip.step               steps done before this one (a scalar), where a reset or a table asks for it
    Dense, Conv, Sparse     (source ago 1 + delay [, one step earlier for each further synaptic delay], arrays in the
                            order of the class's fields) -> the sum, exponent applied, that arrives now
    Wire                    (source, ``delay`` steps ago) -> the value that arrives now, or the bias mantissas
    Lif, TernaryLif, SigmaDelta, Resonator, NeuronProgram
                            (``arriving`` sums in the order of the projections [, the step's number], state words, arrays
                            in the order of the class's fields) -> what it sends, the state words afterwards

Each is a node of domain ``ai.snndeploy.chip`` whose function body holds standard integer operators; its static fields
are its attributes, and a class has as many functions (``Lif``, ``Lif_2``, ...) as there are different bodies.
What the host computes (``HostLayer``) is no node: it stands in the metadata; its arrays, and other
arrays that the step does not read, are the Constants of a function ``Kept`` that no node calls.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from onnx import FunctionProto, NodeProto, TensorProto, helper

from converters.onnx.chip_neurons import STEPS, Entering, counts_steps, peak
from converters.onnx.chip_synapses import Sending, sums
from converters.onnx.files import KEPT, kept, tensor
from converters.onnx.functions import OPSET
from converters.onnx.integers import IntegerBody, Whole
from converters.onnx.model import finish
from converters.onnx.stepping import Step, assemble, check_names, runner, smallest
from converters.onnx.structure import Arrays, decode, encode, kinds, text
from snndeploy.chip.models import HostInput, Lif, Model, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.errors import Unsupported

DOMAIN = "ai.snndeploy.chip"
CLOCK = "chip.step"


class Draft:
    """The model in the making."""

    def __init__(self, network: ChipNetwork) -> None:
        self.network = network
        self.arrays: Arrays = {}
        self.structure = text(encode(network, "chip", self.arrays))
        self.nodes: list[NodeProto] = []
        self.functions: dict[str, FunctionProto] = {}
        self.used: set[str] = set()

    def call(self, kind: str, name: str, inputs: Mapping[str, str], results: Mapping[str, Whole], attributes: Mapping[str, Any]) -> None:
        """A node and its function: ``inputs`` are parameter -> value of the model, ``results`` value of the model -> what it is."""
        body = next(iter(results.values())).body.deliver(list(results.values()))
        read = {value for node in body for value in node.input}
        needed = {parameter: value for parameter, value in inputs.items() if parameter in read or value not in self.arrays}
        opset, keys = [helper.make_opsetid("", OPSET)], sorted(attributes)
        made = helper.make_function(DOMAIN, kind, [*needed], [f"y{i}" for i in range(len(results))], body, opset, keys)
        while self.functions.setdefault(made.name, made) != made:
            made.name = f"{kind}_{len([f for f in self.functions if f.partition('_')[0] == kind]) + 1}"
        node = helper.make_node(made.name, [*needed.values()], [*results], name=name, domain=DOMAIN)
        node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in keys)
        self.nodes.append(node)
        self.used |= set(needed.values())

    def own(self, prefix: str) -> dict[str, str]:
        """The arrays of a noun: field -> initializer."""
        return {path.removeprefix(prefix): path for path in self.arrays if path.startswith(prefix)}

    def projection(self, index: int) -> None:
        """What arrives now through one projection."""
        p, path = self.network.projections[index], f"chip.projections.{index}"
        sent = {f"s{i}": f"{p.source}.ago{k}" if k else p.source for i, k in enumerate(_ages(p))}
        own, body = self.own(f"{path}.synapses."), IntegerBody()
        spikes, arrays = [Whole(body, s) for s in sent], {field: Whole(body, field).whole() for field in own}
        source, target = self.network.populations[p.source], self.network.populations[p.target]
        wired = isinstance(p.synapses, Wire)
        total = spikes[0] if wired else sums(body, Sending(p, source.shape, target.shape, peak(source.model)), spikes, arrays)
        more = {"exponent": p.exponent, "delay": p.delay, "graded": int(p.graded), "port": p.port}
        self.call(type(p.synapses).__name__, p.name, sent | own, {path: total}, _attributes(p.synapses) | more)

    def population(self, name: str) -> None:
        """One step of a population."""
        p, body = self.network.populations[name], IntegerBody()
        arriving = {f"chip.projections.{i}": q for i, q in enumerate(self.network.projections) if q.target == name}
        if not arriving and not initial_words(p):
            arriving = self.silence(name)
        sums_in = {f"s{i}": value for i, value in enumerate(arriving)}
        ports = [(Whole(body, s), _port(q, p.model)) for s, q in zip(sums_in, arriving.values(), strict=True)]
        state = {word: f"{name}.{word}" for word in initial_words(p)}
        own = self.own(f"chip.populations.{name}.model.")
        at = {wanted: tuple(s for s, port in ports if port == wanted) for wanted in ("sum", "imaginary", "bias")}
        words, arrays = {w: Whole(body, f"word.{w}") for w in state}, {field: Whole(body, field).whole() for field in own}
        entering = Entering(Whole(body, "step"), at["sum"], at["imaginary"], at["bias"], words, arrays)
        spikes, after = STEPS[type(p.model)](body, p.model, entering)
        clock = {"step": f"{CLOCK}.next"} if counts_steps(p.model) else {}
        results = {name: spikes} | {f"{value}.next": after[word] for word, value in state.items()}
        inputs = sums_in | clock | {f"word.{word}": value for word, value in state.items()} | own
        self.call(type(p.model).__name__, name, inputs, results, _attributes(p.model) | {"arriving": len(arriving)})

    def silence(self, name: str) -> dict[str, Projection]:
        """Zeros for a population that has no words and that nothing enters: how many samples there are, an input says."""
        body = IntegerBody()
        batch = body.op("Slice", body.op("Shape", Whole(body, "like")), body.constant([0]), body.constant([1]))
        shape = body.op("Concat", batch, body.constant(list(self.network.populations[name].shape)), axis=0)
        inputs = list(self.network.inputs())
        if not inputs:
            raise Unsupported(name, "nothing enters it or any other population, so no value tells the batch", "give the network an input")
        self.call("Silence", f"{name}.silence", {"like": inputs[0]}, {f"{name}.silence": body.op("Expand", body.constant(0), shape)}, {})
        return {f"{name}.silence": Projection("", name, name, Wire())}

    def rest(self) -> None:
        """What was sent moves one step into the past; the words that the host reads; arrays that no step needs."""
        aliases = dict(_histories(self.network))
        aliases = {f"{name}.next": newer for name, newer in aliases.items()} | {
            f"{n}.read": f"{n}.{w}.next" for n, w in _read(self.network)
        }
        self.nodes += [helper.make_node("Identity", [value], [name], name=name) for name, value in aliases.items()]
        if any(counts_steps(p.model) for p in self.network.populations.values()):
            one = helper.make_node("Constant", [], ["chip.one"], name="chip.one", value=helper.make_tensor("", TensorProto.INT64, [], [1]))
            self.nodes[:0] = [one, helper.make_node("Add", [CLOCK, "chip.one"], [f"{CLOCK}.next"], name=f"{CLOCK}.next")]
        spare = {path: values for path, values in self.arrays.items() if path not in self.used}
        if spare:
            self.functions[KEPT] = kept(spare, DOMAIN, OPSET)

    def states(self) -> list[tuple[str, str, Any]]:
        """(before, after, initial number or nested list) of every value that a step hands to the next."""
        words = {f"{n}.{word}": initial for n, p in self.network.populations.items() for word, initial in initial_words(p).items()}
        words |= {name: 0 for name, _ in _histories(self.network)}
        if any(counts_steps(p.model) for p in self.network.populations.values()):
            words[CLOCK] = 0
        return [(name, f"{name}.next", initial) for name, initial in words.items()]

    def dims(self) -> dict[str, tuple[str | int, ...]]:
        """The dimensions of every value that enters or leaves a step."""
        shapes: dict[str, tuple[str | int, ...]] = {n: ("batch", *map(int, p.shape)) for n, p in self.network.populations.items()}
        owners = [(n, word) for n, p in self.network.populations.items() for word in initial_words(p)]
        named = {f"{n}.{word}": shapes[n] for n, word in owners} | {f"{n}.read": shapes[n] for n, _ in _read(self.network)}
        oldest = _oldest(self.network)
        named |= {f"{n}.ago{k}": shapes[n] for n, last in oldest.items() for k in range(1, last + 1)} | {CLOCK: ()}
        return shapes | named | {f"{name}.next": dims for name, dims in named.items()}


def emit(network: ChipNetwork, version: str, scan: bool = False, provenance: str = "") -> bytes:
    """The saved model's bytes: the same network gives the same bytes. ``scan`` wraps the step as for graphs.

    ``provenance`` is put beside it as it stands: what was found out when the network was made.

    Raises:
        Unsupported: two values of one name, a shift that 64-bit words do not have, nothing that tells the batch.
    """
    draft = Draft(network)
    for index in range(len(network.projections)):
        draft.projection(index)
    inputs = network.inputs()
    for name in network.populations:
        if name not in inputs:
            draft.population(name)
    draft.rest()
    read = {name: f"{name}.read" for name, _ in _read(network)}
    outputs = [n for n in network.populations if n not in inputs]
    held = [tensor(path, values) for path, values in draft.arrays.items() if path in draft.used]
    step = Step(
        draft.nodes, list(draft.functions.values()), held, draft.states(),
        list(inputs), [*outputs, *read.values()], draft.dims(), TensorProto.INT64,
    )  # fmt: skip
    made = (name for node in draft.nodes for name in node.output)
    check_names([*inputs, *(s[0] for s in step.states), *(i.name for i in held), *made])
    hosts = {n: p.model for n, p in inputs.items() if isinstance(p.model, HostInput)}
    run = runner(step, {n: (n, host.static) for n, host in hosts.items()}, {n: read.get(n, n) for n in outputs}, scan)
    run |= {
        "steps": network.steps, "latency": network.latency,
        "scale": {n: host.scale for n, host in hosts.items()}, "range": {n: list(host.payloads) for n, host in hosts.items()},
    }  # fmt: skip
    run |= {"phases": network.phases} if network.phases > 1 else {}
    extra = {"run": text(run), **({"provenance": provenance} if provenance else {})}
    return finish(assemble(step, DOMAIN, version, scan), "chip", draft.structure, draft.arrays, extra)


def rebuild(structure: str, arrays: Mapping[str, Any]) -> ChipNetwork:
    """The ChipNetwork that ``structure`` and the initializers describe; anything else has no ``projections``."""
    network = decode(json.loads(structure), arrays, kinds("chip"))
    if not isinstance(network, ChipNetwork):
        raise TypeError("not a chip network")
    return network


def initial_words(population: Population) -> dict[str, Any]:
    """The state words of a population and what they start from: a number, or a nested list that broadcasts."""
    model = population.model
    if isinstance(model, NeuronProgram):
        return dict(model.state)
    if isinstance(model, SigmaDelta):
        return dict.fromkeys(("sigma", "act", "residue", "error"), 0)
    if isinstance(model, Resonator):
        return {"re": 0, "im": 0}
    if isinstance(model, Lif | TernaryLif):
        return {word: smallest(getattr(model, word)) for word in ("u", "v")}
    return {}


def _read(network: ChipNetwork) -> list[tuple[str, str]]:
    """Populations of which the host reads a word."""
    return [(name, p.reads) for name, p in network.populations.items() if p.reads in initial_words(p)]


def _port(p: Projection, target: Model) -> str:
    """Where what a projection delivers enters: "sum", "imaginary" or "bias"."""
    if isinstance(p.synapses, Wire) and p.synapses.as_bias and isinstance(target, Lif | TernaryLif):
        return "bias"
    return "imaginary" if p.port else "sum"


def _ages(projection: Projection) -> range:
    """How many steps ago the spikes were sent that this projection reads."""
    if isinstance(projection.synapses, Wire):
        return range(projection.delay, projection.delay + 1)
    delays = getattr(projection.synapses, "delays", None)
    further = 0 if delays is None else int(delays.max(initial=0))
    return range(1 + projection.delay, 2 + projection.delay + further)


def _oldest(network: ChipNetwork) -> dict[str, int]:
    """How many steps back the projections of each population read."""
    oldest: dict[str, int] = {}
    for p in network.projections:
        oldest[p.source] = max(oldest.get(p.source, 0), _ages(p)[-1])
    return oldest


def _histories(network: ChipNetwork) -> list[tuple[str, str]]:
    """(``<population>.ago<k>``, the value that becomes it) as far back as a projection reads."""
    return [(f"{s}.ago{k}", s if k == 1 else f"{s}.ago{k - 1}") for s, last in _oldest(network).items() for k in range(1, last + 1)]


def _attributes(noun: Any) -> dict[str, Any]:
    """The fields that are no arrays. Floats are rounded to float32 here; the metadata holds them exactly."""
    values = {f.name: getattr(noun, f.name) for f in dataclasses.fields(noun)}
    shown: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, bool | int | float | str):
            shown[key] = int(value) if isinstance(value, bool) else value
        elif isinstance(value, tuple) and value:
            shown[key] = [n for v in value for n in (v if isinstance(v, tuple) else (v,))]
            shown[key] = [v if isinstance(v, int) else str(v) for v in shown[key]]
    return shown
