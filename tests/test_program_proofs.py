"""Compiled neuron programs are proved equal to their grid neurons, and every wrong line, constant or table is refuted by a run."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest

pytest.importorskip("z3")

import converters
import snndeploy as sd
from snndeploy.arrays import frozen_ints
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Population, Projection, Wire
from snndeploy.chip.program import Definition, Instruction, NeuronProgram
from snndeploy.errors import ChipError, ModelError
from snndeploy.flow.divergence.chip_reading import differences, same_layer
from snndeploy.flow.divergence.sides import Side, alone
from snndeploy.flow.proving import defined, prove, prove_deployment, prove_file, unproved, unproved_deployment
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.glif import glif
from snndeploy.ir.neurons.klif import KLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.multispike import MultiSpike
from snndeploy.ir.neurons.on_grid import GridNeuron, Operation
from snndeploy.ir.neurons.ternary import TernaryLIF
from snndeploy.report.proofs import counterexample
from snndeploy.sim.chip import run_chip
from snndeploy.verify.proofs.compiled import one_step
from snndeploy.verify.proofs.induction import budget
from snndeploy.verify.proofs.terms import Terms, meanings, of_definition, tables_agree

STEPS = 6
CONDUCT = np.random.default_rng(1).uniform(0.2, 0.9, (STEPS, 5))
NODES = {
    "CLIF": CLIF(0.5, 0.5),
    "GLIF": glif((0.6, 0.4, 0.7), [0.8], [0.5], [0.1], [0.3], CONDUCT[:, :1]),
    "KLIF": KLIF(0.8, k=1.5),
    "Ternary": TernaryLIF(0.5),
    "ALIF": AdaptiveLIF(0.8, 0.9, 0.3),
    "MultiSpike": MultiSpike(0.5, threshold=0.7),
    "CUBA, late": CubaLIF(0.5, 0.5, late=True),
    "LIF that starts above 0": LIF(0.5, v_init=0.25),
}


@pytest.fixture(scope="module")
def deployed():
    """One layer of five such neurons on simulated Loihi 2, made when asked for."""
    made = {}

    def of(name):
        if name not in made:
            rng = np.random.default_rng(0)
            nodes = {"in": Input((8,), "spikes"), "fc": Linear(rng.normal(0, 0.7, (5, 8)), rng.normal(0, 0.1, 5)), "n": NODES[name]}
            nodes["out"] = Output("count")
            edges = tuple(Edge(a, b) for a, b in itertools.pairwise(nodes))
            x = (rng.random((12, STEPS, 8)) < 0.4).astype(float)
            made[name] = sd.convert(converters.Loaded(Graph(nodes, edges, steps=STEPS), steps=STEPS), x, chip="loihi2")
        return made[name]

    return of


def program_of(deployment):
    return deployment.network.populations["n"].model


def grids(deployment):
    return deployment.built.quantized.graph.named(GridNeuron)


def proof_of(deployment, model, limit=20.0):
    p = deployment.network.populations["n"]
    network = dataclasses.replace(
        deployment.network, populations={**deployment.network.populations, "n": dataclasses.replace(p, model=model)}
    )
    (found,) = [q for q in prove(network, limit, grids=grids(deployment)) if q.name == "program"]
    return found


@pytest.mark.parametrize("name", NODES)
def test_every_compiled_program_is_its_definition(deployed, name):
    deployment = deployed(name)
    assert isinstance(program_of(deployment), NeuronProgram)
    assert "n" in grids(deployment)
    (proof,) = [p for p in prove_deployment(deployment) if p.name == "program"]
    assert (proof.layer, proof.status, proof.by) == ("n", "proved", "equal terms")
    assert unproved_deployment(deployment) == ()


def older(network):
    """The network as an older file holds it: programs alone."""
    populations = {
        n: dataclasses.replace(p, model=dataclasses.replace(p.model, definition=None)) if isinstance(p.model, NeuronProgram) else p
        for n, p in network.populations.items()
    }
    return dataclasses.replace(network, populations=populations)


def test_an_older_file_holds_no_definition_and_says_so(deployed, tmp_path):
    network = older(deployed("CLIF").network)
    converters.save(network, tmp_path / "old.loihi2.onnx")
    assert b"definition" not in (tmp_path / "old.loihi2.onnx").read_bytes()
    assert not [p for p in prove_file(tmp_path / "old.loihi2.onnx") if p.name == "program"]
    (said,) = unproved(converters.load(tmp_path / "old.loihi2.onnx"))
    assert "holds no definition but the program" in said


@pytest.mark.parametrize("name", NODES)
def test_a_file_alone_proves_its_programs(deployed, name, tmp_path):
    sd.save(deployed(name), tmp_path / "net")
    (proof,) = [p for p in prove_file(tmp_path / "net.loihi2.onnx") if p.name == "program"]
    assert (proof.layer, proof.status, proof.by) == ("n", "proved", "equal terms")
    network = converters.load(tmp_path / "net.loihi2.onnx")
    assert unproved(network) == ()
    assert defined(network)["n"] == dataclasses.replace(grids(deployed(name))["n"], bound=1.0)
    assert network.populations["n"].model.definition == program_of(deployed(name)).definition


@pytest.mark.parametrize(("name", "control"), [("CLIF", "constant c0"), ("CLIF", "table T0"), ("GLIF", "shift"), ("ALIF", "comparison")])
def test_a_wrong_program_in_a_file_is_refuted_from_the_file_alone(deployed, name, control, tmp_path):
    network = deployed(name).network
    population = dataclasses.replace(network.populations["n"], model=wrong(program_of(deployed(name)), control))
    converters.save(dataclasses.replace(network, populations={**network.populations, "n": population}), tmp_path / "net.loihi2.onnx")
    (proof,) = [p for p in prove_file(tmp_path / "net.loihi2.onnx") if p.name == "program"]
    assert proof.status == "failed"
    assert proof.counterexample.replayed


def test_a_wrong_definition_in_a_file_is_no_proof(deployed):
    """Which of the two is wrong no proof can say; that they differ it does."""
    model = program_of(deployed("KLIF"))
    operations = list(model.definition.operations)
    i = next(i for i, line in enumerate(operations) if line.op in ("GE", "GT"))
    operations[i] = Instruction({"GE": "GT", "GT": "GE"}[operations[i].op], operations[i].args)
    kept = dataclasses.replace(model.definition, operations=tuple(operations))
    population = dataclasses.replace(deployed("KLIF").network.populations["n"], model=dataclasses.replace(model, definition=kept))
    network = deployed("KLIF").network
    found = prove(dataclasses.replace(network, populations={**network.populations, "n": population}))
    assert [p.status for p in found if p.name == "program"] == ["failed"]


def test_two_networks_do_not_differ_by_what_their_programs_were_compiled_from(deployed):
    network = deployed("CLIF").network
    made, former = alone(Side("a", network), "n"), alone(Side("b", older(network)), "n")
    assert same_layer(made, former)
    changed = dataclasses.replace(network.populations["n"], model=wrong(program_of(deployed("CLIF")), "constant c0"))
    other = alone(Side("b", older(dataclasses.replace(network, populations={**network.populations, "n": changed}))), "n")
    assert [words.partition(":")[0] for _, words, _ in differences(made, other, "n")] == ["constants", "the whole layer is another"]


def defining(operations=(("ADD", ("v", "I")),), output="t0", after=None, initial=None, tables=None):
    lines = tuple(Instruction(op, args) for op, args in operations)
    return Definition(lines, output, {"v": "t0"} if after is None else after, {"v": 0} if initial is None else initial, {}, tables or {})


@pytest.mark.parametrize(
    "given",
    [
        {"operations": [("ADD", ("v",))]}, {"operations": [("SPK", ("v", "1"))]}, {"operations": [("NOP", ())]}, {"output": "t7"},
        {"operations": [("ADD", ("v", "w"))]}, {"after": {"w": "t0"}}, {"operations": [("LDT", ("T",))]},
        {"operations": [("LUT", ("T", "v", "0", "0"))], "tables": {"T": [1, 2]}},
        {"operations": [("LUT", ("T", "v", "v", "1"))], "tables": {"T": [1, 2]}},
        {"operations": [("LUT", ("T", "v", "0", "1"))], "tables": {"T": [1]}},
    ],
)  # fmt: skip
def test_what_is_no_definition_is_refused(given):
    with pytest.raises(ChipError):
        defining(**given)


def test_a_definition_must_fit_its_population(deployed):
    assert defining() == defining() != defining(initial={"v": 1})
    assert len({defining(), defining()}) == 1
    network = deployed("CLIF").network
    for initial in ([0, 0], [[0], [0]]):
        model = dataclasses.replace(program_of(deployed("CLIF")), definition=defining(initial={"v": initial}))
        broken = {**network.populations, "n": dataclasses.replace(network.populations["n"], model=model)}
        with pytest.raises(ModelError, match="does not fit"):
            defined(dataclasses.replace(network, populations=broken))


def changed_line(model, i, op=None, **places):
    line = model.code[i]
    args = tuple(places.get(f"a{n}", a) for n, a in enumerate(line.args))
    return dataclasses.replace(model, code=(*model.code[:i], Instruction(op or line.op, args), *model.code[i + 1 :]))


def wrong(model, what):
    """The program with one thing wrong."""
    kind, _, name = what.partition(" ")
    if kind == "constant":
        return dataclasses.replace(model, constants={**model.constants, name: model.constants[name] + 1})
    if kind == "table":
        table = model.tables[name].copy()
        table[len(table) // 2] += 1
        return dataclasses.replace(model, tables={**model.tables, name: table})
    if kind == "start":
        return dataclasses.replace(model, state={**model.state, name: 1 << 16})
    if kind == "shift":
        i = next(i for i, line in enumerate(model.code) if line.op == "MUL")
        return changed_line(model, i, a3=str(int(model.code[i].args[3]) + 1))
    if kind == "word":
        return dataclasses.replace(model, code=(*model.code, Instruction("MOV", (name, "1"))))
    i = next(i for i, line in enumerate(model.code) if line.op in ("GE", "GT"))
    return changed_line(model, i, {"GE": "GT", "GT": "GE"}[model.code[i].op])


CONTROLS = [
    *itertools.product(
        ["CLIF"], ["constant c0", "comparison", "table T0", "table T1", "constant T0.lo", "constant T1.step", "start v", "shift", "word m"]
    ),
    *itertools.product(["GLIF"], ["constant c5", "table T0", "comparison", "shift", "word s"]),
    *itertools.product(["Ternary", "ALIF", "LIF that starts above 0"], ["constant c0", "comparison", "shift", "word v"]),
]


@pytest.mark.parametrize(("name", "control"), CONTROLS)
def test_what_is_wrong_is_refuted_by_a_run_in_the_simulator(deployed, name, control):
    model = program_of(deployed(name))
    found = proof_of(deployed(name), wrong(model, control))
    example = found.counterexample
    assert found.status == "failed"
    assert example.replayed
    assert example.wanted != example.got
    assert len(example.got) == 1 + len(model.state)
    assert "in the simulator, too" in counterexample(example)


def test_what_z3_finds_is_a_step_with_its_words_and_its_row(deployed):
    found = proof_of(deployed("GLIF"), wrong(program_of(deployed("GLIF")), "comparison"))
    example = found.counterexample
    assert set(example.words) == {"v", "s"}
    assert len(example.inputs) == 1
    assert f"v = {example.words['v']}" in counterexample(example)


def test_other_terms_may_be_the_same_neuron_and_z3_says_so(deployed):
    """a + b for b + a."""
    model = program_of(deployed("GLIF"))
    i = next(i for i, line in enumerate(model.code) if line.op == "ADD")
    _, a, b = model.code[i].args
    found = proof_of(deployed("GLIF"), changed_line(model, i, a1=b, a2=a))
    assert (found.status, found.by) == ("proved", "z3")


def test_words_that_start_differently_are_no_proof(deployed):
    model = program_of(deployed("CLIF"))
    found = proof_of(deployed("CLIF"), dataclasses.replace(model, state={**model.state, "v": 1}))
    assert found.status == "unknown"
    assert "start differently" in found.found


def test_without_time_nothing_is_proved(deployed):
    deployment = deployed("CLIF")
    proofs = prove(deployment.network, budget=0.0, grids=grids(deployment))
    (found,) = [p for p in proofs if p.name == "program"]
    assert found.status == "unknown"
    model = wrong(program_of(deployment), "comparison")
    population = dataclasses.replace(deployment.network.populations["n"], model=model)
    broken = dataclasses.replace(deployment.network, populations={**deployment.network.populations, "n": population})
    (found,) = [p for p in prove(broken, budget=0.0, grids=grids(deployment)) if p.name == "program"]
    assert found.status == "unknown"
    node = deployment.built.quantized.graph.nodes["n"]
    single = dataclasses.replace(node, constants={n: c.reshape(-1)[:1] for n, c in node.constants.items()})
    with budget(0.0):
        assert one_step(program_of(deployment), single, 1.0).status == "unknown"


def shown(operations, **given):
    node = GridNeuron(tuple(Operation(*line) for line in operations), "t0", {"v": "t0"}, {"v": np.zeros(())}, **given)
    terms = Terms((1,))
    of_definition(terms, node)
    return terms


@pytest.mark.parametrize("line", [("ADD", ("v", "9000000")), ("MUL", ("v", "2", "v")), ("SHR", ("v", "-1"))])
def test_a_number_outside_a_word_or_a_shift_that_is_none_has_no_meaning(line):
    assert {a.status for op, a in meanings(shown([line]), 5.0) if op != "SPK"} == {"unknown"}


def test_a_table_is_run_at_every_word_it_spans():
    rng = np.random.default_rng(0)
    terms = shown([("LUT", ("T", "v", "-500", "7"))], tables={"T": rng.integers(-(1 << 22), 1 << 22, 257).astype(float)})
    agree, count = tables_agree(terms)
    assert agree
    assert count >= 256 * 7
    assert not tables_agree(shown([("LUT", ("T", "v", "0", "0"))], tables={"T": np.arange(3.0)}))[0]


def test_the_refuting_step_is_the_programs_own_answer(deployed):
    """The counterexample, run once more by hand: from its words the simulator answers what it says."""
    deployment = deployed("Ternary")
    model = wrong(program_of(deployment), "comparison")
    example = proof_of(deployment, model).counterexample

    constants = {n: frozen_ints(np.broadcast_to(c, (5,))[example.neuron : example.neuron + 1]) for n, c in model.constants.items()}
    one = dataclasses.replace(model, state=dict(example.words), constants=constants)
    populations = {"x": Population("x", (1,), HostInput(24, signed=True)), "n": Population("n", (1,), one)}
    network = ChipNetwork("", populations, (Projection("x->n", "x", "n", Wire()),), steps=1)
    trace = run_chip(network, {"x": np.asarray(example.inputs).reshape(1, 1, 1)}, 1, states=True, exact=True)
    assert (int(trace.outputs["n"][0, 0, 0]), int(trace.states["n.v"][0, 0, 0])) == example.got
