"""NIR's primitives without state as nodes, with shapes inferred here: the types stored in files go stale."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from converters import Fact
from converters.nir.primitive import Primitive
from snndeploy.arrays import Floats, Shape, frozen
from snndeploy.errors import ModelError
from snndeploy.ir.graph import Edge, Node
from snndeploy.ir.layers import Conv, Linear, Reshape, Scale, Sum, SumPool
from snndeploy.ir.xp import Pads

MOST_DELAYS = 64


@dataclass(frozen=True, eq=False)
class Part:
    """What one primitive becomes.

    Attributes:
        nodes: by name; the one with the primitive's own name gives its output.
        entries: the nodes that its input enters, each with the steps it arrives late.
        edges: inside the part.
        facts: what is known of it.
        late: steps that its output leaves late.
    """

    nodes: Mapping[str, Node]
    entries: tuple[tuple[str, int], ...]
    edges: tuple[Edge, ...] = ()
    facts: tuple[Fact, ...] = field(default=())
    late: int = 0


def chained(p: Primitive, nodes: tuple[Node, ...], facts: tuple[Fact, ...] = (), late: int = 0) -> Part:
    """Nodes one behind the other; the last has the primitive's name, the others are numbered."""
    names = [*(f"{p.name}.{i}" for i in range(len(nodes) - 1)), p.name]
    edges = tuple(Edge(a, b) for a, b in itertools.pairwise(names))
    return Part(dict(zip(names, nodes, strict=True)), ((names[0], 0),), edges, facts, late)


def linear(p: Primitive, shape: Shape) -> Part:
    """Linear and Affine: y = W x + b on the last axis; W [..., O, I] has one matrix for every leading index."""
    weight = p.floats("weight")
    if weight.ndim < 2:
        raise ModelError(p.where, f"weight has shape {list(weight.shape)}", "a weight is [..., outputs, inputs]")
    lead, (outputs, inputs) = weight.shape[:-2], weight.shape[-2:]
    groups = math.prod(lead)
    if groups == 1:
        return chained(p, (Linear(frozen(weight.reshape(outputs, inputs)), _bias(p, outputs)),))
    if shape != (*lead, inputs):
        raise ModelError(p.where, f"takes {[*lead, inputs]}, but {list(shape)} enters", "check --input-shape and the layer before it")
    shared = np.size(p.fields.get("bias", ())) == outputs
    bias = frozen(np.tile(p.floats("bias").ravel(), groups)) if shared else _bias(p, groups * outputs)
    conv = Conv(frozen(weight.reshape(groups * outputs, inputs, 1)), bias, groups=groups)
    return chained(p, (Reshape((groups * inputs, 1)), conv, Reshape((*lead, outputs))))


def _bias(p: Primitive, outputs: int) -> Floats | None:
    if "bias" not in p.fields:
        return None
    bias = p.floats("bias")
    if bias.size not in (1, outputs):
        raise ModelError(p.where, f"bias has {bias.size} values for {outputs} outputs", "the file contradicts itself")
    return frozen(np.broadcast_to(bias.ravel(), (outputs,)) if bias.size == 1 else bias.ravel())


def scale(p: Primitive, shape: Shape) -> Part:
    """Scale: y = s x elementwise."""
    return chained(p, (Scale(frozen(p.fitted("scale", shape))),))


def conv(p: Primitive, shape: Shape) -> Part:
    """Conv1d and Conv2d: cross-correlation; padding "same" pads d (k - 1) in all, the odd one behind (torch's rule)."""
    weight, axes = p.floats("weight"), 1 if p.kind == "Conv1d" else 2
    if weight.ndim != axes + 2:
        raise ModelError(p.where, f"weight has shape {list(weight.shape)}", f"a {p.kind} weight has {axes + 2} axes")
    stride, dilation = p.per_axis("stride", axes, 1), p.per_axis("dilation", axes, 1)
    groups = p.whole("groups", 1)[0]
    pads, facts = _pads(p, axes, weight.shape[2:], stride, dilation)
    spatial = p.shape("input_shape") if np.size(p.fields.get("input_shape", ())) else None
    if spatial is not None and spatial != shape[1:]:
        facts = (*facts, Fact("input_shape", f"the file says {list(spatial)}, but {list(shape[1:])} enters, which is used", "file"))
    return chained(p, (Conv(frozen(weight), _bias(p, len(weight)), stride, pads, dilation, groups),), facts)


def _pads(p: Primitive, axes: int, kernel: Shape, stride: Shape, dilation: Shape) -> tuple[Pads, tuple[Fact, ...]]:
    padding = p.fields["padding"]
    if not isinstance(padding, str):
        return tuple((n, n) for n in p.per_axis("padding", axes, 0)), ()
    if padding == "valid":
        return ((0, 0),) * axes, ()
    if padding != "same":
        raise ModelError(p.where, f"padding is {padding!r}", "same, valid, or numbers")
    if any(s > 1 for s in stride):
        raise ModelError(p.where, f"padding 'same' with stride {list(stride)} has no agreed meaning", "write the padding as numbers")
    totals = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    pads = tuple((t // 2, t - t // 2) for t in totals)
    odd = any(t % 2 for t in totals)
    return pads, (Fact("padding", f"same: {list(pads)}, the odd one behind (torch)", "ASSUMED"),) if odd else ()


def pool(p: Primitive) -> Part:
    """SumPool2d and AvgPool2d; the mean counts the zeros of the padding, as torch does by default."""
    kernel, stride = p.per_axis("kernel_size", 2, 1), p.per_axis("stride", 2, 1)
    padding = p.per_axis("padding", 2, 0)
    facts: tuple[Fact, ...] = ()
    factor = 1.0
    if p.kind == "AvgPool2d":
        factor = 1.0 / math.prod(kernel)
        if any(padding):
            facts = (Fact("padding", "its zeros count in the mean (torch's count_include_pad)", "ASSUMED"),)
    return chained(p, (SumPool(kernel, stride, tuple((n, n) for n in padding), frozen(factor)),), facts)


def flatten(p: Primitive, shape: Shape, wanted: tuple[int, ...]) -> Part:
    """Flatten: axes ``start_dim`` to ``end_dim`` become one. Most exporters do not count the batch, Norse does.

    ``wanted``: last-axis lengths that the layers behind it take, which tell the two apart.
    """
    start, end = p.whole("start_dim", -LARGEST_AXES, 1)[0], p.whole("end_dim", -LARGEST_AXES, -1)[0]
    plain = _flattened(shape, start, end)
    batched = _flattened((1, *shape), start, end)[1:] if start >= 1 else plain
    if plain == batched or not batched or plain[-1] in wanted or batched[-1] not in wanted:
        facts = () if plain == batched else (Fact("axes", f"{start} to {end} of {list(shape)}, the batch not counted", "ASSUMED"),)
        return chained(p, (Reshape(plain),), facts)
    fact = Fact("axes", f"{start} to {end} with the batch counted: only {list(batched)} fits the next layer", "ASSUMED")
    return chained(p, (Reshape(batched),), (fact,))


LARGEST_AXES = 32


def _flattened(shape: Shape, start: int, end: int) -> Shape:
    """The shape with axes start..end (negative ones from the back, beyond the last: the last) made one."""
    axes = len(shape)
    first = min(max(start + axes if start < 0 else start, 0), axes - 1)
    last = max(min(end + axes if end < 0 else end, axes - 1), first)
    return (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :])


def delay(p: Primitive, shape: Shape, dt: float | None) -> Part:
    """Delay: y(t) = x(t - tau), tau a whole number of steps; neurons with different delays are masked apart."""
    assert dt is not None, "a graph with delays has a step"
    exact = p.fitted("delay", shape) / dt
    steps = np.round(exact)
    if (np.abs(exact - steps) > 1e-4 * np.maximum(steps, 1)).any() or steps.min() < 0 or steps.max() > 2**16:
        what = f"delays of {exact.min():g}..{exact.max():g} steps (dt = {dt:g}) are not whole numbers of steps from 0 to {2**16:,}"
        raise ModelError(p.where, what, "say the step that the delays were made for: --dt")
    kinds = np.unique(steps)
    fact = Fact("delay", f"{', '.join(f'{k:g}' for k in kinds[:8])} steps = delay/dt with dt = {dt:g}", "file")
    if len(kinds) == 1:
        return Part({p.name: Sum()}, ((p.name, int(kinds[0])),), (), (fact,))
    if len(kinds) > MOST_DELAYS:
        raise ModelError(p.where, f"has {len(kinds)} different delays", f"a layer may have {MOST_DELAYS}")
    masks = {f"{p.name}.{int(k)}": int(k) for k in kinds}
    nodes: dict[str, Node] = {name: Scale(frozen(np.broadcast_to(steps, shape) == k)) for name, k in masks.items()}
    return Part({**nodes, p.name: Sum()}, tuple(masks.items()), tuple(Edge(name, p.name) for name in masks), (fact,))
