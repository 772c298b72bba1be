"""The float64 executor: delays, cycles, port sums, static inputs, any namespace, and what it counts."""

from __future__ import annotations

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.errors import DataError, OptionError
from snndeploy.flow.feeding import Feed, describe_inputs
from snndeploy.ir import on_numpy
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Concat, Input, Linear, Output, Scale, Sum
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, integrate_and_fire
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.sim.reference import run_reference, stepper

ONE = Scale(1.0)


def column(*values):
    """[T, 1, 1] from T numbers."""
    return np.array(values, dtype=np.float64)[:, None, None]


def outputs(graph, name="y", **data):
    steps = max(len(x) for x in data.values())
    return run_reference(graph, data, steps, record=[name]).outputs[name][:, 0, 0].tolist()


def test_a_whole_chain_runs_in_one_step():
    graph = Graph({"x": Input((1,)), "a": Scale(2.0), "b": Scale(3.0), "y": Output()}, (Edge("x", "a"), Edge("a", "b"), Edge("b", "y")))
    assert outputs(graph, x=column(1, 0, 2)) == [6, 0, 12]


@pytest.mark.parametrize("delay", [1, 2, 5])
def test_a_delayed_edge_gives_zeros_first(delay):
    graph = Graph({"x": Input((1,)), "y": Output()}, (Edge("x", "y", delay),))
    assert outputs(graph, x=column(1, 2, 3, 4)) == [0] * min(delay, 4) + [1, 2, 3, 4][: max(0, 4 - delay)]


def test_edges_into_one_port_add_up_and_ports_stay_apart():
    nodes = {"x": Input((1,)), "s": Sum(), "c": Concat(), "y": Output()}
    edges = (Edge("x", "s"), Edge("x", "s", 1), Edge("x", "c"), Edge("s", "c", port=1), Edge("c", "y"))
    trace = run_reference(Graph(nodes, edges), {"x": column(1, 10, 100)}, 3)
    assert trace.outputs["y"][:, 0].tolist() == [[1, 1], [10, 11], [100, 110]]


def test_a_cycle_feeds_back_one_step_later():
    graph = Graph(
        {"x": Input((1,)), "s": Sum(), "h": Scale(0.5), "y": Output()}, (Edge("x", "s"), Edge("s", "h"), Edge("h", "s", 1), Edge("s", "y"))
    )
    assert outputs(graph, x=column(8, 0, 0, 1)) == [8, 4, 2, 2]


def test_a_neuron_may_feed_itself():
    graph = Graph({"x": Input((1,)), "n": integrate_and_fire(), "y": Output()}, (Edge("x", "n"), Edge("n", "n", 2), Edge("n", "y")))
    assert outputs(graph, x=column(1, 0, 0, 0, 0)) == [1, 0, 1, 0, 1]


def test_a_static_input_is_the_same_at_every_step():
    graph = Graph({"x": Input((1,), static=True), "n": LI(1.0), "y": Output()}, (Edge("x", "n"), Edge("n", "y")))
    once = run_reference(graph, {"x": column(0.25)}, 4)
    assert once.outputs["y"].ravel().tolist() == [0.25, 0.5, 0.75, 1.0]
    every = run_reference(graph, {"x": column(0.25, 0.25, 0.25, 0.25)}, 4)
    np.testing.assert_array_equal(every.outputs["y"], once.outputs["y"])


def test_neurons_and_outputs_are_kept_by_default_and_states_on_request():
    nodes = {"x": Input((2,)), "w": Linear(np.eye(2)), "n": LIF(decay=0.5), "y": Output()}
    graph = Graph(nodes, (Edge("x", "w"), Edge("w", "n"), Edge("n", "y")))
    x = np.zeros((3, 2, 2))
    x[0, 0, 0], x[1, 0, 0], x[1, 1, 1] = 0.5, 0.75, -1.0
    trace = run_reference(graph, {"x": x}, 3, states=True)
    assert set(trace.outputs) == {"n", "y"}
    assert set(trace.states) == {"n.v"}
    assert trace.states["n.v"][:, 0, 0].tolist() == [0.5, 0.0, 0.0]
    assert trace.outputs["n"][:, 0, 0].tolist() == [0, 1, 0]
    activity = trace.activity["n"]
    assert (activity.updates, activity.active) == (12, 3)
    assert activity.spikes.tolist() == [1, 0]
    assert activity.per_sample.tolist() == [1, 0]
    assert (trace.steps, trace.samples, trace.engine) == (3, 2, "reference")


def test_a_late_reset_keeps_two_words():
    graph = Graph({"x": Input((1,)), "n": LIF(decay=1.0, late=True, reset="subtract")}, (Edge("x", "n"),))
    trace = run_reference(graph, {"x": column(1.5, 0, 0)}, 3, states=True)
    assert trace.states["n.v"].ravel().tolist() == [1.5, 0.5, 0.5]
    assert trace.states["n.s"].ravel().tolist() == [1, 0, 0]


class Polynomial:
    """An array that NumPy knows nothing of: the coefficients of x, as an executor for another namespace would bring."""

    __array_ufunc__ = None

    def __init__(self, constant, slope=0.0):
        self.constant, self.slope = constant, slope

    def __add__(self, other):
        other = other if isinstance(other, Polynomial) else Polynomial(other)
        return Polynomial(self.constant + other.constant, self.slope + other.slope)

    def __mul__(self, factor):
        return Polynomial(self.constant * factor, self.slope * factor)

    def __sub__(self, other):
        return self + Polynomial(-np.asarray(other))

    __radd__ = __add__


def test_the_stepper_runs_over_arrays_it_does_not_know():
    nodes = {"x": Input((1,)), "n": LI(0.5), "y": Output()}
    graph = Graph(nodes, (Edge("x", "n"), Edge("x", "n", 1), Edge("n", "y")))
    feed = [{"x": Polynomial(0.0, 1.0)}, {"x": Polynomial(3.0)}]
    results = [step.outputs["y"] for step in stepper(graph, feed, 1, lift=Polynomial)]
    assert [(float(np.squeeze(r.constant)), float(np.squeeze(r.slope))) for r in results] == [(0, 1), (3, 1.5)]


@pytest.mark.parametrize(
    ("data", "steps", "what"),
    [
        ({"x": column(1, 2)}, 3, "have 2 steps"),
        ({"x": column(1)}, 3, "have 1 steps"),
        ({"z": column(1, 2)}, 2, "no such input"),
        ({}, 2, "no data"),
        ({"x": column(1, np.inf)}, 2, "NaN or infinite"),
        ({"x": np.ones((2, 1, 4))}, 2, "is not"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, steps, what):
    graph = Graph({"x": Input((1,)), "y": Output()}, (Edge("x", "y"),))
    with pytest.raises(DataError, match=what):
        run_reference(graph, data, steps)


def test_wrong_options_are_refused():
    graph = Graph({"x": Input((1,)), "y": Output()}, (Edge("x", "y"),))
    with pytest.raises(OptionError, match="less than 1"):
        run_reference(graph, {"x": column(1)}, 0)
    with pytest.raises(OptionError, match="no node"):
        run_reference(graph, {"x": column(1)}, 1, record=["q"])


@pytest.mark.parametrize("groups", [1, 2])
def test_a_convolution_in_parts_is_the_convolution(monkeypatch, groups):
    rng = np.random.default_rng(groups)
    x, weight = rng.integers(-8, 8, (5, 4, 7, 6)).astype(float), rng.integers(-8, 8, (6, 4 // groups, 3, 2)).astype(float)
    whole = NUMPY.conv(x, weight, (2, 1), ((1, 1), (0, 1)), (1, 2), groups)
    monkeypatch.setattr(on_numpy, "WINDOWS", 1)
    assert np.array_equal(NUMPY.conv(x, weight, (2, 1), ((1, 1), (0, 1)), (1, 2), groups), whole)


def test_layers_are_listed_in_running_order():
    nodes = {"b": LIF(frozen(0.5)), "a": LIF(frozen(0.5)), "x": Input((3,)), "out": Output("sum")}
    graph = Graph(nodes, (Edge("x", "b"), Edge("b", "a"), Edge("a", "out")), steps=2)
    assert list(run_reference(graph, {"x": np.ones((2, 1, 3))}, 2).activity) == ["b", "a"]


@pytest.mark.parametrize(("steps", "notes"), [(1, 0), (3, 1)])
def test_a_run_of_one_step_assumes_nothing_about_time(steps, notes):
    graph = Graph({"x": Input((2,), static=True), "out": Output("sum")}, (Edge("x", "out"),), steps=steps)
    assert len(describe_inputs(graph, Feed({"x": np.full((1, 4, 2), 0.5)}, None, steps))[1]) == notes
