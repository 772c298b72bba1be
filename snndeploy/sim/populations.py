"""One step of a population, whatever its model: state in, spikes and state out."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.chip.models import DECAY_UNIT, HostInput, Lif, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import Population
from snndeploy.chip.program import NeuronProgram
from snndeploy.sim import floatlif, kernels
from snndeploy.sim.leaving import Left, left
from snndeploy.sim.program import program_step

State: TypeAlias = Mapping[str, Any]
ZERO = np.int64(0)


@dataclass(frozen=True, eq=False)
class Drive:
    """What enters a population at chip step ``step`` (from 1), ``[B, *shape]`` or None for nothing: the synaptic sum
    before any int32 wrap, what the host added to the bias, in membrane units, and the sum at a resonator's port 1.

    ``lost``: where the sums of single projections had wrapped before they arrived.
    """

    step: int
    synaptic: NDArray[Any] | None
    bias: Ints | None
    imaginary: NDArray[Any] | None = None
    lost: tuple[Left, ...] = ()


@dataclass(frozen=True, eq=False)
class Fired:
    """What a step gave: the payloads sent, the words afterwards, and what left its register."""

    spikes: NDArray[Any]
    state: State
    lost: tuple[Left, ...] = ()


Stepper: TypeAlias = Callable[[State, Drive], Fired]


def initial_state(population: Population, batch: int) -> dict[str, Ints]:
    """The population's words before the first step, ``[B, *shape]``."""
    shape = (batch, *population.shape)
    model = population.model
    if isinstance(model, NeuronProgram):
        return {word: np.full(shape, value, np.int64) for word, value in model.state.items()}
    if isinstance(model, Lif | TernaryLif):
        return {word: np.broadcast_to(getattr(model, word), shape).astype(np.int64) for word in ("u", "v")}
    if isinstance(model, SigmaDelta):
        return {word: np.zeros(shape, np.int64) for word in ("sigma", "act", "residue", "error")}
    if isinstance(model, Resonator):
        return {word: np.zeros(shape, np.int64) for word in ("re", "im")}
    return {}


def bias_of(model: object) -> Ints:
    """The constant bias of a population in membrane units; 0 where it has none."""
    return kernels.bias_value(model.bias_mant, model.bias_exp) if isinstance(model, Lif | TernaryLif) else np.asarray(ZERO)


def host_bias(model: Lif | TernaryLif, mantissas: NDArray[Any]) -> Ints:
    """Bias mantissas that the host wrote, in membrane units."""
    return kernels.bias_value(mantissas.astype(np.int64), model.bias_exp)


def stepper(population: Population, batch: int, exact: bool) -> Stepper:
    """The step function of a population. ``exact``: int64 kernels only, never float64."""
    model, shape = population.model, (batch, *population.shape)
    if isinstance(model, NeuronProgram):
        return functools.partial(_program, model, shape)
    if isinstance(model, SigmaDelta):
        return functools.partial(_sigma_delta, model) if model.sums else functools.partial(_delta, model)
    if isinstance(model, Resonator):
        return functools.partial(_resonator, model)
    if isinstance(model, TernaryLif):
        return functools.partial(_ternary, model, bias_of(model))
    assert not isinstance(model, HostInput), "the host runs no neuron"
    return functools.partial(_lif, model, bias_of(model)) if exact else _fast_lif(model, bias_of(model), shape)


def synaptic(drive: Drive) -> tuple[Ints, tuple[Left, ...]]:
    """The synaptic sum in int32, as it wraps, and where it did; a scalar 0 where nothing arrives."""
    return _arrived(drive.synaptic)


def _arrived(sums: NDArray[Any] | None) -> tuple[Ints, tuple[Left, ...]]:
    if sums is None:
        return np.asarray(ZERO), ()
    whole = sums.astype(np.int64)
    held = kernels.wrap32(whole)
    return held, left("sum", whole, held)


def _whole_bias(bias: Ints, written: Ints | None) -> tuple[Ints, tuple[Left, ...]]:
    """The constant bias and what the host added, in int32, and where that wrapped."""
    if written is None:
        return bias, ()
    whole = bias + written
    held = kernels.wrap32(whole)
    return held, left("bias", whole, held)


def _integrated(model: Lif | TernaryLif, bias: Ints, u: Ints, v: Ints, drive: Drive) -> tuple[Ints, Ints, tuple[Left, ...]]:
    """Current and voltage before the threshold, and what left its register on the way."""
    (a, sums), (total, biases) = synaptic(drive), _whole_bias(bias, drive.bias)
    u, v, current, voltage = kernels.integrate(u, v, a, *_keeps(model), total)
    return u, v, (*sums, *biases, *left("current", current, u), *left("membrane", voltage, v))


def _lif(model: Lif, bias: Ints, state: State, drive: Drive) -> Fired:
    u, v = state["u"], state["v"]
    if resets(model, drive.step):
        u, v = np.zeros_like(u), np.zeros_like(v)
    u, v, lost = _integrated(model, bias, u, v, drive)
    spikes, v = kernels.fire(v, model.vth << kernels.INPUT_SHIFT)
    return Fired(spikes.view(np.int8), {"u": u, "v": v}, lost)


def _fast_lif(model: Lif, bias: Ints, shape: tuple[int, ...]) -> Stepper:
    """The LIF in float64; the states it returns are overwritten two steps later."""
    constants = floatlif.registers(*_keeps(model), bias, model.vth << kernels.INPUT_SHIFT)
    spare = [(np.empty(shape), np.empty(shape)) for _ in range(2)]
    scratch = np.empty(shape)

    def step(state: State, drive: Drive) -> Fired:
        u, v = (state[word].astype(np.float64, copy=False) for word in ("u", "v"))
        if resets(model, drive.step):
            u, v = np.zeros_like(u), np.zeros_like(v)
        into = spare[drive.step % 2]
        spikes = floatlif.step(u, v, drive.synaptic, drive.bias, constants, (*into, scratch))
        if spikes is None:
            whole = {"u": u.astype(np.int64), "v": v.astype(np.int64)}
            return _lif(model, bias, whole, drive)
        return Fired(spikes, {"u": into[0], "v": into[1]})

    return step


def _keeps(model: Lif | TernaryLif) -> tuple[Ints, Ints]:
    """4096 - (du + 1) and 4096 - dv: Lava's ds_offset is 1, its dm_offset 0."""
    return DECAY_UNIT - 1 - model.du, DECAY_UNIT - model.dv


def resets(model: Lif, step: int) -> bool:
    """True where the LIF clears u and v before chip step ``step`` (from 1)."""
    return model.reset_interval > 0 and step % model.reset_interval == model.reset_offset % model.reset_interval


def _ternary(model: TernaryLif, bias: Ints, state: State, drive: Drive) -> Fired:
    u, v, lost = _integrated(model, bias, state["u"], state["v"], drive)
    spikes, v = kernels.fire_ternary(v, model.vth_hi << kernels.INPUT_SHIFT, model.vth_lo << kernels.INPUT_SHIFT)
    return Fired(spikes.astype(np.int8), {"u": u, "v": v}, lost)


def _threshold(model: SigmaDelta) -> int:
    return math.trunc(model.vth * (1 << (model.spike_exp + model.state_exp)))


def _sigma_delta(model: SigmaDelta, state: State, drive: Drive) -> Fired:
    shifted = model.bias << (model.spike_exp + model.state_exp)
    bias = kernels.wrap32(shifted)
    a, lost = synaptic(drive)
    lost += left("bias", shifted, bias)
    sigma, act = kernels.sigma_step(state["sigma"], a, bias, model.relu)
    lost += left("state", state["sigma"] + a, sigma)
    wanted = sigma + bias
    lost += left("state", np.maximum(wanted, 0) if model.relu else wanted, act)
    return _changes(model, {**state, "sigma": sigma}, act, lost)


def _delta(model: SigmaDelta, state: State, drive: Drive) -> Fired:
    a, lost = synaptic(drive)
    wanted = np.broadcast_to((a + model.bias) << (model.spike_exp + model.state_exp), state["act"].shape)
    act = kernels.wrap32(wanted)
    return _changes(model, state, act, (*lost, *left("state", wanted, act)))


def _changes(model: SigmaDelta, state: State, act: Ints, lost: tuple[Left, ...]) -> Fired:
    error, wanted = state["error"], act - state["act"] + state["residue"]
    change = kernels.wrap32(wanted)
    lost += left("state", wanted, change)
    if model.cumulative:
        lost += left("state", error + change, kernels.wrap32(error + change))
        sent, residue, error = kernels.delta_step_cumulative(act, state["act"], state["residue"], error, _threshold(model))
    else:
        sent, residue = kernels.delta_step(act, state["act"], state["residue"], _threshold(model))
    return Fired(sent >> model.state_exp, {**state, "act": act, "residue": residue, "error": error}, lost)


def _resonator(model: Resonator, state: State, drive: Drive) -> Fired:
    (a, sums), (b, others) = (_arrived(arriving) for arriving in (drive.synaptic, drive.imaginary))
    before, threshold = state["im"], model.vth << model.state_exp
    turned = kernels.resonate(state["re"], before, a << model.state_exp, b << model.state_exp, model.sin, model.cos, model.decay_bits)
    re, im = (kernels.saturate(x) for x in turned)
    lost = (*sums, *others, *left("state", turned[0], re), *left("state", turned[1], im))
    if model.izhikevich:
        spikes = im >= threshold
        re, im = np.where(spikes, 0, re), np.where(spikes, threshold - 1, im)
    else:
        spikes = (re >= threshold) & (im >= 0) & (before < 0)
    return Fired(spikes.view(np.int8), {"re": re, "im": im}, lost)


def _program(program: NeuronProgram, shape: tuple[int, ...], state: State, drive: Drive) -> Fired:
    if drive.step == program.reset_at:
        state = {word: np.full(shape, value, np.int64) for word, value in program.state.items()}
    a, sums = synaptic(drive)
    whole = a << kernels.INPUT_SHIFT
    current = kernels.wrap24(whole)
    since = max(0, drive.step - max(program.reset_at, 1))
    sent, words, lost = program_step(program, state, np.broadcast_to(current, shape), since)
    return Fired(sent, words, (*sums, *left("current", whole, current), *lost))
