"""One value at one step: following views, stacks and selections back to the call that computed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from converters.pt.axes import AxisMap, argument, index_items, permutation
from converters.pt.tape import Call, Ref, Tape, refs

Element: TypeAlias = tuple[int, int | None]
"""(value, k): step k of a value that holds all steps, or (value, None): a value of one step or of none."""

COPIES = frozenset(["contiguous", "clone", "detach", "data", "positive", "requires_grad", "alias"])
CASTS = frozenset(["float", "double", "to", "type", "type_as"])


@dataclass(frozen=True, eq=False)
class View:
    """A tape with its axes."""

    tape: Tape
    axes: AxisMap


def resolve(view: View, element: Element) -> Element:
    """The same numbers at the call that computed them, behind everything that only copies, selects or renames axes."""
    while True:
        made = view.tape.producers.get(element[0])
        if made is None or element[0] in view.tape.constants:
            return element
        call, position = made
        follow = RULES.get(call.op)
        before = follow(view, call, position, element) if follow else None
        if before is None:
            return element
        element = before


def same(view: View, value: int, k: int | None) -> Element:
    """Step k of a value if it holds several, else the value itself."""
    return (value, k) if view.axes.timed(value) else (value, None)


def _copied(view: View, call: Call, _: int, element: Element) -> Element | None:
    return same(view, view.tape.first_ref(call), element[1])


def _cast(view: View, call: Call, position: int, element: Element) -> Element | None:
    """A change between floating types (not to half precision, which rounds)."""
    source, target = (view.tape.tensors[v].dtype for v in (view.tape.first_ref(call), element[0]))
    exact = target.is_floating_point and target.itemsize >= 4 and (not source.is_complex)
    return _copied(view, call, position, element) if exact else None


def _dropped(view: View, call: Call, position: int, element: Element) -> Element | None:
    training = argument(call, 2, "training", argument(call, 2, "train", True))
    return None if training else _copied(view, call, position, element)


def _reshaped(view: View, call: Call, _: int, element: Element) -> Element | None:
    """A new shape that leaves the features as they are."""
    value = view.tape.first_ref(call)
    features = view.axes.features(value)
    if features is None or features != view.axes.features(element[0]):
        return None
    if element[1] is not None and not view.axes.timed(value):
        return (value, None)
    return None if element[1] is None and view.axes.timed(value) else (value, element[1])


def _permuted(view: View, call: Call, _: int, element: Element) -> Element | None:
    value = view.tape.first_ref(call)
    tokens = view.axes.of(value)
    order = permutation(call, len(tokens)) if tokens else None
    if tokens is None or order is None:
        return None
    features = [d for d in order if tokens[d] == "f"]
    return same(view, value, element[1]) if features == sorted(features) else None


def _indexed(view: View, call: Call, _: int, element: Element) -> Element | None:
    value = view.tape.first_ref(call)
    tokens = view.axes.of(value)
    items = index_items(call, len(tokens)) if tokens else None
    if tokens is None or items is None or view.axes.of(element[0]) is None or view.axes.features(value) != view.axes.features(element[0]):
        return None
    plain = [item for item in items if item is not None]
    if not all(isinstance(item, int | slice) for item in plain):
        return None
    for item, mark in zip(plain, tokens, strict=True):
        if mark == "T" and element[1] is None:
            return (value, _start(item) % view.axes.steps)
    return same(view, value, element[1])


def _start(item: int | slice) -> int:
    return item if isinstance(item, int) else int(item.start or 0)


def _selected(view: View, call: Call, position: int, element: Element) -> Element | None:
    value = view.tape.first_ref(call)
    tokens = view.axes.of(value)
    if tokens is None or view.axes.of(element[0]) is None:
        return None
    if call.op == "unbind":
        at, index = int(argument(call, 1, "dim", 0)), position
    else:
        at, index = int(argument(call, 1, "dim")), int(argument(call, 2, "index"))
    if tokens[at % len(tokens)] == "f":
        return None
    return (value, index % view.axes.steps) if tokens[at % len(tokens)] == "T" else (value, element[1])


def _parted(view: View, call: Call, position: int, _: Element) -> Element | None:
    """chunk or split of [T * B, ...] into its T steps."""
    value = view.tape.first_ref(call)
    whole, part = view.axes.of(value), view.axes.of(call.outs[position])
    return (value, position) if whole and part and (whole[0], part[0]) == ("TB", "B") else None


def _stacked(view: View, call: Call, _: int, element: Element) -> Element | None:
    parts = argument(call, 0, "tensors")
    k = element[1]
    if k is None or any(view.axes.timed(v) for v in refs(parts)):
        return None
    part = parts[k]
    return (part.value, None) if isinstance(part, Ref) else None


def _stored(view: View, call: Call, _: int, element: Element) -> Element | None:
    container, index, stored = call.args[0].value, call.args[1], call.args[2]
    whole = [i for i in (index if isinstance(index, tuple) else (index,)) if isinstance(i, int)]
    if element[1] is None or len(whole) != 1 or not isinstance(stored, Ref):
        return None
    return (stored.value, None) if whole[0] % view.axes.steps == element[1] else (container, element[1])


Follow: TypeAlias = Callable[[View, Call, int, Element], "Element | None"]
RULES: Mapping[str, Follow] = {
    **dict.fromkeys(COPIES, _copied),
    **dict.fromkeys(CASTS, _cast),
    **dict.fromkeys(["dropout", "dropout1d", "dropout2d", "feature_dropout"], _dropped),
    **dict.fromkeys(
        ["view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "view_as", "reshape_as", "expand", "repeat", "broadcast_to"],
        _reshaped,
    ),
    **dict.fromkeys(["permute", "transpose", "swapaxes", "swapdims", "movedim", "moveaxis"], _permuted),
    **dict.fromkeys(["select", "unbind"], _selected),
    **dict.fromkeys(["stack", "cat", "concat", "concatenate"], _stacked),
    **dict.fromkeys(["chunk", "split", "split_with_sizes", "tensor_split"], _parted),
    "getitem": _indexed,
    "setitem": _stored,
}
