"""Quantization: whole numbers within the registers, one least significant bit a layer, and errors that say what to do."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from snndeploy.arrays import frozen
from snndeploy.errors import OptionError, QuantizeError, Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Conv, Input, Linear, Output, Reshape, Scale
from snndeploy.ir.neurons.burst import Burst, lifb
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.decoupling import CONSTANT, U_LIMIT
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, integrate_and_fire
from snndeploy.ir.paths import input_bound, neurons
from snndeploy.quantize import Quantized, Settings, quantize
from snndeploy.quantize.grid import on_grid
from snndeploy.quantize.sources import coarser_units, input_unit, largest_step, level_unit
from snndeploy.sim.reference import run_reference

STEPS = 12


def chain(*nodes, decode="count"):
    """x -> nodes, called a, b, c, ... -> y."""
    named = dict(zip("abcdefghij", nodes[1:], strict=False))
    names = ["x", *named, "y"]
    edges = tuple(Edge(one, other) for one, other in itertools.pairwise(names))
    return Graph({"x": nodes[0], **named, "y": Output(decode)}, edges)


def spikes(width, rate=0.4, seed=0, batch=30, steps=STEPS):
    return (np.random.default_rng(seed).random((steps, batch, width)) < rate).astype(float)


def run_quantize(graph, x, steps=STEPS, **settings) -> Quantized:
    inputs = x if isinstance(x, dict) else {"x": x}
    trace = run_reference(graph, inputs, steps)
    whole = {name: np.broadcast_to(values, (steps, *values.shape[1:])) for name, values in inputs.items()}
    return quantize(graph, Settings(steps, **{"programs": True, **settings}), {**trace.outputs, **whole})


def outputs(q: Quantized, x, name, steps=STEPS):
    whole = {"x": np.round(x / q.units["x"])}
    if CONSTANT in q.graph.nodes:
        whole[CONSTANT] = np.ones((1, x.shape[1], 1))
    return run_reference(q.graph, whole, steps, record=[name]).outputs[name]


def random_weights(rows, columns, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, columns)) / np.sqrt(columns)


# ------------------------------------------------------------------------------------------------------------ the grid

VALUES = st.one_of(st.integers(-255, 255), st.integers(-(2**17), 2**17), st.integers(-127, 127).map(lambda n: n << 7))


@given(arrays(np.int64, array_shapes(min_dims=2, max_dims=2, max_side=4), elements=VALUES), st.booleans())
def test_the_parts_of_a_matrix_add_up_and_each_is_legal(weights, exponent):
    if np.abs(weights).max() > (8 * 254 << 7 if exponent else 8 * 254):
        with pytest.raises(QuantizeError, match="beyond"):
            on_grid(weights, exponent=exponent, where="layer")
        return
    parts = on_grid(weights, exponent=exponent, where="layer")
    assert (sum((m << e for m, e in parts), np.zeros_like(weights)) == weights).all()
    for m, e in parts:
        assert m.any()
        assert 0 <= e <= (7 if exponent else 0)
        mixed = m.min() < 0 < m.max()
        assert np.abs(m).max() <= (254 if mixed else 255)
        assert not mixed or not (m & 1).any()


@pytest.mark.parametrize(
    ("weights", "exponent", "parts"),
    [
        ([[0, 0]], True, []),
        ([[255, 3]], True, [([[255, 3]], 0)]),
        ([[-255, -3]], True, [([[-255, -3]], 0)]),
        ([[254, -4]], False, [([[254, -4]], 0)]),
        ([[5, -4]], True, [([[5, 0]], 0), ([[0, -4]], 0)]),
        ([[512, 0]], True, [([[4, 0]], 7)]),
        ([[96, -32]], True, [([[6, -2]], 4)]),
        ([[300, 1]], True, [([[44, 1]], 0), ([[2, 0]], 7)]),
        ([[300, 1]], False, [([[254, 1]], 0), ([[46, 0]], 0)]),
    ],
)
def test_how_a_matrix_is_written(weights, exponent, parts):
    got = on_grid(np.array(weights), exponent=exponent, where="layer")
    assert [(m.tolist(), e) for m, e in got] == parts


@pytest.mark.parametrize(("weight", "exponent"), [(2**18, True), (8 * 254 + 1, False)])
def test_a_weight_beyond_all_parts_is_refused(weight, exponent):
    with pytest.raises(QuantizeError, match="layer") as refusal:
        on_grid(np.array([[weight]]), exponent=exponent, where="layer")
    assert refusal.value.hint == "L005: fewer weight bits"


# ---------------------------------------------------------------------------------------------- thresholds and scales


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("theta", [0.3, 1.0, 7.77])
def test_the_scale_puts_the_threshold_on_its_register(strict, theta):
    """theta = 64 m + 1 for >=, 64 m for >: `v > vth << 6` then says exactly what the model says."""
    node = LIF(frozen(0.5), threshold=frozen(theta), strict=strict)
    q = run_quantize(chain(Input((9,), "spikes"), Linear(random_weights(6, 9)), node), spikes(9))
    (layer,) = q.layers
    wanted = theta * 64 / layer.scale
    (t,) = q.graph.nodes["b"].thresholds
    assert t % 64 == 0
    # or, for >=, one mantissa below a whole threshold, where that loses less: ties then fire
    past = round(wanted - t)
    assert wanted == pytest.approx(t + past, abs=1e-6)
    assert past in ([0] if strict else [1, 64])
    assert layer.threshold_shift == pytest.approx(max(0, past - 1) / wanted, abs=1e-12)
    assert q.graph.nodes["b"].fixed


def test_several_thresholds_are_rounded_and_the_shift_is_told():
    theta = np.array([0.31, 0.5, 1.7])
    node = LIF(frozen(0.5), threshold=frozen(theta))
    q = run_quantize(chain(Input((9,), "spikes"), Linear(random_weights(3, 9)), node), spikes(9))
    wanted, got = theta * 64 / q.layers[0].scale, q.graph.nodes["b"].thresholds[0]
    assert (got % 64 == 0).all()
    assert (np.abs(got - wanted) <= 33).all()
    assert q.layers[0].threshold_shift == pytest.approx(((np.abs(got - wanted) - 1) / wanted).max(), rel=1e-6)


@pytest.mark.parametrize(("theta", "strict", "t"), [(0.0, False, -1), (-0.5, True, None), (0.0, True, 0)])
def test_a_neuron_that_fires_at_rest_keeps_doing_so(theta, strict, t):
    node = LIF(frozen(0.5), threshold=frozen(theta), strict=strict)
    graph, x = chain(Input((9,), "spikes"), Linear(random_weights(6, 9)), node), spikes(9, rate=0.1)
    q = run_quantize(graph, x)
    got = q.graph.nodes["b"].thresholds[0]
    assert got == t if t is not None else got < -1
    assert q.graph.nodes["b"].fixed is (t == 0)
    assert q.layers[0].error < 0.02
    silent = outputs(q, np.zeros_like(x), "b")
    np.testing.assert_array_equal(silent, run_reference(graph, {"x": np.zeros_like(x)}, STEPS).outputs["b"])


def test_thresholds_of_programs_are_not_rounded_to_the_mantissa():
    theta = np.array([0.31, 0.5, 1.7])
    node = LIF(frozen(0.5), threshold=frozen(theta), reset="subtract", amount=frozen(theta))
    q = run_quantize(chain(Input((9,), "spikes"), Linear(random_weights(3, 9)), node), spikes(9))
    got = q.graph.nodes["b"]
    assert (np.abs(got.thresholds[0] - theta * 64 / q.layers[0].scale) <= 1).all()
    assert q.layers[0].threshold_shift == 0
    assert (got.amounts[0] <= got.thresholds[0] + 1).all()  # a spike never takes a potential below 0


def test_lateral_thresholds_lie_where_the_lateral_synapses_are_whole():
    graph = chain(Input((9,), "spikes"), Linear(random_weights(6, 9)), lifb(0.75, 0.5, 1.0, 2.0, reset="subtract"))
    q = run_quantize(graph, spikes(9), snap=True, decoupled=True)
    node = q.graph.nodes["b"]
    assert (node.thresholds % (64 * 4) == 0).all()
    assert (node.thresholds * (4096 - node.dv) % (64 * 4096) == 0).all()
    assert (node.amounts * (4096 - node.dv) % (64 * 4096) == 0).all()
    assert (node.thresholds > 0).all()
    assert q.layers[0].error < 0.05


def test_a_decay_that_lateral_synapses_cannot_follow_is_refused():
    """0.9 is 3686 / 4096: whole lateral weights need thresholds of 2048 weight units, and a Conv has no exponent."""
    burst = lifb(0.9, 0.5, 1.0, 2.0, reset="subtract")
    graph = chain(Input((1, 4, 4), "spikes"), Conv(np.full((1, 1, 3, 3), 0.25)), burst)
    x = (np.random.default_rng(0).random((STEPS, 20, 1, 4, 4)) < 0.4).astype(float)
    with pytest.raises(QuantizeError, match="thresholds of 2048 weight units") as refusal:
        run_quantize(graph, x, snap=True, decoupled=True)
    assert "L006" in refusal.value.hint
    plain = LIF(frozen(0.9), threshold=frozen(0.5), reset="subtract", amount=frozen(0.5))
    run_quantize(chain(Input((1, 4, 4), "spikes"), Conv(np.full((1, 1, 3, 3), 0.25)), plain), x, snap=True)  # has no lateral synapses


# ------------------------------------------------------------------------------------------------------------- weights


def two_paths(small: float) -> Graph:
    """A neuron fed by two layers whose weights differ by a factor."""
    nodes = {"x": Input((9,), "spikes"), "w": Linear(random_weights(6, 9)), "s": Linear(random_weights(6, 9, 1) * small)}
    nodes |= {"n": LIF(frozen(0.5), threshold=frozen(0.5)), "y": Output("count")}
    return Graph(nodes, (Edge("x", "w"), Edge("x", "s"), Edge("w", "n"), Edge("s", "n"), Edge("n", "y")))


@pytest.mark.parametrize("small", [1.0, 0.1, 0.01])
def test_all_projections_onto_a_neuron_share_one_bit_and_have_their_own_exponent(small):
    graph = two_paths(small)
    q = run_quantize(graph, spikes(9))
    (layer,) = q.layers
    for name in ("w", "s"):
        real, got = graph.nodes[name].weight, q.graph.nodes[name].weight
        step = 2.0 ** np.ceil(np.log2(np.abs(got).max() / 254)) * 2 if np.abs(got).max() > 254 else 2
        clipped = np.abs(got) == np.abs(got).max()
        assert (np.abs(got * layer.scale - real)[~clipped] <= step * layer.scale / 2 + 1e-12).all()
        ((_, exponent),) = on_grid(got.astype(np.int64), exponent=True, where=name)
        assert exponent <= 7
    assert layer.error < 0.02


def test_a_convolution_without_exponent_sets_the_scale():
    """The Conv's weights are ten times the skip's: the skip must shift, the Conv cannot."""
    nodes = {"x": Input((1, 5, 5), "spikes"), "c": Conv(np.random.default_rng(0).normal(size=(1, 1, 3, 3)), None, (), ((1, 1), (1, 1)))}
    nodes |= {"s": Scale(frozen(4.0)), "n": LIF(frozen(0.5)), "y": Output("count")}
    graph = Graph(nodes, (Edge("x", "c"), Edge("x", "s"), Edge("c", "n"), Edge("s", "n"), Edge("n", "y")))
    q = run_quantize(graph, (np.random.default_rng(1).random((STEPS, 9, 1, 5, 5)) < 0.3).astype(float))
    assert np.abs(q.graph.nodes["c"].weight).max() <= 254
    assert np.abs(q.graph.nodes["s"].scale).max() > 254
    assert q.graph.nodes["s"].scale * q.layers[0].scale == pytest.approx(4.0, rel=0.01)


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("sign", ["mixed", "one"])
def test_weight_bits(bits, sign):
    weight = random_weights(40, 30)
    weight = np.abs(weight) if sign == "one" else weight
    q = run_quantize(chain(Input((30,), "spikes"), Linear(weight), LIF(frozen(0.5))), spikes(30, 0.1), weight_bits={"*": bits})
    got = q.graph.nodes["a"].weight
    assert len(np.unique(got)) <= 2**bits
    assert np.gcd.reduce(got.astype(int), axis=None) % 2 ** (8 - bits + (sign == "mixed")) == 0
    assert q.layers[0].weight_bits == bits


def test_one_sign_keeps_odd_weights():
    weight = np.abs(random_weights(40, 30))
    q = run_quantize(chain(Input((30,), "spikes"), Linear(weight), LIF(frozen(0.5))), spikes(30, 0.1))
    assert (q.graph.nodes["a"].weight % 2 == 1).any()


def test_weight_bits_by_layer_first_match_wins():
    nodes = (Linear(random_weights(9, 9)), LIF(frozen(0.5), threshold=frozen(0.3)), Linear(random_weights(9, 9, 1)), LIF(frozen(0.5)))
    q = run_quantize(chain(Input((9,), "spikes"), *nodes), spikes(9), weight_bits={"b": 3, "*": 6})
    assert [(layer.layer, layer.weight_bits) for layer in q.layers] == [("b", 3), ("d", 6)]


@pytest.mark.parametrize("bits", [1, 9])
def test_weight_bits_beyond_the_synapse_are_refused(bits):
    with pytest.raises(OptionError, match="weight-bits"):
        Settings(steps=1, weight_bits={"b*": bits}).bits("b")


def test_more_bits_lose_less():
    graph = chain(Input((60,), "spikes"), Linear(random_weights(50, 60)), LIF(frozen(0.5), threshold=frozen(0.5)))
    x = spikes(60, 0.3)
    errors = [run_quantize(graph, x, weight_bits={"*": bits}).layers[0].error for bits in (2, 3, 4, 6, 8)]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > 20 * errors[-1]
    membrane = chain(Input((60,), "spikes"), Linear(random_weights(50, 60)), LI(frozen(0.75)))
    coarse, fine = (run_quantize(membrane, x, weight_bits={"*": bits}).layers[0].error for bits in (3, 8))
    assert fine < coarse / 10


def test_what_is_exactly_representable_is_exact():
    rng = np.random.default_rng(0)
    weight = rng.integers(-63, 64, (8, 20)) / 64
    weight[0, 0] = 127 / 64
    graph = chain(Input((20,), "spikes"), Linear(weight, rng.integers(-8, 9, 8) / 64), integrate_and_fire(1.0, strict=True))
    x = spikes(20)
    q = run_quantize(graph, x)
    assert q.layers[0].scale == 1 / 128
    assert q.layers[0].error == 0
    assert q.layers[0].decay_shift == 0
    np.testing.assert_array_equal(outputs(q, x, "b"), run_reference(graph, {"x": x}, STEPS).outputs["b"])


@pytest.mark.parametrize("shape", [(6,), (1,), ()])
def test_a_gain_folds_into_the_rows_it_scales(shape):
    gain = np.random.default_rng(2).uniform(0.5, 2, shape)
    linear, x = Linear(random_weights(6, 9), np.full(6, 0.1)), spikes(9)
    q = run_quantize(chain(Input((9,), "spikes"), linear, LIF(frozen(0.5), frozen(gain), frozen(0.4))), x)
    unit = q.layers[0].scale
    folded = q.graph.nodes["a"].weight * unit
    most = np.abs(folded).max()  # a finer unit may be worth more than the largest weights, which are then cut
    assert np.abs(folded - np.clip(linear.weight * np.broadcast_to(gain, (6,))[:, None], -most, most)).max() < 2.01 * unit
    assert q.layers[0].error < 0.02
    assert q.graph.nodes["b"].bias * unit / 64 == pytest.approx(np.broadcast_to(0.1 * gain, (6,)), abs=unit / 2)


def test_gains_of_images_fold_by_shape_not_by_size():
    """Three channels and three columns: a gain of shape (3,) goes with the columns, (3, 1, 1) with the channels."""
    rng = np.random.default_rng(0)
    x = (rng.random((STEPS, 9, 1, 3, 3)) < 0.4).astype(float)

    def image(node, synapse=None):
        conv = synapse or Conv(rng.normal(size=(3, 1, 1, 1)))
        return chain(Input((1, 3, 3), "spikes"), conv, node)

    gain = np.array([0.5, 1.0, 2.0])
    q = run_quantize(image(LIF(frozen(0.5), frozen(gain.reshape(3, 1, 1)), frozen(0.3))), x)
    assert q.layers[0].error < 0.02
    with pytest.raises(Unsupported, match=r"gain of shape \(3,\) does not fold into Conv"):
        run_quantize(image(LIF(frozen(0.5), frozen(gain), frozen(0.3))), x)
    q = run_quantize(image(LIF(frozen(0.5), frozen(gain), frozen(0.3)), Scale(frozen(rng.normal(size=(3, 3, 3))))), x)
    assert q.layers[0].error < 0.02
    nodes = (Reshape(), Linear(random_weights(27, 9)), Reshape((3, 3, 3)), LIF(frozen(0.5), frozen(gain), frozen(0.3)))
    assert run_quantize(chain(Input((1, 3, 3), "spikes"), *nodes), x).layers[0].error < 0.02


# ------------------------------------------------------------------------------------------------- registers and bounds


@pytest.mark.parametrize("payload", [1, 15, 4000])
def test_the_synaptic_sum_stays_within_u(payload):
    graph = chain(Input((50,), "levels"), Linear(random_weights(20, 50)), LIF(frozen(0.5), threshold=frozen(float(payload))))
    x = np.random.default_rng(0).integers(0, payload + 1, (STEPS, 20, 50)).astype(float)
    q = run_quantize(graph, x)
    assert q.layers[0].bound < U_LIMIT
    assert input_bound(q.graph, "b", q.payloads) == pytest.approx(q.layers[0].bound, abs=1)
    assert q.payloads["x"] >= payload
    assert q.layers[0].error < 0.25


def test_data_to_come_may_use_every_bit_of_a_payload():
    """Counts up to 5 need three bits, and the bound is proven for 7: later data cannot wrap u unseen."""
    x = np.random.default_rng(0).integers(0, 6, (STEPS, 20, 5)).astype(float)
    q = run_quantize(chain(Input((5,), "levels"), Linear(random_weights(4, 5)), LIF(frozen(0.5))), x)
    assert q.payloads["x"] == 7


def test_a_synaptic_current_that_adds_up_stays_within_u():
    node = CubaLIF(frozen(1.0), frozen(0.5), threshold=frozen(3.0))
    q = run_quantize(chain(Input((50,), "levels"), Linear(random_weights(20, 50)), node), np.full((STEPS, 2, 50), 63.0))
    assert q.graph.nodes["b"].du == -1
    assert q.layers[0].bound * STEPS < U_LIMIT


def test_an_accumulating_read_out_does_not_saturate():
    graph = chain(Input((50,), "spikes"), Linear(np.linspace(0.3, 1.1, 100).reshape(2, 50), np.ones(2)), LI(frozen(1.0)), decode="last")
    x = np.ones((200, 1, 50))
    q = run_quantize(graph, x, steps=200)
    values = outputs(q, x, "b", steps=200)
    assert np.abs(values).max() < 2**23 - 1
    assert values[-1, 0] * q.units["b"] == pytest.approx(200 * (graph.nodes["a"].weight.sum(axis=1) + 1), rel=0.03)


def test_a_threshold_far_above_the_weights_makes_them_coarser():
    """theta / weight = 2000: 254 of it would not fit the threshold's 17 bits, 65 do."""
    weight = np.random.default_rng(0).uniform(0.0002, 0.0005, (4, 30))
    q = run_quantize(chain(Input((30,), "spikes"), Linear(weight), integrate_and_fire(1.0)), spikes(30, 0.9, steps=400, batch=3), steps=400)
    assert q.graph.nodes["b"].thresholds.max() / 64 <= 131_071
    assert 10 < q.graph.nodes["a"].weight.max() < 100
    assert q.layers[0].error < 0.01


@pytest.mark.parametrize("decoupled", [False, True])
def test_a_bias_too_large_for_its_register_is_left_to_a_synapse(decoupled):
    weight = random_weights(6, 9) / 50
    graph = chain(Input((9,), "spikes"), Linear(weight, np.full(6, 0.8)), LIF(frozen(0.5)))
    q = run_quantize(graph, spikes(9), decoupled=decoupled)
    bias = q.graph.nodes["b"].bias
    assert np.abs(bias).max() > 4095 << 7
    assert (bias % 64 == 0).all()
    assert q.layers[0].error < 0.01


def test_a_bias_is_a_mantissa_with_an_exponent():
    bias = np.random.default_rng(1).normal(size=6)
    graph = chain(Input((9,), "spikes"), Linear(random_weights(6, 9), bias), LIF(frozen(0.5)))
    q = run_quantize(graph, spikes(9))
    got = q.graph.nodes["b"].bias
    exponent = max(6, int(np.ceil(np.log2(np.abs(got).max() / 4095))))
    assert (got % 2**exponent == 0).all()
    assert (np.abs(got - bias * 64 / q.layers[0].scale) <= 2**exponent / 2 + 1e-9).all()


def test_a_layer_without_weights_lives_on_its_bias():
    graph = chain(Input((9,), "spikes"), Linear(np.zeros((3, 9)), np.array([0.3, 0.6, 0.0])), LIF(frozen(0.5)))
    x = spikes(9)
    q = run_quantize(graph, x)
    np.testing.assert_array_equal(outputs(q, x, "b"), run_reference(graph, {"x": x}, STEPS).outputs["b"])
    assert outputs(q, x, "b").any()
    nothing = run_quantize(chain(Input((9,), "spikes"), Linear(np.zeros((3, 9))), LI(frozen(0.5))), x)
    assert not outputs(nothing, x, "b").any()


def test_a_bias_before_a_synaptic_current_comes_through_the_current():
    """A bias register acts on the membrane, so the constant of a CUBA neuron is a synapse; only its rest is a bias."""
    node = CubaLIF(frozen(0.75), frozen(0.5), threshold=frozen(1.0), rest=frozen(0.25))
    graph = chain(Input((9,), "spikes"), Linear(random_weights(6, 9), np.linspace(0, 0.3, 6)), node)
    x = spikes(9)
    q = run_quantize(graph, x)
    assert q.layers[0].error < 0.01
    assert q.graph.nodes["b.bias"].scale * q.layers[0].scale == pytest.approx(np.linspace(0, 0.3, 6), abs=0.01)
    assert q.graph.nodes["b"].bias * q.layers[0].scale / 64 == pytest.approx(0.125, rel=0.01)
    assert outputs(q, x, "b").any()


# --------------------------------------------------------------------------------------------------------------- inputs


@pytest.mark.parametrize(
    ("values", "carries", "unit", "payload"),
    [
        ([0.0, 1.0], "spikes", 1.0, 1),
        ([0.0, 4.0], "levels", 1.0, 7),
        ([0.0, 0.25, -0.75], "real", 0.25, 3),
        ([0.0, 1.0], "real", 1.0, 1),
        ([255 / 256], "real", 1 / 256, 255),
        ([1.0, 1 / 3], "real", 1 / 255, 255),
        ([-510.0, 0.1], "real", 2.0, 255),
        ([0.0], "real", 1.0, 1),
    ],
)
def test_units_of_inputs(values, carries, unit, payload):
    assert input_unit("x", Input((1,), carries), np.array(values)) == (unit, payload)


@pytest.mark.parametrize(("values", "carries", "what"), [([0, 2], "spikes", "0/1 spikes"), ([0.5], "levels", "whole counts")])
def test_data_that_are_not_what_the_input_carries(values, carries, what):
    with pytest.raises(QuantizeError, match=what):
        input_unit("x", Input((1,), carries), np.array(values, float))


def test_a_real_input_can_send_fewer_bits():
    seen = np.array([0.5, -2.0])
    assert coarser_units(0.25, 15.0, Input((1,), "real"), seen) == [(2 / 7, 7.0), (2 / 3, 3.0)]
    assert coarser_units(1.0, 15.0, Input((1,), "levels"), seen) == []


def test_payload_bits_are_weighed_against_weight_bits():
    """784 inputs of 8 bits would leave the weights one bit of u: fewer payload bits lose far less."""
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(30, 784)) / 14
    graph = chain(Input((784,), "real", True), Linear(weight), LIF(frozen(0.5)))
    x = rng.random((1, 40, 784)) * (rng.random((1, 40, 784)) < 0.3)
    q = run_quantize(graph, x)
    assert 3 <= q.payloads["x"] <= 63
    assert q.units["x"] == pytest.approx(x.max() / q.payloads["x"])
    assert q.layers[0].error < 0.03
    assert q.layers[0].notes[-1] == f"x: {int(q.payloads['x']).bit_length()} payload bits"
    small = run_quantize(chain(Input((4,), "real", True), Linear(weight[:, :4]), LIF(frozen(0.5))), x[..., :4])
    assert small.payloads["x"] == 255


def test_fewer_payload_bits_rescue_weights_that_would_vanish():
    """1,000 weights of one size: twice that times 255 is beyond u, times 31 is not."""
    weight = np.where(np.random.default_rng(0).random((4, 1000)) < 0.5, 0.05, -0.05)
    x = np.random.default_rng(1).random((1, 20, 1000))
    q = run_quantize(chain(Input((1000,), "real", True), Linear(weight), LIF(frozen(0.5))), x)
    assert q.payloads["x"] <= 63
    assert set(np.unique(q.graph.nodes["a"].weight / np.abs(q.graph.nodes["a"].weight).max())) == {-1, 1}


def hosted(graph, x, **more):
    return run_quantize(graph, x, host_inputs=frozenset({"x"}), **more)


def test_the_hosts_currents_are_the_layers_own_sums():
    rng = np.random.default_rng(0)
    nodes = {"x": Input((6,), "real", True), "w": Linear(random_weights(5, 6), np.full(5, 0.2)), "s": Linear(random_weights(5, 6, 1))}
    nodes |= {"n": LIF(frozen(0.5), threshold=frozen(0.5)), "y": Output("count")}
    graph = Graph(nodes, (Edge("x", "w"), Edge("x", "s"), Edge("w", "n"), Edge("s", "n"), Edge("n", "y")))
    q = hosted(graph, rng.normal(size=(1, 30, 6)))
    assert set(q.graph.named(HostCurrent)) == {"n.host", "n.host2"}
    assert q.layers[0].error < 0.01
    assert not q.graph.nodes["n"].bias.any()
    assert q.payloads["n.host"] == 8190


def test_what_the_host_cannot_compute_is_refused():
    nodes = {"x": Input((6,), "real"), "w": Linear(random_weights(5, 6)), "n": LIF(frozen(0.5)), "y": Output("count")}
    x = np.random.default_rng(0).normal(size=(STEPS, 3, 6))
    with pytest.raises(Unsupported, match="delayed real-valued input"):
        hosted(Graph(nodes, (Edge("x", "w", 1), Edge("w", "n"), Edge("n", "y"))), x)
    cuba = nodes | {"n": CubaLIF(frozen(0.5), frozen(0.5))}
    with pytest.raises(Unsupported, match="synaptic current"):
        hosted(Graph(cuba, (Edge("x", "w"), Edge("w", "n"), Edge("n", "y"))), x)


# --------------------------------------------------------------------------------------------------------------- bursts


@pytest.mark.parametrize(
    ("levels", "decoupled", "unit", "step"),
    [
        ([1.0, 2.0], False, 1.0, 1),
        ([1.0, 1.25], True, 0.25, 4),
        ([1.0, 1.0 + 1 / 16], False, 1 / 16, 16),
        ([1.0, 1.0 + 1 / 16], True, 1 / 8, 8),
        ([1.0, 1.37], False, 1 / 8, 8),
        ([1.5], False, 1.5, 1),
        ([-2.0], False, -2.0, 1),
    ],
)
def test_levels_are_payloads_on_a_binary_grid(levels, decoupled, unit, step):
    node = Burst(frozen(0.5), frozen(np.arange(1.0, len(levels) + 1)), frozen(levels), (False,) * len(levels))
    assert level_unit(node, decoupled) == unit
    assert largest_step(node, unit) == step
    assert level_unit(LIF(frozen(0.5)), decoupled) == largest_step(LIF(frozen(0.5)), 1.0) == 1


def two_bursts(kappa):
    nodes = (Linear(random_weights(8, 9)), lifb(0.5, 0.5, 1.0, kappa), Linear(random_weights(8, 8, 1)), lifb(0.5, 0.5, 1.0, kappa))
    return chain(Input((9,), "spikes"), *nodes)


def test_a_levels_rounding_and_its_price_in_weight_bits_are_told():
    q = run_quantize(two_bursts(1.37), spikes(9), decoupled=True)
    first, second = q.layers
    assert first.notes == ("levels in units of 0.125, off by at most 0.005",)
    assert second.notes == (*first.notes, "b: 6.0 weight bits are left by its levels")
    for step in np.diff(q.graph.nodes["b"].levels, axis=0, prepend=0):
        merged = (step * q.graph.nodes["c"].weight).astype(np.int64)
        assert len(on_grid(merged, exponent=True, where="c")) <= 2  # a rung's weights fit the synapse, at most split by sign
    whole = run_quantize(two_bursts(1.5), spikes(9))
    assert whole.layers[1].notes == ("levels in units of 0.5, exact",)


def test_one_rung_with_one_level_is_a_plain_spike():
    burst = Burst(frozen(0.5), frozen([0.5]), frozen([1.5]), (False,))
    graph = chain(Input((9,), "spikes"), Linear(random_weights(8, 9)), burst, Linear(random_weights(8, 8, 1)), LIF(frozen(0.5)))
    q = run_quantize(graph, spikes(9))
    assert q.graph.nodes["b"].fixed
    assert q.units["b"] == 1.5
    assert max(layer.error for layer in q.layers) < 0.02


# ---------------------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("node", "layer", "settings", "code"),
    [
        (LIF(frozen(0.5), threshold=frozen(1e9)), Linear(random_weights(6, 9)), {}, "L006"),
        (CubaLIF(frozen(0.5), frozen(0.5), rest=frozen(-1e4)), Linear(random_weights(6, 9)), {}, "L007"),
        (LIF(frozen(0.5)), Linear(random_weights(6, 9), np.full(6, 1e6)), {}, "L013"),
    ],
)
def test_registers_that_are_too_narrow_say_so(node, layer, settings, code):
    with pytest.raises(QuantizeError) as refusal:
        run_quantize(chain(Input((9,), "spikes"), layer, node), spikes(9), **settings)
    assert code in refusal.value.hint


def test_inputs_too_large_for_u_say_so():
    with pytest.raises(QuantizeError) as refusal:
        run_quantize(chain(Input((9,), "levels"), Linear(random_weights(6, 9)), LIF(frozen(0.5))), np.full((STEPS, 2, 9), 1e6))
    assert refusal.value.hint == "L013: reduce the fan-in, the bias or the payload (x sends up to 1.04858e+06)"


def test_levels_too_far_apart_leave_no_weight_bits():
    graph = chain(
        Input((9,), "spikes"), Linear(random_weights(8, 9)), lifb(0.5, 0.5, 1.0, 300.0), Linear(random_weights(8, 8, 1)), LIF(frozen(0.5))
    )
    with pytest.raises(QuantizeError, match="leaves no weight bits") as refusal:
        run_quantize(graph, spikes(9), decoupled=True)
    assert "L005" in refusal.value.hint
    run_quantize(graph, spikes(9))  # as a payload it is fine


def test_what_has_no_integer_form_is_refused():
    x = spikes(9)
    head = (Input((9,), "spikes"), Linear(random_weights(6, 9)))
    with pytest.raises(Unsupported, match="starts at a value"):
        run_quantize(chain(*head, LIF(frozen(0.5), v_init=frozen(0.5))), x, programs=False)
    with pytest.raises(Unsupported, match="membrane of b, which never fires"):
        run_quantize(chain(*head, LI(frozen(0.5)), Linear(random_weights(3, 6)), LIF(frozen(0.5))), x)
    integer = IntegerNeuron(4095, 0, np.array([64.0]), np.array([1.0]))
    with pytest.raises(Unsupported, match="no integer form"):
        run_quantize(chain(*head, integer), x, programs=False)


def test_every_neuron_becomes_an_integer_one_of_the_same_name():
    graph = two_bursts(1.5)
    q = run_quantize(graph, spikes(9))
    assert neurons(q.graph) == neurons(graph)
    assert all(isinstance(q.graph.nodes[n], IntegerNeuron) for n in neurons(q.graph))
    assert set(q.units) == {"x", "b", "d"}
    assert [layer.layer for layer in q.layers] == ["b", "d"]


def test_ties_of_few_bit_weights_fire_on_the_chip_as_they_do_in_the_model():
    """Weights in eighths and >= meet the threshold exactly all the time."""
    rng = np.random.default_rng(5)
    weight = rng.integers(-4, 12, (8, 20)) / 8
    graph = chain(Input((20,), "spikes"), Linear(weight), LIF(frozen(0.5)))
    x = spikes(20)
    q = run_quantize(graph, x)
    assert q.layers[0].error == 0
    np.testing.assert_array_equal(outputs(q, x, "b"), run_reference(graph, {"x": x}, STEPS).outputs["b"])
    h = run_reference(graph, {"x": x}, STEPS, states=True)
    assert (h.outputs["b"] > 0).any()
