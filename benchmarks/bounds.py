"""How small a fault the rounding bounds still show, and that they never call rounding one.

python benchmarks/bounds.py [--seeds 200] [--from 0] [--to bounds.jsonl]

A seed is a network of one to three layers (LIF, parametric LIF, current-based LIF, laterally connected LIF; three resets),
run in float16, float32 or float64 for up to 400 steps by plain NumPy, in two spellings of every line. The graph must
explain both runs: no spike is called different. Then one thing is changed (a threshold, a decay or a weight by 1 %, the
reset, the comparison), and the changed graph is led along the first run. It is truly different where it decides a spike
otherwise and its potential lies further from the threshold than four times the largest distance that rounding made
anywhere in that layer's run, measured; there the bound must say so. What it does not say is a miss. One line a seed is
written; a file that exists is gone on with.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import records
from numpy.typing import NDArray

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.held import hold
from snndeploy.ir.layers import Input, Linear
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.lif import LIF

Array = NDArray[Any]
BATCH = 3
KINDS = ("lif", "lif", "plif", "cuba", "lateral", "if")
TYPES = ("float32", "float32", "float16", "float16", "float64")
STEPS = (20, 100, 400)
SAFE = 4.0
"""A potential so many times further from the threshold than rounding was seen to reach is no matter of rounding."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A layer as its code has it: weights [out, in], numbers, and how it is written."""

    kind: str
    weight: Array
    lateral: Array | None
    decay: float
    current: float
    threshold: float
    reset: str
    strict: bool

    @property
    def whole(self) -> bool:
        """Whether the input comes in as it is, not divided by the time constant."""
        return self.kind != "plif"

    def node(self) -> Node:
        """The neuron of the graph."""
        theta = frozen(self.threshold)
        how: dict[str, Any] = {"threshold": theta, "reset": self.reset, "amount": theta, "strict": self.strict}
        if self.kind == "cuba":
            return CubaLIF(frozen(self.current), frozen(self.decay), **how)
        if self.kind == "plif":
            rate = 1.0 - self.decay
            return LIF(frozen(1.0 - rate), frozen(rate), order="rate", leak=frozen(rate), **how)
        return LIF(frozen(self.decay), **how)


@dataclass(frozen=True, eq=False)
class Made:
    """One seed: its layers, data [T, B, n], and the type it runs in."""

    layers: tuple[Layer, ...]
    x: Array
    kind: str


def made(seed: int) -> Made:
    """One network and its data."""
    rng = np.random.default_rng(seed)
    kind, steps = str(rng.choice(TYPES)), int(rng.choice(STEPS))
    short = bool(rng.random() < 0.2)
    sizes = [int(n) for n in rng.integers(6, 14, 1 + int(rng.integers(1, 4)))]
    sizes[0] = int(rng.choice([sizes[0], sizes[0], sizes[0], 300]))
    layers = tuple(_layer(rng, a, b, kind, short) for a, b in itertools.pairwise(sizes))
    x = (rng.random((steps, BATCH, sizes[0])) < 0.3).astype(float)
    x = x if short or rng.random() < 0.5 else rng.random(x.shape) * 0.6
    return Made(layers, x.astype(kind).astype(float), kind)


def _layer(rng: np.random.Generator, before: int, after: int, dtype: str, short: bool) -> Layer:
    """Numbers as the type holds them; ``short``: eighths, so that an IF never rounds."""
    kind = "if" if short else str(rng.choice(KINDS))
    weight = rng.integers(-4, 9, (after, before)) / 8 if short else rng.normal(*_usual(before), (after, before))
    lateral = rng.normal(0, 0.2, (after, after)) if kind == "lateral" else None
    decay = 1.0 if kind == "if" else float(rng.choice([0.5, 0.7, 0.9, 0.95, 0.99]))
    reset = str(rng.choice(["hard", "subtract", "subtract"] + (["none"] if decay < 1 else [])))
    weight, lateral = (None if w is None else w.astype(dtype).astype(float) for w in (weight, lateral))
    theta = float(np.asarray(1.0 if short else rng.uniform(0.5, 2.0), dtype).astype(float))
    return Layer(kind, weight, lateral, decay, float(rng.choice([0.5, 0.8, 0.9])), theta, reset, bool(rng.integers(2)))


def _usual(before: int) -> tuple[float, float]:
    """Mean and spread of weights, so that neurons with many inputs fire as often as those with few."""
    return 0.12 * min(1.0, 10 / before), 0.5 * min(1.0, 3 / before**0.5)


def graph_of(layers: tuple[Layer, ...]) -> Graph:
    """The network as a graph: n0, n1, ... are the neurons."""
    nodes: dict[str, Node] = {"x": Input((layers[0].weight.shape[1],))}
    edges, last = [], "x"
    for k, layer in enumerate(layers):
        nodes |= {f"w{k}": Linear(layer.weight), f"n{k}": layer.node()}
        edges += [Edge(last, f"w{k}"), Edge(f"w{k}", f"n{k}")]
        if layer.lateral is not None:
            nodes[f"l{k}"] = Linear(layer.lateral)
            edges += [Edge(f"n{k}", f"l{k}", delay=1), Edge(f"l{k}", f"n{k}")]
        last = f"n{k}"
    return Graph(nodes, tuple(edges))


def run(layers: tuple[Layer, ...], x: Array, dtype: str, other: bool, told: list[Array] | None = None) -> tuple[list[Array], list[Array]]:
    """(spikes, potentials before the reset), [T, B, n] a layer, in one of two spellings; led by ``told`` where given."""
    f = np.dtype(dtype).type
    spikes, potentials, now = [], [], x
    for k, layer in enumerate(layers):
        sent, before = _run_layer(layer, now.astype(f), f, other, None if told is None else told[k])
        spikes.append(sent.astype(float))
        potentials.append(before.astype(float))
        now = spikes[-1] if told is None else told[k]
    return spikes, potentials


def _run_layer(layer: Layer, x: Array, f: Any, other: bool, told: Array | None) -> tuple[Array, Array]:
    shape = (x.shape[1], len(layer.weight))
    v, i, last = (np.zeros(shape, f) for _ in range(3))
    sent, before = [], []
    weighed = _weighed(x.reshape(-1, x.shape[2]), layer.weight, f, other).reshape(*x.shape[:2], -1)
    for t, drive in enumerate(weighed):
        if layer.lateral is not None:
            drive = drive + _weighed(last, layer.lateral, f, other)
        if layer.kind == "cuba":
            i = (i - i * f(1 - layer.current) if other else i * f(layer.current)) + drive
            drive = i
        h = _charged(layer, v, drive, f, other)
        fired = (h > f(layer.threshold) if layer.strict else h >= f(layer.threshold)).astype(f)
        before.append(h)
        sent.append(fired)
        last = fired if told is None else told[t].astype(f)
        v = {"hard": h * (f(1) - last), "subtract": h - f(layer.threshold) * last, "none": h}[layer.reset]
    return np.stack(sent), np.stack(before)


def _charged(layer: Layer, v: Array, x: Array, f: Any, other: bool) -> Array:
    rate = f(1 - layer.decay)
    if not layer.whole:
        return v * f(layer.decay) + x * rate if other else v + (x - v) * rate
    return v - v * rate + x if other else v * f(layer.decay) + x


def _weighed(x: Array, weight: Array, f: Any, other: bool) -> Array:
    if not other:
        return np.asarray(x @ weight.astype(f).T)
    total = np.zeros((len(x), len(weight)), f)
    for j in reversed(range(weight.shape[1])):
        total = total + x[:, j : j + 1] * weight.astype(f)[None, :, j]
    return total


def changed(layers: tuple[Layer, ...]) -> Iterator[tuple[str, int, tuple[Layer, ...]]]:
    """(what, in which layer, the layers) with one thing changed."""
    for k, layer in enumerate(layers):
        weight = layer.weight.copy()
        at = np.unravel_index(int(np.abs(weight).argmax()), weight.shape)
        weight[at] *= 1.01
        faults: dict[str, dict[str, Any]] = {
            "threshold + 1 %": {"threshold": layer.threshold * 1.01},
            "threshold - 1 %": {"threshold": layer.threshold * 0.99},
            "decay - 1 %": {"decay": layer.decay * 0.99},
            "weight + 1 %": {"weight": weight},
            "reset": {"reset": "hard" if layer.reset != "hard" else "subtract"},
            "comparison": {"strict": not layer.strict},
        }
        for what, change in faults.items():
            yield what, k, (*layers[:k], dataclasses.replace(layer, **change), *layers[k + 1 :])


def truly(layer: Layer, h: Array, told: Array, reach: Array) -> bool:
    """Whether a potential, led along, decides otherwise further from the threshold than rounding was seen to reach."""
    fires = h > layer.threshold if layer.strict else h >= layer.threshold
    off = np.abs(h - layer.threshold)
    return bool(((fires != (told > 0)) & ((off > SAFE * reach) | (reach == 0))).any())


def reaches(m: Made, told: list[Array]) -> list[Array]:
    """By layer, how far rounding was seen to move a neuron's potential, at most: [n], 0 where it never did."""
    whole = run(m.layers, m.x, "float64", False, told)[1]
    seen = [run(m.layers, m.x, m.kind, other, told)[1] for other in (False, True)]
    wide = run(m.layers, m.x, "float64", True, told)[1]
    return [np.max([np.abs(h - whole[k]).max(axis=(0, 1)) for h in (*(s[k] for s in seen), wide[k])], axis=0) for k in range(len(m.layers))]


def led(layers: tuple[Layer, ...], x: Array, told: list[Array], kind: str) -> tuple[int, int]:
    """(spikes called different, ties) of a graph that is led along a run."""
    names = {f"n{k}": series for k, series in enumerate(told)}
    held = hold(graph_of(layers), {"x": x}, len(x), names, [], kind)
    return sum(int(w.sum()) for w in held.wrong.values()), sum(int(w.sum()) for w in held.ties.values())


def judged(seed: int) -> dict[str, Any]:
    """One line: what was made, what rounding alone was called, and of the true faults the missed ones."""
    m = made(seed)
    told, other = (run(m.layers, m.x, m.kind, spelling)[0] for spelling in (False, True))
    same = [led(m.layers, m.x, series, m.kind) for series in (told, other)]
    reach = reaches(m, told)
    line: dict[str, Any] = {"seed": seed, "type": m.kind, "steps": len(m.x), "kinds": [layer.kind for layer in m.layers]}
    line |= {"false": sum(wrong for wrong, _ in same), "ties": sum(ties for _, ties in same)}
    line |= {"rate": float(np.mean([s.mean() for s in told])), "faults": [], "missed": []}
    for what, k, layers in changed(m.layers):
        h = run(layers, m.x, "float64", False, told)[1][k]
        if truly(layers[k], h, told[k], reach[k]):
            # every layer is led, so the changed one can be looked at alone
            wrong, ties = led(layers[k : k + 1], m.x if k == 0 else told[k - 1], told[k : k + 1], m.kind)
            named = [what, m.layers[k].kind, m.layers[k].reset]
            line["faults"].append(named)
            line["missed"] += [[*named, ties]] if not wrong else []
    return line


def main() -> None:
    """Run the seeds that the file does not have, and print what came of all."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seeds", type=int, default=200)
    asked.add_argument("--from", type=int, default=0, dest="start")
    asked.add_argument("--to", type=Path, default=Path("bounds.jsonl"))
    given = asked.parse_args()
    for _ in records.lines(given.to, range(given.start, given.start + given.seeds), judged):
        pass
    lines = list(records.read(given.to).values())
    for kind in sorted({line["type"] for line in lines}):
        for steps in STEPS:
            some = [line for line in lines if (line["type"], line["steps"]) == (kind, steps)]
            faults, missed = (sum(len(line[side]) for line in some) for side in ("faults", "missed"))
            print(f"{kind} T={steps}: {len(some)} networks, {faults} true faults, {missed} missed, ties {sum(x['ties'] for x in some)}")
    print("missed:", Counter((line["type"], line["steps"], *m[:3]) for line in lines for m in line["missed"]).most_common(30))
    wrong = [line["seed"] for line in lines if line["false"]]
    print("rounding called a difference:", wrong)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
