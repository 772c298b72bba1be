"""A traced graph, run by the float64 reference, gives what the torch module gave: spike for spike."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import torch.nn.functional as F  # noqa: E402, N812
from torch import nn  # noqa: E402

from converters import Options  # noqa: E402
from converters.pt import from_module  # noqa: E402
from snndeploy import nn as snn  # noqa: E402
from snndeploy.errors import ModelError, Unsupported  # noqa: E402
from snndeploy.ir.layers import Concat, Input, Linear, MaxPool, Output, Reshape, Scale, Sum, SumPool  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

DECODE = {"none": lambda y: y, "mean": lambda y: y.mean(0), "sum": lambda y: y.sum(0), "last": lambda y: y[-1], "max": lambda y: y.max(0)}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)
    torch.set_num_threads(1)


def trace(net, x, *, lively=True, **options):
    """Trace in float64, run the graph on what the module got, and compare with what it gave."""
    modes = [part.training for part in net.modules()]
    loaded = from_module(net, x, Options(**options))
    seen = loaded.witness
    run = run_reference(loaded.graph, seen.inputs, seen.steps)
    assert seen.outputs
    for name, gave in seen.outputs.items():
        got = DECODE[loaded.graph.nodes[name].decode](run.outputs[name])
        assert got.shape == gave.shape
        np.testing.assert_allclose(got, gave, rtol=0, atol=1e-12)
        assert not lively or len(np.unique(gave)) > 1
    assert [part.training for part in net.modules()] == modes
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in net.modules())
    return loaded


def edges(loaded):
    return {str(edge) for edge in loaded.graph.edges}


def fc(*sizes, step_mode="s"):
    parts = []
    for i, (a, b) in enumerate(itertools.pairwise(sizes)):
        parts += [nn.Linear(a, b), snn.LIF(2.0, 0.2, step_mode=step_mode) if i % 2 else snn.IF(0.4, reset="subtract", step_mode=step_mode)]
    return nn.Sequential(*parts)


# -- one step a call -----------------------------------------------------------------------------------------------


def test_a_one_step_model_is_run_several_steps():
    loaded = trace(fc(6, 9, 5), torch.rand(2, 6), timesteps=7)
    assert edges(loaded) == {"input -> 0", "0 -> 1", "1 -> 2", "2 -> 3", "3 -> output"}
    assert loaded.steps == 7
    assert loaded.graph.nodes["output"] == Output("none")
    assert "--timesteps" in loaded.assumptions[0]


def test_a_lone_layer_is_named_after_its_class():
    loaded = trace(snn.LIF(2.0, 0.2), torch.rand(2, 6))
    assert list(loaded.graph.nodes) == ["input", "lif", "output"]


@pytest.mark.parametrize(
    "neuron",
    [
        lambda: snn.LIF(2.0, 0.3, reset="hard", v_reset=-0.2, strict=True),
        lambda: snn.LIF(3.0, 0.3, reset="subtract", decay_input=False, late=True),
        lambda: snn.IF(0.7),
        lambda: snn.PLIF(2.0, 0.3, channels=5),
        lambda: snn.LI(2.0),
        lambda: snn.CubaLIF(2.0, 3.0, 0.3),
        snn.LIFB,
    ],
    ids=["hard", "late", "if", "plif", "li", "cuba", "lifb"],
)
def test_every_neuron_states_itself(neuron):
    trace(nn.Sequential(nn.Linear(6, 5), neuron()), 30 * torch.rand(2, 6))


class Remembers(nn.Module):
    """One step a call, with its own recurrent attribute."""

    def __init__(self):
        super().__init__()
        self.fc, self.rec, self.lif = nn.Linear(6, 8), nn.Linear(8, 8, bias=False), snn.LIF(2.0, 0.2)
        self.before = None

    def forward(self, x):
        now = self.fc(x) if self.before is None else self.fc(x) + self.rec(self.before)
        self.before = self.lif(now)
        return self.before


def test_an_attribute_that_is_carried_to_the_next_call_is_a_delayed_edge():
    net = Remembers()
    assert "lif -> rec delay=1" in edges(trace(net, torch.rand(2, 6) * 3))
    assert net.before is None


# -- loops in the model's forward ----------------------------------------------------------------------------------


class Loop(nn.Module):
    """``body`` says how time is handled; everything else is common."""

    def __init__(self, steps, body):
        super().__init__()
        self.steps, self.body = steps, body
        self.stem, self.fc, self.rec = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 8)
        self.head, self.lif, self.out, self.li = nn.Linear(8, 4), snn.LIF(2.0, 0.1), snn.LIF(2.0, 0.05), snn.LI(2.0)

    def forward(self, x):
        snn.reset(self)
        return self.body(self, x)

    def step(self, x):
        return self.out(self.head(self.lif(self.stem(x))))


def listed(net, x):
    return [net.step(x[t]) for t in range(net.steps)]


def plus(net, x):
    total = 0
    for t in range(net.steps):
        total = total + net.step(x[t])
    return total


def plus_in_place(net, x):
    total = torch.zeros(x.shape[1], 4, dtype=x.dtype)
    for now in x:
        total += net.step(now)
    return total


def stored(net, x):
    whole = torch.zeros(net.steps, x.shape[1], 4, dtype=x.dtype)
    for t in range(net.steps):
        whole[t] = net.step(x[t])
    return whole


def stored_behind(net, x):
    whole = x.new_zeros(x.shape[0], net.steps, 4)
    for t in range(net.steps):
        whole[:, t] = net.step(x[:, t])
    return whole


def membrane(net, x):
    for t in range(net.steps):
        v = net.li(net.head(net.lif(net.stem(x[t]))))
    return v


def joined(net, x):
    return torch.cat([net.step(now).unsqueeze(0) for now in x], dim=0).mean(dim=0)


READOUTS = {
    "list": (listed, "none"),
    "stack": (lambda net, x: torch.stack(listed(net, x)), "none"),
    "stack dim 1": (lambda net, x: torch.stack(listed(net, x), dim=1), "none"),
    "stack dim -1 sum": (lambda net, x: torch.stack(listed(net, x), dim=-1).sum(-1), "sum"),
    "mean": (lambda net, x: torch.stack(listed(net, x)).mean(0), "mean"),
    "sum": (lambda net, x: torch.stack(listed(net, x)).sum(dim=0), "sum"),
    "max": (lambda net, x: torch.stack(listed(net, x)).max(0)[0], "max"),
    "amax": (lambda net, x: torch.stack(listed(net, x)).amax(0), "max"),
    "last of stack": (lambda net, x: torch.stack(listed(net, x))[-1], "last"),
    "python sum": (lambda net, x: sum(listed(net, x)), "sum"),
    "python mean": (lambda net, x: sum(listed(net, x)) / net.steps, "mean"),
    "mean by product": (lambda net, x: torch.stack(listed(net, x)).sum(0) * (1 / net.steps), "mean"),
    "cat": (joined, "mean"),
    "plus": (plus, "sum"),
    "plus in place": (plus_in_place, "sum"),
    "stored": (stored, "none"),
    "membrane": (membrane, "last"),
    "batch first": (lambda net, x: sum(net.step(x[:, t]) for t in range(net.steps)), "sum"),
    "permuted": (lambda net, x: plus(net, x.permute(1, 0, 2)), "sum"),
    "transposed": (lambda net, x: plus(net, x.transpose(0, 1)), "sum"),
    "moved": (lambda net, x: plus(net, x.movedim(1, 0)), "sum"),
    "selected": (lambda net, x: sum(net.step(x.select(1, t)) for t in range(net.steps)), "sum"),
    "unbound": (lambda net, x: sum(net.step(now) for now in x.unbind(1)), "sum"),
    "sliced": (lambda net, x: sum(net.step(x[:, t : t + 1].squeeze(1)) for t in range(net.steps)), "sum"),
    "chunk of one, stored behind": (stored_behind, "none"),
    "mean of a clone": (lambda net, x: (torch.stack([net.step(x[:, t]) for t in range(net.steps)]).sum(0) / net.steps).clone(), "mean"),
    "repeated": (lambda net, x: plus(net, x[:, :].permute(1, 0, 2)), "sum"),
}
BATCH_FIRST = tuple(list(READOUTS)[list(READOUTS).index("batch first") :])


@pytest.mark.parametrize("steps", [1, 2, 3, 5])
@pytest.mark.parametrize("name", READOUTS)
def test_a_loop_over_the_input_with_any_readout(name, steps):
    body, decode = READOUTS[name]
    x = 2 * torch.rand(*((4, steps) if name in BATCH_FIRST else (steps, 4)), 6)
    loaded = trace(Loop(steps, body), x)
    assert loaded.steps == steps
    assert loaded.graph.nodes["input"] == Input((6,))
    assert edges(loaded) >= {"input -> stem", "stem -> lif", "lif -> head"}
    if steps > 1:
        assert loaded.graph.nodes["output"].decode == decode
        assert not loaded.graph.named(Sum)


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_a_stem_run_once_is_direct_coding(steps):
    def body(net, x):
        once = net.stem(x)
        return torch.stack([net.out(net.head(net.lif(once))) for _ in range(net.steps)]).mean(0)

    loaded = trace(Loop(steps, body), torch.rand(steps, 6) * 3)
    assert loaded.graph.nodes["input"] == Input((6,), static=True)
    assert edges(loaded) == {"input -> stem", "stem -> lif", "lif -> head", "head -> out", "out -> output"}
    assert loaded.steps == steps


def test_the_same_input_at_every_step_is_direct_coding():
    loaded = trace(Loop(4, lambda net, x: sum(net.step(x) for _ in range(net.steps))), torch.rand(3, 6) * 3)
    assert loaded.graph.nodes["input"].static


def test_one_loop_for_each_layer():
    def body(net, x):
        first = [net.lif(net.stem(now)) for now in x]
        return torch.stack([net.out(net.head(h)) for h in first]).mean(0)

    assert "lif -> head" in edges(trace(Loop(3, body), torch.rand(3, 2, 6) * 3))


def recurrent(net, x):
    before, total = torch.zeros(x.shape[1], 8, dtype=x.dtype), 0
    for now in x:
        before = net.lif(net.stem(now) + net.rec(before))
        total = total + net.out(net.head(before))
    return total


def recurrent_afterwards(net, x):
    back, total = torch.zeros(1, dtype=x.dtype), 0
    for now in x:
        spikes = net.lif(net.stem(now) + back)
        back = net.rec(spikes)
        total = total + net.out(net.head(spikes))
    return total


def recurrent_from_none(net, x):
    before, total = None, 0
    for now in x:
        drive = net.stem(now) if before is None else net.stem(now) + net.fc(before)
        before = net.lif(drive)
        total = total + net.out(net.head(before))
    return total


@pytest.mark.parametrize("steps", [2, 3, 5])
def test_the_output_of_the_step_before_is_a_delayed_edge(steps):
    assert {"lif -> rec delay=1", "rec -> add_1"} <= edges(trace(Loop(steps, recurrent), torch.rand(steps, 2, 6) * 3))
    assert {"lif -> rec", "rec -> add_1 delay=1"} <= edges(trace(Loop(steps, recurrent_afterwards), torch.rand(steps, 2, 6) * 3))


def test_a_recurrent_network_of_one_step_has_a_constant_in_place_of_the_past():
    loaded = trace(Loop(1, recurrent), torch.rand(1, 2, 6) * 3, lively=False)
    np.testing.assert_allclose(loaded.graph.nodes["add_1"].shift, torch.zeros(8) + loaded_bias(loaded), atol=0)
    assert trace(Loop(1, recurrent_afterwards), torch.rand(1, 2, 6) * 3, lively=False).steps == 1


def loaded_bias(loaded):
    torch.manual_seed(0)
    return Loop(1, recurrent).rec.bias.detach().double()


def test_a_recurrent_value_that_starts_from_none():
    net = Loop(4, recurrent_from_none)
    net.fc.bias = None
    assert "lif -> fc delay=1" in edges(trace(net, torch.rand(4, 2, 6) * 3))
    with pytest.raises(Unsupported, match="has a bias, but is not computed at the first step"):
        trace(Loop(4, recurrent_from_none), torch.rand(4, 2, 6))


def test_a_recurrent_value_that_starts_from_something_else_is_refused():
    def body(net, x):
        before = torch.ones(x.shape[1], 8, dtype=x.dtype)
        for now in x:
            before = net.lif(net.stem(now) + net.rec(before))
        return before

    with pytest.raises(Unsupported, match="start recurrent values from zeros"):
        trace(Loop(3, body), torch.rand(3, 2, 6))


def test_an_accumulator_inside_the_loop_is_a_cycle_with_a_delay():
    def body(net, x):
        total = torch.zeros(x.shape[1], 8, dtype=x.dtype)
        for now in x:
            total = total + net.stem(now)
            y = net.lif(total)
        return y

    loaded = trace(Loop(4, body), torch.rand(4, 2, 6))
    assert "add_1 -> add_1 delay=1" in edges(loaded)
    assert loaded.graph.nodes["output"].decode == "last"


def test_the_step_before_of_the_input():
    def body(net, x):
        before, ys = torch.zeros_like(x[0]), []
        for now in x:
            ys.append(net.lif(net.stem(now - 0.5 * before)))
            before = now
        return torch.stack(ys)

    assert "input -> mul_1 delay=1" in edges(trace(Loop(4, body), torch.rand(4, 2, 6) * 2))


def test_the_step_before_of_one_of_two_inputs():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.lif, self.before = nn.Linear(3, 4), nn.Linear(5, 4, bias=False), snn.LIF(2.0, 0.1), torch.zeros(1, 5)

        def forward(self, left, right):
            y = self.lif(self.a(left) + self.b(self.before))
            self.before = right
            return y

    assert "right -> b delay=1" in edges(trace(Late(), {"left": torch.rand(2, 3), "right": torch.rand(2, 5) * 9}))


def test_a_value_that_is_not_handed_on_at_the_last_step():
    def body(net, x):
        back, ys = torch.zeros(1), []
        for t, now in enumerate(x):
            spikes = net.lif(net.stem(now) + back)
            ys.append(spikes)
            if t < net.steps - 1:
                back = net.li(net.rec(spikes))
        return torch.stack(ys)

    with pytest.raises(Unsupported, match="unequally often"):
        trace(Loop(4, body), torch.rand(4, 2, 6))


def test_what_is_no_tensor_is_not_an_output():
    for result, words in (("text", "returns str"), (None, "returns NoneType"), ([], "returns tuple")):
        with pytest.raises(Unsupported, match=words):
            from_module(forward_of(lambda p, x, r=result: (p[0](x), r)[1], snn.LIF()), torch.rand(2, 6))


def test_what_follows_a_mean_over_time_moves_before_it():
    def body(net, x):
        return net.head(torch.stack([net.lif(net.stem(now)) for now in x]).mean(0)).view(-1, 2, 2)

    loaded = trace(Loop(3, body), torch.rand(3, 2, 6) * 3)
    assert {"lif -> head", "head -> view_1", "view_1 -> output"} <= edges(loaded)
    assert loaded.graph.nodes["output"] == Output("mean")


def test_a_bias_after_a_sum_over_time_is_refused():
    def body(net, x):
        return net.head(torch.stack([net.lif(net.stem(now)) for now in x]).sum(0))

    with pytest.raises(Unsupported, match="after the sum over time"):
        trace(Loop(3, body), torch.rand(3, 2, 6))


def test_groups_that_vote():
    def body(net, x):
        return torch.stack([net.lif(net.stem(now)) for now in x]).mean(0).view(-1, 4, 2).mean(-1)

    assert trace(Loop(3, body), torch.rand(3, 2, 6) * 3).graph.shapes["output"] == (4,)


def test_several_outputs_have_names():
    def body(net, x):
        spikes, potentials = [], []
        for now in x:
            h = net.lif(net.stem(now))
            spikes.append(net.out(net.head(h)))
            potentials.append(net.li(net.fc(h)))
        return {"spikes": torch.stack(spikes), "v": potentials[-1]}

    loaded = trace(Loop(3, body), torch.rand(3, 2, 6) * 3)
    assert {n: o.decode for n, o in loaded.graph.named(Output).items()} == {"spikes": "none", "v": "last"}


def test_another_number_of_steps_than_the_models_own():
    with pytest.raises(ModelError, match="the model itself runs 3 steps"):
        trace(Loop(3, plus), torch.rand(3, 2, 6), timesteps=5)


# -- time as an axis -----------------------------------------------------------------------------------------------


class Whole(nn.Module):
    def __init__(self, static=False):
        super().__init__()
        self.static = static
        self.conv, self.bn, self.lif = nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), snn.LIF(2.0, 0.2, step_mode="m")
        self.pool, self.fc, self.out = nn.AvgPool2d(2), nn.Linear(36, 5), snn.LIF(2.0, 0.02, step_mode="m")
        nn.init.uniform_(self.bn.running_mean, -0.1, 0.1)

    def forward(self, x):
        if self.static:
            x = self.bn(self.conv(x)).unsqueeze(0).repeat(4, 1, 1, 1, 1)
        else:
            x = self.bn(self.conv(x.flatten(0, 1))).view(*x.shape[:2], 4, 6, 6)
        h = self.pool(self.lif(x).flatten(0, 1)).flatten(1)
        return self.out(self.fc(h).view(4, -1, 5)).mean(0)


@pytest.mark.parametrize("batch", [2, 4])
def test_multi_step_modules_on_a_time_axis(batch):
    loaded = trace(Whole(), torch.rand(4, batch, 1, 6, 6) * 3)
    assert list(loaded.graph.nodes) == ["input", "conv", "bn", "lif", "pool", "flatten_1", "fc", "out", "output"]
    assert loaded.graph.nodes["input"] == Input((1, 6, 6))
    assert loaded.steps == 4


def test_a_static_input_repeated_along_a_time_axis():
    loaded = trace(Whole(static=True), torch.rand(2, 1, 6, 6) * 3)
    assert loaded.graph.nodes["input"] == Input((1, 6, 6), static=True)


def test_linear_layers_work_on_a_time_axis_as_it_is():
    loaded = trace(fc(6, 9, 5, step_mode="m"), torch.rand(5, 2, 6) * 2)
    assert loaded.steps == 5
    assert "1 -> 2" in edges(loaded)


def test_layers_that_need_one_leading_axis_say_so():
    net = nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3), snn.LIF(step_mode="m"))
    with pytest.raises(Unsupported, match=r"1 \(BatchNorm1d\).*works on \[B"):
        from_module(net, torch.rand(4, 3, 6))


def test_a_loop_and_a_time_axis_in_one_model():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.fc = snn.LIF(2.0, 0.2), snn.LIF(2.0, 0.1, step_mode="m"), nn.Linear(6, 6)

        def forward(self, x):
            return self.b(self.fc(torch.stack([self.a(now) for now in x])))

    assert edges(trace(Mixed(), torch.rand(4, 2, 6))) == {"input -> a", "a -> fc", "fc -> b", "b -> output"}


def test_a_single_step_neuron_that_gets_all_steps_is_refused():
    net = nn.Sequential(snn.LIF(2.0, 0.2, step_mode="m"), snn.LIF())
    with pytest.raises(Unsupported, match="unequally often"):
        from_module(net, torch.rand(4, 2, 6))


# -- topology ------------------------------------------------------------------------------------------------------


class Block(nn.Module):
    def __init__(self, channels, way):
        super().__init__()
        self.a, self.b = nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.Conv2d(channels, channels, 1, bias=False)
        self.bn, self.lif, self.way = nn.BatchNorm2d(channels), snn.LIF(2.0, 0.2), way

    def forward(self, x):
        h = self.bn(self.b(self.lif(self.a(x))))
        if self.way == "add":
            return h + x
        if self.way == "in place":
            h += x
            return h
        if self.way == "torch.add":
            return torch.add(h, x)
        if self.way == "minus":
            return h - x
        return torch.cat([h, x], dim=1)


@pytest.mark.parametrize("way", ["add", "in place", "torch.add", "minus", "cat"])
def test_residual_blocks(way):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), Block(3, way), snn.LIF(2.0, 0.1))
    loaded = trace(net, torch.rand(2, 2, 6, 6) * 3)
    if way == "cat":
        assert loaded.graph.nodes["1.cat_1"] == Concat(0)
        assert {"1.bn -> 1.cat_1", "0 -> 1.cat_1 port=1"} <= edges(loaded)
    elif way != "minus":
        assert {"0 -> 1.add_1", "1.bn -> 1.add_1"} <= edges(loaded)
    else:
        assert loaded.graph.nodes["1.sub.minus_1"] == Scale(np.array(-1.0))


def forward_of(function, *parts):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.parts = nn.ModuleList(parts)

        def forward(self, x):
            return function(self.parts, x)

    return Net()


def test_one_linear_at_two_places_is_two_nodes_and_one_pool_too():
    net = forward_of(
        lambda p, x: p[3](p[0](p[2](p[0](p[1](x)))).flatten(1)),
        nn.Conv2d(2, 2, 3, padding=1), snn.LIF(2.0, 0.2), snn.LIF(2.0, 0.2), snn.LIF(2.0, 0.1),
    )  # fmt: skip
    assert {"parts.0 -> parts.2", "parts.2 -> parts.0_2"} <= edges(trace(net, torch.rand(2, 2, 5, 5) * 3))
    pools = forward_of(lambda p, x: p[1](p[0](p[2](p[0](x)))), nn.AvgPool2d(2), snn.LIF(2.0, 0.3), snn.LIF(2.0, 0.4))
    assert {"parts.0 -> parts.2", "parts.2 -> parts.0_2"} <= edges(trace(pools, torch.rand(2, 2, 8, 8)))


def test_one_neuron_at_two_places_is_refused():
    net = forward_of(lambda p, x: p[0](p[2](p[0](p[1](x)))), snn.LIF(), nn.Linear(6, 6), nn.Linear(6, 6))
    with pytest.raises(Unsupported, match="a neuron that is used at two places needs to be two neurons"):
        from_module(net, torch.rand(2, 6))


def test_neurons_that_are_used_in_another_way_are_refused():
    class Tells(snn.LIF):
        def forward(self, x):
            return super().forward(x), self._state["v"]

    with pytest.raises(Unsupported, match="its state is read outside"):
        from_module(forward_of(lambda p, x: p[0](x)[1], Tells()), torch.rand(2, 6))
    with pytest.raises(Unsupported, match=r"flatten\(\) .* makes \[8, 6\] of \[4, 2, 6\]"):
        from_module(forward_of(lambda p, x: p[0](x.flatten(0, 1)).view(4, 2, 6), snn.LIF(step_mode="m")), torch.rand(4, 2, 6))
    with pytest.raises(Unsupported, match="driven by nothing"):
        from_module(forward_of(lambda p, x: x + p[0](torch.ones(2, 6)), snn.LIF()), torch.rand(2, 6))


def test_different_readouts_joined_are_refused():
    def body(net, x):
        ys = torch.stack([net.lif(net.stem(now)) for now in x])
        return ys.mean(0) + ys.amax(0)

    with pytest.raises(Unsupported, match=r"joins different read-outs \(max, mean\)"):
        trace(Loop(3, body), torch.rand(3, 2, 6))


def test_a_maximum_over_time_comes_last():
    def body(net, x):
        return net.head(torch.stack([net.lif(net.stem(now)) for now in x]).amax(0))

    with pytest.raises(Unsupported, match="after the max over time"):
        trace(Loop(3, body), torch.rand(3, 2, 6))


def test_a_step_in_the_middle_and_an_input_in_the_wrong_order_are_refused():
    with pytest.raises(Unsupported, match="is returned at step 1 of 3, not the last"):
        trace(Loop(3, lambda net, x: torch.stack(listed(net, x))[1]), torch.rand(3, 2, 6))
    with pytest.raises(Unsupported, match="not used step by step in order"):
        trace(Loop(3, lambda net, x: sum(net.step(x[t]) for t in (2, 1, 0))), torch.rand(3, 2, 6))
    with pytest.raises(Unsupported, match="not used step by step in order"):
        trace(Loop(3, lambda net, x: sum(net.step(x[0]) for t in range(3))), torch.rand(3, 2, 6))


def test_a_value_that_is_not_computed_in_every_step_is_refused():
    def body(net, x):
        for t in range(3):
            h = net.lif(net.stem(x[t]))
            y = net.head(h) if t != 1 else h
        return y

    with pytest.raises(Unsupported, match="runs 2 times in 3 steps"):
        trace(Loop(3, body), torch.rand(3, 2, 6))


def test_a_constant_that_changes_over_time_is_refused():
    def body(net, x):
        return torch.stack([net.lif(net.stem(x[t]) + torch.full((8,), float(t))) for t in range(3)])

    with pytest.raises(Unsupported, match="a constant that changes from step to step"):
        trace(Loop(3, body), torch.rand(3, 2, 6))
    with pytest.raises(Unsupported, match="from step to step or from sample to sample"):
        from_module(forward_of(lambda p, x: p[0](x + torch.arange(2.0)[:, None]), snn.LIF()), torch.rand(2, 6))
    trace(forward_of(lambda p, x: p[0](x + 0.1 * torch.ones(2, 6)), snn.LIF(2.0, 0.4)), torch.rand(2, 6))


def test_pools_and_convolutions_in_forward_are_refused_with_the_line():
    for function in (lambda x: F.max_pool2d(x, 2, dilation=2), lambda x: F.conv2d(x, torch.ones(1, 1, 3, 3), padding="same")):
        with pytest.raises(Unsupported, match=f"test_pt_tracing.py:{function.__code__.co_firstlineno}"):
            from_module(forward_of(lambda p, x, f=function: p[0](f(x)), snn.LIF()), torch.rand(2, 1, 6, 6))
    with pytest.raises(Unsupported, match="linear"):
        from_module(forward_of(lambda p, x: p[0](F.linear(x, x)), snn.LIF()), torch.rand(6, 6))


def test_a_value_added_to_itself_is_doubled_and_constants_are_scales():
    shift = nn.Parameter(torch.rand(6))
    net = forward_of(lambda p, x: p[0]((-x + x * 2 - 0.25 + p[0].shift) / 0.5 + 0), snn.LIF(2.0, 0.2))
    net.parts[0].shift = shift
    trace(net, torch.rand(2, 6))
    twice = trace(forward_of(lambda p, x: p[0](x + x), snn.LIF(2.0, 0.4)), torch.rand(2, 6))
    assert twice.graph.nodes["add_1"] == Scale(np.array(2.0))
    trace(forward_of(lambda p, x: p[0](1 - x), snn.LIF(2.0, 0.4)), torch.rand(2, 6))


def test_two_inputs_are_named_after_the_parameters():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.lif = nn.Linear(3, 4), nn.Linear(5, 4), snn.LIF(2.0, 0.2)

        def forward(self, left, right):
            return self.lif(self.a(left) + self.b(right))

    loaded = trace(Two(), {"left": torch.rand(2, 3), "right": torch.rand(2, 5) * 2})
    assert {n: i.shape for n, i in loaded.graph.named(Input).items()} == {"left": (3,), "right": (5,)}
    assert from_module(Two(), (torch.rand(2, 3), np.random.default_rng(0).random((2, 5)))).graph.named(Input).keys() == {"left", "right"}


def test_dropout_and_identity_vanish_and_flatten_keeps_its_name():
    net = nn.Sequential(
        nn.Identity(),
        nn.Conv2d(1, 2, 3),
        nn.Dropout2d(0.5),
        snn.LIF(2.0, 0.2),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(32, 3),
        snn.LIF(2.0, 0.1),
    )
    loaded = trace(net.train(), torch.rand(2, 1, 6, 6) * 3)
    assert list(loaded.graph.nodes) == ["input", "1", "3", "4", "6", "7", "output"]
    assert loaded.graph.nodes["4"] == Reshape((32,))


def test_names_are_stable_and_dead_layers_are_listed():
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.aux, self.lif = nn.Linear(4, 3), nn.Linear(4, 3), snn.LIF(2.0, 0.2)

        def forward(self, x):
            self.aux(x)
            return self.lif(self.used(x))

    loaded = trace(Dead(), torch.rand(2, 4) * 9)
    assert any("aux" in note and "left out" in note for note in loaded.assumptions)
    assert [source.layer for source in loaded.semantics] == ["input", "used", "lif", "output"]
    assert "LIF(decay=0.5" in loaded.semantics[2].computes
    assert "test_pt_tracing.py" in loaded.semantics[2].was


def test_a_deep_network_does_not_exhaust_the_stack():
    parts = [part for _ in range(250) for part in (nn.Linear(3, 3), snn.LIF(1.0, 0.0))]
    limit = sys.getrecursionlimit()
    assert len(from_module(nn.Sequential(*parts), torch.rand(2, 3)).graph.nodes) == 502
    assert sys.getrecursionlimit() == limit


# -- what has no meaning -------------------------------------------------------------------------------------------


REFUSED = {
    "relu": lambda p, x: p[0](F.relu(x)),
    "interpolate": lambda p, x: p[0](F.interpolate(x[:, None], scale_factor=2, mode="linear")),
    "two signals": lambda p, x: x * p[0](x),
    "divides": lambda p, x: p[0](1 / x),
    "softmax": lambda p, x: F.softmax(p[0](x), dim=1),
    "ge": lambda p, x: (p[0](x) >= 0.5).double(),
    "batch slice": lambda p, x: p[0](x[:1]),
    "batch permutation": lambda p, x: p[0](x.view(-1, 2, 3).permute(2, 0, 1)),
    "no feature is left": lambda p, x: p[0](x[:, 2]),
    "places chosen by the data": lambda p, x: p[0](x.index_select(1, (10 * x[0, :2]).long() % 2)),
    "batch mixed in": lambda p, x: p[0](x.flatten(0)),
    "sum of all": lambda p, x: p[0](x).sum(),
    "random": lambda p, x: p[0](x + 0.1 * torch.randn(6)),
    "dropout that is on": lambda p, x: p[0](F.dropout(x)),
    "alpha": lambda p, x: p[0](torch.add(x, 2 * x, alpha=2)),
    "concatenated constant": lambda p, x: p[0](torch.cat([x, torch.zeros(2, 1)], 1)),
    "concatenated batch": lambda p, x: p[0](torch.cat([x, 2 * x], 0)),
    "no input": lambda p, x: p[0](torch.ones(2, 6)),
    "a constant": lambda p, x: torch.ones(2, 6),
    "numpy": lambda p, x: p[0](torch.from_numpy(x.numpy() * 2)),
    "half": lambda p, x: p[0](x.half().float()),
    "view changed in place": lambda p, x: p[0](_view_changed(x)),
}


def _view_changed(x):
    y = x.clone()
    view = y[:, :]
    y += 1
    return view


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_names_the_users_line(name):
    function = REFUSED[name]
    with pytest.raises(Unsupported) as refusal:
        from_module(forward_of(function, snn.LIF()), torch.rand(2, 6))
    assert refusal.value.hint
    causes = {"numpy": "torch does not show", "view changed in place": "changed in place", "no input": "", "a constant": ""}
    if name in causes:
        assert causes[name] in str(refusal.value)
    else:
        assert f"test_pt_tracing.py:{function.__code__.co_firstlineno}" in str(refusal.value)


@pytest.mark.parametrize("read", [bool, float, int, lambda t: t.item(), lambda t: t.tolist()])
def test_control_flow_on_data_is_refused(read):
    net = forward_of(lambda p, x: p[0](x) if read(x.sum() > 0) else x, snn.LIF())
    with pytest.raises(Unsupported, match="depends on a tensor's numbers"):
        from_module(net, torch.rand(2, 6))


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.ReLU(), "rectifier"),
        (nn.Upsample(scale_factor=2, mode="bilinear"), "mixes neighbouring values"),
        (nn.Upsample(scale_factor=1.5), "no whole factor"),
        (nn.LayerNorm(6), "run time"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), "padding_mode"),
        (nn.BatchNorm2d(1, track_running_stats=False), "track_running_stats"),
        (nn.MaxPool2d(2, dilation=2), "dilated"),
    ],
)
def test_layers_without_a_node_are_refused_by_name(module, reason):
    with pytest.raises(Unsupported, match=type(module).__name__) as refusal:
        from_module(nn.Sequential(module, snn.LIF()), torch.rand(2, 1, 6, 6))
    assert reason in str(refusal.value)
    assert refusal.value.where.startswith("0 (")


def test_a_layer_that_does_something_else_than_its_class_is_found():
    net = nn.Sequential(nn.Linear(6, 6), snn.LIF())
    net[0].register_forward_hook(lambda module, args, y: 2 * y)
    with pytest.raises(Unsupported, match="other numbers than its class says"):
        from_module(net, torch.rand(2, 6))


def test_an_overridden_forward_is_looked_into():
    class Standardized(nn.Linear):
        def forward(self, x):
            return F.linear(x, self.weight - self.weight.mean(1, keepdim=True), self.bias)

    loaded = trace(nn.Sequential(Standardized(6, 5), snn.LIF(2.0, 0.1)), torch.rand(2, 6) * 3)
    assert isinstance(loaded.graph.nodes["0.linear_1"], Linear)


def test_a_neuron_that_is_reset_between_steps_is_refused_and_afterwards_is_fine():
    def between(net, x):
        ys = []
        for now in x:
            net.lif.reset()
            ys.append(net.lif(net.stem(now)))
        return torch.stack(ys)

    def afterwards(net, x):
        y = plus(net, x)
        snn.reset(net)
        return y

    with pytest.raises(Unsupported, match="resets a neuron between its steps"):
        trace(Loop(3, between), torch.rand(3, 2, 6))
    trace(Loop(3, afterwards), torch.rand(3, 2, 6) * 3)
    assert trace(Loop(1, lambda net, x: net.step(x)), torch.rand(2, 6) * 3).steps == 1


def test_a_batch_of_one():
    assert trace(Whole(), torch.rand(4, 1, 1, 6, 6) * 3).graph.nodes["input"] == Input((1, 6, 6))
    assert trace(Loop(3, plus), torch.rand(3, 1, 6) * 3).steps == 3


def test_a_model_that_insists_on_float32_is_traced_in_float32():
    loaded = from_module(forward_of(lambda p, x: p[1](p[0](x.float())), nn.Linear(6, 6), snn.LIF(2.0, 0.1)), torch.rand(2, 6))
    assert "parts.0 -> parts.1" in edges(loaded)


def test_a_function_on_the_wrong_axes_is_refused():
    net = forward_of(lambda p, x: p[0](F.avg_pool2d(x, 2).view(4, 2, 2, 3)), snn.LIF(step_mode="m"))
    with pytest.raises(Unsupported, match="avg_pool2d"):
        from_module(net, torch.rand(4, 2, 4, 6))


def test_learned_decays_are_read_in_float64():
    net = nn.Sequential(nn.Linear(6, 4), snn.LI(3.0, learn_decay=True, decay_input=True, channels=4))
    loaded = trace(net, torch.rand(2, 6))
    np.testing.assert_array_equal(loaded.graph.nodes["1"].decay, 1 - torch.sigmoid(net[1].w.detach().double()))


def test_a_neuron_of_ones_own_states_itself():
    class Mine(snn.LIF):
        pass

    class Liar(nn.Module):
        step_mode = "s"

        def to_node(self):
            return "LIF"

        def reset(self):
            pass

        def forward(self, x):
            return x

    trace(nn.Sequential(nn.Linear(6, 5), Mine(2.0, 0.2)), torch.rand(2, 6) * 3)
    with pytest.raises(Unsupported, match="not a Node"):
        from_module(nn.Sequential(Liar()), torch.rand(2, 6))


def test_an_error_in_forward_leaves_no_hooks_and_names_the_module():
    net = nn.Sequential(nn.Linear(6, 5), snn.LIF()).train()
    with pytest.raises(ModelError, match=r"0 \(Linear\)") as refusal:
        from_module(net, torch.rand(2, 7))
    assert "--input-shape" in refusal.value.hint
    assert all(part.training and not part._forward_hooks and "reset" not in part.__dict__ for part in net.modules())


def test_nan_weights_and_bad_examples():
    net = nn.Sequential(nn.Linear(6, 5), snn.LIF())
    for bad in (torch.full((2, 6), float("nan")), torch.rand(6), "x", None):
        with pytest.raises(ModelError, match="example input"):
            from_module(net, bad)
    net[0].weight.data[0, 0] = float("nan")
    with pytest.raises(ModelError, match=r"0\.weight: has 1 NaN"):
        from_module(net, torch.rand(2, 6))


def test_the_module_is_left_as_it_was():
    net = Loop(3, recurrent)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    from_module(net, torch.rand(3, 2, 6))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert net.lif._state is None


# -- layers --------------------------------------------------------------------------------------------------------


LAYERS_2D = {
    "groups, stride": nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
    "asymmetric": nn.Conv2d(4, 3, (3, 2), stride=(1, 2), padding=(2, 1), dilation=(2, 1)),
    "same, even kernel": nn.Conv2d(4, 3, (4, 2), padding="same", dilation=(1, 3)),
    "valid": nn.Conv2d(4, 3, 3, padding="valid", bias=False),
    "depthwise": nn.Conv2d(4, 4, 3, groups=4),
    "batch norm": nn.BatchNorm2d(4),
    "plain batch norm": nn.BatchNorm2d(4, affine=False),
    "avg": nn.AvgPool2d(2),
    "avg, padded": nn.AvgPool2d(3, stride=2, padding=1),
    "avg, padding not counted": nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False),
    "avg, ceil": nn.AvgPool2d(3, stride=2, ceil_mode=True),
    "avg, ceil, padded": nn.AvgPool2d((2, 3), stride=(3, 2), padding=1, ceil_mode=True),
    "avg, ceil, padding not counted": nn.AvgPool2d(2, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
    "avg, divisor": nn.AvgPool2d(2, divisor_override=3),
    "max": nn.MaxPool2d(2),
    "max, padded": nn.MaxPool2d(3, stride=2, padding=1),
    "max, ceil": nn.MaxPool2d(3, stride=2, ceil_mode=True),
    "max, ceil, padded": nn.MaxPool2d((2, 3), stride=(3, 2), padding=(1, 1), ceil_mode=True),
    "adaptive": nn.AdaptiveAvgPool2d(1),
    "adaptive, divides": nn.AdaptiveAvgPool2d((None, 4)),
    "adaptive, does not divide": nn.AdaptiveAvgPool2d((3, 5)),
    "adaptive, grows": nn.AdaptiveAvgPool2d((9, 2)),
}
LAYERS_1D = {
    "conv": nn.Conv1d(4, 6, 3, stride=2, padding=2, dilation=2, groups=2),
    "same": nn.Conv1d(4, 3, 4, padding="same"),
    "batch norm": nn.BatchNorm1d(4),
    "avg": nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True),
    "max": nn.MaxPool1d(3, stride=2, ceil_mode=True),
    "adaptive": nn.AdaptiveAvgPool1d(4),
    "linear on the last axis": nn.Linear(9, 3),
}


def unsettle(layer):
    for name, buffer in layer.named_buffers():
        if buffer.is_floating_point():
            nn.init.uniform_(buffer, 0.2, 2.0)
        assert name != "weight"


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", LAYERS_2D)
def test_layers_on_images(name):
    unsettle(LAYERS_2D[name])
    trace(nn.Sequential(LAYERS_2D[name], snn.LI(2.0)), torch.randn(2, 4, 7, 8))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize("name", LAYERS_1D)
def test_layers_on_sequences(name):
    unsettle(LAYERS_1D[name])
    trace(nn.Sequential(LAYERS_1D[name], snn.LI(2.0)), torch.randn(2, 4, 9))


def test_batch_norm_on_features():
    layer = nn.BatchNorm1d(6)
    unsettle(layer)
    trace(nn.Sequential(layer, snn.LI(2.0)), torch.randn(2, 6))


FUNCTIONS = {
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 2), SumPool),
    "avg_pool2d, named": (lambda x: F.avg_pool2d(x, kernel_size=3, stride=2, padding=1, count_include_pad=False), SumPool),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2, ceil_mode=True), MaxPool),
    "adaptive_avg_pool2d": (lambda x: F.adaptive_avg_pool2d(x, (1, 1)).flatten(1), SumPool),
    "mean over space": (lambda x: x.mean([2, 3]), SumPool),
    "mean over rows": (lambda x: x.mean(-1), SumPool),
    "sum over space": (lambda x: x.sum((-2, -1)), SumPool),
    "view": (lambda x: x.view(x.size(0), -1), Reshape),
    "reshape": (lambda x: x.contiguous().reshape(x.shape[0], 4, 2, -1), Reshape),
    "squeeze": (lambda x: F.max_pool2d(x, (1, 8)).squeeze(-1), MaxPool),
    "conv2d": (lambda x: F.conv2d(x, torch.ones(2, 2, 3, 3, dtype=x.dtype), None, 2, 1, 1, 2), None),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_in_forward(name):
    function, kind = FUNCTIONS[name]
    loaded = trace(forward_of(lambda p, x: p[0](function(x)), snn.LI(2.0)), torch.randn(2, 4, 7, 8))
    assert kind is None or loaded.graph.named(kind)
