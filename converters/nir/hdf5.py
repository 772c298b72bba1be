"""The HDF5 file: bounded reading of groups and arrays, nothing outside the file, and why it cannot be read.

Layout of nir 1.0.8 (``nir/serialization.py``): ``/version``, and ``/node`` with ``type`` and its fields; a graph has
``nodes/<name>/...`` and ``edges`` [E, 2] of names; ``metadata`` may hold anything, and only ours is used.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from converters.nir.primitive import Field, Primitive
from converters.nir.strings import Heaps
from snndeploy.errors import ModelError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
DEEPEST = 16
MOST_NODES = 2_000
MOST_EDGES = 10_000
MOST_NOTES = 100
ALLOWANCE = 2**26
"""Bytes that arrays may take when unpacked, beside twenty times the file (gzip shrinks equal numbers a lot, weights little)."""
REWRITE = "write it again with nir.write(path, graph)"
BROKEN = (OSError, RuntimeError, ValueError, KeyError, TypeError, AttributeError, MemoryError)
"""What h5py raises on damaged files."""


@dataclass(frozen=True, eq=False)
class Subgraph:
    """A graph as the file has it: nodes by name (graphs among them) and pairs of names."""

    name: str
    nodes: dict[str, Primitive | Subgraph]
    edges: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class File:
    """What a .nir file holds.

    Attributes:
        top: the graph.
        version: of nir, "" where the file does not say.
        metadata: texts and numbers that the exporter noted beside the graph.
    """

    top: Subgraph
    version: str
    metadata: Mapping[str, Field]


def read(path: Path) -> File:
    """The content of a file.

    Raises:
        ModelError: not HDF5, not NIR, cut off, damaged, or larger unpacked than it can honestly be.
    """
    _sniff(path)
    try:
        with h5py.File(path, "r") as file, path.open("rb") as raw:
            size = path.stat().st_size
            reader = _Reader(str(path), size, Heaps(raw, file, size))
            return File(reader.root(file), reader.version(file), reader.metadata(file["node"]))
    except BROKEN as error:
        raise ModelError(
            str(path), f"is damaged or cut off: HDF5 cannot read it ({_first_line(error)})", "copy it again, or " + REWRITE
        ) from None


def _first_line(error: Exception) -> str:
    text = str(error).strip("'\"")
    return text.splitlines()[0][:120] if text else type(error).__name__


def _sniff(path: Path) -> None:
    """HDF5 starts at byte 0, 512, 1024, ...; nir writes at 0."""
    with path.open("rb") as file:
        head = file.read(2048)
    if SIGNATURE in (head[:8], head[512:520], head[1024:1032]):
        return
    if zipfile.is_zipfile(path):
        what = "is not HDF5 but a zip archive, as torch.save writes: its name ends in .nir, its content does not"
        raise ModelError(str(path), what, "load it with torch where it was made, and " + REWRITE)
    raise ModelError(str(path), "is not an HDF5 file, which a .nir file is", REWRITE)


class _Reader:
    """Reads one file and keeps count of what it has taken."""

    def __init__(self, where: str, size: int, heaps: Heaps) -> None:
        self.where = where
        self.heaps = heaps
        self.limit = ALLOWANCE + 20 * size
        self.taken = 0
        self.nodes = 0

    def version(self, file: h5py.File) -> str:
        value = self.value(file, "version") if "version" in file else ""
        return value if isinstance(value, str) else ""

    def metadata(self, top: h5py.Group) -> dict[str, Field]:
        noted = self.inside(top, "metadata") if "metadata" in top else {}
        keys = list(noted)[:MOST_NOTES] if isinstance(noted, h5py.Group) else []
        return {key: self.value(noted, key) for key in keys if isinstance(noted.get(key), h5py.Dataset)}

    def root(self, file: h5py.File) -> Subgraph:
        if "node" not in file and "nodes" in file and "__type__" in file.attrs:
            raise ModelError(self.where, "holds recorded activity (NIRGraphData), not a network", "give the .nir file of the graph")
        if "node" not in file:
            groups = ", ".join(list(file)[:6]) or "nothing"
            hint = "a file with `layer` is a lava-dl network: name it .net" if "layer" in file else REWRITE
            raise ModelError(self.where, f"is an HDF5 file, but not a NIR graph: it has no `node` (it has {groups})", hint)
        top = self.node(file, "node", "", 0)
        return top if isinstance(top, Subgraph) else Subgraph("", {top.kind.lower(): self._named(top)}, ())

    def _named(self, top: Primitive) -> Primitive:
        return Primitive(top.kind.lower(), top.kind, top.fields, self.where)

    def node(self, parent: Any, key: str, name: str, depth: int) -> Primitive | Subgraph:
        self.nodes += 1
        if depth > DEEPEST or self.nodes > MOST_NODES:
            raise ModelError(
                self.where, f"has more than {MOST_NODES:,} nodes or graphs nested deeper than {DEEPEST}", "the file is damaged"
            )
        group = self.inside(parent, key)
        label = f"node {name!r}" if name else "the top node"
        if not isinstance(group, h5py.Group) or "type" not in group:
            raise ModelError(f"{self.where}: {label}", "has no type", REWRITE)
        kind = self.value(group, "type")
        if not isinstance(kind, str):
            raise ModelError(f"{self.where}: {label}", "its type is not a text", REWRITE)
        if kind != "NIRGraph":
            keys = (k for k in group if k not in ("type", "metadata"))
            return Primitive(name, kind, {k: self.value(group, k) for k in keys}, self.where)
        return self.graph(group, name, depth)

    def graph(self, group: h5py.Group, name: str, depth: int) -> Subgraph:
        where = f"{self.where}: graph {name!r}" if name else self.where
        nodes = self.inside(group, "nodes") if "nodes" in group else None
        if not isinstance(nodes, h5py.Group) or "edges" not in group:
            raise ModelError(where, "has no nodes or no edges", REWRITE)
        inner = {key: self.node(nodes, key, f"{name}.{key}" if name else key, depth + 1) for key in nodes}
        return Subgraph(name, inner, tuple(self.edges(group, where)))

    def edges(self, group: h5py.Group, where: str) -> Iterator[tuple[str, str]]:
        data = self.inside(group, "edges")
        if not isinstance(data, h5py.Dataset) or (data.size and (data.ndim != 2 or data.shape[1] != 2)):
            raise ModelError(where, "its edges are not pairs of names", REWRITE)
        if (data.size or 0) > 2 * MOST_EDGES:
            raise ModelError(where, f"has {data.shape[0]:,} edges, more than {MOST_EDGES:,}", "the file is damaged")
        names = self.texts(data) if data.size else []
        for source, target in zip(names[::2], names[1::2], strict=True):
            if source is None or target is None:
                raise ModelError(where, "its edges are not pairs of names", REWRITE)
            yield source, target

    def inside(self, group: Any, key: str) -> Any:
        """A member, if it lies in this file: links to other places are not followed."""
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ModelError(self.where, f"`{key}` is a link to another place", "only self-contained files are read")
        return group[key]

    def weigh(self, data: h5py.Dataset) -> None:
        """Count an array as float64 before it is unpacked."""
        self.taken += max(8, data.dtype.itemsize) * int(data.size or 0)
        if self.taken > self.limit:
            what = f"`{data.name}` declares {list(data.shape)} of {data.dtype}, more than a file of this size can honestly hold"
            raise ModelError(self.where, what, "the file is damaged")

    def value(self, group: Any, key: str) -> Field:
        """An array or a text. What is neither (a group, references) is an empty array, which no field may be."""
        data = self.inside(group, key)
        if not isinstance(data, h5py.Dataset):
            return np.zeros(0)
        if data.external or data.is_virtual:
            raise ModelError(self.where, f"the values of `{data.name}` lie in another file", "only self-contained files are read")
        self.weigh(data)
        if data.dtype.kind not in "biuf":
            return self.string(data)
        if data.size is None:
            return np.zeros(0)
        values: NDArray[Any] = np.asarray(data[()])
        return values

    def string(self, data: h5py.Dataset) -> Field:
        """A single string; an empty array for anything else that is not a number."""
        return (self.texts(data)[0] if (data.size or 0) == 1 else None) or np.zeros(0)

    def texts(self, data: h5py.Dataset) -> list[str | None]:
        """Every string of an array, None for what is none. Whatever else HDF5 may hold is not looked at."""
        self.weigh(data)
        info = h5py.check_string_dtype(data.dtype)
        if info is None or data.external or data.is_virtual:
            return [None] * int(data.size)
        if info.length is None:
            if data.chunks is not None:
                raise ModelError(self.where, f"`{data.name}` keeps its texts in compressed pieces, which nir does not write", REWRITE)
            return list(self.heaps.texts(data))
        return [bytes(text).decode("utf-8", errors="replace") for text in np.ravel(data[()])]
