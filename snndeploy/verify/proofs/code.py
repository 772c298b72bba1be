"""Neuron programs against the neuron they stand for: the code, run over formulas, is ``step``, for every state and input."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import z3

from snndeploy.arrays import Floats, frozen, frozen_ints
from snndeploy.chip.models import STATE_MAX, HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.decoupling import U_LIMIT, UNIT
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.lif import Reset
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.verdict import Counterexample, Proof, Status
from snndeploy.verify.proofs.induction import Answer, check
from snndeploy.verify.proofs.programs import run_program
from snndeploy.verify.proofs.registers import known_program
from snndeploy.verify.proofs.replaying import Execute
from snndeploy.verify.proofs.symbols import Decays, Formulas, Symbol

PROVED: Status = "proved"
UNKNOWN: Status = "unknown"
RUN = 2
"""Steps of a replay: what is wrong with the potential after the first shows in the second."""


def prove_programs(network: ChipNetwork, execute: Execute, limit: float) -> Iterator[Proof]:
    """For each population whose constants are those of a burst neuron without synaptic memory: payload and state are ``step``'s."""
    for name, population in network.populations.items():
        model = population.model
        if isinstance(model, NeuronProgram) and known_program(model):
            yield _program(name, population, model, execute, limit)


def _program(name: str, population: Population, model: NeuronProgram, execute: Execute, limit: float) -> Proof:
    columns = {n: np.broadcast_to(c, population.shape).reshape(-1) for n, c in model.constants.items()}
    rows, first = np.unique(np.stack(list(columns.values()), axis=1), axis=0, return_index=True)
    found = f"{len(rows)} distinct set{'s' if len(rows) > 1 else ''} of constants among {population.size:,} neurons, |I| < 2**23"
    statement = "the program's code is the neuron's step: payload and potential, for every potential and current"
    seconds, status, example = 0.0, PROVED, None
    for row, index in zip(rows, first, strict=True):
        constants = dict(zip(columns, (int(c) for c in row), strict=True))
        answer = _equal(model, constants, limit)
        seconds += answer.seconds
        if answer.status == "proved":
            continue
        status = UNKNOWN
        example = _replayed(model, constants, int(index), _differing(model, constants, limit), execute)
        if example.replayed:
            return Proof("program", name, statement, "failed", seconds, limit, found=found, counterexample=example)
    return Proof("program", name, statement, status, seconds, limit, found=found)


def _differing(model: NeuronProgram, constants: Mapping[str, int], limit: float) -> tuple[int, list[int]]:
    """(a potential, the inputs from there) after which the payloads differ in one of the ``RUN`` steps; zeros where none was found."""
    node, decays, begin = claimed(model, constants), Decays(), z3.Int("v")
    v, state = begin, {"v": begin}
    same: list[Any] = []
    xs = [z3.Int(f"a{t}") for t in range(RUN)]
    for a in xs:
        before: Any = {"u": Symbol(z3.IntVal(0)), "v": Symbol(v)}
        y, after = node.step((Symbol(a),), before, Formulas(decays))  # type: ignore[arg-type]
        sent, state = run_program(model, constants, state, UNIT * a, decays)
        v, same = after["v"].whole, [*same, sent == y.whole]
    ranged = [begin >= -STATE_MAX, begin <= STATE_MAX, *(z3.And(a > -U_LIMIT, a < U_LIMIT) for a in xs)]
    found = check(ranged, z3.And(same), limit)
    values = [found.model.eval(term, model_completion=True).as_long() if found.model is not None else 0 for term in (begin, *xs)]
    return values[0], values[1:]


def _replayed(
    model: NeuronProgram, constants: Mapping[str, int], index: int, at: tuple[int, list[int]], execute: Execute
) -> Counterexample:
    """The steps in the simulator from this potential, beside the neuron's own."""
    v, inputs = at
    single = dataclasses.replace(model, state={"v": v}, constants={n: frozen_ints([c]) for n, c in constants.items()})
    populations = {"x": Population("x", (1,), HostInput(24, signed=True)), "n": Population("n", (1,), single)}
    network = ChipNetwork("", populations, (Projection("x->n", "x", "n", Wire()),), steps=RUN)
    xs = np.asarray(inputs, np.int64).reshape(RUN, 1, 1)
    got = np.asarray(execute(network, {"x": xs}, RUN).outputs["n"]).reshape(-1)
    node, state, wanted = claimed(model, constants), {"u": np.zeros((1, 1)), "v": np.full((1, 1), float(v))}, []
    for x in xs:
        y, after = node.step((x,), state, NUMPY)
        state = dict(after)
        wanted.append(int(y.reshape(-1)[0]))
    answers = tuple(wanted), tuple(int(y) for y in got)
    return Counterexample(index, tuple(int(x) for x in xs.reshape(-1)), (), *answers, replayed=answers[0] != answers[1], start=v)


def _equal(model: NeuronProgram, constants: Mapping[str, int], limit: float) -> Answer:
    node, decays, v, a = claimed(model, constants), Decays(), z3.Int("v"), z3.Int("a")
    state: Any = {"u": Symbol(z3.IntVal(0)), "v": Symbol(v)}
    y, after = node.step((Symbol(a),), state, Formulas(decays))  # type: ignore[arg-type]
    sent, words = run_program(model, constants, {"v": v}, UNIT * a, decays)
    ranged = [v >= -STATE_MAX, v <= STATE_MAX, a > -U_LIMIT, a < U_LIMIT]
    return check(ranged, z3.And(sent == y.whole, words["v"] == after["v"].whole), limit)


def claimed(model: NeuronProgram, constants: Mapping[str, int]) -> IntegerNeuron:
    """The neuron that a program's constants name; one that writes no potential once it has sent has no reset."""
    sends = next((i for i, line in enumerate(model.code) if line.op == "SPK"), 0)
    resets = any(line.args[0] == "v" for line in model.code[sends + 1 :])
    rungs = range(sum(n[0] == "t" for n in constants))

    def stacked(letter: str) -> Floats:
        return frozen([float(constants[f"{letter}{j}"]) for j in rungs])

    amounts = stacked("r") if "r0" in constants else None
    floor = frozen(float(constants["floor"])) if "floor" in constants else None
    bias, keep = frozen(float(constants.get("bias", 0))), frozen(4096.0 - constants["kv"])
    reset: Reset = "subtract" if amounts is not None else "hard" if resets else "none"
    return IntegerNeuron(frozen(4095.0), keep, stacked("t"), stacked("l"), bias, reset, amounts, False, floor)
