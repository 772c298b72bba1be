"""Which arguments of ``forward`` are states: those whose next value comes back among the results.

The model is run for two steps for every way to tie its results to its arguments, likeliest first: by name (of a field, a
key, or in the ``return`` statement), then by place behind the output. A way is taken if the second step runs on what
the first returned, makes use of it, and returns values of the same form.
"""

from __future__ import annotations

import inspect
from collections.abc import Generator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from converters.pt import libraries
from converters.pt.blackbox import alone
from converters.pt.calling import Calling, Carried, Slot, call, data_tensor, given, state_tensor
from converters.pt.matching import SETTING, STATE, candidates, keywords, like_a_setting, ways
from converters.pt.recording import tensors_in
from converters.pt.restoring import kept, reset
from converters.pt.trees import branches, fits, flat, mapped
from snndeploy.errors import ModelError

LOST = "looks like a state, and nothing that forward returns takes its place at the next step"
ALONE = "takes what forward returns: whether your loop feeds it back as a state cannot be seen"


def called(module: nn.Module, x: object, whole: bool = False) -> Calling:
    """How the user's loop calls a module, from an example of what it takes.

    ``x`` is a tensor or array with a batch axis, a tuple of what ``forward`` takes in order (states and numbers among it),
    or a dict by parameter; ``whole`` numbers stay such. Raises ``ModelError`` for an example that ``forward`` cannot be given.
    """
    example = given(module, x)
    like = next((t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()), torch.zeros(()))
    tensors = {n: v for n, v in example.items() if isinstance(v, Tensor) and v.ndim > 1}
    first = next((n for n, v in tensors.items() if v.any()), next(iter(tensors), next(iter(example), "")))
    plain = Calling({first: data_tensor(example.get(first), like, whole)}, {}) if example else Calling({}, {})
    begins = {n: mapped(v, lambda _, e: state_tensor(e, like)) for n, v in example.items() if n != first}
    optional, missing = _silent(module, example)
    begins |= dict.fromkeys(missing)
    if not begins and not optional:
        return plain
    calling = Calling(plain.inputs, begins, missing)
    return _split(_tied(module, calling, optional), like, whole)


def _silent(module: nn.Module, example: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What the example leaves out: parameters that can be a state, with their defaults, and those that have none."""
    optional: dict[str, Any] = {}
    missing = []
    for name, p in inspect.signature(module.forward).parameters.items():
        if name in example or any(n.startswith(f"{name}[") for n in example):
            continue
        if p.kind is p.VAR_POSITIONAL:
            optional[name] = ()
        elif p.kind is p.VAR_KEYWORD:
            optional |= {key: None for key in keywords(module, name) if key not in example}
        elif p.default is p.empty:
            missing.append(name)
        elif _may_be(p.default) and SETTING.fullmatch(name) is None:
            optional[name] = p.default
    return optional, tuple(missing)


def _split(calling: Calling, like: Tensor, whole: bool) -> Calling:
    """What the example gives and does not come back: tensors with a batch are data, as the first is."""
    states = {state.name for state in calling.carried} | {name for name, _, _ in calling.unmatched}
    more = {n: data_tensor(v, like, whole) for n, v in calling.begins.items() if n not in states and isinstance(v, Tensor) and v.ndim > 1}
    begins = {n: v for n, v in calling.begins.items() if n not in more}
    return replace(calling, inputs={**calling.inputs, **more}, begins=begins)


def _tied(module: nn.Module, calling: Calling, optional: Mapping[str, Any]) -> Calling:
    """The calling with its states found."""
    result, error = _runs(module, calling, 1)
    if error is not None:
        if calling.missing:
            named = " and ".join(calling.missing)
            what = f"forward also needs {named} ({str(error).strip().splitlines()[0] if str(error) else type(error).__name__})"
            hint = f"give what it takes before the first step, a tuple (x, {', '.join(calling.missing)}) or a dict by name"
            raise ModelError("the example input", what, hint)
        return calling
    open_ = {**{n: calling.begins[n] for n in calling.missing}, **optional}
    told = {n: v for n, v in calling.begins.items() if n not in calling.missing and _told(n, v, result[0])}
    for way in ways(module, result[0], candidates(told, open_), _states(module, calling)):
        begins = {**{s.name: open_[s.name] for s in way if s.name in open_}, **calling.begins}
        tried = Calling(calling.inputs, begins, calling.missing, way)
        if _holds(module, tried, open_):
            return _rest(module, tried, result[0], open_)
    return _rest(module, calling, result[0], open_)


def _told(name: str, value: Any, result: Any) -> bool:
    """Whether what the example gives may be a state: a tree, zeros, a number that comes back, or what is called so."""
    if isinstance(value, bool | str):
        return False
    if isinstance(value, int | float):
        back = any(type(end) is type(value) for _, end in flat(result))
        return back or (value == 0 and STATE.fullmatch(name) is not None)
    return not isinstance(value, Tensor) or not value.any() or STATE.fullmatch(name) is not None


def _may_be(default: Any) -> bool:
    """Whether a default may be a state before its first step: None, zero, and what holds them; other numbers are settings."""
    if isinstance(default, bool | str):
        return False
    return not isinstance(default, int | float) or default == 0


class _Watch(TorchFunctionMode):
    """Whether a torch function is given one of some tensors."""

    def __init__(self, tensors: set[int]) -> None:
        super().__init__()
        self.tensors, self.met = tensors, False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.met = self.met or any(id(t) in self.tensors for t in tensors_in((args, kwargs or {})))
        return func(*args, **(kwargs or {}))


def stepped(module: nn.Module, calling: Calling, steps: int) -> Generator[Any, None, None]:
    """What a module returns, step after step from before its first; it raises what the user's code raises."""
    before: Any = None
    with kept(module), alone(calling.dtype):
        module.eval()
        reset(module)
        for step in range(steps):
            before = call(module, calling.arguments(calling.at(step), before, not step))
            yield before


def _runs(module: nn.Module, calling: Calling, steps: int) -> tuple[list[Any], Exception | None]:
    """What a module returned, step by step, and what it raised, if it did."""
    results: list[Any] = []
    try:
        for result in stepped(module, calling, steps):
            results.append(result)  # noqa: PERF402 - what came before an exception is kept
    except Exception as error:  # noqa: BLE001 - the user's own code, fed with what it may not be for
        return results, error
    return results, None


def _holds(module: nn.Module, calling: Calling, optional: Mapping[str, Any]) -> bool:
    """Whether the loop runs, makes use of what it feeds back, and returns the same form at every step."""
    results: list[Any] = []
    with kept(module), alone(calling.dtype):
        module.eval()
        reset(module)
        try:
            for step in range(3):
                arguments = calling.arguments(calling.at(step), results[-1] if step else None, not step)
                fed = [s for s in calling.carried if s.name in optional]
                ends = {id(t) for s in fed for t in tensors_in(arguments.get(s.name))}
                with _Watch(ends) as watch:
                    results.append(call(module, arguments))
                if step and fed and ends and not watch.met:
                    return False
        except Exception:  # noqa: BLE001 - so this way is none
            return False
    return len(_ends(results[0])) == len(_ends(results[2])) and fits(results[1], results[2])


def _ends(tree: Any) -> list[Any]:
    return [end for _, end in flat(tree) if isinstance(end, Tensor)]


def _states(module: nn.Module, calling: Calling) -> set[int]:
    """Which tensors of a result, by number, a library's neuron returned as its state."""
    states: set[int] = set()
    held: list[Any] = []

    def note(_: nn.Module, __: Any, out: Any) -> None:
        held.append(out)
        states.update(id(t) for t in list(tensors_in(out))[1:])

    handles = [part.register_forward_hook(note) for part in module.modules() if libraries.is_neuron(part)]
    try:
        results, _ = _runs(module, calling, 1)
    finally:
        for handle in handles:
            handle.remove()
    return {i for i, end in enumerate(_ends(results[0] if results else None)) if id(end) in states}


def _rest(module: nn.Module, calling: Calling, result: Any, optional: Mapping[str, Any]) -> Calling:
    """What looks like a state and does not come back, each with why that cannot be a loop over steps."""
    done = {state.name for state in calling.carried}
    why = []
    for name, value in calling.begins.items():
        if name not in done and name in calling.missing:
            what = "has no default, is not in the example, and does not come back among the results"
            why.append((name, what, f"give it in the example, (x, {name}), or a default"))
        elif name not in done and _zero_state(name, value):
            why.append((name, LOST, f"return its next value beside the output: return out, {name}"))
    names = [n for n in optional if n not in done and not like_a_setting(n)] if branches(result) is None else []
    for name in names:
        state = Carried(name, Slot(()), "result")
        fed = Calling(calling.inputs, {**calling.begins, name: optional[name]}, calling.missing, (state,))
        if _holds(module, fed, optional):
            why.append((name, ALONE, "if it is one, return it a second time (return out, out); if not, leave it out of forward"))
    return replace(calling, unmatched=tuple(why))


def _zero_state(name: str, value: Any) -> bool:
    """Whether an example's value may be a state before its first step: a tree, or zeros called so."""
    if branches(value) is not None:
        return bool(_ends(value)) or any(end is None for _, end in flat(value))
    return isinstance(value, Tensor) and not value.any() and STATE.fullmatch(name) is not None
