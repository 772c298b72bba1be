"""The design rules that need no placement: weights, thresholds, biases, delays, neuron kinds, payloads, timing.

Rules and limits: Loihi 1 and 2 as compiled in the profiles (``hw_profiles/*.toml``, each number with its source).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from snndeploy.arrays import Ints
from snndeploy.chip.models import DECAY_UNIT, NEVER_FIRES, HostInput, Lif, Model, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Sparse, Wire
from snndeploy.chip.program import NeuronProgram, needs
from snndeploy.place.budget import Budget
from snndeploy.placement import Finding


def weights(network: ChipNetwork, limits: Budget) -> Iterator[Finding]:
    """L005: range and step of weights, range of the exponent."""
    bits = limits["weight_bits"]
    for projection in network.projections:
        synapses = projection.synapses
        if not isinstance(synapses, Wire) and not np.isinf(bits):
            yield from _grid(projection.name, synapses.weights, int(bits))
        most = limits["weight_exp_max"]
        if not -most - 1 <= projection.exponent <= most:
            why = f"the exponent that scales the layer's sum is {-most - 1:g} to {most:g}"
            yield Finding(
                "L005", "blocker", projection.name, projection.exponent, most, why, "move powers of two into weights and threshold"
            )


def _grid(where: str, values: Ints, bits: int) -> Iterator[Finding]:
    """What sign-mode weights hold: 0 .. 2^bits - 1 of one sign, or the even values -2^bits .. 2^bits - 2 of both."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    mixed, top = low < 0 < high, 1 << bits
    least, most = (-top, top - 2) if mixed else (1 - top, top - 1)
    worst = low if least - low >= high - most else high
    if low < least or high > most:
        bound = least if worst == low else most
        yield Finding(
            "L005", "blocker", where, worst, bound, f"a {bits}-bit weight cannot hold it", "quantize with a larger scale or an exponent"
        )
    odd = int(np.count_nonzero(values & 1)) if mixed else 0
    if odd:
        why = "odd weights in a matrix of both signs, which holds even ones only (Lava's Conv keeps odd ones; even is valid everywhere)"
        yield Finding("L005", "blocker", where, odd, 0, why, "round to even, or split the signs into two projections")


def thresholds(network: ChipNetwork, limits: Budget) -> Iterator[Finding]:
    """L006: the threshold mantissa; the read-out that must never fire is noted."""
    most = limits["vth_max"]
    for p in network.populations.values():
        for values in _thresholds(p.model):
            never = np.abs(values) == NEVER_FIRES
            peak = int(np.abs(np.where(never, 0, values)).max(initial=0))
            if peak > most:
                why, fix = "the threshold mantissa is too narrow", "scale weights, bias and threshold down together"
                yield Finding("L006", "blocker", p.name, peak, most, why, fix)
            if never.any() and most < NEVER_FIRES:
                why = "a threshold one above the register means never in Lava; the largest in the register fires at v > 2^23 - 64"
                yield Finding("L006", "note", p.name, NEVER_FIRES, most, why, "nothing to do while v stays below it")


def _thresholds(model: Model) -> list[Ints]:
    if isinstance(model, TernaryLif):
        return [model.vth_hi, model.vth_lo]
    return [model.vth] if isinstance(model, Lif) else []


def biases(network: ChipNetwork, limits: Budget) -> Iterator[Finding]:
    """L007: bias mantissa and exponent."""
    for p in network.populations.values():
        if not isinstance(p.model, Lif | TernaryLif):
            continue
        mantissa, exponents = int(np.abs(p.model.bias_mant).max(initial=0)), p.model.bias_exp
        if mantissa > limits["bias_mant_max"]:
            why = "the bias mantissa is too narrow"
            yield Finding(
                "L007", "blocker", p.name, mantissa, limits["bias_mant_max"], why, "use a larger bias exponent, which rounds the bias"
            )
        if exponents.max(initial=0) > limits["bias_exp_max"]:
            value = int(exponents.max())
            yield Finding(
                "L007", "blocker", p.name, value, limits["bias_exp_max"], "the bias exponent is too narrow", "use a larger mantissa"
            )
        if exponents.min(initial=0) < 0:
            why = "Lava takes a negative bias exponent, the register does not"
            yield Finding("L007", "warning", p.name, int(exponents.min()), 0, why, "shift the mantissa")


def delays(network: ChipNetwork, limits: Budget) -> Iterator[Finding]:
    """L008: the longest delay of a synapse."""
    for projection in network.projections:
        own = projection.synapses.delays if isinstance(projection.synapses, Dense | Sparse) else None
        longest = projection.delay + (int(own.max(initial=0)) if own is not None else 0)
        if longest > limits["delay_max"]:
            why = "synapses cannot wait that long"
            yield Finding("L008", "blocker", projection.name, longest, limits["delay_max"], why, "put relay neurons in between")


def decays(network: ChipNetwork) -> Iterator[Finding]:
    """L009: decays that Lava computes with but a 12-bit register does not hold; a note for what the tool itself built."""
    for p in network.populations.values():
        if not isinstance(p.model, Lif | TernaryLif):
            continue
        low, high = min(int(p.model.du.min()), int(p.model.dv.min())), max(int(p.model.du.max()), int(p.model.dv.max()))
        if low < 0 or high >= DECAY_UNIT:
            value, limit = (low, 0) if low < 0 else (high, DECAY_UNIT - 1)
            why = "Lava's model takes this decay; the 12-bit register holds 0 .. 4095"
            ours = p.origin not in ("", p.name) or p.name.endswith(".readout")
            fix = "nobody trains it: it was built here" if ours else "use du >= 0 and dv <= 4095 where the chip must run it"
            yield Finding("L009", "note" if ours else "warning", p.name, value, limit, why, fix)


def kinds(network: ChipNetwork, limits: Budget) -> Iterator[Finding]:
    """L010: neurons the chip has no circuit or no program memory for."""
    for p in network.populations.values():
        model = p.model
        reset = isinstance(model, Lif) and model.reset_interval > 0
        if not limits.features.get("programs", False) and (isinstance(model, NeuronProgram | TernaryLif | SigmaDelta | Resonator) or reset):
            kind = "a timed reset" if reset else f"{type(model).__name__} neurons"
            why = f"{kind} need a programmable neuron core, which {limits.chip} has not"
            yield Finding(
                "L010", "blocker", p.name, 1, 0, why, "lower the layer to hard-reset LIF neurons, or choose a chip with neuron programs"
            )
        if isinstance(model, NeuronProgram):
            for name, value in needs(model).items():
                if value > limits[name]:
                    yield Finding(
                        "L010", "blocker", p.name, value, limits[name], f"the program {model.name} exceeds {name}", "use a simpler neuron"
                    )


def timing(network: ChipNetwork) -> Iterator[Finding]:
    """L017: a path that arrives before its target layer has started its clock."""
    for projection in network.projections:
        source, target = network.populations[projection.source], network.populations[projection.target]
        arrival = source.shift + projection.delay + (not isinstance(projection.synapses, Wire))
        if arrival < target.shift:
            why = f"spikes of step 0 arrive at chip step {arrival}, but {target.name} runs {target.shift} steps late"
            fix = f"delay the projection by {target.shift - arrival} steps"
            yield Finding("L017", "warning", projection.name, arrival, target.shift, why, fix)


def payloads(network: ChipNetwork, limits: Budget) -> Iterator[Finding]:
    """L012: spikes with more payload bits than the chip sends."""
    most = limits["payload_bits"]
    for p in network.populations.values():
        sends = [q for q in network.projections if q.source == p.name and q.graded and isinstance(q.synapses, Dense | Sparse | Conv)]
        bits = p.model.payload_bits if isinstance(p.model, HostInput) else int(isinstance(p.model, NeuronProgram | SigmaDelta))
        if sends and bits > most:
            why = "spikes on this chip are binary" if most == 0 else "the payload does not fit into a spike"
            host = isinstance(p.model, HostInput)
            fix = "let the host compute the first layer, or rate-code" if host else "decouple the layer into binary LIF neurons"
            yield Finding("L012", "blocker", p.name, bits, most, why, fix)


RULES: tuple[Callable[[ChipNetwork, Budget], Iterator[Finding]], ...] = (weights, thresholds, biases, delays, kinds, payloads)
"""Those that hold a limit of the profile; ``decays`` and ``timing`` hold for every chip."""


def network_findings(network: ChipNetwork, limits: Budget) -> list[Finding]:
    """All findings of this file."""
    return [*(f for rule in RULES for f in rule(network, limits)), *decays(network), *timing(network)]
