"""Every refusal in one shape: ``where: what``, ``hint: ...`` and an exit code; never a traceback for bad input."""

from __future__ import annotations

import errno
import functools
import io
import json
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NoReturn

import click

import converters
from snndeploy.cli.unheard import check_code
from snndeploy.errors import DoesNotFit, OptionError, SnnError
from snndeploy.hw import profile_names
from snndeploy.user_code import unchanged

NOT_AS_WISHED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def refusing(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors are said on standard error (with ``--json`` also as an object) and become its exit code.

    What it prints goes out at its end, when the files that were given are found as they were.
    """

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:
        as_json = bool(given.get("as_json"))
        try:
            _our_own_packages()
            check_code(given)
            ended = _printed(functools.partial(command, *args, **given), given, as_json)
        except SnnError as error:
            _refuse(error, as_json)
        except MemoryError:
            _refuse(SnnError("memory", "this machine has too little of it for that", "use fewer samples: --samples 100"), as_json)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            _refuse(_unwritten(error), as_json)
        except KeyboardInterrupt:
            raise interrupted(as_json) from None
        if ended is not None:
            raise ended

    return run


def interrupted(as_json: bool) -> click.exceptions.Exit:
    """What is said where the user stopped it."""
    click.echo("interrupted", err=True)
    if as_json:
        click.echo(as_object("Interrupted", "snndeploy", "interrupted", "run it again"))
    return click.exceptions.Exit(INTERRUPTED)


def _printed(command: Callable[[], None], given: Mapping[str, Any], as_json: bool) -> click.exceptions.Exit | None:
    """Run a command and print its text, if no file that it was given was changed; how it ended, if not by itself."""
    held, ended = io.StringIO(), None
    with unchanged(*_files(given)), redirect_stdout(held):
        try:
            command()
        except click.exceptions.Exit as leaving:
            ended = leaving
    lines = held.getvalue().splitlines(keepends=True)
    ours = [not as_json or _is_object(line) for line in lines]
    said = [line for line, own in zip(lines, ours, strict=True) if own]
    click.echo("".join(said[-1:] if as_json else said), nl=False)
    click.echo("".join(line for line, own in zip(lines, ours, strict=True) if not own), nl=False, err=True)
    return ended


def _is_object(line: str) -> bool:
    """Whether a line is a JSON object of ours, and not what a library printed."""
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _files(given: Mapping[str, Any]) -> list[Path]:
    """The files that a command was given to read."""
    named = [str(given[role]) for role in ("model", "file", "a", "b", "arch", "data", "calibration", "chip") if given.get(role)]
    return [Path(f"{name.partition('.py:')[0]}.py" if ".py:" in name else name) for name in named]


def keep(output: str | None, option: str = "-o", /, **read: str | None) -> None:
    """Refuse an output that is another file read or written, by any name or link; ``read`` holds those by what they are.

    Raises:
        OptionError: it would be overwritten.
    """
    for role, name in read.items():
        if output is not None and name is not None and _same(Path(output), Path(name)):
            raise OptionError(option, f"{output} is the {role} itself, which is never overwritten", f"choose another name: {option} ...")


def _same(a: Path, b: Path) -> bool:
    """Whether two names are, or will be, one file's."""
    return a.resolve() == b.resolve() or (a.exists() and b.exists() and a.samefile(b))


def finish(fine: bool) -> None:
    """Leave with 1 where the work was done, but not as it was wished."""
    if not fine:
        raise click.exceptions.Exit(NOT_AS_WISHED)


def _refuse(error: SnnError, as_json: bool) -> NoReturn:
    click.echo(str(error), err=True)
    if as_json:
        kind = next(
            k for k in type(error).__mro__ if k.__module__ == SnnError.__module__
        )  # a module's own kind is told as what it is one of
        click.echo(as_object(kind.__name__, error.where, error.what, error.hint))
    raise click.exceptions.Exit(NOT_AS_WISHED if isinstance(error, DoesNotFit) else BAD_INPUT)


def as_object(error: str, where: str, what: str, hint: str) -> str:
    """An error as the one JSON object that ``--json`` prints."""
    return json.dumps({"schema": "snndeploy.error/1", "error": error, "where": where, "what": what, "hint": hint})


def _unwritten(error: OSError) -> SnnError:
    where = str(error.filename2 or error.filename or "file")
    return SnnError(where, error.strerror or str(error), "check that the path exists, is what you mean, and may be read or written")


def _our_own_packages() -> None:
    """Python finds packages by name: a folder ``converters`` of the user's may stand before ours."""
    if getattr(converters, "OWNER", None) != "snndeploy":
        found = getattr(converters, "__file__", None) or next(iter(getattr(converters, "__path__", ["?"])))
        raise OptionError(
            "installation", f"the package 'converters' at {found} is not snndeploy's", "rename it, or run from another folder"
        )
    if "loihi2" not in profile_names():
        raise OptionError("installation", "the package 'hw_profiles' is not snndeploy's", "rename yours, or run from another folder")
