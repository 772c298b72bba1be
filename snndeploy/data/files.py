"""``read``: one word on the command line, ``--data D``, becomes samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from snndeploy.data.archive import read_archive
from snndeploy.data.events import Binning, bin_events, recordings
from snndeploy.data.factory import from_factory
from snndeploy.data.samples import SOLE, Samples
from snndeploy.errors import DataError, OptionError


def read(
    spec: str,
    *,
    binning: Binning | None = None,
    sensor: tuple[int, int] | None = None,
    limit: int | None = None,
    run_code: bool = False,
) -> Samples:
    """Samples from ``data.npz`` or ``file.py:factory``.

    An ``.npz`` holds x (or x_<input name> for several inputs) [N, *shape] or [N, T, *shape], and perhaps y [N]; or
    events x, y, p, t, offset and perhaps label, which ``binning`` cuts into frames [N, T, 2, H, W]. ``sensor`` (H, W)
    is the size of the event camera. ``limit`` keeps the first samples only. ``run_code`` runs a factory's file whole,
    not its definitions alone.

    Raises:
        DataError: the file, or what is in it, is not that; OptionError: ``binning`` is missing for events, or given without them.
    """
    if limit is not None and limit < 1:
        raise OptionError("--samples", f"{limit} is not a positive number", "give at least 1")
    file, colon, name = spec.rpartition(":")
    if colon and file.endswith(".py"):
        _no_binning(binning, spec)
        return from_factory(Path(file), name, limit, run_code=run_code)
    if spec.endswith(".py"):
        raise DataError(spec, "names a file, but no factory in it", f"write {spec}:factory")
    arrays = read_archive(Path(spec))
    if "offset" in arrays:
        return _events(arrays, binning, sensor, limit, spec)
    _no_binning(binning, spec)
    return _plain(arrays, limit, spec)


def _no_binning(binning: Binning | None, spec: str) -> None:
    if binning is not None:
        raise OptionError("--bin-us, --frames", f"{spec} holds no event recordings (x, y, p, t, offset)", "leave the option out")


def _plain(arrays: Mapping[str, NDArray[Any]], limit: int | None, spec: str) -> Samples:
    inputs = {SOLE if name == "x" else name[2:]: values for name, values in arrays.items() if name == "x" or name.startswith("x_")}
    if SOLE in inputs and len(inputs) > 1:
        raise DataError(spec, "holds both x and x_<input name>", "name every input, or give x alone")
    if not inputs:
        raise DataError(spec, f"holds {', '.join(sorted(arrays)) or 'nothing'}, but no x", "x [N, ...] is the input, y [N] the labels")
    for name, values in inputs.items():
        if values.ndim == 0:
            raise DataError(f"{spec}: x_{name}" if name else f"{spec}: x", "is a single number", "the first axis counts samples")
    labels = arrays.get("y")
    _check_labels(labels, inputs, spec)
    kept = {name: values[:limit] for name, values in inputs.items()}
    return Samples(
        kept, None if labels is None else labels[:limit], where=spec, notes=_unused(arrays, {"x", "y"} | {f"x_{name}" for name in inputs})
    )


def _check_labels(labels: NDArray[Any] | None, inputs: Mapping[str, NDArray[Any]], spec: str) -> None:
    """Count before cutting: a limit must not hide that labels and samples differ."""
    count = len(next(iter(inputs.values())))
    if labels is not None and (labels.ndim == 0 or len(labels) != count):
        raise DataError(f"{spec}: y", f"{labels.size} labels for {count} samples", "give one label a sample")


def _events(
    arrays: Mapping[str, NDArray[Any]], binning: Binning | None, sensor: tuple[int, int] | None, limit: int | None, spec: str
) -> Samples:
    if binning is None:
        raise OptionError(spec, "holds event recordings, which must be binned", "give --bin-us U, or --frames T --split-by number|time")
    events = recordings(arrays, spec, limit)
    frames, lost = bin_events(events, binning, sensor)
    notes = _unused(arrays, {"x", "y", "p", "t", "t_us", "offset", "label"})
    if lost:
        notes = (*notes, f"{lost:,} of {len(events.t):,} events lie after step {binning.timesteps} and are left out")
    labels = arrays.get("label")
    _check_labels(labels, {SOLE: arrays["offset"][1:]}, spec)
    return Samples({SOLE: frames}, None if labels is None else labels[: len(frames)], where=spec, notes=notes)


def _unused(arrays: Mapping[str, NDArray[Any]], used: set[str]) -> tuple[str, ...]:
    rest = sorted(set(arrays) - used)
    return (f"not used: {', '.join(rest)}",) if rest else ()
