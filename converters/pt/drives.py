"""The small nouns between a tape and a graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from converters.pt.slices import Element
from converters.pt.tape import Call
from snndeploy.arrays import Floats
from snndeploy.errors import SnnError, Unsupported

Stream: TypeAlias = tuple[Element, ...]


class AxesUnknown(Unsupported):
    """Time, batch and features cannot be told apart, at least not if the inputs are laid out as was tried."""


def most_telling(errors: Sequence[SnnError]) -> SnnError:
    """Of the errors of several attempts the first that is about the network, not about the attempt."""
    return next((e for e in errors if isinstance(e, Unsupported) and not isinstance(e, AxesUnknown)), errors[0])


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
