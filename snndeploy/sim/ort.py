"""A second, independent executor: onnxruntime runs the saved file, a graph in float32, a chip network in integers.

Only the file is used: its inputs, outputs and the metadata entry ``ai.snndeploy.run`` that lists the state.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from snndeploy.errors import DataError, MissingPackage, ModelError, OptionError, did_you_mean
from snndeploy.sim.feed import Port, at, sizes
from snndeploy.trace import Trace


@dataclass(frozen=True)
class _Program:
    """A session and how it is fed: node name -> (value, static); node name -> value; (before, after, initial).

    ``dims`` are the dimensions of every value that enters, "batch" and "steps" as words. ``latency`` is None for a graph;
    a chip network (int64) goes on that many steps after its input, which enters at every ``phases``-th step.
    """

    session: Any
    inputs: Mapping[str, tuple[str, bool]]
    outputs: Mapping[str, str]
    state: tuple[tuple[str, str, Any], ...]
    scan: bool
    dims: Mapping[str, tuple[int | str, ...]]
    latency: int | None
    length: int
    phases: int = 1

    @property
    def dtype(self) -> type[np.generic]:
        """Of everything that enters."""
        return np.float32 if self.latency is None else np.int64

    def leaving(self, values: NDArray[Any]) -> NDArray[Any]:
        """What the trace keeps: float64, or whole numbers."""
        return values.astype(np.float64) if self.latency is None else values


@dataclass(frozen=True, eq=False)
class _Feed:
    """The data of a run: every input's values and how many steps of them there are; after them, and between, an input is 0."""

    inputs: Mapping[str, NDArray[Any]]
    steps: int
    length: int

    def at(self, program: _Program, name: str, step: int) -> NDArray[Any]:
        """What enters at a step counted from 0."""
        values = self.inputs[name]
        model, phase = divmod(step, program.phases)
        entering = at(values, model, program.inputs[name][1]) if phase == 0 and model < self.length else np.zeros(values.shape[1:])
        return entering.astype(program.dtype)


def run_onnxruntime(
    model: bytes | str | os.PathLike[str],
    inputs: Mapping[str, NDArray[Any]],
    steps: int | None = None,
    record: Iterable[str] | None = None,
    states: bool = False,
) -> Trace:
    """Run a graph or a chip network saved as ONNX, one thread, every operator as it is written (no graph optimization).

    Args:
        model: the file or its bytes, one step or with the Scan wrapper.
        inputs: for every input ``[T, B, *shape]``, or ``[1, B, *shape]`` where it is static; whole numbers for a chip network.
        steps: how many; a graph runs T = ``steps``, a chip network by default T (twice T in two phases) and its latency.
        record: names of neurons and Outputs (populations) to keep; None keeps all of them.
        states: keep every state word after every step, of a file without the Scan wrapper.

    The trace holds outputs and states only, float64 copies of float32 values or whole numbers: the model does not show what
    arrives at a neuron, so a run of onnxruntime is compared, not priced, and has no ``activity``.

    Raises:
        MissingPackage: onnxruntime is not installed.  ModelError: not a model that snndeploy saved.
        DataError: data that does not fit.  OptionError: ``steps`` below 1, an unknown name in ``record``, or ``states`` of a Scan.
    """
    started = time.perf_counter()
    program = _open(model)
    names = _recorded(program.outputs, record)
    if states and program.scan:
        raise OptionError("states", "a Scan gives the last state only", "run the file without it")
    feed, batch = _feed(program, inputs, steps)
    state = {before: _spread(initial, batch, program, before) for before, _, initial in program.state}
    kept, words = _in_one_call(program, feed, names, state) if program.scan else _step_by_step(program, feed, names, state, states)
    return Trace("onnxruntime", feed.steps, batch, {}, kept, words, seconds=time.perf_counter() - started)


Series: TypeAlias = dict[str, NDArray[Any]]


def _in_one_call(program: _Program, feed: _Feed, names: list[str], state: Series) -> tuple[Series, Series]:
    values = {value: np.stack([feed.at(program, n, t) for t in range(feed.steps)]) for n, (value, _) in program.inputs.items()}
    results = program.session.run([program.outputs[n] for n in names], state | values) if names else []
    return {name: program.leaving(result) for name, result in zip(names, results, strict=True)}, {}


def _step_by_step(program: _Program, feed: _Feed, names: list[str], state: Series, keep: bool) -> tuple[Series, Series]:
    wanted = [program.outputs[n] for n in names] + [after for _, after, _ in program.state]
    series: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    words: dict[str, list[NDArray[Any]]] = {before: [] for before, _, _ in program.state} if keep else {}
    for t in range(feed.steps):
        values = {value: feed.at(program, name, t) for name, (value, _) in program.inputs.items()}
        results = program.session.run(wanted, state | values) if wanted else []
        for name, result in zip(names, results, strict=False):
            series[name].append(program.leaving(result))
        state = dict(zip((before for before, _, _ in program.state), results[len(names) :], strict=True))
        for word, values_of in words.items():
            values_of.append(state[word])
    return {name: np.stack(values) for name, values in series.items()}, {name: np.stack(values) for name, values in words.items()}


def _open(model: bytes | str | os.PathLike[str]) -> _Program:
    """A session of one thread that executes the operators as written, so that the rounding bound of a graph holds."""
    try:
        import onnxruntime  # noqa: PLC0415  a framework, imported where it is used
        from onnxruntime.capi import onnxruntime_pybind11_state as native  # noqa: PLC0415
    except ModuleNotFoundError:
        raise MissingPackage("run_onnxruntime", "onnxruntime", "onnxruntime") from None
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
    dims = {i.name: tuple(i.shape) for i in session.get_inputs()}
    inputs = {name: (value, static) for name, (value, static) in run["inputs"].items()}
    state = tuple(map(tuple, run["state"]))
    return _Program(
        session, inputs, run["outputs"], state, run["scan"], dims, run.get("latency"), run.get("steps", 0), run.get("phases", 1)
    )


def _recorded(known: Mapping[str, str], record: Iterable[str] | None) -> list[str]:
    wanted = list(known if record is None else record)
    for name in wanted:
        if name not in known:
            raise OptionError("record", f"the model has no output {name!r}", did_you_mean(name, known))
    return wanted


def _feed(program: _Program, inputs: Mapping[str, NDArray[Any]], steps: int | None) -> tuple[_Feed, int]:
    """The data held against the model's inputs, and the number of samples."""
    leading = 2 if program.scan else 1
    ports = {}
    for name, (value, static) in program.inputs.items():
        ports[name] = Port(tuple(d for d in program.dims[value][leading:] if isinstance(d, int)), static)
    found, batch = sizes(inputs, ports)
    late = program.latency or 0
    length = found or program.length or ((steps or 0) - late) // program.phases
    steps = length * program.phases + late if steps is None else steps
    if steps < 1 or length < 1:
        raise OptionError("steps", f"{min(steps, length)} is less than 1")
    if program.latency is None and found not in (None, steps):
        raise DataError("inputs", f"have {found} steps, but {steps} are to be run", "only a static input is repeated")
    return _Feed(inputs, steps, steps if program.latency is None else length), batch


def _spread(initial: Any, batch: int, program: _Program, value: str) -> NDArray[Any]:
    shape = [batch if isinstance(d, str) else d for d in program.dims[value]]
    return np.full(shape, np.asarray(initial), program.dtype)
