"""``--substitute nearest``: what a refusal offers is taken, counted as another model, and never called exact."""

from __future__ import annotations

import re

import numpy as np
import pytest
from click.testing import CliRunner
from command_line import snn
from test_program_flow import NODES, network, spikes

import snndeploy as sd
from snndeploy.chip.program import NeuronProgram
from snndeploy.cli import commands
from snndeploy.errors import NoEffect, OptionError, Unsupported
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.exponential import ExponentialIF
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.quantize.nearest import nearest, needs_program, shown

NEAREST = sd.Wishes(chip="loihi1", substitute="nearest")
SUBTRACTING = LIF(0.75, reset="subtract", strict=True)


@pytest.mark.parametrize("name", NODES)
def test_what_is_refused_converts_with_the_nearest_neuron(name):
    made = sd.convert(network(NODES[name]), spikes(), NEAREST)
    assert not any(isinstance(p.model, NeuronProgram) for p in made.network.populations.values())
    assert made.verdict.pairs[-1].different == 0, "the chip is what was made of the substitutes"
    change = next(p for p in made.verdict.pairs if p.b == "its nearest neurons")
    assert change.different > 0
    assert not made.ok, "another model is never exact"
    assert sum(note.startswith("CHANGED ") for note in made.assumptions) == 2
    assert made.verdict.fidelity is not None


def test_the_float_graph_stays_the_users_own():
    made = sd.convert(network(SUBTRACTING), spikes(), NEAREST)
    assert made.graph.nodes["n1"] == SUBTRACTING
    assert made.lowered.nodes["n1"].reset == "hard"


def test_fidelity_is_held_against_the_users_own_network():
    made = sd.convert(network(SUBTRACTING), spikes(), NEAREST)
    same = sd.convert(network(nearest(SUBTRACTING).neuron), spikes(), chip="loihi1")
    assert np.array_equal(made.chip_trace.outputs["n2"], same.chip_trace.outputs["n2"])
    assert made.verdict.fidelity.agreement < same.verdict.fidelity.agreement


def test_where_nothing_is_to_substitute_it_is_refused():
    for chip in ("loihi1", "loihi2"):
        with pytest.raises(NoEffect, match="changes nothing"):
            sd.convert(network(LIF(0.75)), spikes(), sd.Wishes(chip=chip, substitute="nearest"))
    with pytest.raises(OptionError, match="no substitute"):
        sd.Wishes(substitute="closest")


def test_a_chip_with_programs_gets_fixed_neurons_when_asked():
    made = sd.convert(network(SUBTRACTING), spikes(), sd.Wishes(chip="loihi2", substitute="nearest"))
    assert not any(isinstance(p.model, NeuronProgram) for p in made.network.populations.values())


def test_check_takes_it_too():
    assert not sd.check(network(SUBTRACTING), spikes(), sd.Wishes(chip="loihi1")).fits
    assert sd.check(network(SUBTRACTING), spikes(), NEAREST).fits


def test_a_burst_neuron_is_built_of_several_and_never_substituted():
    burst = Burst(0.5, np.array([[0.4], [1.0]]), np.array([[1.0], [2.0]]), strict=(False, False))
    assert not needs_program(burst)
    mixed = network(SUBTRACTING)
    graph = mixed.graph.replace({"n1": burst})
    made = sd.convert(type(mixed)(graph, steps=mixed.steps), spikes(), NEAREST)
    assert [row.layer for row in made.offers if row.chosen] == ["n1"]
    assert sum(note.startswith("CHANGED ") for note in made.assumptions) == 1


def test_a_synaptic_current_stays():
    near = nearest(CubaLIF(0.5, 0.75, reset="subtract")).neuron
    assert (type(near), near.reset, float(near.current_decay)) == (CubaLIF, "hard", 0.5)
    assert isinstance(nearest(ImmediateLIF(0.75, 0.5, current=True)).neuron, CubaLIF)
    assert nearest(ImmediateLIF(0.75)).neuron == LIF(0.75, strict=True)


def test_what_is_near_enough_is_itself():
    for node in (LIF(0.5), CubaLIF(0.5, 0.5)):
        assert not needs_program(node)
        assert nearest(node).neuron is node
    for node in (LIF(0.5, late=True), LIF(0.5, floor=0.0), LIF(0.5, reset="none"), CubaLIF(0.5, 0.5, late=True)):
        assert needs_program(node)
        assert not needs_program(nearest(node).neuron)


NUMBERS = (
    LIF(0.75, strict=True),
    LIF(0.9, gain=0.1, threshold=0.3),
    LIF(0.5, v_reset=-0.06, v_init=-0.06, rest=0.0),
    LIF([0.5, 0.7, 0.9], threshold=2.0),
    CubaLIF(0.5, 0.75, current_gain=0.5, strict=True),
)


@pytest.mark.parametrize("node", NUMBERS, ids=range(len(NUMBERS)))
def test_a_neuron_that_is_printed_can_be_given_to_neuron(node):
    pytest.importorskip("torch")
    from converters.pt.saying import Place, in_words
    from converters.pt.saying import _reads_as as reads_as

    place = Place("lif1", None, (3,), {})
    assert reads_as(shown(node), node, place, None), shown(node)
    assert in_words(place, node)


def test_what_no_constructor_says_is_not_printed_as_one():
    assert "(" not in shown(LIF(np.linspace(0.1, 0.9, 20)))


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """Weights of a subtracting snnTorch network, as its state_dict names them, and data."""
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    sizes = {"fc1": (16, 12), "fc2": (5, 16)}
    tensors = {f"{n}.weight": torch.tensor(rng.normal(0, 0.5, s), dtype=torch.float32) for n, s in sizes.items()}
    for name in ("lif1", "lif2"):
        tensors |= {f"{name}.{key}": torch.tensor(v) for key, v in (("beta", 0.75), ("threshold", 1.0))}
        tensors[f"{name}.reset_mechanism_val"] = torch.tensor(0)
    order = [k for a, b in (("fc1", "lif1"), ("fc2", "lif2")) for k in tensors if k.split(".")[0] in (a, b)]
    torch.save({k: tensors[k] for k in order}, "w.pth")
    np.savez("d.npz", x=(rng.random((6, 10, 12)) < 0.4).astype("float32"))
    return ("convert", "w.pth", "--timesteps", 10, "--data", "d.npz", "-o", "o")


def test_the_refusal_names_neurons_in_the_users_words_and_both_ways_work(bare):
    refusal = snn(*bare, "--chip", "loihi1", code=2)
    named = re.search(r"--neuron '([^']*)'", refusal)
    assert named is not None
    assert named.group(1) == 'lif1,lif2: Leaky(beta=0.75, reset_mechanism="zero")'
    by_name = snn(*bare, "--chip", "loihi1", "--neuron", named.group(1))
    assert "CHANGED" not in by_name
    assert "CHANGED lif1" in snn(*bare, "--chip", "loihi1", "--substitute", "nearest", code=1)


def test_a_network_that_lava_and_net_files_can_take_is_one_option_away(bare):
    pytest.importorskip("h5py")
    snn(*bare, "--chip", "loihi2")
    for way in (("--to", "lava", "-o", "q"), ("--to", "net")):
        assert "--substitute nearest" in snn("export", "o.loihi2.onnx", *way, code=2)
    snn(*bare, "--chip", "loihi2", "--substitute", "nearest", code=1)
    snn("export", "o.loihi2.onnx", "--to", "lava", "-o", "q")
    said = CliRunner().invoke(commands, ["export", "o.loihi2.onnx", "--to", "net"])
    assert said.exit_code == 0 or "beyond -256..255" in said.output, "these weights may need exponents, which is another reason"


def test_integers_are_never_substituted(bare):
    snn(*bare, "--chip", "loihi2")
    said = snn("convert", "o.loihi2.onnx", "--data", "d.npz", "--substitute", "nearest", "-o", "x", code=2)
    assert "--substitute" in said


def test_nothing_near_is_said():
    node = ExponentialIF(0.5, 0.0, 0.5, 0.2, 1.0)
    with pytest.raises(Unsupported, match="nothing on a fixed core is near"):
        sd.convert(network(node), spikes(), NEAREST)
