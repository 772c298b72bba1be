"""A graph held against a run of the model it was read from, spike by spike: what differs, and what only rounding decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.following import Followed, Mask, follow
from snndeploy.ir.graph import Graph
from snndeploy.ir.paths import at_ports
from snndeploy.ir.spread import ARITHMETICS, Arithmetic, Spread, given

MOST = 1 << 20
"""About so many values are followed where only the user is told of ties."""


@dataclass(frozen=True, eq=False)
class Held:
    """What came of it.

    Attributes:
        outputs: per node asked for, what the graph gives on the way of the other run, [T, B, *shape], with its rounding bound.
        ties: per node that was told, where only rounding decides; ``wrong``: where the two differ beyond it.
        near: where rounding may decide, though here it did not.
        spots: the same of nodes that were not told, by decision, [T, decisions, B, *shape]: what may be turned around.
    """

    outputs: Mapping[str, Spread]
    ties: Mapping[str, Mask]
    wrong: Mapping[str, Mask]
    near: Mapping[str, Mask]
    spots: Mapping[str, Mask]


def hold(
    graph: Graph,
    inputs: Mapping[str, Floats],
    steps: int,
    told: Mapping[str, Floats],
    record: list[str],
    arithmetic: str,
    turned: Mapping[str, Mask] | None = None,
) -> Held:
    """Run ``graph`` so that every node in ``told`` goes the way it was told, [T, B, *shape], as far as rounding allows.

    ``turned``: per node that was not told, the decisions to take the other way, as ``Held.spots``.
    """
    kind = ARITHMETICS[arithmetic]
    batch = next(iter(inputs.values())).shape[1]
    states = {name: _start(graph, name, batch, kind) for name in graph.order}
    zeros = {e: given(np.zeros((batch, *graph.shapes[e.source])), kind) for e in graph.edges if e.delay}
    past = {edge: [zero] * edge.delay for edge, zero in zeros.items()}
    kept: dict[str, list[Spread]] = {name: [] for name in record}
    found: dict[str, list[Followed]] = {name: [] for name in graph.order if name not in inputs}
    for t in range(steps):
        now = {name: given(values[t if len(values) > 1 else 0], kind) for name, values in inputs.items()}
        for name in graph.order:
            if name not in now:
                step, ports = partial(_stepped, graph, name), at_ports(graph, name, now, past)
                way = told[name][t] if name in told else None
                other = turned[name][t] if turned and name in turned else None
                done = follow(step, ports, states[name], way, kind, other)
                now[name], states[name] = done.output, dict(done.state)
                found.get(name, []).append(done)
            kept.get(name, []).append(now[name])
        past = {edge: [*ring[1:], now[edge.source]] for edge, ring in past.items()}
    ties, wrong, near = (
        {name: np.stack([getattr(d, side) for d in done]) for name, done in found.items()} for side in ("ties", "wrong", "near")
    )
    spots = {name: np.stack([d.spots for d in done]) for name, done in found.items() if name not in told and len(done[0].spots)}
    return Held({name: _stacked(series, kind) for name, series in kept.items()}, ties, wrong, near, spots)


def ties_of(graph: Graph, inputs: Mapping[str, Floats], steps: int, told: Mapping[str, Floats], arithmetic: str) -> tuple[int, int, int]:
    """(ties, spikes that rounding may decide, spikes compared) of the first samples, as many as are quickly followed."""
    first = next(iter(told.values()), None)
    if first is None:
        return 0, 0, 0
    values = sum(series[:, :1].size for series in told.values())
    some = slice(0, min(first.shape[1], max(1, MOST // values)))
    few = {name: series[:, some] for name, series in told.items()}
    held = hold(graph, {name: x[:, some] for name, x in inputs.items()}, steps, few, [], arithmetic)
    ties, near = (sum(int(side[name].sum()) for name in few) for side in (held.ties, held.near))
    return ties, near, sum(series.size for series in few.values())


def _stepped(
    graph: Graph, name: str, inputs: tuple[Spread, ...], state: Mapping[str, Spread], xp: object
) -> tuple[Spread, dict[str, Spread]]:
    y, after = graph.nodes[name].step(inputs, state, xp)  # type: ignore[arg-type]
    return y, dict(after)


def _start(graph: Graph, name: str, batch: int, kind: Arithmetic) -> dict[str, Spread]:
    source = next((edge.source for edge in graph.into(name) if edge.port == 0), None)
    words = {} if source is None else graph.nodes[name].initial_state(graph.shapes[source])
    return {word: given(np.broadcast_to(value, (batch, *value.shape)), kind) for word, value in words.items()}


def _stacked(series: list[Spread], kind: Arithmetic) -> Spread:
    return Spread(np.stack([s.value for s in series]), np.stack([s.error for s in series]), kind)
