"""``export``: a network in the file format of another tool."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

import converters
from snndeploy import deploy
from snndeploy.chip.network import ChipNetwork
from snndeploy.cli.converting import stem_of, writable
from snndeploy.cli.options import DATA_OPTIONS, SOURCE_OPTIONS, as_json, encoding, options_of, samples_of, with_options
from snndeploy.cli.refusing import finish, refusing
from snndeploy.cli.terminal import working
from snndeploy.cli.unheard import check_reading
from snndeploy.errors import NoEffect
from snndeploy.flow.injecting import write_inputs
from snndeploy.flow.saved import chip_inputs
from snndeploy.report.layout import bullets, section

LAVA = ".lava"
"""The folder whose script runs the network, on what the host injects."""


@click.command(short_help="A network in another tool's file format.")
@click.argument("model")
@click.option("--to", required=True, help="net (a chip network), nir (a float graph), onnx (either), ...: a format that can be written.")
@click.option("--lossy", is_flag=True, help="Write what the format cannot say as the nearest that it can, and list what was lost.")
@with_options(SOURCE_OPTIONS)
@with_options(DATA_OPTIONS)
@click.option("-o", "--output", help="The file to write; by default the model's name with the format's suffix, in this folder.")
@as_json
@refusing
def export(model: str, *, to: str, lossy: bool, output: str | None, as_json: bool, **given: Any) -> None:
    """Write MODEL in the format of another tool.

    What the format cannot say is refused, or with --lossy written as the nearest that it can; each loss is listed, and
    the exit code is then 1. With --to lava, --data puts what the host injects into the folder, as inputs.npz.
    """
    check_reading(given)
    if given["data"] is not None and converters.suffix_of(to) != LAVA:
        raise NoEffect("--data", f"is what run_network.py of --to lava runs on, and {to} takes none", "leave it out")
    options, suffix = options_of(given), converters.suffix_of(to)
    target = output or f"{stem_of(model, None)}{suffix}"
    writable(model, str(Path(target).parent / "x"), (target,))
    with working(f"{Path(model).name} to {to}"):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        lost = deploy.export(model, to, target, options, lossy=lossy)
        inputs = None if given["data"] is None else _inputs(model, Path(target), options, given)
    if as_json:
        said = {"schema": "snndeploy.export/1", "model": model, "to": to, "file": target, "inputs": inputs, "lost": list(lost)}
        click.echo(json.dumps(said))
    else:
        wrote = f"wrote {target}" if inputs is None else f"wrote {target}, and {inputs} for its run_network.py"
        click.echo("\n\n".join(part for part in (section("Lost", bullets(lost)), wrote) if part))
    finish(not lost)


def _inputs(model: str, folder: Path, options: converters.Options, given: Mapping[str, Any]) -> str:
    """What the host injects of ``--data``, written into the folder; its path."""
    network = deploy.read(model, None, options)
    assert isinstance(network, ChipNetwork), "Lava took it"
    samples = samples_of(given, shape=next(iter(chip_inputs(network).values()), None))
    assert samples is not None, "asked for with --data alone"
    return str(write_inputs(network, samples, encoding(given["encode"]), given["seed"], folder))
