"""From what happened at each step to one node for all steps.

A stream is one element a step: what stands at one place of the network at steps 0 ... T-1. Where all elements were
computed by the same module (or the same function), that is one node, and its operands are streams again. A stream
that starts with zeros and goes on with another stream's elements is that stream, later: an edge with a delay.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TypeAlias

import numpy as np

from converters.pt.drives import AxesUnknown, Constant, Drive, Place, Source, Stream
from converters.pt.neuron import Neuron
from converters.pt.slices import Element, View, resolve, same
from converters.pt.tape import Call, Ref, plain, refs
from snndeploy.arrays import Floats, Shape
from snndeploy.errors import Unsupported
from snndeploy.ir.graph import Edge, Graph, Node
from snndeploy.ir.layers import Input

ZERO: Element = (-1, None)
ARITHMETIC = frozenset(["add", "sub", "rsub", "mul", "div", "true_divide", "rdiv", "multiply", "subtract", "divide", "neg", "negative"])
SCALES = frozenset(["mul", "multiply", "div", "divide", "true_divide"])
KEEP_ZERO = SCALES | {"add", "neg", "cat", "concat", "view", "reshape", "flatten", "squeeze", "unsqueeze", "layer"}
"""What gives zeros for zeros, so that a delay may as well come before it; a layer only without a bias."""
Handler: TypeAlias = "Callable[[Builder, Place], Drive]"


class Builder:
    """Makes nodes and edges from streams, each place once; ``handlers`` say what each kind of call is."""

    def __init__(self, view: View, handlers: Mapping[str, Handler], otherwise: Handler, named_paths: Collection[str] = ()) -> None:
        self.view = view
        self.named_paths = named_paths
        self.steps = view.axes.steps
        self.handlers = handlers
        self.otherwise = otherwise
        self.bases: list[tuple[int, str, bool]] = []
        self.was: dict[int, str] = {}
        self.meant: dict[int, Neuron] = {}
        self.told: dict[int, Floats] = {}
        self.notes: list[str] = []
        self.nodes: dict[int, Node] = {}
        self.edges: set[tuple[int, int, int, int]] = set()
        self.shared: dict[Hashable, list[Call]] = {}
        self._memo: dict[Stream, Drive] = {}
        self._numbers: dict[int, Floats] = {-1: np.zeros(())}
        for call in view.tape.calls:
            self.shared.setdefault(call.key, []).append(call)

    # -- constants ---------------------------------------------------------------------------------------------

    def constant(self, element: Element) -> Floats | None:
        """The numbers of an element that depends on no input."""
        value = element[0]
        return self._numbers[value] if value < 0 else self.view.tape.constants.get(value)

    def number(self, value: float) -> Element:
        """A Python number as an element."""
        for known, array in self._numbers.items():
            if array == value:
                return (known, None)
        self._numbers[-1 - len(self._numbers)] = np.asarray(float(value))
        return (-len(self._numbers), None)

    def constant_stream(self, stream: Stream) -> Floats | None:
        """The numbers of a stream that is the same constant at every step; None if it is not one."""
        arrays = [self.constant(resolve(self.view, e)) for e in stream]
        known = [a for a in arrays if a is not None]
        if len(known) < len(stream):
            return None
        first = known[-1]
        return first if all(np.array_equal(np.broadcast_arrays(a, first)[0], first) for a in known) else None

    # -- streams -----------------------------------------------------------------------------------------------

    def source(self, stream: Stream) -> Drive:
        """What gives this stream. Raises ``Unsupported`` where no node does."""
        stream = tuple(resolve(self.view, e) for e in stream)
        if stream not in self._memo:
            drive = self._find(stream)
            self._memo[stream] = drive
        return self._memo[stream]

    def remember(self, stream: Stream, drive: Drive) -> None:
        """Make a place known before its operands are looked at: a recurrent network comes back to it."""
        self._memo[stream] = drive

    def _find(self, stream: Stream) -> Drive:
        arrays = [self.constant(e) for e in stream]
        late = next((t for t, a in enumerate(arrays) if a is None), len(stream))
        if late == len(stream):
            return self._fixed(stream)
        if any(a is not None and (t > late or a.any()) for t, a in enumerate(arrays)):
            what = "a constant takes the place of a signal at some steps"
            raise Unsupported(self.where(stream), what, "start recurrent values from zeros")
        if late:
            return self._delayed(stream, late)
        if stream[-1][0] in self.view.tape.inputs:
            return self._input(stream)
        if any(v in self.view.tape.inputs for v, _ in stream):
            what = "takes the input itself at some steps, and something else at others"
            raise Unsupported(
                self.where(stream), what, "every step must do the same; a neuron that is used at two places needs to be two neurons"
            )
        return self._apply(stream, tuple(self._call(e) for e in stream))

    def _fixed(self, stream: Stream) -> Constant:
        values = self.constant_stream(stream)
        if values is None:
            raise Unsupported(self.where(stream), "a constant that changes from step to step has no node", "feed it as an input")
        return Constant(values)

    def _call(self, element: Element) -> Call:
        value = element[0]
        if value in self.view.tape.producers:
            return self.view.tape.producers[value][0]
        why = self.view.tape.unknown.get(value, "a value of unknown origin")
        hint = "compute with torch functions on the inputs; register fixed tensors as buffers"
        raise Unsupported("the forward pass", f"uses {why}", hint)

    def _input(self, stream: Stream) -> Source:
        """An input: one step after the other, or the same value at every step."""
        tape, axes = self.view.tape, self.view.axes
        name = tape.inputs[stream[-1][0]][0]
        features = axes.features(stream[-1][0])
        if features is None:
            raise AxesUnknown(f"input {name!r}", f"cannot be read as {list(tape.shapes[stream[-1][0]])}", "check --input-shape")
        in_turn = self._in_turn(stream)
        if not in_turn and (len(set(stream)) > 1 or stream[0][1] is not None):
            raise Unsupported(f"input {name!r}", "is not used step by step in order", "use x[t] at step t")
        wanted = Input(features, static=not in_turn)
        for handle, node in self.nodes.items():
            if self.bases[handle][1] == name and isinstance(node, Input):
                if node != wanted:
                    raise Unsupported(f"input {name!r}", "is used step by step and as a static value", "give the two uses an input each")
                return Source(handle)
        handle = self.reserve(name, -1, f"input {name!r}")
        self.nodes[handle] = wanted
        return Source(handle)

    def _in_turn(self, stream: Stream) -> bool:
        inputs = self.view.tape.inputs
        if len({v for v, _ in stream}) == 1 and stream[0][1] is not None:
            return [k for _, k in stream] == list(range(self.steps))
        return [inputs.get(v, ("", -1))[1] for v, _ in stream] == list(range(self.steps)) and len(self.view.tape.results) > 1

    # -- delays ------------------------------------------------------------------------------------------------

    def _delayed(self, stream: Stream, late: int) -> Drive:
        """Zeros for ``late`` steps, then another stream's first elements."""
        whole = self.extend(stream[late:])
        if whole is not None:
            drive = self.source(whole)
            return Source(drive.node, drive.delay + late) if isinstance(drive, Source) else drive
        calls = tuple(self._call(e) for e in stream[late:])
        if calls[-1].op not in KEEP_ZERO:
            what = f"the value that {calls[-1]} gives to the next step is not computed at the last step"
            raise Unsupported(str(calls[-1]), what, "compute it at every step, the last one included")
        return self._apply(stream, (*(None,) * late, *calls))

    def extend(self, beginning: Stream) -> Stream | None:
        """The stream of T elements that starts like this; None if the program does not go on."""
        value, k = beginning[0]
        if k is not None:
            whole: Stream = tuple((value, t) for t in range(self.steps))
        elif value in self.view.tape.inputs:
            name = self.view.tape.inputs[value][0]
            whole = tuple((v, None) for v, (other, _) in self.view.tape.inputs.items() if other == name)
        else:
            call, position = self.view.tape.producers[value]
            every = self.shared[call.key]
            stride = len(every) // self.steps
            at = every.index(call)
            if at >= stride or len(every) % self.steps:
                return None
            whole = tuple((c.outs[position], None) for c in every[at::stride])
        return whole if whole[: len(beginning)] == beginning else None

    # -- places ------------------------------------------------------------------------------------------------

    def _apply(self, stream: Stream, calls: tuple[Call | None, ...]) -> Drive:
        last = calls[-1]
        assert last is not None
        alike = [c is None or self._alike(c, last) for c in calls]
        if not all(alike):
            return self._first_step_differs(stream, calls, alike)
        columns = [self._operands(e, c) for e, c in zip(stream, calls, strict=True)]
        scales = last.op in SCALES
        before = [e if scales and self.constant(e) is not None else ZERO for e in columns[-1]]
        operands = tuple(tuple(c[i] if c else before[i] for c in columns) for i in range(len(before)))
        place = Place(stream, last, operands, calls)
        return self.handlers.get(last.op, self.otherwise)(self, place)

    def _alike(self, a: Call, b: Call) -> bool:
        if a.op != b.op or a.module is not b.module:
            return False
        if a.op == "neuron":
            return True
        numbers = a.op in ARITHMETIC
        return numbers or plain((a.args, a.kwargs)) == plain((b.args, b.kwargs))

    def _operands(self, element: Element, call: Call | None) -> tuple[Element, ...]:
        if call is None:
            return ()
        if call.op == "neuron":
            return (same(self.view, self.view.tape.first_ref(call), element[1]),)
        if call.op in ARITHMETIC:
            given = (*call.args, *(v for n, v in call.kwargs.items() if n in ("other", "input")))
            return tuple(self._operand(a, element[1]) for a in given if isinstance(a, Ref | int | float))
        return tuple(same(self.view, v, element[1]) for v in refs((call.args, call.kwargs)))

    def _operand(self, given: Ref | float, k: int | None) -> Element:
        return same(self.view, given.value, k) if isinstance(given, Ref) else self.number(given)

    def _first_step_differs(self, stream: Stream, calls: tuple[Call | None, ...], alike: list[bool]) -> Drive:
        """``y = f(x) if prev is None else f(x) + g(prev)``: the first step lacks one summand, which is then zero."""
        first, last = calls[0], calls[-1]
        assert last is not None
        if last.op == "add" and not any(alike[:1]) and all(alike[1:]) and first is not None:
            rows = [self._operands(e, c) for e, c in zip(stream[1:], calls[1:], strict=True)]
            for kept in (0, 1):
                other = resolve(self.view, rows[-1][kept])
                made = self.view.tape.producers.get(other[0])
                if made is not None and self._alike(first, made[0]):
                    operands = ((stream[0], *(r[kept] for r in rows)), (ZERO, *(r[1 - kept] for r in rows)))
                    return self.handlers["add"](self, Place(stream, last, operands, calls))
        t = alike.index(False)
        what = f"step {t} computes {calls[t]} where step {self.steps - 1} computes {last}"
        hint = "every step must do the same; a neuron that is used at two places needs to be two neurons"
        raise Unsupported(str(last), what, hint)

    # -- nodes -------------------------------------------------------------------------------------------------

    def reserve(self, base: str, order: int, was: str, numbered: bool = False) -> int:
        """A new node's handle; its name is settled in the end. ``order`` is its place in the recording."""
        self.bases.append((order, base, numbered))
        self.was[len(self.bases) - 1] = was
        return len(self.bases) - 1

    def connect(self, source: Source, target: int, port: int = 0) -> None:
        """An edge."""
        self.edges.add((source.node, target, source.delay, port))

    def where(self, stream: Stream) -> str:
        """The user's line that computes the last element of a stream that has one."""
        made = [self.view.tape.producers[v][0] for v, _ in stream if v in self.view.tape.producers]
        return str(made[-1]) if made else "the forward pass"

    def shape(self, stream: Stream, call: Call) -> Shape:
        """A stream's feature shape. Raises ``Unsupported`` where time, batch and features are mixed."""
        value = next((v for v, _ in reversed(stream) if v >= 0 and v not in self.view.tape.constants), stream[-1][0])
        features = self.view.axes.features(value)
        if features is None:
            shape = list(self.view.tape.shapes[value])
            what = f"cannot tell time, batch and features apart in {shape}"
            raise AxesUnknown(str(call), what, "keep them on separate axes, batch before features")
        return features

    def names(self) -> dict[int, str]:
        """Every node's name: paths as they are, functions numbered within their module, in order of the recording."""
        names: dict[int, str] = {}
        taken: set[str] = set()
        for handle in sorted(self.nodes, key=lambda h: (self.bases[h][0], h)):
            _, base, numbered = self.bases[handle]
            count = 1
            name = f"{base}_1" if numbered else base
            while name in taken:
                count += 1
                name = f"{base}_{count}"
            taken.add(name)
            names[handle] = name
        return names

    def graph(self, dt: float | None) -> Graph:
        """The finished graph."""
        names = self.names()
        nodes = {names[h]: self.nodes[h] for h in sorted(self.nodes, key=lambda h: (self.bases[h][0], h))}
        return Graph(nodes, tuple(Edge(names[s], names[t], d, p) for s, t, d, p in self.edges), dt)
