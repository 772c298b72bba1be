"""From an artificial network to the spiking network that is deployed in its place, and what that costs at every T."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

import converters
from snndeploy.arrays import Floats, Ints
from snndeploy.data import accuracy, decode, predict
from snndeploy.errors import NoEffect, OptionError, Unsupported, did_you_mean
from snndeploy.flow.feeding import Feed, describe_inputs, float_predictions
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Output
from snndeploy.ir.rectifier import Relu
from snndeploy.passes import rates
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace
from snndeploy.verdict import RateCurve, RatePoint

NEURONS = ("if",)
"""What ``--relu`` can make of a rectifier."""


def asked(loaded: converters.Loaded, relu: str | None) -> converters.Loaded:
    """The network, if it has no rectifiers or their conversion was asked for.

    Raises:
        Unsupported: a rectifier, and no ``--relu``.  OptionError: ``--relu`` is no neuron.  NoEffect: no rectifier.
    """
    if relu is not None and relu not in NEURONS:
        raise OptionError("--relu", f"{relu!r} is no neuron", did_you_mean(relu, NEURONS))
    found = loaded.graph.named(Relu)
    if not found and relu is not None:
        what = "changes nothing of this network: it has no rectifiers (ReLU), it spikes already"
        raise NoEffect("--relu", what, "leave it out")
    if not found or relu is not None:
        return loaded
    what = "a rectifier has no spike; the network was not trained as a spiking one"
    if len(found) > 1:
        what += f" (it has {len(found)})"
    hint = (
        "--relu if (Options(relu='if')) makes integrate-and-fire neurons whose rates follow it: a conversion with loss, which is reported"
    )
    raise Unsupported(f"{next(iter(found))} (ReLU)", what, hint)


def in_words(graph: Graph) -> str:
    """What an artificial network is, in words; "" for a spiking one."""
    found = graph.named(Relu)
    return f"an artificial network: {len(found)} rectifiers, no spikes (convert --relu if makes it a spiking one)" if found else ""


def refuse_artificial(graph: Graph) -> None:
    """Raise ``Unsupported`` for an artificial network where a spiking one is to be run as it is."""
    if graph.named(Relu):
        hint = "convert it first, which balances it on data: snndeploy convert FILE --relu if --data samples.npz; then run what that writes"
        raise Unsupported(f"{next(iter(graph.named(Relu)))} (ReLU)", f"is part of {in_words(graph).split(' (')[0]}", hint)


def spiking(graph: Graph, seen: Feed) -> tuple[Graph, tuple[str, ...]]:
    """The spiking network that takes the place of an artificial one, balanced on ``seen``, and what must be said of it.

    A graph without rectifiers stays as it is.
    """
    if not graph.named(Relu):
        return graph, ()
    balanced = rates.apply(graph, lambda network, names: _activations(network, seen, names))
    compared = len(balanced.units) - len(graph.named(Relu))
    note = (
        f"CONVERTED {len(graph.named(Relu))} rectifiers to integrate-and-fire neurons (--relu if), balanced on {seen.samples:,} samples "
        f"at the {rates.PERCENTILE} percentile a channel: the rates follow the activations, they do not equal them"
    )
    pooled = f"maximum pooling compares counts of spikes two by two, in {compared} more layers of neurons" if compared else ""
    return balanced.graph, (note, pooled) if pooled else (note,)


def _activations(graph: Graph, data: Feed, names: Iterable[str]) -> Mapping[str, Floats]:
    trace = run_reference(graph, _means(data), 1, record=names)
    return {name: values[0] for name, values in trace.outputs.items()}


def _means(data: Feed) -> dict[str, Floats]:
    """What an artificial network, which knows no time, takes: the mean over the steps."""
    return {name: values.mean(axis=0, keepdims=True) for name, values in data.inputs.items()}


def original_predictions(artificial: Graph, data: Feed) -> Ints:
    """[B] the class the artificial network answers."""
    trace = run_reference(artificial, _means(data), 1, record=artificial.named(Output))
    return float_predictions(artificial, trace, data.labels)


def curve(artificial: Graph, graph: Graph, trace: Trace, data: Feed) -> RateCurve | None:
    """Accuracy of the spiking network after 1, 2, 4, ... steps of one run; None where nothing was converted.

    ``trace`` is its run on ``data``. Without labels only the agreement with the artificial network is known.
    """
    if artificial == graph:
        return None
    wanted = original_predictions(artificial, data)
    name, output = next(iter(graph.named(Output).items()))
    powers = [2**k for k in range(data.steps.bit_length())]
    points = []
    for steps in sorted({*powers, data.steps}):
        answers = predict(decode(trace.outputs[name][:steps], output.decode, output.vote))
        known = None if data.labels is None else accuracy(answers, data.labels)
        points.append(RatePoint(steps, known, float(np.mean(answers == wanted))))
    return RateCurve(data.samples, None if data.labels is None else accuracy(wanted, data.labels), tuple(points))


def as_spiking(loaded: converters.Loaded, data: Feed) -> converters.Loaded:
    """A loaded artificial network as the spiking one, to be saved; one without rectifiers as it is."""
    if not loaded.graph.named(Relu):
        return loaded
    artificial, _ = describe_inputs(loaded.graph, data)
    graph, notes = spiking(artificial, data)
    kept = tuple(s for s in loaded.semantics if s.layer in graph.nodes)
    return replace(loaded, graph=graph, semantics=kept, assumptions=(*loaded.assumptions, *notes), steps=data.steps, witness=None)
