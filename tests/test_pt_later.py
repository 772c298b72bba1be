"""What shows late or not in the results: steps beyond the trial run, objects, settings, modes, states of an earlier run."""

from __future__ import annotations

import contextlib
import types
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402, N812

from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy import nn as ours  # noqa: E402
from snndeploy.errors import SnnError  # noqa: E402
from snndeploy.ir.layers import Output  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

T = 20
X = torch.from_numpy((np.random.default_rng(0).random((T, 3, 6)) < 0.5).astype("float32"))


class Net(nn.Module):
    """A layer and a neuron of ours; ``step`` is its forward."""

    def __init__(self, step, **state):
        torch.manual_seed(0)
        super().__init__()
        self.fc, self.lif, self.step, self.t = nn.Linear(6, 5), ours.LIF(2.0, 0.3), step, 0
        for name, value in state.items():
            setattr(self, name, value)
        self.register_buffer("n", torch.zeros((), dtype=torch.long))

    def forward(self, x):
        return self.step(self, x)


def equal(module, make):
    """The graph of one module gives what a fresh one gives in the user's own loop; and so does this one afterwards."""
    loaded = from_module(module.eval(), X[0], Options(timesteps=T))
    run = run_reference(loaded.graph, {"input": X.double().numpy()}, T)
    with torch.no_grad():
        runs = [torch.stack([one(x).clone() for x in X.to(kind)]).numpy() for one, kind in ((make().eval().double(), torch.float64),)]
        after = torch.stack([module(x).clone() for x in X]).numpy()
        fresh = torch.stack([one(x).clone() for one in [make().eval()] for x in X]).numpy()
    assert 0 < runs[0].mean() < 1
    np.testing.assert_array_equal(run.outputs[next(iter(loaded.graph.named(Output)))], runs[0])
    np.testing.assert_array_equal(after, fresh)
    return loaded


# -- later steps ---------------------------------------------------------------------------------------------------


def doubles_from(step):
    def forward(self, x):
        self.t += 1
        return self.lif(self.fc(x) * 2 if self.t > step else self.fc(x))

    return forward


def resets_every(steps):
    def forward(self, x):
        self.t += 1
        if self.t % steps == 0:
            self.lif.reset()
        return self.lif(self.fc(x))

    return forward


def counts_in_a_buffer(self, x):
    self.n += 1
    return self.lif(torch.where(self.n > 6, 2 * self.fc(x), self.fc(x)))


def grows(self, x):
    self.t += 1
    if self.t % 4 == 0:
        self.fc.weight.data.mul_(1.5)
    return self.lif(self.fc(x))


def takes_from(self, x):
    return self.lif(self.fc(x) * next(self.factors))


def silent_after(self, x):
    self.t += 1
    fired = self.lif(self.fc(x))
    return fired if self.t < 12 else torch.zeros_like(fired)


LATE: dict[str, Any] = {
    "at the fourth": lambda: Net(doubles_from(3)),
    "at the sixteenth": lambda: Net(doubles_from(15)),
    "a reset every 8": lambda: Net(resets_every(8)),
    "a buffer": lambda: Net(counts_in_a_buffer),
    "weights": lambda: Net(grows),
    "an iterator": lambda: Net(takes_from, factors=iter([1.0] * 9 + [0.5] * 1000)),
    "silence": lambda: Net(silent_after),
}


@pytest.mark.parametrize("what", LATE)
def test_what_a_model_does_otherwise_later_is_refused(what):
    with pytest.raises(SnnError):
        from_module(LATE[what](), X[0], Options(timesteps=T))


def test_a_step_that_the_user_asks_for_and_the_model_does_not_reach_is_said():
    def fails(self, x):
        return self.lif(self.fc(x) * self.table[(self.t, setattr(self, "t", self.t + 1))[0]])

    with pytest.raises(SnnError, match="the forward pass fails"):
        from_module(Net(fails, table=[1.0] * 9), X[0], Options(timesteps=T))
    assert from_module(Net(fails, table=[1.0] * 9), X[0], Options(timesteps=9)).graph


def test_a_generator_that_every_run_uses_up_is_named():
    with pytest.raises(SnnError, match="factors: is a generator"):
        from_module(Net(takes_from, factors=(1.0 for _ in range(1000))), X[0])


def test_a_counter_that_nothing_hangs_on_converts():
    def forward(self, x):
        self.t += 1
        return self.lif(self.fc(x))

    assert equal(Net(forward), lambda: Net(forward)).graph


def test_an_iterator_is_not_used_up():
    def forward(self, x):
        next(self.factors)
        return self.lif(self.fc(x))

    factors = iter(range(T))
    assert equal(Net(forward, factors=factors), lambda: Net(forward, factors=iter(range(T)))).graph


# -- states in objects ---------------------------------------------------------------------------------------------


class Holder:
    shared: Any = None

    def __init__(self):
        self.prev, self.log, self.count = None, [], np.zeros(1)


class Slotted:
    __slots__ = ("count", "log", "prev")

    def __init__(self):
        self.prev, self.log, self.count = None, [], np.zeros(1)


class Called(Holder):
    def __call__(self, value):
        self.log.append(value)


def feeds_back(self, x):
    drive = self.fc(x)
    if self.held.prev is not None:
        drive = drive + 0.25 * self.held.prev
    self.held.prev = self.lif(drive)
    self.held.log.append(self.held.prev)
    self.held.count += 1
    return self.held.prev


HOLDERS = {
    "an object": Holder,
    "slots": Slotted,
    "a callable": Called,
    "a namespace": lambda: types.SimpleNamespace(prev=None, log=[], count=np.zeros(1)),
}


@pytest.mark.parametrize("kind", HOLDERS)
def test_a_state_in_an_object_is_put_back(kind):
    def make():
        return Net(feeds_back, held=HOLDERS[kind]())

    module = make()
    from_module(module.eval(), X[0], Options(timesteps=T))
    assert module.held.prev is None
    assert module.held.log == []
    assert module.held.count == 0
    equal(module, make)


def test_a_state_in_a_class_or_an_array_is_put_back():
    def forward(self, x):
        self.seen += 1
        Holder.shared = self.fc(x)
        return self.lif(Holder.shared)

    seen = np.zeros(2)
    module = Net(forward, seen=seen, held=Holder())
    from_module(module.eval(), X[0])
    assert not seen.any()
    assert Holder.shared is None


def test_a_state_object_of_the_example_is_left_as_it_was():
    class Handed(Net):
        def forward(self, x, held):
            held.prev = self.lif(self.fc(x))
            return held.prev, held

    held = Holder()
    with contextlib.suppress(SnnError):
        from_module(Handed(None), (X[0], held))
    assert held.prev is None


# -- settings that are no states -----------------------------------------------------------------------------------


class Heads(Net):
    def __init__(self):
        super().__init__(None)
        self.heads = nn.ModuleList([nn.Linear(6, 5), nn.Linear(6, 5)])


class Task(Heads):
    def forward(self, x, task=0):
        return self.lif(self.heads[task](x))


class Noise(Heads):
    def forward(self, x, noise=0.0):
        return self.lif(self.fc(x) + noise)


class ReturnsMore(Heads):
    def forward(self, x, return_mem=0):
        fired = self.lif(self.fc(x))
        return (fired, self.fc(x)) if return_mem else fired


class Skip(Heads):
    def forward(self, x, skip=None):
        drive = self.fc(x)
        return self.lif(drive if skip is None else drive + skip)


class Bias(Heads):
    def forward(self, x, bias=None):
        drive = self.fc(x)
        return self.lif(drive if bias is None else drive + bias), drive


class Lateral(Heads):
    def forward(self, x, lateral=None):
        drive = self.fc(x)
        return self.lif(drive if lateral is None else drive + lateral)


@pytest.mark.parametrize("kind", [Task, Noise, ReturnsMore, Skip, Bias, Lateral])
def test_an_argument_that_is_a_setting_stays_what_it_is_and_that_is_said(kind):
    loaded = from_module(kind(), X[0], Options(timesteps=T))
    said = [note for note in loaded.assumptions if note.startswith("ASSUMED: forward's argument")]
    assert len(said) == 1
    assert "at every step" in said[0]


class Previous(Heads):
    def forward(self, x, prev=None):
        drive = self.fc(x)
        return self.lif(drive if prev is None else drive + prev)


class Step(Heads):
    def forward(self, x, t=0):
        return self.lif(self.fc(x) * (2 if t > 4 else 1))


class Index(Heads):
    def forward(self, x, idx=0):
        return self.lif(self.fc(x) * (2 if idx > 4 else 1))


@pytest.mark.parametrize("kind", [Previous, Step, Index])
def test_an_argument_that_is_called_like_a_state_or_a_counter_is_refused(kind):
    with pytest.raises(SnnError, match="forward's argument"):
        from_module(kind(), X[0], Options(timesteps=T))


# -- what is said --------------------------------------------------------------------------------------------------


class Noisy(Net):
    def forward(self, x):
        if self.training:
            x = x + torch.rand_like(x)
        return self.lif(self.fc(x))


class Drops(Net):
    def forward(self, x):
        return self.lif(F.dropout(self.fc(x), training=self.training))


class Helper(Net):
    def forward(self, x):
        return self.lif(self.drive(x))

    def drive(self, x):
        return F.dropout(self.fc(x), 0.5, self.training)


@pytest.mark.parametrize("kind", [Noisy, Drops, Helper])
def test_code_that_asks_for_the_mode_is_named(kind):
    trained, evaluated = (from_module(kind(None).train(mode), X[0]).assumptions for mode in (True, False))
    assert any("the code of the model asks which it is" in note for note in trained)
    assert not any("asks which it is" in note for note in evaluated)


class Traces(Net):
    """A leaky sum in an attribute, behind the layer."""

    def forward(self, x):
        drive = self.fc(x)
        self.v = drive if self.v is None else self.v + drive
        return self.lif(drive)


def test_a_state_of_an_earlier_run_is_said_and_a_constant_is_not():
    module = Traces(None, v=None, factor=torch.ones(5))
    assert not any("earlier run" in note for note in from_module(module.eval(), X[0]).assumptions)
    module(X[0])
    said = [note for note in from_module(module, X[0]).assumptions if "earlier run" in note]
    assert said == ["ASSUMED: v holds a state of an earlier run, which is the start (reset the model before it is read)"]


class Noting(nn.Module):
    """A neuron of the user's own, in which the model writes."""

    def __init__(self):
        super().__init__()
        self.v, self.note = None, 0.0

    def reset(self):
        self.v = None

    def forward(self, x):
        self.v = x if self.v is None else 0.75 * self.v + x
        fired = (self.v > 1.0).to(x)
        self.v = self.v - fired
        return fired


def test_an_attribute_that_is_written_with_the_same_value_at_every_step_is_no_reset():
    def forward(self, x):
        self.own.note = float(len(x)) * 1000.5
        return self.own(self.fc(x))

    loaded = from_module(Net(forward, own=Noting()).eval(), X[0], Options(timesteps=T))
    assert any("one call of the model is taken as one step" in note for note in loaded.assumptions)
