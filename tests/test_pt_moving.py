"""Features that are sliced, split, permuted and up-sampled in a traced model: 0/1 synapses, spike for spike what torch computes."""

from __future__ import annotations

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  (behind importorskip)
from torch.nn import functional as F  # noqa: E402, N812

import snndeploy as sd  # noqa: E402
from converters import Options  # noqa: E402
from converters.pt import from_module, load  # noqa: E402
from converters.pt.moving import moved, nearest  # noqa: E402
from snndeploy import nn as snn  # noqa: E402
from snndeploy.errors import Unsupported  # noqa: E402
from snndeploy.flow.against_onnxruntime import integer_onnx_pair  # noqa: E402
from snndeploy.ir.layers import Conv, Linear, Reshape  # noqa: E402
from snndeploy.ir.on_numpy import NUMPY  # noqa: E402
from snndeploy.passes import linear_map  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

STEPS = 4


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(5)
    torch.set_num_threads(1)


def shuffled(x):
    b, c, h, w = x.shape
    return x.view(b, 2, c // 2, h, w).transpose(1, 2).reshape(b, c, h, w)


IMAGES = {
    "Upsample": nn.Upsample(scale_factor=2),
    "interpolate to a size": lambda x: F.interpolate(x, size=(12, 18)),
    "interpolate one axis": lambda x: F.interpolate(x, scale_factor=(1, 3)),
    "every second": lambda x: F.interpolate(x, scale_factor=0.5),
    "nearest-exact": lambda x: F.interpolate(x, scale_factor=2, mode="nearest-exact"),
    "repeat_interleave": lambda x: x.repeat_interleave(2, dim=2),
    "slice": lambda x: x[:, 1:3],
    "slice with a step": lambda x: x[:, ::2],
    "crop": lambda x: x[:, :, 1:-1, 1:-2],
    "strided places": lambda x: x[..., ::2, 1::2],
    "all axes": lambda x: x[:, 1:, 2:5, ::3],
    "index and keep": lambda x: x[:, 2:3],
    "index a channel": lambda x: x[:, 2].unsqueeze(1),
    "select a row": lambda x: x.select(2, 1),
    "index list": lambda x: x[:, [3, 0, 0, 2]],
    "index list of rows": lambda x: x[:, :, [3, 0, 5]],
    "chunk": lambda x: x.chunk(2, 1)[1],
    "chunks joined the other way": lambda x: torch.cat(x.chunk(2, dim=1)[::-1], 1),
    "chunks added": lambda x: sum(torch.chunk(x, 2, 1)),
    "split": lambda x: torch.split(x, [1, 3], 1)[1],
    "split rows": lambda x: x.split(2, dim=2)[2],
    "tensor_split": lambda x: x.tensor_split(3, dim=1)[0],
    "unbind": lambda x: x.unbind(1)[1].unsqueeze(1),
    "narrow": lambda x: x.narrow(1, 1, 2),
    "flip": lambda x: x.flip(1, -1),
    "roll": lambda x: x.roll((1, 2), (1, 3)),
    "channel shuffle": shuffled,
    "ChannelShuffle": nn.ChannelShuffle(2),
    "PixelShuffle": nn.PixelShuffle(2),
    "PixelUnshuffle": nn.PixelUnshuffle(2),
    "rows and columns": lambda x: x.transpose(2, 3),
    "channels last": lambda x: x.permute(0, 2, 3, 1),
    "tokens": lambda x: x.flatten(2).transpose(1, 2),
}


FLAT = ("select a row", "tokens", "channels last")


class Moves(nn.Module):
    """A stem, the function, and a layer and neuron behind it; one step a call."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.move = IMAGES[name]
        made = self.move(torch.zeros(1, 4, 6, 6)).shape
        self.stem, self.sn1 = nn.Conv2d(2, 4, 3, padding=1), snn.LIF(2.0, 0.15)
        self.behind, self.sn2 = nn.Linear(made[-1], 5) if name in FLAT else nn.Conv2d(made[1], 3, 3, padding=1), snn.LIF(2.0, 0.1)

    def forward(self, x):
        x = self.sn1(self.stem(x))
        x = self.behind(self.move(x))
        return self.sn2(1.5 * x)


def alike(net, x):
    """Every neuron at every step, live and from its state_dict; returns what was loaded."""
    loaded = from_module(net, x[0], Options(timesteps=STEPS))
    gave = {path: [] for path, part in net.named_modules() if hasattr(part, "to_node")}
    hooks = [
        part.register_forward_hook(lambda _, __, y, p=path: gave[p].append(y.numpy().copy()))
        for path, part in net.named_modules()
        if path in gave
    ]
    for path in gave:
        net.get_submodule(path).reset()
    with torch.no_grad():
        for now in x:
            net(now)
    for hook in hooks:
        hook.remove()
    trace = run_reference(loaded.graph, {"input": x.numpy()}, STEPS)
    for path, calls in gave.items():
        theirs = np.stack(calls)
        assert int((trace.outputs[path] != theirs).sum()) == 0, path
        assert 0.01 < theirs.mean() < 0.99, path
    return loaded


def built(name: str) -> nn.Module:
    return Moves(name).double().eval()


@pytest.mark.parametrize("name", IMAGES)
def test_features_that_move(name, tmp_path):
    net = built(name)
    loaded = alike(net, torch.rand(STEPS, 3, 2, 6, 6).double() * 4 - 1)
    torch.save(net.state_dict(), tmp_path / "weights.pt")
    (tmp_path / "arch.py").write_text(f"import sys\nMoves = sys.modules[{__name__!r}].Moves\n")
    arch = f"{tmp_path / 'arch.py'}:Moves(name={name!r})"
    assert str(load(tmp_path / "weights.pt", Options(arch=arch, input_shape=(2, 6, 6), timesteps=STEPS)).graph) == str(loaded.graph)


class Sequence(nn.Module):
    """[T, B, ...] in, every layer over time and batch; the features are split where time and batch lead."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.sn1, self.up = nn.Conv2d(2, 4, 3, padding=1), snn.LIF(2.0, 0.2, step_mode="m"), nn.Upsample(scale_factor=2)
        self.one, self.two, self.sn2 = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(1, 3, 1), snn.LIF(2.0, 0.1, step_mode="m")

    def forward(self, x):
        x = self.sn1(self.stem(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        one, two = x.split([3, 1], dim=2)
        y = self.one(self.up(one.flatten(0, 1))) + self.two(self.up(two[:, :, :, [1, 0, 2, 3, 5, 4]].flatten(0, 1)))
        return self.sn2(y.unflatten(0, x.shape[:2]))


def test_time_and_batch_before_the_features():
    net = Sequence().double().eval()
    x = torch.rand(STEPS, 3, 2, 6, 6).double() * 4 - 1
    loaded = from_module(net, x)
    net.sn1.reset()
    net.sn2.reset()
    with torch.no_grad():
        want = net(x).numpy()
    trace = run_reference(loaded.graph, {"input": x.numpy()}, STEPS)
    assert int((trace.outputs["sn2"] != want).sum()) == 0
    assert 0.01 < want.mean() < 0.99


class Halves(nn.Module):
    """Spikes stay spikes: halves of the channels are pooled, and multiplied."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.sn1, self.pool = nn.Conv2d(2, 4, 3, padding=1), snn.LIF(2.0, 0.2), nn.MaxPool2d(2)
        self.out, self.sn2 = nn.Conv2d(4, 3, 3, padding=1), snn.LIF(2.0, 0.1)

    def forward(self, x):
        one, two = self.sn1(self.stem(x)).chunk(2, dim=1)
        return self.sn2(self.out(torch.cat([self.pool(one), self.pool(one * two.flip(1))], 1)))


@pytest.mark.parametrize("name", ["Upsample", "chunks joined the other way", "channel shuffle", "crop", "halves", "index list of rows"])
def test_features_that_move_are_deployed(name):
    net = Halves().double().eval() if name == "halves" else built(name)
    x = (torch.rand(4, STEPS, 2, 6, 6) < 0.6).double()
    if name == "halves":
        alike(net, x.swapaxes(0, 1))
    deployment = sd.convert(net, x.numpy(), sd.Wishes(chip="loihi2"), Options(timesteps=STEPS))
    assert re.search(r"^Exactness +Exact ", sd.to_text(sd.report(deployment)), re.MULTILINE)


class Wide(nn.Module):
    """Maps that merge into no convolution: an up-sampled one, and pools with a remainder before padding."""

    def __init__(self, between: nn.Module, neuron=lambda: snn.LIF(2.0, 0.15)) -> None:
        super().__init__()
        self.stem, self.sn1, self.between = nn.Conv2d(2, 4, 3, padding=1), neuron(), between
        self.behind, self.sn2 = nn.Conv2d(4, 3, 3, padding=1, bias=False), neuron()
        self.last, self.sn3 = nn.Conv2d(3, 8, 2), neuron()
        for layer in (self.stem, self.behind, self.last):
            nn.init.normal_(layer.weight, 0.05, 0.4)

    def forward(self, x):
        return self.sn3(self.last(self.sn2(self.behind(self.between(self.sn1(self.stem(x)))))))


WIDE = {
    "Upsample": nn.Upsample(scale_factor=2),
    "remainder": nn.AvgPool2d(2),
    "ceil_mode": nn.AvgPool2d(3, 2, ceil_mode=True),
    "overlapping": nn.AvgPool2d(3, 2, padding=1),
}


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
@pytest.mark.parametrize("between", WIDE)
def test_what_is_too_large_for_a_matrix_is_deployed_as_single_synapses(between, chip, monkeypatch):
    """The same spikes in every layer as with the matrix; and onnxruntime computes every one of them."""
    size = 6 if between == "overlapping" else 7
    net = Wide(WIDE[between]).double().eval()
    x = (torch.rand(4, STEPS, 2, size, size) < 0.5).double()
    alike(net, x.swapaxes(0, 1))
    whole = sd.convert(net, x.numpy(), sd.Wishes(chip=chip), Options(timesteps=STEPS))
    monkeypatch.setattr(linear_map, "LIMIT", 0)
    single = sd.convert(net, x.numpy(), sd.Wishes(chip=chip), Options(timesteps=STEPS))
    (name,) = [p.name for p in single.network.projections if p.source == "sn1"]
    kinds = [type(next(p for p in made.network.projections if p.name == name).synapses).__name__ for made in (whole, single)]
    assert kinds == ["Dense", "Sparse"]
    for layer in ("sn1", "sn2", "sn3"):
        np.testing.assert_array_equal(single.chip_trace.outputs[layer], whole.chip_trace.outputs[layer])
        assert 0.01 < single.chip_trace.outputs[layer].mean() < 0.99
    assert single.verdict.verdict == "exact"
    pair = integer_onnx_pair(single.network, single.data)
    assert pair.equal
    assert pair.compared > 5_000


def test_burst_neurons_reach_single_synapses_graded_and_decoupled(monkeypatch):
    """Levels are payloads on one chip, and on the other several neurons whose synapses are the listed ones times their step."""
    monkeypatch.setattr(linear_map, "LIMIT", 0)
    net = Wide(nn.AvgPool2d(2), lambda: snn.LIFB(tau=2.0, thresholds=(0.1, 0.3), kappa=2.0)).double().eval()
    x = (torch.rand(4, STEPS, 2, 7, 7) < 0.5).double()
    for chip in ("loihi1", "loihi2"):
        made = sd.convert(net, x.numpy(), sd.Wishes(chip=chip), Options(timesteps=STEPS))
        kinds = {p.source: type(p.synapses).__name__ for p in made.network.projections}
        assert made.verdict.verdict == "exact"
        assert all(kind == "Sparse" for source, kind in kinds.items() if source.startswith("sn1"))


class Refused(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.sn = function, snn.LIF(2.0, 0.2)

    def forward(self, x):
        return self.sn(self.function(x))


REFUSED = {
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), "mixes neighbouring values"),
    "no whole factor": (lambda x: F.interpolate(x, scale_factor=1.5), "no whole factor"),
    "the middle of two": (lambda x: F.interpolate(x, scale_factor=0.5, mode="nearest-exact"), "other places"),
    "a factor that float32 rounds": (lambda x: F.interpolate(x, scale_factor=41), "other places"),
    "by the data": (lambda x: x.index_select(1, (x[0, :1, 0, 0] > 2).long()), "by the data"),
    "a number": (lambda x: x[:, 0, 0, 0], "leaves no feature axis"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_exact_form_is_refused(name):
    function, why = REFUSED[name]
    with pytest.raises(Unsupported, match=why) as refusal:
        from_module(Refused(function), torch.rand(2, 2, 6, 6))
    assert refusal.value.hint
    assert "test_pt_moving.py" in refusal.value.where


def test_parts_that_are_steps_are_not_features():
    net = Refused(lambda x: x)
    net.forward = lambda x: torch.stack([net.sn(part) for part in x.chunk(STEPS, 1)])
    with pytest.raises(Unsupported, match="another part of the features to every step"):
        from_module(net, torch.rand(2, 2 * STEPS, 3))


def test_every_map_of_a_small_image_is_what_it_says():
    """Random places, which no axis explains: a matrix, over as few places as can be."""
    rng = np.random.default_rng(0)
    for shape in ((6,), (4, 3), (3, 2, 4), (2, 3, 2, 2)):
        x = rng.normal(size=(2, *shape))
        size = int(np.prod(shape))
        for places in (rng.permutation(size).reshape(shape), rng.integers(size, size=(5, 2)), np.arange(size).reshape(-1, 1)):
            y = x
            nodes = moved(shape, places)
            for node in nodes:
                y, _ = node.step((y,), {}, NUMPY)
                assert isinstance(node, Reshape) or set(np.unique(node.weight)) <= {0.0, 1.0}
            np.testing.assert_array_equal(y, x.reshape(2, -1)[:, places])
    assert moved((3, 2), np.arange(6).reshape(3, 2)) == ()


def test_a_matrix_too_large_is_refused():
    big = (64, 12, 12)
    with pytest.raises(Unsupported, match="above 16,777,216"):
        moved(big, np.random.default_rng(0).permutation(64 * 144).reshape(big))
    up = np.arange(64 * 144).reshape(big).repeat(3, 1).repeat(3, 2)
    nodes = nearest(big, up, "nearest")
    assert [type(node) for node in nodes] == [Reshape, Conv, Reshape, Linear]
