"""Neurons of the user's own, called with settings, by keyword, with hooks: the graph is what the user's own loop computes."""

from __future__ import annotations

import copy

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from converters import Options  # noqa: E402
from converters.pt import finding, from_module, trials  # noqa: E402
from snndeploy.errors import SnnError  # noqa: E402
from snndeploy.ir.layers import Output  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

T = 20
LOUD = (np.random.default_rng(7).random((T, 3, 6)) < 0.9).astype("float32")
QUIET = torch.from_numpy((np.random.default_rng(3).random((3, 6)) < 0.1).astype("float32"))
"""An example on which nothing fires: what was misread does not show in the trial run."""


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch):
    def few(box, meant, start, steps=trials.STEPS, count=1):
        return trials.compare(box, meant, start, min(steps, 20_000), count)

    monkeypatch.setattr(finding, "compare", few)


class Own(nn.Module):
    """Keeps its membrane itself; its second argument is a setting."""

    def __init__(self):
        super().__init__()
        self.v = None

    def reset(self):
        self.v = None

    def forward(self, x, setting=0.9375):
        return self.step(x, setting, 0.75, 1.0)

    def step(self, x, setting, decay, threshold):
        self.v = x if self.v is None else decay * self.v + x
        fired = (self.v > threshold).to(x)
        self.v = self.v - fired
        return fired


class Decays(Own):
    def forward(self, x, setting=0.9375):
        return self.step(x, setting, setting, 1.0)


class Pairs(Own):
    """Returns its membrane too, which nobody hands back."""

    def forward(self, x, setting=False):
        return self.step(x, setting, 0.75, 1.0), self.v


class Fading(Own):
    """Another threshold at every step."""

    def forward(self, x, setting=0):
        return self.step(x, setting, 0.75, 1.0 if setting < 3 else 0.25)


class Forgets(Own):
    """Starts again where the step's number is 0."""

    def forward(self, x, setting=0):
        if setting == 0:
            self.v = None
        return self.step(x, setting, 0.75, 1.0)


class Net(nn.Module):
    """One call is one step; or, ``inside``, a loop over all of them. ``way``: how the neuron is called with x at step t."""

    def __init__(self, neuron, way, inside=False):
        torch.manual_seed(0)
        super().__init__()
        self.fc, self.lif, self.way, self.inside = nn.Linear(6, 5), neuron, way, inside
        self.fc.weight.data.abs_().mul_(0.6)
        self.fc.bias.data.zero_()

    def forward(self, x):
        if self.inside:
            return torch.stack([self.way(self.lif, self.fc(now), t) for t, now in enumerate(x)])
        return self.way(self.lif, self.fc(x), 0)


def plain(lif, x, t):
    return lif(x)


def own_run(module):
    """The user's own loop, in float64."""
    module, x = copy.deepcopy(module).double(), torch.from_numpy(LOUD).double()
    with torch.no_grad():
        return (module(x) if module.inside else torch.stack([module(now).clone() for now in x])).numpy()


def graph_run(module):
    loaded = from_module(module, torch.from_numpy(LOUD) if module.inside else QUIET, Options(timesteps=T))
    run = run_reference(loaded.graph, {"input": LOUD.astype("float64")}, T)
    return run.outputs[next(iter(loaded.graph.named(Output)))]


CALLS = {
    "a word": (Own, lambda lif, x, t: lif(x, "soft")),
    "a number by name": (Own, lambda lif, x, t: lif(x, setting=0.5)),
    "all by name": (Own, lambda lif, x, t: lif(setting=0.5, x=x)),
    "a zero": (Own, lambda lif, x, t: lif(x, torch.zeros(()))),
    "its decay by name": (Decays, lambda lif, x, t: lif(x, setting=0.625)),
    "a flag, and a pair back": (Pairs, lambda lif, x, t: lif(x, True)[0]),
}
STEPPED = {"the step": lambda lif, x, t: lif(x, t), "the step by name": lambda lif, x, t: lif(x, setting=t)}


def equal(module):
    want = own_run(module)
    assert 0 < want.mean() < 1
    assert not np.array_equal(want[0], want[-1])
    np.testing.assert_array_equal(graph_run(module), want)


@pytest.mark.parametrize("words", CALLS)
def test_a_neuron_that_keeps_its_own_state_and_is_handed_a_setting_remembers(words):
    neuron, way = CALLS[words]
    equal(Net(neuron(), way))


def test_a_neuron_that_is_handed_the_step_and_makes_nothing_of_it_remembers():
    equal(Net(Own(), STEPPED["the step"], inside=True))


@pytest.mark.parametrize(("neuron", "words"), [(Fading, "the step by name"), (Forgets, "the step")])
def test_a_number_that_is_another_at_every_step_and_decides_is_refused(neuron, words):
    with pytest.raises(SnnError, match="another number at every step"):
        graph_run(Net(neuron(), STEPPED[words], inside=True))


class Inhibits(Own):
    """A spike lowers its neighbours along some axes."""

    def __init__(self, axes, strength, threshold):
        super().__init__()
        self.axes, self.strength, self.threshold = axes, strength, threshold

    def forward(self, x):
        v = x if self.v is None else 0.9375 * self.v + x
        fired = (v > self.threshold).to(v)
        others = fired.sum(self.axes, keepdim=True) - fired
        self.v = v - self.threshold * (fired + self.strength * others)
        return fired


@pytest.mark.parametrize(("axes", "threshold"), [((2, 3), 300.0), ((3,), 1.0), ((1,), 1.0)])
def test_a_neuron_that_mixes_places_is_none_of_the_graphs(axes, threshold):
    conv = nn.Conv2d(1, 2, 3, padding=1)
    with pytest.raises(SnnError, match="no neuron that the graph knows"):
        from_module(nn.Sequential(conv, Inhibits(axes, 0.5, threshold)), torch.rand(2, 1, 4, 4))


def test_the_same_neuron_without_the_mixing_converts():
    conv = nn.Conv2d(1, 2, 3, padding=1)
    loaded = from_module(nn.Sequential(conv, Inhibits((2, 3), 0.0, 1.0)), torch.rand(2, 1, 4, 4))
    assert loaded.probed[0].startswith("Inhibits = LIF(decay 0.9375")


class LogsGradients(Own):
    """Trained: its membrane hangs on the graph of gradients, and so do what its list and its dict hold."""

    def __init__(self):
        super().__init__()
        self.beta = nn.Parameter(torch.tensor(0.75))
        self.log, self.last = [], {}

    def forward(self, x):
        fired = self.step(x, None, self.beta, 1.0)
        self.log.append(self.v)
        self.last["v"] = self.v
        return fired


def test_a_neuron_that_was_trained_and_not_reset_is_copied():
    module = Net(LogsGradients(), plain)
    module(torch.from_numpy(LOUD[0]))
    assert not module.lif.log[0].is_leaf
    np.testing.assert_array_equal(graph_run(module), own_run(Net(LogsGradients(), plain)))
    assert len(module.lif.log) == 1
    assert module.lif.v is module.lif.log[0]


def test_a_hook_that_only_looks_runs_in_runs_of_the_model_alone():
    module, seen = Net(Own(), plain), []
    module.lif.register_forward_hook(lambda part, given, gave: seen.append(gave))
    graph = graph_run(module)
    assert len(module.lif._forward_hooks) == 1
    assert len(seen) < 200
    np.testing.assert_array_equal(graph, own_run(module))


def test_a_hook_that_changes_what_the_neuron_gives_is_part_of_it():
    module = Net(Own(), plain)
    module.lif.register_forward_hook(lambda part, given, gave: 1 - gave)
    with pytest.raises(SnnError):
        graph_run(module)
