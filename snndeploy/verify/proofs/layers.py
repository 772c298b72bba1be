"""The obligations of every decoupled burst layer of a chip network, on its own integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import z3

from snndeploy.arrays import Ints
from snndeploy.chip.network import ChipNetwork, Projection, Wire
from snndeploy.ir.neurons.decoupling import CONSTANT, U_LIMIT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.verdict import Proof, Status
from snndeploy.verify.proofs.cells import Layer, burst_layers, inlet, onto, structure
from snndeploy.verify.proofs.induction import Answer, check, differing_run, inductive, no_wrap, time_left
from snndeploy.verify.proofs.invariants import offsets
from snndeploy.verify.proofs.phases import NAME, unheld
from snndeploy.verify.proofs.ranges import synaptic_range
from snndeploy.verify.proofs.registers import MANTISSA
from snndeploy.verify.proofs.replaying import Execute, random_run, replayed
from snndeploy.verify.proofs.stepping import Cell, cells
from snndeploy.verify.proofs.symbols import toward_zero


def prove_layers(network: ChipNetwork, execute: Execute, limit: float, nodes: Mapping[str, IntegerNeuron]) -> Iterator[Proof]:
    """What must hold of every decoupled layer, each obligation by itself. ``execute`` runs the chip simulator.

    ``nodes`` are the burst neurons that the layers must equal, by layer; without one it is what the layer claims to be.
    """
    layers = burst_layers(network)
    quiet = network.phases == 1 or not unheld(network)
    for layer in layers:
        wrong = structure(network, layer)
        yield Proof(
            "same input", layer.name, "every neuron of the construction gets the layer's input, at the same step, from rest",
            "failed" if wrong else "proved", by="arithmetic", found="; ".join(wrong),
        )  # fmt: skip
        if wrong:
            continue
        if not quiet:
            yield Proof(
                "burst", layer.name, "two-phase equals the burst neuron", "unknown", found=f"rests on '{NAME}', which is not proved"
            )
            continue
        yield from _reads(network, layer)
        found = list(cells(layer, *input_range(network, layer, layers), nodes.get(layer.name)))
        yield from _prove_layer(layer, found, execute, limit)


def input_range(network: ChipNetwork, layer: Layer, layers: tuple[Layer, ...]) -> tuple[Ints, Ints, int]:
    """([size], [size], m): the synaptic sum with its constants, in weight units, and the largest mantissa the host writes."""
    bank = layer.banks[0]
    written = [p for p in layer.outside[bank] if isinstance(p.synapses, Wire) and p.synapses.as_bias]
    late = [p for p in layer.outside[bank] if p.source == CONSTANT]
    low, high = synaptic_range(network, [p for p in layer.outside[bank] if p not in written and p not in late], layers)
    for brought in (onto(p, layer.size) for p in late):
        low, high = low + np.minimum(brought, 0), high + np.maximum(brought, 0)
    constant = layer.constants[bank]
    return constant + low, constant + high, MANTISSA if written else 0


def _prove_layer(layer: Layer, found: list[Cell], execute: Execute, limit: float) -> Iterator[Proof]:
    if layer.construction == "two-phase":
        halves = {(member.keep, cell.keep) for cell in found for member in cell.members.values()}
        yield from (_halves(layer.name, half, keep, limit) for half, keep in sorted(halves))
    else:
        yield from (_decay(layer.name, keep, spans, limit) for keep, spans in _decays(found).items())
    low, high, force = min(c.low for c in found), max(c.high for c in found), max(_largest(c) for c in found)
    numbers = f"input {low}..{high}, largest force {force}, limit {U_LIMIT} weight units"
    status, seconds = _all([no_wrap(cell, limit) for cell in found])
    # the range may hold sums that no run reaches, so one beyond u's bits refutes nothing
    status = "unknown" if status == "failed" else status
    yield Proof("no wrap of u", layer.name, "no sum that can arrive leaves the 24 bits of u", status, seconds, limit, found=numbers)
    answers = [inductive(cell, limit) for cell in found]
    status, seconds = _all(answers)
    groups = f"{len(found)} distinct set{'s' if len(found) > 1 else ''} of integers among {layer.size:,} neurons, x in {low}..{high}"
    statement = f"{layer.construction} equals the burst neuron: every rung, every input in range, every step from rest"
    proof = Proof("burst", layer.name, statement, status, seconds, limit, found=groups)
    yield proof if status == "proved" else _refuted(proof, layer, found, answers, execute)


def _refuted(proof: Proof, layer: Layer, found: list[Cell], answers: list[Answer], execute: Execute) -> Proof:
    """The proof with a counterexample that the simulator confirms; without one it is unknown, whatever z3 thought."""
    for cell, answer in zip(found, answers, strict=True):
        if answer.status == "proved" or time_left() <= 0:
            continue
        run = differing_run(cell, proof.limit) or random_run(layer, cell, execute)
        example = replayed(layer, cell, run, execute) if run else None
        if example and example.replayed:
            return Proof(proof.name, proof.layer, proof.statement, "failed", proof.seconds, proof.limit, proof.by, proof.found, example)
    why = f"{proof.found}; the invariant is not kept, but no run was found that shows a difference"
    return Proof(proof.name, proof.layer, proof.statement, "unknown", proof.seconds, proof.limit, proof.by, why)


def _all(answers: list[Answer]) -> tuple[Status, float]:
    said = {a.status for a in answers}
    status: Status = "failed" if "failed" in said else "unknown" if "unknown" in said else "proved"
    return status, sum(a.seconds for a in answers)


def _largest(cell: Cell) -> int:
    return max((abs(int(w)) for w in cell.links.values()), default=0)


def _decays(found: list[Cell]) -> dict[int, tuple[int, ...]]:
    """Every decay of the layer, with the shifts at which its translation is used."""
    spans: dict[int, set[int]] = {}
    for cell in found:
        spans.setdefault(cell.keep, set()).update(d for d in offsets(cell) if d > 0 and cell.keep * d % 4096 == 0)
    return {keep: tuple(sorted(s)) for keep, s in spans.items()}


def _decay(layer: str, keep: int, spans: tuple[int, ...], limit: float) -> Proof:
    """The three facts that stand for D in the other proofs, for the actual decay."""
    v = z3.Int("v")
    ranged = [v > -(1 << 24), v < 1 << 24]

    def d(term: Any) -> Any:
        return toward_zero(term * z3.IntVal(keep), 12)

    rise = d(v + 1) - d(v)
    facts = [d(z3.IntVal(0)) == 0, z3.And(rise >= 0, rise <= 1)]
    facts += [z3.Implies(z3.Or(v >= 0, v + s <= 0), d(v + s) == d(v) + keep * s // 4096) for s in spans]
    answers = [check(ranged, fact, limit) for fact in facts]
    said = "D(0) = 0, 0 <= D(v+1) - D(v) <= 1" + (f", D(v+d) = D(v) + {keep} d/4096 for d in {list(spans)}" if spans else "")
    return Proof("decay", layer, f"D(v) = trunc(v {keep}/4096): {said}", *_all(answers), limit)


def _halves(layer: str, half: int, keep: int, limit: float) -> Proof:
    """That two truncating decays make one, for the actual decay; the proof of the burst layer runs both as they are."""
    v = z3.Int("v")

    def d(term: Any, factor: int) -> Any:
        return toward_zero(term * z3.IntVal(factor), 12)

    answer = check([v > -(1 << 24), v < 1 << 24], d(d(v, half), half) == d(v, keep), limit)
    said = f"D(v) = trunc(v {keep}/4096) is trunc(trunc(v {half}/4096) {half}/4096), of which each of the two steps makes one"
    found = f"not at v = {answer.model.eval(v)}" if answer.status == "failed" else ""
    return Proof("decay", layer, said, "proved" if answer.status == "proved" else "unknown", answer.seconds, limit, found=found)


def _reads(network: ChipNetwork, layer: Layer) -> Iterator[Proof]:
    """Where downstream reads two banks, it must read both alike."""
    banks = {"ping-pong-direct": "AB", "look-ahead-direct": "BC"}.get(layer.construction)
    if banks is None:
        return
    wrong = []
    for j in range(1 if banks == "AB" else 2, layer.rungs + 1):
        one, other = (_sent(network, layer, f"{b}{j}") for b in banks)
        wrong += [f"{banks[0]}{j} and {banks[1]}{j} reach the next layer with other weights"] if one != other else []
    yield Proof(
        "same output", layer.name, "both banks reach the next layers through equal synapses", "failed" if wrong else "proved",
        by="arithmetic", found="; ".join(wrong),
    )  # fmt: skip


def _sent(network: ChipNetwork, layer: Layer, tag: str) -> list[str]:
    names = {m.name for m in layer.members.values()}
    leaving: list[Projection] = [p for p in network.projections if p.source == layer.members[tag].name and p.target not in names]
    return sorted(repr((p.target, *inlet(p, 0)[1:])) for p in leaving)
