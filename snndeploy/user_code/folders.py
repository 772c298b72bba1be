"""Where the user's files are: beside one another, in packages, and in the folders that PYTHONPATH names."""

from __future__ import annotations

import ast
import os
import sys
import tokenize
from pathlib import Path

LIBRARIES = frozenset(
    [
        *("snntorch", "spikingjelly", "norse", "sinabs", "lava", "braincog", "bindsnet", "slayerSNN", "nir", "nirtorch", "tonic"),
        *("torch", "torchvision", "timm", "brevitas", "snndeploy", "converters"),
    ]
)
"""Packages that are nobody's own code: a checkout of one, beside the user's files or on PYTHONPATH, is imported as it is."""


def is_checkout(file: Path) -> bool:
    """Whether a package's file is that of a library, checked out instead of installed."""
    return file.name == "__init__.py" and file.parent.name in LIBRARIES


def on_python_path() -> list[Path]:
    """The folders that the user put on Python's path (``PYTHONPATH``), in its order; none that packages are installed in."""
    said = {Path(p).resolve() for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p}
    found = [Path(p).resolve() for p in sys.path if p and Path(p).resolve() in said]
    return [folder for folder in found if not of_python(folder / "__init__.py")]


def of_python(file: Path) -> bool:
    """Whether a file belongs to Python or to what is installed in it."""
    roots = {str(Path(p).resolve()) for p in (sys.prefix, sys.base_prefix)}
    return "site-packages" in file.parts or "dist-packages" in file.parts or any(str(file.resolve()).startswith(r + os.sep) for r in roots)


def dotted_name(path: Path) -> tuple[str, Path]:
    """The name by which a file with relative imports is imported, and the folder of its top package; the stem and its folder for others."""
    levels = _levels(path)
    parts, folder = [path.stem], path.parent
    while levels and ((folder / "__init__.py").is_file() or len(parts) <= max(levels)) and folder != folder.parent:
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


def _levels(path: Path) -> list[int]:
    """How many folders up each relative import of a file goes; none where it is no Python, which its opening says."""
    try:
        with tokenize.open(str(path)) as stream:
            tree = ast.parse(stream.read())
    except (SyntaxError, ValueError, OSError, RecursionError):
        return []
    return [node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
