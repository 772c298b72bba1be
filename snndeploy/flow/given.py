"""What users hand in, as they have it -> nouns: data in any form, steps, read-outs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Decoding, Samples, read
from snndeploy.errors import DataError, ModelError, NoEffect, OptionError, did_you_mean
from snndeploy.flow.deployment import Wishes
from snndeploy.flow.feeding import Feed, feed
from snndeploy.flow.rates import asked
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output


def as_samples(data: Samples | str | Any) -> Samples:
    """A ``--data`` spec, ``Samples``, inputs [N, ...] (array, tensor, list), (inputs, labels), or a dict of x, y, x_<input>.

    Raises:
        DataError: something else.
    """
    if isinstance(data, Samples):
        return data
    if isinstance(data, str | Path):
        return read(str(data))
    if isinstance(data, tuple) and len(data) == 2:
        return Samples({"": _array(data[0])}, _array(data[1]))
    if isinstance(data, Mapping):
        named = {str(name).removeprefix("x_") if name != "x" else "": _array(values) for name, values in data.items() if name != "y"}
        return Samples(named, _array(data["y"]) if "y" in data else None)
    return Samples({"": _array(data)})


def _array(values: Any) -> Any:
    """A tensor or list as an array of numbers."""
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        return (values.float() if values.is_floating_point() and values.element_size() < 4 else values).numpy()  # NumPy has no bfloat16
    try:
        return np.asarray(values)
    except (ValueError, TypeError) as error:
        raise DataError("data", f"is no array: {error}", "give inputs [N, ...], or (inputs, labels)") from None


def model_of(model: Any) -> Any:
    """The model itself if it is one of the kinds that can be read; raises ``ModelError`` naming what it is instead."""
    if isinstance(model, str | Path | converters.Loaded) or callable(getattr(model, "modules", None)):
        return model
    weights = isinstance(model, Mapping)
    what = "is a state_dict: weights without the code that connects them" if weights else f"is a {type(model).__name__}"
    raise ModelError("model", what, "give a torch module, or a file with --arch (Options(arch='file.py:Net'))")


def with_time(model: Any, samples: Samples | None, options: converters.Options, timesteps: int | None = None) -> converters.Options:
    """The options with T where the data say it, and for a live module the shape that enters it at a step.

    Raises:
        OptionError: two different T.
    """
    if timesteps is not None and not isinstance(timesteps, int | np.integer):
        raise OptionError("timesteps", f"is {timesteps!r}", "a whole number of steps")
    if timesteps is not None and options.timesteps not in (None, timesteps):
        raise OptionError("timesteps", f"is {timesteps} and {options.timesteps}", "give it once")
    options = replace(options, timesteps=timesteps or options.timesteps)
    if samples is None or len(samples.inputs) != 1:
        return options
    values = next(iter(samples.inputs.values()))
    if options.input_shape is not None and values.ndim == len(options.input_shape) + 2 and options.timesteps is None:
        return replace(options, timesteps=int(values.shape[1]))
    timed = values.ndim > 2 and values.shape[1] == options.timesteps
    if timed and options.input_shape is None and not isinstance(model, str | Path | converters.Loaded):
        return replace(options, input_shape=values.shape[2:])
    return options


def held_to(noun: converters.Loaded | ChipNetwork, options: converters.Options) -> converters.Loaded | ChipNetwork:
    """What was read, if ``--relu`` and ``--timesteps`` fit it.

    Raises:
        OptionError: it has no rectifiers to convert, or another T of its own.  Unsupported: rectifiers, and no ``--relu``.
    """
    if isinstance(noun, converters.Loaded):
        converters.same_steps(options.timesteps, noun.graph.steps, "the saved graph")
        return asked(noun, options.relu)
    if options.relu is not None:
        raise NoEffect("--relu", "changes nothing of a network that is integers already: it has no rectifiers", "leave it out")
    converters.same_steps(options.timesteps, noun.steps, "the chip network")
    return noun


def nothing_more(**given: Any) -> None:
    """Raise ``NoEffect`` for what was said of a run that is over."""
    for name, value in given.items():
        if value is not None:
            raise NoEffect(name, "changes nothing: what was deployed has been run", "leave it out; a saved file is run again")


def example(samples: Samples) -> Any:
    """Two samples by input name, or the array itself where the only input has no name yet."""
    few = {name: values[:2] for name, values in samples.inputs.items()}
    return few[""] if set(few) == {""} else few


def stand_in(loaded: converters.Loaded) -> Feed:
    """The original model's own trial run in place of data; raises ``OptionError`` where there is none."""
    if loaded.witness is None:
        raise OptionError("--data", "nothing can stand in for data here: no code of the model was run (--arch)", "give --data samples.npz")
    return Feed(loaded.witness.inputs, None, loaded.witness.steps)


def with_decoding(loaded: converters.Loaded, text: str | None) -> converters.Loaded:
    """The network with its outputs read as the user says: ``count``, ``mean``, ``vote:10`` (ten neurons a class), ``count+vote:10``.

    Raises:
        OptionError: an unknown read-out, a vote that does not divide the outputs, or the membrane of what sends spikes.
    """
    if text is None:
        return loaded
    kind, vote = read_out(text)
    for name in loaded.graph.named(Output) if kind == "membrane" else ():
        spiking = _sends_spikes(loaded.graph, name)
        if spiking:
            what = f"{name} is fed by {spiking}, which sends spikes and keeps its membrane to itself"
            raise OptionError("--decode membrane", what, "count, sum, mean, first or last read spikes; for a membrane end in an LI neuron")
    nodes = {name: replace(node, decode=kind or node.decode, vote=vote) for name, node in loaded.graph.named(Output).items()}
    note = f"outputs are read by {text} (--decode), not as the model says; its own answers were not compared"
    witness = None if loaded.witness is None else replace(loaded.witness, outputs={})
    return replace(loaded, graph=loaded.graph.replace(nodes), assumptions=(*loaded.assumptions, note), witness=witness)


def _sends_spikes(graph: Graph, name: str) -> str:
    """The neuron whose spikes reach a node with nothing between that adds them up; empty for none."""
    sources = [edge.source for edge in graph.into(name) if not edge.delay]
    passed = [_sends_spikes(graph, source) for source in sources if graph.nodes[source].emits == "same"]
    return next((s for s in (*passed, *(s for s in sources if graph.nodes[s].emits not in ("same", "real"))) if s), "")


def read_out(text: str) -> tuple[Any, int]:
    """``--decode`` as the kind of read-out (None: as it was) and the neurons a class. Raises ``OptionError``."""
    kinds = [part for part in text.split("+") if not part.startswith("vote:")]
    votes = [part.removeprefix("vote:") for part in text.split("+") if part.startswith("vote:")]
    known = (*(k for k in get_args(Decoding) if k != "none"), "vote:10")
    for word in (
        *kinds[1:],
        *votes[1:],
        *(k for k in kinds if k not in known),
        *(f"vote:{v}" for v in votes if not v.isdecimal() or v == "0"),
    ):
        raise OptionError("--decode", f"{word!r} is no read-out", did_you_mean(word, known))
    return kinds[0] if kinds else None, int(votes[0]) if votes else 1


def fed(samples: Samples, loaded: converters.Loaded, wishes: Wishes, options: converters.Options | None) -> Feed:
    """The samples as the network takes them, for as many steps as the options, the model or the data say."""
    shapes = {name: node.shape for name, node in loaded.graph.named(Input).items()}
    steps = (options.timesteps if options else None) or loaded.steps or loaded.graph.steps
    return feed(samples, shapes, steps, wishes.encode, wishes.seed)
