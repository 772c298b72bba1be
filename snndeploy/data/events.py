"""Event recordings binned into frames of counts, [N, T, 2, H, W].

A recording is a list of events (x, y, polarity, time in µs). Two conventions of binning are in use:
bins of a fixed length from the time origin, and T frames a recording that hold equal numbers of events or equal time
(SpikingJelly, ``datasets.cal_fixed_frames_number_segment_index``; the last frame takes the remainder).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.errors import DataError, OptionError

SplitBy: TypeAlias = Literal["number", "time"]
LIMIT = 8 * 2**30
"""Bytes that binned recordings may take."""


@dataclass(frozen=True)
class Binning:
    """How time is cut: bins of ``bin_us`` µs, or ``frames`` frames split by number of events or by time.

    With ``bin_us``, ``timesteps`` bins are kept; None keeps as many as the longest recording needs.
    """

    bin_us: int | None = None
    frames: int | None = None
    split_by: SplitBy = "number"
    timesteps: int | None = None

    def __post_init__(self) -> None:
        if (self.bin_us is None) == (self.frames is None):
            raise OptionError(
                "event recordings", "need either --bin-us or --frames", "e.g. --bin-us 10000, or --frames 16 --split-by number"
            )
        for name in ("bin_us", "frames", "timesteps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise OptionError(f"--{name.replace('_', '-')}", f"{value} is not a positive number", "give at least 1")
        if self.split_by not in ("number", "time"):
            raise OptionError("--split-by", f"{self.split_by!r} is neither number nor time", "number or time")


@dataclass(frozen=True, eq=False)
class Recordings:
    """Events of N recordings, one after the other: recording n holds events ``offset[n]`` to ``offset[n + 1]``.

    Attributes:
        x, y: column and row; p: polarity 0 or 1; t: time in µs, not falling within a recording. All [E].
        offset: [N + 1].
    """

    x: Ints
    y: Ints
    p: Ints
    t: Ints
    offset: Ints
    where: str

    def __post_init__(self) -> None:
        for name in ("x", "y", "p", "t", "offset"):
            _whole(getattr(self, name), f"{self.where}: {name}")
        if len({len(self.x), len(self.y), len(self.p), len(self.t)}) != 1:
            raise DataError(self.where, "x, y, p and t have different lengths", "they need one entry an event")
        rising = len(self.offset) >= 2 and bool((np.diff(self.offset) >= 0).all())
        if not rising or self.offset[0] != 0 or self.offset[-1] != len(self.x):
            raise DataError(f"{self.where}: offset", f"does not run from 0 to {len(self.x)} without falling", "N + 1 starts of recordings")
        if len(self.p) and self.p.max() > 1:
            raise DataError(
                f"{self.where}: p", f"polarities are {sorted(set(self.p.tolist()))[:4]}, not 0 and 1", "store 0 for off, 1 for on"
            )
        back = np.flatnonzero(np.diff(self.t) < 0) + 1
        inside = back[~np.isin(back, self.offset)]
        if inside.size:
            n = int(np.searchsorted(self.offset, inside[0], side="right")) - 1
            raise DataError(f"{self.where}: t", f"time runs backwards in recording {n}", "sort each recording by time")


def recordings(arrays: Mapping[str, NDArray[Any]], where: str, limit: int | None = None) -> Recordings:
    """The first ``limit`` recordings (all by default) of a file's arrays x, y, p, t (or t_us, both in µs), offset.

    Raises:
        DataError: an array is missing, not whole numbers, or the arrays contradict each other.
    """
    fields = {name: arrays.get(name) for name in ("x", "y", "p", "offset")}
    fields["t"] = arrays.get("t", arrays.get("t_us"))
    for name, values in fields.items():
        if values is None:
            raise DataError(where, f"is an event recording (it has offset) without {name}", "event files hold x, y, p, t, offset, label")
    offset = _whole(fields.pop("offset"), f"{where}: offset")[: None if limit is None else limit + 1]
    whole = {name: _whole(values, f"{where}: {name}") for name, values in fields.items()}
    end = int(offset[-1]) if limit is not None and offset.size else None
    return Recordings(offset=offset, where=where, **{name: values[:end] for name, values in whole.items()})


def _whole(values: Any, where: str) -> Ints:
    array = np.asarray(values)
    if array.ndim != 1 or array.dtype.kind not in "biu":
        raise DataError(
            where, f"is {array.dtype} {list(array.shape)}, not a list of whole numbers", "store unsigned integers, one an event"
        )
    whole: Ints = array.astype(np.int64)
    if whole.size and whole.min() < 0:
        raise DataError(where, "holds negative numbers", "coordinates, polarities and times start at 0")
    return whole


def bin_events(events: Recordings, binning: Binning, sensor: tuple[int, int] | None = None) -> tuple[NDArray[Any], int]:
    """Counts of events [N, T, 2, H, W] in the smallest unsigned type that holds them, and how many events were left out.

    ``sensor`` is (H, W); by default the smallest that holds every event. Events are left out only beyond
    ``binning.timesteps`` bins.

    Raises:
        DataError: an event lies outside the sensor, or the frames would take more than 8 GiB.
    """
    height, width = sensor or (_extent(events.y), _extent(events.x))
    outside = np.flatnonzero((events.y >= height) | (events.x >= width))
    if outside.size:
        i = outside[0]
        raise DataError(
            events.where,
            f"event {i} at x={events.x[i]}, y={events.y[i]} lies outside {height} rows x {width} columns",
            "give the camera's size, --sensor ROWS,COLUMNS, or mend the recording",
        )
    step = _steps(events, binning)
    kept = step < binning.timesteps if binning.bin_us and binning.timesteps else np.ones(len(step), np.bool_)
    count = binning.frames or binning.timesteps or (int(step.max()) + 1 if step.size else 1)
    shape = (len(events.offset) - 1, count, 2, height, width)
    if (size := int(np.prod(shape, dtype=np.float64))) > LIMIT:
        raise DataError(
            events.where, f"binned to {list(shape)} it takes {size / 2**30:.1f} GiB", "use longer bins, fewer frames or fewer samples"
        )
    place = ((step * 2 + events.p) * height + events.y) * width + events.x
    return _counts(place, kept, events.offset, shape), int((~kept).sum())


def _extent(places: Ints) -> int:
    return int(places.max()) + 1 if places.size else 1


def _steps(events: Recordings, binning: Binning) -> Ints:
    """The time step of every event."""
    if binning.bin_us is not None:
        return events.t // binning.bin_us
    step = np.zeros(len(events.t), np.int64)
    frames = binning.frames or 1
    for start, stop in itertools.pairwise(events.offset):
        t = events.t[start:stop]
        if not t.size:
            continue
        along, length = (np.arange(t.size), t.size // frames) if binning.split_by == "number" else (t - t[0], int(t[-1] - t[0]) // frames)
        step[start:stop] = np.minimum(along // length, frames - 1) if length else frames - 1
    return step


def _counts(place: Ints, kept: NDArray[np.bool_], offset: Ints, shape: tuple[int, ...]) -> NDArray[Any]:
    out: NDArray[Any] = np.zeros(shape, np.uint8)
    for n, (start, stop) in enumerate(itertools.pairwise(offset)):
        one = np.bincount(place[start:stop][kept[start:stop]], minlength=int(np.prod(shape[1:])))
        if one.max() > np.iinfo(out.dtype).max:
            out = out.astype(np.min_scalar_type(int(one.max())))
        out[n] = one.reshape(shape[1:])
    return out
