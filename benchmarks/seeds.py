"""The papers' networks, run by their authors' code and by ours, spike for spike in float64; and what a chip says of them.

SEEDS=folder python benchmarks/seeds.py spikes [NAME ...]     every neuron layer, reduced width
SEEDS=folder python benchmarks/seeds.py check  [NAME ...]     full width: cores, chips, blockers

``seeds_networks`` says where the code is from. A run takes the networks of one repository, because their modules'
names clash.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from seeds_networks import SEEDS, Seed, build, example, run

import snndeploy as sd
from converters import Loaded, Options
from converters.pt import from_module, load
from converters.pt.libraries import is_neuron
from snndeploy.errors import SnnError
from snndeploy.ir.layers import Output
from snndeploy.placement import Finding
from snndeploy.sim.reference import run_reference

SAMPLES, WIDTH = 2, 16


def spikes_of(net: torch.nn.Module, x: torch.Tensor, seed: Seed) -> tuple[dict[str, np.ndarray], Any]:
    """What every neuron of the authors' network gave, [T, B, ...], and what the network gave, in float64."""
    gave: dict[str, list[torch.Tensor]] = defaultdict(list)
    hooks = [
        part.register_forward_hook(lambda _, __, y, path=path: gave[path].append(y.detach().clone()))
        for path, part in net.named_modules()
        if is_neuron(part)
    ]
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.no_grad():
            out = run(net.double(), x.double(), seed.takes == "step")
    finally:
        torch.set_default_dtype(usual)
        for hook in hooks:
            hook.remove()
    layers = {path: (ys[0] if len(ys) == 1 else torch.stack(ys)).double().numpy() for path, ys in gave.items()}
    return layers, out if isinstance(out, torch.Tensor) else torch.stack(out)


def ours(loaded: Loaded, x: torch.Tensor, seed: Seed) -> Any:
    """Our run of the same input."""
    values = x.double().numpy()
    if seed.takes == "BT":
        values = np.moveaxis(values, 1, 0)
    elif seed.takes == "B":
        values = values[None]
    return run_reference(loaded.graph, {"input" if "input" in loaded.graph.nodes else loaded.graph.order[0]: values}, seed.steps)


def from_file(name: str, seed: Seed, net: torch.nn.Module) -> Loaded:
    """The same network from its state_dict and the code that builds it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.pt"
        torch.save(net.state_dict(), path)
        arch = f"{Path(__file__).with_name('seeds_networks.py')}:build(name={name!r}, width={WIDTH})"
        return load(path, Options(arch=arch, input_shape=seed.shape, timesteps=None if seed.takes == "B" else seed.steps))


def compare(name: str) -> str:
    """One network's line of the table."""
    seed, started = SEEDS[name], time.perf_counter()
    net = build(name, WIDTH)
    x = example(seed, SAMPLES, salt=2)
    steps = seed.steps if seed.takes == "step" else None
    try:
        loaded = from_module(net, x[0] if seed.takes == "step" else x, Options(timesteps=steps))
        filed = from_file(name, seed, net)
    except SnnError as error:
        return f"| {name} | {seed.topology} | {seed.steps} | refused: {error.where}: {error.what} | | | | | |"
    theirs, out = spikes_of(net, x, seed)
    trace = ours(loaded, x, seed)
    differ = {path: int((trace.outputs[path] != y.reshape(trace.outputs[path].shape)).sum()) for path, y in theirs.items()}
    rates = [float((y != 0).mean()) for y in theirs.values()]
    print(f"  {name}: {time.perf_counter() - started:.1f} s", file=sys.stderr)
    total = sum(y.size for y in theirs.values())
    fired = sum(int(np.count_nonzero(y)) for y in theirs.values())
    answer = "exact" if str(filed.graph) == str(loaded.graph) else "exact live; ANOTHER GRAPH from its state_dict"
    answer += "" if read_out(loaded, trace, out) else "; ANOTHER READ-OUT"
    layers = f"{len(theirs)} | {total:,} | {fired:,} | {min(rates):.0%}-{max(rates):.0%}"
    return f"| {name} | {seed.topology} | {seed.steps} | {answer} | {layers} | {sum(differ.values())} |"


def read_out(loaded: Loaded, trace: Any, out: torch.Tensor) -> bool:
    """Whether what the network returns is what ours reads out, to 1e-9."""
    ((name, node),) = [(n, node) for n, node in loaded.graph.nodes.items() if isinstance(node, Output)]
    values = trace.outputs[name]
    values = {"mean": values.mean, "sum": values.sum}[node.decode](0) if node.decode in ("mean", "sum") else values
    values = values[-1] if node.decode == "last" else values
    return bool(np.allclose(values, out.double().numpy(), rtol=0, atol=1e-9))


def checked(name: str, chip: str, width: int, steps: int) -> str:
    """What ``check`` says of a network with one random sample."""
    seed, started = SEEDS[name], time.perf_counter()
    net = build(name, width)
    x = example(dataclasses.replace(seed, steps=steps) if seed.takes in ("step", "TB") else seed, 1, salt=2)
    x = x if seed.takes in ("B", "BT") else x.swapaxes(0, 1)
    try:
        placement = sd.check(
            net,
            x.numpy(),
            sd.Wishes(chip=chip, calibration_samples=1, check_samples=1),
            Options(timesteps=steps if seed.takes in ("step", "TB") else None),
        )
    except SnnError as error:
        return f"| {name} | {chip} | - | - | refused: {error.where}: {error.what} |"
    blockers = "; ".join(said(f) for f in placement.findings if f.severity == "blocker")
    print(f"  {name}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
    return f"| {name} | {chip} | {len(placement.cores)} | {placement.chips} | {blockers or 'none'} |"


def said(finding: Finding) -> str:
    """A blocker, without the rule's name twice; of too many chips also the board that has them."""
    why = finding.why.removeprefix(f"{finding.code}: ")
    return f"{finding.code} {finding.where}: {why}" + (f": {finding.fix}" if finding.code == "L015" else "")


def main() -> None:
    """Print one line a network."""
    what, *names = sys.argv[1:]
    for name in names or SEEDS:
        if what == "spikes":
            print(compare(name), flush=True)
        for chip in ("loihi1", "loihi2") if what == "check" else ():
            print(checked(name, chip, 1, 2), flush=True)


if __name__ == "__main__":
    main()
