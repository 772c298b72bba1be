"""``docs/papers.md`` from the numbers of ``results.json``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

HEAD = """# Five neurons of the literature, trained, converted, run

*This page is made by `python benchmarks/papers/report.py` from trained weights that lie beside that script; a test holds it
against them. Chips are simulated: no silicon was asked.*

One network, five times: conv 3x3 (8 channels), BatchNorm, neuron, average pooling, conv 3x3 (16 channels), BatchNorm,
neuron, average pooling, linear read-out, T = 6; only the neuron differs. `python benchmarks/papers/train.py` trains them on
1,437 of scikit-learn's digits, seeded, a minute each; 256 of those calibrate the quantizer, and the 360 held-back digits
judge. One digit is 0.28 points: five networks of one seed on 360 digits show that the conversion works, not which neuron is
better. Intervals are 95 %, of the drop on the same digits (Agresti and Min, 2005). Where one reaches beyond half a point, a drop
below that was counted, not proven. These weights are from a second training, with the rounding noise of a 6-bit grid on the
weights; after a first one without it KLIF lost 0.56 points (two digits net of four answers changed), the others none. The
noise did not make fewer of KLIF's spikes or answers change: at 360 digits either result is chance.

## On Loihi 2
"""

PROGRAMS = """
*exact*: the fixed LIF, or a construction from it, whose rules are Lava's. *model only*: a neuron program of ours, exact against
its integer definition, with no silicon reference. In both cases every spike of the simulated chip was compared with the
definition in integers; the column says how many differed. Energy is the dynamic part of an estimate, with its interval: published
prices times counted events, and no price for program instructions is published.

| | instructions a layer | state words | registers | entries of the largest table | reads beyond a table | saturated |
|---|---|---|---|---|---|---|
"""

LOIHI1 = """
A table covers what calibration showed and half as much again on both sides; beyond its ends the last value holds. *Reads beyond a
table* and *saturated* count neuron-steps of all 360 digits; `report` prints both for every layer.

## On Loihi 1

It has no neuron programs, and takes no real-valued input: the host computes the first layer and writes it as bias currents, which
the energy does not hold. What a fixed LIF computes is deployed; everything else is refused with the condition that fails,
and the refusal names the nearest neuron with its cost, measured on the data at hand. That cost again, on the simulated chip: the
trained network with its neurons replaced (*as it is*), and after fifteen more epochs with them (*trained again*,
`train.py again`). CLIF's authors report 95.41 -> 95.08 % on CIFAR-10 for a LIF that resets to -0.06 in its place.

| | verdict | float | chip | drop, points | spikes | neurons | energy, dynamic |
|---|---|---|---|---|---|---|---|
"""


def percent(fraction: float) -> str:
    """Two decimals."""
    return f"{100 * fraction:.2f} %"


def interval_of_drop(lost: int, won: int, samples: int) -> tuple[float, float]:
    """95 % interval, in points, of the accuracy lost where ``lost`` answers turn wrong and ``won`` turn right.

    Agresti and Min, "Simple improved confidence intervals for comparing matched proportions", Statistics in Medicine
    24, 2005: half an answer is added to each of the four cells, then Wald's interval.
    """
    middle, both, n = lost - won, lost + won + 1, samples + 2
    half = 1.959964 * math.sqrt(both - middle**2 / n)
    return 100 * (middle - half) / n, 100 * (middle + half) / n


def drop(lost: int, won: int, samples: int) -> str:
    """Points lost and their interval."""
    low, high = interval_of_drop(lost, won, samples)
    return f"{100 * (lost - won) / samples:+.2f} ({low:+.2f} .. {high:+.2f})"


def drop_of(row: Row) -> str:
    """Of one network."""
    return drop(row["lost"], row["won"], row["samples"])


def together(rows: Sequence[Row]) -> str:
    """All networks' answers as if they were one's."""
    lost, won, samples, changed, compared, different = (
        sum(r[key] for r in rows) for key in ("lost", "won", "samples", "answers_changed", "compared", "different")
    )
    before, after = (sum(r[key] * r["samples"] for r in rows) / samples for key in ("float", "chip"))
    counts = (percent(before), percent(after), drop(lost, won, samples), f"{changed} of {samples:,}")
    return line("all five", *counts, "", "", "", "", f"{different} of {compared:,}")


def line(*cells: object) -> str:
    """A row of a table."""
    return f"| {' | '.join(map(str, cells))} |\n"


def on_loihi2(name: str, r: Row) -> str:
    """One network's row."""
    held = f"{r['different']} of {r['compared']:,}"
    how = r["grade"] + (f" ({', '.join(r['construction'])})" if r["construction"] else "")
    changed = f"{r['answers_changed']} of {r['samples']}"
    accuracies = (percent(r["float"]), percent(r["chip"]), drop_of(r), changed)
    return line(name, *accuracies, r["spikes"], r["cores"], r["dynamic"], how, held)


def programs(name: str, r: Row) -> str:
    """What a network's programs take, or that it has none."""
    if not r["instructions"]:
        return line(name, "none: fixed LIF", "-", "-", "-", "-", r["saturations"])
    counts = (r["state_words"], r["registers"], r["table_entries"] or "-", r["outside_tables"] if r["table_entries"] else "-")
    return line(name, ", ".join(map(str, r["instructions"])), *counts, r["saturations"])


def on_loihi1(name: str, r: Row) -> str:
    """One network's row, or three."""
    if "deployed" in r:
        found = r["deployed"]
        how = f" ({', '.join(found['construction'])})" if found["construction"] else ""
        return deployed(name, f"deployed, {found['grade']}{how}", found)
    lines = line(name, "**refused**", "", "", "", "", "", "")
    for key, words in (("as_it_is", "nearest LIF, as it is"), ("trained_again", "nearest LIF, trained again")):
        lines += deployed("", words, r[key], r["float"])
    return lines


def deployed(name: str, words: str, r: Row, original: float | None = None) -> str:
    """A network that runs; the drop is from the ``original`` network's accuracy, its own if None."""
    before = r["float"] if original is None else original
    points = drop_of(r) if original is None else f"{100 * (before - r['chip']):+.2f}"
    return line(name, words, percent(before), percent(r["chip"]), points, r["spikes"], r["neurons"], r["dynamic"])


def page(results: Mapping[str, Mapping[str, Row]]) -> str:
    """The whole page."""
    columns = ("", "float", "chip", "drop, points", "answers changed", "spikes", "cores", "energy, dynamic", "grade", "definition vs chip")
    text = HEAD + "\n" + line(*columns) + "|" + "---|" * len(columns) + "\n"
    text += "".join(on_loihi2(name, r["loihi2"]) for name, r in results.items())
    text += together([r["loihi2"] for r in results.values()]) + PROGRAMS
    text += "".join(programs(name, r["loihi2"]) for name, r in results.items()) + LOIHI1
    text += "".join(on_loihi1(name, {**r["loihi1"], "float": r["loihi2"]["float"]}) for name, r in results.items())
    text += "\nWhy, in the refusals' own words:\n\n"
    for name, r in results.items():
        if "refused" in r["loihi1"]:
            text += f"* {name}: {r['loihi1']['refused']}. Hint: {r['loihi1']['hint']}.\n"
    return text
