"""Neurons of a recording: checked for their use and their state, built from their library's table, held against what they did."""

from __future__ import annotations

import numpy as np

from converters.pt import libraries
from converters.pt.chains import chain
from converters.pt.drives import AxesUnknown, Constant, Drive, Place, Source
from converters.pt.neuron import Neuron, without_memory
from converters.pt.replaying import judged
from converters.pt.slices import resolve
from converters.pt.streams import Builder
from converters.pt.tape import Call, refs
from snndeploy.arrays import Floats
from snndeploy.errors import GraphError, SnnError, Unsupported
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Scale


def neuron(builder: Builder, place: Place) -> Drive:
    """A neuron: its k-th call is step k, or its one call is all steps."""
    call = place.call
    _check_use(builder, place)
    meant = _meaning(builder, place)
    if call.outs[0] != place.stream[-1][0]:
        if meant.membrane is None or call.outs[-1] != place.stream[-1][0]:
            raise Unsupported(str(call), "its state is read outside", "use the neuron's output; read a membrane with an LI neuron")
        return chain(builder, place, meant.membrane, f"{_path(call)}.membrane", numbered=False)
    return _wired(builder, place, meant)


def _meaning(builder: Builder, place: Place) -> Neuron:
    """The neuron as nodes. Errors name the place."""
    call = place.call
    try:
        value = place.operands[0][-1][0]
        features = builder.view.axes.features(value) if value >= 0 else None
        shape = builder.view.tape.shapes[value][1:] if features is None and value >= 0 else features or ()
        meant = libraries.neuron(call.module, shape, _path(call))
        if not _remembers(builder, place, meant.node):
            _check_lost(builder, place)
            meant = without_memory(meant, _path(call))
            builder.notes.append(
                f"{_path(call)} is called without the state of the step before: every step is its first, it remembers nothing"
            )
    except GraphError as error:
        raise Unsupported(str(call), error.what, error.hint) from None
    except SnnError as error:
        raise type(error)(str(call), error.what, error.hint) from None
    return meant


def _wired(builder: Builder, place: Place, meant: Neuron) -> Drive:
    """before -> node -> after, and from there the feedback, one step late."""
    path, order, was = _path(place.call), place.call.index, str(place.call)
    handle = builder.reserve(path, order, was)
    before = [builder.reserve(f"{path}.input", order, was) for _ in meant.before]
    after = [builder.reserve(f"{path}.{'value' if isinstance(n, Scale) else type(n).__name__.lower()}", order, was) for n in meant.after]
    feedback = [builder.reserve(f"{path}.recurrent", order, was) for _ in meant.feedback]
    taps = [builder.reserve(f"{path}.tap{d}", order, was) for d in range(len(meant.taps))]
    handles = (*before, handle, *after, *feedback, *taps)
    everything = zip(handles, (*meant.before, meant.node, *meant.after, *meant.feedback, *meant.taps), strict=True)
    builder.nodes.update(everything)
    builder.meant[handle] = meant
    last = after[-1] if after else handle
    builder.remember(place.stream, Source(last, meant.delay))
    drive = builder.source(place.operands[0])
    if isinstance(drive, Constant):
        raise Unsupported(was, "is driven by nothing that depends on the data", "remove it, or feed it")
    _check_axes(builder, place)
    if taps:
        _join(builder, [Source(drive.node, drive.delay + d) for d in range(len(taps))], taps)
        _join(builder, list(map(Source, taps)), [handle] * len(taps))
    else:
        _join(builder, [drive, *map(Source, before)], [*before, handle])
    _join(builder, list(map(Source, (handle, *after))), after)
    _join(builder, [Source(last, 1), *map(Source, feedback)], [*feedback, handle] if feedback else [])
    _check_spikes(builder, place, meant, handle)
    return Source(last, meant.delay)


def _join(builder: Builder, sources: list[Source], targets: list[int]) -> None:
    for source, target in zip(sources, targets, strict=False):
        builder.connect(source, target)


def _path(call: Call) -> str:
    return call.path or type(call.module).__name__.lower()


def _check_use(builder: Builder, place: Place) -> None:
    """One neuron is one place: all its calls, in order."""
    call = place.call
    whole = libraries.at_once(call.module)
    in_order = [k for _, k in place.stream] == list(range(builder.steps)) if whole else list(place.calls) == builder.shared[call.key]
    if not in_order and builder.view.axes.of(place.stream[-1][0]) is not None:
        what = "is one neuron, but is used at several places or not once a step in order: its state would mix"
        raise Unsupported(str(call), what, "give each place a neuron of its own; step_mode='m' takes all steps at once")


def _check_axes(builder: Builder, place: Place) -> None:
    call = place.call
    if builder.view.axes.of(place.stream[-1][0]) is None:
        lead = libraries.takes(call.module)
        mode = {("T", "B"): " (step_mode 'm')", ("B",): " (step_mode 's')"}.get(lead, "")
        wanted = f"[{', '.join(lead)}, ...]".replace("BT", "B * T").replace("TB", "T * B") + mode
        wanted = "[B, ..., T]" if "*" in lead else wanted
        got = list(builder.view.tape.shapes[place.operands[0][-1][0]])
        raise AxesUnknown(str(call), f"takes {wanted}, but is given {got}, where these axes are not found", "keep time and batch first")


def _remembers(builder: Builder, place: Place, node: Node) -> bool:
    """Whether a step starts from what the step before left: kept by the module, or handed back to it by the user.

    Raises ``Unsupported`` where it is given a state that is neither its own nor a fresh one.
    """
    calls = [c for c in place.calls if c is not None]
    handed = [tuple(resolve(builder.view, (v, None))[0] for v in list(refs((c.args, c.kwargs)))[1:]) for c in calls]
    _check_start(builder, place, handed[0], node)
    if libraries.at_once(place.call.module) or not any(handed[1:]):
        return libraries.at_once(place.call.module) or not libraries.passes_state(place.call.module)
    words = len(libraries.memory(place.call.module)) or len(handed[-1])
    own = [state == before.outs[len(before.outs) - words :] for before, state in zip(calls, handed[1:], strict=False)]
    fresh = [_is_zero(builder, state) for state in handed[1:]]
    if all(own) or all(fresh):
        # zeros that a neuron with a state of its own is handed are a setting of it
        return all(own) or _keeps_its_own(place)
    what = "is given a state that is not the one it returned at the step before"
    raise Unsupported(str(place.call), what, "hand each neuron its own state back: spk, mem = lif(x, mem)")


def _keeps_its_own(place: Place) -> bool:
    """Whether a neuron was found by running it, and keeps its state itself."""
    library = libraries.library_of(place.call.module)
    return library is not None and library.name == "probed" and not library.passes_state


def _check_lost(builder: Builder, place: Place) -> None:
    """Raise ``Unsupported`` for a state that the model returns step after step, to be handed back, and takes nowhere."""
    tape, own = builder.view.tape, place.calls[-1]
    returned = {resolve(builder.view, (v, None))[0] for v in refs(tape.results[-1])} if len(tape.results) > 1 else set()
    if own is not None and returned & set(own.outs[1:]):
        what = "starts from zeros at every step, although the model returns its state, which no argument of forward takes back"
        hint = "let forward take it, forward(x, state=None), or do not return it if it is meant to be lost"
        raise Unsupported(str(place.call), what, hint)


def _check_start(builder: Builder, place: Place, state: tuple[int, ...], node: Node) -> None:
    start = getattr(node, "v_init", np.zeros(()))
    if state and (not _is_zero(builder, state) or start.any()):
        what = "starts from a state of its own choice"
        raise Unsupported(str(place.call), what, "start it from its initial state: zeros, init_leaky() or None")


def _is_zero(builder: Builder, state: tuple[int, ...]) -> bool:
    values = [builder.constant((v, None)) for v in state]
    return all(v is not None and not v.any() for v in values)


def _check_spikes(builder: Builder, place: Place, meant: Neuron, handle: int) -> None:
    """Run the nodes on what the module got, all steps of the recording; they must give what it gave, spike for spike.

    What differs only because the potential lies within rounding of a threshold, in the type of the recording, is a tie.
    """
    given, gave = _recorded(builder, place.operands[0]), _recorded(builder, place.stream)
    if given is None or gave is None:
        return
    count = int(np.ceil(np.abs(gave).max(initial=1.0)))
    found = judged(meant, given, gave, count, lambda: builder.view.tape.arithmetic)
    if found.wrong.any():
        what = f"does not do what its class says: {int(found.wrong.sum())} of {gave.size} values of the trial run differ"
        raise Unsupported(str(place.call), what, "is it of another release, or changed? A module with to_node() states itself")
    if meant.node.emits == "spikes" or (meant.node.emits == "levels" and not meant.after):
        sent = (gave != 0).astype(np.float64) if meant.node.emits == "spikes" else gave
        unknown = np.full((min(meant.delay, len(gave)), *gave.shape[1:]), np.nan)
        builder.told[handle] = np.concatenate([sent[meant.delay :], unknown])


def _recorded(builder: Builder, stream: tuple[tuple[int, int | None], ...]) -> Floats | None:
    """The numbers of a stream, [T, B, *shape]; None where an element has none."""
    if any(value < 0 for value, _ in stream):
        return None
    axes, tape = builder.view.axes, builder.view.tape
    steps = []
    for value, k in stream:
        array = tape.tensors[value].detach().cpu().double().numpy()
        if k is not None:
            tokens = axes.of(value) or ()
            flat = {"TB": (axes.steps, -1), "BT": (-1, axes.steps)}.get(tokens[0] if tokens else "")
            array = array.reshape(*flat, *array.shape[1:]) if flat else array
            time = {"TB": 0, "BT": 1}.get(tokens[0] if tokens else "", tokens.index("T") if "T" in tokens else 0)
            array = np.take(array, k, axis=time)
        steps.append(array)
    return np.stack(steps) if len({a.shape for a in steps}) == 1 else None
