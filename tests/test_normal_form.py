"""What the float passes produce, name, and refuse; and the algebra of linear maps they rest on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snndeploy.errors import GraphError, Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import BatchNorm, Concat, Conv, Input, Linear, MaxPool, Output, Reshape, Scale, Sum, SumPool
from snndeploy.ir.neurons.burst import lifb
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.normal import check_normal_form, synapses_into
from snndeploy.ir.on_numpy import NUMPY
from snndeploy.ir.sparse import Sparse
from snndeploy.passes import PIPELINE, canonical, convolutions, dead, linear_map, maxpool, merge, pooling, readout, single_synapses

ONES = Linear(np.ones((2, 2)))


def lif():
    return LIF(0.5)


def chain(**nodes):
    """The nodes one after the other, from an Input of spikes [2, 4, 4] unless "x" is given."""
    nodes = {"x": Input((2, 4, 4), "spikes"), **nodes}
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in pairwise(names)))


def normal(graph: Graph) -> Graph:
    for step in PIPELINE:
        graph = step.apply(graph)
    return graph


def synapse(graph: Graph, neuron: str):
    (only,) = synapses_into(graph, neuron)
    return only


def square(k, stride=1, pad=0):
    return (k, k), (stride, stride), ((pad, pad),) * 2


def maxpool_node(k=2, stride=2, pad=0):
    return MaxPool(*square(k, stride, pad))


# ------------------------------------------------------------------------------------------------ what comes out


def test_golden_residual_block():
    scale = np.full((2, 1, 1), 0.5)
    nodes = {"x": Input((2, 4, 4), "spikes"), "a": lif(), "conv": Conv(np.ones((2, 2, 3, 3)), np.ones(2), padding=((1, 1),) * 2)}
    nodes |= {"add": Sum(), "bn": BatchNorm(scale, scale, scale), "b": lif(), "out": Output("count")}
    edges = ("x a", "a conv", "conv add", "a add", "add bn", "bn b", "b out")
    graph = Graph(nodes, tuple(Edge(*e.split()) for e in edges))
    neuron = "LIF(decay=0.5, gain=1, threshold=1, strict=False, reset=hard, v_reset=0, amount=1, late=False, rest=0, v_init=0, floor=None)"
    conv = "stride=(1,1), padding=((1,1),(1,1)), dilation=(1,1), groups=1) : (2,4,4)"
    assert str(graph) == (
        "graph\n"
        "  x: Input(shape=(2,4,4), carries=spikes, static=False) : (2,4,4)\n"
        f"  a: {neuron} : (2,4,4)\n"
        f"  conv: Conv(weight=[2,2,3,3] 1..1, bias=[2,1,1] 1..1, {conv}\n"
        "  add: Sum() : (2,4,4)\n"
        "  bn: BatchNorm(mean=[2,1,1] 0.5..0.5, scale=[2,1,1] 0.5..0.5, shift=[2,1,1] 0.5..0.5) : (2,4,4)\n"
        f"  b: {neuron} : (2,4,4)\n"
        "  out: Output(decode=count, vote=1) : (2,4,4)\n"
        "  a -> add\n  a -> conv\n  add -> bn\n  b -> out\n  bn -> b\n  conv -> add\n  x -> a\n"
    )
    assert str(normal(graph)) == (
        "graph\n"
        "  x: Input(shape=(2,4,4), carries=spikes, static=False) : (2,4,4)\n"
        "  x->a: Scale(scale=1, shift=None) : (2,4,4)\n"
        f"  a: {neuron} : (2,4,4)\n"
        "  bn: Scale(scale=[2,1,1] 0.5..0.5, shift=None) : (2,4,4)\n"
        f"  conv+bn: Conv(weight=[2,2,3,3] 0.5..0.5, bias=[2,1,1] 0.75..0.75, {conv}\n"
        f"  b: {neuron} : (2,4,4)\n"
        "  out: Output(decode=count, vote=1) : (2,4,4)\n"
        "  a -> bn\n  a -> conv+bn\n  b -> out\n  bn -> b\n  conv+bn -> b\n  x -> x->a\n  x->a -> a\n"
    )


def test_golden_pooled_readout():
    pool = SumPool(*square(2, 2), np.array(0.25))
    graph = normal(chain(a=lif(), pool=pool, flat=Reshape(), fc=Linear(np.ones((3, 8)), np.zeros(3)), out=Output("mean")))
    neuron = "LIF(decay=0.5, gain=1, threshold=1, strict=False, reset=hard, v_reset=0, amount=1, late=False, rest=0, v_init=0, floor=None)"
    assert str(graph) == (
        "graph\n"
        "  x: Input(shape=(2,4,4), carries=spikes, static=False) : (2,4,4)\n"
        "  x->a: Scale(scale=1, shift=None) : (2,4,4)\n"
        f"  a: {neuron} : (2,4,4)\n"
        "  pool+fc.flat: Reshape(shape=(32)) : (32)\n"
        "  pool+fc: Linear(weight=[3,32] 0.25..0.25, bias=None) : (3)\n"
        "  out.readout: LI(decay=0, gain=1, rest=0, v_init=0) : (3)\n"
        "  out: Output(decode=mean, vote=1) : (3)\n"
        "  a -> pool+fc.flat\n  out.readout -> out\n  pool+fc -> out.readout\n  pool+fc.flat -> pool+fc\n  x -> x->a\n  x->a -> a\n"
    )


def test_the_pipeline_is_a_fixed_point():
    graph = normal(chain(a=lif(), pool=SumPool(*square(2, 2), np.array(0.25)), bn=BatchNorm(*np.ones((3, 2, 1, 1))), b=lif(), out=Output()))
    again = normal(graph)
    assert again.edges == graph.edges
    assert dict(again.nodes) == dict(graph.nodes)


@pytest.mark.parametrize(("size", "pad", "kind"), [(6, 1, Conv), (7, 0, Conv), (7, 1, Linear)])
def test_pool_and_conv_are_one_convolution_where_the_padding_allows(size, pad, kind):
    conv = Conv(np.ones((1, 1, 3, 3)), padding=((pad, pad),) * 2)
    graph = normal(chain(x=Input((1, size, size)), pool=SumPool(*square(2, 2), np.array(0.25)), conv=conv, a=lif(), out=Output()))
    found = synapse(graph, "a")
    assert (found.name, type(found.node)) == ("pool+conv", kind)
    assert (found.pre_reshape is None, found.post_reshape is None) == ((True, True) if kind is Conv else (False, False))
    if isinstance(found.node, Conv):
        assert found.node.stride == (2, 2)
        assert found.node.weight.shape == (1, 1, 6, 6)


def test_delays_add_up_on_the_edge_that_leaves_the_source():
    nodes = {"x": Input((2,)), "f": ONES, "s": Sum(), "a": lif(), "out": Output("count")}
    graph = normal(Graph(nodes, (Edge("x", "f", 1), Edge("f", "s", 2), Edge("s", "a", 3), Edge("a", "out"))))
    found = synapse(graph, "a")
    assert (found.source, found.delay, found.names, found.has_constant) == ("x", 6, ("f",), False)
    assert Edge("x", "f", 6) in graph.edges


def test_names_say_as_much_as_tells_paths_apart():
    nodes = {
        "x": Input((2,)),
        "y": Input((2,)),
        "f": ONES,
        "a": lif(),
        "b": lif(),
        "c": Sum(),
        "g": ONES,
        "d": lif(),
        "h": ONES,
        "e": lif(),
    }
    nodes |= {"f2": ONES, "k": lif(), "g#2": lif(), **{f"o{i}": Output() for i in range(6)}}
    edges = ["x f", "f a", "f b", "x c", "y c", "c g", "g d", "x h", "y h", "h e", "h a", "x f2", "f2 k", "x g#2"]
    edges += ["a o0", "b o1", "d o2", "e o3", "k o4", "g#2 o5"]
    graph = normal(Graph(nodes, (*(Edge(*e.split()) for e in edges), Edge("x", "f2", 1))))
    names = {n: [s.name for s in synapses_into(graph, n)] for n in "abdek"}
    assert names == {
        "a": ["f->a", "x->h->a", "y->h->a"],
        "b": ["f->b"],
        "d": ["x->g", "y->g"],
        "e": ["x->h->e", "y->h->e"],
        "k": ["f2@0", "f2@1"],
    }


def test_a_name_that_is_taken_gets_a_number():
    nodes = {"x": Input((2,)), "x->a": lif(), "a": lif(), "o": Output(), "p": Output()}
    edges = ("x x->a", "x->a o", "x a", "a p")
    graph = normal(Graph(nodes, tuple(Edge(*e.split()) for e in edges)))
    assert synapse(graph, "a").name == "x->a#2"
    assert isinstance(graph.nodes["x->a"], LIF)


def test_the_constant_sits_in_one_synapse_and_acts_once():
    shift = BatchNorm(np.zeros((2, 1, 1)), np.ones((2, 1, 1)), np.array([1.0, 2.0]).reshape(2, 1, 1))
    nodes = {"x": Input((2, 4, 4)), "y": Input((2, 4, 4)), "add": Sum(), "bn": shift, "a": lif(), "out": Output("count")}
    edges = ("x add", "y add", "add bn", "bn a", "a out")
    graph = normal(Graph(nodes, tuple(Edge(*e.split()) for e in edges)))
    bearers = [s.node for s in synapses_into(graph, "a") if s.has_constant]
    assert len(bearers) == 1
    assert isinstance(bearers[0], Scale)
    np.testing.assert_array_equal(bearers[0].shift, np.array([1.0, 2.0]).reshape(2, 1, 1))


@pytest.mark.parametrize(("decode", "steps", "decay", "gain", "then"), [
    ("sum", None, 1, 1, "last"), ("count", None, 1, 1, "last"), ("mean", None, 0, 1, "mean"), ("mean", 8, 1, 0.125, "last"),
    ("max", 8, 0, 1, "max"),
])  # fmt: skip
def test_readouts(decode, steps, decay, gain, then):
    graph = readout.apply(chain(x=Input((2,)), f=ONES, out=Output(decode, vote=2)), steps)
    assert graph.nodes["out"] == Output(then, vote=2)
    assert graph.nodes["out.readout"] == LI(decay, gain)


def test_a_mean_with_known_steps_is_read_once():
    graph = chain(x=Input((2,)), f=ONES, out=Output("mean"))
    x = np.random.default_rng(0).integers(0, 2, (8, 1, 2)).astype(float)
    node = readout.apply(graph, 8).nodes["out.readout"]
    state = node.initial_state((2,))
    for now in x:
        y, state = node.step((now @ ONES.weight.T,), state, NUMPY)
    np.testing.assert_array_equal(y, (x @ ONES.weight.T).mean(0))


def test_burst_levels_are_pooled_rung_by_rung():
    graph = maxpool.apply(chain(a=lifb(0.5, 1.0, 2.0, 3.0), p=maxpool_node(), b=lif(), out=Output("count")))
    assert {n for n in graph.nodes if n.startswith("p.")} == {
        f"p.{w}{j}" for w in ("copy", "rung", "window", "any", "level") for j in (1, 2)
    }
    values = np.array([0.0, 1.0, 3.0])
    for j, fires in ((1, [0, 1, 1]), (2, [0, 0, 1])):
        rung = graph.nodes[f"p.rung{j}"]
        np.testing.assert_array_equal(rung.step((values,), {"v": np.zeros(3)}, NUMPY)[0], fires)


# ------------------------------------------------------------------------------------------------ what is refused


def refused(graph: Graph, *words: str) -> None:
    with pytest.raises(Unsupported) as found:
        normal(graph)
    assert found.value.hint
    for word in words:
        assert word in str(found.value)


def pooled(**before: Node) -> Graph:
    return chain(**before, p=maxpool_node(), z=lif(), out=Output("count"))


def test_a_maximum_that_spikes_cannot_express_is_refused():
    conv = Conv(np.ones((2, 2, 1, 1)))
    refused(pooled(c=conv), "p: takes the maximum of currents (c: Conv)", "average pooling")
    refused(pooled(x=Input((2, 4, 4), "levels")), "p: takes the maximum of graded values (x: Input)")
    refused(pooled(a=lifb(0.5, 1.0, 2.0, 0.5)), "p: pools the levels of a, which do not rise")
    refused(pooled(a=lifb(0.5, 1.0, 2.0, np.full((2, 4, 4), 2.0) + np.arange(4))), "differ by position")
    refused(chain(p=maxpool_node(1, 1, 1), out=Output()), "p: has windows in the padding alone")
    refused(chain(x=Input((2, 4, 4, 4), "spikes"), p=MaxPool((2, 2, 2), (2, 2, 2), ((0, 0),) * 3), out=Output()), "3 axes")


def test_a_sum_of_spikes_is_graded_and_a_loop_of_sums_is_a_current():
    nodes = {"x": Input((2, 4, 4), "spikes"), "y": Input((2, 4, 4), "spikes"), "s": Sum(), "p": maxpool_node(), "out": Output("count")}
    edges = (Edge("x", "s"), Edge("s", "p"), Edge("p", "out"))
    refused(Graph(nodes, (*edges, Edge("y", "s"))), "graded values (s: Sum)")
    looped = Graph({**nodes, "r": Reshape((2, 4, 4))}, (*edges, Edge("s", "r"), Edge("r", "s", 1)))
    refused(looped, "currents (s: Sum)")
    nodes["s"] = Concat()
    joined = Graph(nodes, (*edges, Edge("y", "s", port=1)))
    assert maxpool.carried(joined, "p") == "spikes"


def test_loops_late_biases_and_unknown_layers_are_refused():
    nodes = {"x": Input((2,)), "s": Sum(), "f": ONES, "a": lif(), "out": Output("count")}
    edges = (Edge("x", "s"), Edge("s", "f"), Edge("s", "a"), Edge("a", "out"))
    refused(Graph(nodes, (*edges, Edge("f", "s", 1))), "the loop", "no neuron")
    biased = nodes | {"f": Linear(np.ones((2, 2)), np.ones(2))}
    refused(Graph(biased, (*edges, Edge("f", "a", 2))), "edge f -> a delay=2", "2 step(s) late")
    with pytest.raises(Unsupported, match="MaxPool is not linear"):
        merge.apply(chain(p=maxpool_node(), a=lif(), out=Output()))


def test_pooling_over_three_axes_is_refused():
    pool = SumPool((2, 2, 2), (2, 2, 2), ((0, 0),) * 3, np.ones(()))
    with pytest.raises(Unsupported, match="pools over 3 axes"):
        pooling.apply(chain(x=Input((1, 4, 4, 4)), p=pool, out=Output()))


def test_too_large_a_matrix_and_too_many_paths_are_refused(monkeypatch):
    graph = chain(m=Conv(np.ones((2, 2, 3, 3))), s=Scale(np.arange(8.0).reshape(2, 2, 2)), a=lif(), out=Output())
    assert synapse(normal(graph), "a").node.weight.shape == (8, 32)
    monkeypatch.setattr(linear_map, "LIMIT", 255)
    single = synapse(normal(graph), "a").node
    assert (len(single.weight), single.targets, single.sources) == (7 * 18, 8, 32)
    monkeypatch.setattr(single_synapses, "SYNAPSES", 125)
    refused(graph, "m -> s -> a", "8 x 32 synapses, more than 125")
    monkeypatch.setattr(merge, "MAX_ROUTES", 1)
    nodes = {"x": Input((2,)), "f": ONES, "a": lif(), "out": Output("count")}
    refused(Graph(nodes, (Edge("x", "f"), Edge("f", "a"), Edge("x", "a"), Edge("a", "out"))), "more than 1 linear paths")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (([0, 1], [0], [1.0, 1.0], 2, 2), "one entry a synapse"),
        (([1, 0], [0, 1], [1.0, 1.0], 2, 2), "must not fall"),
        (([0, 2], [0, 1], [1.0, 1.0], 2, 2), "rows must be whole numbers from 0 to 1"),
        (([0, 1], [0, 0.5], [1.0, 1.0], 2, 2), "columns must be whole numbers"),
        (([0, 1], [0, 1], [1.0, 1.0], 2, 2, [1.0]), "targets"),
    ],
)
def test_single_synapses_are_checked(fields, words):
    with pytest.raises(GraphError, match=words):
        Sparse(*fields)


def test_a_map_without_weights_is_a_list_without_synapses(monkeypatch):
    monkeypatch.setattr(linear_map, "LIMIT", 0)
    graph = chain(m=Conv(np.zeros((2, 2, 3, 3))), s=Scale(np.arange(8.0).reshape(2, 2, 2)), a=lif(), out=Output())
    assert synapse(normal(graph), "a").node == Sparse([], [], [], 32, 8)


def test_single_synapses_take_flat_features():
    node = Sparse([0, 1], [0, 1], [1.0, 2.0], 3, 2)
    with pytest.raises(GraphError, match="takes 3 features"):
        chain(s=node, out=Output())


def test_outputs_are_ends_and_must_exist():
    nodes = {"x": Input((2,)), "out": Output(), "a": lif(), "o2": Output()}
    refused(Graph(nodes, (Edge("x", "out"), Edge("out", "a"), Edge("a", "o2"))), "out: is an output and also feeds")
    with pytest.raises(GraphError, match="has no Output"):
        dead.apply(chain(a=lif()))


def test_what_nobody_reads_goes_and_inputs_stay():
    nodes = {"x": Input((2,)), "y": Input((2,)), "f": ONES, "a": lif(), "out": Output()}
    graph = dead.apply(Graph(nodes, (Edge("x", "out"), Edge("y", "f"), Edge("f", "a"), Edge("a", "f", 1))))
    assert set(graph.nodes) == {"x", "y", "out"}


def test_a_late_subtraction_is_left_alone():
    late = LIF(0.5, late=True, reset="subtract")
    assert canonical.canonical(late) is late
    assert canonical.canonical(LIF(0.5, reset="none", v_reset=1.0)).v_reset == 1.0


@pytest.mark.parametrize(("nodes", "edges", "words"), [
    ({"f": ONES, "out": Output()}, ("x f", "f out"), "f: a Linear is left"),
    ({"out": Output()}, ("x out",), "out: is fed by x -> out"),
    ({"a": lif(), "out": Output()}, ("x a", "a out"), "x: is not one synapse but nothing"),
    ({"f": ONES, "g": ONES, "a": lif(), "out": Output()}, ("x f", "f g", "g a", "a out"), "is not one synapse but Linear, Linear"),
    ({"s": Sum(), "a": lif(), "out": Output()}, ("x s", "s a", "a out"), "s: a Sum is left"),
    ({"f": ONES, "a": lif(), "b": lif(), "o": Output(), "p": Output()},
     ("x f", "f a", "f b", "a o", "b p"), "f: has 1 sources and 2 targets"),
    ({"f": ONES, "a": lif(), "out": Output()}, ("x f", "f a 1", "a out"), "edge f -> a delay=1: a synapse's delay"),
    ({"f": Scale(np.ones(2), np.ones(2)), "g": Scale(np.ones(2), np.ones(2)), "a": lif(), "out": Output()},
     ("x f", "x g", "f a", "g a", "a out"), "a: has its constant in 2 synapses: f, g"),
    ({"f": ONES, "a": LIF(0.5), "out": Output(), "g": ONES, "b": lif(), "o": Output()},
     ("x f", "f a", "a out", "out g", "g b", "b o"), "out: feeds other nodes"),
    ({"f": ONES, "r": Reshape((1, 2)), "a": LIF(np.full((3, 1), 0.5)), "out": Output()},
     ("x f", "f r", "r a", "a out"), "a: broadcasts its input"),
])  # fmt: skip
def test_the_checker_names_the_offender(nodes, edges, words):
    wires = [(e.split()[0], e.split()[1], *map(int, e.split()[2:])) for e in edges]
    graph = Graph({"x": Input((2,)), **nodes}, tuple(Edge(*w) for w in wires))
    with pytest.raises(GraphError) as found:
        check_normal_form(graph)
    assert words in str(found.value)


# ------------------------------------------------------------------------------------------------ linear maps


@st.composite
def convolution(draw, channels, groups=(1, 2, 4)):
    group = draw(st.sampled_from([g for g in groups if channels % g == 0]))
    out = group * draw(st.integers(1, 2))
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    pads = draw(st.tuples(*(st.tuples(st.integers(0, 2), st.integers(0, 2)),) * 2))
    weight = np.random.default_rng(draw(st.integers(0, 99))).integers(-4, 5, (out, channels // group, *kernel)).astype(float)
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    return Conv(weight, None, draw(pair), pads, draw(st.tuples(st.integers(1, 2), st.integers(1, 2))), group)


def try_shape(conv, shape):
    try:
        return conv.out_shape((shape,))
    except ValueError:
        return None


@settings(max_examples=150)
@given(st.data())
def test_two_convolutions_are_one_or_are_not_merged(data):
    shape = (4, data.draw(st.integers(4, 9)), data.draw(st.integers(4, 9)))
    first = data.draw(convolution(4))
    second = data.draw(convolution(len(first.weight)))
    middle = try_shape(first, shape)
    if middle is None or try_shape(second, middle) is None:
        return
    x = np.random.default_rng(1).integers(-3, 4, (2, *shape)).astype(float)
    y = first.step((x,), {}, NUMPY)[0]
    wanted = second.step((y,), {}, NUMPY)[0]
    merged = convolutions.merge(first, second, shape)
    if merged is not None:
        np.testing.assert_array_equal(merged.step((x,), {}, NUMPY)[0], wanted)
    maps = (linear_map.convolution(shape, first), linear_map.convolution(middle, second))
    both = linear_map.then(*maps, "here")
    np.testing.assert_array_equal(both.node.step((x.reshape(2, *both.inner),), {}, NUMPY)[0].reshape(wanted.shape), wanted)
    rows = np.random.default_rng(2).integers(-3, 4, y.shape).astype(float)
    assert (rows * y).sum() == (convolutions.pull(first, rows, shape) * x).sum()


def test_padding_is_merged_only_where_it_stays_zero():
    pool = Conv(np.ones((1, 1, 2)), stride=(2,))
    conv = Conv(np.ones((1, 1, 3)), padding=((1, 1),))
    assert convolutions.merge(pool, conv, (1, 6)) is not None
    assert convolutions.merge(pool, conv, (1, 7)) is None
    assert convolutions.merge(Conv(np.ones((1, 1, 3)), stride=(2,)), conv, (1, 7)) is None
    assert convolutions.merge(Conv(np.ones((1, 1, 3)), stride=(2,), padding=((1, 1),)), conv, (1, 5)) is not None


@settings(max_examples=120)
@given(st.lists(st.integers(0, 8), min_size=2, max_size=5), st.integers(0, 99), st.sampled_from([0, 40, 1 << 24]))
def test_a_chain_of_any_maps_is_their_composition(kinds, seed, limit):
    """As matrices, as single synapses, and as both by turns."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(linear_map, "LIMIT", limit)
        _check_chain(kinds, seed)


def _check_chain(kinds, seed):
    rng = np.random.default_rng(seed)
    shape = (2, 2, 3)
    x = rng.integers(-3, 4, (2, *shape)).astype(float)
    whole, values = linear_map.diagonal(shape, np.ones(()), shape, shape), x
    for kind in kinds:
        part = _map(kind, whole.target, rng)
        values = part.node.step((values.reshape(2, *part.inner),), {}, NUMPY)[0].reshape(2, *part.target)
        whole = linear_map.then(whole, part, "here")
    got = whole.node.step((x.reshape(2, *whole.inner),), {}, NUMPY)[0]
    assert got.shape[1:] == whole.result
    np.testing.assert_array_equal(got.reshape(values.shape), values)


def _map(kind, shape, rng):
    size = int(np.prod(shape))
    like = (size // 3, 3) if size % 3 == 0 and kind % 2 else (size,)
    if kind < 2:
        return linear_map.diagonal(shape, rng.integers(-2, 3, shape).astype(float), shape, like)
    if kind == 2:
        return linear_map.diagonal(shape, np.array(2.0), shape, (1, size))
    if kind == 3:
        return linear_map.diagonal(shape, rng.integers(-2, 3, (shape[0], *(1,) * (len(shape) - 1))).astype(float), shape, shape)
    if kind == 4:
        return linear_map.matrix(shape, rng.integers(-2, 3, (6, size)).astype(float), (2, 3))
    if kind == 5:
        total = (shape[0] + 2, *shape[1:])
        return linear_map.selection(shape, 0, 1, total)
    if kind == 6:
        total = (*shape[:-1], shape[-1] + 1)
        return linear_map.selection(shape, len(shape) - 1, 1, total)
    inner = (2, size // 2) if size % 2 == 0 else (1, size)
    weight = rng.integers(-2, 3, (2, inner[0], 1 if size < 4 else 2)).astype(float)
    conv = linear_map.convolution(inner, Conv(weight, padding=((kind - 7, 0),)))
    return linear_map.LinearMap(shape, inner, conv.node, conv.result, conv.target)
