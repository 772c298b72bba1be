"""ChipNetwork <-> ONNX: one chip step, integers only, as nodes of domain ``ai.snndeploy.chip``.

The node schema. All values are int32 [B, *shape], the batch dynamic; a node's static fields are its attributes:

    <population>            what a population sends at this step; a HostInput's is a graph input
    <population>.<word>     a state word before the step, ``<population>.<word>.next`` after it
    <population>.ago<k>     what it sent k steps ago, ``<population>.ago<k>.next`` after the step
    Dense, Conv, Sparse     (source ago 1 + delay [, one step earlier for each further synaptic delay], arrays in the
                            order of the class's fields) -> the sum, exponent applied, that arrives now
    Wire                    (source, ``delay`` steps ago) -> the value that arrives now, or the bias mantissas
    Lif, TernaryLif, SigmaDelta, Resonator, NeuronProgram
                            (``arriving`` sums in the order of the projections, state words, arrays in the order of the
                            class's fields) -> what it sends, the state words afterwards

What the host computes (``HostLayer``) is no node: it stands in the metadata, its arrays among the initializers.
Arithmetic of each node: the docstrings of ``snndeploy.chip``. These nodes have no function bodies yet, so Netron
shows the file and onnxruntime does not run it: an integer body for each operator goes into the model's
``functions`` (as ``converters.onnx.model`` does for neurons) and changes nothing else here but ``SCHEMA``.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from onnx import NodeProto, TensorProto, ValueInfoProto, helper

from converters.onnx.files import tensor
from converters.onnx.functions import OPSET
from converters.onnx.model import IR_VERSION, check_names, finish
from converters.onnx.structure import Arrays, decode, encode, kinds, text
from snndeploy.chip.models import HostInput, Model, Resonator, SigmaDelta
from snndeploy.chip.network import ChipNetwork, Projection, Wire
from snndeploy.chip.program import NeuronProgram

DOMAIN = "ai.snndeploy.chip"


def emit(network: ChipNetwork, version: str) -> bytes:
    """The saved model's bytes: the same network gives the same bytes. Raises ``Unsupported`` as for graphs."""
    arrays: Arrays = {}
    structure = text(encode(network, "chip", arrays))
    states = [state for name, p in network.populations.items() for state in _states(name, p.model)]
    histories = _histories(network)
    nodes = [_projection(network, i) for i in range(len(network.projections))]
    nodes += [_population(network, name, arrays) for name, p in network.populations.items() if name not in network.inputs()]
    nodes += [helper.make_node("Identity", [newer], [f"{name}.next"], name=f"{name}.next") for name, newer in histories]
    before = [*(s[0] for s in states), *(h[0] for h in histories)]
    inputs = [*before, *network.inputs()]
    outputs = [*(f"{name}.next" for name in before), *(n for n in network.populations if n not in network.inputs())]
    check_names([*inputs, *arrays, *(name for node in nodes for name in node.output)])
    graph = helper.make_graph(
        nodes, "chip", [_info(network, n) for n in inputs], [_info(network, n) for n in outputs], [tensor(n, v) for n, v in arrays.items()]
    )
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="snndeploy", producer_version=version, ir_version=IR_VERSION)
    run = {
        "inputs": {n: [n, p.model.static] for n, p in network.inputs().items() if isinstance(p.model, HostInput)},
        "outputs": {n: n for n in network.populations if n not in network.inputs()},
        "state": [[name, f"{name}.next", initial] for name, initial in [*states, *((h[0], 0) for h in histories)]],
        "scan": False,
    }
    return finish(model, "chip", structure, arrays, {"run": text(run)})


def rebuild(structure: str, arrays: Mapping[str, Any]) -> ChipNetwork:
    """The ChipNetwork that ``structure`` and the initializers describe; anything else has no ``projections``."""
    network = decode(json.loads(structure), arrays, kinds("chip"))
    if not isinstance(network, ChipNetwork):
        raise TypeError("not a chip network")
    return network


def _states(name: str, model: Model) -> list[tuple[str, Any]]:
    """(value, initial number or the initializer that holds it) of every state word."""
    if isinstance(model, HostInput):
        return []
    if isinstance(model, NeuronProgram):
        return [(f"{name}.{word}", initial) for word, initial in model.state.items()]
    if isinstance(model, SigmaDelta):
        return [(f"{name}.{word}", 0) for word in ("sigma", "act", "residue", "error")]
    if isinstance(model, Resonator):
        return [(f"{name}.{word}", 0) for word in ("re", "im")]
    return [(f"{name}.{word}", {"array": f"chip.populations.{name}.model.{word}"}) for word in ("u", "v")]


def _ages(projection: Projection) -> range:
    """How many steps ago the spikes were sent that this projection reads."""
    if isinstance(projection.synapses, Wire):
        return range(projection.delay, projection.delay + 1)
    delays = getattr(projection.synapses, "delays", None)
    further = 0 if delays is None else int(delays.max(initial=0))
    return range(1 + projection.delay, 2 + projection.delay + further)


def _histories(network: ChipNetwork) -> list[tuple[str, str]]:
    """(``<population>.ago<k>``, the value that becomes it) as far back as a projection reads."""
    oldest: dict[str, int] = {}
    for p in network.projections:
        oldest[p.source] = max(oldest.get(p.source, 0), _ages(p)[-1])
    return [(f"{s}.ago{k}", s if k == 1 else f"{s}.ago{k - 1}") for s, last in oldest.items() for k in range(1, last + 1)]


def _projection(network: ChipNetwork, index: int) -> NodeProto:
    p, path = network.projections[index], f"chip.projections.{index}"
    held: Arrays = {}
    encode(p.synapses, f"{path}.synapses", held)
    sent = [f"{p.source}.ago{k}" if k else p.source for k in _ages(p)]
    attributes = _attributes(p.synapses) | {"exponent": p.exponent, "delay": p.delay, "graded": int(p.graded), "port": p.port}
    node = helper.make_node(type(p.synapses).__name__, [*sent, *held], [path], name=p.name, domain=DOMAIN)
    node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in sorted(attributes))
    return node


def _population(network: ChipNetwork, name: str, arrays: Arrays) -> NodeProto:
    model = network.populations[name].model
    words = [value for value, _ in _states(name, model)]
    sums = [f"chip.projections.{i}" for i, p in enumerate(network.projections) if p.target == name]
    own = [path for path in arrays if path.startswith(f"chip.populations.{name}.model.")]
    attributes = _attributes(model) | {"arriving": len(sums)}
    outputs = [name, *(f"{word}.next" for word in words)]
    node = helper.make_node(type(model).__name__, [*sums, *words, *own], outputs, name=name, domain=DOMAIN)
    node.attribute.extend(helper.make_attribute(key, attributes[key]) for key in sorted(attributes))
    return node


def _attributes(noun: Any) -> dict[str, Any]:
    """The fields that are no arrays. Floats are rounded to float32 here; the metadata holds them exactly."""
    values = {f.name: getattr(noun, f.name) for f in dataclasses.fields(noun)}
    shown: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, bool | int | float | str):
            shown[key] = int(value) if isinstance(value, bool) else value
        elif isinstance(value, tuple) and value:
            shown[key] = [n for v in value for n in (v if isinstance(v, tuple) else (v,))]
            shown[key] = [v if isinstance(v, int) else str(v) for v in shown[key]]
    return shown


def _info(network: ChipNetwork, value: str) -> ValueInfoProto:
    owner = max((n for n in network.populations if value == n or value.startswith(f"{n}.")), key=len)
    return helper.make_tensor_value_info(value, TensorProto.INT32, ["batch", *network.populations[owner].shape])
