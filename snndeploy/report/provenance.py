"""What was found out when a chip network was made: it stands in the network's file, so that nothing is lost with the process.

In the file it is JSON in one canonical form with a ``seal``, the SHA-256 of the rest, and it names the digest of the
integers that it is about. A seal is no signature: whoever writes the record anew can seal it anew. So a record can
only make a verdict worse or add ties to it; what is exact, and what rests on a model, is told from the network and a run.
What is repeated of it besides, proofs and the loss that was allowed included, is shown as the record's.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from snndeploy.inert import noun, plain
from snndeploy.report.report import BurstRow, LayerRow, Making, PassRow, QuantRow
from snndeploy.verdict import Fidelity, Pair, Proof, RateCurve

SCHEMA = 2
"""1 named the layers whose worst case a construction excludes, which the chosen constructions say."""
LARGEST = 16 * 2**20
"""Characters; what is longer is no record."""
DAMAGED = (ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError)


@dataclass(frozen=True)
class Provenance:
    """Everything that a conversion found out and that the integers do not say.

    ``content`` is the digest of the chip network's integers; ``layers`` what was read of the model, of which the report shows
    those in ``shown``; ``about_data`` what was assumed of, or seen in, the conversion's own data; ``payloads`` the largest
    payload each population was proven to send; the chosen ones among ``bursts`` exclude their layers' worst case (L013).
    Of integers that were put on a chip as they were, ``making`` is how that was done,
    and ``origin`` how they were made before.
    """

    content: str
    model: str
    making: Making = field(default_factory=Making)
    origin: Making | None = None
    layers: tuple[LayerRow, ...] = ()
    shown: tuple[str, ...] = ()
    passes: tuple[PassRow, ...] = ()
    bursts: tuple[BurstRow, ...] = ()
    quantization: tuple[QuantRow, ...] = ()
    pairs: tuple[Pair, ...] = ()
    fidelity: Fidelity | None = None
    rates: RateCurve | None = None
    proofs: tuple[Proof, ...] = ()
    probed: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    about_data: tuple[str, ...] = ()
    not_checked: tuple[str, ...] = ()
    max_drop: float = 0.5
    payloads: Mapping[str, int] = field(default_factory=dict)


def to_text(made: Provenance) -> str:
    """The record: the same provenance gives the same text, wherever and whenever it was made."""
    body = {"schema": SCHEMA, **plain(made)}
    return _canonical({**body, "seal": _seal(body)})


def from_text(text: str, content: str) -> Provenance:
    """The provenance in a record, which must be about the integers of that digest.

    Raises:
        ValueError: what is wrong with it, in words: too long, damaged, changed, of another schema or another network.
    """
    if len(text) > LARGEST:
        raise ValueError(f"has {len(text):,} characters, more than any record")
    try:
        body = json.loads(text, parse_constant=_no_constant)
        schema, seal = body.pop("schema"), body.pop("seal")
    except DAMAGED:
        raise ValueError("is damaged") from None
    if schema != SCHEMA:
        raise ValueError(f"has schema {str(schema)[:20]!r}; this snndeploy reads {SCHEMA}")
    try:
        intact = seal == _seal({"schema": schema, **body})
        made: Provenance = noun(Provenance, body)
    except DAMAGED:
        raise ValueError("is damaged") from None
    if not intact:
        raise ValueError("was changed after it was written")
    if made.content != content:
        raise ValueError("is about other integers")
    return made


def _canonical(body: Mapping[str, Any]) -> str:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body).encode()).hexdigest()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
