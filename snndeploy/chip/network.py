"""The network as the chip holds it: integers only, each within its register by construction."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeAlias

import numpy as np

from snndeploy.arrays import Ints, Shape, frozen_ints
from snndeploy.chip.models import HostInput, Lif, Model, Resonator, TernaryLif
from snndeploy.chip.program import NeuronProgram
from snndeploy.chip.registers import check_registers
from snndeploy.errors import ChipError, did_you_mean

MAX_DELAY = 62
LATER: Mapping[str, bool] = MappingProxyType({"later": True})
"""Marks a field that files saved before it do not have: it is written only where it is not its default."""


@dataclass(frozen=True, eq=False)
class Dense:
    """Every source neuron to every target neuron: ``weights`` [O, I], both sides flat in C order.

    ``delays`` [O, I] delays each synapse by itself (None: none).
    """

    weights: Ints
    delays: Ints | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_ints(self.weights))
        if self.delays is not None:
            object.__setattr__(self, "delays", frozen_ints(self.delays))


@dataclass(frozen=True, eq=False)
class Conv:
    """Cross-correlation as in torch (not flipped): ``weights`` [O, C/groups, *K] on a source [C, *S].

    Lava flips kernels and ignores exponents here; its sum wraps to 24 bits, and so does ours.
    """

    weights: Ints
    stride: Shape
    padding: tuple[tuple[int, int], ...]
    dilation: Shape
    groups: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen_ints(self.weights))

    def out_shape(self, source: Shape) -> Shape:
        """The target's shape for a source [C, *S]; () where the kernel does not fit."""
        kernel = self.weights.shape[2:]
        if len(source) != len(kernel) + 1 or source[0] != self.weights.shape[1] * self.groups or len(self.weights) % self.groups:
            return ()
        axes = zip(source[1:], kernel, self.stride, self.padding, self.dilation, strict=True)
        spatial = tuple((n + p[0] + p[1] - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)
        return (len(self.weights), *spatial) if min(spatial) > 0 else ()


@dataclass(frozen=True, eq=False)
class Sparse:
    """Single synapses: ``weights[i]`` from flat source ``columns[i]`` to flat target ``rows[i]``, ``delays[i]`` late."""

    rows: Ints
    columns: Ints
    weights: Ints
    delays: Ints | None = None

    def __post_init__(self) -> None:
        for name in ("rows", "columns", "weights"):
            object.__setattr__(self, name, frozen_ints(getattr(self, name)))
        if self.delays is not None:
            object.__setattr__(self, "delays", frozen_ints(self.delays))


@dataclass(frozen=True, eq=False)
class Wire:
    """No synapse: the source's value enters the target in the same step, as synaptic input or ``as_bias``.

    Only a ``HostInput`` may be wired; ``as_bias`` is the host writing bias mantissas (shifted by the bias exponent).
    With a projection ``delay`` the value enters that many steps later.
    """

    as_bias: bool = False


Synapses: TypeAlias = Dense | Conv | Sparse | Wire


@dataclass(frozen=True, eq=False)
class Projection:
    """Synapses from one population to another.

    The sum of a step is shifted left by ``exponent`` (right, floored, where negative) and arrives ``1 + delay``
    steps after the spike. ``graded`` multiplies by the payload; otherwise any non-zero spike counts as 1. Conv and
    Wire have no exponent.
    """

    name: str
    source: str
    target: str
    synapses: Synapses
    exponent: int = 0
    delay: int = 0
    graded: bool = False
    port: int = 0
    """1 for the second input of a ``Resonator``; every other model has port 0 only."""


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one model. ``origin`` names the layer of the float graph it came from, ``shift`` how many steps
    later than that layer it runs, ``scale`` the real value of one output unit (a spike, or one unit of v for read-outs).
    """

    name: str
    shape: Shape
    model: Model
    origin: str = ""
    shift: int = 0
    scale: float = 1.0
    reads: str = "spikes"
    """What the host reads: "spikes", or a state word: "v" (a membrane that never fires), "sigma" (of a SigmaDelta)."""

    @property
    def size(self) -> int:
        """How many neurons."""
        return math.prod(self.shape)


@dataclass(frozen=True, eq=False)
class HostLayer:
    """The first layer where the chip's spikes carry no payload: the host computes it and writes bias mantissas.

    mantissa = clip((synapses(round(x / unit)) + bias) >> shift, +-4095), one a neuron; ``source`` names the network's
    input of shape ``shape`` that x is. The HostInput of the same name in ``ChipNetwork.populations`` is wired as bias.
    """

    source: str
    shape: Shape
    synapses: Dense | Conv | Sparse
    bias: Ints
    shift: int
    unit: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bias", frozen_ints(self.bias))


@dataclass(frozen=True, eq=False)
class Readout:
    """How the host turns a population's record into the prediction; names as in ``ir.layers.Output``."""

    population: str
    decode: str = "sum"
    vote: int = 1


@dataclass(frozen=True, eq=False)
class ChipNetwork:
    """Populations, projections and the read-out. ``chip`` is the profile it was made for.

    Raises:
        ChipError: a value outside its register, an unknown name, shapes that do not fit.
    """

    chip: str
    populations: Mapping[str, Population]
    projections: tuple[Projection, ...]
    readout: Readout | None = None
    steps: int = 0
    """Model steps T of a sample."""
    host: Mapping[str, HostLayer] = field(default_factory=dict)
    """First layers that the host computes, by the HostInput they feed."""
    made_from: str = ""
    """SHA-256 of the saved float graph it was made from; "" where there is none."""
    phases: int = field(default=1, metadata=LATER)
    """Chip steps for each step of the model. The host sends at the first of them and nothing, bias currents included, at the
    others; of a population's record the first of every so many, from its shift on, is the model's."""

    def __post_init__(self) -> None:
        if type(self.phases) is not int or self.phases < 1:
            raise ChipError("chip network", f"{self.phases!r} chip steps for one of the model's", "1, or 2 for two-phase bursts")
        object.__setattr__(self, "populations", MappingProxyType(dict(self.populations)))
        object.__setattr__(self, "host", MappingProxyType(dict(self.host)))
        for population in self.populations.values():
            check_registers(population.name, population.model)
        for projection in self.projections:
            self._check_ends(projection)

    def _check_ends(self, p: Projection) -> None:
        for name in (p.source, p.target):
            if name not in self.populations:
                raise ChipError(f"projection {p.name}", f"there is no population {name!r}", did_you_mean(name, self.populations))
        if not 0 <= p.delay <= MAX_DELAY:
            raise ChipError(f"projection {p.name}", f"delay {p.delay} is outside 0..{MAX_DELAY}", "L008: put relay neurons in between")
        source, target = self.populations[p.source], self.populations[p.target]
        if p.port not in (0, 1) or (p.port and not isinstance(target.model, Resonator)):
            raise ChipError(f"projection {p.name}", f"{p.target} has no port {p.port}", "only a resonator has a second input")
        if not fits(p.synapses, source, target):
            raise ChipError(f"projection {p.name}", f"{type(p.synapses).__name__} does not fit {source.shape} -> {target.shape}")
        check_projection(p, target.model)

    def into(self, population: str) -> tuple[Projection, ...]:
        """The projections that end in a population."""
        return tuple(p for p in self.projections if p.target == population)

    def inputs(self) -> dict[str, Population]:
        """The populations the host feeds."""
        return {n: p for n, p in self.populations.items() if isinstance(p.model, HostInput)}

    @property
    def model_only(self) -> tuple[str, ...]:
        """Populations that run a neuron program: an instruction set of ours, with no silicon reference."""
        return tuple(n for n, p in self.populations.items() if isinstance(p.model, NeuronProgram))

    @property
    def grade(self) -> str:
        """What equality with this network means: "exact", or "model only"."""
        return "model only" if self.model_only else "exact"

    @property
    def latency(self) -> int:
        """Steps the last layer runs behind the input."""
        return max((p.shift for p in self.populations.values()), default=0)

    def chip_steps(self, length: int) -> int:
        """Steps the chip runs for a sample of ``length`` model steps, so that the last layer does all of them."""
        return length * self.phases + self.latency

    def window(self, population: str, length: int) -> slice:
        """Where a population's record holds the ``length`` steps of the model."""
        shift = self.populations[population].shift
        return slice(shift, shift + length * self.phases, self.phases)

    def __str__(self) -> str:
        populations = (f"  {p.name}: {type(p.model).__name__} {p.shape} shift={p.shift}" for p in self.populations.values())
        projections = (
            f"  {p.source} -> {p.target}: {type(p.synapses).__name__} exp={p.exponent} delay={p.delay}" + (" graded" if p.graded else "")
            for p in self.projections
        )
        rate = f", {self.phases} chip steps for each" if self.phases > 1 else ""
        return "\n".join([f"chip network for {self.chip}, T={self.steps}{rate}", *populations, *projections]) + "\n"


def fits(synapses: Synapses, source: Population, target: Population) -> bool:
    """True if the synapses lead from a population of this shape to one of that shape."""
    if isinstance(synapses, Dense):
        return synapses.weights.shape == (target.size, source.size)
    if isinstance(synapses, Conv):
        return synapses.out_shape(source.shape) == target.shape
    if isinstance(synapses, Wire):
        return source.shape == target.shape and isinstance(source.model, HostInput)
    if not synapses.rows.shape == synapses.columns.shape == synapses.weights.shape:
        return False
    ends = ((synapses.rows, target.size), (synapses.columns, source.size))
    return all(not index.size or (index.min() >= 0 and index.max() < size) for index, size in ends)


def check_projection(p: Projection, target: Model) -> None:
    """Raise ``ChipError`` where a projection asks for what its synapses or its target do not have."""
    where = f"projection {p.name}"
    if isinstance(target, HostInput):
        raise ChipError(where, f"{p.target} is an input of the host, nothing can enter it")
    if isinstance(p.synapses, Conv | Wire) and p.exponent:
        what = f"a {type(p.synapses).__name__} has no exponent, and {p.exponent} is given"
        raise ChipError(where, what, "scale its weights and the threshold")
    if isinstance(p.synapses, Wire) and p.synapses.as_bias and not isinstance(target, Lif | TernaryLif):
        raise ChipError(where, f"{p.target} has no bias register", "wire it as synaptic input")
    if isinstance(p.synapses, Dense | Sparse) and p.synapses.delays is not None:
        check_delays(where, p.synapses.delays, p.synapses.weights.shape, p.delay)


def check_delays(where: str, delays: Ints, shape: Shape, more: int) -> None:
    """Raise ``ChipError`` unless there is one delay a synapse, and each with ``more`` steps lies within 0..62."""
    if delays.shape != shape:
        raise ChipError(where, f"delays {delays.shape} do not fit weights {shape}")
    if delays.size and (delays.min() < 0 or delays.max() + more > MAX_DELAY):
        what = f"delays {delays.min()}..{delays.max() + more} are outside 0..{MAX_DELAY}"
        raise ChipError(where, what, "L008: put relay neurons in between")


def loihi_weights(weights: Ints, bits: int = 8, sign_mode: int | None = None) -> Ints:
    """The integers that Lava's Dense and Sparse really hold: clipped and truncated to the synapse grid.

    ``sign_mode`` 1 mixed (even values -256..254), 2 excitatory (0..255), 3 inhibitory (-255..0), None from the signs;
    0 is Lava's NULL, which clips as excitatory.
    Source: lava-nc 0.10.0 ``utils/weightutils.py`` (clip_weights, truncate_weights).
    """
    values = np.trunc(np.asarray(weights)).astype(np.int64)
    if sign_mode is None:
        sign_mode = 2 if values.min(initial=0) >= 0 else 3 if values.max(initial=0) <= 0 else 1
    mixed, sign = int(sign_mode == 1), -1 if sign_mode == 3 else 1
    shift = 8 - bits + mixed
    clipped = np.clip(sign * values, -256 * mixed, 255)
    return frozen_ints(sign * ((clipped >> shift) << shift))
