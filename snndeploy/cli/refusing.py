"""Every refusal in one shape: ``where: what``, ``hint: ...`` and an exit code; never a traceback for bad input."""

from __future__ import annotations

import errno
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

import converters
from snndeploy.errors import DoesNotFit, OptionError, SnnError
from snndeploy.hw import profile_names

NOT_AS_WISHED, BAD_INPUT, INTERRUPTED = 1, 2, 130


def refusing(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose errors are said on standard error (with ``--json`` also as an object) and become its exit code."""

    @functools.wraps(command)
    def run(*args: Any, **given: Any) -> None:
        as_json = bool(given.get("as_json"))
        try:
            _our_own_packages()
            command(*args, **given)
        except SnnError as error:
            _refuse(error, as_json)
        except MemoryError:
            _refuse(SnnError("memory", "this machine has too little of it for that", "use fewer samples: --samples 100"), as_json)
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise
            _refuse(_unwritten(error), as_json)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            raise click.exceptions.Exit(INTERRUPTED) from None

    return run


def keep(output: str | None, **read: str | None) -> None:
    """Refuse an output that is one of the files read, by any name or link; ``read`` holds them by what they are.

    Raises:
        OptionError: it would be overwritten.
    """
    for role, name in read.items():
        if output is not None and name is not None and Path(output).exists() and Path(name).exists() and Path(output).samefile(name):
            raise OptionError("-o", f"{output} is the {role} itself, which is never overwritten", "choose another name: -o ...")


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
        said = {"error": kind.__name__, "where": error.where, "what": error.what, "hint": error.hint}
        click.echo(json.dumps({"schema": "snndeploy.error/1", **said}))
    raise click.exceptions.Exit(NOT_AS_WISHED if isinstance(error, DoesNotFit) else BAD_INPUT)


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
