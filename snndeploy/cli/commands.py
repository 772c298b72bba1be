"""The group of commands, and the last resort for a defect."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

import snndeploy
from snndeploy.cli.converting import check, convert
from snndeploy.cli.demo import demo
from snndeploy.cli.exporting import export
from snndeploy.cli.machine import chips, doctor
from snndeploy.cli.parting import bisect, explain
from snndeploy.cli.refusing import INTERRUPTED, as_object
from snndeploy.cli.saved import report, run, show, verify

DEFECT = 70
DEBUG = "SNNDEPLOY_DEBUG"


class Commands(click.Group):
    """The group; with ``--json`` what click refuses is one JSON object, too."""

    def main(self, args: Sequence[str] | None = None, *more: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        given = list(sys.argv[1:] if args is None else args)
        if not standalone_mode or "--json" not in given:
            return super().main(given, *more, standalone_mode=standalone_mode, **extra)
        try:
            code = super().main(given, *more, standalone_mode=False, **extra)
        except click.ClickException as error:
            error.show()
            where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else "snndeploy"
            click.echo(as_object("OptionError", where, error.format_message(), f"{where} --help lists what it takes"))
            sys.exit(error.exit_code)
        except click.Abort:
            click.echo("interrupted", err=True)
            click.echo(as_object("Interrupted", "snndeploy", "interrupted", "run it again"))
            sys.exit(INTERRUPTED)
        sys.exit(code if isinstance(code, int) else 0)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
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
    _own_output()
    try:
        commands()
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        what, hint = f"{type(error).__name__}: {error}", f"please report it, with what {DEBUG}=1 shows when the command is run again"
        click.echo(f"defect in snndeploy {snndeploy.__version__}: {what}", err=True)
        click.echo(f"hint: {hint}", err=True)
        if "--json" in sys.argv:
            click.echo(as_object("Defect", f"snndeploy {snndeploy.__version__}", what, hint))
        sys.exit(DEFECT)
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
        sys.stdout = sys.stderr  # what code of the user's prints when it is taken down is not our text


def _own_output() -> None:
    """Our text alone goes out: what writes to descriptor 1 by itself, C code or a program that is started, goes to standard error."""
    try:
        out = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        return
    sys.stdout = os.fdopen(out, "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
