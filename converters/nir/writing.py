"""Graph -> .nir, in the layout that nir 1.0.8 writes and reads; what NIR cannot say is refused, or listed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from converters.nir.cycles import cut
from converters.nir.flatten import Pair
from converters.nir.primitive import STATEFUL
from converters.nir.saying import Fields, Said, narrow, say
from snndeploy.errors import ModelError, SnnError, Unsupported
from snndeploy.files import replacing
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input

VERSION = "1.0.8"
"""Of nir, whose layout is written."""
DT = 1e-4
"""The step in seconds of a graph without a time unit: the one that snnTorch and SpikingJelly write."""
TRIES = 8


def write(graph: Graph, path: Path, lossy: bool) -> tuple[str, ...]:
    """Write a graph; returns what was lost. Raises as ``converters.nir.save``."""
    dt = graph.dt or DT
    names = _names(graph, path)
    said = {name: _say(graph, name, dt) for name in graph.order}
    lost = tuple(f"{name} {what}" for name in graph.order for what in said[name].lost)
    if lost and not lossy:
        what = "NIR cannot say all of this network:\n" + "\n".join(f"  {line}" for line in lost)
        raise Unsupported(str(path), what, "--lossy writes it without that")
    nodes: dict[str, Fields] = {}
    edges: list[Pair] = []
    chains: dict[str, tuple[str, ...]] = {}
    for name, one in said.items():
        chain = [*(f"{names[name]}.{i}" for i in range(len(one.chain) - 1)), names[name]]
        nodes |= dict(zip(chain, one.chain, strict=True))
        edges += list(itertools.pairwise(chain))
        chains[name] = tuple(chain)
    _connect(graph, names, chains, dt, nodes, edges)
    _write(path, nodes, edges, {"exporter": "snndeploy", "dt": dt, "unit": "s" if graph.dt else "steps"})
    return lost


def _say(graph: Graph, name: str, dt: float) -> Said:
    node, entering = graph.nodes[name], graph.into(name)
    before = graph.shapes[entering[0].source] if entering else graph.shapes[name]
    return say(node, before, graph.shapes[name], dt, f"{name} ({type(node).__name__})")


def _names(graph: Graph, path: Path) -> dict[str, str]:
    """Names as HDF5 can hold them: no slash, not a dot alone."""
    names = {name: name.replace("/", ".").strip(".") or "node" for name in graph.nodes}
    if len(set(names.values())) < len(names):
        raise ModelError(str(path), "two nodes have one name when slashes are written as dots", "rename one of them")
    return names


def _connect(
    graph: Graph, names: Mapping[str, str], chains: Mapping[str, tuple[str, ...]], dt: float, nodes: dict[str, Fields], edges: list[Pair]
) -> None:
    """The edges, with a Delay where one waits that no reader would let wait: only a loop waits one step by itself."""
    by_itself = _opened(graph, names, nodes)
    for number, edge in enumerate(graph.edges):
        source, target = names[edge.source], chains[edge.target][0]
        waits = 0 if edge in by_itself else edge.delay
        if not waits and (source, target) not in edges:
            edges.append((source, target))
            continue
        between = f"{source}.delay.{number}"
        if between in nodes:
            raise ModelError(between, "is the name of another node", "rename it")
        nodes[between] = {"type": "Delay", "delay": narrow(np.full(graph.shapes[edge.source], waits * dt))}
        edges += [(source, between), (between, target)]


def _opened(graph: Graph, names: Mapping[str, str], nodes: Mapping[str, Fields]) -> frozenset[Edge]:
    """The edges with a delay of one where every reader opens the loops by itself; none if a reader would choose others."""
    stateful = [names[name] for name in graph.nodes if nodes[names[name]]["type"] in STATEFUL]
    starts = [names[name] for name in graph.named(Input)]
    pairs: dict[Pair, list[Edge]] = {}
    for edge in graph.edges:
        pairs.setdefault((names[edge.source], names[edge.target]), []).append(edge)
    chosen = frozenset(found[0] for found in pairs.values() if len(found) == 1 and found[0].delay == 1)
    for _ in range(TRIES):
        waiting = {pair: 1 for pair, found in pairs.items() if found[0] not in chosen and found[0].delay}
        opened = frozenset(pairs[pair][0] for pair in cut(pairs, waiting, starts, stateful, "graph"))
        if opened == chosen:
            return opened
        chosen &= opened
    return frozenset()


def _write(path: Path, nodes: Mapping[str, Fields], edges: Iterable[Pair], noted: Mapping[str, str | float]) -> None:
    """Write a file at once or not at all."""
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            _fill(file, nodes, edges, noted)
    except SnnError:
        raise
    except OSError as error:
        raise ModelError(
            str(path), f"cannot be written: {error.strerror or error}", "check that the folder exists and may be written to"
        ) from None


def _fill(file: Any, nodes: Mapping[str, Fields], edges: Iterable[Pair], noted: Mapping[str, str | float]) -> None:
    text = h5py.string_dtype()
    file.create_dataset("version", data=VERSION, dtype=text)
    top = file.create_group("node")
    top.create_dataset("type", data="NIRGraph", dtype=text)
    top.create_dataset("edges", data=np.array(sorted(edges), dtype=object), dtype=text)
    metadata = top.create_group("metadata")
    for key, note in noted.items():
        metadata.create_dataset(key, data=note, dtype=text if isinstance(note, str) else None)
    inner = top.create_group("nodes")
    for name, fields in nodes.items():
        group = inner.create_group(name)
        for key, value in fields.items():
            if isinstance(value, str):
                group.create_dataset(key, data=value, dtype=text)
            elif value.ndim and value.dtype.kind == "f":
                group.create_dataset(key, data=value, compression="gzip")
            else:
                group.create_dataset(key, data=value)
