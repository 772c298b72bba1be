"""The libraries' rarer classes, live, against their graphs: weights in eighths, inputs in quarters, so that ties happen.

float64 for SpikingJelly, Norse and BrainCog; snnTorch and sinabs compute in float32, whose sums are exact on these grids.
Every network is run by the library itself on data that the conversion never saw: 20 random networks a class.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from originals import library

torch = pytest.importorskip("torch")

from converters import Options  # noqa: E402  (behind importorskip)
from converters.pt import from_module  # noqa: E402
from snndeploy.errors import Unsupported  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
STEPS = 6


def on_grid(module: Any, seed: int, dtype: Any) -> Any:
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        for name in ("weight", "bias") if type(part).__module__.startswith("torch.nn") else ():
            tensor = getattr(part, name, None)
            if tensor is not None:
                tensor.data = torch.randint(-8, 12, tensor.shape, generator=generator) / 8
    return module.to(dtype).eval()


def compare(loaded: Any, x: np.ndarray, want: Any) -> int:
    """The graph's run differs from the library's nowhere; how many values were not 0."""
    name = next(n for n, node in loaded.graph.nodes.items() if type(node).__name__ == "Input")
    trace = run_reference(loaded.graph, {name: x}, len(x))
    y = next(trace.outputs[n] for n, node in loaded.graph.nodes.items() if type(node).__name__ == "Output")
    gave = want.detach().double().numpy()
    assert int((~np.isclose(y, gave, rtol=1e-9, atol=1e-6)).sum()) == 0
    return int((gave != 0).sum())


def quarters(seed: int, *shape: int) -> np.ndarray:
    return (np.random.default_rng(seed).integers(0, 5, shape) / 4).astype(np.float64)


class Loop(torch.nn.Module):
    """One step a call inside, the state through the user's hands."""

    def __init__(self, linear: Any, neuron: Any, states: Callable[[Any], tuple[Any, ...]]) -> None:
        super().__init__()
        self.fc, self.neuron, self.states = linear, neuron, states

    def forward(self, x):
        state, out = self.states(self.neuron), []
        for now in x:
            spikes, *rest = self.neuron(self.fc(now), *state)
            state = [spikes, *rest] if hasattr(self.neuron, "recurrent") else rest
            out.append(spikes)
        return torch.stack(out)


def psn(neuron: Any, rng: np.random.Generator, kind: str, alike: bool) -> Any:
    node = neuron.SlidingPSN(3) if kind == "SlidingPSN" else neuron.MaskedPSN(3, STEPS, 1.0)
    row = rng.integers(-8, 12, STEPS) / 8
    if kind == "SlidingPSN":
        node.weight.data = torch.from_numpy(row[:3]).float()
        node.bias.data = torch.tensor(-float(rng.integers(1, 9)) / 8)
        return node
    weight = rng.integers(-8, 12, (STEPS, STEPS)) / 8
    if alike:
        weight = np.array([[row[(t - s) % STEPS] for s in range(STEPS)] for t in range(STEPS)])
    node.weight.data = torch.from_numpy(weight).float()
    node.bias.data = -torch.from_numpy(np.full((STEPS, 1), 0.5) if alike else rng.integers(1, 9, (STEPS, 1)) / 8).float()
    return node


SPIKINGJELLY: dict[str, Callable[[Any, Any, np.random.Generator], Any]] = {
    "ternary if": lambda n, _, rng: n.TernaryIFNode(v_reset=[0.0, None, 0.25][rng.integers(3)]),
    "ternary lif": lambda n, _, rng: n.TernaryLIFNode(
        tau=float(rng.choice([3.0, 4.0])), decay_input=bool(rng.integers(2)), v_reset=[0.0, None, -0.5][rng.integers(3)]
    ),
    "raf": lambda n, _, rng: n.RAFNode(b=-0.5, omega=float(rng.choice([0.5, 2.0])), v_reset=[0.0, None, -0.5][rng.integers(3)]),
    "qif": lambda n, _, rng: n.QIFNode(tau=float(rng.choice([3.0, 4.0])), v_c=0.5, v_reset=[-0.125, None][rng.integers(2)]),
    "eif": lambda n, _, rng: n.EIFNode(tau=float(rng.choice([3.0, 8.0])), v_reset=[-0.125, None][rng.integers(2)]),
    "izhikevich": lambda n, _, rng: n.IzhikevichNode(
        tau=float(rng.choice([3.0, 4.0])), tau_w=5.0, v_rest=0.0, v_c=0.5, a=0.25, b=float(rng.choice([0.0, 0.5]))
    ),
    "sliding psn": lambda n, _, rng: psn(n, rng, "SlidingPSN", True),
    "masked psn, alike": lambda n, _, rng: psn(n, rng, "MaskedPSN", True),
    "masked psn": lambda n, _, rng: psn(n, rng, "MaskedPSN", False),
    "delay": lambda n, layer, rng: torch.nn.Sequential(n.IFNode(), layer.Delay(int(rng.integers(0, 4)))),
    "filter": lambda n, layer, rng: torch.nn.Sequential(n.IFNode(), layer.SynapseFilter(4.0, learnable=bool(rng.integers(2)))),
    "voting": lambda n, layer, _: torch.nn.Sequential(n.IFNode(), layer.VotingLayer(2), torch.nn.Linear(3, 2), n.IFNode()),
}


@pytest.mark.parametrize("kind", SPIKINGJELLY)
def test_spikingjelly(kind):
    neuron, layer, functional = (library(f"spikingjelly.activation_based.{m}") for m in ("neuron", "layer", "functional"))
    spikes = 0
    for seed in range(20):
        mode = "sm"[seed % 2]
        made = SPIKINGJELLY[kind](neuron, layer, np.random.default_rng(seed))
        net = on_grid(torch.nn.Sequential(torch.nn.Linear(5, 6), made), seed, torch.float64)
        functional.set_step_mode(net, mode)
        shape = (STEPS, 3, 5) if mode == "m" else (3, 5)
        loaded = from_module(net, torch.rand(shape).double(), Options(timesteps=STEPS))
        x = torch.from_numpy(quarters(seed, STEPS, 2, 5))
        functional.reset_net(net)
        spikes += compare(loaded, x.numpy(), net(x) if mode == "m" else torch.stack([net(now) for now in x]))
    assert spikes > 20


def test_spikingjelly_looks_ahead_are_refused():
    neuron = library("spikingjelly.activation_based.neuron")
    early = neuron.MaskedPSN(3, STEPS, 0.5, step_mode="m")
    for bad, why in ((early, "also sees later steps"), (neuron.PSN(STEPS), "also later ones")):
        with pytest.raises(Unsupported, match=why):
            from_module(torch.nn.Sequential(torch.nn.Linear(5, 4), bad), torch.rand(STEPS, 2, 5))


SNNTORCH: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "leaky": lambda snn, rng: snn.Leaky(beta=0.75, threshold=float(rng.choice([0.5, 1.0])), graded_spikes_factor=2.0, reset_delay=False),
    "synaptic": lambda snn, _: snn.Synaptic(alpha=0.5, beta=0.75, reset_mechanism="subtract", reset_delay=False),
    "rleaky": lambda snn, _: snn.RLeaky(beta=0.5, linear_features=6, reset_delay=False),
    "delta": lambda snn, rng: snn.DeltaLeaky(delta_threshold=float(rng.choice([0.25, 0.5])), beta=0.75),
}


def snntorch_state(neuron: Any) -> tuple[Any, ...]:
    state = neuron.reset_mem()
    return tuple(state) if isinstance(state, tuple) and type(neuron).__name__ != "DeltaLeaky" else (state,)


@pytest.mark.parametrize("kind", SNNTORCH)
def test_snntorch(kind):
    snn = library("snntorch")
    spikes = 0
    for seed in range(20):
        net = Loop(torch.nn.Linear(5, 6), SNNTORCH[kind](snn, np.random.default_rng(seed)), snntorch_state)
        net = on_grid(net, seed, torch.float32)
        loaded = from_module(net, torch.rand(STEPS, 3, 5))
        x = quarters(seed, STEPS, 2, 5)
        spikes += compare(loaded, x, net(torch.from_numpy(x).float()))
    assert spikes > 20


@pytest.mark.parametrize("kind", ["cell", "whole", "recurrent", "recurrent cell"])
def test_norse(kind):
    norse = library("norse.torch")
    spikes = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = {
            "tau_syn_inv": 256.0,
            "tau_mem_inv": float(rng.choice([256.0, 100.0])),
            "tau_adapt_inv": float(rng.choice([128.0, 256.0])),
            "v_leak": 0.125,
        }
        p |= {"v_th": 0.25, "v_reset": float(rng.choice([0.0, -0.125])), "beta": 0.5}
        parameters = norse.LSNNParameters(**{name: torch.tensor(value) for name, value in p.items()})
        name, sizes = {
            "cell": ("LSNNCell", ()),
            "whole": ("LSNN", ()),
            "recurrent": ("LSNNRecurrent", (6, 4)),
            "recurrent cell": ("LSNNRecurrentCell", (6, 6)),
        }[kind]
        made = getattr(norse, name)(*sizes, parameters, dt=2.0**-10)
        if "cell" in kind:
            net = on_grid(Loop(torch.nn.Linear(5, 6), made, lambda _: (None,)), seed, torch.float64)
        else:
            net = on_grid(norse.SequentialState(torch.nn.Linear(5, 6), made), seed, torch.float64)
        for name, weights in net.named_parameters():
            if "weights" in name:
                weights.data = torch.round(weights.data * 8) / 8
        loaded = from_module(net, torch.rand(STEPS, 3, 5).double())
        x = 2 * quarters(seed, STEPS, 2, 5)
        gave = net(torch.from_numpy(x))
        spikes += compare(loaded, x, gave[0] if isinstance(gave, tuple) else gave)
    assert spikes > 20


@pytest.mark.parametrize("whole", [False, True])
def test_norse_exponential(whole):
    norse = library("norse.torch")
    spikes = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        p = {
            "tau_syn_inv": 256.0,
            "tau_mem_inv": float(rng.choice([128.0, 256.0])),
            "v_leak": 0.125,
            "delta_T": float(rng.choice([0.25, 0.5])),
        }
        p |= {"v_th": 0.75, "v_reset": float(rng.choice([0.0, -0.125]))}
        parameters = importlib.import_module("norse.torch.functional.lif_ex").LIFExParameters(**{n: torch.tensor(v) for n, v in p.items()})
        made = getattr(norse, "LIFEx" if whole else "LIFExCell")(parameters, dt=2.0**-10)
        linear = torch.nn.Linear(5, 6)
        net = norse.SequentialState(linear, made) if whole else Loop(linear, made, lambda _: (None,))
        on_grid(net, seed, torch.float64)
        loaded = from_module(net, torch.rand(STEPS, 3, 5).double())
        x = quarters(seed, STEPS, 2, 5)
        gave = net(torch.from_numpy(x))
        spikes += compare(loaded, x, gave[0] if isinstance(gave, tuple) else gave)
    assert spikes > 20


def test_norse_neurons_without_meaning_say_why():
    norse = library("norse.torch")
    for name, words in (("LIFRefracCell", "counts steps"), ("LIFAdExCell", "does not adapt"), ("CobaLIFCell", "multiply the membrane")):
        with pytest.raises(Unsupported, match=words):
            from_module(
                Loop(torch.nn.Linear(5, 6), getattr(norse, name)(*((6, 6) if name == "CobaLIFCell" else ())), lambda _: (None,)),
                torch.rand(STEPS, 3, 5),
            )


SINABS: dict[str, Callable[[Any, Any, np.random.Generator], Any]] = {
    "alif": lambda layers, _, rng: layers.ALIF(
        tau_mem=2.0, tau_adapt=4.0, adapt_scale=1.0, norm_input=bool(rng.integers(2)), min_v_mem=[None, -1.0][rng.integers(2)]
    ),
    "alif with a current": lambda layers, _, rng: layers.ALIF(tau_mem=2.0, tau_adapt=4.0, tau_syn=3.0, norm_input=bool(rng.integers(2))),
    "reset to a value": lambda layers, act, rng: layers.IAF(
        spike_fn=[act.SingleSpike, act.MaxSpike(2)][rng.integers(2)], reset_fn=act.MembraneReset(float(rng.choice([0.25, -0.5])))
    ),
    "reset to a value, floor": lambda layers, act, rng: layers.LIF(
        tau_mem=3.0, spike_fn=act.SingleSpike, reset_fn=act.MembraneReset(0.25), min_v_mem=float(rng.choice([-0.5, 0.0]))
    ),
}


@pytest.mark.parametrize("kind", SINABS)
def test_sinabs(kind):
    layers, activation = library("sinabs.layers"), library("sinabs.activation")
    spikes = 0
    for seed in range(20):
        made = SINABS[kind](layers, activation, np.random.default_rng(seed))
        net = on_grid(torch.nn.Sequential(torch.nn.Linear(5, 6), made), seed, torch.float32)
        loaded = from_module(net, torch.rand(3, STEPS, 5))
        x = quarters(seed, 2, STEPS, 5)
        for name in ("v_mem", "i_syn", "b"):
            if name in made._buffers:
                made.register_buffer(name, torch.zeros(0))
        spikes += compare(loaded, x.swapaxes(0, 1), net(torch.from_numpy(x).float()).transpose(0, 1))
    assert spikes > 20


def back(rng: np.random.Generator) -> Any:
    """Ways back from six neurons to themselves."""
    linear = torch.nn.Linear(6, 6, bias=bool(rng.integers(2)))
    return torch.nn.Sequential(torch.nn.Flatten(), linear) if rng.integers(2) else linear


SINABS_RECURRENT: dict[str, Callable[[Any, Any, np.random.Generator], Any]] = {
    "iaf": lambda layers, act, rng: layers.IAFRecurrent(
        rec_connect=back(rng), spike_fn=[act.SingleSpike, act.MaxSpike(2)][rng.integers(2)], min_v_mem=[None, -1.0][rng.integers(2)],
        reset_fn=[act.MembraneReset(), act.MembraneSubtract()][rng.integers(2)],
    ),
    "lif": lambda layers, act, rng: layers.LIFRecurrent(
        tau_mem=3.0, rec_connect=back(rng), spike_fn=act.SingleSpike, norm_input=bool(rng.integers(2)), tau_syn=[None, 2.0][rng.integers(2)]
    ),
    "alif": lambda layers, _, rng: layers.ALIFRecurrent(
        tau_mem=2.0, tau_adapt=4.0, rec_connect=back(rng), adapt_scale=1.0, norm_input=bool(rng.integers(2))
    ),
}  # fmt: skip


def run_sinabs(net: Any, x: np.ndarray) -> Any:
    """[T, B, ...] from a fresh start."""
    for part in net.modules():
        for name in ("v_mem", "i_syn", "b"):
            if name in part._buffers and part._buffers[name] is not None:
                part.register_buffer(name, torch.zeros(0))
    return net(torch.from_numpy(x).float()).transpose(0, 1)


@pytest.mark.parametrize("kind", SINABS_RECURRENT)
def test_sinabs_layers_that_hear_themselves(kind):
    layers, activation = library("sinabs.layers"), library("sinabs.activation")
    spikes = 0
    for seed in range(20):
        made = SINABS_RECURRENT[kind](layers, activation, np.random.default_rng(seed))
        net = on_grid(torch.nn.Sequential(torch.nn.Linear(5, 6), made), seed, torch.float32)
        for part in made.rec_connect.modules():
            if getattr(part, "bias", None) is not None:
                part.bias.data.zero_()
        loaded = from_module(net, torch.rand(3, STEPS, 5))
        x = quarters(seed, 2, STEPS, 5)
        spikes += compare(loaded, x.swapaxes(0, 1), run_sinabs(net, x))
    assert spikes > 20


def test_a_sinabs_image_that_hears_itself_and_ways_back_that_are_none():
    layers, activation = library("sinabs.layers"), library("sinabs.activation")
    conv = torch.nn.Conv2d(2, 2, 3, padding=1, bias=False)
    net = on_grid(torch.nn.Sequential(layers.IAFRecurrent(rec_connect=conv, spike_fn=activation.SingleSpike)), 1, torch.float32)
    loaded = from_module(net, torch.rand(3, STEPS, 2, 4, 4))
    x = quarters(1, 2, STEPS, 2, 4, 4)
    assert compare(loaded, x.swapaxes(0, 1), run_sinabs(net, x)) > 20
    unflat = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(32, 32, bias=False), torch.nn.Unflatten(1, (2, 4, 4)))
    net = on_grid(torch.nn.Sequential(layers.IAFRecurrent(rec_connect=unflat, spike_fn=activation.SingleSpike)), 2, torch.float32)
    assert compare(from_module(net, torch.rand(3, STEPS, 2, 4, 4)), x.swapaxes(0, 1), run_sinabs(net, x)) > 20
    for way, words in ((torch.nn.Linear(6, 6), "leaves out at the first step"), (torch.nn.ReLU(), "ReLU, which is no synapse")):
        with pytest.raises(Unsupported, match=words):
            from_module(torch.nn.Sequential(layers.IAFRecurrent(rec_connect=way)), torch.rand(3, STEPS, 6))
    shifted = layers.IAFRecurrent(rec_connect=conv, spike_fn=activation.SingleSpike, reset_fn=activation.MembraneReset(0.25))
    with pytest.raises(Unsupported, match="resets to a value and feeds"):
        from_module(torch.nn.Sequential(shifted), torch.rand(3, STEPS, 2, 4, 4))


BRAINCOG: dict[str, Callable[[Any, np.random.Generator], Any]] = {
    "if": lambda n, rng: n.IFNode(act_fun=["AtanGrad", "SigmoidGrad", "GateGrad"][rng.integers(3)]),
    "lif": lambda n, rng: n.LIFNode(tau=float(rng.choice([1.5, 2.0, 3.0, 4.0])), act_fun=["QGateGrad", "SigmoidGrad"][rng.integers(2)]),
    "plif": lambda n, rng: n.PLIFNode(threshold=0.5, sigmoid_thres=bool(rng.integers(2))),
    "biased lif": lambda n, _: n.BiasLIFNode(threshold=0.5),
    "biased plif": lambda n, _: n.BiasPLIFNode(threshold=0.5),
    "stdp": lambda n, _: n.LIFSTDPNode(threshold=0.5, tau=0.75),
    "burst": lambda n, rng: n.BurstLIFNode(tau=float(rng.choice([2.0, 3.0, 4.0])), threshold=float(rng.choice([0.25, 0.5]))),
}


@pytest.mark.parametrize("kind", BRAINCOG)
@pytest.mark.parametrize("whole", [False, True])
def test_braincog(kind, whole):
    node = library("braincog.base.node.node")
    spikes = 0
    for seed in range(20):
        made = BRAINCOG[kind](node, np.random.default_rng(seed))
        made.layer_by_layer, made.step = whole, STEPS
        net = on_grid(torch.nn.Sequential(torch.nn.Linear(5, 6), made), seed, torch.float64)
        example = torch.rand(STEPS * 3 if whole else 3, 5).double()
        loaded = from_module(net, example, Options(timesteps=STEPS))
        x = 2 * quarters(seed, STEPS, 2, 5)
        made.n_reset()
        given = torch.from_numpy(x)
        gave = net(given.reshape(-1, 5)).reshape(STEPS, 2, 6) if whole else torch.stack([net(now) for now in given])
        spikes += compare(loaded, x, gave)
    assert spikes > 20


def test_braincog_neurons_without_meaning():
    node = library("braincog.base.node.node")
    for bad, why in ((node.DoubleSidePLIFNode(), "TypeError"), (node.BurstLIFNode(act_fun="SigmoidGrad"), "RoundGrad")):
        with pytest.raises((Unsupported, TypeError), match=why if isinstance(bad, node.BurstLIFNode) else ""):
            from_module(torch.nn.Sequential(torch.nn.Linear(5, 4), bad), torch.rand(2, 5), Options(timesteps=3))
