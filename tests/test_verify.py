"""Comparison finds what differs and excuses only what rounding explains; the rounding bound really bounds."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from snndeploy.arrays import frozen
from snndeploy.errors import DataError, OptionError
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.sim.reference import run_reference, stepper
from snndeploy.trace import Trace
from snndeploy.verdict import Fidelity
from snndeploy.verify import Margins, compare, compare_float, fidelity, rounding_margins
from snndeploy.verify.intervals import between, lift
from snndeploy.verify.rounding import IntervalNamespace

T, B = 6, 3


def trace(engine="a", shifts=None, **outputs) -> Trace:
    first = next(iter(outputs.values()))
    return Trace(engine, len(first), first.shape[1], {}, outputs, shifts=shifts or {})


def spikes(seed, shape=(T, B, 4)):
    return np.random.default_rng(seed).integers(0, 2, shape).astype(np.float64)


def late(series, steps):
    return np.concatenate([np.zeros((steps, *series.shape[1:])), series])


def test_equal_runs_are_equal_under_their_shifts():
    one, two = spikes(0), spikes(1, (T, B, 2, 2))
    a = trace(one=one, two=two)
    b = trace("b", {"one": 1, "two": 3}, one=late(one, 1), two=late(two.reshape(T, B, 4), 3))
    pair = compare(a, b, ["one", "two"])
    assert pair.equal
    assert (pair.a, pair.b, pair.compared, pair.different, pair.first) == ("a", "b", one.size + two.size, 0, None)
    assert not compare(a, b, ["one", "two"], shifts={"one": 1, "two": 2}).equal
    renamed = trace("b", {"uno": 1}, uno=late(one, 1))
    assert compare(a, renamed, {"one": "uno"}, grade="model only").grade == "model only"
    assert compare(a, renamed, {"one": "uno"}, steps=2).compared == 2 * B * 4


def test_the_first_divergence_is_first_in_time_then_in_order():
    one, two = spikes(0), spikes(1)
    wrong_one, wrong_two = one.copy(), two.copy()
    wrong_one[4, 1, 2] += 1
    wrong_two[3, 2, 1] += 5
    wrong_two[3, 2, 3] += 1
    pair = compare(trace(one=one, two=two), trace("b", one=wrong_one, two=wrong_two), ["one", "two"])
    first = pair.first
    assert pair.different == 3
    assert (first.layer, first.step, first.sample, first.neuron) == ("two", 3, 2, (1,))
    assert (first.a, first.b) == (two[3, 2, 1], two[3, 2, 1] + 5)
    wrong_one[3, 0, 0] += 1
    assert compare(trace(one=one, two=two), trace("b", one=wrong_one, two=wrong_two), ["one", "two"]).first.layer == "one"
    wrong_two[0, 0, 0] = np.nan
    assert compare(trace(two=two), trace("b", two=wrong_two), ["two"]).different == 3


CAUSES = {
    "silent in the second run": np.zeros_like,
    "a shift of 1 instead of 0": lambda s: late(s, 1),
    "levels do not": lambda s: s * 3,
    "at the first step": lambda s: np.concatenate([1 - s[:1], s[1:]]),
}


@pytest.mark.parametrize("words", CAUSES)
def test_the_cause_is_named_where_it_shows(words):
    s = spikes(2)
    pair = compare(trace(n=s), trace("b", n=CAUSES[words](s)), ["n"], shifts={})
    assert words in str(pair.first)


def test_no_cause_is_invented():
    s = spikes(2)
    other = s.copy()
    other[2, 0, 0] = 1 - other[2, 0, 0]
    assert compare(trace(n=s), trace("b", n=other), ["n"]).first.cause == ""
    assert "silent in the first" in compare(trace(n=s * 0), trace("b", n=s), ["n"]).first.cause
    early = compare(trace(n=s), trace("b", n=late(s, 2)), ["n"], {"n": 1}).first
    assert "a shift of 2 instead of 1" in early.cause


@pytest.mark.parametrize(
    ("b", "shifts", "words"),
    [
        ({"m": spikes(0)}, {}, "did not record the layer 'n'"),
        ({"n": spikes(0, (T, B, 5))}, {}, "in the other"),
        ({"n": spikes(0, (T, B + 1, 4))}, {}, "in the other"),
        ({"n": spikes(0)}, {"n": 1}, "7 steps are needed, but 6 were run"),
        ({"n": spikes(0)}, {"n": -1}, "needed"),
    ],
)
def test_runs_that_cannot_be_compared_are_refused(b, shifts, words):
    with pytest.raises(DataError, match=words):
        compare(trace(n=spikes(0)), trace("b", **b), ["n"], shifts)


def margins(near_at=(), bound=0.0, names=("one", "two"), shape=(T, B, 4)) -> Margins:
    near = {name: np.zeros(shape, np.bool_) for name in names}
    for name, at in near_at:
        near[name][at] = True
    return Margins(near, {name: np.full(shape, bound) for name in names})


def test_a_first_difference_near_a_threshold_is_excused_and_so_is_what_follows():
    one, two = spikes(0), spikes(1)
    other_one, other_two = one.copy(), two.copy()
    other_one[2, 1, 3] += 1
    other_two[2, 1, 0] += 1
    other_one[5, 1] += 1
    a, b = trace(one=one, two=two), trace("b", one=other_one, two=other_two)
    pair = compare_float(a, b, margins([("one", (2, 1, 3))]))
    assert pair.equal
    assert (pair.different, pair.within_bound, pair.consequences) == (1, 1, 5)
    assert (pair.first.layer, pair.first.step) == ("one", 2)
    # the same differences, the margin elsewhere: not excused
    pair = compare_float(a, b, margins([("one", (2, 1, 2))]))
    assert not pair.equal
    assert (pair.different, pair.within_bound) == (1, 0)
    assert "beyond" in pair.first.cause


def test_an_excuse_in_one_sample_excuses_no_other():
    one, two = spikes(0), spikes(1)
    other = one.copy()
    other[1, 0, 0] += 1
    other[4, 2, 1] += 1
    pair = compare_float(trace(one=one, two=two), trace("b", one=other, two=two), margins([("one", (1, 0, 0))]))
    assert not pair.equal
    assert (pair.different, pair.within_bound, pair.consequences) == (2, 1, 0)
    assert (pair.first.step, pair.first.sample) == (4, 2)


def test_values_may_be_off_by_their_bound_and_no_more():
    v = np.random.default_rng(0).normal(size=(T, B, 4))
    a = trace(one=v, two=v)
    assert compare_float(a, trace("b", one=v + 1e-6, two=v), margins(bound=2e-6)).different == 0
    assert not compare_float(a, trace("b", one=v + 1e-5, two=v), margins(bound=2e-6)).equal
    assert not compare_float(a, trace("b", one=v * np.nan, two=v), margins(bound=2e-6)).equal
    assert compare_float(trace(x=v), trace("b", x=v), Margins({}, {})).compared == 0


@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([1.0, 1e-3, 1e4]), st.booleans())
@example(51524662, 49, 1e4, False)  # a clipped value whose other side is far away, behind an exponential
def test_a_float32_evaluation_stays_within_the_bound(seed, terms, scale, sparse):
    """The same formula in float32 arithmetic, held against value +- error."""
    rng = np.random.default_rng(seed)
    x, w, v = rng.normal(size=(4, terms)) * scale, rng.normal(size=(5, terms)), rng.normal(size=(4, 5))
    x = np.where(rng.random(x.shape) < 0.5, 0, 1.0) if sparse else x

    def formula(x, w, v, xp, number):
        h = v * number(0.9) + xp.linear(x, w)
        for _ in range(3):
            h = (h - number(0.1)) * number(0.7) + xp.maximum(xp.linear(x, w) * number(1.3), h) - xp.minimum(h, number(0.2))
        return xp.exp(xp.minimum(xp.maximum(h, number(-3.0)), number(3.0))) + h

    with np.errstate(over="ignore"):
        narrow = formula(*(a.astype(np.float32) for a in (x, w, v)), NUMPY, np.float32)
    assert narrow.dtype == np.float32
    bound = formula(*(lift(a) for a in (x, w, v)), IntervalNamespace(), float)
    assert np.array_equal(bound.value, formula(x, w, v, NUMPY, float))
    assert ((bound.low <= narrow) & (narrow <= bound.high)).all()
    # and it is a bound of rounding, not of anything: within a few hundred units in the last place of the largest term
    assert bound.error.max() < 1e-4 * (terms + 10) * max(1.0, scale) * (1 + np.exp(3.0))


class Hostile:
    """A number in 80 bits of which every operation is rounded by as much as float32 may, to either side."""

    __array_ufunc__ = None

    def __init__(self, value, rng):
        self.value, self.rng = np.asarray(value, np.longdouble), rng

    def rounded(self, value, ulps=1):
        return Hostile(value * (1 + ulps * np.longdouble(2.0**-24) * self.rng.choice([-1, 0, 1], np.shape(value))), self.rng)

    def __add__(self, other):
        return self.rounded(self.value + lowered(other))

    def __sub__(self, other):
        return self.rounded(self.value - lowered(other))

    def __mul__(self, other):
        return self.rounded(self.value * lowered(other))

    __radd__, __rmul__ = __add__, __mul__


def lowered(x):
    return x.value if isinstance(x, Hostile) else np.asarray(np.asarray(x).astype(np.float32), np.longdouble)


class HostileNamespace:
    def exp(self, x):
        return x.rounded(np.exp(x.value), ulps=4)

    def sigmoid(self, x):
        return Hostile(1 / (1 + np.exp(-x.value)) + 2.0**-22 * x.rng.choice([-1, 0, 1], x.value.shape), x.rng)

    def divide(self, a, b):
        return b.rounded(lowered(a) / b.value)

    def minimum(self, a, b):
        return Hostile(np.minimum(lowered(a), lowered(b)), a.rng)

    def maximum(self, a, b):
        return Hostile(np.maximum(lowered(a), lowered(b)), a.rng)

    def linear(self, x, weight):
        """Summed in any order, every product and every sum rounded."""
        total = Hostile(np.zeros((len(x.value), len(weight))), x.rng)
        for i in x.rng.permutation(weight.shape[1]):
            total = total + Hostile(x.value[:, i : i + 1], x.rng) * weight[:, i][None]
        return total


def deep(x, w, v, xp):
    """Clips, an exponential, a sigmoid and a quotient one behind the other, twice."""
    h = v
    for _ in range(2):
        h = xp.maximum(xp.minimum(h * 0.7 + xp.linear(x, w), 2.5), -2.5)
        rise = xp.exp(h * 1.3) - xp.sigmoid(h) * 0.3
        h = xp.divide(rise, xp.exp(xp.minimum(h, 0.1)) + 0.25) - xp.maximum(rise * h, 0.2)
        x = xp.minimum(xp.maximum(xp.linear(x, w) * 0.1 + h, -1.0), 1.0) * np.ones((1, w.shape[0]))
        w = w[:, : w.shape[0]] if w.shape[1] >= w.shape[0] else np.resize(w, (w.shape[0], w.shape[0]))
    return h + xp.exp(h * 0.01)


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([1e-3, 1.0, 30.0, 1e4]))
def test_no_rounding_whatever_leaves_the_interval(seed, terms, scale):
    """Held against 80-bit numbers in which every single operation was rounded to the worse side, at random, in any order."""
    rng = np.random.default_rng(seed)
    x, w, v = rng.normal(size=(3, terms)) * scale, rng.normal(size=(5, terms)), rng.normal(size=(3, 5))
    bound = deep(lift(x), w, lift(v), IntervalNamespace())
    assert (bound.below >= 0).all()
    assert (bound.above >= 0).all()
    for _ in range(4):
        found = deep(Hostile(lowered(x), rng), w, Hostile(lowered(v), rng), HostileNamespace()).value
        assert ((bound.value - np.longdouble(bound.below) <= found) & (found <= bound.value + np.longdouble(bound.above))).all()


FRACTIONS = st.tuples(*[st.fractions(-50, 50, max_denominator=997)] * 4, st.fractions(0, 1), st.fractions(0, 1))


def spread(x, r):
    """Some way below a fraction to twice that above it."""
    r = abs(r) + Fraction(1, 1000)
    return between(*(np.asarray(float(end)) for end in (x, x - r, x + 2 * r)))


def point(interval, q):
    low, high = Fraction(float(interval.low)), Fraction(float(interval.high))
    return low + q * (high - low)


@given(st.lists(FRACTIONS, min_size=1, max_size=10))
def test_products_and_quotients_hold_every_exact_one(given):
    """Ends and inner points as fractions: what is computed exactly, and rounded once to either side, lies within."""
    for a_at, a_wide, b_at, b_wide, s, t in given:
        a, b = spread(a_at, a_wide), spread(b_at, b_wide)
        x, y = point(a, s), point(b, t)
        made = [(a * b, x * y), (a + b, x + y), (a - b, x - y)]
        made += [(IntervalNamespace().divide(a, b), x / y)] if b.low > 0 or b.high < 0 else []
        for interval, exact in made:
            low, high = (Fraction(float(interval.value)) + Fraction(float(side)) for side in (-interval.below, interval.above))
            assert all(low <= exact * (1 + Fraction(off, 2**24)) <= high for off in (-1, 0, 1))


def test_ends_that_are_nowhere_are_infinitely_far():
    xp = IntervalNamespace()
    around_zero = between(np.array([1.0]), np.array([-1.0]), np.array([2.0]))
    quotient = xp.divide(1.0, around_zero)
    assert np.isinf(quotient.error).all()
    assert np.isinf((quotient * 0.0).error).all()
    assert np.isinf(xp.linear(quotient.each(lambda part: part[None]), np.zeros((1, 1))).error).all()
    assert np.isinf(xp.exp(lift(np.array([90.0]))).above).all()
    assert xp.exp(lift(np.array([-200.0]))).low < 0
    assert np.isinf((lift(np.array([3e38])) * 2.0).error).all()


def test_a_value_of_0_may_still_be_unsure():
    """A rectified sum of exactly 0 that a float32 run may find above 0 still counts in the next sum."""
    xp = IntervalNamespace()
    rectified = xp.maximum(lift(np.array([[0.1]])) * 3.0 - np.float64(np.float32(0.1)) * 3.0, 0.0)
    unsure = between(np.array([[0.0]]), np.array([[0.0]]), np.array([[0.5]]))
    assert xp.linear(unsure, np.ones((1, 1))).high.item() >= 0.5
    assert xp.linear(rectified, np.ones((1, 1))).error.item() >= rectified.error.item() > 0
    assert xp.linear(unsure, np.zeros((1, 1))).error.item() == 0


def test_a_side_that_was_clipped_stays_clipped():
    """A value of 2 +- 10, clipped to -3..3, lies 5 below or 1 above; behind an exponential only e**3 counts, not e**7."""
    xp = IntervalNamespace()
    wide = between(np.array([2.0]), np.array([-8.0]), np.array([12.0]))
    clipped = xp.minimum(xp.maximum(wide, -3.0), 3.0)
    assert (clipped.below.item(), clipped.above.item(), clipped.error.item()) == (5.0, 1.0, 5.0)
    assert xp.exp(clipped).above.item() == pytest.approx(np.exp(3.0) - np.exp(2.0), rel=1e-5)
    xp.fire(clipped, 3.5, False)
    xp.fire(clipped, -2.5, False)
    assert [d.near.item() for d in xp.decisions] == [False, True]
    assert (-1.0 * clipped).below.item() == pytest.approx(1.0, rel=1e-6)
    looked_up = xp.gather(np.array([1.0, 2.0, 4.0]), between(np.array([1.0]), np.array([0.0]), np.array([2.0])))
    assert (looked_up.low.item(), looked_up.high.item()) == (1.0, 4.0)


@given(st.integers(0, 2**32 - 1))
def test_convolutions_and_pools_stay_within_the_bound(seed):
    rng = np.random.default_rng(seed)
    x, w = rng.normal(size=(2, 4, 6, 6)), rng.normal(size=(6, 2, 3, 3))

    def formula(x, w, xp):
        y = xp.conv(x, w, (1, 1), ((1, 1), (1, 1)), (1, 1), 2)
        return xp.max_pool(xp.sum_pool(y, (3, 3), (1, 1), ((1, 0), (0, 0))), (2, 2), (2, 2), ((0, 0), (0, 0)))

    narrow = formula(x.astype(np.float32), w.astype(np.float32), NUMPY)
    bound = formula(lift(x), lift(w), IntervalNamespace())
    assert narrow.dtype == np.float32
    assert (np.abs(narrow - bound.value) <= bound.error).all()
    assert 0 < bound.error.max() < 1e-3


@given(st.integers(0, 2**32 - 1), st.integers(-12, 4), st.integers(1, 12))
def test_sums_on_a_grid_are_known_to_be_exact_and_beyond_it_are_not(seed, power, bits):
    rng = np.random.default_rng(seed)
    x = rng.integers(-(2**bits), 2**bits + 1, (3, 8)) * 2.0**power
    w = rng.integers(-8, 9, (5, 8)) / 8
    xp = IntervalNamespace()
    assert not xp.linear(lift(x), lift(w)).error.any()
    assert xp.linear(lift(x + 1 / 3), lift(w)).error.any() or not w.any()
    wide = np.concatenate([x * 0 + 2.0**30, x * 0 + 2.0**-4], axis=1)
    assert xp.linear(lift(wide), lift(np.ones((1, 16)))).error.all()


def test_rounding_to_whole_numbers_may_jump_only_near_them():
    xp = IntervalNamespace()
    third = lift(np.array([0.3, 1.0, -1.7])) * 3.0
    assert (xp.floor(third).error > 0).tolist() == [False, False, False]
    near = lift(np.array([1 / 3, 1.5])) * 3.0
    assert xp.floor(near).error.tolist() == [1.0, 0.0]
    assert xp.trunc(near).value.tolist() == [1.0, 4.0]
    assert lift(np.array([[0.1], [0.5]]))[1].error == 0
    assert (np.array([1.0]) - lift(0.1)).value == 0.9
    assert (2.0 * lift(0.5)).value == 1.0
    assert (np.array([1.0]) + lift(0.5)).value == 1.5
    joined = xp.concat([xp.reshape(lift(np.ones((1, 2))), (2,)), np.full((1, 1), 0.1)], 0)
    assert (joined.error > 0).tolist() == [[False, False, True]]
    assert xp.where(np.array([1.0, 0.0]), 0.1, 0.5).error[1] == 0


def test_a_decision_is_near_only_where_rounding_reaches_it():
    xp = IntervalNamespace()
    h = lift(np.array([0.1, 0.1, 0.5])) * 3.0
    xp.fire(h, np.array([0.3, 0.31, 1.5]), False)
    (decision,) = xp.decisions
    # a tie of exact values (0.5 * 3 against 1.5) is decided the same way in both precisions
    assert decision.near.tolist() == [True, False, False]
    assert decision.margin[2] == 0


def two_layers() -> Graph:
    nodes = {
        "x": Input((3,)), "still": Input((3,), static=True), "n": LIF(frozen(0.5)), "fc": Linear(np.full((2, 3), 0.1)),
        "li": LI(frozen(0.9)), "y": Output(),
    }  # fmt: skip
    return Graph(nodes, (Edge("x", "n"), Edge("still", "n"), Edge("n", "fc"), Edge("fc", "li"), Edge("li", "y")))


def test_margins_belong_to_their_node_and_step():
    graph = two_layers()
    x = np.zeros((3, 2, 3))
    x[1, 1, 2] = 1 - 2.0**-25
    data = {"x": x, "still": np.zeros((1, 2, 3))}
    m = rounding_margins(graph, data, 3, stepper)
    assert np.argwhere(m.near["n"]).tolist() == [[1, 1, 2]]
    assert list(m.near) == ["n", "li", "y"]
    assert not m.near["li"].any()
    assert m.undecided == 1
    assert not m.exact
    reference = run_reference(graph, data, 3)
    assert reference.outputs["n"].shape == m.near["n"].shape
    assert not m.bound["n"].any()
    assert list(rounding_margins(graph, data, 3, stepper, record=["fc"]).bound) == ["fc"]
    with pytest.raises(OptionError, match="no node 'lo'"):
        rounding_margins(graph, data, 3, stepper, record=["lo"])


def test_fidelity_counts_answers_and_spikes():
    one = spikes(0)
    chip = one.copy()
    chip[1, 0, 0] = 1 - chip[1, 0, 0]
    labels, ours, theirs = np.array([0, 1, 2, 3]), np.array([0, 1, 2, 0]), np.array([0, 1, 0, 0])
    found = fidelity(ours, theirs, labels, trace(n=one), trace("chip", {"n": 2}, n=late(chip * 7, 2)), ["n"])
    assert (found.samples, found.float_accuracy, found.chip_accuracy, found.agreement) == (4, 0.75, 0.5, 0.75)
    assert found.layers == {"n": 1 / one.size}
    assert found.drop == 25
    unlabelled = fidelity(ours, theirs)
    assert unlabelled.drop is None
    assert unlabelled.layers == {}


@pytest.mark.parametrize(
    ("ours", "theirs", "labels"),
    [
        (np.zeros(3), np.zeros(4), None),
        (np.zeros(3), np.zeros(3), np.zeros(2)),
        (np.zeros(0), np.zeros(0), None),
        (np.zeros((2, 2)), np.zeros((2, 2)), None),
    ],
)
def test_predictions_that_do_not_fit_are_refused(ours, theirs, labels):
    with pytest.raises(DataError, match="one class a sample"):
        fidelity(ours, theirs, labels)


def test_layers_that_do_not_fit_are_refused():
    p = np.zeros(3)
    with pytest.raises(DataError, match="was not recorded"):
        fidelity(p, p, None, trace(n=spikes(0)), trace("b", m=spikes(0)), ["n"])
    with pytest.raises(DataError, match="another size"):
        fidelity(p, p, None, trace(n=spikes(0)), trace("b", n=spikes(0, (T, B, 5))), ["n"])


def test_a_drop_of_half_a_point_is_half_a_point():
    assert Fidelity(200, 1.0, 0.995).drop == 0.5
