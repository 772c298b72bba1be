"""Which axis of which value is time, which is the batch, and which are features.

Each value gets one token an axis: "T" time, "B" batch, "TB" and "BT" both flattened into one, "1" a single axis that
stands for time (``unsqueeze(0)``), "f" a feature. None where it cannot be known,
which matters only if the value is used (``deriving``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal, TypeAlias

from converters.pt.tape import Call
from snndeploy.arrays import Shape

Axes: TypeAlias = tuple[str, ...]
Layout: TypeAlias = Literal["B", "TB", "BT", "T*B", "B*T", "B..T"]
"""The leading axes of the model's inputs; "B*T" is both flattened into one; "B..T": the batch first, time last."""
LEADS: Mapping[str, Axes] = {"B": ("B",), "TB": ("T", "B"), "BT": ("B", "T"), "T*B": ("TB",), "B*T": ("BT",), "B..T": ("B",)}
LAST: Mapping[str, Axes] = {"B..T": ("T",)}
TIME = frozenset(["T", "TB", "BT"])


@dataclass(frozen=True, eq=False)
class AxisMap:
    """The axes of every value; ``steps`` = T, ``batch`` = B."""

    steps: int
    batch: int
    shapes: tuple[Shape, ...]
    tokens: Mapping[int, Axes | None]

    def of(self, value: int) -> Axes | None:
        """The tokens, or None where they cannot be known."""
        return self.tokens.get(value)

    def timed(self, value: int) -> bool:
        """Whether the value holds all steps."""
        return not TIME.isdisjoint(self.of(value) or ())

    def features(self, value: int) -> Shape | None:
        """The shape without time and batch."""
        tokens = self.of(value)
        return None if tokens is None else tuple(n for n, a in zip(self.shapes[value], tokens, strict=True) if a == "f")

    def time_last(self, value: int) -> bool:
        """Whether the axes are [B, features ..., T]."""
        tokens = self.of(value) or ()
        return len(tokens) > 2 and tokens[0] == "B" and tokens[-1] == "T" and set(tokens[1:-1]) == {"f"}

    def lead(self, value: int) -> int:
        """How many axes come before the features; -1 where features and others are mixed."""
        tokens = self.of(value) or ()
        count = sum(a != "f" for a in tokens)
        return count if "f" not in tokens[:count] else -1


def argument(call: Call, position: int, name: str, default: Any = None) -> Any:
    """A function's argument by position or name."""
    return call.args[position] if len(call.args) > position else call.kwargs.get(name, default)


def dims(call: Call, position: int = 1, name: str = "dim") -> tuple[int, ...] | None:
    """The axes a function works on, counted from 0; None for all."""
    given = argument(call, position, name)
    if isinstance(given, tuple):
        return tuple(int(d) for d in given)
    if not isinstance(given, int):
        return None
    rest = takewhile(lambda a: isinstance(a, int) and not isinstance(a, bool), call.args[position:])
    return tuple(int(d) for d in rest) or (given,)


def permutation(call: Call, rank: int) -> tuple[int, ...] | None:
    """The order in which permute, transpose, swapaxes or movedim put the axes; None if it is not plain."""
    if call.op == "permute":
        given = dims(call, 1, "dims")
        return None if given is None else tuple(d % rank for d in given)
    names = ("source", "destination") if call.op in ("movedim", "moveaxis") else ("dim0", "dim1")
    one, two = argument(call, 1, names[0]), argument(call, 2, names[1])
    if not isinstance(one, int) or not isinstance(two, int):
        return None
    order, one, two = list(range(rank)), one % rank, two % rank
    if call.op in ("movedim", "moveaxis"):
        order.insert(two, order.pop(one))
    else:
        order[one], order[two] = two, one
    return tuple(order)


def index_items(call: Call, rank: int) -> tuple[Any, ...] | None:
    """``x[...]`` written out with one entry an axis (None for a new one, a tuple for an index list); None for masks."""
    given = argument(call, 1, "index")
    items = given if isinstance(given, tuple) else (given,)
    if any(isinstance(i, list | bool) for i in items):
        return None
    used = sum(i is not None and i is not Ellipsis for i in items)
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    fill = (slice(None),) * (rank - used)
    return (*items[:at], *fill, *items[at + 1 :])
