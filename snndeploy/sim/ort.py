"""A second, independent executor: onnxruntime runs the saved graph in float32.

Only the file is used: its inputs, outputs and the metadata entry ``ai.snndeploy.run`` that lists the state.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from snndeploy.arrays import Floats
from snndeploy.errors import DataError, MissingPackage, ModelError, OptionError, did_you_mean
from snndeploy.sim.feed import Port, at, sizes
from snndeploy.trace import Trace


@dataclass(frozen=True)
class _Program:
    """A session and how it is fed: node name -> (value, static); node name -> value; (before, after, initial)."""

    session: Any
    inputs: Mapping[str, tuple[str, bool]]
    outputs: Mapping[str, str]
    state: tuple[tuple[str, str, Any], ...]
    scan: bool
    shapes: Mapping[str, tuple[int, ...]]


def run_onnxruntime(
    model: bytes | str | os.PathLike[str], inputs: Mapping[str, Floats], steps: int, record: Iterable[str] | None = None
) -> Trace:
    """Run a graph saved as ONNX, one thread, every operator as it is written (no graph optimization).

    Args:
        model: the file or its bytes, one step or with the Scan wrapper.
        inputs: for every Input ``[T, B, *shape]`` with T = ``steps``, or ``[1, B, *shape]`` where it is static.
        steps: how many.
        record: names of neurons and Outputs to keep; None keeps all of them.

    The trace holds outputs only, as float64 copies of float32 values: the model does not show what arrives at a
    neuron, so a run of onnxruntime is compared, not priced, and has no ``activity``.

    Raises:
        MissingPackage: onnxruntime is not installed.  ModelError: not a model that snndeploy saved.
        DataError: data that does not fit.  OptionError: ``steps`` below 1, or an unknown name in ``record``.
    """
    started = time.perf_counter()
    program = _open(model)
    names = _recorded(program.outputs, record)
    batch = _batch(program, inputs, steps)
    state = {before: _spread(initial, batch, program.shapes[before]) for before, _, initial in program.state}
    kept = (_in_one_call if program.scan else _step_by_step)(program, inputs, steps, names, state)
    return Trace("onnxruntime", steps, batch, {}, kept, seconds=time.perf_counter() - started)


def _in_one_call(
    program: _Program, inputs: Mapping[str, Floats], steps: int, names: list[str], state: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    values = {value: [at(inputs[name], t, static) for t in range(steps)] for name, (value, static) in program.inputs.items()}
    feed = state | {value: np.asarray(series, np.float32) for value, series in values.items()}
    results = program.session.run([program.outputs[n] for n in names], feed) if names else []
    return {name: result.astype(np.float64) for name, result in zip(names, results, strict=True)}


def _step_by_step(
    program: _Program, inputs: Mapping[str, Floats], steps: int, names: list[str], state: dict[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    wanted = [program.outputs[n] for n in names] + [after for _, after, _ in program.state]
    series: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for t in range(steps):
        feed = state | {value: at(inputs[name], t, static).astype(np.float32) for name, (value, static) in program.inputs.items()}
        results = program.session.run(wanted, feed) if wanted else []
        for name, result in zip(names, results, strict=False):
            series[name].append(result.astype(np.float64))
        state = dict(zip((before for before, _, _ in program.state), results[len(names) :], strict=True))
    return {name: np.stack(values) for name, values in series.items()}


def _open(model: bytes | str | os.PathLike[str]) -> _Program:
    """A session of one thread that executes the operators as written, so that the rounding bound holds."""
    try:
        import onnxruntime  # noqa: PLC0415  a framework, imported where it is used
        from onnxruntime.capi import onnxruntime_pybind11_state as native  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingPackage("run_onnxruntime", "onnxruntime", "onnx") from None
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    where = "ONNX model" if isinstance(model, bytes) else str(os.fspath(model))
    refusals = tuple(c for c in vars(native).values() if isinstance(c, type) and issubclass(c, Exception))
    try:
        source = model if isinstance(model, bytes) else where
        session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    except refusals as error:
        raise ModelError(where, f"onnxruntime cannot run it: {str(error).splitlines()[0]}", "save the network again") from None
    return _program(session, where)


def _program(session: Any, where: str) -> _Program:
    text = session.get_modelmeta().custom_metadata_map.get("ai.snndeploy.run")
    if text is None:
        raise ModelError(where, "is not a graph that snndeploy saved", "save the graph with converters.onnx.save")
    run = json.loads(text)
    leading = 2 if run["scan"] else 1
    states = {before for before, _, _ in run["state"]}
    shapes = {i.name: tuple(i.shape[1 if i.name in states else leading :]) for i in session.get_inputs()}
    inputs = {name: (value, static) for name, (value, static) in run["inputs"].items()}
    return _Program(session, inputs, run["outputs"], tuple(map(tuple, run["state"])), run["scan"], shapes)


def _recorded(known: Mapping[str, str], record: Iterable[str] | None) -> list[str]:
    wanted = list(known if record is None else record)
    for name in wanted:
        if name not in known:
            raise OptionError("record", f"the model has no output {name!r}", did_you_mean(name, known))
    return wanted


def _batch(program: _Program, inputs: Mapping[str, Floats], steps: int) -> int:
    if steps < 1:
        raise OptionError("steps", f"{steps} is less than 1")
    ports = {name: Port(program.shapes[value], static) for name, (value, static) in program.inputs.items()}
    length, batch = sizes(inputs, ports)
    if length not in (None, steps):
        raise DataError("inputs", f"have {length} steps, but {steps} are to be run", "only a static input is repeated")
    return batch


def _spread(initial: Any, batch: int, shape: tuple[int, ...]) -> NDArray[Any]:
    return np.ascontiguousarray(np.broadcast_to(np.asarray(initial, np.float32), (batch, *shape)))
