"""The file and its tensors: bounded reading, exact initializers, atomic writing."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import FunctionProto, ModelProto, TensorProto, helper

from snndeploy.errors import ModelError, Unsupported
from snndeploy.files import replacing

LARGEST = 2**31 - 1
"""Bytes of the largest protobuf message."""

DTYPES: Mapping[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype("<f4"),
    TensorProto.DOUBLE: np.dtype("<f8"),
    TensorProto.INT8: np.dtype("<i1"),
    TensorProto.INT16: np.dtype("<i2"),
    TensorProto.INT32: np.dtype("<i4"),
    TensorProto.INT64: np.dtype("<i8"),
}
NOT_OURS = "save it again with snndeploy; ONNX files of other tools are read by converters.load, whose neurons are found by probing"


def read(path: Path) -> tuple[ModelProto, bytes]:
    """The protobuf message of a file and its bytes. Raises ``ModelError`` on anything that is not one."""
    where = str(path)
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise ModelError(where, f"has {size} bytes, more than an ONNX file can have (2 GiB)")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(where, f"cannot be read: {error.strerror}", "check the path") from None
    if not data:
        raise ModelError(where, "is empty (0 bytes)", "save the network again")
    try:
        return ModelProto.FromString(data), data
    except DecodeError:
        raise ModelError(where, "is not an ONNX file, or it is cut off", NOT_OURS) from None


def write(path: Path, data: bytes) -> None:
    """Write a file at once or not at all. Raises ``ModelError`` where it cannot be written."""
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(data)
    except OSError as error:
        raise ModelError(str(path), f"cannot be written: {error.strerror}", "check that the folder exists and may be written to") from None


def serialize(model: ModelProto, where: str) -> bytes:
    """The model's bytes, the same for the same model. Raises ``Unsupported`` above protobuf's 2 GiB."""
    if model.ByteSize() > LARGEST:
        raise Unsupported(where, "the model needs more than 2 GiB, which ONNX can only hold in several files")
    return bytes(model.SerializeToString(deterministic=True))


def tensor(name: str, values: NDArray[Any]) -> TensorProto:
    """An initializer: floats as float32 where that is exact and as float64 elsewhere, integers as narrow as they fit.

    Raises ``Unsupported`` where a number is too large for float32.
    """
    kind = _integer_kind(values) if np.issubdtype(values.dtype, np.integer) else _float_kind(name, values)
    return helper.make_tensor(name, kind, values.shape, values.astype(DTYPES[kind]).tobytes(), raw=True)


def _integer_kind(values: NDArray[Any]) -> int:
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    kinds = (TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64)
    return next(k for k in kinds if np.iinfo(DTYPES[k]).min <= low and high <= np.iinfo(DTYPES[k]).max)


def _float_kind(name: str, values: NDArray[Any]) -> int:
    largest = float(np.abs(values).max(initial=0.0))
    if largest > float(np.finfo(np.float32).max):
        raise Unsupported(name, f"{largest:g} is too large for float32, in which the saved graph computes", "rescale the layer")
    return TensorProto.FLOAT if np.array_equal(values.astype(np.float32), values) else TensorProto.DOUBLE


KEPT = "Kept"
"""A function that no node calls: it holds the arrays which the noun has and the step does not read."""


def kept(arrays: Mapping[str, NDArray[Any]], domain: str, opset: int) -> FunctionProto:
    """Arrays as Constants of a function; as initializers, onnxruntime would warn of them."""
    constants = [helper.make_node("Constant", [], [path], name=path, value=tensor(path, arrays[path])) for path in arrays]
    return helper.make_function(domain, KEPT, [], [*arrays], constants, [helper.make_opsetid("", opset)])


def tensors(model: ModelProto) -> Iterator[TensorProto]:
    """Every named array of a model: its initializers, and what is ``kept``."""
    yield from model.graph.initializer
    for node in (node for function in model.functions if function.name == KEPT for node in function.node if node.attribute):
        proto = TensorProto()
        proto.CopyFrom(node.attribute[0].t)
        proto.name = node.name
        yield proto


def array(proto: TensorProto, where: str) -> NDArray[Any]:
    """An initializer's values. Raises ``ModelError`` on data kept elsewhere, of another type, or of the wrong length."""
    if proto.data_location == TensorProto.EXTERNAL or proto.external_data:
        raise ModelError(where, f"keeps the values of {proto.name!r} in another file", "only self-contained files are read")
    dtype = DTYPES.get(proto.data_type)
    if dtype is None or len(proto.raw_data) != math.prod(proto.dims) * dtype.itemsize:
        raise ModelError(where, f"the values of {proto.name!r} are damaged", "save the network again")
    return np.frombuffer(proto.raw_data, dtype).reshape(tuple(proto.dims))
