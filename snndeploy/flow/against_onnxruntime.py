"""What onnxruntime computes from a saved file, held against our own runs: a float graph in float32, a chip network in integers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork
from snndeploy.data import Encoding, Samples
from snndeploy.errors import ModelError
from snndeploy.flow.feeding import Feed, describe_inputs, feed
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.paths import neurons
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import inject
from snndeploy.sim.reference import run_reference, stepper
from snndeploy.trace import Trace
from snndeploy.verdict import Pair
from snndeploy.verify import compare, compare_float, rounding_margins

SAMPLES = 32
"""At most this many: error intervals are slow."""
VALUES = 1 << 24
"""At most about this many state words are compared, but always those of one sample."""


def onnx_pair(graph: Graph, samples: Samples, steps: int | None, encoding: Encoding, seed: int) -> Pair:
    """The float64 reference against onnxruntime running the saved graph; rounding is bounded and counted."""
    from converters.onnx import to_bytes  # noqa: PLC0415 - loads onnx, and only this comparison needs it
    from snndeploy.sim.ort import run_onnxruntime  # noqa: PLC0415 - loads onnxruntime

    data = feed(samples, {n: node.shape for n, node in graph.named(Input).items()}, steps, encoding, seed).first(SAMPLES)
    graph, _ = describe_inputs(graph, data)
    if not neurons(graph):
        raise ModelError("model", "has no neuron to compare", "verify a spiking network")
    margins = rounding_margins(graph, data.inputs, data.steps, stepper)
    ours = run_reference(graph, data.inputs, data.steps)
    theirs = run_onnxruntime(to_bytes(graph), data.inputs, data.steps)
    return compare_float(ours, theirs, margins)


def integer_onnx_pair(network: ChipNetwork, data: Feed) -> Pair:
    """onnxruntime running the saved chip network against the chip simulator: every spike and every state word, equal or not."""
    count = sum(p.size for p in network.populations.values()) * max(1, data.steps)
    return integer_pair_of(network, inject(network, data.first(min(SAMPLES, max(1, VALUES // count))).inputs))


def integer_pair_of(network: ChipNetwork, values: dict[str, NDArray[np.int64]], steps: int | None = None) -> Pair:
    """As ``integer_onnx_pair``, of whole numbers as ``run_chip`` takes them."""
    from converters.onnx import to_bytes  # noqa: PLC0415 - loads onnx, and only this comparison needs it
    from snndeploy.sim.ort import run_onnxruntime  # noqa: PLC0415 - loads onnxruntime

    ours = run_chip(network, values, steps=steps, states=True)
    theirs = run_onnxruntime(to_bytes(network), values, ours.steps, states=True)
    order = [key for name in network.populations for key in (name, *(k for k in ours.states if k.rsplit(".", 1)[0] == name))]
    inputs = {name for name, p in network.populations.items() if isinstance(p.model, HostInput)}
    names = [key for key in order if key not in inputs]
    mine, other = (Trace(t.engine, t.steps, t.samples, {}, {**t.outputs, **t.states}) for t in (ours, theirs))
    pair = compare(other, mine, names, shifts={}, grade=network.grade)
    return replace(pair, a="onnxruntime, integers", b="chip simulator")
