"""What must hold for a model to be called step after step: its states come back, and no number counts the steps unseen."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from converters.pt.calling import Calling
from converters.pt.carrying import stepped
from converters.pt.matching import like_a_setting
from converters.pt.neuron import shown
from converters.pt.trees import flat
from snndeploy.errors import Unsupported

COUNTER = re.compile(r"(?i)t|i|k|idx|(now|cur(rent)?|this)_?\w+|(time_?)?step|time")
FIRST = re.compile(r"(?i).*(first|init|reset|start|begin|new|fresh).*")
"""What people call a flag that is True at the first step alone."""
STEPS = 12
"""How far a number is counted up to see whether the model's answers change with it."""


def check_loop(module: nn.Module, calling: Calling) -> None:
    """Raise ``Unsupported`` where one call a step is not all that the user's loop does."""
    for name, what, hint in calling.unmatched:
        raise Unsupported(f"forward's argument {name!r}", what, hint)
    own = {state.name for state in calling.carried}
    for name, value in _numbers(module, calling).items():
        if name not in own and _counts(module, calling, name, value):
            what = f"is {shown(value)} here, and the answers change with it: what it is at each step cannot be seen"
            hint = f"return its next value beside the output (return out, {name} + 1), or keep it as an attribute of the module"
            hint = "let forward see by itself whether it is at its first step" if isinstance(value, bool) else hint
            raise Unsupported(f"forward's argument {name!r}", what, hint)


def carried(calling: Calling) -> Iterator[str]:
    """What is said of every state in the user's hands."""
    for state in calling.carried:
        begin = calling.begins.get(state.name)
        ends = [end for _, end in flat(begin)]
        zeros = all(not end.any() if isinstance(end, Tensor) else not end for end in ends if end is not None)
        start = "None" if begin is None else "zeros" if zeros else "what the example gives"
        yield f"forward's argument {state.name!r} is a state: {start} at the first step, then {state.words} of the step before"


def _numbers(module: nn.Module, calling: Calling) -> dict[str, Any]:
    """What every step is given alike, and may be another at each: 0, or 1 where the name says so; whether it is the first."""
    parameters = inspect.signature(module.forward).parameters.items()
    found = {n: p.default for n, p in parameters if p.kind is not p.VAR_POSITIONAL and n not in calling.inputs}
    found |= calling.begins
    return {name: value for name, value in found.items() if _may_count(name, value)}


def _may_count(name: str, value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_floating_point() and _may_count(name, value.item())
    if isinstance(value, bool):
        return value and FIRST.fullmatch(name) is not None
    named = COUNTER.fullmatch(name) is not None
    perhaps = named or not like_a_setting(name)
    return (isinstance(value, int) and ((value == 0 and perhaps) or (value == 1 and named))) or (
        value == 0 and isinstance(value, float) and named
    )


def _counts(module: nn.Module, calling: Calling, name: str, value: Any) -> bool:
    """Whether another run, in which a number is one more at every step, or no step the first, gives another answer or none."""
    alike = _run(module, calling, {name: [value] * STEPS})
    first = isinstance(value, bool)
    return alike != _run(module, calling, {name: [value and not k if first else value + k for k in range(STEPS)]})


def _run(module: nn.Module, calling: Calling, numbers: Mapping[str, list[Any]]) -> list[list[Any]] | None:
    """What comes out, as bytes; None where a step fails."""
    generator = torch.Generator().manual_seed(0)
    data = [{n: _random(x, generator) for n, x in calling.inputs.items()} for _ in range(STEPS)]
    series = tuple({**now, **{n: values[step] for n, values in numbers.items()}} for step, now in enumerate(data))
    found = []
    try:
        for result in stepped(module, replace(calling, series=series), STEPS):
            found.append([e.numpy().tobytes() for _, e in flat(result) if isinstance(e, Tensor)])  # noqa: PERF401 - before the next step
    except Exception:  # noqa: BLE001 - the user's own code, given another number than it was written for
        return None
    return found


def _random(x: Tensor, generator: torch.Generator) -> Tensor:
    """Other numbers of the same size."""
    return torch.rand(x.shape, generator=generator).to(x) * (2 * (x.abs().max() or 1.0))
