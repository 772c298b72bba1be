"""The nearest neuron that fixed hardware has, for neurons that it has not: never taken in silence, always offered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from snndeploy.arrays import Floats, frozen
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.glif import GLIF
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.lif import LIF

CLIF_RESET = -0.06
"""Where a CLIF's authors put the hard reset of the LIF they deploy in its place (README of HuuYuLong/Complementary-LIF:
95.41 -> 95.08 % on CIFAR-10, 78.36 -> 77.00 % on CIFAR-100)."""


SAID_AT_MOST = 8
"""So many numbers of a layer are written out in a hint."""


@dataclass(frozen=True)
class Nearest:
    """A hard-resetting neuron of a fixed core instead of ``of`` (None: none is near), and what it does not do, in words."""

    of: str
    neuron: LIF | CubaLIF | None
    loses: str = ""

    @property
    def words(self) -> str:
        """One clause for a hint."""
        if self.neuron is None:
            return f"nothing on a fixed core is near a {self.of}"
        return f"the nearest neuron here is {shown(self.neuron)}, which {self.loses}"


def shown(node: LIF | CubaLIF) -> str:
    """A hard-resetting neuron as ``--neuron`` takes it: ``LIF(decay=0.75, threshold=1.0, strict=True)``."""
    usual = {"gain": 1.0, "current_gain": 1.0, "v_reset": 0.0, "rest": node.v_reset}
    names = ("current_decay", "decay", "threshold", *usual)
    values = {name: getattr(node, name) for name in names if hasattr(node, name)}
    said = {n: _numbers(v) for n, v in values.items() if n not in usual or (v != usual[n]).any()}
    if None in said.values():
        return f"a {type(node).__name__} with the same numbers a neuron"
    words = [f"{name}={value}" for name, value in said.items()]
    return f"{type(node).__name__}({', '.join([*words, *(['strict=True'] if node.strict else [])])})"


def _numbers(value: Floats) -> str | None:
    """One number, or a short list of one a neuron; None for what is too long to be said."""
    if (value == value.flat[0]).all():
        return repr(float(value.flat[0]))
    return str(value.tolist()) if value.ndim == 1 and value.size <= SAID_AT_MOST else None


def needs_program(node: Node) -> bool:
    """Whether a neuron in normal form is one that a core of fixed neurons has not, built of several neither."""
    if node.emits == "real" or isinstance(node, Burst):
        return False
    if not isinstance(node, LIF | CubaLIF) or node.v_init.any():
        return True
    floor = getattr(node, "floor", None)
    return node.reset != "hard" or node.late or floor is not None or bool((node.threshold < 0).any())


def nearest(node: Node) -> Nearest:
    """The hard-resetting LIF nearest to ``node`` (with a synaptic current where it has one); what is lost must be measured on data."""
    kind = type(node).__name__
    if isinstance(node, CLIF):
        low = frozen(CLIF_RESET)  # it starts there too: a fixed LIF starts where it resets to
        lif = LIF(node.decay, node.gain, node.threshold, node.strict, "hard", low, rest=node.rest, v_init=low)
        return Nearest(kind, lif, f"resets to {CLIF_RESET} and has no second membrane")
    if isinstance(node, GLIF):
        exact = not (node.decay_fired.any() or node.bias.any() or node.bias_fired.any() or node.steps)
        lif = LIF(_mean(node.decay), _mean(node.gain), _mean(node.threshold), node.strict)
        return Nearest(kind, lif, "is the same neuron" if exact else "has no leak, resets to 0 and has one gain for all steps")
    if isinstance(node, LIF | CubaLIF) and not needs_program(node):
        return Nearest(kind, node, "is the same neuron")
    return _plain(kind, node)


def _plain(kind: str, node: Any) -> Nearest:
    """A LIF of whatever a LIF's fields are called in the node, or a CubaLIF where a synaptic current is among them."""
    names = ("decay", "gain", "threshold", "strict", "v_reset", "rest")
    known = {name: getattr(node, name) for name in names if hasattr(node, name)}
    known.setdefault("strict", isinstance(node, ImmediateLIF))
    if "decay" not in known or "threshold" not in known or (known["threshold"] < 0).any():
        return Nearest(kind, None)
    if kind == "KLIF" and (np.asarray(node.k) > 0).all():
        known["decay"], known["gain"] = frozen(np.minimum(node.decay * node.k, 1.0)), frozen(node.gain * node.k)
        return Nearest(kind, LIF(**known), "has no floor at 0")
    lost = {
        "has no floor": getattr(node, "floor", None) is not None,
        "resets to 0": getattr(node, "reset", "hard") != "hard",
        "resets at once": bool(getattr(node, "late", False)) and getattr(node, "reset", "hard") == "hard",
    }
    known["v_init"] = known.get("v_reset", frozen(0.0))  # a fixed LIF starts where it resets to
    words = " and ".join(word for word, is_lost in lost.items() if is_lost)
    if not isinstance(node, LIF | CubaLIF):
        words = f"resets to 0 and has nothing else of a {kind}"
    if _keeps_current(node):
        currents = {name: getattr(node, name) for name in ("current_decay", "current_gain") if hasattr(node, name)}
        return Nearest(kind, CubaLIF(**currents, **known), words or "starts at 0")
    return Nearest(kind, LIF(**known), words or "starts at 0")


def _keeps_current(node: Any) -> bool:
    """Whether a synaptic current lingers from step to step."""
    return getattr(node, "current", True) and bool(np.any(getattr(node, "current_decay", 0.0)))


def _mean(table: Floats) -> Floats:
    return frozen(table.mean(axis=0))
