"""Where a deployment becomes files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import converters
from snndeploy.files import replacing
from snndeploy.flow import saved, transferring
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.recording import provenance_of, write_recorded


def write(made: Deployment | transferring.Transfer, stem: str | Path) -> tuple[Path, ...]:
    """Write ``stem.graph.onnx`` and ``stem.<chip>.onnx``, both whole or neither; of a transfer the second alone."""
    if isinstance(made, transferring.Transfer):
        return (transferring.save(made, stem),)
    graph, chip = Path(f"{stem}.graph.onnx"), Path(f"{stem}.{made.profile.id}.onnx")
    with replacing(graph, ".onnx") as spare:
        converters.save(made.graph, spare)
        network = replace(made.network, made_from=saved.digest(spare))
        write_recorded(network, chip, provenance_of(made))
    return graph, chip


def write_graph(loaded: converters.Loaded, stem: str | Path) -> Path:
    """Write ``stem.graph.onnx`` alone."""
    graph = Path(f"{stem}.graph.onnx")
    converters.save(replace(loaded.graph, steps=loaded.steps or loaded.graph.steps), graph)
    return graph
