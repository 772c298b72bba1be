"""The array types of the project, and how an array is frozen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Ints: TypeAlias = NDArray[np.int64]
Shape: TypeAlias = tuple[int, ...]


def frozen(values: ArrayLike) -> Floats:
    """A read-only float64 copy, C-contiguous (so that equal values are equal bytes); what is frozen already stays as it is."""
    if _is_frozen(values, np.float64):
        return values
    array = np.array(values, dtype=np.float64, order="C")
    array.setflags(write=False)
    return array


def frozen_ints(values: ArrayLike) -> Ints:
    """As ``frozen``, in int64; raises ``ValueError`` when a value is not a whole number."""
    if _is_frozen(values, np.int64):
        return values
    raw = np.asarray(values)
    array = np.array(raw, dtype=np.int64, order="C")
    if not np.array_equal(array, raw):
        raise ValueError("not whole numbers")
    array.setflags(write=False)
    return array


def _is_frozen(values: ArrayLike, kind: type[np.generic]) -> TypeGuard[NDArray[Any]]:
    """Read-only memory of its own: no view, behind which somebody may still write."""
    if type(values) is not np.ndarray or values.dtype != kind:
        return False
    return values.base is None and values.flags.c_contiguous and not values.flags.writeable


def same(a: Any, b: Any) -> bool:
    """Equality that also holds for arrays (same shape and values) and for mappings of them."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return np.shape(a) == np.shape(b) and bool(np.array_equal(a, b))
    return bool(a == b)
