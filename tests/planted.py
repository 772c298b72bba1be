"""Faults planted in graphs and chip networks by a seed: what was done, to which layer, and what it may rightly be called."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

import converters
import snndeploy as sd
from snndeploy.arrays import frozen
from snndeploy.chip.models import Lif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Projection
from snndeploy.errors import ChipError
from snndeploy.flow.divergence.bisecting import bisect
from snndeploy.flow.divergence.chip_changes import with_model, with_projections
from snndeploy.flow.divergence.comparing import run_both, unequal
from snndeploy.flow.divergence.sides import Side
from snndeploy.flow.feeding import Feed
from snndeploy.flow.saved import fed
from snndeploy.ir import layers as ir
from snndeploy.ir.graph import Edge, Graph
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.decoupling import CONSTANT
from snndeploy.ir.neurons.lif import LIF

T, SAMPLES, BASES = 8, 12, 16
ARENAS = ("chip, chip", "graph, graph", "graph, chip")


@dataclass(frozen=True, eq=False)
class Planted:
    """Two sides, the second with one fault in ``layer``; any of ``causes`` describes it.

    ``shows``: the fault changes a value that is compared, so that there is something to find.
    """

    a: Side
    b: Side
    data: Feed
    layer: str
    fault: str
    causes: tuple[str, ...]
    shows: bool = True


@lru_cache(maxsize=BASES)
def deployed(seed: int) -> tuple[Graph, ChipNetwork, Feed, Feed]:
    """A random network of two or three layers and what it becomes on the chip, with data for each."""
    draw = np.random.default_rng(seed)
    graph = _graph(draw)
    shape = graph.nodes["x"].shape  # type: ignore[attr-defined]
    x = (draw.random((SAMPLES, T, *shape)) < draw.uniform(0.25, 0.5)).astype(np.uint8)
    samples = sd.Samples({"": x})
    made = sd.convert(converters.Loaded(graph), samples, sd.Wishes(chip=("loihi2", "loihi1")[seed % 2]))
    network, data = fed(made.network, samples, "direct", 0)
    return made.graph, network, made.data, data


def _graph(draw: np.random.Generator) -> Graph:
    nodes: dict[str, Any] = {}
    image = draw.random() < 0.5
    width = int(draw.integers(6, 12))
    if image:
        nodes["x"] = ir.Input((2, 5, 5), carries="spikes")
        kernel = draw.normal(0.1, 0.35, (3, 2, 3, 3))
        nodes["conv"] = ir.Conv(frozen(kernel), frozen(draw.normal(0.1, 0.1, 3)), (1, 1), ((1, 0), (0, 1)), (1, 1))
        nodes["n0"] = _neuron(draw)
        nodes["flat"] = ir.Reshape((48,))
        size = 48
    else:
        nodes["x"] = ir.Input((width,), carries="spikes")
        size = width
    for index in (1, 2):
        wide = int(draw.integers(5, 10))
        bias = frozen(draw.normal(0.2, 0.2, wide)) if draw.random() < 0.7 else None
        nodes[f"fc{index}"] = ir.Linear(frozen(draw.normal(0.6 / size**0.5, 1.6 / size**0.5, (wide, size))), bias)
        nodes[f"n{index}"] = _neuron(draw)
        size = wide
    nodes["y"] = ir.Output("count")
    names = list(nodes)
    delayed = draw.random() < 0.4
    edges = [Edge(a, b, delay=1 if delayed and b == "fc2" else 0) for a, b in itertools.pairwise(names)]
    return Graph(nodes, tuple(edges), steps=T)


def _neuron(draw: np.random.Generator) -> Any:
    decay = frozen(float(draw.choice((0.5, 0.75, 0.8, 0.9))))
    threshold = frozen(float(draw.choice((0.7, 1.0, 1.3))))
    if draw.random() < 0.3:
        return CubaLIF(frozen(float(draw.choice((0.3, 0.6)))), decay, threshold=threshold)
    return LIF(decay, threshold=threshold)


# ---- faults of chip networks


def _weights(change: Callable[[np.ndarray, np.random.Generator], np.ndarray]) -> Callable[..., ChipNetwork | None]:
    def plant(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork | None:
        p = _into(network, layer)
        if p is None:
            return None
        weights = change(np.array(p.synapses.weights), draw)
        return with_projections(network, p, (replace(p, synapses=replace(p.synapses, weights=weights)),))

    return plant


def _into(network: ChipNetwork, layer: str) -> Projection | None:
    found = [p for p in network.into(layer) if isinstance(p.synapses, Dense | Conv) and p.synapses.weights.shape[1] > 1]
    return found[0] if found else None


def _some_zero(w: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.where(draw.random(w.shape) < 0.4, 0, w)


def _row_zero(w: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    w[int(draw.integers(len(w)))] = 0
    return w


def _large_zero(w: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.where(np.abs(w) < 0.6 * np.abs(w).max(), 0, w)


def _shuffled(w: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return draw.permuted(w.ravel()).reshape(w.shape)


def _bias_lost(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork | None:
    model = network.populations[layer].model
    if isinstance(model, Lif) and model.bias_mant.any():
        return with_model(network, layer, bias_mant=0 * model.bias_mant)
    constant = [p for p in network.into(layer) if p.source == CONSTANT]
    return with_projections(network, constant[0], ()) if constant else None


def _bias_gained(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork:
    model: Any = network.populations[layer].model
    return with_model(network, layer, bias_mant=model.bias_mant + int(0.3 * model.vth.max()) + 1, bias_exp=np.array(6))


def _threshold(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork:
    model: Any = network.populations[layer].model
    return with_model(network, layer, vth=np.maximum(1, (model.vth * draw.choice((0.6, 0.75, 1.3, 1.6))).astype(int)))


def _decay(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork:
    model: Any = network.populations[layer].model
    by = int(draw.choice((-1, 1))) * int(draw.integers(300, 900))
    return with_model(network, layer, dv=np.clip(model.dv + by, 0, 4095))


def _delay(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork | None:
    p = _into(network, layer)
    return None if p is None else with_projections(network, p, (replace(p, delay=p.delay + 1),))


def _lost(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork | None:
    p = _into(network, layer)
    return None if p is None else with_projections(network, p, ())


def _twice(network: ChipNetwork, layer: str, draw: np.random.Generator) -> ChipNetwork | None:
    p = _into(network, layer)
    return None if p is None else with_projections(network, p, (p, replace(p, name=f"{p.name}-again")))


CHIP = {
    "some weights zeroed": (_weights(_some_zero), ("lost", "weights")),
    "one neuron's weights zeroed": (_weights(_row_zero), ("lost", "weights")),
    "small weights vanished": (_weights(_large_zero), ("lost", "weights")),
    "weights doubled": (_weights(lambda w, _: np.clip(2 * w, -254, 254)), ("exponent", "weights", "clipping", "duplicate")),
    "weights halved": (_weights(lambda w, _: 2 * np.trunc(w / 4).astype(int)), ("exponent", "weights")),
    "signs turned": (_weights(lambda w, _: -w), ("sign-mode",)),
    "negative weights cut off": (_weights(lambda w, _: np.maximum(w, 0)), ("sign-mode", "lost", "weights")),
    "weights shuffled": (_weights(_shuffled), ("order", "weights")),
    "wrong threshold": (_threshold, ("threshold",)),
    "wrong decay": (_decay, ("decay",)),
    "lost bias": (_bias_lost, ("bias", "lost")),
    "another bias": (_bias_gained, ("bias",)),
    "shifted delay": (_delay, ("delay",)),
    "lost synapses": (_lost, ("lost",)),
    "synapses twice": (_twice, ("duplicate", "exponent")),
}  # fmt: skip


# ---- faults of graphs


def _node(name: str, **fields: Any) -> Callable[[Graph], Graph]:
    return lambda graph: graph.replace({name: replace(graph.nodes[name], **fields)})


def _synapse(graph: Graph, layer: str) -> str:
    return graph.into(layer)[0].source


def graph_faults(graph: Graph, layer: str, draw: np.random.Generator) -> dict[str, tuple[Graph | None, tuple[str, ...]]]:
    """Every fault that the layer can have."""
    node: Any = graph.nodes[layer]
    inlet = _synapse(graph, layer)
    synapse: Any = graph.nodes[inlet]
    w = np.array(synapse.weight)

    def put(name: str, **fields: Any) -> Graph:
        return graph.replace({name: replace(graph.nodes[name], **fields)})

    edge = next(e for e in graph.edges if e.target == inlet)
    late = graph.replace({}, (replace(e, delay=e.delay + 1) if e == edge else e for e in graph.edges))
    found: dict[str, tuple[Graph | None, tuple[str, ...]]] = {
        "some weights zeroed": (put(inlet, weight=frozen(_some_zero(w, draw))), ("lost", "weights")),
        "one neuron's weights zeroed": (put(inlet, weight=frozen(_row_zero(w.copy(), draw))), ("lost", "weights")),
        "weights shuffled": (put(inlet, weight=frozen(_shuffled(w, draw))), ("order", "weights")),
        "weights doubled": (put(inlet, weight=frozen(2 * w)), ("exponent",)),
        "weights a little off": (put(inlet, weight=frozen(w + draw.normal(0, 0.002, w.shape))), ("rounding", "weights")),
        "one weight another": (put(inlet, weight=frozen(_one(w, draw))), ("weights",)),
        "wrong threshold": (put(layer, threshold=frozen(node.threshold * draw.choice((0.7, 0.95, 1.3)))), ("threshold",)),
        "wrong decay": (put(layer, decay=frozen(node.decay * draw.choice((0.6, 0.9, 1.05)))), ("decay",)),
        "shifted delay": (late, ("delay",)),
        "lost bias": (None if synapse.bias is None else put(inlet, bias=None), ("bias",)),
    }
    if isinstance(node, LIF):
        found["another reset"] = (put(layer, reset="subtract", amount=node.threshold), ("reset-kind",))
        found["another gain"] = (put(layer, gain=frozen(1 - node.decay)), ("exponent",))
    if isinstance(synapse, ir.Conv):
        found["kernel flipped"] = (put(inlet, weight=frozen(w[:, :, ::-1, ::-1])), ("kernel", "order"))
        found["padding on the other side"] = (put(inlet, padding=tuple((q, p) for p, q in synapse.padding)), ("padding",))
    return found


def _one(w: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    x = w.copy()
    x[tuple(int(draw.integers(n)) for n in w.shape)] += 1.0
    return x


# ---- a fault by its seed


def planted(seed: int) -> Planted | None:
    """The fault of a seed; None where the layer that was drawn cannot have it."""
    draw = np.random.default_rng(seed)
    arena = ARENAS[seed % len(ARENAS)]
    graph, network, float_data, chip_data = deployed(int(draw.integers(BASES)))
    layer = str(draw.choice([n for n in graph.order if isinstance(graph.nodes[n], LIF | CubaLIF)]))
    if arena == "graph, graph":
        faults = graph_faults(graph, layer, draw)
        fault = str(draw.choice(list(faults)))
        broken, causes = faults[fault]
        return None if broken is None else Planted(Side("a", graph), Side("b", broken), float_data, layer, f"{arena}: {fault}", causes)
    fault = str(draw.choice(list(CHIP)))
    plant, causes = CHIP[fault]
    try:
        wrong = plant(network, layer, draw)
    except ChipError:
        return None
    if wrong is None:
        return None
    if arena == "chip, chip":
        return Planted(Side("a", network), Side("b", wrong), chip_data, layer, f"{arena}: {fault}", causes)
    return Planted(
        Side("a", graph), Side("b", wrong), float_data, layer, f"{arena}: {fault}", causes, _shows(graph, network, wrong, float_data)
    )


def _shows(graph: Graph, sound: ChipNetwork, wrong: ChipNetwork, data: Feed) -> bool:
    """Whether the fault adds a difference from the graph: rounding parts the sound network from it, too."""
    before, after = (run_both(Side("a", graph), Side("b", network), data) for network in (sound, wrong))
    return any((unequal(after, layer) & ~unequal(before, layer)).any() for layer in after.layers)


def outcome(seed: int) -> tuple[str, str, str]:
    """What ``bisect`` makes of the fault of a seed: the kind of outcome, the fault, and what was said.

    "right", "wrong layer", "wrong cause", "not explained"; "none" where the layer cannot have the fault, "does not show"
    where it changes no compared value.
    """
    p = planted(seed)
    if p is None:
        return "none", "", ""
    found = bisect(p.a, p.b, p.data, shrinking=False).bisection
    if not p.shows or found.equal:
        return "does not show", p.fault, ""
    said = f"{found.culprit}, {found.cause}: {found.suspects[0].words if found.suspects else ''}"
    if found.cause == "unknown":
        return "not explained", p.fault, said
    if found.culprit != p.layer:
        return "wrong layer", p.fault, said
    return ("right" if found.cause in p.causes else "wrong cause"), p.fault, said
