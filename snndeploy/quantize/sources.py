"""How what a layer sends becomes whole numbers: payloads of inputs and burst levels."""

from __future__ import annotations

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.errors import QuantizeError
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.burst import Burst

FINEST, ROUNDED = 4, 3
"""Levels are tried on grids down to 2**-4; those that fit none are rounded to 2**-3: a finer grid costs the next layer
more in weight bits (payload, weight and fan-in share the 24 bits of u) than it saves in levels."""
INPUT_BITS = 8


def input_unit(name: str, node: Input, seen: Floats) -> tuple[float, float]:
    """(real value of one unit, largest payload) of an Input, from the calibration data ``seen``.

    Spikes and counts are whole already. Real values take the coarsest grid 2**-k that holds them exactly in 8 bits,
    else 255 steps of the largest value. Raises ``QuantizeError`` if a spike input is not 0/1 or a count not whole.
    """
    largest = float(np.abs(seen).max(initial=0.0)) or 1.0
    if node.carries in ("spikes", "levels"):
        if not np.array_equal(seen, np.round(seen)) or (node.carries == "spikes" and largest > 1):
            wanted = "0/1 spikes" if node.carries == "spikes" else "whole counts"
            raise QuantizeError(name, f"the data are not {wanted}", f"give {wanted}, or let --encode rate make spikes of them")
        return 1.0, _capacity(largest)
    for k in range(INPUT_BITS + 1):
        if largest * 2**k < 2**INPUT_BITS and np.array_equal(seen * 2**k, np.round(seen * 2**k)):
            return 2.0**-k, _capacity(largest * 2**k)
    return largest / (2**INPUT_BITS - 1), float(2**INPUT_BITS - 1)


def coarser_units(unit: float, payload: float, node: Input, seen: Floats) -> list[tuple[float, float]]:
    """What a real-valued Input could send instead: the same range in ever fewer bits, down to 2; () for whole numbers."""
    largest = float(np.abs(seen).max(initial=0.0)) or unit
    bits = range(int(payload).bit_length() - 1, 1, -1) if node.carries == "real" else range(0)
    return [(largest / (2**b - 1), float(2**b - 1)) for b in bits]


def _capacity(largest: float) -> float:
    """The largest payload of as many bits as ``largest`` needs: data to come may use all of them."""
    return float(2 ** int(largest).bit_length() - 1)


def level_unit(node: Node, decoupled: bool) -> float:
    """The real value of one payload unit of a burst neuron: the coarsest grid 2**-k on which its levels are whole.

    Where levels fit no grid down to 2**-4 they are rounded to 2**-3. A decoupled neuron stops at 2**-3 in any case: each
    rung's weights are multiplied by its step in level and must still fit the synapse. A single rung with one level is a
    plain spike worth that level.
    """
    if not isinstance(node, Burst):
        return 1.0
    if len(node.levels) == 1 and node.levels.all() and not np.ptp(node.levels):
        return float(node.levels.flat[0])
    grids = range(ROUNDED if decoupled else FINEST + 1)
    exact = (k for k in grids if np.array_equal(node.levels * 2**k, np.round(node.levels * 2**k)))
    return 2.0 ** -next(exact, ROUNDED)


def largest_step(node: Node, unit: float) -> int:
    """The largest step between neighbouring levels, in payload units (1 for plain spikes)."""
    if not isinstance(node, Burst):
        return 1
    levels = np.round(node.levels / unit)
    steps = np.diff(levels, axis=0, prepend=np.zeros_like(levels[:1]))
    return max(1, int(np.abs(steps).max()))
