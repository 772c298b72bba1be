"""Continuous time to steps: the decays and gains of NIR's neurons under the chosen reading.

Equations with step dt (nir 1.0.8, ``ir/neuron.py``): tau v' = (v_leak - v) + r I for LIF and LI, v' = r I for IF and I;
for Cuba first tau_syn I' = -I + w_in S, in the same step. Forward Euler: decay 1 - dt/tau, gain r dt/tau; exact: decay e^(-dt/tau).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from converters import Fact, Origin
from converters.nir.fingerprints import digest
from converters.nir.primitive import Primitive
from converters.nir.readings import Chosen
from snndeploy.arrays import Floats, Shape
from snndeploy.errors import ModelError

SNAP = 1e-6
"""A gain this near 1 is 1 for exporters that compute r = tau/dt: the rest is float32 rounding."""
ONE = np.ones(())


@dataclass(frozen=True, eq=False)
class Rate:
    """v = decay v + gain x, and in words where both come from."""

    decay: Floats
    gain: Floats
    decay_is: str
    gain_is: str

    def facts(self, prefix: str, origin: Origin) -> tuple[Fact, ...]:
        """Both numbers with their formulas."""
        decay, gain = f"{digest(self.decay)} = {self.decay_is}", f"{digest(self.gain)} = {self.gain_is}"
        return Fact(f"{prefix}decay", decay, origin), Fact(f"{prefix}gain", gain, origin)


def membrane(p: Primitive, shape: Shape, chosen: Chosen) -> Rate:
    """The membrane's decay and gain. Raises ``ModelError`` where a time constant is not positive or shorter than the step."""
    source, r, cuba = chosen.reading.source, p.fitted("r", shape), p.kind.startswith("Cuba")
    if p.kind in ("I", "IF"):
        if source in ("norse", "sinabs", "spyx"):
            return Rate(ONE, r, "1", "r")
        return Rate(ONE, _snapped(tidy(r * step_of(chosen)), source), "1", "r dt")
    dt, tau = step_of(chosen), p.fitted("tau_mem" if cuba else "tau", shape)
    if chosen.reading.old:
        return Rate(r, ONE, "r, which is beta", "1 in snnTorch")
    decay, how = _decay(p, tau, dt, source)
    if source == "sinabs" and p.kind == "LI":
        return Rate(decay, r, how, "r: no norm_input, the default of sinabs' ExpLeak")
    if source == "sinabs":
        return Rate(decay, r * (1 - decay), how, "r (1 - decay): norm_input, the default of sinabs' LIF")
    if source == "spyx":
        return Rate(decay, ONE, how, "1 in Spyx")
    gain = tidy(r * dt / tau)
    if source == "rockpool" and cuba:
        return Rate(decay, _snapped(gain / decay, source), how, "r dt/(tau decay)")
    return Rate(decay, _snapped(gain, source), how, "r dt/tau")


def current(p: Primitive, shape: Shape, chosen: Chosen) -> Rate:
    """The synaptic current's decay and gain; raises as ``membrane``."""
    source, dt = chosen.reading.source, step_of(chosen)
    tau, w_in = p.fitted("tau_syn", shape), p.fitted("w_in", shape, 1.0)
    decay, how = _decay(p, tau, dt, source)
    if chosen.reading.old:
        return _old_current(p, shape, decay)
    if source == "spyx":
        return Rate(decay, ONE, how, "1 in Spyx")
    told = "w_in" if "w_in" in p.fields else "w_in (1, the file has none)"
    if source == "norse":
        return Rate(decay, w_in, how, f"{told}: the input is used before it decays")
    if source in ("rockpool", "sinabs"):
        return Rate(decay, w_in * decay, how, f"{told} decay: the input decays in its first step")
    return Rate(decay, _snapped(tidy(w_in * dt / tau), source), how, f"{told} dt/tau_syn")


def _old_current(p: Primitive, shape: Shape, decay: Floats) -> Rate:
    """snnTorch of 2023 wrote the other time constant under tau_syn where r is not 1 - 1/tau_mem."""
    other = p.fitted("tau_mem", shape)
    if np.allclose(1 - 1 / other, p.fitted("r", shape), rtol=1e-4):
        return Rate(decay, ONE, "1 - 1/tau_syn", "1 in snnTorch")
    return Rate(1 - 1 / other, ONE, "1 - 1/tau_mem (the file has tau_syn and tau_mem swapped)", "1 in snnTorch")


def _decay(p: Primitive, tau: Floats, dt: float, source: str) -> tuple[Floats, str]:
    if (tau <= 0).any():
        raise ModelError(p.where, f"a time constant is {tau.min():g}", "a time constant is positive")
    if source in ("sinabs", "rockpool"):
        return np.exp((-dt / tau).astype(np.float32)).astype(np.float64), f"e^(-dt/tau) in float32, dt = {dt:g}"
    decay = 1 - dt / tau
    if (decay < -SNAP).any():
        what = f"the step dt = {dt:g} is longer than its time constant {tau.min():g}: forward Euler overshoots"
        raise ModelError(p.where, what, "say the step in the unit of tau: --dt 0.0001")
    return tidy(np.maximum(decay, 0.0)), f"1 - dt/tau, dt = {dt:g}"


def tidy(values: Floats) -> Floats:
    """Numbers within a few roundings of one with twelve digits are that one: 0.9 went through tau and came back."""
    exponents = 11 - np.floor(np.log10(np.maximum(np.abs(values), 1e-300)))
    scale = 10.0 ** np.clip(exponents, 0, 22)
    short = np.round(values * scale) / scale
    return np.where(np.abs(short - values) <= 4e-15 * np.abs(values), short, values)


def _snapped(gain: Floats, source: str) -> Floats:
    return gain if source in ("nir", "norse") else np.where(np.abs(gain - 1) < SNAP, 1.0, gain)


def step_of(chosen: Chosen) -> float:
    """The step of a reading that needs one."""
    assert chosen.dt is not None, "neurons with time constants are never read without a step"
    return chosen.dt
