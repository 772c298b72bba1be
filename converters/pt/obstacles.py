"""What of a recording has no exact meaning, all of it at once: modules of no table, functions no node expresses, refused neurons.

A refusal of the first operation that happens not to fit is seldom the reason: behind an LSTM it is the indexing of what it
returned. These are found call by call, whatever the way in which the recording is read, and named by their own place.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from converters.pt import libraries, torch_nn
from converters.pt.layers import entry, no_entry
from converters.pt.reasons import FUNCTIONS, INSTEAD, STATE
from converters.pt.tape import Call, Tape, refs
from snndeploy.arrays import Shape
from snndeploy.errors import Obstacles, SnnError, Unsupported


def obstacles(tape: Tape) -> SnnError | None:
    """Everything in a recording that reaches a result and cannot be told, in the order of the program; None if nothing is found."""
    return together([error for _, error in each(tape)], meant(tape.calls, tape.shapes))


def each(tape: Tape) -> Iterator[tuple[str, SnnError]]:
    """The same one by one, each with the path of the module that it is, or stands in."""
    reach = _reached(tape)
    calls = [call for call in tape.calls if call.index in reach]
    yield from _found(calls, tape.shapes)
    yield from _states(tape, calls)


def of_calls(calls: Sequence[Call], shapes: Sequence[Shape]) -> SnnError | None:
    """The same of a recording that broke off, where nothing is known to reach a result."""
    return together([error for _, error in _found(calls, shapes)], meant(calls, shapes))


def together(found: Sequence[SnnError], maps: tuple[str, ...] = ()) -> SnnError | None:
    """One error for several: the first, with all of them in ``others``; ``maps`` are the parts that have a meaning."""
    return Obstacles(found[0].where, found[0].what, found[0].hint, tuple(found), maps) if found else None


def meant(calls: Sequence[Call], shapes: Sequence[Shape]) -> tuple[str, ...]:
    """The layers and neurons that have a meaning of their own, by path."""
    wrong = {path for path, _ in _found(calls, shapes)}
    return tuple(dict.fromkeys(call.path for call in calls if call.op in ("layer", "neuron") and call.path and call.path not in wrong))


def _reached(tape: Tape) -> set[int]:
    """The calls from which some result of the model follows."""
    reached: set[int] = set()
    waiting = [value for result in tape.results for value in refs(result)]
    seen: set[int] = set()
    while waiting:
        value = waiting.pop()
        if value in seen or value not in tape.producers:
            continue
        seen.add(value)
        call = tape.producers[value][0]
        if call.index not in reached:
            reached.add(call.index)
            waiting += refs((call.args, call.kwargs))
    return reached


def _found(calls: Sequence[Call], shapes: Sequence[Shape]) -> Iterator[tuple[str, SnnError]]:
    seen: set[Hashable] = set()
    for call in calls:
        if call.key not in seen:
            seen.add(call.key)
            wrong = _wrong(call, shapes)
            if wrong is not None:
                yield call.path, wrong


def _states(tape: Tape, calls: Sequence[Call]) -> Iterator[tuple[str, SnnError]]:
    """States of modules that the program reads as attributes, each once."""
    seen: set[str] = set()
    for call in calls:
        for value in refs((call.args, call.kwargs)):
            what = tape.unknown.get(value, "")
            if what.startswith(STATE) and what not in seen:
                seen.add(what)
                yield call.path, Unsupported(str(call), f"uses {what}", INSTEAD)


def _wrong(call: Call, shapes: Sequence[Shape]) -> SnnError | None:
    """Why a call has no exact meaning, wherever it stands; None where it may have one."""
    if call.op in FUNCTIONS and call.module is None:
        return Unsupported(str(call), *FUNCTIONS[call.op])
    if call.op == "failed" and call.module is not None:
        return no_entry(call) if entry(call.module) is None and not libraries.is_neuron(call.module) else None
    if call.op not in ("layer", "neuron") or call.module is None:
        return None
    if call.op == "layer":
        found = entry(call.module)
        if found is None:
            return no_entry(call)
        convert = found[1]
        return _refused(call, shapes, lambda shape: convert(call.module, shape)) if convert is not torch_nn.nothing else None
    where = call.path or type(call.module).__name__.lower()
    return _refused(call, shapes, lambda shape: libraries.neuron(call.module, shape, where))


def _refused(call: Call, shapes: Sequence[Shape], build: Callable[[Shape], Any]) -> SnnError | None:
    """Why a module cannot be built for what it gets, whichever axes are its features; None where it can for some."""
    given = next(refs((call.args, call.kwargs)), None)
    errors = [_error(build, shapes[given][lead:] if given is not None else ()) for lead in (1, 2, 0)]
    if None in errors or errors[0] is None:
        return None
    return Unsupported(str(call), errors[0].what, errors[0].hint)


def _error(build: Callable[[Shape], Any], shape: Shape) -> SnnError | None:
    try:
        build(shape)
    except SnnError as error:
        return error
    except Exception:  # noqa: BLE001 - what a class cannot be asked here, building the graph will say
        return None
    return None
