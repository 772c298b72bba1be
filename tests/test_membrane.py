"""The order in which a membrane's update rounds: what it computes, where it is read, and where it is not."""

from __future__ import annotations

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import chain, eighths

from snndeploy.arrays import frozen
from snndeploy.errors import GraphError
from snndeploy.ir.expressions import terms_of, trace
from snndeploy.ir.graph import Node, State, bind, parameters
from snndeploy.ir.membrane import FORMULAS, Membrane
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.burst import lifb
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.exponential import ExponentialIF
from snndeploy.ir.neurons.klif import KLIF, as_lif
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.quadratic import QuadraticIF
from snndeploy.ir.neurons.scaled_burst import braincog_burst
from snndeploy.ir.neurons.ternary import TernaryLIF
from snndeploy.ir.on_numpy import NUMPY, NumpyNamespace
from snndeploy.passes.canonical import canonical
from snndeploy.sim.reference import run_reference
from snndeploy.verify.rounding import IntervalNamespace, lift

TAU = 3.0


def leaks(order: str) -> dict[str, object]:
    """Decay, gain, order and leak of a membrane with time constant ``TAU``."""
    rate = 1 / TAU
    gain = 1.0 if order.endswith("whole") else rate
    return {"decay": frozen(1 - rate), "gain": frozen(gain), "order": order, "leak": frozen(TAU if order.startswith("tau") else rate)}


def neurons(order: str) -> dict[str, Membrane]:
    words = leaks(order)
    rate = frozen(1 / TAU)
    made = {
        "lif": LIF(rest=frozen(0.25), v_reset=frozen(0.25), v_init=frozen(0.25), **words),
        "li": LI(rest=frozen(0.1), **words),
        "klif": KLIF(k=frozen(0.75), **words),
        "ternary": TernaryLIF(reset="subtract", **words),
        "clif": CLIF(rate=rate, **words),
        "cuba": CubaLIF(current_decay=frozen(1 - 0.3), current_leak=frozen(0.3), **words),
        "adaptive": AdaptiveLIF(
            adapt_decay=frozen(0.5), adapt_jump=frozen(0.5), current="now", current_decay=frozen(0.7), current_leak=frozen(0.3), **words
        ),
        "burst": dataclasses.replace(lifb(words["decay"], 1.0, 2.0, 2.0), **words),
    }
    if "apart" not in order:
        made["scaled burst"] = dataclasses.replace(braincog_burst(words["decay"], words["gain"], 0.5), order=order, leak=words["leak"])
    return made


def plain(node: Membrane) -> Membrane:
    """The same neuron, rounding as products do."""
    options = {f.name: None for f in dataclasses.fields(node) if f.kw_only}
    return dataclasses.replace(node, **options)


def run(node: Node, x: np.ndarray, xp: NumpyNamespace = NUMPY) -> np.ndarray:
    return run_reference(chain(x.shape[2:], n=node), {"x": x}, len(x), record=["n"], xp=xp).outputs["n"]


def written(order: str, v: Fraction, x: Fraction, rest: Fraction, rate: Fraction) -> Fraction:
    """``FORMULAS`` read as Python, over the rationals."""
    leak = 1 / rate if order.startswith("tau") else rate
    text = FORMULAS[order].replace(") leak", ") * leak").replace("decay v", "(1 - rate) * v")
    return eval(text, {"v": v, "x": x, "rest": rest, "leak": leak, "rate": rate})


@pytest.mark.parametrize("order", FORMULAS)
@given(values=st.tuples(*[st.fractions(-4, 4, max_denominator=64)] * 3))
def test_every_order_is_one_neuron_over_the_reals_and_its_formula_in_floats(order, values):
    v, x, rest = values
    rate = Fraction(1, 4)  # every operation of a quarter is exact on this grid, so that floats are rationals here
    gain = Fraction(1) if order.endswith("whole") else rate
    assert written(order, v, x, rest, rate) == rest + (1 - rate) * (v - rest) + gain * x
    node = LIF(
        frozen(0.75), frozen(float(gain)), rest=frozen(float(rest)), order=order, leak=frozen(4.0 if order.startswith("tau") else 0.25)
    )
    h = node.charge(np.array(float(v)), np.array(float(x)), NUMPY)
    assert float(h) == pytest.approx(float(written(order, v, x, rest, rate)), abs=1e-14)


@pytest.mark.parametrize("order", FORMULAS)
def test_orders_differ_from_products_in_ties_alone(order):
    """On tenths every neuron spikes as with products but for a few ties, and somewhere a tie is decided otherwise."""
    x = np.random.default_rng(0).integers(-10, 31, (64, 4, 500)) / 10
    different = 0
    for name, node in neurons(order).items():
        ours, theirs = run(node, x), run(plain(node), x)
        wrong = ours != theirs if node.emits != "real" else ~np.isclose(ours, theirs, rtol=0, atol=1e-12)
        assert wrong.mean() < 2e-3, name
        different += int((ours != theirs).sum())
    assert different


@pytest.mark.parametrize("order", FORMULAS)
def test_only_floats_see_the_order(order):
    """Expressions, of which neuron programs are made, and everything else over the reals, have no division in them."""
    for node in neurons(order).values():
        ours, theirs = ([t.op for t in terms_of(trace(n, (3,)).roots())] for n in (node, plain(node)))
        assert ours == theirs


class Narrow(NumpyNamespace):
    """NumPy in float32."""

    def fire(self, h, theta, strict):
        return super().fire(h, theta, strict).astype(np.float32)


def narrowed(node: Node) -> Node:
    return bind(node, {name: value.astype(np.float32) for name, value in parameters(node).items()})


@pytest.mark.parametrize("order", FORMULAS)
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_rounding_bound_holds_and_does_not_grow_with_the_number_of_steps(order, seed):
    node = neurons(order)["li"]
    x = np.random.default_rng(seed).normal(size=(60, 1, 40))
    bound: State = {"v": lift(np.broadcast_to(node.v_init, (1, 40)))}
    narrow: State = {"v": np.zeros((1, 40), np.float32)}
    xp = IntervalNamespace()
    for now in x:
        interval, bound = node.step((lift(now),), bound, xp)
        value, narrow = narrowed(node).step((now.astype(np.float32),), narrow, Narrow())
        assert value.dtype == np.float32
        assert (np.abs(value - interval.value) <= interval.error).all()
    assert interval.error.max() < 1e-5


@pytest.mark.parametrize("order", FORMULAS)
def test_onnxruntime_computes_the_same_order(order):
    runtime = pytest.importorskip("onnxruntime")
    from converters import onnx as files

    for name, node in neurons(order).items():
        if name == "clif":  # a sigmoid is rounded by each runtime in its own way
            continue
        graph = chain((50,), n=node)
        session = runtime.InferenceSession(files.to_bytes(graph))
        x = (np.random.default_rng(1).integers(-10, 31, (40, 1, 50)) / 10).astype(np.float32)
        narrow = {w: np.broadcast_to(v, (1, 50)).astype(np.float32) for w, v in node.initial_state((50,)).items()}
        theirs = {f"n.{w}": v for w, v in narrow.items()}
        names = [o.name for o in session.get_outputs()]
        for now in x:
            gave = dict(zip(names, session.run(None, {"x": now, **theirs}), strict=True))
            y, narrow = narrowed(node).step((now,), narrow, Narrow())
            theirs = {f"n.{w}": gave[f"n.{w}.next"] for w in narrow}
            np.testing.assert_array_equal(gave["n"], y, err_msg=name)


@pytest.mark.parametrize("order", FORMULAS)
def test_a_saved_graph_keeps_its_order_and_one_without_is_saved_as_ever(order):
    pytest.importorskip("onnx")
    from converters.onnx.structure import encode

    for node in neurons(order).values():
        assert encode(node, "n", {})["fields"]["order"] == order
        assert not {"order", "leak", "current_leak"} & set(encode(plain(node), "n", {})["fields"])
        assert "order" not in str(plain(node))
        assert f"order={order}" in str(node)


def test_a_saved_graph_is_read_again(tmp_path):
    pytest.importorskip("onnx")
    from converters import onnx as files

    nodes = [n for order in FORMULAS for n in neurons(order).values()]
    nodes += [
        QuadraticIF(frozen(1 / TAU), frozen(0.0), frozen(0.5), recovery=True, w_rate=frozen(1 / 7), tau=frozen(TAU), tau_w=frozen(7.0)),
        ExponentialIF(frozen(1 / TAU), frozen(0.0), frozen(0.8), frozen(0.3), frozen(1 / 0.3), tau=frozen(TAU)),
    ]
    for node in nodes:
        graph = chain((4,), n=node)
        (tmp_path / "n.onnx").write_bytes(files.to_bytes(graph))
        assert files.load_graph(tmp_path / "n.onnx") == graph
        np.testing.assert_array_equal(
            run(files.load_graph(tmp_path / "n.onnx").nodes["n"], eighths((5, 2, 4))), run(node, eighths((5, 2, 4)))
        )


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"leak": None}, "belong together"),
        ({"order": None}, "belong together"),
        ({"order": "sideways"}, "is not one of"),
        ({"leak": frozen(-3.0)}, "not positive"),
        ({"decay": frozen(0.5)}, "decay is not what order 'tau'"),
        ({"gain": frozen(1.0)}, "gain is not what order 'tau'"),
        ({"order": "tau_whole"}, "gain is not what"),
    ],
)
def test_an_order_that_says_another_neuron_is_refused(change, what):
    with pytest.raises(GraphError, match=what):
        dataclasses.replace(LIF(**leaks("tau")), **change)


def test_other_inverses_must_fit_too():
    with pytest.raises(GraphError, match="current_leak is not 1 - current_decay"):
        CubaLIF(frozen(0.5), frozen(0.5), current_leak=frozen(0.25))
    with pytest.raises(GraphError, match="tau is not 1 / rate"):
        QuadraticIF(frozen(0.5), frozen(0.0), frozen(0.5), tau=frozen(3.0))


def test_a_pass_keeps_the_order_where_decay_and_gain_stay_and_drops_it_elsewhere():
    shifted = canonical(neurons("tau")["lif"])
    assert (shifted.order, float(shifted.rest)) == ("tau", 0.0)
    klif = neurons("tau")["klif"]
    assert as_lif(klif).order is None
    assert as_lif(dataclasses.replace(klif, k=frozen(1.0))).order == "tau"
    assert as_lif(dataclasses.replace(klif, scale_reset=True)).order == "tau"


@pytest.mark.parametrize(("a", "b"), list(itertools.combinations(["tau", "rate", "rate_joint"], 2)))
def test_orders_of_one_neuron_are_told_apart_by_a_membrane_s_last_bit(a, b):
    x = np.random.default_rng(3).integers(-10, 31, (64, 4, 200)) / 10
    one, other = (run(neurons(order)["li"], x) for order in (a, b))
    assert (one != other).any()
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-14)


@pytest.mark.parametrize("strict", [False, True])
@given(theta=st.floats(1e-3, 1e3), level=st.integers(1, 9), bits=st.integers(-6, 6))
def test_a_quotient_s_level_is_a_threshold_of_its_own(strict, theta, level, bits):
    """h / theta meets the level exactly where h meets the threshold, up to six bits around it."""
    pytest.importorskip("torch")
    from converters.pt.neuron import divided

    threshold = float(divided(np.array(float(level)), np.array(theta), strict))
    h = level * theta
    for _ in range(abs(bits)):
        h = np.nextafter(h, np.sign(bits) * np.inf)
    assert (h > threshold if strict else h >= threshold) == (h / theta > level if strict else h / theta >= level)


EARLIER = {"detach_reset": False}
"""What a module of SpikingJelly 0.0.0.0.12 holds: no ``_step_mode``."""
LATER = {"detach_reset": False, "_step_mode": "s", "_backend": "torch"}
"""... of 0.0.0.0.13 and 14."""
NOW = {"detach_reset": False, "_step_mode": "s"}


@pytest.mark.parametrize(
    ("release", "v_reset", "lif", "parametric"),
    [
        (EARLIER, None, None, None),
        (EARLIER, 0.0, None, None),
        (EARLIER, 0.25, "tau_whole", "rate_whole"),
        (LATER, None, None, None),
        (LATER, 0.0, "tau_whole", None),
        (LATER, 0.25, "tau_whole", "rate_whole"),
        (NOW, None, "tau_whole", "rate_whole"),
        (NOW, 0.0, "tau_whole", "rate_whole"),
        ({}, 0.0, "tau_whole", "rate_whole"),
    ],
)
def test_spikingjelly_s_releases_round_an_undivided_input_in_their_own_orders(release, v_reset, lif, parametric):
    torch = pytest.importorskip("torch")
    from converters.pt import spikingjelly
    from converters.pt.neuron import Settings

    words = {"tau": 3.0, "v_threshold": 1.0, "v_reset": v_reset, "decay_input": False, "w": torch.tensor(-0.5), **release}
    orders = [build(Settings("n", [("model", words)]), (4,)).node.order for build in (spikingjelly.lif, spikingjelly.parametric)]
    assert orders == [lif, parametric]
    divided = {**words, "decay_input": True}
    assert spikingjelly.lif(Settings("n", [("model", divided)]), (4,)).node.order == "tau"
