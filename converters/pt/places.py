"""Where in the user's program something happens."""

from __future__ import annotations

import sys
from pathlib import Path
from types import FrameType

import torch

OWN = (str(Path(torch.__file__).parent), str(Path(__file__).parent))
"""Code that is not the user's: torch and this package."""


def user_frames() -> tuple[str, tuple[int, ...]]:
    """The user's "file:line" that is running now, and the whole chain of places that led to it."""
    frame: FrameType | None = sys._getframe(1)
    where, site = "", []
    while frame is not None:
        name = frame.f_code.co_filename
        if not name.startswith(OWN) and not name.startswith("<frozen"):
            where = where or f"{Path(name).name}:{frame.f_lineno}"
            site += [id(frame.f_code), frame.f_lasti]
        elif frame.f_code.co_name == "record":
            break
        frame = frame.f_back
    return where or "torch", tuple(site)


def raised_at(error: BaseException) -> str:
    """The innermost line of the user's code in an error's traceback."""
    traceback, places = error.__traceback__, ["torch"]
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not name.startswith(OWN):
            places.append(f"{Path(name).name}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    return places[-1]
