"""Runs the network in this folder with Lava (lava-nc 0.10.0, Python 3.10). It needs Lava and NumPy, nothing else.

    python run_network.py inputs.npz -o trace.npz             CPU simulation, Lava's fixed-point models, bit for bit
    python run_network.py inputs.npz -o trace.npz --hardware  Loihi 2 (needs Intel's lava-loihi; never tried by us)

``inputs.npz`` holds what the host injects, whole numbers: one array an input, [T, B, *shape], or [1, B, *shape] where it
holds still (``snndeploy export --to lava --data`` writes it). An input of one neuron that is left out is the constant 1.
Where the network takes several chip steps for one of the model's, an input enters at the first of them.
``trace.npz`` gets "layer.spikes", "layer.u", ... [steps, B, neurons] from chip step ``first.layer`` on (the
first step is 1), of the populations named in ``--record`` (all without it).

Feed-forward networks run all samples in one go: each layer is cleared when its first input of a sample arrives
(LIFReset). Any other network is built anew for every sample, because spikes under way outlive a reset.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
WORDS = {
    "LIF": ("u", "v"), "LIFReset": ("u", "v"), "TernaryLIF": ("u", "v"), "SigmaDelta": ("sigma", "act"), "Delta": ("act", "residue"),
}  # fmt: skip


def lava_class(name: str) -> Any:
    """The Lava process of that name."""
    from lava.proc.conv.process import Conv
    from lava.proc.dense.process import DelayDense, Dense
    from lava.proc.io.source import RingBuffer
    from lava.proc.lif.process import LIF, LIFReset, TernaryLIF
    from lava.proc.sdn.process import Delta, SigmaDelta
    from lava.proc.sparse.process import DelaySparse, Sparse

    known = (Conv, DelayDense, Dense, RingBuffer, LIF, LIFReset, TernaryLIF, Delta, SigmaDelta, DelaySparse, Sparse)
    return {c.__name__: c for c in known}[name]


class Network:
    """One build of the network: its processes, monitors, and the steps it will run."""

    def __init__(self, spec: dict[str, Any], arrays: Any, inputs: dict[str, Any], steps: int, record: list[str], hardware: bool) -> None:
        self.spec, self.arrays, self.steps, self.hardware = spec, arrays, steps, hardware
        self.neurons = {p["name"]: self.population(p) for p in spec["populations"] if p["class"] != "RingBuffer"}
        self.sources: dict[Any, Any] = {}
        self.inputs = inputs
        self.kept = [self.connect(c) for c in spec["connections"]]
        self.monitors = {(n, w): self.monitor(n, w) for n in record for w in self.words(n)}

    def words(self, name: str) -> tuple[str, ...]:
        """What is recorded of a population; a chip gives its spikes alone."""
        return ("s_out",) if self.hardware else ("s_out", *WORDS[type(self.neurons[name]).__name__])

    def population(self, p: dict[str, Any]) -> Any:
        """A population's process; SigmaDelta takes its activation as a mode."""
        given = {**p["params"], **{k: self.arrays[v] for k, v in p["arrays"].items()}}
        if p["class"] == "SigmaDelta":
            from lava.proc.sdn.process import ActivationMode

            given["act_mode"] = ActivationMode.RELU if given.pop("relu") else ActivationMode.UNIT
        return lava_class(p["class"])(shape=(p["size"],), **given)

    def source(self, name: str, delay: int) -> Any:
        """An input's output port; a wire's delay is a delay of its data."""
        if (name, delay) not in self.sources:
            data = np.zeros_like(self.inputs[name])
            data[:, delay:] = self.inputs[name][:, : data.shape[1] - delay]
            buffer = lava_class("RingBuffer")(data=data)
            self.sources[name, delay] = buffer, on_chip(buffer.s_out) if self.hardware else buffer.s_out
        return self.sources[name, delay][1]

    def port(self, name: str) -> Any:
        """The output port of a population or input."""
        return self.neurons[name].s_out if name in self.neurons else self.source(name, 0)

    def connect(self, c: dict[str, Any]) -> Any:
        """One projection: source -> synapses -> target."""
        target = self.neurons[c["target"]].a_in
        if c["class"] == "Bias":
            return None
        if c["class"] == "Wire":
            self.source(c["source"], c["delay"]).connect(target)
            return None
        given = {**c["params"], **{k: self.arrays[v] for k, v in c["arrays"].items()}}
        if "delays" in given:
            given["delays"] = given["delays"].astype(int)  # Lava takes no other integers here
        if "sign_mode" in given:
            given["sign_mode"] = sign_mode(given["sign_mode"])
        if "Sparse" in c["class"]:
            given = sparse_arguments(given)
        if c["class"] != "Conv":
            process = lava_class(c["class"])(**given)
            self.port(c["source"]).connect(process.s_in)
            process.a_out.connect(target)
            return process
        channels, *image = c["in_shape"]
        process = lava_class("Conv")(input_shape=(*image, channels), **given)
        self.port(c["source"]).reshape((channels, *image)).transpose((1, 2, 0)).connect(process.s_in)
        process.a_out.transpose((2, 0, 1)).reshape((target.size,)).connect(target)
        return process

    def monitor(self, name: str, word: str) -> Any:
        """A recorder of one word of one population."""
        target = getattr(self.neurons[name], word)
        if self.hardware:
            return off_chip(target, self.steps)
        from lava.proc.monitor.process import Monitor

        monitor = Monitor()
        monitor.probe(target, self.steps)
        return monitor

    def run(self, biases: dict[int, dict[str, Any]]) -> dict[str, Any]:
        """Run all steps; ``biases`` maps a step to the mantissas that are written before it. Returns [steps, neurons] a word."""
        from lava.magma.core.run_conditions import RunSteps
        from lava.magma.core.run_configs import Loihi2HwCfg, Loihi2SimCfg

        config = Loihi2HwCfg() if self.hardware else Loihi2SimCfg(select_tag="fixed_pt")
        first = next(iter(self.neurons.values()))
        times = sorted({1, *biases})
        for start, end in zip(times, [*times[1:], self.steps + 1]):
            for name, mantissas in biases.get(start, {}).items() if start > 1 else ():
                self.neurons[name].bias_mant.set(mantissas)
            if end > start:
                first.run(condition=RunSteps(num_steps=end - start), run_cfg=config)
        kept = {}
        for (name, word), monitor in self.monitors.items():
            read = monitor.data.get().T if self.hardware else next(iter(next(iter(monitor.get_data().values())).values()))
            kept[f"{name}.{'spikes' if word == 's_out' else word}"] = np.asarray(read, np.int64).reshape(self.steps, -1)
        first.stop()
        return kept


def sign_mode(number: int) -> Any:
    """Lava's word for the signs a matrix may hold: 1 mixed, 2 excitatory, 3 inhibitory."""
    from lava.utils.weightutils import SignMode

    return SignMode(number)


def sparse_arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Lava's sparse processes take SciPy matrices."""
    from scipy.sparse import csr_matrix

    rows, columns, shape = given.pop("rows"), given.pop("columns"), tuple(given.pop("shape"))
    given["weights"] = csr_matrix((given["weights"], (rows, columns)), shape=shape)
    if "delays" in given:
        given["delays"] = csr_matrix((given["delays"], (rows, columns)), shape=shape)
    return given


def on_chip(port: Any) -> Any:
    """The port behind an adapter from the processor to the chip."""
    from lava.proc.embedded_io.spike import PyToNxAdapter

    adapter = PyToNxAdapter(shape=port.shape)
    port.connect(adapter.inp)
    return adapter.out


def off_chip(port: Any, steps: int) -> Any:
    """A buffer behind an adapter from the chip to the processor."""
    from lava.proc.embedded_io.spike import NxToPyAdapter
    from lava.proc.io.sink import RingBuffer as Sink

    adapter, sink = NxToPyAdapter(shape=port.shape), Sink(shape=port.shape, buffer=steps)
    port.connect(adapter.inp)
    adapter.out.connect(sink.a_in)
    return sink


def buffered(spec: dict[str, Any], inputs: dict[str, Any], sample: int, steps: int) -> dict[str, Any]:
    """One sample's inputs as Lava's buffers take them, [neurons, steps], zeros after the last step of input, and between."""
    phases = spec.get("phases", 1)
    data = {}
    for name, values in inputs.items():
        column = values[:, sample].reshape(len(values), -1).T
        column = np.broadcast_to(column, (len(column), spec["steps"])) if len(values) == 1 else column
        data[name] = np.zeros((len(column), steps), np.int32)
        data[name][:, : spec["steps"] * phases : phases] = column
    return data


def written_biases(spec: dict[str, Any], arrays: Any, data: dict[str, Any]) -> dict[int, dict[str, Any]]:
    """Step -> population -> the mantissas that hold from then on, for populations whose bias the host writes."""
    changes: dict[int, dict[str, Any]] = {}
    for name in {c["target"] for c in spec["connections"] if c["class"] == "Bias"}:
        total = np.zeros(1, np.int64)
        for c in (c for c in spec["connections"] if c["class"] == "Bias" and c["target"] == name):
            column, delay = data[c["source"]], c["delay"]
            shifted = np.zeros_like(column)
            shifted[:, delay:] = column[:, : column.shape[1] - delay]
            total = total + shifted
        own = next(p for p in spec["populations"] if p["name"] == name)
        total = total + np.broadcast_to(arrays[own["arrays"]["bias_mant"]], (len(total),))[:, None]
        moved = np.flatnonzero(np.any(total[:, 1:] != total[:, :-1], axis=0)) + 1
        for t in (0, *moved):
            changes.setdefault(int(t) + 1, {})[name] = total[:, t].astype(np.int32)
    return changes


def chip_steps(spec: dict[str, Any]) -> int:
    """Steps of the chip for one sample."""
    return int(spec["steps"] * spec.get("phases", 1) + spec["latency"])


def restarted(spec: dict[str, Any], arrays: Any, inputs: dict[str, Any], record: list[str], hardware: bool) -> dict[str, Any]:
    """Every sample on a network of its own: [steps, B, neurons] from step 1 on."""
    steps, samples = chip_steps(spec), next(iter(inputs.values())).shape[1]
    runs = []
    for sample in range(samples):
        data = buffered(spec, inputs, sample, steps)
        biases = written_biases(spec, arrays, data)
        whole = dict(arrays)
        for p in spec["populations"]:
            if p["name"] in biases.get(1, {}):
                whole[p["arrays"]["bias_mant"]] = biases[1][p["name"]]
        runs.append(Network(spec, whole, data, steps, record, hardware).run(biases))
        sys.stderr.write(f"sample {sample + 1} of {samples}\n")
    first = {f"first.{name}": np.asarray(1) for name in record}
    return {**{k: np.stack([r[k] for r in runs], axis=1) for k in runs[0]}, **first}


def pipelined(spec: dict[str, Any], arrays: Any, inputs: dict[str, Any], record: list[str], hardware: bool) -> dict[str, Any]:
    """All samples in one run, one every ``chip_steps``; a population's record starts when its first input can come."""
    period, samples = chip_steps(spec), next(iter(inputs.values())).shape[1]
    parts = [buffered(spec, inputs, b, period) for b in range(samples)]
    data = {name: np.concatenate([p[name] for p in parts], axis=1) for name in parts[0]}
    kept = Network(spec, arrays, data, samples * period, record, hardware).run({})
    late = {p["name"]: p["late"] for p in spec["populations"]}
    result: dict[str, Any] = {}
    for key, values in kept.items():
        window = values.reshape(samples, period, -1)[:, late[key.rsplit(".", 1)[0]] :]
        result[key] = np.ascontiguousarray(window.transpose(1, 0, 2))
    return {**result, **{f"first.{name}": np.asarray(late[name] + 1) for name in record}}


def injected(spec: dict[str, Any], read: dict[str, Any], file: str) -> dict[str, Any]:
    """What the file holds, by input; one of one neuron that is not in it is the constant 1. Ends the script where it is wrong."""
    wanted = {p["name"]: p["size"] for p in spec["populations"] if p["class"] == "RingBuffer"}
    unknown = [name for name in read if name not in wanted]
    if unknown or not read:
        sys.exit(
            f"{file}: holds {', '.join(unknown) or 'nothing'}; the inputs are {', '.join(wanted)}, each [T, B, *shape] in whole numbers"
        )
    samples = next(iter(read.values())).shape[1:2]
    inputs = {}
    for name, size in wanted.items():
        if name not in read and size > 1:
            sys.exit(f"{file}: holds nothing for the input {name}")
        values = read.get(name, np.ones((1, *samples, 1), np.int32))
        fits = values.ndim > 1 and len(values) in (1, spec["steps"]) and values.shape[1:2] == samples and values[0, :1].size == size
        if not fits or not np.array_equal(values, np.round(values)):
            sys.exit(f"{file}: {name} must be whole numbers, [{spec['steps']}, B, ...] or [1, B, ...] of {size} neurons")
        inputs[name] = np.asarray(values, np.int32)
    return inputs


def main() -> None:
    """Read the command line, run, write the trace."""
    parser = argparse.ArgumentParser(description="Run the network in this folder with Lava.")
    parser.add_argument("inputs")
    parser.add_argument("-o", "--output", default="trace.npz")
    parser.add_argument("--record", default=None, help="populations to record, with commas between; all without it")
    parser.add_argument("--hardware", action="store_true", help="Loihi 2 instead of the simulation")
    given = parser.parse_args()
    spec = json.loads((HERE / "network.json").read_text(encoding="utf-8"))
    with np.load(HERE / "network.npz") as stored, np.load(given.inputs) as read:
        arrays, inputs = dict(stored), injected(spec, dict(read), given.inputs)
    names = [p["name"] for p in spec["populations"] if p["class"] != "RingBuffer"]
    record = names if given.record is None else given.record.split(",")
    run = pipelined if spec["mode"] == "pipelined" else restarted
    np.savez_compressed(given.output, **run(spec, arrays, inputs, record, given.hardware))


if __name__ == "__main__":
    main()
