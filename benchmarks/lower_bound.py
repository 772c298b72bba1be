"""Claim: no two plain neurons with reset equal a burst neuron of two rungs (thresholds 1 and 2, levels 1 and 2.5, decay 1/2).

Everything else is free, over the reals: gains of either sign, biases, thresholds, what a spike resets to, synapses among the
neurons that take one step, and how their spikes add up to the level. z3 proposes such a network that is right on some input
sequences; a sequence on which it is wrong is searched for and added. No network left: impossible, whatever the sequences were.

    python benchmarks/lower_bound.py [decays, 1/2,1/2: one for each neuron] [seconds, 60]
"""

from __future__ import annotations

import itertools
import random
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import z3

HALF = Fraction(1, 2)
LEVELS = (Fraction(0), Fraction(1), Fraction(5, 2))
VALUES = [Fraction(k, 8) for k in range(-8, 25)]
Inputs = Sequence[Fraction]


def burst(inputs: Inputs) -> list[Fraction]:
    """The burst neuron's levels; a threshold that is met counts."""
    v, levels = Fraction(0), []
    for x in inputs:
        h = HALF * v + x
        k = int(h >= 1) + int(h >= 2)
        levels.append(LEVELS[k])
        v = Fraction(0) if k else h
    return levels


def unknowns(neurons: int) -> dict[str, Any]:
    """What z3 may choose; ``w`` [to, from]."""
    rows = {name: [z3.Real(f"{name}{i}") for i in range(neurons)] for name in ("gain", "bias", "threshold", "reset", "read")}
    return {**rows, "w": [[z3.Real(f"w{i}.{j}") for j in range(neurons)] for i in range(neurons)], "constant": z3.Real("constant")}


def is_right_on(inputs: Inputs, p: dict[str, Any], decays: Inputs, tag: int) -> list[Any]:
    """Formulas: the network with parameters ``p`` gives the burst neuron's level at every step of ``inputs``."""
    count = len(p["gain"])
    v, fired, formulas = [z3.RealVal(0)] * count, [z3.RealVal(0)] * count, []
    for t, (x, level) in enumerate(zip(inputs, burst(inputs), strict=True)):
        after, spikes = [], []
        for i in range(count):
            h, s = z3.Real(f"h{tag}.{t}.{i}"), z3.Bool(f"s{tag}.{t}.{i}")
            lateral = z3.Sum([z3.If(f, p["w"][i][j], 0) if t else z3.RealVal(0) for j, f in enumerate(fired)])
            formulas += [
                h == v[i] * _real(decays[i]) + p["gain"][i] * _real(x) + p["bias"][i] + lateral,
                s == (h >= p["threshold"][i]),
            ]
            after.append(z3.If(s, p["reset"][i], h))
            spikes.append(s)
        v, fired = after, spikes
        read = z3.Sum([z3.If(s, g, 0) for s, g in zip(spikes, p["read"], strict=True)]) + p["constant"]
        formulas.append(read == _real(level))
    return formulas


def run(inputs: Inputs, p: dict[str, Any], decays: Inputs) -> list[Fraction]:
    """The network's levels, with numbers for parameters."""
    count = len(p["gain"])
    v, fired, levels = [Fraction(0)] * count, [0] * count, []
    for x in inputs:
        h = [
            v[i] * decays[i] + p["gain"][i] * x + p["bias"][i] + sum(w for w, f in zip(p["w"][i], fired, strict=True) if f)
            for i in range(count)
        ]
        fired = [int(h[i] >= p["threshold"][i]) for i in range(count)]
        v = [p["reset"][i] if fired[i] else h[i] for i in range(count)]
        levels.append(sum((g for g, f in zip(p["read"], fired, strict=True) if f), p["constant"]))
    return levels


def wrong_on(p: dict[str, Any], decays: Inputs, rng: random.Random) -> Inputs | None:
    """A sequence on which the network is wrong; None if none was found."""
    drawn = ([rng.choice(VALUES) for _ in range(length)] for length in (2, 3, 4, 5) for _ in range(4000))
    for inputs in itertools.chain(([x] for x in VALUES), drawn):
        wanted, got = burst(inputs), run(inputs, p, decays)
        if wanted != got:
            return inputs[: 1 + next(t for t in range(len(inputs)) if wanted[t] != got[t])]
    return None


def search(decays: Inputs, seconds: float) -> tuple[str, int]:
    """("impossible" | "found" | "undecided", how many sequences it took)."""
    solver, p, rng, end = z3.Solver(), unknowns(len(decays)), random.Random(1), time.monotonic() + seconds  # noqa: S311
    for tag in itertools.count(1):
        solver.set("timeout", max(1, int(1000 * (end - time.monotonic()))))
        answer = solver.check()
        if answer != z3.sat or time.monotonic() > end:
            return ("impossible" if answer == z3.unsat else "undecided"), tag - 1
        inputs = wrong_on(_numbers(solver.model(), p), decays, rng)
        if inputs is None:
            return "found", tag - 1
        solver.add(is_right_on(inputs, p, decays, tag))
    raise AssertionError


def _real(value: Fraction) -> Any:
    return z3.Q(value.numerator, value.denominator)


def _numbers(model: Any, unknown: Any) -> Any:
    if isinstance(unknown, dict):
        return {name: _numbers(model, value) for name, value in unknown.items()}
    if isinstance(unknown, list):
        return [_numbers(model, value) for value in unknown]
    return model.eval(unknown, model_completion=True).as_fraction()


def main() -> int:
    """Print the answer; 0 if it is "impossible"."""
    decays = [Fraction(word) for word in (sys.argv[1] if len(sys.argv) > 1 else "1/2,1/2").split(",")]
    started = time.monotonic()
    answer, sequences = search(decays, float(sys.argv[2]) if len(sys.argv) > 2 else 60.0)
    told = ", ".join(str(decay) for decay in decays)
    print(f"plain neurons of decay {told}: {answer}; {sequences} sequences, {time.monotonic() - started:.1f} s")
    return int(answer != "impossible")


if __name__ == "__main__":
    sys.exit(main())
