"""``doctor --setup-lava``: an environment of its own for Lava, which lives on Python 3.10."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from snndeploy.cli.terminal import working
from snndeploy.errors import OptionError
from snndeploy.sim.lava import MARK, VERSION, environment

WHERE = "--setup-lava"
SECONDS = 1800


def setup_lava() -> Path:
    """Make the environment and install Lava there, with this user's own pip settings; returns its Python.

    Raises:
        OptionError: there is no Python 3.10, or the installation failed.
    """
    folder = environment()
    python = folder / "bin" / "python"
    if (folder / MARK).exists():
        return python
    old = python_3_10()
    with working(f"installing lava-nc {VERSION} (about 300 MB) into {folder}"):
        _run([str(old), "-m", "venv", "--clear", str(folder)], "venv")
        install = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", f"lava-nc=={VERSION}"]
        _run(install, f"lava-nc=={VERSION}")
        _run([str(python), "-c", "import lava.proc.lif.process"], f"lava-nc=={VERSION}")
    (folder / MARK).touch()
    return python


def python_3_10() -> Path:
    """A Python 3.10 that runs: on PATH, or one of pyenv's. Raises ``OptionError`` where there is none."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    named = shutil.which("python3.10")
    candidates = [*([Path(named)] if named else []), *sorted(root.glob("versions/3.10.*/bin/python"), reverse=True)]
    for candidate in candidates:
        if _says(candidate) == "3.10":
            return candidate
    raise OptionError(WHERE, "Lava 0.10 needs Python 3.10, and none was found", "install Python 3.10 so that python3.10 is on PATH")


def _says(python: Path) -> str:
    """The version of an interpreter, "" where it does not run or lacks venv."""
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([str(python), "-c", code], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603 - an interpreter
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _run(command: list[str], package: str) -> None:
    """One step of the installation. Raises ``OptionError`` with the last line it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603 - fixed words
    except subprocess.TimeoutExpired:
        raise OptionError(WHERE, f"installing {package} took more than {SECONDS} s", "try again, or install it by hand") from None
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()
        raise OptionError(
            WHERE, f"installing {package} failed: {words[-1] if words else 'without a word'}", "the network may be out of reach"
        )
