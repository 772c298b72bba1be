"""A network from a bare state_dict: what the file says, what the user said of the rest, and nothing else unsaid."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from converters import Fact, LayerSource, Loaded, Options, Origin
from converters.pt.bare import Entry, entries
from converters.pt.chained import Chained
from converters.pt.constructors import USUAL, Said, is_neuron, library_named, neuron_named, settings_from, wishes
from converters.pt.levels import settle
from converters.pt.neuron import Library, Neuron, NeuronClass, Settings, shown
from converters.pt.ordering import gaps, ordered
from converters.pt.planning import Step, check_said, open_gaps, plan
from converters.pt.rebuilt_layers import LAYERS, flattening, layer, plain, weights
from converters.pt.saying import Place, as_option
from converters.pt.stating import facts
from converters.pt.timing import own_steps
from converters.pt.unsaid import check_quantizers, notes
from snndeploy.arrays import Shape
from snndeploy.errors import GraphError, ModelError, NoEffect, OptionError, SnnError, Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Output


def rebuild(tensors: Mapping[str, Any], options: Options, where: str) -> Loaded:
    """The network of a state_dict, in the order of its keys.

    Raises:
        ModelError: what the file does not say and nobody said, each by name; or it is no chain.
        OptionError: something said of nothing in the file.
        Unsupported: a neuron without an exact meaning.
    """
    source, release = library_named(options.source)
    check_quantizers(tensors, where)
    parts, note = ordered(entries(tensors, source, where), where)
    steps = plan(gaps(parts), wishes(options))
    check_said(steps, source, tensors, where)
    chain = Chained(_input_shape(steps, options, where))
    chain.nodes["input"] = Input(chain.shape)
    chain.semantics.append(LayerSource("input", str(chain.nodes["input"]), "what enters the first layer"))
    for name, entry, said in steps:
        _append(chain, name, entry, said, source, release, options)
    _check_heard(chain, source, options)
    skipped = (
        (f"ASSUMED {', '.join(unsaid)} have no weights and do nothing but reshape (--layer says otherwise)",)
        if (unsaid := open_gaps(steps))
        else ()
    )
    return _finished(chain, options, (note, *skipped, *notes(chain, parts, tensors)))


def _check_heard(chain: Chained, source: Library | None, options: Options) -> None:
    """Raise ``OptionError`` for a library that no neuron is of, ``NoEffect`` for a reset that decides nothing."""
    if source is not None and source.name not in chain.heard:
        found = " and ".join(sorted(chain.heard - {"reset"})) or "no library: it has none"
        what = f"is {options.source}, but the neurons of the file are of {found}"
        raise OptionError("--source", what, "leave it out, or name that library")
    if options.reset is not None and "reset" not in chain.heard:
        what = "changes nothing: the file itself, or --neuron, says what every neuron's reset is"
        raise NoEffect("--reset", what, "leave it out; --neuron 'NAME: ...' says a neuron's own")


def _input_shape(steps: Sequence[Step], options: Options, where: str) -> Shape:
    if options.input_shape is not None:
        return options.input_shape
    first = next((entry for _, entry, _ in steps if entry.kind in ("weights", "norm")), None)
    if first is not None and first.kind == "weights" and plain(first).ndim == 2:
        return (int(first.tensors["weight"].shape[1]),)
    raise ModelError(where, "does not say what enters it", "name one input's shape without batch and time: --input-shape 1,28,28")


def _append(
    chain: Chained, name: str, entry: Entry, said: tuple[Said, ...], source: Library | None, release: str, options: Options
) -> None:
    if entry.kind in ("weights", "norm"):
        if entry.kind == "weights":
            for node, fact in flattening(entry, chain.shape):
                chain.append(f"{name}.flatten", (node,), "nothing in the file", (fact,))
        nodes, known = weights(entry, said, chain.shape)
        chain.append(name, nodes, f"{name} in the file", known)
        return
    if entry.kind == "neuron":
        _append_neuron(chain, name, entry, said[0] if said else Said(""), source, release, options)
        return
    for part in said:
        if not part.kind or is_neuron(part.kind):
            _append_neuron(chain, name, entry, part, source, release, options)
        elif part.kind in LAYERS:
            chain.append(name, layer(part, chain.shape), f"{part.kind}, as you said", (Fact("layer", part.kind, "user"),))
        else:
            raise OptionError(f"'{name}: {part.kind}'", "has weights, and the file has none for it there", "name a layer that has them")


def _append_neuron(chain: Chained, name: str, entry: Entry, said: Said, source: Library | None, release: str, options: Options) -> None:
    where = f"--neuron '{name}: {said.kind or ', '.join(said.settings)}'"
    library, word, kind = _class(entry, said, source, where)
    given = settings_from(said, kind, where)
    user = {key: value for key, value in given.items() if key not in kind.idle}
    reset = _reset(library, word, entry, options.reset)
    asked = name if entry.neuron else name.removesuffix(".neuron")
    sources: list[tuple[Origin, Mapping[str, Any]]] = [("user", user), ("file", entry.tensors), ("user", reset), ("ASSUMED", kind.meaning)]
    settings = Settings(asked, sources, release, "" if entry.neuron else word)
    meant = _built(kind, settings, chain.shape, f"{name} ({library.name} {word})", where)
    _check_used(user, settings, word, where)
    without = tuple(Fact(key, f"{shown(given[key])}: {kind.idle[key].why}", "user") for key in given if key in kind.idle)
    meant = replace(meant, said=(*meant.said, *without))
    before = {*user, *entry.tensors}
    decided = not reset or any(key in settings.facts and key not in before for key in reset)
    chain.heard |= {library.name, *(["reset"] if options.reset and decided and "reset_mechanism_val" not in before else [])}
    chain.read[asked] = set(settings.facts)
    if entry.neuron and not said.kind:
        chain.by_keys[asked] = word, kind.twins
    shape = chain.shape
    own = _wire(chain, name, asked, meant, f"{word} of {library.name}")
    chain.places[own] = Place(asked, library, shape, entry.tensors, (source,))


def _class(entry: Entry, said: Said, source: Library | None, where: str) -> tuple[Library, str, NeuronClass]:
    """The library and class of a neuron: as the user said, else as its keys say, else what is usual in ``source``."""
    if not said.kind and entry.neuron is not None:
        library, word = entry.neuron
        return library, word, library.neurons[word]
    word = said.kind or (USUAL.get(source.name, "LIF") if source is not None else "LIF")
    library, kind = neuron_named(word, source, where)
    return library, word, kind


def _built(kind: NeuronClass, settings: Settings, shape: Shape, name: str, where: str) -> Neuron:
    try:
        return replace(kind.build(settings, shape), asked=settings.facts)
    except (TypeError, ValueError, OverflowError) as error:
        raise OptionError(where, f"{error}", "numbers are numbers, names are in quotes") from None
    except SnnError as error:
        raise (Unsupported if isinstance(error, GraphError) else type(error))(name, error.what, error.hint) from None


def _check_used(user: Mapping[str, Any], settings: Settings, word: str, where: str) -> None:
    """Raise ``NoEffect`` for what the user said and nothing asked for: it would be ignored."""
    unused = [key for key in user if key not in settings.facts]
    if unused:
        what = f"{unused[0]} changes nothing of {word} beside what else is said and in the file"
        raise NoEffect(where, what, f"leave {unused[0]} out")


def _reset(library: Library, word: str, entry: Entry, reset: str | None) -> Mapping[str, Any]:
    """The library's settings for ``--reset``, where the file is silent."""
    if reset is None or "reset_mechanism_val" in entry.tensors:
        return {}
    if reset not in library.resets:
        raise OptionError(f"--reset {reset}", f"is no reset of {library.name}'s {word}", f"it has {', '.join(library.resets)}")
    return library.resets[reset]


def _wire(chain: Chained, name: str, asked: str, meant: Neuron, was: str) -> str:
    """The neuron and what it takes and gives, behind the last layer; its name."""
    source, late = chain.last, chain.delay
    chain.append(f"{name}.tap0", meant.taps[:1], f"{was}: its input of this step", ())
    chain.append(name, (*meant.before, meant.node, *meant.after), was, facts(meant, meant.asked, "ASSUMED"))
    own = next(n for n, node in chain.nodes.items() if node is meant.node)
    for d, tap in enumerate(meant.taps[1:], start=1):
        handle = chain.free(f"{name}.tap{d}")
        chain.nodes[handle] = tap
        chain.edges += [Edge(source, handle, late + d), Edge(handle, own)]
        chain.semantics.append(LayerSource(handle, str(tap), f"{was}: its input of {d} steps before"))
    chain.meant[own], chain.delay, chain.asked[own] = meant, meant.delay, asked
    before, out = chain.last, chain.last
    for node in meant.feedback:
        back = chain.free(f"{own}.recurrent")
        chain.nodes[back] = node
        chain.edges.append(Edge(before, back, 1 if before == out else 0))
        chain.semantics.append(LayerSource(back, str(node), f"{was}, from its own spikes of the step before"))
        before = back
    if meant.feedback:
        chain.edges.append(Edge(before, own))
    return own


def _finished(chain: Chained, options: Options, notes: tuple[str, ...]) -> Loaded:
    notes = (*notes, *_read_out(chain))
    chain.nodes["output"] = Output("none")
    chain.edges.append(Edge(chain.last, "output", chain.delay))
    chain.semantics.append(LayerSource("output", str(chain.nodes["output"]), "the last layer, at every step"))
    ladders = {name: meant.ladder for name, meant in chain.meant.items() if meant.ladder is not None}
    graph, bounds = settle(Graph(chain.nodes, tuple(chain.edges), options.dt), ladders)
    semantics = tuple(_settled(entry, chain, graph) if entry.layer in ladders else entry for entry in chain.semantics)
    limits = tuple(f"{name} holds at most {k} spikes a step, if no input lies outside 0..1" for name, k in bounds.items())
    say = partial(as_option, chain.places)
    return Loaded(graph, semantics, (*notes, *limits), own_steps(graph, options.timesteps), say=say)


def _settled(entry: LayerSource, chain: Chained, graph: Graph) -> LayerSource:
    node, meant = graph.nodes[entry.layer], chain.meant[entry.layer]
    return replace(entry, computes=str(node), facts=facts(replace(meant, node=node), meant.asked, "ASSUMED"))


def _read_out(chain: Chained) -> Iterator[str]:
    """A last neuron that never resets is there to be read: its membrane is the output."""
    meant = chain.meant.get(chain.last)
    if meant is None or meant.membrane is None:
        return
    name = chain.last
    edge = chain.entering(name)
    chain.last, chain.delay = edge.source, edge.delay
    del chain.nodes[name]
    chain.edges.remove(edge)
    chain.meant.pop(name)
    chain.semantics = [entry for entry in chain.semantics if entry.layer != name]
    chain.shape = meant.node.out_shape((chain.shape,))
    chain.append(name, meant.membrane, "the membrane of a neuron that never resets", (Fact("output", "membrane", "ASSUMED"),))
    yield f"ASSUMED {name} never resets, so its membrane is the output, not its spikes (--arch names code that reads something else)"
