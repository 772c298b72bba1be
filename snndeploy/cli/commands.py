"""The group of commands, and the last resort for a defect."""

from __future__ import annotations

import os
import sys

import click

import snndeploy
from snndeploy.cli.converting import check, convert
from snndeploy.cli.demo import demo
from snndeploy.cli.exporting import export
from snndeploy.cli.machine import chips, doctor
from snndeploy.cli.parting import bisect, explain
from snndeploy.cli.saved import report, run, show, verify

DEFECT = 70
DEBUG = "SNNDEPLOY_DEBUG"


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(snndeploy.__version__, prog_name="snndeploy")
def commands() -> None:
    """Trained spiking networks to neuromorphic chips, with evidence of what was kept.

    \b
    snndeploy demo                                        the whole job on a network that ships with it
    snndeploy convert net.pt --arch net.py:Net --input-shape 1,28,28 --data samples.npz
    snndeploy verify net.loihi2.onnx --data samples.npz
    snndeploy report net.loihi2.onnx --data samples.npz -o report.html

    Exit code: 0 fine; 1 done, but not exact, less accurate than --max-drop allows, or too large for the chip;
    2 the input.
    """  # noqa: D301 - the backspace is click's own sign for "keep these lines"


for command in (convert, check, show, run, verify, report, export, bisect, explain, chips, doctor, demo):
    commands.add_command(command)


def main() -> None:
    """What ``snndeploy`` on the shell runs. A defect is one clear line; ``SNNDEPLOY_DEBUG=1`` shows where it happened."""
    try:
        commands()
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        click.echo(f"defect in snndeploy {snndeploy.__version__}: {type(error).__name__}: {error}", err=True)
        click.echo(f"hint: please report it, with what {DEBUG}=1 shows when the command is run again", err=True)
        sys.exit(DEFECT)
