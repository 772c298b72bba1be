"""Using the user's module and leaving it as it was."""

from __future__ import annotations

import copy
import random
from collections import deque
from collections.abc import Callable, Hashable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt.keeping import resets_of
from converters.pt.libraries import forget, library_of
from converters.pt.snndeploy_nn import states_itself
from converters.pt.trees import branches

Undo = Callable[[], None]


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """Afterwards attributes (the mode and hidden states among them) and buffers are as before, changes in place among it."""
    undo = _snapshot(module, weights=False)
    try:
        yield
    finally:
        for step in reversed(undo):
            step()


@contextmanager
def untouched(module: nn.Module) -> Iterator[list[str]]:
    """As ``kept``, with the weights, the random generators and torch's settings; gives what to say of modes and hooks.

    What is said: which parts of a model in train mode do something else in eval mode, and which hooks of the user's ran.
    """
    said = [*_modes(module), *_hooks(module)]
    undo = _snapshot(module, weights=True)
    usual, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's
    try:
        with torch.random.fork_rng(devices=[]):
            yield said
    finally:
        torch.set_default_dtype(usual)
        torch.set_grad_enabled(grad)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002
        for step in reversed(undo):
            step()


def copy_of(module: nn.Module) -> nn.Module:
    """A copy that shares nothing; of a tensor that a graph of gradients made, which torch does not copy, its numbers."""
    memo: dict[int, Any] = {}
    for tensor in _reached(module):
        if isinstance(tensor, Tensor) and not tensor.is_leaf:
            memo[id(tensor)] = tensor.detach().clone()
    return copy.deepcopy(module, memo)


def _reached(module: nn.Module) -> Iterator[Any]:
    """Everything inside a module that could be put back, each once; tensors among it."""
    seen: set[int] = set()
    waiting: list[Any] = [module]
    while waiting:
        now = waiting.pop()
        if id(now) not in seen:
            seen.add(id(now))
            waiting += [] if isinstance(now, Tensor) else _container(now)[1]
            yield now


def _snapshot(module: nn.Module, weights: bool) -> list[Undo]:
    """What puts everything back, to be called last first; numbers in parameters only with ``weights``."""
    undo: list[Undo] = []
    for now in _reached(module):
        if not isinstance(now, Tensor):
            back = _container(now)[0]
            undo += [] if back is None else [back]
        elif weights or not isinstance(now, nn.Parameter):
            undo.append(_tensor_back(now))
    return undo


def _container(now: Any) -> tuple[Undo | None, list[Any]]:
    """What puts the contents of a module, dict, list, set or data class back, and what is inside it."""
    if isinstance(now, nn.Module):
        forward = getattr(type(now), "forward", None)
        defaults = [getattr(forward, name, None) for name in ("__defaults__", "__kwdefaults__")]
        return _mapping_back(vars(now)), [*vars(now).values(), *defaults]
    if isinstance(now, MutableMapping):
        return _mapping_back(now), list(now.values())
    if isinstance(now, list | set | deque):
        return _items_back(now), list(now)
    found = branches(now)
    if found is None or isinstance(now, tuple):
        return None, list((found or {}).values())
    return _fields_back(now, found), list(found.values())


def _fields_back(now: Any, saved: dict[Hashable, Any]) -> Undo:
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


def _modes(module: nn.Module) -> Iterator[str]:
    """What eval mode changes of a model that was given in train mode."""
    training = {path or "the model": part for path, part in module.named_modules() if part.training}
    off = [path for path, part in training.items() if "dropout" in type(part).__name__.lower() and getattr(part, "p", True)]
    still = [path for path, part in training.items() if getattr(part, "running_mean", None) is not None]
    if off:
        yield f"the model was in train mode and is read in eval mode: nothing is dropped in {', '.join(off)}"
    if still:
        yield (
            f"the model was in train mode and is read in eval mode: {', '.join(still)} normalize by what training "
            "averaged, not by the batch"
        )


def own_hooks(module: nn.Module) -> Iterator[tuple[MutableMapping[int, Any], int, str]]:
    """The user's own hooks: the dict that holds each, its key there, and what people call it."""
    for path, part in module.named_modules():
        held: tuple[MutableMapping[int, Any], ...] = (part._forward_pre_hooks, part._forward_hooks)
        for hooks in held:
            for key, hook in list(hooks.items()):
                if not str(getattr(hook, "__module__", "")).startswith("torch."):
                    yield hooks, key, f"{getattr(hook, '__name__', type(hook).__name__)} of {path or 'the model'}"


def _hooks(module: nn.Module) -> Iterator[str]:
    """The user's own hooks: they run in every trial run of the model, and what they collect is theirs."""
    found = [words for _, _, words in own_hooks(module)]
    if found:
        yield f"hooks of your own ran in the trial runs as in every run of the model: {', '.join(found)}"


@contextmanager
def doubled(module: nn.Module) -> Iterator[None]:
    """Parameters, buffers and new tensors in float64, so that a spike does not depend on rounding."""
    own = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
    values, usual = [t.data for t in own], torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for tensor in own:
            tensor.data = tensor.data.double()
        yield
    finally:
        torch.set_default_dtype(usual)
        for tensor, value in zip(own, values, strict=True):
            tensor.data = value


def reset(module: nn.Module) -> None:
    """Forget every neuron's state; of the user's own neurons, what their own ``reset()`` forgets."""
    for part in module.modules():
        forget(part)
        if _own_neuron(part):
            for name in resets_of(part):
                getattr(part, name)()


def _own_neuron(part: nn.Module) -> bool:
    """Whether a module is of the user's own making and holds no layer, whose numbers a reset may mean."""
    ours = (library_of(part) is not None) or states_itself(part)
    torchs = any(type(inside).__module__.startswith("torch.nn.") for inside in part.modules())
    return not ours and not torchs


def left_over(module: nn.Module) -> list[str]:
    """Attributes of the user's own modules that hold a tensor: a state of an earlier run, maybe."""
    found = []
    for path, part in module.named_modules():
        if library_of(part) is None and not states_itself(part) and not type(part).__module__.startswith("torch."):
            held = (name for name, value in vars(part).items() if isinstance(value, Tensor) and bool(value.any()))
            found += [f"{path}.{name}" if path else name for name in held]
    return found
