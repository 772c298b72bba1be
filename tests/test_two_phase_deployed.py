"""Two-phase deployed: whole networks at two chip steps for one, through the flow, the saved file and every executor."""

from __future__ import annotations

import itertools
import os
from dataclasses import replace

import numpy as np
import pytest
import zoo

import converters
import snndeploy as sd
from converters.onnx import to_bytes
from snndeploy.arrays import frozen, frozen_ints
from snndeploy.chip.network import ChipNetwork
from snndeploy.chip.program import NeuronProgram
from snndeploy.data import read
from snndeploy.energy import count_events
from snndeploy.errors import ChipError, OptionError, Unsupported
from snndeploy.flow.against_lava import pair_of
from snndeploy.flow.certifying import Certified, certify
from snndeploy.flow.chips import Built, build, hold_against_definition, hold_lowered, settings_for
from snndeploy.flow.feeding import Feed
from snndeploy.flow.lowering import to_normal_form
from snndeploy.flow.parting import bisect_files
from snndeploy.flow.proving import prove, prove_deployment, unproved
from snndeploy.hw import load_profile
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Conv, Input, Linear, Output, Reshape, Sum
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.place import place
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.lava import lava_python
from snndeploy.sim.ort import run_onnxruntime
from snndeploy.sim.reference import run_reference
from snndeploy.verdict import Proof
from snndeploy.verify.proofs.phases import prove_phases, unheld

DECAYS = (1 / 16, 0.25, 1.0)


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


def go(family, rungs: int, carries: str, chip: str, seed: int) -> int:
    """Deploy one network; how many values were compared, all equal: constructions, lowered graph, chip network."""
    graph, feed = network(family, rungs, carries, seed)
    built = deployed(graph, feed, chip)
    chosen = [o for o in built.lowered.offers if o.chosen]
    assert built.network.phases == 2
    assert chosen
    assert all(o.construction == "two-phase" and o.pair is not None and o.pair.different == 0 for o in chosen)
    lowering = hold_lowered(built, feed)
    assert lowering is None or lowering.different == 0
    pair, trace = hold_against_definition(built, feed)
    assert pair.different == 0
    assert trace.steps == 2 * feed.steps + built.network.latency
    return pair.compared if all(o.true_spikes > 0 for o in chosen) else 0


@pytest.mark.parametrize("carries", INPUTS)
@pytest.mark.parametrize("family", FAMILIES)
def test_random_networks_deployed_two_phase_are_the_integer_graph(family, carries):
    assert go(family, 2, carries, "loihi1", 1)
    assert go(family, 5, carries, "loihi2", 1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.whole)])
@pytest.mark.parametrize("family", FAMILIES)
def test_many_networks(family, seed):
    compared = [go(family, k, carries, chip, 10 + seed) for k in (2, 3, 4, 5) for carries in INPUTS for chip in ("loihi1", "loihi2")]
    assert sum(compared) > 100_000


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
    for rate in (0, -1, 2.0, "2"):
        with pytest.raises(ChipError, match="chip steps for one"):
            replace(two, phases=rate)


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


# --------------------------------------------------------------------------------------------------------------- proofs


def proofs(built: Built, network: ChipNetwork | None = None, quantized: bool = True) -> dict[tuple[str, str], Proof]:
    nodes = built.quantized.graph.named(IntegerNeuron) if quantized else None
    pytest.importorskip("z3")
    return {(p.name, p.layer): p for p in prove(network or built.network, nodes=nodes)}


@pytest.mark.parametrize("quantized", [False, True])
@pytest.mark.parametrize("family", [mixed, recurrent, image])
def test_every_obligation_is_proved(family, quantized):
    for rungs in (2, 4):
        graph, feed = network(family, rungs, "real", 1)
        built = deployed(graph, feed, "loihi1")
        found = proofs(built, quantized=quantized)
        assert {p.status for p in found.values()} == {"proved"}, [p for p in found.values() if p.status != "proved"]
        layers = {o.layer for o in built.lowered.offers if o.chosen}
        assert {layer for name, layer in found if name == "burst"} == layers
        assert {layer for name, layer in found if name == "decay"} >= layers
        assert ("second step", "the network") in found
        assert unproved(built.network) == ()


def changed(network: ChipNetwork, name: str, **model: object) -> ChipNetwork:
    population = network.populations[name]
    other = replace(population, model=replace(population.model, **model))
    return replace(network, populations={**network.populations, name: other})


def other_weights(network: ChipNetwork, wanted, by: int) -> ChipNetwork:
    """The first projection that is ``wanted`` with its weights changed."""
    p = next(p for p in network.projections if wanted(p))
    other = replace(p, synapses=replace(p.synapses, weights=p.synapses.weights + by))
    return replace(network, projections=tuple(other if q is p else q for q in network.projections))


def test_what_is_wrong_is_refuted_by_a_run_that_replays():
    graph, feed = network(mixed, 3, "counts", 1)
    built = deployed(graph, feed, "loihi1")
    chip = built.network
    half = chip.populations["n3.N2"].model.dv
    inner = [p for p in chip.projections if p.source == "n3.N1" and p.target == "n3.N2"]
    assert inner
    weak = replace(chip, projections=tuple(p for p in chip.projections if p not in inner))
    for broken in (changed(chip, "n3.N2", dv=frozen_ints(half - 300)), changed(chip, "n3.N3", vth=frozen_ints([5])), weak):
        proof = proofs(built, broken)["burst", "n3"]
        assert proof.status == "failed"
        assert proof.counterexample is not None
        assert proof.counterexample.replayed


def test_a_second_step_that_brings_something_is_never_called_proved():
    graph, feed = network(mixed, 3, "counts", 1)
    built = deployed(graph, feed, "loihi1")
    chip = built.network
    forced = other_weights(chip, lambda p: p.source == "n1.N1" and p.target == "n2" and "forced" in p.name, 2)
    one_late = replace(chip, projections=(replace(chip.projections[0], delay=chip.projections[0].delay + 1), *chip.projections[1:]))
    biased = changed(chip, "n2", bias_mant=frozen_ints([1]))
    for broken, says in ((forced, "forced spikes of n1 reach n2"), (one_late, "not arrive at a first step"), (biased, "n2 does not stand")):
        found = proofs(built, broken)
        assert found["second step", "the network"].status == "unknown"
        assert says in found["second step", "the network"].found
        assert all(p.status != "proved" for p in found.values() if p.name == "burst")
    for rate in (1, 3):
        found = proofs(built, replace(chip, phases=rate))
        assert found["same input", "n1"].status == "failed"
        assert ("burst", "n1") not in found


# ---------------------------------------------------------------------------------------------------------- the whole way


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A trained-like torch network of decay 1/4, converted with --burst two-phase and saved, and its data."""
    torch = pytest.importorskip("torch")
    from snndeploy import nn

    torch.manual_seed(0)
    first, last = nn.LIFB(tau=4 / 3, thresholds=(0.2, 0.5), kappa=1.5), nn.LIF(tau=4 / 3, threshold=0.2)
    net = torch.nn.Sequential(torch.nn.Linear(16, 12), first, torch.nn.Linear(12, 4), last)
    x = (np.random.default_rng(0).random((20, 8, 16)) < 0.4).astype("float32")
    deployment = sd.convert(net, x, sd.Wishes(chip="loihi1", burst="two-phase"), timesteps=8)
    folder = tmp_path_factory.mktemp("two-phase")
    np.savez(folder / "x.npz", x=x)
    return deployment, sd.save(deployment, folder / "net")[1], folder / "x.npz"


def test_convert_verify_certify_report_and_show_all_say_it(converted, tmp_path):
    deployment, chip, given = converted
    assert deployment.verdict.verdict == "exact"
    assert deployment.events.steps == 2 * 8 + deployment.network.latency == 18
    said = "2 chip steps for each of the model's (two-phase), 18 for 8"
    assert any(said in a for a in sd.report(deployment).assumptions)
    assert any(said in a for a in sd.report(chip, str(given)).assumptions)
    assert "2 chip steps for each" in sd.show(chip)
    assert sd.run(chip, str(given)).predictions.tolist() == sd.run(chip.with_name("net.graph.onnx"), str(given)).predictions.tolist()
    verdict = sd.verify(chip, str(given))
    assert verdict.verdict == "exact"
    samples = read(str(given))
    sealed = certify(Certified(chip, verdict, samples), tmp_path / "c.json")
    assert sealed.run.phases == 2
    again = sd.recheck(tmp_path / "c.json")
    assert again.holds
    assert any(c.what.startswith("chip steps for one") for c in again.checks)
    with pytest.raises(OptionError, match="takes 2 chip steps for one"):
        bisect_files(chip.with_name("net.graph.onnx"), chip, samples)


def test_twice_the_steps_are_priced(converted):
    deployment, *_ = converted
    other = sd.convert(deployment.loaded, deployment.data.inputs["input"].swapaxes(0, 1), sd.Wishes(chip="loihi1"), timesteps=8)
    (row,) = [o for o in other.offers if o.construction == "two-phase"]
    assert not row.chosen
    assert "only --burst two-phase takes it" in row.why_not
    assert deployment.events.updates_active + deployment.events.updates_idle == 18 * (2 * 12 + 4)
    assert deployment.cost.latency.value / deployment.cost.step_time.value == pytest.approx(18)


def test_what_it_is_not_for(converted):
    """Soft reset, a decay without a half in another layer, a synaptic current, programs: refused, each with its layer and reason."""
    rng = np.random.default_rng(0)
    x, burst = Input((6,), "spikes"), Burst(frozen(0.25), frozen([0.4, 0.9]), frozen([1.0, 2.0]), (False, False), "hard")
    soft = replace(burst, reset="subtract", amounts=frozen([0.4, 0.4]))
    theta = frozen(0.5)
    after = {
        "no two equal decays make 0.5": LIF(frozen(0.5), threshold=theta, amount=theta),
        "n2: .*would not stand still": LIF(frozen(0.25), threshold=theta, amount=theta, reset="subtract"),
        "du|synaptic|stand still": CubaLIF(frozen(0.5), frozen(0.25), threshold=theta, reset="hard", amount=theta),
        "a GridNeuron would make a step of its own": zoo.neurons()["glif"],
    }
    for says, second in after.items():
        nodes = {"x": x, "l1": linear(rng, 5, 6), "n1": burst, "l2": linear(rng, 5, 5), "n2": second, "y": Output("sum")}
        graph = chain(nodes)
        with pytest.raises(Unsupported, match=says) as refusal:
            deployed(graph, data(rng, graph, 4, 3), "loihi2")
        assert "n2" in str(refusal.value)
    graph = chain({"x": x, "l1": linear(rng, 5, 6), "n1": soft, "y": Output("sum")})
    with pytest.raises(Unsupported, match="--burst two-phase does not apply to this neuron"):
        deployed(graph, data(rng, graph, 4, 3), "loihi2")


def test_a_bias_current_is_written_and_taken_back_at_every_step():
    """Where the host computes the first layer, a still picture is written twice a step of the model, not once a sample."""
    graph, feed = network(image, 2, "static", 1)
    counts = {}
    for burst in ("two-phase", "look-ahead"):
        built = deployed(graph, feed, "loihi1", burst)
        _, trace = hold_against_definition(built, feed)
        placement = place(built.network, load_profile("loihi1"))
        counts[burst] = count_events(built.network, trace, placement).host_biases
    assert counts["two-phase"] > 0
    bank = 2 + 1  # look-ahead has A, B2 and C2 where two-phase has N1 and N2
    assert counts["two-phase"] == pytest.approx(counts["look-ahead"] * 2 * feed.steps * 2 / bank)


def with_a_program() -> Built:
    """Neurons of one level, 1 or 1.5, which are a program on Loihi 2, between a two-phase layer and the read-out."""
    rng = np.random.default_rng(3)
    one = Burst(frozen(0.25), frozen([0.6]), frozen([[1.0, 1.5] * 4]), (False,), "hard")
    nodes = {"x": Input((6,), "spikes"), "l1": linear(rng, 8, 6), "n1": ladder(rng, 3, 8), "l2": linear(rng, 8, 8), "n2": one}
    graph = chain({**nodes, "l3": linear(rng, 3, 8), "y": Output("sum")})
    feed = data(rng, graph, 12, 8)
    built = deployed(graph, feed, "loihi2")
    pair, trace = hold_against_definition(built, feed)
    assert (pair.different, pair.grade) == (0, "model only")
    assert trace.activity["n2"].spikes.any()
    return built


def test_a_burst_program_stands_still_too():
    built = with_a_program()
    chip = built.network
    assert isinstance(chip.populations["n2"].model, NeuronProgram)
    assert {p.status for p in proofs(built).values()} == {"proved"}
    constants = chip.populations["n2"].model.constants
    for name, value in (("t0", -1), ("kv", 4097)):
        broken = changed(chip, "n2", constants={**constants, name: frozen_ints(value)})
        (proof,) = prove_phases(broken)
        assert proof.status == "unknown"
        assert "n2 does not stand still" in proof.found
    other = changed(chip, "n2", state={"v": 0, "w": 0})
    assert "n2 does not stand still" in next(prove_phases(other)).found


def test_forced_spikes_that_cannot_be_summed_or_come_late_are_said():
    chip = deployed(*network(mixed, 3, "counts", 1), "loihi1").network
    late = [replace(p, delay=p.delay + 1) if p.source == "n1.N2" and p.target == "n2" else p for p in chip.projections]
    assert "n1.N2 sends to a second step" in unheld(replace(chip, projections=tuple(late)))
    rounded = [replace(p, exponent=-3) if p.source == "n1.N2" and p.target == "n2" else p for p in chip.projections]
    assert any("rounded by its exponent" in reason for reason in unheld(replace(chip, projections=tuple(rounded))))


@pytest.mark.slow
def test_the_demo_network_with_decays_of_a_quarter(monkeypatch):
    """Convolutions, a residual path and pooling on Loihi 1: the numbers of docs/lossless.md."""
    torch = pytest.importorskip("torch")
    from snndeploy import demo, nn
    from snndeploy.demo import network as shipped

    monkeypatch.setattr(shipped, "LIFB", lambda tau, **parts: nn.LIFB(tau=4 / 3, **parts))
    module = shipped.digits()
    trained, own = torch.load(demo.WEIGHTS, weights_only=True), module.state_dict()
    module.load_state_dict({name: own[name] if name.endswith("decay") else values for name, values in trained.items()})
    x = np.load(demo.TEST)["x"][:48]
    two, one = (sd.convert(module.eval(), x, sd.Wishes(chip="loihi1", burst=burst)) for burst in ("two-phase", "look-ahead-direct"))
    assert two.verdict.verdict == one.verdict.verdict == "exact"
    assert {p.status for p in prove_deployment(two)} == {"proved"}
    assert (len(two.placement.cores), len(one.placement.cores)) == (15, 31)
    events = {d: [o.per_spike for o in d.offers if o.chosen] for d in (two, one)}
    assert 2.1 < min(events[two]) < max(events[two]) < 2.3
    assert 2.6 < min(events[one]) < max(events[one]) < 2.8
    assert two.cost.dynamic.value < 0.85 * one.cost.dynamic.value
    assert 1.2 < two.cost.latency.value / one.cost.latency.value < 1.35
