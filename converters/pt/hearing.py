"""How a neuron of no table is called in a run of the model: its input, its states, its settings."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn

from converters.pt.recording import tensors_in


@dataclass(frozen=True, eq=False)
class Heard:
    """The first call of a module in a trial run: its input, and what was handed to it behind that: states and settings.

    ``series`` is what was handed to it at every call, the first among them.
    """

    given: Tensor
    state: tuple[Any, ...]
    words: tuple[str, ...]
    series: tuple[tuple[Any, ...], ...] = ()

    def setting(self, i: int) -> bool:
        """Whether what is handed over at a place is none of its states: a number, a word or a flag at later calls too."""
        later = [handed[i] for handed in self.series[1:] if len(handed) == len(self.state)]
        return isinstance(self.state[i], bool | str) or any(isinstance(value, bool | int | float | str) for value in later)

    def counted(self, step: int) -> tuple[Any, ...]:
        """What is handed over at a step where the settings change as they did from the first call to the second."""
        if len(self.series) < 2 or len(self.series[1]) != len(self.state):
            return self.state
        now = self.series[min(step, len(self.series) - 1)]
        ends = zip(self.state, self.series[1], now, strict=True)
        return tuple(_counted(a, b, c, step) if self.setting(i) else a for i, (a, b, c) in enumerate(ends))


@contextmanager
def listening(parts: Mapping[str, nn.Module]) -> Iterator[dict[str, Heard]]:
    """While inside, the first call of every part is noted, if it gives the shape that it gets."""
    heard: dict[str, Heard] = {}
    handles = [part.register_forward_hook(_hook(heard, path), with_kwargs=True) for path, part in parts.items()]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def _hook(heard: dict[str, Heard], path: str) -> Any:
    def note(part: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        named = dict(kwargs)
        x, *more = args or (named.pop(_input_word(part), None),)
        first = next(tensors_in(result), None)
        like = isinstance(x, Tensor) and first is not None and first.shape == x.shape
        if like and x.ndim > 1 and x.is_floating_point():
            now = Heard(x.detach().clone(), (*more, *named.values()), tuple(named))
            before = heard.get(path, now)
            if not before.state and now.state:
                # called without a state at its first step only: its own default stands for it then
                defaults = _defaults(part)
                begin = tuple(defaults[1 : len(more) + 1]) + tuple(_default(part, word) for word in named)
                before = Heard(before.given, begin, tuple(named), (begin,)) if len(begin) == len(now.state) else before
            heard[path] = replace(before, series=(*before.series, now.state))

    return note


def _input_word(part: nn.Module) -> str:
    """By which name a module takes its input."""
    return next(iter(inspect.signature(part.forward).parameters), "")


def _defaults(part: nn.Module) -> list[Any]:
    """What the arguments of a module are where they are not given."""
    return [None if p.default is p.empty else p.default for p in inspect.signature(part.forward).parameters.values()]


def _default(part: nn.Module, word: str) -> Any:
    parameter = inspect.signature(part.forward).parameters.get(word)
    return None if parameter is None or parameter.default is parameter.empty else parameter.default


def _counted(first: Any, second: Any, now: Any, step: int) -> Any:
    """A number that rises as it did at first; anything else as it was seen."""
    numbered = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (first, second))
    return first + step * (second - first) if numbered else now
