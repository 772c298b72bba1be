"""What a name of a foreign ONNX graph stands for: a constant, or features of a node of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto

from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported

Constant: TypeAlias = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Live:
    """A value that depends on the data: what ``node`` gives, read as ``shape`` (no batch).

    ``order`` None reads it in C order; else it holds, for every place of ``shape``, the flat index into the node's
    output, or -1 for a zero. Transposing, slicing and padding only move indices; nothing is computed for them.
    """

    node: str
    shape: Shape
    order: NDArray[np.int64] | None = None

    @property
    def indices(self) -> NDArray[np.int64]:
        """``order``, written out."""
        return np.arange(int(np.prod(self.shape))).reshape(self.shape) if self.order is None else self.order


Value: TypeAlias = Live | Constant | None


@dataclass(frozen=True, eq=False)
class Call:
    """One node of the file: where it stands (for errors), its operator, name, what enters, and its attributes."""

    where: str
    op: str
    name: str
    inputs: tuple[Value, ...]
    attributes: Mapping[str, Any]
    proto: NodeProto

    def live(self, index: int = 0) -> Live:
        """Input ``index``, which must depend on the data. Raises ``Unsupported``."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if not isinstance(value, Live):
            raise self.refused(f"its input {index} is {'missing' if value is None else 'a constant'}", "the data must enter there")
        return value

    def constant(self, index: int, name: str) -> Constant | None:
        """Input ``index`` or None where it is left out. Raises ``Unsupported`` where it depends on the data."""
        value = self.inputs[index] if index < len(self.inputs) else None
        if isinstance(value, Live):
            raise self.refused(f"its {name} depends on the data", "a synapse has fixed weights: two signals are not multiplied")
        return value

    def needed(self, index: int, name: str) -> Constant:
        """Input ``index``, which must be a constant. Raises ``Unsupported``."""
        value = self.constant(index, name)
        if value is None:
            raise self.refused(f"has no {name}", "the file is damaged; export the model again")
        return value

    def refused(self, what: str, hint: str) -> Unsupported:
        """An error at this node."""
        return Unsupported(self.where, what, hint)
