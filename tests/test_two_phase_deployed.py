"""Two-phase deployed: whole networks at two chip steps for one, through the flow, the saved file and every executor."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest

import converters
from converters.onnx import to_bytes
from snndeploy.arrays import frozen
from snndeploy.errors import ChipError, Unsupported
from snndeploy.flow.against_lava import pair_of
from snndeploy.flow.chips import Built, build, hold_against_definition, hold_lowered, settings_for
from snndeploy.flow.feeding import Feed
from snndeploy.flow.lowering import to_normal_form
from snndeploy.hw import load_profile
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Conv, Input, Linear, Output, Reshape, Sum
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.lava import lava_python
from snndeploy.sim.ort import run_onnxruntime
from snndeploy.sim.reference import run_reference

DECAYS = (0.0, 1 / 16, 0.25, 1.0)


def ladder(rng: np.random.Generator, rungs: int, channels: int, dims: int = 0) -> Burst:
    """K rungs, levels by channel, a decay that has a half."""
    thresholds = np.sort(rng.uniform(0.3, 1.2, rungs)) + 0.1 * np.arange(rungs)
    levels = np.sort(rng.uniform(0.5, 3, (rungs, channels, *(1,) * dims)), axis=0)
    return Burst(frozen(rng.choice(DECAYS)), frozen(thresholds), frozen(levels), tuple(bool(s) for s in rng.random(rungs) < 0.5), "hard")


def plain(rng: np.random.Generator) -> LIF:
    theta = frozen(rng.uniform(0.4, 1.2))
    return LIF(frozen(rng.choice(DECAYS)), threshold=theta, amount=theta, strict=bool(rng.random() < 0.5))


def linear(rng: np.random.Generator, out: int, into: int) -> Linear:
    return Linear(rng.normal(size=(out, into)) * 1.3 / np.sqrt(into), rng.normal(size=out) * 0.2 if rng.random() < 0.6 else None)


def chain(nodes: dict[str, Node], *more: Edge, beside: dict[str, Node] | None = None) -> Graph:
    return Graph({**nodes, **(beside or {})}, (*(Edge(a, b) for a, b in itertools.pairwise(nodes)), *more))


def mixed(rng: np.random.Generator, x: Input, rungs: int) -> Graph:
    """Burst, plain, burst, and a skip from the first into the last."""
    nodes = {"x": x, "l1": linear(rng, 8, 6), "n1": ladder(rng, rungs, 8), "l2": linear(rng, 8, 8), "n2": plain(rng)}
    nodes |= {"l3": linear(rng, 8, 8), "s": Sum(), "n3": ladder(rng, rungs, 8), "l4": linear(rng, 3, 8), "y": Output("mean")}
    return chain(nodes, Edge("n1", "s"))


def read_at_last(rng: np.random.Generator, x: Input, rungs: int) -> Graph:
    """The burst neurons are what is read."""
    nodes = {"x": x, "l1": linear(rng, 8, 6), "n1": plain(rng), "l2": linear(rng, 5, 8), "n2": ladder(rng, rungs, 5)}
    return chain({**nodes, "y": Output("sum")})


def membrane(rng: np.random.Generator, x: Input, rungs: int) -> Graph:
    """A leaking read-out, of which the host takes the last value."""
    nodes = {"x": x, "l1": linear(rng, 8, 6), "n1": ladder(rng, rungs, 8), "l2": linear(rng, 3, 8), "n2": LI(frozen(0.25))}
    return chain({**nodes, "y": Output("last")})


def recurrent(rng: np.random.Generator, x: Input, rungs: int) -> Graph:
    """A burst layer that feeds itself one step of the model later."""
    nodes = {"x": x, "l1": linear(rng, 6, 6), "s": Sum(), "n1": ladder(rng, rungs, 6), "l2": linear(rng, 3, 6), "y": Output("count")}
    return chain(nodes, Edge("n1", "w", 1), Edge("w", "s"), beside={"w": Linear(rng.normal(size=(6, 6)) / 2)})


def image(rng: np.random.Generator, x: Input, rungs: int) -> Graph:
    """Padded convolutions with biases, and a residual path."""
    conv = Conv(rng.normal(size=(3, 2, 3, 3)) * 0.4, rng.normal(size=3) * 0.2, padding=((1, 1), (1, 1)))
    more = Conv(rng.normal(size=(3, 3, 3, 3)) * 0.3, rng.normal(size=3) * 0.2, padding=((1, 1), (1, 1)))
    nodes = {"x": x, "c1": conv, "n1": ladder(rng, rungs, 3, 2), "c2": more, "s": Sum(), "n2": plain(rng), "f": Reshape()}
    return chain({**nodes, "l": linear(rng, 3, 48), "y": Output("sum")}, Edge("n1", "s"))


FAMILIES = (mixed, read_at_last, membrane, recurrent, image)
INPUTS = {"spikes": ("spikes", False), "counts": ("levels", False), "real": ("real", False), "static": ("real", True)}


def data(rng: np.random.Generator, graph: Graph, steps: int, batch: int) -> Feed:
    inputs = {}
    for name, node in graph.named(Input).items():
        size = (1 if node.static else steps, batch, *node.shape)
        whole = rng.integers(0, 2 if node.carries == "spikes" else 4, size).astype(float)
        inputs[name] = rng.normal(size=size) if node.carries == "real" else whole
    return Feed(inputs, None, steps)


def deployed(graph: Graph, feed: Feed, chip: str, burst: str = "two-phase") -> Built:
    lowered, _ = to_normal_form(graph, feed)
    profile = load_profile(chip)
    settings = settings_for(lowered, profile, feed.steps, {}, burst)
    return build(lowered, profile, feed, settings, burst, run_reference(lowered, feed.inputs, feed.steps))


def network(family, rungs: int, carries: str, seed: int) -> tuple[Graph, Feed]:
    rng = np.random.default_rng([seed, rungs])
    kind, static = INPUTS[carries]
    graph = family(rng, Input((2, 4, 4) if family is image else (6,), kind, static), rungs)
    return graph, data(rng, graph, 12, 8)


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
@pytest.mark.parametrize("carries", INPUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks_deployed_two_phase_are_the_integer_graph(family, carries, chip):
    for rungs in (2, 3, 5):
        graph, feed = network(family, rungs, carries, 1)
        built = deployed(graph, feed, chip)
        assert built.network.phases == 2
        chosen = [o for o in built.lowered.offers if o.chosen]
        assert chosen
        assert all(o.construction == "two-phase" and o.pair is not None and o.pair.different == 0 for o in chosen)
        lowering = hold_lowered(built, feed)
        assert lowering is None or lowering.different == 0
        pair, trace = hold_against_definition(built, feed)
        assert pair.different == 0
        assert trace.steps == 2 * feed.steps + built.network.latency


# ------------------------------------------------------------------------------------------------- the file, the executors


@pytest.mark.parametrize("scan", [False, True])
@pytest.mark.parametrize("carries", ["spikes", "static"])
def test_onnxruntime_runs_the_file_alike(carries, scan):
    for family in (mixed, recurrent, image):
        graph, feed = network(family, 3, carries, 2)
        built = deployed(graph, feed, "loihi1")
        values = inject(built.network, feed.inputs)
        file = to_bytes(built.network, scan=scan)
        theirs, ours = run_onnxruntime(file, values, states=not scan), run_chip(built.network, values, states=True)
        assert theirs.steps == ours.steps
        for name in theirs.outputs:
            np.testing.assert_array_equal(theirs.outputs[name], ours.outputs[name], name)
        for word in theirs.states:
            if word in ours.states:
                np.testing.assert_array_equal(theirs.states[word], ours.states[word], word)
        assert sum(int((ours.outputs[n] != 0).sum()) for n in theirs.outputs) > 100


def test_the_rate_is_in_the_file_and_only_there_where_it_is_not_one(tmp_path):
    graph, feed = network(mixed, 2, "spikes", 1)
    two, one = (deployed(graph, feed, "loihi1", burst).network for burst in ("two-phase", "ping-pong"))
    for chip in (one, two):
        converters.save(chip, tmp_path / "net.loihi1.onnx")
        again = converters.load(tmp_path / "net.loihi1.onnx")
        assert again.phases == chip.phases
        assert to_bytes(again) == to_bytes(chip)
        assert (b'"phases"' in to_bytes(chip)) is (chip.phases == 2)
    assert "T=12, 2 chip steps for each" in str(two)
    assert "chip steps" not in str(one)
    with pytest.raises(ChipError, match="0 chip steps for one"):
        replace(two, phases=0)


def test_net_files_have_one_rate(tmp_path):
    graph, feed = network(membrane, 2, "spikes", 1)
    with pytest.raises(Unsupported, match="2 chip steps for one of the model's"):
        converters.save(deployed(graph, feed, "loihi1").network, tmp_path / "n.net")


@pytest.mark.lava
@pytest.mark.parametrize(("family", "carries"), [(mixed, "spikes"), (recurrent, "static"), (membrane, "counts")])
def test_the_real_lava_runs_it_alike(family, carries):
    if lava_python() is None and os.environ.get("SNNDEPLOY_REQUIRE_LAVA") != "1":
        pytest.skip("needs Lava: snndeploy doctor --setup-lava")
    graph, feed = network(family, 3, carries, 3)
    built = deployed(graph, feed, "loihi1")
    pair = pair_of(built.network, inject(built.network, feed.first(2).inputs))
    assert pair.different == 0
    assert pair.compared > 1000
