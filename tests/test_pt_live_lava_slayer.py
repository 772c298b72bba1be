"""lava-dl slayer's blocks, live, against their graphs: 0 values of the library's own run differ, time last as there.

slayer counts in 4096ths whatever the type, so float32 is exact here. Random weights, decays and thresholds; every
network is run by the library on data that the conversion never saw.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
from originals import SLAYER, library

torch = pytest.importorskip("torch")

import snndeploy as sd  # noqa: E402  (behind importorskip)
from converters import Options  # noqa: E402
from converters.pt import first_that_runs, from_module  # noqa: E402
from snndeploy.errors import ModelError, Unsupported  # noqa: E402
from snndeploy.ir.layers import Input, Output  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
STEPS, BATCH = 18, 3


@pytest.fixture(scope="module")
def lava() -> Any:
    """The blocks by neuron: ``lava("cuba").Dense``."""
    library(f"{SLAYER}.block.cuba")
    return lambda kind: importlib.import_module(f"{SLAYER}.block.{kind}")


def numbers(seed: int, kind: str = "cuba") -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    decays = ["current_decay", "voltage_decay", *(["threshold_decay", "refractory_decay"] if kind == "alif" else [])]
    if kind == "sigma_delta":
        return {"threshold": float(rng.integers(1, 32)) / 64, "activation": torch.nn.functional.relu}
    steps = {"threshold_step": float(rng.integers(1, 64)) / 64} if kind == "alif" else {}
    return {"threshold": float(rng.integers(20, 100)) / 64, **steps, **{name: float(rng.uniform(0.02, 0.6)) for name in decays}}


class Net(torch.nn.Module):
    def __init__(self, *blocks: Any, out: Any = None) -> None:
        super().__init__()
        self.blocks, self.out = torch.nn.ModuleList(blocks), out

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x if self.out is None else self.out(x)


def compare(net: Any, shape: tuple[int, ...], seed: int, values: str = "spikes") -> tuple[Any, int]:
    """What was loaded, and how many values were not 0; the library's own run differs in none."""
    generator = torch.Generator().manual_seed(seed)

    def data() -> Any:
        if values == "spikes":
            return (torch.rand((BATCH, *shape, STEPS), generator=generator) < 0.4).float()
        return torch.randint(-40, 60, (BATCH, *shape, STEPS), generator=generator).float() / 64

    net(data())  # slayer draws delays and per-channel decays at the first call
    loaded = from_module(net, data())
    fresh = data()
    with torch.no_grad():
        want = net(fresh)
    trace = run_reference(loaded.graph, {next(iter(loaded.graph.named(Input))): np.moveaxis(fresh.double().numpy(), -1, 0)}, STEPS)
    name, output = next(iter(loaded.graph.named(Output).items()))
    series = trace.outputs[name]
    got = np.moveaxis(series, 0, -1) if output.decode == "none" else getattr(series, output.decode)(axis=0)
    different = int((np.abs(got - want.double().numpy()) > 1e-6).sum())
    assert different == 0
    return loaded, int((want != 0).sum())


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["cuba", "alif", "sigma_delta"])
def test_dense_blocks(lava, kind, seed):
    torch.manual_seed(seed)
    block, own = lava(kind), numbers(seed, kind)
    options = {"weight_norm": bool(seed % 2), "delay_shift": bool(seed % 3)}
    first = block.Dense({**own, **({"shared_param": False} if kind == "cuba" and seed % 4 == 0 else {})}, 10, 8, weight_scale=4, **options)
    second = block.Dense(numbers(seed + 100, kind), 8, 4, weight_scale=4)
    _, active = compare(Net(first, second), (10,), seed, "real" if kind == "sigma_delta" else "spikes")
    assert active


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["cuba", "alif", "sigma_delta"])
def test_convolutional_networks(lava, kind, seed):
    """Convolution, pooling of an odd size, a stride, flatten, and the mean of groups over time."""
    torch.manual_seed(seed)
    block = lava(kind)
    made = [numbers(seed + k, kind) for k in range(4)]
    net = Net(
        block.Conv(made[0], 2, 4, 3, padding=1, weight_scale=6, weight_norm=bool(seed % 2)),
        block.Pool(made[1], 2, weight_scale=2),
        block.Conv(made[2], 4, 4, 3, stride=2, groups=2, weight_scale=4),
        block.Flatten(),
        block.Dense(made[3], 4 * 2 * 2, 6, weight_scale=5),
        block.Average(3),
        out=(lambda x: x.mean(-1)) if seed % 2 else None,
    )
    _, active = compare(net, (2, 11, 11), seed, "real" if kind == "sigma_delta" else "spikes")
    assert active or kind == "alif"  # a high threshold that rises may leave its last layer silent


def test_axons_of_one_delay_are_an_edge_that_is_late(lava):
    block = lava("cuba")
    net = Net(block.Dense(numbers(0), 10, 8, weight_scale=4, delay=True), block.Dense(numbers(1), 8, 4, weight_scale=4))
    net(torch.zeros(1, 10, STEPS))
    net.blocks[0].delay.delay.data.fill_(2.7)
    loaded, _ = compare(net, (10,), 3)
    assert {edge.delay for edge in loaded.graph.edges} == {0, 1, 3}
    net.blocks[0].delay.delay.data[0] = 4.0
    with pytest.raises(Unsupported, match="delays its channels by 2 to 4 steps"):
        from_module(net, torch.zeros(2, 10, STEPS))


def test_what_a_block_cannot_say_is_refused_with_the_reason(lava):
    cuba, x = lava("cuba"), torch.zeros(2, 10, STEPS)
    normed = numbers(0) | {"norm": importlib.import_module(f"{SLAYER}.neuron.norm").MeanOnlyBatchNorm}
    cases = {
        "normalizes its currents": cuba.Dense(normed, 10, 4),
        "persistent_state": cuba.Dense(numbers(0) | {"persistent_state": True}, 10, 4),
        "graded spikes": cuba.Dense(numbers(0) | {"graded_spike": True}, 10, 4),
        "gives a membrane that is reset": cuba.Affine(numbers(0), 10, 4),
        "from one sample to the next": cuba.Recurrent(numbers(0), 10, 4),
        "complex weights": lava("rf").Dense({"threshold": 1.0, "period": 8.0, "decay": 0.1}, 10, 4),
    }
    for words, block in cases.items():
        with pytest.raises((Unsupported, ModelError), match=words):
            from_module(Net(block), x)
    with pytest.raises(Unsupported, match="reach from one channel into the next"):
        from_module(Net(cuba.Pool(numbers(0), 3)), torch.zeros(2, 2, 11, 11, STEPS))
    with pytest.raises((Unsupported, ModelError)):
        from_module(Net(torch.nn.Linear(STEPS, STEPS), cuba.Dense(numbers(0), 10, 4)), x)


def test_a_block_network_is_deployed_from_data_with_time_behind_the_samples(lava):
    torch.manual_seed(1)
    net = Net(lava("cuba").Dense(numbers(0), 10, 8, weight_scale=4), lava("cuba").Dense(numbers(1), 8, 4, weight_scale=4))
    x = (np.random.default_rng(0).random((16, STEPS, 10)) < 0.4).astype(np.float32)
    deployment = sd.convert(net, x, timesteps=STEPS)
    assert deployment.verdict.verdict == "exact"
    assert deployment.float_trace.activity["blocks.1"].spikes.sum() > 0
    with pytest.raises(ModelError, match="--timesteps"):
        first_that_runs(net, Options(input_shape=(10,)))


def test_what_is_drawn_at_the_first_run_is_not_there_before_it(lava):
    cuba, x = lava("cuba"), torch.zeros(2, 10, STEPS)
    for block, words in (
        (cuba.Dense(numbers(0), 10, 4, delay=True), "draws the delays"),
        (cuba.Dense(numbers(0) | {"shared_param": False}, 10, 4), "draws the decays"),
    ):
        with pytest.raises(Unsupported, match=words):
            from_module(Net(block), x)
        block(x)
        assert from_module(Net(block), x).steps == STEPS


CODE = """
import importlib
import torch

block = importlib.import_module("lava.lib.dl.slayer.block.cuba")

class Net(torch.nn.Module):
    def __init__(self, hidden=8):
        super().__init__()
        own = {"threshold": 0.75, "current_decay": 0.25, "voltage_decay": 0.05}
        self.blocks = torch.nn.ModuleList(
            [block.Dense(own, 10, hidden, weight_norm=True, weight_scale=4), block.Dense(own, hidden, 4, weight_scale=4)]
        )

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return x
"""


def test_a_state_dict_with_its_code_is_the_live_module(lava, tmp_path):
    made: dict[str, Any] = {}
    exec(CODE, made)
    torch.manual_seed(5)
    net = made["Net"]()
    (tmp_path / "net.py").write_text(CODE, encoding="utf-8")
    torch.save(net.state_dict(), tmp_path / "net.pt")
    options = Options(arch=f"{tmp_path / 'net.py'}:Net(hidden=8)", input_shape=(10,), timesteps=STEPS)
    loaded = sd.load(str(tmp_path / "net.pt"), None, options)
    assert str(loaded.graph) == str(from_module(net, torch.zeros(2, 10, STEPS)).graph)
    bare = sd.load(str(tmp_path / "net.pt"), None, Options(neuron={"blocks.*": "threshold=0.75"}))
    x = (np.random.default_rng(1).random((STEPS, BATCH, 10)) < 0.4).astype(np.float64)
    outputs = [next(iter(run_reference(read.graph, {"input": x}, STEPS, record=["output"]).outputs.values())) for read in (loaded, bare)]
    np.testing.assert_array_equal(*outputs)
    assert outputs[0].any()
