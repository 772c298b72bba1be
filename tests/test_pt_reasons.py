"""A refusal names what cannot be told: the module by class, path, file and line, whatever stands around it; all at once."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from originals import library

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402  (behind importorskip)

import snndeploy as sd  # noqa: E402
from converters.pt import torch_nn  # noqa: E402
from converters.pt.layers import entry, kind  # noqa: E402
from converters.pt.reasons import FUNCTIONS, MODULES  # noqa: E402
from snndeploy import Options  # noqa: E402
from snndeploy.errors import Obstacles, SnnError, Unsupported  # noqa: E402
from snndeploy.nn import LIF  # noqa: E402

T, BATCH, IN = 6, 3, 8
HERE = Path(__file__).name


class Behind(nn.Module):
    """A part between a Linear and a neuron, step by step; ``first`` of what it gives where it gives several things."""

    def __init__(self, part: Any, shape: tuple[int, ...] = (IN,), out: int = IN) -> None:
        super().__init__()
        self.fc, self.part, self.last, self.lif = nn.Linear(IN, int(np.prod(shape))), part, nn.Linear(out, 3), LIF(tau=2.0)
        self.shape = shape

    def forward(self, x):
        sent = []
        for step in x:
            made = self.part(self.fc(step).reshape(len(step), *self.shape))
            made = made[0] if isinstance(made, tuple) else made
            sent.append(self.lif(self.last(made.flatten(1))))
        return torch.stack(sent)


EXAMPLE = (np.random.default_rng(0).random((T, BATCH, IN)) < 0.4).astype("float32")
PLAIN = ("Sigmoid", "Tanh", "GELU", "SiLU", "ELU", "SELU", "CELU", "Mish", "LeakyReLU", "PReLU", "Softplus", "Softsign", "Hardtanh")
PARTS: dict[str, tuple[Any, tuple[int, ...], int]] = {
    **{name: (getattr(nn, name)(), (IN,), IN) for name in (*PLAIN, "Hardsigmoid", "Hardswish", "Tanhshrink", "LogSigmoid")},
    "Softmax": (nn.Softmax(dim=1), (IN,), IN),
    "LSTMCell": (nn.LSTMCell(IN, IN), (IN,), IN),
    "GRUCell": (nn.GRUCell(IN, IN), (IN,), IN),
    "RNNCell": (nn.RNNCell(IN, IN), (IN,), IN),
    "LSTM": (nn.LSTM(4, 5, batch_first=True), (2, 4), 10),
    "GRU": (nn.GRU(4, 5, batch_first=True), (2, 4), 10),
    "RNN": (nn.RNN(4, 5, batch_first=True), (2, 4), 10),
    "LayerNorm": (nn.LayerNorm(IN), (IN,), IN),
    "GroupNorm": (nn.GroupNorm(2, 4), (4, 2), IN),
    "InstanceNorm1d": (nn.InstanceNorm1d(2), (2, 4), IN),
    "ConvTranspose1d": (nn.ConvTranspose1d(2, 2, 1), (2, 4), IN),
    "ConvTranspose2d": (nn.ConvTranspose2d(2, 2, 1), (2, 2, 2), IN),
    "GLU": (nn.GLU(), (IN,), 4),
    "TransformerEncoderLayer": (nn.TransformerEncoderLayer(4, 2, 4, batch_first=True), (2, 4), IN),
    "LPPool1d": (nn.LPPool1d(2, 2), (2, 4), 4),
    "AdaptiveMaxPool1d": (nn.AdaptiveMaxPool1d(2), (2, 4), 4),
}


def refusal(model: Any, example: Any = EXAMPLE) -> SnnError:
    with pytest.raises(SnnError) as refused:
        sd.load(model, example)
    return refused.value


@pytest.mark.parametrize("name", PARTS)
def test_a_class_of_torch_names_itself(name):
    part, shape, out = PARTS[name]
    refused = refusal(Behind(part, shape, out))
    assert isinstance(refused, Unsupported)
    lines, first = inspect.getsourcelines(Behind.forward)
    line = first + next(k for k, text in enumerate(lines) if "self.part(" in text)
    assert refused.where == f"part ({name}) at {HERE}:{line}"
    assert name in refused.what
    assert MODULES.get(name, "docs/support.md") in refused.hint


def test_every_class_with_a_reason_is_refused():
    """No reason is given for a class that converts."""
    for name in MODULES:
        homes = [cls for cls in (getattr(nn, name, None),) if cls is not None]
        for cls in homes:
            assert f"{cls.__module__}.{cls.__qualname__}" not in torch_nn.TABLE
    sigmoid = nn.Sigmoid()
    assert (kind(sigmoid), entry(sigmoid)) == ("layer", None)


@pytest.mark.parametrize("function", [torch.sigmoid, torch.tanh, torch.exp, nn.functional.gelu, nn.functional.softplus])
def test_a_function_names_itself_and_no_way_that_is_refused_too(function):
    class Squash(nn.Module):
        def forward(self, x):
            return function(x)

    refused = refusal(Behind(Squash()))
    assert refused.what.startswith(f"{function.__name__}() in forward")
    assert "in part" in refused.where
    assert refused.hint == FUNCTIONS[function.__name__][1]
    assert "torch.nn" not in refused.hint


class Embedded(nn.Module):
    def __init__(self, functional: bool = False) -> None:
        super().__init__()
        self.table, self.fc, self.lif, self.functional = nn.Embedding(30, IN), nn.Linear(IN, 3), LIF(tau=2.0), functional
        if functional:
            self.rows = nn.Parameter(torch.randn(30, IN))
            del self.table

    def forward(self, x):
        rows = nn.functional.embedding(x, self.rows) if self.functional else self.table(x)
        return torch.stack([self.lif(self.fc(step)) for step in rows])


def test_whole_numbers_stay_whole_numbers():
    x = torch.randint(0, 30, (T, BATCH))
    for functional in (False, True):
        refused = refusal(Embedded(functional), x)
        assert "one-hot" in refused.hint
        assert "embedding" in str(refused).lower()
        assert HERE in refused.where
    floats = refusal(Embedded(), torch.rand(T, BATCH))
    assert "table (Embedding)" in floats.where
    assert "one-hot" in floats.hint


def test_the_way_that_is_named_for_an_embedding_converts():
    """One-hot vectors into a Linear without a bias: the same numbers, as the refusal says."""
    torch.manual_seed(0)
    embedded, x = Embedded(), torch.randint(0, 30, (T, BATCH))

    class OneHot(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.fc, self.lif = nn.Linear(30, IN, bias=False), embedded.fc, embedded.lif
            self.table.weight.data = embedded.table.weight.data.T.clone()

        def forward(self, x):
            return torch.stack([self.lif(self.fc(self.table(step))) for step in x])

    hot = nn.functional.one_hot(x, 30).float()
    with torch.no_grad():
        np.testing.assert_allclose(embedded.table(x), OneHot().table(hot), atol=1e-6)
    assert sd.load(OneHot(), hot).steps == T


def test_all_obstacles_at_once():
    """A rectifier-free network with an LSTM cell, a sigmoid and a layer norm: one refusal that names all three, in order."""

    class Many(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.norm, self.fc, self.lif = nn.GRUCell(IN, IN), nn.LayerNorm(IN), nn.Linear(IN, 3), LIF(tau=2.0)
            self.unused = nn.Bilinear(2, 2, 2)

        def forward(self, x):
            return torch.stack([self.lif(self.fc(torch.sigmoid(self.norm(self.cell(step))))) for step in x])

    refused = refusal(Many())
    assert isinstance(refused, Obstacles)
    assert [error.where.partition(" at ")[0] for error in refused.others] == ["cell (GRUCell)", "norm (LayerNorm)", "sigmoid()"]
    assert "also: norm (LayerNorm)" in str(refused)


def test_what_reaches_no_output_is_no_obstacle():
    class Aside(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif, self.seen = nn.Linear(IN, 3), LIF(tau=2.0), nn.Sigmoid()

        def forward(self, x):
            sent = []
            for step in x:
                sent.append(self.lif(self.fc(step)))
                self.seen(sent[-1])
            return torch.stack(sent)

    assert any("does not reach an output" in note for note in sd.load(Aside(), EXAMPLE).assumptions)


def test_a_neurons_state_read_as_an_attribute_is_named():
    neuron = library("spikingjelly.activation_based.neuron")
    functional = library("spikingjelly.activation_based.functional")

    class Potential(nn.Module):
        def __init__(self, last: bool) -> None:
            super().__init__()
            self.fc, self.integrator, self.lif, self.last = nn.Linear(IN, 3), neuron.IFNode(v_threshold=float("inf")), LIF(tau=2.0), last

        def forward(self, x):
            functional.reset_net(self)
            sent = []
            for step in x:
                self.integrator(self.fc(step))
                sent.append(self.lif(self.integrator.v))
            return self.integrator.v if self.last else torch.stack(sent)

    for last in (True, False):
        refused = refusal(Potential(last))
        assert "'v' of integrator (IFNode), read as integrator.v" in refused.what
        assert "potential" in refused.what


@pytest.mark.filterwarnings("ignore:Inhibition is an unstable feature")
def test_refused_neurons_are_all_named():
    snn = library("snntorch")

    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.lif1 = nn.Linear(IN, 4), snn.Leaky(beta=0.5, inhibition=True, init_hidden=True)
            self.b, self.lif2 = nn.Linear(4, 3), snn.Leaky(beta=0.5, state_quant=lambda v: v.round(), init_hidden=True)

        def forward(self, x):
            return torch.stack([self.lif2(self.b(self.lif1(self.a(step)))) for step in x])

    refused = refusal(Two())
    assert isinstance(refused, Obstacles)
    assert [error.where.partition(" ")[0] for error in refused.others] == ["lif1", "lif2"]
    assert "inhibition=True" in refused.others[0].what
    assert "state_quant" in refused.others[1].what


def test_options_do_not_hide_the_reason(tmp_path):
    """The same from a file with --arch and --input-shape, whose example is made up."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\n\ndef net():\n    return nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2))\n"
    )
    torch.save(nn.Sequential(nn.Linear(8, 4), nn.Tanh(), nn.Linear(4, 2)).state_dict(), tmp_path / "w.pt")
    with pytest.raises(Unsupported, match=r"^1 \(Tanh\)") as refused:
        sd.load(tmp_path / "w.pt", None, Options(arch=f"{tmp_path / 'net.py'}:net", input_shape=(8,)))
    assert refused.value.hint == MODULES["Tanh"]


class Halving(nn.Module):
    """A neuron whose threshold halves at every step: no neuron of the graph."""

    def __init__(self) -> None:
        super().__init__()
        self.reset()

    def reset(self) -> None:
        self.v, self.t = 0.0, 0

    def forward(self, x):
        level = 2.0 ** -(1 + self.t % 8)
        self.v, self.t = self.v + x, self.t + 1
        sent = (self.v >= level).to(x)
        self.v = self.v - sent * level
        return sent * level


def test_neurons_that_are_not_found_out_stand_beside_the_other_obstacles():
    net = nn.Sequential(nn.Linear(IN, 5), Halving(), nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), Halving())
    refused = refusal(net, EXAMPLE[0])
    assert isinstance(refused, Obstacles)
    assert [error.where.partition(" at ")[0] for error in refused.others] == ["1 (Halving)", "5 (Halving)", "3 (Tanh)"]
