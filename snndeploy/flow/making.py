"""How a network was made: by which command, with which tools, from which files and data. Never where."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path
from typing import Any

from snndeploy.data import Samples
from snndeploy.flow.feeding import Feed
from snndeploy.report.report import Making, SourceFile

TOOLS = ("snndeploy", "numpy", "onnx", "onnxruntime", "torch", "z3-solver", "lava-nc", "h5py")


def making_of(data: Feed, command: str, files: tuple[SourceFile, ...]) -> Making:
    """How a network was made that was judged on these data."""
    return Making(command, versions(), files, data.used)


def files_of(model: Any, samples: Samples | None, code: Path | None = None) -> tuple[SourceFile, ...]:
    """The files behind a conversion, hashed: the model, the code that builds it, the data."""
    spec = samples.where if samples else ""
    code_of_data = spec.rpartition(".py:")[0]
    data = f"{code_of_data}.py" if code_of_data else spec
    named = [("model", model if isinstance(model, str | Path) else ""), ("code", code or ""), ("data", data)]
    return tuple(source_file(role, Path(path)) for role, path in named if path and Path(path).is_file())


def source_file(role: str, path: Path) -> SourceFile:
    """A file by its bytes; of its place only the name is kept."""
    total, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            total.update(chunk)
            size += len(chunk)
    return SourceFile(role, path.name, size, total.hexdigest())


def versions() -> dict[str, str]:
    """Python and the packages that may have had a hand in it; what is not installed is left out."""
    installed = {name: version for name in TOOLS if (version := _version(name)) is not None}
    return {"python": platform.python_version(), **installed}


def _version(package: str) -> str | None:
    from importlib import metadata  # noqa: PLC0415 - slow to load, and only a record asks for versions

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
