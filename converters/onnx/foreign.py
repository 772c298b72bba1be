"""ONNX files of other tools: feed-forward (artificial) networks read as a Graph.

Every value of the file is a constant or features of a node of ours (``values.Live``). What is computed from constants
alone is folded; what only rearranges values moves indices; the rest is one function an operator, in ``TABLE``. What is
not there is refused with the node, the operator and the reason. The batch is the first axis of every input; where the
file leaves it open it is taken as 2 while reading, and every rearrangement is shown to keep the samples apart.
"""

from __future__ import annotations

import graphlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, defs, helper, inliner, numpy_helper

from converters import Fact, LayerSource, Loaded, Options
from converters.onnx import elementwise, linear, pools
from converters.onnx.drafting import Drafting
from converters.onnx.folding import FOLDED, LARGEST, evaluate
from converters.onnx.reasons import hint_for, reason
from converters.onnx.values import Call, Live, Value
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output

OPSETS = (9, 23)
Convert: TypeAlias = Callable[[Drafting, Call], tuple[Value, ...]]

TABLE: Mapping[str, Convert] = {
    "Conv": linear.conv,
    "Gemm": linear.gemm,
    "MatMul": linear.matmul,
    "BatchNormalization": linear.batch_norm,
    "Relu": elementwise.relu,
    "Clip": elementwise.clip,
    "Add": elementwise.add,
    "Sub": elementwise.subtract,
    "Mul": elementwise.multiply,
    "Div": elementwise.divide,
    "Neg": elementwise.negate,
    "Sum": elementwise.total,
    "Concat": elementwise.concat,
    "Identity": elementwise.same,
    "Dropout": elementwise.same,
    "Cast": elementwise.same,
    "AveragePool": pools.average,
    "MaxPool": pools.maximum,
    "GlobalAveragePool": pools.whole_average,
    "GlobalMaxPool": pools.whole_maximum,
    "ReduceMean": pools.reduced,
    "ReduceSum": pools.reduced,
    "ReduceMax": pools.reduced,
}
_VIEWS = "Reshape Transpose Squeeze Unsqueeze Flatten Slice Split Gather Pad DepthToSpace SpaceToDepth"
VIEWS = frozenset(_VIEWS.split())
"""Operators that only rearrange values."""
MONOTONE = frozenset(("Softmax", "LogSoftmax", "Sigmoid", "ArgMax", "HardSigmoid"))
"""At the end of a network these do not change which class is largest."""


def load(model: ModelProto, where: str, options: Options) -> Loaded:
    """The network of a file that snndeploy did not write.

    Raises:
        ModelError: damaged, not self-contained, or of an operator set that is not read.
        Unsupported: an operator without a meaning here, with the node's name.
    """
    if model.functions:
        model = _inlined(model, where)
    opset = _opset(model, where)
    constants = {i.name: tensor(i, where) for i in model.graph.initializer}
    if model.graph.sparse_initializer:
        raise Unsupported(where, "keeps weights as sparse tensors", "export dense weights")
    infos = [i for i in model.graph.input if i.name not in constants]
    if not infos:
        raise ModelError(where, "has no input", "the data must enter somewhere")
    shapes = {i.name: _input_shape(i, options, len(infos), where) for i in infos}
    draft = Drafting(opset, _batch(infos, where))
    draft.values |= constants
    for name, shape in shapes.items():
        draft.nodes[name], draft.shapes[name] = Input(shape), shape
        draft.values[name] = Live(name, shape)
    for node in _sorted(model.graph, set(draft.values), where):
        _read(draft, node, model.graph)
    _outputs(draft, model.graph, where)
    graph = Graph(draft.nodes, tuple(draft.edges))
    return Loaded(graph, _semantics(graph, draft), tuple(draft.notes), options.timesteps)


def _read(draft: Drafting, node: NodeProto, graph: GraphProto) -> None:
    call = _call(draft, node)
    if any(isinstance(v, Live) for v in call.inputs):
        results = _live(draft, call, graph)
    elif node.op_type in FOLDED:
        results = evaluate(node, call.inputs, draft.opset, call.where)  # type: ignore[arg-type]
    else:
        raise call.refused(reason(node.op_type), hint_for(node.op_type))
    for name, value in zip([n for n in node.output if n], results, strict=False):
        draft.values[name] = value


def _live(draft: Drafting, call: Call, graph: GraphProto) -> tuple[Value, ...]:
    if call.op in ("Shape", "Size"):
        whole = np.broadcast_to(np.float32(0), (draft.batch, *call.live().shape))
        return evaluate(call.proto, (whole,), draft.opset, call.where)
    if call.op in VIEWS:
        return _view(draft, call)
    if call.op in MONOTONE and {*call.proto.output} <= {o.name for o in graph.output}:
        draft.notes.append(f"the last layer's {call.op} is left out: it does not change which output is largest")
        return (call.live(),)
    convert = TABLE.get(call.op)
    if convert is None:
        raise call.refused(reason(call.op), hint_for(call.op))
    return convert(draft, call)


def _view(draft: Drafting, call: Call) -> tuple[Value, ...]:
    """Run a rearrangement on the indices of every sample; each must keep to itself."""
    value, size = call.live(), int(np.prod(call.live().shape, dtype=np.int64))
    if call.op == "Pad":
        _check_pad(call)
    if size * draft.batch > LARGEST:
        raise call.refused(f"rearranges {size:,} values", "no chip holds such a layer; check --input-shape")
    own = max(size, int(value.indices.max(initial=0)) + 1)
    batch = np.stack([np.where(value.indices < 0, -1, value.indices + own * b) for b in range(draft.batch)])
    # indices are shifted up by 1, so that 0, with which Pad fills, is "no value"
    results = evaluate(call.proto, (batch + 1, *call.inputs[1:]), draft.opset, call.where)  # type: ignore[arg-type]
    return tuple(_sample(call, np.asarray(result) - 1, draft.batch, own, value.node) for result in results)


def _sample(call: Call, result: NDArray[Any], batch: int, own: int, node: str) -> Live:
    """The first sample's indices. Raises ``Unsupported`` unless all samples are treated alike and kept apart."""
    apart = result.ndim > 0 and result.shape[0] == batch
    first = result[0].astype(np.int64) if apart else result
    if not apart or any(not np.array_equal(np.where(first < 0, -1, first + own * b), result[b]) for b in range(batch)):
        raise call.refused("moves values between samples", "keep the batch on the first axis")
    straight = first.size == own and np.array_equal(first.ravel(), np.arange(own))
    return Live(node, tuple(map(int, first.shape)), None if straight else first)


def _check_pad(call: Call) -> None:
    mode = call.attributes.get("mode", b"constant").decode(errors="replace")
    fill = call.constant(2, "value")
    filled = float(call.attributes.get("value", 0.0)) if fill is None else float(np.ravel(fill)[0])
    if mode != "constant" or filled != 0.0:
        raise call.refused(f"pads with {'a value other than 0' if mode == 'constant' else mode}", "pad with zeros")


def _call(draft: Drafting, node: NodeProto) -> Call:
    name = (node.name or next((o for o in node.output if o), node.op_type)).strip("/")
    where = f"{node.name or name} ({node.op_type})"
    if node.domain not in ("", "ai.onnx"):
        raise Unsupported(where, f"is an operator of {node.domain!r}, which is not standard ONNX", "export with standard operators only")
    inputs = tuple(draft.values[n] if n else None for n in node.input)
    try:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    except (ValueError, TypeError) as error:
        raise ModelError(where, f"has a damaged attribute ({error})", "export the model again") from None
    return Call(where, node.op_type, name, inputs, attributes, node)


def _outputs(draft: Drafting, graph: GraphProto, where: str) -> None:
    if not graph.output:
        raise ModelError(where, "has no output", "export the model again")
    for info in graph.output:
        value = draft.values.get(info.name)
        if not isinstance(value, Live):
            raise Unsupported(f"output {info.name}", "does not depend on the data", "remove it from the exported model")
        name = info.name if info.name not in draft.nodes else f"{info.name}.out"
        draft.add(name, Output("sum"), [draft.straight(value)])


def _semantics(graph: Graph, draft: Drafting) -> tuple[LayerSource, ...]:
    made = [n for n in graph.order if n in draft.kinds]
    return tuple(LayerSource(n, str(graph.nodes[n]), draft.kinds[n], (Fact("operator", draft.kinds[n], "file"),)) for n in made)


def tensor(proto: TensorProto, where: str) -> NDArray[Any]:
    """A constant's values. Raises ``ModelError`` on data kept elsewhere, or that are not what they claim."""
    if proto.data_location == TensorProto.EXTERNAL or proto.external_data:
        hint = "save one file: onnx.save(onnx.load(path), 'whole.onnx', save_as_external_data=False)"
        raise ModelError(where, f"keeps the values of {proto.name!r} in another file, which is never opened", hint)
    if any(d < 0 for d in proto.dims) or float(np.prod(proto.dims, dtype=np.float64)) > LARGEST:
        raise ModelError(where, f"the shape of {proto.name!r}, {list(proto.dims)[:8]}, is damaged or too large", "export the model again")
    try:
        return np.asarray(numpy_helper.to_array(proto))
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise ModelError(where, f"the values of {proto.name!r} are damaged ({error})", "export the model again") from None


def _inlined(model: ModelProto, where: str) -> ModelProto:
    if any(f.domain == "ai.snndeploy" for f in model.functions):
        raise ModelError(
            where, "was not saved by snndeploy, or is cut off", "its description of the network is gone; convert the model again"
        )
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # noqa: BLE001 - the inliner is native code and raises RuntimeError and its kin
        raise ModelError(where, f"its functions cannot be written out ({str(error).splitlines()[0][:200]})", "export again") from None


def _opset(model: ModelProto, where: str) -> int:
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not versions or not model.graph.node:
        raise ModelError(where, "is not an ONNX model: it holds no operators", "export the model again")
    if not OPSETS[0] <= versions[0] <= min(OPSETS[1], max(OPSETS[1], defs.onnx_opset_version())):
        hint = "export with opset 17, or use onnx.version_converter"
        raise ModelError(where, f"uses operator set {versions[0]}; {OPSETS[0]} to {OPSETS[1]} are read", hint)
    return int(versions[0])


def _sorted(graph: GraphProto, known: set[str], where: str) -> list[NodeProto]:
    """The nodes in running order, whatever their order in the file. Raises ``ModelError`` on gaps and cycles."""
    maker = {name: i for i, node in enumerate(graph.node) for name in node.output if name}
    sorter: graphlib.TopologicalSorter[int] = graphlib.TopologicalSorter()
    for i, node in enumerate(graph.node):
        for name in node.input:
            if name and name not in known and name not in maker:
                raise ModelError(where, f"node {node.name or i} reads {name!r}, which nothing makes", "the file is damaged")
        sorter.add(i, *(maker[name] for name in node.input if name in maker and name not in known))
    try:
        return [graph.node[i] for i in sorter.static_order()]
    except graphlib.CycleError:
        raise ModelError(where, "has a cycle, which ONNX does not allow", "the file is damaged") from None


def _dims(info: ValueInfoProto, where: str) -> list[int | None]:
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        raise ModelError(where, f"does not say the shape of its input {info.name!r}", "export the model with shapes")
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in info.type.tensor_type.shape.dim]
    if len(dims) < 2:
        raise Unsupported(f"input {info.name}", f"has {len(dims)} axes", "the first axis is the batch: export with [N, ...]")
    return dims


def _batch(infos: list[ValueInfoProto], where: str) -> int:
    found = {_dims(info, where)[0] for info in infos}
    if len(found) > 1:
        raise Unsupported(where, f"its inputs have batches of {sorted(map(str, found))}", "give all inputs one batch axis")
    return found.pop() or 2


def _input_shape(info: ValueInfoProto, options: Options, inputs: int, where: str) -> Shape:
    said = _dims(info, where)[1:]
    given = options.input_shape if inputs == 1 else None
    if given is not None and (len(given) != len(said) or any(s not in (None, g) for s, g in zip(said, given, strict=True))):
        shown = ", ".join("?" if s is None else str(s) for s in said)
        raise ModelError(where, f"its input {info.name!r} is [{shown}] a sample, not {list(given)}", "leave --input-shape out, or mend it")
    shape = given or tuple(s or 0 for s in said)
    if 0 in shape:
        what = f"leaves the shape of its input {info.name!r} open"
        raise ModelError(where, what, "name one input's shape without the batch: --input-shape 3,32,32")
    return shape
