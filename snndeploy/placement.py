"""Where a chip network sits: cores, what each holds, and every finding of the design-rule check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


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


@dataclass(frozen=True)
class Placement:
    """A network on a chip."""

    chip: str
    cores: tuple[Core, ...]
    chips: int
    findings: tuple[Finding, ...]

    @property
    def fits(self) -> bool:
        """True if nothing blocks."""
        return not any(f.severity == "blocker" for f in self.findings)
