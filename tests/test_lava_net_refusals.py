"""What is no .net file, what a .net file cannot mean, and what it cannot hold: refused by name, quickly."""

from __future__ import annotations

import sys
import time

import numpy as np
import pytest

import converters
from converters import Options
from converters.lava_net import files, load, save
from snndeploy.chip.models import HostInput, Lif, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, HostLayer, Population, Projection, Readout, Sparse, Wire
from snndeploy.errors import ChipError, MissingPackage, ModelError, OptionError, SnnError, Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Output
from snndeploy.sim.chip import run_chip

h5py = pytest.importorskip("h5py")

from net_files import CUBA, LOIHI, RF, SDNN, SIGMA, conv, dense, net  # noqa: E402 (behind importorskip)


def pool(shape, neuron=CUBA, **more):
    return {"type": "pool", "shape": shape, "weight": np.ones((1, 1, 2, 2)), "kernelSize": [2, 2], **neuron, **more}


TWO = [[2, 4], [6, 8]]
IMAGE = {"type": "input", "shape": [1, 4, 4]}
KERNEL = np.full((2, 1, 3, 3), 2)
COPY = conv(np.ones((1, 1, 1, 1)), [1, 4, 4])
JOINED = {"type": "concat", "shape": [2, 4, 4], "layers": [0]}
COMPLEX = {"weight": None, "weight/real": TWO, "weight/imag": TWO}
REFUSED = {
    "fraction": ([dense([[0.5, 1]])], ModelError, "not whole"),
    "not a number": ([dense([[np.nan, 1]])], ModelError, "not whole"),
    "too large": ([dense([[300, -2]])], ModelError, "8-bit"),
    "too long": ([dense(TWO, delay=[63, 0])], ModelError, "0..62"),
    "delay of no axis": ([dense(TWO, delay=[1, 2, 3])], ModelError, "no axis"),
    "delay and bias": ([dense(TWO, delay=[1, 0], bias=[1, 0])], Unsupported, "slayer delays"),
    "delay and recurrence": ([dense(TWO, delay=1) | {"type": "dense_rec", "weight_rec": TWO}], Unsupported, "recurrence"),
    "recurrence not square": ([dense(TWO) | {"type": "dense_rec", "weight_rec": [[2, 4, 6], [2, 4, 6]]}], ModelError, "not square"),
    "missing threshold": ([{k: v for k, v in dense(TWO).items() if k != "neuron/vThMant"}], ModelError, "vThMant"),
    "missing weight": ([{k: v for k, v in dense(TWO).items() if k != "weight"}], ModelError, "'weight'"),
    "missing type": ([{k: v for k, v in dense(TWO).items() if k != "type"}], ModelError, "its type"),
    "weight of text": ([dense(TWO) | {"weight": "W"}], ModelError, "no numbers"),
    "beyond 32 bits": ([dense(TWO, bias=[2.0**40, 0])], ModelError, "32 bits"),
    "wrong register axis": ([dense(TWO) | {"neuron/vThMant": [1, 2, 3]}], ModelError, "no axis"),
    "out of register": ([dense(TWO) | {"neuron/iDecay": 5000}], ChipError, "du"),
    "shape of zero": ([dense(TWO) | {"shape": [0]}], ModelError, "shape"),
    "weights to nowhere": ([dense(TWO) | {"shape": [3]}], ModelError, "3 neurons"),
    "inputs that are not there": ([dense(TWO), dense([[2, 2, 2]])], ModelError, "3 inputs"),
    "unknown layer": ([dense(TWO) | {"type": "dens"}], ModelError, "did you mean dense"),
    "unknown neuron": ([dense(TWO, {"neuron/type": "CUBE"})], ModelError, "did you mean CUBA"),
    "adaptive threshold": ([dense(TWO, {"neuron/type": "ALIF"})], Unsupported, "adapts"),
    "adaptive resonator": ([dense(TWO, {"neuron/type": "ADRF_IZ"})], Unsupported, "adapting"),
    "resonator with real weights": ([dense(TWO, RF)], Unsupported, "complex"),
    "complex weights without resonator": (
        [dense(TWO) | {"weight": None, "weight/real": TWO, "weight/imag": TWO}],
        Unsupported,
        "one input",
    ),
    "resonator with a bias": ([dense(TWO, RF, bias=1) | {"weight": None, "weight/real": TWO, "weight/imag": TWO}], Unsupported, "bias"),
    "resonators as input": ([{"type": "input", "shape": [2], **RF}, dense(TWO)], Unsupported, "resonators"),
    "transposed": ([IMAGE, conv(KERNEL, [2, 2, 2]) | {"type": "convT"}], Unsupported, "transposed"),
    "unpooled": ([IMAGE, {"type": "unpool", "shape": [1, 8, 8]}], Unsupported, "unpooling"),
    "graded": ([dense(TWO) | {"neuron/gradedSpike": True}], Unsupported, "voltage"),
    "refractory": ([dense(TWO) | {"neuron/refDelay": 3}], Unsupported, "refractory"),
    "weight exponent": ([dense(TWO) | {"neuron/wgtExp": 1}], Unsupported, "wgtExp"),
    "normalization": ([dense(TWO) | {"neuron/weight_exp": -2.0}], Unsupported, "weight_exp"),
    "activation": ([dense(TWO, SDNN | {"neuron/activation": "sigmoid"})], Unsupported, "sigmoid"),
    "biased sigma": ([dense(TWO, SIGMA, bias=[1, 2])], Unsupported, "sigma"),
    "sigma inside": ([dense(TWO, SIGMA), dense(TWO, SDNN)], Unsupported, "sends no spikes"),
    "read-out inside": ([dense(TWO, {}), dense(TWO)], Unsupported, "sends no spikes"),
    "mixed training": ([dense(TWO, CUBA), dense(TWO, SDNN)], OptionError, "--source"),
    "second input": ([dense(TWO), {"type": "input", "shape": [2]}], ModelError, "one input"),
    "input times zero": ([{"type": "input", "shape": [2], "weight": 0, **CUBA}, dense(TWO)], ModelError, "by 0"),
    "only an input": ([{"type": "input", "shape": [2]}], ModelError, "no layer with neurons"),
    "conv of what": ([conv(KERNEL, [2, 2, 2])], OptionError, "--input-shape"),
    "conv of a line": ([dense(TWO), conv(KERNEL, [2, 2, 2])], ModelError, "channels that arrive"),
    "conv of a row": ([{"type": "input", "shape": [1, 4]}, conv(KERNEL, [2, 2, 2])], ModelError, "(C, H, W)"),
    "other shape": ([IMAGE, conv(KERNEL, [2, 3, 3])], ModelError, "makes (2, 2, 2)"),
    "flat kernels": ([IMAGE, conv(np.ones((2, 9)), [2, 2, 2])], ModelError, "(O, I, kh, kw)"),
    "stride of zero": ([IMAGE, conv(KERNEL, [2, 2, 2], stride=[0, 1])], ModelError, "below 1"),
    "three strides": ([IMAGE, conv(KERNEL, [2, 2, 2], stride=[1, 1, 1])], ModelError, "one or two"),
    "delays of other channels": ([IMAGE, conv(KERNEL, [2, 2, 2], delay=[1, 2, 3])], ModelError, "2 channels"),
    "two groups counted twice": ([IMAGE, conv(KERNEL, [2, 2, 2], groups=[1, 1])], ModelError, "not one"),
    "pool of channels": ([IMAGE, pool([1, 2, 2]) | {"weight": np.ones((2, 1, 2, 2))}], ModelError, "pooling"),
    "pool delayed by channel": ([IMAGE, conv(KERNEL, [2, 2, 2]), pool([2, 1, 1], delay=[0, 1])], Unsupported, "same delay"),
    "recurrent concat": ([dense(TWO), {"type": "concat", "shape": [4], "layers": [2]}, dense([[2, 2, 2, 2]])], Unsupported, "recurrence"),
    "ends in a concat": ([dense(TWO), dense(TWO), {"type": "concat", "shape": [4], "layers": [0]}], ModelError, "ends in a concat"),
    "concat of shapes": ([IMAGE, conv(KERNEL, [2, 2, 2]), {**JOINED, "layers": [0]}, dense(TWO)], ModelError, "joins"),
    "grouped after concat": ([IMAGE, COPY, JOINED, conv(np.ones((2, 1, 1, 1)), [2, 4, 4], groups=2)], Unsupported, "groups"),
    "pool after concat": ([IMAGE, COPY, JOINED, pool([2, 2, 2])], Unsupported, "pool first"),
    "average inside": ([dense(TWO), {"type": "average", "shape": [1]}, dense([[2]])], Unsupported, "average"),
    "average of thirds": ([dense(TWO), {"type": "average", "shape": [3]}], ModelError, "3 groups"),
    "bias without steps": ([dense(TWO, LOIHI, bias=[1, 0])], OptionError, "--timesteps"),
}


@pytest.mark.parametrize(("layers", "error", "says"), REFUSED.values(), ids=REFUSED)
def test_refused_with_the_true_reason(tmp_path, layers, error, says):
    kept = [{key: value for key, value in layer.items() if value is not None} for layer in layers]
    path = net(tmp_path / "bad.net", kept)
    with pytest.raises(error) as caught:
        load(path)
    assert says in str(caught.value)
    assert caught.value.hint


# ------------------------------------------------------------------------------------------------ not whole, not ours


def refused(path, options=None):
    """The error, which must come within the time and the memory that any file may take."""
    started = time.perf_counter()
    with pytest.raises(ModelError) as caught:
        converters.load(path, options)
    assert time.perf_counter() - started < 10
    assert caught.value.hint
    return str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.999])
def test_a_file_that_was_cut_short(tmp_path, share):
    path = net(tmp_path / "whole.net", [dense(np.zeros((64, 64)))])
    data = path.read_bytes()
    (tmp_path / "cut.net").write_bytes(data[: int(share * len(data))])
    assert "whole HDF5" in refused(tmp_path / "cut.net") or share == 0


def test_every_damaged_byte_is_an_error_or_a_network(tmp_path):
    """A byte flipped anywhere gives a network or an error of ours, never a traceback of h5py's."""
    rng = np.random.default_rng(11)
    data = bytearray(net(tmp_path / "whole.net", [dense(TWO, bias=[1, 2]), dense(TWO)], 5).read_bytes())
    failed = 0
    for place in rng.integers(0, len(data), 150):
        broken = bytearray(data)
        broken[place] ^= int(rng.integers(1, 256))
        (tmp_path / "broken.net").write_bytes(broken)
        try:
            load(tmp_path / "broken.net")
        except SnnError:
            failed += 1
    assert failed


def test_other_files(tmp_path):
    path = tmp_path / "other.net"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    assert "HDF5" in refused(path)
    path.write_bytes(b"")
    assert "empty" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["node/type"] = b"NIRGraph"
    assert "NIR" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["layer"] = 3
    assert "no group 'layer'" in refused(path)
    with h5py.File(path, "w") as handle:
        handle.create_group("layer")
    assert "no layers" in refused(path)


def test_layers_that_are_missing(tmp_path):
    path = tmp_path / "gap.net"
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"], handle["layer/2/type"] = b"flatten", b"flatten"
    assert "layer 1 is missing" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["layer/0"] = 1
    assert "not a group" in refused(path)
    with h5py.File(path, "w") as handle:
        for index in range(files.MAX_LAYERS + 1):
            handle.create_group(f"layer/{index}")
    assert "more than 1000" in refused(path)


def test_a_file_that_would_exhaust_memory(tmp_path):
    """A few kilobytes that declare 2^44 numbers, and many datasets that are too much together."""
    path = tmp_path / "bomb.net"
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"], handle["layer/0/shape"] = b"dense", [1 << 22]
        handle.create_dataset("layer/0/weight", (1 << 22, 1 << 22), "f4", chunks=(1 << 10, 1 << 10))
    assert path.stat().st_size < 20_000
    assert "larger than" in refused(path)
    with h5py.File(path, "w") as handle:
        for index in range(300):
            handle[f"layer/0/{index}"] = index
    assert "side by side" in refused(path)


def test_links_are_not_followed_out_of_the_file_nor_around_in_it(tmp_path):
    net(tmp_path / "other.net", [dense(TWO)])
    path = tmp_path / "links.net"
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"] = b"dense"
        handle["layer/0/weight"] = h5py.ExternalLink("other.net", "/layer/0/weight")
    assert "another file" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"] = b"dense"
        handle["layer/0/again"] = h5py.SoftLink("/layer/0")
    assert "too deep" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"] = b"dense"
        handle["layer/0/weight"] = h5py.SoftLink("/nowhere")
    assert "HDF5" in refused(path)


def test_texts_are_read_within_bounds(tmp_path):
    """A text of any stored length takes no more memory than it may, nor does a heap that leads nowhere or in a circle."""
    path = net(tmp_path / "text.net", [dense(TWO)])
    assert load(path).populations["dense0"].reads == "spikes"
    with h5py.File(path) as handle:
        offset = handle["layer/0/neuron/type"].id.get_offset()
    data = bytearray(path.read_bytes())
    heap = int.from_bytes(data[offset + 4 : offset + 12], "little")
    for place, count, value in ((offset, 4, 1 << 31), (offset + 4, 8, 1 << 63), (heap, 4, 0), (heap + 24, 8, 1 << 40), (heap + 16, 2, 9)):
        broken = bytearray(data)
        broken[place : place + count] = value.to_bytes(count, "little")
        (tmp_path / "broken.net").write_bytes(broken)
        assert "text of" in refused(tmp_path / "broken.net")


def test_what_is_no_number_and_no_text(tmp_path):
    path = tmp_path / "odd.net"
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"] = np.array([b"a", b"b"], object)
    assert "neither numbers nor one text" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"] = np.dtype("i4")
    assert "neither a group nor a dataset" in refused(path)
    with h5py.File(path, "w") as handle:
        handle["layer/0/type"] = 3
    assert "its type" in refused(path)


def test_steps_of_a_sample(tmp_path):
    path = net(tmp_path / "steps.net", [dense(TWO)], 12)
    assert load(path).steps == 12
    assert load(path, Options(timesteps=7)).steps == 7
    with h5py.File(path, "a") as handle:
        handle["simulation/Ts"] = 3
    assert load(path).steps == 4
    with h5py.File(path, "a") as handle:
        handle["simulation/Ts"][()] = 5
    assert "whole number of steps" in refused(path)


def test_options_that_do_not_apply(tmp_path):
    path = net(tmp_path / "plain.net", [dense(TWO, SDNN)])
    for options, says in ((Options(source="snntorch"), "--source"), (Options(input_unit=0.5), "--input-unit")):
        with pytest.raises(OptionError, match=says):
            load(path, options)
    path = net(tmp_path / "plain.net", [{"type": "input", "shape": [2], **CUBA}, dense(TWO)])
    with pytest.raises(OptionError, match="--input-unit"):
        load(path, Options(input_unit=0.5))
    delayed = net(tmp_path / "delayed.net", [dense(TWO, LOIHI, delay=[0, 2]), dense(TWO, LOIHI, bias=[1, 0])], 5)
    with pytest.raises(Unsupported, match="cannot be called back"):
        load(delayed)
    assert load(delayed, Options(source="slayer")).latency == 1


def test_without_h5py(tmp_path, monkeypatch):
    path = net(tmp_path / "plain.net", [dense(TWO)])
    network = load(path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    for action in (lambda: load(path), lambda: save(network, tmp_path / "again.net")):
        with pytest.raises(MissingPackage, match="snndeploy\\[net\\]"):
            action()


# --------------------------------------------------------------------------------------------- what has no place in it


def chip(model=None, synapses=None, host=None, *, readout="sum", steps=8, reads="spikes", shift=1, **projection):
    """One layer behind one input, each part of which can be another."""
    model = model or Lif(du=1023, dv=128, vth=80)
    populations = {
        "x": Population("x", (2,), host or HostInput()),
        "n": Population("n", (2,), model, shift=shift, reads=reads),
    }
    path = Projection("x->n", "x", "n", synapses or Dense(TWO), **projection)
    return ChipNetwork("loihi2", populations, (path,), Readout("n", readout), steps)


def with_more(network, populations=(), projections=(), **fields):
    made = {**network.populations, **{p.name: p for p in populations}}
    return ChipNetwork(network.chip, made, (*network.projections, *projections), network.readout, network.steps, **fields)


LIF = {"du": 1023, "dv": 128, "vth": 80}
OTHER = Population("m", (2,), Lif(**LIF), shift=1)
LATER = Population("m", (2,), Lif(**LIF), shift=2)
NOT_HELD = {
    "ternary": (chip(TernaryLif(du=0, dv=0, vth_hi=1, vth_lo=-1)), "TernaryLif"),
    "initial state": (chip(Lif(**LIF, v=5)), "initial state"),
    "fine bias": (chip(Lif(**LIF, bias_mant=100, bias_exp=0)), "multiples of 64"),
    "silent but read as spikes": (chip(Lif(du=0, dv=0, vth=131072)), "never reached"),
    "firing but read as v": (chip(reads="v", readout="last"), "sometimes reached"),
    "graded input": (chip(host=HostInput(4), graded=True), "payloads"),
    "changes that count as one": (chip(SigmaDelta(1.0, spike_exp=6, state_exp=6), host=HostInput(4, scale=2.0**-12)), "count as 1"),
    "other exponents": (chip(SigmaDelta(1.0), host=HostInput(4, scale=2.0**-12), graded=True), "exponents (0, 0)"),
    "rounded sums": (chip(exponent=-3), "rounds sums"),
    "too many bits": (chip(exponent=7), "beyond"),
    "two synapses": (chip(synapses=Sparse([0, 0], [1, 1], [2, 4])), "several synapses"),
    "two delays": (with_more(chip(), (), [Projection("b", "x", "n", Dense(TWO), delay=2)]), "different delays"),
    "other read-out": (chip(readout="first"), "'first'"),
    "late": (chip(shift=3), "3 steps late"),
    "timed reset": (chip(Lif(**LIF, reset_interval=3, reset_offset=1)), "every 3 steps"),
    "two inputs": (with_more(chip(), [Population("y", (1,), HostInput())]), "2 inputs"),
    "host layer": (with_more(chip(), host={"x": HostLayer("in", (2,), Dense(TWO), 0, 0, 1.0)}), "host computes"),
    "no neurons": (ChipNetwork("loihi2", {"x": Population("x", (2,), HostInput())}, ()), "no neurons"),
    "a branch": (with_more(chip(), [OTHER], [Projection("b", "x", "m", Dense(TWO))]), "a chain"),
    "nothing enters": (with_more(chip(), [OTHER]), "nothing"),
    "delayed wire": (chip(synapses=Wire(as_bias=True), shift=0, delay=1, host=HostInput(12, True)), "plain bias"),
    "finer input": (chip(Lif(**LIF, bias_exp=6), Wire(as_bias=True), HostInput(12, True, scale=0.3), shift=0), "whole number"),
    "biases of the input layer": (
        chip(Lif(**LIF, bias_exp=6, bias_mant=[1, 2]), Wire(as_bias=True), HostInput(12, True), shift=0),
        "one bias",
    ),
    "a resonator without imaginary input": (chip(Resonator(1, 2, 3)), "port 1"),
    "a resonator of other widths": (
        with_more(chip(Resonator(1, 2, 3, state_exp=0)), (), [Projection("i", "x", "n", Dense(TWO), port=1)]),
        "resonators with 12 bits",
    ),
    "a skip that does not wait": (
        with_more(chip(), [LATER], [Projection("b", "n", "m", Dense(TWO)), Projection("s", "x", "m", Dense(TWO))]),
        "1 steps too short",
    ),
    "a delay and a bias": (chip(Lif(**LIF, bias_mant=1, bias_exp=6), delay=2), "a delay and a bias"),
    "a resonator of one time": (
        with_more(
            chip(),
            [Population("m", (2,), Resonator(1, 2, 3), shift=2)],
            [Projection(f"b{k}", "n", "m", Dense(TWO), port=k) for k in (0, 1)],
        ),
        "without a step a layer",
    ),
    "a resonator of two geometries": (
        with_more(chip(Resonator(1, 2, 3)), (), [Projection("i", "x", "n", Dense(TWO), delay=3, port=1)]),
        "differ in more",
    ),
    "delayed recurrence": (with_more(chip(), (), [Projection("r", "n", "n", Dense(TWO), delay=1)]), "recurrence"),
}


@pytest.mark.parametrize(("network", "says"), NOT_HELD.values(), ids=NOT_HELD)
def test_what_a_file_cannot_hold_is_refused_by_name(tmp_path, network, says):
    with pytest.raises(Unsupported) as caught:
        save(network, tmp_path / "no.net")
    assert says in str(caught.value)
    assert caught.value.hint
    assert list(tmp_path.iterdir()) == []


def image_network(synapses, shape=(2, 2, 2), source=(2, 4, 4), more=()):
    populations = {"x": Population("x", source, HostInput()), "n": Population("n", shape, Lif(**LIF), shift=1)}
    paths = [Projection("x->n", "x", "n", synapses), *more]
    return ChipNetwork("loihi2", populations, tuple(paths), None, 4)


def kernel(padding=((0, 0), (0, 0)), stride=(2, 2), shape=(2, 2, 2, 2)):
    return Conv(np.full(shape, 2), stride, padding, (1, 1))


IMAGES_NOT_HELD = {
    "unequal padding": (image_network(kernel(((0, 1), (0, 1)))), "unequal"),
    "one axis": (image_network(Conv(np.full((2, 2, 2), 2), (2,), ((0, 0),), (1,)), (2, 2), (2, 4)), "one axis"),
    "a matrix besides": (image_network(kernel(), more=[Projection("d", "x", "n", Dense(np.ones((8, 32))))]), "one kind"),
    "other strides": (
        image_network(kernel(), more=[Projection("c", "x", "n", kernel(((0, 0), (0, 0)), (1, 1), (2, 2, 3, 3)))]),
        "geometry",
    ),
    "delays of one channel": (image_network(kernel(), more=[Projection("c", "x", "n", kernel(), delay=2)]), "several delays"),
}


@pytest.mark.parametrize(("network", "says"), IMAGES_NOT_HELD.values(), ids=IMAGES_NOT_HELD)
def test_convolutions_that_a_file_cannot_hold(tmp_path, network, says):
    with pytest.raises(Unsupported, match=says):
        save(network, tmp_path / "no.net")


def test_exponents_and_single_synapses_become_a_matrix(tmp_path):
    """Exact: the same sums, so the same spikes."""
    parts = [
        Projection("a", "x", "n", Dense([[3, 0], [0, 5]]), exponent=2),
        Projection("b", "x", "n", Sparse([1], [0], [-6]), exponent=-1),
    ]
    plain = chip()
    network = ChipNetwork("loihi2", plain.populations, tuple(parts), plain.readout, 8)
    save(network, tmp_path / "folded.net")
    again = load(tmp_path / "folded.net")
    np.testing.assert_array_equal(again.projections[0].synapses.weights, [[12, 0], [-3, 20]])
    x = np.random.default_rng(0).integers(0, 2, (8, 5, 2))
    np.testing.assert_array_equal(run_chip(again, {"input": x}).outputs["dense0"], run_chip(network, {"x": x}).outputs["n"])


def test_a_graph_is_refused_and_so_is_a_folder_that_is_not_there(tmp_path):
    graph = Graph({"x": Input((2,)), "y": Output()}, (Edge("x", "y"),))
    with pytest.raises(Unsupported, match="float graph"):
        save(graph, tmp_path / "graph.net")
    with pytest.raises(ModelError, match="cannot be written"):
        save(chip(), tmp_path / "nowhere" / "chip.net")


# ---------------------------------------------------------------------------------------------- what the chip gained


def test_only_resonators_have_a_second_port():
    with pytest.raises(ChipError, match="port 1"):
        chip(port=1)
    with pytest.raises(ChipError, match="port 2"):
        chip(Resonator(1, 2, 3), port=2)


def test_only_a_word_that_the_neuron_has_can_be_read():
    with pytest.raises(ChipError, match="reads its sigma"):
        run_chip(chip(reads="sigma"), {"x": np.zeros((8, 1, 2), np.int64)})


def test_a_delta_neurons_bias_is_added_to_what_enters():
    delta = SigmaDelta(1.0, bias=5, relu=False, sums=False, state_exp=2)
    with_bias = run_chip(chip(delta, Wire(), HostInput(8, True), shift=0), {"x": np.full((3, 1, 2), -7)})
    shifted = chip(SigmaDelta(1.0, relu=False, sums=False, state_exp=2), Wire(), HostInput(8, True), shift=0)
    np.testing.assert_array_equal(with_bias.outputs["n"], run_chip(shifted, {"x": np.full((3, 1, 2), -2)}).outputs["n"])
