"""Boxes that lie alike are counted once: on random networks the answers are those of counting every box by itself."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from snndeploy.chip.models import HostInput, Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse
from snndeploy.hw import load_profile
from snndeploy.place import place
from snndeploy.place.boxes import Box, cut, slices, volume, whole
from snndeploy.place.budget import budget
from snndeploy.place.demand import Block, wiring
from snndeploy.place.partition import partition
from snndeploy.place.reach import messages
from snndeploy.quantize.unrolled import unrolled

LIMITS = {"neurons_per_core": (2, 60), "synapse_bits_per_core": (300, 8000), "axons_in_per_core": (4, 200), "axons_out_per_core": (4, 400)}
LIMITS |= {"config_tables_per_core": (2, 20), "cores_per_chip": (2, 128)}


def weights(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return 2 * rng.integers(1, 20, shape) * (rng.random(shape) < rng.choice([0.3, 0.9, 1.0]))


def lif(rng: np.random.Generator, shape: tuple[int, ...]) -> Lif:
    """Thresholds that differ by channel, by neuron, or not at all."""
    kinds = ((shape[0], *(1,) * (len(shape) - 1)), shape, (1,) * len(shape))
    return Lif(4095, 2048, rng.integers(100, 104, kinds[rng.integers(3)]) * np.ones(shape, np.int64))


def convolution(rng: np.random.Generator, source: tuple[int, ...]) -> Conv:
    groups = int(rng.choice([d for d in range(1, source[0] + 1) if source[0] % d == 0]))
    while True:
        stride, dilation = (tuple(int(i) for i in rng.integers(1, most, 2)) for most in (4, 3))
        padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
        kernel = weights(rng, groups * rng.integers(1, 4), source[0] // groups, *rng.integers(1, 4, 2))
        conv = Conv(kernel, stride, padding, dilation, groups)
        if conv.out_shape(source):
            return conv


def straight(rng: np.random.Generator, size: int, one: bool = False) -> Sparse:
    """A synapse from every neuron to the one at its own place, or to another, some missing; or from the only one to all."""
    order = np.zeros(size, np.int64) if one else rng.permutation(size) if rng.random() < 0.3 else np.arange(size)
    return Sparse(np.arange(size), order, weights(rng, size))


def network(seed: int) -> ChipNetwork:
    """Convolutions (one or two from a source, also of two geometries), pairs, recurrent pairs, a constant, a read-out."""
    rng = np.random.default_rng(seed)
    image = tuple(int(n) for n in rng.integers(2, 10, 3))
    shapes, projections, last = {"in": image, "one": (1,)}, [], "in"
    for layer in range(int(rng.integers(1, 4))):
        name = f"c{layer}"
        conv = convolution(rng, shapes[last])
        shapes[name] = conv.out_shape(shapes[last])
        size = int(np.prod(shapes[name]))
        joins = [(last, conv)]
        joins += [(last, dataclasses.replace(conv, weights=weights(rng, *conv.weights.shape)))] if rng.random() < 0.5 else []
        point = Conv(weights(rng, shapes[name][0], shapes[last][0], 1, 1), conv.stride, ((0, 0),) * 2, (1, 1))
        joins += [(last, point)] if point.out_shape(shapes[last]) == shapes[name] and rng.random() < 0.5 else []
        joins += [("one", straight(rng, size, one=True))] if rng.random() < 0.5 else []
        joins += [(name, straight(rng, size)) for _ in range(int(rng.integers(3)))]
        projections += [Projection(f"{name}.{i}", source, name, synapses) for i, (source, synapses) in enumerate(joins)]
        last = name
    shapes["out"] = (5,)
    projections.append(Projection("out", last, "out", Dense(weights(rng, 5, int(np.prod(shapes[last]))))))
    hosts = {"in", "one"}
    populations = {n: Population(n, s, HostInput() if n in hosts else lif(rng, s)) for n, s in shapes.items()}
    return ChipNetwork("loihi1", populations, tuple(projections), steps=4)


def without_kernels(net: ChipNetwork) -> ChipNetwork:
    """The same synapses, one by one."""
    single = [
        dataclasses.replace(p, synapses=unrolled(p.synapses, net.populations[p.source].shape)) if isinstance(p.synapses, Conv) else p
        for p in net.projections
    ]
    return dataclasses.replace(net, projections=tuple(single))


def boxes(rng: np.random.Generator, shape: tuple[int, ...], count: int) -> list[Box]:
    return [tuple(tuple(sorted(rng.choice(n + 1, 2, replace=False).tolist())) for n in shape) for _ in range(count)]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_known_of_a_box_is_what_counting_it_gives(seed):
    net, rng = network(seed), np.random.default_rng(seed)
    known, single = wiring(net), wiring(without_kernels(net))
    for population in known.placed:
        for box in boxes(rng, population.shape, 25):
            block = [Block(population.name, box)]
            demand = known.demand(block)
            assert demand == wiring(net).demand(block)
            assert demand.axons_in == single.demand(block).axons_in
            assert demand.neurons == volume(box)
            for source, reached in known.reached(block).items():
                other, masks = single.reached(block)[source], []
                for part in (reached, other):
                    masks.append(np.zeros(net.populations[source].shape, bool))
                    masks[-1][slices(part.box)] = part.mask
                np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("seed", range(40))
def test_messages_of_all_cores_are_those_of_each(seed):
    net, rng = network(seed), np.random.default_rng(seed)
    profile = load_profile("loihi1")
    given = {n: float(rng.integers(*ends)) for n, ends in LIMITS.items()}
    limits = {n: dataclasses.replace(v, value=given.get(n, v.value)) for n, v in profile.limits.items()}
    profile = dataclasses.replace(profile, limits=limits)
    for share in (False, True):
        known = wiring(net)
        parts = partition(known, budget(profile), {}, {}, share)
        counts = {n: np.zeros(p.shape, np.int64) for n, p in net.populations.items()}
        for blocks in parts.cores:
            for source, reached in wiring(without_kernels(net)).reached(blocks).items():
                counts[source][slices(reached.box)] += reached.mask
        for name, sent in messages(known, parts, {}).items():
            np.testing.assert_array_equal(sent, counts[name])
    placed = place(net, profile)
    assert placed == place(net, profile, routes=False)
    assert not place(net, profile, routes=False).reach
    assert all((placed.reach[n].cores >= placed.reach[n].off_chip).all() for n in net.populations if n in placed.reach)


def test_lines_that_lie_alike_are_cut_alike():
    asked: list[Box] = []

    def fits(box: Box) -> bool:
        asked.append(box)
        return volume(box) <= 3

    box = whole((1, 9, 10))
    each = cut(box, (1, 2), fits)
    alone, asked[:] = len(asked), []
    assert cut(box, (1, 2), fits, lambda line: line[0]) == each
    assert len(asked) < alone / 2
    assert sum(map(volume, each)) == 90
