"""Rounding bounds hold what rounds, and hide no fault of 1 % in the types that models run in; benchmarks/bounds.py has more."""

from __future__ import annotations

import dataclasses

import bounds
import numpy as np
import pytest

from converters import Loaded, Witness
from snndeploy.flow.original import hold_against_originals
from snndeploy.ir.graph import Edge
from snndeploy.ir.layers import Output
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.spread import ARITHMETICS, dot, given


@pytest.mark.parametrize("seed", [30, 65, 94, 142, 157, 244, 252, 352, 389])
def test_a_fault_of_one_percent_shows_and_rounding_does_not(seed):
    line = bounds.judged(seed)
    assert line["false"] == 0
    assert line["type"] == "float16" or not line["missed"]


@pytest.mark.parametrize("seed", [12, 53, 85, 102, 253, 374])
def test_what_half_precision_rounds_is_no_difference(seed):
    line = bounds.judged(seed)
    assert (line["type"], line["false"]) == ("float16", 0)


@pytest.mark.parametrize("name", ["float32", "float16"])
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_sums_in_any_order_lie_within_the_bound(name, share):
    rng, kind, f = np.random.default_rng(0), ARITHMETICS[name], np.dtype(name).type
    x = np.where(rng.random((40, 200)) < share, rng.choice([1.0, 1.0, 0.3], (40, 200)), 0.0).astype(f)
    weight = rng.normal(0.1, 1.0, (7, 200)).astype(f)
    found = dot(NUMPY.linear, given(x, kind), given(weight, kind), 200)
    for order in (np.arange(200), np.arange(200)[::-1], np.argsort(weight[0]), np.argsort(-np.abs(weight[0]))):
        total = np.zeros((40, 7), f)
        for j in order:
            total = total + x[:, [j]] * weight[:, j]
        assert (np.abs(total.astype(float) - found.value) <= found.error).all()


def test_a_sum_of_few_spikes_has_a_small_bound():
    """What is 0 rounds nothing: three spikes of two thousand are two sums, and one spike is none."""
    kind, weight = ARITHMETICS["float32"], np.random.default_rng(0).normal(0, 1, (4, 2000)).astype(np.float32)
    x = np.zeros((2, 2000))
    x[0, [3, 800, 1999]] = x[1, 5] = 1.0
    found = dot(NUMPY.linear, given(x, kind), given(weight, kind), 2000)
    assert (found.error[0] <= 4 * 2.0**-24 * np.abs(weight[:, [3, 800, 1999]]).sum(axis=1)).all()
    assert (found.error[0] > 0).all()
    assert not found.error[1].any()


def of_type(kind, factor=1.0):
    """A network and its own run in a type, with the first layer's threshold so many times as large as it was in the run."""
    made = dataclasses.replace(bounds.made(102), kind=kind)
    told, _ = bounds.run(made.layers, made.x, kind, False)
    changed = (dataclasses.replace(made.layers[0], threshold=made.layers[0].threshold * factor), *made.layers[1:])
    graph = bounds.graph_of(changed)
    last = f"n{len(told) - 1}"
    graph = graph.replace({"y": Output("none")}, (*graph.edges, Edge(last, "y")))
    names = {f"n{k}": series for k, series in enumerate(told)}
    return Loaded(graph, steps=len(made.x), witness=Witness(len(made.x), {"x": made.x}, {"y": told[-1]}, names, kind))


def test_a_run_in_half_precision_alone_says_what_it_cannot_show():
    held = hold_against_originals(of_type("float16"))
    assert held.pairs[0].equal
    (said,) = held.unsettled
    assert "it runs in float16 alone" in said
    assert "n0" in said
    assert hold_against_originals(of_type("float16", 1.01)).pairs[0].equal  # as it says
    assert not hold_against_originals(of_type("float16", 1.5)).pairs[0].equal
    assert not hold_against_originals(of_type("float32")).unsettled
    assert not hold_against_originals(of_type("float32", 1.01)).pairs[0].equal
