"""z3 proofs of deployed burst layers, and the controls: every wrong integer is found, with a run that replays."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("z3")

import z3

import converters
import snndeploy as sd
from snndeploy.arrays import frozen, frozen_ints
from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.chip.program import Instruction, NeuronProgram
from snndeploy.cli import commands
from snndeploy.data.samples import part
from snndeploy.demo import ARCH, CALIBRATION, WEIGHTS, WEIGHTS_SOFT
from snndeploy.errors import OptionError
from snndeploy.flow.given import as_samples
from snndeploy.flow.proving import prove, prove_deployment
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.twophase import HALVES
from snndeploy.quantize.programs import program
from snndeploy.sim.chip import run_chip
from snndeploy.verify.proofs import induction
from snndeploy.verify.proofs.cells import burst_layers
from snndeploy.verify.proofs.induction import check, differing_run
from snndeploy.verify.proofs.invariants import led, output
from snndeploy.verify.proofs.levels import prove_levels
from snndeploy.verify.proofs.replaying import replayed
from snndeploy.verify.proofs.rewrites import symbolic, theorem
from snndeploy.verify.proofs.stepping import Situation, cells

BURSTS = {
    "ping-pong": ("hard", "loihi2"),
    "ping-pong-direct": ("hard", "loihi2"),
    "look-ahead": ("hard", "loihi2"),
    "look-ahead-direct": ("hard", "loihi2"),
    "auto": ("hard", "loihi1"),
    "graded": ("hard", "loihi2"),
    "lateral": ("subtract", "loihi2"),
}


@pytest.fixture(scope="module")
def deployed():
    """The deployment of two burst layers with every construction, made when asked for."""
    torch = pytest.importorskip("torch")
    from snndeploy.nn import LIFB

    x, made = (np.random.default_rng(0).random((8, 6, 8)) < 0.4).astype("float32"), {}

    def of(burst: str) -> sd.Deployment:
        if burst not in made:
            torch.manual_seed(0)
            reset, chip = BURSTS[burst]
            one, two = (LIFB(tau=2.0, thresholds=(0.2, 0.5), kappa=1.5, reset=reset) for _ in "12")
            net = torch.nn.Sequential(torch.nn.Linear(8, 6), one, torch.nn.Linear(6, 3), two)
            made[burst] = sd.convert(net, x, sd.Wishes(chip=chip, burst=burst), timesteps=6)
        return made[burst]

    return of


@pytest.mark.parametrize("burst", BURSTS)
def test_every_obligation_of_a_deployed_network_is_proved(deployed, burst):
    proofs = prove(deployed(burst).network)
    known = prove_deployment(deployed(burst))
    assert [(p.name, p.layer, p.status) for p in known] == [(p.name, p.layer, p.status) for p in proofs]
    assert {p.found.rsplit(", ")[-1] for p in known if p.name == "levels"} == (set() if burst == "graded" else {"the quantized levels"})
    assert {p.status for p in proofs} == {"proved"}
    assert {p.layer for p in proofs if p.name == ("program" if burst == "graded" else "burst")} == {"1", "3"}


@pytest.mark.slow
@pytest.mark.parametrize("burst", ["auto", "ping-pong", "lateral"])
def test_every_obligation_of_the_demo_network_is_proved_within_a_minute(burst):
    pytest.importorskip("torch")
    reset, chip = BURSTS[burst]
    options = sd.Options(arch=f"{ARCH}(reset={reset!r})", input_shape=(1, 8, 8))
    samples = part(as_samples(str(CALIBRATION)), 0, 8)
    deployment = sd.convert(str(WEIGHTS_SOFT if reset == "subtract" else WEIGHTS), samples, sd.Wishes(chip=chip, burst=burst), options)
    proofs = prove(deployment.network)
    assert {p.status for p in proofs} == {"proved"}
    assert {p.layer for p in proofs if p.name == "burst"} == {"neuron1", "block.neuron1", "block.neuron2", "neuron2"}
    assert sum(p.seconds for p in proofs) < 60


def changed(network: ChipNetwork, population: str, **registers: int) -> ChipNetwork:
    """The network with registers (of a program: constants) of one population moved by so much."""
    p = network.populations[population]
    if isinstance(p.model, NeuronProgram):
        model = dataclasses.replace(p.model, constants={n: c + registers.get(n, 0) for n, c in p.model.constants.items()})
    else:
        assert isinstance(p.model, Lif)
        model = dataclasses.replace(p.model, **{n: frozen_ints(getattr(p.model, n) + by) for n, by in registers.items()})
    return dataclasses.replace(network, populations={**network.populations, population: dataclasses.replace(p, model=model)})


def reweighted(network: ChipNetwork, source: str, target: str, by: float, inner: str = "") -> ChipNetwork:
    """The network with the synapses from ``source`` to ``target`` that are named after ``inner`` scaled."""
    projections, hit = [], 0
    for p in network.projections:
        if p.source == source and p.target == target and inner in p.name:
            weights = frozen_ints(np.trunc(p.synapses.weights * by).astype(np.int64))
            p, hit = dataclasses.replace(p, synapses=dataclasses.replace(p.synapses, weights=weights)), hit + 1
        projections.append(p)
    assert hit
    return dataclasses.replace(network, projections=tuple(projections))


CONTROLS = {
    "wrong lateral weight": ("lateral", lambda n: reweighted(n, "1.N2", "1.N2", 0.9)),
    "lateral synapse lost": ("lateral", lambda n: reweighted(n, "1.N1", "1.N2", 0.0)),
    "threshold one mantissa up": ("ping-pong", lambda n: changed(n, "1.B2", vth=1)),
    "threshold one mantissa down": ("ping-pong", lambda n: changed(n, "1.A1", vth=-1)),
    "threshold one unit off, >= for >": ("lateral", lambda n: changed(n, "1.N2", t0=-1)),
    "amount of a reset": ("lateral", lambda n: changed(n, "1.N2", r0=64)),
    "relay that needs no second spike": ("ping-pong", lambda n: changed(n, "1.R1", vth=-1)),
    "drive too small": ("ping-pong-direct", lambda n: reweighted(n, "snndeploy.one", "1.B2", 0.2, "drive")),
    "force lost": ("ping-pong", lambda n: reweighted(n, "1.B2", "1.A1", 0)),
    "decay of one bank": ("ping-pong", lambda n: changed(n, "1.B1", dv=1)),
    "decay of one neuron": ("lateral", lambda n: changed(n, "1.N1", kv=-64)),
    "kick too small": ("look-ahead", lambda n: reweighted(n, "1.A", "1.C2", 0.2, "kick")),
    "parity counter": ("look-ahead", lambda n: changed(n, "1.T", vth=1)),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_wrong_integer_is_refuted_by_a_run_that_replays(deployed, control):
    burst, wrong = CONTROLS[control]
    nodes = deployed(burst).built.quantized.graph.named(IntegerNeuron)
    proofs = prove(wrong(deployed(burst).network), limit=10, nodes=nodes)
    (broken,) = [p for p in proofs if p.name == "burst" and p.layer == "1"]
    assert broken.status == "failed"
    example = broken.counterexample
    assert example is not None
    assert example.replayed
    assert example.wanted != example.got
    assert {p.status for p in proofs if p.layer == "3"} == {"proved"}


@pytest.mark.parametrize("seed", range(8))
def test_a_run_that_nobody_could_read_is_no_counterexample(deployed, seed, monkeypatch):
    """Where a force is lost both banks of ping-pong may fire in part: z3 must not offer a run on which only that is wrong."""
    burst, wrong = CONTROLS["force lost"]
    (layer,) = [found for found in burst_layers(wrong(deployed(burst).network)) if found.name == "1"]
    (cell, *_) = cells(layer, np.full(6, -778), np.full(6, 950))
    asked = induction._asked
    monkeypatch.setattr(induction, "_asked", lambda formulas, start, limit: asked(formulas, seed + start, limit))
    found = differing_run(cell, 20)
    assert found is not None
    assert replayed(layer, cell, found, lambda network, inputs, steps: run_chip(network, inputs, steps=steps)).replayed


def test_an_answer_does_not_depend_on_what_was_asked_before(deployed):
    burst, wrong = CONTROLS["force lost"]
    (layer,) = [found for found in burst_layers(wrong(deployed(burst).network)) if found.name == "1"]
    (cell, *_) = cells(layer, np.full(6, -778), np.full(6, 950))
    runs = []
    for other in range(3):
        before = [z3.Int(f"other{other}_{i}") + i for i in range(500 * other)]
        runs.append(differing_run(cell, 20))
        assert len(before) == 500 * other
    assert runs[0] is not None
    assert runs == runs[:1] * 3


def test_z3_starts_again_where_a_start_finds_nothing(monkeypatch):
    starts = []

    def asked(formulas, seed, limit):
        starts.append((seed, limit))
        return induction.Answer("proved" if seed == 3 else "unknown", limit)

    monkeypatch.setattr(induction, "_asked", asked)
    assert check([], z3.BoolVal(True), 16) == induction.Answer("proved", 8)
    assert starts == [(0, 1), (1, 1), (2, 2), (3, 4)]


def test_a_bank_that_fires_in_part_is_told_apart_from_a_wrong_rung(deployed):
    burst, wrong = CONTROLS["force lost"]
    (layer,) = [found for found in burst_layers(wrong(deployed(burst).network)) if found.name == "1"]
    (cell, *_) = cells(layer, np.full(6, -778), np.full(6, 950))
    after = Situation({t: z3.IntVal(0) for t in cell.members}, {t: z3.BoolVal(t == "A1") for t in cell.members})
    assert z3.is_true(z3.simplify(output(cell, z3.IntVal(0), after)))
    assert z3.is_false(z3.simplify(led(cell, after)))


LEVELS = {
    "a rung scaled": ("ping-pong", lambda n: reweighted(n, "1.R2", "3.A1", 2), False),
    "a rung lost": ("ping-pong", lambda n: reweighted(n, "1.R2", "3.A1", 0), False),
    "one synapse of a rung": ("ping-pong", lambda n: one_synapse(n, "1.R2", "3.A1"), True),
    "one synapse of a bank": ("look-ahead-direct", lambda n: one_synapse(n, "1.B2", "3.B2"), True),
    "one synapse of A": ("look-ahead-direct", lambda n: one_synapse(n, "1.A", "3.A"), True),
    "the constant": ("ping-pong-direct", lambda n: reweighted(n, "snndeploy.one", "3.B2", 0, "1.offset"), True),
    "one synapse of a lateral rung": ("lateral", lambda n: one_synapse(n, "1.N2", "3.N1"), True),
}


def one_synapse(network: ChipNetwork, source: str, target: str) -> ChipNetwork:
    """The network with the first synapse between the two off by one."""
    projections = list(network.projections)
    at = next(i for i, p in enumerate(projections) if (p.source, p.target) == (source, target))
    weights = projections[at].synapses.weights.copy()
    weights.flat[0] += 1
    changed = dataclasses.replace(projections[at].synapses, weights=frozen_ints(weights))
    projections[at] = dataclasses.replace(projections[at], synapses=changed)
    return dataclasses.replace(network, projections=tuple(projections))


@pytest.mark.parametrize("control", LEVELS)
def test_a_wrong_level_or_constant_is_said(deployed, control):
    """Against the quantized levels always; from the file alone where no set of levels explains it."""
    burst, wrong, alone = LEVELS[control]
    network, nodes = wrong(deployed(burst).network), deployed(burst).built.quantized.graph.named(IntegerNeuron)
    against, claimed = ({p.layer: p for p in prove_levels(network, n)} for n in (nodes, {}))
    assert against["1"].status == "failed"
    assert "3." in against["1"].found
    assert claimed["1"].status == ("failed" if alone else "proved")
    assert {claimed["3"].status, against["3"].status} == {"proved"}


@pytest.mark.parametrize("burst", ["ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct"])
def test_a_rung_that_adds_nothing_has_no_synapse_and_is_proved(burst):
    """Levels 1, 1.5, 1.5: the third rung brings 0 W, which is a level and no lost synapse."""
    torch = pytest.importorskip("torch")
    from snndeploy.nn import LIFB

    torch.manual_seed(0)
    one, two = (LIFB(tau=2.0, thresholds=(0.2, 0.5, 0.7), kappa=1.5) for _ in "12")
    net = torch.nn.Sequential(torch.nn.Linear(8, 6), one, torch.nn.Linear(6, 3), two)
    x = (np.random.default_rng(0).random((8, 6, 8)) < 0.4).astype("float32")
    deployment = sd.convert(net, x, sd.Wishes(chip="loihi2", burst=burst), timesteps=6)
    nodes = deployment.built.quantized.graph.named(IntegerNeuron)
    assert [p.status for known in (nodes, {}) for p in prove_levels(deployment.network, known)] == ["proved"] * 4
    lost = nodes | {"1": dataclasses.replace(nodes["1"], levels=frozen(nodes["1"].levels + np.array([0.0, 0.0, 1.0])))}
    assert [p.status for p in prove_levels(deployment.network, lost)] == ["failed", "proved"]


@pytest.mark.parametrize(("line", "wrong"), [("GT p1 v k.t1", "GE p1 v k.t1"), ("SEL v p0 0 v", "SEL v p1 0 v"), ("SPK p0 y", "SPK p1 y")])
def test_a_wrong_line_of_a_program_is_refuted_by_a_run(deployed, line, wrong):
    network = deployed("graded").network
    p = network.populations["1"]
    code = tuple(Instruction(*((w := wrong.split())[0], tuple(w[1:]))) if str(i) == line else i for i in p.model.code)
    assert code != p.model.code
    broken = dataclasses.replace(p, model=dataclasses.replace(p.model, code=code))
    proofs = prove(dataclasses.replace(network, populations={**network.populations, "1": broken}))
    (found,) = [q for q in proofs if q.name == "program" and q.layer == "1"]
    assert found.status == "failed"
    assert found.counterexample.replayed


@pytest.mark.parametrize("reset", ["hard", "none", "subtract"])
def test_a_program_with_any_reset_floor_and_bias_is_its_step(reset):
    amounts = np.array([64.0, 100.0]) if reset == "subtract" else None
    node = IntegerNeuron(4095, 1000, np.array([70.0, 200.0]), np.array([1.0, 3.0]), 5.0, reset, amounts, floor=-300.0)
    wire = Projection("w", "x", "n", Wire())
    populations = {"x": Population("x", (1,), HostInput(24, signed=True)), "n": Population("n", (1,), program(node, "n"))}
    (proof,) = [p for p in prove(ChipNetwork("", populations, (wire,), steps=3)) if p.layer == "n"]
    assert (proof.name, proof.status) == ("program", "proved")


def test_unequal_inputs_are_said(deployed):
    network = reweighted(deployed("ping-pong").network, "1.R1", "3.A2", 0.5)
    (same,) = [p for p in prove(network) if p.name == "same input" and p.layer == "3"]
    assert same.status == "failed"
    assert same.found == "A2 is not fed as A1 is"


def test_no_answer_in_time_is_unknown_and_never_proved():
    """Fermat's last theorem for 3 is true, and z3 does not know it."""
    import z3

    a, b, c = z3.Ints("a b c")
    answer = check([a > 0, b > 0, c > 0], a * a * a + b * b * b != c * c * c, limit=0.2)
    assert answer.status == "unknown"


@pytest.mark.parametrize("rungs", [2, 3, 4, 5])
@pytest.mark.parametrize("construction", ["ping-pong", "ping-pong-direct", "look-ahead", "look-ahead-direct"])
def test_the_theorem_for_every_threshold_decay_and_input(construction, rungs):
    answer = theorem(construction, rungs, limit=30)
    assert answer.status == "proved"


@pytest.mark.parametrize("rungs", [2, 3, 4, 5])
@pytest.mark.parametrize("keep", HALVES)
def test_the_two_phase_theorem_for_every_threshold_and_input(keep, rungs):
    assert theorem("two-phase", rungs, 30, symbolic("two-phase", rungs, keep)).status == "proved"


@pytest.mark.parametrize(("keep", "half"), [(2048, 2897), (4095, 4095)])
def test_the_two_phase_theorem_needs_a_decay_that_has_a_half(keep, half):
    cell, conditions = symbolic("two-phase", 2)
    members = {tag: dataclasses.replace(member, keep=half) for tag, member in cell.members.items()}
    other = dataclasses.replace(cell, keep=keep, members=members)
    assert theorem("two-phase", 2, 30, (other, conditions)).status == "failed"


@pytest.mark.parametrize("construction", ["ping-pong", "look-ahead", "two-phase"])
def test_the_theorem_needs_its_conditions(construction):
    """With a force one unit too small, or thresholds that may lie below 0, the invariant is not kept."""
    cell, conditions = symbolic(construction, 2)
    for weaker in (conditions[1:], conditions[:-1]):
        assert theorem(construction, 2, 30, (cell, weaker)).status == "failed"


def test_the_command_line_proves_prints_and_exits(deployed, tmp_path):
    import converters

    good, bad = tmp_path / "x.loihi2.onnx", tmp_path / "y.loihi2.onnx"
    converters.save(deployed("ping-pong").network, good)
    converters.save(changed(deployed("ping-pong").network, "1.B2", vth=1), bad)
    ran = CliRunner().invoke(commands, ["verify", str(good), "--prove"])
    said = ran.output
    assert ran.exit_code == 0
    assert "15 of 15 obligations proved" in said
    assert "no --data was given" in said
    ran = CliRunner().invoke(commands, ["verify", str(bad), "--prove", "--json"])
    assert ran.exit_code == 1
    found = json.loads(ran.output)
    (broken,) = [p for p in found["proofs"] if p["status"] == "failed"]
    assert found["verdict"] == "different"
    assert broken["counterexample"]["replayed"] is True


@pytest.mark.parametrize("given", [{"limit": -3.0}, {"limit": float("nan")}, {"budget": -1.0}])
def test_a_time_below_0_is_refused(given):
    network = ChipNetwork("loihi2", {"x": Population("x", (1,), HostInput())}, ())
    with pytest.raises(OptionError, match=f"--prove-{next(iter(given))}"):
        prove(network, **given)


@pytest.mark.parametrize("burst", ["lateral", "ping-pong-direct"])
def test_feedback_neuron_by_neuron_is_the_layers_input(burst):
    """Synapses back into the layer that look like lateral ones are fed in, four steps later, and proved as such.

    So is the constant that ping-pong-direct sends back with them: it starts as late as they do.
    """
    rng = np.random.default_rng(0)
    thresholds = np.array([1.0, 2.0])
    neuron = Burst(frozen(0.5), frozen(thresholds), frozen([1.0, 1.5]), (False, False), "hard")
    if burst == "lateral":
        neuron = dataclasses.replace(neuron, reset="subtract", amounts=frozen(thresholds))
    nodes = {"x": Input((6,), "spikes"), "fc": Linear(rng.integers(-8, 13, (5, 6)) / 16), "one": neuron, "back": Scale(np.full(5, -0.25))}
    edges = (Edge("x", "fc"), Edge("fc", "one"), Edge("one", "back"), Edge("back", "one", delay=4), Edge("one", "y"))
    graph = Graph({**nodes, "y": Output("sum")}, edges, steps=8)
    x = (rng.random((16, 8, 6)) < 0.5).astype(float)
    made = sd.convert(converters.Loaded(graph, steps=8), x, sd.Wishes(chip="loihi2", burst=burst))
    assert {p.status for p in prove(made.network) if p.layer == "one"} == {"proved"}
    bank = "N2" if burst == "lateral" else "B2"
    moved = tuple(
        dataclasses.replace(p, delay=p.delay + 1) if p.target == f"one.{bank}" and p.source in {"x", "snndeploy.one"} else p
        for p in made.network.projections
    )
    (same,) = [p for p in prove(dataclasses.replace(made.network, projections=moved)) if (p.layer, p.name) == ("one", "same input")]
    assert same.status == "failed"
