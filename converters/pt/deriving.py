"""Following the axes forward through the tape: from the inputs', which are tried, to every value's."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from converters.pt.axes import LAST, LEADS, TIME, Axes, AxisMap, Layout, argument, dims, index_items, permutation
from converters.pt.libraries import takes, time_last
from converters.pt.tape import Call, Ref, Tape, refs


def derive(tape: Tape, layout: Layout, steps: int) -> AxisMap:
    """Follow the axes through the tape, from inputs that are laid out like ``layout``."""
    first = tape.shapes[next(iter(tape.inputs))]
    lead, last = LEADS[layout], LAST.get(layout, ())
    batch = 0 if len(first) < len(lead) else first[lead.index("B")] if "B" in lead else first[0] // steps
    tokens: dict[int, Axes | None] = {}
    for value in tape.inputs:
        shape = tape.shapes[value]
        ends = len(lead) + len(last)
        fits = len(shape) >= ends and ("T" not in lead or shape[lead.index("T")] == steps) and (not last or shape[-1] == steps)
        tokens[value] = (*lead, *"f" * (len(shape) - ends), *last) if fits else None
    known = AxisMap(steps, batch, tape.shapes, tokens)
    for call in tape.calls:
        rule = RULES.get(call.op, _elementwise)
        for position, out in enumerate(call.outs):
            tokens[out] = rule(call, known, out if position == 0 else call.outs[position])
    return known


def _source(call: Call, known: AxisMap) -> tuple[int, Axes | None]:
    value = next(refs((call.args, call.kwargs)))
    return value, known.of(value)


def _layer(call: Call, known: AxisMap, out: int) -> Axes | None:
    value, before = _source(call, known)
    if known.time_last(value):
        return _between(call, known, out)
    lead = known.lead(value)
    if before is None or lead < 0 or known.shapes[out][:lead] != known.shapes[value][:lead]:
        return None
    return (*before[:lead], *"f" * (len(known.shapes[out]) - lead))


def _between(call: Call, known: AxisMap, out: int) -> Axes | None:
    """What works on the features between batch and time: a module whose library has time last."""
    after = known.shapes[out]
    if call.module is None or not time_last(call.module) or (after[0], after[-1]) != (known.batch, known.steps):
        return None
    return ("B", *"f" * (len(after) - 2), "T")


def _neuron(call: Call, known: AxisMap, out: int) -> Axes | None:
    """A neuron takes one step, [B, ...], or all of them, [T, B, ...]; the state it returns is that of one step."""
    value, before = _source(call, known)
    wanted = takes(call.module)
    if "*" in wanted:
        return _between(call, known, out) if known.time_last(value) else None
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
    if known.time_last(value) and len(after) > 2 and (after[0], after[-1]) == (known.batch, known.steps):
        return ("B", *"f" * (len(after) - 2), "T")
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
    if at == 0 and before[0] == "B" and len(parts) == len(known_parts) == known.steps and set(known_parts) == {before}:
        return ("TB", *before[1:])
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


def _indexed(call: Call, known: AxisMap, _out: int) -> Axes | None:
    value, before = _source(call, known)
    items = None if before is None else index_items(call, len(before))
    if before is None or items is None:
        return None
    plain = [item for item in items if item is not None]
    pairs = list(zip(plain, before, known.shapes[value], strict=True))
    lists = [item for item, _, _ in pairs if isinstance(item, Ref | tuple)]
    ordered = known.lead(value) >= 0 and len(lists) < 2 and not (lists and any(isinstance(item, int) for item, _, _ in pairs))
    kept = iter([_taken_of(item, mark, size, known) for item, mark, size in pairs])
    result: list[str | None] = []
    for item in items:
        result.append(("1" if "f" not in result else "f") if item is None else next(kept))
    changed = {mark for item, mark, size in pairs if not (isinstance(item, slice) and range(*item.indices(size)) == range(size))}
    if "?" in result or ("f" in changed and not (ordered and changed == {"f"})):
        return None
    return tuple(mark for mark in result if mark)


def _taken_of(item: Any, mark: str, size: int, known: AxisMap) -> str | None:
    """What becomes of one axis that is indexed: its token, None where it goes, "?" where that cannot be known."""
    if isinstance(item, int):
        return None if mark in ("T", "1", "f") else "?"
    if isinstance(item, Ref | tuple):
        fits = isinstance(item, tuple) or len(known.shapes[item.value]) == 1
        return "f" if mark == "f" and fits else "?"
    taken = range(*item.indices(size))
    if item != slice(None) and mark == "T" and len(taken) == 1:
        return "1"
    return mark if taken == range(size) or mark == "f" else "?"


def _selected(call: Call, known: AxisMap, _out: int) -> Axes | None:
    """select, unbind: one axis less."""
    value, before = _source(call, known)
    if before is None:
        return None
    at = int(argument(call, 1, "dim", 0)) % len(before)
    goes = before[at] in ("T", "1") or (before[at] == "f" and known.lead(value) >= 0)
    return (*before[:at], *before[at + 1 :]) if goes else None


def _taken(call: Call, known: AxisMap, _out: int) -> Axes | None:
    """narrow, chunk, split, flip and their like: the same axes, if they work on features alone."""
    value, before = _source(call, known)
    given = dims(call, 1, "dims") if call.op == "flip" else argument(call, *TAKES[call.op])
    over = (given,) if isinstance(given, int) else given
    if before is None or not over or known.lead(value) < 0:
        return None
    if before[0] == "TB" and over == (0,) and [known.shapes[o][0] for o in call.outs] == [known.batch] * known.steps:
        return ("B", *before[1:])
    return before if all(before[int(d) % len(before)] == "f" for d in over) else None


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


TAKES: Mapping[str, tuple[int, str]] = {
    **dict.fromkeys(["chunk", "split", "split_with_sizes", "tensor_split", "repeat_interleave"], (2, "dim")),
    **dict.fromkeys(["narrow", "index_select"], (1, "dim")),
    "flip": (1, "dims"),
    "roll": (2, "dims"),
}
"""Functions that take places of one axis: where their argument for the axis stands."""
PERMUTES = ("permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis")
RESHAPES = ("interpolate", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle")
"""Functions that move features to other places, behind axes that stay."""
Rule: TypeAlias = Callable[[Call, AxisMap, int], Axes | None]
POOLS = [f"{kind}_pool{n}d" for kind in ("avg", "max", "adaptive_avg") for n in (1, 2)]
RULES: Mapping[str, Rule] = {
    **dict.fromkeys(["layer", *POOLS, *RESHAPES], _layer),
    "neuron": _neuron,
    **dict.fromkeys(["view", "reshape", "flatten", "unflatten", "squeeze", "view_as", "reshape_as"], _resized),
    **dict.fromkeys(PERMUTES, _permuted),
    **dict.fromkeys(TAKES, _taken),
    **dict.fromkeys(["expand", "repeat", "broadcast_to"], _repeated),
    **dict.fromkeys(["mean", "sum", "amax", "max"], _reduced),
    **dict.fromkeys(["cat", "concat", "concatenate"], _joined),
    **dict.fromkeys(["select", "unbind"], _selected),
    "unsqueeze": _unsqueezed,
    "stack": _stacked,
    "getitem": _indexed,
    "setitem": _stored,
}
