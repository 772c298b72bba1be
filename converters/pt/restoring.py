"""Using the user's module and leaving it as it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from converters.pt.libraries import forget


@contextmanager
def kept(module: nn.Module) -> Iterator[None]:
    """Afterwards attributes (the mode among them) and buffers are as before; neurons are reset."""
    attributes = {part: dict(vars(part)) for part in module.modules()}
    buffers = {part: {name: (b, None if b is None else b.clone()) for name, b in part._buffers.items()} for part in module.modules()}
    try:
        yield
    finally:
        for part, saved in attributes.items():
            part.__dict__.clear()
            part.__dict__.update(saved)
            part._buffers.clear()
            part._buffers.update({name: _restored(*pair) for name, pair in buffers[part].items()})
        reset(module)


def _restored(buffer: Tensor | None, value: Tensor | None) -> Tensor | None:
    if buffer is not None and value is not None:
        with torch.no_grad():
            buffer.copy_(value)
    return buffer


@contextmanager
def doubled(module: nn.Module) -> Iterator[None]:
    """Parameters, buffers and new tensors in float64, so that a spike does not depend on rounding."""
    own = [t for t in (*module.parameters(), *module.buffers()) if t.is_floating_point()]
    values, usual = [t.data for t in own], torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        for tensor in own:
            tensor.data = tensor.data.double()
        yield
    finally:
        torch.set_default_dtype(usual)
        for tensor, value in zip(own, values, strict=True):
            tensor.data = value


def reset(module: nn.Module) -> None:
    """Forget every neuron's state."""
    for part in module.modules():
        forget(part)
