"""What a core has, read from the profile once: a limit nobody published is None, and is reported, never passed in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from snndeploy.hw import Profile
from snndeploy.placement import Finding

RULES: Mapping[str, str] = {
    "neurons_per_core": "L001",
    "synapse_bits_per_core": "L002",
    "axons_in_per_core": "L003",
    "axons_out_per_core": "L004",
    "weight_bits": "L005",
    "weight_exp_max": "L005",
    "vth_max": "L006",
    "bias_mant_max": "L007",
    "bias_exp_max": "L007",
    "delay_max": "L008",
    "program_instructions": "L010",
    "state_words": "L010",
    "program_registers": "L010",
    "table_entries": "L010",
    "table_steps": "L010",
    "payload_bits": "L012",
    "config_tables_per_core": "L014",
    "cores_per_chip": "L015",
}
"""The limit each rule needs. L011 and L016 cannot arise: no chip model here has a refractory period, and every synapse delays."""


@dataclass(frozen=True)
class Budget:
    """The chip's features and limits by name; a limit is infinite where there is none or nobody published it (``unknown``)."""

    chip: str
    limits: Mapping[str, float]
    features: Mapping[str, bool]
    unknown: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        return self.limits.get(name, math.inf)

    def unpublished(self) -> list[Finding]:
        """One note for each rule that cannot be checked."""
        why = "not checked: {} is unpublished for this chip"
        fix = "set limits.{} in a profile of your own if you know it"
        return [Finding(RULES[n], "note", self.chip, math.nan, math.nan, why.format(n), fix.format(n)) for n in self.unknown]


def budget(profile: Profile) -> Budget:
    """The published limits of a profile; a limit that is inapplicable on this chip is none."""
    values = {name: number.value for name, number in profile.limits.items()}
    unknown = tuple(n for n in RULES if values.get(n) is None and not (n in values and profile.limits[n].kind == "inapplicable"))
    return Budget(profile.id, {name: float(value) for name, value in values.items() if value is not None}, profile.features, unknown)
