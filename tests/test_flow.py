"""From a float graph to chip networks: every spike of every layer equals the integer definition, a printed shift later.

Random small networks of every shape (chains, residual, concatenated, recurrent, several inputs, images) and every
neuron go through the whole flow for both chips and every construction. Three equalities are asked for, all exact: each
construction and its burst neuron, the lowered graph and the integer graph with its burst neurons, the chip network and
the lowered graph.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.errors import ProfileError, SnnError, Unsupported
from snndeploy.flow.bursts import with_constant
from snndeploy.flow.chips import Built, build, hold_against_definition, integer_inputs, settings_for
from snndeploy.flow.feeding import Feed, chip_predictions, describe_inputs, float_predictions
from snndeploy.flow.lowering import to_normal_form
from snndeploy.hw import load_profile
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import BatchNorm, Concat, Conv, Input, Linear, MaxPool, Output, Reshape, Sum, SumPool
from snndeploy.ir.neurons.burst import Burst, lifb
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, integrate_and_fire
from snndeploy.ir.paths import neurons
from snndeploy.report.report import BurstRow
from snndeploy.sim.reference import run_reference
from snndeploy.verify import compare

TARGETS = (
    ("loihi2", "auto"),
    ("loihi2", "graded"),
    ("loihi2", "ping-pong"),
    ("loihi2", "ping-pong-direct"),
    ("loihi2", "look-ahead-direct"),
    ("loihi2", "lateral"),
    ("loihi1", "auto"),
    ("loihi1", "look-ahead"),
)


# ------------------------------------------------------------------------------------------------------------- networks


@dataclass(frozen=True)
class Draw:
    """A source of random layers; ``kinds`` are the neurons it draws from."""

    rng: np.random.Generator
    kinds: tuple[str, ...]
    bias: bool

    def maybe(self, values: np.ndarray) -> np.ndarray | None:
        return values if self.bias else None

    def linear(self, out: int, into: int) -> Linear:
        return Linear(self.rng.normal(size=(out, into)) * 1.2 / np.sqrt(into), self.maybe(self.rng.normal(size=out) * 0.2))

    def conv(self, out: int, into: int, kernel: int = 3, groups: int = 1, **how: object) -> Conv:
        weight = self.rng.normal(size=(out, into // groups, kernel, kernel)) * 1.4 / np.sqrt(into * kernel * kernel / groups)
        return Conv(weight, self.maybe(self.rng.normal(size=out) * 0.2), padding=((kernel // 2, kernel // 2),) * 2, groups=groups, **how)

    def norm(self, channels: int) -> BatchNorm:
        shape = (channels, 1, 1)
        return BatchNorm(
            self.rng.normal(size=shape) * 0.1, self.rng.uniform(0.5, 1.5, shape), self.rng.normal(size=shape) * 0.1 * self.bias
        )

    def output(self) -> Output:
        return Output(self.rng.choice(["mean", "sum", "last", "max", "count", "membrane", "first"]))

    def per_channel(self, low: float, high: float, shape: tuple[int, ...]) -> np.ndarray:
        return self.rng.uniform(low, high, (shape[0], *(1,) * (len(shape) - 1)) if self.rng.random() < 0.4 else ())

    def neuron(self, shape: tuple[int, ...]) -> Node:
        return NEURONS[self.rng.choice(self.kinds)](self, shape)

    def plain(self, shape: tuple[int, ...], **more: object) -> LIF:
        theta = frozen(self.per_channel(0.4, 1.2, shape))
        decay = frozen(self.rng.choice([0.0, 0.25, 0.5, 0.9, 1.0]))
        return LIF(decay, threshold=theta, amount=theta, strict=bool(self.rng.random() < 0.5), **more)

    def cuba(self, shape: tuple[int, ...], reset: str) -> CubaLIF:
        decays = frozen(self.rng.choice([0.5, 0.8])), frozen(self.rng.choice([0.5, 0.75, 1.0]))
        return CubaLIF(*decays, threshold=frozen(self.per_channel(0.4, 1.2, shape)), reset=reset, amount=frozen(0.5))

    def ladder(self, shape: tuple[int, ...], rungs: int, reset: str = "hard") -> Burst:
        thresholds = np.sort(self.rng.uniform(0.3, 1.2, rungs)) + np.arange(rungs) * 0.1
        levels = np.sort(self.rng.uniform(0.5, 3, (rungs, shape[0], *(1,) * (len(shape) - 1))), axis=0)
        strict = tuple(bool(s) for s in self.rng.random(rungs) < 0.5)
        return Burst(frozen(self.rng.choice([0.5, 0.7, 1.0])), frozen(thresholds), frozen(levels), strict, reset)


NEURONS = {
    "lif": lambda d, s: d.plain(s, gain=frozen(d.per_channel(0.5, 1.0, s)), rest=frozen(d.rng.choice([0, 0.1]))),
    "v_reset": lambda d, s: d.plain(s, v_reset=frozen(-0.25), v_init=frozen(-0.25)),
    "subtract": lambda d, s: d.plain(s, reset="subtract"),
    "late": lambda d, s: d.plain(s, reset="subtract", late=True),
    "none": lambda d, s: d.plain(s, reset="none"),
    "floor": lambda d, s: d.plain(s, floor=frozen(-0.1)),
    "at rest": lambda d, s: LIF(frozen(0.5), threshold=frozen(d.rng.choice([-0.1, 0.0]))),
    "if": lambda d, s: integrate_and_fire(0.7),
    "cuba": lambda d, s: d.cuba(s, "hard"),
    "cuba soft": lambda d, s: d.cuba(s, "subtract"),
    "lifb": lambda d, s: lifb(0.5, 0.5, 1.0, d.per_channel(1.2, 2.2, s)),
    "lifb soft": lambda d, s: lifb(0.5, 0.5, 1.0, d.rng.choice([1.25, 1.5, 2.0]), reset="subtract"),
    "three rungs": lambda d, s: d.ladder(s, 3),
    "four rungs": lambda d, s: d.ladder(s, 4, "none"),
    "one rung": lambda d, s: Burst(frozen(0.5), frozen([0.7]), frozen([1.5]), (False,)),
}
NEEDS_PROGRAM = {"subtract", "late", "none", "floor", "at rest", "cuba soft", "lifb soft", "four rungs"}


def chain(nodes: dict[str, Node], *more: Edge, beside: dict[str, Node] | None = None) -> Graph:
    """The nodes one after the other, those ``beside`` them, and more edges."""
    return Graph({**nodes, **(beside or {})}, (*(Edge(a, b) for a, b in itertools.pairwise(nodes)), *more))


def dense(d: Draw, x: Input) -> Graph:
    nodes = {"x": x, "l1": d.linear(5, x.shape[0]), "n1": d.neuron((5,)), "l2": d.linear(4, 5), "n2": d.neuron((4,))}
    return chain({**nodes, "l3": d.linear(3, 4), "y": d.output()})


def residual(d: Draw, x: Input) -> Graph:
    nodes = {"x": x, "l1": d.linear(5, x.shape[0]), "n1": d.neuron((5,)), "l2": d.linear(5, 5), "n2": d.neuron((5,)), "l3": d.linear(5, 5)}
    return chain({**nodes, "s": Sum(), "n3": d.neuron((5,)), "l4": d.linear(3, 5), "y": d.output()}, Edge("n1", "s"))


def image(d: Draw, x: Input) -> Graph:
    """Convolution, BatchNorm, an identity path past a padded convolution, pooling, a dense read-out."""
    nodes = {"x": x, "c1": d.conv(4, 2), "b1": d.norm(4), "n1": d.neuron((4, 5, 5)), "c2": d.conv(4, 4, groups=2), "b2": d.norm(4)}
    nodes |= {"s": Sum(), "n2": d.neuron((4, 5, 5)), "p": SumPool((2, 2), (2, 2), ((0, 0), (0, 0)), frozen(0.25))}
    nodes |= {"c3": d.conv(2, 4, stride=(2, 1)), "n3": d.neuron((2, 1, 2)), "f": Reshape(), "l": d.linear(3, 4), "y": d.output()}
    return chain(nodes, Edge("n1", "s"))


def joined(d: Draw, x: Input) -> Graph:
    """A dilated convolution, and a concatenation of a layer with the layer before it."""
    nodes = {"x": x, "c1": d.conv(2, 2, dilation=(2, 2)), "n1": d.neuron((2, 3, 3)), "c2": d.conv(3, 2), "n2": d.neuron((3, 3, 3))}
    nodes |= {"cat": Concat(), "c3": d.conv(2, 5, 1), "n3": d.neuron((2, 3, 3)), "f": Reshape(), "l": d.linear(3, 18), "y": d.output()}
    return chain(nodes, Edge("n1", "cat", port=1))


def pooled(d: Draw, x: Input) -> Graph:
    """Max pooling of spikes: memoryless neurons more, one for a window or two for each rung."""
    nodes = {"x": x, "c1": d.conv(2, 2), "n1": d.neuron((2, 5, 5)), "m": MaxPool((2, 2), (2, 2), ((0, 1), (0, 1))), "c2": d.conv(2, 2)}
    return chain({**nodes, "n2": d.neuron((2, 3, 3)), "f": Reshape(), "l": d.linear(3, 18), "y": d.output()})


def recurrent(d: Draw, x: Input) -> Graph:
    """A layer that feeds itself one step later."""
    nodes = {"x": x, "l1": d.linear(5, x.shape[0]), "s": Sum(), "n1": d.neuron((5,)), "l2": d.linear(3, 5), "y": d.output()}
    back = Linear(d.rng.normal(size=(5, 5)) / 2)
    return chain(nodes, Edge("n1", "w", 1), Edge("w", "s"), beside={"w": back})


def feedback(d: Draw, x: Input) -> Graph:
    """A loop over two layers, with one step of delay more than it has synapses."""
    nodes = {"x": x, "l1": d.linear(5, x.shape[0]), "s": Sum(), "n1": d.neuron((5,)), "l2": d.linear(4, 5), "n2": d.neuron((4,))}
    nodes |= {"l3": d.linear(3, 4), "y": d.output()}
    back = Linear(d.rng.normal(size=(5, 4)) / 2)
    return chain(nodes, Edge("n2", "w", 3), Edge("w", "s"), beside={"w": back})


def two_layers(d: Draw, x: Input) -> dict[str, Node]:
    nodes = {
        "x": x,
        "l1": d.linear(5, x.shape[0]),
        "s": Sum(),
        "n1": d.neuron((5,)),
        "l2": d.linear(4, 5),
        "s2": Sum(),
        "n2": d.neuron((4,)),
    }
    return {**nodes, "y": Output("count")}


def two_inputs(d: Draw, x: Input) -> Graph:
    """Events join the data in the first layer and again in the second; the last neurons are read."""
    beside = {"z": Input((3,), "spikes"), "e1": d.linear(5, 3), "e2": d.linear(4, 3)}
    return chain(two_layers(d, x), Edge("z", "e1"), Edge("e1", "s"), Edge("z", "e2"), Edge("e2", "s2"), beside=beside)


def two_real_inputs(d: Draw, x: Input) -> Graph:
    """Two inputs of one kind into one layer, one of them also past it."""
    beside = {"z": Input((3,), x.carries, x.static), "e1": d.linear(5, 3), "e2": d.linear(4, x.shape[0])}
    return chain(two_layers(d, x), Edge("z", "e1"), Edge("e1", "s"), Edge("x", "e2"), Edge("e2", "s2"), beside=beside)


def pruned(d: Draw, x: Input) -> Graph:
    """A layer whose weights are all zero, one of one sign, and a neuron that is read."""
    zero, positive = Linear(np.zeros((5, 5)), d.maybe(np.full(5, 0.3))), Linear(np.abs(d.linear(5, 5).weight))
    nodes = {"x": x, "l1": d.linear(5, x.shape[0]), "n1": d.neuron((5,)), "l2": zero, "n2": d.neuron((5,)), "l3": positive}
    return chain({**nodes, "s": Sum(), "n3": d.neuron((5,)), "y": Output("sum")}, Edge("n1", "s"))


DENSE = (dense, residual, recurrent, feedback, two_inputs, two_real_inputs, pruned)
IMAGES = (image, joined, pooled)
INPUTS = {
    "spikes": lambda shape: Input(shape, "spikes"),
    "counts": lambda shape: Input(shape, "levels"),
    "real": lambda shape: Input(shape, "real"),
    "static": lambda shape: Input(shape, "real", True),
}


def data(rng: np.random.Generator, graph: Graph, steps: int, batch: int) -> Feed:
    inputs = {}
    for name, node in graph.named(Input).items():
        size = (1 if node.static else steps, batch, *node.shape)
        if node.carries == "real":
            inputs[name] = rng.normal(size=size)
        else:
            inputs[name] = rng.integers(0, 2 if node.carries == "spikes" else 4, size).astype(float)
    return Feed(inputs, None, steps)


# ------------------------------------------------------------------------------------------------------------- the flow


def deployed(graph: Graph, feed: Feed, chip: str, burst: str = "auto") -> Built:
    lowered, _ = to_normal_form(graph, feed)
    profile = load_profile(chip)
    settings = settings_for(lowered, profile, feed.steps, {}, burst)
    return build(lowered, profile, feed, settings, burst, run_reference(lowered, feed.inputs, feed.steps))


def check(built: Built, feed: Feed) -> int:
    """Asserts all equalities of a built network; returns how many values of the chip were compared."""
    assert all(offer.pair is None or offer.pair.different == 0 for offer in built.lowered.offers)
    whole = integer_inputs(built.quantized, feed)
    bursts = run_reference(built.quantized.graph, whole, feed.steps)
    lowered = run_reference(built.integer, with_constant(built.integer, whole), feed.steps)
    common = [name for name in neurons(built.quantized.graph) if name in lowered.outputs]
    assert not common or compare(bursts, lowered, common).different == 0
    pair, trace = hold_against_definition(built, feed)
    assert pair.different == 0, pair.first
    assert trace.samples == feed.samples
    assert all(np.array_equal(population.shift, trace.shifts[name]) for name, population in built.network.populations.items())
    return pair.compared


HARD = ("ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct")
ONLY = {**{name: {"lifb soft", "four rungs"} for name in HARD}, "lateral": {"lifb", "three rungs"}}
"""Kinds that a construction is not for."""


def reasons(kinds: set[str], chip: str, burst: str, real: bool, loops: bool) -> set[str]:
    """What a refusal of this network may say; where this is empty, the network must be deployed."""
    allowed = set()
    if chip == "loihi1":
        allowed |= {"L010"} if kinds & NEEDS_PROGRAM else set()
        allowed |= {"not into this neuron's synaptic current"} if real and kinds & {"cuba", "cuba soft"} else set()
    if kinds & ONLY.get(burst, set()):
        allowed |= {"not asked for", "does not apply to this neuron"}
    if burst in ("ping-pong", "look-ahead", "look-ahead-direct") and loops:
        allowed.add("which this layer's feedback does not have")
    if "at rest" in kinds and (loops or burst in ONLY):
        allowed.add("fires at rest")
    return allowed


def go(family, kinds: tuple[str, ...], carries: str, seed: int, targets=TARGETS, steps: int = 0, batch: int = 5) -> int:
    """Deploy one random network on every target; how many values were compared. Refusals must be those foreseen."""
    rng = np.random.default_rng(seed)
    draw = Draw(rng, kinds, bias=bool(rng.random() < 0.6))
    graph = family(draw, INPUTS[carries]((2, 5, 5) if family in IMAGES else (6,)))
    feed = data(rng, graph, steps or int(rng.choice([1, 3, 6])), batch)
    compared = 0
    for chip, burst in targets:
        allowed = reasons(set(kinds), chip, burst, carries != "spikes", family in (recurrent, feedback))
        if burst != "auto" and not graph.named(Burst):
            allowed.add("is how burst neurons are built, and this network has none")
        built = attempt(graph, feed, chip, burst)
        if isinstance(built, Built):
            compared += check(built, feed)
        else:
            assert any(reason in str(built) for reason in allowed), (chip, burst, str(built))
    return compared


def attempt(graph: Graph, feed: Feed, chip: str, burst: str) -> Built | SnnError:
    try:
        return deployed(graph, feed, chip, burst)
    except SnnError as refusal:
        return refusal


SOME = (("loihi2", "auto"), ("loihi2", "ping-pong-direct"), ("loihi1", "auto"))


@pytest.mark.parametrize("kind", NEURONS)
def test_every_neuron_in_a_residual_network(kind):
    assert go(residual, (kind,), "counts", seed=1)


@pytest.mark.parametrize("kind", NEURONS)
def test_every_neuron_in_a_recurrent_network(kind):
    compared = go(recurrent, (kind,), "spikes", seed=2, targets=SOME)
    assert bool(compared) is (kind != "at rest")


@pytest.mark.parametrize("carries", INPUTS)
@pytest.mark.parametrize("family", [*DENSE, *IMAGES])
def test_every_network_and_input(family, carries):
    assert go(family, ("lif", "lifb"), carries, seed=3, targets=SOME)


@pytest.mark.parametrize("family", [*DENSE, *IMAGES])
def test_neurons_mixed(family):
    go(family, tuple(NEURONS), "real", seed=4, targets=(("loihi2", "auto"), ("loihi1", "auto")))


@pytest.mark.parametrize("carries", INPUTS)
@pytest.mark.parametrize("family", [residual, image, recurrent])
def test_one_sample_of_one_step(family, carries):
    assert go(family, ("lif", "lifb", "cuba"), carries, seed=6, targets=(("loihi2", "auto"),), steps=1, batch=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(4), *(pytest.param(seed, marks=pytest.mark.whole) for seed in range(4, 12))])
@pytest.mark.parametrize("family", [*DENSE, *IMAGES])
def test_many_networks(family, seed):
    rng = np.random.default_rng([seed, 5])
    kinds = tuple(str(k) for k in rng.choice(list(NEURONS), rng.integers(1, 4), replace=False))
    go(family, kinds, str(rng.choice(list(INPUTS))), seed=seed + 100)


# ------------------------------------------------------------------------------------------------------- what is printed


def shifts(built: Built) -> dict[str, int]:
    return {name: population.shift for name, population in built.network.populations.items()}


def test_the_shifts_are_the_layers_depth():
    rng = np.random.default_rng(0)
    graph = residual(Draw(rng, ("lif",), True), Input((6,), "spikes"))
    feed = data(rng, graph, 4, 3)
    built = deployed(graph, feed, "loihi2")
    assert shifts(built) == {"x": 0, CONSTANT: 0, "n1": 1, "n2": 2, "n3": 3, "y.readout": 4}
    skip = next(p for p in built.network.projections if (p.source, p.target) == ("n1", "n3"))
    assert skip.delay == 1


def test_relays_add_one_step_a_burst_layer():
    rng = np.random.default_rng(0)
    graph = dense(Draw(rng, ("lifb",), True), Input((6,), "spikes"))
    feed = data(rng, graph, 4, 3)
    with_relays, without = (shifts(deployed(graph, feed, "loihi2", burst)) for burst in ("ping-pong", "ping-pong-direct"))
    assert (with_relays["n1.A1"], with_relays["n1.R1"], with_relays["n2.B2"], with_relays["n2.R2"], with_relays["y.readout"]) == (
        1,
        2,
        3,
        4,
        5,
    )
    assert (without["n1.A1"], without["n2.B2"], without["y.readout"]) == (1, 2, 3)


@pytest.mark.parametrize(("delay", "synapses"), [(1, 2), (2, 3)])
def test_a_loop_with_more_synapses_than_delay_is_refused(delay, synapses):
    rng = np.random.default_rng(0)
    draw = Draw(rng, ("lif",), False)
    nodes = {"x": Input((5,), "spikes"), "l0": draw.linear(5, 5), "s": Sum()}
    for k in range(synapses):
        nodes |= {f"n{k}": draw.neuron((5,)), f"l{k + 1}": draw.linear(5, 5)}
    graph = chain({**nodes, "y": Output("sum")}, Edge(f"n{synapses - 1}", "w", delay), Edge("w", "s"), beside={"w": draw.linear(5, 5)})
    feed = data(rng, graph, 5, 2)
    with pytest.raises(Unsupported) as refusal:
        deployed(graph, feed, "loihi2")
    loop = refusal.value.where.split(" -> ")
    assert loop[0] == loop[-1]
    assert sorted(loop[1:]) == [f"n{k}" for k in range(synapses)]
    assert str(refusal.value).startswith(
        f"{refusal.value.where}: L017: the feedback through these layers passes more synapses than it has delay"
    )
    assert "one step per synapse" in refusal.value.hint


def test_a_chip_that_can_only_be_priced_is_refused():
    rng = np.random.default_rng(0)
    graph = dense(Draw(rng, ("lif",), False), Input((6,), "spikes"))
    with pytest.raises(ProfileError, match="priced, but not simulated"):
        deployed(graph, data(rng, graph, 2, 2), "truenorth")


def test_two_outputs_are_refused():
    rng = np.random.default_rng(0)
    graph = dense(Draw(rng, ("lif",), False), Input((6,), "spikes"))
    two = Graph({**graph.nodes, "z": Output("count")}, (*graph.edges, Edge("n1", "z")))
    with pytest.raises(Unsupported, match="2 outputs"):
        deployed(two, data(rng, two, 2, 2), "loihi2")


def test_offers_say_what_each_construction_takes_and_why_not():
    rng = np.random.default_rng(0)
    graph = dense(Draw(rng, ("lifb",), True), Input((6,), "spikes"))
    built = deployed(graph, data(rng, graph, 6, 4), "loihi1")
    first = {o.construction: o for o in built.lowered.offers if o.layer == "n1"}
    sizes = {"graded": 5, "ping-pong": 30, "ping-pong-direct": 20, "look-ahead": 25, "look-ahead-direct": 20, "two-phase": 10}
    assert {name: o.neurons for name, o in first.items()} == sizes
    assert "L010" in first["graded"].why_not
    assert first["graded"].pair is None
    assert [o.why_not for o in first.values()][1:] == [""] * 4 + [first["two-phase"].why_not]
    assert "decay made of two equal ones: 0.5, needs 1, 1/4" in first["two-phase"].why_not
    assert sum(o.chosen for o in first.values()) == 1
    # every neuron of both banks hears all six inputs and the three that force its bank; bank B hears the constant
    assert first["ping-pong-direct"].synapses == 20 * (6 + 3) + 10
    # A, B2 and C2 hear all six inputs; T hears A; B2 hears A's force, T's, and T's kick; C2 T's force and both kicks
    assert first["look-ahead-direct"].synapses == 15 * 6 + 5 * (1 + 3 + 3)
    assert first["ping-pong-direct"].spikes > first["look-ahead-direct"].spikes > first["graded"].spikes


def test_synapses_of_a_padded_convolution_end_at_the_border():
    rng = np.random.default_rng(0)
    draw = Draw(rng, ("lifb",), False)
    nodes = {"x": Input((1, 3, 3), "spikes"), "c": draw.conv(1, 1), "n": lifb(0.5, 0.5, 1.0, 2.0), "y": Output("sum")}
    graph = chain(nodes)
    built = deployed(graph, data(rng, graph, 3, 2), "loihi2")
    graded = next(o for o in built.lowered.offers if o.construction == "graded")
    assert graded.synapses == 4 * 4 + 4 * 6 + 9


# --------------------------------------------------------------------------------------------------- inputs and read-outs


WORDS = {"spikes": "0 or 1", "levels": "a whole number", "real": ""}


@pytest.mark.parametrize(
    ("values", "steps", "static", "carries"),
    [
        (np.array([[[0.0, 1.0]]]), 4, True, "spikes"),
        (np.array([[[0.0, 3.0]]]), 4, True, "levels"),
        (np.array([[[0.5, 1.0]]]), 4, True, "real"),
        (np.array([[[-1.0, 1.0]]]), 4, True, "real"),
        (np.zeros((4, 1, 2)), 4, False, "spikes"),
        (np.array([[[0.0, 1.0]]]), 1, False, "spikes"),
    ],
)
def test_what_an_input_carries_is_read_from_the_data_and_said(values, steps, static, carries):
    graph, notes = describe_inputs(chain({"x": Input((2,)), "n": LI(frozen(0.5)), "y": Output()}), Feed({"x": values}, None, steps))
    assert (graph.nodes["x"].static, graph.nodes["x"].carries) == (static, carries)
    said = f"ASSUMED input x carries {carries}: every value of the data is {WORDS[carries]}"
    assert (said in notes) is (carries != "real")
    assert any("no time axis" in note for note in notes) is static


def test_what_the_model_says_of_its_input_is_kept():
    graph, notes = describe_inputs(
        chain({"x": Input((2,), "levels"), "n": LI(frozen(0.5)), "y": Output()}), Feed({"x": np.ones((3, 1, 2))}, None, 3)
    )
    assert graph.nodes["x"] == Input((2,), "levels")
    assert notes == ()


# how many values differ from 0, and when the first does, says nothing of membranes
READ = [(end, decode) for end in ("linear", "membrane") for decode in ("sum", "mean", "membrane", "last", "max", "none")]
READ += [(end, decode) for end in ("spikes", "burst") for decode in ("count", "sum", "mean", "first")]


@pytest.mark.parametrize(("end", "decode"), READ)
@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_every_read_out_answers_what_the_float_network_answers(decode, chip, end):
    rng = np.random.default_rng(3)
    draw = Draw(rng, ("if",), False)
    ends = {"spikes": integrate_and_fire(0.7), "membrane": LI(frozen(0.75)), "burst": lifb(0.5, 0.5, 1.0, 2.0)}
    last = {"n2": ends[end]} if end in ends else {}
    graph = chain(
        {
            "x": Input((12,), "spikes"),
            "l1": draw.linear(30, 12),
            "n1": draw.neuron((30,)),
            "l2": draw.linear(4, 30),
            **last,
            "y": Output(decode),
        }
    )
    feed = data(rng, graph, 8, 60)
    built = deployed(graph, feed, chip)
    _, trace = hold_against_definition(built, feed)
    wanted = float_predictions(graph, run_reference(graph, feed.inputs, feed.steps))
    assert len(set(wanted.tolist())) > 1
    assert (chip_predictions(built.network, trace) == wanted).mean() > 0.85


@pytest.mark.parametrize("burst", ["graded", *HARD])
def test_a_burst_neuron_that_is_the_output_is_read_in_its_own_units(burst):
    rng = np.random.default_rng(1)
    graph = chain({"x": Input((6,), "spikes"), "l": Linear(rng.normal(size=(4, 6))), "n": lifb(0.5, 0.5, 1.0, 1.25), "y": Output("sum")})
    feed = data(rng, graph, 6, 9)
    built = deployed(graph, feed, "loihi2", burst)
    check(built, feed)
    _, trace = hold_against_definition(built, feed)
    read = built.network.populations[built.network.readout.population]
    record = trace.outputs[read.name][read.shift : read.shift + 6] * read.scale
    integer = run_reference(built.quantized.graph, integer_inputs(built.quantized, feed), 6).outputs["n"] * built.quantized.units["n"]
    np.testing.assert_array_equal(record, integer)
    assert set(np.unique(record)) == {0, 1, 1.25}


def test_data_beyond_the_calibration_still_equal_the_definition_or_are_refused():
    """Counts were 0..5 in calibration: 7 is within their bits and exact, 8 is not and says so."""
    rng = np.random.default_rng(0)
    graph = dense(Draw(rng, ("lifb",), False), Input((6,), "levels"))
    feed = Feed({"x": rng.integers(0, 6, (5, 4, 6)).astype(float)}, None, 5)
    built = deployed(graph, feed, "loihi2", "ping-pong")
    check(built, Feed({"x": np.full((5, 4, 6), 7.0)}, None, 5))
    with pytest.raises(SnnError, match=r"outside 0\.\.7"):
        hold_against_definition(built, Feed({"x": np.full((5, 4, 6), 8.0)}, None, 5))


def test_a_network_of_whole_numbers_spikes_on_the_chip_as_it_did_in_float():
    rng = np.random.default_rng(7)
    weights = [rng.integers(-31, 64, size) / 64 for size in ((16, 10), (16, 16), (5, 16))]
    for weight in weights:
        weight.flat[0] = 127 / 64
    layers = {f"l{k}": Linear(weight) for k, weight in enumerate(weights)}
    neuron = integrate_and_fire(1.0, strict=True)
    graph = chain(
        {
            "x": Input((10,), "spikes"),
            "l0": layers["l0"],
            "n0": neuron,
            "l1": layers["l1"],
            "n1": neuron,
            "l2": layers["l2"],
            "n2": neuron,
            "y": Output("count"),
        }
    )
    feed = data(rng, graph, 10, 50)
    for chip in ("loihi1", "loihi2"):
        built = deployed(graph, feed, chip)
        assert [layer.error for layer in built.quantized.layers] == [0, 0, 0]
        _, trace = hold_against_definition(built, feed)
        wanted = run_reference(graph, feed.inputs, 10)
        assert compare(wanted, trace, ["n0", "n1", "n2"]).different == 0


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_payloads_hold_all_data_at_hand_not_only_the_calibration(chip):
    """The first samples are small and positive, the others are neither."""
    rng = np.random.default_rng(0)
    graph = dense(Draw(rng, ("lif",), True), Input((6,), "real", True))
    x = np.concatenate([rng.random((1, 8, 6)), rng.normal(size=(1, 8, 6)) * 9], axis=1)
    everything = Feed({"x": x}, None, 5)
    lowered, _ = to_normal_form(graph, everything.first(4))
    profile, seen = load_profile(chip), everything.first(8)
    settings = settings_for(lowered, profile, 5, {}, "auto")
    reference = run_reference(lowered, seen.inputs, 5)
    check(build(lowered, profile, seen, settings, "auto", reference, everything), everything)
    if chip == "loihi2":
        with pytest.raises(SnnError, match="outside") as refusal:
            hold_against_definition(build(lowered, profile, seen, settings, "auto", reference), everything)
        assert "convert it again" in refusal.value.hint


def test_two_phase_is_priced_with_the_whole_network_and_says_why_it_is_not_taken():
    def row(decay: float) -> BurstRow:
        draw = Draw(np.random.default_rng(0), ("lif",), True)
        nodes = {"x": Input((6,), "spikes"), "w": draw.linear(5, 6), "n": lifb(decay, 0.5, 1.0, 2.0), "y": Output("sum")}
        graph = chain(nodes)
        built = deployed(graph, data(np.random.default_rng(0), graph, 6, 4), "loihi1")
        assert not next(o for o in built.lowered.offers if o.construction == "two-phase").chosen
        return next(o for o in built.lowered.offers if o.construction == "two-phase")

    fine, half = row(0.25), row(0.5)
    assert (fine.neurons, fine.latency, fine.phases, fine.pair.different) == (10, 0, 2, 0)
    assert fine.pair.compared == 6 * 4 * 5
    assert fine.joules > 0
    assert "only --burst two-phase takes it" in fine.why_not
    assert "decay made of two equal ones" in half.why_not
    assert np.isnan(half.joules)
    assert half.per_spike is None
    graph = dense(Draw(np.random.default_rng(0), ("lifb",), True), Input((6,), "spikes"))
    feed = data(np.random.default_rng(0), graph, 3, 2)
    with pytest.raises(Unsupported, match="two-phase: decay made of two equal ones"):
        deployed(graph, feed, "loihi1", "two-phase")
