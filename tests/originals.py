"""The original libraries, for tests that run beside them."""

from __future__ import annotations

import importlib
import os
import sys
import types
import warnings
from typing import Any

import pytest

SLAYER = "lava.lib.dl.slayer"
PICTURES = (f"{SLAYER}.object_detection", "matplotlib", "matplotlib.pyplot", "matplotlib.animation")
"""What slayer imports for pictures alone; no neuron, synapse or block uses it."""


def _without_pictures() -> None:
    """Let slayer be imported where OpenCV, torchvision and matplotlib are not."""
    for name in PICTURES:
        sys.modules.setdefault(name, types.ModuleType(name))
    for part in ("pyplot", "animation"):
        home = sys.modules["matplotlib"]
        setattr(home, part, getattr(home, part, sys.modules[f"matplotlib.{part}"]))


def library(name: str) -> Any:
    """A library, or a skip; where SNNDEPLOY_REQUIRE_LIBRARIES names it, it must be there. What it warns of on import is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            if name.startswith(SLAYER):
                _without_pictures()
            return importlib.import_module(name)
        except ImportError as missing:
            if name.partition(".")[0] in os.environ.get("SNNDEPLOY_REQUIRE_LIBRARIES", "").split("-"):
                raise
            pytest.skip(f"{name}: {missing}")
