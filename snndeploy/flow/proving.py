"""Proofs of a chip network: z3 is met here and in ``verify/proofs`` only, and the simulator is handed in."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from typing import Any

from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import MissingPackage
from snndeploy.sim.chip import run_chip
from snndeploy.trace import Trace
from snndeploy.verdict import Proof

LIMIT = 20.0
"""Seconds for one question to the prover."""


def prove(network: ChipNetwork, limit: float = LIMIT) -> tuple[Proof, ...]:
    """Every obligation of the network's own integers: proved, failed with a run that shows it, or unknown.

    Raises:
        MissingPackage: z3-solver is not installed.
    """
    if importlib.util.find_spec("z3") is None:
        raise MissingPackage("--prove", "z3-solver", "prove")
    from snndeploy.verify.proofs.layers import prove_layers  # noqa: PLC0415 - loads z3, and only proofs need it

    return tuple(prove_layers(network, _executed, limit))


def _executed(network: ChipNetwork, inputs: Mapping[str, Any], steps: int) -> Trace:
    return run_chip(network, inputs, steps, exact=True)
