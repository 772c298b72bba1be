"""The figures of the HTML report: raster, rates, energy with intervals. Drawn here, so the page fetches nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.cost import Cost, Interval, engineering
from snndeploy.report.markup import text
from snndeploy.report.words import BOUNDARIES, boundaries, percent, plural
from snndeploy.trace import Trace

MAX_ROWS, MAX_STEPS = 48, 400
ROW, GAP = 4.0, 0.7
SHADES = ("s1", "s2", "s3")


def raster(layers: Mapping[str, NDArray[Any]]) -> str:
    """One panel a layer: steps to the right, neurons downwards, darker for larger values; of many neurons, evenly chosen ones."""
    panels = "".join(_panel(name, np.asarray(values)) for name, values in layers.items())
    return f'<div class="raster">{panels}</div>' if panels else ""


def _panel(name: str, values: NDArray[Any]) -> str:
    flat = values.reshape(values.shape[0], -1)[:MAX_STEPS]
    chosen = np.unique(np.linspace(0, flat.shape[1] - 1, min(MAX_ROWS, flat.shape[1])).astype(np.int64))
    shown = flat[:, chosen]
    width = float(min(16, max(2, 300 / shown.shape[0])))
    row = ROW if len(chosen) > 16 else 2 * ROW
    wide, high = shown.shape[0] * width, len(chosen) * row
    drawn = "".join(_marks(kind, mask, width, row) for kind, mask in _shades(shown))
    note = plural(flat.shape[1], "neuron") if len(chosen) == flat.shape[1] else f"{len(chosen)} of {flat.shape[1]:,} neurons"
    label = f"{name}: {note}, {int(np.count_nonzero(flat)):,} events in {flat.shape[0]} steps"
    return (
        f"<figure><figcaption><b>{text(name)}</b><br>{note}</figcaption>"
        f'<svg role="img" aria-label="{text(label)}" width="{wide:.0f}" height="{high:.0f}" viewBox="0 0 {wide:.0f} {high:.0f}">'
        f'<title>{text(label)}</title><rect class="panel" width="{wide:.0f}" height="{high:.0f}" rx="3"/>{drawn}</svg>'
        f'<div class="axis">{flat.shape[0]} steps</div></figure>'
    )


def _shades(values: NDArray[Any]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Positive values in thirds of the largest, and negative ones."""
    peak = float(values.max(initial=0)) or 1.0
    bands = np.ceil(np.clip(values / peak, 0, 1) * len(SHADES))
    return [("neg", values < 0), *((name, bands == i + 1) for i, name in enumerate(SHADES))]


def _marks(kind: str, mask: NDArray[np.bool_], width: float, row: float) -> str:
    steps, neurons = np.nonzero(mask)
    if not steps.size:
        return ""
    wide, high = width * 0.8, row - GAP
    path = "".join(
        f"M{t * width + width * 0.1:.1f} {n * row + GAP / 2:.1f}h{wide:.1f}v{high:.1f}h-{wide:.1f}z"
        for t, n in zip(steps, neurons, strict=True)
    )
    return f'<path class="{kind}" d="{path}"/>'


def rates(trace: Trace) -> str:
    """A bar a layer: spikes a neuron and step of the model, against the busiest layer."""
    busiest = max((trace.rate(name) for name in trace.activity), default=0.0) or 1.0
    rows = []
    for name, a in trace.activity.items():
        spikes = a.own / max(1, trace.samples)
        rate = trace.rate(name)
        said = f"{percent(rate)} · {spikes:,.1f} a sample" if a.updates else f"{spikes:,.1f} a sample"
        rows.append(f'<span class="name">{text(name)}</span>{_bar(rate / busiest)}<span class="val">{text(said)}</span>')
    return f'<div class="bars">{"".join(rows)}</div>' if rows else ""


def _bar(share: float) -> str:
    return f'<div class="bar"><i style="width:{100 * share:.1f}%"></i></div>' if share else '<div class="bar"></div>'


def energy_split(cost: Cost) -> str:
    """Shares of the total by boundary, to scale."""
    parts, total = boundaries(cost), cost.total.value or 1.0
    stack = "".join(f'<i class="{_class(n)}" style="flex:{max(0.0, e.value) / total:.4f} 1 0"></i>' for n, e in parts.items())
    legend = "".join(
        f'<li><i class="{_class(n)}"></i>{text(f"{BOUNDARIES.get(n, n)}: {engineering(e.value, e.unit)}, {percent(e.value / total)}")}</li>'
        for n, e in parts.items()
    )
    label = ", ".join(f"{BOUNDARIES.get(n, n)} {percent(e.value / total)}" for n, e in parts.items())
    return f'<div class="stack" role="img" aria-label="{text(label)}">{stack}</div><ul class="legend">{legend}</ul>'


def energy_ranges(cost: Cost) -> str:
    """Value, low and high of each boundary and of the total, on a logarithmic axis."""
    rows = [(BOUNDARIES.get(n, n), _class(n), e) for n, e in boundaries(cost).items()]
    return ranges([*rows, ("total", "total", cost.total)])


def latency_ranges(cost: Cost) -> str:
    """A step and an inference, on a logarithmic axis."""
    return ranges([("one step", "core", cost.step_time), ("one inference", "total", cost.latency)])


def _class(boundary: str) -> str:
    return boundary if boundary in BOUNDARIES else "total"


def ranges(rows: Sequence[tuple[str, str, Interval]]) -> str:
    """A row a quantity: the bar spans low to high, the tick is the value; the axis is logarithmic."""
    numbers = [x for _, _, e in rows for x in (e.low, e.value, e.high) if x > 0 and math.isfinite(x)]
    if not numbers:
        return ""
    first, last = math.floor(math.log10(min(numbers))), math.ceil(math.log10(max(numbers)))
    step = max(1, (last - first + 4) // 5)
    last = first + step * max(1, -(-(last - first) // step))

    def at(x: float) -> float:
        return 100 * min(1.0, max(0.0, (math.log10(x) - first) / (last - first))) if x > 0 else 0.0

    body = "".join(_range(name, kind, e, at(e.low), at(e.value), at(e.high)) for name, kind, e in rows)
    ticks = "".join(
        f'<span style="left:{100 * (p - first) / (last - first):.1f}%">{text(engineering(10.0**p, rows[0][2].unit))}</span>'
        for p in range(first, last + 1, step)
    )
    return f'<div class="ranges">{body}<span class="none"></span><div class="ticks">{ticks}</div></div>'


def _range(name: str, kind: str, e: Interval, low: float, value: float, high: float) -> str:
    label = f"{name}: {e}"
    return (
        f'<div>{text(name)}<span class="val">{text(e)}</span></div>'
        f'<div class="track" role="img" aria-label="{text(label)}"><i class="{kind}" style="left:{low:.1f}%;width:{high - low:.1f}%"></i>'
        f'<b class="{kind}" style="left:{value:.1f}%"></b></div>'
    )
