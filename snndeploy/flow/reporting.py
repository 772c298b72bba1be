"""A deployment, or a saved chip network and a run of it -> the report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray

import converters
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork
from snndeploy.cost import Cost
from snndeploy.energy import Events
from snndeploy.flow.chip_semantics import chip_rows
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.making import making_of
from snndeploy.flow.semantics import facts, is_neuron
from snndeploy.hw import Profile
from snndeploy.ir.paths import neurons
from snndeploy.placement import Placement
from snndeploy.report.report import FactRow, LayerRow, Mesh, PassRow, QuantRow, Report
from snndeploy.trace import Trace
from snndeploy.verdict import Verdict

LAVA = "the real Lava (snndeploy verify --against lava runs it)"


def report_of(d: Deployment) -> Report:
    """Everything a conversion found out."""
    base = chip_report(d.name, d.network, d.profile, d.placement, d.verdict, d.chip_trace, d.events, d.cost)
    return Report(
        **{name: getattr(base, name) for name in base.__dataclass_fields__} | {
            "layers": shown_layers(d),
            "passes": pass_rows(d),
            "bursts": d.offers,
            "quantization": quant_rows(d),
            "probed": d.loaded.probed,
            "max_drop": d.wishes.max_drop,
            "making": making_of(d.data, d.command, d.files),
            "assumptions": (*d.assumptions, *_rate(d.network), *_host_work(d.network)),
        }
    )  # fmt: skip


def pass_rows(d: Deployment) -> tuple[PassRow, ...]:
    """The passes that changed the graph."""
    return tuple(PassRow(p.name, p.did, p.pair) for p in d.passes if p.changed)


def quant_rows(d: Deployment) -> tuple[QuantRow, ...]:
    """How each layer became integers."""
    notes = (_inexact(s.threshold_shift, s.decay_shift, s.notes) for s in d.scales)
    return tuple(QuantRow(s.layer, s.weight_bits, s.scale, s.error, said) for s, said in zip(d.scales, notes, strict=True))


def chip_report(
    name: str, network: ChipNetwork, profile: Profile, placement: Placement, verdict: Verdict, trace: Trace, events: Events, cost: Cost
) -> Report:
    """What a chip network and one run of it say; the way there is not in the file."""
    return Report(
        model=name,
        chip=profile.name,
        placement=placement,
        verdict=verdict,
        trace=trace,
        steps=network.steps,
        layers=chip_rows(network),
        shifts=dict(trace.shifts),
        cost=cost,
        events=events.counts(),
        synapses=events.synapses,
        imbalance=events.imbalance,
        raster=_raster(network, trace),
        raster_title="sample 0",
        simulated=profile.simulate,
        mesh=_mesh(profile),
        assumptions=(*_rate(network), *_host_work(network)),
        not_checked=(LAVA,),
    )


def sources(loaded: converters.Loaded) -> tuple[LayerRow, ...]:
    """Every layer of the network as it was read, in running order: what it computes, and who said so."""
    said, graph = {s.layer: s for s in loaded.semantics}, loaded.graph
    rows = []
    for name in graph.order:
        known, neuron = facts(loaded, name), is_neuron(graph.nodes[name])
        origin = _origin(said[name], () if neuron else known) if name in said else ("file", False)
        rows.append(LayerRow(name, str(graph.nodes[name]), math.prod(graph.shapes[name]), *origin, known if neuron else ()))
    return tuple(rows)


def _origin(source: converters.LayerSource, known: Sequence[FactRow]) -> tuple[str, bool]:
    """In words, and whether something is assumed; what is known of neurons stands in a table of its own."""
    origins = list(dict.fromkeys(f.origin for f in source.facts))
    words = [f"{f.name} {f.value} ({f.origin})" for f in known]
    return "; ".join([f"{', '.join(origins)}: {source.was}" if origins else source.was, *words]), "ASSUMED" in origins


def shown_layers(d: Deployment) -> tuple[LayerRow, ...]:
    """The layers of the network as it was read that the report shows: those that are neurons still."""
    return tuple(row for row in sources(d.loaded) if row.name in neurons(d.graph))


def _inexact(threshold: float, decay: float, notes: tuple[str, ...]) -> tuple[str, ...]:
    shifts = [f"{what} off by at most {100 * by:.2g} %" for what, by in (("threshold", threshold), ("decay", decay)) if by > 0]
    return (*shifts, *notes)


def _raster(network: ChipNetwork, trace: Trace) -> Mapping[str, NDArray[Any]]:
    shown = [n for n, p in network.populations.items() if p.reads == "spikes" and not isinstance(p.model, HostInput) and n in trace.outputs]
    return {name: trace.outputs[name][:, 0] for name in shown} if trace.samples else {}


def _rate(network: ChipNetwork) -> tuple[str, ...]:
    """What must be said of a network that takes several chip steps for one of the model's."""
    if network.phases == 1:
        return ()
    steps = f", {network.chip_steps(network.steps)} for {network.steps} and the way through" if network.steps else ""
    said = f"{network.phases} chip steps for each of the model's (two-phase){steps}: the host sends and reads at the first of them"
    return (f"{said}; energy and latency are those of all",)


def _host_work(network: ChipNetwork) -> tuple[str, ...]:
    return tuple(
        f"the host computes the layer into {name.removesuffix('.host')}, which enters as bias current: its energy is not in the estimate"
        for name in network.host
    )


def _mesh(profile: Profile) -> Mesh:
    def known(name: str, default: int = 0) -> int:
        value = profile.limits[name].value
        return default if value is None else int(value)

    return Mesh(
        known("cores_per_chip"), known("cores_per_tile", 4), known("mesh_x", 8), known("mesh_y", 4),
        known("neurons_per_core"), known("synapse_bits_per_core"),
    )  # fmt: skip
