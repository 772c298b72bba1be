"""What every trainable neuron shares: parameters laid out like the node's fields, state between steps, ``to_node``."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from snndeploy.errors import DataError, OptionError
from snndeploy.ir.graph import Node, bind, parameters
from snndeploy.nn.on_torch import TorchNamespace
from snndeploy.nn.surrogates import ATan, Surrogate

StepMode: TypeAlias = Literal["s", "m"]


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where a learnable parameter sits: ``channels`` None means one value a layer, else one a channel.

    ``spatial_dims`` is how many axes follow the channels in the input (0 after Linear, 1 after Conv1d, 2 after
    Conv2d), so that a parameter has the shape (C, 1, 1) that broadcasts against the features.
    """

    channels: int | None = None
    spatial_dims: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one learnable parameter."""
        return () if self.channels is None else (self.channels, *(1,) * self.spatial_dims)

    def spread(self, values: Any) -> Tensor:
        """[K] or a number -> a tensor with this layout behind it."""
        start = torch.tensor(np.asarray(values, dtype=np.float64), dtype=torch.get_default_dtype())
        return start.reshape((*start.shape, *(1,) * len(self.shape))).expand((*start.shape, *self.shape)).clone()


class Neuron(nn.Module):
    """A neuron layer: runs its node's ``step`` on tensors.

    Input ``[B, *shape]`` with ``step_mode`` "s" (one step a call), ``[T, B, *shape]`` with "m"; the output has the
    same axes. State is kept from call to call until ``reset()``; it is not saved.
    """

    def __init__(
        self, node: Node, derived: Collection[str], layout: Layout, surrogate: Surrogate | None = None, step_mode: StepMode = "s"
    ) -> None:
        """``node`` holds the first values; its fields in ``derived`` are computed by ``values`` from other parameters."""
        super().__init__()
        if step_mode not in ("s", "m"):
            hint = "'s' takes one step, 'm' takes [T, B, ...]"
            raise OptionError(type(self).__name__, f"step_mode {step_mode!r} is not 's' or 'm'", hint)
        self.step_mode: StepMode = step_mode
        self.layout = layout
        self.xp = TorchNamespace(ATan() if surrogate is None else surrogate)
        self._node = node
        self._fields = tuple(name for name in parameters(node) if name not in derived)
        self._state: dict[str, Tensor] | None = None
        self._fed: torch.Size | None = None
        for name in self._fields:
            self.register_buffer(name, torch.tensor(parameters(node)[name], dtype=torch.get_default_dtype()))

    def learn(self, name: str, values: Any) -> None:
        """Make ``name`` a trainable parameter, one value a channel where the layout has channels."""
        self._buffers.pop(name, None)
        self.register_parameter(name, nn.Parameter(self.layout.spread(values)))

    def values(self) -> dict[str, Tensor]:
        """The node's array fields as the tensors that are used now; subclasses add the derived ones."""
        return {name: getattr(self, name) for name in self._fields}

    def to_node(self) -> Node:
        """The node this module computes, in float64. Raises ``GraphError`` if training made a value invalid (NaN, order)."""
        arrays = {name: value.detach().cpu().double().numpy() for name, value in self.values().items()}
        return dataclasses.replace(self._node, **arrays)

    def reset(self) -> None:
        """Forget the state: the next step is the first of a new sample."""
        self._state = None
        self._fed = None

    def forward(self, x: Tensor) -> Tensor:
        """Run one step, or T of them; see the class. Raises ``DataError`` when the shape does not fit."""
        if self.step_mode == "m":
            if not len(x):
                raise DataError(type(self).__name__, "step_mode 'm' was given no time steps", "the input is [T, B, ...] with T >= 1")
            return torch.stack([self._one_step(now) for now in x])
        return self._one_step(x)

    def _one_step(self, x: Tensor) -> Tensor:
        if self._state is None:
            self._state = self._start(x)
        if x.shape != self._fed:
            what = f"a sequence that began with {list(self._fed or ())} goes on with {list(x.shape)}"
            raise DataError(type(self).__name__, what, "call snndeploy.nn.reset(net) between batches")
        y, state = bind(self._node, self.values()).step((x,), self._state, self.xp)
        self._state = dict(state)
        return cast(Tensor, y)

    def _start(self, x: Tensor) -> dict[str, Tensor]:
        """The state before the first step, [B, *shape]."""
        c, dims = self.layout.channels, self.layout.spatial_dims
        if c is not None and (x.ndim != dims + 2 or x.shape[1] != c):
            what = f"has {c} channels and {dims} spatial axes, but is given [B, ...] = {list(x.shape)}"
            raise DataError(type(self).__name__, what, "channels and spatial_dims describe the input: spatial_dims=2 behind a Conv2d")
        self._fed = x.shape
        like = next(iter(self.values().values()))
        words = self.to_node().initial_state(tuple(x.shape[1:]))
        return {name: torch.tensor(word, dtype=like.dtype, device=x.device).expand(len(x), *word.shape) for name, word in words.items()}

    def __getstate__(self) -> dict[str, Any]:
        """What a copy takes along: everything but the state, which hangs on an autograd graph."""
        return {**self.__dict__, "_state": None, "_fed": None}


def decay_of(where: str, tau: float) -> float:
    """The decay factor 1 - 1/tau of a time constant in steps; raises ``OptionError`` below 1."""
    if not tau >= 1:
        raise OptionError(where, f"tau is {tau}", "a time constant in steps is at least 1; math.inf forgets nothing")
    return 1 - 1 / tau


def raw_decay(where: str, tau: float) -> float:
    """The raw parameter w with 1/tau = sigmoid(w): w = -ln(tau - 1) (Fang et al., ICCV 2021)."""
    if not 1 < tau < math.inf:
        raise OptionError(where, f"tau is {tau}", "a learned time constant starts above 1 and below infinity")
    return -math.log(tau - 1)
