"""One step of a spiking network, its states as inputs and outputs: layers as they are, neurons written out as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from onnx import NodeProto

from converters import Fact, LayerSource
from converters.onnx import pairing
from converters.onnx.cells import Cell, cut
from converters.onnx.drafting import Drafting
from converters.onnx.identifying import Found, compact, facts, identify
from converters.onnx.net import Net
from converters.onnx.operators import read
from converters.onnx.values import Live
from snndeploy.arrays import Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input, Output, Scale, Sum


@dataclass(frozen=True, eq=False)
class Read:
    """A step as a graph, with what each of its nodes was, what was taken for granted, and what running its parts showed.

    ``spikes``: a value of the file -> the neuron of the graph that sends it.
    """

    graph: Graph
    semantics: tuple[LayerSource, ...]
    notes: tuple[str, ...]
    probed: tuple[str, ...] = ()
    spikes: Mapping[str, str] = field(default_factory=dict)


def read_step(net: Net, outputs: Sequence[tuple[str, Output]]) -> Read:
    """The step as a graph; ``outputs`` are the values that leave it, each with how its steps are read.

    Raises:
        Unsupported: a layer or neuron without a meaning here, with its node's name.
    """
    draft = Drafting(net.opset, net.batch)
    draft.values |= net.constants
    fed_back = [before for before in net.pairs if _crosses_a_layer(net, before)]
    for name, shape in net.inputs.items():
        if name not in net.pairs or name in fed_back:
            draft.nodes[name], draft.shapes[name] = Input(shape[1:]), shape[1:]
            draft.values[name] = Live(name, shape[1:])
    told: dict[str, LayerSource] = {}
    spikes: dict[str, str] = {}
    last = [net.real(name) for name, _ in outputs]
    for item in cut(net, [*last, *(net.real(net.pairs[name]) for name in fed_back)]):
        if isinstance(item, NodeProto):
            read(draft, item, last)
        else:
            found = _neuron(draft, item, told, last)
            spikes.update({value: node for value, node in found.items() if value in item.spikes})
    for name in fed_back:
        _close(draft, name, draft.values.get(net.real(net.pairs[name])))
    for name, decoded in outputs:
        _leave(draft, name, decoded, draft.values.get(net.real(name)))
    graph = Graph(draft.nodes, tuple(draft.edges))
    sources = tuple(_source(n, graph.nodes[n], draft, told) for n in graph.order if n in draft.kinds)
    return Read(graph, sources, tuple(draft.notes), tuple(draft.probed), spikes)


def _source(name: str, node: Node, draft: Drafting, told: dict[str, LayerSource]) -> LayerSource:
    return told.get(name) or LayerSource(name, str(node), draft.kinds[name], (Fact("operator", draft.kinds[name], "file"),))


def _crosses_a_layer(net: Net, before: str) -> bool:
    """Whether the state comes back as spikes through synapses, not within a neuron."""
    return not any(before in cell.states for cell in cut(net, ()) if isinstance(cell, Cell))


def _neuron(draft: Drafting, cell: Cell, told: dict[str, LayerSource], last: Sequence[str]) -> dict[str, str]:
    """Add the neuron that a cell is; gives the value that leaves it, and the node that has it."""
    found = identify(cell)
    _only_what_it_gives(cell, found, last, draft)
    source = _entering(draft, cell, found)
    name = pairing.plain(next(iter(cell.states))).replace(" ", "") or "neuron"
    made = source
    for node in found.chain:
        made = draft.add(name if node is found.chain[-1] else f"{name}.current", node, [made.node], "neuron")
        told[made.node] = LayerSource(made.node, str(node), cell.operators, facts(node))
    draft.probed.append(f"{cell.where} and what leads to it = {type(found.chain[-1]).__name__} {made.node!r}: {found.trial}")
    draft.values[found.gives] = made
    for before, after in cell.states.items():
        draft.values.setdefault(before, None)
        draft.values.setdefault(after, None)
    return {found.gives: made.node}


def _only_what_it_gives(cell: Cell, found: Found, last: Sequence[str], draft: Drafting) -> None:
    for name in cell.leaving:
        if name == found.gives:
            continue
        if name in last and found.gives in cell.spikes:
            draft.notes.append(f"output {name} shows a membrane, not spikes: it is left out")
        else:
            what = f"gives its inner value {name!r} to other layers"
            raise Unsupported(cell.where, what, "between layers only spikes (or a read-out's membrane) are carried")


def _entering(draft: Drafting, cell: Cell, found: Found) -> Live:
    """What drives the neuron: the weighted sum of what enters it."""
    sources: list[str] = []
    shapes: set[Shape] = set()
    for name in cell.entering:
        value = draft.values.get(name)
        if not isinstance(value, Live):
            raise Unsupported(cell.where, f"reads {name!r}, which does not depend on the data", "the data must enter there")
        made = Live(draft.straight(value), value.shape)
        if not (found.weights[name] == 1).all():
            made = draft.add(f"{made.node}.weighted", Scale(compact(found.weights[name])), [made.node])
        sources.append(made.node)
        shapes.add(made.shape)
    if len(shapes) > 1:
        raise Unsupported(
            cell.where, f"adds {' and '.join(map(str, sorted(shapes)))} a sample", "all that enters a neuron must have one shape"
        )
    if len(sources) == 1:
        return Live(sources[0], shapes.pop())
    return draft.add(f"{sources[0]}.sum", Sum(), [sources])


def _close(draft: Drafting, name: str, value: object) -> None:
    """Feed a neuron's output back one step later, in place of the input that held it."""
    if not isinstance(value, Live):
        raise Unsupported(f"state {name}", "holds nothing that a neuron gives", "feed back spikes")
    source = draft.straight(value)
    if draft.shapes[source] != draft.shapes[name]:
        raise Unsupported(f"state {name}", f"has the shape {draft.shapes[name]}, its new value {draft.shapes[source]}", "check the export")
    draft.edges = [Edge(source, e.target, e.delay + 1, e.port) if e.source == name else e for e in draft.edges]
    del draft.nodes[name]


def _leave(draft: Drafting, name: str, decoded: Output, value: object) -> None:
    if value is None:
        return
    if not isinstance(value, Live):
        raise Unsupported(f"output {name}", "does not depend on the data", "remove it from the exported model")
    draft.add(name if name not in draft.nodes else f"{name}.out", decoded, [draft.straight(value)])


def one_step(net: Net) -> tuple[Read, dict[str, str]]:
    """A graph that is one step as a whole, and the outputs by their names there and in the graph."""
    leaving = [name for name in net.outputs if name not in net.pairs.values()]
    leaving = leaving or [_final_state(net)]
    made = read_step(net, [(name, Output("none")) for name in leaving])
    kept = {name: name if isinstance(made.graph.nodes.get(name), Output) else f"{name}.out" for name in leaving}
    kept = {name: node for name, node in kept.items() if node in made.graph.nodes}
    if not kept:
        raise Unsupported("outputs", "none is left besides the states", "export the spikes or the read-out as an output too")
    note = f"the states {', '.join(f'{a} -> {b}' for a, b in net.pairs.items())} start at 0 (--state changes which belong together)"
    return replace(made, notes=(note, *made.notes)), kept


def _final_state(net: Net) -> str:
    """The state that shows what the last neuron gives. Raises ``Unsupported`` where there is no such neuron or state."""
    cells = [item for item in cut(net, ()) if isinstance(item, Cell)]
    ends = [cell for cell in cells if not cell.leaving]
    given = {name for cell in ends for name in (cell.spikes or [list(cell.states.values())[-1]])}
    shown = [name for name in net.outputs if net.real(name) in given]
    if len(ends) != 1 or not shown:
        raise Unsupported("outputs", "none is left besides the states", "export the spikes or the read-out as an output too")
    return shown[0]
