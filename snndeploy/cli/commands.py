"""The group of commands, and the last resort for a defect."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import click

import snndeploy
from snndeploy.cli.converting import check, convert
from snndeploy.cli.demo import demo
from snndeploy.cli.exporting import export
from snndeploy.cli.machine import chips, doctor
from snndeploy.cli.parting import bisect, explain
from snndeploy.cli.refusing import as_object, interrupted
from snndeploy.cli.saved import report, run, show, verify

DEFECT = 70
DEBUG = "SNNDEPLOY_DEBUG"


class Commands(click.Group):
    """The group; with ``--json`` what click refuses is one JSON object, too."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **how: Any) -> Any:  # type: ignore[override]
        given = list(sys.argv[1:] if args is None else args)
        if not how.get("standalone_mode", True) or "--json" not in given:
            return super().main(given, prog_name, **how)
        try:
            code = super().main(given, prog_name, **{**how, "standalone_mode": False})
        except click.ClickException as error:
            error.show()
            where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx is not None else "snndeploy"
            click.echo(as_object("OptionError", where, error.format_message(), f"{where} --help lists what it takes"))
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(interrupted(as_json=True).exit_code)
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
    with _own_output():
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


@contextlib.contextmanager
def _own_output() -> Iterator[None]:
    """Our text alone goes out: what writes to descriptor 1 by itself, C code or a program that is started, goes to standard error."""
    before = sys.stdout
    try:
        out = os.dup(1)
        os.dup2(2, 1)
    except OSError:
        yield
        return
    sys.stdout = ours = os.fdopen(os.dup(out), "w", encoding=before.encoding, errors=before.errors)
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            ours.close()
        os.dup2(out, 1)
        os.close(out)
        sys.stdout = before
        atexit.register(_hush)


def _hush() -> None:
    """What code of the user's prints when the program is taken down is not our text."""
    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
        os.dup2(2, 1)
    sys.stdout = sys.stderr
