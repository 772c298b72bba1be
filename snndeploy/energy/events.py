"""What happened in one inference, in the units that have prices."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CoreLoad:
    """What one core does in a mean step: what arrives, what it computes, what it sends."""

    messages_in: float
    sop: float
    neurons: int
    active: float
    spikes: float
    messages_out: float


@dataclass(frozen=True)
class Events:
    """Counted events of one inference: means over the samples of a run.

    Attributes:
        steps: chip steps; ``cores`` and ``chips``: how many are used.
        sop_dense, sop_sparse, sop_conv: synaptic operations: one non-zero weight added because of one spike.
        sop_zero: zero weights looked up where a dense matrix or a kernel is stored whole; no part of ``sop``.
        macs: those of the synaptic operations that multiply by a payload.
        updates_idle, updates_active: neuron-steps of fixed neurons without and with an input or bias other than 0.
        program_idle, program_active: the same for neurons that run a program; ``instructions`` they execute.
        spikes: spikes sent on the chip; ``messages``: one for each destination core of each spike.
        hops_x, hops_y: mesh hops; ``messages_offchip``: messages that leave their chip.
        host_spikes: messages the host injects; ``host_biases``: bias mantissas the host writes.
        outputs: values the host reads.
        synapses: non-zero weights (a kernel's counted where it is used).
        loads: one a core. ``spread``: 5 % and 95 % quantiles of spikes a sample, as multiples of the mean.
        programs: each program's name and length.
    """

    steps: int
    cores: int = 1
    chips: int = 1
    sop_dense: float = 0.0
    sop_sparse: float = 0.0
    sop_conv: float = 0.0
    sop_zero: float = 0.0
    macs: float = 0.0
    updates_idle: float = 0.0
    updates_active: float = 0.0
    program_idle: float = 0.0
    program_active: float = 0.0
    instructions: float = 0.0
    spikes: float = 0.0
    messages: float = 0.0
    hops_x: float = 0.0
    hops_y: float = 0.0
    messages_offchip: float = 0.0
    host_spikes: float = 0.0
    host_biases: float = 0.0
    outputs: float = 0.0
    synapses: int = 0
    loads: tuple[CoreLoad, ...] = ()
    spread: tuple[float, float] = (1.0, 1.0)
    programs: tuple[tuple[str, int], ...] = ()

    @property
    def sop(self) -> float:
        """All synaptic operations."""
        return self.sop_dense + self.sop_sparse + self.sop_conv

    @property
    def spikes_per_synapse(self) -> float:
        """Synaptic operations a synapse and inference: what decides between a spiking and an ordinary network."""
        return self.sop / self.synapses if self.synapses else 0.0

    @property
    def imbalance(self) -> float:
        """Synaptic operations of the busiest core over the mean of the cores; 1 is even."""
        total = sum(load.sop for load in self.loads)
        return max(load.sop for load in self.loads) * len(self.loads) / total if total else 1.0

    def counts(self) -> dict[str, float]:
        """The counts by the names the JSON report uses."""
        return {
            "synaptic_ops": self.sop,
            "zero_weight_lookups": self.sop_zero,
            "multiply_accumulates": self.macs,
            "neuron_updates_active": self.updates_active + self.program_active,
            "neuron_updates_idle": self.updates_idle + self.program_idle,
            "program_instructions": self.instructions,
            "spikes": self.spikes,
            "messages": self.messages,
            "messages_offchip": self.messages_offchip,
            "hops_x": self.hops_x,
            "hops_y": self.hops_y,
            "host_spikes": self.host_spikes,
            "host_biases": self.host_biases,
            "outputs": self.outputs,
            "steps": float(self.steps),
        }
