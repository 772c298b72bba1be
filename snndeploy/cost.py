"""What a run costs, by published numbers: every figure with its interval, its source, and what has no price."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A value with its low and high, in SI units (joules, seconds, watts)."""

    value: float
    low: float
    high: float
    unit: str

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.value + other.value, self.low + other.low, self.high + other.high, self.unit)

    def __str__(self) -> str:
        from_to = f"{engineering(self.low, self.unit)} .. {engineering(self.high, self.unit)}"
        return f"{engineering(self.value, self.unit)} ({from_to})"


@dataclass(frozen=True)
class Term:
    """``count`` events (an inference) at a published price each. ``boundary``: core, noc, static, host."""

    name: str
    boundary: str
    count: float
    energy: Interval
    kind: str
    source: str
    confidence: str


@dataclass(frozen=True)
class Cost:
    """Energy and latency of one inference. An estimate, never a measurement."""

    chip: str
    status: str
    """"calibrated" (held against measurements), "estimated" or "limits_only", as the profile says."""
    terms: tuple[Term, ...]
    unpriced: tuple[str, ...]
    dynamic: Interval
    total: Interval
    step_time: Interval
    latency: Interval
    sensitivities: tuple[tuple[str, float], ...]
    """The terms that move the total most: name and joules between its low and high."""
    assumed_fraction: float
    """Share of the total that rests on assumed or simulated numbers."""
    notes: tuple[str, ...]


def engineering(value: float, unit: str, digits: int = 2) -> str:
    """``1.2e-06, 'J'`` -> ``1.2 uJ``: two significant digits, as an estimate deserves."""
    prefixes = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G"}
    if value == 0:
        return f"0 {unit}"
    power = max(-15, min(9, 3 * int(_floor_log10(abs(value)) // 3)))
    return f"{float(f'{value / 10.0**power:.{digits}g}'):g} {prefixes[power]}{unit}"


def _floor_log10(value: float) -> int:
    return int(f"{value:e}".split("e")[1])
