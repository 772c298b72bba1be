"""snndeploy.nn, and any module that states its own meaning: ``to_node()``, ``step_mode`` ("s" or "m"), ``reset()``.

A neuron of one's own needs no entry anywhere: a module with these three is a neuron, and its ``to_node()`` (a node of
``snndeploy.ir``, float64, shaped to broadcast against the features) is taken at its word.
"""

from __future__ import annotations

from typing import Any

from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Node


def states_itself(module: Any) -> bool:
    """Whether the module has ``to_node`` and ``reset``."""
    return callable(getattr(module, "to_node", None)) and callable(getattr(module, "reset", None))


def node(module: Any) -> Node:
    """The node a neuron module states. Raises ``Unsupported`` if that is not a node."""
    stated = module.to_node()
    if not isinstance(stated, Node):
        raise Unsupported(type(module).__name__, f"to_node() gives {type(stated).__name__}, not a Node", "return a node of snndeploy.ir")
    return stated


def multi_step(module: Any) -> bool:
    """Whether a neuron takes all steps at once, [T, B, ...] (step_mode "m")."""
    return str(getattr(module, "step_mode", "s")) == "m"
