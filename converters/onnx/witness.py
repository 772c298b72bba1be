"""A run of the file itself in onnxruntime, step after step, to hold the graph against.

The file's numbers are widened to float64 first, so that only rounding far below any threshold is left between the two;
where onnxruntime has no such operator (a convolution) it runs in float32, as the file says. The spikes of every layer
are made outputs for the run, so that each is judged by itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import AttributeProto, GraphProto, ModelProto, TensorProto, ValueInfoProto, numpy_helper

from converters import Witness
from converters.onnx.net import Net
from snndeploy.arrays import Floats

STEPS = 12
SAMPLES = 4
KINDS = {np.float64: "float64", np.float32: "float32"}
"""The float types that onnxruntime may run a file in, the finest first."""


def witness(model: ModelProto, net: Net, outputs: Mapping[str, str], spikes: Mapping[str, str], steps: int | None) -> Witness | None:
    """Random inputs and what the file gave; None without onnxruntime.

    ``outputs``: the file's output -> the graph's Output. ``spikes``: a value of the file -> the graph's node that gives it.
    """
    try:
        runtime = importlib.import_module("onnxruntime")
    except ModuleNotFoundError:
        return None
    rng, steps = np.random.default_rng(0), min(steps or STEPS, STEPS)
    batch = _batch(model) or SAMPLES
    shapes = {name: (batch, *shape[1:]) for name, shape in net.inputs.items()}
    data = {n: rng.integers(0, 17, (steps, *shape)) / 8.0 for n, shape in shapes.items() if n not in net.pairs}
    start = {name: np.zeros(shapes[name]) for name in net.pairs}
    for kind, arithmetic in KINDS.items():
        whole = widened(model) if kind is np.float64 else model
        for inner in (spikes, {}) if spikes else ({},):
            found = _run(runtime, showing(whole, inner), data, start, net.pairs, list(dict.fromkeys([*outputs, *inner])), kind)
            if found is not None:
                gave = {outputs[name]: found[name] for name in outputs}
                return Witness(steps, data, gave, {inner[name]: found[name] for name in inner}, arithmetic)
    return None


def showing(model: ModelProto, values: Iterable[str]) -> ModelProto:
    """The same model with more of its values as outputs; onnxruntime finds out their types itself."""
    whole = ModelProto()
    whole.CopyFrom(model)
    have = {info.name for info in whole.graph.output}
    whole.graph.output.extend(ValueInfoProto(name=name) for name in values if name not in have)
    return whole


def session(runtime: Any, model: ModelProto) -> Any:
    """A session of one thread that runs the operators as written; None where onnxruntime refuses the model."""
    runtime.disable_telemetry_events()
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception:  # noqa: BLE001 - native errors without a common class; then there is no run to compare with
        return None


def _run(
    runtime: Any,
    model: ModelProto,
    data: Mapping[str, Floats],
    start: Mapping[str, Floats],
    pairs: Mapping[str, str],
    names: list[str],
    kind: Any,
) -> dict[str, Floats] | None:
    made = session(runtime, model)
    states = {name: value.astype(kind) for name, value in start.items()}
    wanted = list(dict.fromkeys([*names, *pairs.values()]))
    series: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for t in range(len(next(iter(data.values())))):
        given = {name: np.ascontiguousarray(values[t]).astype(kind) for name, values in data.items()}
        results = answers(made, wanted, {**given, **states})
        if results is None:
            return None
        states = {before: results[after] for before, after in pairs.items()}
        for name in names:
            series[name].append(np.asarray(results[name], np.float64))
    return {name: np.stack(values) for name, values in series.items()}


def answers(made: Any, names: list[str], given: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]] | None:
    """One call of a session; None where there is none, or it cannot run."""
    if made is None:
        return None
    try:
        return dict(zip(names, made.run(names, given), strict=True))
    except Exception:  # noqa: BLE001 - native errors without a common class; then there is no run to compare with
        return None


def _batch(model: ModelProto) -> int:
    known = {i.name for i in model.graph.initializer}
    info = next(i for i in model.graph.input if i.name not in known)
    return int(info.type.tensor_type.shape.dim[0].dim_value)


def widened(model: ModelProto) -> ModelProto:
    """The same model with every float32 as float64."""
    wide = ModelProto()
    wide.CopyFrom(model)
    _widen(wide.graph)
    return wide


def _widen(graph: GraphProto) -> None:
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type == TensorProto.FLOAT:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    del graph.value_info[:]
    for tensor in graph.initializer:
        _wide(tensor)
    for attribute in [a for node in graph.node for a in node.attribute]:
        _widen_attribute(attribute)


def _widen_attribute(attribute: AttributeProto) -> None:
    if attribute.type == AttributeProto.TENSOR:
        _wide(attribute.t)
    elif attribute.type == AttributeProto.GRAPH:
        _widen(attribute.g)
    elif attribute.name == "to" and attribute.i == TensorProto.FLOAT:
        attribute.i = TensorProto.DOUBLE


def _wide(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
