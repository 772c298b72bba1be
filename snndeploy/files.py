"""How the project writes a file: at once or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path, ending: str = ".tmp") -> Iterator[Path]:
    """A spare file beside ``target`` to write to; it takes the target's name at the end, or is gone if that is not reached.

    ``ending`` is the spare's, where what writes it looks at it. Raises ``OSError``.
    """
    spare = target.with_name(f".{target.name}.{os.getpid()}{ending}")
    try:
        yield spare
        spare.replace(target)
    finally:
        with suppress(FileNotFoundError):
            spare.unlink()
