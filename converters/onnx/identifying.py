"""Which of our neurons a cell is: candidates from its measured numbers, held against the cell step for step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from converters import Fact
from converters.onnx.cells import Cell
from converters.onnx.measuring import HINT, Measured, measure, spike_of
from converters.onnx.trials import FEW, STEPS, Trial, compare
from snndeploy.arrays import Floats, frozen
from snndeploy.errors import GraphError, Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF


@dataclass(frozen=True, eq=False)
class Found:
    """What a cell is.

    Attributes:
        chain: the nodes in a row: a neuron, or the integrators of a read-out.
        gives: the value that the last one gives.
        weights: entering value -> what it is multiplied by before it is added to the others.
        trial: the comparison it passed.
    """

    chain: tuple[Node, ...]
    gives: str
    weights: Mapping[str, Floats]
    trial: Trial


def identify(cell: Cell) -> Found:
    """The neuron of ours that gives what the cell gives.

    Raises ``Unsupported`` where none does, naming the first step of the nearest that differs.
    """
    measured = measure(cell)
    weights, total = _weights(cell, measured)
    fired = spike_of(cell)
    gives = cell.states[measured.v] if fired is None else fired[0]
    scale = _scale(measured, total)
    nearest: Trial | None = None
    few = [(compare(cell, chain, weights, gives, scale, FEW), chain) for chain in _chains(measured, total)]
    for trial, chain in sorted(few, key=lambda one: (one[0].different, one[0].ties)):
        if not trial.different:
            trial = compare(cell, chain, weights, gives, scale, STEPS)
        if not trial.different:
            return Found(chain, gives, weights, trial)
        nearest = trial if nearest is None or trial.different < nearest.different else nearest
    why = f"the nearest, {nearest.name}, differs at {nearest.first}" if nearest is not None else "its numbers fit none"
    raise Unsupported(cell.where, f"is no neuron that the graph knows: {why}", HINT)


def _weights(cell: Cell, m: Measured) -> tuple[dict[str, Floats], str]:
    """Every entering value's weight beside the first one's, and that first one."""
    own = m.slopes[m.v]
    if not cell.entering:
        raise Unsupported(cell.where, "is driven by nothing", HINT)
    first = max(cell.entering, key=lambda name: float(np.abs(own[name]).min()))
    if not (own[first] != 0).all():
        raise Unsupported(
            cell.where, "takes its input one step late", "let the input act in its own step; a synapse can be delayed afterwards"
        )
    return {name: own[name] / own[first] for name in cell.entering}, first


def _scale(m: Measured, first: str) -> Floats:
    """The input that lifts the potential by a threshold."""
    size = np.where(m.threshold == 0, 1.0, np.abs(m.threshold))
    return np.asarray(size / np.abs(m.slopes[m.v][first]))


def _chains(m: Measured, first: str) -> Iterator[tuple[Node, ...]]:
    for parts in _forms(m, first):
        chain = _built(parts)
        if chain is not None:
            yield chain


def _built(parts: Sequence[Callable[[], Node]]) -> tuple[Node, ...] | None:
    try:
        return tuple(part() for part in parts)
    except GraphError:  # a decay outside 0..1: not this one
        return None


def _forms(m: Measured, first: str) -> Iterator[tuple[Callable[[], Node], ...]]:
    own = m.slopes[m.v]
    decay, gain = compact(own[m.v]), compact(own[first])
    with np.errstate(all="ignore"):
        rest = np.where(own[""] == 0, 0.0, own[""] / (1 - own[m.v]))
    if not np.isfinite(rest).all():
        return
    common: dict[str, Any] = {"gain": gain, "rest": compact(rest)}
    if m.comparison is None:
        inner = (partial(LI, compact(m.slopes[m.i][m.i])),) if m.i else ()
        yield (*inner, partial(LI, decay, **common))
        return
    common |= {"threshold": compact(m.threshold), "strict": m.comparison.strict}
    current = compact(m.slopes[m.i][m.i]) if m.i else frozen(0.0)
    floor = None if m.floor is None else compact(m.floor)
    for kind in _resets(m):
        if not m.i:
            yield (partial(LIF, decay, floor=floor, **common, **kind),)
        if m.i or "late" in kind:
            yield (partial(CubaLIF, current, decay, **common, **kind),)
    if m.amount is not None and m.comparison.strict:
        yield (partial(ImmediateLIF, decay, current, gain, common["threshold"], compact(m.amount), bool(m.i)),)


def _resets(m: Measured) -> Iterator[dict[str, Any]]:
    if m.hard is not None:
        yield {"reset": "hard", "v_reset": compact(m.hard)}
    if m.amount is not None:
        yield {"reset": "subtract", "amount": compact(m.amount)} if m.amount.any() else {"reset": "none"}
    if m.late is not None and m.late.any():
        yield {"reset": "subtract", "amount": compact(m.late), "late": True}
    yield {"reset": "hard", "late": True}


def compact(values: Floats) -> Floats:
    """Axes along which nothing changes become 1, and a single number a scalar."""
    array = np.asarray(values, dtype=np.float64)
    for axis in range(array.ndim):
        first = np.take(array, [0], axis)
        array = first if bool((array == first).all()) else array
    return frozen((array.reshape(()) if array.size == 1 else array) + 0.0)


def facts(node: Node) -> tuple[Fact, ...]:
    """What the table of semantics says of a neuron that the file writes out."""
    found = [("decay", _show(node.decay))] if hasattr(node, "decay") else []
    found += [(word, _show(getattr(node, name))) for word, name in _NUMBERS if getattr(node, name, None) is not None]
    if isinstance(node, LIF | CubaLIF):
        kinds = {"hard": f"to {_show(node.v_reset)}", "subtract": f"subtract {_show(node.amount)}", "none": "none"}
        found += [("comparison", ">" if node.strict else ">="), ("reset", kinds[node.reset])]
        timing = "late: inside the next update" if node.late else "in the step of the spike"
        found += [("reset timing", timing)] if node.reset != "none" else []
    if isinstance(node, ImmediateLIF):
        found += [
            ("comparison", ">"),
            ("reset", f"subtract {_show(node.amount)}"),
            ("reset timing", "in the step of the spike, looked at twice"),
        ]
    return tuple(Fact(name, value, "file") for name, value in found)


_NUMBERS = (("current decay", "current_decay"), ("gain", "gain"), ("threshold", "threshold"), ("floor", "floor"))


def _show(values: Floats) -> str:
    array = np.asarray(values)
    if (array == array.flat[0]).all():
        return f"{array.flat[0]:.6g}"
    return f"{list(array.shape)} {array.min():.4g}..{array.max():.4g}"
