"""``bisect``: where two networks part, and why; ``explain``: what a code means."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from snndeploy.cli.options import DATA_OPTIONS, SOURCE_OPTIONS, as_json, encoding, options_of, samples_of, with_options
from snndeploy.cli.refusing import finish, keep, refusing
from snndeploy.cli.terminal import working
from snndeploy.cli.unheard import refuse
from snndeploy.errors import OptionError, did_you_mean
from snndeploy.flow.parting import bisect_files, stages, write_input
from snndeploy.report.bisection import bisection_to_json, bisection_to_text, explanation_to_json, explanation_to_text
from snndeploy.report.codes import CODES
from snndeploy.report.results import verify_to_json, verify_to_text

NEEDS_DATA = "both networks are run on samples"


@click.command(short_help="Where two networks part: layer, step, neuron, cause, and the smallest input.")
@click.argument("a")
@click.argument("b", required=False)
@with_options(DATA_OPTIONS)
@with_options(SOURCE_OPTIONS)
@click.option("--shrink/--no-shrink", default=True, help="Look for the smallest input that still makes them differ.")
@click.option("-o", "--output", help="Write that input as reduced.npz, for `snndeploy run FILE --data reduced.npz`.")
@as_json
@refusing
def bisect(a: str, b: str | None, *, shrink: bool, output: str | None, as_json: bool, **given: Any) -> None:
    """Run A and B on the same data and find the first layer that differs by itself: fed the same input, it still does.

    A and B are files: two graphs, two chip networks, or a graph and its chip network (whose difference is rounding; a burst
    layer that was built of several neurons counts as one). Every known mistake is then tried on that layer of A; the one that
    reproduces B is named. Without B, every pass of the conversion of A is run before and after. Exit code 0: equal; 1: they
    differ.
    """
    if output is not None:
        _writable(output, a, b, given["data"])
    samples = samples_of(given, NEEDS_DATA)
    assert samples is not None
    options, how = options_of(given), (encoding(given["encode"]), given["seed"])
    if b is None:
        refuse(("shrink",), "is about the input where two networks part, and there is one", "give B too, or leave it out")
        with working(f"the passes of {Path(a).name}"):
            verdict = stages(a, samples, given["timesteps"], *how, options)
        click.echo(json.dumps(verify_to_json(a, verdict), allow_nan=False) if as_json else verify_to_text(a, verdict), nl=as_json)
        finish(verdict.verdict == "exact")
        return
    with working(f"{Path(a).name} against {Path(b).name}"):
        found = bisect_files(a, b, samples, given["timesteps"], *how, options, shrinking=shrink or output is not None)
    written = str(write_input(found.reduced, output)) if output is not None and found.reduced is not None else None
    if as_json:
        click.echo(json.dumps(bisection_to_json(found.bisection, written), allow_nan=False))
    else:
        click.echo(bisection_to_text(found.bisection, written), nl=False)
    finish(found.bisection.equal)


def _writable(output: str, a: str, b: str | None, data: str | None) -> None:
    """Refuse before the work what could not be written after it, or would be written over what was read."""
    if b is None:
        raise OptionError("-o", "goes with two networks", "give B too")
    if Path(output).suffix != ".npz":
        raise OptionError("-o", f"{output!r} is no .npz", "e.g. -o reduced.npz")
    keep(output, network=a, other=b, data=data)


@click.command(short_help="What a code, a cause, an error or a grade means, and what to do.")
@click.argument("code", required=False)
@as_json
@refusing
def explain(code: str | None, *, as_json: bool) -> None:
    """What CODE means (L005, tie, DoesNotFit, exact, ...), why it matters, what to do, and its source. Without CODE: all of them."""
    if code is None:
        rows = list(CODES.values())
        text = "\n".join(f"{known.code:<16}{known.kind:<13}{known.meaning}" for known in rows)
        listed = {"schema": "snndeploy.explain/1", "codes": [explanation_to_json(known) for known in rows]}
        click.echo(json.dumps(listed) if as_json else text)
        return
    folded = {name.casefold(): name for name in CODES}
    if code.casefold() not in folded:
        raise OptionError("explain", f"{code!r} is no code of ours", did_you_mean(code, CODES))
    known = CODES[folded[code.casefold()]]
    click.echo(json.dumps(explanation_to_json(known)) if as_json else explanation_to_text(known), nl=as_json)
