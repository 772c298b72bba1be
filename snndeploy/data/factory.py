"""Samples from a user's own ``file.py:factory``, whose definitions alone are run.

The factory (or ready object) gives ``(x, y)``, a Dataset of ``(x, y)`` items, or a DataLoader of such batches. These
are known by what they can do, so torch is met only if the user's file brings it.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.data.samples import SOLE, Samples
from snndeploy.errors import DataError, SnnError, did_you_mean
from snndeploy.user_code import Session, session, unchanged


def from_factory(file: Path, name: str, limit: int | None = None, *, run_code: bool = False) -> Samples:
    """What ``name`` in ``file`` gives; at most ``limit`` samples of a Dataset or DataLoader are drawn.

    Of the file its definitions alone are run, and the factory; with ``run_code`` all of it.

    Raises:
        DataError: the file or name does not exist, the user's code fails (where is said), or it gives something else.
    """
    where = f"{file}:{name}"
    if not file.is_file():
        raise DataError(where, f"there is no file {file}", "give file.py:factory")
    with unchanged(file), session(DataError, where, whole=run_code) as code:
        samples = _in_their_words(lambda: _samples(_found(code.file(file), name, where, code), limit, where), file, where)
        notes = tuple(f"{said}; --run-code runs the whole file" for said in code.left_out())
    return replace(samples, notes=(*samples.notes, *notes))


def _in_their_words(job: Callable[[], Samples], file: Path, where: str) -> Samples:
    """The user's code may raise anything; it becomes one message with its line."""
    try:
        return job()
    except SnnError:
        raise
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).resolve() == file.resolve()]
        at = f" at line {lines[-1]}" if lines else ""
        raise DataError(where, f"failed{at}: {type(error).__name__}: {error}", "the error is in that file, or in what it reads") from error


def _found(module: ModuleType, name: str, where: str, code: Session) -> Any:
    try:
        thing = code.value(module, name)
    except KeyError:
        raise DataError(where, f"there is no {name!r} in it", did_you_mean(name, code.names(module))) from None
    return thing if _is_data(thing) and not isinstance(thing, type) else code.given(thing())


def _is_data(thing: Any) -> bool:
    return isinstance(thing, tuple) or hasattr(thing, "__getitem__") or hasattr(thing, "__iter__")


def _samples(thing: Any, limit: int | None, where: str) -> Samples:
    if isinstance(thing, Samples):
        return thing
    if isinstance(thing, tuple) and len(thing) == 2:
        return Samples({SOLE: _array(thing[0])[:limit]}, None if thing[1] is None else _array(thing[1])[:limit], where=where)
    if _is_array(thing):
        return Samples({SOLE: _array(thing)[:limit]}, where=where)
    if hasattr(thing, "dataset") and getattr(thing, "batch_size", None) is not None:
        return _joined((item for batch in thing for item in _items(batch, where)), limit, where)
    if _is_data(thing) and not isinstance(thing, str | bytes | dict):
        return _joined((_pair(item, where) for item in _each(thing)), limit, where)
    what = f"gave {type(thing).__name__}, which is neither (x, y) nor a Dataset nor a DataLoader"
    raise DataError(where, what, "return a pair of arrays [N, ...] and [N]")


def _each(dataset: Any) -> Iterable[Any]:
    """A Dataset's items: by index where it has a length, for not every Dataset stops by itself."""
    return (dataset[i] for i in range(len(dataset))) if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__") else dataset


def _items(batch: Any, where: str) -> Iterator[tuple[NDArray[Any], Any]]:
    x, y = _pair(batch, where)
    labels = [None] * len(x) if y is None else _array(y)
    if len(labels) != len(x):
        raise DataError(where, f"a batch has {len(x)} samples and {len(labels)} labels", "its collate_fn must give as many of each")
    yield from zip(x, labels, strict=True)


def _pair(item: Any, where: str) -> tuple[NDArray[Any], Any]:
    if isinstance(item, tuple | list) and len(item) == 2:
        return _array(item[0]), item[1]
    if isinstance(item, tuple | list | dict | str):
        raise DataError(where, f"an item is {type(item).__name__} of {len(item)}, not (x, y)", "give x, or the pair (x, y)")
    return _array(item), None


def _joined(items: Iterator[tuple[NDArray[Any], Any]], limit: int | None, where: str) -> Samples:
    pairs = list(islice(items, limit))
    shapes = sorted({x.shape for x, _ in pairs})
    if len(shapes) > 1:
        raise DataError(where, f"samples differ in shape: {list(shapes[0])} and {list(shapes[1])}", "pad or bin them to one shape")
    if not pairs:
        raise DataError(where, "gave no samples", "give at least one")
    labels = None if any(y is None for _, y in pairs) else np.array([_array(y) for _, y in pairs])
    return Samples({SOLE: np.stack([x for x, _ in pairs])}, labels, where=where)


def _is_array(thing: Any) -> bool:
    return isinstance(thing, np.ndarray) or hasattr(thing, "detach")


def _array(values: Any) -> NDArray[Any]:
    """A copy as a NumPy array; tensors are taken off their graph and device."""
    return np.array(values.detach().cpu().numpy() if hasattr(values, "detach") else values)
