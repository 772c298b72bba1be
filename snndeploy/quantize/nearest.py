"""The nearest neuron that fixed hardware has, for neurons that it has not: never taken in silence, always offered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.glif import GLIF
from snndeploy.ir.neurons.lif import LIF

CLIF_RESET = -0.06
"""Where a CLIF's authors put the hard reset of the LIF they deploy in its place (README of HuuYuLong/Complementary-LIF:
95.41 -> 95.08 % on CIFAR-10, 78.36 -> 77.00 % on CIFAR-100)."""


@dataclass(frozen=True)
class Nearest:
    """A hard-resetting LIF instead of ``of`` (None: none is near), and what it does not do, in words."""

    of: str
    neuron: LIF | None
    loses: str = ""

    @property
    def words(self) -> str:
        """One clause for a hint."""
        if self.neuron is None:
            return f"nothing on a fixed core is near a {self.of}"
        return f"the nearest neuron here is {self.neuron}, which {self.loses}: train with it, or again from these weights"


def nearest(node: Node) -> Nearest:
    """The hard-resetting LIF nearest to ``node``; what is lost must be measured on data."""
    kind = type(node).__name__
    if isinstance(node, CLIF):
        low = frozen(CLIF_RESET)  # it starts there too: a fixed LIF starts where it resets to
        lif = LIF(node.decay, node.gain, node.threshold, node.strict, "hard", low, rest=node.rest, v_init=low)
        return Nearest(kind, lif, f"resets to {CLIF_RESET} and has no second membrane")
    if isinstance(node, GLIF):
        exact = not (node.decay_fired.any() or node.bias.any() or node.bias_fired.any() or node.steps)
        lif = LIF(_mean(node.decay), _mean(node.gain), _mean(node.threshold), node.strict)
        return Nearest(kind, lif, "is the same neuron" if exact else "has no leak, resets to 0 and has one gain for all steps")
    if isinstance(node, LIF) and node.reset == "hard" and node.floor is None:
        return (
            Nearest(kind, replace(node, v_init=frozen(0.0)), "starts at 0")
            if node.v_init.any()
            else Nearest(kind, node, "is the same neuron")
        )
    return _plain(kind, node)


def _plain(kind: str, node: Any) -> Nearest:
    """A LIF of whatever a LIF's fields are called in the node."""
    names = ("decay", "gain", "threshold", "strict", "v_reset", "rest")
    known = {name: getattr(node, name) for name in names if hasattr(node, name)}
    if "decay" not in known or "threshold" not in known:
        return Nearest(kind, None)
    if kind == "KLIF" and (np.asarray(node.k) > 0).all():
        known["decay"], known["gain"] = frozen(np.minimum(node.decay * node.k, 1.0)), frozen(node.gain * node.k)
        return Nearest(kind, LIF(**known), "has no floor at 0")
    lost = {"has no floor": getattr(node, "floor", None) is not None, "resets to 0": getattr(node, "reset", "hard") != "hard"}
    words = " and ".join(word for word, is_lost in lost.items() if is_lost) if isinstance(node, LIF) else f"has nothing else of a {kind}"
    return Nearest(kind, LIF(**known), words or "starts at 0")


def _mean(table: Floats) -> Floats:
    return frozen(table.mean(axis=0))
