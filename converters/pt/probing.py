"""Neuron classes that no table knows: found out by running them, and taken only if not one of a million steps differs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from converters.pt import libraries, stating, torch_nn
from converters.pt.blackbox import alone
from converters.pt.calling import Calling, call
from converters.pt.finding import Found, check_named, identify, recognized, spikes
from converters.pt.hearing import Heard, listening
from converters.pt.holding import copy_of
from converters.pt.keeping import alike
from converters.pt.layers import entry, kind
from converters.pt.leaking import leaks
from converters.pt.libraries import ADOPTED
from converters.pt.naming import Named, adopt
from converters.pt.neuron import Library, Neuron, NeuronClass, Settings
from converters.pt.obstacles import each, meant, together
from converters.pt.recording import record
from converters.pt.restoring import kept
from snndeploy.arrays import Shape
from snndeploy.errors import SnnError, Unsupported

TAKES: Mapping[str, tuple[str, ...]] = {"B": ("B",), "TB": ("T", "B"), "BT": ("B", "T")}


@contextmanager
def probed(module: nn.Module, calling: Calling, named: Mapping[str, Named]) -> Iterator[list[str]]:
    """While inside, every part that is a neuron of no known class stands for what it was found to be; gives the notes.

    ``named`` are the parts that the user named, by path; they are held against what they were named.

    Raises ``Unsupported`` for one that spikes and is none of the graph's neurons, with the first case that differs; ``Obstacles``
    for several, and for what else in a run of the module has no meaning.
    """
    notes: list[str] = []
    heard = _heard(module, calling, named)
    done: list[str] = []
    met: list[Met] = []
    wrong: dict[str, Unsupported] = {}
    with ExitStack() as undo:
        for path, how in heard.items():
            part = module.get_submodule(path)
            where = f"{path or 'the model'} ({type(part).__name__})"
            if path in named:
                notes.append(check_named(named[path], how, where))
            elif not any(path.startswith(f"{other}.") or not other for other in (*done, *wrong)):
                found = _tried(part, how, where, met, wrong, path)
                if found is not None:
                    done.append(path)
                    _stand_in(part, found, undo)
        if wrong:
            raise _all(module, calling, wrong)
        notes += [str(one) for one in met]
        notes += [n.unheard() for path, n in named.items() if path not in heard]
        yield list(dict.fromkeys(notes))


def _tried(part: nn.Module, how: Heard, where: str, met: list[Met], wrong: dict[str, Unsupported], path: str) -> Found | None:
    """What a module is; one that is none of the graph's neurons is noted in ``wrong``, so that the others are looked at too."""
    try:
        return _met(part, how, where, met)
    except Unsupported as error:
        wrong[path] = error
        return None


def _all(module: nn.Module, calling: Calling, wrong: Mapping[str, Unsupported]) -> SnnError:
    """The neurons that were not found out, and what else of a run has no meaning, but for what is inside them."""
    try:
        tape = record(module, calling, 1, kind)
        maps = meant(tape.calls, tape.shapes)
        beyond = [error for path, error in each(tape) if not _inside(path, wrong)]
    except SnnError:
        maps, beyond = (), []
    found = together([*wrong.values(), *beyond], tuple(path for path in maps if not _inside(path, wrong)))
    assert found is not None
    return found


def _inside(path: str, parts: Iterable[str]) -> bool:
    return any(path == one or path.startswith(f"{one}.") or not one for one in parts)


@dataclass(eq=False)
class Met:
    """A class with its settings as it was first met, and how often and how long its equals were held against it."""

    part: nn.Module
    found: Found
    places: int = 0
    steps: int = 0

    def __str__(self) -> str:
        again = f"; at {self.places} more places 0 of {self.steps:,}" if self.places else ""
        return f"{type(self.part).__name__} = {stating.in_words(self.found.neuron)}: {self.found.said}{again}"


def _met(part: nn.Module, how: Heard, where: str, met: list[Met]) -> Found | None:
    """What a module is: what its equal was found to be, if it holds here too; else by probing. None for no neuron."""
    for one in met:
        steps = recognized(part, how, one.found, where) if alike(part, one.part) else 0
        if steps:
            one.places, one.steps = one.places + 1, one.steps + steps
            return one.found
    found = _found(part, how, where) if spikes(part, how) else leaks(part, how, where)
    if found is not None:
        met.append(Met(copy_of(part), found))
    return found


def _found(part: nn.Module, how: Heard, where: str) -> Found:
    try:
        return identify(part, how, where)
    except Unsupported as why:
        changed = libraries.refusal(part)
        raise Unsupported(where, f"{changed[0]}, and {why.what}" if changed else why.what, why.hint) from None


def _stand_in(part: nn.Module, found: Found, undo: ExitStack) -> None:
    def build(_: Settings, __: Shape) -> Neuron:
        return replace(found.neuron, origin="probed")

    library = Library("probed", {}, takes=lambda _: TAKES[found.lead], passes_state=found.functional)
    adopt(part, library, NeuronClass(build), undo, keeps=not found.functional)


def _heard(module: nn.Module, calling: Calling, named: Mapping[str, Named]) -> Mapping[str, Heard]:
    """The first calls of the parts that may be neurons, outermost first; none where the model does not run at all."""
    settled = tuple(f"{path}." for path, part in module.named_modules() if path and _settled(part))
    parts = {
        path: part for path, part in module.named_modules() if path in named or (not path.startswith(settled or (" ",)) and _may_be(part))
    }
    if not parts:
        return {}
    with kept(module), listening(parts) as heard, alone(calling.dtype):
        module.eval()
        before: Any = None
        try:
            # the second step says which of what a part is handed is a setting
            for step in range(2):
                before = call(module, calling.arguments(calling.at(step), before, not step))
        except Exception:  # noqa: BLE001 - the user's own code; tracing runs it again and says what is wrong
            if not (step and heard) or calling.carried:
                return {}
    return {path: heard[path] for path in parts if path in heard}


def _settled(part: nn.Module) -> bool:
    """Whether a module is a neuron of a table, taken or refused: what is inside it (its surrogate) is no neuron of its own."""
    return ADOPTED in vars(part) or libraries.is_neuron(part) or libraries.refusal(part) is not None


def _may_be(part: nn.Module) -> bool:
    """Whether a module is of the user's own making and no layer of a table is inside it."""
    if ADOPTED in vars(part) or libraries.is_neuron(part) or type(part).__module__.startswith("torch.") or entry(part) is not None:
        return False
    if libraries.refusal(part) is not None and next(libraries.ancestors(part))[1] is not None:
        return False
    inside = [child for child in part.modules() if child is not part]
    return all(kind(c) is None or (entry(c) or ("", None))[1] is torch_nn.nothing for c in inside)
