"""Profiles: every number has its source, nothing is optional, and every way to get a file wrong is told plainly."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from snndeploy.errors import ProfileError
from snndeploy.hw import ENERGY, LIMITS, NUMBERS, UNITS, Number, Profile, load_profile, profile_names

LOIHI1 = (files("hw_profiles") / "loihi1.toml").read_text(encoding="utf-8")


def numbers(profile: Profile) -> dict[str, Number]:
    tables = {key: getattr(profile, key) for key in (*NUMBERS, "boards")} | {f"energy.{k}": v for k, v in profile.energy_sets.items()}
    flat = {f"{table}.{name}": number for table, entries in tables.items() for name, number in entries.items()}
    return flat | {f"barrier.{tiles}": number for tiles, number in profile.barrier}


def edited(tmp_path: Path, pattern: str, replacement: str) -> str:
    text, count = re.subn(pattern, replacement, LOIHI1, count=1, flags=re.MULTILINE)
    assert count == 1, pattern
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("name", profile_names())
def test_every_number_of_every_profile_stands_on_a_source(name):
    profile = load_profile(name)
    assert profile.id == name
    for where, number in numbers(profile).items():
        if number.value is None:
            assert number.kind in ("unpublished", "inapplicable"), where
            assert number.si() is None
            assert number.low is None, where
            assert number.high is None or number.source in profile.sources, where
            continue
        assert number.source in profile.sources, where
        assert number.low <= number.value <= number.high, where
        assert number.unit in UNITS
        assert number.confidence[0] in "ABCD", where
        assert profile.cite(number).startswith(profile.sources[number.source])
        if number.kind == "assumed":
            assert number.confidence == "D", where


@pytest.mark.parametrize("name", profile_names())
def test_every_source_is_used(name):
    profile = load_profile(name)
    assert {n.source for n in numbers(profile).values()} - {"-"} == set(profile.sources)


def test_loihi_is_what_place_needs():
    one, two = load_profile("loihi1"), load_profile("loihi2")
    assert one.simulate
    assert two.simulate
    assert (one.status, two.status) == ("calibrated", "estimated")
    for name in set(LIMITS) - {n for n in LIMITS if n.startswith(("program_", "state_", "table_"))}:
        assert one.limit(name) >= 0
    assert one.limit("neurons_per_core") == 1024
    assert one.limit("synapse_bits_per_core") == 16384 * 64
    assert (one.limit("bias_mant_max"), one.limit("bias_exp_max"), one.limit("vth_max"), one.limit("delay_max")) == (4095, 7, 131071, 62)
    assert dict(one.features) == {"programs": False, "graded": False, "conv_exponent": False}
    assert dict(two.features) == {"programs": True, "graded": True, "conv_exponent": False}
    assert set(one.energy) == set(ENERGY)


def test_prices_are_those_of_the_sourced_list(shared):
    """Read from the machine-readable list of sourced numbers, not from memory."""
    listed = {(n["platform"], n["quantity"]): n for n in json.loads((shared / "data/energy_numbers.json").read_text())["numbers"]}
    one, two = load_profile("loihi1"), load_profile("loihi2")
    sanafe = one.energy_sets["sanafe2025"]
    pairs = {
        "energy_synaptic_op": one.energy["sop_dense"],
        "energy_neuron_update_active": one.energy["neuron_active"],
        "energy_neuron_update_inactive": one.energy["neuron_idle"],
        "energy_hop_EW": one.energy["hop_x"],
        "energy_hop_NS": one.energy["hop_y"],
        "energy_spike_within_tile": one.energy["message"],
        "energy_synapse_dense_sanafe": sanafe["sop_dense"],
        "energy_synapse_sparse_sanafe": sanafe["sop_sparse"],
        "energy_synapse_conv_sanafe": sanafe["sop_conv"],
        "energy_soma_access_sanafe": sanafe["neuron_idle"],
        "energy_spike_out_sanafe": sanafe["spike"],
        "energy_message_out_sanafe": sanafe["message"],
        "latency_soma_access_sanafe": one.time["neuron_access"],
        "latency_soma_update_sanafe": one.time["neuron_active_extra"],
        "latency_spike_out_sanafe": one.time["spike"],
        "latency_message_in_sanafe": one.time["message_in"],
        "latency_message_out_sanafe": one.time["message_out"],
        "latency_synapse_dense_sanafe": one.time["sop"],
        "static_power_per_chip_boot_idle": one.power["chip_static"],
        "x86_lakemont_clock_power": one.power["x86_clock"],
        "limit_compartments_per_core": one.limits["neurons_per_core"],
        "limit_input_axons_per_core": one.limits["axons_in_per_core"],
        "limit_output_axons_per_core": one.limits["axons_out_per_core"],
        "limit_delay_max": one.limits["delay_max"],
        "limit_compartment_configs_per_core": one.limits["config_tables_per_core"],
    }
    for quantity, number in pairs.items():
        entry = listed["loihi1", quantity]
        unit = entry["unit"].split()[0].replace("timesteps", "step") if entry["unit"] else "1"
        assert (number.value, number.unit, number.source) == (entry["value"], unit, entry["source_key"]), quantity
    access, update = (listed["loihi1", f"energy_soma_{k}_sanafe"]["value"] for k in ("access", "update"))
    assert sanafe["neuron_active"].value == pytest.approx(access + update)
    sop = listed["loihi2", "energy_synaptic_op"]
    assert (two.energy["sop_dense"].value, two.energy["sop_dense"].low, two.energy["sop_dense"].high) == (
        sop["value"],
        sop["low"],
        sop["high"],
    )
    assert [n.value for _, n in one.barrier] == listed["loihi1", "latency_sync_1_2_4_29_tiles_sanafe"]["value"]


def test_boards_say_how_many_chips():
    assert load_profile("loihi2").chips is None
    assert load_profile("loihi2:kapoho-point").chips == 8
    assert load_profile("loihi2:hala-point").chips == 1152
    assert load_profile("loihi2:oheo-gulch").chips == 1
    assert [load_profile(f"loihi1:{b}").chips for b in ("kapoho-bay", "nahuku8", "nahuku32", "pohoiki-springs")] == [2, 8, 32, 768]


def test_a_users_own_chip_is_a_file(tmp_path):
    path = edited(
        tmp_path,
        r"^neurons_per_core( *)= { value = 1024, unit = \"1\", low = 1024, high = 1024",
        r'neurons_per_core = { value = 7, unit = "1", low = 7, high = 7',
    )
    assert load_profile(path).limit("neurons_per_core") == 7
    assert load_profile(f"{path}:nahuku8").chips == 8


@pytest.mark.parametrize(
    ("name", "hint"),
    [("lohi2", "did you mean loihi2"), ("loihi2:kapho-point", "did you mean kapoho-point"), ("gpu", "known: "), ("loihi2:", "")],
)
def test_unknown_chip_or_board(name, hint):
    if name.endswith(":"):
        assert load_profile(name).board == ""
        return
    with pytest.raises(ProfileError) as error:
        load_profile(name)
    assert hint in error.value.hint


def test_a_limit_nobody_published_is_an_error_never_0():
    with pytest.raises(ProfileError, match="axons_in_per_core is unpublished"):
        load_profile("loihi2").limit("axons_in_per_core")
    with pytest.raises(ProfileError, match="program_instructions is inapplicable"):
        load_profile("loihi1").limit("program_instructions")
    with pytest.raises(ProfileError) as error:
        load_profile("loihi1").limit("neurons_per_cor")
    assert "did you mean neurons_per_core" in error.value.hint


SPOILED = {
    "unknown key": (r"^neurons_per_core ", "neurons_per_cores ", "unknown key 'neurons_per_cores'", "did you mean neurons_per_core"),
    "missing key": (r"^delay_max .*\n", "", "missing: delay_max", "unpublished"),
    "missing field": (r'(^delay_max .*), group = "-"', r"\1", "missing: group", "nothing is optional"),
    "unknown top key": (r"^simulate = ", "simulates = ", "unknown key 'simulates'", "did you mean simulate"),
    "low above high": (r"(^neuron_idle .*)low = 47.5", r"\1low = 60.0", "does not hold: 60.0 52.0 55.0", "swap"),
    "negative": (r"(^delay_max .*)low = 62", r"\1low = -1", "negative", "magnitude"),
    "not finite": (r"(^delay_max .*)high = 62", r"\1high = nan", "not a finite number", "unpublished"),
    "a truth value": (r"(^delay_max .*)high = 62", r"\1high = true", "not a finite number", "unpublished"),
    "unit": (r'(^neuron_idle .*)unit = "pJ"', r'\1unit = "pj"', "unit = 'pj' is unknown", "pJ"),
    "kind": (r'(^neuron_idle .*)kind = "simulated"', r'\1kind = "simulate"', "kind = 'simulate' is unknown", "did you mean simulated"),
    "confidence": (r'(^delay_max .*)confidence = "B\+"', r'\1confidence = "sure"', "confidence = 'sure'", "known"),
    "source": (r'(^delay_max .*)source = "davies2018"', r'\1source = "davis2018"', "source = 'davis2018'", "did you mean davies2018"),
    "no source": (r'(^delay_max .*)source = "davies2018"', r'\1source = "-"', "a value needs a source", "[sources]"),
    "half unpublished": (r"(^delay_max .*)value = 62", r'\1value = "unpublished"', "does not fit value 'unpublished'", "both"),
    "no interval": (r"(^delay_max .*)low = 62", r'\1low = "unpublished"', "needs low and high", "repeat"),
    "empty locator": (r'(^delay_max .*)locator = "[^"]*"', r'\1locator = ""', "locator and group", '"-"'),
    "locator a number": (r'(^delay_max .*)locator = "[^"]*"', r"\1locator = 3", "locator and group", '"-"'),
    "status": (r'^status = "calibrated"', 'status = "calibrate"', "status = 'calibrate'", "did you mean calibrated"),
    "energy set": (r'^energy_set = "davies2018"', 'energy_set = "davis2018"', "energy_set = 'davis2018'", "did you mean davies2018"),
    "newer schema": (r"^schema = 1", "schema = 2", "has schema 2; this version reads 1", "newer snndeploy"),
    "simulate a number": (r"^simulate = true", "simulate = 1", "simulate = 1 is not a bool", "compare"),
    "feature a text": (r"^graded .*", 'graded = "no"', "graded = 'no' is not a bool", "compare"),
    "a number no table": (r"^delay_max .*", "delay_max = 62", "delay_max = 62 is not a dict", "compare"),
    "barrier falls": (r"tiles = 2,", "tiles = 1,", "tiles do not rise", "sort"),
    "barrier of text": (r"tiles = 2,", 'tiles = "2",', "tiles = '2' is not a int", "compare"),
    "barrier no table": (r"^barrier = \[", "barrier = [3,", "missing: tiles", "nothing is optional"),
    "all-in with terms": (r'^energy_scope = "per_term"', 'energy_scope = "all_in"', "prices synaptic operations only", "already"),
    "empty note": (r"^notes = \[", 'notes = ["",', "notes must be text", '"-"'),
}


@pytest.mark.parametrize("fault", SPOILED)
def test_a_spoiled_profile_says_what_and_where(tmp_path, fault):
    pattern, replacement, what, hint = SPOILED[fault]
    path = edited(tmp_path, pattern, replacement)
    with pytest.raises(ProfileError) as error:
        load_profile(path)
    assert what in error.value.what
    assert hint in error.value.hint
    assert error.value.where.startswith(path)


def test_an_all_in_profile_may_price_operations_alone(tmp_path):
    path = edited(tmp_path, r'^energy_scope = "per_term"', 'energy_scope = "all_in"')
    fields = dict.fromkeys(("value", "low", "high", "kind"), "inapplicable") | dict.fromkeys(("source", "locator", "group"), "-")
    absent = ", ".join(f'{key} = "{word}"' for key, word in ({"unit": "pJ", "confidence": "-"} | fields).items())
    terms = re.compile(r"^(neuron_idle|neuron_active|spike|message|hop_x|hop_y) +=.*pJ.*", flags=re.MULTILINE)
    text = terms.sub(rf"\1 = {{ {absent} }}", Path(path).read_text(encoding="utf-8"))
    Path(path).write_text(text, encoding="utf-8")
    assert load_profile(path).energy_scope == "all_in"


@pytest.mark.parametrize("size", [0, 50, 900, 5000])
def test_a_cut_off_file(tmp_path, size):
    path = tmp_path / "cut.toml"
    path.write_text(LOIHI1[:size], encoding="utf-8")
    with pytest.raises(ProfileError) as error:
        load_profile(str(path))
    assert error.value.hint


def test_files_that_are_no_profile(tmp_path):
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00" * 9)
    (tmp_path / "huge.toml").write_bytes(b"#" * ((1 << 20) + 1))
    (tmp_path / "folder.toml").mkdir()
    for name in ("binary", "huge", "folder", "absent"):
        with pytest.raises(ProfileError) as error:
            load_profile(str(tmp_path / f"{name}.toml"))
        assert name in error.value.where
        assert error.value.hint
