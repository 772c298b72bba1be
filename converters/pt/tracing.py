"""A live torch module -> Loaded: record it, find time, build the graph."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import nn

from converters import Fact, LayerSource, Loaded, Witness
from converters.pt import libraries, torch_nn
from converters.pt.axes import LAST, LEADS, Layout
from converters.pt.calling import Calling
from converters.pt.counting import carried, check_loop
from converters.pt.deriving import derive
from converters.pt.drives import most_telling
from converters.pt.finite import check_finite
from converters.pt.functions import HANDLERS, NO_NODE, unsupported
from converters.pt.layers import entry, kind, qualified
from converters.pt.levels import settle
from converters.pt.longer import parting
from converters.pt.matching import STATE, at_default
from converters.pt.obstacles import obstacles, of_calls
from converters.pt.precision import Widened
from converters.pt.readout import Result, outputs
from converters.pt.recording import numbers, record
from converters.pt.restoring import doubled
from converters.pt.saying import Place, as_code
from converters.pt.slices import View
from converters.pt.stating import facts
from converters.pt.streams import Builder
from converters.pt.tape import Tape, deep
from converters.pt.telling import telling
from converters.pt.tie_notes import with_ties
from converters.pt.timing import longest
from converters.pt.timing import own_steps as table_steps
from snndeploy.arrays import Floats
from snndeploy.errors import GraphError, ModelError, SnnError, Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Input

ROUND = ("sinabs",)
"""Libraries whose casts the graph computes as well: they are left as they are."""


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to understand a recording: where time is in the inputs, T, and who loops."""

    tape: Tape
    layout: Layout
    steps: int
    outside: bool
    calling: Calling


def trace_module(module: nn.Module, calling: Calling, timesteps: int | None = None, dt: float | None = None) -> Loaded:
    """Trace a module, called as ``calling`` says.

    The model may compute one step a call (inputs [B, *shape]; the executor loops), loop over time itself (inputs
    [T, B, *shape], [B, T, *shape], or [B, *shape] entering at every step), or take time as an axis. A model of one step a
    call may hand its state to the caller, who hands it back.

    Raises:
        ModelError: the forward pass fails, or its T is not ``timesteps``.
        Unsupported: something has no exact meaning as a node; named with the user's line.
    """
    check_finite(module)
    errors: list[SnnError] = []
    for example in examples(calling):
        try:
            return _example(module, example, timesteps, dt)
        except (ModelError, Unsupported, GraphError) as error:  # noqa: PERF203  (at most three whole traces)
            errors.append(error)
    raise errors[0] if isinstance(errors[0], ModelError) else most_telling(errors)


def examples(calling: Calling) -> Iterator[Calling]:
    """The example as given; then, where it has a batch of one, which is easily taken for something else, doubled."""
    yield calling
    for axis in (0, 1):
        twice = calling.repeated(axis)
        if twice is not None:
            yield twice


def _example(module: nn.Module, calling: Calling, timesteps: int | None, dt: float | None) -> Loaded:
    """In float64; a model that casts to its own type inside with the casts widened; else in its own type."""
    rounds = any((library := libraries.library_of(part)) is not None and library.name in ROUND for part in module.modules())
    try:
        loaded = _traced(module, calling, timesteps, dt, (doubled(module),))
    except SnnError as error:
        if not isinstance(error, ModelError) and not isinstance(error.__cause__, ModelError):
            raise
        loaded = None
    if loaded is not None and (rounds or loaded.witness is None or loaded.witness.arithmetic == "float64"):
        return loaded
    if not rounds:
        with suppress(SnnError):
            return _traced(module, calling, timesteps, dt, (doubled(module), Widened()))
    return loaded if loaded is not None else _traced(module, calling, timesteps, dt, ())


def _traced(
    module: nn.Module, calling: Calling, timesteps: int | None, dt: float | None, wide: tuple[AbstractContextManager[Any], ...]
) -> Loaded:
    """One example, in float64 inside ``wide``, which widens; every reading until one is a graph."""
    errors: list[SnnError] = []
    with ExitStack() as undo:
        for mode in wide:
            undo.enter_context(mode)
        given = calling.doubled() if wide else calling
        tape = record(module, given, 1, kind, of_calls)
        try:
            for reading in readings(tape, module, given, timesteps):
                try:
                    loaded = build(reading, module, timesteps, dt)
                    loaded, reading = _at_length(loaded, reading, module, timesteps, dt)
                    break
                except (Unsupported, GraphError) as error:
                    errors.append(_of_its_state(error, reading))
            else:
                raise obstacles(tape) or most_telling(errors)
        except Unsupported:
            told = obstacles(tape)
            if told is None:
                raise
            raise told from None
    return with_own(loaded, reading, module, calling, timesteps, dt) if wide else with_ties(loaded, loaded.witness)


def _at_length(loaded: Loaded, reading: Reading, module: nn.Module, timesteps: int | None, dt: float | None) -> tuple[Loaded, Reading]:
    """The same, where a longer run on other data gives what the graph gives; else what a recording of that run says.

    Raises ``Unsupported`` naming the step that computes something else.
    """
    if not reading.outside or loaded.witness is None:
        return loaded, reading
    apart = parting(loaded.graph, loaded.witness.outputs, module, reading.calling, timesteps, longest(module))
    if apart is None:
        return loaded, reading
    try:
        tape = record(module, apart, len(apart.series), kind, of_calls)
    except ModelError as why:
        hint = f"a call is one step, and {len(apart.series)} steps were tried: say for how many it is made (--timesteps)"
        raise Unsupported(why.where, why.what, hint) from None
    if tape.reset_inside:
        raise Unsupported("the forward pass", "resets a neuron between its steps", "reset once, before the first step")
    again = replace(reading, tape=tape, steps=len(apart.series), calling=apart)
    return build(again, module, timesteps, dt), again


def with_own(loaded: Loaded, reading: Reading, module: nn.Module, calling: Calling, timesteps: int | None, dt: float | None) -> Loaded:
    """The same with a run of the model as it is, in its own number type, if it runs so and is the same network."""
    own = next((x.dtype for x in calling.inputs.values() if x.is_floating_point()), torch.float64)
    if own == torch.float64:
        return loaded
    try:
        tape = record(module, reading.calling.typed(own), reading.steps if reading.outside else 1, kind)
        again = build(replace(reading, tape=tape), module, timesteps, dt)
    except SnnError as why:
        note = f"ties: its own run, in {str(own)[6:]}, was not held against the graph, only one in float64 ({why.what})"
        return replace(loaded, assumptions=(*loaded.assumptions, note))
    same = again.graph.order == loaded.graph.order
    return with_ties(replace(loaded, own=again.witness), again.witness) if same else loaded


def _of_its_state(error: SnnError, reading: Reading) -> SnnError:
    """An error about a function, where the function may be what a model does to the state that it hands back."""
    names = " and ".join(repr(state.name) for state in reading.calling.carried)
    if names and reading.outside and NO_NODE not in error.what:
        unnamed = [f"{s.name!r} was taken for a state ({s.words})" for s in reading.calling.carried if not STATE.fullmatch(s.name)]
        told = f"{error.what}; forward's argument {' and '.join(unnamed)}"
        return type(error)(error.where, told, error.hint) if unnamed and type(error) is Unsupported else error
    if not (names and reading.outside):
        return error
    what = f"{error.what}; forward computes with the state that it hands on in {names} itself"
    hint = "put the neuron's lines into a module of its own, forward(x, state) -> (spikes, state), and call it here"
    return type(error)(error.where, what, hint)


def readings(tape: Tape, module: nn.Module, calling: Calling, timesteps: int | None) -> Iterator[Reading]:
    """The ways to understand the model, of which ``tape`` is one call, likeliest first."""
    steps, whole = own_steps(tape)
    if steps > 1 or whole:
        if timesteps not in (None, steps):
            hint = f"leave --timesteps out, or build the model with T={timesteps}"
            raise ModelError("--timesteps", f"is {timesteps}, but the model itself runs {steps} steps", hint)
        if tape.reset_inside:
            raise Unsupported("the forward pass", "resets a neuron between its steps", "reset once, before the first step")
        yield from (Reading(tape, layout, steps, False, calling) for layout in layouts(tape, steps, whole))
        return
    if timesteps != 1:
        check_loop(module, calling)
    calling, count = telling(module, calling, longest(module))
    probes = record(module, calling, count, kind, of_calls)
    if probes.reset_inside and timesteps not in (None, 1):
        what = f"is {timesteps}, but forward resets its neurons at every call: a call of one step remembers nothing"
        raise ModelError("--timesteps", what, "reset once, before the first step and outside forward, or loop inside forward")
    one = chooses_time(tape, calling) and (not calling.carried or timesteps is None)
    if probes.reset_inside or timesteps == 1 or one:
        yield from (Reading(tape, layout, 1, False, calling) for layout in layouts(tape, 1, whole))
    if not probes.reset_inside:
        yield Reading(probes, "B", count, True, calling)


def chooses_time(tape: Tape, calling: Calling) -> bool:
    """Whether the program stacks steps, or takes them from an axis of one step: not where it takes features alone.

    Of a model whose state is handed back only what it does to its inputs counts: it may stack and index its states.
    """
    axes = derive(tape, "B", 1)
    for call in tape.calls:
        if call.op in ("unbind", "getitem", "select"):
            value = tape.first_ref(call)
            known = not calling.carried or value in tape.inputs
            if (axes.of(call.outs[0]) is None and known) or (value in tape.inputs and 1 in tape.shapes[value][:2]):
                return True
    return any(call.op == "stack" for call in tape.calls) and not calling.carried


def own_steps(tape: Tape) -> tuple[int, bool]:
    """How many steps the model itself runs, and whether some neuron takes all of them at once."""
    calls = [call for call in tape.calls if call.op == "neuron"]
    at_once = [call for call in calls if libraries.at_once(call.module)]
    lengths = Counter(libraries.steps_in(call.module, tape.shapes[tape.first_ref(call)]) for call in at_once)
    counts = Counter(call.path for call in calls if not libraries.at_once(call.module))
    found = set(lengths) | set(counts.values())
    if len(found) > 1:
        named = {n: next(p for p, c in counts.items() if c == n) for n in sorted(set(counts.values()))}
        listed = ", ".join([*(f"{path!r} {n} times" for n, path in named.items()), *(f"step_mode='m' with {n} steps" for n in lengths)])
        hint = "every neuron takes one step in every step; use each at one place"
        raise Unsupported("the forward pass", f"runs its neurons unequally often: {listed}", hint)
    return (found.pop() if found else 1), bool(at_once)


def layouts(tape: Tape, steps: int, whole: bool) -> list[Layout]:
    """The possible axes of the inputs, likeliest first."""
    first = {call.args[0].value for call in tape.calls if call.op in ("getitem", "select", "unbind", "permute", "transpose", "flatten")}
    sequences: list[Layout] = ["TB", "BT"]
    shapes = [tape.shapes[v] for v in tape.inputs]
    fits = [x for x in sequences if all(len(s) > 1 and s[x.index("T")] == steps for s in shapes)]
    flat = {libraries.takes(call.module)[0] for call in tape.calls if call.op == "neuron"} & {"BT", "TB"}
    flattened: list[Layout] = ["B*T" if "BT" in flat else "T*B"] if flat and all(s[0] % steps == 0 for s in shapes) else []
    if any(libraries.takes(call.module) == ("B", "*", "T") for call in tape.calls if call.op == "neuron"):
        return ["B..T", *fits]
    if flattened:
        return [*flattened, *fits, "B"]
    joined: list[Layout] = ["T*B", "B*T"] if whole and steps > 1 and all(s[0] % steps == 0 for s in shapes) else []
    return [*fits, "B", *joined] if whole or first & set(tape.inputs) else ["B", *fits]


def build(reading: Reading, module: nn.Module, timesteps: int | None, dt: float | None) -> Loaded:
    """The graph of one reading."""
    axes = derive(reading.tape, reading.layout, reading.steps)
    quiet = {path for path, part in module.named_modules() if type(part).__module__ == "torch.nn.modules.flatten"}
    builder = Builder(View(reading.tape, axes), HANDLERS, unsupported, quiet)
    with deep(reading.tape):
        results = outputs(builder)
    names = builder.names()
    graph, bounds = settle(builder.graph(dt), {names[h]: m.ladder for h, m in builder.meant.items() if m.ladder is not None})
    semantics = tuple(
        LayerSource(names[h], str(graph.nodes[names[h]]), builder.was[h], _facts(builder, h, graph.nodes[names[h]]))
        for h in sorted(names, key=lambda h: graph.order.index(names[h]))
    )
    builder.notes += [f"{name} holds at most {k} spikes a step, if no input lies outside 0..1" for name, k in bounds.items()]
    used = {reading.tape.calls[order].path for h in names if 0 <= (order := builder.bases[h][0]) < len(reading.tape.calls)}
    steps = timesteps if reading.outside else reading.steps
    witness = _witness(reading, results, {n: node.static for n, node in graph.named(Input).items()})
    told = {names[h]: series for h, series in builder.told.items() if h in names}
    witness = replace(witness, told=told, arithmetic=reading.tape.arithmetic)
    notes = (*_notes(reading, module, used, steps), *builder.notes)
    say = partial(as_code, {names[h]: _place(builder, h, names[h]) for h in builder.meant if h in names})
    return Loaded(graph, semantics, notes, table_steps(graph, steps), witness, say=say)


def _place(builder: Builder, handle: int, name: str) -> Place:
    """Where a neuron stands in the user's code."""
    calls, order = builder.view.tape.calls, builder.bases[handle][0]
    part = calls[order].module if order < len(calls) else None
    library = None if part is None else libraries.library_of(part)
    return Place(name, library, (), {}, (library, None))


def _facts(builder: Builder, handle: int, node: Node) -> tuple[Fact, ...]:
    place = Fact("place", builder.was[handle], "model")
    meant = builder.meant.get(handle)
    return (place,) if meant is None else (place, *facts(replace(meant, node=node), meant.asked, meant.origin))


def _notes(reading: Reading, module: nn.Module, used: set[str], steps: int | None) -> Iterator[str]:
    if reading.outside:
        yield "one call of the model is taken as one step; its state is kept from step to step (--timesteps says how many)"
        yield from carried(reading.calling)
        handed = {*reading.calling.inputs, *reading.calling.begins}
        yield from at_default(inspect.signature(module.forward).parameters, handed)
    elif reading.layout != "B":
        order = f"[{', '.join((*LEADS[reading.layout], '...', *LAST.get(reading.layout, ())))}]".replace("TB", "T * B").replace(
            "BT", "B * T"
        )
        yield f"the model takes its input as {order} and runs {steps} steps"
    elif steps != 1:
        yield f"the same input value enters at each of the model's {steps} steps"
    for path, part in module.named_modules():
        idle = kind(part) is not None and (entry(part) or ("", None))[1] is not torch_nn.nothing
        inside = any(path.startswith(f"{leaf}.") for leaf in used if leaf)
        if idle and path not in used and not inside:
            yield f"{path} ({qualified(type(part))}) does not reach an output and is left out"


def _witness(reading: Reading, results: tuple[Result, ...], static: Mapping[str, bool]) -> Witness:
    """What went in and came out while tracing, in the graph's axes."""
    tape = reading.tape
    values: dict[str, list[Floats]] = {}
    for value, (name, _) in tape.inputs.items():
        values.setdefault(name, []).append(numbers(tape.tensors[value]))
    inputs = {}
    for name, fixed in static.items():
        runs = np.stack(values[name])
        if reading.outside:
            inputs[name] = runs
        elif fixed or reading.layout == "B":
            inputs[name] = runs[:1]
        else:
            inputs[name] = time_first(runs[0], reading.layout, reading.steps)
    return Witness(reading.steps, inputs, {result.name: result.gave for result in results})


def time_first(values: Floats, layout: Layout, steps: int) -> Floats:
    """Inputs of a layout as [T, B, *shape]."""
    if layout == "T*B":
        return values.reshape(steps, -1, *values.shape[1:])
    if layout == "B..T":
        return np.moveaxis(values, -1, 0)
    pairs = values.reshape(-1, steps, *values.shape[1:]) if layout == "B*T" else values
    return values if layout == "TB" else np.moveaxis(pairs, 1, 0)
