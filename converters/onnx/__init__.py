"""ONNX in and out: the saved graph is a standard ONNX model that onnxruntime runs, and loads back exactly.

``save`` writes a Graph as a one-step model (float32, dynamic batch): layers are standard operators, each neuron is
one node of domain ``ai.snndeploy`` with a function body of standard operators, state is explicit. The same noun
gives the same bytes. ``load`` rebuilds the noun from the metadata, saves it again in memory and refuses a file
whose bytes differ: what the operators say and what snndeploy read are then the same network. Files of other tools have
no such metadata; ``foreign`` reads their operators.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from pathlib import Path
from typing import Any, Literal, TypeAlias

from converters import Loaded, Options
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import MissingPackage, ModelError, SnnError
from snndeploy.ir.graph import Graph

SUFFIXES = (".onnx",)

File: TypeAlias = str | os.PathLike[str]


def save(noun: Graph | ChipNetwork, path: File, *, scan: bool = False, provenance: str = "") -> None:
    """Write a network; an older file stays untouched unless the new one is complete.

    ``scan`` wraps the step in an ONNX Scan that runs T steps in one call. ``provenance`` is the record of how a
    chip network was made, which stands in the file as it is given.

    Raises:
        ModelError: the file cannot be written.  Unsupported: a node that a file cannot hold.
        MissingPackage: onnx is not installed.
    """
    _module("files").write(Path(path), to_bytes(noun, scan=scan, provenance=provenance))


def to_bytes(noun: Graph | ChipNetwork, *, scan: bool = False, version: str = "", provenance: str = "") -> bytes:
    """What ``save`` writes; ``version`` is the producer's, this one if not given."""
    producer = version or _version()
    if isinstance(noun, ChipNetwork):
        return bytes(_module("chip").emit(noun, producer, scan, provenance))
    return bytes(_module("model").emit(noun, producer, scan))


def content_of(network: ChipNetwork) -> str:
    """The digest of a chip network's integers, which its file holds and a record of its making names."""
    from converters.onnx.structure import digest, encode, text  # noqa: PLC0415 - with its siblings

    arrays: dict[str, Any] = {}
    return digest(text(encode(network, "chip", arrays)), arrays)


def sniff(path: File) -> Literal["graph", "chip"]:
    """Which noun a file holds. Raises ``ModelError`` if it is not one that snndeploy saved."""
    model, _ = _module("files").read(Path(path))
    return "chip" if _metadata(model, str(path))["noun"] == "chip" else "graph"


def load_graph(path: File) -> Graph:
    """The Graph that was saved: equal, number for number.

    Raises:
        ModelError: no such file, empty, cut off, not saved by snndeploy, of a newer schema, or changed since.
    """
    noun = load(path)
    if not isinstance(noun, Graph):
        raise ModelError(str(path), "holds a quantized chip network, not a graph", "use it where a chip network is expected")
    return noun


def load_chip(path: File) -> ChipNetwork:
    """The ChipNetwork that was saved; raises as ``load_graph``."""
    noun = load(path)
    if not isinstance(noun, ChipNetwork):
        raise ModelError(str(path), "holds a graph, not a quantized chip network", "convert it first")
    return noun


def load(path: File, options: Options | None = None) -> Graph | ChipNetwork | Loaded:
    """Whichever noun the file holds; a file of another tool is read by ``foreign``, with the options. Raises as ``load_graph``."""
    path = Path(path)
    where, files = str(path), _module("files")
    model, data = files.read(path)
    if not _ours(model):
        read: Loaded = _module("foreign").load(model, where, options or Options())
        return read
    (options or Options()).only(f"{path.name}, which snndeploy saved and which says all of it")
    meta = _metadata(model, where)
    arrays = {i.name: files.array(i, where) for i in files.tensors(model)}
    backend = _module("chip" if meta["noun"] == "chip" else "model")
    try:
        noun: Graph | ChipNetwork = backend.rebuild(meta["structure"], arrays)
        scan, record = '"scan":true' in meta.get("run", ""), meta.get("provenance", "")
        again = to_bytes(noun, scan=scan, version=model.producer_version, provenance=record)
    except (SnnError, LookupError, TypeError, ValueError, AttributeError, RecursionError, MemoryError, OverflowError) as error:
        raise ModelError(where, f"its description of the network is damaged ({error})", "save the network again") from None
    if again != data:
        raise ModelError(where, "was changed after snndeploy saved it", "change the network and save it again; a file is not edited")
    return noun


def _ours(model: Any) -> bool:
    """True also for what is left of a file of ours whose description was cut off."""
    domains = [o.domain for o in model.opset_import] + [n.domain for n in model.graph.node]
    return any(p.key.startswith("ai.snndeploy.") for p in model.metadata_props) or any(d.startswith("ai.snndeploy") for d in domains)


def _metadata(model: Any, where: str) -> dict[str, str]:
    entries = {p.key.removeprefix("ai.snndeploy."): p.value for p in model.metadata_props if p.key.startswith("ai.snndeploy.")}
    if not {"schema", "noun", "structure"} <= entries.keys():
        raise ModelError(where, "was not saved by snndeploy, or is cut off", _module("files").NOT_OURS)
    structure = _module("structure")
    known = structure.RECORDED if entries["noun"] == "chip" else structure.SCHEMA
    schema = int(entries["schema"]) if entries["schema"].isdecimal() and len(entries["schema"]) < 9 else 0
    if schema > known:
        raise ModelError(where, f"has schema {schema}; this snndeploy reads up to {known}", "update snndeploy")
    if schema != (known if entries.get("provenance") else structure.SCHEMA) or entries["noun"] not in ("graph", "chip"):
        raise ModelError(where, "its description of the network is damaged", "save the network again")
    return entries


def _version() -> str:
    try:
        return importlib.metadata.version("snndeploy")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def _module(name: str) -> Any:
    """A module of this package; they import onnx, so they are imported when used."""
    try:
        return importlib.import_module(f"converters.onnx.{name}")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("onnx", "google"):
            raise
        raise MissingPackage("converters.onnx", "onnx", "onnxruntime") from None
