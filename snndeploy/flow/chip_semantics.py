"""The semantics table of a network that is integers already: what every population computes with, register by register."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from snndeploy.arrays import Ints
from snndeploy.chip.models import DECAY_UNIT, NEVER_FIRES, HostInput, Lif, Resonator, SigmaDelta, TernaryLif
from snndeploy.chip.network import ChipNetwork, Dense, Population, Projection, Sparse
from snndeploy.chip.program import NeuronProgram
from snndeploy.flow.semantics import show
from snndeploy.report.report import FactRow, LayerRow

Facts: TypeAlias = Iterator[tuple[str, str]]
THRESHOLD_UNIT = 1 << 6
"""A threshold mantissa stands six bits above the state (Lava ``LIF``: vth << 6)."""
AT_ONCE = "in the step of the spike"


def chip_rows(network: ChipNetwork) -> tuple[LayerRow, ...]:
    """Every population but the host's inputs, in the file's order; all of it is the file's word."""
    return tuple(_row(network, p) for p in network.populations.values() if not isinstance(p.model, HostInput))


def _row(network: ChipNetwork, population: Population) -> LayerRow:
    model = population.model
    known = (*FACTS[type(model)](model), *_around(network, population))
    kind = f"program {model.name}" if isinstance(model, NeuronProgram) else type(model).__name__
    entering = ", ".join(f"{type(p.synapses).__name__} from {p.source}" for p in network.into(population.name))
    kind = f"{kind} {list(population.shape)}{f', fed by {entering}' if entering else ''}"
    return LayerRow(population.name, kind, population.size, "file", facts=tuple(FactRow(n, v, "file") for n, v in known))


def _around(network: ChipNetwork, population: Population) -> Facts:
    """How late what it sends arrives, beyond the one step of every synapse, and what the host reads."""
    sent = [p for p in network.projections if p.source == population.name]
    late = sorted({steps for p in sent for steps in _delays(p)})
    yield "delay", "none" if late in ([], [0]) else f"{_span(late)} steps beyond each synapse's one"
    if any(p.target == population.name for p in sent):
        yield "feedback", "its spikes come back a step later"
    if population.reads != "spikes":
        yield "read as", f"{population.reads}, by the host"


def _delays(p: Projection) -> tuple[int, ...]:
    if isinstance(p.synapses, Dense | Sparse) and p.synapses.delays is not None and p.synapses.delays.size:
        return int(p.synapses.delays.min()) + p.delay, int(p.synapses.delays.max()) + p.delay
    return (p.delay,)


def _span(values: list[int]) -> str:
    return str(values[0]) if len(values) == 1 else f"{values[0]}..{values[-1]}"


def _decays(model: Lif | TernaryLif) -> Facts:
    yield "decay", _share(DECAY_UNIT - model.dv)
    yield "current decay", _share(DECAY_UNIT - 1 - model.du)


def _share(kept: Ints) -> str:
    """What is left after a step, as the register has it and as a number."""
    return f"{whole(kept)}/{DECAY_UNIT} = {show(kept / DECAY_UNIT)}"


def whole(values: Ints) -> str:
    """An integer, or an array's shape and range, to the last digit."""
    low, high = int(values.min()), int(values.max())
    return str(low) if low == high else f"[{','.join(map(str, values.shape))}] {low}..{high}"


def _bias(model: Lif | TernaryLif) -> Facts:
    if model.bias_mant.any():
        yield "bias", f"{whole(model.bias_mant)} * 2^{whole(model.bias_exp)}"


def _lif(model: Lif) -> Facts:
    yield from _decays(model)
    silent = bool((model.vth >= NEVER_FIRES).all())
    yield "threshold", "never fires" if silent else f"{whole(model.vth)} * {THRESHOLD_UNIT}"
    if not silent:
        yield from (("comparison", ">"), ("reset", "to 0"), ("reset timing", AT_ONCE))
    yield from _bias(model)
    if model.reset_interval:
        yield "cleared", f"every {model.reset_interval} steps, at step {model.reset_offset}"


def _ternary(model: TernaryLif) -> Facts:
    yield from _decays(model)
    yield "threshold", f"{whole(model.vth_lo)} and {whole(model.vth_hi)} * {THRESHOLD_UNIT}"
    yield from (("comparison", "< the lower gives -1, > the upper 1"), ("reset", "to 0"), ("reset timing", AT_ONCE))
    yield from _bias(model)


def _sigma_delta(model: SigmaDelta) -> Facts:
    shift = model.spike_exp + model.state_exp
    yield "threshold", f"{model.vth:g}{f' * 2^{shift}' if shift else ''}, of the change since it last sent"
    yield "comparison", ">="
    yield "reset", "to the error of what was sent" if model.cumulative else "to what was sent"
    cut = ", cut off below 0" if model.relu and model.sums else ""  # Delta sends what enters, whatever its sign
    yield "activation", ("the running sum" if model.sums else "the input itself") + cut
    if model.bias.any():
        yield "bias", whole(model.bias)


def _resonator(model: Resonator) -> Facts:
    unit = 1 << model.decay_bits
    yield "decay", f"cos {whole(model.cos)}/{unit}, sin {whole(model.sin)}/{unit}"
    yield "threshold", f"{whole(model.vth)} * 2^{model.state_exp}"
    yield "comparison", ">= by the imaginary part" if model.izhikevich else ">= by the real part, where the imaginary one turns positive"
    yield "reset", "real part to 0, imaginary to the threshold - 1" if model.izhikevich else "none"


def _program(model: NeuronProgram) -> Facts:
    yield from ((name, whole(value)) for name, value in model.constants.items() if value.size)
    yield from ((f"table {name}", f"{math.prod(table.shape)} entries, {whole(table)}") for name, table in model.tables.items())
    yield "start", ", ".join(f"{word} {value}" for word, value in model.state.items()) or "no state"
    yield "equation", f"{len(model.code)} instructions (snndeploy show prints them)"


FACTS: Mapping[type, Callable[[Any], Facts]] = {
    Lif: _lif,
    TernaryLif: _ternary,
    SigmaDelta: _sigma_delta,
    Resonator: _resonator,
    NeuronProgram: _program,
}
"""What is said of each model that can sit in a core."""
