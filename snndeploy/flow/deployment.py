"""What a user may wish, and what a deployment leaves behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.cost import Cost
from snndeploy.data import Encoding
from snndeploy.energy import Events
from snndeploy.errors import OptionError, did_you_mean
from snndeploy.faults import Fault
from snndeploy.flow.bursts import NAMES
from snndeploy.flow.chips import Built
from snndeploy.flow.feeding import Feed
from snndeploy.flow.lowering import PassResult
from snndeploy.hw import Profile
from snndeploy.ir.graph import Graph
from snndeploy.placement import Placement
from snndeploy.quantize import LayerScale
from snndeploy.report.report import BurstRow, SourceFile
from snndeploy.trace import Trace
from snndeploy.verdict import Verdict

SUBSTITUTES = ("nearest",)
"""What ``--substitute`` can put where a core of fixed neurons has not the model's own."""


@dataclass(frozen=True)
class Wishes:
    """What the user may choose; the defaults are what most want.

    ``weight_bits`` for all layers or by layer pattern, ``burst`` a construction or "auto", ``encode`` how static data become spikes,
    ``calibration_samples`` how many samples the quantizer sees, ``max_drop`` the points of accuracy it may lose,
    ``substitute`` "nearest" puts the nearest neuron of a fixed core where one would take a program: another model, measured.
    """

    chip: str = "loihi2"
    weight_bits: Mapping[str, int] | int = field(default_factory=dict)
    burst: str = "auto"
    encode: Encoding = "direct"
    seed: int = 0
    calibration_samples: int = 128
    check_samples: int = 16
    max_drop: float = 0.5
    substitute: str = ""

    @property
    def bits(self) -> Mapping[str, int]:
        """Weight bits by layer pattern."""
        return self.weight_bits if isinstance(self.weight_bits, Mapping) else {"*": self.weight_bits}

    def __post_init__(self) -> None:
        bits = self.weight_bits
        if not isinstance(bits, Mapping):
            whole = str(bits).isdecimal()
            object.__setattr__(self, "weight_bits", {"*": int(bits)} if whole else {})
            if not whole:
                raise OptionError("weight_bits", f"is {bits!r}", "a number of bits, or bits by layer pattern: {'fc*': 4}")
        for option, count in (("--calibration-samples", self.calibration_samples), ("--check-samples", self.check_samples)):
            if count < 1:
                raise OptionError(option, f"is {count}", "at least one sample is needed")
        if self.burst not in NAMES:
            raise OptionError("--burst", f"{self.burst!r} is no construction", did_you_mean(self.burst, NAMES))
        if self.substitute not in ("", *SUBSTITUTES):
            raise OptionError("--substitute", f"{self.substitute!r} is no substitute", did_you_mean(self.substitute, SUBSTITUTES))


@dataclass(frozen=True, eq=False)
class Deployment:
    """A network on its way to a chip, and everything that was found out about it."""

    name: str
    loaded: converters.Loaded
    graph: Graph
    """The float graph, with its inputs described."""
    data: Feed
    wishes: Wishes
    assumptions: tuple[str, ...]
    lowered: Graph
    """The float graph in normal form."""
    passes: tuple[PassResult, ...]
    profile: Profile
    built: Built
    placement: Placement
    verdict: Verdict
    chip_trace: Trace
    float_trace: Trace
    events: Events
    cost: Cost
    about_data: tuple[str, ...] = ()
    """Those of ``assumptions`` that are about the data of this run, not about the network."""
    command: str = ""
    """The command that made it, files without their folders; "" from Python."""
    files: tuple[SourceFile, ...] = ()
    """What was read to make it."""

    @property
    def network(self) -> ChipNetwork:
        """The chip network."""
        return self.built.network

    @property
    def offers(self) -> tuple[BurstRow, ...]:
        """The constructions that were weighed for each burst layer."""
        return self.built.lowered.offers

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """How each layer became integers."""
        return self.built.quantized.layers

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What left its register, and layers that fell silent."""
        return self.verdict.faults

    @property
    def ok(self) -> bool:
        """True if the verdict is as it was wished, and it fits."""
        return self.verdict.as_wished(self.wishes.max_drop) and self.placement.fits
