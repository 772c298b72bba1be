"""Neuron classes that no table knows: found out by running them, and taken only if not one of a million steps differs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from torch import Tensor, nn

from converters.pt import libraries, stating, torch_nn
from converters.pt.blackbox import Heard, alone, listening
from converters.pt.finding import Found, check_named, identify, spikes
from converters.pt.layers import entry, kind
from converters.pt.libraries import ADOPTED
from converters.pt.naming import Named, adopt
from converters.pt.neuron import Library, Neuron, NeuronClass, Settings
from converters.pt.restoring import kept
from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported

TAKES: Mapping[str, tuple[str, ...]] = {"B": ("B",), "TB": ("T", "B"), "BT": ("B", "T")}


@contextmanager
def probed(module: nn.Module, inputs: Mapping[str, Tensor], named: Mapping[str, Named]) -> Iterator[list[str]]:
    """While inside, every part that is a neuron of no known class stands for what it was found to be; gives the notes.

    ``named`` are the parts that the user named, by path; they are held against what they were named.

    Raises ``Unsupported`` for one that spikes and is none of the graph's neurons, with the first case that differs.
    """
    notes: list[str] = []
    heard = _heard(module, inputs, named)
    done: list[str] = []
    with ExitStack() as undo:
        for path, how in heard.items():
            part = module.get_submodule(path)
            where = f"{path or 'the model'} ({type(part).__name__})"
            if path in named:
                notes.append(check_named(named[path], how, where))
            elif not any(path.startswith(f"{other}.") or not other for other in done) and spikes(part, how):
                found = _found(part, how, where)
                done.append(path)
                _stand_in(part, found, bool(how.state), undo)
                notes.append(f"{type(part).__name__} = {stating.in_words(found.neuron)}: {found.said}")
        notes += [n.unheard() for path, n in named.items() if path not in heard]
        yield list(dict.fromkeys(notes))


def _found(part: nn.Module, how: Heard, where: str) -> Found:
    try:
        return identify(part, how, where)
    except Unsupported as why:
        changed = libraries.refusal(part)
        raise Unsupported(where, f"{changed[0]}, and {why.what}" if changed else why.what, why.hint) from None


def _stand_in(part: nn.Module, found: Found, functional: bool, undo: ExitStack) -> None:
    def build(_: Settings, __: Shape) -> Neuron:
        return replace(found.neuron, origin="probed")

    library = Library("probed", {}, takes=lambda _: TAKES[found.lead], passes_state=functional)
    adopt(part, library, NeuronClass(build), undo, keeps=not functional)


def _heard(module: nn.Module, inputs: Mapping[str, Tensor], named: Mapping[str, Named]) -> Mapping[str, Heard]:
    """The first calls of the parts that may be neurons, outermost first; none where the model does not run at all."""
    settled = tuple(f"{path}." for path, part in module.named_modules() if path and _settled(part))
    parts = {
        path: part for path, part in module.named_modules() if path in named or (not path.startswith(settled or (" ",)) and _may_be(part))
    }
    if not parts:
        return {}
    with kept(module), listening(parts) as heard, alone(next(iter(inputs.values())).dtype):
        module.eval()
        try:
            module(**{name: x.clone() for name, x in inputs.items()})
        except Exception:  # noqa: BLE001 - the user's own code; tracing runs it again and says what is wrong
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
