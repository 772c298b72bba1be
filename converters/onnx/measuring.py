"""A cell's numbers, read off its answers: with the states in the open, one step at rest and one beside it give each exactly.

Below threshold a neuron is linear: one unit of a state or input, a power of two, times a factor is that factor without
rounding. What a spike leaves behind is read from two potentials above the threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from onnx import NodeProto

from converters.onnx.cells import Cell
from converters.onnx.elementary import Array
from snndeploy.arrays import Floats
from snndeploy.errors import Unsupported

HINT = "write it as v = decay v + gain x, a comparison with a threshold, and a reset; or save the model as .pt or .nir"
FIRING = {"Greater": (0, 1, True), "GreaterOrEqual": (0, 1, False), "Less": (1, 0, True), "LessOrEqual": (1, 0, False)}
"""Which input must be the larger one, which the smaller, and whether it must be so strictly."""


Probe: TypeAlias = Callable[[Mapping[str, Array]], tuple[Floats, Floats]]
"""Values -> (the potential that is compared, the potential that is kept)."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """A spike is ``high > low`` (strict) or ``high >= low``."""

    high: str
    low: str
    strict: bool

    def height(self, values: Mapping[str, Array]) -> Floats:
        """How far above the threshold."""
        return np.asarray(values[self.high] - np.asarray(values[self.low]), np.float64)


@dataclass(frozen=True, eq=False)
class Measured:
    """A cell below and above its threshold, by feature.

    Attributes:
        v: its potential, a state; ``i`` its current, ``s`` its spike of the step before, "" for none.
        slopes: new value (a state's name) -> what it changes with -> by how much; "" is its value at rest.
        comparison: what its spike is; None for one that never fires.
        threshold: in units of the potential, with what spikes take off or leave behind (None: not explained so).
    """

    v: str
    i: str
    s: str
    slopes: Mapping[str, Mapping[str, Floats]]
    comparison: Comparison | None
    threshold: Floats
    hard: Floats | None = None
    amount: Floats | None = None
    late: Floats | None = None
    floor: Floats | None = None


def spike_of(cell: Cell) -> tuple[str, Comparison] | None:
    """The cell's spike and what it compares; None where it makes none. Raises ``Unsupported`` for several different ones."""
    found = {name: _comparison(cell, name) for name in sorted(cell.spikes)}
    leaving = [name for name in cell.leaving if name in found] or [n for n in cell.states.values() if n in found] or list(found)
    if not leaving:
        return None
    name = leaving[-1]
    compared = found[name]
    if len(leaving) > 1 or compared is None:
        what = f"gives {len(leaving)} spikes" if len(leaving) > 1 else "is no single comparison with a threshold"
        raise Unsupported(cell.where, what, HINT)
    return name, compared


def _comparison(cell: Cell, name: str) -> Comparison | None:
    makers = {n.output[0]: n for n in cell.nodes}
    node, turned = makers.get(name), False
    while node is not None and node.op_type in ("Cast", "Not", "Where"):
        turned ^= node.op_type == "Not"
        node = makers.get(node.input[0])
    if node is None or node.op_type not in FIRING:
        return None
    return _oriented(node, turned)


def _oriented(node: NodeProto, turned: bool) -> Comparison:
    high, low, strict = FIRING[node.op_type]
    if turned:
        high, low, strict = low, high, not strict
    return Comparison(node.input[high], node.input[low], strict)


def measure(cell: Cell) -> Measured:
    """The cell's numbers. Raises ``Unsupported`` where it is not linear below a threshold, or its states make no neuron of ours."""
    fired = spike_of(cell)
    comparison = None if fired is None else fired[1]
    at_rest = cell.step(_given(cell, {}))
    distance = np.abs(comparison.height(at_rest)).min() if comparison else 1.0
    if comparison and (comparison.height(at_rest) >= 0).any():
        raise Unsupported(cell.where, "fires without input, or its threshold is 0", HINT)
    unit = 2.0 ** np.floor(np.log2(max(float(distance), 2.0**-200))) * 2.0**-10
    spikes = [before for before, after in cell.states.items() if after in cell.spikes]
    moved = [n for n in (*cell.states, *cell.entering) if n not in spikes]
    slopes = _slopes(cell, comparison, moved, unit)
    v, i = _roles(cell, slopes, [n for n in cell.states if n not in spikes])
    if len(spikes) > 1:
        raise Unsupported(cell.where, f"keeps {len(spikes)} spikes as states", HINT)
    base = Measured(v, i, spikes[0] if spikes else "", slopes, comparison, np.ones(cell.shape))
    return base if comparison is None else _above(cell, base)


def _given(cell: Cell, values: Mapping[str, Array]) -> dict[str, Array]:
    zeros = np.zeros(cell.shape)
    return {name: zeros + values.get(name, 0.0) for name in (*cell.states, *cell.entering)}


def _slopes(cell: Cell, comparison: Comparison | None, moved: list[str], unit: float) -> dict[str, dict[str, Floats]]:
    def answers(values: Mapping[str, Array]) -> dict[str, Floats]:
        got = cell.step(_given(cell, values))
        height = {"height": comparison.height(got)} if comparison else {}
        return {**{s: np.asarray(got[after], np.float64) + np.zeros(cell.shape) for s, after in cell.states.items()}, **height}

    rest = answers({})
    slopes = {key: {"": value} for key, value in rest.items()}
    for name in moved:
        once, half, back = (answers({name: by * unit}) for by in (1.0, 0.5, 0.25))
        for key, value in once.items():
            slope, again = (value - rest[key]) / unit, (half[key] - back[key]) / (unit / 4)
            if not np.isfinite(slope).all() or (np.abs(slope - again) > 1e-6 * np.maximum(1.0, np.abs(slope))).any():
                what = "its spike" if key == "height" else f"its state {key}"
                raise Unsupported(cell.where, f"{what} does not follow {name} in proportion below the threshold", HINT)
            slopes[key][name] = slope
    return slopes


def _roles(cell: Cell, slopes: Mapping[str, Mapping[str, Floats]], states: list[str]) -> tuple[str, str]:
    """(potential, current or "")."""
    if len(states) == 1:
        return states[0], ""
    if len(states) == 2:
        a, b = states
        for i, v in ((a, b), (b, a)):
            if not slopes[i][v].any() and slopes[v][i].any() and not slopes[i][""].any():
                return v, i
    raise Unsupported(cell.where, f"has the states {', '.join(cell.states)}, which act on each other as in no neuron known here", HINT)


def _above(cell: Cell, m: Measured) -> Measured:
    """Threshold, and what spikes leave behind."""
    compared = m.comparison
    assert compared is not None, "it fires"
    own, seen = m.slopes[m.v], m.slopes["height"]
    drive = max(cell.entering, key=lambda name: float(np.abs(seen[name]).min()), default="")
    if not drive or not (seen[drive] != 0).all():
        raise Unsupported(cell.where, "is not driven by what enters in this step", HINT)
    through = drive if (own[drive] != 0).all() else m.v
    scale = seen[through] / own[through]
    theta = np.asarray(own[""] - seen[""] / scale)
    size = np.where(theta == 0, 1.0, np.abs(theta))

    def probe(values: Mapping[str, Array]) -> tuple[Floats, Floats]:
        got = cell.step(_given(cell, values))
        return theta + compared.height(got) / scale, np.asarray(got[cell.states[m.v]], np.float64) + np.zeros(cell.shape)

    def to(height: Floats) -> Floats:
        return np.asarray((height - own[""]) / (seen[drive] / scale))

    (h1, a1), (h2, a2) = (probe({drive: to(theta + k * size)}) for k in (1.0, 2.0))
    near = 1e-9 * size
    hard = a1 if (np.abs(a1 - a2) <= near).all() else None
    amount = _snapped(h1 - a1, theta, near) if (np.abs((h1 - a1) - (h2 - a2)) <= near).all() else None
    late, low = _late(m, probe, theta, size), to(-(2.0**20) * size)
    deep, floor = probe({drive: low}), None
    if (deep[1] - own[""] - own[drive] * low > size).any():
        floor = deep[1]
    return Measured(m.v, m.i, m.s, m.slopes, m.comparison, theta, hard, amount, late, floor)


def _late(m: Measured, probe: Probe, theta: Floats, size: Floats) -> Floats | None:
    """What the spike of the step before takes off; None where it is no fixed amount."""
    found = []
    for k in (1.0, 2.0):
        v = theta + k * size
        before, after = ({m.v: v, m.s: 0.0}, {m.v: v, m.s: 1.0}) if m.s else ({}, {m.v: v})
        start = probe(before)[0] if m.s else m.slopes[m.v][""] + m.slopes[m.v][m.v] * v
        found.append(start - probe(after)[0])
    steady = (np.abs(found[0] - found[1]) <= 1e-9 * size).all()
    return _snapped(found[0], theta, 1e-9 * size) if steady else None


def _snapped(values: Floats, theta: Floats, near: Floats) -> Floats:
    return np.asarray(np.where(np.abs(values - theta) <= near, theta, values))
