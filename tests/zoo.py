"""Examples of every node of the graph: neurons by name, networks for the layers. Every format, executor and chip is held to them."""

from __future__ import annotations

import dataclasses

import numpy as np

from snndeploy.arrays import frozen
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import BatchNorm, Concat, Conv, Input, Linear, MaxPool, Output, Reshape, Scale, Sum, SumPool
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.change import ChangeLIF
from snndeploy.ir.neurons.clif import CLIF
from snndeploy.ir.neurons.clifspike import CLIFSpike
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.cutcuba import CutCubaLIF
from snndeploy.ir.neurons.exponential import ExponentialIF
from snndeploy.ir.neurons.glif import glif, glif_f
from snndeploy.ir.neurons.host import HostCurrent
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.klif import KLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF, integrate_and_fire
from snndeploy.ir.neurons.mlf import MLF
from snndeploy.ir.neurons.multispike import MultiSpike
from snndeploy.ir.neurons.quadratic import QuadraticIF
from snndeploy.ir.neurons.refractory import RefractoryLIF
from snndeploy.ir.neurons.resonator import ResonateFire
from snndeploy.ir.neurons.scaled_burst import ScaledBurst
from snndeploy.ir.neurons.sigma_delta import SigmaDeltaUnit
from snndeploy.ir.neurons.spike_trace import SpikeTrace
from snndeploy.ir.neurons.ternary import TernaryLIF
from snndeploy.ir.neurons.windowed import WindowedSpike
from snndeploy.ir.rectifier import Relu
from snndeploy.ir.sparse import Sparse

STEPS, BATCH = 8, 6


def eighths(shape, seed=0, low=-8, high=9):
    return np.random.default_rng(seed).integers(low, high, shape) / 8


def chain(shape, **nodes: Node) -> Graph:
    names = ["x", *nodes, "y"]
    return Graph({"x": Input(shape), **nodes, "y": Output("sum")}, tuple(map(Edge, names, names[1:])))


def neurons() -> dict[str, Node]:
    made: dict[str, Node] = {"if": integrate_and_fire(1.5, reset="subtract"), "li": LI(frozen(0.5), rest=frozen(0.25), v_init=frozen(0.5))}
    for reset in ("hard", "subtract", "none"):
        for strict in (False, True):
            name = f"{reset}-{'gt' if strict else 'ge'}"
            common = {"strict": strict, "reset": reset, "v_reset": frozen(0.25), "amount": frozen(0.75)}
            made[f"lif-{name}"] = LIF(
                frozen(0.5), gain=frozen(0.5), threshold=frozen(0.5), rest=frozen(0.125), v_init=frozen([0.5, 0.25, 0, 0, 1.0]), **common
            )
            late = {**common, "v_reset": frozen(0.0)}
            made[f"lif-late-{name}"] = LIF(frozen(0.5), threshold=frozen(0.5), late=True, floor=frozen(-0.5), **late)
            made[f"cuba-{name}"] = CubaLIF(frozen(0.5), frozen(0.5), threshold=frozen(eighths(5, 3, 2, 9)), **common)
            amounts = frozen([0.5, 1.0]) if reset == "subtract" else None
            made[f"burst-{name}"] = Burst(
                frozen(0.5), frozen([0.5, 1.0]), frozen([[1.0] * 5, [1.5, 2, 2.5, 3, 3.5]]), (strict, not strict), reset, amounts=amounts
            )
            made[f"integer-{name}"] = IntegerNeuron(
                frozen(4095.0), frozen(2048.0), frozen([64.0, 192.0]), frozen([1.0, 3.0]), reset=reset,
                amounts=frozen([64.0, 128.0]) if reset == "subtract" else None,
            )  # fmt: skip
    made["mlf"] = MLF(frozen(0.25), frozen([0.5, 1.5, 2.5]), gain=frozen(0.5))
    made["multi"] = MultiSpike(frozen(0.5), threshold=frozen([0.5, 0.25, 1.0, 0.5, 2.0]), floor=frozen(-0.5))
    made |= five()
    one = {"thresholds": frozen([64.0]), "levels": frozen([1.0])}
    made["integer-late"] = IntegerNeuron(
        frozen(3071.0), frozen(0.0), **one, reset="subtract", amounts=frozen([64.0]), late=True, floor=frozen(-256.0)
    )
    made["integer-readout"] = IntegerNeuron(frozen(4095.0), frozen(0.0), frozen(np.zeros((0, 1))), frozen(np.zeros((0, 1))), frozen([32.0]))
    return made


def five() -> dict[str, Node]:
    """GLIF with and without tables, CLIF and its in-place variant, KLIF with k of either sign."""
    half = {"decay": [0.5], "leak": [0.125], "threshold": [0.5], "amount": [0.5], "conduct": [0.5]}
    timed = {**half, "conduct": eighths((STEPS, 5), 8, 1, 9), "threshold": eighths((STEPS, 1), 9, 3, 7)}
    made: dict[str, Node] = {
        "glif": glif((0.5, [0, 0.5, 1.0, 0.5, 0], [1.0, 0.5, 0, 0, 0.5]), **half, strict=False),
        "glif-timed": glif((0.5, 0.5, 0.25), **timed),
        "glif-f": glif_f(**{**half, "conduct": timed["conduct"]}),
    }
    for reset in ("hard", "subtract"):
        common = {"threshold": frozen(0.5), "reset": reset, "v_reset": frozen(0.25), "strict": reset == "hard"}
        made[f"clif-{reset}"] = CLIF(frozen(0.5), frozen(0.5), amount=frozen(0.5), **common)
        made[f"clifspike-{reset}"] = CLIFSpike(frozen(0.75), frozen(0.25), rest=frozen(0.125), amount=frozen(0.5), **common)
        for scaled in (False, True):
            k = frozen([1.0, 0.5, 2.0, -1.0, -0.5])
            made[f"klif-{reset}-{'scaled' if scaled else 'plain'}"] = KLIF(frozen(0.5), k=k, scale_reset=scaled, **common)
    return made


def rarer_neurons() -> dict[str, Node]:
    """Adaptive, ternary, resonating, self-driven and windowed neurons."""
    half = frozen(0.5)
    made: dict[str, Node] = {f"ternary-{r}": TernaryLIF(half, reset=r, v_reset=frozen(0.25)) for r in ("hard", "subtract")}
    for adapts, current, reset in (("threshold", "none", "subtract"), ("membrane", "late", "hard"), ("threshold", "now", "hard")):
        floor = frozen(-0.5) if current == "none" else None
        node = AdaptiveLIF(half, half, half, half, half, reset=reset, current=current, adapts=adapts, floor=floor)
        made[f"adaptive-{adapts}-{current}"] = node
    made["adaptive-amount"] = AdaptiveLIF(half, half, half, reset="subtract", amount=half)
    made["cut-cuba"] = CutCubaLIF(half, half, strict=True, grid=8)
    made["refractory"] = RefractoryLIF(half, half, half, half, half)
    made["refractory-grid"] = RefractoryLIF(half, half, half, half, half, grid=8)
    made["scaled-burst"] = ScaledBurst(half, frozen([0.5, 1.0]), frozen([1.0, 3.0]), frozen([0.0, -1.0]))
    made["immediate"] = ImmediateLIF(half)
    made["immediate-current"] = ImmediateLIF(half, half, current=True)
    made["change"] = ChangeLIF(half)
    for fires in ("phase", "izhikevich", "hard", "subtract"):
        made[f"resonate-{fires}"] = ResonateFire(half, half, fires=fires, grid=8 if fires == "phase" else 0)
    made["sigma-delta"] = SigmaDeltaUnit(half, frozen(0.125), grid=8)
    made["delta"] = SigmaDeltaUnit(half, relu=False, sums=False)
    made["quadratic"] = QuadraticIF(half, frozen(0.0), half, reset="subtract")
    made["recovery"] = QuadraticIF(half, frozen(0.0), half, recovery=True, w_rate=half, a=half, b=half)
    made["exponential"] = ExponentialIF(half, frozen(0.0), half, half, frozen(2.0))
    made["windowed"] = WindowedSpike(eighths((STEPS, 3), 4), np.linspace(0.25, 1.0, STEPS))
    return made


def layers() -> dict[str, Graph]:
    lif = LIF(frozen(0.5), threshold=frozen(0.75))
    pads = ((1, 0), (0, 2))
    conv = Conv(eighths((6, 2, 3, 2), 1), eighths(6, 2), (2, 1), pads, (1, 2), 2)
    pool = ((2, 3), (1, 2), ((1, 0), (0, 1)))
    norm = BatchNorm(frozen(eighths((4, 1, 1), 3)), frozen([[[0.5]], [[1.0]], [[2.0]], [[-1.0]]]), frozen(0.25))
    return {
        "linear": chain((4,), fc=Linear(eighths((5, 4), 1), eighths(5, 2)), n=lif),
        "linear on the last axis": chain((3, 4), fc=Linear(eighths((5, 4), 1)), n=lif),
        "conv": chain((2, 5, 5), conv=Conv(eighths((3, 2, 3, 3), 1), None, (), ((1, 1), (1, 1))), n=lif),
        "conv, groups, dilation, uneven padding": chain((4, 7, 7), conv=conv, n=lif),
        "conv1d": chain((2, 9), conv=Conv(eighths((3, 2, 3), 1), None, (2,), ((1, 1),), (1,)), n=lif),
        "batch norm": chain((4, 3, 3), bn=norm, n=lif),
        "scale": chain((4,), s=Scale(frozen(eighths(4, 5)), frozen(0.5)), t=Scale(frozen(2.0)), n=lif),
        "sum pool": chain((3, 4, 6), p=SumPool((2, 2), (2, 2), ((0, 0), (0, 0)), frozen(0.25)), n=lif),
        "sum pool, overlap, uneven padding": chain((3, 5, 6), p=SumPool(*pool, frozen(0.25)), n=lif),
        "sum pool 1d": chain((3, 9), p=SumPool((3,), (2,), ((0, 0),), frozen(1.0)), n=lif),
        "max pool": chain((3, 4, 6), p=MaxPool((2, 2), (2, 2), ((0, 0), (0, 0))), n=lif),
        "max pool, overlap, uneven padding": chain((3, 5, 6), p=MaxPool(*pool), n=lif),
        "flatten": chain((2, 3, 2), f=Reshape(), fc=Linear(eighths((4, 12), 1)), n=lif, r=Reshape((2, 2))),
        "residual": residual(),
        "concat": concatenated(),
        "recurrent": recurrent(),
        "trace of spikes": chain((4,), a=lif, n=SpikeTrace(frozen(0.5))),
        "rectifier": chain((4,), r=Relu(frozen(0.5)), n=lif),
        "single synapses": chain((4,), s=Sparse([0, 0, 2, 2], [1, 3, 0, 1], eighths(4, 6), 4, 3, eighths(3, 2)), n=lif),
        "host current": chain((4,), h=HostCurrent(frozen(eighths(4, 3) * 8), 1, 2), n=lif),
    }


def residual() -> Graph:
    nodes = {"x": Input((2, 4, 4)), "conv": Conv(eighths((2, 2, 3, 3), 4), None, (), ((1, 1), (1, 1))), "add": Sum(), "y": Output("count")}
    nodes |= {"n1": LIF(frozen(0.5), strict=True), "n2": LIF(frozen(0.5), threshold=frozen(0.75), reset="subtract")}
    edges = [("x", "n1"), ("n1", "conv"), ("conv", "add"), ("x", "add"), ("add", "n2"), ("n2", "y")]
    return Graph(nodes, tuple(Edge(*e) for e in edges), dt=0.001)


def concatenated() -> Graph:
    nodes = {"a": Input((2, 3)), "b": Input((1, 3), static=True), "cat": Concat(), "n": LIF(frozen(0.5)), "y": Output("sum", 3)}
    edges = (Edge("a", "cat", 2, 1), Edge("b", "cat"), Edge("cat", "n"), Edge("n", "y"))
    return Graph(nodes, edges)


def recurrent() -> Graph:
    nodes = {"x": Input((3,)), "fc": Linear(eighths((3, 3), 6)), "n": neurons()["lif-subtract-gt"], "y": Output("last")}
    nodes["n"] = dataclasses.replace(nodes["n"], v_init=frozen(0.0))
    edges = [Edge("x", "n"), Edge("n", "fc", 1), Edge("fc", "n"), Edge("n", "n", 3), Edge("n", "y")]
    return Graph(nodes, tuple(edges))


def plain_neurons() -> dict[str, Node]:
    """What fixed hardware has: no reset value, no initial value, nothing that differs from neuron to neuron."""
    half = frozen(0.5)
    made: dict[str, Node] = {
        f"plain-lif-{'gt' if strict else 'ge'}": LIF(half, threshold=frozen(0.75), strict=strict) for strict in (True, False)
    }
    return {**made, "plain-cuba-gt": CubaLIF(half, half, threshold=frozen(0.75), strict=True), "plain-li": LI(half)}


LAYERS = layers()
NEURONS = {**plain_neurons(), **neurons(), **rarer_neurons()}
ZOO = {**LAYERS, **{name: chain((5,), n=node) for name, node in NEURONS.items()}}


def feed(graph: Graph, seed=0, low=-8, high=17):
    """Eighths for float neurons, whole numbers for integer ones."""
    whole = 8 if graph.named(IntegerNeuron) or graph.named(HostCurrent) else 1
    shapes = {name: (1 if node.static else STEPS, BATCH, *node.shape) for name, node in graph.named(Input).items()}
    return {name: eighths(shape, seed, low, high) * whole for name, shape in shapes.items()}
