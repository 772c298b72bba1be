"""Nested values as people pass them: tuples, lists, named tuples, dicts and data classes, with anything at their ends."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeAlias

from torch import Tensor

Path: TypeAlias = tuple[Hashable, ...]
"""The way from a tree to something inside it: positions, keys and names of fields."""


def branches(tree: Any) -> dict[Hashable, Any] | None:
    """What hangs at a tree, by position, key or field; None for what is no tree."""
    if isinstance(tree, Mapping):
        return dict(tree)
    if isinstance(tree, tuple | list):
        return dict(enumerate(tree))
    ours = type(tree).__module__.startswith("converters.")
    if dataclasses.is_dataclass(tree) and not isinstance(tree, type) and not ours:
        return {f.name: getattr(tree, f.name) for f in dataclasses.fields(tree)}
    return None


def fields(tree: Any) -> dict[str, Hashable]:
    """The names by which a tree calls what hangs at it, and where that is."""
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return {str(name): i for i, name in enumerate(tree._fields)}
    found = branches(tree) or {}
    return {key: key for key in found if isinstance(key, str)}


def flat(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every end of a tree, with the way to it, in order."""
    found = branches(tree)
    if found is None:
        yield path, tree
    else:
        for key, item in found.items():
            yield from flat(item, (*path, key))


def at(tree: Any, path: Path) -> Any:
    """What stands at the end of a way. Raises ``KeyError`` where there is nothing."""
    for key in path:
        tree = (branches(tree) or {})[key]
    return tree


def mapped(tree: Any, change: Callable[[Path, Any], Any], path: Path = ()) -> Any:
    """A tree of the same kind with every end changed."""
    found = branches(tree)
    if found is None:
        return change(path, tree)
    items = {key: mapped(item, change, (*path, key)) for key, item in found.items()}
    if isinstance(tree, tuple | list):
        values = list(items.values())
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    made: Any = copy.copy(tree)
    for key, item in items.items():
        if isinstance(tree, Mapping):
            made[key] = item
        else:
            object.__setattr__(made, str(key), item)
    return made


def fits(before: Any, after: Any) -> bool:
    """Whether what stands at one step can take the place of what stood there before.

    What is None or empty before the first step may become anything; zeros of few numbers may become more of them.
    """
    if before is None or after is None:
        return True
    if isinstance(after, Tensor):
        if isinstance(before, Tensor):
            return before.shape == after.shape or _grows(before, after)
        return isinstance(before, int | float) and not isinstance(before, bool) and before == 0
    a, b = branches(before), branches(after)
    if a == {} and b is not None:
        return True
    if a is None or b is None:
        return a is b and type(before) is type(after)
    return len(a) == len(b) and all(fits(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def _grows(before: Tensor, after: Tensor) -> bool:
    broad = before.ndim <= after.ndim and all(n in (1, m) for n, m in zip(reversed(before.shape), reversed(after.shape), strict=False))
    return broad and not bool(before.any())
