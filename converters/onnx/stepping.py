"""One step as an ONNX model, and the Scan around it: inputs, outputs, and state that goes in and comes out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from onnx import FunctionProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

from converters.onnx.functions import OPSET
from snndeploy.errors import Unsupported

IR_VERSION = 10
"""The newest that every supported onnxruntime reads (1.23.2 on Python 3.10)."""


@dataclass(frozen=True, eq=False)
class Step:
    """A step in the making.

    ``states`` are (before, after, initial value); ``inputs`` and ``outputs`` names of values; ``dims`` the dimensions of
    all of them, the batch as "batch"; ``kind`` their element type.
    """

    nodes: Sequence[NodeProto]
    functions: Sequence[FunctionProto]
    initializers: Sequence[TensorProto]
    states: Sequence[tuple[str, str, Any]]
    inputs: Sequence[str]
    outputs: Sequence[str]
    dims: Mapping[str, tuple[str | int, ...]]
    kind: int

    def info(self, value: str, name: str = "", sequence: bool = False) -> ValueInfoProto:
        """A value's declaration, perhaps under another name, perhaps with all its steps."""
        leading = ("steps",) if sequence else ()
        return helper.make_tensor_value_info(name or value, self.kind, [*leading, *self.dims[value]])


def assemble(step: Step, domain: str, version: str, scan: bool) -> ModelProto:
    """The model of one step, or of a Scan over steps, without its metadata."""
    before, after = [s[0] for s in step.states], [s[1] for s in step.states]
    graph = helper.make_graph(
        step.nodes, "step", [*map(step.info, (*before, *step.inputs))], [*map(step.info, (*after, *step.outputs))],
        [] if scan else step.initializers,
    )  # fmt: skip
    if scan:
        entering = [(n, f"{n}.first", False) for n in before] + [(n, f"{n}.steps", True) for n in step.inputs]
        leaving = [(n, f"{n}.last", False) for n in before] + [(n, f"{n}.steps", True) for n in step.outputs]
        into, out = ([name for _, name, _ in side] for side in (entering, leaving))
        loop = helper.make_node("Scan", into, out, name="steps", body=graph, num_scan_inputs=len(step.inputs))
        before_all, after_all = ([step.info(*value) for value in side] for side in (entering, leaving))
        graph = helper.make_graph([loop], "steps", before_all, after_all, step.initializers)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(domain, 1)],
        functions=sorted(step.functions, key=lambda f: f.name),
        producer_name="snndeploy", producer_version=version, ir_version=IR_VERSION,
    )  # fmt: skip


def runner(step: Step, inputs: Mapping[str, tuple[str, bool]], outputs: Mapping[str, str], scan: bool) -> dict[str, Any]:
    """What a runner needs: the value of every input (and whether it is static), output and state, with its initial number."""
    first, last, steps = (".first", ".last", ".steps") if scan else ("", None, "")
    return {
        "inputs": {name: [f"{value}{steps}", static] for name, (value, static) in inputs.items()},
        "outputs": {name: f"{value}{steps}" for name, value in outputs.items()},
        "state": [[f"{b}{first}", a if last is None else f"{b}{last}", initial] for b, a, initial in step.states],
        "scan": scan,
    }


def check_names(names: list[str]) -> None:
    """Every value has one name; raises ``Unsupported`` where two would share one or one has none."""
    twice = sorted(name for name, count in Counter(names).items() if count > 1 or not name)
    if twice:
        raise Unsupported(twice[0] or "a node without a name", "two values of the saved model would have this name", "rename the node")


def smallest(values: NDArray[Any]) -> Any:
    """The smallest nested list (or number) that broadcasts to ``values``."""
    for axis in range(values.ndim):
        first = values.take([0], axis=axis) if values.shape[axis] else values
        values = first if bool((values == first).all()) else values
    # -0.0 becomes 0.0
    return (values + 0).tolist() if values.size > 1 else (values + 0).reshape(-1)[0].item()
