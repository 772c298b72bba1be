"""The state that a neuron of the user's own class keeps between calls: put back, and compared, without knowing its names."""

from __future__ import annotations

import contextlib
import copy
import inspect
import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

RESETS = ("reset", "reset_state", "reset_states", "reset_mem", "reset_hidden", "init_state", "reset_net")
"""What methods without arguments that forget the state are called."""


@dataclass(frozen=True, eq=False)
class Kept:
    """A module's attributes and buffers as they were before its first step, part by part."""

    attributes: Mapping[nn.Module, Mapping[str, Any]]
    buffers: Mapping[nn.Module, Mapping[str, Tensor | None]]

    def forget(self, _: object = None) -> None:
        """Put the state back; parameters and submodules are left alone."""
        for part, saved in self.attributes.items():
            for name in [n for n, _ in _own(part) if n not in saved]:
                del part.__dict__[name]
            part.__dict__.update({name: _copy(value) for name, value in saved.items()})
            for name, value in self.buffers[part].items():
                if not _same(part._buffers.get(name), value):
                    part._buffers[name] = _copy(value)

    def memory(self, _: object = None) -> tuple[Any, ...]:
        """What the module keeps from call to call, changes in place among it."""
        values = [v for part in self.attributes for _, v in (*_own(part), *sorted(part._buffers.items()))]
        return (*values, *(v._version for v in values if isinstance(v, Tensor)))


def keep(module: nn.Module) -> Kept:
    """The state before the first step: after the module's own ``reset()``, where it has one."""
    for name in resets_of(module):
        getattr(module, name)()
    parts = list(module.modules())
    attributes = {part: {name: _copy(value) for name, value in _own(part)} for part in parts}
    return Kept(attributes, {part: {name: _copy(b) for name, b in part._buffers.items()} for part in parts})


def resets_of(module: nn.Module) -> list[str]:
    """The methods by which a module forgets: those of these names that take no arguments."""
    found = []
    for name in RESETS:
        method = getattr(module, name, None)
        if callable(method):
            with contextlib.suppress(TypeError, ValueError):
                inspect.signature(method).bind()
                found.append(name)
    return found


def alike(a: nn.Module, b: nn.Module) -> bool:
    """Whether two modules are of one class with equal attributes, parameters and buffers, part by part."""
    pairs = list(itertools.zip_longest(a.modules(), b.modules()))
    return all(type(x) is type(y) and _equal(_values(x), _values(y)) for x, y in pairs)


def _values(part: nn.Module) -> dict[str, Any]:
    return {
        name: value for name, value in vars(part).items() if "_hook" not in name and name not in ("_modules", "training", "_stands_for")
    }


def _equal(a: Any, b: Any) -> bool:
    """Equal as far as can be told; what can not be compared is not."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and bool(torch.equal(a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(_equal(value, b[name]) for name, value in a.items())
    if isinstance(a, tuple | list) and type(a) is type(b):
        return len(a) == len(b) and all(map(_equal, a, b))
    try:
        return a is b or bool(a == b)
    except (RuntimeError, TypeError, ValueError):
        return False


def _own(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """Attributes that can be a state: numbers, tensors, None, and tuples, lists and dicts of them, by name."""
    for name, value in sorted(vars(part).items()):
        if (
            not name.startswith(("_parameters", "_buffers", "_modules"))
            and "_hook" not in name
            and name not in ("training", "_stands_for")
            and _plain(value)
        ):
            yield name, value


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(_plain(v) for v in value.values())
    if isinstance(value, tuple | list):
        return all(_plain(v) for v in value)
    return isinstance(value, Tensor | int | float | str | None)


def _copy(value: Any) -> Any:
    """A copy that shares nothing and needs no gradient."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, Mapping):
        return {name: _copy(v) for name, v in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(_copy(v) for v in value) if type(value) in (tuple, list) else copy.copy(value)
    return value


def _same(a: Tensor | None, b: Tensor | None) -> bool:
    return a is b or (a is not None and b is not None and a.shape == b.shape and bool(torch.equal(a, b.to(a.dtype))))
