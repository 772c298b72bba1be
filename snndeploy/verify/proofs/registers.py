"""Bounds of u and v in every plain LIF, by exact interval arithmetic on the deployed integers; and what has no obligation at all."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterator

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import STATE_MAX, HostInput, Lif, Model
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.chip.payloads import Span
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.verdict import Proof
from snndeploy.verify.proofs.cells import burst_layers, kept, onto, register
from snndeploy.verify.proofs.ranges import synaptic_range

MANTISSA = 4095
"""The largest bias mantissa that the host writes."""
LONGEST = 4096
"""Steps after which a network of open length is given up, unless its bounds have come to rest before."""
NAMES = {"kv", "ku", "bias", "floor"}


def known_program(model: NeuronProgram) -> bool:
    """True for the code of a burst neuron without synaptic memory, which is proved against its step."""
    rungs = sum(n[0] == "t" for n in model.constants)
    wanted = {f"{letter}{j}" for letter, j in itertools.product("tl", range(rungs))}
    amounts, names = {f"r{j}" for j in range(rungs)}, set(model.constants)
    return set(model.state) == {"v"} and not model.tables and {"kv", *wanted} <= names <= NAMES | wanted | amounts and rungs > 0


def without_obligation(network: ChipNetwork, defined: Container[str] = ()) -> tuple[str, ...]:
    """The populations of which nothing is proved, in words. ``defined``: those that are held against a definition."""
    found: dict[str, list[str]] = {}
    for name, p in network.populations.items():
        program = isinstance(p.model, NeuronProgram)
        known = isinstance(p.model, NeuronProgram) and (known_program(p.model) or name in defined)
        if not known and not isinstance(p.model, Lif | HostInput) and name not in _members(network):
            found.setdefault("neuron program" if program else type(p.model).__name__, []).append(name)
    why = {"neuron program": "; an older file, or a program written by hand: it holds no definition but the program, convert again"}
    return tuple(f"proofs: no obligation covers {', '.join(names)} ({kind}{why.get(kind, '')})" for kind, names in found.items())


def prove_registers(network: ChipNetwork, idle: int = 0) -> Iterator[Proof]:
    """For every LIF outside a decoupled burst layer: u never wraps, v is never clipped, whatever the sources send.

    ``idle``: after each step of the model so many of the chip bring nothing, which another obligation says (``prove_phases``).
    A bound that is too large proves nothing and refutes nothing: the range may hold sums that no run reaches.
    """
    members = _members(network)
    for name, population in network.populations.items():
        if isinstance(population.model, Lif) and name not in members:
            u, v, steps = bounds(network, population, idle)
            for what, span in (("no wrap of u", u), ("no clip of v", v)):
                low, high = int(span[0].min()), int(span[1].max())
                holds = low >= -STATE_MAX and high <= STATE_MAX and steps > 0
                found = f"{what[-1]} in {low}..{high} over {steps} steps, the register holds +-{STATE_MAX}" if steps else "open length"
                statement = f"{what[-1]} stays within its 24 bits in every step that is read, whatever the layers before it send"
                yield Proof(what, name, statement, "proved" if holds else "unknown", by="arithmetic", found=found)


def _members(network: ChipNetwork) -> set[str]:
    return {member.name for layer in burst_layers(network) for member in layer.members.values()}


def bounds(network: ChipNetwork, population: Population, idle: int = 0) -> tuple[Span, Span, int]:
    """([size], [size]) of u and of v before the threshold, in every step of a sample, and how many steps that is.

    0 steps: the network's length is open, and the bounds have not come to rest. As Lava steps it: u' = tz(u ku / 4096) + 64 a,
    v' = tz(v kv / 4096) + u' + bias, and v' above vth << 6 becomes 0; every line rises with its operands, so ends give ends.
    """
    a, bias = _arriving(network, population)
    keep_u, keep_v, threshold = 4095 - register(population, "du"), kept(population), register(population, "vth") << 6
    now_u, now_v = (_hull(register(population, word)) for word in ("u", "v"))
    whole_u, whole_v, last = now_u, now_v, _length(network)
    for step in range(1, (last or LONGEST) // (1 + idle) + 1):
        now_u = _low(_decayed(now_u[0], keep_u) + 64 * a[0]), _high(_decayed(now_u[1], keep_u) + 64 * a[1])
        before = _decayed(now_v[0], keep_v) + now_u[0] + bias[0], _decayed(now_v[1], keep_v) + now_u[1] + bias[1]
        grown_u, grown_v = _union(whole_u, now_u), _union(whole_v, before)
        if step > 1 and all(np.array_equal(x, y) for x, y in zip((*grown_u, *grown_v), (*whole_u, *whole_v), strict=True)):
            return whole_u, whole_v, last or step
        whole_u, whole_v = grown_u, grown_v
        if max(int(whole_u[1].max()), int(whole_v[1].max()), -int(whole_u[0].min()), -int(whole_v[0].min())) > STATE_MAX << 8:
            break
        now_v = _low(before[0]), _high(np.minimum(before[1], np.maximum(threshold, 0)))
        for _ in range(idle):  # no current is left over, and no bias
            now_u, now_v = (np.zeros_like(now_u[0]),) * 2, (_decayed(now_v[0], keep_v), _decayed(now_v[1], keep_v))
    return whole_u, whole_v, last


def _length(network: ChipNetwork) -> int:
    """In how many steps anything may arrive: T where every neuron rests until its own first step, else all chip steps; 0: open.

    What comes after a layer's T steps is never read.
    """
    late = all(_arrives(network, p) >= network.populations[p.target].shift for p in network.projections)
    quiet = late and all(_rests(p.model) for p in network.populations.values())
    return network.steps * network.phases + (0 if quiet or not network.steps else network.latency)


def _arrives(network: ChipNetwork, p: Projection) -> int:
    return network.populations[p.source].shift + p.delay + (not isinstance(p.synapses, Wire))


def _rests(model: Model) -> bool:
    if isinstance(model, Lif):
        return bool((model.vth >= 0).all()) and not (model.bias_mant.any() or model.u.any() or model.v.any())
    known = isinstance(model, NeuronProgram) and known_program(model)
    if isinstance(model, NeuronProgram) and known:
        biased = model.constants["bias"].any() if "bias" in model.constants else False
        return bool((model.constants["t0"] >= 0).all()) and not biased and not any(model.state.values())
    return isinstance(model, HostInput)


def _arriving(network: ChipNetwork, population: Population) -> tuple[Span, Span]:
    """What synapses bring in a step, in weight units, and the bias in units of v; nothing arriving is always possible."""
    into = [p for p in network.projections if p.target == population.name]
    written = [p for p in into if isinstance(p.synapses, Wire) and p.synapses.as_bias]
    layers, rest = burst_layers(network), [p for p in into if p not in written and p.source != CONSTANT]
    low, high = synaptic_range(network, rest, layers)
    size = population.size
    constant = [np.broadcast_to(onto(p, size), (size,)) for p in into if p.source == CONSTANT and p not in written]
    low = np.minimum(low, 0) + sum((np.minimum(c, 0) for c in constant), np.zeros(size, np.int64))
    high = np.maximum(high, 0) + sum((np.maximum(c, 0) for c in constant), np.zeros(size, np.int64))
    mantissa, exponent = register(population, "bias_mant"), register(population, "bias_exp")
    bias, host = _shifted(mantissa, exponent), _shifted(np.full(size, MANTISSA * len(written), np.int64), exponent) + bool(written)
    return (low, high), (bias - host, bias + host)


def _shifted(mantissa: Ints, exponent: Ints) -> Ints:
    return np.asarray(np.where(exponent >= 0, mantissa << np.maximum(exponent, 0), mantissa >> np.maximum(-exponent, 0)))


def _decayed(x: Ints, keep: Ints) -> Ints:
    return np.asarray(np.sign(x) * (np.abs(x) * keep >> 12))


def _hull(x: Ints) -> Span:
    return _low(x), _high(x)


def _low(x: Ints) -> Ints:
    return np.minimum(x, 0)


def _high(x: Ints) -> Ints:
    return np.maximum(x, 0)


def _union(a: Span, b: Span) -> Span:
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])
