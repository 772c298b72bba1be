"""The product of two signals: no synapse multiplies, but of spikes the product is a logical AND, which one neuron computes.

SEW-ResNet's shortcuts (Fang et al., NeurIPS 2021, table 1): AND is x y, IAND is x (1 - y).
"""

from __future__ import annotations

import numpy as np

from converters.pt.drives import Drive, Place, Source
from converters.pt.streams import Builder
from snndeploy.arrays import frozen
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import Scale
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.paths import moves

BOTH = LIF(frozen(0.0), threshold=frozen(1.5))
"""Fires where the sum of two spikes is 2, and forgets: their AND in the same step. Its reset is the one that every chip has."""


def product(builder: Builder, place: Place) -> Drive:
    """Two signals that are 0 or 1 at every step, multiplied. Raises ``Unsupported`` for any others."""
    handle = builder.reserve(_name(place), place.call.index, str(place.call), True)
    builder.remember(place.stream, Source(handle))
    drives = [builder.source(operand) for operand in place.operands]
    sources = [d for d in drives if isinstance(d, Source)]
    if len(sources) < 2 or not all(binary(builder, s.node) for s in sources):
        what = "multiplies two signals, which no synapse does (only of two that are 0 or 1 is the product a neuron, their AND)"
        raise Unsupported(str(place.call), what, "a gate must be a constant after training, or a spike")
    if sources[0] == sources[1]:
        builder.remember(place.stream, sources[0])
        return sources[0]
    if len({builder.shape(operand, place.call) for operand in place.operands}) > 1:
        raise Unsupported(str(place.call), "multiplies spikes of two shapes", "expand them to one shape first")
    builder.nodes[handle] = BOTH
    for source in sources:
        builder.connect(source, handle)
    builder.notes.append(f"{place.call}: a product of spikes fires where both do: LIF(decay 0, threshold 1.5) on their sum")
    return Source(handle)


def binary(builder: Builder, handle: int) -> bool:
    """Whether a node gives 0 or 1 at every step: spikes, what only moves or chooses among them, and 1 - s."""
    node = builder.nodes.get(handle)
    entering = [(source, port) for source, target, _, port in builder.edges if target == handle]
    if node is None or node.emits == "spikes":
        return node is not None
    alone = len(entering) == len({port for _, port in entering})
    inverted = isinstance(node, Scale) and node.shift is not None and bool(np.all(node.scale == -1) and np.all(node.shift == 1))
    return alone and (moves(node) or inverted) and all(binary(builder, source) for source, _ in entering)


def _name(place: Place) -> str:
    return f"{place.call.path}.{place.call.op}" if place.call.path else place.call.op
