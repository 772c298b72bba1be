"""Networks made to tie with their thresholds, and the same with one number changed: what the verdict says of each.

python benchmarks/ties.py [--seeds 300] [--from 0] [--to FILE.jsonl]

A seed is a network of two layers: neurons in one of several spellings, weights on a decimal, ternary or dyadic grid or
none, thresholds and time constants on a decimal grid, a float type, a cast inside, a read-out. It must be read (or
refused for a reason that is no tie), and equal to its own run but for ties. Then one number of the graph is changed
(threshold or decay by 1 %, another reset, another comparison, a weight), and if that changes what a plain float64 run
gives, the verdict must be different. One line a seed is written; a file that exists is gone on with.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import records
import torch
from torch import Tensor, nn

import snndeploy as sd
from converters import Loaded
from snndeploy.errors import SnnError
from snndeploy.flow.original import hold_against_original, hold_against_own_type
from snndeploy.ir.graph import Graph, Node
from snndeploy.ir.held import hold
from snndeploy.sim.reference import run_reference

T, BATCH = 8, 6
SPELLINGS = ("divide", "multiply", "split", "beta", "late", "if", "snntorch", "spikingjelly")
GRIDS = ("decimal", "ternary", "dyadic", "none")
DTYPES = ("float32", "float32", "float64", "float16", "bfloat16")
CASTS = ("none", "none", "spikes.float()", "state.float()", "spikes.to(x)", "state.half()")
READOUTS = ("spikes", "linear", "mean")


class Written(nn.Module):
    """A leaky neuron as people write it."""

    def __init__(self, spelling: str, tau: float, threshold: float, cast: str, strict: bool, soft: bool) -> None:
        super().__init__()
        self.spelling, self.tau, self.threshold, self.cast = spelling, tau, threshold, cast
        self.strict, self.soft = strict, soft
        self.v: Any = None

    def reset(self) -> None:
        self.v = None

    def charged(self, v: Tensor, x: Tensor) -> Tensor:
        """The potential before it fires."""
        if self.spelling == "divide":
            return v + (x - v) / self.tau
        if self.spelling == "multiply":
            return v + (x - v) * (1 / self.tau)
        if self.spelling == "split":
            return (1 - 1 / self.tau) * v + x / self.tau
        return v + x if self.spelling == "if" else v * (1 - 1 / self.tau) + x

    def forward(self, x: Tensor) -> Tensor:
        v = self.charged(torch.zeros_like(x) if self.v is None else self.v, x)
        fired = v > self.threshold if self.strict else v >= self.threshold
        sent = fired.float() if self.cast == "spikes.float()" else fired.to(x)
        self.v = v - self.threshold * sent if self.soft else v * (1 - sent)
        if self.cast.startswith("state"):
            self.v = self.v.float() if self.cast == "state.float()" else self.v.half()
        return sent


class Net(nn.Module):
    """Two layers, or one and a linear read-out, in a loop over time."""

    def __init__(self, first: nn.Module, second: nn.Module, read: str) -> None:
        super().__init__()
        self.fc1, self.one, self.fc2, self.two, self.read = nn.Linear(10, 14, bias=False), first, nn.Linear(14, 5, bias=False), second, read

    def forward(self, x: Tensor) -> Tensor:
        for neuron in (self.one, self.two):
            getattr(neuron, "reset_mem" if type(neuron).__name__ == "Leaky" else "reset")()
        sent = []
        for t in range(T):
            hidden = self.fc2(_spikes(self.one, self.fc1(x[t])))
            sent.append(hidden if self.read != "spikes" else _spikes(self.two, hidden))
        return torch.stack(sent).mean(0) if self.read == "mean" else torch.stack(sent)


def _spikes(neuron: nn.Module, x: Tensor) -> Tensor:
    return neuron(x)[0] if type(neuron).__name__ == "Leaky" else neuron(x)  # type: ignore[no-any-return]


def network(seed: int) -> tuple[Net, Tensor, dict[str, Any]]:
    """One network, its input [T, B, 10], and what it is."""
    rng = np.random.default_rng(seed)
    how: dict[str, Any] = {name: str(rng.choice(of)) for name, of in _CHOICES.items()}
    how |= {"tau": float(rng.choice([1.25, 2.0, 3.0, 4.0, 5.0])), "threshold": float(rng.choice([0.2, 0.3, 0.5, 0.7, 1.0]))}
    how |= {"strict": bool(rng.integers(2)), "soft": bool(rng.integers(2))}
    if how["spelling"] in ("snntorch", "spikingjelly"):
        how["cast"] = "none"
    torch.manual_seed(seed)
    net = Net(_neuron(how), _neuron(how), how["readout"])
    for layer in (net.fc1, net.fc2):
        layer.weight.data = torch.from_numpy(_weights(rng, how["grid"], tuple(layer.weight.shape))).float()
    dtype = getattr(torch, how["dtype"])
    return net.to(dtype), torch.from_numpy((rng.random((T, BATCH, 10)) < 0.4).astype("float32")).to(dtype), how


_CHOICES = {"spelling": SPELLINGS, "grid": GRIDS, "dtype": DTYPES, "cast": CASTS, "readout": READOUTS}


def _neuron(how: dict[str, Any]) -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if how["spelling"] == "snntorch":
            import snntorch  # noqa: PLC0415 - only some seeds need it

            return snntorch.Leaky(
                beta=1 - 1 / how["tau"], threshold=how["threshold"], reset_mechanism="subtract" if how["soft"] else "zero"
            )
        if how["spelling"] == "spikingjelly":
            from spikingjelly.activation_based import neuron  # noqa: PLC0415

            return neuron.LIFNode(tau=how["tau"], v_threshold=how["threshold"], v_reset=None if how["soft"] else 0.0)
    return Written(how["spelling"], how["tau"], how["threshold"], how["cast"], how["strict"], how["soft"])


def _weights(rng: np.random.Generator, grid: str, shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if grid == "none":
        return rng.normal(0.2, 0.6, shape)
    unit = {"decimal": 0.1, "ternary": 0.5, "dyadic": 0.125}[grid]
    return rng.integers(-1 if grid == "ternary" else -4, 2 if grid == "ternary" else 9, shape) * unit


def verdict(loaded: Loaded) -> tuple[str, int]:
    """(exact, exact but for ties, or different; how many ties)."""
    pairs = [p for p in (hold_against_original(loaded), hold_against_own_type(loaded)) if p is not None]
    ties = sum(p.within_bound for p in pairs)
    if not all(p.equal for p in pairs):
        return "different", ties
    return ("exact but for ties" if ties else "exact"), ties


def planted(graph: Graph, rng: np.random.Generator) -> Iterator[tuple[str, Graph]]:
    """The graph with one number changed, by what was changed."""
    for name, node in graph.nodes.items():
        for words, changed in _faults(node, rng):
            yield f"{name}: {words}", graph.replace({name: changed})


def _faults(node: Node, rng: np.random.Generator) -> Iterator[tuple[str, Node]]:
    if hasattr(node, "threshold"):
        free = {"order": None, "leak": None} if hasattr(node, "order") else {}
        yield "threshold 1 % up", dataclasses.replace(node, threshold=node.threshold * 1.01)
        yield "threshold 1 % down", dataclasses.replace(node, threshold=node.threshold * 0.99)
        if (node.decay < 1).any():  # type: ignore[attr-defined]
            yield "decay 1 % down", dataclasses.replace(node, decay=node.decay * 0.99, **free)  # type: ignore[attr-defined]
        if getattr(node, "reset", "") in ("hard", "subtract"):
            yield "no reset", dataclasses.replace(node, reset="none", **({"late": False} if hasattr(node, "late") else {}))
    elif hasattr(node, "weight"):
        weight = node.weight.copy()
        at = tuple(rng.integers(n) for n in weight.shape)
        weight[at] = weight[at] * 1.05 + 0.05
        yield "one weight", dataclasses.replace(node, weight=weight)


def judged(seed: int) -> dict[str, Any]:
    """One line: what was made, what was said, and of the faults how many were seen."""
    net, x, how = network(seed)
    line: dict[str, Any] = {"seed": seed, **how}
    try:
        with torch.no_grad():
            net(x)
    except RuntimeError as why:  # a network whose layers have two types is none
        return {**line, "said": "does not run", "why": f"torch: {why}"[:200]}
    try:
        loaded = sd.load(net, x)
    except SnnError as why:
        return {**line, "said": "refused", "why": f"{why.where}: {why.what}"[:200]}
    said, ties = verdict(loaded)
    line |= {
        "said": said,
        "ties": ties,
        "named": any(note.startswith("ties:") for note in loaded.assumptions),
        "own": own_differs(net, x, loaded),
    }
    rng, seen, hidden = np.random.default_rng(seed), 0, []
    for words, graph in planted(loaded.graph, rng):
        if not changes(loaded, graph):
            continue
        found, _ = verdict(dataclasses.replace(loaded, graph=graph))
        seen, hidden = seen + (found == "different"), hidden + ([words] if found != "different" else [])
    return {**line, "faults": seen + len(hidden), "hidden": hidden}


def own_differs(net: Net, x: Tensor, loaded: Loaded) -> int:
    """How many values of the module's own run the graph gives otherwise, beyond 1e-2 of them where they are real."""
    with torch.no_grad():
        want = net(x).double().numpy()
    run = loaded.own or loaded.witness
    assert run is not None
    wanted = next(iter(run.outputs.values()))
    return int((~np.isclose(wanted.reshape(want.shape), want, rtol=1e-2, atol=1e-2)).sum()) if wanted.size == want.size else want.size


def sure(loaded: Loaded) -> np.ndarray[Any, Any]:
    """The samples of the trial run in which no spike is near a threshold, in the type the run computed in."""
    run = loaded.witness
    assert run is not None
    held = hold(loaded.graph, run.inputs, run.steps, run.told, [], run.arithmetic)
    samples = next(iter(run.inputs.values())).shape[1]
    near = [np.moveaxis(mask, 1, 0).reshape(samples, -1).any(axis=1) for mask in held.near.values()]
    return ~np.logical_or.reduce(near)


def changes(loaded: Loaded, graph: Graph) -> bool:
    """Whether a spike or an output is another in a plain run of either graph, in a sample without a tie."""
    run = loaded.witness
    assert run is not None
    inputs = {name: values[:, sure(loaded)] for name, values in run.inputs.items()}
    if not next(iter(inputs.values())).size:
        return False
    outputs = [run_reference(g, inputs, run.steps).outputs for g in (loaded.graph, graph)]
    return any(not np.allclose(a, outputs[1][name], rtol=1e-4, atol=1e-4) for name, a in outputs[0].items())


def main() -> None:
    """Run the seeds that the file does not have, and print what came of all."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--seeds", type=int, default=300)
    asked.add_argument("--from", type=int, default=0, dest="start")
    asked.add_argument("--to", type=Path, default=Path("ties.jsonl"))
    given = asked.parse_args()
    for _ in records.lines(given.to, range(given.start, given.start + given.seeds), judged):
        pass
    lines = list(records.read(given.to).values())
    print(Counter(line["said"] for line in lines))
    print("refused:", Counter(line["why"].partition(": ")[2][:60] for line in lines if line["said"] == "refused"))
    print("faults:", sum(line.get("faults", 0) for line in lines), "hidden:", sum(len(line.get("hidden", ())) for line in lines))
    sys.exit(0 if not any(line["said"] == "different" or line.get("hidden") for line in lines) else 1)


if __name__ == "__main__":
    main()
