"""Exporter fingerprints: whose formulas ``r``, ``tau`` and ``w_in`` of a file follow.

Sources: ``snntorch/export_nir.py`` (1.0 and its version of 2023), ``spikingjelly/activation_based/nir_exchange/to_nir.py`` (2.0),
``norse/torch/utils/export_nir.py`` (1.1), ``sinabs/nir.py`` (3.1), ``rockpool/nn/modules/torch/nir.py`` (3.1), ``spyx/nir.py`` (1.0).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from converters.nir.primitive import Primitive
from snndeploy.arrays import Floats
from snndeploy.errors import ModelError

EQUAL = 1e-5
"""Relative difference of numbers that a float32 exporter computed from the same formula."""


@dataclass(frozen=True)
class Library:
    """How one library fires and resets.

    ``strict``: it compares with >.  ``resets``: what it may have trained without NIR showing it, its default first.
    """

    strict: bool
    resets: tuple[str, ...]
    says: str


LIBRARIES: Mapping[str, Library] = {
    "snntorch": Library(
        True, ("subtract", "zero", "late-zero", "none"), "Euler; subtraction one step late (reset_delay), exported as v_reset 0"
    ),
    "spikingjelly": Library(False, ("zero",), "Euler, exports no other reset than to a value"),
    "norse": Library(True, ("zero",), "Euler, the synaptic current jumps by its whole input"),
    "sinabs": Library(
        False, ("multi", "subtract", "zero"), "exact decay, tau in steps, several spikes a step by default; IAF not below -threshold"
    ),
    "rockpool": Library(False, ("multi", "subtract"), "exact decay, several spikes a step by default"),
    "spyx": Library(True, ("subtract",), "Euler, fires one step late"),
    "nir": Library(True, ("zero",), "NIR's own equations, forward Euler"),
}
"""The conventions that ``--source`` may name."""


@dataclass(frozen=True)
class Reading:
    """One way to read all neurons of a file.

    Attributes:
        source: whose conventions.
        dt: the step in the unit of tau; None where the file does not imply it.
        why: the evidence.
        old: snnTorch's export of 2023, which wrote r = beta and, for recurrent layers, tau_syn and tau_mem swapped.
        steps: tau counts steps, so that dt is 1 and no time is known.
    """

    source: str
    dt: float | None
    why: str
    old: bool = False
    steps: bool = False

    @property
    def library(self) -> Library:
        """The library's conventions."""
        return LIBRARIES[self.source]


class Numbers:
    """The parameters of all neurons of one file, as the fingerprints need them."""

    def __init__(self, neurons: Iterable[Primitive]) -> None:
        self.neurons = tuple(n for n in neurons if n.kind != "Threshold")
        self.timed = tuple(n for n in self.neurons if n.kind not in ("I", "IF"))
        self.cuba = tuple(n for n in self.neurons if n.kind.startswith("Cuba"))
        self.plain = tuple(n for n in self.neurons if n.kind in ("I", "IF"))
        self.tau = _all(n.floats("tau_mem" if "tau_mem" in n.fields else "tau") for n in self.timed)
        self.r = _all(_spread(n, "r") for n in self.timed)
        self.tau_syn = _all(n.floats("tau_syn") for n in self.cuba)
        self.w_in = _all(_spread(n, "w_in", "tau_syn", 1.0) for n in self.cuba)
        self.plain_r = _all(n.floats("r") for n in self.plain)

    def resets(self, library: Library) -> tuple[str, ...]:
        """What the library may have trained here: an input can be lost where there is a synaptic current."""
        return tuple(r for r in library.resets if r != "late-zero" or self.cuba)

    @property
    def spiking(self) -> tuple[Primitive, ...]:
        """The neurons that fire and reset."""
        return tuple(n for n in self.neurons if "v_threshold" in n.fields and n.resets)

    def ones(self) -> bool:
        """Every r and w_in is 1."""
        return bool((self.r == 1).all() and (self.plain_r == 1).all() and (self.w_in == 1).all())

    def zero_resets(self) -> bool:
        """No neuron has another v_reset than 0."""
        return not any(n.floats("v_reset", 0.0).any() for n in self.spiking)


def _spread(node: Primitive, name: str, like: str = "", default: float | None = None) -> Floats:
    tau = node.floats(like or ("tau_mem" if "tau_mem" in node.fields else "tau"))
    values = node.floats(name, default)
    if values.size not in (1, tau.size):
        raise ModelError(node.where, f"{name} has {values.size} values where tau has {tau.size}", "NIR parameters have one shape")
    return np.broadcast_to(values.ravel(), (tau.size,)) if values.size == 1 else values


def digest(values: Floats) -> str:
    """One number, or the range of many."""
    low, high = float(np.min(values)), float(np.max(values))
    return f"{low:.6g}" if low == high else f"{low:.6g}..{high:.6g}"


def _all(arrays: Iterable[Floats]) -> Floats:
    parts = [a.ravel() for a in arrays]
    return np.concatenate(parts) if parts else np.zeros(0)


def _one(values: Floats) -> float | None:
    """The number that all values are, if it has one significant digit (a step that someone chose)."""
    if not values.size or values.min() <= 0 or np.ptp(values) > EQUAL * values.max():
        return None
    middle = float(np.median(values))
    nice = float(f"{middle:.0e}")
    return nice if abs(middle - nice) <= EQUAL * nice else None


Match: TypeAlias = Callable[[Numbers], "Reading | None"]


def _snntorch(n: Numbers) -> Reading | None:
    """tau = dt / (1 - beta), r = tau / dt, w_in = tau_syn / dt with dt = 1e-4."""
    if n.plain or _one(_step(n)) != 1e-4 or not n.zero_resets():
        return None
    return Reading("snntorch", 1e-4, "r = tau/dt for dt = 0.0001, as snnTorch writes")


def _step(n: Numbers) -> Floats:
    if (n.r <= 0).any() or (n.w_in <= 0).any():
        return np.zeros(0)
    return np.concatenate([n.tau / n.r, n.tau_syn / n.w_in])


def _old_snntorch(n: Numbers) -> Reading | None:
    """tau = 1 / (1 - beta) in steps and r = beta; for recurrent Synaptic tau_syn = 1 / (1 - beta), tau_mem = 1 / (1 - alpha)."""
    if n.plain or not n.timed or not n.zero_resets() or not (n.w_in == 1).all():
        return None
    straight = _one(n.tau * (1 - n.r)) == 1.0
    swapped = len(n.cuba) == len(n.timed) and n.tau_syn.size == n.r.size and _one(n.tau_syn * (1 - n.r)) == 1.0
    if not straight and not swapped:
        return None
    why = "r = 1 - 1/tau_mem" if straight else "r = 1 - 1/tau_syn (tau_syn and tau_mem swapped)"
    return Reading("snntorch", 1.0, f"{why} with tau in steps, as snnTorch wrote in 2023", old=True, steps=True)


def _spikingjelly(n: Numbers) -> Reading | None:
    """r = 1/dt for IF; r = 1 or tau/dt for LIF; r = tau_mem/dt and w_in = tau_syn/dt for CUBA; v_reset always written."""
    if not n.spiking or any("v_reset" not in s.fields for s in n.spiking) or len(n.spiking) != len(n.neurons):
        return None
    if not all(_same(s.floats("v_leak"), s.floats("v_reset")) for s in n.spiking if s.kind == "LIF"):
        return None
    unit = n.r == 1
    implied = [1 / n.plain_r[n.plain_r > 0], n.tau[~unit] / n.r[~unit], n.tau_syn / np.maximum(n.w_in, 1e-300)]
    steps = np.concatenate(implied)
    dt = _one(steps) if steps.size else 1e-4
    if dt is None or (unit.any() and not _plausible(n.tau[unit], dt)):
        return None
    return Reading("spikingjelly", dt, f"v_reset is written and r is 1 or tau/dt for dt = {dt:g}, as SpikingJelly writes")


def _plausible(tau: Floats, dt: float) -> bool:
    return bool((tau > dt).all() and (tau < 100 * dt).all())


def _same(a: Floats, b: Floats) -> bool:
    return (a.size == 1 or b.size == 1 or a.shape == b.shape) and bool((a == b).all())


def _norse(n: Numbers) -> Reading | None:
    """r = 1; tau in seconds; Norse 1.1 divides dt = 0.001 by tau_inv, which makes tau a thousandth and dt a millionth."""
    if not n.ones() or any(x.kind == "I" for x in n.neurons):
        return None
    if not n.timed:
        return Reading("norse", 1.0, "r = 1 and no time constant, as Norse writes IAF", steps=True)
    tau = np.concatenate([n.tau, n.tau_syn])
    if (tau <= 1e-4).all():
        return Reading("norse", 1e-6, "r = 1 and tau = dt/tau_inv, as Norse 1.1 writes with dt = 0.001")
    if (tau >= 1e-3).all() and (tau <= 1).all():
        return Reading("norse", None, "r = 1 and tau in seconds, as Norse writes; it does not write its dt (0.001 by default)")
    return None


def _sinabs(n: Numbers) -> Reading | None:
    """r = 1; tau counts steps."""
    if not n.ones() or n.cuba or not n.zero_resets() or (n.tau < 1).any() or any(x.kind == "I" for x in n.neurons):
        return None
    return Reading(
        "sinabs", 1.0, "r = 1 and tau in steps, as sinabs writes" if n.timed else "r = 1 and no tau, as sinabs writes IAF", steps=True
    )


def _rockpool(n: Numbers) -> Reading | None:
    """r = tau e^(-dt/tau) / dt: solved for dt by Newton's method on e^-u = r u."""
    if n.plain or not n.timed or (n.r <= 0).any() or not (n.w_in == 1).all() or _one(_step(n)) is not None:
        return None
    u = np.minimum(1 / n.r, 1.0)
    for _ in range(50):
        u = u - (np.exp(-u) - n.r * u) / (-np.exp(-u) - n.r)
    dt = _one(n.tau * u)
    if dt is None or not n.zero_resets():
        return None
    return Reading("rockpool", dt, f"r = tau e^(-dt/tau)/dt for dt = {dt:g}, as Rockpool writes")


def _spyx(n: Numbers) -> Reading | None:
    """tau = dt / (1 - beta), r = beta; IF has r = 1."""
    dt = _one(n.tau * (1 - n.r)) if (n.plain_r == 1).all() and (n.w_in == 1).all() else None
    if dt is None or not n.zero_resets():
        return None
    return Reading("spyx", dt, f"r = 1 - dt/tau for dt = {dt:g}, as Spyx writes", steps=dt == 1)


MATCHES: tuple[Match, ...] = (_snntorch, _old_snntorch, _spikingjelly, _norse, _sinabs, _rockpool, _spyx)


def candidates(numbers: Numbers) -> tuple[Reading, ...]:
    """Every exporter whose formulas all neurons follow."""
    found = (match(numbers) for match in MATCHES)
    return tuple(reading for reading in found if reading is not None) if numbers.neurons else ()
