"""The layers without state: what enters, what leaves, and the linear maps between neurons.

Arrays are read-only float64. Shapes are without batch; the first axis of an image or sequence is its channels.
Parameters that are "broadcast" have a shape that NumPy broadcasts against the feature shape, such as (C, 1, 1).
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import GraphError
from snndeploy.ir.graph import Emits, Node, State
from snndeploy.ir.xp import Array, Namespace, Pads

Decode: TypeAlias = Literal["none", "count", "sum", "mean", "membrane", "max", "first", "last"]


def number(value: float) -> Any:
    """A dataclass field whose default is this number as a read-only array."""
    return dataclasses.field(default_factory=lambda: frozen(value))


def require(node: Node, condition: bool, what: str, hint: str = "") -> None:
    """Raise ``GraphError`` naming the node's class unless ``condition`` holds."""
    if not condition:
        raise GraphError(type(node).__name__, what, hint)


def freeze(node: Node, *names: str) -> None:
    """Replace the named fields by read-only float64 arrays; NaN and infinity are refused."""
    for name in names:
        array = frozen(getattr(node, name))
        require(node, bool(np.isfinite(array).all()), f"{name} has NaN or infinite values", "the training diverged, or the file is damaged")
        object.__setattr__(node, name, array)


@dataclass(frozen=True, eq=False)
class Input(Node):
    """Where data enters: ``shape`` without batch and time.

    ``carries``: "spikes" (0/1), "levels" (counts, graded integers) or "real". ``static`` inputs give the same
    value at every step ("direct coding").
    """

    ports: ClassVar[int | None] = 0
    shape: Shape
    carries: Emits = "real"
    static: bool = False

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return self.shape

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        raise GraphError("Input", "is fed by the executor, it does not run")


@dataclass(frozen=True, eq=False)
class Output(Node):
    """Where results leave: y = x at every step; ``decode`` says how the steps become one prediction.

    count and sum add over time, mean averages, membrane and last take the last step, first takes the earliest
    spike (latency), max the largest value, none leaves the sequence. ``vote`` > 1 averages groups of that many
    neighbouring neurons.
    """

    emits: ClassVar[Emits] = "same"
    decode: Decode = "sum"
    vote: int = 1

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        if self.vote > 1 and math.prod(inputs[0]) % self.vote:
            raise ValueError(f"{math.prod(inputs[0])} neurons cannot vote in groups of {self.vote}")
        return inputs[0]

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return inputs[0], state


@dataclass(frozen=True, eq=False)
class Linear(Node):
    """y = W x + b on the last axis. ``weight`` [O, I], ``bias`` [O] or None."""

    weight: Floats
    bias: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "weight", *(["bias"] if self.bias is not None else []))
        require(self, self.weight.ndim == 2, f"weight must be [O, I], not {self.weight.shape}")
        require(self, self.bias is None or self.bias.shape == self.weight.shape[:1], "bias must be [O]")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = inputs[0]
        if not shape or shape[-1] != self.weight.shape[1]:
            raise ValueError(f"takes {self.weight.shape[1]} features on the last axis, but gets {shape}")
        return (*shape[:-1], self.weight.shape[0])

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        y = xp.linear(inputs[0], self.weight)
        return (y if self.bias is None else y + self.bias), state


@dataclass(frozen=True, eq=False)
class Conv(Node):
    """Cross-correlation in one or two dimensions, as in torch.

    ``weight`` [O, C/groups, *K]; ``bias`` broadcast (O, 1, ...) or a whole map (O, *S_out) or None; ``stride`` and
    ``dilation`` one value an axis; ``padding`` (before, after) an axis, zeros.
    """

    weight: Floats
    bias: Floats | None = None
    stride: Shape = ()
    padding: Pads = ()
    dilation: Shape = ()
    groups: int = 1

    def __post_init__(self) -> None:
        freeze(self, "weight", *(["bias"] if self.bias is not None else []))
        axes = self.weight.ndim - 2
        require(self, axes in (1, 2), f"weight must be [O, C/groups, K] or [O, C/groups, Ky, Kx], not {self.weight.shape}")
        for name, default in (("stride", (1,) * axes), ("padding", ((0, 0),) * axes), ("dilation", (1,) * axes)):
            object.__setattr__(self, name, getattr(self, name) or default)
            require(self, len(getattr(self, name)) == axes, f"{name} needs {axes} entries, one an axis")
        require(self, self.groups >= 1 and len(self.weight) % self.groups == 0, "groups must divide the output channels")
        if self.bias is not None:
            if self.bias.size == len(self.weight):
                object.__setattr__(self, "bias", frozen(self.bias.reshape(-1, *(1,) * axes)))
            fits = self.bias.ndim == axes + 1 and len(self.bias) == len(self.weight)
            require(self, fits, "bias must have one value an output channel, or be a map of the output")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape, channels = inputs[0], self.weight.shape[1] * self.groups
        if len(shape) != self.weight.ndim - 1 or shape[0] != channels:
            raise ValueError(f"takes [{channels} channels, {self.weight.ndim - 2} spatial axes], but gets {shape}")
        reach = tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.weight.shape[2:], strict=True))
        out = (len(self.weight), *window_count(shape[1:], reach, self.stride, self.padding))
        if self.bias is None or np.broadcast_shapes(out, self.bias.shape) == out:
            return out
        raise ValueError(f"has a bias map of {self.bias.shape}, but puts out {out}")

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        y = xp.conv(inputs[0], self.weight, self.stride, self.padding, self.dilation, self.groups)
        return (y if self.bias is None else y + self.bias), state


@dataclass(frozen=True, eq=False)
class BatchNorm(Node):
    """y = (x - mean) * scale + shift, as after training: scale = weight / sqrt(var + eps), all broadcast.

    Threshold-scaled kinds (tdBN: scale * alpha * V_th) differ only in the number ``scale``.
    """

    mean: Floats
    scale: Floats
    shift: Floats

    def __post_init__(self) -> None:
        freeze(self, "mean", "scale", "shift")

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return np.broadcast_shapes(inputs[0], self.mean.shape, self.scale.shape, self.shift.shape)

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return (inputs[0] - self.mean) * self.scale + self.shift, state


@dataclass(frozen=True, eq=False)
class Scale(Node):
    """y = scale * x + shift, elementwise: a diagonal synapse. Both broadcast; ``shift`` may be None."""

    scale: Floats
    shift: Floats | None = None

    def __post_init__(self) -> None:
        freeze(self, "scale", *(["shift"] if self.shift is not None else []))

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = np.broadcast_shapes(inputs[0], self.scale.shape, () if self.shift is None else self.shift.shape)
        if len(shape) > len(inputs[0]):
            raise ValueError(f"its parameters {self.scale.shape} have more axes than its input {inputs[0]}: reshape first")
        return shape

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        y = inputs[0] * self.scale
        return (y if self.shift is None else y + self.shift), state


@dataclass(frozen=True, eq=False)
class SumPool(Node):
    """y = scale * sum over each window; ``scale`` 1 sums, 1/size averages, a map averages without the padding.

    ``kernel``, ``stride`` one value an axis, ``padding`` (before, after) an axis; ``scale`` broadcast.
    """

    kernel: Shape
    stride: Shape
    padding: Pads
    scale: Floats

    def __post_init__(self) -> None:
        freeze(self, "scale")
        _check_window(self, self.kernel, self.stride, self.padding)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return _pooled(inputs[0], self.kernel, self.stride, self.padding)

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return xp.sum_pool(inputs[0], self.kernel, self.stride, self.padding) * self.scale, state


@dataclass(frozen=True, eq=False)
class MaxPool(Node):
    """y = the largest value of each window; ``kernel``, ``stride``, ``padding`` as in ``SumPool``."""

    emits: ClassVar[Emits] = "same"
    kernel: Shape
    stride: Shape
    padding: Pads

    def __post_init__(self) -> None:
        _check_window(self, self.kernel, self.stride, self.padding)

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return _pooled(inputs[0], self.kernel, self.stride, self.padding)

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return xp.max_pool(inputs[0], self.kernel, self.stride, self.padding), state


@dataclass(frozen=True, eq=False)
class Reshape(Node):
    """The same values in C order under another shape; ``shape`` () flattens all axes into one."""

    emits: ClassVar[Emits] = "same"
    shape: Shape = ()

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        shape = self.shape or (math.prod(inputs[0]),)
        if math.prod(shape) != math.prod(inputs[0]):
            raise ValueError(f"cannot read {inputs[0]} as {shape}")
        return shape

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return xp.reshape(inputs[0], self.shape or (-1,)), state


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Port 0, 1, ... joined along feature ``axis`` (0 is the channels)."""

    emits: ClassVar[Emits] = "same"
    ports: ClassVar[int | None] = None
    axis: int = 0

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        rest = {(s[: self.axis], s[self.axis + 1 :]) for s in inputs}
        if len(rest) != 1 or self.axis >= len(inputs[0]):
            raise ValueError(f"cannot join {list(inputs)} along axis {self.axis}")
        return (*inputs[0][: self.axis], sum(s[self.axis] for s in inputs), *inputs[0][self.axis + 1 :])

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return xp.concat(inputs, self.axis), state


@dataclass(frozen=True, eq=False)
class Sum(Node):
    """y = x: a named place where values meet (edges into one port are summed)."""

    emits: ClassVar[Emits] = "same"

    def out_shape(self, inputs: tuple[Shape, ...]) -> Shape:
        return inputs[0]

    def step(self, inputs: tuple[Array, ...], state: State, xp: Namespace) -> tuple[Array, State]:
        return inputs[0], state


def window_count(size: Shape, reach: Shape, stride: Shape, padding: Pads) -> Shape:
    """How many windows of ``reach`` fit on each axis. Raises ``ValueError`` where none does."""
    counts = tuple((n + p[0] + p[1] - r) // s + 1 for n, r, s, p in zip(size, reach, stride, padding, strict=True))
    if any(c < 1 for c in counts):
        raise ValueError(f"a window of {reach} does not fit into {size}")
    return counts


def _pooled(shape: Shape, kernel: Shape, stride: Shape, padding: Pads) -> Shape:
    if len(shape) != len(kernel) + 1:
        raise ValueError(f"takes [channels, {len(kernel)} spatial axes], but gets {shape}")
    return (shape[0], *window_count(shape[1:], kernel, stride, padding))


def _check_window(node: Node, kernel: Shape, stride: Shape, padding: Pads) -> None:
    require(node, len(kernel) == len(stride) == len(padding), "kernel, stride and padding need one entry an axis")
    require(node, all(k >= 1 for k in kernel) and all(s >= 1 for s in stride), "kernel and stride must be positive")
