"""How many steps a network's own constants are for."""

from __future__ import annotations

from typing import Any

from converters.pt import snndeploy_nn
from snndeploy.errors import OptionError, Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.neurons.glif import GLIF


def longest(module: Any) -> int | None:
    """For how many steps a module can run at most: what its GLIF parts, which state themselves, have constants for."""
    stated = (part.to_node() for part in module.modules() if snndeploy_nn.states_itself(part))
    return min((node.steps for node in stated if isinstance(node, GLIF) and node.steps is not None), default=None)


def own_steps(graph: Graph, said: int | None) -> int | None:
    """T: what was said, or the length of the tables of its GLIF neurons (``conduct``), which must all be T.

    Raises ``OptionError`` where another T was said, ``Unsupported`` where two tables differ.
    """
    tables = {node.steps: name for name, node in graph.named(GLIF).items() if node.steps is not None}
    if len(tables) > 1:
        listed = ", ".join(f"{name} for {steps}" for steps, name in sorted(tables.items()))
        raise Unsupported("the GLIF neurons", f"have constants for different numbers of steps: {listed}", "a network runs one T")
    for steps, name in tables.items():
        if said not in (None, steps):
            what = f"is {said}, but {name} was trained for {steps} steps and has a constant for each of them"
            raise OptionError("--timesteps", what, f"leave it out, or say {steps}")
        return steps
    return said
