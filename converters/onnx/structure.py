"""Nouns as JSON: every dataclass by its class and fields, every array as the name of an initializer."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import pkgutil
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy import chip, ir
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node, stated

SCHEMA = 2
"""Rises whenever a saved file could read differently, or the same network would give other bytes."""
RECORDED = 3
"""The schema of a chip network that holds the record of its conversion: older readers take it for a changed file."""

Arrays = dict[str, NDArray[Any]]


def nouns(package: Any) -> dict[str, type]:
    """Every dataclass defined in a package (``snndeploy.ir`` or ``snndeploy.chip``), by class name."""
    found: dict[str, type] = {}
    for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        classes = (c for c in vars(module).values() if isinstance(c, type) and dataclasses.is_dataclass(c))
        found.update({c.__name__: c for c in classes if c.__module__ == module.__name__})
    return found


def kinds(noun: str) -> dict[str, type]:
    """The classes a saved "graph" or "chip" may be made of; of a node's, those that run."""
    found = nouns({"graph": ir, "chip": chip}[noun])
    return {name: kind for name, kind in found.items() if not (issubclass(kind, Node) and kind.step is Node.step)}


def encode(value: Any, path: str, arrays: Arrays) -> Any:
    """A noun as JSON; its arrays go to ``arrays`` under their dotted path. Raises ``Unsupported`` on other objects."""
    if isinstance(value, np.ndarray):
        # -0.0 equals 0.0, so both are saved as the same bytes
        arrays[path] = np.asarray(value + 0)
        return {"array": path}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        saved = {f.name: getattr(value, f.name) for f in stated(value) if not _left_out(f, value)}
        fields = {name: encode(held, f"{path}.{name}", arrays) for name, held in saved.items()}
        return {"class": type(value).__name__, "fields": fields}
    if isinstance(value, Mapping):
        return {"map": [[key, encode(value[key], f"{path}.{key}", arrays)] for key in value]}
    if isinstance(value, tuple | list):
        return [encode(v, f"{path}.{i}", arrays) for i, v in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise Unsupported(path, f"a {type(value).__name__} cannot be saved")


def _left_out(field: dataclasses.Field[Any], noun: Any) -> bool:
    """True for a field that was added later and holds its default: the same network keeps the bytes it had."""
    return bool(field.metadata.get("later")) and bool(getattr(noun, field.name) == field.default)


def decode(value: Any, arrays: Mapping[str, NDArray[Any]], classes: Mapping[str, type]) -> Any:
    """The noun again. Raises ``KeyError``, ``TypeError``, ``ValueError`` or the noun's own error if it is not one."""
    if isinstance(value, list):
        return tuple(decode(v, arrays, classes) for v in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]]
    if "map" in value:
        return {key: decode(v, arrays, classes) for key, v in value["map"]}
    fields = {name: decode(v, arrays, classes) for name, v in value["fields"].items()}
    return classes[value["class"]](**fields)


def text(value: Any) -> str:
    """Compact JSON, the same for the same value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(structure: str, arrays: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of the structure and of every array's name, shape and exact values (float64 or int64)."""
    total = hashlib.sha256(structure.encode())
    for name in sorted(arrays):
        values = arrays[name]
        wide = values.astype("<i8" if np.issubdtype(values.dtype, np.integer) else "<f8")
        total.update(f"\n{name} {wide.dtype.str} {list(wide.shape)}\n".encode())
        total.update(wide.tobytes())
    return total.hexdigest()
