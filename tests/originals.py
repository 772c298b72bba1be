"""The original libraries, for tests that run beside them."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

SLAYER = "lava.lib.dl.slayer"
BRAINCOG = "braincog"
"""Its front door imports brain areas, model zoos and plots: torchvision, timm, OpenCV. A neuron needs torch and einops."""
PICTURES = (f"{SLAYER}.object_detection", "matplotlib", "matplotlib.pyplot", "matplotlib.animation")
"""What slayer imports for pictures alone; no neuron, synapse or block uses it."""


def _without_pictures() -> None:
    """Let slayer be imported where OpenCV, torchvision and matplotlib are not."""
    for name in PICTURES:
        sys.modules.setdefault(name, types.ModuleType(name))
    for part in ("pyplot", "animation"):
        home = sys.modules["matplotlib"]
        setattr(home, part, getattr(home, part, sys.modules[f"matplotlib.{part}"]))


def _without_its_front(package: str) -> None:
    """Let a part of a library be imported where the rest of it, which its ``__init__`` files pull in, wants what is not there."""
    found = importlib.util.find_spec(package)
    for home in map(Path, found.submodule_search_locations or () if found else ()):
        for folder in (home, *(file.parent for file in home.rglob("__init__.py"))):
            name = ".".join((package, *folder.relative_to(home).parts))
            module = sys.modules.setdefault(name, types.ModuleType(name))
            module.__path__ = [str(folder)]


def library(name: str) -> Any:
    """A library, or a skip; where SNNDEPLOY_REQUIRE_LIBRARIES names it, it must be there. What it warns of on import is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if name.startswith(SLAYER):
                _without_pictures()
            if name.startswith(f"{BRAINCOG}.") and BRAINCOG not in sys.modules:
                _without_its_front(BRAINCOG)
            return importlib.import_module(name)
        except ImportError as missing:
            if name.partition(".")[0] in os.environ.get("SNNDEPLOY_REQUIRE_LIBRARIES", "").split("-"):
                raise
            pytest.skip(f"{name}: {missing}")


def netx_benchmark() -> types.ModuleType:
    """The benchmark that writes networks and has lava-dl's netx run them."""
    path = Path(__file__).parents[1] / "benchmarks" / "netx_networks.py"
    spec = importlib.util.spec_from_file_location("netx_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
