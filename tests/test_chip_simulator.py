"""The chip simulator: when spikes arrive, what a run leaves behind, and what it refuses."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.program import assemble
from snndeploy.errors import ChipError, DataError, OptionError
from snndeploy.sim.chip import run_chip
from snndeploy.sim.synapses import sender


def relay(du=4095, dv=4096, vth=0, **more):
    """A LIF that forgets at once and fires on any positive input."""
    return Lif(du=du, dv=dv, vth=vth, **more)


def network(populations, *projections, **more):
    return ChipNetwork("test", {p.name: p for p in populations}, projections, **more)


def chain(*models, weight=1, shape=(1,)):
    """x -> a -> b -> ..., one synapse of ``weight`` between neurons of the same index."""
    names = ["x", *"abcdefgh"[: len(models)]]
    populations = [
        Population("x", shape, HostInput()),
        *(Population(n, shape, m, shift=i + 1) for i, (n, m) in enumerate(zip(names[1:], models, strict=True))),
    ]
    diagonal = weight * np.eye(int(np.prod(shape)), dtype=np.int64)
    projections = [Projection(f"{a}{b}", a, b, Dense(diagonal)) for a, b in itertools.pairwise(names)]
    return network(populations, *projections)


def pulse(steps, at=0, batch=1, shape=(1,)):
    x = np.zeros((steps, batch, *shape), np.int64)
    x[at] = 1
    return x


def test_a_spike_moves_one_layer_a_step():
    trace = run_chip(chain(relay(), relay(), relay()), {"x": pulse(4, at=1)})
    assert trace.steps == 4 + 3
    assert trace.shifts == {"x": 0, "a": 1, "b": 2, "c": 3}
    assert {name: int(np.flatnonzero(s)[0]) for name, s in trace.outputs.items()} == {"x": 1, "a": 2, "b": 3, "c": 4}


@pytest.mark.parametrize("delay", [0, 1, 62])
def test_a_delay_adds_to_the_step_every_projection_takes(delay):
    x, a = Population("x", (1,), HostInput()), Population("a", (1,), relay())
    trace = run_chip(network([x, a], Projection("p", "x", "a", Dense([[1]]), delay=delay)), {"x": pulse(1)}, steps=70)
    assert np.flatnonzero(trace.outputs["a"]).tolist() == [1 + delay]


def test_synapses_of_one_projection_arrive_by_their_own_delays():
    x, a = Population("x", (1,), HostInput()), Population("a", (3,), relay())
    for synapses in (Dense([[1], [1], [1]], [[0], [2], [5]]), Sparse([0, 1, 2], [0, 0, 0], [1, 1, 1], [0, 2, 5])):
        trace = run_chip(network([x, a], Projection("p", "x", "a", synapses, delay=1)), {"x": pulse(1)}, steps=12)
        assert [np.flatnonzero(trace.outputs["a"][:, 0, i]).tolist() for i in range(3)] == [[2], [4], [7]]


def test_a_wire_acts_in_the_same_step_and_may_wait():
    x, a, b = Population("x", (1,), HostInput()), Population("a", (1,), relay()), Population("b", (1,), relay())
    net = network([x, a, b], Projection("now", "x", "a", Wire()), Projection("late", "x", "b", Wire(), delay=2))
    trace = run_chip(net, {"x": pulse(3)}, steps=4)
    assert trace.outputs["a"].ravel().tolist() == [1, 0, 0, 0]
    assert trace.outputs["b"].ravel().tolist() == [0, 0, 1, 0]


def test_a_wired_bias_is_shifted_by_the_bias_exponent_and_ends_with_the_data():
    x = Population("x", (2,), HostInput(8, signed=True, static=True))
    a = Population("a", (2,), Lif(du=4095, dv=0, vth=NEVER_FIRES, bias_mant=1, bias_exp=[3, -1]), shift=1, reads="v")
    net = network([x, a], Projection("p", "x", "a", Wire(as_bias=True)), steps=2)
    trace = run_chip(net, {"x": np.array([[[5, -5]]])})
    assert trace.outputs["a"][:, 0].tolist() == [[48, -3], [96, -6], [104, -6]]


def test_a_cycle_reverberates_and_the_start_is_cleared():
    x, a = Population("x", (1,), HostInput()), Population("a", (1,), relay())
    net = network([x, a], Projection("in", "x", "a", Dense([[1]])), Projection("loop", "a", "a", Dense([[1]]), delay=1))
    trace = run_chip(net, {"x": np.stack([pulse(1)[0], 0 * pulse(1)[0]], axis=1)}, steps=8)
    assert trace.outputs["a"][:, 0].ravel().tolist() == [0, 1, 0, 1, 0, 1, 0, 1]
    assert not trace.outputs["a"][:, 1].any()


def test_projections_into_one_population_add_up():
    x, y = Population("x", (1,), HostInput()), Population("y", (1,), HostInput())
    a = Population("a", (1,), Lif(du=4095, dv=4096, vth=5))
    net = network([x, y, a], Projection("xa", "x", "a", Dense([[3]])), Projection("ya", "y", "a", Dense([[3]])))
    on, off = pulse(1), 0 * pulse(1)
    for x_in, y_in, expected in ((on, off, 0), (off, on, 0), (on, on, 1)):
        assert run_chip(net, {"x": x_in, "y": y_in}, steps=2).outputs["a"].sum() == expected


def test_lif_reset_clears_before_integrating():
    neuron = Lif(du=4095, dv=0, vth=NEVER_FIRES, bias_mant=1, reset_interval=3, reset_offset=2)
    x, a = Population("x", (1,), HostInput()), Population("a", (1,), neuron, reads="v")
    for exact in (False, True):
        trace = run_chip(network([x, a]), {"x": pulse(1)}, steps=7, exact=exact)
        assert trace.outputs["a"].ravel().tolist() == [1, 1, 2, 3, 1, 2, 3]


def test_a_program_starts_over_at_its_reset_and_its_time_table_with_it():
    program = assemble("count", "LDT g G\nADD n n g\nADD n n I\nSPK n n", {"n": 10}, {}, reset_at=3, tables={"G": [1, 100]})
    x, a = Population("x", (1,), HostInput(2)), Population("a", (1,), program)
    net = network([x, a], Projection("p", "x", "a", Dense([[2]]), graded=True))
    trace = run_chip(net, {"x": np.array([3, 0, 0, 0])[:, None, None]}, states=True)
    assert trace.outputs["a"].ravel().tolist() == [11, 12 + 3 * 2 * 64, 11, 111]
    np.testing.assert_array_equal(trace.outputs["a"], trace.states["a.n"])


# ------------------------------------------------------------------------------------- what a run leaves behind


def test_never_fires_never_fires_even_when_saturated():
    neuron = Lif(du=-1, dv=0, vth=NEVER_FIRES, bias_mant=2**15 - 1, bias_exp=16)
    x, a = Population("x", (1,), HostInput()), Population("a", (1,), neuron, reads="v")
    trace = run_chip(network([x, a]), {"x": pulse(1)}, steps=50)
    assert trace.outputs["a"].max() == 2**23 - 1
    assert not trace.activity["a"].spikes.any()
    assert trace.activity["a"].saturations == 50


def test_activity_counts_spikes_updates_inputs_wraps_and_saturations():
    x = Population("x", (2,), HostInput(20))
    a = Population("a", (2,), Lif(du=4095, dv=0, vth=100, bias_mant=[0, 1]), shift=1)
    net = network([x, a], Projection("p", "x", "a", Dense([[1, 0], [0, 1]]), graded=True))
    data = np.zeros((3, 2, 2), np.int64)
    data[0, 0, 0], data[1, 1, 0] = 2**18, 2**17 - 1
    trace = run_chip(net, {"x": data})
    activity = trace.activity["a"]
    assert (activity.updates, activity.active, activity.wraps, activity.saturations) == (16, 8 + 2, 1, 0)
    assert activity.spikes.tolist() == [1, 0]
    assert activity.per_sample.tolist() == [0, 1]
    assert trace.activity["x"].spikes.tolist() == [2, 0]
    assert trace.activity["x"].updates == 0


def test_record_and_states_keep_only_what_is_asked_for():
    net = chain(relay(), relay())
    trace = run_chip(net, {"x": pulse(2)}, record=["b"], states=["a"])
    assert set(trace.outputs) == {"b"}
    assert set(trace.states) == {"a.u", "a.v"}
    assert set(trace.activity) == {"x", "a", "b"}
    assert trace.outputs["b"].sum() == trace.activity["b"].spikes.sum() == 1


def test_progress_counts_the_steps_of_all_batches():
    seen = []
    run_chip(chain(relay()), {"x": pulse(2, batch=5)}, batch=2, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 9) for i in range(1, 10)]


def test_no_samples_give_an_empty_trace():
    trace = run_chip(chain(relay()), {"x": pulse(2, batch=0)})
    assert trace.samples == 0
    assert trace.outputs["a"].shape == (3, 0, 1)


def test_static_input_alone_runs_for_the_networks_steps():
    x, a = Population("x", (1,), HostInput(static=True)), Population("a", (1,), relay(), shift=1)
    net = network([x, a], Projection("p", "x", "a", Dense([[1]])), steps=3)
    assert run_chip(net, {"x": pulse(1)}).outputs["a"].ravel().tolist() == [0, 1, 1, 1]
    assert run_chip(net, {"x": np.ones((3, 1, 1))}).outputs["x"].ravel().tolist() == [1, 1, 1, 0]


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("data", "what"),
    [
        ({}, "no data is given"),
        ({"x": pulse(2), "y": pulse(2)}, "no such input"),
        ({"x": np.ones((2, 1))}, "is not"),
        ({"x": np.ones((0, 1, 1))}, "is not"),
        ({"x": pulse(2) * 0.5}, "whole numbers"),
        ({"x": pulse(2) * np.nan}, "whole numbers"),
        ({"x": pulse(2) * 2}, "outside 0..1"),
        ({"x": -pulse(2)}, "outside 0..1"),
        ({"x": pulse(2).astype(str)}, "not numbers"),
    ],
)
def test_data_that_do_not_fit_are_refused(data, what):
    with pytest.raises(DataError, match=what):
        run_chip(chain(relay()), data)


@pytest.mark.parametrize(
    ("host", "low", "high"), [(HostInput(8), 0, 255), (HostInput(8, signed=True), -255, 255), (HostInput(0, signed=True), 0, 1)]
)
def test_payloads_fill_their_bits_and_no_more(host, low, high):
    net = network([Population("x", (1,), host), Population("a", (1,), relay())])
    assert run_chip(net, {"x": np.array([low, high])[:, None, None]}).outputs["x"].ravel().tolist() == [low, high]
    for value in (low - 1, high + 1):
        with pytest.raises(DataError, match="payload bits"):
            run_chip(net, {"x": np.array([[[value]]])})


def test_inputs_must_agree_and_static_ones_stay_the_same():
    x, y = Population("x", (1,), HostInput()), Population("y", (1,), HostInput(static=True))
    net = network([x, y, Population("a", (1,), relay())])
    with pytest.raises(DataError, match="differ in steps"):
        run_chip(net, {"x": pulse(3), "y": np.ones((2, 1, 1))})
    with pytest.raises(DataError, match="differ in samples"):
        run_chip(net, {"x": pulse(3), "y": pulse(1, batch=2)})
    with pytest.raises(DataError, match="is static"):
        run_chip(net, {"x": pulse(3), "y": pulse(3)})
    with pytest.raises(DataError, match="nothing to run on"):
        run_chip(network([Population("a", (1,), relay())]), {})


def test_wrong_options_are_refused():
    with pytest.raises(OptionError, match=r"there is no population .aa."):
        run_chip(chain(relay()), {"x": pulse(1)}, record=["aa"])
    with pytest.raises(OptionError, match="no population"):
        run_chip(chain(relay()), {"x": pulse(1)}, states=["z"])
    for wrong in ({"steps": 0}, {"batch": 0}):
        with pytest.raises(OptionError, match="nothing to run"):
            run_chip(chain(relay()), {"x": pulse(1)}, **wrong)


@pytest.mark.parametrize("model", [SigmaDelta(1.0), HostInput()])
def test_reading_v_of_a_model_without_it_is_refused(model):
    x, a = Population("x", (1,), HostInput()), Population("a", (1,), model, reads="v")
    with pytest.raises(ChipError, match="no word of that name"):
        run_chip(network([x, a]), {"x": pulse(1)} | ({"a": pulse(1)} if isinstance(model, HostInput) else {}))


def test_a_wire_cannot_be_summed():
    with pytest.raises(ChipError, match="no synapses"):
        sender(Projection("p", "x", "a", Wire()), (1,), (1,), exact=True)


LIF_PAIR = [Population("x", (1, 4), HostInput()), Population("a", (1, 2), relay()), Population("s", (1, 2), SigmaDelta(1.0))]


@pytest.mark.parametrize(
    ("projection", "what"),
    [
        (Projection("p", "x", "a", Conv([[[1, 1]]], (1,), ((0, 0),), (1,))), "does not fit"),
        (Projection("p", "x", "a", Conv([[[1, 1, 1]]], (1,), ((0, 0),), (1,)), 2), "has no exponent"),
        (Projection("p", "x", "a", Wire()), "does not fit"),
        (Projection("p", "a", "x", Dense(np.ones((4, 2)))), "nothing can enter"),
        (Projection("p", "x", "a", Dense(np.ones((2, 4)), np.zeros((2, 3)))), "do not fit weights"),
        (Projection("p", "x", "a", Dense(np.ones((2, 4)), np.full((2, 4), 60)), delay=3), "outside 0..62"),
        (Projection("p", "x", "a", Sparse([2], [0], [1])), "does not fit"),
        (Projection("p", "x", "a", Sparse([-1], [0], [1])), "does not fit"),
        (Projection("p", "x", "a", Sparse([0, 1], [0], [1])), "does not fit"),
        (Projection("p", "x", "a", Conv(np.ones((1, 1, 5)), (1,), ((0, 0),), (1,))), "does not fit"),
        (Projection("p", "x", "a", Conv(np.ones((1, 2, 3)), (1,), ((0, 0),), (1,))), "does not fit"),
    ],
)
def test_projections_that_mean_nothing_are_not_made(projection, what):
    with pytest.raises(ChipError, match=what):
        network(LIF_PAIR, projection)


def test_a_bias_wire_needs_a_bias_register():
    drive = Population("x", (1, 2), HostInput(4))
    with pytest.raises(ChipError, match="no bias register"):
        network([drive, LIF_PAIR[2]], Projection("p", "x", "s", Wire(as_bias=True)))


@pytest.mark.parametrize("phases", [1, 2])
def test_a_rate_counts_the_steps_of_the_model_however_deep_the_layer(phases):
    """A relay behind a relay passes on every spike of 5 steps: a rate of 1 for both, as in a graph, though the chip runs on."""
    passing = Lif(du=4095, dv=4096, vth=0)
    populations = (Population("x", (1,), HostInput()), Population("a", (1,), passing, shift=1), Population("b", (1,), passing, shift=2))
    links = (Projection("xa", "x", "a", Dense([[1]])), Projection("ab", "a", "b", Dense([[1]])))
    network = ChipNetwork("test", {p.name: p for p in populations}, links, steps=5, phases=phases)
    trace = run_chip(network, {"x": np.ones((5, 3, 1), np.int64)}, batch=2)
    assert (trace.steps, trace.length) == (5 * phases + 2, 5)
    assert (trace.rate("a"), trace.rate("b"), trace.rate("x")) == (1.0, 1.0, 0.0)
