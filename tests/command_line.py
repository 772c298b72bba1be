"""The command line as a test calls it."""

from __future__ import annotations

from click.testing import CliRunner

from snndeploy.cli import commands


def snn(*arguments, code=0):
    """What a command says; it must end with ``code``."""
    said = CliRunner().invoke(commands, [str(a) for a in arguments], catch_exceptions=False)
    assert said.exit_code == code, said.output
    return said.output
