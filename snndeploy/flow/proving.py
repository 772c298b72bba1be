"""Proofs of a chip network: z3 is met here and in ``verify/proofs`` only, and the simulator is handed in."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import MissingPackage, ModelError
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.saved import open_file, sibling
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.sim.chip import run_chip
from snndeploy.trace import Trace
from snndeploy.verdict import Proof

LIMIT = 20.0
"""Seconds for one question to the prover."""


def prove(network: ChipNetwork, limit: float = LIMIT, nodes: Mapping[str, IntegerNeuron] | None = None) -> tuple[Proof, ...]:
    """Every obligation of the network's own integers, and of the importers' rewrites: proved, failed with a run that
    shows it, or unknown.

    ``nodes``: the quantized burst neurons, by layer, that the network must equal. A saved file does not hold them: there
    a layer must equal the burst neuron that its own thresholds, decay and synapses claim to be.

    Raises:
        MissingPackage: z3-solver is not installed.
    """
    if importlib.util.find_spec("z3") is None:
        raise MissingPackage("--prove", "z3-solver", "prove")
    from snndeploy.verify.proofs.code import prove_programs  # noqa: PLC0415 - as below
    from snndeploy.verify.proofs.layers import prove_layers  # noqa: PLC0415 - loads z3, and only proofs need it
    from snndeploy.verify.proofs.rewrites import prove_rewrites  # noqa: PLC0415 - as above

    layers, programs = prove_layers(network, _executed, limit, nodes or {}), prove_programs(network, _executed, limit)
    return (*layers, *programs, *prove_rewrites(limit))


def _executed(network: ChipNetwork, inputs: Mapping[str, Any], steps: int) -> Trace:
    return run_chip(network, inputs, steps, exact=True)


def prove_deployment(deployment: Deployment, limit: float = LIMIT) -> tuple[Proof, ...]:
    """As ``prove``, of a network just converted: its layers must equal the burst neurons that were quantized."""
    return prove(deployment.network, limit, deployment.built.quantized.graph.named(IntegerNeuron))


def prove_file(path: Path, limit: float = LIMIT, options: converters.Options | None = None) -> tuple[Proof, ...]:
    """The obligations of a saved chip network, or of the one beside a saved graph; ``options``: what the file cannot say.

    Raises:
        ModelError: there is no chip network to prove anything of.
        MissingPackage: z3-solver is not installed.
    """
    noun = open_file(path, options=options)
    other = None if isinstance(noun, ChipNetwork) else sibling(path, noun)
    network = open_file(other) if other is not None else noun
    if not isinstance(network, ChipNetwork):
        raise ModelError(str(path), "is a float graph: it has no integers to prove", "prove the .<chip>.onnx file that convert made")
    return prove(network, limit)
