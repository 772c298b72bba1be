"""Changes of one layer of a float graph: what two graphs hold differently, and what somebody may have built instead."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from snndeploy.arrays import Floats, Shape, frozen, same
from snndeploy.errors import GraphError
from snndeploy.flow.divergence.chip_changes import permutations
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Conv, Input, Linear, Reshape

Change: TypeAlias = tuple[str, str, Callable[[], Graph]]
CLASSES = {
    "threshold": "threshold", "thresholds": "threshold", "strict": "tie", "reset": "reset-kind", "late": "reset-late",
    "v_reset": "reset-kind", "amount": "reset-kind", "amounts": "reset-kind", "decay": "decay", "current_decay": "decay",
    "decay_factor": "decay", "gain": "exponent", "current_gain": "exponent", "scale": "exponent", "bias": "bias", "shift": "bias",
    "mean": "bias", "rest": "bias", "v_init": "start", "padding": "padding", "floor": "saturation",
}  # fmt: skip
"""The class of a field that differs; of weights it depends on how, of any other it is the structure."""


def made(change: Change) -> Graph | None:
    """The changed layer; None where no such graph can be."""
    try:
        return change[2]()
    except (GraphError, ValueError, TypeError):
        return None


def differences(a: Graph, b: Graph) -> Iterator[Change]:
    """What turns the layer of ``a``, alone, into that of ``b``: one field of one node at a time, the edges, then all of it."""
    for name in a.nodes.keys() & b.nodes.keys():
        p, q = a.nodes[name], b.nodes[name]
        if type(p) is type(q) and not isinstance(p, Input):
            for field in (f.name for f in dataclasses.fields(p) if not same(getattr(p, f.name), getattr(q, f.name))):
                cause, words = _classed(field, getattr(p, field), getattr(q, field))
                yield cause, f"{name}.{field}: {words}", partial(with_field, a, name, field, getattr(q, field))
            yield from _together(a, name, p, q)
        elif p != q and not isinstance(p, Input):
            yield "structure", f"{name}: {type(p).__name__} against {type(q).__name__}", partial(a.replace, {name: q})
    if a.nodes.keys() == b.nodes.keys() and a.edges != b.edges:
        ends = {(e.source, e.target, e.port) for e in a.edges} == {(e.source, e.target, e.port) for e in b.edges}
        words = "; ".join(f"{e} on one side only" for e in sorted({*a.edges} ^ {*b.edges})[:4])
        yield "delay" if ends else "structure", words, lambda: a.replace({}, b.edges)
    yield "structure", "the whole layer is another", lambda: b


def _together(a: Graph, name: str, p: Node, q: Node) -> Iterator[Change]:
    """Fields of one class that differ, at once: a reset is its kind, its value and its amount."""
    apart = [f.name for f in dataclasses.fields(p) if not same(getattr(p, f.name), getattr(q, f.name))]
    for cause in dict.fromkeys(CLASSES[field] for field in apart if field in CLASSES):
        both = [field for field in apart if CLASSES.get(field) == cause]
        if len(both) > 1:
            words = "; ".join(f"{name}.{f}: {_show(getattr(p, f))} against {_show(getattr(q, f))}" for f in both)
            yield cause, words, partial(with_fields, a, name, {field: getattr(q, field) for field in both})


def with_field(graph: Graph, node: str, field: str, value: Any) -> Graph:
    """The graph with one field of one node changed."""
    return with_fields(graph, node, {field: value})


def with_fields(graph: Graph, node: str, fields: Mapping[str, Any]) -> Graph:
    """The graph with several fields of one node changed."""
    return graph.replace({node: replace(graph.nodes[node], **fields)})


def _classed(field: str, p: Any, q: Any) -> tuple[str, str]:
    if field == "weight":
        return _weights(p, q)
    return CLASSES.get(field, "structure"), f"{_show(p)} against {_show(q)}"


def _weights(w: Floats, x: Floats) -> tuple[str, str]:
    if w.shape != x.shape:
        return "structure", f"shape {list(w.shape)} against {list(x.shape)}"
    apart = np.argwhere(w != x)
    at = tuple(int(i) for i in apart[0])
    words = f"{len(apart)} of {w.size} differ, first at {list(at)}: {w[at]:g} against {x[at]:g}"
    if np.array_equal(np.sort(w, axis=None), np.sort(x, axis=None)):
        return "order", f"the same weights in another order; {words}"
    ratio = x[w != 0] / w[w != 0]
    if ratio.size and (ratio == ratio[0]).all() and not x[w == 0].any():
        return "exponent", words
    if not x[w != x].any():
        return "lost", words
    return "rounding" if np.abs(w - x).max() < 0.01 * np.abs(w).max() else "weights", words


def _show(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return str(value)
    return (
        f"{value.flat[0]:g}" if value.size and (value == value.flat[0]).all() else f"{list(value.shape)} {value.min():g}..{value.max():g}"
    )


def changes(graph: Graph, layer: str) -> Iterator[Change]:
    """Every change of a layer that stands alone, where no second graph says what it is."""
    for name in graph.order:
        node = graph.nodes[name]
        for cause, words, fields in _neuron(node) if name == layer else _synapse(node, graph, name):
            yield cause, f"{name}: {words}", partial(with_fields, graph, name, fields)
    for edge in graph.edges:
        for delay in {0, edge.delay - 1, edge.delay + 1} - {edge.delay}:
            if delay >= 0:
                yield "delay", f"{edge} with a delay of {delay}", partial(_delayed, graph, edge, delay)


def _delayed(graph: Graph, edge: Edge, delay: int) -> Graph:
    return graph.replace({}, (replace(e, delay=delay) if e == edge else e for e in graph.edges))


def _neuron(node: Node) -> Iterator[tuple[str, str, dict[str, Any]]]:
    if isinstance(strict := getattr(node, "strict", None), bool):
        yield "tie", "v >= threshold fires" if strict else "only v > threshold fires", {"strict": not strict}
    kind = getattr(node, "reset", None)
    for other in ("hard", "subtract", "none") if kind in ("hard", "subtract", "none") else ():
        if other != kind:
            yield "reset-kind", f"reset {other}", {"reset": other}
    if isinstance(late := getattr(node, "late", None), bool):
        yield "reset-late", "the reset acts in the step of the spike" if late else "the reset acts one step late", {"late": not late}
    for field, cause in (("rest", "bias"), ("v_init", "start"), ("v_reset", "reset-kind")):
        if np.any(getattr(node, field, 0.0)):
            yield cause, f"{field} is 0", {field: frozen(0.0)}
    if hasattr(node, "gain") and hasattr(node, "decay"):
        yield "exponent", "the input is scaled by 1 - decay", {"gain": frozen(1.0 - node.decay)}
        yield "exponent", "the input is not scaled", {"gain": frozen(1.0)}


def _synapse(node: Node, graph: Graph, name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for field in ("bias", "shift"):
        if np.any(getattr(node, field, None)):
            yield "bias", f"the {field} is lost", {field: None}
    if isinstance(node, Linear):
        for words, order in permutations(_before(graph, name)):
            if len(order) == node.weight.shape[1]:
                yield "order", f"the input is flattened in the axis order {words}", {"weight": frozen(node.weight[:, order])}
    if isinstance(node, Conv):
        spatial = tuple(range(2, node.weight.ndim))
        yield "kernel", "the kernels are flipped", {"weight": frozen(np.flip(node.weight, spatial))}
        if len(spatial) == 2:
            yield "kernel", "the kernels are transposed", {"weight": frozen(node.weight.swapaxes(2, 3))}
        yield "padding", "the padding is on the other side", {"padding": tuple((q, p) for p, q in node.padding)}
        yield "channels", "the input channels are counted backwards", {"weight": frozen(np.flip(node.weight, 1))}
        yield "channels", "the output channels are counted backwards", {"weight": frozen(np.flip(node.weight, 0))}


def _before(graph: Graph, name: str) -> Shape:
    """The shape of what a node reads, before it was flattened."""
    edge = graph.into(name)[0]
    while isinstance(graph.nodes[edge.source], Reshape):
        edge = graph.into(edge.source)[0]
    return graph.shapes[edge.source]
