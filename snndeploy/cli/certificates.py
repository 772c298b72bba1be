"""What the commands do with certificates: refuse early what could not be written, and check one again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

import converters
from snndeploy.certificate import Certificate
from snndeploy.cli.options import Decorator
from snndeploy.cli.refusing import finish
from snndeploy.cli.unheard import check_proving
from snndeploy.data import Samples
from snndeploy.errors import OptionError
from snndeploy.flow.certifying import Certified, certify, writable
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.proving import BUDGET, LIMIT, chip_network, prove_deployment, prove_file, unproved, unproved_deployment
from snndeploy.flow.rechecking import opened, recheck
from snndeploy.flow.saved import digest
from snndeploy.report.certificates import recheck_to_json, recheck_to_text
from snndeploy.verdict import Verdict

PROOF_TIME: tuple[Decorator[Any], ...] = (
    click.option("--prove-limit", type=float, default=LIMIT, show_default=True, help="Seconds for one question to z3; then it is unknown."),
    click.option("--prove-budget", type=float, default=BUDGET, show_default=True, help="Seconds for all of them together."),
)
"""How long z3 may take."""
EVIDENCE: tuple[Decorator[Any], ...] = (
    click.option("--prove", is_flag=True, help="Prove with z3 that the chip network is what was quantized, for every input."),
    *PROOF_TIME,
    click.option("--certificate", help="Write a certificate, OUT.json, that `verify --certificate OUT.json` checks again."),
)
"""What ``convert`` can leave behind besides the networks."""


def proved(deployment: Deployment, limit: float, budget: float) -> Deployment:
    """With the proofs that its chip network is what was quantized, and what no proof covers."""
    proofs, bare = prove_deployment(deployment, limit, budget), unproved_deployment(deployment)
    verdict = deployment.verdict
    return replace(deployment, verdict=replace(verdict, proofs=proofs, not_checked=(*verdict.not_checked, *bare)))


def proved_file(verdict: Verdict, file: Path, limit: float, budget: float, options: converters.Options) -> Verdict:
    """The verdict with the proofs of a saved chip network, in place of those its file keeps, and what no proof covers."""
    proofs = prove_file(file, limit, options, budget)
    network = chip_network(file, options)
    bare = tuple(dict.fromkeys((*verdict.not_checked, *unproved(network))))
    again = {(p.layer, p.name) for p in proofs if p.status != "unknown"}
    kept = tuple(p for p in verdict.recorded_proofs if (p.layer, p.name) not in again)
    return replace(verdict, proofs=proofs, recorded_proofs=kept, not_checked=bare, model_only=network.model_only)


def sources_of(model: str, given: Mapping[str, Any]) -> tuple[tuple[str, Path], ...]:
    """The files that were converted, by role: the model, and the code that builds it."""
    code = code_of(given)
    named = [("model", Path(model)), *([("code", code)] if code else [])]
    return tuple((role, path) for role, path in named if path.is_file())


def code_of(given: Mapping[str, Any]) -> Path | None:
    """The file of ``--arch``; None where there is none, or it names an installed package."""
    code = (given["arch"] or "").rpartition(".py:")[0]
    return Path(f"{code}.py") if code else None


def written(
    certificate: str | None, file: str, deployment: Deployment, samples: Samples | None, sources: tuple[tuple[str, Path], ...]
) -> list[str]:
    """The certificate's file, if one is wished."""
    if certificate is None:
        return []
    assert samples is not None
    wishes = deployment.wishes
    own = Path(wishes.chip) if wishes.chip.endswith(".toml") else None
    what = Certified(Path(file), deployment.verdict, samples, wishes.encode, wishes.seed, deployment, sources, own)
    certify(what, certificate)
    return [certificate]


def certifiable(certificate: str, given: Mapping[str, Any]) -> None:
    """Refuse before the work: a certificate without data, or where another file lies."""
    writable(Path(certificate))
    if given["data"] is None:
        raise OptionError("--certificate", "certifies a run, and a run needs data", "give --data samples.npz")


def evident(certificate: str | None, prove: bool, given: Mapping[str, Any]) -> None:
    """Refuse before ``convert`` works: evidence of a chip network that is not made, and what ``certifiable`` refuses."""
    check_proving(prove)
    if given["chip"] == "none" and (prove or certificate is not None):
        raise OptionError("--prove, --certificate", "are about a chip network, and --chip none makes none", "leave them out")
    if certificate is not None:
        certifiable(certificate, given)


def only_converted(certificate: str | None, prove: bool) -> None:
    """Refuse evidence about a conversion where integers were put on a chip as they are."""
    if prove or certificate is not None:
        what = "are about a conversion, and these integers are taken as they are"
        raise OptionError(
            "--prove, --certificate", what, "leave them out; then: snndeploy verify STEM.CHIP.onnx --prove --certificate OUT.json"
        )


def check_again(certificate: str | None, data: str | None, as_json: bool, refused: Mapping[str, object]) -> None:
    """Without a FILE: the certificate itself; ``data`` says where its data are now. Exit code 1 if a check fails, or it says
    different or names a fault.

    ``refused``: options that a re-check does not take, and whether they were given.
    """
    if certificate is None:
        raise OptionError("FILE", "is missing", "give a saved network, or --certificate FILE.json to check a certificate again")
    for option, value in refused.items():
        if value:
            raise OptionError(
                option, "is not for a re-check, which runs the simulator alone", f"snndeploy verify MODEL --data D {option} ..."
            )
    found = recheck(certificate, data)
    if as_json:
        click.echo(json.dumps(recheck_to_json(found), allow_nan=False))
    else:
        click.echo(recheck_to_text(found), nl=False)
    finish(found.holds and found.certificate.verdict != "different" and not found.certificate.run.faults)


def certificate_of(file: str, path: str) -> Certificate:
    """The certificate in ``path``, which must be that of the chip network in ``file``."""
    certificate = opened(Path(path))
    program = certificate.file("program")
    if program is None or not Path(file).is_file() or digest(Path(file)) != program.sha256:
        raise OptionError("--certificate", f"{path} is not a certificate of {file}", "write it anew: snndeploy verify FILE --certificate")
    return certificate
