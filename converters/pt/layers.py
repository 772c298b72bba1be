"""Leaf modules that are layers, through the table of their library."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from converters.pt import libraries, torch_nn
from converters.pt.chains import chain, recorded
from converters.pt.drives import Constant, Drive, Place
from converters.pt.reasons import MODULES, OTHERWISE
from converters.pt.streams import Builder
from converters.pt.tape import Call
from converters.pt.torch_nn import Chain, Convert
from snndeploy.arrays import Shape
from snndeploy.errors import SnnError, Unsupported
from snndeploy.ir.on_numpy import NUMPY


def kind(module: torch.nn.Module) -> str | None:
    """What a module is: "neuron", "layer", or None where it is looked into."""
    if libraries.is_neuron(module):
        return "neuron"
    if entry(module) is not None or libraries.refusal(module) is not None:
        return "layer"
    home = type(module).__module__
    return "layer" if home.startswith("torch.nn.modules.") and home.rpartition(".")[2] not in torch_nn.TRANSPARENT else None


def entry(module: torch.nn.Module) -> tuple[str, Convert] | None:
    """The table's entry for a module's class, or for the class it has its ``forward`` from."""
    own = libraries.layer_class(module)
    if own is not None:
        return own
    for ancestor in type(module).__mro__:
        name = qualified(ancestor)
        if name in torch_nn.TABLE:
            return (name, torch_nn.TABLE[name]) if _forward(ancestor) is _forward(type(module)) else None
    return None


def _forward(kind: type) -> object:
    return getattr(kind, "forward", None)


def qualified(kind: type) -> str:
    """A class's full name."""
    return f"{kind.__module__}.{kind.__qualname__}"


def path_of(call: Call) -> str:
    """A leaf module's name in the graph; its class where it is the whole model."""
    return call.path or type(call.module).__name__.lower()


def no_entry(call: Call) -> Unsupported:
    """Why a leaf module is in no table: what its library's table says of it, or its class and the reason."""
    assert call.module is not None
    refused = libraries.refusal(call.module)
    if refused is not None:
        return Unsupported(str(call), *refused)
    reason = MODULES.get(type(call.module).__name__, OTHERWISE)
    return Unsupported(str(call), f"{qualified(type(call.module))} has no exact meaning as a node", reason)


def layer(builder: Builder, place: Place) -> Drive:
    """A torch.nn layer, checked against what the module gave for what it got."""
    call = place.call
    assert call.module is not None
    found = entry(call.module)
    if found is None:
        raise no_entry(call)
    name, convert = found
    operand = next(value for value, _ in reversed(place.operands[0]) if value >= 0)
    if builder.view.axes.of(operand) is None and isinstance(builder.source(place.operands[0]), Constant):
        return recorded(builder, place)
    shape = builder.shape(place.operands[0], call)
    last = builder.view.axes.time_last(operand) and libraries.time_last(call.module)
    if builder.view.axes.lead(operand) != 1 and not last and name not in torch_nn.ANY_LEAD and not libraries.steps_allowed(call.module):
        lead = builder.view.tape.shapes[operand]
        raise Unsupported(str(call), f"works on [B, ...], but gets {list(lead)}", "flatten time and batch into one axis first")
    try:
        nodes = convert(call.module, shape)
        if None in place.calls and _value(nodes, np.zeros((1, *shape))).any():
            what = "has a bias, but is not computed at the first step, where its input does not exist yet"
            raise Unsupported(str(call), what, "start from zeros: torch.zeros(...) instead of None")
        _check(nodes, shape, builder.shared[call.key][0], 0 if last else builder.view.axes.lead(operand), call)
    except SnnError as error:
        raise type(error)(str(call), error.what, error.hint) from None
    return chain(builder, place, nodes, path_of(call), numbered=False)


def _check(nodes: Chain, shape: Shape, first: Call, lead: int, call: Call) -> None:
    """Run the nodes on what the module got at its first call; they must give what it gave, up to float32 rounding.

    ``lead`` axes stand before the features; 0: the batch does, and time comes last.
    """
    if first.sample is None or not nodes:
        return
    given, gave = first.sample.given, first.sample.gave
    if not lead:
        given, gave, lead = np.moveaxis(given, -1, 0), np.moveaxis(gave, -1, 0), 2
    found = entry(first.module) if first.module is not None and given.shape[lead:] != shape else None
    if found is not None:
        nodes = found[1](first.module, given.shape[lead:])
    value = _value(nodes, given.reshape(-1, *given.shape[lead:]))
    error = float(np.max(np.abs(value.reshape(gave.shape) - gave), initial=0.0))
    bound = _share(first.module) * float(np.max(np.abs(gave), initial=0.0)) + 1e-5
    if not error <= bound:
        what = f"gives other numbers than its class says (they differ by {error:.3g})"
        raise Unsupported(str(call), what, "a hook, a changed forward or a re-parametrization? Make it a plain layer first")


def _value(nodes: Chain, x: Any) -> Any:
    for node in nodes:
        x, _ = node.step((x,), {}, NUMPY)
    return x


def _share(module: torch.nn.Module | None) -> float:
    """How far a layer's numbers may be off: 1e-4, or four units of a type that is coarser."""
    parameters = () if module is None else module.parameters()
    return max([1e-4, *(4 * float(torch.finfo(p.dtype).eps) for p in parameters if p.is_floating_point())])
