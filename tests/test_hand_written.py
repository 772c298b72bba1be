"""Modules as people write them: each converts to what its own code does, or is refused; benchmarks/hand_written.py has 10,000."""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hand_written import COMMONEST, STEPS, built, example, own_run, style  # noqa: E402
from hand_written_judging import graph_run, judged  # noqa: E402

import snndeploy as sd  # noqa: E402
from snndeploy.flow.original import hold_against_original  # noqa: E402

pytestmark = pytest.mark.slow
SEEDS = 300 if os.environ.get("CI") else 60
AT_ONCE = 20


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_what_is_read_does_what_its_own_code_does(first):
    outcomes = {style(seed).words: judged(style(seed)) for seed in range(first, first + AT_ONCE)}
    assert {words: o for words, o in outcomes.items() if o.kind not in ("equal", "ties", "refused")} == {}


@pytest.mark.parametrize("made", COMMONEST, ids=lambda made: made.words)
def test_the_commonest_ways_are_read(made):
    assert judged(made).kind == "equal"


@pytest.mark.parametrize("made", COMMONEST, ids=lambda made: made.words)
def test_a_changed_module_is_no_longer_equal(made):
    """The graph of a module with another threshold is held against this module's trial run, and found different."""
    steps = STEPS if made.time == "outside" else None
    options = sd.Options(timesteps=steps)
    changed = replace(made, threshold=0.7 * made.threshold)
    loaded, other = (sd.load(built(s)[0], example(s), options) for s in (made, changed))
    assert not np.array_equal(own_run(made, 0, wide=True)[0], own_run(changed, 0, wide=True)[0])
    assert hold_against_original(loaded).equal
    assert not hold_against_original(replace(loaded, graph=other.graph)).equal


def test_the_generator_ties_on_purpose_and_spikes():
    """Some modules have a potential exactly at the threshold, and their neurons neither sleep nor fire always."""
    near, rates = zip(*((n.min(), (gave != 0).mean()) for gave, n in (own_run(style(s), s, wide=True) for s in range(60))), strict=True)
    assert sum(distance < 1e-12 for distance in near) > 3
    assert 0.2 < np.mean(rates) < 0.9


def test_the_judge_sees_another_network():
    """Both sides: the judge's comparison fails where the graph is that of another module."""
    made = COMMONEST[0]
    other = sd.load(built(replace(made, threshold=0.5))[0], example(made))
    wanted, _ = own_run(made, 0, wide=True)
    assert not np.allclose(graph_run(made, other.graph, 0), wanted)
