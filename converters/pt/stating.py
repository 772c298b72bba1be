"""The semantics table: what a neuron computes, fact by fact, and where each was read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from converters import Fact, Origin
from converters.pt.neuron import Neuron
from snndeploy.arrays import Floats
from snndeploy.ir.graph import Node
from snndeploy.ir.layers import Conv, Linear, Scale
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.cubalif import CubaLIF
from snndeploy.ir.neurons.li import LI
from snndeploy.ir.neurons.lif import LIF
from snndeploy.ir.neurons.multispike import MultiSpike

WORST: tuple[Origin, ...] = ("ASSUMED", "user", "file", "probed", "model")
BECAUSE: Mapping[str, tuple[str, ...]] = {
    "decay": (
        *("decay", "beta", "tau", "w", "init_tau", "k", "R", "C", "time_step", "v_decay", "tau_mem", "alpha_mem", "tau_mem_inv"),
        *("dt", "stateless", "voltage_decay"),
    ),
    "current decay": ("current_decay", "alpha", "c_decay", "tau_syn", "alpha_syn", "tau_syn_inv", "tau_current", "stateless"),
    "gain": ("decay_input", "norm_input", "k", "tau", "tau_mem_inv"),
    "threshold": ("threshold", "v_threshold", "spike_threshold", "v_th", "thresholds"),
    "comparison": ("spike_grad", "surrogate_function", "spike_func", "spike_fn", "act_fun", "strict", "method"),
    "reset": ("reset", "reset_mechanism", "reset_mechanism_val", "v_reset", "reset_fn", "scale_reset"),
    "reset timing": ("reset_delay", "late"),
    "levels": ("spike_fn", "max_spikes", "max_spike_count", "levels"),
    "spike value": ("graded_spikes_factor",),
    "floor": ("min_v_mem", "scale_reset", "floor"),
    "rest": ("v_leak", "v_reset"),
    "delay": ("delay_shift",),
    "start": ("v_leak", "v_reset", "v_threshold"),
}
"""Which settings decide a fact; the least certain of them gives its origin."""


PLAIN = (LIF, CubaLIF, Burst, LI, MultiSpike, Linear, Conv, Scale)
"""What the rows say all of; of any other neuron the equation is printed too."""
USUAL = (("gain", "1"), ("reset timing", "in the step of the spike"), ("levels", "any number of spikes"))
"""What goes without saying in one line."""


def facts(neuron: Neuron, asked: Mapping[str, Fact], otherwise: Origin) -> tuple[Fact, ...]:
    """One line a property, in a fixed order; ``otherwise`` is the origin of what the library decides without a setting."""
    said = {fact.name for fact in neuron.said}
    rows = [(n, v) for n, v in (*_numbers(neuron.node), *_firing(neuron.node), *_around(neuron)) if n not in said]
    decisive = {setting for name, _ in rows for setting in BECAUSE.get(name, ())}
    besides = (fact for fact in asked.values() if fact.name not in decisive and fact.origin in ("ASSUMED", "user"))
    return (*(Fact(name, value, _origin(name, asked, otherwise)) for name, value in rows), *besides, *neuron.said)


def in_words(neuron: Neuron) -> str:
    """A neuron in one line: ``LIF(decay 0.5, threshold 1, >=, reset to 0)``."""
    rows = [(n, v) for n, v in (*_numbers(neuron.node), *_firing(neuron.node)) if (n, v) not in USUAL]
    words = [v if n == "comparison" else f"{n} {v}" for n, v in rows]
    words += [f"spike value {show(node.scale)}" for node in neuron.after if hasattr(node, "scale")]
    return f"{type(neuron.node).__name__}({', '.join(words)})"


def _origin(name: str, asked: Mapping[str, Fact], otherwise: Origin) -> Origin:
    origins = {asked[setting].origin for setting in BECAUSE.get(name, ()) if setting in asked}
    return next((origin for origin in WORST if origin in origins), otherwise)


def _numbers(node: Node) -> Iterator[tuple[str, str]]:
    for name, attribute in (("decay", "decay"), ("current decay", "current_decay"), ("gain", "gain")):
        if hasattr(node, attribute):
            yield name, show(getattr(node, attribute))
    for name, usual in (("rest", "rest"), ("start", "v_init"), ("floor", "floor")):
        value = getattr(node, usual, None)
        if value is not None and (usual == "floor" or value.any()):
            yield name, show(value)


def _firing(node: Node) -> Iterator[tuple[str, str]]:
    if not isinstance(node, PLAIN):
        yield "equation", (type(node).__doc__ or type(node).__name__).strip().splitlines()[0].rstrip(";")
    reset = getattr(node, "reset", None)
    if reset is None:
        yield from _without_kinds(node)
        return
    yield "threshold", show(node.thresholds[0] if isinstance(node, Burst) else node.threshold)  # type: ignore[attr-defined]
    strict = node.strict if isinstance(node, Burst) else (node.strict,)  # type: ignore[attr-defined]
    yield "comparison", " ".join(">" if s else ">=" for s in dict.fromkeys(strict)) + (" by turns" if len(set(strict)) > 1 else "")
    if isinstance(node, Burst):
        yield "levels", f"{len(node.strict)} ({show(node.levels)})"
        taken = "" if node.amounts is None else f" {show(node.amounts[0])} a spike"
    else:
        amount = getattr(node, "amount", None)
        taken = " the threshold" if amount is None else f" {show(amount)}"
    yield "reset", {"hard": f"to {show(node.v_reset)}", "subtract": f"subtract{taken}", "none": "none"}[reset]  # type: ignore[attr-defined]
    if reset != "none":
        yield "reset timing", "late: inside the next update" if getattr(node, "late", False) else "in the step of the spike"


def _without_kinds(node: Node) -> Iterator[tuple[str, str]]:
    """The facts of a neuron that knows no kinds of reset."""
    if hasattr(node, "threshold"):
        yield "threshold", show(node.threshold)
    if isinstance(getattr(node, "strict", None), bool):
        yield "comparison", ">" if node.strict else ">="  # type: ignore[attr-defined]
    if isinstance(node, MultiSpike):
        yield "comparison", ">="
        yield "levels", "any number of spikes"
        yield "reset", "the threshold for each spike"


def _around(neuron: Neuron) -> Iterator[tuple[str, str]]:
    for node in neuron.after:
        if hasattr(node, "scale"):
            yield "spike value", show(node.scale)
    late = f"{neuron.delay} step behind it" if neuron.delay else "none"
    yield "delay", "1 step on the way back into itself" if neuron.feedback else late


def show(values: Floats) -> str:
    """One number, or a shape and a range."""
    array = np.asarray(values)
    if array.size and (array == array.flat[0]).all():
        return f"{array.flat[0]:.6g}"
    return f"{list(array.shape)} {array.min():.4g}..{array.max():.4g}"
