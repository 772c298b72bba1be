"""States that are counted in whole steps of a grid, as slayer counts in 4096ths: what is finer is cut off toward zero."""

from __future__ import annotations

from snndeploy.ir.graph import Node
from snndeploy.ir.layers import require
from snndeploy.ir.xp import Array, Namespace


def cut(value: Array, grid: int, xp: Namespace) -> Array:
    """``value`` rounded toward zero to a multiple of 1/``grid``; ``value`` itself for grid 0."""
    return xp.trunc(value * float(grid)) * (1.0 / grid) if grid else value


def check_grid(node: Node, grid: int) -> None:
    """A grid is 0 (none) or a power of two, so that its multiples are exact; raises ``GraphError``."""
    require(node, grid >= 0 and grid & (grid - 1) == 0, f"grid {grid} is neither 0 nor a power of two", "slayer's is 4096")
