"""Hypotheses, tried: the layer of one side, changed, on the same input as that of the other: are they equal now?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from snndeploy.chip.models import Lif
from snndeploy.chip.network import ChipNetwork
from snndeploy.flow.divergence import chip_changes, chip_reading, graph_changes
from snndeploy.flow.divergence.rules import OTHERS, arriving, run_lif
from snndeploy.flow.divergence.sides import Execute, Series, fed_name, run_part, words
from snndeploy.ir.graph import Graph
from snndeploy.trace import Trace
from snndeploy.verdict import Suspect

ENOUGH = 4
"""Changes that reproduce everything; the search stops there."""


@dataclass(frozen=True, eq=False)
class Target:
    """What the other side's layer gave, in the time of this side: ``output`` [T, B, *shape] and its state words.

    Steps before ``start`` are not compared.
    """

    output: Series
    words: Mapping[str, Series]
    start: int = 0
    hidden: bool = False
    """The outputs are equal anyway: only a change that reproduces the words explains anything."""
    near: float = 0.0
    """Relative: of float64 sums, whose order follows the number of samples."""

    def matched(self, output: Series, states: Mapping[str, Series]) -> Literal["all", "output", "no"]:
        """How much of it a run reproduces."""
        if not self._equal(output, self.output):
            return "no"
        common = self.words.keys() & states.keys()
        if common and all(self._equal(states[w], self.words[w]) for w in common):
            return "all"
        return "no" if self.hidden else "output"

    def until(self, steps: int) -> Target:
        """The first sample's first steps alone."""
        return replace(self, output=self.output[:steps, :1], words={w: x[:steps, :1] for w, x in self.words.items()})

    def _equal(self, x: Series, y: Series) -> bool:
        length = min(len(x), len(y))
        x, y = x[self.start : length].reshape(-1), y[self.start : length].reshape(-1)
        if not self.near or x.shape != y.shape:
            return bool(np.array_equal(x, y))
        return bool((np.abs(x - y) <= self.near * np.maximum(1.0, np.abs(x))).all())


@dataclass(frozen=True, eq=False)
class Case:
    """The layer of both sides, alone, what feeds the first, and who runs the first."""

    layer: str
    a: Graph | ChipNetwork
    b: Graph | ChipNetwork | None
    feeds: Mapping[str, Series]
    execute: Execute
    reads: str = "spikes"
    prefix: int = 0
    """By this step (in its own time) the first sample has parted: what does not mend that is no cause."""


def suspects(case: Case, target: Target) -> tuple[tuple[Suspect, ...], int]:
    """Those changes that reproduce the target, the best first, and how many were tried."""
    found: list[Suspect] = []
    tried = 0
    for suspect in _tried(case, target):
        tried += 1
        if suspect.reproduces != "no":
            found.append(suspect)
        if sum(s.reproduces == "all" for s in found) >= ENOUGH:
            break
    whole = [s for s in found if s.reproduces == "all"]
    return tuple(sorted(whole or found, key=_worth)), tried


def _worth(suspect: Suspect) -> tuple[bool, bool, bool]:
    """What explains every word before what explains the output, what was read before what was guessed, a field before all of it."""
    return suspect.reproduces != "all", not suspect.read, suspect.cause == "structure"


def _tried(case: Case, target: Target) -> Iterator[Suspect]:
    if isinstance(case.a, Graph):
        yield from _graph_trials(case, case.a, target)
        return
    yield from _rule_trials(case, case.a, target)
    other = case.b if isinstance(case.b, ChipNetwork) else None
    unlike = other is not None and not chip_reading.same_layer(case.a, other)
    for change in chip_changes.changes(case.a, case.layer):
        network = chip_changes.made(change)
        if network is not None:
            read = unlike and other is not None and chip_reading.same_layer(network, other)
            yield Suspect(change[0], change[1], _outcome(case, network, target), read)
    for change in chip_reading.differences(case.a, other, case.layer) if unlike and other is not None else ():
        network = chip_changes.made(change)
        if network is not None:
            yield Suspect(change[0], change[1], _outcome(case, network, target), read=True)


def _graph_trials(case: Case, graph: Graph, target: Target) -> Iterator[Suspect]:
    read = list(graph_changes.differences(graph, case.b)) if isinstance(case.b, Graph) else []
    for change in [*read, *graph_changes.changes(graph, case.layer)]:
        changed = graph_changes.made(change)
        if changed is not None:
            yield Suspect(change[0], change[1], _outcome(case, changed, target), change in read)


def _outcome(case: Case, network: Graph | ChipNetwork, target: Target) -> Literal["all", "output", "no"]:
    held = network.nodes if isinstance(network, Graph) else network.populations
    if any(n.endswith(fed_name("")) and n.removesuffix(fed_name("")) not in case.feeds for n in held):
        return "no"
    start = {name: values[: case.prefix, :1] for name, values in case.feeds.items()}
    short = _matched(case, network, start, target.until(case.prefix))
    return _matched(case, network, case.feeds, target) if short != "no" else "no"


def _matched(case: Case, network: Graph | ChipNetwork, feeds: Mapping[str, Series], target: Target) -> Literal["all", "output", "no"]:
    trace = run_part(network, feeds, case.execute)
    return target.matched(given(trace, case.layer, case.reads), words(trace, case.layer))


def given(trace: Trace, layer: str, reads: str) -> Series:
    """Spikes, or the state word that the host reads."""
    return trace.outputs[layer] if reads == "spikes" else trace.states[f"{layer}.{reads}"]


def _rule_trials(case: Case, network: ChipNetwork, target: Target) -> Iterator[Suspect]:
    model: Any = network.populations[case.layer].model
    if not isinstance(model, Lif):
        return
    sums, bias = arriving(network, case.layer, case.feeds)
    for cause, said, rules in OTHERS:
        spikes, states = run_lif(model, sums, bias, rules)
        yield Suspect(cause, said, target.matched(spikes if case.reads == "spikes" else states[case.reads], states))
