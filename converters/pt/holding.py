"""Everything that a module holds, and what puts it back: attributes, lists, arrays, objects and classes of the user's own."""

from __future__ import annotations

import copy
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import suppress
from functools import partial
from types import FunctionType, GeneratorType, MethodType, ModuleType
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt.trees import branches

Held = TypeVar("Held")
Undo = Callable[[], None]
LIBRARIES = {"snntorch", "spikingjelly", "norse", "sinabs", "braincog", "lava"}
"""Their classes list every neuron that was ever made; the tables say what their neurons keep."""
FOREIGN = (
    sys.stdlib_module_names | LIBRARIES | {"torch", "numpy", "torchvision", "lightning", "pytorch_lightning", "datasets", "converters"}
) - {"types", "argparse", "__main__"}
"""Packages whose objects keep no state of a user's network, and may hold a whole data set."""


def copy_of(module: Held) -> Held:
    """A copy that shares nothing; of a tensor that a graph of gradients made, which torch does not copy, its numbers."""
    memo: dict[int, Any] = {}
    for tensor, _ in _reached(module):
        if isinstance(tensor, Tensor) and not tensor.is_leaf:
            memo[id(tensor)] = tensor.detach().clone()
    return copy.deepcopy(module, memo)


def _reached(module: Any) -> Iterator[tuple[Any, Undo | None]]:
    """Everything inside a module that could be put back, each once, and what puts it back; tensors among it, without that."""
    seen: set[int] = set()
    waiting: list[Any] = [module]
    while waiting:
        now = waiting.pop()
        if id(now) not in seen:
            seen.add(id(now))
            back, inside = (None, []) if isinstance(now, Tensor) else _container(now)
            waiting += inside
            yield now, back


def snapshot(module: nn.Module, weights: bool) -> list[Undo]:
    """What puts everything back, to be called last first; numbers in parameters only with ``weights``."""
    undo: list[Undo] = []
    for now, back in _reached(module):
        if back is not None:
            undo.append(back)
            _spare_iterators(now)
        elif isinstance(now, Tensor) and (weights or not isinstance(now, nn.Parameter)):
            undo.append(_tensor_back(now))
    return undo


def _spare_iterators(now: Any) -> None:
    """Copies in the place of iterators, so that a run uses up none of the user's; what was there is put back afterwards."""
    held = now if isinstance(now, MutableMapping) else getattr(now, "__dict__", None)
    if not isinstance(held, MutableMapping) or isinstance(now, type):
        return
    for key, value in list(held.items()):
        if isinstance(value, Iterator) and not isinstance(value, GeneratorType):
            with suppress(Exception):  # one that cannot be copied is used up
                held[key] = copy.copy(value)


def generators(module: nn.Module) -> dict[str, Any]:
    """Where the generators stand that parts of a module hold: nothing copies them, and every run uses them up."""
    held = ((f"{p}.{n}" if p else n, v) for p, part in module.named_modules() for n, v in vars(part).items())
    return {name: v.gi_frame and (v.gi_frame.f_lasti, repr(v.gi_frame.f_locals)) for name, v in held if isinstance(v, GeneratorType)}


def _container(now: Any) -> tuple[Undo | None, list[Any]]:
    """What puts the contents of a module, dict, list, set, array, class or other object back, and what is inside it."""
    if isinstance(now, nn.Module):
        forward = getattr(type(now), "forward", None)
        defaults = [getattr(forward, name, None) for name in ("__defaults__", "__kwdefaults__")]
        return _mapping_back(vars(now)), [*vars(now).values(), *defaults, *_classes(now)]
    if isinstance(now, MutableMapping):
        return _mapping_back(now), list(now.values())
    if isinstance(now, list | set | deque):
        return _items_back(now), list(now)
    if isinstance(now, np.ndarray):
        return _array_back(now), list(now.flat) if now.dtype.hasobject else []
    if isinstance(now, type):
        return (_class_back(now), [v for _, v in _class_values(now)]) if _users(now) else (None, [])
    if isinstance(now, MethodType | partial):
        return None, [now.__self__] if isinstance(now, MethodType) else [now.func, now.args, now.keywords]
    found = branches(now)
    if found is not None:
        return None if isinstance(now, tuple) else _fields_back(now, found), [*found.values(), *_classes(now)]
    return _object(now)


def _object(now: Any) -> tuple[Undo | None, list[Any]]:
    """The same for an instance of a class of the user's own: a monitor, a holder of states, a namespace."""
    if isinstance(now, FunctionType | ModuleType | Iterator) or not _users(type(now)):
        return None, []
    slots = {name for kind in type(now).__mro__ for name in _names(vars(kind).get("__slots__", ()))} - {"__dict__", "__weakref__"}
    fixed = {name: getattr(now, name) for name in slots if hasattr(now, name)}
    own = getattr(now, "__dict__", None)
    inside = [*fixed.values(), *_classes(now)]
    if not isinstance(own, dict):
        return _fields_back(now, dict(fixed)), inside
    back, rest = _mapping_back(own), _fields_back(now, dict(fixed))
    return (lambda: (back(), rest())[0]), [*inside, *own.values()]


def _names(slots: Any) -> tuple[str, ...]:
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _users(kind: type) -> bool:
    """Whether instances of a class may hold a state that a run changes: not those of Python, torch and the like."""
    return kind.__module__.partition(".")[0] not in FOREIGN


def _classes(now: Any) -> list[type]:
    """The user's own classes of an object: what stands in their attributes is shared by all instances."""
    return [kind for kind in type(now).__mro__ if _users(kind)]


def _class_values(kind: type) -> Iterator[tuple[str, Any]]:
    """A class's attributes that are values: no methods, and none of Python's own."""
    for name, value in list(vars(kind).items()):
        described = callable(value) or hasattr(value, "__get__")
        if not described and not (name.startswith("__") and name.endswith("__")):
            yield name, value


def _class_back(kind: type) -> Undo:
    saved = dict(_class_values(kind))

    def back() -> None:
        for name, value in list(_class_values(kind)):
            if name not in saved:
                delattr(kind, name)
            elif saved[name] is not value:
                setattr(kind, name, saved[name])

    return back


def _array_back(array: Any) -> Undo:
    saved = array.copy()

    def back() -> None:
        if array.flags.writeable:
            np.copyto(array, saved)

    return back


def _fields_back(now: Any, saved: Mapping[Any, Any]) -> Undo:
    def back() -> None:
        for name, value in saved.items():
            object.__setattr__(now, str(name), value)

    return back


def _mapping_back(now: MutableMapping[Any, Any]) -> Undo:
    saved = dict(now)

    def back() -> None:
        if list(now) != list(saved) or any(now[key] is not value for key, value in saved.items()):
            now.clear()
            now.update(saved)

    return back


def _items_back(now: list[Any] | set[Any] | deque[Any]) -> Undo:
    saved = list(now)

    def back() -> None:
        if len(now) != len(saved) or any(a is not b for a, b in zip(now, saved, strict=True)):
            now.clear()
            now.update(saved) if isinstance(now, set) else now.extend(saved)

    return back


def _tensor_back(tensor: Tensor) -> Undo:
    if torch.nn.parameter.is_lazy(tensor) or tensor.layout != torch.strided:
        return lambda: None
    data = tensor.data
    value = data.clone()

    def back() -> None:
        if tensor.data.data_ptr() != data.data_ptr() or tensor.dtype != data.dtype or tensor.shape != data.shape:
            tensor.data = data
        if not torch.equal(data, value):
            data.copy_(value)

    return back
