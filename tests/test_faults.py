"""What leaves its register is counted and named, in every run and on every side; what stays within is not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_line import snn

import converters
import snndeploy as sd
from snndeploy.chip.models import STATE_MAX, HostInput, Lif, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, HostLayer, Population, Projection, Readout, Wire
from snndeploy.chip.program import assemble
from snndeploy.faults import KINDS, Fault
from snndeploy.flow.silence import silenced
from snndeploy.report import run_to_text, to_html, to_json, to_text
from snndeploy.sim.chip import run_chip
from snndeploy.sim.host import run_hosted
from snndeploy.trace import Activity, Trace

MIDDLE, TOP = 1 << 23, 1 << 24


def network(*populations, links=(), **more):
    return ChipNetwork("test", {p.name: p for p in populations}, tuple(links), **more)


def one(model, weights=1, steps=4, shift=0, exponent=0):
    """One neuron behind one input."""
    ends = Population("x", (1,), HostInput()), Population("n", (1,), model, shift=shift)
    return network(*ends, links=[Projection("p", "x", "n", Dense([[weights]]), exponent)], steps=steps)


def lost(net, x, **more):
    """kind: count, which both simulators must agree on."""
    fast, slow = (run_chip(net, {"x": np.asarray(x)}, exact=exact, **more) for exact in (False, True))
    assert fast.faults == slow.faults
    return {(f.layer, f.kind): f.count for f in fast.faults}


# by hand: exactly at the end of a register, and one beyond


NEVER, HELD = 1 << 17, 4096
BOTH = {"vth_hi": NEVER, "vth_lo": -NEVER}


@pytest.mark.parametrize(
    ("model", "weight", "expected"),
    [
        (Lif(4095, 0, NEVER, v=STATE_MAX - 64), 1, {}),
        (Lif(4095, 0, NEVER, v=STATE_MAX - 63), 1, {"membrane": 1}),
        (Lif(4095, 0, NEVER, v=64 - STATE_MAX), -1, {}),
        (Lif(4095, 0, NEVER, v=63 - STATE_MAX), -1, {"membrane": 1}),
        (Lif(-1, HELD, NEVER, u=MIDDLE - 65), 1, {}),
        # Lava's u reaches 2**23 itself, which v does not hold in this step and the two after it
        (Lif(-1, HELD, NEVER, u=MIDDLE - 64), 1, {"membrane": 3}),
        (Lif(-1, HELD, NEVER, u=MIDDLE - 63), 1, {"current": 1}),
        (Lif(-1, HELD, NEVER, u=65 - MIDDLE), -1, {}),
        (Lif(-1, HELD, NEVER, u=64 - MIDDLE), -1, {"current": 1, "membrane": 3}),
        (TernaryLif(4095, 0, **BOTH, v=STATE_MAX - 64), 1, {}),
        (TernaryLif(4095, 0, **BOTH, v=STATE_MAX - 63), 1, {"membrane": 1}),
    ],
)  # fmt: skip
def test_a_register_at_its_end_is_held_and_one_beyond_is_a_fault(model, weight, expected):
    """The input fires once, in the first of four steps, which arrives in the second."""
    x = np.zeros((4, 2, 1), np.int64)
    x[0, 1] = 1
    quiet = lost(one(model, weight), 0 * x)
    assert quiet == {}
    assert lost(one(model, weight), x) == {("n", kind): n for kind, n in expected.items()}


def test_a_fault_names_layer_step_sample_neuron_and_values():
    net = network(
        Population("x", (3,), HostInput()),
        Population("n", (2,), Lif(4095, 0, 1 << 17, v=STATE_MAX - 200)),
        links=[Projection("p", "x", "n", Dense([[1, 0, 0], [0, 2, 0]]))],
        steps=6,
    )
    x = np.zeros((6, 3, 3), np.int64)
    x[2:, 2, 1] = 1
    trace = run_chip(net, {"x": x}, batch=1)
    (fault,) = trace.faults
    assert fault == Fault("n", "membrane", 2, 4, 2, (1,), STATE_MAX + 56, STATE_MAX, 1)
    assert str(fault) == (
        "layer n: the membrane v was clipped 2 times in 1 sample, first at step 4, sample 2, neuron [1]: 8,388,663 became 8,388,607"
    )
    assert trace.faults == run_chip(net, {"x": x}).faults, "batches are counted through"


def test_steps_are_the_layers_own_and_what_comes_after_them_stands_apart():
    late = one(Lif(4095, 0, 1 << 17, v=STATE_MAX - 200), weights=1, steps=6, shift=1)
    (fault,) = run_chip(late, {"x": np.ones((6, 1, 1), np.int64)}).faults
    assert (fault.step, fault.count, fault.after) == (3, 3, 0)
    more = run_chip(late, {"x": np.ones((6, 1, 1), np.int64)}, steps=10)
    assert (more.faults[0].count, more.activity["n"].saturations) == (3, 3 + more.faults[0].after)
    draining = one(Lif(4095, 0, 1 << 17, bias_mant=4095, bias_exp=9), steps=4, shift=2)
    trace = run_chip(draining, {"x": np.zeros((4, 1, 1), np.int64)}, steps=9)
    assert [f.step for f in trace.faults] == [2], "counted from the layer's own first step"
    apart = run_chip(one(Lif(4095, 0, 1 << 17, bias_mant=4095, bias_exp=9), steps=4), {"x": np.zeros((4, 1, 1), np.int64)}, steps=9)
    assert apart.faults == (), "no answer depends on what comes after the layer's own steps"
    assert apart.activity["n"].saturations == 5


def test_sums_wrap_in_synapses_too_and_are_charged_to_where_they_arrive():
    conv = Conv([[[255]]], (1,), ((0, 0),), (1,))
    payload = HostInput(16)
    net = network(
        Population("x", (1, 1), payload),
        Population("n", (1, 1), Lif(4095, 4096, 1 << 17)),
        links=[Projection("p", "x", "n", conv, graded=True)],
        steps=3,
    )
    x = np.zeros((3, 1, 1, 1), np.int64)
    x[0] = (1 << 23) // 255
    assert ("n", "sum") not in lost(net, x)
    x[0] += 1
    assert lost(net, x)["n", "sum"] == 1
    wide = one(Lif(4095, 4096, 1 << 17), weights=254, exponent=24, steps=3)
    assert lost(wide, x[..., 0] != 0)["n", "sum"] == 1


def test_programs_tables_and_other_models():
    code = "LUT w t I\nADD v v w\nGE s v 1000\nSPK s 1"
    program = assemble("p", code, {"v": 0, "w": 0}, {"t.lo": 0, "t.step": 64}, tables={"t": np.array([0, 5, 9])})
    net = one(program, weights=1, steps=3)
    x = np.ones((3, 1, 1), np.int64)
    assert lost(net, x) == {}
    assert lost(one(program, weights=3, steps=3), x) == {("n", "table"): 2}
    saturating = assemble("q", "ADD v v I\nADD v v I", {"v": STATE_MAX - 128}, {})
    assert lost(one(saturating, steps=2), x[:2]) == {}
    assert lost(one(saturating, weights=2, steps=2), x[:2]) == {("n", "word"): 1}
    resonator = Resonator(sin=0, cos=4095, vth=10)
    assert lost(one(resonator, weights=100, exponent=9, steps=3), x) == {}
    assert lost(one(resonator, weights=200, exponent=9, steps=3), x) == {("n", "state"): 1}
    delta = SigmaDelta(vth=1.0)
    assert lost(one(delta, weights=255, exponent=22, steps=4), np.ones((4, 1, 1), np.int64)).keys() == {("n", "state")}
    assert lost(one(delta, weights=255, steps=4), np.ones((4, 1, 1), np.int64)) == {}


# random networks against big integers that wrap where they are told to


def wrap(x, bits):
    return (x + (1 << (bits - 1))) % (1 << bits) - (1 << (bits - 1))


def toward_zero(x, keep):
    return (abs(x) * keep >> 12) * (1 if x >= 0 else -1)


def counted(model, weights, exponent, x, steps, shift):
    """(kind: neuron-steps up to the last own step) of plain Python integers, which never wrap by themselves."""
    found = dict.fromkeys(("sum", "current", "membrane"), 0)
    for sample in x.transpose(1, 0, 2).tolist():
        for row in weights.tolist():
            u, v = int(model.u), int(model.v)
            for t in range(steps + shift):
                spikes = sample[t - 1] if 1 <= t <= len(sample) else [0] * len(row)
                whole = sum(w for w, s in zip(row, spikes, strict=True) if s) * 2**exponent
                a = wrap(whole, 32)
                current = toward_zero(u, 4095 - int(model.du)) + 64 * a
                once = wrap(current, 32)
                u = once + TOP if once <= -MIDDLE else once - TOP if once > MIDDLE else once
                voltage = toward_zero(v, 4096 - int(model.dv)) + u + int(model.bias_mant) * 2 ** int(model.bias_exp)
                v = max(-STATE_MAX, min(STATE_MAX, wrap(voltage, 32)))
                for kind, lost_ in (("sum", a != whole), ("current", u != current), ("membrane", v != voltage)):
                    found[kind] += lost_
                v = 0 if v > int(model.vth) << 6 else v
    return {kind: n for kind, n in found.items() if n}


@pytest.mark.parametrize("seed", range(60))
def test_every_loss_of_a_random_network_is_counted_as_big_integers_count_it(seed):
    rng = np.random.default_rng(seed)
    inputs, neurons, steps, shift = int(rng.integers(1, 40)), 3, int(rng.integers(3, 60)), int(rng.integers(0, 3))
    model = Lif(
        du=int(rng.choice([-1, 3, 40, 4095])),
        dv=int(rng.choice([0, 1, 100, 4096])),
        vth=int(rng.choice([50, 5000, (1 << 17) - 1, 1 << 17])),
        bias_mant=int(rng.integers(-4095, 4096)),
        bias_exp=int(rng.choice([0, 7])),
    )
    exponent = int(rng.choice([0, 2, 5, 7, 18, 20]))
    weights = 2 * rng.integers(-127 if rng.random() < 0.6 else 0, 127, (neurons, inputs))
    net = network(
        Population("x", (inputs,), HostInput()), Population("n", (neurons,), model, shift=shift),
        links=[Projection("p", "x", "n", Dense(weights), exponent)], steps=steps,
    )  # fmt: skip
    x = (rng.random((steps, 2, inputs)) < rng.choice([0.02, 0.3, 1.0])).astype(np.int64)
    found = {kind: n for (_, kind), n in lost(net, x).items()}
    assert found == counted(model, weights, exponent, x, steps, shift)


# silence


def traced(spikes):
    """The float network's trace of a layer n."""
    spikes = np.asarray(spikes, float)
    activity = Activity((spikes != 0).sum((0, 1)), (spikes != 0).sum((0, 2)), spikes.size, 0)
    return Trace("reference", len(spikes), spikes.shape[1], {"n": activity}, {"n": spikes})


def test_a_layer_that_never_fires_on_the_chip_but_does_in_float_is_named():
    float_spikes = np.zeros((4, 3, 1))
    float_spikes[2:, 1] = 1
    deaf = one(Lif(4095, 0, 500))
    chip = run_chip(deaf, {"x": np.ones((4, 3, 1), np.int64)})
    (fault,) = silenced(deaf, chip, traced(float_spikes))
    assert fault == Fault("n", "silent", 2, 2, 1, (0,), 1.0, 0.0, 1)
    assert "never fires on the chip" in str(fault)
    assert silenced(deaf, chip, traced(np.zeros((4, 3, 1)))) == ()
    heard = one(Lif(4095, 0, 0))
    assert silenced(heard, run_chip(heard, {"x": np.ones((4, 3, 1), np.int64)}), traced(float_spikes)) == ()


def test_spikes_that_come_too_late_do_not_break_a_silence():
    """It fires in the draining of the pipeline alone, which is not read."""
    slow = one(Lif(4095, 0, 3), steps=4)
    chip = run_chip(slow, {"x": np.ones((4, 1, 1), np.int64)}, steps=9)
    assert chip.activity["n"].own == 0
    assert chip.activity["n"].spikes.sum() == chip.activity["n"].aside == 0 or chip.activity["n"].aside > 0


def test_the_host_says_where_its_own_registers_clip():
    layer = HostLayer("x", (1,), Dense([[100]]), np.zeros(1, np.int64), 0, 1.0)
    net = network(
        Population("h", (1,), HostInput(12, signed=True)),
        Population("n", (1,), Lif(4095, 4096, 1 << 17)),
        links=[Projection("w", "h", "n", Wire(as_bias=True))],
        steps=3, host={"h": layer},
    )  # fmt: skip
    assert run_hosted(net, {"x": np.full((3, 1, 1), 40.0)}).faults == ()
    (fault,) = run_hosted(net, {"x": np.array([[[40.0]], [[41.0]], [[-41.0]]])}).faults
    assert fault == Fault("h", "host", 2, 1, 0, (0,), 4100.0, 4095.0)


# rates


def test_a_rate_never_exceeds_one_and_draining_stands_apart():
    """A neuron that fires at rest, behind a long pipeline, fires in every step that the chip runs."""
    ever = network(
        Population("x", (1,), HostInput()), Population("a", (2,), Lif(4095, 0, -1), shift=0),
        Population("b", (2,), Lif(4095, 0, -1), shift=7), steps=3,
    )  # fmt: skip
    trace = run_chip(ever, {"x": np.zeros((3, 5, 1), np.int64)})
    assert (trace.rate("a"), trace.rate("b")) == (1.0, 1.0)
    for name in "ab":
        assert (trace.activity[name].own, trace.activity[name].aside) == (3 * 5 * 2, 7 * 5 * 2)
    said = run_to_text("f", "test", trace, {}, None)
    assert "14 spikes aside" in said


# every command, with and without labels


def saved(tmp_path, weight):
    net = network(
        Population("x", (60,), HostInput()), Population("n", (2,), Lif(4095, 0, 1 << 17, u=0), shift=1, reads="v"),
        links=[Projection("p", "x", "n", Dense(np.full((2, 60), weight)))], steps=30, readout=Readout("n"),
    )  # fmt: skip
    converters.save(ChipNetwork("loihi2", net.populations, net.projections, net.readout, net.steps), tmp_path / "net.loihi2.onnx")
    return tmp_path / "net.loihi2.onnx"


@pytest.mark.parametrize(("weight", "code"), [(60, 0), (100, 1)])
@pytest.mark.parametrize("labelled", [True, False])
def test_run_verify_report_and_transfer_all_say_it(tmp_path, monkeypatch, weight, code, labelled):
    """60 inputs of 60 make 30 * 60 * 60 * 64 = 6,912,000 at most; of 100, 11,520,000: beyond 2**23."""
    monkeypatch.chdir(tmp_path)
    file = saved(tmp_path, weight)
    y = {"y": np.zeros(3, int)} if labelled else {}
    np.savez("d.npz", x=np.ones((3, 30, 60), np.uint8), **y)
    found = [json.loads(snn(c, file, "--data", "d.npz", "--json", code=code)) for c in ("run", "verify", "report")]
    found.append(json.loads(snn("convert", file, "--chip", "loihi2", "--data", "d.npz", "-o", "out/net", "--json", code=code)))
    assert {len(f["faults"]) for f in found} == {code}
    assert all(f.get("verdict", "exact") == "exact" for f in found), "no value differs"
    assert found[-1]["ok"] is (code == 0)
    if code:
        assert all(f["faults"] == found[0]["faults"] for f in found)
        (fault,) = found[0]["faults"]
        assert (fault["layer"], fault["kind"], fault["sample"], fault["samples"]) == ("n", "membrane", 0, 3)
        assert fault["step"] == (1 << 23) // (100 * 60 * 64)
        assert fault["count"] == 3 * 2 * (30 - fault["step"])
        text = snn("verify", file, "--data", "d.npz", code=1)
        assert "Range: 1 fault." in text
        assert "layer n: the membrane v was clipped" in text
        made = sd.report(file, "d.npz")
        assert "Range" in to_text(made)
        assert "was clipped" in to_html(made)
        assert to_json(made)["faults"] == found[0]["faults"]
        assert not sd.transfer(file, "d.npz", chip="loihi2").ok


def test_every_kind_has_its_words():
    for kind in KINDS:
        assert KINDS[kind] in str(Fault("a", kind, 1, 0, 0, (), 1.0, 0.0))


# the two examples of registers that leave their range where every step's sum is small


def test_a_membrane_that_saturates_over_hundreds_of_steps_is_named(tmp_path, monkeypatch):
    """60 inhibitory inputs push v to where the chip clips it, 4 excitatory ones lift it; the float neuron, without a floor, is silent."""
    torch = pytest.importorskip("torch")
    from snndeploy.nn import IF

    monkeypatch.chdir(tmp_path)
    net = torch.nn.Sequential(torch.nn.Linear(64, 4, bias=False), IF())
    with torch.no_grad():
        net[0].weight[:, :60], net[0].weight[:, 60:] = -0.9, 1.0
    bad = np.zeros((2, 180, 64), np.float32)
    bad[1:, :20, :60] = bad[1:, 20:, 60:] = 1
    mild = (np.random.default_rng(0).random((2, 180, 64)) < np.repeat([0.001, 0.05], [60, 4])).astype(np.float32)
    made = sd.convert(net, bad, chip="loihi2", timesteps=180, calibration=mild)
    assert made.chip_trace.activity["1"].own > 0 == made.float_trace.activity["1"].own
    (fault,) = made.faults
    assert (fault.layer, fault.kind, fault.sample, fault.samples) == ("1", "membrane", 1, 1)
    assert fault.step < 20, "long before the first spike, which is its consequence"
    assert made.verdict.verdict == "exact"
    assert not made.ok
    fine = sd.convert(net, mild, chip="loihi2", timesteps=180, calibration=mild)
    assert fine.faults == ()
    assert fine.ok


@pytest.mark.parametrize(("rate", "wraps"), [(1.0, 2 * 8 * 5), (0.01, 0)])
def test_a_slow_current_that_wraps_is_named_and_foretold(tmp_path, rate, wraps):
    """iDecay 8: u keeps 4087/4096 of itself, so 64 inputs of weight 100 pass 2**23 in the 21st step."""
    files = pytest.importorskip("net_files")
    front = {"type": "input", "shape": [64], "neuron/type": "LOIHI", "neuron/iDecay": 4096, "neuron/vDecay": 4096, "neuron/vThMant": 1}
    slow = {"neuron/type": "CUBA", "neuron/iDecay": 8, "neuron/vDecay": 4096, "neuron/vThMant": 100_000}
    path = files.net(tmp_path / "slow.net", [front, files.dense(np.full((8, 64), 100), slow)], steps=200)
    x = (np.random.default_rng(0).random((2, 200, 64)) < rate).astype(np.float32)
    made = sd.transfer(path, x, chip="loihi2", options=converters.Options(source="slayer"))
    found = {(f.layer, f.kind): (f.count, f.step, f.sample) for f in made.faults}
    assert found == ({("dense1", "current"): (wraps, 21, 0)} if wraps else {})
    assert made.ok is (wraps == 0)
    (warning,) = [f for f in made.placement.findings if f.code == "L013"]
    assert (warning.where, warning.severity) == ("dense1", "warning")
    assert "after 21 steps at the soonest" in warning.why
