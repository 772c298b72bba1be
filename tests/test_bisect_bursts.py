"""A graph against its decoupled chip network: every planted fault is caught, laid at the right layer, and named with the right cause."""

from __future__ import annotations

import dataclasses
import itertools
import json

import numpy as np
import pytest
from click.testing import CliRunner

import converters
import snndeploy as sd
from snndeploy.arrays import frozen, frozen_ints
from snndeploy.chip.models import Lif
from snndeploy.chip.program import NeuronProgram
from snndeploy.cli import commands
from snndeploy.data.samples import part
from snndeploy.demo import ARCH, CALIBRATION, WEIGHTS, WEIGHTS_SOFT
from snndeploy.flow.divergence.bisecting import bisect
from snndeploy.flow.divergence.folds import folds
from snndeploy.flow.divergence.sides import Side, folded
from snndeploy.flow.feeding import Feed, feed
from snndeploy.flow.given import as_samples
from snndeploy.flow.saved import chip_inputs
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Conv, Input, Linear, Output, Reshape, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.report.bisection import bisection_to_text

T, SAMPLES = 8, 32
CONSTRUCTIONS = ("ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct", "lateral")


def burst(reset, rungs=3):
    thresholds = frozen(np.array([1.0, 2.0, 3.0])[:rungs])
    amounts = frozen(np.array([1.0, 1.5, 2.0])[:rungs]) if reset == "subtract" else None
    return Burst(frozen(0.5), thresholds, frozen(np.array([1.0, 1.5, 2.5])[:rungs]), (False,) * rungs, reset, amounts=amounts)


def network(reset):
    """Two burst layers in a row, all numbers on a grid that the chip holds."""
    rng = np.random.default_rng(5)
    nodes = {
        "x": Input((4, 4, 4), carries="spikes"),
        "conv": Conv(rng.integers(-8, 13, (3, 4, 3, 3)) / 16, None, (1, 1), ((0, 0), (0, 0)), (1, 1)),
        "one": burst(reset),
        "flat": Reshape((12,)),
        "fc": Linear(rng.integers(-8, 13, (5, 12)) / 16, rng.integers(0, 8, 5) / 16),
        "two": burst(reset, 2),
        "y": Output("sum"),
    }
    return Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(nodes)), steps=T)


DATA = (np.random.default_rng(6).random((SAMPLES, T, 4, 4, 4)) < 0.4).astype(np.uint8)
FEED = Feed({"x": np.moveaxis(DATA, 0, 1).astype(float)}, None, T)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory):
    """The graph and its chip network by every construction, made when asked for."""
    folder, made = tmp_path_factory.mktemp("bursts"), {}

    def of(construction):
        if construction not in made:
            file = folder / f"{construction}.onnx"
            converters.save(network("subtract" if construction == "lateral" else "hard"), file)
            made[construction] = sd.convert(str(file), sd.Samples({"": DATA}), sd.Wishes(chip="loihi2", burst=construction))
        return made[construction]

    return of


def register(n, name, **by):
    """One register of a population (of a program: constant) moved by so much."""
    p = n.populations[name]
    if isinstance(p.model, NeuronProgram):
        model = dataclasses.replace(p.model, constants={k: c + by.get(k, 0) for k, c in p.model.constants.items()})
    else:
        model = dataclasses.replace(p.model, **{k: frozen_ints(getattr(p.model, k) + v) for k, v in by.items()})
    return dataclasses.replace(n, populations={**n.populations, name: dataclasses.replace(p, model=model)})


def synapses(n, source, target, change, inner=""):
    """Every projection between populations whose names begin so, changed; None takes it away."""
    hit = [p for p in n.projections if p.source.startswith(source) and p.target.startswith(target) and inner in p.name]
    assert hit
    return dataclasses.replace(n, projections=tuple(made for p in n.projections if (made := change(p) if p in hit else p) is not None))


def dv_off(n, *tags):
    for tag in tags:
        n = register(n, f"two.{tag}", dv=99)
    return n


def lost(_):
    return None


def late(p):
    return dataclasses.replace(p, delay=p.delay + 1)


def times(by):
    def change(p):
        return dataclasses.replace(p, synapses=dataclasses.replace(p.synapses, weights=p.synapses.weights * by))

    return change


def one_weight(p):
    weights = p.synapses.weights.copy()
    weights.flat[np.flatnonzero(weights)[0]] *= 3
    return dataclasses.replace(p, synapses=dataclasses.replace(p.synapses, weights=weights))


FAULTS = {
    "threshold of one bank": ("ping-pong", lambda n: register(n, "one.B2", vth=-24), "one", "threshold"),
    "threshold of the other bank": ("look-ahead-direct", lambda n: register(n, "one.C3", vth=16), "one", "threshold"),
    "threshold of both": ("ping-pong-direct", lambda n: register(register(n, "one.A2", vth=-90), "one.B2", vth=-90), "one", "threshold"),
    "threshold that stands once": ("look-ahead", lambda n: register(n, "one.A", vth=-60), "one", "threshold"),
    "decay of one bank": ("ping-pong-direct", lambda n: register(n, "two.A1", dv=600), "two", "decay"),
    "decay of every bank": ("look-ahead", lambda n: dv_off(n, "A", "B2", "C2"), "two", "decay"),
    "decay of one program": ("lateral", lambda n: register(n, "two.N2", kv=-512), "two", "decay"),
    "force lost": ("ping-pong", lambda n: synapses(n, "one.B3", "one.A1", lost), "one", "force"),
    "force of the second layer lost": ("look-ahead", lambda n: synapses(n, "two.A", "two.B2", lost, "[two.A.B]"), "two", "force"),
    "force of the wrong sign": ("ping-pong-direct", lambda n: synapses(n, "one.A1", "one.B2", times(-1)), "one", "force"),
    "force one step late": ("ping-pong", lambda n: synapses(n, "one.A1", "one.B2", late), "one", "delay"),
    "drive lost": ("ping-pong", lambda n: synapses(n, "snndeploy.one", "two.B1", lost, "drive"), "two", "force"),
    "kick lost": ("look-ahead-direct", lambda n: synapses(n, "one.A", "one.C2", lost, "kick"), "one", "force"),
    "parity counter": ("look-ahead-direct", lambda n: register(n, "one.T", vth=1), "one", "force"),
    "lateral weight": ("lateral", lambda n: synapses(n, "one.N1", "one.N2", times(3)), "one", "lateral"),
    "lateral synapse lost": ("lateral", lambda n: synapses(n, "one.N2", "one.N3", lost), "one", "lateral"),
    "amount that a reset takes": ("lateral", lambda n: register(n, "one.N1", r0=9000), "one", "reset-kind"),
    "level of a rung": ("ping-pong", lambda n: synapses(n, "one.R3", "two.", times(2)), "two", "level"),
    "level read from two banks": ("ping-pong-direct", lambda n: synapses(n, "one.A3", "two.", times(3)), "two", "level"),
    "level of a lateral rung": ("lateral", lambda n: synapses(n, "one.N2", "two.", times(3)), "two", "level"),
    "level that the host reads": ("look-ahead", lambda n: synapses(n, "two.R2", "y.readout", times(3)), "y.readout", "level"),
    "rung that nobody reads": ("look-ahead", lambda n: synapses(n, "one.R2", "two.", lost), "two", "lost"),
    "rung that is read late": ("look-ahead-direct", lambda n: synapses(n, "one.A", "two.", late, "step1"), "two", "delay"),
    "one weight of one rung": ("ping-pong", lambda n: synapses(n, "one.R1", "two.", one_weight), "two", "weights"),
    "relay that needs one spike": ("ping-pong", lambda n: register(n, "one.R2", vth=-1), "one", "relay"),
    "relay that remembers": ("look-ahead", lambda n: register(n, "one.R2", dv=-4095), "one", "relay"),
    "synapse into a relay lost": ("look-ahead", lambda n: synapses(n, "one.B2", "one.R2", lost), "one", "relay"),
    "weights of every bank": ("ping-pong", lambda n: synapses(n, "x", "one.", times(2)), "one", "weights"),
    "threshold of a program": ("lateral", lambda n: register(n, "one.N2", t0=-4000), "one", "threshold"),
    "inlet of one bank lost": ("ping-pong", lambda n: synapses(n, "x", "one.A3", lost), "one", "lost"),
    "inlet of one bank late": ("look-ahead", lambda n: synapses(n, "x", "one.C2", late), "one", "delay"),
    "weight of one bank": ("ping-pong-direct", lambda n: synapses(n, "x", "one.B1", one_weight), "one", "weights"),
    "bias of one bank lost": ("look-ahead", lambda n: synapses(n, "snndeploy.one", "two.B2", lost), "two", "bias"),
    "bias of every bank lost": ("look-ahead", lambda n: synapses(n, "snndeploy.one", "two.", lost), "two", "bias"),
}  # fmt: skip


def found(deployed, construction, change=lambda n: n, shrinking=False, turned=False):
    made = deployed(construction)
    sides = Side("graph", made.graph), Side("chip", change(made.network))
    return bisect(*(sides[::-1] if turned else sides), FEED, shrinking=shrinking)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_decoupled_layer_is_found_out(deployed, fault):
    construction, change, layer, cause = FAULTS[fault]
    made = found(deployed, construction, change).bisection
    assert (made.culprit, made.cause) == (layer, cause), bisection_to_text(made)


@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_a_sound_network_parts_by_rounding_at_most(deployed, construction):
    made = found(deployed, construction).bisection
    assert made.compared == T * SAMPLES * (12 + 5 + 5)
    if construction == "lateral":  # its amounts are on a coarser grid than the graph's
        assert (made.culprit, made.cause) == ("one", "rounding")
    else:
        assert made.equal


@pytest.mark.parametrize("construction", CONSTRUCTIONS)
def test_levels_become_the_members_own_spikes_again(deployed, construction):
    made = deployed(construction)
    _, chip = folded(Side("graph", made.graph), Side("chip", made.network))
    trace = chip.run(FEED)
    for fold in chip.folds.values():
        real = fold.in_model_time(trace.outputs)
        levels = fold.sent(trace.outputs)[:T]
        assert set(np.unique(levels)) <= {0.0, *np.unique(fold.levels)}
        for tag, spikes in fold.spikes(levels).items():
            if tag in real:
                assert np.array_equal(spikes, real[tag][:T]), tag
    assert sorted(chip.layers) == ["one", "snndeploy.one", "two", "x", "y.readout"]


def test_the_chip_network_may_come_first(deployed):
    made = found(deployed, *FAULTS["force lost"][:2], turned=True).bisection
    assert (made.a, made.culprit, made.cause) == ("chip", "one", "force")
    assert made.suspects[0].reproduces == "output"
    rows = {word for m in made.a_around for word in m.words}
    assert {"A1.v", "B3.v", "R2.v"} <= rows
    assert {word for m in made.b_around for word in m.words} == {"v"}


def test_the_smallest_input_still_shows_the_fault(deployed):
    made = found(deployed, *FAULTS["kick lost"][:2], shrinking=True)
    assert made.bisection.reduced.entries < made.bisection.reduced.entries_before
    again = bisect(
        Side("graph", deployed("look-ahead-direct").graph),
        Side("chip", FAULTS["kick lost"][1](deployed("look-ahead-direct").network)),
        made.reduced,
    )
    assert (again.bisection.culprit, again.bisection.cause) == ("one", "force")


def test_what_changes_nothing_is_said_after_what_does(deployed):
    """A register one off that no potential of these data meets, in a network that differs by rounding."""
    made = found(deployed, "lateral", lambda n: register(n, "one.N3", r0=1)).bisection
    assert (made.culprit, made.cause) == ("one", "rounding")
    assert made.suspects[-1].cause == "reset-kind"
    assert "where it changes nothing here: r0 of N3" in made.suspects[-1].words


def test_two_flaws_that_hide_each_other_are_both_listed(deployed):
    made = found(deployed, "look-ahead", lambda n: register(register(n, "one.T", vth=1), "one.R2", vth=-1)).bisection
    assert [(s.cause, s.reproduces) for s in made.suspects] == [("force", "output"), ("relay", "output")]
    assert all("together with the others" in s.words for s in made.suspects)


def test_a_member_that_is_missing_is_a_difference(deployed):
    """Without its relay a rung says nothing: caught, and laid at its layer."""
    network = deployed("ping-pong").network
    kept = {n: p for n, p in network.populations.items() if n != "one.R3"}
    left = tuple(p for p in network.projections if "one.R3" not in (p.source, p.target))
    made = found(deployed, "ping-pong", lambda n: dataclasses.replace(n, populations=kept, projections=left)).bisection
    assert made.culprit in ("one", "two")
    assert made.different > 0


def test_only_burst_neurons_of_the_graph_are_folded(deployed):
    made = deployed("ping-pong")
    assert set(folds(made.graph, made.network)) == {"one", "two"}
    assert folds(network("hard").replace({"two": burst("hard", 3)}), made.network).keys() == {"one"}
    assert isinstance(made.network.populations["one.A1"].model, Lif)


def convolved(tmp_path, chip, carries):
    """A burst layer read by a convolution; where the input is real and the chip has no graded spikes, the host computes the first layer."""
    rng = np.random.default_rng(8)
    nodes = {
        "x": Input((2, 5, 5), carries=carries), "conv1": Conv(rng.integers(-6, 13, (3, 2, 2, 2)) / 8), "one": burst("hard", 2),
        "conv2": Conv(rng.integers(-8, 13, (2, 3, 2, 2)) / 16), "two": burst("hard", 2), "y": Output("sum"),
    }  # fmt: skip
    x = rng.random((SAMPLES, T, 2, 5, 5)) if carries == "real" else (rng.random((SAMPLES, T, 2, 5, 5)) < 0.4).astype(np.uint8)
    converters.save(Graph(nodes, tuple(Edge(a, b) for a, b in itertools.pairwise(nodes)), steps=T), tmp_path / "net.onnx")
    made = sd.convert(str(tmp_path / "net.onnx"), sd.Samples({"": x}), sd.Wishes(chip=chip, burst="ping-pong"))
    return made, Feed({"x": np.moveaxis(x, 0, 1).astype(float)}, None, T)


@pytest.mark.parametrize(("chip", "carries"), [("loihi2", "spikes"), ("loihi1", "spikes"), ("loihi1", "real")])
def test_a_burst_layer_that_a_convolution_reads(tmp_path, chip, carries):
    made, data = convolved(tmp_path, chip, carries)
    sound = bisect(Side("graph", made.graph), Side("chip", made.network), data, shrinking=False).bisection
    assert sound.cause in ("", "rounding")
    for change, layer, cause in (
        (lambda n: synapses(n, "one.R2", "two.", times(2)), "two", "level"),
        (lambda n: register(n, "one.B1", vth=-60), "one", "threshold"),
    ):
        broken = bisect(Side("graph", made.graph), Side("chip", change(made.network)), data, shrinking=False).bisection
        assert (broken.culprit, broken.cause) == (layer, cause), bisection_to_text(broken)


@pytest.mark.parametrize("back", [Linear(np.full((5, 5), -0.125)), Scale(np.full(5, -0.25))])
@pytest.mark.parametrize("construction", ["ping-pong-direct", "lateral"])
def test_feedback_is_no_synapse_of_the_construction(tmp_path, construction, back):
    """A burst layer that feeds itself, neuron by neuron or all to all, four steps later."""
    rng = np.random.default_rng(0)
    neuron = burst("subtract" if construction == "lateral" else "hard", 2)
    nodes = {"x": Input((6,), "spikes"), "fc": Linear(rng.integers(-8, 13, (5, 6)) / 16), "one": neuron, "back": back, "y": Output("sum")}
    edges = (Edge("x", "fc"), Edge("fc", "one"), Edge("one", "back"), Edge("back", "one", delay=4), Edge("one", "y"))
    x = (rng.random((SAMPLES, T, 6)) < 0.5).astype(np.uint8)
    converters.save(Graph(nodes, edges, steps=T), tmp_path / "net.onnx")
    made = sd.convert(str(tmp_path / "net.onnx"), sd.Samples({"": x}), sd.Wishes(chip="loihi2", burst=construction))
    data = Feed({"x": np.moveaxis(x, 0, 1).astype(float)}, None, T)
    tag, by = ("N2", {"t0": -6000}) if construction == "lateral" else ("A1", {"vth": -60})
    for change, cause in (
        (lambda n: n, "rounding" if construction == "lateral" else ""),
        (lambda n: register(n, f"one.{tag}", **by), "threshold"),
    ):
        said = bisect(Side("graph", made.graph), Side("chip", change(made.network)), data, shrinking=False).bisection
        assert said.cause == cause, bisection_to_text(said)


@pytest.mark.slow
@pytest.mark.parametrize(("reset", "chip", "construction"), [("hard", "loihi1", "auto"), ("subtract", "loihi2", "lateral")])
def test_the_demos_residual_block_is_told_from_what_was_rounded(reset, chip, construction):
    """A trained network, every layer of which parts from the float one by rounding: a flaw in its third layer is still found."""
    pytest.importorskip("torch")
    samples = part(as_samples(str(CALIBRATION)), 0, 32)
    options = sd.Options(arch=f"{ARCH}(reset={reset!r})", input_shape=(1, 8, 8))
    weights = WEIGHTS if reset == "hard" else WEIGHTS_SOFT
    made = sd.convert(str(weights), samples, sd.Wishes(chip=chip, burst=construction), options)
    data = feed(samples, chip_inputs(made.network), made.network.steps, "direct", 0)
    source, target = ("T", "B2") if reset == "hard" else ("N1", "N2")
    for change, layer, cause in (
        (lambda n: n, "neuron1", "rounding"),
        (
            lambda n: synapses(n, f"block.neuron2.{source}", f"block.neuron2.{target}", times(2)), "block.neuron2",
            {"hard": "force", "subtract": "lateral"}[reset],
        ),
    ):  # fmt: skip
        said = bisect(Side("graph", made.graph), Side("chip", change(made.network)), data, shrinking=False).bisection
        assert (said.culprit, said.cause) == (layer, cause), bisection_to_text(said)


def test_the_command_line_bisects_a_decoupled_network(deployed, tmp_path):
    made = deployed("ping-pong")
    sd.save(made, tmp_path / "net")
    converters.save(FAULTS["force lost"][1](made.network), tmp_path / "broken.loihi2.onnx")
    np.savez(tmp_path / "data.npz", x=DATA)
    words = ["bisect", tmp_path / "net.graph.onnx", tmp_path / "net.loihi2.onnx", "--data", tmp_path / "data.npz"]
    done = CliRunner().invoke(commands, [str(w) for w in words])
    assert done.exit_code == 0, done.output
    assert "state words are not compared between the two" in done.output
    words[2] = tmp_path / "broken.loihi2.onnx"
    done = CliRunner().invoke(commands, [str(w) for w in (*words, "--json", "-o", tmp_path / "reduced.npz")])
    said = json.loads(done.output)
    assert (done.exit_code, said["layer"], said["cause"], said["suspects"][0]["reproduces"]) == (1, "one", "force", "output")
    assert np.load(tmp_path / "reduced.npz")["x"].shape == (1, T, 4, 4, 4)
    done = CliRunner().invoke(commands, [str(w) for w in (*words, "--no-shrink")])
    assert "cause force: what keeps a decoupled burst neuron's banks in step is lost or another" in " ".join(done.output.split())
    assert max(map(len, done.output.splitlines())) <= 100
