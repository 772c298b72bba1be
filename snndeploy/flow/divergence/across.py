"""A float graph against a chip network: which of the two kinds of rounding parts them, or what is no rounding at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from snndeploy.arrays import same
from snndeploy.chip.models import DECAY_UNIT, Lif
from snndeploy.chip.network import ChipNetwork, Wire
from snndeploy.errors import ChipError
from snndeploy.flow.divergence import chip_changes, members, mending, rungs
from snndeploy.flow.divergence.apart import DECAY_STEP, END
from snndeploy.flow.divergence.around import around, graph_sums
from snndeploy.flow.divergence.comparing import NEAR, Alone, Sides, alone
from snndeploy.flow.divergence.rules import Rules, arriving, run_lif
from snndeploy.flow.divergence.sides import Series, Side, part, run_part, seen, unit
from snndeploy.ir.graph import Graph
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim import kernels
from snndeploy.sim.populations import bias_of
from snndeploy.trace import Trace
from snndeploy.verdict import Suspect

NOT_ROUNDING = 0.1
"""Sums that are off by more than this part of the threshold were not merely rounded."""
ROUNDINGS = ("rounding", "truncation")
"""Causes that a network without a flaw has."""


def suspects(s: Sides, layer: str, apart: Alone) -> tuple[tuple[Suspect, ...], int]:
    """Why a layer of a graph and that of a chip network part on the same input, and how many changes were tried."""
    found, tried = _on(s, layer, apart)
    if any(s.reproduces != "inferred" and s.cause not in ROUNDINGS for s in found) or not flawed(s, layer, apart):
        return found, tried
    other = alone(s, layer, hidden=False, by_second=True)
    assert other is not None
    own, more = _on(s, layer, other)
    told = (x for x in own if x.reproduces != "inferred" and x.cause not in ROUNDINGS)
    there = tuple(replace(x, words=f"{x.words}; seen where the layer is fed as in {s.b.name}") for x in told)
    return (*there, *found), tried + more


def _on(s: Sides, layer: str, apart: Alone) -> tuple[tuple[Suspect, ...], int]:
    """What explains the difference of the layer on one input, and how many changes were tried."""
    graph, chip, turned = _turned(s, apart)
    tried = list(_tried(graph, chip, layer, turned, s.data.steps))
    return tuple(x for x in tried if x.reproduces != "no"), len(tried)


def flawed(s: Sides, layer: str, apart: Alone) -> bool:
    """True if the chip network contradicts itself in this layer, and it shows, whatever was rounded: that comes before rounding."""
    graph, chip, turned = _turned(s, apart)
    if rungs.mends(chip, layer):
        return True
    if layer in chip.folds:
        return members.flawed(_case(graph, chip, layer, turned, s.data.steps))
    given = mending.case(graph, chip, layer, turned, s.data.steps)
    return given is not None and mending.off(given)


def _turned(s: Sides, apart: Alone) -> tuple[Side, Side, Alone]:
    """The graph first."""
    if isinstance(s.a.network, Graph):
        return s.a, s.b, apart
    return s.b, s.a, Alone(apart.feeds_b, apart.feeds_a, apart.run_b, apart.run_a, apart.unequal)


def _case(graph: Side, chip: Side, layer: str, apart: Alone, steps: int) -> members.Case:
    network = part(chip, layer)
    assert isinstance(network, ChipNetwork)
    return members.Case(graph, chip, chip.folds[layer], network, apart, steps)


def _tried(graph: Side, chip: Side, layer: str, apart: Alone, steps: int) -> Iterator[Suspect]:
    if layer in chip.folds:
        yield from members.suspects(_case(graph, chip, layer, apart, steps))
        return
    network = part(chip, layer)
    assert isinstance(network, ChipNetwork)
    yield from _read(graph, chip, layer, apart, steps)
    given = mending.case(graph, chip, layer, apart, steps)
    if given is not None:
        yield from mending.suspects(given)
        return
    yield from _unlike_rules(graph, chip, network, layer, apart, steps)


def _unlike_rules(graph: Side, chip: Side, network: ChipNetwork, layer: str, apart: Alone, steps: int) -> Iterator[Suspect]:
    """Changes of the chip's layer that give the graph's output; then what the numbers alone say, which no run confirms."""
    shift = chip.shift(layer)
    wanted = seen(graph, apart.run_a, layer)[:steps]

    def outcome(values: Series) -> Any:
        got = values[shift : shift + steps] * unit(chip, layer)
        return "output" if same(got.reshape(wanted.shape), wanted) else "no"

    for change in chip_changes.changes(network, layer):
        changed = chip_changes.made(change)
        if changed is not None:
            output = run_part(changed, apart.feeds_b, chip.execute).outputs[layer]
            yield Suspect(change[0], f"on the chip: {change[1]}", outcome(output))
    model, node = network.populations[layer].model, graph.network.nodes[layer]  # type: ignore[union-attr]
    if not isinstance(model, Lif):
        yield from _near(graph, layer, apart)
        return
    sums, bias = arriving(network, layer, apart.feeds_b)
    for words, rules in (("v >= threshold fires", Rules(strict=False)), ("the reset subtracts the threshold", Rules(reset="subtract"))):
        cause = "tie" if not rules.strict else "reset-kind"
        yield Suspect(cause, f"on the chip: {words}", outcome(run_lif(model, sums, bias, rules)[0]))
    if isinstance(node, LIF):
        yield from _numbers(node, model, (graph, network), layer, apart, (sums, bias), shift, steps)
    exact = run_lif(model, sums, bias, Rules(division="none"))[0]
    yield Suspect("truncation", "on the chip: decays keep their fractions", outcome(exact))
    kept = same(exact[shift : shift + steps], seen(chip, apart.run_b, layer)[shift : shift + steps])
    words = "the chip's registers, computed without cutting off fractions, give the chip's output: what was rounded is the registers"
    yield Suspect("rounding", words, "output" if kept else "no", read=True)
    yield Suspect("rounding", "registers and decays were rounded; neither alone explains it", "inferred", read=True)


def _read(graph: Side, chip: Side, layer: str, apart: Alone, steps: int) -> Iterator[Suspect]:
    """What its synapses contradict each other in, mended and run again."""
    shift, wanted = chip.shift(layer), seen(graph, apart.run_a, layer)[:steps]

    def left(run: Trace) -> int:
        got = seen(chip, run, layer)[shift : shift + steps] * unit(chip, layer)
        far = np.abs(got.reshape(wanted.shape) - wanted) > chip.near.get(layer, NEAR) * np.maximum(1.0, np.abs(wanted))
        return int(far.sum())

    before = left(apart.run_b)
    assert isinstance(chip.network, ChipNetwork)
    for cause, words, mend in rungs.mends(chip, layer):
        try:
            mended = replace(chip, network=mend(chip.network))
        except ChipError:
            continue
        feeds = rungs.fed_anew(chip, apart.feeds_a, apart.feeds_b)
        yield mending.judged(cause, words, before, left(run_part(part(mended, layer), feeds, chip.execute)))


def _near(graph: Side, layer: str, apart: Alone) -> Iterator[Suspect]:
    """A neuron of another kind: where the graph's membrane was so near a threshold that rounding decides."""
    step, sample, *neuron = (int(i) for i in np.unravel_index(int(apart.unequal.argmax()), apart.unequal.shape))
    moments = around(graph, layer, apart.run_a, apart.feeds_a, (step, sample, tuple(neuron)))
    before = next((m.before for m in moments if m.step == step), None)
    node: Any = graph.network.nodes[layer]  # type: ignore[union-attr]
    levels = np.ravel(getattr(node, "thresholds", getattr(node, "threshold", [])))
    if before is None or not levels.size:
        return
    away = float(np.abs(levels - before).min())
    words = f"the graph's membrane, {before:.6g}, lies {away:.3g} from a threshold: so near that rounding decides"
    yield Suspect("rounding", words, "inferred" if away <= NOT_ROUNDING * float(np.abs(levels).max()) else "no", read=True)


def _numbers(
    node: LIF, model: Lif, sides: tuple[Side, ChipNetwork], layer: str, apart: Alone, arrived: tuple[Series, Series], shift: int, steps: int
) -> Iterator[Suspect]:
    """Decays and sums that are farther apart than a register's rounding."""
    graph, chip = sides
    keep = 1 - model.dv / DECAY_UNIT
    off = float(np.abs(keep - node.decay).max())
    yield Suspect(
        "decay", f"the chip keeps {keep.flat[0]:.5g}, the graph {node.decay.flat[0]:.5g}", "inferred" if off > DECAY_STEP else "no", True
    )
    network = part(graph, layer)
    assert isinstance(network, Graph)
    ours = (graph_sums(network, layer, apart.feeds_a) * node.gain)[:steps]
    scale = float(np.abs(node.threshold).max()) / max(1, int(np.abs(model.vth).max() << kernels.INPUT_SHIFT))
    sums, bias = (values[shift : shift + steps].reshape(ours.shape) for values in arrived)
    theirs = ((sums << kernels.INPUT_SHIFT) + bias + bias_of(model)) * scale
    gap = ours - theirs
    most, least = float(np.abs(gap).max(initial=0)), float(np.abs(gap).min(axis=(0, 1)).max(initial=0))
    far = NOT_ROUNDING * float(np.abs(node.threshold).max())
    words = f"what enters is off by up to {most:.3g}, by {least:.3g} even at best, where the threshold is {far / NOT_ROUNDING:.3g}"
    yield Suspect("bias", words, "inferred" if least > far else "no", read=True)
    yield Suspect("clipping" if _clipped(chip) else "weights", words, "inferred" if most > far else "no", read=True)


def _clipped(chip: ChipNetwork) -> bool:
    """Whether a weight stands at the end of what a synapse of 8 bits holds."""
    ends = (p.synapses.weights for p in chip.projections if not isinstance(p.synapses, Wire))
    return any(w.max(initial=0) >= END or w.min(initial=0) <= -END for w in ends)
