"""One step of a foreign ONNX graph, cleaned: constants folded, copies resolved, and what depends on what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from onnx import NodeProto, TensorProto, helper, shape_inference

from converters.onnx.elementary import COMPARING, ELEMENTARY, FLOATS, LOGICAL
from converters.onnx.folding import FOLDED, evaluate
from converters.onnx.values import Constant
from snndeploy.arrays import Shape

Through = Callable[[NodeProto], bool]


def elementary(node: NodeProto) -> bool:
    """Whether a node treats every element by itself."""
    return node.op_type in ELEMENTARY


@dataclass(frozen=True, eq=False)
class Net:
    """The nodes that compute something, in running order; inputs with the batch in front; outputs as the file names them.

    ``same`` maps a copy to what it copies. ``spikes`` are the values that are 0 or 1: a comparison, as a number.
    """

    nodes: tuple[NodeProto, ...]
    constants: Mapping[str, Constant]
    inputs: Mapping[str, Shape]
    outputs: tuple[str, ...]
    same: Mapping[str, str]
    shapes: Mapping[str, Shape]
    spikes: frozenset[str]
    opset: int
    batch: int
    pairs: Mapping[str, str] = field(default_factory=dict)

    def real(self, name: str) -> str:
        """The value that a name is a copy of, or the name."""
        return self.same.get(name, name)

    @cached_property
    def readers(self) -> Mapping[str, tuple[NodeProto, ...]]:
        """Value -> the nodes that read it."""
        found: dict[str, list[NodeProto]] = {}
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found.setdefault(name, []).append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def makers(self) -> Mapping[str, NodeProto]:
        """Value -> the node that makes it."""
        return {name: node for node in self.nodes for name in node.output if name}

    def forward(self, starts: Iterable[str], through: Through) -> set[str]:
        """The values that depend on ``starts`` through such nodes, and the starts."""
        found, todo = set(starts), list(starts)
        while todo:
            for node in self.readers.get(todo.pop(), ()):
                fresh = [o for o in node.output if o and o not in found] if through(node) else []
                found.update(fresh)
                todo += fresh
        return found

    def backward(self, ends: Iterable[str], through: Through) -> set[str]:
        """The values on which ``ends`` depend through such nodes, and the ends."""
        found, todo = set(ends), list(ends)
        while todo:
            node = self.makers.get(todo.pop())
            fresh = [i for i in node.input if i and i not in found] if node is not None and through(node) else []
            found.update(fresh)
            todo += fresh
        return found


def prepare(
    nodes: Sequence[NodeProto],
    constants: Mapping[str, Constant],
    inputs: Mapping[str, Shape],
    outputs: Sequence[str],
    opset: int,
    batch: int,
) -> Net:
    """The step of ``nodes`` (in running order); ``inputs`` have the batch in front.

    Raises:
        ModelError: constants that cannot be computed.
    """
    known = dict(constants)
    shapes = _shapes(nodes, constants, inputs, opset)
    same: dict[str, str] = {}
    bools: set[str] = set()
    kept = []
    for original in nodes:
        node = NodeProto()
        node.CopyFrom(original)
        node.input[:] = [same.get(name, name) for name in node.input]
        if _fold(node, known, shapes, opset):
            continue
        copied = _copied(node, bools, known)
        if copied is not None:
            same[node.output[0]] = copied
            continue
        if _logical(node):
            bools.update(node.output)
        kept.append(node)
    kept = _used(kept, [same.get(name, name) for name in outputs])
    spikes = frozenset(n.output[0] for n in kept if _is_spike(n, bools, known))
    return Net(tuple(kept), known, dict(inputs), tuple(outputs), same, shapes, spikes, opset, batch)


def _used(nodes: Sequence[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    """The nodes that an output depends on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & {*node.output}:
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _fold(node: NodeProto, known: dict[str, Constant], shapes: Mapping[str, Shape], opset: int) -> bool:
    """Compute a node whose inputs are constants, or that only asks for a shape; whether that was done."""
    where = f"{node.name or node.output[0]} ({node.op_type})"
    if node.op_type in ("Shape", "Size") and node.input[0] in shapes:
        given: tuple[Constant | None, ...] = (np.broadcast_to(np.float32(0), shapes[node.input[0]]),)
    elif node.op_type in FOLDED and all(not name or name in known for name in node.input):
        given = tuple(known[name] if name else None for name in node.input)
    else:
        return False
    known.update(zip([o for o in node.output if o], evaluate(node, given, opset, where), strict=False))
    return True


def _copied(node: NodeProto, bools: Collection[str], known: Mapping[str, Constant]) -> str | None:
    """What a node gives as it is; None for a node that does something. Spikes times a factor of 1 are such."""
    if node.op_type == "Identity" or (node.op_type == "Dropout" and len(node.input) == 1 and len([o for o in node.output if o]) == 1):
        return str(node.input[0])
    if node.op_type in ("Mul", "Div"):
        sides = ((0, 1), (1, 0)) if node.op_type == "Mul" else ((0, 1),)
        return next((str(node.input[x]) for x, one in sides if _is_one(known.get(node.input[one]))), None)
    to = next((a.i for a in node.attribute if a.name == "to"), 0)
    return str(node.input[0]) if node.op_type == "Cast" and to in FLOATS and node.input[0] not in bools else None


def _is_one(value: Constant | None) -> bool:
    return value is not None and np.size(value) == 1 and np.ndim(value) <= 1 and float(np.ravel(value)[0]) == 1.0


def _logical(node: NodeProto) -> bool:
    to = next((a.i for a in node.attribute if a.name == "to"), 0)
    return node.op_type in COMPARING or node.op_type in LOGICAL or (node.op_type == "Cast" and to == TensorProto.BOOL)


def _is_spike(node: NodeProto, bools: Collection[str], constants: Mapping[str, Constant]) -> bool:
    if node.op_type == "Where" and node.input[0] in bools and all(name in constants for name in node.input[1:]):
        yes, no = (constants[name] for name in node.input[1:])
        return bool((np.asarray(yes) == 1).all() and (np.asarray(no) == 0).all())
    return node.op_type == "Cast" and node.input[0] in bools


def _shapes(nodes: Sequence[NodeProto], constants: Mapping[str, Constant], inputs: Mapping[str, Shape], opset: int) -> dict[str, Shape]:
    """What onnx's own inference says of the shapes; what it cannot say is not there."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()]
    small = {name: np.asarray(v) for name, v in constants.items() if np.asarray(v).dtype == np.int64}
    infos += [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.asarray(v).dtype), np.shape(v))
        for name, v in constants.items()
        if name not in small
    ]
    tensors = [helper.make_tensor(n, TensorProto.INT64, v.shape, v.ravel().tolist()) for n, v in small.items()]
    graph = helper.make_graph(list(nodes), "shapes", infos, [], tensors)
    try:
        found = shape_inference.infer_shapes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)]), data_prop=True)
    except Exception:  # noqa: BLE001 - native code; what it cannot infer is found later, or refused there
        return dict(inputs)
    said = {
        i.name: tuple(d.dim_value for d in i.type.tensor_type.shape.dim)
        for i in found.graph.value_info
        if i.type.tensor_type.HasField("shape") and all(d.HasField("dim_value") for d in i.type.tensor_type.shape.dim)
    }
    return {**said, **inputs}
