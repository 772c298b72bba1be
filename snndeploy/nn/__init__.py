"""Torch modules to train what snndeploy deploys, thin over ``snndeploy.ir.neurons``.

A module's forward runs the very ``step`` of its node with torch tensors (``on_torch``), so the reference, the
training and the export cannot drift apart; ``to_node()`` gives that node in float64. State lives in the module
between steps and is not part of its ``state_dict``; ``reset(net)`` forgets it.
"""

from __future__ import annotations

try:
    import torch
except ImportError:
    from snndeploy.errors import MissingPackage

    raise MissingPackage("snndeploy.nn", "torch", "torch") from None

from snndeploy.nn.burst import LIFB
from snndeploy.nn.clif import CLIF
from snndeploy.nn.glif import GLIF
from snndeploy.nn.klif import KLIF
from snndeploy.nn.lif import IF, LI, LIF, PLIF, CubaLIF
from snndeploy.nn.neuron import Neuron
from snndeploy.nn.surrogates import ATan, Rectangle, Sigmoid, Surrogate

__all__ = [
    "CLIF",
    "GLIF",
    "IF",
    "KLIF",
    "LI",
    "LIF",
    "LIFB",
    "PLIF",
    "ATan",
    "CubaLIF",
    "Neuron",
    "Rectangle",
    "Sigmoid",
    "Surrogate",
    "reset",
]


def reset(module: torch.nn.Module) -> None:
    """Forget the state of every neuron in ``module``: the next step is the first of a new sample."""
    for part in module.modules():
        if isinstance(part, Neuron):
            part.reset()
