"""Compiled neuron programs against the grid neuron they were compiled from: equal terms, else z3, else a run that differs."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import z3

from snndeploy.arrays import Floats, Ints, Shape, frozen_ints
from snndeploy.chip.models import STATE_MAX, HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.decoupling import U_LIMIT, UNIT
from snndeploy.ir.neurons.on_grid import OPERATIONS, STEP, GridNeuron, Operation, saturated
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.verdict import Counterexample, Proof, Status
from snndeploy.verify.proofs.induction import Answer, check, time_left
from snndeploy.verify.proofs.programs import piecewise, row, run_program
from snndeploy.verify.proofs.replaying import Execute
from snndeploy.verify.proofs.symbols import Decays, Formulas, Symbol
from snndeploy.verify.proofs.terms import equal, meanings, tables_agree

STATEMENT = "the program's code is the neuron's step on the grid: payload and words, for all words, |I| < 2**23; both start alike"
TRIES, LENGTH = 256, 24
"""Random runs, and their steps, that are tried first where the terms differ."""


def prove_compiled(network: ChipNetwork, grids: Mapping[str, GridNeuron], execute: Execute, limit: float) -> Iterator[Proof]:
    """For each grid neuron that was quantized: its population's program is its ``step``, from its initial words on."""
    for name, node in grids.items():
        population = network.populations.get(name)
        if population is not None and isinstance(population.model, NeuronProgram):
            yield _by_terms(name, population, population.model, node, limit) or _by_search(name, population, node, execute, limit)


def _by_terms(name: str, population: Population, program: NeuronProgram, node: GridNeuron, limit: float) -> Proof | None:
    started = time.perf_counter()
    terms = equal(program, node, population.shape)
    if terms is None:
        return None
    answers = list(meanings(terms, limit))
    agree, count = tables_agree(terms)
    missing = sorted({op for op, answer in answers if answer.status != "proved"}) + ([] if agree else ["LUT"])
    found = f"{len(program.code)} instructions give the terms of {len(node.operations)} operations; {len(answers)} meanings by z3"
    found += f", tables run at {count:,} words" if count else ""
    found += f"; not shown: what {', '.join(missing)} means" if missing else ""
    status: Status = "unknown" if missing else "proved"
    return Proof("program", name, STATEMENT, status, time.perf_counter() - started, limit, "equal terms", found)


def _by_search(name: str, population: Population, node: GridNeuron, execute: Execute, limit: float) -> Proof:
    """Neuron by distinct neuron: a random run that differs, else z3's word on one step, replayed."""
    program = population.model
    assert isinstance(program, NeuronProgram)
    seconds, count, alike = 0.0, 0, True
    status: Status = "proved"
    for index in _distinct(program, node, population.shape):
        if time_left() <= 0:
            status = "unknown"
            break
        count += 1
        one, single = _one_program(program, population.shape, index), _one_node(node, population.shape, index)
        alike &= _start_alike(one, single)
        example = _random(one, single, index, execute)
        if example is None:
            answer = one_step(one, single, limit)
            seconds += answer.seconds
            if answer.status == "proved":
                continue
            status = "unknown"
            example = _replayed(one, single, index, answer.model, execute)
        if example is not None and example.replayed:
            return Proof("program", name, STATEMENT, "failed", seconds, limit, counterexample=example)
    found = f"{count} distinct sets of constants among {population.size:,} neurons; the terms differ"
    found += "" if alike else "; the words start differently, and no run showed it"
    return Proof("program", name, STATEMENT, status, seconds, limit, found=found)


def one_step(program: NeuronProgram, node: GridNeuron, limit: float) -> Answer:
    """Whether one neuron's program answers as its definition, from every word, input and step; z3 alone decides."""
    if not _start_alike(program, node):
        return Answer("unknown", 0.0)
    decays, words, a, t = Decays(), {w: z3.Int(w) for w in node.initial}, z3.Int(" a"), z3.Int(" t")
    constants = {n: int(c.reshape(-1)[0]) for n, c in program.constants.items()}
    sent, got = run_program(program, constants, words, UNIT * a, decays, t)
    wanted, after = _defined(node, words, a, t, decays)
    ranged = [a > -U_LIMIT, a < U_LIMIT, t >= 0, *(z3.And(w >= -STATE_MAX, w <= STATE_MAX) for w in words.values())]
    claim = z3.And(sent == wanted.whole, *(got[w] == after[w].whole for w in words))
    seconds = 0.0
    for free in words if len(words) > 1 else ():
        # products of two free words are hard: what is wrong mostly shows with one word free, the others as they start
        pinned = [words[w] == value for w, value in program.state.items() if w != free]
        answer = check([*ranged, *pinned], claim, limit / 4)
        seconds += answer.seconds
        if answer.status == "failed":
            return dataclasses.replace(answer, seconds=seconds)
    answer = check(ranged, claim, limit)
    return dataclasses.replace(answer, seconds=seconds + answer.seconds)


def _start_alike(program: NeuronProgram, node: GridNeuron) -> bool:
    return dict(program.state) == {w: int(value.reshape(-1)[0]) for w, value in node.initial.items()}


def _defined(node: GridNeuron, words: Mapping[str, Any], a: Any, t: Any, decays: Decays) -> tuple[Symbol, dict[str, Symbol]]:
    xp: Any = Formulas(decays)

    def compute(line: Operation, values: Mapping[str, Any]) -> Symbol:
        read: list[Any] = [values[x] if x in values else float(x) if x.lstrip("-").isdigit() else 0.0 for x in line.args]
        if line.op == "LDT":
            return Symbol(row([int(y) for y in node.tables[line.args[0]].reshape(-1)], t))
        if line.op == "LUT":
            low, width = (int(float(np.asarray(v).reshape(-1)[0])) for v in read[2:])
            return _clipped(Symbol(piecewise([int(y) for y in node.tables[line.args[0]]], low, width, read[1].whole)), xp)
        return _clipped(OPERATIONS[line.op](xp, *read), xp)

    start = {**{n: float(c.reshape(-1)[0]) for n, c in node.constants.items()}, "I": Symbol(UNIT * a)}
    y, after = node.evaluated(start | {w: Symbol(term) for w, term in words.items()}, compute)
    return _symbol(y), {w: _symbol(value) for w, value in after.items()}


def _clipped(value: Any, xp: Any) -> Symbol:
    return _symbol(saturated(value, xp))


def _symbol(value: Any) -> Symbol:
    return value if isinstance(value, Symbol) else Symbol(z3.IntVal(int(value)))


def _random(program: NeuronProgram, node: GridNeuron, index: int, execute: Execute) -> Counterexample | None:
    """The first difference in random runs from the initial words, with inputs of every size."""
    rng = np.random.default_rng(0)
    size = 2.0 ** rng.integers(0, 18, (1, TRIES))
    xs = np.clip(rng.normal(0, 1, (LENGTH, TRIES)) * size, 1 - U_LIMIT, U_LIMIT - 1).astype(np.int64)
    wanted, got = _answers(program, node, xs, execute, 0, {})
    differs = (wanted != got).any(axis=2)
    if not differs.any():
        return None
    step = int(differs.any(axis=1).argmax())
    sample = int(differs[step].argmax())
    return _example(index, xs[: step + 1, sample], wanted[step, sample], got[step, sample])


def _replayed(program: NeuronProgram, node: GridNeuron, index: int, model: Any, execute: Execute) -> Counterexample | None:
    if model is None:
        return None
    words = {w: int(model.eval(z3.Int(w), model_completion=True).as_long()) for w in node.initial}
    a, t = (int(model.eval(z3.Int(n), model_completion=True).as_long()) for n in (" a", " t"))
    wanted, got = _answers(program, node, np.asarray([[a]]), execute, t, words)
    return _example(index, np.asarray([a]), wanted[-1, 0], got[-1, 0], words, t if node.counts else 0)


def _example(index: int, xs: Ints, wanted: Ints, got: Ints, words: Mapping[str, int] | None = None, step: int = 0) -> Counterexample:
    answers = tuple(int(y) for y in wanted), tuple(int(y) for y in got)
    inputs = tuple(int(x) for x in xs)
    return Counterexample(index, inputs, (), *answers, replayed=answers[0] != answers[1], words=words or {}, step=step)


def _answers(
    program: NeuronProgram, node: GridNeuron, xs: Ints, execute: Execute, start: int, words: Mapping[str, int]
) -> tuple[Ints, Ints]:
    """[T, B, 1 + words] payload and words after each step: of the definition, and of the program in the simulator, on sums [T, B].

    ``words`` replace the initial ones; ``start`` is the step a table over time begins at.
    """
    late = {line.args[1]: program.tables[line.args[1]] for line in program.code if line.op == "LDT"}
    tables = {**program.tables, **{n: table[min(start, len(table) - 1) :] for n, table in late.items()}}
    moved = dataclasses.replace(program, state={**program.state, **words}, tables=tables, reset_at=0)
    populations = {"x": Population("x", (1,), HostInput(24, signed=True)), "n": Population("n", (1,), moved)}
    network = ChipNetwork("", populations, (Projection("x->n", "x", "n", Wire()),), steps=len(xs))
    trace = execute(network, {"x": xs[:, :, None]}, len(xs))
    got = [trace.outputs["n"], *(trace.states[f"n.{w}"] for w in node.initial)]
    state: Any = {w: np.full((xs.shape[1], 1), float(words.get(w, v.reshape(-1)[0]))) for w, v in node.initial.items()}
    state |= {STEP: np.full((xs.shape[1], 1), float(start))} if node.counts else {}
    wanted = []
    for now in xs:
        y, state = node.step((now[:, None].astype(np.float64),), state, NUMPY)
        wanted.append(np.concatenate([y, *(state[w] for w in node.initial)], axis=1))
    return np.asarray(np.stack(wanted), np.int64), np.concatenate([np.asarray(g, np.int64) for g in got], axis=2)


def _distinct(program: NeuronProgram, node: GridNeuron, shape: Shape) -> list[int]:
    """The first neuron of every distinct set of constants, tables over time and initial words, on either side."""
    every: list[Any] = [*program.constants.values(), *node.constants.values(), *node.initial.values()]
    every += [r for table in (*program.tables.values(), *node.tables.values()) if table.ndim > 1 for r in table]
    columns = [np.broadcast_to(values, shape).reshape(-1) for values in every]
    if not columns:
        return [0]
    _, first = np.unique(np.stack(columns, axis=1), axis=0, return_index=True)
    return [int(i) for i in first]


def _one_program(program: NeuronProgram, shape: Shape, index: int) -> NeuronProgram:
    placed = {f"{n}.{part}" for n in program.tables for part in ("lo", "step")}
    constants = {n: frozen_ints(int(_column(c, shape, index)[0])) if n not in placed else c for n, c in program.constants.items()}
    tables = {n: frozen_ints(_rows(t, shape, index)) for n, t in program.tables.items()}
    return dataclasses.replace(program, constants=constants, tables=tables)


def _one_node(node: GridNeuron, shape: Shape, index: int) -> GridNeuron:
    constants, initial = ({n: _column(c, shape, index) for n, c in found.items()} for found in (node.constants, node.initial))
    tables = {n: _rows(t, shape, index) for n, t in node.tables.items()}
    return dataclasses.replace(node, constants=constants, initial=initial, tables=tables)


def _column(values: Any, shape: Shape, index: int) -> Floats:
    return np.asarray(np.broadcast_to(values, shape).reshape(-1)[index : index + 1], np.float64)


def _rows(table: Any, shape: Shape, index: int) -> Any:
    """A table over time as one neuron reads it; a table of values as it is."""
    return table if table.ndim == 1 else np.broadcast_to(table, (len(table), *shape)).reshape(len(table), -1)[:, index]
