"""The reference run of an integer graph that takes two steps for one, with what the host does left at the model's rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from snndeploy.arrays import Floats
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.paths import paths_into
from snndeploy.passes import phases
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace


def without_host(graph: Graph) -> tuple[Graph, Graph | None]:
    """(the chip's part, in which every current that the host computes is an Input; the host's part, None where it has none)."""
    hosts = graph.named(HostCurrent)
    if not hosts:
        return graph, None
    paths = [path for host in hosts for path in paths_into(graph, host)]
    behind = {*hosts, *(n for path in paths for n in path.nodes)}
    chip = graph.replace(
        {**dict.fromkeys(behind), **{n: Input(graph.shapes[n], "real") for n in hosts}}, [e for e in graph.edges if e.target not in behind]
    )
    kept = behind | {path.source for path in paths}
    host = Graph({n: node for n, node in graph.nodes.items() if n in kept}, tuple(e for e in graph.edges if e.target in behind))
    return chip, host


def run_phased(slow: Graph, inputs: Mapping[str, Floats], steps: int, record: Iterable[str] | None = None) -> Trace:
    """The 2 T steps of a graph that ``passes.phases`` slowed, on inputs of T = ``steps``."""
    chip, host = without_host(slow)
    written: Mapping[str, Floats] = {}
    if host is not None:
        written = run_reference(host, {n: inputs[n] for n in host.named(Input)}, steps, record=host.named(HostCurrent)).outputs
    return run_reference(chip, phases.feed({**inputs, **written}, steps), phases.PHASES * steps, record)
