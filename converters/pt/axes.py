"""Which axis of which value is time, which is the batch, and which are features.

Each value gets one token an axis: "T" time, "B" batch, "TB" and "BT" both flattened into one, "1" a single axis that
stands for time (``unsqueeze(0)``), "f" a feature. Derived forward through the tape; None where it cannot be known,
which matters only if the value is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal, TypeAlias

from converters.pt.libraries import takes
from converters.pt.tape import Call, Ref, Tape, refs
from snndeploy.arrays import Shape

Axes: TypeAlias = tuple[str, ...]
Layout: TypeAlias = Literal["B", "TB", "BT", "T*B", "B*T"]
"""The leading axes of the model's inputs; "B*T" is both flattened into one."""
LEADS: Mapping[str, Axes] = {"B": ("B",), "TB": ("T", "B"), "BT": ("B", "T"), "T*B": ("TB",), "B*T": ("BT",)}
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

    def lead(self, value: int) -> int:
        """How many axes come before the features; -1 where features and others are mixed."""
        tokens = self.of(value) or ()
        count = sum(a != "f" for a in tokens)
        return count if "f" not in tokens[:count] else -1


def derive(tape: Tape, layout: Layout, steps: int) -> AxisMap:
    """Follow the axes through the tape, from inputs that are laid out like ``layout``."""
    first = tape.shapes[next(iter(tape.inputs))]
    lead = LEADS[layout]
    batch = 0 if len(first) < len(lead) else first[lead.index("B")] if "B" in lead else first[0] // steps
    tokens: dict[int, Axes | None] = {}
    for value in tape.inputs:
        shape = tape.shapes[value]
        fits = len(shape) >= len(lead) and ("T" not in lead or shape[lead.index("T")] == steps)
        tokens[value] = (*lead, *"f" * (len(shape) - len(lead))) if fits else None
    known = AxisMap(steps, batch, tape.shapes, tokens)
    for call in tape.calls:
        rule = RULES.get(call.op, _elementwise)
        for position, out in enumerate(call.outs):
            tokens[out] = rule(call, known, out if position == 0 else call.outs[position])
    return known


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


def _source(call: Call, known: AxisMap) -> tuple[int, Axes | None]:
    value = next(refs((call.args, call.kwargs)))
    return value, known.of(value)


def _layer(call: Call, known: AxisMap, out: int) -> Axes | None:
    value, before = _source(call, known)
    lead = known.lead(value)
    if before is None or lead < 0 or known.shapes[out][:lead] != known.shapes[value][:lead]:
        return None
    return (*before[:lead], *"f" * (len(known.shapes[out]) - lead))


def _neuron(call: Call, known: AxisMap, out: int) -> Axes | None:
    """A neuron takes one step, [B, ...], or all of them, [T, B, ...]; the state it returns is that of one step."""
    value, before = _source(call, known)
    wanted = takes(call.module)
    if before is None or before[: len(wanted)] != wanted:
        return None
    if out != call.outs[0] and known.shapes[out][: len(wanted)] != known.shapes[value][: len(wanted)]:
        return ("B", *"f" * (len(known.shapes[out]) - 1))
    return _layer(call, known, out)


def _elementwise(call: Call, known: AxisMap, out: int) -> Axes | None:
    rank = len(known.shapes[out])
    fits = [t for v in refs((call.args, call.kwargs)) if (t := known.of(v)) is not None and len(t) == rank]
    return max(fits, key=lambda t: sum(a in TIME for a in t), default=None)


def _resized(call: Call, known: AxisMap, out: int) -> Axes | None:
    """view, reshape, flatten, unflatten: the leading axes are found again by their sizes."""
    value, before = _source(call, known)
    lead, after = known.lead(value), known.shapes[out]
    if before is None or lead < 0:
        return None
    sizes = {"T": known.steps, "B": known.batch, "TB": known.steps * known.batch, "BT": known.steps * known.batch, "1": 1}
    features = math.prod(known.shapes[value][lead:])
    for candidate in (before[:lead], *_equivalent(before[:lead])):
        head = tuple(sizes[a] for a in candidate)
        if after[: len(head)] == head and math.prod(after[len(head) :]) == features:
            return (*candidate, *"f" * (len(after) - len(head)))
    return None


def _equivalent(lead: Axes) -> tuple[Axes, ...]:
    joined = {("T", "B"): ("TB",), ("B", "T"): ("BT",), ("TB",): ("T", "B"), ("BT",): ("B", "T")}
    kept = tuple(a for a in lead if a != "1")
    return (*((joined[lead],) if lead in joined else ()), *((kept,) if kept != lead else ()))


def _unsqueezed(call: Call, known: AxisMap, out: int) -> Axes | None:
    value, before = _source(call, known)
    if before is None:
        return None
    at = int(argument(call, 1, "dim")) % len(known.shapes[out])
    return (*before[:at], "f" if at >= max(known.lead(value), 1) else "1", *before[at:])


def _permuted(call: Call, known: AxisMap, out: int) -> Axes | None:
    _, before = _source(call, known)
    order = permutation(call, len(known.shapes[out]))
    return None if before is None or order is None else tuple(before[i] for i in order)


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


def _stacked(call: Call, known: AxisMap, out: int) -> Axes | None:
    parts = argument(call, 0, "tensors")
    before = known.of(next(refs(parts))) if parts else None
    if before is None or len(parts) != known.steps or not TIME.isdisjoint(before):
        return None
    at = int(argument(call, 1, "dim", 0)) % len(known.shapes[out])
    return (*before[:at], "T", *before[at:])


def _joined(call: Call, known: AxisMap, _out: int) -> Axes | None:
    parts = argument(call, 0, "tensors")
    known_parts = [t for v in refs(parts) if (t := known.of(v)) is not None]
    if not known_parts:
        return None
    before = known_parts[0]
    at = int(argument(call, 1, "dim", 0)) % len(before)
    if before[at] == "1" and len(parts) == known.steps:
        return (*before[:at], "T", *before[at + 1 :])
    return before if before[at] == "f" else None


def _repeated(call: Call, known: AxisMap, out: int) -> Axes | None:
    """expand, repeat: a new or single leading axis of size T is time."""
    value, before = _source(call, known)
    after = known.shapes[out]
    if before is None:
        return None
    old = (1,) * (len(after) - len(before)) + known.shapes[value]
    tokens = ("1",) * (len(after) - len(before)) + before
    pairs = zip(tokens, old, after, strict=True)
    result = tuple("T" if a == "1" and new == known.steps else a if was == new else "?" for a, was, new in pairs)
    return None if "?" in result else result


def index_items(call: Call, rank: int) -> tuple[Any, ...] | None:
    """``x[...]`` written out with one entry an axis (None for a new one); None for index tensors."""
    given = argument(call, 1, "index")
    items = given if isinstance(given, tuple) else (given,)
    if any(isinstance(i, Ref | list | bool) for i in items):
        return None
    used = sum(i is not None and i is not Ellipsis for i in items)
    at = items.index(Ellipsis) if Ellipsis in items else len(items)
    fill = (slice(None),) * (rank - used)
    return (*items[:at], *fill, *items[at + 1 :])


def _indexed(call: Call, known: AxisMap, _out: int) -> Axes | None:
    value, before = _source(call, known)
    items = None if before is None else index_items(call, len(before))
    if before is None or items is None:
        return None
    result: list[str] = []
    axis = 0
    for item in items:
        if item is None:
            result.append("1" if "f" not in result else "f")
            continue
        mark, size = before[axis], known.shapes[value][axis]
        axis += 1
        if isinstance(item, int) and mark in ("T", "1"):
            continue
        taken = range(*item.indices(size)) if isinstance(item, slice) else range(0)
        if item != slice(None) and mark == "T" and len(taken) == 1:
            result.append("1")
        elif taken == range(size):
            result.append(mark)
        else:
            return None
    return tuple(result)


def _selected(call: Call, known: AxisMap, _out: int) -> Axes | None:
    """select, unbind: one axis less."""
    _, before = _source(call, known)
    if before is None:
        return None
    at = int(argument(call, 1, "dim", 0)) % len(before)
    return (*before[:at], *before[at + 1 :]) if before[at] in ("T", "1") else None


def _reduced(call: Call, known: AxisMap, out: int) -> Axes | None:
    _, before = _source(call, known)
    over = dims(call)
    if before is None or over is None:
        return None
    gone = {d % len(before) for d in over}
    if any(before[d] not in ("T", "f", "1") for d in gone):
        return None
    if len(known.shapes[out]) == len(before):
        return tuple(("1" if a == "T" else a) if d in gone else a for d, a in enumerate(before))
    return tuple(a for d, a in enumerate(before) if d not in gone)


def _stored(call: Call, known: AxisMap, out: int) -> Axes | None:
    """``whole[t] = x``: the indexed axis is time."""
    container, stored = call.args[0].value, call.args[2]
    if known.of(container) is not None:
        return known.of(container)
    before = known.of(stored.value) if isinstance(stored, Ref) else None
    items = index_items(call, len(known.shapes[out]))
    if before is None or items is None:
        return None
    at = next((i for i, item in enumerate(items) if isinstance(item, int)), -1)
    return (*before[:at], "T", *before[at:]) if 0 <= at <= len(before) and known.shapes[out][at] == known.steps else None


Rule: TypeAlias = Callable[[Call, AxisMap, int], Axes | None]
POOLS = [f"{kind}_pool{n}d" for kind in ("avg", "max", "adaptive_avg") for n in (1, 2)]
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(["layer", *POOLS], _layer),
    "neuron": _neuron,
    **dict.fromkeys(["view", "reshape", "flatten", "unflatten", "squeeze", "view_as", "reshape_as"], _resized),
    **dict.fromkeys(["permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"], _permuted),
    **dict.fromkeys(["expand", "repeat", "broadcast_to"], _repeated),
    **dict.fromkeys(["mean", "sum", "amax", "max"], _reduced),
    **dict.fromkeys(["cat", "concat", "concatenate"], _joined),
    **dict.fromkeys(["select", "unbind"], _selected),
    "unsqueeze": _unsqueezed,
    "stack": _stacked,
    "getitem": _indexed,
    "setitem": _stored,
}
