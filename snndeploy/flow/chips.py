"""Normal form -> chip network: quantize, lower the bursts, align, assemble; then hold the result against its definition."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.network import ChipNetwork
from snndeploy.errors import NoEffect, ProfileError, Unsupported
from snndeploy.flow.bursts import Lowered, lower_bursts, with_constant
from snndeploy.flow.choosing import integer_inputs, quantized
from snndeploy.flow.feeding import Feed
from snndeploy.flow.phased import run_phased
from snndeploy.hw import Profile
from snndeploy.inert import written
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.neurons.burst import Burst
from snndeploy.ir.neurons.integer import IntegerNeuron
from snndeploy.ir.neurons.on_grid import GridNeuron
from snndeploy.ir.normal import check_normal_form
from snndeploy.ir.paths import neurons, paths_into
from snndeploy.passes import drive
from snndeploy.passes.align import align
from snndeploy.placement import Placement
from snndeploy.quantize import Quantized, Settings
from snndeploy.quantize.assemble import Ports, Timing, assemble_network
from snndeploy.quantize.programmed import is_at_rest
from snndeploy.report.report import BurstRow
from snndeploy.sim.host import run_hosted
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace
from snndeploy.verdict import Pair
from snndeploy.verify import compare

PROBE = 8
"""Samples on which every construction is run against its burst neuron."""


@dataclass(frozen=True, eq=False)
class Built:
    """A chip network and everything between it and the float graph."""

    quantized: Quantized
    lowered: Lowered
    integer: Graph
    """The integer graph that the chip network must equal, spike for spike; it takes ``lowered.phases`` steps for one."""
    network: ChipNetwork

    def payloads(self) -> dict[str, int]:
        """The largest payload each population was proven to send."""
        known = {name: int(value) for name, value in self.quantized.payloads.items()}
        return {name: known.get(name, 1) for name in self.network.populations}


def wished_settings(graph: Graph, profile: Profile, steps: int, weight_bits: Mapping[str, int], burst: str) -> Settings:
    """As ``settings_for``; raises ``NoEffect`` for a construction that was asked for where there are no burst neurons."""
    if burst != "auto" and not graph.named(Burst):
        raise NoEffect("--burst", f"{burst} is how burst neurons are built, and this network has none", "leave it out")
    return settings_for(graph, profile, steps, weight_bits, burst)


def settings_for(graph: Graph, profile: Profile, steps: int, weight_bits: Mapping[str, int], burst: str) -> Settings:
    """What the chip and the wishes mean for the quantizer. Raises ``ProfileError`` if the chip cannot be simulated."""
    must_simulate(profile)
    graded, programs = profile.features["graded"], profile.features["programs"]
    decoupled = bool(graph.named(Burst)) and (burst not in ("auto", "graded") or not (graded and programs))
    hosts = frozenset() if graded else frozenset(n for n, node in graph.named(Input).items() if node.carries != "spikes")
    return Settings(
        steps=steps,
        weight_bits=weight_bits,
        programs=programs,
        conv_exponent=profile.features["conv_exponent"],
        decoupled=decoupled,
        snap=burst == "lateral",
        host_inputs=hosts,
    )


def must_simulate(profile: Profile) -> None:
    """Raise ``ProfileError`` where a chip is priced only: nothing that runs here is that chip."""
    if not profile.simulate:
        what = "can be priced, but not simulated: nothing would show that it still works"
        hint = "choose loihi1 or loihi2; snndeploy report FILE --chip prices a network that is made for one of them"
        raise ProfileError(f"--chip {profile.id}", what, hint)


def build(
    graph: Graph, profile: Profile, data: Feed, settings: Settings, burst: str, reference: Trace, everything: Feed | None = None
) -> Built:
    """Quantize with ``data`` (``reference`` is the float run on it), lower, align and assemble.

    Payloads hold ``everything`` that is to be run (None: ``data`` are all).

    Raises:
        QuantizeError, Unsupported: a layer has no exact place on this chip.
    """
    seen = {**reference.outputs, **{name: _through_time(values, data.steps) for name, values in data.inputs.items()}}
    ranged = data if everything is None else everything
    found = quantized(graph, settings, seen, data, reference, ranged)
    whole = integer_inputs(found, data.first(PROBE))
    lowered = lower_bursts(found, profile, burst, whole, data.steps)
    # at two steps for one its biases are driven already: a register would act at the second step
    integer = drive.apply(lowered.graph, clears=profile.features["programs"]) if lowered.phases == 1 else lowered.graph
    check_normal_form(integer)
    network = _assemble(integer, profile, found, ranged, settings, lowered)
    return Built(found, lowered, integer, network)


def _assemble(integer: Graph, profile: Profile, q: Quantized, data: Feed, settings: Settings, lowered: Lowered) -> ChipNetwork:
    alignment = align(integer)
    paths = [(path, name) for name in neurons(integer) for path in paths_into(integer, name)]
    delays = {(p.source, name, p.nodes): alignment.delay(p, name) for p, name in paths}
    early = any(n.bias.any() or (n.thresholds < 0).any() for n in integer.named(IntegerNeuron).values())
    early |= not programs_rest(integer, alignment.shifts)
    timing = Timing(data.steps, alignment.shifts, delays, early, lowered.phases)
    signed = {name: bool((values < 0).any()) for name, values in data.inputs.items()}
    chip = f"{profile.id}:{profile.board}" if profile.board else profile.id
    ports = Ports({**q.units, **lowered.units}, q.payloads, signed)
    return assemble_network(integer, chip, timing, ports, conv_exponent=settings.conv_exponent)


def programs_rest(integer: Graph, shifts: Mapping[str, int]) -> bool:
    """True if every neuron program stays as it starts until its first input arrives; otherwise all neurons restart then.

    Raises:
        Unsupported: one would fire before that, into a delayed synapse: what is on its way no restart clears.
    """
    rest = True
    for name, node in integer.named(GridNeuron).items():
        still, silent = is_at_rest(node, integer.shapes[name], shifts[name] + 1)
        if not silent and any(edge.delay for edge in integer.edges):
            what = "fires at rest, so it would fire before its input arrives, into a delayed synapse"
            raise Unsupported(name, what, "train with a positive threshold, and without a bias that reaches it alone")
        rest &= still
    return rest


def hold_lowered(built: Built, data: Feed) -> Pair | None:
    """The integer graph after its burst neurons were replaced, against the one before: every layer that both have.

    None where nothing was replaced.
    """
    before, after = built.quantized.graph, built.integer
    common = [n for n in neurons(before) if n in after.nodes]
    if not any(o.decoupled for o in built.lowered.offers) or not common:
        return None
    inputs = integer_inputs(built.quantized, data)
    a = run_reference(before, with_constant(before, inputs), data.steps, record=common)
    b = _definition(built, with_constant(after, inputs), data.steps, common)
    b = replace(b, steps=data.steps, outputs={n: values[:: built.lowered.phases] for n, values in b.outputs.items()})
    return replace(compare(a, b, common), a="burst integers", b="decoupled integers")


def _definition(built: Built, inputs: Mapping[str, Floats], steps: int, record: Iterable[str]) -> Trace:
    """The integer graph's run, in steps of the chip."""
    run = run_reference if built.lowered.phases == 1 else run_phased
    return run(built.integer, inputs, steps, record)


def without_proven(placement: Placement, built: Built) -> Placement:
    """The placement without the worst-case warnings (L013) that a construction's own conditions have settled.

    A decoupled neuron's forcing synapses exclude each other, which a sum of absolute weights cannot know.
    """
    return without_worst_case(placement, built.lowered.offers)


def without_worst_case(placement: Placement, offers: Iterable[BurstRow]) -> Placement:
    """The placement without the worst-case warnings (L013) of layers whose construction's own conditions exclude it."""
    layers = {o.layer for o in offers if o.decoupled}

    def proven(where: str) -> bool:
        return any(written(where).startswith(f"{written(layer)}.") for layer in layers)

    return replace(placement, findings=tuple(f for f in placement.findings if f.code != "L013" or not proven(f.where)))


def hold_against_definition(built: Built, data: Feed) -> tuple[Pair, Trace]:
    """The chip network, shifted layer by layer, against the integer graph it was made from: equal, or a defect."""
    layers = neurons(built.integer)
    whole = with_constant(built.integer, integer_inputs(built.quantized, data))
    definition = _definition(built, whole, data.steps, layers)
    trace = run_hosted(built.network, data.inputs)
    pair = compare(definition, trace, layers, grade=built.network.grade)
    return replace(pair, a="integer graph", b="chip network"), trace


def _through_time(values: Floats, steps: int) -> Floats:
    return np.broadcast_to(values, (steps, *values.shape[1:]))


def rule_in(text: str) -> str:
    """The design rule that an error names, or E000 for one that names none."""
    start = text.find("L0")
    return text[start : start + 4] if start >= 0 and text[start + 1 : start + 4].isdigit() else "E000"
