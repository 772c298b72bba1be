"""What can be done with files that were saved: run them, hold their executors against each other, price them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path

import converters
from snndeploy.arrays import Ints, Shape
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork
from snndeploy.cost import Cost
from snndeploy.data import Encoding, Samples, accuracy
from snndeploy.energy import Events, count_events, estimate
from snndeploy.errors import ModelError, OptionError, did_you_mean
from snndeploy.faults import Fault
from snndeploy.flow.against_lava import lava_pair
from snndeploy.flow.against_onnxruntime import integer_onnx_pair, onnx_pair
from snndeploy.flow.feeding import Feed, chip_predictions, describe_inputs, feed, float_predictions, held
from snndeploy.flow.rates import in_words, refuse_artificial
from snndeploy.flow.recording import Record, placed_as_made, read_record, repeated
from snndeploy.flow.reporting import chip_report
from snndeploy.flow.silence import silenced
from snndeploy.hw import Profile, load_profile, profile_names
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.place import place
from snndeploy.placement import Placement
from snndeploy.report.provenance import Provenance
from snndeploy.report.report import Report
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject, run_hosted
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace
from snndeploy.verdict import Fidelity, Pair, Verdict
from snndeploy.verify import compare, fidelity

EXECUTORS = ("graph", "onnxruntime", "chip", "lava")
SLOW_SAMPLES = 32
"""Samples for the slow executor: int64 arithmetic."""
AS_RECORDED = (
    "the artificial network: it is in no file; its accuracy, and how often the chip agrees with it, are those recorded at the conversion"
)
TO_SPIKING = "the artificial network: it is in no file; fidelity is to the float spiking network that was made of it"


@dataclass(frozen=True, eq=False)
class Ran:
    """A run of a saved file: what it left, what it predicted, and how often it was right (None without labels).

    ``events`` of a chip network are counted once it is placed.
    """

    noun: Graph | ChipNetwork
    trace: Trace
    predictions: Ints
    accuracy: float | None
    data: Feed
    events: Mapping[str, float]
    fits: bool | None = None
    """Whether the chip network fits its chip; None until it is placed, and for a float graph."""

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What left its register."""
        return self.trace.faults


def open_file(path: str | Path, options: converters.Options | None = None, steps: int | None = None) -> Graph | ChipNetwork:
    """The graph or chip network in a file; ``options`` and T = ``steps`` are for files that do not say all of it themselves."""
    options = options or converters.Options()
    said = steps or options.timesteps
    noun = converters.load(path, replace(options, timesteps=said))
    found = noun.graph if isinstance(noun, converters.Loaded) else noun
    converters.same_steps(said, found.steps, "the chip network" if isinstance(found, ChipNetwork) else "the saved graph")
    return found


def shown(noun: Graph | ChipNetwork) -> str:
    """A network as stable text; of an artificial one it is said that it is one."""
    return f"{in_words(noun)}\n{noun}" if isinstance(noun, Graph) and in_words(noun) else str(noun)


@dataclass(frozen=True, eq=False)
class FilePair:
    """A file, what it holds, and what the other file of its conversion holds (None where there is none).

    ``foreign`` says of a file beside it that it belongs to another conversion; ``record`` is what the
    chip network's file keeps of its making.
    """

    noun: Graph | ChipNetwork
    other: Graph | ChipNetwork | None
    foreign: tuple[str, ...] = ()
    record: Record = field(default_factory=Record)

    @property
    def made(self) -> Provenance | None:
        """What the conversion found out, where the file says it."""
        return self.record.made


def open_pair(path: str | Path, options: converters.Options | None = None, steps: int | None = None) -> FilePair:
    """A file and its ``sibling``. Raises as ``open_file`` and ``sibling``."""
    file = Path(path)
    noun = open_file(file, options, steps)
    other = sibling(file, noun)
    nouns = {file: noun, **({other: open_file(other)} if other else {})}
    foreign: tuple[str, ...] = ()
    if other and not _belong(nouns):
        foreign = (f"{other.name}: not of the conversion that made this file, so not compared with it",)
        nouns, other = {file: noun}, None
    chips = [path for path, found in nouns.items() if isinstance(found, ChipNetwork)]
    record = read_record(chips[0]) if chips else Record()
    return FilePair(noun, nouns[other] if other else None, foreign, record)


def run_file(noun: Graph | ChipNetwork, samples: Samples, steps: int | None, encoding: Encoding, seed: int) -> Ran:
    """Run on all samples. Raises ``OptionError`` if a chip network is asked for another number of steps than it was made for."""
    if isinstance(noun, ChipNetwork):
        converters.same_steps(steps, noun.steps, "the chip network")
        return _run_chip(noun, samples, encoding, seed)
    refuse_artificial(noun)
    shapes = {n: node.shape for n, node in noun.named(Input).items()}
    data = feed(samples, shapes, steps or noun.steps, encoding, seed)
    graph, _ = describe_inputs(noun, data)
    trace = run_reference(graph, data.inputs, data.steps)
    predictions = float_predictions(graph, trace, data.labels)
    counts = {"spikes": float(sum(a.spikes.sum() for a in trace.activity.values())) / trace.samples}
    return Ran(graph, trace, predictions, _rate(predictions, data.labels), data, counts)


def _run_chip(network: ChipNetwork, samples: Samples, encoding: Encoding, seed: int) -> Ran:
    network, data = fed(network, samples, encoding, seed)
    trace = run_hosted(network, data.inputs)
    predictions = chip_predictions(network, trace, data.labels)
    return Ran(network, trace, predictions, _rate(predictions, data.labels), data, {})


def fed(network: ChipNetwork, samples: Samples, encoding: Encoding, seed: int) -> tuple[ChipNetwork, Feed]:
    """The data, and the network with what its file may have left open: T, and inputs that hold still."""
    data = feed(samples, chip_inputs(network), network.steps or None, encoding, seed)
    return held(replace(network, steps=data.steps), data), data


def _rate(predictions: Ints, labels: Ints | None) -> float | None:
    return None if labels is None else accuracy(predictions, labels)


def chip_inputs(network: ChipNetwork) -> dict[str, Shape]:
    """The inputs a user gives, and their shapes."""
    hosts = {layer.source: layer.shape for layer in network.host.values()}
    plain = {n: p.shape for n, p in network.inputs().items() if n not in network.host and n != CONSTANT}
    return {**plain, **hosts}


def placed(network: ChipNetwork, trace: Trace, chip: str | None = None) -> tuple[Profile, Placement, Events]:
    """The chip it was made for (or ``chip``, a profile's name or file), where it sits, and what it did there."""
    profile = load_profile(chip or network.chip)
    placement = place(network, profile)
    return profile, placement, count_events(network, trace, placement)


def sibling(path: Path, noun: Graph | ChipNetwork) -> Path | None:
    """The other file of the pair ``stem.graph.onnx`` and ``stem.<chip>.onnx`` in the same folder; None if it is not there.

    Raises:
        OptionError: a graph lies beside chip networks for several chips.
    """
    mine = f".{noun.chip.split(':')[0]}.onnx" if isinstance(noun, ChipNetwork) else ".graph.onnx"
    if not path.name.endswith(mine):
        return None
    stem = path.name.removesuffix(mine)
    if isinstance(noun, ChipNetwork):
        graph = path.with_name(f"{stem}.graph.onnx")
        return graph if graph.is_file() else None
    rest = {p: p.name[len(stem) + 1 : -len(".onnx")] for p in sorted(path.parent.glob(f"{escape(stem)}.*.onnx"))}
    found = [p for p, chip in rest.items() if p != path and "." not in chip]
    if len(found) > 1:
        names = " or ".join(p.name for p in found)
        raise OptionError(str(path), f"{len(found)} chip networks lie beside this graph", f"name the one you mean: {names}")
    return found[0] if found else None


def verify_file(
    pair: FilePair, samples: Samples, against: Iterable[str], steps: int | None, encoding: Encoding, seed: int, ran: Ran | None = None
) -> Verdict:
    """Hold the executors that can run a file and its sibling against each other; ``ran`` is the chip's run, if it was made.

    Raises:
        OptionError: an unknown executor.
    """
    wanted = set(against)
    for name in wanted:
        if name not in EXECUTORS:
            raise OptionError("--against", f"{name!r} is no executor", did_you_mean(name, EXECUTORS))
    nouns = (pair.noun, pair.other)
    graph = next((n for n in nouns if isinstance(n, Graph)), None)
    chip = next((n for n in nouns if isinstance(n, ChipNetwork)), None)
    if chip is not None:
        converters.same_steps(steps, chip.steps, "the chip network")
        steps = chip.steps or steps
    told = pair.made or Provenance("", "")
    unsaid = (*told.not_checked, *(pair.foreign or _missing(wanted, graph, chip)), *pair.record.unread)
    if chip is not None and (priced := only_priced(profile_of(chip))):
        return Verdict((), None, (*unsaid, *priced), model_only=chip.model_only)
    pairs = tuple(_pairs(wanted, graph, chip, samples, steps, encoding, seed))
    near = None if ran is None else Fidelity(ran.data.samples, None, ran.accuracy)
    faults: tuple[Fault, ...] = ()
    if chip is not None and wanted & {"chip", "onnxruntime", "lava"}:
        ran = ran or run_file(chip, samples, steps, encoding, seed)
        faults = ran.faults
        if graph is not None and {"graph", "chip"} <= wanted:
            original = run_file(graph, samples, steps, encoding, seed)
            near, to_what = _near(original, ran, told)
            unsaid, faults = (*unsaid, *to_what), (*faults, *silenced(chip, ran.trace, original.trace))
    model_only, unsaid = chip.model_only if chip else (), tuple(dict.fromkeys(unsaid))
    return Verdict(
        pairs, near, unsaid, rates=told.rates, model_only=model_only, faults=faults, recorded=told.pairs, recorded_proofs=told.proofs
    )


def _near(original: Ran, ran: Ran, made: Provenance) -> tuple[Fidelity, tuple[str, ...]]:
    """How near the chip's answers are to the float network's, of a converted artificial network to that one's if its file says it.

    And to what they were not compared: the artificial network itself is in no file.
    """
    near, before = fidelity(original.predictions, ran.predictions, original.data.labels), made.fidelity
    if made.rates is None:
        return near, ()
    if before is None or before.agreement is None or made.making.data != ran.data.used:
        return near, (TO_SPIKING,)
    return replace(before, chip_accuracy=ran.accuracy), (AS_RECORDED,)


def only_priced(profile: Profile | None) -> tuple[str, ...]:
    """What is said of a chip that is priced and not simulated; nothing of another, or of one that is not at hand."""
    if profile is None or profile.simulate:
        return ()
    return (f"{profile.id}: is priced, not simulated: what ran is the simulator of Loihi's rules, and nothing was compared there",)


def profile_of(network: ChipNetwork) -> Profile | None:
    """The profile that comes with snndeploy; None for one of the user's, whose file is not at hand."""
    name = network.chip.split(":")[0]
    return load_profile(name) if name in profile_names() else None


def _pairs(
    wanted: set[str], graph: Graph | None, chip: ChipNetwork | None, samples: Samples, steps: int | None, encoding: Encoding, seed: int
) -> Iterator[Pair]:
    if chip is not None and "chip" in wanted:
        yield chip_pair(chip, samples, encoding, seed)
    if graph is not None and "onnxruntime" in wanted:
        yield onnx_pair(graph, samples, steps, encoding, seed)
    if chip is not None and "onnxruntime" in wanted:
        yield integer_onnx_pair(*fed(chip, samples, encoding, seed))
    if chip is not None and "lava" in wanted:
        yield lava_pair(*fed(chip, samples, encoding, seed))


def _belong(nouns: Mapping[Path, Graph | ChipNetwork]) -> bool:
    """True if the chip network names this very graph file as what it was made from, or names none."""
    graphs = [path for path, noun in nouns.items() if isinstance(noun, Graph)]
    origins = {noun.made_from for noun in nouns.values() if isinstance(noun, ChipNetwork)}
    return all(origin in ("", digest(graph)) for origin in origins for graph in graphs)


def report_file(path: Path, pair: FilePair, samples: Samples, encoding: Encoding, seed: int, chip: str | None) -> Report:
    """The report of a chip network in a file, run on data. Raises ``ModelError`` for a float graph."""
    if not isinstance(pair.noun, ChipNetwork):
        raise ModelError(str(path), "is a float graph: it has no chip to report on", "convert it, then report the .<chip>.onnx file")
    ran = run_file(pair.noun, samples, None, encoding, seed)
    assert isinstance(ran.noun, ChipNetwork)
    profile = load_profile(chip or ran.noun.chip)
    placement = placed_as_made(ran.noun, profile, pair.made)
    events = count_events(ran.noun, ran.trace, placement)
    priced = only_priced(profile)
    verdict = (
        Verdict((), None, priced, model_only=ran.noun.model_only)
        if priced
        else verify_file(pair, samples, ("graph", "chip"), None, encoding, seed, ran)
    )
    cost = estimate(events, profile)
    cost = cost if profile.simulate and placement.fits else _uncalibrated(cost)
    found = chip_report(path.name, ran.noun, profile, placement, verdict, ran.trace, events, cost)
    found = replace(found, assumptions=(*samples.notes, *ran.data.assumptions, *found.assumptions))
    return found if pair.made is None else repeated(found, pair.made, ran.data)


def _uncalibrated(cost: Cost) -> Cost:
    """The price of counts that are another chip's: whatever its profile was held against, this is an estimate."""
    note = "the counts are those of Loihi's simulator, of a network that this chip does not hold or does not run as it ran here"
    return replace(cost, status="estimated", notes=(*(n.replace("calibrated", "uncalibrated here") for n in cost.notes), note))


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _missing(wanted: set[str], graph: Graph | None, chip: ChipNetwork | None) -> tuple[str, ...]:
    missing = ["float graph: no .graph.onnx beside this file"] if graph is None and wanted & {"graph", "onnxruntime"} else []
    missing += ["chip network: no .<chip>.onnx beside this file"] if chip is None and wanted & {"chip", "lava"} else []
    return tuple(missing)


def chip_pair(network: ChipNetwork, samples: Samples, encoding: Encoding, seed: int, few: int = SLOW_SAMPLES) -> Pair:
    """The fast chip simulator against the plain int64 definition, on a ``few`` samples: every spike, every v that is read."""
    network, data = fed(network, samples, encoding, seed)
    values = inject(network, data.first(few).inputs)
    slow, fast = run_chip(network, values, exact=True), run_chip(network, values)
    names = [n for n, p in network.populations.items() if not isinstance(p.model, HostInput)]
    pair = compare(slow, fast, names, shifts={}, steps=slow.steps, grade=network.grade)
    return replace(pair, a="int64 definition", b="chip simulator")
