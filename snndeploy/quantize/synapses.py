"""One path into a layer, and the synapse grid it must fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import QuantizeError, Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Conv, Linear, Scale
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.paths import Path
from snndeploy.ir.sparse import Sparse
from snndeploy.quantize.settings import FULL_BITS, Settings
from snndeploy.quantize.sources import largest_step

EXPONENT_MAX = 7
DRIVEN_MAX = 1 << 16
"""The largest weight of a synapse from the constant: one a neuron, so it may be split into digits."""


@dataclass(frozen=True, eq=False)
class Synapse:
    """One path into the layer: real weights per integer unit of its source, and its share of the synapse grid.

    ``host`` names the current that the host computes with it and writes into the bias register (no grid applies); it
    is empty for synapses on the chip. ``driven``: a constant comes in through it, which is split into digits.
    ``step`` and ``limit`` are those of ``bits`` at the top of the mantissa; lower down the same levels are smaller numbers.
    """

    path: Path
    name: str
    weights: Floats
    limit: int
    step: int
    exponents: int
    host: str = ""
    driven: bool = False
    bits: int = FULL_BITS
    lowest: int = 0
    """The exponent at which the steps are the mantissa's own."""

    @property
    def trained(self) -> bool:
        """Whether the chip holds its weights with so many ``bits``."""
        return not self.host and not self.driven

    @cached_property
    def largest(self) -> float:
        """The largest |weight|."""
        return max(float(self.weights.max(initial=0.0)), -float(self.weights.min(initial=0.0)))

    @property
    def peak(self) -> float:
        """The largest weight, as a fraction of what one mantissa holds."""
        return self.largest / max(1, self.limit)

    def bits_of(self, levels: float) -> float:
        """The bits that hold so many levels, on both sides of 0 where the weights are."""
        return float(np.log2((2 if is_mixed(self.weights) else 1) * levels + 1))

    def exponent(self, scale: float, clip: float = 1.0) -> int:
        """The smallest exponent whose grid holds ``clip`` times the largest; negative where few bits lie low in the mantissa."""
        largest = clip * (self.largest / scale) * (1 - 1e-9)
        exponent = self.lowest
        while exponent < self.exponents and largest > self.limit * 2.0**exponent:
            exponent += 1
        return exponent

    def at(self, scale: float, clip: float = 1.0) -> Floats:
        """The whole weights at this scale, on the grid of the smallest exponent that holds ``clip`` times the largest."""
        exponent = self.exponent(scale, clip)
        step = int(self.step * 2.0**exponent)
        top = int(self.limit * 2.0**exponent) // step * step
        whole: Floats = np.asarray(self.weights / scale)
        whole /= step  # in place: a large layer's weights are tried at every scale
        np.rint(whole, out=whole)
        whole *= step
        return np.clip(whole, -top, top, out=whole)


def is_mixed(weights: Floats) -> bool:
    """Whether weights of both signs lie in one matrix."""
    return bool(weights.min(initial=0.0) < 0 < weights.max(initial=0.0))


def full_levels(s: Synapse) -> int:
    """The levels a side that a synapse of so many bits has where nothing narrows it."""
    return (1 << (s.bits - 1)) - 1 if is_mixed(s.weights) else (1 << s.bits) - 1


def synapse(graph: Graph, path: Path, target: str, gain: Floats, units: float, settings: Settings, host: str) -> Synapse:
    """The path's weights in units of its source, and the grid they must fit.

    Raises:
        QuantizeError: the source's steps in level leave no bits for the weights.
        Unsupported: a gain that does not fold into these weights.
    """
    name = path.synapse(graph)
    weights = with_gain(graph, name, gain, graph.shapes[target]) * units
    if host:
        return Synapse(path, name, weights, 0, 1, 0, host=host)
    if path.source == CONSTANT:
        return Synapse(path, name, weights, DRIVEN_MAX, 1, 0, driven=True)
    split = largest_step(graph.nodes[path.source], units) if settings.decoupled else 1
    bits = settings.bits(target, name)
    step, limit, least = grid(weights, bits, split)
    if limit < step:
        raise QuantizeError(
            f"{target} from {path.source}", f"a step of {split} in level leaves no weight bits", "L005: use coarser levels (kappa)"
        )
    rigid = isinstance(graph.nodes[name], Conv) and not settings.conv_exponent
    return Synapse(path, name, weights, limit, step, 0 if rigid else EXPONENT_MAX, bits=bits, lowest=least.bit_length() - step.bit_length())


def grid(weights: Floats, bits: int, split: int) -> tuple[int, int, int]:
    """(step, largest value, least step) of weights with so many bits, of which ``split`` times each must still fit.

    All-excitatory and all-inhibitory weights keep odd values; mixed ones lose a bit to the sign, unless they are split
    by sign (as a burst neuron's rungs are). Few bits lie at the top of the mantissa, or as far below as ``split`` asks
    for so that all their levels fit.
    """
    one_sign = not is_mixed(weights)
    least = 1 if one_sign or (split > 1 and bits == FULL_BITS) else 2
    step, levels = least << (FULL_BITS - bits), (1 << (bits if one_sign else bits - 1)) - 1
    while bits < FULL_BITS and step > least and (256 - step) // split // step < levels:
        step //= 2
    return step, (256 - step) // split // step * step, least


def with_gain(graph: Graph, name: str, gain: Floats, shape: Shape) -> Floats:
    """The weights of synapse ``name`` with its neuron's input gain folded in; ``gain`` broadcasts against ``shape``."""
    node, out = graph.nodes[name], graph.shapes[name]
    weights: Floats = node.scale if isinstance(node, Scale) else node.weight  # type: ignore[attr-defined]
    if gain.size == 1:
        return weights * gain.reshape(())
    full = np.broadcast_to(gain, shape)
    if isinstance(node, Scale):
        return np.broadcast_to(weights, out) * full.reshape(out)
    if isinstance(node, Linear) and full.size == len(weights):
        return weights * full.reshape(-1, 1)
    if isinstance(node, Sparse):
        return np.asarray(weights * full.reshape(-1)[node.rows.astype(np.intp)])
    rows = full.reshape(out[0], -1)
    if not isinstance(node, Conv) or not bool((rows == rows[:, :1]).all()):
        raise Unsupported(name, f"an input gain of shape {gain.shape} does not fold into {type(node).__name__}", "use one gain a channel")
    return weights * rows[:, 0].reshape(-1, *(1,) * (weights.ndim - 1))
