"""Everything a deployment found out, gathered for printing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from numpy.typing import NDArray

from snndeploy.certificate import Certificate
from snndeploy.cost import Cost
from snndeploy.placement import Placement
from snndeploy.trace import Trace
from snndeploy.verdict import Fidelity, Pair, Verdict

SCHEMA = 1


@dataclass(frozen=True)
class FactRow:
    """One thing that is known of a layer, where it was read, and, if it was ``ASSUMED``, the option that changes it."""

    name: str
    value: str
    origin: str
    option: str = ""

    def __str__(self) -> str:
        return f"{self.origin} ({self.option})" if self.option else self.origin


@dataclass(frozen=True)
class LayerRow:
    """A layer of the float graph: what it computes, and where that was read from (``assumed`` if it was not).

    ``facts``: of a neuron, every number it has.
    """

    name: str
    kind: str
    neurons: int
    source: str = ""
    assumed: bool = False
    facts: tuple[FactRow, ...] = ()


@dataclass(frozen=True)
class PassRow:
    """A pass that changed the graph, what it did, and the comparison of the runs around it."""

    name: str
    did: str
    pair: Pair


@dataclass(frozen=True)
class BurstRow:
    """One construction offered for a burst layer: its price, and why it was not taken (empty: it could have been).

    ``latency`` in steps of the chip; ``spikes`` an inference, of all its neurons, where the burst neuron itself fires
    ``true_spikes`` times.
    """

    layer: str
    construction: str
    neurons: int
    synapses: int
    latency: int
    spikes: float
    joules: float
    chosen: bool
    why_not: str = ""
    pair: Pair | None = None
    true_spikes: float = 0.0
    phases: int = 1
    """Steps of the whole chip for one of the model's."""

    @property
    def per_spike(self) -> float | None:
        """Events for each spike of the burst neuron; None where it never fired."""
        return self.spikes / self.true_spikes if self.true_spikes and self.spikes == self.spikes else None

    @property
    def decoupled(self) -> bool:
        """True if it was taken, and puts plain neurons in the burst neuron's place."""
        return self.chosen and self.construction != "graded"


@dataclass(frozen=True)
class QuantRow:
    """How a layer became integers. ``scale`` is the real value of a weight unit, ``error`` the fraction of neuron-steps that differ."""

    layer: str
    weight_bits: int
    scale: float
    error: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceFile:
    """A file that was read: ``role`` ("model", "code", "data"), its name without folders, bytes, SHA-256 in hex."""

    role: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class DataUsed:
    """The data of a conversion: ``samples`` of ``steps``, and the SHA-256 of what was fed.

    ``labels`` is the SHA-256 of the labels; "" where there are none.
    """

    samples: int
    steps: int
    sha256: str
    labels: str = ""


@dataclass(frozen=True)
class Making:
    """How a chip network was made: the command ("" from Python), the versions of the tools, the files, the data.

    Nothing here says where: files are named without their folders.
    """

    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    files: tuple[SourceFile, ...] = ()
    data: DataUsed | None = None


@dataclass(frozen=True)
class Mesh:
    """The chip's geometry and the size of a core, where published (0: not)."""

    cores_per_chip: int = 0
    cores_per_tile: int = 4
    columns: int = 8
    rows: int = 4
    neurons_per_core: int = 0
    synapse_bits_per_core: int = 0


@dataclass(frozen=True, eq=False)
class Report:
    """A deployment, ready to be printed.

    ``events`` are counts an inference by name (``synaptic_ops``, ``messages``, ...); ``synapses`` non-zero weights;
    ``raster`` [T, *shape] the outputs of one sample by layer; ``sources`` the citation behind each source key;
    ``max_drop`` the points of accuracy that may be lost.
    """

    model: str
    chip: str
    placement: Placement
    verdict: Verdict
    trace: Trace
    steps: int
    layers: tuple[LayerRow, ...] = ()
    passes: tuple[PassRow, ...] = ()
    bursts: tuple[BurstRow, ...] = ()
    quantization: tuple[QuantRow, ...] = ()
    shifts: Mapping[str, int] = field(default_factory=dict)
    cost: Cost | None = None
    events: Mapping[str, float] = field(default_factory=dict)
    synapses: int = 0
    imbalance: float | None = None
    raster: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    raster_title: str = ""
    mesh: Mesh = field(default_factory=Mesh)
    max_drop: float = 0.5
    probed: tuple[str, ...] = ()
    """What neurons of no known class were found to be, and of how many steps none differed."""
    assumptions: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    certificate: Certificate | None = None
    making: Making | None = None
    origin: Making | None = None
    """How integers that were put on the chip as they are were made before."""
    simulated: bool = True
    """False for a chip that is priced, not simulated: then nothing was compared there."""

    def __post_init__(self) -> None:
        for name in ("shifts", "events", "raster", "sources"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))

    @property
    def fidelity(self) -> Fidelity | None:
        """How near the chip's answers are to the float network's."""
        return self.verdict.fidelity

    @property
    def ok(self) -> bool:
        """True if the verdict is as it was wished, and it fits."""
        return self.verdict.as_wished(self.max_drop) and self.placement.fits

    @property
    def unchecked(self) -> tuple[str, ...]:
        """Everything that was not checked, once each."""
        return tuple(dict.fromkeys((*self.verdict.not_checked, *self.not_checked)))
