"""A hand-written module read by the product, held against what its own code gives on data it was not read with."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import numpy as np
from hand_written import STEPS, Style, built, example, inputs, own_run

import converters
import snndeploy as sd
from snndeploy.data import decode
from snndeploy.errors import SnnError
from snndeploy.flow.original import hold_against_original
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output
from snndeploy.sim.reference import run_reference

NEAR = {True: 1e-12, False: 1e-4}
"""How near a potential of about 1 comes to its threshold where rounding may decide: in float64 and in float32."""


@dataclass(frozen=True)
class Outcome:
    """What came of one module.

    ``kind``: "equal", "ties" (samples differ, and a potential of each lay at its threshold), "refused", "crash", "wrong" (the
    graph is another network, and the verdict says so), "false exact", "false different". ``why`` is the refusal or the count.
    """

    kind: str
    why: str = ""


def judged(s: Style) -> Outcome:
    """Read the module of a style, run graph and module on fresh data, and compare with what the verdict says."""
    net, _ = built(s)
    steps = STEPS if s.time == "outside" else None
    try:
        loaded = sd.load(net, example(s), sd.Options(timesteps=steps))
    except SnnError as refusal:
        return Outcome("refused", f"{refusal.where}: {refusal.what}")
    except Exception as crash:  # noqa: BLE001 - a crash is an outcome
        return Outcome("crash", f"{type(crash).__name__}: {crash}")
    pair = hold_against_original(loaded)
    equal = pair is None or pair.equal
    wrong, tied = held_against_own_code(s, loaded)
    if wrong:
        return Outcome("false exact" if equal else "wrong", f"{wrong} samples")
    if not equal:
        return Outcome("false different", str(pair))
    return Outcome("ties", f"{tied} samples") if tied else Outcome("equal")


def held_against_own_code(s: Style, loaded: converters.Loaded) -> tuple[int, int]:
    """In how many samples the graph differs from the module's code in float64 and in its own type, without a tie and with one."""
    wrong = tied = 0
    for seed in (s.seed, s.seed + 50_000):
        got = graph_run(s, loaded.graph, seed)
        for wide in (True, False):
            wanted, near = own_run(s, seed, wide)
            rounding = 1e-9 if wide else 1e-4
            apart = np.abs(got.reshape(wanted.shape) - wanted) > rounding * np.maximum(1.0, np.abs(wanted))
            samples = apart.any(tuple(a for a in range(apart.ndim) if a != apart.ndim - 2))
            tie = near < NEAR[wide]
            wrong, tied = wrong + int((samples & ~tie).sum()), tied + int((samples & tie).sum())
    return wrong, tied


def graph_run(s: Style, graph: Graph, seed: int) -> np.ndarray:
    """What the only Output of the graph gives: [T, B, n], or [B, n] where it decodes."""
    (name,), ((output, node),) = graph.named(Input), graph.named(Output).items()
    given = inputs(s, seed)
    graph = replace(graph, nodes={**graph.nodes, name: replace(graph.nodes[name], static=len(given) == 1)})
    series = run_reference(graph, {name: given}, STEPS).outputs[output]
    return series if node.decode == "none" else decode(series, node.decode, node.vote)


def reason(why: str) -> str:
    """A refusal without names and numbers, to be counted by."""
    return re.sub(r"'[^']*'|[\d.]+", "_", why.partition("\n")[0])[:110]
