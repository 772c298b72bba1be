"""The small nouns between a tape and a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from converters.pt.slices import Element
from converters.pt.tape import Call
from snndeploy.arrays import Floats

Stream: TypeAlias = tuple[Element, ...]


@dataclass(frozen=True)
class Source:
    """What drives an input: the output of a node, ``delay`` steps ago."""

    node: int
    delay: int = 0


@dataclass(frozen=True, eq=False)
class Constant:
    """What drives an input is the same number at every step, whatever the data."""

    values: Floats


Drive: TypeAlias = Source | Constant


@dataclass(frozen=True, eq=False)
class Place:
    """One place of the network: its stream, the call that makes it (its last one), its operands."""

    stream: Stream
    call: Call
    operands: tuple[Stream, ...]
    calls: tuple[Call | None, ...]
