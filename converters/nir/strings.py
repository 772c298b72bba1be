"""Strings of variable length, read by hand: HDF5's own reader trusts what a damaged global heap says, and can crash on it.

Layout: HDF5 File Format Specification 3.0, III.E "Disk Format: Level 1E - Global Heap" and IV.A.2.d, variable-length types.
"""

from __future__ import annotations

from typing import BinaryIO

import h5py

LIMIT = 1_000_000
"""Objects of heaps that are looked at for one file."""
HEADER = 8
"""Bytes of a heap's signature and version, and of an object's index, reference count and padding."""


class Heaps:
    """The global heaps of one open file; ``ValueError`` on whatever does not add up."""

    def __init__(self, raw: BinaryIO, file: h5py.File, size: int) -> None:
        self.raw = raw
        self.size = size
        self.offsets, self.lengths = file.id.get_create_plist().get_sizes()
        self.looked = 0
        self.heaps: dict[int, dict[int, tuple[int, int]]] = {}

    def texts(self, data: h5py.Dataset) -> list[str]:
        """Every string of a data set that is stored in one piece, in C order."""
        step = self.offsets + 8
        start = data.id.get_offset()
        if start is None:
            raise ValueError("strings of variable length that are not stored in one piece")
        table = self.at(start, step * int(data.size))
        return [self.text(table[i : i + step]) for i in range(0, len(table), step)]

    def text(self, element: bytes) -> str:
        """One string: its length, the address of its heap, and its index there."""
        length, address, index = (int.from_bytes(part, "little") for part in (element[:4], element[4:-4], element[-4:]))
        if not length:
            return ""
        if address not in self.heaps:
            self.heaps[address] = self.heap(address)
        start, size = self.heaps[address].get(index, (0, 0))
        if length > size:
            raise ValueError("a string is longer than its place in the heap")
        return self.at(start, length).split(b"\0", 1)[0].decode("utf-8", errors="replace")

    def heap(self, address: int) -> dict[int, tuple[int, int]]:
        """Index -> where an object lies and how long it is."""
        head = self.at(address, HEADER + self.lengths)
        end = address + int.from_bytes(head[HEADER:], "little")
        if head[:5] != b"GCOL\x01" or end > self.size:
            raise ValueError("a global heap is damaged")
        found: dict[int, tuple[int, int]] = {}
        place = address + HEADER + self.lengths
        while place + HEADER + self.lengths <= end:
            self.looked += 1
            if self.looked > LIMIT:
                raise ValueError("its heaps are larger than any network's")
            head = self.at(place, HEADER + self.lengths)
            index, size = int.from_bytes(head[:2], "little"), int.from_bytes(head[HEADER:], "little")
            if not index:
                break
            found[index] = (place + HEADER + self.lengths, size)
            place += HEADER + self.lengths + -(-size // 8) * 8
        return found

    def at(self, start: int, count: int) -> bytes:
        """Bytes of the file."""
        if start + count > self.size:
            raise ValueError("a string lies beyond the end of the file")
        self.raw.seek(start)
        return self.raw.read(count)
