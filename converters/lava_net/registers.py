"""Biases that the conversion drives from its constant input, moved back into bias registers, which a .net file has.

A register acts from the first step on, the constant only with the layer's first input. They give the same spikes where
every layer is cleared when its first input comes, as netx clears them (``reset_interval``, ``reset_offset``): what a layer
sent before arrives before the next one is cleared, if no synapse waits and nothing leads back. Then v and every spike are
equal from each layer's first input to its last; u lacks the bias. Not so behind a synaptic current, where a constant rises
step by step: with ``lossy`` the register holds what it rises to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.errors import Unsupported
from snndeploy.ir.neurons.decoupling import CONSTANT, U_LIMIT, UNIT

BIAS_MAX = (1 << 15) - 1
"""What Lava's bias_mant holds; the exponent is 6."""
BIAS_EXPONENT = 6
DRIVE = "train with bias=False, or write nir, onnx or lava, which have the constant input"


@dataclass(frozen=True)
class Moved:
    """The network without its constant input, and what that changes."""

    network: ChipNetwork
    lost: tuple[str, ...] = ()


def moved(network: ChipNetwork, *, lossy: bool) -> Moved:
    """The network with its driven biases in registers, and all its layers cleared when their first input comes.

    Raises:
        Unsupported: a layer in which a register does not do what the constant did; with ``lossy`` only where nothing near exists.
    """
    if CONSTANT not in network.inputs():
        return Moved(network)
    _check_ways(network)
    populations, lost = {}, []
    for name, p in network.populations.items():
        if name == CONSTANT:
            continue
        driven = [q for q in network.into(name) if q.source == CONSTANT]
        if isinstance(p.model, HostInput):
            populations[name] = p
            continue
        model, words = _with_register(network, p, driven, lossy)
        lost += words
        populations[name] = replace(p, model=replace(model, reset_interval=network.steps, reset_offset=p.shift + 1))
    kept = tuple(q for q in network.projections if q.source != CONSTANT)
    return Moved(replace(network, populations=populations, projections=kept), tuple(lost))


def _check_ways(network: ChipNetwork) -> None:
    """What was sent before the first input must be gone when a layer is cleared."""
    for q in network.projections:
        source, target = network.populations[q.source], network.populations[q.target]
        late = q.delay - (target.shift - source.shift - 1)
        if q.source == CONSTANT and late:
            raise Unsupported(q.name, f"the constant comes {late:+d} steps off the layer's first input", DRIVE)
        if isinstance(source.model, HostInput):
            continue
        own = q.synapses.delays if isinstance(q.synapses, Dense | Sparse) else None
        if late or q.source == q.target or (own is not None and own.any()):
            what = f"{CONSTANT} drives biases, and {q.name} leads back or waits: in a register they act before the first input"
            raise Unsupported(q.name, f"{what}, and what is sent then arrives after it", DRIVE)


def _with_register(network: ChipNetwork, p: Population, driven: Sequence[Projection], lossy: bool) -> tuple[Lif, list[str]]:
    if not isinstance(p.model, Lif):
        raise Unsupported(p.name, f"a .net file has no {type(p.model).__name__} neurons", "lower the layer to fixed LIF neurons")
    constant = sum((_constant(p, q) for q in driven), np.zeros(p.shape, np.int64))
    if not constant.any():
        return p.model, []
    model, lost = p.model, []
    if model.bias_mant.any():
        raise Unsupported(p.name, "a bias register and a driven bias", DRIVE)
    reach = _reach(network, p) + np.abs(constant)
    if reach.max() >= U_LIMIT:
        what = f"the synaptic sum may reach {int(reach.max())} of {U_LIMIT} weight units, where u wraps with the driven bias only"
        raise Unsupported(p.name, what, "quantize with fewer weight bits")
    if (model.du != 4095).any():
        constant, words = _risen(network, p, model, constant)
        if not lossy:
            raise Unsupported(p.name, f"a bias in front of a synaptic current, and {words}", f"--lossy writes it so; {DRIVE}")
        lost = [f"{p.name}: {words}"]
    if np.abs(constant).max() > BIAS_MAX:
        raise Unsupported(p.name, f"a bias of {int(np.abs(constant).max())} weight units, beyond {BIAS_MAX}", DRIVE)
    return replace(model, bias_mant=constant, bias_exp=np.asarray(BIAS_EXPONENT)), lost


def _constant(p: Population, q: Projection) -> Ints:
    """What arrives through a projection from the constant at every step, in weight units."""
    s = q.synapses
    if not isinstance(s, Dense | Sparse) or s.delays is not None:
        raise Unsupported(q.name, "the constant comes through other synapses than a matrix", DRIVE)
    rows = s.rows if isinstance(s, Sparse) else np.arange(p.size)
    sums = np.zeros(p.size, np.int64)
    np.add.at(sums, rows, s.weights.reshape(-1))
    shifted: Ints = sums << q.exponent if q.exponent >= 0 else sums >> -q.exponent
    return shifted.reshape(p.shape)


def _reach(network: ChipNetwork, p: Population) -> Ints:
    """The largest |sum| of the other synapses if all of them fire, [*shape] in weight units."""
    total = np.zeros(p.shape, np.int64)
    for q in network.into(p.name):
        s = q.synapses
        if q.source == CONSTANT or isinstance(s, Wire):
            continue
        size = np.abs(s.weights) << max(q.exponent, 0)
        if isinstance(s, Sparse):
            each = np.zeros(p.size, np.int64)
            np.add.at(each, s.rows, size)
            total += each.reshape(p.shape)
        else:
            each = size.reshape(len(size), -1).sum(axis=1)
            total += each.reshape(-1, *(1,) * (len(p.shape) - 1)) if isinstance(s, Conv) else each.reshape(p.shape)
    return total


def _risen(network: ChipNetwork, p: Population, model: Lif, constant: Ints) -> tuple[Ints, str]:
    """What the current of a constant rises to, in weight units; and how much more arrives than did, in words."""
    keep = np.broadcast_to(4095 - model.du, p.shape)
    u, given = np.zeros(p.shape, np.int64), []
    for _ in range(max(1, network.steps)):
        u = np.sign(u) * ((np.abs(u) * keep) >> 12) + constant * UNIT
        given.append(u)
    final = np.round(np.stack(given)[-1] / UNIT).astype(np.int64)
    more = np.abs(final * UNIT - np.stack(given)).sum(axis=0)
    part = float((more / np.maximum(1, np.broadcast_to(model.vth, p.shape) * UNIT)).max())
    words = (
        f"a register gives at once what the current rises to: over {network.steps} steps "
        f"up to {int(more.max())} units of v off, {part:.3g} of the threshold"
    )
    return final, words
