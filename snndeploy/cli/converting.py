"""``convert`` and ``check``: a trained network, a chip, and data to judge by."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import click

import converters
from snndeploy import deploy
from snndeploy.chip.network import ChipNetwork
from snndeploy.cli.certificates import EVIDENCE, code_of, evident, only_converted, proved, sources_of, written
from snndeploy.cli.options import (
    DATA_OPTIONS,
    MODEL_OPTIONS,
    as_json,
    max_drop,
    options_of,
    samples_of,
    wishes_of,
    with_options,
)
from snndeploy.cli.refusing import finish, keep, refusing
from snndeploy.cli.reporting import command_line, kind_of, put
from snndeploy.cli.terminal import working
from snndeploy.cli.unheard import CHOOSING, READING, refuse
from snndeploy.data import Samples
from snndeploy.errors import OptionError, Unsupported
from snndeploy.flow.checking import refused
from snndeploy.flow.deployment import Wishes
from snndeploy.flow.given import with_decoding, with_time
from snndeploy.flow.making import files_of
from snndeploy.flow.recording import read_record
from snndeploy.flow.reporting import report_of, sources
from snndeploy.flow.saved import chip_inputs
from snndeploy.flow.transferring import onto, transfer
from snndeploy.hw import load_profile, profile_names
from snndeploy.ir.rectifier import Relu
from snndeploy.placement import Placement
from snndeploy.report import check_to_json, check_to_text
from snndeploy.report.conversion import conversion_to_json, conversion_to_text, graph_to_json, graph_to_text
from snndeploy.report.report import LayerRow, Report

Read: TypeAlias = "Callable[[converters.Options], converters.Loaded | ChipNetwork]"
NEEDS_RATES = "--relu if chooses thresholds by what the rectifiers give on samples"
INTEGERS = "changes nothing of a network that is integers already"
NO_CHIP = "changes nothing of the float graph that --chip none writes"
NEEDS_DATA = "quantization chooses integers by what the network does on samples, and fidelity is judged on them"


@click.command(short_help="A trained network to a verified chip network.")
@click.argument("model")
@with_options(MODEL_OPTIONS)
@with_options(DATA_OPTIONS)
@click.option("--calibration", help="Samples for the quantizer alone; by default it sees the first of --data.")
@max_drop
@click.option("-o", "--output", help="DIR/STEM of the files written; by default the model's name, in this folder.")
@click.option("--report", help="Write the whole report, too: report.html, report.json or report.txt.")
@with_options(EVIDENCE)
@as_json
@refusing
def convert(
    model: str, *, calibration: str | None, max_drop: float, output: str | None, report: str | None, as_json: bool,
    prove: bool, prove_limit: float, prove_budget: float, certificate: str | None, **given: Any,
) -> None:  # fmt: skip
    """Take the trained network MODEL to a verified chip network.

    Writes STEM.graph.onnx (the float graph, which onnxruntime runs) and STEM.CHIP.onnx (the chip network).
    With --chip none only the first, for which no data is needed. A MODEL of integers (.net, or a chip network of ours)
    is put on the chip as it is, and only the second is written.
    """
    options, stem, read = options_of(given), stem_of(model, output), _once(model)
    evident(certificate, prove, given)
    kind_of("--report", report, model=model, data=given["data"], certificate=certificate)
    if given["chip"] == "none":
        refuse(("report",), NO_CHIP)
        _convert_graph(model, options, stem, given, as_json)
        return
    wishes, profile = wishes_of(given, max_drop), load_profile(given["chip"])
    writable(model, stem, (f"{stem}.graph.onnx", f"{stem}.{profile.id}.onnx"))
    shape = options.input_shape or _entering(read, given, options)
    samples = samples_of(given, NEEDS_DATA, shape)
    others = None if calibration is None else samples_of({**given, "data": calibration, "samples": None}, shape=shape)
    options = with_time(model, samples, options)
    with working(f"{Path(model).name} to {profile.name}"):
        noun = read(options)
        if isinstance(noun, ChipNetwork):
            only_converted(certificate, prove)
            _transfer(model, noun, samples, wishes, stem, given["decode"], calibration, report, as_json)
            return
        loaded = with_decoding(noun, given["decode"])
        deployment = deploy.convert(loaded, samples, wishes, still_open(options), Path(stem).name, calibration=others)
        files = (*files_of(model, None, code_of(given)), *deployment.files)  # the data are among them
        deployment = replace(deployment, command=command_line(), files=files)
        deployment = proved(deployment, prove_limit, prove_budget) if prove else deployment
        Path(stem).parent.mkdir(parents=True, exist_ok=True)
        names = [str(path) for path in deploy.save(deployment, stem)]
        names += written(certificate, names[1], deployment, samples, sources_of(model, given))
    found, rows = report_of(deployment), sources(loaded)
    names += put(report, found)
    _told(found, rows, names, as_json)


@click.command(short_help="Would it fit? Every finding; writes nothing.")
@click.argument("model")
@with_options(MODEL_OPTIONS)
@with_options(DATA_OPTIONS)
@as_json
@refusing
def check(model: str, *, as_json: bool, **given: Any) -> None:
    """Would MODEL fit the chip? Every finding with its rule, place, value, limit and fix. Writes nothing.

    Without --data the model's own trial run on random spikes stands in, where it has one: with --arch, not for bare weights.
    """
    options, wishes, read = options_of(given), wishes_of(given), _once(model)
    samples = samples_of(given, shape=options.input_shape or _entering(read, given, options))
    with working(f"checking {Path(model).name}"):
        noun: converters.Loaded | ChipNetwork | None = None
        try:
            noun = read(with_time(model, samples, options))
        except Unsupported as refusal:
            placement = refused(refusal, load_profile(given["chip"]).id)
        if noun is not None:
            placement = _checked(model, noun, samples, wishes, given, options)
    if as_json:
        click.echo(json.dumps(check_to_json(model, placement), allow_nan=False))
    else:
        click.echo(check_to_text(model, placement), nl=False)
        if samples is None and isinstance(noun, converters.Loaded):
            click.echo("\nASSUMED: random spikes stood in for data, and scales depend on data; give --data.")
    finish(placement.fits)


def _checked(
    model: str, noun: converters.Loaded | ChipNetwork, samples: Samples | None, wishes: Wishes, given: Mapping[str, Any],
    options: converters.Options,
) -> Placement:  # fmt: skip
    """What was read, as far as a placement; of a network that was saved, with what its file says was settled."""
    if isinstance(noun, ChipNetwork):
        refuse(("data", "decode", "calibration_samples"), INTEGERS)
        return onto(noun, load_profile(wishes.chip), wishes, read_record(Path(model)))[1]
    return deploy.check(with_decoding(noun, given["decode"]), samples, wishes, still_open(options))


def still_open(options: converters.Options) -> converters.Options:
    """What of the options is still to be said once the model is read."""
    return converters.Options(timesteps=options.timesteps, relu=options.relu)


def stem_of(model: str, output: str | None) -> str:
    """Where results go, without suffixes: ``-o``, or the model's name in this folder."""
    name = Path(model).name
    ours = [f".{kind}.onnx" for kind in ("graph", *profile_names()) if name.endswith(f".{kind}.onnx")]
    own = name.removesuffix(ours[0]) if ours else Path(name).stem
    if output is None:
        return own
    if output.endswith(".onnx"):
        raise OptionError("-o", f"{output} names a file", "name the stem; .graph.onnx and .<chip>.onnx are put behind it")
    return str(Path(output) / own) if output.endswith(("/", os.sep)) or Path(output).is_dir() else output


def _transfer(
    model: str, network: ChipNetwork, samples: Samples | None, wishes: Wishes, stem: str, decode: str | None, calibration: str | None,
    output: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Integers stay as they are: placed, run, verified, written, printed."""
    refuse(("max_drop", "calibration_samples"), INTEGERS)
    if calibration is not None:
        raise OptionError("--calibration", "is for the quantizer, and this file holds integers already", "leave it out")
    assert samples is not None
    made = transfer(network, samples, wishes, decode, Path(stem).name, read_record(Path(model)))
    made = replace(made, command=command_line(), files=files_of(model, made.samples))
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    files = [str(path) for path in deploy.save(made, stem)]
    report = deploy.report(made)
    files += put(output, report)
    _told(report, report.layers, files, as_json)


def _told(found: Report, rows: Sequence[LayerRow], files: list[str], as_json: bool) -> None:
    """Print what was found out, and leave with 1 where it is not as it was wished."""
    if as_json:
        click.echo(json.dumps(conversion_to_json(found, rows, files), allow_nan=False))
    else:
        click.echo(conversion_to_text(found, rows, files), nl=False)
    finish(found.ok)


def _once(model: str) -> Read:
    """What reads the model; by the same options once: its code, which may be run, is run once."""
    held: list[tuple[converters.Options, converters.Loaded | ChipNetwork]] = []

    def read(options: converters.Options) -> converters.Loaded | ChipNetwork:
        if not held or held[0][0] != options:
            held[:] = [(options, deploy.read(model, None, options))]
        return held[0][1]

    return read


def _entering(read: Read, given: Mapping[str, Any], options: converters.Options) -> tuple[int, ...] | None:
    """One input's shape as the model says it, where events must be cut to it."""
    if given["sensor"] is not None or (given["bin_us"], given["frames"]) == (None, None):
        return None
    noun = read(options)
    shapes = chip_inputs(noun) if isinstance(noun, ChipNetwork) else deploy.input_shapes(noun.graph)
    return next(iter(shapes.values()), None)


def _convert_graph(model: str, options: converters.Options, stem: str, given: dict[str, Any], as_json: bool) -> None:
    writable(model, stem, (f"{stem}.graph.onnx",))
    loaded = with_decoding(deploy.load(model, None, options), given["decode"])
    refuse([o for o in CHOOSING if o != "calibration_samples"], NO_CHIP)
    if not loaded.graph.named(Relu):
        refuse(("data", *READING, "calibration_samples"), NO_CHIP)
    else:
        samples = samples_of(given, NEEDS_RATES, options.input_shape)
        loaded = deploy.spiking_graph(loaded, samples, wishes_of({**given, "chip": Wishes.chip}), still_open(options))
    Path(stem).parent.mkdir(parents=True, exist_ok=True)
    file = str(deploy.save_graph(loaded, stem))
    if as_json:
        click.echo(json.dumps(graph_to_json(Path(stem).name, sources(loaded), loaded.assumptions, file, loaded.probed), allow_nan=False))
    else:
        click.echo(graph_to_text(Path(stem).name, sources(loaded), loaded.assumptions, file, loaded.probed), nl=False)


def writable(model: str, stem: str, targets: tuple[str, ...]) -> None:
    """Refuse before the work what could not be written after it."""
    folder = Path(stem).parent
    if folder.exists() and not (folder.is_dir() and os.access(folder, os.W_OK)):
        raise OptionError("-o", f"{folder} is no folder that may be written to", "choose another: -o DIR/STEM")
    for target in map(Path, targets):
        if target.is_dir():
            raise OptionError("-o", f"{target} is a folder", "choose another stem: -o DIR/STEM")
        keep(str(target), model=model)
