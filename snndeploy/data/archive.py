"""Reading ``.npz`` files that nobody vouches for.

An ``.npz`` is a zip of ``.npy`` members. Sizes are read from the headers and refused before anything is allocated;
nothing is ever unpickled.
"""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from snndeploy.errors import DataError

LIMIT = 8 * 2**30
"""Bytes a whole file may unpack to. MNIST's 60,000 images over 100 steps are 4.4 GiB as bytes."""

BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    SyntaxError,
    tokenize.TokenError,
    TypeError,
)
"""What zipfile, zlib and NumPy raise on damaged, encrypted or foreign members."""


def read_archive(path: Path, limit: int = LIMIT) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` by name.

    Raises:
        DataError: the file is missing, empty, truncated, no zip, holds objects, or unpacks to more than ``limit`` bytes.
    """
    where = str(path)
    if not path.is_file():
        raise DataError(where, "there is no such file", "data is an .npz file or file.py:factory")
    if path.stat().st_size == 0:
        raise DataError(where, "is empty (0 bytes)", "was the writing of it interrupted?")
    try:
        with zipfile.ZipFile(path) as archive:
            members = [info for info in archive.infolist() if info.filename.endswith(".npy")]
            _check_sizes(members, limit, where)
            return {info.filename[: -len(".npy")]: _member(archive, info, where) for info in members}
    except BROKEN as error:
        raise DataError(where, f"is not a readable .npz: {error}", "write it with numpy.savez or numpy.savez_compressed") from None


def _check_sizes(members: list[zipfile.ZipInfo], limit: int, where: str) -> None:
    total = sum(info.file_size for info in members)
    if total > limit:
        largest = max(members, key=lambda info: info.file_size)
        what = f"claims to unpack to {total / 2**30:.1f} GiB ({largest.filename}: {largest.file_size:,} bytes)"
        what += f", more than {limit / 2**30:.1f} GiB"
        raise DataError(where, what, "store fewer samples, or a smaller type such as uint8")


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> NDArray[Any]:
    with archive.open(info) as stream:
        promised, dtype = _header(stream)
        read = stream.tell()
    if dtype.hasobject:
        raise DataError(f"{where}: {info.filename}", "holds Python objects, which are never unpickled", "store plain numbers")
    if promised + read != info.file_size:
        raise DataError(
            f"{where}: {info.filename}",
            f"its header promises {promised:,} bytes, the file holds {info.file_size - read:,}",
            "it is damaged",
        )
    with archive.open(info) as stream:
        array: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
    return array


def _header(stream: IO[bytes]) -> tuple[int, np.dtype[Any]]:
    """Bytes of data and the type that a member's header promises."""
    version = npy.read_magic(stream)
    shape, _, dtype = npy.read_array_header_1_0(stream) if version == (1, 0) else npy.read_array_header_2_0(stream)
    count = 1
    for size in shape:
        count *= int(size)
    return count * dtype.itemsize, dtype
