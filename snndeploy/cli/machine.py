"""``chips`` and ``doctor``: what there is to deploy to, and what this machine has."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

import converters
import snndeploy
from snndeploy.cli.options import as_json
from snndeploy.cli.refusing import refusing
from snndeploy.cli.setup_lava import setup_lava as set_up_lava
from snndeploy.hw import Number, Profile, load_profile, profile_names
from snndeploy.report.layout import section, table
from snndeploy.sim.lava import lava_python

PACKAGES = {
    "numpy": "", "onnx": "", "click": "", "rich": "",
    "torch": "torch", "onnxruntime": "onnxruntime", "z3-solver": "prove", "scikit-learn": "demo",
}  # fmt: skip
"""Package -> the extra that installs it ("" where snndeploy cannot do without)."""


@click.command(short_help="The chips and boards that --chip takes.")
@as_json
@refusing
def chips(*, as_json: bool) -> None:
    """The chips and boards that --chip takes."""
    profiles = [load_profile(name) for name in profile_names()]
    if as_json:
        click.echo(json.dumps({"schema": "snndeploy.chips/1", "chips": [_chip(p) for p in profiles]}))
        return
    rows = []
    for p in profiles:
        cores, neurons = (_amount(p.limits[name]) for name in ("cores_per_chip", "neurons_per_core"))
        rows.append((p.id, p.name, "simulated" if p.simulate else "priced only", p.status.replace("_", " "), cores, neurons))
    boards = [(f"{p.id}:{name}", _amount(number)) for p in profiles for name, number in p.boards.items()]
    click.echo(section("Chips", table(("--chip", "name", "use", "prices", "cores", "neurons a core"), rows)) + "\n")
    click.echo(section("Boards", table(("--chip", "chips"), boards)))
    click.echo("\nA profile of your own: --chip my_chip.toml. The float graph alone: --chip none.")


def _amount(number: Number) -> str:
    return number.kind if number.value is None else f"{int(number.value):,}"


def _chip(profile: Profile) -> dict[str, Any]:
    numbers = {name: profile.limits[name].value for name in ("cores_per_chip", "neurons_per_core", "weight_bits", "payload_bits")}
    boards = {name: number.value for name, number in profile.boards.items()}
    texts = {"id": profile.id, "name": profile.name, "status": profile.status, "simulate": profile.simulate}
    return {**texts, "limits": numbers, "features": dict(profile.features), "boards": boards}


@click.command(short_help="What is installed here, and which engine runs.")
@click.option(
    "--setup-lava", is_flag=True, help="Install Lava 0.10 into an environment of its own (needs Python 3.10), for verify --against lava."
)
@as_json
@refusing
def doctor(*, as_json: bool, setup_lava: bool) -> None:
    """What is installed here, and which engine runs."""
    if setup_lava:
        set_up_lava()
    found = {name: _version(name) for name in PACKAGES}
    machine = {
        "snndeploy": f"{snndeploy.__version__} at {Path(snndeploy.__file__).parent}",
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "processors": str(os.cpu_count()),
        "lava": str(lava_python() or "not set up; snndeploy doctor --setup-lava"),
        "engine": "numpy: exact integers, one thread a kernel (there is no native engine in this version)",
    }
    formats = converters.formats()
    if as_json:
        said = {**machine, "packages": found, "formats": [asdict(f) for f in formats], "chips": profile_names()}
        click.echo(json.dumps({"schema": "snndeploy.doctor/1", **said}))
        return
    packages = [(name, version or _missing(name)) for name, version in found.items()]
    able = [
        (f.name, ", ".join(f.suffixes), " and ".join(w for w, can in (("reads", f.loads), ("writes", f.saves)) if can)) for f in formats
    ]
    for title, body in (
        ("Machine", table(("what", "is"), machine.items())),
        ("Packages", table(("package", "version"), packages)),
        ("Formats", table(("format", "files", "can"), able)),
        ("Chips", ", ".join(profile_names())),
    ):
        click.echo(f"{section(title, body)}\n")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _missing(name: str) -> str:
    extra = PACKAGES[name]
    return f"not installed; pip install 'snndeploy[{extra}]'" if extra else f"not installed, and needed; pip install {name}"
