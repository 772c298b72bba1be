"""``--neuron-class``: what a neuron class of the user's own code is, in the words of ``--neuron``.

``MyLIF: LIF(tau=2.0)`` says all of it; ``MyLIF: LIF`` takes from the module's attributes what has the name of a
setting (tau, threshold, v_reset, ...), and the class's defaults for the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from torch import Tensor, nn

from converters.pt.constructors import KNOWN, neuron_named, parse, settings_from
from converters.pt.generic import GENERIC
from converters.pt.keeping import keep
from converters.pt.libraries import ADOPTED, Attributes
from converters.pt.neuron import REQUIRED, Library, Neuron, NeuronClass, Settings
from snndeploy.arrays import Shape
from snndeploy.errors import OptionError, did_you_mean

FLAG = "--neuron-class"


class Numbers(Attributes):
    """A module's attributes that are values: not its methods."""

    def __contains__(self, name: object) -> bool:
        return isinstance(getattr(self.module, str(name), self), Tensor | int | float | str | None)


@dataclass(frozen=True, eq=False)
class Named:
    """A part that the user named."""

    part: nn.Module
    text: str

    def unheard(self) -> str:
        """The note for a part that could not be run by itself."""
        return f"ASSUMED: {type(self.part).__name__} is {self.text} because --neuron-class says so; it was held against the trial run only"


@contextmanager
def adopted(module: nn.Module, named: Mapping[str, str]) -> Iterator[Mapping[str, Named]]:
    """While inside, every part of a named class stands for the neuron it was named; gives them by path.

    Raises ``OptionError`` for words that are no neuron, or a pattern that matches no class of the module.
    """
    parts = {path: part for path, part in module.named_modules() if part is not module or not list(module.children())}
    found: dict[str, Named] = {}
    with ExitStack() as undo:
        for pattern, text in named.items():
            meant = {path: part for path, part in parts.items() if fnmatchcase(type(part).__name__, pattern)}
            if not meant:
                kinds = sorted({type(part).__name__ for part in parts.values()})
                raise OptionError(f"{FLAG} '{pattern}: {text}'", "no class of the model has this name", did_you_mean(pattern, kinds))
            for path, part in meant.items():
                adopt(part, *entry(pattern, text, part, path), undo)
                found[path] = Named(part, text)
        yield found


def adopt(part: nn.Module, library: Library, kind: NeuronClass, undo: ExitStack, *, keeps: bool = True) -> None:
    """Let a module stand for a table's entry until ``undo`` closes; its state is then what it was.

    ``keeps``: it holds its state itself.
    """
    kept = keep(part)
    undo.callback(kept.forget)
    undo.callback(part.__dict__.pop, ADOPTED, None)
    takes = library.takes if library is not GENERIC else _lead
    memory = kept.memory if keeps else library.memory
    part.__dict__[ADOPTED] = (replace(library, takes=takes, memory=memory, forget=kept.forget), kind)


def entry(pattern: str, text: str, part: nn.Module, path: str) -> tuple[Library, NeuronClass]:
    """The table's entry that was named, reading what was said, then the module's own values, then its defaults."""
    where = f"{FLAG} '{pattern}: {text[:80]}'"
    said = parse(FLAG, pattern, text)
    if len(said) != 1 or not said[0].kind:
        words = sorted({name for library in KNOWN for name in library.neurons})
        raise OptionError(where, "names no neuron", f"one of {', '.join(words[:12])}, ...: {FLAG} '{pattern}: LIF(tau=2.0)'")
    library, kind = neuron_named(said[0].kind, None, where)
    given = settings_from(said[0], kind, where)
    silent = (REQUIRED, None) if library is GENERIC else (REQUIRED,)
    defaults = {name: value for name, value in kind.defaults.items() if all(value is not none for none in silent)}

    def build(settings: Settings, shape: Shape) -> Neuron:
        own: Mapping[str, Any] = Numbers(part)
        inner = Settings(path, [("user", given), ("model", own), ("ASSUMED", defaults)], "", said[0].kind, settings.facts)
        return kind.build(inner, shape)

    return library, NeuronClass(build, kind.defaults)


def _lead(module: Any) -> tuple[str, ...]:
    return ("T", "B") if str(getattr(module, "step_mode", "s")) == "m" else ("B",)
