"""Claim: inside its conditions every construction sends the burst neuron's level, at every step, in chip arithmetic.

Two ways to try to break it. At random: every decay 0..4096 at once, 2 to 5 rungs (or as asked), thresholds of every
size, inputs that the next step's potential is a whole weight unit from a threshold, inputs at the bound, and others.
Exhaustively: at small width, from every joint state of neuron and construction that can be reached, every input.
Two-phase has its own decays, 1, 1/4, ... 1/4096 and 0, and must send nothing at second steps.

    python benchmarks/burst_constructions.py [neuron-steps of each construction, 1e8]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.ir.graph import Candidate, Edge, Graph, Limits
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.registers import U_LIMIT, UNIT
from snndeploy.ir.neurons.twophase import HALVES
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.paths import has_state
from snndeploy.sim.reference import initial_states, stepper

HARD = ("ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct")
CONSTRUCTIONS = (*HARD, "lateral", "two-phase")
DECAYS = np.arange(4097.0)
HALVED = np.resize([4096.0 - whole for whole in HALVES], len(DECAYS))
Rows = np.ndarray
Found = tuple[str, int, int, int]


def drawn(rng: np.random.Generator, kind: str, rungs: int, decays: Floats = DECAYS) -> tuple[IntegerNeuron, Candidate, int]:
    """A neuron for each decay, a construction of it that is exact, and the bound of its input in weight units."""
    decays = np.resize(HALVED, len(decays)) if kind == "two-phase" else decays
    while True:
        grid = 4096 / np.gcd((4096 - decays).astype(int), 4096) if kind == "lateral" else np.ones(len(decays))
        top = np.maximum(int(rng.choice([4, 40, 3000, 30_000])) // grid, rungs)
        ladder = np.sort(np.floor(rng.random((rungs, len(decays))) * (top + 1)), axis=0)
        levels, bias = np.arange(1.0, rungs + 1)[:, None], rng.integers(-3, 4, len(decays)) * float(UNIT)
        soft = (
            {"reset": "subtract", "amounts": np.floor(rng.random(ladder.shape) * (ladder + 1)) * grid * UNIT} if kind == "lateral" else {}
        )
        node = IntegerNeuron(4095, decays, ladder * grid * UNIT, levels, bias * int(rng.integers(2)), **soft)
        bound = 4 + int(node.thresholds.max() / UNIT * rng.choice([0.6, 1, 3]))
        built = named(node, kind, Limits((len(decays),), bound, programs=True, payload_bits=24))
        if built.exact:
            return node, built, bound


def named(node: IntegerNeuron, kind: str, limits: Limits) -> Candidate:
    """One construction of the neuron."""
    return next(c for c in node.lower(limits) if c.construction == kind)


def inputs(rng: np.random.Generator, node: IntegerNeuron, bound: int, v: Floats) -> Floats:
    """Sums that lead to a threshold, give or take a weight unit; small ones; any; and the bound, in both signs."""
    rung = node.thresholds[rng.integers(node.rungs), :]
    needed = np.floor((rung - np.trunc(v * (4096 - node.dv) / 4096) - node.bias) / UNIT) + rng.integers(-1, 3, v.shape)
    others = np.choose(rng.integers(0, 3, v.shape), [rng.integers(-3, 4, v.shape), rng.integers(-bound, bound + 1, v.shape), bound])
    x = np.where(rng.random(v.shape) < 0.6, needed, others * rng.choice([-1, 1, 1], v.shape))
    return np.clip(x, -bound, bound)


def mismatches(rng: np.random.Generator, kind: str, rungs: int, steps: int, batch: int, decays: Floats = DECAYS) -> tuple[int, int, int]:
    """(neuron-steps compared, of these spikes, levels that differ) of one drawn neuron and its construction."""
    node, built, bound = drawn(rng, kind, rungs, decays)
    state = {word: np.zeros((batch, len(decays))) for word in ("u", "v")}
    wanted: list[Floats] = []

    def feed() -> Iterator[dict[str, Floats]]:
        nonlocal state
        for _ in range(steps):
            x = inputs(rng, node, bound, state["v"])
            y, state = node.step((x,), state, NUMPY)  # type: ignore[assignment]
            wanted.append(y)
            # the bias of two-phase comes with the input: a register would act at the second step, too
            given = x + node.bias / UNIT if built.phases > 1 else x
            yield {"in": given, **({"one": np.ones((batch, 1))} if "one" in built.graph.nodes else {})}
            for _ in range(1, built.phases):
                wanted.append(np.zeros_like(y))
                yield {"in": np.zeros_like(x)}

    different = fired = 0
    for step in stepper(built.graph, feed(), batch):
        different += int((step.outputs["out"] != wanted[-1]).sum())
        fired += int((wanted.pop() > 0).sum())
    return steps * batch * len(decays), fired, different


def reachable(node: IntegerNeuron, built: Candidate, values: Sequence[float], most: int = 3_000_000) -> tuple[int, int, int]:
    """(joint states, transitions, transitions at which the levels differ), from rest under all inputs in ``values``.

    Raises ``OverflowError`` beyond ``most`` states.
    """
    both = _beside(node, built.graph)
    words = [(n, w) for n, states in initial_states(both, 1).items() for w in states if w == "v"]
    late = sorted({e.source for e in both.edges if e.delay})
    assert all(e.delay <= 1 for e in both.edges), "a state holds one step of every delayed edge"
    start = np.zeros((1, len(words) + len(late)), np.int32)
    seen, frontier = {start.tobytes()}, start
    moves = wrong = 0
    while len(frontier):
        rows = np.repeat(frontier, len(values), axis=0).astype(np.float64)
        after, differs = _moved(both, rows, np.tile(np.asarray(values), len(frontier))[:, None], words, late)
        if built.phases > 1:  # the neuron itself makes no second step
            own = words.index(("neuron", "v"))
            second, more = _moved(both, after.astype(np.float64), np.zeros((len(rows), 1)), words, late)
            second[:, own], after, differs = after[:, own], second, differs | more
        moves, wrong = moves + len(rows), wrong + int(differs.sum())
        fresh = {row.tobytes(): i for i, row in enumerate(after)}
        new = [i for key, i in fresh.items() if key not in seen]
        seen.update(fresh)
        if len(seen) > most:
            raise OverflowError(f"more than {most} joint states")
        frontier = after[new]
    return len(seen), moves, wrong


def _beside(node: IntegerNeuron, graph: Graph) -> Graph:
    """Neuron and construction with the same input."""
    return graph.replace({"neuron": node}, [*graph.edges, Edge("in", "neuron")])


def _moved(graph: Graph, rows: Rows, x: Floats, words: list[tuple[str, str]], late: list[str]) -> tuple[Rows, Rows]:
    """One step of every row (the words, then what each delayed edge's source sent), and where the levels differ."""
    held = {word: rows[:, i : i + 1] for i, word in enumerate(words)}
    past = {n: rows[:, len(words) + i, None] for i, n in enumerate(late)}
    outputs: dict[str, Floats] = {n: x if n == "in" else np.ones_like(x) for n in graph.named(Input)}
    for name in graph.order:
        if name not in outputs:
            total = sum(past[e.source] if e.delay else outputs[e.source] for e in graph.into(name))
            state = {"u": np.zeros_like(x), "v": held[name, "v"]} if has_state(graph.nodes[name]) else {}
            outputs[name], state = graph.nodes[name].step((np.asarray(total),), state, NUMPY)  # type: ignore[assignment]
            held.update({(name, "v"): state["v"]} if state else {})
    after = np.concatenate([*(held[word] for word in words), *(np.broadcast_to(outputs[n], x.shape) for n in late)], axis=1)
    return after.astype(np.int32), outputs["out"] != outputs["neuron"]


SMALL = (
    ("hard", 2048, (1, 2), range(-3, 5)),
    ("hard", 3072, (1, 3), range(-4, 6)),
    ("hard", 1024, (1, 2), range(-1, 4)),
    ("hard", 4095, (0, 2), range(-3, 5)),
    ("hard", 0, (2, 4), range(6)),
    ("hard", 2048, (1, 2, 4), range(-2, 6)),
    ("hard", 1024, (2, 5), range(-3, 7)),
    ("soft", 2048, (2, 4), range(-3, 6)),
    ("soft", 3072, (4, 8), range(-9, 13)),
    ("soft", 2048, (2, 4, 8), range(-6, 13)),
)
"""Reset, dv, thresholds and inputs in weight units."""
WIDE = (("hard", 128, (1, 2), range(-32, 4)), ("soft", 256, (16, 32), range(-128, 48, 4)))
"""Slow decays and wide inputs, for the constructions with few states beside the neuron's own."""
DEEP = ("hard", 3072, (1, 2), (-60000, -7003, 0, 1, 3), ())
"""For two-phase alone, whose neurons hold no more than the burst neuron does."""


def small(reset: str, dv: int, ladder: Sequence[int], values: Sequence[int], kinds: Sequence[str] = HARD) -> Iterator[Found]:
    """(construction, joint states, transitions, wrong ones) of each construction of one small neuron."""
    thresholds, levels = np.array(ladder, float)[:, None] * UNIT, np.arange(1.0, len(ladder) + 1)[:, None]
    amounts = {"amounts": np.minimum(thresholds, thresholds[:1]), "reset": "subtract"} if reset == "soft" else {}
    node = IntegerNeuron(4095, dv, thresholds, levels, **amounts)
    bound = int(np.abs(values).max())
    halved = ("two-phase",) if 4096 - dv in HALVES else ()
    for kind in (*kinds, *halved) if reset == "hard" else ("lateral",):
        built = named(node, kind, Limits((1,), bound, programs=True, payload_bits=24))
        assert built.exact, [c for c in built.conditions if not c.holds]
        yield (kind, *reachable(node, built, list(values)))


def main(wanted: float) -> int:
    """Print both tables; the number of levels that differ."""
    wrong = 0
    for kind in CONSTRUCTIONS:
        started, total, fired, different = time.perf_counter(), 0, 0, 0
        rng = np.random.default_rng([len(kind), 7])
        while total < wanted:
            found = mismatches(rng, kind, int(rng.integers(2, 6)), steps=60, batch=3)
            total, fired, different = total + found[0], fired + found[1], different + found[2]
        seconds = time.perf_counter() - started
        print(f"{kind:18} {total:13,} neuron-steps, {fired:12,} spikes: {different} differ   {seconds / 60:.1f} min", flush=True)
        wrong += different
    for case in (*SMALL, *((*case, HARD[:2]) for case in WIDE), DEEP):
        for kind, states, moves, different in small(*case):
            print(f"{kind:18} {case[:3]}: {states:9,} joint states, {moves:11,} transitions: {different} differ", flush=True)
            wrong += different
    return wrong


if __name__ == "__main__":
    assert U_LIMIT == 1 << 17
    sys.exit(int(main(float(sys.argv[1]) if len(sys.argv) > 1 else 1e8) > 0))
