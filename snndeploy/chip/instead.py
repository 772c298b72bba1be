"""What a tool without neuron programs is told: how the model becomes a chip network that has none."""

from __future__ import annotations

from snndeploy.chip.network import ChipNetwork
from snndeploy.chip.program import NeuronProgram
from snndeploy.errors import Unsupported

CONVERT = "convert the model again with"


def refuse_programs(network: ChipNetwork, tool: str) -> None:
    """Raise ``Unsupported`` where the network has neuron programs, which are ours alone; the hint names the options that avoid them."""
    programs = {p.name: p.model for p in network.populations.values() if isinstance(p.model, NeuronProgram)}
    if programs:
        what = f"runs a neuron program, and {tool} has none"
        raise Unsupported(next(iter(programs)), what, without(list(programs.values())))


def without(programs: list[NeuronProgram]) -> str:
    """The options of ``convert`` that build a network without these: plain neurons for a burst neuron, the nearest for any other."""
    bursts = [p for p in programs if p.definition is None and "t1" in p.constants]
    if any("r1" in p.constants for p in bursts):
        return "train these burst neurons with a hard reset, which several plain neurons are exact for"
    said = ["--burst ping-pong"] if bursts else []
    said += ["--substitute nearest"] if len(bursts) < len(programs) else []
    loss = "" if len(bursts) == len(programs) else ": the nearest neurons of a fixed core, another model whose loss is measured"
    return f"{CONVERT} {' '.join(said)}{loss}"
