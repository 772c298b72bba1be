"""A longer run of a model that is called step by step, on data that change: held against the graph that a short run gave.

The recording is of three steps. What a model does otherwise later, by a counter of its own, at its tenth spike or in
every eighth step, is not in it; a plain run, without a recording, is quick enough for as many steps as the user asks for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from converters.pt.calling import Calling
from converters.pt.carrying import stepped
from converters.pt.holding import generators
from converters.pt.readout import leaves
from converters.pt.recording import numbers
from converters.pt.tape import Ref
from converters.pt.trees import mapped
from snndeploy.arrays import Floats
from snndeploy.errors import SnnError, Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.stepping import stepper

USUAL, MOST = 16, 64
"""Steps where the user does not say how many; and the most."""
WORK = 50_000_000
"""So many values of nodes are computed at most, beyond the usual steps."""
LOUD = (1.0, 8.0, 64.0)
"""Factors on the example's largest number: the first that makes the outputs change is enough."""
CLOSE = 1e-6


def parting(
    graph: Graph, outputs: Mapping[str, Floats], module: nn.Module, calling: Calling, steps: int | None, most: int | None
) -> Calling | None:
    """The loop on data on which the graph gives something else than the module; None where it never does.

    ``outputs`` are the graph's Outputs as a short run gave them. Nothing is said of steps that the module does not reach,
    unless the user asks for them: then the data on which it fails are given.
    """
    count = _count(graph, calling, steps, most)
    stood = generators(module)
    for factor in LOUD:
        tried = changing(calling, count, factor)
        try:
            gave, failed = _gave(module, tried, count, list(outputs))
        except SnnError:
            return None
        for name, now in generators(module).items():
            if now != stood.get(name):
                raise Unsupported(name, "is a generator, which every run uses up: what it gives is not repeated", "make it a list")
        if (failed and steps is not None) or not _alike(graph, tried, gave):
            return tried
        if all(np.ptp(series) > 0 for series in gave.values()):
            return None
    return None


def _count(graph: Graph, calling: Calling, steps: int | None, most: int | None) -> int:
    batch = max((len(x) for x in calling.inputs.values() if x.ndim), default=1)
    size = batch * sum(int(np.prod(shape)) for shape in graph.shapes.values())
    quick = max(USUAL, WORK // max(size, 1))
    return min(steps or USUAL, MOST, quick, most or MOST)


def changing(calling: Calling, steps: int, factor: float) -> Calling:
    """The loop on other data at every step: of the example's size times ``factor``, at some steps and samples more or less."""
    generator = torch.Generator().manual_seed(11)
    series = tuple({n: _random(x, generator, factor) for n, x in calling.inputs.items()} for _ in range(steps))
    return replace(calling, series=series)


def _random(x: Tensor, generator: torch.Generator, factor: float) -> Tensor:
    if not x.is_floating_point():
        low, high = (int(x.min()), int(x.max())) if x.numel() else (0, 0)
        return torch.randint(low, high + 1, x.shape, generator=generator).to(x)
    lead = (len(x), *(1,) * (x.ndim - 1))
    loud = 2.0 ** torch.randint(-1, 3, lead, generator=generator)
    signed = bool((x < 0).any())
    drawn = torch.rand(x.shape, generator=generator, dtype=torch.float64) * (2.0 if signed else 1.0) - (1.0 if signed else 0.0)
    return (drawn * loud * (factor * (x.abs().max() if x.any() else 1.0))).to(x)


def _gave(module: nn.Module, calling: Calling, steps: int, names: list[str]) -> tuple[dict[str, Floats], bool]:
    """What came out by name, [T, B, *shape], and whether a step failed. Raises ``SnnError`` for a result of another form."""
    found: dict[str, list[Floats]] = {name: [] for name in names}
    failed = False
    try:
        for result in stepped(module, calling, steps):
            now = dict(_named(calling.outputs(result)))
            for name, series in found.items():
                series.append(now[name])
    except SnnError:
        raise
    except Exception:  # noqa: BLE001 - the user's own code, at a step that it may not be for
        failed = True
    whole = min(map(len, found.values()), default=0)
    return {name: np.stack(series[:whole]) for name, series in found.items() if whole}, failed


def _named(result: Any) -> Iterator[tuple[str, Floats]]:
    tensors: list[Tensor] = []

    def numbered(_: Any, end: Any) -> Any:
        if not isinstance(end, Tensor):
            return end
        tensors.append(end)
        return Ref(len(tensors) - 1)

    for name, ref in leaves(_tuples(mapped(result, numbered)), 1):
        yield name, numbers(tensors[ref.value])


def _tuples(tree: Any) -> Any:
    """Lists as the tuples that a recording has in their place."""
    if isinstance(tree, tuple | list):
        return tuple(map(_tuples, tree))
    return {name: _tuples(item) for name, item in tree.items()} if isinstance(tree, Mapping) else tree


def _alike(graph: Graph, calling: Calling, gave: Mapping[str, Floats]) -> bool:
    """Whether the graph gives the same, but for rounding."""
    if not gave:
        return True
    names = {n: n if len(calling.inputs) > 1 else "input" for n in calling.inputs}
    feed = ({names[n]: numbers(x) for n, x in now.items()} for now in calling.series[: len(next(iter(gave.values())))])
    batch = next(iter(gave.values())).shape[1]
    for t, step in enumerate(stepper(graph, feed, batch)):
        for name, series in gave.items():
            off = np.abs(step.outputs[name] - series[t])
            if not (off <= CLOSE * np.maximum(1.0, np.abs(series[t]))).all():
                return False
    return True


def starts(module: nn.Module, calling: Calling, held: list[str]) -> Iterator[str]:
    """What is said of tensors in attributes that a step changes: the network starts from what they hold."""
    if not held:
        return
    before = {name: _held(module, name) for name in held}
    stood = {name: value._version for name, value in before.items()}
    with suppress(Exception), closing(stepped(module, calling, 1)) as run:
        next(run)
        changed = [n for n, v in before.items() if _held(module, n) is not v or v._version != stood[n]]
        if changed:
            verb = "holds" if len(changed) == 1 else "hold"
            yield f"ASSUMED: {', '.join(changed)} {verb} a state of an earlier run, which is the start (reset the model before it is read)"


def _held(module: nn.Module, name: str) -> Any:
    path, _, attribute = name.rpartition(".")
    return vars(module.get_submodule(path)).get(attribute)
