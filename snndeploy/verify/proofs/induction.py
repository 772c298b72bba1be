"""The proof of one cell, for every input and every time, or a run that shows where it is wrong."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import z3

from snndeploy.chip.models import STATE_MAX
from snndeploy.ir.neurons.decoupling import U_LIMIT
from snndeploy.verdict import Status
from snndeploy.verify.proofs.invariants import INVARIANTS, led, offsets, output
from snndeploy.verify.proofs.stepping import Cell, Situation, currents, defined, definition, step
from snndeploy.verify.proofs.symbols import Decays, Ratio

SHARES = (1 / 16, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Parts of the time for a question, one a start of z3."""
DEPTH = 4
"""Steps from rest within which z3 looks for a run that shows a difference."""

_end: ContextVar[float] = ContextVar("end", default=math.inf)


@contextlib.contextmanager
def budget(seconds: float) -> Iterator[None]:
    """All questions within this block have so many seconds together; what is asked later is unknown at once."""
    token = _end.set(min(_end.get(), time.perf_counter() + seconds))
    try:
        yield
    finally:
        _end.reset(token)


def time_left() -> float:
    """Seconds left of the budget."""
    return _end.get() - time.perf_counter()


@dataclass(frozen=True)
class Answer:
    """What z3 said of a claim, in how many seconds, and the values that make it false."""

    status: Status
    seconds: float
    model: Any = None


def check(assumptions: list[Any], claim: Any, limit: float) -> Answer:
    """Whether the assumptions imply the claim, within ``limit`` seconds and the budget; no answer in time is ``unknown``, never more.

    z3 may answer a question in a tenth of a second or not in a minute, as its random choices fall: it starts again with others
    after each of ``SHARES`` of the time.
    """
    limit, spent = min(limit, time_left()), 0.0
    if limit <= 0:
        return Answer("unknown", 0.0)
    known = [*assumptions, z3.Not(claim)]
    for seed, share in enumerate(SHARES):
        answer = _asked(known, seed, limit * share)
        spent += answer.seconds
        if answer.status != "unknown":
            break
    return Answer(answer.status, spent, answer.model)


def _asked(formulas: list[Any], seed: int, limit: float) -> Answer:
    # a context of its own: what was asked before would change the order of z3's terms, and with it its choices
    context = z3.Context()
    own = z3.Solver(ctx=context)
    own.add(*(f.translate(context) for f in formulas))
    own.set("timeout", max(1, int(1000 * limit)))
    own.set("random_seed", seed)
    started = time.perf_counter()
    said = own.check()
    seconds = time.perf_counter() - started
    if said == z3.unsat:
        return Answer("proved", seconds)
    return Answer("failed", seconds, own.model().translate(z3.main_ctx())) if said == z3.sat else Answer("unknown", seconds)


def no_wrap(cell: Cell, limit: float) -> Answer:
    """That the current of no member leaves 24 bits in any situation the invariant allows."""
    now, v = Situation.any(cell), z3.Int("v")
    x, host, ranged = entering(cell)
    after = step(cell, now, x, host, Decays(abstracted(cell)))
    sums = [total for t in cell.members for total in currents(cell, t, x, now, after)]
    assumed = [*ranged, now.within(), v >= -STATE_MAX, v <= STATE_MAX, INVARIANTS[cell.construction](cell, v, now)]
    return check(assumed, z3.And([z3.And(s > -U_LIMIT, s < U_LIMIT) for s in sums]), limit)


@dataclass(frozen=True)
class Run:
    """Inputs x (weight units) and host biases (units of v) from rest, and the step, from 0, at which the rungs differ."""

    inputs: tuple[int, ...]
    host: tuple[int, ...]


def entering(cell: Cell, t: str = "") -> tuple[Any, Any, list[Any]]:
    """Free variables for what enters in a step, and their range."""
    x, mantissa = z3.Int(f"x{t}"), z3.Int(f"host{t}")
    return x, mantissa * cell.host_unit, [x >= cell.low, x <= cell.high, mantissa >= -cell.host, mantissa <= cell.host]


def inductive(cell: Cell, limit: float, abstract: bool = True) -> Answer:
    """Base, step and output in one answer: the invariant holds at rest, a step keeps it, and the output is k."""
    holds, node = INVARIANTS[cell.construction], definition(cell)
    base = check([], holds(cell, z3.IntVal(0), Situation.start(cell)), limit)
    if base.status != "proved":
        return base
    decays = Decays(abstracted(cell) if abstract else (), offsets(cell))
    now, v = Situation.any(cell), z3.Int("v")
    x, host, ranged = entering(cell)
    after = step(cell, now, x, host, decays)
    k, following = defined(node, v, x, host, decays)
    assumed = [*ranged, now.within(), v >= -STATE_MAX, v <= STATE_MAX, holds(cell, v, now)]
    claim = z3.And(output(cell, k, after), led(cell, after), holds(cell, following, after))
    kept = check([*assumed, *decays.facts()], claim, limit)
    return Answer(kept.status, base.seconds + kept.seconds, kept.model)


def abstracted(cell: Cell) -> list[Ratio]:
    """The decays that are known by their facts alone; two-phase needs that two of its halves make one, so it has them as they are."""
    return [] if cell.construction == "two-phase" else [cell.ratio]


def differing_run(cell: Cell, limit: float) -> Run | None:
    """The shortest run from rest, of up to ``DEPTH`` steps, after which the cell's rungs are not the burst neuron's.

    None where there is none, or none was found in ``limit`` seconds.
    """
    stop = time.perf_counter() + limit
    for depth in range(1, DEPTH + 1):
        found = _run_of(cell, depth, stop - time.perf_counter())
        if found is not None:
            return found
    return None


def _run_of(cell: Cell, depth: int, limit: float) -> Run | None:
    """A run of exactly ``depth`` steps that differs in the last, with the true decay."""
    node, decays = definition(cell), Decays()
    now, v, known = Situation.start(cell), z3.IntVal(0), []
    xs: list[Any] = []
    k: Any = z3.IntVal(0)
    for t in range(depth):
        x, host, inside = entering(cell, str(t))
        xs += [x, host]
        known += inside
        k, following = defined(node, v, x, host, decays)
        # fresh names for the state keep the formulas of a long run small
        now, v, known = _named(step(cell, now, x, host, decays), following, t, known)
    found = check(known, output(cell, k, now), limit)
    if found.status != "failed":
        return None
    values = [int(found.model.eval(term, model_completion=True).as_long()) for term in xs]
    return Run(tuple(values[::2]), tuple(values[1::2]))


def _named(now: Situation, v: Any, t: int, ranged: list[Any]) -> tuple[Situation, Any, list[Any]]:
    potentials = {tag: z3.Int(f"v{t}_{tag}") for tag in now.v}
    fired = {tag: z3.Bool(f"s{t}_{tag}") for tag in now.fired}
    known = z3.Int(f"v{t}")
    equal = [potentials[tag] == now.v[tag] for tag in potentials] + [fired[tag] == now.fired[tag] for tag in fired]
    return Situation(potentials, fired), known, [*ranged, *equal, known == v]
