"""What a module of the user's own code is: ``--neuron-class`` by the name of its class, ``--neuron`` by its place in the model.

``MyLIF: LIF(tau=2.0)`` says all of it; ``MyLIF: LIF`` takes from the module's attributes what has the name of a
setting (tau, threshold, v_reset, ...), and the class's defaults for the rest. What was said is held against the module's
own answers; a place outranks a class.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from torch import Tensor, nn

from converters import Options
from converters.pt import layers, torch_nn
from converters.pt.constructors import KNOWN, library_named, neuron_named, parse, settings_from
from converters.pt.generic import GENERIC
from converters.pt.keeping import keep
from converters.pt.libraries import ADOPTED, Attributes
from converters.pt.neuron import REQUIRED, Library, Neuron, NeuronClass, Settings
from snndeploy.arrays import Shape
from snndeploy.errors import OptionError, did_you_mean

Flag: TypeAlias = Literal["--neuron", "--neuron-class"]


class Numbers(Attributes):
    """A module's attributes that are values: not its methods."""

    def __contains__(self, name: object) -> bool:
        return isinstance(getattr(self.module, str(name), self), Tensor | int | float | str | None)


@dataclass(frozen=True, eq=False)
class Named:
    """A part that the user named, and with which option."""

    part: nn.Module
    text: str
    flag: Flag

    def unheard(self) -> str:
        """The note for a part that could not be run by itself."""
        return f"{self.believed()}; it was held against the trial run only"

    def believed(self) -> str:
        """The note for what is taken on the user's word."""
        return f"ASSUMED: {type(self.part).__name__} is {self.text} because {self.flag} says so"


@contextmanager
def adopted(module: nn.Module, options: Options) -> Iterator[Mapping[str, Named]]:
    """While inside, every part that the user named stands for the neuron it was named; gives them by path.

    Raises ``OptionError`` for words that are no neuron, or a pattern that matches nothing of the module.
    """
    parts = {path: part for path, part in module.named_modules() if part is not module or not list(module.children())}
    said: list[tuple[Flag, str, str]] = [("--neuron", *pair) for pair in options.neuron.items()]
    said += [("--neuron-class", *pair) for pair in options.neuron_class.items()]
    source = library_named(options.source)[0] if said else None
    found: dict[str, Named] = {}
    with ExitStack() as undo:
        for flag, pattern, text in said:
            for path, part in _meant(parts, flag, pattern, text).items():
                if path not in found:
                    adopt(part, *entry(flag, pattern, text, part, path, source), undo)
                    found[path] = Named(part, text, flag)
        yield found


def _meant(parts: Mapping[str, nn.Module], flag: Flag, pattern: str, text: str) -> Mapping[str, nn.Module]:
    """The parts that a pattern means: by class, or by place. Raises ``OptionError`` where there is none."""
    if flag == "--neuron-class":
        among = {path: (type(part).__name__, part) for path, part in parts.items()}
        what = "no class of the model has this name"
    else:
        among = {path: (path, part) for path, part in parts.items() if _may_stand(part)}
        what = "no part of the model that may be a neuron has this name"
    patterns = [pattern] if flag == "--neuron-class" else [one.strip() for one in pattern.split(",")]
    for one in patterns:
        if not any(fnmatchcase(name, one) for name, _ in among.values()):
            raise OptionError(f"{flag} '{pattern}: {text}'", what, did_you_mean(one, sorted({name for name, _ in among.values()})))
    return {path: part for path, (name, part) in among.items() if any(fnmatchcase(name, one) for one in patterns)}


def _may_stand(part: nn.Module) -> bool:
    """Whether a module is no layer of a table and holds none."""
    inside = [found for child in part.modules() if (found := layers.entry(child)) is not None]
    return not type(part).__module__.startswith("torch.") and all(convert is torch_nn.nothing for _, convert in inside)


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


def entry(flag: Flag, pattern: str, text: str, part: nn.Module, path: str, source: Library | None) -> tuple[Library, NeuronClass]:
    """The table's entry that was named, reading what was said, then the module's own values, then its defaults."""
    where = f"{flag} '{pattern}: {text[:80]}'"
    said = parse(flag, pattern, text)
    if len(said) != 1 or not said[0].kind:
        words = sorted({name for library in KNOWN for name in library.neurons})
        raise OptionError(where, "names no neuron", f"one of {', '.join(words[:12])}, ...: {flag} '{pattern}: LIF(tau=2.0)'")
    library, kind = neuron_named(said[0].kind, source, where)
    given = {name: value for name, value in settings_from(said[0], kind, where).items() if name not in kind.idle}
    silent = (REQUIRED, None) if library is GENERIC else (REQUIRED,)
    defaults = {name: value for name, value in kind.meaning.items() if all(value is not none for none in silent)}

    def build(settings: Settings, shape: Shape) -> Neuron:
        own: Mapping[str, Any] = Numbers(part)
        inner = Settings(path, [("user", given), ("model", own), ("ASSUMED", defaults)], "", said[0].kind, settings.facts)
        return kind.build(inner, shape)

    return library, NeuronClass(build, kind.defaults)


def _lead(module: Any) -> tuple[str, ...]:
    return ("T", "B") if str(getattr(module, "step_mode", "s")) == "m" else ("B",)
