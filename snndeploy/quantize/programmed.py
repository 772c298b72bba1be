"""A layer whose neuron the chip's fixed LIF cannot express: its step becomes a grid neuron, and that a neuron program."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.expressions import Expression, trace
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.layers import Conv, Linear, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.integer import STATE_MAX
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.on_grid import GridNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import delivered
from snndeploy.ir.sparse import Sparse
from snndeploy.quantize.algebra import simplified, with_input
from snndeploy.quantize.fixed_point import Precision, TooFine, fixed_point, room
from snndeploy.quantize.ranges import Ranges, ranges
from snndeploy.quantize.synapses import Synapse

UNIT = 64
"""Units of I a weight unit is worth."""
FINEST = 4
"""Payload units are tried down to 2**-4."""


@dataclass(frozen=True, eq=False)
class Programmed:
    """The layer's expression reading its synaptic sum (gain and constant inside), and where its terms lie."""

    name: str
    expression: Expression
    seen: Ranges
    level: float

    @property
    def holds(self) -> float:
        """The largest value of a term in the input's unit, within the range made room for."""
        return STATE_MAX / room(self.expression, self.seen)

    @property
    def finest(self) -> float:
        """The smallest real value of a weight unit at which no word saturates within the range made room for."""
        return UNIT / room(self.expression, self.seen)

    def neuron(self, scale: float) -> GridNeuron:
        """The grid neuron when one weight unit is worth ``scale``; raises as ``fixed_point``, in the layer's name."""
        try:
            return fixed_point(self.expression, self.seen, Precision(UNIT / scale, self.level)).neuron
        except TooFine:
            raise
        except Unsupported as refusal:
            raise Unsupported(self.name, refusal.what, refusal.hint) from None


def by_registers(node: Node) -> bool:
    """True if ``quantize.neuron`` makes the chip's own registers of it; otherwise its step is compiled."""
    if isinstance(node, CubaLIF) and node.late and node.reset == "hard":
        return False
    return isinstance(node, LIF | CubaLIF | Burst | LI) and not node.v_init.any()


def expression_of(name: str, node: Node, shape: Shape, programs: bool) -> Expression:
    """The node's simplified expression.

    Raises:
        Unsupported: L010, the chip has no programs; or a step that is no neuron of its own.
    """
    kind = type(node).__name__
    starts = getattr(node, "v_init", None)
    if starts is not None and starts.any() and isinstance(node, LI):
        raise Unsupported(name, "its membrane starts at a value other than its reset", "start the neuron at v_reset")
    if node.emits == "real":
        raise Unsupported(name, f"a {kind} sends real values, and a spike carries whole ones", "choose --chip none to keep the float graph")
    if not programs:
        start = "whose membrane starts at a value other than its reset " if starts is not None and starts.any() else ""
        what = f"L010: {kind} {start}has no integer form on this chip: it takes a neuron program"
        raise Unsupported(name, what, "choose a chip with neuron programs (--chip loihi2)")
    try:
        return simplified(trace(node, shape))
    except Unsupported as refusal:
        raise Unsupported(name, refusal.what, refusal.hint) from None


def programmed(
    name: str, expression: Expression, gain: Floats, constant: Floats, sums: Floats, bound: float, steps: int, level: float
) -> Programmed:
    """The layer's neuron for real ``sums`` [T, B, *shape] (gain applied, constant not), which never exceed ``bound``."""
    entering = with_input(expression, gain, constant)
    return Programmed(name, entering, ranges(entering, bound, steps, sums), level)


def real_sums(graph: Graph, synapses: tuple[Synapse, ...], sources: dict[str, Floats], *, magnitude: bool = False) -> Floats:
    """What the synapses deliver with their real weights, gain applied: [T, B, *shape] of sources [T, B, ...]."""
    total: Floats = np.zeros(())
    for s in synapses:
        node = graph.nodes[s.name]
        assert isinstance(node, Linear | Conv | Sparse | Scale), "a path has one synapse"
        real = Scale(s.weights) if isinstance(node, Scale) else replace(node, weight=s.weights, bias=None)
        nodes = {**graph.nodes, s.name: real}
        total = total + delivered(nodes, s.path, sources[s.path.source], magnitude=magnitude, constant=False)
    steps = max(len(sources[s.path.source]) for s in synapses)
    return np.broadcast_to(total, (steps, *total.shape[1:]))


def payload_unit(sent: Floats) -> float:
    """The real value of one payload unit: the one size that is sent, or the coarsest grid 2**-k on which all sizes are whole."""
    sizes = np.unique(np.abs(sent))
    sizes = sizes[sizes > 0]
    if len(sizes) == 1:
        return float(sizes[0])
    exact = (k for k in range(FINEST + 1) if np.array_equal(sizes * 2**k, np.round(sizes * 2**k)))
    return float(2.0 ** -next(exact, FINEST))


def is_at_rest(node: GridNeuron, shape: Shape, steps: int) -> tuple[bool, bool]:
    """(never moves, never fires) while nothing comes in for so many steps."""
    state = {word: value[None] for word, value in node.initial_state(shape).items()}
    start, still, silent = state, True, True
    for _ in range(steps):
        y, after = node.step((np.zeros((1, *shape)),), state, NUMPY)
        state = dict(after)
        still &= all(np.array_equal(np.broadcast_to(state[w], start[w].shape), start[w]) for w in node.initial)
        silent &= not y.any()
    return still and silent and not node.counts, silent
