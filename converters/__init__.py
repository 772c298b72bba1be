"""Formats in and out. The folder is the registry: one module a format, and nothing to register.

A module (or package) in this folder is a format if it defines ``SUFFIXES`` (its own first) and any of

    load(path, options) -> Loaded | Graph | ChipNetwork      (``options`` may be left out)
    save(noun, path) -> what was lost, or None               a Graph or a ChipNetwork (with ``lossy`` where it can lose)
    save_program(network, path)                              a ChipNetwork as a program for another tool

Importing this package loads none of them; a format imports its framework inside its functions.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Literal, TypeAlias

from snndeploy.arrays import Floats
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import ModelError, OptionError, did_you_mean
from snndeploy.ir.graph import Graph, Node
from snndeploy.options import RESETS as RESETS
from snndeploy.options import Options as Options
from snndeploy.options import same_steps as same_steps

OWNER = "snndeploy"
"""Tells this package from a foreign one of the same name: ``getattr(converters, "OWNER", None) == "snndeploy"``."""

Origin: TypeAlias = Literal["model", "probed", "file", "user", "ASSUMED"]
"""Where a fact was read: the model's own parameters or code, its answers, a file, an option, or nowhere (a default)."""


@dataclass(frozen=True)
class Fact:
    """One thing that is known of a layer, and where it was read."""

    name: str
    value: str
    origin: Origin


@dataclass(frozen=True)
class LayerSource:
    """What a layer of the graph computes, what it was in the model, and where each fact was read."""

    layer: str
    computes: str
    was: str
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, eq=False)
class Witness:
    """A run of the original model, to hold the graph against.

    Attributes:
        steps: T.
        inputs: by Input name, [T, B, *shape], or [1, B, *shape] where the Input is static.
        outputs: by Output name, what the model gave: [T, B, *shape] where the Output decodes "none", else [B, *shape].
        told: by node name, what the neurons sent in that run, [T, B, *shape], NaN where it is not known.
        arithmetic: the coarsest float type that the run computed in; a difference that its rounding explains is a tie.
    """

    steps: int
    inputs: Mapping[str, Floats]
    outputs: Mapping[str, Floats]
    told: Mapping[str, Floats] = field(default_factory=dict)
    arithmetic: str = "float64"


@dataclass(frozen=True)
class Loaded:
    """A model read as a network.

    Attributes:
        graph: the network.
        semantics: one entry a layer, in running order.
        assumptions: what was taken for granted, each with the option that changes it.
        steps: T where the model or the user says it, else None.
        witness: a run of the original model, where there is one to run: in float64 if it can.
        own: a run in the model's own number type, where that is another.
        probed: what running its parts showed them to be; the case count is in each.
        say: layers and the neurons that they shall be -> how the user says so in their library's words; "" where no words do.
    """

    graph: Graph
    semantics: tuple[LayerSource, ...] = ()
    assumptions: tuple[str, ...] = ()
    steps: int | None = None
    witness: Witness | None = None
    probed: tuple[str, ...] = ()
    say: Callable[[Mapping[str, Node]], str] = lambda _: ""
    own: Witness | None = None


@dataclass(frozen=True)
class Format:
    """One format: its name, the suffixes it answers to, and what it can do."""

    name: str
    suffixes: tuple[str, ...]
    loads: bool
    saves: bool


WRITERS = ("save", "save_program")


def formats() -> tuple[Format, ...]:
    """Every format in this folder, by name."""
    found = ((name, module) for name, module in _modules().items() if hasattr(module, "SUFFIXES"))
    return tuple(Format(name, tuple(m.SUFFIXES), hasattr(m, "load"), any(hasattr(m, w) for w in WRITERS)) for name, m in found)


def load(path: str | Path, options: Options | None = None) -> Loaded | ChipNetwork:
    """Read a model file by its suffix.

    Raises:
        ModelError: missing, empty, a folder, of an unknown format, or whatever the format finds wrong.
        OptionError: an option that changes nothing of such a file.
    """
    file = Path(path)
    module = _module_for(file, "load")
    _readable(file)
    chosen = options or Options()
    if len(inspect.signature(module.load).parameters) > 1:
        noun = module.load(file, chosen)
    else:
        chosen.only(f"a {file.suffix} file")
        noun = module.load(file)
    return Loaded(noun) if isinstance(noun, Graph) else noun


def save(noun: Graph | ChipNetwork, path: str | Path, *, lossy: bool = False) -> tuple[str, ...]:
    """Write a graph or a chip network in the format of the suffix; returns what was lost, () if nothing.

    What a format cannot say is refused, or with ``lossy`` written as the nearest that it can say and listed.

    Raises:
        ModelError: an unknown suffix.  Unsupported: what cannot be said.
    """
    return _saved(_module_for(Path(path), "save"), noun, Path(path), lossy)


def export(noun: Graph | ChipNetwork, to: str, path: str | Path, *, lossy: bool = False) -> tuple[str, ...]:
    """As ``save``, in the format of that name or suffix ("nir", "net", ...), whatever the file is called.

    Raises:
        OptionError: no such format to write.
    """
    module = _module_named(to)
    if isinstance(noun, ChipNetwork) and hasattr(module, "save_program"):
        return tuple(module.save_program(noun, Path(path)) or ())
    if not hasattr(module, "save"):
        raise ModelError(str(path), f"{to} takes chip networks, and this is a float graph", "convert it, and export the chip network")
    return _saved(module, noun, Path(path), lossy)


def suffix_of(to: str) -> str:
    """What a file of that format ends in. Raises ``OptionError`` where there is no such format to write."""
    return str(_module_named(to).SUFFIXES[0])


def _saved(module: ModuleType, noun: Graph | ChipNetwork, path: Path, lossy: bool) -> tuple[str, ...]:
    loses = "lossy" in inspect.signature(module.save).parameters
    return tuple((module.save(noun, path, lossy=lossy) if loses else module.save(noun, path)) or ())


def _module_named(to: str) -> ModuleType:
    able = {n: m for n, m in _modules().items() if hasattr(m, "SUFFIXES") and any(hasattr(m, w) for w in WRITERS)}
    for name, module in able.items():
        if to.lower() in (name, module.SUFFIXES[0].removeprefix(".")):
            return module
    raise OptionError("--to", f"{to!r} is no format that can be written", did_you_mean(to, [m.SUFFIXES[0][1:] for m in able.values()]))


def _modules() -> Mapping[str, ModuleType]:
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    return {name: importlib.import_module(f"{__name__}.{name}") for name in names}


def _module_for(file: Path, verb: Literal["load", "save"]) -> ModuleType:
    """The format with the longest suffix that ends the file's name."""
    able = [m for m in _modules().values() if hasattr(m, "SUFFIXES") and hasattr(m, verb)]
    matches = [(len(s), m) for m in able for s in m.SUFFIXES if file.name.lower().endswith(s)]
    if matches:
        return max(matches, key=lambda match: match[0])[1]
    suffixes = [s for m in able for s in m.SUFFIXES]
    if verb == "load" and not file.suffix:
        _readable(file)
    raise ModelError(str(file), f"no format to {verb} ends in {file.suffix!r}", did_you_mean(file.suffix, suffixes))


def _readable(file: Path) -> None:
    if file.is_dir():
        raise ModelError(str(file), "is a folder, not a model file", "name the file inside it")
    if not file.exists():
        siblings = [p.name for p in file.parent.iterdir()] if file.parent.is_dir() else []
        raise ModelError(str(file), "there is no such file", did_you_mean(file.name, siblings) if siblings else "check the path")
    if file.stat().st_size == 0:
        raise ModelError(str(file), "is empty (0 bytes)", "copy or download it again; the transfer was cut short")
