"""An unknown neuron module as a black box: sequences in, spikes out, always from before its first step."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt.hearing import Heard
from converters.pt.holding import copy_of
from converters.pt.keeping import keep
from converters.pt.precision import NAMES, Watched, Widened, coarser
from converters.pt.recording import quiet
from converters.pt.restoring import own_hooks
from converters.pt.trees import Path, fits, mapped
from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported

Lead: TypeAlias = Literal["B", "TB", "BT"]
SCALES = (0.25, 1.0, 8.0)
HINT = "say what it is: --neuron-class '{kind}: LIF(tau=2.0)', or give it to_node(), reset() and step_mode, so that it states itself"

RANDOM = "gives two different answers for the same input: it is random, or keeps a state that a copy shares"


class CannotRun(Unsupported):
    """The module's own code fails on other inputs than the trial run's: it is tied to their number of steps, say."""


@dataclass(frozen=True, eq=False)
class Box:
    """A module that can be asked again and again; the user's own is a copy's distance away.

    Attributes:
        module: a copy in eval mode and ``dtype``, before its first step.
        shape: one neuron's features.
        lead: one step a call ("B"), or all of them: [T, B, ...] or [B, T, ...].
        heard: how it is called.
        seed: of the random generators it may use.
        casts: it rounds to a narrower type inside; in float64 such casts are widened.
    """

    module: nn.Module
    shape: Shape
    lead: Lead
    heard: Heard
    dtype: torch.dtype = torch.float64
    seed: int = 0
    casts: bool = False

    def run(self, given: Floats) -> Floats:
        """What it gives for [T, B, *shape], from a fresh start."""
        return self.again(copy_of(self.module), given)

    def again(self, part: nn.Module, given: Floats, counted: bool = False) -> Floats:
        """The same from the state that ``part`` is in; ``counted``: with settings that change from step to step."""
        with alone(self.dtype, self.seed), Widened() if self.casts and self.dtype == torch.float64 else nullcontext():
            x = torch.from_numpy(np.array(given, order="C")).to(self.dtype)
            if self.lead != "B":
                out = self._call(part, x if self.lead == "TB" else x.transpose(0, 1), self._start(x[0]))[0]
                return numbers(out if self.lead == "TB" else out.transpose(0, 1))
            state, steps = self._start(x[0]), []
            for k, now in enumerate(x):
                outs, rest = self._call(part, now, state)
                steps.append(numbers(outs))
                # what does not come back is a setting, handed over at every step
                own = self.heard.counted(k + 1) if counted else state
                state = (*rest, *own[len(rest) :])
            return np.stack(steps)

    def hands_back(self) -> bool:
        """Whether a state that is handed to it comes back."""
        with alone(self.dtype, self.seed):
            x = torch.zeros((2, *self.shape), dtype=self.dtype)
            x = x if self.lead == "B" else x[None] if self.lead == "TB" else x[:, None]
            return bool(self._call(copy_of(self.module), x, self._start(x[0] if self.lead != "B" else x))[1])

    def rounded(self, given: Floats) -> Floats:
        """Inputs as its own type holds them."""
        return numbers(torch.from_numpy(np.array(given, order="C")).to(self.dtype))

    def arithmetic(self, given: Floats) -> str:
        """The type that it computes in: float64, to which its own casts are widened, or the coarsest that it rounds to."""
        if self.dtype == torch.float64:
            return NAMES[self.dtype]
        return self.watched(given)

    def watched(self, given: Floats) -> str:
        """The coarsest type that it rounds to."""
        with Watched() as seen:
            self.run(given[:, :1])
        return coarser(seen.arithmetic, torch.full((1,), 0.5, dtype=self.dtype))

    def _call(self, part: nn.Module, x: Tensor, state: tuple[Any, ...]) -> tuple[Tensor, tuple[Any, ...]]:
        """The spikes, and whatever came with them: the state to hand back."""
        places = len(state) - len(self.heard.words)
        try:
            result = part(x, *state[:places], **dict(zip(self.heard.words, state[places:], strict=True)))
        except Exception as error:  # noqa: BLE001 - the user's own code, on other inputs than it was written for
            kind = type(part).__name__
            raise CannotRun(kind, f"it does not run on inputs of its own ({error})", HINT.format(kind=kind)) from None
        if not isinstance(result, tuple | list):
            return result, ()
        rest = tuple(result[1:])[: len(state)]
        back = all(not self.heard.setting(i) and fits(state[i], value) for i, value in enumerate(rest))
        return result[0], rest if back else ()

    def _start(self, x: Tensor) -> tuple[Any, ...]:
        return tuple(_like(state, self.heard.given, x) for state in self.heard.state)


def numbers(tensor: Tensor) -> Floats:
    """As float64."""
    return tensor.detach().to(torch.float64).cpu().numpy().copy()


def _like(state: Any, given: Tensor, x: Tensor) -> Any:
    """The state that was handed over, for another batch; what has the input's shape is taken to be zeros."""

    def end(_: Path, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        return torch.zeros_like(x) if value.shape == given.shape else value.detach().to(x.dtype)

    return mapped(state, end)


@contextmanager
def alone(dtype: torch.dtype = torch.float64, seed: int = 0) -> Iterator[None]:
    """No gradients, new tensors in ``dtype``, every random generator afterwards as before, and no warnings of what runs inside."""
    usual, python, numpy = torch.get_default_dtype(), random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's
    try:
        torch.set_default_dtype(dtype)
        with torch.random.fork_rng(devices=[]), torch.no_grad(), quiet():
            torch.default_generator.manual_seed(seed)  # not torch.manual_seed, which formats the stack for other devices
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        torch.set_default_dtype(usual)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


def box(module: nn.Module, heard: Heard, where: str, dtype: torch.dtype = torch.float64) -> Box:
    """A black box of a module as it was called.

    Raises ``Unsupported`` where it can not be copied or run, is not deterministic, or mixes samples.
    """
    hint = HINT.format(kind=type(module).__name__)
    with by_itself(where, hint):
        with alone(dtype):
            part = copy_of(module).eval().to(dtype)
            keep(part)
        part = _unhooked(part, heard, dtype)
        lead = _lead(part, heard, where, hint, dtype)
        shape = tuple(heard.given.shape[1 if lead == "B" else 2 :])
        _check_settings(Box(part, shape, lead, heard, dtype), where)
        asked = _smaller(Box(part, shape, lead, heard, dtype))
        trial = np.random.default_rng(3).normal(0.5, 1.0, (3, 2, *asked.shape))
        return replace(asked, casts=dtype == torch.float64 and asked.watched(trial) != NAMES[dtype])


@contextmanager
def by_itself(where: str, hint: str) -> Iterator[None]:
    """Raise ``Unsupported`` where the user's code fails, away from its place, on other samples or another number of steps."""
    try:
        yield
    except CannotRun as why:
        raise Unsupported(where, why.what, why.hint) from None
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, KeyError) as error:
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise Unsupported(where, f"cannot be run by itself: {said[0]}", hint) from None


def repeats(asked: Box, given: Floats) -> bool:
    """Whether the same inputs give the same spikes whatever the random generators say."""
    return bool(np.array_equal(asked.run(given), replace(asked, seed=asked.seed + 1).run(given)))


def _unhooked(part: nn.Module, heard: Heard, dtype: torch.dtype) -> nn.Module:
    """A copy without the user's own hooks, which may write a list with every call, where they change nothing of a run."""
    plain = copy_of(part)
    found = [(hooks, key) for hooks, key, _ in own_hooks(plain)]
    for hooks, key in found:
        del hooks[key]
    if not found:
        return part
    given = np.random.default_rng(5).normal(0.3, 1.0, (3, *heard.given.shape))
    whole = tuple(heard.given.shape[1:])
    with_, without = (Box(one, whole, "B", heard, dtype) for one in (part, plain))
    return plain if all(np.array_equal(with_.run(given * k), without.run(given * k)) for k in SCALES) else part


def _check_settings(asked: Box, where: str) -> None:
    """Raise ``Unsupported`` for a number that is another at every step and that the answers change with."""
    if asked.lead != "B" or not any(_same_not(asked.heard.counted(k), asked.heard.state) for k in (1, 2)):
        return
    for scale in SCALES:
        x = np.random.default_rng(6).normal(0.3 * scale, scale, (40, 2, *asked.shape))
        if not np.array_equal(asked.run(x), asked.again(copy_of(asked.module), x, counted=True)):
            what = "is handed another number at every step, and its answers change with it"
            raise Unsupported(where, what, "let the neuron count its steps by itself, or hand it what stays the same")


def _same_not(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    return any(isinstance(y, bool | int | float | str) and x != y for x, y in zip(a, b, strict=True))


def _lead(part: nn.Module, heard: Heard, where: str, hint: str, dtype: torch.dtype) -> Lead:
    """Which axis is time: the one along which the first entry changes later ones, and the last changes none before it."""
    axes = range(min(2, heard.given.ndim))
    found = {axis for axis in axes for scale in SCALES if _carries(part, heard, axis, scale, where, hint, dtype)}
    if len(found) > 1:
        raise Unsupported(where, "mixes its samples or its features", hint)
    if found == {1} and heard.given.ndim < 3:
        raise Unsupported(where, "mixes its features", hint)
    return "BT" if found == {1} else "TB" if found == {0} else "B"


def _carries(part: nn.Module, heard: Heard, axis: int, scale: float, where: str, hint: str, dtype: torch.dtype) -> bool:
    x = np.random.default_rng(1).normal(0.3 * scale, scale, tuple(heard.given.shape))
    first, last = x.copy(), x.copy()
    np.moveaxis(first, axis, 0)[0] = -scale
    np.moveaxis(last, axis, 0)[-1] = -scale
    whole = Box(part, tuple(heard.given.shape[1:]), "B", heard, dtype)
    y, a, b = (np.moveaxis(whole.run(v[None])[0], axis, 0) for v in (x, first, last))
    if not repeats(whole, x[None]):
        raise Unsupported(where, RANDOM, hint)
    later = not np.array_equal(y[1:], a[1:])
    if later and not np.array_equal(y[:-1], b[:-1]):
        raise Unsupported(where, "mixes its samples or its features", hint)
    return later


def _smaller(whole: Box) -> Box:
    """The same with one place a channel, where it runs so: a neuron has its settings by channel at most, mostly."""
    if len(whole.shape) < 2:
        return whole
    small = (whole.shape[0], *(1 for _ in whole.shape[1:]))
    axes = len(whole.heard.given.shape) - len(whole.shape)
    given = whole.heard.given.detach()[(slice(None),) * (axes + 1) + (slice(0, 1),) * (len(whole.shape) - 1)]
    heard = replace(whole.heard, given=given, state=_cut(whole.heard.state, whole.heard.given, given))
    less = Box(whole.module, small, whole.lead, heard, whole.dtype)
    try:
        return less if all(_alone_alike(whole, less, scale) for scale in (*SCALES, 64.0, 1024.0)) else whole
    except (CannotRun, RuntimeError, TypeError, ValueError, IndexError):
        return whole


def _alone_alike(whole: Box, less: Box, scale: float) -> bool:
    """Whether every place, run by itself, gives what it gives among the others."""
    x = np.random.default_rng(4).normal(0.3 * scale, scale, (20, 2, *whole.shape))
    lanes = np.moveaxis(x.reshape(20, 2, whole.shape[0], -1), -1, 2)
    single = less.run(lanes.reshape(20, -1, *less.shape))
    together = np.moveaxis(single.reshape(lanes.shape), 2, -1).reshape(x.shape)
    return bool(np.array_equal(whole.run(x), together))


def _cut(state: Any, given: Tensor, small: Tensor) -> Any:

    def end(_: Path, value: Any) -> Any:
        return torch.zeros_like(small) if isinstance(value, Tensor) and value.shape == given.shape else value

    return mapped(state, end)
