"""What a conversion found out, kept in the chip network's file: written once, and repeated by every verb that reads it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from snndeploy.chip.network import ChipNetwork
from snndeploy.flow.chips import without_worst_case
from snndeploy.flow.deployment import Deployment
from snndeploy.flow.feeding import Feed
from snndeploy.flow.making import making_of
from snndeploy.flow.reporting import pass_rows, quant_rows, shown_layers, sources
from snndeploy.hw import Profile
from snndeploy.inert import written
from snndeploy.place import place
from snndeploy.placement import Placement
from snndeploy.report.provenance import Provenance, from_text, to_text
from snndeploy.report.report import Report
from snndeploy.verdict import Proof

OTHER_DATA = "of the data it was converted with: "
"""Begins what was assumed of, or seen in, data that are not those of the run at hand."""
RATES = "accuracy against T: was found when it was converted, on the data then, and not again"


@dataclass(frozen=True, eq=False)
class Record:
    """What a file says of its own making: None where it says nothing, and then ``unread`` is why, if it tried."""

    made: Provenance | None = None
    unread: tuple[str, ...] = ()


def read_record(path: Path) -> Record:
    """The record in a chip network's file. One that is damaged, or about another network, is left aside, and that is said."""
    from converters.onnx.plain import read_provenance  # noqa: PLC0415 - converters imports nouns of this package

    text, content = read_provenance(path) if path.suffix == ".onnx" else ("", "")
    if not text:
        return Record()
    try:
        return Record(from_text(text, content))
    except ValueError as error:
        return Record(None, (f"the record of the conversion in {path.name} {error}: nothing of it is repeated",))


def write_recorded(network: ChipNetwork, path: Path, made: Provenance) -> None:
    """The chip network's file, with what is known of its making."""
    from converters.onnx import content_of, save  # noqa: PLC0415 - as above

    save(network, path, provenance=to_text(replace(made, content=content_of(network))))


def provenance_of(d: Deployment) -> Provenance:
    """What a chip network's file keeps of the deployment that made it."""
    return Provenance(
        content="",
        model=d.name,
        making=making_of(d.data, d.command, d.files),
        layers=sources(d.loaded),
        shown=tuple(row.name for row in shown_layers(d)),
        passes=pass_rows(d),
        bursts=d.offers,
        quantization=quant_rows(d),
        pairs=d.verdict.pairs,
        fidelity=d.verdict.fidelity,
        rates=d.verdict.rates,
        proofs=tuple(_timeless(p) for p in d.verdict.proofs),
        probed=d.loaded.probed,
        assumptions=d.assumptions,
        about_data=d.about_data,
        not_checked=d.verdict.not_checked,
        max_drop=d.wishes.max_drop,
        payloads=d.built.payloads(),
    )


def _timeless(p: Proof) -> Proof:
    """Without the seconds it took: they are of one machine and one moment, and the file is not."""
    return replace(p, seconds=0.0)


def placed_as_made(network: ChipNetwork, profile: Profile, made: Provenance | None) -> Placement:
    """Where it sits, with what its conversion had proved: largest payloads, and worst cases that cannot come."""
    if made is None:
        return place(network, profile)
    known = {name: made.payloads[written(name)] for name in network.populations if written(name) in made.payloads}
    return without_worst_case(place(network, profile, known), made.bursts)


def same_data(made: Provenance, data: Feed) -> bool:
    """True if what enters is what entered at the conversion, number for number, whatever the labels."""
    return made.making.data is not None and made.making.data.sha256 == data.used.sha256


def beside(made: Provenance, data: Feed) -> tuple[str, ...]:
    """What was assumed at the conversion, said beside a run on ``data``: what was about other data says so, once."""
    if same_data(made, data):
        return made.assumptions
    return tuple(f"{OTHER_DATA}{a}" if a in made.about_data else a for a in made.assumptions)


def repeated(found: Report, made: Provenance, data: Feed) -> Report:
    """The report of a saved network, with what its conversion found out."""
    again = (RATES,) if found.verdict.rates else ()
    return replace(
        found,
        model=made.model,
        layers=tuple(row for row in made.layers if row.name in made.shown) or found.layers,
        passes=made.passes,
        bursts=made.bursts,
        quantization=made.quantization,
        probed=made.probed,
        assumptions=tuple(dict.fromkeys((*beside(made, data), *found.assumptions))),
        not_checked=tuple(dict.fromkeys((*made.not_checked, *found.not_checked, *again))),
        max_drop=made.max_drop,
        making=made.making,
        origin=made.origin,
    )
