"""Cutting a one-step graph: every neuron written out in operators becomes one cell between the layers.

Two states belong to one cell where one acts on the other without a spike in between, or each on the other. The cell
is what lies between its states before and after, and what leads from there to its spike.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from onnx import NodeProto

from converters.onnx.elementary import COMPARING, Array, run
from converters.onnx.net import Net, elementary
from converters.onnx.values import Constant
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError, Unsupported


@dataclass(frozen=True, eq=False)
class Cell:
    """A neuron as operators.

    Attributes:
        where: its name in errors.
        nodes: in running order.
        states: value before -> value after.
        entering: the values that come from outside.
        leaving: the values that go outside.
        spikes: of those made here, the ones that are 0 or 1.
        constants: by name, without the batch.
        shape: the features over which its constants differ; 1 on every axis along which they do not.
    """

    where: str
    nodes: tuple[NodeProto, ...]
    states: Mapping[str, str]
    entering: tuple[str, ...]
    leaving: tuple[str, ...]
    spikes: frozenset[str]
    constants: Mapping[str, Constant]
    shape: Shape

    def step(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """Every value, for the states before and what enters, [B, *shape], in float64."""
        values: dict[str, Array] = {**self.constants, **given}
        with np.errstate(all="ignore"):
            for node in self.nodes:
                values[node.output[0]] = run(node, values)
        return values

    @cached_property
    def operators(self) -> str:
        """What it is made of, for the table of facts."""
        return ", ".join(node.op_type for node in self.nodes)


Item: TypeAlias = NodeProto | Cell


def cut(net: Net, needed: Iterable[str]) -> tuple[Item, ...]:
    """The step as layers and cells, in running order; ``needed`` are the values that leave the network.

    Raises:
        Unsupported: cells that cannot be told apart.
    """
    inner = {before: net.real(after) for before, after in net.pairs.items() if _in_place(net, before, after)}
    owner: dict[int, int] = {}
    groups = _groups(net, inner)
    for number, group in enumerate(groups):
        for node in _between(net, group, inner):
            owner.setdefault(id(node), number)
    for number, group in enumerate(groups):
        for node in _firing(net, group, inner, owner):
            owner[id(node)] = number
    cells = [_cell(net, group, number, owner, inner, set(needed)) for number, group in enumerate(groups)]
    rest = [node for node in net.nodes if id(node) not in owner]
    return _ordered([*rest, *cells])


def _in_place(net: Net, before: str, after: str) -> bool:
    return net.real(after) in net.forward([before], elementary)


def _analog(net: Net, before: str) -> set[str]:
    return net.forward([before], lambda node: elementary(node) and node.op_type not in COMPARING)


def _groups(net: Net, inner: Mapping[str, str]) -> list[tuple[str, ...]]:
    near = {s: _analog(net, s) for s in inner}
    far = {s: net.forward([s], elementary) for s in inner}
    groups: list[set[str]] = [{s} for s in inner]
    for a in inner:
        for b in inner:
            if inner[b] in near[a] or (inner[b] in far[a] and inner[a] in far[b]):
                joined = {s for g in groups if a in g or b in g for s in g}
                groups = [g for g in groups if not g & joined] + [joined]
    return [tuple(s for s in inner if s in g) for g in groups]


def _between(net: Net, group: Sequence[str], inner: Mapping[str, str]) -> list[NodeProto]:
    down, up = net.forward(group, elementary), net.backward([inner[s] for s in group], elementary)
    return [n for n in net.nodes if elementary(n) and n.output[0] in down and n.output[0] in up]


def _firing(net: Net, group: Sequence[str], inner: Mapping[str, str], owner: Mapping[int, int]) -> list[NodeProto]:
    """What leads from the cell's values to a spike, and is in no cell yet."""
    values = {*group, *(n.output[0] for n in _between(net, group, inner))}

    def passes(node: NodeProto) -> bool:
        return elementary(node) and id(node) not in owner and not {*node.input} & net.spikes

    down = net.forward(values, passes)
    up = net.backward(down & net.spikes, passes)
    return [n for n in net.nodes if passes(n) and n.output[0] in down and n.output[0] in up]


def _cell(net: Net, group: tuple[str, ...], number: int, owner: Mapping[int, int], inner: Mapping[str, str], needed: set[str]) -> Cell:
    nodes = tuple(n for n in net.nodes if owner.get(id(n)) == number)
    made = {n.output[0] for n in nodes}
    read = list(dict.fromkeys(name for n in nodes for name in n.input if name))
    outside = {name for n in net.nodes if owner.get(id(n)) != number for name in n.input} | needed
    last = nodes[-1] if nodes else None
    where = f"{last.name or last.output[0]} ({last.op_type})" if last is not None else f"state {group[0]}"
    entering = tuple(name for name in read if name not in made and name not in net.constants and name not in group)
    rank = len(net.inputs[group[0]]) - 1
    constants = {name: _sample(net.constants[name], rank, where) for name in read if name in net.constants}
    shape = np.broadcast_shapes((1,) * rank, *(np.shape(v) for v in constants.values()))
    leaving = tuple(name for name in (*made, *group) if name in outside)
    states = {before: inner[before] for before in group}
    return Cell(where, nodes, states, entering, leaving, net.spikes & made, constants, shape)


def _sample(constant: Constant, rank: int, where: str) -> Constant:
    """A constant as it meets one sample. Raises ``Unsupported`` where it differs from sample to sample."""
    value = np.asarray(constant)
    value = value.astype(np.float64) if value.dtype != np.bool_ else value
    if value.ndim <= rank:
        return value
    if value.ndim > rank + 1 or not (value == value[:1]).all():
        raise Unsupported(where, f"meets a constant of shape {list(value.shape)}", "a neuron's constants are the same for every sample")
    return np.asarray(value[0])


def _ordered(items: Sequence[Item]) -> tuple[Item, ...]:
    maker = {name: i for i, item in enumerate(items) for name in _made(item)}
    sorter: graphlib.TopologicalSorter[int] = graphlib.TopologicalSorter()
    for i, item in enumerate(items):
        read = item.entering if isinstance(item, Cell) else item.input
        sorter.add(i, *(maker[name] for name in read if name in maker and maker[name] != i))
    try:
        return tuple(items[i] for i in sorter.static_order())
    except graphlib.CycleError:
        raise ModelError("states", "the neurons cannot be told apart: they lie within each other", "put a layer between them") from None


def _made(item: Item) -> Iterable[str]:
    return [n.output[0] for n in item.nodes] if isinstance(item, Cell) else [o for o in item.output if o]
