"""A chip network as layers of a .net file: the inverse of ``reading``, exact or refused by name."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from converters.lava_net import fields
from converters.lava_net.fields import Fields, Path
from converters.lava_net.files import Layer, Value
from converters.lava_net.neurons import BIAS_EXPONENT, SPIKE_UNIT
from converters.lava_net.reading import BIAS_BITS, DEFAULT_WEIGHT, DELTA_BITS
from snndeploy.arrays import Shape
from snndeploy.chip.models import HostInput, Lif, Resonator, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Conv, Population, Projection, Wire
from snndeploy.errors import Unsupported
from snndeploy.ir.neurons.decoupling import CONSTANT

DECODINGS = {"spikes": ("sum", "count", "mean"), "v": ("last", "membrane", "none"), "sigma": ("last", "membrane", "none")}
"""The read-outs that ``load`` gives back, or that answer the same."""


@dataclass(eq=False)
class Writer:
    """The file under construction: layers so far, and where each population's stands."""

    network: ChipNetwork
    layers: list[Layer] = field(default_factory=list)
    index: dict[str, int] = field(default_factory=dict)
    latency: dict[str, int] = field(default_factory=dict)
    shape: Shape = ()
    """Of what the last layer sent."""

    def add(self, kind: str, values: Fields) -> None:
        """One more layer."""
        self.layers.append(Layer("", len(self.layers), kind, values))


def check_rate(network: ChipNetwork) -> None:
    """Raise ``Unsupported`` where the chip takes several steps for one of the model's."""
    if network.phases > 1:
        what = f"{network.phases} chip steps for one of the model's"
        raise Unsupported(network.chip, what, "a .net file has one rate; convert with another --burst")


def layers_of(network: ChipNetwork) -> tuple[list[Layer], int]:
    """The layers, and the steps of a sample. Raises ``Unsupported`` for what has no place in the format."""
    host = _host(network)
    writer = Writer(network, latency={host.name: 0}, shape=host.shape)
    neurons = [p for p in network.populations.values() if p is not host]
    if not neurons:
        raise Unsupported(network.chip, "no neurons", "a .net file ends in a layer with neurons")
    for number, p in enumerate(neurons):
        _layer(writer, p, neurons[number - 1] if number else host)
    _check_timing(network, writer.latency)
    _read_out(writer, neurons[-1])
    return writer.layers, network.steps


def dropped(layers: list[Layer]) -> list[str]:
    """What a file says and netx drops without a word, layer by layer."""
    late = [(layer, int(np.max(layer.values["delay"]))) for layer in layers if layer.kind in ("conv", "pool") and "delay" in layer.values]
    return [f"layer {layer.index} ({layer.kind}): delays of up to {steps} steps, which netx drops" for layer, steps in late]


def _listed(network: ChipNetwork) -> str:
    constant = f"{CONSTANT} (the constant that the conversion drives biases by)"
    return ", ".join(constant if name == CONSTANT else name for name in network.inputs())


def _host(network: ChipNetwork) -> Population:
    inputs = list(network.inputs().values())
    if network.host or len(inputs) != 1:
        what = f"the host computes {', '.join(network.host)}" if network.host else f"{len(inputs)} inputs: {_listed(network)}"
        raise Unsupported(network.chip, what, "a .net file has one input, and every layer on the chip")
    return inputs[0]


def _layer(writer: Writer, p: Population, before: Population) -> None:
    """A population with all that enters it."""
    into = [q for q in writer.network.into(p.name) if q.source != p.name]
    sources = list(dict.fromkeys(q.source for q in into))
    late = [s for s in sources if s not in writer.latency]
    if not sources or before.name not in sources or late:
        what = f"takes its input from {', '.join(sources) or 'nothing'}, not from {before.name} before it"
        raise Unsupported(p.name, what, "a .net file is a chain, with skips that join it")
    if any(isinstance(q.synapses, Wire) for q in into):
        _input(writer, p, before, into)
        return
    sources.sort(key=lambda name: name != before.name)
    _enter(writer, before, sources, p.name)
    latest = max(writer.latency[s] for s in sources)
    writer.latency[p.name] = latest + 1
    balance = {s: latest - writer.latency[s] if _aligned(writer.network) else 0 for s in sources}
    _check_payloads(writer.network, into)
    paths = [[_path(writer.network, q, balance[s]) for q in into if q.source == s] for s in sources]
    _synaptic(writer, p, paths, into)


def _synaptic(writer: Writer, p: Population, paths: list[list[Path]], into: list[Projection]) -> None:
    conv = any(isinstance(q.synapses, Conv) for q in into)
    if conv:
        shape = p.shape
    else:
        shape, p = (p.size,), _flat(p)
        if writer.shape != (math.prod(writer.shape),):
            writer.shape = (math.prod(writer.shape),)
            writer.add("flatten", {"shape": np.asarray([writer.shape[0], 1, 1])})
    kind, values = _by_port(p, paths, conv=conv)
    recurrent = [_path(writer.network, q, 0) for q in writer.network.into(p.name) if q.source == p.name]
    if recurrent:
        rec = fields.dense(p.name, [recurrent])
        if kind != "dense" or "delay" in rec or "delay" in values:
            raise Unsupported(p.name, "a recurrence with delays, or of a convolution", "a .net file has plain dense_rec layers")
        kind, values = "dense_rec", values | {"weight_rec": rec["weight"]}
    values |= {"shape": np.asarray(shape)} | _neuron(writer, p)
    if conv and "bias" in values:
        values["bias"] = _by_channel(values["bias"], p)
    if "delay" in values and "bias" in values:
        raise Unsupported(p.name, "a delay and a bias in one layer", "lava-dl's two halves read that differently")
    writer.index[p.name] = len(writer.layers)
    writer.add(kind, values)
    writer.shape = shape


def _flat(p: Population) -> Population:
    """The same neurons in one row, as a matrix counts them."""
    arrays = {f.name: getattr(p.model, f.name) for f in dataclasses.fields(p.model)}
    shaped = {name: a for name, a in arrays.items() if isinstance(a, np.ndarray) and a.ndim}
    rows: dict[str, Any] = {name: np.broadcast_to(a, p.shape).reshape(-1) for name, a in shaped.items()}
    return dataclasses.replace(p, shape=(p.size,), model=dataclasses.replace(p.model, **rows))


def _by_channel(bias: Value, p: Population) -> Value:
    """A bias of a convolution, once a channel at least: netx looks for the channels' axis, and fails without one."""
    return np.full(p.shape[0], bias) if isinstance(bias, np.ndarray) and not bias.ndim else bias


def _by_port(p: Population, paths: list[list[Path]], *, conv: bool) -> tuple[str, Fields]:
    """The type and the weights of a layer; a resonator has real and imaginary ones, alike in all else."""
    made = []
    for port in (0, 1) if isinstance(p.model, Resonator) else (0,):
        chosen = [[path for path in one if path.projection.port == port] for one in paths]
        if not all(chosen):
            raise Unsupported(p.name, f"nothing enters port {port}", "a .net resonator has real and imaginary weights")
        made.append(fields.convolution(p.name, chosen) if conv else ("dense", fields.dense(p.name, chosen)))
    (kind, values), *more = made
    for other, imaginary in more:
        real = values.pop("weight")
        rest = {key: value for key, value in imaginary.items() if key != "weight"}
        if other != kind or rest.keys() != values.keys() or any(not np.array_equal(values[key], rest[key]) for key in values):
            raise Unsupported(p.name, "real and imaginary weights that differ in more than their values", "give them the same geometry")
        values |= {"weight/real": real, "weight/imag": imaginary["weight"]}
    return kind, values


def _enter(writer: Writer, before: Population, sources: list[str], name: str) -> None:
    """The input layer or the concat that must stand before a population's own layer."""
    if isinstance(before.model, HostInput):
        _check_host(writer.network, before, before.model)
        named = {q.target for q in writer.network.projections if q.source == before.name}
        if len(before.shape) > 1 or len(named) > 1:
            writer.index[before.name] = 0
            writer.add("input", {"shape": np.asarray(before.shape)})
    if len(sources) == 1:
        return
    others = [writer.index.get(s) for s in sources[1:]]
    shapes = [writer.network.populations[s].shape for s in sources]
    if None in others or len({shape[1:] for shape in shapes}) > 1:
        raise Unsupported(name, f"joins {' and '.join(sources)}", "a .net file joins layers of the same height and width")
    writer.shape = (sum(shape[0] for shape in shapes), *shapes[0][1:])
    writer.add("concat", {"shape": np.asarray(writer.shape), "layers": np.asarray(others)})


def _check_host(network: ChipNetwork, host: Population, model: HostInput) -> None:
    changes = all(isinstance(network.populations[q.target].model, SigmaDelta) for q in network.projections if q.source == host.name)
    fits = model.scale == SPIKE_UNIT and model.payload_bits <= DELTA_BITS if changes else model.payload_bits == 0
    if not fits:
        raise Unsupported(host.name, "payloads", "a .net file cannot say what its input carries; spikes, or the changes of SDNN layers")


def _check_payloads(network: ChipNetwork, into: list[Projection]) -> None:
    """Payloads are multiplied where sigma-delta neurons or the host's changes enter, and nowhere else."""
    for q in into:
        source = network.populations[q.source].model
        sends = isinstance(source, SigmaDelta) or (isinstance(source, HostInput) and source.payload_bits > 0)
        if sends and not q.graded:
            raise Unsupported(q.name, "payloads that count as 1", "a .net file has no such synapses")


def _path(network: ChipNetwork, q: Projection, balance: int) -> Path:
    if q.delay < balance:
        raise Unsupported(q.name, f"a path {balance - q.delay} steps too short", "join paths of equal length")
    return Path(q, network.populations[q.source].shape, network.populations[q.target].shape, q.delay - balance)


def _input(writer: Writer, p: Population, host: Population, into: list[Projection]) -> None:
    """The input layer with neurons, whose bias (Delta: input) the host sets."""
    model, (wire, *more) = host.model, into
    assert isinstance(model, HostInput)
    assert isinstance(wire.synapses, Wire)
    weight = round(1 / model.scale)
    as_bias = isinstance(p.model, Lif)
    bits = BIAS_BITS if as_bias else DELTA_BITS
    exponents = not isinstance(p.model, Lif) or bool((p.model.bias_exp == BIAS_EXPONENT).all())
    if more or wire.delay or writer.layers or wire.synapses.as_bias != as_bias or not exponents:
        raise Unsupported(p.name, "more than the host's plain bias or input", "a .net input layer has nothing else")
    if 1 / model.scale != weight or model.payload_bits > bits:
        what = f"an input unit of {model.scale:g} in {model.payload_bits} bits"
        raise Unsupported(host.name, what, f"a .net file multiplies the input by a whole number, into {bits} bits")
    values = _neuron(writer, p)
    bias = values.get("bias", np.zeros(()))
    if isinstance(bias, str) or bias.size > 1:
        raise Unsupported(p.name, "a bias by neuron on the input layer", "a .net input layer has one bias")
    writer.index[p.name] = 0
    writer.latency[p.name] = 0
    if weight != DEFAULT_WEIGHT:
        values["weight"] = np.asarray(weight, np.float32)
    writer.add("input", values | {"shape": np.asarray(p.shape)})
    writer.shape = p.shape


def _aligned(network: ChipNetwork) -> bool:
    """True if layers run at different times: trained without a step a layer. (With one layer both are the same.)"""
    return len({p.shift for p in network.populations.values() if not isinstance(p.model, HostInput)}) > 1


def _neuron(writer: Writer, p: Population) -> Fields:
    aligned = _aligned(writer.network)
    firing = any(isinstance(q.model, Lif) and q.reads == "spikes" for q in writer.network.populations.values())
    return fields.neuron(p, "LOIHI" if aligned else "CUBA", named=aligned and not firing)


def _check_timing(network: ChipNetwork, latency: dict[str, int]) -> None:
    """Shifts are the numbers of connections before a layer, or all 0; resets are those that ``load`` sets again."""
    aligned = _aligned(network)
    populations = network.populations.values()
    if aligned and any(isinstance(p.model, Resonator) for p in populations):
        raise Unsupported(network.chip, "resonators trained without a step a layer", "a .net file means with it")
    biased = any(p.shift and isinstance(p.model, Lif) and p.model.bias_mant.any() for p in populations)
    first = min(latency[p.name] for p in populations if not isinstance(p.model, HostInput))
    for p in populations:
        counts = aligned or isinstance(p.model, SigmaDelta | HostInput)
        expected = latency[p.name] if counts else first
        if p.shift != expected:
            what = f"runs {p.shift} steps late, and its path is {latency[p.name]} long"
            raise Unsupported(p.name, what, "a .net file counts connections")
        if not isinstance(p.model, Lif):
            continue
        timed = p.model.reset_interval > 0
        once = timed and p.model.reset_interval >= network.steps and p.model.reset_offset == p.shift + 1
        if (timed and not once) or (biased and p.shift and not once):
            what = f"is {'cleared every ' + str(p.model.reset_interval) + ' steps' if timed else 'never cleared'}"
            raise Unsupported(p.name, what, "a .net network is cleared once a sample, when a layer's first input comes")


def _read_out(writer: Writer, last: Population) -> None:
    readout = writer.network.readout
    if readout is None:
        return
    if readout.population != last.name or readout.decode not in DECODINGS.get(last.reads, ()):
        what = f"the read-out {readout.decode!r} of {readout.population}"
        raise Unsupported(last.name, what, f"a .net file means its last layer: {' or '.join(DECODINGS.get(last.reads, ()))}")
    if readout.vote > 1:
        writer.add("average", {"shape": np.asarray([last.size // readout.vote, 1, 1])})
