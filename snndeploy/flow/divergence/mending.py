"""Which number of a chip's LIF layer is not the graph's, but for rounding; mended, and the layer run again.

A cause is named only where the run says so: with that number set to the graph's the difference goes, or only what the
rounding of the other registers explains is left. Where no number is off, nothing is rounded in a last run: if the
difference goes then, rounding is the cause.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats
from snndeploy.chip.models import DECAY_UNIT, Lif
from snndeploy.chip.network import ChipNetwork
from snndeploy.flow.divergence import registers
from snndeploy.flow.divergence.apart import Apart, Off, numbers_apart
from snndeploy.flow.divergence.comparing import Alone
from snndeploy.flow.divergence.registers import Numbers
from snndeploy.flow.divergence.rules import Rules, run_lif
from snndeploy.flow.divergence.sides import Series, Side, part, seen, unit
from snndeploy.ir.graph import Graph
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim import kernels
from snndeploy.verdict import Suspect


@dataclass(frozen=True, eq=False)
class Case:
    """A LIF layer of a graph and of a chip network in one unit, what feeds it, and what the graph's gives.

    ``fed`` [T, B, *shape] by source is in units of what the chip's sources send; ``wanted`` [T, B, neurons].
    """

    ours: Numbers
    theirs: Numbers
    model: Lif
    node: LIF | CubaLIF
    fed: dict[str, Floats]
    wanted: Series
    steps: int


def case(graph: Side, chip: Side, layer: str, apart: Alone, steps: int) -> Case | None:
    """The two layers, where both are a LIF behind linear synapses; else None."""
    network, own = part(chip, layer), part(graph, layer)
    assert isinstance(network, ChipNetwork)
    assert isinstance(own, Graph)
    ours = registers.of_graph(graph, layer, steps)
    if ours is None or not registers.linear(ours, graph, layer, apart.feeds_a, steps):
        return None
    names = set(ours.kernels)
    if not registers.constants_only(network, layer, names):
        return None
    theirs = registers.of_chip(chip, layer, apart, names, steps)
    if theirs is None:
        return None
    units = {name: unit(chip, name) for name in names}
    ours = replace(ours, kernels={name: kernel * units[name] for name, kernel in ours.kernels.items()})
    fed = {name: np.asarray(apart.feeds_a[name], np.float64) / units[name] for name in names}
    wanted = seen(graph, apart.run_a, layer)[:steps]
    model, node = network.populations[layer].model, own.nodes[layer]
    assert isinstance(model, Lif)
    assert isinstance(node, LIF | CubaLIF)
    return Case(ours, theirs, model, node, fed, wanted.reshape(*wanted.shape[:2], -1), steps)


def suspects(given: Case) -> Iterator[Suspect]:
    """What is off, mended and run; then, where nothing is, rounding and the rules of the reset."""
    found = numbers_apart(given.ours, given.theirs)
    several = found.off or ((found.clipped,) if found.clipped else ())
    tried = [_again(given, found, (off,), off.words, alone=len(several) == 1) for off in several]
    if len(several) > 1 and not any(said.reproduces == "mended" for said in tried):
        words = "together: " + "; ".join(off.words for off in several)
        tried.append(_again(given, found, several, words, alone=True))
    yield from tried
    if not any(said.reproduces == "mended" for said in tried):
        yield from _roundings(given, found)


def off(given: Case) -> bool:
    """True if some number of the chip's layer is apart from the graph's by more than rounding."""
    return bool(numbers_apart(given.ours, given.theirs).off)


def _again(given: Case, found: Apart, several: Sequence[Off], words: str, *, alone: bool) -> Suspect:
    """The layer run again with these numbers mended."""
    before, after = _different(given, given.theirs), _different(given, _mended(given, found, several))
    kept = int((before & after).sum())
    left = int(after.sum())
    if alone and kept < before.sum() == left:
        words = f"{words}; mended, the {left} differences are others"
        return Suspect(several[0].cause, f"{words}, by the rounding of the other registers", "mended", read=True)
    return judged(several[0].cause, words, int(before.sum()), left, alone)


def judged(cause: str, words: str, before: int, left: int, alone: bool = True) -> Suspect:
    """What a run with numbers mended says: ``before`` and ``left`` are the values that differ without and with it."""
    if not left:
        return Suspect(cause, f"{words}; mended, all {before} differences go", "mended", read=True)
    said = f"{words}; mended, {left} of {before} differences are left"
    if alone and left < before:
        return Suspect(cause, f"{said}, by the rounding of the other registers", "mended", read=True)
    return Suspect(cause, said, "no", read=True)


def _roundings(given: Case, found: Apart) -> Iterator[Suspect]:
    """Nothing is off: the rules of the chip with the graph's own numbers, then without what is cut off."""
    before = int(_different(given, given.theirs).sum())
    whole = given.ours.scaled(found.scale)
    exact = _different(given, whole, Rules(division="none", strict=given.node.strict)).any()
    for cause, words, rules in _other_rules(given.node):
        if exact and not _different(given, whole, replace(rules, division="none")).any():
            yield Suspect(cause, f"on the chip: {words}; with the graph's rule all differences go", "mended", read=True)
            return
    if exact:
        return
    if not _different(given, given.theirs, Rules(division="none")).any():
        words = "the chip's registers are the graph's numbers; with the fractions that the chip cuts off, all differences go"
        yield Suspect("truncation", words, "mended", read=True)
        return
    words = f"every number that plays a part is the graph's but for rounding; not rounded, all {before} differences go"
    yield Suspect("rounding", words, "mended", read=True)


def _other_rules(node: LIF | CubaLIF) -> Iterator[tuple[str, str, Rules]]:
    if node.reset != "hard":
        name = "subtract" if node.reset == "subtract" else "none"
        yield "reset-kind", "a spike sets v to 0", Rules(reset=name, strict=node.strict)  # type: ignore[arg-type]
    if node.late:
        yield "reset-late", "the reset acts in the step of the spike", Rules(late="lost", strict=node.strict)
    if not node.strict:
        yield "tie", "only v > threshold fires", Rules(strict=False)


def _mended(given: Case, found: Apart, several: Sequence[Off]) -> Numbers:
    """The chip's numbers with some of the graph's, in the chip's unit."""
    whole = given.ours.scaled(found.scale)
    return replace(given.theirs, **{name: getattr(whole, name) for off in several for name in off.parts})


def _different(given: Case, numbers: Numbers, rules: Rules | None = None) -> NDArray[np.bool_]:
    """[T, B, neurons]: where the layer with these numbers gives another output than the graph's."""
    rules = rules or Rules()
    entered = registers.sums(numbers.kernels, given.fed, given.steps)
    entered = np.broadcast_to(entered + numbers.current, given.wanted.shape)
    shift = 1 << kernels.INPUT_SHIFT
    held = np.broadcast_to(numbers.potential * shift, given.wanted.shape)
    if rules.division == "none":
        return np.asarray(_floats(numbers, entered, held / shift, rules) != given.wanted)
    model = Lif(
        du=np.rint(DECAY_UNIT - 1 - numbers.keep_u * DECAY_UNIT).astype(int),
        dv=np.rint(DECAY_UNIT - numbers.keep_v * DECAY_UNIT).astype(int),
        vth=np.maximum(0, np.ceil(numbers.threshold - 1e-6) - (numbers.threshold % 1 > 1e-6)).astype(int),
        reset_interval=given.model.reset_interval,
        reset_offset=given.model.reset_offset,
    )
    spikes = run_lif(model, np.rint(entered).astype(np.int64), np.rint(held).astype(np.int64), rules)[0]
    return np.asarray(spikes != given.wanted)


def _floats(numbers: Numbers, entered: Floats, held: Floats, rules: Rules) -> Series:
    """Spikes [T, B, neurons] of a LIF in float64, nothing rounded and nothing cut off."""
    u, v = np.zeros(entered.shape[1:]), np.zeros(entered.shape[1:])
    spikes = np.zeros(entered.shape)
    fired = np.zeros(entered.shape[1:], np.bool_)
    for t in range(len(entered)):
        u = numbers.keep_u * u + entered[t]
        h = numbers.keep_v * v + u + held[t]
        h = np.where(fired, 0.0, h) if rules.late == "lost" else h
        near = 1e-9 * np.maximum(1.0, np.abs(numbers.threshold))
        fired = h > numbers.threshold + near if rules.strict else h >= numbers.threshold - near
        if rules.late == "lost" or rules.reset == "none":
            v = h
        else:
            v = np.where(fired, h - numbers.threshold if rules.reset == "subtract" else 0.0, h)
        spikes[t] = fired
    return spikes
