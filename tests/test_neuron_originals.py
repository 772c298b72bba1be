"""Each neuron against the code it is taken from, spike for spike, ties included: live, and as recorded.

``CASES`` has a neuron and the original's own run of the same inputs [T, B, N]. Live: 2 ** 21 neuron-steps a case, half of that for
resonators, wherever
the library can be imported (SpikingJelly 2.0.0, Norse 1.1.0, sinabs 3.1.3, snnTorch 1.0.0, BrainCog 0.2.7.19, lava-dl 0.6.0 slayer).
Everywhere: a small run of the same cases against ``data/neuron_originals.npz``, which ``record`` wrote from those libraries
(seed 7, inputs on a grid of eighths or 4096ths). float64 where the original computes in it; sinabs, snnTorch and slayer compute in
float32, whose sums are exact on these grids. What is recorded is numbers that those libraries gave for inputs of our own, none of
their code: SpikingJelly 2.0.0 (its own open licence), Norse 1.1.0 (LGPL-3.0), sinabs 3.1.3 (Apache-2.0), snnTorch 1.0.0 (MIT),
BrainCog 0.2.7.19 (Apache-2.0), lava-dl 0.6.0 (BSD-3-Clause).
(BrainCog's burst in float32 is off by an ulp in some outputs: ceil(x) + x - x.)
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from originals import library

from snndeploy.arrays import Floats, frozen
from snndeploy.errors import GraphError
from snndeploy.ir.graph import Node
from snndeploy.ir.neurons.adaptive import AdaptiveLIF
from snndeploy.ir.neurons.change import ChangeLIF
from snndeploy.ir.neurons.cutcuba import CutCubaLIF
from snndeploy.ir.neurons.exponential import ExponentialIF
from snndeploy.ir.neurons.immediate import ImmediateLIF
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.quadratic import QuadraticIF
from snndeploy.ir.neurons.refractory import RefractoryLIF
from snndeploy.ir.neurons.resonator import ResonateFire
from snndeploy.ir.neurons.scaled_burst import ScaledBurst, braincog_burst
from snndeploy.ir.neurons.sigma_delta import SigmaDeltaUnit
from snndeploy.ir.neurons.spike_trace import SpikeTrace
from snndeploy.ir.neurons.ternary import TernaryLIF
from snndeploy.ir.neurons.windowed import WindowedSpike
from snndeploy.ir.on_numpy import NUMPY

GOLDEN = Path(__file__).parent / "data" / "neuron_originals.npz"
SMALL, LARGE = (12, 4, 25), (16, 64, 2048)
Original = Callable[[Any, Any], Any]
Case = tuple[str, Node, Original, str, str]


# -- the originals: (library module, inputs [T, B, N]) -> outputs [T, B, N] -------------------------------------------


def spikingjelly(kind: str, **options: Any) -> Original:
    return lambda neuron, x: getattr(neuron, kind)(step_mode="m", **options)(x)


def masked_psn(neuron: Any, x: Any) -> Any:
    torch = importlib.import_module("torch")
    node = neuron.MaskedPSN(3, len(x), 1.0, step_mode="m").to(x.dtype)
    generator = np.random.default_rng(5)
    node.weight.data = torch.from_numpy(generator.integers(-8, 12, (len(x), len(x))) / 8).to(x.dtype)
    node.bias.data = -torch.from_numpy(generator.integers(2, 9, (len(x), 1)) / 8).to(x.dtype)
    return node(x)


def masked_node(steps: int) -> Node:
    generator = np.random.default_rng(5)
    weight = generator.integers(-8, 12, (steps, steps)) / 8
    rows = [[weight[t, t - d] if t >= d else 0.0 for d in range(3)] for t in range(steps)]
    return WindowedSpike(np.array(rows), generator.integers(2, 9, (steps, 1))[:, 0] / 8)


def norse(step: str, **p: float) -> Original:
    def run(lsnn: Any, x: Any) -> Any:
        torch = importlib.import_module("torch")
        values = lsnn.LSNNParameters(**{name: torch.tensor(value, dtype=x.dtype) for name, value in p.items()})
        zeros = torch.zeros_like(x[0])
        out, eye = [], torch.eye(x.shape[-1], dtype=x.dtype)
        if step == "ada_lif_step":
            state = lsnn.LSNNState(zeros, zeros + values.v_leak, zeros, zeros)
            extra = (eye, torch.zeros_like(eye))
        else:
            state, extra = lsnn.LSNNFeedForwardState(zeros + values.v_leak, zeros, zeros + values.v_th), ()
        for now in x:
            z, state = getattr(lsnn, step)(now, state, *extra, p=values, dt=2.0**-10)
            out.append(z)
        return torch.stack(out)

    return run


def sinabs_alif(layers: Any, x: Any, **options: Any) -> Any:
    torch = importlib.import_module("torch")
    node = layers.ALIF(tau_mem=2.0, tau_adapt=4.0, tau_syn=3.0 if options.pop("syn", False) else None, train_alphas=True, **options)
    for name, alpha in (("alpha_mem", 0.5), ("alpha_adapt", 0.75), ("alpha_syn", 0.5)):
        if getattr(node, name) is not None:
            getattr(node, name).data = torch.tensor(alpha)
    return node(x.swapaxes(0, 1)).swapaxes(0, 1)


def snntorch(kind: str, **options: Any) -> Original:
    def run(snn: Any, x: Any) -> Any:
        torch = importlib.import_module("torch")
        node = getattr(snn, kind)(**options)
        state = node.reset_mem()
        state = tuple(state) if isinstance(state, tuple) and kind != "DeltaLeaky" else (state,)
        out = []
        for now in x:
            spikes, *after = node(now, *state)
            state = tuple(after)
            out.append(spikes)
        return torch.stack(out)

    return run


def braincog(kind: str, **options: Any) -> Original:
    def run(node: Any, x: Any) -> Any:
        torch = importlib.import_module("torch")
        neuron = getattr(node, kind)(**options).double()
        return torch.stack([neuron(now) for now in x])

    return run


def slayer(kind: str, **options: Any) -> Original:
    """[T, B, N] is [B, N, T] there; a resonator gets its imaginary input from the second half of the neurons."""

    def run(neuron: Any, x: Any) -> Any:
        torch = importlib.import_module("torch")
        given = x.permute(1, 2, 0).contiguous()
        if kind == "sigma_delta":
            node = neuron.sigma_delta.Neuron(activation=torch.nn.functional.relu, **options)
            node.set_bias(torch.tensor([0.125]))
        else:
            node = getattr(neuron, kind).Neuron(**options)
        half = given.shape[1] // 2
        gave = node((given[:, :half], given[:, half : 2 * half]) if kind.startswith("rf") else given)
        return gave.permute(2, 0, 1)

    return run


def turn(period: float, decay: float) -> dict[str, Floats]:
    """A slayer resonator's registers: 4096ths of the cosine and the sine, rounded, in float32."""
    angle = 2 * np.pi / period
    factors = [np.float32(4096 * f(angle) * (1 - decay)) for f in (np.cos, np.sin)]
    cos, sin = (np.round(np.float64(f)) / 4096 for f in factors)
    return {"cos": cos, "sin": sin}


SJ, RATE = "spikingjelly.activation_based.neuron", {"tau_syn_inv": 256.0, "tau_mem_inv": 128.0, "tau_adapt_inv": 128.0}
BC, SLAYER = "braincog.base.node.node", "lava.lib.dl.slayer.neuron"
LSNN = {**RATE, "v_th": 0.5, "v_reset": -0.125, "v_leak": 0.125, "beta": 0.75}
ALIF = {"current_decay": 0.75, "voltage_decay": 0.875, "threshold_decay": 0.5, "refractory_decay": 0.25, "threshold_step": 0.5}
CASES: list[Case] = [
    ("ternary if", TernaryLIF(1.0), spikingjelly("TernaryIFNode"), SJ, "eighths"),
    ("ternary if, soft", TernaryLIF(1.0, reset="subtract"), spikingjelly("TernaryIFNode", v_reset=None), SJ, "eighths"),
    (
        "ternary lif", TernaryLIF(0.5, 0.5, v_reset=0.25, rest=0.25, v_init=0.25, threshold=0.5),
        spikingjelly("TernaryLIFNode", v_reset=0.25, v_threshold=0.5), SJ, "eighths",
    ),
    (
        "ternary lif, soft", TernaryLIF(0.75, 1.0, reset="subtract"),
        spikingjelly("TernaryLIFNode", tau=4.0, decay_input=False, v_reset=None), SJ, "eighths",
    ),
    ("raf", ResonateFire(np.exp(-0.2) * np.cos(1.0), np.exp(-0.2) * np.sin(1.0), fires="hard"), spikingjelly("RAFNode"), SJ, "eighths"),
    (
        "raf, soft", ResonateFire(np.exp(-0.125) * np.cos(0.5), np.exp(-0.125) * np.sin(0.5), 0.75, "subtract"),
        spikingjelly("RAFNode", b=-0.25, omega=1.0, dt=0.5, v_threshold=0.75, v_reset=None), SJ, "eighths",
    ),
    ("qif", QuadraticIF(0.5, 0.0, 0.75, v_reset=-0.125, v_init=-0.125), spikingjelly("QIFNode", v_c=0.75, v_reset=-0.125), SJ, "bounded"),
    ("qif, soft", QuadraticIF(0.25, 0.0, 0.5, reset="subtract"), spikingjelly("QIFNode", tau=4.0, v_c=0.5, v_reset=None), SJ, "bounded"),
    (
        "eif", ExponentialIF(0.5, 0.0, 0.75, 1.0, 1.0, v_reset=-0.125, v_init=-0.125),
        spikingjelly("EIFNode", theta_rh=0.75, v_reset=-0.125), SJ, "bounded",
    ),
    (
        "izhikevich", QuadraticIF(0.5, -0.125, 0.75, recovery=True, w_rate=0.5, a=0.25, b=0.5),
        spikingjelly("IzhikevichNode", v_rest=-0.125, v_c=0.75, a=0.25, b=0.5), SJ, "bounded",
    ),
    ("masked psn", masked_node(1), masked_psn, SJ, "eighths"),
    (
        "synapse filter", SpikeTrace(0.25), lambda layer, x: layer.SynapseFilter(tau=4.0, step_mode="m")(x),
        "spikingjelly.activation_based.layer", "spikes",
    ),
    (
        "lsnn", AdaptiveLIF(0.875, 0.875, 0.75 * 0.875, 0.75, 0.125, 0.5, True, v_reset=-0.125, rest=0.125, v_init=0.125, current="late"),
        norse("lsnn_feed_forward_step", **LSNN), "norse.torch.functional.lsnn", "eighths",
    ),
    (
        "ada_lif",
        AdaptiveLIF(
            0.875, 0.875, 0.75 * 0.125, 0.75, 0.125, 0.5, True, "subtract", amount=0.625, rest=0.125, v_init=0.125, current="late",
            adapts="membrane",
        ),
        norse("ada_lif_step", **LSNN), "norse.torch.functional.lsnn", "eighths",
    ),
    (
        "alif", AdaptiveLIF(0.5, 0.75, 2.0 * 0.25, gain=0.5, reset="subtract", floor=-1.0),
        lambda layers, x: sinabs_alif(layers, x, adapt_scale=2.0, min_v_mem=-1.0), "sinabs.layers", "eighths",
    ),
    (
        "alif with a current", AdaptiveLIF(0.5, 0.75, 0.25, 0.5, reset="subtract", current_gain=0.5, current="now"),
        lambda layers, x: sinabs_alif(layers, x, adapt_scale=1.0, norm_input=False, syn=True), "sinabs.layers", "eighths",
    ),
    ("leaky, at once", ImmediateLIF(0.75), snntorch("Leaky", beta=0.75, reset_delay=False), "snntorch", "eighths"),
    (
        "synaptic, at once", ImmediateLIF(0.75, 0.5, threshold=1.25, amount=1.25, current=True),
        snntorch("Synaptic", alpha=0.5, beta=0.75, threshold=1.25, reset_mechanism="subtract", reset_delay=False), "snntorch", "eighths",
    ),
    ("delta", ChangeLIF(0.75, threshold=0.5), snntorch("DeltaLeaky", delta_threshold=0.5, beta=0.75), "snntorch", "eighths"),
    ("bc if", LIF(frozen(1.0), threshold=frozen(0.5), strict=True), braincog("IFNode"), BC, "eighths"),
    (
        "bc lif", LIF(frozen(0.75), frozen(0.25), frozen(0.5)),
        braincog("LIFNode", tau=4.0, act_fun="SigmoidGrad"), BC, "eighths",
    ),
    ("bc plif", LIF(frozen(0.5), frozen(0.5), frozen(0.75), strict=True), braincog("PLIFNode", threshold=0.75), BC, "eighths"),
    ("bc stdp", LIF(frozen(0.75), threshold=frozen(0.5), strict=True), braincog("LIFSTDPNode", threshold=0.5, tau=0.75), BC, "eighths"),
    ("burst", braincog_burst(0.5, 0.5, 0.5), braincog("BurstLIFNode"), BC, "wide"),
    ("burst, slower", braincog_burst(0.75, 0.25, 0.25), braincog("BurstLIFNode", tau=4.0, threshold=0.25), BC, "wide"),
    (
        "slayer cuba", CutCubaLIF(1 - 1000 / 4096, 1 - 120 / 4096, threshold=0.75, strict=True),
        slayer("cuba", threshold=0.75, current_decay=1000 / 4096, voltage_decay=120 / 4096), SLAYER, "4096ths",
    ),
    (
        "slayer alif", RefractoryLIF(0.25, 0.125, 0.5, 0.75, 0.5, 0.75, 4096),
        slayer("alif", threshold=0.75, **ALIF), SLAYER, "4096ths",
    ),
    (
        "rf", ResonateFire(**turn(6.0, 0.05), threshold=0.75, grid=4096),
        slayer("rf", threshold=0.75, period=6.0, decay=0.05), SLAYER, "4096ths",
    ),
    (
        "rf_iz", ResonateFire(**turn(9.0, 0.03), threshold=0.75, fires="izhikevich", after=0.75 - 2.0**-12, grid=4096),
        slayer("rf_iz", threshold=0.75, period=9.0, decay=0.03), SLAYER, "4096ths",
    ),
    ("sigma-delta", SigmaDeltaUnit(0.5, 0.125, grid=4096), slayer("sigma_delta", threshold=0.5), SLAYER, "eighths"),
]  # fmt: skip
FLOAT64 = ("spikingjelly", "norse", "braincog")
each = pytest.mark.parametrize("case", CASES, ids=[f"{case[3].partition('.')[0]} {case[0]}" for case in CASES])


def inputs(kind: str, shape: tuple[int, ...], seed: int) -> Floats:
    rng = np.random.default_rng(seed)
    if kind == "spikes":
        return rng.integers(0, 2, shape).astype(np.float64)
    if kind == "4096ths":
        return rng.integers(-3000, 5000, shape) / 4096
    low, high = {"eighths": (-12, 17), "bounded": (-4, 9), "wide": (-16, 60)}[kind]
    return rng.integers(low, high, shape) / 8


def ours(case: Case, x: Floats) -> Floats:
    name, node = case[:2]
    node = masked_node(len(x)) if name == "masked psn" else node
    ports: tuple[Floats, ...] = (x,)
    if name.startswith("rf"):
        half = x.shape[-1] // 2
        ports = (x[..., :half], x[..., half : 2 * half])
    shape = ports[0].shape[2:]
    state = {w: np.broadcast_to(v, (x.shape[1], *v.shape)) for w, v in node.initial_state(shape).items()}
    out = []
    for t in range(len(x)):
        y, state = node.step(tuple(p[t] for p in ports), state, NUMPY)
        out.append(y)
    return np.stack(out)


def theirs(case: Case, x: Floats) -> Floats:
    module = library(case[3])
    torch = importlib.import_module("torch")
    given = torch.from_numpy(x).to(torch.float64 if case[3].startswith(FLOAT64) else torch.float32)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return case[2](module, given).double().numpy()


def record(of: str = "", path: Path = GOLDEN) -> None:
    """Write what the originals give for the small inputs, of one library or all; what cannot be imported is an error."""
    with np.load(path) as before:
        kept = dict(before)
    made = {case[0]: theirs(case, inputs(case[4], SMALL, 7)).astype(np.float32) for case in CASES if case[3].startswith(of)}
    np.savez_compressed(path, **{case[0]: made[case[0]] if case[0] in made else kept[case[0]] for case in CASES})


@pytest.mark.slow
@each
def test_a_million_steps_of_the_original(case):
    x = inputs(case[4], LARGE, 1)
    want, got = theirs(case, x), ours(case, x)
    rounded = np.isclose(got, want, rtol=0, atol=1e-6)
    assert int((~rounded).sum()) == 0
    assert 0 < (want != 0).mean() < 1


@each
def test_as_recorded(case):
    with np.load(GOLDEN) as recorded:
        want = recorded[case[0]]
    got = ours(case, inputs(case[4], SMALL, 7))
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6)
    assert len(np.unique(want)) > 1


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda: AdaptiveLIF(0.5, 1.5, 0.5), "outside"),
        (lambda: AdaptiveLIF(0.5, 0.5, 0.5, reset="none"), "not hard or subtract"),
        (lambda: AdaptiveLIF(0.5, 0.5, 0.5, current="soon"), "not none, now or late"),
        (lambda: AdaptiveLIF(0.5, 0.5, 0.5, adapts="input"), "not threshold or membrane"),
        (lambda: TernaryLIF(0.5, threshold=0.0), "not positive"),
        (lambda: TernaryLIF(0.5, reset="none"), "not hard or subtract"),
        (lambda: ScaledBurst(0.5, [1.0, 0.5], [1.0, 2.0], [0.0, 0.0]), "must rise"),
        (lambda: ScaledBurst(0.5, [1.0], [1.0, 2.0], [0.0]), "one entry a rung"),
        (lambda: ResonateFire(1.0, 0.5), "grows by"),
        (lambda: ResonateFire(0.5, 0.5, fires="sometimes"), "not known"),
        (lambda: RefractoryLIF(0.5, 0.5, 0.5, 0.5, 0.5, grid=1000), "power of two"),
        (lambda: QuadraticIF(0.5, 0.0, 0.5, reset="none"), "not hard or subtract"),
        (lambda: ExponentialIF(0.5, 0.0, 0.5, 1.0, 1.0, reset="none"), "not hard or subtract"),
        (lambda: WindowedSpike([[1.0, 0.5]], [0.5, 0.5]), "must be"),
        (lambda: SpikeTrace(1.5), "outside"),
    ],
)
def test_parameters_without_meaning(make, what):
    with pytest.raises(GraphError, match=what):
        make()


def test_without_its_grid_a_neuron_computes_in_real_numbers():
    x = inputs("4096ths", SMALL, 3) / 3
    coarse, fine = (RefractoryLIF(0.75, 0.875, 0.5, 0.25, 0.5, 0.75, grid) for grid in (4, 0))
    finest = RefractoryLIF(0.75, 0.875, 0.5, 0.25, 0.5, 0.75, 2**40)
    got = [ours(("", node, ours, "", ""), x) for node in (coarse, fine, finest)]
    assert (got[0] != got[1]).any()
    assert (got[1] == got[2]).all()
