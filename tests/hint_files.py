"""The files that the hints' situations speak of: small, and made anew for every run."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

CODE = '''
import torch
from snndeploy.nn import LIF

class Net(torch.nn.Module):
    def __init__(self, hidden=16, T=10):
        super().__init__()
        torch.manual_seed(0)
        self.T, self.fc1, self.lif1 = T, torch.nn.Linear(12, hidden), LIF(2.0)
        self.fc2, self.lif2 = torch.nn.Linear(hidden, 5), LIF(2.0)

    def forward(self, x):
        return sum(self.lif2(self.fc2(self.lif1(self.fc1(x)))) for _ in range(self.T))

class Steps(torch.nn.Module):
    """All steps at once."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.lif1 = torch.nn.Linear(12, 5), LIF(2.0, step_mode="m")

    def forward(self, x):
        return self.lif1(self.fc1(x)).sum(0)

class Relu(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.act, self.fc2 = torch.nn.Linear(12, 16), torch.nn.ReLU(), torch.nn.Linear(16, 5)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x)))

class Twice(torch.nn.Module):
    """A neuron of nobody's table."""
    def __init__(self):
        super().__init__()
        self.v = None

    def reset(self):
        self.v = None

    def forward(self, x):
        self.v = torch.tanh((torch.zeros_like(x) if self.v is None else self.v) * 0.5) + x * x
        s = (self.v > 1.0).to(x)
        self.v = self.v - s * torch.sqrt(torch.abs(self.v))
        return s

class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.lif1 = torch.nn.Linear(12, 5), Twice()

    def forward(self, x):
        return self.lif1(self.fc1(x))

class Short(torch.nn.Module):
    """A call is a step, and there are ten of them."""
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.fc1, self.lif1, self.left = torch.nn.Linear(12, 5), LIF(2.0), [1.0] * 10

    def reset(self):
        self.left = [1.0] * 10

    def forward(self, x):
        return self.lif1(self.fc1(x) * self.left.pop())
'''


def make(folder: Path) -> None:
    """Everything that needs no command of ours."""
    rng = np.random.default_rng(0)
    (folder / "net.py").write_text(CODE)
    x = (rng.random((6, 10, 12)) < 0.4).astype("float32")
    np.savez(folder / "d.npz", x=x)
    np.savez(folder / "labelled.npz", x=x, y=np.arange(6) % 5)
    np.savez(folder / "gone.npz", x=x)
    np.savez(folder / "unit.npz", x=rng.random((6, 12)).astype("float32"))
    np.savez(folder / "static.npz", x=x[:, 0])
    np.savez(folder / "real.npz", x=rng.normal(0, 1, (6, 10, 12)).astype("float32"))
    np.savez(folder / "images.npz", x=(rng.random((4, 6, 1, 14, 14)) < 0.4).astype("float32"))
    count = 40
    events = {"t": np.sort(rng.integers(0, 9_000, count)), "x": rng.integers(0, 6, count), "y": rng.integers(0, 2, count)}
    np.savez(folder / "events.npz", **events, p=rng.integers(0, 2, count), offset=np.array([0, 20, 40]))
    _weights(folder, rng)
    _networks(folder)
    _onnx(folder, rng)
    _hdf5(folder, rng)


def _weights(folder: Path, rng: np.random.Generator) -> None:
    import torch

    def normal(*shape):
        return torch.tensor(rng.normal(0, 0.5, shape), dtype=torch.float32)

    def saved(name, tensors):
        torch.save(tensors, folder / name)

    fc = {"fc1.weight": normal(16, 12), "fc2.weight": normal(5, 16)}
    neuron = {"beta": torch.tensor(0.75), "threshold": torch.tensor(1.0), "reset_mechanism_val": torch.tensor(0)}
    lifs = {f"{name}.{key}": value for name in ("lif1", "lif2") for key, value in neuron.items()}
    saved("plain.pth", fc)
    saved("misfit.pth", {"fc1.weight": normal(16, 12), "fc2.weight": normal(5, 20)})
    saved("snntorch.pth", {**fc, **lifs})
    saved("two_behind.pth", {"fc1.weight": fc["fc1.weight"], **lifs, "fc2.weight": fc["fc2.weight"]})
    saved("blocks.pth", {**fc, **{k: v for k, v in lifs.items() if k.startswith("lif1")}})
    saved("forked.pth", {"fc1.weight": normal(16, 12), "downsample.0.weight": normal(16, 12)})
    saved("odd.pth", {"blk.odd": normal(3, 3, 3)})
    saved("conv.pth", {"conv1.weight": normal(4, 1, 3, 3), "fc1.weight": normal(5, 4 * 6 * 6)})
    saved("kernel.pth", {"conv1.weight": normal(4, 1, 3, 3)})
    saved("channels.pth", {"conv1.weight": normal(4, 3, 3, 3)})
    norm = {"running_mean": normal(16), "running_var": normal(16).abs() + 1}
    saved("norm.pth", {"fc1.weight": normal(8, 12), **{f"bn1.{k}": v for k, v in norm.items()}})
    scaled = {**{f"bn1.{k}": v for k, v in norm.items()}, "bn1.Vth": torch.tensor(0.5)}
    saved("scaled.pth", {"fc1.weight": normal(16, 12), **scaled, "fc2.weight": normal(5, 16)})


def _networks(folder: Path) -> None:
    import torch

    found: dict[str, type] = {}
    exec(compile(CODE, "net.py", "exec"), found)
    for name, file in (("Net", "code.pth"), ("Steps", "steps.pth"), ("Relu", "relu.pth"), ("Own", "own.pth"), ("Short", "short.pth")):
        torch.save(found[name]().state_dict(), folder / file)
    torch.save(torch.nn.Sequential(torch.nn.Linear(12, 5)), folder / "whole.pth")
    with zipfile.ZipFile(folder / "script.pth", "w") as program:  # as torch.jit.save names its parts
        for part in ("data.pkl", "constants.pkl", "code/__torch__.py"):
            program.writestr(f"script/{part}", b"")


def _onnx(folder: Path, rng: np.random.Generator) -> None:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def saved(name, nodes, inputs, outputs, tensors):
        made = [[helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n, shape in ends.items()] for ends in (inputs, outputs)]
        arrays = [numpy_helper.from_array(np.asarray(values, np.float32), n) for n, values in tensors.items()]
        graph = helper.make_graph(nodes, "g", *made, arrays)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / name)

    node = helper.make_node
    weights = {"w1": rng.normal(0, 0.3, (12, 16)), "w2": rng.normal(0, 0.5, (16, 5))}
    rectified = [node("MatMul", ["x", "w1"], ["a"]), node("Relu", ["a"], ["r"]), node("MatMul", ["r", "w2"], ["y"])]
    saved("relu.onnx", rectified, {"x": ["N", 12]}, {"y": ["N", 5]}, weights)
    kernel = {"w1": rng.normal(0, 0.3, (2, 1, 3, 3)), "w2": rng.normal(0, 0.5, (2 * 4 * 4, 5))}
    image = [node("Conv", ["x", "w1"], ["a"]), node("Relu", ["a"], ["r"]), node("Flatten", ["r"], ["f"]),
             node("MatMul", ["f", "w2"], ["y"])]  # fmt: skip
    saved("open.onnx", image, {"x": ["N", 1, "H", "W"]}, {"y": ["N", 5]}, kernel)
    once = [node("Mul", ["p", "half"], ["d"]), node("Add", ["d", "x"], ["h"]), node("Greater", ["h", "one"], ["b"]),
            node("Cast", ["b"], ["spk"], to=TensorProto.FLOAT), node("Sub", ["h", "spk"], ["q"])]  # fmt: skip
    saved("state.onnx", once, {"x": ["N", 6], "p": ["N", 6]}, {"spk": ["N", 6], "q": ["N", 6]}, {"half": 0.5, "one": 1.0})


def _hdf5(folder: Path, rng: np.random.Generator) -> None:
    try:
        import h5py
    except ImportError:
        return

    def saved(name, tree):
        with h5py.File(folder / name, "w") as file:
            for key, value in _leaves(tree, ""):
                file[key] = value

    for name, tree in {**_nir(rng), **_lava_net()}.items():
        saved(name, tree)


def _leaves(tree, path):
    """(path, value) of every number and text in nested dicts."""
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}/{key}")
        else:
            yield f"{path}/{key}", value


def _nir(rng):
    def graph(nodes, *edges):
        return {"version": "1.0.8", "node": {"type": "NIRGraph", "nodes": nodes, "edges": np.array(edges, dtype="S20")}}

    ends = {"input": {"type": "Input", "shape": np.array([12])}, "output": {"type": "Output", "shape": np.array([5])}}
    ones = np.ones(5, np.float32)
    fc = {"type": "Linear", "weight": rng.normal(0, 0.3, (5, 12)).astype(np.float32)}
    fires = {"r": ones, "v_leak": ones * 0, "v_threshold": ones * 0.3, "v_reset": ones * 0}
    lif = {"type": "LIF", "tau": ones * 0.01, **fires}
    image = {"type": "Conv2d", "weight": rng.normal(0, 0.5, (2, 1, 3, 3)).astype(np.float32), "bias": np.zeros(2, np.float32)}
    image |= {name: np.array([n, n]) for name, n in (("stride", 1), ("padding", 0), ("dilation", 1))} | {"groups": 1}
    flat = {"type": "Flatten", "start_dim": 0, "end_dim": -1, "input_type": {"input": np.array([2, 12, 12])}}
    open_ = {"input": {"type": "Input"}, "output": {"type": "Output"}, "conv": image, "flat": flat}
    ways = (("input", "fc"), ("fc", "lif"), ("lif", "output"))
    return {
        "n.nir": graph({**ends, "fc": fc, "lif": lif}, *ways),
        "leak.nir": graph({**ends, "fc": fc, "lif": {**lif, "v_leak": ones * 0.1}}, *ways),
        "image.nir": graph(open_, ("input", "conv"), ("conv", "flat"), ("flat", "output")),
    }


def _lava_net():
    cuba = {"neuron/type": "CUBA", "neuron/iDecay": 1024, "neuron/vDecay": 128, "neuron/vThMant": 80}
    dense = {"type": "dense", "shape": [2], "weight": np.array([[2, 4], [6, 8]], np.float32), "bias": np.array([1, 0]), **cuba}
    return {"bias.net": {"layer": {"0": dense, "1": dense}}}
