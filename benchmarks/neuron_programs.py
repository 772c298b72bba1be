"""How often a compiled neuron program decides otherwise than its neuron in float64, and what it costs.

20,000 neurons, T = 10, inputs N(0.3, 1), scale 2**16, 16-bit multipliers, tables of 64 lines. Prints for each neuron the
fraction with any wrong spike (mean and largest of the seeds) beside the bar, and instructions, words and registers.
Definition and program are compared word for word on the way: a difference ends the script with an error.

    python benchmarks/neuron_programs.py [seeds]
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.program import NeuronProgram, needs
from snndeploy.ir.expressions import trace
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.burst import lifb
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.clifspike import CLIFSpike
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.glif import glif
from snndeploy.ir.neurons.klif import KLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.multispike import MultiSpike
from snndeploy.ir.neurons.ternary import TernaryLIF
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.quantize.algebra import input_gain, simplified, with_input
from snndeploy.quantize.compiling import compiled
from snndeploy.quantize.fixed_point import Precision, fixed_point
from snndeploy.quantize.ranges import ranges
from snndeploy.sim.program import program_step

NEURONS, STEPS, SCALE, SEGMENTS = 20_000, 10, 2.0**16, 64
CONDUCT = np.random.default_rng(1).uniform(0.2, 0.9, STEPS)
PLIF_GAIN = float(1 / (1 + np.exp(0.4)))


@dataclass(frozen=True)
class Case:
    """A neuron with realistic parameters, the bar on its wrong neurons, and the instructions of ``neurons.md``'s program."""

    name: str
    node: Node
    bar: float | None = None
    listed: int | None = None


CASES = (
    Case("LIF, hard", LIF(decay=0.5), 5e-5, 7),
    Case("LIF, soft", LIF(decay=0.5, reset="subtract"), 5e-5, 7),
    Case("CUBA-LIF", CubaLIF(0.5, 0.8), None, 8),
    Case("PLIF", LIF(decay=1 - PLIF_GAIN, gain=PLIF_GAIN), 5e-5, 7),
    Case("GLIF", glif((0.6, 0.4, 0.7), [0.8], [0.5], [0.1], [0.3], CONDUCT), 1e-4, 9),
    Case("KLIF", KLIF(0.5, k=1.3), 5e-5, 7),
    Case("CLIF", CLIF(0.5, 0.5), 5e-5, 12),
    Case("CLIFSpike", CLIFSpike(0.5, 0.5), None, None),
    Case("LIFB, K=2", lifb(0.5, 1.0, 2.0, 2.0), None, 9),
    Case("ALIF", AdaptiveLIF(0.8, 0.9, 0.3), None, 9),
    Case("Ternary", TernaryLIF(0.5), None, None),
    Case("MultiSpike", MultiSpike(0.5), None, None),
)


def wrong(node: Node, seed: int, neurons: int = NEURONS) -> tuple[float, NeuronProgram]:
    """The fraction of neurons with any wrong spike, and the program."""
    x = np.random.default_rng(seed).normal(0.3, 1, (STEPS, 1, neurons))
    expression = simplified(trace(node, ()))
    gain = input_gain(expression)
    expression = with_input(expression, gain, np.zeros(()))
    seen = ranges(expression, float(np.abs(x * gain).max()), STEPS, x * gain)
    grid = fixed_point(expression, seen, Precision(SCALE, segments=SEGMENTS)).neuron
    program = compiled(grid, type(node).__name__)
    real, words = (_spread(n.initial_state((neurons,)), neurons) for n in (node, grid))
    state = {word: np.full((1, neurons), value, np.int64) for word, value in program.state.items()}
    different = np.zeros(neurons, bool)
    for t, now in enumerate(np.round(x * gain * SCALE)):
        wanted, real = node.step((x[t],), real, NUMPY)  # type: ignore[assignment]
        defined, words = grid.step((now / 64,), words, NUMPY)  # type: ignore[assignment]
        sent, state, *_ = program_step(program, state, now.astype(np.int64), t)
        if not np.array_equal(defined, sent):
            raise SystemExit(f"{program.name}: the program is not its definition at step {t}")
        different |= (wanted != sent)[0]
    return float(different.mean()), program


def _spread(words: dict[str, Floats], neurons: int) -> dict[str, Floats]:
    return {word: np.broadcast_to(value, (1, neurons)) for word, value in words.items()}


def main() -> None:
    """Print the table."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    print(f"{NEURONS:,} neurons, T = {STEPS}, x ~ N(0.3, 1), scale 2**16, 16-bit multipliers, {SEGMENTS} lines a table, {seeds} seeds")
    print(f"{'neuron':12} {'wrong, mean':>12} {'largest':>9} {'bar':>8}   instr. listed words regs MUL LUT")
    for case in CASES:
        runs = [wrong(case.node, seed) for seed in range(seeds)]
        fractions, program = [f for f, _ in runs], runs[0][1]
        ops, takes = [line.op for line in program.code], needs(program)
        print(
            f"{case.name:12} {np.mean(fractions):12.1e} {max(fractions):9.1e} {case.bar or '-':>8}   {len(ops):6} {case.listed or '-':>6}"
            f" {takes['state_words']:5} {takes['program_registers']:4} {ops.count('MUL'):3} {ops.count('LUT'):3}"
        )


if __name__ == "__main__":
    main()
