"""How long the proofs take: each theorem for every threshold, decay and input, and the demo network's deployed integers.

python benchmarks/proofs.py
"""

from __future__ import annotations

import itertools
import time

import snndeploy as sd
from snndeploy import demo
from snndeploy.data.samples import part
from snndeploy.flow.given import as_samples
from snndeploy.flow.proving import prove_deployment
from snndeploy.ir.neurons.twophase import HALVES
from snndeploy.report.proofs import summary
from snndeploy.verify.proofs.rewrites import symbolic, theorem

BAR, DEMO_BAR = 5.0, 60.0
"""Seconds for one theorem, and for all proofs of the demo network."""


def main() -> None:
    """Print every time, and whether it is under its bar."""
    for construction in ("ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct"):
        for rungs in (2, 3, 4, 5):
            answer = theorem(construction, rungs, 4 * BAR)
            print(f"{construction} K={rungs}: {answer.status} in {answer.seconds:.2f} s (bar {BAR:g} s: {answer.seconds < BAR})")
    for keep, rungs in itertools.product(HALVES, (2, 3, 4, 5)):
        answer = theorem("two-phase", rungs, 4 * BAR, symbolic("two-phase", rungs, keep))
        print(f"two-phase, decay {keep}/4096, K={rungs}: {answer.status} in {answer.seconds:.2f} s (bar {BAR:g} s: {answer.seconds < BAR})")
    for burst, reset, chip in (("auto", "hard", "loihi1"), ("ping-pong", "hard", "loihi2"), ("lateral", "subtract", "loihi2")):
        options = sd.Options(arch=f"{demo.ARCH}(reset={reset!r})", input_shape=(1, 8, 8))
        weights = demo.WEIGHTS_SOFT if reset == "subtract" else demo.WEIGHTS
        deployment = sd.convert(str(weights), part(as_samples(str(demo.CALIBRATION)), 0, 16), sd.Wishes(chip=chip, burst=burst), options)
        start = time.perf_counter()
        proofs = prove_deployment(deployment)
        took = time.perf_counter() - start
        print(f"demo, {burst} on {chip}: {summary(proofs)}; {took:.1f} s in all (bar {DEMO_BAR:g} s: {took < DEMO_BAR})")


if __name__ == "__main__":
    main()
