"""The whole toolchain on one page: load, lower, quantize, place, run, verify, price, report.

Nothing is visited twice and nothing is written back; each line below takes the noun that the line above made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import converters
from snndeploy.chip.network import ChipNetwork
from snndeploy.cost import Cost
from snndeploy.data import Encoding, Samples, read
from snndeploy.energy import count_events, estimate
from snndeploy.errors import DoesNotFit, ModelError, OptionError, did_you_mean
from snndeploy.flow.bursts import NAMES, Offer
from snndeploy.flow.chips import Built, build, hold_against_definition, settings_for
from snndeploy.flow.feeding import Feed, calibration, chip_predictions, describe_inputs, feed, float_predictions
from snndeploy.flow.lowering import PassResult, to_normal_form
from snndeploy.hw import Profile, load_profile
from snndeploy.ir.graph import Graph
from snndeploy.ir.layers import Input
from snndeploy.ir.paths import neurons
from snndeploy.place import place
from snndeploy.placement import Placement
from snndeploy.quantize import LayerScale
from snndeploy.sim.reference import run_reference
from snndeploy.trace import Trace
from snndeploy.verdict import Verdict
from snndeploy.verify import fidelity


@dataclass(frozen=True)
class Wishes:
    """What the user may choose; the defaults are what most want.

    ``weight_bits`` by layer pattern, ``burst`` a construction or "auto", ``encode`` how static data become spikes,
    ``calibration_samples`` how many samples the quantizer sees, ``max_drop`` the points of accuracy it may lose.
    """

    chip: str = "loihi2"
    weight_bits: Mapping[str, int] = field(default_factory=dict)
    burst: str = "auto"
    encode: Encoding = "direct"
    seed: int = 0
    calibration_samples: int = 128
    check_samples: int = 16
    max_drop: float = 0.5

    def __post_init__(self) -> None:
        if self.burst not in NAMES:
            raise OptionError("--burst", f"{self.burst!r} is no construction", did_you_mean(self.burst, NAMES))


@dataclass(frozen=True, eq=False)
class Deployment:
    """A network on its way to a chip, and everything that was found out about it."""

    name: str
    loaded: converters.Loaded
    graph: Graph
    """The float graph, with its inputs described."""
    data: Feed
    wishes: Wishes
    assumptions: tuple[str, ...]
    lowered: Graph
    """The float graph in normal form."""
    passes: tuple[PassResult, ...]
    profile: Profile
    built: Built
    placement: Placement
    verdict: Verdict
    chip_trace: Trace
    float_trace: Trace
    cost: Cost

    @property
    def network(self) -> ChipNetwork:
        """The chip network."""
        return self.built.network

    @property
    def offers(self) -> tuple[Offer, ...]:
        """The constructions that were weighed for each burst layer."""
        return self.built.lowered.offers

    @property
    def scales(self) -> tuple[LayerScale, ...]:
        """How each layer became integers."""
        return self.built.quantized.layers

    @property
    def ok(self) -> bool:
        """True if it is exact where equality is claimed, fits, and loses no more accuracy than was allowed."""
        drop = self.verdict.fidelity.drop if self.verdict.fidelity else None
        return self.verdict.grade == "exact" and self.placement.fits and (drop is None or drop <= self.wishes.max_drop)


def load(model: str | Path | Any, example: Any = None, options: converters.Options | None = None) -> converters.Loaded:
    """A model file, or a live torch module with an example input, read as a network.

    Raises:
        ModelError: what the file or module is instead.
    """
    options = options or converters.Options()
    if not isinstance(model, str | Path):
        from converters import pt  # noqa: PLC0415 - loads torch, and only a live module needs it

        return pt.from_module(model, example, options)
    loaded = converters.load(model, options)
    if not isinstance(loaded, converters.Loaded):
        raise ModelError(str(model), "is a chip network already", "run, verify or report it; convert takes the model it was made from")
    return loaded


def convert(
    model: str | Path | Any,
    data: Samples | str | Any,
    wishes: Wishes | None = None,
    options: converters.Options | None = None,
) -> Deployment:
    """Take a trained network to a verified chip network.

    Args:
        model: a file, a live torch module, or a network that was loaded before.
        data: a ``--data`` spec, ``Samples``, or an array of inputs [N, ...] (and for a live module its example).
        wishes: what the user chose.
        options: what the file cannot say.

    Raises:
        SnnError: whatever is wrong, in one shape.
    """
    wishes, options = wishes or Wishes(), options or converters.Options()
    profile = load_profile(wishes.chip)
    samples = as_samples(data)
    loaded = model if isinstance(model, converters.Loaded) else load(model, _example(samples), options)
    everything = feed(samples, input_shapes(loaded.graph), options.timesteps or loaded.steps, wishes.encode, wishes.seed)
    graph, said = describe_inputs(loaded.graph, everything)
    few = everything.first(wishes.check_samples)
    lowered, passes = to_normal_form(graph, few)
    seen = feed(calibration(samples, wishes.calibration_samples), input_shapes(graph), everything.steps, wishes.encode, wishes.seed)
    settings = settings_for(lowered, profile, everything.steps, wishes.weight_bits, wishes.burst)
    built = build(lowered, profile, seen, settings, wishes.burst, run_reference(lowered, seen.inputs, seen.steps))
    placement = place(built.network, profile, built.payloads())
    if not placement.fits and any(f.code == "L015" for f in placement.findings):
        raise DoesNotFit(wishes.chip, "; ".join(str(f) for f in placement.findings if f.severity == "blocker"))
    float_trace = run_reference(graph, everything.inputs, everything.steps)
    pair, chip_trace = hold_against_definition(built, everything)
    verdict = Verdict(
        (*(p.pair for p in passes if p.changed), *(o.pair for o in built.lowered.offers if o.pair), pair),
        fidelity(float_predictions(graph, float_trace), chip_predictions(built.network, chip_trace), everything.labels),
    )
    cost = estimate(count_events(built.network, chip_trace, placement), profile)
    notes = (*loaded.assumptions, *everything.assumptions, *said)
    return Deployment(
        _name(model), loaded, graph, everything, wishes, notes, lowered, passes,
        profile, built, placement, verdict, chip_trace, float_trace, cost,
    )  # fmt: skip


def as_samples(data: Samples | str | Any) -> Samples:
    """A ``--data`` spec, samples, or an array of inputs, as samples."""
    if isinstance(data, Samples):
        return data
    if isinstance(data, str | Path):
        return read(str(data))
    array = data.detach().cpu().numpy() if hasattr(data, "detach") else data
    return Samples({"": array})


def input_shapes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """Every Input's shape."""
    return {name: node.shape for name, node in graph.named(Input).items()}


def layer_names(graph: Graph) -> tuple[str, ...]:
    """The neuron layers."""
    return neurons(graph)


def _example(samples: Samples) -> Any:
    values = next(iter(samples.inputs.values()))
    return values[:2]


def _name(model: Any) -> str:
    return Path(model).stem if isinstance(model, str | Path) else type(model).__name__
