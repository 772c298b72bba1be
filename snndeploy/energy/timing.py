"""How long a step takes: what the busiest core needs, then the barrier, then the host's management."""

from __future__ import annotations

import math
from dataclasses import dataclass

from snndeploy.cost import Interval, engineering
from snndeploy.energy.events import CoreLoad, Events
from snndeploy.errors import ProfileError
from snndeploy.hw import Number, Profile


@dataclass(frozen=True)
class Timing:
    """Seconds of a step and of an inference; ``unpriced`` and ``notes`` say what they leave out."""

    step: Interval
    latency: Interval
    unpriced: tuple[str, ...]
    notes: tuple[str, ...]


def timing(events: Events, profile: Profile) -> Timing:
    """Step = max over cores of (receive + generate) + barrier + management; latency = steps x step, running free.

    The value charges a core's receiving and generating one after the other; the low end overlaps them. Real-time
    chips (``time.tick``) wait for their tick. The model error ``validation.latency_factor`` is added in
    log-quadrature. Loads are means over steps, as the counters are: peaks make real steps longer.

    Raises:
        ProfileError: the profile has no time at all, so a latency of 0 would be claimed.
    """
    compute = _compute(events.loads, profile)
    barrier = _barrier(events, profile)
    management = seconds(profile.time["management"])
    tick = seconds(profile.time["tick"])
    sums = [max(sum(parts), floor) for parts, floor in zip(zip(compute, barrier, management, strict=True), tick, strict=True)]
    if not sums[0]:
        raise ProfileError(
            f"profile {profile.id}", "no time of a step is published, so no latency can be estimated", "set time.tick in a copy"
        )
    step = widen(Interval(sums[0], sums[1], sums[2], "s"), profile.validation["latency_factor"])
    latency = Interval(step.value * events.steps, step.low * events.steps, step.high * events.steps, "s")
    parts = {"busiest core": compute, "barrier": barrier, "management": management}
    split = ", ".join(f"{name} {engineering(value[0], 's') if value[0] else 'unknown'}" for name, value in parts.items())
    notes = (f"step time: {split}; overlapped at best {engineering(sums[1], 's')}; congestion of the mesh is not modelled",)
    return Timing(step, latency, _unpriced(profile), notes)


def seconds(number: Number) -> tuple[float, float, float]:
    """(value, low, high) in SI units; an unpublished value counts 0, and its known bound in the high end."""
    return number.si() or (0.0, 0.0, number.bound())


def widen(interval: Interval, factor: Number) -> Interval:
    """The interval with a model error of ``factor`` either way added in log-quadrature (both as 90 % intervals)."""
    error = math.log(factor.value) if factor.value else 0.0
    low = interval.value * math.exp(-math.hypot(math.log(interval.value / interval.low), error)) if interval.low else 0.0
    high = interval.value * math.exp(math.hypot(math.log(interval.high / interval.value), error)) if interval.value else interval.high
    return Interval(interval.value, low, high, interval.unit)


def _compute(loads: tuple[CoreLoad, ...], profile: Profile) -> tuple[float, float, float]:
    """(serial, overlapped with the low times, serial with the high times) of the busiest core."""
    if not loads:
        return 0.0, 0.0, 0.0
    value, low, high = ([_core(load, profile, which) for load in loads] for which in range(3))
    overlapped = max(max(core) for core in low)
    return max(map(sum, value)), overlapped, max(map(sum, high))


def _core(load: CoreLoad, profile: Profile, which: int) -> tuple[float, float]:
    """Seconds a core needs in a step to receive and to generate."""
    each = {name: seconds(profile.time[name])[which] for name in profile.time}
    receive = load.messages_in * each["message_in"] + load.sop * each["sop"]
    update = load.neurons * each["neuron_access"] + load.active * each["neuron_active_extra"]
    return receive, update + load.spikes * each["spike"] + load.messages_out * each["message_out"]


def _barrier(events: Events, profile: Profile) -> tuple[float, float, float]:
    """The table's row at or below the tiles used; the high end takes the row above."""
    if not profile.barrier:
        return 0.0, 0.0, 0.0
    per_tile = profile.limits["cores_per_tile"].value or 1.0
    per_chip = profile.limits["cores_per_chip"].value or math.inf
    tiles = math.ceil(min(events.cores, per_chip) / per_tile)
    below = [n for t, n in profile.barrier if t <= tiles] or [profile.barrier[0][1]]
    above = [n for t, n in profile.barrier if t >= tiles] or [profile.barrier[-1][1]]
    value, low, _ = seconds(below[-1])
    return value, low, max(seconds(below[-1])[2], seconds(above[0])[2])


def _unpriced(profile: Profile) -> tuple[str, ...]:
    named = {"management": "the host's management of a step", "host_io": "the host's input and output of a step"}
    missing = [name for name, number in profile.time.items() if number.kind == "unpublished"]
    lines = []
    for name in missing:
        bound = profile.time[name].bound()
        most = f"; at most {engineering(bound, 's')} was seen" if bound else ""
        lines.append(f"time of {named.get(name, name.replace('_', ' '))}: unpublished, not in the latency{most}")
    return tuple(lines)
