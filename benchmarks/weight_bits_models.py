"""The models that ``weight_bits`` measures: file or module, options, and disjoint samples to calibrate and to judge with."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from converters import Options
from snndeploy import demo

SHARED = Path(os.environ.get("SHARED", Path(__file__).resolve().parents[2] / "shared"))
TEST, SEEN = 300, 128

Pair = tuple[Any, Any]
"""Inputs [N, ...] and labels [N] (or None)."""


@dataclass(frozen=True)
class Case:
    """``test`` judges, ``seen`` calibrates; ``timesteps`` as ``deploy.convert`` takes them."""

    model: Any
    test: Any
    seen: Any
    options: Options = field(default_factory=Options)
    timesteps: int | None = None


def _model(folder: str) -> Path:
    return SHARED / "models" / folder


def _mnist(test: int = TEST, seen: int = SEEN) -> tuple[Pair, Pair]:
    """Test images from the 1,000th on, calibration images from the first on: [N, 784] in 0..1."""
    with np.load(SHARED / "data" / "mnist_t10k.npz") as data:
        x, y = data["x"].reshape(-1, 784) / 255.0, data["y"].astype(np.int64)
    return (x[1000 : 1000 + test], y[1000 : 1000 + test]), (x[:seen], y[:seen])


def _by_spikes(pair: Pair, steps: int, shape: tuple[int, ...], seed: int) -> Pair:
    """A spike with the pixel's probability at each step: [N, T, *shape]."""
    x, y = pair
    fires = np.random.default_rng(seed).random((len(x), steps, x.shape[1])) < x[:, None]
    return fires.astype(np.float64).reshape(len(x), steps, *shape), y


def snntorch() -> Case:
    """784 real pixels, held for 25 steps."""
    test, seen = _mnist()
    return Case(str(_model("snntorch_mnist_fc") / "snn_model.pth"), test, seen, Options(timesteps=25, input_shape=(784,)))


def norse(stateless: bool) -> Case:
    """Spikes; the author's reading starts every step anew."""
    test, seen = (_by_spikes(pair, 25, (784,), seed) for seed, pair in enumerate(_mnist()))
    options = Options(timesteps=25, neuron={"fc*": f"LIFCell(stateless={stateless})"})
    return Case(str(_model("norse_mnist_fc") / "norse_snn_model.pth"), test, seen, options)


def spikingjelly() -> Case:
    """Spikes over 100 steps, one layer."""
    test, seen = (_by_spikes(pair, 100, (784,), seed) for seed, pair in enumerate(_mnist(seen=64)))
    options = Options(timesteps=100, source="spikingjelly", neuron={"layer.*": "tau=2.0"}, input_shape=(784,))
    return Case(str(_model("spikingjelly_mnist_fc") / "snn_mnist.pth"), test, seen, options)


def sinabs() -> Case:
    """Convolutions, several spikes a step."""
    test, seen = (_by_spikes(pair, 100, (1, 28, 28), seed) for seed, pair in enumerate(_mnist(40, 8)))
    neuron, pools = {"1,4,7,11,12": "IAF(min_v_mem=-1.0)"}, {"2,5,8": "AvgPool2d(2)"}
    options = Options(timesteps=100, source="sinabs", neuron=neuron, layer=pools, input_shape=(1, 28, 28))
    return Case(str(_model("sinabs_mnist_cnn") / "mnist_params.pt"), test, seen, options)


def nmnist() -> Case:
    """Counts of events over 310 steps; the last recordings calibrate."""
    with np.load(_model("nir_cnn_nmnist") / "input.npz") as data:
        x, y = data["x"], data["y"]
    return Case(str(_model("nir_cnn_nmnist") / "cnn_sinabs.nir"), (x[:40], y[:40]), (x[-6:], y[-6:]), Options(source="norse"))


def braille() -> Case:
    """A recurrent network, without labels of its data: held against the float network's answers."""
    with np.load(_model("nir_braille_rnn") / "input.npz") as data:
        x = data["x"].astype(np.float64)
    return Case(str(_model("nir_braille_rnn") / "braille_noDelay_bias_zero.nir"), x, x[:8], Options(reset="zero"))


def iris() -> Case:
    """Four real numbers, held for 8 steps; every third flower calibrates and is judged too."""
    with np.load(_model("netx_iris") / "input.npz") as data:
        x, y = data["x"].astype(np.float64), data["y"].astype(np.int64)
    options = Options(timesteps=8, neuron={"blocks.*": "threshold=1.75"})
    return Case(str(_model("netx_iris") / "network.pt"), (x, y), (x[::3], y[::3]), options)


def onnx() -> Case:
    """An artificial network, converted; 16 steps."""
    pairs = [((x * 255).round().reshape(-1, 1, 28, 28), y) for x, y in _mnist(100, 64)]
    return Case(str(_model("onnx_mnist_cnn") / "mnist.onnx"), *pairs, Options(timesteps=16, relu="if"))


def digits(soft: bool) -> Case:
    """The shipped burst network on 8x8 digits."""
    reset, weights = ("subtract", demo.WEIGHTS_SOFT) if soft else ("hard", demo.WEIGHTS)
    options = Options(arch=f"{demo.ARCH}(reset={reset!r})", input_shape=(1, 8, 8))
    return Case(str(weights), *_shipped(), options)


def paper(name: str) -> Case:
    """One of the papers' neurons on 8x8 digits."""
    sys.path.insert(0, str(Path(__file__).parent / "papers"))
    from network import trained  # noqa: PLC0415 - a folder of its own

    return Case(trained(name), *_shipped())


def _shipped() -> tuple[Pair, Pair]:
    with np.load(demo.TEST) as test, np.load(demo.CALIBRATION) as seen:
        return (test["x"], test["y"]), (seen["x"][:SEEN], seen["y"][:SEEN])


MODELS: Mapping[str, Callable[[], Case]] = {
    "snntorch_mnist_fc": snntorch,
    "norse_mnist_fc stateless": lambda: norse(True),
    "norse_mnist_fc stateful": lambda: norse(False),
    "spikingjelly_mnist_fc": spikingjelly,
    "netx_iris": iris,
    "nir_braille_rnn": braille,
    "digits": lambda: digits(False),
    "digits_soft": lambda: digits(True),
    **{f"paper {name}": (lambda name=name: paper(name)) for name in ("PLIF", "GLIF", "CLIF", "KLIF", "LIFB")},
    "onnx_mnist_cnn": onnx,
    "nir_cnn_nmnist": nmnist,
    "sinabs_mnist_cnn": sinabs,
}
