"""One step of each neuron model of the chip in integer operators: a second spelling, beside the simulator's.

Every function here takes the body, the model, and what enters, and returns what is sent and the state words afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from converters.onnx.chip_program import largest_payload, program_step
from converters.onnx.integers import IntegerBody, Whole, power
from snndeploy.chip.models import DECAY_UNIT, HostInput, Lif, Model, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.program import NeuronProgram

Words: TypeAlias = dict[str, Whole]
INPUT_SHIFT = 6


@dataclass(frozen=True, eq=False)
class Entering:
    """What a step reads: its number (from 1), the sums at port 0 and 1 and of bias mantissas, the state, the arrays."""

    step: Whole
    sums: tuple[Whole, ...]
    imaginary: tuple[Whole, ...]
    mantissas: tuple[Whole, ...]
    state: Mapping[str, Whole]
    arrays: Mapping[str, Whole]


def _arrived(body: IntegerBody, sums: tuple[Whole, ...]) -> Whole:
    return body.sum(sums).wrapped32() if sums else body.constant(0)


def _bias_value(body: IntegerBody, mantissa: Whole, exponent: Whole) -> Whole:
    left = (mantissa * body.powers(exponent.most(0))).wrapped32()
    right = mantissa.floored(body.powers((0 - exponent).most(0)))
    return body.where(exponent.reaches(0), left, right)


def _integrate(body: IntegerBody, x: Entering, u: Whole, v: Whole) -> tuple[Whole, Whole]:
    """u and v before the threshold. Both decays drop their fraction, u wraps, v saturates; the bias is not shifted."""
    du, dv, mantissa, exponent = (x.arrays[name] for name in ("du", "dv", "bias_mant", "bias_exp"))
    bias = _bias_value(body, mantissa, exponent)
    if x.mantissas:
        bias = (bias + body.sum([_bias_value(body, written, exponent) for written in x.mantissas])).wrapped32()
    kept = (u * (DECAY_UNIT - 1 - du)).over(DECAY_UNIT).wrapped32()
    u = (kept + _arrived(body, x.sums) * (1 << INPUT_SHIFT)).wrapped32().wrapped_once()
    held = (v * (DECAY_UNIT - dv)).over(DECAY_UNIT).wrapped32()
    return u, (held + u + bias).wrapped32().saturated()


def lif(body: IntegerBody, model: Lif, x: Entering) -> tuple[Whole, Words]:
    """The fixed LIF; with ``reset_interval`` u and v are cleared before integrating."""
    u, v = x.state["u"], x.state["v"]
    if model.reset_interval > 0:
        now = body.op("Mod", x.step, model.reset_interval).equals(model.reset_offset % model.reset_interval)
        u, v = body.where(now, 0, u), body.where(now, 0, v)
    u, v = _integrate(body, x, u, v)
    spikes = v.above(x.arrays["vth"] * (1 << INPUT_SHIFT))
    return spikes.whole(), {"u": u, "v": body.where(spikes, 0, v)}


def ternary(body: IntegerBody, _: TernaryLif, x: Entering) -> tuple[Whole, Words]:
    """The LIF with an upper and a lower threshold; where they overlap both fire, and the spike is 0."""
    u, v = _integrate(body, x, x.state["u"], x.state["v"])
    high, low = (x.arrays[name] * (1 << INPUT_SHIFT) for name in ("vth_hi", "vth_lo"))
    spikes = v.above(high).whole() - body.op("Less", v, low).whole()
    return spikes, {"u": u, "v": body.where(spikes.truth(), 0, v)}


def sigma_delta(body: IntegerBody, model: SigmaDelta, x: Entering) -> tuple[Whole, Words]:
    """SigmaDelta, and Delta where the model does not sum."""
    state, unit = dict(x.state), power(model.spike_exp + model.state_exp)
    arrived, bias = _arrived(body, x.sums), x.arrays["bias"]
    if model.sums:
        state["sigma"] = (state["sigma"] + arrived).wrapped32()
        act = (state["sigma"] + (bias * unit).wrapped32()).wrapped32()
        act = act.most(0) if model.relu else act
    else:
        act = ((arrived + bias) * unit).wrapped32()
    change = (act - state["act"] + state["residue"]).wrapped32()
    threshold = math.trunc(model.vth * (1 << (model.spike_exp + model.state_exp)))
    shown = (state["error"] + change).wrapped32() if model.cumulative else change
    sent = body.where(shown.size().reaches(threshold), change, 0)
    if model.cumulative:
        state["error"] = body.where(sent.truth(), 0, shown)
    after = {**state, "act": act if model.sums else act.like(change), "residue": change - sent}
    return sent.shifted(-model.state_exp), after


def resonator(body: IntegerBody, model: Resonator, x: Entering) -> tuple[Whole, Words]:
    """A damped oscillator that fires at its positive real axis, or (Izhikevich) at a threshold of its imaginary part."""
    a, b = (_arrived(body, sums) * power(model.state_exp) for sums in (x.sums, x.imaginary))
    sin, cos, unit = x.arrays["sin"], x.arrays["cos"], 1 << model.decay_bits
    before, threshold = x.state["im"], x.arrays["vth"] * power(model.state_exp)
    re = ((cos * x.state["re"]).over(unit) - (sin * before).over(unit) + a).saturated()
    im = ((sin * x.state["re"]).over(unit) + (cos * before).over(unit) + b).saturated()
    if model.izhikevich:
        spikes = im.reaches(threshold)
        return spikes.whole(), {"re": body.where(spikes, 0, re), "im": body.where(spikes, threshold - 1, im)}
    crossed = body.op("And", im.reaches(0), body.op("Less", before, 0))
    return body.op("And", re.reaches(threshold), crossed).whole(), {"re": re, "im": im}


def program(body: IntegerBody, model: NeuronProgram, x: Entering) -> tuple[Whole, Words]:
    """A neuron program: I is the sum times 64 wrapped to 24 bits; at ``reset_at`` the words start anew."""
    state: dict[str, Whole] = dict(x.state)
    if model.reset_at > 0:
        now = x.step.equals(model.reset_at)
        state = {word: body.where(now, model.state[word], value) for word, value in state.items()}
    current = (_arrived(body, x.sums) * (1 << INPUT_SHIFT)).wrapped24()
    since = (x.step - max(model.reset_at, 1)).most(0)
    return program_step(body, model, state, current, x.arrays, since)


Step: TypeAlias = Callable[[IntegerBody, Any, Entering], tuple[Whole, Words]]
STEPS: Mapping[type[Model], Step] = MappingProxyType(
    {Lif: lif, TernaryLif: ternary, SigmaDelta: sigma_delta, Resonator: resonator, NeuronProgram: program}
)


def counts_steps(model: Model) -> bool:
    """True if a step of the model depends on its number."""
    if isinstance(model, NeuronProgram):
        return model.reset_at > 0 or any(line.op == "LDT" for line in model.code)
    return isinstance(model, Lif) and model.reset_interval > 0


def peak(model: Model) -> int:
    """The largest payload that a population can send, by absolute value."""
    if isinstance(model, HostInput):
        return model.payloads[1]
    if isinstance(model, SigmaDelta):
        return 1 << 31 >> max(0, model.state_exp)
    return largest_payload(model) if isinstance(model, NeuronProgram) else 1
