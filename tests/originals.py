"""The original libraries, for tests that run beside them."""

from __future__ import annotations

import importlib
import os
import warnings
from typing import Any

import pytest


def library(name: str) -> Any:
    """A library, or a skip; where SNNDEPLOY_REQUIRE_LIBRARIES names it, it must be there. What it warns of on import is not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module(name)
        except ImportError as missing:
            if name.partition(".")[0] in os.environ.get("SNNDEPLOY_REQUIRE_LIBRARIES", "").split("-"):
                raise
            pytest.skip(f"{name}: {missing}")
