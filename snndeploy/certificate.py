"""A certificate: files by their hashes, one run of the chip network by its digests, and all that was compared, proved or left out.

On disk it is JSON in one canonical form with a ``seal``, the SHA-256 of everything else in it: a file with any byte changed
is refused. A seal is no signature: whoever writes the whole file anew can seal it anew. What protects against that is to run
the network again and compare, and that the certificate came from someone you trust.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from snndeploy.errors import ModelError
from snndeploy.inert import noun, plain

SCHEMA = 2
PREFIX = "snndeploy.certificate/"
LARGEST = 64 * 2**20
"""Bytes; what is larger is no certificate."""
NEEDED = frozenset({"program", "data"})
"""Roles of files without which nothing can be run."""
Kinds = Mapping[str, type | tuple[type, ...]]
NUMBER = (int, float)
PAIR: Kinds = {"a": str, "b": str, "compared": int, "different": int, "within_bound": int, "equal": bool, "grade": str}
PROOF: Kinds = {"name": str, "layer": str, "statement": str, "status": str, "seconds": NUMBER, "by": str}
FAULT: Kinds = {"layer": str, "kind": str, "what": str, "count": int}
"""What is read again of a pair, a proof and a fault, with its type."""
FOREIGN = "give what `snndeploy verify MODEL --data D --certificate OUT.json` wrote"


@dataclass(frozen=True)
class HashedFile:
    """A file as it was: ``path`` seen from the certificate's folder, SHA-256 of its bytes in hex.

    ``role``: "program" (the chip network), "graph" (the float network), "data", "profile"; "model" and "code" are what was converted.
    """

    role: str
    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class LayerDigest:
    """What one population sent in the certified run: SHA-256 of its record [T, B, *shape], little-endian, in C order.

    ``dtype`` is that of the record ("<i1" or "<i4"); ``shift`` the steps by which it runs late; ``spikes``, ``wraps`` of u and
    ``saturations`` of v are counted over all steps and samples.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    shift: int
    spikes: int
    wraps: int
    saturations: int
    sha256: str


@dataclass(frozen=True)
class CertifiedRun:
    """The chip network run on the first ``samples`` of the data.

    ``inputs`` are the digests of what the host injected; ``predictions`` the classes; ``accuracy`` a fraction, None without
    labels; ``slow_samples`` how many were run in int64 arithmetic as well; ``phases`` chip steps for each of the ``steps``,
    in the file only where they are not 1; ``faults`` what left its register or fell silent, as in the report's JSON, in the file
    only where there are any.
    """

    samples: int
    steps: int
    encode: str
    seed: int
    inputs: Mapping[str, str]
    layers: tuple[LayerDigest, ...]
    predictions: tuple[int, ...]
    accuracy: float | None
    slow_samples: int
    phases: int = 1
    faults: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Certificate:
    """All of it. ``content`` is the digest of the chip network's integers, whatever file holds them.

    ``tools`` are versions; ``passes``, ``bursts``, ``quantization``, ``pairs``, ``fidelity`` and ``proofs`` are as in the report's JSON.
    ``recorded_proofs``, in the file only where there are any, were shown at the conversion, as the chip network's file says,
    and not shown again.
    """

    name: str
    chip: str
    verdict: str
    content: str
    files: tuple[HashedFile, ...]
    run: CertifiedRun
    tools: Mapping[str, str]
    passes: tuple[Mapping[str, Any], ...]
    bursts: tuple[Mapping[str, Any], ...]
    quantization: tuple[Mapping[str, Any], ...]
    pairs: tuple[Mapping[str, Any], ...]
    fidelity: Mapping[str, Any] | None
    proofs: tuple[Mapping[str, Any], ...]
    not_checked: tuple[str, ...]
    grade: str = ""
    """What the verdict means: "exact", "model only", ...; "" in a certificate of schema 1, which does not say it."""
    ties: int = 0
    recorded_proofs: tuple[Mapping[str, Any], ...] = ()

    def file(self, role: str) -> HashedFile | None:
        """The file of that role, or None."""
        return next((f for f in self.files if f.role == role), None)


@dataclass(frozen=True)
class Check:
    """One thing of a certificate that was looked at again: ``what``, whether it ``holds``, and what was found."""

    what: str
    holds: bool
    found: str


@dataclass(frozen=True)
class Recheck:
    """A certificate looked at again: every check, what was taken from it on trust, and seconds."""

    file: str
    certificate: Certificate
    checks: tuple[Check, ...]
    trusted: tuple[str, ...]
    seconds: float

    @property
    def holds(self) -> bool:
        """True if every check holds."""
        return all(c.holds for c in self.checks)


def to_bytes(certificate: Certificate) -> bytes:
    """The file: the same certificate gives the same bytes."""
    body = {"schema": f"{PREFIX}{SCHEMA}", **plain(certificate)}
    if certificate.run.phases == 1:
        del body["run"]["phases"]
    if not certificate.run.faults:
        del body["run"]["faults"]
    if not certificate.recorded_proofs:
        del body["recorded_proofs"]
    return _text({**body, "seal": _seal(body)})


def from_bytes(data: bytes, where: str) -> Certificate:
    """The certificate in a file of these bytes.

    Raises:
        ModelError: not a certificate, of a newer schema, or changed since it was sealed.
    """
    body = _body(data, where)
    seal = body.pop("seal", None)
    try:
        intact = seal == _seal(body) and _text({**body, "seal": seal}) == data
    except (ValueError, RecursionError):  # a number beyond all floats, or lists in lists that Python cannot write again
        intact = False
    if not intact:
        raise ModelError(where, "certificate: was changed after it was sealed", "get it again from where it was made; it is not edited")
    try:
        return _built(body)
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ModelError(where, f"certificate: its entries are not those of schema {SCHEMA} ({error})", FOREIGN) from None


def _body(data: bytes, where: str) -> dict[str, Any]:
    if len(data) > LARGEST:
        raise ModelError(where, f"has {len(data):,} bytes, more than a certificate", FOREIGN)
    try:
        body = json.loads(data.decode("ascii"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise ModelError(where, "certificate: is not JSON, is cut off, or was changed", FOREIGN) from None
    schema = body.get("schema") if isinstance(body, dict) else None
    if not isinstance(schema, str) or not schema.startswith(PREFIX):
        raise ModelError(where, "is not a certificate of snndeploy, or was changed", FOREIGN)
    number = schema.removeprefix(PREFIX)
    if number not in map(str, range(1, SCHEMA + 1)):
        newer = number.isdecimal() and len(number) < 9 and int(number) > SCHEMA
        what = (
            f"has certificate schema {number}; this snndeploy reads up to {SCHEMA}" if newer else f"has no schema that exists: {schema!r}"
        )
        raise ModelError(where, what, "update snndeploy" if newer else FOREIGN)
    return dict(body)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _text(body: Mapping[str, Any]) -> bytes:
    return (json.dumps(body, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def _seal(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_text(body)).hexdigest()


def _built(body: Mapping[str, Any]) -> Certificate:
    certificate: Certificate = noun(Certificate, {k: v for k, v in body.items() if k != "schema"})
    if missing := NEEDED - {f.role for f in certificate.files}:
        raise ValueError(f"it names no {min(missing)}")
    rows: list[tuple[Mapping[str, Any], Kinds]] = [(row, PAIR) for row in certificate.pairs]
    rows += [(row, PROOF) for row in (*certificate.proofs, *certificate.recorded_proofs)]
    for row, wanted in (*rows, *((row, FAULT) for row in certificate.run.faults)):
        for key, kind in wanted.items():
            if not isinstance(row[key], kind) or (kind is not bool and isinstance(row[key], bool)):
                raise TypeError(f"{key!r} is {row[key]!r}"[:80])
    return certificate
