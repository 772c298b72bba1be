"""Samples -> what executors take, and what they leave -> predictions."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from snndeploy.arrays import Floats, Ints
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Encoding, Samples, decode, fit, over_time, predict
from snndeploy.errors import DataError, OptionError
from snndeploy.ir.graph import Emits, Graph, Node
from snndeploy.ir.layers import Input, Output
from snndeploy.report.report import DataUsed
from snndeploy.trace import Trace


@dataclass(frozen=True, eq=False)
class Feed:
    """Data ready to run: inputs [T, B, *shape] ([1, B, *shape] where static), labels, steps T, and what was assumed."""

    inputs: Mapping[str, Floats]
    labels: Ints | None
    steps: int
    assumptions: tuple[str, ...] = ()

    @property
    def samples(self) -> int:
        """B."""
        return int(next(iter(self.inputs.values())).shape[1])

    @cached_property
    def used(self) -> DataUsed:
        """What enters the network and its labels, by their SHA-256, taken once: whatever file or program they come from."""
        return _hashed(self)

    def first(self, samples: int) -> Feed:
        """The first so many samples."""
        inputs = {name: values[:, :samples] for name, values in self.inputs.items()}
        return replace(self, inputs=inputs, labels=None if self.labels is None else self.labels[:samples])


def _hashed(data: Feed) -> DataUsed:
    total = hashlib.sha256(f"{data.steps}".encode())
    for name, values in sorted(data.inputs.items()):
        total.update(f"\n{name} {list(values.shape)}\n".encode())
        for step in values:
            total.update(np.ascontiguousarray(step, "<f8").tobytes())
    labels = "" if data.labels is None else hashlib.sha256(np.ascontiguousarray(data.labels, "<i8").tobytes()).hexdigest()
    return DataUsed(data.samples, data.steps, total.hexdigest(), labels)


def feed(samples: Samples, shapes: Mapping[str, tuple[int, ...]], steps: int | None, encoding: Encoding, seed: int) -> Feed:
    """Fit data to the network's inputs, encode static data, and put time first.

    Raises:
        DataError: shapes that do not fit, data of another length.
        OptionError: nothing says how many time steps to run.
    """
    fitted = fit(samples, shapes, steps)
    steps = steps or fitted.steps
    if steps is None:
        raise OptionError("--timesteps", "neither the model nor the data say how many steps to run", "give --timesteps T")
    static = fitted.static or frozenset()
    if encoding != "direct":
        fitted = over_time(fitted, encoding, steps, seed)
        static = frozenset()
    inputs = {}
    for name, values in fitted.inputs.items():
        array = np.asarray(values, dtype=np.float64)
        inputs[name] = array[None] if name in static else np.moveaxis(array, 1, 0)
    return Feed(inputs, fitted.labels, steps, fitted.notes)


def describe_inputs(graph: Graph, data: Feed) -> tuple[Graph, tuple[str, ...]]:
    """The graph whose Inputs say what the data are (static or not; spikes, counts or real), and what was assumed.

    An Output that the model leaves as a sequence is summed.
    """
    nodes: dict[str, Node] = {}
    notes = []
    for name, node in graph.named(Input).items():
        values = data.inputs[name]
        static = len(values) == 1 and (data.steps > 1 or node.static)
        carries = node.carries if node.carries != "real" else carried(values)
        if static and data.steps > 1:
            notes.append(
                f"ASSUMED input {name} {list(node.shape)} has no time axis in the data: the same value enters at all {data.steps} steps"
            )
        nodes[name] = replace(node, static=static, carries=carries)
        if carries != node.carries:
            notes.append(f"ASSUMED input {name} carries {carries}: every value of the data is {_words(carries)}")
    for name, output in graph.named(Output).items():
        if output.decode == "none":
            nodes[name] = replace(output, decode="sum")
            notes.append(f"ASSUMED output {name} is read as the sum over the steps: the model does not say (--decode changes it)")
    return graph.replace(nodes), tuple(notes)


def held(network: ChipNetwork, data: Feed) -> ChipNetwork:
    """The chip network whose inputs hold still where the data have one step for all."""
    inputs = {n: p.model for n, p in network.inputs().items() if isinstance(p.model, HostInput)}
    still = [n for n, model in inputs.items() if not model.static and n in data.inputs and len(data.inputs[n]) == 1 < data.steps]
    if not still:
        return network
    changed = {n: replace(network.populations[n], model=replace(inputs[n], static=True)) for n in still}
    return replace(network, populations={**network.populations, **changed})


def carried(values: Floats) -> Emits:
    """What the values are: "spikes" if all values are 0 or 1, "levels" if they are whole and not negative, else "real"."""
    if not np.array_equal(values, np.round(values)) or values.min(initial=0.0) < 0:
        return "real"
    return "spikes" if values.max(initial=0.0) <= 1 else "levels"


def _words(carries: Emits) -> str:
    return "0 or 1" if carries == "spikes" else "a whole number"


def check_labels(scores: Floats, labels: Ints | None) -> None:
    """Raise ``DataError`` where a label names no class, or where there is only one class to choose."""
    if labels is None:
        return
    classes = scores.shape[1]
    if classes < 2:
        raise DataError("read-out", "leaves a single class", "check --decode: vote:N averages N neurons into one class")
    if labels.min() < 0 or labels.max() >= classes:
        raise DataError("labels", f"run from {labels.min()} to {labels.max()}, but there are {classes} classes", "count classes from 0")


def float_predictions(graph: Graph, trace: Trace, labels: Ints | None = None) -> Ints:
    """[B] the class the float network answers. Raises ``DataError`` if it has no Output, or ``labels`` name no class of it."""
    outputs = graph.named(Output)
    if not outputs:
        raise DataError("read-out", "the network has no output", "end the model in a layer that returns something")
    name, output = next(iter(outputs.items()))
    scores = decode(trace.outputs[name], output.decode, output.vote)
    check_labels(scores, labels)
    return predict(scores)


def chip_predictions(network: ChipNetwork, trace: Trace, labels: Ints | None = None) -> Ints:
    """[B] the class the chip answers, read at the read-out population's own time; raises as ``float_predictions``."""
    if network.readout is None:
        raise DataError("read-out", "the chip network has none", "convert the model again")
    name = network.readout.population
    record = trace.outputs[name][network.window(name, network.steps)]
    scores = decode(record, network.readout.decode, network.readout.vote)  # type: ignore[arg-type]
    check_labels(scores, labels)
    return predict(scores)


def silent(graph: Graph, trace: Trace) -> tuple[str, ...]:
    """What must be said of layers that never fire: agreement on nothing is no fidelity."""
    quiet = [n for n, a in trace.activity.items() if graph.nodes[n].emits != "real" and not a.spikes.any()]
    return tuple(f"layer {name} never fires on these data: what it would do is not shown" for name in quiet)


def calibrated_on(everything: Feed, seen: Feed) -> tuple[str, ...]:
    """What must be said where the data that judge the network also shaped it."""
    shared = any(np.may_share_memory(values, seen.inputs[name]) for name, values in everything.inputs.items())
    note = f"fidelity is judged on data whose first {seen.samples:,} samples the quantizer saw too; --calibration gives it others"
    return (note,) if shared else ()
