"""States in the user's hands: fed back as the user's own loop does, or refused with the reason; never lost."""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any, NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import snndeploy as sd  # noqa: E402
from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy import nn as ours  # noqa: E402
from snndeploy.errors import SnnError  # noqa: E402
from snndeploy.flow.original import hold_against_original  # noqa: E402
from snndeploy.ir.layers import Output  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

T, B = 12, 3
X = (np.random.default_rng(0).random((T, B, 12)) < 0.4).astype("float32")


class Pair(NamedTuple):
    a: Any
    b: Any


@dataclasses.dataclass
class Held:
    a: Any = None
    b: Any = None


class Cell(nn.Module):
    """A neuron of the user's own, whose state travels."""

    def forward(self, x, v):
        v = 0.75 * v + x
        fired = (v > 1.0).to(v)
        return fired, v - fired


def cells(kind):
    if kind == "own":
        return Cell(), Cell(), 4
    if kind == "snntorch":
        snn = pytest.importorskip("snntorch")
        return snn.Leaky(beta=0.75), snn.Synaptic(alpha=0.5, beta=0.75), 4
    norse = pytest.importorskip("norse.torch")
    return norse.LIFCell(), norse.LSNNCell(), 20


KINDS = ("own", "snntorch", "norse")


class Net(nn.Module):
    """Two layers; ``forward`` of the subclasses says how the states travel."""

    def __init__(self, kind="own"):
        super().__init__()
        torch.manual_seed(0)
        self.kind = kind
        self.first, self.second = nn.Linear(12, 16), nn.Linear(16, 5)
        self.one, self.two, loud = cells(kind)
        for layer in (self.first, self.second):
            layer.weight.data.mul_(loud)

    def start(self, x):
        if self.kind == "norse":
            return None, None
        a, b = torch.zeros(len(x), 16).to(x), torch.zeros(len(x), 5).to(x)
        return (a, (b, b.clone())) if self.kind == "snntorch" else (a, b)

    def step(self, x, a, b):
        hidden, a = self.one(self.first(x), a)
        if self.kind == "snntorch":
            fired, *b = self.two(self.second(hidden), *b)
            return fired, a, tuple(b)
        fired, b = self.two(self.second(hidden), b)
        return fired, a, b


class Optional(Net):
    def forward(self, x, state=None):
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return fired, (a, b)


class StateFirst(Net):
    def forward(self, x, state=None):
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return (a, b), fired


class Several(Net):
    def forward(self, x, mem1=None, mem2=None):
        if mem1 is None:
            mem1, mem2 = self.start(x)
        return self.step(x, mem1, mem2)


class SeveralNested(Net):
    def forward(self, x, mem1=None, mem2=None):
        if mem1 is None:
            mem1, mem2 = self.start(x)
        fired, mem1, mem2 = self.step(x, mem1, mem2)
        return fired, (mem1, mem2)


class OutOfOrder(Net):
    def forward(self, x, mem1=None, mem2=None):
        if mem1 is None:
            mem1, mem2 = self.start(x)
        fired, mem1, mem2 = self.step(x, mem1, mem2)
        return mem2, mem1, fired


class Rest(Net):
    def forward(self, x, state=None):
        return self.step(x, *(self.start(x) if state is None else state))


class Starred(Net):
    def forward(self, x, *state):
        return self.step(x, *(state or self.start(x)))


class Keyword(Net):
    def forward(self, x, *, state=None):
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return fired, (a, b)


class Keywords(Net):
    def forward(self, x, **more):
        fired, a, b = self.step(x, *(more.get("state") or self.start(x)))
        return fired, (a, b)


class ByKey(Net):
    def forward(self, x, state=None):
        state = state or dict(zip("ab", self.start(x), strict=True))
        fired, a, b = self.step(x, state["a"], state["b"])
        return fired, {"a": a, "b": b}


class KeyOfResult(Net):
    def forward(self, x, state=None):
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return {"state": (a, b), "fired": fired}


class NamedTuples(Net):
    def forward(self, x, state=None):
        fired, a, b = self.step(x, *(state or self.start(x)))
        return fired, Pair(a, b)


class DataClass(Net):
    def forward(self, x, state=None):
        state = state or Held(*self.start(x))
        fired, a, b = self.step(x, state.a, state.b)
        return fired, Held(a, b)


class ChangedInPlace(Net):
    def forward(self, x, state=None):
        state = list(self.start(x)) if state is None else state
        fired, state[0], state[1] = self.step(x, *state)
        return fired, state


class Nested(Net):
    def forward(self, x, state=None):
        (a,), (b,) = ((part,) for part in self.start(x)) if state is None else state
        fired, a, b = self.step(x, a, b)
        return fired, [(a,), (b,)]


class AmongResults(Net):
    def forward(self, x, state=None):
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return fired, 2 * fired, (a, b)


class WithMask(Net):
    def forward(self, x, mask=None, state=None):
        x = x if mask is None else x * mask
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return fired, (a, b)


class Counter(Net):
    def forward(self, x, t=0, state=None):
        fired, a, b = self.step(x, *(self.start(x) if t == 0 else state))
        return fired, t + 1, (a, b)


class OwnFeedback(Net):
    def __init__(self, kind="own"):
        super().__init__(kind)
        self.back = nn.Linear(5, 16, bias=False)

    def forward(self, x, state=None):
        a, b, fired = (*self.start(x), torch.zeros(len(x), 5).to(x)) if state is None else state
        hidden, a = self.one(self.first(x) + self.back(fired), a)
        if self.kind == "snntorch":
            fired, *b = self.two(self.second(hidden), *b)
        else:
            fired, b = self.two(self.second(hidden), b)
        return fired, (a, b, fired)


class SpikesTravelToo(nn.Module):
    """What comes out goes back in, beside the membrane."""

    def __init__(self, kind="snntorch"):
        super().__init__()
        torch.manual_seed(0)
        snn = pytest.importorskip("snntorch")
        self.fc, self.lif = nn.Linear(12, 5), snn.RLeaky(beta=0.75, V=0.5, all_to_all=False)
        self.fc.weight.data.mul_(4)

    def forward(self, x, spk=None, mem=None):
        if spk is None:
            spk, mem = torch.zeros(len(x), 5).to(x), torch.zeros(len(x), 5).to(x)
        return self.lif(self.fc(x), spk, mem)


def as_one(net, x, state):
    return net(x, state)


def apart(net, x, state):
    return net(x, *(state or ()))


def by_word(net, x, state):
    return net(x, state=state)


LOOPS = {
    Optional: (as_one, lambda r: r),
    StateFirst: (as_one, lambda r: r[::-1]),
    Several: (apart, lambda r: (r[0], r[1:])),
    SeveralNested: (apart, lambda r: r),
    OutOfOrder: (apart, lambda r: (r[2], r[1::-1])),
    Rest: (as_one, lambda r: (r[0], r[1:])),
    Starred: (apart, lambda r: (r[0], r[1:])),
    Keyword: (by_word, lambda r: r),
    Keywords: (by_word, lambda r: r),
    ByKey: (as_one, lambda r: r),
    KeyOfResult: (as_one, lambda r: (r["fired"], r["state"])),
    NamedTuples: (as_one, lambda r: r),
    DataClass: (as_one, lambda r: r),
    ChangedInPlace: (as_one, lambda r: r),
    Nested: (as_one, lambda r: r),
    AmongResults: (as_one, lambda r: (r[0], r[2])),
    WithMask: (by_word, lambda r: r),
    Counter: (apart, lambda r: (r[0], r[1:])),
    OwnFeedback: (as_one, lambda r: r),
    SpikesTravelToo: (apart, lambda r: (r[0], r)),
}
"""How a user runs each, and what of a step's results is the output and what goes into the next."""
SLOW = (Optional, DataClass, OwnFeedback)
"""The conventions that are tried with neurons of the user's own, which are found by a million steps each."""
CASES = [(c, k) for c in LOOPS for k in KINDS if (k != "own" or c in SLOW) and (k == "snntorch" or c is not SpikesTravelToo)]


def stepped(net, loop, x=X):
    """The user's own loop, run by torch."""
    (call, split), state, fired = loop, None, []
    with torch.no_grad():
        for now in torch.tensor(x):
            out, state = split(call(net, now, state))
            fired.append(out.clone())
    return torch.stack(fired).double().numpy()


def ran(loaded, x=X):
    run = run_reference(loaded.graph, {"input": np.asarray(x, dtype=float)}, len(x))
    return [run.outputs[name] for name in loaded.graph.named(Output)]


@pytest.mark.parametrize(("convention", "kind"), CASES)
def test_a_state_in_the_users_hands_is_fed_back_as_the_users_loop_does(convention, kind):
    net = convention(kind)
    want = stepped(net, LOOPS[convention])
    loaded = from_module(net, X[0], Options(timesteps=T))
    first = ran(loaded)[0]
    assert want.sum() > 5
    np.testing.assert_array_equal(first, want)
    assert any("is a state" in note for note in loaded.assumptions)
    assert not any("remembers nothing" in note for note in loaded.assumptions)


@pytest.mark.parametrize("given", ["tuple", "nested", "dict", "none"])
def test_states_that_the_example_gives_before_the_first_step_are_the_same(given):
    net = SeveralNested("snntorch") if given != "nested" else Optional("snntorch")
    want = stepped(net, LOOPS[type(net)])
    a, b = torch.zeros(B, 16), (torch.zeros(B, 5), np.zeros((B, 5), "float32"))
    x = X[0]
    example = {"tuple": (x, a, b), "nested": (x, (a, b)), "dict": {"x": x, "mem1": a, "mem2": b}, "none": (x, None, None)}[given]
    np.testing.assert_array_equal(ran(from_module(net, example, Options(timesteps=T)))[0], want)


def test_a_lost_state_cannot_compare_equal():
    """The trial run is one in which every state shows, though the example alone fires nothing in three steps."""
    net = Several("snntorch")
    net.first.weight.data.div_(30)
    loaded = from_module(net, X[0], Options(timesteps=T))
    assert hold_against_original(loaded).different == 0
    for name, node in loaded.graph.nodes.items():
        if name in ("one", "two"):
            forgetful = dataclasses.replace(node, decay=0 * node.decay, late=False, reset="none")
            graph = dataclasses.replace(loaded.graph, nodes={**loaded.graph.nodes, name: forgetful})
            assert hold_against_original(dataclasses.replace(loaded, graph=graph)).different > 0


def test_every_door_carries_the_state_of_snntorch(tmp_path, monkeypatch):
    """``--arch`` and ``sd.convert``, a required state that the example does not give among them."""
    pytest.importorskip("snntorch")
    source = """
import snntorch as snn
import torch


class Steps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = torch.nn.Linear(12, 5), snn.Leaky(beta=0.75)

    def forward(self, x, mem):
        return self.lif(self.fc(x), mem)
"""
    (tmp_path / "steps.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    net = importlib.import_module("steps").Steps()
    net.fc.weight.data.mul_(4)
    torch.save(net.state_dict(), tmp_path / "net.pt")
    want = stepped(net, (lambda n, x, s: n(x, torch.zeros(len(x), 5) if s is None else s), lambda r: r))
    loaded = sd.load(tmp_path / "net.pt", None, Options(arch=f"{tmp_path / 'steps.py'}:Steps", input_shape=(12,), timesteps=T))
    np.testing.assert_array_equal(ran(loaded)[0], want)
    deployment = sd.convert(net, X.transpose(1, 0, 2), chip="loihi2", timesteps=T)
    assert any("'mem' is a state" in note for note in deployment.assumptions)
    np.testing.assert_array_equal(deployment.float_trace.outputs["output_1"], want)


def test_numbers_that_count_no_steps_are_settings():
    class Set(Alone):
        def forward(self, x, times=3, scale=2.0, flag=True):
            return self.lif(self.fc(x) * times * scale)

    assert from_module(Set(), X[0], Options(timesteps=T)).steps == T


# -- what cannot be seen is refused --------------------------------------------------------------------------------


class Lost(Net):
    """The states come back, and nothing takes them."""

    def forward(self, x):
        return self.step(x, *self.start(x))


class Counts(Net):
    """The caller counts."""

    def forward(self, x, state=None, t=0):
        x = 2 * x if t > 5 else x
        fired, a, b = self.step(x, *(self.start(x) if state is None else state))
        return fired, (a, b)


class Alone(nn.Module):
    """Its only result may be its state."""

    def __init__(self):
        super().__init__()
        self.fc, self.back, self.lif = nn.Linear(12, 5), nn.Linear(5, 5, bias=False), ours.LIF(2.0, 0.3)

    def forward(self, x, before=None):
        now = self.fc(x)
        return self.lif(now if before is None else now + self.back(before))


class NotReturned(Net):
    def forward(self, x, mem1, mem2):
        return self.step(x, mem1, mem2)[0]


class Written(Net):
    """The neuron's arithmetic stands in ``forward`` itself."""

    def forward(self, x, state=None):
        v = torch.zeros(len(x), 16).to(x) if state is None else state
        v = 0.75 * v + self.first(x)
        fired = (v > 1.0).to(v)
        return fired, v - fired


class FirstStep(Alone):
    """The caller says which step is the first."""

    def forward(self, x, first=True):
        if first:
            self.lif.reset()
        return self.lif(self.fc(x))


class AlwaysFirst(Alone):
    def forward(self, x):
        self.lif.reset()
        return self.lif(self.fc(x))


ZEROS = (np.zeros((B, 16), "float32"), np.zeros((B, 5), "float32"))


@pytest.mark.parametrize(
    ("net", "example", "words"),
    [
        (lambda: Lost("snntorch"), X[0], "the model returns its state, which no argument of forward takes back"),
        (lambda: Counts("snntorch"), X[0], "forward's argument 't': is 0 here, and the answers change with it"),
        (Alone, X[0], "forward's argument 'before': takes what forward returns"),
        (
            lambda: NotReturned("snntorch"),
            (X[0], ZEROS[0], (ZEROS[1],) * 2),
            "forward's argument 'mem1': looks like a state, and nothing that forward returns",
        ),
        (lambda: NotReturned("snntorch"), X[0], "forward also needs mem1 and mem2"),
        (FirstStep, X[0], "forward's argument 'first': is True here, and the answers change with it"),
        (AlwaysFirst, X[0], "forward resets its neurons at every call: a call of one step remembers nothing"),
        (Written, X[0], "computes with the state that it hands on in 'state' itself"),
    ],
    ids=["lost", "counts", "alone", "not returned", "not given", "first", "always first", "written"],
)
def test_what_cannot_be_seen_is_refused_by_name(net, example, words):
    with pytest.raises(SnnError) as refused:
        from_module(net(), example, Options(timesteps=T))
    assert words in str(refused.value)


def test_the_hints_lead_somewhere():
    """A state returned twice is read; so is a counter that comes back (``Counter``), and a cell of its own (``Optional``)."""

    class Twice(Alone):
        def forward(self, x, before=None):
            out = super().forward(x, before)
            return out, out

    net = Twice()
    want = stepped(net, (as_one, lambda r: r))
    ours.reset(net)
    np.testing.assert_array_equal(ran(from_module(net, X[0], Options(timesteps=T)))[0], want)


def test_states_that_snntorch_only_records_are_no_states_of_the_caller():
    snn = pytest.importorskip("snntorch")

    class Loops(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.lif = nn.Linear(12, 5), snn.Leaky(beta=0.75)

        def forward(self, x, mem=None, num_steps=T):
            mem, fired, mems = self.lif.init_leaky() if mem is None else mem, [], []
            for t in range(num_steps):
                spk, mem = self.lif(self.fc(x[t]), mem)
                fired.append(spk)
                mems.append(mem)
            return torch.stack(fired), torch.stack(mems)

    loaded = from_module(Loops(), X * 4)
    assert loaded.steps == T
    assert not any("forward's argument" in note for note in loaded.assumptions)


# -- cells of the user's own ---------------------------------------------------------------------------------------


class CurrentCell(nn.Module):
    """Two states, packed as ``pack`` packs them."""

    def __init__(self, pack, unpack):
        super().__init__()
        self.pack, self.unpack = pack, unpack

    def forward(self, x, state=None):
        i, v = (torch.zeros_like(x),) * 2 if state is None else self.unpack(state)
        i = 0.5 * i + x
        v = 0.75 * v + i
        fired = (v > 1.0).to(v)
        return fired, self.pack(i, v * (1 - fired))


PACKS = {
    "named tuple": (Pair, tuple),
    "dict": (lambda i, v: {"i": i, "v": v}, lambda s: (s["i"], s["v"])),
    "data class": (Held, lambda s: (s.a, s.b)),
}


class Around(nn.Module):
    """The cell is called without its state at the first step, or with zeros."""

    def __init__(self, cell, zeros):
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.cell, self.zeros = nn.Linear(12, 5), cell, zeros
        self.fc.weight.data.mul_(4)

    def forward(self, x, state=None):
        if state is None and not self.zeros:
            return self.cell(self.fc(x))
        zero = torch.zeros(len(x), 5).to(x)
        return self.cell(self.fc(x), self.cell.pack(zero, zero) if state is None else state)


@pytest.mark.parametrize(("packed", "zeros"), [("named tuple", True), ("dict", False), ("data class", True)])
def test_a_cell_of_ones_own_may_pack_its_state_in_any_way(packed, zeros):
    net = Around(CurrentCell(*PACKS[packed]), zeros)
    want = stepped(net, (as_one, lambda r: r))
    assert want.sum() > 5
    np.testing.assert_array_equal(ran(from_module(net, X[0], Options(timesteps=T)))[0], want)


class Used(nn.Module):
    def __init__(self):
        super().__init__()
        self.v = None

    def forward(self, x):
        v = x if self.v is None else 0.5 * self.v + x
        fired = (v > 1.0).to(v)
        self.v = v - fired
        return fired


class Resets(Used):
    def reset(self):
        self.v = None


def test_a_state_of_an_earlier_run_is_reset_for_the_reading_or_named():
    for cell, batch in ((Resets(), 7), (Used(), 7)):
        net = nn.Sequential(nn.Linear(12, 5), cell)
        net(torch.rand(batch, 12))
        held = cell.v
        if isinstance(cell, Resets):
            assert from_module(net, X[0], Options(timesteps=T)).probed
        else:
            with pytest.raises(SnnError, match=r"1\.v may hold the state of an earlier run"):
                from_module(net, X[0], Options(timesteps=T))
        assert cell.v is held
