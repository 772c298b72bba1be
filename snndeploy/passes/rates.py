"""An artificial network with rectifiers -> a spiking network whose rates follow its activations. Not exact: asked for by name.

A rectifier becomes an integrate-and-fire neuron that keeps what is above its threshold (soft reset). Fed with x at every
step, it has fired clip(floor(T x / u + 1/2), 0, T) times after T steps, so that u times its rate is max(x, 0), rounded to
u / T and cut at u. u, the value of a spike, is chosen a channel (a neuron, where there are no channels) as a percentile
of the rectifier's own outputs on the calibration data, and not above a ceiling (ReLU6): threshold balancing. Every path
carries its own u in its weights, so branches of a residual that meet in a sum need no common scale. Biases act at every
step; the read-out sums the last layer over the steps.

The half in the floor turns truncation into rounding. A membrane that starts at u/2 with threshold u and decay 1 is,
measured from its start, one that starts at 0 with threshold u/2 and takes off u: that is how it is written.

Maximum pooling has an exact form with rectifiers, max(a, b) = b + max(a - b, 0), taken two by two over a window. Each of
those becomes a neuron too, with the u of what it compares and no half: it sends a spike exactly where the count of a gets
further ahead of the count of b than it was ever before. So the maximum never comes out too small, and too large by no
more than how far the two counts sway: one spike a comparison where the rates are constant.

Sources: soft reset, Rueckauer et al., Front. Neurosci. 11:682 (2017), eq. 5; percentile, ibid. section 2.2.2; the half
threshold, Bu et al., "Optimal ANN-SNN Conversion", ICLR 2022, section 4.2.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Conv, MaxPool, Scale, Sum
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.paths import neurons
from snndeploy.ir.rectifier import Relu

PERCENTILE = 99.9
LEAST = 1 / 32
"""A channel's u is at least this share of its layer's: a channel that the calibration data hardly use must not shout."""

Run = Callable[[Graph, Iterable[str]], Mapping[str, Floats]]
"""Runs an artificial network on the calibration data: what the named nodes give, [B, *shape]."""


@dataclass(frozen=True, eq=False)
class Balanced:
    """A spiking network made of an artificial one, and by rectifier the value ``units`` of one spike (broadcast)."""

    graph: Graph
    units: Mapping[str, Floats]


def apply(graph: Graph, run: Run) -> Balanced:
    """The spiking network. Raises ``Unsupported`` if the network has spiking neurons already, or pools what it cannot."""
    spiking = neurons(graph)
    if spiking:
        what = f"has rectifiers and spiking neurons ({spiking[0]}); a rate has no meaning inside a spiking network"
        raise Unsupported(next(iter(graph.named(Relu))), what, "convert a network of rectifiers alone")
    graph, compared = without_maxima(rectified_first(graph))
    names = list(graph.named(Relu))
    seen = run(graph, names)
    units = {n: _unit(seen[n], graph.nodes[n]) for n in names if n not in compared}  # type: ignore[arg-type]
    units |= {n: units[source] if source in units else _unit(seen[n], graph.nodes[n]) for n, source in compared.items()}  # type: ignore[arg-type]
    for name in names:
        start = name not in compared or compared[name] not in units
        graph = _fire(graph, name, units[name], half=start)
    return Balanced(graph, units)


def rectified_first(graph: Graph) -> Graph:
    """max then rectifier -> rectifier then max, which is the same."""
    for name, node in graph.named(Relu).items():
        before, after = graph.into(name), graph.out_of(name)
        pool = before[0].source
        pooled = len(before) == 1 and isinstance(graph.nodes[pool], MaxPool) and len(graph.out_of(pool)) == 1
        if not pooled or (node.ceiling is not None and node.ceiling.size > 1):
            continue
        moved = {*before, *after, *graph.into(pool)}
        edges = [e for e in graph.edges if e not in moved]
        edges += [Edge(e.source, name, e.delay) for e in graph.into(pool)]
        edges += [Edge(name, pool), *(Edge(pool, e.target, e.delay, e.port) for e in after)]
        graph = graph.replace({}, edges)
    return graph


def without_maxima(graph: Graph) -> tuple[Graph, dict[str, str]]:
    """Every MaxPool as rectifiers of differences, and by such a rectifier the node that was pooled.

    Exact over the reals. Raises ``Unsupported`` where zeros around the map could exceed values below 0.
    """
    compared: dict[str, str] = {}
    for name, pool in graph.named(MaxPool).items():
        edges = graph.into(name)
        if any(map(any, pool.padding)) and not all(isinstance(graph.nodes[e.source], Relu) for e in edges):
            raise Unsupported(name, "takes a padded maximum of values that may be below 0", "pool after the rectifier")
        graph, made = _pairs(graph, name, pool)
        compared |= dict.fromkeys(made, edges[0].source if len(edges) == 1 else "")
    return graph, compared


def _pairs(graph: Graph, name: str, pool: MaxPool) -> tuple[Graph, list[str]]:
    channels, places = graph.shapes[name][0], list(np.ndindex(*pool.kernel))
    nodes: dict[str, Node | None] = {name: Sum()}
    edges = [e for e in graph.edges if e.target != name]
    for j, place in enumerate(places):
        kernel = np.zeros((channels, 1, *pool.kernel))
        kernel[(slice(None), 0, *place)] = 1.0
        nodes[f"{name}.pick{j}"] = Conv(kernel, None, pool.stride, pool.padding, groups=channels)
        edges += [Edge(e.source, f"{name}.pick{j}", e.delay) for e in graph.into(name)]
    level, number, made = [f"{name}.pick{j}" for j in range(len(places))], itertools.count(1), []
    while len(level) > 1:
        merged = [_larger(nodes, edges, f"{name}.{next(number)}", a, b) for a, b in zip(level[::2], level[1::2], strict=False)]
        made += [f"{m}.ahead" for m in merged]
        level = [*merged, *level[2 * len(merged) :]]
    return graph.replace(nodes, [*edges, Edge(level[0], name)]), made


def _larger(nodes: dict[str, Node | None], edges: list[Edge], name: str, a: str, b: str) -> str:
    """max(a, b) = b + max(a - b, 0)."""
    nodes |= {f"{name}.minus": Scale(frozen(-1.0)), f"{name}.ahead": Relu(), name: Sum()}
    edges += [Edge(b, f"{name}.minus"), Edge(f"{name}.minus", f"{name}.ahead"), Edge(a, f"{name}.ahead")]
    edges += [Edge(b, name), Edge(f"{name}.ahead", name)]
    return name


def _unit(values: Floats, node: Relu) -> Floats:
    """The percentile of each channel (axis 1 of ``values``), kept within the layer's and the ceiling."""
    channels = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)
    layer = float(np.percentile(values, PERCENTILE)) or float(values.max(initial=0.0)) or 1.0
    unit = np.maximum(np.percentile(channels, PERCENTILE, axis=1), LEAST * layer)
    wide = unit.reshape(-1, *(1,) * (values.ndim - 2))
    return frozen(wide if node.ceiling is None else np.minimum(wide, node.ceiling))


def _fire(graph: Graph, name: str, unit: Floats, half: bool) -> Graph:
    neuron = LIF(decay=frozen(1.0), threshold=unit / 2 if half else unit, reset="subtract", amount=unit)
    worth = f"{name}.rate"
    edges = [Edge(worth, e.target, e.delay, e.port) if e.source == name else e for e in graph.edges]
    return graph.replace({name: neuron, worth: Scale(unit)}, [*edges, Edge(name, worth)])
