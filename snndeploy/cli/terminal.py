"""What is seen while it works, and files that are whole or not there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from snndeploy.files import replacing


@contextlib.contextmanager
def working(message: str) -> Iterator[None]:
    """A moving bar with the time that has passed, on standard error, where that is a terminal."""
    from rich.console import Console  # noqa: PLC0415 - only a command that works draws a bar
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - as above

    console = Console(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        progress.add_task(message, total=None)
        yield


def write(path: Path, text: str) -> None:
    """Write a file at once or not at all; its folder is made. Bytes of a file's name that are no text stand by their codes.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as spare:
        spare.write_text(text, encoding="utf-8", errors="backslashreplace")
