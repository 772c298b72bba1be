"""Frozen nouns as JSON values, and back: only plain data, each held against the type of its field.

Nothing read here is run or imported, and a text that is not what the noun says is refused: a file may come from anyone.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

Json = Any


def plain(value: Any) -> Json:
    """A noun as JSON values: a dataclass by its fields, NaN and infinity as null, text as ``written``."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {written(str(key)): plain(held) for key, held in value.items()}
    if isinstance(value, tuple | list):
        return [plain(held) for held in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return written(value)
    return value.item() if hasattr(value, "item") else value


def written(words: str) -> str:
    r"""Text whose characters are all shown, or spaces; any other, tabs and those of no width included, by its code: ``\t``, ``\u200b``."""
    return "".join(c if _still(c) else c.encode("unicode_escape").decode() for c in words)


def _still(c: str) -> bool:
    """Whether it moves no cursor and turns no text around: what is printed, a line's end, a space of any width."""
    return c.isprintable() or c == "\n" or unicodedata.category(c) == "Zs"


def noun(kind: Any, value: Json) -> Any:
    """The noun of that type again.

    Raises:
        ValueError, TypeError: another type, a field that is missing or unknown, text that moves a cursor.
    """
    if kind is Any:
        return _anything(value)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _either(inner, value)
    if origin is typing.Literal:
        return _one_of(inner, value)
    if origin is tuple:
        return _tuple(inner, value)
    if origin is not None and issubclass(origin, Mapping):
        return {_text(key): noun(inner[1], held) for key, held in _held(dict, value).items()}
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, _held(dict, value))
    return _leaf(kind, value)


def _anything(value: Json) -> Json:
    """JSON values as they are, if all their text is text."""
    if isinstance(value, dict):
        return {_text(key): _anything(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_anything(held) for held in value]
    return _text(value) if isinstance(value, str) else value


def _either(kinds: tuple[Any, ...], value: Json) -> Any:
    if value is None and type(None) in kinds:
        return None
    (kind,) = (k for k in kinds if k is not type(None))
    return noun(kind, value)


def _one_of(words: tuple[Any, ...], value: Json) -> Any:
    if value not in words:
        raise ValueError(f"{value!r} is none of {words}")
    return value


def _tuple(kinds: tuple[Any, ...], value: Json) -> Any:
    kind, *_ = kinds
    return tuple(noun(kind, held) for held in _held(list, value))


def _dataclass(kind: Any, given: dict[str, Json]) -> Any:
    known = _hints(kind)
    if unknown := given.keys() - known.keys():
        raise ValueError(f"{kind.__name__} has no {min(unknown)!r}")
    return kind(**{name: noun(known[name], held) for name, held in given.items()})


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _leaf(kind: Any, value: Json) -> Any:
    if kind is float:
        return math.nan if value is None else float(_number(value))
    if kind is int and isinstance(value, bool):
        raise TypeError("a truth value is no number")
    return _text(value) if kind is str else _held(kind, value)


def _number(value: Json) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return value


def _text(value: Json) -> str:
    """Text without control characters: what a terminal shows must not steer it."""
    words: str = _held(str, value)
    if not all(map(_still, words)):
        raise ValueError("text that holds control characters")
    return words


def _held(kind: type, value: Json) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"a {type(value).__name__} where a {kind.__name__} belongs")
    return value
