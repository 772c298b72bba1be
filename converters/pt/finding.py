"""Which of our neurons an unknown module is: spikes or not, candidates, the whole trial."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt import libraries
from converters.pt.blackbox import HINT, RANDOM, Box, Lead, box, by_itself, numbers, repeats
from converters.pt.fitting import FAR, RUNGS, Response, candidates, compact, respond, scaled
from converters.pt.hearing import Heard
from converters.pt.holding import copy_of
from converters.pt.keeping import resets_of
from converters.pt.naming import Named
from converters.pt.neuron import Neuron
from converters.pt.replaying import judged
from converters.pt.trials import STEPS, Trial, compare, forgets, inputs
from snndeploy.arrays import Floats
from snndeploy.errors import SnnError, Unsupported

FEW = 20_000
"""Steps that sort candidates out before the whole trial."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a module is, how it takes time, how sure that is, in words, and the smallest input that fires.

    ``functional``: its state goes through the caller's hands, as what it is given comes back.
    """

    neuron: Neuron
    lead: Lead
    said: str
    start: Floats
    functional: bool


def spikes(part: nn.Module, heard: Heard) -> bool:
    """Whether a module turns any numbers into few: 0 and levels above it."""
    rng = np.random.default_rng(0)
    whole = tuple(heard.given.shape)
    seen: set[float] = set()
    try:
        asked = Box(copy_of(part).eval().double(), whole[1:], "B", heard)
        for scale in (1.0, 30.0, 1000.0):
            y = asked.run(rng.normal(0.5 * scale, scale, (1, *whole)))
            seen |= set(np.unique(y).tolist())
    except Exception:  # noqa: BLE001 - the user's own code, away from its place: what does not run so is looked into
        return False
    whole_numbers = all(v == round(v) for v in seen if np.isfinite(v))
    return 0.0 in seen and len(seen) > 1 and min(seen) >= 0 and (len(seen) <= RUNGS + 1 or whole_numbers)


def identify(part: nn.Module, heard: Heard, where: str) -> Found:
    """The neuron of ours that gives what the module gives, step for step.

    Raises ``Unsupported`` where none does, naming the first case of the nearest.
    """
    hint = HINT.format(kind=type(part).__name__)
    with by_itself(where, hint):
        return _identified(box(part, heard, where), part, where, hint)


def recognized(part: nn.Module, heard: Heard, before: Found, where: str) -> int:
    """How many steps a module gives what its twin was found to be; 0 where it differs, or runs otherwise."""
    try:
        with by_itself(where, ""):
            asked = box(part, heard, where)
            same = (asked.lead, asked.hands_back()) == (before.lead, before.functional)
            fits = same and np.broadcast_shapes(before.start.shape, asked.shape) == asked.shape
            trial = compare(asked, before.neuron, before.start, FEW) if fits else None
    except (SnnError, ValueError):
        return 0
    return 0 if trial is None or trial.different else trial.compared


def _identified(asked: Box, part: nn.Module, where: str, hint: str) -> Found:
    response = respond(asked)
    if response is None:
        raise Unsupported(where, "fires, but what one step gives does not rise with its input through a few levels from 0", hint)
    start = response.starts[0]
    few = [(compare(asked, meant, start, FEW), meant) for meant in _likely(asked, response)]
    worst: tuple[int, str] | None = None
    for trial, meant in sorted(few, key=lambda one: (one[0].different, one[0].ties)):
        if not trial.different:
            trial = compare(asked, meant, start)
        if not trial.different:
            said = f"{trial}{_checked(asked, meant, start, where, hint, part)}"
            return Found(meant, asked.lead, said, compact(start), asked.hands_back())
        if trial.first is not None and (worst is None or trial.different < worst[0]):
            worst = trial.different, f"the nearest, a {type(meant.node).__name__}, differs at {trial.first}"
    given = next(x for name, x in inputs(asked, response.starts[0], FEW, plain=False) if name == "random")
    if not repeats(asked, given):
        raise Unsupported(where, RANDOM, hint)
    why = worst[1] if worst else "no decay and reset explain its first three steps"
    raise Unsupported(where, f"is no neuron that the graph knows: {why}", hint)


def _likely(asked: Box, response: Response) -> Iterator[Neuron]:
    gain = _gain(asked, response.starts[0])
    for node, scale in candidates(asked, response):
        after = () if scale is None else (scale,)
        for form in scaled(node, gain):
            yield Neuron(form, after)
        yield Neuron(node, after)


def _gain(asked: Box, start: Floats) -> Floats | None:
    """What the module's own potential holds after a small input, per unit of it; None where it shows none."""
    if asked.lead != "B" or not np.isfinite(start).all() or not (start > 0).all():
        return None
    small = 2.0 ** np.floor(np.log2(start / 16))
    once, twice = (_potentials(asked, small * k) for k in (1, 2))
    for name, v in once.items():
        w = twice.get(name)
        if w is not None and (v > 0).all() and (w == 2 * v).all():
            return np.asarray(v / small)
    return None


def _potentials(asked: Box, x: Floats) -> dict[str, Floats]:
    part = copy_of(asked.module)
    asked.again(part, x[None, None])
    held: dict[str, Any] = {f"{p}.{n}": v for p, m in part.named_modules() for n, v in (*vars(m).items(), *m._buffers.items())}
    return {n: numbers(v)[0] for n, v in held.items() if isinstance(v, Tensor) and v.shape == (1, *asked.shape)}


def _checked(asked: Box, meant: Neuron, start: Floats, where: str, hint: str, part: nn.Module) -> str:
    """What else must hold: its reset brings it back, and its own number type gives the same but for ties."""
    given = next(x for name, x in inputs(asked, start, FEW, plain=False) if name == "random")
    if not repeats(asked, given):
        raise Unsupported(where, RANDOM, hint)
    name = forgets(asked, given, resets_of(asked.module))
    if name is not None:
        raise Unsupported(where, f"its {name}() does not bring it back to its first step: a second sample gives other spikes", hint)
    own = next((t.dtype for t in (*part.parameters(), *part.buffers()) if t.is_floating_point()), torch.float32)
    if own == torch.float64:
        return ""
    narrow = replace(asked, module=copy_of(asked.module).to(own), dtype=own)
    given = narrow.rounded(given)
    theirs, arithmetic = narrow.run(given), narrow.arithmetic(given)
    found = judged(meant, given, theirs, 1, lambda: arithmetic)
    if found.wrong.any():
        differ = f"{int(found.wrong.sum())} of {theirs.size} spikes are not those of float64, and not for rounding"
        raise Unsupported(where, f"computes something else in {str(own)[6:]}: {differ}", hint)
    ties = int(found.ties.sum())
    return f"; in {arithmetic} {ties:,} of {theirs.size:,} are ties that rounding decides otherwise" if ties else ""


def check_named(named: Named, heard: Heard, where: str) -> str:
    """Hold a module against what the user said it is; gives the note. Raises ``Unsupported`` where they differ."""
    part, text = named.part, named.text
    try:
        with by_itself(where, ""):
            asked = box(part, heard, where)
            response = respond(asked)
            meant = libraries.neuron(part, asked.shape, where)
            trial = _against(asked, meant, response)
    except Unsupported as why:
        return f"{named.believed()}; {why.what}, so it was held against the trial run only"
    if trial.different:
        what = f"is not {text}: {trial.different:,} of {trial.compared:,} differ, first {trial.first}"
        raise Unsupported(where, what, f"leave {named.flag} out to have it found, or say another")
    return f"{type(part).__name__} = {text} ({named.flag}): {trial}"


def _against(asked: Box, meant: Neuron, response: Response | None) -> Trial:
    start = np.ones(asked.shape) if response is None else response.starts[0]
    start = np.where(np.isfinite(start) & (start > 0), start, 1.0)
    count = int(min(4096, np.ceil(asked.run(np.full((1, 1, *asked.shape), FAR)).max(initial=1.0))))
    return compare(asked, meant, start, STEPS, count)
