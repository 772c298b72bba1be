"""While definitions run, no file is read or written, nothing is started, nothing is parsed and nothing is trained."""

from __future__ import annotations

import argparse
import os
import sys
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from snndeploy.user_code.past_python import READS, WRITES, told

Heard = Callable[[str, int, str], None]
"""Called with the user's file, its line, and what it was about to do; it raises."""
CHANGES = (
    *("os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.truncate", "os.link", "os.symlink", "os.chmod"),
    *("os.utime", "os.chown", "os.setxattr", "shutil.rmtree", "shutil.copyfile", "shutil.move"),
)
STARTS = frozenset(["subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty"])
LISTS = frozenset(["os.listdir", "os.scandir", "glob.glob"])
CONNECTS = frozenset(["socket.connect", "urllib.Request", "ftplib.connect"])
WATCHED = {
    **dict.fromkeys(CHANGES, "changes files"),
    **dict.fromkeys(STARTS, "starts another program"),
    **dict.fromkeys(LISTS, "reads a folder"),
    **dict.fromkeys(CONNECTS, "opens a connection"),
    **dict.fromkeys(["os.kill", "os.killpg"], "stops a program"),
    "sqlite3.connect": "opens a database",
    "open": "reads a file",
}
SYSTEM = tuple(
    {str(Path(p).resolve()) + os.sep for p in (*sysconfig.get_paths().values(), "/proc", "/sys", "/dev", "/etc") if p}
    | {str(p) + os.sep for p in (*sysconfig.get_paths().values(), "/proc", "/sys", "/dev", "/etc") if p}
)
"""Where libraries read what is theirs."""
_watching: list[tuple[set[str], Heard]] = []
_hooked: list[bool] = []


@contextmanager
def nothing_but_definitions(files: set[str], heard: Heard) -> Iterator[None]:
    """Watch code of ``files`` that runs meanwhile, but not the imports that it makes; ``heard`` is told and raises."""
    if not _hooked:
        sys.addaudithook(_hook)
        _hooked.append(True)
    _watching.append((files, heard))
    try:
        with _no_arguments(), told(_past_python):
            yield
    finally:
        _watching.pop()


@contextmanager
def unwatched() -> Iterator[None]:
    """What is done meanwhile is ours, or is asked for."""
    kept, _watching[:] = list(_watching), []
    try:
        yield
    finally:
        _watching[:] = kept


def user_line(files: set[str]) -> tuple[str, int] | None:
    """The user's file and line that is running; None where an import stands between, or no user's code is above."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        name = frame.f_code.co_filename
        if name in files:
            return name, frame.f_lineno
        if name.startswith("<frozen importlib"):
            return None
        frame = frame.f_back
    return None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _watching or event not in WATCHED:
        return
    what = WATCHED[event] if event != "open" else _opening(args)
    if what and not (event == "sqlite3.connect" and args[:1] == (":memory:",)):
        _tell(what)


def _past_python(does: str, file: Any) -> None:
    """The same for what a library is asked for that Python's own events do not show."""
    opens = does in (READS, WRITES)
    what = does if not opens else "" if file is None else _opening((os.fspath(file), "r" if does == READS else "w"))
    if _watching and what:
        _tell(what)


def _tell(what: str) -> None:
    files, heard = _watching[-1]
    at = user_line(files)
    if at is not None:
        with unwatched():
            heard(*at, what)


def _opening(args: tuple[Any, ...]) -> str:
    """What opening that file is; empty for source text, and for what belongs to the system or to libraries."""
    path, mode, flags = (*args, None, None, None)[:3]
    if not isinstance(path, str | bytes):
        return ""
    writes = bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)) if isinstance(flags, int) else any(c in str(mode) for c in "wax+")
    name = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - links are not followed: that would be an event of its own
    if name == os.devnull or (not writes and name.endswith((".py", ".pyc", ".pyi"))):
        return ""
    if writes:
        return f"writes the file {Path(name).name}"
    return "" if name.startswith(SYSTEM) else f"reads the file {Path(name).name}"


@contextmanager
def _no_arguments() -> Iterator[None]:
    """A parser that is asked what the command line says is asked by the user's code alone: ours is not theirs."""
    parse = argparse.ArgumentParser.parse_known_args

    def refused(self: argparse.ArgumentParser, args: Any = None, namespace: Any = None) -> Any:
        if args is None and _watching:
            _tell("depends on the arguments of the command line")
        return parse(self, args, namespace)

    argparse.ArgumentParser.parse_known_args = refused  # type: ignore[method-assign]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_known_args = parse  # type: ignore[method-assign]
