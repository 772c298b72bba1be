"""Where a certificate is written: the saved chip network is run once more, and everything that was found out goes beside it."""

from __future__ import annotations

import hashlib
import importlib.resources
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.certificate import PREFIX, Certificate, CertifiedRun, HashedFile, LayerDigest, to_bytes
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Encoding, Samples, read
from snndeploy.data.samples import SOLE
from snndeploy.errors import ModelError, OptionError, SnnError
from snndeploy.files import replacing
from snndeploy.flow.chips import must_simulate
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.making import versions
from snndeploy.flow.recording import Record, read_record
from snndeploy.flow.reporting import LAVA
from snndeploy.flow.saved import Ran, chip_pair, open_file, profile_of, run_file, sibling
from snndeploy.hw import load_profile, profile_names
from snndeploy.inert import written
from snndeploy.report.as_json import burst, faults, fidelity, pair, proofs, quantized
from snndeploy.report.provenance import Provenance
from snndeploy.report.report import QuantRow
from snndeploy.sim.host import inject
from snndeploy.trace import Trace
from snndeploy.verdict import Pair, Verdict

SILICON = "a chip: nothing ran on silicon"
SLOW_SAMPLES = 8
"""Samples that are run in int64 arithmetic too; few, so that a re-check takes seconds."""
SIMULATED = ("int64 definition", "chip simulator, re-check")
"""The pair that every certificate holds, and that is compared again when it is re-checked."""
SHIPPED = "hw_profiles/"
"""Begins the path of a profile that comes with snndeploy."""


@dataclass(frozen=True, eq=False)
class Certified:
    """What is to be certified: the saved file, its verdict, the samples it was judged on, and how they were fed.

    ``deployment`` adds what only the conversion knows; ``sources`` are the files that were converted, by role ("model", "code");
    ``carry`` copies the data beside the certificate even where they are a file already.
    """

    path: Path
    verdict: Verdict
    samples: Samples
    encode: Encoding = "direct"
    seed: int = 0
    deployment: Deployment | None = None
    sources: tuple[tuple[str, Path], ...] = ()
    profile: Path | None = None
    carry: bool = False


def certify(what: Certified, out: str | Path) -> Certificate:
    """Run the saved chip network, write the certificate to ``out`` (.json), and beside it the data where no file holds them.

    Raises:
        ModelError: ``what.path`` is no chip network that snndeploy saved, and none lies beside it.
        OptionError: ``out`` is no place for a certificate.
        ProfileError: its chip is priced, not simulated: no run here is a run of that chip.
    """
    from converters.onnx.plain import read_chip  # noqa: PLC0415 - converters imports nouns of this package, and may come first

    out = Path(out)
    writable(out)
    program, graph = _pair(what.path)
    network, content = read_chip(program)
    _must_run(what, network)
    ran = run_file(network, what.samples, None, what.encode, what.seed)
    record = read_record(program)
    shown = replace(what.verdict, pairs=(*what.verdict.every_pair, simulated(network, what.samples, what.encode, what.seed)),
                    recorded=(), model_only=network.model_only)  # fmt: skip
    out.parent.mkdir(parents=True, exist_ok=True)
    files = [("program", program), *([("graph", graph)] if graph else []), ("data", _data(what, out)), *what.sources]
    certificate = Certificate(
        name=what.deployment.name if what.deployment else program.name,
        chip=network.chip,
        verdict=shown.verdict,
        grade=shown.grade,
        ties=shown.ties,
        content=content,
        files=(*(hashed(role, file, out.parent) for role, file in files), *_profile(what, network, out.parent)),
        run=_digested(ran, what),
        tools=versions(),
        pairs=tuple(pair(p) for p in shown.pairs),
        fidelity=fidelity(what.verdict.fidelity),
        proofs=tuple(proofs(what.verdict.proofs)),
        recorded_proofs=tuple(proofs(what.verdict.recorded_proofs)),
        not_checked=tuple(_unchecked(what, shown.pairs, record)),
        **_conversion(what.deployment, record.made),
    )
    _write(out, to_bytes(certificate))
    return certificate


def _must_run(what: Certified, network: ChipNetwork) -> None:
    profile = load_profile(str(what.profile)) if what.profile else profile_of(network)
    if profile is not None:
        must_simulate(profile)


def _digested(ran: Ran, what: Certified) -> CertifiedRun:
    assert isinstance(ran.noun, ChipNetwork)
    return CertifiedRun(
        ran.trace.samples, ran.data.steps, what.encode, what.seed, input_digests(ran.noun, ran.data.inputs), layer_digests(ran.trace),
        tuple(int(p) for p in ran.predictions), ran.accuracy, min(SLOW_SAMPLES, ran.trace.samples), ran.noun.phases,
        tuple(faults((*ran.faults, *(f for f in what.verdict.faults if f.kind == "silent")))),
    )  # fmt: skip


def writable(out: Path) -> None:
    """Raise ``OptionError`` where a certificate must not be written: another file's name, or over something else."""
    if out.suffix != ".json":
        raise OptionError("--certificate", f"{out} does not end in .json", "give OUT.json")
    if out.is_dir() or (out.exists() and PREFIX.encode() not in out.read_bytes()):
        raise OptionError(
            "--certificate", f"{out} is there, and is no certificate", "give another name; only certificates are written over"
        )


def _pair(path: Path) -> tuple[Path, Path | None]:
    """The chip network's file and the float graph's."""
    if path.suffix != ".onnx":
        raise ModelError(str(path), "is not a file that snndeploy saved", "convert it first; a certificate is of the .<chip>.onnx file")
    noun = open_file(path)
    other = sibling(path, noun)
    program, graph = (path, other) if isinstance(noun, ChipNetwork) else (other, path)
    if program is None:
        raise ModelError(str(path), "is a float graph without a chip network beside it", "certify the .<chip>.onnx file that convert made")
    return program, graph


def _data(what: Certified, out: Path) -> Path:
    """The file that holds the samples as they are: theirs, if it does, else a copy beside the certificate."""
    where = Path(what.samples.where)
    if not what.carry and where.suffix == ".npz" and where.is_file() and _holds(str(where), what.samples):
        return where
    made = out.with_name(f"{out.stem}.data.npz")
    arrays: dict[str, Any] = {"x" if name == SOLE else f"x_{name}": values for name, values in what.samples.inputs.items()}
    arrays |= {} if what.samples.labels is None else {"y": what.samples.labels}
    with replacing(made, ".npz") as spare:
        np.savez_compressed(spare, **arrays)
    return made


def _holds(spec: str, samples: Samples) -> bool:
    """True if the file, cut to as many samples, is these samples."""
    try:
        found = read(spec, limit=len(samples))
    except SnnError:
        return False
    arrays = {**found.inputs, "y": found.labels}, {**samples.inputs, "y": samples.labels}
    return arrays[0].keys() == arrays[1].keys() and all(np.array_equal(arrays[0][k], v) for k, v in arrays[1].items())  # type: ignore[arg-type]


def hashed(role: str, path: Path, folder: Path) -> HashedFile:
    """A file by its bytes, its path seen from ``folder``."""
    data = path.read_bytes()
    return HashedFile(
        role, Path(os.path.relpath(path.absolute(), folder.absolute())).as_posix(), len(data), hashlib.sha256(data).hexdigest()
    )


def _profile(what: Certified, network: ChipNetwork, folder: Path) -> tuple[HashedFile, ...]:
    chip = network.chip.split(":")[0]
    if what.profile is not None:
        return (hashed("profile", what.profile, folder),)
    return (shipped_profile(chip),) if chip in profile_names() else ()


def shipped_profile(chip: str) -> HashedFile:
    """The profile of that name that comes with snndeploy."""
    data = (importlib.resources.files("hw_profiles") / f"{chip}.toml").read_bytes()
    return HashedFile("profile", f"{SHIPPED}{chip}.toml", len(data), hashlib.sha256(data).hexdigest())


def input_digests(network: ChipNetwork, inputs: Mapping[str, NDArray[Any]]) -> dict[str, str]:
    """SHA-256 of the whole numbers that each HostInput sends, [T, B, *shape] as little-endian int64."""
    return {written(name): _sha(np.asarray(values), "<i8") for name, values in inject(network, inputs).items()}


def layer_digests(trace: Trace) -> tuple[LayerDigest, ...]:
    """Every recorded population of a chip run."""
    made = []
    for name, values in trace.outputs.items():
        kind, a = "<i1" if values.dtype.itemsize == 1 else "<i4", trace.activity[name]
        counts = int(a.spikes.sum()), a.wraps, a.saturations
        made.append(
            LayerDigest(written(name), kind, tuple(map(int, values.shape[2:])), trace.shifts.get(name, 0), *counts, _sha(values, kind))
        )
    return tuple(made)


def _sha(values: NDArray[Any], kind: str) -> str:
    return hashlib.sha256(np.ascontiguousarray(values, kind).tobytes()).hexdigest()


def _conversion(d: Deployment | None, made: Provenance | None) -> dict[str, tuple[Mapping[str, Any], ...]]:
    """The passes, the burst constructions and the quantizer's ranges; of a file that was only read, what its record says."""
    if d is None:
        made = made or Provenance("", "")
        return {
            "passes": tuple({"name": p.name, "did": p.did, "changed": True, "pair": pair(p.pair)} for p in made.passes),
            "bursts": tuple(burst(row) for row in made.bursts),
            "quantization": tuple(quantized(row) for row in made.quantization),
        }
    scales = (QuantRow(s.layer, s.weight_bits, s.scale, s.error, s.notes) for s in d.scales)
    ranges = ({"threshold_shift": s.threshold_shift, "decay_shift": s.decay_shift, "bound": int(s.bound)} for s in d.scales)
    return {
        "passes": tuple(
            {"name": p.name, "did": p.did if p.changed else "nothing", "changed": p.changed, "pair": pair(p.pair)} for p in d.passes
        ),
        "bursts": tuple(burst(row) for row in d.offers),
        "quantization": tuple({**quantized(row), **extra} for row, extra in zip(scales, ranges, strict=True)),
    }


def _unchecked(what: Certified, pairs: Iterable[Pair], record: Record) -> list[str]:
    found = list(what.verdict.not_checked)
    names = {name for p in pairs for name in (p.a, p.b)}
    found += [] if any("lava" in name.lower() for name in names) else [LAVA]
    found += [] if any("onnxruntime" in name for name in (*names, *found)) else ["onnxruntime: the float graph was not run by it"]
    kept = (
        f"; the {len(what.verdict.recorded_proofs)} of the conversion are repeated, not made again" if what.verdict.recorded_proofs else ""
    )
    found += [] if what.verdict.proofs else [f"proofs: none were asked for (--prove){kept}"]
    found += (
        []
        if what.deployment or record.made
        else ["the passes, bursts and ranges of the conversion: this certificate is of the saved files"]
    )
    return list(dict.fromkeys([*found, SILICON]))


def simulated(network: ChipNetwork, samples: Samples, encode: Encoding, seed: int) -> Pair:
    """Both simulators on the first ``SLOW_SAMPLES``: what a re-check repeats."""
    return replace(chip_pair(network, samples, encode, seed, SLOW_SAMPLES), a=SIMULATED[0], b=SIMULATED[1])


def _write(out: Path, data: bytes) -> None:
    with replacing(out) as spare:
        spare.write_bytes(data)
