"""A burst layer's network as the chip holds it: read from the ChipNetwork's own integers, one cell a neuron.

Nothing is taken from the candidate that made the layer. A cell is the populations ``LAYER.A1``, ``LAYER.B2``, ... of
one neuron, the synapses between them, the constants that enter, and what the burst neuron is that they claim to be.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Sparse
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.decoupling import CONSTANT

Link: TypeAlias = tuple[str, str, int]
"""(source member, target member, steps until it arrives)."""

TAG = re.compile(r"^(?P<layer>.+)\.(?P<tag>[ABCRN][1-9]\d*|[AT])$")


@dataclass(frozen=True, eq=False)
class Layer:
    """The populations that stand for one burst layer, by tag (A1, B2, R1, N1), and the synapses among them.

    ``links`` holds weights [size] in weight units, ``constants`` [size] what the host's constant spike brings to each
    member from its start on, ``outside`` the projections that bring the layer's input to a member; a constant that starts
    later, as behind a delayed edge, is one of them. ``size`` neurons, ``rungs`` K.
    """

    name: str
    construction: str
    rungs: int
    members: Mapping[str, Population]
    links: Mapping[Link, Ints]
    constants: Mapping[str, Ints]
    outside: Mapping[str, tuple[Projection, ...]]

    @property
    def size(self) -> int:
        """How many neurons."""
        return next(iter(self.members.values())).size

    @property
    def banks(self) -> tuple[str, ...]:
        """The members that see the layer's input."""
        return tuple(t for t in self.members if t[0] != "R" and t != "T")


def burst_layers(network: ChipNetwork) -> tuple[Layer, ...]:
    """Every decoupled layer of the network, in its order."""
    found: dict[str, dict[str, Population]] = {}
    for name, population in network.populations.items():
        match = TAG.match(name)
        if match and population.origin == match["layer"] and not isinstance(population.model, HostInput):
            found.setdefault(match["layer"], {})[match["tag"]] = population
    return tuple(_layer(network, name, members) for name, members in found.items())


def _layer(network: ChipNetwork, name: str, members: dict[str, Population]) -> Layer:
    size = next(iter(members.values())).size
    tags = {p.name: tag for tag, p in members.items()}
    links: dict[Link, Ints] = {}
    constants = {tag: np.zeros(size, np.int64) for tag in members}
    outside: dict[str, list[Projection]] = {tag: [] for tag in members}
    for p in network.projections:
        if p.target not in tags:
            continue
        tag = tags[p.target]
        if p.source == CONSTANT and 1 + p.delay <= members[tag].shift:
            constants[tag] = constants[tag] + onto(p, size)
        elif p.source in tags and _inner(p, name):
            link = (tags[p.source], tag, 1 + p.delay)
            links[link] = links.get(link, np.zeros(size, np.int64)) + onto(p, size)
        else:
            outside[tag].append(p)
    rungs = sum(tag[0] == ("N" if "N1" in members else "B") for tag in members) + ("T" in members)
    return Layer(name, _construction(members), rungs, members, links, constants, {t: tuple(ps) for t, ps in outside.items()})


def _construction(members: Mapping[str, Population]) -> str:
    if "N1" in members:
        return "two-phase" if isinstance(members["N1"].model, Lif) else "lateral"
    if "T" in members:
        return "look-ahead" if "R2" in members else "look-ahead-direct"
    return "ping-pong" if "R1" in members else "ping-pong-direct"


def _inner(p: Projection, layer: str) -> bool:
    """True for a synapse of the construction: neuron by neuron, and named after the layer where it is not the only one.

    What bears a rung's step in level (``LAYER.step1``) leads out of the construction, if back into the layer.
    """
    path, synapses = p.name.partition("[")[2], p.synapses
    named = not path or (path.startswith(f"{layer}.") and f"{layer}.step" not in path)
    return isinstance(synapses, Sparse) and named and bool((synapses.rows == synapses.columns).all())


def onto(p: Projection, size: int) -> Ints:
    """[size] what one spike of each source neuron's own synapse brings, in weight units."""
    total = np.zeros(size, np.int64)
    if isinstance(p.synapses, Sparse):
        np.add.at(total, p.synapses.rows, p.synapses.weights)
    else:
        assert isinstance(p.synapses, Dense)
        total = p.synapses.weights.sum(axis=1)
    return total << p.exponent if p.exponent >= 0 else total >> -p.exponent


def inlet(p: Projection, start: int) -> tuple[object, ...]:
    """What two projections must share to bring the same sums in the same step of the model; ``start`` is the target's shift."""
    parts = (getattr(p.synapses, f.name) for f in dataclasses.fields(p.synapses))
    content = tuple((x.shape, x.tobytes()) if isinstance(x, np.ndarray) else x for x in parts)
    return p.source, type(p.synapses).__name__, content, p.exponent, p.delay - start, p.graded, p.port


def register(population: Population, name: str) -> Ints:
    """[size] one register of a fixed LIF, or one constant of a program, neuron by neuron."""
    model = population.model
    values = model.constants[name] if isinstance(model, NeuronProgram) else getattr(model, name)
    return np.broadcast_to(values, population.shape).reshape(-1)


def kept(population: Population) -> Ints:
    """[size] by what the membrane is multiplied each step, in 4096ths."""
    return 4096 - register(population, "dv") if isinstance(population.model, Lif) else register(population, "kv")


def structure(network: ChipNetwork, layer: Layer) -> tuple[str, ...]:
    """What is wrong with how the members are fed, in words; empty where all see the same input at the same step."""
    first, wrong = _inlets(layer, layer.banks[0]), []
    if network.phases != (2 if layer.construction == "two-phase" else 1):
        wrong.append(f"{layer.construction} in a network of {network.phases} chip steps for one of the model's")
    for tag, member in layer.members.items():
        if tag in layer.banks and _inlets(layer, tag) != first:
            wrong.append(f"{tag} is not fed as {layer.banks[0]} is")
        if tag not in layer.banks and layer.outside[tag]:
            wrong.append(f"{tag} is fed from outside")
        if not _rests(member):
            wrong.append(f"{tag} does not stay at rest until its input comes")
    names = {m.name for m in layer.members.values()}
    driven = [p for p in network.projections if p.source == CONSTANT and p.target in names]
    wrong += [f"{p.name} does not start with its input" for p in driven if 1 + p.delay < network.populations[p.target].shift]
    wrong += [f"{a} -> {b} takes {lag} steps too many" for (a, b, lag) in lags(layer) if lag not in (0, 1)]
    return tuple(wrong)


def _inlets(layer: Layer, tag: str) -> list[str]:
    return sorted(repr(inlet(p, layer.members[tag].shift)) for p in layer.outside[tag])


def lags(layer: Layer) -> dict[Link, Ints]:
    """The links by how many steps of the model they reach back: 0 is the same step, since every member has its own shift."""
    shift = {tag: member.shift for tag, member in layer.members.items()}
    return {(a, b, steps + shift[a] - shift[b]): weights for (a, b, steps), weights in layer.links.items()}


def _rests(population: Population) -> bool:
    model = population.model
    if isinstance(model, Lif):
        memoryless, quiet = bool((model.du == 4095).all()), bool((model.bias_mant == 0).all() and (model.vth >= 0).all())
        return memoryless and quiet and not model.u.any() and not model.v.any() and model.reset_interval == 0
    assert isinstance(model, NeuronProgram)
    return set(model.state) == {"v"} and not any(model.state.values()) and not model.reset_at and not _biased(model)


def _biased(model: NeuronProgram) -> bool:
    return bool(model.constants.get("bias", np.zeros(1)).any() or (model.constants["t0"] < 0).any())


READS: Mapping[str, Callable[[Mapping[str, Any], int], Any]] = {
    "ping-pong": lambda s, j: s[f"R{j}"],
    "ping-pong-direct": lambda s, j: s[f"A{j}"] + s[f"B{j}"] - 1,
    "lateral": lambda s, j: s[f"N{j}"],
    "two-phase": lambda s, j: s[f"N{j}.first"],
    "look-ahead": lambda s, j: s["A"] if j == 1 else s[f"R{j}"],
    "look-ahead-direct": lambda s, j: s["A"] if j == 1 else s[f"B{j}"] + s[f"C{j}"] - s["A"],
}
"""Per construction, the 0 or 1 that downstream reads for rung j."""
