"""Neuron classes of the user's own code: named with --neuron-class, or found out by running them."""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

import snndeploy as sd  # noqa: E402
from converters import Options  # noqa: E402
from converters.pt import from_module, load, probing  # noqa: E402
from converters.pt.finding import identify  # noqa: E402
from converters.pt.hearing import Heard  # noqa: E402
from snndeploy import nn as nn_of_ours  # noqa: E402
from snndeploy.errors import OptionError, Unsupported  # noqa: E402
from snndeploy.ir.neurons.li import LI  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.report import to_html, to_json, to_text  # noqa: E402
from snndeploy.report.conversion import graph_to_json, graph_to_text  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402


class MyLIF(nn.Module):
    """h = (1 - 1/tau) v + x, fires at the threshold, resets to 0."""

    def __init__(self, tau=2.0, threshold=1.0):
        super().__init__()
        self.tau, self.threshold, self.v = tau, threshold, None

    def reset(self):
        self.v = None

    def forward(self, x):
        h = x if self.v is None else self.v * (1 - 1 / self.tau) + x
        s = (h >= self.threshold).to(x)
        self.v = h * (1 - s)
        return s


def net(*neurons):
    torch.manual_seed(0)
    sizes = (6, 8, 4)
    return nn.Sequential(*(part for i, n in enumerate(neurons) for part in (nn.Linear(sizes[i], sizes[i + 1]), n)))


def traced(module, x=None, **options):
    """Traced, and the graph's run held against the module's own."""
    loaded = from_module(module, torch.rand(3, 6) * 3 if x is None else x, Options(**options))
    run = run_reference(loaded.graph, loaded.witness.inputs, loaded.witness.steps)
    for name, gave in loaded.witness.outputs.items():
        np.testing.assert_array_equal(run.outputs[name], gave)
        assert len(np.unique(gave)) > 1
    return loaded


def origins(loaded, layer):
    return {fact.name: fact.origin for source in loaded.semantics if source.layer == layer for fact in source.facts}


# -- --neuron-class ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("said", "decays"), [("LIF", (0.5, 0.75)), ("LIF(decay=0.5)", (0.5, 0.5))])
def test_a_named_class_is_read_from_what_is_said_then_from_its_own_values(said, decays):
    module = net(MyLIF(2.0, 0.5), MyLIF(4.0 if said == "LIF" else 2.0, 0.25))
    loaded = traced(module, neuron_class={"My*": said})
    found = [node for node in loaded.graph.nodes.values() if isinstance(node, LIF)]
    assert [float(node.decay) for node in found] == list(decays)
    assert [float(node.threshold) for node in found] == [0.5, 0.25]
    assert loaded.probed[0].startswith(f"MyLIF = {said} (--neuron-class): 0 of 1,0")
    assert {"threshold": "model", "reset": "ASSUMED"}.items() <= origins(loaded, "1").items()
    assert module[1].v is None
    assert "_stands_for" not in vars(module[1])


def test_what_was_said_of_a_class_is_not_believed_against_its_answers():
    with pytest.raises(Unsupported, match=r"first step 1 of inputs .* it gives 1, the neuron 0"):
        traced(net(MyLIF(2.0, 0.1), MyLIF(2.0, 0.1)), neuron_class={"MyLIF": "LIF(tau=2.0, threshold=0.9)"})


@pytest.mark.parametrize(
    ("pattern", "said", "words"),
    [("NyLIF", "LIF", "MyLIF"), ("MyLIF", "LIFF", "LIF"), ("MyLIF", "tau=2.0", "names no neuron"), ("MyLIF", "LIF(", "literal")],
)
def test_words_that_name_nothing_are_refused(pattern, said, words):
    with pytest.raises(OptionError, match="--neuron-class") as refused:
        traced(net(MyLIF(), MyLIF()), neuron_class={pattern: said})
    assert words in str(refused.value)


def test_a_bare_file_has_no_classes(tmp_path):
    torch.save(net(MyLIF(), MyLIF()).state_dict(), tmp_path / "net.pt")
    with pytest.raises(OptionError, match="--arch"):
        load(tmp_path / "net.pt", Options(neuron_class={"MyLIF": "LIF"}))


# -- --neuron with code --------------------------------------------------------------------------------------------


class Twins(nn.Module):
    """Two instances of one class that are not alike, by name."""

    def __init__(self):
        super().__init__()
        self.fc1, self.lif_in, self.fc2, self.lif_out = nn.Linear(6, 8), MyLIF(2.0, 0.5), nn.Linear(8, 4), MyLIF(4.0, 0.25)

    def forward(self, x):
        return self.lif_out(self.fc2(self.lif_in(self.fc1(x))))


def test_places_are_named_one_by_one(tmp_path, monkeypatch):
    """With --arch, too: what was said has the origin "user", and is held against the module's own answers."""
    torch.manual_seed(0)
    said = {"lif_in": "LIF(tau=2.0, threshold=0.5)", "lif_*": "LIF(tau=4.0)"}
    module = Twins()
    loaded = traced(module, neuron=said)
    assert loaded.probed[0].startswith("MyLIF = LIF(tau=2.0, threshold=0.5) (--neuron): 0 of 1,0")
    assert [float(loaded.graph.nodes[n].decay) for n in ("lif_in", "lif_out")] == [0.5, 0.75]
    assert origins(loaded, "lif_in").items() >= {"decay": "user", "threshold": "user"}.items()
    assert origins(loaded, "lif_out").items() >= {"decay": "user", "threshold": "model"}.items()
    torch.save(module.state_dict(), tmp_path / "net.pt")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "twins_of_a_test", sys.modules[__name__])
    options = Options(arch="twins_of_a_test:Twins", neuron=said, input_shape=(6,))
    again = load(tmp_path / "net.pt", options)
    assert origins(again, "lif_out")["decay"] == "user"
    with pytest.raises(Unsupported, match=r"is not LIF\(tau=3\.0\)"):
        load(tmp_path / "net.pt", dataclasses.replace(options, neuron={"lif_out": "LIF(tau=3.0)"}))


@pytest.mark.parametrize("said", [{"neuron": {"1": "LIF(tau=3.0)"}}, {"neuron_class": {"LIF": "LIF(tau=3.0)"}}])
def test_what_was_said_is_held_against_a_module_that_holds_the_same_number_by_another_name(said):
    """A tau that the user says is not passed over for the module's own decay, and then reported as equal."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn_of_ours.LIF(tau=2.0, threshold=0.25))
    with pytest.raises(Unsupported, match=r"is not LIF\(tau=3\.0\)"):
        traced(module, **said)
    held = {key: dict.fromkeys(words, "LIF(tau=2.0)") for key, words in said.items()}
    loaded = traced(module, **held)
    assert loaded.probed[0].startswith("LIF = LIF(tau=2.0) (--neuron")
    assert origins(loaded, "1")["decay"] == "user"


def test_a_place_outranks_a_class():
    torch.manual_seed(0)
    loaded = traced(Twins(), neuron={"lif_in": "LIF(tau=2.0)"}, neuron_class={"MyLIF": "LIF(tau=4.0)"})
    assert [float(loaded.graph.nodes[n].decay) for n in ("lif_in", "lif_out")] == [0.5, 0.75]


@pytest.mark.parametrize(
    ("pattern", "words"), [("lif_im", "lif_in"), ("fc1", "no part of the model that may be a neuron"), ("lif_in, fc*", "may be")]
)
def test_a_place_that_is_none_is_refused(pattern, words):
    with pytest.raises(OptionError, match="--neuron '") as refused:
        traced(Twins(), neuron={pattern: "LIF(tau=2.0)"})
    assert words in str(refused.value)


def test_a_library_chosen_tells_two_classes_of_one_name_apart():
    """LIFNode is SpikingJelly's and BrainCog's, and they differ."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), Own(lambda v, x: v + (x - v) / 2, lambda h: h >= 0.25, to(0.0)))
    with pytest.raises(OptionError, match="--source"):
        traced(module, neuron={"1": "LIFNode(tau=2.0, v_threshold=0.25)"})
    loaded = traced(module, neuron={"1": "LIFNode(tau=2.0, v_threshold=0.25)"}, source="spikingjelly")
    assert float(loaded.graph.nodes["1"].gain) == 0.5


# -- found by running ----------------------------------------------------------------------------------------------


class Own(nn.Module):
    """A neuron in three parts: what charges it, when it fires, what is left."""

    def __init__(self, charge, fires, left, start=0.0):
        super().__init__()
        self.charge, self.fires, self.left, self.start, self.v = charge, fires, left, start, None

    def reset(self):
        self.v = None

    def forward(self, x):
        h = self.charge(torch.full_like(x, self.start) if self.v is None else self.v, x)
        s = self.fires(h).to(x.dtype)
        self.v = self.left(h, s)
        return s


def to(value):
    return lambda h, s: torch.where(s > 0, torch.full_like(h, value), h)


def less(amount):
    return lambda h, s: h - amount * s


FOUND = {
    "LIF(decay 0.9, threshold 0.7, >, reset to -0.2)": lambda: Own(lambda v, x: 0.9 * v + x, lambda h: h > 0.7, to(-0.2)),
    "LIF(decay 0.9, gain 0.1, threshold 0.03, >=, reset subtract 0.03)": lambda: Own(
        lambda v, x: 0.9 * v + 0.1 * x, lambda h: h >= 0.03, less(0.03)
    ),
    "LIF(decay 0.5, threshold 1, >=, reset subtract 0.25)": lambda: Own(lambda v, x: v / 2 + x, lambda h: h >= 1, less(0.25)),
    "LIF(decay 1, threshold 1, >=, reset to 0)": lambda: Own(lambda v, x: v + x, lambda h: h >= 1, to(0.0)),
    "LIF(decay 0.5, threshold 1, >=, reset none)": lambda: Own(lambda v, x: v / 2 + x, lambda h: h >= 1, less(0.0)),
    "LIF(decay 0, threshold 0.5, >, reset none)": lambda: Own(lambda v, x: x, lambda h: h > 0.5, less(0.0)),
    "LIF(decay 0.666667, threshold 0.75, >=, reset to 0)": lambda: Own(
        lambda v, x: v + (x - (v - 0.25)) / 3, lambda h: h >= 0.5, to(0.25), 0.25
    ),
    "LIF(decay 0.5, start 0.5, threshold 1, >=, reset to 0)": lambda: Own(lambda v, x: v / 2 + x, lambda h: h >= 1, to(0.0), 0.5),
    "LIF(decay 0.5, floor -1, threshold 1, >=, reset subtract 1)": lambda: Own(
        lambda v, x: torch.clamp(v / 2 + x, min=-1), lambda h: h >= 1, less(1.0)
    ),
    "LIF(decay 0.5, threshold 1, >=, reset to 0, spike value 0.5)": lambda: Own(
        lambda v, x: v / 2 + x, lambda h: 0.5 * (h >= 1).double(), to(0.0)
    ),
}


FOUND |= {
    "LIF(decay 0.5, floor 0, threshold 1, >=, reset to 0)": lambda: Own(lambda v, x: torch.relu(v / 2 + x), lambda h: h >= 1, to(0.0)),
    "LIF(decay 0.75, gain 1.5, floor 0, threshold 1, >, reset subtract 1)": lambda: Own(
        lambda v, x: torch.relu(1.5 * (v / 2 + x)), lambda h: h > 1, less(1.0)
    ),
}
"""SpikingJelly's KLIF in a class of one's own, with its k, and k = 1."""


class Two(nn.Module):
    """Modules with two states."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.a, self.v = kind, None, None

    def reset(self):
        self.a = self.v = None

    def forward(self, x):
        a, v = (torch.zeros_like(x) if s is None else s for s in (self.a, self.v))
        if self.kind == "current":
            self.a = a * 0.5 + x
            h = 0.75 * v + self.a
            s = (h >= 1).to(x)
            self.v = h * (1 - s)
        elif self.kind == "late":
            self.v = 0.75 * v + x - a
            self.a = s = (self.v > 1).to(x)
        else:
            self.v = (0.75 * v + x) * (1 - a)
            self.a = s = (self.v >= 1).to(x)
        return s


class Levels(nn.Module):
    """Several levels a step."""

    def __init__(self, counts, subtracts=False):
        super().__init__()
        self.counts, self.subtracts, self.v = counts, subtracts, None

    def reset(self):
        self.v = None

    def forward(self, x):
        h = x if self.v is None else self.v + x
        if self.counts:
            y = torch.clamp(torch.floor(h / 0.5), min=0)
            self.v = h - y * 0.5
        else:
            y = (h >= 0.5).to(x) + 0.5 * (h >= 1).to(x)
            self.v = h - 0.5 * y if self.subtracts else torch.where(y > 0, torch.zeros_like(h), h)
        return y


FOUND |= {
    "CubaLIF(decay 0.75, current decay 0.5, threshold 1, >=, reset to 0)": lambda: Two("current"),
    "LIF(decay 0.75, threshold 1, >, reset subtract 1, reset timing late: inside the next update)": lambda: Two("late"),
    "CubaLIF(decay 0.75, current decay 0, threshold 1, >=, reset to 0, reset timing late: inside the next update)": lambda: Two("lost"),
    "Burst(decay 1, threshold 0.5, >=, levels 2 ([2, 1] 1..1.5), reset to 0)": lambda: Levels(False),
    "Burst(decay 1, threshold 0.5, >=, levels 2 ([2, 1] 1..1.5), reset subtract 0.5 a spike)": lambda: Levels(False, subtracts=True),
}


@pytest.mark.parametrize("words", FOUND)
def test_an_unknown_class_is_found_by_its_answers(words):
    neuron = FOUND[words]()
    kept = {name: value for name, value in vars(neuron).items() if not name.startswith("_")}
    loaded = traced(nn.Sequential(nn.Linear(6, 8), neuron))
    assert loaded.probed[0].startswith(f"{type(neuron).__name__} = {words}: 0 of 1,0")
    assert origins(loaded, "1")["reset" if "reset" in words else "delay"] == "probed"
    assert {name: value for name, value in vars(neuron).items() if not name.startswith("_")} == kept
    assert neuron.training


def test_what_was_found_is_no_assumption(tmp_path, monkeypatch):
    """It stands under a title of its own, in text, page and JSON."""
    torch.manual_seed(0)
    loaded = traced(net(MyLIF(2.0, 0.5), MyLIF(2.0, 0.25)))
    assert len(loaded.probed) == 2
    assert not any("differ" in note for note in loaded.assumptions)
    made = sd.convert(loaded, np.random.default_rng(0).random((4, 6)) * 3, chip="loihi2", timesteps=4)
    report = sd.report(made)
    assert report.probed == loaded.probed
    assert not set(report.probed) & set(report.assumptions)
    assert "Found by probing\n----------------\n  - MyLIF = LIF(decay 0.5, threshold 0.5" in to_text(report)
    assert "<h2>Found by probing" in to_html(report)
    assert to_json(report)["probed"] == list(loaded.probed)
    said = graph_to_text("net", (), ("a",), "net.graph.onnx", loaded.probed)
    assert said.index("Found by probing") < said.index("Assumed")
    assert graph_to_json("net", (), (), "net.graph.onnx", loaded.probed)["probed"] == list(loaded.probed)


def test_spikes_that_are_counted():
    loaded = traced(nn.Sequential(nn.Linear(6, 8), Levels(True)))
    assert loaded.probed[0].startswith("Levels = MultiSpike(decay 1, threshold 0.5, >=, reset the threshold for each spike): 0 of 1,0")


class PerChannel(nn.Module):
    """A learnt decay and threshold a channel, the state in no reset's reach."""

    def __init__(self, channels):
        super().__init__()
        self.beta, self.mem = nn.Parameter(torch.rand(channels, 1, 1)), None
        self.threshold = nn.Parameter(torch.rand(channels, 1, 1) + 0.2)

    def forward(self, x):
        self.mem = x if self.mem is None else self.mem * torch.sigmoid(self.beta) + x
        s = (self.mem > self.threshold).float()
        self.mem = self.mem - s * self.threshold
        return s


def test_settings_by_channel_are_found_to_the_last_bit():
    torch.manual_seed(1)
    neuron = PerChannel(5)
    loaded = traced(nn.Sequential(nn.Conv2d(1, 5, 3), neuron), torch.rand(3, 1, 6, 6) * 3)
    node = loaded.graph.nodes["1"]
    np.testing.assert_allclose(node.decay, torch.sigmoid(neuron.beta.double()).detach(), rtol=0, atol=1e-15)
    assert (np.nextafter(neuron.threshold.detach().double().numpy(), np.inf) == node.threshold).all() or node.strict
    assert neuron.mem is None


class Handed(nn.Module):
    """The state goes through the caller's hands."""

    def forward(self, x, mem=None):
        h = x if mem is None else 0.75 * mem + x
        s = (h > 1).float()
        return s, h * (1 - s)


class Loop(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.lif = nn.Linear(6, 8), Handed()

    def forward(self, x):
        mem, out = None, []
        for t in range(len(x)):
            s, mem = self.lif(self.fc(x[t]), mem)
            out.append(s)
        return torch.stack(out)


class Whole(nn.Module):
    """All steps in one call."""

    def __init__(self, axis):
        super().__init__()
        self.axis = axis

    def forward(self, x):
        v, out = torch.zeros_like(x.select(self.axis, 0)), []
        for now in x.unbind(self.axis):
            v = v + (now - v) / 2
            out.append((v >= 0.25).to(x))
            v = v * (1 - out[-1])
        return torch.stack(out, self.axis)


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (Loop, (5, 3, 6)),
        (lambda: nn.Sequential(nn.Linear(6, 8), Whole(0)), (5, 3, 6)),
        (lambda: nn.Sequential(nn.Linear(6, 8), Whole(1)), (3, 5, 6)),
    ],
    ids=["state by hand", "T, B", "B, T"],
)
def test_every_way_to_take_time(module, shape):
    torch.manual_seed(0)
    loaded = traced(module(), torch.rand(shape) * 4)
    assert "= LIF(decay 0." in loaded.probed[0]
    assert loaded.steps == 5


class Odd(nn.Module):
    """Nearly a LIF: each kind departs from it in one thing that no neuron of the graph does."""

    def __init__(self, kind):
        super().__init__()
        self.kind, self.v = kind, None
        self.reset()

    def reset(self):
        self.v = self.v if self.kind == "keeps" else None
        self.calls, self.before, self.threshold = 0, None, 1.0

    def forward(self, x):
        v = torch.zeros_like(x) if self.v is None else self.v
        before = torch.zeros_like(x) if self.before is None else self.before
        self.calls += 1
        decay = torch.where(before > 0, 0.499, 0.5) if self.kind == "decays after spikes" else 0.5
        h = v * (0.49 if self.kind == "ages" and self.calls > 200 else decay) + x
        h = h + 1e-3 * torch.randn_like(h) if self.kind == "noisy" else h
        s = (h >= (1 + 0.01 * before if self.kind == "adapts" else self.threshold)).to(x)
        s = s * (1 - before) if self.kind == "rests a step" else s
        s = s * (h >= h.amax(1, keepdim=True)).to(x) if self.kind == "competes" else s
        s = s * (h >= h.mean(0)).to(x) if self.kind == "looks at the batch" else s
        self.before = 0.9 * before + s if self.kind == "adapts" else s
        self.v = h - s if self.kind == "decays after spikes" else h * (1 - s)
        return s


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("decays after spikes", "is no neuron that the graph knows"),
        ("ages", "the nearest, a LIF, differs at step 2"),
        ("noisy", "two different answers for the same input"),
        ("adapts", "differs at step"),
        ("rests a step", "differs at step"),
        ("competes", "differs at step 1 "),
        ("looks at the batch", "mixes its samples"),
        ("keeps", r"its reset\(\) does not bring it back"),
    ],
)
def test_what_is_nearly_a_neuron_is_refused_with_the_first_case(kind, words):
    with pytest.raises(Unsupported, match=words) as refused:
        traced(nn.Sequential(nn.Linear(6, 8), Odd(kind)))
    assert "--neuron-class 'Odd: " in str(refused.value)


class Leaks(nn.Module):
    """A membrane that is read."""

    def __init__(self, rounds=False):
        super().__init__()
        self.rounds, self.v = rounds, None

    def forward(self, x):
        self.v = x / 4 if self.v is None else self.v + (x - self.v) / 4
        self.v = torch.clamp(self.v, max=3.0) if self.rounds else self.v
        return self.v


def test_a_class_that_leaks_and_never_fires():
    torch.manual_seed(0)
    loaded = traced(nn.Sequential(nn.Linear(6, 8), MyLIF(2.0, 0.5), nn.Linear(8, 4), Leaks()))
    node = loaded.graph.nodes["3"]
    assert isinstance(node, LI)
    assert (float(node.decay), float(node.gain)) == (0.75, 0.25)
    assert loaded.probed[1] == "Leaks = LI(decay 0.75, gain 0.25): 0 of 1,008,000 differ by more than rounding (1e-12 of the largest)"
    assert origins(loaded, "3")["decay"] == "probed"
    with pytest.raises(Unsupported):
        from_module(nn.Sequential(nn.Linear(6, 4), Leaks(rounds=True)), torch.rand(3, 6))


def test_equals_are_probed_once(monkeypatch):
    """The million steps are run for the first; every other of the same settings is held against what that was found to be."""
    probed = []
    monkeypatch.setattr(probing, "identify", lambda part, *more: probed.append(part) or identify(part, *more))
    torch.manual_seed(0)
    sizes = (6, 8, 5, 7, 4)
    neurons = (MyLIF(2.0, 0.1), MyLIF(2.0, 0.1), MyLIF(4.0, 0.1), MyLIF(2.0, 0.1))
    module = nn.Sequential(*(p for i, n in enumerate(neurons) for p in (nn.Linear(sizes[i], sizes[i + 1]), n)))
    loaded = traced(module)
    assert [float(n.decay) for n in loaded.graph.nodes.values() if isinstance(n, LIF)] == [0.5, 0.5, 0.75, 0.5]
    assert [part.tau for part in probed] == [2.0, 4.0]
    assert "; at 2 more places 0 of " in loaded.probed[0]
    assert len(loaded.probed) == 2


class Tricky(MyLIF):
    """Equal in every attribute, and yet another neuron at a width above 6."""

    def forward(self, x):
        s = super().forward(x)
        self.v = self.v if x.shape[-1] < 7 else self.v / 2
        return s


def test_an_equal_that_answers_otherwise_is_probed_itself():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 5), Tricky(2.0, 0.1), nn.Linear(5, 8), Tricky(2.0, 0.1))
    loaded = traced(module)
    assert [float(n.decay) for n in loaded.graph.nodes.values() if isinstance(n, LIF)] == [0.5, 0.25]


class Flat(nn.Module):
    """Time and batch in one axis."""

    def forward(self, x):
        v, out = 0.0, []
        for now in x.view(4, -1, *x.shape[1:]):
            v = v / 2 + now
            out.append((v >= 1).to(x))
            v = v * (1 - out[-1])
        return torch.stack(out).view(x.shape)


class Flattened(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc, self.n = nn.Linear(6, 8), Flat()

    def forward(self, x):
        return self.n(self.fc(x.flatten(0, 1))).view(*x.shape[:2], -1).mean(0)


def test_time_and_batch_in_one_axis_is_refused_in_words():
    with pytest.raises(Unsupported, match=r"n \(Flat\): it does not run on inputs of its own") as refused:
        from_module(Flattened(), torch.rand(4, 3, 6))
    assert "--neuron-class 'Flat: " in str(refused.value)


class InPlace(MyLIF):
    """Writes into what it is given."""

    def forward(self, x):
        s = super().forward(x.clone())
        x.zero_()
        return s


class Step(nn.Module):
    """A surrogate: of itself, a neuron without memory."""

    def forward(self, x):
        return (x >= 0).to(x)


class LIFNode(nn.Module):
    """As SpikingJelly's, whose surrogate is a module inside it."""

    def __init__(self):
        super().__init__()
        self.tau, self.decay_input, self.v_threshold, self.v_reset, self.step_mode = 2.0, True, 0.25, 0.0, "s"
        self.surrogate_function = Step()
        self._memories = {"v": 0.0}

    def reset(self):
        self._memories["v"] = 0.0

    def forward(self, x):
        v = self._memories["v"]
        h = v + (x - v) / self.tau
        s = self.surrogate_function(h - self.v_threshold)
        self._memories["v"] = h * (1 - s)
        return s


LIFNode.__module__ = "spikingjelly.activation_based.neuron"


def test_what_is_inside_a_neuron_of_a_table_is_not_probed(monkeypatch):
    monkeypatch.setattr(probing, "identify", lambda *_: pytest.fail("the surrogate was probed"))
    torch.manual_seed(0)
    loaded = traced(nn.Sequential(nn.Linear(6, 8), LIFNode()))
    assert loaded.probed == ()
    assert origins(loaded, "1")["threshold"] == "model"


def test_ties_are_decided_as_the_library_rounds():
    """The class divides by tau: so does the graph, and no tie falls otherwise; multiplying by 1 - 1/3 some would."""
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.integers(-8, 25, (64, 4000, 1)) / 8.0)
    for tau, shares in ((3.0, True), (2.0, False)):
        node = LIFNode()
        node.tau, node.v_threshold = tau, 1.0
        loaded = from_module(Unrolled(node), x)
        (name,) = (n for n, kind in loaded.graph.nodes.items() if isinstance(kind, LIF))
        lif = loaded.graph.nodes[name]
        assert (lif.order, float(lif.leak)) == ("tau", tau)
        plain = loaded.graph.replace({name: dataclasses.replace(lif, order=None, leak=None)})
        differ = []
        for graph in (loaded.graph, plain):
            run = run_reference(graph, loaded.witness.inputs, loaded.witness.steps)
            differ.append(int((run.outputs["output"] != loaded.witness.outputs["output"]).sum()))
        assert differ[0] == 0
        assert (differ[1] > 0) is shares


class Unrolled(nn.Module):
    """[T, B, ...] step by step."""

    def __init__(self, neuron):
        super().__init__()
        self.n = neuron

    def forward(self, x):
        return torch.stack([self.n(now) for now in x])


def test_inputs_are_copies():
    torch.manual_seed(0)
    x = torch.rand(3, 6)
    kept = x.clone()
    heard = Heard(x, (), ())
    first = identify(InPlace(2.0, 0.1), heard, "here")
    assert first.said.startswith("0 of 1,0")
    assert torch.equal(x, kept)


def test_random_generators_are_left_as_they_were():
    other = np.random.get_state()[1].copy()  # noqa: NPY002
    module = nn.Sequential(nn.Linear(6, 8), MyLIF(2.0, 0.1))
    x = torch.ones(3, 6)
    state = torch.random.get_rng_state()
    from_module(module, x)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert (np.random.get_state()[1] == other).all()  # noqa: NPY002
