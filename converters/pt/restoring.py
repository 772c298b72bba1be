"""Using the user's module and leaving it as it was."""

from __future__ import annotations

import random
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt.holding import snapshot
from converters.pt.keeping import resets_of
from converters.pt.libraries import forget, library_of
from converters.pt.snndeploy_nn import states_itself


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """Afterwards attributes (the mode and hidden states among them) and buffers are as before, changes in place among it."""
    undo = snapshot(module, weights=False)
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
    undo = snapshot(module, weights=True)
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


def _modes(module: nn.Module) -> Iterator[str]:
    """What eval mode changes of a model that was given in train mode."""
    training = {path or "the model": part for path, part in module.named_modules() if part.training}
    off = [path for path, part in training.items() if "dropout" in type(part).__name__.lower() and getattr(part, "p", True)]
    still = [path for path, part in training.items() if getattr(part, "running_mean", None) is not None]
    asks = [path for path, part in training.items() if _asks(part)]
    if asks:
        yield f"the model was in train mode and is read in eval mode: the code of {', '.join(asks)} asks which it is, and may do otherwise"
    if off:
        yield f"the model was in train mode and is read in eval mode: nothing is dropped in {', '.join(off)}"
    if still:
        yield (
            f"the model was in train mode and is read in eval mode: {', '.join(still)} normalize by what training "
            "averaged, not by the batch"
        )


def _asks(part: nn.Module) -> bool:
    """Whether code of the user's own reads ``self.training``, in forward or in another method of the class."""
    kinds = [kind for kind in type(part).__mro__ if not kind.__module__.startswith("torch.")]
    methods = [value for kind in kinds for value in vars(kind).values() if isinstance(value, FunctionType)]
    ours = library_of(part) is not None or states_itself(part)
    return not ours and any("training" in code.co_names for method in methods for code in _codes(method.__code__))


def _codes(code: CodeType) -> Iterator[CodeType]:
    """A function's code, and that of the functions and comprehensions inside it."""
    yield code
    for inside in code.co_consts:
        if isinstance(inside, CodeType):
            yield from _codes(inside)


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
