"""Few weight bits on real models: the chip against the plainest rule there is, at every width from 4 to 8.

SHARED=folder python benchmarks/weight_bits.py [--bits 8,6,4] [--chips loihi2,loihi1] [MODEL ...]     measures what is missing
python benchmarks/weight_bits.py table                                                                prints what was measured

The plain rule rounds each layer's weights to 2**(bits-1) - 1 steps of its largest one, nothing else: the float network
with those weights is what the chip must not fall behind by more than half a point (two samples below 1,000). Results
are kept in ``weight_bits.json`` beside this script after every row, so a run that was stopped goes on where it was.
Calibration and test samples are disjoint but where ``weight_bits_models`` says otherwise.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from weight_bits_models import MODELS, Case

from snndeploy.arrays import Ints, frozen
from snndeploy.deploy import load
from snndeploy.errors import SnnError
from snndeploy.flow.chips import Built, build, hold_against_definition, wished_settings
from snndeploy.flow.deployment import Wishes
from snndeploy.flow.feeding import chip_predictions, describe_inputs, float_predictions
from snndeploy.flow.given import as_samples, example, fed, with_time
from snndeploy.flow.lowering import to_normal_form
from snndeploy.flow.rates import spiking
from snndeploy.hw import load_profile
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Conv, Linear
from snndeploy.ir.sparse import Sparse
from snndeploy.sim.reference import run_reference

RESULTS = Path(__file__).with_suffix(".json")
BITS, CHIPS = (8, 7, 6, 5, 4), ("loihi2", "loihi1")
POINTS, IMAGES, FEW = 0.5, 2, 1000
"""What the chip may fall behind the plain rule: points, or so many samples where there are few."""


def plain(graph: Graph, bits: int) -> Graph:
    """The float network with each layer's weights on 2**(bits-1) - 1 steps of its largest."""
    nodes: dict[str, Node] = {}
    for name, node in graph.nodes.items():
        if isinstance(node, Linear | Conv | Sparse) and node.weight.any():
            step = np.abs(node.weight).max() / (2 ** (bits - 1) - 1)
            nodes[name] = replace(node, weight=frozen(np.round(node.weight / step) * step))
    return graph.replace(nodes)


class Prepared:
    """A case up to where the quantizer starts: what all chips and widths share."""

    def __init__(self, case: Case) -> None:
        options = with_time(case.model, as_samples(case.test), case.options, case.timesteps)
        loaded = load(case.model, example(as_samples(case.test)), options)
        self.wishes = Wishes(calibration_samples=len(case.seen[0]))
        self.data = fed(as_samples(case.test), loaded, self.wishes, options)
        self.seen = fed(as_samples(case.seen), loaded, self.wishes, options)
        artificial = replace(describe_inputs(loaded.graph, self.data)[0], steps=self.data.steps)
        self.graph = spiking(artificial, self.seen)[0]
        self.lowered = to_normal_form(self.graph, self.seen.first(4))[0]
        self.reference = run_reference(self.lowered, self.seen.inputs, self.seen.steps)
        self.float = self.answers(self.graph)
        self.labels = self.data.labels if self.data.labels is not None else self.float

    def answers(self, graph: Graph) -> Ints:
        """[B] what a float network answers."""
        return float_predictions(graph, run_reference(graph, self.data.inputs, self.data.steps), self.data.labels)

    def right(self, answers: Ints) -> int:
        """How many of them are (without labels: the float network's)."""
        return int((answers == self.labels).sum())

    def on_chip(self, chip: str, bits: int) -> tuple[Ints, Built]:
        """[B] what the chip answers; the chip network equals its definition, or this raises."""
        profile = load_profile(chip)
        settings = wished_settings(self.lowered, profile, self.data.steps, {"*": bits}, "auto")
        built = build(self.lowered, profile, self.seen, settings, "auto", self.reference, self.data)
        pair, trace = hold_against_definition(built, self.data)
        assert pair.equal, f"{chip}, {bits} bits: {pair.first}"
        return chip_predictions(built.network, trace), built


def integers(built: Built) -> str:
    """A short hash of every number of the chip network."""
    text = "".join(
        str([p.name, p.exponent, p.delay, {k: np.asarray(v).tolist() for k, v in vars(p.synapses).items() if v is not None}])
        for p in built.network.projections
    )
    text += str([(n, repr(p.model)) for n, p in built.network.populations.items()])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def measured(case: Prepared, chip: str, bits: int) -> dict[str, Any]:
    """One row: how many answers are right."""
    started = time.process_time()
    row: dict[str, Any] = {"samples": len(case.labels), "labelled": case.data.labels is not None}
    row |= {"float": case.right(case.float)}
    rules = {"plain": case.graph, "plain folded": case.lowered}
    row |= {rule: case.right(case.answers(plain(graph, bits))) for rule, graph in rules.items()}
    try:
        answers, built = case.on_chip(chip, bits)
    except SnnError as refusal:
        return {**row, "refused": f"{refusal.where}: {refusal.what}"}
    row |= {"chip": case.right(answers), "agrees": int((answers == case.float).sum()), "integers": integers(built)}
    row["scales"] = [[s.layer, s.weight_bits, round(s.error, 6), list(s.notes)] for s in built.quantized.layers]
    return {**row, "seconds": round(time.process_time() - started, 1)}


def holds(row: Mapping[str, Any]) -> bool | None:
    """Whether the chip is no worse than the plain rule allows; None where the network was refused."""
    if "refused" in row:
        return None
    few = row["samples"] < FEW
    allowed = IMAGES if few else POINTS / 100 * row["samples"]
    return bool(row["chip"] >= row["plain"] - allowed)


def table(results: Mapping[str, Any]) -> Iterable[str]:
    """The rows as a page."""
    yield "| model | samples | float | chip | bits | plain | here | holds |"
    yield "|---|---|---|---|---|---|---|---|"
    for key, row in results.items():
        model, chip, bits = key.split("/")
        percent = {k: f"{100 * row[k] / row['samples']:.2f}" for k in ("float", "plain", "chip") if k in row}
        verdict = {True: "yes", False: "NO", None: ""}[holds(row)]
        here = percent.get("chip", "refused")
        yield f"| {model} | {row['samples']} | {percent['float']} | {chip} | {bits} | {percent['plain']} | {here} | {verdict} |"


def run(names: Iterable[str], chips: Iterable[str], widths: Iterable[int]) -> None:
    """Measure what is missing, row by row."""
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in names:
        missing = [(chip, bits) for chip in chips for bits in widths if f"{name}/{chip}/{bits}" not in results]
        case = Prepared(MODELS[name]()) if missing else None
        for chip, bits in missing:
            assert case is not None, "something is missing"
            results[f"{name}/{chip}/{bits}"] = row = measured(case, chip, bits)
            print(name, chip, bits, {k: v for k, v in row.items() if k not in ("scales", "integers")}, flush=True)
            part = RESULTS.with_suffix(".part")
            part.write_text(json.dumps(results, indent=1) + "\n")
            part.replace(RESULTS)


def main(arguments: list[str]) -> None:
    """See above."""
    given = {"--bits": ",".join(map(str, BITS)), "--chips": ",".join(CHIPS)}
    names = []
    while arguments:
        first = arguments.pop(0)
        if first in given:
            given[first] = arguments.pop(0)
        else:
            names.append(first)
    if names == ["table"]:
        print("\n".join(table(json.loads(RESULTS.read_text()))))
        return
    run(names or list(MODELS), given["--chips"].split(","), [int(b) for b in given["--bits"].split(",")])


if __name__ == "__main__":
    main(sys.argv[1:])
