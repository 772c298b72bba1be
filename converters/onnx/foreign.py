"""ONNX files of other tools: feed-forward (artificial) networks read as a Graph.

Every value of the file is a constant or features of a node of ours (``values.Live``). What is computed from constants
alone is folded; what only rearranges values moves indices; the rest is one function an operator, in ``operators.TABLE``. What is
not there is refused with the node, the operator and the reason. The batch is the first axis of every input; where the
file leaves it open it is taken as 2 while reading, and every rearrangement is shown to keep the samples apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto

from converters import Fact, LayerSource, Loaded, Options
from converters.onnx import scanning
from converters.onnx.drafting import Drafting
from converters.onnx.net import Net, prepare
from converters.onnx.operators import read
from converters.onnx.pairing import find
from converters.onnx.parts import batch_of, in_order, inlined, input_shape, opset_of, tensor
from converters.onnx.steps import one_step
from converters.onnx.values import Live
from converters.onnx.witness import witness
from snndeploy.arrays import Shape
from snndeploy.errors import ModelError, Unsupported
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input, Output
from snndeploy.options import same_shape


def load(model: ModelProto, where: str, options: Options) -> Loaded:
    """The network of a file that snndeploy did not write.

    Raises:
        ModelError: damaged, not self-contained, or of an operator set that is not read.
        Unsupported: an operator without a meaning here, with the node's name.
    """
    options.only("an ONNX file of another tool", "input_shape", "state")
    if model.functions:
        model = inlined(model, where)
    opset = opset_of(model, where)
    constants = {i.name: tensor(i, where) for i in model.graph.initializer}
    if model.graph.sparse_initializer:
        raise Unsupported(where, "keeps weights as sparse tensors", "export dense weights")
    infos = [i for i in model.graph.input if i.name not in constants]
    if not infos:
        raise ModelError(where, "has no input", "the data must enter somewhere")
    if scanning.loops(model.graph.node):
        ordered = in_order(model.graph, {*constants, *(i.name for i in infos)}, where)
        return scanning.load(model, ordered, constants, opset, options, where)
    shapes = {i.name: input_shape(i, options, len(infos), where) for i in infos}
    same_shape(options.input_shape, shapes, where)
    batch, nodes = batch_of(infos, where), in_order(model.graph, {*constants, *shapes}, where)
    net = _one_step(model.graph, nodes, constants, shapes, opset, batch, options)
    if net is not None:
        read_net, outputs = one_step(net)
        seen = witness(model, net, outputs, read_net.spikes, options.timesteps)
        return Loaded(read_net.graph, read_net.semantics, read_net.notes, options.timesteps, seen, read_net.probed)
    options.only("a feed-forward ONNX file", "input_shape")
    draft = Drafting(opset, batch)
    draft.values |= constants
    for name, shape in shapes.items():
        draft.nodes[name], draft.shapes[name] = Input(shape), shape
        draft.values[name] = Live(name, shape)
    for node in nodes:
        read(draft, node, [o.name for o in model.graph.output])
    _outputs(draft, model.graph, where)
    graph = Graph(draft.nodes, tuple(draft.edges))
    return Loaded(graph, _semantics(graph, draft), tuple(draft.notes), options.timesteps)


def _one_step(
    graph: GraphProto,
    nodes: Sequence[NodeProto],
    constants: Mapping[str, NDArray[Any]],
    shapes: Mapping[str, Shape],
    opset: int,
    batch: int,
    options: Options,
) -> Net | None:
    """The graph as a step with states; None where it has no states."""
    if len(shapes) < 2 and not options.state:
        return None
    outputs = [o.name for o in graph.output]
    net = prepare(nodes, constants, {name: (batch, *shape) for name, shape in shapes.items()}, outputs, opset, batch)
    pairs = find(net, options.state)
    return replace(net, pairs=pairs) if pairs else None


def _outputs(draft: Drafting, graph: GraphProto, where: str) -> None:
    if not graph.output:
        raise ModelError(where, "has no output", "export the model again")
    for info in graph.output:
        value = draft.values.get(info.name)
        if not isinstance(value, Live):
            raise Unsupported(f"output {info.name}", "does not depend on the data", "remove it from the exported model")
        name = info.name if info.name not in draft.nodes else f"{info.name}.out"
        draft.add(name, Output("sum"), [draft.straight(value)])


def _semantics(graph: Graph, draft: Drafting) -> tuple[LayerSource, ...]:
    made = [n for n in graph.order if n in draft.kinds]
    return tuple(LayerSource(n, str(graph.nodes[n]), draft.kinds[n], (Fact("operator", draft.kinds[n], "file"),)) for n in made)
