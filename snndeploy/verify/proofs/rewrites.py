"""What the importers rewrite, proved over the reals for every parameter; and the constructions' theorems, for every integer."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import z3

from snndeploy.chip.models import STATE_MAX
from snndeploy.ir.neurons.decoupling import U_LIMIT, UNIT
from snndeploy.ir.neurons.twophase import HALVES
from snndeploy.verdict import Proof
from snndeploy.verify.proofs.induction import Answer, abstracted, check
from snndeploy.verify.proofs.invariants import INVARIANTS, led, output
from snndeploy.verify.proofs.stepping import Cell, Member, Situation, saturated, step
from snndeploy.verify.proofs.symbols import Decays

HALF = 2048
"""Any decay strictly between 0 and 4096 stands for all: in these theorems D is abstract, known by its facts alone."""


def prove_rewrites(limit: float) -> Iterator[Proof]:
    """Each rewrite of an imported LIF, one step from any state that corresponds, over the reals."""
    v, x, tau, theta, rest = z3.Reals("v x tau theta rest")
    decay = 1 - 1 / tau
    decayed = decay * v + x * (1 / tau) == v + (x - v) / tau
    yield _real("decayed input", "v + (x - v)/tau is v (1 - 1/tau) plus input weights times 1/tau", [tau >= 1], decayed, limit)
    h = v + (x - (v - rest)) / tau
    shifted = decay * (v - rest) + x / tau
    fires = (h >= theta) == (shifted >= theta - rest)
    after = z3.If(h >= theta, rest, h) - rest == z3.If(shifted >= theta - rest, z3.RealVal(0), shifted)
    said = "a neuron that rests at and resets to v_reset is one that resets to 0, its threshold less v_reset"
    yield _real("v_reset shift", said, [tau >= 1], z3.And(fires, after), limit)
    beta, fired = z3.Real("beta"), z3.Bool("s")
    # delayed: h = beta v + x - theta s, v = h.  at once: w = v - (theta / beta) s, h = beta w + x
    late = beta * v + x - z3.If(fired, theta, z3.RealVal(0))
    early = beta * (v - z3.If(fired, theta / beta, z3.RealVal(0))) + x
    said = "a subtraction of theta one step later is one of theta/beta at once (in integers it stays literal, a word s)"
    yield _real("delayed subtract", said, [beta > 0], late == early, limit)


def _real(name: str, statement: str, assumed: list[Any], claim: Any, limit: float) -> Proof:
    answer = check(assumed, claim, limit)
    return Proof(name, "", statement, answer.status, answer.seconds, limit, found="over the reals, for every parameter")


def theorem(construction: str, rungs: int, limit: float, given: tuple[Cell, list[Any]] | None = None) -> Answer:
    """The construction equals the burst neuron in 24-bit chip arithmetic, for all thresholds, decays and inputs at once.

    Thresholds, amounts, forces and the input bound are symbols, held only to the construction's register conditions; the
    decay is abstract (of two-phase, whose decays are few, the one of ``symbolic``). Hard reset: all but lateral. ``given``: other
    conditions, or another decay, than ``symbolic`` has.
    """
    cell, conditions = given or symbolic(construction, rungs)
    decays, v, x = Decays(abstracted(cell)), z3.Int("v"), z3.Int("x")
    now, holds = Situation.any(cell), INVARIANTS[construction]
    base = check(conditions, holds(cell, z3.IntVal(0), Situation.start(cell)), limit)
    after = step(cell, now, x, z3.IntVal(0), decays)
    h = saturated(decays(v, cell.ratio) + UNIT * x)
    k = z3.Sum([z3.If(h > t, 1, 0) for t in cell.thresholds])
    following = z3.If(k >= 1, 0, h)
    ranged = [x >= cell.low, x <= cell.high, now.within(), v >= -STATE_MAX, v <= STATE_MAX, holds(cell, v, now)]
    claim = z3.And(output(cell, k, after), led(cell, after), holds(cell, following, after))
    kept = check([*conditions, *ranged, *decays.facts()], claim, limit)
    return Answer(kept.status if base.status == "proved" else base.status, base.seconds + kept.seconds, kept.model)


def symbolic(construction: str, rungs: int, keep: int = HALF // 2) -> tuple[Cell, list[Any]]:
    """The construction with symbols for its integers, and the conditions it is offered under; two-phase with decay ``keep`` / 4096."""
    bound, force, kick = z3.Ints("X F G")
    mantissas = [z3.Int(f"vth{j}") for j in range(1, rungs + 1)]
    rising = [mantissas[0] >= 0, *(b >= a for a, b in itertools.pairwise(mantissas)), bound >= 0]
    thetas = tuple(UNIT * m for m in mantissas)
    if construction == "two-phase":
        members = {f"N{j}": Member(HALVES[keep], theta) for j, theta in enumerate(thetas, 1)}
        links: dict[Any, Any] = {("N1", tag, 1): force for tag in members if tag != "N1"}
        enough = [force < U_LIMIT, bound < U_LIMIT, force > mantissas[-1]]
        return Cell("", construction, members, links, keep, thetas, None, -bound, bound), [*rising, *enough]
    rising.append(force + bound < U_LIMIT)
    if construction.startswith("ping-pong"):
        members, links = _banks(thetas, force, construction == "ping-pong")
        enough = [force >= mantissas[-1] + bound + 1]
    else:
        members, links = _ahead(thetas, force, kick, construction == "look-ahead")
        enough = [kick >= mantissas[-1], force >= kick + mantissas[-1] - mantissas[0]]
    return Cell("", construction, members, links, HALF, thetas, None, -bound, bound), [*rising, *enough]


def _banks(thetas: tuple[Any, ...], force: Any, relayed: bool) -> tuple[dict[str, Member], dict[Any, Any]]:
    ladder, last = range(1, len(thetas) + 1), len(thetas)
    members = {f"{b}{j}": Member(HALF, thetas[j - 1], force if b == "B" else 0) for b in "AB" for j in ladder}
    links: dict[Any, Any] = {}
    for source, sign in (("A1", 1), ("B1", -1), (f"B{last}", 1)):
        for bank, side in (("A", 1), ("B", -1)):
            links |= {(source, f"{bank}{j}", 1): sign * side * force for j in ladder}
    pairs = [(f"{b}{j}", f"R{j}") for b in "AB" for j in ladder] if relayed else []
    return members | _relays(pairs), links | {(a, b, 0): 1 for a, b in pairs}


def _ahead(thetas: tuple[Any, ...], force: Any, kick: Any, relayed: bool) -> tuple[dict[str, Member], dict[Any, Any]]:
    further = range(2, len(thetas) + 1)
    members = {"A": Member(HALF, thetas[0]), "T": Member(4096, UNIT)}
    members |= {f"{b}{j}": Member(HALF, thetas[j - 1]) for b in "BC" for j in further}
    links: dict[Any, Any] = {("A", "T", 0): 1}
    for source, bank, weight, lag in (
        ("A", "B", force, 0), ("T", "B", -force, 0), ("T", "C", force, 0),
        ("A", "C", -kick, 1), ("T", "C", kick, 1), ("T", "B", -kick, 1),
    ):  # fmt: skip
        links |= {(source, f"{bank}{j}", lag): weight for j in further}
    pairs = [(f"{b}{j}", f"R{j}") for b in "BC" for j in further] if relayed else []
    return members | _relays(pairs), links | {(a, b, 0): 1 for a, b in pairs}


def _relays(pairs: list[tuple[str, str]]) -> dict[str, Member]:
    return {relay: Member(1, UNIT) for _, relay in pairs}
