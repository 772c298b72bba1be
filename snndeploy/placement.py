"""Where a chip network sits: cores, what each holds, and every finding of the design-rule check."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from snndeploy.arrays import Ints


@dataclass(frozen=True)
class Finding:
    """One thing the check found: rule ``code``, ``where``, the ``value`` against the ``limit``, ``why`` it matters, the ``fix``."""

    code: str
    severity: Literal["blocker", "warning", "note"]
    where: str
    value: float
    limit: float
    why: str
    fix: str

    def __str__(self) -> str:
        return f"{self.code} {self.severity} {self.where}: {self.value:g} against {self.limit:g}. {self.why}. {self.fix}."


@dataclass(frozen=True)
class Slice:
    """Neurons ``first`` .. ``last`` - 1 (flat, C order) of a population."""

    population: str
    first: int
    last: int


@dataclass(frozen=True)
class Core:
    """One core: what it holds and how much of each resource that takes."""

    index: int
    slices: tuple[Slice, ...]
    neurons: int
    synapse_bits: int
    axons_in: int
    axons_out: int


@dataclass(frozen=True, eq=False)
class Reach:
    """Where the spikes of a population go: [size] arrays, one entry a neuron, for one spike of it.

    Attributes:
        cores: cores with at least one synapse from it (messages a spike).
        hops_x, hops_y: mesh hops of those messages inside a chip (east-west, north-south), from core to core.
        off_chip: messages that leave the chip. The host's spikes have no core: their hops are 0.
    """

    cores: Ints
    hops_x: Ints
    hops_y: Ints
    off_chip: Ints


@dataclass(frozen=True)
class Placement:
    """A network on a chip. Core ``i`` lies on chip i // cores a chip, and there on tile (i % cores a chip) // cores a tile."""

    chip: str
    cores: tuple[Core, ...]
    chips: int
    findings: tuple[Finding, ...]
    reach: Mapping[str, Reach] = field(default_factory=dict, compare=False)
    """Per population. Empty where the network could not be cut, or where nobody asks what its spikes cost."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "reach", MappingProxyType(dict(self.reach)))

    @property
    def fits(self) -> bool:
        """True if nothing blocks."""
        return not any(f.severity == "blocker" for f in self.findings)

    @property
    def blockers(self) -> str:
        """What blocks, a line each under a heading."""
        return "\n".join(["the network does not fit", *(f"  {f}" for f in self.findings if f.severity == "blocker")])
