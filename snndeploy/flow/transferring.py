"""A network that is integers already -> a chip: nothing is quantized and nothing is lost; it is placed, run and held to account."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from snndeploy.chip.network import ChipNetwork
from snndeploy.cost import Cost
from snndeploy.data import Samples, accuracy
from snndeploy.energy import Events, count_events, estimate
from snndeploy.errors import DoesNotFit, OptionError
from snndeploy.faults import Fault
from snndeploy.flow import saved
from snndeploy.flow.chips import must_simulate
from snndeploy.flow.deployment import Wishes
from snndeploy.flow.feeding import Feed, chip_predictions
from snndeploy.flow.given import read_out
from snndeploy.flow.making import making_of
from snndeploy.flow.recording import Record, beside, placed_as_made, repeated, same_data, write_recorded
from snndeploy.flow.reporting import chip_report
from snndeploy.hw import Profile, load_profile
from snndeploy.placement import Placement
from snndeploy.report.provenance import Provenance
from snndeploy.report.report import Report, SourceFile
from snndeploy.sim.host import run_hosted
from snndeploy.trace import Trace
from snndeploy.verdict import Fidelity, Verdict


@dataclass(frozen=True, eq=False)
class Transfer:
    """A chip network on a chip of the user's choice, and everything that was found out about it there."""

    name: str
    network: ChipNetwork
    data: Feed
    wishes: Wishes
    profile: Profile
    placement: Placement
    verdict: Verdict
    trace: Trace
    events: Events
    cost: Cost
    assumptions: tuple[str, ...] = ()
    samples: Samples | None = None
    """What was handed in, before it was fed."""
    origin: Provenance | None = None
    """What the conversion of these integers found out, where their file says it."""
    command: str = ""
    files: tuple[SourceFile, ...] = ()

    @property
    def ok(self) -> bool:
        """True if the verdict is as it was wished, what the file says of the conversion included; one too large is never made."""
        return self.verdict.as_wished(self.wishes.max_drop) and self.placement.fits

    @property
    def faults(self) -> tuple[Fault, ...]:
        """What left its register."""
        return self.verdict.faults


def transfer(
    network: ChipNetwork, samples: Samples, wishes: Wishes, decode: str | None, name: str, record: Record | None = None
) -> Transfer:
    """Place, run on all samples, hold the simulator against the plain int64 definition, price.

    ``record`` is what the file that the network was read from keeps of its conversion.

    Raises:
        DoesNotFit: the blockers are named.  OptionError: a wish that integers cannot follow.
    """
    profile = load_profile(wishes.chip)
    must_simulate(profile)
    record = record or Record()
    moved, placement = onto(network, profile, wishes, record)
    said = read_by(moved, decode)
    if not placement.fits:
        raise DoesNotFit(wishes.chip, placement.blockers, "snndeploy check lists every finding and writes nothing")
    fed, data = saved.fed(said, samples, wishes.encode, wishes.seed)
    trace = run_hosted(fed, data.inputs)
    pair = saved.chip_pair(fed, samples, wishes.encode, wishes.seed)
    events = count_events(fed, trace, placement)
    told = record.made or Provenance("", "")
    verdict = Verdict(
        (pair,), _right(fed, trace, data), rates=told.rates, model_only=network.model_only, faults=trace.faults,
        recorded=told.pairs, recorded_proofs=told.proofs,
    )  # fmt: skip
    notes = (*_moved(network, profile), *data.assumptions, *record.unread)
    kept, cost = replace(said, steps=data.steps), estimate(events, profile)
    return Transfer(name, kept, data, wishes, profile, placement, verdict, trace, events, cost, notes, samples, record.made)


def onto(network: ChipNetwork, profile: Profile, wishes: Wishes, record: Record) -> tuple[ChipNetwork, Placement]:
    """The same integers, made for another chip, and where they sit there; warnings that their conversion settled do not come back.

    Raises:
        OptionError: ``--weight-bits``, ``--burst`` or ``--substitute``, which choose integers where there are only real numbers.
    """
    choices = {"--weight-bits": bool(wishes.bits), "--burst": wishes.burst != "auto", "--substitute": bool(wishes.substitute)}
    for option, chosen in choices.items():
        if chosen:
            raise OptionError(option, "chooses integers, and this file holds them already", "leave it out, or convert the float model")
    board = f"{profile.id}:{profile.board}" if profile.board else profile.id
    moved = replace(network, chip=board)
    return moved, placed_as_made(moved, profile, record.made)


def read_by(network: ChipNetwork, decode: str | None) -> ChipNetwork:
    """The network whose read-out population is read as the user says. Raises ``OptionError`` where it has none."""
    if decode is None:
        return network
    if network.readout is None:
        raise OptionError("--decode", "this chip network has no population that is read", "leave it out")
    kind, vote = read_out(decode)
    return replace(network, readout=replace(network.readout, decode=kind or network.readout.decode, vote=vote))


def _right(network: ChipNetwork, trace: Trace, data: Feed) -> Fidelity | None:
    """How often the chip is right; there is no float network to be near to."""
    if network.readout is None:
        return None
    if data.labels is None:
        return Fidelity(data.samples)
    return Fidelity(data.samples, None, accuracy(chip_predictions(network, trace, data.labels), data.labels))


def _moved(network: ChipNetwork, profile: Profile) -> tuple[str, ...]:
    before = network.chip.split(":")[0]
    return (f"the integers were made for {before}; here they run on {profile.id} unchanged",) if before not in ("", profile.id) else ()


def save(made: Transfer, stem: str | Path) -> Path:
    """Write ``stem.<chip>.onnx``."""
    path = Path(f"{stem}.{made.profile.id}.onnx")
    write_recorded(made.network, path, provenance_of(made))
    return path


def provenance_of(t: Transfer) -> Provenance:
    """What the file keeps: what the first conversion found out, and what was found out here."""
    making = making_of(t.data, t.command, t.files)
    new = Provenance(
        "", t.name, making, pairs=t.verdict.pairs, fidelity=t.verdict.fidelity, assumptions=t.assumptions,
        about_data=t.data.assumptions, max_drop=t.wishes.max_drop,
    )  # fmt: skip
    return new if t.origin is None else _onto(t.origin, new, t.data)


def _onto(base: Provenance, new: Provenance, data: Feed) -> Provenance:
    """What is known of the conversion, with what the transfer found on its own ``data``."""
    about = (*base.about_data, *new.about_data) if same_data(base, data) else new.about_data
    return replace(
        base, model=new.model, making=new.making, origin=base.origin or base.making, fidelity=new.fidelity,
        pairs=(*base.pairs, *new.pairs), assumptions=tuple(dict.fromkeys((*beside(base, data), *new.assumptions))),
        about_data=tuple(dict.fromkeys(about)),
    )  # fmt: skip


def report_of(t: Transfer) -> Report:
    """Everything the transfer found out."""
    found = chip_report(t.name, t.network, t.profile, t.placement, t.verdict, t.trace, t.events, t.cost)
    found = replace(found, assumptions=(*t.assumptions, *found.assumptions))
    return repeated(found, provenance_of(t), t.data)
