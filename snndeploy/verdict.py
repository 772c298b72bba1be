"""What was compared with what, and what was found: exactness and fidelity, never mixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from snndeploy.faults import Fault

Equality = Literal["exact", "different", "not_checked"]
Status = Literal["proved", "failed", "unknown"]


@dataclass(frozen=True)
class Divergence:
    """The first place two runs part, in running order: step, layer, neuron, both values, and the likely cause."""

    layer: str
    step: int
    sample: int
    neuron: tuple[int, ...]
    a: float
    b: float
    cause: str = ""

    def __str__(self) -> str:
        why = f" ({self.cause})" if self.cause else ""
        where = f"step {self.step}, layer {self.layer}, neuron {list(self.neuron)}, sample {self.sample}"
        return f"first at {where}: {self.a:g} against {self.b:g}{why}"


@dataclass(frozen=True)
class Pair:
    """Two executions of what should be the same network.

    ``compared`` values, of which ``different`` differ; of those ``within_bound`` lie at a threshold closer than the
    computed rounding bound (float executors only; integers have none). ``consequences`` are later differences of
    the same samples, which follow from those and count nowhere else.
    """

    a: str
    b: str
    compared: int
    different: int
    first: Divergence | None = None
    within_bound: int = 0
    grade: str = "exact"
    """"exact" where equality is claimed; "model only" where one side has no silicon reference."""
    consequences: int = 0

    @property
    def equal(self) -> bool:
        """True if nothing differs beyond rounding that was bounded."""
        return self.different == self.within_bound


@dataclass(frozen=True)
class Fidelity:
    """How near the chip's answers are to the float network's: never a claim of equality."""

    samples: int
    float_accuracy: float | None = None
    chip_accuracy: float | None = None
    agreement: float | None = None
    """Fraction of samples with the same prediction."""
    layers: Mapping[str, float] = field(default_factory=dict)
    """Per layer, the fraction of neuron-steps whose spike differs."""

    @property
    def drop(self) -> float | None:
        """Points of accuracy lost (positive: the chip is worse)."""
        if self.float_accuracy is None or self.chip_accuracy is None:
            return None
        return round(100 * (self.float_accuracy - self.chip_accuracy), 9)  # half a point is 0.5, not 0.5000000000000004


@dataclass(frozen=True)
class Counterexample:
    """A run that shows an obligation false: what enters, step by step, and what each side answers.

    Of a burst layer ``wanted`` and ``got`` are the rungs in the last step, of a burst program the payloads of all steps, of
    a compiled program the payload and then the words after the last step. ``start`` is the potential it starts from (0 is
    rest); a compiled program starts from ``words`` and, where it reads a table over time, at ``step`` (from 0). ``inputs``
    [T] are synaptic sums in weight units, ``host`` [T] what the host writes into the bias, in units of v. ``neuron`` is its
    flat index in the layer. ``replayed``: the chip simulator ran both sides on it and they differ.
    """

    neuron: int
    inputs: tuple[int, ...]
    host: tuple[int, ...] = ()
    wanted: tuple[int, ...] = ()
    got: tuple[int, ...] = ()
    replayed: bool = False
    start: int = 0
    words: Mapping[str, int] = field(default_factory=dict)
    step: int = 0


@dataclass(frozen=True)
class Proof:
    """One obligation: what was to be shown of which layer, and what came of it.

    ``unknown``: no proof and no counterexample, within ``limit`` seconds a question to the prover. Never a proof.
    ``by`` says who decided: z3, arithmetic on the deployed integers, or equal terms: both sides, run over terms, are the same.
    """

    name: str
    layer: str
    statement: str
    status: Status
    seconds: float = 0.0
    limit: float = 0.0
    by: str = "z3"
    found: str = ""
    """The numbers, or why there is no proof."""
    counterexample: Counterexample | None = None


@dataclass(frozen=True)
class RatePoint:
    """A converted network read after ``steps`` steps: its accuracy (None without labels), and how often it answers as the original."""

    steps: int
    accuracy: float | None
    agreement: float


@dataclass(frozen=True)
class RateCurve:
    """An artificial network turned into spikes: its own accuracy, and that of the float spiking network against T. Never exact."""

    samples: int
    original_accuracy: float | None
    points: tuple[RatePoint, ...]


@dataclass(frozen=True)
class Verdict:
    """All pairs that were compared, the fidelity, what was proved, and for a converted artificial network its accuracy against T.

    ``verdict`` says whether the compared values are equal; ``grade`` says what equal means; ``ties`` are counted in both.
    ``faults``: what left its register in the chip's run, or fell silent. They make nothing "different": the chip computed what
    its definition says; but nothing is as it was wished where there are any.
    """

    pairs: tuple[Pair, ...]
    fidelity: Fidelity | None = None
    not_checked: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    rates: RateCurve | None = None
    model_only: tuple[str, ...] | None = None
    """Populations of the chip network that run on a model no silicon confirms. None: there is no
    chip network to look at, so the grades of the pairs say it."""
    faults: tuple[Fault, ...] = ()
    recorded: tuple[Pair, ...] = ()
    """Compared when the network was converted, as its file says: not run again. They can make a verdict
    different and add ties, and never stand in for a run."""
    recorded_proofs: tuple[Proof, ...] = ()
    """Shown when the network was converted, as its file says, and not shown again. One that failed makes a verdict
    different, one that is open leaves it open; none makes anything better."""

    @property
    def verdict(self) -> Equality:
        """exact if every pair is equal (ties aside) and no obligation failed, different otherwise.

        not_checked if there is no pair.
        """
        if any(p.status == "failed" for p in self.every_proof) or not all(p.equal for p in self.recorded):
            return "different"
        if not self.pairs:
            return "not_checked"
        return "exact" if all(p.equal for p in self.pairs) else "different"

    @property
    def ties(self) -> int:
        """Spikes that differ only because the potential lies within a rounding bound of the threshold."""
        return sum(p.within_bound for p in self.every_pair)

    @property
    def every_pair(self) -> tuple[Pair, ...]:
        """What was compared when it was converted, then what was compared now."""
        return (*self.recorded, *self.pairs)

    @property
    def every_proof(self) -> tuple[Proof, ...]:
        """What was shown when it was converted, then what was shown now."""
        return (*self.recorded_proofs, *self.proofs)

    @property
    def proved(self) -> bool:
        """True if every obligation is proved, or none was asked for."""
        return all(p.status == "proved" for p in self.every_proof)

    def as_wished(self, max_drop: float) -> bool:
        """True if all is as it was wished, where ``max_drop`` points of accuracy may be lost.

        Exact where equality is claimed, proved where a proof was asked for, nothing left its register or fell
        silent, and no more was lost than was allowed. Whether it fits its chip is the placement's to say.
        """
        drop = self.fidelity.drop if self.fidelity else None
        shown = self.verdict == "exact" and self.proved and not self.faults
        return shown and (drop is None or drop <= max_drop)

    @property
    def rests_on_model(self) -> bool:
        """True if the chip network has no silicon reference: equality is with a model of ours."""
        if self.model_only is None:
            return any(p.grade == "model only" for p in self.every_pair)
        return bool(self.model_only)

    @property
    def grade(self) -> str:
        """What the verdict means.

        "exact" | "exact but for N ties" | "model only" | "model only, but for N ties" | "different" |
        "not_checked".
        """
        if self.verdict != "exact":
            return self.verdict
        ties = f"but for {self.ties:,} tie{'' if self.ties == 1 else 's'}" if self.ties else ""
        if self.rests_on_model:
            return f"model only, {ties}" if ties else "model only"
        return f"exact {ties}" if ties else "exact"


@dataclass(frozen=True)
class Moment:
    """One neuron at one step of the layer's own time: what entered it, its state words afterwards, and what it sent.

    ``before`` is v before the reset, by the rules, from the words of the step before; None where they do not say it.
    """

    step: int
    input: float | None
    words: Mapping[str, float]
    before: float | None
    output: float


@dataclass(frozen=True)
class Suspect:
    """One change, tried: the layer of the first side, so changed, against that of the second on the same input.

    ``cause`` is its class (``snndeploy explain`` knows each), ``words`` what was changed. ``reproduces``: "all" (output
    and every state word of every step), "output" alone, or "no"; "claim": of a decoupled burst layer, it makes it the burst
    neuron that its integers stand for; "mended": the first side's numbers in its place make the difference go, but for what
    the rounding of other numbers explains; "inferred": the numbers say so, no run was made, so it is no cause.
    """

    cause: str
    words: str
    reproduces: Literal["all", "output", "claim", "mended", "inferred", "no"]
    read: bool = False
    """The change was read in the two networks, not guessed."""


@dataclass(frozen=True)
class DifferingLayer:
    """A layer whose outputs differ, from ``step`` on in ``values`` values; ``own``: it differs when both are fed the same, too."""

    layer: str
    step: int
    values: int
    own: bool


@dataclass(frozen=True)
class Reduced:
    """The smallest input found that still makes the layer differ, and how small the part is that still does.

    ``entries`` of ``entries_before`` values other than 0 are left, in ``steps`` leading steps of ``samples`` samples.
    ``sources`` neurons fed the one neuron through ``synapses`` synapses, and this part alone ``still`` differs
    (None: it was not cut out). ``runs`` is what the search took.
    """

    samples: int
    steps: int
    entries: int
    entries_before: int
    runs: int
    sources: int = 0
    synapses: int = 0
    still: bool | None = None


@dataclass(frozen=True)
class Bisection:
    """Two networks on the same data: where they part, whose fault it is, and the change that explains it.

    ``layers`` are those that differ, in running order; ``culprit`` is the first that differs on its own ("" where
    nothing differs, or none does). ``suspects`` reproduce the second side, the best first; ``tried`` counts all that
    were run. ``a_around`` and ``b_around`` show the neuron of ``first`` in the culprit on each side.
    """

    a: str
    b: str
    compared: int
    different: int
    layers: tuple[DifferingLayer, ...] = ()
    culprit: str = ""
    first: Divergence | None = None
    hidden: bool = False
    """Only state words differ; every output is equal."""
    threshold: float | None = None
    a_around: tuple[Moment, ...] = ()
    b_around: tuple[Moment, ...] = ()
    suspects: tuple[Suspect, ...] = ()
    tried: int = 0
    reduced: Reduced | None = None
    mixed: bool = False
    """A float graph against a chip network: state words, in other units and rounded, are not compared."""

    @property
    def equal(self) -> bool:
        """True if no output and no state word differs."""
        return not self.layers

    @property
    def cause(self) -> str:
        """The class of what explains the difference, run again and seen to; "unknown" if nothing that was tried does."""
        if self.equal:
            return ""
        return next((s.cause for s in self.suspects if s.reproduces not in ("inferred", "no")), "unknown")
