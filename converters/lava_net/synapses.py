"""What a layer does with its input: weights, kernels, pooling windows and delays, for each population that it sees."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from converters.lava_net.files import SPOILT, Layer
from converters.lava_net.neurons import kind
from snndeploy.arrays import Ints, Shape
from snndeploy.chip.network import MAX_DELAY, Conv, Dense
from snndeploy.errors import ModelError, Unsupported

WEIGHTS = (-256, 255)
"""What an 8-bit synapse holds, whatever its sign mode."""


@dataclass(frozen=True)
class Seen:
    """What enters a layer: the shapes of the populations whose outputs stand one after the other, channel after channel."""

    parts: tuple[Shape, ...]

    @property
    def shape(self) -> Shape:
        """The shape of all of them together."""
        if len(self.parts) == 1:
            return self.parts[0]
        return (sum(part[0] for part in self.parts), *self.parts[0][1:])

    @property
    def flat(self) -> Seen:
        """The same, flattened as lava-dl does: (C, H, W) in C order."""
        return Seen(tuple((math.prod(part),) for part in self.parts))


@dataclass(frozen=True, eq=False)
class Bundle:
    """The synapses from one of the populations seen, all ``delay`` steps late, into a port (1: imaginary)."""

    part: int
    synapses: Dense | Conv
    delay: int = 0
    port: int = 0


def dense(layer: Layer, seen: Seen) -> list[Bundle]:
    """A ``dense`` layer, or the forward half of a ``dense_rec``.

    Raises:
        ModelError: weights that fit neither the input nor 8 bits, a delay that fits no axis or is too long.
    """
    return [bundle for port, key in ports(layer) for bundle in _matrices(layer, seen, key, port)]


def ports(layer: Layer) -> list[tuple[int, str]]:
    """Each port of the layer's neurons, and where its weights lie: resonators take complex ones, all others real ones.

    Raises:
        Unsupported: complex weights for other neurons, or real ones for resonators.
    """
    is_complex, resonates = "weight/imag" in layer.values, kind(layer) == "RF"
    if is_complex != resonates:
        what = "complex weights, and its neurons take one input" if is_complex else "real weights, and its resonators take complex ones"
        raise Unsupported(layer.where, what, "use lava-dl's rf blocks, which have both")
    return [(0, "weight/real"), (1, "weight/imag")] if is_complex else [(0, "weight")]


def _matrices(layer: Layer, seen: Seen, key: str, port: int) -> list[Bundle]:
    weights = matrix(layer, key, outputs(layer))
    if weights.shape[1] != math.prod(seen.shape):
        raise ModelError(layer.where, f"its weights take {weights.shape[1]} inputs, and {seen.shape} arrive", SPOILT)
    delays = _delays(layer, weights)
    made, first = [], 0
    for index, part in enumerate(seen.flat.parts):
        columns = slice(first, first + part[0])
        late = delays[:, columns]
        common = int(late.flat[0]) if late.size and not np.ptp(late) else None
        own = None if common is not None else late
        made.append(Bundle(index, Dense(weights[:, columns], own), common or 0, port))
        first += part[0]
    return made


def outputs(layer: Layer) -> int:
    """How many neurons a dense layer has."""
    return math.prod(layer.shape())


def matrix(layer: Layer, key: str, rows: int) -> Ints:
    """Weights [O, I], stored so, with trailing axes of one, or flat where O is 1."""
    weights = _eight_bits(layer, key)
    if not weights.size or weights.size % rows or (weights.ndim > 1 and weights.shape[0] != rows):
        raise ModelError(layer.where, f"{key!r} of shape {weights.shape} does not lead to {rows} neurons", SPOILT)
    return weights.reshape(rows, -1)


def _eight_bits(layer: Layer, key: str) -> Ints:
    weights = layer.whole(key)
    low, high = int(weights.min(initial=0)), int(weights.max(initial=0))
    if low < WEIGHTS[0] or high > WEIGHTS[1]:
        what = f"{key!r} runs from {low} to {high}, beyond the {WEIGHTS[0]}..{WEIGHTS[1]} of an 8-bit synapse"
        raise ModelError(layer.where, what, "netx would clip it; train with pre_hook_fx = neuron.quantize_8bit")
    return weights


def _delays(layer: Layer, weights: Ints) -> Ints:
    """Delays [O, I]: stored once, by neuron of the layer (first choice of netx), by input, or by synapse."""
    delay = delay_of(layer)
    if delay.size == 1:
        return np.broadcast_to(delay.reshape(()), weights.shape)
    if delay.shape == weights.shape:
        return delay
    if delay.ndim == 1 and delay.size in weights.shape:
        axis = weights.shape.index(delay.size)
        return np.broadcast_to(delay.reshape((-1, 1) if axis == 0 else (1, -1)), weights.shape)
    raise ModelError(layer.where, f"'delay' of shape {delay.shape} fits no axis of the weights {weights.shape}", SPOILT)


def delay_of(layer: Layer) -> Ints:
    """The layer's delays as stored; 0 where it has none.

    Raises:
        ModelError: beyond the chip's 62 steps.  Unsupported: a delay and a bias, which lava-dl's two halves read differently.
    """
    delay = layer.whole("delay", 0)
    if delay.size and (delay.min() < 0 or delay.max() > MAX_DELAY):
        what = f"delays {delay.min()}..{delay.max()} are outside 0..{MAX_DELAY}"
        raise ModelError(layer.where, what, "netx would clip them; train with max_delay=62")
    if delay.any() and layer.whole("bias", 0).any():
        why = "a delay and a bias in one layer: slayer delays what the layer sends, netx what it receives, and a bias tells them apart"
        raise Unsupported(layer.where, why, "train without one of the two")
    return delay


def convolution(layer: Layer, seen: Seen, target: Shape) -> list[Bundle]:
    """A ``conv`` layer: kernels [O, I / groups, kh, kw] as torch's (netx flips them for Lava's Conv, which flips them back).

    A delay by channel becomes one projection for each delay that occurs, with the kernels of the other channels 0.

    Raises:
        ModelError: kernels that do not fit what arrives or the shape that the file says.
        Unsupported: groups after a concat.
    """
    return [bundle for port, key in ports(layer) for bundle in _convolutions(layer, seen, target, key, port)]


def _convolutions(layer: Layer, seen: Seen, target: Shape, key: str, port: int) -> list[Bundle]:
    weights, (height, width) = _kernels(layer, key), layer.pair("padding", 0)
    groups = layer.number("groups", 1)
    if groups < 1 or weights.shape[1] * groups != seen.shape[0]:
        what = f"its kernels {weights.shape} in {groups} groups do not take the {seen.shape[0]} channels that arrive"
        raise ModelError(layer.where, what, SPOILT)
    if len(seen.parts) > 1 and groups > 1:
        raise Unsupported(layer.where, "a convolution in groups after a concat", "use one group")
    padding = ((height, height), (width, width))
    made, first = [], 0
    for index, part in enumerate(seen.parts):
        kernels = weights if len(seen.parts) == 1 else weights[:, first : first + part[0]]
        for late, kept in _by_delay(layer, kernels):
            made.append(Bundle(index, _conv(layer, kept, padding, groups, part, target), late, port))
        first += part[0]
    return made


def _by_delay(layer: Layer, kernels: Ints) -> Iterator[tuple[int, Ints]]:
    delay = delay_of(layer).ravel()
    if delay.size not in (1, len(kernels)):
        raise ModelError(layer.where, f"{delay.size} delays do not fit {len(kernels)} channels", SPOILT)
    if not np.ptp(delay):
        yield int(delay[0]), kernels
        return
    for value in np.unique(delay):
        yield int(value), np.where((delay == value).reshape(-1, 1, 1, 1), kernels, 0)


def pooling(layer: Layer, seen: Seen, target: Shape) -> list[Bundle]:
    """A ``pool`` layer: the same kernel over every channel.

    Where a side is no multiple of the kernel, lava-dl appends side % kernel lines of zeros (``slayer/synapse/layer.py`` Pool).
    """
    return [_pool(layer, seen, target, key, port) for port, key in ports(layer)]


def _pool(layer: Layer, seen: Seen, target: Shape, key: str, port: int) -> Bundle:
    kernel = _kernels(layer, key)
    if kernel.shape[:2] != (1, 1):
        raise ModelError(layer.where, f"the pooling kernel has the shape {kernel.shape}, not (1, 1, kh, kw)", SPOILT)
    if len(seen.parts) > 1:
        raise Unsupported(layer.where, "pooling after a concat", "pool first")
    sides = zip(layer.pair("padding", 0), seen.shape[1:], kernel.shape[2:], strict=True)
    padding = tuple((p, p + side % k) for p, side, k in sides)
    kernels = np.repeat(kernel, seen.shape[0], axis=0)
    conv = _conv(layer, kernels, (padding[0], padding[1]), seen.shape[0], seen.shape, target)
    late = delay_of(layer)
    if late.size and np.ptp(late):
        raise Unsupported(layer.where, "a delay by channel on a pooling layer", "give all channels the same delay")
    return Bundle(0, conv, int(late.flat[0]), port)


def _kernels(layer: Layer, key: str) -> Ints:
    """Kernels [O, I, kh, kw]; old files have a fifth axis of one."""
    weights = _eight_bits(layer, key)
    weights = weights[..., 0] if weights.ndim == 5 and weights.shape[4] == 1 else weights
    if weights.ndim != 4 or not weights.size:
        raise ModelError(layer.where, f"its kernels have the shape {weights.shape}, not (O, I, kh, kw)", SPOILT)
    return weights


def _conv(layer: Layer, kernels: Ints, padding: tuple[tuple[int, int], tuple[int, int]], groups: int, source: Shape, target: Shape) -> Conv:
    if len(source) != 3:
        raise ModelError(layer.where, f"a {layer.kind} layer takes (C, H, W), and {source} arrives", SPOILT)
    pairs = {name: layer.pair(name, 1) for name in ("stride", "dilation")}
    if layer.kind == "pool" and "stride" not in layer.values:
        pairs["stride"] = (kernels.shape[2], kernels.shape[3])
    if min(*pairs["stride"], *pairs["dilation"]) < 1 or min(map(min, padding)) < 0:
        raise ModelError(layer.where, "has a stride or dilation below 1, or a negative padding", SPOILT)
    conv = Conv(kernels, pairs["stride"], padding, pairs["dilation"], groups)
    if conv.out_shape(source) != target:
        raise ModelError(layer.where, f"makes {conv.out_shape(source) or 'nothing'} of {source}, but says {target}", SPOILT)
    return conv
