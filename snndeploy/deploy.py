"""The whole toolchain on one page: load, lower, quantize, place, run, verify, price, report.

Nothing is visited twice and nothing is written back; each line of ``convert`` takes the noun that the line above made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Encoding, Samples
from snndeploy.energy import count_events, estimate
from snndeploy.errors import DataError, DoesNotFit, ModelError, OptionError, Unsupported
from snndeploy.flow import checking, making, reporting, saved, transferring, writing
from snndeploy.flow.chips import (
    Built,
    build,
    hold_against_definition,
    hold_lowered,
    must_simulate,
    wished_settings,
    without_proven,
)
from snndeploy.flow.deployment import Deployment, Wishes
from snndeploy.flow.feeding import Feed, calibrated_on, chip_predictions, describe_inputs, float_predictions, silent
from snndeploy.flow.given import as_samples, example, fed, held_to, model_of, nothing_more, stand_in, with_decoding, with_time
from snndeploy.flow.lowering import to_normal_form
from snndeploy.flow.nearest import priced, substituted, substitutes
from snndeploy.flow.original import hold_against_original as hold_against_original  # noqa: PLC0414 - for those who import it here
from snndeploy.flow.original import hold_against_originals
from snndeploy.flow.rates import as_spiking, curve, original_predictions, spiking
from snndeploy.flow.recording import Record, read_record
from snndeploy.flow.silence import silenced
from snndeploy.hw import Profile, load_profile
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.burst import Burst
from snndeploy.place import place
from snndeploy.placement import Placement
from snndeploy.report.report import Report
from snndeploy.sim.reference import run_reference
from snndeploy.verdict import Verdict
from snndeploy.verify import fidelity

Model = Any
"""A file's path, a ``converters.Loaded``, or a live torch module."""


def load(model: Model, example: Any = None, options: converters.Options | None = None) -> converters.Loaded:
    """A model file, or a live torch module with an example input, read as a network.

    Raises:
        ModelError: what the file or module is instead.
    """
    noun = read(model, example, options)
    if not isinstance(noun, converters.Loaded):
        raise ModelError(
            str(model),
            "is a chip network already",
            "its integers run as they are: --chip loihi2, in Python sd.transfer",
        )
    return noun


def read(model: Model, example: Any = None, options: converters.Options | None = None) -> converters.Loaded | ChipNetwork:
    """As ``load``, but a file of integers (.net, our own chip networks) is read as the chip network that it is."""
    options = options or converters.Options()
    if isinstance(model, ChipNetwork) or isinstance(model_of(model), converters.Loaded):
        options.only("a network that was loaded before")
        noun: Any = model
    elif isinstance(model, str | Path):
        noun = converters.load(model, options)
    else:
        from converters import pt  # noqa: PLC0415 - loads torch, and only a live module needs it

        pt.only_heard(options, "a live module, whose code says it itself")
        noun = pt.from_module(model, example, options) if options.input_shape is None else pt.first_that_runs(model, options)
    return held_to(noun, options)


def convert(
    model: Model,
    data: Samples | str | Any,
    wishes: Wishes | None = None,
    options: converters.Options | None = None,
    name: str = "",
    *,
    chip: str = "",
    timesteps: int | None = None,
    decode: str | None = None,
    calibration: Samples | str | Any = None,
) -> Deployment:
    """Take a trained network to a verified chip network.

    Args:
        model: a file, a live torch module, or a network that was loaded before.
        data: a ``--data`` spec, ``Samples``, or inputs [N, ...]: for calibration, and for fidelity where labelled.
        wishes: what the user chose.
        options: what the file cannot say.
        name: what to call it in the report.
        chip: short for ``Wishes(chip=...)``.
        decode: how the output's steps become a prediction: "count", "mean", "last", "vote:10"; None: as the model says.
        timesteps: short for ``Options(timesteps=...)``; with a live module it also says that axis 1 of the data is time.
        calibration: samples for the quantizer alone, so that fidelity is judged on data it never saw; None: the first of ``data``.

    Raises:
        DoesNotFit: the chip is too small, or lacks something; the blockers are named.
        SnnError: whatever else is wrong, in one shape.
    """
    wishes = wishes or Wishes()
    wishes = replace(wishes, chip=chip) if chip else wishes
    if wishes.chip == "none":
        raise OptionError("chip", "'none' converts to no chip", "sd.save_graph(sd.load(model, example), stem) writes the float graph")
    profile, samples = load_profile(wishes.chip), as_samples(data)
    options = with_time(model, samples, options or converters.Options(), timesteps)
    loaded = with_decoding(load(model, example(samples), options), decode)
    everything = fed(samples, loaded, wishes, options)
    seen = everything if calibration is None else fed(as_samples(calibration), loaded, wishes, options)
    made = _deploy(name or _name(model), loaded, everything, seen.first(wishes.calibration_samples), wishes, profile)
    return replace(made, files=making.files_of(model, samples))


def _deploy(name: str, loaded: converters.Loaded, everything: Feed, seen: Feed, wishes: Wishes, profile: Profile) -> Deployment:
    """Lower, quantize with what was ``seen``, place, run and verify on everything, price."""
    artificial, said = describe_inputs(loaded.graph, everything)
    if describe_inputs(loaded.graph, seen)[0].named(Input) != artificial.named(Input):
        raise DataError("--calibration", "is of another kind than --data: static, spikes, counts or real", "take both from one source")
    artificial = replace(artificial, steps=everything.steps)
    graph, converted = spiking(artificial, seen)
    lowered, passes = to_normal_form(graph, everything.first(wishes.check_samples))
    changed: tuple[str, ...] = ()
    if wishes.substitute:
        swapped = substituted(lowered, everything, wishes.check_samples)
        lowered, passes, changed = swapped.graph, (*passes, *swapped.passes), swapped.notes
    built = _built(loaded, lowered, profile, seen, wishes, everything)
    placement = without_proven(place(built.network, profile, built.payloads()), built)
    if not placement.fits:
        raise DoesNotFit(wishes.chip, placement.blockers, "snndeploy check lists every finding and writes nothing")
    pair, chip_trace = hold_against_definition(built, everything)
    float_trace = run_reference(graph, everything.inputs, everything.steps)
    loss = curve(artificial, graph, float_trace, everything)
    answers = original_predictions(artificial, everything) if loss else float_predictions(graph, float_trace, everything.labels)
    near = fidelity(answers, chip_predictions(built.network, chip_trace), everything.labels)
    original = hold_against_originals(loaded)
    lowering = hold_lowered(built, everything.first(wishes.check_samples))
    pairs = (*original.pairs, *(p.pair for p in passes if p.changed), *(o.pair for o in built.lowered.offers), lowering, pair)
    found = tuple(p for p in pairs if p)
    faults = (*chip_trace.faults, *silenced(built.network, chip_trace, float_trace))
    verdict = Verdict(found, near, original.unsettled, rates=loss, model_only=built.network.model_only, faults=faults)
    events = count_events(built.network, chip_trace, placement)
    of_run = (*everything.assumptions, *said)
    seen_there = (*silent(graph, float_trace), *calibrated_on(everything, seen))
    notes = (*loaded.assumptions, *of_run, *converted, *changed, *seen_there)
    return Deployment(
        name, loaded, graph, everything, wishes, notes, lowered, passes, profile, built, placement,
        verdict, chip_trace, float_trace, events, estimate(events, profile),
        about_data=(*of_run, *seen_there),
    )  # fmt: skip


def _built(
    loaded: converters.Loaded, lowered: Graph, profile: Profile, seen: Feed, wishes: Wishes, everything: Feed | None = None
) -> Built:
    """The chip network of a normal form; a neuron that the chip has not is refused with the cost of the nearest it has."""
    settings = wished_settings(lowered, profile, seen.steps, wishes.bits, wishes.burst)
    try:
        return build(lowered, profile, seen, settings, wishes.burst, run_reference(lowered, seen.inputs, seen.steps), everything)
    except Unsupported as refusal:
        raise priced(refusal, loaded, lowered, everything or seen) from None


def transfer(
    model: str | Path | ChipNetwork,
    data: Samples | str | Any,
    wishes: Wishes | None = None,
    options: converters.Options | None = None,
    name: str = "",
    *,
    chip: str = "",
    decode: str | None = None,
) -> transferring.Transfer:
    """Put a network that is integers already (a .net file, a chip network of ours) on a chip, and run and verify it there.

    Not one integer changes. Arguments as in ``convert``.

    Raises:
        DoesNotFit: the chip is too small, or lacks something; the blockers are named.
        ModelError: a float network. OptionError: a wish that only a float network could follow.
    """
    wishes = wishes or Wishes()
    network = read(model, None, options)
    if not isinstance(network, ChipNetwork):
        raise ModelError(str(model), "is a float network: it has no integers yet", "sd.convert(model, data, chip=...) finds them")
    wishes = replace(wishes, chip=chip) if chip else wishes
    record = Record() if isinstance(model, ChipNetwork) else read_record(Path(model))
    made = transferring.transfer(network, as_samples(data), wishes, decode, name or _name(model), record)
    return made if isinstance(model, ChipNetwork) else replace(made, files=making.files_of(model, made.samples))


def save(deployment: Deployment | transferring.Transfer, stem: str | Path) -> tuple[Path, ...]:
    """Write ``stem.graph.onnx`` and ``stem.<chip>.onnx``, both whole or neither (of a transfer the second alone); returns the paths."""
    return writing.write(deployment, stem)


def save_graph(loaded: converters.Loaded, stem: str | Path) -> Path:
    """Write only ``stem.graph.onnx`` (``--chip none``)."""
    return writing.write_graph(loaded, stem)


def export(
    model: Model | ChipNetwork, to: str, path: str | Path, options: converters.Options | None = None, *, lossy: bool = False
) -> tuple[str, ...]:
    """Write a model in another tool's format ("nir", "net", "onnx"); returns what was lost, which only ``lossy`` allows.

    Raises:
        OptionError: no such format.  Unsupported, ModelError: what the format cannot say.
    """
    noun = read(model, None, options)
    return converters.export(noun.graph if isinstance(noun, converters.Loaded) else noun, to, path, lossy=lossy)


def spiking_graph(
    model: Model, data: Samples | str | Any, wishes: Wishes | None = None, options: converters.Options | None = None
) -> converters.Loaded:
    """The float graph that is saved with ``--chip none``: an artificial network is balanced on the first of ``data``."""
    wishes, options = wishes or Wishes(), options or converters.Options()
    samples = as_samples(data)
    options = with_time(model, samples, options)
    loaded = load(model, example(samples), options)
    return as_spiking(loaded, fed(samples, loaded, wishes, options).first(wishes.calibration_samples))


def check(
    model: Model, data: Samples | str | Any | None, wishes: Wishes | None = None, options: converters.Options | None = None
) -> Placement:
    """Run the real pipeline up to placement and collect every finding; writes nothing.

    A network that is integers already is only placed. Without ``data`` the original model's own trial run, or the file's, stands in for it.
    What cannot be read, and every layer that no pass or quantizer can take, is a blocker with the same words as the error;
    what would map beside them is a note. ``reach`` stays empty.
    """
    wishes = wishes or Wishes()
    profile = load_profile(wishes.chip)
    samples = None if data is None else as_samples(data)
    options = options or converters.Options()
    options = with_time(model, samples, options)
    try:
        loaded = read(model, example(samples) if samples else None, options)
    except Unsupported as refusal:
        return checking.refused(refusal, profile.id)
    if isinstance(loaded, ChipNetwork):
        record = read_record(Path(model)) if isinstance(model, str | Path) else Record()
        return transferring.onto(loaded, profile, wishes, record)[1]
    everything = stand_in(loaded) if samples is None else fed(samples, loaded, wishes, options)
    graph, _ = describe_inputs(loaded.graph, everything)
    seen = everything.first(wishes.calibration_samples)

    def attempt(now: Graph) -> Placement:
        spikes, _ = spiking(now, seen)
        lowered, _ = to_normal_form(spikes, seen.first(wishes.check_samples))
        if wishes.substitute and (now is graph or substitutes(lowered)):
            lowered = substituted(lowered, seen, wishes.check_samples).graph
        burst = wishes.burst if now is graph or lowered.named(Burst) else "auto"
        settings = wished_settings(lowered, profile, seen.steps, wishes.bits, burst)
        built = build(lowered, profile, seen, settings, burst, run_reference(lowered, seen.inputs, seen.steps))
        return without_proven(place(built.network, profile, built.payloads(), routes=False), built)

    return checking.every(graph, attempt, profile.id)


def show(path: str | Path, options: converters.Options | None = None) -> str:
    """The graph or chip network in a file, as stable text."""
    return saved.shown(saved.open_file(path, options))


def run(
    path: str | Path,
    data: Samples | str,
    timesteps: int | None = None,
    encode: Encoding = "direct",
    seed: int = 0,
    chip: str | None = None,
    options: converters.Options | None = None,
) -> saved.Ran:
    """Run a saved graph or chip network on data.

    ``chip`` names its profile where that is a file of yours; ``options`` say what a .net or .nir file does not.
    """
    noun = saved.open_file(path, options, timesteps)
    if isinstance(noun, ChipNetwork):
        must_simulate(load_profile(chip or noun.chip))
    ran = saved.run_file(noun, as_samples(data), timesteps, encode, seed)
    if isinstance(ran.noun, ChipNetwork):
        _, placement, events = saved.placed(ran.noun, ran.trace, chip)
        return replace(ran, events=events.counts(), fits=placement.fits)
    return ran


def verify(
    path: str | Path,
    data: Samples | str,
    against: Iterable[str] = ("graph", "onnxruntime", "chip"),
    timesteps: int | None = None,
    encode: Encoding = "direct",
    seed: int = 0,
    options: converters.Options | None = None,
) -> Verdict:
    """Hold a saved file's executors against each other: exactness and fidelity, apart."""
    return saved.verify_file(saved.open_pair(path, options, timesteps), as_samples(data), against, timesteps, encode, seed)


def report(
    source: Deployment | transferring.Transfer | str | Path,
    data: Samples | str | None = None,
    encode: Encoding = "direct",
    seed: int = 0,
    chip: str | None = None,
    options: converters.Options | None = None,
) -> Report:
    """The report of a deployment or transfer, or of a saved chip network run on ``data``; ``chip``, ``options`` as in ``run``."""
    if isinstance(source, Deployment | transferring.Transfer):
        nothing_more(data=data, chip=chip, options=options, encode=None if encode == "direct" else encode, seed=seed or None)
        return reporting.report_of(source) if isinstance(source, Deployment) else transferring.report_of(source)
    if data is None:
        raise OptionError("--data", "a report needs a run, and a run needs data", "give --data samples.npz")
    return saved.report_file(Path(source), saved.open_pair(source, options), as_samples(data), encode, seed, chip)


def input_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Every Input's shape."""
    return {name: node.shape for name, node in graph.named(Input).items()}


def _name(model: Model) -> str:
    return Path(model).stem if isinstance(model, str | Path) else type(model).__name__
