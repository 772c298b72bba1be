"""The user's module is left as it was: mode, weights, gradients, hidden states, buffers, hooks, random generators."""

from __future__ import annotations

import collections
import importlib
import random
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy import nn as ours  # noqa: E402
from snndeploy.errors import SnnError  # noqa: E402

X = torch.rand(3, 6, generator=torch.Generator().manual_seed(0)) * 3


class OwnState(nn.Module):
    """A membrane in an attribute, a buffer that is changed in place, lists and dicts that grow, a number."""

    def __init__(self):
        super().__init__()
        self.v, self.seen, self.traces, self.recent = None, 0, {}, collections.deque(maxlen=3)
        self.register_buffer("count", torch.zeros(1))
        self.log: list[Any] = []

    def forward(self, x):
        self.v = x if self.v is None else 0.5 * self.v + x
        self.seen += 1
        self.count += 1
        self.log.append(self.seen)
        self.recent.append(self.v)
        self.traces["last"] = self.v
        return ours_step(self.v)


class InPlace(nn.Module):
    """The same tensor, changed in place."""

    def __init__(self):
        super().__init__()
        self.v = torch.zeros(3, 4)

    def forward(self, x):
        self.v.mul_(0.5).add_(x)
        return ours_step(self.v)


class Draws(nn.Module):
    def forward(self, x):
        torch.rand(2), np.random.rand(), random.random()  # noqa: NPY002
        return x


class InDefault(nn.Module):
    """A dict among the defaults, which all calls share."""

    def forward(self, x, *, cache={}):  # noqa: B006
        cache["v"] = x + 0.5 * cache.get("v", 0.0)
        return ours_step(cache["v"])


def ours_step(v):
    return (v > 1.0).to(v)


def library(module, make):
    def build():
        return make(pytest.importorskip(module), importlib.import_module)

    return build


NEURONS = {
    "own attribute": OwnState,
    "in place": InPlace,
    "in a default": InDefault,
    "snndeploy": lambda: ours.LIF(2.0, 0.3),
    "random": lambda: nn.Sequential(Draws(), ours.LIF(2.0, 0.3)),
    "snntorch": library("snntorch", lambda s, _: s.Leaky(beta=0.5, init_hidden=True)),
    "snntorch synaptic": library("snntorch", lambda s, _: s.Synaptic(alpha=0.5, beta=0.5, init_hidden=True)),
    "snntorch recurrent": library("snntorch", lambda s, _: s.RLeaky(beta=0.5, V=0.5, all_to_all=False, init_hidden=True)),
    "spikingjelly": library("spikingjelly", lambda _, i: i("spikingjelly.activation_based.neuron").LIFNode(tau=2.0)),
    "spikingjelly plif": library("spikingjelly", lambda _, i: i("spikingjelly.activation_based.neuron").ParametricLIFNode()),
    "sinabs": library("sinabs", lambda _, i: i("sinabs.layers").IAFSqueeze(batch_size=3)),
    "braincog": library("braincog", lambda _, i: i("braincog.base.node.node").LIFNode()),
}


def net(neuron):
    torch.manual_seed(0)
    parts = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), NEURONS[neuron](), nn.Linear(4, 2))
    parts.train()
    parts[4].eval()
    parts[0].bias.requires_grad_(False)
    return parts


def state(tree, seen=None):
    """Everything reachable, as plain values: tensors by identity, bytes, gradient and flag."""
    seen = {} if seen is None else seen
    if id(tree) in seen:
        return seen[id(tree)]
    seen[id(tree)] = ("again", id(tree))
    if isinstance(tree, torch.Tensor):
        grad = None if not tree.is_leaf or tree.grad is None else tree.grad.numpy().tobytes()
        found = (id(tree), tree.data_ptr(), tree.dtype, tuple(tree.shape), tree.detach().numpy().tobytes(), tree.requires_grad, grad)
    elif isinstance(tree, nn.Module):
        found = (id(tree), type(tree), state(vars(tree), seen), state(type(tree).forward.__kwdefaults__, seen))
    elif isinstance(tree, dict):
        found = (id(tree), [(k, state(v, seen)) for k, v in tree.items()])
    elif isinstance(tree, list | tuple | collections.deque):
        found = (id(tree), [state(v, seen) for v in tree])
    else:
        found = tree if isinstance(tree, int | float | str | None) else id(tree)
    seen[id(tree)] = found
    return found


def surroundings():
    return (
        torch.get_rng_state().numpy().tobytes(),
        random.getstate(),
        np.random.get_state()[1].tobytes(),  # noqa: NPY002
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
    )


def used(parts):
    """After a few steps of training: states, gradients, statistics."""
    for _ in range(2):
        parts(X).sum().backward(retain_graph=True)


@pytest.mark.parametrize("neuron", NEURONS)
def test_a_module_is_left_as_it_was(neuron):
    parts = net(neuron)
    used(parts)
    calls: list[str] = []
    handles = [
        parts[0].register_forward_hook(lambda *_: calls.append("after")),
        parts[3].register_forward_pre_hook(lambda _, args: calls.append(str(len(args)))),
    ]
    before, around = state(parts), surroundings()
    try:
        # sinabs' squeezing neuron takes its steps from the batch, and here that is one
        notes = from_module(parts, X, Options(timesteps=None if neuron == "sinabs" else 4)).assumptions
        read = True
    except SnnError:
        notes, read = (), False
    assert state(parts) == before
    assert surroundings() == around
    assert calls
    assert read or neuron in ("own attribute", "in place", "in a default", "random")
    for handle in handles:
        handle.remove()
    assert not parts[0]._forward_hooks
    if notes:
        said = "\n".join(notes)
        assert "read in eval mode: nothing is dropped in 2" in said
        assert "read in eval mode: 1 normalize by what training averaged" in said
        assert "hooks of your own ran in the trial runs" in said


def test_a_module_in_eval_mode_is_said_nothing_of():
    parts = net("snndeploy").eval()
    said = "\n".join(from_module(parts, X, Options(timesteps=4)).assumptions)
    assert "eval mode" not in said
    assert "hooks" not in said


def test_it_is_left_as_it_was_after_an_error_too():
    class Fails(nn.Sequential):
        def forward(self, x):
            super().forward(x)
            raise RuntimeError("no")

    parts = Fails(*net("snndeploy"))
    with pytest.raises(RuntimeError, match="no"):
        parts(X)
    before, around = state(parts), surroundings()
    with pytest.raises(SnnError, match="no"):
        from_module(parts, X, Options(timesteps=4))
    assert state(parts) == before
    assert surroundings() == around
