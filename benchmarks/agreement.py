"""Every verb says the same of a network: convert, the saved file's report, verify, certificate and JSON, field by field.

    python benchmarks/agreement.py RESULTS.json [MODEL ...] [--samples N]

Every model of ``weight_bits_models`` and every ``.net`` file, on both chips. What is done already stands in RESULTS.json
and is not done again. A refusal to convert (a model that the chip cannot hold) is a result, too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import snndeploy as sd
from converters import Options
from snndeploy import deploy
from snndeploy.certificate import from_bytes
from snndeploy.errors import SnnError
from snndeploy.flow.given import as_samples
from snndeploy.flow.rechecking import recheck
from snndeploy.report.as_json import fidelity, to_json
from snndeploy.report.certificates import recheck_to_json
from snndeploy.report.results import run_to_json, verify_to_json

CHIPS = ("loihi2", "loihi1")
SAME_REPORT = (
    "model", "chip", "steps", "samples", "verdict", "grade", "ties", "model_only", "ok", "fidelity", "rates", "max_drop", "fits", "cores",
    "chips", "findings", "placement", "energy", "latency", "events", "synapses", "imbalance", "layers", "faults", "graph", "passes",
    "bursts", "quantization", "shifts", "probed", "assumptions", "making", "sources", "simulated",
)  # fmt: skip
"""Keys of the report's JSON that the deployment and its saved file must give alike."""
GRADES = ("verdict", "grade", "ties", "model_only", "fidelity", "faults")
"""Keys that ``verify`` has in common with it."""
OF_A_RUN = ("samples", "layers", "events", "faults", "model_only", "fits")
"""Keys that ``run`` has in common with it; its ``steps`` are the chip's, with those of the pipeline."""


@dataclass(frozen=True)
class Job:
    """A model, samples and what the file cannot say; ``transfer`` of integers as they are."""

    model: Any
    data: Any
    options: Options
    timesteps: int | None = None
    seen: Any = None
    transfer: bool = False


def deployed(job: Job, chip: str) -> Any:
    """The deployment or transfer. Raises ``SnnError`` where the chip cannot hold the model."""
    wishes = sd.Wishes(chip=chip)
    if job.transfer:
        return sd.transfer(job.model, job.data, wishes, job.options)
    return sd.convert(job.model, job.data, wishes, job.options, timesteps=job.timesteps, calibration=job.seen)


def disagreements(made: Any, data: Any, folder: Path) -> Iterator[str]:
    """What any verb says otherwise than the deployment does, a line each."""
    file = sd.save(made, folder / "net")[-1]
    data = as_samples(data)
    told, again = to_json(sd.report(made)), to_json(sd.report(file, data))
    yield from _differ("report FILE", told, again, SAME_REPORT)
    yield from _pairs("report FILE", told, again)
    verified = sd.verify(file, data, ("graph", "chip"))
    said = verify_to_json(file.name, verified)
    yield from _differ("verify FILE", told, said, GRADES if said["fidelity"] else [k for k in GRADES if k != "fidelity"])
    yield from _pairs("verify FILE", told, said)
    ran = sd.run(file, data)
    run = run_to_json(file.name, ran.noun.chip, ran.trace, ran.events, ran.accuracy, (), ran.noun.model_only, ran.fits)
    yield from _differ("run FILE", told, run, OF_A_RUN)
    if (run["grade"] == "model only") != told["grade"].startswith("model only"):
        yield f"run FILE: grade {run['grade']!r} beside {told['grade']!r}"
    certificate = folder / "c.json"
    sd.certify(sd.Certified(file, verified, data), certificate)
    yield from _certified(told, verified, certificate)


def _certified(told: Mapping[str, Any], verified: Any, path: Path) -> Iterator[str]:
    body = from_bytes(path.read_bytes(), str(path))
    shown = {"verdict": body.verdict, "grade": body.grade, "ties": body.ties, "fidelity": body.fidelity, "faults": [*body.run.faults]}
    yield from _differ("certificate", {**told, "fidelity": fidelity(verified.fidelity)}, shown, tuple(shown))
    held = {(p["a"], p["b"]): dict(p) for p in body.pairs}
    yield from (f"certificate: {p['a']} against {p['b']} is not in it" for p in told["pairs"] if held.get((p["a"], p["b"])) is None)
    spikes = {d.name: d.spikes for d in body.run.layers}
    for layer in told["layers"]:
        if layer["name"] in spikes and spikes[layer["name"]] < round(layer["spikes_per_sample"] * body.run.samples):
            yield f"certificate: spikes of {layer['name']}"
    found = recheck_to_json(recheck(path))
    yield from (f"re-check: {c['what']}: {c['found']}" for c in found["checks"] if not c["holds"])
    yield from _differ("re-check", told, found, ("verdict", "grade", "ties"))


def _pairs(verb: str, told: Mapping[str, Any], said: Mapping[str, Any]) -> Iterator[str]:
    """What was compared and proved at the conversion is repeated, number for number; the seconds are not the file's."""
    before, proved = said["recorded"], [{**p, "seconds": 0.0} for p in told["recorded_proofs"] + told["proofs"]]
    if _plain(proved) != _plain(said["recorded_proofs"]):
        yield f"{verb}: proofs of the conversion are lost or changed"
    yield from (f"{verb}: {p['a']} against {p['b']} is lost or changed" for p in told["pairs"] if p not in before)
    yield from (f"{verb}: {p['a']} against {p['b']} was never compared" for p in before if p not in told["pairs"] + told["recorded"])


def _differ(verb: str, told: Mapping[str, Any], said: Mapping[str, Any], keys: Any) -> Iterator[str]:
    for key in keys:
        if _plain(told[key]) != _plain(said[key]):
            yield f"{verb}: {key} is {str(said[key])[:200]}, convert said {str(told[key])[:200]}"


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True))


def jobs(samples: int) -> dict[str, Callable[[], Job]]:
    """Every visible model, by name."""
    from weight_bits_models import MODELS, SHARED  # noqa: PLC0415 - needs ../shared

    def of(name: str) -> Job:
        case = MODELS[name]()
        return Job(case.model, _first(case.test, samples), case.options, case.timesteps, case.seen)

    nets = {"netx_mnist": "trained_mnist_network.net", "netx_iris .net": "network.net", "netx_tinynet": "tiny.net"}
    nets |= {"netx_pilotnet_lif": "network.net", "netx_pilotnet_sdnn": "network.net"}
    return {
        **{name: (lambda name=name: of(name)) for name in MODELS},
        **{name: (lambda name=name, file=file: _net(SHARED / "models" / name.split()[0] / file, samples)) for name, file in nets.items()},
    }


def _first(data: Any, samples: int) -> Any:
    return tuple(values[:samples] for values in data) if isinstance(data, tuple) else data[:samples]


def _net(path: Path, samples: int) -> Job:
    """Random values of the input's own range: what is held together here are the verbs, not the accuracy."""
    options = Options(timesteps=8)
    try:
        network = deploy.read(path, None, options)
    except SnnError:
        options = Options(timesteps=8, input_unit=1.0)
        network = deploy.read(path, None, options)
    draw, inputs = np.random.default_rng(0), {}
    for name, p in network.inputs().items():
        low, high = p.model.payloads
        inputs[f"x_{name}"] = draw.integers(low, min(high, 255) + 1, (samples, 8, *p.shape)).astype(np.float64) * p.model.scale
    return Job(path, inputs, replace(options), transfer=True)


def main() -> None:
    """Do what is not done yet; print a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--samples", type=int, default=8)
    given = parser.parse_args()
    done = json.loads(given.results.read_text()) if given.results.exists() else {}
    for name, job in jobs(given.samples).items():
        for chip in CHIPS if not given.models or name in given.models else ():
            key = f"{name} on {chip}"
            if key in done:
                continue
            started = time.perf_counter()
            done[key] = _judged(job, chip)
            given.results.write_text(json.dumps(done, indent=1) + "\n")
            print(f"{key}: {done[key]} ({time.perf_counter() - started:.0f} s)", flush=True)


def _judged(job: Callable[[], Job], chip: str) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        try:
            said = job()
            made = deployed(said, chip)
        except SnnError as refusal:
            return f"refused: {refusal.where}: {refusal.what}"[:300]
        return [made.verdict.grade, *disagreements(made, said.data, Path(folder))]


if __name__ == "__main__":
    main()
