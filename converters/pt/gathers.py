"""Functions that move, choose or repeat features: what each does is asked of torch itself.

The function is run on the numbers 0 ... N-1 of the features' places; what comes out is where each value came from.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from converters.pt.axes import argument
from converters.pt.chains import chain, function_name
from converters.pt.drives import AxesUnknown, Drive, Place
from converters.pt.moving import Places, moved, nearest
from converters.pt.streams import Builder
from converters.pt.tape import Ref, refs
from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported


def gather(builder: Builder, place: Place) -> Drive:
    """One part of what the function gives, as nodes behind its input."""
    call, tape = place.call, builder.view.tape
    shape, made = builder.shape(place.operands[0], call), builder.shape(place.stream, call)
    parts = {tape.producers[value][1] for value, _ in place.stream if value in tape.producers}
    if len(parts) > 1:
        raise Unsupported(str(call), "gives another part of the features to every step", "put time on an axis of its own")
    if not made:
        raise Unsupported(str(call), "leaves no feature axis", "keep it: x[:, 0:1] instead of x[:, 0]")
    places = _asked(builder, place, parts.pop(), shape)
    try:
        mode = str(argument(call, 3, "mode", "nearest"))
        nodes = nearest(shape, places, mode) if call.op == "interpolate" else moved(shape, places)
    except Unsupported as error:
        raise Unsupported(str(call), error.what, error.hint) from None
    return chain(builder, place, nodes, *function_name(place))


def _asked(builder: Builder, place: Place, part: int, shape: Shape) -> Places:
    """Run the call on the places of its input's features, the same for every step and sample."""
    call, tape, axes = place.call, builder.view.tape, builder.view.axes
    value, out = tape.first_ref(call), call.outs[part]
    one = tuple(n if mark == "f" else 1 for n, mark in zip(tape.shapes[value], axes.of(value) or (), strict=True))
    given = torch.arange(math.prod(shape), dtype=torch.float64).reshape(one).expand(tape.shapes[value])
    for other in list(refs((call.args, call.kwargs)))[1:]:
        if other not in tape.constants:
            raise Unsupported(str(call), "chooses places by the data", "choose them by fixed numbers, or a registered buffer")
    tensors = {other: tape.tensors[other] for other in refs((call.args, call.kwargs))} | {value: given}
    gave = _function(call.op)(*(_filled(a, tensors) for a in call.args), **{n: _filled(a, tensors) for n, a in call.kwargs.items()})
    result = (gave if isinstance(gave, torch.Tensor) else gave[part]).numpy()
    taken = result[tuple(slice(None) if mark == "f" else slice(0, 1) for mark in axes.of(out) or ())]
    if result.shape != tape.shapes[out] or not bool((result == taken).all()):
        raise AxesUnknown(str(call), "moves time or batch together with features", "keep them apart")
    return taken.reshape(axes.features(out)).astype(np.int64)


def _function(op: str) -> Callable[..., Any]:
    homes = (operator,) if op == "getitem" else (functional, torch.Tensor, torch)
    found: Callable[..., Any] = next(getattr(home, op) for home in homes if hasattr(home, op))
    return found


def _filled(tree: Any, tensors: dict[int, torch.Tensor]) -> Any:
    """Arguments with their tensors; an index list, which was recorded as a tuple inside a tuple, is a list again."""
    if isinstance(tree, Ref):
        return tensors[tree.value]
    if isinstance(tree, tuple):
        return tuple(list(item) if isinstance(item, tuple) else _filled(item, tensors) for item in tree)
    return tree
