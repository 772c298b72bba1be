"""``show``, ``run``, ``verify`` and ``report``: what can be done with files that were saved."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import converters
from snndeploy import deploy
from snndeploy.chip.network import ChipNetwork
from snndeploy.cli.certificates import PROOF_TIME, certifiable, certificate_of, check_again, proved_file
from snndeploy.cli.options import DATA_OPTIONS, FILE_OPTIONS, as_json, encoding, file_options_of, max_drop_kept, samples_of, with_options
from snndeploy.cli.refusing import finish, refusing
from snndeploy.cli.reporting import kind_of, written
from snndeploy.cli.terminal import working, write
from snndeploy.cli.unheard import OF_FILES, READING, check_proving, check_reading, refuse, was_given
from snndeploy.data import Samples
from snndeploy.errors import NoEffect
from snndeploy.flow.certifying import Certified, certify
from snndeploy.flow.deployment import Wishes
from snndeploy.flow.saved import EXECUTORS, chip_inputs, open_file, open_pair, verify_file
from snndeploy.report import run_to_json, run_to_text, to_text, verify_to_json, verify_to_text
from snndeploy.report.layout import bullets, section
from snndeploy.verdict import Verdict

own_chip = click.option("--chip", help="The profile it was made for, where that is a file of yours: my_chip.toml[:board].")
RECHECK = "changes nothing of a re-check: the certificate says how it was run"
UNKNOWN_DROP = "is in points of accuracy lost, and labels or the float graph are not there to know it by"
NEEDS_DATA = "it runs the network on samples"
UNRUN = "the executors: no --data was given, so nothing was run"


@click.command(short_help="A saved graph or chip network as stable text.")
@click.argument("file")
@with_options(FILE_OPTIONS)
@as_json
@refusing
def show(file: str, *, as_json: bool, **given: Any) -> None:
    """The graph or chip network in FILE, as text that is the same for the same network."""
    text = deploy.show(file, file_options_of(given))
    click.echo(json.dumps({"schema": "snndeploy.show/1", "file": file, "text": text}) if as_json else text)


@click.command(short_help="Run a saved network: predictions, accuracy, spikes and events.")
@click.argument("file")
@with_options(DATA_OPTIONS)
@with_options(FILE_OPTIONS)
@own_chip
@as_json
@refusing
def run(file: str, *, as_json: bool, **given: Any) -> None:
    """Run the graph or chip network in FILE: predictions, accuracy where labelled, spikes, events and faults a layer.

    Exit code 1 where a register left its range: the run is not that of the network.
    """
    samples, options = _samples(file, given), file_options_of(given)
    with working(f"running {Path(file).name}"):
        ran = deploy.run(file, samples, given["timesteps"], encoding(given["encode"]), given["seed"], given["chip"], options)
    chip, model = (ran.noun.chip, ran.noun.model_only) if isinstance(ran.noun, ChipNetwork) else ("", ())
    if not chip:
        refuse(("chip",), f"is of chip networks, and {file} holds a float graph")
    found = (file, chip, ran.trace, ran.events, ran.accuracy, [int(p) for p in ran.predictions], model, ran.fits)
    assumed = (*samples.notes, *ran.data.assumptions)
    if as_json:
        click.echo(json.dumps({**run_to_json(*found), "assumptions": list(dict.fromkeys(assumed))}, allow_nan=False))
    else:
        said = section("Assumed", bullets(dict.fromkeys(assumed)))
        click.echo(f"{run_to_text(*found)}{f'{chr(10)}{said}{chr(10)}' if said else ''}", nl=False)
    finish(ran.fits is not False and not ran.faults)


@click.command(short_help="Hold the executors of a saved network against each other; check a certificate again.")
@click.argument("file", required=False)
@with_options(DATA_OPTIONS)
@with_options(FILE_OPTIONS)
@click.option("--against", help=f"Executors to hold against each other, with commas between: {', '.join(EXECUTORS)}.")
@click.option("--prove", is_flag=True, help="Prove what must hold of the chip network's integers, for every input, with z3; needs no data.")
@with_options(PROOF_TIME)
@click.option("--certificate", help="With FILE: write a certificate, OUT.json. Without FILE: check this certificate again.")
@max_drop_kept
@as_json
@refusing
def verify(
    file: str | None, *, against: str | None, prove: bool, prove_limit: float, prove_budget: float, certificate: str | None,
    max_drop: float, as_json: bool, **given: Any,
) -> None:  # fmt: skip
    """Hold the executors of FILE, and of the file beside it, against each other.

    Beside STEM.CHIP.onnx that is STEM.graph.onnx. Exactness and fidelity are said apart.
    Without FILE, --certificate FILE.json checks a certificate again, with NumPy alone: hashes, and the chip network's run.
    """
    if file is None:
        refuse((*READING, *OF_FILES, "max_drop", "prove_limit", "prove_budget"), RECHECK)
        check_again(certificate, given["data"], as_json, {"--prove": prove, "--against": against})
        return
    if certificate is not None:
        certifiable(certificate, given)
    check_proving(prove)
    only_proofs = prove and given["data"] is None
    if only_proofs:
        check_reading(given)
        refuse(
            ("against", "max_drop"), "is about a run, and --prove without --data runs nothing", "add --data samples.npz, or leave it out"
        )
    samples = None if only_proofs else _samples(file, given)
    unrun = Verdict((), not_checked=(UNRUN,)), max_drop
    verdict, wished = unrun if samples is None else _verified(file, samples, against, given)
    allowed = max_drop if was_given("max_drop") else wished
    if not only_proofs and (verdict.fidelity is None or verdict.fidelity.drop is None):
        refuse(("max_drop",), UNKNOWN_DROP)
    if prove:
        with working(f"proving {Path(file).name}"):
            verdict = proved_file(verdict, Path(file), prove_limit, prove_budget, file_options_of(given))
    if certificate is not None and samples is not None:
        with working(f"certifying {Path(file).name}"):
            certify(Certified(Path(file), verdict, samples, encoding(given["encode"]), given["seed"]), certificate)
    if as_json:
        click.echo(json.dumps({**verify_to_json(file, verdict), "certificate": certificate}, allow_nan=False))
    else:
        click.echo(verify_to_text(file, verdict, allowed) + (f"\nwrote {certificate}\n" if certificate else ""), nl=False)
    finish(verdict.proved if only_proofs else verdict.as_wished(allowed))


def _verified(file: str, samples: Samples, against: str | None, given: Mapping[str, Any]) -> tuple[Verdict, float]:
    """The executors held against each other on samples, and the points of accuracy that may be lost by the file's own record."""
    (wanted, absent), steps = _executors(against), given["timesteps"]
    with working(f"verifying {Path(file).name}"):
        pair = open_pair(file, file_options_of(given), steps)
        verdict = verify_file(pair, samples, wanted, steps, encoding(given["encode"]), given["seed"])
    allowed = pair.made.max_drop if pair.made else Wishes.max_drop
    return replace(verdict, not_checked=(*verdict.not_checked, *absent)), allowed


@click.command(short_help="Energy, latency, spikes and fit of a saved chip network.")
@click.argument("file")
@with_options(DATA_OPTIONS)
@with_options(FILE_OPTIONS)
@own_chip
@max_drop_kept
@click.option("-o", "--output", help="report.html, report.json or report.txt; without it the text is printed.")
@click.option("--certificate", help="A certificate of FILE, shown on the page (report.html).")
@as_json
@refusing
def report(file: str, *, max_drop: float, output: str | None, certificate: str | None, as_json: bool, **given: Any) -> None:
    """Energy, latency, spikes, fit and fidelity of the chip network in FILE.

    What is counted is exact; energy and latency are estimates from published numbers, with their range.
    """
    kind = kind_of("-o", output, network=file, certificate=certificate)
    shown = None if certificate is None else certificate_of(file, certificate)
    if shown is not None and kind not in (".html", ".htm"):
        raise NoEffect("--certificate", "is shown on the page alone", "write one: -o report.html")
    samples, options = _samples(file, given), file_options_of(given)
    with working(f"reporting on {Path(file).name}"):
        found = deploy.report(file, samples, encoding(given["encode"]), given["seed"], given["chip"], options)
    if found.fidelity is None or found.fidelity.drop is None:
        refuse(("max_drop",), UNKNOWN_DROP)
    made = replace(found, max_drop=max_drop if was_given("max_drop") else found.max_drop, certificate=shown)
    if output is not None:
        write(Path(output), written(made, kind))
    if as_json:
        click.echo(written(made, ".json"), nl=False)
    elif output is None:
        click.echo(to_text(made), nl=False)
    else:
        click.echo(f"wrote {output}")
    finish(made.ok)


def _samples(file: str, given: Mapping[str, Any]) -> Samples:
    """The samples; events are cut to the size of the network's input, so the file is read first where they are binned."""
    binned = given["data"] is not None and (given["bin_us"], given["frames"]) != (None, None)
    samples = samples_of(given, NEEDS_DATA, _input_shape(file, file_options_of(given)) if binned else None)
    assert samples is not None
    return samples


def _input_shape(file: str, options: converters.Options) -> tuple[int, ...] | None:
    noun = open_file(file, options)
    shapes = chip_inputs(noun) if isinstance(noun, ChipNetwork) else deploy.input_shapes(noun)
    return next(iter(shapes.values()), None)


def _executors(against: str | None) -> tuple[list[str], list[str]]:
    """Those to run, and what is said of one that is not installed and was not asked for by name."""
    if against is not None:
        return [name.strip() for name in against.split(",")], []
    if importlib.util.find_spec("onnxruntime") is not None:
        return ["graph", "onnxruntime", "chip"], []
    return ["graph", "chip"], ["onnxruntime: not installed (pip install 'snndeploy[onnxruntime]')"]
