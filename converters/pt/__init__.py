"""Trained torch networks: a live module, or the weights of one (``.pt``) with the code that builds it.

Files are read with ``weights_only`` after a look at what they claim and which globals they name; nothing of them is
run. The module is traced by running it once (``tracing``); one table a library says what its layers are.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from converters import Loaded, Options
from snndeploy.errors import GraphError, MissingPackage, ModelError, OptionError, SnnError, Unsupported
from snndeploy.ir.rectifier import Relu
from snndeploy.user_code import Session, session, unchanged

SUFFIXES = (".pt", ".pth", ".bin", ".ckpt")
BATCH = 2
HEARD = ("input_shape", "dt", "neuron", "neuron_class")
"""The options that a module's own code leaves open."""


def from_module(module: Any, x: Any, options: Options | None = None) -> Loaded:
    """Trace a live torch module on an example input.

    ``x`` is what the module takes: a tensor or array with a batch axis, a tuple of what ``forward`` takes in order (with
    states as they are before the first step), or a dict by parameter name. The module is left as it was: mode, weights,
    hidden states, hooks and random generators.

    Raises:
        ModelError: the module cannot be run on ``x``, or has NaN weights.
        Unsupported: something has no exact meaning as a node; named with the user's line.
        MissingPackage: torch is not installed.
    """
    chosen = options or Options()
    whole = _indexes(module)
    try:
        return _read(module, x, chosen, whole)
    except ModelError:
        if whole or not _part("calling").whole_numbers(x):
            raise
    return _read(module, x, chosen, whole=True)


def _read(module: Any, x: Any, chosen: Options, whole: bool) -> Loaded:
    """The module as a graph; ``whole`` numbers of the example stay such."""
    tracing = _part("tracing")
    with _part("restoring").untouched(module) as said, ExitStack() as while_read:
        _part("restoring").reset(module)
        calling = _part("carrying").called(module, x, whole)
        named = while_read.enter_context(_part("naming").adopted(module, chosen))
        notes = while_read.enter_context(_part("probing").probed(module, calling, named))
        loaded: Loaded = _traced(tracing, module, calling, chosen)
    loaded = replace(loaded, assumptions=(*loaded.assumptions, *said))
    assumed = tuple(note for note in notes if note.startswith("ASSUMED"))
    loaded = replace(_with_notes(loaded, assumed), probed=tuple(note for note in notes if note not in assumed))
    return _without_rectifiers(loaded) if chosen.relu is None else loaded


def _indexes(module: Any) -> bool:
    """Whether some part looks rows up by whole numbers, which must then stay such."""
    return any(type(part).__name__ in ("Embedding", "EmbeddingBag") for part in module.modules())


def _traced(tracing: Any, module: Any, calling: Any, options: Options) -> Loaded:
    """The module traced; an error says too which tensors of an earlier run the module holds."""
    held = _part("restoring").left_over(module)
    try:
        loaded: Loaded = tracing.trace_module(module, calling, options.timesteps, options.dt)
    except (ModelError, Unsupported) as error:
        if not held:
            raise
        what = f"{error.what}; {', '.join(held[:3])} may hold the state of an earlier run"
        raise type(error)(error.where, what, f"reset the model before it is read; or: {error.hint}") from error
    return _with_notes(loaded, tuple(_part("longer").starts(module, calling, held)))


def load(path: Path, options: Options) -> Loaded:
    """Read weights, build the module they belong to (``options.arch``), and trace it on random spikes.

    Raises:
        ModelError: not a torch file, damaged, dishonest about its size, NaN, keys that do not fit, no ``--arch``.
        UnsafePickle: it names a global that weights never need.
    """
    code = _part("arch").source_file(options.arch)
    with (
        unchanged(path, code),
        session(ModelError, f"--arch {options.arch}" if options.arch else str(path), whole=options.run_code) as opened,
    ):
        return _load(path, options, opened)


def _load(path: Path, options: Options, opened: Session) -> Loaded:
    """``load``, while the user's code is open."""
    reading = _part("reading")
    with opened.for_anyone(path.parent) if options.trust else nullcontext():
        content = reading.read(path, options.trust)
    notes: tuple[str, ...] = ()
    if reading.is_module(content):
        module = content
        only_heard(options, f"{path.name}, a whole module, whose code says it itself", "trust")
        notes = (f"{path.name} was unpickled in full (--trust): code in the file was run",)
    elif options.arch is None:
        return _bare(path, content, options)
    elif options.layer:
        raise OptionError("--layer", "is for files without code; with --arch the code says what its layers are", "leave one of them out")
    else:
        only_heard(options, "a model whose code --arch names, which says it itself", "arch", "trust", "run_code")
        module = _part("arch").build(options.arch, opened)
        reading.fill(module, content, str(path))
        notes = (f"the layers' order and types come from running {options.arch} (--arch); the file gave the weights",)
        notes += (f"the code of {options.arch} was run whole (--run-code), with all that it does",) if options.run_code else ()
        notes += tuple(f"{said}; --run-code runs the whole file" for said in opened.left_out())
    if options.input_shape is None:
        what = "does not say what enters it"
        raise ModelError(str(path), what, "name one input's shape without batch and time: --input-shape 1,28,28")
    return _with_notes(first_that_runs(module, options), notes)


def _bare(path: Path, content: Any, options: Options) -> Loaded:
    """Weights without code."""
    if options.neuron_class:
        what = "is for classes of your own code, and no code was given"
        raise OptionError("--neuron-class", what, "give it too: --arch 'file.py:Net'; a bare file's neurons are said with --neuron")
    options.only(f"bare weights ({path.name})", "input_shape", "trust", "dt", "reset", "source", "neuron", "layer")
    rebuilt: Loaded = _part("rebuilding").rebuild(content, options, str(path))
    return rebuilt


def only_heard(options: Options, door: str, *more: str) -> None:
    """Raise ``OptionError`` for an option that is nothing to a module with its own code; ``more`` are."""
    named = ("source",) if options.neuron or options.neuron_class else ()
    options.only(door, *HEARD, *named, *more)


def first_that_runs(module: Any, options: Options) -> Loaded:
    """Trace with an example of each layout until one runs; the first error if none does."""
    errors: list[SnnError] = []
    for example in _examples(module, options):
        try:
            return from_module(module, example, options)
        except (ModelError, Unsupported, GraphError) as error:  # noqa: PERF203  (each try is a whole trace)
            errors.append(error)
    telling: SnnError = _part("drives").most_telling(errors)
    if options.timesteps is None and multi_step(module):
        what = f"is needed: the model takes all steps at once, [T, B, ...] (tried without: {telling.what})"
        raise ModelError("--timesteps", what, "say how many steps: --timesteps 10")
    raise telling


def _examples(module: Any, options: Options) -> Iterator[Any]:
    """Random spikes as [B, *shape]; with ``--timesteps`` also [T, B, *shape] (first for multi-step models), [B, T, *shape].

    A model whose neurons take time and batch in one axis comes with its T, or is told it.
    """
    torch: Any = importlib.import_module("torch")
    shape, steps = options.input_shape or (), options.timesteps
    batch = BATCH if steps != BATCH else BATCH + 1
    leads = [(batch,)] + ([(steps, batch), (batch, steps)] if steps else [])
    libraries = _part("libraries")
    flat = libraries.flat_steps(module, steps)
    if flat or (steps and multi_step(module)):
        leads.append((batch * (flat or steps or 1),))
    generator = torch.Generator().manual_seed(0)
    if steps and any(libraries.time_last(part) for part in module.modules()):
        yield (torch.rand((batch, *shape, steps), generator=generator) < 0.5).to(torch.float32)
    for lead in leads[1:] + leads[:1] if multi_step(module) else leads:
        yield (torch.rand((*lead, *shape), generator=generator) < 0.5).to(torch.float32)


def multi_step(module: Any) -> bool:
    """Whether some part of a module takes all steps at once (step_mode "m", or a class of its library that always does)."""
    at_once = _part("libraries").at_once
    return any(getattr(part, "step_mode", "s") == "m" or at_once(part) for part in module.modules())


def _without_rectifiers(loaded: Loaded) -> Loaded:
    """Raise ``Unsupported``, naming the user's line, where the network has a rectifier that nobody asked to convert."""
    for name in loaded.graph.named(Relu):
        where = next((s.was for s in loaded.semantics if s.layer == name), name)
        what = "a rectifier (ReLU) has no spike; the network was not trained as a spiking one"
        raise Unsupported(where, what, "--relu if (Options(relu='if')) makes integrate-and-fire neurons of them; the loss is reported")
    return loaded


def _with_notes(loaded: Loaded, notes: tuple[str, ...]) -> Loaded:
    return replace(loaded, assumptions=(*notes, *loaded.assumptions))


def _part(name: str) -> Any:
    """A module of this package that needs torch. Raises ``MissingPackage`` where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        raise MissingPackage("converters.pt", "torch", "torch")
    return importlib.import_module(f"{__name__}.{name}")
