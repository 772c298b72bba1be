"""Layers become populations and projections, one after the other, as netx connects them."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from converters import Options
from converters.lava_net import neurons, synapses
from converters.lava_net.files import SPOILT, Layer, NetFile
from converters.lava_net.synapses import Bundle, Seen
from snndeploy.arrays import Shape
from snndeploy.chip.models import HostInput, Lif, SigmaDelta
from snndeploy.chip.network import MAX_DELAY, ChipNetwork, Dense, Population, Projection, Readout, Wire
from snndeploy.errors import ModelError, OptionError, Unsupported, did_you_mean

INPUT = "input"
CHIP = "loihi2"
SOURCES = ("slayer", "bootstrap")
TRAINED_WITH_STEP = {"CUBA", "RF"}
"""The neurons of slayer's blocks whose ``delay_shift`` is on by default (sigma-delta blocks turn it off)."""
DEFAULT_WEIGHT = 64
"""What netx multiplies data by where an input layer does not say it."""
BIAS_BITS = 12
"""Magnitude bits of a bias mantissa that the host writes."""
DELTA_BITS = 19
"""Magnitude bits of what enters a Delta neuron, which shifts it by 12 in int32."""
ANALOG_BITS = 16
"""Magnitude bits of an analog input, as netx's default for graded messages."""
NO_CHIP = {
    "convT": "a transposed convolution has no synapses in Lava",
    "unpool": "unpooling has no synapses in Lava",
    "dense_comp": "complex weights need a resonator with two inputs",
}


@dataclass(frozen=True)
class End:
    """A population that a layer sees: its name, how many connections lie before it, and whether it sends payloads."""

    name: str
    latency: int
    graded: bool


@dataclass(frozen=True)
class Stage:
    """What stands before the next layer: the populations, and their shapes."""

    ends: tuple[End, ...]
    seen: Seen


class Chain:
    """The network under construction: what has been made, and what each layer sent."""

    def __init__(self, file: NetFile, options: Options) -> None:
        self.options, self.aligned = options, trained_without_step(file, options)
        self.changes = next((kind for layer in file.layers if (kind := neurons.kind(layer))), "") == "SDNN"
        """Whether the first neurons take the changes that sigma-delta layers send."""
        self.populations: dict[str, Population] = {}
        self.projections: list[Projection] = []
        self.stages: list[Stage] = []
        self.implied = 0
        self.first = 0
        """Steps that the first layer with neurons runs late."""
        self.delayed = False
        self.vote = 0

    @property
    def last(self) -> Stage:
        """What the layer before sent."""
        return self.stages[-1]

    def add(self, layer: Layer, shape: Shape, latency: int, unit: float = 1.0) -> Population:
        """A layer's population."""
        made = neurons.neuron(layer, shape, unit)
        shift = latency if self.aligned else self.first
        population = Population(layer.name, shape, made.model, layer.name, shift, made.scale, made.reads)
        self.populations[layer.name] = population
        self.stages.append(Stage((End(layer.name, latency, isinstance(made.model, SigmaDelta)),), Seen((shape,))))
        return population

    def host(self, shape: Shape, model: HostInput) -> None:
        """Where data enter."""
        self.populations[INPUT] = Population(INPUT, shape, model, INPUT, 0, model.scale)

    def connect(self, source: End, target: str, bundle: Bundle, balance: int, suffix: str) -> None:
        """A projection; ``balance`` more steps make converging paths equally long."""
        delay = bundle.delay + balance
        own = bundle.synapses.delays if isinstance(bundle.synapses, Dense) else None
        self.delayed |= bundle.delay > 0 or own is not None
        if delay + (int(own.max(initial=0)) if own is not None else 0) > MAX_DELAY:
            raise Unsupported(target, f"paths whose lengths differ by {balance} steps, more than a synapse can wait", "shorten the skip")
        name = f"{source.name}->{target}{suffix}"
        self.projections.append(Projection(name, source.name, target, bundle.synapses, delay=delay, graded=source.graded, port=bundle.port))


def network(file: NetFile, options: Options) -> ChipNetwork:
    """The chip network of a file. Raises as ``converters.lava_net.load``."""
    chain = Chain(file, options)
    for layer in file.layers:
        if layer.kind in NO_CHIP:
            raise Unsupported(layer.where, NO_CHIP[layer.kind], "train without this layer")
        if layer.kind not in LAYERS:
            raise ModelError(layer.where, f"is of the unknown type {layer.kind!r}", did_you_mean(layer.kind, LAYERS))
        if chain.vote:
            raise Unsupported(layer.where, "follows an average, which the host computes", "average last")
        if not chain.stages and layer.kind != "input":
            _implied_input(chain, file, layer)
        LAYERS[layer.kind](chain, layer)
    return _finished(chain, file)


def trained_without_step(file: NetFile, options: Options) -> bool:
    """True if the model was trained without a step of delay a layer, so that on the chip layer l runs l steps late."""
    if options.source is not None and options.source not in SOURCES:
        raise OptionError("--source", f"{options.source!r} writes no .net files", did_you_mean(options.source, SOURCES))
    kinds = {kind for layer in file.layers if (kind := neurons.kind(layer))}
    if options.source:
        return options.source == "bootstrap"
    if kinds & TRAINED_WITH_STEP and kinds - TRAINED_WITH_STEP:
        what = f"{file.where} has {' and '.join(sorted(kinds))} neurons: trained with a step a layer, or without?"
        raise OptionError("--source", what, "give --source slayer (with) or --source bootstrap (without)")
    return bool(kinds - TRAINED_WITH_STEP)


def _implied_input(chain: Chain, file: NetFile, layer: Layer) -> None:
    """The input of a file whose first layer has synapses already."""
    chain.implied = 1
    if layer.kind in ("dense", "dense_rec"):
        shape: Shape = (synapses.matrix(layer, synapses.ports(layer)[0][1], synapses.outputs(layer)).shape[1],)
    elif chain.options.input_shape is not None:
        shape = chain.options.input_shape
    else:
        raise OptionError("--input-shape", f"{file.where} starts with a {layer.kind} and does not say what enters", "give C,H,W")
    _feed(chain, layer, shape)


def _feed(chain: Chain, layer: Layer, shape: Shape) -> None:
    """Data that enter as spikes, or as the payloads that sigma-delta layers send, or as whole multiples of an analog unit."""
    unit, chain.first = chain.options.input_unit, 1
    if chain.changes:
        if unit is not None:
            raise OptionError("--input-unit", f"{layer.where} takes sigma-delta changes, whose unit is 2^-12", "leave it out")
        chain.host(shape, HostInput(DELTA_BITS, True, scale=neurons.SPIKE_UNIT))
    else:
        chain.host(shape, HostInput() if unit is None else HostInput(ANALOG_BITS, True, scale=unit))
    chain.stages.append(Stage((End(INPUT, 0, chain.changes or unit is not None),), Seen((shape,))))


def _input(chain: Chain, layer: Layer) -> None:
    """An ``input`` layer: a shape only, or neurons whose bias (Delta: input) the host sets to weight * x + bias."""
    if chain.stages:
        raise ModelError(layer.where, "is an input layer behind other layers", "a .net file has one input")
    shape = layer.shape()
    if not layer.spiking:
        _feed(chain, layer, shape)
        return
    weight = layer.number("weight", DEFAULT_WEIGHT)
    if weight == 0:
        raise ModelError(layer.where, "multiplies its input by 0", SPOILT)
    if chain.options.input_unit is not None:
        raise OptionError("--input-unit", f"{layer.where} says how data enter: times {weight}", "leave it out")
    as_bias = neurons.kind(layer) != "SDNN"
    if neurons.kind(layer) == "RF":
        raise Unsupported(layer.where, "an input layer of resonators", "Lava's resonators have no bias that the host could write")
    chain.host(shape, HostInput(BIAS_BITS if as_bias else DELTA_BITS, True, scale=1 / weight))
    chain.add(layer, shape, 0)
    chain.projections.append(Projection(f"{INPUT}->{layer.name}", INPUT, layer.name, Wire(as_bias=as_bias)))


def _dense(chain: Chain, layer: Layer) -> None:
    _layer(chain, layer, (synapses.outputs(layer),), synapses.dense(layer, chain.last.seen))
    if layer.kind == "dense_rec":
        if synapses.delay_of(layer).any():
            why = "a delay and a recurrence: slayer's recurrence does not wait, netx's does"
            raise Unsupported(layer.where, why, "train without the delay")
        weights = synapses.matrix(layer, "weight_rec", synapses.outputs(layer))
        if weights.shape[0] != weights.shape[1]:
            raise ModelError(layer.where, f"its recurrent weights are {weights.shape}, not square", SPOILT)
        end = chain.last.ends[0]
        chain.connect(end, layer.name, Bundle(0, Dense(weights)), 0, "")


def _conv(chain: Chain, layer: Layer) -> None:
    shape = layer.shape()
    _layer(chain, layer, shape, synapses.convolution(layer, chain.last.seen, shape))


def _pool(chain: Chain, layer: Layer) -> None:
    shape = layer.shape()
    _layer(chain, layer, shape, synapses.pooling(layer, chain.last.seen, shape))


def _layer(chain: Chain, layer: Layer, shape: Shape, bundles: list[Bundle]) -> None:
    """A layer with synapses and neurons."""
    before = chain.last
    silent = [e.name for e in before.ends if chain.populations[e.name].reads != "spikes"]
    if silent:
        raise Unsupported(layer.where, f"takes its input from {silent[0]}, which is read out and sends no spikes", "end the network there")
    latest = max(end.latency for end in before.ends)
    analog = before.ends[0].name == INPUT and chain.options.input_unit
    chain.add(layer, shape, latest + 1, chain.options.input_unit or 1.0 if analog else 1.0)
    several = len(bundles) > 1
    for number, bundle in enumerate(bundles):
        source = before.ends[bundle.part]
        balance = latest - source.latency if chain.aligned else 0
        chain.connect(source, layer.name, bundle, balance, f"#{number}" if several else "")


def _flatten(chain: Chain, _: Layer) -> None:
    chain.stages.append(Stage(chain.last.ends, chain.last.seen.flat))


def _concat(chain: Chain, layer: Layer) -> None:
    """The layer before, and the listed ones behind it along the channels."""
    listed = [int(n) for n in layer.whole("layers").ravel()]
    unknown = [n for n in listed if not 0 <= n < layer.index]
    if unknown:
        what = f"lists layer {unknown[0]}, which is not before it: a recurrence through other layers"
        raise Unsupported(layer.where, what, "only dense_rec recurs")
    stages = [chain.last, *(chain.stages[n + chain.implied] for n in listed)]
    parts = tuple(part for stage in stages for part in stage.seen.parts)
    if len({part[1:] for part in parts}) > 1:
        raise ModelError(layer.where, f"joins {' and '.join(map(str, parts))} along the channels", SPOILT)
    chain.stages.append(Stage(tuple(end for stage in stages for end in stage.ends), Seen(parts)))


def _average(chain: Chain, layer: Layer) -> None:
    """The last layer's neurons in groups, averaged by the host: a vote."""
    size, groups = math.prod(chain.last.seen.shape), math.prod(layer.shape())
    if size % groups:
        raise ModelError(layer.where, f"{size} neurons do not fall into {groups} groups", SPOILT)
    chain.vote = size // groups
    chain.stages.append(chain.last)


LAYERS: Mapping[str, Callable[[Chain, Layer], None]] = {
    "input": _input,
    "dense": _dense,
    "dense_rec": _dense,
    "conv": _conv,
    "pool": _pool,
    "flatten": _flatten,
    "concat": _concat,
    "average": _average,
}


def _finished(chain: Chain, file: NetFile) -> ChipNetwork:
    ends = chain.last.ends
    if len(ends) > 1 or len(chain.populations) < 2:
        what = "ends in a concat" if len(ends) > 1 else "has no layer with neurons"
        raise ModelError(file.where, what, "the last layer is what is read out")
    read = chain.populations[ends[0].name]
    steps = chain.options.timesteps or file.steps
    populations = _cleared(chain, file, steps)
    readout = Readout(read.name, "sum" if read.reads == "spikes" else "last", max(1, chain.vote))
    return ChipNetwork(CHIP, populations, tuple(chain.projections), readout, steps)


def _cleared(chain: Chain, file: NetFile, steps: int) -> dict[str, Population]:
    """The populations; fixed LIF layers are cleared when their first input comes, where a bias would have moved one before."""
    fixed = {name: (p, p.model) for name, p in chain.populations.items() if isinstance(p.model, Lif)}
    if not any(p.shift and model.bias_mant.any() for p, model in fixed.values()):
        return chain.populations
    if not steps:
        what = f"{file.where} does not say how many steps a sample has, and layers with a bias must be cleared once a sample"
        raise OptionError("--timesteps", what, "give --timesteps T")
    if chain.aligned and (chain.delayed or any(p.source == p.target for p in chain.projections)):
        why = "a bias, and a recurrence or delays: what was sent before the first input cannot be called back"
        raise Unsupported(file.where, why, "give --source slayer if a step a layer was part of the training")
    sends = {p.source for p in chain.projections}
    early = [p.name for p, model in fixed.values() if p.shift and not chain.aligned and (model.bias_mant > model.vth).any()]
    hasty = [name for name in early if name in sends]
    if hasty:
        why = f"the bias of {hasty[0]} fires before the first input has come through the synapses, and cannot be called back"
        raise Unsupported(file.where, why, "give the file an input layer, or --source bootstrap if it was trained without a step a layer")
    cleared = {
        name: dataclasses.replace(p, model=dataclasses.replace(model, reset_interval=steps, reset_offset=p.shift + 1))
        for name, (p, model) in fixed.items()
    }
    return {**chain.populations, **cleared}
