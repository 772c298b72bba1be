"""The CLIF of its repository's "multistep torch version", which squashes its second membrane in place."""

from __future__ import annotations

from dataclasses import dataclass

from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.xp import Array


@dataclass(frozen=True, eq=False)
class CLIFSpike(CLIF):
    """As ``CLIF``, but the next step finds sigmoid(m) in place of m.

    Source: HuuYuLong/Complementary-LIF ``modules/neuron.py: CLIFSpike``, where ``torch.sigmoid_(m)`` overwrites m; the
    paper's equation, and ``ComplementaryLIFNeuron`` of the same file, leave m as it is.
    """

    def _remembered(self, m: Array, squashed: Array) -> Array:
        return squashed
