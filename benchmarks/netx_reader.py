"""Runs .net files through lava-dl's own reader, ``lava.lib.dl.netx.hdf5.Network``, on Lava's fixed-point models.

    python3.10 netx_reader.py JOB...

Needs lava-nc 0.10.0, lava-dl 0.6.0 (``pip install --no-deps lava-dl==0.6.0``) and h5py, nothing of ours. Every job is a folder
with ``network.net`` and ``inputs.npz``: ``x``, [B, T, C, H, W] or [B, T, N], what enters at each step (or, where the file has an
input layer with neurons, [B, 1, ...], what is added to their bias), and the settings ``steps``, ``message_bits``,
``reset_interval`` (0: none) and ``reset_offset`` of the reader. It writes ``trace.npz``: of layer i, in the order of the file,
``i.s`` and its states ``i.u``, ``i.v``, ... as [B, steps, C, H, W]; of resonators also the decays that netx gave Lava, ``i.sin`` and
``i.cos``.

The reader itself needs torch for one function only, ``neuron_params`` of resonators, which does not use it. So no torch is
wanted here: that function is taken from the installed ``slayer/neuron/rf.py`` by its text, the packages around are not
imported, and the one neighbour that wants torch for its annotations (``sequential_modules``) finds two empty classes.
"""

from __future__ import annotations

import ast
import importlib
import importlib.machinery
import importlib.util
import sys
import traceback
import types
from pathlib import Path
from typing import Any

import numpy as np

STATES = {"LIF": {"u": "u", "v": "v"}, "LIFReset": {"u": "u", "v": "v"}, "SigmaDelta": {"sigma": "sigma"}, "Sigma": {"sigma": "sigma"},
          "Delta": {}, "RF": {"re": "real", "im": "imag"}, "RF_IZ": {"re": "real", "im": "imag"}}  # fmt: skip
"""Names of ours, and Lava's, for the states of its processes."""


def reader() -> Any:
    """netx's ``Network``, without torch."""
    found = importlib.util.find_spec("lava.lib.dl")
    if found is None or found.submodule_search_locations is None:
        raise SystemExit("there is no lava-dl here: pip install --no-deps lava-dl==0.6.0 h5py")
    home = next(Path(place) for place in found.submodule_search_locations if (Path(place) / "netx").exists())
    for name in ("slayer", "slayer.neuron", "netx"):
        package = types.ModuleType(f"lava.lib.dl.{name}")
        package.__path__ = [str(home.joinpath(*name.split(".")))]
        package.__spec__ = importlib.machinery.ModuleSpec(package.__name__, None, is_package=True)
        sys.modules[package.__name__] = package
    torch = types.ModuleType("torch")
    torch.__dict__.update(tensor=type("tensor", (), {}), Tensor=type("Tensor", (), {}))
    sys.modules["torch"] = torch
    resonators = types.ModuleType("lava.lib.dl.slayer.neuron.rf")
    tree = ast.parse((home / "slayer" / "neuron" / "rf.py").read_text(encoding="utf-8"))
    tree.body = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "neuron_params"]
    resonators.__dict__["np"] = np
    exec(compile(tree, "rf.py", "exec"), resonators.__dict__)  # noqa: S102 - one function of the installed lava-dl
    sys.modules[resonators.__name__] = resonators
    return importlib.import_module("lava.lib.dl.netx.hdf5").Network


def turned(values: Any, lead: int) -> Any:
    """The axes behind the first ``lead`` reversed: (C, H, W) <-> (W, H, C)."""
    return values.transpose(*range(lead), *reversed(range(lead, values.ndim)))


def one_sample(network: Any, x: Any, steps: int) -> dict[str, Any]:
    """Run a fresh network on one sample [T, ...]."""
    from lava.magma.core.run_conditions import RunSteps
    from lava.magma.core.run_configs import Loihi2SimCfg
    from lava.proc.io.sink import RingBuffer as Sink
    from lava.proc.io.source import RingBuffer as Source
    from lava.proc.monitor.process import Monitor

    first = network.layers[0]
    decays = {
        f"{number}.{word}": np.asarray(getattr(layer.neuron, f"{word}_decay").init)
        for number, layer in enumerate(network.layers)
        for word in ("sin", "cos")
        if hasattr(layer.neuron, f"{word}_decay")
    }
    values = turned(x, 1) if len(first.inp.shape) > 1 else x.reshape(len(x), -1)
    if first.block == "Input" and type(first.neuron).__name__ != "Delta":
        first.neuron.bias_mant.init = (values[0] + first.transform["bias"]).astype(np.int32)
    else:
        port = first.neuron.a_in if first.block == "Input" else network.inp
        bias = first.transform["bias"] if first.block == "Input" else 0
        data = np.zeros((*port.shape, steps), np.int32)
        data[..., : len(values)] = np.moveaxis(values.reshape(len(values), *port.shape), 0, -1) + bias
        Source(data=data).s_out.connect(port)
    sinks, monitors = [], {}
    for number, layer in enumerate(network.layers):
        sink = Sink(shape=layer.out.shape, buffer=steps)
        layer.out.connect(sink.a_in)
        sinks.append(sink)
        for word, theirs in STATES[type(layer.neuron).__name__].items():
            monitors[number, word] = Monitor()
            monitors[number, word].probe(getattr(layer.neuron, theirs), steps)
    network.run(condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt"))
    kept = {f"{number}.s": np.moveaxis(sink.data.get(), -1, 0) for number, sink in enumerate(sinks)}
    for (number, word), monitor in monitors.items():
        kept[f"{number}.{word}"] = next(iter(next(iter(monitor.get_data().values())).values())).copy()
    network.stop()
    shapes = {name: network.layers[int(name.split(".")[0])].out.shape for name in kept}
    return decays | {name: turned(values.reshape(steps, *shapes[name]), 1) for name, values in kept.items()}


def run(folder: Path, network: Any) -> None:
    """One job."""
    with np.load(folder / "inputs.npz") as archive:
        given = dict(archive)
    interval = int(given["reset_interval"])
    settings = {
        "input_message_bits": int(given["message_bits"]),
        "reset_interval": interval or None,
        "reset_offset": int(given["reset_offset"]),
    }
    made = [one_sample(network(net_config=str(folder / "network.net"), **settings), x, int(given["steps"])) for x in given["x"]]
    once = [name for name in made[0] if name.endswith((".sin", ".cos"))]
    np.savez(folder / "trace.npz", **{name: made[0][name] if name in once else np.stack([one[name] for one in made]) for name in made[0]})


def main() -> None:
    """Run every job; one that fails leaves its words in ``failed.txt``."""
    network = reader()
    for folder in map(Path, sys.argv[1:]):
        try:
            run(folder, network)
        except Exception as error:  # noqa: BLE001 - whatever netx raises is what is reported
            place = traceback.extract_tb(error.__traceback__)[-1]
            (folder / "failed.txt").write_text(f"{type(error).__name__}: {error} ({place.name}, line {place.lineno} of {place.filename})")


if __name__ == "__main__":
    main()
