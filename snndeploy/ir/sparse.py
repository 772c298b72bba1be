"""Single synapses, for linear maps that are too large for a matrix and are no convolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats, Shape
from snndeploy.ir.graph import Node, State
from snndeploy.ir.layers import freeze, require
from snndeploy.ir.xp import Array, Namespace


@dataclass(frozen=True, eq=False)
class Sparse(Node):
    """y[rows[i]] = sum of weight[i] x[columns[i]] over the synapses i, + bias; ``sources`` features in, ``targets`` out, both flat.

    ``rows``, ``columns`` and ``weight`` [n]; rows do not fall, and no pair (row, column) comes twice. ``bias`` [targets] or None.
    """

    rows: Floats
    columns: Floats
    weight: Floats
    sources: int
    targets: int
    bias: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "rows", "columns", "weight", *(["bias"] if self.bias is not None else []))
        alike = self.rows.ndim == 1 and self.rows.shape == self.columns.shape == self.weight.shape
        require(self, alike, "rows, columns and weight need one entry a synapse")
        require(self, bool((np.diff(self.rows) >= 0).all()), "rows must not fall")
        for name, size in (("rows", self.targets), ("columns", self.sources)):
            index = getattr(self, name)
            inside = not index.size or (index.min() >= 0 and index.max() < size and bool((index == np.floor(index)).all()))
            require(self, inside, f"{name} must be whole numbers from 0 to {size - 1}")
        require(self, self.bias is None or self.bias.shape == (self.targets,), "bias must be [targets]")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if inputs[0] != (self.sources,):
            raise ValueError(f"takes {self.sources} features, but gets {inputs[0]}")
        return (self.targets,)

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        y = xp.sparse(inputs[0], self.rows, self.columns, self.weight, self.targets)
        return (y if self.bias is None else y + self.bias), state
