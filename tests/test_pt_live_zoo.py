"""Networks of SpikingJelly's own model zoo, narrow and with random weights, run by the library and by ours, in float64.

A sample of ``benchmarks/seeds.py``, which runs all of them and the papers' own (docs/seeds.md).
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
from originals import library

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = ["zoo-cifar10", "zoo-sew18-add", "zoo-resnet18", "zoo-vgg11", "zoo-ms18"]


@pytest.fixture
def seeds(monkeypatch):
    """The benchmark; what it puts in the place of torchvision goes with it."""
    library("spikingjelly.activation_based.neuron")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module("seeds")
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("torchvision", "seeds", "seeds_networks") or ".activation_based.model" in name:
            del sys.modules[name]


@pytest.mark.parametrize("name", NAMES)
def test_spikingjelly_model_zoo(seeds, name):
    """Every spike of every neuron layer, from the live module; from its state_dict and code the same graph; the same read-out."""
    _, _, _, _, answer, layers, total, fired, _, differ, _ = [cell.strip() for cell in seeds.compare(name).split("|")]
    assert (answer, differ) == ("exact", "0")
    assert int(layers) > 5
    assert 0 < int(fired.replace(",", "")) < int(total.replace(",", ""))
