"""The data that enters a run: held against the network before the first step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Shape
from snndeploy.chip.models import HostInput
from snndeploy.errors import DataError, did_you_mean


@dataclass(frozen=True)
class Port:
    """Where data enters: its shape without batch and time; a ``static`` one may be given one step for all."""

    shape: Shape
    static: bool = False


def sizes(inputs: Mapping[str, NDArray[Any]], ports: Mapping[str, Port]) -> tuple[int | None, int]:
    """(T, B) of the data ``[T, B, *shape]``; T is None where every input is one static step.

    Raises:
        DataError: an input missing or unknown, a wrong shape, or two inputs of different length or batch.
    """
    for name in inputs:
        if name not in ports:
            raise DataError(f"input {name!r}", "the network has no such input", did_you_mean(name, ports))
    lengths: dict[str, int] = {}
    batches: dict[str, int] = {}
    for name, port in ports.items():
        if name not in inputs:
            raise DataError(f"input {name!r}", "no data is given for it", f"known inputs: {', '.join(ports)}")
        shape = inputs[name].shape
        if len(shape) != len(port.shape) + 2 or shape[2:] != port.shape or not shape[0]:
            raise DataError(f"input {name!r}", f"data {shape} is not [T, B, {', '.join(map(str, port.shape))}]")
        batches[name] = shape[1]
        if not (port.static and shape[0] == 1):
            lengths[name] = shape[0]
    if not batches:
        raise DataError("inputs", "the network has no input, so there is nothing to run on")
    return (_one(lengths, "steps") if lengths else None), _one(batches, "samples")


def _one(counts: Mapping[str, int], what: str) -> int:
    if len(set(counts.values())) > 1:
        raise DataError("inputs", f"differ in {what}: " + ", ".join(f"{name} {n}" for name, n in counts.items()))
    return next(iter(counts.values()))


def at(values: NDArray[Any], step: int, static: bool) -> NDArray[Any]:
    """The data ``[B, *shape]`` of a step counted from 0."""
    return np.asarray(values[0 if static and len(values) == 1 else step])


def check_payload(name: str, values: NDArray[Any], host: HostInput) -> None:
    """Raise ``DataError`` unless the host can inject these values: whole numbers within the payload's bits."""
    where = f"input {name!r}"
    if values.dtype.kind not in "biuf":
        raise DataError(where, f"holds {values.dtype}, not numbers")
    if values.dtype.kind == "f" and not bool((np.isfinite(values) & (values == np.trunc(values))).all()):
        raise DataError(where, "the chip takes whole numbers only", "divide by the input's scale and round")
    low, high = host.payloads
    least, most = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if least < low or most > high:
        what = f"values {least}..{most} are outside {low}..{high} ({host.payload_bits} payload bits)"
        raise DataError(where, what, "the network was made for data of a smaller range: convert it again with these data")
    if host.static and len(values) > 1 and bool((values != values[:1]).any()):
        raise DataError(where, "is static, but its steps differ", "give one step, [1, B, ...]")
