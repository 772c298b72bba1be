"""Flat NIR graph -> Graph: shapes first entered, one part a primitive, loops opened, everything said."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping

from converters import Fact, LayerSource, Loaded, Options
from converters.nir import layers
from converters.nir.cycles import cut
from converters.nir.flatten import Flat, Pair
from converters.nir.hdf5 import File
from converters.nir.layers import Part
from converters.nir.neurons import neuron
from converters.nir.primitive import LARGEST, SPIKING, STATEFUL, Primitive
from converters.nir.readings import Chosen, choose, own
from snndeploy.arrays import Shape
from snndeploy.errors import GraphError, ModelError, NoEffect, OptionError
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input, Output, Sum


def build(flat: Flat, options: Options, where: str, file: File) -> Loaded:
    """The network of a file, and what was read, chosen and assumed.

    Raises:
        ModelError: contradictions in the file, or something it cannot say and no option says.
    """
    flat = _with_ends(flat, where)
    stateful = [flat.nodes[name] for name in sorted(flat.nodes) if flat.nodes[name].kind in STATEFUL]
    _check_heard(options, stateful)
    delays = any(node.kind == "Delay" for node in flat.nodes.values())
    chosen = choose(stateful, delays, options, where, own(file.metadata))
    parts, shapes = _parts(flat, chosen, options, where)
    waiting = _waiting(flat, parts)
    inputs = [name for name, node in flat.nodes.items() if node.kind == "Input"]
    loops = cut(flat.edges, waiting, inputs, [s.name for s in stateful], where)
    graph = _graph(flat, parts, {**waiting, **dict.fromkeys(loops, 1)}, chosen.seconds, where)
    notes = [*_said(chosen, stateful, file.version), *_loop_notes(loops), *flat.notes, *_outranked(flat, options), *_stale(flat, shapes)]
    return Loaded(graph, tuple(_sources(graph, flat, parts, loops)), tuple(notes), options.timesteps)


def _check_heard(options: Options, stateful: list[Primitive]) -> None:
    """Raise ``NoEffect`` for words about neurons where there are none that they could be about."""
    if options.source is not None and not stateful:
        raise NoEffect("--source", "changes nothing of this file: it has no neurons", "leave it out")
    if options.reset is not None and not any(p.kind in SPIKING and p.resets for p in stateful):
        raise NoEffect("--reset", "changes nothing of this file: it has no neurons that reset", "leave it out")


def _with_ends(flat: Flat, where: str) -> Flat:
    """Files of one node, and old ones, have no Input or Output: the only beginning and the only end get one."""
    nodes, edges, notes = dict(flat.nodes), list(flat.edges), list(flat.notes)
    for kind, open_ends in (("Input", [n for n in nodes if not flat.before[n]]), ("Output", [n for n in nodes if not flat.after[n]])):
        if any(node.kind == kind for node in flat.nodes.values()):
            continue
        if len(open_ends) != 1:
            raise ModelError(
                where, f"has no {kind}, and {len(open_ends)} nodes could be where it belongs", "write the graph with its Input and Output"
            )
        name = next(n for n in (kind.lower(), f"nir_{kind.lower()}") if n not in nodes)
        nodes[name] = Primitive(name, kind, {}, where)
        edges.append((name, open_ends[0]) if kind == "Input" else (open_ends[0], name))
        notes.append(f"the file has no {kind}; one was put at {open_ends[0]}")
    return Flat(nodes, tuple(sorted(edges)), flat.declared, tuple(notes))


def _parts(flat: Flat, chosen: Chosen, options: Options, where: str) -> tuple[dict[str, Part], dict[str, Shape]]:
    """Every primitive as nodes, made when the shape of something that enters it is known."""
    shapes = _input_shapes(flat, options)
    parts: dict[str, Part] = {name: Part({name: Input(shape)}, ()) for name, shape in shapes.items()}
    queue = deque((name, target) for name in sorted(parts) for target in flat.after[name])
    while queue:
        source, name = queue.popleft()
        if name in parts:
            continue
        parts[name] = _part(flat.nodes[name], shapes[source], chosen, flat)
        shapes[name] = _shape_behind(parts[name], shapes[source], flat.nodes[name].where)
        queue.extend((name, target) for target in flat.after[name])
    missing = sorted(set(flat.nodes) - set(parts))
    if missing:
        raise ModelError(where, f"nothing that starts at an Input reaches {', '.join(missing[:6])}", "connect or remove them")
    return parts, shapes


def _input_shapes(flat: Flat, options: Options) -> dict[str, Shape]:
    inputs = [name for name, node in flat.nodes.items() if node.kind == "Input"]
    if options.input_shape is not None:
        if len(inputs) > 1:
            raise OptionError("--input-shape", f"is one shape, and the file has {len(inputs)} Inputs", "leave it out: the file says them")
        return dict.fromkeys(inputs, options.input_shape)
    shapes: dict[str, Shape] = {}
    for name in inputs:
        shape = flat.nodes[name].shape("shape") or next(filter(None, map(_takes, (flat.nodes[n] for n in flat.after[name]))), None)
        if shape is None:
            raise ModelError(flat.nodes[name].where, "does not say its shape", "name it without batch and time: --input-shape 1,28,28")
        shapes[name] = shape
    return shapes


def _takes(node: Primitive) -> Shape | None:
    """The shape that a node's own numbers demand of its input; None where they leave it open."""
    if node.kind in ("Linear", "Affine"):
        weight = node.floats("weight")
        return (*weight.shape[:-2], weight.shape[-1]) if weight.ndim >= 2 else None
    field = {"Threshold": "threshold", "Scale": "scale", "Delay": "delay"}.get(node.kind, "r")
    if node.kind in (*STATEFUL, "Scale", "Delay"):
        return node.floats(field).shape or (1,)
    if node.kind.startswith("Conv") and (spatial := node.shape("input_shape")) and node.floats("weight").ndim >= 3:
        return (node.floats("weight").shape[1] * node.whole("groups", 1)[0], *spatial)
    return node.shape("input_type") if node.kind == "Flatten" else None


def _part(p: Primitive, shape: Shape, chosen: Chosen, flat: Flat) -> Part:
    if p.kind in STATEFUL:
        made = neuron(p, shape, chosen)
        return layers.chained(p, made.chain, made.facts, int(made.late))
    if p.kind == "Flatten":
        wanted = [taken[-1] for name in flat.after[p.name] if (taken := _behind(flat.nodes[name]))]
        return layers.flatten(p, shape, tuple(wanted))
    if p.kind == "Delay":
        return layers.delay(p, shape, chosen.dt)
    if p.kind in ("Output", "Identity"):
        return layers.chained(p, (Output("none") if p.kind == "Output" else Sum(),))
    if p.kind in ("Linear", "Affine"):
        return layers.linear(p, shape)
    if p.kind == "Scale":
        return layers.scale(p, shape)
    return layers.pool(p) if p.kind.endswith("Pool2d") else layers.conv(p, shape)


def _behind(node: Primitive) -> Shape | None:
    return node.shape("shape") if node.kind == "Output" else _takes(node)


def _shape_behind(part: Part, shape: Shape, where: str) -> Shape:
    """The output's shape for one input's shape, along the chain. Raises ``ModelError`` on a misfit or an absurd size."""
    try:
        for key, _ in part.entries[:1]:
            shape = part.nodes[key].out_shape((shape,))
        for node in _rest_of_chain(part):
            shape = node.out_shape((shape,))
    except ValueError as misfit:
        raise ModelError(where, str(misfit), "check --input-shape and the layer before it") from None
    if math.prod(shape) > LARGEST:
        raise ModelError(where, f"puts out {list(shape)}, {math.prod(shape):,} values", f"a layer may have {LARGEST:,}")
    return shape


def _rest_of_chain(part: Part) -> Iterator[Node]:
    key = part.entries[0][0]
    for edge in part.edges:
        if edge.source == key:
            key = edge.target
            yield part.nodes[key]


def _waiting(flat: Flat, parts: Mapping[str, Part]) -> dict[Pair, int]:
    """Steps that edges carry for other reasons than loops."""
    waits = {(a, b): parts[a].late + min((late for _, late in parts[b].entries), default=0) for a, b in flat.edges}
    return {edge: steps for edge, steps in waits.items() if steps}


def _graph(flat: Flat, parts: Mapping[str, Part], delays: Mapping[Pair, int], dt: float | None, where: str) -> Graph:
    nodes: dict[str, Node] = {}
    edges: list[Edge] = []
    for name, part in parts.items():
        for key, node in part.nodes.items():
            if key in nodes or (key != name and key in parts):
                raise ModelError(where, f"a part of {name!r} would be the second node called {key!r}", "rename the other one")
            nodes[key] = node
        edges += part.edges
    for source, target in flat.edges:
        least = min((late for _, late in parts[target].entries), default=0)
        edges += [Edge(source, key, delays.get((source, target), 0) + late - least) for key, late in parts[target].entries]
    try:
        return Graph(nodes, tuple(edges), dt)
    except GraphError as error:
        raise ModelError(f"{where}: {error.where}", error.what, error.hint) from None


def _said(chosen: Chosen, stateful: list[Primitive], version: str) -> Iterator[str]:
    if version:
        yield f"written by nir {version}"
    if not stateful:
        return
    reading = chosen.reading
    flag = {"user": " (--source)", "ASSUMED": "; --source changes it"}.get(chosen.said["source"], "")
    yield f"neurons are read as {reading.source}'s{flag}: {reading.why}"
    if chosen.dt is not None:
        yield _step(chosen)
    if any(p.kind in SPIKING and p.resets for p in stateful):
        yield f"reset: {chosen.reset}" + (" (--reset)" if chosen.said["reset"] == "user" else "; --reset changes it")
    yield "NIR has no read-out: the outputs are left as sequences; --decode changes it"


def _step(chosen: Chosen) -> str:
    if chosen.reading.steps:
        return "tau counts steps" + (f" of {chosen.seconds:g} s (--dt)" if chosen.seconds else "; how long one lasts is not said (--dt)")
    return f"the step is {chosen.dt:g} s" + (" (--dt)" if chosen.said["dt"] == "user" else "; --dt changes it")


def _loop_notes(loops: Mapping[Pair, str]) -> Iterator[str]:
    for (source, target), loop in loops.items():
        yield f"the loop {loop} takes one step, on the edge {source} -> {target} (NIR does not say where it waits)"


def _outranked(flat: Flat, options: Options) -> Iterator[str]:
    """Inputs whose own shape gave way to the user's."""
    for name, node in flat.nodes.items():
        said = node.shape("shape") if node.kind == "Input" else None
        if said is not None and options.input_shape not in (None, tuple(said)):
            yield f"{name} (Input) says {list(said)}, but --input-shape says {list(options.input_shape or ())}, which outranks it"


def _stale(flat: Flat, shapes: Mapping[str, Shape]) -> Iterator[str]:
    """Declared shapes that are not what arrives."""
    outputs = [
        (f"{n} (Output)", flat.before[n][0], p.shape("shape")) for n, p in flat.nodes.items() if p.kind == "Output" and flat.before[n]
    ]
    for where, source, declared in (*flat.declared, *outputs):
        if declared is not None and declared != shapes[source]:
            yield f"{where} says {list(declared)}, but {list(shapes[source])} arrives from {source}: the weights decide"


def _sources(graph: Graph, flat: Flat, parts: Mapping[str, Part], loops: Mapping[Pair, str]) -> Iterator[LayerSource]:
    """One entry a primitive, in running order."""
    for name in graph.order:
        if name in parts:
            p, part = flat.nodes[name], parts[name]
            waits = tuple(
                Fact("delay", f"{a} -> {b} arrives one step late: loop {loop}", "ASSUMED") for (a, b), loop in loops.items() if b == name
            )
            computes = "; then ".join(str(node) for node in part.nodes.values())
            yield LayerSource(name, computes, f"NIR {p.kind}", (*part.facts, *waits) or (Fact("parameters", "as stored", "file"),))
