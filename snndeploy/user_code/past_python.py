"""What is done without Python's hearing of it: files that C++ or Rust opens, training, what waits for the program's end."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

Told = Callable[[str, Any], None]
"""Called with what is about to be done and the file it is done to; it may raise."""
WRITES, READS = "writes", "reads"
CALLS: tuple[tuple[str, str, str, int | None], ...] = (
    ("torch.autograd", "backward", "trains", None),
    ("atexit", "register", "leaves something to run when the program ends", None),
    ("torch._C", "PyTorchFileWriter", WRITES, 0),
    ("torch._C.ScriptModule", "save", WRITES, 1),
    ("torch._C.ScriptFunction", "save", WRITES, 1),
    ("h5py.h5f", "create", WRITES, 0),
    ("h5py.h5f", "open", READS, 0),
    ("safetensors.torch", "serialize_file", WRITES, 1),
    ("safetensors.numpy", "serialize_file", WRITES, 1),
    ("cv2", "imwrite", WRITES, 0),
)
"""Where it stands, its name there, what it does, and which argument the file is, if it is one."""


@contextmanager
def told(of: Told) -> Iterator[None]:
    """Meanwhile ``of`` is told of each of ``CALLS`` before it is made, in those libraries that are loaded."""
    with ExitStack() as stack:
        for place, name, does, position in CALLS:
            stack.enter_context(_replaced(_found(place), name, _telling(of, does, position)))
        yield


def _found(place: str) -> Any:
    """A module that is loaded, or a class in one; None where there is none."""
    module, _, name = place.rpartition(".")
    inside = sys.modules.get(place)
    if inside is None and module in sys.modules:
        inside = getattr(sys.modules[module], name, None)
    return inside


def _telling(of: Told, does: str, position: int | None) -> Callable[[Any], Any]:
    """What makes of a call one that is told of first."""

    def around(call: Any) -> Any:
        def instead(*args: Any, **named: Any) -> Any:
            given = () if position is None else (*args[position : position + 1], *named.values())
            of(does, next((part for part in given if isinstance(part, str | bytes | os.PathLike)), None))
            return call(*args, **named)

        return instead

    return around


@contextmanager
def _replaced(place: Any, name: str, around: Callable[[Any], Any]) -> Iterator[None]:
    call = getattr(place, name, None)
    if call is not None:
        setattr(place, name, around(call))
    try:
        yield
    finally:
        if call is not None:
            with suppress(AttributeError):
                setattr(place, name, call)
