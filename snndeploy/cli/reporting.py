"""What a command leaves behind for others: the report in a file, and the command that made it, without folders."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import click

from snndeploy.cli.refusing import keep
from snndeploy.cli.terminal import write
from snndeploy.cli.unheard import was_given
from snndeploy.errors import OptionError
from snndeploy.report import to_html, to_json, to_text
from snndeploy.report.report import Report

ABOUT_FILES = ("model", "data", "calibration", "arch", "chip")
"""Parameters that may name a file, of which the record keeps the name alone."""
NO_MATTER = ("as_json", "report", "certificate", "output")
"""Parameters that change what is shown or where it goes, not what is made."""


def kind_of(option: str, output: str | None, **read: str | None) -> str:
    """The suffix that says what a report is to be; ``read`` are files that it must not be.

    Raises:
        OptionError: another suffix, or one of the files read.
    """
    suffix = ".txt" if output is None else Path(output).suffix.lower()
    if suffix not in (".html", ".htm", ".json", ".txt"):
        raise OptionError(option, f"{output!r} does not say which kind of report", "end it in .html, .json or .txt")
    keep(output, option, **read)
    return suffix


def written(made: Report, kind: str) -> str:
    """The report as a file of that kind."""
    if kind == ".json":
        return json.dumps(to_json(made), allow_nan=False) + "\n"
    return to_text(made) if kind == ".txt" else to_html(made)


def put(output: str | None, made: Report) -> list[str]:
    """Write the report where it is wished; the files written."""
    if output is None:
        return []
    write(Path(output), written(made, Path(output).suffix.lower()))
    return [output]


def command_line() -> str:
    """The command as it was called, options in their own order, files by their names: the same from every folder."""
    context = click.get_current_context()
    words = ["snndeploy", context.info_name or ""]
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in NO_MATTER or not was_given(name):
            continue
        words += _words(parameter, context.params[name])
    return shlex.join(words)


def _words(parameter: click.Parameter, value: object) -> list[str]:
    values = value if isinstance(value, tuple) else (value,)
    said = [without_folders(str(v)) if parameter.name in ABOUT_FILES else str(v) for v in values]
    if isinstance(parameter, click.Argument):
        return said
    option = max(parameter.opts, key=len)
    return [option] if getattr(parameter, "is_flag", False) else [word for v in said for word in (option, v)]


def without_folders(text: str) -> str:
    """``a/b/net.pt`` -> ``net.pt``; of ``a/b/code.py:Net(x='1/2')`` only what stands before the file's name goes."""
    file, colon, rest = re.split(r"(\.py:)", text, maxsplit=1) if ".py:" in text else (text, "", "")
    *_, name = re.split(r"[/\\]", file)
    return f"{name}{colon}{rest}"
