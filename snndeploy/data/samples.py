"""``Samples``: what is fed to a network, and how it is held against the network's input shapes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints, Shape
from snndeploy.errors import DataError, did_you_mean

SOLE = ""
"""The name under which samples of a single, unnamed input stand until ``fit`` gives them the graph's name."""


@dataclass(frozen=True, eq=False)
class Samples:
    """N samples for each input, perhaps labelled.

    Attributes:
        inputs: by input name, [N, *shape] or [N, T, *shape]; numbers as they were stored (bool becomes uint8), read-only.
        labels: [N] class indices, or None.
        static: the inputs that have no time axis; None until ``fit`` has seen the graph's shapes.
        where: the file or factory, for messages.
        notes: what was left out or not used, in words; never empty where something was.

    Raises:
        DataError: no samples, numbers of samples or labels that differ, values that are not finite real numbers.
    """

    inputs: Mapping[str, NDArray[Any]]
    labels: Ints | None = None
    static: frozenset[str] | None = None
    where: str = "data"
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.inputs:
            raise DataError(self.where, "holds no input", "give x, or x_<input name> for each input")
        arrays = {name: _numbers(values, _title(self.where, name)) for name, values in self.inputs.items()}
        counts = {name: len(values) for name, values in arrays.items()}
        if len(set(counts.values())) > 1:
            raise DataError(self.where, f"its inputs hold different numbers of samples: {counts}", "every input needs one entry a sample")
        if not len(self):
            raise DataError(self.where, "holds no samples", "give at least one")
        object.__setattr__(self, "inputs", MappingProxyType(arrays))
        if self.labels is not None:
            object.__setattr__(self, "labels", _labels(self.labels, len(self), self.where))

    def __len__(self) -> int:
        return len(next(iter(self.inputs.values())))

    @property
    def steps(self) -> int | None:
        """T of the inputs that have a time axis; None before ``fit`` or where all are static."""
        if self.static is None:
            return None
        timed = [values.shape[1] for name, values in self.inputs.items() if name not in self.static]
        return int(timed[0]) if timed else None


def part(samples: Samples, start: int, stop: int) -> Samples:
    """Samples ``start`` to ``stop`` (exclusive), without a copy."""
    labels = None if samples.labels is None else samples.labels[start:stop]
    return replace(samples, inputs={name: values[start:stop] for name, values in samples.inputs.items()}, labels=labels)


def fit(samples: Samples, shapes: Mapping[str, Shape], timesteps: int | None = None) -> Samples:
    """The samples under the graph's input names, each known to be static ([N, *shape]) or timed ([N, T, *shape]).

    ``shapes`` gives every input of the graph its shape. Nothing is reshaped, cut or padded.

    Raises:
        DataError: an input is missing or unknown, a shape fits neither way, or T differs from ``timesteps``.
    """
    named = _named(samples, shapes)
    static = frozenset(name for name, values in named.items() if _is_static(values, shapes[name], _title(samples.where, name)))
    lengths = {name: values.shape[1] for name, values in named.items() if name not in static}
    for name, steps in lengths.items():
        wanted = timesteps if timesteps is not None else next(iter(lengths.values()))
        if steps != wanted:
            raise DataError(_title(samples.where, name), f"has {steps} time steps, not {wanted}", "give --timesteps as long as the data is")
    return replace(samples, inputs=named, static=static)


def _named(samples: Samples, shapes: Mapping[str, Shape]) -> dict[str, NDArray[Any]]:
    if set(samples.inputs) == {SOLE} and len(shapes) == 1:
        return {next(iter(shapes)): samples.inputs[SOLE]}
    for name in samples.inputs:
        if name not in shapes:
            what = f"the network has no input {name!r}" if name else f"holds one x, but the network has {len(shapes)} inputs"
            hint = did_you_mean(name, shapes) if name else "name them: " + ", ".join(f"x_{wanted}" for wanted in shapes)
            raise DataError(samples.where, what, hint)
    for name in shapes:
        if name not in samples.inputs:
            raise DataError(samples.where, f"has nothing for the input {name!r}", f"add x_{name}")
    return {name: samples.inputs[name] for name in shapes}


def _is_static(values: NDArray[Any], shape: Shape, where: str) -> bool:
    if values.shape[1:] == shape:
        return True
    if values.ndim >= 2 and values.shape[2:] == shape:
        if values.shape[1] == 0:
            raise DataError(where, "has no time steps", "T must be at least 1")
        return False
    what = f"its shape {list(values.shape)} is neither [N, {_text(shape)}] nor [N, T, {_text(shape)}]"
    same_size = int(np.prod(values.shape[1:])) == int(np.prod(shape))
    fix = f"reshape each sample to [{_text(shape)}]" if same_size else "check --input-shape, or the data"
    raise DataError(where, f"{what}, which the network takes", fix)


def _text(shape: Shape) -> str:
    return ", ".join(str(size) for size in shape)


def _title(where: str, name: str) -> str:
    return f"{where}: x_{name}" if name else f"{where}: x"


def _numbers(values: NDArray[Any], where: str) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 0:
        raise DataError(where, "is a single number", "the first axis counts samples")
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    if array.dtype.kind not in "iuf":
        raise DataError(where, f"holds {array.dtype}, not real numbers", "store integers or floats")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        place = ", ".join(str(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise DataError(where, f"is not finite (NaN or infinite) at [{place}]", "remove or repair that sample")
    view = array.view()
    view.setflags(write=False)
    return view


def _labels(labels: Any, count: int, where: str) -> Ints:
    array = np.asarray(labels)
    where = f"{where}: y"
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(where, f"labels have the shape {list(array.shape)}, not [N]", "for one-hot labels store y.argmax(axis=1)")
    if len(array) != count:
        raise DataError(where, f"{len(array)} labels for {count} samples", "give one label a sample")
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all() or (array != np.floor(array)).any() or (array < 0).any():
        raise DataError(where, f"labels are not class indices ({array.dtype})", "give whole numbers from 0")
    whole: Ints = array.astype(np.int64)
    whole.setflags(write=False)
    return whole
