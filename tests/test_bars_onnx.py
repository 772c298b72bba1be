"""Every float model of ../shared on a chip, and its integers in onnxruntime: every spike and state word, 0 different.

The integer models (.net) are held by ``test_onnx_chip.test_intels_networks_are_equal``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import snndeploy as sd
from converters import Options
from snndeploy.flow.against_onnxruntime import integer_onnx_pair

pytest.importorskip("onnxruntime")
pytest.importorskip("torch")

Case = tuple[str, Any, Options]


def arrays(folder: Path) -> dict[str, Any]:
    with np.load(folder / "input.npz") as data:
        return dict(data)


def unpacked(given: dict[str, Any]) -> np.ndarray:
    return np.unpackbits(given["spikes"])[: np.prod(given["shape"])].reshape(given["shape"]).astype(np.float64)


def snntorch(folder: Path) -> Case:
    return "snn_model.pth", arrays(folder)["images"][:4].reshape(4, 784) / 255.0, Options(timesteps=25)


def spikingjelly(folder: Path) -> Case:
    options = Options(source="spikingjelly", neuron={"layer.2": "LIFNode(tau=2.0)"})
    return "snn_mnist.pth", unpacked(arrays(folder)).swapaxes(0, 1)[:4], options


def norse(folder: Path, stateless: bool) -> Case:
    options = Options(neuron={"fc*": f"LIFCell(stateless={stateless})"})
    return "norse_snn_model.pth", unpacked(arrays(folder)).swapaxes(0, 1)[:4], options


def braille(folder: Path) -> Case:
    return "braille_noDelay_bias_zero.nir", arrays(folder)["x"][:4].astype(np.float64), Options(reset="zero")


def nmnist(folder: Path, **reading: str) -> Case:
    return "cnn_sinabs.nir", arrays(folder)["x"][:2, :30].astype(np.float64), Options(**reading)


def rectified(folder: Path) -> Case:
    with np.load(folder.parents[1] / "data" / "mnist_t10k.npz") as data:
        return "mnist.onnx", data["x"][:2, None].astype(np.float64), Options(relu="if", timesteps=8)


MODELS: dict[str, tuple[str, Callable[[Path], Case]]] = {
    "snntorch": ("snntorch_mnist_fc", snntorch),
    "spikingjelly": ("spikingjelly_mnist_fc", spikingjelly),
    "norse stateless": ("norse_mnist_fc", lambda folder: norse(folder, stateless=True)),
    "norse": ("norse_mnist_fc", lambda folder: norse(folder, stateless=False)),
    "braille": ("nir_braille_rnn", braille),
    "nmnist, reset to 0": ("nir_cnn_nmnist", lambda folder: nmnist(folder, source="norse")),
    "nmnist, subtracting": ("nir_cnn_nmnist", lambda folder: nmnist(folder, source="nir", reset="subtract")),
    "nmnist, floor": ("nir_cnn_nmnist", lambda folder: nmnist(folder, source="sinabs", reset="subtract")),
    "nmnist, several spikes": ("nir_cnn_nmnist", lambda folder: nmnist(folder, source="sinabs", reset="multi")),
    "onnx": ("onnx_mnist_cnn", rectified),
}


ELSEWHERE = {
    "netx_mnist netx_tinynet netx_iris netx_pilotnet_lif netx_pilotnet_sdnn": "test_onnx_chip.test_intels_networks_are_equal",
    "sinabs_mnist_cnn": "test_bars_import.test_neurons_that_fire_several_times_a_step_reach_the_chip",
    "lava_conv_ground_truth _awkward": "no trained networks: single convolutions, and files that lack something",
}


def test_every_model_is_held(shared):
    models = {folder.name for folder in (shared / "models").iterdir() if folder.is_dir()}
    assert models == {model for model, _ in MODELS.values()} | {name for names in ELSEWHERE for name in names.split()}


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_integers_of_a_float_model_are_equal(shared, name):
    model, read = MODELS[name]
    folder = shared / "models" / model
    file, x, options = read(folder)
    made = sd.convert(folder / file, x, sd.Wishes(chip="loihi2"), options)
    assert made.verdict.verdict == "exact"
    pair = integer_onnx_pair(made.network, made.data.first(1))
    assert pair.equal, pair.first
    assert pair.compared > 1000
    assert made.chip_trace.outputs[made.network.readout.population].any()
