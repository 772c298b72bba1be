"""What holds between any two steps of each construction, and what its output must be: the theorems' invariants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import z3

from snndeploy.ir.neurons.decoupling import UNIT
from snndeploy.verify.proofs.cells import READS
from snndeploy.verify.proofs.stepping import Cell, Situation, ratio_of
from snndeploy.verify.proofs.symbols import toward_zero


def ping_pong(cell: Cell, v: Any, now: Situation) -> Any:
    """One bank holds the burst neuron's v and gets no force; the other holds 0 or more and will be forced."""
    ladder = range(1, cell.rungs + 1)
    force = [cell.members[f"B{j}"].constant for j in ladder]

    def led_by(active: str, idle: str) -> Any:
        held = [now.v[f"{active}{j}"] == v for j in ladder] + [now.v[f"{idle}{j}"] >= 0 for j in ladder]
        calm = [now.carried(cell, f"{active}{j}") == 0 for j in ladder]
        forced = [now.carried(cell, f"{idle}{j}") == force[j - 1] for j in ladder]
        return z3.And(*held, *calm, *forced)

    return z3.And(z3.Or(led_by("A", "B"), led_by("B", "A")), relays(cell, now))


def relays(cell: Cell, now: Situation) -> Any:
    """A relay holds at most the one weight unit that did not make it fire, which its decay forgets."""
    return z3.And([z3.And(now.v[t] >= 0, now.v[t] <= UNIT) for t in cell.members if t[0] == "R"])


def look_ahead(cell: Cell, v: Any, now: Situation) -> Any:
    """A holds v; T's potential tells which of B_j, C_j holds v too; the other lags behind by at most the kick G."""
    further = range(2, cell.rungs + 1)
    kick = {j: -cell.links.get(("A", f"C{j}", 1), 0) for j in further}

    def deciding(decides: str, other: str) -> Any:
        true = [z3.And(now.v[f"{decides}{j}"] == v, now.carried(cell, f"{decides}{j}") == 0) for j in further]
        behind = [
            z3.And(now.carried(cell, f"{other}{j}") == 0, now.v[f"{other}{j}"] <= v, v - now.v[f"{other}{j}"] <= UNIT * kick[j])
            for j in further
        ]
        kicked = [
            z3.And(now.carried(cell, f"{other}{j}") == -kick[j], v == 0, now.v[f"{other}{j}"] >= 0,
                   now.v[f"{other}{j}"] <= cell.thresholds[j - 1])
            for j in further
        ]  # fmt: skip
        return z3.And(*true, z3.If(now.fired["A"], z3.And(kicked), z3.And(behind)))

    odd, even = now.v["T"] == 0, now.v["T"] == UNIT
    return z3.And(now.v["A"] == v, z3.Or(z3.And(odd, deciding("C", "B")), z3.And(even, deciding("B", "C"))), relays(cell, now))


def lateral(cell: Cell, v: Any, now: Situation) -> Any:
    """After rung k neuron j holds v + amounts[k] - its own amount where it fired, v + amounts[k] where not; none below 0."""
    assert cell.amounts is not None
    ladder, cases = range(cell.rungs), []
    for k in range(cell.rungs + 1):
        rho = cell.amounts[k - 1] if k else 0
        pattern = [now.fired[f"N{j + 1}"] if j < k else z3.Not(now.fired[f"N{j + 1}"]) for j in ladder]
        held = [now.v[f"N{j + 1}"] == v + (rho - cell.members[f"N{j + 1}"].amount if j < k else rho) for j in ladder]
        above = [v >= 0, *(now.v[f"N{j + 1}"] >= 0 for j in ladder)] if k else []
        cases.append(z3.And(*pattern, *held, *above))
    return z3.Or(cases)


def two_phase(cell: Cell, v: Any, now: Situation) -> Any:
    """Every rung holds the burst neuron's v after one of its two decays, and nothing is on its way."""
    held = []
    for tag, member in cell.members.items():
        numerator, bits = ratio_of(member.keep)
        held.append(now.v[tag] == toward_zero(v * numerator, bits))
    return z3.And(*held, *(now.carried(cell, t) == member.constant for t, member in cell.members.items()))


def offsets(cell: Cell) -> tuple[int, ...]:
    """By how much two potentials of a lateral cell may differ: where the decay's translation is used."""
    if cell.amounts is None:
        return ()
    own = [cell.members[f"N{j}"].amount for j in range(1, cell.rungs + 1)]
    apart = {rho - (amount if j <= k else 0) for k, rho in enumerate(cell.amounts) for j, amount in enumerate(own)}
    return tuple(sorted({*apart, *(-d for d in apart)} - {0}))


def output(cell: Cell, k: Any, after: Situation) -> Any:
    """The members' spikes of this step say k, rung by rung, in the way downstream reads them."""
    fired: Mapping[str, Any] = {t: z3.If(s, 1, 0) for t, s in after.fired.items()}
    told = READS[cell.construction]
    return z3.And([told(fired, j) == z3.If(k >= j, 1, 0) for j in range(1, cell.rungs + 1)])


def led(cell: Cell, after: Situation) -> Any:
    """Of ping-pong's banks one has just fired whole; of two-phase's rungs all but the first fire at the second step, if that one did
    at the first. Nobody reads that, so a run that breaks it alone refutes nothing.
    """
    if cell.construction == "two-phase":
        forced = [after.fired[t] == after.fired["N1.first"] for t in cell.members if t != "N1"]
        return z3.And(z3.Not(after.fired["N1"]), *forced)
    if not cell.construction.startswith("ping-pong"):
        return z3.BoolVal(True)
    return z3.Or([z3.And([after.fired[f"{b}{j}"] for j in range(1, cell.rungs + 1)]) for b in "AB"])


INVARIANTS: Mapping[str, Callable[[Cell, Any, Situation], Any]] = {
    "ping-pong": ping_pong,
    "ping-pong-direct": ping_pong,
    "lateral": lateral,
    "two-phase": two_phase,
    "look-ahead": look_ahead,
    "look-ahead-direct": look_ahead,
}
