"""The simulator's fast arithmetic against int64 and against plain loops, up to and beyond where float32 and float64 are exact."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.chip.models import HostInput, Lif, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.program import assemble
from snndeploy.sim import synapses as module
from snndeploy.sim.chip import run_chip
from snndeploy.sim.synapses import narrowest, sender


def network(populations, *projections, **more):
    return ChipNetwork("test", {p.name: p for p in populations}, projections, **more)


def same_traces(a, b):
    for name in ("outputs", "states"):
        assert getattr(a, name).keys() == getattr(b, name).keys()
        for key, values in getattr(a, name).items():
            np.testing.assert_array_equal(values, getattr(b, name)[key], err_msg=key)
    for name, activity in a.activity.items():
        other = b.activity[name]
        np.testing.assert_array_equal(activity.spikes, other.spikes)
        np.testing.assert_array_equal(activity.per_sample, other.per_sample)
        for count in ("updates", "active", "wraps", "saturations"):
            assert getattr(activity, count) == getattr(other, count), (name, count)


def random_conv(rng, scale):
    axes = rng.integers(1, 3)
    groups = int(rng.choice([1, 2, 4]))
    channels = groups * int(rng.integers(1, 3))
    kernel = tuple(int(k) for k in rng.integers(1, 4, axes))
    weights = rng.integers(-scale, scale + 1, (groups * int(rng.integers(1, 3)), channels // groups, *kernel))
    stride, dilation = (tuple(int(s) for s in rng.integers(1, 3, axes)) for _ in range(2))
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (axes, 2)))
    size = tuple(int(d * (k - 1) + 1 + rng.integers(0, 4)) for d, k in zip(dilation, kernel, strict=True))
    conv = Conv(weights, stride, padding, dilation, groups)
    return conv, (channels, *size), conv.out_shape((channels, *size))


def random_dense(rng, scale, inputs, outputs, delays):
    weights = rng.integers(-scale, scale + 1, (outputs, inputs))
    return Dense(weights, rng.integers(0, 5, weights.shape) if delays else None)


def random_sparse(rng, scale, inputs, outputs, delays):
    count = int(rng.integers(0, 20))
    rows, columns = rng.integers(0, outputs, count), rng.integers(0, inputs, count)
    return Sparse(rows, columns, rng.integers(-scale, scale + 1, count), rng.integers(0, 5, count) if delays else None)


def random_model(rng):
    decays = {"du": int(rng.choice([-1, 0, 300, 4095])), "dv": int(rng.choice([0, 7, 4095, 4096]))}
    bias = {"bias_mant": rng.integers(-100, 100), "bias_exp": int(rng.integers(-3, 7))}
    kind = rng.integers(0, 6)
    if kind == 0:
        return TernaryLif(**decays, vth_hi=int(rng.integers(1, 300)), vth_lo=-int(rng.integers(1, 300)), **bias)
    if kind == 1:
        return SigmaDelta(float(rng.integers(1, 50)), cumulative=bool(rng.integers(0, 2)), state_exp=int(rng.integers(0, 4)))
    if kind == 2:
        return assemble("half", "MUL v v k.a 12\nADD v v I\nGE p v k.th\nSPK p v\nSEL v p 0 v", {"v": 3}, {"a": 3000, "th": 900})
    reset = {"reset_interval": 5, "reset_offset": 2} if kind == 3 else {}
    return Lif(**decays, vth=int(rng.integers(0, 300)), **bias, **reset)


def random_network(seed):
    """Input -> conv -> a -> (dense or sparse) -> b, with b -> a recurrent, a -> a sparse, and a bias wire into b if it has one."""
    rng = np.random.default_rng(seed)
    scale = int(rng.choice([1, 7, 254, 2**12, 2**20]))
    bits = int(rng.choice([0, 4, 12, 24, 30]))
    conv, source, image = random_conv(rng, scale)
    size, hidden = int(np.prod(image)), int(rng.integers(1, 6))
    x = Population("x", source, HostInput(bits, signed=bits > 0))
    a, b = Population("a", image, random_model(rng), shift=1), Population("b", (hidden,), random_model(rng), shift=2)
    graded, delays = rng.integers(0, 2, 5).astype(bool), rng.integers(0, 2, 3).astype(bool)
    linear = random_dense if rng.integers(0, 2) else random_sparse
    projections = [
        Projection("xa", "x", "a", conv, delay=int(rng.integers(0, 3)), graded=bool(graded[0])),
        Projection("ab", "a", "b", linear(rng, scale, size, hidden, delays[0]), int(rng.integers(-4, 9)), graded=bool(graded[1])),
        Projection("ba", "b", "a", random_dense(rng, 50, hidden, size, delays[1]), int(rng.integers(-4, 4)), graded=bool(graded[2])),
        Projection("aa", "a", "a", random_sparse(rng, 50, size, size, delays[2]), graded=bool(graded[3])),
    ]
    populations, inputs = [x, a, b], {"x": rng.integers(-(2 ** max(bits - 1, 0)) if bits else 0, 2 ** max(bits - 1, 1), (6, 5, *source))}
    inputs["x"] *= rng.random(inputs["x"].shape) < 0.5
    if isinstance(b.model, Lif | TernaryLif):
        populations.append(Population("drive", (hidden,), HostInput(9, signed=True, static=True)))
        projections.append(Projection("db", "drive", "b", Wire(as_bias=True)))
        inputs["drive"] = rng.integers(-200, 200, (1, 5, hidden))
    return network(populations, *projections), inputs


@settings(max_examples=60)
@given(st.integers(0, 2**32))
def test_fast_paths_equal_int64_and_batches_equal_the_whole(seed):
    net, inputs = random_network(seed)
    slow = run_chip(net, inputs, steps=12, states=True, exact=True)
    same_traces(run_chip(net, inputs, steps=12, states=True), slow)
    same_traces(run_chip(net, inputs, steps=12, states=True, batch=2), slow)


@pytest.mark.parametrize("bound", [2**24, 2**53])
def test_the_narrowest_dtype_still_counts_to_its_bound_but_not_beyond(bound):
    inside, beyond = narrowest(bound), narrowest(bound + 1)
    assert int(inside(bound - 1) + inside(1)) == bound
    assert int(inside(bound) + inside(1)) != bound + 1
    assert int(beyond(bound) + beyond(1)) == bound + 1


def loop_conv(conv, x, target):
    """The definition, one product at a time."""
    out = np.zeros((len(x), *target), np.int64)
    padded = np.pad(x, ((0, 0), (0, 0), *conv.padding))
    per_in, per_out = conv.weights.shape[1], target[0] // conv.groups
    for place in np.ndindex(*target):
        o, spatial = place[0], place[1:]
        for c, *k in np.ndindex(*conv.weights.shape[1:]):
            at = tuple(p * s + i * d for p, s, i, d in zip(spatial, conv.stride, k, conv.dilation, strict=True))
            out[(slice(None), *place)] += conv.weights[(o, c, *k)] * padded[(slice(None), o // per_out * per_in + c, *at)]
    return out


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_conv_sums_what_the_loops_sum(seed):
    rng = np.random.default_rng(seed)
    conv, source, target = random_conv(rng, 9)
    x = rng.integers(-3, 4, (3, *source))
    ((late, sums, _),) = sender(Projection("p", "x", "a", conv, graded=True), source, target, exact=False).send(x, 3)
    assert late == 1
    np.testing.assert_array_equal(sums, loop_conv(conv, x, target))


def test_conv_and_sparse_in_parts_equal_one_piece(monkeypatch):
    rng = np.random.default_rng(5)
    conv, source, target = random_conv(rng, 9)
    sparse = Sparse(rng.integers(0, 30, 90), rng.integers(0, 40, 90), rng.integers(-9, 9, 90))
    x, y = rng.integers(0, 3, (7, *source)), rng.integers(-3, 3, (7, 40))
    whole = [
        sender(Projection("p", "x", "a", conv, graded=True), source, target, exact=True).send(x, 3),
        sender(Projection("p", "x", "a", sparse, graded=True), (40,), (30,), exact=True).send(y, 3),
    ]
    monkeypatch.setattr(module, "COLUMN_BUDGET", 1)
    monkeypatch.setattr(module, "DENSE_BUDGET", 0)
    parts = [
        sender(Projection("p", "x", "a", conv, graded=True), source, target, exact=False).send(x, 3),
        sender(Projection("p", "x", "a", sparse, graded=True), (40,), (30,), exact=False).send(y, 3),
    ]
    for ((_, a, _),), ((_, b, _),) in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_conv_wraps_to_24_bits_and_dense_to_32():
    x, conv = np.array([[[2**20]]]), Conv([[[17]]], (1,), ((0, 0),), (1,))
    ((_, sums, _),) = sender(Projection("p", "x", "a", conv, graded=True), (1, 1), (1, 1), exact=False).send(x, 2**20)
    assert sums.item() == (17 * 2**20 + 2**23) % 2**24 - 2**23
    ((_, sums, _),) = sender(Projection("p", "x", "a", Dense([[2**11 + 1]]), graded=True), (1,), (1,), exact=False).send(x[0], 2**20)
    assert sums.item() == (2**31 + 2**20 + 2**31) % 2**32 - 2**31


def test_a_delayed_dense_wraps_each_product_and_a_delayed_sparse_the_sum():
    """Lava's DelayDense sums int32 products in int64, its DelaySparse accumulates in int32; the exponent then shifts."""
    x, weights = np.array([[2**20, 2**20]]), np.array([[2**10, 2**10]])
    dense = Projection("p", "x", "a", Dense(weights, np.zeros((1, 2))), -1, graded=True)
    ((_, sums, _),) = sender(dense, (2,), (1,), exact=False).send(x, 2**20)
    assert sums.item() == 2**31 // 2
    sparse = Projection("p", "x", "a", Sparse([0, 0], [0, 1], weights[0], [0, 0]), -1, graded=True)
    ((_, sums, _),) = sender(sparse, (2,), (1,), exact=False).send(x, 2**20)
    assert sums.item() == -(2**31) // 2
    ((_, sums, _),) = sender(dense, (2,), (1,), exact=False).send(2 * x, 2**21)
    assert sums.item() == -(2**31)


def test_a_negative_exponent_floors_the_sum():
    made = sender(Projection("p", "x", "a", Dense([[-3, -2], [3, 2]]), -1), (2,), (2,), exact=False)
    ((_, sums, _),) = made.send(np.array([[1, 1], [1, 0]]), 1)
    assert sums.tolist() == [[-3, 2], [-2, 1]]
