"""Two-phase: an integer burst neuron out of K plain LIF neurons that take two steps for one of the model's.

The input comes at the first step, where rung j fires if it is reached. If the first rung fired, it forces the others at
the second step, so all of them end at 0, in step with the burst neuron. The forced spikes of the second step are taken
off downstream by a synapse from the first rung. Every neuron decays twice for one step of the model, so its decay must be
one that two truncating halves make: trunc(trunc(v h / 4096) h / 4096) = trunc(v a / 4096) for every v of 24 bits. That holds
for a / 4096 = 1, 1/4, 1/16, ... 1/4096 and 0 with h the root, and for no other a (all 4097 halves were tried on all 2^23 v).

Source: two-phase time multiplexing, docs/lossless.md (Theorem 6).
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Candidate, Condition, Edge, Graph, Limits, Node
from snndeploy.ir.layers import Input, Output, Scale
from snndeploy.ir.neurons.registers import UNIT, constant_part, hard, no_wrap, on_grid, plain

HALVES = {4096: 4096, 1024: 2048, 256: 1024, 64: 512, 16: 256, 4: 128, 1: 64, 0: 0}
"""Decay of a model step -> decay of each of its two steps, both times 4096."""


def halved(dv: Floats) -> Floats | None:
    """The dv of one of two steps whose decays together make ``dv``'s exactly; None where there is none."""
    kept = 4096 - np.asarray(dv, dtype=np.int64)
    if not np.isin(kept, list(HALVES)).all():
        return None
    return frozen(4096.0 - np.vectorize(HALVES.__getitem__, otypes=[np.float64])(kept))


def two_phase(node: Any, limits: Limits) -> Candidate:
    """One neuron a rung. Its bias is left out: it must come with the input, at the first step (``passes.drive``)."""
    dv = halved(node.dv)
    force = on_grid(int(node.thresholds.max()) // UNIT + 1)
    slow = dataclasses.replace(node, dv=node.dv if dv is None else dv, bias=frozen(0.0))
    nodes: dict[str, Node] = {"in": Input(limits.shape, "levels"), "force": Scale(frozen(force)), "out": Output("none")}
    edges = [Edge("N1", "force", delay=1)]
    steps = np.diff(node.levels, axis=0, prepend=np.zeros_like(node.levels[:1]))
    for j in range(1, node.rungs + 1):
        nodes |= {f"N{j}": plain(slow, j - 1), f"step{j}": Scale(frozen(steps[j - 1]))}
        edges += [Edge("in", f"N{j}"), Edge(f"N{j}", f"step{j}"), Edge(f"step{j}", "out")]
        edges += [Edge("force", f"N{j}")] if j > 1 else []
    nodes["forced"] = Scale(frozen(-steps[1:].sum(axis=0)))
    edges += [Edge("N1", "forced", delay=1), Edge("forced", "out")]
    return Candidate("two-phase", Graph(nodes, tuple(edges)), _conditions(node, limits, force), phases=2)


def _conditions(node: Any, limits: Limits, force: int) -> tuple[Condition, ...]:
    decays = ", ".join(f"{d / 4096:.4g}" for d in np.unique(4096 - node.dv)[:4])
    fits = Condition("decay made of two equal ones", halved(node.dv) is not None, decays, "1, 1/4, 1/16, ... 1/4096 or 0",
                     "train with decay 1/4, or choose look-ahead")  # fmt: skip
    # force and input never meet: one comes at the second step, the other at the first
    room = no_wrap("no wrap of u", [max(force, limits.input_bound + constant_part(node))])
    return (room, fits, *hard(node, limits, force, lingers=0)[1:])
