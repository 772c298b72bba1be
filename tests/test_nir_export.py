"""Graph -> NIR -> Graph: the same spikes, in a file that the nir package reads; what NIR cannot say is refused or listed."""

from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import converters
from converters import nir as fmt
from snndeploy.arrays import frozen
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import BatchNorm, Concat, Conv, Input, Linear, MaxPool, Output, Reshape, Scale, Sum, SumPool
from snndeploy.ir.neurons.burst import Burst, lifb
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, integrate_and_fire
from snndeploy.ir.neurons.multispike import MultiSpike
from snndeploy.sim.reference import run_reference

h5py = pytest.importorskip("h5py")
STEPS, BATCH = 20, 4


def eighths(shape, seed=0, low=-8, high=17):
    return np.random.default_rng(seed).integers(low, high, shape) / 8


def chain(shape, dt=0.001, **nodes):
    names = ["x", *nodes, "y"]
    return Graph({"x": Input(shape), **nodes, "y": Output("none")}, tuple(Edge(a, b) for a, b in itertools.pairwise(names)), dt)


def lif(**fields):
    return LIF(frozen(fields.pop("decay", 0.75)), strict=True, **fields)


def there_and_back(graph, path, **options):
    lost = fmt.save(graph, path, **options)
    return converters.load(path), lost


def spikes(graph, seed=0):
    feed = {name: eighths((STEPS, BATCH, *node.shape), seed) for name, node in graph.named(Input).items()}
    return run_reference(graph, feed, STEPS, record=list(graph.named(Output))).outputs


def same_spikes(a, b):
    first, second = spikes(a), spikes(b)
    assert set(first) == set(second)
    for name, series in first.items():
        assert np.array_equal(series, second[name]), name
        assert len(np.unique(series)) > 1, f"{name} says nothing"


def residual():
    nodes = {"x": Input((2, 4, 4)), "c": Conv(eighths((2, 2, 3, 3), 1) / 4, eighths(2, 2) / 8, (), ((1, 1), (1, 1))), "add": Sum()}
    nodes |= {
        "n": lif(),
        "m": lif(threshold=frozen(0.5)),
        "f": Reshape(),
        "fc": Linear(eighths((5, 32), 3) / 8),
        "o": lif(),
        "y": Output("none"),
    }
    edges = [("x", "n"), ("n", "c"), ("c", "add"), ("x", "add"), ("add", "m"), ("m", "f"), ("f", "fc"), ("fc", "o"), ("o", "y")]
    return Graph(nodes, tuple(Edge(*e) for e in edges), 0.001)


def recurrent(*edges):
    nodes = {"x": Input((3,)), "n": lif(), "w": Linear(eighths((3, 3), 4) / 4, eighths(3, 5) / 8), "m": lif(), "y": Output("none")}
    used = {name for edge in edges for name in (edge.source, edge.target)}
    return Graph({name: node for name, node in nodes.items() if name in used}, edges, 0.001)


ZOO = {
    "if": chain((5,), n=integrate_and_fire(1.5, strict=True)),
    "lif, leak and reset": chain((5,), n=lif(rest=frozen(0.25), v_init=frozen(0.25), v_reset=frozen(-0.5), gain=frozen(0.25))),
    "lif, late hard": chain((5,), n=lif(reset="hard", late=True)),
    "lif, one parameter a neuron": chain(
        (5,), n=LIF(frozen([0.5, 0.25, 0.75, 0.9, 0.0]), threshold=frozen(eighths(5, 3, 2, 9)), strict=True)
    ),
    "lif, no reset": chain((5,), n=lif(reset="none")),
    "if, no reset": chain((5,), n=LIF(frozen(1.0), strict=True, reset="none")),
    "cuba": chain((5,), n=CubaLIF(frozen(0.5), frozen(0.75), frozen(0.5), frozen(0.25), strict=True)),
    "cuba, no reset": chain((5,), n=CubaLIF(frozen(0.5), frozen(0.75), strict=True, reset="none")),
    "readouts": chain((5,), n=LI(frozen(0.9), frozen(0.1), frozen(0.5), frozen(0.5)), m=LI(frozen(1.0))),
    "burst of one level": chain((5,), n=Burst(frozen(0.5), frozen([1.0]), frozen([1.0]), (True,))),
    "linear": chain((4,), a=Linear(eighths((5, 4), 1)), n=lif(), b=Linear(eighths((3, 5), 2), eighths(3)), m=lif(), dt=None),
    "linear on an axis of one": chain((1, 4), a=Linear(eighths((5, 4), 1), eighths(5)), n=lif()),
    "conv": chain((4, 7, 7), c=Conv(eighths((6, 2, 3, 2), 1) / 8, eighths(6, 2), (2, 1), ((1, 0), (0, 2)), (1, 2), 2), n=lif()),
    "conv1d": chain((2, 9), c=Conv(eighths((3, 2, 3), 1), None, (2,), ((1, 1),), (1,)), n=lif()),
    "conv, whole bias map": chain((1, 4, 4), c=Conv(eighths((2, 1, 3, 3)), frozen(np.ones((2, 2, 2)) / 8)), n=lif()),
    "sum pool": chain((3, 4, 6), p=SumPool((2, 3), (2, 3), ((0, 0), (0, 0)), frozen(1.0)), n=lif(threshold=frozen(4.0))),
    "average pool, padded": chain((3, 4, 6), p=SumPool((2, 2), (2, 2), ((1, 1), (0, 0)), frozen(0.25)), n=lif()),
    "pool of another scale, unevenly padded": chain((3, 5, 6), p=SumPool((2, 3), (1, 2), ((1, 0), (0, 1)), frozen(0.5)), n=lif()),
    "pool 1d": chain((3, 9), p=SumPool((3,), (2,), ((0, 0),), frozen(1.0)), n=lif(threshold=frozen(4.0))),
    "flatten a part": chain((2, 3, 4), f=Reshape((6, 4)), n=lif(), g=Reshape()),
    "batch norm of vectors": chain((4,), b=BatchNorm(frozen(eighths(4)), frozen(eighths(4, 1)), frozen(0.25)), n=lif()),
    "batch norm of images": chain((2, 3, 3), b=BatchNorm(frozen(eighths((2, 1, 1))), frozen(0.5), frozen(0.25)), n=lif()),
    "batch norm of sequences": chain((2, 5), b=BatchNorm(frozen(eighths((2, 1))), frozen(0.5), frozen(0.25)), n=lif()),
    "scale": chain((4,), s=Scale(frozen(0.5)), t=Scale(frozen(eighths(4)), frozen(0.0)), n=lif()),
    "residual": residual(),
    "loop": recurrent(Edge("x", "n"), Edge("n", "w", 1), Edge("w", "n"), Edge("n", "y")),
    "loop that waits elsewhere": recurrent(Edge("x", "n"), Edge("n", "w"), Edge("w", "n", 1), Edge("n", "m"), Edge("m", "y")),
    "loop that waits longer": recurrent(Edge("x", "n"), Edge("n", "w", 2), Edge("w", "n"), Edge("n", "y")),
    "loop on itself and to the side": recurrent(Edge("x", "n"), Edge("n", "n", 1), Edge("n", "w", 1), Edge("w", "m"), Edge("m", "y")),
    "skip that waits": recurrent(Edge("x", "n"), Edge("n", "w"), Edge("w", "m"), Edge("n", "m", 3), Edge("n", "m", 1), Edge("m", "y")),
    "the same spikes at once and late": recurrent(Edge("x", "n"), Edge("n", "w"), Edge("w", "m"), Edge("w", "m", 2), Edge("m", "y")),
    "two loops": recurrent(Edge("x", "n"), Edge("n", "w", 1), Edge("w", "n"), Edge("n", "m"), Edge("m", "n", 1), Edge("m", "y")),
}


@pytest.mark.parametrize("name", ZOO)
def test_spikes_survive(tmp_path, name):
    graph = ZOO[name]
    loaded, lost = there_and_back(graph, tmp_path / "net.nir")
    assert lost == ()
    assert loaded.graph.dt == graph.dt
    same_spikes(graph, loaded.graph)


@pytest.mark.parametrize("name", ZOO)
def test_nir_reads_what_is_written(tmp_path, name):
    nir = pytest.importorskip("nir")
    fmt.save(ZOO[name], tmp_path / "net.nir")
    # its own shapes use the kernel's height for both axes and ignore groups and cycles, so it cannot check these
    odd = ("conv", "pool of", "pool 1d", "batch norm of", "one", "loop", "skip", "late")
    read = nir.read(tmp_path / "net.nir", type_check=not any(word in name for word in odd))
    with h5py.File(tmp_path / "net.nir") as f:
        assert set(read.nodes) == set(f["node/nodes"])
        assert {(a, b) for a, b in read.edges} == {(a.decode(), b.decode()) for a, b in f["node/edges"][()]}
    assert read.metadata["exporter"] == "snndeploy"


def test_nir_has_the_numbers_of_the_equations(tmp_path):
    nir = pytest.importorskip("nir")
    graph = chain(
        (2,), n=lif(gain=frozen(0.5), threshold=frozen([0.5, 0.75]), v_reset=frozen(-0.25)), i=integrate_and_fire(2.0, strict=True)
    )
    fmt.save(graph, tmp_path / "net.nir")
    nodes = nir.read(tmp_path / "net.nir").nodes
    n, i = nodes["n"], nodes["i"]
    assert isinstance(n, nir.LIF)
    assert np.allclose(n.tau, 0.004)
    assert np.array_equal(n.r, [2, 2])
    assert np.array_equal(n.v_threshold, [0.5, 0.75])
    assert np.array_equal(n.v_reset, [-0.25, -0.25])
    assert np.array_equal(i.r, [1000, 1000])
    assert n.r.dtype == np.float32
    assert nir.serialization.read_version(tmp_path / "net.nir") == "1.0.8"


@settings(max_examples=60)
@given(
    decay=st.integers(0, 63).map(lambda k: k / 64) | st.floats(0, 0.999),
    gain=st.sampled_from([1.0, 0.5, 0.1, 1 / 3]),
    rest=st.sampled_from([0.0, 0.25]),
    dt=st.sampled_from([None, 1e-3, 1e-4, 2e-5]),
    cuba=st.booleans(),
)
def test_decays_and_gains_survive_exactly_or_to_a_few_roundings(tmp_path_factory, decay, gain, rest, dt, cuba):
    common = {"gain": frozen(gain), "strict": True, "rest": frozen(rest), "v_init": frozen(rest)}
    node = CubaLIF(frozen(decay), frozen(decay), **common) if cuba else LIF(frozen(decay), **common)
    loaded, _ = there_and_back(chain((2,), dt, n=node), tmp_path_factory.mktemp("nir") / "net.nir")
    back = loaded.graph.nodes["n"]
    words = ("decay", "gain", *(("current_decay", "current_gain") if cuba else ()))
    for word in words:
        assert abs(float(getattr(back, word)) - float(getattr(node, word))) <= 1e-14, word
    if decay * 64 % 1 == 0 and gain in (1.0, 0.5, 0.1) and dt is None:
        assert dataclasses.replace(back, amount=node.amount) == node


LOSSES = {
    "fires at h >= threshold": chain((3,), n=LIF(frozen(0.5))),
    "subtracts 1 on a spike: NIR resets to a value, here 0": chain((3,), n=lif(reset="subtract")),
    "subtracts 1 on a spike, one step late": chain((3,), n=lif(reset="subtract", late=True)),
    "is not below a floor": chain((3,), n=lif(floor=frozen(-1.0))),
    "starts at 0.5: NIR has no initial state": chain((3,), n=lif(v_init=frozen(0.5))),
    "starts at 0..0.5": chain((3,), n=LI(frozen(0.5), v_init=frozen([0, 0.5, 0.25]))),
    "loses the input of the step after a spike": chain((3,), n=CubaLIF(frozen(0.5), frozen(0.5), strict=True, late=True)),
    "fires in levels (0.5 -> 1, 1 -> 3)": chain((3,), n=lifb(0.5, 0.5, 1.0, 3.0)),
    "fires several times a step": chain((3,), n=MultiSpike(frozen(0.5))),
    "is static": Graph({"x": Input((3,), static=True), "n": lif(), "y": Output("none")}, (Edge("x", "n"), Edge("n", "y"))),
    "decodes by count": Graph({"x": Input((3,)), "n": lif(), "y": Output("count")}, (Edge("x", "n"), Edge("n", "y"))),
    "votes in groups of 3": Graph({"x": Input((3,)), "n": lif(), "y": Output("none", 3)}, (Edge("x", "n"), Edge("n", "y"))),
}


@pytest.mark.parametrize("words", LOSSES)
def test_what_nir_cannot_say_is_refused_by_name_or_listed(tmp_path, words):
    path = tmp_path / "net.nir"
    with pytest.raises(Unsupported) as caught:
        fmt.save(LOSSES[words], path)
    assert words in caught.value.what
    assert "--lossy" in caught.value.hint
    assert not path.exists()
    loaded, lost = there_and_back(LOSSES[words], path, lossy=True)
    assert any(words in line for line in lost)
    assert set(loaded.graph.nodes) == set(LOSSES[words].nodes)


def test_every_loss_of_a_network_is_in_one_message(tmp_path):
    graph = chain((3,), n=LIF(frozen(0.5)), m=lif(reset="subtract"))
    with pytest.raises(Unsupported, match=r"n fires at h >= threshold.*\n.*m subtracts"):
        fmt.save(graph, tmp_path / "net.nir")


REFUSED = {
    "max pool": (chain((1, 4, 4), p=MaxPool((2, 2), (2, 2), ((0, 0), (0, 0)))), "NIR has no MaxPool"),
    "concat": (Graph({"x": Input((3,)), "c": Concat(), "y": Output("none")}, (Edge("x", "c"), Edge("c", "y"))), "NIR has no Concat"),
    "linear on rows": (chain((2, 4), a=Linear(np.ones((3, 4)))), "works on the last axis"),
    "bias map": (chain((1, 3, 3), c=Conv(np.ones((1, 1, 2, 2)), frozen([[[0.0, 1.0], [0.0, 0.0]]]))), "differs within a channel"),
    "uneven padding": (chain((1, 9, 9), c=Conv(np.ones((1, 1, 2, 2)), None, (), ((1, 0), (0, 0)), (2, 2))), "no even padding equals"),
    "mean without padding": (
        chain((1, 2, 2), p=SumPool((2, 2), (2, 2), ((0, 0), (0, 0)), frozen([[[0.5, 0.25]]]))),
        "different sizes",
    ),
    "unflatten": (chain((6,), r=Reshape((2, 3))), "only joins neighbouring axes"),
    "scale that widens": (chain((1,), s=Scale(frozen([1.0, 2.0]))), "keeps the shape"),
    "shift of each pixel": (chain((1, 2, 2), s=Scale(frozen(1.0), frozen([[[1.0, 2], [3, 4]]]))), "shifts each place differently"),
    "some neurons never decay": (chain((2,), n=lif(decay=[0.5, 1.0])), "infinite"),
    "a current that never decays": (chain((2,), n=CubaLIF(frozen(1.0), frozen(0.5), strict=True)), "infinite"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_nothing_in_nir_is_near_is_refused_even_lossy(tmp_path, name):
    graph, reason = REFUSED[name]
    for lossy in (False, True):
        with pytest.raises(Unsupported, match=reason):
            fmt.save(graph, tmp_path / "net.nir", lossy=lossy)
    assert list(tmp_path.iterdir()) == []


def test_a_chip_network_is_no_nir(tmp_path):
    chip = object.__new__(ChipNetwork)
    with pytest.raises(ModelError, match="not chip networks"):
        fmt.save(chip, tmp_path / "net.nir")


def test_names_that_hdf5_cannot_hold(tmp_path):
    path = tmp_path / "net.nir"
    graph = chain((3,), **{"block/0.n": lif()})
    loaded, _ = there_and_back(graph, path)
    assert "block.0.n" in loaded.graph.nodes
    with pytest.raises(ModelError, match="two nodes have one name"):
        fmt.save(chain((3,), **{"a/n": lif(), "a.n": lif()}), path)


def test_a_delay_whose_name_is_taken(tmp_path):
    nodes = {"x": Input((3,)), "x.delay.0": lif(), "n": lif(), "y": Output("none")}
    graph = Graph(nodes, (Edge("n", "y"), Edge("x", "n", 2), Edge("x", "x.delay.0"), Edge("x.delay.0", "n")))
    names = [f"x.delay.{i}" for i, e in enumerate(graph.edges) if e.delay]
    taken = Graph(
        {names[0] if k == "x.delay.0" else k: v for k, v in nodes.items()},
        tuple(
            dataclasses.replace(e, source=e.source.replace("x.delay.0", names[0]), target=e.target.replace("x.delay.0", names[0]))
            for e in graph.edges
        ),
    )
    with pytest.raises(ModelError, match="is the name of another node"):
        fmt.save(taken, tmp_path / "net.nir")


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    from converters.nir import writing

    path = tmp_path / "net.nir"
    fmt.save(ZOO["linear"], path)
    before = path.read_bytes()

    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "_fill", full_disk)
    with pytest.raises(ModelError, match="No space left"):
        fmt.save(ZOO["residual"], path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["net.nir"]
    with pytest.raises(ModelError, match="cannot be written"):
        fmt.save(ZOO["linear"], tmp_path / "absent" / "net.nir")


def test_saving_through_the_registry(tmp_path):
    converters.save(ZOO["residual"], tmp_path / "net.nir")
    loaded = converters.load(tmp_path / "net.nir")
    assert any("snndeploy wrote the file" in note for note in loaded.assumptions)


def test_a_real_network_there_and_back(shared, tmp_path):
    folder = shared / "models" / "nir_braille_rnn"
    first = converters.load(folder / "braille_noDelay_bias_zero.nir", converters.Options(reset="zero")).graph
    again, lost = there_and_back(first, tmp_path / "again.nir")
    assert lost == ()
    with np.load(folder / "input.npz") as archive:
        x = archive["x"].swapaxes(0, 1)
    a, b = (run_reference(g, {"input": x}, len(x)).outputs for g in (first, again.graph))
    assert a["lif1.lif"].sum() == 12909
    for name in ("lif1.lif", "lif2"):
        assert np.array_equal(a[name], b[name])
