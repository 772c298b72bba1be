"""The leak of a membrane, and the order in which the library that a neuron comes from rounds it.

Over the reals h = rest + decay (v - rest) + gain x, and that is what a chip, a proof and the quantizer read. In floats
the orders below differ in the last bit, which decides a spike where h meets the threshold exactly (docs/rounding.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol, TypeAlias

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.xp import Array, Namespace

Order: TypeAlias = Literal["tau", "tau_whole", "rate", "rate_whole", "rate_joint", "tau_apart", "tau_apart_whole"]

FORMULAS: Mapping[str, str] = MappingProxyType(
    {
        "tau": "v + (x - (v - rest)) / leak",
        "tau_whole": "v - (v - rest) / leak + x",
        "rate": "v + (x - (v - rest)) leak",
        "rate_whole": "v - (v - rest) leak + x",
        "rate_joint": "v + ((x + rest) - v) leak",
        "tau_apart": "decay v + rest / leak + x / leak",
        "tau_apart_whole": "decay v + rest / leak + x",
    }
)
"""How each order computes h, from left to right.

Sources: SpikingJelly 2.0.0 ``_ops/lif/reference.py: charge`` (tau, tau_whole), ``_ops/plif/reference.py: step`` (rate,
rate_whole); Norse 1.1.0 ``functional/lif.py: lif_feed_forward_step`` (rate; it writes (rest - v) + x, which rounds alike)
and ``functional/lif_box.py`` (rate_joint); HuuYuLong/Complementary-LIF ``modules/neuron.py: _charging_v`` (tau_apart,
tau_apart_whole).
"""
NEAR = 1e-9
"""How far decay and gain may lie from what ``leak`` says: they are rounded from it."""
OTHER = "a node with another decay or gain rounds in an order of its own: leave it out"


class _Leaks(Protocol):
    @property
    def decay(self) -> Floats: ...
    @property
    def gain(self) -> Floats: ...
    @property
    def order(self) -> Order | None: ...
    @property
    def leak(self) -> Floats | None: ...
    def products(self, v: Array, x: Array) -> Array: ...


@dataclass(frozen=True, eq=False)
class Membrane(Node):
    """A node with a leaky membrane: fields ``decay``, ``gain`` and, unless it is 0, ``rest``.

    ``order`` None computes rest + decay (v - rest) + gain x; any other what ``FORMULAS`` says, with ``leak`` the time
    constant tau in steps (``tau...``), decay = 1 - 1/leak, or the rate 1/tau (``rate...``), decay = 1 - leak; gain is
    1/tau, or 1 where the input comes in whole. Only floats tell them apart: everything but a float run reads decay and
    gain. A node with another decay or gain needs an order of its own, or none.
    """

    order: Order | None = field(default=None, kw_only=True)
    leak: Floats | None = field(default=None, kw_only=True)

    def products(self: _Leaks, v: Array, x: Array) -> Array:
        """The membrane before it fires, over the reals."""
        rest = self.rest  # type: ignore[attr-defined]
        return (v - rest) * self.decay + rest + x * self.gain

    def charge(self: _Leaks, v: Array, x: Array, xp: Namespace) -> Array:
        """The membrane before it fires, from the membrane and the input of this step, rounded as ``order`` says."""
        if self.order is None:
            return self.products(v, x)
        return xp.rounded(lambda a, b: _ordered(self, a, b, xp), self.products, v, x)


def _ordered(node: _Leaks, v: Array, x: Array, xp: Namespace) -> Array:
    rest, leak = getattr(node, "rest", 0.0), node.leak
    if node.order in ("tau_apart", "tau_apart_whole"):
        return v * node.decay + xp.divide(rest, leak) + (x if node.order == "tau_apart_whole" else xp.divide(x, leak))
    if node.order == "rate_joint":
        return v + (x + rest - v) * leak
    away = v - rest
    if node.order in ("tau", "rate"):
        return v + _scaled(node, x - away, xp)
    return v - _scaled(node, away, xp) + x


def _scaled(node: _Leaks, value: Array, xp: Namespace) -> Array:
    return xp.divide(value, node.leak) if node.order in ("tau", "tau_whole") else value * node.leak


def check_membrane(node: Membrane) -> None:
    """Raise ``GraphError`` for a decay outside [0, 1], or an order that says another neuron than decay and gain do."""
    decay: Floats = node.decay  # type: ignore[attr-defined]
    check_decay(node, decay)
    require(node, (node.order is None) == (node.leak is None), "order and leak belong together", "give both or neither")
    if node.order is None or node.leak is None:
        return
    require(node, node.order in FORMULAS, f"order {node.order!r} is not one of {', '.join(FORMULAS)}")
    freeze(node, "leak")
    require(node, bool((node.leak > 0).all()), "leak is not positive", "a time constant, or its inverse, is above 0")
    rate = 1.0 / node.leak if node.order.startswith("tau") else node.leak
    gain = np.ones(()) if node.order.endswith("whole") else rate
    for name, value, said in (("decay", decay, 1.0 - rate), ("gain", node.gain, gain)):  # type: ignore[attr-defined]
        require(node, _near(value, said), f"{name} is not what order {node.order!r} and leak say", OTHER)


def decayed(i: Array, decay: Floats, leak: Floats | None, xp: Namespace) -> Array:
    """A current after its decay: decay i, or where ``leak`` = 1 - decay is given i - i leak (Norse 1.1.0: i + -(dt/tau) i)."""
    if leak is None:
        return i * decay
    return xp.rounded(lambda a: a - a * leak, lambda a: a * decay, i)


def over(value: Array, rate: Floats, tau: Floats | None, xp: Namespace) -> Array:
    """rate value, or, where ``tau`` = 1 / rate is given, value / tau."""
    return value * rate if tau is None else xp.divide(value, tau)


def check_inverse(node: Node, rate: str, tau: str) -> None:
    """Raise ``GraphError`` where the field ``tau``, if it is given, is not the inverse of ``rate``."""
    if getattr(node, tau) is not None:
        freeze(node, tau)
        fits = bool((getattr(node, tau) != 0).all()) and _near(getattr(node, rate), 1.0 / getattr(node, tau))
        require(node, fits, f"{tau} is not 1 / {rate}", "give both, or the rate alone")


def check_current(node: Node, decay: Floats, leak: Floats | None) -> None:
    """Raise ``GraphError`` for a current's decay outside [0, 1], or a ``leak`` that says another one."""
    check_decay(node, decay)
    if leak is not None:
        freeze(node, "current_leak")
        # a saved file holds what float32 holds as float32, and 1 - leak would be rounded to it
        require(node, _near(decay, 1.0 - np.asarray(leak, dtype=np.float64)), "current_leak is not 1 - current_decay", OTHER)


def _near(value: Floats, said: Floats) -> bool:
    return bool(np.allclose(value, said, rtol=NEAR, atol=NEAR))


def check_decay(node: Node, decay: Floats) -> None:
    """A decay factor multiplies the state each step, so it lies in [0, 1]; raises ``GraphError``."""
    inside = bool(((decay >= 0) & (decay <= 1)).all())
    require(node, inside, f"decay factor {decay.min():g}..{decay.max():g} is outside [0, 1]", "a time constant must be positive: tau > 0")
