"""``bisect`` on files, and on the stages of a conversion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Encoding, Samples
from snndeploy.errors import ModelError, NoEffect, OptionError
from snndeploy.files import replacing
from snndeploy.flow.divergence.bisecting import Found, bisect
from snndeploy.flow.divergence.sides import Side, folded
from snndeploy.flow.feeding import Feed, describe_inputs, feed
from snndeploy.flow.lowering import to_normal_form
from snndeploy.flow.saved import fed, open_file
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.verdict import Verdict


def bisect_files(
    a: str | Path,
    b: str | Path,
    samples: Samples,
    steps: int | None = None,
    encoding: Encoding = "direct",
    seed: int = 0,
    options: converters.Options | None = None,
    *,
    shrinking: bool = True,
) -> Found:
    """Where the networks of two files part: graphs, chip networks, or one of each.

    Raises:
        ModelError: the two have no layer in common.  OptionError: chip networks of different T, or in two phases, or an
            option that is about neither file.
    """
    one, two = _both((a, b), options or converters.Options(), steps)
    first, data = _side(Path(a), one, samples, steps or _steps(two), encoding, seed)
    second, _ = _side(Path(b), two, samples, data.steps, encoding, seed)
    if first.name == second.name:
        first, second = replace(first, name=str(a)), replace(second, name=str(b))
    if not set.intersection(*(set(side.layers) for side in folded(first, second))):
        raise ModelError(f"{a}, {b}", "have no layer of the same name", _instead(first, second))
    return bisect(first, second, data, shrinking=shrinking)


def _both(paths: tuple[str | Path, str | Path], options: converters.Options, steps: int | None) -> list[Graph | ChipNetwork]:
    """What two files hold, each read with the options that say something of it. Raises ``NoEffect`` for one that is about neither."""
    read = [_heard(path, options, steps) for path in paths]
    for option, refusal in read[0][1].items():
        if option in read[1][1]:
            raise refusal
    return [noun for noun, _ in read]


def _heard(path: str | Path, options: converters.Options, steps: int | None) -> tuple[Graph | ChipNetwork, dict[str, NoEffect]]:
    """What a file holds, and the refusals of the options that say nothing of it."""
    silent: dict[str, NoEffect] = {}
    while True:
        try:
            return open_file(path, options, steps), silent
        except NoEffect as refusal:  # noqa: PERF203  (once an option)
            silent[refusal.where] = refusal
            options = options.without(refusal.where)


def _instead(first: Side, second: Side) -> str:
    """What to compare where no layer has its counterpart: a burst layer may be built of several neurons."""
    both = (*first.layers, *second.layers)
    for layer in both:
        if any(other.startswith(f"{layer}.") for other in both):
            return f"{layer} was built of several neurons: compare that network with its float graph, or with one of the same construction"
    return "compare two stages of one conversion, or two versions of one network"


def _steps(noun: Graph | ChipNetwork) -> int | None:
    return noun.steps or None


def _side(path: Path, noun: Graph | ChipNetwork, samples: Samples, steps: int | None, encoding: Encoding, seed: int) -> tuple[Side, Feed]:
    if isinstance(noun, ChipNetwork):
        if noun.phases > 1:
            what = f"takes {noun.phases} chip steps for one of the model's, and bisect compares step with step"
            raise OptionError(str(path), what, "`snndeploy verify` holds it; bisect a conversion with another --burst")
        if noun.steps and steps not in (None, noun.steps):
            what = f"the chip network runs {noun.steps} steps, the other {steps}"
            raise OptionError(str(path), what, "compare networks of the same T")
        network, data = fed(replace(noun, steps=noun.steps or steps or 0), samples, encoding, seed)
        return Side(path.name, network), data
    shapes = {n: node.shape for n, node in noun.named(Input).items()}
    data = feed(samples, shapes, steps or noun.steps, encoding, seed)
    return Side(path.name, describe_inputs(noun, data)[0]), data


def stages(
    path: str | Path,
    samples: Samples,
    steps: int | None = None,
    encoding: Encoding = "direct",
    seed: int = 0,
    options: converters.Options | None = None,
) -> Verdict:
    """Every pass on the way to normal form, run before and after on the data; the first that is unequal changed the spikes.

    Raises:
        ModelError: a chip network, which no pass ever sees.
    """
    noun = open_file(path, options, steps)
    if isinstance(noun, ChipNetwork):
        raise ModelError(str(path), "is a chip network: no pass changes it", "give a second network to hold it against")
    side, data = _side(Path(path), noun, samples, steps, encoding, seed)
    assert isinstance(side.network, Graph)
    passes = to_normal_form(side.network, data)[1]
    still = tuple(f"{p.name}: changed nothing" for p in passes if not p.changed)
    return Verdict(tuple(p.pair for p in passes if p.changed), not_checked=still)


def write_input(data: Feed, path: str | Path) -> Path:
    """The data as an .npz that ``--data`` takes: x, or x_<input name> for several, [N, T, *shape] ([N, *shape] where static)."""
    target = Path(path)
    if target.suffix != ".npz":
        raise OptionError("-o", f"{str(path)!r} is no .npz", "e.g. -o reduced.npz")
    arrays: dict[str, Any] = {}
    for name, values in data.inputs.items():
        key = "x" if len(data.inputs) == 1 else f"x_{name}"
        arrays[key] = values[0] if len(values) == 1 < data.steps else np.moveaxis(values, 0, 1)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, ".npz") as spare:
        np.savez_compressed(spare, **arrays)
    return target
