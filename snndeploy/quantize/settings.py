"""What the quantizer may use, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatch

from snndeploy.errors import OptionError, did_you_mean
from snndeploy.ir.graph import Graph

FULL_BITS = 8


@dataclass(frozen=True)
class Settings:
    """The chip's registers and the user's wishes.

    Attributes:
        steps: time steps T of a sample (an accumulating read-out must not saturate in T steps).
        weight_bits: bits by layer pattern, first match wins; "*" is the default.
        programs: the chip runs neuron programs.
        conv_exponent: convolutions have a weight exponent.
        decoupled: burst neurons will become several plain ones, so each rung's weights must fit the synapse grid.
        host_inputs: real-valued inputs whose first layer the host computes (chips without graded spikes).
        snap: soft-reset thresholds are rounded so that lateral synapses are whole.
        plain: no weight is clipped, as the plainest rule does it; what a choice of clips is held against.
    """

    steps: int
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    programs: bool = False
    conv_exponent: bool = False
    decoupled: bool = False
    snap: bool = False
    host_inputs: frozenset[str] = frozenset()
    plain: bool = False

    def bits(self, layer: str, synapse: str = "") -> int:
        """Weight bits of a neuron layer's ``synapse``; either name may be meant. Raises ``OptionError`` outside 2..8."""
        names = (layer, *synapse.split("+"))
        bits = next((b for pattern, b in self.weight_bits.items() if any(fnmatch(n, pattern) for n in names)), FULL_BITS)
        if not 2 <= bits <= FULL_BITS:
            raise OptionError("--weight-bits", f"{bits} bits for {layer}", f"between 2 and {FULL_BITS}")
        return bits


def check_patterns(weight_bits: Mapping[str, int], names: Iterable[str]) -> None:
    """Raise ``OptionError`` for a layer pattern that no layer has."""
    known = sorted({part for name in names for part in (name, *name.split("+"))})
    for pattern in weight_bits:
        if not any(fnmatch(name, pattern) for name in known):
            raise OptionError("--weight-bits", f"no layer is called {pattern!r}", did_you_mean(pattern, known))


@dataclass(frozen=True)
class LayerScale:
    """How one neuron layer became integers.

    ``scale`` is the real value of a weight unit (64 units of v); ``error`` the mean difference to the float neuron's
    output when both are fed the float network's spikes (for plain spikes the fraction that differs, for membranes
    relative to their mean size); ``threshold_shift`` the largest change of a threshold, relative; ``decay_shift`` that
    of a decay factor; ``bound`` the largest synaptic sum; ``notes`` what is inexact, in words. ``crowded``: the
    registers left no room for all levels of the weights. ``died``: it sends next to nothing where the float layer fires.
    ``roomy``: v holds what it swings on the calibration data and most of a margin.
    """

    layer: str
    weight_bits: int
    scale: float
    error: float
    threshold_shift: float
    decay_shift: float
    bound: int
    notes: tuple[str, ...] = ()
    crowded: bool = False
    died: bool = False
    roomy: bool = True


@dataclass(frozen=True, eq=False)
class Quantized:
    """The integer graph. ``units`` is the real value of one unit of each Input's and neuron's output."""

    graph: Graph
    units: Mapping[str, float]
    payloads: Mapping[str, float]
    layers: tuple[LayerScale, ...]
