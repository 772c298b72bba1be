"""A certificate looked at again, with NumPy alone: files hashed, the chip network run, every digest and count compared."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from snndeploy.certificate import NEEDED, Certificate, Check, HashedFile, LayerDigest, Recheck, from_bytes
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Samples, read
from snndeploy.data.encoders import Encoding
from snndeploy.errors import ModelError, SnnError
from snndeploy.flow.certifying import SHIPPED, SIMULATED, hashed, input_digests, layer_digests, shipped_profile, simulated
from snndeploy.flow.saved import Ran, only_priced, profile_of, run_file
from snndeploy.inert import plain, written
from snndeploy.report.as_json import faults, pair
from snndeploy.verdict import Pair, Proof, Verdict


def recheck(path: str | Path, data: str | Path | None = None) -> Recheck:
    """Hash the certificate's files again, run its chip network on its data again, and compare.

    Files are looked for where they were, seen from the certificate, then beside it; ``data`` says where the data are now.

    Raises:
        ModelError: no certificate, one that was changed or is newer, or a file that it needs is not there.
    """
    started, file = time.perf_counter(), Path(path)
    certificate = opened(file)
    found = {f.role: _found(f, file, data) for f in certificate.files}
    checks = [Check("certificate", True, "its seal fits its content")]
    checks += [_hash(f, place) for f in certificate.files if (place := found[f.role]) is not None]
    absent = [f for f in certificate.files if found[f.role] is None]
    program, samples = found["program"], found["data"]
    assert program is not None
    assert samples is not None
    if all(c.holds for c in checks):
        checks += _run(certificate, program, samples)
    else:
        checks.append(Check("run", False, "not run again: these are not the certified files"))
    checks.append(_verdict(certificate))
    return Recheck(str(file), certificate, tuple(checks), tuple(_trusted(certificate, absent)), time.perf_counter() - started)


def opened(path: Path) -> Certificate:
    """The certificate in a file. Raises ``ModelError`` where there is none, or it was changed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(str(path), f"cannot be read: {error.strerror}", "check the path") from None
    return from_bytes(content, str(path))


def _found(f: HashedFile, certificate: Path, data: str | Path | None) -> Path | None:
    if f.role == "profile" and f.path.startswith(SHIPPED):
        return Path(f.path)
    places = [certificate.parent / f.path, certificate.parent / Path(f.path).name]
    places = [Path(data)] if f.role == "data" and data is not None else places
    there = next((p for p in places if p.is_file()), None) or _so_written(Path(f.path).name, certificate.parent)
    if there is None and f.role in NEEDED:
        hint = "give --data FILE" if f.role == "data" else "put it beside the certificate"
        raise ModelError(str(certificate), f"{f.role}: {Path(f.path).name} is not there", hint)
    return there


def _so_written(name: str, folder: Path) -> Path | None:
    """The file of a name with characters that a certificate writes by their codes."""
    return next((p for p in sorted(folder.iterdir()) if written(p.name) == name and p.is_file()), None) if "\\" in name else None


def _hash(f: HashedFile, place: Path) -> Check:
    shipped = f.role == "profile" and f.path.startswith(SHIPPED)
    try:
        now = shipped_profile(Path(f.path).stem) if shipped else hashed(f.role, place, place.parent)
    except OSError as error:
        return Check(f"{f.role} {f.path}", False, f"cannot be read: {error.strerror}")
    same = (now.sha256, now.size) == (f.sha256, f.size)
    other = f"SHA-256 is {now.sha256[:12]}.., certified was {f.sha256[:12]}.."
    if shipped and not same:
        other += f": the profile of this snndeploy is another; the certificate was made with {f.path}"
    return Check(f"{f.role} {f.path}", same, f"{f.size:,} bytes, SHA-256 {f.sha256[:12]}.." if same else other)


def _run(c: Certificate, program: Path, data: Path) -> Iterator[Check]:
    """The chip network on its data again: what entered, what every population sent, the classes, and both simulators."""
    from converters.onnx.plain import read_chip  # noqa: PLC0415 - converters imports nouns of this package, and may come first

    try:
        network, content = read_chip(program)
        samples = read(str(data), limit=c.run.samples)
        encode: Encoding = c.run.encode  # type: ignore[assignment]
        ran = run_file(network, samples, None, encode, c.run.seed)
        yield Check("content", content == c.content, f"the integers of {program.name}")
        yield from (Check("chip", False, words) for words in only_priced(profile_of(network)))
        yield _grade(c, network)
        yield from _compared(c, ran)
        yield _simulators(c, network, samples, encode)
    except SnnError as error:
        yield Check("run", False, f"{error.where}: {error.what}")


def _grade(c: Certificate, network: ChipNetwork) -> Check:
    """What equality means, told from the network itself: a certificate cannot call a neuron program exact."""
    if not c.grade:
        return Check("grade", True, f"{network.grade}, by the network: the certificate is older and does not say it")
    follows = _follows(c, network.model_only)
    return Check("grade", (follows.grade, follows.ties) == (c.grade, c.ties), f"{follows.grade}, by the network and the pairs")


def _follows(c: Certificate, model_only: tuple[str, ...] | None = None) -> Verdict:
    """The verdict that follows from the certificate's own pairs and proofs, whatever it says itself."""
    pairs = tuple(Pair(p["a"], p["b"], p["compared"], p["different"], within_bound=p["within_bound"]) for p in c.pairs)
    proofs = tuple(Proof(p["name"], p["layer"], p["statement"], p["status"]) for p in (*c.recorded_proofs, *c.proofs))
    return Verdict(pairs, proofs=proofs, model_only=model_only)


def _compared(c: Certificate, ran: Ran) -> Iterator[Check]:
    assert isinstance(ran.noun, ChipNetwork)
    run = c.run
    yield _equal("samples and steps", (run.samples, run.steps), (ran.trace.samples, ran.data.steps))
    if (run.phases, ran.noun.phases) != (1, 1):
        yield _equal("chip steps for one of the model's", run.phases, ran.noun.phases)
    entered = input_digests(ran.noun, ran.data.inputs)
    yield Check("inputs", entered == dict(run.inputs), f"what the host injects at {len(entered)} inputs" + _which(run.inputs, entered))
    now = {d.name: d for d in layer_digests(ran.trace)}
    certified = {d.name: d for d in run.layers}
    for name in {**certified, **now}:
        yield _layer(name, certified.get(name), now.get(name))
    yield from _faults(run.faults, faults(ran.faults))
    answers = tuple(int(p) for p in ran.predictions)
    differ = sum(a != b for a, b in zip(answers, run.predictions, strict=False)) + abs(len(answers) - len(run.predictions))
    yield Check("predictions", not differ, f"{differ} of {len(answers):,} differ")
    yield _equal("accuracy", run.accuracy, ran.accuracy)
    if c.fidelity is not None:
        yield _equal("fidelity: the chip's accuracy", c.fidelity.get("chip_accuracy"), ran.accuracy)


def _faults(certified: Iterable[Mapping[str, Any]], now: Iterable[Mapping[str, Any]]) -> Iterator[Check]:
    """What left its register, again; nothing to say where nothing did. That a layer fell silent only the float network shows."""
    was, found = [dict(f) for f in certified if f["kind"] != "silent"], plain(list(now))
    if was or found:
        said = "; ".join(f"{f['layer']}: {f['what']} {f['count']:,} times" for f in found) or "none"
        yield Check("faults", was == found, said)


def _layer(name: str, certified: LayerDigest | None, now: LayerDigest | None) -> Check:
    if certified is None or now is None:
        return Check(f"layer {name}", False, "is not in the certificate" if certified is None else "is not in the network")
    if certified == now:
        return Check(f"layer {name}", True, f"{now.spikes:,} spikes, record {now.sha256[:12]}..")
    return Check(
        f"layer {name}",
        False,
        f"{now.spikes:,} spikes, record {now.sha256[:12]}..; certified {certified.spikes:,}, {certified.sha256[:12]}..",
    )


def _simulators(c: Certificate, network: ChipNetwork, samples: Samples, encode: Encoding) -> Check:
    wanted = next((dict(p) for p in c.pairs if (p.get("a"), p.get("b")) == SIMULATED), {})
    now = plain(pair(simulated(network, samples, encode, c.run.seed)))
    if not c.grade:
        wanted["grade"] = now["grade"]  # schema 1 called this pair exact, whatever ran
    said = f"{now['different']:,} of {now['compared']:,} differ on {c.run.slow_samples} samples"
    return Check(" against ".join(SIMULATED), wanted == now, said)


def _equal(what: str, certified: Any, now: Any) -> Check:
    return Check(what, certified == now, f"{now}" if certified == now else f"{now}, certified {certified}")


def _which(certified: Mapping[str, str], now: Mapping[str, str]) -> str:
    other = [name for name in {**certified, **now} if certified.get(name) != now.get(name)]
    return f"; differs at {', '.join(other)}" if other else ""


def _verdict(c: Certificate) -> Check:
    """The verdict that follows from the certificate's own pairs and proofs."""
    follows = _follows(c)
    unequal = [f"{p.a} against {p.b}" for p in follows.pairs if not p.equal]
    failed = [f"{p.name} of {p.layer}" for p in follows.proofs if p.status == "failed"]
    why = f": {'; '.join([*unequal, *failed])}" if unequal or failed else ""
    return Check("verdict", follows.verdict == c.verdict, f"{follows.verdict} follows from its pairs and proofs{why}")


def _trusted(c: Certificate, absent: list[HashedFile]) -> Iterator[str]:
    """What a re-check takes from the certificate as it stands."""
    for f in absent:
        yield f"{f.role} {f.path}: is not there, so it was not hashed again"
    for p in c.pairs:
        if (p["a"], p["b"]) != SIMULATED:
            yield f"{p['a']} against {p['b']}: {p['different']:,} of {p['compared']:,} differ; not run again"
    yield from (f"fault: {fault['layer']}, {fault['what']}" for fault in c.run.faults if fault["kind"] == "silent")
    if c.fidelity is not None and c.fidelity.get("float_accuracy") is not None:
        yield "fidelity: the float network's accuracy and agreement"
    if c.passes:
        yield f"the conversion: {len(c.passes)} passes, {len(c.bursts)} burst constructions, the ranges of {len(c.quantization)} layers"
    if c.proofs:
        yield f"{len(c.proofs)} proofs (verify MODEL --prove proves them again, with z3)"
    if c.recorded_proofs:
        yield f"{len(c.recorded_proofs)} proofs of the conversion, as the chip network's file says (verify MODEL --prove proves them again)"
