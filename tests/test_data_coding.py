"""Encoders and decoders: what each code means, checked from its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from snndeploy.data import Samples, accuracy, decode, encode, fit, over_time, predict
from snndeploy.errors import DataError, OptionError

UNIT = hnp.arrays(np.float64, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(0, 1))
TRAINS = hnp.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 3), st.just(4)), elements=st.integers(0, 3))


@given(UNIT, st.integers(1, 8))
def test_direct_is_the_value_at_every_step(x, steps):
    coded = encode(x, "direct", steps)
    assert coded.shape == (len(x), steps, x.shape[1])
    assert all(np.array_equal(coded[:, t], x) for t in range(steps))


@given(UNIT, st.integers(1, 8))
def test_latency_is_one_spike_and_larger_is_never_later(x, steps):
    coded = encode(x, "latency", steps)
    assert (coded.sum(axis=1) == 1).all()
    when = coded.argmax(axis=1)
    assert (when[x == 1] == 0).all()
    assert (when[x == 0] == steps - 1).all()
    order = np.argsort(x, axis=None)
    assert (np.diff(when.ravel()[order]) <= 0).all()


def test_latency_steps_are_the_published_formula():
    assert encode(np.array([[1.0, 0.75, 0.5, 0.26, 0.0]]), "latency", 5)[0].argmax(axis=0).tolist() == [0, 1, 2, 3, 4]


def test_rate_has_the_value_as_its_probability():
    x = np.array([[0.0, 0.1, 0.5, 0.9, 1.0]])
    spikes = encode(x, "rate", 20_000, seed=1)
    assert set(np.unique(spikes)) == {0, 1}
    mean = spikes.mean(axis=1)
    assert mean[0, 0] == 0
    assert mean[0, 4] == 1
    assert np.allclose(mean, x, atol=4 * np.sqrt(0.25 / 20_000))


def test_rate_is_reproducible_and_a_sample_does_not_depend_on_later_ones():
    x = np.random.default_rng(0).random((6, 10))
    assert np.array_equal(encode(x, "rate", 9, 3), encode(x, "rate", 9, 3))
    assert np.array_equal(encode(x[:2], "rate", 9, 3), encode(x, "rate", 9, 3)[:2])
    assert not np.array_equal(encode(x, "rate", 9, 3), encode(x, "rate", 9, 4))
    same = encode(np.full((2, 50), 0.5), "rate", 9, 0)
    assert not np.array_equal(same[0], same[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int32, np.float32, np.float64])
def test_delta_sums_to_the_value_again(dtype):
    x = (np.random.default_rng(0).random((3, 5, 4)) * 100).astype(dtype)
    timed = over_time(fit(Samples({"": x}), {"in": (4,)}), "delta", None).inputs["in"]
    assert np.allclose(timed.cumsum(axis=1), x, rtol=0, atol=0 if np.issubdtype(dtype, np.integer) else 1e-12)
    static = encode(x[:, 0], "delta", 5)
    assert np.array_equal(static.cumsum(axis=1), np.broadcast_to(x[:, :1], x.shape))


def test_over_time_encodes_static_inputs_and_leaves_timed_ones():
    samples = fit(Samples({"a": np.full((2, 3), 0.5), "b": np.ones((2, 4, 1))}, np.arange(2)), {"a": (3,), "b": (1,)})
    coded = over_time(samples, "direct", None)
    assert coded.inputs["a"].shape == (2, 4, 3)
    assert coded.inputs["b"] is not None
    assert np.array_equal(coded.inputs["b"], samples.inputs["b"])
    assert (coded.static, coded.steps) == (frozenset(), 4)
    twins = fit(Samples({"a": np.full((2, 50), 0.5), "b": np.full((2, 50), 0.5)}), {"a": (50,), "b": (50,)})
    spikes = over_time(twins, "rate", 5).inputs
    assert not np.array_equal(spikes["a"], spikes["b"])


def test_encoding_refuses_what_has_no_meaning():
    with pytest.raises(DataError, match=r"from 0\.0 to 255\.0"):
        encode(np.array([[0.0, 255.0]]), "rate", 5)
    with pytest.raises(OptionError, match="did you mean latency"):
        encode(np.zeros((1, 1)), "latencies", 5)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="--timesteps: 0"):
        encode(np.zeros((1, 1)), "direct", 0)
    static = fit(Samples({"": np.zeros((1, 2))}), {"in": (2,)})
    with pytest.raises(OptionError, match="no time axis"):
        over_time(static, "direct", None)
    with pytest.raises(OptionError, match="already has a time axis"):
        over_time(fit(Samples({"": np.zeros((1, 3, 2))}), {"in": (2,)}), "rate", None)
    with pytest.raises(DataError, match="fit first"):
        over_time(Samples({"": np.zeros((1, 2))}), "direct", 3)


# ------------------------------------------------------------------------------------------------------------- decoders


@given(TRAINS)
def test_scores_are_their_definitions(outputs):
    values = outputs.astype(np.float64)
    assert np.array_equal(decode(outputs, "count"), (outputs > 0).sum(axis=0))
    assert np.array_equal(decode(outputs, "sum"), values.sum(axis=0))
    assert np.allclose(decode(outputs, "mean"), values.mean(axis=0))
    assert np.array_equal(decode(outputs, "max"), values.max(axis=0))
    for kind in ("none", "last", "membrane"):
        assert np.array_equal(decode(outputs, kind), values[-1])
    assert np.array_equal(predict(decode(outputs, "mean")), predict(decode(outputs, "sum")))


@given(TRAINS)
def test_first_prefers_the_earliest_spike(outputs):
    for b, choice in enumerate(predict(decode(outputs, "first"))):
        steps = [next((t for t in range(len(outputs)) if outputs[t, b, c]), len(outputs)) for c in range(4)]
        assert choice == steps.index(min(steps))


def test_count_counts_spikes_and_sum_their_payloads():
    outputs = np.array([[[0, 3]], [[1, 0]], [[1, 0]]])
    assert predict(decode(outputs, "count")).tolist() == [0]
    assert predict(decode(outputs, "sum")).tolist() == [1]


def test_ties_and_silence_go_to_the_lower_index():
    silent = np.zeros((3, 2, 4))
    for kind in ("count", "first", "last"):
        assert predict(decode(silent, kind)).tolist() == [0, 0]
    assert predict(decode(np.array([[[0, 1, 1]]]), "first")).tolist() == [1]


def test_a_vote_averages_neighbours():
    outputs = np.array([[[1, 0, 0, 1, 1, 1]]])
    assert decode(outputs, "count", vote=3).tolist() == [[1 / 3, 1.0]]
    assert decode(outputs, "count", vote=6).tolist() == [[4 / 6]]


def test_outputs_of_any_shape_are_flattened():
    outputs = np.arange(24).reshape(2, 1, 3, 2, 2)
    assert decode(outputs, "last").tolist() == [list(range(12, 24))]


def test_small_integers_do_not_wrap():
    assert decode(np.full((10, 1, 1), 100, np.uint8), "sum").tolist() == [[1000.0]]


def test_decoding_refuses_what_has_no_meaning():
    outputs = np.zeros((2, 1, 6))
    for vote in (0, 4, -2):
        with pytest.raises(OptionError, match="does not divide 6 outputs"):
            decode(outputs, "count", vote=vote)
    with pytest.raises(OptionError, match="first spikes are not averaged"):
        decode(outputs, "first", vote=2)
    with pytest.raises(OptionError, match="did you mean count"):
        decode(outputs, "counts")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no steps"):
        decode(np.zeros((0, 1, 6)), "count")
    with pytest.raises(DataError, match="no steps"):
        decode(np.zeros(3), "count")
    with pytest.raises(DataError, match="not finite"):
        predict(np.array([[np.nan, 1.0]]))


def test_accuracy_is_a_fraction():
    assert accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 0, 4])) == 0.75
    with pytest.raises(DataError, match="2 labels for 1 predictions"):
        accuracy(np.array([1]), np.array([1, 2]))
