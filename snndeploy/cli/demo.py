"""``demo``: the whole job on the network that ships with the package, and whether each claim held."""

from __future__ import annotations

import importlib.util
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

import converters
from snndeploy import demo as shipped
from snndeploy import deploy
from snndeploy.cli.options import as_json
from snndeploy.cli.refusing import finish, refusing
from snndeploy.cli.terminal import working, write
from snndeploy.data import part
from snndeploy.flow.certifying import Certified, certify
from snndeploy.flow.deployment import Deployment, Wishes
from snndeploy.flow.given import as_samples
from snndeploy.flow.rechecking import recheck
from snndeploy.report import to_html
from snndeploy.report.layout import bullets, section, table
from snndeploy.report.words import fit, pair_words, percent
from snndeploy.verdict import Verdict

MIN_ACCURACY = 0.97
FEW = 64
"""Test digits for the variants that are shown besides; the network that is saved runs on all of them."""
PLAIN = ("ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct")
MODEL_ONLY = (
    "graded bursts run as neuron programs, an instruction set of our own that no silicon confirms; the other constructions need none"
)


@dataclass(frozen=True)
class Claim:
    """One thing the demo claims, what was found, and whether the claim holds."""

    claim: str
    found: str
    holds: bool


@click.command(short_help="The whole job on a network that ships with the package.")
@click.option(
    "-o", "--output", default="demo-out", show_default=True, help="The folder for the chip network, its certificate and the report."
)
@as_json
@refusing
def demo(*, output: str, as_json: bool) -> None:
    """The whole job on a burst network and real handwriting that ship with the package.

    Converts for Loihi 2, decouples, quantizes, places, runs 360 held-back digits, verifies and writes the report.
    Exit code 1 if anything is not as claimed.
    """
    start, folder = time.perf_counter(), Path(output)
    folder.mkdir(parents=True, exist_ok=True)
    with working("handwritten digits on Loihi 2"):
        saved = _converted("graded")
        made = ("certificate.json", "certificate.data.npz", "report.html")
        files = [*deploy.save(saved, folder / "digits"), *(folder / name for name in made)]
        verdict = _verified(files[1])
        whole = replace(saved.verdict, pairs=(*saved.verdict.pairs, *verdict.pairs), not_checked=verdict.not_checked)
        certificate = certify(Certified(files[1], whole, as_samples(str(shipped.TEST)), deployment=saved, carry=True), files[2])
        write(files[4], to_html(replace(deploy.report(saved), verdict=whole, certificate=certificate)))
    claims = [*_bursts(saved, ("graded",)), *_saved(saved, verdict), _certified(files[2])]
    with working("the same on plain neurons"):
        claims += _besides("plain neurons", _converted("ping-pong", FEW), PLAIN)
    with working("the same with a subtracting reset"):
        claims += _besides("subtracting reset", _converted("lateral", FEW), ("lateral",))
    seconds, names = time.perf_counter() - start, [str(file) for file in files]
    if as_json:
        click.echo(json.dumps({**_json(claims, names), "seconds": seconds}))
    else:
        click.echo(_text(claims, names, verdict.not_checked, seconds), nl=False)
    finish(all(claim.holds for claim in claims))


def _converted(burst: str, count: int | None = None) -> Deployment:
    """The shipped network for Loihi 2; calibrated on training digits, judged on those held back."""
    weights, reset = (shipped.WEIGHTS_SOFT, "subtract") if burst == "lateral" else (shipped.WEIGHTS, "hard")
    options = converters.Options(arch=f"{shipped.ARCH}(reset={reset!r})", input_shape=(1, 8, 8))
    samples = as_samples(str(shipped.TEST))
    samples = samples if count is None else part(samples, 0, count)
    wishes = Wishes(chip="loihi2", burst=burst)
    return deploy.convert(str(weights), samples, wishes, options, "handwritten digits", calibration=str(shipped.CALIBRATION))


def _verified(file: Path) -> Verdict:
    """The saved pair read again: the chip simulator against int64, and the float graph in onnxruntime where that is installed."""
    installed = importlib.util.find_spec("onnxruntime") is not None
    verdict = deploy.verify(file, str(shipped.TEST), ("onnxruntime", "chip") if installed else ("chip",))
    absent = () if installed else ("onnxruntime: not installed (pip install 'snndeploy[onnxruntime]')",)
    return replace(verdict, not_checked=(*verdict.not_checked, *absent))


def _saved(d: Deployment, verdict: Verdict) -> Iterator[Claim]:
    yield _end_to_end(d)
    for pair in verdict.pairs:
        yield Claim(f"{pair.a} and {pair.b} agree on the saved file", pair_words(pair), pair.equal and pair.compared > 0)
    near = d.verdict.fidelity
    assert near is not None
    assert near.float_accuracy is not None
    assert near.drop is not None
    count = f"of {near.samples} held-back digits"
    yield Claim(
        f"float accuracy is at least {percent(MIN_ACCURACY)}",
        f"{percent(near.float_accuracy)} {count}",
        near.float_accuracy >= MIN_ACCURACY,
    )
    chip = f"{percent(near.chip_accuracy or 0.0)} {count}"
    yield Claim(f"simulated-chip accuracy is within {d.wishes.max_drop:g} points", chip, near.drop <= d.wishes.max_drop)
    yield Claim("it fits", fit(d.placement).sentence.removeprefix("Fits: "), d.placement.fits)


def _certified(certificate: Path) -> Claim:
    """The certificate just written, checked again as anyone can."""
    found = recheck(certificate)
    failed = [c.what for c in found.checks if not c.holds]
    said = f"{len(found.checks)} checks in {found.seconds:.1f} s" if found.holds else f"fails: {', '.join(failed)}"
    return Claim("the certificate holds when it is checked again", said, found.holds and found.certificate.verdict == "exact")


def _besides(variant: str, d: Deployment, constructions: tuple[str, ...]) -> Iterator[Claim]:
    for claim in (*_bursts(d, constructions), _end_to_end(d)):
        yield replace(claim, claim=f"{variant}: {claim.claim}")


def _bursts(d: Deployment, constructions: Iterable[str]) -> Iterator[Claim]:
    """Per burst layer and construction: rungs that differ from the burst node's when both are fed the same input."""
    offers = {(offer.layer, offer.construction): offer for offer in d.offers}
    for layer in dict.fromkeys(offer.layer for offer in d.offers):
        for construction in constructions:
            offer = offers.get((layer, construction))
            pair = offer.pair if offer else None
            found = f"{pair.different:,} of {pair.compared:,} rung indices differ" if pair else (offer.why_not if offer else "not offered")
            yield Claim(f"{layer} as {construction}", found, pair is not None and pair.different == 0 and pair.compared > 0)


def _end_to_end(d: Deployment) -> Claim:
    pair = d.verdict.pairs[-1]
    return Claim("integers end to end", f"{pair.different:,} of {pair.compared:,} differ", pair.different == 0 and pair.compared > 0)


def _json(claims: list[Claim], files: list[str]) -> dict[str, object]:
    held = all(claim.holds for claim in claims)
    return {"schema": "snndeploy.demo/1", "ok": held, "claims": [asdict(claim) for claim in claims], "files": files}


def _text(claims: list[Claim], files: list[str], unchecked: Iterable[str], seconds: float) -> str:
    rows = [(claim.claim, claim.found, "yes" if claim.holds else "NO") for claim in claims]
    failed = sum(not claim.holds for claim in claims)
    outcome = f"{failed} of {len(claims)} claims do not hold." if failed else f"All {len(claims)} claims hold."
    parts = [
        section("Handwritten digits on Loihi 2, simulated", table(("claim", "found", "holds"), rows)),
        section("Not checked", bullets(unchecked)),
        section("Model only", bullets([MODEL_ONLY])),
        section("Written", "\n".join(files)),
        f"{outcome} {seconds:.1f} s. Open {files[-1]} in a browser.",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"
