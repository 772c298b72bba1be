"""A counterexample run for real: one neuron's network cut out of the chip network, in the chip simulator, beside its definition."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Floats, Ints, frozen_ints
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Population, Projection, Sparse, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.decoupling import CONSTANT, UNIT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.trace import Trace
from snndeploy.verdict import Counterexample
from snndeploy.verify.proofs.cells import READS, Layer
from snndeploy.verify.proofs.induction import Run
from snndeploy.verify.proofs.stepping import Cell, definition

Execute: TypeAlias = Callable[[ChipNetwork, Mapping[str, Any], int], Trace]
"""The chip simulator: network, inputs [T, B, *shape], chip steps."""
TRIES, LENGTH = 2048, 24
"""Random runs, and their steps, that are tried where z3 found none."""


def replayed(layer: Layer, cell: Cell, run: Run, execute: Execute) -> Counterexample:
    """Both sides run on these inputs: the rungs that each answers in the last step."""
    xs, hosts = np.asarray(run.inputs)[:, None], np.asarray(run.host)[:, None]
    wanted, got = answers(layer, cell, xs, hosts, execute)
    last = tuple(int(k) for k in wanted[-1, 0]), tuple(int(k) for k in got[-1, 0])
    return Counterexample(cell.index, run.inputs, run.host if cell.host else (), *last, replayed=last[0] != last[1])


def random_run(layer: Layer, cell: Cell, execute: Execute, seed: int = 0) -> Run | None:
    """A run on which the simulator shows a difference, among random ones that stay near the thresholds; None: none was met."""
    xs, hosts = near_thresholds(cell, np.random.default_rng(seed))
    wanted, got = answers(layer, cell, xs, hosts, execute)
    steps = (wanted != got).any(axis=2)
    if not steps.any():
        return None
    first = np.where(steps.any(axis=0), steps.argmax(axis=0), LENGTH)
    sample = int(first.argmin())
    end = int(first[sample]) + 1
    return Run(tuple(int(x) for x in xs[:end, sample]), tuple(int(h) for h in hosts[:end, sample]))


def answers(layer: Layer, cell: Cell, xs: Ints, hosts: Ints, execute: Execute) -> tuple[Ints, Ints]:
    """([T, B, K] of the burst neuron, [T, B, K] of the cell in the simulator): 1 where rung j is reached."""
    steps = len(xs)
    ks = np.stack([k for k, _ in _stepped(definition(cell), xs + hosts / UNIT)])
    rungs = np.arange(1, cell.rungs + 1)
    inputs = {"x": xs[:, :, None], "host": (hosts // cell.host_unit)[:, :, None], CONSTANT: np.ones((1, xs.shape[1], 1), np.int64)}
    network = cut(layer, cell, steps)
    trace = execute(network, {n: values for n, values in inputs.items() if n in network.populations}, network.chip_steps(steps))
    spikes = {tag: np.asarray(trace.outputs[tag], np.int64)[network.window(tag, steps)][:, :, 0] for tag in layer.members}
    spikes |= {f"{tag}.first": values for tag, values in spikes.items()}
    told = np.stack([READS[cell.construction](spikes, int(j)) for j in rungs], axis=2)
    return (ks[:, :, None] >= rungs).astype(np.int64), told


def near_thresholds(cell: Cell, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """[T, B] inputs that bring the burst neuron's potential next to one of its thresholds, or anywhere in the range."""
    node = definition(cell)
    state: Any = {"u": np.zeros((TRIES, 1)), "v": np.zeros((TRIES, 1))}
    hosts = cell.host_unit * rng.integers(-cell.host, cell.host + 1, (LENGTH, TRIES))
    xs = []
    for t in range(LENGTH):
        held = np.trunc(state["v"][:, 0] * cell.keep / 4096) + hosts[t]
        aimed = (np.asarray(cell.thresholds)[rng.integers(0, cell.rungs, TRIES)] - held) // UNIT + rng.integers(-1, 3, TRIES)
        anywhere = rng.integers(cell.low, cell.high + 1, TRIES)
        x = np.clip(np.where(rng.random(TRIES) < 0.5, aimed, anywhere), cell.low, cell.high).astype(np.int64)
        xs.append(x)
        _, state = node.step(((x + hosts[t] / UNIT)[:, None],), state, NUMPY)
    return np.stack(xs), hosts


def _stepped(node: IntegerNeuron, sums: Floats) -> list[tuple[Floats, Any]]:
    state: Any = {"u": np.zeros((sums.shape[1], 1)), "v": np.zeros((sums.shape[1], 1))}
    made = []
    for now in sums:
        y, state = node.step((now[:, None],), state, NUMPY)
        made.append((y[:, 0], state))
    return made


def cut(layer: Layer, cell: Cell, steps: int) -> ChipNetwork:
    """The network of one neuron of the layer, fed by ``x`` (weight units), ``host`` (bias mantissas) and the constant."""
    start = min(p.shift for p in layer.members.values()) - 1
    populations = {"x": Population("x", (1,), HostInput(24, signed=True)), CONSTANT: Population(CONSTANT, (1,), HostInput(static=True))}
    if cell.host:
        populations["host"] = Population("host", (1,), HostInput(24, signed=True))
    projections = []
    for tag, member in layer.members.items():
        shift = member.shift - start
        populations[tag] = Population(tag, (1,), _one(member, cell.index), shift=shift)
        projections.append(_synapse(CONSTANT, tag, cell.members[tag].constant, shift - 1))
        if tag in layer.banks:
            projections.append(Projection(f"x->{tag}", "x", tag, Wire(), delay=shift))
            projections += [Projection(f"host->{tag}", "host", tag, Wire(as_bias=True), delay=shift)] if cell.host else []
    projections += [_synapse(a, b, int(weights[cell.index]), lag - 1) for (a, b, lag), weights in layer.links.items()]
    return ChipNetwork("", populations, tuple(projections), steps=steps, phases=2 if layer.construction == "two-phase" else 1)


def _synapse(source: str, target: str, weight: int, delay: int) -> Projection:
    zero = frozen_ints([0])
    return Projection(f"{source}->{target}@{delay}", source, target, Sparse(zero, zero, frozen_ints([weight])), delay=delay)


def _one(population: Population, index: int) -> Lif | NeuronProgram:
    """The model of one neuron of the population."""
    model = population.model

    def single(values: Ints) -> Ints:
        return frozen_ints(np.broadcast_to(values, population.shape).reshape(-1)[index : index + 1])

    if isinstance(model, NeuronProgram):
        return dataclasses.replace(model, constants={name: single(values) for name, values in model.constants.items()})
    assert isinstance(model, Lif)
    registers: dict[str, Any] = {n: single(getattr(model, n)) for n in ("du", "dv", "vth", "bias_mant", "bias_exp", "u", "v")}
    return dataclasses.replace(model, **registers)
