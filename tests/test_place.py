"""Placement: what it counts, held against a loop over single synapses; each rule, triggered once."""

from __future__ import annotations

import collections
import dataclasses
import itertools
import math

import numpy as np
import pytest

from snndeploy.arrays import frozen_ints
from snndeploy.chip.models import NEVER_FIRES, HostInput, Lif, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.program import assemble
from snndeploy.hw import load_profile
from snndeploy.place import place
from snndeploy.place.boxes import cut, runs, volume, whole
from snndeploy.place.fan_in import entry_bits
from snndeploy.place.lists import index_bits, list_bits

RNG = np.random.default_rng(7)


def chip(name="loihi1", board="", **limits):
    profile = load_profile(name)
    numbers = {n: dataclasses.replace(v, value=float(limits[n])) if n in limits else v for n, v in profile.limits.items()}
    return dataclasses.replace(profile, limits=numbers, board=board)


def lif(**registers):
    return Lif(**{"du": 4095, "dv": 2048, "vth": 641, **registers})


def network(populations, projections):
    return ChipNetwork("loihi1", {p.name: p for p in populations}, tuple(projections), steps=4)


def even(*shape):
    return 2 * RNG.integers(-20, 20, shape) * RNG.integers(0, 2, shape)


def dense(*sizes, model=None, source=None):
    names = ["in", *(f"fc{i}" for i in range(1, len(sizes)))]
    layers = [
        Population(n, (s,), (model or lif()) if i else (source or HostInput())) for i, (n, s) in enumerate(zip(names, sizes, strict=True))
    ]
    joins = [Projection(f"w{i}", names[i], names[i + 1], Dense(even(sizes[i + 1], sizes[i]))) for i in range(len(sizes) - 1)]
    return network(layers, joins)


def conv_net(channels=6, size=9, groups=1, stride=(1, 2), model=None):
    weights = even(channels, 4 // groups, 3, 2)
    conv = Conv(weights, stride, ((1, 0), (0, 1)), (1, 2), groups)
    rows = (size + 1 - 2 - 1) // stride[0] + 1
    columns = (size + 1 - 2 * 1 - 1) // stride[1] + 1
    layers = [Population("in", (4, size, size), HostInput()), Population("c", (channels, rows, columns), model or lif())]
    return network(
        [*layers, Population("out", (5,), lif())],
        [Projection("k", "in", "c", conv), Projection("w", "c", "out", Dense(even(5, channels * rows * columns)))],
    )


def conv_only(channels):
    net = conv_net(channels=channels)
    return network([net.populations["in"], net.populations["c"]], net.projections[:1])


def synapses(net, projection):
    """Every synapse (source, target, kernel tap of a convolution, weight), also those of weight 0, by plain loops."""
    s, source, target = projection.synapses, net.populations[projection.source], net.populations[projection.target]
    if isinstance(s, Dense):
        return [(i, o, (), w) for (o, i), w in np.ndenumerate(s.weights)]
    if isinstance(s, Sparse):
        return [(int(i), int(o), (), w) for o, i, w in zip(s.rows, s.columns, s.weights, strict=True)]
    found, per = [], s.weights.shape[0] // s.groups
    for o, y, x in itertools.product(*map(range, target.shape)):
        for c, ky, kx in itertools.product(*map(range, s.weights.shape[1:])):
            at = [p * st - pad[0] + k * d for p, k, st, pad, d in zip((y, x), (ky, kx), s.stride, s.padding, s.dilation, strict=True)]
            if all(0 <= a < n for a, n in zip(at, source.shape[1:], strict=True)):
                channel = o // per * s.weights.shape[1] + c
                flat = np.ravel_multi_index((channel, *at), source.shape)
                found.append((int(flat), int(np.ravel_multi_index((o, y, x), target.shape)), (channel, ky, kx), s.weights[o, c, ky, kx]))
    return found


def home(placement):
    return {(s.population, n): core.index for core in placement.cores for s in core.slices for n in range(s.first, s.last)}


def twins(*kinds):
    """Several projections from one source into one population: convolutions of one geometry, of another, and single synapses."""
    conv = {
        "conv": lambda: Conv(even(4, 3, 3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
        "wide": lambda: Conv(even(4, 3, 1, 1), (1, 1), ((0, 0),) * 2, (1, 1)),
    }
    rows = np.arange(144)
    conv["each"] = lambda: Sparse(rows, RNG.integers(108, size=144), np.full(144, 2))
    conv["some"] = lambda: Sparse(rows[::3], RNG.integers(108, size=48), np.full(48, 2))
    layers = [Population("in", (3, 6, 6), HostInput()), Population("c", (4, 6, 6), lif())]
    return network(layers, [Projection(f"p{i}", "in", "c", conv[kind]()) for i, kind in enumerate(kinds)])


NETS = {
    "alike": (lambda: twins("conv", "conv"), {"neurons_per_core": 30}),
    "unlike": (lambda: twins("conv", "wide", "conv"), {"neurons_per_core": 30}),
    "single synapses": (lambda: twins("each", "some", "each"), {"neurons_per_core": 20}),
    "single and shared": (lambda: twins("each", "conv"), {"neurons_per_core": 20}),
    "dense": (lambda: dense(40, 30, 20, 10), {"neurons_per_core": 8}),
    "conv": (conv_net, {"neurons_per_core": 16, "axons_in_per_core": 150}),
    "grouped": (lambda: conv_net(groups=2, stride=(1, 1)), {"neurons_per_core": 50}),
    "memory": (lambda: conv_only(40), {"synapse_bits_per_core": 6000}),
    "axons": (lambda: dense(30, 40, 40), {"axons_out_per_core": 60, "neurons_per_core": 8}),
}


@pytest.mark.parametrize("name", NETS)
def test_axons_and_messages_are_those_of_a_loop_over_synapses(name):
    make, limits = NETS[name]
    net = make()
    placement = place(net, chip(**limits))
    where = home(placement)
    assert len(where) == sum(p.size for p in net.populations.values() if not isinstance(p.model, HostInput))
    pairs = {((q.source, i), where[q.target, o]) for q in net.projections for i, o, _, w in synapses(net, q) if w}
    for core in placement.cores:
        mine = {n for n, c in where.items() if c == core.index}
        assert core.neurons == len(mine)
        assert core.axons_in == len({s for s, c in pairs if c == core.index})
        assert core.axons_out == len({(s, c) for s, c in pairs if s in mine})
    for population, reach in placement.reach.items():
        counted = [len({c for s, c in pairs if s == (population, n)}) for n in range(net.populations[population].size)]
        assert reach.cores.tolist() == counted
    assert placement.fits, placement.findings


@pytest.mark.parametrize("name", ["dense", "conv", "grouped", "memory"])
def test_synapse_bits_are_the_entry_formula_over_the_lists_of_each_core(name):
    make, limits = NETS[name]
    net = make()
    placement = place(net, chip(**limits))
    where = home(placement)
    for core in placement.cores:
        bits = 0
        for q in net.projections:
            lists = collections.defaultdict(lambda: [set(), 0])
            for i, o, tap, w in synapses(net, q):
                if where[q.target, o] == core.index:
                    lists[i][0].add(tap or i)
                    lists[i][1] += bool(w)
            shared = {(frozenset(key), n) for key, n in lists.values()}
            bits += sum(list_bits(np.array([n]), entry_bits(q) + index_bits(core.neurons)) for _, n in shared)
        assert core.synapse_bits == bits


def test_hops_are_mesh_distances_and_chips_are_crossed():
    net = dense(4, 40, 30)
    placement = place(net, chip(neurons_per_core=2, cores_per_chip=16, cores_per_tile=2, mesh_x=3, board="kapoho-bay"))
    assert placement.chips == 3
    where = home(placement)
    matrix = net.projections[1].synapses.weights != 0
    reach = placement.reach["fc1"]
    for n in range(40):
        here, there = where["fc1", n], {where["fc2", o] for o in np.flatnonzero(matrix[:, n])}
        tile = {c: divmod(c % 16 // 2, 3) for c in there | {here}}
        near = [c for c in there if c // 16 == here // 16]
        assert reach.hops_x[n] == sum(abs(tile[c][1] - tile[here][1]) for c in near)
        assert reach.hops_y[n] == sum(abs(tile[c][0] - tile[here][0]) for c in near)
        assert reach.off_chip[n] == len(there) - len(near)
    assert not placement.reach["in"].hops_x.any()


def test_unpublished_geometry_claims_no_hops():
    profile = load_profile("loihi2")
    none = dataclasses.replace(profile.limits["mesh_x"], value=None)
    placement = place(dense(4, 40, 30), dataclasses.replace(profile, limits={**profile.limits, "mesh_x": none}))
    assert not placement.reach["fc1"].hops_x.any()


def test_small_populations_share_a_core_only_where_that_saves_a_chip():
    net = dense(10, 30, 20, 10)
    assert [[s.population for s in c.slices] for c in place(net, chip()).cores] == [["fc1"], ["fc2"], ["fc3"]]
    (core,) = place(net, chip(cores_per_chip=2)).cores
    assert [s.population for s in core.slices] == ["fc1", "fc2", "fc3"]


def test_programs_and_circuits_do_not_share_a_core_nor_two_programs_too_long_together():
    code = assemble("half", "SHR v I 1\nGT p v 3\nSPK p 1", {"v": 0}, {})
    more = assemble("third", "SHR v I 2\nGT p v 3\nSPK p 1", {"v": 0}, {})
    layers = [Population("in", (4,), HostInput()), Population("a", (4,), code), Population("b", (4,), lif()), Population("c", (4,), more)]
    net = network(layers, [Projection(n, "in", n, Dense(even(4, 4))) for n in "abc"])
    few = {"cores_per_chip": 2}
    assert [[s.population for s in c.slices] for c in place(net, chip("loihi2", **few)).cores] == [["a", "c"], ["b"]]
    assert len(place(net, chip("loihi2", program_instructions=5, **few)).cores) == 3


def test_two_projections_from_one_source_share_its_axons():
    w = np.eye(6, dtype=np.int64)
    layers = [Population("in", (6,), HostInput()), Population("a", (6,), lif())]
    split = network(layers, [Projection("up", "in", "a", Dense(w)), Projection("down", "in", "a", Dense(-w))])
    (core,) = place(split, chip()).cores
    assert core.axons_in == 6


def test_a_convolution_is_cut_by_the_cheaper_of_channels_and_rows_and_says_so():
    placement = place(conv_net(channels=16), chip(neurons_per_core=64, axons_in_per_core=200))
    (note,) = [f for f in placement.findings if f.code == "L015"]
    assert note.severity == "note"
    assert note.where == "c"
    assert note.value <= note.limit
    assert "16 channels" in note.why
    assert "2 channels" in note.why


def test_placement_is_deterministic():
    one, two = (place(net, chip(neurons_per_core=16)) for net in (dense_fixed(), dense_fixed()))
    assert one == two
    assert hash(one) == hash(two)


def dense_fixed():
    rng = np.random.default_rng(1)
    layers = [Population("in", (20,), HostInput()), Population("a", (50,), lif())]
    return network(layers, [Projection("w", "in", "a", Dense(2 * rng.integers(-9, 9, (50, 20))))])


def test_entry_bits():
    def bits(weights, delay=0, delays=None):
        return entry_bits(Projection("p", "a", "b", Dense(np.atleast_2d(weights), delays), delay=delay))

    assert bits([255, 3]) == 8
    assert bits([-2, 2]) == 8
    assert bits([4, 12]) == 6
    assert bits([4, -12]) == 8
    assert bits([8, -16]) == 6
    assert bits([2, 6]) == 8, "7 bits are not to be had"
    assert bits([0, 0]) == 0
    assert bits([255, 3], delay=1) == 9
    assert bits([255, 3], delay=1, delays=[[0, 3]]) == 11
    assert [index_bits(n) for n in (1, 64, 65, 1024, 8192)] == [6, 6, 7, 10, 12]
    assert list_bits(np.array([0, 1, 63, 64]), 10) == 1280 + 40


def test_runs_and_cuts():
    shape = (3, 4, 5)
    box = ((1, 3), (1, 3), (0, 5))
    inside = np.zeros(shape, bool)
    inside[1:3, 1:3] = True
    assert [n for first, last in runs(box, shape) for n in range(first, last)] == np.flatnonzero(inside).tolist()
    assert runs(whole(shape), shape) == [(0, 60)]
    assert runs(((0, 1),), ()) == [(0, 1)]
    pieces = cut(whole(shape), (0, 1, 2), lambda b: volume(b) <= 10)
    assert [volume(p) for p in pieces] == [10, 10] * 3
    assert cut(whole((2,)), (0,), lambda b: False) is None


# ------------------------------------------------------------------------------------------------- the rules, once each


def found(placement, code, severity="blocker"):
    hits = [f for f in placement.findings if f.code == code and f.severity == severity]
    assert hits, f"no {severity} {code} in {[str(f) for f in placement.findings]}"
    return hits[0]


def one(model=None, weights=None, source=None, **projection):
    """One projection onto one population of 4."""
    layers = [Population("in", (4,), source or HostInput()), Population("a", (4,), model or lif())]
    return network(layers, [Projection("w", "in", "a", Dense(even(4, 4) if weights is None else weights), **projection)])


def test_a_clean_network_has_no_finding():
    assert place(one(), chip()).findings == ()


def test_too_many_cores_is_a_blocker_that_names_a_board():
    placement = place(dense(10, 300), chip(neurons_per_core=1))
    finding = found(placement, "L015")
    assert not placement.fits
    assert (finding.where, finding.value, finding.limit) == ("loihi1", 300, 128)
    assert "loihi1:nahuku8" in finding.fix
    assert place(dense(10, 300), chip(neurons_per_core=1, board="nahuku8")).fits
    fix = found(place(dense(10, 1000), chip(neurons_per_core=1, cores_per_chip=1)), "L015").fix
    assert "fewer channels" in fix
    assert "pohoiki-springs, has 768 chips" in fix
    assert "board" not in found(place(dense(10, 300), dataclasses.replace(chip(neurons_per_core=1), boards={})), "L015").fix


def test_l001_a_core_that_holds_no_neuron():
    finding = found(place(one(), chip(neurons_per_core=0)), "L001")
    assert (finding.where, finding.limit) == ("a", 0)


def test_l002_one_neuron_with_more_synapses_than_a_core():
    placement = place(dense(200, 3), chip(synapse_bits_per_core=500))
    finding = found(placement, "L002")
    assert finding.where == "fc1"
    assert finding.value > finding.limit == 500
    assert sum(c.neurons for c in placement.cores) == 3


def test_l003_one_neuron_with_too_many_sources():
    finding = found(place(one(weights=np.full((4, 4), 2)), chip(axons_in_per_core=3)), "L003")
    assert (finding.value, finding.limit) == (4, 3)


def test_l004_one_neuron_that_sends_to_too_many_cores():
    net = network(
        [Population("in", (1,), HostInput()), Population("a", (2,), lif()), Population("b", (8,), lif())],
        [Projection("v", "in", "a", Dense([[1], [1]])), Projection("w", "a", "b", Dense(np.ones((8, 2))))],
    )
    finding = found(place(net, chip(axons_out_per_core=3, neurons_per_core=2)), "L004")
    assert (finding.where, finding.value) == ("a", 4)
    assert "(neuron [0])" in finding.why


def test_the_number_of_a_refusal_is_one_neurons_not_the_layers():
    """In the middle of a map a neuron meets 9 positions of every channel, in a corner 4; the whole layer meets all 36."""
    kernel = Conv(np.ones((2, 8, 3, 3), np.int64), (1, 1), ((1, 1), (1, 1)), (1, 1))
    populations = [Population("in", (8, 6, 6), HostInput()), Population("a", (2, 6, 6), lif())]
    net = network(populations, [Projection("w", "in", "a", kernel)])
    assert place(net, chip(axons_in_per_core=72)).fits
    finding = found(place(net, chip(axons_in_per_core=71)), "L003")
    assert (finding.where, finding.value, finding.limit) == ("a", 8 * 9, 71)
    assert "(neuron [0, 1, 1])" in finding.why
    bits = place(network([*populations[:1], Population("a", (2, 6, 6), lif())], net.projections), chip(synapse_bits_per_core=10))
    one_neuron = found(bits, "L002")
    assert 72 * 8 <= one_neuron.value <= 72 * 32
    assert not [f for f in bits.findings if f.code == "L003" and f.severity == "blocker"], "only what cannot be cut away is told"


@pytest.mark.parametrize(
    ("weights", "value", "limit"),
    [([[300]], 300, 255), ([[-258, 2]], -258, -256), ([[256, -2]], 256, 254), ([[-256]], -256, -255), ([[3, -2]], 1, 0)],
)
def test_l005_range_and_step_of_weights(weights, value, limit):
    layers = [Population("in", (len(weights[0]),), HostInput()), Population("a", (1,), lif())]
    finding = found(place(network(layers, [Projection("w", "in", "a", Dense(weights))]), chip()), "L005")
    assert (finding.where, finding.value, finding.limit) == ("w", value, limit)


def test_l005_exponents():
    assert found(place(one(exponent=8), chip()), "L005").limit == 7
    assert place(one(exponent=-8), chip()).fits


def test_l006_thresholds():
    assert found(place(one(lif(vth=641)), chip(vth_max=640)), "L006").value == 641
    assert found(place(one(TernaryLif(4095, 0, 700, -900)), chip("loihi2", vth_max=800)), "L006").value == 900
    never = place(one(lif(vth=NEVER_FIRES)), chip())
    assert never.fits
    assert found(never, "L006", "note").value == NEVER_FIRES


def test_l007_biases():
    assert found(place(one(lif(bias_mant=-5000)), chip()), "L007").value == 5000
    assert found(place(one(lif(bias_mant=1, bias_exp=9)), chip()), "L007").value == 9
    assert found(place(one(lif(bias_mant=1, bias_exp=-1)), chip()), "L007", "warning").value == -1


def test_l008_delays():
    assert found(place(one(delay=9), chip(delay_max=8)), "L008").value == 9
    net = one()
    slow = Dense(net.projections[0].synapses.weights, np.full((4, 4), 40))
    placement = place(network(net.populations.values(), [Projection("w", "in", "a", slow, delay=2)]), chip(delay_max=40))
    assert found(placement, "L008").value == 42


def test_l009_decays_only_lava_takes():
    assert found(place(one(lif(du=-1)), chip()), "L009", "warning").value == -1
    assert found(place(one(lif(dv=4096)), chip()), "L009", "warning").value == 4096


def test_l010_neurons_without_a_circuit():
    code = assemble("one", "GT p I 3\nSPK p 1", {"v": 0}, {})
    for model in (code, TernaryLif(4095, 0, 700, -900), SigmaDelta(3.0), lif(reset_interval=4)):
        assert found(place(one(model), chip()), "L010").where == "a"
        assert place(one(model), chip("loihi2")).fits
    assert found(place(one(code), chip("loihi2", program_instructions=1)), "L010").value == 2
    assert found(place(one(code), chip("loihi2", state_words=0)), "L010").value == 1


def test_l012_payloads():
    graded = one(source=HostInput(payload_bits=8), graded=True)
    assert (found(place(graded, chip()), "L012").value, found(place(graded, chip()), "L012").limit) == (8, 0)
    assert found(place(graded, chip("loihi2", payload_bits=4)), "L012").where == "in"
    assert place(graded, chip("loihi2")).fits
    code = assemble("one", "GT p I 3\nSPK p 7", {"v": 0}, {})
    layers = [Population("in", (4,), HostInput()), Population("a", (4,), code), Population("b", (4,), lif())]
    net = network(layers, [Projection("v", "in", "a", Dense(even(4, 4))), Projection("w", "a", "b", Dense(even(4, 4)), graded=True)])
    assert "decouple" in found(place(net, chip()), "L012").fix


def test_l013_the_accumulator_is_proven_by_the_payload_given():
    weights = np.full((4, 4), 254)
    weights[0, 0] = -254
    net = one(weights=weights, source=HostInput(payload_bits=8), graded=True)
    finding = found(place(net, chip("loihi2")), "L013", "warning")
    assert finding.value == 4 * 254 * 255 * 64
    assert finding.limit == 1 << 23
    assert not [f for f in place(net, chip("loihi2"), {"in": 100}).findings if f.code == "L013"]
    signed = one(weights=weights, source=HostInput(payload_bits=7, signed=True), graded=True)
    assert not [f for f in place(signed, chip("loihi2")).findings if f.code == "L013"]
    assert found(
        place(dataclasses.replace(signed, projections=(dataclasses.replace(signed.projections[0], exponent=1),)), chip("loihi2")),
        "L013",
        "warning",
    )


def test_l013_over_every_kind_of_synapse_and_source():
    layers = [Population("in", (3, 4), HostInput()), Population("px", (3, 4), HostInput(payload_bits=3))]
    layers += [Population("a", (3, 4), TernaryLif(4095, 0, 9, -9)), Population("p", (3, 4), assemble("one", "SPK I I", {}, {}))]
    joins = [
        Projection("c", "in", "a", Conv(np.full((3, 3, 3), 2), (1,), ((1, 1),), (1,))),
        Projection("s", "a", "p", Sparse([0, 0], [0, 1], [100, -50]), graded=True),
        Projection("x", "px", "a", Wire()),
        Projection("b", "px", "a", Wire(as_bias=True)),
    ]
    assert not [f for f in place(network(layers, joins), chip("loihi2")).findings if f.code == "L013"]
    back = Projection("g", "p", "a", Sparse([0], [0], [1]), graded=True)
    assert found(place(network(layers, [*joins, back]), chip("loihi2")), "L013", "warning").where == "a"


def slow(du, weights, steps, **more):
    """A layer whose current keeps (4095 - du) / 4096 of itself."""
    layers = [Population("in", (weights.shape[1],), HostInput()), Population("a", (len(weights),), lif(du=du))]
    return ChipNetwork("loihi2", {p.name: p for p in layers}, (Projection("w", "in", "a", Dense(weights), **more),), steps=steps)


def warned(net):
    return [f for f in place(net, chip("loihi2")).findings if f.code == "L013"]


@pytest.mark.parametrize(("steps", "expected"), [(20, False), (21, True), (0, True)])
def test_l013_the_current_adds_up_over_steps(steps, expected):
    """64 inputs of 100 add 6,400 << 6 a step; of what is there 4087/4096 stay: u passes 2^23 in the 21st step."""
    found_ = warned(slow(8, np.full((2, 64), 100), steps))
    u, leaves = 0.0, False
    for _ in range(steps or 500):
        u = u * 4087 / 4096 + 409_600
        leaves |= u >= 1 << 23
    assert bool(found_) == leaves == expected
    if expected:
        assert "after 21 steps at the soonest" in found_[0].why
        assert found_[0].value == pytest.approx(u, rel=1e-9 if steps else 0.7)


def test_l013_takes_the_larger_sign_and_both_where_a_source_is_signed():
    weights = np.array([[100] * 64 + [-100] * 60])
    fewer = np.array([[100] * 20 + [-100] * 20])
    assert warned(slow(4095, weights, 100)) == []
    assert warned(slow(4000, fewer, 100)) == [], "a current that forgets within some steps never adds up so far"
    layers = [Population("in", (40,), HostInput()), Population("t", (40,), TernaryLif(4095, 0, 9, -9)), Population("a", (1,), lif(du=100))]
    values = []
    for graded in (True, False):
        joins = Projection("v", "in", "t", Dense(even(40, 40))), Projection("w", "t", "a", Dense(2 * fewer), 1, graded=graded)
        (finding,) = warned(ChipNetwork("loihi2", {p.name: p for p in layers}, joins, steps=100))
        values.append(finding.value)
    assert values[0] == 2 * values[1], "a graded spike of either sign; one that is not graded counts as 1"


def test_l013_sees_what_one_matrix_was_split_into_as_one():
    """6 = 254 - 248, in two projections: neither half is ever alone."""
    layers = [Population("in", (60,), HostInput()), Population("a", (1,), lif())]
    joins = [Projection("w", "in", "a", Dense(np.full((1, 60), 254)), 7), Projection("w#1", "in", "a", Dense(np.full((1, 60), -248)), 7)]
    assert warned(network(layers, joins)) == []
    assert warned(network(layers, joins[:1]))


def test_l014_a_learned_tau_for_each_neuron_costs_cores():
    net = dense(4, 100, model=lif(dv=np.arange(100)))
    placement = place(net, chip())
    finding = found(placement, "L014", "warning")
    assert (finding.value, finding.limit) == (100, 32)
    assert [c.neurons for c in placement.cores] == [32, 32, 32, 4]
    assert len(place(dense(4, 100), chip()).cores) == 1


def test_l017_a_path_that_arrives_too_early():
    layers = [Population("in", (4,), HostInput()), Population("a", (4,), lif(), shift=3)]
    finding = found(place(network(layers, [Projection("w", "in", "a", Dense(even(4, 4)))]), chip()), "L017", "warning")
    assert (finding.value, finding.limit) == (1, 3)
    assert "2 steps" in finding.fix


def test_unpublished_limits_are_notes_not_silence():
    notes = [f for f in place(one(), load_profile("loihi2")).findings if "unpublished" in f.why]
    assert {"L003", "L004", "L014"} <= {f.code for f in notes}
    assert all(math.isnan(f.limit) and f.severity == "note" for f in notes)
    assert place(one(), load_profile("loihi2")).fits


def test_a_whole_chip_of_unpublished_size_is_one_chip():
    profile = load_profile("loihi2")
    none = dataclasses.replace(profile.limits["cores_per_chip"], value=None, kind="unpublished")
    placement = place(dense(10, 300), dataclasses.replace(profile, limits={**profile.limits, "cores_per_chip": none}))
    assert placement.chips == 1


def test_millions_of_synapses_in_seconds():
    rng = np.random.default_rng(0)
    layers = [Population("in", (2048,), HostInput()), Population("a", (1024,), lif()), Population("b", (1024,), lif())]
    joins = [
        Projection("v", "in", "a", Dense(2 * rng.integers(-99, 99, (1024, 2048)))),
        Projection("w", "a", "b", Dense(2 * rng.integers(-99, 99, (1024, 1024)))),
    ]
    placement = place(network(layers, joins), chip())
    assert sum(c.neurons for c in placement.cores) == 2048
    assert frozen_ints([c.synapse_bits for c in placement.cores]).max() <= 1 << 20
