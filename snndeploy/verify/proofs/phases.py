"""Two chip steps for one of the model's: that nothing reaches a neuron at the second, but what two-phase neurons send each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Sparse, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.verdict import Proof
from snndeploy.verify.proofs.cells import Layer, burst_layers
from snndeploy.verify.proofs.levels import Incomparable, Weights, in_phase, sent_by
from snndeploy.verify.proofs.registers import known_program

NAME = "second step"


def prove_phases(network: ChipNetwork) -> Iterator[Proof]:
    """One obligation of a network with ``phases`` > 1; the proofs of its burst layers rest on it.

    By induction over the steps: what stands still without input fires at no second step, and what two-phase layers send there,
    all rungs but the first where that one fired, the first rung's late synapses take off.
    """
    if network.phases > 1:
        wrong = unheld(network)
        statement = "no neuron gets anything from outside its layer at a second step, so none but forced rungs fires there"
        found = "; ".join(wrong) or f"{len(network.projections)} projections, {len(network.populations)} populations"
        yield Proof(NAME, "the network", statement, "unknown" if wrong else "proved", by="arithmetic", found=found)


def unheld(network: ChipNetwork) -> tuple[str, ...]:
    """What stands against it, in words; empty where it holds."""
    layers = [layer for layer in burst_layers(network) if layer.construction == "two-phase"]
    members = {m.name for layer in layers for m in layer.members.values()}
    wrong = [] if network.phases == 2 else [f"{network.phases} chip steps for one of the model's"]
    wrong += [f"{n} does not stand still without input" for n, p in network.populations.items() if not _still(p)]
    for p in network.projections:
        start, end = network.populations[p.source].shift, network.populations[p.target].shift
        delayed = isinstance(p.synapses, Dense | Sparse) and p.synapses.delays is not None
        late = (start + p.delay + (not isinstance(p.synapses, Wire)) - end) % network.phases
        if delayed or (late and p.source not in members):
            wrong.append(f"{p.name} does not arrive at a first step")
    return (*wrong, *(reason for layer in layers for reason in _left(network, layer)))


def _still(population: Population) -> bool:
    """True if a neuron that fired at no step of the model, or has just been reset, fires at none without input."""
    model = population.model
    if isinstance(model, HostInput):
        return True
    if isinstance(model, Lif):
        registers = (model.du == 4095).all() and (model.vth >= 0).all() and not model.bias_mant.any()
        return bool(registers) and not model.u.any() and not model.v.any() and model.reset_interval == 0
    return isinstance(model, NeuronProgram) and known_program(model) and _program_still(model)


def _program_still(model: NeuronProgram) -> bool:
    """The same of a burst program: hard reset, nothing beside the potential, from 0. That its code is such a neuron is proved apart."""
    sends = next((i for i, line in enumerate(model.code) if line.op == "SPK"), len(model.code))
    resets = any(line.args[0] == "v" for line in model.code[sends + 1 :])
    constants, kept = model.constants, model.constants["kv"]
    bare = not {"floor", "r0"} & set(constants) and not ("bias" in constants and constants["bias"].any())
    decays = bool(((kept >= 0) & (kept <= 4096)).all() and (constants["t0"] >= 0).all())
    return resets and bare and decays and not any(model.state.values()) and not model.reset_at


def _left(network: ChipNetwork, layer: Layer) -> Iterator[str]:
    """Targets at which the forced spikes of the second step are not taken off."""
    try:
        sent = {tag: sent_by(network, layer, tag) for tag in layer.members}
    except Incomparable as why:
        yield str(why)
        return
    total: Weights = {}
    for tag, weights in sent.items():
        early = {} if tag == "N1" else in_phase(network, weights, 0)
        # the first rung spikes a step before those it forces
        late = {(place[0], int(str(place[1])) - 1, *place[2:]): w for place, w in in_phase(network, weights, 1).items()}
        if late and tag != "N1":
            yield f"{layer.members[tag].name} sends to a second step"
        for place, brought in (early if tag != "N1" else late).items():
            total[place] = total.get(place, np.zeros_like(brought)) + brought
    yield from (f"the forced spikes of {layer.name} reach {place[0]}" for place, brought in total.items() if brought.any())
