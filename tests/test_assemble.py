"""The chip network: every synapse, register, shift and name that the integer graph turns into."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from snndeploy.arrays import frozen
from snndeploy.chip.models import NEVER_FIRES, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Sparse, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.errors import Unsupported
from snndeploy.ir import layers
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import Input, Linear, Output, Reshape, Scale
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.paths import neurons, paths_into
from snndeploy.passes.align import align
from snndeploy.quantize.assemble import Ports, Timing, assemble_network
from snndeploy.quantize.grid import on_grid
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.reference import run_reference

STEPS = 5


def plain(**more: object) -> IntegerNeuron:
    return IntegerNeuron(**{"du": 4095, "dv": 2048, "thresholds": [640.0], "levels": [1.0], **more})


def chain(nodes: dict[str, object], *more: Edge) -> Graph:
    return Graph(nodes, (*(Edge(a, b) for a, b in itertools.pairwise(nodes)), *more))


def assembled(graph: Graph, restart: bool = False, signed=(), **ports) -> ChipNetwork:
    alignment = align(graph)
    delays = {(p.source, n, p.nodes): alignment.delay(p, n) for n in neurons(graph) for p in paths_into(graph, n)}
    units = dict.fromkeys([*graph.named(Input), *neurons(graph)], 1.0) | ports.get("units", {})
    payloads = dict.fromkeys(units, 1.0) | ports.get("payloads", {})
    timing = Timing(STEPS, alignment.shifts, delays, restart)
    return assemble_network(graph, "loihi2", timing, Ports(units, payloads, dict.fromkeys(signed, True)), conv_exponent=False)


def equal(graph: Graph, network: ChipNetwork, **data: np.ndarray) -> None:
    one, other = run_reference(graph, data, STEPS, record=neurons(graph)), run_chip(network, inject(network, data))
    for name in neurons(graph):
        shift = network.populations[name].shift
        np.testing.assert_array_equal(one.outputs[name], other.outputs[name][shift : shift + STEPS])


def spikes(*shape: int, high: int = 2) -> np.ndarray:
    return np.random.default_rng(0).integers(0, high, (STEPS, 7, *shape)).astype(float)


def test_a_chain_in_registers_and_matrices():
    weight = np.array([[12.0, -8, 4], [254, 2, -256 + 2]])
    nodes = {"x": Input((3,), "spikes"), "w": Linear(weight), "n": plain(bias=65.0), "y": Output("count", 2)}
    network = assembled(chain(nodes), units={"n": 0.25})
    assert list(network.populations) == ["x", "n"]
    assert (network.readout.population, network.readout.decode, network.readout.vote) == ("n", "count", 2)
    (projection,) = network.projections
    assert (projection.name, projection.source, projection.target) == ("x->n", "x", "n")
    np.testing.assert_array_equal(projection.synapses.weights << projection.exponent, weight)
    n = network.populations["n"]
    assert isinstance(n.model, Lif)
    registers = [int(v) for v in (n.model.du, n.model.dv, n.model.vth.item(), n.model.bias_mant, n.model.bias_exp)]
    assert registers == [4095, 2048, 10, 65, 0]
    assert (n.origin, n.shift, n.scale, n.reads) == ("n", 1, 0.25, "spikes")
    equal(chain(nodes), network, x=spikes(3))


@pytest.mark.parametrize(
    ("bias", "mantissa", "exponent"), [(4095.0, 4095, 0), (4096.0, 2048, 1), (4095.0 * 128, 4095, 7), (-8192.0, -2048, 2)]
)
def test_the_bias_exponent_is_the_smallest_that_holds_the_mantissa(bias, mantissa, exponent):
    nodes = {"x": Input((3,), "spikes"), "w": Linear(np.full((2, 3), 200.0)), "n": plain(bias=bias), "y": Output()}
    model = assembled(chain(nodes)).populations["n"].model
    assert (model.bias_mant, model.bias_exp) == (mantissa, exponent)


def test_a_read_out_never_fires_and_is_read_by_its_membrane():
    nodes = {"x": Input((3,), "spikes"), "w": Linear(np.full((2, 3), 8.0)), "n": plain(thresholds=[], levels=[]), "y": Output("last")}
    network = assembled(chain(nodes), units={"n": 0.5})
    read = network.populations["n"]
    assert read.model.vth == NEVER_FIRES
    assert (read.reads, read.scale) == ("v", 0.5)
    equal(chain(nodes), network, x=spikes(3))


def test_what_the_fixed_neuron_cannot_do_becomes_a_program():
    burst = IntegerNeuron(4095, 2048, np.array([640.0, 1280.0]), np.array([1.0, 3.0]))
    nodes = {
        "x": Input((3,), "spikes"),
        "w": Linear(np.full((2, 3), 8.0)),
        "n": burst,
        "v": Linear(np.full((2, 2), 4.0)),
        "m": plain(),
        "y": Output(),
    }
    network = assembled(chain(nodes), restart=True)
    program = network.populations["n"].model
    assert isinstance(program, NeuronProgram)
    assert program.reset_at == 2
    assert [p.graded for p in network.projections] == [False, True]
    equal(chain(nodes), network, x=spikes(3))


def test_layers_restart_when_their_first_input_arrives():
    nodes = {"x": Input((3,), "spikes"), "w": Linear(np.full((2, 3), 8.0)), "n": plain(bias=640.0), "v": Linear(np.full((2, 2), 12.0))}
    graph = chain({**nodes, "m": plain(bias=-64.0), "y": Output()})
    network = assembled(graph, restart=True)
    resets = {name: (p.model.reset_interval, p.model.reset_offset) for name, p in network.populations.items() if name != "x"}
    assert resets == {"n": (9, 2), "m": (9, 3)}
    equal(graph, network, x=spikes(3))
    assert all(p.model.reset_interval == 0 for n, p in assembled(graph).populations.items() if n != "x")


def test_a_mixed_matrix_of_odd_weights_is_split_and_large_ones_get_digits():
    weight = np.array([[5.0, -3.0, 0.0], [1000.0, 7.0, -129.0]])
    graph = chain({"x": Input((3,), "spikes"), "w": Linear(weight), "n": plain(), "y": Output()})
    network = assembled(graph)
    assert [p.name for p in network.projections] == ["x->n", "x->n#1", "x->n#2", "x->n#3"]  # low digits and high ones, by sign
    total = sum(p.synapses.weights << p.exponent for p in network.projections)
    np.testing.assert_array_equal(total, weight)
    equal(graph, network, x=spikes(3))


def test_two_synapses_from_one_source_are_told_apart():
    nodes = {"x": Input((3,), "spikes"), "w": Linear(np.full((3, 3), 8.0)), "n": plain(), "y": Output()}
    skip = {"s": Scale(frozen([2.0, 0.0, 4.0]))}
    graph = Graph({**nodes, **skip}, (Edge("x", "w"), Edge("w", "n"), Edge("n", "y"), Edge("x", "s", 2), Edge("s", "n")))
    network = assembled(graph)
    assert {(p.name, p.delay) for p in network.projections} == {("x->n[w]", 0), ("x->n[s]", 2)}
    sparse = next(p.synapses for p in network.projections if p.name.endswith("[s]"))
    assert isinstance(sparse, Sparse)
    assert (sparse.rows.tolist(), sparse.columns.tolist(), (sparse.weights).tolist()) == ([0, 2], [0, 2], [1, 2])
    equal(graph, network, x=spikes(3))


def test_convolutions_keep_their_geometry():
    weight = np.random.default_rng(0).integers(-60, 60, (4, 1, 3, 2)) * 8.0
    conv = layers.Conv(weight, None, (2, 1), ((1, 0), (1, 1)), (1, 2), 2)
    graph = chain({"x": Input((2, 5, 4), "spikes"), "w": conv, "n": plain(), "y": Output()})
    network = assembled(graph)
    assert all(isinstance(p.synapses, Conv) for p in network.projections)
    assert {p.exponent for p in network.projections} == {0}
    np.testing.assert_array_equal(sum(p.synapses.weights for p in network.projections), weight)
    equal(graph, network, x=spikes(2, 5, 4))


def test_a_scale_that_widens_its_source_reaches_every_neuron():
    nodes = {"x": Input((3, 1, 1), "spikes"), "s": Scale(frozen(np.arange(24.0).reshape(3, 2, 4) * 2)), "n": plain(), "y": Output()}
    graph = chain(nodes)
    (projection,) = assembled(graph).projections
    assert len(projection.synapses.weights) == 23  # one of the 24 is 0
    assert set(projection.synapses.columns.tolist()) == {0, 1, 2}
    equal(graph, assembled(graph), x=spikes(3, 1, 1))


def test_reshapes_around_a_matrix_are_only_another_view():
    nodes = {
        "x": Input((2, 3), "spikes"),
        "f": Reshape(),
        "w": Linear(np.arange(24.0).reshape(4, 6) * 2),
        "r": Reshape((2, 2)),
        "n": plain(),
        "y": Output(),
    }
    network = assembled(chain(nodes))
    assert network.populations["n"].shape == (2, 2)
    assert isinstance(network.projections[0].synapses, Dense)
    equal(chain(nodes), network, x=spikes(2, 3))


@pytest.mark.parametrize("sides", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize(
    ("source", "conv"),
    [
        ((1, 12), layers.Conv(np.full((1, 1, 4), 64.0), None, (4,), ((0, 0),), (1,), 1)),
        ((2, 7), layers.Conv(np.arange(-11.0, 13).reshape(4, 2, 3) * 8, None, (2,), ((2, 0),), (2,), 1)),
        ((4, 5, 3), layers.Conv(np.arange(-24.0, 24).reshape(6, 2, 2, 2) * 8, None, (1, 2), ((0, 1), (3, 1)), (2, 1), 2)),
    ],
)
def test_a_kernel_between_reshapes_becomes_its_single_synapses(source, conv, sides):
    """A vote averages neurons that lie flat, and a flat input may be an image: the chip's kernel has neither channels nor places there."""
    before, after = sides
    shape = conv.out_shape((source,))
    nodes = {"x": Input((int(np.prod(source)),) if before else source, "spikes")}
    nodes |= {"b": Reshape(source)} if before else {}
    nodes |= {"w": conv}
    nodes |= {"a": Reshape()} if after else {}
    graph = chain({**nodes, "n": plain(thresholds=[128.0]), "y": Output()})
    network = assembled(graph)
    assert all(isinstance(p.synapses, Sparse) for p in network.projections)
    assert network.populations["n"].shape == ((int(np.prod(shape)),) if after else shape)
    equal(graph, network, x=spikes(*graph.shapes["x"]))
    assert run_reference(graph, {"x": spikes(*graph.shapes["x"])}, STEPS).outputs["n"].any()


def test_a_reshape_in_front_of_a_scale():
    """A neuron whose output is reshaped before it is read: the read-out's own synapse is a scale."""
    nodes = {
        "x": Input((4,), "spikes"),
        "r": Reshape((2, 2)),
        "s": Scale(np.arange(1.0, 5).reshape(2, 2) * 256),
        "n": plain(),
        "y": Output(),
    }
    network = assembled(chain(nodes))
    assert network.projections[0].synapses.columns.tolist() == [0, 1, 2, 3]
    equal(chain(nodes), network, x=spikes(4))


def test_weights_that_are_all_zero_need_no_projection():
    graph = chain({"x": Input((3,), "spikes"), "w": Linear(np.zeros((2, 3))), "n": plain(bias=640.0), "y": Output()})
    network = assembled(graph, restart=True)
    assert network.projections == ()
    equal(graph, network, x=spikes(3))


@pytest.mark.parametrize(
    ("payload", "signed", "bits"),
    [(1.0, False, 0), (1.0, True, 1), (2.0, False, 2), (255.0, False, 8), (255.0, True, 8), (256.0, False, 9)],
)
def test_inputs_get_the_bits_their_payload_needs(payload, signed, bits):
    graph = chain({"x": Input((3,), "real", True), "w": Linear(np.full((2, 3), 2.0)), "n": plain(), "y": Output()})
    network = assembled(graph, signed=["x"] if signed else [], payloads={"x": payload}, units={"x": 0.5})
    host = network.populations["x"].model
    assert (host.payload_bits, host.signed, host.static, host.scale) == (bits, signed, True, 0.5)
    assert network.projections[0].graded is (bits > 0)


def host_graph(static: bool) -> Graph:
    nodes = {"x": Input((3,), "real", static), "w": Linear(np.array([[1.0, -2, 3], [4, 0, -1]]) * 2**14)}
    nodes |= {"n.host": HostCurrent(frozen(2.0**15), 16, 3), "n.host.wire": Scale(frozen(1.0)), "n": plain(), "y": Output()}
    return chain(nodes)


@pytest.mark.parametrize("static", [False, True])
def test_what_the_host_computes_enters_as_bias(static):
    graph = host_graph(static)
    network = assembled(graph, units={"x": 0.25})
    assert set(network.populations) == {"n.host", "n"}
    layer = network.host["n.host"]
    assert (layer.source, layer.shape, layer.shift, layer.unit) == ("x", (3,), 16, 0.25)
    assert layer.bias.tolist() == [2**15, 2**15]
    host = network.populations["n.host"].model
    assert (host.payload_bits, host.signed, host.static) == (12, True, static)
    (wire,) = network.projections
    assert isinstance(wire.synapses, Wire)
    assert wire.synapses.as_bias
    assert network.populations["n"].model.bias_exp == 3
    x = np.random.default_rng(1).integers(-99, 99, (1 if static else STEPS, 7, 3)) * 0.25
    definition = run_reference(graph, {"x": x / 0.25}, STEPS, record=["n"])
    trace = run_chip(network, inject(network, {"x": x}))
    np.testing.assert_array_equal(definition.outputs["n"], trace.outputs["n"][:STEPS])
    assert definition.outputs["n"].any()


def test_one_output_is_deployed_at_a_time():
    graph = chain({"x": Input((3,), "spikes"), "w": Linear(np.full((2, 3), 8.0)), "n": plain(), "y": Output()})
    two = Graph({**graph.nodes, "z": Output()}, (*graph.edges, Edge("n", "z")))
    with pytest.raises(Unsupported, match="2 outputs"):
        assembled(two)


def test_every_part_of_a_large_network_is_what_the_grid_says():
    weight = np.random.default_rng(3).integers(-3000, 3000, (20, 30))
    graph = chain({"x": Input((30,), "spikes"), "w": Linear(weight.astype(float)), "n": plain(), "y": Output()})
    parts = on_grid(weight, exponent=True, where="n")
    got = [(p.synapses.weights, p.exponent) for p in assembled(graph).projections]
    assert len(got) == len(parts) > 2
    assert all(np.array_equal(m, w) and e == exponent for (m, e), (w, exponent) in zip(parts, got, strict=True))
    equal(graph, assembled(graph), x=spikes(30))
