"""Nodes one behind the other at one place of the network."""

from __future__ import annotations

from converters.pt.drives import AxesUnknown, Constant, Drive, Place, Source
from converters.pt.recording import numbers
from converters.pt.streams import Builder
from converters.pt.torch_nn import Chain
from snndeploy.errors import Unsupported


def chain(builder: Builder, place: Place, nodes: Chain, base: str, numbered: bool = True) -> Drive:
    """Nodes one after the other behind the place's first operand."""
    if not nodes:
        return builder.source(place.operands[0])
    names = [base] if len(nodes) == 1 else [f"{base}.{type(n).__name__.lower()}" for n in nodes]
    handles = [builder.reserve(name, place.call.index, str(place.call), numbered) for name in names]
    builder.remember(place.stream, Source(handles[-1]))
    drive = builder.source(place.operands[0])
    if isinstance(drive, Constant):
        return recorded(builder, place)
    check_shape(builder, place, nodes)
    for handle, node, before in zip(handles, nodes, (drive, *map(Source, handles)), strict=False):
        builder.nodes[handle] = node
        builder.connect(before, handle)
    return Source(handles[-1])


def check_shape(builder: Builder, place: Place, nodes: Chain) -> None:
    """The nodes must make the shape that the call made; else its axes were not what they were taken for."""
    shape, made = builder.shape(place.operands[0], place.call), builder.shape(place.stream, place.call)
    try:
        for node in nodes:
            shape = node.out_shape((shape,))
    except ValueError as misfit:
        raise AxesUnknown(str(place.call), str(misfit), "check --input-shape and the layer before it") from None
    if shape != made:
        raise AxesUnknown(
            str(place.call), f"makes {list(made)}, its node {list(shape)}", "it may work on time or batch instead of features"
        )


def function_name(place: Place) -> tuple[str, bool]:
    """A functional node's name: the path of a torch.nn module that only calls it, else numbered inside its module."""
    call = place.call
    return (f"{call.path}.{call.op}" if call.path else call.op), True


def recorded(builder: Builder, place: Place) -> Constant:
    """What a layer gave for something that does not depend on the data: a constant, as it was recorded."""
    tape = builder.view.tape
    tensor = tape.tensors[place.stream[-1][0]]
    if sum(other is tensor for other in tape.tensors) > 1:
        raise Unsupported(str(place.call), "gives a constant that is changed in place", "add out of place: y = y + x")
    return Constant(numbers(tensor))
