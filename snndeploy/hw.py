"""A chip as data: what it holds, what an event costs, and where each number was published.

A profile is one TOML file; this module is its schema. Every table below must be there with exactly these names, and
every number is a record of nine fields::

    neurons_per_core = { value = 1024, unit = "1", low = 1024, high = 1024, kind = "architectural",
                         source = "nengoloihi", locator = "MAX_COMPARTMENTS", confidence = "A", group = "-" }

``source`` is a key of the table ``[sources]``; ``locator`` the page, table or line ("-" where there is none);
``group`` names numbers that move together. ``value = "unpublished"`` is a number nobody has published and
``value = "inapplicable"`` one that has no meaning on this chip; both read as ``None``, never as 0, and such an
event is reported as unpriced. Their ``low`` and ``high`` are "unpublished" too, or a known bound.
Confidence: A read in the primary artefact, B quoted verbatim by a secondary source, C secondary or vendor,
D from memory or assumed.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from snndeploy.errors import ProfileError, did_you_mean

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA = 1
LIMITS = (
    *("cores_per_chip", "neurons_per_core", "synapse_bits_per_core", "axons_in_per_core", "axons_out_per_core", "weight_bits"),
    *("weight_exp_max", "bias_mant_max", "bias_exp_max", "vth_max", "delay_max", "payload_bits", "cores_per_tile", "mesh_x", "mesh_y"),
    *("config_tables_per_core", "program_instructions", "state_words", "program_registers", "table_entries", "table_steps"),
)
ENERGY = (
    *("sop_dense", "sop_sparse", "sop_conv", "sop_zero", "neuron_idle", "neuron_active", "spike", "message", "hop_x", "hop_y"),
    *("message_offchip", "host_spike", "host_bias", "output", "barrier", "reset"),
)
TIME = (
    *("sop", "neuron_access", "neuron_active_extra", "spike", "message_out", "message_in", "hop_x", "hop_y"),
    *("management", "host_io", "tick"),
)
NUMBERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "operating_point": ("vdd", "temperature", "clock"),
        "limits": LIMITS,
        "power": ("chip_static", "core_active", "x86_clock", "x86_code"),
        "time": TIME,
        "validation": ("cases", "median_error", "worst_error", "energy_factor", "latency_factor"),
    }
)
"""The tables of numbers and what each must hold; ``energy.<set>`` holds ``ENERGY``, ``boards`` any names."""
FEATURES = ("programs", "graded", "conv_exponent")
TABLES = (*NUMBERS, "features", "energy", "boards", "sources")
TEXTS = ("id", "name", "process", "status", "energy_scope", "energy_set")
KEYS = ("schema", *TEXTS, "simulate", "notes", "barrier", *TABLES)
FIELDS = ("value", "unit", "low", "high", "kind", "source", "locator", "confidence", "group")

CHOICES = {"status": ("calibrated", "estimated", "limits_only"), "energy_scope": ("per_term", "all_in")}
KINDS = ("measured", "fitted", "simulated", "vendor", "derived", "assumed", "architectural", "unpublished", "inapplicable")
CONFIDENCE = ("A", "A-", "B+", "B", "B-", "C+", "C", "C-", "D", "-")
PREFIXES = {"": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15}
UNITS: Mapping[str, float] = MappingProxyType(
    dict.fromkeys(("1", "bit", "step", "degC", "V", "Hz"), 1.0) | {p + unit: scale for p, scale in PREFIXES.items() for unit in "JsW"}
)
"""Every unit a number may have, and the factor to SI units."""


@dataclass(frozen=True)
class Number:
    """One published number: ``value`` in ``unit`` (None: unpublished or inapplicable, see ``kind``), and where it stands."""

    value: float | None
    unit: str
    low: float | None
    high: float | None
    kind: str
    source: str
    locator: str
    confidence: str
    group: str

    def si(self) -> tuple[float, float, float] | None:
        """(value, low, high) in SI units; None where there is no value."""
        if self.value is None or self.low is None or self.high is None:
            return None
        scale = UNITS[self.unit]
        return self.value * scale, self.low * scale, self.high * scale

    def bound(self) -> float:
        """The high end in SI units, known even for some unpublished values; 0 where nothing is known."""
        return 0.0 if self.high is None else self.high * UNITS[self.unit]


Numbers = Mapping[str, Number]


@dataclass(frozen=True)
class Profile:
    """A chip. ``simulate`` False: it can be priced, not simulated. ``energy_sets`` are complete, never mixed.

    ``energy_scope`` "all_in": its one energy already holds every other term. ``barrier`` is (tiles, time) in rising
    order. ``board`` is the one that was asked for, "" if none was. ``sources`` gives each source key its citation.
    """

    id: str
    name: str
    process: str
    status: str
    simulate: bool
    energy_scope: str
    energy_set: str
    operating_point: Numbers
    features: Mapping[str, bool]
    limits: Numbers
    energy_sets: Mapping[str, Numbers]
    power: Numbers
    time: Numbers
    barrier: tuple[tuple[int, Number], ...]
    validation: Numbers
    boards: Numbers
    sources: Mapping[str, str]
    notes: tuple[str, ...]
    board: str = ""

    @property
    def energy(self) -> Numbers:
        """The set of energies in use; ``dataclasses.replace(profile, energy_set=...)`` chooses another."""
        return self.energy_sets[self.energy_set]

    @property
    def chips(self) -> int | None:
        """How many chips the chosen board has; None when no board was chosen."""
        return int(self.boards[self.board].value or 0) if self.board else None

    def limit(self, name: str) -> float:
        """A limit's value; raises ``ProfileError`` if the name is unknown or the value was never published."""
        if name not in self.limits:
            raise ProfileError(f"profile {self.id}", f"there is no limit {name!r}", did_you_mean(name, self.limits))
        number = self.limits[name]
        if number.value is None:
            raise ProfileError(f"profile {self.id}", f"limits.{name} is {number.kind}", "set it in a copy of the profile")
        return number.value

    def cite(self, number: Number) -> str:
        """The number's citation and locator, for a report."""
        citation = self.sources.get(number.source, number.source)
        return citation if number.locator == "-" else f"{citation}; {number.locator}"


def profile_names() -> list[str]:
    """The chips that come with snndeploy, sorted."""
    return sorted(f.name.removesuffix(".toml") for f in files("hw_profiles").iterdir() if f.name.endswith(".toml"))


def load_profile(name: str) -> Profile:
    """The profile ``"loihi2"``, one of its boards ``"loihi2:kapoho-point"``, or a file ``"my_chip.toml"``.

    Raises:
        ProfileError: an unknown chip or board; a file that is missing, cut off, of a newer schema, or breaks the schema.
    """
    chip, _, board = (name, "", "") if name.endswith(".toml") or ":" not in name else name.rpartition(":")
    shipped = files("hw_profiles") / f"{chip}.toml"
    if not chip.endswith(".toml") and chip not in profile_names():
        raise ProfileError("chip", f"there is no chip {chip!r}", did_you_mean(chip, profile_names()))
    profile = _profile(chip, _toml(chip, _read(Path(chip)) if chip.endswith(".toml") else shipped.read_text(encoding="utf-8")), board)
    if board and board not in profile.boards:
        raise ProfileError("chip", f"{profile.id} has no board {board!r}", did_you_mean(board, profile.boards))
    return profile


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > 1 << 20:
            raise ProfileError(str(path), f"{path.stat().st_size} bytes is not a profile", "a profile is a TOML file of a few kilobytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = f"give a TOML file or one of {', '.join(profile_names())}"
        raise ProfileError(str(path), f"cannot be read: {error}", hint) from error


def _toml(where: str, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(where, f"is not TOML: {error}", "the file may be cut off; compare it with a profile that ships") from error


def _profile(where: str, data: dict[str, Any], board: str) -> Profile:
    _heading(where, data)
    features, sources = data["features"], data["sources"]
    _exactly(f"{where}: features", features, FEATURES)
    for key in FEATURES:
        _typed(f"{where}: features", features, key, bool)
    energy = {n: _numbers(f"{where}: energy", _typed(f"{where}: energy", data["energy"], n, dict), ENERGY, sources) for n in data["energy"]}
    named = {**NUMBERS, "boards": tuple(data["boards"])}
    tables: dict[str, Any] = {key: _numbers(f"{where}: {key}", data[key], names, sources) for key, names in named.items()}
    if data["energy_scope"] == "all_in":
        _all_in(where, energy[data["energy_set"]])
    return Profile(
        **{key: data[key] for key in (*TEXTS, "simulate")},
        **tables,
        features=MappingProxyType(dict(features)),
        energy_sets=MappingProxyType(energy),
        barrier=_barrier(f"{where}: barrier", data["barrier"], sources),
        sources=MappingProxyType(dict(sources)),
        notes=tuple(data["notes"]),
        board=board,
    )


def _heading(where: str, data: dict[str, Any]) -> None:
    schema = data.get("schema", SCHEMA)
    _require(where, schema == SCHEMA, f"has schema {schema!r}; this version reads {SCHEMA}", "a newer file needs a newer snndeploy")
    _exactly(where, data, KEYS)
    for kind, keys in {dict: TABLES, str: TEXTS, list: ("notes", "barrier"), bool: ("simulate",)}.items():
        for key in keys:
            _typed(where, data, key, kind)
    for key, known in {**CHOICES, "energy_set": tuple(data["energy"])}.items():
        _one_of(where, key, data[key], known)
    _strings(where, "notes", data["notes"])
    _strings(where, "sources", data["sources"].values())


def _all_in(where: str, energy: Numbers) -> None:
    extra = [name for name, number in energy.items() if not name.startswith("sop_") and number.value is not None]
    _require(f"{where}: energy", not extra, f"an all-in profile prices synaptic operations only, not {extra}", "they hold the rest already")


def _barrier(where: str, rows: list[Any], sources: Mapping[str, str]) -> tuple[tuple[int, Number], ...]:
    for row in rows:
        _exactly(where, row if isinstance(row, dict) else {}, ("tiles", *FIELDS))
    table = tuple((int(_typed(where, row, "tiles", int)), _number(where, {k: row[k] for k in FIELDS}, sources)) for row in rows)
    tiles = [t for t, _ in table]
    _require(where, tiles == sorted(set(tiles)), f"tiles do not rise from row to row: {tiles}", "sort the rows")
    return table


def _numbers(where: str, data: Mapping[str, Any], names: Iterable[str], sources: Mapping[str, str]) -> Numbers:
    _exactly(where, data, names)
    return MappingProxyType({name: _number(f"{where}.{name}", _typed(where, data, name, dict), sources) for name in data})


def _number(where: str, data: Mapping[str, Any], sources: Mapping[str, str]) -> Number:
    _exactly(where, data, FIELDS)
    for key, known in (("unit", UNITS), ("kind", KINDS), ("source", (*sources, "-")), ("confidence", CONFIDENCE)):
        _one_of(where, key, data[key], tuple(known))
    _strings(where, "locator and group", (data["locator"], data["group"]))
    value, low, high = (_value(where, key, data[key]) for key in ("value", "low", "high"))
    absent = data["kind"] in ("unpublished", "inapplicable")
    _require(where, (value is None) == absent, f"kind {data['kind']!r} does not fit value {data['value']!r}", "both or neither")
    _require(where, absent or data["source"] != "-", "a value needs a source", "add it to [sources]")
    _require(where, absent or (low is not None and high is not None), "a value needs low and high", "repeat the value")
    bounds = [v for v in (low, value, high) if v is not None]
    _require(where, bounds == sorted(bounds), f"low <= value <= high does not hold: {low} {value} {high}", "swap or widen them")
    _require(where, not bounds or bounds[0] >= 0 or data["unit"] == "degC", f"{bounds[:1]} is negative", "give a magnitude")
    rest = {key: data[key] for key in ("unit", "kind", "source", "locator", "confidence", "group")}
    return Number(value=value, low=low, high=high, **rest)


def _value(where: str, key: str, value: Any) -> float | None:
    if value in ("unpublished", "inapplicable"):
        return None
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    _require(where, number, f"{key} = {value!r} is not a finite number", 'write a number, "unpublished" or "inapplicable"')
    return float(value)


def _exactly(where: str, data: Mapping[str, Any], names: Iterable[str]) -> None:
    names = tuple(names)
    unknown, missing = [key for key in data if key not in names], [name for name in names if name not in data]
    if unknown:
        raise ProfileError(where, f"unknown key {unknown[0]!r}", did_you_mean(unknown[0], names))
    _require(where, not missing, f"missing: {', '.join(missing)}", 'nothing is optional: a number nobody published is "unpublished"')


def _typed(where: str, data: Mapping[str, Any], key: str, kind: type) -> Any:
    fits = isinstance(data[key], kind) and not (kind is int and isinstance(data[key], bool))
    _require(where, fits, f"{key} = {data[key]!r} is not a {kind.__name__}", "compare it with a profile that ships")
    return data[key]


def _one_of(where: str, key: str, value: Any, known: tuple[Any, ...]) -> None:
    if value not in known:
        raise ProfileError(where, f"{key} = {value!r} is unknown", did_you_mean(str(value), map(str, known)))


def _strings(where: str, key: str, values: Iterable[Any]) -> None:
    _require(where, all(isinstance(v, str) and v for v in values), f"{key} must be text, not empty", '"-" where there is none')


def _require(where: str, holds: bool, what: str, hint: str) -> None:
    if not holds:
        raise ProfileError(where, what, hint)
