"""Another executor: the real Lava, out of process, on the Python 3.10 that it lives on.

The network was written as a folder (``converters.lava``); its own script runs it. A process of Lava that raises can hang
the run, so there is always a time limit, and what it started is ended with it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.errors import ChipError, OptionError
from snndeploy.trace import Trace

VERSION = "0.10.0"
PYTHON = "SNNDEPLOY_LAVA_PYTHON"
"""The environment variable that names a Python which has lava-nc; without it, the environment that doctor makes."""
MARK = "lava-is-installed"
"""The file in the environment that says it is whole."""
TIME_LIMIT = 900.0
"""Seconds."""


def environment() -> Path:
    """Where ``snndeploy doctor --setup-lava`` puts Lava's own environment."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "snndeploy" / f"lava-{VERSION}"


def lava_python() -> Path | None:
    """The Python that has Lava; None where there is none."""
    named = os.environ.get(PYTHON)
    if named:
        return Path(named) if Path(named).exists() else None
    return environment() / "bin" / "python" if (environment() / MARK).exists() else None


def run_lava(
    folder: Path, inputs: Mapping[str, NDArray[Any]], record: Iterable[str] | None = None, seconds: float = TIME_LIMIT
) -> tuple[Trace, dict[str, int]]:
    """Run an exported folder on whole numbers, [T, B, *shape] or [1, B, *shape] an input, as ``run_chip`` takes them.

    Returns a trace whose outputs are "population.spikes", "population.u", ... [steps, B, neurons], and per output the first
    chip step that it holds (0: all steps). ``record`` names populations; None: all.

    Raises:
        OptionError: Lava is not set up here.  ChipError: Lava failed, in its own words, or took more than ``seconds``.
    """
    python = lava_python()
    if python is None:
        raise OptionError(
            "--against lava", "there is no Lava here", "snndeploy doctor --setup-lava makes a place for it (needs Python 3.10)"
        )
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as spare:
        given, kept = Path(spare) / "inputs.npz", Path(spare) / "trace.npz"
        np.savez(given, **inputs)  # type: ignore[arg-type]  # NumPy's stub takes the keywords for options
        command = [str(python), str(folder / "run_network.py"), str(given), "-o", str(kept)]
        _finish(command if record is None else [*command, "--record", ",".join(record)], seconds, Path(spare))
        with np.load(kept) as stored:
            arrays = dict(stored)
    first = {name.removeprefix("first."): int(value) - 1 for name, value in arrays.items() if name.startswith("first.")}
    outputs = {name: values for name, values in arrays.items() if not name.startswith("first.")}
    samples = next(iter(inputs.values())).shape[1]
    trace = Trace(f"Lava {VERSION}", 0, samples, {}, outputs, seconds=time.perf_counter() - started)
    return trace, {name: first[name.rsplit(".", 1)[0]] for name in outputs}


def _finish(command: list[str], seconds: float, folder: Path) -> None:
    """Run a command to its end; whatever it started is ended with it."""
    with (folder / "said").open("w+b") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True, env=_environment())  # noqa: S603 - our own script
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            hint = "try fewer samples: Lava starts a process for every layer and record"
            raise ChipError("Lava", f"did not finish in {seconds:g} s, and was ended", hint) from None
        finally:
            _end(process)
        said.seek(0)
        words = said.read().decode(errors="replace").strip().splitlines()
    if code:
        reason = next((line for line in reversed(words) if line and not line.startswith(" ")), "without a word")
        raise ChipError("Lava", f"failed: {reason}", f"the Python it ran on is {command[0]}")


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment() -> dict[str, str]:
    """Without the caller's Python paths: Lava's environment is its own."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
