"""Models that join time and batch into one axis for their synapses and part them again for their neurons, by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import snndeploy as sd  # noqa: E402
from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy.errors import Unsupported  # noqa: E402
from snndeploy.ir.layers import Output  # noqa: E402
from snndeploy.ir.neurons import lif  # noqa: E402
from snndeploy.nn import LIF, reset  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

T, B = 5, 3


class Net(nn.Module):
    """Two layers; how the axes are joined and parted is ``run``."""

    def __init__(self, run, mode="m"):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.bn, self.pool, self.fc = (
            nn.Conv2d(2, 4, 3, padding=1, bias=False),
            nn.BatchNorm2d(4),
            nn.AvgPool2d(2),
            nn.Linear(16, 3),
        )
        self.n1, self.n2, self.run = LIF(step_mode=mode), LIF(step_mode=mode), run
        for layer in (self.conv, self.fc):
            nn.init.uniform_(layer.weight, -0.1, 0.7)

    def forward(self, x):
        return self.run(self, x)


def flattened(net, x):
    """SpikingJelly's seq_to_ann_forward, written out."""
    y = net.bn(net.conv(x.flatten(0, 1)))
    y = net.n1(y.reshape(x.shape[0], x.shape[1], *y.shape[1:]))
    y = net.fc(net.pool(y.flatten(0, 1)).flatten(1))
    return net.n2(y.view(x.shape[0], x.shape[1], -1)).mean(0)


def unflattened(net, x):
    lead = x.shape[:2]
    y = net.n1(net.bn(net.conv(x.flatten(0, 1))).unflatten(0, lead))
    return net.n2(net.fc(net.pool(y.flatten(0, 1)).flatten(1)).unflatten(0, lead)).sum(0)


def listed(net, x):
    lead = [x.shape[0], x.shape[1]]
    y = net.bn(net.conv(x.reshape(-1, *x.shape[2:])))
    y = net.n1(y.view(lead + list(y.shape[1:])))
    y = net.pool(y.reshape(-1, *y.shape[2:]))
    return net.n2(net.fc(y.reshape(y.shape[0], -1)).reshape([*lead, -1]))


def batch_first(net, x):
    lead = x.shape[:2]
    y = net.n1(net.bn(net.conv(x.flatten(0, 1))).view(*lead, 4, 4, 4).transpose(0, 1))
    y = net.pool(y.transpose(0, 1).reshape(-1, 4, 4, 4)).flatten(1)
    return net.n2(net.fc(y).view(*lead, 3).permute(1, 0, 2)).mean(0)


def looped(net, x):
    """Neurons of one step a call, in a loop; the steps are joined again by cat."""
    y = net.bn(net.conv(x.flatten(0, 1))).reshape(*x.shape[:2], 4, 4, 4)
    z = net.fc(net.pool(torch.cat([net.n1(y[t]) for t in range(T)])).flatten(1)).reshape(*x.shape[:2], 3)
    return torch.stack([net.n2(z[t]) for t in range(T)]).mean(0)


def chunked(net, x):
    joined = torch.cat([net.n1(y) for y in net.bn(net.conv(x.flatten(0, 1))).chunk(T, 0)])
    return torch.stack([net.n2(z) for z in torch.split(net.fc(net.pool(joined).flatten(1)), x.shape[1])]).mean(0)


def repeated(net, x):
    """One image, repeated in front."""
    x = x.unsqueeze(0).repeat(T, 1, 1, 1, 1)
    return flattened(net, x)


def joined_outside(net, x):
    """Time and batch come joined."""
    y = net.n1(net.bn(net.conv(x)).view(T, -1, 4, 4, 4))
    return net.n2(net.fc(net.pool(y.flatten(0, 1)).flatten(1)).view(T, -1, 3)).mean(0)


def other_features(net, x):
    """A neuron that sees the features in another shape."""
    y = net.n1(net.conv(x.flatten(0, 1)).view(*x.shape[:2], 4, 16))
    return net.n2(net.fc(net.pool(y.view(-1, 4, 4, 4)).flatten(1)).view(*x.shape[:2], 3)).mean(0)


def swapped(net, x):
    """[T * B, ...] taken apart as [B, T, ...]: steps of one sample become steps of another."""
    y = net.n1(net.conv(x.flatten(0, 1)).reshape(x.shape[1], x.shape[0], 4, 4, 4).transpose(0, 1))
    return net.n2(net.fc(net.pool(y.flatten(0, 1)).flatten(1)).view(*x.shape[:2], -1)).mean(0)


def batch_in_features(net, x):
    """The batch is folded into the features, so that nothing tells the samples apart."""
    y = net.conv(x.flatten(0, 1))
    y = net.n1(y.view(T, -1)).view(y.shape)
    return net.n2(net.fc(net.pool(y).flatten(1)).view(T, -1, 3)).mean(0)


def doubled(net, x):
    """Two views of the batch behind each other are no two steps."""
    y = net.n1(net.conv(torch.cat([x, x.flip(-1)])))
    return net.n2(net.fc(net.pool(y).flatten(1)))


SPIKES = (torch.rand((T, B, 2, 4, 4), generator=torch.Generator().manual_seed(3)) < 0.5).float()
GIVEN = {batch_first: SPIKES.transpose(0, 1).contiguous(), repeated: SPIKES[0], joined_outside: SPIKES.flatten(0, 1)}


@pytest.mark.parametrize(
    "run",
    [flattened, unflattened, listed, batch_first, looped, chunked, repeated, joined_outside, other_features],
    ids=lambda run: run.__name__,
)
def test_time_joined_with_the_batch_and_parted_again(run):
    net = Net(run, "s" if run in (looped, chunked) else "m").eval()
    loaded = from_module(net, GIVEN.get(run, SPIKES))
    assert len(loaded.graph.named(lif.LIF)) == 2
    assert loaded.steps == T
    fresh = SPIKES.flip(0)
    x = (fresh[:1] if run is repeated else fresh).double().numpy()
    given = {batch_first: fresh.transpose(0, 1).contiguous(), repeated: fresh[0], joined_outside: fresh.flatten(0, 1)}.get(run, fresh)
    reset(net)
    with torch.no_grad():
        want = net.double()(given.double()).numpy()
    trace = run_reference(loaded.graph, {"input": x}, T)
    (name, output), *_ = loaded.graph.named(Output).items()
    series = trace.outputs[name]
    got = series if output.decode == "none" else getattr(series, output.decode)(axis=0)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-9)
    assert want.any()


@pytest.mark.parametrize(
    ("run", "words"), [(swapped, r"reshape\(\) .* makes \[3, 5, 4, 4, 4\] of \[15"), (batch_in_features, r"makes \[5, 192\]")]
)
def test_time_that_mixes_with_the_batch_is_refused_at_the_line(run, words):
    with pytest.raises(Unsupported, match=words):
        from_module(Net(run).eval(), SPIKES)


def test_halves_of_a_batch_are_no_steps():
    with pytest.raises(Unsupported):
        from_module(Net(doubled, "s").eval(), SPIKES[0], Options(timesteps=2))


def test_joined_steps_are_deployed_from_data_of_steps(tmp_path):
    """[N, T, ...] as everywhere, also for a model that wants [T * N, ...]."""
    x = (np.random.default_rng(0).random((12, T, 2, 4, 4)) < 0.5).astype(np.float32)
    deployment = sd.convert(Net(joined_outside).eval(), x, timesteps=T)
    assert deployment.float_trace.activity["n2"].spikes.any()
    assert deployment.verdict.verdict == "exact"
