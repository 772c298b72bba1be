"""Every kernel against its definition on Python's unbounded integers, at the edges where registers wrap or saturate."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snndeploy.sim import floatlif, kernels

MAX24 = 2**23 - 1
EDGES = sorted({sign * (2**bits) + off for bits in (0, 6, 12, 17, 22, 23, 24, 25, 30) for off in (-1, 0, 1) for sign in (-1, 1)})
int32s = st.one_of(st.sampled_from(EDGES), st.integers(-(2**31), 2**31 - 1))
states = st.one_of(st.sampled_from([e for e in EDGES if abs(e) <= 2**23]), st.integers(-MAX24, MAX24))
wide = st.one_of(st.sampled_from(EDGES), st.integers(-(2**60), 2**60))
keeps = st.one_of(st.sampled_from([0, 1, 4095, 4096]), st.integers(0, 4096))


def one(x):
    return np.array([x], np.int64)


def wrapped(x, bits):
    return (x + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def trunc(x, bits):
    return x // 2**bits if x >= 0 else -(-x // 2**bits)


@given(wide)
def test_wraps_are_modular(x):
    assert kernels.wrap32(one(x))[0] == wrapped(x, 32)
    assert kernels.wrap24(one(x))[0] == wrapped(x, 24)


@given(int32s)
def test_u_wraps_once_and_keeps_its_upper_end(x):
    expected = x - 2**24 if x > 2**23 else x + 2**24 if x <= -(2**23) else x
    assert kernels.wrap_once(one(x))[0] == expected


@given(wide, st.integers(0, 40))
def test_toward_zero_is_the_quotient_without_its_fraction(x, bits):
    assert kernels.toward_zero(one(x), bits)[0] == trunc(x, bits)


@given(int32s, st.integers(-16, 16))
def test_shift_floors_to_the_right(x, exponent):
    expected = x * 2**exponent if exponent >= 0 else x // 2**-exponent
    assert kernels.shift(one(x), exponent)[0] == expected


@given(wide)
def test_saturate_is_symmetric(x):
    assert kernels.saturate(one(x))[0] == max(-MAX24, min(MAX24, x))


@given(int32s, keeps)
def test_decay_forgets_toward_zero(x, keep):
    assert kernels.decay(one(x), one(keep))[0] == wrapped(trunc(x * keep, 12), 32)


@given(st.integers(-(2**15), 2**15 - 1), st.integers(-16, 16))
def test_bias_is_shifted_in_int32(mantissa, exponent):
    expected = wrapped(mantissa * 2**exponent, 32) if exponent >= 0 else mantissa // 2**-exponent
    assert kernels.bias_value(one(mantissa), one(exponent))[0] == expected


def python_integrate(u, v, a, keep_u, keep_v, bias):
    current = wrapped(trunc(u * keep_u, 12) + wrapped(a * 64, 32), 32)
    u_new = current - 2**24 if current > 2**23 else current + 2**24 if current <= -(2**23) else current
    voltage = wrapped(trunc(v * keep_v, 12) + u_new + bias, 32)
    return u_new, max(-MAX24, min(MAX24, voltage))


@given(states, states, int32s, keeps, keeps, int32s)
def test_integrate_is_lavas(u, v, a, keep_u, keep_v, bias):
    u_new, v_new, current, voltage = kernels.integrate(*map(one, (u, v, a, keep_u, keep_v, bias)))
    assert (u_new[0], v_new[0]) == python_integrate(u, v, a, keep_u, keep_v, bias)
    assert current[0] == trunc(u * keep_u, 12) + a * 64
    assert voltage[0] == trunc(v * keep_v, 12) + u_new[0] + bias


@given(states, st.integers(-5, 2**17))
def test_fire_is_strict(v, vth):
    spikes, after = kernels.fire(one(v), one(vth * 64))
    assert spikes[0] == (v > vth * 64)
    assert after[0] == (0 if v > vth * 64 else v)


def test_a_membrane_at_the_threshold_is_silent_and_one_above_fires():
    spikes, after = kernels.fire(np.array([640, 641]), one(640))
    assert spikes.tolist() == [False, True]
    assert after.tolist() == [640, 0]


@given(states, st.integers(-(2**17), 2**17), st.integers(-(2**17), 2**17))
def test_ternary_has_two_thresholds(v, high, low):
    spikes, after = kernels.fire_ternary(one(v), one(high * 64), one(low * 64))
    assert spikes[0] == (v > high * 64) - (v < low * 64)
    assert after[0] == (v if spikes[0] == 0 else 0)


@given(int32s, int32s, int32s, st.booleans())
def test_sigma_sums_in_int32(sigma, a, bias, relu):
    total, activation = kernels.sigma_step(one(sigma), one(a), one(bias), relu)
    expected = wrapped(wrapped(sigma + a, 32) + bias, 32)
    assert total[0] == wrapped(sigma + a, 32)
    assert activation[0] == (max(0, expected) if relu else expected)


@given(int32s, int32s, int32s, int32s, st.integers(0, 2**20))
def test_delta_sends_changes_that_reach_the_threshold(act, last, residue, error, threshold):
    change = wrapped(act - last + residue, 32)
    sent, left = kernels.delta_step(one(act), one(last), one(residue), threshold)
    assert (sent[0], left[0]) == ((change, 0) if abs(change) >= threshold else (0, change))
    total = wrapped(error + change, 32)
    sent, left, after = kernels.delta_step_cumulative(one(act), one(last), one(residue), one(error), threshold)
    assert sent[0] == (change if abs(total) >= threshold else 0)
    assert left[0] == change - sent[0]
    assert after[0] == (0 if sent[0] else total)


@given(states, states, st.integers(-(2**19), 2**19), keeps, keeps, st.integers(-(2**24), 2**24), st.integers(-(2**10), 2**17))
def test_float64_lif_equals_the_integer_kernels_or_declines(u, v, a, keep_u, keep_v, bias, vth):
    constants = floatlif.registers(*map(one, (keep_u, keep_v, bias, vth * 64)))
    into = (np.empty(1), np.empty(1), np.empty(1))
    spikes = floatlif.step(one(u) * 1.0, one(v) * 1.0, one(a) * 1.0, None, constants, into)
    u_new, v_new, current, voltage = kernels.integrate(*map(one, (u, v, a, keep_u, keep_v, bias)))
    assert (spikes is None) == bool(u_new != current or v_new != voltage or abs(u_new[0]) > MAX24)
    if spikes is not None:
        fired, after = kernels.fire(v_new, one(vth * 64))
        assert (spikes[0], into[0][0], into[1][0]) == (fired[0], u_new[0], after[0])


def test_float64_lif_without_input_adds_the_hosts_bias():
    constants = floatlif.registers(one(0), one(4096), np.array([0, 5]), np.array([100, 1000]))
    into = (np.empty(2), np.empty(2), np.empty(2))
    spikes = floatlif.step(np.array([7.0, 7.0]), np.array([50.0, 50.0]), None, np.array([51, 52]), constants, into)
    assert spikes is not None
    assert spikes.tolist() == [1, 0]
    assert into[0].tolist() == [0, 0]
    assert into[1].tolist() == [0, 107]
