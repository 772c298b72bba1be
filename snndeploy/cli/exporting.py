"""``export``: a network in the file format of another tool."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

import converters
from snndeploy import deploy
from snndeploy.cli.converting import stem_of, writable
from snndeploy.cli.options import SOURCE_OPTIONS, as_json, options_of, run_code, with_options
from snndeploy.cli.refusing import finish, refusing
from snndeploy.cli.terminal import working
from snndeploy.report.layout import bullets, section


@click.command(short_help="A network in another tool's file format.")
@click.argument("model")
@click.option("--to", required=True, help="net (a chip network), nir (a float graph), onnx (either), ...: a format that can be written.")
@click.option("--lossy", is_flag=True, help="Write what the format cannot say as the nearest that it can, and list what was lost.")
@with_options(SOURCE_OPTIONS)
@run_code
@click.option("--timesteps", type=int, help="Steps of a sample, where the file does not say it.")
@click.option("-o", "--output", help="The file to write; by default the model's name with the format's suffix, in this folder.")
@as_json
@refusing
def export(model: str, *, to: str, lossy: bool, output: str | None, as_json: bool, **given: Any) -> None:
    """Write MODEL in the format of another tool.

    What the format cannot say is refused, or with --lossy written as the nearest that it can; each loss is listed, and
    the exit code is then 1.
    """
    options, suffix = options_of(given), converters.suffix_of(to)
    target = output or f"{stem_of(model, None)}{suffix}"
    writable(model, str(Path(target).parent / "x"), (target,))
    with working(f"{Path(model).name} to {to}"):
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        lost = deploy.export(model, to, target, options, lossy=lossy)
    if as_json:
        click.echo(json.dumps({"schema": "snndeploy.export/1", "model": model, "to": to, "file": target, "lost": list(lost)}))
    else:
        click.echo("\n\n".join(part for part in (section("Lost", bullets(lost)), f"wrote {target}") if part))
    finish(not lost)
