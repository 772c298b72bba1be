"""How a user's loop calls the model: new data at every step, and the states that it hands back.

A functional model, ``forward(x, state=None) -> (out, state)``, remembers nothing by itself: what it returned at one step
is an argument of the next. ``Calling`` is that loop; everything that runs a model step by step runs it through one.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt.holding import copy_of
from converters.pt.trees import Path, at, flat, mapped
from snndeploy.errors import ModelError


class Slot:
    """In a tree of the form of an argument: what stands there is found in the result of the step before."""

    def __init__(self, path: Path) -> None:
        self.path = path


@dataclass(frozen=True, eq=False)
class Carried:
    """A state in the user's hands: an argument of ``forward``, and where its next value stands in what it returns.

    Attributes:
        name: the parameter.
        source: a ``Slot``, or a tree of them.
        words: where that is, for people.
    """

    name: str
    source: Any
    words: str

    def next(self, result: Any) -> Any:
        """The argument's value at the step after the one that returned ``result``."""
        return mapped(self.source, lambda _, slot: at(result, slot.path))

    def paths(self) -> tuple[Path, ...]:
        """Where its parts stand in the result."""
        return tuple(slot.path for _, slot in flat(self.source))


@dataclass(frozen=True, eq=False)
class Calling:
    """The loop.

    Attributes:
        inputs: the example's data by parameter: what is new at every step.
        begins: every other argument as it is at the first step: states, settings.
        missing: parameters without a default that the example does not give; they are tried with None.
        carried: the states, each fed back from step to step.
        series: data (and numbers) that are others at every step, in place of ``inputs``, for so many steps.
        unmatched: why this cannot be a loop over steps: an argument that looks like a state and does not come back.
    """

    inputs: Mapping[str, Tensor]
    begins: Mapping[str, Any]
    missing: tuple[str, ...] = ()
    carried: tuple[Carried, ...] = ()
    unmatched: tuple[tuple[str, str, str], ...] = ()
    series: tuple[Mapping[str, Any], ...] = ()

    def at(self, step: int) -> dict[str, Any]:
        """The data that enter at a step, on memory of their own."""
        data = self.series[step] if self.series else self.inputs
        return {name: _own(x) for name, x in data.items()}

    def arguments(self, data: Mapping[str, Any], before: Any = None, first: bool = True) -> dict[str, Any]:
        """What a step is given: new data, and the first values or what the step before returned."""
        fed = {} if first else {state.name: state.next(before) for state in self.carried}
        return {**{name: mapped(value, lambda _, end: _own(end)) for name, value in self.begins.items()}, **fed, **data}

    def outputs(self, result: Any) -> Any:
        """What a step returns without the states: None in their place, unless nothing else is left."""
        own = [path for state in self.carried for path in state.paths()]
        kept = mapped(result, lambda path, end: None if any(path[: len(p)] == p for p in own) else end)
        return kept if any(isinstance(end, Tensor) for _, end in flat(kept)) else result

    @property
    def dtype(self) -> torch.dtype:
        """The type of the data's real numbers; torch's usual one where there are none."""
        kinds = (x.dtype for x in self.inputs.values() if x.is_floating_point())
        return next(kinds, torch.get_default_dtype())

    def on(self, inputs: Mapping[str, Tensor]) -> Calling:
        """The same loop on other data."""
        return replace(self, inputs=inputs)

    def doubled(self) -> Calling:
        """The same in float64."""
        return self.typed(torch.float64)

    def typed(self, dtype: torch.dtype) -> Calling:
        """The same in a float type."""
        begins = {name: mapped(value, lambda _, end: _typed(end, dtype)) for name, value in self.begins.items()}
        data = {name: _typed(x, dtype) for name, x in self.inputs.items()}
        series = tuple({name: _typed(x, dtype) for name, x in now.items()} for now in self.series)
        return replace(self, inputs=data, begins=begins, series=series)

    def repeated(self, axis: int) -> Calling | None:
        """With every sample twice, where ``axis`` of all data has one; None where it has more."""
        if not all(x.ndim > axis + 1 and x.shape[axis] == 1 for x in self.inputs.values()):
            return None
        data = {name: x.repeat_interleave(2, axis) for name, x in self.inputs.items()}
        twice = {n: mapped(v, lambda _, end: _twice(end)) for n, v in self.begins.items()}
        return replace(self, inputs=data, begins=twice)


def _own(end: Any) -> Any:
    """The same value on memory of its own; what cannot be copied as it is."""
    if isinstance(end, Tensor):
        return end.detach().clone()
    try:
        return copy_of(end)
    except Exception:  # noqa: BLE001 - an object of the user's own may refuse
        return end


def _typed(end: Any, dtype: torch.dtype) -> Any:
    return end.to(dtype) if isinstance(end, Tensor) and end.is_floating_point() else end


def _twice(end: Any) -> Any:
    """A state of one sample for two of them."""
    single = isinstance(end, Tensor) and end.ndim > 1 and end.shape[0] == 1
    return end.repeat_interleave(2, 0) if single else end


def call(module: nn.Module, arguments: Mapping[str, Any]) -> Any:
    """Call a module as a user does: by position as far as that goes, by name behind it."""
    signature = inspect.signature(module.forward)
    bound: dict[str, Any] = {}
    rest = dict(arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_POSITIONAL:
            own = [k for k in rest if k.startswith(f"{name}[")]
            bound[name] = tuple(rest.pop(name, ())) + tuple(rest.pop(key) for key in own)
        elif parameter.kind is parameter.VAR_KEYWORD:
            bound[name], rest = {key: value for key, value in rest.items() if value is not None}, {}
        elif name in rest:
            bound[name] = rest.pop(name)
    whole = inspect.BoundArguments(signature, bound)
    return module(*whole.args, **whole.kwargs, **rest)


def in_order(module: nn.Module, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name in the order of forward's parameters: the input first."""
    order = list(inspect.signature(module.forward).parameters) if len(kwargs) > 1 else []
    return dict(sorted(kwargs.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def given(module: nn.Module, x: object) -> dict[str, Any]:
    """The example by the names of forward's parameters: a tensor, a tuple of values, or a dict by name.

    Raises ``ModelError`` where there are more values than parameters.
    """
    parameters = inspect.signature(module.forward).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    more = next((p.name for p in parameters if p.kind is p.VAR_POSITIONAL), None)
    if isinstance(x, Mapping):
        return {str(name): _as_torch(value) for name, value in x.items()}
    values = x if isinstance(x, tuple) else (x,)
    if more is not None:
        names += [f"{more}[{k}]" for k in range(len(values) - len(names))]
    names += [p.name for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty]
    if len(values) > len(names):
        takes = ", ".join(names) or "nothing"
        what = f"is {len(values)} values, and forward takes {takes}"
        raise ModelError("the example input", what, "give one value for each parameter, or a dict by name")
    return {name: _as_torch(value) for name, value in zip(names, values, strict=False)}


def _as_torch(value: Any) -> Any:
    return mapped(value, lambda _, end: torch.from_numpy(np.array(end)) if isinstance(end, np.ndarray) else end)


def whole_numbers(x: object) -> bool:
    """Whether an example has tensors or arrays of whole numbers."""
    return any(isinstance(end, Tensor) and not end.is_floating_point() for _, end in flat(_as_torch(x)))


def data_tensor(value: object, like: Tensor, whole: bool = False) -> Tensor:
    """An example of data as a tensor of the model's type; ``whole`` numbers stay such. Raises ``ModelError`` for what is none."""
    if not isinstance(value, Tensor) or value.ndim < 2:
        found = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
        what = f"is {found}, not a tensor or array with a batch axis"
        raise ModelError("the example input", what, "give [B, ...], or a tuple or dict of them")
    check_finite_numbers(value)
    return value.detach().to(like.device, value.dtype if whole and not value.is_floating_point() else like.dtype)


def check_finite_numbers(value: Tensor) -> None:
    """Raise ``ModelError`` for NaN or infinite values."""
    if not torch.isfinite(value).all():
        raise ModelError("the example input", "has NaN or infinite values", "give numbers the model could meet")


def state_tensor(end: Any, like: Tensor) -> Any:
    """Part of a state or setting of the example, on the model's device, in its type where it is a real number."""
    if not isinstance(end, Tensor):
        return end
    check_finite_numbers(end)
    return end.detach().to(like.device, like.dtype if end.is_floating_point() else end.dtype)
