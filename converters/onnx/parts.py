"""What a foreign ONNX file is made of: constants, nodes in running order, inputs and their shapes."""

from __future__ import annotations

import graphlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, defs, inliner, numpy_helper

from converters import Options
from converters.onnx.folding import LARGEST
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError, Unsupported

OPSETS = (9, 23)
SAY = "name one input's shape without the batch: --input-shape 3,32,32"
SEVERAL = "export it again with every size but the batch fixed: --input-shape is one shape, and there are several inputs"
"""What helps where the shape of an input is open: of the only one, or of several."""


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


def inlined(model: ModelProto, where: str) -> ModelProto:
    """The model without functions of its own. Raises ``ModelError``."""
    if any(f.domain == "ai.snndeploy" for f in model.functions):
        raise ModelError(
            where, "was not saved by snndeploy, or is cut off", "its description of the network is gone; convert the model again"
        )
    try:
        return inliner.inline_local_functions(model)
    except Exception as error:  # noqa: BLE001 - the inliner is native code and raises RuntimeError and its kin
        raise ModelError(where, f"its functions cannot be written out ({str(error).splitlines()[0][:200]})", "export again") from None


def opset_of(model: ModelProto, where: str) -> int:
    """The standard operator set. Raises ``ModelError`` for one that is not read."""
    versions = [o.version for o in model.opset_import if o.domain in ("", "ai.onnx")]
    if not versions or not model.graph.node:
        raise ModelError(where, "is not an ONNX model: it holds no operators", "export the model again")
    if not OPSETS[0] <= versions[0] <= min(OPSETS[1], max(OPSETS[1], defs.onnx_opset_version())):
        hint = "export with opset 17, or use onnx.version_converter"
        raise ModelError(where, f"uses operator set {versions[0]}; {OPSETS[0]} to {OPSETS[1]} are read", hint)
    return int(versions[0])


def in_order(graph: GraphProto, known: set[str], where: str) -> list[NodeProto]:
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


def dims(info: ValueInfoProto, where: str) -> list[int | None]:
    """An input's axes, None where one is left open. Raises ``ModelError``, ``Unsupported``."""
    if not info.type.HasField("tensor_type") or not info.type.tensor_type.HasField("shape"):
        raise ModelError(where, f"does not say the shape of its input {info.name!r}", "export the model with shapes")
    found = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in info.type.tensor_type.shape.dim]
    if len(found) < 2:
        raise Unsupported(f"input {info.name}", f"has {len(found)} axes", "the first axis is the batch: export with [N, ...]")
    return found


def batch_of(infos: Sequence[ValueInfoProto], where: str) -> int:
    """The size of the batch axis, 2 where it is left open. Raises ``Unsupported`` where inputs differ in it."""
    found = {dims(info, where)[0] for info in infos}
    if len(found) > 1:
        raise Unsupported(where, f"its inputs have batches of {sorted(map(str, found))}", "give all inputs one batch axis")
    return found.pop() or 2


def input_shape(info: ValueInfoProto, options: Options, inputs: int, where: str) -> Shape:
    """An input's shape without the batch, as the file and, for the only one of ``inputs``, the user say it. Raises ``ModelError``."""
    said = dims(info, where)[1:]
    given = options.input_shape if inputs == 1 else None
    if given is not None and (len(given) != len(said) or any(s not in (None, g) for s, g in zip(said, given, strict=True))):
        shown = ", ".join("?" if s is None else str(s) for s in said)
        raise ModelError(where, f"its input {info.name!r} is [{shown}] a sample, not {list(given)}", "leave --input-shape out, or mend it")
    shape = given or tuple(s or 0 for s in said)
    if 0 in shape:
        what = f"leaves the shape of its input {info.name!r} open"
        raise ModelError(where, what, SAY if inputs == 1 else SEVERAL)
    return shape
