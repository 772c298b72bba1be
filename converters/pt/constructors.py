"""The words of ``--neuron`` and ``--layer``: ``pattern: LIFNode(tau=2.0, v_reset=None)``, or ``pattern: tau=2.0``.

A pattern is one or more names with ``*`` and ``?``, separated by commas. Behind it stand parts, in constructor syntax,
or settings alone. Values are literals; nothing is evaluated.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from converters import Options
from converters.pt.generic import GENERIC
from converters.pt.libraries import LIBRARIES
from converters.pt.neuron import Library, NeuronClass
from snndeploy.errors import OptionError, Unsupported, did_you_mean

EXAMPLE = "'lif*: LIF(tau=2.0, threshold=1.0, reset=\"zero\")', or 'lif*: tau=2.0'"
LONGEST = 2000
ALIASES = {"slayer": "lava", "lava-dl": "lava"}
KNOWN = (GENERIC, *LIBRARIES)
USUAL: Mapping[str, str] = {
    "spikingjelly": "LIFNode",
    "norse": "LIFCell",
    "sinabs": "IAF",
    "snntorch": "Leaky",
    "braincog": "LIFNode",
    "lava": "CUBA",
}
"""The class that settings alone are meant for, where the file names none."""


@dataclass(frozen=True)
class Said:
    """One part as the user wrote it; ``kind`` "" where only settings are given."""

    kind: str
    args: tuple[Any, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """What the user said of the names that match ``pattern``."""

    flag: str
    pattern: str
    parts: tuple[Said, ...]

    def matches(self, name: str) -> bool:
        """Whether a name is meant."""
        return any(fnmatchcase(name, one.strip()) for one in self.pattern.split(","))

    def names(self) -> Iterator[str]:
        """The names that are written out, without wildcards."""
        yield from (one for word in self.pattern.split(",") if (one := word.strip()) and not set(one) & set("*?["))


def wishes(options: Options) -> tuple[Wish, ...]:
    """``options.neuron`` and ``options.layer``, read. Raises ``OptionError`` for text that is not of this form."""
    both = (("--neuron", options.neuron), ("--layer", options.layer))
    return tuple(Wish(flag, pattern, parse(flag, pattern, text)) for flag, said in both for pattern, text in said.items())


def parse(flag: str, pattern: str, text: str) -> tuple[Said, ...]:
    """``LIFNode(tau=2.0), AvgPool2d(2)`` or ``tau=2.0, v_reset=None``. Raises ``OptionError``."""
    where = f"{flag} '{pattern}: {text[:80]}'"
    try:
        tree = ast.parse(f"said({text.strip()})" if len(text) <= LONGEST else "", mode="eval").body
        if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
            if tree.keywords and not tree.args:
                return (Said("", (), _keywords(tree)),)
            if tree.args and not tree.keywords:
                return tuple(_part(argument) for argument in tree.args)
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        pass
    raise OptionError(where, "is not a part with literal arguments", f"write {EXAMPLE}")


def _part(tree: ast.expr) -> Said:
    if isinstance(tree, ast.Name):
        return Said(tree.id)
    if isinstance(tree, ast.Call) and isinstance(tree.func, ast.Name):
        return Said(tree.func.id, tuple(ast.literal_eval(a) for a in tree.args), _keywords(tree))
    raise ValueError("not a part")


def _keywords(tree: ast.Call) -> dict[str, Any]:
    if not all(k.arg for k in tree.keywords):
        raise ValueError("**")
    return {str(k.arg): ast.literal_eval(k.value) for k in tree.keywords}


def library_named(source: str | None) -> tuple[Library | None, str]:
    """The library of ``--source`` and its release: ``snntorch==1.0``. Raises ``OptionError`` for an unknown one."""
    if source is None:
        return None, ""
    name, _, release = source.partition("==")
    wanted = ALIASES.get(name.strip().lower(), name.strip().lower())
    found = next((library for library in KNOWN if library.name == wanted), None)
    if found is None:
        raise OptionError("--source", f"{source!r} is no library of torch networks known here", did_you_mean(name, [k.name for k in KNOWN]))
    return found, release.strip()


def neuron_named(kind: str, source: Library | None, where: str) -> tuple[Library, NeuronClass]:
    """The class a word stands for: of ``source``, else the project's own, else the one library that has it.

    Raises ``OptionError`` for a word no library has or several have, ``Unsupported`` for a class that is refused.
    """
    among = KNOWN if source is None else (source,)
    hits = [library for library in among if kind in library.neurons]
    refused = [library for library in among if kind in library.refused]
    if not hits and refused:
        raise Unsupported(
            where, f"{refused[0].name}'s {kind}: {refused[0].refused[kind]}", "use a neuron of the table in the documentation"
        )
    if not hits:
        raise OptionError(where, f"{kind!r} is no neuron known here", did_you_mean(kind, {n for library in among for n in library.neurons}))
    if len(hits) > 1 and hits[0] is not GENERIC:
        names = " and ".join(library.name for library in hits)
        raise OptionError(where, f"{kind} is a class of {names}, and they differ", f"say which: --source {hits[0].name}")
    return hits[0], hits[0].neurons[kind]


def is_neuron(kind: str) -> bool:
    """Whether some library has, or refuses, a neuron of this name."""
    return any(kind in library.neurons or kind in library.refused for library in KNOWN)


def settings_from(said: Said, kind: NeuronClass, where: str) -> dict[str, Any]:
    """Arguments by name, positions in the constructor's order. Raises ``OptionError`` for an unknown one."""
    names = list(kind.defaults)
    if len(said.args) > len(names):
        raise OptionError(where, f"{said.kind} takes {len(names)} arguments, not {len(said.args)}", f"they are {', '.join(names)}")
    given = dict(zip(names, said.args, strict=False)) | dict(said.settings)
    unknown = [name for name in given if name not in (*names, *kind.keys)]
    if unknown:
        raise OptionError(where, f"{unknown[0]!r} is no argument of {said.kind or 'this neuron'}", did_you_mean(unknown[0], names))
    return given
