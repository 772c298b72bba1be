"""Proofs of a chip network: z3 is met here and in ``verify/proofs`` only, and the simulator is handed in."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import converters
from snndeploy.arrays import frozen
from snndeploy.chip.network import ChipNetwork
from snndeploy.chip.program import NeuronProgram
from snndeploy.errors import MissingPackage, ModelError, OptionError
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.saved import open_file, sibling
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.on_grid import GridNeuron, Operation
from snndeploy.sim.chip import run_chip
from snndeploy.trace import Trace
from snndeploy.verdict import Proof
from snndeploy.verify.proofs.levels import prove_levels
from snndeploy.verify.proofs.phases import prove_phases
from snndeploy.verify.proofs.registers import prove_registers, without_obligation

LIMIT = 20.0
"""Seconds for one question to the prover."""
BUDGET = 600.0
"""Seconds for all questions together."""


def prove(
    network: ChipNetwork,
    limit: float = LIMIT,
    nodes: Mapping[str, IntegerNeuron] | None = None,
    budget: float = BUDGET,
    grids: Mapping[str, GridNeuron] | None = None,
) -> tuple[Proof, ...]:
    """Every obligation of the network's own integers, and of the importers' rewrites: proved, failed with a run that
    shows it, or unknown.

    ``nodes``: the quantized burst neurons, by layer, that the network must equal. A saved file does not hold them: there
    a layer must equal the burst neuron that its own thresholds, decay and synapses claim to be. ``grids``: the neurons that
    were compiled to programs; without one it is the definition that the network's file keeps beside the program. ``budget``:
    seconds for all questions together; what is left then is unknown, and says so. What has no obligation: ``without_obligation``.

    Raises:
        OptionError: a time below 0.  MissingPackage: z3-solver is not installed.
    """
    for option, seconds in (("--prove-limit", limit), ("--prove-budget", budget)):
        if not seconds >= 0:
            raise OptionError(option, f"is {seconds:g}", "a number of seconds, 0 or more")
    if importlib.util.find_spec("z3") is None:
        raise MissingPackage("--prove", "z3-solver", "prove")
    from snndeploy.verify.proofs import induction  # noqa: PLC0415 - as below
    from snndeploy.verify.proofs.code import prove_programs  # noqa: PLC0415 - as below
    from snndeploy.verify.proofs.compiled import prove_compiled  # noqa: PLC0415 - as below
    from snndeploy.verify.proofs.layers import prove_layers  # noqa: PLC0415 - loads z3, and only proofs need it
    from snndeploy.verify.proofs.rewrites import prove_rewrites  # noqa: PLC0415 - as above

    with induction.budget(budget):
        layers, programs = prove_layers(network, _executed, limit, nodes or {}), prove_programs(network, _executed, limit)
        compiled = prove_compiled(network, {**defined(network), **(grids or {})}, _executed, limit)
        found = (*_by_arithmetic(network, nodes or {}), *prove_rewrites(limit), *layers, *programs, *compiled)
        return found if induction.time_left() > 0 else tuple(_late(p, budget) for p in found)


def _by_arithmetic(network: ChipNetwork, nodes: Mapping[str, IntegerNeuron]) -> tuple[Proof, ...]:
    """Second steps, registers, levels; that second steps bring nothing is used for the registers only where it is proved."""
    phases = tuple(prove_phases(network))
    idle = network.phases - 1 if all(p.status == "proved" for p in phases) else 0
    return (*phases, *prove_registers(network, idle), *prove_levels(network, nodes))


def defined(network: ChipNetwork) -> dict[str, GridNeuron]:
    """The neurons that programs were compiled from, as the network's file keeps them.

    Raises:
        ModelError: a definition whose arrays do not fit its population.
    """
    found = {}
    for name, p in network.populations.items():
        kept = p.model.definition if isinstance(p.model, NeuronProgram) else None
        if kept is None:
            continue
        operations = tuple(Operation(line.op, line.args) for line in kept.operations)
        initial, constants, tables = ({n: frozen(v) for n, v in values.items()} for values in (kept.initial, kept.constants, kept.tables))
        found[name] = GridNeuron(operations, kept.output, kept.after, initial, constants, tables)
        try:
            fits = found[name].out_shape((p.shape,)) == p.shape
        except ValueError:
            fits = False
        if not fits:
            raise ModelError(name, f"the definition of its program does not fit {p.shape}", "convert the model again")
    return found


def _late(p: Proof, budget: float) -> Proof:
    said = f"the budget of {budget:g} s for all proofs was used up"
    return replace(p, found=f"{p.found}; {said}" if p.found else said) if p.status == "unknown" and p.by == "z3" else p


def _executed(network: ChipNetwork, inputs: Mapping[str, Any], steps: int) -> Trace:
    return run_chip(network, inputs, steps, states=True, exact=True)


def prove_deployment(deployment: Deployment, limit: float = LIMIT, budget: float = BUDGET) -> tuple[Proof, ...]:
    """As ``prove``, of a network just converted: its layers must equal the neurons that were quantized."""
    quantized = deployment.built.quantized.graph
    return prove(deployment.network, limit, quantized.named(IntegerNeuron), budget, quantized.named(GridNeuron))


def prove_file(path: Path, limit: float = LIMIT, options: converters.Options | None = None, budget: float = BUDGET) -> tuple[Proof, ...]:
    """The obligations of a saved chip network, or of the one beside a saved graph; ``options``: what the file cannot say.

    Raises:
        ModelError: there is no chip network to prove anything of.
        MissingPackage: z3-solver is not installed.
    """
    return prove(chip_network(path, options), limit, budget=budget)


def unproved(network: ChipNetwork, grids: Iterable[str] = ()) -> tuple[str, ...]:
    """The populations of which nothing is proved, in words. ``grids``: the names of those whose definition was at hand."""
    kept = [n for n, p in network.populations.items() if isinstance(p.model, NeuronProgram) and p.model.definition is not None]
    return without_obligation(network, (*kept, *grids))


def unproved_deployment(deployment: Deployment) -> tuple[str, ...]:
    """As ``unproved``, of a network just converted."""
    return unproved(deployment.network, deployment.built.quantized.graph.named(GridNeuron))


def chip_network(path: Path, options: converters.Options | None = None) -> ChipNetwork:
    """The chip network in a file, or beside a saved graph. Raises ``ModelError`` where there is none."""
    noun = open_file(path, options=options)
    other = None if isinstance(noun, ChipNetwork) else sibling(path, noun)
    network = open_file(other) if other is not None else noun
    if not isinstance(network, ChipNetwork):
        raise ModelError(str(path), "is a float graph: it has no integers to prove", "prove the .<chip>.onnx file that convert made")
    return network
