"""Our own saved chip networks read with NumPy alone: no onnx package, no protobuf.

Only the fields that hold the network are looked at (field numbers: ``onnx/onnx.proto``; the encoding of messages:
protobuf.dev, "Encoding"): ModelProto.graph 7 and metadata_props 14, GraphProto.initializer 5, TensorProto dims 1, data_type 2,
name 8, raw_data 9, StringStringEntryProto key 1 and value 2; for the arrays that no operator reads ModelProto.functions 25,
FunctionProto name 1 and node 7, NodeProto name 3 and attribute 5, AttributeProto t 5.
Whether the operators of the file say the same network is what
``converters.onnx.load`` checks, with onnx, when a file is loaded; here the content digest in the file is held against the arrays.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from converters.onnx.structure import RECORDED, SCHEMA, decode, digest, kinds
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import ModelError, SnnError

Message: TypeAlias = dict[int, list[Any]]
"""Field number -> its values, in the order of the file: bytes, or whole numbers."""
DTYPES: Mapping[int, str] = {1: "<f4", 3: "<i1", 5: "<i2", 6: "<i4", 7: "<i8", 11: "<f8"}
"""TensorProto.DataType of the initializers that we write."""
PREFIX = "ai.snndeploy."
DAMAGED = (SnnError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError, OverflowError)


def read_chip(path: Path) -> tuple[ChipNetwork, str]:
    """The chip network in a file that snndeploy saved, and its content digest.

    Raises:
        ModelError: no such file, not one of ours, a float graph, of a newer schema, or damaged.
    """
    where = str(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(where, f"cannot be read: {error.strerror}", "check the path") from None
    try:
        model = message(data)
        entries = {e[1][0].decode(): e[2][0].decode() for e in map(message, model.get(14, []))}
        meta = {key.removeprefix(PREFIX): value for key, value in entries.items() if key.startswith(PREFIX)}
        arrays = dict(_tensor(t) for t in message(model[7][0]).get(5, [])) | _kept(model)
    except (LookupError, ValueError, AttributeError):
        raise ModelError(where, "is not an ONNX file that snndeploy saved, or it is cut off", "give a .<chip>.onnx file") from None
    return _rebuilt(meta, arrays, where)


def read_provenance(path: Path) -> tuple[str, str]:
    """The record of how a saved chip network was made, as it stands, and the digest of the network's integers.

    ("", "") where the file has none, or is none of ours: a record is never what a file is refused for.
    """
    try:
        entries = [message(e) for e in message(path.read_bytes()).get(14, [])]
        meta = {e[1][0].decode(): e[2][0].decode() for e in entries}
    except (OSError, LookupError, ValueError, AttributeError):
        return "", ""
    return meta.get(f"{PREFIX}provenance", ""), meta.get(f"{PREFIX}content", "")


def _rebuilt(meta: Mapping[str, str], arrays: Mapping[str, NDArray[Any]], where: str) -> tuple[ChipNetwork, str]:
    if meta.get("noun") != "chip":
        raise ModelError(where, "is not a chip network that snndeploy saved", "give the .<chip>.onnx file")
    if meta.get("schema") != str(RECORDED if meta.get("provenance") else SCHEMA):
        raise ModelError(where, f"has schema {meta.get('schema')}; this snndeploy reads up to {RECORDED}", "use the snndeploy that made it")
    try:
        content = digest(meta["structure"], arrays)
        network = decode(json.loads(meta["structure"]), arrays, kinds("chip"))
    except DAMAGED as error:
        raise ModelError(where, f"its description of the network is damaged ({error})", "save the network again") from None
    if not isinstance(network, ChipNetwork) or content != meta.get("content"):
        raise ModelError(where, "its integers are not those that were saved", "save the network again")
    return network, content


def message(data: bytes) -> Message:
    """The fields of one protobuf message. Raises ``ValueError`` or ``IndexError`` on anything that is not one."""
    found: Message = {}
    for number, value in _fields(data):
        found.setdefault(number, []).append(value)
    return found


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        size, at = _varint(data, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > len(data):
            raise ValueError("cut off")
        yield key >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value, shift, at = value | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _tensor(data: bytes) -> tuple[str, NDArray[Any]]:
    fields = message(data)
    shape: list[int] = []
    for entry in fields.get(1, []):
        shape += [entry] if isinstance(entry, int) else _packed(entry)
    dtype = np.dtype(DTYPES[fields[2][0]])
    raw = fields.get(9, [b""])[0]
    if len(raw) != math.prod(shape) * dtype.itemsize:
        raise ValueError("an initializer of another length")
    return fields[8][0].decode(), np.frombuffer(raw, dtype).reshape(shape)


def _kept(model: Message) -> dict[str, NDArray[Any]]:
    """The arrays of the function that no node calls (``files.kept``)."""
    functions = [message(f) for f in model.get(25, [])]
    nodes = [message(n) for f in functions if f.get(1) == [b"Kept"] for n in f.get(7, [])]
    return {n[3][0].decode(): _tensor(message(n[5][0])[5][0])[1] for n in nodes if 5 in n}


def _packed(data: bytes) -> list[int]:
    values, at = [], 0
    while at < len(data):
        value, at = _varint(data, at)
        values.append(value)
    return values
