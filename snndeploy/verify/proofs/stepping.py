"""One neuron's network as formulas: a cell with its integers (or with z3 terms for them), and one step of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import z3

from snndeploy.arrays import frozen
from snndeploy.chip.models import STATE_MAX, Lif
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.decoupling import UNIT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.verify.proofs.cells import Layer, Link, lags
from snndeploy.verify.proofs.programs import run_program
from snndeploy.verify.proofs.symbols import Decays, Formulas, Ratio, Symbol

SPAN = 1 << 24


@dataclass(frozen=True, eq=False)
class Member:
    """One neuron of a cell. ``threshold``, and the ``amount`` that a spike takes off (None: all), in units of v; a
    ``program`` runs with ``constants`` instead of the fixed LIF.
    """

    keep: int
    threshold: Any
    constant: Any = 0
    program: NeuronProgram | None = None
    constants: Mapping[str, int] = field(default_factory=dict)
    amount: Any = None


@dataclass(frozen=True, eq=False)
class Cell:
    """The network of one burst neuron. ``links`` by (source, target, lag); weights and constants in weight units.

    What enters is 64 x, x in ``low..high``, and what the host writes into the bias: a mantissa in +-``host`` times
    ``host_unit`` units of v; a member's own ``constant`` is what it gets beyond the others. ``thresholds`` [K] and
    ``amounts`` [K] (None: hard reset) are the burst neuron's, in units of v; it keeps ``keep`` / 4096 of its potential.
    ``neurons`` many neurons have these integers, the first is ``index``.
    """

    layer: str
    construction: str
    members: Mapping[str, Member]
    links: Mapping[Link, Any]
    keep: int
    thresholds: tuple[Any, ...]
    amounts: tuple[Any, ...] | None
    low: Any
    high: Any
    host: int = 0
    host_unit: int = 1
    index: int = 0
    neurons: int = 1

    @property
    def rungs(self) -> int:
        """K."""
        return len(self.thresholds)

    @property
    def ratio(self) -> Ratio:
        """The decay's factor, reduced."""
        return ratio_of(self.keep)

    def order(self) -> list[str]:
        """The members such that what acts within a step comes first."""
        left, done = list(self.members), []
        while left:
            ready = [t for t in left if not any(b == t and a in left and lag == 0 for a, b, lag in self.links)]
            assert ready, "a loop without delay"
            done += ready
            left = [t for t in left if t not in ready]
        return done


@dataclass(frozen=True, eq=False)
class Situation:
    """A cell between two steps: every member's potential, and which fired in the last step (z3 terms)."""

    v: Mapping[str, Any]
    fired: Mapping[str, Any]

    @classmethod
    def start(cls, cell: Cell) -> Situation:
        """Everything at rest."""
        return cls({t: z3.IntVal(0) for t in cell.members}, {t: z3.BoolVal(False) for t in cell.members})

    @classmethod
    def any(cls, cell: Cell) -> Situation:
        """Free variables."""
        return cls({t: z3.Int(f"v_{t}") for t in cell.members}, {t: z3.Bool(f"s_{t}") for t in cell.members})

    def within(self) -> Any:
        """Every potential is a 24-bit one."""
        return z3.And([z3.And(v >= -STATE_MAX, v <= STATE_MAX) for v in self.v.values()])

    def carried(self, cell: Cell, tag: str) -> Any:
        """What the spikes of the last step and the constants will bring ``tag`` in the next, in weight units."""
        return arrivals(cell, tag, 1, self.fired) + cell.members[tag].constant


def arrivals(cell: Cell, tag: str, lag: int, fired: Mapping[str, Any]) -> Any:
    """The sum of the links into ``tag`` of this lag, given who ``fired``."""
    parts = [z3.If(fired[a], w, 0) for (a, b, back), w in cell.links.items() if b == tag and back == lag]
    return z3.Sum(parts) if parts else z3.IntVal(0)


def step(cell: Cell, before: Situation, x: Any, host: Any, decays: Decays) -> Situation:
    """The cell one step on, in the chip's arithmetic: u wraps at 24 bits, v saturates, firing is strict."""
    if cell.construction == "two-phase":
        return _two_steps(cell, before, x, host, decays)
    v: dict[str, Any] = {}
    fired: dict[str, Any] = {}
    for tag in cell.order():
        member = cell.members[tag]
        entering, bias = (x, host) if sees_input(tag) else (z3.IntVal(0), z3.IntVal(0))
        u = wrapped(UNIT * (entering + before.carried(cell, tag) + arrivals(cell, tag, 0, fired)))
        if member.program is not None:
            sent, words = run_program(member.program, member.constants, {"v": before.v[tag]}, u + bias, decays)
            v[tag], fired[tag] = words["v"], sent != 0
            continue
        h = saturated(decays(before.v[tag], ratio_of(member.keep)) + u + bias)
        fired[tag] = h > member.threshold
        v[tag] = z3.If(fired[tag], 0, h)
    return Situation(v, fired)


def _two_steps(cell: Cell, before: Situation, x: Any, host: Any, decays: Decays) -> Situation:
    """Two steps of the chip: the input at the first, what the first one's spikes send at the second; "N1.first": fired at the first."""
    now, fired = before.v, dict(before.fired)
    first: dict[str, Any] = {}
    for phase in (0, 1):
        entering = {t: x + before.carried(cell, t) if phase == 0 else arrivals(cell, t, 1, fired) for t in cell.members}
        bias = host if phase == 0 else z3.IntVal(0)
        h = {t: saturated(decays(now[t], ratio_of(m.keep)) + wrapped(UNIT * entering[t]) + bias) for t, m in cell.members.items()}
        fired = {t: h[t] > m.threshold for t, m in cell.members.items()}
        now = {t: z3.If(fired[t], 0, h[t]) for t in cell.members}
        first = first or {f"{t}.first": s for t, s in fired.items()}
    return Situation(now, {**fired, **first})


def sees_input(tag: str) -> bool:
    """False for T and the relays R."""
    return tag[0] != "R" and tag != "T"


def currents(cell: Cell, tag: str, x: Any, before: Situation, after: Situation) -> list[Any]:
    """The sums that enter a member's u in a step (in each of its two), in weight units."""
    if cell.construction == "two-phase":
        forced = arrivals(cell, tag, 1, {t: after.fired[f"{t}.first"] for t in cell.members})
        return [x + before.carried(cell, tag), forced]
    entering = x if sees_input(tag) else z3.IntVal(0)
    return [entering + before.carried(cell, tag) + arrivals(cell, tag, 0, after.fired)]


def ratio_of(keep: int) -> Ratio:
    """keep / 4096, reduced."""
    made = Symbol(None, keep, 12)
    return made.numerator, made.bits


def wrapped(u: Any) -> Any:
    """Once around 24 bits."""
    return z3.If(u > SPAN // 2, u - SPAN, z3.If(u <= -SPAN // 2, u + SPAN, u))


def saturated(v: Any) -> Any:
    """Clipped to +-(2**23 - 1)."""
    return z3.If(v > STATE_MAX, STATE_MAX, z3.If(v < -STATE_MAX, -STATE_MAX, v))


def definition(cell: Cell) -> IntegerNeuron:
    """The burst neuron that the cell claims to be; its level is the rung index k."""
    levels = frozen(np.arange(1.0, cell.rungs + 1))
    amounts = None if cell.amounts is None else frozen(np.asarray(cell.amounts, dtype=np.float64))
    reset = "hard" if amounts is None else "subtract"
    thresholds = frozen(np.asarray(cell.thresholds, dtype=np.float64))
    return IntegerNeuron(frozen(4095.0), frozen(4096.0 - cell.keep), thresholds, levels, reset=reset, amounts=amounts)  # type: ignore[arg-type]


def defined(node: IntegerNeuron, v: Any, x: Any, host: Any, decays: Decays) -> tuple[Any, Any]:
    """(k, the next v) of the burst neuron: its ``step``, over formulas."""
    entering = Symbol(UNIT * x + host, 1, 6)
    state = {"u": Symbol(z3.IntVal(0)), "v": Symbol(v)}
    y, after = node.step((entering,), state, Formulas(decays))  # type: ignore[arg-type]
    return y.whole, after["v"].whole


def cells(layer: Layer, low: Any, high: Any, host: int = 0, node: IntegerNeuron | None = None) -> Iterator[Cell]:
    """One cell for each distinct set of integers in the layer, with the widest input range among its neurons.

    ``node`` is the burst neuron that the layer must equal; None: the one that its own thresholds and synapses claim.
    """
    named = _columns(layer) | (_claimed(layer, node) if node else {})
    rows, first, which = np.unique(np.stack(list(named.values()), axis=1), axis=0, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    for i, row in enumerate(rows):
        numbers = dict(zip(named, (int(n) for n in row), strict=True))
        mine = which == i
        yield _cell(layer, numbers, int(low[mine].min()), int(high[mine].max()), host, int(first[i]), int(mine.sum()))


def _columns(layer: Layer) -> dict[tuple[str, ...], Any]:
    """[size] every integer of a neuron's cell, by member and name."""
    columns: dict[tuple[str, ...], Any] = {}
    for tag, population in layer.members.items():
        model = population.model
        names = ("dv", "vth", "bias_exp")
        named = model.constants if isinstance(model, NeuronProgram) else {name: getattr(model, name) for name in names}
        for name, values in named.items():
            columns[tag, name] = np.broadcast_to(values, population.shape).reshape(-1)
        columns[tag, "+"] = layer.constants[tag] - (layer.constants[layer.banks[0]] if tag in layer.banks else 0)
    for (a, b, lag), weights in lags(layer).items():
        columns[a, b, str(lag)] = weights
    return columns


def _claimed(layer: Layer, node: IntegerNeuron) -> dict[tuple[str, ...], Any]:
    """[size] the burst neuron's own integers."""
    shape = next(iter(layer.members.values())).shape

    def flat(values: Any) -> Any:
        return np.broadcast_to(values, shape).reshape(-1).astype(np.int64)

    columns: dict[tuple[str, ...], Any] = {("=", "keep"): flat(4096 - node.dv)}
    for j in range(node.rungs):
        columns["=", f"t{j}"] = flat(node.thresholds[j])
        columns |= {("=", f"r{j}"): flat(node.amounts[j])} if node.amounts is not None else {}
    return columns


def _cell(layer: Layer, n: Mapping[tuple[str, ...], int], low: int, high: int, host: int, index: int, neurons: int) -> Cell:
    members = {tag: _member(tag, p.model, n) for tag, p in layer.members.items()}
    links = {(a, b, lag): n[a, b, str(lag)] for a, b, lag in lags(layer)}
    ladder = range(1, layer.rungs + 1)
    first = {"ping-pong": "A1", "look-ahead": "A", "lateral": "N1", "two-phase": "N1"}[layer.construction.removesuffix("-direct")]
    bank = {"A1": "A", "A": "B", "N1": "N"}[first]
    thresholds = tuple(members[first if j == 1 else f"{bank}{j}"].threshold for j in ladder)
    keep = members[first].keep
    keep = keep * keep >> 12 if layer.construction == "two-phase" else keep
    amounts = taken(layer.rungs, keep, links, thresholds) if layer.construction == "lateral" else None
    if ("=", "keep") in n:
        count = sum(key[0] == "=" and key[1][0] == "t" for key in n)
        keep, thresholds = n["=", "keep"], tuple(n["=", f"t{j}"] for j in range(count))
        amounts = tuple(n["=", f"r{j}"] for j in range(count)) if ("=", "r0") in n else None
    unit = 1 << max(0, n.get((first, "bias_exp"), 0))
    return Cell(layer.name, layer.construction, members, links, keep, thresholds, amounts, low, high, host, unit, index, neurons)


def taken(rungs: int, keep: int, links: Mapping[Link, int], thresholds: tuple[int, ...]) -> tuple[int, ...]:
    """What the burst neuron subtracts at each rung, told by the lateral synapses: -64 * 4096 / keep a weight unit.

    Where nothing is kept, nothing tells: then it is the threshold of the first rung. A fraction is rounded; the proof
    of the cell then fails, as it must.
    """
    if not keep:
        return (thresholds[0],) * rungs
    other = [2 if j == 1 and rungs > 1 else 1 for j in range(1, rungs + 1)]
    steps = [round(-links.get((f"N{j}", f"N{i}", 1), 0) * UNIT * 4096 / keep) for j, i in enumerate(other, 1)]
    return tuple(int(total) for total in np.cumsum(steps))


def _member(tag: str, model: object, n: Mapping[tuple[str, ...], int]) -> Member:
    if isinstance(model, Lif):
        return Member(4096 - n[tag, "dv"], n[tag, "vth"] * UNIT, n[tag, "+"])
    assert isinstance(model, NeuronProgram)
    constants = {name: n[tag, name] for name in model.constants}
    return Member(constants["kv"], constants["t0"], n[tag, "+"], model, constants, constants.get("r0"))
