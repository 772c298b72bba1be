"""Bounds of u and v: no run leaves them, they are reached, and what is too large is unknown, never proved."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.arrays import frozen_ints
from snndeploy.chip.models import STATE_MAX, HostInput, Lif, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.quantize.programs import program
from snndeploy.sim.chip import run_chip
from snndeploy.verify.proofs.registers import bounds, prove_registers, without_obligation

ints = st.integers


def one(weights, steps=6, exponent=0, host=False, **registers) -> ChipNetwork:
    """An input, one layer, itself again one step later, and perhaps a bias that the host writes."""
    size = len(weights)
    model = Lif(**{"du": 4095, "dv": 0, "vth": 1000} | registers)
    populations = {"x": Population("x", (len(weights[0]),), HostInput()), "n": Population("n", (size,), model)}
    projections = [Projection("p", "x", "n", Dense(frozen_ints(weights)), exponent)]
    if host:
        populations["h"] = Population("h", (size,), HostInput(12, signed=True))
        projections.append(Projection("w", "h", "n", Wire(as_bias=True)))
    back = frozen_ints(np.eye(size, dtype=np.int64) * 3)
    return ChipNetwork("", populations, (*projections, Projection("r", "n", "n", Dense(back), delay=1)), steps=steps)


def ran(network, inputs):
    return run_chip(network, inputs, exact=True, states=True)


@settings(max_examples=40)
@given(
    weights=st.lists(st.lists(ints(-128, 127), min_size=3, max_size=3), min_size=2, max_size=2),
    registers=st.fixed_dictionaries({"du": ints(-1, 4095), "dv": ints(0, 4095), "vth": ints(-5, 4000), "bias_mant": ints(-4095, 4095),
                                     "bias_exp": ints(-3, 7), "u": ints(-9000, 9000), "v": ints(-9000, 9000)}),
    exponent=ints(-2, 3), host=st.booleans(), seed=ints(0, 2**16),
)  # fmt: skip
def test_no_run_leaves_the_bounds(weights, registers, exponent, host, seed):
    network = one(weights, exponent=exponent, host=host, **registers)
    rng = np.random.default_rng(seed)
    inputs = {"x": rng.integers(0, 2, (6, 20, 3))} | ({"h": rng.integers(-4095, 4096, (6, 20, 2))} if host else {})
    trace = ran(network, inputs)
    (u_low, u_high), (v_low, v_high), steps = bounds(network, network.populations["n"])
    assert steps == network.steps + network.latency
    if max(u_high.max(), v_high.max(), -u_low.min(), -v_low.min()) > STATE_MAX:
        return
    u, v = (trace.states[f"n.{word}"].reshape(-1, 2) for word in "uv")
    assert ((u >= u_low) & (u <= u_high)).all()
    assert ((v >= v_low) & (v <= v_high)).all()
    assert trace.activity["n"].wraps == trace.activity["n"].saturations == 0


def test_the_bounds_are_reached():
    """All inputs that help and none that hurt, at every step, without a leak: nothing smaller bounds it."""
    network = dataclasses.replace(one([[100, -30, 20]], vth=1 << 16), projections=one([[100, -30, 20]]).projections[:1])
    (u_low, u_high), (v_low, v_high), steps = bounds(network, network.populations["n"])
    for sign, u_end, v_end in ((1, u_high, v_high), (-1, u_low, v_low)):
        x = np.broadcast_to((np.sign([100, -30, 20]) == sign).astype(np.int64), (6, 1, 3))
        trace = ran(network, {"x": x})
        assert trace.states["n.u"][:, 0, 0].max() == u_end[0] if sign > 0 else trace.states["n.u"][:, 0, 0].min() == u_end[0]
        # the first step has nothing to sum yet, which the bound does not use
        assert v_end[0] == int(trace.states["n.v"][-1, 0, 0]) + u_end[0]
        assert steps == 6


def proofs(network):
    return {(p.layer, p.name): p.status for p in prove_registers(network)}


def test_what_may_wrap_or_clip_is_unknown():
    assert proofs(one([[100]])) == {("n", "no wrap of u"): "proved", ("n", "no clip of v"): "proved"}
    wide = one([[127] * 40], exponent=7, vth=1 << 16)
    assert set(proofs(wide).values()) == {"unknown"}
    assert ran(wide, {"x": np.ones((6, 1, 40), np.int64)}).activity["n"].wraps
    slow = one([[127, -127]], steps=2000, exponent=3, vth=1 << 16)
    assert proofs(slow) == {("n", "no wrap of u"): "proved", ("n", "no clip of v"): "unknown"}
    falling = np.broadcast_to([0, 1], (2000, 1, 2))
    assert ran(slow, {"x": falling}).activity["n"].saturations


def test_a_network_of_open_length_is_proved_only_where_its_bounds_rest():
    assert set(proofs(one([[50, -50]], steps=0, dv=2048)).values()) == {"proved"}
    assert set(proofs(one([[50, -50]], steps=0)).values()) == {"unknown"}


def test_images_are_bounded_position_by_position():
    model = Lif(4095, 100, 500)
    kernel = frozen_ints(np.array([[[[5, -7], [11, 3]]]]))
    populations = {"x": Population("x", (1, 3, 3), HostInput()), "n": Population("n", (1, 2, 2), model)}
    conv = Conv(kernel, (1, 1), ((0, 0), (0, 0)), (1, 1), 1)
    network = ChipNetwork("", populations, (Projection("p", "x", "n", conv),), steps=4)
    (low, high), _, _ = bounds(network, network.populations["n"])
    assert (low == -7 * 64).all()
    assert (high == 19 * 64).all()


def test_populations_without_an_obligation_are_named():
    node = IntegerNeuron(4095, 1000, np.array([70.0]), np.array([1.0]))
    known = program(node, "k")
    odd = dataclasses.replace(known, constants={**known.constants, "extra": frozen_ints(1)})
    assert isinstance(odd, NeuronProgram)
    models = {"x": HostInput(), "lif": Lif(4095, 0, 5), "known": known, "odd": odd, "delta": SigmaDelta(1.0)}
    network = ChipNetwork("", {n: Population(n, (1,), m) for n, m in models.items()}, (), steps=3)
    why = "an older file, or a program written by hand: it holds no definition but the program, convert again"
    assert without_obligation(network) == (
        f"proofs: no obligation covers odd (neuron program; {why})",
        "proofs: no obligation covers delta (SigmaDelta)",
    )


def test_the_budget_ends_all_questions_and_says_so():
    pytest.importorskip("z3")
    from snndeploy.flow.proving import prove

    found = prove(one([[100]]), budget=0.0)
    asked = [p for p in found if p.by == "z3"]
    assert asked
    assert all(p.status == "unknown" and "budget of 0 s" in p.found for p in asked)
    assert {p.status for p in found if p.by == "arithmetic"} == {"proved"}


def test_a_late_layer_that_rests_until_its_input_comes_counts_its_own_steps_only():
    first = one([[100, -30]], vth=1 << 16)
    late = {"x": first.populations["x"], "n": dataclasses.replace(first.populations["n"], shift=3)}
    waiting = (dataclasses.replace(first.projections[0], delay=2),)
    network = dataclasses.replace(first, populations=late, projections=waiting)
    assert network.latency == 3
    early = dataclasses.replace(network, projections=(dataclasses.replace(first.projections[0], delay=1),))
    biased = dataclasses.replace(late["n"], model=Lif(4095, 0, 1 << 16, bias_mant=1))
    spans = [bounds(n, n.populations["n"])[2] for n in (network, early, dataclasses.replace(network, populations={**late, "n": biased}))]
    assert spans == [6, 9, 9]
