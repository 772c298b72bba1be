"""The HDF5 file as plain layers, and back: bounded reading, atomic writing. h5py is imported where it is used."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Ints
from snndeploy.errors import MissingPackage, ModelError, did_you_mean
from snndeploy.files import replacing

Value: TypeAlias = "str | NDArray[Any]"

MAX_VALUES = 1 << 25
"""Numbers in a file, all datasets together (256 MiB, as int64 too): beyond any network that a .net describes."""
MAX_LAYERS = 1000
MAX_TEXT, MAX_HEAP = 1000, 1 << 20
"""Bytes of a text, and of the heap in which it lies."""
LARGEST_OFFSET = 1 << 40
MAX_FIELDS = 256
"""Datasets and groups side by side in a layer."""
DEPTH = 3
"""Groups below a layer that are looked into: ``neuron/...`` and ``weight/real``."""
SPOILT = "export it again with lava-dl's export_hdf5, or copy it again if it was cut short"


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer as it is stored: its type, and every dataset by its path in the layer, such as "neuron/vThMant"."""

    where: str
    index: int
    kind: str
    values: Mapping[str, Value] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What its population is called."""
        return f"{self.kind}{self.index}"

    @property
    def spiking(self) -> bool:
        """True if it has a neuron group."""
        return any(key.startswith("neuron/") for key in self.values)

    def text(self, key: str, default: str = "") -> str:
        """A string."""
        value = self.values.get(key, default)
        return value if isinstance(value, str) else default

    def whole(self, key: str, default: int | None = None) -> Ints:
        """A dataset of whole numbers as int64. Raises ``ModelError`` where it is missing without a default, or not whole."""
        value = self.values.get(key)
        if value is None:
            if default is None:
                raise ModelError(self.where, f"has no {key!r}", did_you_mean(key, self.values))
            return np.asarray(default, np.int64)
        if isinstance(value, str) or value.dtype.kind not in "biuf":
            raise ModelError(self.where, f"{key!r} holds no numbers", SPOILT)
        if value.dtype.kind == "f" and not bool((np.isfinite(value) & (np.trunc(value) == value)).all()):
            what = f"{key!r} holds numbers that are not whole"
            raise ModelError(self.where, what, "a .net file is quantized: train with pre_hook_fx = neuron.quantize_8bit and export again")
        if value.size and max(abs(float(value.min())), abs(float(value.max()))) >= 1 << 31:
            raise ModelError(self.where, f"{key!r} holds numbers beyond 32 bits", SPOILT)
        return np.asarray(value).astype(np.int64)

    def number(self, key: str, default: int | None = None) -> int:
        """A single whole number, stored as a scalar or as an array of one."""
        values = self.whole(key, default)
        if values.size != 1:
            raise ModelError(self.where, f"{key!r} holds {values.size} numbers, not one", SPOILT)
        return int(values.ravel()[0])

    def shape(self) -> tuple[int, ...]:
        """Its ``shape``: (C, H, W), or fewer axes. Raises ``ModelError`` where an axis is below 1."""
        shape = tuple(int(n) for n in np.atleast_1d(self.whole("shape")).ravel())
        if not shape or min(shape) < 1:
            raise ModelError(self.where, f"has the shape {shape}", SPOILT)
        return shape

    def pair(self, key: str, default: int) -> tuple[int, int]:
        """(along H, along W) of a setting stored as one number or as two."""
        values = self.whole(key, default).ravel()
        if values.size not in (1, 2):
            raise ModelError(self.where, f"{key!r} holds {values.size} numbers, not one or two", SPOILT)
        return int(values[0]), int(values[-1])


@dataclass(frozen=True, eq=False)
class NetFile:
    """A file: its layers in order, and the steps of a sample (tSample / Ts; 0 where it does not say)."""

    where: str
    layers: tuple[Layer, ...]
    steps: int = 0


def read(path: Path) -> NetFile:
    """Every layer of a file. Raises ``ModelError`` for anything that is not a whole .net, ``MissingPackage`` without h5py."""
    h5py, where = _h5py(), str(path)
    try:
        with h5py.File(path, "r") as handle:
            return _read(handle, where, h5py)
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, OverflowError, MemoryError) as error:
        raise ModelError(where, f"is not a whole HDF5 file ({_first_line(error)})", SPOILT) from None


def _read(handle: Any, where: str, h5py: Any) -> NetFile:
    if not isinstance(handle.get("layer"), h5py.Group):
        held = ", ".join(list(handle)[:8]) or "nothing"
        hint = "it looks like a NIR file: name it .nir" if "node" in handle else "a .net file has a group 'layer' with layers 0, 1, ..."
        raise ModelError(where, f"has no group 'layer' (it holds {held})", hint)
    group, layers, left = handle["layer"], [], MAX_VALUES
    _check_numbering(list(group), where)
    for index in range(len(group)):
        here = f"{where}: layer {index}"
        if not isinstance(group.get(str(index)), h5py.Group):
            raise ModelError(here, "is not a group", SPOILT)
        values: dict[str, Value] = {}
        left = _collect(group[str(index)], "", values, left, here, h5py)
        kind = values.pop("type", "")
        if not isinstance(kind, str) or not kind:
            raise ModelError(here, "does not say its type", SPOILT)
        layers.append(Layer(here, index, kind, values))
    return NetFile(where, tuple(layers), _steps(handle, where, h5py))


def _check_numbering(names: list[str], where: str) -> None:
    if not names:
        raise ModelError(where, "has no layers", SPOILT)
    if len(names) > MAX_LAYERS:
        raise ModelError(where, f"has {len(names)} layers, more than {MAX_LAYERS}", SPOILT)
    missing = sorted({str(i) for i in range(len(names))} - set(names), key=int)
    if missing:
        raise ModelError(where, f"layer {missing[0]} is missing (there are {', '.join(sorted(names)[:12])})", SPOILT)


def _collect(group: Any, prefix: str, values: dict[str, Value], left: int, where: str, h5py: Any) -> int:
    """Put every dataset below ``group`` into ``values``; returns how many numbers may still follow."""
    if len(group) > MAX_FIELDS:
        raise ModelError(where, f"has {len(group)} fields side by side, more than {MAX_FIELDS}", SPOILT)
    for name in group:
        key = f"{prefix}{name}"
        item = _own(group, name, key, where, h5py)
        if isinstance(item, h5py.Group):
            if prefix.count("/") >= DEPTH:
                raise ModelError(where, f"{key!r} is nested too deep", SPOILT)
            left = _collect(item, f"{key}/", values, left, where, h5py)
            continue
        left -= 1 if item.shape is None else max(int(item.size), int(item.nbytes) // 8)
        if left < 0:
            raise ModelError(where, f"{key!r} makes the file larger than {MAX_VALUES:,} numbers", "no chip network is that large")
        value = _value(item, key, where)
        if value is not None:
            values[key] = value
    return left


def _own(group: Any, name: str, key: str, where: str, h5py: Any) -> Any:
    """A group or dataset of this file."""
    if isinstance(group.get(name, getlink=True), h5py.ExternalLink):
        raise ModelError(where, f"{key!r} lies in another file", "only self-contained files are read")
    item = group[name]
    if not isinstance(item, h5py.Group | h5py.Dataset):
        raise ModelError(where, f"{key!r} is neither a group nor a dataset", SPOILT)
    return item


def _value(item: Any, key: str, where: str) -> Value | None:
    """A text or an array; None for a dataset without data (mlGeNN writes gradedSpike so)."""
    if item.shape is None:
        return None
    if item.dtype.kind == "O":
        return _text(item, key, where)
    stored = np.asarray(item[()])
    if stored.dtype.kind == "S" and stored.size == 1:
        return bytes(stored.ravel()[0]).decode("ascii", "replace").strip("\0 ")
    return stored


def _text(item: Any, key: str, where: str) -> str:
    """A text of variable length, read from the file itself: of a damaged one HDF5 takes gigabytes, or never comes back.

    The dataset holds its length (4 bytes), and the address (8) and number (4) of an object in a global heap: a collection
    of 16 bytes of head and objects of 16 bytes of head (number 2, 6 unused, size 8) and contents padded to 8 bytes.
    Source: HDF5 file format specification 3.0, III.E and VIII.B.
    """
    offset = item.id.get_offset() if item.size == 1 else None
    if offset is None:
        raise ModelError(where, f"{key!r} is neither numbers nor one text", SPOILT)
    with Path(item.file.filename).open("rb") as raw:
        length, address, number = struct.unpack("<IQI", _bytes(raw, offset, 16))
        signature, _, end = struct.unpack("<4sIQ", _bytes(raw, address, 16))
        place, end = address + 16, address + min(end, MAX_HEAP)
        while signature == b"GCOL" and length <= MAX_TEXT and place + 16 + length <= end:
            found, _, _, size = struct.unpack("<HHIQ", _bytes(raw, place, 16))
            if found == number and size >= length:
                return _bytes(raw, place + 16, length).decode("ascii", "replace").strip("\0 ")
            place += 16 + max(8, -(-size // 8) * 8)
    raise ModelError(where, f"the text of {key!r} is damaged", SPOILT)


def _bytes(raw: BinaryIO, place: int, count: int) -> bytes:
    """Bytes of the file; zeros behind its end."""
    raw.seek(min(place, LARGEST_OFFSET))
    return raw.read(count).ljust(count, b"\0")


def _steps(handle: Any, where: str, h5py: Any) -> int:
    group = handle.get("simulation")
    if not isinstance(group, h5py.Group) or "tSample" not in group:
        return 0
    values: dict[str, Value] = {}
    _collect(group, "", values, 64, f"{where}: simulation", h5py)
    layer = Layer(f"{where}: simulation", 0, "simulation", values)
    length, step = layer.number("tSample"), layer.number("Ts", 1)
    if step < 1 or length < 0 or length % step:
        raise ModelError(layer.where, f"a sample of {length} is not a whole number of steps of {step}", "give --timesteps")
    return length // step


def write(path: Path, layers: list[Layer], steps: int) -> None:
    """Write a file at once or not at all, the same bytes for the same layers. Raises ``ModelError`` where it cannot be."""
    h5py = _h5py()
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w", libver="earliest", track_order=False) as handle:
            for layer in layers:
                group = handle.create_group(f"layer/{layer.index}")
                group.create_dataset("type", (1,), "S10", [layer.kind.encode("ascii")])
                for key, value in layer.values.items():
                    group.create_dataset(key, data=value.encode("ascii") if isinstance(value, str) else value)
            if steps:
                handle.create_dataset("simulation/Ts", data=1)
                handle.create_dataset("simulation/tSample", data=steps)
    except OSError as error:
        hint = "check that the folder exists and may be written to"
        raise ModelError(str(path), f"cannot be written: {_first_line(error)}", hint) from None


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _h5py() -> Any:
    try:
        import h5py  # noqa: PLC0415 - optional, and only .net and .nir files need it
    except ModuleNotFoundError as error:
        if error.name != "h5py":
            raise
        raise MissingPackage("converters.lava_net", "h5py", "net") from None
    return h5py
