"""Live modules of the libraries against their graphs: random small networks, weights and inputs on a grid so that ties happen.

In float64, but for snnTorch and sinabs, whose spikes are float32 whatever comes in; snnTorch's sums are exact in float32 on this grid.
Each library is imported only if it is installed, and one that SNNDEPLOY_REQUIRE_LIBRARIES names must be. Every network is run by
the library itself on data that the conversion never saw.
"""

from __future__ import annotations

import importlib
import itertools
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from originals import library

torch = pytest.importorskip("torch")

from converters import Loaded, Options  # noqa: E402  (behind importorskip)
from converters.pt import from_module  # noqa: E402
from converters.pt.norse import NORSE  # noqa: E402
from converters.pt.sinabs import SINABS  # noqa: E402
from converters.pt.snntorch import SNNTORCH  # noqa: E402
from converters.pt.spikingjelly import SPIKINGJELLY  # noqa: E402
from snndeploy.data.events import Binning, Recordings, bin_events  # noqa: E402
from snndeploy.errors import Unsupported  # noqa: E402
from snndeploy.ir.neurons.burst import Burst  # noqa: E402
from snndeploy.ir.neurons.cubalif import CubaLIF  # noqa: E402
from snndeploy.ir.neurons.lif import LIF  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

NETWORKS = 200
DECAYS = (0.5, 0.75)
TAUS = (1.5, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0)

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]


def assert_all_ran(table: Any, home: Any, ran: set[str]) -> None:
    """Every class of a library's table that this release has was in some network, in the random runs or in a test of its own."""
    there = {name for name in table.neurons if hasattr(home, name)}
    rarer = {
        name for file in Path(__file__).parent.glob("test_pt_live_*.py") for name in re.findall(r"\w+", file.read_text(encoding="utf-8"))
    }
    assert there <= ran | rarer, f"never ran: {sorted(there - ran - rarer)}"
    assert ran <= set(table.neurons)


def on_grid(module: Any, seed: int, dtype: Any = torch.float64) -> Any:
    """Weights in eighths."""
    generator = torch.Generator().manual_seed(seed)
    for part in module.modules():
        for name in ("weight", "bias"):
            tensor = getattr(part, name, None)
            if isinstance(tensor, torch.nn.Parameter):
                tensor.data = torch.randint(-8, 12, tensor.shape, generator=generator) / 8
    return module.to(dtype).eval()


def differences(loaded: Loaded, gave: Any, x: np.ndarray, steps: int, rounding: float = 1e-9) -> tuple[int, int]:
    """How many values of the graph's run differ from the library's, and how many spikes there were.

    ``rounding`` is for membranes that are read out; a spike is right or wrong.
    """
    inputs = {name: x if not node.static else x[:1] for name, node in loaded.graph.nodes.items() if type(node).__name__ == "Input"}
    trace = run_reference(loaded.graph, inputs, steps)
    y = next(trace.outputs[n] for n, node in loaded.graph.nodes.items() if type(node).__name__ == "Output")
    want = gave.detach().double().numpy()
    return int((~np.isclose(y, want, rtol=rounding, atol=rounding)).sum()), int(np.abs(want).sum())


def spikes_in(seed: int, *shape: int) -> np.ndarray:
    return (np.random.default_rng(seed).integers(0, 5, shape) / 4).astype(np.float64)


class Functional(torch.nn.Module):
    """The time loop inside, states through the user's hands, as the tutorials of snnTorch and Norse have it."""

    def __init__(self, first: Any, one: Any, second: Any, two: Any, states: Callable[[Any], tuple[Any, ...]]) -> None:
        super().__init__()
        self.fc1, self.n1, self.fc2, self.n2, self.states = first, one, second, two, states

    def forward(self, x):
        s1, s2 = self.states(self.n1), self.states(self.n2)
        out = []
        for t in range(x.shape[0]):
            r1 = self.n1(self.fc1(x[t]), *s1)
            r2 = self.n2(self.fc2(r1[0]), *s2)
            out.append(r2[0])
            s1, s2 = (r if hasattr(n, "recurrent") else r[1:] for n, r in ((self.n1, r1), (self.n2, r2)))
        return torch.stack(out)


# -- snnTorch ------------------------------------------------------------------------------------------------------


def snntorch_neuron(snn: Any, rng: np.random.Generator, features: int, **common: Any) -> Any:
    beta = float(rng.choice(DECAYS)) if rng.random() < 0.7 else torch.tensor(rng.choice(DECAYS, features))
    reset = str(rng.choice(["subtract", "zero", "none"]))
    options = {"threshold": float(rng.choice([0.5, 1.0, 1.25])), "reset_mechanism": reset, **common}
    kind = rng.integers(5)
    if kind in (0, 1, 3) and reset == "zero":
        options["reset_delay"] = bool(rng.integers(2))
    if kind == 0:
        return snn.Leaky(beta=beta, graded_spikes_factor=float(rng.choice([1.0, 2.0])), **options)
    if kind == 1:
        return snn.Synaptic(alpha=float(rng.choice(DECAYS)), beta=beta, **options)
    if kind == 2:
        return snn.Lapicque(R=1.0, C=float(rng.choice([2.0, 4.0, 8.0])), time_step=1.0, **options)
    how = {"linear_features": features} if rng.random() < 0.6 else {"all_to_all": False, "V": 0.25}
    if kind == 3:
        return snn.RLeaky(beta=beta, **how, **options)
    return snn.RSynaptic(alpha=float(rng.choice(DECAYS)), beta=beta, **how, **options)


def snntorch_state(neuron: Any) -> tuple[Any, ...]:
    state = neuron.reset_mem()
    return tuple(state) if isinstance(state, tuple | list) else (state,)


def test_snntorch():
    snn = library("snntorch")
    spikes, ran = 0, set()
    for seed in range(NETWORKS):
        rng = np.random.default_rng(seed)
        n1, n2 = snntorch_neuron(snn, rng, 7), snntorch_neuron(snn, rng, 4)
        net = on_grid(Functional(torch.nn.Linear(5, 7), n1, torch.nn.Linear(7, 4), n2, snntorch_state), seed, torch.float32)
        steps = int(rng.integers(4, 9))
        loaded = from_module(net, torch.rand(steps, 2, 5))
        x = spikes_in(seed, steps, 3, 5)
        wrong, fired = differences(loaded, net(torch.from_numpy(x).float()), x, steps)
        spikes += fired
        assert wrong == 0, (seed, n1, n2)
        ran |= {type(n1).__name__, type(n2).__name__}
    assert spikes > NETWORKS
    assert_all_ran(SNNTORCH, snn, ran)


def test_snntorch_with_hidden_state_and_one_step_a_call():
    snn = library("snntorch")
    utils = library("snntorch.utils")
    for seed in range(20):
        rng = np.random.default_rng(seed)
        n1, n2 = (snntorch_neuron(snn, rng, n, init_hidden=True) for n in (7, 4))
        net = on_grid(torch.nn.Sequential(torch.nn.Linear(5, 7), n1, torch.nn.Linear(7, 4), n2), seed, torch.float32)
        loaded = from_module(net, torch.rand(2, 5), Options(timesteps=6))
        x = spikes_in(seed, 6, 3, 5)
        utils.reset(net)
        for part in (n1, n2):
            part.reset_mem()
        wrong, _ = differences(loaded, torch.stack([net(torch.from_numpy(now).float()) for now in x]), x, 6)
        assert wrong == 0, seed


def test_snntorch_membranes_and_options_without_meaning():
    snn = library("snntorch")
    reader = snn.Leaky(beta=0.75, reset_mechanism="none")
    net = on_grid(Functional(torch.nn.Linear(5, 7), snn.Leaky(beta=0.5), torch.nn.Linear(7, 2), reader, snntorch_state), 0, torch.float32)
    first = net.forward

    def membrane(x):
        m1, m2, out = net.n1.init_leaky(), net.n2.init_leaky(), []
        for now in x:
            z, m1 = net.n1(net.fc1(now), m1)
            _, m2 = net.n2(net.fc2(z), m2)
            out.append(m2)
        return torch.stack(out)

    net.forward = membrane
    loaded = from_module(net, torch.rand(5, 2, 5))
    x = spikes_in(3, 5, 3, 5)
    wrong, _ = differences(loaded, net(torch.from_numpy(x).float()), x, 5)
    assert wrong == 0
    net.forward = first
    for bad, why in (
        (snn.Leaky(beta=0.5, inhibition=True), "compares neurons"),
        (snn.Leaky(beta=0.5, spike_grad=torch.sigmoid), "no step"),
        (snn.Leaky(beta=0.5, state_quant=lambda m: m), "rounds its membrane"),
        (snn.Alpha(alpha=0.75, beta=0.5), "two currents"),
        (snn.Lapicque(beta=0.3), "changes sign"),
    ):
        net.n1 = bad
        with pytest.raises(Unsupported, match=why):
            from_module(net, torch.rand(5, 2, 5))


# -- SpikingJelly --------------------------------------------------------------------------------------------------


def sharpened(made: Any, k: float) -> Any:
    """A KLIFNode with this k."""
    made.k.data = torch.tensor(k)
    return made


def spikingjelly_neuron(neuron: Any, surrogate: Any, rng: np.random.Generator, mode: str) -> Any:
    tau = float(rng.choice(TAUS))
    common = {"v_threshold": float(rng.choice([0.5, 1.0, 1.25])), "v_reset": [0.0, None, -0.5, 0.25][rng.integers(4)]}
    common["surrogate_function"] = [surrogate.ATan(), surrogate.Sigmoid()][rng.integers(2)]
    decayed = {"decay_input": bool(rng.integers(2)), **common}
    plain = {"v_threshold": common["v_threshold"], "v_reset": common["v_reset"] or 0.0}
    kinds: list[Callable[[], Any]] = [
        lambda: neuron.IFNode(**common),
        lambda: neuron.ParametricLIFNode(init_tau=tau, **decayed),
        lambda: sharpened(neuron.KLIFNode(tau=tau, scale_reset=True, **decayed), float(rng.choice([0.5, 1.0, 2.0]))),
        lambda: sharpened(neuron.KLIFNode(tau=tau, **{**decayed, "v_reset": [None, 0.0][rng.integers(2)]}), 0.5),
        lambda: neuron.CUBALIFNode(c_decay=0.5, v_decay=float(rng.choice([0.75, 0.9])), **common),
        lambda: neuron.ILIFNode(tau=tau, v_threshold=common["v_threshold"]),
        lambda: neuron.HalfThresholdIFNode(v_threshold=1.0),
        lambda: neuron.LIFNode(tau=tau, **decayed),
        lambda: neuron.SimpleIFNode(**plain),
        lambda: neuron.SimpleLIFNode(tau=tau, decay_input=decayed["decay_input"], **plain),
        lambda: neuron.SLTTLIFNode(tau=tau, **decayed),
        lambda: (neuron.OTTTLIFNode if mode == "s" else neuron.SLTTLIFNode)(tau=tau, **decayed),  # OTTT runs step by step
    ]
    made = kinds[rng.integers(len(kinds))]()
    made.step_mode = mode
    return made


def test_spikingjelly():
    base, ran = library("spikingjelly.activation_based"), set()
    neuron, surrogate, layer, functional = (library(f"{base.__name__}.{m}") for m in ("neuron", "surrogate", "layer", "functional"))
    spikes = 0
    for seed in range(NETWORKS):
        rng = np.random.default_rng(seed)
        mode = ["s", "m"][seed % 2]
        n1, n2 = (spikingjelly_neuron(neuron, surrogate, rng, mode) for _ in range(2))
        conv, norm, flat, fc = layer.Conv2d(2, 3, 3, padding=1), layer.BatchNorm2d(3), layer.Flatten(), layer.Linear(27, 4)
        pool = [layer.AvgPool2d(1), layer.MaxPool2d(1), layer.AdaptiveAvgPool2d(3)][rng.integers(3)]
        net = on_grid(torch.nn.Sequential(conv, norm, n1, pool, flat, fc, n2), seed)
        functional.set_step_mode(net, mode)
        norm.eps = 0.0
        steps = int(rng.integers(4, 8))
        shape = (steps, 3, 2, 3, 3) if mode == "m" else (3, 2, 3, 3)
        loaded = from_module(net, torch.rand(shape).double(), Options(timesteps=steps))
        x = spikes_in(seed, steps, 2, 2, 3, 3)
        functional.reset_net(net)
        given = torch.from_numpy(x)
        wrong, fired = differences(loaded, net(given) if mode == "m" else torch.stack([net(now) for now in given]), x, steps)
        spikes += fired
        assert wrong == 0, (seed, n1, n2)
        ran |= {type(n1).__name__, type(n2).__name__}
    assert spikes > NETWORKS
    assert_all_ran(SPIKINGJELLY, neuron, ran)


def test_spikingjelly_containers_and_norms():
    neuron, layer, functional = (library(f"spikingjelly.activation_based.{m}") for m in ("neuron", "layer", "functional"))
    tdbn, tebn = layer.ThresholdDependentBatchNorm2d(1.0, 1.0, 3), layer.TemporalEffectiveBatchNorm2d(5, 3)
    for norm in (tdbn, tebn):
        norm.running_mean[:] = torch.tensor([0.5, -0.25, 1.0])
        norm.running_var[:] = torch.tensor([0.25, 1.0, 4.0])
        norm.eps = 0.0
    blocks = {
        "containers": [layer.SeqToANNContainer(torch.nn.Conv2d(2, 3, 3), torch.nn.AvgPool2d(1)), neuron.LIFNode(step_mode="m")],
        "loop": [layer.MultiStepContainer(torch.nn.Conv2d(2, 3, 3), neuron.IFNode())],
        "tdBN": [layer.Conv2d(2, 3, 3, step_mode="m"), tdbn, neuron.IFNode(step_mode="m")],
        "TEBN": [layer.Conv2d(2, 3, 3, step_mode="m"), tebn, neuron.IFNode(step_mode="m")],
        "WS": [layer.WSConv2d(2, 3, 3, step_mode="m"), neuron.IFNode(step_mode="m")],
    }
    for name, parts in blocks.items():
        net = on_grid(torch.nn.Sequential(*parts), 1)
        loaded = from_module(net, torch.rand(5, 2, 2, 3, 3).double())
        x = spikes_in(4, 5, 3, 2, 3, 3)
        functional.reset_net(net)
        wrong, fired = differences(loaded, net(torch.from_numpy(x)), x, 5)
        assert wrong == 0, name
        assert fired, name
    tebn.scale.data[2] = 0.5
    with pytest.raises(Unsupported, match="step by step"):
        from_module(torch.nn.Sequential(*blocks["TEBN"]).double(), torch.rand(5, 2, 2, 3, 3).double())


def test_spikingjelly_neurons_without_meaning():
    neuron, surrogate = (library(f"spikingjelly.activation_based.{m}") for m in ("neuron", "surrogate"))

    class Doubled(neuron.LIFNode):
        def single_step_functional_forward(self, inputs, states, **kwargs):
            return super().single_step_functional_forward((2 * inputs[0],), states, **kwargs)

    smooth = neuron.LIFNode(surrogate_function=surrogate.Sigmoid(spiking=False))
    for bad, why in (
        (neuron.LIAFNode(torch.relu, False), "real activation"),
        (smooth, "no step"),
    ):
        with pytest.raises(Unsupported, match=why):
            from_module(torch.nn.Sequential(torch.nn.Linear(5, 4), bad), torch.rand(2, 5))
    changed = Doubled()  # no class of the table any more: found out by running it
    net = on_grid(torch.nn.Sequential(torch.nn.Linear(5, 4), changed), 0)
    loaded = from_module(net, torch.rand(2, 5).double(), Options(timesteps=6))
    assert any(note.startswith("Doubled = LIF") for note in loaded.probed)
    x = spikes_in(1, 6, 3, 5)
    changed.reset()
    wrong, fired = differences(loaded, torch.stack([net(now) for now in torch.from_numpy(x)]), x, 6)
    assert (wrong, fired > 0) == (0, True)


def test_spikingjelly_gated_complementary_and_negative_neurons():
    neuron, layer, functional = (library(f"spikingjelly.activation_based.{m}") for m in ("neuron", "layer", "functional"))
    kinds, spikes = set(), 0
    for seed in range(24):
        rng = np.random.default_rng(seed)
        glif = neuron.GatedLIFNode(6, [None, 3][seed % 2])
        for p in glif.parameters():
            # behind the sigmoid: 0, 1/2, 1, so that ties happen, or anything
            p.data = torch.from_numpy(rng.choice([-800.0, 0.0, 60.0], size=tuple(p.shape)) if seed % 3 else rng.normal(size=tuple(p.shape)))
        klif = neuron.KLIFNode(tau=2.0, scale_reset=bool(seed % 2), v_reset=[0.25, None, -0.5][seed % 3])
        klif.k.data = torch.tensor(float(rng.choice([-1.0, -0.5, 1.5, 4.0])))
        middle = [glif, klif, neuron.ComplementaryLIFNode(tau=float(rng.choice(TAUS)))][seed % 3]
        net = on_grid(
            torch.nn.Sequential(layer.Conv2d(2, 3, 3, padding=1), middle, layer.Flatten(), layer.Linear(27, 4), neuron.IFNode()), seed
        )
        functional.set_step_mode(net, "m")
        loaded = from_module(net, torch.rand(6, 3, 2, 3, 3).double())
        kinds |= {type(node).__name__ for node in loaded.graph.nodes.values()}
        x = spikes_in(seed, 6, 2, 2, 3, 3)
        functional.reset_net(net)
        wrong, fired = differences(loaded, net(torch.from_numpy(x)), x, 6)
        spikes += fired
        assert wrong == 0, (seed, middle)
    assert kinds >= {"GLIF", "KLIF", "CLIF"}
    assert spikes > 100


# -- Norse ---------------------------------------------------------------------------------------------------------


def norse_neuron(norse: Any, rng: np.random.Generator, cell: bool) -> Any:
    dt = float(rng.choice([2.0**-10, 0.001]))
    p = {
        "tau_syn_inv": torch.tensor(float(rng.choice([128.0, 256.0, 512.0, 200.0, 300.0]))),
        "tau_mem_inv": torch.tensor(float(rng.choice([64.0, 128.0, 256.0, 100.0, 1000 / 3]))),
        "v_leak": torch.tensor(float(rng.choice([0.0, 0.125, -0.25]))),
        "v_th": torch.tensor(float(rng.choice([0.25, 0.5]))),
        "v_reset": torch.tensor(float(rng.choice([0.0, -0.5]))),
    }
    lif = norse.LIFParameters(**p)
    box = norse.LIFBoxParameters(**{n: v for n, v in p.items() if n != "tau_syn_inv"})
    iaf = norse.IAFParameters(v_th=p["v_th"], v_reset=p["v_reset"])
    kinds = [lambda: norse.LIFCell(lif, dt=dt), lambda: norse.LIFBoxCell(box, dt=dt), lambda: norse.IAFCell(iaf, dt=dt)]
    kinds.append(lambda: norse.LIFRecurrentCell(7, 7, lif, dt=dt))
    whole = [lambda: norse.LIF(lif, dt=dt), lambda: norse.LIFRecurrent(7, 7, lif, dt=dt), lambda: norse.IAF(iaf, dt=dt)]
    whole.append(lambda: norse.LI(dt=dt))
    return (kinds if cell else whole)[rng.integers(4)]()


def test_norse():
    norse = library("norse.torch")
    spikes, ran = 0, set()
    for seed in range(NETWORKS):
        rng = np.random.default_rng(seed)
        cell = bool(seed % 2)
        n1 = norse_neuron(norse, rng, cell)
        steps = int(rng.integers(4, 9))
        x = spikes_in(seed, steps, 3, 5)
        if cell:
            n2 = [norse.LICell, norse.LIFCell, norse.LIBoxCell][rng.integers(3)](dt=2.0**-10)
            ran.add(type(n2).__name__)
            net = on_grid(Functional(torch.nn.Linear(5, 7), n1, torch.nn.Linear(7, 4), n2, lambda _: ()), seed)
        else:
            net = on_grid(norse.SequentialState(torch.nn.Linear(5, 7), n1), seed)
        for recurrent in (p for n, p in net.named_parameters() if "weights" in n):
            recurrent.data = torch.round(recurrent.data * 8) / 8
        loaded = from_module(net, torch.rand(steps, 2, 5).double())
        gave = net(torch.from_numpy(x))
        wrong, fired = differences(loaded, gave[0] if isinstance(gave, tuple) else gave, x, steps)
        spikes += fired
        assert wrong == 0, (seed, n1)
        ran.add(type(n1).__name__)
    assert spikes > NETWORKS
    assert_all_ran(NORSE, norse, ran)


def test_norse_without_its_state():
    norse = library("norse.torch")

    class Forgets(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.lif = torch.nn.Linear(5, 7), norse.LIFCell()

        def forward(self, x):
            return torch.stack([self.lif(self.fc(now))[0] for now in x])

    net = on_grid(Forgets(), 0)
    loaded = from_module(net, torch.rand(6, 2, 5).double())
    assert any("remembers nothing" in note for note in loaded.assumptions)
    x = 8 * spikes_in(1, 6, 3, 5)
    wrong, fired = differences(loaded, net(torch.from_numpy(x)), x, 6)
    assert (wrong, fired > 0) == (0, True)
    assert isinstance(loaded.graph.nodes["lif"], LIF)
    net.lif = norse.LSNNCell()
    with pytest.raises(Unsupported, match="without memory is no node"):
        from_module(net, torch.rand(6, 2, 5).double())


# -- sinabs --------------------------------------------------------------------------------------------------------


def sinabs_neuron(layers: Any, activation: Any, rng: np.random.Generator, squeeze: bool, steps: int) -> Any:
    reset = [activation.MembraneSubtract(), activation.MembraneReset()][rng.integers(2)]
    spike = [activation.MultiSpike, activation.SingleSpike, activation.MaxSpike(2)][rng.integers(3)]
    floor = [None, -1.0, 0.0][rng.integers(3)]
    theta = torch.tensor(float(rng.choice([0.5, 1.0, 2.0])))
    common = {"spike_threshold": theta, "spike_fn": spike, "reset_fn": reset, "min_v_mem": floor}
    flat = {"num_timesteps": steps} if squeeze else {}
    kind = rng.integers(3)
    if kind == 0:
        return getattr(layers, "IAFSqueeze" if squeeze else "IAF")(**common, **flat)
    tau = float(rng.choice([2.0, 10.0]))
    if kind == 1:
        return getattr(layers, "LIFSqueeze" if squeeze else "LIF")(tau_mem=tau, norm_input=bool(rng.integers(2)), **common, **flat)
    common.update(spike_fn=activation.SingleSpike, min_v_mem=None)
    return getattr(layers, "LIFSqueeze" if squeeze else "LIF")(tau_mem=tau, tau_syn=5.0, **common, **flat)


def test_sinabs():
    library("sinabs")
    layers, activation = library("sinabs.layers"), library("sinabs.activation")
    spikes, ran = 0, set()
    for seed in range(NETWORKS):
        rng = np.random.default_rng(seed)
        squeeze, steps = bool(seed % 2), int(rng.integers(4, 8))
        n1, n2 = (sinabs_neuron(layers, activation, rng, squeeze, steps) for _ in range(2))
        if rng.random() < 0.2:
            leak = {"tau_mem": float(rng.choice([2.0, 10.0])), "norm_input": bool(rng.integers(2))}
            n2 = layers.ExpLeakSqueeze(num_timesteps=steps, **leak) if squeeze else layers.ExpLeak(**leak)
        parts = [torch.nn.Linear(5, 7), n1, torch.nn.Linear(7, 4), n2]
        if squeeze:
            parts = [torch.nn.Conv2d(1, 3, 2), n1, layers.SumPool2d(2), torch.nn.Flatten(), torch.nn.Linear(3, 4), n2]
        net = on_grid(torch.nn.Sequential(*parts), seed, torch.float32)
        features = (1, 3, 3) if squeeze else (5,)
        shape = (2 * steps, *features) if squeeze else (2, steps, *features)
        loaded = from_module(net, torch.rand(shape), Options(timesteps=steps))
        x = spikes_in(seed, 3, steps, *features)
        for n in (n1, n2):
            n.register_buffer("v_mem", torch.zeros(0))
            if "i_syn" in n._buffers:
                n.register_buffer("i_syn", torch.zeros(0))
        gave = net(torch.from_numpy(x.reshape(-1, *features) if squeeze else x).float()).reshape(3, steps, -1)
        wrong, fired = differences(loaded, gave.transpose(0, 1), x.swapaxes(0, 1), steps, 1e-5 if "ExpLeak" in type(n2).__name__ else 1e-9)
        spikes += fired
        assert wrong == 0, (seed, n1, n2)
        ran |= {type(n1).__name__, type(n2).__name__}
        kinds = {type(node) for node in loaded.graph.nodes.values()}
        assert kinds & {LIF, Burst, CubaLIF}
    assert spikes > NETWORKS
    assert_all_ran(SINABS, layers, ran)


def test_sinabs_options_without_meaning():
    layers, activation = library("sinabs.layers"), library("sinabs.activation")
    for bad, why in (
        (layers.IAF(reset_fn=activation.MembraneReset(0.5)), "any number of spikes"),
        (layers.IAF(spike_fn=activation.SingleSpike, reset_fn=activation.MembraneReset(-0.5), min_v_mem=-0.25), "what a spike leaves"),
        (layers.ALIF(tau_mem=5.0, tau_adapt=5.0, spike_fn=activation.MultiSpike), "several times a step"),
        (layers.ALIF(tau_mem=5.0, tau_adapt=5.0, reset_fn=activation.MembraneReset(0.5)), "to a value"),
        (layers.ALIF(tau_mem=5.0, tau_adapt=5.0, adapt_scale=-1.0, min_v_mem=-1.0), "could also act"),
        (layers.IAF(min_v_mem=0.5), "above 0"),
        (layers.LIF(tau_mem=5.0, tau_syn=2.0), "no node yet"),
        (layers.ExpLeak(tau_mem=5.0, min_v_mem=-1.0), "floor under a membrane"),
    ):
        with pytest.raises(Unsupported, match=why):
            from_module(torch.nn.Sequential(torch.nn.Linear(5, 4), bad), torch.rand(2, 6, 5))


# -- event frames --------------------------------------------------------------------------------------------------


def test_frames_are_those_of_spikingjelly(monkeypatch):
    """``datasets.integrate_events_by_fixed_frames_number``, on recordings whose times tie and whose ends do not divide."""
    library("spikingjelly.activation_based")
    vision = types.ModuleType("torchvision")  # the module of datasets asks for it, its integration does not
    vision.transforms = vision.datasets = types.ModuleType("torchvision.transforms")
    for name in ("torchvision", "torchvision.transforms", "torchvision.datasets", "torchvision.datasets.utils", "torchvision.utils"):
        monkeypatch.setitem(sys.modules, name, vision)
    package = types.ModuleType("spikingjelly.datasets")
    package.__path__ = [str(Path(importlib.import_module("spikingjelly").__file__).parent / "datasets")]
    monkeypatch.setitem(sys.modules, "spikingjelly.datasets", package)
    integrate = importlib.import_module("spikingjelly.datasets.utils").integrate_events_by_fixed_frames_number
    for seed in range(NETWORKS):
        rng = np.random.default_rng(seed)
        lengths = rng.integers(200, 400, 3)
        offset = np.concatenate([[0], np.cumsum(lengths)])
        t = np.concatenate([np.sort(rng.integers(0, 900, n)) + rng.integers(0, 50) for n in lengths])
        x, y, p = rng.integers(0, 7, len(t)), rng.integers(0, 5, len(t)), rng.integers(0, 2, len(t))
        frames, split = int(rng.integers(1, 9)), ("number", "time")[seed % 2]
        ours, left = bin_events(Recordings(x, y, p, t, offset, "made"), Binning(frames=frames, split_by=split), (5, 7))
        for n, (start, stop) in enumerate(itertools.pairwise(offset)):
            events = {"t": t[start:stop], "x": x[start:stop], "y": y[start:stop], "p": p[start:stop]}
            np.testing.assert_array_equal(ours[n], integrate(events, split, frames, 5, 7))
        assert left == 0
