"""One NIR node as the file has it, and its fields read with a reason where they cannot be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats, Shape
from snndeploy.errors import ModelError, did_you_mean

LARGEST = 2**28
"""Values that one layer may have."""

Field: TypeAlias = "NDArray[Any] | str"

FIELDS: Mapping[str, tuple[str, ...]] = {
    "Input": (),
    "Output": (),
    "Identity": (),
    "Linear": ("weight",),
    "Affine": ("weight", "bias"),
    "Scale": ("scale",),
    "Conv1d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("weight", "stride", "padding", "dilation", "groups", "bias"),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Flatten": ("start_dim", "end_dim"),
    "Delay": ("delay",),
    "Threshold": ("threshold",),
    "I": ("r",),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
}
"""Every primitive of NIR 1.0.8 and the fields it cannot do without (``v_reset`` and ``w_in`` are missing in older files)."""

SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
STATEFUL = (*SPIKING, "I", "LI", "CubaLI")


@dataclass(frozen=True, eq=False)
class Primitive:
    """A node of the file: ``name`` (dotted, from the top), NIR's ``kind``, its ``fields``, and the file it is ``of``.

    ``resets`` is False for an integrator joined with a Threshold, which does not reset.
    """

    name: str
    kind: str
    fields: Mapping[str, Field]
    of: str = ""
    resets: bool = True

    @property
    def where(self) -> str:
        """File, node and kind, for messages."""
        return f"{self.of}: {self.name} ({self.kind})" if self.of else f"{self.name} ({self.kind})"

    def check(self) -> None:
        """Raise ``ModelError`` on an unknown kind or a missing field."""
        if self.kind not in FIELDS:
            raise ModelError(self.where, f"{self.kind!r} is no primitive of NIR 1.0", did_you_mean(self.kind, FIELDS))
        missing = [name for name in FIELDS[self.kind] if name not in self.fields]
        if missing:
            raise ModelError(
                self.where, f"has no {' and no '.join(missing)}", f"it has {', '.join(self.fields) or 'no fields'}; write the file again"
            )

    def floats(self, name: str, default: float | None = None) -> Floats:
        """A field as finite float64 numbers."""
        value = self.fields.get(name, default)
        if value is None or isinstance(value, str) or np.asarray(value).dtype.kind not in "biuf":
            raise ModelError(self.where, f"{name} does not hold numbers", "the file is damaged, or was not written by nir")
        array: Floats = np.asarray(value, dtype=np.float64)
        if not np.isfinite(array).all():
            raise ModelError(self.where, f"{name} has NaN or infinite values", "the training diverged, or the file is damaged")
        if not array.size:
            raise ModelError(self.where, f"{name} is empty", "the file is damaged, or was not written by nir")
        return array

    def whole(self, name: str, least: int, default: int | None = None) -> Shape:
        """A field as whole numbers of at least ``least``."""
        values = self.floats(name, default).ravel()
        if (values != np.round(values)).any() or values.min() < least or np.abs(values).max() > LARGEST:
            raise ModelError(self.where, f"{name} is {values.tolist()[:6]}, not whole numbers from {least}", "the file is damaged")
        return tuple(int(v) for v in values)

    def per_axis(self, name: str, axes: int, least: int) -> Shape:
        """One whole number an axis; a single one holds for all."""
        values = self.whole(name, least)
        if len(values) not in (1, axes):
            raise ModelError(self.where, f"{name} has {len(values)} entries for {axes} axes", "give one, or one an axis")
        return values * axes if len(values) == 1 else values

    def shape(self, name: str) -> Shape | None:
        """A field that holds a shape; None where it is missing or empty. A shape of no axes is one value."""
        value = self.fields.get(name)
        if value is None or isinstance(value, str):
            return None
        if not np.asarray(value).size:
            return (1,)
        shape = self.whole(name, 1)
        if math.prod(shape) > LARGEST:
            raise ModelError(self.where, f"{name} {list(shape)} is {math.prod(shape):,} values", f"a layer may have {LARGEST:,}")
        return shape

    def fitted(self, name: str, shape: Shape, default: float | None = None) -> Floats:
        """A parameter for a layer of ``shape``: one number, or one a neuron; axes of length 1 do not count.

        Equal numbers are returned as one.
        """
        array = self.floats(name, default)
        if array.size == 1:
            return array.reshape(())
        if [n for n in array.shape if n > 1] == [n for n in shape if n > 1]:
            return array.reshape(shape) if np.ptp(array) else array.ravel()[0].reshape(())
        raise ModelError(
            self.where, f"{name} has shape {list(array.shape)}, but {list(shape)} enters", "NIR parameters are one number or one a neuron"
        )
