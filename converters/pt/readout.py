"""From what a model returns to Output nodes: the sequence, its mean, sum or maximum over time, its last step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from converters.pt.axes import argument, dims
from converters.pt.drives import AxesUnknown, Constant, Stream
from converters.pt.reasons import INSTEAD
from converters.pt.recording import numbers
from converters.pt.slices import CASTS, COPIES, Element, resolve
from converters.pt.streams import Builder
from converters.pt.tape import Ref, refs
from snndeploy.arrays import Floats
from snndeploy.errors import Unsupported
from snndeploy.ir.layers import BatchNorm, Conv, Decode, Linear, Output, Reshape, Scale, Sum, SumPool

AFFINE = (BatchNorm, Conv, Linear, Reshape, Scale, Sum, SumPool)
REDUCE: Mapping[str, Decode] = {"mean": "mean", "sum": "sum", "amax": "max", "max": "max"}


@dataclass(frozen=True, eq=False)
class Result:
    """One output of the model: its name, how its steps become one value, and what the model returned.

    ``gave`` is [T, B, *shape] where ``decode`` is "none", else [B, *shape].
    """

    name: str
    decode: Decode
    gave: Floats


def outputs(builder: Builder) -> tuple[Result, ...]:
    """Make the Output nodes; how many runs the tape has says whether the model or the executor loops."""
    results = builder.view.tape.results
    if len(results) > 1:
        runs = [list(leaves(r, 1)) for r in results]
        chosen = _without_states(builder, runs[-1])
        streams = [(name, tuple((run[i][1].value, None) for run in runs)) for i, (name, _) in chosen]
        return tuple(_output(builder, name, stream, "none", _sequence(builder, stream)) for name, stream in streams)
    found = []
    for _, (name, tree) in _without_states(builder, list(leaves(results[0], builder.steps))):
        if isinstance(tree, tuple):
            stream: Stream = tuple((ref.value, None) for ref in tree)
            found.append(_output(builder, name, stream, "none", _sequence(builder, stream)))
        else:
            found.append(_returned(builder, name, tree.value))
    return tuple(found)


def _without_states(builder: Builder, found: list[tuple[str, Any]]) -> list[tuple[int, tuple[str, Any]]]:
    """What a model returns, numbered, without the neurons' states it returns beside something else."""
    owners = [_state_of(builder, tree) for _, tree in found]
    if all(owners):
        return list(enumerate(found))
    for (name, _), owner in zip(found, owners, strict=True):
        if owner:
            builder.notes.append(f"{name} is the state of {owner}, which a chip keeps to itself; it is left out")
    return [(i, leaf) for i, leaf in enumerate(found) if not owners[i]]


def _state_of(builder: Builder, tree: Any) -> str:
    """The neuron whose state a returned value is; "" if it is none."""
    value = (tree[-1] if isinstance(tree, tuple) else tree).value
    last = builder.steps - 1 if builder.view.axes.timed(value) else None
    value, _ = resolve(builder.view, (value, last))
    made = builder.view.tape.producers.get(value)
    return made[0].path if made is not None and made[0].op == "neuron" and made[1] > 0 else ""


def leaves(tree: Any, steps: int, name: str = "output") -> Iterator[tuple[str, Any]]:
    """The tensors a model returns, by name; a list of T tensors is one sequence (a tuple of Refs)."""
    sequence = isinstance(tree, tuple) and len(tree) == steps > 1 and all(isinstance(item, Ref) for item in tree)
    if isinstance(tree, Ref) or sequence:
        yield name, tree
    elif isinstance(tree, tuple | Mapping) and tree:
        items = tree.items() if isinstance(tree, Mapping) else ((f"{name}_{i}", item) for i, item in enumerate(tree, start=1))
        for key, item in items:
            if item is not None:
                yield from leaves(item, steps, str(key))
    else:
        raise Unsupported("the forward pass", f"returns {type(tree).__name__}", "return a tensor, or a tuple, list or dict of tensors")


def _output(builder: Builder, name: str, stream: Stream, decode: Decode, gave: Floats) -> Result:
    drive = builder.source(stream)
    if isinstance(drive, Constant):
        raise Unsupported(name, "does not depend on the input", "return what the last layer gives")
    handle = builder.reserve(name, len(builder.view.tape.calls), f"what the model returns ({decode})")
    builder.nodes[handle] = Output(decode)
    builder.connect(drive, handle)
    return Result(name, decode, gave)


def _sequence(builder: Builder, stream: Stream) -> Floats:
    return np.stack([numbers(builder.view.tape.tensors[value]) for value, _ in stream])


def _returned(builder: Builder, name: str, value: int) -> Result:
    gave = numbers(builder.view.tape.tensors[value])
    axes = builder.view.axes
    if axes.timed(value):
        tokens = axes.of(value) or ()
        order = [tokens.index("T"), tokens.index("B")] if {"T", "B"} <= set(tokens) else None
        if "BT" in tokens:
            gave, order = gave.reshape(-1, builder.steps, *gave.shape[1:]), [1, 0]
        steps = np.moveaxis(gave, order, [0, 1]) if order else gave.reshape(builder.steps, -1, *gave.shape[1:])
        return _output(builder, name, tuple((value, k) for k in range(builder.steps)), "none", steps)
    decode = _decode(builder, value)
    if decode == "last":
        return _output(builder, name, _until(builder, value), "last", gave)
    before = set(builder.nodes)
    late = _averaged(builder, value) if decode == "sum" else None
    stream: Stream = ((value if late is None else late, None),) * builder.steps
    result = _output(builder, name, stream, decode if late is None else "mean", gave)
    _check_late(builder, before, result, stream)
    return result


def _decode(builder: Builder, value: int) -> Decode:
    """Find every reduction over time above a value, and let each stand for the stream it reduces."""
    kinds = {_reduction(builder, root) for root in _roots(builder, value)}
    if len(kinds) > 1:
        what = f"joins different read-outs ({', '.join(sorted(kinds))})"
        raise Unsupported(builder.where(((value, None),)), what, "return them one by one")
    return kinds.pop() if kinds else "last"


def _roots(builder: Builder, value: int) -> Iterator[int]:
    waiting, seen = [value], set()
    while waiting:
        now = waiting.pop()
        made = builder.view.tape.producers.get(now)
        if now in seen or made is None or builder.view.axes.timed(now):
            continue
        seen.add(now)
        if _reduces(builder, now) is not None:
            yield now
        elif made[0].op != "neuron":
            waiting.extend(refs((made[0].args, made[0].kwargs)))


def _reduction(builder: Builder, root: int) -> Decode:
    found = _reduces(builder, root)
    assert found is not None
    stream, decode = found
    drive = builder.source(stream)
    builder.remember(((root, None),) * builder.steps, drive)
    return decode


def _reduces(builder: Builder, value: int) -> tuple[Stream, Decode] | None:
    """The stream a value reduces over time, and how."""
    call = builder.view.tape.producers[value][0]
    if call.op == "add":
        added = _added(builder, value)
        return None if added is None else (added, "sum")
    over = dims(call) if call.op in REDUCE else None
    whole = next(refs((call.args, call.kwargs)), -1)
    tokens = builder.view.axes.of(whole)
    if over is None or tokens is None or [tokens[d % len(tokens)] for d in over] != ["T"] or value != call.outs[0]:
        return None
    return tuple((whole, k) for k in range(builder.steps)), REDUCE[call.op]


def _added(builder: Builder, value: int) -> Stream | None:
    """The T terms of ``total = total + x``, in order; None if this is not such a chain."""
    producers = builder.view.tape.producers
    key = producers[value][0].key
    terms: list[Element] = []
    now: Element | None = (value, None)
    length = 0
    while now is not None:
        length += 1
        pair = [_term(builder, a) for a in producers[now[0]][0].args[:2]]
        chain = [e for e in pair if e[0] in producers and producers[e[0]][0].key == key]
        empty = [e for e in pair if (c := builder.constant(e)) is not None and not c.any()]
        rest = chain or empty
        if rest:
            terms.append(pair[1 - pair.index(rest[0])])
        else:
            terms += sorted(pair, reverse=True)
        now = chain[0] if chain else None
    whole = len(terms) == builder.steps and length == len(builder.shared[key])
    return tuple(reversed(terms)) if whole else None


def _term(builder: Builder, given: Any) -> Element:
    return resolve(builder.view, (given.value, None)) if isinstance(given, Ref) else builder.number(float(given))


def _averaged(builder: Builder, value: int) -> int | None:
    """The sum that a value divides by T: together they are the mean."""
    call = builder.view.tape.producers[value][0]
    if call.op in COPIES | CASTS:
        return _averaged(builder, builder.view.tape.first_ref(call))
    if call.op not in ("div", "true_divide", "divide", "mul", "multiply"):
        return None
    root, by = call.args[0], argument(call, 1, "other")
    factor = builder.constant(_term(builder, by))
    if not isinstance(root, Ref) or factor is None or _reduces_or_none(builder, root.value) is None:
        return None
    share = factor if call.op in ("mul", "multiply") else 1.0 / factor
    return root.value if np.allclose(share * builder.steps, 1.0, rtol=1e-6) else None


def _reduces_or_none(builder: Builder, value: int) -> tuple[Stream, Decode] | None:
    return _reduces(builder, value) if value in builder.view.tape.producers else None


def _check_late(builder: Builder, before: set[int], result: Result, stream: Stream) -> None:
    """What comes after a read-out runs before it in the graph, so it must be linear (for a mean: affine)."""
    names = {builder.was[h] for h in set(builder.nodes) - before if not isinstance(builder.nodes[h], (*AFFINE, Output))}
    shifts = any(_shifts(builder.nodes[h]) for h in set(builder.nodes) - before)
    if names or (result.decode == "sum" and shifts) or (result.decode == "max" and len(set(builder.nodes) - before) > 1):
        culprit = ", ".join(sorted(names)) or builder.where(stream)
        what = f"comes after the {result.decode} over time and does not commute with it"
        raise Unsupported(culprit, what, "take the mean over time last")


def _shifts(node: Any) -> bool:
    return any(getattr(node, name, None) is not None and bool(np.any(getattr(node, name))) for name in ("bias", "shift", "mean"))


def _mixed(builder: Builder, value: int) -> AxesUnknown:
    """The call behind which time, batch and features can no longer be told apart."""
    view = builder.view
    while True:
        call = view.tape.producers[value][0]
        given = [v for v in refs((call.args, call.kwargs)) if v not in view.tape.constants]
        value = next((v for v in given if view.axes.of(v) is None and v in view.tape.producers), -1)
        if value < 0:
            break
    shapes = " and ".join(str(list(view.tape.shapes[v])) for v in given[:2])
    what = f"makes {list(view.tape.shapes[call.outs[0]])} of {shapes}, where time, batch and features cannot be told apart"
    hint = "join [T, B, ...] to [T * B, ...] and part it again in the same order, or keep them on axes of their own"
    return AxesUnknown(str(call), what, hint)


def _until(builder: Builder, value: int) -> Stream:
    """The stream that ends with this value: the same place at every step."""
    last, k = resolve(builder.view, (value, None))
    if k is not None and k == builder.steps - 1:
        return tuple((last, t) for t in range(builder.steps))
    if k is None and last in builder.view.tape.unknown:
        what = f"returns {builder.view.tape.unknown[last]}"
        raise Unsupported("the forward pass", what, INSTEAD)
    if k is not None or last not in builder.view.tape.producers:
        what = "returns one step that is not the last, or an input itself"
        raise Unsupported("the forward pass", what, "return all steps, or their mean")
    call, position = builder.view.tape.producers[last]
    every = builder.shared[call.key]
    stride, at = len(every) // builder.steps, every.index(call)
    if len(every) % builder.steps == 0 and at < len(every) - stride:
        raise Unsupported(
            str(call), f"is returned at step {at // stride} of {builder.steps}, not the last", "return all steps, or their mean"
        )
    if builder.view.axes.of(value) is None and len(every) % builder.steps:
        raise _mixed(builder, value)
    if len(every) % builder.steps:
        what = f"is returned, but runs {len(every)} times in {builder.steps} steps, so it is not a value of every step"
        raise Unsupported(str(call), what, "compute it inside the loop, or return all steps")
    return tuple((c.outs[position], None) for c in every[at % stride :: stride])
