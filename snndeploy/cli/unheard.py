"""Options that were given and that a command, as it was called, would pass over: each is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource

from snndeploy.data import Samples
from snndeploy.errors import NoEffect

READING = ("samples", "encode", "seed", "bin_us", "frames", "split_by", "sensor")
"""What says how ``--data`` is read; nothing without it."""
CHOOSING = ("weight_bits", "burst", "substitute", "calibration", "calibration_samples", "max_drop")
"""What chooses integers, and judges them."""
OF_FILES = ("source", "dt", "reset", "input_shape", "input_unit", "state", "timesteps")


def was_given(name: str) -> bool:
    """Whether the user gave an option, even one that says what holds anyway."""
    return click.get_current_context().get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def refuse(names: Sequence[str], why: str, hint: str = "leave it out") -> None:
    """Raise ``NoEffect`` for the first of the options that was given."""
    for name in names:
        if was_given(name):
            raise NoEffect("--" + name.replace("_", "-"), why, hint)


def check_reading(given: Mapping[str, Any]) -> None:
    """Refuse words about data where there are none, and a seed of nothing random. Raises ``NoEffect``."""
    if given["data"] is None:
        refuse(READING, "says how --data is read, and there is no --data", "add --data samples.npz, or leave it out")
    if given["encode"] != "rate":
        refuse(("seed",), f"is of --encode rate alone; --encode {given['encode']} has no chance in it")


def check_code(given: Mapping[str, Any]) -> None:
    """Refuse to run code whole where none is named. Raises ``NoEffect``."""
    named = given.get("arch") is not None or any(".py:" in (given.get(name) or "") for name in ("data", "calibration"))
    if given.get("run_code") and not named:
        raise NoEffect(
            "--run-code", "is for code that --arch or --data names, and none is named", "leave it out, or name it: --arch FILE:Net"
        )


def check_proving(prove: bool) -> None:
    """Refuse a time for proofs that nobody asked for. Raises ``NoEffect``."""
    if not prove:
        refuse(("prove_limit", "prove_budget"), "is how long --prove may take, and there is no --prove", "add --prove, or leave it out")


def check_drop(samples: Samples) -> None:
    """Refuse a limit to lost accuracy where no accuracy is known. Raises ``NoEffect``."""
    if samples.labels is None:
        what = f"is in points of accuracy, and {samples.where} has no labels to know it by"
        refuse(("max_drop",), what, "add y [N] to the data, or leave it out")
