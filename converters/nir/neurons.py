"""NIR's stateful primitives as nodes: the discretisation, comparison and reset of the chosen reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from converters import Fact, Origin
from converters.nir.discretize import Rate, current, membrane
from converters.nir.fingerprints import digest
from converters.nir.primitive import Primitive
from converters.nir.readings import Chosen
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import ModelError
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, Reset
from snndeploy.ir.neurons.multispike import MultiSpike

AS_RESET: Mapping[str, Reset] = {"zero": "hard", "late-zero": "hard", "subtract": "subtract", "none": "none"}
"""The words of ``--reset`` as those of the nodes."""


@dataclass(frozen=True, eq=False)
class Made:
    """Nodes in a chain (the last is the neuron), what is known of it, and the steps its spikes leave late."""

    chain: tuple[Node, ...]
    facts: tuple[Fact, ...]
    late: int = 0


@dataclass(frozen=True, eq=False)
class Firing:
    """How a neuron fires and resets; ``late``: the reset acts inside the next update."""

    theta: Floats
    strict: bool
    reset: str
    v_reset: Floats
    late: bool
    floor: Floats | None
    start: Floats


def neuron(p: Primitive, shape: Shape, chosen: Chosen) -> Made:
    """A stateful primitive as nodes. Raises ``ModelError`` where its numbers or the reading have no exact node."""
    if p.kind == "Threshold":
        theta = p.fitted("threshold", shape)
        facts = (Fact("threshold", digest(theta), "file"), _comparison(chosen), Fact("reset", "none: it has no state", "file"))
        return Made((LIF(frozen(0.0), threshold=frozen(theta), strict=chosen.reading.library.strict, reset="none"),), facts)
    rate, synapse = membrane(p, shape, chosen), current(p, shape, chosen) if p.kind.startswith("Cuba") else None
    rest, origin = p.fitted("v_leak", shape, 0.0), _origin(chosen)
    told = (*rate.facts("", origin), *(synapse.facts("current ", origin) if synapse else ()))
    if rest.any():
        told = (*told, Fact("rest", f"{digest(rest)}, where the potential also starts", "ASSUMED"))
    if p.kind in ("I", "LI", "CubaLI"):
        first = () if synapse is None else (LI(frozen(synapse.decay), frozen(synapse.gain)),)
        return Made((*first, LI(frozen(rate.decay), frozen(rate.gain), frozen(rest), frozen(rest))), told)
    firing = _firing(p, shape, chosen, rest)
    late = int(chosen.reading.source == "spyx")
    return Made((_spiking(p, rate, synapse, rest, firing),), (*told, *_firing_facts(p, chosen, firing)), late)


def _firing(p: Primitive, shape: Shape, chosen: Chosen, rest: Floats) -> Firing:
    source, theta, v_reset = chosen.reading.source, p.fitted("v_threshold", shape), p.fitted("v_reset", shape, 0.0)
    reset = chosen.reset if p.resets else "none"
    return Firing(
        theta=theta,
        strict=chosen.reading.library.strict,
        reset=reset,
        v_reset=v_reset if reset == "zero" else frozen(0.0),
        late=reset == "late-zero" or (source in ("snntorch", "spyx") and reset == "subtract"),
        floor=frozen(-theta) if source == "sinabs" and p.kind == "IF" else None,
        start=v_reset if source == "spikingjelly" else rest,
    )


def _spiking(p: Primitive, rate: Rate, synapse: Rate | None, rest: Floats, f: Firing) -> Node:
    if rest.any() and (f.late or f.reset == "multi"):
        what = f"has v_leak {digest(rest)}, and a reset that is late or repeated is defined for v_leak 0 only"
        raise ModelError(p.where, what, "choose another --reset or --source")
    decay, gain, theta = frozen(rate.decay), frozen(rate.gain), frozen(f.theta)
    if f.reset == "multi":
        if synapse is not None:
            what = "fires several times a step with a synaptic current, which no node expresses"
            raise ModelError(p.where, what, "--reset subtract if it was trained with one spike a step (Rockpool: max_spikes_per_dt=1)")
        return MultiSpike(decay, gain, theta, floor=f.floor)
    reset, v_reset, start = AS_RESET[f.reset], frozen(f.v_reset), frozen(f.start)
    if synapse is None:
        return LIF(decay, gain, theta, f.strict, reset, v_reset, theta, f.late, frozen(rest), start, f.floor)
    return CubaLIF(
        frozen(synapse.decay), decay, frozen(synapse.gain), gain, theta, f.strict, reset, v_reset, theta, frozen(rest), start, late=f.late
    )


def _origin(chosen: Chosen) -> Origin:
    """Who said what decays and gains were computed from."""
    if "user" in (chosen.said["source"], chosen.said["dt"]):
        return "user"
    return "file" if chosen.said["dt"] == "file" else "ASSUMED"


def _comparison(chosen: Chosen) -> Fact:
    sign = ">" if chosen.reading.library.strict else ">="
    whose = "NIR's definition" if chosen.reading.source == "nir" else chosen.reading.source
    return Fact("comparison", f"{sign} ({whose})", "user" if chosen.said["source"] == "user" else "ASSUMED")


def _firing_facts(p: Primitive, chosen: Chosen, f: Firing) -> tuple[Fact, ...]:
    facts = [Fact("threshold", digest(f.theta), "file"), _comparison(chosen)]
    words = {
        "zero": f"to {digest(f.v_reset)}",
        "late-zero": "to 0, and the input of the next step is lost",
        "subtract": "subtracts the threshold",
        "multi": "subtracts the threshold for each of several spikes",
    }
    origins: Mapping[str, Origin] = {"user": "user", "file": "file"}
    if p.resets:
        origin = origins.get(chosen.said["reset"], "ASSUMED")
        facts.append(Fact("reset", words.get(f.reset, "none"), origin))
        if f.reset != "none":
            facts.append(Fact("reset timing", "late: inside the next update" if f.late else "in the step of the spike", origin))
    else:
        facts.append(Fact("reset", "none: an integrator and a Threshold do not reset", "file"))
    if f.floor is not None:
        facts.append(Fact("floor", f"{digest(f.floor)}: min_v_mem = -threshold, as sinabs reads IF", "ASSUMED"))
    if chosen.reading.source == "spyx":
        facts.append(Fact("delay", "its spikes leave one step late: Spyx tests the potential before the update", "ASSUMED"))
    return tuple(facts)
