"""What users hand in, as they have it: data in any form, options given twice, files that do not belong together."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import converters
import snndeploy as sd
from snndeploy.arrays import frozen
from snndeploy.errors import DataError, ModelError, OptionError
from snndeploy.flow.given import as_samples, with_decoding, with_time
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output, Reshape
from snndeploy.ir.neurons.lif import LIF

STEPS = 4
RNG = np.random.default_rng(3)
WEIGHT = RNG.normal(0.3, 0.5, (3, 6))


def loaded(decode="count", bias=None):
    nodes = {"x": Input((6,)), "fc": Linear(WEIGHT, bias), "n": LIF(frozen(0.5)), "y": Output(decode)}
    chain = ("x", "fc", "n", "y")
    edges = tuple(Edge(a, b) for a, b in itertools.pairwise(chain))
    return converters.Loaded(Graph(nodes, edges))


def timed(n=12):
    return (RNG.random((n, STEPS, 6)) < 0.5).astype(np.float64)


def test_data_may_be_arrays_lists_pairs_and_dicts():
    x, y = timed(), np.arange(12) % 3
    for given in (x, x.tolist(), (x, y), {"x": x, "y": y}, sd.Samples({"": x}, y)):
        samples = as_samples(given)
        np.testing.assert_array_equal(samples.inputs[""], x)
        assert samples.labels is None or list(samples.labels) == list(y)
    assert set(as_samples({"x_left": x, "x_right": x}).inputs) == {"left", "right"}
    with pytest.raises(DataError, match="is no array"):
        as_samples([[1.0, 2.0], [3.0]])


def test_tensors_of_any_type_are_read():
    torch = pytest.importorskip("torch")
    x = torch.tensor(timed())
    for kind in (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.bool):
        np.testing.assert_array_equal(as_samples(x.to(kind)).inputs[""], x.numpy())


@pytest.mark.parametrize(("model", "words"), [({"fc.weight": 1}, "state_dict"), (3, "is a int"), (None, "NoneType")])
def test_what_is_no_model_is_named(model, words):
    with pytest.raises(ModelError, match=words):
        sd.convert(model, timed())


def test_steps_are_given_once_and_whole():
    options = converters.Options(timesteps=5)
    with pytest.raises(OptionError, match="8 and 5"):
        with_time(None, None, options, 8)
    for wrong in ("8", 8.0):
        with pytest.raises(OptionError, match="timesteps"):
            with_time(None, None, converters.Options(), wrong)
    assert with_time(None, None, options, np.int64(5)).timesteps == 5


def test_data_with_time_say_how_many_steps():
    samples = sd.Samples({"": timed()})
    assert with_time("a.pt", samples, converters.Options(input_shape=(6,))).timesteps == STEPS
    assert with_time("a.pt", samples, converters.Options(input_shape=(STEPS, 6))).timesteps is None
    assert with_time(object(), samples, converters.Options(), STEPS).input_shape == (6,)
    several = sd.Samples({"a": timed(), "b": timed()})
    assert with_time(object(), several, converters.Options(), STEPS).input_shape is None


def test_chip_and_wishes_go_together():
    deployment = sd.convert(loaded(), timed(), sd.Wishes(seed=1), chip="loihi1")
    assert deployment.profile.id == "loihi1"
    assert deployment.wishes.seed == 1
    with pytest.raises(OptionError, match="save_graph"):
        sd.convert(loaded(), timed(), chip="none")


def test_weight_bits_name_layers_or_their_synapses():
    for bits in (4, {"*": 4}, {"n": 4}, {"fc": 4}):
        wishes = sd.Wishes(weight_bits=bits)
        weights = sd.convert(loaded(), timed(), wishes).built.quantized.graph.nodes["fc"].weight
        assert not (weights % 16).any(), bits
    with pytest.raises(OptionError, match=r"no layer is called 'zz'"):
        sd.convert(loaded(), timed(), sd.Wishes(weight_bits={"zz": 4}))
    with pytest.raises(OptionError, match="number of bits"):
        sd.Wishes(weight_bits="many")


def test_a_sequence_is_summed_and_that_is_said():
    deployment = sd.convert(loaded("none"), timed())
    assert deployment.graph.nodes["y"].decode == "sum"
    assert any("ASSUMED output y" in note for note in deployment.assumptions)
    asked = sd.convert(loaded("none"), timed(), decode="last")
    assert asked.graph.nodes["y"].decode == "last"
    with pytest.raises(OptionError, match="read-out"):
        with_decoding(loaded(), "median")


def test_labels_name_classes():
    x = timed()
    with pytest.raises(DataError, match="there are 3 classes"):
        sd.convert(loaded(), (x, np.arange(12)))
    with pytest.raises(DataError, match="single class"):
        sd.convert(loaded(), (x, np.zeros(12, int)), decode="vote:3")


def test_the_membrane_of_what_sends_spikes_is_not_its_spikes():
    """The last step's spikes were read in its place."""
    with pytest.raises(OptionError, match="y is fed by n, which sends spikes"):
        sd.convert(loaded(), timed(), decode="membrane")
    nodes = {"x": Input((6,)), "fc": Linear(WEIGHT), "n": LIF(frozen(0.5)), "f": Reshape((3,)), "y": Output("none")}
    edges = (Edge("x", "fc"), Edge("fc", "n"), Edge("n", "f"), Edge("f", "y"))
    with pytest.raises(OptionError, match="y is fed by n"):
        sd.convert(converters.Loaded(Graph(nodes, edges)), timed(), decode="membrane")


def test_layers_that_never_fire_are_named():
    assert any("n never fires" in note for note in sd.convert(loaded(), np.zeros((4, STEPS, 6))).assumptions)
    assert not any("never fires" in note for note in sd.convert(loaded(), timed()).assumptions)


def test_a_network_for_spikes_takes_the_same_spikes_in_any_form_and_nothing_else(tmp_path):
    x = (RNG.random((12, 6)) < 0.5).astype(np.float64)
    repeated = np.repeat(x[:, None], STEPS, axis=1)
    _, chip = sd.save(sd.convert(loaded(), repeated), tmp_path / "net")
    over_time, static = sd.run(chip, sd.Samples({"": repeated})), sd.run(chip, sd.Samples({"": x}))
    assert static.trace.steps == over_time.trace.steps
    np.testing.assert_array_equal(static.predictions, over_time.predictions)
    for wrong in (x - 0.5, 0.3 * x, 2 * x):
        with pytest.raises(DataError, match=r"converted for spikes.*\n.*--encode"):
            sd.run(chip, sd.Samples({"": wrong}))


def test_the_chip_fires_as_often_as_the_model_and_no_more():
    """Biases come and go with the input: while later layers drain, earlier ones are silent."""
    deployment = sd.convert(loaded(bias=np.array([0.6, 0.0, 1.2])), timed(40))
    model, chip = deployment.float_trace.activity["n"].spikes, deployment.chip_trace.activity["n"].spikes
    assert model.min() > 0
    np.testing.assert_array_equal(chip, model)


def test_a_graph_that_is_not_the_chip_networks_own_is_not_compared_with_it(tmp_path):
    graph, chip = sd.save(sd.convert(loaded(), timed()), tmp_path / "net")
    samples = sd.Samples({"": timed()})
    assert sd.verify(chip, samples).fidelity is not None
    other = replace(loaded(), graph=loaded(bias=np.ones(3)).graph)
    sd.save_graph(other, tmp_path / "net")
    verdict = sd.verify(chip, samples)
    assert verdict.fidelity is None
    assert any("not of the conversion that made this file" in words for words in verdict.not_checked)
    assert graph.is_file()


def test_a_saved_graph_knows_its_steps(tmp_path):
    x = (RNG.random((12, 6)) < 0.5).astype(np.float64)
    graph, _ = sd.save(sd.convert(loaded(), x, timesteps=STEPS), tmp_path / "net")
    assert sd.run(graph, sd.Samples({"": x})).trace.steps == STEPS
    assert f"graph steps={STEPS}" in sd.show(graph)


def test_a_board_stays_with_the_network(tmp_path):
    _, chip = sd.save(sd.convert(loaded(), timed(), chip="loihi2:kapoho-point"), tmp_path / "net")
    assert chip.name == "net.loihi2.onnx"
    assert "loihi2:kapoho-point" in sd.show(chip)
    assert sd.report(chip, sd.Samples({"": timed()})).placement.fits
