"""Passes: from a graph to a graph that means the same. ``PIPELINE`` is their order, and the order is the meaning.

After all of them the graph is in the normal form of ``snndeploy.ir.normal``: neurons, one synapse on each path between
them, nothing else. Neurons keep their names through every pass, so that runs before and after can be compared layer
by layer; a neuron that a pass adds is called after the layer it stands for ("pool.rung1", "out.readout").
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from snndeploy.ir.graph import Graph
from snndeploy.passes import batchnorm, canonical, dead, maxpool, merge, pooling, readout, units


@dataclass(frozen=True)
class Pass:
    """One step of the pipeline, and why it stands where it stands."""

    name: str
    apply: Callable[[Graph], Graph]
    why: str


PIPELINE: tuple[Pass, ...] = (
    Pass("dead", dead.apply, "first: what nobody reads shall not be refused later"),
    Pass("canonical", canonical.apply, "before anything is added, so that added neurons need no second look"),
    Pass("units", units.apply, "before max pooling and the read-out, which then meet plain neurons"),
    Pass("maxpool", maxpool.apply, "before the read-out: a pooled output becomes a neuron, which can be read"),
    Pass("readout", readout.apply, "after max pooling, before merging: the read-out's neuron ends a path"),
    Pass("batchnorm", batchnorm.apply, "before merging, which knows diagonals only"),
    Pass("pooling", pooling.apply, "before merging, which knows convolutions only"),
    Pass("merge", merge.apply, "last: it composes what the others left linear"),
)
