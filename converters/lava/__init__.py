"""Lava out: a folder with a script that builds the chip network from lava-nc's own processes and runs it.

No Lava is needed to write it. ``network.json`` and ``network.npz`` hold the processes and their integers;
``run_network.py`` stands alone. Lava 0.10.0 lives on Python 3.10: ``snndeploy doctor --setup-lava`` makes a place for it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from converters.lava.network import Process, process_of, processes_of
from snndeploy.chip.instead import refuse_programs
from snndeploy.chip.models import Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.graph import Graph

SUFFIXES = (".lava",)
SCHEMA = "snndeploy.lava/1"
SCRIPT = "run_network.py"


def save(noun: ChipNetwork | Graph, path: str | Path) -> None:
    """Write the folder ``path`` whole, or not at all; a folder of this kind that is there already is replaced.

    Raises:
        Unsupported: a float graph, or a part that Lava has no process for, by name.
        ModelError: something else is at ``path``, or it cannot be written.
    """
    if isinstance(noun, Graph):
        raise Unsupported(
            str(path), "Lava's fixed-point models hold integers, and this is a float graph", "convert it, and export the chip network"
        )
    folder = Path(path)
    if folder.exists() and not (folder / SCRIPT).is_file():
        raise ModelError(str(folder), "is there already, and is no folder that was exported for Lava", "choose another name")
    spec, arrays = describe(noun)
    spare, old = (folder.with_name(f".{folder.name}.{os.getpid()}{ending}") for ending in ("", ".old"))
    try:
        spare.mkdir(parents=True)
        np.savez_compressed(spare / "network.npz", **arrays)
        (spare / "network.json").write_text(json.dumps(spec, indent=1) + "\n", encoding="utf-8")
        (spare / SCRIPT).write_text(script(), encoding="utf-8")
        if folder.exists():
            folder.rename(old)  # put aside, not deleted: it comes back where the new one cannot take its place
        spare.rename(folder)
    except OSError as error:
        raise ModelError(str(folder), f"cannot be written: {error.strerror}", "choose another place") from None
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)
        for left in (spare, old):
            shutil.rmtree(left, ignore_errors=True)


def script() -> str:
    """The text of the script, which stands alone."""
    return resources.files("converters.lava").joinpath(SCRIPT).read_text(encoding="utf-8")


def describe(network: ChipNetwork) -> tuple[dict[str, Any], dict[str, Any]]:
    """The network as the script reads it: a description in plain JSON, and its arrays by key."""
    refuse_programs(network, "Lava")
    late = lateness(network)
    mode = "restart" if late is None else "pipelined"
    arrays: dict[str, Any] = {}
    populations = [_population(p, network, late, arrays) for p in network.populations.values()]
    connections = [c for p in network.projections for c in _connections(p, network, arrays)]
    known = {"schema": SCHEMA, "lava": "0.10.0", "chip": network.chip, "steps": network.steps, "latency": network.latency, "mode": mode}
    known |= {"phases": network.phases} if network.phases > 1 else {}
    return {**known, "populations": populations, "connections": connections}, arrays


def _population(p: Population, network: ChipNetwork, late: Mapping[str, int] | None, arrays: dict[str, Any]) -> dict[str, Any]:
    interval, offset = (0, 0) if late is None else (network.chip_steps(network.steps), late[p.name] + 1)
    if late is None and isinstance(p.model, Lif):
        interval, offset = p.model.reset_interval, p.model.reset_offset
    process = process_of(p, interval, offset)
    known = {"name": p.name, "class": process.kind, "size": p.size, "late": 0 if late is None else late[p.name]}
    return {**known, **_arguments(f"n.{p.name}", process, arrays)}


def _connections(p: Projection, network: ChipNetwork, arrays: dict[str, Any]) -> list[dict[str, Any]]:
    made = []
    for i, process in enumerate(processes_of(p, network)):
        entry = {"class": process.kind, "source": p.source, "target": p.target, "delay": p.delay}
        if isinstance(p.synapses, Conv) and process.kind == "Conv":
            shape = network.populations[p.source].shape
            entry["in_shape"] = [*shape, *[1] * (3 - len(shape))]
        made.append({**entry, **_arguments(f"c.{p.name}.{i}", process, arrays)})
    return made


def _arguments(key: str, process: Process, arrays: dict[str, Any]) -> dict[str, Any]:
    arrays |= {f"{key}.{name}": np.asarray(values, np.int32) for name, values in process.arrays.items()}
    return {"params": dict(process.params), "arrays": {name: f"{key}.{name}" for name in process.arrays}}


def lateness(network: ChipNetwork) -> dict[str, int] | None:
    """How many steps after the input each population gets its first one, where samples may follow each other without a pause.

    None where a spike of one sample could meet the state of the next. It cannot where all ways to a neuron take the
    same number of steps, and every neuron is a plain LIF that rests at zero until its first input, when it is cleared.
    """
    late: dict[str, int] = dict.fromkeys(network.inputs(), 0)
    left = [n for n in network.populations if n not in late]
    while left:
        name = next((n for n in left if all(p.source in late for p in network.into(n))), None)
        if name is None or not network.steps:
            return None
        arrivals = {late[p.source] + steps for p in network.into(name) for steps in _takes(p)}
        late[name] = max(arrivals, default=0)
        if len(arrivals) != 1 or not _rests(network.populations[name], late[name]):
            return None
        left.remove(name)
    return late


def _rests(p: Population, late: int) -> bool:
    model = p.model
    if not isinstance(model, Lif) or model.u.any() or model.v.any():
        return False
    if model.reset_interval:
        return model.reset_offset % model.reset_interval == (late + 1) % model.reset_interval
    return late == 0 or not model.bias_mant.any()


def _takes(p: Projection) -> set[int]:
    """How many steps the synapses take; two answers, so never one way, where the host writes biases."""
    if isinstance(p.synapses, Wire):
        return {0, 1} if p.synapses.as_bias else {p.delay}
    if isinstance(p.synapses, Dense | Sparse) and p.synapses.delays is not None:
        return {1 + p.delay + int(d) for d in np.unique(p.synapses.delays)}
    return {1 + p.delay}
