"""Live neurons of the libraries on inputs that tie with the threshold as often as inputs can, against their graphs: 0 spikes differ.

In float64, where the order of operations alone decides a tie: multiples of 1/8, 1/10 and 1/3, time constants that are no power
of two. Every neuron stands alone, so that no sum of a synapse is rounded. docs/rounding.md has the counts.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from originals import library

torch = pytest.importorskip("torch")

from converters import Options  # noqa: E402  (behind importorskip)
from converters.pt import from_module  # noqa: E402
from snndeploy.ir.graph import Graph  # noqa: E402
from snndeploy.ir.membrane import Membrane  # noqa: E402
from snndeploy.sim.reference import run_reference  # noqa: E402

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.slow]
TAUS = (1.5, 2.0, 3.0, 5.0, 7.0, 10.0)
GRIDS = {"eighths": 8, "tenths": 10, "thirds": 3}
STEPS, BATCH, FEATURES = 32, 4, 40


def tied(grid: str, loud: float = 1.0) -> np.ndarray:
    """[T, B, F] from -1 to 3."""
    parts = GRIDS[grid]
    return loud * np.random.default_rng(7).integers(-parts, 3 * parts + 1, (STEPS, BATCH, FEATURES)) / parts


def ran(graph: Graph, x: np.ndarray) -> np.ndarray:
    names = {type(node).__name__: name for name, node in graph.nodes.items()}
    return run_reference(graph, {names["Input"]: x}, len(x), record=[names["Output"]]).outputs[names["Output"]]


def differing(loaded: Any, x: np.ndarray, gave: Any) -> int:
    return int((ran(loaded.graph, x) != gave.detach().double().numpy()).sum())


def without_order(graph: Graph) -> Graph:
    """The same network, every membrane rounding as products do."""
    plain = {n: dataclasses.replace(node, order=None, leak=None) for n, node in graph.nodes.items() if isinstance(node, Membrane)}
    return graph.replace(plain)


# -- SpikingJelly --------------------------------------------------------------------------------------------------

RESETS = (0.0, None, 0.25, -0.5)
Made = Callable[..., Any]


def klif(neuron: Any, k: float, **words: Any) -> Any:
    made = neuron.KLIFNode(**words)
    made.k.data = torch.tensor(k)
    return made


SPIKINGJELLY: dict[str, Made] = {
    "LIFNode": lambda n, **w: n.LIFNode(**w),
    "ParametricLIFNode": lambda n, tau, **w: n.ParametricLIFNode(init_tau=tau, **w),
    "SimpleLIFNode": lambda n, v_reset, **w: n.SimpleLIFNode(v_reset=v_reset or 0.0, **w),
    "SLTTLIFNode": lambda n, **w: n.SLTTLIFNode(**w),
    "KLIFNode": lambda n, **w: klif(n, 1.0, **w),
    "KLIFNode, k 0.7": lambda n, **w: klif(n, 0.7, **w),
    "KLIFNode, scaled": lambda n, **w: klif(n, 1.3, scale_reset=True, **w),
    "TernaryLIFNode": lambda n, **w: n.TernaryLIFNode(**w),
    "ComplementaryLIFNode": lambda n, tau, **_: n.ComplementaryLIFNode(tau=tau),
    "ILIFNode": lambda n, tau, v_reset, **_: n.ILIFNode(tau=tau, v_threshold={0.0: 1.0, None: 0.3, 0.25: 0.7}.get(v_reset, 1.1)),
    "QIFNode": lambda n, tau, **_: n.QIFNode(tau=tau, v_c=0.7),
    "EIFNode": lambda n, tau, **_: n.EIFNode(tau=tau),
    "IzhikevichNode": lambda n, tau, **_: n.IzhikevichNode(tau=tau, tau_w=tau, a=0.1, b=0.2),
    "CUBALIFNode": lambda n, tau, v_reset, **_: n.CUBALIFNode(c_decay=1 - 1 / tau, v_decay=0.9, v_reset=v_reset),
}


def spikingjelly_runs(made: Made, mode: str) -> Iterator[tuple[Any, np.ndarray, Any]]:
    """What a class converts to, what it got and what it gave, for every option."""
    neuron, functional = (library(f"spikingjelly.activation_based.{m}") for m in ("neuron", "functional"))
    for tau, v_reset, decay_input, grid in itertools.product(TAUS, RESETS, (True, False), GRIDS):
        net = torch.nn.Sequential(made(neuron, tau=tau, v_reset=v_reset, decay_input=decay_input)).double().eval()
        functional.set_step_mode(net, mode)
        x = tied(grid)
        given = torch.from_numpy(x)
        loaded = from_module(net, given[:3] if mode == "m" else given[0], Options(timesteps=3))
        functional.reset_net(net)
        with torch.no_grad():
            yield loaded, x, net(given) if mode == "m" else torch.stack([net(now) for now in given])


@pytest.mark.parametrize("mode", ["s", "m"])
@pytest.mark.parametrize("kind", SPIKINGJELLY)
def test_spikingjelly(kind, mode):
    spikes = 0
    for loaded, x, gave in spikingjelly_runs(SPIKINGJELLY[kind], mode):
        assert differing(loaded, x, gave) == 0, str(loaded.graph)
        spikes += int((gave != 0).sum())
    assert spikes > 10_000


@pytest.mark.parametrize("kind", ["LIFNode", "ParametricLIFNode", "KLIFNode"])
def test_spikingjelly_ties_are_there(kind):
    """The same runs without the order: some spikes differ, so the inputs do tie."""
    wrong = 0
    for loaded, x, gave in spikingjelly_runs(SPIKINGJELLY[kind], "m"):
        wrong += int((ran(without_order(loaded.graph), x) != gave.numpy()).sum())
    assert wrong > 20


# -- Norse ---------------------------------------------------------------------------------------------------------


class Handed(torch.nn.Module):
    """One step a call, the state through the user's hands; ``states`` gives the first."""

    def __init__(self, neuron: Any, states: Callable[[Any], tuple[Any, ...]]) -> None:
        super().__init__()
        self.neuron, self.states = neuron, states

    def forward(self, x):
        state, out = self.states(self.neuron), []
        for now in x:
            spikes, *rest = self.neuron(now, *state)
            state = [spikes, *rest] if hasattr(self.neuron, "recurrent") else rest
            out.append(spikes)
        return torch.stack(out)


NORSE = {
    "LIFCell": ("LIFParameters", ("tau_syn_inv", "tau_mem_inv", "v_leak", "v_th", "v_reset")),
    "LIFBoxCell": ("LIFBoxParameters", ("tau_mem_inv", "v_leak", "v_th", "v_reset")),
    "LSNNCell": ("LSNNParameters", ("tau_syn_inv", "tau_mem_inv", "tau_adapt_inv", "v_leak", "v_th", "v_reset", "beta")),
    "LICell": ("LIParameters", ("tau_syn_inv", "tau_mem_inv", "v_leak")),
    "IAFCell": ("IAFParameters", ("v_th", "v_reset")),
}


@pytest.mark.parametrize("kind", NORSE)
def test_norse(kind):
    """Membranes that are read (LICell) are equal bit for bit, too."""
    norse = library("norse.torch")
    parameters, names = NORSE[kind]
    for tau, leak, reset, grid in itertools.product(TAUS, (0.0, 0.25, 0.1), (0.0, -0.3), GRIDS):
        p = {
            "tau_syn_inv": 200.0,
            "tau_mem_inv": 1000 / tau,
            "tau_adapt_inv": 300.0,
            "v_leak": leak,
            "v_th": 1.0,
            "v_reset": reset,
            "beta": 0.3,
        }
        cell = getattr(norse, kind)(p=getattr(norse, parameters)(**{n: torch.tensor(p[n]) for n in names}))
        net = Handed(cell, lambda _: (None,)).double().eval()
        x = tied(grid, 2.0)
        loaded = from_module(net, torch.from_numpy(x[:3]))
        assert differing(loaded, x, net(torch.from_numpy(x))) == 0, str(loaded.graph)


# -- snnTorch ------------------------------------------------------------------------------------------------------

SNNTORCH: dict[str, Made] = {
    "Leaky": lambda snn, beta, late, **w: snn.Leaky(beta=beta, reset_delay=late, **w),
    "Synaptic": lambda snn, beta, late, **w: snn.Synaptic(alpha=0.7, beta=beta, reset_delay=late, **w),
    "RLeaky": lambda snn, beta, late, **w: snn.RLeaky(beta=beta, all_to_all=False, V=0.25, reset_delay=late, **w),
    "RSynaptic": lambda snn, beta, late, **w: snn.RSynaptic(alpha=0.7, beta=beta, all_to_all=False, V=0.25, **w),
    "Lapicque": lambda snn, beta, late, **w: snn.Lapicque(R=1.0, C=1 / (1 - beta), time_step=1.0, **w),
}


def snntorch_state(neuron: Any) -> tuple[Any, ...]:
    state = neuron.reset_mem()
    return tuple(state) if isinstance(state, tuple | list) else (state,)


@pytest.mark.parametrize("kind", SNNTORCH)
def test_snntorch(kind):
    """In float64, which a neuron alone computes in; between layers its spikes are float32."""
    snn = library("snntorch")
    for beta, threshold, reset, late, grid in itertools.product(
        (0.9, 0.3, 0.5, 2 / 3), (1.0, 0.6), ("subtract", "zero", "none"), (True, False), GRIDS
    ):
        made = SNNTORCH[kind](snn, beta=beta, late=late, threshold=threshold, reset_mechanism=reset)
        net = Handed(made, snntorch_state).double().eval()
        x = tied(grid)
        loaded = from_module(net, torch.from_numpy(x[:3]))
        assert differing(loaded, x, net(torch.from_numpy(x))) == 0, str(loaded.graph)


# -- sinabs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["LIF", "LIF, current", "IAF", "ALIF, current"])
@pytest.mark.parametrize("spike", ["SingleSpike", "MaxSpike"])
def test_sinabs(kind, spike):
    """Its decays are exp(-1/tau), no short fractions; what ties is its first spike, an IAF, and a threshold of 0.7."""
    layers, activation = library("sinabs.layers"), library("sinabs.activation")
    if kind != "IAF" and "current" in kind and spike == "MaxSpike":
        pytest.skip("there is no node for a current with several spikes a step")
    for tau, threshold, hard, grid in itertools.product((1.5, 3.0, 10.0), (1.0, 0.7), (True, False), GRIDS):
        words = {
            "spike_threshold": torch.tensor(threshold, dtype=torch.float64),
            "reset_fn": activation.MembraneReset() if hard else activation.MembraneSubtract(),
            "spike_fn": activation.MaxSpike(3) if spike == "MaxSpike" else activation.SingleSpike,
        }
        if kind != "IAF":
            words |= {"tau_mem": tau, **({"tau_syn": 2.5} if "current" in kind else {})}
            words |= {"tau_adapt": 7.0} if kind.startswith("ALIF") else {}
        made = getattr(layers, kind.partition(",")[0])(**words)
        net = torch.nn.Sequential(made).double().eval()
        x = tied(grid)
        given = torch.from_numpy(x.swapaxes(0, 1))
        loaded = from_module(net, given[:, :3])
        for name in ("v_mem", "i_syn", "b"):
            if name in made._buffers:
                made.register_buffer(name, torch.zeros(0, dtype=torch.float64))
        assert differing(loaded, x, net(given).transpose(0, 1)) == 0, str(loaded.graph)
