"""The topologies of the papers' networks, in our own words: every neuron's spikes, in torch and in the graph, on data not traced.

``benchmarks/seeds.py`` holds the authors' own code against ours; these are the same shapes without it.
"""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402  (behind importorskip)

import snndeploy as sd  # noqa: E402
from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy import nn as snn  # noqa: E402
from snndeploy.errors import Unsupported  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

STEPS = 5


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(3)
    torch.set_num_threads(1)


def lif() -> nn.Module:
    return snn.LIF(2.0, 0.4, step_mode="m")


class Each(nn.Module):
    """Layers of one step, over [T, B, ...]."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*layers)

    def forward(self, x):
        return self.inner(x.flatten(0, 1)).unflatten(0, x.shape[:2])


class tdBatchNorm(nn.BatchNorm2d):  # noqa: N801  (its name, by which it is known)
    def __init__(self, channels: int, alpha: float = 1.0) -> None:
        super().__init__(channels)
        self.alpha = alpha
        self.register_buffer("Vth", torch.tensor(0.5))

    def forward(self, x):
        normal = (x - self.running_mean[:, None, None]) / torch.sqrt(self.running_var[:, None, None] + self.eps)
        return self.alpha * self.Vth * normal * self.weight[:, None, None] + self.bias[:, None, None]


def conv(a: int, b: int, norm=nn.BatchNorm2d, **words) -> nn.Module:
    return Each(nn.Conv2d(a, b, 3, padding=1, bias=False), norm(b, **words))


class Residual(nn.Module):
    """SEW and MS blocks, and tdBN's: what joins the shortcut, and where the neurons stand."""

    def __init__(self, join: str, channels: int = 4) -> None:
        super().__init__()
        self.join = join
        self.first, self.second = conv(channels, channels), conv(channels, channels)
        self.sn1, self.sn2 = lif(), lif()
        self.shortcut = Each(tdBatchNorm(channels, alpha=2**-0.5)) if join == "tdBN" else nn.Identity()

    def forward(self, x):
        if self.join in ("MS", "pre-activation"):
            x = x if self.join == "MS" else self.sn1(x)
            inner = self.sn1(x) if self.join == "MS" else x
            return self.second(self.sn2(self.first(inner))) + x
        out = self.second(self.sn1(self.first(x)))
        if self.join == "tdBN":
            out += self.shortcut(x)
            return self.sn2(out)
        out = self.sn2(out)
        if self.join == "ADD":
            out += x
        elif self.join == "AND":
            out *= x
        elif self.join == "IAND":
            out = x * (1.0 - out)
        return out


class Net(nn.Module):
    """An image at every step, a stem, blocks, a pooled head; the mean over time before or behind the last layer."""

    def __init__(self, *blocks: nn.Module, late: bool = False, head: nn.Module | None = None) -> None:
        super().__init__()
        self.stem, self.sn = conv(3, 4), lif()
        self.blocks = nn.Sequential(*blocks)
        self.pool = Each(nn.AdaptiveAvgPool2d((1, 1)))
        self.head = head or nn.Sequential(nn.Linear(4, 7, bias=False), nn.Linear(7, 3))
        self.late = late

    def forward(self, x):
        x = self.sn(self.stem(x.unsqueeze(0).repeat(STEPS, 1, 1, 1, 1)))
        x = self.pool(self.blocks(x)).flatten(2)
        return self.head(x.mean(0)) if self.late else self.head(x).mean(0)


def lively(net: nn.Module) -> nn.Module:
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_(0, 0.2)
            part.running_var.uniform_(0.1, 0.6)
            nn.init.uniform_(part.weight, 0.7, 1.3)
            nn.init.uniform_(part.bias, 0.0, 0.5)
    return net.double().eval()


def same_spikes(net: nn.Module, example, x, static: bool = True, **options):
    """0 spikes of 0 neurons differ, nor what the network returns."""
    loaded = from_module(net, example, Options(**options))
    gave: dict[str, list[np.ndarray]] = defaultdict(list)
    hooks = [
        part.register_forward_hook(lambda _, __, y, path=path: gave[path].append(y.clone().numpy()))
        for path, part in net.named_modules()
        if hasattr(part, "to_node")
    ]
    for part in net.modules():
        if hasattr(part, "to_node"):
            part.reset()
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    with torch.no_grad():
        out = net(x) if "timesteps" not in options else torch.stack([net(now) for now in x])
    torch.set_default_dtype(usual)
    for hook in hooks:
        hook.remove()
    trace = run_reference(loaded.graph, {"input": x.numpy()[None] if static else x.numpy()}, STEPS)
    assert gave
    for path, calls in gave.items():
        theirs = calls[0] if len(calls) == 1 else np.stack(calls)
        assert int((trace.outputs[path] != theirs.reshape(trace.outputs[path].shape)).sum()) == 0, path
        assert 0.01 < (theirs != 0).mean() < 0.99, path
    (name,) = [n for n, node in loaded.graph.nodes.items() if type(node).__name__ == "Output"]
    decode = {"mean": lambda y: y.mean(0), "sum": lambda y: y.sum(0), "none": lambda y: y}[loaded.graph.nodes[name].decode]
    np.testing.assert_allclose(decode(trace.outputs[name]), out.numpy(), rtol=0, atol=1e-12)
    return loaded


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("join", ["ADD", "AND", "IAND", "MS", "pre-activation", "tdBN"])
def test_residual_networks(join, late):
    net = lively(Net(Residual(join), Residual(join), nn.Identity() if join in ("ADD", "AND", "IAND", "tdBN") else lif(), late=late))
    loaded = same_spikes(net, torch.rand(2, 3, 6, 6), torch.rand(3, 3, 6, 6).double())
    gates = [name for name, node in loaded.graph.nodes.items() if isinstance(node, LIF) and not node.decay.any()]
    assert len(gates) == (2 if join in ("AND", "IAND") else 0)
    assert len([note for note in loaded.assumptions if "fires where both do" in note]) == len(gates)


def test_glif_and_clif_blocks():
    class Block(Residual):
        def __init__(self, neuron):
            super().__init__("tdBN")
            self.sn1, self.sn2 = neuron(), neuron()

    for neuron in (lambda: snn.GLIF(STEPS, step_mode="m"), lambda: snn.CLIF(threshold=0.4, step_mode="m")):
        same_spikes(lively(Net(Block(neuron))), torch.rand(2, 3, 6, 6), torch.rand(3, 3, 6, 6).double())


def test_a_product_of_anything_but_spikes_is_refused():
    class Gate(nn.Module):
        def __init__(self, one, two):
            super().__init__()
            self.one, self.two = one, two

        def forward(self, x):
            return self.one(x) * self.two(x)

    average = Each(nn.AvgPool2d(3, 1, 1))
    burst = snn.LIFB(2.0, (0.2, 0.4), step_mode="m")
    for two in (average, nn.Sequential(conv(4, 4), burst), nn.Sequential(conv(4, 4), lif(), average), conv(4, 4)):
        with pytest.raises(Unsupported, match="multiplies two signals"):
            from_module(lively(Net(Gate(nn.Sequential(conv(4, 4), lif()), two))), torch.rand(2, 3, 6, 6))
    narrow = nn.Sequential(conv(4, 1), lif())
    with pytest.raises(Unsupported, match="spikes of two shapes"):
        from_module(lively(Net(Gate(nn.Sequential(conv(4, 4), lif()), narrow))), torch.rand(2, 3, 6, 6))


def test_spikes_times_themselves_and_times_pooled_spikes():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.c, self.sn, self.pool = conv(4, 4), lif(), Each(nn.MaxPool2d(3, 1, 1))

        def forward(self, x):
            y = self.sn(self.c(x))
            return (y * y) * self.pool(x)

    loaded = same_spikes(lively(Net(Twice())), torch.rand(2, 3, 6, 6), torch.rand(3, 3, 6, 6).double())
    assert len([n for n, node in loaded.graph.nodes.items() if isinstance(node, LIF) and not node.decay.any()]) == 1


class Vgg(nn.Module):
    """One step a call; one pool at every place; the pooled 1 x 1 or 2 x 2 averaged up to 3 x 3."""

    def __init__(self, neuron, size: int) -> None:
        super().__init__()
        pool = nn.AvgPool2d(2)
        self.features = nn.Sequential(
            *(nn.Conv2d(2, 4, 3, 1, 1), nn.BatchNorm2d(4), neuron(), pool),
            *(nn.Conv2d(4, 5, 3, 1, 1), nn.BatchNorm2d(5), neuron(), pool),
        )
        self.up = nn.AdaptiveAvgPool2d((3, 3))
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(45, 20)
        self.last, self.vote = neuron(), nn.AvgPool1d(5, 5)

    def forward(self, x):
        x = self.drop(torch.flatten(self.up(self.features(x)), start_dim=-3))
        return self.vote(self.last(self.out(x)).unsqueeze(1)).squeeze(1)


@pytest.mark.parametrize("size", [4, 8, 12])
@pytest.mark.parametrize("kind", ["CLIF", "LIFB"])
def test_vgg_with_one_pool_an_average_that_grows_and_a_vote(kind, size):
    neuron = (lambda: snn.CLIF(threshold=0.3)) if kind == "CLIF" else (lambda: snn.LIFB(2.0, (0.1, 0.4)))
    net = lively(Vgg(neuron, size))
    x = (torch.rand(STEPS, 3, 2, size, size) < 0.5).double()
    loaded = same_spikes(net, x[0], x, static=False, timesteps=STEPS)
    assert len({n for n in loaded.graph.nodes if n.startswith(("features.3", "features.7"))}) == 2


class PLIFNode(nn.Module):
    """As in the paper's repository: a class in no package, its input decayed with its membrane."""

    def __init__(self, v_reset: float | None) -> None:
        super().__init__()
        self.w, self.v_threshold, self.v_reset = nn.Parameter(torch.tensor(0.3)), 0.2, v_reset
        self.surrogate_function = Step()
        self.reset()

    def reset(self):
        self.v = 0.0 if self.v_reset is None else self.v_reset

    def tau(self):
        return 1 / self.w.sigmoid()

    def forward(self, x):
        self.v = self.v + (x - (self.v - (self.v_reset or 0.0))) * self.w.sigmoid()
        spike = self.surrogate_function(self.v - self.v_threshold)
        self.v = self.v - spike * self.v_threshold if self.v_reset is None else torch.where(spike > 0, self.v_reset, self.v)
        return spike


class Step(nn.Module):
    def forward(self, x):
        return (x >= 0).to(x.dtype)


@pytest.mark.parametrize("v_reset", [None, 0.0, -0.1])
def test_plif_its_stem_once_its_votes_summed(v_reset):
    class Loop(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4))
            self.conv = nn.Sequential(PLIFNode(v_reset), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 20), PLIFNode(v_reset))
            self.boost = nn.AvgPool1d(10, 10)

        def forward(self, x):
            x = self.stem(x)
            count = self.boost(self.conv(x).unsqueeze(1)).squeeze(1)
            for _ in range(1, STEPS):
                count += self.boost(self.conv(x).unsqueeze(1)).squeeze(1)
            return count

    net = lively(Loop())
    loaded = from_module(net, torch.rand(2, 3, 6, 6))
    assert not any("PLIFNode =" in note for note in loaded.assumptions)
    x = torch.rand(3, 3, 6, 6).double()
    for part in net.modules():
        if isinstance(part, PLIFNode):
            part.reset()
    with torch.no_grad():
        want = net(x).numpy()
    trace = run_reference(loaded.graph, {"input": x.numpy()[None]}, STEPS)
    np.testing.assert_allclose(trace.outputs["output"].sum(0), want, rtol=0, atol=1e-12)
    assert len(np.unique(want)) > 3


@pytest.mark.parametrize("chip", ["loihi1", "loihi2"])
def test_a_product_of_spikes_is_deployed(chip):
    net = lively(Net(Residual("AND"), nn.Sequential(conv(4, 4), lif())))
    x = (np.random.default_rng(0).random((4, 3, 6, 6)) < 0.5).astype(np.float32)
    deployment = sd.convert(net, x, sd.Wishes(chip=chip))
    assert re.search(r"^Exactness +Exact ", sd.to_text(sd.report(deployment)), re.MULTILINE)
