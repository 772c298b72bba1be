"""L013: can the synaptic current leave its 24 bits, in one step or over many?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.models import DECAY_UNIT, STATE_BITS, HostInput, Lif, Model, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.payloads import payload_range
from snndeploy.place.budget import Budget
from snndeploy.placement import Finding

INPUT_SHIFT = 6
U_LIMIT = 1 << (STATE_BITS - 1)
REGISTER_BITS = 24


def accumulators(network: ChipNetwork, limits: Budget, max_payload: Mapping[str, int]) -> Iterator[Finding]:
    """A warning for each population whose current u, at worst, reaches 2^23, where it wraps.

    At worst every synapse of one sign fires with its largest payload in every step of a sample, and none of the other: the
    larger of the two sums counts. A source that may send either sign brings both. The largest payload is ``max_payload`` of the
    source, else what its model bounds, else the width of the chip's payload.
    """
    for population in network.populations.values():
        if isinstance(population.model, HostInput | SigmaDelta) or not network.into(population.name):
            continue  # a sigma-delta neuron sums in 32 bits, and what enters it are changes, which undo each other
        at_once = one_step(network, population, limits, max_payload) * (1 << INPUT_SHIFT)
        keep, start = memory(population)
        peak = float((start + at_once * kept_up(keep, _steps(network, population))).max(initial=0.0))
        if peak >= U_LIMIT:
            yield Finding("L013", "warning", population.name, peak, U_LIMIT, _why(at_once, keep, start), FIX)


FIX = "bound the payload, or scale weights and threshold down; a run counts the wraps that really happen"


def _why(at_once: Floats, keep: Floats, start: Floats) -> str:
    if float((start + at_once).max(initial=0.0)) >= U_LIMIT:
        return "the worst synaptic sum of one step, shifted left by 6, leaves the 24-bit current, which then wraps"
    soonest = _soonest(np.broadcast_to(at_once, np.broadcast(at_once, keep, start).shape), keep, start)
    slow = float(np.max(keep)) * DECAY_UNIT
    return (
        f"the current keeps {slow:.0f}/{DECAY_UNIT} of itself a step, so the worst sums add up and leave its 24 bits, where it wraps, "
        f"after {soonest} steps at the soonest"
    )


def _soonest(at_once: Floats, keep: Floats, start: Floats) -> int:
    """The first step in which the worst sums of all steps so far leave the current."""
    u, step = start + 0 * at_once, 0
    while float(u.max()) < U_LIMIT and step < U_LIMIT:
        u, step = u * keep + at_once, step + 1
    return step


def memory(population: Population) -> tuple[Floats, Floats]:
    """What part of itself the current keeps from step to step, 0 to 1, and what it starts from; 0 and 0 of a model without one."""
    model = population.model
    if not isinstance(model, Lif | TernaryLif):
        return np.zeros(1), np.zeros(1)
    keep, start = (np.asarray(x, np.float64) for x in ((DECAY_UNIT - 1 - model.du) / DECAY_UNIT, np.abs(model.u)))
    return tuple(np.broadcast_to(x, population.shape or (1,)).ravel() for x in (keep, start))  # type: ignore[return-value]


def kept_up(keep: Floats, steps: float) -> Floats:
    """How many times what enters in each of ``steps`` steps adds up to at most, where so much is kept from one to the next."""
    leaks = keep < 1
    lost = np.where(leaks, 1 - keep, 1.0)
    return np.where(leaks, (1 - keep**steps) / lost, steps)


def _steps(network: ChipNetwork, population: Population) -> float:
    """In so many chip steps something may add up; infinitely many where the network's length is open.

    What enters after a layer's own T steps is never read; before them nothing does, where all neurons rest until then or the
    layer is cleared.
    """
    if not network.steps:
        return math.inf
    quiet = _cleared(population.model) or all(_rests(p.model) for p in network.populations.values())
    return float(network.steps * network.phases if quiet else network.chip_steps(network.steps))


def _cleared(model: Model) -> bool:
    return isinstance(model, Lif) and model.reset_interval > 0


def _rests(model: Model) -> bool:
    """Whether it sends nothing before anything enters it."""
    still = isinstance(model, Lif) and not (model.bias_mant.any() or model.u.any() or model.v.any()) and bool((model.vth >= 0).all())
    return still or isinstance(model, HostInput) or _cleared(model)


def one_step(network: ChipNetwork, population: Population, limits: Budget, max_payload: Mapping[str, int]) -> Floats:
    """[size] the largest |a| that one step can bring to each neuron, after exponents and before the << 6."""
    up, down = np.zeros(population.size), np.zeros(population.size)
    for together in _groups(network.into(population.name)):
        source = network.populations[together[0].source]
        payload, signed = _payload(together[0], source, limits, max_payload)
        plus, minus = _sums(together, population)
        if signed:
            plus = minus = plus + minus
        up += np.floor(plus * payload)
        down += np.ceil(minus * payload)
    return np.maximum(up, down)


def _groups(projections: Sequence[Projection]) -> list[list[Projection]]:
    """Projections whose synapses act at once on the same pairs of neurons, as those do that one matrix was split into."""
    groups: dict[object, list[Projection]] = {}
    for p in projections:
        s = p.synapses
        plain = isinstance(s, Dense) and s.delays is None
        shape = (s.weights.shape, s.stride, s.padding, s.dilation, s.groups) if isinstance(s, Conv) else ()
        key = (p.source, p.delay, p.port, p.graded, type(s), shape) if plain or isinstance(s, Conv) else id(p)
        groups.setdefault(key, []).append(p)
    return list(groups.values())


def _payload(projection: Projection, source: Population, limits: Budget, given: Mapping[str, int]) -> tuple[float, bool]:
    """Largest |payload| of a spike, and whether it may be negative."""
    if not projection.graded and not isinstance(projection.synapses, Wire):
        return 1, False
    low, high = (int(end.min()) if i == 0 else int(end.max()) for i, end in enumerate(payload_range(source.model)))
    if source.name in given:
        return given[source.name], low < 0
    widest = float((1 << int(min(limits["payload_bits"], REGISTER_BITS))) - 1)
    most = float(max(high, -low))
    return most if isinstance(source.model, HostInput) else min(most, max(widest, 1.0)), low < 0


def _sums(together: Sequence[Projection], target: Population) -> tuple[Floats, Floats]:
    """Per target neuron, the sums of its positive and of its negative weights, both >= 0, in units of the neuron's sum."""
    synapses = together[0].synapses
    if isinstance(synapses, Wire):
        return np.full(target.size, 0.0 if synapses.as_bias else 1.0), np.zeros(target.size)
    if isinstance(synapses, Sparse):
        weights = synapses.weights * 2.0 ** together[0].exponent
        plus, minus = (
            np.bincount(synapses.rows, np.maximum(w, 0.0), minlength=target.size).astype(np.float64) for w in (weights, -weights)
        )
        return plus, minus
    whole: Floats = np.zeros(())
    for p in together:
        whole = whole + p.synapses.weights * 2.0**p.exponent  # type: ignore[union-attr]
    plus, minus = (np.maximum(w, 0.0).reshape(len(w), -1).sum(axis=1) for w in (whole, -whole))
    return np.repeat(plus, target.size // plus.size), np.repeat(minus, target.size // minus.size)
