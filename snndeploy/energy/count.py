"""From a run and a placement to the events of one inference."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from snndeploy.arrays import Floats
from snndeploy.chip.models import HostInput
from snndeploy.chip.network import ChipNetwork, Conv, Dense, Population, Projection, Sparse, Wire
from snndeploy.chip.program import NeuronProgram
from snndeploy.energy.events import CoreLoad, Events
from snndeploy.energy.fan_out import Bools, fan_out, zeros_looked_up
from snndeploy.errors import DataError, DoesNotFit, did_you_mean
from snndeploy.placement import Core, Placement
from snndeploy.trace import Trace

FORMATS = {Dense: "sop_dense", Sparse: "sop_sparse", Conv: "sop_conv"}


def count_events(network: ChipNetwork, trace: Trace, placement: Placement) -> Events:
    """The events of one inference, means over the trace's samples.

    A spike is charged for every synapse it meets even if it is sent so late that the run ends before it arrives.

    Raises:
        DataError: the trace lacks a population or counts another shape.
        DoesNotFit: the placement has no reach, because the network could not be cut into cores.
    """
    sent = _sent(network, trace)
    missing = [name for name in network.populations if name not in placement.reach]
    if missing or not placement.cores:
        raise DoesNotFit("energy", f"the placement does not say where the spikes of {missing or 'any population'} go", "read its findings")
    loads = _loads(network, trace, placement, sent)
    return Events(
        steps=trace.steps,
        cores=len(placement.cores),
        chips=placement.chips,
        synapses=sum(int(fan_out(p, *_ends(network, p)).sum()) for p in network.projections),
        loads=loads,
        spread=_spread(network, trace),
        programs=tuple((m.name, len(m.code)) for m in {id(m): m for m in _programs(network).values()}.values()),
        **_synaptic(network, sent),
        **_updates(network, trace),
        **_traffic(network, placement, sent),
        **_host(network, placement, sent),
    )


def _sent(network: ChipNetwork, trace: Trace) -> dict[str, Floats]:
    """[size] spikes an inference of every neuron."""
    sent = {}
    for name, population in network.populations.items():
        if name not in trace.activity:
            raise DataError("energy", f"the trace has no population {name!r}", did_you_mean(name, trace.activity))
        spikes = trace.activity[name].spikes
        if spikes.size != population.size:
            raise DataError("energy", f"the trace counts {spikes.shape} neurons of {name}, which has {population.shape}")
        sent[name] = spikes.ravel().astype(np.float64) / max(1, trace.samples)
    return sent


def _ends(network: ChipNetwork, p: Projection) -> tuple[Population, Population]:
    return network.populations[p.source], network.populations[p.target]


def _programs(network: ChipNetwork) -> dict[str, NeuronProgram]:
    return {name: p.model for name, p in network.populations.items() if isinstance(p.model, NeuronProgram)}


def _synaptic(network: ChipNetwork, sent: Mapping[str, Floats]) -> dict[str, float]:
    totals = dict.fromkeys((*FORMATS.values(), "sop_zero", "macs"), 0.0)
    for p in network.projections:
        if isinstance(p.synapses, Wire):
            continue
        operations = float(fan_out(p, *_ends(network, p)) @ sent[p.source])
        totals[FORMATS[type(p.synapses)]] += operations
        totals["sop_zero"] += float(zeros_looked_up(p, *_ends(network, p)) @ sent[p.source])
        totals["macs"] += operations * p.graded
    return totals


def _updates(network: ChipNetwork, trace: Trace) -> dict[str, float]:
    totals = dict.fromkeys(("updates_idle", "updates_active", "program_idle", "program_active", "instructions"), 0.0)
    programs, samples = _programs(network), max(1, trace.samples)
    for name, population in network.populations.items():
        if isinstance(population.model, HostInput):
            continue
        activity = trace.activity[name]
        kind = "program" if name in programs else "updates"
        totals[f"{kind}_active"] += activity.active / samples
        totals[f"{kind}_idle"] += (activity.updates - activity.active) / samples
        if name in programs:
            totals["instructions"] += len(programs[name].code) * activity.updates / samples
    return totals


def _traffic(network: ChipNetwork, placement: Placement, sent: Mapping[str, Floats]) -> dict[str, float]:
    totals = dict.fromkeys(("spikes", "messages", "hops_x", "hops_y", "messages_offchip"), 0.0)
    for name, population in network.populations.items():
        if not isinstance(population.model, HostInput):
            reach = placement.reach[name]
            totals["spikes"] += float(sent[name].sum())
            for key, each in (
                ("messages", reach.cores),
                ("hops_x", reach.hops_x),
                ("hops_y", reach.hops_y),
                ("messages_offchip", reach.off_chip),
            ):
                totals[key] += float(each @ sent[name])
    return totals


def _host(network: ChipNetwork, placement: Placement, sent: Mapping[str, Floats]) -> dict[str, float]:
    totals = dict.fromkeys(("host_spikes", "host_biases", "outputs"), 0.0)
    for name, population in network.inputs().items():
        leaving = [p.synapses for p in network.projections if p.source == name]
        biases = sum(isinstance(s, Wire) and s.as_bias for s in leaving)
        still = isinstance(population.model, HostInput) and population.model.static and network.phases == 1
        held = max(1, network.steps) if still else 1
        writes = min(network.phases, 2)  # where a step has further ones, the bias is written, and taken back after the first
        totals["host_biases"] += float(sent[name].sum()) / held * biases * writes
        if biases < len(leaving):
            totals["host_spikes"] += float(placement.reach[name].cores @ sent[name])
    if network.readout is not None:
        read = network.populations[network.readout.population]
        # a membrane that keeps everything is read once; one that the host averages or searches, at every step
        reads = 1 if network.readout.decode in ("last", "membrane", "none") else max(1, network.steps)
        totals["outputs"] = float(read.size * reads if read.reads != "spikes" else sent[read.name].sum())
    return totals


def _spread(network: ChipNetwork, trace: Trace) -> tuple[float, float]:
    """5 % and 95 % quantiles over the samples of all spikes on the chip, as multiples of their mean."""
    names = [name for name in network.populations if name not in network.inputs()]
    total = np.sum([trace.activity[name].per_sample for name in names], axis=0) if names else np.zeros(1)
    mean = float(np.mean(total)) if np.size(total) else 0.0
    low, high = np.quantile(total, (0.05, 0.95)) / mean if mean else (1.0, 1.0)
    return float(low), float(high)


def _loads(network: ChipNetwork, trace: Trace, placement: Placement, sent: Mapping[str, Floats]) -> tuple[CoreLoad, ...]:
    return tuple(_load(network, trace, placement, core, sent) for core in placement.cores)


def _load(network: ChipNetwork, trace: Trace, placement: Placement, core: Core, sent: Mapping[str, Floats]) -> CoreLoad:
    held: dict[str, Bools] = {}
    for piece in core.slices:
        held.setdefault(piece.population, np.zeros(network.populations[piece.population].size, np.bool_))[piece.first : piece.last] = True
    messages, sop = _arriving(network, held, sent)
    steps, samples = max(1, trace.steps), max(1, trace.samples)
    shares = [(name, float(mask.mean()), mask) for name, mask in held.items()]
    return CoreLoad(
        messages_in=messages / steps,
        sop=sop / steps,
        neurons=core.neurons,
        active=sum(share * trace.activity[name].active for name, share, _ in shares) / samples / steps,
        spikes=sum(float(sent[name][mask].sum()) for name, _, mask in shares) / steps,
        messages_out=sum(float((placement.reach[name].cores * sent[name])[mask].sum()) for name, _, mask in shares) / steps,
    )


def _arriving(network: ChipNetwork, held: Mapping[str, Bools], sent: Mapping[str, Floats]) -> tuple[float, float]:
    """(messages, synaptic operations) of a core in an inference; a spike that enters several of its populations is one message."""
    sop, reached = 0.0, {name: np.zeros(len(spikes), np.bool_) for name, spikes in sent.items()}
    for p in network.projections:
        if p.target not in held:
            continue
        if isinstance(p.synapses, Wire):
            reached[p.source] |= held[p.target] & (not p.synapses.as_bias)
        else:
            synapses = fan_out(p, *_ends(network, p), held[p.target])
            reached[p.source] |= synapses > 0
            sop += float(synapses @ sent[p.source])
    return sum(float(sent[name][mask].sum()) for name, mask in reached.items()), sop
