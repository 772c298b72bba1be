"""Networks broken on purpose: each fault is caught, laid at the right layer, and named with the right cause."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Readout, Sparse, loihi_weights
from snndeploy.flow.divergence.bisecting import CHUNK, bisect
from snndeploy.flow.divergence.sides import Side
from snndeploy.flow.feeding import Feed
from snndeploy.ir import layers as ir
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim import chip as simulator
from snndeploy.sim import kernels, populations
from snndeploy.sim.chip import run_chip
from snndeploy.trace import Trace

T, SAMPLES = 8, 6
RNG = np.random.default_rng(7)
REC = 149
"""The threshold of the recurrent layer, by which a broken simulator knows it."""


def integers(low, high, *shape):
    return RNG.integers(low, high, shape)


CONV = Conv(integers(-40, 60, 3, 2, 3, 3) & ~1, (1, 1), ((1, 0), (0, 1)), (1, 1))
DENSE, RING, OUT = integers(-60, 80, 8, 27), integers(-30, 30, 8, 8), integers(-50, 50, 4, 8)
POPULATIONS = (
    Population("x", (2, 4, 4), HostInput()),
    Population("conv", (3, 3, 3), Lif(du=2047, dv=400, vth=60, bias_mant=9, bias_exp=6), shift=1),
    Population("rec", (8,), Lif(du=1000, dv=300, vth=REC), shift=4),
    Population("out", (4,), Lif(du=4095, dv=100, vth=NEVER_FIRES), shift=5, reads="v"),
)
PROJECTIONS = (
    Projection("into-conv", "x", "conv", CONV),
    Projection("into-rec", "conv", "rec", Dense(DENSE), delay=2),
    Projection("around", "rec", "rec", Dense(RING), delay=1),
    Projection("into-out", "rec", "out", Dense(OUT), exponent=1),
)
SOUND = ChipNetwork("test", {p.name: p for p in POPULATIONS}, PROJECTIONS, Readout("out", "membrane"), steps=T)
DATA = Feed({"x": (RNG.random((T, SAMPLES, 2, 4, 4)) < 0.3).astype(float)}, None, T)


def register(layer, network=SOUND, **fields):
    model = replace(network.populations[layer].model, **fields)
    return replace(network, populations={**network.populations, layer: replace(network.populations[layer], model=model)})


def projection(name, network=SOUND, **fields):
    return replace(network, projections=tuple(replace(p, **fields) if p.name == name else p for p in network.projections))


def twice(name):
    again = next(p for p in PROJECTIONS if p.name == name)
    return replace(SOUND, projections=(*PROJECTIONS, replace(again, name="again")))


def without(name):
    return replace(SOUND, projections=tuple(p for p in PROJECTIONS if p.name != name))


def one_twice():
    """The recurrent synapses one by one, the first of them there twice."""
    rows, columns = np.nonzero(RING)
    single = Sparse(rows, columns, RING[rows, columns])
    double = Sparse([*rows, rows[0]], [*columns, columns[0]], [*RING[rows, columns], RING[rows[0], columns[0]]])
    return projection("around", synapses=single), projection("around", synapses=double)


def odd():
    """Odd weights of both signs, and what a sign mode leaves of them."""
    w = CONV.weights | 1
    return projection("into-conv", synapses=replace(CONV, weights=w)), projection(
        "into-conv", synapses=replace(CONV, weights=loihi_weights(w))
    )


def late_window():
    out = replace(SOUND.populations["out"], shift=6)
    return replace(SOUND, populations={**SOUND.populations, "out": out}), 1


FLAT = np.arange(27).reshape(3, 3, 3).transpose(1, 2, 0).ravel()
SWAPPED = replace(CONV, weights=CONV.weights[[1, 0, 2]])
FILES = {
    "threshold off by one LSB": (register("rec", vth=REC + 1), "rec", "threshold"),
    "lost bias": (register("conv", bias_mant=0), "conv", "bias"),
    "dv off by one": (register("rec", dv=301), "rec", "decay"),
    "du off by one": (register("conv", du=2048), "conv", "decay"),
    "wrong bias exponent": (register("conv", bias_exp=5), "conv", "exponent"),
    "dropped delay": (projection("into-rec", delay=0), "rec", "delay"),
    "dropped recurrent delay": (projection("around", delay=0), "rec", "delay"),
    "wrong weight exponent": (projection("into-out", exponent=2), "out", "exponent"),
    "swapped flatten order": (projection("into-rec", synapses=Dense(DENSE[:, FLAT])), "rec", "order"),
    "wrong padding side": (projection("into-conv", synapses=replace(CONV, padding=((0, 1), (1, 0)))), "conv", "padding"),
    "transposed kernel": (projection("into-conv", synapses=replace(CONV, weights=CONV.weights.swapaxes(2, 3))), "conv", "kernel"),
    "flipped kernel": (projection("into-conv", synapses=replace(CONV, weights=CONV.weights[:, :, ::-1, ::-1])), "conv", "kernel"),
    "swapped channels": (projection("into-conv", synapses=SWAPPED), "conv", "channels"),
    "duplicated synapses": (twice("into-rec"), "rec", "duplicate"),
    "lost synapses": (without("around"), "rec", "lost"),
}


@pytest.mark.parametrize("fault", FILES)
def test_a_broken_file_is_found_out(fault):
    broken, layer, cause = FILES[fault]
    found = bisect(Side("sound", SOUND), Side("broken", broken), DATA)
    assert named(found) == (layer, cause)
    assert found.bisection.suspects[0].reproduces == "all"
    check_replay(found, Side("sound", SOUND), Side("broken", broken))


@pytest.mark.parametrize("fault", FILES)
def test_the_same_fault_is_found_where_the_registers_cannot_be_read(fault):
    """The second side shows the same file and runs another: only trying every change can tell."""
    broken, layer, cause = FILES[fault]

    def run(network, inputs, **how):
        return run_chip(spoilt(network, broken), inputs, **how)

    found = bisect(Side("sound", SOUND), Side("broken", SOUND, run), DATA, shrinking=False)
    assert found.bisection.culprit == layer
    assert cause in {s.cause for s in found.bisection.suspects if s.reproduces == "all" and not s.read}


def spoilt(network, broken):
    """The whole network, or a layer alone, with the registers and synapses of ``broken``."""
    populations = {
        n: replace(p, model=broken.populations[n].model) if n in broken.populations else p for n, p in network.populations.items()
    }
    ends = {p.target: p.target for p in network.projections}
    host = {p.source.removesuffix("@"): p.source for p in network.projections}
    projections = tuple(replace(p, source=host[p.source]) for p in broken.projections if p.target in ends and p.source in host)
    return replace(network, populations=populations, projections=projections)


def named(found):
    return found.bisection.culprit, found.bisection.cause


def check_replay(found, a, b):
    """The reduced input still tells them apart, and is no larger than what it came from."""
    reduced = found.bisection.reduced
    assert reduced.entries <= reduced.entries_before
    assert np.count_nonzero(found.reduced.inputs["x"]) == reduced.entries
    assert bisect(a, b, found.reduced, shrinking=False).bisection.culprit == found.bisection.culprit


def test_a_single_synapse_twice_is_read_from_the_files():
    sound, broken = one_twice()
    assert named(bisect(Side("a", sound), Side("b", broken), DATA)) == ("rec", "duplicate")


def test_a_sign_mode_slip():
    sound, broken = odd()
    assert named(bisect(Side("a", sound), Side("b", broken), DATA)) == ("conv", "sign-mode")


def test_a_window_that_is_one_step_off():
    broken, late = late_window()
    found = bisect(Side("a", SOUND), Side("b", broken), DATA, shrinking=False)
    assert named(found) == ("out", "window")
    assert f"{late} step(s) later" in found.bisection.suspects[0].words
    other = replace(SOUND, readout=Readout("out", "last"))
    assert named(bisect(Side("a", SOUND), Side("b", other), DATA)) == ("read-out", "window")


# ---- broken simulators: the networks are one and the same, the arithmetic of the recurrent layer is not


@contextlib.contextmanager
def patched(**functions):
    before = {name: getattr(kernels, name) for name in functions}
    try:
        for name, function in functions.items():
            setattr(kernels, name, function)
        yield
    finally:
        for name, function in before.items():
            setattr(kernels, name, function)


def broken_run(step, vth=REC):
    """The exact chip simulator in which ``step(plain, model, bias, state, drive)`` computes the layers of that threshold."""
    plain = populations._lif

    def lif(model, bias, state, drive):
        return step(plain, model, bias, state, drive) if (model.vth == vth).all() else plain(model, bias, state, drive)

    def run(network, inputs, **how):
        populations._lif = lif
        try:
            return run_chip(network, inputs, exact=True, **how)
        finally:
            populations._lif = plain

    return run


def under(plain, model, bias, state, drive, **functions):
    with patched(**functions):
        return plain(model, bias, state, drive)


def clears_u(plain, *rest):
    fired = plain(*rest)
    return replace(fired, state={"u": np.where(fired.spikes != 0, 0, fired.state["u"]), "v": fired.state["v"]})


def lost_input(plain, model, bias, state, drive):
    """The reset comes one step late: v stays where it is, and the step after is lost."""
    memory = state.get("fired", np.zeros_like(state["v"]))
    with patched(fire=lambda v, threshold: (np.where(memory, 0, v) > threshold, np.where(memory, 0, v))):
        fired = plain(model, bias, {"u": state["u"], "v": state["v"]}, drive)
    return replace(fired, state={**fired.state, "fired": fired.spikes.astype(np.int64)})


SIMULATORS = {
    "floor for truncation": (partial(under, toward_zero=lambda x, bits: x >> bits), "truncation"),
    "nearest for truncation": (partial(under, toward_zero=lambda x, bits: (x + (1 << (bits - 1))) >> bits), "truncation"),
    "reset of u": (clears_u, "reset-u"),
    "subtracting reset": (partial(under, fire=lambda v, th: (v > th, np.where(v > th, v - th, v))), "reset-kind"),
    "no reset": (partial(under, fire=lambda v, th: (v > th, v)), "reset-kind"),
    "late reset": (lost_input, "reset-late"),
}


@pytest.mark.parametrize("fault", SIMULATORS)
def test_a_broken_simulator_is_found_out(fault):
    step, cause = SIMULATORS[fault]
    found = bisect(Side("sound", SOUND), Side("broken", SOUND, broken_run(step)), DATA)
    assert named(found) == ("rec", cause)


def test_greater_or_equal_for_greater():
    """A tie: the sums meet the threshold, which only one side takes for enough."""
    tied = register("rec", network=projection("into-rec", synapses=Dense(REC * np.eye(8, 27, dtype=np.int64))), du=4095, dv=4096)
    tied = projection("around", network=tied, synapses=Dense(np.zeros((8, 8), np.int64)))
    run = broken_run(partial(under, fire=lambda v, th: (v >= th, np.where(v >= th, 0, v))))
    found = bisect(Side("sound", tied), Side("broken", tied, run), DATA)
    assert named(found) == ("rec", "tie")
    moment = next(m for m in found.bisection.a_around if m.step == found.bisection.first.step)
    assert moment.before == found.bisection.threshold


def loud(exponent):
    """Sums that leave 24 bits in the recurrent layer."""
    return projection("into-rec", synapses=Dense(np.abs(DENSE) * 2), exponent=exponent)


def test_a_missing_wrap():
    sound = loud(9)
    found = bisect(Side("a", sound), Side("b", sound, broken_run(partial(under, wrap_once=lambda u: u))), DATA)
    assert named(found) == ("rec", "wrap")


def test_a_missing_saturation():
    sound = register("out", network=projection("into-out", synapses=Dense(np.abs(OUT) * 2), exponent=9), dv=0)
    run = broken_run(partial(under, saturate=lambda v: v), vth=NEVER_FIRES)
    found = bisect(Side("a", sound), Side("b", sound, run), DATA)
    assert named(found) == ("out", "saturation")


def stale(network, inputs, **how):
    """Samples one after the other; the recurrent layer starts each where it ended the last."""
    left, plain, runs = {}, simulator.initial_state, []
    simulator.initial_state = lambda p, batch: {**plain(p, batch), **(left if p.name == "rec" else {})}
    try:
        for i in range(next(iter(inputs.values())).shape[1]):
            runs.append(run_chip(network, {n: v[:, i : i + 1] for n, v in inputs.items()}, exact=True, **how))
            ends = {word: runs[-1].states.get(f"rec.{word}") for word in "uv"}
            left.update({word: values[-1].astype(np.int64) for word, values in ends.items() if values is not None})
    finally:
        simulator.initial_state = plain
    outputs, states = (joined([getattr(run, kind) for run in runs]) for kind in ("outputs", "states"))
    return Trace("stale", runs[0].steps, len(runs), {}, outputs, states, runs[0].shifts)


def joined(parts):
    return {key: np.concatenate([part[key] for part in parts], axis=1) for key in parts[0]}


def test_state_left_over_from_the_sample_before():
    found = bisect(Side("a", SOUND), Side("b", SOUND, stale), DATA)
    assert named(found) == ("rec", "stale-state")
    first = found.bisection.first.sample

    def later(network, inputs, **how):
        silent = not any(values.any() for values in inputs.values())
        return run_chip(network, inputs, exact=True, **how) if silent else stale(network, inputs, **how)

    x = np.concatenate([np.zeros((T, CHUNK, 2, 4, 4)), DATA.inputs["x"]], axis=1)
    found = bisect(Side("a", SOUND), Side("b", SOUND, later), Feed({"x": x}, None, T))
    assert named(found) == ("rec", "stale-state")
    assert found.bisection.first.sample == first + CHUNK
    assert f"sample {first + CHUNK} alone is equal" in found.bisection.suspects[0].words


# ---- float graphs


def graph(**changed):
    """conv -> dense with a delayed loop -> read-out; ``changed`` nodes replace its own."""
    rng = np.random.default_rng(3)
    grid = partial(lambda low, high, *shape: rng.integers(low, high, shape) / 16)
    nodes = {
        "x": ir.Input((2, 4, 4)), "conv": ir.Conv(grid(-8, 14, 3, 2, 3, 3), grid(0, 8, 3), padding=((1, 0), (0, 1))),
        "n1": LIF(frozen(0.5)), "flat": ir.Reshape((27,)), "fc": ir.Linear(grid(-6, 8, 8, 27)), "n2": LIF(frozen(0.75), strict=True),
        "loop": ir.Linear(grid(-8, 8, 8, 8)), "out": ir.Linear(grid(-8, 8, 4, 8)), "n3": LI(frozen(1.0)), "y": ir.Output("membrane"),
    }  # fmt: skip
    edges = [
        Edge(a, b) for a, b in zip(("x", "conv", "n1", "flat", "fc", "n2", "out", "n3"), (*list(nodes)[1:6], "out", "n3", "y"), strict=True)
    ]
    return Graph({**nodes, **changed}, (*edges, Edge("n2", "loop", 1), Edge("loop", "n2")))


WHOLE = graph()
NODES = WHOLE.nodes
GRAPHS = {
    "another threshold": (graph(n2=replace(NODES["n2"], threshold=frozen(1.0625))), "n2", "threshold"),
    "another comparison": (graph(n1=replace(NODES["n1"], strict=True)), "n1", "tie"),
    "another reset": (graph(n1=replace(NODES["n1"], reset="subtract")), "n1", "reset-kind"),
    "a late reset": (graph(n2=replace(NODES["n2"], reset="subtract", late=True)), "n2", "structure"),
    "another decay": (graph(n1=replace(NODES["n1"], decay=frozen(0.25))), "n1", "decay"),
    "no bias": (graph(conv=replace(NODES["conv"], bias=None)), "n1", "bias"),
    "another flatten order": (graph(fc=ir.Linear(NODES["fc"].weight[:, FLAT])), "n2", "order"),
    "another padding": (graph(conv=replace(NODES["conv"], padding=((0, 1), (1, 0)))), "n1", "padding"),
    "another scale": (graph(out=ir.Linear(NODES["out"].weight * 2)), "n3", "exponent"),
    "another delay": (WHOLE.replace({}, (Edge("n2", "loop", 2) if e == Edge("n2", "loop", 1) else e for e in WHOLE.edges)), "n2", "delay"),
}


@pytest.mark.parametrize("fault", GRAPHS)
def test_a_broken_graph_is_found_out(fault):
    broken, layer, cause = GRAPHS[fault]
    found = bisect(Side("sound", WHOLE), Side("broken", broken), DATA)
    assert named(found) == (layer, cause)
    check_replay(found, Side("sound", WHOLE), Side("broken", broken))


def test_equal_networks_are_equal():
    for network in (SOUND, WHOLE):
        found = bisect(Side("a", network), Side("b", network), DATA)
        assert found.bisection.equal
        assert found.bisection.cause == ""
        assert found.reduced is None
