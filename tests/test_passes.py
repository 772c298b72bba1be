"""The float passes on a zoo of networks: run before, run after, compare every neuron under its name."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.layers import BatchNorm, Concat, Conv, Input, Linear, MaxPool, Output, Reshape, Scale, Sum, SumPool
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.normal import check_normal_form, synapses_into
from snndeploy.ir.paths import constant_into, has_state, neurons
from snndeploy.ir.sparse import Sparse
from snndeploy.passes import PIPELINE, linear_map, merge, single_synapses
from snndeploy.sim.reference import stepper

STEPS, BATCH = 6, 3
SPIKES = Input((2, 6, 6), "spikes")


class Dice:
    """Random parameters: dyadic ones (sums and products exact in float64) or normally distributed ones."""

    def __init__(self, seed: int, dyadic: bool) -> None:
        self.rng, self.dyadic = np.random.default_rng(seed), dyadic

    def __call__(self, *shape):
        return self.rng.integers(-6, 10, shape) / 8 if self.dyadic else self.rng.normal(0.15, 0.5, shape)

    def conv(self, o, c, k, *, bias=True, stride=1, pad=0, groups=1, dilation=1):
        weight = self(o, c // groups, k, k)
        return Conv(weight, self(o) if bias else None, (stride,) * 2, ((pad, pad),) * 2, (dilation,) * 2, groups)

    def bn(self, c, axes=2):
        shape = (c, *(1,) * axes)
        return BatchNorm(self(*shape), np.abs(self(*shape)) + 0.5, self(*shape))

    def linear(self, o, i, *, bias=True):
        return Linear(self(o, i), self(o) if bias else None)


def lif(**more):
    return LIF(**{"decay": np.float64(0.5), **more})


def pool(k=2, stride=None, pad=0, scale=None):
    return SumPool((k, k), (stride or k,) * 2, ((pad, pad),) * 2, np.asarray(1 / k**2 if scale is None else scale))


def maxpool(k, stride, pad=0):
    return MaxPool((k, k), (stride, stride), ((pad, pad),) * 2)


def wire(nodes, *chains):
    """Chains of names; "name+2" is entered with a delay of 2, "name:1" at port 1."""
    edges = []
    for chain in chains:
        source, *rest = chain.split()
        for step in rest:
            target, _, port = step.partition(":")
            target, _, delay = target.partition("+")
            edges.append(Edge(source, target, int(delay or 0), int(port or 0)))
            source = target
    return Graph(nodes, tuple(edges))


def head(d, features, decode="sum"):
    return {"flat": Reshape(), "fc": d.linear(4, features), "out": Output(decode)}


def plain(d):
    nodes = {"x": SPIKES, "conv": d.conv(4, 2, 3, pad=1), "bn": d.bn(4), "a": lif(), **head(d, 144)}
    return wire(nodes, "x conv bn a flat fc out")


def residual(d):
    nodes = {"x": SPIKES, "c1": d.conv(4, 2, 3, pad=1), "b1": d.bn(4), "a": lif(), "c2": d.conv(4, 4, 3, pad=1, bias=False)}
    nodes |= {"b2": d.bn(4), "add": Sum(), "b": lif(reset="subtract"), **head(d, 144, "max")}
    return wire(nodes, "x c1 b1 a c2 b2 add b flat fc out", "a add")


def bn_after_add(d):
    nodes = {"x": SPIKES, "c1": d.conv(4, 2, 3, pad=1), "a": lif(), "c2": d.conv(4, 4, 3, pad=1), "add": Sum(), "bn": d.bn(4)}
    return wire(nodes | {"b": lif(), **head(d, 144, "mean")}, "x c1 a c2 add bn b flat fc out", "a add")


def bn_on_identity(d):
    nodes = {"x": SPIKES, "c1": d.conv(4, 2, 3, pad=1), "a": lif(), "c2": d.conv(4, 4, 3, pad=1), "bn": d.bn(4), "b": lif()}
    return wire(nodes | {"out": Output("count")}, "x c1 a c2 b out", "a bn b")


def currents_are_added(d):
    nodes = {"x": SPIKES, "c0": d.conv(3, 2, 3, pad=1), "s0": Sum(), "s1": Sum(), "s2": Sum(), "out": Output("last")}
    for i in (1, 2, 3):
        nodes |= {f"n{i}": lif(), f"c{i}": d.conv(3, 3, 3, pad=1), f"bn{i}": d.bn(3)}
    nodes |= {"last": lif()}
    return wire(nodes, "x c0 s0 n1 c1 bn1 s1 n2 c2 bn2 s2 n3 c3 bn3 last out", "s0 s1 s2 last")


def pool_then_conv(d, size=6, pooling=None, **conv):
    nodes = {"x": Input((2, size, size), "spikes"), "a": lif(), "pool": pooling or pool(), "conv": d.conv(4, 2, 3, **{"pad": 1, **conv})}
    return wire(nodes | {"b": lif(), "out": Output("count")}, "x a pool conv b out")


def pool_flatten_linear(d, pooling=None, features=18):
    nodes = {"x": SPIKES, "c": d.conv(2, 2, 3, pad=1), "a": lif(), "pool": pooling or pool(), **head(d, features), "b": lif()}
    return wire(nodes, "x c a pool flat fc b out")


def border_average(d):
    scale = np.full((2, 4, 4), 0.25)
    scale[:, [0, -1]] *= 2
    scale[:, :, [0, -1]] *= 2
    return pool_flatten_linear(d, pool(2, 2, 1, scale), 32)


def concat_conv(d):
    nodes = {"x": SPIKES, "ca": d.conv(2, 2, 3, pad=1), "a": lif(), "cb": d.conv(4, 2, 3, pad=1), "b": lif(), "cat": Concat()}
    nodes |= {"conv": d.conv(4, 6, 3, pad=1, groups=2), "c": lif(), "cat2": Concat(1), **head(d, 288), "d": lif()}
    wires = ("x ca a cat conv c cat2 flat fc d out", "x cb b cat:1", "b cat2:1", "a same e o2", "b same:1")
    return wire(nodes | {"same": Concat(), "e": lif(), "o2": Output()}, *wires)


def concat_features(d):
    nodes = {"x": Input((5,), "spikes"), "fa": d.linear(3, 5), "a": lif(), "cat": Concat(), "fc": d.linear(4, 8), "b": lif()}
    nodes |= {"same": Concat(), "c": lif(), "out": Output(), "o2": Output("count")}
    return wire(nodes, "x fa a cat fc b out", "x cat:1", "a same c o2", "b same:1")


def max_of_spikes(d):
    nodes = {"x": SPIKES, "pin": maxpool(3, 1, 1), "c": d.conv(3, 2, 3, pad=1), "a": lif(), "out": Output("count")}
    nodes |= {"max": maxpool(2, 2), "c2": d.conv(3, 3, 3, pad=1), "b": lif(), "mo": maxpool(2, 1)}
    return wire(nodes, "x pin c a max c2 b mo out")


def max_of_bursts(d):
    kappa = np.stack([np.ones((3, 1, 1)), np.array([1.5, 2.0, 3.25]).reshape(3, 1, 1)])
    burst = Burst(np.float64(0.5), np.array([0.5, 1.25]), kappa, (False, True))
    nodes = {"x": SPIKES, "c": d.conv(3, 2, 3, pad=1), "a": burst, "max": maxpool(2, 2), "c2": d.conv(3, 3, 3, pad=1)}
    return wire(nodes | {"b": lif(), "out": Output("count")}, "x c a max c2 b out")


def recurrent(d):
    nodes = {"x": Input((5,), "spikes"), "f": d.linear(4, 5), "a": lif(), "rec": d.linear(4, 4, bias=False), "g": d.linear(3, 4)}
    nodes |= {"b": lif(), "skip": d.linear(3, 5, bias=False), "late": Sum(), "out": Output("first"), "back": Scale(d(4))}
    return wire(nodes, "x f a g b out", "a rec+1 a+1", "x skip+2 late+1 b", "b b+2", "a back+1 a")


def shared_layers(d):
    nodes = {"x": SPIKES, "a": lif(), "pool": pool(), "c1": d.conv(3, 2, 3, pad=1), "c2": d.conv(3, 2, 1, bias=False)}
    nodes |= {"b": lif(), "c": lif(), "d": lif(), "out": Output(), "o2": Output(), "o3": Output("none")}
    return wire(nodes, "x a pool c1 b out", "pool c2 c o2", "c1 d o3", "c2 d+1")


def many_outputs(d):
    nodes = {"x": Input((6,), "spikes"), "f": d.linear(4, 6), "a": lif(), "g": d.linear(6, 4), "s": Scale(d(6))}
    nodes |= {"sum": Output("sum", vote=2), "mean": Output("mean"), "count": Output("count"), "last": Output("membrane")}
    nodes |= {"raw": Output("none"), "direct": Output("max"), "both": Output("count")}
    return wire(nodes, "x f a g sum", "g mean", "a count", "g last", "g raw", "x direct", "g both", "x s both+1")


def biased_then_padded(d):
    nodes = {"x": SPIKES, "c1": d.conv(3, 2, 3, pad=1), "c2": d.conv(4, 3, 3, pad=1), "a": lif(), "out": Output("count")}
    nodes |= {"p": d.conv(3, 2, 1), "q": d.conv(4, 3, 3, pad=1), "b": lif(), "o2": Output("count")}
    return wire(nodes, "x c1 c2 a out", "x p q b o2")


def images_from_features(d):
    nodes = {"x": Input((5,), "spikes"), "f": d.linear(18, 5), "r": Reshape((2, 3, 3)), "a": lif(), "g": d.linear(8, 5)}
    nodes |= {"r2": Reshape((2, 2, 2)), "c": d.conv(3, 2, 2), "b": lif(), "r3": Reshape((3, 2, 3)), "c3": d.conv(2, 3, 2), "e": lif()}
    return wire(
        nodes | {"tr": Reshape((18,)), "n": lif(), "out": Output(), "o2": Output(), "o3": Output()},
        "x f r a r3 c3 e out",
        "x g r2 c b o2",
        "a tr n o3",
    )


def shared_over_tokens(d):
    nodes = {"x": Input((3, 4), "spikes"), "f": d.linear(5, 4), "a": lif(), "wide": Scale(d(2, 1, 1)), "r": Reshape((1, 3, 5)), "b": lif()}
    return wire(nodes | {"out": Output(), "s": Scale(d(1, 3, 5), d(2, 3, 5)), "c": lif(), "o2": Output()}, "x f a r wide b out", "r s c o2")


def diagonal_maps(d):
    nodes = {"x": SPIKES, "m": Scale(d(2, 6, 6), d(2, 6, 6)), "c": d.conv(3, 2, 3), "n": Scale(d(3, 4, 4)), "a": lif(), "r": Reshape()}
    nodes |= {"m2": Scale(d(48)), "f": d.linear(4, 48), "m3": Scale(d(4), d(4)), "r2": Reshape((1, 4)), "k": lif()}
    nodes |= {"b": lif(threshold=np.full((3, 1), 0.75)), "out": Output(), "o2": Output()}
    return wire(nodes, "x m c n a r m2 f m3 r2 b out", "c k o2")


def convolutions(d):
    nodes = {"x": Input((4, 9, 8), "spikes"), "c1": d.conv(4, 4, 3, groups=2, bias=False), "c2": d.conv(2, 4, 2, stride=2, dilation=2)}
    return wire(nodes | {"a": lif(), "out": Output("count")}, "x c1 c2 a out")


def read_otherwise(d):
    nodes = {
        "x": Input((2, 4, 4), "spikes"),
        "c": d.conv(4, 2, 2),
        "r": Reshape((2, 3, 6)),
        "c2": d.conv(3, 2, 2),
        "a": lif(),
        "r2": Reshape(),
    }
    nodes |= {"s": Scale(d(30), d(30)), "b": lif(), "out": Output("count")}
    return wire(nodes, "x c r c2 a r2 s b out")


def sequences(d):
    conv = Conv(d(3, 2, 4), d(3), (2,), ((1, 2),))
    nodes = {"x": Input((2, 9), "spikes"), "c": conv, "bn": d.bn(3, 1), "a": lif(), "p": SumPool((2,), (2,), ((0, 0),), np.array(0.5))}
    return wire(nodes | {"c2": Conv(d(2, 3, 2), d(2)), "b": lif(), "out": Output("count")}, "x c bn a p c2 b out")


def every_neuron(d):
    r = np.array([0.25, -0.5, 0.125, 0.0])
    common = {"decay": np.array(0.5), "v_reset": r, "v_init": np.array(0.125), "rest": np.array(0.25)}
    levels = np.array([1.0, 1.5])
    nodes = {
        "x": Input((4,), "spikes"), "f": d.linear(4, 4), "g": d.linear(4, 4), "out": Output("count"), "li": LI(np.array(0.5)),
        "o2": Output(),
        "zero": lif(late=True, floor=np.array(-0.5)), "late": lif(late=True, reset="subtract"), "free": lif(late=True, reset="none"),
        "value": LIF(**common, floor=np.array(-0.25)), "value2": LIF(**common, strict=True), "cuba": CubaLIF(np.array(0.5), **common),
        "burst": Burst(thresholds=np.array([0.5, 1.0]), levels=levels, strict=(False, False), **common),
        "burst2": Burst(thresholds=np.array([0.5, 1.0]), levels=levels, strict=(True, False), decay=np.array(0.5), reset="none"),
    }  # fmt: skip
    chains = [f"f {n} g" for n in ("zero", "late", "free", "value", "value2", "cuba", "burst", "burst2")]
    return wire(nodes, "x f", *chains, "g li o2", "burst out")


def dead_ends(d):
    nodes = {"x": SPIKES, "y": Input((3,)), "f": d.linear(2, 3), "gone": lif(), "c": d.conv(2, 2, 3), "a": lif(), "out": Output("count")}
    return wire(nodes | {"bad": maxpool(2, 2)}, "x c a out", "y f gone", "c bad")


ZOO: dict[str, Callable[[Dice], Graph]] = {
    f.__name__: f
    for f in (
        plain, residual, bn_after_add, bn_on_identity, currents_are_added, pool_then_conv, pool_flatten_linear, border_average, concat_conv,
        concat_features, max_of_spikes, max_of_bursts, recurrent, shared_layers, many_outputs, biased_then_padded, images_from_features,
        shared_over_tokens, diagonal_maps, convolutions, read_otherwise, sequences, every_neuron, dead_ends,
    )
}  # fmt: skip
ZOO["pool_remainder"] = lambda d: pool_then_conv(d, size=7)
ZOO["pool_remainder_unpadded"] = lambda d: pool_then_conv(d, size=7, pad=0)
ZOO["pool_overlapping"] = lambda d: pool_then_conv(d, pooling=pool(3, 2, 1, 0.125))
ZOO["pool_of_channels"] = lambda d: pool_then_conv(d, pooling=pool(2, 2, 0, np.array([0.5, 0.25]).reshape(2, 1, 1)), groups=2)


WRITTEN_OUT = {
    *("pool_remainder", "pool_overlapping", "pool_flatten_linear", "border_average", "concat_conv", "concat_features"),
    *("biased_then_padded", "images_from_features", "shared_over_tokens", "diagonal_maps", "read_otherwise"),
}
"""The networks of which some layers merge into a matrix only."""


def play(graph: Graph, seed: int = 7):
    """{neuron: (what entered, what left)} [T, B, *shape], and {output: prediction}."""
    rng = np.random.default_rng(seed)
    inputs = sorted(graph.named(Input).items())
    feed = [{n: rng.integers(0, 2, (BATCH, *node.shape)).astype(float) for n, node in inputs} for _ in range(STEPS)]
    steps = list(stepper(graph, feed, BATCH))
    names = [n for n in graph.order if has_state(graph.nodes[n])]
    runs = {n: (np.stack([s.inputs[n][0] for s in steps]), np.stack([s.outputs[n] for s in steps])) for n in names}
    return runs, {n: decoded(np.stack([s.outputs[n] for s in steps]), node) for n, node in graph.named(Output).items()}


def decoded(y, output):
    decode = {"count": "sum", "membrane": "last"}.get(output.decode, output.decode)
    if decode == "first":
        return np.where(y.any(0), (y != 0).argmax(0), STEPS)
    value = {"sum": y.sum(0), "mean": y.sum(0) / STEPS, "last": y[-1], "max": y.max(0), "none": y}[decode]
    return value.reshape(*value.shape[:-1], -1, output.vote).mean(-1)


def assert_same(before: Graph, after: Graph, exact: bool) -> None:
    (old, said), (new, says) = play(before), play(after)
    kept = [n for n in old if n in new]
    assert len(kept) == len(old) - ("gone" in old)
    tolerance = 0 if exact else 1e-12
    for name in kept:
        if isinstance(before.nodes[name], LI):
            np.testing.assert_allclose(new[name][1], old[name][1], rtol=0, atol=tolerance, err_msg=name)
        else:
            assert int((old[name][1] != new[name][1]).sum()) == 0, name
        np.testing.assert_allclose(new[name][0], np.broadcast_to(old[name][0], new[name][0].shape), rtol=0, atol=tolerance, err_msg=name)
    for name in said:
        np.testing.assert_allclose(says[name], said[name], rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.parametrize("chunk", [1, 1 << 20], ids=["row by row", "at once"])
@pytest.mark.parametrize("name", ZOO)
def test_single_synapses_are_the_matrix(name, chunk, monkeypatch):
    """No matrix is written out: every map that was one is a list of synapses, with the matrix's entries."""
    before = ZOO[name](Dice(3, True))
    for step in PIPELINE[:-1]:
        before = step.apply(before)
    matrices = merge.apply(before)
    monkeypatch.setattr(linear_map, "LIMIT", 0)
    monkeypatch.setattr(single_synapses, "CHUNK", chunk)
    after = merge.apply(before)
    assert_same(before, after, exact=True)
    composed = [n for n, node in matrices.nodes.items() if isinstance(node, Linear) and not isinstance(after.nodes[n], Linear)]
    assert len(composed) == len(after.named(Sparse))
    for n in composed:
        single, whole = after.nodes[n], np.zeros_like(matrices.nodes[n].weight)
        whole[single.rows.astype(int), single.columns.astype(int)] = single.weight
        np.testing.assert_array_equal(whole, matrices.nodes[n].weight)
    assert bool(composed) == (name in WRITTEN_OUT)


@pytest.mark.parametrize("dyadic", [True, False], ids=["dyadic", "normal"])
@pytest.mark.parametrize("name", ZOO)
def test_each_pass_keeps_every_neuron_and_every_prediction(name, dyadic):
    graph = ZOO[name](Dice(3, dyadic))
    spikes = play(graph)[0]
    assert any(y.any() and not y.all() for _, y in spikes.values())
    for step in PIPELINE:
        after = step.apply(graph)
        assert_same(graph, after, dyadic)
        graph = after
    check_normal_form(graph)
    for n in neurons(graph):
        shape = graph.shapes[n]
        assert sum(s.has_constant for s in synapses_into(graph, n)) == bool(constant_into(graph, n).any())
        assert constant_into(graph, n).shape == shape
